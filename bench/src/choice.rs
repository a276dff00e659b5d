//! Suite `choice`: whether `walkprint batch --method auto` chooses right.
//!
//! Before a batch its cost model answers a few sources by every method (the *pilot*) and takes the fastest. Here the
//! same batch is run by `auto` and by each method alone, Parquet included, on several graphs and for several precisions.
//! The choice is right when no method by itself is clearly faster than the chosen one.
//!
//! Methods run in turns. Which methods are worth waiting for is not for the judged pilot to say: each has a pilot of its
//! own, and is stopped after that when it would take both long and far longer than the chosen one.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use serde_json::json;
use walkprint_cluster::batch::{BatchOptions, BatchOutcome, BatchProgress, Pilot, Sources, run_batch};
use walkprint_cluster::error::Error as ClusterError;
use walkprint_engine::query::{LEAST_PRECISION, Method};

use crate::batch::write_list;
use crate::batch_output::parquet_files;
use crate::build::PlanOptions;
use crate::figure::{Figure, Quantity, median, number, ratios};
use crate::graphs::{GraphOptions, Reading, SPEC_HELP, Spec, random_sources};
use crate::indexed::{Indexed, IndexedOptions};
use crate::known_graphs::Known;
use crate::machine::{cores, processor_seconds};
use crate::plot::{Bar, Picture, Plot};
use crate::report::{Output, Report, Sheet, SheetRow};

/// A choice that takes this many times what the fastest takes is right as well: machines vary as much.
const NEARLY_FASTEST: f64 = 1.3;
/// Nobody waits for a method that takes this many times what the chosen one takes, unless it is soon over.
const FAR_SLOWER: f64 = 4.0;
/// Fewer cores than this share of the workers: somebody else used them.
const ENOUGH_CORES: f64 = 0.8;
/// Quantities.
const NODES: Quantity = ("nodes", "");
const EDGES: Quantity = ("edges", "");
const PILOT: Quantity = ("pilot", "s");
const RATIO: Quantity = ("chosen / fastest", "ratio");
const PREDICTED: Quantity = ("predicted / actual", "ratio");
const SAMPLED: Quantity = ("answers of the chosen that the pilot timed", "");
const L1_ERROR: Quantity = ("L1 error, the pilot's estimate", "");
const CORES: Quantity = ("cores that auto got", "cores");
const SHARE: Quantity = ("right choices", "share");

/// What to measure.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// What is measured on.
    #[arg(long = "graph", value_name = "SPEC", help = graph_help())]
    graphs: Vec<Source>,
    #[command(flatten)]
    reading: Reading,
    /// The key of all random numbers
    #[arg(long, default_value_t = 0)]
    key: u64,
    /// L1 errors to aim at (0.05 is what `walkprint batch` does that is told nothing); none leaves the library without one
    #[arg(long = "precision", value_name = "L1", value_delimiter = ',', default_value = "0.05,0.1,0.01")]
    precisions: Vec<Precision>,
    /// How many random sources that are not dangling; there is no pilot for fewer than 1,000
    #[arg(long, default_value_t = 3000, value_parser = clap::value_parser!(u32).range(1000..))]
    sources: u32,
    /// How many results for each source
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    top: u32,
    /// Rounds; each runs every method once
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// A method that would take more seconds than this, and more than four times those of the chosen one, is not run
    #[arg(long, value_name = "SECONDS", default_value_t = 120.0)]
    longest: f64,
    /// Threads of a batch [default: all cores]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    workers: Option<u16>,
    #[command(flatten)]
    plan: PlanOptions,
    #[command(flatten)]
    pub(crate) output: Output,
}

fn graph_help() -> String {
    format!(
        "{SPEC_HELP}; or one of {}. May be repeated [default: all of these]",
        Known::ALL.map(Known::name).join(", ")
    )
}

/// A graph as it was asked for.
#[derive(Debug, Clone, PartialEq)]
enum Source {
    Known(Known),
    Given(Spec),
}

impl FromStr for Source {
    type Err = String;

    /// Known names come first; a file that is named like one is given with its directory.
    fn from_str(text: &str) -> Result<Source, String> {
        text.parse().map(Source::Known).or_else(|_| text.parse().map(Source::Given))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Known(known) => known.fmt(f),
            Source::Given(spec) => spec.fmt(f),
        }
    }
}

