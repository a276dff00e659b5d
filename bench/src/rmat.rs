//! The generators behind `rmat:SCALE:EDGES_PER_NODE[:weighted]`, `rmat-nodes:NODES:EDGES[:weighted]` and
//! `hub:NODES:EDGES[:weighted]`: R-MAT (Chakrabarti, Zhan & Faloutsos, SDM 2004, section 3) with the quadrant shares of
//! Graph500.
//!
//! In [`rmat`] there are 2^SCALE nodes, and EDGES_PER_NODE times as many edges. In each of SCALE rounds an edge falls into
//! one quarter of what is left of the matrix, with probability 0.57, 0.19, 0.19 or 0.05. So few nodes get most edges, and
//! many none. Parallel edges add up when the graph is built.
//!
//! **An edge depends on the key and its number only**, so the same edges come out however the work is dealt.
//!
//! [`rmat_nodes`] takes the same draws at the smallest scale that has room for NODES, leaves out those that fall outside
//! or repeat an earlier one, and ends with an edge to a random node from every node that would be dangling: NODES nodes
//! and EDGES different edges exactly, for comparisons in which dangling nodes are to play no part.
//!
//! [`hub`] takes nine tenths of its edges from that, and gives one node the rest, half of them out and half of them in.

use std::collections::HashSet;

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
/// Draws for each edge that is wanted, after which [`rmat_nodes`] gives up: repeats only, or next to.
const DRAWS_AN_EDGE: u64 = 16;

/// The edges of a generated graph; ids are the integers below 2^scale.
///
/// # Errors
/// When the list would not fit into the machine's memory.
pub(crate) fn rmat(key: u64, scale: u32, edges_per_node: u32, weighted: bool) -> Result<EdgeList> {
    let edges = (1u64 << scale) * u64::from(edges_per_node);
    let mut list = empty(edges, 0..1i64 << scale, weighted)?;
    let key = SplitMix64::seed_from_u64(key).next_u64();
    for number in 0..edges {
        let mut numbers = numbers(key, number);
        let (source, target) = draw(&mut numbers, scale);
        push(&mut list, source, target, &mut numbers);
    }
    Ok(list)
}

/// The edges of a generated graph of any size without dangling nodes and without parallel edges.
///
/// # Errors
/// When there are fewer edges than nodes, when R-MAT does not give that many different edges in sixteen times as many
/// draws, or when the list would not fit into the machine's memory.
pub(crate) fn rmat_nodes(key: u64, nodes: u32, edges: u64, weighted: bool) -> Result<EdgeList> {
    if edges < u64::from(nodes) {
        bail!("{nodes} nodes need at least as many edges, so that none is dangling, got {edges}");
    }
    let mut list = empty(edges, 0..i64::from(nodes), weighted)?;
    let scale = nodes.next_power_of_two().trailing_zeros();
    let key = SplitMix64::seed_from_u64(key).next_u64();
    let mut seen = HashSet::with_capacity(list.sources.capacity());
    let mut has_edge = vec![false; nodes as usize];
    let (mut dangling, mut number) = (u64::from(nodes), 0);
    // Every new edge brings the total nearer by one, or leaves it, when its source was dangling before.
    while list.len() as u64 + dangling < edges {
        if edges.saturating_mul(DRAWS_AN_EDGE) <= number {
            bail!("R-MAT has not {edges} different edges for {nodes} nodes within reach: ask for fewer edges");
        }
        let mut numbers = numbers(key, number);
        let (source, target) = draw(&mut numbers, scale);
        number += 1;
        if nodes <= source.max(target) || !seen.insert(u64::from(source) << 32 | u64::from(target)) {
            continue;
        }
        dangling -= u64::from(!std::mem::replace(&mut has_edge[source as usize], true));
        push(&mut list, source, target, &mut numbers);
    }
    for source in (0..nodes).filter(|&node| !has_edge[node as usize]) {
        // Draws have numbers far below this.
        let mut numbers = numbers(key, u64::MAX - u64::from(source));
        let target = u32::try_from(numbers.next_u64() % u64::from(nodes))?;
        push(&mut list, source, target, &mut numbers);
    }
    Ok(list)
}

/// The same number of nodes and edges, a tenth of which one node has, half of them out and half of them in. It is a
/// node in the middle of the numbers, which R-MAT gives few edges.
///
/// # Errors
/// As [`rmat_nodes`]; when there are not enough nodes for the hub's edges.
pub(crate) fn hub(key: u64, nodes: u32, edges: u64, weighted: bool) -> Result<EdgeList> {
    let each = edges / 20;
    // A fifth of all nodes are left over, so that free ones are found soon.
    if u64::from(nodes) < each + each / 4 {
        bail!("a hub has {each} edges out and as many in, too many for {nodes} nodes: ask for at most 16 edges a node");
    }
    let mut list = rmat_nodes(key, nodes, edges - 2 * each, weighted)?;
    let hub = nodes / 3;
    let ends = list.sources.iter().zip(&list.targets);
    let mut seen: HashSet<(u32, u32)> = ends
        .filter(|(source, target)| [**source, **target].contains(&hub))
        .map(|(&source, &target)| (source, target))
        .collect();
    let key = SplitMix64::seed_from_u64(!key).next_u64();
    for is_out in [true, false] {
        let (mut left, mut number) = (each, u64::from(is_out) << 63);
        while left != 0 {
            let mut numbers = numbers(key, number);
            let other = u32::try_from(numbers.next_u64() % u64::from(nodes))?;
            let (source, target) = if is_out { (hub, other) } else { (other, hub) };
            number += 1;
            if seen.insert((source, target)) {
                left -= 1;
                push(&mut list, source, target, &mut numbers);
            }
        }
    }
    Ok(list)
}

