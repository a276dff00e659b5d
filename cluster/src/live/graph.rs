//! A store's graph with the events that have come since: which rows are others than in the store, and what the graph is now.
//!
//! ```text
//! events ─▶ stage: ids to numbers, checked one by one ─▶ (the log) ─▶ commit: dataflow ─▶ changed rows ─▶ graph, labels
//! ```
//!
//! Staging changes nothing, so that events can be refused before they are acknowledged; what was staged is committed once the
//! log has it. **What comes of any events is what comes of following them one by one**, as [`Edits`](super::Edits) does.
//! (Test: `what_comes_of_events_is_what_comes_of_following_them_one_by_one`.)
//!
//! Memory: some hundred bytes an event, and the rows of the base that events touch.

use std::collections::{BTreeMap, BTreeSet};

use hashbrown::{HashMap, HashSet};
use walkprint_engine::events::{Decay, Event, Operation, Subject};
use walkprint_engine::graph::{ChangedKinds, ChangedRows, Graph};
use walkprint_engine::ids::NodeId;
use walkprint_engine::kinds::Kinds;
use walkprint_engine::labels::Labels;
use walkprint_engine::store::Store;

use super::changes::Changes;
use super::dataflow::{Batch, Dataflow, Pair, PairChange, RowNow};
use crate::error::{Error, Result};

/// The least that an edge may weigh, and the most: of a row of any number of edges that are told so, the sum can be divided by.
const LEAST_WEIGHT: f64 = f64::MIN_POSITIVE;
const MOST_WEIGHT: f64 = f64::MAX / 4_294_967_296.0;
/// Decayed weights that differ by less, relatively, are the same.
const ROUNDING: f64 = 1e-12;

/// What is done about an event that removes what is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Missing {
    /// It is refused.
    #[default]
    Refuse,
    /// It does nothing.
    Ignore,
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if *self == Missing::Refuse { "refuse" } else { "ignore" })
    }
}

impl std::str::FromStr for Missing {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "refuse" => Ok(Missing::Refuse),
            "ignore" => Ok(Missing::Ignore),
            _ => Err(format!("expected refuse or ignore, got {text:?}")),
        }
    }
}

/// A store's graph with the events that have come since.
pub struct LiveGraph {
    graph: Graph,
    labels: Labels,
    kinds: Kinds,
    dataflow: Dataflow,
    /// Rows of the base that the dataflow knows.
    told: HashSet<NodeId>,
    /// Pairs that weigh something else than in the base; none is no edge.
    pairs: BTreeMap<Pair, Option<f64>>,
    /// Rows that differ from the base's.
    rows: BTreeMap<NodeId, RowNow>,
    new_ids: Vec<String>,
    new_nodes: HashMap<String, NodeId>,
    edge_kinds: BTreeMap<Pair, BTreeSet<String>>,
    node_kinds: BTreeMap<NodeId, Option<String>>,
    /// Sources of the edges into each node of the base; made when a node is removed.
    sources: Option<HashMap<NodeId, Vec<NodeId>>>,
    /// How many changes of pairs there have been.
    changes: u64,
    /// Rows that have changed since somebody asked.
    moved: BTreeSet<NodeId>,
    /// Whether any event had a type.
    typed: bool,
    /// How weights decay, if they do.
    decay: Option<Decay>,
}

/// Events that were checked, and not yet counted.
#[derive(Debug, Default)]
pub struct Staged {
    changes: Vec<(Pair, PairChange)>,
    pairs: HashMap<Pair, Option<f64>>,
    new_ids: Vec<String>,
    new_nodes: HashMap<String, NodeId>,
    edge_kinds: BTreeMap<Pair, BTreeSet<String>>,
    node_kinds: BTreeMap<NodeId, Option<String>>,
    /// Events that removed what was not there.
    pub missing: u64,
}

/// An event that cannot be.
#[derive(Debug)]
pub struct Refused {
    /// Its place among the events that were staged.
    pub place: usize,
    /// Why.
    pub why: Error,
}

impl LiveGraph {
    /// The graph of a store without any event. Cost: files are mapped.
    ///
    /// # Errors
    /// When a file is damaged, the graph lies in shards, or there are no threads to be had.
    pub fn open(store: &Store, workers: usize) -> Result<LiveGraph> {
        let decay = store.manifest().live.as_ref().and_then(|live| live.decay);
        LiveGraph::of(store.graph()?, store.labels()?, store.kinds()?.unwrap_or_default(), decay, workers)
    }

