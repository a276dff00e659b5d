//! Adding fingerprints to the answer, and what variance that brings.
//!
//! A fingerprint of source *w* with *R* walks estimates *q_w(v)* by `unit * units(v)`, `unit = a / (8 R)`. Its visits
//! arrive in packets of at most [`UNITS_PER_PACKET`] units that move at random as one (heavier parts split evenly, which
//! adds less noise than packets that move on their own). If packets reached *v* independently, their number would be
//! binomial, with a variance of at most its mean: the estimate's variance is then at most
//! `(unit * UNITS_PER_PACKET) * (unit * units(v))`, which the visits themselves estimate. The first visit of each walk,
//! at *w* itself, is certain and is left out.
//!
//! Added with weight *r*: `score += r * unit * units` and `variance += (r * unit)^2 * UNITS_PER_PACKET * units`. Walks of
//! different sources are independent, so variances add up.
//!
//! # The last step, exactly
//!
//! A sum *T* of fingerprints estimates `sum of r(w) q_w`, and every core obeys `q = a r + (1 - a) q P`: the last step of a
//! walk may be drawn, or all its possibilities may be paid at once. [`step`] replaces *T* by `a r + (1 - a) T P`. It is
//! unbiased as *T* is, costs the out-edges of what was visited, and spreads each packet over all nodes it could have gone
//! to next: measured on soc-Epinions1, the L1 error falls to a quarter, which sixteen times the walks would do
//! otherwise. (SpeedPPR, Wu et al. 2021, section 6, walks after power iteration; this is a power iteration after walks.)
//! Variances go along as `sum over u of ((1 - a) P(u, v))^2 * variance(u)`, as if in-neighbours were visited
//! independently; [`variance`] corrects for walks that pass by twice.

use super::changes::ChangedRows;
use super::push::Pusher;
use super::stored::Stored;
use super::workspace::{Drawn, Tally, Workspace};
use crate::error::Result;
use crate::fingerprint::Fingerprint;
use crate::ids::NodeId;
use crate::plan::{UNITS_PER_PACKET, UNITS_PER_WALK};

/// By how many packets of the mean size a node may be off after [`step`], for those that could have come by in-neighbours
/// which none visited, on edges of more than the mean share. Measured on soc-Epinions1, restart 0.15, threshold 2.5e-4:
/// 2 leaves 5.2 % of the scores of one order of magnitude beyond two standard errors, 3 leaves less than 5 % in each.
const UNSEEN_AFTER_STEP: f64 = 3.0;
/// What reading a stored visit takes, in edges of a sweep: 3 ns against less than half of one.
pub(super) const VISIT_COST: f64 = 8.0;

/// One fingerprint on its way into tallies.
pub(super) struct Adding {
    source: NodeId,
    weight: f64,
    restart_prob: f64,
    unit: f64,
    packet: f64,
    certain: u32,
    /// The chance that the fingerprint was to be added.
    chance: f64,
    random: u64,
    /// Variances that come of the chance.
    by_chance: f64,
}

impl Adding {
    /// Begins to add `weight` times the fingerprint of `source`.
    pub(super) fn new(fingerprint: &Fingerprint<'_>, source: NodeId, weight: f64, restart_prob: f64) -> Adding {
        let unit = weight * fingerprint.unit(restart_prob);
        let packet = unit * unit * f64::from(UNITS_PER_PACKET);
        let certain = certain_units(fingerprint);
        Adding { source, weight, restart_prob, unit, packet, certain, chance: 1.0, random: 0, by_chance: 0.0 }
    }

    /// The same of a fingerprint that had this chance to be added, and was not left out: see [`super::gathered`].
    pub(super) fn with_chance(self, chance: f64) -> Adding {
        Adding { chance, ..self }
    }

    /// Adds an entry to its node's tally.
    #[inline]
    pub(super) fn record(&mut self, tally: &mut Tally, node: NodeId, units: u32) {
        let random = if node == self.source { units.saturating_sub(self.certain) } else { units };
        tally.score += self.unit * f64::from(units);
        tally.variance += self.packet * f64::from(random);
        self.random += u64::from(random);
    }

    /// Adds an entry but for the first visits of walks, all at the source, to its node's tally.
    #[inline]
    pub(super) fn record_later(&mut self, tally: &mut Tally, node: NodeId, units: u32) {
        let random = if node == self.source { units.saturating_sub(self.certain) } else { units };
        let score = self.unit * f64::from(random);
        let by_chance = (1.0 - self.chance) * score * score;
        tally.score += score;
        tally.variance += self.packet * f64::from(random) + by_chance;
        self.random += u64::from(random);
        self.by_chance += by_chance;
    }

