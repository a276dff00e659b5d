//! What is done to scores before the best are cut: which nodes may be results, and by what scores are divided.
//!
//! **Filters act before the cut**: as long as enough nodes are left, an answer has as many results as were asked for. (Test:
//! `query::tests::shaping`.)
//!
//! *Popularity.* Personalized scores favour what everybody likes. [`Debias`] divides each score by the node's popularity to
//! a power: 0 changes nothing, 1 ranks by how much more the seeds like a node than others do. Popularity is the node's
//! PageRank from uniform seeds, or its number of in-edges (1 where it has none). Both are above zero, so that no quotient is
//! infinite. Standard errors are divided alike.
//!
//! *Support.* With several seeds, a node may rank high because of one of them. By linearity its score is a sum of one
//! contribution a seed. A seed supports a node when it contributes at least [`SUPPORT_SHARE`] of an equal share, which is the
//! score divided by the number of seeds.

use std::fmt::Write as _;
use std::sync::Arc;

use roaring::RoaringBitmap;

use super::dangling::{Scaling, UniformCore};
use super::halt::Halt;
use super::question::Dangling;
use super::seeds::Seeds;
use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::ids::NodeId;

/// The part of an equal share that a seed must contribute to support a node.
pub const SUPPORT_SHARE: f64 = 0.1;
/// The most seeds of a question that counts support: each is answered by itself.
pub const MOST_SUPPORTERS: usize = 1000;
/// The largest power of a popularity: quotients then stay far inside the range of a double.
const LARGEST_POWER: f64 = 10.0;
/// Popularities are at least this, which graphs that can be stored do not reach.
const LEAST_POPULARITY: f64 = 1e-28;

/// Filters and shaping of an answer. The default does nothing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Shape {
    /// Only these nodes may be results.
    pub only: Option<Arc<RoaringBitmap>>,
    /// These nodes may not.
    pub exclude: Option<Arc<RoaringBitmap>>,
    /// The seeds may not.
    pub exclude_seeds: bool,
    /// The targets of the seeds' out-edges may not: what a user has, a recommender need not recommend. A node with an edge to
    /// a seed, but none from a seed, is not meant, and a seed only where another seed (or itself) leads to it.
    pub exclude_neighbors: bool,
    /// Divides scores by popularity.
    pub debias: Option<Debias>,
    /// How many seeds must support a result. Above 0, every result says how many do, and each of the seeds (at most
    /// [`MOST_SUPPORTERS`]) is answered by itself, by the method of the question.
    pub min_support: usize,
}

/// By what scores are divided.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Debias {
    /// What popularity is.
    pub by: PopularityKind,
    /// Its power, from 0 to 10.
    pub power: f64,
}

/// A measure of a node's popularity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PopularityKind {
    /// PageRank from uniform seeds, under the question's dangling policy and to its residual. Cost: one exact answer, kept
    /// for later questions.
    #[default]
    GlobalPageRank,
    /// The number of in-edges, parallel ones counted once; 1 where there are none. Cost: one pass over the edges, kept for
    /// later questions.
    Degree,
}

impl Shape {
    /// Checks every parameter against its range.
    pub(super) fn check(&self, seeds: usize) -> Result<()> {
        let refuse = |name, expected, got: String| Err(Error::Parameter { name, expected, got });
        if let Some(Debias { power, .. }) = self.debias
            && !(0.0..=LARGEST_POWER).contains(&power)
        {
            return refuse("the power of debias", "from 0 to 10", power.to_string());
        }
        if self.min_support != 0 && MOST_SUPPORTERS < seeds {
            let got = format!("{seeds} seeds");
            return refuse("min_support", "asked of at most 1000 seeds, each of which is answered by itself", got);
        }
        if seeds < self.min_support {
            let got = format!("{} of {seeds}", self.min_support);
            return refuse("min_support", "at most the number of seeds", got);
        }
        Ok(())
    }
}

