//! The widest vector instructions that the machine has, chosen while the program runs.
//!
//! A [`Work`] is ordinary Rust over arrays of eight or sixteen numbers; compiled a second and third time for AVX-512 and AVX2
//! it becomes a few instructions a row. No instruction that rounds once for two operations is used, so that every
//! set gives the same bits. (Test: `query::vector::tests`.) What the compiler makes badly of arrays of eight f64 is spelt out
//! in [`Instructions`]: reading eight numbers from eight places, and what is done with them.
//!
//! **No read leaves its slice**: places are masked to the slice's length.
//!
//! The `unsafe` code is the call of functions that were compiled for an instruction set, right after asking the processor
//! whether it has it, and these instructions.

#![allow(unsafe_code, reason = "functions compiled for an instruction set are called after asking for it")]

use crate::graph::SLICE;

/// Something to compute, written so that it may be compiled several times.
pub(super) trait Work {
    /// What comes out.
    type Output;

    /// Computes it. Implementations are `#[inline(always)]`, otherwise nothing is compiled anew.
    fn run<I: Instructions>(self, instructions: I) -> Self::Output;
}

/// A set of instructions that the processor has, and eight numbers as it takes them.
pub(super) trait Instructions: Copy {
    /// Eight numbers.
    type Eight: Copy;

    /// Eight times the same.
    fn splat(self, value: f64) -> Self::Eight;
    /// Eight from memory.
    fn load(self, values: &[f64; SLICE]) -> Self::Eight;
    /// Eight from memory, widened.
    fn widen(self, values: &[f32; SLICE]) -> Self::Eight;
    /// Eight into memory.
    fn store(self, eight: Self::Eight, values: &mut [f64; SLICE]);
    /// The values at eight places. A place that is not below the number of values, which must be a power of two, wraps round.
    fn gather(self, values: &[f64], places: &[u32; SLICE]) -> Self::Eight;
    /// Sums, lane by lane.
    fn add(self, left: Self::Eight, right: Self::Eight) -> Self::Eight;
    /// Products, lane by lane.
    fn multiply(self, left: Self::Eight, right: Self::Eight) -> Self::Eight;
    /// Absolute differences, lane by lane.
    fn distance(self, left: Self::Eight, right: Self::Eight) -> Self::Eight;

    /// The eight as an array.
    #[inline(always)]
    fn lanes(self, eight: Self::Eight) -> [f64; SLICE] {
        let mut lanes = [0.0; SLICE];
        self.store(eight, &mut lanes);
        lanes
    }
}

/// What every processor has.
#[derive(Clone, Copy)]
struct Plain;

#[inline(always)]
fn zip(left: [f64; SLICE], right: [f64; SLICE], each: impl Fn(f64, f64) -> f64) -> [f64; SLICE] {
    std::array::from_fn(|lane| each(left[lane], right[lane]))
}

impl Instructions for Plain {
    type Eight = [f64; SLICE];

    #[inline(always)]
    fn splat(self, value: f64) -> [f64; SLICE] {
        [value; SLICE]
    }

    #[inline(always)]
    fn load(self, values: &[f64; SLICE]) -> [f64; SLICE] {
        *values
    }

    #[inline(always)]
    fn widen(self, values: &[f32; SLICE]) -> [f64; SLICE] {
        values.map(f64::from)
    }

    #[inline(always)]
    fn store(self, eight: [f64; SLICE], values: &mut [f64; SLICE]) {
        *values = eight;
    }

    #[inline(always)]
    fn gather(self, values: &[f64], places: &[u32; SLICE]) -> [f64; SLICE] {
        let mask = values.len() - 1;
        let values = &values[..=mask];
        places.map(|place| values[place as usize & mask])
    }

    #[inline(always)]
    fn add(self, left: [f64; SLICE], right: [f64; SLICE]) -> [f64; SLICE] {
        zip(left, right, |left, right| left + right)
    }

    #[inline(always)]
    fn multiply(self, left: [f64; SLICE], right: [f64; SLICE]) -> [f64; SLICE] {
        zip(left, right, |left, right| left * right)
    }

    #[inline(always)]
    fn distance(self, left: [f64; SLICE], right: [f64; SLICE]) -> [f64; SLICE] {
        zip(left, right, |left, right| (left - right).abs())
    }
}

/// AVX-512 F and VL. Made by [`run`] only, after it has asked for them.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
struct Avx512(());

