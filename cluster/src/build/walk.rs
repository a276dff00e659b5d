//! The operator that walks: one task an activation.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde::{Deserialize, Serialize};
use timely::dataflow::Stream;
use walkprint_engine::ids::NodeId;
use walkprint_walkers::kernel::Walkable;
use walkprint_walkers::tally::Walker;

use super::deal::{Credit, Task};
use super::replicated::Job;
use crate::assembly::in_turns;
use crate::wire::Numbers;

/// The packed fingerprints of one task.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Piece {
    /// Whose sources they are.
    pub(crate) pipeline: u32,
    /// The first source.
    pub(crate) first: NodeId,
    /// The fingerprints, one after the other.
    pub(crate) bytes: Numbers<u8>,
    /// Where each ends.
    pub(crate) ends: Numbers<u32>,
}

/// Walks the tasks that are dealt to this worker. Gives the pieces, and a credit for each.
pub(super) fn walk<'scope>(
    tasks: Stream<'scope, u64, Vec<Task>>,
    job: Arc<Job>,
) -> (Stream<'scope, u64, Vec<Piece>>, Stream<'scope, u64, Vec<Credit>>) {
    let mut walker = Walker::default();
    let worker_of = |task: &Task| task.worker.into();
    in_turns(tasks, "Walk", worker_of, move |task| {
        let walkable = Walkable::new(&job.rows).with_paths(job.paths.as_deref());
        let packed = match &job.reuse {
            None => walker.fingerprints(walkable, &job.plan, task.first, task.end),
            Some(reuse) => reuse.fingerprints(&mut walker, walkable, &job.plan, task.first..task.end),
        };
        job.progress.sources.fetch_add(u64::from(task.end - task.first), Ordering::Relaxed);
        job.progress.steps.fetch_add(packed.steps, Ordering::Relaxed);
        let (bytes, ends) = (Numbers(packed.bytes), Numbers(packed.ends));
        let piece = Piece { pipeline: task.pipeline, first: task.first, bytes, ends };
        Some((Some(piece), Credit { worker: task.worker, stopped: job.stopped() }))
    })
}
