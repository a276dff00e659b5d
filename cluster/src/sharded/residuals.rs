//! What one worker knows of a block while it is pushed: residual and payment of every lane at every node it owns.
//!
//! This is the push of [`walkprint_engine::query`], in rounds: a node is pushed for a lane while the lane's residual there
//! is above the lane's threshold x max(1, out-degree). A row is read once a round, for all lanes that stand on it, and what
//! arrives at one target is added up before it is sent.
//!
//! A node that was met has a number for each lane, side by side: a graph that is wide enough to take time is met by most
//! lanes of a block, and then an edge costs an addition a lane and no look-up.

use std::rc::Rc;

use walkprint_engine::error::Error as EngineError;
use walkprint_engine::graph::GraphShard;
use walkprint_engine::plan::Plan;
use walkprint_walkers::random::at_node;

use super::amount::{Amount, NOWHERE, ONE, part};
use super::lane::{Lane, Left};
use super::window::Window;
use crate::error::Result;

/// What a walk of a fingerprint is to stand for, as a part of the threshold. Coarser grains are fewer fingerprints to read
/// and larger errors.
const GRAIN: f64 = 0.5;
/// By how much the shares of a row may be above 1 because of rounding.
const ROUNDING: f64 = 1e-9;
/// The slot of nodes that were not met.
const NONE: u32 = u32::MAX;

/// A lane at a node.
#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    residual: u64,
    /// What was pushed and stayed, and was not sent yet.
    paid: u64,
    /// What was sent of a payment that falls due when the residual is pushed.
    advance: u64,
}

/// The residuals of a block at the nodes of one worker.
pub(super) struct Residuals {
    shard: Rc<GraphShard>,
    plan: Plan,
    /// By number; lanes that are done have infinite thresholds.
    lanes: Vec<Pushing>,
    /// By local number of the node.
    slots: Vec<u32>,
    /// By slot: the local number, and whether it is to be looked at.
    met: Vec<(u32, bool)>,
    /// By slot and lane.
    cells: Vec<Cell>,
    /// Slots to be looked at at the end of this round.
    touched: Vec<u32>,
    window: Window,
}

/// How a lane is pushed.
#[derive(Debug, Clone, Copy)]
struct Pushing {
    /// In units.
    threshold: f64,
    /// What a walk of a fingerprint is to stand for, at least, in units.
    grain: f64,
    /// Random numbers of its nodes.
    number: u64,
}

const DONE: Pushing = Pushing { threshold: f64::INFINITY, grain: 0.0, number: 0 };

impl Residuals {
    pub(super) fn new(shard: Rc<GraphShard>, plan: Plan) -> Residuals {
        let slots = vec![NONE; shard.rows().nodes()];
        let (lanes, met, cells, touched) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Residuals { shard, plan, lanes, slots, met, cells, touched, window: Window::default() }
    }

    /// Makes ready for another block.
    pub(super) fn clear(&mut self) {
        self.met.iter().for_each(|&(local, _)| self.slots[local as usize] = NONE);
        self.met.clear();
        // Not `clear`, which would keep the largest block's memory.
        (self.cells, self.touched) = (Vec::new(), Vec::new());
        self.lanes.clear();
    }

    /// Adds what arrived, in a phase that has begun.
    ///
    /// # Panics
    /// When the node is another worker's, or the lane is none of the block.
    #[inline]
    pub(super) fn add(&mut self, amount: Amount) {
        let (_, local) = self.shard.owners().find(amount.node);
        let slot = &mut self.slots[local as usize];
        if *slot == NONE {
            *slot = u32::try_from(self.met.len()).expect("there are no more slots than nodes");
            self.met.push((local, false));
            self.cells.resize(self.met.len() * self.lanes.len(), Cell::default());
        }
        let slot = *slot;
        let (_, waits) = &mut self.met[slot as usize];
        if !*waits {
            *waits = true;
            self.touched.push(slot);
        }
        self.cells[slot as usize * self.lanes.len() + amount.lane as usize].residual += amount.units;
    }

    /// Begins a phase in which these lanes are pushed; all others are done. The first phase of a block has all its lanes.
    pub(super) fn begin_phase(&mut self, asked: &[Lane]) {
        let width = asked.iter().map(|lane| lane.number as usize + 1).max().unwrap_or(0).max(self.lanes.len());
        self.lanes.clear();
        self.lanes.resize(width, DONE);
        for lane in asked {
            let threshold = lane.threshold * ONE;
            self.lanes[lane.number as usize] = Pushing { threshold, grain: threshold * GRAIN, number: lane.key };
        }
        self.touched = (0..).take(self.met.len()).collect();
        self.met.iter_mut().for_each(|(_, waits)| *waits = true);
    }

