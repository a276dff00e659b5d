//! What comes back: ranked results, or all scores; never a score without its status.

use serde::{Deserialize, Serialize};

use super::question::{Dangling, Method};
use crate::ids::NodeId;

/// The answer to a [`Question`](super::Question).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The best nodes, best first. Ties stand in the order of their ids.
    pub results: Vec<Ranked>,
    /// The method that was used; never [`Method::Auto`].
    pub method: Method,
    /// What was assumed about dangling nodes.
    pub dangling: Dangling,
    /// The share of the seeds' mass that the scores account for: 1 less the residual that was neither pushed nor looked
    /// up. The linear core lacks at most the rest, in L1.
    pub mass_accounted: f64,
    /// True when fewer results came back than were asked for.
    pub truncated: bool,
    /// Whether the scores are exact or estimates.
    pub status: Status,
}

/// One result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ranked {
    /// The node.
    #[serde(skip)]
    pub node: NodeId,
    /// Its external id.
    pub id: String,
    /// Its score, above zero and finite. Where the question divides by popularity, it is the quotient.
    pub score: f64,
    /// Standard error of the score by the walks that went into it; 0 for exact scores. What was left out
    /// ([`Answer::mass_accounted`]) is not in it.
    pub std_error: f64,
    /// Its place: 1, 2, 3, ...
    pub rank: usize,
    /// False when the candidate that ranks next (also the first that is not shown) could belong above it: when their scores
    /// differ by no more than twice the standard error of the difference, or for exact scores by no more than the error bound.
    /// Exact ties rank by id for sure, if the
    /// error bound is below 1e-10. What filters leave is taken as given.
    pub rank_stable: bool,
    /// How many seeds support it, if the question asked for support: see [`Shape`](super::Shape).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub support: Option<usize>,
}

/// How sure the scores are.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Status {
    /// Every score is known up to rounding and a residual.
    Exact {
        /// The mass that was not pushed any more: bounds the L1 error of the linear core.
        residual: f64,
        /// Bounds the L1 error of the scores under their dangling policy, rounding excluded.
        error_bound: f64,
    },
    /// Scores are estimates with a standard error each.
    Estimated {
        /// The share of the seeds' mass whose part of the scores came from fingerprints; the rest was pushed exactly, or
        /// swept along all edges.
        sampled: f64,
        /// An estimate of the L1 error of the linear core: what `precision` asks for.
        l1_error: f64,
    },
}

impl Status {
    /// The same status, with the bound that follows from the dangling policy.
    pub(super) fn with_error_bound(self, error_bound: f64) -> Status {
        match self {
            Status::Exact { residual, .. } => Status::Exact { residual, error_bound },
            estimated @ Status::Estimated { .. } => estimated,
        }
    }
}

/// The scores of all nodes, by node.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// One score a node, at least 0.
    pub scores: Vec<f64>,
    /// One standard error a node; all 0 for exact scores. A node that no walk met has score 0 and standard error 0.
    pub std_errors: Vec<f64>,
    /// The method that was used; never [`Method::Auto`].
    pub method: Method,
    /// What was assumed about dangling nodes.
    pub dangling: Dangling,
    /// As [`Answer::mass_accounted`].
    pub mass_accounted: f64,
    /// Whether the scores are exact or estimates.
    pub status: Status,
}
