//! From what the walks of a few sources visited to packed fingerprints, source by source.

use walkprint_engine::fingerprint::{Visits, encode};
use walkprint_engine::ids::NodeId;
use walkprint_engine::plan::{MAX_WALKS, Plan};

use crate::kernel::{Kernel, Visited, Walkable};
use crate::radix;

/// Walks that are on their way together: enough groups to hide the memory's latency, few enough to stay in the cache.
pub const WALKS_TOGETHER: u64 = 1024;

/// Packed fingerprints of consecutive sources.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Packed {
    /// The fingerprints, one after the other.
    pub bytes: Vec<u8>,
    /// Where each ends in `bytes`.
    pub ends: Vec<u32>,
    /// Entries of all of them.
    pub entries: u64,
    /// Moves that were made.
    pub steps: u64,
}

/// Walks sources and packs their fingerprints. Its memory is reused from call to call.
#[derive(Debug, Default)]
pub struct Walker {
    kernel: Kernel,
    visited: Vec<Visited>,
    scratch: Vec<Visited>,
    row: Vec<Visits>,
}

impl Walker {
    /// Walks all sources `first..end` and packs their fingerprints in order.
    ///
    /// The result depends on graph, plan and sources only. Memory: that of the kernel for about a thousand walks (or
    /// one source's, where that has more), plus the packed bytes.
    pub fn fingerprints(&mut self, graph: Walkable<'_>, plan: &Plan, first: NodeId, end: NodeId) -> Packed {
        self.fingerprints_of(graph, plan, first..end)
    }

    /// The same of any sources: those that walk together need not be neighbours.
    pub fn fingerprints_of(
        &mut self,
        graph: Walkable<'_>,
        plan: &Plan,
        sources: impl IntoIterator<Item = NodeId>,
    ) -> Packed {
        let mut packed = Packed::default();
        let steps = self.kernel.steps();
        let mut next = sources.into_iter().peekable();
        let mut sources = Vec::new();
        while next.peek().is_some() {
            sources.clear();
            let mut walks = 0;
            while let Some(source) = next.next_if(|_| sources.is_empty() || walks < WALKS_TOGETHER) {
                walks += u64::from(plan.walks_of(graph.degree(source)));
                sources.push(source);
            }
            self.visited.clear();
            self.kernel.walk(graph, plan, &sources, &mut self.visited);
            self.pack(graph, plan, &sources, &mut packed);
        }
        packed.steps = self.kernel.steps() - steps;
        packed
    }

    /// Bytes held between calls.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.kernel.bytes() + (self.visited.capacity() + self.scratch.capacity()) * size_of::<Visited>()
    }

    /// Sorts by source and node, and packs each source's entries.
    fn pack(&mut self, graph: Walkable<'_>, plan: &Plan, sources: &[NodeId], packed: &mut Packed) {
        let bits = u64::BITS - self.kernel.key_bound().saturating_sub(1).leading_zeros();
        radix::sort(&mut self.visited, &mut self.scratch, 0, bits, |visited| visited.key);
        let mut rest = &self.visited[..];
        for (lane, &source) in sources.iter().enumerate() {
            let count = rest.partition_point(|visited| self.kernel.lane_and_node(visited.key).0 <= lane);
            let (own, others) = rest.split_at(count);
            rest = others;
            self.row.clear();
            let kernel = &self.kernel;
            self.row
                .extend(own.iter().map(|item| Visits { node: kernel.lane_and_node(item.key).1, units: item.units }));
            encode(plan.walks_of(graph.degree(source)), &self.row, &mut packed.bytes);
            packed
                .ends
                .push(u32::try_from(packed.bytes.len()).expect("callers walk a stretch of a pipeline at a time"));
            packed.entries += count as u64;
        }
    }
}

/// The most that a [`Walker`] holds when its heaviest source has this many expected visits.
#[must_use]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a size in bytes")]
pub fn walker_bytes(heaviest_visits: f64, nodes: usize) -> u64 {
    // Some sources start together; random visits pass their expectation a little; nobody visits more than all nodes.
    let visits = (heaviest_visits.max(WALKS_TOGETHER as f64 / 0.15) * 1.1) as u64;
    let entries = visits.min(nodes as u64 + WALKS_TOGETHER * 16);
    // The table doubles when a third of it is in use, and the old one is there while the new one is filled.
    let cells = 16 * (entries * 3).next_power_of_two() * 3 / 2;
    // What lands in one step: a packet or more a walk, where a walk makes several visits.
    let landings = visits.min(2 * MAX_WALKS) * 8;
    cells + entries * 2 * size_of::<Visited>() as u64 + landings
}
