//! The types of a store, mapped.

use std::path::{Path, PathBuf};

use roaring::RoaringBitmap;

use super::lists::{
    EDGE_NAME_ENDS, EDGE_NAMES, EDGE_SETS, NODE_CODES, NODE_NAME_ENDS, NODE_NAMES, SET_ENDS, SET_MEMBERS,
};
use crate::error::{Error, Result};
use crate::file::{FileKind, Section, SectionedFile};
use crate::ids::NodeId;

/// How many types a message lists.
const LISTED: usize = 20;

/// The types of a graph's nodes and edges. By default there are none.
///
/// **No read panics, whatever the bytes**: where codes are damaged, a node or an edge has no type, and
/// [`Kinds::nodes_of`] and [`Kinds::verify`] report it. (Test: `tests/tests/hostile_bytes.rs`.)
#[derive(Debug, Clone, Default)]
pub struct Kinds {
    path: PathBuf,
    digest: u128,
    bytes: u64,
    nodes: Option<NodeKinds>,
    edges: Option<EdgeKinds>,
}

#[derive(Debug, Clone)]
struct NodeKinds {
    names: Vec<String>,
    codes: MappedCodes,
}

#[derive(Debug, Clone)]
struct EdgeKinds {
    names: Vec<String>,
    set_ends: Section<u32>,
    members: Section<u32>,
    sets: MappedCodes,
}

/// A type and how often it occurs.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct KindCount {
    /// Its name.
    pub name: String,
    /// How many nodes or edges have it.
    pub count: u64,
}

impl Kinds {
    /// Maps a file of types. Cost: the names are read; codes stay mapped.
    ///
    /// # Errors
    /// When the file is not a whole file of types of this version.
    pub fn open(path: &Path) -> Result<Kinds> {
        let file = SectionedFile::open(path, FileKind::Types)?;
        let nodes = if file.has(NODE_CODES) {
            let names = names(&file, [NODE_NAMES, NODE_NAME_ENDS])?;
            Some(NodeKinds { names, codes: MappedCodes::of(&file, NODE_CODES)? })
        } else {
            None
        };
        let edges = if file.has(EDGE_SETS) {
            Some(EdgeKinds {
                names: names(&file, [EDGE_NAMES, EDGE_NAME_ENDS])?,
                set_ends: file.section(SET_ENDS)?,
                members: file.section(SET_MEMBERS)?,
                sets: MappedCodes::of(&file, EDGE_SETS)?,
            })
        } else {
            None
        };
        Ok(Kinds { path: path.to_owned(), digest: file.digest(), bytes: file.bytes(), nodes, edges })
    }

    /// The digest of the file.
    #[must_use]
    pub fn digest(&self) -> u128 {
        self.digest
    }

    /// The length of the file.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// True when there are as many codes as a graph has nodes and edges.
    #[must_use]
    pub fn fit(&self, nodes: u64, edges: u64) -> bool {
        self.nodes.as_ref().is_none_or(|kinds| kinds.codes.len() as u64 == nodes)
            && self.edges.as_ref().is_none_or(|kinds| kinds.sets.len() as u64 == edges)
    }

    /// True when nodes have types.
    #[must_use]
    pub fn has_node_kinds(&self) -> bool {
        self.nodes.is_some()
    }

    /// True when edges have types.
    #[must_use]
    pub fn has_edge_kinds(&self) -> bool {
        self.edges.is_some()
    }

    /// The type of a node; `None` when it has none, or is no node. Cost: constant.
    #[must_use]
    pub fn node_kind(&self, node: NodeId) -> Option<&str> {
        let kinds = self.nodes.as_ref()?;
        let place = kinds.codes.get(node as usize)?.checked_sub(1)?;
        kinds.names.get(place as usize).map(String::as_str)
    }

    /// All types that nodes may have, ascending.
    pub fn node_kinds(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().flat_map(|kinds| kinds.names.iter().map(String::as_str))
    }

    /// All types that edges may have, ascending.
    pub fn all_edge_kinds(&self) -> impl Iterator<Item = &str> {
        self.edges.iter().flat_map(|kinds| kinds.names.iter().map(String::as_str))
    }

    /// The types of an edge, ascending: several where parallel edges of several types were added up, none where it has
    /// none. `position` is the edge's place in the graph's rows: row *v* begins at [`offsets`](crate::graph::Graph::offsets)
    /// `[v]`. Cost: constant.
    pub fn edge_kinds(&self, position: usize) -> impl Iterator<Item = &str> {
        self.edges.iter().flat_map(move |kinds| {
            let members = kinds.sets.get(position).and_then(|set| kinds.members(set)).unwrap_or(&[]);
            members.iter().filter_map(|&place| kinds.names.get(place as usize)).map(String::as_str)
        })
    }

    /// All nodes of a type. Cost: one pass over the codes of the nodes.
    ///
    /// # Errors
    /// [`Error::UnknownType`] with the types that there are, when no node may have this one; damage, when a code stands for
    /// no type.
    pub fn nodes_of(&self, name: &str) -> Result<RoaringBitmap> {
        let unknown = || Error::UnknownType { name: name.to_owned(), known: listed(self.node_kinds()) };
        let kinds = self.nodes.as_ref().ok_or_else(unknown)?;
        let place = kinds.names.iter().position(|known| known == name).ok_or_else(unknown)?;
        let mut nodes = RoaringBitmap::new();
        for (node, code) in (0..NodeId::MAX).zip(kinds.codes.iter()) {
            if kinds.names.len() < code as usize {
                return Err(self.damaged());
            }
            if code as usize == place + 1 {
                nodes.insert(node);
            }
        }
        Ok(nodes)
    }

