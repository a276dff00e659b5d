//! What the walks of a sharded graph read on one worker: the rows of the nodes it owns, and parts of long rows.
//!
//! A row longer than a block is cut into parts that are spread over all workers, and what stands on its node is dealt to
//! workers by source. (DESIGN, section 6, has a tree of alias tables there: a root that chooses a block, and a table for
//! each. With evenly spaced points in one table of equally wide slots the root is plain arithmetic: a point's place says which
//! part it lies in. So the cut changes no draw, and the stop is a part of the same line.)

use std::sync::Arc;

use walkprint_engine::graph::{AliasSlot, CheckedRows, Graph, Owners, Steps};
use walkprint_engine::ids::NodeId;

use crate::paths::PathRows;
use crate::spread::{Row, Slots, StepSlots};

/// A row that is cut into parts: every worker has one, and some may be empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LongRow {
    /// The node.
    pub node: NodeId,
    /// Its out-degree.
    pub degree: u32,
}

/// All rows that are cut, the same on every worker.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LongRows {
    /// Ascending by node.
    rows: Vec<LongRow>,
    workers: u32,
}

impl LongRows {
    /// Long rows, ascending by node, of a graph that is spread over so many workers.
    #[must_use]
    pub fn new(rows: Vec<LongRow>, workers: usize) -> LongRows {
        LongRows { rows, workers: u32::try_from(workers).expect("workers are threads") }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// True when no row is cut.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The rows.
    #[must_use]
    pub fn rows(&self) -> &[LongRow] {
        &self.rows
    }

    /// A node's place among them, if its row is cut.
    #[inline]
    #[must_use]
    pub fn find(&self, node: NodeId) -> Option<usize> {
        if self.rows.is_empty() {
            return None;
        }
        self.rows.binary_search_by_key(&node, |row| row.node).ok()
    }

    /// Who adds up what stands on the node of a long row for a source.
    #[inline]
    #[must_use]
    pub fn home(&self, number: usize, lane: u32) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "any spread will do")]
        let turn = lane.wrapping_add(number as u32);
        turn % self.workers
    }

    /// The places of a long row that a worker holds.
    #[must_use]
    pub fn part(&self, number: usize, worker: usize) -> (u32, u32) {
        let degree = u64::from(self.rows[number].degree);
        let cut = |worker: usize| {
            u32::try_from(degree * worker as u64 / u64::from(self.workers)).expect("at most the degree")
        };
        (cut(worker), cut(worker + 1))
    }

    /// Who holds a place of a long row.
    #[inline]
    #[must_use]
    pub fn holder(&self, number: usize, place: u32) -> u32 {
        let degree = u64::from(self.rows[number].degree);
        // The last worker whose part begins at or before the place: part w begins at degree * w / workers, rounded down.
        let mut worker = (u64::from(place) + 1).saturating_mul(u64::from(self.workers)).div_ceil(degree.max(1)) - 1;
        worker = worker.min(u64::from(self.workers) - 1);
        u32::try_from(worker).expect("workers are threads")
    }
}

/// The rows that one worker holds.
#[derive(Debug, Clone)]
pub struct ShardRows {
    owners: Arc<Owners>,
    worker: usize,
    long: Arc<LongRows>,
    /// Where each row begins, by local number; long rows are empty here.
    offsets: Vec<u64>,
    /// Where this worker's part of each long row begins.
    parts: Vec<u64>,
    /// Own rows, then parts of long ones.
    slots: OwnSlots,
    /// Big moves, by local number.
    paths: Option<PathRows>,
}

/// Targets or alias slots.
#[derive(Debug, Clone)]
pub enum OwnSlots {
    /// One target an edge, all equally likely.
    Plain(Vec<NodeId>),
    /// One alias slot an edge.
    Alias(Vec<AliasSlot>),
}

impl OwnSlots {
    /// No slots yet, of the kind that a graph has.
    #[must_use]
    pub fn empty(weighted: bool) -> OwnSlots {
        if weighted { OwnSlots::Alias(Vec::new()) } else { OwnSlots::Plain(Vec::new()) }
    }

    /// Room for exactly so many more.
    pub fn reserve(&mut self, slots: usize) {
        match self {
            OwnSlots::Plain(all) => all.reserve_exact(slots),
            OwnSlots::Alias(all) => all.reserve_exact(slots),
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            OwnSlots::Plain(all) => all.len(),
            OwnSlots::Alias(all) => all.len(),
        }
    }

