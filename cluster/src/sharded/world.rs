//! What the workers of a process share while they answer over a sharded graph.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use roaring::RoaringBitmap;
use walkprint_engine::graph::{CHUNK, Graph, GraphShard, Owners};
use walkprint_engine::index::Index;
use walkprint_engine::labels::Labels;
use walkprint_engine::query::{Gatherer, UniformAnswer};

use crate::error::{Error, Result};

/// What a process holds of a store, and how its job goes.
#[derive(Debug)]
pub(crate) struct World {
    graph: Graph,
    labels: Labels,
    index: Index,
    /// The answer to uniform seeds, once it was found; for the dangling policy that needs it.
    pub(super) uniform: OnceLock<UniformAnswer>,
    stop: AtomicBool,
    /// The first error of a worker.
    failure: Mutex<Option<Error>>,
}

impl World {
    /// Of the files of a store.
    pub(crate) fn new(graph: Graph, labels: Labels, index: Index) -> World {
        let (uniform, stop, failure) = (OnceLock::new(), AtomicBool::new(false), Mutex::new(None));
        World { graph, labels, index, uniform, stop, failure }
    }

    /// The ids of all nodes.
    pub(crate) fn labels(&self) -> &Labels {
        &self.labels
    }

    /// The fingerprints. Who reads that of which node is for [`fingerprint_home`] to say.
    pub(crate) fn index(&self) -> &Index {
        &self.index
    }

    /// How many nodes and edges there are.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.graph.nodes(), self.graph.edges())
    }

    /// Whether edges have weights.
    pub(crate) fn is_weighted(&self) -> bool {
        self.graph.is_weighted()
    }

    /// The restart probability of all answers.
    pub(crate) fn restart_prob(&self) -> f64 {
        self.index.plan().restart_prob
    }

    /// Deals out the nodes: a node costs its out-edges, and a little.
    pub(crate) fn owners(&self, workers: usize) -> Arc<Owners> {
        let nodes = u32::try_from(self.graph.nodes()).expect("nodes are numbered in 32 bits");
        let offsets = self.graph.offsets();
        let costs = (0..nodes.div_ceil(CHUNK)).map(|chunk| {
            let (first, end) = (chunk * CHUNK, (chunk * CHUNK).saturating_add(CHUNK).min(nodes));
            u64::from(end - first) + offsets[end as usize].saturating_sub(offsets[first as usize])
        });
        let costs: Vec<u64> = costs.collect();
        Arc::new(Owners::deal(nodes, &costs, workers))
    }

    /// The rows of one worker.
    ///
    /// # Errors
    /// When a row is damaged.
    pub(crate) fn shard(&self, owners: &Arc<Owners>, worker: usize) -> Result<GraphShard> {
        Ok(GraphShard::of(&self.graph, owners, worker)?)
    }

    /// What puts answers together. Waits for the answer to uniform seeds where `uniform` is wanted.
    pub(super) fn gatherer<'a>(&'a self, dangling: &'a RoaringBitmap, uniform: bool) -> Gatherer<'a> {
        let uniform = if uniform { Some(self.uniform.wait()) } else { None };
        Gatherer { labels: &self.labels, restart_prob: self.restart_prob(), dangling, uniform }
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

    /// What went wrong, for others.
    pub(crate) fn failed(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(ToString::to_string)
    }

    /// The first error of a worker.
    pub(crate) fn failure(&self) -> Option<Error> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Which worker reads the fingerprint of a node: the owner of its row.
pub(super) fn fingerprint_home(owners: &Owners, node: u32) -> u64 {
    owners.owner(node).into()
}
