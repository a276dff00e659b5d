//! The operator that hands out work: tasks to whichever worker has a credit left.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde::{Deserialize, Serialize};
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::Operator;
use walkprint_engine::ids::NodeId;

use super::replicated::{Job, time_of};

/// Consecutive sources of one pipeline.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Task {
    /// Who walks it; set when it is dealt.
    pub(crate) worker: u32,
    /// Whose sources they are.
    pub(crate) pipeline: u32,
    /// The first source.
    pub(crate) first: NodeId,
    /// One past the last.
    pub(crate) end: NodeId,
}

/// A worker's word that it can take one more task.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Credit {
    /// The worker.
    pub(crate) worker: u32,
    /// Whether its process is to stop: then all do, as nothing more is dealt.
    pub(crate) stopped: bool,
}

/// Deals all tasks on worker 0. Holds the time of the pipeline that is being dealt; lets go of all time when the tasks
/// have run out or the job is to stop.
pub(super) fn deal<'scope>(
    credits: Stream<'scope, u64, Vec<Credit>>,
    tasks: Vec<Task>,
    job: Arc<Job>,
) -> Stream<'scope, u64, Vec<Task>> {
    let scope = credits.scope();
    let is_dealer = scope.index() == 0;
    let workers = u32::try_from(scope.peers()).expect("workers are threads");
    credits.unary_frontier(Exchange::new(|_: &Credit| 0), "Deal", move |capability, _info| {
        let mut held = is_dealer.then_some(capability);
        let mut waiting: VecDeque<Credit> =
            (0..job.credits).flat_map(|_| (0..workers).map(|worker| Credit { worker, stopped: false })).collect();
        let mut next = 0;
        move |(input, _frontier), output| {
            input.for_each_stamp(|_, data| waiting.extend(data.flat_map(|credits| credits.drain(..))));
            if waiting.iter().any(|credit| credit.stopped) {
                job.progress.stop.store(true, Ordering::Relaxed);
            }
            let Some(capability) = &mut held else { return };
            while let (Some(task), Some(&Credit { worker, .. })) = (tasks.get(next), waiting.front()) {
                if job.stopped() {
                    break;
                }
                waiting.pop_front();
                capability.downgrade(&time_of(task.pipeline));
                output.session(capability).give(Task { worker, ..*task });
                next += 1;
            }
            if next == tasks.len() || job.stopped() {
                held = None;
            }
        }
    })
}
