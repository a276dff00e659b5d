//! What the walks of a sharded graph read on one worker: the rows of the nodes it owns, and parts of long rows.
//!
//! A row longer than a block is cut into parts that are spread over all workers, and what stands on its node is dealt to
//! workers by source. (DESIGN, section 6, has a tree of alias tables there: a root that chooses a block, and a table for
//! each. With evenly spaced points in one table of equally wide slots the root is plain arithmetic: a point's place says which
//! part it lies in. So the cut changes no draw, and the stop is a part of the same line.)

use std::io;
use std::sync::Arc;

use walkprint_engine::file::{Element, Room};
use walkprint_engine::graph::{AliasSlot, CheckedRows, Graph, Owners, Steps};
use walkprint_engine::ids::NodeId;
use walkprint_engine::prefetch::prefetch_near;

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
    slots: HeldSlots,
    /// Big moves, by local number.
    paths: Option<PathRows>,
}

/// Targets or alias slots of some rows.
#[derive(Debug, Clone)]
pub enum OwnSlots {
    /// One target an edge, all equally likely.
    Plain(Vec<NodeId>),
    /// One alias slot an edge.
    Alias(Vec<AliasSlot>),
}

impl OwnSlots {
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

    /// All of them.
    #[must_use]
    pub fn all(&self) -> RowSlots<'_> {
        RowSlots(match self {
            OwnSlots::Plain(all) => Steps::Plain(all),
            OwnSlots::Alias(all) => Steps::Alias(all),
        })
    }

    /// Bytes of one.
    #[must_use]
    pub fn width(weighted: bool) -> usize {
        if weighted { size_of::<AliasSlot>() } else { size_of::<NodeId>() }
    }
}

/// All slots of a worker, in huge pages: walks read them here and there.
type HeldSlots = Steps<Arc<Room<NodeId>>, Arc<Room<AliasSlot>>>;

/// Room for slots, filled from the front.
struct Filling<T> {
    room: Room<T>,
    filled: usize,
}

impl<T: Element> Filling<T> {
    fn new(length: usize) -> io::Result<Filling<T>> {
        Ok(Filling { room: Room::new(length)?, filled: 0 })
    }

    /// `None` when there is no room for as many.
    fn extend(&mut self, from: &[T]) -> Option<()> {
        let end = self.filled + from.len();
        self.room.get_mut(self.filled..end)?.copy_from_slice(from);
        self.filled = end;
        Some(())
    }

    /// `None` when some is missing.
    fn full(self) -> Option<Arc<Room<T>>> {
        (self.filled == self.room.len()).then(|| Arc::new(self.room))
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
    /// The same rows with the big moves of own nodes, by local number, which the plan asks for.
    #[must_use]
    pub fn with_paths(self, paths: PathRows) -> ShardRows {
        ShardRows { paths: Some(paths), ..self }
    }

    /// Whether edges have weights.
    #[must_use]
    pub fn is_weighted(&self) -> bool {
        matches!(self.slots, Steps::Alias(_))
    }

    /// The slots of an own node's row, by local number; those of a long row are not here.
    #[must_use]
    pub fn slots_of(&self, local: u32) -> RowSlots<'_> {
        #[expect(clippy::cast_possible_truncation, reason = "checked rows lie inside a slice")]
        let range = self.offsets[local as usize] as usize..self.offsets[local as usize + 1] as usize;
        RowSlots(match self.view() {
            Steps::Plain(targets) => Steps::Plain(&targets[range]),
            Steps::Alias(slots) => Steps::Alias(&slots[range]),
        })
    }

    /// A worker's rows, put together from wherever they are: `degree` of own nodes, and `find` for the places of a row. `None`
    /// when one is not found, does not fit, or leads outside the graph.
    ///
    /// # Errors
    /// When there is no memory.
    pub fn collect<'a>(
        owners: &Arc<Owners>,
        worker: usize,
        long: &Arc<LongRows>,
        weighted: bool,
        degree: impl Fn(NodeId) -> u64,
        find: impl Fn(NodeId, u32, u32) -> Option<RowSlots<'a>>,
    ) -> io::Result<Option<ShardRows>> {
        let mut offsets = Vec::with_capacity(owners.locals(worker) as usize + 1);
        offsets.push(0);
        let mut length = 0;
        for node in owners.nodes_of(worker) {
            length += if long.find(node).is_some() { 0 } else { degree(node) };
            offsets.push(length);
        }
        let mut parts = vec![length];
        for number in 0..long.len() {
            let (from, to) = long.part(number, worker);
            parts.push(parts[number] + u64::from(to - from));
        }
        let own = owners.nodes_of(worker).filter(|&node| long.find(node).is_none());
        let own = own.map(|node| (node, 0, u32::try_from(degree(node)).unwrap_or(u32::MAX)));
        let of_long = (0..long.len()).map(|number| (long.rows()[number].node, long.part(number, worker)));
        let all = own.chain(of_long.map(|(node, (from, to))| (node, from, to))).filter(|(_, from, to)| from < to);
        let mut all = all.map(|(node, from, to)| find(node, from, to).map(|row| row.steps()));
        let length = usize::try_from(parts[long.len()]).unwrap_or(usize::MAX);
        let nodes = owners.nodes();
        let slots = if weighted {
            let mut slots = Filling::new(length)?;
            let inside =
                |slot: &AliasSlot| slot.target < nodes && slot.alias < nodes && (0.0..=1.0).contains(&slot.share);
            let row = |row: Option<StepSlots<'_>>| match row {
                Some(Steps::Alias(row)) if row.iter().all(inside) => slots.extend(row),
                _ => None,
            };
            all.try_for_each(row).and_then(|()| slots.full()).map(Steps::Alias)
        } else {
            let mut slots = Filling::new(length)?;
            let row = |row: Option<StepSlots<'_>>| match row {
                Some(Steps::Plain(row)) if row.iter().all(|&target| target < nodes) => slots.extend(row),
                _ => None,
            };
            all.try_for_each(row).and_then(|()| slots.full()).map(Steps::Plain)
        };
        let (owners, long) = (Arc::clone(owners), Arc::clone(long));
        Ok(slots.map(|slots| ShardRows { owners, worker, long, offsets, parts, slots, paths: None }))
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
        let slots = match self.view() {
            Steps::Plain(targets) => size_of_val(targets),
            Steps::Alias(slots) => size_of_val(slots),
        };
        (size_of_val(&*self.offsets) + slots) as u64 + self.paths.as_ref().map_or(0, PathRows::bytes)
    }

    /// The node with a local number.
    #[inline]
    #[must_use]
    pub fn node(&self, local: u32) -> NodeId {
        self.owners.node(self.worker, local)
    }

    /// Asks for what [`row`](ShardRows::row) will read. Does nothing for other places.
    #[inline]
    pub(crate) fn prefetch(&self, place: u32) {
        prefetch_near(&self.offsets, place as usize);
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
        Slots::new(self.view(), self.paths.as_ref())
    }

    fn view(&self) -> StepSlots<'_> {
        match &self.slots {
            Steps::Plain(targets) => Steps::Plain(targets),
            Steps::Alias(slots) => Steps::Alias(slots),
        }
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
