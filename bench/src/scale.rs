//! Suite `scale`: what sharded builds cost, predicted and measured, and what that says of graphs that are not here.
//!
//! The constants of the [model](crate::scale_model) are taken from four builds of one graph and printed; then other graphs
//! are built by several numbers of processes, and every prediction stands beside what was measured. Messages and rounds come
//! from timely's own account of a second build; of the processor times of the two the smaller counts. Every process is a copy
//! of this program, on 127.0.0.1.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::json;
use walkprint_cluster::build::{ShardedCut, estimate};
use walkprint_cluster::graph_mode::GraphMode;
use walkprint_engine::plan::Plan;
use walkprint_engine::store::Store;

use crate::figure::{Figure, Quantity, Target, number};
use crate::graphs::{GraphOptions, Reading, Spec};
use crate::job::Job;
use crate::known_graphs::Known;
use crate::report::{Output, Report, Sheet, SheetRow};
use crate::scale_model::{Calibration, Constants, Cost, Cut, Measured, Shape, crossing};
use crate::scale_paper::on_paper;
use crate::timely_log::Batches;

/// The program's own block and number of blocks where memory allows; said outright, so that the model knows them.
const BLOCK_VISITS: f64 = 2e6;
const BLOCKS: usize = 3;
/// Memory that no build here is short of.
const MEMORY_MIB: u64 = 1 << 20;
/// Within which factor steps and bytes on the wire should be predicted.
const COUNTS: f64 = 1.25;
/// The same for messages, which depend on the few walks of a block that live longest, and for memory, which depends on the
/// allocator. For processor time it is a target and no check: it depends on what else the machine is doing.
const ROUGHLY: f64 = 1.5;

/// What to measure.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Where the constants are taken from: GRAPH@WALKS, walks for every source that is not dangling
    #[arg(long, value_name = "CASE", default_value = "rmat:18:16:weighted@50")]
    calibrate: Case,
    /// What is predicted and built: GRAPH@WALKS or GRAPH@WALKS/RESTART_PROB; a graph is a file, one of those generated, or
    /// one that the suite `choice` knows by name; one that is not there is left out
    #[arg(long, value_name = "CASE", value_delimiter = ',')]
    #[arg(default_value = "rmat:16:16:weighted@100,rmat:18:16:weighted@50,rmat:18:16@20/0.3,rmat:20:16:weighted@10,\
                           rmat:22:16:weighted@2,soc-Epinions1@50,cnr-2000@20")]
    cases: Vec<Case>,
    /// Numbers of processes, of one worker each
    #[arg(long, value_delimiter = ',', default_value = "1,2,4", value_parser = clap::value_parser!(u16).range(1..=16))]
    processes: Vec<u16>,
    /// The key of all random numbers
    #[arg(long, default_value_t = 0)]
    key: u64,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// A graph and a plan.
#[derive(Debug, Clone, PartialEq)]
struct Case {
    graph: CaseGraph,
    walks: u32,
    restart_prob: f64,
}

#[derive(Debug, Clone, PartialEq)]
enum CaseGraph {
    Known(Known),
    Spec(Spec),
}

impl FromStr for Case {
    type Err = String;

    fn from_str(text: &str) -> Result<Case, String> {
        let expected = || format!("expected GRAPH@WALKS or GRAPH@WALKS/RESTART_PROB, got {text:?}");
        let (graph, plan) = text.trim().rsplit_once('@').ok_or_else(expected)?;
        let (walks, restart_prob) = plan.split_once('/').unwrap_or((plan, "0.15"));
        let graph = match graph.parse() {
            // The one that is generated can be asked for as such.
            Ok(known) if known != Known::Rmat => CaseGraph::Known(known),
            _ => CaseGraph::Spec(graph.parse()?),
        };
        let walks = walks.parse().map_err(|_| expected())?;
        let restart_prob = restart_prob.parse().map_err(|_| expected())?;
        Ok(Case { graph, walks, restart_prob })
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.graph {
            CaseGraph::Known(known) => write!(f, "{known}")?,
            CaseGraph::Spec(Spec::File(path) | Spec::Store(path)) => {
                write!(f, "{}", path.file_name().unwrap_or(path.as_os_str()).display())?;
            }
            CaseGraph::Spec(spec) => write!(f, "{spec}")?,
        }
        write!(f, " R={} a={}", self.walks, self.restart_prob)
    }
}

