//! The nodes of a matrix, whose ids are the numbers from 1: all of them, or those that one part of the input answers for.

use walkprint_engine::ids::NodeId;

use crate::Error;
use crate::part::Part;

const WORD: usize = u64::BITS as usize;

/// Some of the numbers `0..size`, and the rank of each among them.
pub(crate) enum Numbered {
    All(u32),
    Some {
        /// A bit for each number.
        bits: Vec<u64>,
        /// How many bits are set in the words before each word, and in the end how many in all.
        before: Vec<u32>,
    },
}

impl Numbered {
    /// All numbers; or for one of several parts, those that occur and an even share of all. Memory: an eighth of a byte a
    /// number, and half as much again.
    pub(crate) fn new(size: u32, part: Part, occurring: impl Iterator<Item = u32>) -> Result<Numbered, Error> {
        if part.is_all() {
            return Ok(Numbered::All(size));
        }
        let words = (size as usize).div_ceil(WORD);
        let mut bits = zeros::<u64>(words, size)?;
        let share = |number: u32| u64::from(size) * u64::from(number) / u64::from(part.of());
        for number in share(part.number())..share(part.number() + 1) {
            let number = usize::try_from(number).expect("a number of 32 bits");
            bits[number / WORD] |= 1 << (number % WORD);
        }
        for number in occurring {
            bits[number as usize / WORD] |= 1 << (number as usize % WORD);
        }
        let mut before = zeros::<u32>(words + 1, size)?;
        for (word, bits) in bits.iter().enumerate() {
            before[word + 1] = before[word] + bits.count_ones();
        }
        Ok(Numbered::Some { bits, before })
    }

    /// How many numbers there are.
    pub(crate) fn count(&self) -> u64 {
        match self {
            Numbered::All(size) => u64::from(*size),
            Numbered::Some { before, .. } => u64::from(before[before.len() - 1]),
        }
    }

    /// The numbers as ids: from 1, ascending.
    pub(crate) fn ids(&self) -> Result<Vec<i64>, Error> {
        let mut ids = Vec::new();
        // The only allocation whose size a file names without holding as much.
        let count = usize::try_from(self.count()).expect("a number of 32 bits");
        ids.try_reserve_exact(count).map_err(|_| Error::NoMemory { nodes: self.count() })?;
        match self {
            Numbered::All(size) => ids.extend(1..=i64::from(*size)),
            Numbered::Some { bits, .. } => {
                for (word, &bits) in (0i64..).zip(bits) {
                    let set = (0..WORD).filter(|bit| bits >> bit & 1 == 1);
                    ids.extend(set.zip(std::iter::repeat(word)).map(|(bit, word)| word * WORD as i64 + bit as i64 + 1));
                }
            }
        }
        Ok(ids)
    }

    /// The rank of a number that is among them.
    pub(crate) fn rank(&self, number: u32) -> NodeId {
        match self {
            Numbered::All(_) => number,
            Numbered::Some { bits, before } => {
                let (word, bit) = (number as usize / WORD, number as usize % WORD);
                before[word] + (bits[word] & !(u64::MAX << bit)).count_ones()
            }
        }
    }
}

fn zeros<T: Clone + Default>(count: usize, size: u32) -> Result<Vec<T>, Error> {
    let mut zeros = Vec::new();
    zeros.try_reserve_exact(count).map_err(|_| Error::NoMemory { nodes: size.into() })?;
    zeros.resize(count, T::default());
    Ok(zeros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_parts_have_all_numbers() {
        for of in 1..5 {
            let mut seen = vec![0; 200];
            for number in 0..of {
                let numbered = Numbered::new(200, Part::new(number, of), [0, 63, 64, 199].into_iter()).unwrap();
                let ids = numbered.ids().unwrap();
                assert!(ids.is_sorted_by(|low, high| low < high) && ids.len() as u64 == numbered.count());
                for (rank, &id) in (0..).zip(&ids) {
                    let number = u32::try_from(id - 1).unwrap();
                    assert_eq!(numbered.rank(number), rank);
                    seen[number as usize] += 1;
                }
                assert!([1, 64, 65, 200].iter().all(|id| ids.contains(id)));
            }
            assert!(seen.iter().all(|&times| 1 <= times));
        }
    }
}
