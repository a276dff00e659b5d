//! Seeds of a question: what it names, weighed, and the passages that come along.

use std::collections::BTreeMap;
use std::sync::Arc;

use roaring::RoaringBitmap;

use super::lexicon::Lexicon;
use super::mentions::Mentions;
use super::names::{Match, MatchKind, Names};
use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::ids::NodeId;
use crate::kinds::{Kinds, PASSAGE, PHRASE};
use crate::labels::Labels;
use crate::passages::Passages;
use crate::query::Seeds;

/// How seeds are weighed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sowing {
    /// Whether a named node counts by its [specificity](Mentions::specificity).
    pub specificity: bool,
    /// The mass of the passages among the seeds, where that of the named nodes is 1. 0: no passage is a seed.
    pub passage_weight: f64,
    /// Whether a name may be found by overlap alone.
    pub overlap: bool,
}

impl Default for Sowing {
    /// Specificity, half as much mass for passages as for names, and overlaps.
    fn default() -> Self {
        Sowing { specificity: true, passage_weight: 0.5, overlap: true }
    }
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Ask<'a> {
    /// A question in words.
    pub question: Option<&'a str>,
    /// Names that the question is about.
    pub entities: &'a [String],
    /// Scores of passages by somebody else, say by their embeddings: at least 0. Without any, the question's words decide.
    pub passages: &'a [(NodeId, f64)],
    /// How seeds are weighed.
    pub sowing: Sowing,
}

/// A named node among the seeds.
#[derive(Debug, Clone, PartialEq)]
pub struct Matched {
    /// The node.
    pub node: NodeId,
    /// How its name was found.
    pub kind: MatchKind,
    /// How sure it is, from 0 to 1.
    pub score: f64,
    /// What names it in the question, or the entity that was given.
    pub text: String,
    /// Its share of the named nodes' mass.
    pub weight: f64,
}

/// The seeds of a question.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sown {
    /// The named nodes, the heaviest first.
    pub matches: Vec<Matched>,
    /// Entities that were given and name nothing.
    pub missing: Vec<String>,
    /// How many passages are seeds.
    pub passages: usize,
    /// All seeds; `None` when there is none.
    pub seeds: Option<Seeds>,
}

/// What is known of a graph to make seeds of questions. It is made once; it belongs to the graph, labels, types and passages that
/// it was made of.
#[derive(Debug, Clone)]
pub struct Retriever {
    names: Names,
    mentions: Mentions,
    lexicon: Option<Lexicon>,
    others: Arc<RoaringBitmap>,
}

impl Retriever {
    /// Reads names, mentions and words. Cost: a look at each id, the edges of passages, and the texts.
    ///
    /// # Errors
    /// When a file is damaged.
    pub fn new(
        graph: &Graph,
        labels: &Labels,
        kinds: Option<&Kinds>,
        passages: Option<&Passages>,
    ) -> Result<Retriever> {
        let of_kind = |name: &str| match kinds.filter(|kinds| kinds.node_kinds().any(|known| known == name)) {
            Some(kinds) => kinds.nodes_of(name),
            None => Ok(RoaringBitmap::new()),
        };
        let nodes = NodeId::try_from(labels.len()).unwrap_or(NodeId::MAX);
        let texts = of_kind(PASSAGE)?;
        let phrases = of_kind(PHRASE)?;
        let mut others = RoaringBitmap::new();
        others.insert_range(0..nodes);
        others -= &texts;
        let names = Names::new(labels, others.iter().filter(|&node| !phrases.contains(node)))?;
        let mentions = Mentions::new(graph, Arc::new(texts))?;
        Ok(Retriever { names, mentions, lexicon: passages.map(Lexicon::new), others: Arc::new(others) })
    }

    /// The names.
    #[must_use]
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// What passages mention.
    #[must_use]
    pub fn mentions(&self) -> &Mentions {
        &self.mentions
    }

    /// All nodes that are no passages.
    #[must_use]
    pub fn others(&self) -> &Arc<RoaringBitmap> {
        &self.others
    }