/// The precision of a batch, if it has one.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Precision(Option<f64>);

impl FromStr for Precision {
    type Err = String;

    fn from_str(text: &str) -> Result<Precision, String> {
        if text == "none" {
            return Ok(Precision(None));
        }
        let precision = text.parse().ok().filter(|&precision: &f64| 0.0 < precision && precision < 1.0);
        precision
            .map(|one| Precision(Some(one)))
            .ok_or(format!("expected none or an L1 error above 0 and below 1, got {text:?}"))
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(precision) => precision.fmt(f),
            None => f.write_str("none"),
        }
    }
}

/// What one method took by itself.
#[derive(Debug, Clone, PartialEq)]
enum Alone {
    /// Seconds, one entry a round.
    Taken(Vec<f64>),
    /// Seconds that it would have taken.
    NotRun(f64),
}

/// One graph at one precision.
#[derive(Debug)]
struct Case {
    graph: String,
    nodes: usize,
    edges: usize,
    precision: Precision,
    /// Seconds of `auto`, without its pilot.
    auto_seconds: f64,
    /// Processor time of `auto` by the clock's, everything included, where Linux says.
    auto_cores: Option<f64>,
    pilot: Pilot,
    alone: Vec<(Method, Alone)>,
    verdict: Verdict,
    /// Whether `auto` wrote the same bytes as the method that it chose.
    same_bytes: bool,
}

/// How good a choice was.
#[derive(Debug, Clone, PartialEq)]
struct Verdict {
    /// The method that is fastest by itself.
    fastest: Method,
    /// Seconds of the chosen method by those of the fastest, round by round.
    ratios: Vec<f64>,
    right: bool,
}

impl Verdict {
    /// `None` when the chosen method was not run. One that was not run is never the fastest.
    fn of(chosen: Method, alone: &[(Method, Alone)]) -> Option<Verdict> {
        let taken = |(method, alone): &'_ (Method, Alone)| match alone {
            Alone::Taken(seconds) => Some((*method, seconds.clone())),
            Alone::NotRun(_) => None,
        };
        let taken: Vec<(Method, Vec<f64>)> = alone.iter().filter_map(taken).collect();
        let (_, of_chosen) = taken.iter().find(|(method, _)| *method == chosen)?;
        let (fastest, of_fastest) = taken.iter().min_by(|(_, a), (_, b)| median(a).total_cmp(&median(b)))?;
        let ratios = ratios(of_chosen, of_fastest);
        Some(Verdict { fastest: *fastest, right: median(&ratios) <= NEARLY_FASTEST, ratios })
    }

    fn word(&self) -> String {
        if self.right { "right".to_owned() } else { format!("WRONG: {}", self.fastest) }
    }
}

/// How many verdicts are right.
fn count_right<'v>(verdicts: impl Iterator<Item = &'v Verdict>) -> usize {
    verdicts.filter(|verdict| verdict.right).count()
}

/// Whether it is no use to wait for a method.
fn is_not_worth_it(predicted: f64, chosen: f64, longest: f64) -> bool {
    longest.max(FAR_SLOWER * chosen) < predicted
}

/// The methods that are run by themselves, the chosen one first.
fn methods(pilot: &Pilot, precision: Precision) -> Vec<Method> {
    let will_do = |method: &Method| match (method, precision.0) {
        (Method::Block, Some(precision)) => LEAST_PRECISION <= precision,
        // A look-up cannot be told to be more precise.
        (Method::Lookup, Some(precision)) => {
            pilot.measured.iter().any(|one| one.method == Method::Lookup && one.estimated_l1 <= precision)
        }
        (Method::Lookup, None) => false,
        _ => true,
    };
    let all = [Method::Lookup, Method::Combine, Method::Block, Method::Exact];
    let others = all.into_iter().filter(|&method| method != pilot.chosen).filter(will_do);
    std::iter::once(pilot.chosen).chain(others).collect()
}

