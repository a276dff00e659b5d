//! The graph after some of its rows have changed: the other rows are copied, and nothing is sorted or added up again.
//!
//! **A changed graph is the graph that [`build`](super::build) makes of the same edges in the same numbering**, to the last
//! byte and bit: rows, sums, widths of weights, and so its digest. (Test: `tests::changed_as_built`.)

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

use super::builder::BuildReport;
use super::rows::{Graph, Weights, are_single, row_total};
use crate::error::{Error, Result};
use crate::file::{Element, Section};
use crate::ids::{MAX_NODES, NodeId};

/// The new rows of some nodes: targets, ascending, and weights above zero. An empty row makes its node dangling.
pub type ChangedRows = BTreeMap<NodeId, Vec<(NodeId, f64)>>;

impl Graph {
    /// The graph in memory with `nodes` nodes, of which some have new rows. Nodes keep their numbers; those that are new come
    /// last, and are dangling unless they have a row.
    ///
    /// An unweighted graph stays so while every weight is 1; a weighted one stays weighted. A weighted graph has no sampling
    /// table yet, and a graph that was never written no digest.
    ///
    /// Cost: rows are copied, one to three milliseconds for a million edges; where weights were f64 for the sake of rows that
    /// are gone, one look at all of them.
    ///
    /// # Errors
    /// When there would be fewer nodes, or too many; when a row is not ascending, leads to no node, or has a weight that is
    /// none; when its weights add up to infinity, or to next to nothing; when the graph is damaged.
    pub fn with_rows(&self, nodes: usize, rows: &ChangedRows) -> Result<Graph> {
        check(self.nodes(), nodes, rows)?;
        let gone: usize = rows.keys().filter(|&&node| (node as usize) < self.nodes()).try_fold(0, |sum, &node| {
            self.row(node).map(|row| sum + row.degree()) // a damaged row is found here
        })?;
        let new: usize = rows.values().map(Vec::len).sum();
        let edges = self.edges().checked_sub(gone).ok_or_else(|| Error::damaged(self.path(), "rows overlap"))? + new;
        let mut offsets = Vec::with_capacity(nodes + 1);
        let mut targets = Vec::with_capacity(edges);
        let mut weights = self.weights_to_be(rows)?.with_room(nodes, edges);
        offsets.push(0);
        let mut next = 0;
        for (&node, row) in rows {
            self.keep(next..node as usize, &mut offsets, &mut targets, &mut weights)?;
            targets.extend(row.iter().map(|&(target, _)| target));
            weights.push(row)?;
            offsets.push(targets.len() as u64);
            next = node as usize + 1;
        }
        self.keep(next..nodes, &mut offsets, &mut targets, &mut weights)?;
        let path = PathBuf::from("(memory)");
        Ok(Graph::of_parts(path, offsets.into(), targets.into(), weights.finish()))
    }

    /// What there is to say of the graph, which was made from one of which `before` was said: what was found in the input stays.
    /// Cost: one pass over the rows.
    ///
    /// # Errors
    /// When a row is damaged.
    pub fn report(&self, before: &BuildReport) -> Result<BuildReport> {
        let mut report = BuildReport {
            nodes: self.nodes() as u64,
            edges: self.edges() as u64,
            self_loops: 0,
            dangling_nodes: 0,
            weighted: self.is_weighted(),
            weight_range: None,
            largest_degree: 0,
            ..before.clone()
        };
        let mut range = (f64::INFINITY, 0.0f64);
        for node in (0..NodeId::MAX).take(self.nodes()) {
            let row = self.row(node)?;
            report.self_loops += u64::from(row.targets.binary_search(&node).is_ok());
            report.dangling_nodes += u64::from(row.targets.is_empty());
            report.largest_degree = report.largest_degree.max(row.degree() as u64);
            if self.is_weighted() {
                let weights = (0..row.degree()).map(|position| row.weight(position));
                range = weights.fold(range, |(low, high), weight| (low.min(weight), high.max(weight)));
            }
        }
        if self.edges() != 0 {
            report.weight_range = Some(if self.is_weighted() { range } else { (1.0, 1.0) });
        }
        Ok(report)
    }

