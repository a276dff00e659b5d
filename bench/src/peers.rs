//! Suite `peers`: the same questions to Walkprint and to the libraries that people use today, in one run.
//!
//! Every system holds the graph in a process of its own, one thread each, and times its own calls. Rounds go from one to
//! the next, so that whatever else the machine does hits all alike, and ratios are taken round by round. Before any
//! time counts, every method's scores are held against the truth, which is power iteration in double precision by code
//! of this program.
//!
//! What is timed: from a graph that is held to all scores; Walkprint also ranks the best and names them.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::json;
use walkprint_cluster::build::{BuildProgress, build_index};
use walkprint_engine::graph::Graph;
use walkprint_engine::store::Store;

use crate::build::PlanOptions;
use crate::contenders::{Contender, System, Table, contenders};
use crate::exact;
use crate::figure::mean_and_error;
use crate::graphs::{GraphOptions, Landmark, random_sources};
use crate::machine::cores;
use crate::metrics::{Judge, Quality, best, distance};
use crate::peer_graph::{self, PeerOrder};
use crate::peer_report;
use crate::protocol::{AskedSeeds, Process, Request, read_scores};
use crate::report::{Output, Report};
use crate::venv;

/// How far Walkprint's exact answers to a residual of 1e-13 may be from power iteration, in L1.
const EXACT_TOLERANCE: f64 = 1e-10;

/// What to measure.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    graph: GraphOptions,
    /// Rounds; each asks everybody every question
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Rounds in which the points of curves are measured as well (0: no curves)
    #[arg(long, default_value_t = 2)]
    curve_runs: u32,
    /// How many questions for a point of a curve
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    curve_questions: u32,
    /// How many questions
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    questions: u32,
    /// How many questions for a system that takes seconds for each
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    slow_questions: u32,
    /// How many random seeds, none dangling and all of one weight, a question has
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    seeds_per_question: u32,
    /// How many results are judged
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    top: u32,
    /// The restart probability of the approximate comparison, and of the index
    #[arg(long, default_value_t = 0.2)]
    approximate_restart_prob: f64,
    /// The L1 error that `combine` is told to aim at in the table; peers that can be told are told 0.01
    #[arg(long, default_value_t = 0.01)]
    precision: f64,
    /// What to compare
    #[arg(long, value_delimiter = ',', default_value = "exact,approximate")]
    tables: Vec<Table>,
    /// Whom to compare with
    #[arg(long, value_delimiter = ',', default_value = "igraph,scipy,scikit-network,networkx")]
    peers: Vec<System>,
    /// Which numbers nodes have in the peers' graph
    #[arg(long, default_value = "given")]
    peer_order: PeerOrder,
    /// Where Python packages go [default: walkprint-bench/venv in the user's cache]
    #[arg(long, value_name = "DIR")]
    venv: Option<std::path::PathBuf>,
    #[command(flatten)]
    plan: PlanOptions,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// What came of one contender.
pub(crate) struct Course {
    pub(crate) contender: Contender,
    /// L1 distance from the truth, question by question.
    pub(crate) distances: Vec<f64>,
    pub(crate) qualities: Vec<Quality>,
    /// For each round, one entry a question, in milliseconds.
    pub(crate) rounds: Vec<Vec<f64>>,
    pub(crate) peak_kib: Option<u64>,
}

impl Course {
    /// Whether its answers are as good as they must be.
    pub(crate) fn is_right(&self) -> bool {
        if self.contender.is_estimate() {
            return mean_and_error(&self.distances).0 <= self.contender.bound;
        }
        self.distances.iter().all(|distance| *distance <= self.contender.bound)
    }
}

/// The index, and what it took.
pub(crate) struct IndexFacts {
    pub(crate) seconds: f64,
    pub(crate) bytes: u64,
    pub(crate) digest: String,
}

/// Everything that answers, and what is asked.
struct Field {
    /// Walkprint has one process for each table: only one of them has an index.
    processes: BTreeMap<(System, Table), Process>,
    questions: Vec<AskedSeeds>,
    /// The number that a node has in the peers' graph.
    places: Vec<u32>,
    /// How many questions slow systems are asked, and any for a point of a curve.
    slow_questions: usize,
    curve_questions: usize,
    directory: tempfile::TempDir,
}

