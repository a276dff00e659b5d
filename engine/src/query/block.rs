//! Many seed sets at once: a row of [`LANES`] numbers a node, one for each.
//!
//! The same sweeps as [`super::sweep`], with every edge read once for all lanes: where a sweep for one seed set waits
//! for memory at every edge, one for sixteen reads a whole cache line there. Values are single precision: they carry seven
//! digits, estimates to [`LEAST_PRECISION`] need five. Lanes do not know of each other; all go on until the last is precise
//! enough, so that an answer depends a little on its company, within its own error bars.
//!
//! Seeds that are [twins](crate::graph::Inflow) have the same answer but for themselves: they share a lane.
//!
//! Cost on soc-Epinions1 made undirected (811,480 edges): 0.1 ms a seed set and sweep, a quarter of a sweep for it alone.

use std::sync::Arc;

use roaring::RoaringBitmap;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::halt::Halt;
use super::sweep::{Outlook, Seed};
use super::vector::{self, Instructions, Work};
use super::weights::{Equal, Weights};
use crate::error::Result;
use crate::file::Room;
use crate::graph::{InWeights, Inflow, Region, SLICE};
use crate::ids::NodeId;
use crate::prefetch::prefetch;

/// Seed sets that are answered together: a cache line of single precision numbers.
pub const LANES: usize = 16;
/// The smallest L1 error that can be aimed at.
pub const LEAST_PRECISION: f64 = 1e-5;
/// More sweeps than any graph needs from a restart probability of 0.01 up.
const MOST_SWEEPS: u32 = 10_000;
/// Sweeps of a lane without progress after which its mass is no longer restored; sweeps without progress of any lane after
/// which rounding has the last word.
const LANE_STUCK: u32 = 4;
const STUCK: u32 = 12;

/// Values of more bytes than this lie beyond the second-level cache: then rows are asked for so many sources ahead. On
/// debian-contents (70 MB) this takes a quarter of the time away; where all is near, it would add a quarter.
const FAR_BYTES: usize = 16 << 20;
const AHEAD: usize = 128;

/// One number a lane.
type Row = [f32; LANES];

/// A row where it is kept: a cache line, and not parts of two.
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable)]
#[repr(C, align(64))]
struct Line(Row);

/// The values of one block of questions, kept from block to block.
#[derive(Debug)]
pub(super) struct Block {
    inflow: Arc<Inflow>,
    factors: Factors,
    /// Value / total of out-weights, in units of the lane's scale, by place.
    values: Room<Line>,
    /// What the last sweep changed.
    moved: Room<Line>,
    /// By place, and at each by lane and node.
    seeds: Vec<(Seed, usize)>,
    /// Where the seeds of each place begin, and behind the last where they end.
    first_seed: Room<u32>,
    lanes: [Lane; LANES],
}

/// What the sweeps multiply by, in single precision.
#[derive(Debug)]
struct Factors {
    totals: Vec<f32>,
    onward: Vec<f32>,
    /// How many twins there are at each place.
    members: Vec<f32>,
    /// What each of them has of a value: total / members.
    each: Vec<f32>,
}

/// The state of one lane.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Lane {
    scale: f64,
    /// What a seed of weight 1 has by itself.
    own: f64,
    moved: f64,
    /// Sweeps in which `moved` did not shrink.
    stuck: u32,
    pub(super) outlook: Outlook,
    /// The sum of all values.
    pub(super) mass: f64,
    /// Mass that came to dangling nodes and would have gone on.
    pub(super) ended: f64,
}

/// Which nodes of a lane are wanted.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wanted<'a> {
    /// All that have a value.
    All,
    /// The seeds, at most so many of their twins, and as many at each of these places, the first by rank.
    Places(&'a [usize], usize),
    /// These.
    Nodes(&'a RoaringBitmap),
}

/// A node of a lane, its value, and how far that may be off.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    pub(super) node: NodeId,
    pub(super) value: f64,
    pub(super) error: f64,
}

impl Block {
    /// Room for the values. Memory: 148 bytes a node; twins count once.
    ///
    /// # Errors
    /// When there is no memory.
    pub(super) fn new(inflow: Arc<Inflow>) -> std::io::Result<Block> {
        let places = inflow.places();
        let factors = Factors::new(&inflow);
        let (values, moved, first_seed) = (Room::new(places)?, Room::new(places)?, Room::new(places + 1)?);
        let lanes = [Lane::default(); LANES];
        Ok(Block { inflow, factors, values, moved, seeds: Vec::new(), first_seed, lanes })
    }

