//! A batch over a sharded graph: the workers of all processes answer together, process 0 writes.
//!
//! Sources are cut into parts as for any batch, and the sources of a part into blocks of lanes, by memory: how many leaves
//! no trace in any answer (see [`crate::sharded`]).

use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use timely::dataflow::Scope;
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::Exchange as ToWorker;
use timely::dataflow::operators::generic::Operator;
use timely::worker::Worker;
use walkprint_engine::ids::NodeId;
use walkprint_engine::query::{Answer, Method, Shape};
use walkprint_engine::store::Store;

use super::answering::{Asked, World};
use super::budget::Budget;
use super::cut::{Cut, Task};
use super::manifest::Manifest;
use super::options::{BatchOptions, BatchOutcome, BatchProgress};
use super::place::Place;
use super::rows::{Gathering, Piece};
use super::sources::Resolved;
use super::writer::{self, Part};
use super::{Job, check, in_order, parameters};
use crate::assembly::{Queue, collect};
use crate::choice::{Wanted, choose_index};
use crate::error::{Error, Result};
use crate::processes::Processes;
use crate::sharded;
use crate::sharded::budget::{Budget as Lanes, Measures};
use crate::sharded::lane::{self, Lane};
use crate::sharded::tracks::{Block, Next};
use crate::sharded::{LEAST_PRECISION, USUAL_PRECISION, first_threshold, time};

/// Answers for all sources of a batch over a graph whose rows are spread over the workers of all processes. `None` where
/// another process writes. `tick` is called about ten times a second from this thread.
///
/// # Errors
/// As [`run_batch`](super::run_batch); and when something is asked for that takes the whole graph.
pub fn run_sharded_batch(
    store: &Path,
    options: &BatchOptions,
    processes: &Processes,
    progress: &Arc<BatchProgress>,
    tick: &mut dyn FnMut(&BatchProgress),
) -> Result<Option<BatchOutcome>> {
    check(options)?;
    let precision = check_sharded(options)?;
    let store = Store::open(store)?;
    let world = open(&store, options)?;
    let restart_prob = world.restart_prob();
    let resolved = Resolved::new(options, &store, world.labels())?;
    let (nodes, edges) = world.size();
    let cut = Cut::new(resolved.nodes.len() as u64, options.top, nodes, options.rows_per_file);
    let writes = processes.process() == 0;
    // What writing takes; without answerers.
    let besides = if writes { Budget::of_files(&cut, nodes).bytes() } else { 0 };
    let workers = (processes.workers() as u64, processes.all_workers() as u64);
    let (nodes, edges) = (nodes as u64, edges as u64);
    let measures = Measures {
        nodes,
        edges,
        weighted: world.is_weighted(),
        index: world.index().entry(),
        precision,
        workers,
        besides,
    };
    let lanes = Lanes::new(measures, options.memory_bytes)?;
    progress.all_sources.store(cut.sources, Ordering::Relaxed);
    let job = sharded::work::Job {
        owners: world.owners(processes.all_workers()),
        world: Arc::clone(&world),
        workers: processes.workers(),
        uniform: options.dangling == walkprint_engine::query::Dangling::Uniform,
    };
    let asked = lane::Asked { top: options.top, dangling: options.dangling, precision };
    let threshold = first_threshold(world.index().plan(), precision);
    let lane = Lane { number: 0, tag: 0, asked, threshold, key: 0 };
    let mut tick = || {
        tick(progress);
        if progress.stop.load(Ordering::Relaxed) {
            world.stop();
        }
        if let Some(what) = world.failed() {
            let _ = progress.failed.set(what); // the first is told
        }
    };
    if !writes {
        let answering = Answering { cut, lane, lanes: lanes.lanes, files: None };
        let answered = answer(processes, job, answering, &mut tick);
        return match world.failure() {
            Some(error) => Err(error),
            None => answered.map(|()| None),
        };
    }

    let mut place = Place::new(options)?;
    let files_world = files_world(&store, restart_prob)?;
    let mut described = Asked::new(options, restart_prob);
    described.method = Method::Combine;
    let mut parameters = parameters(options, &files_world, &resolved, &described, &cut);
    let entry = world.index().entry();
    (parameters.index, parameters.fingerprint_digest) =
        (Some(entry.name.clone()), Some(entry.fingerprint_digest.clone()));
    parameters.graph = Some("sharded".to_owned());
    let manifest = place.begin(&parameters)?;
    let is_sealed = |number: &u32| manifest.parts.iter().any(|part| part.number == *number);
    let (sealed, open): (Vec<u32>, Vec<u32>) = (0..cut.parts()).partition(is_sealed);
    let before: u64 = sealed.iter().map(|&part| cut.part(part)).map(|range| range.end - range.start).sum();
    progress.sources.store(before, Ordering::Relaxed);
    progress.sealed.store(sealed.len() as u64, Ordering::Relaxed);

    let began = Instant::now();
    let skipped_unknown = resolved.skipped_unknown;
    let files = Arc::new(Job {
        order: in_order(&files_world, Method::Combine, &resolved.nodes, &cut).map(|(_, place)| place).collect(),
        world: files_world,
        nodes: resolved.nodes,
        cut,
        open,
        asked: described,
        format: options.format,
        progress: Arc::clone(progress),
        failure: Mutex::new(None),
    });
    let manifest = if files.open.is_empty() {
        manifest
    } else {
        let writer = writer::start(options.out.clone(), manifest, &files)?;
        let way = Some((Arc::clone(&files), writer.queue()));
        let answered = answer(processes, job, Answering { cut, lane, lanes: lanes.lanes, files: way }, &mut tick);
        let written = writer.finish();
        let failure = files.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        // The cause before what came of it.
        if let Some(error) = world.failure().or(failure) {
            return Err(error);
        }
        answered?;
        complete(written?, &cut)?
    };
    Ok(Some(BatchOutcome {
        sources: cut.sources,
        skipped_unknown,
        rows: manifest.rows,
        bytes: manifest.bytes,
        parts: manifest.parts.len(),
        resumed_parts: sealed.len(),
        truncated_sources: manifest.parts.iter().map(|part| part.truncated_sources).sum(),
        method: Method::Combine,
        restart_prob,
        index: parameters.index,
        pilot: None,
        seconds: began.elapsed().as_secs_f64(),
        planned_bytes: lanes.bytes,
    }))
}

