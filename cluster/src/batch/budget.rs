//! What a batch will hold in memory, reckoned before it starts. Mapped files of the store do not count: the system takes
//! their pages back when it needs them.

use walkprint_engine::graph::Graph;
use walkprint_engine::query::{Method, Ranked};

use super::answering::{Answering, World};
use super::cut::Cut;
use super::rows::{Row, Stretch};
use super::writer;
use crate::assembly::WAITING;
use crate::error::{Error, Result, bytes};

/// The program itself, its threads and buffers.
const PROGRAM_BYTES: u64 = 48 << 20;
/// What a worker's thread holds besides its answerer, its rows and its results: what the allocator keeps for the thread.
const WORKER_BYTES: u64 = 16 << 20;
/// Tasks that a worker may have at a time: one that it answers and one that waits.
pub(super) const CREDITS: usize = 2;
/// Parts whose tasks may be under way at a time: one that ends and one that begins.
pub(super) const OPEN_PARTS: usize = 2;
/// Parts that may be in memory: open ones, one that the frontier is about to pass, those that wait for the writer, and the
/// one that it writes.
const PARTS: u64 = (OPEN_PARTS + 1 + WAITING + 1) as u64;
/// Rows are there a second time while a task's are put together, and the vectors they come in grow by doubling.
const SLACK: u64 = 2;

/// A result before it is a row, with an id: those of a whole task may be answered at once.
const RESULT_BYTES: u64 = size_of::<Ranked>() as u64 + 32;
/// What a source takes: its node, its place in the order of answering, and that of the pilot.
const SOURCE_BYTES: u64 = 12;

/// The memory that a batch needs.
#[derive(Debug)]
pub(super) struct Budget {
    workers: u64,
    parts: u64,
    writing: u64,
    sources: u64,
    inflow: u64,
}

impl Budget {
    /// Reckons a batch of this cut.
    pub(super) fn new(cut: &Cut, world: &World, method: Method, workers: usize) -> Budget {
        let inflow = world.inflow.as_ref().map_or(0, |_| inflow_bytes(&world.graph));
        Budget::reckon(cut, Answering::bytes(world.graph.nodes(), method), world.graph.nodes(), inflow, workers)
    }

    /// What files and sources take, where answers are found elsewhere.
    pub(super) fn of_files(cut: &Cut, nodes: usize) -> Budget {
        Budget::reckon(cut, 0, nodes, 0, 0)
    }

    fn reckon(cut: &Cut, answering: u64, nodes: usize, inflow: u64, workers: usize) -> Budget {
        let rows = size_of::<Row>() as u64;
        let task_rows = cut.task_sources.min(cut.sources).saturating_mul(cut.source_rows);
        let part_rows = cut.part_sources.min(cut.sources).saturating_mul(cut.source_rows);
        let row_bytes = SLACK * rows + RESULT_BYTES;
        let worker = answering.saturating_add(WORKER_BYTES).saturating_add(task_rows.saturating_mul(row_bytes));
        // The last parts of a small batch are all that there is.
        let parts = PARTS.min(u64::from(cut.parts()));
        Budget {
            workers: worker.saturating_mul(workers as u64),
            parts: part_rows.saturating_mul(rows).saturating_mul(parts),
            // A stretch as rows, as columns, and encoded.
            writing: 3 * Stretch::ROW_BYTES * part_rows.min(writer::STRETCH_ROWS as u64 * 3 / 2) + 4 * nodes as u64,
            sources: SOURCE_BYTES.saturating_mul(cut.sources),
            inflow,
        }
    }

    /// What is held at the peak, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        [self.workers, self.parts, self.writing, self.sources, self.inflow]
            .into_iter()
            .fold(PROGRAM_BYTES, u64::saturating_add)
    }

    /// Refuses a budget of `memory_bytes` that is too small.
    pub(super) fn check(&self, memory_bytes: u64) -> Result<()> {
        if self.bytes() <= memory_bytes {
            return Ok(());
        }
        Err(Error::Memory {
            given: bytes(memory_bytes),
            needed: bytes(self.bytes()),
            parts: format!(
                "workers {}, parts that are open or being written {} (less with --rows-per-file), writing {}, sources \
                 {}, in-edges {}, program {}",
                bytes(self.workers),
                bytes(self.parts),
                bytes(self.writing),
                bytes(self.sources),
                bytes(self.inflow),
                bytes(PROGRAM_BYTES)
            ),
        })
    }
}

/// What the graph turned round takes: see [`Inflow::new`](walkprint_engine::graph::Inflow::new).
fn inflow_bytes(graph: &Graph) -> u64 {
    let edge = if graph.is_weighted() { 12 } else { 4 };
    edge * graph.edges() as u64 + 56 * graph.nodes() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smaller_files_and_fewer_workers_need_less() {
        let bytes = |rows, workers| {
            Budget::reckon(&Cut::new(1_000_000, 100, 500_000, rows), 50 << 20, 500_000, 0, workers).bytes()
        };
        assert!(bytes(Some(100_000), 2) < bytes(None, 2) && bytes(None, 2) < bytes(None, 3));
        let budget = Budget::reckon(&Cut::new(1_000_000, 100, 500_000, None), 50 << 20, 500_000, 1, 2);
        assert!(budget.check(budget.bytes()).is_ok());
        let refused = budget.check(budget.bytes() - 1).unwrap_err().to_string();
        assert!(refused.contains("--memory") && refused.contains("--rows-per-file"), "{refused}");
        assert!(
            Budget::reckon(&Cut::new(u64::MAX / 8, usize::MAX, usize::MAX, None), u64::MAX, 1 << 31, 0, 1024)
                .check(1)
                .is_err()
        );
    }
}
