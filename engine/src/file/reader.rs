//! Opening, checking and slicing a sectioned file.

use std::marker::PhantomData;
use std::ops::{Deref, Range};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::map::Map;
use super::{ALIGNMENT, FORMAT_VERSION, FileKind, HEADER_BYTES, MAGIC, ROW_BYTES, SectionRow, u32_at, u64_at};
use crate::error::{Error, Result};

/// What a section may consist of: plain numbers, or structs of plain numbers without padding.
pub trait Element: FromBytes + IntoBytes + Immutable + KnownLayout + Copy + Send + Sync + 'static {}

impl<T: FromBytes + IntoBytes + Immutable + KnownLayout + Copy + Send + Sync + 'static> Element for T {}

/// An open sectioned file: header and table are checked, sections are not yet read.
#[derive(Debug, Clone)]
pub struct SectionedFile {
    path: PathBuf,
    map: Map,
    rows: Vec<SectionRow>,
}

impl SectionedFile {
    /// Maps a file and checks its header and section table. Cost: one page, whatever the size of the file.
    ///
    /// # Errors
    /// When the file cannot be read, is of another kind or version, is truncated, or its header is damaged.
    pub fn open(path: &Path, kind: FileKind) -> Result<SectionedFile> {
        let map = Map::open(path)?;
        let bytes = map.bytes();
        if bytes.len() < HEADER_BYTES || bytes[..8] != MAGIC {
            let got = if bytes.is_empty() { "an empty file" } else { "other bytes" };
            return Err(Error::Kind { path: path.to_owned(), expected: kind.phrase(), got: got.into() });
        }
        let version = u32_at(bytes, 8);
        if version != FORMAT_VERSION {
            return Err(Error::Version { path: path.to_owned(), expected: FORMAT_VERSION, got: version });
        }
        let got_kind = u32_at(bytes, 12);
        if got_kind != kind.code() {
            let got = format!("a file of kind {got_kind}");
            return Err(Error::Kind { path: path.to_owned(), expected: kind.phrase(), got });
        }
        let length = u64_at(bytes, 16);
        if length != bytes.len() as u64 {
            let what = format!("it says it has {length} bytes, but it has {}", bytes.len());
            return Err(Error::damaged(path, what));
        }
        let sections = u32_at(bytes, 24) as usize;
        let table_end = HEADER_BYTES as u64 + sections as u64 * ROW_BYTES as u64;
        if bytes.len() as u64 <= table_end.saturating_sub(1) {
            return Err(Error::damaged(path, format!("a table of {sections} sections does not fit")));
        }
        let table = &bytes[HEADER_BYTES..HEADER_BYTES + sections * ROW_BYTES];
        if header_checksum(&bytes[..32], table) != u64_at(bytes, 32) {
            return Err(Error::damaged(path, "the header's checksum does not fit"));
        }
        if bytes[28..32].iter().chain(&bytes[40..HEADER_BYTES]).any(|&byte| byte != 0) {
            return Err(Error::damaged(path, "reserved bytes of the header are not zero"));
        }
        let rows: Vec<SectionRow> = table.chunks_exact(ROW_BYTES).map(SectionRow::from_bytes).collect();
        let mut next = table_end.next_multiple_of(ALIGNMENT);
        for row in &rows {
            let end = row.offset.checked_add(row.bytes).filter(|&end| end <= length);
            let fits = row.offset == next && row.width != 0 && row.bytes.is_multiple_of(u64::from(row.width));
            let (Some(end), true) = (end, fits) else {
                return Err(Error::damaged(path, format!("section {} lies outside the file", row.id)));
            };
            next = end.next_multiple_of(ALIGNMENT);
        }
        if next != length {
            return Err(Error::damaged(path, "bytes are left over behind the last section"));
        }
        Ok(SectionedFile { path: path.to_owned(), map, rows })
    }

