//! Big moves: where few paths lead away from a node, one draw chooses a whole path.
//!
//! **What is drawn.** An *outcome* is a path of one step or more and what becomes of a walk at its end: it stands there, to
//! be drawn for again, or it has ended. Of a node with steps `p(v)` and restart probability `a`, the outcomes of two steps
//! are "to `v` and ended there" with `p(v) a`, and "to `v`, on to `x`" with `p(v) (1 - a) p_v(x)`; longer ones likewise. One
//! alias table over them replaces the steps. Every node of a path gets its visit.
//!
//! **Which nodes.** From each node the longest paths of which there are at most [`Plan::big_moves`], and none longer than
//! [`MOST_STEPS`]; where they come to fewer than one and a half steps a draw, the node keeps its row. The rule sees the
//! plan and the rows near the node, so that tables are the same wherever they are made.
//!
//! **Unbiased**: given that something is drawn for at a node, an outcome's probability is that of independent walks; see
//! [`crate::kernel`]. (Lin, WWW 2019, precomputes short walks for small nodes; here it is their distribution, so that no two
//! walks share a sample.)

use walkprint_engine::graph::{AliasSlot, CheckedRows, Steps};
use walkprint_engine::ids::NodeId;
use walkprint_engine::plan::Plan;

use crate::alias;
use crate::shard::RowSlots;
use crate::spread::Row;

/// The most steps of a big move.
pub const MOST_STEPS: usize = 4;
/// The fewest steps that a draw must come to on average.
const LEAST_MOVES: f64 = 1.5;

/// A node's row, for whoever looks where its edges lead.
#[derive(Debug, Clone, Copy)]
pub enum Found<'a> {
    /// Here it is.
    Row(RowSlots<'a>),
    /// It has more edges than a node with big moves may have paths.
    Long,
    /// Not known yet.
    Unknown,
}

impl<'a> Found<'a> {
    /// A row that is there.
    #[must_use]
    pub fn among(row: RowSlots<'a>, plan: &Plan) -> Found<'a> {
        if plan.big_moves as usize >= row.len() { Found::Row(row) } else { Found::Long }
    }
}

/// The big moves of some nodes, by their place in the list they were made from.
#[derive(Debug, Clone, Default)]
pub struct PathRows {
    /// Where each node's outcomes begin among the slots.
    offsets: Vec<u32>,
    /// Alias slots over outcomes, which are places in `words`.
    slots: Vec<AliasSlot>,
    /// Outcomes: twice the number of steps, and one more when the walk goes on; then the nodes.
    words: Vec<u32>,
}

impl PathRows {
    /// Makes the tables of these nodes, whose rows and those near them `row` finds. Cost: at most [`MOST_STEPS`] times
    /// `plan.big_moves` paths a node are looked at.
    ///
    /// `missing` gets the nodes whose rows would have to be known; the tables count only when there are none. `None` when
    /// there are more outcomes than can be counted in 32 bits.
    pub fn new<'a>(
        plan: &Plan,
        nodes: impl Iterator<Item = NodeId>,
        row: impl Fn(NodeId) -> Found<'a>,
        missing: &mut Vec<NodeId>,
    ) -> Option<PathRows> {
        let mut tables = PathRows { offsets: vec![0], ..PathRows::default() };
        let mut room = Room::default();
        for node in nodes {
            if room.explore(plan, node, &row, missing) {
                tables.add(&mut room)?;
            }
            tables.offsets.push(u32::try_from(tables.slots.len()).ok()?);
        }
        Some(tables)
    }

    /// The tables of all nodes of a graph. `None` when there are more outcomes than can be counted in 32 bits.
    #[must_use]
    pub fn of(checked: &CheckedRows, plan: &Plan) -> Option<PathRows> {
        let nodes = NodeId::try_from(checked.rows().offsets().len() - 1).ok()?;
        let row = |node| Found::among(RowSlots::whole(checked, node), plan);
        PathRows::new(plan, 0..nodes, row, &mut Vec::new())
    }