    /// Sweeps for up to [`LANES`] seed sets until the L1 error of each is probably at most `precision`. Returns what came of
    /// each.
    ///
    /// # Errors
    /// When the flag is set.
    ///
    /// # Panics
    /// When there are more seed sets than lanes.
    pub(super) fn solve(
        &mut self,
        restart_prob: f64,
        seeds: &[&[(NodeId, f64)]],
        precision: f64,
        halt: &Halt,
    ) -> Result<&[Lane]> {
        assert!(seeds.len() <= LANES, "one lane a seed set");
        halt.look()?;
        self.sow(restart_prob, seeds);
        let (mut record, mut stuck) = (false, 0);
        for number in 0..MOST_SWEEPS {
            let sums = self.sweep(1.0 - restart_prob, record, halt);
            halt.look()?; // what a sweep leaves that was given up is no use
            let (mut enough, mut soon, mut progress) = (0 < number, true, false);
            for (lane, state) in self.lanes.iter_mut().enumerate().take(seeds.len()) {
                let before = (0 < number).then_some(state.moved);
                state.take(restart_prob, before, sums.lane(lane));
                enough &= state.outlook.estimate <= precision;
                soon &= state.outlook.estimate * state.outlook.rate <= precision;
                progress |= before.is_none_or(|before| state.moved < before);
            }
            stuck = if progress { 0 } else { stuck + 1 };
            if (enough && record) || stuck == STUCK {
                break;
            }
            record = soon || stuck != 0;
        }
        Ok(&self.lanes[..seeds.len()])
    }

    /// Puts the seeds where they belong, and walks from nowhere else. Cost: a pass over the values, and one over the seeds.
    fn sow(&mut self, restart_prob: f64, seeds: &[&[(NodeId, f64)]]) {
        self.values.fill(Line::default());
        self.lanes = [Lane { scale: 1.0, ..Lane::default() }; LANES];
        let Block { inflow, factors, values, seeds: sown, first_seed, .. } = self;
        let all = || (0..).zip(seeds).flat_map(|(lane, seeds)| seeds.iter().map(move |&seed| (seed, lane)));
        // How many there are at each place; where the next one of each goes; and where each place ends.
        first_seed.fill(0);
        all().for_each(|((node, _), _)| first_seed[inflow.place(node)] += 1);
        let mut behind = 0;
        for first in &mut **first_seed {
            behind += std::mem::replace(first, behind);
        }
        sown.clear();
        sown.resize(behind as usize, (Seed::default(), 0));
        for ((node, weight), lane) in all() {
            let seed = Seed::new(inflow, (node, weight), restart_prob);
            values[seed.place].0[lane] += single(weight) * factors.onward[seed.place];
            let next = &mut first_seed[seed.place];
            sown[*next as usize] = (seed, lane);
            *next += 1;
        }
        first_seed.copy_within(..inflow.places(), 1);
        first_seed[0] = 0;
    }

    /// The places of each lane whose twins are among the `top` best, in no order, and perhaps a few more. Places of seeds are
    /// left out. Cost: one pass over all values for all lanes.
    pub(super) fn best(&self, lanes: usize, top: usize) -> Vec<Vec<usize>> {
        let seeded = |lane: usize| self.seeds.iter().filter(move |(_, of)| *of == lane);
        // Places of seeds have too much, and may take the room of others.
        let tops: Vec<usize> = (0..lanes).map(|lane| top.saturating_add(seeded(lane).count())).collect();
        let mut rooms: Vec<usize> = tops.iter().map(|top| top.saturating_mul(2).max(64)).collect();
        let mut kept: Vec<Vec<(f32, u32)>> = vec![Vec::new(); lanes];
        let mut bars: Row = [f32::INFINITY; LANES];
        bars[..lanes].fill(f32::MIN_POSITIVE);
        // Places come by falling in-degree: bars rise at once.
        for (place, (row, &each)) in (0u32..).zip(self.values.iter().zip(&self.factors.each)) {
            let values = row.0.map(|value| value * each);
            if !values.iter().zip(&bars).fold(false, |any, (value, bar)| any | (bar <= value)) {
                continue;
            }
            for (lane, kept) in kept.iter_mut().enumerate() {
                if values[lane] < bars[lane] {
                    continue;
                }
                kept.push((values[lane], place));
                if rooms[lane] <= kept.len() {
                    kept.select_nth_unstable_by(tops[lane] - 1, |a, b| b.0.total_cmp(&a.0));
                    let bar = kept[tops[lane] - 1].0;
                    kept.retain(|(value, _)| bar <= *value);
                    bars[lane] = bar;
                    rooms[lane] = rooms[lane].max(2 * kept.len()); // ties all stay
                }
            }
        }
        let places = |(lane, kept): (usize, Vec<(f32, u32)>)| -> Vec<usize> {
            let places = kept.into_iter().map(|(_, place)| place as usize);
            places.filter(|&place| self.flowed(lane, place).is_none()).collect()
        };
        kept.into_iter().enumerate().map(places).collect()
    }

