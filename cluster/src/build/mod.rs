//! Building an index: one timely dataflow over all workers, in two forms that write the same bytes.
//!
//! `replicated`: every worker reads the whole graph, and sources are dealt out. `sharded`: every worker holds the rows of
//! the nodes that it owns, and walks go where the rows are.
//!
//! **A pipeline is written only after timely's frontier has passed it; what is sealed is never walked again.** (Test:
//! `tests/tests/same_bytes.rs`.) Workers, credits and memory decide who walks what and when, never what is written.

mod budget;
mod cut;
mod deal;
mod estimate;
mod replicated;
mod reuse;
mod seal;
mod sharded;
mod together;
mod walk;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use walkprint_engine::error::Error as EngineError;
use walkprint_engine::graph::Graph;
use walkprint_engine::index::{IndexEntry, Segment, SegmentEntry, SegmentId, fingerprint_digest};
use walkprint_engine::plan::{Pipeline, Plan};
use walkprint_engine::store::{BuildEntry, Manifest, Store, StoreLock};
use walkprint_walkers::paths::PathRows;

pub use estimate::{Estimate, estimate};
pub(crate) use reuse::Reuse;
pub(crate) use together::build_beside;
pub use together::build_index_together;

use crate::error::{Error, Result};
use crate::graph_mode::GraphMode;
use crate::processes::Processes;
use crate::telemetry::Standings;

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
    /// Whether every worker reads the whole graph, or each holds a part of it.
    pub graph: GraphMode,
    /// The cut of a sharded build.
    pub cut: ShardedCut,
    /// Go on with an interrupted build.
    pub resume: bool,
    /// Build anew what exists already.
    pub replace: bool,
    /// Where each worker writes what timely tells of its operators, if anywhere.
    pub timely_log: Option<PathBuf>,
}

/// How a sharded build is cut. None of it changes a byte of the result.
#[derive(Debug, Clone, PartialEq)]
pub struct ShardedCut {
    /// Rows of more edges are spread over all workers.
    pub longest_row: u64,
    /// Expected visits of a block of sources; chosen by memory where it is `None`.
    pub block_visits: Option<f64>,
    /// Blocks that are under way at a time; chosen by memory where it is `None`.
    pub blocks: Option<usize>,
}

impl Default for ShardedCut {
    fn default() -> Self {
        ShardedCut { longest_row: 16_384, block_visits: None, blocks: None }
    }
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
    /// Rounds that the workers of this process took in a sharded build, added up.
    pub rounds: AtomicU64,
    /// Groups of walks that wait for their next step, in a sharded build.
    pub live: AtomicU64,
    /// What all processes last said, on the first one.
    pub standings: Standings,
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
    /// Rounds of a sharded build, of all blocks; the mean over this process's workers.
    pub rounds: u64,
    /// The memory that the build planned to hold, in bytes.
    pub planned_bytes: u64,
    /// Processor time that each worker of all processes spent in its own thread, in seconds: who had more to do than others.
    pub worker_seconds: Vec<f64>,
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
    let built = build_index_together(Processes::alone(options.workers), store, options, progress, tick)?;
    Ok(built.expect("the first process publishes the index"))
}

/// What segments belong to.
#[derive(Debug, Clone)]
pub(crate) struct Sealing {
    pipelines: Vec<Pipeline>,
    graph_digest: u128,
    plan_digest: u128,
}

impl Sealing {
    fn segment_id(&self, pipeline: u32) -> SegmentId {
        let Sealing { graph_digest, plan_digest, .. } = *self;
        SegmentId { pipeline: self.pipelines[pipeline as usize], graph_digest, plan_digest }
    }
}

/// The big moves that a plan asks for, of all nodes of a graph.
fn big_moves(graph: &Graph, plan: &Plan) -> Result<Option<PathRows>> {
    if plan.big_moves == 0 {
        return Ok(None);
    }
    PathRows::of(&graph.walk_rows().checked()?, plan).ok_or_else(sharded::too_many).map(Some)
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
                let Plan { restart_prob, walks, walks_per_edge, rng_key, big_moves } = begun.plan;
                let mut what = format!(
                    "--restart-prob {restart_prob} --walks {walks} --walks-per-edge {walks_per_edge} --rng-key {rng_key}"
                );
                if big_moves != 0 {
                    what.push_str(&format!(" --big-moves {big_moves}"));
                }
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
            std::fs::remove_dir_all(&found).map_err(EngineError::io(&found, "remove"))?;
        }
        std::fs::create_dir(&wanted).map_err(EngineError::io(&wanted, "make the directory"))?;
    }
    lock.write_plan(&wanted, &build)?;
    Ok(())
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    std::fs::rename(from, to).map_err(EngineError::io(to, "rename into place"))?;
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
