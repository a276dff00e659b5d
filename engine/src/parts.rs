//! A graph as this process can read it: whole, or those of its shards whose files are here.
//!
//! A store has one graph file, or a shard for each process that loaded it; of these a process may see all (a shared
//! directory, copies) or only its own. [`RowParts`], [`LabelParts`] and [`KindParts`] are the same for all of these: a list of
//! parts, each with its range of nodes, and the shards that are elsewhere. A graph in one file is one part with all nodes.
//!
//! ```text
//! let rows = RowParts::open(&store)?;           // opens whatever is here
//! for part in rows.parts() {                    // ascending, part.nodes() apart from each other
//!     part.verify_walk_rows()?;                 // once, before the bytes are relied on
//!     part.check()?;
//!     let walk = part.rows().walk_rows();       // row 0 is that of part.nodes().start; targets are nodes of the graph
//! }
//! rows.row(node)?                               // None when its shard is elsewhere
//! rows.missing()                                // what is elsewhere
//! ```

use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::graph::{Graph, Row, RowsDigest, ShardFile, ShardId};
use crate::ids::{NodeId, canonical_integer};
use crate::kinds::{KindFile, Kinds};
use crate::labels::Labels;
use crate::store::{GraphEntry, ShardEntry, Store, TypesEntry, expect_digest};

/// The rows of a graph that this process can read.
#[derive(Debug, Clone)]
pub struct RowParts {
    nodes: u64,
    edges: u64,
    weighted: bool,
    digest: u128,
    parts: Vec<RowPart>,
    missing: Vec<ShardEntry>,
}

/// Some rows of a graph: one shard, or all.
#[derive(Debug, Clone)]
pub struct RowPart {
    number: u32,
    nodes: Range<NodeId>,
    rows: PartFile,
}

#[derive(Debug, Clone)]
enum PartFile {
    Whole(Graph),
    Shard(ShardFile),
}

impl RowPart {
    /// The shard's number; 0 for a graph in one file.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The nodes whose rows it has.
    #[must_use]
    pub fn nodes(&self) -> Range<NodeId> {
        self.nodes.clone()
    }

    /// The rows: row `v` is that of node `nodes().start + v`, and targets are nodes of the whole graph.
    #[must_use]
    pub fn rows(&self) -> &Graph {
        match &self.rows {
            PartFile::Whole(graph) => graph,
            PartFile::Shard(shard) => shard.rows(),
        }
    }

    /// Reads what walks read and compares it with the checksums: see [`Graph::verify_walk_rows`].
    ///
    /// # Errors
    /// When any byte is not the one that was written.
    pub fn verify_walk_rows(&self) -> Result<()> {
        match &self.rows {
            PartFile::Whole(graph) => graph.verify_walk_rows(),
            PartFile::Shard(shard) => shard.verify_walk_rows(),
        }
    }

    /// Reads what answers read and compares it with the checksums: see [`Graph::verify_rows`].
    ///
    /// # Errors
    /// When any byte is not the one that was written.
    pub fn verify_rows(&self) -> Result<()> {
        match &self.rows {
            PartFile::Whole(graph) => graph.verify_rows(),
            PartFile::Shard(shard) => shard.verify_rows(),
        }
    }

    /// Checks that every row lies inside the edges and every target is a node of the graph. Cost: one pass.
    ///
    /// # Errors
    /// When anything points outside: the file is damaged.
    pub fn check(&self) -> Result<()> {
        match &self.rows {
            PartFile::Whole(graph) => graph.check(),
            PartFile::Shard(shard) => shard.check(),
        }
    }

    fn row(&self, node: NodeId) -> Option<NodeId> {
        self.nodes.contains(&node).then(|| node - self.nodes.start)
    }
}

impl RowParts {
    /// Gives back the pages of the files, after a pass over rows: see [`Graph::release`].
    pub fn release(&self) {
        self.parts.iter().for_each(|part| part.rows().release());
    }