    /// The file's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file's length in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.map.bytes().len() as u64
    }

    /// A digest over the checksums of all sections: equal digests mean equal contents.
    #[must_use]
    pub fn digest(&self) -> u128 {
        content_digest(&self.rows)
    }

    /// True when the file has this section.
    #[must_use]
    pub fn has(&self, id: u32) -> bool {
        self.rows.iter().any(|row| row.id == id)
    }

    /// A section as a typed slice. Cost: constant.
    ///
    /// # Errors
    /// When the section is absent or its elements are of another width.
    pub fn section<T: Element>(&self, id: u32) -> Result<Section<T>> {
        let row = self.row(id)?;
        if row.width as usize != size_of::<T>() {
            let what = format!("section {id} has elements of {} bytes, expected {}", row.width, size_of::<T>());
            return Err(Error::damaged(&self.path, what));
        }
        let start = to_usize(row.offset);
        let backing = Backing::Mapped { map: self.map.clone(), start, bytes: to_usize(row.bytes) };
        Ok(Section { backing, element: PhantomData })
    }

    /// Reads one section and compares it with its checksum. Cost: the section is read once, and its pages are given back
    /// as it is read.
    ///
    /// # Errors
    /// When the bytes are not those that were written.
    pub fn verify_section(&self, id: u32) -> Result<()> {
        let row = self.row(id)?;
        let mut hasher = Xxh3::new();
        self.section_of_bytes(row).pieces().for_each(|piece| hasher.update(piece));
        if hasher.digest() != row.checksum {
            return Err(Error::damaged(&self.path, format!("the checksum of section {id} does not fit")));
        }
        Ok(())
    }

    /// Reads every byte of the file: all sections against their checksums, all padding against zero.
    ///
    /// # Errors
    /// When any byte is not the one that was written.
    pub fn verify(&self) -> Result<()> {
        let bytes = self.map.bytes();
        let mut end = HEADER_BYTES + self.rows.len() * ROW_BYTES;
        for row in &self.rows {
            self.verify_section(row.id)?;
            let start = to_usize(row.offset);
            self.expect_zeros(&bytes[end..start])?;
            end = start + to_usize(row.bytes);
        }
        self.expect_zeros(&bytes[end..])
    }

    fn section_of_bytes(&self, row: &SectionRow) -> Section<u8> {
        let (start, bytes) = (to_usize(row.offset), to_usize(row.bytes));
        Section { backing: Backing::Mapped { map: self.map.clone(), start, bytes }, element: PhantomData }
    }

    fn expect_zeros(&self, padding: &[u8]) -> Result<()> {
        if padding.iter().any(|&byte| byte != 0) {
            return Err(Error::damaged(&self.path, "padding between sections is not zero"));
        }
        Ok(())
    }

    fn row(&self, id: u32) -> Result<&SectionRow> {
        let found = self.rows.iter().find(|row| row.id == id);
        found.ok_or_else(|| Error::damaged(&self.path, format!("section {id} is missing")))
    }
}

/// How much of a section is read before its pages are given back.
const PIECE_BYTES: usize = 8 << 20;

/// A slice of plain elements: owned, or a piece of a mapped file. Cloning a mapped section is cheap.
#[derive(Debug, Clone)]
pub struct Section<T> {
    backing: Backing<T>,
    element: PhantomData<T>,
}

#[derive(Debug, Clone)]
enum Backing<T> {
    Owned(Vec<T>),
    Mapped { map: Map, start: usize, bytes: usize },
}

impl<T> From<Vec<T>> for Section<T> {
    fn from(elements: Vec<T>) -> Self {
        Section { backing: Backing::Owned(elements), element: PhantomData }
    }
}

impl<T: Element> Section<T> {
    /// A copy in huge pages, for random reading. Cost: the section is copied once and held in memory.
    ///
    /// # Errors
    /// When there is no memory.
    pub fn in_huge_pages(&self) -> std::io::Result<Section<T>> {
        let bytes = size_of_val::<[T]>(self);
        let map = Map::copied(self.as_bytes())?;
        Ok(Section { backing: Backing::Mapped { map, start: 0, bytes }, element: PhantomData })
    }

