//! What an index is to be: restart probability, walks per source, random key; and how the work is cut into pipelines.
//!
//! A [`Plan`] and a graph determine every byte of every fingerprint. The cut into [`Pipeline`]s depends on both only,
//! never on workers or memory, so that a build may be resumed under other circumstances.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::ids::NodeId;

/// Stored visits are counted in eighths, so that a walk that splits into parts keeps its exact share.
pub const UNITS_PER_WALK: u32 = 8;

/// How many units travel together where a row is longer than what stands on its node: three quarters of a walk. With
/// heavier parts moving as one where they can, such a packet makes as many steps per walk as independent walks would.
pub const UNITS_PER_PACKET: u32 = 6;

/// The most paths of one node that a big move may choose from.
pub const MOST_PATHS: u32 = 1 << 10;

/// The smallest restart probability: with one of 1e-30 the longest sums of an answer, some of its reciprocals squared, are still
/// numbers, and no walk that anybody could wait for would notice the difference to a smaller one.
pub const LEAST_RESTART_PROB: f64 = 1e-30;
/// The restart probabilities that there are, in words.
pub(crate) const RESTART_PROBS: &str = "at least 1e-30 and at most 1";

/// The most walks one source may have.
pub const MAX_WALKS: u64 = 1 << 24;

/// Expected visits of one pipeline: what is walked and sealed together. Small graphs have pipelines of the smaller
/// size, so that several workers share them; large graphs of the larger one, so that there are few files.
const PIPELINE_VISITS: (f64, f64) = (0.5e6, 16e6);
/// Between the two sizes, a graph is cut into about this many pipelines.
const PIPELINES: f64 = 256.0;

/// The L1 error of an answer that pushes down to a threshold and takes the rest from fingerprints, divided by the root of
/// threshold / (walks an edge): about this on graphs of several kinds. The question's docs have the measurements.
const ERROR_OF_THRESHOLD: f64 = 1.9;
/// What a plan with fewer walks an edge is taken for, because every node has at least some.
const LEAST_WALKS_PER_EDGE: f64 = 0.5;
/// The threshold that questions push down to where nobody asks for a precision.
pub const USUAL_THRESHOLD: f64 = 2.5e-4;

/// The parameters of an index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The chance that a walk ends at a step, from [`LEAST_RESTART_PROB`] to 1.
    pub restart_prob: f64,
    /// The least number of walks of a source.
    pub walks: u32,
    /// Walks per out-edge of a source: walks = max(`walks`, `walks_per_edge` x out-degree), rounded up.
    pub walks_per_edge: f64,
    /// The key of the random numbers.
    pub rng_key: u64,
    /// Nodes of which at most this many paths of two steps or more lead away take such a path in one draw, a *big move*; 0
    /// where every draw is one step.
    #[serde(default, skip_serializing_if = "is_none")]
    pub big_moves: u32,
}

/// Whether there are no big moves: then a plan is written as it was before there were any.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde calls")]
fn is_none(big_moves: &u32) -> bool {
    *big_moves == 0
}

impl Default for Plan {
    fn default() -> Self {
        Plan { restart_prob: 0.15, walks: 16, walks_per_edge: 1.0, rng_key: 0, big_moves: 0 }
    }
}

/// A block of sources whose walks travel together and are sealed together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pipeline {
    /// Its place in the list of all pipelines.
    pub number: u32,
    /// The first source.
    pub first: NodeId,
    /// One past the last source.
    pub end: NodeId,
}

impl Plan {
    /// Checks every parameter.
    ///
    /// # Errors
    /// When one is outside its range: the message names it as the command line does.
    pub fn check(&self) -> Result<()> {
        if !(LEAST_RESTART_PROB..=1.0).contains(&self.restart_prob) {
            let got = self.restart_prob.to_string();
            return Err(Error::Parameter { name: "restart_prob", expected: RESTART_PROBS, got });
        }
        if !(1..=MAX_WALKS).contains(&u64::from(self.walks)) {
            let got = self.walks.to_string();
            return Err(Error::Parameter { name: "walks", expected: "between 1 and 16777216", got });
        }
        if !(self.walks_per_edge.is_finite() && 0.0 <= self.walks_per_edge) {
            let got = self.walks_per_edge.to_string();
            return Err(Error::Parameter { name: "walks_per_edge", expected: "a number that is not negative", got });
        }
        if MOST_PATHS < self.big_moves {
            let got = self.big_moves.to_string();
            return Err(Error::Parameter { name: "big_moves", expected: "at most 1024", got });
        }
        Ok(())
    }

    /// How many walks a source of this out-degree has. A dangling source has one: its walks all are the source alone.
    #[must_use]
    pub fn walks_of(&self, degree: u64) -> u32 {
        if degree == 0 {
            return 1;
        }
        let by_edges = (self.walks_per_edge * degree as f64).ceil();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded by MAX_WALKS")]
        let by_edges = by_edges.min(MAX_WALKS as f64) as u32;
        by_edges.max(self.walks)
    }

