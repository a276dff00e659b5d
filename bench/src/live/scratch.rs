//! The store that would be made from scratch of all that has been sent, in the numbering that a living graph has: nodes of the base as
//! they were, new ones in the order in which they came.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use walkprint_cluster::load::store_edges;
use walkprint_engine::edges::EdgeList;
use walkprint_engine::graph::{Graph, NodeOrder};
use walkprint_engine::ids::{ExternalIds, NodeId, StringTable};
use walkprint_engine::index::Index;
use walkprint_engine::kinds::{Codes, KindList, KindLists};
use walkprint_engine::labels::Labels;
use walkprint_engine::store::Store;

use super::streams::{KINDS, Sent};
use super::{INDEX, Options};

/// Which number a node has.
pub(super) struct Numbering {
    ids: Vec<i64>,
    of: HashMap<i64, NodeId>,
}

impl Numbering {
    /// That of a store.
    ///
    /// # Errors
    /// When labels are damaged.
    pub(super) fn of(labels: &Labels) -> Result<Numbering> {
        let mut numbering = Numbering { ids: Vec::new(), of: HashMap::new() };
        for node in (0..NodeId::MAX).take(labels.len()) {
            numbering.add(labels.integer(node)?);
        }
        Ok(numbering)
    }

    /// Counts in what was sent since.
    pub(super) fn follow(&mut self, sent: &[Sent]) {
        for &Sent { source, target, .. } in sent {
            self.add(source);
            self.add(target);
        }
    }

    fn add(&mut self, id: i64) {
        let next = NodeId::try_from(self.ids.len()).expect("streams have few nodes");
        self.of.entry(id).or_insert_with(|| {
            self.ids.push(id);
            next
        });
    }

    /// How many nodes there are.
    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    /// The number of a node that was counted in.
    pub(super) fn node(&self, id: i64) -> NodeId {
        self.of[&id]
    }

    /// The rank of each node's id, and the ids in their order.
    fn ranks(&self) -> (ExternalIds, Vec<u32>) {
        let mut sorted = self.ids.clone();
        sorted.sort_unstable();
        let rank = |id: &i64| u32::try_from(sorted.partition_point(|other| other < id)).expect("fewer than 2^32");
        let ranks = self.ids.iter().map(rank).collect();
        (ExternalIds::Integers(sorted), ranks)
    }
}

/// Types of edges, as a loader would have them.
pub(super) fn kinds(sent: &[Sent]) -> KindLists {
    let mut names = StringTable::default();
    KINDS.iter().for_each(|name| names.push(name));
    let mut codes = Codes::default();
    sent.iter().for_each(|sent| codes.push(u32::from(sent.source == sent.target) + 1));
    KindLists { nodes: None, edges: Some(KindList { names, codes }) }
}

/// A store that was made from scratch.
pub(super) struct Scratch {
    store: Store,
    labels_file: PathBuf,
    pub(super) graph: Graph,
    /// Ids are numbers of nodes.
    pub(super) labels: Labels,
    pub(super) index: Index,
}

impl Scratch {
    /// Makes it in a directory that is empty.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(super) fn make(place: &Path, options: &Options, numbering: &Numbering, sent: &[Sent]) -> Result<Scratch> {
        let edges = EdgeList {
            ids: ExternalIds::Integers((0..).take(numbering.len()).collect()),
            sources: sent.iter().map(|sent| numbering.node(sent.source)).collect(),
            targets: sent.iter().map(|sent| numbering.node(sent.target)).collect(),
            weights: None,
            kinds: kinds(sent),
        };
        let path = place.join("scratch.wp");
        store_edges(&path, edges, NodeOrder::Id)?;
        options.index(&path)?;
        let store = Store::open(&path)?;
        let labels_file = place.join("labels");
        let (ids, ranks) = numbering.ranks();
        Labels::write(&labels_file, &ids, &ranks)?;
        let (graph, labels) = (store.graph()?, store.labels()?);
        let index = store.index(INDEX, &graph)?;
        Ok(Scratch { store, labels_file, graph, labels, index })
    }

    /// Compares all files of a generation with these. Says which files differ, and how many bytes were compared.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub(super) fn compare(&self, other: &Path) -> Result<(Vec<String>, u64)> {
        let other = Store::open(other)?;
        let own = contents(&self.store, &self.labels_file)?;
        let others = contents(&other, &other.labels_path())?;
        let mut differ: Vec<String> =
            own.iter().filter(|(name, bytes)| others.get(*name) != Some(bytes)).map(|(name, _)| name.clone()).collect();
        differ.extend(others.keys().filter(|name| !own.contains_key(*name)).cloned());
        Ok((differ, own.values().map(|bytes| bytes.len() as u64).sum()))
    }
}

/// The files that a generation consists of, by what they are.
fn contents(store: &Store, labels: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let read = |path: &Path| std::fs::read(path).with_context(|| format!("{}: could not read", path.display()));
    let mut found = BTreeMap::new();
    found.insert("graph".to_owned(), read(&store.graph_path())?);
    found.insert("labels".to_owned(), read(labels)?);
    if let Some(types) = store.types_path() {
        found.insert("types".to_owned(), read(&types)?);
    }
    for entry in &store.manifest().indexes {
        let directory = store.path().join(&entry.directory);
        for (name, bytes) in crate::serve::stores::files(&directory)? {
            found.insert(format!("index {}: {}", entry.name, name.display()), bytes);
        }
    }
    Ok(found)
}
