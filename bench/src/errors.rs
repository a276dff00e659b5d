//! Suite `errors`: whether answers are as sure as they say.
//!
//! An estimated score comes with a standard error, and a rank with a mark that says whether the next candidate could
//! belong above it. Held against exact scores of many sources: how many scores lie within two standard errors of the
//! truth, among the results and among all nodes that have an estimate; and how many ranks that are marked stable really
//! are in order.

use anyhow::Result;
use clap::Args;
use serde_json::json;
use walkprint_engine::query::{Answer, Answerer, Method, Question, Scores, Seeds};

use crate::figure::{Figure, Quantity, Target, mean_and_error};
use crate::graphs::random_sources;
use crate::indexed::{IndexedOptions, RESIDUAL, check_exact, true_question};
use crate::report::{Output, Report, Sheet, SheetRow};

/// Two standard errors, and what rounding may add.
const WITHIN: f64 = 2.0;
const ROUNDING: f64 = 1e-9;
/// What each share should be.
const TARGET: f64 = 0.95;
/// Quantities.
const RESULTS: Quantity = ("results within two standard errors", "share");
const NODES: Quantity = ("all estimated nodes within two standard errors", "share");
const STABLE_RIGHT: Quantity = ("stable ranks that are right", "share");
const STABLE: Quantity = ("ranks that are marked stable", "share");
const ALL_RIGHT: Quantity = ("all ranks that are right", "share");
const SIZE: Quantity = ("standard errors together, by true L1 error", "ratio");

/// What to measure.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    indexed: IndexedOptions,
    /// How many random nodes that are not dangling to ask about
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(2..))]
    sources: u32,
    /// How many results are looked at
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    top: u32,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// One of the shares of a source.
type Part = fn(&Found) -> Share;

/// A share in the making.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
struct Share {
    right: u64,
    all: u64,
}

impl Share {
    fn count(&mut self, right: bool) {
        self.right += u64::from(right);
        self.all += 1;
    }

    /// `None` when there is nothing to have a share of.
    fn value(self) -> Option<f64> {
        (self.all != 0).then(|| self.right as f64 / self.all as f64)
    }
}

/// What was found for one source.
#[derive(Debug, Default)]
struct Found {
    results: Share,
    nodes: Share,
    stable_right: Share,
    stable: Share,
    all_right: Share,
    /// Sum of standard errors over the L1 error.
    size: Option<f64>,
}

/// Runs the suite.
///
/// # Errors
/// When graph or index cannot be had.
pub(crate) fn run(options: &Options) -> Result<Report> {
    let asked = options.indexed.open()?;
    let mut report = Report::new("errors", asked.facts.clone());
    let restart_prob = asked.index.plan().restart_prob;
    let key = options.indexed.graph.key;
    let sources = random_sources(&asked.graph, options.sources as usize, key)?;
    let mut answerer = Answerer::new(&asked.graph, &asked.labels, Some(&asked.index), restart_prob)?;
    let methods = [Method::Combine, Method::Lookup];
    let mut found: [Vec<Found>; 2] = Default::default();
    for &source in &sources {
        let truth = answerer.scores(&true_question(Seeds::single(source)))?.scores;
        for (&method, found) in methods.iter().zip(&mut found) {
            // One more than is looked at: the last rank is compared with the next.
            let top = options.top as usize + 1;
            let question = Question { method, top, ..Question::new(Seeds::single(source)) };
            let (answer, scores) = (answerer.answer(&question)?, answerer.scores(&question)?);
            found.push(judge(&answer, &scores, &truth, options.top as usize));
        }
    }
    report.parameters(json!({
        "plan": asked.index.plan(), "index_digest": asked.index.entry().fingerprint_digest, "sources": sources.len(),
        "top": options.top, "key": key, "exact_residual": RESIDUAL,
    }));
    for (&method, found) in methods.iter().zip(&found) {
        describe(&mut report, method, found);
    }
    let row = |method: &Method| SheetRow {
        case: method.to_string(),
        name: method.to_string(),
        words: Vec::new(),
        ours: false,
    };
    report.sheets.push(Sheet {
        title: "How sure, and how right".to_owned(),
        caption: format!(
            "Shares over {} sources, K = {}; small: ± one standard error over sources.",
            sources.len(),
            options.top
        ),
        rows: methods.iter().map(row).collect(),
        word_columns: Vec::new(),
        columns: vec![RESULTS, NODES, STABLE_RIGHT, STABLE, ALL_RIGHT, SIZE],
        folded: false,
    });
    let seeds: Vec<Seeds> = sources.iter().map(|&source| Seeds::single(source)).collect();
    check_exact(&mut report, &asked.graph, &mut answerer, restart_prob, &seeds)?;
    report.note("a node that no walk met has no estimate, and a score of zero with a standard error of zero");
    report.note("a rank is right when the true score of the next candidate is no larger, rounding apart");
    Ok(report)
}

