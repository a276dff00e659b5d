//! A batch over a sharded graph: the workers of all processes answer together, process 0 writes.
//!
//! Sources are cut into parts as for any batch, and the sources of a part into blocks of lanes, by memory: how many leaves
//! no trace in any answer (see [`crate::sharded`]).

use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use timely::dataflow::Stream;
use timely::dataflow::channels::pact::Exchange as ToWorker;
use timely::dataflow::operators::generic::Operator;
use timely::worker::Worker;
use walkprint_engine::ids::NodeId;
use walkprint_engine::query::{Answer, Method, Shape};
use walkprint_engine::store::Store;

use super::answering::Asked;
use super::budget::Budget;
use super::cut::{Cut, Task};
use super::manifest::Manifest;
use super::options::{BatchOptions, BatchOutcome, BatchProgress};
use super::place::Place;
use super::rows::{Gathering, Piece};
use super::sources::Resolved;
use super::writer::{self, Part};
use super::{Described, Job, Known, check, divide, in_order, outcome, parameters};
use crate::assembly::{Queue, Writer, collect};
use crate::choice::Wanted;
use crate::error::{Error, Result};
use crate::processes::Processes;
use crate::sharded::budget::{Budget as Lanes, Measures};
use crate::sharded::lane::{self, Lane};
use crate::sharded::tracks::{Block, Next};
use crate::sharded::work::{Prepared, prepare};
use crate::sharded::world::World;
use crate::sharded::{self, LEAST_PRECISION, USUAL_PRECISION, first_threshold, time};

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
    let store = Store::open(store)?;
    let precision = check_sharded(options, store.is_sharded())?;
    let writes = processes.process() == 0;
    let wanted =
        Wanted { index: options.index.as_deref(), restart_prob: options.restart_prob, method: Method::Combine };
    let world = Arc::new(World::open(&store, wanted, writes)?);
    let job = sharded::work::Job {
        world: Arc::clone(&world),
        workers: processes.workers(),
        uniform: options.dangling == walkprint_engine::query::Dangling::Uniform,
    };
    let mut tick = || {
        tick(progress);
        if progress.stop.load(Ordering::Relaxed) {
            world.stop();
        }
        if let Some(what) = world.failed_answering() {
            let _ = progress.failed.set(what); // the first is told
        }
    };
    let starting = Starting {
        store,
        options: options.clone(),
        precision,
        workers: (processes.workers() as u64, processes.all_workers() as u64),
        progress: Arc::clone(progress),
        writing: Mutex::new(None),
        writes,
    };
    let starting = Arc::new(starting);
    let answered = answer(processes, job, &starting, &mut tick);
    let writing = starting.writing.lock().unwrap_or_else(PoisonError::into_inner).take();
    let written = writing.map(Writing::finish);
    // The cause before what came of it.
    if let Some(error) = world.failure() {
        return Err(error);
    }
    let outcome = written.transpose()?;
    answered?;
    match outcome {
        Some((outcome, parts)) if (outcome.parts as u64) < u64::from(parts) => Err(Error::Interrupted),
        outcome => Ok(outcome.map(|(outcome, _)| outcome)),
    }
}

/// Refuses what takes the whole graph on one worker. Returns the precision.
fn check_sharded(options: &BatchOptions, in_shards: bool) -> Result<f64> {
    let otherwise = match in_shards {
        true => "bring the shards together with `walkprint gather`",
        false => "leave out --graph sharded",
    };
    let refuse = |what: String| Err(Error::Request { what });
    if !matches!(options.method, Method::Auto | Method::Combine) {
        let method = options.method;
        return refuse(format!("over a sharded graph only combine can answer, not {method}; {otherwise}"));
    }
    if options.shape != Shape::default() {
        return refuse(format!(
            "filters, debiasing and support need the whole graph; {otherwise}, or filter the files"
        ));
    }
    let precision = options.precision.unwrap_or(USUAL_PRECISION);
    if precision < LEAST_PRECISION {
        return refuse(format!(
            "--precision {precision} is out of reach over a sharded graph, which answers down to {LEAST_PRECISION}; \
             {otherwise}, and take --method exact"
        ));
    }
    Ok(precision)
}

/// What a batch is begun with, as soon as all ids are known.
struct Starting {
    store: Store,
    options: BatchOptions,
    precision: f64,
    /// Workers of a process, and of all.
    workers: (u64, u64),
    progress: Arc<BatchProgress>,
    writes: bool,
    /// For the thread that waits for the workers.
    writing: Mutex<Option<Writing>>,
}

/// What the first worker of a process begins with.
struct Begun {
    /// What all lanes are like.
    lane: Lane,
    /// Lanes of a block.
    lanes: u64,
    /// In the process that writes.
    files: Option<(Arc<Job>, Queue<Part>)>,
}

/// What is to be finished when all workers have ended.
struct Writing {
    writer: Writer<Part, Manifest>,
    job: Arc<Job>,
    skipped_unknown: u64,
    sealed: usize,
    known: Known,
    began: Instant,
    /// Held until the end, so that nobody else writes there.
    place: Place,
}

impl Writing {
    /// Waits for the writer. Gives what came of the batch, and how many parts it is to have.
    fn finish(self) -> Result<(BatchOutcome, u32)> {
        let Writing { writer, job, skipped_unknown, sealed, known, began, place } = self;
        let written = writer.finish();
        if let Some(error) = job.failed() {
            return Err(error);
        }
        let manifest = written?;
        drop(place);
        Ok((outcome(job.cut.sources, skipped_unknown, sealed, &manifest, known, began), job.cut.parts()))
    }
}

