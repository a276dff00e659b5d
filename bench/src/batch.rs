//! Suite `batch`: the best nodes of many or all sources in one command, as Parquet on the disk.
//!
//! The whole job runs in a process of its own, because Linux keeps the peak of resident memory by process: its time
//! includes opening the store, the pilot and the last flush. igraph answers a few of the same questions before and after
//! each job. Afterwards the results of sampled sources are read back and judged by exact scores.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::json;
use walkprint_cluster::batch::{BatchOptions, BatchProgress, Sources, run_batch};
use walkprint_engine::ids::NodeId;
use walkprint_engine::query::{Answerer, Method, Seeds};

use crate::batch_output;
use crate::contenders::{System, Table, contenders};
use crate::figure::{Figure, Target, median, number, ratios};
use crate::graphs::{Landmark, random_sources};
use crate::indexed::{Indexed, IndexedOptions, RESIDUAL, check_exact, true_question};
use crate::machine::{proc_kib, processor_seconds};
use crate::metrics::{self, Judge, Quality};
use crate::peer_graph::{self, PeerOrder};
use crate::plot::{Bar, Picture, Plot};
use crate::protocol::{Process, Request};
use crate::report::{Output, Report};
use crate::venv;

/// How much less time a source should take than igraph needs for it, on soc-Epinions1.
const TIMES_IGRAPH: f64 = 58.0;
const PRECISION: f64 = 0.99;
/// The most memory a job should hold, in MiB.
const MEMORY_MIB: f64 = 2048.0;

/// What to measure.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    indexed: IndexedOptions,
    /// Jobs
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// How many random sources that are not dangling [default: all nodes]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    sources: Option<u32>,
    /// How many results for each source
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    top: u32,
    /// auto, lookup, combine or exact
    #[arg(long, default_value = "auto")]
    method: Method,
    /// The L1 error that `auto` may put up with
    #[arg(long)]
    precision: Option<f64>,
    /// Threads of a job
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    workers: u16,
    /// How many sources are judged
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    sample: u32,
    /// How many sources igraph answers before and after each job (0: without igraph, and without Python)
    #[arg(long, default_value_t = 20)]
    igraph_questions: u32,
    /// Which numbers nodes have in igraph's graph
    #[arg(long, default_value = "given")]
    peer_order: PeerOrder,
    /// Where Python packages go [default: walkprint-bench/venv in the user's cache]
    #[arg(long, value_name = "DIR")]
    venv: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// One job on a store that exists.
#[derive(Debug, Args)]
pub(crate) struct OnceOptions {
    #[arg(long)]
    store: PathBuf,
    #[arg(long)]
    index: String,
    #[arg(long)]
    sources: Sources,
    #[arg(long)]
    top: usize,
    #[arg(long)]
    method: Method,
    #[arg(long)]
    precision: Option<f64>,
    #[arg(long)]
    workers: usize,
    #[arg(long)]
    memory_bytes: u64,
    #[arg(long)]
    out: PathBuf,
}

/// What one job did.
#[derive(Debug, Serialize, Deserialize)]
struct Once {
    seconds: f64,
    answering_seconds: f64,
    predicted_seconds: Option<f64>,
    processor_seconds: Option<f64>,
    peak_kib: Option<u64>,
    sources: u64,
    rows: u64,
    bytes: u64,
    method: String,
    restart_prob: f64,
}

/// Runs the suite.
///
/// # Errors
/// When the graph, the index or igraph cannot be had, or a job fails.
pub(crate) fn run(options: &Options) -> Result<Report> {
    let python =
        if options.igraph_questions == 0 { None } else { Some(venv::python(venv::PEERS, options.venv.as_deref())?) };
    let asked = options.indexed.open()?;
    let key = options.indexed.graph.key;
    let mut report = Report::new("batch", asked.facts.clone());
    let restart_prob = asked.index.plan().restart_prob;
    let count = options.sources.unwrap_or(options.sample).max(options.sample);
    let sources = random_sources(&asked.graph, count as usize, key)?;
    let listed = &sources[..sources.len().min(options.sources.unwrap_or(options.sample) as usize)];
    let sample = &listed[..listed.len().min(options.sample as usize)];
    let list = match options.sources {
        Some(_) => Some(write_list(&asked, listed)?),
        None => None,
    };
    let mut igraph = match &python {
        Some(python) => Some(Igraph::start(&asked, options, python, sample, restart_prob)?),
        None => None,
    };
    let (mut jobs, mut igraph_seconds) = (Vec::new(), Vec::new());
    let out = asked.directory.path().join("answers");
    for _ in 0..options.runs {
        let before = igraph.as_mut().map(Igraph::seconds).transpose()?;
        jobs.push(in_a_process(&asked, options, list.as_deref(), &out)?);
        let after = igraph.as_mut().map(Igraph::seconds).transpose()?;
        igraph_seconds.extend(before.zip(after).map(|(before, after)| f64::midpoint(before, after)));
    }
    let Some(last) = jobs.last() else { bail!("--runs needs a number") };
    report.parameters(json!({
        "plan": asked.index.plan(), "index_digest": asked.index.entry().fingerprint_digest, "runs": options.runs,
        "sources": last.sources, "top": options.top, "method": options.method, "precision": options.precision,
        "workers": options.workers, "sample": sample.len(), "igraph_questions": options.igraph_questions,
        "peer_order": options.peer_order.to_string(), "key": key, "exact_residual": RESIDUAL,
    }));
    if let Some(igraph) = &igraph {
        let ready = igraph.process.ready();
        report.versions.push((ready.system.clone(), format!("{}, {}", ready.version, ready.platform)));
    }
    describe(&mut report, options, &jobs, &igraph_seconds);
    describe_index(&mut report, &asked);
    judge(&mut report, &asked, sample, &out, options.top as usize)?;
    let wanted = options.sources.map_or(asked.graph.nodes(), |_| listed.len()) as u64;
    let evidence = format!("{} sources, {} rows", last.sources, last.rows);
    report.check("every job answered every source", jobs.iter().all(|job| job.sources == wanted), evidence);
    report.note(
        "a job is a process from its start to the last byte on the disk, opening the store and the pilot included",
    );
    report.note("seconds per core are by the clock, times the threads that were asked for");
    Ok(report)
}