    /// What came of a lane.
    pub(super) fn lane(&self, lane: usize) -> &Lane {
        &self.lanes[lane]
    }

    /// Calls `put` with those of the wanted nodes of a lane that have a value; the seeds are those of the question.
    pub(super) fn spell_out(
        &self,
        lane: usize,
        seeds: &[(NodeId, f64)],
        wanted: Wanted<'_>,
        mut put: impl FnMut(Found),
    ) {
        let state = &self.lanes[lane];
        let mut put = |node, place: usize, value: f64| {
            if value != 0.0 {
                let moved = f64::from(self.moved[place].0[lane]) / self.inflow.members[place];
                put(Found { node, value, error: state.outlook.error(moved, value / state.scale) });
            }
        };
        let mut share_out = |place: usize, most: usize| {
            let each = f64::from(self.values[place].0[lane] * self.factors.each[place]) * state.scale;
            self.inflow.twins(place).iter().take(most).for_each(|&node| put(node, place, each));
        };
        let most = match wanted {
            Wanted::Nodes(nodes) => {
                let nodes = nodes.iter().take_while(|&node| (node as usize) < self.inflow.nodes());
                return nodes.for_each(|node| put(node, self.inflow.place(node), self.value(lane, seeds, node)));
            }
            Wanted::Places(places, most) => {
                places.iter().for_each(|&place| share_out(place, most));
                most
            }
            Wanted::All => {
                let unsown = (0..self.values.len()).filter(|&place| self.flowed(lane, place).is_none());
                unsown.for_each(|place| share_out(place, usize::MAX));
                usize::MAX
            }
        };
        let mut seeded: Vec<(usize, NodeId, f64)> =
            seeds.iter().map(|&(node, weight)| (self.inflow.place(node), node, weight)).collect();
        seeded.sort_unstable_by_key(|&(place, node, _)| (place, node));
        for seeds in seeded.chunk_by(|a, b| a.0 == b.0) {
            let place = seeds[0].0;
            let flowed = self.flowed(lane, place).expect("the lane has these seeds, or their twins");
            let each = flowed / self.inflow.members[place] * state.scale;
            seeds.iter().for_each(|&(_, node, weight)| put(node, place, each + weight * state.own));
            let others = self.inflow.twins(place).iter().copied();
            let others = others.filter(|node| seeds.binary_search_by_key(node, |&(_, seed, _)| seed).is_err());
            others.take(most).for_each(|node| put(node, place, each));
        }
    }

    /// The value of one node in a lane whose seeds are these, ascending: 0 for one that nothing flowed to.
    pub(super) fn value(&self, lane: usize, seeds: &[(NodeId, f64)], node: NodeId) -> f64 {
        let (state, place) = (&self.lanes[lane], self.inflow.place(node));
        let Some(flowed) = self.flowed(lane, place) else {
            return f64::from(self.values[place].0[lane] * self.factors.each[place]) * state.scale;
        };
        let own = seeds.binary_search_by_key(&node, |&(seed, _)| seed).map_or(0.0, |at| seeds[at].1 * state.own);
        flowed / self.inflow.members[place] * state.scale + own
    }

    /// What the last sweep let flow to a place that a lane has seeds at; `None` where it has none.
    fn flowed(&self, lane: usize, place: usize) -> Option<f64> {
        let here = self.first_seed[place] as usize..self.first_seed[place + 1] as usize;
        self.seeds[here].iter().find(|(_, of)| *of == lane).map(|(seed, _)| seed.inflow)
    }

    /// One sweep; given up, with any sums, when the flag is set.
    fn sweep(&mut self, onward: f64, record: bool, halt: &Halt) -> Sums {
        let units = self.lanes.map(|lane| lane.scale.recip());
        let Block { inflow, factors, values, moved, seeds, .. } = self;
        let onward = single(onward);
        let moved = if record { Some(&mut **moved) } else { None };
        let far = FAR_BYTES < size_of_val(&values[..]);
        let pass = Pass { inflow, factors, weights: Equal, values, moved, seeds, onward, units, halt };
        match &inflow.weights {
            InWeights::Equal => pass.sweep(far),
            InWeights::Single(weights) => pass.with(weights.as_slice()).sweep(far),
            InWeights::Double(weights) => pass.with(weights.as_slice()).sweep(far),
        }
    }
}