    /// How the weights of the changed graph are stored: nothing of them is there yet.
    fn weights_to_be(&self, rows: &ChangedRows) -> Result<NewWeights> {
        let mut changed = rows.values().flatten().map(|&(_, weight)| weight);
        if !self.is_weighted() && changed.clone().all(|weight| weight == 1.0) {
            return Ok(NewWeights::Equal);
        }
        let single = changed.all(|weight| are_single(&[weight])) && self.others_are_single(rows)?;
        Ok(if single { NewWeights::Single(Vec::new(), Vec::new()) } else { NewWeights::Double(Vec::new(), Vec::new()) })
    }

    /// Whether f32 holds every weight exactly, but for those of rows that change.
    fn others_are_single(&self, rows: &ChangedRows) -> Result<bool> {
        let Weights::Double(weights, _) = self.weights() else { return Ok(true) };
        let (weights, mut next) = (&weights[..], 0);
        for &node in rows.keys().take_while(|&&node| (node as usize) < self.nodes()) {
            let range = self.row_range(node)?;
            if !weights.get(next..range.start).is_some_and(are_single) {
                return Ok(false);
            }
            next = range.end;
        }
        Ok(are_single(weights.get(next..).unwrap_or_default()))
    }

    /// Appends the rows of nodes that have none of their own among the changed ones: as they are, or none for new nodes.
    fn keep(
        &self,
        nodes: Range<usize>,
        offsets: &mut Vec<u64>,
        targets: &mut Vec<NodeId>,
        weights: &mut NewWeights,
    ) -> Result<()> {
        let old = nodes.start.min(self.nodes())..nodes.end.min(self.nodes());
        let bounds = &self.offsets()[old.start..=old.end];
        let (first, last) = (bounds[0], bounds[bounds.len() - 1]);
        let ascend = bounds.is_sorted() && last <= self.edges() as u64;
        if !ascend {
            return Err(Error::damaged(self.path(), "row offsets do not ascend"));
        }
        let begin = targets.len() as u64;
        offsets.extend(bounds[1..].iter().map(|offset| offset - first + begin));
        #[expect(clippy::cast_possible_truncation, reason = "both are at most the length of a slice")]
        let edges = first as usize..last as usize;
        targets.extend_from_slice(&self.targets()[edges.clone()]);
        weights.keep(self.weights(), edges, bounds, old.clone());
        let new = nodes.len() - old.len();
        offsets.extend(std::iter::repeat_n(targets.len() as u64, new));
        weights.dangling(new);
        Ok(())
    }
}

fn check(before: usize, nodes: usize, rows: &ChangedRows) -> Result<()> {
    let refuse = |what: String| Err(Error::Graph { what });
    if nodes < before {
        return refuse(format!("of its {before} nodes only {nodes} would be left; a node without edges stays"));
    }
    if MAX_NODES < nodes as u64 {
        return refuse(format!("{nodes} nodes, at most {MAX_NODES} are possible"));
    }
    for (&node, row) in rows {
        let inside = (node as usize) < nodes && row.last().is_none_or(|&(last, _)| (last as usize) < nodes);
        if !inside || !row.is_sorted_by(|low, high| low.0 < high.0) {
            return refuse(format!("the new row of node {node} does not ascend, or leads to no node"));
        }
        if let Some((_, weight)) = row.iter().find(|(_, weight)| !(0.0 < *weight && weight.is_finite())) {
            return refuse(format!("an edge of node {node} has weight {weight}; expected a finite number above 0"));
        }
    }
    Ok(())
}

/// Weights, and sums of rows, on their way.
enum NewWeights {
    Equal,
    Single(Vec<f32>, Vec<f64>),
    Double(Vec<f64>, Vec<f64>),
}

impl NewWeights {
    fn with_room(mut self, nodes: usize, edges: usize) -> NewWeights {
        match &mut self {
            NewWeights::Equal => {}
            NewWeights::Single(weights, totals) => {
                weights.reserve_exact(edges);
                totals.reserve_exact(nodes);
            }
            NewWeights::Double(weights, totals) => {
                weights.reserve_exact(edges);
                totals.reserve_exact(nodes);
            }
        }
        self
    }

