//! The graph turned round: in-edges, laid out for passes that read all of them again and again.
//!
//! A pass over out-edges scatters: every edge reads and writes a number somewhere. A pass over in-edges gathers: it reads
//! somewhere and writes one number a row, so that many rows can be under way at once. [`Inflow`] holds in-edges so that
//! such passes are as fast as memory lets them:
//!
//! - **Places.** [Twins](super::twins) share a place, and their in-edges are there once. Places are numbered by falling
//!   in-degree: the few that most edges come from lie together, and stay in the cache. (On social graphs and most others
//!   in- and out-degree go along.)
//! - **Slices.** Eight rows of about the same length lie side by side, first in-edge next to first in-edge (SELL-C-σ, Kreutzer,
//!   Hager, Wellein, Fehske & Bishop, SIAM J. Sci. Comput. 2014). Loops have the same length for a long time, and nothing
//!   has to be mispredicted. What is missing in the shorter rows of a slice points to a place that is always zero.
//!   Rows of 48 in-edges or more lie one by one.
//! - **Regions.** Nodes that have out-edges come first, dangling ones after them: nothing reads from those.
//!
//! ```text
//! place    0 ..                  live region: long rows, then slices of 8; filled up to a multiple of 8
//!          ..                    dangling region: the same
//!          nothing .. places()   eight places that are always zero
//! ```
//!
//! What flows into a place is what flows into each of its twins, times their number: a pass works with sums over twins.
//!
//! **Every source in a row is below [`Inflow::places`], whatever bytes the graph was mapped from**: a graph whose rows or
//! weights make no sense is refused here. (Test: `query::tests::damage`.)

use std::ops::Range;

use super::twins::first_twins;
use super::{Graph, RowWeights};
use crate::error::{Error, Result};
use crate::ids::NodeId;

/// Rows side by side in a slice.
pub(crate) const SLICE: usize = 8;
/// Rows of at least this many in-edges are stored one by one.
const LONG: u64 = 48;
/// How far a row's weights may be off their sum, relatively, before the file must be damaged.
const WEIGHT_TOLERANCE: f64 = 1e-6;
/// Stands for "no node" in places that fill up a slice.
const NOBODY: NodeId = NodeId::MAX;

/// In-edges by place. Built once for a graph, shared by whatever passes over it.
#[derive(Debug, Clone)]
pub struct Inflow {
    place_of: Vec<u32>,
    /// Twins, by place.
    nodes: Vec<NodeId>,
    /// Where the twins of each place begin, and the last end.
    starts: Vec<u32>,
    /// How many twins share each place.
    pub(crate) members: Vec<f64>,
    pub(crate) live: Region,
    pub(crate) dangling: Region,
    pub(crate) sources: Vec<u32>,
    pub(crate) weights: InWeights,
    /// At each place the sum of the node's out-weights; 1 for dangling nodes and where there is no node.
    pub(crate) totals: Vec<f64>,
    /// 1 / totals.
    pub(crate) onward: Vec<f64>,
}

/// A stretch of places and their rows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Region {
    /// The first place.
    pub(crate) first: usize,
    /// Where the rows of the first `long.len() - 1` places begin and end among the sources.
    pub(crate) long: Vec<usize>,
    /// Where the slices of the places after those begin and end among the sources.
    pub(crate) slices: Vec<usize>,
    /// Whether twins share a place of the slice.
    pub(crate) shared: Vec<bool>,
}

/// Weights beside the sources of an [`Inflow`].
#[derive(Debug, Clone)]
pub(crate) enum InWeights {
    Equal,
    Single(Vec<f32>),
    Double(Vec<f64>),
}

/// A part of a region: consecutive places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stretch {
    /// Rows that lie one by one, by number.
    pub(crate) long: Range<usize>,
    /// Slices, by number.
    pub(crate) slices: Range<usize>,
}

impl Region {
    /// The whole region.
    pub(crate) fn whole(&self) -> Stretch {
        Stretch { long: 0..self.long_rows(), slices: 0..self.shared.len() }
    }

    /// The places of a stretch.
    pub(crate) fn places(&self, stretch: &Stretch) -> Range<usize> {
        // An empty range of one kind lies at the end of the other.
        let place = |long: usize, slice: usize| self.first + long + slice * SLICE;
        place(stretch.long.start, stretch.slices.start)..place(stretch.long.end, stretch.slices.end)
    }

