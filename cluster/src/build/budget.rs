//! What a build will hold in memory, reckoned before it starts, and what it does differently when that must be less.

use walkprint_engine::graph::Graph;
use walkprint_engine::ids::NodeId;
use walkprint_engine::plan::Plan;
use walkprint_walkers::paths::PathRows;
use walkprint_walkers::shard::OwnSlots;
use walkprint_walkers::tally;

use super::ShardedCut;
use super::cut::Cut;
use crate::assembly::WAITING;
use crate::error::{Error, Result, bytes};

/// The program itself, its threads and buffers.
const PROGRAM_BYTES: u64 = 48 << 20;
/// What a worker's thread holds besides its cells: lists of its kernel, pieces on their way, and what the allocator
/// keeps for the thread.
const WORKER_BYTES: u64 = 20 << 20;
/// Packed bytes a visit, an upper bound: a gap of three bytes and a count of one, where most take two.
const BYTES_A_VISIT: f64 = 3.0;
/// Tasks that a worker may have at a time: one that it walks and one that waits.
const CREDITS: usize = 2;

/// The plan for the memory.
#[derive(Debug)]
pub(super) struct Budget {
    /// What will be held at the peak.
    pub(super) bytes: u64,
    /// Whether the graph is copied into huge pages.
    pub(super) copy_graph: bool,
    /// Tasks a worker may have at a time.
    pub(super) credits: usize,
}

/// The least that a build can do with.
#[derive(Debug)]
pub(super) struct Least {
    /// The graph's rows; mapped pages count.
    pub(super) graph: u64,
    /// The tables of big moves.
    pub(super) big_moves: u64,
    /// The kernels' cells for the heaviest source, of all workers.
    pub(super) workers: u64,
    /// The packed fingerprints of the pipelines that are open, queued and being written.
    pub(super) segments: u64,
}

impl Least {
    pub(super) fn total(&self) -> u64 {
        PROGRAM_BYTES
            .saturating_add(self.graph + self.big_moves)
            .saturating_add(self.workers)
            .saturating_add(self.segments)
    }
}

impl Budget {
    /// The least memory for a graph, a plan and a number of workers.
    pub(super) fn least(graph: &Graph, plan: &Plan, workers: usize, big_moves: Option<&PathRows>) -> Least {
        let nodes = NodeId::try_from(graph.nodes()).expect("the graph's builder bounds the number of nodes");
        let heaviest = (0..nodes).map(|node| plan.visits_of(graph.degree(node))).fold(0.0, f64::max);
        let visits = |first, end| (first..end).map(|node| plan.visits_of(graph.degree(node))).sum::<f64>();
        let pipelines = plan.pipelines(graph);
        let pipeline = pipelines.iter().map(|pipeline| visits(pipeline.first, pipeline.end)).fold(0.0, f64::max);
        Least {
            graph: graph.walk_rows().bytes(),
            big_moves: big_moves.map_or(0, PathRows::bytes),
            workers: tally::walker_bytes(heaviest, graph.nodes())
                .saturating_add(WORKER_BYTES)
                .saturating_mul(workers as u64),
            // Two pipelines are open around the dealer's place, there is one more copy while a segment is put
            // together, one waits and one is being written.
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a size in bytes")]
            segments: ((4 + WAITING) as f64 * pipeline * BYTES_A_VISIT) as u64, // saturates
        }
    }

    /// Plans for a budget of `memory_bytes`. While the graph is copied it is there twice.
    ///
    /// # Errors
    /// When the budget is below the least; the message says how much that is.
    pub(super) fn new(
        graph: &Graph,
        plan: &Plan,
        workers: usize,
        big_moves: Option<&PathRows>,
        memory_bytes: u64,
    ) -> Result<Budget> {
        let least = Budget::least(graph, plan, workers, big_moves);
        if memory_bytes < least.total() {
            return Err(Error::Memory {
                given: bytes(memory_bytes),
                needed: bytes(least.total()),
                parts: format!(
                    "graph {}{}, {workers} workers {}, open pipelines {}, program {}",
                    bytes(least.graph),
                    of_big_moves(least.big_moves),
                    bytes(least.workers),
                    bytes(least.segments),
                    bytes(PROGRAM_BYTES)
                ),
            });
        }
        let with_copy = least.total().saturating_add(least.graph);
        let copy_graph = with_copy <= memory_bytes;
        Ok(Budget { bytes: if copy_graph { with_copy } else { least.total() }, copy_graph, credits: CREDITS })
    }
}

