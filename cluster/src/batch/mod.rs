//! Answers for many or all nodes: one timely dataflow over all workers of one or several processes, sorted files at its
//! end.
//!
//! ```text
//!            tasks, by worker               pieces                   parts
//!   deal  ───────────────────▶  answer  ──────────────▶  seal  ──────────────▶  writer thread
//!    ▲                            │
//!    └────────── credits ─────────┘          time = number of the part
//! ```
//!
//! Sources are put in the order of their ids and cut into parts (a file each); the sources of a part are put in the order in
//! which they are best answered, and cut into tasks (what a worker is dealt).
//!
//! - `deal` hands out tasks to whichever worker has a credit left, part by part; it begins a part only when few others are
//!   under way.
//! - `answer` answers the sources of one task and returns the credit.
//! - `seal` collects the pieces; when the frontier has passed a part, nothing of it is under way any more, and it goes to
//!   the writer thread, which puts it back in the order of ids, encodes it, flushes it to the disk, renames it, and enters it
//!   in the manifest.
//!
//! Of several processes each reads the whole store; process 0 chooses the method, deals and writes. (Where no process can
//! hold the graph, [`run_sharded_batch`] answers.)
//!
//! **The files are a pure function of the store, the sources and the parameters**: workers, processes, memory, interruptions
//! and resumes leave no trace in any byte. (Tests: `tests/tests/batch.rs`, `tests/tests/batch_together.rs`.) Only [`Method::Auto`] goes by the clock: it decides
//! once, and the manifest says how.

mod options;

mod sources;

mod cut;

mod answering;

mod cost;

mod rows;

mod sinks;

mod manifest;

mod place;

mod budget;

mod deal;

mod answer;

mod seal;

mod writer;

mod sharded;

use std::ops::Range;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};
use timely::dataflow::ProbeHandle;
use timely::dataflow::operators::{ConnectLoop, Feedback, Probe};
use timely::worker::Worker;
use walkprint_engine::error::Error as EngineError;
use walkprint_engine::graph::Inflow;
use walkprint_engine::ids::NodeId;
use walkprint_engine::index::{Index, IndexEntry};
use walkprint_engine::labels::Labels;
use walkprint_engine::query::{Method, Shape};
use walkprint_engine::store::Store;
use xxhash_rust::xxh3::Xxh3;

pub use cost::{Measured, Pilot};
pub use options::{BatchOptions, BatchOutcome, BatchProgress, Format, Sources, Unknown};
pub use sharded::run_sharded_batch;

use crate::assembly::Queue;
use crate::choice::{Wanted, choose_index};
use crate::error::{Error, Result, in_full};
use crate::processes::Processes;
use crate::processes::agree::{from_all, from_first};
use crate::workers::finish;
use answering::{Asked, World};
use budget::Budget;
use cut::{Cut, Task};
use manifest::{Manifest, Parameters};
use place::Place;
use sources::Resolved;

/// Answers for all sources of a batch and writes them. `tick` is called about ten times a second from this thread while
/// workers answer.
///
/// # Errors
/// When the options do not go together, the directory holds something else, the budget is too small, the disk refuses, or
/// `progress.stop` was set ([`Error::Interrupted`]). Parts that were sealed stay, and the batch may be resumed.
pub fn run_batch(
    store: &Path,
    options: &BatchOptions,
    progress: &Arc<BatchProgress>,
    tick: &mut dyn FnMut(&BatchProgress),
) -> Result<BatchOutcome> {
    let outcome = run_batch_together(store, options, &Processes::alone(options.workers), progress, tick)?;
    Ok(outcome.expect("a process that is alone writes"))
}