/// Runs the suite.
///
/// # Errors
/// When a graph that was asked for or its index cannot be had, has too few sources, or a batch fails.
pub(crate) fn run(options: &Options) -> Result<Report> {
    let known = Known::ALL.map(Source::Known);
    let graphs = if options.graphs.is_empty() { &known[..] } else { &options.graphs[..] };
    check(graphs, options)?;
    let workers = options.workers.map_or_else(cores, usize::from);
    let mut report = Report::on_several("choice");
    report.parameters(json!({
        "plan": options.plan.plan(options.key), "sources": options.sources, "top": options.top, "rounds": options.rounds,
        "workers": workers, "longest": options.longest, "key": options.key,
        "precisions": options.precisions.iter().map(Precision::to_string).collect::<Vec<_>>(),
    }));
    let mut cases = Vec::new();
    for graph in graphs {
        let missing = match graph {
            Source::Known(known) if options.graphs.is_empty() => known.file().filter(|file| !file.exists()),
            _ => None,
        };
        if let Some(file) = missing {
            report.note(format!("{graph} was skipped: there is no {}", file.display()));
            continue;
        }
        let directory = tempfile::tempdir().context("could not make a temporary directory")?;
        let graph_options = match graph {
            Source::Known(known) => known.options(directory.path(), options.key)?,
            Source::Given(spec) => GraphOptions { graph: spec.clone(), reading: options.reading, key: options.key },
        };
        let asked = IndexedOptions::new(graph_options, options.plan.clone()).open()?;
        report.graphs.push(asked.facts.clone());
        let sources = random_sources(&asked.graph, options.sources as usize, options.key)?;
        let task = Task { asked: &asked, options, list: write_list(&asked, &sources)?, workers };
        for &precision in &options.precisions {
            cases.push(task.case(graph, precision).with_context(|| format!("{graph} at precision {precision}"))?);
        }
    }
    describe(&mut report, &cases, workers);
    Ok(report)
}

/// Refuses what would be measured otherwise than it is named.
fn check(graphs: &[Source], options: &Options) -> Result<()> {
    for (at, graph) in graphs.iter().enumerate() {
        if graphs[..at].contains(graph) {
            bail!("{graph} is named twice");
        }
        if matches!(graph, Source::Known(_)) && options.reading != Reading::default() {
            bail!("--undirected, --unweighted and --order say how to read a file; how {graph} is read is known");
        }
    }
    Ok(())
}

/// The batches of one graph.
struct Task<'a> {
    asked: &'a Indexed,
    options: &'a Options,
    /// The file of sources.
    list: PathBuf,
    workers: usize,
}

impl Task<'_> {
    fn case(&self, graph: &Source, precision: Precision) -> Result<Case> {
        let (by_auto, by_chosen) = (self.place("auto"), self.place("chosen"));
        let (began, used) = (Instant::now(), processor_seconds());
        let auto = self.batch(Method::Auto, precision, &by_auto, f64::INFINITY)?;
        let auto = auto.map_err(|predicted| anyhow!("a batch of {predicted} s was stopped that nothing limits"))?;
        let used = used.zip(processor_seconds()).map(|(before, after)| after - before);
        let auto_cores = used.map(|used| used / began.elapsed().as_secs_f64());
        let Some(pilot) = auto.pilot else {
            bail!("there was no pilot for {} sources, so that there is no choice to judge", auto.sources)
        };
        let chosen = pilot.chosen;
        let mut alone: Vec<(Method, Alone)> =
            methods(&pilot, precision).into_iter().map(|method| (method, Alone::Taken(Vec::new()))).collect();
        let mut of_chosen = f64::INFINITY;
        for round in 0..self.options.rounds as usize {
            for turn in 0..alone.len() {
                // The chosen one begins, for others are held against it; in later rounds another does.
                let at = (turn + round) % alone.len();
                let (method, Alone::Taken(seconds)) = &mut alone[at] else { continue };
                let out = if *method == chosen { by_chosen.clone() } else { self.place("other") };
                // What was run once is run in every round.
                let beside = if seconds.is_empty() { of_chosen } else { f64::INFINITY };
                match self.batch(*method, precision, &out, beside)? {
                    Ok(outcome) => seconds.push(outcome.seconds),
                    Err(predicted) => alone[at].1 = Alone::NotRun(predicted),
                }
                if let (true, Alone::Taken(seconds)) = (alone[at].0 == chosen, &alone[at].1) {
                    of_chosen = median(seconds);
                }
            }
        }
        let verdict = Verdict::of(chosen, &alone).context("the chosen method was not run")?;
        Ok(Case {
            graph: graph.to_string(),
            nodes: self.asked.facts.nodes,
            edges: self.asked.facts.edges,
            precision,
            auto_seconds: auto.seconds,
            auto_cores,
            pilot,
            alone,
            verdict,
            same_bytes: bytes(&by_auto)? == bytes(&by_chosen)?,
        })
    }

    /// One batch. `Ok(Err(seconds))`: it would take so many, which is not worth it beside one of `beside`, and was stopped.
    fn batch(
        &self,
        method: Method,
        precision: Precision,
        out: &Path,
        beside: f64,
    ) -> Result<std::result::Result<BatchOutcome, f64>> {
        let batch = BatchOptions {
            sources: Sources::File(self.list.clone()),
            top: self.options.top as usize,
            method,
            precision: precision.0,
            index: Some(self.asked.index.entry().name.clone()),
            workers: self.workers,
            memory_bytes: self.options.plan.memory_bytes(),
            replace: true,
            ..BatchOptions::new(out)
        };
        let predicted = |progress: &BatchProgress| {
            let measured = progress.pilot.get().and_then(|pilot| pilot.measured.first());
            measured.map(|measured| measured.predicted_seconds)
        };
        let is_too_long = |seconds: &f64| is_not_worth_it(*seconds, beside, self.options.longest);
        let progress = Arc::new(BatchProgress::default());
        let mut tick = |progress: &BatchProgress| {
            if predicted(progress).is_some_and(|seconds| is_too_long(&seconds)) {
                progress.stop.store(true, Ordering::Relaxed);
            }
        };
        match run_batch(self.asked.store.path(), &batch, &progress, &mut tick) {
            Ok(outcome) => Ok(Ok(outcome)),
            Err(error @ ClusterError::Interrupted) => match predicted(&progress).filter(is_too_long) {
                Some(seconds) => Ok(Err(seconds)),
                None => Err(error.into()),
            },
            Err(error) => Err(error.into()),
        }
    }

    fn place(&self, name: &str) -> PathBuf {
        self.asked.directory.path().join(name)
    }
}

