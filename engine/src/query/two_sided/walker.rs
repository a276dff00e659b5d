//! The scores of all right nodes for some seeds: sparse as long as few nodes are touched, dense afterwards.
//!
//! ```text
//! x_j = (S_j / Σ S)^t                                for the seeds
//! for each length from 3 on, by twos:
//!     y_u = d_u^-left_power · Σ_j w_ju^t · d_j^-right_power · x_j
//!     x_i = d_i^-popularity_power · Σ_u w_ui^t · y_u
//!     score_i += (what the length counts) · x_i
//! ```

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::settings::ShortWalks;
use super::sides::{Side, Sides};
use crate::error::{Error, Result};
use crate::query::halt::Halt;

/// From this part of a side on, all rows of the other side are read, each adding up its own: no writes go astray. Twice as
/// fast there as scattering.
const DENSE: usize = 8;

/// A right place and its score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Best {
    /// The place.
    pub place: u32,
    /// Its score.
    pub score: f64,
}

/// Walks for one seed set after the other. Memory: 40 bytes a node, and 16 an edge where weights have a power.
pub struct ShortWalker<'s> {
    sides: &'s Sides,
    factors: Arc<Factors>,
    walks: ShortWalks,
    left: Touched,
    right: Touched,
    scores: Touched,
    boosted: Touched,
    halt: Halt,
}

/// What walks are multiplied by.
#[derive(Debug)]
struct Factors {
    /// By left place, when it is left.
    left: Vec<f64>,
    /// By right place, when it is left.
    right: Vec<f64>,
    /// By right place, when it is come to.
    popularity: Option<Vec<f64>>,
    /// Weights to a power, of both sides' edges; `None` where all are 1.
    to_right: Option<Vec<f64>>,
    to_left: Option<Vec<f64>>,
}

impl Factors {
    fn new(sides: &Sides, walks: &ShortWalks) -> Factors {
        let power = |totals: &[f64], power: f64| -> Vec<f64> {
            totals.iter().map(|&total| if 0.0 < total { total.powf(-power) } else { 0.0 }).collect()
        };
        let weights = |side: &Side| -> Option<Vec<f64>> {
            let weights = side.weights()?;
            let power = |&weight: &f64| {
                if walks.transition_power == 1.0 { weight } else { weight.powf(walks.transition_power) }
            };
            Some(weights.iter().map(power).collect())
        };
        Factors {
            left: power(&sides.to_right.totals, walks.left()),
            right: power(&sides.to_left.totals, walks.right()),
            popularity: (walks.popularity_power != 0.0).then(|| power(&sides.to_left.totals, walks.popularity_power)),
            to_right: weights(&sides.to_right),
            to_left: weights(&sides.to_left),
        }
    }
}

/// Numbers by place, and which of them are not zero.
#[derive(Debug, Default)]
struct Touched {
    values: Vec<f64>,
    places: Vec<u32>,
}

impl Touched {
    fn new(places: usize) -> Touched {
        Touched { values: vec![0.0; places], places: Vec::new() }
    }

    fn clear(&mut self) {
        if self.values.len() < DENSE * self.places.len() {
            self.values.fill(0.0);
        } else {
            self.places.iter().for_each(|&place| self.values[place as usize] = 0.0);
        }
        self.places.clear();
    }

    #[inline]
    fn add(&mut self, place: u32, value: f64) {
        let sum = &mut self.values[place as usize];
        if *sum == 0.0 && value != 0.0 {
            self.places.push(place);
        }
        *sum += value;
    }

    fn scale(&mut self, factors: &[f64]) {
        self.places.iter().for_each(|&place| self.values[place as usize] *= factors[place as usize]);
    }
}

