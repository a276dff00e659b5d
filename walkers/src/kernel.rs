//! The walk kernel: all walks of a few sources, one step at a time, until none is left.
//!
//! **Definition.** A source *u* sends `R` walks. At each step a walk ends with probability `a` (`restart_prob`), ends
//! at a dangling node, or moves to a neighbour with probability `P(x, v)`. Every node touched counts a visit, the
//! source's own first ones included.
//!
//! **Variant: walks that spread instead of clumping** (DESIGN, section 2). What stands on node `x` at step `t` is one
//! group of `c` units, eight to a walk. Lay the neighbours' shares `w P(x, v)`, `w = c (1 - a)`, one after the other on
//! a line of length `w`, draw *one* number `p` for `(u, t, x)`, and put a point at `p, p + s, p + 2 s, ...` below `w`;
//! each point sends `s` units to the neighbour whose share it hits. (Systematic sampling: a neighbour gets its share up
//! to one `s`, and stopping and moving are decided together.)
//!
//! - Where the average share is at least a packet, `s = 1` unit: the group splits almost exactly as `P` says.
//! - Elsewhere `s` = one packet = six units: a quarter less than a walk, so that the steps which the fine splitting
//!   saves near the source are spent on more paths further out.
//!
//! **Unbiased**: the expected units that reach `v` from a group are `c (1 - a) P(x, v)`, whatever `s`, because `p` is
//! uniform given all earlier steps; so the expected units at step `t + 1` are those of independent walks, and by
//! linearity the expected visits are. **No walk is cut**: the loop ends when nothing is left.
//!
//! ```text
//! while any group is left:
//!   for each group (u, x, c):                        row bounds were asked for when the group was made
//!     for each point: landing (u, slot, units)       ask for the slot's cache line
//!     for each landing made AHEAD landings ago:      its slot has come by now
//!       v = target;  cell(u, v).visits += units;  add units to the group (u, v) of the next step
//! ```
//!
//! Where few paths lead away from a node and the plan says so, a point of a group that is too small to be split chooses a
//! whole path instead of an edge: a [big move](crate::paths).
//!
//! Walks that meet on a node merge into one group, so a row is read once for all of them. Units of several sources
//! travel in one table of cells, keyed by (lane, node), because one source alone has too few groups to hide the
//! memory's latency behind one another.

use walkprint_engine::graph::{AliasSlot, CheckedRows, Steps};
use walkprint_engine::ids::NodeId;
use walkprint_engine::plan::{Plan, UNITS_PER_PACKET, UNITS_PER_WALK};
use walkprint_engine::prefetch::{prefetch, prefetch_near};

use crate::paths::{MOST_STEPS, PathRows};
use crate::random::{SourceStream, at_node};
use crate::spread::{Landing, Row, Slots, Survival, target_at};

/// A view of rows that were checked, so that the kernel may follow edges without looking back.
#[derive(Debug, Clone, Copy)]
pub struct Walkable<'g> {
    offsets: &'g [u64],
    steps: Steps<&'g [NodeId], &'g [AliasSlot]>,
    paths: Option<&'g PathRows>,
}

impl<'g> Walkable<'g> {
    /// A view. Cost: constant.
    #[must_use]
    pub fn new(checked: &'g CheckedRows) -> Walkable<'g> {
        Walkable { offsets: checked.rows().offsets(), steps: checked.rows().steps(), paths: None }
    }

    /// The same rows with the big moves of all nodes, which the plan asks for.
    #[must_use]
    pub fn with_paths(self, paths: Option<&'g PathRows>) -> Walkable<'g> {
        Walkable { paths, ..self }
    }

    /// A node's out-degree.
    #[must_use]
    pub fn degree(&self, node: NodeId) -> u64 {
        self.offsets[node as usize + 1] - self.offsets[node as usize]
    }

    /// How many nodes there are.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.offsets.len() - 1
    }

    /// A neighbour drawn with 64 random bits; `None` at a dangling node.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the high and the low half of a product")]
    pub fn neighbour(&self, node: NodeId, bits: u64) -> Option<NodeId> {
        let (start, end) = (self.offsets[node as usize], self.offsets[node as usize + 1]);
        let product = u128::from(bits) * u128::from(end - start);
        (start != end).then(|| {
            let part = product as u64 as f64 / 18_446_744_073_709_551_616.0;
            target_at(self.steps, start as usize + (product >> 64) as usize, part)
        })
    }
}

/// What one source's walks left on one node.
#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    /// Lane and node; meaningless while `visits` is zero, which says that the cell is free.
    key: u64,
    visits: u32,
    /// Where the group of this cell stands among those of the next step, if one does: then that group has this key.
    group: u32,
}

