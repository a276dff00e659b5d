//! Answers that are put together from parts: what others have pushed, and the fingerprints of what they have left.
//!
//! Over a sharded graph no worker can push alone. Whoever owns a row pushes it, and sends what was paid and what was left
//! ([`super::push`] has the rule) to the one that puts the answer together:
//!
//! ```text
//! pay      core(v)  += what was pushed at v, and a * residual(v) of what was left there
//! add      tally(v) += weight(w) * later(w)(v)       ascending by w
//! ```
//!
//! `later(w)` is the fingerprint of *w* but for the first visits of walks, which are certain and paid exactly.
//!
//! *Chance.* Pushing leaves residuals at many nodes that deserve less than one walk each, and reading all their fingerprints
//! takes far longer than what comes of it is worth. A residual *r* may therefore be given the weight *w* > *r* with the
//! chance *r / w*, and be left out otherwise, by a number that is its own: unbiased, and what it adds to the variance of a
//! score is `(1 - chance) * (what the fingerprint added)^2` where it was added.
//!
//! It knows no rows, so that the last step of walks is not made exactly as in [`super::combine`]: for the same error pushes
//! go farther instead. Which nodes are dangling it is told; how often walks come back to a node, which standard errors
//! depend on, it asks for once it knows which nodes are results ([`Draft::nodes`]).
//!
//! **An answer is a pure function of its parts**: sums are made in the order in which parts come in, which is the caller's
//! to choose. (Test: `cluster/src/sharded/tests.rs`.)

use roaring::RoaringBitmap;

use super::answer::{Answer, Ranked, Status};
use super::dangling::{Scaling, UniformCore, tallied_end_of};
use super::question::{Dangling, Method};
use super::ranking::{self, Candidate, Judged};
use super::tally::{self, Adding};
use super::workspace::{Drawn, Tally, node_at};
use crate::error::Result;
use crate::fingerprint::Fingerprint;
use crate::ids::NodeId;
use crate::labels::Labels;

/// Estimates that differ by less, relatively, differ by rounding only.
const ROUNDING: f64 = 1e-12;

/// What all answers have in common.
#[derive(Debug, Clone, Copy)]
pub struct Gatherer<'a> {
    /// How many nodes there are.
    pub nodes: usize,
    /// The ids of all nodes. None where they cannot be read, of a graph whose nodes are numbered as their ids are sorted:
    /// then answers have nodes, and ids that are empty.
    pub labels: Option<&'a Labels>,
    /// The restart probability of the index.
    pub restart_prob: f64,
    /// The nodes without out-edges.
    pub dangling: &'a RoaringBitmap,
    /// The answer to uniform seeds, for [`Dangling::Uniform`].
    pub uniform: Option<&'a UniformAnswer>,
}

impl Gatherer<'_> {
    fn rank(&self, node: NodeId) -> Result<u32> {
        self.labels.map_or(Ok(node), |labels| labels.rank(node))
    }

    fn id(&self, node: NodeId) -> Result<String> {
        self.labels.map_or_else(|| Ok(String::new()), |labels| labels.id(node))
    }
}

/// The answer to uniform seeds.
#[derive(Debug, Clone)]
pub struct UniformAnswer {
    core: UniformCore,
    /// All nodes, best first.
    falling: Vec<NodeId>,
}

/// The place of a node that was not met.
const NONE: u32 = u32::MAX;

/// The parts of one answer as they come in. Memory: 4 bytes a node, and 32 a node that the answer meets.
#[derive(Debug)]
pub struct Gathered {
    places: Vec<u32>,
    entries: Vec<Entry>,
    drawn: Drawn,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    node: NodeId,
    paid: f64,
    tally: Tally,
}

impl Entry {
    fn core(&self) -> f64 {
        self.paid + self.tally.score
    }
}

/// What became of the mass of the seeds that was not pushed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Left {
    /// What went to fingerprints.
    pub sampled: f64,
    /// What is missing, for rounding's sake.
    pub lost: f64,
    /// An estimate of the L1 error.
    pub l1_error: f64,
}

/// An answer but for its standard errors.
#[derive(Debug, Clone)]
pub struct Draft {
    top: usize,
    dangling: Dangling,
    drawn: Drawn,
    sum: f64,
    ended: (f64, f64),
    left: Left,
    /// The best, one more than is shown: whether the last one's rank is stable depends on it.
    best: Vec<(Candidate, f64, Tally)>,
}