impl<'s> ShortWalker<'s> {
    /// Makes room, and powers of degrees and weights.
    ///
    /// # Errors
    /// When a setting is outside its range.
    pub fn new(sides: &'s Sides, walks: &ShortWalks) -> Result<ShortWalker<'s>> {
        walks.check()?;
        Ok(ShortWalker::with(sides, Arc::new(Factors::new(sides, walks)), walks.clone()))
    }

    fn with(sides: &'s Sides, factors: Arc<Factors>, walks: ShortWalks) -> ShortWalker<'s> {
        let (left, right) = (sides.left().len(), sides.right().len());
        let [on_right, scores, boosted] = [(); 3].map(|()| Touched::new(right));
        let halt = Halt::default();
        ShortWalker { sides, factors, walks, left: Touched::new(left), right: on_right, scores, boosted, halt }
    }

    /// Another walker with the same settings, for another thread: powers are shared.
    #[must_use]
    pub fn another(&self) -> ShortWalker<'s> {
        ShortWalker::with(self.sides, Arc::clone(&self.factors), self.walks.clone())
    }

    /// Takes a flag to look at, or none again: see [`Answerer::heed`](crate::query::Answerer::heed).
    pub fn heed(&mut self, flag: Option<Arc<AtomicBool>>) {
        self.halt = Halt::new(flag);
    }

    /// The sides that it walks between.
    #[must_use]
    pub fn sides(&self) -> &'s Sides {
        self.sides
    }

    /// The scores of all right places for seeds on the right, with weights above zero; 0 where no walk leads. They stay until
    /// the next call. Cost: the edges of the seeds and of what walks come to, about 1 ns each.
    ///
    /// # Errors
    /// When a seed is no place or its weight not above zero and finite; [`Error::Interrupted`].
    pub fn scores(&mut self, seeds: &[(u32, f64)]) -> Result<&[f64]> {
        self.walk(seeds)?;
        Ok(&self.scores.values)
    }

    /// The scores by walks of each length alone, whatever it counts, summed over all right places: for choosing what lengths
    /// are to count.
    ///
    /// # Errors
    /// As [`ShortWalker::scores`].
    pub fn masses(&mut self, seeds: &[(u32, f64)]) -> Result<Vec<f64>> {
        let lengths = std::mem::take(&mut self.walks.lengths);
        let masses = lengths.iter().map(|&(length, _)| {
            self.walks.lengths = vec![(length, 1.0)];
            Ok(self.scores(seeds)?.iter().sum())
        });
        let masses = masses.collect();
        self.walks.lengths = lengths;
        masses
    }

    /// The `top` best right places that walks lead to and that `excluded` (ascending) does not name, best first, equal ones by
    /// place.
    ///
    /// # Errors
    /// As [`ShortWalker::scores`].
    pub fn best(&mut self, seeds: &[(u32, f64)], excluded: &[u32], top: usize) -> Result<Vec<Best>> {
        self.walk(seeds)?;
        let Touched { values, places } = &self.scores;
        let reached = places.iter().map(|&place| Best { place, score: values[place as usize] });
        Ok(best_of(reached.filter(|best| best.score != 0.0), excluded, top))
    }

    fn walk(&mut self, seeds: &[(u32, f64)]) -> Result<()> {
        self.scores.clear();
        let total: f64 = seeds.iter().map(|seed| seed.1).sum();
        for &(place, weight) in seeds {
            if self.sides.right().len() <= place as usize || !(0.0 < weight && weight.is_finite() && total.is_finite())
            {
                let what = format!("place {place} of weight {weight} is none; weights are above 0 and finite");
                return Err(Error::Seeds { what });
            }
        }
        let power = self.walks.transition_power;
        let first = |&(place, weight): &(u32, f64)| (place, (weight / total).powf(power));
        if self.walks.boost == 1.0 {
            return self.walk_from(&seeds.iter().map(first).collect::<Vec<_>>());
        }
        self.boosted.clear();
        for seed in seeds {
            self.scores.clear();
            self.walk_from(&[first(seed)])?;
            for &place in &self.scores.places {
                let score = self.scores.values[place as usize].max(0.0);
                self.boosted.add(place, score.powf(self.walks.boost.recip()));
            }
        }
        for &place in &self.boosted.places {
            let value = &mut self.boosted.values[place as usize];
            *value = value.powf(self.walks.boost);
        }
        std::mem::swap(&mut self.scores, &mut self.boosted);
        Ok(())
    }