impl Case {
    fn plan(&self, rng_key: u64) -> Plan {
        Plan { restart_prob: self.restart_prob, walks: self.walks, walks_per_edge: 0.0, rng_key, big_moves: 0 }
    }

    /// How to have the graph; none where its file is not there.
    fn options(&self, directory: &Path, key: u64) -> Result<Option<GraphOptions>> {
        match &self.graph {
            CaseGraph::Known(known) if known.file().is_some_and(|file| !file.exists()) => Ok(None),
            CaseGraph::Known(known) => Ok(Some(known.options(directory, key)?)),
            CaseGraph::Spec(Spec::Store(path)) => {
                bail!("{}: this suite writes indexes: give the file that the store was loaded from", path.display())
            }
            CaseGraph::Spec(spec) => Ok(Some(GraphOptions { graph: spec.clone(), reading: Reading::default(), key })),
        }
    }
}

/// A store, what the model knows of its graph, and how it is cut.
struct Scene<'s> {
    store: &'s Store,
    shape: &'s Shape,
    plan: &'s Plan,
}

impl Scene<'_> {
    /// How the work is cut among so many processes of so many workers.
    fn cut(&self, processes: usize, workers: usize, block_visits: f64) -> Result<Cut> {
        let graph = self.store.graph()?;
        Ok(Cut {
            restart_prob: self.plan.restart_prob,
            processes: processes as f64,
            workers: workers as f64,
            crossing: crossing(&graph, ShardedCut::default().longest_row, processes, workers)?,
            block_visits,
            blocks: BLOCKS as f64,
        })
    }

    /// Builds twice: once for what it takes, once with timely's account.
    fn build(&self, cut: Cut) -> Result<Measured<'_>> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "made from whole numbers")]
        let (processes, workers) = (cut.processes as usize, cut.workers as usize);
        let mut job = Job {
            processes,
            workers,
            graph: GraphMode::Sharded,
            memory_mib: MEMORY_MIB,
            longest_row: None,
            blocks: Some(BLOCKS),
            block_visits: Some(cut.block_visits),
            timely_log: None,
        };
        let done = job.build(self.store.path(), self.plan)?;
        let peaks = done.peaks_mib().context("the system does not say how much memory a process held")?;
        let log = tempfile::tempdir().context("could not make a temporary directory")?;
        job.timely_log = Some(log.path().to_owned());
        let again = job.build(self.store.path(), self.plan)?;
        let batches = Batches::read(log.path())?;
        // What else the machine does can only add to it.
        let processor_seconds = [done.processor_seconds(), again.processor_seconds()].into_iter().flatten();
        let processor_seconds = processor_seconds.reduce(f64::min);
        Ok(Measured {
            shape: self.shape,
            cut,
            steps: done.whole().steps as f64,
            rounds: batches.of_the_busiest_pair as f64,
            messages: batches.sent as f64,
            wire_bytes: done.sent_bytes() as f64,
            peak_bytes: peaks.iter().copied().fold(0.0, f64::max) * 1_048_576.0,
            processor_seconds,
        })
    }
}

/// What the model needs to know of a store's graph; how large fingerprints are is found out as `walkprint plan` does it.
fn look(store: &Store, plan: &Plan) -> Result<Shape> {
    let sampled = estimate(store, plan, 1)?;
    let graph = store.graph()?;
    // The estimate counts eight bytes a source for finding fingerprints on the disk.
    let bytes = sampled.bytes as f64 - 8.0 * graph.nodes() as f64;
    Shape::of(&graph, plan, ShardedCut::default().longest_row, bytes)
}

