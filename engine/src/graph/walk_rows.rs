//! What walks read of a graph: row offsets, and for each edge either its target or its alias slot.
//!
//! Apart from the [`Graph`](super::Graph) so that a build can hold a copy in huge pages and let go of the mapped file.

use std::path::{Path, PathBuf};

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::error::{Error, Result};
use crate::file::Section;
use crate::ids::NodeId;

/// One slot of a row's alias table (Walker 1977; Vose 1991).
///
/// A uniform point falls into one of the row's equally wide slots; the part of the slot below `share` goes to `target`,
/// the rest to `alias`. Both are nodes, so that a draw touches one slot and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct AliasSlot {
    /// The share of the slot that is `target`'s, in [0, 1].
    pub share: f64,
    /// Where the lower part of the slot leads.
    pub target: NodeId,
    /// Where the upper part leads.
    pub alias: NodeId,
}

/// What walks read of a graph and nothing else: row offsets, and targets or the sampling table.
#[derive(Debug, Clone)]
pub struct WalkRows {
    path: PathBuf,
    offsets: Section<u64>,
    steps: Steps<Section<NodeId>, Section<AliasSlot>>,
}

/// Where a step leads: plain targets in an unweighted graph, alias slots in a weighted one.
#[derive(Debug, Clone, Copy)]
pub enum Steps<P, A> {
    /// One target an edge, all equally likely.
    Plain(P),
    /// One alias slot an edge.
    Alias(A),
}

impl WalkRows {
    pub(super) fn new(
        path: &Path,
        offsets: Section<u64>,
        steps: Steps<Section<NodeId>, Section<AliasSlot>>,
    ) -> WalkRows {
        WalkRows { path: path.to_owned(), offsets, steps }
    }

    /// Row offsets, one more than there are nodes.
    #[must_use]
    pub fn offsets(&self) -> &[u64] {
        &self.offsets
    }

    /// Targets or alias slots of all rows.
    #[must_use]
    pub fn steps(&self) -> Steps<&[NodeId], &[AliasSlot]> {
        match &self.steps {
            Steps::Plain(targets) => Steps::Plain(targets),
            Steps::Alias(slots) => Steps::Alias(slots),
        }
    }

    /// The bytes that walks read.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let steps = match self.steps() {
            Steps::Plain(targets) => size_of_val(targets),
            Steps::Alias(slots) => size_of_val(slots),
        };
        (size_of_val(self.offsets()) + steps) as u64
    }

    /// A copy in huge pages that holds nothing of the mapped file. Cost: [`WalkRows::bytes`] are copied and held.
    ///
    /// # Errors
    /// When there is no memory.
    pub fn in_huge_pages(&self) -> Result<WalkRows> {
        let no_memory = || Error::io(&self.path, "copy the graph into memory");
        let steps = match &self.steps {
            Steps::Plain(targets) => Steps::Plain(targets.in_huge_pages().map_err(no_memory())?),
            Steps::Alias(slots) => Steps::Alias(slots.in_huge_pages().map_err(no_memory())?),
        };
        let offsets = self.offsets.in_huge_pages().map_err(no_memory())?;
        Ok(WalkRows { path: self.path.clone(), offsets, steps })
    }

    /// Checks that every row lies inside the edges, every step leads to a node and every share is one, so that a reader
    /// need not check again. Cost: one pass, memory speed.
    ///
    /// # Errors
    /// When anything points outside: the file is damaged.
    pub fn checked(self) -> Result<CheckedRows> {
        self.check(self.offsets.len() as u64 - 1)?;
        Ok(CheckedRows(self))
    }

    /// Checks rows of a graph that has so many nodes.
    pub(super) fn check(&self, nodes: u64) -> Result<()> {
        let (mut at, mut before) = (0, 0);
        for &offset in self.offsets.pieces().flatten() {
            if offset < before {
                let what = format!("row {} does not lie inside the graph", at - 1);
                return Err(Error::damaged(&self.path, what));
            }
            (at, before) = (at + 1, offset);
        }
        let inside = |target: NodeId| u64::from(target) < nodes;
        // Outside [0, 1] a share would send more than there is, and walks might never end.
        let whole = |slot: &AliasSlot| inside(slot.target) && inside(slot.alias) && (0.0..=1.0).contains(&slot.share);
        let (edges, all_inside) = match &self.steps {
            Steps::Plain(targets) => {
                (targets.len(), targets.pieces().all(|piece| piece.iter().all(|&target| inside(target))))
            }
            Steps::Alias(slots) => (slots.len(), slots.pieces().all(|piece| piece.iter().all(whole))),
        };
        if !all_inside || before != edges as u64 {
            return Err(Error::damaged(&self.path, "an edge leads to no node, or a share of it is none"));
        }
        Ok(())
    }
}

/// Rows that were found whole.
#[derive(Debug, Clone)]
pub struct CheckedRows(WalkRows);

impl CheckedRows {
    /// The rows.
    #[must_use]
    pub fn rows(&self) -> &WalkRows {
        &self.0
    }
}