    /// Opens the graph file of a store, or those of its shards that are here. Cost: constant for each.
    ///
    /// # Errors
    /// When a file is not the one that the manifest lists.
    pub fn open(store: &Store) -> Result<RowParts> {
        let graph = &store.manifest().graph;
        let (nodes, edges) = (graph.report.nodes, graph.report.edges);
        let (mut parts, mut missing) = (Vec::new(), Vec::new());
        if graph.shards.is_empty() {
            let whole = store.graph()?;
            if whole.nodes() as u64 != nodes {
                return Err(Error::damaged(whole.path(), format!("it has {} rows, expected {nodes}", whole.nodes())));
            }
            let digest = whole.digest();
            let end = NodeId::try_from(nodes).map_err(|_| Error::damaged(whole.path(), "it has too many nodes"))?;
            parts.push(RowPart { number: 0, nodes: 0..end, rows: PartFile::Whole(whole) });
            return Ok(RowParts { nodes, edges, weighted: graph.report.weighted, digest, parts, missing });
        }
        let digest = graph_digest(store.path(), graph)?;
        for entry in &graph.shards {
            let path = store.path().join(&entry.file);
            if !path.exists() {
                missing.push(entry.clone());
                continue;
            }
            let shard = ShardFile::open(&path)?;
            expect_shard(&path, graph, entry, &shard)?;
            let nodes = entry.first..entry.end;
            parts.push(RowPart { number: entry.number, nodes, rows: PartFile::Shard(shard) });
        }
        Ok(RowParts { nodes, edges, weighted: graph.report.weighted, digest, parts, missing })
    }

    /// Nodes of the whole graph.
    #[must_use]
    pub fn nodes(&self) -> u64 {
        self.nodes
    }

    /// Edges of the whole graph.
    #[must_use]
    pub fn edges(&self) -> u64 {
        self.edges
    }

    /// True when edges have weights other than "all 1".
    #[must_use]
    pub fn is_weighted(&self) -> bool {
        self.weighted
    }

    /// The digest of the whole graph.
    #[must_use]
    pub fn digest(&self) -> u128 {
        self.digest
    }

    /// What is here, ascending by nodes.
    #[must_use]
    pub fn parts(&self) -> &[RowPart] {
        &self.parts
    }

    /// The shards that are elsewhere.
    #[must_use]
    pub fn missing(&self) -> &[ShardEntry] {
        &self.missing
    }

    /// A node's out-edges; `None` when they are elsewhere or it is no node. Cost: a binary search over the parts.
    ///
    /// # Errors
    /// When the row is damaged.
    pub fn row(&self, node: NodeId) -> Result<Option<Row<'_>>> {
        self.find(node).map(|(part, row)| part.rows().row(row)).transpose()
    }

    /// A node's out-degree; `None` when its row is elsewhere or it is no node.
    #[must_use]
    pub fn degree(&self, node: NodeId) -> Option<u64> {
        self.find(node).map(|(part, row)| part.rows().degree(row))
    }

    /// The part that a node's row is in, and the row's number there; `None` when it is elsewhere or it is no node.
    #[must_use]
    pub fn find(&self, node: NodeId) -> Option<(&RowPart, NodeId)> {
        let part = self.parts.get(self.parts.partition_point(|part| part.nodes.end <= node))?;
        part.row(node).map(|row| (part, row))
    }
}

/// The ids of a graph's nodes that this process can read.
#[derive(Debug)]
pub struct LabelParts {
    shards: Vec<ShardEntry>,
    /// In order of nodes, which among shards is the order of ids.
    parts: Vec<(Range<NodeId>, Labels)>,
    missing: Vec<ShardEntry>,
}

/// Where an id is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdPlace {
    /// It is this node's.
    Node(NodeId),
    /// It is no node's.
    Nowhere,
    /// If it is any node's, then one of this shard, whose labels are elsewhere.
    Elsewhere(u32),
}

impl LabelParts {
    /// Opens the labels of a store, or those of its shards that are here. Cost: as [`Labels::open`] for each.
    ///
    /// # Errors
    /// When a file is damaged, or is not the one that the manifest lists.
    pub fn open(store: &Store) -> Result<LabelParts> {
        let graph = &store.manifest().graph;
        if graph.shards.is_empty() {
            let labels = store.labels()?;
            let nodes = NodeId::try_from(labels.len());
            let nodes = nodes.map_err(|_| Error::damaged(&store.labels_path(), "it has too many nodes"))?;
            return Ok(LabelParts { shards: Vec::new(), parts: vec![(0..nodes, labels)], missing: Vec::new() });
        }
        let (mut parts, mut missing) = (Vec::new(), Vec::new());
        for entry in &graph.shards {
            let path = store.path().join(&entry.labels_file);
            if !path.exists() {
                missing.push(entry.clone());
                continue;
            }
            parts.push((entry.first..entry.end, open_labels(&path, entry)?));
        }
        Ok(LabelParts { shards: graph.shards.clone(), parts, missing })
    }

    /// The labels that are here: ranges of nodes, and the labels of each, in which a node's number counts from the start of
    /// its range.
    pub fn parts(&self) -> impl Iterator<Item = (Range<NodeId>, &Labels)> {
        self.parts.iter().map(|(nodes, labels)| (nodes.clone(), labels))
    }

