//! Amending what stale fingerprints say by what has changed since.
//!
//! Fingerprints of the base give a tally *T* that estimates `sum of r(w) q_w`, *q* the core of the base. The core of the
//! changed graph is `q' = q + q * ((1 - a) / a) * D * q'`, row by row (DESIGN, section 2, "Freshness"), so that
//!
//! ```text
//! sum of r(w) q'_w  =  T + sum over w of residual(w) * q'_w        residual(w) = (1 - a) / a * sum over x of T(x) D(x, w)
//! ```
//!
//! in the mean, with a residual that is signed. Rows are kept as `D = (1 - kept) P' + rest` ([`super::changes`]), and a residual
//! that is spread as `P'(x,·)` says is one at *x* itself that has been pushed: with `m(x) = (1 - kept(x)) T(x) / a`,
//!
//! ```text
//! residual(x) += m(x),  answer(x) -= a m(x),   residual(w) += (1 - a) / a * T(x) * rest(x, w)
//! ```
//!
//! costs as much as what has changed, not as the rows it changed in. The residual is settled on the *new* graph:
//!
//! ```text
//! repeat   push what is above the threshold                              (signed: above in absolute value)
//!          add the fingerprints of the heaviest nodes, if few hold nearly all, and sow what *they* say of changed rows
//! then push what is above lower and lower thresholds, until the rest is at most `enough` in L1
//! ```
//!
//! No fingerprint is added that was added before: what it says would depend on the residual that it is to settle. **So estimates
//! stay unbiased** but for the rest, which is known. (Test: `query::tests::changed`.) Where pushing concerns too much of the graph,
//! the answer is swept instead.
//!
//! # The last step
//!
//! [`super::tally::step`] takes changed rows for `kept * P'`, and *T* becomes `S = a r + (1 - a) T kept P'`. What lacks to the base's
//! rows is `- (1 - a) T rest`, with which `S` estimates the base's core at changed nodes again, better than *T* does: the residual
//! is sown from that. But it is left out of the scores, and so is the direct share `a * residual(v)` of every node that
//! residual was sown at, because
//!
//! ```text
//! S + sum over v of residual(v) * (q'_v - a e_v)
//! ```
//!
//! has the same mean, and makes the last step of all walks along edges that there are: a node that nothing leads to any more
//! has no score, instead of a small one by chance.

use std::borrow::Cow;

use super::changes::ChangedRows;
use super::push::{MOST_ROUNDS, Pusher};
use super::stored::Stored;
use super::tally;
use super::workspace::{Stale, Tally, Workspace, node_at};
use crate::error::{Error, Result};
use crate::ids::NodeId;

/// How often fingerprints are added to amend what others said.
const MOST_GENERATIONS: usize = 4;
/// By what thresholds are divided from one round of pushes to the next.
const LOWER: f64 = 4.0;
/// After so many passes over all edges by pushes from a list, all are passed over in order.
const NARROW_PASSES: u64 = 2;
/// How far a score may be off by the rest, in parts of what it would be if the rest were spread as scores are. Sweeps have the
/// like.
const UNEVEN: f64 = 2.0;

/// How far to go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Goal {
    /// What may be left of the residual, in L1.
    pub(super) enough: f64,
    /// What is above this x max(1, out-degree) is pushed rather than looked up.
    pub(super) threshold: f64,
    /// Edges after which to give up; none where there is no other way.
    pub(super) work: Option<u64>,
}

/// What walks of the base say of a changed row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Visited {
    place: usize,
    tally: Tally,
}

/// What amends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Amender<'a> {
    pusher: Pusher<'a>,
    stored: Stored<'a>,
    changes: &'a ChangedRows,
}

/// What a residual is that was drawn.
#[derive(Debug, Clone, Copy, Default)]
struct Chance {
    /// The sum of all absolute values, before any cancel out.
    total: f64,
    /// The sum of their standard errors.
    deviations: f64,
    /// The root of the sum of their variances.
    noise: f64,
}

/// The sums of a signed residual.
#[derive(Debug, Clone, Copy, Default)]
struct Left {
    signed: f64,
    /// The sum of absolute values, but for dangling nodes: there nothing is left to do.
    absolute: f64,
    /// The largest absolute value per edge.
    highest: f64,
}

