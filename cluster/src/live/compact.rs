//! A new generation of a store from its graph and what changed of it.
//!
//! ```text
//!   lock ──▶ graph, labels, types ──▶ each index: which sources are touched? ──▶ walk those, take the others ──▶ manifest
//! ```
//!
//! Everything is written beside what counts, as by `load` and `index`; one manifest makes it count, and removes what counted
//! before. Nodes keep their numbers, so that passages stay as they are, and fingerprints are taken as they are where
//! their walks came to nothing that changed. **What is published is, byte for byte, what `load` and `index` would make of
//! the changed graph in this numbering; a kill at any moment leaves what counted before, or that.** (Test:
//! `tests/tests/repair.rs`.)
//!
//! The store is locked meanwhile, as by `index`: it is answered from all the time, and nobody else publishes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use walkprint_engine::graph::Graph;
use walkprint_engine::index::IndexEntry;
use walkprint_engine::kinds::{KindFile, KindTables};
use walkprint_engine::labels::Labels;
use walkprint_engine::store::{BuildEntry, GraphEntry, Manifest, Store, StoreLock, TypesEntry, index_directory};
use walkprint_walkers::alias;

use super::changes::Changes;
use crate::build::{BuildOptions, BuildProgress, Reuse, ShardedCut, build_beside};
use crate::error::{Error, Result};
use crate::graph_mode::GraphMode;

/// With what to compact.
#[derive(Debug, Clone)]
pub struct CompactOptions {
    /// How many workers (threads) walk.
    pub workers: usize,
    /// The most memory the walks may hold, in bytes: see [`BuildOptions::memory_bytes`].
    pub memory_bytes: u64,
}

/// What a compaction did.
#[derive(Debug, Clone)]
pub struct CompactOutcome {
    /// The manifest that counts now.
    pub manifest: Manifest,
    /// What was done to each index, ascending by name. An index of a graph that is as it was is not touched.
    pub indexes: Vec<RepairedIndex>,
}

/// What was done to an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepairedIndex {
    /// Its name.
    pub name: String,
    /// Sources of the changed graph.
    pub sources: u64,
    /// Those that were walked again.
    pub walked: u64,
    /// Moves that they made.
    pub steps: u64,
}

/// Makes a new generation of a store. `edit` may change more of the manifest before it is published; `tick` is called about
/// ten times a second from this thread while workers walk.
///
/// Cost: graph, labels, types and all indexes are written anew; of each index, fingerprints are read once, and touched
/// sources are walked. Memory: the graph twice, and [`CompactOptions::memory_bytes`].
///
/// # Errors
/// [`Error::OtherGraph`] when the graph that counts is not the one that changed; when somebody else writes to the store, it lies
/// in shards, the changes make no graph, anything is damaged, the disk refuses, or `progress.stop` was set. The store is
/// then as it was.
pub fn compact(
    store: &Path,
    changes: &Changes,
    options: &CompactOptions,
    edit: impl FnOnce(&mut Manifest),
    progress: &Arc<BuildProgress>,
    tick: &mut dyn FnMut(&BuildProgress),
) -> Result<CompactOutcome> {
    let edit = |next: &mut Manifest| {
        edit(next);
        Ok(())
    };
    compact_if(store, changes, options, edit, progress, tick)
}

/// [`compact()`], where what is edited may fail; the store is then as it was.
pub(super) fn compact_if(
    store: &Path,
    changes: &Changes,
    options: &CompactOptions,
    edit: impl FnOnce(&mut Manifest) -> Result<()>,
    progress: &Arc<BuildProgress>,
    tick: &mut dyn FnMut(&BuildProgress),
) -> Result<CompactOutcome> {
    let lock = Arc::new(StoreLock::existing(store)?);
    let base = Store::open(store)?;
    let before = base.graph()?;
    if before.digest() != changes.base_digest {
        let (expected, got) = (format!("{:032x}", changes.base_digest), base.manifest().graph.digest.clone());
        return Err(Error::OtherGraph { store: store.to_owned(), expected, got });
    }
    let mut made = Made { paths: Vec::new(), keep: false };
    let mut next = base.manifest().clone();
    next.generation += 1;
    next.graph = graph_entry(&base, &before, changes, next.generation, &mut made)?;
    let mut indexes = Vec::new();
    if next.graph.digest != base.manifest().graph.digest {
        let draft = lock.draft(Manifest { indexes: base.manifest().indexes.clone(), ..next.clone() });
        let after = draft.graph()?;
        next.indexes.clear();
        for entry in &base.manifest().indexes {
            let index = base.index(&entry.name, &before)?;
            let reuse = Reuse::new(index, &before, &after, changes.rows.keys().copied())?;
            let walked = reuse.touched();
            let options = build_options(&lock, &draft, entry, options)?;
            made.paths.push(store.join(index_directory(&entry.name, entry.generation + 1)?));
            let steps = progress.steps.load(Ordering::Relaxed);
            let outcome = build_beside(&lock, &draft, &options, reuse, progress, tick)?;
            let steps = progress.steps.load(Ordering::Relaxed) - steps;
            indexes.push(RepairedIndex { name: entry.name.clone(), sources: after.nodes() as u64, walked, steps });
            next.indexes.push(outcome.entry);
        }
    }
    if progress.stop.load(Ordering::Relaxed) {
        return Err(Error::Interrupted);
    }
    edit(&mut next)?;
    made.keep = true; // it may count even where the publication reports an error
    lock.publish(&next)?;
    Ok(CompactOutcome { manifest: next, indexes })
}

