//! Passing over all in-edges until the answer stands still.
//!
//! The linear core obeys `q = a s + (1 - a) q P`. A *sweep* goes through the nodes and gives each the value that this
//! equation demands of it, from the newest values of its in-neighbours (Gauss-Seidel, as PRPACK does: Gleich, Gray, Greif &
//! Lau, SIAM J. Sci. Comput. 2010); rows that lie in one slice of the [`Inflow`] take each other's old values. Two things
//! make it fast:
//!
//! *Conservation.* Mass is neither made nor lost: `a q(all) + (1 - a) q(D) = a`, *D* the dangling nodes. A sweep that is
//! begun below this comes closer only as slowly as mass leaks, by a factor of `1 - a` a step; so after every sweep all
//! values are multiplied by the one number that restores it (a coarse correction by one unknown), and what is left to do
//! shrinks as fast as walks *mix*. From the same beginning, L1 1e-8 at restart probability 0.15 takes 15 sweeps instead of
//! 55 on an R-MAT graph of 3 million edges, 31 instead of 57 on soc-Epinions1.
//!
//! Restoring the mass is a guess at what is missing where; on graphs with long cycles into dangling nodes it may make things
//! worse for a while. When changes have not shrunk for [`STUCK`] sweeps it is left out, and then the error shrinks by `1 - a` a
//! sweep in the long run, whatever the graph.
//!
//! *Layout.* In-edges in slices, nodes by in-degree, twins together: see [`Inflow`]. Everything below is about sums over twins;
//! what flows to them is shared out evenly in the end, and each keeps what it has as a seed.
//!
//! ```text
//! x = what was pushed + what was left of it               (mass 1, where it is by now)
//! repeat
//!     for every node v:   x(v) = a s(v) + (1 - a) * sum over u -> v of x(u) P(u, v),  moved += |change|
//!     scale = a / (a x(all) + (1 - a) x(D)),  x *= scale
//! until the bound, or the estimate, is small enough
//! ```
//!
//! **Bound.** A node's update makes its own residual zero and sends at most `(1 - a) |change|` on. So after a sweep the
//! residual is at most `(1 - a) moved` in L1, and after the scaling at most `scale (1 - a) moved + a |1 - scale|`; the L1
//! error is at most that divided by `a`, because every walk is expected to make at most `1 / a` visits. (Test:
//! `query::tests::exactness`.)
//!
//! **Estimate.** Changes shrink by about the same factor from sweep to sweep; what is still to come is then
//! `moved * rate / (1 - rate)`. The bound may be ten times as large.

use std::sync::Arc;

use super::halt::Halt;
use super::push::{MOST_ROUNDS, Pusher};
use super::together::{Crew, Together};
use super::vector::{self, Instructions, Work};
use super::weights::{Equal, Weights};
use super::workspace::Workspace;
use crate::error::{Error, Result};
use crate::graph::{Graph, InWeights, Inflow, Region, SLICE, SharedInflow, Stretch};
use crate::ids::NodeId;
use crate::labels::Labels;

/// Sweeps without progress after which mass is no longer restored, and after which rounding must have the last word.
const STUCK: u64 = 6;
/// The part of all values that may go back and forth for ever in rounding, at most: two nodes that send each other
/// everything come to a stand only up to a unit in the last place over the restart probability.
const ROUNDED: f64 = 2.5e-14;
/// Scales that differ from 1 by less are rounding.
const UNSCALED: f64 = 1e-13;
/// Changes are expected to shrink by this, this many times as slowly as the last did, at best and at worst: what converges
/// fast is gone first. Chosen so that estimates come out at or above the mean error at each of four precisions on
/// three graphs.
const RATES: (f64, f64) = (0.1, 0.98);
const SLOWING: f64 = 1.2;
/// How far a value may be off beyond what it moved itself, in parts of what all values moved in the mean: some stand still for
/// a sweep and move in the next. 1 leaves 13 % of the best hundred scores beyond two standard errors on an R-MAT graph, 2
/// up to 5 %, 4 less than one in a thousand.
const STILL: f64 = 4.0;

