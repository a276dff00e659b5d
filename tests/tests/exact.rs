//! Keeps: **exact mode is exact** (issue 2, show 2). Its scores equal an independent dense solve under every dangling
//! policy, in every node order; and those that networkx and igraph computed for the same graphs and seeds.

use std::collections::BTreeMap;

use serde_json::Value;
use walkprint_engine::error::Error;
use walkprint_engine::graph::{BuiltGraph, NodeOrder, build};
use walkprint_engine::ids::{ExternalIds, StringTable};
use walkprint_engine::labels::Labels;
use walkprint_engine::query::{Answerer, Dangling, Method, Question, Scores, Seeds, Status};
use walkprint_tests::dense;
use walkprint_tests::draws::Draws;
use walkprint_tests::graphs::{PlainGraph, anything};

const ORDERS: [NodeOrder; 3] = [NodeOrder::Id, NodeOrder::Degree, NodeOrder::BreadthFirst];
const POLICIES: [Dangling; 4] = [Dangling::Restart, Dangling::Drop, Dangling::SelfLoop, Dangling::Uniform];

/// The residual that exact answers are pushed to, a hundredth of the tolerance: self-loops divide it by the restart
/// probability, and rounding needs room too.
const RESIDUAL: f64 = 1e-15;
const TOLERANCE: f64 = 1e-12;

/// A graph with its labels in a temporary file.
struct Subject {
    built: BuiltGraph,
    labels: Labels,
    _directory: tempfile::TempDir,
}

impl Subject {
    fn new(graph: &PlainGraph, order: NodeOrder) -> Subject {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let built = build(graph.edge_list(), order).expect("a test's graph can be built");
        let path = directory.path().join("labels.wpl");
        Labels::write(&path, &built.ids, &built.rank_of_node).expect("a small file");
        Subject { labels: Labels::open(&path).expect("a file just written"), built, _directory: directory }
    }

    fn answerer(&self, restart_prob: f64) -> Answerer<'_> {
        Answerer::new(&self.built.graph, &self.labels, None, restart_prob).expect("a graph and its labels")
    }

    /// Numbers by node as numbers by rank.
    fn by_rank(&self, by_node: &[f64]) -> Vec<f64> {
        let mut by_rank = vec![0.0; by_node.len()];
        for (&rank, &number) in self.built.rank_of_node.iter().zip(by_node) {
            by_rank[rank as usize] = number;
        }
        by_rank
    }

    /// Seeds by rank as seeds of nodes.
    fn seeds(&self, by_rank: &[f64]) -> Seeds {
        let ranks = self.built.rank_of_node.iter().enumerate();
        let weights = ranks.map(|(node, &rank)| (u32::try_from(node).expect("a small graph"), by_rank[rank as usize]));
        Seeds::from_weights(by_rank.len(), weights.collect()).expect("seeds with some weight")
    }
}

fn question(seeds: Seeds, dangling: Dangling) -> Question {
    let nodes = 1 << 20;
    Question { method: Method::Exact, dangling, residual: RESIDUAL, top: nodes, ..Question::new(seeds) }
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum()
}

fn expect_exact(scores: &Scores, expected: &[f64], got: &[f64], context: &str) {
    let Status::Exact { error_bound, .. } = scores.status else { panic!("{context}: {:?}", scores.status) };
    let distance = distance(got, expected);
    assert!(error_bound <= TOLERANCE, "{context}: bound {error_bound}");
    assert!(distance <= TOLERANCE, "{context}: L1 {distance}\ngot {got:?}\nexpected {expected:?}");
    assert!(scores.std_errors.iter().all(|&error| error == 0.0), "{context}");
}

/// Normalised seeds by rank: one node, some, or all.
fn any_seeds(draws: &mut Draws, nodes: usize) -> Vec<f64> {
    let mut seeds = vec![0.0; nodes];
    let count = [1, 3, nodes][draws.below(3) as usize];
    for _ in 0..count {
        let at = draws.below(u32::try_from(nodes).expect("a small graph")) as usize;
        seeds[at] += 1.0 - draws.unit();
    }
    let sum: f64 = seeds.iter().sum();
    seeds.iter_mut().for_each(|weight| *weight /= sum);
    seeds
}

