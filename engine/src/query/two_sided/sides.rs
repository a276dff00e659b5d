//! The edges between two sets of nodes, by the places that nodes have on their side.

use roaring::RoaringBitmap;

use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::ids::NodeId;
use crate::labels::Labels;

/// A node on no side.
const NOWHERE: u32 = u32::MAX;

/// Two sides of a graph. Nodes of a side have places, in the order of their ids: ties between equal scores go to the smaller
/// place. An edge from left to right is walked both ways; edges within a side, and from right to left, are not looked at.
///
/// Memory: 8 bytes an edge (24 with weights) and 20 a node.
#[derive(Debug, Clone)]
pub struct Sides {
    left: Vec<NodeId>,
    right: Vec<NodeId>,
    place_of: Vec<u32>,
    pub(super) to_right: Side,
    pub(super) to_left: Side,
}

/// The rows of one side.
#[derive(Debug, Clone)]
pub(super) struct Side {
    offsets: Vec<usize>,
    targets: Vec<u32>,
    weights: Option<Vec<f64>>,
    /// The sum of the weights of each row.
    pub(super) totals: Vec<f64>,
}

impl Side {
    fn new(offsets: Vec<usize>, targets: Vec<u32>, weights: Option<Vec<f64>>) -> Side {
        let totals = offsets.windows(2).map(|row| match &weights {
            Some(weights) => weights[row[0]..row[1]].iter().sum(),
            None => (row[1] - row[0]) as f64,
        });
        Side { totals: totals.collect(), offsets, targets, weights }
    }

    /// Where the edges of a row lie.
    pub(super) fn range(&self, place: u32) -> std::ops::Range<usize> {
        self.offsets[place as usize]..self.offsets[place as usize + 1]
    }

    /// The targets of a row, ascending.
    pub(super) fn row(&self, place: u32) -> &[u32] {
        &self.targets[self.range(place)]
    }

    pub(super) fn len(&self) -> usize {
        self.totals.len()
    }

    pub(super) fn weights(&self) -> Option<&[f64]> {
        self.weights.as_deref()
    }

    /// The rows turned round; `across` nodes on the other side.
    fn turned(&self, across: usize) -> Side {
        let mut offsets = vec![0; across + 1];
        self.targets.iter().for_each(|&target| offsets[target as usize + 1] += 1);
        (0..across).for_each(|at| offsets[at + 1] += offsets[at]);
        let mut next = offsets.clone();
        let mut targets = vec![0; self.targets.len()];
        let mut weights = self.weights.as_ref().map(|weights| vec![0.0; weights.len()]);
        for (source, row) in (0u32..).zip(self.offsets.windows(2)) {
            for edge in row[0]..row[1] {
                let place = &mut next[self.targets[edge] as usize];
                targets[*place] = source;
                if let (Some(to), Some(from)) = (&mut weights, &self.weights) {
                    to[*place] = from[edge];
                }
                *place += 1;
            }
        }
        Side::new(offsets, targets, weights)
    }
}

impl Sides {
    /// The edges of `graph` that lead from a left node to a right one. Cost: one pass over the rows of the left nodes, and
    /// sorting.
    ///
    /// # Errors
    /// When the sides overlap or lie outside the graph, or a row or label is damaged.
    pub fn new(graph: &Graph, labels: &Labels, left: &RoaringBitmap, right: &RoaringBitmap) -> Result<Sides> {
        if !left.is_disjoint(right) {
            let got = format!("{} nodes on both", left.intersection_len(right));
            return Err(Error::Parameter { name: "the sides", expected: "two without a node in common", got });
        }
        let by_id = |nodes: &RoaringBitmap| -> Result<Vec<NodeId>> {
            let mut ranked = nodes.iter().map(|node| Ok((labels.rank(node)?, node))).collect::<Result<Vec<_>>>()?;
            ranked.sort_unstable();
            Ok(ranked.into_iter().map(|(_, node)| node).collect())
        };
        let (left, right) = (by_id(left)?, by_id(right)?);
        let mut place_of = vec![NOWHERE; graph.nodes()];
        for side in [&left, &right] {
            for (place, &node) in (0u32..).zip(side) {
                *place_of.get_mut(node as usize).ok_or_else(|| graph.damaged_row(node))? = place;
            }
        }
        let is_right = |node: NodeId| {
            let place = place_of.get(node as usize).copied().filter(|&place| place != NOWHERE)?;
            (right.get(place as usize) == Some(&node)).then_some(place)
        };
        let mut offsets = vec![0];
        let (mut targets, mut weights) = (Vec::new(), graph.is_weighted().then(Vec::new));
        let mut row_places: Vec<(u32, f64)> = Vec::new();
        for &node in &left {
            let row = graph.row(node)?;
            row_places.clear();
            let edges = row.targets.iter().enumerate();
            row_places.extend(edges.filter_map(|(at, &to)| Some((is_right(to)?, row.weight(at)))));
            if row_places.iter().any(|(_, weight)| !(0.0 < *weight && weight.is_finite())) {
                return Err(graph.damaged_row(node));
            }
            row_places.sort_unstable_by_key(|&(place, _)| place);
            targets.extend(row_places.iter().map(|&(place, _)| place));
            if let Some(weights) = &mut weights {
                weights.extend(row_places.iter().map(|&(_, weight)| weight));
            }
            offsets.push(targets.len());
        }
        Ok(Sides::of_rows(left, right, place_of, Side::new(offsets, targets, weights)))
    }