fn complete(manifest: Manifest, cut: &Cut) -> Result<Manifest> {
    if manifest.parts.len() < cut.parts() as usize { Err(Error::Interrupted) } else { Ok(manifest) }
}

/// Refuses what takes the whole graph on one worker. Returns the precision.
fn check_sharded(options: &BatchOptions) -> Result<f64> {
    let refuse = |what: String| Err(Error::Request { what });
    if !matches!(options.method, Method::Auto | Method::Combine) {
        let method = options.method;
        return refuse(format!(
            "over a sharded graph only combine can answer, not {method}; leave out --graph sharded"
        ));
    }
    if options.shape != Shape::default() {
        return refuse(
            "filters, debiasing and support need the whole graph; leave out --graph sharded, or filter the files"
                .into(),
        );
    }
    let precision = options.precision.unwrap_or(USUAL_PRECISION);
    if precision < LEAST_PRECISION {
        return refuse(format!(
            "--precision {precision} is out of reach over a sharded graph, which answers down to {LEAST_PRECISION}; leave \
             out --graph sharded, and take --method exact"
        ));
    }
    Ok(precision)
}

/// Opens what workers answer from.
fn open(store: &Store, options: &BatchOptions) -> Result<Arc<sharded::world::World>> {
    let (graph, labels) = (store.graph()?, store.labels()?);
    let wanted =
        Wanted { index: options.index.as_deref(), restart_prob: options.restart_prob, method: Method::Combine };
    let (index, _) = choose_index(store, &graph, wanted)?;
    let index = index.ok_or_else(|| Error::Request { what: "answers over a sharded graph need an index".into() })?;
    Ok(Arc::new(sharded::world::World::new(graph, labels, index)))
}

/// What files are written from.
fn files_world(store: &Store, restart_prob: f64) -> Result<Arc<World>> {
    let (graph, labels) = (store.graph()?, store.labels()?);
    Ok(Arc::new(World { graph, labels, index: None, restart_prob, inflow: None }))
}

/// How the workers answer.
struct Answering {
    cut: Cut,
    /// What all lanes are like.
    lane: Lane,
    /// Lanes of a block.
    lanes: u64,
    /// In the process that writes.
    files: Option<(Arc<Job>, Queue<Part>)>,
}

