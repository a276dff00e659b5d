//! What is asked: seeds, how to answer, and what a walk does where it cannot go on.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::seeds::Seeds;
use super::shape::Shape;
use crate::error::{Error, Result};
use crate::plan::USUAL_THRESHOLD;

/// A question about a set of seeds.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// Whom the answer is personalised to.
    pub seeds: Seeds,
    /// How to answer.
    pub method: Method,
    /// How many results at most; at least 1, may exceed the number of nodes.
    pub top: usize,
    /// What the answer assumes about dangling nodes.
    pub dangling: Dangling,
    /// For `exact`: the residual to stop at, above 0 and below 1. It bounds the L1 error of the linear core.
    pub residual: f64,
    /// For `combine`: the L1 error to aim at, above 0 and below 1; overrides the threshold of `push`.
    pub precision: Option<f64>,
    /// For `combine`: how far to push before fingerprints take over.
    pub push: PushBound,
    /// Which nodes may be results, and what is done to their scores.
    pub shape: Shape,
    /// Whether to go on until no other node can come among the results any more, by two standard errors or by the error bound,
    /// and no longer: the right nodes at the least expense. `precision` is then where to begin (0.05 if there is none, whatever the
    /// threshold of `push`), and `residual` where to end. Not for `lookup`.
    pub settle: bool,
}

/// When `combine` stops pushing and which residuals it may leave out.
///
/// Lower `threshold`: more pushing, fewer walks' worth of noise. With at least one walk an out-edge, the variance of a
/// score *q(v)* is at most about `threshold` x `restart_prob` x *q(v)*, as if `1 / threshold` walks had been sent from the
/// seeds; the L1 error falls with the square root of `threshold`, the time grows a little faster. Measured on
/// soc-Epinions1 (restart 0.15, walks max(16, out-degree), 50 random seeds with out-edges, each timed as the best of three
/// runs, one thread of a shared machine; the default was chosen on these seeds):
///
/// | threshold | median ms | mean L1 error, `drop` | `restart` |
/// |---|---|---|---|
/// | 1e-3 | 1.7 | 0.077 | 0.089 |
/// | 2.5e-4 (default) | 2.5 | 0.025 | 0.029 |
/// | 1e-4 | 3.8 | 0.017 | 0.019 |
/// | 1e-5 | 10.4 | 0.006 | 0.007 |
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PushBound {
    /// A node is pushed while its residual is above `threshold` x max(1, out-degree). Above 0.
    pub threshold: f64,
    /// Work, in edges and stored visits read, after which pushing stops even where residuals are above the threshold.
    pub work: u64,
    /// The share of the seeds' mass that may be left out instead of reading many fingerprints for it. What was left out
    /// is missing from [`mass_accounted`](super::Answer::mass_accounted). At least 0, below 1.
    pub drop: f64,
    /// Whether to pass over all edges instead, again and again, where that takes less time than fingerprints.
    pub sweep: bool,
}

impl Default for PushBound {
    /// On graphs like soc-Epinions1 as much time goes to fingerprints as to the exact last step; nothing is left out.
    fn default() -> Self {
        PushBound { threshold: USUAL_THRESHOLD, work: 50_000_000, drop: 0.0, sweep: true }
    }
}

impl Question {
    /// A question with the usual settings: ten results, [`Method::Auto`], [`Dangling::Restart`], residual 1e-12.
    #[must_use]
    pub fn new(seeds: Seeds) -> Question {
        Question {
            seeds,
            method: Method::Auto,
            top: 10,
            dangling: Dangling::Restart,
            residual: 1e-12,
            precision: None,
            push: PushBound::default(),
            shape: Shape::default(),
            settle: false,
        }
    }

    /// Whether the results are the nodes with the largest cores: no filter, and scores that are a multiple of the core.
    /// [`Answerer::answer_block`](super::Answerer::answer_block) picks those out for all lanes at once, and passes over all
    /// nodes for other questions.
    #[must_use]
    pub fn ranks_by_core(&self) -> bool {
        matches!(self.dangling, Dangling::Restart | Dangling::Drop) && self.shape == Shape::default()
    }