    /// Cuts the region into so many stretches of about the same work, one after the other. Some may be empty.
    pub(crate) fn cut(&self, count: usize) -> Vec<Stretch> {
        // How many long rows and how many slices there are up to one of them, and what a pass does up to there: a few steps for
        // each row, and one an edge.
        let split = |at: usize| (at.min(self.long_rows()), at.saturating_sub(self.long_rows()));
        let before = |at: usize| {
            let (long, slices) = split(at);
            let edges = if slices == 0 { self.long[long] } else { self.slices[slices] };
            edges - self.long[0] + long + slices * SLICE
        };
        let all = self.long_rows() + self.shared.len();
        let first_with = |work: usize| {
            let (mut low, mut high) = (0, all);
            while low < high {
                let middle = usize::midpoint(low, high);
                if before(middle) < work { low = middle + 1 } else { high = middle }
            }
            low
        };
        let bounds: Vec<_> = (0..=count).map(|part| split(first_with(before(all) * part / count))).collect();
        let stretch =
            |bounds: &[(usize, usize)]| Stretch { long: bounds[0].0..bounds[1].0, slices: bounds[0].1..bounds[1].1 };
        bounds.windows(2).map(stretch).collect()
    }

    /// How many places have a row of their own.
    pub(crate) fn long_rows(&self) -> usize {
        self.long.len() - 1
    }

    /// Notes which slices have places that twins share.
    fn note_shared(&mut self, members: &[f64]) {
        let slices = members[self.first + self.long_rows()..self.end()].chunks_exact(SLICE);
        self.shared = slices.map(|members| members.iter().any(|&members| 1.0 < members)).collect();
    }

    /// The place after the last.
    pub(crate) fn end(&self) -> usize {
        self.first + self.long_rows() + (self.slices.len() - 1) * SLICE
    }
}

impl Inflow {
    /// Turns a graph round. Twins are listed by `rank`. Cost: some 20 to 30 ns an edge. Memory: 4 bytes an edge (8 with weights,
    /// 12 where they need f64) and 40 a node; 48 a node more while it is made. Twins save most of theirs.
    ///
    /// # Errors
    /// When a row or its weights make no sense: the graph file is damaged. When `rank` gives an error.
    pub fn new(graph: &Graph, rank: impl Fn(NodeId) -> Result<u32>) -> Result<Inflow> {
        if u64::from(u32::MAX) < graph.nodes() as u64 + 4 * SLICE as u64 {
            return Err(Error::Graph { what: "it has too many nodes to be turned round".to_owned() });
        }
        let firsts = first_twins(graph)?;
        let in_degrees = in_degrees(graph, &firsts)?;
        let mut by_degree: Vec<NodeId> =
            (0..=NodeId::MAX).zip(&firsts).filter(is_first).map(|(node, _)| node).collect();
        by_degree.sort_by_key(|&node| (graph.degree(node) == 0, std::cmp::Reverse(in_degrees[node as usize]), node));
        let dangling_nodes = by_degree.iter().rev().take_while(|&&node| graph.degree(node) == 0).count();
        let (live_nodes, dangling_nodes) = by_degree.split_at(by_degree.len() - dangling_nodes);

        let (mut first_at, mut length) = (Vec::with_capacity(by_degree.len() + 3 * SLICE), 0);
        let mut live = region(&mut first_at, &mut length, live_nodes, &in_degrees)?;
        let mut dangling = region(&mut first_at, &mut length, dangling_nodes, &in_degrees)?;
        first_at.extend([NOBODY; SLICE]);
        let mut place_of = vec![0u32; graph.nodes()];
        let mut totals = vec![1.0; first_at.len()];
        for (place, &node) in first_at.iter().enumerate().filter(|&(_, &node)| node != NOBODY) {
            place_of[node as usize] = place_number(place);
            if graph.degree(node) != 0 {
                totals[place] = graph.row(node)?.total;
            }
        }
        // The first of twins comes before the others.
        for (node, &first) in firsts.iter().enumerate() {
            place_of[node] = place_of[first as usize];
        }
        drop(firsts);
        let (nodes, starts) = list_twins(&place_of, first_at.len(), rank)?;
        let members: Vec<f64> = starts.windows(2).map(|bounds| f64::from(bounds[1] - bounds[0])).collect();
        live.note_shared(&members);
        dangling.note_shared(&members);
        let onward = totals.iter().map(|total| total.recip()).collect();
        let nothing = place_number(first_at.len() - SLICE);
        let sources = vec![nothing; length];
        let weights = match sample_weights(graph)? {
            RowWeights::Equal => InWeights::Equal,
            RowWeights::Single(_) => InWeights::Single(vec![0.0; length]),
            RowWeights::Double(_) => InWeights::Double(vec![0.0; length]),
        };
        let mut inflow = Inflow { place_of, nodes, starts, members, live, dangling, sources, weights, totals, onward };
        inflow.fill(graph, &first_at)?;
        Ok(inflow)
    }