/// What is said of the tables of big moves, if there are any.
fn of_big_moves(held: u64) -> String {
    if held == 0 { String::new() } else { format!(", big moves {}", bytes(held)) }
}

/// Expected visits of a block for each worker where memory allows: enough for rounds of some milliseconds, few enough for
/// lists that stay in the cache. And the fewest of a block with which rounds are worth their while.
const BLOCK_VISITS: (f64, f64) = (1e6, 100e3);
/// Blocks under way where memory allows: one takes a round while others wait for theirs.
const BLOCKS: usize = 3;
/// What a worker holds for each of its visits of a block under way, measured: the log of visits with room to grow, what stands
/// on nodes in the largest round, what is on its way, and what is kept sorted until other parts of a task have come.
const BYTES_A_VISIT_UNDER_WAY: f64 = 44.0;

/// The plan for the memory of a sharded build.
#[derive(Debug, Clone)]
pub(super) struct ShardedBudget {
    /// What this process will hold at the peak.
    pub(super) bytes: u64,
    /// Expected visits of a block.
    pub(super) block_visits: f64,
    /// Blocks under way.
    pub(super) blocks: usize,
}

impl ShardedBudget {
    /// Plans for a process with so many of all workers. Rows are there twice while they are gathered: as they are read or
    /// received, and where they belong; blocks begin when that is over.
    ///
    /// # Errors
    /// When the budget is below the least; the message says how much that is.
    pub(super) fn new(
        cut: &Cut,
        weighted: bool,
        workers: usize,
        all_workers: usize,
        wanted: &ShardedCut,
        big_moves: u64,
        memory_bytes: u64,
    ) -> Result<ShardedBudget> {
        let share = workers as f64 / all_workers as f64;
        let slot = OwnSlots::width(weighted) as f64;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a size in bytes")]
        let whole = |bytes: f64| bytes as u64; // saturates
        let rows = whole((cut.edges as f64 * slot + 8.0 * f64::from(cut.nodes)) * share * 1.05);
        let heaviest = cut.task_visits.iter().copied().fold(0.0, f64::max);
        let all: f64 = cut.task_visits.iter().sum();
        let pipeline = all / cut.pipelines.len().max(1) as f64;
        let program = PROGRAM_BYTES + WORKER_BYTES * workers as u64;
        let least_block = heaviest.max(BLOCK_VISITS.1).min(all.max(1.0));
        let total = |visits: f64, blocks: usize| {
            let visits = visits.max(heaviest).min(all.max(1.0));
            let under_way = whole(blocks as f64 * visits * share * BYTES_A_VISIT_UNDER_WAY);
            // The segments that are open, being put together, waiting and being written.
            let segments = whole(((3 + WAITING) as f64 * pipeline + blocks as f64 * visits) * BYTES_A_VISIT);
            program + (2 * rows).max(rows + big_moves + under_way + segments)
        };
        let least = total(wanted.block_visits.unwrap_or(least_block), wanted.blocks.unwrap_or(1));
        if memory_bytes < least {
            return Err(Error::Memory {
                given: bytes(memory_bytes),
                needed: bytes(least),
                parts: format!(
                    "rows {} of this process's {workers} of {all_workers} workers, twice while they are gathered{}; one block \
                     of walks under way {}; program {}",
                    bytes(rows),
                    of_big_moves(big_moves),
                    bytes((least - program - rows).saturating_sub(big_moves)),
                    bytes(program)
                ),
            });
        }
        // Messages go from everyone to everyone: the more workers, the more there must be for each to carry.
        let most = BLOCK_VISITS.0 * (all_workers as f64).max(2.0);
        let (mut visits, mut blocks) = (wanted.block_visits.unwrap_or(most), wanted.blocks.unwrap_or(BLOCKS));
        while memory_bytes < total(visits, blocks) && wanted.block_visits.is_none() && least_block < visits {
            visits = (visits / 2.0).max(least_block);
        }
        while memory_bytes < total(visits, blocks) && wanted.blocks.is_none() && 1 < blocks {
            blocks -= 1;
        }
        Ok(ShardedBudget { bytes: total(visits, blocks), block_visits: visits.max(heaviest), blocks })
    }
}