    /// Appends the table of the node that was explored last.
    fn add(&mut self, room: &mut Room) -> Option<()> {
        room.places.clear();
        for path in &room.paths {
            room.places.push(u32::try_from(self.words.len()).ok()?);
            self.words.push(2 * u32::from(path.steps) + u32::from(path.goes_on));
            self.words.extend_from_slice(&path.nodes[..usize::from(path.steps)]);
        }
        let total = room.paths.iter().map(|path| path.chance).sum();
        room.tables.fill(&room.places, total, |at| room.paths[at].chance, &mut self.slots);
        Some(())
    }

    /// Whether a node has other big moves here than in other tables, or has them in one of both only. Cost: its outcomes are
    /// compared.
    ///
    /// # Panics
    /// When one of both does not have the node.
    #[must_use]
    pub fn differ(&self, other: &PathRows, node: NodeId) -> bool {
        let range =
            |tables: &PathRows| tables.offsets[node as usize] as usize..tables.offsets[node as usize + 1] as usize;
        let (own, others) = (&self.slots[range(self)], &other.slots[range(other)]);
        own.len() != others.len()
            || own.iter().zip(others).any(|(one, two)| {
                one.share.to_bits() != two.share.to_bits()
                    || self.words_at(one.target) != other.words_at(two.target)
                    || self.words_at(one.alias) != other.words_at(two.alias)
            })
    }

    /// What tells an outcome.
    fn words_at(&self, at: NodeId) -> &[u32] {
        let words = &self.words[at as usize..];
        &words[..=(words[0] / 2) as usize]
    }

    /// How many nodes have big moves.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.offsets.windows(2).filter(|ends| ends[0] < ends[1]).count()
    }

    /// How many outcomes they have.
    #[must_use]
    pub fn outcomes(&self) -> usize {
        self.slots.len()
    }

    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        (size_of_val(&*self.offsets) + size_of_val(&*self.slots) + size_of_val(&*self.words)) as u64
    }

    /// The outcomes of the node at a place, as a row whose slots begin at `first`; `None` when every draw there is a step.
    #[inline]
    pub(crate) fn row(&self, at: u32, first: usize) -> Option<Row> {
        let (start, end) = (self.offsets[at as usize], self.offsets[at as usize + 1]);
        (start != end).then(|| Row::whole(first as u64 + u64::from(start), first as u64 + u64::from(end)))
    }

    pub(crate) fn offsets(&self) -> &[u32] {
        &self.offsets
    }

    pub(crate) fn slots(&self) -> &[AliasSlot] {
        &self.slots
    }

    /// The nodes of the outcome at a point of a slot, and whether the walk goes on from the last one.
    #[inline]
    pub(crate) fn outcome(&self, slot: usize, part: f64) -> (&[NodeId], bool) {
        let slot = &self.slots[slot];
        let at = if part < slot.share { slot.target } else { slot.alias } as usize;
        let head = self.words[at];
        (&self.words[at + 1..][..(head / 2) as usize], head % 2 == 1)
    }
}

/// A path, and the chance that a walk takes it.
#[derive(Debug, Clone, Copy)]
struct Path {
    nodes: [NodeId; MOST_STEPS],
    steps: u8,
    goes_on: bool,
    chance: f64,
}

impl Path {
    fn end(&self) -> NodeId {
        self.nodes[usize::from(self.steps) - 1]
    }

    /// The same path with one more step.
    fn and(mut self, node: NodeId, chance: f64) -> Path {
        self.nodes[usize::from(self.steps)] = node;
        self.steps += 1;
        self.chance *= chance;
        self
    }
}

/// Room that is reused from node to node.
#[derive(Debug, Default)]
struct Room {
    /// The paths of the node explored last.
    paths: Vec<Path>,
    longer: Vec<Path>,
    steps: Vec<(NodeId, f64)>,
    places: Vec<u32>,
    tables: alias::Builder,
}

