//! The weighted graph that events make of a base graph, kept by differential dataflow.
//!
//! ```text
//! base rows ──┐
//!             ├─▶ pairs: one weight a pair ─▶ rows: degree, sum ─▶ changed rows ─▶ touched sources
//! changes  ───┘                                                                   ▲
//! visits ─────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! - `pairs` folds what happened to a pair of nodes, in the order of the log, beginning with what it weighed in the base graph.
//! - `rows` adds a row up: how many edges it has, and the sum of their weights in the order of targets, which is the order in
//!   which a graph that is built anew adds them up.
//! - `changed rows` are those with another weight than in the base; what they were *and* what they are tells where walks now end.
//! - `touched sources` are those whose walks visited a changed row, if the visits of an index are given.
//!
//! The base graph itself stays where it is: only rows that an event touches are told, once. Batches advance the time; a batch is
//! done when the frontier has passed it on every worker. State is the arrangements of those rows and of what happened to them, some
//! hundred bytes an event. **What it says equals a naive recomputation after any batches, on any number of workers.** (Test:
//! `it_says_what_a_naive_recomputation_says`.)
//!
//! Source: McSherry, Murray, Isaacs & Isard, "Differential dataflow", CIDR 2013.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use differential_dataflow::VecCollection;
use differential_dataflow::input::InputSession;
use serde::{Deserialize, Serialize};
use timely::dataflow::{ProbeHandle, Scope};
use timely::worker::Worker;
use walkprint_engine::ids::NodeId;

use crate::error::{Error, Result};
use crate::workers::{NAP, panicked};

/// A weight as its bits, which have an order.
type Bits = u64;
/// What a pair weighed in the base, and what it weighs now.
type Weights = (Option<Bits>, Option<Bits>);
/// Source and target of an edge.
pub type Pair = (NodeId, NodeId);

/// What happens to a pair of nodes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PairChange {
    /// Its edge weighs so much more.
    Add(f64),
    /// Its edge weighs so much less, and is gone if nothing is left.
    Subtract(f64),
    /// Its edge is gone.
    Remove,
    /// Its edge weighs so much; zero: it is gone.
    Set(f64),
}

impl PairChange {
    /// What becomes of a weight; none is none.
    #[must_use]
    pub fn after(self, weight: Option<f64>) -> Option<f64> {
        let next = match self {
            PairChange::Add(more) => weight.unwrap_or(0.0) + more,
            PairChange::Subtract(less) => weight.unwrap_or(0.0) - less,
            PairChange::Remove => 0.0,
            PairChange::Set(to) => to,
        };
        (0.0 < next).then_some(next)
    }
}

/// What was told of a pair. The base comes first, then changes in the order of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
enum Told {
    Base(Bits),
    /// The number of the event, and what it does.
    Changed(u64, Operation, Bits),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
enum Operation {
    Add,
    Subtract,
    Remove,
    Set,
}

impl Told {
    fn change(sequence: u64, change: PairChange) -> Told {
        let (operation, weight) = match change {
            PairChange::Add(weight) => (Operation::Add, weight),
            PairChange::Subtract(weight) => (Operation::Subtract, weight),
            PairChange::Remove => (Operation::Remove, 0.0),
            PairChange::Set(weight) => (Operation::Set, weight),
        };
        Told::Changed(sequence, operation, weight.to_bits())
    }

    fn after(self, weight: Option<f64>) -> Option<f64> {
        match self {
            Told::Base(bits) => Some(f64::from_bits(bits)),
            Told::Changed(_, operation, bits) => {
                let amount = f64::from_bits(bits);
                let change = match operation {
                    Operation::Add => PairChange::Add(amount),
                    Operation::Subtract => PairChange::Subtract(amount),
                    Operation::Remove => PairChange::Remove,
                    Operation::Set => PairChange::Set(amount),
                };
                change.after(weight)
            }
        }
    }
}

/// A batch of what happened.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// Rows of the base graph that no batch has told yet and this one changes: every edge of them.
    pub rows: Vec<(Pair, f64)>,
    /// What happened to pairs, each with its place in the log.
    pub changes: Vec<(Pair, u64, PairChange)>,
    /// Who visited which node, of nodes that have not been told yet: pairs of a node and a source.
    pub visits: Vec<(NodeId, NodeId)>,
}

