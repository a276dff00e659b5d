//! From a list of edges to rows: group by source, add up parallel edges, number the nodes, group again.
//!
//! Memory: the edge list, plus eight bytes an edge (sixteen more with weights, one to four more with types) while rows are
//! sorted.

use serde::{Deserialize, Serialize};

use super::order::NodeOrder;
use super::rows::Graph;
use crate::edges::EdgeList;
use crate::error::{Error, Result};
use crate::ids::{ExternalIds, MAX_NODES, NodeId, StringTable};
use crate::kinds::{Codes, KindList, KindLists, KindSets, KindTables};

/// What was found while the graph was built.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BuildReport {
    /// Nodes, isolated ones included.
    pub nodes: u64,
    /// Edges after parallel ones were added up.
    pub edges: u64,
    /// Input edges that were added to another one.
    pub parallel_edges_merged: u64,
    /// Edges of weight zero that were left out.
    pub zero_weight_edges: u64,
    /// Edges from a node to itself.
    pub self_loops: u64,
    /// Nodes without an out-edge.
    pub dangling_nodes: u64,
    /// True when edges have weights.
    pub weighted: bool,
    /// The smallest and largest weight after adding up; `None` without edges.
    pub weight_range: Option<(f64, f64)>,
    /// The largest out-degree.
    pub largest_degree: u64,
    /// How nodes are numbered.
    pub order: String,
}

impl BuildReport {
    /// Takes what was found in other rows of the same graph.
    pub fn merge(&mut self, other: &BuildReport) {
        self.nodes += other.nodes;
        self.edges += other.edges;
        self.parallel_edges_merged += other.parallel_edges_merged;
        self.zero_weight_edges += other.zero_weight_edges;
        self.self_loops += other.self_loops;
        self.dangling_nodes += other.dangling_nodes;
        self.weighted |= other.weighted;
        self.weight_range = match (self.weight_range, other.weight_range) {
            (Some((low, high)), Some((also_low, also_high))) => Some((low.min(also_low), high.max(also_high))),
            (range, also) => range.or(also),
        };
        self.largest_degree = self.largest_degree.max(other.largest_degree);
    }
}

/// A graph, its ids, and which rank each node has.
#[derive(Debug, Clone)]
pub struct BuiltGraph {
    /// The rows. A weighted graph has no sampling table yet.
    pub graph: Graph,
    /// The external ids by rank.
    pub ids: ExternalIds,
    /// The rank of each node.
    pub rank_of_node: Vec<u32>,
    /// The types of nodes and edges. The graph and its digest do not depend on them.
    pub kinds: KindTables,
    /// What was found.
    pub report: BuildReport,
}

/// Builds a graph. Parallel edges add up in input order, edges of weight zero are left out (their nodes stay). When
/// no weight column was read but parallel edges were merged, their number is the weight. An edge that stands for several
/// has the types of all of them.
///
/// Cost: two counting sorts over the edges and the node order. The result depends on the edge list and the order only.
///
/// # Errors
/// When there are more nodes than [`MAX_NODES`], or weights add up to infinity.
pub fn build(edges: EdgeList, order: NodeOrder) -> Result<BuiltGraph> {
    let nodes = edges.ids.len();
    if MAX_NODES < nodes as u64 {
        return Err(Error::Graph { what: format!("{nodes} nodes, at most {MAX_NODES} are possible") });
    }
    let input_edges = edges.len() as u64;
    let EdgeList { ids, sources, targets, weights, kinds } = edges;
    let (edge_names, codes) = match kinds.edges {
        Some(KindList { names, codes }) => (Some(names), Some(codes)),
        None => (None, None),
    };
    let mut sets = match &edge_names {
        Some(names) => KindSets::of_names(names)?,
        None => KindSets::of_single(0),
    };
    let mut rows = Rows::grouped(nodes, sources, targets, weights, codes);
    let zero_weight_edges = rows.drop_zero_weights();
    rows.sort_each();
    if rows.has_parallel() {
        rows.add_up_parallel(&mut sets)?;
    }
    let rank_of_node = order.ranks(&rows.offsets, &rows.targets);
    if order != NodeOrder::Id {
        rows = rows.renumbered(&rank_of_node);
        rows.sort_each();
    }
    let report = rows.report(0, input_edges, zero_weight_edges, order);
    let kinds = KindTables {
        nodes: kinds.nodes.map(|list| in_node_order(list, &rank_of_node)),
        edges: edge_kinds(edge_names, sets, rows.kinds),
    };
    let graph = Graph::from_rows(rows.offsets, rows.targets, rows.weights)?;
    Ok(BuiltGraph { graph, ids, rank_of_node, kinds, report })
}

