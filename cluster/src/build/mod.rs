//! Building an index: one timely dataflow over all workers of a process, the graph replicated.
//!
//! ```text
//!            tasks, by worker              pieces, by pipeline             segments
//!   deal  ───────────────────▶  walk  ───────────────────────▶  seal  ────────────────▶  writer thread
//!    ▲                           │
//!    └────────── credits ────────┘         time = pipeline << 16 | step
//! ```
//!
//! - `deal` hands out tasks (a stretch of sources of one pipeline) to whichever worker has a credit left,
//!   so that a slow worker holds up nobody, and lets go of a pipeline's time when all its tasks are out.
//! - `walk` walks one task at a time and returns the credit.
//! - `seal` collects the pieces; when the frontier has passed a pipeline, nothing of it is under way any
//!   more, and its segment goes to the writer thread, which flushes it to the disk and renames it.
//!
//! **A pipeline is written only after timely's frontier has passed it; what is sealed is never walked again.** (Test:
//! `tests/tests/same_bytes.rs`.) Workers, credits and memory decide who walks what and when, never what is written.

mod budget;
mod deal;
mod estimate;
mod seal;
mod walk;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use timely::dataflow::ProbeHandle;
use timely::dataflow::operators::{ConnectLoop, Feedback, Probe};
use timely::worker::Worker;
use walkprint_engine::graph::CheckedRows;
use walkprint_engine::index::{IndexEntry, Segment, SegmentEntry, SegmentId, SegmentWriter, fingerprint_digest};
use walkprint_engine::plan::{Pipeline, Plan};
use walkprint_engine::store::{BuildEntry, Manifest, Store, StoreLock, index_directory};

pub use estimate::{Estimate, estimate};

use crate::assembly::Queue;
use crate::error::{Error, Result};
use crate::processes::Processes;
use crate::workers::finish;
use budget::Budget;
use deal::Task;

/// What to build and with what.
#[derive(Debug, Clone)]
pub struct BuildOptions {
    /// The index's name.
    pub name: String,
    /// The plan.
    pub plan: Plan,
    /// How many workers (threads) walk.
    pub workers: usize,
    /// The most memory the build may hold, in bytes.
    pub memory_bytes: u64,
    /// Go on with an interrupted build.
    pub resume: bool,
    /// Build anew what exists already.
    pub replace: bool,
}

/// How far a build is, readable from any thread.
#[derive(Debug, Default)]
pub struct BuildProgress {
    /// Sources that were walked, sealed pipelines of earlier runs included.
    pub sources: AtomicU64,
    /// Moves made in this run.
    pub steps: AtomicU64,
    /// Pipelines on the disk.
    pub sealed: AtomicU64,
    /// Set from outside to stop: what is sealed stays, the rest is dropped.
    pub stop: AtomicBool,
}

/// What a build did.
#[derive(Debug, Clone)]
pub struct BuildOutcome {
    /// The published index.
    pub entry: IndexEntry,
    /// Pipelines that were on the disk before this run.
    pub resumed_pipelines: usize,
    /// Moves made in this run.
    pub steps: u64,
    /// The memory that the build planned to hold, in bytes.
    pub planned_bytes: u64,
}