impl Starting {
    /// Reckons the memory; in the process that writes, finds the sources and makes a place for answers, or finds what is there.
    fn begin(&self, world: &World) -> Result<Begun> {
        let Starting { store, options, precision, workers, progress, writes, writing } = self;
        let BatchOptions { top, dangling, rows_per_file, memory_bytes, .. } = *options;
        let entry = world.index().entry();
        let (nodes, edges) = world.size();
        let lanes = |besides| {
            let (nodes, edges, weighted) = (nodes as u64, edges as u64, world.is_weighted());
            let (precision, workers, in_shards) = (*precision, *workers, store.is_sharded());
            Lanes::new(
                Measures { nodes, edges, weighted, index: entry, precision, workers, besides, in_shards },
                memory_bytes,
            )
        };
        let asked = lane::Asked { top, dangling, precision: *precision };
        let threshold = first_threshold(&entry.plan, *precision);
        let lane = Lane { number: 0, tag: 0, asked, threshold, key: 0 };
        if !writes {
            return Ok(Begun { lane, lanes: lanes(0)?.lanes, files: None });
        }
        let labels = world.labels();
        let resolved = Resolved::new(options, store, labels)?;
        let cut = Cut::new(resolved.nodes.len() as u64, top, nodes, rows_per_file);
        // What writing takes; without answerers.
        let lanes = lanes(Budget::of_files(&cut, nodes).bytes())?;
        progress.all_sources.store(cut.sources, Ordering::Relaxed);
        let mut place = Place::new(options)?;
        let restart_prob = world.restart_prob();
        let mut described = Asked::new(options, restart_prob);
        described.method = Method::Combine;
        let from = Described { index: Some(entry), restart_prob, graph_digest: world.graph_digest(), labels };
        let mut parameters = parameters(options, from, &resolved, &described, &cut);
        parameters.graph = Some("sharded".to_owned());
        let manifest = place.begin(&parameters)?;
        let (sealed, open) = divide(&manifest, &cut, progress);
        let sort = |sources: &mut [(NodeId, u32)]| sources.sort_unstable();
        let job = Arc::new(Job {
            labels: labels.clone(),
            order: in_order(sort, &resolved.nodes, &cut).map(|(_, place)| place).collect(),
            nodes: resolved.nodes,
            cut,
            open,
            asked: described,
            format: options.format,
            workers: options.workers,
            progress: Arc::clone(progress),
            failure: Mutex::new(None),
        });
        let writer = writer::start(options.out.clone(), manifest, &job)?;
        let files = Some((Arc::clone(&job), writer.queue()));
        let known = Known {
            method: Method::Combine,
            restart_prob,
            index: parameters.index,
            pilot: None,
            planned_bytes: lanes.bytes,
        };
        let skipped_unknown = resolved.skipped_unknown;
        let began = Instant::now();
        *writing.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Writing { writer, job, skipped_unknown, sealed, known, began, place });
        Ok(Begun { lane, lanes: lanes.lanes, files })
    }
}

fn answer(
    processes: &Processes,
    job: sharded::work::Job,
    starting: &Arc<Starting>,
    tick: &mut dyn FnMut(),
) -> Result<()> {
    let starting = Arc::clone(starting);
    let work = move |worker: &mut Worker| {
        let Prepared { worked, begun } = match prepare(worker, &job, |world| starting.begin(world)) {
            Ok(prepared) => prepared,
            Err(told) => return told,
        };
        let (lane, lanes, files) = match begun {
            Some(Begun { lane, lanes, files }) => (Some(lane), lanes, files.filter(|_| worker.index() == 0)),
            None => (None, 0, None),
        };
        let blocks: Vec<Task> = files.iter().flat_map(|(files, _)| blocks(&files.open, &files.cut, lanes)).collect();
        let report = Rc::new(|lane: &Lane, answer: Answer| piece(lane.tag, answer));
        let (mut rest, writing) = (blocks.clone().into_iter(), files.clone());
        let next = move || match (rest.next(), &writing, lane) {
            (Some(task), Some((files, _)), Some(lane)) => Next::Block(block(files, &task, lane)),
            _ => Next::End,
        };
        sharded::work::answer(worker, &worked, report, |_, pieces| seal(pieces, files, &blocks), next)
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

/// The answer of one source, which its place in the order of answering tells. What part that is in, the first worker knows.
fn piece(place: u64, answer: Answer) -> Piece {
    let mut gathering = Gathering::new(Task { worker: 0, part: 0, first: place, end: place + 1 }, Vec::new());
    gathering.take(vec![Some(answer)]);
    gathering.finish()
}

/// Collects all answers on worker 0 and hands complete parts to the writer, as the seal of any batch does.
fn seal<'scope>(
    pieces: Stream<'scope, u64, Vec<Piece>>,
    files: Option<(Arc<Job>, Queue<Part>)>,
    blocks: &[Task],
) -> Stream<'scope, u64, Vec<()>> {
    let job = files.as_ref().map(|(files, _)| Arc::clone(files));
    let to_writer = ToWorker::new(|_: &Piece| 0);
    let counted = pieces.unary::<timely::container::CapacityContainerBuilder<Vec<Piece>>, _, _, _>(
        to_writer,
        "Count",
        move |_, _| {
            move |input, output| {
                input.for_each(|stamp, pieces: &mut Vec<Piece>| {
                    if let Some(Job { progress, cut, .. }) = job.as_deref() {
                        let rows: usize = pieces.iter().map(|piece| piece.rows.len()).sum();
                        progress.sources.fetch_add(pieces.len() as u64, Ordering::Relaxed);
                        progress.rows.fetch_add(rows as u64, Ordering::Relaxed);
                        pieces.iter_mut().for_each(|piece| piece.task.part = cut.part_of(piece.task.first));
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
