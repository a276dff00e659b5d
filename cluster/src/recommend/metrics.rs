//! How good recommendations are: the usual metrics, by the definitions of LightGCN's code.
//!
//! For a user with test items `T` and recommendations of which those at ranks `r_1 < r_2 < …` (from 1, up to K) are in `T`:
//!
//! | metric | of a user | of all |
//! |---|---|---|
//! | recall@K | hits / \|T\| | mean |
//! | ndcg@K | `Σ 1 / log2(r + 1)`, over the same sum for ranks 1 to min(K, \|T\|) | mean |
//! | hit_rate@K | 1 with any hit, else 0 | mean |
//! | mrr@K | 1 / r_1, 0 without a hit | mean |
//! | map@K | `Σ_n n / r_n`, over min(K, \|T\|) | mean |
//! | coverage@K | | items recommended to anybody, over items that somebody has |
//! | popularity@K | | mean number of users of what is recommended |
//! | novelty@K | | mean of `-log2(users of it / all users)` |
//!
//! Means are over all users with test items, also those whom the graph does not know. (LightGCN: `utils.py`, `RecallPrecision_ATk`
//! and `NDCGatK_r`; He et al., SIGIR 2020.)

use std::sync::atomic::AtomicBool;

use serde_json::{Map, Value, json};

use super::audience::Person;
use super::in_order::in_order;
use super::recommender::{Recommended, Recommender};
use super::test_set::{TestSet, TestUser};
use crate::error::Result;

/// Users whom a thread answers at a time.
const AT_ONCE: usize = 64;

/// The metrics of one user.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct UserMetrics {
    /// Recall.
    pub recall: f64,
    /// Normalised discounted cumulative gain.
    pub ndcg: f64,
    /// Whether there was a hit.
    pub hit: f64,
    /// The reciprocal rank of the first hit.
    pub reciprocal_rank: f64,
    /// Average precision.
    pub average_precision: f64,
    /// Whether nothing was known of her.
    pub fallback: bool,
}

impl UserMetrics {
    fn of(recommended: &Recommended, user: &TestUser, top: usize) -> UserMetrics {
        let gain = |rank: usize| ((rank + 1) as f64).log2().recip();
        let best = top.min(user.total);
        let ideal: f64 = (1..=best).map(gain).sum();
        let mut metrics = UserMetrics { fallback: recommended.fallback, ..UserMetrics::default() };
        let (mut hits, mut gained) = (0, 0.0);
        for (rank, pick) in (1..=top).zip(&recommended.picks) {
            if user.items.binary_search(&pick.place).is_err() {
                continue;
            }
            hits += 1;
            gained += gain(rank);
            metrics.average_precision += f64::from(hits) / rank as f64 / best as f64;
            if hits == 1 {
                (metrics.hit, metrics.reciprocal_rank) = (1.0, (rank as f64).recip());
            }
        }
        metrics.recall = f64::from(hits) / user.total as f64;
        metrics.ndcg = gained / ideal;
        metrics
    }
}

/// What came of an evaluation.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// How many items were recommended to each user.
    pub top: usize,
    /// Of each user with test items, in the order of the test.
    pub users: Vec<UserMetrics>,
    /// The share of the items that was recommended to anybody.
    pub coverage: f64,
    /// The mean number of users of what was recommended.
    pub popularity: f64,
    /// How surprising it was, in bits.
    pub novelty: f64,
}

impl Evaluation {
    /// The mean of a metric over all users.
    pub fn mean(&self, metric: impl Fn(&UserMetrics) -> f64) -> f64 {
        self.users.iter().map(metric).sum::<f64>() / self.users.len().max(1) as f64
    }

    /// How far a mean may be off by the choice of users: its standard error.
    pub fn std_error(&self, metric: impl Fn(&UserMetrics) -> f64) -> f64 {
        let (mean, count) = (self.mean(&metric), self.users.len() as f64);
        let squares: f64 = self.users.iter().map(|user| (metric(user) - mean).powi(2)).sum();
        (squares / (count * (count - 1.0)).max(1.0)).sqrt()
    }

    /// Recall.
    #[must_use]
    pub fn recall(&self) -> f64 {
        self.mean(|user| user.recall)
    }

    /// Normalised discounted cumulative gain.
    #[must_use]
    pub fn ndcg(&self) -> f64 {
        self.mean(|user| user.ndcg)
    }