/// The popularity of every node, ready to be read.
pub(super) enum Popularity<'p> {
    /// In-degrees.
    Degrees(&'p [u32]),
    /// The core of uniform seeds, how it becomes scores, a lower bound of it, and what all its scores together may be off by.
    PageRank { core: &'p [f64], scaling: Scaling<'p>, least: f64, error_bound: f64 },
}

impl<'p> Popularity<'p> {
    /// The scores of uniform seeds.
    ///
    /// # Errors
    /// When they are no distribution: the graph is damaged.
    pub(super) fn page_rank(
        graph: &Graph,
        uniform: &'p UniformCore,
        dangling: Dangling,
        restart_prob: f64,
    ) -> Result<Popularity<'p>> {
        if !(0.0 < uniform.sum && uniform.sum.is_finite()) {
            return Err(Error::damaged(graph.path(), format!("the global PageRank sums to {}", uniform.sum)));
        }
        let scaling = match dangling {
            Dangling::Restart => Scaling::restart(uniform.sum, 0.0, uniform.residual),
            Dangling::Drop => Scaling::drop(uniform.residual),
            Dangling::SelfLoop => Scaling::self_loop(restart_prob, uniform.residual),
            Dangling::Uniform => Scaling::uniform(uniform.ended, 0.0, uniform, uniform.residual),
        };
        let least = restart_prob / graph.nodes() as f64;
        Ok(Popularity::PageRank { core: &uniform.core, scaling, least, error_bound: scaling.error_bound() })
    }
}

/// Divides scores by powers of popularities.
pub(super) struct Debiasing<'p> {
    pub(super) popularity: Popularity<'p>,
    pub(super) power: f64,
}

impl Debiasing<'_> {
    /// What a node's score is divided by: above zero and finite.
    #[inline]
    pub(super) fn divisor(&self, graph: &Graph, node: NodeId) -> f64 {
        let popularity = self.popularity(graph, node);
        if self.power == 1.0 {
            popularity
        } else if self.power == 0.5 {
            popularity.sqrt()
        } else {
            popularity.powf(self.power)
        }
    }

    /// By what factor a quotient may be too small because the popularity is too large: at least 1, infinite when nothing is
    /// known. It is too large by less than it may be too small.
    pub(super) fn inflation(&self, graph: &Graph, node: NodeId) -> f64 {
        match self.popularity {
            Popularity::PageRank { error_bound, .. } if self.power != 0.0 => {
                let right = 1.0 - error_bound / self.popularity(graph, node);
                if 0.0 < right { right.powf(-self.power) } else { f64::INFINITY }
            }
            _ => 1.0,
        }
    }

    #[inline]
    fn popularity(&self, graph: &Graph, node: NodeId) -> f64 {
        match &self.popularity {
            Popularity::Degrees(degrees) => f64::from(degrees[node as usize].max(1)),
            // `max` and `clamp` are for graphs that were damaged without it being noticed; neither lets a NaN through.
            Popularity::PageRank { core, scaling, least, .. } => {
                scaling.score(graph, node, core[node as usize].max(*least)).clamp(LEAST_POPULARITY, f64::MAX)
            }
        }
    }
}

/// Edges that are counted between one look at the flag and the next.
const AT_ONCE: usize = if cfg!(test) { 16 } else { 1 << 16 };

/// The number of in-edges of each node. Cost: one pass over the edges.
///
/// # Errors
/// When the flag is set.
pub(super) fn in_degrees(graph: &Graph, halt: &Halt) -> Result<Vec<u32>> {
    let mut degrees = vec![0u32; graph.nodes()];
    for targets in graph.targets().chunks(AT_ONCE) {
        halt.look()?;
        for &target in targets {
            // A target outside the graph is damage, which is found where its row is pushed.
            if let Some(degree) = degrees.get_mut(target as usize) {
                *degree = degree.saturating_add(1);
            }
        }
    }
    Ok(degrees)
}

/// Which nodes may be results of one question.
pub(super) struct Filter<'q> {
    shape: &'q Shape,
    seeds: &'q Seeds,
    neighbors: Option<RoaringBitmap>,
    supporters: Option<&'q [u16]>,
}

