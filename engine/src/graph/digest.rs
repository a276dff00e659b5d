//! The digest of a graph: of what its rows say, not of the file they lie in.
//!
//! Each row is hashed with its node's number, and the hashes of all rows are added up. A sum does not ask in which order or
//! where its terms were found: shards add up their own rows, and their sums together are the digest of the whole graph.

use xxhash_rust::xxh3::{Xxh3, xxh3_128_with_seed};
use zerocopy::IntoBytes;

use super::rows::{Row, RowWeights};
use crate::ids::NodeId;

/// The sum over some rows of a graph.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RowsDigest {
    sum: u128,
    nodes: u64,
    edges: u64,
    /// Bytes of a weight as it is stored: 0 without weights.
    weight_bytes: u64,
    /// A row's bytes, one after the other, so that they are hashed at once.
    row: Vec<u8>,
}

impl RowsDigest {
    /// Takes a row. Cost: its bytes are copied and hashed, some ten nanoseconds for a short one.
    pub fn add(&mut self, node: NodeId, row: &Row<'_>) {
        let (weights, width) = match row.weights {
            RowWeights::Equal => (&[][..], 0),
            RowWeights::Single(weights) => (weights.as_bytes(), 4),
            RowWeights::Double(weights) => (weights.as_bytes(), 8),
        };
        self.row.clear();
        self.row.extend_from_slice(row.targets.as_bytes());
        self.row.extend_from_slice(weights);
        self.sum = self.sum.wrapping_add(xxh3_128_with_seed(&self.row, node.into()));
        self.nodes += 1;
        self.edges += row.targets.len() as u64;
        self.weight_bytes = width;
    }

    /// Takes the rows that were added up elsewhere.
    pub fn merge(&mut self, other: &RowsDigest) {
        self.sum = self.sum.wrapping_add(other.sum);
        self.nodes += other.nodes;
        self.edges += other.edges;
        self.weight_bytes = self.weight_bytes.max(other.weight_bytes);
    }

    /// The digest, once every row was taken.
    #[must_use]
    pub fn finish(&self) -> u128 {
        let mut hasher = Xxh3::new();
        hasher.update(&self.sum.to_le_bytes());
        [self.nodes, self.edges, self.weight_bytes].iter().for_each(|number| hasher.update(&number.to_le_bytes()));
        hasher.digest128()
    }

    /// The sum as numbers that another process can be sent: see [`RowsDigest::from_numbers`].
    #[must_use]
    pub fn to_numbers(&self) -> [u64; 5] {
        let [low, high] = halves(self.sum);
        [low, high, self.nodes, self.edges, self.weight_bytes]
    }

    /// What [`RowsDigest::to_numbers`] gave.
    #[must_use]
    pub fn from_numbers([low, high, nodes, edges, weight_bytes]: [u64; 5]) -> RowsDigest {
        RowsDigest { sum: join([low, high]), nodes, edges, weight_bytes, row: Vec::new() }
    }
}

/// A digest as it is stored, low half first.
#[expect(clippy::cast_possible_truncation, reason = "digests are stored as two halves")]
pub(crate) fn halves(digest: u128) -> [u64; 2] {
    [digest as u64, (digest >> 64) as u64]
}

/// A digest from its halves.
pub(crate) fn join([low, high]: [u64; 2]) -> u128 {
    u128::from(low) | u128::from(high) << 64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edges::EdgeList;
    use crate::graph::{Graph, NodeOrder, build};

    fn graph(edges: &[(u32, u32, f64)], weighted: bool) -> Graph {
        build(EdgeList::numbered(6, edges, weighted), NodeOrder::Id).unwrap().graph
    }

    fn sum(graph: &Graph, nodes: impl Iterator<Item = u32>) -> RowsDigest {
        let mut digest = RowsDigest::default();
        nodes.for_each(|node| digest.add(node, &graph.row(node).unwrap()));
        digest
    }

    const EDGES: [(u32, u32, f64); 4] = [(0, 1, 1.0), (0, 4, 2.0), (3, 0, 0.5), (5, 5, 1.0)];

    #[test]
    fn parts_add_up_in_any_order() {
        for weighted in [false, true] {
            let graph = graph(&EDGES, weighted);
            let whole = sum(&graph, 0..6);
            let mut parts = sum(&graph, [4, 5].into_iter());
            parts.merge(&RowsDigest::default());
            parts.merge(&RowsDigest::from_numbers(sum(&graph, (0..4).rev()).to_numbers()));
            assert_eq!(parts.finish(), whole.finish());
        }
    }

    #[test]
    fn every_change_shows() {
        let variants = [
            graph(&EDGES, true),
            graph(&EDGES, false),
            graph(&[(0, 1, 1.0), (0, 4, 2.0), (3, 0, 0.25), (5, 5, 1.0)], true),
            graph(&[(0, 1, 1.0), (0, 4, 2.0), (2, 0, 0.5), (5, 5, 1.0)], true),
            graph(&[(0, 1, 2.0), (0, 4, 1.0), (3, 0, 0.5), (5, 5, 1.0)], true),
            graph(&EDGES[..3], true),
            graph(&[(0, 1, 1.0), (0, 4, 2.0), (3, 0, 0.1), (5, 5, 1.0)], true),
            build(EdgeList::numbered(7, &EDGES, true), NodeOrder::Id).unwrap().graph,
        ];
        let digests: std::collections::BTreeSet<u128> =
            variants.iter().map(|graph| sum(graph, 0..u32::try_from(graph.nodes()).unwrap()).finish()).collect();
        assert_eq!(digests.len(), variants.len());
    }
}