/// The same by several processes, each of which reads the whole store: one that they share, or its copy. `None` where
/// another process writes. All must be given the same question, and may have any memory.
///
/// # Errors
/// As [`run_batch`]; and when another process is lost. What goes wrong in a process that does not write is in
/// `progress.failed` while the others still wait for it.
pub fn run_batch_together(
    store: &Path,
    options: &BatchOptions,
    processes: &Processes,
    progress: &Arc<BatchProgress>,
    tick: &mut dyn FnMut(&BatchProgress),
) -> Result<Option<BatchOutcome>> {
    check(options)?;
    let store = Store::open(store)?;
    let world = open(&store, options)?;
    let resolved = Resolved::new(options, &store, &world.labels)?;
    let nodes = world.graph.nodes();
    let cut = Cut::new(resolved.nodes.len() as u64, options.top, nodes, options.rows_per_file);
    let budget = Budget::new(&cut, &world, options.method, processes.workers());
    budget.check(options.memory_bytes)?;
    progress.all_sources.store(cut.sources, Ordering::Relaxed);
    let asking = Asking {
        asked: Asked::new(options, world.restart_prob),
        nodes: resolved.nodes.clone(),
        cut,
        format: options.format,
        workers: processes.workers(),
        progress: Arc::clone(progress),
    };
    let mut tick = || tick(progress);
    if processes.process() != 0 {
        return help(asking, resolved.digest(), &world, processes, &mut tick).map(|()| None);
    }

    let mut place = Place::new(options)?;
    let mut asked = asking.asked.clone();
    let pilot = match place.begun_method() {
        Some(begun) => {
            if asked.method == Method::Auto {
                asked.method = begun.parse().map_err(|what| Error::Output { out: options.out.clone(), what })?;
            }
            None
        }
        None => {
            let crew = (processes.workers(), processes.all_workers());
            let (method, pilot) = cost::choose(&world, &asked, &resolved.nodes, &cut, crew, progress, &mut tick)?;
            asked.method = method;
            pilot
        }
    };
    if let Some(pilot) = &pilot {
        let _ = progress.pilot.set(pilot.clone()); // a progress that was used before keeps what it has
        tick();
    }
    let described = Described {
        index: world.index.as_ref().map(Index::entry),
        restart_prob: world.restart_prob,
        graph_digest: world.graph.digest(),
        labels: &world.labels,
    };
    let parameters = parameters(options, described, &resolved, &asked, &cut);
    let manifest = place.begin(&parameters)?;
    let (sealed, open) = divide(&manifest, &cut, progress);

    let began = Instant::now();
    let method = asked.method;
    let begun = Begun { method: method.to_string(), sources: resolved.digest() };
    let job = asking.job(&world, method, open);
    let manifest = lead(job, begun, &world, processes, (&options.out, manifest), &mut tick)?;
    let index = parameters.index;
    let known = Known { method, restart_prob: world.restart_prob, index, pilot, planned_bytes: budget.bytes() };
    Ok(Some(outcome(cut.sources, resolved.skipped_unknown, sealed, &manifest, known, began)))
}

/// The number of parts that are sealed, and the other parts, ascending. The progress gets to know.
fn divide(manifest: &Manifest, cut: &Cut, progress: &BatchProgress) -> (usize, Vec<u32>) {
    let is_sealed = |number: &u32| manifest.parts.iter().any(|part| part.number == *number);
    let (sealed, open): (Vec<u32>, Vec<u32>) = (0..cut.parts()).partition(is_sealed);
    let before: u64 = sealed.iter().map(|&part| cut.part(part)).map(|range| range.end - range.start).sum();
    progress.sources.store(before, Ordering::Relaxed);
    progress.sealed.store(sealed.len() as u64, Ordering::Relaxed);
    (sealed.len(), open)
}

/// What is known of a batch besides its files.
struct Known {
    method: Method,
    restart_prob: f64,
    index: Option<String>,
    pilot: Option<Pilot>,
    planned_bytes: u64,
}

fn outcome(
    sources: u64,
    skipped_unknown: u64,
    resumed_parts: usize,
    manifest: &Manifest,
    known: Known,
    began: Instant,
) -> BatchOutcome {
    let Known { method, restart_prob, index, pilot, planned_bytes } = known;
    BatchOutcome {
        sources,
        skipped_unknown,
        rows: manifest.rows,
        bytes: manifest.bytes,
        parts: manifest.parts.len(),
        resumed_parts,
        truncated_sources: manifest.parts.iter().map(|part| part.truncated_sources).sum(),
        method,
        restart_prob,
        index,
        pilot,
        seconds: began.elapsed().as_secs_f64(),
        planned_bytes,
    }
}

