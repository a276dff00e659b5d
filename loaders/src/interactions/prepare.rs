//! From ratings and times to weights: what counts, how much, and what a pair that comes twice means.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use super::{Interaction, Interactions};
use crate::Error;

/// What becomes of a user and an item that come together several times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Duplicates {
    /// Their weights add up.
    #[default]
    Sum,
    /// The newest counts; without times, the last in the input.
    Last,
    /// They are an error.
    Refuse,
}

/// A name that is none of [`Duplicates`].
#[derive(Debug, thiserror::Error)]
#[error("expected sum, last or error, got {0:?}")]
pub struct UnknownDuplicates(pub String);

impl FromStr for Duplicates {
    type Err = UnknownDuplicates;

    fn from_str(text: &str) -> Result<Self, UnknownDuplicates> {
        match text {
            "sum" => Ok(Duplicates::Sum),
            "last" => Ok(Duplicates::Last),
            "error" => Ok(Duplicates::Refuse),
            _ => Err(UnknownDuplicates(text.to_owned())),
        }
    }
}

impl fmt::Display for Duplicates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Duplicates::Sum => "sum",
            Duplicates::Last => "last",
            Duplicates::Refuse => "error",
        })
    }
}

/// How weights are made.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Preparation {
    /// Ratings are not looked at: every interaction weighs 1.
    pub implicit: bool,
    /// The time in which a weight falls to one half, in the unit of the times; above 0.
    pub half_life: Option<f64>,
    /// The time that counts as now; what is newer is left out. The newest interaction's unless said.
    pub as_of: Option<f64>,
    /// What becomes of pairs that come several times.
    pub duplicates: Duplicates,
}

/// What [`Interactions::prepare`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Prepared {
    /// Interactions that were newer than `as_of`.
    pub newer: u64,
    /// Interactions that became part of another one.
    pub merged: u64,
}

impl Interactions {
    /// Makes weights: without ratings if they are not to count, decayed by age (each interaction by its own:
    /// `0.5 ^ (age / half_life)`), pairs merged. The order of the input stays; a merged pair stands where it came first, with
    /// its newest time.
    ///
    /// # Errors
    /// When times are needed and there are none, an option is out of its range, or duplicates are refused and there are some.
    pub fn prepare(&mut self, preparation: &Preparation) -> Result<Prepared, Error> {
        let mut prepared = Prepared::default();
        if preparation.implicit {
            self.rows.iter_mut().for_each(|row| row.weight = 1.0);
            self.rated = false;
        }
        if preparation.half_life.is_some() || preparation.as_of.is_some() {
            self.check_timed(if preparation.half_life.is_some() { "--half-life" } else { "--as-of" })?;
        }
        if let Some(as_of) = preparation.as_of {
            if !as_of.is_finite() {
                return Err(Error::Option { option: "--as-of", expected: "a finite time", got: as_of.to_string() });
            }
            let before = self.rows.len();
            self.rows.retain(|row| row.time <= as_of);
            prepared.newer = (before - self.rows.len()) as u64;
        }
        if let Some(half_life) = preparation.half_life {
            if !(0.0 < half_life && half_life.is_finite()) {
                let got = half_life.to_string();
                return Err(Error::Option { option: "--half-life", expected: "a time above 0", got });
            }
            let newest = self.rows.iter().map(|row| row.time).fold(f64::NEG_INFINITY, f64::max);
            let now = preparation.as_of.unwrap_or(newest);
            self.rows.iter_mut().for_each(|row| row.weight *= (-(now - row.time) / half_life).exp2());
            self.rated = true;
        }
        prepared.merged = self.merge(preparation.duplicates)?;
        self.rated |= prepared.merged != 0 && preparation.duplicates == Duplicates::Sum;
        Ok(prepared)
    }

    /// Says that times are needed, where there are none.
    pub(super) fn check_timed(&self, option: &'static str) -> Result<(), Error> {
        if self.timed {
            return Ok(());
        }
        let expected = "times in the input: a column timestamp or time, or one that --time-col names";
        Err(Error::Option { option, expected, got: "none".to_owned() })
    }

    /// Makes one interaction of all of a user with an item. Says how many are gone.
    fn merge(&mut self, duplicates: Duplicates) -> Result<u64, Error> {
        let mut places: HashMap<(u32, u32), usize> = HashMap::with_capacity(self.rows.len());
        let mut merged: Vec<Interaction> = Vec::with_capacity(self.rows.len());
        for row in &self.rows {
            let Some(&at) = places.get(&(row.user, row.item)) else {
                places.insert((row.user, row.item), merged.len());
                merged.push(*row);
                continue;
            };
            let first = &mut merged[at];
            match duplicates {
                Duplicates::Sum => first.weight += row.weight,
                Duplicates::Last if first.time <= row.time => first.weight = row.weight,
                Duplicates::Last => {}
                Duplicates::Refuse => {
                    return Err(Error::Duplicate {
                        user: self.users.get(row.user as usize).to_owned(),
                        item: self.items.get(row.item as usize).to_owned(),
                    });
                }
            }
            first.time = first.time.max(row.time);
        }
        let gone = self.rows.len() - merged.len();
        self.rows = merged;
        Ok(gone as u64)
    }
}
