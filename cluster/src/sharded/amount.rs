//! Amounts of mass as whole numbers.
//!
//! Sums of floating-point numbers depend on the order in which they are made, and messages come in any order. Mass
//! therefore travels in units of 2^-60 of what the seeds have together: **sums are exact, so that answers do not depend on
//! how many workers there are.** (Test: `sharded::tests`.) Every product is rounded down, from the 53 bits of a double. A push
//! loses about a unit an edge, 1e-18; what was lost in all is reckoned when the answer is put together, and belongs to its error.

use serde::{Deserialize, Serialize};
use walkprint_engine::ids::NodeId;

/// The mass of all seeds of a question.
pub(super) const ONE: f64 = (1u64 << 60) as f64;

/// No node: where sums are paid. Nodes are numbered up to [`walkprint_engine::ids::MAX_NODES`].
pub(super) const NOWHERE: NodeId = NodeId::MAX;

/// So much mass of one lane at one node. A lane is one question of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Amount {
    /// Where.
    pub(crate) node: NodeId,
    /// Whose.
    pub(crate) lane: u32,
    /// How much.
    pub(crate) units: u64,
}

/// Mass in units, rounded down.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "masses are from 0 to 1")]
pub(super) fn units(mass: f64) -> u64 {
    (mass * ONE) as u64
}

/// A part of so many units, rounded down. `share` is at most 1.
#[inline]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of what has 64 bits")]
pub(super) fn part(units: f64, share: f64) -> u64 {
    (units * share) as u64
}

/// Units as a mass.
pub(super) fn mass(units: u64) -> f64 {
    units as f64 / ONE
}

/// Adds up amounts of the same lane and node.
pub(super) fn merge(amounts: &mut Vec<Amount>) {
    amounts.sort_unstable_by_key(|amount| (amount.node, amount.lane));
    amounts.dedup_by(|later, first| {
        let same = (later.node, later.lane) == (first.node, first.lane);
        if same {
            first.units += later.units;
        }
        same
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_merged_is_all_there() {
        let amount = |node, lane, units| Amount { node, lane, units };
        let mut amounts = vec![amount(2, 1, 5), amount(1, 9, 1), amount(2, 0, 7), amount(2, 1, 6)];
        merge(&mut amounts);
        assert_eq!(amounts, [amount(1, 9, 1), amount(2, 0, 7), amount(2, 1, 11)]);
    }

    #[test]
    fn parts_are_as_much_as_the_whole() {
        for whole in [1, 7, 1 << 20, (1 << 60) - 1, 1 << 60] {
            let shares = [0.1, 0.2, 0.3, 0.4];
            let parts: u64 = shares.iter().map(|share| part(whole as f64, *share)).sum();
            let rounding = 4 + whole / (1 << 50);
            assert!(parts.abs_diff(whole) < rounding, "{whole} {parts}");
        }
        assert_eq!(units(1.0), 1 << 60);
        assert!((mass(units(0.3)) - 0.3).abs() < 1e-15);
    }
}