    /// Adds to the sums what all entries were together.
    pub(super) fn finish(self, drawn: &mut Drawn) {
        let Adding { weight, restart_prob, unit, packet, certain, random, chance, by_chance, .. } = self;
        // The number of visits that a packet makes is geometric, or less spread where walks end at dangling nodes: with a
        // mean of m, its variance is at most about m (m - 1).
        let later_visits = random as f64 / f64::from(certain);
        let packets = f64::from(certain) / f64::from(UNITS_PER_PACKET);
        let paid = weight * restart_prob;
        drawn.mass += weight;
        drawn.sum_variance += paid * paid * (1.0 + later_visits) * later_visits / packets;
        let score = unit * random as f64;
        drawn.sum_variance += (1.0 - chance) * score * score;
        drawn.score += score;
        drawn.variance += packet * random as f64 + by_chance;
    }
}

/// Adds `weight` times the fingerprint of `source`. Returns how many entries it has. Cost: a few nanoseconds an entry.
///
/// # Errors
/// When the fingerprint is damaged.
pub(super) fn add(stored: Stored<'_>, source: NodeId, weight: f64, space: &mut Workspace) -> Result<u32> {
    let fingerprint = stored.fingerprint(source)?;
    let mut adding = Adding::new(&fingerprint, source, weight, stored.plan().restart_prob);
    let mut inside = true;
    let whole = if space.is_wide() {
        let tallies = space.tally.as_mut_slice();
        fingerprint.for_each(|node, units| match tallies.get_mut(node as usize) {
            Some(tally) => adding.record(tally, node, units),
            None => inside = false,
        })
    } else {
        fingerprint.for_each(|node, units| match space.tally.get_mut(node as usize) {
            Some(tally) => {
                adding.record(tally, node, units);
                space.touch(node);
            }
            None => inside = false,
        })
    };
    adding.finish(&mut space.drawn); // also of what is damaged, so that clearing knows
    if whole && inside { Ok(fingerprint.entries) } else { Err(stored.damaged(source)) }
}

/// The out-edges of everything in the tally: the cost of [`step`].
pub(super) fn step_cost(pusher: Pusher<'_>, space: &Workspace) -> u64 {
    let visited = space.nodes().filter(|&node| space.tally[node as usize].score != 0.0);
    visited.map(|node| pusher.cost(node)).sum()
}

/// Replaces the tally *T* by `(1 - a) T P`: the first term of the step, `a r`, is the caller's. Of rows that have changed
/// since only the share that was kept is walked: see [`super::amend`]. Cost: a few nanoseconds for each of [`step_cost`]'s
/// edges.
///
/// # Errors
/// When the graph is damaged, or the flag of the pusher is set.
pub(super) fn step(pusher: Pusher<'_>, changes: Option<&ChangedRows>, space: &mut Workspace) -> Result<()> {
    let all_onward = 1.0 - pusher.restart_prob;
    let (mut sent, mut pace) = (0.0, pusher.halt.pace());
    // Nodes that are touched on the way have nothing in the old tally.
    for position in 0..space.width() {
        let node = space.node(position);
        let Tally { score, variance } = space.tally[node as usize];
        if score == 0.0 || pusher.is_dangling(node) {
            continue;
        }
        let onward = changes.map_or(all_onward, |changes| all_onward * changes.kept(node));
        if onward == 0.0 {
            continue;
        }
        pace.after(pusher.cost(node))?;
        sent += onward * score;
        let pay = |stepped: &mut Tally, share: f64| {
            stepped.score += share * score;
            stepped.variance += share * share * variance;
        };
        if space.is_wide() {
            let all = space.stepped.as_mut_slice();
            pusher.spread(node, onward, |target, share| {
                all.get_mut(target as usize).map(|stepped| pay(stepped, share)).is_some()
            })?;
        } else {
            pusher.spread(node, onward, |target, share| {
                let Some(stepped) = space.stepped.get_mut(target as usize) else { return false };
                pay(stepped, share);
                space.touch(target);
                true
            })?;
        }
    }
    std::mem::swap(&mut space.tally, &mut space.stepped);
    let (mut arrived, mut variance, mut sound) = (0.0, 0.0, true);
    for node in space.nodes() {
        let tally = space.tally[node as usize];
        arrived += tally.score;
        variance += tally.variance;
        sound &= 0.0 <= tally.score;
    }
    space.drawn.stepped_variance = Some(variance);
    pusher.check_sum(if sound { arrived } else { f64::NAN }, sent)
}

