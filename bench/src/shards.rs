//! Suite `shards`: builds by several processes, each of which holds a part of the graph, beside those in which each
//! reads all of it.
//!
//! Five questions, which may be asked apart: what walks cost that go from process to process (`speed`), what several
//! blocks of sources under way gain (`blocks`), whether one node with a tenth of all edges makes one worker slow or one
//! process big (`hub`), whether memory stays below its budget (`memory`), and whether all ways to spread the work give
//! the same bytes (`same`, see [`crate::shards_same`]). Every process is a copy of this program,
//! on 127.0.0.1; all share the store's directory.

use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use serde_json::json;
use walkprint_cluster::graph_mode::GraphMode;
use walkprint_engine::plan::Plan;

use crate::build::PlanOptions;
use crate::figure::{Figure, Target, number, ratios};
use crate::graphs::{GraphOptions, Reading, SPEC_HELP, Spec};
use crate::job::{Done, Job, WHOLE_ROWS};
use crate::report::{Output, Report};
use crate::shards_same;

/// Sharded builds should make at least this share of the replicated build's steps in a second of processor time.
const SPEED: f64 = 0.6;
/// How much faster a build should be with several blocks under way than with one.
const BLOCKS: f64 = 1.3;
/// How much more the busiest worker may have to do than the mean, and the biggest process may hold.
const EVEN: f64 = 1.25;

/// What to measure.
#[derive(Debug, Args)]
#[command(mut_arg("graph", |graph| graph.required(false).default_value("rmat:20:16:weighted")))]
pub(crate) struct Options {
    #[command(flatten)]
    graph: GraphOptions,
    /// What to find out
    #[arg(long, value_enum, value_delimiter = ',', default_value = "speed,blocks,hub,memory")]
    parts: Vec<Part>,
    /// Rounds of speed, blocks and hub; each makes all builds once
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Processes of every build
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(2..=16))]
    processes: u16,
    /// Workers of each process, but for the hub
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    workers: u16,
    /// The graph with a hub.
    #[arg(long, value_name = "SPEC", default_value = "hub:1000000:12000000:weighted", help = SPEC_HELP)]
    hub_graph: Spec,
    /// Workers of each process on the graph with a hub
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    hub_workers: u16,
    /// Budgets of `memory`, in MiB
    #[arg(long, value_delimiter = ',', default_value = "1024,2048,4096")]
    #[arg(value_parser = clap::value_parser!(u64).range(..1 << 40))]
    budgets_mib: Vec<u64>,
    #[command(flatten)]
    plan: PlanOptions,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// A question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Sharded against replicated.
    Speed,
    /// Several blocks under way against one.
    Blocks,
    /// A node with a tenth of all edges.
    Hub,
    /// Peak memory under budgets.
    Memory,
    /// The same bytes however the work is spread, on graphs of its own.
    Same,
}

/// A kind of build, and what its rounds came to.
struct Case {
    name: String,
    job: Job,
    rounds: Vec<Done>,
}

/// Runs the suite.
///
/// # Errors
/// When a graph cannot be had, a build fails, or the disk refuses.
pub(crate) fn run(options: &Options) -> Result<Report> {
    if options.graph.is_store() {
        bail!("this suite writes indexes: give the file that the store was loaded from, or a generated graph");
    }
    let plan = options.plan.plan(options.graph.key);
    plan.check()?;
    let directory = tempfile::tempdir().context("could not make a temporary directory")?;
    let mut report = Report::on_several("shards");
    report.parameters(json!({
        "plan": plan, "runs": options.runs, "processes": options.processes, "workers": options.workers,
        "hub_workers": options.hub_workers, "memory_mib": options.plan.memory_mib, "budgets_mib": options.budgets_mib,
        "parts": options.parts.iter().map(|part| format!("{part:?}").to_lowercase()).collect::<Vec<_>>(),
    }));
    let asked = |part| options.parts.contains(&part);
    if asked(Part::Speed) || asked(Part::Blocks) || asked(Part::Memory) {
        let (store, facts) = options.graph.store(&directory.path().join("graph.wp"))?;
        report.graphs.push(facts);
        speed(options, store.path(), &plan, &mut report)?;
        if asked(Part::Memory) {
            memory(options, store.path(), &plan, &mut report)?;
        }
    }
    if asked(Part::Hub) {
        let graph = options.hub_graph.clone();
        let graph = GraphOptions { graph, reading: Reading::default(), key: options.graph.key };
        let (store, facts) = graph.store(&directory.path().join("hub.wp"))?;
        report.graphs.push(facts);
        hub(options, store.path(), &plan, &mut report)?;
    }
    if asked(Part::Same) {
        shards_same::same(options.graph.key, &mut report)?;
    }
    report.note("a process's time, memory and processor seconds are its own, from connecting to a published index");
    report.note("mapped pages of the store count as resident memory while they are read; a sharded build gives them back behind it");
    Ok(report)
}

