//! Suite `query`: questions of one seed each, answered from an index and exactly.
//!
//! The error of an answer is its L1 distance from the exact one over all nodes; what its first results are worth is
//! judged by their exact scores. The exact method itself is checked against power iteration, with which it shares no code.
//! The same methods told to go less or more far make curves of error against time.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use clap::Args;
use serde_json::json;
use walkprint_cluster::workers::Threads;
use walkprint_engine::ids::NodeId;
use walkprint_engine::query::{Answerer, Method, Question, Seeds};

use crate::figure::{Figure, Quantity, Target, mean_and_error, median, number, quantile, ratios};
use crate::graphs::random_sources;
use crate::indexed::{IndexedOptions, RESIDUAL, check_exact, true_question};
use crate::metrics::{self, GOODNESS, Judge, NDCG, PRECISION, Quality, distance, mean_precision};
use crate::plot::{Axis, Curve, Picture, Plot, Point};
use crate::report::{Output, Report, Sheet, SheetRow};

/// L1 errors that `combine` is told to aim at, and residuals of `exact`, that make their curves.
const PRECISIONS: [f64; 5] = [0.1, 0.03, 0.01, 3e-3, 1e-3];
const RESIDUALS: [f64; 5] = [1e-1, 1e-2, 1e-4, 1e-6, 1e-9];
/// The plot of precision shows methods from here on.
const LEAST_SHOWN: f64 = 0.8;
/// Quantities of the tables.
const TIME: Quantity = ("time, median of questions", "ms");
const SLOWEST: Quantity = ("time, slowest question", "ms");
const MEAN_ERROR: Quantity = ("L1 from exact, mean", "");
const LARGEST_ERROR: Quantity = ("L1 from exact, largest", "");
const ACCOUNTED: Quantity = ("mass accounted, least", "");

/// What to measure.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    indexed: IndexedOptions,
    /// Rounds; each asks every question by every method
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// How many questions, each of random seeds that are not dangling
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    questions: u32,
    /// How many random seeds, all of one weight, a question has
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    seeds_per_question: u32,
    /// Rounds in which the points of curves are measured as well (0: no curves)
    #[arg(long, default_value_t = 2)]
    curve_runs: u32,
    /// Also ask `exact` of so many threads together, as `walkprint query` does
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// How many results are judged
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    top: u32,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// A method at one setting.
struct Way {
    method: Method,
    kind: Kind,
    /// Precision or residual, on a curve's points.
    setting: Option<f64>,
    /// For each round, one entry a question, in milliseconds.
    rounds: Vec<Vec<f64>>,
    distances: Vec<f64>,
    qualities: Vec<Quality>,
    accounted: Vec<f64>,
}

/// What is special about a way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    /// Goes on until the results are settled.
    Settled,
    /// By so many threads.
    Together(u16),
}

/// Runs the suite.
///
/// # Errors
/// When graph or index cannot be had.
pub(crate) fn run(options: &Options) -> Result<Report> {
    let asked = options.indexed.open()?;
    let mut report = Report::new("query", asked.facts.clone());
    let restart_prob = asked.index.plan().restart_prob;
    let each = options.seeds_per_question as usize;
    let sources = random_sources(&asked.graph, each * options.questions as usize, options.indexed.graph.key)?;
    let seeds = |group: &[NodeId]| {
        Seeds::from_weights(asked.graph.nodes(), group.iter().map(|&source| (source, 1.0)).collect())
    };
    let questions = sources.chunks(each).map(seeds).collect::<Result<Vec<Seeds>, _>>()?;
    let mut answerer = Answerer::new(&asked.graph, &asked.labels, Some(&asked.index), restart_prob)?;
    let mut crewed = match options.threads {
        None => None,
        Some(threads) => {
            let own = Answerer::new(&asked.graph, &asked.labels, Some(&asked.index), restart_prob)?;
            let threads = Arc::new(Threads::new(threads.into()));
            Some(own.with_inflow(answerer.inflow()?).with_crew(threads))
        }
    };
    let mut ways = ways(options.curve_runs != 0, options.threads);
    for run in 0..options.runs {
        for way in ways.iter_mut().filter(|way| way.setting.is_none() || run < options.curve_runs) {
            let mut round = Vec::with_capacity(questions.len());
            for seeds in &questions {
                let question = way.question(seeds, options.top as usize);
                let answerer = way.answerer(&mut answerer, &mut crewed);
                let began = Instant::now();
                std::hint::black_box(answerer.answer(&question)?);
                round.push(began.elapsed().as_secs_f64() * 1e3);
            }
            way.rounds.push(round);
        }
    }
    report.parameters(json!({
        "plan": asked.index.plan(), "index_digest": asked.index.entry().fingerprint_digest, "runs": options.runs,
        "curve_runs": options.curve_runs, "questions": questions.len(), "seeds_per_question": each, "top": options.top,
        "key": options.indexed.graph.key, "exact_residual": RESIDUAL,
    }));
    for seeds in &questions {
        let judge = Judge::new(answerer.scores(&true_question(seeds.clone()))?.scores, options.top as usize);
        for way in &mut ways {
            let answerer = way.answerer(&mut answerer, &mut crewed);
            way.judge(answerer, &judge, seeds, options.top as usize)?;
        }
    }
    ways.iter().for_each(|way| way.describe(&mut report));
    tables_and_plots(&mut report, &ways, options.top);
    let round_medians = |way: &Way| way.rounds.iter().map(|round| median(round)).collect::<Vec<f64>>();
    let is_exact = |way: &&Way| way.method == Method::Exact && way.kind == Kind::Plain && way.setting.is_none();
    if let Some(exact) = ways.iter().find(is_exact) {
        let others = ways.iter().filter(|way| way.setting.is_none() && way.method != Method::Lookup && !is_exact(way));
        for way in others {
            let gain = ratios(&round_medians(exact), &round_medians(way));
            let case = format!("exact / {}, round by round", way.case());
            report.figure(Figure::trials(&case, "time", "ratio of medians", gain));
        }
    }
    check_exact(&mut report, &asked.graph, &mut answerer, restart_prob, &questions)?;
    Ok(report)
}