fn answer(processes: &Processes, job: sharded::work::Job, answering: Answering, tick: &mut dyn FnMut()) -> Result<()> {
    let Answering { cut, lane, lanes, files } = answering;
    // A queue belongs to one thread at a time; every worker has its own.
    let files = Mutex::new(files);
    let work = move |worker: &mut Worker| {
        let files = files.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let blocks: Vec<Task> = files.iter().flat_map(|(files, _)| blocks(&files.open, &cut, lanes)).collect();
        let report = Rc::new(move |lane: &Lane, answer: Answer| piece(&cut, lane.tag, answer));
        let (mut rest, writing) = (blocks.clone().into_iter(), files.clone());
        let next = move || match rest.next().zip(writing.as_ref()) {
            Some((task, (files, _))) => Next::Block(block(files, &task, lane)),
            None => Next::End,
        };
        sharded::work::work(worker, &job, report, |scope, pieces| seal(scope, pieces, files, &blocks), next)
    };
    match processes.run(work, tick)?.into_iter().flatten().flatten().next() {
        Some(what) => Err(Error::Request { what: format!("a process failed: {what}") }),
        None => Ok(()),
    }
}

/// The blocks of all open parts, in order.
fn blocks(open: &[u32], cut: &Cut, lanes: u64) -> Vec<Task> {
    let cut = Cut { task_sources: lanes, ..*cut };
    open.iter().flat_map(|&part| cut.tasks(part)).collect()
}

/// The questions of a block.
fn block(files: &Job, task: &Task, lane: Lane) -> Block {
    let mut block = Block::default();
    for (source, tag) in files.sources_of(task).into_iter().zip(task.first..) {
        let seeds: [(NodeId, f64); 1] = [(source, 1.0)];
        block.add(Lane { tag, ..lane }, &seeds);
    }
    block
}

/// The answer of one source, which its place in the order of answering tells.
fn piece(cut: &Cut, place: u64, answer: Answer) -> Piece {
    let part = u32::try_from(place / cut.part_sources).expect("parts have enough sources for 32 bits");
    let mut gathering = Gathering::new(Task { worker: 0, part, first: place, end: place + 1 }, Vec::new());
    gathering.take(vec![Some(answer)]);
    gathering.finish()
}

/// Collects all answers on worker 0 and hands complete parts to the writer, as the seal of any batch does.
fn seal<'scope>(
    _scope: Scope<'scope, u64>,
    pieces: Stream<'scope, u64, Vec<Piece>>,
    files: Option<(Arc<Job>, Queue<Part>)>,
    blocks: &[Task],
) -> Stream<'scope, u64, Vec<()>> {
    let progress = files.as_ref().map(|(files, _)| Arc::clone(&files.progress));
    let to_writer = ToWorker::new(|_: &Piece| 0);
    let counted = pieces.unary::<timely::container::CapacityContainerBuilder<Vec<Piece>>, _, _, _>(
        to_writer,
        "Count",
        move |_, _| {
            move |input, output| {
                input.for_each(|stamp, pieces: &mut Vec<Piece>| {
                    if let Some(progress) = &progress {
                        let rows: usize = pieces.iter().map(|piece| piece.rows.len()).sum();
                        progress.sources.fetch_add(pieces.len() as u64, Ordering::Relaxed);
                        progress.rows.fetch_add(rows as u64, Ordering::Relaxed);
                    }
                    output.session(&stamp).give_container(pieces);
                });
            }
        },
    );
    // The last block of a part ends the part.
    let ends: std::collections::BTreeMap<u32, u64> =
        (0..).zip(blocks).map(|(number, task)| (task.part, time::end(number))).collect();
    let time_of = move |part: u32| ends.get(&part).copied().unwrap_or(u64::MAX);
    let place_of = |piece: &Piece| (piece.task.part, piece.task.first);
    collect(
        counted,
        |_: &Piece| 0,
        place_of,
        time_of,
        move |number, pieces| {
            let Some((files, queue)) = &files else { return };
            let range = files.cut.part(number);
            if pieces.len() as u64 == range.end - range.start {
                queue.send(Part { number, pieces: pieces.into_values().collect() });
            }
        },
    )
}