    fn walk_from(&mut self, seeds: &[(u32, f64)]) -> Result<()> {
        let Sides { to_right, to_left, .. } = self.sides;
        self.right.clear();
        seeds.iter().for_each(|&(place, mass)| self.right.add(place, mass));
        let longest = self.walks.lengths.last().map_or(0, |length| length.0);
        for length in (3..=longest).step_by(2) {
            self.right.scale(&self.factors.right);
            step(
                to_left,
                self.factors.to_left.as_deref(),
                to_right,
                self.factors.to_right.as_deref(),
                &self.right,
                &mut self.left,
                &self.halt,
            )?;
            self.left.scale(&self.factors.left);
            step(
                to_right,
                self.factors.to_right.as_deref(),
                to_left,
                self.factors.to_left.as_deref(),
                &self.left,
                &mut self.right,
                &self.halt,
            )?;
            if let Some(popularity) = &self.factors.popularity {
                self.right.scale(popularity);
            }
            if let Some(&(_, share)) = self.walks.lengths.iter().find(|counted| counted.0 == length) {
                for &place in &self.right.places {
                    self.scores.add(place, share * self.right.values[place as usize]);
                }
            }
        }
        Ok(())
    }
}

/// One step: what is on one side goes along the rows of `out` to the other side, whose own rows are `back`.
fn step(
    out: &Side,
    out_weights: Option<&[f64]>,
    back: &Side,
    back_weights: Option<&[f64]>,
    from: &Touched,
    to: &mut Touched,
    halt: &Halt,
) -> Result<()> {
    to.clear();
    let mut pace = halt.pace();
    if from.values.len() <= DENSE * from.places.len() {
        let places = u32::try_from(back.len()).expect("places are numbered by 32 bits");
        for place in 0..places {
            let (row, range) = (back.row(place), back.range(place));
            pace.after(row.len() as u64)?;
            let sum: f64 = match back_weights {
                None => row.iter().map(|&other| from.values[other as usize]).sum(),
                Some(weights) => {
                    row.iter().zip(&weights[range]).map(|(&other, weight)| weight * from.values[other as usize]).sum()
                }
            };
            to.add(place, sum);
        }
        return Ok(());
    }
    for &place in &from.places {
        let (row, mass) = (out.row(place), from.values[place as usize]);
        pace.after(row.len() as u64)?;
        match out_weights {
            None => row.iter().for_each(|&other| to.add(other, mass)),
            Some(weights) => {
                row.iter().zip(&weights[out.range(place)]).for_each(|(&other, weight)| to.add(other, mass * weight));
            }
        }
    }
    Ok(())
}

/// The `top` best, best first, equal ones by place, without those that `excluded` (ascending) names.
pub(super) fn best_of(candidates: impl Iterator<Item = Best>, excluded: &[u32], top: usize) -> Vec<Best> {
    let before = |a: &Best, b: &Best| b.score.total_cmp(&a.score).then(a.place.cmp(&b.place));
    let room = top.saturating_mul(2).max(64);
    let mut kept: Vec<Best> = Vec::new();
    let mut bar = f64::NEG_INFINITY;
    if top == 0 {
        return kept;
    }
    for best in candidates {
        if best.score < bar || excluded.binary_search(&best.place).is_ok() {
            continue;
        }
        kept.push(best);
        if room <= kept.len() {
            kept.select_nth_unstable_by(top - 1, before);
            kept.truncate(top);
            bar = kept[top - 1].score;
        }
    }
    kept.sort_unstable_by(before);
    kept.truncate(top);
    kept
}
