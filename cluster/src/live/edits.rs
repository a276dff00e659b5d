//! Events followed one by one: whatever they do to a graph, in maps, in order. Simple, so that faster ways can be compared
//! with it.

use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashMap;
use walkprint_engine::graph::Graph;
use walkprint_engine::ids::NodeId;
use walkprint_engine::kinds::Kinds;
use walkprint_engine::labels::Labels;

use super::changes::Changes;
use crate::error::{Error, Result};

/// What came of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edited {
    /// It was done.
    Done,
    /// What was to be removed is not there; nothing was done.
    Missing,
}

/// A graph that is being changed.
#[derive(Debug)]
pub struct Edits<'g> {
    graph: &'g Graph,
    labels: &'g Labels,
    kinds: &'g Kinds,
    new_ids: Vec<String>,
    new_nodes: HashMap<String, NodeId>,
    /// Rows that an event was about.
    rows: BTreeMap<NodeId, BTreeMap<NodeId, f64>>,
    /// Types of edges that an event was about.
    edge_kinds: BTreeMap<(NodeId, NodeId), BTreeSet<String>>,
    node_kinds: BTreeMap<NodeId, Option<String>>,
}

impl<'g> Edits<'g> {
    /// Begins with a graph as it is. Cost: constant.
    #[must_use]
    pub fn new(graph: &'g Graph, labels: &'g Labels, kinds: &'g Kinds) -> Edits<'g> {
        Edits {
            graph,
            labels,
            kinds,
            new_ids: Vec::new(),
            new_nodes: HashMap::new(),
            rows: BTreeMap::new(),
            edge_kinds: BTreeMap::new(),
            node_kinds: BTreeMap::new(),
        }
    }

    /// Adds an edge, or its weight (1 where none is given) and type to those of one that is there. Nodes come about with it.
    ///
    /// # Errors
    /// When the weight is none, or passes what can be counted; when labels or rows are damaged.
    pub fn add_edge(&mut self, source: &str, target: &str, weight: Option<f64>, kind: Option<&str>) -> Result<Edited> {
        let added = checked(weight.unwrap_or(1.0), source, target)?;
        let edge = (self.node(source)?, self.node(target)?);
        let row = self.row(edge.0)?;
        let weight = checked(row.get(&edge.1).map_or(added, |weight| weight + added), source, target)?;
        if weight != 0.0 {
            row.insert(edge.1, weight);
            if let Some(kind) = kind {
                self.kinds_of(edge)?.insert(kind.to_owned());
            }
        }
        Ok(Edited::Done)
    }

    /// Takes a weight from an edge, which vanishes when nothing is left; or removes it, where no weight is given.
    ///
    /// # Errors
    /// When the weight is none, or more than there is; when labels or rows are damaged.
    pub fn remove_edge(&mut self, source: &str, target: &str, weight: Option<f64>) -> Result<Edited> {
        let (Some(from), Some(to)) = (self.known(source)?, self.known(target)?) else { return Ok(Edited::Missing) };
        let Some(own) = self.row(from)?.get(&to).copied() else { return Ok(Edited::Missing) };
        let left = match weight {
            Some(weight) => own - checked(weight, source, target)?,
            None => 0.0,
        };
        if left < 0.0 {
            let taken = own - left;
            let what =
                format!("{taken} cannot be taken from the edge from {source:?} to {target:?}, which weighs {own}");
            return Err(Error::Request { what });
        }
        self.put((from, to), left)?;
        Ok(Edited::Done)
    }

    /// Gives an edge a weight (1 where none is given; 0 removes it), and a type if one is given. Nodes come about with it.
    ///
    /// # Errors
    /// When the weight is none; when labels or rows are damaged.
    pub fn set_edge(&mut self, source: &str, target: &str, weight: Option<f64>, kind: Option<&str>) -> Result<Edited> {
        let weight = checked(weight.unwrap_or(1.0), source, target)?;
        let edge = (self.node(source)?, self.node(target)?);
        self.put(edge, weight)?;
        if let (Some(kind), true) = (kind, weight != 0.0) {
            self.edge_kinds.insert(edge, [kind.to_owned()].into());
        }
        Ok(Edited::Done)
    }

    /// Makes a node, or gives one that is there a type, if one is given.
    ///
    /// # Errors
    /// When labels are damaged.
    pub fn set_node(&mut self, id: &str, kind: Option<&str>) -> Result<Edited> {
        let node = self.node(id)?;
        if let Some(kind) = kind {
            self.node_kinds.insert(node, Some(kind.to_owned()));
        }
        Ok(Edited::Done)
    }

    /// Removes all edges of a node. It keeps its number, its id and its type. Cost: every row is looked at.
    ///
    /// # Errors
    /// When labels or rows are damaged.
    pub fn remove_node(&mut self, id: &str) -> Result<Edited> {
        let Some(node) = self.known(id)? else { return Ok(Edited::Missing) };
        let changed = self.rows.iter().filter(|(_, row)| row.contains_key(&node)).map(|(&source, _)| source);
        let mut into: BTreeSet<NodeId> = changed.collect();
        for source in (0..NodeId::MAX).take(self.graph.nodes()) {
            if position(self.graph, (source, node))?.is_some() {
                into.insert(source);
            }
        }
        for source in into {
            if self.row(source)?.contains_key(&node) {
                self.put((source, node), 0.0)?;
            }
        }
        let own: Vec<NodeId> = self.row(node)?.keys().copied().collect();
        own.into_iter().try_for_each(|target| self.put((node, target), 0.0))?;
        Ok(Edited::Done)
    }

    /// What all events came to. Rows and types that are what they were are not among the changes.
    ///
    /// # Errors
    /// When a row is damaged.
    pub fn finish(self) -> Result<Changes> {
        let Edits { graph, kinds, new_ids, rows, edge_kinds, node_kinds, .. } = self;
        let mut changes = Changes { base_digest: graph.digest(), new_ids, ..Changes::default() };
        for ((source, target), own) in edge_kinds {
            let here = rows.get(&source).is_some_and(|row| row.contains_key(&target));
            let before = position(graph, (source, target))?;
            let before: BTreeSet<&str> = before.into_iter().flat_map(|position| kinds.edge_kinds(position)).collect();
            if here && !own.iter().map(String::as_str).eq(before) {
                changes.kinds.edges.insert((source, target), own);
            }
        }
        for (node, row) in rows {
            let row: Vec<(NodeId, f64)> = row.into_iter().collect();
            let same = if (node as usize) < graph.nodes() {
                let old = graph.row(node)?;
                old.degree() == row.len()
                    && row
                        .iter()
                        .enumerate()
                        .all(|(at, &(target, weight))| old.targets[at] == target && old.weight(at) == weight)
            } else {
                row.is_empty()
            };
            if !same {
                changes.rows.insert(node, row);
            }
        }
        let moved = |(node, kind): &(NodeId, Option<String>)| kinds.node_kind(*node) != kind.as_deref();
        changes.kinds.nodes = node_kinds.into_iter().filter(moved).collect();
        Ok(changes)
    }

    /// The node with an id, if there is one.
    fn known(&self, id: &str) -> Result<Option<NodeId>> {
        match self.new_nodes.get(id) {
            Some(&node) => Ok(Some(node)),
            None => Ok(self.labels.node(id)?),
        }
    }

    /// The node with an id, new if need be.
    fn node(&mut self, id: &str) -> Result<NodeId> {
        if let Some(node) = self.known(id)? {
            return Ok(node);
        }
        let number = self.graph.nodes() + self.new_ids.len();
        let many = |_| Error::Request { what: "there are more new nodes than can be numbered".to_owned() };
        let node = NodeId::try_from(number).map_err(many)?;
        self.new_ids.push(id.to_owned());
        self.new_nodes.insert(id.to_owned(), node);
        Ok(node)
    }

    fn row(&mut self, node: NodeId) -> Result<&mut BTreeMap<NodeId, f64>> {
        if !self.rows.contains_key(&node) {
            let mut row = BTreeMap::new();
            if (node as usize) < self.graph.nodes() {
                let old = self.graph.row(node)?;
                row.extend(old.targets.iter().enumerate().map(|(at, &target)| (target, old.weight(at))));
            }
            self.rows.insert(node, row);
        }
        Ok(self.rows.get_mut(&node).expect("it is there by now"))
    }

    fn put(&mut self, edge: (NodeId, NodeId), weight: f64) -> Result<()> {
        let row = self.row(edge.0)?;
        if weight != 0.0 {
            row.insert(edge.1, weight);
        } else if row.remove(&edge.1).is_some() {
            // Should it come back, it has none of its old types.
            self.edge_kinds.insert(edge, BTreeSet::new());
        }
        Ok(())
    }

    fn kinds_of(&mut self, edge: (NodeId, NodeId)) -> Result<&mut BTreeSet<String>> {
        if !self.edge_kinds.contains_key(&edge) {
            let before = position(self.graph, edge)?;
            let before = before.into_iter().flat_map(|position| self.kinds.edge_kinds(position)).map(str::to_owned);
            let before = before.collect();
            self.edge_kinds.insert(edge, before);
        }
        Ok(self.edge_kinds.get_mut(&edge).expect("it is there by now"))
    }
}

/// An edge's place in the rows of a graph.
fn position(graph: &Graph, (source, target): (NodeId, NodeId)) -> Result<Option<usize>> {
    if graph.nodes() <= source as usize {
        return Ok(None);
    }
    let at = graph.row(source)?.targets.binary_search(&target).ok();
    #[expect(clippy::cast_possible_truncation, reason = "a row that can be read lies inside a slice")]
    Ok(at.map(|at| graph.offsets()[source as usize] as usize + at))
}

fn checked(weight: f64, source: &str, target: &str) -> Result<f64> {
    if weight.is_finite() && 0.0 <= weight {
        return Ok(weight);
    }
    let what = format!(
        "the edge from {source:?} to {target:?} would weigh {weight}; expected a finite number that is not negative"
    );
    Err(Error::Request { what })
}
