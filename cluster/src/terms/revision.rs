//! The revised scores of terms, and both rankings.

use std::collections::BTreeMap;

use serde::Serialize;

use super::input::{Term, words_of};

/// A term with both scores.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RevisedTerm {
    /// The term.
    pub term: String,
    /// The base score, as it was given.
    pub base: f64,
    /// The mean importance of its words, from 0 to 1.
    pub importance: f64,
    /// The revised score, from 0 to 2.
    pub revised: f64,
    /// Its place by base score: 1, 2, 3, ...
    pub base_rank: usize,
    /// Its place by revised score.
    pub rank: usize,
}

/// Revises all scores: `(1 + mean importance) * base / largest base`. Best first by revised score; ties, in either ranking, in the
/// order of the terms. Words without an importance count 0.
#[must_use]
pub fn revise(terms: &[Term], importances: &BTreeMap<String, f64>) -> Vec<RevisedTerm> {
    let largest = terms.iter().map(|term| term.base).fold(0.0, f64::max);
    let mut revised: Vec<RevisedTerm> = terms
        .iter()
        .map(|Term { text, base }| {
            let words = words_of(text);
            // Not `sum`, which is minus zero for no words.
            let sum = words.iter().filter_map(|word| importances.get(word)).fold(0.0, |sum, of_word| sum + of_word);
            let importance = sum / words.len().max(1) as f64;
            let scaled = if largest == 0.0 { 0.0 } else { base / largest };
            let revised = (1.0 + importance) * scaled;
            RevisedTerm { term: text.clone(), base: *base, importance, revised, base_rank: 0, rank: 0 }
        })
        .collect();
    place(&mut revised, |term| term.base, |term, rank| term.base_rank = rank);
    place(&mut revised, |term| term.revised, |term, rank| term.rank = rank);
    revised
}

/// Sorts by a score, largest first, and notes the places.
fn place(terms: &mut [RevisedTerm], score: impl Fn(&RevisedTerm) -> f64, note: impl Fn(&mut RevisedTerm, usize)) {
    terms.sort_by(|a, b| score(b).total_cmp(&score(a)).then_with(|| a.term.cmp(&b.term)));
    terms.iter_mut().zip(1..).for_each(|(term, rank)| note(term, rank));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revised_score_is_what_the_formula_says() {
        let term = |text: &str, base: f64| Term { text: text.to_owned(), base };
        let terms = [term("red cell", 2.0), term("Cell", 4.0), term("the red", 4.0), term("?!", 1.0)];
        let importances = BTreeMap::from([("cell".to_owned(), 1.0), ("red".to_owned(), 0.5)]);
        let revised = revise(&terms, &importances);
        let shown: Vec<_> = revised.iter().map(|t| (t.term.as_str(), t.revised, t.rank, t.base_rank)).collect();
        let expected = [("Cell", 2.0, 1, 1), ("the red", 1.25, 2, 2), ("red cell", 0.875, 3, 3), ("?!", 0.25, 4, 4)];
        assert_eq!(shown, expected);
    }
}
