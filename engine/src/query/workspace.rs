//! The numbers of one question, a slot a node, kept from question to question.
//!
//! While an answer stays local, the workspace remembers which nodes it touched, and clearing it costs as much as
//! filling it did. Once an answer grows over a good part of the graph it goes [wide](Workspace::go_wide): it stops
//! keeping the list, and clearing passes over all nodes.

use std::sync::atomic::{AtomicU64, Ordering};

use zerocopy::FromZeros;

use crate::error::Result;
use crate::ids::NodeId;

const TOUCHED: u8 = 1;
const QUEUED: u8 = 2;
const USED: u8 = 4;
const SOWN: u8 = 8;
const AMENDING: u8 = 16;

/// See [`Workspace::unsettled`]: a tenth, of which most cancels out.
const UNSETTLED: f64 = 0.1;
/// See [`Workspace::few`].
const FEW: f64 = 0.5;

/// What fingerprints say of one node. Side by side, because both change together.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    /// The estimate.
    pub(super) score: f64,
    /// The sum of the squared packets that make up the estimate: see [`super::tally`].
    pub(super) variance: f64,
}

/// What the fingerprints in a tally have in sum.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Drawn {
    /// The mass of the seeds that they stand for.
    pub(super) mass: f64,
    /// The part of their scores that is random.
    pub(super) score: f64,
    /// Their variances.
    pub(super) variance: f64,
    /// The variance of the sum of all scores, deterministic ones included: walks differ in length.
    pub(super) sum_variance: f64,
    /// The variances after the last step was made exactly; `None` when it was not.
    pub(super) stepped_variance: Option<f64>,
}

/// How far what amends a stale tally may be off: see [`super::amend`].
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Stale {
    /// The standard error of what amends, as a part of it.
    pub(super) relative: f64,
    /// The standard error of the residual that it came of, all rows together.
    pub(super) noise: f64,
    /// What was left of that residual.
    pub(super) left: f64,
    /// The variance of the mass that it lets end at dangling nodes.
    pub(super) ended_variance: f64,
}

/// Residual, answer and tally of every node. All zero between questions, but for what is known of the index.
#[derive(Debug)]
pub(super) struct Workspace {
    /// Mass that has not been pushed.
    pub(super) residual: Vec<f64>,
    /// Mass that was pushed and stayed: a lower bound of the linear core.
    pub(super) answer: Vec<f64>,
    /// What fingerprints add to it.
    pub(super) tally: Vec<Tally>,
    /// The tally one step further: see [`super::tally::step`].
    pub(super) stepped: Vec<Tally>,
    /// Sums over the tally.
    pub(super) drawn: Drawn,
    /// What amends the tally, and is part of `answer` in the end; none where nothing has changed since fingerprints were made.
    pub(super) amended: Vec<Tally>,
    /// How far that may be off.
    pub(super) stale: Stale,
    /// The part of the error of what is amended that may be left unsettled besides.
    pub(super) unsettled: f64,
    /// What fingerprints may cost that amend it, in passes over all edges.
    pub(super) few: f64,
    /// The nodes that have to do with amending, unless those are all.
    amending: Vec<NodeId>,
    amending_all: bool,
    /// Mass that was pushed at dangling nodes and would have gone on.
    pub(super) ended: f64,
    /// The sum of `residual`.
    pub(super) left: f64,
    /// What [`Workspace::returns`] knows, as bits of an f64; 0 where it is not known yet. Atomic only so that it can be noted
    /// while the rest is read.
    returns: Vec<AtomicU64>,
    marks: Vec<u8>,
    touched: Vec<NodeId>,
    wide: bool,
}

impl Workspace {
    /// Room for a graph. Memory: 57 bytes a node, of which those that are never touched cost nothing.
    ///
    /// # Panics
    /// When there is no memory.
    pub(super) fn new(nodes: usize) -> Workspace {
        Workspace {
            residual: vec![0.0; nodes],
            answer: vec![0.0; nodes],
            tally: vec![Tally::default(); nodes],
            stepped: vec![Tally::default(); nodes],
            drawn: Drawn::default(),
            amended: Vec::new(),
            stale: Stale::default(),
            unsettled: UNSETTLED,
            few: FEW,
            amending: Vec::new(),
            amending_all: false,
            ended: 0.0,
            left: 0.0,
            returns: AtomicU64::new_vec_zeroed(nodes).expect("there is memory, as for all other vectors"),
            marks: vec![0; nodes],
            touched: Vec::new(),
            wide: false,
        }
    }

