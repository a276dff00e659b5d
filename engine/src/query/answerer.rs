//! From a question to an answer: choose a method, compute the core, apply the dangling policy, rank.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use roaring::RoaringBitmap;

use super::amend;
use super::answer::{Answer, Ranked, Scores, Status};
use super::block::{Block, LEAST_PRECISION, Wanted};
use super::changes::ChangedRows;
use super::combine::{self, Bound, Left};
use super::dangling::{self, Scaling, UniformCore};
use super::exact;
use super::halt::Halt;
use super::lookup;
use super::push::Pusher;
use super::question::{Dangling, Method, Question};
use super::ranking::{self, Candidate, Judged};
use super::seeds::Seeds;
use super::shape::{self, Debias, Debiasing, Filter, Popularity, PopularityKind, SUPPORT_SHARE, Shape};
use super::stored::Stored;
use super::sweep::LazySweeper;
use super::tally;
use super::together::Crew;
use super::workspace::{Workspace, node_at};
use crate::error::{Error, Result};
use crate::graph::{Graph, Inflow, SharedInflow};
use crate::ids::{MAX_NODES, NodeId};
use crate::index::Index;
use crate::labels::Labels;
use crate::plan::{LEAST_RESTART_PROB, RESTART_PROBS};

/// Nodes and edges of a graph on which [`Method::Auto`] asks no estimate: an exact answer takes some milliseconds.
const CHEAP_EXACT: u64 = 50_000;
/// From this part of the nodes on, [`Method::Auto`] treats seeds as dense.
const DENSE_SEEDS: usize = 8;
/// The L1 error to aim at where a question names none.
pub(super) const USUAL_PRECISION: f64 = 0.05;
/// The residual of the core of uniform seeds, unless a smaller one is asked for.
const USUAL_RESIDUAL: f64 = 1e-12;
/// Where settling begins with exact answers.
const FIRST_RESIDUAL: f64 = 1e-4;
/// Of how many nodes that rank next none may come among settled results: some of them may be less sure than the first.
const BEYOND: usize = 8;
/// Where `only` names fewer nodes than one in so many, they are gone through instead of all.
pub(super) const FEW_NODES: u64 = 4;
/// How much more precise to become next, as a part of what is lacking, and at least and at most: beginning anew costs
/// a few sweeps.
const AMPLE: f64 = 0.7;
const LEAST_FACTOR: f64 = 1e-3;
const MOST_FACTOR: f64 = 0.3;
/// What a standard error takes, in edges: a fingerprint may be read for it.
const STD_ERROR_COST: u64 = 16;
/// Estimates that differ by less, relatively, differ by rounding only.
const ROUNDING: f64 = 1e-12;
/// Exact scores are tied when they differ by less than this many times the error bound, relatively: nodes that the graph
/// cannot tell apart share the error of the whole in proportion to their score, within a small factor.
const TIE_ERRORS: f64 = 8.0;
/// ... but not by more than this, however large the error.
const LARGEST_TIE: f64 = 1e-9;

/// Answers questions about one graph, one after the other.
///
/// Keeps 57 bytes a node from question to question (16 more where the graph has changed since its index was built; eight
/// once the global PageRank was asked for, four once in-degrees were; up to 20 more, and the graph turned round, once a question
/// grew wide; 148 once a block was asked), so that a question that stays local costs nothing for the rest of the graph. For
/// several threads make several.
pub struct Answerer<'a> {
    pub(super) graph: &'a Graph,
    labels: &'a Labels,
    index: Option<&'a Index>,
    /// What has changed since the index was built, if anything has.
    changes: Option<&'a ChangedRows>,
    pub(super) restart_prob: f64,
    pub(super) space: Workspace,
    pub(super) sweeper: LazySweeper<'a>,
    pub(super) block: Option<Block>,
    uniform: Option<UniformCore>,
    in_degrees: Option<Vec<u32>>,
    pub(super) halt: Halt,
}

/// What a question's seeds give to one node.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    /// Its linear core.
    pub(super) core: f64,
    /// Its score, as it is before ranking.
    pub(super) score: f64,
    /// The standard error of the score.
    pub(super) std_error: f64,
    /// The part of the score by walks that began again anywhere.
    pub(super) restarted: f64,
}

