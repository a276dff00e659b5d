//! The operator that answers: a few sources an activation, so that other operators get their turn.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use timely::dataflow::Stream;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::progress::operate::FrontierInterest;

use super::Job;
use super::answering::{Answering, OwnedAnswering};
use super::cut::Task;
use super::deal::Credit;
use super::rows::{Gathering, Piece};
use crate::error::Result;

/// How long an activation may take: the dealer shares its thread with answers.
const TURN: Duration = Duration::from_millis(10);

/// Answers the tasks that are dealt to this worker. Gives the pieces, and a credit for each task. A task during which the
/// job is to stop gives a credit only.
pub(super) fn answer<'scope>(
    tasks: Stream<'scope, u64, Vec<Task>>,
    job: Arc<Job>,
) -> (Stream<'scope, u64, Vec<Piece>>, Stream<'scope, u64, Vec<Credit>>) {
    let scope = tasks.scope();
    let mut builder = OperatorBuilder::new("Answer".to_owned(), scope);
    let activator = scope.activator_for(builder.operator_info().address);
    let mut input = builder.new_input(tasks, Exchange::new(|task: &Task| task.worker.into()));
    builder.set_notify_for(0, FrontierInterest::Never);
    let (pieces, piece_stream) = builder.new_output();
    let (credits, credit_stream) = builder.new_output();
    let (mut pieces, mut credits) = (OutputBuilder::from(pieces), OutputBuilder::from(credits));
    builder.build(move |_capabilities| {
        let mut answering = None;
        let mut waiting: VecDeque<(Task, Capability<u64>, Capability<u64>)> = VecDeque::new();
        let mut gathering: Option<Gathering> = None;
        move |_frontiers| {
            input.for_each(|time, tasks: &mut Vec<Task>| {
                for task in tasks.drain(..) {
                    let (Some(piece), Some(credit)) = (time.retain_least(0), time.retain_least(1)) else { return };
                    waiting.push_back((task, piece, credit));
                }
            });
            let Some((task, ..)) = waiting.front() else { return };
            let begun = gathering.take().unwrap_or_else(|| Gathering::new(*task, job.sources_of(task)));
            match turn(&job, &mut answering, begun) {
                Ok(Turn::Unfinished(rest)) => gathering = Some(rest),
                finished => {
                    let Some((task, piece_time, credit_time)) = waiting.pop_front() else { return };
                    match finished {
                        Ok(Turn::Finished(piece)) => pieces.activate().session(&piece_time).give(piece),
                        Ok(_) => {}
                        Err(error) => job.fail(error),
                    }
                    credits.activate().session(&credit_time).give(Credit::of(&task));
                }
            }
            if !waiting.is_empty() {
                activator.activate();
            }
        }
    });
    (piece_stream, credit_stream)
}

/// What came of an activation.
enum Turn {
    Unfinished(Gathering),
    Finished(Piece),
    Stopped,
}

/// Answers sources of a task for a while.
fn turn(job: &Job, answering: &mut Option<OwnedAnswering>, mut gathering: Gathering) -> Result<Turn> {
    let answering = match answering {
        Some(made) => made,
        none => none.insert(OwnedAnswering::try_new(Arc::clone(&job.world), |world| Answering::new(world))?),
    };
    let together = Answering::together(job.asked.method);
    let began = Instant::now();
    loop {
        let sources = gathering.next(together);
        if sources.is_empty() {
            return Ok(Turn::Finished(gathering.finish()));
        }
        if job.stopped() {
            return Ok(Turn::Stopped);
        }
        if TURN < began.elapsed() {
            return Ok(Turn::Unfinished(gathering));
        }
        let answers = answering.with_dependent_mut(|_, answering| answering.answer(&job.asked, &sources))?;
        let rows = gathering.take(answers);
        job.progress.sources.fetch_add(sources.len() as u64, Ordering::Relaxed);
        job.progress.rows.fetch_add(rows, Ordering::Relaxed);
    }
}
