//! Numbers to make test cases from: the same key gives the same case everywhere and always.
//!
//! The generator is SplitMix64 (Steele, Lea, Flood 2014), written out here so that no change of a dependency, and no
//! change of the walkers' own random numbers, changes a test case.

/// A stream of numbers.
#[derive(Debug, Clone)]
pub struct Draws(u64);

impl Draws {
    /// The stream of a key.
    #[must_use]
    pub fn new(key: u64) -> Draws {
        Draws(key)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0..bound`. The bias of the remainder is below `bound / 2^64`.
    ///
    /// # Panics
    /// When `bound` is zero.
    pub fn below(&mut self, bound: u32) -> u32 {
        u32::try_from(self.bits() % u64::from(bound)).expect("a remainder is below its divisor")
    }

    /// A number in [0, 1).
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// True with this probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }
}
