//! The weights beside the sources of an [`Inflow`](crate::graph::Inflow), whatever precision they are kept in.

use super::vector::Instructions;

/// Weights of sources, one by one or eight at a time.
pub(super) trait Weights: Copy {
    /// The part that belongs to sources `start..end`.
    fn part(self, start: usize, end: usize) -> Self;
    /// Multiplies the values of the sources from `8 number` on.
    fn weigh<I: Instructions>(self, number: usize, values: I::Eight, instructions: I) -> I::Eight;
    /// The weight of one source.
    fn at(self, position: usize) -> f64;
}

/// All 1.
#[derive(Clone, Copy)]
pub(super) struct Equal;

impl Weights for Equal {
    #[inline(always)]
    fn part(self, _: usize, _: usize) -> Equal {
        Equal
    }

    #[inline(always)]
    fn weigh<I: Instructions>(self, _: usize, values: I::Eight, _: I) -> I::Eight {
        values
    }

    #[inline(always)]
    fn at(self, _: usize) -> f64 {
        1.0
    }
}

impl Weights for &[f32] {
    #[inline(always)]
    fn part(self, start: usize, end: usize) -> Self {
        &self[start..end]
    }

    #[inline(always)]
    fn weigh<I: Instructions>(self, number: usize, values: I::Eight, instructions: I) -> I::Eight {
        instructions.multiply(values, instructions.widen(&self.as_chunks().0[number]))
    }

    #[inline(always)]
    fn at(self, position: usize) -> f64 {
        self[position].into()
    }
}

impl Weights for &[f64] {
    #[inline(always)]
    fn part(self, start: usize, end: usize) -> Self {
        &self[start..end]
    }

    #[inline(always)]
    fn weigh<I: Instructions>(self, number: usize, values: I::Eight, instructions: I) -> I::Eight {
        instructions.multiply(values, instructions.load(&self.as_chunks().0[number]))
    }

    #[inline(always)]
    fn at(self, position: usize) -> f64 {
        self[position]
    }
}
