//! Edges on their way to the worker that has the rows of their sources.

use timely::worker::Worker;
use walkprint_engine::edges::EdgeList;
use walkprint_engine::graph::ShardBuilder;
use walkprint_engine::ids::NodeId;
use walkprint_engine::kinds::{Codes, KindList, KindLists};

use super::ids::AgreedIds;
use crate::error::Result;
use crate::exchange::{BLOCK_BYTES, exchange};
use crate::processes::agree::from_all;

/// The edges that came from one worker, in its order.
#[derive(Default)]
struct Arrived {
    sources: Vec<u32>,
    targets: Vec<NodeId>,
    weights: Vec<f64>,
    kinds: Codes,
}

/// Sends every edge to the worker in whose range its source is, and makes rows of those that come. Edges are taken in the
/// order of the input: weights of parallel edges add up to the same number as on one machine. Types of edges go with them; types
/// of nodes are those of this worker's range already.
///
/// Memory: this worker's edges and those that come, eight bytes each (sixteen with weights, one to four more with types), and up
/// to half a mebibyte for each worker; then those that came and their rows.
///
/// # Errors
/// Those of [`ShardBuilder::new`]. All workers have exchanged everything by then.
pub(super) fn to_owners(worker: &mut Worker, edges: EdgeList, ids: &mut AgreedIds) -> Result<ShardBuilder> {
    let EdgeList { sources, targets, weights, kinds, .. } = edges;
    let KindLists { nodes: node_kinds, edges: edge_kinds } = kinds;
    // The names are those of all workers: so is the width.
    let (names, codes) = edge_kinds.map(|KindList { names, codes }| (names, codes)).unzip();
    let kind_bytes = codes.as_ref().map_or(0, Codes::width);
    let node_of_rank = std::mem::take(&mut ids.node_of_rank);
    // A part without any edge does not know whether the others' have weights.
    let weighted = from_all(worker, weights.is_some()).contains(&true);
    let workers = worker.peers();
    let mut buffers: Vec<Vec<u8>> = vec![Vec::new(); workers];
    let mut at = 0;
    let mut arrived: Vec<Arrived> = (0..workers).map(|_| Arrived::default()).collect();
    exchange(
        worker,
        || {
            while at < sources.len() {
                let (source, target) = (node_of_rank[sources[at] as usize], node_of_rank[targets[at] as usize]);
                let owner = ids.owner(source);
                let buffer = &mut buffers[owner];
                buffer.extend_from_slice(&(source - ids.bounds[owner]).to_le_bytes());
                buffer.extend_from_slice(&target.to_le_bytes());
                if let Some(weights) = &weights {
                    buffer.extend_from_slice(&weights[at].to_le_bytes());
                }
                if let Some(codes) = &codes {
                    buffer.extend_from_slice(&codes.get(at).to_le_bytes()[..kind_bytes]);
                }
                at += 1;
                if BLOCK_BYTES <= buffer.len() {
                    return Some((owner, std::mem::take(buffer)));
                }
            }
            let left = buffers.iter().position(|buffer| !buffer.is_empty())?;
            Some((left, std::mem::take(&mut buffers[left])))
        },
        |from, block| {
            let arrived = &mut arrived[from];
            let kind_at = if weighted { 16 } else { 8 };
            for edge in block.chunks_exact(kind_at + kind_bytes) {
                let word = |at: usize| u32::from_le_bytes(edge[at..at + 4].try_into().expect("four bytes"));
                arrived.sources.push(word(0));
                arrived.targets.push(word(4));
                if weighted {
                    arrived.weights.push(f64::from_le_bytes(edge[8..16].try_into().expect("eight bytes")));
                }
                if kind_bytes != 0 {
                    let mut code = [0; 4];
                    code[..kind_bytes].copy_from_slice(&edge[kind_at..]);
                    arrived.kinds.push(u32::from_le_bytes(code));
                }
            }
        },
    );
    drop((sources, targets, weights, codes, node_of_rank));
    let own = worker.index();
    let nodes = ids.bounds[own]..ids.bounds[own + 1];
    let count = arrived.iter().map(|arrived| arrived.sources.len()).sum();
    let (mut sources, mut targets) = (Vec::with_capacity(count), Vec::with_capacity(count));
    let mut weights = Vec::with_capacity(if weighted { count } else { 0 });
    let mut codes = Codes::default();
    if names.is_some() {
        codes.reserve_exact(count);
    }
    // Parts of the input are in the order of workers. Each is freed as soon as it is written out.
    for arrived in arrived {
        sources.extend(arrived.sources);
        targets.extend(arrived.targets);
        weights.extend(arrived.weights);
        arrived.kinds.iter().for_each(|code| codes.push(code));
    }
    let kinds = KindLists { nodes: node_kinds, edges: names.map(|names| KindList { names, codes }) };
    Ok(ShardBuilder::new(&nodes, sources, targets, weighted.then_some(weights), kinds)?)
}
