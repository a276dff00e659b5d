//! The types of a graph's nodes and edges, in one file or in those of its shards.

use std::ops::Range;
use std::path::Path;

use roaring::RoaringBitmap;

use super::kind_file::KindFile;
use crate::error::{Error, Result};
use crate::ids::NodeId;

/// How many types a message lists.
const LISTED: usize = 20;

/// The types of a graph's nodes and edges. By default there are none.
///
/// **No read panics, whatever the bytes**: where codes are damaged, a node or an edge has no type, and
/// [`Kinds::nodes_of`] and [`KindFile::verify`] report it. (Test: `tests/tests/hostile_bytes.rs`.)
#[derive(Debug, Clone, Default)]
pub struct Kinds {
    /// Ascending; with the same names in each.
    parts: Vec<Part>,
}

/// The types of some nodes and of the edges that leave them.
#[derive(Debug, Clone)]
struct Part {
    nodes: Range<u64>,
    edges: Range<u64>,
    file: KindFile,
}

/// A type and how often it occurs.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct KindCount {
    /// Its name.
    pub name: String,
    /// How many nodes or edges have it.
    pub count: u64,
}

impl From<KindFile> for Kinds {
    fn from(file: KindFile) -> Kinds {
        Kinds { parts: vec![Part { nodes: 0..u64::MAX, edges: 0..u64::MAX, file }] }
    }
}

impl Kinds {
    /// Maps the file of types of a whole graph. Cost: as [`KindFile::open`].
    ///
    /// # Errors
    /// When the file is not a whole file of types of this version.
    pub fn open(path: &Path) -> Result<Kinds> {
        KindFile::open(path).map(Kinds::from)
    }

    /// The types of the shards of a graph, or of some of them: of each its nodes, the places of its edges in the rows of the
    /// whole graph, and its file. They ascend.
    ///
    /// # Errors
    /// When shards have other types than the first one, or a file has not one code a node and an edge.
    pub fn of_shards(shards: Vec<(Range<NodeId>, Range<u64>, KindFile)>) -> Result<Kinds> {
        let mut parts: Vec<Part> = Vec::with_capacity(shards.len());
        for (nodes, edges, file) in shards {
            if !file.fit(nodes.len() as u64, edges.end - edges.start) {
                return Err(Error::damaged(file.path(), "it has not one code for each node and edge"));
            }
            if parts.first().is_some_and(|first| !first.file.has_names_of(&file)) {
                return Err(Error::damaged(file.path(), "its types are not those of the other shards"));
            }
            parts.push(Part { nodes: nodes.start.into()..nodes.end.into(), edges, file });
        }
        Ok(Kinds { parts })
    }

    /// The files, ascending.
    pub(super) fn files(&self) -> impl Iterator<Item = &KindFile> {
        self.parts.iter().map(|part| &part.file)
    }

