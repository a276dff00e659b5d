//! The graph itself: rows in memory or mapped, its file, and the checks that make a mapped row safe to read.

use std::ops::Range;
use std::path::{Path, PathBuf};

use zerocopy::IntoBytes;

use crate::error::{Error, Result};
use crate::file::{FileKind, Section, SectionWriter, SectionedFile};
use crate::ids::NodeId;

use super::digest::{RowsDigest, halves, join};
use super::walk_rows::{AliasSlot, Steps, WalkRows};

pub(super) const OFFSETS: u32 = 1;
const TARGETS: u32 = 2;
const WEIGHTS: u32 = 3;
const TOTALS: u32 = 4;
const ALIASES: u32 = 5;
pub(super) const DIGEST: u32 = 6;

/// A graph whose rows can be read.
#[derive(Debug, Clone)]
pub struct Graph {
    path: PathBuf,
    offsets: Section<u64>,
    targets: Section<NodeId>,
    weights: Weights,
    aliases: Option<Section<AliasSlot>>,
    digest: u128,
}

#[derive(Debug, Clone)]
pub(super) enum Weights {
    Equal,
    Single(Section<f32>, Section<f64>),
    Double(Section<f64>, Section<f64>),
}

/// One node's out-edges.
#[derive(Debug, Clone, Copy)]
pub struct Row<'g> {
    /// Targets, ascending.
    pub targets: &'g [NodeId],
    /// Weights, one a target.
    pub weights: RowWeights<'g>,
    /// The sum of the weights (the out-degree in an unweighted graph); 0 for a dangling node.
    pub total: f64,
}

/// The weights of one row.
#[derive(Debug, Clone, Copy)]
pub enum RowWeights<'g> {
    /// All 1: the graph is unweighted.
    Equal,
    /// Stored as f32, because every weight of the graph is exactly one.
    Single(&'g [f32]),
    /// Stored as f64.
    Double(&'g [f64]),
}

impl Row<'_> {
    /// The out-degree.
    #[must_use]
    pub fn degree(&self) -> usize {
        self.targets.len()
    }

    /// The weight of the edge at a position of the row.
    ///
    /// # Panics
    /// When `position` is not below the out-degree.
    #[must_use]
    pub fn weight(&self, position: usize) -> f64 {
        match self.weights {
            RowWeights::Equal => 1.0,
            RowWeights::Single(weights) => f64::from(weights[position]),
            RowWeights::Double(weights) => weights[position],
        }
    }

    /// Calls `visit` with each target and `mass` times its transition probability. Cost: one pass over the row.
    #[inline]
    pub fn spread(&self, mass: f64, mut visit: impl FnMut(NodeId, f64)) {
        let scale = mass / self.total;
        match self.weights {
            RowWeights::Equal => self.targets.iter().for_each(|&target| visit(target, scale)),
            RowWeights::Single(weights) => {
                self.targets
                    .iter()
                    .zip(weights)
                    .for_each(|(&target, &weight)| visit(target, scale * f64::from(weight)));
            }
            RowWeights::Double(weights) => {
                self.targets.iter().zip(weights).for_each(|(&target, &weight)| visit(target, scale * weight));
            }
        }
    }
}

impl Graph {
    /// A graph from finished rows. `offsets` has one entry more than there are nodes; `weights`, when present, has one
    /// entry an edge, all above zero. Rows ascend by target.
    ///
    /// # Errors
    /// When the weights of a row add up to infinity, or to next to nothing.
    ///
    /// # Panics
    /// When the lengths do not fit.
    pub(super) fn from_rows(offsets: Vec<u64>, targets: Vec<NodeId>, weights: Option<Vec<f64>>) -> Result<Graph> {
        let single = weights.as_ref().is_some_and(|weights| are_single(weights));
        Graph::from_rows_of(offsets, targets, weights, single)
    }

    /// [`Graph::from_rows`] of a part of a graph: `single` says whether every weight of the whole graph is exactly an f32.
    pub(super) fn from_rows_of(
        offsets: Vec<u64>,
        targets: Vec<NodeId>,
        weights: Option<Vec<f64>>,
        single: bool,
    ) -> Result<Graph> {
        assert_eq!(offsets.last().copied(), Some(targets.len() as u64), "offsets end at the number of edges");
        let weights = match weights {
            None => Weights::Equal,
            Some(weights) => {
                assert_eq!(weights.len(), targets.len(), "one weight an edge");
                let totals = row_totals(&offsets, &weights)?;
                if single { narrow(&weights, totals) } else { Weights::Double(weights.into(), totals.into()) }
            }
        };
        let path = PathBuf::from("(memory)");
        Ok(Graph { path, offsets: offsets.into(), targets: targets.into(), weights, aliases: None, digest: 0 })
    }

