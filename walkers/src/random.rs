//! Random numbers by coordinates: the same (key, source, step, node) gives the same number everywhere and always.
//!
//! A source's numbers are one SplitMix64 stream (Steele, Lea, Flood 2014) whose state is a hash of key and source; the
//! t-th number of the stream belongs to step t. A node's number at a step is the step's number plus a multiple of the
//! golden ratio: uniform on its own, and evenly spread over nodes whose numbers are close, which the node order makes
//! nodes that lie close. So groups that stand side by side do not clump.
//!
//! What must hold for unbiased visits is only that each node's number, by itself and given all earlier steps, is
//! uniform (see [`crate::kernel`]).

use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use walkprint_engine::ids::NodeId;

/// 2^64 divided by the golden ratio, rounded to odd: multiples of it are spread most evenly (Knuth, vol. 3, 6.4).
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The numbers of one source, step by step.
#[derive(Debug, Clone)]
pub struct SourceStream(SplitMix64);

impl SourceStream {
    /// The stream of a source under a key.
    #[must_use]
    pub fn new(rng_key: u64, source: NodeId) -> SourceStream {
        SourceStream(SplitMix64::seed_from_u64(SourceStream::state(rng_key, source)))
    }

    /// What the numbers of all steps follow from, in eight bytes: see [`at_step`].
    #[must_use]
    pub fn state(rng_key: u64, source: NodeId) -> u64 {
        let key = SplitMix64::seed_from_u64(rng_key).next_u64();
        SplitMix64::seed_from_u64(key ^ u64::from(source)).next_u64()
    }

    /// The number of the next step.
    #[must_use]
    pub fn next_step(&mut self) -> u64 {
        self.0.next_u64()
    }
}

/// The number of a step, counted from 0, of the source with this [state](SourceStream::state): what the stream gives then.
#[inline]
#[must_use]
pub fn at_step(state: u64, step: u64) -> u64 {
    // SplitMix64 counts up by its own odd number and hashes the count.
    SplitMix64::seed_from_u64(state.wrapping_add(step.wrapping_mul(GOLDEN))).next_u64()
}

/// A node's number at a step, given the step's number: uniform on [0, 1).
#[inline]
#[must_use]
pub fn at_node(step_number: u64, node: NodeId) -> f64 {
    let bits = step_number.wrapping_add(u64::from(node).wrapping_mul(GOLDEN));
    // Through a signed number: the processor has no instruction for unsigned ones.
    (bits >> 11).cast_signed() as f64 * (1.0 / (1u64 << 53) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_depends_on_every_coordinate() {
        let number = |key, source, step: usize, node| {
            let mut stream = SourceStream::new(key, source);
            let step_number = (0..=step).map(|_| stream.next_step()).last().unwrap();
            at_node(step_number, node).to_bits()
        };
        let numbers =
            [number(0, 0, 0, 0), number(1, 0, 0, 0), number(0, 1, 0, 0), number(0, 0, 1, 0), number(0, 0, 0, 1)];
        let distinct: std::collections::BTreeSet<u64> = numbers.into_iter().collect();
        assert_eq!(distinct.len(), numbers.len());
    }

    #[test]
    fn a_step_has_the_same_number_by_itself_and_in_the_stream() {
        let mut stream = SourceStream::new(7, 11);
        let state = SourceStream::state(7, 11);
        for step in 0..1_000 {
            assert_eq!(at_step(state, step), stream.next_step(), "step {step}");
        }
    }

    #[test]
    fn neighbouring_nodes_have_evenly_spread_numbers() {
        // Any n consecutive multiples of the golden ratio leave no gap wider than (golden ratio + 1) / n.
        let step_number = SourceStream::new(7, 11).next_step();
        let mut numbers: Vec<f64> = (100..164).map(|node| at_node(step_number, node)).collect();
        numbers.sort_by(f64::total_cmp);
        let widest = numbers.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max);
        assert!(widest < 2.618_034 / 64.0, "{widest}");
    }
}
