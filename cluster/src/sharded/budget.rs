//! How many lanes a block may have, so that answering stays within the memory.
//!
//! Each push of a lane takes at least `restart_prob` x `threshold` x max(1, out-degree) from its residual, so that all its
//! pushes together have at most `1 / (restart_prob x threshold)` edges; let *E* be that, or the number of edges if there are
//! fewer, and *N* that or the number of nodes. Over all workers, a lane holds at most
//!
//! ```text
//! 24 N    residuals and payments
//! 32 E    amounts of one round, on their way and waiting
//! 80 N    at the end of a phase: payments and what is left, on their way and waiting
//! P       fingerprints of what is left: N times the mean fingerprint, all fingerprints at most
//! ```
//!
//! A node that one lane has met has room for all lanes of the block, which is the first line again for each of them if no
//! two lanes meet; *N* is therefore taken times the lanes, up to the number of nodes. Every worker holds 8 bytes a node
//! and, while an answer is put together, 64 *N*. Lanes of two blocks are in memory at a time. Most lanes hold far less: few
//! amounts are above the threshold in any round.
//!
//! Rows that come from other processes are there twice until all of them have come.

use walkprint_engine::index::IndexEntry;

use super::first_threshold;
use super::tracks::TRACKS;
use crate::error::{Error, Result, bytes};

/// The most lanes of a block.
const MOST_LANES: u64 = 64;
/// The program itself, its threads and buffers.
const PROGRAM_BYTES: u64 = 48 << 20;
/// What a worker's thread holds besides.
const WORKER_BYTES: u64 = 24 << 20;

/// What a row that came from another process takes besides its edges: its head, and where it lies.
const RECEIVED_ROW_BYTES: u64 = 64;

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
    /// Whether rows may come from other processes.
    pub(crate) in_shards: bool,
}

impl Budget {
    /// As many lanes as fit.
    ///
    /// # Errors
    /// When not even one fits: the message says how much memory it would take.
    pub(crate) fn new(measures: Measures<'_>, memory_bytes: u64) -> Result<Budget> {
        let Measures { nodes, edges, weighted, index, precision, workers: (own, all), besides, in_shards } = measures;
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
        let lane = (80 * met + 32 * crossed).saturating_add(packed) / processes;
        let alone = (64 * met + 8 * nodes) * own;
        let fixed = fixed.saturating_add(alone);
        let gathering = if in_shards { shards + RECEIVED_ROW_BYTES * nodes / processes } else { 0 };
        let planned = |lanes: u64| {
            let cells = 24 * nodes.min(met.saturating_mul(lanes)) / processes;
            // What is held while rows come together is let go before the first answer.
            fixed.saturating_add(gathering).max(
                fixed.saturating_add((TRACKS as u64).saturating_mul(lanes.saturating_mul(lane.saturating_add(cells)))),
            )
        };
        let lanes = (1..=MOST_LANES).take_while(|&lanes| planned(lanes) <= memory_bytes).last().unwrap_or(0);
        if lanes == 0 {
            return Err(Error::Memory {
                given: bytes(memory_bytes),
                needed: bytes(planned(1)),
                parts: format!(
                    "rows {}, {TRACKS} questions at a time {}, {own} workers and the program the rest",
                    bytes(shards),
                    bytes(planned(1) - fixed)
                ),
            });
        }
        Ok(Budget { lanes, bytes: planned(lanes) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use walkprint_engine::plan::Plan;

    #[test]
    fn blocks_are_as_large_as_the_memory_allows() {
        let index = IndexEntry {
            name: "default".into(),
            generation: 1,
            directory: "index-default-1".into(),
            plan: Plan::default(),
            graph_digest: String::new(),
            entries: 400_000_000,
            bytes: 800 << 20,
            fingerprint_digest: String::new(),
            segments: Vec::new(),
        };
        let lanes = |precision: f64, workers: (u64, u64), memory: u64| {
            let (nodes, edges) = (4_000_000, 28_000_000);
            let measures = Measures {
                nodes,
                edges,
                weighted: false,
                index: &index,
                precision,
                workers,
                besides: 1 << 20,
                in_shards: true,
            };
            Budget::new(measures, memory).map(|budget| {
                assert!(budget.bytes <= memory);
                budget.lanes
            })
        };
        let refused = lanes(0.05, (2, 2), 1 << 28).unwrap_err().to_string();
        assert!(refused.contains("--memory 256.0MiB is too small"), "{refused}");
        let some = lanes(0.05, (2, 2), 4 << 30).unwrap();
        assert!(some < lanes(0.05, (2, 2), 16 << 30).unwrap() && some < lanes(0.1, (2, 2), 4 << 30).unwrap());
        assert!(some < lanes(0.05, (2, 8), 4 << 30).unwrap(), "more processes");
        assert_eq!(lanes(0.2, (2, 2), 1 << 40).unwrap(), MOST_LANES);
    }
}