impl Graph {
    /// A graph in memory, without a file: nodes are numbered as their ids are sorted, so that its labels are
    /// [`Labels::in_order`](crate::labels::Labels::in_order). What [`build`] does to edges is done to these; and what a loader
    /// promises of them is checked, because these may come from anywhere.
    ///
    /// Exact answers need no more; a weighted graph has no sampling table, and a graph that was never written no digest.
    ///
    /// ```
    /// use walkprint_engine::edges::EdgeList;
    /// use walkprint_engine::graph::Graph;
    /// use walkprint_engine::ids::ExternalIds;
    /// use walkprint_engine::kinds::KindLists;
    /// use walkprint_engine::labels::Labels;
    /// use walkprint_engine::query::{Answerer, Question, Seeds};
    ///
    /// let ids = ExternalIds::Integers(vec![10, 20, 30]);
    /// let labels = Labels::in_order(&ids)?;
    /// let (sources, targets) = (vec![0, 0, 1], vec![1, 2, 0]);
    /// let graph = Graph::in_memory(EdgeList { ids, sources, targets, weights: None, kinds: KindLists::default() })?;
    /// let mut answerer = Answerer::new(&graph, &labels, None, 0.15)?;
    /// let seeds = Seeds::resolve(&labels, &[("20".to_owned(), 1.0)])?;
    /// let answer = answerer.answer(&Question::new(seeds))?;
    /// assert_eq!(answer.results.iter().map(|result| &result.id).collect::<Vec<_>>(), ["20", "10", "30"]);
    /// # Ok::<(), walkprint_engine::error::Error>(())
    /// ```
    ///
    /// # Errors
    /// When columns differ in length, an edge leads to or from no node, a weight is negative, infinite or no number, there are
    /// too many nodes, or weights add up to infinity.
    pub fn in_memory(edges: EdgeList) -> Result<Graph> {
        check_edges(&edges)?;
        Ok(build(EdgeList { kinds: KindLists::default(), ..edges }, NodeOrder::Id)?.graph)
    }
}

/// Checks what [`EdgeList`] promises of its edges.
fn check_edges(edges: &EdgeList) -> Result<()> {
    let refuse = |what: String| Err(Error::Graph { what });
    let (count, nodes) = (edges.sources.len(), edges.ids.len());
    let weights = edges.weights.as_deref().unwrap_or_default();
    if edges.targets.len() != count || edges.weights.as_ref().is_some_and(|weights| weights.len() != count) {
        return refuse(format!("{count} sources, {} targets and {} weights", edges.targets.len(), weights.len()));
    }
    if let Some(rank) = edges.sources.iter().chain(&edges.targets).find(|&&rank| nodes <= rank as usize) {
        return refuse(format!("an edge has node {rank}, but there are {nodes} ids"));
    }
    match weights.iter().find(|weight| !(0.0 <= **weight && weight.is_finite())) {
        Some(weight) => refuse(format!("an edge has weight {weight}; expected a finite number that is not negative")),
        None => Ok(()),
    }
}

/// The types of edges that have been added up, if edges have types.
pub(super) fn edge_kinds(
    names: Option<StringTable>,
    sets: KindSets,
    codes: Option<Codes>,
) -> Option<(StringTable, KindSets, Codes)> {
    let (names, codes) = names.zip(codes)?;
    let (sets, codes) = sets.in_order(codes);
    Some((names, sets, codes))
}

/// Codes by rank become codes by node.
fn in_node_order(KindList { names, codes }: KindList, rank_of_node: &[u32]) -> KindList {
    let mut ordered = Codes::with_capacity(rank_of_node.len(), u32::try_from(names.len()).unwrap_or(u32::MAX));
    rank_of_node.iter().for_each(|&rank| ordered.push(codes.get(rank as usize)));
    KindList { names, codes: ordered }
}

