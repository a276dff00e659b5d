//! What walks visited on one worker of a sharded graph, and how the parts of all workers become fingerprints.
//!
//! A worker notes (lane, node, units) for everything that stands on its nodes. When a block of sources has ended, it sorts
//! what it noted source by source, and packs it in the form of fingerprints that know only this worker's nodes. One worker
//! puts the parts of all workers together: what it noted itself it need not pack for that.

use walkprint_engine::fingerprint::{Fingerprint, Visits, encode};
use walkprint_engine::ids::NodeId;

use crate::radix;
use crate::tally::Packed;

const UNIT_BITS: u32 = 12;
const NODE_BITS: u32 = 32;
const MOST_UNITS: u32 = (1 << UNIT_BITS) - 1;
/// Lists that the lanes of a block are spread over, so that each can be sorted in the cache.
const LISTS: u32 = 64;

/// What the walks of one block visited on this worker.
#[derive(Debug, Clone)]
pub struct VisitLog {
    /// By lane, in equal stretches: lane, node, units, in eight bytes.
    lists: Vec<Vec<u64>>,
    /// How many bits of a lane say its place in a list.
    shift: u32,
    scratch: Vec<u64>,
}

impl VisitLog {
    /// An empty log for so many lanes.
    #[must_use]
    pub fn new(lanes: u32) -> VisitLog {
        let shift = lanes.div_ceil(LISTS).next_power_of_two().trailing_zeros();
        let lists = lanes.div_ceil(1 << shift).max(1) as usize;
        VisitLog { lists: vec![Vec::new(); lists], shift, scratch: Vec::new() }
    }

    /// Empties the log, for so many lanes of another block. What it held room for it keeps.
    pub fn clear(&mut self, lanes: u32) {
        let mut lists = std::mem::take(&mut self.lists);
        *self = VisitLog { scratch: std::mem::take(&mut self.scratch), ..VisitLog::new(lanes) };
        lists.iter_mut().for_each(Vec::clear);
        lists.resize(self.lists.len(), Vec::new());
        self.lists = lists;
    }

    /// Notes a visit.
    #[inline]
    pub fn push(&mut self, lane: u32, node: NodeId, mut units: u32) {
        let list = &mut self.lists[(lane >> self.shift) as usize];
        let key = u64::from(lane) << (NODE_BITS + UNIT_BITS) | u64::from(node) << UNIT_BITS;
        while MOST_UNITS < units {
            list.push(key | u64::from(MOST_UNITS));
            units -= MOST_UNITS;
        }
        list.push(key | u64::from(units));
    }

    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        (self.lists.iter().map(Vec::capacity).sum::<usize>() + self.scratch.capacity()) as u64 * 8
    }

    /// Packs what was noted for the lanes `from..to`, lane by lane; `walks` gives a lane's number of walks where this
    /// worker knows it.
    ///
    /// `node_bound`: all nodes are below it.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a size in bytes")]
    pub fn pack(&mut self, from: u32, to: u32, node_bound: u32, walks: impl Fn(u32) -> Option<u32>) -> Packed {
        // About what it will take: growing step by step would copy everything twice, into fresh memory each time.
        let mut packed = Packed { ends: Vec::with_capacity((to - from) as usize), ..Packed::default() };
        packed.bytes.reserve((self.visits(from, to) * 2.0) as usize + 3 * (to - from) as usize);
        self.for_each_lane(from, to, node_bound, |lane, row| {
            encode(walks(lane).unwrap_or(1), row, &mut packed.bytes);
            packed
                .ends
                .push(u32::try_from(packed.bytes.len()).expect("callers pack a stretch of a pipeline at a time"));
            packed.entries += row.len() as u64;
        });
        packed
    }

    /// The same without packing, for the worker that puts all parts together. What `sorted` held is lost, but not its room.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of visits")]
    pub fn sort(
        &mut self,
        from: u32,
        to: u32,
        node_bound: u32,
        walks: impl Fn(u32) -> Option<u32>,
        sorted: &mut Sorted,
    ) {
        sorted.visits.clear();
        sorted.ends.clear();
        sorted.walks.clear();
        sorted.visits.reserve(self.visits(from, to) as usize);
        self.for_each_lane(from, to, node_bound, |lane, row| {
            sorted.visits.extend_from_slice(row);
            sorted.ends.push(sorted.visits.len());
            sorted.walks.push(walks(lane).unwrap_or(1));
        });
    }

    /// About how many visits were noted for some lanes.
    fn visits(&self, from: u32, to: u32) -> f64 {
        let lists = (from >> self.shift) as usize..=(to.saturating_sub(1) >> self.shift) as usize;
        let noted: usize = self.lists[lists.clone()].iter().map(Vec::len).sum();
        noted as f64 * f64::from(to - from) / (lists.count() << self.shift) as f64
    }

    /// Sorts what was noted for some lanes and adds up what belongs to the same node, lane by lane.
    #[expect(clippy::cast_possible_truncation, reason = "parts of a number")]
    fn for_each_lane(&mut self, from: u32, to: u32, node_bound: u32, mut take: impl FnMut(u32, &[Visits])) {
        let node_bits = u32::BITS - node_bound.saturating_sub(1).leading_zeros();
        let mut row = Vec::new();
        let mut lane = from;
        while lane < to {
            let number = lane >> self.shift;
            let end = ((number + 1) << self.shift).min(to);
            let list = &mut self.lists[number as usize];
            let (unit, of_lane) = (UNIT_BITS, UNIT_BITS + NODE_BITS);
            if lane == number << self.shift || lane == from {
                radix::sort(list, &mut self.scratch, unit, unit + node_bits, |&visit| visit);
                radix::sort(list, &mut self.scratch, of_lane, of_lane + self.shift, |&visit| visit);
            }
            let mut rest = &list[list.partition_point(|&visit| (visit >> of_lane) < u64::from(lane))..];
            while lane < end {
                row.clear();
                while let Some((&visit, others)) =
                    rest.split_first().filter(|(visit, _)| **visit >> of_lane == u64::from(lane))
                {
                    rest = others;
                    add(&mut row, Visits { node: (visit >> UNIT_BITS) as u32, units: visit as u32 & MOST_UNITS });
                }
                take(lane, &row);
                lane += 1;
            }
        }
    }
}

