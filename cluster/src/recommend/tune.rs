//! Choosing settings on the graph alone: some users lose a share of their items, and whoever finds most of them again wins.
//!
//! Nothing but the graph is looked at: no test set can leak into the choice. But nobody knows whether what users do next is as
//! popular as what they did, and how much popularity should count depends on it. So there are two halves of users: one loses items
//! drawn alike, the other items drawn by their popularity. For each half, **regret** is the part of the best NDCG that settings miss;
//! the settings with the smallest mean regret are chosen.
//!
//! The search goes in three rounds, each around the best of those before:
//!
//! 1. popularity; personalized PageRank with several restart probabilities; walks of three steps with several powers of degrees
//!    and popularity.
//! 2. the two best walks, mixed with those of five steps: what these count is given relative to their mass.
//! 3. the best of the first round, boosted; walks of five steps for several seeds apart would take too long.
//!
//! Personalized PageRank is a mixture of walks of all lengths, `Σ (1 - restart)^length · walk`; here it is cut where less than
//! [`LEFT_OUT`] is left.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use walkprint_engine::query::two_sided::ShortWalker;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::audience::Audience;
use super::metrics::{Evaluation, evaluate};
use super::recommender::Recommender;
use super::settings::{ModelKind, Settings, Steps};
use super::test_set::{TestSet, TestUser};
use crate::error::{Error, Result};

/// The mass of longer walks that is left out of personalized PageRank.
const LEFT_OUT: f64 = 2e-3;
/// Users whose masses of walks are measured.
const MASSES: usize = 64;

/// What is tried: restart probabilities; powers of users, items on the way and popularity; powers of transitions; what walks of five
/// steps count, relative to their mass; boosts.
const RESTARTS: [f64; 3] = [0.5, 0.7, 0.9];
const POWERS: [(f64, f64, f64); 11] = [
    (1.0, 1.0, 0.0),
    (1.0, 1.0, 0.2),
    (1.0, 1.0, 0.4),
    (0.9, 0.9, 0.1),
    (0.8, 0.8, 0.2),
    (0.7, 0.7, 0.3),
    (0.6, 0.6, 0.4),
    (0.5, 0.5, 0.5),
    (1.0, 0.8, 0.2),
    (0.8, 0.9, 0.1),
    (0.6, 0.9, 0.1),
];
const TRANSITIONS: [f64; 2] = [0.7, 1.4];
const SHARES: [f64; 4] = [-0.7, -0.5, -0.3, 0.3];
const BOOSTS: [f64; 2] = [0.8, 1.25];

/// How to search.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TuneOptions {
    /// The share of a user's items that is held out, above 0 and below 1.
    pub share: f64,
    /// How many users lose some; at most half of all.
    pub users: usize,
    /// The key by which users and items are drawn.
    pub key: u64,
    /// The K of the metrics.
    pub top: usize,
}

impl Default for TuneOptions {
    fn default() -> Self {
        TuneOptions { share: 0.2, users: 3000, key: 0, top: 20 }
    }
}

/// One of the settings that were tried.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// The settings.
    pub settings: Settings,
    /// Recall of the users who lost items drawn alike, and of those who lost popular ones.
    pub recall: [f64; 2],
    /// NDCG of the same.
    pub ndcg: [f64; 2],
    /// The standard errors of NDCG.
    pub std_error: [f64; 2],
    /// How long it took.
    pub took: Duration,
}

/// What came of a search.
#[derive(Debug, Clone, PartialEq)]
pub struct Tuned {
    /// All trials, as they were made.
    pub trials: Vec<Trial>,
    /// The regret of each, the mean of both halves.
    pub regrets: Vec<f64>,
    /// The best settings.
    pub chosen: Settings,
    /// Users who lost items, and how many items.
    pub held_out: (usize, u64),
}