/// A row as it is now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RowNow {
    /// Its edges.
    pub degree: u64,
    /// The sum of their weights.
    pub sum: f64,
    /// Its edges in the base graph.
    pub base_degree: u64,
}

/// What a batch changed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Changed {
    /// What pairs weigh now that weighed something else before the batch; `None`: as in the base graph again.
    pub pairs: BTreeMap<Pair, Option<PairNow>>,
    /// Rows that differ from the base graph's in another way than before the batch; `None`: no longer.
    pub rows: BTreeMap<NodeId, Option<RowNow>>,
    /// Sources that are touched now, and were not before, or the other way round.
    pub touched: BTreeMap<NodeId, bool>,
}

/// What a pair weighs now that weighed something else in the base graph.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairNow {
    /// Now; `None` where there is no edge.
    pub weight: Option<f64>,
}

/// A change of what a collection holds, as its operators tell it.
enum Output {
    Pair(Pair, Option<Bits>, isize),
    Row(NodeId, (u64, Bits, u64), isize),
    Touched(NodeId, isize),
}

enum Order {
    Batch(Arc<Batch>),
    Stop,
}

/// A running dataflow that keeps the graph that events make of a base graph. Dropping it ends its workers.
pub struct Dataflow {
    orders: Vec<Sender<Order>>,
    outputs: Receiver<Option<Vec<Output>>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Dataflow {
    fn drop(&mut self) {
        self.orders.iter().for_each(|orders| drop(orders.send(Order::Stop)));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

impl Dataflow {
    /// Starts workers that wait for batches.
    ///
    /// # Errors
    /// When there are no threads to be had.
    pub fn start(workers: usize) -> Result<Dataflow> {
        let workers = workers.max(1);
        let (orders, receivers): (Vec<_>, Vec<_>) = (0..workers).map(|_| channel()).unzip();
        let receivers = receivers.into_iter().map(|receiver| Mutex::new(Some(receiver))).collect::<Vec<_>>();
        let (told, outputs) = channel();
        let work = move |worker: &mut Worker| {
            let receiver = receivers[worker.index()].lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(receiver) = receiver {
                attend(worker, &receiver, &told);
            }
        };
        let run = move || {
            // Guards join the workers; one that panicked has told so by its hook, and its channel is closed.
            if let Ok(guards) = timely::execute(timely::Config::process(workers), work) {
                guards.join().into_iter().for_each(drop);
            }
        };
        let thread = std::thread::Builder::new().name("walkprint-live".to_owned()).spawn(run);
        let thread = thread.map_err(|error| Error::Workers(format!("could not start a thread: {error}")))?;
        Ok(Dataflow { orders, outputs, thread: Some(thread) })
    }

    /// Takes a batch, and says what it changed. Cost: the rows that it touches, some microseconds an edge of theirs.
    ///
    /// # Errors
    /// When a worker has panicked.
    pub fn apply(&mut self, batch: Batch) -> Result<Changed> {
        let batch = Arc::new(batch);
        for orders in &self.orders {
            orders.send(Order::Batch(Arc::clone(&batch))).map_err(|_| panicked())?;
        }
        let mut changed = Net::default();
        for _ in &self.orders {
            let outputs = self.outputs.recv().map_err(|_| panicked())?.ok_or_else(panicked)?;
            outputs.into_iter().for_each(|output| changed.take(output));
        }
        Ok(changed.finish())
    }
}

/// Differences of a batch, by what they are about: what came counts, what only left is as in the base again.
#[derive(Default)]
struct Net {
    pairs: BTreeMap<Pair, BTreeMap<Option<Bits>, isize>>,
    rows: BTreeMap<NodeId, BTreeMap<(u64, Bits, u64), isize>>,
    touched: BTreeMap<NodeId, isize>,
}

impl Net {
    fn take(&mut self, output: Output) {
        match output {
            Output::Pair(pair, weight, times) => {
                *self.pairs.entry(pair).or_default().entry(weight).or_default() += times
            }
            Output::Row(node, row, times) => *self.rows.entry(node).or_default().entry(row).or_default() += times,
            Output::Touched(source, times) => *self.touched.entry(source).or_default() += times,
        }
    }

    fn finish(self) -> Changed {
        fn came<V: Copy>(values: BTreeMap<V, isize>) -> Option<Option<V>> {
            let moved = values.values().any(|&times| times != 0);
            moved.then(|| values.into_iter().find(|&(_, times)| 0 < times).map(|(value, _)| value))
        }
        let weight = |bits: Option<Bits>| PairNow { weight: bits.map(f64::from_bits) };
        let row = |(degree, sum, base_degree)| RowNow { degree, sum: f64::from_bits(sum), base_degree };
        Changed {
            pairs: self.pairs.into_iter().filter_map(|(pair, all)| Some((pair, came(all)?.map(weight)))).collect(),
            rows: self.rows.into_iter().filter_map(|(node, all)| Some((node, came(all)?.map(row)))).collect(),
            touched: self
                .touched
                .into_iter()
                .filter(|&(_, times)| times != 0)
                .map(|(node, times)| (node, 0 < times))
                .collect(),
        }
    }
}

/// What a worker feeds.
struct Inputs {
    told: InputSession<u64, (Pair, Told), isize>,
    visits: InputSession<u64, (NodeId, NodeId), isize>,
}

impl Inputs {
    fn advance_to(&mut self, time: u64) {
        self.told.advance_to(time);
        self.told.flush();
        self.visits.advance_to(time);
        self.visits.flush();
    }
}

/// Tells the one who waits that a worker has panicked.
struct Watched<'t>(&'t Sender<Option<Vec<Output>>>);

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            drop(self.0.send(None));
        }
    }
}

