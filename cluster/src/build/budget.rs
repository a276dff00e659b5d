//! What a build will hold in memory, reckoned before it starts, and what it does differently when that must be less.

use walkprint_engine::graph::Graph;
use walkprint_engine::ids::NodeId;
use walkprint_walkers::tally;

use super::{BuildOptions, writer};
use crate::error::{Error, Result};

/// The program itself, its threads and buffers.
const PROGRAM_BYTES: u64 = 48 << 20;
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

impl Budget {
    /// Plans for a graph and options.
    ///
    /// The peak is the sum of the graph (mapped pages count; while it is copied it is there twice), the kernel's cells
    /// of every worker for the heaviest source, and the packed fingerprints of the pipelines that are open, queued and
    /// being written.
    pub(super) fn new(graph: &Graph, options: &BuildOptions) -> Result<Budget> {
        let plan = &options.plan;
        let nodes = NodeId::try_from(graph.nodes()).expect("the graph's builder bounds the number of nodes");
        let heaviest = (0..nodes).map(|node| plan.visits_of(graph.degree(node))).fold(0.0, f64::max);
        let pipelines = plan.pipelines(graph);
        let visits = |first, end| (first..end).map(|node| plan.visits_of(graph.degree(node))).sum::<f64>();
        let pipeline = pipelines.iter().map(|pipeline| visits(pipeline.first, pipeline.end)).fold(0.0, f64::max);

        let graph_bytes = graph.walk_rows().bytes();
        let workers = options.workers as u64 * tally::walker_bytes(heaviest, graph.nodes());
        // Two pipelines are open around the dealer's place, one more copy while a segment is put together, one waits
        // and one is being written.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a size in bytes")]
        let segments = (4 + writer::WAITING as u64) * (pipeline * BYTES_A_VISIT) as u64;
        let least = PROGRAM_BYTES + graph_bytes + workers + segments;
        if options.memory_bytes < least {
            return Err(Error::Memory {
                given: bytes(options.memory_bytes),
                needed: bytes(least),
                parts: format!(
                    "graph {}, {} workers {}, open pipelines {}, program {}",
                    bytes(graph_bytes),
                    options.workers,
                    bytes(workers),
                    bytes(segments),
                    bytes(PROGRAM_BYTES)
                ),
            });
        }
        let copy_graph = least + graph_bytes <= options.memory_bytes;
        let bytes = if copy_graph { least + graph_bytes } else { least };
        Ok(Budget { bytes, copy_graph, credits: CREDITS })
    }
}

/// Bytes for people, rounded up so that what is printed is enough.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    for (unit, size) in UNITS {
        if size <= count {
            let tenths = (u128::from(count) * 10).div_ceil(u128::from(size));
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
    }
    format!("{count} bytes")
}