    /// How many nodes the graph has.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.place_of.len()
    }

    /// How many places there are: a few more than nodes, or fewer if there are twins.
    pub(crate) fn places(&self) -> usize {
        self.members.len()
    }

    /// The place of a node, which it shares with its twins only.
    #[inline]
    #[must_use]
    pub fn place(&self, node: NodeId) -> usize {
        self.place_of[node as usize] as usize
    }

    /// The nodes at each place, by rank.
    pub(crate) fn places_of_twins(&self) -> impl Iterator<Item = &[NodeId]> {
        (0..self.places()).map(|place| self.twins(place))
    }

    /// The nodes at a place, by rank.
    #[inline]
    pub(crate) fn twins(&self, place: usize) -> &[NodeId] {
        &self.nodes[self.starts[place] as usize..self.starts[place + 1] as usize]
    }

    /// Puts every edge where it belongs: source by source in order of place, so that sources ascend in each row.
    fn fill(&mut self, graph: &Graph, first_at: &[NodeId]) -> Result<()> {
        let mut next = vec![0usize; self.places()];
        for region in [&self.live, &self.dangling] {
            let long = region.long_rows();
            next[region.first..region.first + long].copy_from_slice(&region.long[..long]);
            for (number, &start) in region.slices[..region.slices.len() - 1].iter().enumerate() {
                let place = region.first + long + number * SLICE;
                next[place..place + SLICE].iter_mut().enumerate().for_each(|(lane, next)| *next = start + lane);
            }
        }
        let first_slices = [&self.live, &self.dangling].map(|region| region.first + region.long_rows());
        let dangling_first = self.dangling.first;
        let stride = |place: usize| {
            let first_slice = first_slices[usize::from(dangling_first <= place)];
            if place < first_slice { 1 } else { SLICE }
        };
        for (place, &source) in first_at.iter().enumerate().filter(|&(_, &node)| node != NOBODY) {
            let row = graph.row(source)?;
            let mut sum = 0.0;
            for (position, &target) in row.targets.iter().enumerate() {
                let to = self.place_of[target as usize] as usize;
                sum += row.weight(position);
                if first_at[to] != target {
                    continue; // a twin of one that is entered as well
                }
                let at = next[to];
                next[to] += stride(to);
                self.sources[at] = place_number(place);
                match &mut self.weights {
                    InWeights::Equal => {}
                    InWeights::Single(weights) => weights[at] = single(row.weights, position),
                    InWeights::Double(weights) => weights[at] = row.weight(position),
                }
            }
            let positive = 0.0 < row.total && row.total.is_finite();
            let sound = positive && (sum - row.total).abs() <= WEIGHT_TOLERANCE * row.total;
            if !row.targets.is_empty() && !sound {
                let what = format!("the weights of row {source} add up to {sum}, its sum is {}", row.total);
                return Err(Error::damaged(graph.path(), what));
            }
        }
        Ok(())
    }
}

fn is_first((node, first): &(NodeId, &NodeId)) -> bool {
    node == *first
}

/// Counts the in-edges of each first twin that come from first twins. Checks all weights.
fn in_degrees(graph: &Graph, firsts: &[NodeId]) -> Result<Vec<u64>> {
    let mut degrees = vec![0u64; graph.nodes()];
    for (node, &first) in (0..=NodeId::MAX).zip(firsts) {
        let row = graph.row(node)?;
        for (position, &target) in row.targets.iter().enumerate() {
            degrees[target as usize] += u64::from(node == first);
            if row.weight(position) <= 0.0 {
                return Err(graph.damaged_row(node)); // a sum that is no number is found when the row is filled in
            }
        }
    }
    Ok(degrees)
}

