//! Suite `query`: questions of one seed each, answered from an index and exactly.
//!
//! The error of an answer is its L1 distance from the exact one over all nodes. The exact method itself is checked
//! against power iteration, with which it shares no code.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::json;
use walkprint_cluster::build::{BuildProgress, build_index};
use walkprint_engine::graph::Graph;
use walkprint_engine::ids::NodeId;
use walkprint_engine::index::Index;
use walkprint_engine::labels::Labels;
use walkprint_engine::query::{Answer, Answerer, Dangling, Method, Question, Seeds};
use walkprint_engine::store::Store;

use crate::build::PlanOptions;
use crate::exact::{self, LANES};
use crate::figure::{Figure, Target, mean_and_error, median, quantile, ratios};
use crate::graphs::{GraphFacts, GraphOptions, random_sources};
use crate::machine::cores;
use crate::report::{Output, Report};

/// How far the exact method may be from power iteration, in L1: both stop at a residual far below.
const EXACT_TOLERANCE: f64 = 1e-9;
/// The methods that are held against the exact one.
const ESTIMATES: [Method; 2] = [Method::Lookup, Method::Combine];
/// Residual of exact answers.
const RESIDUAL: f64 = 1e-12;

/// What to measure.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    graph: GraphOptions,
    /// Rounds; each asks every question by every method
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// How many questions, each of one random seed that is not dangling
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    questions: u32,
    /// How many results are compared for precision
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    top: u32,
    /// Which index of a store; for other graphs an index is built [default: default]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    plan: PlanOptions,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// What is asked.
struct Asked {
    graph: Graph,
    labels: Labels,
    index: Index,
    facts: GraphFacts,
    /// Holds the files of a temporary store.
    _directory: tempfile::TempDir,
}

/// Times of one method: for each round, one entry a question, in milliseconds.
type Rounds = Vec<Vec<f64>>;

/// Runs the suite.
///
/// # Errors
/// When graph or index cannot be had.
pub(crate) fn run(options: &Options) -> Result<Report> {
    let asked = prepare(options)?;
    let mut report = Report::new("query", asked.facts.clone());
    let restart_prob = asked.index.plan().restart_prob;
    let sources = random_sources(&asked.graph, options.questions as usize, options.graph.key)?;
    let mut answerer = Answerer::new(&asked.graph, &asked.labels, Some(&asked.index), restart_prob)?;
    let methods = [ESTIMATES[0], ESTIMATES[1], Method::Exact];
    let mut times: [Rounds; 3] = Default::default();
    for _ in 0..options.runs {
        times.iter_mut().for_each(|rounds| rounds.push(Vec::new()));
        for &source in &sources {
            for (method, rounds) in methods.iter().zip(&mut times) {
                let question = question(*method, source, options.top as usize);
                let began = Instant::now();
                std::hint::black_box(answerer.answer(&question)?);
                let millis = began.elapsed().as_secs_f64() * 1e3;
                rounds.last_mut().context("a round has begun")?.push(millis);
            }
        }
    }
    report.parameters(json!({
        "plan": asked.index.plan(), "index": asked.index.entry().fingerprint_digest, "runs": options.runs,
        "questions": sources.len(), "top": options.top, "exact_residual": RESIDUAL,
    }));
    let accuracies = accuracies(&mut answerer, &sources, options.top as usize)?;
    for (place, (method, rounds)) in methods.iter().zip(&times).enumerate() {
        describe_times(&mut report, *method, rounds);
        if let Some(accuracy) = accuracies.get(place) {
            describe_accuracy(&mut report, *method, accuracy);
        }
    }
    let round_medians = |rounds: &Rounds| rounds.iter().map(|round| median(round)).collect::<Vec<f64>>();
    let gain = ratios(&round_medians(&times[2]), &round_medians(&times[1]));
    report.figure(Figure::trials("ratios, round by round", "exact / combine", "by median time", gain));
    check_exact(&mut report, &asked.graph, &mut answerer, restart_prob, &sources)?;
    Ok(report)
}