    /// The bytes of all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.file.bytes()).sum()
    }

    /// True when nodes have types.
    #[must_use]
    pub fn has_node_kinds(&self) -> bool {
        self.parts.first().is_some_and(|part| part.file.nodes.is_some())
    }

    /// True when edges have types.
    #[must_use]
    pub fn has_edge_kinds(&self) -> bool {
        self.parts.first().is_some_and(|part| part.file.edges.is_some())
    }

    /// Them, where anything has a type.
    #[must_use]
    pub fn if_any(self) -> Option<Kinds> {
        (self.has_node_kinds() || self.has_edge_kinds()).then_some(self)
    }

    /// The type of a node; `None` when it has none, or is no node. Cost: a binary search over the shards.
    #[must_use]
    pub fn node_kind(&self, node: NodeId) -> Option<&str> {
        let node = u64::from(node);
        let part = self.parts.get(self.parts.partition_point(|part| part.nodes.end <= node))?;
        let kinds = part.file.nodes.as_ref()?;
        let at = usize::try_from(node.checked_sub(part.nodes.start)?).ok()?;
        let place = kinds.codes.get(at)?.checked_sub(1)?;
        kinds.names.get(place as usize).map(String::as_str)
    }

    /// All types that nodes may have, ascending.
    pub fn node_kinds(&self) -> impl Iterator<Item = &str> {
        let kinds = self.parts.first().and_then(|part| part.file.nodes.as_ref());
        kinds.into_iter().flat_map(|kinds| kinds.names.iter().map(String::as_str))
    }

    /// All types that edges may have, ascending.
    pub fn all_edge_kinds(&self) -> impl Iterator<Item = &str> {
        let kinds = self.parts.first().and_then(|part| part.file.edges.as_ref());
        kinds.into_iter().flat_map(|kinds| kinds.names.iter().map(String::as_str))
    }

    /// The types of an edge, ascending: several where parallel edges of several types were added up, none where it has
    /// none. `position` is the edge's place in the graph's rows: row *v* begins at [`offsets`](crate::graph::Graph::offsets)
    /// `[v]`. Cost: a binary search over the shards.
    pub fn edge_kinds(&self, position: usize) -> impl Iterator<Item = &str> {
        let position = position as u64;
        let part = self.parts.get(self.parts.partition_point(|part| part.edges.end <= position));
        let found = part.and_then(|part| {
            let at = usize::try_from(position.checked_sub(part.edges.start)?).ok()?;
            Some((part.file.edges.as_ref()?, at))
        });
        found.into_iter().flat_map(|(kinds, at)| {
            let members = kinds.sets.get(at).and_then(|set| kinds.members(set)).unwrap_or(&[]);
            members.iter().filter_map(|&place| kinds.names.get(place as usize)).map(String::as_str)
        })
    }

    /// All nodes of a type. Cost: one pass over the codes of the nodes.
    ///
    /// # Errors
    /// [`Error::UnknownType`] with the types that there are, when no node may have this one; damage, when a code stands for
    /// no type.
    pub fn nodes_of(&self, name: &str) -> Result<RoaringBitmap> {
        let place = self.node_kinds().position(|known| known == name);
        let unknown = || Error::UnknownType { name: name.to_owned(), known: listed(self.node_kinds()) };
        let place = place.ok_or_else(unknown)?;
        let mut nodes = RoaringBitmap::new();
        for Part { nodes: range, file, .. } in &self.parts {
            let Some(kinds) = &file.nodes else { continue };
            let first = NodeId::try_from(range.start).map_err(|_| file.damaged())?;
            for (node, code) in (first..NodeId::MAX).zip(kinds.codes.iter()) {
                if kinds.names.len() < code as usize {
                    return Err(file.damaged());
                }
                if code as usize == place + 1 {
                    nodes.insert(node);
                }
            }
        }
        Ok(nodes)
    }

    /// The types of nodes and how many nodes have each, ascending by name. Cost: one pass over the codes of the nodes.
    #[must_use]
    pub fn count_nodes(&self) -> Vec<KindCount> {
        let names: Vec<&str> = self.node_kinds().collect();
        let mut counts = vec![0; names.len()];
        for kinds in self.parts.iter().filter_map(|part| part.file.nodes.as_ref()) {
            let places = kinds.codes.iter().filter_map(|code| code.checked_sub(1));
            places.for_each(|place| counts.get_mut(place as usize).into_iter().for_each(|count| *count += 1));
        }
        counted(&names, &counts)
    }

    /// The types of edges and how many edges have each, ascending by name; an edge of several types counts for each.
    /// Cost: one pass over the codes of the edges.
    #[must_use]
    pub fn count_edges(&self) -> Vec<KindCount> {
        let names: Vec<&str> = self.all_edge_kinds().collect();
        let mut counts = vec![0u64; names.len()];
        for kinds in self.parts.iter().filter_map(|part| part.file.edges.as_ref()) {
            let mut of_sets = vec![0; kinds.sets_len()];
            for set in kinds.sets.iter() {
                of_sets.get_mut(set as usize).into_iter().for_each(|count| *count += 1);
            }
            for (set, edges) in (0..u32::MAX).zip(of_sets) {
                for &place in kinds.members(set).unwrap_or(&[]) {
                    counts.get_mut(place as usize).into_iter().for_each(|count| *count += edges);
                }
            }
        }
        counted(&names, &counts)
    }
}

fn counted(names: &[&str], counts: &[u64]) -> Vec<KindCount> {
    names.iter().zip(counts).map(|(&name, &count)| KindCount { name: name.to_owned(), count }).collect()
}

/// Types as a message lists them.
fn listed<'k>(names: impl Iterator<Item = &'k str>) -> String {
    let mut names = names.peekable();
    if names.peek().is_none() {
        return "nodes have no types here; give them some with `walkprint load --node-types FILE`".to_owned();
    }
    let shown: Vec<String> = names.by_ref().take(LISTED).map(|name| format!("{name:?}")).collect();
    let more = if names.next().is_some() { ", …" } else { "" };
    format!("the types are {}{more}", shown.join(", "))
}