    /// The seeds of a question. Of what the question names at one place, all nodes share that place's weight.
    ///
    /// # Errors
    /// When the labels are damaged, a score is negative or no number, or a node is none of the graph's.
    pub fn sow(&self, labels: &Labels, ask: &Ask<'_>) -> Result<Sown> {
        let Ask { question, entities, passages, sowing } = *ask;
        let refuse = |name, expected, got: f64| Err(Error::Parameter { name, expected, got: got.to_string() });
        if !(0.0..=1e9).contains(&sowing.passage_weight) {
            return refuse("passage_weight", "from 0 to 1e9", sowing.passage_weight);
        }
        if let Some(&(_, score)) = passages.iter().find(|(_, score)| !(0.0..f64::INFINITY).contains(score)) {
            return refuse("the score of a passage", "a finite number of at least 0", score);
        }
        let mut sown = Sown::default();
        let mut found: Vec<(Match, String)> = Vec::new();
        for entity in entities {
            let matches = self.names.named(labels, entity, sowing.overlap)?;
            if matches.is_empty() {
                sown.missing.push(entity.clone());
            }
            found.extend(matches.into_iter().map(|one| (one, entity.clone())));
        }
        // Who says what a question is about knows better than a search for names in it.
        if let Some(question) = question.filter(|_| entities.is_empty()) {
            let matches = self.names.in_text(labels, question, sowing.overlap)?;
            found.extend(matches.into_iter().map(|one| {
                let text = question[one.place.0..one.place.1].to_owned();
                (one, text)
            }));
        }
        sown.matches = self.weighed(found, sowing);
        let named: Vec<(NodeId, f64)> = sown.matches.iter().map(|one| (one.node, one.weight)).collect();
        let lexical;
        let scored = match (&self.lexicon, question) {
            (Some(lexicon), Some(question)) if passages.is_empty() && sowing.passage_weight != 0.0 => {
                lexical = lexicon.scores(question);
                &lexical[..]
            }
            _ => passages,
        };
        let sum: f64 = scored.iter().map(|&(_, score)| score).sum();
        let share = if named.is_empty() { 1.0 } else { sowing.passage_weight };
        let with_passages = sowing.passage_weight != 0.0 && 0.0 < sum && sum.is_finite();
        let texts = scored.iter().filter(|&&(_, score)| with_passages && 0.0 < score);
        let texts = texts.map(|&(node, score)| (node, share * score / sum));
        let before = named.len();
        let all: Vec<(NodeId, f64)> = named.into_iter().chain(texts).collect();
        sown.passages = all.len() - before;
        if !all.is_empty() {
            sown.seeds = Some(Seeds::from_weights(labels.len(), all)?);
        }
        Ok(sown)
    }

    /// Weights that sum to 1, the heaviest first.
    fn weighed(&self, found: Vec<(Match, String)>, sowing: Sowing) -> Vec<Matched> {
        let mut sharing: BTreeMap<(usize, usize, &str), f64> = BTreeMap::new();
        for (one, text) in &found {
            *sharing.entry((one.place.0, one.place.1, text)).or_default() += 1.0;
        }
        let mut matches: Vec<Matched> = Vec::with_capacity(found.len());
        for (one, text) in &found {
            let Match { node, kind, score, place } = *one;
            let specificity = if sowing.specificity { self.mentions.specificity(node) } else { 1.0 };
            let weight = score * specificity / sharing[&(place.0, place.1, text.as_str())];
            match matches.iter_mut().find(|known| known.node == node) {
                Some(known) => known.weight += weight,
                None => matches.push(Matched { node, kind, score, text: text.clone(), weight }),
            }
        }
        let sum: f64 = matches.iter().map(|one| one.weight).sum();
        matches.iter_mut().for_each(|one| one.weight /= sum);
        matches.sort_by(|one, other| other.weight.total_cmp(&one.weight).then(one.node.cmp(&other.node)));
        matches
    }
}
