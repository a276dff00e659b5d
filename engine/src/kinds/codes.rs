//! Small numbers, one an item, kept as narrow as the largest of them allows.

use zerocopy::IntoBytes;

/// A list of numbers that takes one, two or four bytes each, by the largest number in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Codes {
    /// All are below 2^8.
    Bytes(Vec<u8>),
    /// All are below 2^16.
    Shorts(Vec<u16>),
    /// Any.
    Words(Vec<u32>),
}

impl Default for Codes {
    fn default() -> Self {
        Codes::Bytes(Vec::new())
    }
}

impl Codes {
    /// As many zeros.
    #[must_use]
    pub fn zeros(len: usize) -> Codes {
        Codes::Bytes(vec![0; len])
    }

    /// An empty list with room for `len` numbers up to `largest`.
    #[must_use]
    pub fn with_capacity(len: usize, largest: u32) -> Codes {
        match largest {
            0..=0xff => Codes::Bytes(Vec::with_capacity(len)),
            0x100..=0xffff => Codes::Shorts(Vec::with_capacity(len)),
            _ => Codes::Words(Vec::with_capacity(len)),
        }
    }

    /// The same numbers after `code_of`, which gives none above `largest`: as wide as that one needs. Cost: one pass, in place
    /// where the width stays.
    #[must_use]
    pub fn recoded(mut self, largest: u32, code_of: impl Fn(u32) -> u32) -> Codes {
        let mut wide = Codes::with_capacity(0, largest);
        if self.width() == wide.width() {
            (0..self.len()).for_each(|at| self.set(at, code_of(self.get(at))));
            return self;
        }
        wide.reserve_exact(self.len());
        self.iter().for_each(|code| wide.push(code_of(code)));
        wide
    }

    /// The bytes of all numbers, as a file has them.
    #[must_use]
    pub(super) fn as_bytes(&self) -> &[u8] {
        match self {
            Codes::Bytes(codes) => codes,
            Codes::Shorts(codes) => codes.as_bytes(),
            Codes::Words(codes) => codes.as_bytes(),
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Codes::Bytes(codes) => codes.len(),
            Codes::Shorts(codes) => codes.len(),
            Codes::Words(codes) => codes.len(),
        }
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes that the numbers take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.len() * self.width()
    }

    /// The bytes of one number.
    #[must_use]
    pub fn width(&self) -> usize {
        match self {
            Codes::Bytes(_) => 1,
            Codes::Shorts(_) => 2,
            Codes::Words(_) => 4,
        }
    }

    /// The number at a place.
    ///
    /// # Panics
    /// When `at` is not below [`Codes::len`].
    #[inline]
    #[must_use]
    pub fn get(&self, at: usize) -> u32 {
        match self {
            Codes::Bytes(codes) => codes[at].into(),
            Codes::Shorts(codes) => codes[at].into(),
            Codes::Words(codes) => codes[at],
        }
    }

    /// Changes the number at a place. Cost: constant, unless it is the first that needs more bytes.
    ///
    /// # Panics
    /// When `at` is not below [`Codes::len`].
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the list was widened for the number")]
    pub fn set(&mut self, at: usize, code: u32) {
        self.widen(code);
        match self {
            Codes::Bytes(codes) => codes[at] = code as u8,
            Codes::Shorts(codes) => codes[at] = code as u16,
            Codes::Words(codes) => codes[at] = code,
        }
    }

    /// Appends a number.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the list was widened for the number")]
    pub fn push(&mut self, code: u32) {
        self.widen(code);
        match self {
            Codes::Bytes(codes) => codes.push(code as u8),
            Codes::Shorts(codes) => codes.push(code as u16),
            Codes::Words(codes) => codes.push(code),
        }
    }