/// When to stop.
#[derive(Debug, Clone, Copy)]
pub(super) enum Goal {
    /// When the L1 error is certainly at most this.
    Bound(f64),
    /// When the L1 error is probably at most this.
    Estimate(f64),
}

/// What sweeping came to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reached {
    /// Bounds the L1 error.
    pub(super) bound: f64,
    /// Estimates it.
    pub(super) estimate: f64,
}

/// A seed on its way into sweeps.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seed {
    pub(super) node: NodeId,
    pub(super) place: usize,
    /// Restart probability times weight.
    pub(super) mass: f64,
    /// What the last sweep let flow to the place besides seeds.
    pub(super) inflow: f64,
}

impl Seed {
    /// A seed that nothing has flowed to yet.
    pub(super) fn new(inflow: &Inflow, (node, weight): (NodeId, f64), restart_prob: f64) -> Seed {
        Seed { node, place: inflow.place(node), mass: weight * restart_prob, inflow: 0.0 }
    }
}

/// The values of one question, a slot a place, kept from question to question.
#[derive(Debug)]
pub(super) struct Sweeper {
    inflow: Arc<Inflow>,
    /// Value / total of out-weights, in units of `scale`. As many as a power of two.
    values: Vec<f64>,
    /// What the last sweep changed.
    moved: Vec<f32>,
    /// Ascending by place.
    seeds: Vec<Seed>,
    scale: f64,
    /// 1 / the scale as it was before the last sweep.
    unit: f64,
    outlook: Outlook,
    together: Option<Together>,
}

/// What the last sweep tells of those to come.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Outlook {
    /// By what changes shrank.
    pub(super) rate: f64,
    /// An estimate of the L1 error.
    pub(super) estimate: f64,
    /// What changes are multiplied by to estimate what is still to come, scale included.
    ahead: f64,
    /// What the sweep changed in all, as a part of all values.
    mean_change: f64,
}

impl Outlook {
    /// From what a sweep moved and the one before it, a bound of the L1 error, what it moved as a part of all values, and the
    /// scale of the values.
    pub(super) fn new(moved: f64, before: Option<f64>, bound: f64, mean_change: f64, scale: f64) -> Outlook {
        let rate = before.filter(|&before| moved < RATES.1 * before).map_or(RATES.1, |before| moved / before);
        let slowed = (SLOWING * rate + RATES.0).min(RATES.1);
        let estimate = bound.min(moved * slowed / (1.0 - slowed));
        let ahead = if moved == 0.0 { 0.0 } else { scale * estimate / moved };
        Outlook { rate, estimate, ahead, mean_change }
    }

    /// How far a value is probably off that the sweep changed by `moved`, both in units of the scale.
    pub(super) fn error(&self, moved: f64, value: f64) -> f64 {
        (moved + STILL * self.mean_change * value) * self.ahead
    }
}

impl Sweeper {
    /// Room for the values. Memory: up to 20 bytes a node; up to 16 more for each hand of a crew.
    pub(super) fn new(inflow: Arc<Inflow>, crew: Option<Arc<dyn Crew>>) -> Sweeper {
        let (values, moved) = (vec![0.0; inflow.places().next_power_of_two()], vec![0.0; inflow.places()]);
        let together = crew.and_then(|crew| Together::new(&inflow, crew));
        Sweeper {
            inflow,
            values,
            moved,
            seeds: Vec::new(),
            scale: 1.0,
            unit: 1.0,
            outlook: Outlook::default(),
            together,
        }
    }

