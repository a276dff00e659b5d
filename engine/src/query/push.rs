//! Pushing: what walks would do from a residual, computed exactly and a node at a time.
//!
//! With `a` the restart probability, *P* the transition probabilities (rows of dangling nodes are zero) and *q_v* the
//! answer to the seed *v*,
//!
//! ```text
//! push v:   answer(v)   += a * residual(v)
//!           residual(w) += (1 - a) * residual(v) * P(v, w)     for every out-edge v -> w
//!           residual(v) -= what it was
//! ```
//!
//! **At any time the true answer is `answer + sum over v of residual(v) * q_v`** (Jeh & Widom 2003, section 4; Andersen,
//! Chung & Lang 2006, section 3). (Test: `query::tests::decomposition`.) So pushing may stop anywhere, and what is left
//! may be answered by other means.
//!
//! Few nodes are pushed from a list, in rounds: what rises above the threshold in one round is pushed in the next
//! ([`local`]). Where the list grows to a good part of the graph, passing over all rows again and again is cheaper than jumping
//! between them: see [`super::sweep`].

use super::halt::Halt;
use super::workspace::Workspace;
use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::ids::NodeId;

/// A list whose pushes cost more than passing over everything divided by this is too wide.
const WIDE_DIVISOR: u64 = 8;
/// The most rounds of pushing, whatever the restart probability.
pub(super) const MOST_ROUNDS: u64 = 1_000_000;
/// How far the masses may be off after pushing, before the graph's weights must be damaged. Rounding stays far below.
const BALANCE: f64 = 1e-6;

/// A graph to push on and what does not change while pushing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pusher<'g> {
    pub(super) graph: &'g Graph,
    pub(super) restart_prob: f64,
    /// What may end the pushing.
    pub(super) halt: &'g Halt,
    offsets: &'g [u64],
    targets: &'g [NodeId],
    weighted: bool,
}

/// When to stop pushing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stop {
    /// Nodes are pushed while their residual is above this x max(1, out-degree).
    pub(super) threshold: f64,
    /// Pushing stops when the sum of residuals is at most this.
    pub(super) left: f64,
    /// Pushing stops after about this many edges.
    pub(super) work: u64,
    /// Pushing stops after this many rounds.
    pub(super) rounds: u64,
    /// Whether pushing stops where it concerns a good part of the graph.
    pub(super) narrow: bool,
}

/// Why pushing from a list stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pushed {
    /// Nothing is above the threshold, or one of the bounds is reached.
    Enough,
    /// The list has become wide: sweeps are cheaper.
    Wide,
}

/// Pushes from a list, round by round. Returns why it stopped, and the work and rounds it took.
///
/// Cost: the out-edges of what is pushed. Each push takes at least `restart_prob` x `threshold` x max(1, out-degree) from
/// the residual, so that all pushes together have at most `1 / (restart_prob * threshold)` edges.
///
/// # Errors
/// When the graph is damaged, or the flag of the pusher is set.
pub(super) fn local(pusher: Pusher<'_>, space: &mut Workspace, stop: Stop) -> Result<(Pushed, u64, u64)> {
    let Pusher { restart_prob, .. } = pusher;
    let wide_cost = pusher.scan_cost() / WIDE_DIVISOR;
    let (mut work, mut rounds) = (0, 0);
    pusher.halt.look()?;
    let mut pace = pusher.halt.pace();
    let mut list: Vec<NodeId> = Vec::new();
    let mut list_cost = 0;
    for position in 0..space.width() {
        let node = space.node(position);
        let cost = pusher.cost(node);
        if stop.threshold * (cost as f64) < space.residual[node as usize] {
            space.enqueue(node);
            list.push(node);
            list_cost += cost;
        }
    }
    let mut next: Vec<NodeId> = Vec::new();
    loop {
        if stop.narrow && (wide_cost < list_cost || space.is_wide()) {
            list.iter().for_each(|&node| space.dequeue(node));
            space.go_wide();
            return Ok((Pushed::Wide, work, rounds));
        }
        if space.left <= stop.left {
            space.recount(); // what was subtracted bit by bit may be off by more than a tiny bound
        }
        if list.is_empty() || space.left <= stop.left || stop.work <= work || stop.rounds <= rounds {
            list.iter().for_each(|&node| space.dequeue(node));
            return Ok((Pushed::Enough, work, rounds));
        }
        (work, rounds) = (work + list_cost, rounds + 1);
        list_cost = 0;
        for &node in &list {
            let at = node as usize;
            pace.after(pusher.cost(node))?;
            space.dequeue(node);
            let mass = std::mem::take(&mut space.residual[at]);
            space.answer[at] += restart_prob * mass;
            let onward = (1.0 - restart_prob) * mass;
            if pusher.is_dangling(node) {
                space.ended += onward;
                space.left -= mass;
                continue;
            }
            space.left -= restart_prob * mass;
            if onward == 0.0 {
                continue;
            }
            pusher.spread(node, onward, |target, share| {
                let to = target as usize;
                let Some(slot) = space.residual.get_mut(to) else { return false };
                *slot += share;
                let residual = *slot;
                space.touch(target);
                if stop.threshold < residual {
                    let cost = pusher.cost(target);
                    if stop.threshold * (cost as f64) < residual && space.enqueue(target) {
                        next.push(target);
                        list_cost += cost;
                    }
                }
                true
            })?;
        }
        list.clear();
        std::mem::swap(&mut list, &mut next);
    }
}