/// Builds an index and publishes it. `tick` is called about ten times a second from this thread while workers walk.
///
/// # Errors
/// When the index exists, the budget is too small, the disk refuses, or `progress.stop` was set
/// ([`Error::Interrupted`]; the build may then be resumed).
pub fn build_index(
    store: &Path,
    options: &BuildOptions,
    progress: &Arc<BuildProgress>,
    tick: &mut dyn FnMut(&BuildProgress),
) -> Result<BuildOutcome> {
    options.plan.check()?;
    let lock = StoreLock::existing(store)?;
    let store = Store::open(store)?;
    let manifest = store.manifest();
    let published = manifest.indexes.iter().find(|entry| entry.name == options.name);
    let generation = published.map_or(0, |entry| entry.generation) + 1;
    let directory = index_directory(&options.name, generation)?;
    let graph = store.graph()?;
    // What can be refused is refused before anything is made.
    graph.verify_walk_rows()?;
    let budget = Budget::new(&graph, &options.plan, options.workers, options.memory_bytes)?;
    prepare_directory(&lock, manifest, options, &directory)?;
    let directory_path = store.path().join(&directory);

    let pipelines = options.plan.pipelines(&graph);
    let sealed: Vec<bool> = pipelines.iter().map(|&pipeline| is_sealed(&directory_path, pipeline)).collect();
    let resumed_pipelines = sealed.iter().filter(|&&sealed| sealed).count();
    for (pipeline, _) in pipelines.iter().zip(&sealed).filter(|(_, sealed)| **sealed) {
        progress.sources.fetch_add(u64::from(pipeline.end - pipeline.first), Ordering::Relaxed);
    }
    progress.sealed.store(resumed_pipelines as u64, Ordering::Relaxed);

    let planned_bytes = budget.bytes;
    if resumed_pipelines < pipelines.len() {
        let open: Vec<Pipeline> =
            pipelines.iter().zip(&sealed).filter(|(_, sealed)| !**sealed).map(|(&pipeline, _)| pipeline).collect();
        let tasks = deal::tasks(&graph, &options.plan, &open);
        let digests = (graph.digest(), options.plan.digest());
        let rows = graph.walk_rows();
        let rows = if budget.copy_graph { rows.in_huge_pages()? } else { rows };
        drop(graph);
        let job = Job {
            rows: rows.checked()?,
            plan: options.plan.clone(),
            tasks,
            pipelines: pipelines.clone(),
            credits: budget.credits,
            digests,
            progress: Arc::clone(progress),
        };
        run(job, options.workers, &directory_path, tick)?;
    }
    if progress.stop.load(Ordering::Relaxed) {
        return Err(Error::Interrupted);
    }
    let entry = describe(&store, options, generation, directory, &pipelines)?;
    publish(&lock, manifest, entry.clone())?;
    let steps = progress.steps.load(Ordering::Relaxed);
    Ok(BuildOutcome { entry, resumed_pipelines, steps, planned_bytes })
}

/// Everything the workers share.
pub(crate) struct Job {
    rows: CheckedRows,
    plan: Plan,
    tasks: Vec<Task>,
    pipelines: Vec<Pipeline>,
    credits: usize,
    digests: (u128, u128),
    progress: Arc<BuildProgress>,
}

impl Job {
    fn segment_id(&self, pipeline: u32) -> SegmentId {
        let (graph_digest, plan_digest) = self.digests;
        SegmentId { pipeline: self.pipelines[pipeline as usize], graph_digest, plan_digest }
    }

    fn stopped(&self) -> bool {
        self.progress.stop.load(Ordering::Relaxed)
    }
}

/// The timely time of a pipeline; its low bits count steps.
fn time_of(pipeline: u32) -> u64 {
    u64::from(pipeline) << 16
}

/// Runs the dataflow to its end.
fn run(job: Job, workers: usize, directory: &Path, tick: &mut dyn FnMut(&BuildProgress)) -> Result<()> {
    let job = Arc::new(job);
    let writer = writer::start(directory.to_owned(), &job)?;
    let (shared, queue) = (Arc::clone(&job), writer.queue());
    let work = move |worker: &mut Worker| {
        let probe = dataflow(worker, &shared, queue.clone());
        finish(worker, &probe);
    };
    Processes::alone(workers).run(work, &mut || tick(&job.progress))?;
    writer.finish()
}

fn dataflow(worker: &mut Worker, job: &Arc<Job>, queue: Queue<Result<SegmentWriter>>) -> ProbeHandle<u64> {
    worker.dataflow::<u64, _, _>(|scope| {
        let (returned, credits) = scope.feedback(1);
        let tasks = deal::deal(credits, Arc::clone(job));
        let (pieces, spent) = walk::walk(tasks, Arc::clone(job));
        spent.connect_loop(returned);
        let (probe, sealed) = seal::seal(pieces, Arc::clone(job), queue).probe();
        drop(sealed);
        probe
    })
}