/// What follows holds of every block below.
///
/// SAFETY: an `Avx512` exists only where the processor has the instructions; addresses come from references to arrays of
/// eight elements of the size that is read or written, and none of the instructions asks for more than that.
#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::{
        __m256i, __m512d, _mm256_and_si256, _mm256_loadu_ps, _mm256_loadu_si256, _mm256_set1_epi32, _mm512_abs_pd,
        _mm512_add_pd, _mm512_cvtps_pd, _mm512_i32gather_pd, _mm512_loadu_pd, _mm512_mul_pd, _mm512_set1_pd,
        _mm512_storeu_pd, _mm512_sub_pd,
    };

    use super::{Avx512, Instructions, Plain, SLICE};

    impl Instructions for Avx512 {
        type Eight = __m512d;

        #[inline(always)]
        fn splat(self, value: f64) -> __m512d {
            // SAFETY: as stated above.
            unsafe { _mm512_set1_pd(value) }
        }

        #[inline(always)]
        fn load(self, values: &[f64; SLICE]) -> __m512d {
            // SAFETY: as stated above.
            unsafe { _mm512_loadu_pd(values.as_ptr()) }
        }

        #[inline(always)]
        fn widen(self, values: &[f32; SLICE]) -> __m512d {
            // SAFETY: as stated above.
            unsafe { _mm512_cvtps_pd(_mm256_loadu_ps(values.as_ptr())) }
        }

        #[inline(always)]
        fn store(self, eight: __m512d, values: &mut [f64; SLICE]) {
            // SAFETY: as stated above.
            unsafe { _mm512_storeu_pd(values.as_mut_ptr(), eight) }
        }

        #[inline(always)]
        fn gather(self, values: &[f64], places: &[u32; SLICE]) -> __m512d {
            let Some(mask) = values.len().checked_sub(1).and_then(|mask| i32::try_from(mask).ok()) else {
                return self.load(&Plain.gather(values, places));
            };
            // SAFETY: as stated above; and every place is cut to the bits of the last index, hence at most that, and not
            // negative: each read of 8 bytes lies inside `values`.
            unsafe {
                let places = _mm256_loadu_si256(std::ptr::from_ref(places).cast::<__m256i>());
                let inside = _mm256_and_si256(places, _mm256_set1_epi32(mask));
                _mm512_i32gather_pd::<8>(inside, values.as_ptr())
            }
        }

        #[inline(always)]
        fn add(self, left: __m512d, right: __m512d) -> __m512d {
            // SAFETY: as stated above.
            unsafe { _mm512_add_pd(left, right) }
        }

        #[inline(always)]
        fn multiply(self, left: __m512d, right: __m512d) -> __m512d {
            // SAFETY: as stated above.
            unsafe { _mm512_mul_pd(left, right) }
        }

        #[inline(always)]
        fn distance(self, left: __m512d, right: __m512d) -> __m512d {
            // SAFETY: as stated above.
            unsafe { _mm512_abs_pd(_mm512_sub_pd(left, right)) }
        }
    }
}

/// Computes with the widest vector instructions at hand.
pub(super) fn run<W: Work>(work: W) -> W::Output {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl") {
            // SAFETY: the processor has just said that it has both.
            return unsafe { with_avx512(work) };
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has just said that it has it.
            return unsafe { with_avx2(work) };
        }
    }
    work.run(Plain)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl")]
fn with_avx512<W: Work>(work: W) -> W::Output {
    work.run(Avx512(()))
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn with_avx2<W: Work>(work: W) -> W::Output {
    work.run(Plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sums of what lies at many places, with factors: every kind of instruction the engine's loops use.
    struct Sum<'a> {
        values: &'a [f64],
        places: &'a [[u32; SLICE]],
        rows: &'a [[f32; 16]],
    }

    impl Work for Sum<'_> {
        type Output = ([f64; SLICE], [f32; 16]);

        #[inline(always)]
        fn run<I: Instructions>(self, instructions: I) -> Self::Output {
            let (mut sums, mut lanes) = (instructions.splat(0.0), [0.0; 16]);
            for (places, row) in self.places.iter().zip(self.rows) {
                let found = instructions.gather(self.values, places);
                let weights = instructions.widen(row.first_chunk().unwrap());
                sums = instructions.add(sums, instructions.multiply(found, weights));
                sums = instructions.add(sums, instructions.distance(found, instructions.load(&[0.5; SLICE])));
                for lane in 0..16 {
                    lanes[lane] += row[lane] * 0.1;
                }
            }
            (instructions.lanes(sums), lanes)
        }
    }

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        let number = |at: usize| ((at as f64) * 0.618_033_988_7).fract() + 1e-3;
        let values: Vec<f64> = (0..256).map(number).collect();
        let places: Vec<[u32; SLICE]> = (0..999)
            .map(|row| std::array::from_fn(|lane| u32::try_from((row * 37 + lane * 101) % 256).unwrap()))
            .collect();
        let rows: Vec<[f32; 16]> = (0..999)
            .map(|row| std::array::from_fn(|lane| f32::from(u8::try_from((row * 7 + lane) % 251).unwrap()) / 97.0))
            .collect();
        let work = || Sum { values: &values, places: &places, rows: &rows };
        let plain = work().run(Plain);
        let found = places.iter().map(|places| values[places[3] as usize]);
        let expected: f64 = found.zip(&rows).map(|(found, row)| found * f64::from(row[3]) + (found - 0.5).abs()).sum();
        assert!((plain.0[3] - expected).abs() < 1e-9);
        assert_eq!(run(work()), plain);
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has just said that it has it.
            assert_eq!(unsafe { with_avx2(work()) }, plain);
        }
    }

    #[test]
    fn places_beyond_the_values_wrap_round() {
        struct Far<'a>(&'a [f64]);
        impl Work for Far<'_> {
            type Output = [f64; SLICE];
            #[inline(always)]
            fn run<I: Instructions>(self, instructions: I) -> [f64; SLICE] {
                instructions.lanes(instructions.gather(self.0, &[0, 3, 4, 7, 1 << 31, u32::MAX, 1 << 30, 6]))
            }
        }
        let values = [10.0, 11.0, 12.0, 13.0];
        let expected = [10.0, 13.0, 10.0, 13.0, 10.0, 13.0, 10.0, 12.0];
        assert_eq!(run(Far(&values)), expected);
        assert_eq!(Far(&values).run(Plain), expected);
    }
}