    /// True when there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends some. `None` when these are of another kind.
    fn extend(&mut self, from: RowSlots<'_>) -> Option<()> {
        match (self, from.0) {
            (OwnSlots::Plain(all), Steps::Plain(targets)) => all.extend_from_slice(targets),
            (OwnSlots::Alias(all), Steps::Alias(slots)) => all.extend_from_slice(slots),
            _ => return None,
        }
        Some(())
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> RowSlots<'_> {
        RowSlots(self.view())
    }

    /// Bytes of one.
    #[must_use]
    pub fn width(weighted: bool) -> usize {
        if weighted { size_of::<AliasSlot>() } else { size_of::<NodeId>() }
    }

    fn view(&self) -> StepSlots<'_> {
        match self {
            OwnSlots::Plain(all) => Steps::Plain(all),
            OwnSlots::Alias(all) => Steps::Alias(all),
        }
    }
}

/// Slots of one row, or of some of its places.
#[derive(Debug, Clone, Copy)]
pub struct RowSlots<'a>(StepSlots<'a>);

impl<'a> RowSlots<'a> {
    /// The places `from..to` of a row of a graph. `None` when the row has no such places, or is damaged.
    #[must_use]
    pub fn of(graph: &'a Graph, row: u32, from: u32, to: u32) -> Option<RowSlots<'a>> {
        let (&start, &end) = (graph.offsets().get(row as usize)?, graph.offsets().get(row as usize + 1)?);
        let (first, last) = (start.checked_add(from.into())?, start.checked_add(to.into())?);
        let range = usize::try_from(first).ok()?..usize::try_from(last).ok()?;
        if end < last {
            return None;
        }
        Some(RowSlots(match graph.steps()? {
            Steps::Plain(targets) => Steps::Plain(targets.get(range)?),
            Steps::Alias(slots) => Steps::Alias(slots.get(range)?),
        }))
    }

    /// A node's row.
    #[must_use]
    pub fn whole(checked: &'a CheckedRows, node: NodeId) -> RowSlots<'a> {
        let (rows, node) = (checked.rows(), node as usize);
        #[expect(clippy::cast_possible_truncation, reason = "checked rows lie inside a slice")]
        let range = rows.offsets()[node] as usize..rows.offsets()[node + 1] as usize;
        RowSlots(match rows.steps() {
            Steps::Plain(targets) => Steps::Plain(&targets[range]),
            Steps::Alias(slots) => Steps::Alias(&slots[range]),
        })
    }

    /// How many there are.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "nobody asks")]
    pub fn len(&self) -> usize {
        match self.0 {
            Steps::Plain(targets) => targets.len(),
            Steps::Alias(slots) => slots.len(),
        }
    }

    /// The slots.
    #[must_use]
    pub fn steps(&self) -> Steps<&'a [NodeId], &'a [AliasSlot]> {
        self.0
    }
}

impl ShardRows {
    /// Rows that were put together: `offsets` by local number, and `slots` of own rows, then of parts of long rows. `None`
    /// when they do not fit together, or lead outside the graph.
    #[must_use]
    pub fn new(
        owners: &Arc<Owners>,
        worker: usize,
        long: &Arc<LongRows>,
        offsets: Vec<u64>,
        slots: OwnSlots,
    ) -> Option<ShardRows> {
        let mut end = *offsets.last()?;
        let mut parts = Vec::with_capacity(long.len());
        for number in 0..long.len() {
            parts.push(end);
            let (from, to) = long.part(number, worker);
            end += u64::from(to - from);
        }
        let nodes = owners.nodes();
        let inside = match &slots {
            OwnSlots::Plain(all) => all.iter().all(|&target| target < nodes),
            OwnSlots::Alias(all) => {
                all.iter().all(|slot| slot.target < nodes && slot.alias < nodes && (0.0..=1.0).contains(&slot.share))
            }
        };
        let fits =
            end == slots.len() as u64 && offsets.is_sorted() && offsets.len() == owners.nodes_of(worker).count() + 1;
        (inside && fits).then(|| ShardRows {
            owners: Arc::clone(owners),
            worker,
            long: Arc::clone(long),
            offsets,
            parts,
            slots,
            paths: None,
        })
    }

    /// The same rows with the big moves of own nodes, by local number, which the plan asks for.
    #[must_use]
    pub fn with_paths(self, paths: PathRows) -> ShardRows {
        ShardRows { paths: Some(paths), ..self }
    }

    /// Whether edges have weights.
    #[must_use]
    pub fn is_weighted(&self) -> bool {
        matches!(self.slots, OwnSlots::Alias(_))
    }

    /// The slots of an own node's row, by local number; those of a long row are not here.
    #[must_use]
    pub fn slots_of(&self, local: u32) -> RowSlots<'_> {
        #[expect(clippy::cast_possible_truncation, reason = "checked rows lie inside a slice")]
        let range = self.offsets[local as usize] as usize..self.offsets[local as usize + 1] as usize;
        RowSlots(match self.slots.view() {
            Steps::Plain(targets) => Steps::Plain(&targets[range]),
            Steps::Alias(slots) => Steps::Alias(&slots[range]),
        })
    }

    /// A worker's rows, copied from a graph that this process can read. `None` when a row is damaged. Cost: own rows are
    /// read once.
    #[must_use]
    pub fn of(graph: &Graph, owners: &Arc<Owners>, worker: usize, long: &Arc<LongRows>) -> Option<ShardRows> {
        let find = |node, from, to| RowSlots::of(graph, node, from, to);
        ShardRows::collect(owners, worker, long, graph.is_weighted(), |node| graph.degree(node), find)
    }

    /// A worker's rows, put together from wherever they are: `degree` of own nodes, and `find` for the places of a row. `None`
    /// when one is not found or does not fit.
    #[must_use]
    pub fn collect<'a>(
        owners: &Arc<Owners>,
        worker: usize,
        long: &Arc<LongRows>,
        weighted: bool,
        degree: impl Fn(NodeId) -> u64,
        find: impl Fn(NodeId, u32, u32) -> Option<RowSlots<'a>>,
    ) -> Option<ShardRows> {
        let mut offsets = Vec::with_capacity(owners.locals(worker) as usize + 1);
        offsets.push(0);
        let mut length = 0;
        for node in owners.nodes_of(worker) {
            length += if long.find(node).is_some() { 0 } else { degree(node) };
            offsets.push(length);
        }
        let parts = || (0..long.len()).map(|number| (long.rows()[number].node, long.part(number, worker)));
        let of_parts: u64 = parts().map(|(_, (from, to))| u64::from(to - from)).sum();
        let mut slots = OwnSlots::empty(weighted);
        slots.reserve(usize::try_from(length + of_parts).ok()?);
        for node in owners.nodes_of(worker).filter(|&node| long.find(node).is_none()) {
            match u32::try_from(degree(node)).ok()? {
                0 => {}
                degree => slots.extend(find(node, 0, degree)?)?,
            }
        }
        for (node, (from, to)) in parts().filter(|(_, (from, to))| from < to) {
            slots.extend(find(node, from, to)?)?;
        }
        ShardRows::new(owners, worker, long, offsets, slots)
    }

