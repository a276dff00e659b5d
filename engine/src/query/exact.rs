//! Exact answers: pushing while few nodes are concerned, then sweeping until the answer stands still.
//!
//! ```text
//! residual = s, answer = 0
//! while few nodes are concerned:                                         (push::local)
//!     push every node with residual > IDLE * target / costs * cost       cost = max(1, out-degree), costs = their sum
//! if that was not enough: sweep until the bound is at most the target    (sweep)
//! ```
//!
//! The first phase is the local half of PowerPush (Wu, Gan, Wei & Zhang 2021, "Unifying the Global and Local Approaches",
//! section 5, Algorithm 3); the second half of PowerPush, scans that push, was measured at 61 ms on soc-Epinions1
//! where sweeps take 13 (L1 1e-8, restart probability 0.15): ARCHITECTURE, "Answers".
//!
//! **The L1 error is at most the residual that is returned.** After the local phase `answer <= q` everywhere and the sum of
//! residuals bounds the error; after sweeps it is their bound (see [`super::sweep`]). Rounding comes on top, in proportion to
//! 1 / restart probability: at a target of 1e-14 the L1 distance from a dense solve stays below 1e-13 for restart
//! probabilities from 0.01 to 1. (Test: `query::tests::exactness`.) Where rounding forbids the target, the residual that was
//! reached is returned.

use super::push::{self, MOST_ROUNDS, Pushed, Pusher, Stop};
use super::sweep::{Goal, LazySweeper};
use super::workspace::Workspace;
use crate::error::Result;
use crate::ids::NodeId;

/// The share of the target that may lie idle below the threshold of the local phase.
const IDLE: f64 = 0.5;

/// Answers on a clear workspace, with an L1 error of at most `target`. Returns the bound that was reached.
///
/// # Errors
/// When the graph is damaged.
pub(super) fn solve(
    pusher: Pusher<'_>,
    space: &mut Workspace,
    sweeper: &mut LazySweeper<'_>,
    seeds: &[(NodeId, f64)],
    target: f64,
) -> Result<f64> {
    space.sow(seeds);
    let costs = pusher.scan_cost() as f64;
    let stop =
        Stop { threshold: IDLE * target / costs, left: target, work: u64::MAX, rounds: MOST_ROUNDS, narrow: true };
    let (pushed, ..) = push::local(pusher, space, stop)?;
    space.recount();
    pusher.check_balance(space)?;
    if pushed == Pushed::Wide && target < space.left {
        let reached = sweeper.get()?.solve(pusher, space, seeds, Goal::Bound(target))?;
        return Ok(reached.bound);
    }
    Ok(space.left)
}
