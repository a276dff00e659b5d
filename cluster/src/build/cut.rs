//! What follows from the out-degrees of all nodes and the plan: pipelines, tasks, and what it takes to spread the graph.
//!
//! Process 0 finds it and tells the others, which need not see the rows of other shards for it.

use serde::{Deserialize, Serialize};
use walkprint_engine::graph::CHUNK;
use walkprint_engine::ids::NodeId;
use walkprint_engine::plan::{Pipeline, Plan};

use super::deal::Task;

/// Expected visits of one task: some ten milliseconds of walking, so that handing out costs nothing beside it and the
/// last tasks of a build end together.
const TASK_VISITS: f64 = 200e3;

/// The cut of a build.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Cut {
    /// Nodes of the graph.
    pub(super) nodes: NodeId,
    /// Its edges.
    pub(super) edges: u64,
    /// All pipelines.
    pub(super) pipelines: Vec<Pipeline>,
    /// The tasks of all pipelines, in order.
    pub(super) tasks: Vec<Task>,
    /// Their expected visits.
    pub(super) task_visits: Vec<f64>,
    /// Edges of each chunk of nodes, long rows left out.
    pub(super) chunk_edges: Vec<u64>,
    /// Nodes of more edges than a row may have that one worker holds, and their out-degrees.
    pub(super) long: Vec<(NodeId, u32)>,
}

impl Cut {
    /// The cut of a graph with these out-degrees. Cost: a few passes over them.
    pub(super) fn new(plan: &Plan, nodes: NodeId, longest_row: u64, degree: impl Fn(NodeId) -> u64) -> Cut {
        let pipelines = plan.pipelines_of(nodes, &degree);
        let (mut tasks, mut task_visits) = (Vec::new(), Vec::new());
        for &Pipeline { number, first, end } in &pipelines {
            let (mut begin, mut visits) = (first, 0.0);
            for source in first..end {
                visits += plan.visits_of(degree(source));
                if TASK_VISITS <= visits || source + 1 == end {
                    tasks.push(Task { worker: 0, pipeline: number, first: begin, end: source + 1 });
                    task_visits.push(visits);
                    (begin, visits) = (source + 1, 0.0);
                }
            }
        }
        // A node with big moves is looked up whole.
        let longest_row = longest_row.max(plan.big_moves.into());
        let (mut edges, mut long) = (0, Vec::new());
        let mut chunk_edges = vec![0; nodes.div_ceil(CHUNK) as usize];
        for node in 0..nodes {
            let own = degree(node);
            edges += own;
            match u32::try_from(own) {
                Ok(own) if longest_row < u64::from(own) => long.push((node, own)),
                _ => chunk_edges[(node / CHUNK) as usize] += own,
            }
        }
        Cut { nodes, edges, pipelines, tasks, task_visits, chunk_edges, long }
    }

    /// The tasks of these pipelines, ascending, with their expected visits.
    pub(super) fn open(&self, pipelines: &[u32]) -> Vec<(Task, f64)> {
        let all = self.tasks.iter().copied().zip(self.task_visits.iter().copied());
        all.filter(|(task, _)| pipelines.binary_search(&task.pipeline).is_ok()).collect()
    }
}