/// One worker: batch after batch.
fn attend(worker: &mut Worker, orders: &Receiver<Order>, told: &Sender<Option<Vec<Output>>>) {
    let _watched = Watched(told);
    let mut inputs = Inputs { told: InputSession::new(), visits: InputSession::new() };
    let outputs = Arc::new(Mutex::new(Vec::new()));
    let probe = ProbeHandle::new();
    worker.dataflow::<u64, _, _>(|scope| keep(scope, &mut inputs, &probe, &outputs));
    let (me, peers) = (worker.index(), worker.peers());
    let is_mine = |node: NodeId| node as usize % peers == me;
    let mut time = 0;
    while let Ok(Order::Batch(batch)) = orders.recv() {
        for &(pair, weight) in batch.rows.iter().filter(|(pair, _)| is_mine(pair.0)) {
            inputs.told.update((pair, Told::Base(weight.to_bits())), 1);
        }
        for &(pair, sequence, change) in batch.changes.iter().filter(|(pair, ..)| is_mine(pair.0)) {
            inputs.told.update((pair, Told::change(sequence, change)), 1);
        }
        for &visit in batch.visits.iter().filter(|(node, _)| is_mine(*node)) {
            inputs.visits.update(visit, 1);
        }
        time += 1;
        inputs.advance_to(time);
        while probe.less_than(&time) {
            worker.step_or_park(Some(NAP));
        }
        let came = std::mem::take(&mut *outputs.lock().unwrap_or_else(PoisonError::into_inner));
        if told.send(Some(came)).is_err() {
            break;
        }
    }
    // The dataflow ends with its inputs.
}