/// Units that stand on a node.
#[derive(Debug, Clone, Copy)]
struct Group {
    key: u64,
    units: u32,
}

/// How many landings are under way between asking for a slot and reading it: more than the processor can fetch at a
/// time, so that it always fetches, and counting what landed takes place meanwhile.
const AHEAD: usize = 48;

/// How many groups leave before landings are counted again.
const TOGETHER: usize = 16;

/// The kernel's memory, reused from call to call.
#[derive(Debug, Default)]
pub struct Kernel {
    cells: Vec<Cell>,
    used: Vec<u32>,
    groups: Vec<Group>,
    next: Vec<Group>,
    landings: Vec<Landing>,
    arrivals: Vec<Group>,
    /// What passed a node on a big move, or ended there.
    passed: Vec<Group>,
    streams: Vec<SourceStream>,
    numbers: Vec<u64>,
    node_bits: u32,
    steps: u64,
}

/// One (lane, node, units) of the result. Keys ascend by lane, then node: see [`Kernel::lane_and_node`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Visited {
    /// The place of the source in the list of sources, and the node, in as few bits as hold both.
    pub key: u64,
    /// The visits, in units.
    pub units: u32,
}

impl Kernel {
    /// Walks all walks of `sources` to their end and appends what they visited to `visited`, in no particular order.
    ///
    /// Memory: 16 bytes a cell, at most four cells for each pair of source and node visited.
    pub fn walk(&mut self, graph: Walkable<'_>, plan: &Plan, sources: &[NodeId], visited: &mut Vec<Visited>) {
        self.start(graph, plan, sources);
        let survival = Survival::new(plan.restart_prob);
        while !self.groups.is_empty() {
            self.step(graph, survival);
        }
        for &at in &self.used {
            let cell = std::mem::take(&mut self.cells[at as usize]);
            visited.push(Visited { key: cell.key, units: cell.visits });
        }
        self.used.clear();
    }

    /// Which source (by its place in the list) and which node a key of the last call stands for.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the two parts of the key")]
    pub fn lane_and_node(&self, key: u64) -> (usize, NodeId) {
        ((key >> self.node_bits) as usize, (key & !(u64::MAX << self.node_bits)) as NodeId)
    }

    /// All keys of the last call are below this.
    #[must_use]
    pub fn key_bound(&self) -> u64 {
        (self.streams.len() as u64) << self.node_bits
    }

