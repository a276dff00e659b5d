//! Building an index by the processes of a job, of which there may be one: what they must know of one another besides the
//! dataflow itself.
//!
//! ```text
//!   process 0: lock, directory, what is open ──▶ all: where, what ──▶ who sees it? ──▶ dataflow ──▶ all flushed?
//!                                                                                  process 0: publish ◀──┘
//! ```
//!
//! The processes share the store's directory, or each has a copy of its own. They find out: process 0 puts a small file
//! into the index's directory, and those who see it there seal pipelines; the others send all their pieces away, and
//! leave their copies of the store alone. **The index is published when all processes have flushed what they sealed.**
//! (Test: `tests/tests/processes.rs`.)

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde::{Deserialize, Serialize};
use timely::dataflow::ProbeHandle;
use timely::worker::Worker;
use walkprint_engine::error::Error as EngineError;
use walkprint_engine::ids::NodeId;
use walkprint_engine::index::SegmentWriter;
use walkprint_engine::parts::RowParts;
use walkprint_engine::plan::Pipeline;
use walkprint_engine::store::{Store, StoreLock, index_directory};
use walkprint_walkers::paths::PathRows;

use super::budget::{Budget, ShardedBudget};
use super::cut::Cut;
use super::reuse::Reuse;
use super::sharded::{self, ShardedJob};
use super::{BuildOptions, BuildOutcome, BuildProgress, Sealing, replicated};
use crate::assembly::{Queue, Writer};
use crate::error::{Error, Result, in_full};
use crate::graph_mode::GraphMode;
use crate::processes::{Loss, LossKind, Processes, Traffic, agree};
use crate::rows::Readers;
use crate::telemetry::{Standing, finish_reporting, log_timely, resident_bytes};
use crate::workers::thread_seconds;

/// The beginning of the name of the file that shows who shares a directory.
const TOKEN: &str = "together-";

/// Builds an index over the processes of a job and publishes it in process 0's store. `tick` is called about ten times a
/// second from this thread while workers walk. All processes must have the same graph and the same options, which
/// [`Processes::connect`] compares. Gives what was built on process 0, and nothing on the others.
///
/// # Errors
/// As [`super::build_index`]; when another process is lost; when another process failed or was stopped, which ends the
/// build for all.
pub fn build_index_together(
    processes: Processes,
    store: &Path,
    options: &BuildOptions,
    progress: &Arc<BuildProgress>,
    tick: &mut dyn FnMut(&BuildProgress),
) -> Result<Option<BuildOutcome>> {
    let built = build(&processes, store, options, progress, tick);
    match processes.finish(built)? {
        Built::Whole(outcome) => Ok(outcome.map(|outcome| *outcome)),
        Built::Not(error) => Err(error),
    }
}

/// What all processes know at the end.
enum Built {
    /// Everything is sealed, and published by process 0.
    Whole(Option<Box<BuildOutcome>>),
    /// A process stopped or failed, and has told all others.
    Not(Error),
}

fn build(
    processes: &Processes,
    store: &Path,
    options: &BuildOptions,
    progress: &Arc<BuildProgress>,
    tick: &mut dyn FnMut(&BuildProgress),
) -> Result<Built> {
    options.plan.check()?;
    let lock = (processes.process() == 0).then(|| StoreLock::existing(store)).transpose()?.map(Arc::new);
    let store = Store::open(store)?;
    let built = seal_all(processes, &store, lock.clone(), options, None, progress, tick)?;
    if let (Some(lock), Built::Whole(Some(outcome))) = (lock, &built) {
        super::publish(&lock, store.manifest(), outcome.entry.clone())?;
    }
    Ok(built)
}

/// Builds an index of a graph that is not published yet: `draft` is the store as it will be, with the entry of an older index
/// of this name, whose fingerprints are taken where they may be. Nothing is published. This process works alone.
///
/// # Errors
/// As [`super::build_index`].
pub(crate) fn build_beside(
    lock: &Arc<StoreLock>,
    draft: &Store,
    options: &BuildOptions,
    reuse: Reuse,
    progress: &Arc<BuildProgress>,
    tick: &mut dyn FnMut(&BuildProgress),
) -> Result<BuildOutcome> {
    let processes = Processes::alone(options.workers);
    let reuse = Some(Arc::new(reuse));
    let built = seal_all(&processes, draft, Some(Arc::clone(lock)), options, reuse, progress, tick);
    match processes.finish(built)? {
        Built::Whole(outcome) => Ok(*outcome.expect("the first process knows what was built")),
        Built::Not(error) => Err(error),
    }
}

