//! From what the walks of a few sources visited to packed fingerprints, source by source.

use walkprint_engine::fingerprint::{Visits, encode};
use walkprint_engine::ids::NodeId;
use walkprint_engine::plan::{MAX_WALKS, Plan};

use crate::kernel::{Kernel, Visited, Walkable};

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
        let mut packed = Packed::default();
        let steps = self.kernel.steps();
        let mut sources = Vec::new();
        let mut next = first;
        while next < end {
            sources.clear();
            let mut walks = 0;
            while next < end && (sources.is_empty() || walks < WALKS_TOGETHER) {
                walks += u64::from(plan.walks_of(graph.degree(next)));
                sources.push(next);
                next += 1;
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
        sort(&mut self.visited, &mut self.scratch, self.kernel.key_bound());
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

/// Sorts by key with a radix sort, lowest digit first. Keys are below `bound`. `scratch` is room of the same size.
///
/// Cost: a few passes over the list, each in the cache; a third of what a comparison sort takes at these lengths.
#[expect(clippy::cast_possible_truncation, reason = "a digit is masked to a few bits")]
fn sort(visited: &mut Vec<Visited>, scratch: &mut Vec<Visited>, bound: u64) {
    const MOST_BITS: u32 = 9;
    let bits = u64::BITS - bound.saturating_sub(1).leading_zeros();
    let passes = bits.div_ceil(MOST_BITS).max(1);
    let width = bits.div_ceil(passes);
    let mask = (1u64 << width) - 1;
    scratch.clear();
    scratch.resize(visited.len(), Visited { key: 0, units: 0 });
    for pass in 0..passes {
        let shift = pass * width;
        let mut places = [0u32; 1 << MOST_BITS];
        for item in &*visited {
            places[(item.key >> shift & mask) as usize] += 1;
        }
        let mut next = 0;
        for place in &mut places {
            next += std::mem::replace(place, next);
        }
        for item in &*visited {
            let place = &mut places[(item.key >> shift & mask) as usize];
            scratch[*place as usize] = *item;
            *place += 1;
        }
        std::mem::swap(visited, scratch);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_radix_sort_sorts(mut keys in prop::collection::vec(any::<u64>(), 0..300), bits in 1u32..60) {
            let bound = 1u64 << bits;
            keys.iter_mut().for_each(|key| *key %= bound);
            let mut visited: Vec<Visited> = keys.iter().map(|&key| Visited { key, units: 1 }).collect();
            sort(&mut visited, &mut Vec::new(), bound);
            keys.sort_unstable();
            prop_assert_eq!(visited.iter().map(|item| item.key).collect::<Vec<_>>(), keys);
        }
    }
}
