//! Broken files: single bits flipped, checksums repaired so that the damage is not found by them.

use std::panic::{AssertUnwindSafe, catch_unwind};

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// Bytes with one bit flipped.
#[must_use]
pub fn flipped(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[bit / 8] ^= 1 << (bit % 8);
    bytes
}

/// A binary file taken apart, to be put together again with good checksums: the header (64 bytes: the section count is
/// at 24, the checksum at 32) and the table (rows of 32 bytes: offset at 8, length at 16, checksum at 24).
#[must_use]
pub fn forged(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let number = |bytes: &[u8], at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
    let sections = usize::try_from(number(&bytes, 24) & 0xff).expect("a byte");
    let table_end = (64 + 32 * sections).min(bytes.len());
    for row in (64..table_end.saturating_sub(31)).step_by(32) {
        let (offset, length) = (number(&bytes, row + 8), number(&bytes, row + 16));
        let range = usize::try_from(offset).ok().zip(usize::try_from(offset.wrapping_add(length)).ok());
        let section = range.and_then(|(start, end)| bytes.get(start..end));
        if let Some(checksum) = section.map(xxh3_64) {
            bytes[row + 24..row + 32].copy_from_slice(&checksum.to_le_bytes());
        }
    }
    let mut hasher = Xxh3::new();
    hasher.update(&bytes[..32]);
    hasher.update(&bytes[64..table_end]);
    let checksum = hasher.digest();
    bytes[32..40].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// Runs `check`, and says what it was about when it panics.
///
/// # Panics
/// When `check` did.
pub fn calmly<T>(what: impl Fn() -> String, check: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(check)).unwrap_or_else(|_| panic!("{}: a panic", what()))
}
