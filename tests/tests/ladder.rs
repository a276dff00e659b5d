//! Keeps: **estimates are unbiased, and no walk is cut** (issue 2, show 3; DESIGN, invariant 5), and **a fingerprint
//! depends on graph, plan and source alone** (invariant 1). The ladder: a dense solve checks exact answers
//! (`exact.rs`), and the same dense solve checks the walks here.
//!
//! **The bound.** For each (graph, plan, source, node), estimates under `KEYS` different keys are independent numbers
//! whose mean must be the exact score. Bernstein's inequality bounds how far their average strays, with failure
//! probability at most `2 exp(-L)`:
//!
//! ```text
//! |average - exact|  <=  sqrt(2 V L / KEYS) + 2 M L / (3 KEYS)
//! ```
//!
//! `V` is the variance of one estimate and `M` its largest deviation, both as observed; `V` is at least that of packets
//! which arrive one by one (a rare node may be missed by all keys). `L` is chosen so that all comparisons of a test
//! together fail with a probability of at most 1e-9, if keys were drawn at random. They are fixed.

use walkprint_engine::ids::NodeId;
use walkprint_engine::plan::{Plan, UNITS_PER_PACKET, UNITS_PER_WALK};
use walkprint_tests::dense;
use walkprint_tests::draws::Draws;
use walkprint_tests::fingerprints::{estimates, walk_rows};
use walkprint_tests::graphs::{PlainGraph, sprawling};
use walkprint_walkers::baseline;
use walkprint_walkers::kernel::Walkable;
use walkprint_walkers::paths::PathRows;
use walkprint_walkers::tally::Walker;

const RESTART_PROBS: [f64; 4] = [0.05, 0.15, 0.5, 0.9];
const KEYS: u64 = 40_000;
/// Probability of a false alarm, over all comparisons of one test.
const FALSE_ALARM: f64 = 1e-9;
/// More comparisons than any test here makes: graphs x weights x restart probabilities x sources x nodes.
const COMPARISONS: f64 = 1e4;

/// Which part of the kernel sends the walks of a source on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Branch {
    /// At least a packet for each edge of the row: units are spread over the row.
    Spread,
    /// Fewer: packets are dealt out.
    Packets,
}

struct Case {
    name: String,
    graph: PlainGraph,
    plan: Plan,
    sources: Vec<NodeId>,
}

/// Small graphs with, for each kernel branch, sources that begin in it.
fn cases() -> Vec<(Branch, Case)> {
    let mut cases = Vec::new();
    for weighted in [false, true] {
        for restart_prob in RESTART_PROBS {
            let kinds = [
                ("few edges, many walks", Branch::Spread, few_edges(weighted), 64, vec![0, 1, 7], 0),
                ("a hub, few walks", Branch::Packets, hub(weighted), 2, vec![0, 1, 50], 0),
                ("walks that come back", Branch::Spread, returning(weighted), 24, vec![0, 1, 3], 0),
                ("walks that come back, one at a time", Branch::Packets, returning(weighted), 1, vec![0, 1, 3], 0),
                ("big moves", Branch::Packets, few_edges(weighted), 1, vec![1, 7], 40),
                ("big moves that come back", Branch::Packets, returning(weighted), 1, vec![0, 1, 3], 60),
            ];
            for (name, branch, graph, walks, sources, big_moves) in kinds {
                let name = format!("{name}, weighted {weighted}, restart {restart_prob}");
                let plan = Plan { restart_prob, walks, walks_per_edge: 0.0, big_moves, ..Plan::default() };
                cases.push((branch, Case { name, graph, plan, sources }));
            }
        }
    }
    cases
}

fn weights(graph: PlainGraph, weighted: bool) -> PlainGraph {
    if !weighted {
        return graph;
    }
    let mut draws = Draws::new(77);
    let edges = graph.edges.iter().map(|&(source, target, _)| (source, target, 10f64.powf(2.0 * draws.unit())));
    PlainGraph::weighted(u32::try_from(graph.nodes()).expect("a small graph"), edges.collect())
}

/// 25 nodes in a ring, each with up to three more edges; the last two nodes are dangling.
fn few_edges(weighted: bool) -> PlainGraph {
    let mut edges = Vec::new();
    for node in 0..23u32 {
        edges.push((node, node + 1));
        edges.extend((0..node % 4).map(|more| (node, (node * 5 + 7 * more + 3) % 25)));
    }
    edges.sort_unstable();
    edges.dedup();
    weights(PlainGraph::unweighted(25, &edges), weighted)
}