/// Lists nodes by place, and by rank at each; says where each place begins.
fn list_twins(
    place_of: &[u32],
    places: usize,
    rank: impl Fn(NodeId) -> Result<u32>,
) -> Result<(Vec<NodeId>, Vec<u32>)> {
    let mut starts = vec![0; places + 1];
    place_of.iter().for_each(|&place| starts[place as usize + 1] += 1);
    for place in 0..places {
        starts[place + 1] += starts[place];
    }
    let (mut nodes, mut next) = (vec![0; place_of.len()], starts.clone());
    for (node, &place) in (0..=NodeId::MAX).zip(place_of) {
        let next = &mut next[place as usize];
        nodes[*next as usize] = node;
        *next += 1;
    }
    for bounds in starts.windows(2).filter(|bounds| bounds[0] + 1 < bounds[1]) {
        let twins = &mut nodes[bounds[0] as usize..bounds[1] as usize];
        let mut ranked = twins.iter().map(|&node| Ok((rank(node)?, node))).collect::<Result<Vec<_>>>()?;
        ranked.sort_unstable();
        twins.iter_mut().zip(ranked).for_each(|(twin, (_, node))| *twin = node);
    }
    Ok((nodes, starts))
}

/// Lays out the rows of nodes that come by falling in-degree; `length` counts the sources so far.
fn region(first_at: &mut Vec<NodeId>, length: &mut usize, nodes: &[NodeId], in_degrees: &[u64]) -> Result<Region> {
    let degree = |node: NodeId| usize::try_from(in_degrees[node as usize]).expect("edges are in memory");
    let mut region = Region { first: first_at.len(), long: vec![*length], ..Region::default() };
    let long = nodes.iter().take_while(|&&node| LONG <= in_degrees[node as usize]).count() / SLICE * SLICE;
    for &node in &nodes[..long] {
        *length += degree(node);
        region.long.push(*length);
    }
    region.slices.push(*length);
    for slice in nodes[long..].chunks(SLICE) {
        *length += SLICE * degree(slice[0]);
        region.slices.push(*length);
    }
    first_at.extend(nodes);
    first_at.resize(first_at.len().next_multiple_of(SLICE), NOBODY);
    Ok(region)
}

/// How the graph keeps its weights.
fn sample_weights(graph: &Graph) -> Result<RowWeights<'_>> {
    if graph.nodes() == 0 { Ok(RowWeights::Equal) } else { Ok(graph.row(0)?.weights) }
}

fn single(weights: RowWeights<'_>, position: usize) -> f32 {
    match weights {
        RowWeights::Single(weights) => weights[position],
        RowWeights::Equal | RowWeights::Double(_) => 1.0,
    }
}

