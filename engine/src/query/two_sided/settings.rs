//! Which short walks count, and how.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The longest walk: beyond it nobody can tell the seeds apart.
const LONGEST: u32 = 99;
/// Powers further from zero would leave the range of a double.
const LARGEST_POWER: f64 = 10.0;

/// Settings of short walks: see the [module](super). The default is P3: walks of three steps, every step as likely as its weight.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShortWalks {
    /// Lengths of walks in steps from the left, odd, ascending, each with what it counts. It may be negative.
    pub lengths: Vec<(u32, f64)>,
    /// The power of the probability of a step.
    pub transition_power: f64,
    /// The power of the degree of a left node that walks leave; as `transition_power` unless said.
    pub left_power: Option<f64>,
    /// The power of the degree of a right node that walks leave; as `transition_power` unless said.
    pub right_power: Option<f64>,
    /// The power of the degree of a right node that walks come to.
    pub popularity_power: f64,
    /// Above 1, nodes gain that several seeds lead to: `(Σ score^(1/boost))^boost`; below 1, those that one seed leads to
    /// strongly. 1 adds up.
    pub boost: f64,
}

impl Default for ShortWalks {
    fn default() -> Self {
        ShortWalks {
            lengths: vec![(3, 1.0)],
            transition_power: 1.0,
            left_power: None,
            right_power: None,
            popularity_power: 0.0,
            boost: 1.0,
        }
    }
}

impl ShortWalks {
    /// Checks every setting against its range.
    ///
    /// # Errors
    /// When a setting is outside its range.
    pub fn check(&self) -> Result<()> {
        let refuse = |name, expected, got: String| Err(Error::Parameter { name, expected, got });
        let lengths: Vec<u32> = self.lengths.iter().map(|length| length.0).collect();
        let good = |&length: &u32| length % 2 == 1 && (3..=LONGEST).contains(&length);
        if lengths.is_empty() || !lengths.iter().all(good) || !lengths.is_sorted_by(|a, b| a < b) {
            return refuse("steps", "odd lengths from 3 to 99, ascending", format!("{lengths:?}"));
        }
        if self.lengths.iter().any(|length| !length.1.is_finite() || length.1 == 0.0) || self.lengths[0].1 <= 0.0 {
            let got = format!("{:?}", self.lengths);
            return refuse("steps", "of a finite share each, not 0, the first above 0", got);
        }
        let powers = [
            ("transition_power", Some(self.transition_power)),
            ("left_power", self.left_power),
            ("right_power", self.right_power),
            ("popularity_power", Some(self.popularity_power)),
        ];
        for (name, power) in powers {
            let Some(power) = power else { continue };
            if !(-LARGEST_POWER..=LARGEST_POWER).contains(&power) {
                return refuse(name, "from -10 to 10", power.to_string());
            }
        }
        if !(LARGEST_POWER.recip()..=LARGEST_POWER).contains(&self.boost) {
            return refuse("boost", "from 0.1 to 10", self.boost.to_string());
        }
        Ok(())
    }

    /// The power of the degree of a left node that walks leave.
    #[must_use]
    pub fn left(&self) -> f64 {
        self.left_power.unwrap_or(self.transition_power)
    }

    /// The power of the degree of a right node that walks leave.
    #[must_use]
    pub fn right(&self) -> f64 {
        self.right_power.unwrap_or(self.transition_power)
    }
}
