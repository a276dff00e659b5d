//! The fingerprints that answers read, whether they are those of the graph or of what it was before some rows changed.

use super::changes::ChangedRows;
use crate::error::Result;
use crate::fingerprint::Fingerprint;
use crate::graph::Graph;
use crate::ids::NodeId;
use crate::index::Index;
use crate::plan::Plan;
use crate::prefetch::prefetch;

/// How many bytes of a fingerprint are asked for in advance: the processor goes on by itself.
const AHEAD_BYTES: usize = 256;

/// An index, and what has changed in its graph since.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stored<'a> {
    index: &'a Index,
    changes: Option<&'a ChangedRows>,
}

impl<'a> Stored<'a> {
    pub(super) fn new(index: &'a Index, changes: Option<&'a ChangedRows>) -> Stored<'a> {
        Stored { index, changes }
    }

    /// The changed rows, if there are any.
    pub(super) fn changes(self) -> Option<&'a ChangedRows> {
        self.changes
    }

    /// The plan of all fingerprints.
    pub(super) fn plan(self) -> &'a Plan {
        self.index.plan()
    }

    /// Whether a node has a fingerprint.
    #[inline]
    pub(super) fn has(self, source: NodeId) -> bool {
        self.changes.is_none_or(|changes| (source as usize) < changes.base_nodes())
    }

    /// The fingerprint of a node that has one.
    ///
    /// # Errors
    /// When it is damaged.
    ///
    /// # Panics
    /// When it has none.
    pub(super) fn fingerprint(self, source: NodeId) -> Result<Fingerprint<'a>> {
        self.index.fingerprint(source)
    }

    /// The error that a fingerprint which cannot be unpacked deserves.
    pub(super) fn damaged(self, source: NodeId) -> crate::error::Error {
        self.index.damaged(source)
    }

    /// Whether a node is to be pushed rather than looked up.
    #[inline]
    pub(super) fn is_renewed(self, source: NodeId) -> bool {
        self.changes.is_some_and(|changes| changes.is_renewed(source))
    }

    /// How many walks the fingerprint of a node has.
    #[inline]
    pub(super) fn walks(self, graph: &Graph, source: NodeId) -> u32 {
        self.plan().walks_of(self.degree(graph, source))
    }

    /// The visits that the fingerprint of a node has, by expectation.
    #[inline]
    pub(super) fn visits(self, graph: &Graph, source: NodeId) -> f64 {
        self.plan().visits_of(self.degree(graph, source))
    }

    /// The out-degree that a node had when it was walked from.
    #[inline]
    fn degree(self, graph: &Graph, source: NodeId) -> u64 {
        let before = self.changes.and_then(|changes| changes.base_degree(source));
        before.unwrap_or_else(|| graph.degree(source))
    }

    /// Asks for where the bytes of a fingerprint begin.
    pub(super) fn ask_for_offset(self, source: NodeId) {
        prefetch(std::slice::from_ref(self.index.segment(source).offset(source)), 0);
    }

    /// Asks for the bytes of a fingerprint.
    pub(super) fn ask_for_bytes(self, source: NodeId) {
        if let Some(packed) = self.index.segment(source).packed(source) {
            (0..packed.len().min(AHEAD_BYTES)).step_by(64).for_each(|at| prefetch(packed, at));
        }
    }
}
