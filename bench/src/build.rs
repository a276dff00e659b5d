//! Suite `build`: whole index builds, edges to flushed segments, by number of workers, beside one good thread.
//!
//! Each build runs in a process of its own, because Linux keeps the peak of resident memory by process. The good thread
//! walks and packs all fingerprints in memory: no dataflow, no disk.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::json;
use walkprint_cluster::build::{BuildOptions, BuildProgress, ShardedCut, build_index};
use walkprint_cluster::graph_mode::GraphMode;
use walkprint_engine::plan::Plan;
use walkprint_engine::store::Store;
use walkprint_walkers::kernel::Walkable;
use walkprint_walkers::tally::Walker;

use crate::figure::{Figure, Target, median, quantile, ratios};
use crate::graphs::{GraphOptions, nodes, random_sources};
use crate::machine::{cores, proc_kib, processor_seconds};
use crate::report::{Output, Report};

/// The index that builds make, again and again.
const NAME: &str = "bench";
/// Point look-ups that are timed.
const LOOKUPS: usize = 20_000;
/// Sources that the good thread walks at a time.
const STRETCH: u32 = 500;

/// What to measure.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    graph: GraphOptions,
    /// Rounds; each builds once by every number of workers
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Numbers of workers
    #[arg(long, value_delimiter = ',', default_value = "1,2", value_parser = clap::value_parser!(u16).range(1..))]
    workers: Vec<u16>,
    #[command(flatten)]
    plan: PlanOptions,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// The plan of the index and the memory of its build.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "The index that is built")]
pub(crate) struct PlanOptions {
    /// The least number of walks of a source
    #[arg(long, default_value_t = 16)]
    walks: u32,
    /// Walks for each out-edge of a source
    #[arg(long, default_value_t = 1.0)]
    walks_per_edge: f64,
    /// The chance that a walk ends at a step
    #[arg(long, default_value_t = 0.15)]
    restart_prob: f64,
    /// The most paths of a node that makes big moves
    #[arg(long, default_value_t = 0)]
    big_moves: u32,
    /// The most memory a build may hold, in MiB
    #[arg(long, default_value_t = 4096, value_parser = clap::value_parser!(u64).range(..1 << 40))]
    pub(crate) memory_mib: u64,
}

/// One build of a store that exists.
#[derive(Debug, Args)]
pub(crate) struct OnceOptions {
    #[arg(long)]
    store: PathBuf,
    #[arg(long)]
    workers: usize,
    #[arg(long)]
    rng_key: u64,
    #[command(flatten)]
    plan: PlanOptions,
}

/// What one build did.
#[derive(Debug, Serialize, Deserialize)]
struct Once {
    seconds: f64,
    processor_seconds: Option<f64>,
    steps: u64,
    entries: u64,
    bytes: u64,
    planned_bytes: u64,
    peak_kib: Option<u64>,
    fingerprint_digest: String,
}

impl PlanOptions {
    /// The plan under a key.
    pub(crate) fn plan(&self, rng_key: u64) -> Plan {
        let &PlanOptions { walks, walks_per_edge, restart_prob, big_moves, .. } = self;
        Plan { restart_prob, walks, walks_per_edge, rng_key, big_moves }
    }

    /// The most memory a job may hold.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.memory_mib << 20
    }

    /// What [`build_index`] takes.
    pub(crate) fn build_options(&self, rng_key: u64, workers: usize) -> BuildOptions {
        let (name, plan, memory_bytes) = (NAME.to_owned(), self.plan(rng_key), self.memory_mib << 20);
        let (graph, cut) = (GraphMode::Replicated, ShardedCut::default());
        BuildOptions { name, plan, workers, memory_bytes, graph, cut, resume: false, replace: true, timely_log: None }
    }
}