    /// All metrics by name, as `recall@20`.
    #[must_use]
    pub fn named(&self) -> Vec<(String, f64)> {
        let metrics = [
            ("recall", self.recall()),
            ("ndcg", self.ndcg()),
            ("hit_rate", self.mean(|user| user.hit)),
            ("mrr", self.mean(|user| user.reciprocal_rank)),
            ("map", self.mean(|user| user.average_precision)),
            ("coverage", self.coverage),
            ("popularity", self.popularity),
            ("novelty", self.novelty),
        ];
        metrics.into_iter().map(|(name, value)| (format!("{name}@{}", self.top), value)).collect()
    }

    /// All metrics as an object.
    #[must_use]
    pub fn as_json(&self) -> Value {
        Value::Object(self.named().into_iter().map(|(name, value)| (name, json!(value))).collect::<Map<_, _>>())
    }

    /// Users of whom nothing was known.
    #[must_use]
    pub fn fallbacks(&self) -> u64 {
        self.users.iter().filter(|user| user.fallback).count() as u64
    }
}

/// Recommends `top` items to every user of a test set, and compares.
///
/// # Errors
/// When a file is damaged; [`Error::Interrupted`](crate::error::Error::Interrupted).
pub fn evaluate(
    recommender: &Recommender<'_>,
    test: &TestSet,
    top: usize,
    work: (usize, &AtomicBool),
) -> Result<Evaluation> {
    let audience = recommender.audience();
    let sides = &audience.sides;
    let mut shown = vec![false; sides.right().len()];
    let (mut users, mut count, mut popularity, mut novelty) = (Vec::with_capacity(test.users.len()), 0u64, 0.0, 0.0);
    in_order(
        work,
        test.users.len().div_ceil(AT_ONCE),
        || recommender.scorer(),
        |scorer, chunk| {
            let users = &test.users[chunk * AT_ONCE..test.users.len().min((chunk + 1) * AT_ONCE)];
            let person = |user: &TestUser| user.place.map_or(Person::default(), |place| audience.person(place));
            let people: Vec<Person> = users.iter().map(person).collect();
            let recommended = scorer.recommend(&people, top, false)?;
            let metrics =
                users.iter().zip(&recommended).map(|(user, recommended)| UserMetrics::of(recommended, user, top));
            let metrics: Vec<UserMetrics> = metrics.collect();
            let places = recommended.iter().flat_map(|recommended| recommended.picks.iter().map(|pick| pick.place));
            Ok((metrics, places.collect::<Vec<u32>>()))
        },
        |(metrics, places)| {
            users.extend(metrics);
            for place in places {
                shown[place as usize] = true;
                let has = sides.popularity(place);
                count += 1;
                popularity += has as f64;
                novelty -= (has.max(1) as f64 / audience.users().max(1) as f64).log2();
            }
            Ok(())
        },
    )?;
    let per = |sum: f64| if count == 0 { 0.0 } else { sum / count as f64 };
    let shown = shown.iter().filter(|shown| **shown).count();
    Ok(Evaluation {
        top,
        users,
        coverage: shown as f64 / audience.popular.len().max(1) as f64,
        popularity: per(popularity),
        novelty: per(novelty),
    })
}

#[cfg(test)]
mod tests {
    use super::super::recommender::Pick;
    use super::*;

    #[test]
    fn metrics_follow_their_definitions() {
        // Five recommended, of three test items the second and the fifth; one test item is unknown.
        let picks = [10, 11, 12, 13, 14].map(|place| Pick { place, score: 1.0 }).to_vec();
        let user = TestUser { id: "u".into(), place: Some(0), items: vec![11, 14], total: 3 };
        let metrics = UserMetrics::of(&Recommended { picks, fallback: false }, &user, 5);
        let near = |got: f64, expected: f64| assert!((got - expected).abs() < 1e-12, "{got} instead of {expected}");
        near(metrics.recall, 2.0 / 3.0);
        near(metrics.ndcg, (1.0 / 3f64.log2() + 1.0 / 6f64.log2()) / (1.0 + 1.0 / 3f64.log2() + 0.5));
        near(metrics.reciprocal_rank, 0.5);
        near(metrics.average_precision, (1.0 / 2.0 + 2.0 / 5.0) / 3.0);
        near(metrics.hit, 1.0);
        // More test items than places: the ideal list is full.
        let user = TestUser { id: "u".into(), place: None, items: vec![10], total: 9 };
        let picks = vec![Pick { place: 10, score: 1.0 }];
        let metrics = UserMetrics::of(&Recommended { picks, fallback: true }, &user, 1);
        near(metrics.ndcg, 1.0);
        near(metrics.recall, 1.0 / 9.0);
    }
}
