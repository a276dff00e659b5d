//! From the edges that leave a range of nodes to their rows, as [`build`](super::build()) makes all rows at once.
//!
//! Nodes are numbered as their ids are sorted. Whether a graph has weights, and how they are stored, depends on all of its
//! edges: between the steps, whoever builds the shards asks all of them and tells each the answer.

use std::ops::Range;

use super::builder::{BuildReport, Rows, edge_kinds};
use super::order::NodeOrder;
use super::rows::{Graph, are_single};
use crate::error::Result;
use crate::ids::{NodeId, StringTable};
use crate::kinds::{KindList, KindLists, KindSets, KindTables};

/// The rows of a range of nodes under construction.
pub struct ShardBuilder {
    first: NodeId,
    rows: Rows,
    node_kinds: Option<KindList>,
    /// The names of the types of edges, and the sets of them that came about.
    edge_names: Option<StringTable>,
    sets: KindSets,
    input_edges: u64,
    zero_weight_edges: u64,
}

/// The rows of a range of nodes, and their types.
#[derive(Debug)]
pub struct BuiltShard {
    /// The rows: row `v` is that of the range's node `v`. Weighted ones have no sampling table yet.
    pub graph: Graph,
    /// The types of the nodes and of the edges that leave them. Of edges it has those sets that occur here.
    pub kinds: KindTables,
    /// What was found.
    pub report: BuildReport,
}

impl ShardBuilder {
    /// Groups and sorts the edges that leave `nodes`. Sources count from the first of these nodes, targets are nodes of the
    /// graph; edges come in input order. Those of weight zero are left out. Names of types must be those of all shards.
    ///
    /// Cost: a counting sort over the edges. Memory: four bytes an edge more than the edges (twelve with weights, and one to
    /// four more with types).
    ///
    /// # Errors
    /// When there are more types of edges than 32 bits tell apart.
    ///
    /// # Panics
    /// When a source is none of the nodes, or lengths differ.
    pub fn new(
        nodes: &Range<NodeId>,
        sources: Vec<u32>,
        targets: Vec<NodeId>,
        weights: Option<Vec<f64>>,
        kinds: KindLists,
    ) -> Result<ShardBuilder> {
        let input_edges = sources.len() as u64;
        let KindLists { nodes: node_kinds, edges: edge_kinds } = kinds;
        assert!(node_kinds.as_ref().is_none_or(|kinds| kinds.codes.len() == nodes.len()), "one code a node");
        let (edge_names, codes) = edge_kinds.map(|KindList { names, codes }| (names, codes)).unzip();
        let sets = edge_names.as_ref().map_or_else(|| Ok(KindSets::of_single(0)), KindSets::of_names)?;
        let mut rows = Rows::grouped(nodes.len(), sources, targets, weights, codes);
        let zero_weight_edges = rows.drop_zero_weights();
        rows.sort_each();
        Ok(ShardBuilder { first: nodes.start, rows, node_kinds, edge_names, sets, input_edges, zero_weight_edges })
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
        self.rows.add_up_parallel(&mut self.sets)
    }

    /// Whether every weight is exactly an f32.
    #[must_use]
    pub fn has_single_weights(&self) -> bool {
        self.rows.weights.as_ref().is_none_or(|weights| are_single(weights))
    }

    /// The rows and their types. `single` says whether every weight of all shards is exactly an f32.
    ///
    /// # Errors
    /// When the weights of a row add up to infinity, or to next to nothing.
    pub fn finish(self, single: bool) -> Result<BuiltShard> {
        let report = self.rows.report(self.first, self.input_edges, self.zero_weight_edges, NodeOrder::Id);
        let Rows { offsets, targets, weights, kinds } = self.rows;
        let kinds = KindTables { nodes: self.node_kinds, edges: edge_kinds(self.edge_names, self.sets, kinds) };
        Ok(BuiltShard { graph: Graph::from_rows_of(offsets, targets, weights, single)?, kinds, report })
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
    use crate::kinds::{KindFile, Kinds};

    /// A source, a target, a weight, and the code of a type.
    type Edge = (u32, u32, f64, u32);

    /// Types `a`, `b`, ... by code.
    fn kinds(codes: impl Iterator<Item = u32>) -> KindList {
        let mut list = KindList::default();
        ["a", "b", "c", "d"].iter().for_each(|name| list.names.push(name));
        codes.for_each(|code| list.codes.push(code));
        list
    }

    fn kind_lists<'e>(of_nodes: &[u32], edges: impl Iterator<Item = &'e Edge>, typed: [bool; 2]) -> KindLists {
        KindLists {
            nodes: typed[0].then(|| kinds(of_nodes.iter().copied())),
            edges: typed[1].then(|| kinds(edges.map(|edge| edge.3))),
        }
    }