    /// A graph of finished parts: see [`Graph::from_rows`].
    pub(super) fn of_parts(path: PathBuf, offsets: Section<u64>, targets: Section<NodeId>, weights: Weights) -> Graph {
        Graph { path, offsets, targets, weights, aliases: None, digest: 0 }
    }

    pub(super) fn weights(&self) -> &Weights {
        &self.weights
    }

    /// Adds the sampling table: one alias slot an edge.
    ///
    /// # Panics
    /// When there is not one slot an edge.
    #[must_use]
    pub fn with_aliases(mut self, slots: Vec<AliasSlot>) -> Graph {
        assert_eq!(slots.len(), self.targets.len(), "one alias slot an edge");
        self.aliases = Some(slots.into());
        self
    }

    /// Writes the graph file. Returns the graph's digest: see [`RowsDigest`]. Cost: rows are read twice, once to be hashed.
    ///
    /// # Errors
    /// When the disk refuses.
    ///
    /// # Panics
    /// When the graph is weighted and has no sampling table yet.
    pub fn write(&self, path: &Path) -> Result<u128> {
        let digest = self.digest_of_rows(0)?.finish();
        let sections = self.stored_sections();
        let mut writer = SectionWriter::create(path, FileKind::Graph, sections.len() + 1)?;
        for (id, width, bytes) in sections {
            writer.begin(id, width)?;
            writer.append(bytes)?;
        }
        writer.section(DIGEST, &halves(digest))?;
        writer.finish()?;
        Ok(digest)
    }

    /// The sections of the rows in a file: each one's id, the bytes of an element, and all its bytes.
    pub(super) fn stored_sections(&self) -> Vec<(u32, u32, &[u8])> {
        let mut sections = vec![(OFFSETS, 8, self.offsets.as_bytes()), (TARGETS, 4, self.targets.as_bytes())];
        let (weights, width, totals) = match &self.weights {
            Weights::Equal => return sections,
            Weights::Single(weights, totals) => (weights.as_bytes(), 4, totals),
            Weights::Double(weights, totals) => (weights.as_bytes(), 8, totals),
        };
        let aliases = self.aliases.as_ref().expect("a weighted graph is written with its sampling table");
        sections.extend([(WEIGHTS, width, weights), (TOTALS, 8, totals.as_bytes()), (ALIASES, 16, aliases.as_bytes())]);
        sections
    }

    /// The rows added up for a digest; the first of them is that of node `first`. Cost: one pass over the rows.
    ///
    /// # Errors
    /// When a row is damaged.
    pub fn digest_of_rows(&self, first: NodeId) -> Result<RowsDigest> {
        let mut digest = RowsDigest::default();
        let rows = NodeId::try_from(self.nodes()).map_err(|_| Error::damaged(&self.path, "it has too many nodes"))?;
        for at in 0..rows {
            digest.add(first.saturating_add(at), &self.row(at)?);
        }
        Ok(digest)
    }

    /// Maps a graph file. Cost: constant.
    ///
    /// # Errors
    /// When the file is not a whole graph file of this version.
    pub fn open(path: &Path) -> Result<Graph> {
        let file = SectionedFile::open(path, FileKind::Graph)?;
        let mut graph = Graph::from_sections(&file)?;
        graph.digest = stored_digest(&file)?;
        Ok(graph)
    }

    /// Takes the rows out of a file that has [`Graph::stored_sections`].
    pub(super) fn from_sections(file: &SectionedFile) -> Result<Graph> {
        let path = file.path();
        let offsets: Section<u64> = file.section(OFFSETS)?;
        let targets: Section<NodeId> = file.section(TARGETS)?;
        let nodes = offsets.len().checked_sub(1).ok_or_else(|| Error::damaged(path, "it has no row offsets"))?;
        if offsets.last().copied() != Some(targets.len() as u64) || offsets.first().copied() != Some(0) {
            return Err(Error::damaged(path, "row offsets do not span the edges"));
        }
        let expect = |what: &str, got: usize, expected: usize| {
            if got == expected {
                Ok(())
            } else {
                Err(Error::damaged(path, format!("{got} {what}, expected {expected}")))
            }
        };
        let (mut weights, mut aliases) = (Weights::Equal, None);
        if file.has(WEIGHTS) {
            let totals: Section<f64> = file.section(TOTALS)?;
            expect("row sums", totals.len(), nodes)?;
            weights = match file.section::<f32>(WEIGHTS) {
                Ok(single) => Weights::Single(single, totals),
                Err(_) => Weights::Double(file.section(WEIGHTS)?, totals),
            };
            let count = match &weights {
                Weights::Equal => targets.len(),
                Weights::Single(weights, _) => weights.len(),
                Weights::Double(weights, _) => weights.len(),
            };
            expect("weights", count, targets.len())?;
            let slots: Section<AliasSlot> = file.section(ALIASES)?;
            expect("alias slots", slots.len(), targets.len())?;
            aliases = Some(slots);
        }
        Ok(Graph { path: path.to_owned(), offsets, targets, weights, aliases, digest: 0 })
    }