#[test]
fn two_hundred_graphs_agree_with_a_dense_solve() {
    // What the cases must contain between them, or the test would say less than its name.
    let mut seen = BTreeMap::new();
    for case in 0..200 {
        let mut draws = Draws::new(case);
        let graph = anything(&mut draws);
        let transitions = graph.transitions();
        let restart_prob = match draws.below(5) {
            0 => 1.0,
            1 => 0.02,
            _ => 1.0 - 0.98 * draws.unit(),
        };
        let seeds = any_seeds(&mut draws, graph.nodes());
        for order in ORDERS {
            let subject = Subject::new(&graph, order);
            let mut answerer = subject.answerer(restart_prob);
            for dangling in POLICIES {
                let context = format!("case {case}, {order}, restart {restart_prob}, {dangling}");
                let expected = dense::scores(&transitions, &seeds, restart_prob, dangling);
                let question = question(subject.seeds(&seeds), dangling);
                let scores = answerer.scores(&question).unwrap();
                expect_exact(&scores, &expected, &subject.by_rank(&scores.scores), &context);

                // The ranked answer holds the same scores, falling, and leaves out nothing but zeros.
                let answer = answerer.answer(&question).unwrap();
                let mut ranked = vec![0.0; graph.nodes()];
                for (place, result) in answer.results.iter().enumerate() {
                    assert_eq!(result.rank, place + 1, "{context}");
                    let rank: usize = result.id.parse().unwrap();
                    assert_eq!(subject.built.rank_of_node[result.node as usize] as usize, rank, "{context}");
                    ranked[rank] = result.score;
                }
                assert!(answer.results.is_sorted_by(|a, b| b.score <= a.score), "{context}");
                assert!(distance(&ranked, &expected) <= TOLERANCE, "{context}");
                assert!(answer.truncated, "{context}: more was asked for than there is");
            }
            let report = &subject.built.report;
            let parts = [
                ("weighted", report.weighted),
                ("unweighted", !report.weighted),
                ("dangling", report.dangling_nodes != 0),
                ("no dangling", report.dangling_nodes == 0),
                ("self-loop", report.self_loops != 0),
                ("parallel", report.parallel_edges_merged != 0),
                ("zero weight", report.zero_weight_edges != 0),
            ];
            for (part, _) in parts.into_iter().filter(|(_, present)| *present) {
                *seen.entry(part).or_insert(0) += 1;
            }
        }
        let touched = |rank: u32| graph.edges.iter().any(|edge| edge.0 == rank || edge.1 == rank);
        if !(0..u32::try_from(graph.nodes()).unwrap()).all(touched) {
            *seen.entry("isolated").or_insert(0) += 3;
        }
        if 1 < components(&graph) {
            *seen.entry("several components with edges").or_insert(0) += 3;
        }
    }
    assert!(seen.len() == 9 && seen.values().all(|&count| 30 <= count), "{seen:?}");
}

/// How many weakly connected components have more than one node.
fn components(graph: &PlainGraph) -> usize {
    let mut parent: Vec<usize> = (0..graph.nodes()).collect();
    fn root(parent: &[usize], mut at: usize) -> usize {
        while parent[at] != at {
            at = parent[at];
        }
        at
    }
    for &(source, target, _) in &graph.edges {
        let (a, b) = (root(&parent, source as usize), root(&parent, target as usize));
        parent[a] = b;
    }
    let mut sizes = BTreeMap::new();
    (0..graph.nodes()).for_each(|node| *sizes.entry(root(&parent, node)).or_insert(0) += 1);
    sizes.values().filter(|&&size| 1 < size).count()
}