/// Opens the index of a store, or makes a store and an index.
fn prepare(options: &Options) -> Result<Asked> {
    if options.name.is_some() && !options.graph.is_store() {
        bail!("--name chooses an index of a store; for other graphs one is built");
    }
    let directory = tempfile::tempdir().context("could not make a temporary directory")?;
    let (store, facts) = options.graph.store(&directory.path().join("bench.wp"))?;
    let build = options.plan.build_options(options.graph.key, cores());
    let (store, name) = if options.graph.is_store() {
        (store, options.name.as_deref().unwrap_or("default"))
    } else {
        build_index(store.path(), &build, &Arc::new(BuildProgress::default()), &mut |_| {})?;
        (Store::open(store.path())?, build.name.as_str())
    };
    let (graph, labels) = (store.graph()?, store.labels()?);
    let index = store.index(name, &graph)?;
    Ok(Asked { graph, labels, index, facts, _directory: directory })
}

fn question(method: Method, source: NodeId, top: usize) -> Question {
    let dangling = Dangling::Restart;
    Question { method, top, dangling, residual: RESIDUAL, ..Question::new(Seeds::single(source)) }
}

fn describe_times(report: &mut Report, method: Method, rounds: &Rounds) {
    let of = |share| rounds.iter().map(|round| quantile(round, share)).collect::<Vec<f64>>();
    let middle = Figure::trials(method, "time, median of questions", "ms", of(0.5));
    let target = method == Method::Combine;
    report.figure(if target { middle.with_target(Target::AtMost(4.0)) } else { middle });
    report.figure(Figure::trials(method, "time, slowest question", "ms", of(1.0)));
}

/// How good one method's answers are, question by question.
#[derive(Default)]
struct Accuracy {
    distances: Vec<f64>,
    precisions: Vec<f64>,
    accounted: Vec<f64>,
}

fn accuracies(answerer: &mut Answerer<'_>, sources: &[NodeId], top: usize) -> Result<[Accuracy; 2]> {
    let mut accuracies: [Accuracy; 2] = Default::default();
    for &source in sources {
        let exact = answerer.scores(&question(Method::Exact, source, top))?;
        let truth = answerer.answer(&question(Method::Exact, source, top))?;
        for (method, accuracy) in ESTIMATES.iter().zip(&mut accuracies) {
            let estimate = answerer.scores(&question(*method, source, top))?;
            accuracy.distances.push(distance(&estimate.scores, &exact.scores));
            accuracy.accounted.push(estimate.mass_accounted);
            let best = answerer.answer(&question(*method, source, top))?;
            accuracy.precisions.push(precision(&best, &truth));
        }
    }
    Ok(accuracies)
}

fn describe_accuracy(report: &mut Report, method: Method, accuracy: &Accuracy) {
    let (mean, error) = mean_and_error(&accuracy.distances);
    let figure = Figure::single(method, "L1 from exact, mean", "", mean).with_std_error(error);
    report.figure(if method == Method::Combine { figure.with_target(Target::AtMost(0.04)) } else { figure });
    report.figure(Figure::single(method, "L1 from exact, largest", "", quantile(&accuracy.distances, 1.0)));
    let (mean, error) = mean_and_error(&accuracy.precisions);
    report.figure(Figure::single(method, "precision of the top", "", mean).with_std_error(error));
    report.figure(Figure::single(method, "mass accounted, least", "", quantile(&accuracy.accounted, 0.0)));
}

/// The linear core of the exact method against power iteration.
fn check_exact(
    report: &mut Report,
    graph: &Graph,
    answerer: &mut Answerer<'_>,
    restart_prob: f64,
    sources: &[NodeId],
) -> Result<()> {
    let sources = &sources[..sources.len().min(LANES)];
    let mut largest = 0.0f64;
    for (&source, core) in sources.iter().zip(exact::cores(graph, restart_prob, sources)?) {
        let question = Question { dangling: Dangling::Drop, ..question(Method::Exact, source, 1) };
        largest = largest.max(distance(&answerer.scores(&question)?.scores, &core));
    }
    let evidence = format!("L1 at most {largest:.1e} over {} questions", sources.len());
    report.check("exact answers agree with power iteration", largest <= EXACT_TOLERANCE, evidence);
    Ok(())
}

fn distance(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(left, right)| (left - right).abs()).sum()
}

/// The share of the true best results that were found.
fn precision(answer: &Answer, truth: &Answer) -> f64 {
    let mut found: Vec<NodeId> = answer.results.iter().map(|ranked| ranked.node).collect();
    found.sort_unstable();
    let hits = truth.results.iter().filter(|ranked| found.binary_search(&ranked.node).is_ok()).count();
    hits as f64 / truth.results.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_add_up_over_all_nodes() {
        assert!((distance(&[0.5, 0.5, 0.0], &[0.5, 0.25, 0.25]) - 0.5).abs() < 1e-15);
    }
}