impl Case {
    fn new(name: &str, options: &Options, workers: u16) -> Case {
        let job = Job {
            processes: options.processes.into(),
            workers: workers.into(),
            graph: GraphMode::Sharded,
            memory_mib: options.plan.memory_mib,
            longest_row: None,
            blocks: None,
            block_visits: None,
            timely_log: None,
        };
        Case { name: format!("{name}, {} x {workers}", options.processes), job, rounds: Vec::new() }
    }

    /// A number of each round; none where a round has not got it.
    fn column(&self, part: impl Fn(&Done) -> Option<f64>) -> Option<Vec<f64>> {
        self.rounds.iter().map(part).collect()
    }

    fn steps_a_processor_second(&self) -> Option<Vec<f64>> {
        self.column(|done| Some(done.whole().steps as f64 / done.processor_seconds()? / 1e6))
    }

    fn seconds(&self) -> Vec<f64> {
        self.rounds.iter().map(Done::seconds).collect()
    }

    /// Figures that every kind of build has.
    fn describe(&self, report: &mut Report) {
        let mut figure = |name, unit, trials: Option<Vec<f64>>| {
            if let Some(trials) = trials {
                report.figure(Figure::trials(&self.name, name, unit, trials));
            }
        };
        figure("time", "s", Some(self.seconds()));
        figure("speed", "M steps/s", self.column(|done| Some(done.whole().steps as f64 / done.seconds() / 1e6)));
        figure("speed", "M steps/processor-s", self.steps_a_processor_second());
        let wire = |done: &Done| Some(done.sent_bytes() as f64 / done.whole().steps as f64);
        figure("on the wire", "bytes/step", self.column(wire));
        figure("peak resident memory, largest process", "MiB", self.column(|done| Some(largest(&done.peaks_mib()?))));
        figure("planned memory", "MiB", self.column(|done| Some(done.whole().planned_bytes as f64 / 1_048_576.0)));
    }
}

/// Makes each build once a round, every second round in the opposite order.
fn rounds(cases: &mut [Case], runs: u32, store: &Path, plan: &Plan) -> Result<()> {
    for round in 0..runs {
        let mut order: Vec<&mut Case> = cases.iter_mut().collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for case in order {
            let done = case.job.build(store, plan).with_context(|| case.name.clone())?;
            case.rounds.push(done);
        }
    }
    Ok(())
}

fn speed(options: &Options, store: &Path, plan: &Plan, report: &mut Report) -> Result<()> {
    let asked = |part| options.parts.contains(&part);
    let mut cases = Vec::new();
    if asked(Part::Speed) || asked(Part::Blocks) {
        cases.push(Case::new("sharded", options, options.workers));
    }
    if asked(Part::Speed) {
        let mut case = Case::new("replicated", options, options.workers);
        case.job.graph = GraphMode::Replicated;
        cases.push(case);
    }
    if asked(Part::Blocks) {
        let mut case = Case::new("sharded, one block at a time", options, options.workers);
        case.job.blocks = Some(1);
        cases.push(case);
    }
    rounds(&mut cases, options.runs, store, plan)?;
    cases.iter().for_each(|case| case.describe(report));
    let Some((sharded, others)) = cases.split_first() else { return Ok(()) };
    for other in others {
        if other.job.graph == GraphMode::Replicated {
            let (case, unit) = ("sharded / replicated, round by round", "ratio");
            if let (Some(own), Some(all)) = (sharded.steps_a_processor_second(), other.steps_a_processor_second()) {
                let figure = Figure::trials(case, "steps per processor-second", unit, ratios(&own, &all));
                report.figure(figure.with_target(Target::AtLeast(SPEED)));
            }
            report.figure(Figure::trials(case, "time", unit, ratios(&sharded.seconds(), &other.seconds())));
        } else {
            let (case, gain) = ("one block / several, round by round", ratios(&other.seconds(), &sharded.seconds()));
            report.figure(Figure::trials(case, "time", "ratio", gain).with_target(Target::AtLeast(BLOCKS)));
        }
    }
    same_fingerprints(report, "every build gave the same fingerprints", cases.iter().flat_map(|case| &case.rounds));
    Ok(())
}