/// Appends visits to a list that ascends by node, or adds them to the last.
#[inline]
fn add(row: &mut Vec<Visits>, visits: Visits) {
    match row.last_mut() {
        Some(last) if last.node == visits.node => last.units = last.units.saturating_add(visits.units),
        _ => row.push(visits),
    }
}

/// What one worker noted for some lanes, lane by lane, ascending by node.
#[derive(Debug, Clone, Default)]
pub struct Sorted {
    visits: Vec<Visits>,
    /// Where each lane ends.
    ends: Vec<usize>,
    /// The lanes' numbers of walks, or 1 where the worker does not know them.
    walks: Vec<u32>,
}

/// Puts together what the worker that calls it noted for some lanes and what all others packed for them. `None` when the
/// parts make no sense.
#[must_use]
pub fn put_together(own: &Sorted, others: &[Packed]) -> Option<Packed> {
    let lanes = own.ends.len();
    let bytes: usize = others.iter().map(|part| part.bytes.len()).sum();
    let mut whole = Packed { ends: Vec::with_capacity(lanes), ..Packed::default() };
    whole.bytes.reserve(bytes + 2 * own.visits.len() + 3 * lanes);
    let (mut starts, mut begin) = (vec![0; others.len()], 0);
    let (mut row, mut merged) = (Vec::new(), Vec::new());
    for lane in 0..lanes {
        let mut walks = own.walks[lane];
        row.clear();
        row.extend_from_slice(&own.visits[begin..own.ends[lane]]);
        begin = own.ends[lane];
        for (part, start) in others.iter().zip(&mut starts) {
            let end = *part.ends.get(lane)? as usize;
            let fingerprint = Fingerprint::decode(part.bytes.get(*start..end)?)?;
            *start = end;
            walks = walks.max(fingerprint.walks);
            merged.clear();
            merge(&row, fingerprint, &mut merged)?;
            std::mem::swap(&mut row, &mut merged);
        }
        encode(walks, &row, &mut whole.bytes);
        whole.ends.push(u32::try_from(whole.bytes.len()).ok()?);
        whole.entries += row.len() as u64;
    }
    Some(whole)
}

/// Merges visits with those of a fingerprint. Big moves are noted where they are made, so that a node may be in both.
fn merge(row: &[Visits], fingerprint: Fingerprint<'_>, merged: &mut Vec<Visits>) -> Option<()> {
    merged.reserve(row.len() + fingerprint.entries as usize);
    let mut rest = row;
    let whole = fingerprint.for_each(|node, units| {
        while let Some((&first, others)) = rest.split_first().filter(|(first, _)| first.node <= node) {
            merged.push(first);
            rest = others;
        }
        add(merged, Visits { node, units });
    });
    merged.extend_from_slice(rest);
    whole.then_some(())
}
