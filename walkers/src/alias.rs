//! Alias tables: draw from a row's transition probabilities with one look at one slot.
//!
//! Walker (1977) cuts the unit interval into as many equally wide slots as the row has edges and fills each with the
//! shares of at most two of them; Vose (1991, "A linear algorithm for generating random numbers with a given
//! distribution") builds the table in linear time.

use walkprint_engine::error::Result;
use walkprint_engine::graph::{AliasSlot, Graph, Row, Steps};
use walkprint_engine::ids::NodeId;

/// The alias tables of all rows of a weighted graph, one slot an edge. Cost: linear in the edges.
///
/// # Errors
/// When a row of the graph is damaged.
pub fn tables(graph: &Graph) -> Result<Vec<AliasSlot>> {
    let nodes = NodeId::try_from(graph.nodes()).expect("the graph's builder bounds the number of nodes");
    let mut slots = Vec::with_capacity(graph.edges());
    let mut builder = Builder::default();
    for node in 0..nodes {
        builder.table(&graph.row(node)?, &mut slots);
    }
    Ok(slots)
}

/// The alias tables of a graph that was made of another one by [replacing rows](Graph::with_rows), `changed`, ascending: the
/// same that [`tables`] gives. Cost: slots of the other rows are copied; where that graph had no weights, they are made.
///
/// # Errors
/// When a row of a graph is damaged.
///
/// # Panics
/// When `graph` was not made of `before`, or `changed` are other rows.
pub fn changed_tables(
    before: &Graph,
    graph: &Graph,
    changed: impl IntoIterator<Item = NodeId>,
) -> Result<Vec<AliasSlot>> {
    let mut slots = Vec::with_capacity(graph.edges());
    let mut builder = Builder::default();
    let old = before.nodes();
    let keep = |first: NodeId, end: usize, slots: &mut Vec<AliasSlot>| {
        // Rows of nodes that are new and have none are empty.
        let (first, end) = (old.min(first as usize), old.min(end));
        #[expect(clippy::cast_possible_truncation, reason = "rows in memory, all of which were copied")]
        let edges = before.offsets()[first] as usize..before.offsets()[end] as usize;
        match before.steps() {
            Some(Steps::Alias(own)) => slots.extend_from_slice(&own[edges]),
            // Where all weights are 1, every slot is full.
            _ => {
                let full = |&target: &NodeId| AliasSlot { share: 1.0, target, alias: target };
                slots.extend(before.targets()[edges].iter().map(full));
            }
        }
    };
    if before.is_weighted() && before.steps().is_none() {
        return tables(graph);
    }
    let mut next = 0;
    for node in changed {
        keep(next, node as usize, &mut slots);
        builder.table(&graph.row(node)?, &mut slots);
        next = node + 1;
    }
    keep(next, graph.nodes(), &mut slots);
    Ok(slots)
}

/// Room that is reused from row to row.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    shares: Vec<f64>,
    small: Vec<usize>,
    large: Vec<usize>,
}

impl Builder {
    /// Appends the table of one row.
    fn table(&mut self, row: &Row<'_>, slots: &mut Vec<AliasSlot>) {
        self.fill(row.targets, row.total, |position| row.weight(position), slots);
    }

    /// Appends a table of targets with weights that add up to `total`.
    pub(crate) fn fill(
        &mut self,
        targets: &[u32],
        total: f64,
        weight: impl Fn(usize) -> f64,
        slots: &mut Vec<AliasSlot>,
    ) {
        let degree = targets.len();
        let first = slots.len();
        let scale = degree as f64 / total;
        self.shares.clear();
        self.small.clear();
        self.large.clear();
        for (position, &target) in targets.iter().enumerate() {
            // The division comes first where the weights are so small that the scale would overflow.
            let share =
                if scale.is_finite() { weight(position) * scale } else { weight(position) / total * degree as f64 };
            self.shares.push(share);
            if share < 1.0 {
                self.small.push(position)
            } else {
                self.large.push(position)
            }
            slots.push(AliasSlot { share: 1.0, target, alias: target });
        }
        while let (Some(&low), Some(&high)) = (self.small.last(), self.large.last()) {
            self.small.pop();
            let slot = &mut slots[first + low];
            slot.share = self.shares[low];
            slot.alias = targets[high];
            self.shares[high] -= 1.0 - self.shares[low];
            if self.shares[high] < 1.0 {
                self.large.pop();
                self.small.push(high);
            }
        }
        // What is left over on either list is full but for rounding: its slot keeps the share 1.
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use walkprint_engine::edges::EdgeList;
    use walkprint_engine::graph::{NodeOrder, build};
    use walkprint_engine::ids::ExternalIds;

    use super::*;

    proptest! {
        /// Oracle: the tables of all rows.
        #[test]
        fn tables_of_changed_rows_among_those_of_others(
            rows in prop::collection::vec(prop::collection::btree_map(0u32..12, 1u8..5, 0..9), 9),
            changed in prop::collection::btree_map(0u32..12, prop::collection::btree_map(0u32..12, 1u8..5, 0..9), 0..5),
            weighted: bool,
        ) {
            let weight = |code: u8| if weighted { f64::from(code) / 3.0 } else { 1.0 };
            let edges: Vec<(u32, u32, f64)> = (0..).zip(&rows)
                .flat_map(|(node, row)| row.iter().map(move |(&target, &code)| (node, target.min(8), weight(code))))
                .collect();
            let list = EdgeList {
                ids: ExternalIds::Integers((0..9).collect()),
                sources: edges.iter().map(|edge| edge.0).collect(),
                targets: edges.iter().map(|edge| edge.1).collect(),
                weights: weighted.then(|| edges.iter().map(|edge| edge.2).collect()),
                kinds: Default::default(),
            };
            let graph = build(list, NodeOrder::Id).unwrap().graph;
            let graph = if graph.is_weighted() {
                let slots = tables(&graph).unwrap();
                graph.with_aliases(slots)
            } else {
                graph
            };
            let of_weights = |row: &std::collections::BTreeMap<u32, u8>| -> Vec<(u32, f64)> {
                row.iter().map(|(&target, &code)| (target, f64::from(code) / 3.0)).collect()
            };
            let changed = changed.iter().map(|(&node, row)| (node, of_weights(row))).collect();
            let after = graph.with_rows(12, &changed).unwrap();
            let got = changed_tables(&graph, &after, changed.keys().copied()).unwrap();
            prop_assert_eq!(got, tables(&after).unwrap());
        }

        /// The probability of each target, added up over its shares of all slots, is its weight's share of the row.
        #[test]
        fn shares_add_up_to_the_weights(weights in prop::collection::vec(1e-3f64..1e3, 1..40), scale in -300i32..300) {
            let count = u32::try_from(weights.len()).unwrap();
            let edges = EdgeList {
                ids: ExternalIds::Integers((0..i64::from(count)).collect()),
                sources: vec![0; weights.len()],
                targets: (0..count).collect(),
                weights: Some(weights.iter().map(|weight| weight * 10f64.powi(scale)).collect()),
                kinds: Default::default(),
            };
            let graph = build(edges, NodeOrder::Id).unwrap().graph;
            let slots = tables(&graph).unwrap();
            let mut shares = vec![0.0; weights.len()];
            for slot in &slots {
                shares[slot.target as usize] += slot.share / f64::from(count);
                shares[slot.alias as usize] += (1.0 - slot.share) / f64::from(count);
            }
            let total: f64 = weights.iter().sum();
            for (share, weight) in shares.iter().zip(&weights) {
                prop_assert!((share - weight / total).abs() < 1e-9, "{share} {}", weight / total);
            }
        }
    }
}
