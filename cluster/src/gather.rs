//! Gathering: the shards of a graph, from the stores of the processes that loaded it, become one ordinary store.
//!
//! Every file is read through and compared with its checksums before its bytes are taken, and the graph is compared with
//! the digest in the manifest. Memory: maps, and a few mebibytes.
//!
//! **What comes out are the very files that a load on one machine with `--order id` writes.** (Test:
//! `tests/tests/sharded_load.rs`.)

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use walkprint_engine::error::Error as EngineError;
use walkprint_engine::file::{persist, sync_directory};
use walkprint_engine::graph::{Graph, ShardFile};
use walkprint_engine::index::{IndexEntry, Segment, fingerprint_digest, open_segment};
use walkprint_engine::kinds::{KindFile, Kinds};
use walkprint_engine::labels::Labels;
use walkprint_engine::parts::{expect_shard, open_labels, open_shard_kinds};
use walkprint_engine::store::{
    BuildEntry, GraphEntry, Manifest, ShardEntry, Store, StoreLock, TypesEntry, index_directory,
};

use crate::error::{Error, Result};

/// How many files a message lists.
const LISTED: usize = 8;

/// Brings the shards of one graph together, and the segments of its indexes. `parts` are the stores of the processes that
/// loaded it, or copies of them, or the one store that they share. Setting `stop` ends it with the store as it was.
///
/// # Errors
/// When parts belong to different graphs or states, a file is in none of them or damaged, a store exists and `replace` is
/// false, or the disk refuses. The store is then as good as before.
pub fn gather_store(parts: &[PathBuf], store: &Path, replace: bool, stop: &AtomicBool) -> Result<Manifest> {
    let parts = Parts::open(parts)?;
    let lock = StoreLock::for_new(store, replace)?;
    let result = gather_locked(&parts, &lock, stop);
    if result.is_err() {
        lock.abandon();
    }
    result
}

/// The stores that shards come from.
struct Parts {
    paths: Vec<PathBuf>,
    manifest: Manifest,
}

impl Parts {
    fn open(paths: &[PathBuf]) -> Result<Parts> {
        let mut stores = Vec::with_capacity(paths.len());
        for path in paths {
            stores.push(Store::open(path)?);
        }
        let refuse = |what: String| Err(Error::Request { what });
        let Some(first) = stores.first() else { return refuse("give the stores whose shards to gather".into()) };
        for store in &stores {
            if !store.is_sharded() {
                let path = store.path().display();
                return refuse(format!("{path}: its graph lies in one file already: there is nothing to gather"));
            }
            if store.manifest().graph != first.manifest().graph {
                return refuse(format!(
                    "{} and {} are no parts of one store, or not of one moment: their graphs differ",
                    first.path().display(),
                    store.path().display()
                ));
            }
        }
        // Indexes are listed by the process that published them: the newest manifest knows them all.
        let newest = stores.iter().max_by_key(|store| store.manifest().generation).unwrap_or(first);
        Ok(Parts { paths: paths.to_vec(), manifest: newest.manifest().clone() })
    }

    /// Where a file of the store lies, if any part has it.
    fn find(&self, file: impl AsRef<Path>) -> Option<PathBuf> {
        self.paths.iter().map(|path| path.join(&file)).find(|path| path.exists())
    }

    /// Where files lie, in this order; all must be somewhere.
    fn find_all(&self, files: impl Iterator<Item = PathBuf>) -> Result<Vec<PathBuf>> {
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for file in files {
            match self.find(&file) {
                Some(path) => found.push(path),
                None => missing.push(file.display().to_string()),
            }
        }
        if missing.is_empty() {
            return Ok(found);
        }
        let (count, more) = (missing.len(), if LISTED < missing.len() { ", …" } else { "" });
        missing.truncate(LISTED);
        let what = format!(
            "no part has {}{more}: {count} file{} missing; give the stores of all processes",
            missing.join(", "),
            if count == 1 { " is" } else { "s are" },
        );
        Err(Error::Request { what })
    }
}

fn gather_locked(parts: &Parts, lock: &StoreLock, stop: &AtomicBool) -> Result<Manifest> {
    let go_on = || if stop.load(Ordering::Relaxed) { Err(Error::Interrupted) } else { Ok(()) };
    let old = if lock.holds_store() { Some(Store::open(lock.path())?) } else { None };
    let generation = old.as_ref().map_or(0, |store| store.manifest().generation) + 1;
    let graph = &parts.manifest.graph;
    let indexes = &parts.manifest.indexes;
    // What is missing is found before anything is written.
    let row_files = parts.find_all(graph.shards.iter().map(|shard| PathBuf::from(&shard.file)))?;
    let label_files = parts.find_all(graph.shards.iter().map(|shard| PathBuf::from(&shard.labels_file)))?;
    let types: Vec<&TypesEntry> = graph.shards.iter().filter_map(|shard| shard.types.as_ref()).collect();
    let types_files = parts.find_all(types.iter().map(|types| PathBuf::from(&types.file)))?;
    let mut segment_files = Vec::with_capacity(indexes.len());
    for index in indexes {
        let directory = Path::new(&index.directory);
        segment_files.push(parts.find_all(index.segments.iter().map(|segment| directory.join(&segment.file)))?);
    }

    let (file, labels_file) = (format!("graph-{generation}.wpg"), format!("labels-{generation}.wpl"));
    let (graph_path, labels_path) = (lock.path().join(&file), lock.path().join(&labels_file));
    let mut made = Made { paths: Vec::new(), keep: false };
    made.paths.push(graph_path.clone());
    let digest = gather_rows(graph, &row_files, &graph_path, &go_on)?;
    made.paths.push(labels_path.clone());
    let labels_digest = gather_labels(&graph.shards, &label_files, &labels_path, &go_on)?;
    let length = |path: &Path| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    let types = if types_files.is_empty() {
        None
    } else {
        let file = format!("types-{generation}.wpt");
        let path = lock.path().join(&file);
        made.paths.push(path.clone());
        let digest = gather_types(&graph.shards, &types_files, &path, &go_on)?;
        Some(TypesEntry { file, bytes: length(&path), digest: format!("{digest:032x}") })
    };
    let entry = GraphEntry {
        file,
        bytes: length(&graph_path),
        labels_file,
        labels_bytes: length(&labels_path),
        labels_digest: format!("{labels_digest:032x}"),
        shards: Vec::new(),
        types,
        ..graph.clone()
    };
    let mut gathered = Vec::with_capacity(indexes.len());
    for (index, files) in indexes.iter().zip(&segment_files) {
        let older = old.as_ref().and_then(|old| old.manifest().indexes.iter().find(|old| old.name == index.name));
        let directory = index_directory(&index.name, older.map_or(0, |older| older.generation) + 1)?;
        let entry =
            IndexEntry { generation: older.map_or(0, |older| older.generation) + 1, directory, ..index.clone() };
        made.paths.push(lock.path().join(&entry.directory));
        gather_index(&entry, files, lock, digest, graph.report.nodes, &go_on)?;
        gathered.push(entry);
    }
    let manifest = Manifest { generation, graph: entry, indexes: gathered, live: None };
    lock.publish(&manifest)?;
    made.keep = true;
    Ok(manifest)
}

