//! The operator that hands out work: tasks to whichever worker has a credit left.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde::{Deserialize, Serialize};
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::Operator;

use super::Job;
use super::budget::{CREDITS, OPEN_PARTS};
use super::cut::Task;
use super::rows::Piece;

/// A worker's word that it has done with a task and can take one more.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Credit {
    worker: u32,
    part: u32,
    /// Sources that were answered, and their rows.
    answered: (u64, u64),
}

impl Credit {
    /// For a task that is done, or was given up.
    pub(crate) fn of(task: &Task, piece: Option<&Piece>) -> Credit {
        let answered = piece.map_or((0, 0), |piece| (piece.ends.len() as u64, piece.rows.len() as u64));
        Credit { worker: task.worker, part: task.part, answered }
    }
}

/// Deals all tasks on worker 0, part by part. Holds the time of the part that is being dealt; lets go of all time when
/// the tasks have run out or the job is to stop. Waits with a new part while too many others are under way: their rows are
/// in memory until the last of them is there.
pub(super) fn deal<'scope>(credits: Stream<'scope, u64, Vec<Credit>>, job: Arc<Job>) -> Stream<'scope, u64, Vec<Task>> {
    let scope = credits.scope();
    let is_dealer = scope.index() == 0;
    let workers = u32::try_from(scope.peers()).expect("workers are threads");
    credits.unary_frontier(Exchange::new(|_: &Credit| 0), "Deal", move |capability, _info| {
        let mut held = is_dealer.then_some(capability);
        let mut waiting: VecDeque<u32> = (0..CREDITS).flat_map(|_| 0..workers).collect();
        let mut under_way: BTreeMap<u32, usize> = BTreeMap::new();
        let cut = job.cut;
        let mut tasks = job.open.clone().into_iter().flat_map(move |part| cut.tasks(part)).peekable();
        move |(input, _frontier), output| {
            input.for_each_stamp(|_, data| {
                for Credit { worker, part, answered: (sources, rows) } in data.flat_map(|credits| credits.drain(..)) {
                    waiting.push_back(worker);
                    // Own workers tell as they go.
                    if job.workers <= worker as usize {
                        job.progress.sources.fetch_add(sources, Ordering::Relaxed);
                        job.progress.rows.fetch_add(rows, Ordering::Relaxed);
                    }
                    if let Some(count) = under_way.get_mut(&part) {
                        *count -= 1;
                        if *count == 0 {
                            under_way.remove(&part);
                        }
                    }
                }
            });
            let Some(capability) = &mut held else { return };
            while let (Some(task), Some(&worker)) = (tasks.peek(), waiting.front()) {
                let room = under_way.contains_key(&task.part) || under_way.len() < OPEN_PARTS;
                if !room || job.stopped() {
                    break;
                }
                waiting.pop_front();
                capability.downgrade(&u64::from(task.part));
                *under_way.entry(task.part).or_default() += 1;
                output.session(capability).give(Task { worker, ..*task });
                tasks.next();
            }
            if tasks.peek().is_none() || job.stopped() {
                held = None;
            }
        }
    })
}
