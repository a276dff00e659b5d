//! Push where mass is dense, then add the fingerprints of what is left.
//!
//! The decomposition `q = answer + sum over w of residual(w) * q_w` holds at any time (see [`super::push`]); here each
//! `q_w` is taken from the fingerprint of *w*. This is FORA's query (Wang et al. 2017, section 3) on PowerWalk's stored
//! walks (Liu et al. 2016, section 4), with residuals bounded in proportion to out-degree, because that is how walks are
//! dealt out (DESIGN, section 2). Where it pays, the last step of all walks is made exactly (see [`super::tally`]).
//!
//! ```text
//! residual = s, answer = 0, tally = 0
//! push while some residual(v) > threshold * max(1, out-degree)           (push::local)
//! leave out the residuals that are smallest per walk, `drop` in sum at most
//! for every other w with residual(w) > 0:
//!     tally += residual(w) * fingerprint(w)                              (tally::add)
//! if even the last step will not make that precise enough: tally = 0, and all over again with a lower threshold
//! unless that is precise enough: the last step of all walks exactly:
//!     answer += a * residual, tally = (1 - a) * tally * P                (tally::step)
//! q = answer + tally
//! ```
//!
//! Where rows have changed since the fingerprints were made, *P* is that of the changed graph, nodes whose fingerprints are no use
//! any more are pushed whatever lies there, and the tally is amended in the end: see [`super::amend`].
//!
//! As soon as this concerns so much of the graph that passing over all of it takes less time, or if it does not become precise
//! enough, the answer is swept from what was pushed so far ([`super::sweep`]), and `q = answer`.
//!
//! A dangling node is never looked up: pushing it is exact and cheaper. A residual that is left out still pays
//! `a * residual(w)` to *w* itself, which is its own exact share, so that only `(1 - a) * residual(w)` is missing.

use super::amend::{self, Amender, Visited};
use super::push::{self, MOST_ROUNDS, Pushed, Pusher, Stop};
use super::question::{PushBound, Question};
use super::stored::Stored;
use super::sweep::{Goal, LazySweeper};
use super::tally::{self, VISIT_COST};
use super::workspace::Workspace;
use crate::error::Result;
use crate::ids::NodeId;
use crate::plan::Plan;

/// The exact last step divides the L1 error by about four, for which pushing and looking up alone would take about this
/// many times the work (soc-Epinions1: thresholds 3e-4 and 1e-5, 1.4 and 10 ms).
const STEP_WORTH: f64 = 8.0;

/// What the exact last step divides the L1 error by, at least.
const STEP_GAIN: f64 = 3.0;
/// By what a threshold is multiplied that turned out too high, at least and at most.
const LEAST_FARTHER: f64 = 1.0 / 64.0;
const MOST_FARTHER: f64 = 0.5;
/// The mean degree of what walks visit, in mean degrees of all nodes: at least about this.
const VISITED_DEGREE: f64 = 2.0;
/// What an edge of the last step takes, in edges of a sweep.
const STEP_COST: f64 = 5.0;
/// How many fingerprints ahead bytes are asked for.
const AHEAD: usize = 8;
/// What the error is taken for at least when a tally is amended, as a part of the precision.
const LEAST_ERROR: f64 = 0.1;
/// How many times the error of fingerprints that are not stale an amended tally may have.
const STALER: f64 = 1.2;
/// How often nodes are pushed whose fingerprints are no use before what is left of them waits.
const MOST_RENEWALS: usize = 8;
/// Sweeps to an error of 0.1, and for every factor of *e* below: what graphs of many kinds took in the mean.
const SWEEPS: (f64, f64) = (2.0, 1.2);

/// Where the mass of the seeds went that was not pushed, and what came of it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Left {
    /// To fingerprints.
    pub(super) sampled: f64,
    /// Nowhere.
    pub(super) dropped: f64,
    /// An estimate of the L1 error.
    pub(super) error: f64,
    /// Whether sweeps brought the answer to an end, not fingerprints.
    pub(super) swept: bool,
}