fn judge(answer: &Answer, scores: &Scores, truth: &[f64], top: usize) -> Found {
    let within = |score: f64, std_error: f64, truth: f64| {
        (score - truth).abs() <= WITHIN * std_error + ROUNDING * truth.max(score)
    };
    let mut found = Found::default();
    for (at, ranked) in answer.results.iter().take(top).enumerate() {
        let truth_here = truth[ranked.node as usize];
        found.results.count(within(ranked.score, ranked.std_error, truth_here));
        let Some(next) = answer.results.get(at + 1) else { continue };
        let right = truth[next.node as usize] * (1.0 - ROUNDING) <= truth_here;
        found.all_right.count(right);
        found.stable.count(ranked.rank_stable);
        if ranked.rank_stable {
            found.stable_right.count(right);
        }
    }
    let (mut distance, mut errors) = (0.0, 0.0);
    for ((&score, &std_error), &truth) in scores.scores.iter().zip(&scores.std_errors).zip(truth) {
        distance += (score - truth).abs();
        errors += std_error;
        if 0.0 < std_error {
            found.nodes.count(within(score, std_error, truth));
        }
    }
    found.size = (0.0 < distance).then(|| errors / distance);
    found
}

fn describe(report: &mut Report, method: Method, found: &[Found]) {
    let shares: [(Quantity, Part, bool); 5] = [
        (RESULTS, |found| found.results, true),
        (NODES, |found| found.nodes, true),
        (STABLE_RIGHT, |found| found.stable_right, true),
        (STABLE, |found| found.stable, false),
        (ALL_RIGHT, |found| found.all_right, false),
    ];
    for ((name, unit), part, has_target) in shares {
        // Over everything; how sources differ says how far that can be trusted.
        let all = found
            .iter()
            .map(part)
            .fold(Share::default(), |sum, share| Share { right: sum.right + share.right, all: sum.all + share.all });
        let Some(value) = all.value() else { continue };
        let (_, error) = mean_and_error(&found.iter().filter_map(|found| part(found).value()).collect::<Vec<f64>>());
        let figure = Figure::single(method, name, unit, value).with_std_error(error);
        report.figure(if has_target { figure.with_target(Target::AtLeast(TARGET)) } else { figure });
    }
    let sizes: Vec<f64> = found.iter().filter_map(|found| found.size).collect();
    if !sizes.is_empty() {
        let (mean, error) = mean_and_error(&sizes);
        report.figure(Figure::single(method, SIZE.0, SIZE.1, mean).with_std_error(error));
    }
}

#[cfg(test)]
mod tests {
    use walkprint_engine::query::{Dangling, Ranked, Status};

    use super::*;

    fn ranked(node: u32, score: f64, std_error: f64, rank_stable: bool) -> Ranked {
        Ranked { node, id: node.to_string(), score, std_error, rank: 1, rank_stable, support: None }
    }

    #[test]
    fn marks_and_errors_are_held_against_the_truth() {
        let (method, dangling, status) =
            (Method::Combine, Dangling::Restart, Status::Estimated { sampled: 0.5, l1_error: 0.5 });
        let results = vec![
            ranked(0, 0.5, 0.01, true),  // exact 0.49: within; above node 1: right
            ranked(1, 0.3, 0.01, true),  // exact 0.2: not within; below node 2: wrong
            ranked(2, 0.2, 0.05, false), // exact 0.29: within; not marked; above node 3: right
            ranked(3, 0.1, 0.0, true),   // beyond the top: the last rank's neighbour only
        ];
        let answer = Answer { results, method, dangling, mass_accounted: 1.0, truncated: false, status };
        let (all, std_errors) = (vec![0.5, 0.3, 0.2, 0.1, 0.0], vec![0.01, 0.01, 0.05, 0.0, 0.0]);
        let scores = Scores { scores: all, std_errors, method, dangling, mass_accounted: 1.0, status };
        let found = judge(&answer, &scores, &[0.49, 0.2, 0.29, 0.02, 0.1], 3);
        assert_eq!(found.results, Share { right: 2, all: 3 });
        assert_eq!(found.nodes, Share { right: 2, all: 3 }, "nodes without a standard error have no estimate");
        assert_eq!(found.stable, Share { right: 2, all: 3 });
        assert_eq!(found.stable_right, Share { right: 1, all: 2 });
        assert_eq!(found.all_right, Share { right: 2, all: 3 });
        assert!((found.size.unwrap() - 0.07 / 0.38).abs() < 1e-12);
    }
}
