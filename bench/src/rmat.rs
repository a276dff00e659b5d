//! The generator behind `rmat:SCALE:EDGES_PER_NODE[:weighted]`: R-MAT (Chakrabarti, Zhan & Faloutsos, SDM 2004,
//! section 3) with the quadrant shares of Graph500.
//!
//! There are 2^SCALE nodes, and EDGES_PER_NODE times as many edges. In each of SCALE rounds an edge falls into one
//! quarter of what is left of the matrix, with probability 0.57, 0.19, 0.19 or 0.05. So few nodes get most edges, and
//! many none. Parallel edges add up when the graph is built.
//!
//! **An edge depends on the key and its number only**, so the same edges come out however the work is dealt.

use anyhow::{Context, Result, bail};
use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use walkprint_engine::edges::EdgeList;
use walkprint_engine::ids::ExternalIds;
use walkprint_engine::kinds::KindLists;

use crate::machine::proc_kib;

/// Up to these shares of the matrix lie the first, the first two, and the first three quarters.
const QUARTERS: [f64; 3] = [0.57, 0.57 + 0.19, 0.57 + 0.19 + 0.19];
/// Generated weights are whole numbers from 1 to this.
const LARGEST_WEIGHT: u32 = 100;

/// The edges of a generated graph; ids are the integers below 2^scale.
///
/// # Errors
/// When the list would not fit into the machine's memory.
pub(crate) fn rmat(key: u64, scale: u32, edges_per_node: u32, weighted: bool) -> Result<EdgeList> {
    let edges = (1u64 << scale) * u64::from(edges_per_node);
    let kib = edges.saturating_mul(if weighted { 16 } else { 8 }) >> 10;
    if proc_kib("/proc/meminfo", "MemTotal").is_some_and(|memory| memory < kib) {
        bail!("a list of {edges} edges takes {} GiB, more than this machine has", kib >> 20);
    }
    let room = usize::try_from(edges).context("more edges than this machine can count")?;
    let key = SplitMix64::seed_from_u64(key).next_u64();
    let (mut sources, mut targets) = (Vec::with_capacity(room), Vec::with_capacity(room));
    let mut weights = weighted.then(|| Vec::with_capacity(room));
    for edge in 0..edges {
        // The stream's first number hashes the edge's number; streams of neighbouring edges would overlap otherwise.
        let state = SplitMix64::seed_from_u64(key ^ edge).next_u64();
        let mut numbers = SplitMix64::seed_from_u64(state);
        let (mut source, mut target) = (0u32, 0u32);
        for _ in 0..scale {
            let point = unit(numbers.next_u64());
            let quarter = QUARTERS.iter().map(|&end| u32::from(end <= point)).sum::<u32>();
            source = source << 1 | quarter >> 1;
            target = target << 1 | quarter & 1;
        }
        sources.push(source);
        targets.push(target);
        if let Some(weights) = &mut weights {
            weights.push(1.0 + (unit(numbers.next_u64()) * f64::from(LARGEST_WEIGHT)).floor());
        }
    }
    let ids = ExternalIds::Integers((0..1i64 << scale).collect());
    Ok(EdgeList { ids, sources, targets, weights, kinds: KindLists::default() })
}

/// A number in [0, 1) from 64 random bits.
fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_key_gives_the_same_edges_and_another_key_others() {
        let edges = rmat(1, 8, 4, true).unwrap();
        assert_eq!(edges, rmat(1, 8, 4, true).unwrap());
        assert_ne!(edges.sources, rmat(2, 8, 4, true).unwrap().sources);
        // By number: a longer list begins with the shorter one.
        assert_eq!(edges.targets, rmat(1, 8, 8, true).unwrap().targets[..edges.len()]);
    }

    #[test]
    fn degrees_are_skewed_and_weights_are_in_range() {
        let edges = rmat(0, 12, 16, true).unwrap();
        assert_eq!(edges.len(), 16 << 12);
        // An edge starts in the upper half of the rows with probability 0.57 + 0.19 each round, and ends in the left half
        // of the columns with the same: node 0 expects 65536 * 0.76^12, about 2400 of each. The mean is 16.
        let expected = 65536.0 * 0.76f64.powi(12);
        for ends in [&edges.sources, &edges.targets] {
            let mut degrees = vec![0u32; 1 << 12];
            ends.iter().for_each(|&end| degrees[end as usize] += 1);
            let largest = f64::from(degrees[0]);
            assert!((largest - expected).abs() < 5.0 * expected.sqrt(), "{largest} {expected}");
            assert!(degrees.iter().filter(|&&degree| degree == 0).count() > 400);
        }
        let weights = edges.weights.unwrap();
        assert!(weights.iter().all(|weight| (1.0..=100.0).contains(weight) && weight.fract() == 0.0));
        let mean = weights.iter().sum::<f64>() / weights.len() as f64;
        assert!((mean - 50.5).abs() < 5.0 * 28.9 / 256.0, "{mean}");
    }
}
