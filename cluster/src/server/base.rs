//! What is mapped of one generation of a store: its graph, labels, types, passages and indexes, as its manifest lists them.
//!
//! **A generation takes over from the one before what both list**, so that what did not change is neither opened nor checked
//! again. What is new is compared with its checksums, byte by byte, before anybody is answered from it. (Test:
//! `tests/tests/server_generations.rs`.)

use std::path::Path;
use std::sync::Arc;

use walkprint_engine::error::Result;
use walkprint_engine::graph::{Graph, SharedInflow};
use walkprint_engine::index::Index;
use walkprint_engine::kinds::{KindFile, Kinds};
use walkprint_engine::labels::Labels;
use walkprint_engine::passages::Passages;
use walkprint_engine::store::{Manifest, Store};

/// See the [module](self).
pub(super) struct Base {
    pub(super) store: Store,
    pub(super) graph: Graph,
    pub(super) labels: Labels,
    pub(super) kinds: Option<Kinds>,
    pub(super) passages: Option<Passages>,
    /// In the order of the manifest.
    pub(super) indexes: Vec<Arc<Index>>,
    /// The graph turned round, as questions that grow wide need it.
    pub(super) inflow: Arc<SharedInflow>,
}

impl Base {
    /// Opens everything that a store's manifest lists. Cost: heads of files are read, and the ids once where they are strings.
    ///
    /// # Errors
    /// When there is no store, or a file is not the one that the manifest lists.
    pub(super) fn open(path: &Path) -> Result<Base> {
        let store = Store::open(path)?;
        let (graph, labels, kinds, passages) = (store.graph()?, store.labels()?, store.kinds()?, store.passages()?);
        let entries = store.manifest().indexes.iter();
        let indexes =
            entries.map(|entry| store.index(&entry.name, &graph).map(Arc::new)).collect::<Result<Vec<_>>>()?;
        Ok(Base { store, graph, labels, kinds, passages, indexes, inflow: Arc::default() })
    }

    /// Opens what a store holds now, taking over what was there before. Where the graph was turned round, the new one is too: nobody is to
    /// wait for what was there already. Cost: files that are not in `old` too are read.
    ///
    /// # Errors
    /// As [`Base::open`], and when any byte is not the one that was written.
    pub(super) fn open_after(old: &Base) -> Result<Base> {
        let store = Store::open(old.store.path())?;
        let (new, before) = (&store.manifest().graph, &old.manifest().graph);
        // Everything is opened before anything is read through: a generation that is not whole is refused at once.
        let same_graph = (&new.file, &new.digest) == (&before.file, &before.digest);
        let same_labels = (&new.labels_file, &new.labels_digest) == (&before.labels_file, &before.labels_digest);
        let graph = if same_graph { old.graph.clone() } else { store.graph()? };
        let labels = if same_labels { old.labels.clone() } else { store.labels()? };
        let kinds = if new.types == before.types { old.kinds.clone() } else { store.kinds()? };
        let passages = if new.passages == before.passages { old.passages.clone() } else { store.passages()? };
        let mut indexes = Vec::with_capacity(store.manifest().indexes.len());
        for entry in &store.manifest().indexes {
            let known = old.indexes.iter().find(|index| same_graph && index.entry() == entry).map(Arc::clone);
            let is_new = known.is_none();
            let index = known.map_or_else(|| store.index(&entry.name, &graph).map(Arc::new), Ok)?;
            indexes.push((index, is_new));
        }
        if !same_graph {
            Graph::verify(&store.graph_path())?;
        }
        if !same_labels {
            Labels::verify(&store.labels_path())?;
        }
        if let Some(types) = store.types_path().filter(|_| new.types != before.types) {
            KindFile::verify(&types)?;
        }
        if let Some(passages) = store.passages_path().filter(|_| new.passages != before.passages) {
            Passages::verify(&passages)?;
        }
        indexes.iter().filter(|(_, is_new)| *is_new).try_for_each(|(index, _)| index.verify().map(drop))?;
        let indexes = indexes.into_iter().map(|(index, _)| index).collect();
        let inflow = if same_graph && same_labels { Arc::clone(&old.inflow) } else { Arc::default() };
        let base = Base { store, graph, labels, kinds, passages, indexes, inflow };
        if old.inflow.get().is_some() {
            base.turn_round()?;
        }
        Ok(base)
    }

    /// Turns the graph round, so that no question that grows wide has to. Cost: 20 to 30 ns an edge, unless it was done.
    ///
    /// # Errors
    /// When the graph or the labels are damaged.
    pub(super) fn turn_round(&self) -> Result<()> {
        self.inflow.turn(&self.graph, |node| self.labels.rank(node)).map(drop)
    }

    pub(super) fn manifest(&self) -> &Manifest {
        self.store.manifest()
    }
}