    fn push(&mut self, row: &[(NodeId, f64)]) -> Result<()> {
        #[expect(clippy::cast_possible_truncation, reason = "only weights that f32 holds exactly")]
        match self {
            NewWeights::Equal => {}
            NewWeights::Single(weights, totals) => {
                weights.extend(row.iter().map(|&(_, weight)| weight as f32));
                totals.push(row_total(row.iter().map(|&(_, weight)| weight))?);
            }
            NewWeights::Double(weights, totals) => {
                weights.extend(row.iter().map(|&(_, weight)| weight));
                totals.push(row_total(row.iter().map(|&(_, weight)| weight))?);
            }
        }
        Ok(())
    }

    /// Appends the weights of some edges and the sums of their rows, which `bounds` tell apart.
    fn keep(&mut self, old: &Weights, edges: Range<usize>, bounds: &[u64], nodes: Range<usize>) {
        #[expect(clippy::cast_possible_truncation, reason = "only weights that f32 holds exactly")]
        match self {
            NewWeights::Equal => {}
            NewWeights::Single(weights, totals) => {
                keep_totals(totals, old, bounds, nodes);
                match old {
                    Weights::Equal => weights.extend(std::iter::repeat_n(1.0, edges.len())),
                    Weights::Single(own, _) => weights.extend_from_slice(&own[edges]),
                    Weights::Double(own, _) => weights.extend(own[edges].iter().map(|&weight| weight as f32)),
                }
            }
            NewWeights::Double(weights, totals) => {
                keep_totals(totals, old, bounds, nodes);
                match old {
                    Weights::Equal => weights.extend(std::iter::repeat_n(1.0, edges.len())),
                    Weights::Single(own, _) => weights.extend(own[edges].iter().map(|&weight| f64::from(weight))),
                    Weights::Double(own, _) => weights.extend_from_slice(&own[edges]),
                }
            }
        }
    }

    fn dangling(&mut self, nodes: usize) {
        match self {
            NewWeights::Equal => {}
            NewWeights::Single(_, totals) | NewWeights::Double(_, totals) => {
                totals.extend(std::iter::repeat_n(total_of_nothing(), nodes));
            }
        }
    }

    fn finish(self) -> Weights {
        fn sections<T: Element>(weights: Vec<T>, totals: Vec<f64>) -> (Section<T>, Section<f64>) {
            (weights.into(), totals.into())
        }
        match self {
            NewWeights::Equal => Weights::Equal,
            NewWeights::Single(weights, totals) => {
                let (weights, totals) = sections(weights, totals);
                Weights::Single(weights, totals)
            }
            NewWeights::Double(weights, totals) => {
                let (weights, totals) = sections(weights, totals);
                Weights::Double(weights, totals)
            }
        }
    }
}

/// The sum of no weights, whose sign is a matter of bytes.
fn total_of_nothing() -> f64 {
    std::iter::empty::<f64>().sum()
}

