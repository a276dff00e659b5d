//! Loading: files → edges → graph, sampling table and labels → a published store.
//!
//! Files of the new generation are written beside the old ones; the manifest comes last. Indexes of the old graph are
//! dropped, and so are events that it had not absorbed, unless the new graph has the very same digest: types are no part of
//! it, so they may be added later.

mod agreement;

mod directory;

mod ids;

mod kinds;

mod edges;

mod together;

mod interactions;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use walkprint_engine::edges::EdgeList;
use walkprint_engine::graph::{BuiltGraph, NodeOrder, build};
use walkprint_engine::ids::NodeId;
use walkprint_engine::labels::Labels;
use walkprint_engine::passages::Passages;
use walkprint_engine::store::{GraphEntry, Manifest, Store, StoreLock, TypesEntry};
use walkprint_loaders::{LoadOptions, LoadReport, Passage, Progress};
use walkprint_walkers::alias;

pub use interactions::{HeldOut, InteractionJob, load_interactions};
pub use together::{check_order, imbalance, load_shards};

use crate::error::{Error, Result};

/// What to load and how.
#[derive(Debug, Clone)]
pub struct LoadJob {
    /// The files, in order.
    pub inputs: Vec<PathBuf>,
    /// How to read them.
    pub options: LoadOptions,
    /// How to number the nodes.
    pub order: NodeOrder,
    /// Load over a store that exists.
    pub replace: bool,
}

/// What a load is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadPhase {
    /// Reading and parsing.
    Reading(Progress),
    /// Grouping, ordering, and making the sampling table.
    Building,
    /// Writing the store.
    Writing,
}

/// What a load did.
#[derive(Debug, Clone)]
pub struct LoadOutcome {
    /// What was read.
    pub read: LoadReport,
    /// The graph as it is in the manifest.
    pub graph: GraphEntry,
    /// Time spent reading and parsing.
    pub reading: Duration,
    /// Time spent building.
    pub building: Duration,
    /// Time spent writing.
    pub writing: Duration,
}

/// Loads files into a store. `watch` is called as it goes; setting `stop` ends the load, with the store as it was.
///
/// # Errors
/// When the input is not what it should be, the store exists and `replace` is not set, or the disk refuses. The store
/// is then as good as before.
pub fn load_store(
    store: &Path,
    job: &LoadJob,
    stop: &AtomicBool,
    watch: &(dyn Fn(LoadPhase) + Sync),
) -> Result<LoadOutcome> {
    load_with(store, job.replace, job.order, stop, watch, |proceed| {
        let loaded = walkprint_loaders::load(&job.inputs, &job.options, proceed).map_err(interrupted_or)?;
        Ok(Reading { edges: loaded.edges, passages: loaded.passages, report: loaded.report })
    })
}

/// What was read, whatever of.
struct Reading {
    edges: EdgeList,
    passages: Vec<Passage>,
    report: LoadReport,
}

/// Locks the store, reads, builds and publishes. When any of it fails the store is as it was.
fn load_with(
    store: &Path,
    replace: bool,
    order: NodeOrder,
    stop: &AtomicBool,
    watch: &(dyn Fn(LoadPhase) + Sync),
    read: impl FnOnce(&(dyn Fn(Progress) -> ControlFlow<()> + Sync)) -> Result<Reading>,
) -> Result<LoadOutcome> {
    let lock = StoreLock::for_new(store, replace)?;
    let result = load_locked(&lock, order, stop, watch, read);
    if result.is_err() {
        lock.abandon();
    }
    result
}

