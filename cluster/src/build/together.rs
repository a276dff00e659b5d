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
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde::{Deserialize, Serialize};
use timely::dataflow::ProbeHandle;
use timely::worker::Worker;
use walkprint_engine::error::Error as EngineError;
use walkprint_engine::index::SegmentWriter;
use walkprint_engine::plan::Pipeline;
use walkprint_engine::store::{Store, StoreLock, index_directory};

use super::budget::Budget;
use super::deal::{self, Task};
use super::{BuildOptions, BuildOutcome, BuildProgress, GraphMode, Sealing, Walking};
use crate::assembly::{Queue, Writer};
use crate::error::{Error, Result, in_full};
use crate::processes::{Loss, LossKind, Processes, agree};
use crate::workers::finish;

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
    let lock = (processes.process() == 0).then(|| StoreLock::existing(store)).transpose()?;
    let store = Store::open(store)?;
    let graph = store.graph()?;
    // What can be refused is refused before anything is made.
    graph.verify_walk_rows()?;
    let budget = Budget::new(&graph, &options.plan, options.workers, options.memory_bytes)?;
    let pipelines = options.plan.pipelines(&graph);
    let first =
        lock.map(|lock| First::prepare(lock, &store, options, &pipelines, processes.processes())).transpose()?;
    let (open, start) = first.as_ref().map_or((Vec::new(), None), |first| (first.open(), Some(first.start.clone())));
    if first.is_some() {
        let sealed = |pipeline: &&Pipeline| open.binary_search(&pipeline.number).is_err();
        let (mut sources, mut number) = (0, 0);
        for pipeline in pipelines.iter().filter(sealed) {
            sources += u64::from(pipeline.end - pipeline.first);
            number += 1;
        }
        progress.sources.fetch_add(sources, Ordering::Relaxed);
        progress.sealed.store(number, Ordering::Relaxed);
    }
    let resumed_pipelines = pipelines.len() - open.len();

    // One process alone knows that nothing is left to do; several meet in any case.
    let mut steps = 0;
    if processes.processes() != 1 || !open.is_empty() {
        let tasks = deal::tasks(&graph, &options.plan, &pipelines);
        let sealing =
            Sealing { pipelines: pipelines.clone(), graph_digest: graph.digest(), plan_digest: options.plan.digest() };
        let team = Team { processes, start, store: store.path(), tasks, progress };
        let walking = Walking { options, budget: &budget, sealing, progress, team };
        let ended = match options.graph {
            GraphMode::Replicated => walking.replicated(graph, tick)?,
            GraphMode::Sharded => walking.sharded(graph, tick)?,
        };
        match ended {
            Ended::Done { steps: made } => steps = made,
            Ended::Not(error) => return Ok(Built::Not(error)),
        }
    }
    if progress.stop.load(Ordering::Relaxed) && processes.processes() == 1 {
        return Err(Error::Interrupted);
    }
    let Some(First { lock, generation, start }) = first else { return Ok(Built::Whole(None)) };
    let entry = super::describe(&store, options, generation, start.directory, &pipelines)?;
    super::publish(&lock, store.manifest(), entry.clone())?;
    let outcome = BuildOutcome { entry, resumed_pipelines, steps, planned_bytes: budget.bytes };
    Ok(Built::Whole(Some(Box::new(outcome))))
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
}

/// What process 0 knows and does alone.
struct First {
    lock: StoreLock,
    generation: u64,
    start: Start,
}

impl First {
    /// Makes the directory, or finds the one of before and what is sealed in it.
    fn prepare(
        lock: StoreLock,
        store: &Store,
        options: &BuildOptions,
        pipelines: &[Pipeline],
        processes: usize,
    ) -> Result<First> {
        let manifest = store.manifest();
        let published = manifest.indexes.iter().find(|entry| entry.name == options.name);
        let generation = published.map_or(0, |entry| entry.generation) + 1;
        let directory = index_directory(&options.name, generation)?;
        super::prepare_directory(&lock, manifest, options, &directory)?;
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
        let open = pipelines.iter().filter(is_open).map(|pipeline| pipeline.number).collect();
        let mut token = String::new();
        if processes != 1 {
            let mut random = [0; 8];
            let no_numbers = |error| Error::Connect { what: format!("no random numbers: {error}") };
            getrandom::fill(&mut random).map_err(no_numbers)?;
            token = format!("{TOKEN}{:016x}", u64::from_le_bytes(random));
            let file = path.join(&token);
            std::fs::write(&file, []).map_err(EngineError::io(&file, "write"))?;
        }
        Ok(First { lock, generation, start: Start { directory, token, open } })
    }