/// The sources of each part, one part after the other, as `sort` puts them in the order of answering, with the place that
/// each has in its part.
fn in_order(sort: impl Fn(&mut [(NodeId, u32)]), nodes: &[NodeId], cut: &Cut) -> impl Iterator<Item = (NodeId, u32)> {
    let part_sources = usize::try_from(cut.part_sources).unwrap_or(usize::MAX);
    nodes.chunks(part_sources).flat_map(move |part| {
        let mut sources: Vec<(NodeId, u32)> = part.iter().copied().zip(0..).collect();
        sort(&mut sources);
        sources
    })
}

/// Refuses options that mean nothing.
fn check(options: &BatchOptions) -> Result<()> {
    let refuse = |name, expected, got: String| Err(Error::Engine(EngineError::Parameter { name, expected, got }));
    if options.top == 0 {
        return refuse("top", "at least 1", "0".into());
    }
    if options.workers == 0 {
        return refuse("workers", "at least 1", "0".into());
    }
    if options.rows_per_file == Some(0) {
        return refuse("rows-per-file", "at least 1", "0".into());
    }
    match options.precision {
        Some(precision) if !(0.0 < precision && precision < 1.0) => {
            refuse("precision", "an L1 error above 0 and below 1", precision.to_string())
        }
        _ => Ok(()),
    }
}

/// Opens what the answers come from.
fn open(store: &Store, options: &BatchOptions) -> Result<Arc<World>> {
    let (graph, labels) = (store.graph()?, store.labels()?);
    let BatchOptions { index, restart_prob, method, .. } = options;
    let wanted = Wanted { index: index.as_deref(), restart_prob: *restart_prob, method: *method };
    let (index, restart_prob) = choose_index(store, &graph, wanted)?;
    let inflow =
        if *method == Method::Lookup { None } else { Some(Arc::new(Inflow::new(&graph, |node| labels.rank(node))?)) };
    Ok(Arc::new(World { graph, labels, index, restart_prob, inflow }))
}

/// What answers come from, for the manifest.
struct Described<'a> {
    index: Option<&'a IndexEntry>,
    restart_prob: f64,
    graph_digest: u128,
    labels: &'a Labels,
}

fn parameters(
    options: &BatchOptions,
    from: Described<'_>,
    resolved: &Resolved,
    asked: &Asked,
    cut: &Cut,
) -> Parameters {
    let used = from.index.filter(|_| !matches!(asked.method, Method::Exact | Method::Block));
    Parameters {
        top: asked.top,
        method: asked.method.to_string(),
        dangling: asked.dangling.to_string(),
        shape: describe_shape(&asked.shape),
        precision: options.precision,
        restart_prob: from.restart_prob,
        index: used.map(|entry| entry.name.clone()),
        fingerprint_digest: used.map(|entry| entry.fingerprint_digest.clone()),
        graph_digest: format!("{:032x}", from.graph_digest),
        labels_digest: format!("{:032x}", from.labels.digest()),
        sources: cut.sources,
        sources_digest: resolved.digest(),
        skipped_unknown: resolved.skipped_unknown,
        format: options.format,
        part_sources: cut.part_sources,
        graph: None,
    }
}

/// What all processes of a batch must have in common, by name.
#[must_use]
pub fn agreement(store: &Store, options: &BatchOptions, sharded: bool) -> Vec<(&'static str, String)> {
    let BatchOptions { sources, top, method, precision, dangling, shape, .. } = options;
    let BatchOptions { index, restart_prob, rows_per_file, .. } = options;
    // Where each host has its own shards, process 0 alone lists the indexes.
    let indexes = store.manifest().indexes.iter().filter(|_| !sharded);
    let fingerprints: Vec<_> = indexes.map(|index| (&index.name, &index.fingerprint_digest)).collect();
    vec![
        ("command", "batch".to_owned()),
        ("--graph", if sharded { "sharded" } else { "replicated" }.to_owned()),
        ("graph", store.manifest().graph.digest.clone()),
        ("indexes", format!("{fingerprints:?}")),
        ("index (--index)", format!("{index:?} {restart_prob:?}")),
        ("question", format!("{sources:?} {top} {method} {precision:?} {dangling} {rows_per_file:?}")),
        ("filters", format!("{:?}", describe_shape(shape))),
    ]
}

