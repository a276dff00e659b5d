//! Which worker owns which node of a sharded graph.
//!
//! Nodes are owned by chunks of [`CHUNK`] consecutive ones, dealt out so that every worker's chunks cost about the same. A
//! node's place among those of its owner is its **local** number. Who owns what leaves no trace in any fingerprint.

use crate::ids::NodeId;

/// Consecutive nodes that are owned together: neighbours in the node order stay together, and a table of all chunks stays
/// in the cache.
pub const CHUNK: u32 = 256;

/// The owners of all nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owners {
    nodes: u32,
    /// Of each chunk: who owns it, and the local number of its first node.
    chunks: Vec<(u32, u32)>,
    /// Of each worker: its chunks, ascending.
    of_workers: Vec<Vec<u32>>,
}

impl Owners {
    /// Deals out chunks, the dearest first, each to the worker that has the least so far. `costs` has one entry a chunk.
    /// Cost: sorts the chunks.
    ///
    /// # Panics
    /// When there is not one cost a chunk, or no worker.
    #[must_use]
    pub fn deal(nodes: u32, costs: &[u64], workers: usize) -> Owners {
        assert_eq!(costs.len(), nodes.div_ceil(CHUNK) as usize, "one cost a chunk");
        let mut dearest_first: Vec<u32> = (0..nodes.div_ceil(CHUNK)).collect();
        dearest_first.sort_by_key(|&chunk| (std::cmp::Reverse(costs[chunk as usize]), chunk));
        let mut least: std::collections::BinaryHeap<std::cmp::Reverse<(u64, usize)>> =
            (0..workers).map(|worker| std::cmp::Reverse((0, worker))).collect();
        let mut of_workers = vec![Vec::new(); workers];
        for chunk in dearest_first {
            let std::cmp::Reverse((cost, worker)) = least.pop().expect("there is a worker");
            of_workers[worker].push(chunk);
            least.push(std::cmp::Reverse((cost.saturating_add(costs[chunk as usize]), worker)));
        }
        let mut chunks = vec![(0, 0); costs.len()];
        for (worker, own) in (0..).zip(&mut of_workers) {
            own.sort_unstable();
            for (place, &chunk) in (0..).zip(&*own) {
                chunks[chunk as usize] = (worker, place * CHUNK);
            }
        }
        Owners { nodes, chunks, of_workers }
    }

    /// How many nodes there are.
    #[must_use]
    pub fn nodes(&self) -> u32 {
        self.nodes
    }

    /// How many workers there are.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.of_workers.len()
    }

    /// Who owns a node, and the node's local number. Cost: one read.
    ///
    /// # Panics
    /// When it is no node.
    #[inline]
    #[must_use]
    pub fn find(&self, node: NodeId) -> (u32, u32) {
        let (owner, first) = self.chunks[(node / CHUNK) as usize];
        (owner, first + node % CHUNK)
    }

    /// Who owns a node.
    #[inline]
    #[must_use]
    pub fn owner(&self, node: NodeId) -> u32 {
        self.chunks[(node / CHUNK) as usize].0
    }

    /// The node with a local number.
    ///
    /// # Panics
    /// When the worker has no such node.
    #[inline]
    #[must_use]
    pub fn node(&self, worker: usize, local: u32) -> NodeId {
        self.of_workers[worker][(local / CHUNK) as usize] * CHUNK + local % CHUNK
    }

    /// How many local numbers a worker has: nodes it owns, but for the last chunk, which counts whole.
    #[must_use]
    pub fn locals(&self, worker: usize) -> u32 {
        u32::try_from(self.of_workers[worker].len()).expect("chunks are counted in 32 bits") * CHUNK
    }

    /// The nodes that a worker owns, as ascending ranges.
    pub fn ranges(&self, worker: usize) -> impl Iterator<Item = std::ops::Range<NodeId>> {
        let nodes = self.nodes;
        self.of_workers[worker]
            .iter()
            .map(move |&chunk| chunk * CHUNK..(chunk * CHUNK).saturating_add(CHUNK).min(nodes))
    }

    /// The nodes that a worker owns, ascending: local number by local number.
    pub fn nodes_of(&self, worker: usize) -> impl Iterator<Item = NodeId> {
        self.ranges(worker).flatten()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_node_has_one_owner(nodes in 1u32..5_000, workers in 1usize..7, key: u64) {
            let cost = |chunk: u64| 1 + (key ^ chunk).wrapping_mul(0x9e37_79b9_7f4a_7c15) % 100;
            let costs: Vec<u64> = (0..u64::from(nodes.div_ceil(CHUNK))).map(cost).collect();
            let owners = Owners::deal(nodes, &costs, workers);
            let mut seen = vec![0; nodes as usize];
            let mut of_workers = vec![0; workers];
            for (worker, cost) in of_workers.iter_mut().enumerate() {
                for (node, local) in owners.nodes_of(worker).zip(0u32..) {
                    prop_assert_eq!(owners.find(node), (u32::try_from(worker).unwrap(), local));
                    prop_assert_eq!(owners.node(worker, local), node);
                    prop_assert!(local < owners.locals(worker));
                    seen[node as usize] += 1;
                    *cost += if node % CHUNK == 0 { costs[(node / CHUNK) as usize] } else { 0 };
                }
            }
            prop_assert!(seen.iter().all(|&times| times == 1));
            let (most, least) = (of_workers.iter().max().unwrap(), of_workers.iter().min().unwrap());
            prop_assert!(most - least <= *costs.iter().max().unwrap());
        }
    }
}