#[expect(clippy::cast_possible_truncation, reason = "Inflow::new refuses graphs with more places than u32 counts")]
fn place_number(place: usize) -> u32 {
    place as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edges::EdgeList;
    use crate::graph::{NodeOrder, build};

    fn graph(nodes: u32, edges: &[(u32, u32, f64)]) -> Graph {
        build(EdgeList::numbered(nodes, edges, true), NodeOrder::Id).unwrap().graph
    }

    /// The in-edges of a place, read back from the layout.
    fn row(inflow: &Inflow, place: usize) -> Vec<(NodeId, f64)> {
        let region = if place < inflow.dangling.first { &inflow.live } else { &inflow.dangling };
        let at = place - region.first;
        let positions: Vec<usize> = if at < region.long_rows() {
            (region.long[at]..region.long[at + 1]).collect()
        } else {
            let (slice, lane) = ((at - region.long_rows()) / SLICE, (at - region.long_rows()) % SLICE);
            (region.slices[slice]..region.slices[slice + 1]).skip(lane).step_by(SLICE).collect()
        };
        let weight = |position: usize| match &inflow.weights {
            InWeights::Equal => 1.0,
            InWeights::Single(weights) => f64::from(weights[position]),
            InWeights::Double(weights) => weights[position],
        };
        let edges = positions.into_iter().map(|at| (inflow.twins(inflow.sources[at] as usize), weight(at)));
        edges.filter_map(|(nodes, weight)| nodes.first().map(|&node| (node, weight))).collect()
    }

    #[test]
    fn every_in_edge_is_there_once() {
        // A hub with many in-edges, a dangling hub, a few short rows, an isolated weight that needs f64.
        let mut edges: Vec<(u32, u32, f64)> = (2..90).map(|node| (node, 0, f64::from(node))).collect();
        edges.extend((2..80).map(|node| (node, 1, 0.1)));
        edges.extend((0..40).map(|node| (0, 2 + node * 2, 1.0 / 3.0)));
        let graph = graph(90, &edges);
        let inflow = Inflow::new(&graph, Ok).unwrap();
        let mut expected = vec![Vec::new(); 90];
        for source in 0..90 {
            let row = graph.row(source).unwrap();
            for (position, &target) in row.targets.iter().enumerate() {
                expected[target as usize].push((source, row.weight(position)));
            }
        }
        for node in 0..90 {
            let mut got = row(&inflow, inflow.place(node));
            got.sort_by_key(|edge| edge.0);
            assert_eq!(got, expected[node as usize], "node {node}");
            assert_eq!(inflow.twins(inflow.place(node)), [node]);
            assert_eq!(inflow.dangling.first <= inflow.place(node), graph.degree(node) == 0);
        }
        assert!(inflow.dangling.end() + SLICE == inflow.places());
        assert!(inflow.sources.iter().all(|&source| (source as usize) < inflow.places()));
    }

    #[test]
    fn twins_are_there_once() {
        // 1, 2, 3 and 5 hang on hub 0, and so does 4, which is known to 6 as well; 7 and 8 are isolated.
        let leaves = [1, 2, 3, 4, 5].into_iter().flat_map(|leaf| [(0, leaf, 1.0), (leaf, 0, 1.0)]);
        let graph = graph(9, &leaves.chain([(6, 4, 1.0)]).collect::<Vec<_>>());
        let inflow = Inflow::new(&graph, |node| Ok(100 - node)).unwrap();
        assert_eq!(inflow.twins(inflow.place(1)), [5, 3, 2, 1], "by rank");
        assert_eq!(inflow.twins(inflow.place(8)), [8, 7]);
        let ones = |nodes: &[NodeId]| nodes.iter().map(|&node| (node, 1.0)).collect::<Vec<_>>();
        assert_eq!(row(&inflow, inflow.place(2)), ones(&[0]));
        let mut hub = row(&inflow, inflow.place(0));
        hub.sort_by_key(|edge| edge.0);
        assert_eq!(hub, ones(&[4, 5]), "each place once");
        assert_eq!((inflow.members[inflow.place(3)], inflow.totals[inflow.place(0)]), (4.0, 5.0));
        assert_eq!(inflow.members.iter().sum::<f64>(), 9.0);
    }

    #[test]
    fn stretches_are_the_region_cut_evenly() {
        // Some hubs with long rows, many short ones.
        let edges: Vec<(u32, u32, f64)> =
            (0..9000).flat_map(|node| [(node, node % 90, 1.0), (node, (node * 7 + 11) % 9000, 1.0)]).collect();
        let inflow = Inflow::new(&graph(9000, &edges), Ok).unwrap();
        let region = &inflow.live;
        for count in [1, 2, 8, 3000] {
            let stretches = region.cut(count);
            assert_eq!(stretches.len(), count);
            let mut next = region.first;
            for stretch in &stretches {
                let places = region.places(stretch);
                assert_eq!(places.start, next);
                assert_eq!(places.len(), stretch.long.len() + SLICE * stretch.slices.len());
                next = places.end;
            }
            assert_eq!(next, region.end());
        }
        assert_eq!(region.cut(1)[0], region.whole());
        let work = |stretch: &Stretch| {
            let long = region.long[stretch.long.end] - region.long[stretch.long.start];
            let slices = region.slices[stretch.slices.end] - region.slices[stretch.slices.start];
            long + slices + region.places(stretch).len()
        };
        let shares: Vec<usize> = region.cut(4).iter().map(work).collect();
        assert!(shares.iter().max() <= shares.iter().min().map(|least| least * 11 / 10).as_ref(), "{shares:?}");
    }
}