    /// Pushes everything that is above its threshold, and sends what goes on.
    ///
    /// # Errors
    /// When a row is damaged.
    pub(super) fn push(&mut self, mut send: impl FnMut(Amount)) -> Result<()> {
        let Residuals { shard, plan, lanes, met, cells, touched, window, .. } = self;
        let (nodes, width) = (shard.owners().nodes(), lanes.len());
        window.widen(width);
        touched.sort_unstable_by_key(|&slot| met[slot as usize].0); // rows in the order in which they lie
        let mut onward: Vec<(u32, f64)> = Vec::new();
        for slot in touched.drain(..) {
            let (local, waits) = &mut met[slot as usize];
            *waits = false;
            let cost = cost(shard, *local);
            onward.clear();
            for ((cell, lane), number) in cells[slot as usize * width..][..width].iter_mut().zip(&*lanes).zip(0..) {
                if lane.threshold * cost < cell.residual as f64 {
                    let paid = part(cell.residual as f64, plan.restart_prob);
                    onward.push((number, cell.residual.saturating_sub(paid) as f64));
                    cell.paid += paid;
                    cell.residual = 0;
                }
            }
            let row = shard.row(*local)?;
            if row.degree() == 0 || onward.is_empty() {
                continue;
            }
            let mut sound = 0.0 < row.total && row.total.is_finite();
            row.spread(1.0, |target, share| {
                sound &= target < nodes && (0.0..=1.0 + ROUNDING).contains(&share);
                if sound {
                    window.add(target, share, &onward, &mut send);
                }
            });
            if !sound {
                let what = format!("the row of node {} does not make sense", shard.node(*local));
                return Err(EngineError::damaged(shard.rows().path(), what).into());
            }
        }
        window.flush(&mut send);
        Ok(())
    }

    /// Gives out what was paid since the last time, and what is left; what is left stays, for another phase. At dangling
    /// nodes nothing is left: pushing them is exact and cheap.
    ///
    /// What is left pays its own node's share at once. For the rest a walk of the node's fingerprint is to stand for a grain
    /// at least: residuals below that are given the weight of a grain a walk with the chance that they have to, and left out
    /// otherwise, by a number that lane and node tell. What was left in sum is paid at [`NOWHERE`].
    pub(super) fn settle(&mut self, mut paid: impl FnMut(Amount), mut left: impl FnMut(Left)) {
        let Residuals { shard, plan, lanes, met, cells, .. } = self;
        let mut sums = vec![0; lanes.len()];
        // In any order: amounts are added up or sorted where they arrive.
        for (&(local, _), cells) in met.iter().zip(cells.chunks_exact_mut(lanes.len().max(1))) {
            let (node, degree) = (shard.node(local), shard.rows().degree(local));
            let walks = f64::from(plan.walks_of(degree));
            for ((cell, pushing), lane) in cells.iter_mut().zip(&*lanes).zip(0u32..) {
                if pushing.threshold.is_infinite() {
                    continue;
                }
                if degree == 0 {
                    cell.paid += part(std::mem::take(&mut cell.residual) as f64, plan.restart_prob);
                }
                let own = part(cell.residual as f64, plan.restart_prob);
                // Own shares that were paid in advance are not paid again when what was left is pushed after all.
                let units = (cell.paid + own).saturating_sub(cell.advance);
                (cell.paid, cell.advance) = (0, own);
                if units != 0 {
                    paid(Amount { node, lane, units });
                }
                let residual = cell.residual;
                if residual == 0 {
                    continue;
                }
                sums[lane as usize] += residual;
                let whole = part(walks, pushing.grain);
                if whole <= residual {
                    left(Left { node, lane, residual, weight: residual });
                } else if at_node(pushing.number, node) * (whole as f64) < residual as f64 {
                    left(Left { node, lane, residual, weight: whole });
                }
            }
        }
        for (lane, units) in (0..).zip(sums).filter(|&(_, units)| units != 0) {
            paid(Amount { node: NOWHERE, lane, units });
        }
    }
}

/// What pushing a node costs: its out-degree, at least 1.
#[inline]
fn cost(shard: &GraphShard, local: u32) -> f64 {
    shard.rows().degree(local).max(1) as f64
}
