//! The cut of a sharded build: tasks are what is packed together, blocks are what is under way together.

use std::ops::Range;

use walkprint_engine::graph::Graph;
use walkprint_engine::ids::NodeId;
use walkprint_engine::plan::Plan;
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
pub(super) fn blocks(graph: &Graph, plan: &Plan, tasks: &[Task], visits: f64) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut held = 0.0;
    for (number, task) in tasks.iter().enumerate() {
        let own: f64 = (task.first..task.end).map(|source| plan.visits_of(graph.degree(source))).sum();
        match blocks.last_mut() {
            Some(block) if block.end == task.first && held + own <= visits && task.end - block.first <= MOST_LANES => {
                block.end = task.end;
                block.tasks.end = number + 1;
                held += own;
            }
            _ => {
                blocks.push(Block { first: task.first, end: task.end, tasks: number..number + 1 });
                held = own;
            }
        }
    }
    blocks
}
