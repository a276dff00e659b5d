//! The truth: `q = a * s * (I - (1 - a) P)^-1` by power iteration, several sources at a time.
//!
//! Shares no code with the engine's `exact` (which pushes), so that each may check the other. One pass over the edges
//! moves the mass of all lanes, because reading the edges is what it costs.

use anyhow::Result;
use walkprint_engine::graph::Graph;
use walkprint_engine::ids::NodeId;

use crate::graphs;

/// Sources that are solved together: as many doubles as a cache line holds.
pub(crate) const LANES: usize = 8;
/// Mass that may be left unmoved, which bounds the L1 error.
pub(crate) const RESIDUAL: f64 = 1e-13;

/// The cores `q` of up to [`LANES`] sources, one dense vector each.
///
/// Cost: `ln(1 / residual) / restart_prob` passes over the edges. Memory: 192 bytes a node.
///
/// # Errors
/// When a row of the graph is damaged.
///
/// # Panics
/// When there are more sources than lanes.
pub(crate) fn cores(graph: &Graph, restart_prob: f64, sources: &[NodeId]) -> Result<Vec<Vec<f64>>> {
    let seeds: Vec<[(NodeId, f64); 1]> = sources.iter().map(|&source| [(source, 1.0)]).collect();
    cores_of(graph, restart_prob, &seeds)
}

/// The cores of up to [`LANES`] weighted sets of seeds, the weights of each summing to 1. Otherwise as [`cores`].
///
/// # Errors
/// When a row of the graph is damaged.
///
/// # Panics
/// When there are more sets than lanes.
pub(crate) fn cores_of<S: AsRef<[(NodeId, f64)]>>(
    graph: &Graph,
    restart_prob: f64,
    seeds: &[S],
) -> Result<Vec<Vec<f64>>> {
    assert!(seeds.len() <= LANES, "one lane a set of seeds");
    let mut mass = vec![[0.0; LANES]; graph.nodes()];
    let (mut next, mut core) = (mass.clone(), mass.clone());
    for (lane, seeds) in seeds.iter().enumerate() {
        for &(node, weight) in seeds.as_ref() {
            mass[node as usize][lane] += weight;
        }
    }
    let mut left = [1.0; LANES];
    while left.iter().any(|&left| RESIDUAL < left) {
        left = [0.0; LANES];
        for node in graphs::nodes(graph) {
            let moving = std::mem::take(&mut mass[node as usize]);
            if moving == [0.0; LANES] {
                continue;
            }
            for lane in 0..LANES {
                core[node as usize][lane] += restart_prob * moving[lane];
            }
            let row = graph.row(node)?;
            if row.degree() == 0 {
                continue;
            }
            row.spread(1.0 - restart_prob, |target, share| {
                let next = &mut next[target as usize];
                for lane in 0..LANES {
                    next[lane] += share * moving[lane];
                }
            });
            for lane in 0..LANES {
                left[lane] += (1.0 - restart_prob) * moving[lane];
            }
        }
        std::mem::swap(&mut mass, &mut next);
    }
    Ok((0..seeds.len()).map(|lane| core.iter().map(|lanes| lanes[lane]).collect()).collect())
}

/// The scores of sets of seeds where walks go on at the seeds when they meet a dangling node: the cores, each divided by
/// its sum.
///
/// # Errors
/// When a row of the graph is damaged.
pub(crate) fn restart_scores<S: AsRef<[(NodeId, f64)]>>(
    graph: &Graph,
    restart_prob: f64,
    seeds: &[S],
) -> Result<Vec<Vec<f64>>> {
    let mut all = Vec::with_capacity(seeds.len());
    for seeds in seeds.chunks(LANES) {
        for mut core in cores_of(graph, restart_prob, seeds)? {
            let sum: f64 = core.iter().sum();
            core.iter_mut().for_each(|score| *score /= sum);
            all.push(core);
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use walkprint_engine::edges::EdgeList;
    use walkprint_engine::graph::{NodeOrder, build};
    use walkprint_engine::ids::ExternalIds;

    use super::*;

    /// 0 goes to 1 (weight 3) and 2 (weight 1), 1 goes back to 0, 2 is dangling: solved by hand.
    #[test]
    fn a_graph_of_three_nodes_has_its_closed_form() {
        let edges = EdgeList {
            ids: ExternalIds::Integers(vec![0, 1, 2]),
            sources: vec![0, 0, 1],
            targets: vec![1, 2, 0],
            weights: Some(vec![3.0, 1.0, 1.0]),
            kinds: Default::default(),
        };
        let graph = build(edges, NodeOrder::Id).unwrap().graph;
        for a in [0.05, 0.15, 0.5, 1.0] {
            let c = 1.0 - a;
            let loops = 1.0 / (1.0 - c * c * 0.75);
            let expected = [[a * loops, a * c * 0.75 * loops, a * c * 0.25 * loops], [0.0, 0.0, a]];
            let got = cores(&graph, a, &[0, 2]).unwrap();
            for (got, expected) in got.iter().zip(expected) {
                got.iter().zip(expected).for_each(|(got, expected)| assert!((got - expected).abs() < 1e-12));
            }
            // Linear in the seeds; and the scores sum to 1.
            let mixed = restart_scores(&graph, a, &[[(0, 0.25), (2, 0.75)]]).unwrap();
            let sum = 0.25 * expected[0].iter().sum::<f64>() + 0.75 * a;
            for (mixed, (first, second)) in mixed[0].iter().zip(got[0].iter().zip(&got[1])) {
                assert!((mixed - (0.25 * first + 0.75 * second) / sum).abs() < 1e-12);
            }
        }
    }
}
