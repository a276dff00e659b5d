//! Measured quantities: all trials, their median, and how far they can be trusted.

use std::fmt::Display;

use serde::Serialize;

/// Trials whose largest is above this many times the smallest are not to be trusted to the last digit.
pub(crate) const NOISY_SPREAD: f64 = 1.3;

/// What is measured, and in which unit.
pub(crate) type Quantity = (&'static str, &'static str);

/// One measured quantity.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Figure {
    case: String,
    name: &'static str,
    unit: &'static str,
    value: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    std_error: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    trials: Vec<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<Target>,
    noisy: bool,
    /// Nobody waited for it: the value is what it was predicted to be.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    predicted: bool,
}

/// What a figure should be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Target {
    /// This or more.
    AtLeast(f64),
    /// This or less.
    AtMost(f64),
}

impl Figure {
    /// A quantity that was measured several times: its value is the median.
    ///
    /// # Panics
    /// When there is no trial.
    pub(crate) fn trials(case: impl Display, name: &'static str, unit: &'static str, trials: Vec<f64>) -> Figure {
        let (low, high) = range(&trials);
        let noisy = NOISY_SPREAD * low < high;
        Figure { trials, noisy, ..Figure::single(case, name, unit, 0.0) }.with_median()
    }

    /// A quantity that was measured once, or over everything.
    pub(crate) fn single(case: impl Display, name: &'static str, unit: &'static str, value: f64) -> Figure {
        let case = case.to_string();
        Figure {
            case,
            name,
            unit,
            value,
            std_error: None,
            trials: Vec::new(),
            target: None,
            noisy: false,
            predicted: false,
        }
    }

    /// A quantity that was not measured, because the prediction says enough.
    pub(crate) fn predicted(case: impl Display, name: &'static str, unit: &'static str, value: f64) -> Figure {
        Figure { predicted: true, ..Figure::single(case, name, unit, value) }
    }

    /// The same figure with its standard error.
    pub(crate) fn with_std_error(self, std_error: f64) -> Figure {
        Figure { std_error: Some(std_error), ..self }
    }

    /// The same figure with what it should be.
    pub(crate) fn with_target(self, target: Target) -> Figure {
        Figure { target: Some(target), ..self }
    }

    /// What was measured.
    pub(crate) fn case(&self) -> &str {
        &self.case
    }

    /// Which quantity, and in which unit.
    pub(crate) fn quantity(&self) -> Quantity {
        (self.name, self.unit)
    }

    /// The value; with several trials, their median.
    pub(crate) fn value(&self) -> f64 {
        self.value
    }

    /// The value as people read it: with several trials, their median.
    pub(crate) fn shown(&self) -> String {
        let value = number(self.value);
        if self.predicted { format!("not run (predicted {value})") } else { value }
    }

    /// Whether trials differ so much that the median is not to be trusted.
    pub(crate) fn is_noisy(&self) -> bool {
        self.noisy
    }

    fn with_median(self) -> Figure {
        Figure { value: median(&self.trials), ..self }
    }

    /// What the figure should be, and whether it is.
    pub(crate) fn judged(&self) -> Option<(String, bool)> {
        let (sign, bound, met) = match self.target? {
            Target::AtLeast(bound) => ("≥", bound, bound <= self.value),
            Target::AtMost(bound) => ("≤", bound, self.value <= bound),
        };
        Some((format!("{sign} {}", number(bound)), met))
    }

    fn target_text(&self) -> String {
        self.judged().map(|(what, met)| format!("{what} {}", if met { "met" } else { "MISSED" })).unwrap_or_default()
    }

    /// How far the value can be trusted: the range of its trials, or its standard error; empty when neither is known.
    pub(crate) fn spread(&self) -> String {
        if let Some(error) = self.std_error {
            return format!("± {}", number(error));
        }
        let (low, high) = range(&self.trials);
        if self.trials.len() < 2 { String::new() } else { format!("{} .. {}", number(low), number(high)) }
    }

