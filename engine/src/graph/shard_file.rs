//! The file of one shard of a graph: the rows of a range of nodes, laid out as in the file of a whole graph.
//!
//! File `graph-G-SSS.wpg` (container: [`crate::file`]), *n* nodes in the range, *m* edges that leave them:
//!
//! ```text
//! section  element          count    what and why
//!       1  u64              n + 1    as in a graph file, from 0: row v is edges offsets[v - first] .. offsets[v - first + 1]
//!       2  u32              m        targets: nodes of the whole graph
//!    3..5                            weights, sums and alias tables as in a graph file (of all shards or of none)
//!       7  u64              8        shard, shards, first node, end, nodes and edges of the whole graph, and its digest
//! ```

use std::ops::Range;
use std::path::Path;

use super::digest::{halves, join};
use super::rows::Graph;
use crate::error::{Error, Result};
use crate::file::{FileKind, SectionWriter, SectionedFile};
use crate::ids::{MAX_NODES, NodeId};

const INFO: u32 = 7;

/// Which part of which graph a shard is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardId {
    /// Its number, from 0.
    pub number: u32,
    /// How many shards the graph has.
    pub shards: u32,
    /// The nodes whose rows it holds.
    pub nodes: Range<NodeId>,
    /// Nodes of the whole graph.
    pub graph_nodes: u64,
    /// Edges of the whole graph.
    pub graph_edges: u64,
    /// Digest of the whole graph.
    pub graph_digest: u128,
}

impl ShardId {
    fn to_numbers(&self) -> [u64; 8] {
        let [low, high] = halves(self.graph_digest);
        let Range { start, end } = self.nodes;
        let (number, shards) = (self.number.into(), self.shards.into());
        [number, shards, start.into(), end.into(), self.graph_nodes, self.graph_edges, low, high]
    }

    fn from_numbers(numbers: &[u64]) -> Option<ShardId> {
        let &[number, shards, first, end, graph_nodes, graph_edges, low, high] = numbers else { return None };
        let id = ShardId {
            number: u32::try_from(number).ok()?,
            shards: u32::try_from(shards).ok()?,
            nodes: NodeId::try_from(first).ok()?..NodeId::try_from(end).ok()?,
            graph_nodes,
            graph_edges,
            graph_digest: join([low, high]),
        };
        let inside = first <= end && end <= graph_nodes && graph_nodes <= MAX_NODES && number < shards;
        inside.then_some(id)
    }
}

/// An open shard of a graph.
#[derive(Debug, Clone)]
pub struct ShardFile {
    id: ShardId,
    rows: Graph,
    digest: u128,
}

impl ShardFile {
    /// Writes a shard: row 0 of `rows` is that of its first node. Returns the digest of the file.
    ///
    /// # Errors
    /// When the disk refuses.
    ///
    /// # Panics
    /// When there is not one row a node, or the graph is weighted and has no sampling table yet.
    pub fn write(path: &Path, id: &ShardId, rows: &Graph) -> Result<u128> {
        assert_eq!(rows.nodes(), id.nodes.len(), "one row a node");
        let sections = rows.stored_sections();
        let mut writer = SectionWriter::create(path, FileKind::Shard, sections.len() + 1)?;
        for (id, width, bytes) in sections {
            writer.begin(id, width)?;
            writer.append(bytes)?;
        }
        writer.section(INFO, &id.to_numbers())?;
        writer.finish()
    }

    /// Maps a shard. Cost: constant.
    ///
    /// # Errors
    /// When the file is not a whole shard of this version.
    pub fn open(path: &Path) -> Result<ShardFile> {
        let file = SectionedFile::open(path, FileKind::Shard)?;
        file.verify_section(INFO)?;
        let id = ShardId::from_numbers(&file.section::<u64>(INFO)?);
        let id = id.ok_or_else(|| Error::damaged(path, "its head makes no sense"))?;
        let rows = Graph::from_sections(&file)?;
        if rows.nodes() != id.nodes.len() {
            return Err(Error::damaged(path, format!("it has {} rows, expected {}", rows.nodes(), id.nodes.len())));
        }
        Ok(ShardFile { id, rows, digest: file.digest() })
    }

    /// Which part of which graph it is.
    #[must_use]
    pub fn id(&self) -> &ShardId {
        &self.id
    }

    /// The rows: row `v` is that of node `first + v`; targets are nodes of the whole graph.
    #[must_use]
    pub fn rows(&self) -> &Graph {
        &self.rows
    }

    /// The digest of the file.
    #[must_use]
    pub fn digest(&self) -> u128 {
        self.digest
    }

    /// Checks that every row lies inside the edges and every target is a node of the whole graph. Cost: one pass.
    ///
    /// # Errors
    /// When anything points outside: the file is damaged.
    pub fn check(&self) -> Result<()> {
        self.rows.check_part(self.id.graph_nodes)
    }

    /// Reads what walks read of the shard and compares it with the checksums, as
    /// [`Graph::verify_walk_rows`] does.
    ///
    /// # Errors
    /// When any byte is not the one that was written.
    pub fn verify_walk_rows(&self) -> Result<()> {
        self.rows.verify_walk_sections(&SectionedFile::open(self.rows.path(), FileKind::Shard)?)
    }

    /// Reads what answers read of the shard and compares it with the checksums, as [`Graph::verify_rows`] does.
    ///
    /// # Errors
    /// When any byte is not the one that was written.
    pub fn verify_rows(&self) -> Result<()> {
        self.rows.verify_row_sections(&SectionedFile::open(self.rows.path(), FileKind::Shard)?)
    }

    /// Reads every byte of a shard and compares it with the checksums, then checks the rows.
    ///
    /// # Errors
    /// When any byte is not the one that was written.
    pub fn verify(path: &Path) -> Result<()> {
        SectionedFile::open(path, FileKind::Shard)?.verify()?;
        ShardFile::open(path)?.check()
    }
}