/// Runs the suite.
///
/// # Errors
/// When a graph cannot be had, a build fails, or the system does not say what it took.
pub(crate) fn run(options: &Options) -> Result<Report> {
    let directory = tempfile::tempdir().context("could not make a temporary directory")?;
    let mut report = Report::on_several("scale");
    let constants = calibrate(options, directory.path(), &mut report)?;
    report.parameters(json!({
        "calibrated_on": options.calibrate.to_string(), "constants": constants, "block_visits": BLOCK_VISITS,
        "blocks": BLOCKS, "longest_row": ShardedCut::default().longest_row,
    }));
    let mut rows = Vec::new();
    for (number, case) in options.cases.iter().enumerate() {
        let place = directory.path().join(format!("{number}.wp"));
        let Some(graph) = case.options(directory.path(), options.key)? else {
            report.note(format!("left out {case}: its file is not there"));
            continue;
        };
        let (store, facts) = graph.store(&place)?;
        report.graphs.push(facts);
        let plan = case.plan(options.key);
        plan.check()?;
        let shape = look(&store, &plan)?;
        let scene = Scene { store: &store, shape: &shape, plan: &plan };
        for &processes in &options.processes {
            let cut = scene.cut(processes.into(), 1, BLOCK_VISITS)?;
            let name = format!("{case}, {processes} x 1");
            let measured = scene.build(cut).with_context(|| name.clone())?;
            compare(&name, &constants.cost(&shape, &cut), &measured, &mut report);
            rows.push(SheetRow { case: name.clone(), name, words: Vec::new(), ours: true });
        }
        drop(store);
        std::fs::remove_dir_all(&place).context("could not remove a store that has served")?;
    }
    report.sheets.push(Sheet {
        title: "Predicted / measured".to_owned(),
        caption: "builds that no constant was taken from, but for the graph of calibration".to_owned(),
        rows,
        word_columns: Vec::new(),
        columns: COLUMNS.to_vec(),
        folded: false,
    });
    judge(&mut report);
    on_paper(&constants, &mut report);
    report.note(
        "rounds are held against the messages of the busiest pair of workers; where rows are cut, a round has up to three",
    );
    report.note("memory is that of the process that holds most, mapped pages of the store included");
    Ok(report)
}

/// The constants, from four builds of one graph.
fn calibrate(options: &Options, directory: &Path, report: &mut Report) -> Result<Constants> {
    let case = &options.calibrate;
    let graph = case.options(directory, options.key)?;
    let graph = graph.with_context(|| format!("{case}: cannot calibrate on a graph whose file is not there"))?;
    let place = directory.join("calibration.wp");
    let (store, facts) = graph.store(&place)?;
    report.graphs.push(facts);
    let plan = case.plan(options.key);
    plan.check()?;
    let few_plan = Plan { walks: plan.walks.div_ceil(10), ..plan.clone() };
    let (shape, few_shape) = (look(&store, &plan)?, look(&store, &few_plan)?);
    let scene = Scene { store: &store, shape: &shape, plan: &plan };
    let few = Scene { store: &store, shape: &few_shape, plan: &few_plan };
    let constants = Constants::measured(&Calibration {
        alone: scene.build(scene.cut(1, 1, BLOCK_VISITS)?)?,
        few_walks: few.build(few.cut(1, 1, BLOCK_VISITS)?)?,
        together: scene.build(scene.cut(2, 1, BLOCK_VISITS)?)?,
        small_blocks: scene.build(scene.cut(2, 1, BLOCK_VISITS / 10.0)?)?,
    })?;
    let Constants { moves, merged, message_bytes, program_bytes, visit_bytes, .. } = constants;
    let Constants { edge_seconds, step_seconds, byte_seconds, message_seconds, .. } = constants;
    for (name, unit, value) in [
        ("MOVES", "steps a move", moves),
        ("MERGED", "arrivals a step", merged),
        ("MESSAGE", "bytes", message_bytes),
        ("PROGRAM", "MiB", program_bytes / 1_048_576.0),
        ("VISIT", "bytes a visit", visit_bytes),
        ("EDGE", "processor-ns", edge_seconds * 1e9),
        ("STEP", "processor-ns", step_seconds * 1e9),
        ("BYTE", "processor-ns", byte_seconds * 1e9),
        ("MESSAGE_TIME", "processor-µs", message_seconds * 1e6),
    ] {
        report.figure(Figure::single(format!("constants, {case}"), name, unit, value));
    }
    drop(store);
    std::fs::remove_dir_all(&place).context("could not remove a store that has served")?;
    Ok(constants)
}

const MEASURED: &str = "measured";
const RATIO: &str = "pred. / meas.";
/// Of each quantity: what was measured, and what was predicted for each of that.
const STEPS: (Quantity, Quantity) = (("steps, M", MEASURED), ("steps", RATIO));
const ROUNDS: (Quantity, Quantity) = (("rounds", MEASURED), ("rounds", RATIO));
const MESSAGES: (Quantity, Quantity) = (("messages", MEASURED), ("messages", RATIO));
const WIRE: (Quantity, Quantity) = (("wire, MB", MEASURED), ("wire", RATIO));
const PEAK: (Quantity, Quantity) = (("peak, MiB", MEASURED), ("peak", RATIO));
const PROCESSOR: (Quantity, Quantity) = (("processor, s", MEASURED), ("processor", RATIO));
const COLUMNS: [Quantity; 12] = [
    STEPS.0,
    STEPS.1,
    ROUNDS.0,
    ROUNDS.1,
    MESSAGES.0,
    MESSAGES.1,
    WIRE.0,
    WIRE.1,
    PEAK.0,
    PEAK.1,
    PROCESSOR.0,
    PROCESSOR.1,
];