/// What a method left in the workspace.
pub(super) struct Core {
    method: Method,
    /// The part of the seeds' mass that the core lacks, at most.
    lacking: f64,
    status: Status,
    /// What knows how far scores are off.
    errors: Errors,
    /// The sum of the core over all nodes, where the workspace holds only some of them.
    pub(super) mass: Option<f64>,
}

/// An answer, and how far its results are from being changed.
pub(super) struct Settling {
    pub(super) answer: Answer,
    /// By how many times what they may be off the results lead those that rank next: see [`Judged::lead`].
    lead: f64,
}

/// What knows the standard errors of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Errors {
    /// Nothing, or fingerprints.
    Tally,
    /// The last sweep.
    Sweep,
    /// The block they were swept in; it has left them in the tally.
    Block,
}

impl Core {
    pub(super) fn new(method: Method, lacking: f64, status: Status, errors: Errors) -> Core {
        Core { method, lacking, status, errors, mass: None }
    }

    /// The variance of the mass that ended at dangling nodes, and with it of the sum of all scores, after sweeps. Mass is
    /// conserved, so that it is off by no more than all scores together; and it is known not to be off where none ended.
    fn ended_variance(&self, space: &Workspace) -> f64 {
        match self.status {
            Status::Estimated { l1_error, .. } if self.errors != Errors::Tally && space.ended != 0.0 => {
                l1_error * l1_error
            }
            _ => space.stale.ended_variance,
        }
    }
}

