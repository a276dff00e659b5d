//! Graphs as plain lists of edges, and the two things they are turned into: the engine's edge list, and a dense matrix
//! of transition probabilities that owes nothing to the engine.

use walkprint_engine::edges::EdgeList;
use walkprint_engine::ids::{ExternalIds, StringTable};
use walkprint_engine::kinds::KindLists;

use crate::draws::Draws;

/// A graph as it might be read from a file: edges by rank of id, parallel ones apart, some perhaps of weight zero.
#[derive(Debug, Clone)]
pub struct PlainGraph {
    /// The ids, ascending.
    pub ids: ExternalIds,
    /// Source, target, weight. Without [`PlainGraph::weighted`] the weights are all 1.
    pub edges: Vec<(u32, u32, f64)>,
    /// Whether the edge list has weights.
    pub weighted: bool,
    /// Types of nodes and edges, if any.
    pub kinds: KindLists,
}

impl PlainGraph {
    /// An unweighted graph with nodes `0..nodes`.
    #[must_use]
    pub fn unweighted(nodes: u32, edges: &[(u32, u32)]) -> PlainGraph {
        let edges = edges.iter().map(|&(source, target)| (source, target, 1.0)).collect();
        PlainGraph { ids: integers(nodes), edges, weighted: false, kinds: KindLists::default() }
    }

    /// A weighted graph with nodes `0..nodes`.
    #[must_use]
    pub fn weighted(nodes: u32, edges: Vec<(u32, u32, f64)>) -> PlainGraph {
        PlainGraph { ids: integers(nodes), edges, weighted: true, kinds: KindLists::default() }
    }

    /// The same graph with the strings `n000`, `n001`, ... as ids, which ascend as the integers did.
    #[must_use]
    pub fn with_string_ids(mut self) -> PlainGraph {
        let mut table = StringTable::default();
        (0..self.nodes()).for_each(|rank| table.push(&format!("n{rank:03}")));
        self.ids = ExternalIds::Strings(table);
        self
    }

    /// How many nodes there are.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.ids.len()
    }

    /// What a loader would hand over.
    #[must_use]
    pub fn edge_list(&self) -> EdgeList {
        EdgeList {
            ids: self.ids.clone(),
            sources: self.edges.iter().map(|edge| edge.0).collect(),
            targets: self.edges.iter().map(|edge| edge.1).collect(),
            weights: self.weighted.then(|| self.edges.iter().map(|edge| edge.2).collect()),
            kinds: self.kinds.clone(),
        }
    }

    /// Transition probabilities by rank of source and target; the rows of dangling nodes are zero.
    #[must_use]
    pub fn transitions(&self) -> Vec<Vec<f64>> {
        let nodes = self.nodes();
        let mut rows = vec![vec![0.0; nodes]; nodes];
        for &(source, target, weight) in &self.edges {
            rows[source as usize][target as usize] += weight;
        }
        for row in &mut rows {
            let total: f64 = row.iter().sum();
            if total != 0.0 {
                row.iter_mut().for_each(|weight| *weight /= total);
            }
        }
        rows
    }
}

/// Any graph of up to 40 nodes: directed or mostly undirected, one or several components, isolated and dangling nodes,
/// self-loops, parallel edges, weights of all sizes and of zero.
#[must_use]
pub fn anything(draws: &mut Draws) -> PlainGraph {
    let nodes = 1 + draws.below(40);
    let components = 1 + draws.below(4);
    let edges_per_node = [0.3, 1.0, 2.0, 5.0][draws.below(4) as usize];
    // A quarter of the graphs have an edge out of every node, another a ring through them all besides.
    let kind = draws.below(4);
    let (dangling, isolated) = if kind < 2 { (0.0, 0.0) } else { (draws.unit() * 0.5, draws.unit() * 0.3) };
    let mute: Vec<bool> = (0..nodes).map(|_| draws.chance(dangling)).collect();
    let alone: Vec<bool> = (0..nodes).map(|_| draws.chance(isolated)).collect();
    let weighted = draws.chance(0.7);
    let sizes = draws.below(4);
    let mut edges = Vec::new();
    for source in (0..nodes).filter(|_| kind < 2) {
        let target = if kind == 0 { draws.below(nodes) } else { (source + 1) % nodes };
        edges.push((source, target, if weighted { 1.0 - draws.unit() } else { 1.0 }));
    }
    for _ in 0..floor(f64::from(nodes) * edges_per_node) + 1 {
        let source = draws.below(nodes);
        let target = if draws.chance(0.05) { source } else { draws.below(nodes) };
        let apart = source % components != target % components;
        if apart || mute[source as usize] || alone[source as usize] || alone[target as usize] {
            continue;
        }
        let weight = match (weighted, sizes) {
            (false, _) => 1.0,
            (true, 0) => f64::from(draws.below(4)),
            (true, 1) => draws.unit(),
            (true, 2) => 10f64.powf(draws.unit() * 12.0 - 6.0),
            (true, _) => 1e300 * draws.unit() / f64::from(nodes),
        };
        let copies = if draws.chance(0.1) { 2 + draws.below(2) } else { 1 };
        (0..copies).for_each(|_| edges.push((source, target, weight)));
        if draws.chance(0.2) && !mute[target as usize] {
            edges.push((target, source, weight));
        }
    }
    PlainGraph { ids: integers(nodes), edges, weighted, kinds: KindLists::default() }
}

/// A graph of `nodes` nodes and about `degree` out-edges each, some of them many more, a few dangling; weights from 1 to
/// 100 when weighted.
#[must_use]
pub fn sprawling(key: u64, nodes: u32, degree: u32, weighted: bool) -> PlainGraph {
    let mut draws = Draws::new(key);
    let mut edges = Vec::new();
    for source in 0..nodes {
        let degree = match draws.below(100) {
            0..4 => 0,
            99 => 20 * degree,
            _ => 1 + draws.below(2 * degree - 1),
        };
        for _ in 0..degree {
            // Products of uniform numbers lean towards small targets: a few nodes are popular.
            let target = floor(f64::from(nodes) * draws.unit() * draws.unit());
            let weight = if weighted { f64::from(1 + draws.below(100)) } else { 1.0 };
            edges.push((source, target, weight));
        }
    }
    if !weighted {
        edges.sort_by_key(|&(source, target, _)| (source, target));
        edges.dedup();
    }
    PlainGraph { ids: integers(nodes), edges, weighted, kinds: KindLists::default() }
}

/// A graph like [`sprawling`] in which one node has a tenth of all edges, half of them out and half of them in.
#[must_use]
pub fn star_heavy(key: u64, nodes: u32, degree: u32, weighted: bool) -> PlainGraph {
    let mut graph = sprawling(key, nodes, degree, weighted);
    let (hub, mut draws) = (nodes / 3, Draws::new(key + 1));
    for at in 0..u32::try_from(graph.edges.len() / 10).expect("a small graph") {
        let weight = if weighted { f64::from(1 + draws.below(100)) } else { 1.0 };
        let other = draws.below(nodes);
        graph.edges.push(if at % 2 == 0 { (hub, other, weight) } else { (other, hub, weight) });
    }
    if !weighted {
        graph.edges.sort_by_key(|&(source, target, _)| (source, target));
        graph.edges.dedup();
    }
    graph
}

fn integers(nodes: u32) -> ExternalIds {
    ExternalIds::Integers((0..i64::from(nodes)).collect())
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small numbers that are not negative")]
fn floor(number: f64) -> u32 {
    number as u32
}
