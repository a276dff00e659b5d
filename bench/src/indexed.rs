//! A graph with an index: that of a store, or one that is made for the occasion.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;
use walkprint_cluster::build::{BuildProgress, build_index};
use walkprint_engine::graph::Graph;
use walkprint_engine::index::Index;
use walkprint_engine::labels::Labels;
use walkprint_engine::query::{Answerer, Dangling, Method, Question, Seeds};
use walkprint_engine::store::Store;

use crate::build::PlanOptions;
use crate::exact::{self, LANES};
use crate::graphs::{GraphFacts, GraphOptions};
use crate::machine::cores;
use crate::metrics::distance;
use crate::report::Report;

/// How far the exact method may be from power iteration, in L1: both stop at a residual far below.
const EXACT_TOLERANCE: f64 = 1e-9;
/// Residual of exact answers that stand for the truth.
pub(crate) const RESIDUAL: f64 = 1e-12;

/// Which graph and which index.
#[derive(Debug, Args)]
pub(crate) struct IndexedOptions {
    #[command(flatten)]
    pub(crate) graph: GraphOptions,
    /// Which index of a store; for other graphs an index is built [default: default]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    pub(crate) plan: PlanOptions,
}

/// What is asked.
pub(crate) struct Indexed {
    pub(crate) store: Store,
    pub(crate) graph: Graph,
    pub(crate) labels: Labels,
    pub(crate) index: Index,
    pub(crate) facts: GraphFacts,
    /// What it took to build the index, when it was built.
    pub(crate) build_seconds: Option<f64>,
    /// Holds the files of a temporary store.
    pub(crate) directory: tempfile::TempDir,
}

impl IndexedOptions {
    /// A graph with an index by a plan; a store with its `default` index.
    pub(crate) fn new(graph: GraphOptions, plan: PlanOptions) -> IndexedOptions {
        IndexedOptions { graph, name: None, plan }
    }

    /// Opens the index of a store, or makes a store and an index.
    ///
    /// # Errors
    /// When graph or index cannot be had, or options do not fit where the graph comes from.
    pub(crate) fn open(&self) -> Result<Indexed> {
        if self.name.is_some() && !self.graph.is_store() {
            bail!("--name chooses an index of a store; for other graphs one is built");
        }
        let directory = tempfile::tempdir().context("could not make a temporary directory")?;
        let (mut store, facts) = self.graph.store(&directory.path().join("bench.wp"))?;
        let build = self.plan.build_options(self.graph.key, cores());
        let (mut name, mut build_seconds) = (self.name.as_deref().unwrap_or("default"), None);
        if !self.graph.is_store() {
            let began = Instant::now();
            build_index(store.path(), &build, &Arc::new(BuildProgress::default()), &mut |_| {})?;
            build_seconds = Some(began.elapsed().as_secs_f64());
            (store, name) = (Store::open(store.path())?, build.name.as_str());
        }
        let (graph, labels) = (store.graph()?, store.labels()?);
        let index = store.index(name, &graph)?;
        Ok(Indexed { store, graph, labels, index, facts, build_seconds, directory })
    }
}

/// A question whose answer stands for the truth.
pub(crate) fn true_question(seeds: Seeds) -> Question {
    Question { method: Method::Exact, residual: RESIDUAL, ..Question::new(seeds) }
}

/// Checks the linear core of the exact method against power iteration, with which it shares no code.
///
/// # Errors
/// When the graph is damaged.
pub(crate) fn check_exact(
    report: &mut Report,
    graph: &Graph,
    answerer: &mut Answerer<'_>,
    restart_prob: f64,
    questions: &[Seeds],
) -> Result<()> {
    let questions = &questions[..questions.len().min(LANES)];
    let sets: Vec<_> = questions.iter().map(Seeds::weights).collect();
    let mut largest = 0.0f64;
    for (seeds, core) in questions.iter().zip(exact::cores_of(graph, restart_prob, &sets)?) {
        let question = Question { dangling: Dangling::Drop, ..true_question(seeds.clone()) };
        largest = largest.max(distance(&answerer.scores(&question)?.scores, &core));
    }
    let evidence = format!("L1 at most {largest:.1e} over {} questions", questions.len());
    report.check("exact answers agree with power iteration", largest <= EXACT_TOLERANCE, evidence);
    Ok(())
}
