//! A graph batch after batch: what the events that have come make of it, without beginning anew each time.
//!
//! **What it is after any batches is what [`Changes`](super::Changes) make of the base at once**, bit for bit: the same graph, labels
//! and types, and the same differences for the indexes. (Test: `batch_after_batch_it_is_what_it_is_at_once`.)
//!
//! Cost of a batch: the edges of the graph are copied (one to three milliseconds a million), and the rows that the batch
//! changed are read; ids only where nodes are new, types only where something has one. Memory: 16 bytes an edge of changed rows, and
//! the types of the base once more.

use std::collections::BTreeSet;

use walkprint_engine::graph::{ChangedKinds, ChangedRows as NewRows, Graph};
use walkprint_engine::ids::NodeId;
use walkprint_engine::kinds::{KindTables, Kinds};
use walkprint_engine::labels::Labels;
use walkprint_engine::query::ChangedRows;

use super::graph::LiveGraph;
use crate::error::Result;

/// What the batches so far have come to.
pub struct Overlay {
    /// The rows that differ from the base's, and those of them in which a weight is not 1.
    rows: NewRows,
    weighing: BTreeSet<NodeId>,
    /// The graph as it is.
    graph: Option<Graph>,
    labels: Labels,
    new_nodes: usize,
    differences: ChangedRows,
    /// The types of the base, once they were needed, and those of now.
    tables: Option<KindTables>,
    kinds: Option<Kinds>,
    kind_changes: ChangedKinds,
}

/// A graph as it is after a batch.
pub struct Overlaid {
    /// The graph; a weighted one has no sampling table.
    pub graph: Graph,
    /// The ids of its nodes.
    pub labels: Labels,
    /// The types of its nodes and edges, if there are any.
    pub kinds: Option<Kinds>,
    /// What differs from the graph that the indexes are of.
    pub changes: ChangedRows,
    /// The rows that the batch changed.
    pub moved: BTreeSet<NodeId>,
    /// Whether there are the same nodes of the same types as before the batch.
    pub same_nodes: bool,
}

impl Overlay {
    /// Nothing has come yet.
    ///
    /// # Errors
    /// When the graph is damaged.
    pub fn new(live: &LiveGraph) -> Result<Overlay> {
        let kinds = live.kinds().clone().if_any();
        Ok(Overlay {
            rows: NewRows::new(),
            weighing: BTreeSet::new(),
            graph: None,
            labels: live.labels().clone(),
            new_nodes: 0,
            differences: ChangedRows::of_rows(live.base(), live.base(), [])?,
            tables: None,
            kinds,
            kind_changes: ChangedKinds::default(),
        })
    }

