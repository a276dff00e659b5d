//! Why a node is among the results: what each seed contributes, and the best paths there.
//!
//! **Contributions.** The core is linear in the seeds, `q_s = sum over u of s(u) * q_u`, so that seed *u* contributes
//! `s(u) * q_u(v)` to the core of *v*, and each policy carries it over to the score:
//!
//! | policy | seed *u* contributes to *v* | what happens to mass that ends at dangling nodes |
//! |---|---|---|
//! | `restart` | `s(u) * q_u(v) / sum(q)` | it begins again at a seed, and counts for *that* seed from then on |
//! | `drop` | `s(u) * q_u(v)` | nothing |
//! | `self-loop` | `s(u) * q_u(v)`, divided by `restart_prob` on *D* | it stays where it is |
//! | `uniform` | `s(u) * (q_u(v) + k(u) * g(v))`, `k(u) = c q_u(D) / (1 - c g(D))` | it begins again anywhere, and still counts for its seed: the second term is stated apart, as `restarted` |
//!
//! **Contributions add up to the score, under every policy**, up to rounding where the method is exact or `lookup`, and up
//! to the errors of its estimates where it is `combine`, which estimates anew for each seed. (Test: `query::tests::explanation`.)
//!
//! **Paths.** See [`super::neighbourhood`] for where they are searched and [`super::paths`] for how. A walk of probability
//! *p* along a path pays `restart_prob * p` to the core of the node where the path ends; so a path's share of the score is
//! known, and paths that visit a node twice, which are not listed, have what is left.

use std::collections::BTreeSet;

use serde::Serialize;

use super::answer::{Answer, Ranked};
use super::answerer::{Answerer, Part};
use super::neighbourhood::{self, Bounds, Neighbourhood};
use super::paths;
use super::question::{Dangling, Method, Question};
use super::seeds::Seeds;
use super::shape::Shape;
use crate::error::{Error, Result};
use crate::ids::NodeId;
use crate::kinds::Kinds;

/// Edges pushed along for contributions to exact answers, about: half a minute at most.
const MOST_EXACT_WORK: f64 = 5e9;
/// So many seeds are told even where their exact answers cost more.
const LEAST_SEEDS: usize = 2;

/// How much to explain.
#[derive(Debug, Clone, Copy)]
pub struct ExplainSettings<'k> {
    /// The most paths of a result.
    pub paths: usize,
    /// Paths of less than this times the probability of a result's best path are left out. At least 0, at most 1.
    pub least: f64,
    /// The most seeds whose contributions are told one by one. Each costs an answer; where answers are exact, they are no
    /// more than about 5e9 edges are read for, but two at least.
    pub seeds: usize,
    /// The edges of the neighbourhood in which paths are searched.
    pub edges: usize,
    /// The edges that may be read to find the results.
    pub work: u64,
    /// The types of the graph's edges, when paths shall tell them.
    pub kinds: Option<&'k Kinds>,
}

impl Default for ExplainSettings<'_> {
    /// Three paths of at least a hundredth of the best, 64 seeds, a neighbourhood of 50,000 edges, 2,000,000 edges read,
    /// no types.
    fn default() -> Self {
        ExplainSettings { paths: 3, least: 1e-2, seeds: 64, edges: 50_000, work: 2_000_000, kinds: None }
    }
}

/// The explanation of an answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// One explanation a result, in the order of the results.
    pub results: Vec<Explained>,
    /// Where paths were searched.
    pub searched: Searched,
}

/// The part of the graph where paths were searched.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Searched {
    /// Nodes of the neighbourhood.
    pub nodes: usize,
    /// Edges of the neighbourhood.
    pub edges: usize,
    /// Edges that were read to find it.
    pub edges_read: u64,
    /// No path of a higher probability lies outside; 0 when all that can be reached lies inside.
    pub floor: f64,
}

/// The explanation of one result.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explained {
    /// The node.
    #[serde(skip)]
    pub node: NodeId,
    /// Its external id.
    pub id: String,
    /// Its score in the answer.
    pub score: f64,
    /// What seeds contribute, the most first.
    pub contributions: Vec<Contribution>,
    /// What all other seeds contribute together, when not all are told: see [`ExplainSettings::seeds`].
    pub others: Option<Others>,
    /// The best paths, the best first.
    pub paths: Vec<Path>,
    /// Whether there may be better ones.
    pub status: PathStatus,
}

/// What one seed contributes to one score.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Contribution {
    /// The seed.
    #[serde(skip)]
    pub seed: NodeId,
    /// Its external id.
    pub id: String,
    /// Its weight among the seeds, which sum to 1.
    pub weight: f64,
    /// What it contributes to the score.
    pub score: f64,
    /// The standard error of that; 0 where scores are exact, or where one seed has the whole score.
    pub std_error: f64,
    /// The part of [`Contribution::score`] by walks that ended at a dangling node and began again anywhere: only under
    /// [`Dangling::Uniform`].
    pub restarted: f64,
    /// [`Contribution::score`] divided by the score.
    pub share: f64,
}