impl Room {
    /// Finds a node's paths. False when it has no big moves, or they cannot be told yet.
    fn explore<'a>(
        &mut self,
        plan: &Plan,
        node: NodeId,
        row: &impl Fn(NodeId) -> Found<'a>,
        missing: &mut Vec<NodeId>,
    ) -> bool {
        let most = plan.big_moves as usize;
        let Found::Row(own) = row(node) else { return false };
        if own.len() == 0 || most < own.len() {
            return false;
        }
        transitions(own, &mut self.steps);
        let here = Path { nodes: [0; MOST_STEPS], steps: 0, goes_on: true, chance: 1.0 };
        self.paths.clear();
        self.paths.extend(self.steps.iter().map(|&(target, chance)| here.and(target, chance)));
        let known = missing.len();
        for _step in 1..MOST_STEPS {
            if !self.lengthen(plan.restart_prob, most, row, missing) {
                break;
            }
        }
        let moves: f64 = self.paths.iter().map(|path| f64::from(path.steps) * path.chance).sum();
        known == missing.len() && LEAST_MOVES <= moves
    }

    /// Makes all paths a step longer that can be. False when there would be too many, or none is longer.
    fn lengthen<'a>(
        &mut self,
        restart_prob: f64,
        most: usize,
        row: &impl Fn(NodeId) -> Found<'a>,
        missing: &mut Vec<NodeId>,
    ) -> bool {
        let (known, before) = (missing.len(), self.paths.iter().map(|path| path.steps).max());
        self.longer.clear();
        for &path in &self.paths {
            if !path.goes_on {
                self.longer.push(path);
                continue;
            }
            let slots = match row(path.end()) {
                Found::Row(slots) => slots,
                Found::Long => return false,
                Found::Unknown => {
                    missing.push(path.end());
                    continue;
                }
            };
            if slots.len() == 0 || restart_prob == 1.0 {
                self.longer.push(Path { goes_on: false, ..path });
                continue;
            }
            self.longer.push(Path { goes_on: false, chance: path.chance * restart_prob, ..path });
            transitions(slots, &mut self.steps);
            let on = 1.0 - restart_prob;
            self.longer.extend(self.steps.iter().map(|&(target, chance)| path.and(target, on * chance)));
            if most < self.longer.len() {
                missing.truncate(known);
                return false;
            }
        }
        if known != missing.len() || self.longer.iter().map(|path| path.steps).max() == before {
            return false;
        }
        std::mem::swap(&mut self.paths, &mut self.longer);
        true
    }
}

/// Where a row leads, each node once, ascending, with its probability.
fn transitions(row: RowSlots<'_>, steps: &mut Vec<(NodeId, f64)>) {
    steps.clear();
    let width = 1.0 / row.len() as f64;
    match row.steps() {
        Steps::Plain(targets) => steps.extend(targets.iter().map(|&target| (target, width))),
        Steps::Alias(slots) => {
            for slot in slots {
                steps.push((slot.target, slot.share * width));
                steps.push((slot.alias, (1.0 - slot.share) * width));
            }
        }
    }
    steps.retain(|&(_, chance)| 0.0 < chance);
    steps.sort_by_key(|&(target, _)| target);
    steps.dedup_by(|from, into| {
        let same = from.0 == into.0;
        if same {
            into.1 += from.1;
        }
        same
    });
}

#[cfg(test)]
mod tests {
    use walkprint_engine::edges::EdgeList;
    use walkprint_engine::graph::{NodeOrder, build};
    use walkprint_engine::ids::ExternalIds;

    use super::*;

    fn graph(edges: &[(u32, u32, f64)], nodes: u32) -> CheckedRows {
        let list = EdgeList {
            ids: ExternalIds::Integers((0..i64::from(nodes)).collect()),
            sources: edges.iter().map(|edge| edge.0).collect(),
            targets: edges.iter().map(|edge| edge.1).collect(),
            weights: Some(edges.iter().map(|edge| edge.2).collect()),
            kinds: Default::default(),
        };
        let graph = build(list, NodeOrder::Id).unwrap().graph;
        let slots = alias::tables(&graph).unwrap();
        let graph = if graph.is_weighted() { graph.with_aliases(slots) } else { graph };
        graph.walk_rows().checked().unwrap()
    }