/// Weights for so many edges, as generated ones have them.
pub(crate) fn weights(key: u64, edges: usize) -> Vec<f64> {
    let key = SplitMix64::seed_from_u64(key).next_u64();
    (0..edges as u64).map(|edge| weight(&mut numbers(key, edge))).collect()
}

fn empty(edges: u64, ids: std::ops::Range<i64>, weighted: bool) -> Result<EdgeList> {
    let kib = edges.saturating_mul(if weighted { 16 } else { 8 }) >> 10;
    if proc_kib("/proc/meminfo", "MemTotal").is_some_and(|memory| memory < kib) {
        bail!("a list of {edges} edges takes {} GiB, more than this machine has", kib >> 20);
    }
    let room = usize::try_from(edges).context("more edges than this machine can count")?;
    let weights = weighted.then(|| Vec::with_capacity(room));
    let (sources, targets) = (Vec::with_capacity(room), Vec::with_capacity(room));
    let ids = ExternalIds::Integers(ids.collect());
    Ok(EdgeList { ids, sources, targets, weights, kinds: KindLists::default() })
}

/// The random numbers of one edge. The stream's first number hashes the edge's number; streams of neighbouring edges
/// would overlap otherwise.
fn numbers(key: u64, edge: u64) -> SplitMix64 {
    SplitMix64::seed_from_u64(SplitMix64::seed_from_u64(key ^ edge).next_u64())
}

fn draw(numbers: &mut SplitMix64, scale: u32) -> (u32, u32) {
    let (mut source, mut target) = (0u32, 0u32);
    for _ in 0..scale {
        let point = unit(numbers.next_u64());
        let quarter = QUARTERS.iter().map(|&end| u32::from(end <= point)).sum::<u32>();
        source = source << 1 | quarter >> 1;
        target = target << 1 | quarter & 1;
    }
    (source, target)
}

fn push(list: &mut EdgeList, source: u32, target: u32, numbers: &mut SplitMix64) {
    list.sources.push(source);
    list.targets.push(target);
    if let Some(weights) = &mut list.weights {
        weights.push(weight(numbers));
    }
}

fn weight(numbers: &mut SplitMix64) -> f64 {
    1.0 + (unit(numbers.next_u64()) * f64::from(LARGEST_WEIGHT)).floor()
}

/// A number in [0, 1) from 64 random bits.
fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

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
        let weights = [edges.weights.unwrap(), weights(0, 16 << 12)].concat();
        assert!(weights.iter().all(|weight| (1.0..=100.0).contains(weight) && weight.fract() == 0.0));
        let mean = weights.iter().sum::<f64>() / weights.len() as f64;
        assert!((mean - 50.5).abs() < 5.0 * 28.9 / 362.0, "{mean}");
    }

    #[test]
    fn any_number_of_nodes_and_edges_without_dangling_nodes_or_repeats() {
        for (nodes, edges) in [(1000, 1000), (1000, 5000), (1024, 20_000), (1025, 20_000), (1, 1)] {
            let list = rmat_nodes(7, nodes, edges, true).unwrap();
            assert_eq!((list.len() as u64, list.ids.len()), (edges, nodes as usize));
            let pairs: BTreeSet<(u32, u32)> = list.sources.iter().copied().zip(list.targets.iter().copied()).collect();
            assert_eq!(pairs.len() as u64, edges, "no edge twice");
            let sources: BTreeSet<u32> = list.sources.iter().copied().collect();
            assert!(sources.into_iter().eq(0..nodes), "every node has an out-edge");
            assert!(list.targets.iter().all(|&target| target < nodes));
            assert_eq!(list, rmat_nodes(7, nodes, edges, true).unwrap());
        }
        let (one, other) = (rmat_nodes(7, 1000, 5000, false).unwrap(), rmat_nodes(8, 1000, 5000, false).unwrap());
        assert_ne!(one.targets, other.targets);
        let first = one.sources.iter().filter(|&&source| source == 0).count();
        assert!(100 < first, "skewed as R-MAT is: node 0 has {first} of 5000 out-edges, the mean is 5");
    }

    #[test]
    fn a_hub_has_a_tenth_of_all_edges() {
        let list = hub(3, 2000, 20_000, true).unwrap();
        assert_eq!((list.len(), list.ids.len()), (20_000, 2000));
        let pairs: BTreeSet<(u32, u32)> = list.sources.iter().copied().zip(list.targets.iter().copied()).collect();
        assert_eq!(pairs.len(), 20_000, "no edge twice");
        let with = |ends: &[u32]| ends.iter().filter(|&&end| end == 666).count();
        let (out, into) = (with(&list.sources), with(&list.targets));
        assert!((1000..1100).contains(&out) && (1000..1100).contains(&into), "{out} out, {into} in");
        assert_eq!(list, hub(3, 2000, 20_000, true).unwrap());
    }

    #[test]
    fn sizes_that_cannot_be_are_refused() {
        assert!(rmat_nodes(0, 10, 9, false).unwrap_err().to_string().contains("at least"));
        assert!(rmat_nodes(0, 10, 101, false).unwrap_err().to_string().contains("fewer"));
        assert!(hub(0, 100, 2000, false).unwrap_err().to_string().contains("16 edges a node"));
    }
}