    /// The graph of a store without any event, from files that are open already, whose weights decay as its manifest says.
    ///
    /// # Errors
    /// When there are no threads to be had.
    pub fn of(graph: Graph, labels: Labels, kinds: Kinds, decay: Option<Decay>, workers: usize) -> Result<LiveGraph> {
        Ok(LiveGraph {
            graph,
            labels,
            kinds,
            dataflow: Dataflow::start(workers)?,
            told: HashSet::new(),
            pairs: BTreeMap::new(),
            rows: BTreeMap::new(),
            new_ids: Vec::new(),
            new_nodes: HashMap::new(),
            edge_kinds: BTreeMap::new(),
            node_kinds: BTreeMap::new(),
            sources: None,
            changes: 0,
            moved: BTreeSet::new(),
            typed: false,
            decay,
        })
    }

    /// How weights decay, if they do.
    #[must_use]
    pub fn decay(&self) -> Option<Decay> {
        self.decay
    }

    /// The graph in the store.
    #[must_use]
    pub fn base(&self) -> &Graph {
        &self.graph
    }

    /// The ids of the graph in the store.
    #[must_use]
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// The types of the graph in the store.
    #[must_use]
    pub fn kinds(&self) -> &Kinds {
        &self.kinds
    }

    /// How many nodes are new.
    #[must_use]
    pub fn new_nodes(&self) -> usize {
        self.new_ids.len()
    }

    /// The ids of new nodes, in the order of their numbers.
    #[must_use]
    pub fn new_ids(&self) -> &[String] {
        &self.new_ids
    }

    /// Whether any event had a type.
    #[must_use]
    pub fn is_typed(&self) -> bool {
        self.typed
    }

    /// The rows that have changed since this was asked before.
    pub fn take_moved(&mut self) -> BTreeSet<NodeId> {
        std::mem::take(&mut self.moved)
    }

    /// Rows that differ from those in the store: how many edges they have, and the sum of their weights.
    #[must_use]
    pub fn rows(&self) -> &BTreeMap<NodeId, RowNow> {
        &self.rows
    }

    /// Nodes that were dangling in the store and are no more, and those that are now and were not.
    #[must_use]
    pub fn dangling_changes(&self) -> (u64, u64) {
        let count = |is_meant: fn(&RowNow) -> bool| self.rows.values().filter(|row| is_meant(row)).count() as u64;
        (count(|row| row.base_degree == 0 && row.degree != 0), count(|row| row.base_degree != 0 && row.degree == 0))
    }