    /// Follows what was counted since it followed last.
    ///
    /// # Errors
    /// When the graph is damaged. What has come may then be forgotten: begin anew.
    pub fn follow(&mut self, live: &mut LiveGraph) -> Result<Overlaid> {
        let moved = live.take_moved();
        let mut new_rows = NewRows::new();
        for &node in &moved {
            let row = live.row(node)?;
            let differs = live.rows().contains_key(&node);
            if differs && row.iter().any(|&(_, weight)| weight != 1.0) {
                self.weighing.insert(node);
            } else {
                self.weighing.remove(&node);
            }
            if differs {
                self.rows.insert(node, row.clone());
            } else {
                self.rows.remove(&node);
            }
            new_rows.insert(node, row);
        }
        let base = live.base();
        let new = &live.new_ids()[self.new_nodes..];
        let mut same_nodes = new.is_empty();
        self.labels = self.labels.with_added(new)?;
        self.new_nodes += new.len();
        let nodes = base.nodes() + self.new_nodes;
        // Only what is new has to be looked at, except where weights that made the graph a weighted one are gone again.
        let is_too_wide = |before: &Graph| before.is_weighted() && !base.is_weighted() && self.weighing.is_empty();
        let graph = match self.graph.as_ref().filter(|before| !is_too_wide(before)) {
            Some(before) => before.with_rows(nodes, &new_rows)?,
            None => base.with_rows(nodes, &self.rows)?,
        };
        self.graph = Some(graph.clone());
        self.differences = self.differences.updated(base, &graph, moved.iter().copied())?;
        if live.is_typed() || self.kinds.is_some() {
            let kind_changes = live.kind_changes()?;
            same_nodes &= kind_changes.nodes == self.kind_changes.nodes;
            let edges_have = live.kinds().has_edge_kinds() || !kind_changes.edges.is_empty();
            if !same_nodes || edges_have || kind_changes != self.kind_changes {
                if self.tables.is_none() {
                    self.tables = Some(live.kinds().tables()?);
                }
                let none = KindTables::default();
                let tables = self.tables.as_ref().unwrap_or(&none);
                let tables = tables.changed(base, &graph, &self.rows, &kind_changes)?;
                self.kinds = Kinds::from(&tables).if_any();
            }
            self.kind_changes = kind_changes;
        }
        Ok(Overlaid {
            graph,
            labels: self.labels.clone(),
            kinds: self.kinds.clone(),
            changes: self.differences.clone(),
            moved,
            same_nodes,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use walkprint_engine::events::{Event, Operation};

    use super::super::graph::Missing;
    use super::super::graph::tests::store;
    use super::*;

    fn event() -> impl Strategy<Value = Event> {
        let id = || (0..8u8).prop_map(|number| number.to_string());
        let operation = proptest::sample::select(Operation::ALL.to_vec());
        let kind = proptest::option::weighted(0.2, proptest::sample::select(vec!["likes", "owns"]));
        let weight = proptest::option::of((0u8..9).prop_map(|quarters| f64::from(quarters) / 4.0));
        (operation, id(), id(), weight, kind, 0..8u8).prop_map(|(operation, source, target, weight, kind, what)| {
            let event = if what == 0 { Event::node(operation, source) } else { Event::edge(operation, source, target) };
            let event = weight.map_or(event.clone(), |weight| event.weighing(weight));
            match kind.filter(|_| operation != Operation::Remove) {
                Some(kind) => event.of_kind(kind),
                None => event,
            }
        })
    }

    /// All of a graph that answers read.
    fn told(graph: &Graph, labels: &Labels, kinds: &Kinds) -> String {
        let node = |node: NodeId| {
            let row = graph.row(node).unwrap();
            let first = usize::try_from(graph.offsets()[node as usize]).unwrap();
            let edge = |at: usize| {
                (row.targets[at], row.weight(at), kinds.edge_kinds(first + at).map(str::to_owned).collect::<Vec<_>>())
            };
            let edges: Vec<_> = (0..row.degree()).map(edge).collect();
            (labels.id(node).unwrap(), labels.rank(node).unwrap(), row.total, edges, kinds.node_kind(node))
        };
        let nodes = NodeId::try_from(graph.nodes()).unwrap();
        format!("{} {:?}", graph.is_weighted(), (0..nodes).map(node).collect::<Vec<_>>())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

        #[test]
        fn batch_after_batch_it_is_what_it_is_at_once(
            weighted in any::<bool>(),
            batches in proptest::collection::vec(proptest::collection::vec(event(), 1..6), 1..6),
        ) {
            let place = tempfile::tempdir().unwrap();
            let store = store(place.path(), weighted);
            let mut live = LiveGraph::open(&store, 1).unwrap();
            let mut overlay = Overlay::new(&live).unwrap();
            for batch in batches {
                let mut good = Vec::new();
                for event in batch {
                    good.push(event);
                    if live.stage(&good, Missing::Ignore).is_err() {
                        good.pop();
                    }
                }
                let staged = live.stage(&good, Missing::Ignore).unwrap();
                live.commit(staged).unwrap();
                let now = overlay.follow(&mut live).unwrap();
                let changes = live.changes().unwrap();
                let graph = changes.graph(live.base()).unwrap();
                let labels = changes.labels(live.labels()).unwrap();
                let tables = changes.kinds(&live.kinds().tables().unwrap(), live.base(), &graph).unwrap();
                let kinds = now.kinds.unwrap_or_default();
                prop_assert_eq!(
                    told(&now.graph, &now.labels, &kinds),
                    told(&graph, &labels, &Kinds::from(&tables))
                );
                let names = |kinds: &Kinds| kinds.node_kinds().chain(kinds.all_edge_kinds()).map(str::to_owned).collect::<Vec<_>>();
                prop_assert_eq!(names(&kinds), names(&Kinds::from(&tables)));
                let rows = ChangedRows::of_rows(live.base(), &graph, changes.rows.keys().copied()).unwrap();
                prop_assert_eq!(format!("{:?}", now.changes), format!("{:?}", rows));
            }
        }
    }
}
