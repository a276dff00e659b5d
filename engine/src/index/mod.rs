//! An index: the fingerprints of all sources, one segment file a pipeline.
//!
//! Segment file `segment-000042.wps` (container: [`crate::file`]), *n* consecutive sources:
//!
//! ```text
//! section  element  count    what and why
//!       1  u64      8        pipeline number, first source, n, graph digest (low, high), plan digest (low, high),
//!                            entries: a segment knows what it belongs to and is refused elsewhere
//!       2  u32      n + 1    where each fingerprint begins in section 4
//!       3  u32      n        checksum of each fingerprint: low half of XXH3-64 of its bytes, keyed by its source;
//!                            checked at every look-up, so that damage is found where it is read
//!       4  u8       ...      the fingerprints, one after the other (layout: crate::fingerprint)
//! ```
//!
//! **An index refuses a graph or a plan whose digest is not its own.** (Test: `tests/tests/hostile_bytes.rs`.)
//! [`SegmentWriter`] writes one segment, [`Segment`] reads one, [`Index`] reads them all, and
//! [`IndexParts`] those that are here.

mod parts;
mod reader;
mod segment;

pub use parts::IndexParts;
pub use reader::{Index, IndexEntry, SegmentEntry, fingerprint_digest, open_segment};
pub use segment::{Segment, SegmentId, SegmentWriter};
