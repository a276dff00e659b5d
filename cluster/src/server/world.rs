//! One generation of one store, with the events that count in it, open and ready to answer.
//!
//! A world never changes: graph, labels, types and all indexes are mapped when it is opened, so that it goes on when a newer
//! generation takes its place and its files lose their names. Where events have come since, graph, labels and types are what they
//! have become, in memory, and the indexes those of what they were: each batch of events makes another world. **An answer is of one world, from its first byte to its last**: a
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
use walkprint_engine::graph::{Graph, SharedInflow};
use walkprint_engine::index::IndexEntry;
use walkprint_engine::kinds::Kinds;
use walkprint_engine::labels::Labels;
use walkprint_engine::passages::Passages;
use walkprint_engine::query::{Answerer, ChangedRows, Crew};
use walkprint_engine::retrieval::Retriever;
use walkprint_engine::store::Manifest;

use super::base::Base;
use crate::choice::{Wanted, choose_entry};
use crate::error::Result;
use crate::live::Overlaid;
use crate::recommend::Audience;
use crate::serve::Origin;

/// Restart probabilities without an index for which seats are kept: each keeps some ten bytes a node.
const MOST_ODD_SEATS: usize = 4;

/// What is answered from.
struct Ground {
    base: Arc<Base>,
    graph: Graph,
    labels: Labels,
    kinds: Option<Kinds>,
    /// What differs from the graph that the indexes are of, once there were events.
    changes: Option<ChangedRows>,
    /// The graph turned round, as questions that grow wide need it.
    inflow: Arc<SharedInflow>,
}

/// Which events count in answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counted {
    /// Those that the graph in the store has not absorbed.
    pub(super) events: u64,
    /// All since the graph was loaded: the sequence number of the event that comes next. None where there is no log of events.
    pub(super) sequence: Option<u64>,
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
    ground: Arc<Ground>,
    counted: Counted,
    seats: Mutex<HashMap<SeatKind, Vec<Seat>>>,
    /// What makes seeds of questions in words, once one was asked.
    retriever: Mutex<Option<Arc<Retriever>>>,
    /// Nodes of types that filters asked for.
    of_type: Mutex<HashMap<String, Arc<RoaringBitmap>>>,
    /// Users and items, once somebody has asked for recommendations.
    audience: Mutex<Option<Arc<Audience>>>,
}

impl World {
    /// A generation as it is in the store.
    pub(super) fn of(base: Arc<Base>, counted: Counted) -> World {
        let (graph, labels, kinds) = (base.graph.clone(), base.labels.clone(), base.kinds.clone());
        let inflow = Arc::clone(&base.inflow);
        World::on(Ground { base, graph, labels, kinds, changes: None, inflow }, counted)
    }

    /// A generation with events that have come since, after the world `before` of the same generation. Cost: nothing is read; what
    /// was found out about nodes is found out again only where it may have changed.
    pub(super) fn after(before: &World, overlaid: Overlaid, counted: Counted) -> World {
        let Overlaid { graph, labels, kinds, changes, moved, same_nodes } = overlaid;
        let base = Arc::clone(&before.ground.base);
        let world =
            World::on(Ground { base, graph, labels, kinds, changes: Some(changes), inflow: Arc::default() }, counted);
        if same_nodes {
            let known = locked(&before.of_type).clone();
            *locked(&world.of_type) = known;
            let retriever = locked(&before.retriever).clone();
            // It knows the names of nodes, and what edges of passages lead to.
            let is_touched = |retriever: &Arc<Retriever>| {
                let passages = retriever.mentions().passages();
                moved.iter().any(|&node| passages.contains(node))
            };
            *locked(&world.retriever) = retriever.filter(|retriever| !is_touched(retriever));
        }
        world
    }

    fn on(ground: Ground, counted: Counted) -> World {
        World {
            ground: Arc::new(ground),
            counted,
            seats: Mutex::default(),
            retriever: Mutex::default(),
            of_type: Mutex::default(),
            audience: Mutex::default(),
        }
    }

    /// Where an answer comes from.
    pub(super) fn origin<'n>(&self, name: &'n str) -> Origin<'n> {
        let Counted { events, sequence } = self.counted;
        Origin { name, generation: self.generation(), events: sequence.map(|_| events), sequence }
    }

    /// Whether the graph has been turned round, as questions that grow wide need it.
    pub(super) fn is_turned_round(&self) -> bool {
        self.ground.inflow.get().is_some()
    }

    /// Turns the graph round, so that nobody has to wait for it. Cost: some 20 to 30 ns an edge.
    ///
    /// # Errors
    /// When the graph is damaged.
    pub(super) fn turn_round(&self) -> EngineResult<()> {
        let Ground { graph, labels, inflow, .. } = &*self.ground;
        inflow.turn(graph, |node| labels.rank(node)).map(drop)
    }

    /// The events that count.
    pub(super) fn counted(&self) -> Counted {
        self.counted
    }

    pub(super) fn manifest(&self) -> &Manifest {
        self.ground.base.manifest()
    }

    pub(super) fn generation(&self) -> u64 {
        self.manifest().generation
    }

    pub(super) fn path(&self) -> &Path {
        self.ground.base.store.path()
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
        self.ground.base.passages.as_ref()
    }

    /// Whether [`World::retriever`] has been made.
    pub(super) fn has_retriever(&self) -> bool {
        locked(&self.retriever).is_some()
    }

    /// What makes seeds of questions in words. Cost: made by the first who asks, others wait for it.
    ///
    /// # Errors
    /// When a file is damaged.
    pub(super) fn retriever(&self) -> EngineResult<Arc<Retriever>> {
        let mut known = locked(&self.retriever);
        if let Some(retriever) = &*known {
            return Ok(Arc::clone(retriever));
        }
        let Ground { graph, labels, kinds, .. } = &*self.ground;
        let retriever = Arc::new(Retriever::new(graph, labels, kinds.as_ref(), self.passages())?);
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
        let (entry, restart_prob) = choose_entry(&self.ground.base.store, wanted)?;
        let place = entry.and_then(|entry| self.manifest().indexes.iter().position(|one| one.name == entry.name));
        Ok(Chosen { place, restart_prob })
    }

    /// The nodes of a type. Cost: a pass over the types of all nodes, once for each type.
    ///
    /// # Errors
    /// When no node has it.
    pub(super) fn nodes_of(&self, kind: &str) -> EngineResult<Arc<RoaringBitmap>> {
        let mut known = locked(&self.of_type);
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
        let mut known = locked(&self.audience);
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
        let idle = locked(&self.seats).get_mut(&kind).and_then(Vec::pop);
        let mut seat = match idle {
            Some(seat) => seat,
            None => Seat::try_new(Under { ground: Arc::clone(&self.ground), chosen }, |under| {
                let Under { ground, chosen } = under;
                let index = chosen.place.and_then(|place| ground.base.indexes.get(place)).map(|index| &**index);
                let Ground { graph, labels, changes, .. } = &**ground;
                let answerer = Answerer::about(graph, labels, index, changes.as_ref(), chosen.restart_prob)?;
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
        let mut seats = locked(&self.seats);
        let odd = seats.keys().filter(|(place, _)| place.is_none()).count();
        if chosen.place.is_some() || seats.contains_key(&kind) || odd < MOST_ODD_SEATS {
            seats.entry(kind).or_default().push(seat);
        }
        Ok(outcome)
    }
}

fn locked<T>(what: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}