/// Walks all sources and seals all pipelines. Gives what may be published to the process that has the lock.
fn seal_all(
    processes: &Processes,
    store: &Store,
    lock: Option<Arc<StoreLock>>,
    options: &BuildOptions,
    reuse: Option<Arc<Reuse>>,
    progress: &Arc<BuildProgress>,
    tick: &mut dyn FnMut(&BuildProgress),
) -> Result<Built> {
    let alone = processes.processes() == 1;
    let first = lock.map(|lock| First {
        lock,
        store: store.clone(),
        options: options.clone(),
        begun: OnceLock::new(),
        alone,
        progress: Arc::clone(progress),
    });
    let first = Arc::new(first);
    let timely_log = options.timely_log.as_deref();
    if let Some(directory) = timely_log {
        std::fs::create_dir_all(directory).map_err(EngineError::io(directory, "make the directory"))?;
    }
    let team = Team { processes, store: store.path(), progress, timely_log };
    let ended = match mode(store, options, !alone)? {
        GraphMode::Sharded => sharded(team, store, options, &first, tick)?,
        _ => replicated(team, store, options, &first, reuse, tick)?,
    };
    let (steps, planned_bytes, worker_seconds) = match ended {
        Ended::Done { steps, planned_bytes, worker_seconds } => (steps, planned_bytes, worker_seconds),
        Ended::Not(error) => return Ok(Built::Not(error)),
    };
    let Some(first) = &*first else { return Ok(Built::Whole(None)) };
    let begun = first.begun.get().expect("a build that is done was begun");
    let entry = super::describe(store, options, begun.generation, begun.directory.clone(), &begun.pipelines)?;
    let rounds = progress.rounds.load(Ordering::Relaxed) / options.workers as u64;
    let outcome =
        BuildOutcome { entry, resumed_pipelines: begun.resumed, steps, rounds, planned_bytes, worker_seconds };
    Ok(Built::Whole(Some(Box::new(outcome))))
}

/// Who is to hold the graph, where the user leaves it open.
fn mode(store: &Store, options: &BuildOptions, several: bool) -> Result<GraphMode> {
    let in_shards = !store.manifest().graph.shards.is_empty();
    match options.graph {
        GraphMode::Auto if in_shards => Ok(GraphMode::Sharded),
        GraphMode::Auto if several => {
            let graph = store.graph()?;
            let paths = super::big_moves(&graph, &options.plan)?;
            let budget = Budget::new(&graph, &options.plan, options.workers, paths.as_ref(), options.memory_bytes);
            Ok(if budget.is_ok() { GraphMode::Replicated } else { GraphMode::Sharded })
        }
        GraphMode::Auto => Ok(GraphMode::Replicated),
        given => Ok(given),
    }
}

/// The build over a graph that every process reads whole.
fn replicated(
    team: Team<'_>,
    store: &Store,
    options: &BuildOptions,
    first: &Arc<Option<First>>,
    reuse: Option<Arc<Reuse>>,
    tick: &mut dyn FnMut(&BuildProgress),
) -> Result<Ended> {
    let graph = store.graph()?;
    // What can be refused is refused before anything is made.
    graph.verify_walk_rows()?;
    let paths = match &reuse {
        Some(reuse) => reuse.paths.clone(),
        None => super::big_moves(&graph, &options.plan)?.map(Arc::new),
    };
    let budget = Budget::new(&graph, &options.plan, options.workers, paths.as_deref(), options.memory_bytes)?;
    let nodes = NodeId::try_from(graph.nodes()).expect("the graph's builder bounds the number of nodes");
    let begun = match &**first {
        Some(first) => Some(first.prepare(Cut::new(&options.plan, nodes, u64::MAX, |node| graph.degree(node)))?),
        None => None,
    };
    let digests = (graph.digest(), options.plan.digest());
    let rows = graph.walk_rows();
    // One process alone knows that nothing is left to do.
    let idle = team.processes.processes() == 1 && begun.as_ref().is_some_and(|start| start.open.is_empty());
    let idle = idle || reuse.as_ref().is_some_and(|reuse| reuse.is_light());
    let rows = if budget.copy_graph && !idle { rows.in_huge_pages()? } else { rows };
    drop(graph);
    let rows = rows.checked()?;
    let (plan, progress) = (options.plan.clone(), Arc::clone(team.progress));
    let begin = move |worker: &mut Worker| Ok(begun.clone().filter(|_| worker.index() == 0));
    let prepare = move |_: &mut Worker, start: &Start| {
        let job = replicated::Job {
            rows: rows.clone(),
            paths: paths.clone(),
            plan: plan.clone(),
            reuse: reuse.clone(),
            credits: budget.credits,
            sealing: start.sealing(digests),
            progress: Arc::clone(&progress),
        };
        let tasks = start.cut.open(&start.open).into_iter().map(|(task, _)| task).collect();
        Ok((Arc::new(job), tasks, budget.bytes))
    };
    let dataflow = |worker: &mut Worker, (job, tasks, _), sinks| replicated::dataflow(worker, &job, tasks, sinks);
    team.run(begin, prepare, |(_, _, bytes)| *bytes, dataflow, tick)
}

