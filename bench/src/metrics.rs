//! How good an answer is: its distance from the truth, and how good the best nodes it names are.
//!
//! Ranked measures look at the first K results, K being at most the number of nodes whose true score is above zero.
//! **Ties count as right**: a result is as good as its true score, so that nodes which the graph cannot tell apart may
//! stand in any order.

use walkprint_engine::ids::NodeId;

use crate::figure::{Figure, Quantity, Target, mean_and_error};

/// The names of ranked measures in reports.
pub(crate) const PRECISION: Quantity = ("precision@K", "");
pub(crate) const NDCG: Quantity = ("NDCG@K", "");
pub(crate) const GOODNESS: Quantity = ("RAG@K", "");
/// True scores that differ by less, relatively, differ by rounding only.
const ROUNDING: f64 = 1e-9;

/// The L1 distance of two vectors over all nodes.
pub(crate) fn distance(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(left, right)| (left - right).abs()).sum()
}

/// The nodes with the `top` largest scores above zero, best first; among equals the smaller number.
pub(crate) fn best(scores: &[f64], top: usize) -> Vec<NodeId> {
    let mut nodes: Vec<usize> = (0..scores.len()).filter(|&node| 0.0 < scores[node]).collect();
    let falling = |a: &usize, b: &usize| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b));
    if top < nodes.len() && 0 < top {
        nodes.select_nth_unstable_by(top - 1, falling);
    }
    nodes.truncate(top);
    nodes.sort_unstable_by(falling);
    nodes.into_iter().map(|node| NodeId::try_from(node).expect("the graph's builder bounds the nodes")).collect()
}

/// The truth about one question, ready to judge answers.
pub(crate) struct Judge {
    scores: Vec<f64>,
    /// The largest true scores, falling; all are above zero.
    ideal: Vec<f64>,
}

/// What the first K results of one answer are worth, each at most 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Quality {
    /// The share of results whose true score is that of the Kth of the truth or more.
    pub(crate) precision: f64,
    /// Discounted gain over the largest possible (Järvelin & Kekäläinen 2002), the gain of a node being its true score.
    pub(crate) ndcg: f64,
    /// Relative aggregated goodness: the sum of the results' true scores over the largest possible.
    pub(crate) goodness: f64,
}

/// The mean precision of several answers.
pub(crate) fn mean_precision(qualities: &[Quality]) -> f64 {
    mean_and_error(&qualities.iter().map(|quality| quality.precision).collect::<Vec<f64>>()).0
}

/// The means of all ranked measures over several answers, perhaps with the least precision that should be reached.
pub(crate) fn figures(case: &str, qualities: &[Quality], least_precision: Option<f64>) -> Vec<Figure> {
    let figure = |(name, unit): Quantity, part: fn(&Quality) -> f64| {
        let (mean, error) = mean_and_error(&qualities.iter().map(part).collect::<Vec<f64>>());
        Figure::single(case, name, unit, mean).with_std_error(error)
    };
    let precision = figure(PRECISION, |quality| quality.precision);
    let precision = match least_precision {
        Some(least) => precision.with_target(Target::AtLeast(least)),
        None => precision,
    };
    vec![precision, figure(NDCG, |quality| quality.ndcg), figure(GOODNESS, |quality| quality.goodness)]
}

impl Judge {
    /// The truth and how many results are looked at.
    pub(crate) fn new(scores: Vec<f64>, top: usize) -> Judge {
        let ideal = best(&scores, top).into_iter().map(|node| scores[node as usize]).collect();
        Judge { scores, ideal }
    }

    /// The true scores of all nodes.
    pub(crate) fn scores(&self) -> &[f64] {
        &self.scores
    }

    /// Judges results, best first. Missing ones are worth nothing; those behind the Kth are not looked at.
    pub(crate) fn quality(&self, results: &[NodeId]) -> Quality {
        let Some(&least) = self.ideal.last() else { return Quality { precision: 1.0, ndcg: 1.0, goodness: 1.0 } };
        let gains: Vec<f64> = results.iter().take(self.ideal.len()).map(|&node| self.scores[node as usize]).collect();
        let hits = gains.iter().filter(|&&gain| least * (1.0 - ROUNDING) <= gain).count();
        Quality {
            precision: hits as f64 / self.ideal.len() as f64,
            ndcg: discounted(&gains) / discounted(&self.ideal),
            goodness: gains.iter().sum::<f64>() / self.ideal.iter().sum::<f64>(),
        }
    }
}

fn discounted(gains: &[f64]) -> f64 {
    gains.iter().enumerate().map(|(place, gain)| gain / (place as f64 + 2.0).log2()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRUTH: [f64; 6] = [0.4, 0.2, 0.1, 0.1, 0.1, 0.0];

    fn judge(top: usize) -> Judge {
        Judge::new(TRUTH.to_vec(), top)
    }

    #[test]
    fn distances_add_up_over_all_nodes() {
        assert!((distance(&[0.5, 0.5, 0.0], &[0.5, 0.25, 0.25]) - 0.5).abs() < 1e-15);
    }

    #[test]
    fn the_best_come_first_and_zeros_never() {
        assert_eq!(best(&TRUTH, 3), [0, 1, 2]);
        assert_eq!(best(&TRUTH, 100), [0, 1, 2, 3, 4]);
        assert_eq!(best(&[0.1, 0.3, 0.2], 2), [1, 2]);
        assert!(best(&[0.1, 0.3, 0.2], 0).is_empty());
    }

    #[test]
    fn any_of_the_tied_nodes_is_right_in_any_order() {
        let perfect = Quality { precision: 1.0, ndcg: 1.0, goodness: 1.0 };
        for results in [[0, 1, 2], [0, 1, 3], [0, 1, 4]] {
            assert_eq!(judge(3).quality(&results), perfect);
        }
        assert_eq!(judge(5).quality(&[0, 1, 4, 2, 3]), perfect);
        // A true score that lacks the last digits is still the same score.
        let nearly = Judge::new(vec![0.5, 0.25, 0.25 * (1.0 - 1e-12)], 2);
        assert_eq!(nearly.quality(&[0, 2]).precision, 1.0);
    }

    #[test]
    fn the_top_is_cut_to_what_has_a_score() {
        assert_eq!(judge(100).quality(&[0, 1, 2, 3, 4]).precision, 1.0);
        assert_eq!(judge(100).quality(&[0, 1, 2, 3, 5]).precision, 0.8, "a node without score is no result");
        assert_eq!(judge(100).quality(&[5, 0, 1, 2, 3, 4]).precision, 0.8, "only the first five count");
    }

    #[test]
    fn order_counts_for_ndcg_only() {
        let swapped = judge(2).quality(&[1, 0]);
        assert_eq!((swapped.precision, swapped.goodness), (1.0, 1.0));
        let discount = 1.0 / 3f64.log2();
        assert!((swapped.ndcg - (0.2 + 0.4 * discount) / (0.4 + 0.2 * discount)).abs() < 1e-15);
    }

    #[test]
    fn missing_and_wrong_results_cost_what_they_would_have_been_worth() {
        let short = judge(3).quality(&[0]);
        assert!((short.precision - 1.0 / 3.0).abs() < 1e-15 && (short.goodness - 0.4 / 0.7).abs() < 1e-15);
        let wrong = judge(2).quality(&[0, 5]);
        assert!((wrong.precision - 0.5).abs() < 1e-15 && (wrong.goodness - 0.4 / 0.6).abs() < 1e-15);
        assert_eq!(judge(2).quality(&[]), Quality { precision: 0.0, ndcg: 0.0, goodness: 0.0 });
    }
}