    /// The same with room to amend what fingerprints add: 16 bytes a node more.
    ///
    /// # Panics
    /// When there is no memory.
    pub(super) fn for_changes(nodes: usize) -> Workspace {
        Workspace { amended: vec![Tally::default(); nodes], ..Workspace::new(nodes) }
    }

    /// How many visits a walk from a node makes there: at least 1, the same for all questions to one index, and read from its
    /// fingerprint when it is asked for first. It is kept when the rest is cleared.
    ///
    /// # Errors
    /// What `read` gives; then nothing is kept.
    #[inline]
    pub(super) fn returns(&self, node: NodeId, read: impl FnOnce() -> Result<f64>) -> Result<f64> {
        let known = &self.returns[node as usize];
        match known.load(Ordering::Relaxed) {
            0 => {
                let returns = read()?;
                known.store(returns.to_bits(), Ordering::Relaxed);
                Ok(returns)
            }
            bits => Ok(f64::from_bits(bits)),
        }
    }

    /// Clears everything. Cost: proportional to what was touched, or to the nodes after a wide answer.
    pub(super) fn clear(&mut self) {
        self.forget_tally();
        if self.wide {
            self.residual.fill(0.0);
            self.answer.fill(0.0);
            self.marks.fill(0);
        } else {
            for &node in &self.touched {
                let at = node as usize;
                self.residual[at] = 0.0;
                self.answer[at] = 0.0;
                self.marks[at] = 0;
            }
        }
        self.touched.clear();
        self.wide = false;
        if self.amending_all {
            self.amended.fill(Tally::default());
        } else {
            self.amending.iter().for_each(|&node| self.amended[node as usize] = Tally::default());
        }
        self.amending.clear();
        (self.amending_all, self.stale) = (false, Stale::default());
        (self.ended, self.left) = (0.0, 0.0);
    }

    /// Puts what fingerprints added in the place of the residual that they stand for, and forgets them. Cost: as clearing.
    pub(super) fn discard_tally(&mut self) {
        if self.drawn.mass == 0.0 {
            return;
        }
        for position in 0..self.width() {
            let at = self.node(position) as usize;
            self.residual[at] = self.tally[at].score;
        }
        self.forget_tally();
    }

    /// Takes what fingerprints added for a residual, beside what was left of that by which they were amended, and forgets
    /// them. Cost: as clearing.
    pub(super) fn discard_amended(&mut self) {
        for position in 0..self.width() {
            let at = self.node(position) as usize;
            self.residual[at] += self.tally[at].score;
        }
        self.forget_tally();
        self.stale = Stale::default();
    }

    /// Forgets what fingerprints added. Cost: as clearing.
    pub(super) fn forget_tally(&mut self) {
        if !self.wide {
            for &node in &self.touched {
                let at = node as usize;
                (self.tally[at], self.stepped[at]) = (Tally::default(), Tally::default());
            }
        } else if self.drawn.mass != 0.0 {
            self.tally.fill(Tally::default());
            self.stepped.fill(Tally::default());
        }
        self.drawn = Drawn::default();
    }

    /// Puts the seeds into the residual. Expects a clear workspace and seeds of this graph.
    pub(super) fn sow(&mut self, seeds: &[(NodeId, f64)]) {
        if self.residual.len() / 8 < seeds.len() {
            self.go_wide();
        }
        for &(node, weight) in seeds {
            self.touch(node);
            self.residual[node as usize] = weight;
        }
        self.left = seeds.iter().map(|&(_, weight)| weight).sum();
    }

    /// True when touched nodes are no longer listed.
    pub(super) fn is_wide(&self) -> bool {
        self.wide
    }

