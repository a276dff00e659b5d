//! What a build would take: the memory by reckoning, disk and time by walking a sample of the sources.

use std::time::{Duration, Instant};

use walkprint_engine::ids::NodeId;
use walkprint_engine::plan::Plan;
use walkprint_engine::store::Store;
use walkprint_walkers::kernel::Walkable;
use walkprint_walkers::tally::Walker;

use super::big_moves;
use super::budget::Budget;
use crate::error::Result;

/// How long the sample may take.
const SAMPLE_TIME: Duration = Duration::from_millis(500);
/// Sources that are walked together.
const STRETCH: u32 = 64;

/// What an index would take.
#[derive(Debug, Clone)]
pub struct Estimate {
    /// Walks of all sources.
    pub walks: u64,
    /// Pipelines.
    pub pipelines: usize,
    /// Sources that were walked for this estimate.
    pub sampled_sources: u64,
    /// Moves.
    pub steps: u64,
    /// Stored visits.
    pub entries: u64,
    /// Bytes on the disk.
    pub bytes: u64,
    /// Memory with the graph in huge pages.
    pub memory_bytes: u64,
    /// The smallest `--memory` that works.
    pub least_memory_bytes: u64,
    /// Time with the given number of workers, as fast as they are now.
    pub time: Duration,
}

/// Estimates a build. Cost: the graph is checked once, then half a second of walking.
///
/// # Errors
/// When the plan is out of range or the graph is damaged.
pub fn estimate(store: &Store, plan: &Plan, workers: usize) -> Result<Estimate> {
    plan.check()?;
    let graph = store.graph()?;
    graph.verify_walk_rows()?;
    let nodes = NodeId::try_from(graph.nodes()).expect("the graph's builder bounds the number of nodes");
    let rows = graph.walk_rows().checked()?;
    let paths = big_moves(&graph, plan)?;
    let least = Budget::least(&graph, plan, workers, paths.as_ref());
    let (walkable, mut walker) = (Walkable::new(&rows).with_paths(paths.as_ref()), Walker::default());

    // Stretches at multiples of the golden ratio cover the node order evenly, however many there is time for.
    let began = Instant::now();
    let (mut sources, mut walks, mut steps, mut entries, mut bytes) = (0u64, 0u64, 0u64, 0u64, 0u64);
    let stretches = nodes.div_ceil(STRETCH);
    for number in 0..stretches {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place below the stretches")]
        let at = ((f64::from(number) * 0.618_033_988_749_894_9).fract() * f64::from(stretches)) as u32;
        let (first, end) = (at * STRETCH, ((at + 1) * STRETCH).min(nodes));
        let packed = walker.fingerprints(walkable, plan, first, end);
        sources += u64::from(end - first);
        walks += (first..end).map(|node| u64::from(plan.walks_of(graph.degree(node)))).sum::<u64>();
        steps += packed.steps;
        entries += packed.entries;
        bytes += packed.bytes.len() as u64;
        if SAMPLE_TIME < began.elapsed() {
            break;
        }
    }
    let all_walks: u64 = (0..nodes).map(|node| u64::from(plan.walks_of(graph.degree(node)))).sum();
    let scale = all_walks as f64 / walks.max(1) as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an estimate of a count")]
    let scaled = |count: u64| (count as f64 * scale).round() as u64;
    Ok(Estimate {
        walks: all_walks,
        pipelines: plan.pipelines(&graph).len(),
        sampled_sources: sources,
        steps: scaled(steps),
        entries: scaled(entries),
        bytes: scaled(bytes) + 8 * u64::from(nodes),
        memory_bytes: least.total().saturating_add(least.graph),
        least_memory_bytes: least.total(),
        time: began.elapsed().mul_f64(scale / workers as f64),
    })
}