    /// Checks every parameter against its range and the seeds against the number of nodes.
    pub(super) fn check(&self, nodes: usize) -> Result<()> {
        let refuse = |name, expected, got: String| Err(Error::Parameter { name, expected, got });
        if self.top == 0 {
            return refuse("top", "at least 1", "0".to_owned());
        }
        if !(0.0 < self.residual && self.residual < 1.0) {
            return refuse("residual", "above 0 and below 1", self.residual.to_string());
        }
        if !self.precision.is_none_or(|precision| 0.0 < precision && precision < 1.0) {
            return refuse("precision", "above 0 and below 1", self.precision.unwrap_or_default().to_string());
        }
        if !(0.0 < self.push.threshold && self.push.threshold.is_finite()) {
            return refuse("threshold", "a number above 0", self.push.threshold.to_string());
        }
        if !(0.0..1.0).contains(&self.push.drop) {
            return refuse("drop", "at least 0 and below 1", self.push.drop.to_string());
        }
        if self.settle && self.method == Method::Lookup {
            return refuse(
                "method",
                "one that can become more precise, to settle the results",
                self.method.to_string(),
            );
        }
        self.shape.check(self.seeds.weights().len())?;
        match self.seeds.weights().last() {
            Some(&(node, _)) if nodes <= node as usize => {
                Err(Error::Seeds { what: format!("node {node} is outside the graph, which has {nodes} nodes") })
            }
            _ => Ok(()),
        }
    }
}

/// How a question is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// The cheapest of the others that fits: see [`Answerer::answer`](super::Answerer::answer).
    #[default]
    Auto,
    /// The seeds' own fingerprints, no more: rough, microseconds.
    Lookup,
    /// Push locally, then add the fingerprints of what is left.
    Combine,
    /// Push until next to nothing is left; needs no index.
    Exact,
    /// Pass over all edges for many seed sets at once; needs no index.
    Block,
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Method::Auto => "auto",
            Method::Lookup => "lookup",
            Method::Combine => "combine",
            Method::Exact => "exact",
            Method::Block => "block",
        })
    }
}

impl FromStr for Method {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "auto" => Ok(Method::Auto),
            "lookup" => Ok(Method::Lookup),
            "combine" => Ok(Method::Combine),
            "exact" => Ok(Method::Exact),
            "block" => Ok(Method::Block),
            _ => Err(format!("expected auto, lookup, combine, exact or block, got {text:?}")),
        }
    }
}

/// What a walk does at a dangling node; see [`crate::query`] for the formulas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dangling {
    /// It goes on at the seeds, as in networkx, igraph and rustworkx.
    #[default]
    Restart,
    /// It ends, as in Neo4j GDS, TigerGraph and LDBC: scores sum to less than 1.
    Drop,
    /// It stays there until it ends.
    SelfLoop,
    /// It goes on at any node, each as likely.
    Uniform,
}

impl fmt::Display for Dangling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Dangling::Restart => "restart",
            Dangling::Drop => "drop",
            Dangling::SelfLoop => "self-loop",
            Dangling::Uniform => "uniform",
        })
    }
}

impl FromStr for Dangling {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "restart" => Ok(Dangling::Restart),
            "drop" => Ok(Dangling::Drop),
            "self-loop" => Ok(Dangling::SelfLoop),
            "uniform" => Ok(Dangling::Uniform),
            _ => Err(format!("expected restart, drop, self-loop or uniform, got {text:?}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::{Debias, PopularityKind};

    #[test]
    fn names_are_read_as_they_are_shown() {
        for method in [Method::Auto, Method::Lookup, Method::Combine, Method::Exact] {
            assert_eq!(method.to_string().parse(), Ok(method));
        }
        for dangling in [Dangling::Restart, Dangling::Drop, Dangling::SelfLoop, Dangling::Uniform] {
            assert_eq!(dangling.to_string().parse(), Ok(dangling));
        }
        assert!("Exact".parse::<Method>().is_err());
        assert!("selfloop".parse::<Dangling>().unwrap_err().contains("self-loop"));
    }

    #[test]
    fn parameters_outside_their_range_are_refused() {
        let question = Question::new(Seeds::single(2));
        assert!(question.check(3).is_ok());
        assert!(matches!(question.check(2), Err(Error::Seeds { .. })));
        let with = |change: fn(&mut Question)| {
            let mut question = question.clone();
            change(&mut question);
            question.check(3)
        };
        let changes: [fn(&mut Question); 12] = [
            |question| question.top = 0,
            |question| question.residual = 0.0,
            |question| question.residual = 1.0,
            |question| question.residual = f64::NAN,
            |question| question.push.threshold = 0.0,
            |question| question.push.threshold = f64::NAN,
            |question| question.push.drop = 1.0,
            |question| question.push.drop = -0.1,
            |question| question.shape.min_support = 2,
            |question| question.shape.debias = Some(Debias { by: PopularityKind::Degree, power: -0.1 }),
            |question| question.shape.debias = Some(Debias { by: PopularityKind::Degree, power: 10.5 }),
            |question| question.shape.debias = Some(Debias { by: PopularityKind::Degree, power: f64::NAN }),
        ];
        assert!(changes.iter().all(|&change| matches!(with(change), Err(Error::Parameter { .. }))));
    }
}
