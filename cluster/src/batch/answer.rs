//! The operator that answers: a few sources an activation.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use timely::dataflow::Stream;

use super::Job;
use super::answering::{Answering, OwnedAnswering, World};
use super::cut::Task;
use super::deal::Credit;
use super::rows::{Gathering, Piece};
use crate::assembly::in_turns;
use crate::error::Result;

/// How long an activation may take: the dealer shares its thread with answers.
const TURN: Duration = Duration::from_millis(10);

/// Answers the tasks that are dealt to this worker. Gives the pieces, and a credit for each task. A task during which the
/// job is to stop gives a credit only.
pub(super) fn answer<'scope>(
    tasks: Stream<'scope, u64, Vec<Task>>,
    job: Arc<Job>,
    world: Arc<World>,
) -> (Stream<'scope, u64, Vec<Piece>>, Stream<'scope, u64, Vec<Credit>>) {
    let mut answering = None;
    let mut begun: Option<Gathering> = None;
    let worker_of = |task: &Task| task.worker.into();
    in_turns(tasks, "Answer", worker_of, move |task| {
        // Who stops because it has other sources than the dealer must not look for those of a task.
        if job.stopped() {
            begun = None;
            return Some((None, Credit::of(task, None)));
        }
        let gathering = begun.take().unwrap_or_else(|| Gathering::new(*task, job.sources_of(task)));
        let piece = match turn(&job, &world, &mut answering, gathering) {
            Ok(Turn::Unfinished(rest)) => {
                begun = Some(rest);
                return None;
            }
            Ok(Turn::Finished(piece)) => Some(piece),
            Ok(Turn::Stopped) => None,
            Err(error) => {
                job.fail(error);
                None
            }
        };
        let credit = Credit::of(task, piece.as_ref());
        Some((piece, credit))
    })
}

/// What came of an activation.
enum Turn {
    Unfinished(Gathering),
    Finished(Piece),
    Stopped,
}

/// Answers sources of a task for a while.
fn turn(
    job: &Job,
    world: &Arc<World>,
    answering: &mut Option<OwnedAnswering>,
    mut gathering: Gathering,
) -> Result<Turn> {
    let answering = match answering {
        Some(made) => made,
        none => none.insert(OwnedAnswering::try_new(Arc::clone(world), |world| Answering::new(world))?),
    };
    let began = Instant::now();
    loop {
        let rest = gathering.rest();
        if rest.is_empty() {
            return Ok(Turn::Finished(gathering.finish()));
        }
        if job.stopped() {
            return Ok(Turn::Stopped);
        }
        if TURN < began.elapsed() {
            return Ok(Turn::Unfinished(gathering));
        }
        let answers = answering.with_dependent_mut(|world, answering| {
            answering.answer(&job.asked, &rest[..world.together(&job.asked, rest)])
        })?;
        job.progress.sources.fetch_add(answers.len() as u64, Ordering::Relaxed);
        let rows = gathering.take(answers);
        job.progress.rows.fetch_add(rows, Ordering::Relaxed);
    }
}