impl Factors {
    fn new(inflow: &Inflow) -> Factors {
        let narrow = |values: &[f64]| values.iter().map(|&value| single(value)).collect();
        let (mut totals, onward): (Vec<f32>, Vec<f32>) = (narrow(&inflow.totals), narrow(&inflow.onward));
        // What leaves single precision at either end would make a value infinite or no number.
        totals.iter_mut().for_each(|total| *total = total.clamp(f32::MIN_POSITIVE, f32::MAX));
        let members = narrow(&inflow.members);
        let each =
            totals.iter().zip(&members).map(|(total, members)| if *members == 0.0 { 0.0 } else { total / members });
        Factors { each: each.collect(), totals, onward, members }
    }
}

impl Lane {
    /// Restores the mass and estimates the error, as [`super::sweep`] does.
    fn take(&mut self, restart_prob: f64, before: Option<f64>, (live, dangling, moved): (f64, f64, f64)) {
        let mean_change = if live == 0.0 { 0.0 } else { moved / live };
        let restored = restart_prob / (restart_prob * live + dangling);
        let scale = if self.stuck < LANE_STUCK { restored } else { self.scale };
        let off = (1.0 - scale / self.scale).abs();
        self.own = restart_prob * scale / self.scale;
        self.scale = scale;
        let moved = moved * scale;
        self.stuck += u32::from(before.is_some_and(|before| before <= moved));
        let bound = (1.0 - restart_prob) * moved / restart_prob + off;
        self.outlook = Outlook::new(moved, before, bound, mean_change, scale);
        self.moved = moved;
        self.mass = (live + dangling) * self.scale;
        self.ended = dangling * self.scale * (1.0 - restart_prob) / restart_prob;
    }
}

/// Sums over one sweep, a number a lane.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    live: [f64; LANES],
    dangling: [f64; LANES],
    moved: [f64; LANES],
}

impl Sums {
    fn lane(&self, lane: usize) -> (f64, f64, f64) {
        (self.live[lane], self.dangling[lane], self.moved[lane])
    }
}

/// One sweep.
struct Pass<'a, W> {
    inflow: &'a Inflow,
    factors: &'a Factors,
    weights: W,
    values: &'a mut [Line],
    moved: Option<&'a mut [Line]>,
    seeds: &'a mut [(Seed, usize)],
    onward: f32,
    units: [f64; LANES],
    halt: &'a Halt,
}

impl<'a> Pass<'a, Equal> {
    fn with<W: Weights>(self, weights: W) -> Pass<'a, W> {
        let Pass { inflow, factors, values, moved, seeds, onward, units, halt, .. } = self;
        Pass { inflow, factors, weights, values, moved, seeds, onward, units, halt }
    }
}

/// A sweep whose values are far, or are not.
struct At<'a, W, const FAR: bool>(Pass<'a, W>);

impl<W: Weights, const FAR: bool> Work for At<'_, W, FAR> {
    type Output = Sums;

    #[inline(always)]
    fn run<I: Instructions>(self, _: I) -> Sums {
        let At(mut pass) = self;
        let Inflow { live, dangling, .. } = pass.inflow;
        let (live, moved) = pass.region::<FAR>(live);
        let (dangling, _) = pass.region::<FAR>(dangling);
        Sums { live, dangling, moved }
    }
}

