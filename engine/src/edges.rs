//! The edges of a graph on their way from a loader to the [graph builder](crate::graph).

use crate::ids::ExternalIds;
use crate::kinds::KindLists;

/// Edges as they were read: external ids by rank, one entry an input edge, in input order.
///
/// `sources`, `targets` and (when present) `weights` have one length. Values of `sources` and `targets` are ranks in
/// `ids`. Undirected input has been written out as both directions already; parallel edges are still apart; weights
/// are finite and not negative; zero weights may be present (the builder drops those edges and keeps their nodes). Types
/// are optional: `KindLists::default()` has none.
#[derive(Debug, Clone, PartialEq)]
pub struct EdgeList {
    /// All ids that occur, ascending.
    pub ids: ExternalIds,
    /// Rank of each edge's source.
    pub sources: Vec<u32>,
    /// Rank of each edge's target.
    pub targets: Vec<u32>,
    /// Weight of each edge; `None` when the input had no weights (each edge then weighs 1).
    pub weights: Option<Vec<f64>>,
    /// Types of nodes and edges.
    pub kinds: KindLists,
}

impl EdgeList {
    /// Edges between nodes whose ids are their numbers.
    #[cfg(test)]
    pub(crate) fn numbered(nodes: u32, edges: &[(u32, u32, f64)], weighted: bool) -> EdgeList {
        EdgeList {
            ids: ExternalIds::Integers((0..i64::from(nodes)).collect()),
            sources: edges.iter().map(|edge| edge.0).collect(),
            targets: edges.iter().map(|edge| edge.1).collect(),
            weights: weighted.then(|| edges.iter().map(|edge| edge.2).collect()),
            kinds: KindLists::default(),
        }
    }

    /// How many input edges there are, parallel ones counted apart.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sources.len()
    }

    /// True when there is no edge.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }
}
