//! One generation of one store, open and ready to answer.
//!
//! A world never changes: graph, labels, types and all indexes are mapped when it is opened, so that it goes on when a newer
//! generation takes its place and its files lose their names. **An answer is of one world, from its first byte to its last**: a
//! request holds on to the world that it began with. (Test: `tests/tests/server_generations.rs`.)
//!
//! An [`Answerer`] borrows from graph and index and keeps room for its numbers; a *seat* holds one together with what it borrows
//! from. Seats are taken, used and put back: there are as many as questions were ever answered at the same time.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use roaring::RoaringBitmap;
use self_cell::self_cell;
use walkprint_engine::error::Result as EngineResult;
use walkprint_engine::graph::{Graph, Inflow, SharedInflow};
use walkprint_engine::index::{Index, IndexEntry};
use walkprint_engine::kinds::{KindFile, Kinds};
use walkprint_engine::labels::Labels;
use walkprint_engine::passages::Passages;
use walkprint_engine::query::{Answerer, Crew};
use walkprint_engine::retrieval::Retriever;
use walkprint_engine::store::{Manifest, Store};

use crate::choice::{Wanted, choose_entry};
use crate::error::Result;
use crate::recommend::Audience;

/// Restart probabilities without an index for which seats are kept: each keeps some ten bytes a node.
const MOST_ODD_SEATS: usize = 4;

/// What is mapped of a store.
struct Ground {
    graph: Graph,
    labels: Labels,
    kinds: Option<Kinds>,
    passages: Option<Passages>,
    /// In the order of the manifest.
    indexes: Vec<Index>,
    /// The graph turned round, as questions that grow wide need it.
    inflow: Arc<SharedInflow>,
}

/// Which index answers, by its place in the manifest, and the restart probability.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Chosen {
    place: Option<usize>,
    pub(super) restart_prob: f64,
}

/// What an answerer borrows from.
struct Under {
    ground: Arc<Ground>,
    chosen: Chosen,
}

self_cell!(
    struct Seat {
        owner: Under,
        #[not_covariant]
        dependent: Answerer,
    }
);

/// Nobody helps: other questions have the other threads.
#[derive(Debug)]
struct Alone;

impl Crew for Alone {
    fn hands(&self) -> usize {
        1
    }

    fn all(&self, work: &(dyn Fn(usize) + Sync)) {
        work(0);
    }
}

/// Which seats are alike: the index's place, and the bits of the restart probability.
type SeatKind = (Option<usize>, u64);

/// See the [module](self).
pub(super) struct World {
    store: Store,
    ground: Arc<Ground>,
    seats: Mutex<HashMap<SeatKind, Vec<Seat>>>,
    /// What makes seeds of questions in words, once one was asked.
    retriever: Mutex<Option<Arc<Retriever>>>,
    /// Nodes of types that filters asked for.
    of_type: Mutex<HashMap<String, Arc<RoaringBitmap>>>,
    /// Users and items, once somebody has asked for recommendations.
    audience: Mutex<Option<Arc<Audience>>>,
}

impl World {
    /// Opens everything that a store's manifest lists. Cost: heads of files are read, and the ids once where they are strings.
    ///
    /// # Errors
    /// When there is no store, or a file is not the one that the manifest lists.
    pub(super) fn open(path: &Path) -> EngineResult<World> {
        World::of(Store::open(path)?)
    }

    fn of(store: Store) -> EngineResult<World> {
        let (graph, labels, kinds) = (store.graph()?, store.labels()?, store.kinds()?);
        let passages = store.passages()?;
        if let Ok(events @ 1..) = crate::live::waiting(&store) {
            let store = store.path().display().to_string();
            tracing::warn!(store, events, "events do not count here before `walkprint compact` has absorbed them");
        }
        let entries = store.manifest().indexes.iter();
        let indexes = entries.map(|entry| store.index(&entry.name, &graph)).collect::<EngineResult<Vec<_>>>()?;
        let ground = Arc::new(Ground { graph, labels, kinds, passages, indexes, inflow: Arc::default() });
        Ok(World {
            store,
            ground,
            seats: Mutex::default(),
            retriever: Mutex::default(),
            of_type: Mutex::default(),
            audience: Mutex::default(),
        })
    }

    /// Opens what a store holds now, after every file that is not in `old` too has been compared with its checksums. Cost: the
    /// new files are read.
    ///
    /// # Errors
    /// As [`World::open`], and when any byte is not the one that was written.
    pub(super) fn open_verified(path: &Path, old: &Manifest) -> EngineResult<World> {
        let store = Store::open(path)?;
        let (new, old_graph) = (&store.manifest().graph, &old.graph);
        let world = World::of(store.clone())?;
        if (&new.file, &new.digest) != (&old_graph.file, &old_graph.digest) {
            Graph::verify(&store.graph_path())?;
        }
        if (&new.labels_file, &new.labels_digest) != (&old_graph.labels_file, &old_graph.labels_digest) {
            Labels::verify(&store.labels_path())?;
        }
        if let Some(types) = store.types_path().filter(|_| new.types != old_graph.types) {
            KindFile::verify(&types)?;
        }
        if let Some(passages) = store.passages_path().filter(|_| new.passages != old_graph.passages) {
            Passages::verify(&passages)?;
        }
        for index in world.ground.indexes.iter().filter(|index| !old.indexes.contains(index.entry())) {
            index.verify()?;
        }
        Ok(world)
    }