    /// Appends a stretch of another list. Cost: bytes are copied where both lists have the same width.
    ///
    /// # Panics
    /// When the other list ends before the stretch does.
    pub fn extend_from(&mut self, other: &Codes, stretch: std::ops::Range<usize>) {
        match (&mut *self, other) {
            (Codes::Bytes(codes), Codes::Bytes(others)) => codes.extend_from_slice(&others[stretch]),
            (Codes::Shorts(codes), Codes::Shorts(others)) => codes.extend_from_slice(&others[stretch]),
            (Codes::Words(codes), Codes::Words(others)) => codes.extend_from_slice(&others[stretch]),
            _ => stretch.for_each(|at| self.push(other.get(at))),
        }
    }

    /// Drops what lies behind the first `len`.
    pub fn truncate(&mut self, len: usize) {
        match self {
            Codes::Bytes(codes) => codes.truncate(len),
            Codes::Shorts(codes) => codes.truncate(len),
            Codes::Words(codes) => codes.truncate(len),
        }
    }

    /// Makes room for `more` numbers of the present width.
    pub fn reserve_exact(&mut self, more: usize) {
        match self {
            Codes::Bytes(codes) => codes.reserve_exact(more),
            Codes::Shorts(codes) => codes.reserve_exact(more),
            Codes::Words(codes) => codes.reserve_exact(more),
        }
    }

    /// Gives back memory that is not needed.
    pub fn shrink_to_fit(&mut self) {
        match self {
            Codes::Bytes(codes) => codes.shrink_to_fit(),
            Codes::Shorts(codes) => codes.shrink_to_fit(),
            Codes::Words(codes) => codes.shrink_to_fit(),
        }
    }

    /// All numbers in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        (0..self.len()).map(|at| self.get(at))
    }

    /// Makes room for a number, if the list is too narrow for it.
    #[inline]
    fn widen(&mut self, code: u32) {
        let wide_enough = match self {
            Codes::Bytes(_) => code <= u8::MAX.into(),
            Codes::Shorts(_) => code <= u16::MAX.into(),
            Codes::Words(_) => true,
        };
        if !wide_enough {
            *self = self.widened(code);
        }
    }

    #[cold]
    fn widened(&self, code: u32) -> Codes {
        let mut wider = Codes::with_capacity(self.len() + 1, code);
        match &mut wider {
            Codes::Bytes(_) => unreachable!("bytes are wide enough for what a byte holds"),
            Codes::Shorts(codes) => codes.extend(self.iter().map(|code| u16::try_from(code).unwrap_or(u16::MAX))),
            Codes::Words(codes) => codes.extend(self.iter()),
        }
        wider
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_whatever_their_width() {
        for pushed in [&[0, 255, 3][..], &[7, 256, 255, 65_535], &[1, 65_536, 255, u32::MAX], &[255, 70_000]] {
            let mut codes = Codes::default();
            pushed.iter().for_each(|&code| codes.push(code));
            assert_eq!(codes.iter().collect::<Vec<_>>(), pushed);
            let largest = pushed.iter().max().unwrap();
            assert_eq!(
                codes.width(),
                if *largest < 1 << 8 {
                    1
                } else if *largest < 1 << 16 {
                    2
                } else {
                    4
                }
            );
            assert_eq!(codes.bytes(), codes.width() * pushed.len());
        }
        let mut codes = Codes::zeros(3);
        codes.set(1, 300);
        codes.set(2, 1 << 20);
        codes.set(0, 9);
        assert_eq!(codes.iter().collect::<Vec<_>>(), [9, 300, 1 << 20]);
        codes.truncate(1);
        assert_eq!((codes.len(), codes.get(0)), (1, 9));
    }

    #[test]
    fn other_numbers_are_as_wide_as_the_largest_that_is_possible() {
        for (largest, width) in [(255, 1), (256, 2), (65_535, 2), (65_536, 4)] {
            for codes in [Codes::Bytes(vec![3, 1, 2]), Codes::Shorts(vec![3, 1, 2]), Codes::Words(vec![3, 1, 2])] {
                let doubled = codes.recoded(largest, |code| 2 * code);
                assert_eq!(doubled.iter().collect::<Vec<_>>(), [6, 2, 4]);
                assert_eq!((doubled.width(), doubled.as_bytes().len()), (width, 3 * width));
            }
        }
    }
}
