//! What the server should say: the engine in this process, asked the same.

use std::path::Path;

use anyhow::{Context, Result, bail};
use walkprint_cluster::choice::precision_of;
use walkprint_cluster::serve::{Printed, Provenance};
use walkprint_cluster::server::{AnswerBody, QueryRequest};
use walkprint_engine::graph::Graph;
use walkprint_engine::index::Index;
use walkprint_engine::labels::Labels;
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
    index: Index,
}

impl Truth {
    /// Opens the newest generation with its index `default`.
    ///
    /// # Errors
    /// When the store is damaged or has no such index.
    pub(super) fn open(path: &Path) -> Result<Truth> {
        let store = Store::open(path)?;
        let (graph, labels) = (store.graph()?, store.labels()?);
        let index = store.index("default", &graph)?;
        Ok(Truth { graph, labels, index })
    }

    /// Who answers.
    ///
    /// # Errors
    /// When the files do not belong together.
    pub(super) fn answerer(&self) -> Result<Answerer<'_>> {
        let restart_prob = self.index.plan().restart_prob;
        Ok(Answerer::new(&self.graph, &self.labels, Some(&self.index), restart_prob)?)
    }

    /// What the server should answer, in the form of [`comparable`].
    ///
    /// # Errors
    /// When the question cannot be answered.
    pub(super) fn expected(&self, answerer: &mut Answerer<'_>, asked: &Single) -> Result<String> {
        let answer = answerer.answer(&asked.question(&self.labels)?)?;
        let printed = Printed {
            answer: &answer,
            kinds: None,
            from: Provenance::of(self.index.entry()),
            took_us: Some(0),
            store: None,
            explanation: None,
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