/// Every method as it is by default, `exact` to the residual of the truth, settled results, `exact` by threads perhaps, and
/// perhaps the points of curves.
fn ways(curves: bool, threads: Option<u16>) -> Vec<Way> {
    let special = |method, kind, setting| Way {
        method,
        kind,
        setting,
        rounds: Vec::new(),
        distances: Vec::new(),
        qualities: Vec::new(),
        accounted: Vec::new(),
    };
    let way = |method, setting| special(method, Kind::Plain, setting);
    let mut ways: Vec<Way> = [Method::Lookup, Method::Combine, Method::Exact].map(|method| way(method, None)).into();
    ways.push(special(Method::Combine, Kind::Settled, None));
    ways.extend(threads.map(|threads| special(Method::Exact, Kind::Together(threads), None)));
    if curves {
        ways.extend(PRECISIONS.map(|precision| way(Method::Combine, Some(precision))));
        ways.extend(RESIDUALS.map(|residual| way(Method::Exact, Some(residual))));
    }
    ways
}

impl Way {
    fn case(&self) -> String {
        match (self.setting, self.method) {
            (None, method) => match self.kind {
                Kind::Plain => method.to_string(),
                Kind::Settled => format!("{method}, settled"),
                Kind::Together(threads) => format!("{method}, {threads} threads"),
            },
            (Some(setting), Method::Exact) => format!("exact, residual {setting:.0e}"),
            (Some(setting), method) => format!("{method}, precision {setting:.0e}"),
        }
    }

    fn question(&self, seeds: &Seeds, top: usize) -> Question {
        let settle = self.kind == Kind::Settled;
        let question = Question { settle, ..question(self.method, seeds.clone(), top) };
        match (self.setting, self.method) {
            (None, _) => question,
            (Some(residual), Method::Exact) => Question { residual, ..question },
            (Some(precision), _) => Question { precision: Some(precision), ..question },
        }
    }

    /// Who answers.
    fn answerer<'a, 'g>(
        &self,
        alone: &'a mut Answerer<'g>,
        crewed: &'a mut Option<Answerer<'g>>,
    ) -> &'a mut Answerer<'g> {
        match (self.kind, crewed) {
            (Kind::Together(_), Some(crewed)) => crewed,
            _ => alone,
        }
    }

    fn judge(&mut self, answerer: &mut Answerer<'_>, judge: &Judge, seeds: &Seeds, top: usize) -> Result<()> {
        let question = self.question(seeds, top);
        let all = answerer.scores(&question)?;
        // All scores are never settled: only results are.
        if self.kind != Kind::Settled {
            self.distances.push(distance(&all.scores, judge.scores()));
        }
        self.accounted.push(all.mass_accounted);
        let results: Vec<NodeId> = answerer.answer(&question)?.results.iter().map(|ranked| ranked.node).collect();
        self.qualities.push(judge.quality(&results));
        Ok(())
    }