/// Answers on a clear workspace.
///
/// # Errors
/// When the graph or a fingerprint is damaged, or the flag of the pusher is set.
pub(super) fn solve(
    pusher: Pusher<'_>,
    stored: Stored<'_>,
    space: &mut Workspace,
    sweeper: &mut LazySweeper<'_>,
    seeds: &[(NodeId, f64)],
    bound: Bound,
) -> Result<Left> {
    let Bound { push, precision } = bound;
    let amender = Amender::new(pusher, stored);
    space.sow(seeds);
    let sweep_cost = if push.sweep { sweep_cost(pusher, precision) } else { f64::INFINITY };
    let (mut threshold, mut work) = (push.threshold, 0);
    let (mut left, sources, waiting) = loop {
        let work_left = push.work.saturating_sub(work);
        let stop = Stop { threshold, left: 0.0, work: work_left, rounds: MOST_ROUNDS, narrow: push.sweep };
        let (mut pushed, done, _) = push::local(pusher, space, stop)?;
        work += done;
        for _ in 0..MOST_RENEWALS {
            let Some(amender) = amender.filter(|_| pushed == Pushed::Enough) else { break };
            let done = amender.push_renewed(space, space.unsettled * precision, push.work.saturating_sub(work))?;
            work += done;
            if done == 0 {
                break;
            }
            let again;
            (pushed, again, _) = push::local(pusher, space, Stop { work: push.work.saturating_sub(work), ..stop })?;
            work += again;
        }
        space.recount();
        pusher.check_balance(space)?;
        let visits = fingerprint_visits(pusher, stored, space);
        if pushed == Pushed::Wide || sweep_cost < fingerprint_cost(pusher, visits) {
            return sweep(pusher, space, sweeper, seeds, precision);
        }
        let waiting = amender.map(|amender| amender.take_renewed(space)).unwrap_or_default();
        let (mut left, sources) = sort_out(pusher, stored, space, push.drop);
        if space.residual.len() as f64 / 2.0 < visits {
            space.go_wide();
        }
        let mut pace = pusher.halt.pace();
        for (at, &(source, mass)) in sources.iter().enumerate() {
            ask_ahead(stored, &sources[at..]);
            let visits = u64::from(tally::add(stored, source, mass, space)?);
            work += visits;
            pace.after(visits.max(1))?;
        }
        left.error = tally::l1_error(space) + left.dropped;
        if push.sweep && left.error <= precision {
            let Some(amender) = amender else { return Ok(left) };
            let visited = amender.visited(space);
            // If what amends were too rough, it might still do after the last step.
            if amender.l1_error(&visited, left.error) * (1.0 + space.unsettled) <= precision {
                sources.iter().for_each(|&(source, _)| space.residual[source as usize] = 0.0);
                let work = Some(affordable(sweep_cost));
                let amending = Amending { amender, visited, stepped: false, threshold, work };
                return match amending.amend(space, &sources, &waiting, &mut left, precision)? {
                    true => Ok(left),
                    false => sweep_amended(pusher, space, sweeper, seeds, precision.min(left.error)),
                };
            }
        }
        // What is dropped is gone: nothing is pushed after that.
        let farther = push.sweep && push.drop == 0.0 && work < push.work && !sources.is_empty();
        if !farther || left.error <= STEP_GAIN * precision {
            break (left, sources, waiting);
        }
        space.forget_tally();
        for (node, mass) in waiting {
            space.residual[node as usize] = mass;
        }
        threshold *= (STEP_GAIN * precision / left.error).powi(2).clamp(LEAST_FARTHER, MOST_FARTHER);
    };
    // Counting is spared where even all edges would be worth it.
    let worth = if push.sweep { sweep_cost / STEP_COST } else { work as f64 * STEP_WORTH };
    let all = pusher.scan_cost();
    let cost = if all as f64 <= worth { all } else { tally::step_cost(pusher, space) };
    let stepped = cost as f64 <= worth;
    let mut visited = amender.map(|amender| amender.visited(space)).unwrap_or_default();
    if stepped {
        if space.residual.len() as u64 / 2 < cost {
            space.go_wide();
        }
        pusher.halt.look()?;
        for &(source, mass) in &sources {
            space.answer[source as usize] += pusher.restart_prob * mass;
            space.residual[source as usize] = 0.0;
        }
        tally::step(pusher, stored.changes(), space)?;
        left.error = tally::l1_error(space) + left.dropped;
        visited = amender.map(|amender| amender.stepped(space, &visited, &sources)).unwrap_or_default();
    }
    if push.sweep && precision < left.error {
        return sweep(pusher, space, sweeper, seeds, precision);
    }
    let Some(amender) = amender else { return Ok(left) };
    sources.iter().for_each(|&(source, _)| space.residual[source as usize] = 0.0);
    let work = push.sweep.then(|| affordable(sweep_cost));
    let amending = Amending { amender, visited, stepped, threshold, work };
    match amending.amend(space, &sources, &waiting, &mut left, precision)? {
        true => Ok(left),
        false => sweep_amended(pusher, space, sweeper, seeds, precision.min(left.error)),
    }
}

