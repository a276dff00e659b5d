//! The cut into blocks: what is under way together.

use std::ops::Range;

use walkprint_engine::ids::NodeId;
use walkprint_walkers::round::MOST_LANES;

use crate::build::deal::Task;

/// Consecutive sources whose walks are under way together. A block may hold several pipelines or a part of one; it depends
/// on the memory, and leaves no trace in what is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Block {
    /// The first source.
    pub(crate) first: NodeId,
    /// One past the last.
    pub(crate) end: NodeId,
    /// Its tasks, by their places in the list.
    pub(crate) tasks: Range<usize>,
}

/// Cuts tasks, in order, into blocks of at most `visits` expected visits, or of one task where that has more.
pub(super) fn blocks(tasks: &[(Task, f64)], visits: f64) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut held = 0.0;
    for (number, (task, own)) in tasks.iter().enumerate() {
        // A task has fewer than 2^20 sources, because each has at least one visit.
        match blocks.last_mut() {
            Some(block) if block.end == task.first && held + own <= visits && task.end - block.first <= MOST_LANES => {
                block.end = task.end;
                block.tasks.end = number + 1;
                held += own;
            }
            _ => {
                blocks.push(Block { first: task.first, end: task.end, tasks: number..number + 1 });
                held = *own;
            }
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_hold_consecutive_tasks_up_to_their_visits() {
        let task = |first, end| (Task { worker: 0, pipeline: 0, first, end }, 10.0);
        let tasks = [task(0, 5), task(5, 9), task(9, 10), task(20, 25), task(25, 26)];
        let cut = |visits| blocks(&tasks, visits).iter().map(|block| block.tasks.clone()).collect::<Vec<_>>();
        assert_eq!(cut(20.0), [0..2, 2..3, 3..5], "a gap ends a block");
        assert_eq!(cut(1.0), [0..1, 1..2, 2..3, 3..4, 4..5], "a task is never cut");
        assert_eq!(cut(1e9), [0..3, 3..5]);
    }
}
