//! The stores that are served: built once into a directory, and found there again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use walkprint_cluster::build::{BuildOptions, BuildProgress, ShardedCut, build_index};
use walkprint_cluster::graph_mode::GraphMode;
use walkprint_engine::plan::Plan;
use walkprint_engine::store::{MANIFEST, Store};

use crate::known_graphs::Known;
use crate::machine::cores;

/// The index of every store.
pub(crate) const INDEX: &str = "default";
/// The most memory a build may hold.
pub(crate) const MEMORY_BYTES: u64 = 2 << 30;

/// Where stores lie.
pub(super) struct Stores {
    directory: PathBuf,
    /// Holds copies, and the stores themselves when nobody wants to keep them.
    temporary: tempfile::TempDir,
}

impl Stores {
    /// Stores in a directory, or in one that goes when this does.
    ///
    /// # Errors
    /// When a directory cannot be made.
    pub(super) fn new(directory: Option<&Path>) -> Result<Stores> {
        let temporary = tempfile::tempdir().context("could not make a temporary directory")?;
        let directory = directory.unwrap_or(temporary.path()).to_owned();
        std::fs::create_dir_all(&directory).with_context(|| format!("{}: could not make", directory.display()))?;
        Ok(Stores { directory, temporary })
    }

    /// The store of a graph, with an index. Nothing writes to it afterwards.
    ///
    /// # Errors
    /// When the graph cannot be had or the index cannot be built.
    pub(super) fn of(&self, known: Known) -> Result<PathBuf> {
        let path = self.directory.join(format!("{known}.wp"));
        let is_whole = || Store::open(&path).is_ok_and(|store| store.index_entry(INDEX).is_ok());
        if path.join(MANIFEST).exists() && is_whole() {
            return Ok(path);
        }
        eprintln!("building {}", path.display());
        let (store, _) = known.options(self.temporary.path(), 0)?.store(&path)?;
        index(store.path(), cores())?;
        Ok(path)
    }
}

/// Builds the usual index of a store, whether it has one or not. Gives the moves that its walks made.
///
/// # Errors
/// When it cannot be built.
pub(crate) fn index(store: &Path, workers: usize) -> Result<u64> {
    let build = BuildOptions {
        name: INDEX.to_owned(),
        plan: Plan::default(),
        workers,
        memory_bytes: MEMORY_BYTES,
        graph: GraphMode::Replicated,
        cut: ShardedCut::default(),
        resume: false,
        replace: true,
        timely_log: None,
    };
    let built = build_index(store, &build, &Arc::new(BuildProgress::default()), &mut |_| {});
    Ok(built.with_context(|| format!("{}: its index", store.display()))?.steps)
}

/// All files below a directory by their path in it, with what is in them.
///
/// # Errors
/// When something cannot be read.
pub(crate) fn files(directory: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut left = vec![PathBuf::new()];
    while let Some(below) = left.pop() {
        let path = directory.join(&below);
        let read = || format!("{}: could not read", path.display());
        for entry in std::fs::read_dir(&path).with_context(read)? {
            let entry = entry.with_context(read)?;
            let name = below.join(entry.file_name());
            if entry.file_type().with_context(read)?.is_dir() {
                left.push(name);
            } else {
                found.insert(name, std::fs::read(entry.path()).with_context(read)?);
            }
        }
    }
    Ok(found)
}

/// Copies a store that nobody writes to.
///
/// # Errors
/// When something cannot be read or written.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    for (name, bytes) in files(from)? {
        let path = to.join(name);
        let directory = path.parent().context("a file lies in a directory")?;
        std::fs::create_dir_all(directory).with_context(|| format!("{}: could not make", directory.display()))?;
        std::fs::write(&path, bytes).with_context(|| format!("{}: could not write", path.display()))?;
    }
    Ok(())
}