/// Runs the suite.
///
/// # Errors
/// When the graph cannot be had, a build fails, or the disk refuses.
pub(crate) fn run(options: &Options) -> Result<Report> {
    if options.graph.is_store() {
        bail!("this suite writes indexes: give the file that the store was loaded from, or an rmat graph");
    }
    let plan = options.plan.plan(options.graph.key);
    plan.check()?;
    let directory = tempfile::tempdir().context("could not make a temporary directory")?;
    let (store, facts) = options.graph.store(&directory.path().join("bench.wp"))?;
    let mut report = Report::new("build", facts);
    let mut builds: Vec<Vec<Once>> = options.workers.iter().map(|_| Vec::new()).collect();
    let mut plain = Vec::new();
    for _ in 0..options.runs {
        plain.push(one_good_thread(&store, &plan)?);
        for (&workers, builds) in options.workers.iter().zip(&mut builds) {
            builds.push(in_a_process(store.path(), workers, options)?);
        }
    }
    report.parameters(json!({
        "plan": plan, "runs": options.runs, "workers": options.workers, "memory_mib": options.plan.memory_mib,
        "store": directory.path(),
    }));
    let plain_seconds: Vec<f64> = plain.iter().map(|plain| plain.seconds).collect();
    describe_plain(&mut report, &plain, &plain_seconds);
    for (&workers, builds) in options.workers.iter().zip(&builds) {
        describe(&mut report, workers, builds, &plain_seconds);
    }
    describe_speed_ups(&mut report, &options.workers, &builds);
    let all = || builds.iter().flatten();
    let Some(first) = all().next() else { bail!("--workers needs a number") };
    let index = Store::open(store.path())?;
    describe_index(&mut report, &index, first, options.graph.key)?;
    report.check(
        "every build gave the same fingerprints",
        all().all(|build| build.fingerprint_digest == first.fingerprint_digest),
        format!("{} builds, digest {}", all().count(), first.fingerprint_digest),
    );
    let peak = all().filter_map(|build| build.peak_kib).max().unwrap_or_default().div_ceil(1 << 10);
    report.check(
        "no build held more than --memory",
        peak <= options.plan.memory_mib,
        format!("at most {peak} MiB of {}", options.plan.memory_mib),
    );
    let totals = |steps, entries| format!("{steps} steps, {entries} entries");
    report.check(
        "the good thread made the same steps and entries",
        plain.iter().all(|plain| (plain.steps, plain.entries) == (first.steps, first.entries)),
        totals(first.steps, first.entries),
    );
    report.note("builds read the mapped graph, copy it into huge pages, and end with every segment flushed and named");
    Ok(report)
}

/// The hidden command: builds once and prints what it did as JSON.
///
/// # Errors
/// When the build fails.
pub(crate) fn run_once(options: &OnceOptions) -> Result<()> {
    let began = Instant::now();
    let build = options.plan.build_options(options.rng_key, options.workers);
    let outcome = build_index(&options.store, &build, &Arc::new(BuildProgress::default()), &mut |_| {})?;
    let once = Once {
        seconds: began.elapsed().as_secs_f64(),
        processor_seconds: processor_seconds(),
        steps: outcome.steps,
        entries: outcome.entry.entries,
        bytes: outcome.entry.bytes,
        planned_bytes: outcome.planned_bytes,
        peak_kib: proc_kib("/proc/self/status", "VmHWM"),
        fingerprint_digest: outcome.entry.fingerprint_digest,
    };
    println!("{}", serde_json::to_string(&once)?);
    Ok(())
}

/// The arguments for a plan, which `walkprint index` and this program share.
pub(crate) fn plan_arguments(plan: &Plan) -> [String; 5] {
    let Plan { restart_prob, walks, walks_per_edge, rng_key, big_moves } = plan;
    [
        format!("--restart-prob={restart_prob}"),
        format!("--walks={walks}"),
        format!("--walks-per-edge={walks_per_edge}"),
        format!("--rng-key={rng_key}"),
        format!("--big-moves={big_moves}"),
    ]
}