/// The build over a graph that is spread over the workers.
fn sharded(
    team: Team<'_>,
    store: &Store,
    options: &BuildOptions,
    first: &Arc<Option<First>>,
    tick: &mut dyn FnMut(&BuildProgress),
) -> Result<Ended> {
    let parts = RowParts::open(store)?;
    let digests = (parts.digest(), options.plan.digest());
    let (weighted, workers, all_workers) =
        (parts.is_weighted(), team.processes.workers(), team.processes.all_workers());
    // Each worker lets go of the files when it has its rows: mapped pages count as this process's.
    let parts = Arc::new(parts);
    let held: Mutex<Vec<Arc<RowParts>>> = Mutex::new(vec![parts; workers]);
    let seen: Mutex<Vec<(usize, Arc<RowParts>, Readers)>> = Mutex::default();
    let seen = Arc::new(seen);
    let (found, first) = (Arc::clone(&seen), Arc::clone(first));
    let (begun, wanted) = (options.clone(), options.clone());
    let begin = move |worker: &mut Worker| {
        let parts = take(&held, Vec::pop).expect("there is one for each worker");
        let (readers, cut) = sharded::begin(worker, &parts, &begun.plan, begun.cut.longest_row, workers)?;
        take(&found, |found| found.push((worker.index(), parts, readers)));
        match (&*first, cut) {
            (Some(first), Some(cut)) => {
                ShardedBudget::new(&cut, weighted, workers, all_workers, &begun.cut, 0, begun.memory_bytes)?;
                first.prepare(cut).map(Some)
            }
            _ => Ok(None),
        }
    };
    let progress = Arc::clone(team.progress);
    let job: OnceLock<Arc<ShardedJob>> = OnceLock::new();
    let prepare = move |worker: &mut Worker, start: &Start| {
        let (_, parts, readers) = take(&seen, |seen| {
            let at = seen.iter().position(|(index, ..)| *index == worker.index());
            seen.swap_remove(at.expect("every worker has looked"))
        });
        let (owners, long) = sharded::spread(&start.cut, all_workers);
        let rows = sharded::gather(worker, &parts, &readers, &owners, &long);
        drop(parts);
        let paths = sharded::big_moves(worker, rows.as_ref().ok(), &wanted.plan);
        let of_workers =
            agree::from_all(worker, paths.as_ref().ok().and_then(Option::as_ref).map_or(0, PathRows::bytes));
        let of_paths = of_workers.chunks(workers).nth(worker.index() / workers).into_iter().flatten().sum();
        let memory = wanted.memory_bytes;
        let budget = ShardedBudget::new(&start.cut, weighted, workers, all_workers, &wanted.cut, of_paths, memory);
        // All must cut alike: the smallest budget counts.
        let own = budget.as_ref().map_or((f64::INFINITY, usize::MAX), |budget| (budget.block_visits, budget.blocks));
        let cuts = agree::from_all(worker, own);
        let budget = ShardedBudget {
            block_visits: cuts.iter().map(|cut| cut.0).fold(f64::INFINITY, f64::min),
            blocks: cuts.iter().map(|cut| cut.1).fold(usize::MAX, usize::min),
            ..budget?
        };
        let open = || start.cut.open(&start.open);
        let new = || ShardedJob::new(&wanted.plan, open(), &budget, start.sealing(digests), &progress);
        let job = Arc::clone(job.get_or_init(|| Arc::new(new())));
        let rows = match paths? {
            Some(paths) => rows?.with_paths(paths),
            None => rows?,
        };
        Ok((job, rows, budget.bytes))
    };
    let dataflow = |worker: &mut Worker, (job, rows, _), sinks| sharded::dataflow(worker, &job, rows, sinks);
    team.run(begin, prepare, |(_, _, bytes)| *bytes, dataflow, tick)
}