    /// The types of nodes and how many nodes have each, ascending by name. Cost: one pass over the codes of the nodes.
    #[must_use]
    pub fn count_nodes(&self) -> Vec<KindCount> {
        let Some(kinds) = &self.nodes else { return Vec::new() };
        let mut counts = vec![0; kinds.names.len()];
        let places = kinds.codes.iter().filter_map(|code| code.checked_sub(1));
        places.for_each(|place| counts.get_mut(place as usize).into_iter().for_each(|count| *count += 1));
        counted(&kinds.names, &counts)
    }

    /// The types of edges and how many edges have each, ascending by name; an edge of several types counts for each.
    /// Cost: one pass over the codes of the edges.
    #[must_use]
    pub fn count_edges(&self) -> Vec<KindCount> {
        let Some(kinds) = &self.edges else { return Vec::new() };
        let mut of_sets = vec![0; kinds.set_ends.len()];
        for set in kinds.sets.iter() {
            of_sets.get_mut(set as usize).into_iter().for_each(|count| *count += 1);
        }
        let mut counts = vec![0u64; kinds.names.len()];
        for (set, edges) in (0..u32::MAX).zip(of_sets) {
            for &place in kinds.members(set).unwrap_or(&[]) {
                counts.get_mut(place as usize).into_iter().for_each(|count| *count += edges);
            }
        }
        counted(&kinds.names, &counts)
    }

    /// Reads every byte of a file of types, compares it with the checksums, and checks that every code stands for
    /// something.
    ///
    /// # Errors
    /// When any byte is not the one that was written.
    pub fn verify(path: &Path) -> Result<()> {
        SectionedFile::open(path, FileKind::Types)?.verify()?;
        let kinds = Kinds::open(path)?;
        let nodes = kinds.nodes.as_ref().is_none_or(|kinds| {
            kinds.codes.iter().all(|code| code as usize <= kinds.names.len()) && ascend(&kinds.names)
        });
        let edges = kinds.edges.as_ref().is_none_or(|kinds| {
            let sets = (0..u32::MAX).zip(kinds.set_ends.iter()).all(|(set, _)| {
                let known = |members: &[u32]| members.iter().all(|&place| (place as usize) < kinds.names.len());
                kinds.members(set).is_some_and(|members| known(members) && members.is_sorted_by(|low, high| low < high))
            });
            sets && kinds.sets.iter().all(|set| (set as usize) < kinds.set_ends.len()) && ascend(&kinds.names)
        });
        if nodes && edges { Ok(()) } else { Err(kinds.damaged()) }
    }

    fn damaged(&self) -> Error {
        Error::damaged(&self.path, "a code stands for no type")
    }
}

impl EdgeKinds {
    fn members(&self, set: u32) -> Option<&[u32]> {
        let ends: &[u32] = &self.set_ends;
        let start = (set as usize).checked_sub(1).map_or(Some(0), |before| ends.get(before).copied())?;
        self.members.get(start as usize..*ends.get(set as usize)? as usize)
    }
}

fn ascend(names: &[String]) -> bool {
    names.is_sorted_by(|low, high| low < high)
}

fn counted(names: &[String], counts: &[u64]) -> Vec<KindCount> {
    names.iter().zip(counts).map(|(name, &count)| KindCount { name: name.clone(), count }).collect()
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

/// Names are few, and everything else stands on them: they are read, checked and copied when the file is opened.
fn names(file: &SectionedFile, [bytes, ends]: [u32; 2]) -> Result<Vec<String>> {
    file.verify_section(bytes)?;
    file.verify_section(ends)?;
    let (bytes, ends) = (file.section::<u8>(bytes)?, file.section::<u32>(ends)?);
    let mut names = Vec::with_capacity(ends.len());
    let mut start = 0;
    for &end in ends.iter() {
        let name = bytes.get(start..end as usize).and_then(|name| std::str::from_utf8(name).ok());
        let name = name.ok_or_else(|| Error::damaged(file.path(), "the names of types cannot be read"))?;
        names.push(name.to_owned());
        start = end as usize;
    }
    Ok(names)
}

/// Codes of any width, mapped.
#[derive(Debug, Clone)]
enum MappedCodes {
    Bytes(Section<u8>),
    Shorts(Section<u16>),
    Words(Section<u32>),
}

impl MappedCodes {
    fn of(file: &SectionedFile, section: u32) -> Result<MappedCodes> {
        if let Ok(codes) = file.section(section) {
            return Ok(MappedCodes::Bytes(codes));
        }
        match file.section(section) {
            Ok(codes) => Ok(MappedCodes::Shorts(codes)),
            Err(_) => file.section(section).map(MappedCodes::Words),
        }
    }

    fn len(&self) -> usize {
        match self {
            MappedCodes::Bytes(codes) => codes.len(),
            MappedCodes::Shorts(codes) => codes.len(),
            MappedCodes::Words(codes) => codes.len(),
        }
    }

    fn get(&self, at: usize) -> Option<u32> {
        match self {
            MappedCodes::Bytes(codes) => codes.get(at).map(|&code| code.into()),
            MappedCodes::Shorts(codes) => codes.get(at).map(|&code| code.into()),
            MappedCodes::Words(codes) => codes.get(at).copied(),
        }
    }

    fn iter(&self) -> Box<dyn Iterator<Item = u32> + '_> {
        match self {
            MappedCodes::Bytes(codes) => Box::new(codes.iter().map(|&code| code.into())),
            MappedCodes::Shorts(codes) => Box::new(codes.iter().map(|&code| code.into())),
            MappedCodes::Words(codes) => Box::new(codes.iter().copied()),
        }
    }
}