/// Makes the directory of the index, or finds the one of the interrupted build.
fn prepare_directory(lock: &StoreLock, manifest: &Manifest, options: &BuildOptions, directory: &str) -> Result<()> {
    let (store, name) = (lock.path().display().to_string(), options.name.clone());
    let published = manifest.indexes.iter().any(|entry| entry.name == options.name);
    let unfinished = lock.unfinished(manifest, &options.name)?;
    let wanted = lock.path().join(directory);
    let build = BuildEntry { plan: options.plan.clone(), graph_digest: manifest.graph.digest.clone() };
    if options.resume {
        let Some(found) = unfinished else { return Err(Error::NothingToResume { store, name }) };
        match lock.read_plan(&found)? {
            Some(begun) if begun.graph_digest != build.graph_digest => {
                let what = "another graph".into();
                return Err(Error::OtherBuild { store, name, what });
            }
            Some(begun) if begun.plan != build.plan => {
                let Plan { restart_prob, walks, walks_per_edge, rng_key } = begun.plan;
                let what = format!(
                    "--restart-prob {restart_prob} --walks {walks} --walks-per-edge {walks_per_edge} --rng-key {rng_key}"
                );
                return Err(Error::OtherBuild { store, name, what });
            }
            _ => {}
        }
        if found != wanted {
            rename(&found, &wanted)?;
        }
    } else {
        if published && !options.replace {
            return Err(Error::IndexExists { store, name });
        }
        if let Some(found) = unfinished {
            if !options.replace {
                return Err(Error::Unfinished { store, name });
            }
            std::fs::remove_dir_all(&found).map_err(walkprint_engine::error::Error::io(&found, "remove"))?;
        }
        std::fs::create_dir(&wanted).map_err(walkprint_engine::error::Error::io(&wanted, "make the directory"))?;
    }
    lock.write_plan(&wanted, &build)?;
    Ok(())
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    std::fs::rename(from, to).map_err(walkprint_engine::error::Error::io(to, "rename into place"))?;
    Ok(())
}

fn segment_file(pipeline: u32) -> String {
    format!("segment-{pipeline:06}.wps")
}

/// True when the pipeline's segment has its name: it was flushed before. One that cannot be opened is walked again.
fn is_sealed(directory: &Path, pipeline: Pipeline) -> bool {
    Segment::open(&directory.join(segment_file(pipeline.number))).is_ok_and(|segment| segment.id().pipeline == pipeline)
}

/// Reads the heads of all segments and describes the index for the manifest.
fn describe(
    store: &Store,
    options: &BuildOptions,
    generation: u64,
    directory: String,
    pipelines: &[Pipeline],
) -> Result<IndexEntry> {
    let path = store.path().join(&directory);
    let open = |pipeline: &Pipeline| Segment::open(&path.join(segment_file(pipeline.number)));
    let (mut entries, mut bytes, mut segments) = (0, 0, Vec::new());
    for pipeline in pipelines {
        let segment = open(pipeline)?;
        entries += segment.entries();
        bytes += segment.file().bytes();
        segments.push(SegmentEntry {
            file: segment_file(pipeline.number),
            pipeline: *pipeline,
            bytes: segment.file().bytes(),
        });
    }
    let digest = fingerprint_digest(pipelines.iter().map(open))?;
    Ok(IndexEntry {
        name: options.name.clone(),
        generation,
        directory,
        plan: options.plan.clone(),
        graph_digest: store.manifest().graph.digest.clone(),
        entries,
        bytes,
        fingerprint_digest: format!("{digest:032x}"),
        segments,
    })
}

fn publish(lock: &StoreLock, manifest: &Manifest, entry: IndexEntry) -> Result<()> {
    let mut next = manifest.clone();
    next.generation += 1;
    next.indexes.retain(|index| index.name != entry.name);
    next.indexes.push(entry);
    next.indexes.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(lock.publish(&next)?)
}
