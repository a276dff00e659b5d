//! One worker's part of a sharded graph: the rows of the nodes it owns.

use std::sync::Arc;

use super::owners::Owners;
use super::rows::{Graph, Row};
use crate::error::Result;
use crate::ids::NodeId;

/// The rows of the nodes that one worker owns. Rows are found by local number; targets are nodes of the whole graph.
#[derive(Debug, Clone)]
pub struct GraphShard {
    owners: Arc<Owners>,
    worker: usize,
    rows: Graph,
}

/// Rows that come together, one after the other.
#[derive(Debug)]
pub struct RowsToOwn {
    targets: Vec<NodeId>,
    /// None in a graph without weights.
    weights: Option<Vec<f64>>,
}

impl RowsToOwn {
    /// Adds edges of the row under way.
    pub fn push(&mut self, row: &Row<'_>) {
        self.extend(row.targets.iter().copied(), (0..row.degree()).map(|at| row.weight(at)));
    }

    /// Adds edges of the row under way: targets, and as many weights, which count in a weighted graph only.
    pub fn extend(&mut self, targets: impl Iterator<Item = NodeId>, weights: impl Iterator<Item = f64>) {
        self.targets.extend(targets);
        if let Some(all) = &mut self.weights {
            all.extend(weights);
        }
        debug_assert!(self.weights.as_ref().is_none_or(|weights| weights.len() == self.targets.len()));
    }
}

impl GraphShard {
    /// A worker's rows, copied from a graph that this process can read. Cost: the rows are read once.
    ///
    /// # Errors
    /// When a row is damaged.
    pub fn of(graph: &Graph, owners: &Arc<Owners>, worker: usize) -> Result<GraphShard> {
        GraphShard::collect(owners, worker, graph.is_weighted(), |node, rows| {
            rows.push(&graph.row(node)?);
            Ok(())
        })
    }

    /// A worker's rows, from wherever they are: `add` is called with each of its nodes, ascending, and adds the node's row.
    ///
    /// # Errors
    /// Those of `add`; when the weights of a row add up to infinity, or to next to nothing.
    pub fn collect(
        owners: &Arc<Owners>,
        worker: usize,
        weighted: bool,
        mut add: impl FnMut(NodeId, &mut RowsToOwn) -> Result<()>,
    ) -> Result<GraphShard> {
        let mut rows = RowsToOwn { targets: Vec::new(), weights: weighted.then(Vec::new) };
        let mut offsets = vec![0];
        for node in owners.nodes_of(worker) {
            add(node, &mut rows)?;
            offsets.push(rows.targets.len() as u64);
        }
        let rows = Graph::from_rows(offsets, rows.targets, rows.weights)?;
        Ok(GraphShard { owners: Arc::clone(owners), worker, rows })
    }

    /// A worker's rows without any edge: what stands in where rows could not be had.
    #[must_use]
    pub fn empty(owners: &Arc<Owners>, worker: usize) -> GraphShard {
        let offsets = vec![0; owners.nodes_of(worker).count() + 1];
        let rows = Graph::from_rows(offsets, Vec::new(), None).expect("without weights nothing can be wrong");
        GraphShard { owners: Arc::clone(owners), worker, rows }
    }

    /// Who owns which node.
    #[must_use]
    pub fn owners(&self) -> &Arc<Owners> {
        &self.owners
    }

    /// Whose rows these are.
    #[must_use]
    pub fn worker(&self) -> usize {
        self.worker
    }

    /// The out-edges of the node with a local number; targets are nodes of the whole graph.
    ///
    /// # Errors
    /// When the row is damaged.
    ///
    /// # Panics
    /// When the worker owns no such node.
    #[inline]
    pub fn row(&self, local: u32) -> Result<Row<'_>> {
        self.rows.row(local)
    }

    /// The node with a local number.
    #[must_use]
    pub fn node(&self, local: u32) -> NodeId {
        self.owners.node(self.worker, local)
    }

    /// All rows, by local number.
    #[must_use]
    pub fn rows(&self) -> &Graph {
        &self.rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edges::EdgeList;
    use crate::graph::{CHUNK, NodeOrder, build};

    #[test]
    fn shards_hold_every_row_once() {
        let nodes = 1_000u32;
        let edges: Vec<(u32, u32, f64)> =
            (0..4_000u32).map(|at| (at * 7 % nodes, at * at % nodes, f64::from(at % 9) + 0.1)).collect();
        for weighted in [false, true] {
            let graph = build(EdgeList::numbered(nodes, &edges, weighted), NodeOrder::Id).unwrap().graph;
            let costs = vec![1; nodes.div_ceil(CHUNK) as usize];
            let owners = Arc::new(Owners::deal(nodes, &costs, 3));
            let shards: Vec<GraphShard> =
                (0..3).map(|worker| GraphShard::of(&graph, &owners, worker).unwrap()).collect();
            assert_eq!(shards.iter().map(|shard| shard.rows().edges()).sum::<usize>(), graph.edges());
            for node in 0..nodes {
                let (owner, local) = owners.find(node);
                let shard = &shards[owner as usize];
                assert_eq!(shard.node(local), node);
                let (row, whole) = (shard.row(local).unwrap(), graph.row(node).unwrap());
                assert_eq!((row.targets, row.total), (whole.targets, whole.total));
                assert!((0..row.degree()).all(|at| row.weight(at) == whole.weight(at)));
            }
        }
    }
}