/// Rows under construction.
pub(super) struct Rows {
    pub(super) offsets: Vec<u64>,
    pub(super) targets: Vec<NodeId>,
    pub(super) weights: Option<Vec<f64>>,
    /// The set of types of each edge.
    pub(super) kinds: Option<Codes>,
}

#[expect(clippy::cast_possible_truncation, reason = "offsets index vectors, node numbers are below MAX_NODES")]
impl Rows {
    /// Groups edges by source, keeping the input order within a row.
    pub(super) fn grouped(
        nodes: usize,
        sources: Vec<u32>,
        targets: Vec<u32>,
        weights: Option<Vec<f64>>,
        kinds: Option<Codes>,
    ) -> Rows {
        let offsets = offsets_of(nodes, sources.iter().copied());
        let mut next = offsets.clone();
        let mut grouped = vec![0; targets.len()];
        let mut grouped_weights = weights.as_ref().map(|weights| vec![0.0; weights.len()]);
        let mut grouped_kinds = kinds.as_ref().map(|kinds| Codes::zeros(kinds.len()));
        for (edge, &source) in sources.iter().enumerate() {
            let place = next[source as usize] as usize;
            next[source as usize] += 1;
            grouped[place] = targets[edge];
            if let (Some(to), Some(from)) = (&mut grouped_weights, &weights) {
                to[place] = from[edge];
            }
            if let (Some(to), Some(from)) = (&mut grouped_kinds, &kinds) {
                to.set(place, from.get(edge));
            }
        }
        Rows { offsets, targets: grouped, weights: grouped_weights, kinds: grouped_kinds }
    }

    pub(super) fn drop_zero_weights(&mut self) -> u64 {
        let Some(weights) = &mut self.weights else { return 0 };
        let before = weights.len();
        let mut kept = 0;
        for row in 0..self.offsets.len() - 1 {
            let (start, end) = (self.offsets[row] as usize, self.offsets[row + 1] as usize);
            self.offsets[row] = kept as u64;
            for edge in start..end {
                if weights[edge] != 0.0 {
                    weights[kept] = weights[edge];
                    self.targets[kept] = self.targets[edge];
                    if let Some(kinds) = &mut self.kinds {
                        kinds.set(kept, kinds.get(edge));
                    }
                    kept += 1;
                }
            }
        }
        *self.offsets.last_mut().expect("there is always a last offset") = kept as u64;
        weights.truncate(kept);
        self.targets.truncate(kept);
        self.kinds.iter_mut().for_each(|kinds| kinds.truncate(kept));
        (before - kept) as u64
    }

    /// Sorts each row by target; equal targets keep their order.
    pub(super) fn sort_each(&mut self) {
        if self.kinds.is_some() {
            return self.sort_each_with_kinds();
        }
        let mut pairs: Vec<(NodeId, f64)> = Vec::new();
        for pair in self.offsets.windows(2) {
            let range = pair[0] as usize..pair[1] as usize;
            let targets = &mut self.targets[range.clone()];
            let Some(weights) = &mut self.weights else {
                targets.sort_unstable();
                continue;
            };
            let weights = &mut weights[range];
            pairs.clear();
            pairs.extend(targets.iter().copied().zip(weights.iter().copied()));
            pairs.sort_by_key(|&(target, _)| target);
            for (at, &(target, weight)) in pairs.iter().enumerate() {
                targets[at] = target;
                weights[at] = weight;
            }
        }
    }

    fn sort_each_with_kinds(&mut self) {
        let Some(kinds) = &mut self.kinds else { return };
        let mut edges: Vec<(NodeId, f64, u32)> = Vec::new();
        for pair in self.offsets.windows(2) {
            let (start, end) = (pair[0] as usize, pair[1] as usize);
            edges.clear();
            edges.extend((start..end).map(|edge| {
                (self.targets[edge], self.weights.as_ref().map_or(1.0, |weights| weights[edge]), kinds.get(edge))
            }));
            edges.sort_by_key(|&(target, ..)| target);
            for (edge, &(target, weight, kind)) in (start..end).zip(&edges) {
                self.targets[edge] = target;
                self.weights.iter_mut().for_each(|weights| weights[edge] = weight);
                kinds.set(edge, kind);
            }
        }
    }