    /// Takes over what was pushed in a workspace, sweeps until the goal is reached, and leaves the answer there.
    ///
    /// Cost: 0.4 to 1 ns an edge a sweep; three to six sweeps to an estimate of 0.01.
    ///
    /// # Errors
    /// When mass is lost: the graph is damaged. When the flag of the pusher is set.
    pub(super) fn solve(
        &mut self,
        pusher: Pusher<'_>,
        space: &mut Workspace,
        seeds: &[(NodeId, f64)],
        goal: Goal,
    ) -> Result<Reached> {
        let Pusher { graph, restart_prob, halt, .. } = pusher;
        halt.look()?;
        self.begin(space, seeds, restart_prob);
        let reached = self.sweep_to(restart_prob, goal, halt)?;
        let sound = reached.bound.is_finite();
        let reached = if sound { Ok(reached) } else { Err(Error::damaged(graph.path(), "mass is lost on its edges")) };
        self.hand_over(restart_prob, space, reached.as_ref().map_or(0.0, |reached| reached.bound));
        reached
    }

    /// An estimate of how far the last sweep left a node from its goal, which it has given this `core`.
    pub(super) fn error(&self, node: NodeId, core: f64) -> f64 {
        let place = self.inflow.place(node);
        self.outlook.error(f64::from(self.moved[place]) / self.inflow.members[place], core / self.scale)
    }

    fn begin(&mut self, space: &Workspace, seeds: &[(NodeId, f64)], restart_prob: f64) {
        let inflow = &*self.inflow;
        self.values.fill(0.0);
        for node in space.nodes() {
            let place = inflow.place(node);
            let mass = space.answer[node as usize] + space.residual[node as usize];
            self.values[place] += mass * inflow.onward[place];
        }
        if let Some(together) = &mut self.together {
            together.begin(&self.values);
        }
        self.scale = 1.0;
        self.seeds.clear();
        self.seeds.extend(seeds.iter().map(|&seed| Seed::new(inflow, seed, restart_prob)));
        self.seeds.sort_unstable_by_key(|seed| (seed.place, seed.node));
    }

    fn sweep_to(&mut self, restart_prob: f64, goal: Goal, halt: &Halt) -> Result<Reached> {
        let onward = 1.0 - restart_prob;
        let (mut least, mut before, mut stuck, mut restoring) = (f64::INFINITY, None, 0u64, true);
        let mut reached = Reached { bound: f64::INFINITY, estimate: f64::INFINITY };
        for _ in 0..MOST_ROUNDS {
            let Sums { live, dangling, moved } = self.sweep(onward, halt);
            halt.look()?; // what a sweep leaves that was given up is no use
            let mean_change = if live == 0.0 { 0.0 } else { moved / live };
            let mut moved = moved * self.scale;
            // All masses in units of the scale; the new scale is what makes them what they must be.
            let scale = restart_prob / (restart_prob * live + dangling);
            let rescaled = scale / self.scale;
            let off = (1.0 - rescaled).abs();
            let mut bound_of_scaling = 0.0;
            if restoring && (UNSCALED < off || !off.is_finite()) {
                self.scale = scale;
                moved *= rescaled;
                bound_of_scaling = off;
            }
            let bound = onward * moved / restart_prob + bound_of_scaling;
            self.outlook = Outlook::new(moved, before, bound, mean_change, self.scale);
            reached = Reached { bound, estimate: self.outlook.estimate };
            let enough = match goal {
                Goal::Bound(target) => bound <= target,
                Goal::Estimate(target) => before.is_some() && reached.estimate <= target,
            };
            stuck = if moved < least { 0 } else { stuck + 1 };
            least = least.min(moved);
            if enough || !bound.is_finite() {
                break;
            }
            if !restoring && STUCK <= stuck {
                let rounding = (2.0 * f64::EPSILON / restart_prob).min(ROUNDED) * (live + dangling) * self.scale;
                if let (Goal::Bound(target), true) = (goal, moved <= rounding) {
                    reached.bound = target; // what is left comes on top of every bound
                    break;
                }
                // Along cycles changes may grow for as long as walks live, and shrink in the long run.
                if STUCK as f64 / restart_prob < stuck as f64 {
                    break;
                }
            }
            before = Some(moved);
            if restoring && stuck == STUCK {
                (restoring, least, stuck) = (false, f64::INFINITY, 0);
            }
        }
        Ok(reached)
    }