    /// The shards whose labels are elsewhere.
    #[must_use]
    pub fn missing(&self) -> &[ShardEntry] {
        &self.missing
    }

    /// The external id of a node; `None` when it is elsewhere or it is no node.
    ///
    /// # Errors
    /// When the label file is damaged.
    pub fn id(&self, node: NodeId) -> Result<Option<String>> {
        let at = self.parts.partition_point(|(nodes, _)| nodes.end <= node);
        let Some((nodes, labels)) = self.parts.get(at).filter(|(nodes, _)| nodes.contains(&node)) else {
            return Ok(None);
        };
        labels.id(node - nodes.start).map(Some)
    }

    /// The node with an external id.
    ///
    /// # Errors
    /// When the label file is damaged.
    pub fn node(&self, id: &str) -> Result<IdPlace> {
        let (first, labels) = match self.shards.is_empty() {
            true => (0, &self.parts[0].1),
            false => {
                let Some(shard) = self.shard_of_id(id) else { return Ok(IdPlace::Nowhere) };
                let Some((nodes, labels)) = self.parts.iter().find(|(nodes, _)| *nodes == (shard.first..shard.end))
                else {
                    return Ok(IdPlace::Elsewhere(shard.number));
                };
                (nodes.start, labels)
            }
        };
        Ok(labels.node(id)?.map_or(IdPlace::Nowhere, |node| IdPlace::Node(first + node)))
    }

    /// The only shard that an id can be in: the last one whose first id is not behind it.
    fn shard_of_id(&self, id: &str) -> Option<&ShardEntry> {
        let filled: Vec<(&ShardEntry, &str)> =
            self.shards.iter().filter_map(|shard| Some((shard, shard.first_id.as_deref()?))).collect();
        let integers = self.shards.iter().all(|shard| shard.integer_ids);
        let after = if integers {
            let id = canonical_integer(id.as_bytes())?;
            filled.partition_point(|(_, first)| canonical_integer(first.as_bytes()).is_some_and(|first| first <= id))
        } else {
            filled.partition_point(|(_, first)| *first <= id)
        };
        after.checked_sub(1).map(|at| filled[at].0)
    }
}

/// The types of a graph's nodes and edges that this process can read.
#[derive(Debug)]
pub struct KindParts {
    /// What is here; `None` when neither nodes nor edges have types.
    pub kinds: Option<Kinds>,
    /// The shards whose types are elsewhere.
    pub missing: Vec<ShardEntry>,
}

impl KindParts {
    /// Opens the file of types of a store, or those of its shards that are here. Cost: as [`KindFile::open`] for each.
    ///
    /// # Errors
    /// When a file is damaged, or is not the one that the manifest lists.
    pub fn open(store: &Store) -> Result<KindParts> {
        let graph = &store.manifest().graph;
        if graph.shards.is_empty() {
            let kinds = match &graph.types {
                Some(entry) => {
                    let file = open_kinds(&store.path().join(&entry.file), entry)?;
                    Some(Kinds::from(expect_fit(file, graph.report.nodes, graph.report.edges)?))
                }
                None => None,
            };
            return Ok(KindParts { kinds, missing: Vec::new() });
        }
        let (mut parts, mut missing, mut edges_before) = (Vec::new(), Vec::new(), 0u64);
        for shard in &graph.shards {
            let edges = edges_before..edges_before.saturating_add(shard.edges);
            edges_before = edges.end;
            let Some(entry) = &shard.types else { continue };
            let path = store.path().join(&entry.file);
            if path.exists() {
                parts.push((shard.first..shard.end, edges, open_shard_kinds(&path, shard, entry)?));
            } else {
                missing.push(shard.clone());
            }
        }
        let typed = graph.shards.iter().any(|shard| shard.types.is_some());
        Ok(KindParts { kinds: if typed { Some(Kinds::of_shards(parts)?) } else { None }, missing })
    }
}

impl Store {
    /// Maps the types of nodes and edges, in one file or in those of all shards; `None` when neither have types. Cost: the
    /// types' names are read.
    ///
    /// # Errors
    /// When a file is damaged, is not the one that the manifest lists, or has not one code a node and an edge; when that of a
    /// shard is not in this directory.
    pub fn kinds(&self) -> Result<Option<Kinds>> {
        let KindParts { kinds, missing } = KindParts::open(self)?;
        match missing.first().and_then(|shard| shard.types.as_ref()) {
            Some(types) => {
                let (path, file, missing) = (self.path().to_owned(), types.file.clone(), missing.len());
                Err(Error::TypesElsewhere { path, file, missing, shards: self.manifest().graph.shards.len() })
            }
            None => Ok(kinds),
        }
    }
}