impl<'a> Answerer<'a> {
    /// Makes room for answers. Without an index only [`Method::Exact`] and [`Method::Block`] are possible.
    ///
    /// # Errors
    /// When the restart probability is below [`LEAST_RESTART_PROB`], above 1 or not the index's own, or when graph, labels and index do not
    /// belong together.
    pub fn new(
        graph: &'a Graph,
        labels: &'a Labels,
        index: Option<&'a Index>,
        restart_prob: f64,
    ) -> Result<Answerer<'a>> {
        let answerer = Answerer::without_index(graph, labels, restart_prob)?;
        let Some(index) = index else { return Ok(answerer) };
        check_index(graph, index, graph.digest(), graph.nodes(), restart_prob)?;
        Ok(Answerer { index: Some(index), ..answerer })
    }

    /// Makes room for answers about a graph that has changed since the index was built: `changes` are all the rows that differ
    /// from those of the graph that the index belongs to. Answers are those of the changed graph. What comes out of fingerprints is
    /// amended, and counted in standard errors and error estimates; exact answers and blocks know nothing of the index as ever.
    /// Memory: 16 bytes a node more.
    ///
    /// # Errors
    /// As [`Answerer::new`], and when the changes are not from the graph of the index to this one.
    pub fn with_changes(
        graph: &'a Graph,
        labels: &'a Labels,
        index: &'a Index,
        changes: &'a ChangedRows,
        restart_prob: f64,
    ) -> Result<Answerer<'a>> {
        let answerer = Answerer::without_index(graph, labels, restart_prob)?;
        check_index(graph, index, changes.base_digest(), changes.base_nodes(), restart_prob)?;
        if changes.changed_nodes() != graph.nodes() {
            let (expected, got) = (graph.nodes().to_string(), changes.changed_nodes().to_string());
            let what = "the number of nodes after changes is";
            return Err(Error::Mismatch { path: graph.path().to_owned(), what, expected, got });
        }
        let index = Some(index);
        if changes.is_empty() && changes.base_nodes() == graph.nodes() {
            return Ok(Answerer { index, ..answerer });
        }
        let space = Workspace::for_changes(graph.nodes());
        Ok(Answerer { index, changes: Some(changes), space, ..answerer })
    }

    /// [`Answerer::with_changes`] where there is an index and something has changed since it was built, else [`Answerer::new`].
    ///
    /// # Errors
    /// As theirs.
    pub fn about(
        graph: &'a Graph,
        labels: &'a Labels,
        index: Option<&'a Index>,
        changes: Option<&'a ChangedRows>,
        restart_prob: f64,
    ) -> Result<Answerer<'a>> {
        match (index, changes) {
            (Some(index), Some(changes)) => Answerer::with_changes(graph, labels, index, changes, restart_prob),
            _ => Answerer::new(graph, labels, index, restart_prob),
        }
    }

    fn without_index(graph: &'a Graph, labels: &'a Labels, restart_prob: f64) -> Result<Answerer<'a>> {
        if !(LEAST_RESTART_PROB..=1.0).contains(&restart_prob) {
            let got = restart_prob.to_string();
            return Err(Error::Parameter { name: "restart_prob", expected: RESTART_PROBS, got });
        }
        let nodes = graph.nodes();
        if MAX_NODES < nodes as u64 {
            return Err(Error::damaged(
                graph.path(),
                format!("it has {nodes} nodes, at most {MAX_NODES} are possible"),
            ));
        }
        if labels.len() != nodes {
            let (expected, got) = (nodes.to_string(), labels.len().to_string());
            let what = "the number of labels is";
            return Err(Error::Mismatch { path: graph.path().to_owned(), what, expected, got });
        }
        let (space, sweeper) = (Workspace::new(nodes), LazySweeper::new(graph, labels));
        let (index, changes, block, uniform, in_degrees) = (None, None, None, None, None);
        let halt = Halt::default();
        Ok(Answerer { graph, labels, index, changes, restart_prob, space, sweeper, block, uniform, in_degrees, halt })
    }

    /// Takes a graph that was turned round already, so that several answerers share it. It must be this graph.
    #[must_use]
    pub fn with_inflow(self, inflow: Arc<Inflow>) -> Answerer<'a> {
        debug_assert_eq!(inflow.nodes(), self.graph.nodes(), "the same graph");
        Answerer { sweeper: self.sweeper.with_inflow(inflow), block: None, ..self }
    }

    /// Takes a place for the graph turned round, so that several answerers of this graph share it, and it is made when the first of
    /// them needs it.
    #[must_use]
    pub fn sharing_inflow(self, inflow: Arc<SharedInflow>) -> Answerer<'a> {
        Answerer { sweeper: self.sweeper.sharing(inflow), block: None, ..self }
    }

    /// Takes a crew, whose hands share the work of questions that grow wide on a graph of some million edges. Answers are the
    /// same for any crew, and within their errors the same as without one.
    #[must_use]
    pub fn with_crew(self, crew: Arc<dyn Crew>) -> Answerer<'a> {
        Answerer { sweeper: self.sweeper.with_crew(crew), ..self }
    }

    /// Takes a flag to look at while it answers and explains, or none again. Once the flag is set, whatever is under way ends
    /// with [`Error::Interrupted`]; so does whatever is asked while it stays set, unless that is done before the first look.
    /// The next answer is then the same, bit for bit, as that of an answerer that was never interrupted.
    ///
    /// It is looked at after every 16,000 edges or so: pushed, swept, stored visits added, or searched for paths. Not
    /// interrupted are a row of one node, a pass over the nodes (ranking, clearing), one search for a path in a neighbourhood,
    /// and, the longest by far, turning the graph round for the first question that grows wide (20 to 30 ns an edge, once):
    /// call [`Answerer::inflow`] beforehand where that would be too long.
    ///
    /// ```
    /// use std::sync::atomic::{AtomicBool, Ordering};
    /// use std::sync::Arc;
    ///
    /// use walkprint_engine::error::Result;
    /// use walkprint_engine::query::{Answer, Answerer, Question};
    ///
    /// fn answer_until(answerer: &mut Answerer<'_>, question: &Question, stop: Arc<AtomicBool>) -> Result<Answer> {
    ///     answerer.heed(Some(stop)); // which another thread sets when it takes too long
    ///     let answer = answerer.answer(question);
    ///     answerer.heed(None);
    ///     answer
    /// }
    /// ```
    pub fn heed(&mut self, flag: Option<Arc<AtomicBool>>) {
        self.halt = Halt::new(flag);
    }

    /// The graph turned round, as questions that grow wide need it; made now unless it was before.
    ///
    /// # Errors
    /// When the graph is damaged.
    pub fn inflow(&mut self) -> Result<Arc<Inflow>> {
        self.sweeper.inflow()
    }

    /// The graph that is asked.
    #[must_use]
    pub fn graph(&self) -> &'a Graph {
        self.graph
    }

    /// The ids of its nodes.
    #[must_use]
    pub fn labels(&self) -> &'a Labels {
        self.labels
    }

    /// The index, if there is one: perhaps that of the graph before it changed.
    #[must_use]
    pub fn index(&self) -> Option<&'a Index> {
        self.index
    }

    /// The best nodes for a question's seeds.
    ///
    /// [`Method::Auto`] means `exact` without an index, for seeds that are a good part of the graph, and on graphs so
    /// small that it takes no longer than `combine`; `combine` otherwise.
    ///
    /// Cost: see the methods; then one pass over the scores, and an id and a standard error for each result. The
    /// first question with [`Dangling::Uniform`] also pays for one exact answer, which is kept. A [`Shape`] that
    /// asks for support costs an answer more for each seed and one for the whole, and ten bytes a node while it is counted.
    ///
    /// # Errors
    /// When a parameter is outside its range, seeds are outside the graph, the method needs an index and there is none,
    /// filters leave nothing, or a file is damaged. [`Error::Interrupted`]: see [`Answerer::heed`].
    pub fn answer(&mut self, question: &Question) -> Result<Answer> {
        let answer = if question.settle { self.settled(question) } else { self.shaped(question) };
        self.space.clear();
        Ok(answer?.answer)
    }

    /// The scores of all nodes, whatever the question's [`Shape`], and settled or not: for measuring and testing. Cost: as
    /// [`Answerer::answer`], plus one pass over all nodes and a standard error for each that fingerprints met.
    ///
    /// # Errors
    /// As [`Answerer::answer`].
    pub fn scores(&mut self, question: &Question) -> Result<Scores> {
        let scores = self.core(question).and_then(|core| self.all(question, core));
        self.space.clear();
        scores
    }

    /// Answers ever more precisely until the results are settled. Exact in the end, if need be, where ties are sure.
    fn settled(&mut self, question: &Question) -> Result<Settling> {
        let mut asked = question.clone();
        question.check(self.graph.nodes())?;
        asked.method = self.method(question);
        asked.precision = Some(question.precision.unwrap_or(USUAL_PRECISION));
        if asked.method == Method::Exact {
            asked.residual = question.residual.max(FIRST_RESIDUAL);
        }
        loop {
            let last = asked.method == Method::Exact && asked.residual <= question.residual;
            let settling = self.shaped(&asked);
            self.space.clear();
            let settling = match settling {
                // What filters leave may have scores too small for a rough answer.
                Err(Error::NothingLeft { .. }) if !last => {
                    (asked.method, asked.residual) = (Method::Exact, question.residual);
                    continue;
                }
                settling => settling?,
            };
            if 1.0 < settling.lead || last {
                return Ok(settling);
            }
            // As much more precise as it lacks, and a little more.
            let factor = (AMPLE * settling.lead).clamp(LEAST_FACTOR, MOST_FACTOR);
            match settling.answer.status {
                // Where rounding forbids the target, the next would be missed as well.
                Status::Exact { residual, .. } if asked.residual < residual => return Ok(settling),
                Status::Exact { residual, .. } => asked.residual = (residual * factor).max(question.residual),
                Status::Estimated { l1_error, .. } => {
                    let precision = l1_error.min(asked.precision.unwrap_or(1.0)) * factor;
                    asked.precision = Some(precision);
                    // Below that, estimates take no less time than exact answers.
                    if precision < LEAST_PRECISION || settling.lead <= 0.0 {
                        (asked.method, asked.residual) = (Method::Exact, question.residual);
                    }
                }
            }
        }
    }

    fn shaped(&mut self, question: &Question) -> Result<Settling> {
        self.prepare(question)?;
        let supporters = self.supporters(question)?;
        let core = self.core(question)?;
        self.rank(question, core, supporters.as_deref())
    }

    /// Makes ready what shaping needs, before the core, because it needs the workspace.
    pub(super) fn prepare(&mut self, question: &Question) -> Result<()> {
        self.prepare_dangling(question)?;
        match question.shape.debias {
            Some(Debias { by: PopularityKind::GlobalPageRank, .. }) => self.prepare_uniform(question.residual)?,
            Some(Debias { by: PopularityKind::Degree, .. }) if self.in_degrees.is_none() => {
                self.in_degrees = Some(shape::in_degrees(self.graph, &self.halt)?);
            }
            _ => {}
        }
        Ok(())
    }

    pub(super) fn supporters(&mut self, question: &Question) -> Result<Option<Vec<u16>>> {
        Ok(match question.shape.min_support {
            0 => None,
            _ => Some(self.count_supporters(question)?),
        })
    }

    /// The restart probability of all answers.
    #[must_use]
    pub fn restart_prob(&self) -> f64 {
        self.restart_prob
    }

    /// What some nodes have in the answer to a question. Cost: as [`Answerer::answer`], without ranking.
    pub(super) fn parts(&mut self, question: &Question, nodes: &[NodeId]) -> Result<Vec<Part>> {
        let parts = self.core(question).and_then(|core| {
            let (space, graph) = (&self.space, self.graph);
            let scaling = self.scaling(question.dangling, &core)?;
            let part = |&node: &NodeId| {
                let paid = space.core(node);
                Ok(Part {
                    core: paid,
                    score: scaling.score(graph, node, paid),
                    std_error: scaling.std_error(graph, node, paid, self.variance(node, &core)?),
                    restarted: scaling.score(graph, node, 0.0),
                })
            };
            nodes.iter().map(part).collect()
        });
        self.space.clear();
        parts
    }

    pub(super) fn core(&mut self, question: &Question) -> Result<Core> {
        self.halt.look()?;
        self.prepare_dangling(question)?;
        let pusher = Pusher::new(self.graph, self.restart_prob, &self.halt);
        let seeds = question.seeds.weights();
        let method = self.method(question);
        let needed = || self.index.ok_or(Error::NeedsIndex { method: method.to_string() });
        let stored = || Ok::<_, Error>(Stored::new(needed()?, self.changes));
        let (space, sweeper) = (&mut self.space, &mut self.sweeper);
        Ok(match method {
            Method::Exact | Method::Auto => {
                let residual = exact::solve(pusher, space, sweeper, seeds, question.residual)?;
                Core::new(method, residual, Status::Exact { residual, error_bound: residual }, Errors::Tally)
            }
            Method::Lookup => {
                let l1_error = lookup::solve(pusher, stored()?, space, seeds)?;
                if let Some(asked) = question.precision.filter(|&asked| asked < l1_error) {
                    return Err(Error::Imprecise { asked, reached: l1_error });
                }
                Core::new(method, 0.0, Status::Estimated { sampled: 1.0, l1_error }, Errors::Tally)
            }
            Method::Combine => {
                let bound = Bound::of(question, needed()?.plan());
                let Left { sampled, dropped, error, swept } =
                    combine::solve(pusher, stored()?, space, sweeper, seeds, bound)?;
                let errors = if swept { Errors::Sweep } else { Errors::Tally };
                Core::new(method, dropped, Status::Estimated { sampled, l1_error: error }, errors)
            }
            Method::Block => {
                self.solve_block(std::slice::from_ref(question), &[0])?;
                self.take_lane(question, 0, Wanted::All)
            }
        })
    }

    fn method(&self, question: &Question) -> Method {
        match question.method {
            Method::Auto => {
                let pusher = Pusher::new(self.graph, self.restart_prob, &self.halt);
                let cheap = pusher.scan_cost() <= CHEAP_EXACT;
                let dense = self.graph.nodes() <= DENSE_SEEDS * question.seeds.weights().len();
                if self.index.is_none() || cheap || dense { Method::Exact } else { Method::Combine }
            }
            chosen => chosen,
        }
    }

    /// Checks a question, and makes ready what its dangling policy needs.
    pub(super) fn prepare_dangling(&mut self, question: &Question) -> Result<()> {
        question.check(self.graph.nodes())?;
        if question.dangling == Dangling::Uniform { self.prepare_uniform(question.residual) } else { Ok(()) }
    }

    /// Computes the core of uniform seeds, unless it is at hand: to the usual residual, or to a smaller one if that is asked
    /// for, whatever was asked before, so that **an answer does not depend on the questions before it**. (Test:
    /// `answers_do_not_depend_on_the_questions_before`.)
    fn prepare_uniform(&mut self, residual: f64) -> Result<()> {
        let asked = residual.min(USUAL_RESIDUAL);
        if self.uniform.as_ref().is_some_and(|uniform| uniform.asked == asked) {
            return Ok(());
        }
        let nodes = self.graph.nodes();
        let seeds: Vec<(NodeId, f64)> = (0..nodes).map(|at| (node_at(at), 1.0 / nodes as f64)).collect();
        let pusher = Pusher::new(self.graph, self.restart_prob, &self.halt);
        let solved = exact::solve(pusher, &mut self.space, &mut self.sweeper, &seeds, asked);
        let uniform = solved.map(|residual| {
            let core = self.space.answer.clone();
            UniformCore { sum: core.iter().sum(), core, ended: self.space.ended, residual, asked }
        });
        self.space.clear();
        self.uniform = Some(uniform?);
        Ok(())
    }

    pub(super) fn scaling(&self, dangling: Dangling, core: &Core) -> Result<Scaling<'_>> {
        let (space, residual) = (&self.space, core.lacking);
        Ok(match (dangling, &self.uniform) {
            (Dangling::Restart, _) => {
                let sum = core.mass.unwrap_or_else(|| space.nodes().map(|node| space.core(node)).sum());
                if !(0.0 < sum && sum.is_finite()) {
                    return Err(Error::damaged(self.graph.path(), format!("scores sum to {sum}")));
                }
                Scaling::restart(sum, space.drawn.sum_variance + core.ended_variance(space), residual)
            }
            (Dangling::Uniform, Some(uniform)) => {
                let (tallied, variance) = dangling::tallied_end(self.graph, self.restart_prob, space);
                let variance = variance + core.ended_variance(space);
                Scaling::uniform(space.ended + tallied, variance, uniform, residual)
            }
            (Dangling::SelfLoop, _) => Scaling::self_loop(self.restart_prob, residual),
            (Dangling::Drop | Dangling::Uniform, _) => Scaling::drop(residual),
        })
    }

    /// How many seeds support each node: see [`shape`]. Answers the whole question first, and once more for its results: what a
    /// method leaves behind is used up by the next one.
    ///
    /// Under `restart` all scores are a multiple of those under `drop`, and the contributions of seeds add up under `drop`.
    fn count_supporters(&mut self, question: &Question) -> Result<Vec<u16>> {
        let dangling = if question.dangling == Dangling::Restart { Dangling::Drop } else { question.dangling };
        let seeds = question.seeds.weights();
        let core = self.core(question)?;
        let share = SUPPORT_SHARE / seeds.len() as f64;
        let mut least = vec![0.0; self.graph.nodes()];
        let scaling = self.scaling(dangling, &core)?;
        self.candidates(scaling, None).for_each(|Candidate { node, score }| least[node as usize] = share * score);
        self.space.clear();
        let mut supporters = vec![0; self.graph.nodes()];
        let mut alone = Question { method: core.method, dangling, shape: Shape::default(), ..question.clone() };
        if core.method == Method::Lookup {
            alone.precision = None; // the whole was precise enough
        }
        for &(seed, weight) in seeds {
            alone.seeds = Seeds::single(seed);
            let core = self.core(&alone)?;
            let scaling = self.scaling(dangling, &core)?;
            for Candidate { node, score } in self.candidates(scaling, None) {
                supporters[node as usize] += u16::from(0.0 < score && least[node as usize] <= weight * score);
            }
            self.space.clear();
        }
        Ok(supporters)
    }

    /// The nodes that the workspace knows a score of, and perhaps others; where only some are asked for, perhaps those alone.
    fn candidates<'s>(
        &'s self,
        scaling: Scaling<'s>,
        only: Option<&'s RoaringBitmap>,
    ) -> impl Iterator<Item = Candidate> + 's {
        let (space, graph) = (&self.space, self.graph);
        let dense = scaling.is_dense();
        let positions = if dense { graph.nodes() } else { space.width() };
        let few = only.filter(|only| only.len() < positions as u64 / FEW_NODES);
        let listed = few.into_iter().flatten().take_while(|&node| (node as usize) < graph.nodes());
        let positions = if few.is_some() { 0 } else { positions };
        let known = (0..positions).map(move |position| if dense { node_at(position) } else { space.node(position) });
        let scored = move |node| Candidate { node, score: scaling.score(graph, node, space.core(node)) };
        listed.chain(known).map(scored)
    }

    /// What the question divides scores by, once it has been prepared.
    fn debiasing(&self, question: &Question) -> Result<Option<Debiasing<'_>>> {
        let Some(Debias { by, power }) = question.shape.debias else { return Ok(None) };
        let popularity = match (by, &self.in_degrees, &self.uniform) {
            (PopularityKind::Degree, Some(degrees), _) => Popularity::Degrees(degrees),
            (PopularityKind::GlobalPageRank, _, Some(uniform)) => {
                let (graph, restart_prob) = (self.graph, self.restart_prob);
                Popularity::page_rank(graph, uniform, question.dangling, restart_prob)?
            }
            (PopularityKind::Degree, None, _) | (PopularityKind::GlobalPageRank, _, None) => {
                unreachable!("popularities are prepared before the question is answered")
            }
        };
        Ok(Some(Debiasing { popularity, power }))
    }

    pub(super) fn rank(&self, question: &Question, core: Core, supporters: Option<&[u16]>) -> Result<Settling> {
        let graph = self.graph;
        self.halt.look()?;
        let scaling = self.scaling(question.dangling, &core)?;
        let status = core.status.with_error_bound(scaling.error_bound());
        let (tie, ties_are_sure) = match status {
            Status::Exact { error_bound, .. } => {
                let tie = TIE_ERRORS * error_bound;
                (tie.clamp(ROUNDING, LARGEST_TIE), tie <= LARGEST_TIE)
            }
            Status::Estimated { .. } => (ROUNDING, false),
        };
        let debiasing = self.debiasing(question)?;
        let divisor = |node| debiasing.as_ref().map_or(1.0, |debiasing| debiasing.divisor(graph, node));
        let filter = Filter::new(&question.shape, &question.seeds, graph, supporters)?;
        let only = question.shape.only.as_deref();
        let allowed =
            self.candidates(scaling, only).filter(|candidate| !filter.is_set() || filter.allows(candidate.node));
        let debiased = allowed.map(|Candidate { node, score }| match debiasing {
            Some(_) => Candidate { node, score: score / divisor(node) },
            None => Candidate { node, score },
        });
        // One more than is shown: whether the last one's rank is stable depends on it.
        let beyond = if question.settle { BEYOND } else { 1 };
        let best = ranking::best(|node| self.labels.rank(node), debiased, question.top.saturating_add(beyond), tie)?;
        if best.is_empty() && filter.is_set() {
            let scored = self.candidates(scaling, None).filter(|candidate| 0.0 < candidate.score);
            return Err(filter.nothing_left(scored.map(|candidate| candidate.node)));
        }
        let mut pace = self.halt.pace();
        let mut judge = |candidate: Candidate| -> Result<Judged> {
            pace.after(STD_ERROR_COST)?;
            let (node, divisor) = (candidate.node, divisor(candidate.node));
            let std_error =
                scaling.std_error(graph, node, self.space.core(node), self.variance(node, &core)?) / divisor;
            let inflation = debiasing.as_ref().map_or(1.0, |debiasing| debiasing.inflation(graph, node));
            let lacking = scaling.error_bound() / divisor * inflation;
            let by_popularity = if candidate.score == 0.0 { 0.0 } else { candidate.score * (inflation - 1.0) };
            Ok(Judged { candidate, std_error, lacking, by_popularity })
        };
        let mut judged = best.into_iter().map(&mut judge).collect::<Result<Vec<_>>>()?;
        if judged.len() < question.top.saturating_add(beyond) {
            // A node without a score ranks next, if there is one. All of them have the same standard error.
            let scored = |node| 0.0 < scaling.score(graph, node, self.space.core(node));
            let unmet = (0..graph.nodes()).map(node_at).find(|&node| !scored(node) && filter.admits(node));
            judged.extend(unmet.map(|node| judge(Candidate { node, score: 0.0 })).transpose()?);
        }
        let mut results = Vec::with_capacity(judged.len());
        for (place, Judged { candidate: Candidate { node, score }, std_error, .. }) in
            judged.iter().copied().enumerate()
        {
            if place == question.top || score == 0.0 {
                break;
            }
            results.push(Ranked {
                node,
                id: self.labels.id(node)?,
                score,
                std_error,
                rank: place + 1,
                rank_stable: judged.get(place + 1).is_none_or(|next| judged[place].stays_above(next, ties_are_sure)),
                support: filter.supporters(node),
            });
        }
        // What has no score yet may get one, and become a result.
        let lacks = results.len() < question.top && judged.last().is_some_and(|last| last.candidate.score == 0.0);
        let (inside, outside) = judged.split_at(question.top.min(judged.len()));
        let leads = inside.iter().flat_map(|result| outside.iter().map(|next| result.lead(next, ties_are_sure)));
        let lead = if lacks { 0.0 } else { leads.fold(f64::INFINITY, f64::min) };
        let answer = Answer {
            truncated: results.len() < question.top,
            results,
            method: core.method,
            dangling: question.dangling,
            mass_accounted: 1.0 - core.lacking,
            status,
        };
        Ok(Settling { answer, lead })
    }

    fn all(&self, question: &Question, core: Core) -> Result<Scores> {
        let (space, graph) = (&self.space, self.graph);
        let scaling = self.scaling(question.dangling, &core)?;
        let status = core.status.with_error_bound(scaling.error_bound());
        let nodes = graph.nodes();
        let mut std_errors = vec![0.0; nodes];
        let mut pace = self.halt.pace();
        for (at, std_error) in std_errors.iter_mut().enumerate() {
            pace.after(STD_ERROR_COST)?;
            *std_error =
                scaling.std_error(graph, node_at(at), space.core(node_at(at)), self.variance(node_at(at), &core)?);
        }
        let scores = (0..nodes).map(node_at).map(|node| scaling.score(graph, node, space.core(node))).collect();
        let (method, dangling) = (core.method, question.dangling);
        Ok(Scores { scores, std_errors, method, dangling, mass_accounted: 1.0 - core.lacking, status })
    }

    /// The variance of a node's core.
    fn variance(&self, node: NodeId, core: &Core) -> Result<f64> {
        match (core.errors, self.index) {
            (Errors::Block, _) => Ok(self.space.tally[node as usize].variance),
            (Errors::Sweep, _) => Ok(self.sweeper.error(node, self.space.core(node)).powi(2)),
            (Errors::Tally, Some(index)) => {
                let stored = Stored::new(index, self.changes);
                Ok(tally::variance(stored, node, &self.space)? + amend::variance(&self.space, node))
            }
            (Errors::Tally, None) => Ok(0.0),
        }
    }
}

/// Makes sure that an index was built from the graph with this digest and so many nodes, for this restart probability.
fn check_index(graph: &Graph, index: &Index, digest: u128, nodes: usize, restart_prob: f64) -> Result<()> {
    let mismatch = |what, expected: String, got: String| {
        Err(Error::Mismatch { path: graph.path().to_owned(), what, expected, got })
    };
    let entry = index.entry();
    let sources = entry.segments.last().map_or(0, |segment| segment.pipeline.end as usize);
    let digest = format!("{digest:032x}");
    if entry.graph_digest != digest {
        return mismatch("this index was built from graph", digest, entry.graph_digest.clone());
    }
    if sources != nodes {
        return mismatch("the index's number of sources is", nodes.to_string(), sources.to_string());
    }
    if index.plan().restart_prob != restart_prob {
        let expected = "the restart probability that the index was built with";
        return Err(Error::Parameter { name: "restart_prob", expected, got: restart_prob.to_string() });
    }
    Ok(())
}