/// Searches for the settings with the least regret. `watch` is told each trial.
///
/// # Errors
/// When no user has two items, or an option is out of its range; [`Error::Interrupted`].
pub fn tune(
    audience: &Audience,
    options: &TuneOptions,
    work: (usize, &AtomicBool),
    watch: &mut dyn FnMut(&Trial),
) -> Result<Tuned> {
    if !(0.0 < options.share && options.share < 1.0) || options.users == 0 || options.top == 0 {
        let what = "tuning needs a share above 0 and below 1, and at least one user and one result".to_owned();
        return Err(Error::Request { what });
    }
    let (train, validation) = hold_out(audience, options)?;
    let mut search = Search { train, validation, top: options.top, work, trials: Vec::new(), watch };
    let usual = Settings::default();
    search.attempt(Settings { model: ModelKind::Popular, ..usual.clone() }, None)?;
    for restart_prob in RESTARTS {
        let settings = Settings { model: ModelKind::Ppr, restart_prob, ..usual.clone() };
        let as_walks = Settings { steps: geometric(restart_prob), ..usual.clone() };
        search.attempt(settings, Some(&as_walks))?;
    }
    for (users, items, popularity_power) in POWERS {
        let given = |power: f64| Some(power).filter(|&power| power != 1.0);
        let settings =
            Settings { user_power: given(users), item_power: given(items), popularity_power, ..usual.clone() };
        search.attempt(settings, None)?;
    }
    for transition_power in TRANSITIONS {
        search.attempt(Settings { transition_power, ..usual.clone() }, None)?;
    }
    let leading = search.best(2);
    for (settings, shares) in leading.iter().zip([&SHARES[..], &SHARES[..3]]) {
        let ratio = mass_ratio(&search.train, settings)?;
        for share in shares {
            let steps = Steps(vec![(3, 1.0), (5, rounded(share * ratio))]);
            search.attempt(Settings { steps, ..settings.clone() }, None)?;
        }
    }
    if let Some(leading) = leading.first() {
        for boost in BOOSTS {
            search.attempt(Settings { boost, ..leading.clone() }, None)?;
        }
    }
    let Search { trials, validation, .. } = search;
    let regrets = regrets(&trials);
    let least = trials.iter().zip(&regrets).reduce(|best, trial| if trial.1 < best.1 { trial } else { best });
    let chosen = least.map(|(trial, _)| trial.settings.clone()).unwrap_or_default();
    Ok(Tuned { trials, regrets, chosen, held_out: (validation.users.len(), validation.interactions) })
}

/// A search under way.
struct Search<'s> {
    train: Audience,
    validation: TestSet,
    top: usize,
    work: (usize, &'s AtomicBool),
    trials: Vec<Trial>,
    watch: &'s mut dyn FnMut(&Trial),
}

impl Search<'_> {
    /// Tries settings, or others that score alike.
    fn attempt(&mut self, settings: Settings, tried: Option<&Settings>) -> Result<()> {
        let began = Instant::now();
        let recommender = Recommender::walking(&self.train, tried.unwrap_or(&settings), self.work)?;
        let evaluation = evaluate(&recommender, &self.validation, self.top, self.work)?;
        // Users of the two halves come in turns.
        let halves = [0, 1].map(|half| Evaluation {
            users: evaluation.users.iter().skip(half).step_by(2).copied().collect(),
            ..evaluation.clone()
        });
        let trial = Trial {
            settings,
            recall: halves.each_ref().map(Evaluation::recall),
            ndcg: halves.each_ref().map(Evaluation::ndcg),
            std_error: halves.each_ref().map(|half| half.std_error(|user| user.ndcg)),
            took: began.elapsed(),
        };
        (self.watch)(&trial);
        self.trials.push(trial);
        Ok(())
    }

    /// The walks with the least regret.
    fn best(&self, count: usize) -> Vec<Settings> {
        let regrets = regrets(&self.trials);
        let walks = self.trials.iter().zip(regrets).filter(|(trial, _)| trial.settings.model == ModelKind::Walk);
        let mut order: Vec<(&Trial, f64)> = walks.collect();
        order.sort_by(|a, b| a.1.total_cmp(&b.1));
        order.into_iter().take(count).map(|(trial, _)| trial.settings.clone()).collect()
    }
}