/// A hub with an edge to each of 60 others, which lead on to three more and, every third, back.
fn hub(weighted: bool) -> PlainGraph {
    let mut edges = Vec::new();
    for node in 1..=60u32 {
        edges.push((0, node));
        edges.extend((1..=4).map(|more| (node, (node * 3 + more * 11) % 60 + 1)));
        if node.is_multiple_of(3) {
            edges.push((node, 0));
        }
    }
    edges.sort_unstable();
    edges.dedup();
    weights(PlainGraph::unweighted(61, &edges), weighted)
}

/// Self-loops, two-node circles and a way out: visits of one walk to one node are many and depend on one another.
fn returning(weighted: bool) -> PlainGraph {
    let edges = [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2), (2, 3), (3, 2), (3, 3), (3, 4), (0, 4), (4, 5), (2, 0)];
    weights(PlainGraph::unweighted(6, &edges), weighted)
}

/// Averages over keys of numbers whose mean should be known.
#[derive(Debug, Clone, Copy, Default)]
struct Moments {
    sum: f64,
    squares: f64,
    largest: f64,
}

impl Moments {
    fn add(&mut self, deviation: f64) {
        self.sum += deviation;
        self.squares += deviation * deviation;
        self.largest = self.largest.max(deviation.abs());
    }

    /// The mean squared deviation from the exact value.
    fn mean_square(&self, count: u64) -> f64 {
        self.squares / count as f64
    }

    /// Checks the average deviation against the bound of the module's head.
    fn expect_unbiased(&self, count: u64, least_variance: f64, what: impl Fn() -> String) {
        let (keys, log) = (count as f64, (2.0 * COMPARISONS / FALSE_ALARM).ln());
        let variance = self.mean_square(count).max(least_variance);
        let allowed = (2.0 * variance * log / keys).sqrt() + 2.0 * self.largest * log / (3.0 * keys);
        let off = (self.sum / keys).abs();
        assert!(off <= allowed, "{}: off by {off:e}, allowed {allowed:e}", what());
    }
}

fn reachable(graph: &PlainGraph, source: NodeId) -> Vec<bool> {
    let mut reached = vec![false; graph.nodes()];
    reached[source as usize] = true;
    while let Some(edge) = graph.edges.iter().find(|edge| reached[edge.0 as usize] && !reached[edge.1 as usize]) {
        reached[edge.1 as usize] = true;
    }
    reached
}

/// The summed variance of the estimates from as many independent walks, exactly: one walk's visits to *v* have the mean
/// `G(u, v)` and the second moment `G(u, v) (2 G(v, v) - 1)`, `G = (I - (1 - a) P)^-1`.
fn independent_variance(cores: &[Vec<f64>], source: NodeId, restart_prob: f64, walks: u32) -> f64 {
    let visits = |from: usize, to: usize| cores[from][to] / restart_prob;
    let of_node = |node| {
        let mean = visits(source as usize, node);
        mean * (2.0 * visits(node, node) - 1.0) - mean * mean
    };
    let of_one: f64 = (0..cores.len()).map(of_node).sum();
    of_one * restart_prob * restart_prob / f64::from(walks)
}

#[test]
fn estimates_are_unbiased_and_vary_less_than_independent_walks() {
    for (branch, Case { name, graph, plan, sources }) in cases() {
        let rows = walk_rows(&graph);
        let paths = PathRows::of(&rows, &plan).expect("a small graph");
        let few = plan.big_moves != 0 && plan.restart_prob < 0.5;
        assert!(!few || 0 < paths.nodes(), "{name}: no node has big moves");
        let (walkable, transitions) = (Walkable::new(&rows).with_paths(Some(&paths)), graph.transitions());
        let restart_prob = plan.restart_prob;
        let cores: Vec<Vec<f64>> =
            (0..graph.nodes()).map(|node| dense::core(&transitions, node, restart_prob)).collect();
        let mut walker = Walker::default();
        for source in sources {
            let what = format!("{name}, source {source}");
            let survivors = f64::from(UNITS_PER_WALK * plan.walks) * (1.0 - restart_prob);
            let packets = walkable.degree(source) as f64 * f64::from(UNITS_PER_PACKET);
            assert_eq!(branch == Branch::Spread, packets <= survivors, "{what}: begins in the other branch");

            let exact = &cores[source as usize];
            let total_exact: f64 = exact.iter().sum();
            let mut moments = vec![Moments::default(); graph.nodes()];
            let mut total = Moments::default();
            let mut found = vec![0.0; graph.nodes()];
            for rng_key in 0..KEYS {
                found.fill(0.0);
                let plan = Plan { rng_key, ..plan.clone() };
                estimates(&mut walker, walkable, &plan, source, |node, estimate| found[node as usize] = estimate);
                moments.iter_mut().zip(&found).zip(exact).for_each(|((m, found), exact)| m.add(found - exact));
                total.add(found.iter().sum::<f64>() - total_exact);
            }

            let packet = restart_prob * f64::from(UNITS_PER_PACKET) / f64::from(UNITS_PER_WALK * plan.walks);
            for (node, reachable) in reachable(&graph, source).into_iter().enumerate() {
                let least = packet * exact[node];
                moments[node].expect_unbiased(KEYS, least, || format!("{what}, node {node}, exact {}", exact[node]));
                assert!(reachable || moments[node].largest == 0.0, "{what}: a visit to {node}, where no path leads");
            }
            total.expect_unbiased(KEYS, 0.0, || format!("{what}, all visits, exact {total_exact}"));

            let spread: f64 = moments.iter().map(|moments| moments.mean_square(KEYS)).sum();
            let independent = independent_variance(&cores, source, restart_prob, plan.walks);
            println!("{:5.2}x {what}", independent / spread);
            assert!(spread < independent, "{what}: variance {spread:e}, of independent walks {independent:e}");
        }
    }
}

