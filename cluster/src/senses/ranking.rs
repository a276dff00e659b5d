//! The senses of all targets of all contexts, from one answer for each word.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use walkprint_engine::graph::{Graph, SharedInflow};
use walkprint_engine::ids::NodeId;
use walkprint_engine::labels::Labels;
use walkprint_engine::query::{Answerer, Dangling, LANES, LEAST_PRECISION, Method, Question, Seeds};

use super::contexts::Context;
use super::dictionary::{Dictionary, Lemma};
use crate::error::{Error, Result};
use crate::workers::panicked;

/// Words whose answers are asked for together: a few blocks. Which words share a block, and so each last bit of an answer, does
/// not depend on the number of threads.
const TOGETHER: usize = 4 * LANES;

/// How senses are ranked.
#[derive(Debug, Clone, PartialEq)]
pub struct SenseSettings {
    /// The chance that a walk ends at a step.
    pub restart_prob: f64,
    /// What is added to every count of the dictionary. At least 0.
    pub smoothing: f64,
    /// Whether counts matter at all, in seeds and in the ranking; if not, all senses of a word are alike.
    pub priors: bool,
    /// [`Method::Block`], with an L1 error of about 1e-5 for each word, or [`Method::Exact`].
    pub method: Method,
    /// How many threads ask.
    pub threads: usize,
}

impl Default for SenseSettings {
    /// The settings of UKB: damping .85, counts plus one.
    fn default() -> Self {
        SenseSettings { restart_prob: 0.15, smoothing: 1.0, priors: true, method: Method::Block, threads: 1 }
    }
}

/// What became of a target.
#[derive(Debug, Clone, PartialEq)]
pub struct Disambiguated {
    /// The word's id.
    pub id: String,
    /// The lemma.
    pub lemma: Lemma,
    /// Its senses and their values, best first; empty when the dictionary does not have the lemma. Values are known up to a
    /// common factor. Ties go to the larger prior, then to the sense that the dictionary names first.
    pub senses: Vec<(NodeId, f64)>,
    /// Whether the context had a say: false when the word has only one sense, or no walk from the other words meets any of its
    /// senses, so that only the prior ranked them.
    pub by_context: bool,
}

/// A lemma that occurs in some context.
struct Known<'d> {
    /// Its senses and their prior, which sum to 1.
    priors: Vec<(NodeId, f64)>,
    lemma: &'d Lemma,
    /// The senses of targets that share a context with it, ascending.
    wanted: Vec<NodeId>,
}

/// Ranks the senses of all targets: see [`crate::senses`]. The graph is walked as it is; edges usually go both ways.
///
/// Cost: one answer for each lemma that shares a context with a target of several senses. Memory: what the answers say of the
/// targets' senses, 8 bytes each.
///
/// # Errors
/// When a setting is outside its range, the graph is damaged, or `stop` is set.
pub fn disambiguate(
    graph: &Graph,
    labels: &Labels,
    dictionary: &Dictionary,
    contexts: &[Context],
    settings: &SenseSettings,
    stop: &Arc<AtomicBool>,
) -> Result<Vec<Disambiguated>> {
    if !(0.0..f64::INFINITY).contains(&settings.smoothing) {
        let what = format!("smoothing: expected a finite number of at least 0, got {}", settings.smoothing);
        return Err(Error::Request { what });
    }
    let bags: Vec<Bag> = contexts.iter().map(Bag::new).collect();
    let mut known = known_lemmas(dictionary, &bags, settings);
    for bag in &bags {
        bag.want(&mut known);
    }
    let scores = answers(graph, labels, &known, settings, stop)?;
    let mut answered = Vec::new();
    for (context, bag) in contexts.iter().zip(&bags) {
        for word in context.words.iter().filter(|word| word.is_target) {
            let (senses, by_context) = bag.rank(&word.lemma, &known, &scores);
            answered.push(Disambiguated { id: word.id.clone(), lemma: word.lemma.clone(), senses, by_context });
        }
    }
    Ok(answered)
}

/// The different lemmas of a context.
struct Bag<'c> {
    /// How often each occurs, and whether it is a target.
    lemmas: BTreeMap<&'c Lemma, (f64, bool)>,
}

type Lemmas<'d> = BTreeMap<&'d Lemma, Known<'d>>;