    /// The chance of every outcome of a node, read from its table.
    fn chances(tables: &PathRows, node: usize) -> Vec<(Vec<u32>, bool, f64)> {
        let range = tables.offsets[node] as usize..tables.offsets[node + 1] as usize;
        let width = 1.0 / range.len() as f64;
        let mut chances: Vec<(Vec<u32>, bool, f64)> = Vec::new();
        for slot in range {
            let share = tables.slots[slot].share;
            for (part, width) in [(0.0, share * width), (share, (1.0 - share) * width)] {
                let (nodes, goes_on) = tables.outcome(slot, part);
                match chances.iter_mut().find(|own| own.0 == nodes && own.1 == goes_on) {
                    Some(own) => own.2 += width,
                    None if 0.0 < width => chances.push((nodes.to_vec(), goes_on, width)),
                    None => {}
                }
            }
        }
        chances.sort_by(|one, other| (&one.0, one.1).cmp(&(&other.0, other.1)));
        chances
    }

    #[test]
    fn outcomes_have_the_chances_of_walks() {
        // 0 to 1 with 1/4, to 2 with 3/4; 1 is dangling; 2 to 0 and 1 alike.
        let rows = graph(&[(0, 1, 1.0), (0, 2, 3.0), (2, 0, 2.0), (2, 1, 2.0)], 3);
        let plan = Plan { restart_prob: 0.2, big_moves: 4, ..Plan::default() };
        let tables = PathRows::of(&rows, &plan).unwrap();
        let expected = [
            (vec![1], false, 0.25),
            (vec![2], false, 0.75 * 0.2),
            (vec![2, 0], true, 0.75 * 0.8 * 0.5),
            (vec![2, 1], true, 0.75 * 0.8 * 0.5),
        ];
        let got = chances(&tables, 0);
        assert_eq!(got.len(), expected.len(), "{got:?}");
        for (got, expected) in got.iter().zip(&expected) {
            assert!(got.0 == expected.0 && got.1 == expected.1 && (got.2 - expected.2).abs() < 1e-12, "{got:?}");
        }
        assert!(chances(&tables, 1).is_empty(), "a dangling node has no moves");
    }

    #[test]
    fn the_longest_paths_of_which_there_are_few() {
        // A chain with no choice: every step adds one outcome, that a walk ended before it.
        let chain: Vec<(u32, u32, f64)> = (0..9).map(|node| (node, node + 1, 1.0)).collect();
        let rows = graph(&chain, 10);
        let longest = |big_moves| {
            let plan = Plan { big_moves, ..Plan::default() };
            let got = chances(&PathRows::of(&rows, &plan).unwrap(), 0);
            got.iter().map(|outcome| outcome.0.len()).max()
        };
        assert_eq!([0, 1, 2, 3, 4, 900].map(longest), [None, None, Some(2), Some(3), Some(4), Some(MOST_STEPS)]);
    }

    #[test]
    fn tables_differ_where_a_path_does() {
        let chain: Vec<(u32, u32, f64)> = (0..12).map(|node| (node, node + 1, 1.0)).collect();
        let plan = Plan { big_moves: 3, ..Plan::default() };
        let before = PathRows::of(&graph(&chain, 14), &plan).unwrap();
        let mut other = chain.clone();
        other[7].1 = 13; // instead of 8
        let after = PathRows::of(&graph(&other, 14), &plan).unwrap();
        let differing: Vec<u32> = (0..14).filter(|&node| after.differ(&before, node)).collect();
        assert_eq!(differing, [5, 6, 7], "paths of three steps");
        assert!((0..14).all(|node| !after.differ(&after.clone(), node)));
    }

    #[test]
    fn what_is_not_known_is_asked_for() {
        let rows = graph(&[(0, 1, 1.0), (1, 2, 1.0), (2, 3, 1.0), (3, 4, 1.0)], 5);
        let plan = Plan { big_moves: 8, ..Plan::default() };
        let mut known = vec![0];
        loop {
            let find = |node: NodeId| match known.contains(&node) {
                true => Found::among(RowSlots::whole(&rows, node), &plan),
                false => Found::Unknown,
            };
            let mut missing = Vec::new();
            let tables = PathRows::new(&plan, 0..1, find, &mut missing).unwrap();
            if missing.is_empty() {
                assert_eq!(chances(&tables, 0), chances(&PathRows::of(&rows, &plan).unwrap(), 0));
                break;
            }
            known.extend(missing);
        }
        assert_eq!(known, [0, 1, 2, 3], "no farther than a path reaches");
    }
}