/// Weights whose sums or quotients leave the range of f64 when handled carelessly: right answers, or a refusal.
#[test]
fn weights_of_extreme_size_keep_their_proportions() {
    let edges = [(0, 1, 1.0), (0, 2, 3.0), (1, 0, 2.0), (2, 0, 1.0), (2, 2, 1.0), (2, 1, 4.0)];
    let scaled = |scale: f64| {
        let edges = edges.iter().map(|&(source, target, weight)| (source, target, weight * scale));
        PlainGraph::weighted(3, edges.collect())
    };
    let transitions = scaled(1.0).transitions();
    let expected = dense::scores(&transitions, &[1.0, 0.0, 0.0], 0.15, Dangling::Restart);
    for scale in [f64::MIN_POSITIVE, 1e-200, 1e200, 1e307] {
        let subject = Subject::new(&scaled(scale), NodeOrder::Id);
        let scores = subject.answerer(0.15).scores(&question(Seeds::single(0), Dangling::Restart)).unwrap();
        let distance = distance(&scores.scores, &expected);
        assert!(distance <= TOLERANCE, "weights of {scale:e}: L1 {distance}");
    }
    // Too small to be divided by, too large to be added up.
    for scale in [1e-320, 1e-310, 1e308] {
        assert!(matches!(build(scaled(scale).edge_list(), NodeOrder::Id), Err(Error::Graph { .. })), "{scale:e}");
    }
}

#[test]
fn networkx_and_igraph_agree() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/references/pagerank.json");
    let cases: Vec<Value> = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let mut seen = BTreeMap::new();
    for case in &cases {
        let name = case["name"].as_str().unwrap();
        let scores = case["scores"].as_object().unwrap();
        let graph = reference_graph(case);
        assert_eq!(graph.nodes(), scores.len(), "{name}");
        let dangling: Dangling = case["dangling"].as_str().unwrap().parse().unwrap();
        let restart_prob = case["restart_prob"].as_f64().unwrap();
        let seeds = case["seeds"].as_object().unwrap().iter();
        let seeds: Vec<(String, f64)> = seeds.map(|(id, weight)| (id.clone(), weight.as_f64().unwrap())).collect();
        *seen.entry((case["tool"].as_str().unwrap(), dangling.to_string())).or_insert(0) += 1;
        for order in ORDERS {
            let subject = Subject::new(&graph, order);
            let seeds = Seeds::resolve(&subject.labels, &seeds).unwrap();
            let answer = subject.answerer(restart_prob).answer(&question(seeds, dangling)).unwrap();
            let results = answer.results.iter().map(|result| (result.id.as_str(), result.score));
            let got: BTreeMap<&str, f64> = results.collect();
            for (id, expected) in scores {
                let (got, expected) = (got.get(id.as_str()).copied().unwrap_or(0.0), expected.as_f64().unwrap());
                assert!((got - expected).abs() <= 1e-9, "{name}, {order}, {id}: {got}, expected {expected}");
            }
        }
    }
    let pairs = ["restart", "uniform"].map(|policy| seen.get(&("networkx", policy.to_owned())).copied().unwrap_or(0));
    assert!(0 < pairs[0] && 0 < pairs[1], "{seen:?}");
    assert!(seen.contains_key(&("igraph", "restart".to_owned())), "{seen:?}");
}

/// The graph of a reference case: ids are strings or integers.
fn reference_graph(case: &Value) -> PlainGraph {
    let edges = case["edges"].as_array().expect("a list of edges");
    let ends = || edges.iter().flat_map(|edge| [&edge[0], &edge[1]]);
    let ids = if ends().all(Value::is_i64) {
        let mut ids: Vec<i64> = ends().map(|id| id.as_i64().expect("an integer")).collect();
        ids.sort_unstable();
        ids.dedup();
        ExternalIds::Integers(ids)
    } else {
        let mut names: Vec<&str> = ends().map(|id| id.as_str().expect("a string")).collect();
        names.sort_unstable();
        names.dedup();
        let mut table = StringTable::default();
        names.into_iter().for_each(|name| table.push(name));
        ExternalIds::Strings(table)
    };
    let text = |id: &Value| id.as_str().map_or_else(|| id.to_string(), str::to_owned);
    let rank = |id: &Value| u32::try_from(ids.rank(&text(id)).expect("an id of the list")).expect("a small graph");
    let edges =
        edges.iter().map(|edge| (rank(&edge[0]), rank(&edge[1]), edge[2].as_f64().expect("a weight"))).collect();
    PlainGraph { ids, edges, weighted: true, kinds: Default::default() }
}