/// What process 0 tells all workers before the dataflow begins.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Start {
    /// The index's directory inside the store.
    directory: String,
    /// The file that those see who share the directory.
    token: String,
    /// The pipelines that are not sealed, ascending.
    open: Vec<u32>,
    cut: Cut,
}

impl Start {
    /// What segments belong to: the digests of graph and plan.
    fn sealing(&self, (graph_digest, plan_digest): (u128, u128)) -> Sealing {
        Sealing { pipelines: self.cut.pipelines.clone(), graph_digest, plan_digest }
    }
}

/// What process 0 knows and does alone.
struct First {
    lock: Arc<StoreLock>,
    store: Store,
    options: BuildOptions,
    alone: bool,
    progress: Arc<BuildProgress>,
    begun: OnceLock<Begun>,
}

/// What is published in the end.
struct Begun {
    generation: u64,
    directory: String,
    pipelines: Vec<Pipeline>,
    /// Pipelines that were sealed before.
    resumed: usize,
}

impl First {
    /// Makes the directory, or finds the one of before and what is sealed in it.
    fn prepare(&self, cut: Cut) -> Result<Start> {
        let (store, options) = (&self.store, &self.options);
        let manifest = store.manifest();
        let published = manifest.indexes.iter().find(|entry| entry.name == options.name);
        let generation = published.map_or(0, |entry| entry.generation) + 1;
        let directory = index_directory(&options.name, generation)?;
        super::prepare_directory(&self.lock, manifest, options, &directory)?;
        let path = store.path().join(&directory);
        // Only what is listed is looked up: a network file system may remember for a while that a name was not there.
        let mut names = BTreeSet::new();
        for entry in std::fs::read_dir(&path).map_err(EngineError::io(&path, "read the directory"))? {
            let entry = entry.map_err(EngineError::io(&path, "read the directory"))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with(TOKEN) {
                let stale = entry.path(); // of a job that was killed
                std::fs::remove_file(&stale).map_err(EngineError::io(&stale, "remove"))?;
            }
            names.insert(name);
        }
        let is_open = |pipeline: &&Pipeline| {
            !names.contains(&super::segment_file(pipeline.number)) || !super::is_sealed(&path, **pipeline)
        };
        let open: Vec<u32> = cut.pipelines.iter().filter(is_open).map(|pipeline| pipeline.number).collect();
        let sealed = cut.pipelines.iter().filter(|pipeline| open.binary_search(&pipeline.number).is_err());
        let sources = sealed.map(|pipeline| u64::from(pipeline.end - pipeline.first)).sum();
        let resumed = cut.pipelines.len() - open.len();
        self.progress.sources.fetch_add(sources, Ordering::Relaxed);
        self.progress.sealed.store(resumed as u64, Ordering::Relaxed);
        let mut token = String::new();
        if !self.alone {
            let mut random = [0; 8];
            let no_numbers = |error| Error::Connect { what: format!("no random numbers: {error}") };
            getrandom::fill(&mut random).map_err(no_numbers)?;
            token = format!("{TOKEN}{:016x}", u64::from_le_bytes(random));
            let file = path.join(&token);
            std::fs::write(&file, []).map_err(EngineError::io(&file, "write"))?;
        }
        let pipelines = cut.pipelines.clone();
        let _ = self.begun.set(Begun { generation, directory: directory.clone(), pipelines, resumed }); // only once
        Ok(Start { directory, token, open, cut })
    }
}

/// Where the sealed pipelines of a dataflow go.
pub(super) struct Sinks {
    /// This process's writer.
    pub(super) queue: Queue<Result<SegmentWriter>>,
    /// The workers that seal, ascending.
    pub(super) sealers: Vec<usize>,
}

