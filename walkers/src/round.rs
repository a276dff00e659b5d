//! One round on one worker of a sharded graph: everything that stands on its nodes takes one step.
//!
//! The walks of up to [`MOST_LANES`] sources, a *block*, are under way together; a source's number in the block is its lane.
//! What stands on a node for a lane is one [`Arrival`], or several with the same node and lane, which count as one.
//!
//! ```text
//! sort arrivals by node                       a row is read once for all walks that stand on its node
//! for each node, for each lane that stands on it, c units in all:
//!   note the visit (lane, node, c)
//!   its points in the row ─▶ landings         ask for the slots' cache lines
//! for each landing made AHEAD landings ago:
//!   put (node, lane, units) into the box of the node's owner, or add it to what was put there last
//! ```
//!
//! The node of a long row (see [`crate::shard`]) belongs to no worker: what stands on it for a lane is added up at the lane's
//! home, which tells the holders of the parts that its points lie in; they take the step, half a round later.
//!
//! A [big move](crate::paths) passes nodes of other workers: their visits are noted where it is made.
//!
//! The arithmetic is the [kernel's](crate::kernel), and **what is visited is the same, however nodes and rows are spread over
//! workers** (test: `tests::any_spread_visits_the_same`).

use walkprint_engine::ids::NodeId;
use walkprint_engine::plan::{UNITS_PER_PACKET, UNITS_PER_WALK};
use walkprint_engine::prefetch::prefetch_near;

use crate::radix;
use crate::random::{SourceStream, at_node, at_step};
use crate::shard::ShardRows;
use crate::spread::{Landing, Survival};
use crate::visits::VisitLog;

/// The most sources whose walks are under way together.
pub const MOST_LANES: u32 = 1 << LANE_BITS;

const LANE_BITS: u32 = 20;
const UNIT_BITS: u32 = 12;
const MOST_UNITS: u32 = (1 << UNIT_BITS) - 1;

/// Landings under way between asking for a slot and reading it; groups between two looks at them.
const AHEAD: usize = 64;
const TOGETHER: usize = 16;
/// Arrivals between asking for what is read at their turn and their turn.
const COMING: usize = 32;
/// Below this many arrivals a comparison sort is faster.
const FEW: usize = 512;

/// Units that arrive on a place of one worker for a lane, in eight bytes: place, lane, units.
///
/// Places are the local numbers of own nodes, then the numbers of long rows, then those of their parts. More units than
/// fit travel as several.
pub type Arrival = u64;

#[expect(clippy::cast_possible_truncation, reason = "the parts of the number")]
fn take_apart(arrival: Arrival) -> (u32, u32, u32) {
    ((arrival >> 32) as u32, (arrival >> UNIT_BITS) as u32 & (MOST_LANES - 1), arrival as u32 & MOST_UNITS)
}

/// The sources of a block: their lanes' random numbers, and the plan's part in it.
#[derive(Debug, Clone)]
pub struct Lanes {
    states: Vec<u64>,
    survival: Survival,
}

impl Lanes {
    /// The lanes of the sources `first..end`, for the key of a plan.
    ///
    /// # Panics
    /// When there are more than [`MOST_LANES`].
    #[must_use]
    pub fn new(restart_prob: f64, rng_key: u64, first: NodeId, end: NodeId) -> Lanes {
        assert!(end - first <= MOST_LANES, "a block has at most {MOST_LANES} sources");
        let states = (first..end).map(|source| SourceStream::state(rng_key, source)).collect();
        Lanes { states, survival: Survival::new(restart_prob) }
    }

    /// How many there are.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a block has sources")]
    pub fn len(&self) -> u32 {
        u32::try_from(self.states.len()).expect("checked when they were made")
    }
}

/// What goes out to the workers, a box for each.
#[derive(Debug, Clone)]
pub struct Boxes(Vec<Vec<Arrival>>);

