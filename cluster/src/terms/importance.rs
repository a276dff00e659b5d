//! How much words matter, given the words of terms that are known to be right.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use walkprint_engine::edges::EdgeList;
use walkprint_engine::graph::Graph;
use walkprint_engine::ids::{ExternalIds, NodeId};
use walkprint_engine::kinds::KindLists;
use walkprint_engine::labels::Labels;
use walkprint_engine::query::{Answerer, Method, Question, Seeds};

use super::input::{Document, words_of};
use crate::error::{Error, Result};

/// Where the scores of words stop.
const RESIDUAL: f64 = 1e-10;

/// The importance of words.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Importances {
    /// `nsmi` of each word that some graph has: from 0 to 1, and 1 for one of them.
    pub of_words: BTreeMap<String, f64>,
    /// Graphs that were walked: documents in which two words are related.
    pub documents: usize,
    /// Of these, those with seeds.
    pub personalised: usize,
    /// Words of seeds that are nodes of the store.
    pub seeds: usize,
}

/// Computes how much words matter. `seeds` are terms that are known to be right; `documents` says which terms occur together, and
/// without it the whole store is one document. A word is the node whose id it is, or whose id it is in lower case.
///
/// Cost: an exact answer over the words of each document, or one over the store. Memory: that of one.
///
/// # Errors
/// When no word of a seed is a node, the graph is damaged, the restart probability is outside its range, or `stop` is set.
pub fn word_importances(
    graph: &Graph,
    labels: &Labels,
    restart_prob: f64,
    seeds: &[String],
    documents: Option<&[Document]>,
    stop: &Arc<AtomicBool>,
) -> Result<Importances> {
    let mut words = Words { labels, nodes: BTreeMap::new() };
    let mut seed_nodes = BTreeSet::new();
    for word in seeds.iter().flat_map(|seed| words_of(seed)) {
        seed_nodes.extend(words.node(&word)?);
    }
    if seed_nodes.is_empty() {
        let what = "no word of the seeds is a node of the graph: give seeds whose words are, or another graph of words";
        return Err(Error::Request { what: what.to_owned() });
    }
    let mut sums: BTreeMap<NodeId, f64> = BTreeMap::new();
    let (mut walked, mut personalised) = (0, 0);
    match documents {
        None => {
            let scores = scores_of(graph, labels, restart_prob, &seed_nodes.iter().copied().collect::<Vec<_>>(), stop)?;
            (walked, personalised) = (1, 1);
            add(&mut sums, (0..).zip(scores));
        }
        Some(documents) => {
            for document in documents {
                let mut nodes = BTreeSet::new();
                for word in document.terms.iter().flat_map(|term| words_of(term)) {
                    nodes.extend(words.node(&word)?);
                }
                let Some((nodes, within, labels)) = related(graph, &nodes)? else { continue };
                let seeded: Vec<NodeId> =
                    (0..).zip(&nodes).filter(|(_, node)| seed_nodes.contains(node)).map(|(at, _)| at).collect();
                walked += 1;
                personalised += usize::from(!seeded.is_empty());
                let seeded = if seeded.is_empty() { (0..).take(nodes.len()).collect() } else { seeded };
                let scores = scores_of(&within, &labels, restart_prob, &seeded, stop)?;
                add(&mut sums, nodes.into_iter().zip(scores));
            }
        }
    }
    let largest = sums.values().copied().fold(0.0, f64::max);
    let mut of_words = BTreeMap::new();
    for (word, node) in words.nodes {
        if let Some(sum) = node.and_then(|node| sums.get(&node)) {
            of_words.insert(word, sum / largest);
        }
    }
    if documents.is_none() {
        // Words that no seed has are asked for by whoever revises terms: all nodes' own ids.
        for (&node, sum) in &sums {
            of_words.entry(labels.id(node)?).or_insert(sum / largest);
        }
    }
    Ok(Importances { of_words, documents: walked, personalised, seeds: seed_nodes.len() })
}

/// Adds scores over the largest of them.
fn add(sums: &mut BTreeMap<NodeId, f64>, scores: impl Iterator<Item = (NodeId, f64)>) {
    let scores: Vec<(NodeId, f64)> = scores.filter(|&(_, score)| 0.0 < score).collect();
    let largest = scores.iter().map(|&(_, score)| score).fold(0.0, f64::max);
    scores.into_iter().for_each(|(node, score)| *sums.entry(node).or_default() += score / largest);
}

/// The nodes of words, each looked up once.
struct Words<'l> {
    labels: &'l Labels,
    nodes: BTreeMap<String, Option<NodeId>>,
}

impl Words<'_> {
    fn node(&mut self, word: &str) -> Result<Option<NodeId>> {
        if let Some(&node) = self.nodes.get(word) {
            return Ok(node);
        }
        let node = self.labels.node(word)?;
        self.nodes.insert(word.to_owned(), node);
        Ok(node)
    }
}

/// The graph that the store has between these nodes, without those that have no edge there: its nodes in order, itself, and its
/// labels. `None` where no edge is left.
fn related(graph: &Graph, nodes: &BTreeSet<NodeId>) -> Result<Option<(Vec<NodeId>, Graph, Labels)>> {
    let mut edges: Vec<(NodeId, NodeId, f64)> = Vec::new();
    for &node in nodes {
        let row = graph.row(node)?;
        for &other in nodes {
            if let Ok(at) = row.targets.binary_search(&other)
                && other != node
            {
                edges.push((node, other, row.weight(at)));
            }
        }
    }
    let mut kept: Vec<NodeId> = edges.iter().flat_map(|&(source, target, _)| [source, target]).collect();
    kept.sort_unstable();
    kept.dedup();
    if kept.is_empty() {
        return Ok(None);
    }
    let place = |node: &NodeId| {
        let place = kept.binary_search(node).expect("the ends of all edges were kept");
        u32::try_from(place).expect("fewer than there are nodes")
    };
    let list = EdgeList {
        ids: ExternalIds::Integers((0..kept.len() as i64).collect()),
        sources: edges.iter().map(|(source, ..)| place(source)).collect(),
        targets: edges.iter().map(|(_, target, _)| place(target)).collect(),
        weights: Some(edges.iter().map(|&(.., weight)| weight).collect()),
        kinds: KindLists::default(),
    };
    let labels = Labels::in_order(&list.ids)?;
    Ok(Some((kept, Graph::in_memory(list)?, labels)))
}

/// The exact scores of all nodes for seeds of equal weight.
fn scores_of(
    graph: &Graph,
    labels: &Labels,
    restart_prob: f64,
    seeds: &[NodeId],
    stop: &Arc<AtomicBool>,
) -> Result<Vec<f64>> {
    let mut answerer = Answerer::new(graph, labels, None, restart_prob)?;
    answerer.heed(Some(Arc::clone(stop)));
    let seeds = Seeds::from_weights(graph.nodes(), seeds.iter().map(|&node| (node, 1.0)).collect())?;
    let question = Question { method: Method::Exact, residual: RESIDUAL, ..Question::new(seeds) };
    answerer.scores(&question).map(|scores| scores.scores).map_err(|error| match error {
        walkprint_engine::error::Error::Interrupted => Error::Interrupted,
        error => error.into(),
    })
}
