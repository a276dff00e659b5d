//! How many lanes a block may have, so that answering stays within the memory.
//!
//! Each push of a lane takes at least `restart_prob` x `threshold` x max(1, out-degree) from its residual, so that all its
//! pushes together have at most `1 / (restart_prob x threshold)` edges; let *E* be that, or the number of edges if there are
//! fewer, and *N* that or the number of nodes. Over all workers, a lane holds at most
//!
//! ```text
//! 56 N    residuals and payments
//! 32 E    amounts of one round, on their way and waiting
//! 32 N    at the end of a phase: payments and what is left, on their way
//! P       fingerprints of what is left: N times the mean fingerprint, all fingerprints at most
//! ```
//!
//! and while it is put together 64 N and the visits of its fingerprints. Lanes of two blocks are in memory at a time. Most
//! lanes hold far less: nodes share rows, and few amounts are above the threshold.

use walkprint_engine::index::IndexEntry;

use super::first_threshold;
use super::tracks::TRACKS;
use crate::error::{Error, Result, bytes};

/// The most lanes of a block.
const MOST_LANES: u64 = 1024;
/// The program itself, its threads and buffers.
const PROGRAM_BYTES: u64 = 48 << 20;
/// What a worker's thread holds besides.
const WORKER_BYTES: u64 = 24 << 20;

/// The memory that answering takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Budget {
    /// Lanes of a block.
    pub(crate) lanes: u64,
    /// What one process holds at the peak, in bytes.
    pub(crate) bytes: u64,
}

/// What is to be answered, and where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measures<'a> {
    pub(crate) nodes: u64,
    pub(crate) edges: u64,
    pub(crate) weighted: bool,
    pub(crate) index: &'a IndexEntry,
    pub(crate) precision: f64,
    /// Workers of a process, and of all.
    pub(crate) workers: (u64, u64),
    /// What the process holds for other purposes.
    pub(crate) besides: u64,
}

impl Budget {
    /// As many lanes as fit.
    ///
    /// # Errors
    /// When not even one fits: the message says how much memory it would take.
    pub(crate) fn new(measures: Measures<'_>, memory_bytes: u64) -> Result<Budget> {
        let Measures { nodes, edges, weighted, index, precision, workers: (own, all), besides } = measures;
        let processes = (all / own).max(1);
        let row_edge: u64 = if weighted { 12 } else { 4 };
        let shards = (row_edge * edges + 16 * nodes) / processes;
        let fixed = PROGRAM_BYTES
            .saturating_add(WORKER_BYTES * own)
            .saturating_add(shards)
            .saturating_add(nodes / 8 * own)
            .saturating_add(besides);
        let reach = 1.0 / (index.plan.restart_prob * first_threshold(&index.plan, precision));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a size in bytes")]
        let reach = reach.min(1e18) as u64; // saturates
        let (met, crossed) = (nodes.min(reach), edges.min(reach));
        let packed = (index.bytes / nodes.max(1)).saturating_mul(met).min(index.bytes);
        let lane = (88 * met + 32 * crossed).saturating_add(packed) / processes;
        let alone = (64 * met + 4 * index.entries / nodes.max(1) * met) * own;
        let fixed = fixed.saturating_add(alone);
        let lanes = memory_bytes.saturating_sub(fixed) / (TRACKS as u64 * lane.max(1));
        let planned = |lanes: u64| fixed.saturating_add(TRACKS as u64 * lanes * lane);
        if lanes == 0 {
            return Err(Error::Memory {
                given: bytes(memory_bytes),
                needed: bytes(planned(1)),
                parts: format!(
                    "rows {}, {TRACKS} questions at a time {}, {own} workers and the program the rest",
                    bytes(shards),
                    bytes(TRACKS as u64 * lane)
                ),
            });
        }
        let lanes = lanes.min(MOST_LANES);
        Ok(Budget { lanes, bytes: planned(lanes) })
    }
}