    /// The elements from front to back, some MiB at a time, for a pass over a section that may be larger than memory: of a
    /// mapped file the pages of a piece are given back when the next one is asked for.
    pub fn pieces(&self) -> impl Iterator<Item = &[T]> {
        let length = PIECE_BYTES / size_of::<T>();
        let mut at = 0;
        std::iter::from_fn(move || {
            self.release_range(at.max(length) - length..at);
            let piece = self.get(at..(at + length).min(self.len())).filter(|piece| !piece.is_empty())?;
            at += piece.len();
            Some(piece)
        })
    }

    /// Gives back the pages of a mapped file, after a pass over it: they no longer count as this process's memory, and are
    /// read again when they are touched again.
    pub fn release(&self) {
        self.release_range(0..self.len());
    }

    fn release_range(&self, elements: Range<usize>) {
        if let Backing::Mapped { map, start, .. } = &self.backing {
            map.release(start + elements.start * size_of::<T>()..start + elements.end * size_of::<T>());
        }
    }
}

impl<T: Element> Deref for Section<T> {
    type Target = [T];

    /// The elements. Cost: a few instructions; take the slice once outside a hot loop.
    fn deref(&self) -> &[T] {
        match &self.backing {
            Backing::Owned(elements) => elements,
            Backing::Mapped { map, start, bytes } => <[T]>::ref_from_bytes(&map.bytes()[*start..*start + *bytes])
                .expect("width and alignment were checked when the section was taken"),
        }
    }
}

impl<T: Element> AsRef<[T]> for Section<T> {
    fn as_ref(&self) -> &[T] {
        self
    }
}

pub(super) fn header_checksum(head: &[u8], table: &[u8]) -> u64 {
    let mut hasher = Xxh3::new();
    hasher.update(head);
    hasher.update(table);
    hasher.digest()
}

pub(super) fn content_digest(rows: &[SectionRow]) -> u128 {
    let mut hasher = Xxh3::new();
    for row in rows {
        hasher.update(&row.to_bytes());
    }
    hasher.digest128()
}

fn to_usize(value: u64) -> usize {
    usize::try_from(value).expect("offsets inside a mapped file fit the address space")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::SectionWriter;

    #[test]
    fn what_is_given_back_is_read_again_and_copies_keep_what_they_hold() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("large");
        let count = u32::try_from(3 * PIECE_BYTES / 4 + 12_345).unwrap();
        let numbers: Vec<u32> = (0..count).map(|at| at.wrapping_mul(2_654_435_761)).collect();
        let mut writer = SectionWriter::create(&path, FileKind::Graph, 2).unwrap();
        writer.section(1, &[7u8, 8, 9]).unwrap();
        writer.section(2, &numbers).unwrap();
        writer.finish().unwrap();
        let file = SectionedFile::open(&path, FileKind::Graph).unwrap();
        file.verify().unwrap();
        let section: Section<u32> = file.section(2).unwrap();
        let lengths: Vec<usize> = section.pieces().map(<[u32]>::len).collect();
        assert_eq!(lengths, [PIECE_BYTES / 4, PIECE_BYTES / 4, PIECE_BYTES / 4, 12_345]);
        assert!(section.pieces().flatten().eq(&numbers));
        section.release();
        assert!(section[..] == numbers, "pages come back");
        let (copy, owned) = (section.in_huge_pages().unwrap(), Section::from(numbers.clone()));
        for held in [copy, owned] {
            assert!(held.pieces().flatten().eq(&numbers));
            held.release();
            assert!(held[..] == numbers, "nothing of it is elsewhere");
        }
        let nothing: Section<u32> = Section::from(Vec::new());
        assert_eq!(nothing.pieces().count(), 0);
    }
}