    /// Moves made since the kernel was made: one a landing, whatever its units.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.cells.capacity() * size_of::<Cell>()
            + self.used.capacity() * size_of::<u32>()
            + (self.groups.capacity() + self.next.capacity() + self.arrivals.capacity() + self.passed.capacity())
                * size_of::<Group>()
            + self.landings.capacity() * size_of::<Landing>()
    }

    fn start(&mut self, graph: Walkable<'_>, plan: &Plan, sources: &[NodeId]) {
        self.node_bits = usize::BITS - graph.nodes().leading_zeros();
        self.streams.clear();
        self.streams.extend(sources.iter().map(|&source| SourceStream::new(plan.rng_key, source)));
        while self.cells.len() < sources.len() * 3 {
            self.grow();
        }
        self.arrivals.clear();
        for (lane, &source) in sources.iter().enumerate() {
            let units = plan.walks_of(graph.degree(source)) * UNITS_PER_WALK;
            self.arrivals.push(Group { key: (lane as u64) << self.node_bits | u64::from(source), units });
        }
        self.count(graph);
        std::mem::swap(&mut self.groups, &mut self.next);
    }

    /// Every group spreads its survivors over its row, and what it sends is counted where it lands.
    fn step(&mut self, graph: Walkable<'_>, survival: Survival) {
        self.landings.clear();
        self.numbers.clear();
        self.numbers.extend(self.streams.iter_mut().map(SourceStream::next_step));
        let groups = std::mem::take(&mut self.groups);
        let slots = Slots::new(graph.steps, graph.paths);
        let (node_bits, mask) = (self.node_bits, !(u64::MAX << self.node_bits));
        let mut landed = 0;
        let mut singles = [Landing::default(); TOGETHER];
        for some in groups.chunks(TOGETHER) {
            let mut count = 0;
            for &Group { key, units } in some {
                #[expect(clippy::cast_possible_truncation, reason = "the two parts of the key")]
                let (lane, node) = ((key >> node_bits) as u32, (key & mask) as u32);
                let point = at_node(self.numbers[lane as usize], node);
                let row = slots
                    .big_move(survival, node, units)
                    .unwrap_or_else(|| Row::whole(graph.offsets[node as usize], graph.offsets[node as usize + 1]));
                if units == UNITS_PER_PACKET {
                    // At most one landing, by far the commonest case: written at any rate, counted if it is one, so
                    // that the processor has nothing to guess.
                    let (landing, lands) = survival.packet(row, lane, point);
                    singles[count] = landing;
                    count += usize::from(lands);
                } else {
                    survival.spread(&mut self.landings, slots, row, lane, units, point);
                }
            }
            self.landings.extend_from_slice(&singles[..count]);
            singles[..count].iter().for_each(|landing| slots.prefetch(landing.slot));
            self.land(graph, slots, &mut landed, AHEAD);
        }
        self.land(graph, slots, &mut landed, 0);
        self.groups = std::mem::replace(&mut self.next, groups);
        self.next.clear();
    }

    /// Counts all landings but the last few, whose slots are still on their way.
    fn land(&mut self, graph: Walkable<'_>, slots: Slots<'_>, landed: &mut usize, but: usize) {
        let end = self.landings.len().saturating_sub(but).max(*landed);
        let most_steps = if graph.paths.is_some() { MOST_STEPS } else { 1 };
        while self.cells.len() < (self.used.len() + (end - *landed) * most_steps) * 3 {
            self.grow();
        }
        self.arrivals.clear();
        self.passed.clear();
        let (shift, node_bits) = (table_shift(&self.cells), self.node_bits);
        let (cells, arrivals, passed) = (&self.cells, &mut self.arrivals, &mut self.passed);
        for landing in &self.landings[*landed..end] {
            let group = |node: NodeId| {
                let key = u64::from(landing.lane) << node_bits | u64::from(node);
                prefetch_near(cells, home(key, shift));
                Group { key, units: landing.units }
            };
            if let Some(node) = slots.land(landing, |node| passed.push(group(node))) {
                arrivals.push(group(node));
            }
        }
        self.steps += (arrivals.len() + passed.len()) as u64;
        self.pass();
        self.count(graph);
        *landed = end;
    }

    /// Counts visits that nothing follows from. Expects room in the table.
    #[expect(clippy::cast_possible_truncation, reason = "fewer than 2^32 cells: see `grow`")]
    fn pass(&mut self) {
        let shift = table_shift(&self.cells);
        for &Group { key, units } in &self.passed {
            let at = find(&self.cells, key, shift);
            let cell = &mut self.cells[at];
            if cell.visits == 0 {
                cell.key = key;
                self.used.push(at as u32);
            }
            cell.visits = cell.visits.saturating_add(units);
        }
    }

    /// Counts what arrived and adds it to the groups of the next step. Expects room in the table.
    #[expect(clippy::cast_possible_truncation, reason = "fewer than 2^32 cells and groups: see `grow`")]
    fn count(&mut self, graph: Walkable<'_>) {
        let (cells, used, next) = (&mut self.cells[..], &mut self.used, &mut self.next);
        let shift = table_shift(cells);
        let node_mask = !(u64::MAX << self.node_bits);
        for &Group { key, units } in &self.arrivals {
            let at = find(cells, key, shift);
            let cell = &mut cells[at];
            if cell.visits == 0 {
                cell.key = key;
                used.push(at as u32);
            } else if let Some(group) = next.get_mut(cell.group as usize).filter(|group| group.key == key) {
                cell.visits = cell.visits.saturating_add(units);
                group.units = group.units.saturating_add(units);
                continue;
            }
            cell.visits = cell.visits.saturating_add(units);
            cell.group = next.len() as u32;
            next.push(Group { key, units });
            prefetch(graph.offsets, (key & node_mask) as usize);
            if let Some(paths) = graph.paths {
                prefetch(paths.offsets(), (key & node_mask) as usize);
            }
        }
    }

    /// Doubles the table; at most a third of it is ever in use.
    #[cold]
    fn grow(&mut self) {
        let size = (self.cells.len() * 2).max(1 << 12);
        assert!(size as u64 <= 1 << 32, "a few sources visit fewer than 2^30 nodes");
        let old = std::mem::replace(&mut self.cells, vec![Cell::default(); size]);
        let shift = table_shift(&self.cells);
        for at in &mut self.used {
            let cell = old[*at as usize];
            let mut new = home(cell.key, shift);
            while self.cells[new].visits != 0 {
                new = (new + 1) & (size - 1);
            }
            self.cells[new] = cell;
            *at = u32::try_from(new).expect("the size was checked");
        }
    }
}

/// How far a hash is shifted to be a place in the table, whose size is a power of two.
#[inline]
fn table_shift(cells: &[Cell]) -> u32 {
    u64::BITS - cells.len().trailing_zeros()
}