impl UniformAnswer {
    /// From the core of every node as far as it was pushed. Cost: a sort of all nodes.
    #[must_use]
    pub fn new(core: Vec<f64>, dangling: &RoaringBitmap, restart_prob: f64) -> UniformAnswer {
        let sum: f64 = core.iter().sum();
        let at_dangling: f64 = dangling.iter().filter_map(|node| core.get(node as usize)).sum();
        let ended = at_dangling * (1.0 - restart_prob) / restart_prob;
        let mut falling: Vec<NodeId> = (0..core.len()).map(node_at).collect();
        falling.sort_by(|&a, &b| core[b as usize].total_cmp(&core[a as usize]).then(a.cmp(&b)));
        let residual = (1.0 - sum - ended).max(0.0);
        UniformAnswer { core: UniformCore { core, sum, ended, residual, asked: residual }, falling }
    }
}

impl Gathered {
    /// Room for answers over a graph.
    #[must_use]
    pub fn new(nodes: usize) -> Gathered {
        Gathered { places: vec![NONE; nodes], entries: Vec::new(), drawn: Drawn::default() }
    }

    /// Forgets everything. Cost: as what was there.
    pub fn clear(&mut self) {
        self.entries.iter().for_each(|entry| self.places[entry.node as usize] = NONE);
        self.entries.clear();
        self.drawn = Drawn::default();
    }

    #[inline]
    fn entry<'e>(place: &mut u32, entries: &'e mut Vec<Entry>, node: NodeId) -> &'e mut Entry {
        if *place == NONE {
            *place = node_at(entries.len()); // there are no more entries than nodes
            entries.push(Entry { node, paid: 0.0, tally: Tally::default() });
        }
        &mut entries[*place as usize]
    }

    /// Adds what was pushed at a node and stayed there.
    ///
    /// # Panics
    /// When it is no node.
    pub fn pay(&mut self, node: NodeId, amount: f64) {
        Gathered::entry(&mut self.places[node as usize], &mut self.entries, node).paid += amount;
    }

    /// Adds what was left at a node, with this weight and the chance that it had to be added, by the packed fingerprint of
    /// the node; but for the first visits. False when the fingerprint is damaged, or names what is no node.
    #[must_use]
    pub fn add(&mut self, of: &Gatherer<'_>, source: NodeId, weight: f64, chance: f64, packed: &[u8]) -> bool {
        let Some(fingerprint) = Fingerprint::decode(packed) else { return false };
        let mut adding = Adding::new(&fingerprint, source, weight, of.restart_prob).with_chance(chance);
        let (Gathered { places, entries, drawn }, mut inside) = (self, true);
        let whole = fingerprint.for_each(|node, units| match places.get_mut(node as usize) {
            Some(place) => adding.record_later(&mut Gathered::entry(place, entries, node).tally, node, units),
            None => inside = false,
        });
        adding.finish(drawn);
        whole && inside
    }

    /// An estimate of the L1 error by the walks that went into the answer.
    #[must_use]
    pub fn l1_error(&self) -> f64 {
        tally::l1_error_of(self.entries.iter().map(|entry| entry.tally))
    }

    /// The mass that was pushed and stayed, and that which ended at dangling nodes.
    #[must_use]
    pub fn pushed(&self, of: &Gatherer<'_>) -> f64 {
        let ratio = (1.0 - of.restart_prob) / of.restart_prob;
        let paid =
            |entry: &Entry| if of.dangling.contains(entry.node) { entry.paid * (1.0 + ratio) } else { entry.paid };
        self.entries.iter().map(paid).sum()
    }

    /// The best nodes.
    ///
    /// Cost: one pass over the entries. Under [`Dangling::Uniform`] as many nodes again that nothing reached are looked at,
    /// of which none but the best by the uniform answer can be results.
    ///
    /// # Errors
    /// When the label of a result is damaged.
    pub fn draft(&self, of: &Gatherer<'_>, top: usize, dangling: Dangling, left: Left) -> Result<Draft> {
        let ratio = (1.0 - of.restart_prob) / of.restart_prob;
        let at_dangling = || self.entries.iter().filter(|entry| of.dangling.contains(entry.node));
        let (tallied, variance) = tallied_end_of(of.restart_prob, &self.drawn, at_dangling().map(|entry| entry.tally));
        let mut draft = Draft {
            top,
            dangling,
            drawn: self.drawn,
            sum: self.entries.iter().map(Entry::core).sum(),
            ended: (tallied + ratio * at_dangling().map(|entry| entry.paid).sum::<f64>(), variance),
            left,
            best: Vec::new(),
        };
        let scaling = draft.scaling(of);
        let wanted = top.saturating_add(1);
        let known = self.entries.iter().map(|entry| (entry.node, entry.core()));
        let mut others = Vec::new();
        if let (true, Some(uniform)) = (scaling.is_dense(), of.uniform) {
            let mut least = 0.0;
            for &node in uniform.falling.iter().filter(|&&node| self.places[node as usize] == NONE) {
                let core = uniform.core.core[node as usize];
                if wanted <= others.len() && core < least * (1.0 - ROUNDING) {
                    break;
                }
                if others.len() < wanted {
                    least = core;
                }
                others.push((node, 0.0));
            }
        }
        let score = |(node, core)| Candidate { node, score: scaling.score(of.dangling, node, core) };
        let best = ranking::best(|node| of.rank(node), known.chain(others).map(score), wanted, ROUNDING)?;
        let met = |node: NodeId| self.entries.get(self.places[node as usize] as usize);
        let mut best: Vec<(Candidate, f64, Tally)> = best
            .into_iter()
            .map(|candidate| match met(candidate.node) {
                Some(entry) => (candidate, entry.core(), entry.tally),
                None => (candidate, 0.0, Tally::default()),
            })
            .collect();
        if best.len() < wanted {
            // A node without a score ranks next, if there is one. All of them have the same standard error.
            let scored = |node| 0.0 < score((node, met(node).map_or(0.0, Entry::core))).score;
            let unmet = (0..of.nodes).map(node_at).find(|&node| !scored(node));
            best.extend(unmet.map(|node| (Candidate { node, score: 0.0 }, 0.0, Tally::default())));
        }
        draft.best = best;
        Ok(draft)
    }
}