/// Seeds that are not told one by one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Others {
    /// How many they are.
    pub seeds: usize,
    /// What they contribute together: the score less all that is told one by one.
    pub score: f64,
    /// The same, divided by the score.
    pub share: f64,
}

/// A path from a seed to a result that visits no node twice.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Path {
    /// The seed's weight x for each edge `1 - restart_prob` x its transition probability.
    pub probability: f64,
    /// The share of the score that walks along this very path have; at most 1.
    pub share: f64,
    /// The nodes, from the seed to the result; only one when the result is a seed itself.
    #[serde(skip)]
    pub nodes: Vec<NodeId>,
    /// Their external ids.
    #[serde(rename = "nodes")]
    pub ids: Vec<String>,
    /// The edges between them.
    pub edges: Vec<Hop>,
}

/// An edge of a path.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Hop {
    /// The edge's weight.
    pub weight: f64,
    /// Its transition probability: the weight divided by the sum of the weights that leave the node.
    pub probability: f64,
    /// Its types; several where parallel edges were added up, none where the store has no types.
    pub kinds: Vec<String>,
}

/// What is known of a result's paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PathStatus {
    /// There are no better ones.
    Best,
    /// The search ended before it could exclude better ones: see [`Searched::floor`].
    Bounded,
    /// The search ended before it met the node: its best path is at most as probable as [`Searched::floor`].
    Beyond,
    /// No path leads there. Under [`Dangling::Uniform`] walks begin again at any node; under other policies it means
    /// that probabilities are too small for a number.
    Unreachable,
}

impl Answerer<'_> {
    /// Explains the results of `answer`, which this answerer gave to `question`.
    ///
    /// Cost: one answer more by the answer's method; with several seeds one more for each of them, of
    /// [`ExplainSettings::seeds`] at most (of more seeds, those on the paths that are found and then the heaviest are
    /// chosen); a search of about 100 ns an edge that is read; and for each result a search through the neighbourhood,
    /// a few milliseconds at 50,000 edges.
    ///
    /// # Errors
    /// As [`Answerer::answer`], and when a setting is outside its range or the answer has a node that the graph has not.
    pub fn explain(
        &mut self,
        question: &Question,
        answer: &Answer,
        settings: &ExplainSettings<'_>,
    ) -> Result<Explanation> {
        let graph = self.graph();
        if !(0.0..=1.0).contains(&settings.least) {
            let got = settings.least.to_string();
            return Err(Error::Parameter { name: "least", expected: "at least 0 and at most 1", got });
        }
        let nodes: Vec<NodeId> = answer.results.iter().map(|result| result.node).collect();
        if let Some(node) = nodes.iter().find(|&&node| graph.nodes() <= node as usize) {
            let (expected, got) = ("nodes of this graph", node.to_string());
            return Err(Error::Parameter { name: "answer", expected, got });
        }
        let (method, dangling) = (answer.method, linear(answer.dangling));
        let mut whole = Question { method, dangling, shape: Shape::default(), ..question.clone() };
        if method == Method::Lookup {
            whole.precision = None; // the answer was precise enough
        }
        let parts = self.parts(&whole, &nodes)?;
        let seeds = question.seeds.weights();
        let bounds = Bounds { edges: settings.edges, work: settings.work };
        let neighbourhood = neighbourhood::explore(graph, self.restart_prob(), seeds, &nodes, bounds, &self.halt)?;
        let mut results = Vec::with_capacity(nodes.len());
        for (result, part) in answer.results.iter().zip(&parts) {
            let found = paths::best(&neighbourhood, result.node, settings.paths, settings.least, &self.halt)?;
            let mut best = Vec::with_capacity(found.paths.len());
            for place in &found.paths {
                best.push(self.path(&neighbourhood, place, result, part, settings.kinds)?);
            }
            let status = path_status(&neighbourhood, result.node, &best, found.whole);
            let id = result.id.clone();
            results.push(Explained {
                node: result.node,
                id,
                score: result.score,
                contributions: Vec::new(),
                others: None,
                paths: best,
                status,
            });
        }
        self.contributions(&whole, &parts, settings.seeds, &mut results)?;
        let searched = Searched {
            nodes: neighbourhood.graph.node_count() - 1,
            edges: neighbourhood.graph.edge_count() - neighbourhood.graph.neighbors(neighbourhood.root).count(),
            edges_read: neighbourhood.read,
            floor: neighbourhood.floor,
        };
        Ok(Explanation { results, searched })
    }

    fn path(
        &self,
        neighbourhood: &Neighbourhood,
        places: &[petgraph::graph::NodeIndex],
        result: &Ranked,
        part: &Part,
        kinds: Option<&Kinds>,
    ) -> Result<Path> {
        let graph = self.graph();
        let nodes: Vec<NodeId> = places.iter().skip(1).map(|&place| neighbourhood.graph[place]).collect();
        let mut probability = 1.0;
        let mut edges = Vec::with_capacity(nodes.len().saturating_sub(1));
        for pair in places.windows(2) {
            let edge = neighbourhood.graph.find_edge(pair[0], pair[1]);
            let step = neighbourhood.graph[edge.expect("a path follows edges")];
            probability *= step.probability;
            if pair[0] != neighbourhood.root {
                let source = neighbourhood.graph[pair[0]];
                let row = graph.row(source)?;
                let first = usize::try_from(graph.offsets()[source as usize]).map_err(|_| graph.damaged_row(source))?;
                let weight = row.weight(step.place - first);
                let kinds = kinds.into_iter().flat_map(|kinds| kinds.edge_kinds(step.place)).map(str::to_owned);
                edges.push(Hop { weight, probability: weight / row.total, kinds: kinds.collect() });
            }
        }
        // Of the score, what walks from seeds have without beginning again; and of that, what this path has.
        let direct = 1.0 - part.restarted / part.score;
        let share = direct * self.restart_prob() * probability / part.core;
        let ids = nodes.iter().map(|&node| self.labels().id(node)).collect::<Result<Vec<String>>>()?;
        debug_assert_eq!(nodes.last(), Some(&result.node));
        Ok(Path { probability, share: if share.is_finite() { share.min(1.0) } else { 0.0 }, nodes, ids, edges })
    }

    /// How many seeds may be answered by themselves.
    fn affordable(&self, whole: &Question, most: usize) -> usize {
        if whole.method != Method::Exact {
            return most;
        }
        let passes = -whole.residual.ln() / (2.0 * self.restart_prob()); // see the table of `query`
        let work = passes * (self.graph().nodes() + self.graph().edges()) as f64;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative; `as` saturates")]
        let affordable = (MOST_EXACT_WORK / work) as usize;
        most.min(affordable.max(LEAST_SEEDS))
    }

    /// Fills in what each seed contributes.
    fn contributions(
        &mut self,
        whole: &Question,
        parts: &[Part],
        most: usize,
        results: &mut [Explained],
    ) -> Result<()> {
        let all = whole.seeds.weights();
        let nodes: Vec<NodeId> = results.iter().map(|result| result.node).collect();
        let told = told(all, self.affordable(whole, most), results);
        for &(seed, weight) in &told {
            let alone;
            let contributed = if all.len() == 1 {
                parts
            } else {
                alone = self.parts(&Question { seeds: Seeds::single(seed), ..whole.clone() }, &nodes)?;
                &alone
            };
            let id = self.labels().id(seed)?;
            for ((result, part), contributed) in results.iter_mut().zip(parts).zip(contributed) {
                // From the linear policy's scores to the answer's.
                let factor = if 0.0 < part.score { result.score / part.score } else { 0.0 };
                let score = weight * contributed.score * factor;
                let std_error = if all.len() == 1 { 0.0 } else { weight * contributed.std_error * factor };
                let restarted = weight * contributed.restarted * factor;
                let (id, share) = (id.clone(), score / result.score);
                result.contributions.push(Contribution { seed, id, weight, score, std_error, restarted, share });
            }
        }
        for result in results {
            result.contributions.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.seed.cmp(&b.seed)));
            if told.len() < all.len() {
                let score = result.score - result.contributions.iter().map(|one| one.score).sum::<f64>();
                result.others = Some(Others { seeds: all.len() - told.len(), score, share: score / result.score });
            }
        }
        Ok(())
    }
}