    /// Stops listing touched nodes.
    pub(super) fn go_wide(&mut self) {
        self.wide = true;
        self.touched.clear();
    }

    /// Lists a node as touched, unless it is already or the workspace is wide.
    #[inline]
    pub(super) fn touch(&mut self, node: NodeId) {
        let mark = &mut self.marks[node as usize];
        if !self.wide && *mark & TOUCHED == 0 {
            *mark |= TOUCHED;
            self.touched.push(node);
        }
    }

    /// Marks a node as queued. True when it was not before.
    #[inline]
    pub(super) fn enqueue(&mut self, node: NodeId) -> bool {
        let mark = &mut self.marks[node as usize];
        let new = *mark & QUEUED == 0;
        *mark |= QUEUED;
        new
    }

    /// Takes the mark of [`Workspace::enqueue`] away.
    #[inline]
    pub(super) fn dequeue(&mut self, node: NodeId) {
        self.marks[node as usize] &= !QUEUED;
    }

    /// Lists a node as one that has to do with amending, and as touched.
    #[inline]
    pub(super) fn touch_amending(&mut self, node: NodeId) {
        self.touch(node);
        let mark = &mut self.marks[node as usize];
        if !self.amending_all && *mark & AMENDING == 0 {
            *mark |= AMENDING;
            self.amending.push(node);
        }
    }

    /// Goes wide, and takes all nodes for such as have to do with amending.
    pub(super) fn amend_all(&mut self) {
        self.go_wide();
        self.amending_all = true;
        self.amending.clear();
    }

    /// How many nodes have to do with amending.
    pub(super) fn amending(&self) -> usize {
        if self.amending_all { self.residual.len() } else { self.amending.len() }
    }

    /// The node at a position below [`Workspace::amending`].
    #[inline]
    pub(super) fn amending_node(&self, position: usize) -> NodeId {
        if self.amending_all { node_at(position) } else { self.amending[position] }
    }

    /// The nodes that have to do with amending.
    pub(super) fn amending_nodes(&self) -> impl Iterator<Item = NodeId> {
        (0..self.amending()).map(|position| self.amending_node(position))
    }

    /// Marks a node whose fingerprint was added.
    pub(super) fn mark_used(&mut self, node: NodeId) {
        self.marks[node as usize] |= USED;
    }

    /// Whether the fingerprint of a node was added: see [`Workspace::mark_used`].
    #[inline]
    pub(super) fn is_used(&self, node: NodeId) -> bool {
        self.marks[node as usize] & USED != 0
    }

    /// Marks a node that was given a residual of its own. True when it was not before.
    #[inline]
    pub(super) fn mark_sown(&mut self, node: NodeId) -> bool {
        let mark = &mut self.marks[node as usize];
        let new = *mark & SOWN == 0;
        *mark |= SOWN;
        new
    }

    /// How many nodes there are to look at.
    pub(super) fn width(&self) -> usize {
        if self.wide { self.residual.len() } else { self.touched.len() }
    }

    /// The node at a position below [`Workspace::width`].
    #[inline]
    pub(super) fn node(&self, position: usize) -> NodeId {
        if self.wide { node_at(position) } else { self.touched[position] }
    }

    /// The nodes there are to look at.
    pub(super) fn nodes(&self) -> impl Iterator<Item = NodeId> {
        (0..self.width()).map(|position| self.node(position))
    }

    /// The linear core of a node as far as it is known.
    #[inline]
    pub(super) fn core(&self, node: NodeId) -> f64 {
        self.answer[node as usize] + self.tally[node as usize].score
    }

    /// Adds up the residual again, which rids `left` of rounding. Cost: one pass over what was touched.
    pub(super) fn recount(&mut self) {
        self.left = if self.wide {
            self.residual.iter().sum()
        } else {
            self.touched.iter().map(|&node| self.residual[node as usize]).sum()
        };
    }
}

/// The node at a place of a slice that has one entry a node.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "a graph has at most ids::MAX_NODES nodes: checked by Answerer::new"
)]
pub(super) fn node_at(place: usize) -> NodeId {
    place as NodeId
}