/// A tally that is to be amended.
struct Amending<'a> {
    amender: Amender<'a>,
    visited: Vec<Visited>,
    stepped: bool,
    threshold: f64,
    /// Edges after which sweeping is cheaper, if it is allowed.
    work: Option<u64>,
}

impl Amending<'_> {
    /// Amends the answer. False when it has to be swept to become as precise as it was asked to be, or about as precise as it would
    /// be if nothing had changed.
    fn amend(
        self,
        space: &mut Workspace,
        sources: &[(NodeId, f64)],
        waiting: &[(NodeId, f64)],
        left: &mut Left,
        precision: f64,
    ) -> Result<bool> {
        let Amending { amender, visited, stepped, threshold, work } = self;
        sources.iter().for_each(|&(source, _)| space.mark_used(source));
        let fresh = left.error.max(LEAST_ERROR * precision);
        let goal = amend::Goal { enough: space.unsettled * fresh, threshold, work };
        if !amender.amend(space, &visited, stepped, waiting, goal)? {
            return Ok(false);
        }
        let error = amend::l1_error(space, left.error);
        if work.is_some() && precision.min(STALER * fresh) < error {
            return Ok(false);
        }
        left.error = error;
        Ok(true)
    }
}

/// The edges that may be pushed along before sweeping is cheaper.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative; `as` saturates")]
fn affordable(sweep_cost: f64) -> u64 {
    (sweep_cost / STEP_COST) as u64
}

/// Sweeps from what fingerprints said, which amending did not bring to an end.
fn sweep_amended(
    pusher: Pusher<'_>,
    space: &mut Workspace,
    sweeper: &mut LazySweeper<'_>,
    seeds: &[(NodeId, f64)],
    precision: f64,
) -> Result<Left> {
    space.discard_amended();
    sweep(pusher, space, sweeper, seeds, precision)
}

/// Asks for the bytes of a fingerprint some places ahead, and for where those of a later one begin.
fn ask_ahead(stored: Stored<'_>, sources: &[(NodeId, f64)]) {
    if let Some(&(source, _)) = sources.get(2 * AHEAD) {
        stored.ask_for_offset(source);
    }
    if let Some(&(source, _)) = sources.get(AHEAD) {
        stored.ask_for_bytes(source);
    }
}

/// How far to go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bound {
    pub(super) push: PushBound,
    /// The L1 error to sweep down to, where it comes to that.
    pub(super) precision: f64,
}

impl Bound {
    /// What a question asks for, with an index of this plan.
    ///
    /// The L1 error of fingerprints grows with the square root of threshold / (walks an edge).
    pub(super) fn of(question: &Question, plan: &Plan) -> Bound {
        let mut push = question.push;
        push.threshold = question.precision.map_or(push.threshold, |precision| plan.threshold_for(precision));
        let precision = question.precision.unwrap_or_else(|| plan.precision_of(push.threshold));
        Bound { push, precision: precision.min(0.5) }
    }
}