impl<'q> Filter<'q> {
    /// Reads the seeds' rows, if neighbours are excluded.
    ///
    /// # Errors
    /// When the graph is damaged.
    pub(super) fn new(
        shape: &'q Shape,
        seeds: &'q Seeds,
        graph: &Graph,
        supporters: Option<&'q [u16]>,
    ) -> Result<Filter<'q>> {
        let neighbors = if shape.exclude_neighbors {
            let mut neighbors = RoaringBitmap::new();
            for &(seed, _) in seeds.weights() {
                neighbors.extend(graph.row(seed)?.targets);
            }
            Some(neighbors)
        } else {
            None
        };
        Ok(Filter { shape, seeds, neighbors, supporters })
    }

    /// True when any filter is set.
    pub(super) fn is_set(&self) -> bool {
        let shape = self.shape;
        shape.only.is_some()
            || shape.exclude.is_some()
            || shape.exclude_seeds
            || shape.exclude_neighbors
            || shape.min_support != 0
    }

    /// True when a node may be a result.
    pub(super) fn allows(&self, node: NodeId) -> bool {
        self.admits(node) && self.is_supported(node)
    }

    /// True when a node may be a result if enough seeds support it.
    pub(super) fn admits(&self, node: NodeId) -> bool {
        self.is_in_only(node)
            && !self.is_excluded(node)
            && !self.is_excluded_seed(node)
            && !self.is_excluded_neighbor(node)
    }

    /// How many seeds support a node, if that was asked.
    pub(super) fn supporters(&self, node: NodeId) -> Option<usize> {
        self.supporters.map(|counts| counts[node as usize].into())
    }

    /// The error of an answer without results: how many of the nodes that have a score each filter leaves.
    pub(super) fn nothing_left(&self, scored: impl Iterator<Item = NodeId>) -> Error {
        let nodes: Vec<NodeId> = scored.collect();
        let mut what = format!("{} have a score", nodes_in_words(nodes.len()));
        let mut left = nodes;
        let mut step = |is_set: bool, name: &str, keeps: &dyn Fn(NodeId) -> bool| {
            if is_set && !left.is_empty() {
                left.retain(|&node| keeps(node));
                let _ = write!(
                    what,
                    ", {name} leaves {}",
                    if left.is_empty() { "none".into() } else { left.len().to_string() }
                );
            }
        };
        let shape = self.shape;
        step(shape.only.is_some(), "only", &|node| self.is_in_only(node));
        step(shape.exclude.is_some(), "exclude", &|node| !self.is_excluded(node));
        step(shape.exclude_seeds, "exclude-seeds", &|node| !self.is_excluded_seed(node));
        step(shape.exclude_neighbors, "exclude-neighbors", &|node| !self.is_excluded_neighbor(node));
        step(shape.min_support != 0, "min-support", &|node| self.is_supported(node));
        Error::NothingLeft { what }
    }

    fn is_in_only(&self, node: NodeId) -> bool {
        self.shape.only.as_ref().is_none_or(|only| only.contains(node))
    }

    fn is_excluded(&self, node: NodeId) -> bool {
        self.shape.exclude.as_ref().is_some_and(|exclude| exclude.contains(node))
    }

    fn is_excluded_seed(&self, node: NodeId) -> bool {
        self.shape.exclude_seeds && self.seeds.weights().binary_search_by_key(&node, |&(seed, _)| seed).is_ok()
    }

    fn is_excluded_neighbor(&self, node: NodeId) -> bool {
        self.neighbors.as_ref().is_some_and(|neighbors| neighbors.contains(node))
    }

    fn is_supported(&self, node: NodeId) -> bool {
        self.supporters(node).is_none_or(|supporters| self.shape.min_support <= supporters)
    }
}

fn nodes_in_words(count: usize) -> String {
    if count == 1 { "1 node".to_owned() } else { format!("{count} nodes") }
}
