//! What each worker does from beginning to end.

use std::rc::Rc;
use std::sync::Arc;

use timely::ExchangeData;
use timely::dataflow::operators::{Concatenate, Probe};
use timely::dataflow::{Scope, Stream};
use timely::worker::Worker;
use walkprint_engine::graph::{GraphShard, Owners};

use super::lane::Report;
use super::prepare;
use super::tracks::{Next, TRACKS, Worked, drive, track};
use super::world::World;
use crate::processes::agree::from_all;

/// What all workers of a process are to do.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) world: Arc<World>,
    pub(crate) owners: Arc<Owners>,
    /// Workers of each process.
    pub(crate) workers: usize,
    /// Whether questions may ask for the dangling policy that needs the answer to uniform seeds.
    pub(crate) uniform: bool,
}

/// Answers what `next` has on worker 0, until it has nothing any more. `report` makes something of each answer where it was
/// put together; `consume` builds what comes of that, and its output carries nothing but progress.
///
/// All workers return the same: what went wrong, by worker.
///
/// A worker that cannot have its rows goes along without any, so that the others are not left waiting; the job has failed.
pub(crate) fn work<P: ExchangeData>(
    worker: &mut Worker,
    job: &Job,
    report: Report<P>,
    consume: impl for<'scope> FnOnce(Scope<'scope, u64>, Stream<'scope, u64, Vec<P>>) -> Stream<'scope, u64, Vec<()>>,
    next: impl FnMut() -> Next,
) -> Vec<Option<String>> {
    let Job { world, owners, workers, uniform } = job;
    let shard = world.shard(owners, worker.index()).unwrap_or_else(|error| {
        world.fail(error);
        GraphShard::empty(owners, worker.index())
    });
    let (shard, dangling) = (Rc::new(shard), Rc::default());
    let mut worked = Worked { world: Arc::clone(world), shard, dangling };
    worked.dangling = Rc::new(prepare::dangling(worker, &worked.shard));
    if *uniform {
        prepare::uniform(worker, *workers, &worked);
    }
    let (tracks, done) = worker.dataflow(|scope| {
        let (tracks, answers): (Vec<_>, Vec<_>) =
            (0..TRACKS).map(|_| track(scope, &worked, Rc::clone(&report))).unzip();
        let (done, consumed) = consume(scope, scope.concatenate(answers)).probe();
        drop(consumed);
        (tracks, done)
    });
    drive(worker, tracks, &done, world, next);
    from_all(worker, world.failed())
}
