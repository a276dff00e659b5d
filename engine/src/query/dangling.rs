//! From the linear core to scores under a dangling policy.
//!
//! `q` is the core (walks end at dangling nodes), *D* the dangling nodes, `c = (1 - a) / a`, and `c * q(D)` the mass that
//! ended there. Every policy is a scaling of `q`, for `uniform` plus a multiple of `g = q_uniform`:
//!
//! | policy | scores | where it comes from |
//! |---|---|---|
//! | `restart` | `q / sum(q)` | mass that ends starts again at the seeds: a geometric series of `q` |
//! | `drop` | `q` | |
//! | `self-loop` | `q`, divided by `a` on *D* | a visit to *D* becomes `1 / a` visits |
//! | `uniform` | `q + k * g`, `k = c q(D) / (1 - c g(D))` | mass that ends starts again anywhere, again and again |
//!
//! With the core off by a residual of `e` in L1 (from below) and `g` by `f`, scores are off by at most `2 e / sum(q)`, `e`,
//! `e / a`, and `e + (c q(D) + e) * f / (1 - c g(D))`: for `uniform`, what is missing of `q` and of `c * q(D)` is `e`
//! together, because mass is conserved.

use roaring::RoaringBitmap;

use super::workspace::{Drawn, Tally, Workspace};
use crate::graph::Graph;
use crate::ids::NodeId;

/// What knows which nodes are dangling.
pub(super) trait Ends {
    /// True when walks end at the node.
    fn ends_at(&self, node: NodeId) -> bool;
}

impl Ends for Graph {
    #[inline]
    fn ends_at(&self, node: NodeId) -> bool {
        self.degree(node) == 0
    }
}

impl Ends for RoaringBitmap {
    #[inline]
    fn ends_at(&self, node: NodeId) -> bool {
        self.contains(node)
    }
}

/// The core of uniform seeds, exact up to a residual.
#[derive(Debug, Clone)]
pub(super) struct UniformCore {
    /// `g`, one number a node.
    pub(super) core: Vec<f64>,
    /// The sum of `g`.
    pub(super) sum: f64,
    /// Mass that ended at dangling nodes, `c * g(D)`.
    pub(super) ended: f64,
    /// The residual of `g`.
    pub(super) residual: f64,
    /// The residual that it was to have.
    pub(super) asked: f64,
}

/// How the core becomes scores.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scaling<'u> {
    /// Factor of `q`.
    scale: f64,
    /// The variance of `scale`, relative to its square.
    scale_variance: f64,
    /// Factor of `q` at dangling nodes.
    at_dangling: f64,
    /// `k`, the variance of `k`, and `g`.
    uniform: Option<(f64, f64, &'u [f64])>,
    /// What an L1 error of the core may become.
    error_bound: f64,
}

impl<'u> Scaling<'u> {
    /// `q / sum`; `variance` is that of the sum.
    pub(super) fn restart(sum: f64, variance: f64, residual: f64) -> Scaling<'u> {
        let scale = 1.0 / sum;
        let scale_variance = variance * scale * scale;
        Scaling { scale, scale_variance, at_dangling: scale, uniform: None, error_bound: 2.0 * residual * scale }
    }

    /// `q`.
    pub(super) fn drop(residual: f64) -> Scaling<'u> {
        Scaling { scale: 1.0, scale_variance: 0.0, at_dangling: 1.0, uniform: None, error_bound: residual }
    }

    /// `q`, divided by `restart_prob` at dangling nodes.
    pub(super) fn self_loop(restart_prob: f64, residual: f64) -> Scaling<'u> {
        let at_dangling = 1.0 / restart_prob;
        Scaling { scale: 1.0, scale_variance: 0.0, at_dangling, uniform: None, error_bound: residual * at_dangling }
    }

    /// `q + k g`. `ended` is `c * q(D)`, `variance` its variance.
    pub(super) fn uniform(ended: f64, variance: f64, g: &'u UniformCore, residual: f64) -> Scaling<'u> {
        let again = 1.0 - g.ended;
        let uniform = Some((ended / again, variance / (again * again), g.core.as_slice()));
        let error_bound = residual + (ended + residual) * g.residual / again;
        Scaling { scale: 1.0, scale_variance: 0.0, at_dangling: 1.0, uniform, error_bound }
    }

    /// True when every node has a score, whether the core reached it or not.
    pub(super) fn is_dense(self) -> bool {
        self.uniform.is_some_and(|(k, _, _)| k != 0.0)
    }

    /// Bounds the L1 error of the scores.
    pub(super) fn error_bound(self) -> f64 {
        self.error_bound
    }

    /// The score of a node from its core: at least 0, though an estimate of a core that was amended may be below.
    #[inline]
    pub(super) fn score(self, ends: &impl Ends, node: NodeId, core: f64) -> f64 {
        let added = self.uniform.map_or(0.0, |(k, _, g)| k * g[node as usize]);
        let score = core * self.factor(ends, node) + added;
        if score < 0.0 { 0.0 } else { score }
    }

    /// The standard error of a node's score from its core and the core's variance.
    ///
    /// Under `restart` the core and the sum err in one direction, since the core is a part of the sum; taking them as
    /// independent errs on the safe side.
    pub(super) fn std_error(self, ends: &impl Ends, node: NodeId, core: f64, variance: f64) -> f64 {
        let factor = self.factor(ends, node);
        let variance = variance + core * core * self.scale_variance;
        let added = self.uniform.map_or(0.0, |(_, variance, g)| variance * g[node as usize] * g[node as usize]);
        (variance * factor * factor + added).sqrt()
    }

    #[inline]
    fn factor(self, ends: &impl Ends, node: NodeId) -> f64 {
        // Only one policy treats dangling nodes apart: the others need not look at degrees.
        if self.scale != self.at_dangling && ends.ends_at(node) { self.at_dangling } else { self.scale }
    }
}

/// `c * q(D)` of everything that fingerprints added, and its variance.
///
/// A walk ends when it meets a dangling node, so that a packet meets at most one: variances add up at most. After the
/// exact last step one packet pays many dangling nodes at once, and they do not; the variance is then taken from before
/// that step, when it was larger if anything. One packet more is added, as in [`super::tally::variance`].
pub(super) fn tallied_end(graph: &Graph, restart_prob: f64, space: &Workspace) -> (f64, f64) {
    let before = if space.drawn.stepped_variance.is_some() { &space.stepped } else { &space.tally };
    let dangling = space.nodes().filter(|&node| graph.ends_at(node)).map(|node| node as usize);
    let tallies = dangling.map(|at| Tally { score: space.tally[at].score, variance: before[at].variance });
    tallied_end_of(restart_prob, &space.drawn, tallies)
}

/// The same of the tallies of dangling nodes.
pub(super) fn tallied_end_of(restart_prob: f64, drawn: &Drawn, dangling: impl Iterator<Item = Tally>) -> (f64, f64) {
    let ratio = (1.0 - restart_prob) / restart_prob;
    let (mut ended, mut variance) = (0.0, 0.0);
    for tally in dangling {
        ended += ratio * tally.score;
        variance += ratio * ratio * tally.variance;
    }
    if drawn.variance != 0.0 {
        variance += (ratio * drawn.variance / drawn.score).powi(2);
    }
    (ended, variance)
}
