//! How rows get from the files of a store, wherever these lie, to the workers that own them.
//!
//! A process may see all files of a store or some: [`begin`] finds out who sees what and gives process 0 the out-degrees of
//! all nodes; [`gather`] gives a worker the rows it owns. What its process sees it reads; the rest is sent by the first process
//! that sees it.

use std::collections::BTreeMap;
use std::sync::Arc;

use timely::worker::Worker;
use walkprint_engine::graph::{Owners, Steps};
use walkprint_engine::ids::NodeId;
use walkprint_engine::parts::{RowPart, RowParts};
use walkprint_engine::plan::Plan;
use walkprint_walkers::shard::{LongRows, OwnSlots, RowSlots, ShardRows};
use zerocopy::{FromBytes, IntoBytes};

use crate::build::cut::Cut;
use crate::error::{Error, Result};
use crate::exchange::{BLOCK_BYTES, exchange};
use crate::processes::agree;

/// Which process sends which part of the graph: the first that sees it.
#[derive(Debug, Clone)]
pub(in crate::build) struct Readers {
    /// By process: the numbers of the parts that it sees.
    seen: Vec<Vec<u32>>,
    workers: usize,
}

impl Readers {
    /// Agrees on who sees what. Every worker must call it.
    fn find(worker: &mut Worker, parts: &RowParts, workers: usize) -> Readers {
        let own: Vec<u32> = parts.parts().iter().map(RowPart::number).collect();
        let seen = agree::from_all(worker, own).into_iter().step_by(workers).collect();
        Readers { seen, workers }
    }

    /// Whether a process sees a part.
    fn sees(&self, process: usize, part: u32) -> bool {
        self.seen[process].contains(&part)
    }

    /// Whether a worker is the one that sends a part to those who do not see it.
    fn sends(&self, worker: usize, part: u32) -> bool {
        let first = (0..self.seen.len()).find(|&process| self.sees(process, part));
        worker.is_multiple_of(self.workers) && first == Some(worker / self.workers)
    }
}

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
    if let Some(missing) =
        parts.missing().iter().find(|shard| !readers.seen.iter().flatten().any(|&seen| seen == shard.number))
    {
        let what = format!("shard {} of the graph ({}) is in no process's store", missing.number, missing.file);
        return Err(Error::Request { what });
    }
    // One process checks each file; bounds are checked by everyone who reads.
    let mut checked = Ok(());
    for part in parts.parts().iter().filter(|part| readers.sends(worker.index(), part.number())) {
        checked = checked.and_then(|()| part.verify_walk_rows()).and_then(|()| part.check());
    }
    let all_well = agree::from_all(worker, checked.is_ok()).into_iter().all(|well| well);
    checked?;
    if !all_well {
        return Err(Error::Request { what: "another process found its part of the graph damaged".into() });
    }

    // Out-degrees, part by part, to the first worker; each block begins with the first node's number.
    let mut blocks = Vec::new();
    for part in parts
        .parts()
        .iter()
        .filter(|part| readers.sends(worker.index(), part.number()) && !readers.sees(0, part.number()))
    {
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
        let numbers: Vec<u32> = numbers(&block);
        if let Some((&first, rest)) = numbers.split_first() {
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
/// When a row is damaged.
pub(in crate::build) fn gather(
    worker: &mut Worker,
    parts: &RowParts,
    readers: &Readers,
    owners: &Arc<Owners>,
    long: &Arc<LongRows>,
) -> Result<ShardRows> {
    let weighted = parts.is_weighted();
    let mut sender =
        Sender { parts, readers, owners, long, sent: 0, waiting: Vec::new(), worker: worker.index(), node: 0 };
    let mut received: BTreeMap<(NodeId, u32), OwnSlots> = BTreeMap::new();
    let mut whole = true;
    exchange(worker, || sender.next(), |_from, block| whole &= unpack(&block, weighted, &mut received).is_some());
    let find = |node: NodeId, from: u32, to: u32| -> Option<RowSlots<'_>> {
        match parts.parts().iter().find(|part| part.nodes().contains(&node)) {
            Some(part) => RowSlots::of(part.rows(), node - part.nodes().start, from, to),
            None => received.get(&(node, from)).map(OwnSlots::all).filter(|slots| slots.len() == (to - from) as usize),
        }
    };
    let degrees = |node: NodeId| match parts.degree(node) {
        Some(degree) => degree,
        None => received.get(&(node, 0)).map_or(0, |slots| slots.len() as u64),
    };
    let rows = ShardRows::collect(owners, worker.index(), long, weighted, degrees, find).filter(|_| whole);
    rows.ok_or_else(|| {
        let what = "a row of the graph does not lie inside it, or came damaged from another process".into();
        Error::Request { what }
    })
}

/// Goes through the parts that this worker sends, and packs rows for the workers whose processes do not see them.
struct Sender<'a> {
    parts: &'a RowParts,
    readers: &'a Readers,
    owners: &'a Owners,
    long: &'a LongRows,
    /// Parts that were gone through.
    sent: usize,
    /// The next node of the part.
    node: u32,
    /// Blocks that are full, and by worker those that are being filled.
    waiting: Vec<(usize, Vec<u8>)>,
    worker: usize,
}