/// The policy whose scores are linear in the seeds and in proportion to those of `dangling`. (`restart` divides by a sum
/// that is another for every set of seeds.)
fn linear(dangling: Dangling) -> Dangling {
    match dangling {
        Dangling::Restart => Dangling::Drop,
        other => other,
    }
}

/// The seeds that are told one by one: all when they are few; else those on the paths, the paths of the best result first,
/// then the heaviest. A seed contributes no more than its weight times what the node would have of itself.
fn told(all: &[(NodeId, f64)], most: usize, results: &[Explained]) -> Vec<(NodeId, f64)> {
    if all.len() <= most {
        return all.to_vec();
    }
    let on_paths = results.iter().flat_map(|result| &result.paths).filter_map(|path| path.nodes.first());
    let weight_of = |&node: &NodeId| all.binary_search_by_key(&node, |seed| seed.0).ok().map(|at| all[at]);
    let mut heaviest = all.to_vec();
    heaviest.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let mut seen = BTreeSet::new();
    on_paths.filter_map(weight_of).chain(heaviest).filter(|&(node, _)| seen.insert(node)).take(most).collect()
}

fn path_status(neighbourhood: &Neighbourhood, node: NodeId, paths: &[Path], whole: bool) -> PathStatus {
    let floor = neighbourhood.floor;
    match paths.last() {
        None if neighbourhood.place(node).is_some() => PathStatus::Bounded,
        None if floor == 0.0 => PathStatus::Unreachable,
        None => PathStatus::Beyond,
        Some(worst) if whole && floor <= worst.probability => PathStatus::Best,
        Some(_) => PathStatus::Bounded,
    }
}