    /// The expected visits of a source's walks, an upper bound: walks divided by `restart_prob`.
    #[must_use]
    pub fn visits_of(&self, degree: u64) -> f64 {
        f64::from(self.walks_of(degree)) / self.restart_prob
    }

    /// The same plan with as many walks as it takes for answers with an L1 error of about `precision` from fingerprints, after
    /// pushing down to [`USUAL_THRESHOLD`]. More precise answers can be had from fewer walks, by pushing further.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded by MAX_WALKS")]
    pub fn with_precision(&self, precision: f64) -> Plan {
        let walks_per_edge = (USUAL_THRESHOLD * (ERROR_OF_THRESHOLD / precision).powi(2)).max(LEAST_WALKS_PER_EDGE);
        let walks_per_edge = ((walks_per_edge * 100.0).ceil() / 100.0).min(MAX_WALKS as f64);
        let walks = (f64::from(Plan::default().walks) * walks_per_edge).ceil().clamp(1.0, MAX_WALKS as f64) as u32;
        Plan { walks, walks_per_edge, ..self.clone() }
    }

    /// About the L1 error of answers that push down to a threshold and take the rest from fingerprints.
    #[must_use]
    pub fn precision_of(&self, threshold: f64) -> f64 {
        ERROR_OF_THRESHOLD * (threshold / self.walks_per_edge.max(LEAST_WALKS_PER_EDGE)).sqrt()
    }

    /// The threshold to push down to for an L1 error of about `precision`.
    #[must_use]
    pub fn threshold_for(&self, precision: f64) -> f64 {
        (precision / ERROR_OF_THRESHOLD).powi(2) * self.walks_per_edge.max(LEAST_WALKS_PER_EDGE)
    }

    /// A digest of everything that the bytes of the fingerprints depend on besides the graph.
    #[must_use]
    pub fn digest(&self) -> u128 {
        let mut bytes = Vec::new();
        bytes.extend(UNITS_PER_WALK.to_le_bytes());
        bytes.extend(UNITS_PER_PACKET.to_le_bytes());
        bytes.extend(self.restart_prob.to_le_bytes());
        bytes.extend(self.walks.to_le_bytes());
        bytes.extend(self.walks_per_edge.to_le_bytes());
        bytes.extend(self.rng_key.to_le_bytes());
        if self.big_moves != 0 {
            bytes.extend(self.big_moves.to_le_bytes());
        }
        xxh3_128(&bytes)
    }

    /// Cuts the sources of a graph into pipelines of about equal expected visits. Cost: one pass over the row offsets.
    #[must_use]
    pub fn pipelines(&self, graph: &Graph) -> Vec<Pipeline> {
        let nodes = NodeId::try_from(graph.nodes()).expect("the graph's builder bounds the number of nodes");
        self.pipelines_of(nodes, |node| graph.degree(node))
    }

    /// The same, of nodes with these out-degrees: every node is asked for twice, in order.
    #[must_use]
    pub fn pipelines_of(&self, nodes: NodeId, degree: impl Fn(NodeId) -> u64) -> Vec<Pipeline> {
        let total: f64 = (0..nodes).map(|node| self.visits_of(degree(node))).sum();
        let size = (total / PIPELINES).clamp(PIPELINE_VISITS.0, PIPELINE_VISITS.1);
        let mut pipelines = Vec::new();
        let (mut first, mut visits) = (0, 0.0);
        for node in 0..nodes {
            visits += self.visits_of(degree(node));
            if size <= visits || node + 1 == nodes {
                let number = u32::try_from(pipelines.len()).expect("there are fewer pipelines than nodes");
                pipelines.push(Pipeline { number, first, end: node + 1 });
                (first, visits) = (node + 1, 0.0);
            }
        }
        pipelines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_outside_their_range_are_refused() {
        let bad = [
            Plan { restart_prob: 0.0, ..Plan::default() },
            Plan { restart_prob: f64::from_bits(1), ..Plan::default() },
            Plan { restart_prob: 1.1, ..Plan::default() },
            Plan { restart_prob: f64::NAN, ..Plan::default() },
            Plan { walks: 0, ..Plan::default() },
            Plan { walks_per_edge: -1.0, ..Plan::default() },
            Plan { walks_per_edge: f64::INFINITY, ..Plan::default() },
            Plan { big_moves: MOST_PATHS + 1, ..Plan::default() },
        ];
        assert!(bad.iter().all(|plan| plan.check().is_err()));
        assert!(Plan { restart_prob: 1.0, ..Plan::default() }.check().is_ok());
    }

    #[test]
    fn any_parameter_changes_the_digest() {
        let plans = [
            Plan::default(),
            Plan { restart_prob: 0.2, ..Plan::default() },
            Plan { walks: 17, ..Plan::default() },
            Plan { walks_per_edge: 2.0, ..Plan::default() },
            Plan { rng_key: 1, ..Plan::default() },
            Plan { big_moves: 8, ..Plan::default() },
        ];
        let digests: std::collections::BTreeSet<u128> = plans.iter().map(Plan::digest).collect();
        assert_eq!(digests.len(), plans.len());
    }
}