impl<'c> Bag<'c> {
    fn new(context: &'c Context) -> Bag<'c> {
        let mut lemmas: BTreeMap<&Lemma, (f64, bool)> = BTreeMap::new();
        for word in &context.words {
            let entry = lemmas.entry(&word.lemma).or_default();
            entry.0 += 1.0;
            entry.1 |= word.is_target;
        }
        Bag { lemmas }
    }

    /// Notes what the answers for this context's lemmas must tell.
    fn want(&self, known: &mut Lemmas<'c>) {
        let mut wanted: Vec<(&Lemma, Vec<NodeId>)> = Vec::new();
        for (lemma, _) in self.lemmas.iter().filter(|(_, (_, is_target))| *is_target) {
            if let Some(target) = known.get(lemma).filter(|target| 1 < target.priors.len()) {
                wanted.push((lemma, target.priors.iter().map(|&(node, _)| node).collect()));
            }
        }
        for lemma in self.lemmas.keys() {
            let Some(word) = known.get_mut(lemma) else { continue };
            let others = wanted.iter().filter(|(target, _)| target != lemma);
            others.for_each(|(_, nodes)| word.wanted.extend_from_slice(nodes));
            word.wanted.sort_unstable();
            word.wanted.dedup();
        }
    }

    /// The senses of a target, best first, and whether the context had a say.
    fn rank(&self, target: &Lemma, known: &Lemmas<'c>, scores: &Scores<'c>) -> (Vec<(NodeId, f64)>, bool) {
        let Some(word) = known.get(target) else { return (Vec::new(), false) };
        let mut values = vec![0.0; word.priors.len()];
        if 1 < values.len() {
            for (lemma, (times, _)) in self.lemmas.iter().filter(|(lemma, _)| **lemma != target) {
                let (Some(other), Some(scores)) = (known.get(lemma), scores.get(lemma)) else { continue };
                for (value, (node, _)) in values.iter_mut().zip(&word.priors) {
                    if let Ok(at) = other.wanted.binary_search(node) {
                        *value += times * scores[at];
                    }
                }
            }
        }
        let by_context = values.iter().any(|&value| 0.0 < value);
        let mut ranked: Vec<(usize, f64)> =
            values.iter().zip(&word.priors).map(|(value, (_, prior))| value * prior).enumerate().collect();
        let prior = |at: usize| word.priors[at].1;
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(prior(b.0).total_cmp(&prior(a.0))).then(a.0.cmp(&b.0)));
        (ranked.into_iter().map(|(at, value)| (word.priors[at].0, value)).collect(), by_context)
    }
}

fn known_lemmas<'c>(dictionary: &Dictionary, bags: &[Bag<'c>], settings: &SenseSettings) -> Lemmas<'c> {
    let mut known = BTreeMap::new();
    for &lemma in bags.iter().flat_map(|bag| bag.lemmas.keys()) {
        let senses = dictionary.senses(lemma);
        if senses.is_empty() || known.contains_key(lemma) {
            continue;
        }
        let mut weights: Vec<f64> =
            senses.iter().map(|sense| if settings.priors { sense.count + settings.smoothing } else { 1.0 }).collect();
        let mut sum: f64 = weights.iter().sum();
        if sum == 0.0 {
            // Never counted, and not smoothed: all alike.
            weights.fill(1.0);
            sum = weights.len() as f64;
        }
        let priors = senses.iter().zip(weights).map(|(sense, weight)| (sense.node, weight / sum)).collect();
        known.insert(lemma, Known { priors, lemma, wanted: Vec::new() });
    }
    known
}

/// Of each lemma that was asked for, the scores of its wanted nodes.
type Scores<'d> = BTreeMap<&'d Lemma, Vec<f64>>;

/// Asks for each lemma that has something to tell.
fn answers<'d>(
    graph: &Graph,
    labels: &Labels,
    known: &Lemmas<'d>,
    settings: &SenseSettings,
    stop: &Arc<AtomicBool>,
) -> Result<Scores<'d>> {
    let asked: Vec<&Known<'d>> = known.values().filter(|word| !word.wanted.is_empty()).collect();
    let groups: Vec<&[&Known<'d>]> = asked.chunks(TOGETHER).collect();
    let (next, inflow) = (AtomicUsize::new(0), Arc::new(SharedInflow::default()));
    let done: Mutex<Vec<(usize, Vec<Vec<f64>>)>> = Mutex::new(Vec::with_capacity(groups.len()));
    let work = || -> Result<()> {
        let mut answerer =
            Answerer::new(graph, labels, None, settings.restart_prob)?.sharing_inflow(Arc::clone(&inflow));
        answerer.heed(Some(Arc::clone(stop)));
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(group) = groups.get(number) else { return Ok(()) };
            let questions = group.iter().map(|word| question(graph, word, settings)).collect::<Result<Vec<_>>>()?;
            let nodes: Vec<&[NodeId]> = group.iter().map(|word| word.wanted.as_slice()).collect();
            let scores = answerer.scores_at(&questions, &nodes)?;
            done.lock().map_err(|_| panicked())?.push((number, scores));
        }
    };
    let threads = settings.threads.clamp(1, groups.len().max(1));
    std::thread::scope(|scope| -> Result<()> {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mine = work();
        for other in others {
            other.join().map_err(|_| panicked())??;
        }
        mine
    })
    .map_err(|error| match error {
        Error::Engine(walkprint_engine::error::Error::Interrupted) => Error::Interrupted,
        error => error,
    })?;
    let mut scores = Scores::new();
    for (number, group) in done.into_inner().map_err(|_| panicked())? {
        scores.extend(groups[number].iter().map(|word| word.lemma).zip(group));
    }
    Ok(scores)
}

fn question(graph: &Graph, word: &Known<'_>, settings: &SenseSettings) -> Result<Question> {
    let seeds = Seeds::from_weights(graph.nodes(), word.priors.clone())?;
    Ok(Question {
        method: settings.method,
        // What is linear in the seeds.
        dangling: Dangling::Drop,
        precision: (settings.method == Method::Block).then_some(LEAST_PRECISION),
        residual: 1e-10,
        ..Question::new(seeds)
    })
}