/// Reads every byte of the shards of a graph that are in a store's directory, and says what each file turned out to be;
/// `None` for files that are not here. When all rows are here, they are compared with the digest of the graph as well.
#[must_use]
pub fn verify(store: &Store) -> Vec<(PathBuf, Option<Result<()>>)> {
    let graph = &store.manifest().graph;
    let mut found = Vec::new();
    let mut look = |path: PathBuf, verify: &mut dyn FnMut(&Path) -> Result<()>| {
        let verified = path.exists().then(|| verify(&path));
        found.push((path, verified));
    };
    let mut digest = Some(RowsDigest::default());
    for entry in &graph.shards {
        let mut own = None;
        look(store.path().join(&entry.file), &mut |path| {
            ShardFile::verify(path)?;
            let shard = ShardFile::open(path)?;
            expect_shard(path, graph, entry, &shard)?;
            own = Some(shard.rows().digest_of_rows(entry.first)?);
            Ok(())
        });
        digest = digest.zip(own).map(|(mut digest, own)| {
            digest.merge(&own);
            digest
        });
        look(store.path().join(&entry.labels_file), &mut |path| {
            Labels::verify(path)?;
            open_labels(path, entry).map(|_| ())
        });
        if let Some(types) = &entry.types {
            look(store.path().join(&types.file), &mut |path| {
                KindFile::verify(path)?;
                open_shard_kinds(path, entry, types).map(|_| ())
            });
        }
    }
    if let Err(error @ Error::Damaged { .. }) = KindParts::open(store)
        && found.iter().all(|(_, verified)| !matches!(verified, Some(Err(_))))
    {
        // Each file is what it was, and together they make no sense.
        found.push((store.path().to_owned(), Some(Err(error))));
    }
    if digest.is_some_and(|digest| format!("{:032x}", digest.finish()) != graph.digest) {
        let what = "the rows of all shards together are not the graph that the manifest lists";
        found.push((store.path().to_owned(), Some(Err(Error::damaged(store.path(), what)))));
    }
    found
}

/// Opens the labels of a shard, wherever they lie, and makes sure that they are what the manifest lists.
///
/// # Errors
/// When they are not, or are damaged.
pub fn open_labels(path: &Path, entry: &ShardEntry) -> Result<Labels> {
    let labels = Labels::open(path)?;
    expect_digest(path.to_owned(), &entry.labels_digest, labels.digest())?;
    if labels.len() as u64 != u64::from(entry.end - entry.first) {
        return Err(Error::damaged(path, "it has not one label for each node"));
    }
    Ok(labels)
}

/// Opens the types of a shard, wherever they lie, and makes sure that they are what the manifest lists.
///
/// # Errors
/// When they are not, or are damaged.
pub fn open_shard_kinds(path: &Path, shard: &ShardEntry, entry: &TypesEntry) -> Result<KindFile> {
    expect_fit(open_kinds(path, entry)?, (shard.end - shard.first).into(), shard.edges)
}

fn open_kinds(path: &Path, entry: &TypesEntry) -> Result<KindFile> {
    let kinds = KindFile::open(path)?;
    expect_digest(path.to_owned(), &entry.digest, kinds.digest())?;
    Ok(kinds)
}

fn expect_fit(kinds: KindFile, nodes: u64, edges: u64) -> Result<KindFile> {
    if kinds.fit(nodes, edges) {
        return Ok(kinds);
    }
    Err(Error::damaged(kinds.path(), "it has not one code for each node and edge"))
}

/// Makes sure that a shard is the one that the manifest lists.
///
/// # Errors
/// When it is not.
pub fn expect_shard(path: &Path, graph: &GraphEntry, entry: &ShardEntry, shard: &ShardFile) -> Result<()> {
    expect_digest(path.to_owned(), &entry.digest, shard.digest())?;
    let expected = ShardId {
        number: entry.number,
        shards: u32::try_from(graph.shards.len()).unwrap_or(u32::MAX),
        nodes: entry.first..entry.end,
        graph_nodes: graph.report.nodes,
        graph_edges: graph.report.edges,
        graph_digest: graph_digest(path, graph)?,
    };
    if *shard.id() != expected || shard.rows().is_weighted() != graph.report.weighted {
        return Err(Error::damaged(path, "its head is not what the manifest says of it"));
    }
    Ok(())
}

/// The digest of a graph as a manifest gives it.
///
/// # Errors
/// When the manifest gives none.
pub fn graph_digest(store: &Path, graph: &GraphEntry) -> Result<u128> {
    u128::from_str_radix(&graph.digest, 16)
        .map_err(|_| Error::damaged(store, "the manifest's digest of the graph is no number"))
}
