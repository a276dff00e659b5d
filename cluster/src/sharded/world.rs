//! What the workers of a process share while they answer over a sharded graph.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use roaring::RoaringBitmap;
use walkprint_engine::index::{IndexEntry, IndexParts};
use walkprint_engine::labels::Labels;
use walkprint_engine::parts::RowParts;
use walkprint_engine::query::{Gatherer, UniformAnswer};
use walkprint_engine::store::{ShardEntry, Store};

use crate::choice::{Wanted, choose_entry};
use crate::error::{Error, Result};

/// What a process holds of a store, which may be in shards, and how its job goes.
#[derive(Debug)]
pub(crate) struct World {
    store: PathBuf,
    parts: RowParts,
    /// Empty when the graph lies in one file.
    shards: Vec<ShardEntry>,
    /// The ids of all nodes: of a graph in shards on process 0 only, when they have been brought together.
    pub(super) labels: OnceLock<Labels>,
    /// What is known of the index before the job begins: on process 0.
    wanted: Option<IndexEntry>,
    index: OnceLock<IndexParts>,
    /// The answer to uniform seeds, once it was found; for the dangling policy that needs it.
    pub(super) uniform: OnceLock<UniformAnswer>,
    answering: AtomicBool,
    stop: AtomicBool,
    /// The first error of a worker.
    failure: Mutex<Option<Error>>,
}

impl World {
    /// Opens what is here of a store. Which index is asked is for process 0, which is the `first`, to say: others need not
    /// know of it.
    ///
    /// # Errors
    /// When a file is damaged, or there is no such index.
    pub(crate) fn open(store: &Store, wanted: Wanted<'_>, first: bool) -> Result<World> {
        let parts = RowParts::open(store)?;
        let labels = OnceLock::new();
        if !store.is_sharded() {
            let _ = labels.set(store.labels()?); // it is empty
        }
        let wanted = match first {
            true => {
                let (entry, _) = choose_entry(store, wanted)?;
                let what = "answers over a sharded graph need an index".into();
                Some(entry.cloned().ok_or(Error::Request { what })?)
            }
            false => None,
        };
        Ok(World {
            store: store.path().to_owned(),
            parts,
            shards: store.manifest().graph.shards.clone(),
            labels,
            wanted,
            index: OnceLock::new(),
            uniform: OnceLock::new(),
            answering: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            failure: Mutex::new(None),
        })
    }

    /// The store's directory.
    pub(super) fn store(&self) -> &Path {
        &self.store
    }

    /// The rows that can be read here.
    pub(super) fn parts(&self) -> &RowParts {
        &self.parts
    }

    /// The shards of the graph; none when it lies in one file.
    pub(super) fn shards(&self) -> &[ShardEntry] {
        &self.shards
    }

    /// Whether the graph lies in shards, which may be in the stores of other processes.
    pub(crate) fn in_shards(&self) -> bool {
        !self.shards.is_empty()
    }

    /// The ids of all nodes.
    ///
    /// # Panics
    /// Before they have been brought together; of a graph in shards, on another process than the first.
    pub(crate) fn labels(&self) -> &Labels {
        self.labels.get().expect("the first process has all labels once the job is prepared")
    }

    /// The digest of the graph.
    pub(crate) fn graph_digest(&self) -> u128 {
        self.parts.digest()
    }

    /// What process 0 asks for.
    pub(super) fn wanted(&self) -> Option<&IndexEntry> {
        self.wanted.as_ref()
    }

    /// Opens what is here of the index. Any worker may, and each gets to know whether it went well.
    ///
    /// # Errors
    /// When it does not fit the graph, or is damaged.
    pub(super) fn open_index(&self, entry: &IndexEntry) -> Result<&IndexParts> {
        let nodes = usize::try_from(self.parts.nodes()).expect("nodes are numbered in 32 bits");
        let opened = IndexParts::open(&self.store, entry, nodes, self.parts.digest())?;
        Ok(self.index.get_or_init(|| opened))
    }

    /// The fingerprints that can be read here. Who reads that of which node is for [`Homes`](super::homes::Homes) to say.
    ///
    /// # Panics
    /// Before the job is prepared.
    pub(crate) fn index(&self) -> &IndexParts {
        self.index.get().expect("the job is prepared before anything is answered")
    }

    /// How many nodes and edges there are.
    pub(crate) fn size(&self) -> (usize, usize) {
        let count = |count| usize::try_from(count).expect("graphs are counted in 64 bits");
        (count(self.parts.nodes()), count(self.parts.edges()))
    }

    /// Whether edges have weights.
    pub(crate) fn is_weighted(&self) -> bool {
        self.parts.is_weighted()
    }

    /// The restart probability of all answers.
    pub(crate) fn restart_prob(&self) -> f64 {
        self.index().entry().plan.restart_prob
    }

    /// What puts answers together. Waits for the answer to uniform seeds where `uniform` is wanted.
    pub(super) fn gatherer<'a>(&'a self, dangling: &'a RoaringBitmap, uniform: bool) -> Gatherer<'a> {
        let uniform = if uniform { Some(self.uniform.wait()) } else { None };
        let (nodes, _) = self.size();
        Gatherer { nodes, labels: self.labels.get(), restart_prob: self.restart_prob(), dangling, uniform }
    }

    /// True when workers are to leave off.
    pub(crate) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Makes workers leave off.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Makes workers leave off because of an error.
    pub(crate) fn fail(&self, error: Error) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.stop();
    }

    /// The job is prepared: from now on nobody waits for a worker that gives up.
    pub(super) fn begin_answering(&self) {
        self.answering.store(true, Ordering::Relaxed);
    }

    /// What went wrong while answering. Until then all processes end together when one cannot go on.
    pub(crate) fn failed_answering(&self) -> Option<String> {
        self.failed().filter(|_| self.answering.load(Ordering::Relaxed))
    }

    /// What went wrong, for others.
    pub(crate) fn failed(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(ToString::to_string)
    }

    /// The first error of a worker.
    pub(crate) fn failure(&self) -> Option<Error> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