/// The regret of each trial: which part of the best NDCG of a half it misses, the mean of both halves.
fn regrets(trials: &[Trial]) -> Vec<f64> {
    let best = [0, 1].map(|half| trials.iter().map(|trial| trial.ndcg[half]).fold(f64::MIN_POSITIVE, f64::max));
    let regret = |trial: &Trial| 1.0 - (trial.ndcg[0] / best[0] + trial.ndcg[1] / best[1]) / 2.0;
    trials.iter().map(regret).collect()
}

/// What walks of each length count in personalized PageRank, relative to those of three steps.
fn geometric(restart_prob: f64) -> Steps {
    let onward = 1.0 - restart_prob;
    let lengths = (3..).step_by(2).take_while(|&length| length == 3 || LEFT_OUT < onward.powi(length));
    let share = |length: i32| (u32::try_from(length).unwrap_or(3), onward.powi(length - 3));
    Steps(lengths.map(share).collect())
}

/// How many times the mass of walks of five steps goes into that of three.
fn mass_ratio(train: &Audience, settings: &Settings) -> Result<f64> {
    let walks = Settings { steps: Steps(vec![(3, 1.0), (5, 1.0)]), ..settings.clone() }.walks();
    let mut walker = ShortWalker::new(&train.sides, &walks)?;
    let (mut three, mut five) = (0.0, 0.0);
    let step = (train.users() / MASSES).max(1);
    for user in (0..train.users()).step_by(step) {
        let user = u32::try_from(user).expect("places are numbered by 32 bits");
        let masses = walker.masses(&train.sides.seeds(user))?;
        (three, five) = (three + masses[0], five + masses[1]);
    }
    Ok(if 0.0 < five { three / five } else { 1.0 })
}

/// Three digits are plenty.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// Draws users and some of their items by the key: in turns alike and by popularity. Everybody keeps at least one item.
fn hold_out(audience: &Audience, options: &TuneOptions) -> Result<(Audience, TestSet)> {
    let draw = |numbers: [u32; 2]| {
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        xxh3_64_with_seed(&bytes, options.key)
    };
    let users = u32::try_from(audience.users()).expect("places are numbered by 32 bits");
    let mut able: Vec<u32> = (0..users).filter(|&user| 2 <= audience.sides.row(user).len()).collect();
    able.sort_by_key(|&user| (draw([user, u32::MAX]), user));
    able.truncate(options.users.min(able.len().div_ceil(2)));
    able.sort_unstable();
    let mut test = TestSet::default();
    for (at, &user) in able.iter().enumerate() {
        let row = audience.sides.row(user);
        // The smallest of exponential variates: one of rate `popularity` is a draw by popularity, without replacement (Efraimidis &
        // Spirakis, "Weighted random sampling with a reservoir", 2006).
        let late = |item: u32| {
            let uniform = ((draw([user, item]) >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
            let rate = if at % 2 == 0 { 1.0 } else { audience.sides.popularity(item) as f64 };
            -uniform.ln() / rate
        };
        let mut drawn: Vec<(f64, u32)> = row.iter().map(|&item| (late(item), item)).collect();
        drawn.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let mut items: Vec<u32> = drawn.into_iter().map(|(_, item)| item).collect();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a count")]
        let count = ((row.len() as f64 * options.share).round() as usize).clamp(1, row.len() - 1);
        items.truncate(count);
        items.sort_unstable();
        test.interactions += items.len() as u64;
        test.users.push(TestUser { id: String::new(), place: Some(user), total: items.len(), items });
    }
    if test.users.is_empty() {
        let what = "no user has two items or more: there is nothing to choose settings by".to_owned();
        return Err(Error::Request { what });
    }
    let train = audience.filtered(|user, item| match able.binary_search(&user) {
        Ok(at) => test.users[at].items.binary_search(&item).is_err(),
        Err(_) => true,
    });
    Ok((train, test))
}
