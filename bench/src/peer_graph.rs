//! The graph as peers get it, and the processes that they run in.

use std::fmt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use clap::ValueEnum;
use walkprint_engine::graph::Graph;
use walkprint_engine::labels::Labels;

use crate::contenders::System;
use crate::graphs::nodes;
use crate::protocol::Process;

/// What peers run.
const WORKER: &str = include_str!("../peers/worker.py");

/// Which numbers nodes have in the peers' graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PeerOrder {
    /// By id, as their users number them
    Given,
    /// As Walkprint numbers them, by `--order`: better for caches
    Ours,
}

impl fmt::Display for PeerOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PeerOrder::Given => "given",
            PeerOrder::Ours => "ours",
        })
    }
}

impl PeerOrder {
    /// The number that each node has in the peers' graph.
    ///
    /// # Errors
    /// When labels are damaged.
    pub(crate) fn places(self, graph: &Graph, labels: &Labels) -> Result<Vec<u32>> {
        match self {
            PeerOrder::Ours => Ok(nodes(graph).collect()),
            PeerOrder::Given => nodes(graph).map(|node| Ok(labels.rank(node)?)).collect(),
        }
    }
}

/// Writes the graph as peers read it: rows in the order of their numbers, targets ascending.
///
/// # Errors
/// When the graph is damaged or the disk refuses.
pub(crate) fn export(graph: &Graph, places: &[u32], directory: &Path) -> Result<()> {
    let mut node_at = vec![0u32; places.len()];
    nodes(graph).zip(places).for_each(|(node, &place)| node_at[place as usize] = node);
    let (mut offsets, mut targets, mut weights) = (0u64.to_le_bytes().to_vec(), Vec::new(), Vec::new());
    let mut end = 0u64;
    for &node in &node_at {
        let row = graph.row(node)?;
        let mut edges: Vec<(u32, f64)> = row
            .targets
            .iter()
            .enumerate()
            .map(|(position, &target)| (places[target as usize], row.weight(position)))
            .collect();
        edges.sort_unstable_by_key(|&(target, _)| target);
        end += edges.len() as u64;
        offsets.extend(end.to_le_bytes());
        for (target, weight) in edges {
            targets.extend(target.to_le_bytes());
            weights.extend(weight.to_le_bytes());
        }
    }
    let write = |name: &str, bytes: &[u8]| {
        let path = directory.join(name);
        std::fs::write(&path, bytes).with_context(|| format!("{}: could not write", path.display()))
    };
    write("offsets.u64", &offsets)?;
    write("targets.u32", &targets)?;
    if graph.is_weighted() { write("weights.f64", &weights) } else { Ok(()) }
}

/// Starts a peer on the graph that [`export`] wrote.
///
/// # Errors
/// When it does not start or cannot take the graph.
pub(crate) fn start(system: System, python: &Path, directory: &Path) -> Result<Process> {
    let worker = directory.join("worker.py");
    std::fs::write(&worker, WORKER).with_context(|| format!("{}: could not write", worker.display()))?;
    let mut command = Command::new(python);
    command.arg(&worker).arg(system.name()).arg(directory);
    Process::start(system.name(), command)
}

#[cfg(test)]
mod tests {
    use walkprint_engine::graph::{NodeOrder, build};

    use super::*;
    use crate::rmat::rmat_nodes;

    #[test]
    fn peers_get_the_same_edges_under_their_own_numbers() {
        let graph = build(rmat_nodes(5, 50, 300, true).unwrap(), NodeOrder::Id).unwrap().graph;
        let places: Vec<u32> = (0..50).rev().collect();
        let directory = tempfile::tempdir().unwrap();
        export(&graph, &places, directory.path()).unwrap();
        let read = |name: &str| std::fs::read(directory.path().join(name)).unwrap();
        let (offsets, targets, weights) = (read("offsets.u64"), read("targets.u32"), read("weights.f64"));
        let offsets: Vec<u64> = offsets.as_chunks().0.iter().map(|&bytes| u64::from_le_bytes(bytes)).collect();
        let targets: Vec<u32> = targets.as_chunks().0.iter().map(|&bytes| u32::from_le_bytes(bytes)).collect();
        let weights: Vec<f64> = weights.as_chunks().0.iter().map(|&bytes| f64::from_le_bytes(bytes)).collect();
        assert_eq!((offsets.len(), targets.len(), weights.len()), (51, 300, 300));
        for node in 0..50u32 {
            let row = graph.row(node).unwrap();
            let place = places[node as usize] as usize;
            let range = usize::try_from(offsets[place]).unwrap()..usize::try_from(offsets[place + 1]).unwrap();
            assert!(targets[range.clone()].is_sorted());
            let mut expected: Vec<(u32, f64)> =
                row.targets.iter().enumerate().map(|(at, &target)| (places[target as usize], row.weight(at))).collect();
            expected.sort_by_key(|&(target, _)| target);
            let got = targets[range.clone()].iter().copied().zip(weights[range].iter().copied());
            assert!(got.eq(expected));
        }
    }
}
