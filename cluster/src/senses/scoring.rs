//! Answers held against a key, as Raganato, Camacho-Collados & Navigli do: "Word Sense Disambiguation: A Unified Evaluation
//! Framework and Empirical Comparison", EACL 2017, and its `Scorer.java`.
//!
//! An instance is right when the answer is among the senses of the key. Precision is right / answered, recall right / all
//! instances of the key, and F1 their harmonic mean. What was answered and is not in the key does not count.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use walkprint_loaders::read_text;

use super::dictionary::line_error;
use crate::error::Result;

/// The senses of each instance by its id, as the key writes them.
pub type Keys = BTreeMap<String, Vec<String>>;

/// The name under which all data sets together are reported.
const ALL: &str = "ALL";

/// Reads a key: in each line the id of an instance and its senses, separated by blanks. An instance whose id comes again has
/// the senses of both lines.
///
/// # Errors
/// When the file cannot be read, or a line has no sense.
pub fn read_keys(path: &Path) -> Result<Keys> {
    let mut keys = Keys::new();
    read_lists(path, |id, senses| keys.entry(id.to_owned()).or_default().extend(senses.map(str::to_owned)))?;
    Ok(keys)
}

/// Reads what senses are called in a key: in each line the id of a node, a tab or blanks, and the names of its senses, one a
/// lemma, as WordNet's sense keys `bank%1:17:01::`.
///
/// # Errors
/// As [`read_keys`].
pub fn read_sense_keys(path: &Path) -> Result<Keys> {
    read_keys(path)
}

fn read_lists(path: &Path, mut add: impl FnMut(&str, &mut dyn Iterator<Item = &str>)) -> Result<()> {
    let text = read_text(path)?;
    for (line, text) in (1..).zip(text.lines()).filter(|(_, text)| !text.trim().is_empty()) {
        let mut fields = text.split_whitespace().peekable();
        match (fields.next(), fields.peek()) {
            (Some(id), Some(_)) => add(id, &mut fields),
            _ => return Err(line_error(path, line, "an id and at least one sense", format!("{text:?}"))),
        }
    }
    Ok(())
}

/// What was counted in one data set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Tally {
    /// Instances of the key.
    pub instances: u64,
    /// Of these, those that were answered.
    pub answered: u64,
    /// Of these, those whose answer is in the key.
    pub right: u64,
}

impl Tally {
    /// The share of right answers among the answers; 0 without any.
    #[must_use]
    pub fn precision(&self) -> f64 {
        ratio(self.right, self.answered)
    }

    /// The share of right answers among the instances; 0 without any.
    #[must_use]
    pub fn recall(&self) -> f64 {
        ratio(self.right, self.instances)
    }

    /// The harmonic mean of precision and recall.
    #[must_use]
    pub fn f1(&self) -> f64 {
        ratio(2 * self.right, self.answered + self.instances)
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Answers held against a key, by data set: the part of an instance's id before the first dot; and all together as `ALL`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Score {
    /// The counts of each data set.
    pub datasets: BTreeMap<String, Tally>,
}

impl Score {
    /// Counts. `answers` has what the key may call each answer, nothing where it has no name there: that is wrong.
    #[must_use]
    pub fn new(keys: &Keys, answers: &Keys) -> Score {
        let mut datasets: BTreeMap<String, Tally> = BTreeMap::new();
        for (id, senses) in keys {
            let answer = answers.get(id);
            let right = answer.is_some_and(|names| names.iter().any(|name| senses.contains(name)));
            for dataset in [id.split('.').next().unwrap_or_default(), ALL] {
                let tally = datasets.entry(dataset.to_owned()).or_default();
                tally.instances += 1;
                tally.answered += u64::from(answer.is_some());
                tally.right += u64::from(right);
            }
        }
        Score { datasets }
    }

    /// The counts of all data sets together.
    #[must_use]
    pub fn all(&self) -> Tally {
        self.datasets.get(ALL).copied().unwrap_or_default()
    }
}