    fn of_rows(left: Vec<NodeId>, right: Vec<NodeId>, place_of: Vec<u32>, to_right: Side) -> Sides {
        let to_left = to_right.turned(right.len());
        Sides { left, right, place_of, to_right, to_left }
    }

    /// The same nodes without some of the edges: those stay for which `keep`, called with the places of left and right, says so.
    #[must_use]
    pub fn filtered(&self, mut keep: impl FnMut(u32, u32) -> bool) -> Sides {
        let from = &self.to_right;
        let (mut offsets, mut targets, mut weights) = (vec![0], Vec::new(), from.weights.is_some().then(Vec::new));
        for (place, row) in (0u32..).zip(from.offsets.windows(2)) {
            for edge in row[0]..row[1] {
                if keep(place, from.targets[edge]) {
                    targets.push(from.targets[edge]);
                    if let (Some(to), Some(weights)) = (&mut weights, &from.weights) {
                        to.push(weights[edge]);
                    }
                }
            }
            offsets.push(targets.len());
        }
        let rows = Side::new(offsets, targets, weights);
        Sides::of_rows(self.left.clone(), self.right.clone(), self.place_of.clone(), rows)
    }

    /// The nodes on the left, by place.
    #[must_use]
    pub fn left(&self) -> &[NodeId] {
        &self.left
    }

    /// The nodes on the right, by place.
    #[must_use]
    pub fn right(&self) -> &[NodeId] {
        &self.right
    }

    /// How many edges there are, each counted once.
    #[must_use]
    pub fn edges(&self) -> usize {
        self.to_right.targets.len()
    }

    /// The place of a left node; `None` for all others.
    #[must_use]
    pub fn left_place(&self, node: NodeId) -> Option<u32> {
        let place = *self.place_of.get(node as usize)?;
        (self.left.get(place as usize) == Some(&node)).then_some(place)
    }

    /// The place of a right node; `None` for all others.
    #[must_use]
    pub fn right_place(&self, node: NodeId) -> Option<u32> {
        let place = *self.place_of.get(node as usize)?;
        (self.right.get(place as usize) == Some(&node)).then_some(place)
    }

    /// The right places that edges lead to from a left place, ascending.
    ///
    /// # Panics
    /// When there is no such place.
    #[must_use]
    pub fn row(&self, left: u32) -> &[u32] {
        self.to_right.row(left)
    }

    /// The row of a left place as seeds: right places with weights.
    ///
    /// # Panics
    /// When there is no such place.
    #[must_use]
    pub fn seeds(&self, left: u32) -> Vec<(u32, f64)> {
        let range = self.to_right.range(left);
        let places = self.to_right.targets[range.clone()].iter().copied();
        match &self.to_right.weights {
            Some(weights) => places.zip(weights[range].iter().copied()).collect(),
            None => places.map(|place| (place, 1.0)).collect(),
        }
    }

    /// How many edges a right place has.
    ///
    /// # Panics
    /// When there is no such place.
    #[must_use]
    pub fn popularity(&self, right: u32) -> usize {
        self.to_left.row(right).len()
    }
}
