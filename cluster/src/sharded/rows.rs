//! The rows that a worker owns, read where its process sees them and received where it does not: see [`crate::rows`].

use std::collections::BTreeMap;
use std::sync::Arc;

use timely::worker::Worker;
use walkprint_engine::error::Error as EngineError;
use walkprint_engine::graph::{CHUNK, GraphShard, Owners, Row, RowWeights, RowsToOwn};
use walkprint_engine::ids::NodeId;
use walkprint_engine::parts::{RowPart, RowParts};
use zerocopy::IntoBytes;

use crate::error::Result;
use crate::exchange::exchange;
use crate::processes::agree;
use crate::rows::{Blocks, Pass, Readers, RowSender};
use crate::wire::Numbers;

/// Bytes in front of a row: node, degree, bytes of a weight; 32 bits each.
const HEAD_BYTES: usize = 12;

/// Deals out the nodes: a node costs its out-edges, and a little. Every worker must call it, and gets the same. Expects parts
/// that were checked.
pub(super) fn deal(worker: &mut Worker, parts: &RowParts, readers: &Readers) -> Arc<Owners> {
    let nodes = NodeId::try_from(parts.nodes()).expect("nodes are numbered in 32 bits");
    let own = |part: &RowPart| {
        let range = part.nodes();
        let first = range.start / CHUNK;
        let mut costs = vec![0u64; (range.end.div_ceil(CHUNK).max(first) - first) as usize];
        for node in range.clone() {
            costs[(node / CHUNK - first) as usize] += 1 + part.rows().degree(node - range.start);
        }
        (first, costs)
    };
    let own: Vec<(u32, Vec<u64>)> = readers.sent_by(worker.index(), parts).map(own).collect();
    let mut costs = vec![0u64; nodes.div_ceil(CHUNK) as usize];
    for (first, part) in agree::from_all(worker, own).into_iter().flatten() {
        costs.iter_mut().skip(first as usize).zip(part).for_each(|(sum, cost)| *sum += cost);
    }
    Arc::new(Owners::deal(nodes, &costs, worker.peers()))
}

/// The rows of one worker. Every worker must call it.
///
/// Memory: own rows, and those received once more.
///
/// # Errors
/// When a row is damaged.
pub(super) fn gather(
    worker: &mut Worker,
    parts: &RowParts,
    readers: &Readers,
    owners: &Arc<Owners>,
) -> Result<GraphShard> {
    let mut failed = None;
    let pack = |part: &RowPart, node: NodeId, blocks: &mut Blocks| {
        let owner = owners.owner(node) as usize;
        if readers.sees(owner, part.number()) {
            return;
        }
        match part.rows().row(node - part.nodes().start) {
            Ok(row) => put(node, &row, blocks.of(owner)),
            Err(error) => drop(failed.get_or_insert(error)),
        }
    };
    let mut sender = RowSender::new(worker.index(), parts, readers, pack);
    let mut received = Received::default();
    exchange(worker, || sender.next(), |_from, block| received.take(block));
    drop(sender);
    let pass = Pass::over(parts);
    let rows =
        GraphShard::collect(owners, worker.index(), parts.is_weighted(), |node, rows| match parts.row(node)? {
            Some(row) => {
                pass.row(row.degree() as u64);
                rows.push(&row);
                Ok(())
            }
            None => received.add(node, rows).ok_or_else(|| {
                let what = format!("the row of node {node} did not come, or came damaged, from another process");
                EngineError::Graph { what }
            }),
        });
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(rows?),
    }
}

/// Adds a row to a block.
fn put(node: NodeId, row: &Row<'_>, block: &mut Vec<u8>) {
    let (width, weights): (u32, &[u8]) = match row.weights {
        RowWeights::Equal => (0, &[]),
        RowWeights::Single(weights) => (4, weights.as_bytes()),
        RowWeights::Double(weights) => (8, weights.as_bytes()),
    };
    let degree = u32::try_from(row.degree()).expect("a row has at most one edge a node");
    block.extend([node, degree, width].as_bytes());
    block.extend(row.targets.as_bytes());
    block.extend(weights);
}

/// Rows from other processes.
#[derive(Default)]
struct Received {
    blocks: Vec<Vec<u8>>,
    /// By node: the block that its row is in, and where.
    places: BTreeMap<NodeId, (usize, usize)>,
}

impl Received {
    fn take(&mut self, block: Vec<u8>) {
        let mut at = 0;
        while let Some([node, degree, width]) = head(&block, at) {
            self.places.insert(node, (self.blocks.len(), at));
            at += HEAD_BYTES + degree as usize * (4 + width as usize);
        }
        self.blocks.push(block);
    }

    /// Adds the row of a node; `None` when it is not here, or not whole.
    fn add(&self, node: NodeId, rows: &mut RowsToOwn) -> Option<()> {
        let &(block, at) = self.places.get(&node)?;
        let block = &self.blocks[block];
        let [_, degree, width] = head(block, at)?;
        let (targets, weights) = block.get(at + HEAD_BYTES..)?.split_at_checked(degree as usize * 4)?;
        let weights = weights.get(..degree as usize * width as usize)?;
        let targets = Numbers::<NodeId>::from_bytes(targets)?.0.into_iter();
        match width {
            0 => rows.extend(targets, std::iter::repeat_n(1.0, degree as usize)),
            4 => rows.extend(targets, Numbers::<f32>::from_bytes(weights)?.0.into_iter().map(f64::from)),
            8 => rows.extend(targets, Numbers::<f64>::from_bytes(weights)?.0.into_iter()),
            _ => return None,
        }
        Some(())
    }
}

fn head(block: &[u8], at: usize) -> Option<[u32; 3]> {
    Numbers::<u32>::from_bytes(block.get(at..at.checked_add(HEAD_BYTES)?)?)?.0.try_into().ok()
}
