//! Fingerprints of an index that are as good for the graph as it is now: those whose walks came to no node that changed.
//!
//! A draw depends on its coordinates alone (key, source, step, node), and where it leads on the row of the node, or on its
//! big moves, alone. So a source that visited no node of which these are others than before walks as it did before, and its
//! fingerprint would be the same to the last byte. Every walk visits its source first: a source whose own row changed is
//! among those that are walked again. That edges have weights where they had none changes no walk: slots that are full send
//! what plain targets send.
//!
//! **An index that takes fingerprints from another is byte for byte one that takes none.** (Test: `tests/tests/repair.rs`.)
//! A fingerprint that is damaged is not taken, but walked.

use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;
use walkprint_engine::fingerprint::Fingerprint;
use walkprint_engine::graph::Graph;
use walkprint_engine::ids::NodeId;
use walkprint_engine::index::Index;
use walkprint_engine::plan::Plan;
use walkprint_walkers::kernel::Walkable;
use walkprint_walkers::paths::PathRows;
use walkprint_walkers::tally::{Packed, Walker};

use crate::error::Result;

/// A set of nodes, of which any may be asked for at once.
#[derive(Debug, Clone)]
pub(crate) struct Marks(Vec<u64>);

impl Marks {
    /// None of so many nodes.
    pub(crate) fn none(nodes: usize) -> Marks {
        Marks(vec![0; nodes.div_ceil(64)])
    }

    pub(crate) fn insert(&mut self, node: NodeId) {
        self.0[node as usize / 64] |= 1 << (node % 64);
    }

    /// Whether a node is in the set; true for what is no node.
    #[inline]
    pub(crate) fn has(&self, node: NodeId) -> bool {
        self.0.get(node as usize / 64).is_none_or(|word| word >> (node % 64) & 1 == 1)
    }

    pub(crate) fn len(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }
}

/// An index of the graph as it was before some rows changed, and which of its sources are to be walked again.
#[derive(Debug)]
pub(crate) struct Reuse {
    index: Index,
    touched: Marks,
    /// The big moves of the graph as it is now.
    pub(super) paths: Option<Arc<PathRows>>,
    sources: usize,
}

impl Reuse {
    /// Finds the sources that are touched by a change of the rows of some nodes. Cost: all fingerprints are read once, by all
    /// threads; a plan with big moves has those of both graphs made.
    ///
    /// # Errors
    /// When a graph is damaged.
    pub(crate) fn new(
        index: Index,
        before: &Graph,
        graph: &Graph,
        changed: impl Iterator<Item = NodeId>,
    ) -> Result<Reuse> {
        let mut marks = Marks::none(graph.nodes());
        changed.for_each(|node| marks.insert(node));
        let paths = super::big_moves(graph, index.plan())?.map(Arc::new);
        if let (Some(paths), Some(old)) = (&paths, super::big_moves(before, index.plan())?) {
            let nodes = (0..NodeId::MAX).take(before.nodes());
            nodes.filter(|&node| paths.differ(&old, node)).for_each(|node| marks.insert(node));
        }
        let touched = touched(&index, &marks, before.nodes(), graph.nodes());
        Ok(Reuse { index, touched, paths, sources: graph.nodes() })
    }

    /// How many sources are walked again.
    pub(crate) fn touched(&self) -> u64 {
        self.touched.len()
    }

    /// Whether so few are that it does not pay to make the graph ready for fast walks.
    pub(super) fn is_light(&self) -> bool {
        self.touched() < self.sources as u64 / 8
    }

    /// The fingerprints of some sources: walked, or as they are.
    pub(super) fn fingerprints(
        &self,
        walker: &mut Walker,
        graph: Walkable<'_>,
        plan: &Plan,
        sources: Range<NodeId>,
    ) -> Packed {
        // One that is damaged, which was found before, is walked.
        let take = |source: NodeId| (!self.touched.has(source)).then(|| self.index.packed(source).ok()).flatten();
        let taken: Vec<Option<&[u8]>> = sources.clone().map(take).collect();
        let open = sources.zip(&taken).filter(|(_, taken)| taken.is_none()).map(|(source, _)| source);
        let walked = walker.fingerprints_of(graph, plan, open);
        let mut packed = Packed { steps: walked.steps, entries: walked.entries, ..Packed::default() };
        packed.ends.reserve_exact(taken.len());
        packed.bytes.reserve_exact(walked.bytes.len() + taken.iter().flatten().map(|bytes| bytes.len()).sum::<usize>());
        let (mut start, mut ends) = (0, walked.ends.iter());
        for bytes in taken {
            match bytes {
                Some(bytes) => {
                    packed.bytes.extend_from_slice(bytes);
                    packed.entries += Fingerprint::decode(bytes).map_or(0, |own| u64::from(own.entries));
                }
                None => {
                    let end = *ends.next().expect("every source that is not taken is walked") as usize;
                    packed.bytes.extend_from_slice(&walked.bytes[start..end]);
                    start = end;
                }
            }
            let end = u32::try_from(packed.bytes.len()).expect("callers walk a stretch of a pipeline at a time");
            packed.ends.push(end);
        }
        packed
    }
}

/// The sources that visited a marked node, those that are new, and those whose fingerprints cannot be read.
fn touched(index: &Index, marks: &Marks, before: usize, nodes: usize) -> Marks {
    let is_touched = |source: NodeId| {
        before <= source as usize
            || index
                .packed(source)
                .ok()
                .and_then(Fingerprint::decode)
                .and_then(|fingerprint| fingerprint.visits_any(|node| marks.has(node)))
                .unwrap_or(true)
    };
    let words = (0..nodes.div_ceil(64)).into_par_iter().map(|word| {
        let first = NodeId::try_from(word * 64).expect("nodes are numbered in 32 bits");
        let sources = (0..64).filter(|bit| ((first + bit) as usize) < nodes);
        sources.filter(|bit| is_touched(first + bit)).fold(0u64, |bits, bit| bits | 1 << bit)
    });
    Marks(words.collect())
}
