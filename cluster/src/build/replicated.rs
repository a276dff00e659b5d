//! The dataflow over a graph that every worker can read: sources are dealt out, and no walk leaves its worker.
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
//! - `walk` walks one task at a time, but for sources whose fingerprints may be taken from an older index, and returns the
//!   credit.
//! - `seal` collects the pieces; when the frontier has passed a pipeline, nothing of it is under way any
//!   more, and its segment goes to the writer thread, which flushes it to the disk and renames it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use timely::dataflow::ProbeHandle;
use timely::dataflow::operators::{ConnectLoop, Feedback, Probe};
use timely::worker::Worker;
use walkprint_engine::graph::CheckedRows;
use walkprint_engine::plan::Plan;
use walkprint_walkers::paths::PathRows;

use super::deal::{self, Task};
use super::reuse::Reuse;
use super::together::Sinks;
use super::{BuildProgress, Sealing, seal, walk};

/// Everything the workers share.
pub(super) struct Job {
    pub(super) rows: CheckedRows,
    pub(super) paths: Option<Arc<PathRows>>,
    pub(super) plan: Plan,
    /// Fingerprints that need not be walked.
    pub(super) reuse: Option<Arc<Reuse>>,
    pub(super) credits: usize,
    pub(super) sealing: Sealing,
    pub(super) progress: Arc<BuildProgress>,
}

impl Job {
    pub(super) fn stopped(&self) -> bool {
        self.progress.stop.load(Ordering::Relaxed)
    }
}

/// The timely time of a pipeline; its low bits count steps.
pub(super) fn time_of(pipeline: u32) -> u64 {
    u64::from(pipeline) << 16
}

/// The dataflow on one worker; the first worker deals the tasks.
pub(super) fn dataflow(worker: &mut Worker, job: &Arc<Job>, tasks: Vec<Task>, sinks: Sinks) -> ProbeHandle<u64> {
    worker.dataflow::<u64, _, _>(|scope| {
        let (returned, credits) = scope.feedback(1);
        let tasks = deal::deal(credits, tasks, Arc::clone(job));
        let (pieces, spent) = walk::walk(tasks, Arc::clone(job));
        spent.connect_loop(returned);
        let sealing = job.sealing.clone();
        let sealed = seal::seal(pieces, move |pipeline| sealing.segment_id(pipeline), time_of, sinks);
        let (probe, sealed) = sealed.probe();
        drop(sealed);
        probe
    })
}
