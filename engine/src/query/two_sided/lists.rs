//! The best right nodes of each right node, kept: items that go with an item.
//!
//! A list holds what walks from its node alone give, a seed of the whole mass. By linearity the lists of the seeds, weighed by what
//! the first step gives to each, add up to the seeds' scores, but for what lists leave out.

use super::settings::ShortWalks;
use super::sides::Sides;
use super::walker::{Best, ShortWalker, best_of};
use crate::error::{Error, Result};

/// For every right place its best others. Memory: 12 bytes for each that is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Lists {
    keep: usize,
    boost: f64,
    transition_power: f64,
    ends: Vec<usize>,
    places: Vec<u32>,
    scores: Vec<f64>,
}

impl Lists {
    /// Lists of no place yet, to be filled place by place: at most `keep` others for each.
    ///
    /// # Errors
    /// When `keep` is 0.
    pub fn new(walks: &ShortWalks, keep: usize) -> Result<Lists> {
        if keep == 0 {
            return Err(Error::Parameter { name: "neighbors", expected: "at least 1", got: "0".to_owned() });
        }
        let (boost, transition_power) = (walks.boost, walks.transition_power);
        Ok(Lists { keep, boost, transition_power, ends: Vec::new(), places: Vec::new(), scores: Vec::new() })
    }

    /// How many others a list holds at most.
    #[must_use]
    pub fn keep(&self) -> usize {
        self.keep
    }

    /// How many are kept in all lists.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.places.len()
    }

    /// How many places have their list.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// True when no place has its list yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Adds the list of the next place. The place itself is in none.
    ///
    /// # Errors
    /// As [`ShortWalker::scores`].
    pub fn push(&mut self, walker: &mut ShortWalker<'_>, place: u32) -> Result<()> {
        for best in walker.best(&[(place, 1.0)], &[place], self.keep)? {
            self.places.push(best.place);
            self.scores.push(best.score);
        }
        self.ends.push(self.places.len());
        Ok(())
    }

    /// Adds the lists of the places that follow.
    pub fn append(&mut self, more: &Lists) {
        let before = self.places.len();
        self.ends.extend(more.ends.iter().map(|end| before + end));
        self.places.extend_from_slice(&more.places);
        self.scores.extend_from_slice(&more.scores);
    }

    /// The list of a place, best first.
    ///
    /// # Panics
    /// When it has none.
    pub fn list(&self, place: u32) -> impl Iterator<Item = Best> {
        let at = place as usize;
        let first = if at == 0 { 0 } else { self.ends[at - 1] };
        let range = first..self.ends[at];
        let (places, scores) = (&self.places[range.clone()], &self.scores[range]);
        places.iter().zip(scores).map(|(&place, &score)| Best { place, score })
    }

    /// The `top` best by the lists of the seeds; `room` is kept from call to call, one number a right place. Cost: the lists'
    /// entries, about 1 ns each.
    ///
    /// # Errors
    /// When a seed has no list, or a weight is not above zero and finite.
    pub fn best(
        &self,
        sides: &Sides,
        seeds: &[(u32, f64)],
        excluded: &[u32],
        top: usize,
        room: &mut Vec<f64>,
    ) -> Result<Vec<Best>> {
        let total: f64 = seeds.iter().map(|seed| seed.1).sum();
        room.resize(sides.right().len(), 0.0);
        let mut touched = Vec::new();
        for &(seed, weight) in seeds {
            if self.len() <= seed as usize || !(0.0 < weight && weight.is_finite() && total.is_finite()) {
                let what = format!("place {seed} of weight {weight} has no list; weights are above 0 and finite");
                return Err(Error::Seeds { what });
            }
            let first = (weight / total).powf(self.transition_power);
            for Best { place, score } in self.list(seed) {
                let score = first * score;
                let score = if self.boost == 1.0 { score } else { score.max(0.0).powf(self.boost.recip()) };
                let sum = &mut room[place as usize];
                if *sum == 0.0 {
                    touched.push(place);
                }
                *sum += score;
            }
        }
        touched.sort_unstable();
        touched.dedup(); // sums that came back to zero on their way
        let score = |sum: f64| if self.boost == 1.0 { sum } else { sum.powf(self.boost) };
        let candidates = touched.iter().map(|&place| Best { place, score: score(room[place as usize]) });
        let best = best_of(candidates.filter(|best| best.score != 0.0), excluded, top);
        touched.iter().for_each(|&place| room[place as usize] = 0.0);
        Ok(best)
    }
}