    /// Checks events, one after the other, against the graph as it will be when they are counted.
    ///
    /// # Errors
    /// When one removes what is not there, unless that is to be ignored; when a weight would be negative or infinite; when labels
    /// or rows are damaged. Nothing was changed.
    pub fn stage<'e>(
        &mut self,
        events: impl IntoIterator<Item = &'e Event>,
        missing: Missing,
    ) -> std::result::Result<Staged, Refused> {
        self.stage_behind(Staged::default(), events, missing)
    }

    /// The same for events that come after some which are staged already.
    ///
    /// # Errors
    /// As [`LiveGraph::stage`]; those that were staged have to be staged anew then.
    pub fn stage_behind<'e>(
        &mut self,
        mut staged: Staged,
        events: impl IntoIterator<Item = &'e Event>,
        missing: Missing,
    ) -> std::result::Result<Staged, Refused> {
        for (place, event) in events.into_iter().enumerate() {
            let is_there = self.follow(&mut staged, event).map_err(|why| Refused { place, why })?;
            if !is_there {
                if missing == Missing::Refuse {
                    return Err(Refused { place, why: not_there(event) });
                }
                staged.missing += 1;
            }
        }
        Ok(staged)
    }

    /// Counts what was staged last. Cost: see [`Dataflow::apply`].
    ///
    /// # Errors
    /// When a worker has panicked, or a row is damaged.
    pub fn commit(&mut self, staged: Staged) -> Result<()> {
        let mut batch = Batch::default();
        for (pair, change) in staged.changes {
            if self.told.insert(pair.0) {
                let row = self.base_row(pair.0)?;
                batch.rows.extend(row.into_iter().map(|(target, weight)| ((pair.0, target), weight)));
            }
            batch.changes.push((pair, self.changes, change));
            self.changes += 1;
        }
        let changed = self.dataflow.apply(batch)?;
        for (pair, now) in changed.pairs {
            self.moved.insert(pair.0);
            match now {
                Some(now) => drop(self.pairs.insert(pair, now.weight)),
                None => drop(self.pairs.remove(&pair)),
            }
        }
        for (node, now) in changed.rows {
            match now {
                Some(now) => drop(self.rows.insert(node, now)),
                None => drop(self.rows.remove(&node)),
            }
        }
        self.typed |= staged.edge_kinds.values().any(|kinds| !kinds.is_empty()) || !staged.node_kinds.is_empty();
        self.new_ids.extend(staged.new_ids);
        self.new_nodes.extend(staged.new_nodes);
        self.edge_kinds.extend(staged.edge_kinds);
        self.node_kinds.extend(staged.node_kinds);
        Ok(())
    }

    /// What all events came to. Cost: the changed rows.
    ///
    /// # Errors
    /// When a row is damaged.
    pub fn changes(&self) -> Result<Changes> {
        let rows = self.rows.keys().map(|&node| Ok((node, self.row(node)?))).collect::<Result<ChangedRows>>()?;
        let (base_digest, new_ids, kinds) = (self.graph.digest(), self.new_ids.clone(), self.kind_changes()?);
        Ok(Changes { base_digest, new_ids, rows, kinds })
    }

    /// A row as it is now: targets, ascending, and weights. Cost: the row.
    ///
    /// # Errors
    /// When the row is damaged.
    pub fn row(&self, node: NodeId) -> Result<Vec<(NodeId, f64)>> {
        let mut row: BTreeMap<NodeId, f64> = self.base_row(node)?.into_iter().collect();
        for (&(_, target), weight) in self.pairs.range((node, 0)..=(node, NodeId::MAX)) {
            match weight {
                Some(weight) => drop(row.insert(target, *weight)),
                None => drop(row.remove(&target)),
            }
        }
        Ok(row.into_iter().collect())
    }

    /// What all events came to as far as types go. Cost: the events that had to do with types, or removed edges.
    ///
    /// # Errors
    /// When a row is damaged.
    pub fn kind_changes(&self) -> Result<ChangedKinds> {
        let mut changes = ChangedKinds::default();
        for (&pair, own) in &self.edge_kinds {
            if self.weight(pair)?.is_some() && *own != self.base_kinds(pair)? {
                changes.edges.insert(pair, own.clone());
            }
        }
        let moved = self.node_kinds.iter().filter(|(node, kind)| self.kinds.node_kind(**node) != kind.as_deref());
        changes.nodes = moved.map(|(&node, kind)| (node, kind.clone())).collect();
        Ok(changes)
    }

    /// Follows an event; false when it removes what is not there.
    fn follow(&mut self, staged: &mut Staged, event: &Event) -> Result<bool> {
        match &event.subject {
            Subject::Edge { source, target, weight, kind } => {
                let pair = if event.operation == Operation::Remove {
                    let (Some(from), Some(to)) = (self.known(staged, source)?, self.known(staged, target)?) else {
                        return Ok(false);
                    };
                    (from, to)
                } else {
                    (self.number(staged, source)?, self.number(staged, target)?)
                };
                let before = self.staged_weight(staged, pair)?;
                // What the weights of this moment count: those that come with the event, and those that it is told.
                let factor = match (self.decay, event.operation, weight) {
                    (None, ..) | (_, Operation::Remove, None) => 1.0,
                    (Some(decay), ..) => {
                        decay.factor(event.time).map_err(|why| Error::Request { what: why.to_string() })?
                    }
                };
                let change = match (event.operation, weight) {
                    (Operation::Add, weight) => PairChange::Add(weight.unwrap_or(1.0) * factor),
                    (Operation::Set, weight) => PairChange::Set(weight.unwrap_or(1.0) * factor),
                    (Operation::Remove, Some(weight)) => PairChange::Subtract(*weight * factor),
                    (Operation::Remove, None) => PairChange::Remove,
                };
                let change = match (change, before, self.decay) {
                    // All that is left is taken, as far as whoever sent the event can know.
                    (PairChange::Subtract(less), Some(own), Some(_)) if (own - less).abs() <= own * ROUNDING => {
                        PairChange::Remove
                    }
                    (change, ..) => change,
                };
                if event.operation == Operation::Remove && before.is_none() {
                    return Ok(false);
                }
                if let (PairChange::Subtract(less), Some(own)) = (change, before)
                    && own < less
                {
                    let (less, own) = (less / factor, own / factor);
                    let what = format!(
                        "{less} cannot be taken from the edge from {source:?} to {target:?}, which weighs {own}"
                    );
                    return Err(Error::Request { what });
                }
                let after = change.after(before);
                if let Some(after) = after.filter(|after| !(LEAST_WEIGHT..=MOST_WEIGHT).contains(after)) {
                    let what = if after < LEAST_WEIGHT { "less" } else { "more" };
                    let what = format!("the edge from {source:?} to {target:?} would weigh {what} than can be counted");
                    return Err(Error::Request { what });
                }
                staged.put(pair, change, after);
                if let Some(kind) = kind.as_ref().filter(|_| after.is_some()) {
                    let mut kinds = match event.operation {
                        Operation::Set => BTreeSet::new(),
                        _ => self.staged_kinds(staged, pair)?,
                    };
                    kinds.insert(kind.clone());
                    staged.edge_kinds.insert(pair, kinds);
                }
                Ok(true)
            }
            Subject::Node { id, .. } if event.operation == Operation::Remove => {
                let Some(node) = self.known(staged, id)? else { return Ok(false) };
                for pair in self.edges_of(staged, node)? {
                    staged.put(pair, PairChange::Remove, None);
                }
                Ok(true)
            }
            Subject::Node { id, kind } => {
                let node = self.number(staged, id)?;
                if kind.is_some() || event.operation == Operation::Set {
                    staged.node_kinds.insert(node, kind.clone());
                }
                Ok(true)
            }
        }
    }

    /// The node with an id, if there is one.
    fn known(&self, staged: &Staged, id: &str) -> Result<Option<NodeId>> {
        match staged.new_nodes.get(id).or_else(|| self.new_nodes.get(id)) {
            Some(&node) => Ok(Some(node)),
            None => Ok(self.labels.node(id)?),
        }
    }

    /// The node with an id, new if need be.
    fn number(&self, staged: &mut Staged, id: &str) -> Result<NodeId> {
        if let Some(node) = self.known(staged, id)? {
            return Ok(node);
        }
        let is_integer = || id.parse::<i64>().is_ok_and(|number| number.to_string() == id);
        if self.labels.are_integers() && !is_integer() {
            let what = format!("{id:?} can be no id of this graph, whose ids are integers");
            return Err(Error::Request { what });
        }
        let number = self.graph.nodes() + self.new_ids.len() + staged.new_ids.len();
        let many = |_| Error::Request { what: "there are more new nodes than can be numbered".to_owned() };
        let node = NodeId::try_from(number).map_err(many)?;
        staged.new_ids.push(id.to_owned());
        staged.new_nodes.insert(id.to_owned(), node);
        Ok(node)
    }

    /// A row as it is in the base; that of a new node is empty.
    fn base_row(&self, node: NodeId) -> Result<Vec<(NodeId, f64)>> {
        if self.graph.nodes() <= node as usize {
            return Ok(Vec::new());
        }
        let row = self.graph.row(node)?;
        Ok(row.targets.iter().enumerate().map(|(at, &target)| (target, row.weight(at))).collect())
    }

    /// Where an edge lies in the rows of the base.
    fn position(&self, (source, target): Pair) -> Result<Option<usize>> {
        if self.graph.nodes() <= source as usize {
            return Ok(None);
        }
        Ok(self.graph.row(source)?.targets.binary_search(&target).ok())
    }

    /// What a pair weighs now.
    fn weight(&self, pair: Pair) -> Result<Option<f64>> {
        if let Some(weight) = self.pairs.get(&pair) {
            return Ok(*weight);
        }
        match self.position(pair)? {
            Some(at) => Ok(Some(self.graph.row(pair.0)?.weight(at))),
            None => Ok(None),
        }
    }

    /// What a pair will weigh.
    fn staged_weight(&self, staged: &Staged, pair: Pair) -> Result<Option<f64>> {
        staged.pairs.get(&pair).map_or_else(|| self.weight(pair), |weight| Ok(*weight))
    }

    fn base_kinds(&self, pair: Pair) -> Result<BTreeSet<String>> {
        let Some(at) = self.position(pair)? else { return Ok(BTreeSet::new()) };
        let first = usize::try_from(self.graph.offsets()[pair.0 as usize]).unwrap_or(usize::MAX);
        Ok(self.kinds.edge_kinds(first.saturating_add(at)).map(str::to_owned).collect())
    }

    fn staged_kinds(&self, staged: &Staged, pair: Pair) -> Result<BTreeSet<String>> {
        match staged.edge_kinds.get(&pair).or_else(|| self.edge_kinds.get(&pair)) {
            Some(kinds) => Ok(kinds.clone()),
            None => self.base_kinds(pair),
        }
    }

    /// All edges from and to a node as they will be. Cost: the first time the base graph is turned round.
    fn edges_of(&mut self, staged: &Staged, node: NodeId) -> Result<BTreeSet<Pair>> {
        if self.sources.is_none() {
            let mut sources: HashMap<NodeId, Vec<NodeId>> = HashMap::new();
            for source in (0..NodeId::MAX).take(self.graph.nodes()) {
                for &target in self.graph.row(source)?.targets {
                    sources.entry(target).or_default().push(source);
                }
            }
            self.sources = Some(sources);
        }
        let into = self.sources.as_ref().and_then(|sources| sources.get(&node)).into_iter().flatten();
        let mut pairs: BTreeSet<Pair> = into.map(|&source| (source, node)).collect();
        pairs.extend(self.base_row(node)?.into_iter().map(|(target, _)| (node, target)));
        let touched = self.pairs.keys().chain(staged.pairs.keys());
        pairs.extend(touched.copied().filter(|&(source, target)| source == node || target == node));
        let mut there = BTreeSet::new();
        for pair in pairs {
            if self.staged_weight(staged, pair)?.is_some() {
                there.insert(pair);
            }
        }
        Ok(there)
    }
}

