//! How good retrieved passages are.
//!
//! With *G* the passages that answer a question, and *R(k)* the first *k* results:
//!
//! | metric | of a question | |
//! |---|---|---|
//! | `recall@k` | the share of *G* in *R(k)* | as HippoRAG counts it |
//! | `all-evidence@k` | 1 when all of *G* is in *R(k)*, else 0 | what a question of several hops needs |
//! | `mrr` | 1 / the place of the first of *G* among the results, 0 when none is there | |
//!
//! Each is the mean over all questions; those without seeds count with 0. `halves` has the same over every other question: over
//! the first, third, … and over the second, fourth, …, so that a setting that fits by chance shows.

use std::collections::BTreeMap;

use serde::Serialize;

/// Places at which metrics are told, as far as there are so many results, beside the last.
const PLACES: [usize; 5] = [1, 2, 5, 10, 20];

/// What became of one question.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judged {
    /// The metrics of this question.
    pub metrics: BTreeMap<String, f64>,
    /// The places of the passages that answer it, from 1; `None` for those that are not among the results.
    pub places: Vec<(String, Option<usize>)>,
}

/// Metrics over many questions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Metrics {
    /// How many questions.
    pub questions: usize,
    /// Means over all questions.
    pub metrics: BTreeMap<String, f64>,
    /// Means over every other question.
    pub halves: [BTreeMap<String, f64>; 2],
}

/// Judges the results of one question, of which `top` were asked for. `gold` is not empty.
#[must_use]
pub fn judge(results: &[String], gold: &[String], top: usize) -> Judged {
    let place = |id: &String| results.iter().position(|result| result == id).map(|at| at + 1);
    let places: Vec<(String, Option<usize>)> = gold.iter().map(|id| (id.clone(), place(id))).collect();
    let mut metrics = BTreeMap::new();
    let mut told: Vec<usize> = PLACES.into_iter().filter(|&at| at < top).chain([top]).collect();
    told.dedup();
    for at in told {
        let found = places.iter().filter(|(_, place)| place.is_some_and(|place| place <= at)).count();
        metrics.insert(format!("recall@{at}"), found as f64 / gold.len().max(1) as f64);
        metrics.insert(format!("all-evidence@{at}"), f64::from(u8::from(found == gold.len())));
    }
    let first = places.iter().filter_map(|(_, place)| *place).min();
    metrics.insert("mrr".to_owned(), first.map_or(0.0, |place| 1.0 / place as f64));
    Judged { metrics, places }
}

impl Metrics {
    /// The means over these questions.
    #[must_use]
    pub fn of(judged: &[Judged]) -> Metrics {
        let half = |first: usize| mean(judged.iter().skip(first).step_by(2));
        Metrics { questions: judged.len(), metrics: mean(judged.iter()), halves: [half(0), half(1)] }
    }
}

fn mean<'j>(judged: impl Iterator<Item = &'j Judged>) -> BTreeMap<String, f64> {
    let (mut sums, mut count) = (BTreeMap::new(), 0.0);
    for one in judged {
        count += 1.0;
        for (name, value) in &one.metrics {
            *sums.entry(name.clone()).or_insert(0.0) += value;
        }
    }
    sums.values_mut().for_each(|sum| *sum /= count);
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn metrics_are_those_of_the_definitions() {
        let judged = judge(&ids(&["a", "b", "c", "d", "e", "f"]), &ids(&["b", "e", "x"]), 6);
        assert_eq!(judged.places, [("b".to_owned(), Some(2)), ("e".to_owned(), Some(5)), ("x".to_owned(), None)]);
        let metric = |name: &str| judged.metrics[name];
        assert_eq!([metric("recall@1"), metric("recall@2"), metric("recall@5")], [0.0, 1.0 / 3.0, 2.0 / 3.0]);
        assert_eq!((metric("recall@6"), metric("all-evidence@6"), metric("mrr")), (2.0 / 3.0, 0.0, 0.5));
        let whole = judge(&ids(&["a", "b"]), &ids(&["a"]), 2);
        assert_eq!((whole.metrics["all-evidence@1"], whole.metrics["mrr"]), (1.0, 1.0));
        assert_eq!(judge(&[], &ids(&["a"]), 5).metrics["mrr"], 0.0);
        let all = Metrics::of(&[judge(&ids(&["a"]), &ids(&["a"]), 1), judge(&[], &ids(&["a"]), 1)]);
        assert_eq!((all.questions, all.metrics["recall@1"]), (2, 0.5));
        assert_eq!((all.halves[0]["recall@1"], all.halves[1]["recall@1"]), (1.0, 0.0));
    }
}