    /// What walks read of the graph. Cost: constant; the sections stay mapped.
    ///
    /// # Panics
    /// When the graph is weighted and has no sampling table yet.
    #[must_use]
    pub fn walk_rows(&self) -> WalkRows {
        let steps = if self.is_weighted() {
            Steps::Alias(self.aliases.clone().expect("a weighted graph is walked by its sampling table"))
        } else {
            Steps::Plain(self.targets.clone())
        };
        WalkRows::new(&self.path, self.offsets.clone(), steps)
    }

    /// Where steps lead, row after row: targets, or alias slots of a weighted graph. `None` when that has none yet.
    #[must_use]
    pub fn steps(&self) -> Option<Steps<&[NodeId], &[AliasSlot]>> {
        match (&self.aliases, self.is_weighted()) {
            (_, false) => Some(Steps::Plain(&self.targets)),
            (Some(slots), true) => Some(Steps::Alias(slots)),
            (None, true) => None,
        }
    }

    /// How many nodes there are.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.offsets.len() - 1
    }

    /// How many edges there are.
    #[must_use]
    pub fn edges(&self) -> usize {
        self.targets.len()
    }

    /// True when edges have weights other than "all 1".
    #[must_use]
    pub fn is_weighted(&self) -> bool {
        !matches!(self.weights, Weights::Equal)
    }

    /// The digest of the graph: see [`RowsDigest`]; 0 for a graph that was never written.
    #[must_use]
    pub fn digest(&self) -> u128 {
        self.digest
    }

    /// Where the graph was read from.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Row offsets, one more than there are nodes. Of a mapped graph they are not yet checked.
    #[must_use]
    pub fn offsets(&self) -> &[u64] {
        &self.offsets
    }

    /// All targets, row after row. Of a mapped graph they are not yet checked.
    #[must_use]
    pub fn targets(&self) -> &[NodeId] {
        &self.targets
    }

    /// A node's out-degree, or 0 where the offsets are damaged.
    ///
    /// # Panics
    /// When `node` is not below [`Graph::nodes`].
    #[must_use]
    pub fn degree(&self, node: NodeId) -> u64 {
        let at = node as usize;
        self.offsets[at + 1].saturating_sub(self.offsets[at])
    }

    /// A node's out-edges. Cost: constant. Targets are not checked against the number of nodes.
    ///
    /// # Errors
    /// When the row does not lie inside the edges: the file is damaged.
    ///
    /// # Panics
    /// When `node` is not below [`Graph::nodes`].
    #[inline]
    pub fn row(&self, node: NodeId) -> Result<Row<'_>> {
        let (at, range) = (node as usize, self.row_range(node)?);
        let targets = &self.targets[range.clone()];
        Ok(match &self.weights {
            Weights::Equal => Row { targets, weights: RowWeights::Equal, total: targets.len() as f64 },
            Weights::Single(weights, totals) => {
                Row { targets, weights: RowWeights::Single(&weights[range]), total: totals[at] }
            }
            Weights::Double(weights, totals) => {
                Row { targets, weights: RowWeights::Double(&weights[range]), total: totals[at] }
            }
        })
    }

    /// Where a node's out-edges lie among all.
    #[inline]
    pub(super) fn row_range(&self, node: NodeId) -> Result<Range<usize>> {
        let at = node as usize;
        let (start, end) = (self.offsets[at], self.offsets[at + 1]);
        if end < start || (self.targets.len() as u64) < end {
            return Err(self.damaged_row(node));
        }
        #[expect(clippy::cast_possible_truncation, reason = "both are at most the length of a slice")]
        Ok(start as usize..end as usize)
    }

    /// Gives back the pages of a mapped graph, after a pass over its rows: they no longer count as this process's memory, and
    /// are read again when they are touched again.
    pub fn release(&self) {
        self.offsets.release();
        self.targets.release();
        match &self.weights {
            Weights::Equal => {}
            Weights::Single(weights, totals) => {
                weights.release();
                totals.release();
            }
            Weights::Double(weights, totals) => {
                weights.release();
                totals.release();
            }
        }
        if let Some(slots) = &self.aliases {
            slots.release();
        }
    }

    /// Reads row offsets and targets once and checks that every row lies inside the edges and every target is a node.
    /// Cost: one pass, memory speed.
    ///
    /// # Errors
    /// When anything points outside: the file is damaged.
    pub fn check(&self) -> Result<()> {
        self.check_part(self.nodes() as u64)
    }

    /// [`Graph::check`] of rows of a graph that has so many nodes.
    pub(super) fn check_part(&self, nodes: u64) -> Result<()> {
        WalkRows::new(&self.path, self.offsets.clone(), Steps::Plain(self.targets.clone())).check(nodes)?;
        if self.aliases.is_some() { self.walk_rows().check(nodes) } else { Ok(()) }
    }

    /// Reads what walks read of a graph file and compares it with the checksums: row offsets, and the sampling table or
    /// the targets. What is built from a graph should know that it is the graph it says it is.
    ///
    /// # Errors
    /// When any byte is not the one that was written.
    pub fn verify_walk_rows(&self) -> Result<()> {
        self.verify_walk_sections(&SectionedFile::open(&self.path, FileKind::Graph)?)
    }

    /// [`Graph::verify_walk_rows`] of the sections of any file.
    pub(super) fn verify_walk_sections(&self, file: &SectionedFile) -> Result<()> {
        file.verify_section(OFFSETS)?;
        file.verify_section(TARGETS)?;
        if self.is_weighted() { file.verify_section(ALIASES) } else { Ok(()) }
    }

    /// Reads what answers read of a graph file and compares it with the checksums: row offsets, targets and weights.
    ///
    /// # Errors
    /// When any byte is not the one that was written.
    pub fn verify_rows(&self) -> Result<()> {
        self.verify_row_sections(&SectionedFile::open(&self.path, FileKind::Graph)?)
    }

    /// [`Graph::verify_rows`] of the sections of any file.
    pub(super) fn verify_row_sections(&self, file: &SectionedFile) -> Result<()> {
        file.verify_section(OFFSETS)?;
        file.verify_section(TARGETS)?;
        if self.is_weighted() {
            file.verify_section(WEIGHTS).and_then(|()| file.verify_section(TOTALS))
        } else {
            Ok(())
        }
    }

    /// Reads every byte of the graph file and compares it with the checksums, then checks the rows and adds them up for the
    /// digest.
    ///
    /// # Errors
    /// When any byte is not the one that was written.
    pub fn verify(path: &Path) -> Result<()> {
        let file = SectionedFile::open(path, FileKind::Graph)?;
        file.verify()?;
        let graph = Graph::open(path)?;
        graph.check()?;
        if file.has(DIGEST) && graph.digest_of_rows(0)?.finish() != graph.digest {
            return Err(Error::damaged(path, "its rows are not those that its digest was made of"));
        }
        Ok(())
    }

    pub(crate) fn damaged_row(&self, node: NodeId) -> Error {
        Error::damaged(&self.path, format!("row {node} does not lie inside the graph"))
    }
}