    /// Who owns which node.
    #[must_use]
    pub fn owners(&self) -> &Arc<Owners> {
        &self.owners
    }

    /// The rows that are cut.
    #[must_use]
    pub fn long(&self) -> &Arc<LongRows> {
        &self.long
    }

    /// Whose rows these are.
    #[must_use]
    pub fn worker(&self) -> usize {
        self.worker
    }

    /// The out-degree of an own node, by local number.
    #[must_use]
    pub fn degree(&self, local: u32) -> u64 {
        let here = self.offsets[local as usize + 1] - self.offsets[local as usize];
        match self.long.find(self.owners.node(self.worker, local)) {
            Some(number) => self.long.rows()[number].degree.into(),
            None => here,
        }
    }

    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let slots = match &self.slots {
            OwnSlots::Plain(all) => size_of_val(&**all),
            OwnSlots::Alias(all) => size_of_val(&**all),
        };
        (size_of_val(&*self.offsets) + slots) as u64 + self.paths.as_ref().map_or(0, PathRows::bytes)
    }

    /// The node with a local number.
    #[inline]
    #[must_use]
    pub fn node(&self, local: u32) -> NodeId {
        self.owners.node(self.worker, local)
    }

    #[inline]
    pub(crate) fn row(&self, local: u32) -> Row {
        Row::whole(self.offsets[local as usize], self.offsets[local as usize + 1])
    }

    /// This worker's part of a long row.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "checked rows lie inside a slice")]
    pub(crate) fn part(&self, number: usize) -> Row {
        let (from, to) = self.long.part(number, self.worker);
        Row::part(self.parts[number] as usize, self.long.rows()[number].degree, from, to)
    }

    pub(crate) fn slots(&self) -> Slots<'_> {
        Slots::new(self.slots.view(), self.paths.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_place_of_a_long_row_has_one_holder(degree in 1u32..2_000, workers in 1usize..9) {
            let long = LongRows::new(vec![LongRow { node: 5, degree }], workers);
            let mut next = 0;
            for worker in 0..workers {
                let (from, to) = long.part(0, worker);
                prop_assert_eq!(from, next);
                for place in from..to {
                    prop_assert_eq!(long.holder(0, place) as usize, worker);
                }
                next = to;
            }
            prop_assert_eq!(next, degree);
        }
    }
}