    /// Turns the graph round, so that no question that grows wide has to. Cost: 20 to 30 ns an edge, unless it was done.
    ///
    /// # Errors
    /// When the graph or the labels are damaged.
    pub(super) fn warm_up(&self) -> EngineResult<()> {
        let Ground { graph, labels, inflow, .. } = &*self.ground;
        inflow.get_or_make(|| Inflow::new(graph, |node| labels.rank(node))).map(drop)
    }

    /// Whether the graph has been turned round.
    pub(super) fn is_warm(&self) -> bool {
        self.ground.inflow.get().is_some()
    }

    pub(super) fn manifest(&self) -> &Manifest {
        self.store.manifest()
    }

    pub(super) fn generation(&self) -> u64 {
        self.manifest().generation
    }

    pub(super) fn path(&self) -> &Path {
        self.store.path()
    }

    pub(super) fn graph(&self) -> &Graph {
        &self.ground.graph
    }

    pub(super) fn labels(&self) -> &Labels {
        &self.ground.labels
    }

    pub(super) fn kinds(&self) -> Option<&Kinds> {
        self.ground.kinds.as_ref()
    }

    pub(super) fn passages(&self) -> Option<&Passages> {
        self.ground.passages.as_ref()
    }

    /// Whether [`World::retriever`] has been made.
    pub(super) fn has_retriever(&self) -> bool {
        self.retriever.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// What makes seeds of questions in words. Cost: made by the first who asks, others wait for it.
    ///
    /// # Errors
    /// When a file is damaged.
    pub(super) fn retriever(&self) -> EngineResult<Arc<Retriever>> {
        let mut known = self.retriever.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(retriever) = &*known {
            return Ok(Arc::clone(retriever));
        }
        let Ground { graph, labels, kinds, passages, .. } = &*self.ground;
        let retriever = Arc::new(Retriever::new(graph, labels, kinds.as_ref(), passages.as_ref())?);
        *known = Some(Arc::clone(&retriever));
        Ok(retriever)
    }

    /// What the manifest says of the index that was chosen.
    pub(super) fn entry(&self, chosen: Chosen) -> Option<&IndexEntry> {
        self.manifest().indexes.get(chosen.place?)
    }

    /// Which index answers.
    ///
    /// # Errors
    /// When there is none of this name or restart probability and the method needs one.
    pub(super) fn choose(&self, wanted: Wanted<'_>) -> Result<Chosen> {
        let (entry, restart_prob) = choose_entry(&self.store, wanted)?;
        let place = entry.and_then(|entry| self.manifest().indexes.iter().position(|one| one.name == entry.name));
        Ok(Chosen { place, restart_prob })
    }

    /// The nodes of a type. Cost: a pass over the types of all nodes, once for each type.
    ///
    /// # Errors
    /// When no node has it.
    pub(super) fn nodes_of(&self, kind: &str) -> EngineResult<Arc<RoaringBitmap>> {
        let mut known = self.of_type.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(nodes) = known.get(kind) {
            return Ok(Arc::clone(nodes));
        }
        let nodes = Arc::new(self.kinds().cloned().unwrap_or_default().nodes_of(kind)?);
        known.insert(kind.to_owned(), Arc::clone(&nodes));
        Ok(nodes)
    }

    /// The users and items. Cost: a pass over the edges, once.
    ///
    /// # Errors
    /// When there are none, or a file is damaged.
    pub(super) fn audience(&self) -> Result<Arc<Audience>> {
        let mut known = self.audience.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(audience) = &*known {
            return Ok(Arc::clone(audience));
        }
        let audience = Arc::new(Audience::new(self.graph(), self.labels(), self.kinds())?);
        Ok(Arc::clone(known.insert(audience)))
    }

    /// Lets somebody answer, who is told to stop when the flag is set.
    ///
    /// # Errors
    /// When graph, labels and index do not belong together.
    pub(super) fn with_answerer<T>(
        &self,
        chosen: Chosen,
        cancelled: Arc<AtomicBool>,
        work: impl FnOnce(&mut Answerer<'_>) -> T,
    ) -> EngineResult<T> {
        let kind = (chosen.place, chosen.restart_prob.to_bits());
        let idle = self.lock().get_mut(&kind).and_then(Vec::pop);
        let mut seat = match idle {
            Some(seat) => seat,
            None => Seat::try_new(Under { ground: Arc::clone(&self.ground), chosen }, |under| {
                let Under { ground, chosen } = under;
                let index = chosen.place.and_then(|place| ground.indexes.get(place));
                let answerer = Answerer::new(&ground.graph, &ground.labels, index, chosen.restart_prob)?;
                let answerer = answerer.sharing_inflow(Arc::clone(&ground.inflow));
                Ok::<_, walkprint_engine::error::Error>(answerer.with_crew(Arc::new(Alone)))
            })?,
        };
        let outcome = seat.with_dependent_mut(|_, answerer| {
            answerer.heed(Some(cancelled));
            let outcome = work(answerer);
            answerer.heed(None);
            outcome
        });
        // Not reached when the work panicked: such a seat is not used again.
        let mut seats = self.lock();
        let odd = seats.keys().filter(|(place, _)| place.is_none()).count();
        if chosen.place.is_some() || seats.contains_key(&kind) || odd < MOST_ODD_SEATS {
            seats.entry(kind).or_default().push(seat);
        }
        Ok(outcome)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<SeatKind, Vec<Seat>>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