/// Runs the suite.
///
/// # Errors
/// When the graph cannot be had, Python or a peer is not there, or a system cannot answer.
pub(crate) fn run(options: &Options) -> Result<Report> {
    if options.graph.is_store() {
        bail!("this suite writes indexes: give the file that the store was loaded from, or an rmat graph");
    }
    let mut systems = options.peers.clone();
    systems.sort_unstable();
    systems.dedup();
    let python = venv::python(venv::PEERS, options.venv.as_deref())?;
    let directory = tempfile::tempdir().context("could not make a temporary directory")?;
    let (store, facts) = options.graph.store(&directory.path().join("bench.wp"))?;
    let dangling = facts.dangling_nodes != 0;
    let mut report = Report::new("peers", facts);
    let (graph, labels) = (store.graph()?, store.labels()?);
    let index = index(&store, options)?;
    let places = options.peer_order.places(&graph, &labels)?;
    peer_graph::export(&graph, &places, directory.path())?;
    let questions = questions(&graph, options)?;
    let mut field = Field {
        processes: BTreeMap::new(),
        questions,
        places,
        slow_questions: options.slow_questions as usize,
        curve_questions: options.curve_questions as usize,
        directory,
    };
    field.start(store.path(), &systems, options, &python)?;
    systems.insert(0, System::Walkprint);
    let mut courses = Vec::new();
    let mut largest = 0.0f64;
    for &table in &options.tables {
        let restart_prob = options.restart_prob(table);
        let truth = exact::restart_scores(&graph, restart_prob, &field.questions)?;
        let judges: Vec<Judge> = truth.into_iter().map(|scores| Judge::new(scores, options.top as usize)).collect();
        largest = largest.max(field.check_exact(table, restart_prob, &judges)?);
        for contender in contenders(table, &systems, restart_prob, dangling, options.precision, options.top as usize) {
            if contender.main || options.curve_runs != 0 {
                courses.push(field.try_out(contender, restart_prob, &judges)?);
            }
        }
    }
    let evidence = format!("L1 at most {largest:.1e} over {} questions", field.questions.len());
    report.check("walkprint to 1e-13 agrees with power iteration", largest <= EXACT_TOLERANCE, evidence);
    for run in 0..options.runs {
        for course in courses.iter_mut().filter(|course| course.is_right()) {
            if course.contender.main || run < options.curve_runs {
                field.time(course, options.restart_prob(course.contender.table))?;
            }
        }
    }
    report.parameters(json!({
        "restart_prob": options.plan.plan(0).restart_prob,
        "approximate_restart_prob": options.approximate_restart_prob, "runs": options.runs,
        "questions": options.questions, "slow_questions": options.slow_questions,
        "curve_runs": options.curve_runs, "curve_questions": options.curve_questions,
        "seeds_per_question": options.seeds_per_question, "precision": options.precision, "top": options.top, "key": options.graph.key,
        "index_plan": options.index_plan(), "index_digest": index.digest,
        "peer_order": options.peer_order.to_string(),
    }));
    for ((system, table), process) in &field.processes {
        peer_report::describe_system(&mut report, *system, *table, process.ready());
    }
    peer_report::describe(&mut report, &courses, &index, options.graph.landmark(), options.top);
    Ok(report)
}

impl Options {
    fn restart_prob(&self, table: Table) -> f64 {
        match table {
            Table::Exact => self.plan.plan(0).restart_prob,
            Table::Approximate => self.approximate_restart_prob,
        }
    }

    fn index_plan(&self) -> walkprint_engine::plan::Plan {
        let restart_prob = self.approximate_restart_prob;
        walkprint_engine::plan::Plan { restart_prob, ..self.plan.plan(self.graph.key) }
    }
}

fn index(store: &Store, options: &Options) -> Result<IndexFacts> {
    let mut build = options.plan.build_options(options.graph.key, cores());
    build.plan = options.index_plan();
    let began = Instant::now();
    let outcome = build_index(store.path(), &build, &Arc::new(BuildProgress::default()), &mut |_| {})?;
    let (bytes, digest) = (outcome.entry.bytes, outcome.entry.fingerprint_digest);
    Ok(IndexFacts { seconds: began.elapsed().as_secs_f64(), bytes, digest })
}

fn questions(graph: &Graph, options: &Options) -> Result<Vec<AskedSeeds>> {
    let each = options.seeds_per_question as usize;
    let sources = random_sources(graph, each * options.questions as usize, options.graph.key)?;
    let groups = sources.chunks_exact(each).map(|group| {
        let mut seeds: AskedSeeds = group.iter().map(|&source| (source, 1.0 / each as f64)).collect();
        seeds.sort_unstable_by_key(|&(node, _)| node);
        seeds
    });
    let questions: Vec<AskedSeeds> = groups.collect();
    if questions.is_empty() {
        bail!("the graph has {} nodes with an edge, fewer than one question has seeds", sources.len());
    }
    Ok(questions)
}

