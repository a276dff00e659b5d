//! What the pictures of an explanation show: the nodes and edges of all paths, each once.

use std::collections::{BTreeMap, BTreeSet};

use walkprint_engine::ids::NodeId;
use walkprint_engine::query::Explanation;

/// The paths of an explanation, put together.
#[derive(Debug, Clone, Default)]
pub struct Picture {
    /// Seeds, results and what lies between, in the order in which the paths name them.
    pub nodes: Vec<PictureNode>,
    /// The edges of the paths.
    pub edges: Vec<PictureEdge>,
}

/// A node of a picture.
#[derive(Debug, Clone)]
pub struct PictureNode {
    /// Its external id.
    pub id: String,
    /// Its rank among the results, from 1, and its score; none when it only lies on a way.
    pub result: Option<(usize, f64)>,
    /// True when a path begins here.
    pub seed: bool,
}

/// An edge of a picture.
#[derive(Debug, Clone)]
pub struct PictureEdge {
    /// The place of its source in [`Picture::nodes`].
    pub source: usize,
    /// The place of its target.
    pub target: usize,
    /// How probable it is that a walk from the seeds comes along it on one of the paths shown.
    pub flow: f64,
    /// Its weight.
    pub weight: f64,
    /// Its types.
    pub kinds: Vec<String>,
}

impl Picture {
    /// Puts the paths of an explanation together. Cost: linear in their length, squared for each path.
    #[must_use]
    pub fn new(explanation: &Explanation, restart_prob: f64) -> Picture {
        let mut picture = Picture::default();
        let mut places: BTreeMap<NodeId, usize> = BTreeMap::new();
        let mut edges: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        // Paths that begin alike share their first edges: each beginning flows once.
        let mut beginnings: BTreeSet<&[NodeId]> = BTreeSet::new();
        for path in explanation.results.iter().flat_map(|result| &result.paths) {
            let at: Vec<usize> =
                path.nodes.iter().zip(&path.ids).map(|(&node, id)| picture.place(&mut places, node, id)).collect();
            picture.nodes[at[0]].seed = true;
            let onward = |edge: &walkprint_engine::query::Hop| edge.probability * (1.0 - restart_prob);
            let later: f64 = path.edges.iter().map(onward).product();
            let mut flow = path.probability / later; // the seed's weight
            for (step, edge) in path.edges.iter().enumerate() {
                flow *= onward(edge);
                let (source, target) = (at[step], at[step + 1]);
                let place = *edges.entry((source, target)).or_insert_with(|| {
                    let kinds = edge.kinds.clone();
                    picture.edges.push(PictureEdge { source, target, flow: 0.0, weight: edge.weight, kinds });
                    picture.edges.len() - 1
                });
                if beginnings.insert(&path.nodes[..=step + 1]) {
                    picture.edges[place].flow += flow;
                }
            }
        }
        for (rank, result) in explanation.results.iter().enumerate() {
            let place = picture.place(&mut places, result.node, &result.id);
            picture.nodes[place].result = Some((rank + 1, result.score));
        }
        picture
    }

    fn place(&mut self, places: &mut BTreeMap<NodeId, usize>, node: NodeId, id: &str) -> usize {
        *places.entry(node).or_insert_with(|| {
            self.nodes.push(PictureNode { id: id.to_owned(), result: None, seed: false });
            self.nodes.len() - 1
        })
    }

    /// The largest flow of an edge; 1 when there is none.
    pub(super) fn largest_flow(&self) -> f64 {
        let largest = self.edges.iter().map(|edge| edge.flow).fold(0.0, f64::max);
        if 0.0 < largest { largest } else { 1.0 }
    }

    /// The largest score of a node; 1 when there is none.
    pub(super) fn largest_score(&self) -> f64 {
        let scores = self.nodes.iter().filter_map(|node| node.result);
        let largest = scores.map(|(_, score)| score).fold(0.0, f64::max);
        if 0.0 < largest { largest } else { 1.0 }
    }
}

impl PictureEdge {
    /// What is written at the edge: its types, or else its weight when that is not 1.
    pub(super) fn label(&self) -> String {
        if !self.kinds.is_empty() {
            return self.kinds.join(", ");
        }
        if self.weight == 1.0 { String::new() } else { super::number(self.weight) }
    }
}
