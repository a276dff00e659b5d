//! One number for each id, without any worker holding all ids.
//!
//! Ids are dealt out by ranges: samples of all workers' ids give bounds, each worker sends every id to the worker of its
//! range, which merges what comes, and sends back which rank each became. A node's number is its id's rank.
//!
//! ```text
//!   sample ─▶ bounds ─▶ ids to their ranges ─▶ merge, count ─▶ ranks back
//! ```

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use timely::worker::Worker;
use walkprint_engine::edges::EdgeList;
use walkprint_engine::ids::{ExternalIds, MAX_NODES, NodeId, StringTable};

use super::agreement::all_or_none;
use crate::error::{Error, Result};
use crate::exchange::{BLOCK_BYTES, exchange};
use crate::processes::agree::from_all;

/// Samples of each worker for each range: ranges then differ by about a sixty-fourth.
const SAMPLES: u64 = 64;

/// What the workers agreed on.
pub(super) struct AgreedIds {
    /// The ids of this worker's range.
    pub(super) own: ExternalIds,
    /// Where each worker's range of nodes begins; and the number of nodes.
    pub(super) bounds: Vec<NodeId>,
    /// The node of each rank in this worker's edge list.
    pub(super) node_of_rank: Vec<NodeId>,
}

impl AgreedIds {
    /// Nodes of all ranges.
    pub(super) fn nodes(&self) -> NodeId {
        self.bounds[self.bounds.len() - 1]
    }

    /// Whose range a node is in.
    pub(super) fn owner(&self, node: NodeId) -> usize {
        self.bounds.partition_point(|&bound| bound <= node) - 1
    }
}

/// Numbers the ids of all workers' edge lists. Takes the ids out of `edges`; where any worker has strings the ranks in
/// `edges` change, because strings are sorted otherwise than integers.
///
/// Memory: the ids of this worker's range as often as they came (once from each worker that has them), then those of the
/// range once beside them; and eight bytes an id of the edge list.
pub(super) fn agree_on_ids(worker: &mut Worker, workers_of_process: usize, edges: &mut EdgeList) -> Result<AgreedIds> {
    let strings = |ids: &ExternalIds| matches!(ids, ExternalIds::Strings(_));
    if from_all(worker, strings(&edges.ids)).contains(&true) {
        turn_into_strings(edges);
    }
    let ids = std::mem::replace(&mut edges.ids, ExternalIds::Integers(Vec::new()));
    let cuts = ranges(worker, &ids, &edges.sources);
    let runs = send_to_ranges(worker, &ids, &cuts);
    let local = ids.len();
    drop(ids);
    let (own, ranks) = runs.merge();
    let counts = from_all(worker, own.len() as u64);
    let total: u64 = counts.iter().sum();
    let fits = if total <= MAX_NODES {
        Ok(())
    } else {
        Err(Error::Load(walkprint_loaders::Error::TooManyNodes { max: MAX_NODES, got: total }))
    };
    all_or_none(worker, workers_of_process, fits)?;
    let mut bounds = vec![0];
    for count in counts {
        let last = bounds[bounds.len() - 1];
        bounds.push(last + NodeId::try_from(count).expect("all together are at most MAX_NODES"));
    }
    let node_of_rank = send_back(worker, ranks, bounds[worker.index()], &cuts, local);
    Ok(AgreedIds { own, bounds, node_of_rank })
}

/// Integers become strings, and ranks those of the strings.
fn turn_into_strings(edges: &mut EdgeList) {
    let ExternalIds::Integers(integers) = &edges.ids else { return };
    let texts: Vec<String> = integers.iter().map(i64::to_string).collect();
    let mut order: Vec<u32> = (0..).take(texts.len()).collect();
    order.sort_unstable_by(|&left, &right| texts[left as usize].cmp(&texts[right as usize]));
    let mut rank_of_old = vec![0; order.len()];
    let mut table = StringTable::with_capacity(texts.len(), texts.iter().map(String::len).sum());
    for (rank, &old) in (0..).zip(&order) {
        rank_of_old[old as usize] = rank;
        table.push(&texts[old as usize]);
    }
    for end in edges.sources.iter_mut().chain(&mut edges.targets) {
        *end = rank_of_old[*end as usize];
    }
    edges.ids = ExternalIds::Strings(table);
}