/// The bytes of all parts of a batch, in order.
fn bytes(directory: &Path) -> Result<Vec<Vec<u8>>> {
    let read = |path: PathBuf| std::fs::read(&path).with_context(|| format!("{}: could not read", path.display()));
    parquet_files(directory)?.into_iter().map(read).collect()
}

/// What a method took; of `auto` without its pilot.
fn time_of(method: Method) -> Quantity {
    match method {
        Method::Auto => ("auto, without its pilot", "s"),
        Method::Lookup => ("lookup alone", "s"),
        Method::Combine => ("combine alone", "s"),
        Method::Block => ("block alone", "s"),
        Method::Exact => ("exact alone", "s"),
    }
}

/// What the pilot of `auto` predicted for a method, by what it took alone.
fn prediction_of(method: Method) -> Quantity {
    match method {
        Method::Auto => PREDICTED,
        Method::Lookup => ("lookup, predicted / alone", "ratio"),
        Method::Combine => ("combine, predicted / alone", "ratio"),
        Method::Block => ("block, predicted / alone", "ratio"),
        Method::Exact => ("exact, predicted / alone", "ratio"),
    }
}

fn describe(report: &mut Report, cases: &[Case], workers: usize) {
    cases.iter().for_each(|case| describe_case(report, case));
    let used = |method: &Method| cases.iter().any(|case| case.alone.iter().any(|(other, _)| other == method));
    let methods: Vec<Method> =
        [Method::Lookup, Method::Combine, Method::Block, Method::Exact].into_iter().filter(used).collect();
    let times = methods.iter().map(|&method| time_of(method));
    let columns = [NODES, EDGES, time_of(Method::Auto), PILOT].into_iter().chain(times).chain([RATIO, PREDICTED]);
    let rows = |words: fn(&Case) -> Vec<String>| {
        let row = |case: &Case| SheetRow { case: case.name(), name: case.graph(), words: words(case), ours: false };
        cases.iter().map(row).collect()
    };
    report.sheets.push(Sheet {
        title: "What auto chose, and what each method takes".to_owned(),
        caption: format!(
            "Right: at most {NEARLY_FASTEST} times what the fastest method takes. Times are of whole batches, Parquet \
             included, pilots not."
        ),
        rows: rows(|case| vec![case.precision.to_string(), case.pilot.chosen.to_string(), case.verdict.word()]),
        word_columns: vec!["precision", "chosen", "verdict"],
        columns: columns.collect(),
        folded: false,
    });
    report.sheets.push(Sheet {
        title: "What the pilot predicted for each method, by what it took".to_owned(),
        caption: "Empty where the pilot left a method out, or the method was not run.".to_owned(),
        rows: rows(|case| vec![case.precision.to_string(), case.pilot.chosen.to_string()]),
        word_columns: vec!["precision", "chosen"],
        columns: methods.iter().map(|&method| prediction_of(method)).chain([SAMPLED, L1_ERROR, CORES]).collect(),
        folded: true,
    });
    let bar = |case: &Case| {
        let value = median(&case.verdict.ratios);
        let label = format!("{}: {}", number(value), case.pilot.chosen);
        Bar {
            name: format!("{}, {}", case.graph(), case.precision),
            colour: usize::from(!case.verdict.right),
            value,
            label,
        }
    };
    report.plots.push(Plot {
        title: "Time of the chosen method by that of the fastest".to_owned(),
        caption: format!("Above {NEARLY_FASTEST} the choice is called wrong."),
        picture: Picture::Bars { unit: "times", bars: cases.iter().map(bar).collect() },
    });
    let same = cases.iter().filter(|case| case.same_bytes).count();
    let evidence = format!("{same} of {} cases, every byte", cases.len());
    report.check("auto writes what the method that it chose writes alone", same == cases.len(), evidence);
    let right = count_right(cases.iter().map(|case| &case.verdict));
    if !cases.is_empty() {
        report.figure(Figure::single("all cases", SHARE.0, SHARE.1, right as f64 / cases.len() as f64));
    }
    report.note("a method by itself has a pilot too, which counts neither in its time nor in that of auto");
    if cases.iter().filter_map(|case| case.auto_cores).any(|cores| cores < ENOUGH_CORES * workers as f64) {
        report.note("auto did not always get a core a worker: what was predicted on a busy machine says little");
    }
    report.note(format!("{right} of {} cases right", cases.len()));
}