/// The processes of a build, and what they need to begin.
pub(super) struct Team<'a> {
    processes: &'a Processes,
    store: &'a Path,
    progress: &'a Arc<BuildProgress>,
    timely_log: Option<&'a Path>,
}

/// How a dataflow ended, on all processes.
pub(super) enum Ended {
    /// Everything is on the disk.
    Done {
        /// Moves of all processes.
        steps: u64,
        /// What this process planned to hold.
        planned_bytes: u64,
        /// Processor time of every worker.
        worker_seconds: Vec<f64>,
    },
    /// A process stopped or failed; all know.
    Not(Error),
}

impl Team<'_> {
    /// Runs a dataflow to its end on all workers. The first worker finds out what is to be done, with the others' help;
    /// each makes ready what it needs for that; the dataflow is begun when all of them could.
    fn run<P>(
        self,
        begin: impl Fn(&mut Worker) -> Result<Option<Start>> + Send + Sync + 'static,
        prepare: impl Fn(&mut Worker, &Start) -> Result<P> + Send + Sync + 'static,
        bytes: impl Fn(&P) -> u64 + Send + Sync + 'static,
        dataflow: impl Fn(&mut Worker, P, Sinks) -> ProbeHandle<u64> + Send + Sync + 'static,
        tick: &mut dyn FnMut(&BuildProgress),
    ) -> Result<Ended> {
        let desk = Arc::new(Desk::open(&self)?);
        let Team { processes, progress, .. } = self;
        let shared = Arc::clone(&desk);
        let work = move |worker: &mut Worker| {
            let prepare = |worker: &mut Worker, start: &Start| {
                let prepared = prepare(worker, start)?;
                shared.planned.fetch_max(bytes(&prepared), Ordering::Relaxed);
                Ok(prepared)
            };
            shared.work(worker, &begin, &prepare, &dataflow)
        };
        let parts = processes.run(work, &mut || tick(progress))?;
        let parts = parts.into_iter().next().unwrap_or_default();
        if let Some(own) = take(&desk.failure, Option::take) {
            return Ok(Ended::Not(own));
        }
        for (worker, part) in parts.iter().enumerate() {
            if let How::Failed(reason) = &part.how {
                let process = worker / processes.workers();
                let (address, reason) = (processes.address(process), reason.clone());
                return Ok(Ended::Not(Error::Process(Loss { process, address, kind: LossKind::Failed, reason })));
            }
        }
        if parts.iter().any(|part| part.how == How::Stopped) {
            return Ok(Ended::Not(Error::Interrupted));
        }
        let planned_bytes = desk.planned.load(Ordering::Relaxed);
        let worker_seconds = parts.iter().map(|part| part.seconds).collect();
        Ok(Ended::Done { steps: parts.iter().map(|part| part.steps).sum(), planned_bytes, worker_seconds })
    }
}

/// How a worker's part ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Part {
    how: How,
    /// Moves of its process, told by one of its workers.
    steps: u64,
    /// Processor time of its thread.
    seconds: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum How {
    Done,
    Stopped,
    Failed(String),
}

/// What the workers of this process share.
struct Desk {
    store: PathBuf,
    /// What this process planned to hold, in bytes.
    planned: AtomicU64,
    directory: Arc<OnceLock<PathBuf>>,
    /// One for each worker; the writer ends when all are dropped.
    queues: Mutex<Vec<Queue<Result<SegmentWriter>>>>,
    writer: Mutex<Option<Writer<Result<SegmentWriter>, ()>>>,
    /// Workers that are still at it.
    working: AtomicUsize,
    /// Why something failed here.
    failure: Mutex<Option<Error>>,
    progress: Arc<BuildProgress>,
    /// Workers of this process.
    workers: usize,
    traffic: Arc<Traffic>,
    timely_log: Option<PathBuf>,
}

impl Desk {
    fn open(team: &Team<'_>) -> Result<Desk> {
        let Team { processes, store, progress, timely_log } = team;
        let workers = processes.workers();
        let directory = Arc::new(OnceLock::new());
        let writer = super::writer::start(&directory, progress)?;
        Ok(Desk {
            store: (*store).to_owned(),
            planned: AtomicU64::new(0),
            directory,
            queues: Mutex::new((0..workers).map(|_| writer.queue()).collect()),
            writer: Mutex::new(Some(writer)),
            working: AtomicUsize::new(workers),
            failure: Mutex::new(None),
            progress: Arc::clone(progress),
            workers,
            traffic: processes.traffic(),
            timely_log: timely_log.map(Path::to_owned),
        })
    }

