//! Building an index over a graph that is spread over the workers: walks go where the rows are.
//!
//! ```text
//!          ┌───── arrivals (place, lane, units), merged ─────┐
//!          ▼                                                 │
//!        step  (one loop a slot; a block goes round it, a step a round)
//!          │ parts: what was visited here, lane by lane, when the block has ended
//!          ▼
//!        join ── pieces ──▶ seal ── segments ──▶ writer thread
//! ```
//!
//! Every worker holds the rows of the nodes that it owns, and parts of long rows. A block of sources goes through its rounds
//! in a slot; several slots keep several blocks under way. What a block's walks visited is noted where it happens and sent to
//! one worker a task when the walks have ended; from there on everything is as in the replicated build.

mod blocks;
mod join;
mod near;
mod rows;
mod step;
mod wire;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use timely::dataflow::ProbeHandle;
use timely::dataflow::operators::{Concatenate, ConnectLoop, Feedback, Probe};
use timely::worker::Worker;
use walkprint_engine::graph::{CHUNK, Owners};
use walkprint_engine::plan::Plan;
use walkprint_walkers::shard::{LongRow, LongRows, ShardRows};

pub(super) use blocks::Block;
pub(super) use near::{big_moves, too_many};
pub(super) use rows::{begin, gather};

use super::budget::ShardedBudget;
use super::cut::Cut;
use super::deal::Task;
use super::together::Sinks;
use super::{BuildProgress, Sealing, seal};

/// What all workers of a sharded build share.
pub(super) struct ShardedJob {
    pub(super) plan: Plan,
    pub(super) tasks: Vec<Task>,
    pub(super) blocks: Vec<Block>,
    /// Blocks under way at a time.
    pub(super) slots: usize,
    pub(super) sealing: Sealing,
    pub(super) progress: Arc<BuildProgress>,
}

impl ShardedJob {
    /// Cuts open tasks into blocks of about so many expected visits.
    pub(super) fn new(
        plan: &Plan,
        tasks: Vec<(Task, f64)>,
        budget: &ShardedBudget,
        sealing: Sealing,
        progress: &Arc<BuildProgress>,
    ) -> ShardedJob {
        let blocks = blocks::blocks(&tasks, budget.block_visits);
        let tasks = tasks.into_iter().map(|(task, _)| task).collect();
        let (plan, progress) = (plan.clone(), Arc::clone(progress));
        ShardedJob { plan, tasks, blocks, slots: budget.blocks, sealing, progress }
    }

    fn stopped(&self) -> bool {
        self.progress.stop.load(Ordering::Relaxed)
    }

    /// When everything of a pipeline has been seen: at the end of its last block.
    fn time_of(&self, pipeline: u32) -> u64 {
        let tasks = self.tasks.partition_point(|task| task.pipeline <= pipeline);
        let block = self.blocks.partition_point(|block| block.tasks.start < tasks);
        step::time_of(block) - 1
    }
}

/// How a graph is spread over workers: by about equal bytes, and long rows in parts.
pub(super) fn spread(cut: &Cut, workers: usize) -> (Arc<Owners>, Arc<LongRows>) {
    // A node costs its row, and about as much as sixteen edges for what stands on it however short that is.
    let cost = |(chunk, edges): (u32, &u64)| 16 * u64::from((cut.nodes - chunk * CHUNK).min(CHUNK)) + edges;
    let costs: Vec<u64> = (0..).zip(&cut.chunk_edges).map(cost).collect();
    let long = cut.long.iter().map(|&(node, degree)| LongRow { node, degree }).collect();
    (Arc::new(Owners::deal(cut.nodes, &costs, workers)), Arc::new(LongRows::new(long, workers)))
}

/// The dataflow on one worker.
pub(super) fn dataflow(worker: &mut Worker, job: &Arc<ShardedJob>, rows: ShardRows, sinks: Sinks) -> ProbeHandle<u64> {
    worker.dataflow::<u64, _, _>(|scope| {
        let (rows, shared) = (Rc::new(rows), Rc::new(RefCell::new(step::Slots::new(scope.peers()))));
        let pieces: Vec<_> = (0..job.slots)
            .map(|slot| {
                let (returned, arriving) = scope.feedback(1);
                let (next, parts) = step::step(arriving, job, &rows, &shared, slot);
                next.connect_loop(returned);
                join::join(parts, job, &shared)
            })
            .collect();
        let pieces = scope.concatenate(pieces);
        let (sealing, timing) = (Arc::clone(job), Arc::clone(job));
        let sealed = seal::seal(
            pieces,
            move |pipeline| sealing.sealing.segment_id(pipeline),
            move |pipeline| timing.time_of(pipeline),
            sinks,
        );
        let (probe, sealed) = sealed.probe();
        drop(sealed);
        probe
    })
}
