//! The textbook: independent walks, one at a time, one step after the other. What the [kernel](crate::kernel) is
//! measured against, in speed and in variance, and checked against in tests. It shares the graph with the kernel and
//! nothing else.

use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use walkprint_engine::ids::NodeId;

use crate::kernel::Walkable;

/// Sends `walks` independent walks from a source and calls `visit` for every node touched, the source included.
/// Returns the number of moves. Cost: two dependent cache misses a move.
pub fn walk_singly(
    graph: Walkable<'_>,
    restart_prob: f64,
    source: NodeId,
    walks: u32,
    generator: &mut SplitMix64,
    mut visit: impl FnMut(NodeId),
) -> u64 {
    let mut moves = 0;
    for _ in 0..walks {
        let mut node = source;
        visit(node);
        while restart_prob <= unit(generator.next_u64()) {
            let Some(next) = graph.neighbour(node, generator.next_u64()) else { break };
            node = next;
            visit(node);
            moves += 1;
        }
    }
    moves
}

/// A generator for [`walk_singly`].
#[must_use]
pub fn generator(key: u64) -> SplitMix64 {
    SplitMix64::seed_from_u64(key)
}

fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
}