    /// One sweep; given up, with any sums, when the flag is set.
    fn sweep(&mut self, onward: f64, halt: &Halt) -> Sums {
        self.unit = self.scale.recip();
        let Sweeper { inflow, values, moved, seeds, unit, .. } = self;
        let flow = Flow { inflow, onward, unit: *unit, halt };
        if let Some(together) = &mut self.together {
            return together.sweep(flow, values, moved, seeds);
        }
        let dangling_first = inflow.dangling.first;
        let (live_moved, dangling_moved) = moved.split_at_mut(dangling_first);
        let live = seeds.partition_point(|seed| seed.place < dangling_first);
        let (live_seeds, dangling_seeds) = seeds.split_at_mut(live);
        let (live, moved) = flow.into_stretch(&inflow.live, &inflow.live.whole(), values, live_moved, live_seeds);
        let whole = inflow.dangling.whole();
        let (dangling, _) = flow.into_stretch(&inflow.dangling, &whole, values, dangling_moved, dangling_seeds);
        Sums { live, dangling, moved }
    }

    /// Puts the values into a workspace, which goes wide.
    fn hand_over(&mut self, restart_prob: f64, space: &mut Workspace, left: f64) {
        let inflow = &*self.inflow;
        space.go_wide();
        space.residual.fill(0.0);
        let values = self.values.iter().zip(&inflow.totals).map(|(value, total)| value * total * self.scale);
        for (value, twins) in values.zip(inflow.places_of_twins()) {
            match *twins {
                [node] => space.answer[node as usize] = value,
                _ => twins.iter().for_each(|&node| space.answer[node as usize] = value / twins.len() as f64),
            }
        }
        for seed in &self.seeds {
            let each = seed.inflow * self.scale / inflow.members[seed.place];
            inflow.twins(seed.place).iter().for_each(|&node| space.answer[node as usize] = each);
        }
        for seed in &self.seeds {
            space.answer[seed.node as usize] += seed.mass * self.unit * self.scale;
        }
        let places = inflow.dangling.first..inflow.dangling.end();
        let dangling: f64 = self.values[places].iter().sum::<f64>() * self.scale;
        space.ended = dangling * (1.0 - restart_prob) / restart_prob;
        space.left = left;
    }
}

/// The sweeper of a graph, made when the first question grows wide.
#[derive(Debug)]
pub(super) struct LazySweeper<'g> {
    graph: &'g Graph,
    labels: &'g Labels,
    /// Perhaps shared with others.
    inflow: Arc<SharedInflow>,
    crew: Option<Arc<dyn Crew>>,
    sweeper: Option<Sweeper>,
}

impl<'g> LazySweeper<'g> {
    /// Nothing yet.
    pub(super) fn new(graph: &'g Graph, labels: &'g Labels) -> LazySweeper<'g> {
        LazySweeper { graph, labels, inflow: Arc::default(), crew: None, sweeper: None }
    }

    /// The same, with the graph turned round already.
    pub(super) fn with_inflow(self, inflow: Arc<Inflow>) -> LazySweeper<'g> {
        LazySweeper { inflow: Arc::new(inflow.into()), sweeper: None, ..self }
    }

    /// The same, with a place where whoever needs the turned graph first puts it for all.
    pub(super) fn sharing(self, inflow: Arc<SharedInflow>) -> LazySweeper<'g> {
        LazySweeper { inflow, sweeper: None, ..self }
    }

    /// The same, with hands to help.
    pub(super) fn with_crew(self, crew: Arc<dyn Crew>) -> LazySweeper<'g> {
        LazySweeper { crew: Some(crew), sweeper: None, ..self }
    }

    /// The graph turned round.
    ///
    /// # Errors
    /// When the graph is damaged.
    pub(super) fn inflow(&mut self) -> Result<Arc<Inflow>> {
        self.inflow.turn(self.graph, |node| self.labels.rank(node))
    }

    /// The sweeper.
    ///
    /// # Errors
    /// When the graph is damaged.
    pub(super) fn get(&mut self) -> Result<&mut Sweeper> {
        let inflow = self.inflow()?;
        let crew = &self.crew;
        Ok(self.sweeper.get_or_insert_with(|| Sweeper::new(inflow, crew.clone())))
    }

    /// What the last sweep left at a node: see [`Sweeper::error`].
    pub(super) fn error(&self, node: NodeId, core: f64) -> f64 {
        self.sweeper.as_ref().map_or(0.0, |sweeper| sweeper.error(node, core))
    }
}