    fn describe(&self, report: &mut Report) {
        let case = self.case();
        let target = self.method == Method::Combine && self.setting.is_none() && self.kind == Kind::Plain;
        let with = |figure: Figure, bound| if target { figure.with_target(Target::AtMost(bound)) } else { figure };
        let of = |share| self.rounds.iter().map(|round| quantile(round, share)).collect::<Vec<f64>>();
        report.figure(with(Figure::trials(&case, TIME.0, TIME.1, of(0.5)), 4.0));
        report.figure(Figure::trials(&case, SLOWEST.0, SLOWEST.1, of(1.0)));
        if !self.distances.is_empty() {
            let (mean, error) = mean_and_error(&self.distances);
            report.figure(with(Figure::single(&case, MEAN_ERROR.0, MEAN_ERROR.1, mean).with_std_error(error), 0.04));
            let largest = quantile(&self.distances, 1.0);
            report.figure(Figure::single(&case, LARGEST_ERROR.0, LARGEST_ERROR.1, largest));
        }
        metrics::figures(&case, &self.qualities, None).into_iter().for_each(|figure| report.figure(figure));
        let least = quantile(&self.accounted, 0.0);
        report.figure(Figure::single(&case, ACCOUNTED.0, ACCOUNTED.1, least));
    }
}

fn tables_and_plots(report: &mut Report, ways: &[Way], top: u32) {
    let row = |way: &Way| SheetRow { case: way.case(), name: way.case(), words: Vec::new(), ours: false };
    let columns = vec![TIME, SLOWEST, MEAN_ERROR, LARGEST_ERROR, PRECISION, NDCG, GOODNESS, ACCOUNTED];
    let caption = format!("K = {top}. Small: the range of rounds, or one standard error.");
    for (title, folded) in [("Methods", false), ("Points of the curves", true)] {
        let rows: Vec<SheetRow> = ways.iter().filter(|way| way.setting.is_some() == folded).map(row).collect();
        if !rows.is_empty() {
            let (title, caption, columns) = (title.to_owned(), caption.clone(), columns.clone());
            report.sheets.push(Sheet { title, caption, rows, word_columns: Vec::new(), columns, folded });
        }
    }
    let errors = curves(ways, |way| mean_and_error(&way.distances).0);
    let mut precisions = curves(ways, |way| mean_precision(&way.qualities));
    // One method that is far below would press all others against the edge.
    precisions.retain(|curve| curve.points.iter().any(|point| LEAST_SHOWN <= point.y));
    let x = || Axis { name: "time of one question, milliseconds", logarithmic: true };
    for (title, caption, name, logarithmic, curves) in [
        ("Error against time", "Down and to the left is better.", "L1 distance from the exact answer", true, errors),
        (
            "Precision against time",
            "Up and to the left is better; methods below 0.8 are not shown.",
            "precision@K, mean of questions",
            false,
            precisions,
        ),
    ] {
        let picture = Picture::Curves { x: x(), y: Axis { name, logarithmic }, curves };
        report.plots.push(Plot { title: title.to_owned(), caption: caption.to_owned(), picture });
    }
}

/// One curve a method. The exact method at the residual of the truth has no error to show.
fn curves(ways: &[Way], height: impl Fn(&Way) -> f64) -> Vec<Curve> {
    let colours = [(Method::Combine, 0), (Method::Exact, 1), (Method::Lookup, 2)];
    let curve = |(method, colour): (Method, usize)| {
        let of_method = ways.iter().filter(|way| way.method == method && way.kind == Kind::Plain);
        let of_method = of_method.filter(|way| way.method != Method::Exact || way.setting.is_some());
        let mut points: Vec<Point> = of_method
            .map(|way| {
                let x = median(&way.rounds.iter().map(|round| median(round)).collect::<Vec<f64>>());
                let y = height(way);
                Point { x, y, tooltip: format!("{}: {} ms, {}", way.case(), number(x), number(y)) }
            })
            .collect();
        points.sort_by(|a, b| a.x.total_cmp(&b.x));
        Curve { name: method.to_string(), colour, points }
    };
    colours.map(curve).into_iter().filter(|curve| !curve.points.is_empty()).collect()
}

fn question(method: Method, seeds: Seeds, top: usize) -> Question {
    Question { method, top, residual: RESIDUAL, ..Question::new(seeds) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_asks_what_its_name_says() {
        let seeds = Seeds::single(0);
        let names: std::collections::BTreeSet<String> = ways(true, Some(3)).iter().map(Way::case).collect();
        assert_eq!(names.len(), ways(true, Some(3)).len());
        assert_eq!(ways(false, None).len(), 4);
        for way in ways(true, Some(3)) {
            let question = way.question(&seeds, 7);
            assert_eq!((question.method, question.top), (way.method, 7));
            match (way.method, way.setting) {
                (Method::Exact, setting) => assert_eq!(question.residual, setting.unwrap_or(RESIDUAL)),
                (_, setting) => assert_eq!(question.precision, setting),
            }
        }
    }
}