impl Boxes {
    /// Empty boxes for so many workers.
    #[must_use]
    pub fn new(workers: usize) -> Boxes {
        Boxes(vec![Vec::new(); workers])
    }

    /// The boxes, by worker. Whoever sends them leaves them empty.
    pub fn all(&mut self) -> &mut [Vec<Arrival>] {
        &mut self.0
    }

    /// Puts something into a worker's box, or adds it to what was put there last.
    #[inline]
    fn put(&mut self, worker: u32, place: u32, lane: u32, mut units: u32) {
        let own = &mut self.0[worker as usize];
        let key = u64::from(place) << 32 | u64::from(lane) << UNIT_BITS;
        if let Some(last) = own.last_mut()
            && *last ^ key <= u64::from(MOST_UNITS)
            && *last + u64::from(units) <= key + u64::from(MOST_UNITS)
        {
            *last += u64::from(units);
            return;
        }
        while MOST_UNITS < units {
            own.push(key | u64::from(MOST_UNITS));
            units -= MOST_UNITS;
        }
        own.push(key | u64::from(units));
    }
}

/// What leaves a worker in a round.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// What moves on: it arrives for the next step.
    pub next: Boxes,
    /// What stands on long rows, for the holders of their parts: it arrives within the same step.
    pub forward: Boxes,
}

impl Outgoing {
    /// Nothing yet, for so many workers.
    #[must_use]
    pub fn new(workers: usize) -> Outgoing {
        Outgoing { next: Boxes::new(workers), forward: Boxes::new(workers) }
    }
}

/// Units that stand together: an arrival, or several that count as one.
#[derive(Debug, Clone, Copy)]
struct Group {
    place: u32,
    lane: u32,
    units: u32,
}

/// What a worker needs to take rounds, reused from round to round.
#[derive(Debug, Default)]
pub struct Stepper {
    /// What has arrived, sorted.
    arrivals: Vec<Arrival>,
    scratch: Vec<Arrival>,
    landings: Vec<Landing>,
    steps: u64,
}

impl Stepper {
    /// The walks of the block's sources that this worker owns, on their sources.
    ///
    /// `walks` says how many walks a source of an out-degree has.
    pub fn begin(rows: &ShardRows, first: NodeId, end: NodeId, walks: impl Fn(u64) -> u32, boxes: &mut Boxes) {
        for source in first..end {
            let (owner, local) = rows.owners().find(source);
            if owner as usize == rows.worker() {
                let units = walks(rows.degree(local)) * UNITS_PER_WALK;
                let (worker, place) = address(rows, source, source - first);
                boxes.put(worker, place, source - first, units);
            }
        }
    }