/// An id as bytes that compare as ids do.
fn key(ids: &ExternalIds, rank: usize) -> Vec<u8> {
    match ids {
        // The sign's bit turned round makes negative numbers the smaller ones.
        ExternalIds::Integers(ids) => (ids[rank].cast_unsigned() ^ 1 << 63).to_be_bytes().to_vec(),
        ExternalIds::Strings(table) => table.get(rank).as_bytes().to_vec(),
    }
}

/// Where the ids of each worker's range begin among this worker's, and their number: ranges are chosen so that each has
/// about as many nodes and out-edges together as any other.
fn ranges(worker: &mut Worker, ids: &ExternalIds, sources: &[u32]) -> Vec<usize> {
    let workers = worker.peers() as u64;
    let mut weights = vec![1u64; ids.len()];
    sources.iter().for_each(|&source| weights[source as usize] += 1);
    let step = (weights.iter().sum::<u64>() / (SAMPLES * workers)).max(1);
    let (mut samples, mut since) = (Vec::new(), 0);
    for (rank, weight) in weights.into_iter().enumerate() {
        since += weight;
        if step <= since || rank + 1 == ids.len() {
            samples.push((key(ids, rank), since));
            since = 0;
        }
    }
    let mut samples: Vec<(Vec<u8>, u64)> = from_all(worker, samples).into_iter().flatten().collect();
    samples.sort_unstable();
    let total: u64 = samples.iter().map(|(_, weight)| weight).sum();
    let (mut cuts, mut before) = (vec![0], 0);
    for (last, weight) in &samples {
        before += weight;
        // Every range that is full by now ends with this id.
        while (cuts.len() as u64) < workers && cuts.len() as u64 * total <= before * workers {
            cuts.push(partition(ids.len(), |rank| key_order(ids, rank, last).is_le()));
        }
    }
    cuts.resize(worker.peers() + 1, ids.len());
    cuts
}

/// How an id compares with a key.
fn key_order(ids: &ExternalIds, rank: usize, other: &[u8]) -> std::cmp::Ordering {
    match ids {
        ExternalIds::Integers(_) => key(ids, rank).as_slice().cmp(other),
        ExternalIds::Strings(table) => table.get(rank).as_bytes().cmp(other),
    }
}

/// How many of the first numbers below `count` something is true of.
fn partition(count: usize, is_true: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        if is_true(middle) { low = middle + 1 } else { high = middle }
    }
    low
}

/// The ids of one range, ascending, as each worker sent them.
enum Runs {
    Integers(Vec<Vec<i64>>),
    Strings(Vec<StringTable>),
}

/// Sends every id to the worker of its range, and takes those of this worker's. Strings go with their lengths before them.
fn send_to_ranges(worker: &mut Worker, ids: &ExternalIds, cuts: &[usize]) -> Runs {
    let workers = worker.peers();
    let (mut to, mut at) = (0, 0);
    let mut next_ranks = |fill: &mut dyn FnMut(usize, &mut Vec<u8>)| {
        while to < workers && at == cuts[to + 1] {
            to += 1;
        }
        if to == workers {
            return None;
        }
        let mut block = Vec::new();
        while at < cuts[to + 1] && block.len() < BLOCK_BYTES {
            fill(at, &mut block);
            at += 1;
        }
        Some((to, block))
    };
    match ids {
        ExternalIds::Integers(ids) => {
            let mut runs = vec![Vec::new(); workers];
            let mut fill = |at: usize, block: &mut Vec<u8>| block.extend_from_slice(&ids[at].to_le_bytes());
            exchange(
                worker,
                || next_ranks(&mut fill),
                |from, block| {
                    let numbers = block.chunks_exact(8);
                    runs[from].extend(numbers.map(|id| i64::from_le_bytes(id.try_into().expect("eight bytes"))));
                },
            );
            Runs::Integers(runs)
        }
        ExternalIds::Strings(table) => {
            let mut runs = vec![StringTable::default(); workers];
            let mut fill = |at: usize, block: &mut Vec<u8>| {
                let id = table.get(at);
                let length = u32::try_from(id.len()).expect("a line of a file is shorter");
                block.extend_from_slice(&length.to_le_bytes());
                block.extend_from_slice(id.as_bytes());
            };
            exchange(
                worker,
                || next_ranks(&mut fill),
                |from, block| {
                    let mut rest = block.as_slice();
                    while let Some((length, after)) = rest.split_first_chunk() {
                        let (id, after) = after.split_at(u32::from_le_bytes(*length) as usize);
                        runs[from].push(std::str::from_utf8(id).expect("ids are strings where they come from"));
                        rest = after;
                    }
                },
            );
            Runs::Strings(runs)
        }
    }
}