    /// A row of the table: case, name, unit, value, range or error, warning, target.
    pub(crate) fn row(&self) -> [String; 7] {
        [
            self.case.clone(),
            self.name.to_owned(),
            self.unit.to_owned(),
            self.shown(),
            self.spread(),
            if self.noisy { "noisy".to_owned() } else { String::new() },
            self.target_text(),
        ]
    }
}

/// The middle of a list; of the two middle ones their mean.
///
/// # Panics
/// When the list is empty.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 }
}

/// The value below which this share of a list lies.
///
/// # Panics
/// When the list is empty.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in the list")]
pub(crate) fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
}

/// The mean of a list and the standard error of that mean.
pub(crate) fn mean_and_error(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, (squares / (count - 1.0).max(1.0) / count).sqrt())
}

/// Trial by trial, so that what slows the machine for a while slows both sides.
pub(crate) fn ratios(numerators: &[f64], denominators: &[f64]) -> Vec<f64> {
    numerators.iter().zip(denominators).map(|(numerator, denominator)| numerator / denominator).collect()
}

fn range(values: &[f64]) -> (f64, f64) {
    values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &value| (low.min(value), high.max(value)))
}

/// Four significant digits, whole numbers in full.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if !(1e-3..1e15).contains(&size) => format!("{value:.2e}"),
        size if 1e3 <= size || value.fract() == 0.0 => format!("{value:.0}"),
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and 6")]
        size => format!("{value:.0$}", (3.0 - size.log10().floor()) as usize),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_the_middle_whatever_the_order() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), 2.5);
        assert_eq!(median(&[7.0]), 7.0);
        assert_eq!(quantile(&[5.0, 1.0, 4.0, 2.0, 3.0], 1.0), 5.0);
    }

    #[test]
    fn ratios_are_taken_pair_by_pair() {
        assert_eq!(ratios(&[10.0, 40.0, 3.0], &[5.0, 10.0, 3.0]), [2.0, 4.0, 1.0]);
        // The ratio of the medians would be 2: a slow moment that hit one round whole must not count.
        assert_eq!(median(&ratios(&[1.0, 10.0, 10.0], &[0.25, 5.0, 2.5])), 4.0);
    }

    #[test]
    fn numbers_have_four_digits() {
        let shown = [0.0, 5.0, 12345.6, 123.456, 1.23456, 0.01234567, 0.000123456].map(number);
        assert_eq!(shown, ["0", "5", "12346", "123.5", "1.235", "0.01235", "1.23e-4"]);
    }

    #[test]
    fn the_error_of_a_mean_shrinks_with_the_root_of_the_count() {
        let (mean, error) = mean_and_error(&[1.0, 3.0]);
        assert_eq!((mean, error), (2.0, 1.0));
        let four_times: Vec<f64> = [1.0, 3.0].repeat(50);
        assert!((mean_and_error(&four_times).1 - (1.0f64 / 99.0).sqrt()).abs() < 1e-12);
    }

    #[test]
    fn what_nobody_waited_for_says_so() {
        let (name, unit) = ("time", "s");
        assert_eq!(Figure::predicted("", name, unit, 512.0).row()[3], "not run (predicted 512)");
        assert_eq!(Figure::single("", name, unit, 512.0).row()[3], "512");
    }

    #[test]
    fn wide_trials_are_called_noisy_and_targets_are_judged() {
        assert!(!Figure::trials("", "speed", "", vec![1.0, 1.2]).noisy);
        let noisy = Figure::trials("", "speed", "", vec![1.0, 1.4]).with_target(Target::AtLeast(1.5));
        assert!(noisy.noisy && noisy.target_text().contains("MISSED"));
        assert!(Figure::single("", "size", "", 2.0).with_target(Target::AtMost(3.0)).target_text().ends_with(" met"));
    }
}
