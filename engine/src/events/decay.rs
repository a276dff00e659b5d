//! Weights that decay as time passes: forward decay.
//!
//! An event of weight `w` at time `t` adds `w · 2^((t - from) / half_life)`. Nothing is ever taken from what is there: events that come
//! later weigh more instead. At any time `T` all weights together are those that halve with every `half_life` of their age, times
//! `2^((T - from) / half_life)`; transition probabilities, which are quotients, are the same, whatever `T` is. **So no row has to be computed
//! again as time passes, and times may come in any order.** (Test: `tests/tests/decay.rs`.)
//!
//! Weights of the graph that was loaded count as of the time `from`. A weight that is taken away, or set, counts as of the time of its event,
//! as one that is added.
//!
//! Source: Cormode, Shkapenyuk, Srivastava & Xu, "Forward Decay: A Practical Time Decay Model for Streaming Systems", ICDE 2009, section
//! III (the exponential function is the only one for which forward and backward decay are the same).

use serde::{Deserialize, Serialize};

use super::BadEvent;

/// The most half-lives from [`Decay::from`] to an event, in either direction: weights stay far within what an `f64` holds.
pub const MOST_HALF_LIVES: f64 = 900.0;

/// How weights decay.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Decay {
    /// After this time a weight is worth half as much as a new one, in the unit of the events' times.
    pub half_life: f64,
    /// The time as of which the weights of the loaded graph count.
    pub from: f64,
}

// Its numbers are finite: manifests are JSON, which has no others, and `new` refuses them.
impl Eq for Decay {}

impl Decay {
    /// Decay with a half-life.
    ///
    /// # Errors
    /// When the half-life is not above zero, or a number is not finite.
    pub fn new(half_life: f64, from: f64) -> Result<Decay, BadEvent> {
        if !(0.0 < half_life && half_life.is_finite()) {
            return Err(BadEvent::new("a half-life above 0", half_life.to_string()));
        }
        if !from.is_finite() {
            return Err(BadEvent::new("a finite time from which weights decay", from.to_string()));
        }
        Ok(Decay { half_life, from })
    }

    /// What a weight of 1 at a time counts.
    ///
    /// # Errors
    /// When there is no time, or it is too far away.
    pub fn factor(&self, time: Option<f64>) -> Result<f64, BadEvent> {
        let Decay { half_life, from } = *self;
        let time = time.ok_or_else(|| {
            BadEvent::new(format!("a time, because weights decay with a half-life of {half_life} here"), "none")
        })?;
        let half_lives = (time - from) / half_life;
        if (-MOST_HALF_LIVES..=MOST_HALF_LIVES).contains(&half_lives) {
            return Ok(power_of_two(half_lives));
        }
        let expected = format!(
            "a time at most {MOST_HALF_LIVES} half-lives of {half_life} from {from} (for others load the graph anew, with \
             weights as of a later time)"
        );
        Err(BadEvent::new(expected, time.to_string()))
    }
}

/// `2^x` for `x` of at most a thousand: additions and multiplications alone, so that it is the same to the last bit on every machine.
///
/// With `x = n + r`, `|r| ≤ 1/2`, it is `2^n · exp(r ln 2)`; of the exponential's series the term behind the last is below
/// `(ln 2 / 2)^18 / 18! < 1e-24`.
fn power_of_two(x: f64) -> f64 {
    let whole = x.round();
    let rest = (x - whole) * std::f64::consts::LN_2;
    let series = (1..18).rev().fold(1.0, |sum, n| 1.0 + sum * rest / f64::from(n));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 23 to 2023")]
    let exponent = (whole + 1023.0) as u64;
    series * f64::from_bits(exponent << 52)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_are_those_of_the_library_to_the_last_digits() {
        for step in -9000..=9000 {
            let x = f64::from(step) / 10.0 + 0.0137;
            let (got, expected) = (power_of_two(x), x.exp2());
            assert!((got / expected - 1.0).abs() < 1e-15, "{x}: {got} {expected}");
        }
        assert_eq!((power_of_two(0.0), power_of_two(3.0), power_of_two(-900.0)), (1.0, 8.0, 2f64.powi(-900)));
    }

    #[test]
    fn what_is_older_by_a_half_life_is_worth_half() {
        let decay = Decay::new(30.0, 1000.0).unwrap();
        assert_eq!(decay.factor(Some(1000.0)), Ok(1.0));
        assert_eq!(decay.factor(Some(970.0)), Ok(0.5));
        assert_eq!(decay.factor(Some(1060.0)), Ok(4.0));
        let between = decay.factor(Some(1015.0)).unwrap();
        assert!((between - std::f64::consts::SQRT_2).abs() < 1e-15);
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        let decay = Decay::new(2.0, 0.0).unwrap();
        assert!(decay.factor(None).unwrap_err().to_string().contains("expected a time"));
        assert!(decay.factor(Some(1800.0)).is_ok() && decay.factor(Some(-1800.0)).is_ok());
        for time in [1801.0, -1801.0, f64::INFINITY, f64::NAN] {
            assert!(decay.factor(Some(time)).unwrap_err().to_string().contains("900 half-lives"), "{time}");
        }
        for half_life in [0.0, -1.0, f64::INFINITY, f64::NAN] {
            assert!(Decay::new(half_life, 0.0).is_err());
        }
        assert!(Decay::new(1.0, f64::NAN).is_err());
    }
}
