//! What answers: one question for each source, with the settings of the batch. One on each worker.

use std::sync::Arc;

use self_cell::self_cell;
use walkprint_engine::error::Error as EngineError;
use walkprint_engine::graph::{Graph, Inflow};
use walkprint_engine::ids::NodeId;
use walkprint_engine::index::Index;
use walkprint_engine::labels::Labels;
use walkprint_engine::query::{Answer, Answerer, Dangling, LANES, Method, Question, Seeds, Shape};

use super::options::BatchOptions;
use crate::error::Result;

/// What `exact` leaves over where nobody asked for less.
const RESIDUAL: f64 = 1e-12;
/// What an answerer keeps, in bytes a node: see [`Answerer`]; the cores of uniform seeds for the dangling policy and for
/// popularity, in-degrees, and room to sweep.
const ANSWERER_BYTES: u64 = 49 + 8 + 8 + 4 + 20;
/// What `block` keeps besides, in bytes a node.
const BLOCK_BYTES: u64 = 144;

/// The files that answers come from.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) graph: Graph,
    pub(crate) labels: Labels,
    pub(crate) index: Option<Index>,
    pub(crate) restart_prob: f64,
    /// The graph turned round, which all answerers share; none where no method needs it.
    pub(crate) inflow: Option<Arc<Inflow>>,
}

impl World {
    /// Puts sources into the order in which they are best answered by a method: `block` shares work among twins; others find
    /// rows and fingerprints in the cache that sources close by have just read.
    pub(crate) fn sort(&self, method: Method, sources: &mut [(NodeId, u32)]) {
        match &self.inflow {
            Some(inflow) if method == Method::Block => {
                sources.sort_unstable_by_key(|&(node, _)| (inflow.place(node), node));
            }
            _ => sources.sort_unstable(),
        }
    }

    /// How many of the first sources of a task, which are sorted, are best answered at once.
    pub(crate) fn together(&self, asked: &Asked, sources: &[NodeId]) -> usize {
        let Some(inflow) = self.inflow.as_ref().filter(|_| asked.method == Method::Block) else {
            return sources.len().min(1);
        };
        // Where every source passes over all nodes, nobody is to wait for hundreds of them.
        if sources.first().is_some_and(|&source| !asked.question(source).ranks_by_core()) {
            return sources.len().min(LANES);
        }
        let runs = sources.chunk_by(|&a, &b| inflow.place(a) == inflow.place(b));
        runs.take(LANES).map(<[NodeId]>::len).sum()
    }
}

/// What is asked of every source.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) top: usize,
    pub(crate) dangling: Dangling,
    pub(crate) residual: f64,
    pub(crate) precision: Option<f64>,
    pub(crate) shape: Shape,
}

impl Asked {
    /// What the options ask. A precision lets `exact` stop earlier: dividing by the sum of the scores, which is at least
    /// the restart probability, at most doubles what is left over.
    pub(crate) fn new(options: &BatchOptions, restart_prob: f64) -> Asked {
        let enough = |precision: f64| (precision * restart_prob / 2.0).clamp(RESIDUAL, 0.5);
        let residual = options.precision.map_or(RESIDUAL, enough);
        let BatchOptions { method, top, dangling, precision, .. } = *options;
        Asked { method, top, dangling, residual, precision, shape: options.shape.clone() }
    }

    fn question(&self, source: NodeId) -> Question {
        let mut question = Question::new(Seeds::single(source));
        question.method = self.method;
        question.top = self.top;
        question.dangling = self.dangling;
        question.residual = self.residual;
        // A look-up that is too rough is found before the batch starts, not by one of its sources.
        question.precision = self.precision.filter(|_| self.method != Method::Lookup);
        question.shape = self.shape.clone();
        question
    }
}

/// Answers for sources, many at a time.
pub(crate) struct Answering<'world> {
    answerer: Answerer<'world>,
}

impl<'world> Answering<'world> {
    /// Makes room for answers.
    pub(crate) fn new(world: &'world World) -> Result<Answering<'world>> {
        let World { graph, labels, index, restart_prob, inflow } = world;
        let answerer = Answerer::new(graph, labels, index.as_ref(), *restart_prob)?;
        Ok(Answering {
            answerer: match inflow {
                Some(inflow) => answerer.with_inflow(Arc::clone(inflow)),
                None => answerer,
            },
        })
    }

    /// What one of these holds on a graph of `nodes` nodes, in bytes.
    pub(crate) fn bytes(nodes: usize, method: Method) -> u64 {
        let block = if matches!(method, Method::Auto | Method::Block) { BLOCK_BYTES } else { 0 };
        (ANSWERER_BYTES + block).saturating_mul(nodes as u64)
    }

    /// The answers for sources, in their order; `None` where filters leave nothing, which is no reason to give up on the
    /// others. An answer depends on the other sources by `block` only, and then a little.
    pub(crate) fn answer(&mut self, asked: &Asked, sources: &[NodeId]) -> Result<Vec<Option<Answer>>> {
        let questions: Vec<Question> = sources.iter().map(|&source| asked.question(source)).collect();
        let answers = match asked.method {
            Method::Block => self.answerer.answer_block(&questions)?,
            _ => questions.iter().map(|question| self.answerer.answer(question)).collect(),
        };
        let answers = answers.into_iter().map(|answer| match answer {
            Ok(answer) => Ok(Some(answer)),
            Err(EngineError::NothingLeft { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        });
        answers.collect()
    }
}

self_cell!(
    /// An [`Answering`] together with the world it borrows from, for operators, which borrow nothing.
    pub(crate) struct OwnedAnswering {
        owner: Arc<World>,
        #[covariant]
        dependent: Answering,
    }
);