impl<'g> Pusher<'g> {
    pub(super) fn new(graph: &'g Graph, restart_prob: f64, halt: &'g Halt) -> Pusher<'g> {
        let (offsets, targets) = (graph.offsets(), graph.targets());
        Pusher { graph, restart_prob, halt, offsets, targets, weighted: graph.is_weighted() }
    }

    /// The sum of the costs of all nodes, an upper bound: nodes plus edges.
    pub(super) fn scan_cost(self) -> u64 {
        self.graph.nodes() as u64 + self.graph.edges() as u64
    }

    /// What pushing a node costs: its out-degree, at least 1; at most all edges, whatever damaged offsets say.
    #[inline]
    pub(super) fn cost(self, node: NodeId) -> u64 {
        let at = node as usize;
        self.offsets[at + 1].saturating_sub(self.offsets[at]).min(self.targets.len() as u64).max(1)
    }

    /// True when no edge leaves the node. A row with damaged offsets is none such: reading it is an error.
    #[inline]
    pub(super) fn is_dangling(self, node: NodeId) -> bool {
        self.offsets[node as usize] == self.offsets[node as usize + 1]
    }

    /// Calls `visit` with each target of a row that is not dangling and `mass` times its transition probability. `visit`
    /// returns false when the target is no node.
    ///
    /// # Errors
    /// When the row is damaged.
    #[inline]
    pub(super) fn spread(self, node: NodeId, mass: f64, mut visit: impl FnMut(NodeId, f64) -> bool) -> Result<()> {
        let mut inside = true;
        if self.weighted {
            let row = self.graph.row(node)?;
            inside &= 0.0 < row.total && row.total.is_finite();
            row.spread(mass, |target, share| inside &= visit(target, share));
        } else {
            // Slices that were taken once, instead of a row: a quarter of the time of a scan.
            let place = node as usize;
            let (start, end) = (self.offsets[place], self.offsets[place + 1]);
            let row = usize::try_from(start).ok().zip(usize::try_from(end).ok());
            let row = row.and_then(|(start, end)| self.targets.get(start..end));
            let row = row.ok_or_else(|| self.graph.damaged_row(node))?;
            let share = mass / row.len() as f64;
            row.iter().for_each(|&target| inside &= visit(target, share));
        }
        if inside { Ok(()) } else { Err(self.graph.damaged_row(node)) }
    }

    /// Checks that no mass was made or lost: `answer`, `ended` and `left` together are the seeds' mass.
    ///
    /// # Errors
    /// When they are not: the graph's weights are damaged.
    pub(super) fn check_balance(self, space: &Workspace) -> Result<()> {
        let answered: f64 = space.nodes().map(|node| space.answer[node as usize]).sum();
        self.check_sum(answered + space.ended + space.left, 1.0)
    }

    /// Checks that as much mass arrived as was sent.
    ///
    /// # Errors
    /// When it did not, or is no number: the graph's weights are damaged.
    pub(super) fn check_sum(self, arrived: f64, sent: f64) -> Result<()> {
        if (arrived - sent).abs() <= BALANCE {
            return Ok(());
        }
        let what = format!("the weights of some row do not add up to the row's sum: mass {sent} became {arrived}");
        Err(Error::damaged(self.graph.path(), what))
    }
}