/// What visits in clumps add to the L1 error, which plain sums of variances do not see: between 1.2 (soc-Epinions1,
/// cnr-2000) and 1.75 (WordNet).
const CLUMPS: f64 = 1.5;

/// An estimate of the L1 error of the tally: normally distributed errors are sqrt(2 / pi) standard errors in the mean.
pub(super) fn l1_error(space: &Workspace) -> f64 {
    l1_error_of(space.nodes().map(|node| space.tally[node as usize]))
}

/// The same of any tallies.
pub(super) fn l1_error_of(tallies: impl Iterator<Item = Tally>) -> f64 {
    let deviations: f64 = tallies.map(|tally| tally.variance.sqrt()).sum();
    CLUMPS * deviations * (2.0 / std::f64::consts::PI).sqrt()
}

/// The variance of a node's tally: the plain sum, with corrections for what the sum does not see.
///
/// *Walks that come back.* If a walk that is at *v* visits it `g` times in the mean, visits arrive in geometrically
/// distributed clumps, and their number has a variance of `2 g - 1` times its mean. `g` is read from the node's own
/// fingerprint, once in the life of a workspace.
///
/// *Walks that pass by again.* After [`step`] a packet pays *v* from every in-neighbour it visits. Where it paid once, it
/// pays again what a walk from there pays: about what walks from all sources do in the mean, and `g - 1` visits if *v* lies
/// in a corner that walks keep coming back to. Twice the product goes to the variance.
///
/// *Few packets.* Where few packets arrived, their number is a poor estimate of its own variance: one more of their mean
/// size is added. Nor does a node's own tally know of packets that might have come by other ways: a packet of the mean
/// size of all is added, or after [`step`] a few of the smaller ones it made. So a node that no packet met has a standard
/// error too.
///
/// # Errors
/// When the node's fingerprint is damaged.
pub(super) fn variance(stored: Stored<'_>, node: NodeId, space: &Workspace) -> Result<f64> {
    let read = || match stored.has(node) {
        true => returns(&stored.fingerprint(node)?, node).ok_or_else(|| stored.damaged(node)),
        false => Ok(1.0), // no walk of the base came there at all
    };
    let returns = || space.returns(node, read);
    variance_of(stored.plan().restart_prob, &space.drawn, space.tally[node as usize], returns)
}

/// The same from a node's tally and what the tallies of all have in sum; `returns` is what [`returns`] says of the node.
pub(super) fn variance_of(
    restart_prob: f64,
    drawn: &Drawn,
    tally: Tally,
    returns: impl FnOnce() -> Result<f64>,
) -> Result<f64> {
    let Drawn { mass, score: drawn_score, variance: drawn_variance, stepped_variance, .. } = *drawn;
    if drawn_variance == 0.0 {
        return Ok(0.0);
    }
    let mean_packet = drawn_variance / drawn_score;
    let unseen = match stepped_variance {
        None => mean_packet,
        Some(stepped) => mean_packet.min(UNSEEN_AFTER_STEP * stepped / ((1.0 - restart_prob) * drawn_score)),
    };
    let Tally { score, variance } = tally;
    if variance == 0.0 {
        return Ok(unseen * unseen);
    }
    let (packet, later_own_visits) = (variance / score, returns()? - 1.0);
    let clumped = (variance + packet * packet) * (1.0 + 2.0 * later_own_visits);
    let again = if stepped_variance.is_some() {
        let later_visits = later_own_visits + score / (restart_prob * mass);
        2.0 * (1.0 - restart_prob) * mean_packet * score * later_visits
    } else {
        0.0
    };
    Ok(clumped + again + unseen * unseen)
}

/// How many visits a walk from `node` makes at `node` in the mean, as its own fingerprint estimates it: 1 unless it comes
/// back. `None` when the fingerprint is damaged.
pub(super) fn returns(fingerprint: &Fingerprint<'_>, node: NodeId) -> Option<f64> {
    let mut own = 0;
    let whole = fingerprint.for_each(|visited, units| own += if visited == node { units } else { 0 });
    whole.then(|| (f64::from(own) / f64::from(certain_units(fingerprint))).max(1.0))
}

/// The units of the first visits, one visit a walk.
fn certain_units(fingerprint: &Fingerprint<'_>) -> u32 {
    fingerprint.walks.saturating_mul(UNITS_PER_WALK)
}
