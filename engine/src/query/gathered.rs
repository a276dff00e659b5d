//! Answers that are put together from parts: what others have pushed, and the fingerprints of what they have left.
//!
//! Over a sharded graph no worker can push alone. Whoever owns a row pushes it, and sends what was paid and what was left
//! ([`super::push`] has the rule) to the one that puts the answer together:
//!
//! ```text
//! pay      core(v)  += what was pushed at v
//! add      tally(v) += residual(w) * fingerprint(w)(v)       ascending by w
//! ```
//!
//! It knows no rows, so that the last step of walks is not made exactly as in [`super::combine`]: for the same error pushes
//! go farther instead. Which nodes are dangling it is told; how often walks come back to a node, which standard errors
//! depend on, it asks for once it knows which nodes are results ([`Draft::nodes`]).
//!
//! **An answer is a pure function of its parts**: sums are made in the order in which parts come in, which is the caller's
//! to choose. (Test: `query::tests::gathered`.)

use hashbrown::HashMap;
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
    /// The ids of all nodes.
    pub labels: &'a Labels,
    /// The restart probability of the index.
    pub restart_prob: f64,
    /// The nodes without out-edges.
    pub dangling: &'a RoaringBitmap,
    /// The answer to uniform seeds, for [`Dangling::Uniform`].
    pub uniform: Option<&'a UniformAnswer>,
}

/// The answer to uniform seeds.
#[derive(Debug, Clone)]
pub struct UniformAnswer {
    core: UniformCore,
    /// All nodes, best first.
    falling: Vec<NodeId>,
}

/// The parts of one answer as they come in. Memory: about 50 bytes a node that the answer meets.
#[derive(Debug, Default)]
pub struct Gathered {
    places: HashMap<NodeId, u32>,
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

/// An answer but for its standard errors.
#[derive(Debug, Clone)]
pub struct Draft {
    top: usize,
    dangling: Dangling,
    drawn: Drawn,
    sum: f64,
    ended: (f64, f64),
    lost: f64,
    l1_error: f64,
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
        UniformAnswer { core: UniformCore { core, sum, ended, residual }, falling }
    }
}

impl Gathered {
    /// Forgets everything.
    pub fn clear(&mut self) {
        self.places.clear();
        self.entries.clear();
        self.drawn = Drawn::default();
    }

    fn entry(places: &mut HashMap<NodeId, u32>, entries: &mut Vec<Entry>, node: NodeId) -> usize {
        let next = node_at(entries.len()); // there are no more entries than nodes
        let place = *places.entry(node).or_insert(next);
        if place == next {
            entries.push(Entry { node, paid: 0.0, tally: Tally::default() });
        }
        place as usize
    }

    /// Adds what was pushed at a node and stayed there.
    pub fn pay(&mut self, node: NodeId, amount: f64) {
        let place = Gathered::entry(&mut self.places, &mut self.entries, node);
        self.entries[place].paid += amount;
    }

    /// Adds what was left at a node, by the packed fingerprint of the node. False when the fingerprint is damaged, or names
    /// what is no node.
    #[must_use]
    pub fn add(&mut self, of: &Gatherer<'_>, source: NodeId, mass: f64, packed: &[u8]) -> bool {
        let Some(fingerprint) = Fingerprint::decode(packed) else { return false };
        let mut adding = Adding::new(&fingerprint, source, mass, of.restart_prob);
        let (Gathered { places, entries, drawn }, nodes, mut inside) = (self, of.labels.len(), true);
        let whole = fingerprint.for_each(|node, units| {
            if (node as usize) < nodes {
                let place = Gathered::entry(places, entries, node);
                adding.record(&mut entries[place].tally, node, units);
            } else {
                inside = false;
            }
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

    /// The best nodes. `lost` is the part of the seeds' mass that is neither pushed nor added.
    ///
    /// Cost: one pass over the entries. Under [`Dangling::Uniform`] as many nodes again that nothing reached are looked at,
    /// of which none but the best by the uniform answer can be results.
    ///
    /// # Errors
    /// When the label of a result is damaged.
    pub fn draft(&self, of: &Gatherer<'_>, top: usize, dangling: Dangling, lost: f64) -> Result<Draft> {
        let ratio = (1.0 - of.restart_prob) / of.restart_prob;
        let at_dangling = || self.entries.iter().filter(|entry| of.dangling.contains(entry.node));
        let (tallied, variance) = tallied_end_of(of.restart_prob, &self.drawn, at_dangling().map(|entry| entry.tally));
        let mut draft = Draft {
            top,
            dangling,
            drawn: self.drawn,
            sum: self.entries.iter().map(Entry::core).sum(),
            ended: (tallied + ratio * at_dangling().map(|entry| entry.paid).sum::<f64>(), variance),
            lost,
            l1_error: self.l1_error() + lost,
            best: Vec::new(),
        };
        let scaling = draft.scaling(of);
        let wanted = top.saturating_add(1);
        let known = self.entries.iter().map(|entry| (entry.node, entry.core()));
        let mut others = Vec::new();
        if let (true, Some(uniform)) = (scaling.is_dense(), of.uniform) {
            let mut least = 0.0;
            for &node in uniform.falling.iter().filter(|&node| !self.places.contains_key(node)) {
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
        let best = ranking::best(of.labels, known.chain(others).map(score), wanted, ROUNDING)?;
        let met = |node| self.places.get(&node).map(|&place| &self.entries[place as usize]);
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
            let unmet = (0..of.labels.len()).map(node_at).find(|&node| !scored(node));
            best.extend(unmet.map(|node| (Candidate { node, score: 0.0 }, 0.0, Tally::default())));
        }
        draft.best = best;
        Ok(draft)
    }
}

impl Draft {
    /// The estimate of the L1 error of the linear core.
    #[must_use]
    pub fn l1_error(&self) -> f64 {
        self.l1_error
    }

    /// The nodes about which [`Draft::finish`] asks how often walks come back to them: see [`returns`].
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> {
        let sampled = self.best.iter().filter(|(_, _, tally)| tally.variance != 0.0);
        sampled.map(|(candidate, ..)| candidate.node)
    }

    fn scaling<'u>(&self, of: &Gatherer<'u>) -> Scaling<'u> {
        match (self.dangling, of.uniform) {
            (Dangling::Restart, _) if 0.0 < self.sum => Scaling::restart(self.sum, self.drawn.sum_variance, self.lost),
            (Dangling::SelfLoop, _) => Scaling::self_loop(of.restart_prob, self.lost),
            (Dangling::Uniform, Some(uniform)) => {
                let (ended, variance) = self.ended;
                Scaling::uniform(ended, variance, &uniform.core, self.lost)
            }
            (Dangling::Restart | Dangling::Drop | Dangling::Uniform, _) => Scaling::drop(self.lost),
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
                id: of.labels.id(result.candidate.node)?,
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
            mass_accounted: 1.0 - self.lost,
            status: Status::Estimated { sampled: self.drawn.mass, l1_error: self.l1_error },
        })
    }
}

/// How many visits a walk from `node` makes at `node` in the mean, as its own fingerprint, which is packed, estimates it: 1
/// unless it comes back. `None` when the fingerprint is damaged.
#[must_use]
pub fn returns(packed: &[u8], node: NodeId) -> Option<f64> {
    tally::returns(&Fingerprint::decode(packed)?, node)
}