    /// Whether a sorted row has two edges to one target.
    pub(super) fn has_parallel(&self) -> bool {
        self.offsets
            .windows(2)
            .any(|pair| self.targets[pair[0] as usize..pair[1] as usize].windows(2).any(|two| two[0] == two[1]))
    }

    /// Adds up neighbouring equal targets. An unweighted graph becomes weighted.
    pub(super) fn add_up_parallel(&mut self, sets: &mut KindSets) -> Result<()> {
        let mut weights = self.weights.take().unwrap_or_else(|| vec![1.0; self.targets.len()]);
        let mut kept = 0;
        for row in 0..self.offsets.len() - 1 {
            let (start, end) = (self.offsets[row] as usize, self.offsets[row + 1] as usize);
            let first = kept;
            self.offsets[row] = kept as u64;
            for edge in start..end {
                if first < kept && self.targets[kept - 1] == self.targets[edge] {
                    weights[kept - 1] += weights[edge];
                    if weights[kept - 1].is_infinite() {
                        let what = "the weights of parallel edges add up to infinity; scale them down".to_owned();
                        return Err(Error::Graph { what });
                    }
                    if let Some(kinds) = &mut self.kinds {
                        kinds.set(kept - 1, sets.union(kinds.get(kept - 1), kinds.get(edge)));
                    }
                } else {
                    self.targets[kept] = self.targets[edge];
                    weights[kept] = weights[edge];
                    if let Some(kinds) = &mut self.kinds {
                        kinds.set(kept, kinds.get(edge));
                    }
                    kept += 1;
                }
            }
        }
        *self.offsets.last_mut().expect("there is always a last offset") = kept as u64;
        self.targets.truncate(kept);
        weights.truncate(kept);
        self.weights = Some(weights);
        self.kinds.iter_mut().for_each(|kinds| kinds.truncate(kept));
        Ok(())
    }

    /// The same rows with rank `ranks[v]` as node `v`.
    fn renumbered(self, ranks: &[u32]) -> Rows {
        let mut node_of_rank = vec![0; ranks.len()];
        for (node, &rank) in ranks.iter().enumerate() {
            node_of_rank[rank as usize] = node as NodeId;
        }
        let mut offsets = Vec::with_capacity(self.offsets.len());
        let mut targets = Vec::with_capacity(self.targets.len());
        let mut weights = self.weights.as_ref().map(|weights| Vec::with_capacity(weights.len()));
        let mut kinds = self.kinds.as_ref().map(|_| Codes::default());
        offsets.push(0);
        for &rank in ranks {
            let range = self.offsets[rank as usize] as usize..self.offsets[rank as usize + 1] as usize;
            targets.extend(self.targets[range.clone()].iter().map(|&target| node_of_rank[target as usize]));
            if let (Some(to), Some(from)) = (&mut weights, &self.weights) {
                to.extend_from_slice(&from[range.clone()]);
            }
            if let (Some(to), Some(from)) = (&mut kinds, &self.kinds) {
                range.for_each(|edge| to.push(from.get(edge)));
            }
            offsets.push(targets.len() as u64);
        }
        Rows { offsets, targets, weights, kinds }
    }

    /// What was found in rows of which the first is that of node `first`.
    pub(super) fn report(
        &self,
        first: NodeId,
        input_edges: u64,
        zero_weight_edges: u64,
        order: NodeOrder,
    ) -> BuildReport {
        let edges = self.targets.len() as u64;
        let degrees = || self.offsets.windows(2).map(|pair| pair[1] - pair[0]);
        let self_loops = (0..self.offsets.len() - 1).filter(|&node| {
            let row = &self.targets[self.offsets[node] as usize..self.offsets[node + 1] as usize];
            row.binary_search(&(first + node as NodeId)).is_ok()
        });
        let range = |weights: &Vec<f64>| {
            weights.iter().fold((f64::INFINITY, 0.0f64), |(low, high), &weight| (low.min(weight), high.max(weight)))
        };
        BuildReport {
            nodes: self.offsets.len() as u64 - 1,
            edges,
            parallel_edges_merged: input_edges - zero_weight_edges - edges,
            zero_weight_edges,
            self_loops: self_loops.count() as u64,
            dangling_nodes: degrees().filter(|&degree| degree == 0).count() as u64,
            weighted: self.weights.is_some(),
            weight_range: (edges != 0).then(|| self.weights.as_ref().map_or((1.0, 1.0), range)),
            largest_degree: degrees().max().unwrap_or(0),
            order: order.to_string(),
        }
    }
}