fn keep_totals(totals: &mut Vec<f64>, old: &Weights, bounds: &[u64], nodes: Range<usize>) {
    match old {
        Weights::Equal => {
            let degrees = bounds.windows(2).map(|pair| pair[1] - pair[0]);
            totals.extend(degrees.map(|degree| if degree == 0 { total_of_nothing() } else { degree as f64 }));
        }
        Weights::Single(_, own) | Weights::Double(_, own) => totals.extend_from_slice(&own[nodes]),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::edges::EdgeList;
    use crate::graph::{NodeOrder, build};

    /// A weight: 1, a few that f32 holds, or one that it does not.
    fn weight(code: u8) -> f64 {
        match code {
            0..4 => 1.0,
            4..7 => f64::from(code),
            _ => 0.1 + f64::from(code),
        }
    }

    fn edges_of(rows: &ChangedRows) -> Vec<(u32, u32, f64)> {
        rows.iter().flat_map(|(&node, row)| row.iter().map(move |&(target, weight)| (node, target, weight))).collect()
    }

    fn written(graph: &Graph) -> (u128, Vec<u8>) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("graph.wpg");
        // Any table will do: that of walkers is compared there.
        let slots = graph.targets().iter().map(|&target| super::super::AliasSlot { share: 1.0, target, alias: target });
        let graph = if graph.is_weighted() { graph.clone().with_aliases(slots.collect()) } else { graph.clone() };
        let digest = graph.write(&path).unwrap();
        Graph::verify(&path).unwrap();
        (digest, std::fs::read(&path).unwrap())
    }

    fn row() -> impl Strategy<Value = BTreeMap<u32, u8>> {
        prop::collection::btree_map(0u32..14, 0u8..9, 0..8)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        /// Oracle: the same edges, built; in memory and from a file.
        #[test]
        fn changed_as_built(
            base in prop::collection::btree_map(0u32..9, row(), 0..9),
            changed in prop::collection::btree_map(0u32..14, row(), 0..6),
            weighted: bool,
            equal: bool,
            more in 0u32..6,
        ) {
            let nodes = 9 + more;
            let row = |row: &BTreeMap<u32, u8>, nodes: u32, equal: bool| -> Vec<(u32, f64)> {
                let inside = row.iter().filter(|&(&target, _)| target < nodes);
                inside.map(|(&target, &code)| (target, if equal { 1.0 } else { weight(code) })).collect()
            };
            let before: ChangedRows = base.iter().map(|(&node, own)| (node, row(own, 9, !weighted))).collect();
            let changes: ChangedRows = changed.iter().filter(|&(&node, _)| node < nodes)
                .map(|(&node, own)| (node, row(own, nodes, equal))).collect();
            let mut after = before.clone();
            after.extend(changes.clone());
            let base = build(EdgeList::numbered(9, &edges_of(&before), weighted), NodeOrder::Id).unwrap();
            let edges = edges_of(&after);
            let weighted = weighted || edges.iter().any(|edge| edge.2 != 1.0);
            let expected = build(EdgeList::numbered(nodes, &edges, weighted), NodeOrder::Id).unwrap();
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("base.wpg");
            std::fs::write(&path, written(&base.graph).1).unwrap();
            for graph in [base.graph, Graph::open(&path).unwrap()] {
                let changed = graph.with_rows(nodes as usize, &changes).unwrap();
                changed.check().unwrap();
                prop_assert_eq!(changed.is_weighted(), weighted);
                prop_assert!(written(&changed) == written(&expected.graph));
                for node in 0..nodes {
                    let totals = [&changed, &expected.graph].map(|graph| graph.row(node).unwrap().total.to_bits());
                    prop_assert_eq!(totals[0], totals[1]);
                }
                let report = changed.report(&base.report).unwrap();
                let found = BuildReport {
                    parallel_edges_merged: base.report.parallel_edges_merged,
                    zero_weight_edges: base.report.zero_weight_edges,
                    ..expected.report.clone()
                };
                prop_assert_eq!(report, found);
            }
        }
    }

    #[test]
    fn rows_that_are_none_are_refused() {
        let graph = build(EdgeList::numbered(3, &[(0, 1, 1.0), (1, 2, 2.0)], true), NodeOrder::Id).unwrap().graph;
        let changed = |nodes, node, row: &[(u32, f64)]| graph.with_rows(nodes, &[(node, row.to_vec())].into());
        assert!(changed(4, 3, &[(0, 1.0), (3, 0.5)]).is_ok());
        for refused in [
            changed(2, 0, &[]),
            changed(3, 3, &[]),
            changed(3, 0, &[(3, 1.0)]),
            changed(3, 0, &[(1, 1.0), (1, 1.0)]),
            changed(3, 0, &[(2, 1.0), (1, 1.0)]),
            changed(3, 0, &[(1, 0.0)]),
            changed(3, 0, &[(1, -1.0)]),
            changed(3, 0, &[(1, f64::NAN)]),
            changed(3, 0, &[(1, f64::INFINITY)]),
            changed(3, 0, &[(0, f64::MAX), (1, f64::MAX)]),
            changed(3, 0, &[(1, f64::from_bits(1))]),
        ] {
            assert!(matches!(refused, Err(Error::Graph { .. })), "{refused:?}");
        }
    }
}