fn row_totals(offsets: &[u64], weights: &[f64]) -> Result<Vec<f64>> {
    let mut totals = Vec::with_capacity(offsets.len() - 1);
    for pair in offsets.windows(2) {
        #[expect(clippy::cast_possible_truncation, reason = "offsets index a vector")]
        totals.push(row_total(weights[pair[0] as usize..pair[1] as usize].iter().copied())?);
    }
    Ok(totals)
}

/// The sum of a row's weights.
pub(super) fn row_total(weights: impl Iterator<Item = f64>) -> Result<f64> {
    let total: f64 = weights.sum();
    if !total.is_finite() {
        let what = "the weights of one node's edges add up to infinity; scale them down".to_owned();
        return Err(Error::Graph { what });
    }
    if 0.0 < total && total < f64::MIN_POSITIVE {
        let what = "the weights of one node's edges are too small to be divided; scale them up".to_owned();
        return Err(Error::Graph { what });
    }
    Ok(total)
}

/// The digest that a graph file holds. Files that were written before digests were sums of rows have the file's own.
fn stored_digest(file: &SectionedFile) -> Result<u128> {
    if !file.has(DIGEST) {
        return Ok(file.digest());
    }
    file.verify_section(DIGEST)?;
    match file.section::<u64>(DIGEST)?[..] {
        [low, high] => Ok(join([low, high])),
        _ => Err(Error::damaged(file.path(), "its digest has not two halves")),
    }
}

/// Whether f32 holds every weight exactly.
pub(super) fn are_single(weights: &[f64]) -> bool {
    #[expect(clippy::cast_possible_truncation, reason = "compared with the original right here")]
    weights.iter().all(|&weight| f64::from(weight as f32) == weight)
}

/// Weights that are all exactly f32, as such.
fn narrow(weights: &[f64], totals: Vec<f64>) -> Weights {
    #[expect(clippy::cast_possible_truncation, reason = "only for weights that f32 holds exactly")]
    let single: Vec<f32> = weights.iter().map(|&weight| weight as f32).collect();
    Weights::Single(single.into(), totals.into())
}