impl Staged {
    fn put(&mut self, pair: Pair, change: PairChange, after: Option<f64>) {
        self.changes.push((pair, change));
        self.pairs.insert(pair, after);
        if after.is_none() {
            // Should it come back, it has none of its old types.
            self.edge_kinds.insert(pair, BTreeSet::new());
        }
    }
}

fn not_there(event: &Event) -> Error {
    let what = match &event.subject {
        Subject::Edge { source, target, .. } => format!("there is no edge from {source:?} to {target:?} to remove"),
        Subject::Node { id, .. } => format!("there is no node {id:?} to remove"),
    };
    Error::Request { what: format!("{what}; --missing ignore goes on") }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;
    use walkprint_engine::edges::EdgeList;
    use walkprint_engine::graph::NodeOrder;
    use walkprint_engine::ids::ExternalIds;
    use walkprint_engine::kinds::KindLists;

    use super::super::edits::{Edited, Edits};
    use super::*;
    use crate::load::store_edges;

    /// A store of five nodes.
    pub(in super::super) fn store(place: &std::path::Path, weighted: bool) -> Store {
        let edges = EdgeList {
            ids: ExternalIds::Integers((0..5).collect()),
            sources: vec![0, 0, 1, 2, 3],
            targets: vec![1, 2, 2, 0, 3],
            weights: weighted.then(|| vec![1.0, 0.5, 2.0, 3.0, 1.0]),
            kinds: KindLists::default(),
        };
        store_edges(&place.join("g.wp"), edges, NodeOrder::Id).unwrap()
    }

    fn event() -> impl Strategy<Value = Event> {
        let id = || (0..8u8).prop_map(|number| number.to_string());
        let weight = proptest::option::of((0u8..9).prop_map(|quarters| f64::from(quarters) / 4.0));
        let kind = proptest::option::of(prop_oneof![Just("likes".to_owned()), Just("owns".to_owned())]);
        let operation = proptest::sample::select(Operation::ALL.to_vec());
        let edge =
            (operation.clone(), id(), id(), weight, kind).prop_map(|(operation, source, target, weight, kind)| {
                let kind = kind.filter(|_| operation != Operation::Remove);
                Event { operation, subject: Subject::Edge { source, target, weight, kind }, time: None, event_id: None }
            });
        let node = (operation, id()).prop_filter_map("Edits has no way to take a type", |(operation, id)| {
            let kind = (operation == Operation::Set).then(|| "person".to_owned());
            Some(Event { operation, subject: Subject::Node { id, kind }, time: None, event_id: None })
        });
        prop_oneof![9 => edge, 1 => node]
    }

    /// The same by the simple way; false when it was refused or is missing.
    fn follow(edits: &mut Edits<'_>, event: &Event) -> bool {
        let edited = match (&event.subject, event.operation) {
            (Subject::Edge { source, target, weight, kind }, Operation::Add) => {
                edits.add_edge(source, target, *weight, kind.as_deref())
            }
            (Subject::Edge { source, target, weight, kind }, Operation::Set) => {
                edits.set_edge(source, target, *weight, kind.as_deref())
            }
            (Subject::Edge { source, target, weight, .. }, Operation::Remove) => {
                edits.remove_edge(source, target, *weight)
            }
            (Subject::Node { id, .. }, Operation::Remove) => edits.remove_node(id),
            (Subject::Node { id, kind }, _) => edits.set_node(id, kind.as_deref()),
        };
        matches!(edited, Ok(Edited::Done))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

        #[test]
        fn what_comes_of_events_is_what_comes_of_following_them_one_by_one(
            weighted in any::<bool>(),
            batches in proptest::collection::vec(proptest::collection::vec(event(), 1..8), 1..5),
            workers in 1usize..3,
        ) {
            let place = tempfile::tempdir().unwrap();
            let store = store(place.path(), weighted);
            let mut live = LiveGraph::open(&store, workers).unwrap();
            let (graph, labels, kinds) = (store.graph().unwrap(), store.labels().unwrap(), Kinds::default());
            let mut edits = Edits::new(&graph, &labels, &kinds);
            for batch in batches {
                // What is refused is left out, as one who sends events would; nothing of it must be left.
                let mut good = Vec::new();
                for event in batch {
                    good.push(event.clone());
                    let staged = live.stage(&good, Missing::Refuse);
                    if let Err(refused) = &staged {
                        prop_assert_eq!(refused.place, good.len() - 1);
                        good.pop();
                    }
                    prop_assert_eq!(staged.is_ok(), follow(&mut edits, &event), "{:?}", event);
                }
                let staged = live.stage(&good, Missing::Refuse).unwrap();
                live.commit(staged).unwrap();
            }
            prop_assert_eq!(live.changes().unwrap(), edits.finish().unwrap());
        }
    }

    #[test]
    fn no_row_gets_too_heavy_or_too_light_to_be_divided_by() {
        let place = tempfile::tempdir().unwrap();
        let mut live = LiveGraph::open(&store(place.path(), true), 1).unwrap();
        let add = |target: &str, weight| Event::edge(Operation::Add, "4", target).weighing(weight);
        for (event, what) in [(add("0", 1e308), "more"), (add("0", 5e-324), "less")] {
            let refused = live.stage(&[event], Missing::Refuse).unwrap_err();
            assert!(refused.why.to_string().contains(what), "{}", refused.why);
        }
        let heavy: Vec<Event> = ["0", "1", "2", "3", "5", "6"].map(|target| add(target, MOST_WEIGHT)).into();
        let staged = live.stage(&heavy, Missing::Refuse).unwrap();
        live.commit(staged).unwrap();
        assert!(live.changes().unwrap().graph(live.base()).is_ok());
    }

    #[test]
    fn what_is_not_there_is_refused_or_counted() {
        let place = tempfile::tempdir().unwrap();
        let mut live = LiveGraph::open(&store(place.path(), true), 1).unwrap();
        let gone = Event::edge(Operation::Remove, "4", "0");
        let refused = live.stage(&[Event::edge(Operation::Add, "4", "1"), gone.clone()], Missing::Refuse).unwrap_err();
        assert_eq!(refused.place, 1);
        assert!(refused.why.to_string().contains("no edge from \"4\" to \"0\""), "{}", refused.why);
        assert_eq!(live.stage(&[gone], Missing::Ignore).unwrap().missing, 1);
        let much = Event::edge(Operation::Remove, "0", "2").weighing(0.75);
        let refused = live.stage(&[much], Missing::Ignore).unwrap_err();
        assert!(refused.why.to_string().contains("weighs 0.5"), "{}", refused.why);
        let word = live.stage(&[Event::edge(Operation::Add, "0", "zero")], Missing::Refuse).unwrap_err();
        assert!(word.why.to_string().contains("integers"), "{}", word.why);
        assert!(live.changes().unwrap().is_empty());
    }
}