fn load_locked(
    lock: &StoreLock,
    order: NodeOrder,
    stop: &AtomicBool,
    watch: &(dyn Fn(LoadPhase) + Sync),
    read: impl FnOnce(&(dyn Fn(Progress) -> ControlFlow<()> + Sync)) -> Result<Reading>,
) -> Result<LoadOutcome> {
    let began = Instant::now();
    let Reading { edges, passages, report } = read(&|progress| {
        watch(LoadPhase::Reading(progress));
        if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    let interrupted = || if stop.load(Ordering::Relaxed) { Err(Error::Interrupted) } else { Ok(()) };
    interrupted()?;
    let reading = began.elapsed();

    watch(LoadPhase::Building);
    let began = Instant::now();
    let built = with_sampling_table(build(edges, order)?)?;
    interrupted()?;
    let building = began.elapsed();

    watch(LoadPhase::Writing);
    let began = Instant::now();
    let loaded = serde_json::to_value(&report).expect("a report of plain fields serializes");
    let graph = publish_graph(lock, &built, &passages, loaded)?;
    Ok(LoadOutcome { read: report, graph, reading, building, writing: began.elapsed() })
}

fn interrupted_or(error: walkprint_loaders::Error) -> Error {
    match error {
        walkprint_loaders::Error::Interrupted => Error::Interrupted,
        error => error.into(),
    }
}

/// Makes a store from edges in memory, as a library user with a graph of their own would.
///
/// # Errors
/// When a store exists at the path, weights add up to infinity, or the disk refuses.
pub fn store_edges(store: &Path, edges: EdgeList, order: NodeOrder) -> Result<Store> {
    let lock = StoreLock::for_new(store, false)?;
    let made = build(edges, order)
        .map_err(Error::from)
        .and_then(with_sampling_table)
        .and_then(|built| publish_graph(&lock, &built, &[], serde_json::Value::Null));
    match made {
        Ok(_) => Ok(Store::open(store)?),
        Err(error) => {
            lock.abandon();
            Err(error)
        }
    }
}

fn with_sampling_table(mut built: BuiltGraph) -> Result<BuiltGraph> {
    if built.graph.is_weighted() {
        let slots = alias::tables(&built.graph)?;
        built.graph = built.graph.with_aliases(slots);
    }
    Ok(built)
}

fn publish_graph(
    lock: &StoreLock,
    built: &BuiltGraph,
    passages: &[Passage],
    loaded: serde_json::Value,
) -> Result<GraphEntry> {
    let old = if lock.holds_store() { Some(Store::open(lock.path())?) } else { None };
    let generation = old.as_ref().map_or(0, |store| store.manifest().generation) + 1;
    let (file, labels_file) = (format!("graph-{generation}.wpg"), format!("labels-{generation}.wpl"));
    let (graph_path, labels_path) = (lock.path().join(&file), lock.path().join(&labels_file));
    let digest = built.graph.write(&graph_path)?;
    let labels_digest = Labels::write(&labels_path, &built.ids, &built.rank_of_node)?;
    let length = |path: &Path| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    let types = if built.kinds.is_empty() {
        None
    } else {
        let file = format!("types-{generation}.wpt");
        let path = lock.path().join(&file);
        let digest = built.kinds.write(&path)?;
        Some(TypesEntry { file, bytes: length(&path), digest: format!("{digest:032x}") })
    };
    let passages = if passages.is_empty() {
        None
    } else {
        let file = format!("passages-{generation}.wpp");
        let path = lock.path().join(&file);
        let digest = Passages::write(&path, &by_node(built, passages))?;
        Some(TypesEntry { file, bytes: length(&path), digest: format!("{digest:032x}") })
    };
    let graph = GraphEntry {
        file,
        bytes: length(&graph_path),
        digest: format!("{digest:032x}"),
        labels_file,
        labels_bytes: length(&labels_path),
        labels_digest: format!("{labels_digest:032x}"),
        shards: Vec::new(),
        types,
        passages,
        report: built.report.clone(),
        loaded,
    };
    // Events happen to the graph that they were sent for.
    let (indexes, live) = match old {
        Some(store) if store.manifest().graph.digest == graph.digest => {
            (store.manifest().indexes.clone(), store.manifest().live.clone())
        }
        _ => (Vec::new(), None),
    };
    lock.publish(&Manifest { generation, graph: graph.clone(), indexes, live })?;
    Ok(graph)
}

/// Texts with their nodes, ascending. A passage that mentions nothing, which no edge has, is no node and has no text.
fn by_node<'p>(built: &BuiltGraph, passages: &'p [Passage]) -> Vec<(NodeId, &'p str)> {
    let mut node_of_rank = vec![0; built.rank_of_node.len()];
    for (node, &rank) in (0..).zip(&built.rank_of_node) {
        node_of_rank[rank as usize] = node;
    }
    let placed = passages.iter().filter_map(|one| Some((node_of_rank[built.ids.rank(&one.id)?], one.text.as_str())));
    let mut placed: Vec<(NodeId, &str)> = placed.collect();
    placed.sort_unstable();
    placed
}
