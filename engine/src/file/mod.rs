//! The container of every binary file: a checked header, a table of sections, and the sections.
//!
//! ```text
//! offset  bytes  field
//!      0      8  magic, "WALKPRNT"                       so that a stranger's file is told apart at once
//!      8      4  format version, u32                     one for all kinds; other versions are refused
//!     12      4  kind, u32                               graph, labels, segment, types, ...: see FileKind
//!     16      8  file length, u64                        a truncated file is refused before anything is read
//!     24      4  number of sections, u32
//!     28      4  zero
//!     32      8  header checksum, XXH3-64                of bytes 0..32 and of the section table
//!     40     24  zero
//!     64   32 k  section table, one row a section:
//!                  4  section id, u32
//!                  4  bytes an element, u32              guards against reading u32 as u64
//!                  8  offset in the file, u64            a multiple of 64, so that any element is aligned
//!                  8  length in bytes, u64
//!                  8  checksum of the section, XXH3-64
//!   then         the sections in table order, each padded with zeros to a multiple of 64
//! ```
//!
//! All numbers are little-endian. **A file is written under a temporary name, flushed to the disk and renamed; it never
//! changes once it has its name.** (Test: `tests/tests/hostile_bytes.rs`.)
//!
//! [`open`](SectionedFile::open) reads the header and the table only; [`verify`](SectionedFile::verify) reads every
//! byte. A [`Section`] is a typed slice, in memory or mapped.

mod map;
mod reader;
mod writer;

pub use map::Room;
pub use reader::{Element, Section, SectionedFile};
pub use writer::{SectionWriter, persist, sync_directory};

#[cfg(not(target_endian = "little"))]
compile_error!(
    "Walkprint's files are little-endian and are mapped as they are: only little-endian machines are supported"
);

/// The version of every binary format. Raise it when any layout changes.
pub const FORMAT_VERSION: u32 = 1;

/// What every binary file begins with.
pub const MAGIC: [u8; 8] = *b"WALKPRNT";
pub(crate) const HEADER_BYTES: usize = 64;
pub(crate) const ROW_BYTES: usize = 32;
pub(crate) const ALIGNMENT: u64 = 64;

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileKind {
    /// Rows of a graph.
    Graph,
    /// External ids and node order.
    Labels,
    /// Fingerprints of one pipeline.
    Segment,
    /// Types of nodes and edges.
    Types,
    /// Rows of a range of a graph's nodes.
    Shard,
    /// Texts of passages.
    Passages,
    /// Events of a graph that lives; a file without sections, to which events are appended.
    EventLog,
    /// Ids of events that a graph has absorbed.
    EventIds,
}

impl FileKind {
    /// The number that stands for it in the file.
    #[must_use]
    pub fn code(self) -> u32 {
        match self {
            FileKind::Graph => 1,
            FileKind::Labels => 2,
            FileKind::Segment => 3,
            FileKind::Types => 4,
            FileKind::Shard => 5,
            FileKind::Passages => 6,
            FileKind::EventLog => 7,
            FileKind::EventIds => 8,
        }
    }

    /// What it is called in messages.
    #[must_use]
    pub fn phrase(self) -> &'static str {
        match self {
            FileKind::Graph => "a Walkprint graph file",
            FileKind::Labels => "a Walkprint label file",
            FileKind::Segment => "a Walkprint fingerprint file",
            FileKind::Types => "a Walkprint file of types",
            FileKind::Shard => "a shard of a Walkprint graph",
            FileKind::Passages => "a Walkprint file of passages",
            FileKind::EventLog => "a Walkprint log of events",
            FileKind::EventIds => "a Walkprint file of ids of events",
        }
    }
}

/// One row of the section table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SectionRow {
    /// Which section.
    pub id: u32,
    /// Bytes of one element.
    pub width: u32,
    /// Where it begins in the file.
    pub offset: u64,
    /// Its length in bytes, without padding.
    pub bytes: u64,
    /// XXH3-64 of its bytes.
    pub checksum: u64,
}

impl SectionRow {
    pub(crate) fn to_bytes(self) -> [u8; ROW_BYTES] {
        let mut row = [0; ROW_BYTES];
        row[0..4].copy_from_slice(&self.id.to_le_bytes());
        row[4..8].copy_from_slice(&self.width.to_le_bytes());
        row[8..16].copy_from_slice(&self.offset.to_le_bytes());
        row[16..24].copy_from_slice(&self.bytes.to_le_bytes());
        row[24..32].copy_from_slice(&self.checksum.to_le_bytes());
        row
    }

    pub(crate) fn from_bytes(row: &[u8]) -> SectionRow {
        SectionRow {
            id: u32_at(row, 0),
            width: u32_at(row, 4),
            offset: u64_at(row, 8),
            bytes: u64_at(row, 16),
            checksum: u64_at(row, 24),
        }
    }
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes were sliced"))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes were sliced"))
}