fn hub(options: &Options, store: &Path, plan: &Plan, report: &mut Report) -> Result<()> {
    let mut whole = Case::new("hub, rows never cut", options, options.hub_workers);
    whole.job.longest_row = Some(WHOLE_ROWS);
    let mut cases = [Case::new("hub", options, options.hub_workers), whole];
    rounds(&mut cases, options.runs, store, plan)?;
    for case in &cases {
        case.describe(report);
        let target = case.job.longest_row.is_none().then_some(Target::AtMost(EVEN));
        let mut figure = |name, trials: Option<Vec<f64>>| {
            let Some(trials) = trials else { return };
            let figure = Figure::trials(&case.name, name, "ratio", trials);
            report.figure(if let Some(target) = target { figure.with_target(target) } else { figure });
        };
        figure("busiest worker / mean", case.column(|done| Some(unevenness(&done.whole().worker_seconds))));
        figure("largest process / mean", case.column(|done| Some(unevenness(&done.peaks_mib()?))));
        let Some(last) = case.rounds.last() else { continue };
        for (worker, seconds) in last.whole().worker_seconds.iter().enumerate() {
            let name = format!("{}, worker {worker}, last round", case.name);
            report.figure(Figure::single(name, "busy", "s", *seconds));
        }
        for (process, peak) in last.peaks_mib().into_iter().flatten().enumerate() {
            let name = format!("{}, process {process}, last round", case.name);
            report.figure(Figure::single(name, "peak resident memory", "MiB", peak));
        }
    }
    same_fingerprints(
        report,
        "hub: every build gave the same fingerprints",
        cases.iter().flat_map(|case| &case.rounds),
    );
    Ok(())
}

fn memory(options: &Options, store: &Path, plan: &Plan, report: &mut Report) -> Result<()> {
    let mut all = Vec::new();
    for &budget in &options.budgets_mib {
        let mut case = Case::new(&format!("--memory {budget} MiB"), options, options.workers);
        case.job.memory_mib = budget;
        match case.job.build(store, plan) {
            // A budget that is too small is refused with the one that is not.
            Err(error) if format!("{error:#}").contains("memory") => report.note(format!("{budget} MiB: {error:#}")),
            Err(error) => return Err(error.context(case.name)),
            Ok(done) => {
                let planned = done.whole().planned_bytes as f64 / 1_048_576.0;
                report.figure(Figure::single(&case.name, "planned memory", "MiB", planned));
                let peaks = done.peaks_mib().context("the system does not say how much memory a process held")?;
                // Sums and medians would hide one that is over.
                report.check(
                    "memory: every process stayed below --memory",
                    peaks.len() == case.job.processes && peaks.iter().all(|&peak| peak <= budget as f64),
                    format!("{budget} MiB, peaks of processes 0 to {}: {}", peaks.len() - 1, listed(&peaks)),
                );
                for (process, peak) in peaks.into_iter().enumerate() {
                    let name = format!("{}, process {process}", case.name);
                    let figure = Figure::single(name, "peak resident memory", "MiB", peak);
                    report.figure(figure.with_target(Target::AtMost(budget as f64)));
                }
                report.figure(Figure::single(&case.name, "time", "s", done.seconds()));
                report.figure(Figure::single(&case.name, "work", "steps", done.whole().steps as f64));
                all.push(done);
            }
        }
    }
    if all.is_empty() {
        bail!("no budget of --budgets-mib is enough: {}", report.notes.join("; "));
    }
    let steps: Vec<u64> = all.iter().map(|done| done.whole().steps).collect();
    report.check(
        "memory: the same work whatever the budget",
        steps.iter().all(|&own| own == steps[0]),
        format!("{steps:?} steps"),
    );
    same_fingerprints(report, "memory: the same fingerprints whatever the budget", all.iter());
    Ok(())
}

fn same_fingerprints<'a>(report: &mut Report, what: &'static str, all: impl Iterator<Item = &'a Done> + Clone) {
    let Some(first) = all.clone().next() else { return };
    let digest = &first.whole().fingerprint_digest;
    let same = all.clone().all(|done| done.whole().fingerprint_digest == *digest);
    report.check(what, same, format!("{} builds, digest {digest}", all.count()));
}

/// Numbers for people.
fn listed(values: &[f64]) -> String {
    values.iter().map(|&value| number(value)).collect::<Vec<_>>().join(", ")
}

fn largest(values: &[f64]) -> f64 {
    values.iter().copied().fold(0.0, f64::max)
}

/// The largest of some amounts over their mean.
fn unevenness(values: &[f64]) -> f64 {
    largest(values) / (values.iter().sum::<f64>() / values.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unevenness_is_one_where_all_have_the_same() {
        assert_eq!(unevenness(&[3.0, 3.0, 3.0, 3.0]), 1.0);
        assert_eq!(unevenness(&[1.0, 1.0, 1.0, 5.0]), 2.5);
    }
}