/// Sums over one sweep, in units of the scale.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sums {
    pub(super) live: f64,
    pub(super) dangling: f64,
    /// What changed, at nodes that are not dangling: from the others nothing goes on.
    pub(super) moved: f64,
}

/// What a sweep lets flow.
#[derive(Clone, Copy)]
pub(super) struct Flow<'a> {
    pub(super) inflow: &'a Inflow,
    /// 1 - restart probability.
    pub(super) onward: f64,
    /// What 1 is in the values.
    pub(super) unit: f64,
    /// What may end the sweep.
    pub(super) halt: &'a Halt,
}

impl Flow<'_> {
    /// Updates the values of a stretch of places from those of all; `moved` and `seeds` are those of the stretch. Returns the
    /// sum of its values, and of what changed; any numbers when the flag is set.
    pub(super) fn into_stretch(
        self,
        region: &Region,
        stretch: &Stretch,
        values: &mut [f64],
        moved: &mut [f32],
        seeds: &mut [Seed],
    ) -> (f64, f64) {
        let Flow { inflow, onward, unit, halt } = self;
        let pass = Pass { inflow, weights: Equal, region, stretch, values, moved, seeds, onward, unit, halt };
        match &inflow.weights {
            InWeights::Equal => vector::run(pass),
            InWeights::Single(weights) => vector::run(pass.with(weights.as_slice())),
            InWeights::Double(weights) => vector::run(pass.with(weights.as_slice())),
        }
    }
}

/// One sweep over a stretch.
struct Pass<'a, W> {
    inflow: &'a Inflow,
    weights: W,
    region: &'a Region,
    stretch: &'a Stretch,
    values: &'a mut [f64],
    moved: &'a mut [f32],
    seeds: &'a mut [Seed],
    onward: f64,
    unit: f64,
    halt: &'a Halt,
}

impl<'a> Pass<'a, Equal> {
    fn with<W: Weights>(self, weights: W) -> Pass<'a, W> {
        let Pass { inflow, region, stretch, values, moved, seeds, onward, unit, halt, .. } = self;
        Pass { inflow, weights, region, stretch, values, moved, seeds, onward, unit, halt }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "what moved is kept to a few digits")]