/// The hidden command: one job, what it did as JSON.
///
/// # Errors
/// When the job fails.
pub(crate) fn run_once(options: &OnceOptions) -> Result<()> {
    let began = Instant::now();
    let batch = BatchOptions {
        sources: options.sources.clone(),
        top: options.top,
        method: options.method,
        precision: options.precision,
        index: Some(options.index.clone()),
        workers: options.workers,
        memory_bytes: options.memory_bytes,
        replace: true,
        ..BatchOptions::new(&options.out)
    };
    let outcome = run_batch(&options.store, &batch, &Arc::new(BatchProgress::default()), &mut |_| {})?;
    let once = Once {
        seconds: began.elapsed().as_secs_f64(),
        answering_seconds: outcome.seconds,
        predicted_seconds: outcome.predicted_seconds(),
        processor_seconds: processor_seconds(),
        peak_kib: proc_kib("/proc/self/status", "VmHWM"),
        sources: outcome.sources,
        rows: outcome.rows,
        bytes: outcome.bytes,
        method: outcome.method.to_string(),
        restart_prob: outcome.restart_prob,
    };
    println!("{}", serde_json::to_string(&once)?);
    Ok(())
}

fn in_a_process(asked: &Indexed, options: &Options, list: Option<&Path>, out: &Path) -> Result<Once> {
    let program = std::env::current_exe().context("could not find this program's own file")?;
    let mut command = Command::new(program);
    command.arg("batch-once").arg("--store").arg(asked.store.path()).arg("--out").arg(out);
    command.arg("--sources").arg(list.unwrap_or(Path::new("all")));
    command.args([format!("--index={}", asked.index.entry().name), format!("--top={}", options.top)]);
    command.args([format!("--method={}", options.method), format!("--workers={}", options.workers)]);
    command.arg(format!("--memory-bytes={}", options.indexed.plan.memory_bytes()));
    command.args(options.precision.map(|precision| format!("--precision={precision}")));
    let output = command.output().context("could not start a process for a batch")?;
    if !output.status.success() {
        bail!("the batch failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    serde_json::from_slice(&output.stdout).context("the batch's process printed something else than its result")
}

/// A file of ids, one a line.
pub(crate) fn write_list(asked: &Indexed, sources: &[NodeId]) -> Result<PathBuf> {
    let path = asked.directory.path().join("sources.txt");
    let mut text = String::new();
    for &source in sources {
        text += &asked.labels.id(source)?;
        text.push('\n');
    }
    std::fs::write(&path, text).with_context(|| format!("{}: could not write", path.display()))?;
    Ok(path)
}

/// igraph, and what it is asked.
struct Igraph {
    process: Process,
    request: Request,
}

impl Igraph {
    fn start(
        asked: &Indexed,
        options: &Options,
        python: &Path,
        sample: &[NodeId],
        restart_prob: f64,
    ) -> Result<Igraph> {
        let places = options.peer_order.places(&asked.graph, &asked.labels)?;
        peer_graph::export(&asked.graph, &places, asked.directory.path())?;
        let process = peer_graph::start(System::Igraph, python, asked.directory.path())?;
        let igraph = contenders(Table::Exact, &[System::Igraph], restart_prob, false, 0.01, 1);
        let igraph = igraph.into_iter().next().context("igraph is among the contenders")?;
        let asked_of = sample.iter().take(options.igraph_questions as usize);
        let questions = asked_of.map(|&source| vec![(places[source as usize], 1.0)]).collect();
        Ok(Igraph { process, request: Request { restart_prob, setting: igraph.setting, questions, scores: None } })
    }

    /// The median of its questions.
    fn seconds(&mut self) -> Result<f64> {
        Ok(median(&self.process.ask(&self.request)?.0))
    }
}

fn describe(report: &mut Report, options: &Options, jobs: &[Once], igraph_seconds: &[f64]) {
    let case = format!("top {} of {} sources by {}", options.top, jobs[0].sources, jobs[0].method);
    let column = |part: &dyn Fn(&Once) -> f64| jobs.iter().map(part).collect::<Vec<f64>>();
    let workers = f64::from(options.workers);
    let per_source = column(&|job| job.seconds * workers / job.sources as f64);
    report.figure(Figure::trials(&case, "whole job", "s", column(&|job| job.seconds)));
    let thousand: Vec<f64> = per_source.iter().map(|seconds| seconds * 1e3).collect();
    report.figure(Figure::trials(&case, "time", "s per 1,000 sources and core", thousand.clone()));
    let hours = column(&|job| job.seconds * workers / 3600.0);
    report.figure(Figure::trials(&case, "time", "core-hours", hours));
    if jobs.iter().all(|job| job.processor_seconds.is_some()) {
        let used = column(&|job| job.processor_seconds.unwrap_or_default() / job.sources as f64 * 1e3);
        report.figure(Figure::trials(&case, "processor time", "s per 1,000 sources", used));
    }
    if jobs.iter().all(|job| job.predicted_seconds.is_some()) {
        let predicted = column(&|job| job.predicted_seconds.unwrap_or_default());
        report.figure(Figure::trials(
            &case,
            "predicted time / actual",
            "ratio",
            ratios(&predicted, &column(&|job| job.answering_seconds)),
        ));
    }
    if jobs.iter().all(|job| job.peak_kib.is_some()) {
        let peak = Figure::trials(
            &case,
            "peak resident memory",
            "MiB",
            column(&|job| job.peak_kib.unwrap_or_default() as f64 / 1024.0),
        );
        report.figure(peak.with_target(Target::AtMost(MEMORY_MIB)));
    }
    report.figure(Figure::single(&case, "Parquet", "MB", jobs[0].bytes as f64 / 1e6));
    report.figure(Figure::single(&case, "Parquet", "bytes a row", jobs[0].bytes as f64 / jobs[0].rows.max(1) as f64));
    if igraph_seconds.is_empty() {
        return;
    }
    let igraph_thousand: Vec<f64> = igraph_seconds.iter().map(|seconds| seconds * 1e3).collect();
    report.figure(Figure::trials("igraph PRPACK", "time", "s per 1,000 sources and core", igraph_thousand.clone()));
    let gain =
        Figure::trials("igraph PRPACK", "time / walkprint's, job by job", "ratio", ratios(igraph_seconds, &per_source));
    let is_landmark = options.indexed.graph.landmark() == Some(Landmark::Epinions);
    report.figure(if is_landmark { gain.with_target(Target::AtLeast(TIMES_IGRAPH)) } else { gain });
    let bar = |name: &str, colour, values: &[f64]| {
        let value = median(values);
        Bar { name: name.to_owned(), colour, value, label: format!("{} s", number(value)) }
    };
    report.plots.push(Plot {
        title: "Time of a thousand sources on one core".to_owned(),
        caption: "Walkprint: ranking, names and files included. igraph: scores only.".to_owned(),
        picture: Picture::Bars {
            unit: "seconds",
            bars: vec![bar("walkprint batch", 0, &thousand), bar("igraph PRPACK", 1, &igraph_thousand)],
        },
    });
}

fn describe_index(report: &mut Report, asked: &Indexed) {
    report.figure(Figure::single("index", "size", "MB", asked.index.entry().bytes as f64 / 1e6));
    if let Some(seconds) = asked.build_seconds {
        report.figure(Figure::single("index", "time to build, all cores", "s", seconds));
    }
}

/// Reads the results of sampled sources back and judges them.
fn judge(report: &mut Report, asked: &Indexed, sample: &[NodeId], out: &Path, top: usize) -> Result<()> {
    let mut answerer = Answerer::new(&asked.graph, &asked.labels, Some(&asked.index), asked.index.plan().restart_prob)?;
    let ids = sample.iter().map(|&source| Ok(asked.labels.id(source)?)).collect::<Result<Vec<String>>>()?;
    let mut qualities: Vec<Quality> = Vec::new();
    for (&source, results) in sample.iter().zip(batch_output::results(out, &ids)?) {
        let truth = answerer.scores(&true_question(Seeds::single(source)))?.scores;
        let mut nodes = Vec::with_capacity(results.len());
        for id in &results {
            nodes.push(asked.labels.node(id)?.with_context(|| format!("result {id:?} is no node"))?);
        }
        qualities.push(Judge::new(truth, top).quality(&nodes));
    }
    let case = format!("results of {} sampled sources", sample.len());
    metrics::figures(&case, &qualities, Some(PRECISION)).into_iter().for_each(|figure| report.figure(figure));
    let seeds: Vec<Seeds> = sample.iter().map(|&source| Seeds::single(source)).collect();
    check_exact(report, &asked.graph, &mut answerer, asked.index.plan().restart_prob, &seeds)
}
