//! Sweeps by several hands.
//!
//! On a large graph the places are cut into [`PHASES`] phases, one after the other, and each phase into [`PARTS`] stretches
//! of about the same work, whoever does it. A stretch is updated from the newest values of its own places and of the phases
//! before it, and from those that the rest of its phase had before (Gauss-Seidel, but for a little Jacobi within a phase:
//! with eight stretches and no phases, debian-contents took twice as many sweeps). So an answer is the same for any number of
//! hands, and the bounds of [`super::sweep`] hold: a change that another stretch sees too late is a residual of at most
//! `1 - a` times itself, as ever.
//!
//! Each hand works on a copy of all values, which it brings up to date as it goes: next to the edges that is little.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use super::sweep::{Flow, Seed, Sums};
use crate::graph::{Inflow, Region, Stretch};

/// Phases of a sweep over nodes that are not dangling; the others come last.
const PHASES: usize = 16;
/// Stretches of a phase, and the most hands that are of use.
const PARTS: usize = 8;
/// In-edges from which on hands are worth their while; below, all in one go takes fewer sweeps.
const ENOUGH_EDGES: usize = if cfg!(test) { 1 << 7 } else { 1 << 22 };

/// Somebody who can do several things at a time: threads, as a program that uses this library has them. The library itself
/// starts none.
pub trait Crew: fmt::Debug + Send + Sync {
    /// How many things at a time.
    fn hands(&self) -> usize;

    /// Calls `work` with 0, 1, and so on below [`Crew::hands`], each once, best all at the same time. Returns when all are done.
    fn all(&self, work: &(dyn Fn(usize) + Sync));
}

/// What hands need to sweep together.
#[derive(Debug)]
pub(super) struct Together {
    crew: Arc<dyn Crew>,
    phases: Vec<Phase>,
    /// All values, one copy a hand.
    copies: Vec<Mutex<Vec<f64>>>,
}

/// Stretches of one region that follow each other.
#[derive(Debug)]
struct Phase {
    is_dangling: bool,
    stretches: Vec<Stretch>,
}

/// A stretch in the hand that works on it, and what belongs to its places.
struct Task<'a> {
    stretch: &'a Stretch,
    values: &'a mut [f64],
    moved: &'a mut [f32],
    seeds: &'a mut [Seed],
    /// The sum of its values, and of what changed.
    sums: (f64, f64),
}

impl Phase {
    fn places(&self, inflow: &Inflow) -> Range<usize> {
        let places = |stretch| region(inflow, self.is_dangling).places(stretch);
        let (first, last) = (self.stretches.first(), self.stretches.last());
        first.zip(last).map_or(0..0, |(first, last)| places(first).start..places(last).end)
    }
}

impl Together {
    /// Room for a crew; nothing where a graph is too small for one.
    pub(super) fn new(inflow: &Inflow, crew: Arc<dyn Crew>) -> Option<Together> {
        if inflow.sources.len() < ENOUGH_EDGES {
            return None;
        }
        let live = inflow.live.cut(PHASES * PARTS);
        let live = live.chunks(PARTS).map(|part| Phase { is_dangling: false, stretches: part.to_vec() });
        let dangling = Phase { is_dangling: true, stretches: inflow.dangling.cut(PARTS) };
        let phases = live.chain([dangling]).collect();
        let length = inflow.places().next_power_of_two();
        let copies = (0..crew.hands().clamp(1, PARTS)).map(|_| Mutex::new(vec![0.0; length])).collect();
        Some(Together { crew, phases, copies })
    }

    /// Takes over the values to begin with.
    pub(super) fn begin(&mut self, values: &[f64]) {
        for copy in &mut self.copies {
            copy.get_mut().unwrap_or_else(PoisonError::into_inner).copy_from_slice(values);
        }
    }

    /// One sweep.
    pub(super) fn sweep(&mut self, flow: Flow<'_>, values: &mut [f64], moved: &mut [f32], seeds: &mut [Seed]) -> Sums {
        let mut sums = Sums::default();
        let (mut moved, mut seeds) = (moved, seeds);
        let mut behind = self.phases.last().map_or(0..0, |last| last.places(flow.inflow));
        for phase in &self.phases {
            let region = region(flow.inflow, phase.is_dangling);
            let places = phase.places(flow.inflow);
            let (before, rest) = values.split_at_mut(places.start);
            let (mut own, after) = rest.split_at_mut(places.len());
            let newest = before.get(behind.clone()).or_else(|| {
                let start = behind.start.checked_sub(places.end)?; // the last phase of the sweep before
                after.get(start..start + behind.len())
            });
            let mut tasks = Vec::with_capacity(PARTS);
            for stretch in &phase.stretches {
                let (length, end) = (region.places(stretch).len(), region.places(stretch).end);
                let own_seeds = seeds.partition_point(|seed| seed.place < end);
                tasks.push(Mutex::new(Task {
                    stretch,
                    values: own.split_off_mut(..length).unwrap_or_default(),
                    moved: moved.split_off_mut(..length).unwrap_or_default(),
                    seeds: seeds.split_off_mut(..own_seeds).unwrap_or_default(),
                    sums: (0.0, 0.0),
                }));
            }
            let (copies, hands) = (&self.copies, self.copies.len());
            self.crew.all(&|hand| {
                let Some(copy) = copies.get(hand) else { return };
                let mut copy = copy.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(newest) = newest {
                    copy[behind.clone()].copy_from_slice(newest);
                }
                for task in tasks.iter().skip(hand).step_by(hands) {
                    let task = &mut *task.lock().unwrap_or_else(PoisonError::into_inner);
                    task.sums = flow.into_stretch(region, task.stretch, &mut copy, task.moved, task.seeds);
                    // The rest of the phase is to see what was there before, whoever works on it.
                    copy[region.places(task.stretch)].swap_with_slice(task.values);
                }
            });
            for task in tasks {
                let (sum, moved) = task.into_inner().unwrap_or_else(PoisonError::into_inner).sums;
                if phase.is_dangling {
                    sums.dangling += sum;
                } else {
                    sums.live += sum;
                    sums.moved += moved;
                }
            }
            behind = places;
        }
        sums
    }
}

fn region(inflow: &Inflow, is_dangling: bool) -> &Region {
    if is_dangling { &inflow.dangling } else { &inflow.live }
}