    /// Moves made: one a landing, whatever its units.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Bytes held between rounds.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let arrivals = self.arrivals.capacity() + self.scratch.capacity();
        (arrivals * size_of::<Arrival>() + self.landings.capacity() * size_of::<Landing>()) as u64
    }

    /// Takes one step with everything that has arrived, in any number of lists.
    pub fn step(
        &mut self,
        rows: &ShardRows,
        lanes: &Lanes,
        step: u64,
        arrived: &[Vec<Arrival>],
        log: &mut VisitLog,
        out: &mut Outgoing,
    ) {
        let worker = rows.worker();
        let own_places = rows.owners().locals(worker);
        let long = u32::try_from(rows.long().len()).expect("long rows are few");
        let mut arrivals = std::mem::take(&mut self.arrivals);
        self.sort(arrived, &mut arrivals, own_places + 2 * long);
        self.landings.clear();
        let (slots, mut landed, mut since) = (rows.slots(), 0, 0);
        let mut rest = &mut *arrivals;
        while let Some(&first) = rest.first() {
            let place = take_apart(first).0;
            let together = rest.iter().take_while(|&&arrival| take_apart(arrival).0 == place).count();
            for &coming in rest.iter().skip(COMING).take(together) {
                let (place, lane, _) = take_apart(coming);
                rows.prefetch(place);
                prefetch_near(&lanes.states, lane as usize);
            }
            let (standing, behind) = rest.split_at_mut(together);
            rest = behind;
            if 1 < together {
                standing.sort_unstable();
            }
            let long_row = place.checked_sub(own_places).map(|at| (at % long.max(1)) as usize);
            let (node, row) = match long_row {
                None => (rows.node(place), rows.row(place)),
                Some(number) => (rows.long().rows()[number].node, rows.part(number)),
            };
            for group in standing.chunk_by(|one, other| one >> UNIT_BITS == other >> UNIT_BITS) {
                let lane = take_apart(group[0]).1;
                let units = group.iter().fold(0u32, |sum, &arrival| sum.saturating_add(take_apart(arrival).2));
                let point = at_node(at_step(lanes.states[lane as usize], step), node);
                if place < own_places + long {
                    log.push(lane, node, units);
                    if long_row.is_some() {
                        let group = Group { place: place - own_places, lane, units };
                        forward(rows, lanes.survival, group, point, &mut out.forward);
                        continue;
                    }
                }
                let big_move = if long_row.is_none() { slots.big_move(lanes.survival, place, units) } else { None };
                let row = big_move.unwrap_or(row);
                if units == UNITS_PER_PACKET {
                    let (landing, lands) = lanes.survival.packet(row, lane, point);
                    if lands {
                        slots.prefetch(landing.slot);
                        self.landings.push(landing);
                    }
                } else {
                    lanes.survival.spread(&mut self.landings, slots, row, lane, units, point);
                }
                since += 1;
                if since == TOGETHER {
                    since = 0;
                    self.land(rows, &mut landed, AHEAD, log, &mut out.next);
                }
            }
        }
        self.land(rows, &mut landed, 0, log, &mut out.next);
        self.arrivals = arrivals;
    }

    /// By place. What stands on one place is sorted by lane when its turn comes: mostly that is a handful.
    fn sort(&mut self, arrived: &[Vec<Arrival>], arrivals: &mut Vec<Arrival>, places: u32) {
        if arrived.iter().map(Vec::len).sum::<usize>() < FEW {
            arrivals.clear();
            arrived.iter().for_each(|list| arrivals.extend_from_slice(list));
            arrivals.sort_unstable();
        } else {
            let bits = u32::BITS - places.saturating_sub(1).leading_zeros();
            radix::gather(arrived, arrivals, &mut self.scratch, 32, 32 + bits, |&arrival| arrival);
        }
    }

    /// Puts all landings but the last few, whose slots are still on their way, into the boxes; notes what a big move
    /// passed.
    fn land(&mut self, rows: &ShardRows, landed: &mut usize, but: usize, log: &mut VisitLog, next: &mut Boxes) {
        let end = self.landings.len().saturating_sub(but).max(*landed);
        let slots = rows.slots();
        for landing in &self.landings[*landed..end] {
            let pass = |node| {
                log.push(landing.lane, node, landing.units);
                self.steps += 1;
            };
            if let Some(node) = slots.land(landing, pass) {
                let (worker, place) = address(rows, node, landing.lane);
                next.put(worker, place, landing.lane, landing.units);
                self.steps += 1;
            }
        }
        *landed = end;
    }
}

/// Tells the holders of the parts of a long row, whose number is the group's place, in which of them its points lie.
fn forward(rows: &ShardRows, survival: Survival, group: Group, point: f64, boxes: &mut Boxes) {
    let Group { place: number, lane, units } = group;
    let long = rows.long();
    let count = u32::try_from(long.len()).expect("long rows are few");
    let mut tell = |holder: u32| {
        boxes.put(holder, rows.owners().locals(holder as usize) + count + number, lane, units);
    };
    let mut told = None;
    survival.places(long.rows()[number as usize].degree, units, point, |place| match place {
        None => (0u32..).take(rows.owners().workers()).for_each(&mut tell),
        Some(place) => {
            let holder = Some(long.holder(number as usize, place));
            if told != holder {
                holder.into_iter().for_each(&mut tell);
                told = holder;
            }
        }
    });
}

