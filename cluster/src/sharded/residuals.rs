//! What one worker knows of a block while it is pushed: residual and payment of every lane at every node it owns.
//!
//! This is the push of [`walkprint_engine::query`], in rounds: a node is pushed for a lane while the lane's residual there
//! is above the lane's threshold x max(1, out-degree). A row is read once a round, for all lanes that stand on it, and what
//! arrives at one target is added up before it is sent.

use std::rc::Rc;

use hashbrown::HashMap;
use walkprint_engine::error::Error as EngineError;
use walkprint_engine::graph::GraphShard;

use super::amount::{Amount, merge, part};
use crate::error::Result;

/// Amounts that are merged together before they are sent: a mebibyte, which stays in the cache.
const MERGED: usize = 1 << 16;
/// By how much the shares of a row may be above 1 because of rounding.
const ROUNDING: f64 = 1e-9;

#[derive(Debug, Default)]
struct Cell {
    residual: u64,
    /// What was pushed and stayed, and was not sent yet.
    paid: u64,
    queued: bool,
}

/// The residuals of a block at the nodes of one worker.
pub(super) struct Residuals {
    shard: Rc<GraphShard>,
    restart_prob: f64,
    /// By local number of the node in the upper half, lane in the lower.
    cells: HashMap<u64, Cell>,
    /// What is to be pushed at the end of this round.
    ready: Vec<u64>,
    /// By lane, in units; infinite for lanes that are done.
    thresholds: Vec<f64>,
}

impl Residuals {
    pub(super) fn new(shard: Rc<GraphShard>, restart_prob: f64) -> Residuals {
        Residuals { shard, restart_prob, cells: HashMap::new(), ready: Vec::new(), thresholds: Vec::new() }
    }

    /// Makes ready for another block.
    pub(super) fn clear(&mut self) {
        // Not `clear`, which would keep the largest block's memory.
        (self.cells, self.ready) = (HashMap::new(), Vec::new());
        self.thresholds.clear();
    }

    /// Adds what arrived.
    ///
    /// # Panics
    /// When the node is another worker's.
    pub(super) fn add(&mut self, amount: Amount) {
        let (_, local) = self.shard.owners().find(amount.node);
        let key = u64::from(local) << 32 | u64::from(amount.lane);
        let threshold = self.thresholds.get(amount.lane as usize).copied().unwrap_or(f64::INFINITY);
        let cell = self.cells.entry(key).or_default();
        cell.residual += amount.units;
        if !cell.queued && threshold * cost(&self.shard, local) < cell.residual as f64 {
            cell.queued = true;
            self.ready.push(key);
        }
    }

    /// Begins a phase in which these lanes are pushed down to these thresholds; forgets all other lanes.
    pub(super) fn begin_phase(&mut self, lanes: impl Iterator<Item = (u32, f64)>) {
        self.thresholds.clear();
        for (lane, threshold) in lanes {
            let at = lane as usize;
            if self.thresholds.len() <= at {
                self.thresholds.resize(at + 1, f64::INFINITY);
            }
            self.thresholds[at] = threshold * (1u64 << 60) as f64;
        }
        let Residuals { shard, cells, ready, thresholds, .. } = self;
        ready.clear();
        cells.retain(|&key, cell| {
            let (local, lane) = split(key);
            let threshold = thresholds.get(lane as usize).copied().unwrap_or(f64::INFINITY);
            cell.queued = threshold * cost(shard, local) < cell.residual as f64;
            if cell.queued {
                ready.push(key);
            }
            threshold.is_finite()
        });
    }

    /// Pushes everything that is ready, and sends what goes on.
    ///
    /// # Errors
    /// When a row is damaged.
    pub(super) fn push(&mut self, mut send: impl FnMut(&mut Vec<Amount>)) -> Result<()> {
        let Residuals { shard, restart_prob, cells, ready, .. } = self;
        let nodes = shard.owners().nodes();
        ready.sort_unstable();
        let (mut onward, mut outgoing): (Vec<(u32, f64)>, Vec<Amount>) = (Vec::new(), Vec::new());
        for standing in ready.chunk_by(|a, b| a >> 32 == b >> 32) {
            let (local, _) = split(standing[0]);
            onward.clear();
            for &key in standing {
                let cell = cells.get_mut(&key).expect("only cells are ready");
                let residual = std::mem::take(&mut cell.residual);
                let paid = part(residual as f64, *restart_prob);
                cell.paid += paid;
                cell.queued = false;
                onward.push((split(key).1, residual.saturating_sub(paid) as f64));
            }
            let row = shard.row(local)?;
            if row.degree() == 0 {
                continue;
            }
            let mut sound = 0.0 < row.total && row.total.is_finite();
            row.spread(1.0, |target, share| {
                sound &= target < nodes && (0.0..=1.0 + ROUNDING).contains(&share);
                if !sound {
                    return;
                }
                let amounts =
                    onward.iter().map(|&(lane, units)| Amount { node: target, lane, units: part(units, share) });
                outgoing.extend(amounts.filter(|amount| amount.units != 0));
                if MERGED <= outgoing.len() {
                    merge(&mut outgoing);
                    // Where next to nothing could be merged, nothing is gained by waiting.
                    if MERGED / 2 <= outgoing.len() {
                        send(&mut outgoing);
                        outgoing.clear();
                    }
                }
            });
            if !sound {
                let what = format!("the row of node {} does not make sense", shard.node(local));
                return Err(EngineError::damaged(shard.rows().path(), what).into());
            }
        }
        ready.clear();
        merge(&mut outgoing);
        send(&mut outgoing);
        Ok(())
    }

    /// Gives out what was paid since the last time, and what is left; what is left stays, for another phase. At dangling
    /// nodes nothing is left: pushing them is exact and cheap.
    pub(super) fn settle(&mut self, mut paid: impl FnMut(Amount), mut left: impl FnMut(Amount)) {
        let Residuals { shard, restart_prob, cells, .. } = self;
        // In any order: amounts are added up or sorted where they arrive.
        for (&key, cell) in cells.iter_mut() {
            let (local, lane) = split(key);
            let node = shard.node(local);
            if shard.rows().degree(local) == 0 {
                cell.paid += part(std::mem::take(&mut cell.residual) as f64, *restart_prob);
            }
            if cell.paid != 0 {
                paid(Amount { node, lane, units: std::mem::take(&mut cell.paid) });
            }
            if cell.residual != 0 {
                left(Amount { node, lane, units: cell.residual });
            }
        }
    }
}

/// What pushing a node costs: its out-degree, at least 1.
#[inline]
fn cost(shard: &GraphShard, local: u32) -> f64 {
    shard.rows().degree(local).max(1) as f64
}

/// Local number and lane of a key.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the two halves")]
fn split(key: u64) -> (u32, u32) {
    ((key >> 32) as u32, key as u32)
}