/// How an index is built anew: on what a killed compaction of the same changes has sealed, if there is that.
fn build_options(
    lock: &StoreLock,
    draft: &Store,
    entry: &IndexEntry,
    options: &CompactOptions,
) -> Result<BuildOptions> {
    let wanted = BuildEntry { plan: entry.plan.clone(), graph_digest: draft.manifest().graph.digest.clone() };
    let begun = match lock.unfinished(draft.manifest(), &entry.name)? {
        Some(directory) => lock.read_plan(&directory).ok().flatten(),
        None => None,
    };
    let resume = begun.as_ref() == Some(&wanted);
    Ok(BuildOptions {
        name: entry.name.clone(),
        plan: entry.plan.clone(),
        workers: options.workers,
        memory_bytes: options.memory_bytes,
        graph: GraphMode::Replicated,
        cut: ShardedCut::default(),
        resume,
        replace: !resume,
        timely_log: None,
    })
}

/// Writes the files of the changed graph. What did not change stays the file that it is.
fn graph_entry(
    store: &Store,
    before: &Graph,
    changes: &Changes,
    generation: u64,
    made: &mut Made,
) -> Result<GraphEntry> {
    let mut entry = store.manifest().graph.clone();
    let length = |path: &Path| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    let mut after = None;
    if !changes.keep_the_graph() {
        // What is made of files that are damaged would look as if it were whole.
        before.verify_rows()?;
        let mut graph = changes.graph(before)?;
        if graph.is_weighted() {
            before.verify_walk_rows()?;
            let slots = alias::changed_tables(before, &graph, changes.rows.keys().copied())?;
            graph = graph.with_aliases(slots);
        }
        entry.file = format!("graph-{generation}.wpg");
        let path = made.path(store, &entry.file);
        entry.digest = format!("{:032x}", graph.write(&path)?);
        entry.bytes = length(&path);
        entry.report = graph.report(&entry.report)?;
        after = Some(graph);
    }
    if !changes.new_ids.is_empty() {
        Labels::verify(&store.labels_path())?;
        let labels = changes.labels(&store.labels()?)?;
        entry.labels_file = format!("labels-{generation}.wpl");
        let path = made.path(store, &entry.labels_file);
        entry.labels_digest = format!("{:032x}", labels.write_all(&path)?);
        entry.labels_bytes = length(&path);
    }
    if let Some(path) = store.types_path() {
        KindFile::verify(&path)?;
    }
    let tables = store.kinds()?.map_or(Ok(KindTables::default()), |kinds| kinds.tables())?;
    let changed = changes.kinds(&tables, before, after.as_ref().unwrap_or(before))?;
    if changed != tables {
        let file = format!("types-{generation}.wpt");
        let path = made.path(store, &file);
        let digest = changed.write(&path)?;
        entry.types = Some(TypesEntry { file, bytes: length(&path), digest: format!("{digest:032x}") });
    }
    Ok(entry)
}

/// What was made so far; removed unless it is kept.
struct Made {
    paths: Vec<PathBuf>,
    keep: bool,
}

impl Made {
    /// Where a file of the store is about to be made.
    fn path(&mut self, store: &Store, file: &str) -> PathBuf {
        let path = store.path().join(file);
        self.paths.push(path.clone());
        path
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for path in self.paths.iter().filter(|_| !self.keep) {
            // Best effort: no manifest lists it.
            let _ = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
        }
    }
}
