//! What has changed in a graph since its index was built.
//!
//! With *P* the transition probabilities of the base, which the index walked, and *P'* those of the changed graph, the row of
//! a changed node *x* differs by `D(x,·) = P'(x,·) - P(x,·)`. One edge more in a row of a thousand changes all thousand
//! probabilities by the same factor; so a row is kept as
//!
//! ```text
//! D(x,·) = (1 - kept(x)) * P'(x,·) + rest(x,·)        P(x,·) = kept(x) * P'(x,·) - rest(x,·)
//! ```
//!
//! where `rest` has entries only where weights changed by another factor than most of the row: `kept` is the median of `P / P'`,
//! each target weighing as much as its probability, which makes the sum of `|rest|` least and is at most 2. Where most weights
//! stayed as they were, `kept = total' / total` and `rest(x, w) = (weight' - weight) / total`.
//!
//! A node that is not in the base was dangling there, as it were: `kept = 0` and no rest, as for nodes that were dangling.

use crate::error::{Error, Result};
use crate::graph::{Graph, Row};
use crate::ids::NodeId;

/// Rows that differ by more than this, summed over all targets (at most 2), are hardly those that walks of the base saw.
const RENEWED: f64 = 0.5;
/// Rests that are smaller, as a part of a probability, come of rounding.
const ROUNDING: f64 = 1e-14;

/// The rows of a graph that differ from those of its base: see the notes above. Memory: 3/16 byte a node of the graph, some
/// 50 bytes a changed row and 12 a changed edge.
#[derive(Debug, Clone)]
pub struct ChangedRows {
    base_nodes: usize,
    nodes: usize,
    base_digest: u128,
    /// Ascending by node.
    rows: Vec<Changed>,
    /// A bit a node, and how many bits are set in the words before.
    bits: Vec<u64>,
    before: Vec<u32>,
    /// Rests, row after row.
    rests: Vec<(NodeId, f64)>,
    /// The nodes that have to be pushed.
    renewed: Vec<NodeId>,
}

/// One changed row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Changed {
    pub(super) node: NodeId,
    /// The share of the base's row in the changed one.
    pub(super) kept: f64,
    /// The out-degree in the base.
    base_degree: u64,
    /// Whether the base's walks from here are hardly of use.
    renewed: bool,
    /// The sum of the absolute rests.
    pub(super) rest: f64,
    /// Where the rests end.
    end: usize,
}

impl ChangedRows {
    /// The differences of all rows. Cost: one pass over the edges of both graphs.
    ///
    /// # Errors
    /// As [`ChangedRows::of_rows`].
    ///
    /// ```
    /// use walkprint_engine::edges::EdgeList;
    /// use walkprint_engine::graph::Graph;
    /// use walkprint_engine::ids::ExternalIds;
    /// use walkprint_engine::kinds::KindLists;
    /// use walkprint_engine::query::ChangedRows;
    ///
    /// let graph = |nodes: i64, sources, targets| {
    ///     let ids = ExternalIds::Integers((0..nodes).collect());
    ///     Graph::in_memory(EdgeList { ids, sources, targets, weights: None, kinds: KindLists::default() })
    /// };
    /// let base = graph(3, vec![0, 0, 1], vec![1, 2, 0])?;
    /// let changed = graph(4, vec![0, 0, 0, 1], vec![1, 2, 3, 0])?;
    /// let changes = ChangedRows::between(&base, &changed)?;
    /// assert_eq!(changes.nodes().collect::<Vec<_>>(), [0]);
    /// # Ok::<(), walkprint_engine::error::Error>(())
    /// ```
    pub fn between(base: &Graph, changed: &Graph) -> Result<ChangedRows> {
        let nodes = NodeId::try_from(base.nodes()).map_err(|_| Error::damaged(base.path(), "it has too many nodes"))?;
        ChangedRows::of_rows(base, changed, 0..nodes)
    }

    /// The differences of some rows: of these, in any order, and of all nodes that are not in the base. Rows that turn out not
    /// to differ are left out; no row must differ that is not named. Cost: one pass over these rows, and a few nanoseconds
    /// for every 64 nodes.
    ///
    /// # Errors
    /// When the changed graph has fewer nodes than its base, a row is outside it, or a graph is damaged.
    pub fn of_rows(base: &Graph, changed: &Graph, rows: impl IntoIterator<Item = NodeId>) -> Result<ChangedRows> {
        ChangedRows::none(base.nodes(), base.nodes(), base.digest()).updated(base, changed, rows)
    }

