//! Which passages mention what: an edge from a passage to a node.

use std::sync::Arc;

use roaring::RoaringBitmap;

use crate::error::Result;
use crate::graph::Graph;
use crate::ids::NodeId;

/// The passages of a graph, and how many of them mention each node. Memory: four bytes a node.
#[derive(Debug, Clone)]
pub struct Mentions {
    passages: Arc<RoaringBitmap>,
    counts: Vec<u32>,
}

impl Mentions {
    /// Counts along the edges that leave passages. Cost: those are read.
    ///
    /// # Errors
    /// When the graph is damaged.
    pub fn new(graph: &Graph, passages: Arc<RoaringBitmap>) -> Result<Mentions> {
        let mut counts = vec![0u32; graph.nodes()];
        for passage in passages.iter().filter(|&passage| (passage as usize) < graph.nodes()) {
            for &node in graph.row(passage)?.targets {
                counts[node as usize] += u32::from(!passages.contains(node));
            }
        }
        Ok(Mentions { passages, counts })
    }

    /// The passages.
    #[must_use]
    pub fn passages(&self) -> &Arc<RoaringBitmap> {
        &self.passages
    }

    /// How many passages mention a node.
    #[must_use]
    pub fn count(&self, node: NodeId) -> u32 {
        self.counts.get(node as usize).copied().unwrap_or(0)
    }

    /// How specific a node is: 1 / the number of passages that mention it, and 1 where none does.
    #[must_use]
    pub fn specificity(&self, node: NodeId) -> f64 {
        1.0 / f64::from(self.count(node).max(1))
    }

    /// Of each passage the sum of the scores of what it mentions, as HippoRAG ranks passages. Cost: the passages' edges.
    ///
    /// # Errors
    /// When the graph is damaged, or has another number of nodes.
    pub fn sums(&self, graph: &Graph, scores: &[f64]) -> Result<Vec<(NodeId, f64)>> {
        let mut sums = Vec::new();
        for passage in self.passages.iter().filter(|&passage| (passage as usize) < graph.nodes()) {
            let mentioned = graph.row(passage)?.targets.iter().filter(|&&node| !self.passages.contains(node));
            let sum: f64 = mentioned.filter_map(|&node| scores.get(node as usize)).sum();
            if 0.0 < sum {
                sums.push((passage, sum));
            }
        }
        Ok(sums)
    }
}
