//! What the server should say: the engine in this process, asked the same.

use std::path::Path;

use anyhow::{Context, Result, bail};
use walkprint_cluster::choice::precision_of;
use walkprint_cluster::serve::{Printed, Provenance};
use walkprint_cluster::server::{AnswerBody, QueryRequest};
use walkprint_engine::graph::Graph;
use walkprint_engine::index::Index;
use walkprint_engine::kinds::Kinds;
use walkprint_engine::labels::Labels;
use walkprint_engine::plan::Plan;
use walkprint_engine::query::{Answerer, Method, Question, Seeds};
use walkprint_engine::store::Store;

use crate::graphs::random_sources;

/// A question of one seed.
#[derive(Debug, Clone)]
pub(super) struct Single {
    pub(super) id: String,
    pub(super) method: Method,
    pub(super) top: usize,
}

impl Single {
    /// As it is sent.
    pub(super) fn request(&self) -> QueryRequest {
        QueryRequest { method: Some(self.method), top: Some(self.top), ..QueryRequest::new([self.id.as_str().into()]) }
    }

    /// As the engine is asked.
    fn question(&self, labels: &Labels) -> Result<Question> {
        let seeds = Seeds::resolve(labels, &[(self.id.clone(), 1.0)])?;
        let precision = precision_of(self.method, None);
        Ok(Question { method: self.method, top: self.top, precision, ..Question::new(seeds) })
    }
}

/// A generation of a store, mapped. It keeps its files, even when they have lost their names.
pub(super) struct Truth {
    pub(super) graph: Graph,
    pub(super) labels: Labels,
    kinds: Option<Kinds>,
    index: Option<Index>,
    /// Of the manifest.
    pub(super) generation: u64,
    graph_digest: String,
}

impl Truth {
    /// Opens the newest generation, with its index `default` if it has one.
    ///
    /// # Errors
    /// When the store is damaged.
    pub(super) fn open(path: &Path) -> Result<Truth> {
        let store = Store::open(path)?;
        let (graph, labels, kinds) = (store.graph()?, store.labels()?, store.kinds()?);
        let index = store.index_entry("default").is_ok().then(|| store.index("default", &graph)).transpose()?;
        let manifest = store.manifest();
        let (generation, graph_digest) = (manifest.generation, manifest.graph.digest.clone());
        Ok(Truth { graph, labels, kinds, index, generation, graph_digest })
    }

    fn restart_prob(&self) -> f64 {
        self.index.as_ref().map_or(Plan::default().restart_prob, |index| index.plan().restart_prob)
    }

    /// Who answers.
    ///
    /// # Errors
    /// When the files do not belong together.
    pub(super) fn answerer(&self) -> Result<Answerer<'_>> {
        Ok(Answerer::new(&self.graph, &self.labels, self.index.as_ref(), self.restart_prob())?)
    }

    /// What the server should answer, in the form of [`comparable`].
    ///
    /// # Errors
    /// When the question cannot be answered.
    pub(super) fn expected(&self, answerer: &mut Answerer<'_>, asked: &Single) -> Result<String> {
        let answer = answerer.answer(&asked.question(&self.labels)?)?;
        // As the program says it: exact answers come of no index.
        let used = self.index.as_ref().filter(|_| !matches!(answer.method, Method::Exact | Method::Block));
        let (graph_digest, restart_prob) = (self.graph_digest.as_str(), self.restart_prob());
        let printed = Printed {
            answer: &answer,
            kinds: self.kinds.as_ref(),
            from: Provenance { index: used.map(Index::entry), graph_digest, restart_prob },
            took_us: Some(0),
            store: None,
            explanation: None,
            budgeted: None,
        };
        Ok(comparable(&serde_json::to_vec(&printed)?)?.0)
    }

    /// Random questions of one seed with out-edges each.
    ///
    /// # Errors
    /// When the graph has no edge or labels are damaged.
    pub(super) fn singles(&self, method: Method, top: usize, count: usize, key: u64) -> Result<Vec<Single>> {
        let single = |node| Ok(Single { id: self.labels.id(node)?.to_string(), method, top });
        random_sources(&self.graph, count, key)?.into_iter().map(single).collect()
    }
}

/// An answer without what differs from one time to the next, and the generation that it names. Numbers are printed such that
/// different bits make different texts.
///
/// # Errors
/// When it is no answer.
pub(super) fn comparable(body: &[u8]) -> Result<(String, Option<u64>)> {
    let text = || String::from_utf8_lossy(body).chars().take(300).collect::<String>();
    let mut answer: AnswerBody = serde_json::from_slice(body).with_context(|| format!("no answer: {}", text()))?;
    answer.took_us = 0;
    let generation = answer.store.take().map(|store| store.generation);
    Ok((serde_json::to_string(&answer)?, generation))
}

/// Compares what came with what the engine says.
///
/// # Errors
/// When an answer is another one, or none.
pub(super) fn compare(truth: &Truth, kept: &[(usize, hyper::body::Bytes)], asked: &[Single]) -> Result<usize> {
    let mut answerer = truth.answerer()?;
    for (which, body) in kept {
        let single = &asked[which % asked.len()];
        let expected = truth.expected(&mut answerer, single)?;
        let (got, _) = comparable(body)?;
        if got != expected {
            bail!("{single:?}: the server says {got}, the engine {expected}");
        }
    }
    Ok(kept.len())
}
