//! Answers over a sharded graph: every worker holds the rows of the nodes it owns, and answers are found together.
//!
//! This is `combine` of [`walkprint_engine::query`] with PowerWalk's shared decomposition (Liu, Li, Lui & Cheng, "PowerWalk",
//! CIKM 2016, section 5): many questions, the lanes of a block, are answered at once, and each row and each fingerprint is
//! read once for all of them.
//!
//! ```text
//!   lanes ──────────────┬──────────────────────────────────────────┐
//!     ▲                 ▼            left            parcels       ▼   drafts
//!     │  seeds ──▶   push   ───────────▶ fingerprints ──────▶   gather ───────▶ finish ──▶ answers
//!     │              ▲    │                                    ▲  │  │             ▲
//!     │     onward   └────┘        paid                        │  │  │  wishes     │ returns
//!     │              └─────────────────────────────────────────┘  │  └─────▶ look up
//!     └──────────────────────── again ────────────────────────────┘
//!                                             time = block << 32 | phase << 24 | round
//! ```
//!
//! - `push` pushes what stands on its nodes above the lanes' thresholds, a round a time; what goes on goes to whoever owns
//!   the target, added up. A round over which nothing goes on ends the phase: the frontier tells.
//! - `fingerprints` sends the fingerprint of every node at which something is left to the workers that put answers together.
//! - `gather` puts together the lanes of its worker. Those that are not precise enough go on in another phase.
//! - `look up` and `finish` add standard errors.
//!
//! What differs from `combine`: the last step of walks is not made exactly, because that takes rows; pushing farther makes
//! up for it. Nothing is swept, because pushing what is wide is a pass over all rows. Nothing is left out.
//!
//! **Answers are the same, bit for bit, for any number of workers and processes, and however questions are cut into
//! blocks.** (Test: `sharded::tests`.) Mass travels in whole units, whose sums are exact; everything else is summed up in
//! the order of nodes by one worker.

pub(crate) mod amount;

pub(crate) mod time;

pub(crate) mod lane;

pub(crate) mod world;

mod homes;

mod labels;

mod rows;

mod window;

mod residuals;

mod push;

mod fingerprints;

mod gather;

pub(crate) mod tracks;

mod prepare;

pub(crate) mod work;

pub(crate) mod budget;

#[cfg(test)]
mod tests;

use walkprint_engine::plan::Plan;

/// By what the threshold of `combine` is multiplied. Without the last step the L1 error is four times as large and falls with
/// the square root of the threshold; what is left out by chance adds to it; and pushing, which many lanes share, costs less
/// here than fingerprints, which each lane adds up alone.
const NO_LAST_STEP: f64 = 1.0 / 50.0;
/// The L1 error to aim at where nobody asks for one.
pub(crate) const USUAL_PRECISION: f64 = 0.05;
/// Below that, units that were rounded away would count.
pub(crate) const LEAST_PRECISION: f64 = 1e-6;

/// The threshold that lanes begin with for an L1 error of about `precision`.
pub(crate) fn first_threshold(plan: &Plan, precision: f64) -> f64 {
    plan.threshold_for(precision) * NO_LAST_STEP
}
