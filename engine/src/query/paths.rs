//! The most probable paths to a node that visit no node twice, the best first: Yen's algorithm (Yen 1971, "Finding the K
//! shortest loopless paths in a network", with Lawler's rule, 1972) on petgraph's searches. The length of an edge is
//! `-ln(probability)`.
//!
//! ```text
//! behind(x) = the shortest way from x to the goal, for all x: Dijkstra's search on the reversed graph
//! found = [A* from the root]                                    behind(x) is what A* expects, and knows exactly
//! while fewer than `most` are found:
//!     for every node x of the last path, from where it left an earlier one:
//!         A* from x to the goal, without the nodes before x, without the edges from x that a path found which begins
//!         alike takes; a candidate is the beginning up to x and what A* found
//!     found += the best candidate
//! ```
//!
//! Nodes that lie on no path of at least `least` times the best probability are left out of every search. That keeps them
//! short: without it, a search that fails reads the whole neighbourhood.

use std::collections::HashMap;

use petgraph::algo::{astar, dijkstra};
use petgraph::graph::{EdgeReference, NodeIndex};
use petgraph::visit::{EdgeFiltered, EdgeRef, NodeFiltered, Reversed};

use super::halt::Halt;
use super::neighbourhood::{Neighbourhood, Step};
use crate::error::Result;
use crate::ids::NodeId;

/// The searches for one result. A path of ten edges takes about ten for each path that follows it.
const MOST_SEARCHES: usize = 1000;
/// Sums of logarithms are off by less.
const ROUNDING: f64 = 1e-9;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Paths from the root to the goal, the best first.
    pub(super) paths: Vec<Vec<NodeIndex>>,
    /// False when searching was given up before all were found.
    pub(super) whole: bool,
}

/// A path, its length, and the place where it left the path it was made from.
#[derive(Debug, Clone, PartialEq)]
struct Candidate {
    length: f64,
    nodes: Vec<NodeIndex>,
    left_at: usize,
}

/// The `most` most probable paths to `goal`, as far as they are in the neighbourhood and have at least `least` times the
/// probability of the best.
///
/// Cost: one search through the neighbourhood, a few milliseconds for 50,000 edges; then short searches, about as many as
/// the paths have edges. The flag is looked at between searches.
///
/// # Errors
/// When the flag is set.
pub(super) fn best(neighbourhood: &Neighbourhood, goal: NodeId, most: usize, least: f64, halt: &Halt) -> Result<Found> {
    let Some(goal) = neighbourhood.place(goal) else { return Ok(Found { paths: Vec::new(), whole: true }) };
    halt.look()?;
    let mut search = Search::new(neighbourhood, goal, least);
    let (mut found, mut waiting): (Vec<Candidate>, Vec<Candidate>) = (Vec::new(), Vec::new());
    waiting.extend(search.from(&[neighbourhood.root], &[]));
    let mut left = MOST_SEARCHES;
    while found.len() < most && !waiting.is_empty() {
        let next = (0..waiting.len()).min_by(|&a, &b| waiting[a].order(&waiting[b])).unwrap_or(0);
        let path = waiting.swap_remove(next);
        found.push(path.clone());
        if found.len() == most {
            break;
        }
        for place in path.left_at..path.nodes.len() - 1 {
            if left == 0 {
                break;
            }
            left -= 1;
            halt.look()?;
            let beginning = &path.nodes[..=place];
            let alike = found.iter().filter(|other| other.nodes.starts_with(beginning));
            let taken: Vec<NodeIndex> = alike.filter_map(|other| other.nodes.get(place + 1).copied()).collect();
            let candidate = search.from(beginning, &taken);
            waiting.extend(candidate.filter(|candidate| waiting.iter().all(|other| other.nodes != candidate.nodes)));
        }
        // As many candidates as are still wanted bound what any other may cost.
        let wanted = most - found.len();
        if wanted <= waiting.len() {
            waiting.sort_unstable_by(Candidate::order);
            waiting.truncate(wanted);
            search.longest = search.longest.min(waiting[wanted - 1].length + ROUNDING);
        }
    }
    Ok(Found { paths: found.into_iter().map(|candidate| candidate.nodes).collect(), whole: 0 < left })
}

impl Candidate {
    /// The shorter first, then that of fewer nodes, then some fixed order.
    fn order(&self, other: &Candidate) -> std::cmp::Ordering {
        let by_length = self.length.total_cmp(&other.length).then(self.nodes.len().cmp(&other.nodes.len()));
        by_length.then_with(|| self.nodes.cmp(&other.nodes))
    }
}

/// What all searches for one goal share.
struct Search<'n> {
    neighbourhood: &'n Neighbourhood,
    goal: NodeIndex,
    /// How far it is from a node to the goal.
    behind: HashMap<NodeIndex, f64>,
    /// Longer paths are of no interest.
    longest: f64,
}

impl<'n> Search<'n> {
    fn new(neighbourhood: &'n Neighbourhood, goal: NodeIndex, least: f64) -> Search<'n> {
        let best = &neighbourhood.best;
        let bar = best[goal.index()] * least * (1.0 - ROUNDING);
        let likely = NodeFiltered::from_fn(&neighbourhood.graph, |node| bar <= best[node.index()]);
        let reversed = dijkstra(Reversed(&likely), goal, None, |edge| length(edge.weight()));
        let behind: HashMap<NodeIndex, f64> = reversed.into_iter().collect();
        let longest =
            behind.get(&neighbourhood.root).map_or(f64::INFINITY, |shortest| shortest - least.ln() + ROUNDING);
        Search { neighbourhood, goal, behind, longest }
    }

    /// The best path that begins with `beginning` and does not go on to a node of `taken`.
    fn from(&self, beginning: &[NodeIndex], taken: &[NodeIndex]) -> Option<Candidate> {
        let graph = &self.neighbourhood.graph;
        let (&start, before) = beginning.split_last()?;
        let allowed = EdgeFiltered::from_fn(graph, |edge: EdgeReference<'_, Step>| {
            let target = edge.target();
            let short = self.behind.get(&target).is_some_and(|behind| {
                let before = -self.neighbourhood.best[edge.source().index()].ln();
                before + length(edge.weight()) + behind <= self.longest
            });
            short && !before.contains(&target) && !(edge.source() == start && taken.contains(&target))
        });
        let expected = |node: NodeIndex| self.behind.get(&node).copied().unwrap_or(f64::INFINITY);
        let (_, rest) = astar(&allowed, start, |node| node == self.goal, |edge| length(edge.weight()), expected)?;
        let nodes: Vec<NodeIndex> = before.iter().copied().chain(rest).collect();
        let length = nodes.windows(2).filter_map(|pair| Some(length(self.step(pair[0], pair[1])?))).sum();
        Some(Candidate { length, nodes, left_at: before.len() })
    }

    fn step(&self, source: NodeIndex, target: NodeIndex) -> Option<&'n Step> {
        let graph = &self.neighbourhood.graph;
        graph.find_edge(source, target).and_then(|edge| graph.edge_weight(edge))
    }
}

fn length(step: &Step) -> f64 {
    0.0 - step.probability.ln()
}
