//! The part of a graph where the best paths from a question's seeds run.
//!
//! A path's **probability** is the seed's weight times, for each edge, `(1 - restart_prob)` times its transition probability:
//! the expected number of walks, of one sent from the seeds, that begin with it. [`explore`] is Dijkstra's search forward
//! from all seeds at once, the most probable first; no edge is ever read backwards.
//!
//! ```text
//! while some result is not settled, or fewer edges were read than are kept:      stop at `work` edges in any case
//!     settle the node x of the largest best(x)
//!     for every out-edge x -> y:   flow = best(x) * (1 - restart_prob) * P(x, y);   best(y) = max(best(y), flow)
//! keep the edges of the largest flow, and the best path to each result
//! ```
//!
//! At most `1 / (restart_prob * p)` nodes have a best path of probability `p`, so that results close to the seeds are
//! reached after few nodes however large the graph is. **A path that is more probable than [`Neighbourhood::floor`] lies in
//! the neighbourhood whole**: each of its edges has at least the path's probability as its flow. (Test:
//! `query::tests::explanation`.) Pushing would find much the same nodes, but knows no such floor.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use petgraph::graph::{DiGraph, NodeIndex};

use super::halt::Halt;
use crate::error::Result;
use crate::graph::Graph;
use crate::ids::NodeId;

/// While searching, this many times the edges that are kept in the end may wait for being sorted out.
const WAITING: usize = 8;

/// How far to search and what to keep.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// The edges to keep, and to read even when all results are settled.
    pub(super) edges: usize,
    /// The edges to read at most; the row that goes beyond is the last.
    pub(super) work: u64,
}

/// An edge of the neighbourhood.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    /// The seed's weight on edges from the root; elsewhere `(1 - restart_prob)` times the transition probability. In (0, 1].
    pub(super) probability: f64,
    /// Its place among all edges of the graph; 0 on edges from the root.
    pub(super) place: usize,
}

/// A graph for searching paths in: a root with an edge to each seed, and what was found around them.
#[derive(Debug)]
pub(super) struct Neighbourhood {
    /// The nodes carry their numbers; the root's means nothing.
    pub(super) graph: DiGraph<NodeId, Step>,
    /// Where all paths begin.
    pub(super) root: NodeIndex,
    /// The probability of the best path that is known to each node.
    pub(super) best: Vec<f64>,
    /// Paths that are at most this probable may be missing; 0 when none is.
    pub(super) floor: f64,
    /// Edges that were read.
    pub(super) read: u64,
    places: HashMap<NodeId, NodeIndex>,
}

/// What the search knows of a node.
struct Reached {
    best: f64,
    /// The edge by which the best path arrives; none at the beginning.
    via: Option<Edge>,
    settled: bool,
}

#[derive(Debug, Clone, Copy)]
struct Edge {
    source: NodeId,
    target: NodeId,
    flow: f64,
    step: Step,
}

/// A probability above 0, to be compared.
#[derive(Clone, Copy, PartialEq)]
struct Probability(f64);

impl Eq for Probability {}