impl<'a> Amender<'a> {
    /// Nothing where nothing has changed.
    pub(super) fn new(pusher: Pusher<'a>, stored: Stored<'a>) -> Option<Amender<'a>> {
        stored.changes().map(|changes| Amender { pusher, stored, changes })
    }

    /// Pushes what lies at nodes whose fingerprints are no use, until at most `enough` lies there or it has cost `work` edges.
    /// Returns what it cost. Nodes that are met are not pushed unless they are such nodes too.
    ///
    /// # Errors
    /// When the graph is damaged, or the flag of the pusher is set.
    pub(super) fn push_renewed(self, space: &mut Workspace, enough: f64, work: u64) -> Result<u64> {
        let (pusher, mut done) = (self.pusher, 0);
        let onward = 1.0 - pusher.restart_prob;
        let mut pace = pusher.halt.pace();
        for _ in 0..MOST_ROUNDS {
            let renewed = self.renewed(space);
            let lies: f64 = renewed.iter().map(|&node| space.residual[node as usize]).sum();
            if lies <= enough || work <= done {
                break;
            }
            for &node in &*renewed {
                let mass = std::mem::take(&mut space.residual[node as usize]);
                if mass == 0.0 {
                    continue;
                }
                done += pusher.cost(node);
                pace.after(pusher.cost(node))?;
                space.answer[node as usize] += pusher.restart_prob * mass;
                space.left -= pusher.restart_prob * mass;
                pusher.spread(node, onward * mass, |target, share| {
                    let Some(slot) = space.residual.get_mut(target as usize) else { return false };
                    *slot += share;
                    space.touch(target);
                    true
                })?;
            }
        }
        Ok(done)
    }

    /// The nodes whose fingerprints are no use; if those that were touched are fewer, which of them.
    fn renewed(self, space: &Workspace) -> Cow<'a, [NodeId]> {
        let all = self.changes.renewed();
        if space.is_wide() || all.len() <= space.width() {
            return Cow::Borrowed(all);
        }
        Cow::Owned(space.nodes().filter(|&node| self.changes.is_renewed(node)).collect())
    }

    /// Takes what still lies at nodes whose fingerprints are no use.
    pub(super) fn take_renewed(self, space: &mut Workspace) -> Vec<(NodeId, f64)> {
        let renewed = self.renewed(space);
        let taken = renewed.iter().map(|&node| (node, std::mem::take(&mut space.residual[node as usize])));
        taken.filter(|&(_, mass)| mass != 0.0).collect()
    }

    /// What fingerprints say of changed rows. Cost: a few nanoseconds a changed row or a node that was touched, whichever
    /// are fewer.
    pub(super) fn visited(self, space: &Workspace) -> Vec<Visited> {
        self.places(space)
            .into_iter()
            .map(|place| Visited { place, tally: space.tally[self.node(place) as usize] })
            .filter(|visited| visited.tally.score != 0.0)
            .collect()
    }

    /// The same after the last step: of the base's core, from what was visited before the step and the `sources` of all walks.
    pub(super) fn stepped(self, space: &Workspace, before: &[Visited], sources: &[(NodeId, f64)]) -> Vec<Visited> {
        let onward = 1.0 - self.pusher.restart_prob;
        let mut lacking = vec![Tally::default(); self.changes.len()];
        for Visited { place, tally } in before {
            for &(target, rest) in self.changes.rest(*place) {
                if let Some(place) = self.changes.place(target) {
                    lacking[place].score += onward * rest * tally.score;
                    lacking[place].variance += (onward * rest).powi(2) * tally.variance;
                }
            }
        }
        let visited = self.places(space).into_iter().map(|place| {
            let (node, lacking) = (self.node(place), lacking[place]);
            let paid = sources.binary_search_by_key(&node, |source| source.0).map_or(0.0, |at| sources[at].1);
            let Tally { score, variance } = space.tally[node as usize];
            let score = self.pusher.restart_prob * paid + score - lacking.score;
            Visited { place, tally: Tally { score, variance: variance + lacking.variance } }
        });
        visited.filter(|visited| visited.tally.score != 0.0).collect()
    }

    /// The places of changed rows that may have been visited, ascending.
    fn places(self, space: &Workspace) -> Vec<usize> {
        if space.is_wide() || self.changes.len() <= space.width() {
            return (0..self.changes.len()).collect();
        }
        let mut places: Vec<usize> = space.nodes().filter_map(|node| self.changes.place(node)).collect();
        places.sort_unstable();
        places
    }

    fn node(self, place: usize) -> NodeId {
        self.changes.rows()[place].node
    }

    /// Amends the answer by what was visited; `waiting` is what was not looked up because fingerprints were no use. Whether the
    /// last step has been made decides which part of the residual is in the scores already. Expects that nothing is left of
    /// any residual, and that the nodes that were looked up are marked.
    ///
    /// False when it was given up: then the answer is off by what [`Stale::left`] says.
    ///
    /// # Errors
    /// When graph or index is damaged, or the flag of the pusher is set.
    pub(super) fn amend(
        self,
        space: &mut Workspace,
        visited: &[Visited],
        stepped: bool,
        waiting: &[(NodeId, f64)],
        goal: Goal,
    ) -> Result<bool> {
        if visited.is_empty() && waiting.is_empty() {
            return Ok(true);
        }
        let mut sown = Vec::new();
        for &Visited { place, tally } in visited {
            self.sow(space, place, tally.score, !stepped, &mut sown);
        }
        if stepped {
            for &node in &sown {
                if space.mark_sown(node) {
                    let residual = space.residual[node as usize];
                    space.amended[node as usize].score -= self.pusher.restart_prob * residual;
                }
            }
        }
        for &(node, mass) in waiting {
            space.touch_amending(node);
            space.residual[node as usize] += mass;
        }
        let settled = self.settle(space, goal)?;
        let Chance { total, deviations, noise } = self.chance(visited);
        let relative = if total == 0.0 { 0.0 } else { deviations / total };
        self.finish(space, relative, noise);
        Ok(settled)
    }

    /// How far the residual that comes of what was visited may be off.
    fn chance(self, visited: &[Visited]) -> Chance {
        let (a, mut chance) = (self.pusher.restart_prob, Chance::default());
        let mut squares = 0.0;
        for &Visited { place, tally } in visited {
            let changed = self.changes.rows()[place];
            let each = (1.0 - changed.kept).abs() / a + (1.0 - a) / a * changed.rest;
            let deviation = tally.variance.sqrt() * each;
            chance.total += tally.score.abs() * each;
            chance.deviations += deviation;
            squares += deviation * deviation;
        }
        Chance { noise: squares.sqrt(), ..chance }
    }

    /// About the L1 error of an answer whose error is `before` once it has been amended by what was visited, if half of the
    /// residual cancels out. See [`l1_error`].
    pub(super) fn l1_error(self, visited: &[Visited], before: f64) -> f64 {
        let Chance { deviations, noise, .. } = self.chance(visited);
        before.hypot(deviations / 2.0 + noise)
    }

    /// Turns what walks of the base say of one changed row into residual, and lists where. The row's own share is taken back
    /// here, or not.
    fn sow(self, space: &mut Workspace, place: usize, score: f64, take_back: bool, sown: &mut Vec<NodeId>) {
        let (a, changed) = (self.pusher.restart_prob, self.changes.rows()[place]);
        let mut put = |node: NodeId, amount: f64| {
            space.touch_amending(node);
            space.residual[node as usize] += amount;
            sown.push(node);
        };
        let gone = 1.0 - changed.kept;
        if gone != 0.0 {
            put(changed.node, gone * score / a);
        }
        for &(target, rest) in self.changes.rest(place) {
            put(target, (1.0 - a) / a * score * rest);
        }
        if take_back && gone != 0.0 {
            space.amended[changed.node as usize].score -= gone * score;
        }
    }

    /// Settles the residual. False when it was given up.
    fn settle(self, space: &mut Workspace, goal: Goal) -> Result<bool> {
        let Goal { enough, threshold, work } = goal;
        let narrow = NARROW_PASSES * self.pusher.scan_cost();
        let most = work.map_or(narrow, |work| work.min(narrow));
        let (mut done, mut left) = (0, self.left(space));
        for _ in 0..MOST_GENERATIONS {
            if threshold < left.highest && enough < left.absolute {
                done += self.push(space, threshold, enough, most.saturating_sub(done))?;
                left = self.left(space);
            }
            if left.absolute <= enough || most <= done || !self.look_up(space, left.absolute, enough)? {
                break;
            }
            left = self.left(space);
        }
        let mut threshold = left.highest / LOWER;
        while enough < left.absolute && done < most && 0.0 < threshold {
            done += self.push(space, threshold, enough, most - done)?;
            left = self.left(space);
            threshold = (threshold / LOWER).min(left.highest / LOWER);
        }
        if left.absolute <= enough {
            return Ok(true);
        }
        if work.is_some() {
            return Ok(false);
        }
        self.pass_over_all(space, enough)?;
        Ok(true)
    }

    fn left(self, space: &Workspace) -> Left {
        let mut left = Left::default();
        for node in space.amending_nodes() {
            let residual = space.residual[node as usize];
            if residual == 0.0 {
                continue;
            }
            left.signed += residual;
            if !self.pusher.is_dangling(node) {
                left.absolute += residual.abs();
                left.highest = left.highest.max(residual.abs() / self.pusher.cost(node) as f64);
            }
        }
        left
    }

    /// Pushes what is above the threshold per edge in absolute value, in rounds, until nothing is, or at most about `enough`
    /// is left, or it has cost `work` edges. Returns what it cost.
    fn push(self, space: &mut Workspace, threshold: f64, enough: f64, work: u64) -> Result<u64> {
        let pusher = self.pusher;
        let (mut list, mut next): (Vec<NodeId>, Vec<NodeId>) = (Vec::new(), Vec::new());
        let (mut before, mut left) = (0.0, 0.0);
        for position in 0..space.amending() {
            let node = space.amending_node(position);
            let residual = space.residual[node as usize];
            before += residual;
            left += residual.abs();
            if threshold * (pusher.cost(node) as f64) < residual.abs() {
                space.enqueue(node);
                list.push(node);
            }
        }
        let (mut done, mut paid, mut pace) = (0, 0.0, pusher.halt.pace());
        while !list.is_empty() && enough < left && done < work {
            for &node in &list {
                space.dequeue(node);
                let mass = std::mem::take(&mut space.residual[node as usize]);
                done += pusher.cost(node);
                pace.after(pusher.cost(node))?;
                left -= mass.abs();
                paid += self.pay(space, node, mass);
                if pusher.is_dangling(node) {
                    continue;
                }
                pusher.spread(node, (1.0 - pusher.restart_prob) * mass, |target, share| {
                    let Some(slot) = space.residual.get_mut(target as usize) else { return false };
                    let old = slot.abs();
                    *slot += share;
                    let new = slot.abs();
                    left += new - old;
                    space.touch_amending(target);
                    if threshold < new && threshold * (pusher.cost(target) as f64) < new && space.enqueue(target) {
                        next.push(target);
                    }
                    true
                })?;
            }
            list.clear();
            std::mem::swap(&mut list, &mut next);
        }
        list.iter().for_each(|&node| space.dequeue(node));
        pusher.check_sum(self.left(space).signed + paid, before)?;
        Ok(done)
    }

    /// Pays a node its own share of what is pushed there. Returns what is not passed on.
    fn pay(self, space: &mut Workspace, node: NodeId, mass: f64) -> f64 {
        let paid = self.pusher.restart_prob * mass;
        space.amended[node as usize].score += paid;
        if self.pusher.is_dangling(node) { mass } else { paid }
    }

    /// Pushes node after node, in order, until at most `enough` is left.
    fn pass_over_all(self, space: &mut Workspace, enough: f64) -> Result<()> {
        let pusher = self.pusher;
        space.amend_all();
        let threshold = enough / 2.0 / pusher.scan_cost() as f64;
        let mut left = self.left(space);
        let mut pace = pusher.halt.pace();
        for _ in 0..MOST_ROUNDS {
            if left.absolute <= enough {
                return Ok(());
            }
            let (before, mut paid) = (left.signed, 0.0);
            for at in 0..space.amending() {
                let (node, mass) = (node_at(at), space.residual[at]);
                let cost = pusher.cost(node);
                pace.after(1)?;
                if mass.abs() <= threshold * cost as f64 {
                    continue;
                }
                pace.after(cost)?;
                space.residual[at] = 0.0;
                paid += self.pay(space, node, mass);
                if !pusher.is_dangling(node) {
                    pusher.spread(node, (1.0 - pusher.restart_prob) * mass, |target, share| {
                        space.residual.get_mut(target as usize).map(|slot| *slot += share).is_some()
                    })?;
                }
            }
            left = self.left(space);
            pusher.check_sum(left.signed + paid, before)?;
        }
        Err(Error::damaged(pusher.graph.path(), "mass does not come to an end on its edges"))
    }

    /// Adds the fingerprints of the nodes with the heaviest residuals instead of these, so that at most `enough` is left of
    /// `left`; and sows what they say of changed rows. False when it would take too many.
    fn look_up(self, space: &mut Workspace, left: f64, enough: f64) -> Result<bool> {
        let (pusher, stored) = (self.pusher, self.stored);
        let affordable = pusher.scan_cost() as f64 * space.few;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative; `as` saturates")]
        let most = (affordable / tally::VISIT_COST / stored.plan().visits_of(1)) as usize;
        let mut heaviest: Vec<(f64, NodeId)> = space
            .amending_nodes()
            .filter(|&node| space.residual[node as usize] != 0.0 && !space.is_used(node) && self.is_of_use(node))
            .map(|node| (space.residual[node as usize], node))
            .collect();
        let falling = |a: &(f64, NodeId), b: &(f64, NodeId)| b.0.abs().total_cmp(&a.0.abs()).then(a.1.cmp(&b.1));
        if most == 0 {
            return Ok(false);
        }
        if most < heaviest.len() {
            heaviest.select_nth_unstable_by(most, falling);
            heaviest.truncate(most);
        }
        heaviest.sort_unstable_by(falling);
        let (mut rest, mut cost, mut count) = (left, 0.0, 0);
        for &(residual, node) in &heaviest {
            if rest <= enough / 2.0 {
                break;
            }
            rest -= residual.abs();
            cost += tally::VISIT_COST * stored.visits(pusher.graph, node);
            count += 1;
        }
        if enough < rest || affordable < cost || count == 0 {
            return Ok(false);
        }
        let mut said = vec![0.0; self.changes.len()];
        let mut pace = pusher.halt.pace();
        for &(residual, node) in &heaviest[..count] {
            space.mark_used(node);
            space.residual[node as usize] = 0.0;
            pace.after(self.add(space, node, residual, &mut said)?)?;
        }
        let mut sown = Vec::new();
        for (place, &score) in said.iter().enumerate().filter(|(_, score)| **score != 0.0) {
            self.sow(space, place, score, true, &mut sown);
        }
        Ok(true)
    }

    /// Whether the fingerprint of a node says more than that the node is there.
    fn is_of_use(self, node: NodeId) -> bool {
        self.stored.has(node) && !self.stored.is_renewed(node) && !self.pusher.is_dangling(node)
    }

    /// Adds `weight` times the fingerprint of `source` to what amends, and to what is `said` of changed rows. Returns the
    /// entries read.
    fn add(self, space: &mut Workspace, source: NodeId, weight: f64, said: &mut [f64]) -> Result<u64> {
        let fingerprint = self.stored.fingerprint(source)?;
        let mut adding = tally::Adding::new(&fingerprint, source, weight, self.pusher.restart_prob);
        let mut inside = true;
        let whole = fingerprint.for_each(|node, units| match space.amended.get_mut(node as usize) {
            Some(amended) => {
                let before = amended.score;
                adding.record(amended, node, units);
                let added = amended.score - before;
                space.touch_amending(node);
                if let Some(said) = self.changes.place(node).and_then(|place| said.get_mut(place)) {
                    *said += added;
                }
            }
            None => inside = false,
        });
        if whole && inside { Ok(fingerprint.entries.into()) } else { Err(self.stored.damaged(source)) }
    }

    /// Puts what amends into the answer.
    fn finish(self, space: &mut Workspace, relative: f64, noise: f64) {
        let (a, ratio) = (self.pusher.restart_prob, (1.0 - self.pusher.restart_prob) / self.pusher.restart_prob);
        let (mut left, mut sum, mut ended) = (0.0, 0.0, 0.0);
        for position in 0..space.amending() {
            let node = space.amending_node(position);
            let (at, dangling) = (node as usize, self.pusher.is_dangling(node));
            let residual = space.residual[at];
            if residual != 0.0 {
                space.amended[at].score += a * residual;
                left += if dangling { 0.0 } else { (1.0 - a) * residual.abs() };
            }
            let amended = space.amended[at].score;
            space.answer[at] += amended;
            sum += amended;
            ended += if dangling { ratio * amended } else { 0.0 };
        }
        space.ended += ended;
        space.drawn.sum_variance += (relative * sum).powi(2);
        // As mass is conserved, no more than all that is left can end besides.
        let ended_variance = (relative * ended).powi(2) + (noise * space.ended).powi(2) + left * left;
        space.stale = Stale { relative, noise, left, ended_variance };
    }
}

/// An estimate of the L1 error of an answer that has been amended, where what was amended had an error of `before`.
pub(super) fn l1_error(space: &Workspace, before: f64) -> f64 {
    let Stale { relative, noise, left, .. } = space.stale;
    let deviation = |node: NodeId| {
        let Tally { score, variance } = space.amended[node as usize];
        ((relative * score).powi(2) + variance).sqrt()
    };
    let by_chance: f64 = space.amending_nodes().map(deviation).sum::<f64>() * (2.0 / std::f64::consts::PI).sqrt();
    before.hypot(by_chance + noise) + left
}

/// The variance that amending adds to a node's core.
pub(super) fn variance(space: &Workspace, node: NodeId) -> f64 {
    let Some(&Tally { score, variance }) = space.amended.get(node as usize) else { return 0.0 };
    let Stale { relative, noise, left, .. } = space.stale;
    let core = space.core(node).abs();
    variance + (relative * score).powi(2) + (noise * core).powi(2) + (UNEVEN * left * core).powi(2)
}