/// Where a key's cell is, or the free one where it belongs.
#[inline]
fn find(cells: &[Cell], key: u64, shift: u32) -> usize {
    let mut at = home(key, shift);
    while cells[at].visits != 0 && cells[at].key != key {
        at = (at + 1) & (cells.len() - 1);
    }
    at
}

/// Where a key's cell is looked for first.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the shift leaves as many bits as the table has")]
fn home(key: u64, shift: u32) -> usize {
    (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> shift) as usize
}

#[cfg(test)]
mod tests {
    use walkprint_engine::edges::EdgeList;
    use walkprint_engine::graph::{CheckedRows, NodeOrder, build};
    use walkprint_engine::ids::ExternalIds;

    use super::*;
    use crate::alias;

    /// A ring with chords, a self-loop, a hub and a dangling node; weights 1 to 5 when weighted.
    fn graph(nodes: u32, weighted: bool) -> CheckedRows {
        let mut edges = Vec::new();
        for node in 1..nodes - 1 {
            edges.extend([(node, node % (nodes - 2) + 1), (node, (node * 7 + 3) % nodes), (0, node)]);
        }
        edges.extend([(2, 2), (0, nodes - 1)]);
        let list = EdgeList {
            ids: ExternalIds::Integers((0..i64::from(nodes)).collect()),
            sources: edges.iter().map(|edge| edge.0).collect(),
            targets: edges.iter().map(|edge| edge.1).collect(),
            weights: weighted.then(|| edges.iter().map(|edge| f64::from((edge.0 * 31 + edge.1) % 5 + 1)).collect()),
            kinds: Default::default(),
        };
        let graph = build(list, NodeOrder::Id).unwrap().graph;
        let slots = alias::tables(&graph).unwrap();
        let graph = if graph.is_weighted() { graph.with_aliases(slots) } else { graph };
        graph.walk_rows().checked().unwrap()
    }

    fn visits(rows: &CheckedRows, plan: &Plan, sources: &[NodeId]) -> Vec<Vec<(NodeId, u32)>> {
        let (mut kernel, mut visited) = (Kernel::default(), Vec::new());
        kernel.walk(Walkable::new(rows), plan, sources, &mut visited);
        visited.sort_unstable();
        let mut of_lanes = vec![Vec::new(); sources.len()];
        for item in visited {
            let (lane, node) = kernel.lane_and_node(item.key);
            of_lanes[lane].push((node, item.units));
        }
        of_lanes
    }

    #[test]
    fn sources_walk_alone_as_they_walk_together() {
        for weighted in [false, true] {
            let rows = graph(200, weighted);
            let plan = Plan { walks: 40, rng_key: 5, ..Plan::default() };
            let sources: Vec<NodeId> = (0..200).collect();
            let together = visits(&rows, &plan, &sources);
            for &source in &sources {
                assert_eq!(visits(&rows, &plan, &[source])[0], together[source as usize], "source {source}");
            }
            let backwards: Vec<NodeId> = sources.iter().rev().copied().collect();
            let mut other_way = visits(&rows, &plan, &backwards);
            other_way.reverse();
            assert_eq!(other_way, together);
        }
    }

    #[test]
    fn another_key_gives_another_sample() {
        let rows = graph(200, false);
        let sample = |rng_key| visits(&rows, &Plan { rng_key, ..Plan::default() }, &[7]);
        assert_ne!(sample(1), sample(2));
        assert_eq!(sample(1), sample(1));
    }

    #[test]
    fn a_walk_that_always_ends_visits_its_source_alone() {
        let rows = graph(50, true);
        let plan = Plan { restart_prob: 1.0, walks: 9, walks_per_edge: 0.0, ..Plan::default() };
        assert_eq!(visits(&rows, &plan, &[4])[0], [(4, 9 * UNITS_PER_WALK)]);
    }

    #[test]
    fn a_row_gets_its_shares_up_to_one_unit_where_many_walks_stand() {
        // 1,000 walks on a node with a handful of edges split as the weights say, up to rounding at both ends of each
        // share (a share may lie in several pieces: one per alias slot that leads to it).
        let rows = graph(40, true);
        let plan = Plan { restart_prob: 0.5, walks: 1_000, walks_per_edge: 0.0, ..Plan::default() };
        let walkable = Walkable::new(&rows);
        let mut kernel = Kernel::default();
        kernel.start(walkable, &plan, &[3]);
        kernel.step(walkable, Survival::new(0.5));
        let sent: u32 = kernel.landings.iter().map(|landing| landing.units).sum();
        assert!(sent.abs_diff(4_000) <= 1, "{sent}");
    }
}