impl PartialOrd for Probability {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Probability {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// Searches forward from the seeds until the results are settled. Cost: about 100 ns an edge that is read, and a sort of the
/// seeds. Memory: about 40 bytes a node that is met, and 500 bytes an edge that is kept; of many seeds, those that are too
/// light for the search to come to them take no part.
///
/// # Errors
/// When a row of the graph is damaged, or the flag is set.
pub(super) fn explore(
    graph: &Graph,
    restart_prob: f64,
    seeds: &[(NodeId, f64)],
    results: &[NodeId],
    bounds: Bounds,
    halt: &Halt,
) -> Result<Neighbourhood> {
    let mut wanted: Vec<NodeId> = results.to_vec();
    wanted.sort_unstable();
    wanted.dedup();
    let is_wanted = |node: NodeId| wanted.binary_search(&node).is_ok();
    let mut search = Search::default();
    // Results that are seeds are known from the beginning; other seeds when their turn comes, the heaviest first.
    let (own, mut others): (Vec<_>, Vec<_>) = seeds.iter().partition(|seed| is_wanted(seed.0));
    own.into_iter().for_each(|seed: (NodeId, f64)| search.sow(seed));
    others.sort_unstable_by(|a: &(NodeId, f64), b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let mut others = others.into_iter().peekable();
    let (mut unsettled, mut read, mut frontier) = (wanted.len(), 0, 0.0);
    let mut pace = halt.pace();
    loop {
        let ahead = search.queue.peek().map_or(0.0, |(Probability(best), _)| *best);
        if let Some(seed) = others.next_if(|seed| ahead <= seed.1) {
            search.sow(seed);
            continue;
        }
        let Some((Probability(best), Reverse(node))) = search.queue.pop() else { break };
        let Some(reached) = search.reached.get_mut(&node).filter(|reached| !reached.settled) else { continue };
        if bounds.work <= read || (unsettled == 0 && bounds.edges as u64 <= read) {
            frontier = best;
            break;
        }
        reached.settled = true;
        unsettled -= usize::from(is_wanted(node));
        let row = graph.row(node)?;
        read += row.degree().max(1) as u64;
        pace.after(row.degree().max(1) as u64)?;
        let first = usize::try_from(graph.offsets()[node as usize]).map_err(|_| graph.damaged_row(node))?;
        for (at, &target) in row.targets.iter().enumerate() {
            let probability = (1.0 - restart_prob) * (row.weight(at) / row.total);
            if graph.nodes() <= target as usize || !(0.0..=1.0).contains(&probability) {
                return Err(graph.damaged_row(node));
            }
            let flow = best * probability;
            if 0.0 < flow {
                search.relax(Edge { source: node, target, flow, step: Step { probability, place: first + at } });
            }
        }
        search.sort_out(bounds.edges.saturating_mul(WAITING), bounds.edges.saturating_mul(WAITING / 2));
    }
    Ok(search.finish(&wanted, bounds.edges, frontier, read))
}

#[derive(Default)]
struct Search {
    reached: HashMap<NodeId, Reached>,
    queue: BinaryHeap<(Probability, Reverse<NodeId>)>,
    edges: Vec<Edge>,
    /// The seeds that take part.
    sown: Vec<(NodeId, f64)>,
    /// The largest flow of an edge that was left out.
    dropped: f64,
}

impl Search {
    fn sow(&mut self, (node, weight): (NodeId, f64)) {
        self.sown.push((node, weight));
        let reached = self.reached.entry(node).or_insert(Reached { best: 0.0, via: None, settled: false });
        if !reached.settled && reached.best < weight {
            (reached.best, reached.via) = (weight, None);
            self.queue.push((Probability(weight), Reverse(node)));
        }
    }

    fn relax(&mut self, edge: Edge) {
        self.edges.push(edge);
        let nothing = Reached { best: 0.0, via: None, settled: false };
        let reached = self.reached.entry(edge.target).or_insert(nothing);
        if !reached.settled && reached.best < edge.flow {
            (reached.best, reached.via) = (edge.flow, Some(edge));
            self.queue.push((Probability(edge.flow), Reverse(edge.target)));
        }
    }

    /// Leaves out the edges of the smallest flow when there are more than `limit`, down to `keep`.
    fn sort_out(&mut self, limit: usize, keep: usize) {
        if limit.max(keep) < self.edges.len() {
            self.edges
                .select_nth_unstable_by(keep, |a, b| b.flow.total_cmp(&a.flow).then(a.step.place.cmp(&b.step.place)));
            self.dropped = self.edges[keep..].iter().map(|edge| edge.flow).fold(self.dropped, f64::max);
            self.edges.truncate(keep);
        }
    }

    /// The neighbourhood of what was found. Edges to nodes that were not settled lead nowhere and go first; what runs
    /// through them is at most as probable as `frontier`, the best of those nodes.
    fn finish(mut self, wanted: &[NodeId], keep: usize, frontier: f64, read: u64) -> Neighbourhood {
        let reached = &self.reached;
        let leads_on = |node: &NodeId| reached[node].settled || wanted.binary_search(node).is_ok();
        self.edges.retain(|edge| leads_on(&edge.target));
        self.sort_out(keep, keep);
        for result in wanted {
            let mut at = *result;
            while let Some(edge) = self.reached.get(&at).and_then(|reached| reached.via) {
                self.edges.push(edge);
                at = edge.source;
            }
        }
        self.edges.sort_unstable_by_key(|edge| edge.step.place);
        self.edges.dedup_by_key(|edge| edge.step.place);
        let mut graph = DiGraph::with_capacity(0, self.edges.len() + self.sown.len());
        let root = graph.add_node(NodeId::MAX);
        let (mut places, mut best) = (HashMap::new(), vec![1.0]);
        let mut place_of = |graph: &mut DiGraph<NodeId, Step>, node: NodeId| {
            *places.entry(node).or_insert_with(|| {
                best.push(self.reached[&node].best);
                graph.add_node(node)
            })
        };
        self.sown.sort_unstable_by_key(|&(node, _)| node);
        for &(seed, weight) in &self.sown {
            let seed = place_of(&mut graph, seed);
            graph.add_edge(root, seed, Step { probability: weight, place: 0 });
        }
        for edge in &self.edges {
            let (source, target) = (place_of(&mut graph, edge.source), place_of(&mut graph, edge.target));
            graph.add_edge(source, target, edge.step);
        }
        Neighbourhood { graph, root, best, floor: self.dropped.max(frontier), read, places }
    }
}

impl Neighbourhood {
    /// Where a node is, if it was reached.
    pub(super) fn place(&self, node: NodeId) -> Option<NodeIndex> {
        self.places.get(&node).copied()
    }
}