/// The textbook walks that the benchmark compares with: right mean, and the variance that theory gives them.
#[test]
fn independent_walks_are_what_theory_says() {
    for weighted in [false, true] {
        for (restart_prob, graph) in
            RESTART_PROBS.into_iter().flat_map(|a| [(a, hub(weighted)), (a, returning(weighted))])
        {
            let rows = walk_rows(&graph);
            let (walkable, transitions, walks) = (Walkable::new(&rows), graph.transitions(), 4);
            let cores: Vec<Vec<f64>> =
                (0..graph.nodes()).map(|node| dense::core(&transitions, node, restart_prob)).collect();
            for source in [0, 1] {
                let what =
                    || format!("weighted {weighted}, restart {restart_prob}, {} nodes, source {source}", graph.nodes());
                let expected = independent_variance(&cores, source, restart_prob, walks);
                let mut generator = baseline::generator(u64::from(source));
                let (mut moments, mut squares) = (vec![Moments::default(); graph.nodes()], Moments::default());
                let mut visits = vec![0u32; graph.nodes()];
                for _ in 0..KEYS {
                    visits.fill(0);
                    baseline::walk_singly(walkable, restart_prob, source, walks, &mut generator, |node| {
                        visits[node as usize] += 1;
                    });
                    let mut square = 0.0;
                    for (node, &count) in visits.iter().enumerate() {
                        let estimate = restart_prob * f64::from(count) / f64::from(walks);
                        let deviation = estimate - cores[source as usize][node];
                        moments[node].add(deviation);
                        square += deviation * deviation;
                    }
                    squares.add(square - expected);
                }
                for (node, moments) in moments.iter().enumerate() {
                    let least = restart_prob / f64::from(walks) * cores[source as usize][node];
                    moments.expect_unbiased(KEYS, least, || format!("{}, node {node}", what()));
                }
                squares.expect_unbiased(KEYS, 0.0, || format!("{}, the variance {expected:e}", what()));
            }
        }
    }
}

#[test]
fn a_fingerprint_is_the_same_in_any_company() {
    for weighted in [false, true] {
        let graph = sprawling(5, 400, 6, weighted);
        let rows = walk_rows(&graph);
        let walkable = Walkable::new(&rows);
        let nodes = NodeId::try_from(graph.nodes()).unwrap();
        for plan in [
            Plan { walks: 1, walks_per_edge: 0.5, ..Plan::default() },
            Plan { walks: 200, restart_prob: 0.3, ..Plan::default() },
            Plan { walks: 3000, walks_per_edge: 0.0, ..Plan::default() },
        ] {
            // Each source alone, by a walker that has walked nothing before.
            let alone: Vec<Vec<u8>> = (0..nodes)
                .map(|source| Walker::default().fingerprints(walkable, &plan, source, source + 1).bytes)
                .collect();
            // In stretches of any length, by a walker that goes on.
            for key in 0..4 {
                let (mut draws, mut walker, mut first) = (Draws::new(key), Walker::default(), 0);
                while first < nodes {
                    let longest = [1, 7, 60, nodes][usize::try_from(key).unwrap()];
                    let end = (first + 1 + draws.below(longest)).min(nodes);
                    let packed = walker.fingerprints(walkable, &plan, first, end);
                    let mut start = 0;
                    for (source, end) in (first..end).zip(packed.ends) {
                        let end = end as usize;
                        assert!(alone[source as usize] == packed.bytes[start..end], "source {source}, {plan:?}");
                        start = end;
                    }
                    first = end;
                }
            }
        }
    }
}