    /// The differences after the graph has changed once more: `rows`, in any order, are those that differ from the graph that
    /// these differences were of. Rows that are again what they were in the base are left out. Cost: one pass over these rows,
    /// and a copy of the others' differences.
    ///
    /// # Errors
    /// As [`ChangedRows::of_rows`], and when the base is another one.
    pub fn updated(
        &self,
        base: &Graph,
        changed: &Graph,
        rows: impl IntoIterator<Item = NodeId>,
    ) -> Result<ChangedRows> {
        if self.base_digest != base.digest() {
            let (expected, got) = (format!("{:032x}", self.base_digest), format!("{:032x}", base.digest()));
            let what = "the changes are from graph";
            return Err(Error::Mismatch { path: base.path().to_owned(), what, expected, got });
        }
        let (base_nodes, nodes) = (base.nodes(), changed.nodes());
        if self.base_nodes != base_nodes || nodes < self.nodes {
            let (expected, got) = (format!("at least {}", self.nodes), nodes.to_string());
            let what = "the number of nodes after changes is";
            return Err(Error::Mismatch { path: changed.path().to_owned(), what, expected, got });
        }
        let count =
            |nodes: usize| NodeId::try_from(nodes).map_err(|_| Error::damaged(changed.path(), "it has too many nodes"));
        let mut listed: Vec<NodeId> = rows.into_iter().chain(count(self.nodes)?..count(nodes)?).collect();
        listed.sort_unstable();
        listed.dedup();
        if let Some(&last) = listed.last().filter(|&&last| nodes <= last as usize) {
            return Err(changed.damaged_row(last));
        }
        let mut changes = ChangedRows::none(base_nodes, nodes, self.base_digest);
        let (mut differences, mut at) = (Vec::new(), 0);
        for node in listed {
            at = changes.copy(self, at, node);
            at += usize::from(self.rows.get(at).is_some_and(|row| row.node == node));
            let new = sound(changed, node)?;
            let old = if (node as usize) < base_nodes { Some(sound(base, node)?) } else { None };
            differences.clear();
            compare(old.as_ref(), &new, &mut differences);
            changes.push(node, old.map_or(0, |old| old.degree() as u64), &new, &differences);
        }
        changes.copy(self, at, NodeId::MAX);
        let mut set = 0;
        for word in &changes.bits {
            changes.before.push(set);
            set += word.count_ones();
        }
        Ok(changes)
    }

    fn none(base_nodes: usize, nodes: usize, base_digest: u128) -> ChangedRows {
        ChangedRows {
            base_nodes,
            nodes,
            base_digest,
            rows: Vec::new(),
            bits: vec![0; nodes.div_ceil(64)],
            before: Vec::new(),
            rests: Vec::new(),
            renewed: Vec::new(),
        }
    }

    /// Takes over the rows of `other` from a place on that belong to nodes below `end`. Returns the place of the next.
    fn copy(&mut self, other: &ChangedRows, from: usize, end: NodeId) -> usize {
        let until = from + other.rows[from..].partition_point(|row| row.node < end);
        for place in from..until {
            self.rests.extend_from_slice(other.rest(place));
            self.list(Changed { end: self.rests.len(), ..other.rows[place] });
        }
        until
    }

    /// Lists a row whose rests are there already.
    fn list(&mut self, row: Changed) {
        if row.renewed {
            self.renewed.push(row.node);
        }
        self.bits[row.node as usize / 64] |= 1 << (row.node % 64);
        self.rows.push(row);
    }

    fn push(&mut self, node: NodeId, base_degree: u64, new: &Row<'_>, differences: &[Difference]) {
        let moved: f64 = differences.iter().map(|one| (one.new - one.old).abs()).sum();
        if moved <= ROUNDING {
            return;
        }
        let kept = kept(base_degree, new, differences);
        let first = self.rests.len();
        for one in differences {
            let rest = if one.same && kept.is_total { 0.0 } else { kept.share * one.new - one.old };
            if ROUNDING * one.old.max(one.new) < rest.abs() {
                self.rests.push((one.target, rest));
            }
        }
        let renewed = RENEWED < moved && new.degree() != 0;
        let rest = self.rests[first..].iter().map(|(_, rest)| rest.abs()).sum();
        let end = self.rests.len();
        self.list(Changed { node, kept: kept.share, base_degree, renewed, rest, end });
    }

