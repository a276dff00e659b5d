//! How a build over shards comes by its rows: see [`crate::rows`].
//!
//! [`begin`] finds out who sees what and gives process 0 the out-degrees of all nodes; [`gather`] gives a worker what walks
//! read of the rows it owns, and its parts of long ones.

use std::collections::BTreeMap;
use std::sync::Arc;

use timely::worker::Worker;
use walkprint_engine::graph::{Owners, Steps};
use walkprint_engine::ids::NodeId;
use walkprint_engine::parts::{RowPart, RowParts};
use walkprint_engine::plan::Plan;
use walkprint_walkers::shard::{LongRows, OwnSlots, RowSlots, ShardRows};
use zerocopy::IntoBytes;

use crate::build::cut::Cut;
use crate::error::{Error, Result};
use crate::exchange::{BLOCK_BYTES, exchange};
use crate::rows::{self, Blocks, Pass, Readers, RowSender};
use crate::wire::Numbers;

/// Makes sure that every row is somewhere, checks the files, and gives the first worker the cut of the build. `workers`: of
/// each process. Every worker must call it.
///
/// # Errors
/// When a shard is nowhere, or damaged where it is read.
pub(in crate::build) fn begin(
    worker: &mut Worker,
    parts: &RowParts,
    plan: &Plan,
    longest_row: u64,
    workers: usize,
) -> Result<(Readers, Option<Cut>)> {
    let readers = Readers::find(worker, parts, workers);
    readers.expect_all(parts)?;
    rows::check(worker, parts, &readers, RowPart::verify_walk_rows)?;

    // Out-degrees, part by part, to the first worker; each block begins with the first node's number.
    let mut blocks = Vec::new();
    for part in readers.sent_by(worker.index(), parts).filter(|part| !readers.sees(0, part.number())) {
        let nodes = part.nodes();
        for first in nodes.clone().step_by(BLOCK_BYTES / 4) {
            let end = first.saturating_add(u32::try_from(BLOCK_BYTES / 4).expect("a small number")).min(nodes.end);
            blocks.push((part, first, end));
        }
    }
    let mut blocks = blocks.into_iter();
    let mut degrees: BTreeMap<NodeId, Vec<u32>> = BTreeMap::new();
    let next = || {
        let (part, first, end) = blocks.next()?;
        let degree = |node| u32::try_from(part.rows().degree(node - part.nodes().start)).unwrap_or(u32::MAX);
        let block: Vec<u32> = [first].into_iter().chain((first..end).map(degree)).collect();
        Some((0, block.as_bytes().to_vec()))
    };
    exchange(worker, next, |_from, block| {
        let numbers = Numbers::<u32>::from_bytes(&block);
        if let Some((&first, rest)) = numbers.as_ref().and_then(|numbers| numbers.0.split_first()) {
            degrees.insert(first, rest.to_vec());
        }
    });
    if worker.index() != 0 {
        return Ok((readers, None));
    }
    let degree = |node: NodeId| match parts.degree(node) {
        Some(degree) => degree,
        None => {
            let block = degrees.range(..=node).next_back();
            block.and_then(|(first, degrees)| degrees.get((node - first) as usize)).map_or(0, |&degree| degree.into())
        }
    };
    let nodes = NodeId::try_from(parts.nodes()).expect("the manifest's nodes were checked");
    Ok((readers, Some(Cut::new(plan, nodes, longest_row, degree))))
}

/// The rows that a worker owns, read where its process sees them, received where it does not. Every worker must call it.
///
/// Memory: own rows, and those received once more.
///
/// # Errors
/// When a row is damaged, or there is no memory.
pub(in crate::build) fn gather(
    worker: &mut Worker,
    parts: &RowParts,
    readers: &Readers,
    owners: &Arc<Owners>,
    long: &Arc<LongRows>,
) -> Result<ShardRows> {
    let weighted = parts.is_weighted();
    let pack = |part: &RowPart, node: NodeId, blocks: &mut Blocks| match long.find(node) {
        None => put(part, node, (0, u32::MAX), readers, owners.owner(node) as usize, blocks),
        Some(number) => {
            for worker in 0..owners.workers() {
                put(part, node, long.part(number, worker), readers, worker, blocks);
            }
        }
    };
    let mut sender = RowSender::new(worker.index(), parts, readers, pack);
    let mut received: BTreeMap<(NodeId, u32), OwnSlots> = BTreeMap::new();
    let mut whole = true;
    exchange(worker, || sender.next(), |_from, block| whole &= unpack(&block, weighted, &mut received).is_some());
    drop(sender);
    let pass = Pass::over(parts);
    let find = |node: NodeId, from: u32, to: u32| -> Option<RowSlots<'_>> {
        match parts.find(node) {
            Some((part, row)) => {
                pass.row(u64::from(to - from));
                RowSlots::of(part.rows(), row, from, to)
            }
            None => received.get(&(node, from)).map(OwnSlots::all).filter(|slots| slots.len() == (to - from) as usize),
        }
    };
    let degrees = |node: NodeId| match parts.degree(node) {
        Some(degree) => degree,
        None => received.get(&(node, 0)).map_or(0, |slots| slots.len() as u64),
    };
    let rows = ShardRows::collect(owners, worker.index(), long, weighted, degrees, find);
    let rows =
        rows.map_err(|error| Error::Request { what: format!("there is no memory for the rows of a worker: {error}") })?;
    rows.filter(|_| whole).ok_or_else(|| {
        let what = "a row of the graph does not lie inside it, or came damaged from another process".into();
        Error::Request { what }
    })
}

/// Adds the places `from..to` of a row to a worker's block, unless its process sees the row.
fn put(part: &RowPart, node: NodeId, (from, to): (u32, u32), readers: &Readers, worker: usize, blocks: &mut Blocks) {
    if from == to || readers.sees(worker, part.number()) {
        return;
    }
    let row = node - part.nodes().start;
    let degree = u32::try_from(part.rows().degree(row)).unwrap_or(u32::MAX);
    let Some(slots) = RowSlots::of(part.rows(), row, from, to.min(degree)) else { return };
    let count = u32::try_from(slots.len()).expect("a row has at most one edge a node");
    let block = blocks.of(worker);
    block.extend([node, from, count].as_bytes());
    put_slots(slots, block);
}

/// The rows in a block: node, first place, count, slots.
fn unpack(mut block: &[u8], weighted: bool, received: &mut BTreeMap<(NodeId, u32), OwnSlots>) -> Option<()> {
    while !block.is_empty() {
        let (head, rest) = block.split_at_checked(12)?;
        let head = Numbers::<u32>::from_bytes(head)?.0;
        let (slots, rest) = take_slots(rest, head[2], weighted)?;
        received.insert((head[0], head[1]), slots);
        block = rest;
    }
    Some(())
}

/// Appends the slots of a row, for another worker.
pub(super) fn put_slots(slots: RowSlots<'_>, block: &mut Vec<u8>) {
    match slots.steps() {
        Steps::Plain(targets) => block.extend(targets.as_bytes()),
        Steps::Alias(slots) => block.extend(slots.as_bytes()),
    }
}

/// So many slots from the beginning of a block, and the rest of it. `None` when there are fewer.
pub(super) fn take_slots(block: &[u8], count: u32, weighted: bool) -> Option<(OwnSlots, &[u8])> {
    let (slots, rest) = block.split_at_checked(count as usize * OwnSlots::width(weighted))?;
    let slots = match weighted {
        true => OwnSlots::Alias(Numbers::from_bytes(slots)?.0),
        false => OwnSlots::Plain(Numbers::from_bytes(slots)?.0),
    };
    Some((slots, rest))
}