impl<W: Weights> Pass<'_, W> {
    fn sweep(self, far: bool) -> Sums {
        if far { vector::run(At::<W, true>(self)) } else { vector::run(At::<W, false>(self)) }
    }

    /// Updates the places of a region. Returns the sums of the values there, and of what changed.
    #[inline(always)]
    fn region<const FAR: bool>(&mut self, region: &Region) -> ([f64; LANES], [f64; LANES]) {
        let first_slice = region.first + region.long_rows();
        let mut next = self.seeds.partition_point(|(seed, _)| seed.place < region.first);
        let (mut sums, mut changes) = ([0.0; LANES], [0.0; LANES]);
        let mut pace = self.halt.pace();
        let mut add = |values: Row, moved: Row| {
            for lane in 0..LANES {
                sums[lane] += f64::from(values[lane]);
                changes[lane] += f64::from(moved[lane]);
            }
        };
        for (place, bounds) in (region.first..first_slice).zip(region.long.windows(2)) {
            if pace.halts((bounds[1] - bounds[0]) as u64) {
                return (sums, changes);
            }
            let inflow = self.gather::<FAR>(bounds[0], bounds[1]);
            let (values, moved) = self.update(place, inflow, &mut next);
            add(values, moved);
        }
        for (place, bounds) in (first_slice..).step_by(SLICE).zip(region.slices.windows(2)) {
            if pace.halts((bounds[1] - bounds[0]) as u64) {
                break;
            }
            let inflows = self.gather_slice::<FAR>(bounds[0], bounds[1]);
            let (mut slice_values, mut slice_moved) = ([0.0; LANES], [0.0; LANES]);
            for (place, inflow) in (place..).zip(inflows) {
                let (values, moved) = self.update(place, inflow, &mut next);
                for lane in 0..LANES {
                    slice_values[lane] += values[lane];
                    slice_moved[lane] += moved[lane];
                }
            }
            add(slice_values, slice_moved);
        }
        (sums, changes)
    }

    /// Asks for the row of a source that comes a while after the one at a position, in this row or a later one.
    #[inline(always)]
    fn ask_ahead<const FAR: bool>(&self, position: usize) {
        if let Some(&source) = self.inflow.sources.get(position + AHEAD).filter(|_| FAR) {
            prefetch(&self.values[..], source as usize);
        }
    }

    /// What flows into one row from sources `start..end`: odd and even ones apart, so that one need not wait for the other.
    #[inline(always)]
    fn gather<const FAR: bool>(&self, start: usize, end: usize) -> Row {
        let weights = self.weights.part(start, end);
        let mut inflows = [[0.0; LANES]; 2];
        for (at, &source) in self.inflow.sources[start..end].iter().enumerate() {
            self.ask_ahead::<FAR>(start + at);
            let (row, weight) = (&self.values[source as usize].0, single(weights.at(at)));
            for lane in 0..LANES {
                inflows[at % 2][lane] += weight * row[lane];
            }
        }
        std::array::from_fn(|lane| inflows[0][lane] + inflows[1][lane])
    }

    /// What flows into the rows of a slice from sources `start..end`.
    #[inline(always)]
    fn gather_slice<const FAR: bool>(&self, start: usize, end: usize) -> [Row; SLICE] {
        let weights = self.weights.part(start, end);
        let mut inflows = [[0.0; LANES]; SLICE];
        for (number, sources) in self.inflow.sources[start..end].as_chunks::<SLICE>().0.iter().enumerate() {
            for (at, &source) in sources.iter().enumerate() {
                self.ask_ahead::<FAR>(start + number * SLICE + at);
                let (row, weight) = (&self.values[source as usize].0, single(weights.at(number * SLICE + at)));
                for lane in 0..LANES {
                    inflows[at][lane] += weight * row[lane];
                }
            }
        }
        inflows
    }

    /// Gives a place its new values. Returns them, and by how much they changed.
    #[inline(always)]
    fn update(&mut self, place: usize, inflow: Row, next: &mut usize) -> (Row, Row) {
        let onward = self.onward * self.factors.members[place];
        let inflow = inflow.map(|inflow| onward * inflow);
        let mut fresh = inflow;
        while let Some((seed, lane)) = self.seeds.get_mut(*next).filter(|(seed, _)| seed.place == place) {
            seed.inflow = inflow[*lane].into();
            fresh[*lane] += single(seed.mass * self.units[*lane]);
            *next += 1;
        }
        let (total, onward) = (self.factors.totals[place], self.factors.onward[place]);
        let row = &mut self.values[place].0;
        let mut moved = [0.0; LANES];
        for lane in 0..LANES {
            moved[lane] = (fresh[lane] - row[lane] * total).abs();
            row[lane] = fresh[lane] * onward;
        }
        if let Some(marks) = &mut self.moved {
            marks[place] = Line(moved);
        }
        (fresh, moved)
    }
}

/// The lanes of as many of the first seed sets as there are lanes for, one a seed set: single seeds that are twins share one.
pub(super) fn share_lanes<'a>(inflow: &Inflow, seed_sets: impl Iterator<Item = &'a [(NodeId, f64)]>) -> Vec<usize> {
    let (mut lanes, mut places) = (Vec::new(), Vec::new());
    for seeds in seed_sets {
        let place = if let [(node, _)] = seeds { Some(inflow.place(*node)) } else { None };
        let shared = places.iter().position(|taken| place.is_some() && *taken == place);
        if shared.is_none() {
            if places.len() == LANES {
                break;
            }
            places.push(place);
        }
        lanes.push(shared.unwrap_or(places.len() - 1));
    }
    lanes
}

#[expect(clippy::cast_possible_truncation, reason = "lanes hold single precision")]
fn single(value: f64) -> f32 {
    value as f32
}
