//! What each worker does from beginning to end.

use std::rc::Rc;
use std::sync::Arc;

use timely::ExchangeData;
use timely::dataflow::operators::{Concatenate, Probe};
use timely::dataflow::{Scope, Stream};
use timely::worker::Worker;
use walkprint_engine::index::IndexEntry;
use walkprint_engine::parts::RowPart;

use super::homes::{Homes, Seers};
use super::lane::Report;
use super::tracks::{Next, TRACKS, Worked, drive, track};
use super::world::World;
use super::{labels, prepare, rows};
use crate::error::{Error, Result};
use crate::processes::agree::{from_all, from_first};
use crate::rows::{Readers, check};

/// What all workers of a process are to do.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) world: Arc<World>,
    /// Workers of each process.
    pub(crate) workers: usize,
    /// Whether questions may ask for the dangling policy that needs the answer to uniform seeds.
    pub(crate) uniform: bool,
}

/// A worker that may answer, and what the job was begun with on the first worker of each process.
pub(crate) struct Prepared<T> {
    pub(crate) worked: Worked,
    pub(crate) begun: Option<T>,
}

/// What went wrong, by worker: the same on all workers.
pub(crate) type Told = Vec<Option<String>>;

/// Brings together what a worker needs. `begin` is called on the first worker of each process when it is sure that all parts of
/// the store are somewhere and whole, and, in process 0, all labels are there; before that takes much memory.
///
/// All workers return the same: when one of them cannot go on, all end here.
pub(crate) fn prepare<T>(
    worker: &mut Worker,
    job: &Job,
    begin: impl FnOnce(&Arc<World>) -> Result<T>,
) -> std::result::Result<Prepared<T>, Told> {
    let Job { world, workers, uniform } = job;
    let opened = open_index(worker, world);
    agreed(worker, world, opened)?;
    let (parts, readers) = (world.parts(), Readers::find(worker, world.parts(), *workers));
    let seers = Seers::find(worker, world, *workers);
    let somewhere = readers.expect_all(parts).and_then(|()| seers.expect_all(world));
    agreed(worker, world, somewhere)?;
    let checked = check(worker, parts, &readers, RowPart::verify_rows);
    agreed(worker, world, checked)?;
    let labelled = labels::gather(worker, world, *workers);
    agreed(worker, world, labelled)?;
    let begun = worker.index().is_multiple_of(*workers).then(|| begin(world)).transpose();
    let begun = agreed(worker, world, begun)?;
    let owners = rows::deal(worker, parts, &readers);
    let shard = rows::gather(worker, parts, &readers, &owners);
    let shard = Rc::new(agreed(worker, world, shard)?);
    let homes = Homes::new(owners, seers, Arc::clone(world));
    let mut worked = Worked { world: Arc::clone(world), shard, homes, dangling: Rc::default() };
    worked.dangling = Rc::new(prepare::dangling(worker, &worked.shard));
    if *uniform {
        prepare::uniform(worker, *workers, &worked);
    }
    Ok(Prepared { worked, begun })
}

/// Opens what is here of the index that process 0 asks for.
fn open_index(worker: &mut Worker, world: &World) -> Result<()> {
    // As text, since not all that it is made of can travel otherwise.
    let wanted = world.wanted().filter(|_| worker.index() == 0);
    let wanted = wanted.map(|entry| serde_json::to_string(entry).expect("plain structs always serialize"));
    let entry: IndexEntry = serde_json::from_str(&from_first(worker, wanted)).map_err(|error| Error::Request {
        what: format!("what process 0 says of the index makes no sense: {error}"),
    })?;
    world.open_index(&entry).map(|_| ())
}

/// What a worker has come to, if all of them have; otherwise what went wrong.
fn agreed<T>(worker: &mut Worker, world: &World, own: Result<T>) -> std::result::Result<T, Told> {
    let (own, failed) = match own {
        Ok(value) => (Some(value), None),
        Err(error) => {
            let what = error.to_string();
            world.fail(error);
            (None, Some(what))
        }
    };
    let told = from_all(worker, failed);
    own.filter(|_| told.iter().all(Option::is_none)).ok_or(told)
}

/// Answers what `next` has on worker 0, until it has nothing any more. `report` makes something of each answer where it was
/// put together; `consume` builds what comes of that, and its output carries nothing but progress.
///
/// All workers return the same: what went wrong, by worker.
pub(crate) fn answer<P: ExchangeData>(
    worker: &mut Worker,
    worked: &Worked,
    report: Report<P>,
    consume: impl for<'scope> FnOnce(Scope<'scope, u64>, Stream<'scope, u64, Vec<P>>) -> Stream<'scope, u64, Vec<()>>,
    next: impl FnMut() -> Next,
) -> Told {
    let world = &worked.world;
    let (tracks, done) = worker.dataflow(|scope| {
        let (tracks, answers): (Vec<_>, Vec<_>) = (0..TRACKS).map(|_| track(scope, worked, Rc::clone(&report))).unzip();
        let (done, consumed) = consume(scope, scope.concatenate(answers)).probe();
        drop(consumed);
        (tracks, done)
    });
    world.begin_answering();
    drive(worker, tracks, &done, world, next);
    from_all(worker, world.failed())
}