/// A shape in words, which are the same exactly when the shape is.
fn describe_shape(shape: &Shape) -> Option<String> {
    let nodes = |word, nodes: Option<&Arc<RoaringBitmap>>| {
        let nodes = nodes?;
        let mut hasher = Xxh3::new();
        nodes.iter().for_each(|node| hasher.update(&node.to_le_bytes()));
        Some(format!("{word} {} nodes {:032x}", nodes.len(), hasher.digest128()))
    };
    let word = |given: bool, word: &str| given.then(|| word.to_owned());
    let Shape { only, exclude, exclude_seeds, exclude_neighbors, debias, min_support } = shape;
    let words = [
        nodes("only", only.as_ref()),
        nodes("exclude", exclude.as_ref()),
        word(*exclude_seeds, "exclude seeds"),
        word(*exclude_neighbors, "exclude neighbors"),
        debias.map(|debias| format!("debias by {:?} to the power {}", debias.by, debias.power)),
        (*min_support != 0).then(|| format!("support of {min_support}")),
    ];
    let words: Vec<String> = words.into_iter().flatten().collect();
    (!words.is_empty()).then(|| words.join(", "))
}

/// Everything the workers share.
pub(crate) struct Job {
    /// The ids of all nodes.
    labels: Labels,
    /// All sources, by external id.
    nodes: Vec<NodeId>,
    /// Where the sources are in their parts, in the order of answering: see [`in_order`].
    order: Vec<u32>,
    cut: Cut,
    /// Parts that are to be answered, ascending.
    open: Vec<u32>,
    asked: Asked,
    format: Format,
    /// Workers of this process.
    workers: usize,
    progress: Arc<BatchProgress>,
    /// The first error of a worker.
    failure: Mutex<Option<Error>>,
}

impl Job {
    fn stopped(&self) -> bool {
        self.progress.stop.load(Ordering::Relaxed)
    }

    /// Stops the job because of an error.
    fn fail(&self, error: Error) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.progress.stop.store(true, Ordering::Relaxed);
    }

    /// What went wrong, for the first who asks.
    fn failed(&self) -> Option<Error> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn nodes(&self, range: Range<u64>) -> &[NodeId] {
        &self.nodes[in_memory(range)]
    }

    fn order(&self, range: Range<u64>) -> &[u32] {
        &self.order[in_memory(range)]
    }

    /// The sources of a task, in the order of answering.
    fn sources_of(&self, task: &Task) -> Vec<NodeId> {
        let nodes = self.nodes(self.cut.part(task.part));
        self.order(task.first..task.end).iter().map(|&place| nodes[place as usize]).collect()
    }
}

fn in_memory(range: Range<u64>) -> Range<usize> {
    let place = |at: u64| usize::try_from(at).expect("the sources are in memory");
    place(range.start)..place(range.end)
}

/// What a process knows of a batch before process 0 has chosen the method.
struct Asking {
    asked: Asked,
    nodes: Vec<NodeId>,
    cut: Cut,
    format: Format,
    workers: usize,
    progress: Arc<BatchProgress>,
}

impl Asking {
    /// With the method, and the parts that are to be answered; only whoever deals needs these.
    fn job(self, world: &World, method: Method, open: Vec<u32>) -> Job {
        let Asking { asked, nodes, cut, format, workers, progress } = self;
        let sort = |sources: &mut [(NodeId, u32)]| world.sort(method, sources);
        Job {
            labels: world.labels.clone(),
            order: in_order(sort, &nodes, &cut).map(|(_, place)| place).collect(),
            nodes,
            cut,
            open,
            asked: Asked { method, ..asked },
            format,
            workers,
            progress,
            failure: Mutex::new(None),
        }
    }
}