    /// Builds shards of an edge list over nodes that are their own numbers.
    fn shards(
        of_nodes: &[u32],
        edges: &[Edge],
        weighted: bool,
        typed: [bool; 2],
        cuts: &[u32],
    ) -> Vec<(Range<u32>, BuiltShard)> {
        let nodes = u32::try_from(of_nodes.len()).unwrap();
        let bounds: Vec<u32> = std::iter::once(0).chain(cuts.iter().copied()).chain([nodes]).collect();
        let mut builders: Vec<(Range<u32>, ShardBuilder)> = bounds
            .windows(2)
            .map(|pair| {
                let range = pair[0]..pair[1];
                let own = || edges.iter().filter(|edge| range.contains(&edge.0));
                let (sources, targets) =
                    (own().map(|edge| edge.0 - range.start).collect(), own().map(|edge| edge.1).collect());
                let weights = weighted.then(|| own().map(|edge| edge.2).collect());
                let kinds = kind_lists(&of_nodes[range.start as usize..range.end as usize], own(), typed);
                (range.clone(), ShardBuilder::new(&range, sources, targets, weights, kinds).unwrap())
            })
            .collect();
        if builders.iter().any(|(_, builder)| builder.has_parallel()) {
            builders.iter_mut().for_each(|(_, builder)| builder.add_up_parallel().unwrap());
        }
        let single = builders.iter().all(|(_, builder)| builder.has_single_weights());
        builders.into_iter().map(|(range, builder)| (range, builder.finish(single).unwrap())).collect()
    }

    proptest! {
        #[test]
        fn shards_are_pieces_of_the_whole_graph(
            edges in prop::collection::vec(
                (0u32..12, 0u32..12, prop::sample::select(vec![0.0, 1.0, 2.5, 0.1]), 0u32..5), 0..80),
            of_nodes in prop::collection::vec(0u32..5, 12),
            weighted: bool,
            typed: [bool; 2],
            mut cuts in prop::collection::vec(0u32..=12, 0..4),
        ) {
            cuts.sort_unstable();
            let plain: Vec<(u32, u32, f64)> = edges.iter().map(|&(source, target, weight, _)| (source, target, weight)).collect();
            let mut list = EdgeList::numbered(12, &plain, weighted);
            list.kinds = kind_lists(&of_nodes, edges.iter(), typed);
            let whole = build(list, NodeOrder::Id).unwrap();
            let shards = shards(&of_nodes, &edges, weighted, typed, &cuts);
            let mut digest = RowsDigest::default();
            let mut report: Option<BuildReport> = None;
            let directory = tempfile::tempdir().unwrap();
            let count = u32::try_from(shards.len()).unwrap();
            let (mut files, mut edges_before) = (Vec::new(), 0);
            for (number, (nodes, BuiltShard { graph: rows, kinds, report: found })) in (0..).zip(&shards) {
                digest.merge(&rows.digest_of_rows(nodes.start).unwrap());
                match &mut report {
                    Some(report) => report.merge(found),
                    None => report = Some(found.clone()),
                }
                let edges = edges_before..edges_before + rows.edges() as u64;
                edges_before = edges.end;
                if !kinds.is_empty() {
                    let path = directory.path().join(format!("types-{number}"));
                    let written = kinds.write(&path).unwrap();
                    KindFile::verify(&path).unwrap();
                    let file = KindFile::open(&path).unwrap();
                    prop_assert_eq!(file.digest(), written);
                    files.push((nodes.clone(), edges, file));
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
            prop_assert_eq!(files.is_empty(), whole.kinds.is_empty());
            if files.is_empty() {
                return Ok(());
            }
            // The types of shards, read one by one and put together, are those of the whole graph.
            let path = |name: &str| directory.path().join(name);
            let written = whole.kinds.write(&path("whole")).unwrap();
            let gathered: Vec<KindFile> = files.iter().map(|(_, _, file)| file.clone()).collect();
            prop_assert_eq!(Kinds::gather(&path("gathered"), &gathered).unwrap(), written);
            prop_assert!(std::fs::read(path("gathered")).unwrap() == std::fs::read(path("whole")).unwrap());
            let (of_shards, of_whole) = (Kinds::of_shards(files).unwrap(), Kinds::open(&path("whole")).unwrap());
            for node in 0..13 {
                prop_assert_eq!(of_shards.node_kind(node), of_whole.node_kind(node));
            }
            for place in 0..=whole.graph.edges() {
                prop_assert!(of_shards.edge_kinds(place).eq(of_whole.edge_kinds(place)));
            }
            prop_assert_eq!(of_shards.count_nodes(), of_whole.count_nodes());
            prop_assert_eq!(of_shards.count_edges(), of_whole.count_edges());
            for name in of_whole.node_kinds() {
                prop_assert_eq!(of_shards.nodes_of(name).unwrap(), of_whole.nodes_of(name).unwrap());
            }
        }
    }
}