    fn open(&self) -> Vec<u32> {
        self.start.open.clone()
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
    /// On process 0.
    start: Option<Start>,
    store: &'a Path,
    /// The tasks of all pipelines.
    tasks: Vec<Task>,
    progress: &'a Arc<BuildProgress>,
}

/// How a dataflow ended, on all processes.
pub(super) enum Ended {
    /// Everything is on the disk.
    Done {
        /// Moves of all processes.
        steps: u64,
    },
    /// A process stopped or failed; all know.
    Not(Error),
}

impl Team<'_> {
    /// Workers of all processes.
    pub(super) fn all_workers(&self) -> usize {
        self.processes.all_workers()
    }

    /// Runs a dataflow to its end on all workers. Each worker first makes ready what it needs for the open tasks; the
    /// dataflow is begun when all of them could.
    pub(super) fn run<P>(
        self,
        prepare: impl Fn(&mut Worker, Vec<Task>) -> Result<P> + Send + Sync + 'static,
        dataflow: impl Fn(&mut Worker, P, Sinks) -> ProbeHandle<u64> + Send + Sync + 'static,
        tick: &mut dyn FnMut(&BuildProgress),
    ) -> Result<Ended> {
        let Team { processes, start, store, tasks, progress } = self;
        let desk = Arc::new(Desk::open(store, tasks, processes.workers(), progress)?);
        let shared = Arc::clone(&desk);
        let work = move |worker: &mut Worker| shared.work(worker, start.clone(), &prepare, &dataflow);
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
        Ok(Ended::Done { steps: parts.iter().map(|part| part.steps).sum() })
    }
}

/// How a worker's part ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Part {
    how: How,
    /// Moves of its process, told by one of its workers.
    steps: u64,
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
    tasks: Vec<Task>,
    directory: Arc<OnceLock<PathBuf>>,
    /// One for each worker; the writer ends when all are dropped.
    queues: Mutex<Vec<Queue<Result<SegmentWriter>>>>,
    writer: Mutex<Option<Writer<Result<SegmentWriter>, ()>>>,
    /// Workers that are still at it.
    working: AtomicUsize,
    /// Why something failed here.
    failure: Mutex<Option<Error>>,
    progress: Arc<BuildProgress>,
}

impl Desk {
    fn open(store: &Path, tasks: Vec<Task>, workers: usize, progress: &Arc<BuildProgress>) -> Result<Desk> {
        let directory = Arc::new(OnceLock::new());
        let writer = super::writer::start(&directory, progress)?;
        Ok(Desk {
            store: store.to_owned(),
            tasks,
            directory,
            queues: Mutex::new((0..workers).map(|_| writer.queue()).collect()),
            writer: Mutex::new(Some(writer)),
            working: AtomicUsize::new(workers),
            failure: Mutex::new(None),
            progress: Arc::clone(progress),
        })
    }

    /// A worker's part. All workers of all processes return the same: how each of them ended.
    fn work<P>(
        &self,
        worker: &mut Worker,
        start: Option<Start>,
        prepare: &impl Fn(&mut Worker, Vec<Task>) -> Result<P>,
        dataflow: &impl Fn(&mut Worker, P, Sinks) -> ProbeHandle<u64>,
    ) -> Vec<Part> {
        let queue = take(&self.queues, Vec::pop).expect("there is a queue for each worker");
        let Start { directory, token, open } = agree::from_first(worker, start);
        let directory = self.directory.get_or_init(|| self.store.join(directory));
        let token = directory.join(token); // the directory itself when there is no other process
        let is_open = |task: &&Task| open.binary_search(&task.pipeline).is_ok();
        let prepared = prepare(worker, self.tasks.iter().filter(is_open).copied().collect());
        let seen = agree::from_all(worker, (token.exists(), prepared.is_ok()));
        if worker.index() == 0 && token != *directory {
            let _ = std::fs::remove_file(&token); // one that stays is removed by --resume, and does no harm
        }
        let mut how = How::Done;
        match prepared {
            Ok(prepared) if seen.iter().all(|(_, ready)| *ready) => {
                let sealers = (0..seen.len()).filter(|&worker| seen[worker].0).collect();
                let probe = dataflow(worker, prepared, Sinks { queue, sealers });
                finish(worker, &probe);
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
        let mut part = Part { how, steps: 0 };
        if self.working.fetch_sub(1, Ordering::AcqRel) == 1 {
            part.steps = self.progress.steps.load(Ordering::Relaxed);
            part.how = if part.how == How::Done { self.flush() } else { part.how };
        }
        agree::from_all(worker, part)
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