fn offsets_of(nodes: usize, sources: impl Iterator<Item = u32>) -> Vec<u64> {
    let mut offsets = vec![0u64; nodes + 1];
    for source in sources {
        offsets[source as usize + 1] += 1;
    }
    for at in 1..offsets.len() {
        offsets[at] += offsets[at - 1];
    }
    offsets
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kinds::{KindFile, Kinds};

    #[test]
    fn parallel_edges_add_up_and_zero_weights_are_left_out() {
        let edges = [(0, 1, 1.0), (0, 1, 2.5), (0, 2, 0.0), (1, 1, 1.0), (2, 0, 0.0)];
        let built = build(EdgeList::numbered(4, &edges, true), NodeOrder::Id).unwrap();
        assert_eq!(built.report.edges, 2);
        assert_eq!(built.report.parallel_edges_merged, 1);
        assert_eq!(built.report.zero_weight_edges, 2);
        assert_eq!(built.report.self_loops, 1);
        assert_eq!(built.report.dangling_nodes, 2);
        let row = built.graph.row(0).unwrap();
        assert_eq!((row.targets, row.weight(0), row.total), (&[1][..], 3.5, 3.5));
    }

    #[test]
    fn unweighted_parallel_edges_become_weights() {
        let built =
            build(EdgeList::numbered(2, &[(0, 1, 1.0), (0, 0, 1.0), (0, 1, 1.0)], false), NodeOrder::Id).unwrap();
        assert!(built.graph.is_weighted());
        assert_eq!(built.graph.row(0).unwrap().weight(1), 2.0);
    }

    #[test]
    fn edges_from_anywhere_are_checked() {
        let sound = EdgeList::numbered(3, &[(0, 1, 1.0), (0, 1, 2.0), (1, 2, 0.0)], true);
        let graph = Graph::in_memory(sound.clone()).unwrap();
        assert_eq!((graph.nodes(), graph.edges(), graph.row(0).unwrap().weight(0)), (3, 1, 3.0));
        let broken = |change: &dyn Fn(&mut EdgeList)| {
            let mut edges = sound.clone();
            change(&mut edges);
            matches!(Graph::in_memory(edges), Err(Error::Graph { .. }))
        };
        assert!(!broken(&|_| ()));
        assert!(broken(&|edges| edges.sources[2] = 3));
        assert!(broken(&|edges| edges.targets[0] = u32::MAX));
        assert!(broken(&|edges| edges.targets.truncate(2)));
        assert!(broken(&|edges| edges.weights = Some(vec![1.0])));
        for weight in [-1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(broken(&|edges| edges.weights = Some(vec![1.0, weight, 1.0])));
        }
        assert!(broken(&|edges| edges.weights = Some(vec![f64::MAX, f64::MAX, 1.0])));
    }

    #[test]
    fn weights_that_add_up_to_infinity_are_refused() {
        let edges = [(0, 1, f64::MAX), (0, 1, f64::MAX)];
        assert!(matches!(build(EdgeList::numbered(2, &edges, true), NodeOrder::Id), Err(Error::Graph { .. })));
        let edges = [(0, 1, f64::MAX), (0, 0, f64::MAX)];
        assert!(matches!(build(EdgeList::numbered(2, &edges, true), NodeOrder::Id), Err(Error::Graph { .. })));
    }

    /// Types `a`, `b`, ... by code.
    fn kind_list(codes: impl Iterator<Item = u32>) -> KindList {
        let mut names = StringTable::default();
        ["a", "b", "c"].iter().for_each(|name| names.push(name));
        let mut list = KindList { names, codes: Codes::default() };
        codes.for_each(|code| list.codes.push(code));
        list
    }

    proptest! {
        /// Oracle: a map from (source rank, target rank) to the types of all edges between them. Goes through the file.
        #[test]
        fn types_stay_with_their_nodes_and_edges(
            edges in prop::collection::vec((0u32..9, 0u32..9, 0u8..3, 0u32..4), 0..60),
            of_nodes in prop::collection::vec(0u32..4, 9),
            weighted: bool,
        ) {
            let plain: Vec<(u32, u32, f64)> = edges.iter().map(|&(s, t, w, _)| (s, t, f64::from(w))).collect();
            let kind_names = ["a", "b", "c"];
            let mut expected = std::collections::BTreeMap::<_, std::collections::BTreeSet<&str>>::new();
            for &(source, target, weight, kind) in &edges {
                if !weighted || weight != 0 {
                    let kinds = expected.entry((source, target)).or_default();
                    kinds.extend(kind.checked_sub(1).map(|kind| kind_names[kind as usize]));
                }
            }
            let directory = tempfile::tempdir().unwrap();
            for order in [NodeOrder::Id, NodeOrder::Degree, NodeOrder::BreadthFirst] {
                let mut typed = EdgeList::numbered(9, &plain, weighted);
                typed.kinds.nodes = Some(kind_list(of_nodes.iter().copied()));
                typed.kinds.edges = Some(kind_list(edges.iter().map(|edge| edge.3)));
                let built = build(typed, order).unwrap();
                prop_assert_eq!(&build(EdgeList::numbered(9, &plain, weighted), order).unwrap().rank_of_node, &built.rank_of_node);
                let path = directory.path().join("types.wpt");
                let digest = built.kinds.write(&path).unwrap();
                KindFile::verify(&path).unwrap();
                let file = KindFile::open(&path).unwrap();
                prop_assert_eq!(file.digest(), digest);
                prop_assert!(file.fit(9, built.graph.edges() as u64));
                let kinds = Kinds::from(file);
                let mut position = 0;
                for node in 0..9 {
                    let rank = built.rank_of_node[node as usize];
                    let of_node = of_nodes[rank as usize].checked_sub(1).map(|kind| kind_names[kind as usize]);
                    prop_assert_eq!(kinds.node_kind(node), of_node);
                    for &target in built.graph.row(node).unwrap().targets {
                        let got: Vec<&str> = kinds.edge_kinds(position).collect();
                        let expected = &expected[&(rank, built.rank_of_node[target as usize])];
                        prop_assert!(got.iter().eq(expected), "{:?} {:?}", got, expected);
                        position += 1;
                    }
                }
                prop_assert_eq!(position, built.graph.edges());
                for (place, name) in kind_names.iter().enumerate() {
                    let count = of_nodes.iter().filter(|&&code| code as usize == place + 1).count();
                    let nodes = kinds.nodes_of(name).unwrap();
                    prop_assert_eq!(nodes.len(), count as u64);
                    prop_assert_eq!(kinds.count_nodes()[place].count, count as u64);
                    prop_assert!(nodes.iter().all(|node| kinds.node_kind(node) == Some(name)));
                    let edges = expected.values().filter(|kinds| kinds.contains(name)).count();
                    prop_assert_eq!(kinds.count_edges()[place].count, edges as u64);
                }
                let unknown = matches!(kinds.nodes_of("d"), Err(Error::UnknownType { .. }));
                prop_assert!(unknown);
            }
        }

        /// Oracle: a map from (source rank, target rank) to the sum of weights.
        #[test]
        fn every_order_holds_the_same_edges(
            edges in prop::collection::vec((0u32..12, 0u32..12, 0u8..4), 0..60),
            weighted: bool,
        ) {
            let edges: Vec<(u32, u32, f64)> = edges.iter().map(|&(s, t, w)| (s, t, f64::from(w))).collect();
            let mut expected = std::collections::BTreeMap::new();
            for &(source, target, weight) in &edges {
                let weight = if weighted { weight } else { 1.0 };
                if weight != 0.0 {
                    *expected.entry((source, target)).or_insert(0.0) += weight;
                }
            }
            for order in [NodeOrder::Id, NodeOrder::Degree, NodeOrder::BreadthFirst] {
                let built = build(EdgeList::numbered(12, &edges, weighted), order).unwrap();
                built.graph.check().unwrap();
                let mut got = std::collections::BTreeMap::new();
                for node in 0..12 {
                    let row = built.graph.row(node).unwrap();
                    prop_assert!(row.targets.is_sorted_by(|a, b| a < b));
                    for (at, &target) in row.targets.iter().enumerate() {
                        let ranks = (built.rank_of_node[node as usize], built.rank_of_node[target as usize]);
                        got.insert(ranks, row.weight(at));
                    }
                }
                prop_assert_eq!(&got, &expected);
            }
        }
    }
}