/// What process 0 tells the others.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Begun {
    method: String,
    /// Who the sources are.
    sources: String,
}

/// Runs the dataflow to its end, in the process that deals and writes; gives the manifest as it is on the disk.
fn lead(
    job: Job,
    begun: Begun,
    world: &Arc<World>,
    processes: &Processes,
    (directory, manifest): (&Path, Manifest),
    tick: &mut dyn FnMut(),
) -> Result<Manifest> {
    if job.open.is_empty() && processes.processes() == 1 {
        return Ok(manifest);
    }
    let (job, world) = (Arc::new(job), Arc::clone(world));
    let writer = writer::start(directory.to_owned(), manifest, &job)?;
    let (shared, queue) = (Arc::clone(&job), writer.queue());
    let work = move |worker: &mut Worker| {
        from_first(worker, Some(begun.clone()));
        // Before anything is answered: a short batch would be done before a refusal is heard.
        if let Some(what) = from_all(worker, None::<String>).into_iter().flatten().next() {
            return shared.fail(Error::Request { what: format!("another process: {what}") });
        }
        let probe = dataflow(worker, &shared, &world, Some(queue.clone()));
        finish(worker, &probe);
    };
    let ran = processes.run(work, tick);
    let written = writer.finish();
    if let Some(error) = job.failed() {
        return Err(error);
    }
    ran?;
    let written = written?;
    if written.parts.len() < job.cut.parts() as usize { Err(Error::Interrupted) } else { Ok(written) }
}

/// Answers in a process that neither deals nor writes.
fn help(
    asking: Asking,
    sources: String,
    world: &Arc<World>,
    processes: &Processes,
    tick: &mut dyn FnMut(),
) -> Result<()> {
    let progress = Arc::clone(&asking.progress);
    let (asking, job, world) = (Mutex::new(Some(asking)), Arc::new(OnceLock::<Arc<Job>>::new()), Arc::clone(world));
    let made = Arc::clone(&job);
    let work = move |worker: &mut Worker| {
        let begun = from_first(worker, None::<Begun>);
        let job = made.get_or_init(|| {
            let asking = asking.lock().unwrap_or_else(PoisonError::into_inner).take();
            let asking = asking.expect("the first worker that gets here takes it");
            let method = begun.method.parse().expect("process 0 has the same methods: its version was compared");
            Arc::new(asking.job(&world, method, Vec::new()))
        });
        let what = "this process finds other sources than process 0: give all the same list and the same store";
        let differs = (begun.sources != sources).then(|| what.to_owned());
        let first = from_all(worker, differs.clone()).into_iter().flatten().next();
        if let Some(what) = differs.or(first.map(|what| format!("another process: {what}"))) {
            return job.fail(Error::Request { what });
        }
        let probe = dataflow(worker, job, &world, None);
        finish(worker, &probe);
    };
    let mut tick = || {
        if let Some(error) = job.get().and_then(|job| job.failed()) {
            let _ = progress.failed.set(in_full(&error)); // the first is told
        }
        tick();
    };
    processes.run(work, &mut tick)?;
    Ok(())
}

/// The dataflow of one worker. `queue`: to the writer, in the process that has one.
fn dataflow(
    worker: &mut Worker,
    job: &Arc<Job>,
    world: &Arc<World>,
    queue: Option<Queue<writer::Part>>,
) -> ProbeHandle<u64> {
    worker.dataflow::<u64, _, _>(|scope| {
        let (returned, credits) = scope.feedback(1);
        let tasks = deal::deal(credits, Arc::clone(job));
        let (pieces, spent) = answer::answer(tasks, Arc::clone(job), Arc::clone(world));
        spent.connect_loop(returned);
        let (probe, sealed) = seal::seal(pieces, Arc::clone(job), queue).probe();
        drop(sealed);
        probe
    })
}
