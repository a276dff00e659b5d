//! The best of many scores.
//!
//! **Ties rank by smaller external id.** (Test: `query::tests::ties`.) Scores are sums of rounded numbers, and exact ones
//! lack a residual besides, so that two nodes which the graph cannot tell apart may differ in the last digits. Scores that
//! differ by less than the computation can tell count as tied; they are shown as equal.

use std::cmp::Ordering;

use crate::error::Result;
use crate::ids::NodeId;

/// A node on its way into the results.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Candidate {
    pub(super) score: f64,
    pub(super) node: NodeId,
}

/// A candidate, and how far its score may be off.
#[derive(Debug, Clone, Copy)]
pub(super) struct Judged {
    pub(super) candidate: Candidate,
    pub(super) std_error: f64,
    /// What a residual may have kept from it.
    pub(super) lacking: f64,
    /// What a popularity that is off may have done.
    pub(super) by_popularity: f64,
}

impl Judged {
    /// True when two standard errors do not bring the next candidate above this one, and what is missing does not either.
    pub(super) fn stays_above(&self, next: &Judged, ties_are_sure: bool) -> bool {
        1.0 < self.lead(next, ties_are_sure)
    }

    /// By how many times what the two may be off this candidate leads a later one: above 1 it stays above.
    ///
    /// The residual bounds the errors of all scores together, so that of two the larger bound is enough; so does the
    /// residual of popularities.
    pub(super) fn lead(&self, next: &Judged, ties_are_sure: bool) -> f64 {
        let (score, next_score) = (self.candidate.score, next.candidate.score);
        if ties_are_sure && score == next_score {
            return f64::INFINITY;
        }
        let by_chance = 2.0 * self.std_error.hypot(next.std_error);
        let margin = by_chance + self.lacking.max(next.lacking) + self.by_popularity.max(next.by_popularity);
        if margin < score - next_score {
            (score - next_score) / margin
        } else {
            ((score - next_score) / margin).min(1.0)
        }
    }
}

/// The best `top` of the candidates with a score above zero, best first; `tie` is the relative difference below which
/// two scores are tied with the best of them; `rank` says where a node's id stands among all ids.
///
/// Cost: linear in the candidates, plus a sort of the results. Memory: three times `top`, plus ties.
///
/// # Errors
/// When a candidate has no label.
pub(super) fn best(
    rank: impl Fn(NodeId) -> Result<u32>,
    candidates: impl Iterator<Item = Candidate>,
    top: usize,
    tie: f64,
) -> Result<Vec<Candidate>> {
    let falling = |a: &Candidate, b: &Candidate| b.score.total_cmp(&a.score).then(a.node.cmp(&b.node));
    // Keeps what may be among the best; gives the least score of those.
    let keep_best = |kept: &mut Vec<Candidate>| {
        let (_, last, _) = kept.select_nth_unstable_by(top - 1, falling);
        let bar = last.score * (1.0 - tie);
        kept.retain(|candidate| bar <= candidate.score);
        bar
    };
    let mut kept: Vec<Candidate> = Vec::new();
    let mut bar = 0.0;
    let mut room = top.saturating_mul(2).max(1024);
    candidates.for_each(|candidate| {
        if 0.0 < candidate.score && bar <= candidate.score {
            kept.push(candidate);
        }
        if room <= kept.len() {
            bar = keep_best(&mut kept);
            room = room.max(2 * kept.len());
        }
    });
    // What cannot be among the best needs neither order nor rank.
    if top < kept.len() {
        keep_best(&mut kept);
    }
    kept.sort_unstable_by(falling);
    let mut ranked = Vec::with_capacity(kept.len());
    for candidate in kept {
        ranked.push((candidate, rank(candidate.node)?));
    }
    // A group of ties is all that lies within `tie` of its first, which is its best.
    let mut start = 0;
    while start < ranked.len() && start < top {
        let first = ranked[start].0.score;
        let length = ranked[start..].partition_point(|(candidate, _)| first * (1.0 - tie) <= candidate.score);
        let group = &mut ranked[start..start + length];
        group.iter_mut().for_each(|(candidate, _)| candidate.score = first);
        group.sort_unstable_by(|(_, a), (_, b)| -> Ordering { a.cmp(b) });
        start += length;
    }
    ranked.truncate(top);
    Ok(ranked.into_iter().map(|(candidate, _)| candidate).collect())
}