impl Draft {
    /// The nodes about which [`Draft::finish`] asks how often walks come back to them: see [`returns`].
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> {
        let sampled = self.best.iter().filter(|(_, _, tally)| tally.variance != 0.0);
        sampled.map(|(candidate, ..)| candidate.node)
    }

    fn scaling<'u>(&self, of: &Gatherer<'u>) -> Scaling<'u> {
        let lost = self.left.lost;
        match (self.dangling, of.uniform) {
            (Dangling::Restart, _) if 0.0 < self.sum => Scaling::restart(self.sum, self.drawn.sum_variance, lost),
            (Dangling::SelfLoop, _) => Scaling::self_loop(of.restart_prob, lost),
            (Dangling::Uniform, Some(uniform)) => {
                let (ended, variance) = self.ended;
                Scaling::uniform(ended, variance, &uniform.core, lost)
            }
            (Dangling::Restart | Dangling::Drop | Dangling::Uniform, _) => Scaling::drop(lost),
        }
    }

    /// The answer. `returns` says how many visits a walk from a node makes at the node in the mean: see [`returns`].
    ///
    /// # Errors
    /// When the label of a result is damaged.
    pub fn finish(&self, of: &Gatherer<'_>, returns: impl Fn(NodeId) -> f64) -> Result<Answer> {
        let scaling = self.scaling(of);
        let judge = |&(candidate, core, tally): &(Candidate, f64, Tally)| -> Result<Judged> {
            let node = candidate.node;
            let variance = tally::variance_of(of.restart_prob, &self.drawn, tally, || Ok(returns(node)))?;
            let std_error = scaling.std_error(of.dangling, node, core, variance);
            Ok(Judged { candidate, std_error, lacking: scaling.error_bound(), by_popularity: 0.0 })
        };
        let judged = self.best.iter().map(judge).collect::<Result<Vec<_>>>()?;
        let shown = judged.iter().take(self.top).take_while(|judged| judged.candidate.score != 0.0);
        let results = shown.enumerate().map(|(place, result)| {
            Ok(Ranked {
                node: result.candidate.node,
                id: of.id(result.candidate.node)?,
                score: result.candidate.score,
                std_error: result.std_error,
                rank: place + 1,
                rank_stable: judged.get(place + 1).is_none_or(|next| result.stays_above(next, false)),
                support: None,
            })
        });
        let results = results.collect::<Result<Vec<_>>>()?;
        Ok(Answer {
            truncated: results.len() < self.top,
            results,
            method: Method::Combine,
            dangling: self.dangling,
            mass_accounted: 1.0 - self.left.lost,
            status: Status::Estimated { sampled: self.left.sampled, l1_error: self.left.l1_error },
        })
    }
}

/// How many visits a walk from `node` makes at `node` in the mean, as its own fingerprint, which is packed, estimates it: 1
/// unless it comes back. `None` when the fingerprint is damaged.
#[must_use]
pub fn returns(packed: &[u8], node: NodeId) -> Option<f64> {
    tally::returns(&Fingerprint::decode(packed)?, node)
}
