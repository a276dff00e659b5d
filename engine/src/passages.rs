//! The texts of passages: what a reader is shown, and what words are looked for in.
//!
//! File `passages-G.wpp` (container: [`crate::file`]), *n* passages:
//!
//! ```text
//! section  element   count   what and why
//!       1  u32       n       the node of each passage, ascending
//!       2  u64       n       where each text ends in section 3
//!       3  u8        ...     the texts, one after the other (UTF-8)
//! ```
//!
//! **No read panics, whatever the bytes**: a damaged text is no text, and [`Passages::verify`] reports it. (Test:
//! `damage_is_found_and_never_read`.)

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::file::{FileKind, Section, SectionWriter, SectionedFile};
use crate::ids::NodeId;

const NODES: u32 = 1;
const ENDS: u32 = 2;
const TEXTS: u32 = 3;

/// The texts of a graph's passages, mapped.
#[derive(Debug, Clone)]
pub struct Passages {
    path: PathBuf,
    digest: u128,
    nodes: Section<u32>,
    ends: Section<u64>,
    texts: Section<u8>,
}

impl Passages {
    /// Writes texts, by node. Returns the digest of the file.
    ///
    /// # Errors
    /// When the disk refuses.
    ///
    /// # Panics
    /// When nodes are not ascending.
    pub fn write(path: &Path, passages: &[(NodeId, &str)]) -> Result<u128> {
        assert!(passages.is_sorted_by(|low, high| low.0 < high.0), "passages ascend by node");
        let nodes: Vec<NodeId> = passages.iter().map(|&(node, _)| node).collect();
        let mut end = 0;
        let ends: Vec<u64> = passages
            .iter()
            .map(|(_, text)| {
                end += text.len() as u64;
                end
            })
            .collect();
        let mut writer = SectionWriter::create(path, FileKind::Passages, 3)?;
        writer.section(NODES, &nodes)?;
        writer.section(ENDS, &ends)?;
        writer.begin(TEXTS, 1)?;
        passages.iter().try_for_each(|(_, text)| writer.append(text.as_bytes()))?;
        writer.finish()
    }

    /// Maps a file of passages. Cost: constant.
    ///
    /// # Errors
    /// When the file is not a whole file of passages of this version.
    pub fn open(path: &Path) -> Result<Passages> {
        let file = SectionedFile::open(path, FileKind::Passages)?;
        let (nodes, ends) = (file.section::<u32>(NODES)?, file.section::<u64>(ENDS)?);
        if nodes.len() != ends.len() {
            return Err(Error::damaged(path, "it has not one text for each passage"));
        }
        Ok(Passages { path: path.to_owned(), digest: file.digest(), nodes, ends, texts: file.section(TEXTS)? })
    }

    /// Reads every byte of a file of passages, compares it with the checksums, and checks every text.
    ///
    /// # Errors
    /// When any byte is not the one that was written.
    pub fn verify(path: &Path) -> Result<()> {
        SectionedFile::open(path, FileKind::Passages)?.verify()?;
        let passages = Passages::open(path)?;
        let ascend = passages.nodes.is_sorted_by(|low, high| low < high);
        let whole = (0..passages.len()).all(|at| passages.text(at).is_some());
        if ascend && whole { Ok(()) } else { Err(Error::damaged(&passages.path, "a text cannot be read")) }
    }

    /// The digest of the file.
    #[must_use]
    pub fn digest(&self) -> u128 {
        self.digest
    }

    /// How many passages have a text.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// True when none has.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The text of a node; `None` when it has none. Cost: a binary search.
    #[must_use]
    pub fn of(&self, node: NodeId) -> Option<&str> {
        self.text(self.nodes.binary_search(&node).ok()?)
    }

    /// All nodes and texts, ascending by node; damaged texts are left out.
    pub fn iter(&self) -> impl Iterator<Item = (NodeId, &str)> {
        self.nodes.iter().enumerate().filter_map(|(at, &node)| Some((node, self.text(at)?)))
    }

    fn text(&self, at: usize) -> Option<&str> {
        let place = |at: usize| usize::try_from(*self.ends.get(at)?).ok();
        let start = at.checked_sub(1).map_or(Some(0), place)?;
        std::str::from_utf8(self.texts.get(start..place(at)?)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back_as_they_were() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("passages.wpp");
        let texts = [(2, "Bubye River\nin Zimbabwe"), (3, ""), (7, "日本")];
        let digest = Passages::write(&path, &texts).unwrap();
        Passages::verify(&path).unwrap();
        let passages = Passages::open(&path).unwrap();
        assert_eq!((passages.digest(), passages.len()), (digest, 3));
        assert_eq!(passages.iter().collect::<Vec<_>>(), texts);
        assert_eq!(
            [1, 2, 3, 7, 8].map(|node| passages.of(node)),
            [None, Some(texts[0].1), Some(""), Some("日本"), None]
        );
        Passages::write(&path, &[]).unwrap();
        assert!(Passages::open(&path).unwrap().is_empty());
    }

    #[test]
    fn damage_is_found_and_never_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("passages.wpp");
        Passages::write(&path, &[(0, "über"), (5, "allem"), (6, "ruhe")]).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            for bit in [0, 3, 7] {
                let mut bytes = whole.clone();
                bytes[at] ^= 1 << bit;
                std::fs::write(&path, &bytes).unwrap();
                let verified = Passages::verify(&path);
                let padding = verified.is_ok();
                if let Ok(passages) = Passages::open(&path) {
                    let read: Vec<_> = passages.iter().collect();
                    let _ = (passages.of(0), passages.of(5), passages.of(u32::MAX));
                    assert!(!padding || read == [(0, "über"), (5, "allem"), (6, "ruhe")], "byte {at}");
                }
            }
        }
        for end in 0..whole.len() {
            std::fs::write(&path, &whole[..end]).unwrap();
            assert!(Passages::open(&path).is_err(), "{end} bytes");
        }
    }
}