/// What was made so far; removed unless it is kept.
struct Made {
    paths: Vec<PathBuf>,
    keep: bool,
}

impl Drop for Made {
    fn drop(&mut self) {
        for path in self.paths.iter().filter(|_| !self.keep) {
            // Best effort: no manifest lists it.
            let _ = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
        }
    }
}

fn gather_rows(graph: &GraphEntry, files: &[PathBuf], path: &Path, go_on: &dyn Fn() -> Result<()>) -> Result<u128> {
    let mut shards = Vec::with_capacity(files.len());
    for (entry, file) in graph.shards.iter().zip(files) {
        go_on()?;
        ShardFile::verify(file)?;
        let shard = ShardFile::open(file)?;
        expect_shard(file, graph, entry, &shard)?;
        shards.push(shard);
    }
    go_on()?;
    let digest = Graph::gather(path, &shards)?;
    let (expected, got) = (graph.digest.clone(), format!("{digest:032x}"));
    if expected != got {
        let what = "the rows of all shards together have the digest";
        return Err(EngineError::Mismatch { path: path.to_owned(), what, expected, got }.into());
    }
    Ok(digest)
}

fn gather_labels(
    shards: &[ShardEntry],
    files: &[PathBuf],
    path: &Path,
    go_on: &dyn Fn() -> Result<()>,
) -> Result<u128> {
    let mut labels = Vec::with_capacity(files.len());
    for (entry, file) in shards.iter().zip(files) {
        go_on()?;
        Labels::verify(file)?;
        labels.push(open_labels(file, entry)?);
    }
    go_on()?;
    Ok(Labels::gather(path, &labels.iter().collect::<Vec<_>>())?)
}

fn gather_types(shards: &[ShardEntry], files: &[PathBuf], path: &Path, go_on: &dyn Fn() -> Result<()>) -> Result<u128> {
    let mut types = Vec::with_capacity(files.len());
    let entries = shards.iter().filter_map(|shard| Some((shard, shard.types.as_ref()?)));
    for ((shard, entry), file) in entries.zip(files) {
        go_on()?;
        KindFile::verify(file)?;
        types.push(open_shard_kinds(file, shard, entry)?);
    }
    go_on()?;
    Ok(Kinds::gather(path, &types)?)
}

/// Copies the segments of an index, each after it was verified.
fn gather_index(
    entry: &IndexEntry,
    files: &[PathBuf],
    lock: &StoreLock,
    graph_digest: u128,
    nodes: u64,
    go_on: &dyn Fn() -> Result<()>,
) -> Result<()> {
    let directory = lock.path().join(&entry.directory);
    let nodes = usize::try_from(nodes).expect("a graph that was gathered is addressable");
    std::fs::create_dir_all(&directory).map_err(EngineError::io(&directory, "make the directory"))?;
    let build = BuildEntry { plan: entry.plan.clone(), graph_digest: entry.graph_digest.clone() };
    lock.write_plan(&directory, &build)?;
    let mut copies: Vec<Segment> = Vec::with_capacity(files.len());
    let mut entries = 0;
    for (listed, file) in entry.segments.iter().zip(files) {
        go_on()?;
        let segment = open_segment(file, listed, graph_digest, entry.plan.digest())?;
        entries += segment.verify(nodes)?;
        let path = directory.join(&listed.file);
        copy(file, &path)?;
        copies.push(open_segment(&path, listed, graph_digest, entry.plan.digest())?);
    }
    let digest = fingerprint_digest(copies.iter().map(Ok))?;
    if entries != entry.entries || format!("{digest:032x}") != entry.fingerprint_digest {
        let what = "its fingerprints are not those that the manifest lists";
        return Err(EngineError::damaged(&directory, what).into());
    }
    Ok(sync_directory(lock.path())?)
}

/// A copy under another name until it is on the disk.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let mut temporary = to.to_owned().into_os_string();
    temporary.push(".tmp");
    let temporary = PathBuf::from(temporary);
    std::fs::copy(from, &temporary).map_err(EngineError::io(&temporary, "copy"))?;
    let file = std::fs::OpenOptions::new().write(true).open(&temporary);
    let file = file.map_err(EngineError::io(&temporary, "open"))?;
    Ok(persist(&file, &temporary, to)?)
}