/// What was predicted beside what was measured.
fn compare(name: &str, predicted: &Cost, measured: &Measured<'_>, report: &mut Report) {
    let mut both = |quantity: (Quantity, Quantity), predicted: f64, measured: Option<f64>, unit: f64| {
        let ((of_measured, _), (of_ratio, _)) = quantity;
        let Some(measured) = measured.filter(|&measured| measured != 0.0) else { return };
        report.figure(Figure::single(name, of_measured, MEASURED, measured / unit));
        report.figure(Figure::single(name, of_ratio, RATIO, predicted / measured));
    };
    both(STEPS, predicted.steps, Some(measured.steps), 1e6);
    both(ROUNDS, predicted.rounds, Some(measured.rounds), 1.0);
    both(MESSAGES, predicted.messages, Some(measured.messages), 1.0);
    both(WIRE, predicted.wire_bytes, Some(measured.wire_bytes), 1e6);
    both(PEAK, predicted.peak_bytes, Some(measured.peak_bytes), 1_048_576.0);
    both(PROCESSOR, predicted.processor_seconds, measured.processor_seconds, 1.0);
}

/// Checks each quantity over all cases, and says which was furthest off.
fn judge(report: &mut Report) {
    let checks: [(&'static str, Quantity, f64); 5] = [
        ("steps are predicted", STEPS.1, COUNTS),
        ("messages are predicted", MESSAGES.1, ROUGHLY),
        ("bytes on the wire are predicted", WIRE.1, COUNTS),
        ("peak memory is predicted", PEAK.1, ROUGHLY),
        ("processor time is predicted", PROCESSOR.1, ROUGHLY),
    ];
    for (what, quantity, factor) in checks {
        let all: Vec<(String, f64)> = report
            .figures
            .iter()
            .filter(|figure| figure.quantity() == quantity)
            .map(|figure| (figure.case().to_owned(), figure.value()))
            .collect();
        let off = |ratio: f64| ratio.max(1.0 / ratio);
        let Some((case, worst)) = all.iter().max_by(|one, other| off(one.1).total_cmp(&off(other.1))) else { continue };
        let beyond = all.iter().filter(|(_, ratio)| factor < off(*ratio)).count();
        let evidence = format!(
            "within a factor of {factor} in {} of {} builds; furthest off {} ({case})",
            all.len() - beyond,
            all.len(),
            number(*worst)
        );
        if quantity == PROCESSOR.1 {
            let figure = Figure::single("all builds", "processor, furthest off", "factor", off(*worst));
            report.figure(figure.with_target(Target::AtMost(factor)));
            report.note(format!("{what}: {evidence}"));
        } else {
            report.check(what, beyond == 0, evidence);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graphs::tests::facts;

    #[test]
    fn cases_are_read_and_bad_ones_refused() {
        let case: Case = "rmat:8:4:weighted@12/0.3".parse().unwrap();
        assert_eq!((case.walks, case.restart_prob), (12, 0.3));
        assert_eq!(case.to_string(), "rmat:8:4:weighted R=12 a=0.3");
        let known: Case = "cnr-2000@7".parse().unwrap();
        assert_eq!((known.graph, known.restart_prob), (CaseGraph::Known(Known::Cnr), 0.15));
        for bad in ["rmat:8:4", "rmat:8:4@", "rmat:8:4@many", "rmat:8:4@5/half", "rmat:99:4@5"] {
            assert!(bad.parse::<Case>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_prediction_far_off_fails_and_one_that_is_near_does_not() {
        let mut report = Report::new("scale", facts());
        for (case, ratio) in [("one", 0.9), ("other", 1.2)] {
            report.figure(Figure::single(case, STEPS.1.0, RATIO, ratio));
            report.figure(Figure::single(case, WIRE.1.0, RATIO, ratio / 1.5));
        }
        judge(&mut report);
        assert_eq!(report.checks.iter().map(|check| check.passed).collect::<Vec<_>>(), [true, false]);
        assert!(report.checks[1].evidence.contains("1 of 2"), "{}", report.checks[1].evidence);
        assert!(report.checks[1].evidence.contains("(one)"));
    }
}