fn in_a_process(store: &Path, workers: u16, options: &Options) -> Result<Once> {
    let program = std::env::current_exe().context("could not find this program's own file")?;
    let mut command = Command::new(program);
    command.arg("build-once").arg("--store").arg(store);
    command.arg(format!("--workers={workers}")).args(plan_arguments(&options.plan.plan(options.graph.key)));
    command.arg(format!("--memory-mib={}", options.plan.memory_mib));
    let output = command.output().context("could not start a process for a build")?;
    if !output.status.success() {
        bail!("the build with {workers} workers failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    serde_json::from_slice(&output.stdout).context("the build's process printed something else than its result")
}

/// What the good thread did.
struct Plain {
    seconds: f64,
    steps: u64,
    entries: u64,
}

fn one_good_thread(store: &Store, plan: &Plan) -> Result<Plain> {
    let began = Instant::now();
    let graph = store.graph()?;
    let rows = graph.walk_rows().in_huge_pages()?.checked()?;
    let (mut walker, mut steps, mut entries, mut bytes) = (Walker::default(), 0, 0, Vec::new());
    let end = nodes(&graph).end;
    for first in (0..end).step_by(STRETCH as usize) {
        let packed = walker.fingerprints(Walkable::new(&rows), plan, first, end.min(first.saturating_add(STRETCH)));
        steps += packed.steps;
        entries += packed.entries;
        bytes.push(packed.bytes);
    }
    std::hint::black_box(bytes);
    Ok(Plain { seconds: began.elapsed().as_secs_f64(), steps, entries })
}

fn describe_plain(report: &mut Report, plain: &[Plain], seconds: &[f64]) {
    let case = "one good thread";
    report.figure(Figure::trials(case, "time", "s", seconds.to_vec()));
    let speed = plain.iter().map(|plain| plain.steps as f64 / plain.seconds / 1e6).collect();
    report.figure(Figure::trials(case, "speed", "M steps/s", speed));
}

fn describe(report: &mut Report, workers: u16, builds: &[Once], plain_seconds: &[f64]) {
    let case = if workers == 1 { "1 worker".to_owned() } else { format!("{workers} workers") };
    let column = |part: &dyn Fn(&Once) -> f64| builds.iter().map(part).collect::<Vec<f64>>();
    let seconds = column(&|build| build.seconds);
    report.figure(Figure::trials(&case, "time", "s", seconds.clone()));
    let used = usize::from(workers).min(cores()) as f64;
    report.figure(Figure::trials(
        &case,
        "speed",
        "M steps/s",
        column(&|build| build.steps as f64 / build.seconds / 1e6),
    ));
    let per_core = column(&|build| build.steps as f64 / build.seconds / 1e6 / used);
    report.figure(Figure::trials(&case, "speed", "M steps/s/core", per_core));
    report.figure(Figure::trials(&case, "written", "MB/s", column(&|build| build.bytes as f64 / build.seconds / 1e6)));
    if builds.iter().all(|build| build.processor_seconds.is_some()) {
        let used = column(&|build| build.processor_seconds.unwrap_or_default());
        report.figure(Figure::trials(&case, "processor time", "s", used));
    }
    if builds.iter().all(|build| build.peak_kib.is_some()) {
        let peak = column(&|build| build.peak_kib.unwrap_or_default() as f64 / 1024.0);
        report.figure(Figure::trials(&case, "peak resident memory", "MiB", peak));
    }
    let planned = builds[0].planned_bytes as f64 / f64::from(1 << 20);
    report.figure(Figure::single(&case, "planned memory", "MiB", planned));
    report.figure(Figure::trials(&case, "good thread / this", "by time", ratios(plain_seconds, &seconds)));
}

fn describe_speed_ups(report: &mut Report, workers: &[u16], builds: &[Vec<Once>]) {
    let seconds = |builds: &[Once]| builds.iter().map(|build| build.seconds).collect::<Vec<f64>>();
    let Some((_, one)) = workers.iter().zip(builds).find(|(workers, _)| **workers == 1) else { return };
    for (workers, builds) in workers.iter().zip(builds).filter(|(workers, _)| **workers != 1) {
        let case = format!("{workers} workers / 1, round by round");
        let figure = Figure::trials(&case, "speed-up", "by time", ratios(&seconds(one), &seconds(builds)));
        let two = *workers == 2 && 2 <= cores();
        let figure = if two { figure.with_target(Target::AtLeast(1.8)) } else { figure };
        report.figure(figure);
        // On a busy machine this says what the clock cannot: how much more work several workers make of the same job.
        let used = |builds: &[Once]| builds.iter().map(|build| build.processor_seconds).collect::<Option<Vec<f64>>>();
        if let (Some(one), Some(several)) = (used(one), used(builds)) {
            report.figure(Figure::trials(&case, "processor time", "ratio", ratios(&several, &one)));
        }
    }
}

/// Size, and how long a look-up takes once everything has been touched.
fn describe_index(report: &mut Report, store: &Store, build: &Once, key: u64) -> Result<()> {
    let graph = store.graph()?;
    let index = store.index(NAME, &graph)?;
    let size = Figure::single("index", "size", "bytes/entry", build.bytes as f64 / build.entries as f64);
    report.figure(size.with_target(Target::AtMost(3.0)));
    report.figure(Figure::single("index", "size", "entries/source", build.entries as f64 / graph.nodes() as f64));
    report.figure(Figure::single("index", "size", "MB", build.bytes as f64 / 1e6));
    let sources = random_sources(&graph, LOOKUPS, key)?;
    let mut micros = Vec::with_capacity(sources.len());
    for _ in ["cold", "warm"] {
        micros.clear();
        for &source in &sources {
            let began = Instant::now();
            let visits = index.fingerprint(source)?.to_vec().ok_or_else(|| index.damaged(source))?;
            micros.push(began.elapsed().as_secs_f64() * 1e6);
            std::hint::black_box(visits);
        }
    }
    let lookup = Figure::single("look-up, warm", "median", "µs", median(&micros));
    report.figure(lookup.with_target(Target::AtMost(20.0)));
    report.figure(Figure::single("look-up, warm", "99th percentile", "µs", quantile(&micros, 0.99)));
    Ok(())
}