    /// A worker's part. All workers of all processes return the same: how each of them ended.
    fn work<P>(
        &self,
        worker: &mut Worker,
        begin: &impl Fn(&mut Worker) -> Result<Option<Start>>,
        prepare: &impl Fn(&mut Worker, &Start) -> Result<P>,
        dataflow: &impl Fn(&mut Worker, P, Sinks) -> ProbeHandle<u64>,
    ) -> Vec<Part> {
        let queue = take(&self.queues, Vec::pop).expect("there is a queue for each worker");
        let begun = begin(worker);
        let well = agree::from_all(worker, begun.is_ok()).into_iter().all(|well| well);
        let start = match begun {
            Ok(start) if well => agree::from_first(worker, start),
            begun => {
                drop(queue);
                let how = begun.err().map_or(How::Done, |error| self.fail(error));
                self.working.fetch_sub(1, Ordering::AcqRel);
                return agree::from_all(worker, Part { how, steps: 0, seconds: thread_seconds() });
            }
        };
        let directory = self.directory.get_or_init(|| self.store.join(&start.directory));
        let token = directory.join(&start.token); // the directory itself when there is no other process
        let prepared = prepare(worker, &start).and_then(|prepared| {
            if let Some(directory) = &self.timely_log {
                log_timely(worker, directory).map_err(EngineError::io(directory, "write timely's log into"))?;
            }
            Ok(prepared)
        });
        let seen = agree::from_all(worker, (token.exists(), prepared.is_ok()));
        if worker.index() == 0 && token != *directory {
            let _ = std::fs::remove_file(&token); // one that stays is removed by --resume, and does no harm
        }
        let mut how = How::Done;
        match prepared {
            Ok(prepared) if seen.iter().all(|(_, ready)| *ready) => {
                let sealers = (0..seen.len()).filter(|&worker| seen[worker].0).collect();
                let probe = dataflow(worker, prepared, Sinks { queue, sealers });
                finish_reporting(worker, &probe, self.workers, || self.standing(), &self.progress.standings);
                while worker.has_dataflows() {
                    worker.step(); // the operators hold the queue
                }
            }
            Ok(_) => drop(queue),
            Err(error) => {
                drop(queue);
                how = self.fail(error);
            }
        }
        let mut part = Part { how, steps: 0, seconds: thread_seconds() };
        if self.working.fetch_sub(1, Ordering::AcqRel) == 1 {
            part.steps = self.progress.steps.load(Ordering::Relaxed);
            part.how = if part.how == How::Done { self.flush() } else { part.how };
        }
        agree::from_all(worker, part)
    }

    /// How far this process is.
    fn standing(&self) -> Standing {
        let progress = &self.progress;
        Standing {
            sources: progress.sources.load(Ordering::Relaxed),
            steps: progress.steps.load(Ordering::Relaxed),
            live: progress.live.load(Ordering::Relaxed),
            sent_bytes: self.traffic.sent(),
            received_bytes: self.traffic.received(),
            resident_bytes: resident_bytes(),
        }
    }

    /// Waits until everything that this process sealed is on the disk.
    fn flush(&self) -> How {
        let writer = take(&self.writer, Option::take).expect("only the last worker takes the writer");
        match writer.finish() {
            Err(error) => self.fail(error),
            Ok(()) if self.progress.stop.load(Ordering::Relaxed) => How::Stopped,
            Ok(()) => How::Done,
        }
    }

    /// Keeps an error for the end; gives what the others are told.
    fn fail(&self, error: Error) -> How {
        let told = in_full(&error);
        take(&self.failure, |failure| *failure = failure.take().or(Some(error)));
        How::Failed(told)
    }
}

/// Does something with what is behind a lock. A worker that panicked ends the program, so nothing is half done.
fn take<T, R>(mutex: &Mutex<T>, act: impl FnOnce(&mut T) -> R) -> R {
    act(&mut mutex.lock().unwrap_or_else(PoisonError::into_inner))
}
