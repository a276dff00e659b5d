//! The operator that walks: one task an activation, so that credits go back at once and other operators get their turn.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde::{Deserialize, Serialize};
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::progress::operate::FrontierInterest;
use walkprint_engine::ids::NodeId;
use walkprint_walkers::kernel::Walkable;
use walkprint_walkers::tally::Walker;

use super::Job;
use super::deal::{Credit, Task};

/// The packed fingerprints of one task.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Piece {
    /// Whose sources they are.
    pub(crate) pipeline: u32,
    /// The first source.
    pub(crate) first: NodeId,
    /// The fingerprints, one after the other.
    pub(crate) bytes: Vec<u8>,
    /// Where each ends.
    pub(crate) ends: Vec<u32>,
}

/// Walks the tasks that are dealt to this worker. Gives the pieces, and a credit for each.
pub(super) fn walk<'scope>(
    tasks: Stream<'scope, u64, Vec<Task>>,
    job: Arc<Job>,
) -> (Stream<'scope, u64, Vec<Piece>>, Stream<'scope, u64, Vec<Credit>>) {
    let scope = tasks.scope();
    let mut builder = OperatorBuilder::new("Walk".to_owned(), scope);
    let activator = scope.activator_for(builder.operator_info().address);
    let mut input = builder.new_input(tasks, Exchange::new(|task: &Task| task.worker.into()));
    builder.set_notify_for(0, FrontierInterest::Never);
    let (pieces, piece_stream) = builder.new_output();
    let (credits, credit_stream) = builder.new_output();
    let (mut pieces, mut credits) = (OutputBuilder::from(pieces), OutputBuilder::from(credits));
    builder.build(move |_capabilities| {
        let mut walker = Walker::default();
        let mut waiting: VecDeque<(Task, Capability<u64>, Capability<u64>)> = VecDeque::new();
        move |_frontiers| {
            input.for_each(|time, tasks: &mut Vec<Task>| {
                for task in tasks.drain(..) {
                    let (Some(piece), Some(credit)) = (time.retain_least(0), time.retain_least(1)) else { return };
                    waiting.push_back((task, piece, credit));
                }
            });
            let Some((task, piece_time, credit_time)) = waiting.pop_front() else { return };
            let packed = walker.fingerprints(Walkable::new(&job.rows), &job.plan, task.first, task.end);
            job.progress.sources.fetch_add(u64::from(task.end - task.first), Ordering::Relaxed);
            job.progress.steps.fetch_add(packed.steps, Ordering::Relaxed);
            let piece = Piece { pipeline: task.pipeline, first: task.first, bytes: packed.bytes, ends: packed.ends };
            pieces.activate().session(&piece_time).give(piece);
            credits.activate().session(&credit_time).give(task.worker);
            if !waiting.is_empty() {
                activator.activate();
            }
        }
    });
    (piece_stream, credit_stream)
}
