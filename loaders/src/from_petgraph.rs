//! Edges of a petgraph graph that is in memory already.

use petgraph::EdgeType;
use petgraph::graph::{Graph, IndexType, NodeIndex};
use petgraph::visit::EdgeRef;
use walkprint_engine::edges::EdgeList;
use walkprint_engine::kinds::KindLists;

use crate::Error;
use crate::error::Problem;
use crate::gather::{bad_weight, check_weight};
use crate::intern::{self, Table};

/// All nodes and edges of `graph`, edges in the graph's order; those of an undirected graph in both directions,
/// self-loops once.
///
/// `id` names each node: by its weight (`|_, name| name.clone()`), by its index (`|node, _| node.index().to_string()`)
/// or otherwise. If all ids are integers as `i64` prints them, they become integers. `weight` weighs each edge. Nodes
/// without edges are kept.
///
/// # Errors
/// Two nodes with one id, an id that is empty or holds a NUL byte, a weight that is negative or not finite.
///
/// ```
/// use petgraph::graph::UnGraph;
///
/// let mut friends = UnGraph::<&str, f64>::new_undirected();
/// let (ann, bob) = (friends.add_node("ann"), friends.add_node("bob"));
/// friends.add_edge(ann, bob, 2.0);
/// let edges = walkprint_loaders::from_petgraph::edge_list(&friends, |_, name| (*name).to_owned(), |weight| *weight)?;
/// assert_eq!(edges.len(), 2);
/// assert_eq!(edges.sources[0], edges.targets[1]);
/// # Ok::<(), walkprint_loaders::Error>(())
/// ```
pub fn edge_list<N, E, Ty: EdgeType, Ix: IndexType>(
    graph: &Graph<N, E, Ty, Ix>,
    mut id: impl FnMut(NodeIndex<Ix>, &N) -> String,
    mut weight: impl FnMut(&E) -> f64,
) -> Result<EdgeList, Error> {
    let mut table = Table::new();
    for (at, node) in graph.node_indices().enumerate() {
        let name = id(node, &graph[node]);
        let problem = |problem: Problem| problem.of_item(format!("node {}", node.index()));
        if name.is_empty() {
            return Err(problem(Problem::new("an id", "nothing")));
        }
        let number = table.number(name.as_bytes()).map_err(problem)?;
        if (number as usize) < at {
            return Err(problem(Problem::new("an id of its own", format!("{name:?}, the id of node {number}"))));
        }
    }
    // Numbers are node indices, because no id came twice.
    let (ids, ranks) = intern::merge(vec![table])?;
    let rank = |node: NodeIndex<Ix>| ranks[0][node.index()];
    let len = graph.edge_count() * if graph.is_directed() { 1 } else { 2 };
    let (mut sources, mut targets, mut weights) =
        (Vec::with_capacity(len), Vec::with_capacity(len), Vec::with_capacity(len));
    for edge in graph.edge_references() {
        let given = weight(edge.weight());
        let weight = check_weight(given)
            .ok_or_else(|| bad_weight(given, given.to_string()).of_item(format!("edge {}", edge.id().index())))?;
        let (source, target) = (rank(edge.source()), rank(edge.target()));
        sources.push(source);
        targets.push(target);
        weights.push(weight);
        if !graph.is_directed() && source != target {
            sources.push(target);
            targets.push(source);
            weights.push(weight);
        }
    }
    Ok(EdgeList { ids, sources, targets, weights: Some(weights), kinds: KindLists::default() })
}

#[cfg(test)]
mod tests {
    use petgraph::graph::{DiGraph, UnGraph};

    use super::*;

    fn by_index<Ty: EdgeType>(graph: &Graph<(), f64, Ty>) -> Result<EdgeList, String> {
        edge_list(graph, |node, ()| node.index().to_string(), |weight| *weight).map_err(|error| error.to_string())
    }

    #[test]
    fn an_undirected_edge_is_written_both_ways_and_a_self_loop_once() {
        let edges = [(10, 9, 2.0), (9, 9, 0.0), (1, 10, 1.0)];
        let directed = by_index(&DiGraph::<(), f64>::from_edges(edges)).expect("a good graph");
        // Twelve ids would sort as strings in another order: 0, 1, 10, 2, …
        assert_eq!((&directed.sources, &directed.targets), (&vec![10, 9, 1], &vec![9, 9, 10]));
        assert_eq!(directed.ids.len(), 11, "nodes without edges are kept");
        let undirected = by_index(&UnGraph::<(), f64>::from_edges(edges)).expect("a good graph");
        assert_eq!(undirected.sources, [10, 9, 9, 1, 10]);
        assert_eq!(undirected.targets, [9, 10, 9, 10, 1]);
        assert_eq!(undirected.weights, Some(vec![2.0, 2.0, 0.0, 1.0, 1.0]));
    }

    #[test]
    fn names_come_back_sorted() {
        let mut graph = DiGraph::<&str, ()>::new();
        let (b, a) = (graph.add_node("b"), graph.add_node("a"));
        graph.add_edge(b, a, ());
        let edges = edge_list(&graph, |_, name| (*name).to_owned(), |()| 1.0).expect("a good graph");
        assert_eq!((edges.ids.text(0), edges.ids.text(1)), ("a".to_owned(), "b".to_owned()));
        assert_eq!((edges.sources, edges.targets), (vec![1], vec![0]));
    }

    #[test]
    fn what_cannot_be_taken_over_is_named() {
        let message = |weight| by_index(&DiGraph::<(), f64>::from_edges([(0, 1, 1.0), (1, 0, weight)])).map(|_| ());
        assert_eq!(
            message(-1.5),
            Err("edge 1: expected a weight (PageRank needs weights ≥ 0; drop or map negative ones first), got -1.5"
                .to_owned())
        );
        assert_eq!(message(f64::NAN), Err("edge 1: expected a finite weight, got NaN".to_owned()));
        let mut graph = DiGraph::<&str, ()>::new();
        for name in ["a", "b", "a"] {
            graph.add_node(name);
        }
        let doubled = edge_list(&graph, |_, name| (*name).to_owned(), |()| 1.0).map_err(|error| error.to_string());
        assert_eq!(doubled, Err(r#"node 2: expected an id of its own, got "a", the id of node 0"#.to_owned()));
        let empty = edge_list(&graph, |_, _| String::new(), |()| 1.0).map_err(|error| error.to_string());
        assert_eq!(empty, Err("node 0: expected an id, got nothing".to_owned()));
    }
}