    /// The nodes whose rows differ, ascending.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> {
        self.rows.iter().map(|row| row.node)
    }

    /// How many rows differ.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// True when no row differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How many nodes the base has: the sources of its indexes.
    #[must_use]
    pub fn base_nodes(&self) -> usize {
        self.base_nodes
    }

    /// How many nodes the changed graph has.
    #[must_use]
    pub fn changed_nodes(&self) -> usize {
        self.nodes
    }

    /// The digest of the base: that of the graph its indexes were built from.
    #[must_use]
    pub fn base_digest(&self) -> u128 {
        self.base_digest
    }

    /// The changed rows, ascending by node.
    pub(super) fn rows(&self) -> &[Changed] {
        &self.rows
    }

    /// The place of a node among the changed rows.
    #[inline]
    pub(super) fn place(&self, node: NodeId) -> Option<usize> {
        let (word, bit) = (node as usize / 64, node % 64);
        let bits = self.bits[word];
        let below = (bits & ((1 << bit) - 1)).count_ones();
        (bits >> bit & 1 == 1).then(|| (self.before[word] + below) as usize)
    }

    /// Where the changed row at a place differs by more than a factor.
    pub(super) fn rest(&self, place: usize) -> &[(NodeId, f64)] {
        let first = place.checked_sub(1).map_or(0, |before| self.rows[before].end);
        &self.rests[first..self.rows[place].end]
    }

    /// The nodes whose fingerprints are of little use, if they have one, and that are not dangling: ascending.
    pub(super) fn renewed(&self) -> &[NodeId] {
        &self.renewed
    }

    /// Whether a node is one of [`ChangedRows::renewed`].
    #[inline]
    pub(super) fn is_renewed(&self, node: NodeId) -> bool {
        self.place(node).is_some_and(|place| self.rows[place].renewed)
    }

    /// The out-degree of a node in the base, if its row has changed.
    #[inline]
    pub(super) fn base_degree(&self, node: NodeId) -> Option<u64> {
        self.place(node).map(|place| self.rows[place].base_degree)
    }

    /// The share of a node's row in the base that its row now has.
    #[inline]
    pub(super) fn kept(&self, node: NodeId) -> f64 {
        self.place(node).map_or(1.0, |place| self.rows[place].kept)
    }
}

/// One target of a row, before and after.
#[derive(Debug, Clone, Copy)]
struct Difference {
    target: NodeId,
    old: f64,
    new: f64,
    /// Whether the weight is what it was.
    same: bool,
}

/// A row whose probabilities are numbers.
fn sound(graph: &Graph, node: NodeId) -> Result<Row<'_>> {
    let row = graph.row(node)?;
    let sum: f64 = (0..row.degree()).map(|at| row.weight(at)).sum();
    let whole = (sum - row.total).abs() <= 1e-6 * row.total.abs();
    let inside = row.targets.iter().all(|&target| (target as usize) < graph.nodes());
    if row.degree() == 0 || (inside && whole && 0.0 < row.total && row.total.is_finite()) {
        Ok(row)
    } else {
        Err(graph.damaged_row(node))
    }
}

/// Lists the targets of either row.
fn compare(old: Option<&Row<'_>>, new: &Row<'_>, differences: &mut Vec<Difference>) {
    let (mut at, degree) = (0, old.map_or(0, Row::degree));
    let gone = |row: &Row<'_>, at: usize| Difference {
        target: row.targets[at],
        old: row.weight(at) / row.total,
        new: 0.0,
        same: false,
    };
    for (place, &target) in new.targets.iter().enumerate() {
        let (mut before, mut same) = (0.0, false);
        if let Some(old) = old {
            while at < degree && old.targets[at] < target {
                differences.push(gone(old, at));
                at += 1;
            }
            if at < degree && old.targets[at] == target {
                (before, same) = (old.weight(at) / old.total, old.weight(at) == new.weight(place));
                at += 1;
            }
        }
        differences.push(Difference { target, old: before, new: new.weight(place) / new.total, same });
    }
    if let Some(old) = old {
        differences.extend((at..degree).map(|at| gone(old, at)));
    }
}

/// The share of the base's row in the changed one.
struct Kept {
    share: f64,
    /// Whether it is that of the weights that stayed as they were.
    is_total: bool,
}

fn kept(base_degree: u64, new: &Row<'_>, differences: &[Difference]) -> Kept {
    if base_degree == 0 || new.degree() == 0 {
        // Where nothing leaves now, any share will do: the one that leaves the row alone.
        return Kept { share: if base_degree == 0 { 0.0 } else { 1.0 }, is_total: false };
    }
    let same = || differences.iter().filter(|one| one.same);
    if 0.5 <= same().map(|one| one.new).sum::<f64>()
        && let Some(one) = same().max_by(|a, b| a.new.total_cmp(&b.new))
    {
        return Kept { share: one.old / one.new, is_total: true };
    }
    let mut ratios: Vec<(f64, f64)> =
        differences.iter().filter(|one| 0.0 < one.new).map(|one| (one.old / one.new, one.new)).collect();
    ratios.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let mut below = 0.0;
    let median = ratios.iter().find(|(_, share)| {
        below += share;
        0.5 <= below
    });
    Kept { share: median.or(ratios.last()).map_or(0.0, |&(ratio, _)| ratio), is_total: false }
}