impl<W: Weights> Work for Pass<'_, W> {
    type Output = (f64, f64);

    /// Updates the places of the stretch. Returns the sum of the values there, and of what changed.
    #[inline(always)]
    fn run<I: Instructions>(mut self, instructions: I) -> (f64, f64) {
        let (region, stretch) = (self.region, self.stretch);
        let first = region.places(stretch).start;
        let (mut next, mut sum, mut moved) = (0, 0.0, 0.0);
        let mut pace = self.halt.pace();
        let bounds = &region.long[stretch.long.start..=stretch.long.end];
        for (at, bounds) in bounds.windows(2).enumerate() {
            let place = first + at;
            if pace.halts((bounds[1] - bounds[0]) as u64) {
                return (sum, moved);
            }
            let lanes = instructions.lanes(self.gather(bounds[0], bounds[1], instructions));
            let inflow =
                (lanes[0] + lanes[4]) + (lanes[1] + lanes[5]) + ((lanes[2] + lanes[6]) + (lanes[3] + lanes[7]));
            let value = self.sow(&mut next, place, self.onward * self.inflow.members[place] * inflow);
            let change = (value - self.values[place] * self.inflow.totals[place]).abs();
            self.values[place] = value * self.inflow.onward[place];
            self.moved[at] = change as f32;
            sum += value;
            moved += change;
        }
        let onward = instructions.splat(self.onward);
        let (mut sums, mut changes) = (instructions.splat(0.0), instructions.splat(0.0));
        let bounds = &region.slices[stretch.slices.start..=stretch.slices.end];
        let slices = bounds.windows(2).zip(&region.shared[stretch.slices.clone()]);
        for (at, (bounds, &shared)) in (stretch.long.len()..).step_by(SLICE).zip(slices) {
            let place = first + at;
            if pace.halts((bounds[1] - bounds[0]) as u64) {
                break;
            }
            let mut fresh = instructions.multiply(onward, self.gather(bounds[0], bounds[1], instructions));
            if shared {
                let Some(members) = self.inflow.members[place..].first_chunk() else { break };
                fresh = instructions.multiply(fresh, instructions.load(members));
            }
            if self.seeds.get(next).is_some_and(|seed| seed.place < place + SLICE) {
                let mut lanes = instructions.lanes(fresh);
                for (lane, value) in lanes.iter_mut().enumerate() {
                    *value = self.sow(&mut next, place + lane, *value);
                }
                fresh = instructions.load(&lanes);
            }
            // The layout fills regions up to whole slices: all four are there.
            let slots = self.values[place..].first_chunk_mut().zip(self.moved[at..].first_chunk_mut::<SLICE>());
            let factors = self.inflow.totals[place..].first_chunk().zip(self.inflow.onward[place..].first_chunk());
            let (Some((values, moved)), Some((totals, onward))) = (slots, factors) else { break };
            let before = instructions.multiply(instructions.load(values), instructions.load(totals));
            let change = instructions.distance(fresh, before);
            instructions.store(instructions.multiply(fresh, instructions.load(onward)), values);
            *moved = instructions.lanes(change).map(|change| change as f32);
            sums = instructions.add(sums, fresh);
            changes = instructions.add(changes, change);
        }
        let sum = sum + instructions.lanes(sums).iter().sum::<f64>();
        (sum, moved + instructions.lanes(changes).iter().sum::<f64>())
    }
}

impl<W: Weights> Pass<'_, W> {
    /// Adds the seeds at a place to what flows there, and notes how much that was. `next` is the first seed at or behind it.
    fn sow(&mut self, next: &mut usize, place: usize, inflow: f64) -> f64 {
        let mut value = inflow;
        while let Some(seed) = self.seeds.get_mut(*next).filter(|seed| seed.place == place) {
            seed.inflow = inflow;
            value += seed.mass * self.unit;
            *next += 1;
        }
        value
    }

    /// What flows in from sources `start..end`, the first into lane 0, the second into lane 1, and so on.
    #[inline(always)]
    fn gather<I: Instructions>(&self, start: usize, end: usize, instructions: I) -> I::Eight {
        let (eights, rest) = self.inflow.sources[start..end].as_chunks::<SLICE>();
        let weights = self.weights.part(start, end);
        let mut sums = instructions.splat(0.0);
        for (number, sources) in eights.iter().enumerate() {
            let values = instructions.gather(self.values, sources);
            sums = instructions.add(sums, weights.weigh(number, values, instructions));
        }
        if rest.is_empty() {
            return sums;
        }
        let mut lanes = instructions.lanes(sums);
        for (lane, &source) in rest.iter().enumerate() {
            lanes[lane] += self.values[source as usize] * weights.at(eights.len() * SLICE + lane);
        }
        instructions.load(&lanes)
    }
}