fn describe_case(report: &mut Report, case: &Case) {
    let name = case.name();
    let mut single = |(what, unit): Quantity, value| report.figure(Figure::single(&name, what, unit, value));
    single(NODES, case.nodes as f64);
    single(EDGES, case.edges as f64);
    single(time_of(Method::Auto), case.auto_seconds);
    single(PILOT, case.pilot.seconds);
    case.auto_cores.into_iter().for_each(|cores| single(CORES, cores));
    let measured = |method: Method| case.pilot.measured.iter().find(|one| one.method == method);
    if let Some(chosen) = measured(case.pilot.chosen) {
        single(PREDICTED, chosen.predicted_seconds / case.auto_seconds);
        single(SAMPLED, chosen.sampled as f64);
        single(L1_ERROR, chosen.estimated_l1);
    }
    for (method, alone) in &case.alone {
        let (what, unit) = time_of(*method);
        match alone {
            Alone::Taken(seconds) => {
                report.figure(Figure::trials(&name, what, unit, seconds.clone()));
                if let Some(measured) = measured(*method) {
                    let (what, unit) = prediction_of(*method);
                    let ratios = seconds.iter().map(|seconds| measured.predicted_seconds / seconds).collect();
                    report.figure(Figure::trials(&name, what, unit, ratios));
                }
            }
            Alone::NotRun(predicted) => report.figure(Figure::predicted(&name, what, unit, *predicted)),
        }
    }
    report.figure(Figure::trials(&name, RATIO.0, RATIO.1, case.verdict.ratios.clone()));
}

impl Case {
    fn name(&self) -> String {
        format!("{}, precision {}", self.graph, self.precision)
    }

    /// The graph without the directory of its file.
    fn graph(&self) -> String {
        Path::new(&self.graph)
            .file_name()
            .map_or_else(|| self.graph.clone(), |name| name.to_string_lossy().into_owned())
    }
}

#[cfg(test)]
mod tests {
    use walkprint_cluster::batch::Measured;

    use super::*;

    fn taken(method: Method, seconds: &[f64]) -> (Method, Alone) {
        (method, Alone::Taken(seconds.to_vec()))
    }

