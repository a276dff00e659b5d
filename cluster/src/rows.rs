//! How rows get from the files of a store, wherever these lie, to the workers that are to hold them.
//!
//! A process may see all files of a store or some. [`Readers`] knows who sees what: of each part of the graph, the first
//! process that sees it checks its file ([`check`]), and sends its rows to the workers that want them and whose processes do
//! not see it ([`RowSender`]); the others read for themselves.

use std::cell::Cell;

use timely::worker::Worker;
use walkprint_engine::ids::NodeId;
use walkprint_engine::parts::{RowPart, RowParts};

use crate::error::{Error, Result};
use crate::exchange::BLOCK_BYTES;
use crate::processes::agree;

/// Which process sends which part of the graph: the first that sees it.
#[derive(Debug, Clone)]
pub(crate) struct Readers {
    /// By process: the numbers of the parts that it sees.
    seen: Vec<Vec<u32>>,
    workers: usize,
}

impl Readers {
    /// Agrees on who sees what. `workers`: of each process. Every worker must call it.
    pub(crate) fn find(worker: &mut Worker, parts: &RowParts, workers: usize) -> Readers {
        let own: Vec<u32> = parts.parts().iter().map(RowPart::number).collect();
        let seen = agree::from_all(worker, own).into_iter().step_by(workers).collect();
        Readers { seen, workers }
    }

    /// Makes sure that every part is somewhere: all processes come to the same.
    ///
    /// # Errors
    /// When a shard is nowhere.
    pub(crate) fn expect_all(&self, parts: &RowParts) -> Result<()> {
        let nowhere = |number: u32| !self.seen.iter().flatten().any(|&seen| seen == number);
        match parts.missing().iter().find(|shard| nowhere(shard.number)) {
            None => Ok(()),
            Some(missing) => {
                let what = format!("shard {} of the graph ({}) is in no process's store", missing.number, missing.file);
                Err(Error::Request { what })
            }
        }
    }

    /// Whether the process of a worker sees a part.
    pub(crate) fn sees(&self, worker: usize, part: u32) -> bool {
        self.seen[worker / self.workers].contains(&part)
    }

    /// Whether a worker is the one that sends a part to those who do not see it.
    pub(crate) fn sends(&self, worker: usize, part: u32) -> bool {
        let first = self.seen.iter().position(|seen| seen.contains(&part));
        worker.is_multiple_of(self.workers) && first == Some(worker / self.workers)
    }

    /// The parts that a worker sends.
    pub(crate) fn sent_by<'p>(&self, worker: usize, parts: &'p RowParts) -> impl Iterator<Item = &'p RowPart> {
        parts.parts().iter().filter(move |part| self.sends(worker, part.number()))
    }
}

/// Checks the parts that this worker sends, as `verify` says and for their bounds. Every worker must call it: one that finds
/// damage says so, the others that there is some.
///
/// # Errors
/// When a part is damaged, here or where it is read.
pub(crate) fn check(
    worker: &mut Worker,
    parts: &RowParts,
    readers: &Readers,
    verify: impl Fn(&RowPart) -> walkprint_engine::error::Result<()>,
) -> Result<()> {
    let mut own = readers.sent_by(worker.index(), parts);
    let checked = own.try_for_each(|part| verify(part).and_then(|()| part.check()));
    let found = checked.as_ref().err().map(ToString::to_string);
    let all = agree::from_all(worker, found);
    checked?;
    match all.into_iter().flatten().next() {
        Some(what) => {
            Err(Error::Request { what: format!("another process found its part of the graph damaged: {what}") })
        }
        None => Ok(()),
    }
}

/// Blocks that are being filled, each for one worker.
#[derive(Debug, Default)]
pub(crate) struct Blocks {
    waiting: Vec<(usize, Vec<u8>)>,
}

impl Blocks {
    /// The block that is being filled for a worker.
    pub(crate) fn of(&mut self, worker: usize) -> &mut Vec<u8> {
        let found = self.waiting.iter().position(|(to, block)| *to == worker && block.len() < BLOCK_BYTES);
        let at = found.unwrap_or_else(|| {
            self.waiting.push((worker, Vec::new()));
            self.waiting.len() - 1
        });
        &mut self.waiting[at].1
    }

    fn full(&mut self) -> Option<(usize, Vec<u8>)> {
        let at = self.waiting.iter().position(|(_, block)| BLOCK_BYTES <= block.len())?;
        Some(self.waiting.swap_remove(at))
    }
}

/// Edges between two times that mapped pages are given back.
const EDGES_PASSED: u64 = 1 << 20;

/// A pass over rows that lie in mapped files, which may be larger than the memory that a process is to use: what is behind it
/// is given back now and then.
#[derive(Debug)]
pub(crate) struct Pass<'a> {
    parts: &'a RowParts,
    edges: Cell<u64>,
}

impl<'a> Pass<'a> {
    /// Begins.
    pub(crate) fn over(parts: &'a RowParts) -> Pass<'a> {
        Pass { parts, edges: Cell::new(0) }
    }

    /// A row with so many edges is about to be read.
    pub(crate) fn row(&self, edges: u64) {
        self.edges.set(self.edges.get() + edges + 1);
        if EDGES_PASSED < self.edges.get() {
            self.parts.release();
            self.edges.set(0);
        }
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        self.parts.release();
    }
}

/// Goes through the parts that a worker sends, node by node, for [`exchange`](crate::exchange::exchange).
pub(crate) struct RowSender<'a, P> {
    pass: Pass<'a>,
    parts: std::vec::IntoIter<&'a RowPart>,
    /// The part under way, and its next node.
    under_way: Option<(&'a RowPart, NodeId)>,
    pack: P,
    blocks: Blocks,
}

impl<'a, P: FnMut(&'a RowPart, NodeId, &mut Blocks)> RowSender<'a, P> {
    /// For a worker; `pack` puts what is wanted of a node's row elsewhere into the blocks.
    pub(crate) fn new(worker: usize, parts: &'a RowParts, readers: &Readers, pack: P) -> Self {
        let sent: Vec<&RowPart> = readers.sent_by(worker, parts).collect();
        let pass = Pass::over(parts);
        RowSender { pass, parts: sent.into_iter(), under_way: None, pack, blocks: Blocks::default() }
    }

    /// The next block, and the worker it is for.
    pub(crate) fn next(&mut self) -> Option<(usize, Vec<u8>)> {
        loop {
            if let Some(full) = self.blocks.full() {
                return Some(full);
            }
            match self.under_way.filter(|(part, node)| *node < part.nodes().end) {
                Some((part, node)) => {
                    self.pass.row(part.rows().degree(node - part.nodes().start));
                    (self.pack)(part, node, &mut self.blocks);
                    self.under_way = Some((part, node + 1));
                }
                None => {
                    let Some(part) = self.parts.next() else { return self.blocks.waiting.pop() };
                    self.under_way = Some((part, part.nodes().start));
                }
            }
        }
    }
}
