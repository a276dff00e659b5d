//! Which passages have the words of a question: BM25.
//!
//! ```text
//! score(passage) = sum over words w of the question:
//!     ln(1 + (passages - with(w) + 1/2) / (with(w) + 1/2)) * times (k + 1) / (times + k (1 - b + b length / mean length))
//! ```
//!
//! with `times` how often *w* stands in the passage, `k` = 1.2, `b` = 0.75. It stands in for the dense scores that HippoRAG 2
//! takes from a model of embeddings; whoever has such scores gives them along instead.
//!
//! Paper: Robertson & Zaragoza, "The probabilistic relevance framework: BM25 and beyond", 2009, section 3.

use std::collections::{BTreeMap, BTreeSet};

use super::tokens::tokens;
use crate::ids::NodeId;
use crate::passages::Passages;

const SATURATION: f64 = 1.2;
const LENGTH_SHARE: f64 = 0.75;

/// The words of all passages. Memory: eight bytes for each word of each passage, counted once.
#[derive(Debug, Clone)]
pub struct Lexicon {
    nodes: Vec<NodeId>,
    lengths: Vec<u32>,
    mean: f64,
    /// Of each word, the places of the passages that have it, and how often.
    postings: BTreeMap<Box<str>, Vec<(u32, u32)>>,
}

impl Lexicon {
    /// Reads all passages. Cost: one pass over the texts.
    #[must_use]
    pub fn new(passages: &Passages) -> Lexicon {
        let (mut nodes, mut lengths) = (Vec::new(), Vec::new());
        let mut postings: BTreeMap<Box<str>, Vec<(u32, u32)>> = BTreeMap::new();
        for (place, (node, text)) in (0u32..).zip(passages.iter()) {
            let words = tokens(text);
            nodes.push(node);
            lengths.push(u32::try_from(words.len()).unwrap_or(u32::MAX));
            for word in words {
                let places = postings.entry(word.text.into_boxed_str()).or_default();
                match places.last_mut() {
                    Some((last, times)) if *last == place => *times += 1,
                    _ => places.push((place, 1)),
                }
            }
        }
        let sum: f64 = lengths.iter().map(|&length| f64::from(length)).sum();
        let mean = (sum / nodes.len().max(1) as f64).max(1.0);
        Lexicon { nodes, lengths, mean, postings }
    }

    /// The scores of all passages that have a word of the question, ascending by node. Each word counts once.
    #[must_use]
    pub fn scores(&self, question: &str) -> Vec<(NodeId, f64)> {
        let words: BTreeSet<String> = tokens(question).into_iter().map(|word| word.text).collect();
        let mut scores = vec![0.0; self.nodes.len()];
        for word in &words {
            let Some(places) = self.postings.get(word.as_str()) else { continue };
            let with = places.len() as f64;
            let rarity = (1.0 + (self.nodes.len() as f64 - with + 0.5) / (with + 0.5)).ln();
            for &(place, times) in places {
                let times = f64::from(times);
                let length = f64::from(self.lengths[place as usize]) / self.mean;
                let damping = SATURATION * (1.0 - LENGTH_SHARE + LENGTH_SHARE * length);
                scores[place as usize] += rarity * times * (SATURATION + 1.0) / (times + damping);
            }
        }
        self.nodes.iter().copied().zip(scores).filter(|&(_, score)| 0.0 < score).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_those_of_the_formula() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("passages.wpp");
        let texts = ["a river in Zimbabwe", "Zimbabwe, Zimbabwe: falls and a river", "nothing else"];
        let listed: Vec<(NodeId, &str)> = [3, 5, 9].into_iter().zip(texts).collect();
        Passages::write(&path, &listed).unwrap();
        let lexicon = Lexicon::new(&Passages::open(&path).unwrap());
        // By hand: 4, 6 and 2 words, 4 on average.
        let expected = |words: &[(f64, f64)], length: f64| {
            let part = |&(with, times): &(f64, f64)| {
                let rarity = (1.0f64 + (3.0 - with + 0.5) / (with + 0.5)).ln();
                rarity * times * 2.2 / (times + 1.2 * (0.25 + 0.75 * length / 4.0))
            };
            words.iter().map(part).sum::<f64>()
        };
        let scores = lexicon.scores("Which falls, FALLS are in zimbabwe?");
        assert_eq!(scores.iter().map(|score| score.0).collect::<Vec<_>>(), [3, 5]);
        assert!((scores[0].1 - expected(&[(1.0, 1.0), (2.0, 1.0)], 4.0)).abs() < 1e-12);
        assert!((scores[1].1 - expected(&[(1.0, 1.0), (2.0, 2.0)], 6.0)).abs() < 1e-12);
        assert_eq!(lexicon.scores("xyz ?"), []);
    }
}