    #[test]
    fn a_choice_is_right_up_to_the_bound() {
        let right = |chosen: f64| {
            let alone = [taken(Method::Combine, &[chosen]), taken(Method::Block, &[10.0])];
            Verdict::of(Method::Combine, &alone).map(|verdict| (verdict.fastest, verdict.right))
        };
        assert_eq!(right(9.0), Some((Method::Combine, true)));
        assert_eq!(right(13.0), Some((Method::Block, true)));
        assert_eq!(right(13.1), Some((Method::Block, false)));
    }

    #[test]
    fn one_slow_round_does_not_decide() {
        let alone = [taken(Method::Combine, &[1.0, 90.0, 1.0]), taken(Method::Block, &[2.0, 2.0, 2.0])];
        let verdict = Verdict::of(Method::Block, &alone).unwrap();
        assert_eq!((verdict.fastest, verdict.right), (Method::Combine, false));
        assert_eq!(verdict.ratios, [2.0, 2.0 / 90.0, 2.0]);
        assert!(verdict.word().contains("combine"));
    }

    #[test]
    fn what_was_not_run_is_not_the_fastest() {
        let alone = [(Method::Exact, Alone::NotRun(0.1)), taken(Method::Block, &[5.0])];
        let verdict = Verdict::of(Method::Block, &alone).unwrap();
        assert_eq!((verdict.fastest, verdict.ratios, verdict.right), (Method::Block, vec![1.0], true));
        assert_eq!(Verdict::of(Method::Exact, &alone), None);
        assert_eq!(Verdict::of(Method::Combine, &alone), None);
    }

    #[test]
    fn right_choices_are_counted() {
        let verdict = |right| Verdict { fastest: Method::Block, ratios: vec![1.0], right };
        assert_eq!(count_right([true, false, true].map(verdict).iter()), 2);
        assert_eq!(count_right([].iter()), 0);
    }

    #[test]
    fn only_what_takes_long_and_far_longer_is_not_run() {
        assert!(is_not_worth_it(130.0, 30.0, 120.0));
        assert!(!is_not_worth_it(130.0, 40.0, 120.0), "not four times as long");
        assert!(!is_not_worth_it(110.0, 1.0, 120.0), "soon over");
        assert!(!is_not_worth_it(1e9, f64::INFINITY, 120.0), "nothing to compare with");
    }

    #[test]
    fn the_chosen_method_begins_and_none_is_forgotten() {
        let measured = |method, estimated_l1| Measured {
            method,
            seconds_per_source: 1.0,
            predicted_seconds: 1.0,
            estimated_l1,
            sampled: 1,
        };
        let pilot = |chosen| Pilot { measured: vec![measured(Method::Lookup, 0.2)], chosen, seconds: 1.0 };
        let [lookup, combine, block, exact] = [Method::Lookup, Method::Combine, Method::Block, Method::Exact];
        assert_eq!(methods(&pilot(block), Precision(None)), [block, combine, exact]);
        assert_eq!(methods(&pilot(combine), Precision(Some(0.1))), [combine, block, exact]);
        assert_eq!(methods(&pilot(combine), Precision(Some(0.3))), [combine, lookup, block, exact]);
        assert_eq!(methods(&pilot(exact), Precision(Some(1e-7))), [exact, combine], "block is not precise enough");
        assert_eq!(methods(&pilot(lookup), Precision(Some(0.19))), [lookup, combine, block, exact], "a near miss");
    }

    #[test]
    fn graphs_and_precisions_are_read_as_they_are_shown() {
        for text in ["wiki-Vote", "./wiki-Vote", "rmat:8:4", "rmat-nodes:200000:3000000"] {
            assert_eq!(text.parse::<Source>().unwrap().to_string(), text);
        }
        assert_eq!("wiki-Vote".parse(), Ok(Source::Known(Known::WikiVote)));
        assert_eq!("./wiki-Vote".parse(), Ok(Source::Given(Spec::File("./wiki-Vote".into()))));
        assert!("rmat:8".parse::<Source>().unwrap_err().contains("rmat:SCALE"));
        for text in ["none", "0.05", "0.00001"] {
            assert_eq!(text.parse::<Precision>().unwrap().to_string(), text);
        }
        for text in ["0", "1", "-0.1", "NaN", "None", ""] {
            assert!(text.parse::<Precision>().is_err(), "{text}");
        }
    }
}