fn sweep(
    pusher: Pusher<'_>,
    space: &mut Workspace,
    sweeper: &mut LazySweeper<'_>,
    seeds: &[(NodeId, f64)],
    precision: f64,
) -> Result<Left> {
    space.discard_tally();
    let reached = sweeper.get()?.solve(pusher, space, seeds, Goal::Estimate(precision))?;
    Ok(Left { error: reached.estimate, swept: true, ..Left::default() })
}

/// What sweeping would take, in edges.
fn sweep_cost(pusher: Pusher<'_>, precision: f64) -> f64 {
    let sweeps = SWEEPS.0 + SWEEPS.1 * (0.1 / precision).ln().max(0.0);
    sweeps * pusher.scan_cost() as f64
}

/// What so many stored visits would take, with the last step from what they visited, in edges of a sweep. Walks meet nodes
/// of more than the mean degree.
fn fingerprint_cost(pusher: Pusher<'_>, visits: f64) -> f64 {
    let Pusher { graph, .. } = pusher;
    let onward = VISITED_DEGREE * visits * graph.edges() as f64 / graph.nodes().max(1) as f64;
    visits * VISIT_COST + onward.min(pusher.scan_cost() as f64) * STEP_COST
}

/// The stored visits that the fingerprints of all residuals have, by expectation.
fn fingerprint_visits(pusher: Pusher<'_>, stored: Stored<'_>, space: &Workspace) -> f64 {
    let sources = space.nodes().filter(|&node| space.residual[node as usize] != 0.0 && !pusher.is_dangling(node));
    sources.map(|node| stored.visits(pusher.graph, node)).sum()
}

/// Settles residuals at dangling nodes and those that are left out; lists the others, ascending by node.
fn sort_out(pusher: Pusher<'_>, stored: Stored<'_>, space: &mut Workspace, drop: f64) -> (Left, Vec<(NodeId, f64)>) {
    let least = least_per_walk(pusher, stored, space, drop);
    let (mut left, mut sources) = (Left::default(), Vec::new());
    for position in 0..space.width() {
        let source = space.node(position);
        let mass = space.residual[source as usize];
        if mass == 0.0 {
            continue;
        }
        let dangling = pusher.is_dangling(source);
        if dangling || mass < least * f64::from(stored.walks(pusher.graph, source)) {
            space.answer[source as usize] += pusher.restart_prob * mass;
            let onward = (1.0 - pusher.restart_prob) * mass;
            *(if dangling { &mut space.ended } else { &mut left.dropped }) += onward;
            space.residual[source as usize] = 0.0;
        } else {
            left.sampled += mass;
            sources.push((source, mass));
        }
    }
    if !space.is_wide() {
        sources.sort_unstable_by_key(|&(source, _)| source);
    }
    (left, sources)
}

/// Residuals per walk are sorted into bins by the leading bits of the number: sixteen bins from one power of two to the
/// next.
const BIN_SHIFT: u32 = 48;

/// The residual per walk below which residuals hold at most `drop` together. Cost: one pass over what was touched.
fn least_per_walk(pusher: Pusher<'_>, stored: Stored<'_>, space: &Workspace, drop: f64) -> f64 {
    if drop == 0.0 {
        return 0.0;
    }
    let onward = 1.0 - pusher.restart_prob;
    let mut bins = vec![0.0; 1 << (63 - BIN_SHIFT)];
    for source in space.nodes() {
        let mass = space.residual[source as usize];
        if mass != 0.0 && !pusher.is_dangling(source) {
            let per_walk = mass / f64::from(stored.walks(pusher.graph, source));
            bins[(per_walk.to_bits() >> BIN_SHIFT) as usize] += mass * onward;
        }
    }
    let mut dropped = 0.0;
    for (bin, mass) in (0u64..).zip(&bins) {
        dropped += mass;
        if drop < dropped {
            return f64::from_bits(bin << BIN_SHIFT);
        }
    }
    f64::INFINITY
}