impl Sender<'_> {
    fn next(&mut self) -> Option<(usize, Vec<u8>)> {
        loop {
            if let Some(at) = self.waiting.iter().position(|(_, block)| BLOCK_BYTES <= block.len()) {
                return Some(self.waiting.swap_remove(at));
            }
            let Some(part) = self.parts.parts().get(self.sent) else { return self.waiting.pop() };
            let nodes = part.nodes();
            if !self.readers.sends(self.worker, part.number()) || nodes.end <= nodes.start + self.node {
                (self.sent, self.node) = (self.sent + 1, 0);
                continue;
            }
            let node = nodes.start + self.node;
            self.node += 1;
            match self.long.find(node) {
                None => self.put(part, self.owners.owner(node) as usize, node, 0, u32::MAX),
                Some(number) => {
                    for worker in 0..self.owners.workers() {
                        let (from, to) = self.long.part(number, worker);
                        self.put(part, worker, node, from, to);
                    }
                }
            }
        }
    }

    /// Adds the places `from..to` of a row to a worker's block, unless its process sees the row.
    fn put(&mut self, part: &RowPart, worker: usize, node: NodeId, from: u32, to: u32) {
        if from == to || self.readers.sees(worker / self.readers.workers, part.number()) {
            return;
        }
        let row = node - part.nodes().start;
        let degree = u32::try_from(part.rows().degree(row)).unwrap_or(u32::MAX);
        let Some(slots) = RowSlots::of(part.rows(), row, from, to.min(degree)) else { return };
        let at = self.waiting.iter().position(|(to, _)| *to == worker).unwrap_or_else(|| {
            self.waiting.push((worker, Vec::new()));
            self.waiting.len() - 1
        });
        let count = u32::try_from(slots.len()).expect("a row has at most one edge a node");
        let block = &mut self.waiting[at].1;
        block.extend([node, from, count].as_bytes());
        match slots.steps() {
            Steps::Plain(targets) => block.extend(targets.as_bytes()),
            Steps::Alias(slots) => block.extend(slots.as_bytes()),
        }
    }
}

/// The rows in a block: node, first place, count, slots.
fn unpack(mut block: &[u8], weighted: bool, received: &mut BTreeMap<(NodeId, u32), OwnSlots>) -> Option<()> {
    while !block.is_empty() {
        let (head, rest) = block.split_at_checked(12)?;
        let head: Vec<u32> = numbers(head);
        let (slots, rest) = rest.split_at_checked(head[2] as usize * OwnSlots::width(weighted))?;
        let slots = if weighted { OwnSlots::Alias(numbers(slots)) } else { OwnSlots::Plain(numbers(slots)) };
        received.insert((head[0], head[1]), slots);
        block = rest;
    }
    Some(())
}

/// Bytes that were numbers.
pub(super) fn numbers<T: FromBytes + IntoBytes + zerocopy::Immutable + Clone>(bytes: &[u8]) -> Vec<T> {
    let mut numbers = vec![T::new_zeroed(); bytes.len() / size_of::<T>()];
    let length = numbers.len() * size_of::<T>();
    numbers.as_mut_slice().as_mut_bytes().copy_from_slice(&bytes[..length]);
    numbers
}