/// Who adds up what stands on a node for a lane, and under which place.
#[inline]
fn address(rows: &ShardRows, node: NodeId, lane: u32) -> (u32, u32) {
    match rows.long().find(node) {
        None => rows.owners().find(node),
        Some(number) => {
            let home = rows.long().home(number, lane);
            (home, rows.owners().locals(home as usize) + u32::try_from(number).expect("long rows are few"))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use walkprint_engine::edges::EdgeList;
    use walkprint_engine::graph::{CHUNK, Graph, NodeOrder, Owners, build};
    use walkprint_engine::ids::ExternalIds;
    use walkprint_engine::plan::Plan;

    use super::*;
    use crate::alias;
    use crate::kernel::Walkable;
    use crate::paths::{Found, PathRows};
    use crate::shard::{LongRow, LongRows, RowSlots};
    use crate::tally::{Packed, Walker};
    use crate::visits::{Sorted, put_together};

    /// A hub with an edge to every node and from many, a ring with chords, some dangling nodes.
    fn graph(nodes: u32, weighted: bool) -> Graph {
        let mut edges: Vec<(u32, u32)> = (0..nodes).map(|node| (7, node)).collect();
        for node in (0..nodes).filter(|node| node % 13 != 5) {
            edges.extend([(node, (node + 1) % nodes), (node, node * 31 % nodes)]);
            edges.extend((node % 3 == 0).then_some((node, 7)));
        }
        let weight = |&(source, target): &(u32, u32)| f64::from((source * 31 + target) % 5 + 1);
        let list = EdgeList {
            ids: ExternalIds::Integers((0..i64::from(nodes)).collect()),
            sources: edges.iter().map(|edge| edge.0).collect(),
            targets: edges.iter().map(|edge| edge.1).collect(),
            // Parallel edges would make an unweighted graph weighted: then some are left out.
            weights: weighted.then(|| edges.iter().map(weight).collect()),
            kinds: Default::default(),
        };
        let graph = build(list, NodeOrder::Id).unwrap().graph;
        if graph.is_weighted() {
            let slots = alias::tables(&graph).unwrap();
            return graph.with_aliases(slots);
        }
        graph
    }

    /// All rounds of all workers, without dataflow.
    fn walk(graph: &Graph, plan: &Plan, workers: usize, longest: u64, first: u32, end: u32) -> Packed {
        let nodes = u32::try_from(graph.nodes()).unwrap();
        let costs: Vec<u64> = (0..u64::from(nodes.div_ceil(CHUNK))).map(|chunk| 1 + chunk * 7 % 5).collect();
        let owners = Arc::new(Owners::deal(nodes, &costs, workers));
        let longest = longest.max(plan.big_moves.into());
        let long = (0..nodes).filter(|&node| longest < graph.degree(node));
        let long = long.map(|node| LongRow { node, degree: u32::try_from(graph.degree(node)).unwrap() }).collect();
        let long = Arc::new(LongRows::new(long, workers));
        let checked = graph.walk_rows().checked().unwrap();
        let with_paths = |rows: ShardRows| {
            let row = |node| Found::among(RowSlots::whole(&checked, node), plan);
            let own = owners.nodes_of(rows.worker());
            rows.with_paths(PathRows::new(plan, own, row, &mut Vec::new()).unwrap())
        };
        let collect = |worker| {
            let row = |node, from, to| RowSlots::of(graph, node, from, to);
            ShardRows::collect(&owners, worker, &long, graph.is_weighted(), |node| graph.degree(node), row)
        };
        let rows: Vec<ShardRows> = (0..workers).map(|worker| with_paths(collect(worker).unwrap().unwrap())).collect();
        let lanes = Lanes::new(plan.restart_prob, plan.rng_key, first, end);
        let mut logs = vec![VisitLog::new(end - first); workers];
        let mut steppers: Vec<Stepper> = (0..workers).map(|_| Stepper::default()).collect();
        let mut out = Outgoing::new(workers);
        rows.iter().for_each(|rows| Stepper::begin(rows, first, end, |degree| plan.walks_of(degree), &mut out.next));
        for step in 0.. {
            let mut arrived = std::mem::replace(&mut out.next, Boxes::new(workers));
            if arrived.all().iter().all(Vec::is_empty) {
                break;
            }
            for _half in 0..2 {
                for worker in 0..workers {
                    let (log, arrivals) = (&mut logs[worker], &arrived.all()[worker]);
                    let lists: Vec<Vec<Arrival>> = arrivals.chunks(700).map(<[Arrival]>::to_vec).collect();
                    steppers[worker].step(&rows[worker], &lanes, step, &lists, log, &mut out);
                }
                arrived = std::mem::replace(&mut out.forward, Boxes::new(workers));
            }
        }
        let walks_of = |rows: &ShardRows, lane| {
            let (owner, local) = owners.find(first + lane);
            (owner as usize == rows.worker()).then(|| plan.walks_of(rows.degree(local)))
        };
        // The last worker puts together; a list that is cut is sorted again.
        let (last, others) = logs.split_last_mut().unwrap();
        let mut own = Sorted::default();
        last.sort(0, 3, nodes, |_| None, &mut own); // written over
        last.sort(0, end - first, nodes, |lane| walks_of(rows.last().unwrap(), lane), &mut own);
        let parts: Vec<Packed> = rows
            .iter()
            .zip(others)
            .map(|(rows, log)| {
                let walks = |lane| walks_of(rows, lane);
                let mut packed = log.pack(0, 9, nodes, walks);
                let rest = log.pack(9, end - first, nodes, walks);
                let at = u32::try_from(packed.bytes.len()).unwrap();
                packed.bytes.extend(rest.bytes);
                packed.ends.extend(rest.ends.iter().map(|end| at + end));
                packed.entries += rest.entries;
                packed
            })
            .collect();
        let mut whole = put_together(&own, &parts).unwrap();
        whole.steps = steppers.iter().map(Stepper::steps).sum();
        whole
    }

    proptest! {
            #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
            #[test]
            fn any_spread_visits_the_same(
                weighted: bool,
                workers in 1usize..5,
                longest in prop::sample::select(vec![2u64, 50, 10_000]),
                walks in prop::sample::select(vec![1u32, 16, 700]),
                walks_per_edge in prop::sample::select(vec![0.0, 1.0, 20.0]),
                restart_prob in prop::sample::select(vec![0.05, 0.15, 0.6, 1.0]),
                rng_key: u64,
                big_moves in prop::sample::select(vec![0u32, 3, 12, 200]),
            ) {
                let graph = graph(700, weighted);
                let plan = Plan { walks, walks_per_edge, restart_prob, rng_key, big_moves };
                let rows = graph.walk_rows().checked().unwrap();
                let paths = PathRows::of(&rows, &plan).unwrap();
    if restart_prob < 0.3 && big_moves != 3 {
                    prop_assert_eq!(paths.nodes() == 0, big_moves == 0, "the graph has small nodes");
                }
                let walkable = Walkable::new(&rows).with_paths(Some(&paths));
                let expected = Walker::default().fingerprints(walkable, &plan, 0, 60);
                let got = walk(&graph, &plan, workers, longest, 0, 60);
                prop_assert_eq!(&got.ends, &expected.ends);
                prop_assert_eq!((got.entries, &got.bytes, got.steps), (expected.entries, &expected.bytes, expected.steps));
            }
        }
}
