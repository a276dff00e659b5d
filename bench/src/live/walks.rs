//! How many walks a change of rows concerns: those that came to a changed row, those that would have to choose otherwise there, and what
//! came out otherwise.
//!
//! A fingerprint does not say which of its visits are of one walk. So a walk that came to changed rows several times counts so often, but no
//! source counts more walks than it sent. With consistent choice a walk on a changed row chooses another target with the
//! row's total variation distance, half the sum of `|P' - P|`: no sampling can change fewer on average.

use anyhow::{Context, Result, ensure};
use walkprint_engine::fingerprint::Visits;
use walkprint_engine::graph::Graph;
use walkprint_engine::ids::NodeId;
use walkprint_engine::index::Index;
use walkprint_engine::plan::UNITS_PER_WALK;

/// What a change did to the walks of an index.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Concerned {
    /// All walks.
    pub(super) walks: f64,
    /// Walks that came to a changed row, at most.
    pub(super) came: f64,
    /// Walks that must choose otherwise there, at most; by consistent choice no others would.
    pub(super) otherwise: f64,
    /// Sources with another fingerprint.
    pub(super) differ: u64,
    /// Visits that are on another node than before, and all visits before.
    pub(super) moved: f64,
    pub(super) visits: f64,
}

/// Compares an index with that of the graph after some rows have changed. Nodes are the same.
///
/// # Errors
/// When a graph or an index is damaged.
pub(super) fn concerned(
    before: (&Graph, &Index),
    after: (&Graph, &Index),
    changed: impl IntoIterator<Item = NodeId>,
) -> Result<Concerned> {
    let mut variation = vec![None; before.0.nodes()];
    for node in changed {
        variation[node as usize] = Some(distance(before.0, after.0, node)?);
    }
    let goes_on = 1.0 - before.1.plan().restart_prob;
    let units_a_walk = f64::from(UNITS_PER_WALK);
    let mut sum = Concerned::default();
    for source in crate::graphs::nodes(before.0) {
        let fingerprint = before.1.fingerprint(source)?;
        let (mut came, mut otherwise) = (0.0, 0.0);
        let is_whole = fingerprint.for_each(|node, units| {
            let units = f64::from(units);
            sum.visits += units / units_a_walk;
            if let Some(variation) = variation[node as usize] {
                came += units / units_a_walk;
                otherwise += units / units_a_walk * goes_on * variation;
            }
        });
        ensure!(is_whole, "a fingerprint is damaged");
        let walks = f64::from(fingerprint.walks);
        sum.walks += walks;
        sum.came += came.min(walks);
        sum.otherwise += otherwise.min(walks);
        if before.1.packed(source)? != after.1.packed(source)? {
            sum.differ += 1;
            let read = |index: &Index| index.fingerprint(source)?.to_vec().context("a fingerprint is damaged");
            sum.moved += moved(&read(before.1)?, &read(after.1)?) / units_a_walk;
        }
    }
    Ok(sum)
}

/// Half the sum of absolute differences of a row's transition probabilities. A walk that ends on a dangling node goes nowhere.
fn distance(before: &Graph, after: &Graph, node: NodeId) -> Result<f64> {
    let share = |graph: &Graph| -> Result<Vec<(NodeId, f64)>> {
        let row = graph.row(node)?;
        Ok(row.targets.iter().enumerate().map(|(at, &target)| (target, row.weight(at) / row.total)).collect())
    };
    let (old, new) = (share(before)?, share(after)?);
    if old.is_empty() != new.is_empty() {
        return Ok(1.0);
    }
    Ok(differences(&old, &new) / 2.0)
}

/// Units that lie elsewhere; where there are more or fewer, those too count by half.
fn moved(old: &[Visits], new: &[Visits]) -> f64 {
    let pairs = |visits: &[Visits]| visits.iter().map(|one| (one.node, f64::from(one.units))).collect::<Vec<_>>();
    differences(&pairs(old), &pairs(new)) / 2.0
}

/// The sum of absolute differences of two sparse vectors, ascending by node.
fn differences(old: &[(NodeId, f64)], new: &[(NodeId, f64)]) -> f64 {
    let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
    let mut sum = 0.0;
    loop {
        sum += match (old.peek(), new.peek()) {
            (Some((left, one)), Some((right, other))) if left == right => {
                let difference = (one - other).abs();
                old.next();
                new.next();
                difference
            }
            (Some(&&(left, value)), right) if right.is_none_or(|&&(right, _)| left < right) => {
                old.next();
                value
            }
            (_, Some(&&(_, value))) => {
                new.next();
                value
            }
            _ => return sum,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_taken_node_by_node() {
        let (old, new) = ([(1, 2.0), (3, 4.0), (9, 1.0)], [(2, 5.0), (3, 1.0)]);
        assert_eq!(differences(&old, &new), 2.0 + 3.0 + 1.0 + 5.0);
        assert_eq!(differences(&new, &old), 11.0);
        assert_eq!(differences(&[], &old), 7.0);
    }
}