impl Field {
    fn start(&mut self, store: &Path, systems: &[System], options: &Options, python: &Path) -> Result<()> {
        let program = std::env::current_exe().context("could not find this program's own file")?;
        for &table in &options.tables {
            let mut command = Command::new(&program);
            command.arg("answer-worker").arg("--store").arg(store);
            command.arg(format!("--restart-prob={}", options.restart_prob(table)));
            if table == Table::Approximate {
                command.arg("--index").arg(&options.plan.build_options(0, 1).name);
            }
            self.processes.insert((System::Walkprint, table), Process::start("walkprint", command)?);
        }
        for &system in systems {
            let process = peer_graph::start(system, python, self.directory.path())?;
            self.processes.insert((system, Table::Exact), process);
        }
        Ok(())
    }

    /// How many questions a contender is asked.
    fn count(&self, contender: &Contender) -> usize {
        let all = if contender.main { self.questions.len() } else { self.curve_questions };
        all.min(if contender.system.is_slow() { self.slow_questions } else { all })
    }

    /// Asks one contender its questions. Returns the times in seconds and the peak of memory.
    fn ask(
        &mut self,
        contender: &Contender,
        restart_prob: f64,
        scores: Option<&Path>,
    ) -> Result<(Vec<f64>, Option<u64>)> {
        let Contender { system, table, .. } = *contender;
        let ours = system == System::Walkprint;
        let number = |node: u32| if ours { node } else { self.places[node as usize] };
        let translated =
            |seeds: &AskedSeeds| seeds.iter().map(|&(node, weight)| (number(node), weight)).collect::<AskedSeeds>();
        let request = Request {
            restart_prob,
            setting: contender.setting.clone(),
            questions: self.questions.iter().take(self.count(contender)).map(translated).collect(),
            scores: scores.map(|scores| scores.to_string_lossy().into_owned()),
        };
        let process = self.processes.get_mut(&(system, if ours { table } else { Table::Exact }));
        process.context("a system that takes part has a process")?.ask(&request)
    }

    /// All scores of one contender's answers, by this program's numbers.
    fn scores(&mut self, contender: &Contender, restart_prob: f64) -> Result<Vec<Vec<f64>>> {
        let directory = tempfile::tempdir().context("could not make a temporary directory")?;
        let (seconds, _) = self.ask(contender, restart_prob, Some(directory.path()))?;
        let mut all = Vec::with_capacity(seconds.len());
        for question in 0..seconds.len() {
            let scores = read_scores(directory.path(), question, self.places.len())?;
            all.push(match contender.system {
                System::Walkprint => scores,
                _ => self.places.iter().map(|&place| scores[place as usize]).collect(),
            });
        }
        Ok(all)
    }

    /// The largest distance of Walkprint's most exact answers from the truth.
    fn check_exact(&mut self, table: Table, restart_prob: f64, judges: &[Judge]) -> Result<f64> {
        let contender = Contender::most_exact(table);
        let all = self.scores(&contender, restart_prob)?;
        Ok(all.iter().zip(judges).map(|(scores, judge)| distance(scores, judge.scores())).fold(0.0, f64::max))
    }

    /// Asks a contender for all scores and judges them.
    fn try_out(&mut self, contender: Contender, restart_prob: f64, judges: &[Judge]) -> Result<Course> {
        let all = self.scores(&contender, restart_prob)?;
        let top = contender.setting.top;
        let (mut distances, mut qualities) = (Vec::new(), Vec::new());
        for (scores, judge) in all.iter().zip(judges) {
            distances.push(distance(scores, judge.scores()));
            qualities.push(judge.quality(&best(scores, top)));
        }
        Ok(Course { contender, distances, qualities, rounds: Vec::new(), peak_kib: None })
    }

    fn time(&mut self, course: &mut Course, restart_prob: f64) -> Result<()> {
        let (seconds, peak_kib) = self.ask(&course.contender, restart_prob, None)?;
        course.rounds.push(seconds.iter().map(|seconds| seconds * 1e3).collect());
        course.peak_kib = course.peak_kib.max(peak_kib);
        Ok(())
    }
}

/// What Walkprint should reach beside igraph: how many times faster, exact and approximate.
pub(crate) fn targets(landmark: Landmark) -> (f64, f64) {
    match landmark {
        Landmark::Epinions => (3.0, 34.0),
        Landmark::Rmat => (9.0, 40.0),
    }
}
