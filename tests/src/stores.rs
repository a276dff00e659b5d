//! Stores in temporary directories: made by the library as the program makes them, and looked at from outside.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tempfile::TempDir;
use walkprint_cluster::build::{BuildOptions, BuildOutcome, BuildProgress, ShardedCut, build_index};
use walkprint_cluster::error::Error;
use walkprint_cluster::graph_mode::GraphMode;
use walkprint_cluster::load::{LoadJob, LoadOutcome, load_store, store_edges};
use walkprint_engine::graph::NodeOrder;
use walkprint_engine::plan::Plan;
use walkprint_engine::store::{Store, index_directory};
use walkprint_loaders::LoadOptions;

use crate::graphs::PlainGraph;

/// A store that vanishes with the value.
#[derive(Debug)]
pub struct TempStore {
    directory: TempDir,
}

impl TempStore {
    /// An empty temporary directory and a path in it where a store may be made.
    ///
    /// # Panics
    /// When there is no room for temporary files.
    #[must_use]
    pub fn nothing() -> TempStore {
        TempStore { directory: tempfile::tempdir().expect("room for a temporary directory") }
    }

    /// A store with a graph and no index.
    ///
    /// # Panics
    /// When the store cannot be made.
    #[must_use]
    pub fn of(graph: &PlainGraph, order: NodeOrder) -> TempStore {
        let store = TempStore::nothing();
        store_edges(&store.path(), graph.edge_list(), order).expect("a new store of a small graph");
        store
    }

    /// A copy of a store, so that it may be broken.
    ///
    /// # Panics
    /// When the files cannot be copied.
    #[must_use]
    pub fn copy_of(store: &Path) -> TempStore {
        let copy = TempStore::nothing();
        for (name, bytes) in files(store) {
            let path = copy.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a file lies in a directory")).expect("a directory");
            std::fs::write(path, bytes).expect("a copy of a small file");
        }
        copy
    }

    /// Where the store is, or may be made.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.directory.path().join("test.wp")
    }

    /// The temporary directory around the store, for other files.
    #[must_use]
    pub fn around(&self) -> &Path {
        self.directory.path()
    }

    /// Opens the store.
    ///
    /// # Panics
    /// When it cannot be opened.
    #[must_use]
    pub fn open(&self) -> Store {
        Store::open(&self.path()).expect("a store")
    }
}

/// Options for a build of the index `default`: two workers, a gibibyte.
#[must_use]
pub fn options(plan: &Plan) -> BuildOptions {
    BuildOptions {
        name: "default".to_owned(),
        plan: plan.clone(),
        workers: 2,
        memory_bytes: 1 << 30,
        graph: GraphMode::Replicated,
        cut: ShardedCut::default(),
        resume: false,
        replace: false,
        timely_log: None,
    }
}

/// Loads a text of edges over whatever is at the path, as `walkprint load` does.
///
/// # Errors
/// Those of the load.
pub fn load(store: &TempStore, edges: &str, replace: bool) -> Result<LoadOutcome, Error> {
    let input = store.around().join("edges.tsv");
    std::fs::write(&input, edges).expect("room for a small file");
    let job = LoadJob { inputs: vec![input], options: LoadOptions::default(), order: NodeOrder::default(), replace };
    load_store(&store.path(), &job, &AtomicBool::new(false), &|_| {})
}

/// Builds an index to its end, or to its error.
///
/// # Errors
/// Those of the build.
pub fn build(store: &Path, options: &BuildOptions) -> Result<BuildOutcome, Error> {
    build_index(store, options, &Arc::new(BuildProgress::default()), &mut |_| {})
}

/// All files of a store by their path inside it, with their bytes.
///
/// # Panics
/// When they cannot be read.
#[must_use]
pub fn files(store: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    collect(store, "", &mut found);
    found
}

fn collect(directory: &Path, prefix: &str, found: &mut BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(directory).expect("a directory of the test's own") {
        let path = entry.expect("an entry of the test's own directory").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("names are plain text");
        let name = format!("{prefix}{name}");
        if path.is_dir() {
            collect(&path, &format!("{name}/"), found);
        } else {
            found.insert(name, std::fs::read(&path).expect("a file of the test's own"));
        }
    }
}

/// The segment files of the first generation of an index, by name.
///
/// # Panics
/// When they cannot be read.
#[must_use]
pub fn segments(store: &Path, index: &str) -> BTreeMap<String, Vec<u8>> {
    let directory = index_directory(index, 1).expect("a good name");
    let mut found = files(&store.join(directory));
    found.retain(|name, _| name.ends_with(".wps"));
    found
}