/// The dataflow of one worker.
fn keep(scope: Scope<'_, u64>, inputs: &mut Inputs, probe: &ProbeHandle<u64>, outputs: &Arc<Mutex<Vec<Output>>>) {
    let put = |outputs: &Arc<Mutex<Vec<Output>>>| {
        let outputs = Arc::clone(outputs);
        move |output| outputs.lock().unwrap_or_else(PoisonError::into_inner).push(output)
    };
    // What each pair weighed, and what it weighs.
    let pairs: VecCollection<'_, u64, (Pair, Weights), isize> =
        inputs.told.to_collection(scope).reduce(|_, told, weights| {
            let was = told.iter().find_map(|(told, _)| match **told {
                Told::Base(bits) => Some(bits),
                Told::Changed(..) => None,
            });
            let now = told.iter().fold(None, |weight, (told, _)| told.after(weight));
            weights.push(((was, now.map(f64::to_bits)), 1));
        });
    let tell = put(outputs);
    pairs
        .clone()
        .filter(|(_, (was, now))| was != now)
        .inspect(move |((pair, (_, now)), _, times)| tell(Output::Pair(*pair, *now, *times)))
        .probe_with(probe);
    // What each row that was told adds up to; those that are as they were are left out.
    let rows = pairs.map(|((source, target), (was, now))| (source, (target, was, now))).reduce(|_, pairs, rows| {
        if pairs.iter().all(|((_, was, now), _)| was == now) {
            return;
        }
        let weights = || pairs.iter().filter_map(|((_, _, now), _)| now.map(f64::from_bits));
        let base_degree = pairs.iter().filter(|((_, was, _), _)| was.is_some()).count() as u64;
        rows.push(((weights().count() as u64, weights().sum::<f64>().to_bits(), base_degree), 1));
    });
    let tell = put(outputs);
    let changed = rows
        .inspect(move |((node, row), _, times)| tell(Output::Row(*node, *row, *times)))
        .map(|(node, _)| node)
        .distinct();
    let tell = put(outputs);
    inputs
        .visits
        .to_collection(scope)
        .semijoin(changed)
        .map(|(_, source)| source)
        .distinct()
        .inspect(move |(source, _, times)| tell(Output::Touched(*source, *times)))
        .probe_with(probe);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const NODES: NodeId = 6;

    /// What a graph looks like after all changes, by plain maps.
    #[derive(Debug, Clone, Default, PartialEq)]
    struct Naive {
        base: BTreeMap<Pair, f64>,
        now: BTreeMap<Pair, f64>,
    }

    impl Naive {
        fn change(&mut self, pair: Pair, change: PairChange) {
            match change.after(self.now.get(&pair).copied()) {
                Some(weight) => self.now.insert(pair, weight),
                None => self.now.remove(&pair),
            };
        }

        fn row(edges: &BTreeMap<Pair, f64>, node: NodeId) -> Vec<f64> {
            edges.range((node, 0)..=(node, NodeId::MAX)).map(|(_, weight)| *weight).collect()
        }

        fn changed_rows(&self) -> BTreeMap<NodeId, RowNow> {
            let differs = |&node: &NodeId| {
                let of = |edges: &BTreeMap<Pair, f64>| -> Vec<(Pair, f64)> {
                    edges.range((node, 0)..=(node, NodeId::MAX)).map(|(pair, weight)| (*pair, *weight)).collect()
                };
                of(&self.base) != of(&self.now)
            };
            let row = |node| {
                let now = Naive::row(&self.now, node);
                let base_degree = Naive::row(&self.base, node).len() as u64;
                (node, RowNow { degree: now.len() as u64, sum: now.iter().sum(), base_degree })
            };
            (0..NODES).filter(differs).map(row).collect()
        }

        fn changed_pairs(&self) -> BTreeMap<Pair, PairNow> {
            let pairs: BTreeSet<Pair> = self.base.keys().chain(self.now.keys()).copied().collect();
            let differing = pairs.into_iter().filter(|pair| self.base.get(pair) != self.now.get(pair));
            differing.map(|pair| (pair, PairNow { weight: self.now.get(&pair).copied() })).collect()
        }
    }

    fn change() -> impl Strategy<Value = PairChange> {
        let weight = || (1u8..9).prop_map(|eighths| f64::from(eighths) / 8.0);
        prop_oneof![
            weight().prop_map(PairChange::Add),
            weight().prop_map(PairChange::Subtract),
            Just(PairChange::Remove),
            weight().prop_map(PairChange::Set),
            Just(PairChange::Set(0.0)),
        ]
    }

    fn pair() -> impl Strategy<Value = Pair> {
        (0..NODES, 0..NODES)
    }

    fn put_together<K: Ord + Copy, V: Copy>(all: &mut BTreeMap<K, V>, changed: &BTreeMap<K, Option<V>>) {
        for (key, value) in changed {
            match value {
                Some(value) => drop(all.insert(*key, *value)),
                None => drop(all.remove(key)),
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

        #[test]
        fn it_says_what_a_naive_recomputation_says(
            base in proptest::collection::btree_map(pair(), (1u8..9).prop_map(f64::from), 0..12),
            visits in proptest::collection::btree_set((0..NODES, 0..NODES), 0..20),
            batches in proptest::collection::vec(proptest::collection::vec((pair(), change()), 0..6), 1..6),
            workers in 1usize..3,
        ) {
            let mut dataflow = Dataflow::start(workers).unwrap();
            let mut naive = Naive { now: base.clone(), base };
            let (mut told, mut sequence) = (BTreeSet::new(), 0);
            let (mut pairs, mut rows, mut touched) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
            for changes in batches {
                let mut batch = Batch::default();
                for (pair, change) in changes {
                    if told.insert(pair.0) {
                        let row = naive.base.range((pair.0, 0)..=(pair.0, NodeId::MAX));
                        batch.rows.extend(row.map(|(pair, weight)| (*pair, *weight)));
                        batch.visits.extend(visits.iter().filter(|(node, _)| *node == pair.0));
                    }
                    naive.change(pair, change);
                    batch.changes.push((pair, sequence, change));
                    sequence += 1;
                }
                let changed = dataflow.apply(batch).unwrap();
                put_together(&mut pairs, &changed.pairs);
                put_together(&mut rows, &changed.rows);
                for (source, is_touched) in changed.touched {
                    if is_touched { touched.insert(source) } else { touched.remove(&source) };
                }
                prop_assert_eq!(&pairs, &naive.changed_pairs());
                prop_assert_eq!(&rows, &naive.changed_rows());
                let expected: BTreeSet<NodeId> =
                    visits.iter().filter(|(node, _)| rows.contains_key(node)).map(|(_, source)| *source).collect();
                prop_assert_eq!(&touched, &expected);
            }
        }
    }

    #[test]
    fn a_pair_that_came_back_is_as_in_the_base() {
        let mut dataflow = Dataflow::start(1).unwrap();
        let rows = vec![((1, 2), 3.0), ((1, 4), 1.0)];
        let first =
            dataflow.apply(Batch { rows, changes: vec![((1, 2), 0, PairChange::Add(0.5))], ..Batch::default() });
        let row = RowNow { degree: 2, sum: 4.5, base_degree: 2 };
        let first = first.unwrap();
        assert_eq!(first.pairs, BTreeMap::from([((1, 2), Some(PairNow { weight: Some(3.5) }))]));
        assert_eq!(first.rows, BTreeMap::from([(1, Some(row))]));
        let changes = vec![((1, 2), 1, PairChange::Set(3.0))];
        let back = dataflow.apply(Batch { changes, ..Batch::default() }).unwrap();
        assert_eq!(back.pairs, BTreeMap::from([((1, 2), None)]));
        assert_eq!(back.rows, BTreeMap::from([(1, None)]));
        let nothing = dataflow.apply(Batch::default()).unwrap();
        assert_eq!(nothing, Changed::default());
    }
}