impl Runs {
    /// All ids of the range once, and the rank that each id of each run became.
    fn merge(self) -> (ExternalIds, Vec<Vec<u32>>) {
        match self {
            Runs::Integers(runs) => {
                let mut merged = Vec::new();
                let ranks = merge_runs(
                    &runs.iter().map(Vec::len).collect::<Vec<_>>(),
                    |run, at| runs[run][at],
                    |id, _| {
                        merged.push(id);
                    },
                );
                (ExternalIds::Integers(merged), ranks)
            }
            Runs::Strings(runs) => {
                // Where each id is found first: the table is then made in its exact size.
                let (mut found, mut bytes) = (Vec::new(), 0);
                let lengths: Vec<usize> = runs.iter().map(StringTable::len).collect();
                let ranks = merge_runs(
                    &lengths,
                    |run, at| runs[run].get(at),
                    |id, place| {
                        bytes += id.len();
                        found.push(place);
                    },
                );
                let mut merged = StringTable::with_capacity(found.len(), bytes);
                found.into_iter().for_each(|(run, at)| merged.push(runs[run].get(at)));
                (ExternalIds::Strings(merged), ranks)
            }
        }
    }
}

/// Goes through all runs in ascending order; calls `new` with each id that was not there before and its place. Returns how
/// many ids were smaller, for each id of each run.
fn merge_runs<Id: Ord + Copy>(
    lengths: &[usize],
    id: impl Fn(usize, usize) -> Id,
    mut new: impl FnMut(Id, (usize, usize)),
) -> Vec<Vec<u32>> {
    let mut ranks: Vec<Vec<u32>> = lengths.iter().map(|&length| Vec::with_capacity(length)).collect();
    let mut heads: BinaryHeap<Reverse<(Id, usize)>> =
        (0..lengths.len()).filter(|&run| lengths[run] != 0).map(|run| Reverse((id(run, 0), run))).collect();
    let mut last = None;
    let mut count = 0u32;
    while let Some(mut head) = heads.peek_mut() {
        let Reverse((smallest, run)) = *head;
        let at = ranks[run].len();
        if at + 1 < lengths[run] {
            *head = Reverse((id(run, at + 1), run));
        } else {
            std::collections::binary_heap::PeekMut::pop(head);
        }
        if last != Some(smallest) {
            new(smallest, (run, at));
            last = Some(smallest);
            // Wraps round only where there are too many nodes, which is found when all are counted.
            count = count.wrapping_add(1);
        }
        ranks[run].push(count.wrapping_sub(1));
    }
    ranks
}

/// Tells each worker which nodes its ids became, in the order in which it sent them. `cuts` says from whom they come.
fn send_back(worker: &mut Worker, ranks: Vec<Vec<u32>>, first: NodeId, cuts: &[usize], local: usize) -> Vec<NodeId> {
    let mut node_of_rank = vec![0; local];
    let mut places = cuts[..cuts.len() - 1].to_vec();
    let (mut to, mut at) = (0, 0);
    exchange(
        worker,
        || {
            while to < ranks.len() && at == ranks[to].len() {
                (to, at) = (to + 1, 0);
            }
            let of_worker = ranks.get(to)?;
            let end = of_worker.len().min(at + BLOCK_BYTES / 4);
            let block = of_worker[at..end].iter().flat_map(|&rank| (first + rank).to_le_bytes()).collect();
            at = end;
            Some((to, block))
        },
        |from, block| {
            for node in block.chunks_exact(4) {
                node_of_rank[places[from]] = NodeId::from_le_bytes(node.try_into().expect("four bytes"));
                places[from] += 1;
            }
        },
    );
    node_of_rank
}
