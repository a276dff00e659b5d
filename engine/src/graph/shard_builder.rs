//! From the edges that leave a range of nodes to their rows, as [`build`](super::build()) makes all rows at once.
//!
//! Nodes are numbered as their ids are sorted. Whether a graph has weights, and how they are stored, depends on all of its
//! edges: between the steps, whoever builds the shards asks all of them and tells each the answer.

use std::ops::Range;

use super::builder::{BuildReport, Rows};
use super::order::NodeOrder;
use super::rows::{Graph, are_single};
use crate::error::Result;
use crate::ids::NodeId;
use crate::kinds::KindSets;

/// The rows of a range of nodes under construction.
pub struct ShardBuilder {
    first: NodeId,
    rows: Rows,
    input_edges: u64,
    zero_weight_edges: u64,
}

impl ShardBuilder {
    /// Groups and sorts the edges that leave `nodes`. Sources count from the first of these nodes, targets are nodes of the
    /// graph; edges come in input order. Those of weight zero are left out.
    ///
    /// Cost: a counting sort over the edges. Memory: four bytes an edge more than the edges (twelve with weights).
    ///
    /// # Panics
    /// When a source is none of the nodes, or lengths differ.
    #[must_use]
    pub fn new(
        nodes: &Range<NodeId>,
        sources: Vec<u32>,
        targets: Vec<NodeId>,
        weights: Option<Vec<f64>>,
    ) -> ShardBuilder {
        let input_edges = sources.len() as u64;
        let mut rows = Rows::grouped(nodes.len(), sources, targets, weights, None);
        let zero_weight_edges = rows.drop_zero_weights();
        rows.sort_each();
        ShardBuilder { first: nodes.start, rows, input_edges, zero_weight_edges }
    }

    /// Whether there are parallel edges. If so in any shard, all are to [`ShardBuilder::add_up_parallel`].
    #[must_use]
    pub fn has_parallel(&self) -> bool {
        self.rows.has_parallel()
    }

    /// Adds up parallel edges. The graph is weighted after that.
    ///
    /// # Errors
    /// When weights add up to infinity.
    pub fn add_up_parallel(&mut self) -> Result<()> {
        self.rows.add_up_parallel(&mut KindSets::of_single(0))
    }

    /// Whether every weight is exactly an f32.
    #[must_use]
    pub fn has_single_weights(&self) -> bool {
        self.rows.weights.as_ref().is_none_or(|weights| are_single(weights))
    }

    /// The rows, row `v` being that of the range's node `v`, and what was found. `single` says whether every weight of all
    /// shards is exactly an f32.
    ///
    /// # Errors
    /// When the weights of a row add up to infinity, or to next to nothing.
    pub fn finish(self, single: bool) -> Result<(Graph, BuildReport)> {
        let report = self.rows.report(self.first, self.input_edges, self.zero_weight_edges, NodeOrder::Id);
        let Rows { offsets, targets, weights, .. } = self.rows;
        Ok((Graph::from_rows_of(offsets, targets, weights, single)?, report))
    }
}

impl std::fmt::Debug for ShardBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ShardBuilder").field("first", &self.first).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::edges::EdgeList;
    use crate::graph::{RowsDigest, ShardFile, ShardId, build};

    /// Builds shards of an edge list over nodes that are their own numbers.
    fn shards(
        nodes: u32,
        edges: &[(u32, u32, f64)],
        weighted: bool,
        cuts: &[u32],
    ) -> Vec<(Range<u32>, Graph, BuildReport)> {
        let bounds: Vec<u32> = std::iter::once(0).chain(cuts.iter().copied()).chain([nodes]).collect();
        let mut builders: Vec<(Range<u32>, ShardBuilder)> = bounds
            .windows(2)
            .map(|pair| {
                let range = pair[0]..pair[1];
                let own = || edges.iter().filter(|edge| range.contains(&edge.0));
                let (sources, targets) =
                    (own().map(|edge| edge.0 - range.start).collect(), own().map(|edge| edge.1).collect());
                let weights = weighted.then(|| own().map(|edge| edge.2).collect());
                (range.clone(), ShardBuilder::new(&range, sources, targets, weights))
            })
            .collect();
        if builders.iter().any(|(_, builder)| builder.has_parallel()) {
            builders.iter_mut().for_each(|(_, builder)| builder.add_up_parallel().unwrap());
        }
        let single = builders.iter().all(|(_, builder)| builder.has_single_weights());
        let finish = |(range, builder): (Range<u32>, ShardBuilder)| {
            let (graph, report) = builder.finish(single).unwrap();
            (range, graph, report)
        };
        builders.into_iter().map(finish).collect()
    }

    proptest! {
        #[test]
        fn shards_are_pieces_of_the_whole_graph(
            edges in prop::collection::vec((0u32..12, 0u32..12, prop::sample::select(vec![0.0, 1.0, 2.5, 0.1])), 0..40),
            weighted: bool,
            mut cuts in prop::collection::vec(0u32..=12, 0..4),
        ) {
            cuts.sort_unstable();
            let whole = build(EdgeList::numbered(12, &edges, weighted), NodeOrder::Id).unwrap();
            let shards = shards(12, &edges, weighted, &cuts);
            let mut digest = RowsDigest::default();
            let mut report: Option<BuildReport> = None;
            let directory = tempfile::tempdir().unwrap();
            let count = u32::try_from(shards.len()).unwrap();
            for (number, (nodes, rows, found)) in (0..).zip(&shards) {
                digest.merge(&rows.digest_of_rows(nodes.start).unwrap());
                match &mut report {
                    Some(report) => report.merge(found),
                    None => report = Some(found.clone()),
                }
                if whole.graph.is_weighted() {
                    continue; // written with sampling tables only, which are the walkers' business
                }
                let id = ShardId {
                    number, shards: count, nodes: nodes.clone(), graph_nodes: 12, graph_edges: 7, graph_digest: 1 << 100,
                };
                let path = directory.path().join("shard");
                let written = ShardFile::write(&path, &id, rows).unwrap();
                ShardFile::verify(&path).unwrap();
                let opened = ShardFile::open(&path).unwrap();
                prop_assert_eq!((opened.id(), opened.digest()), (&id, written));
                for node in nodes.clone() {
                    prop_assert_eq!(opened.rows().row(node - nodes.start).unwrap().targets, whole.graph.row(node).unwrap().targets);
                }
            }
            prop_assert_eq!(report.unwrap(), whole.report);
            prop_assert_eq!(digest.finish(), whole.graph.digest_of_rows(0).unwrap().finish());
        }
    }
}
