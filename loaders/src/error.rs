//! What can keep a file from being loaded.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};

use crate::Format;

/// What kept the input from being loaded. Every message names the file, and the line where there is one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The list of input files is empty.
    #[error("expected at least one input file, got none")]
    NoInput,
    /// A file could not be opened or read.
    #[error("could not read {path}", path = .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A directory was given where a file is needed.
    #[error("{path}: expected a file, got a directory", path = .path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
    },
    /// Compressed data are damaged or end too early.
    #[error("{path}: the {encoding} data are damaged or cut short (after {bytes} decompressed bytes)", path = .path.display())]
    Decompress {
        /// The file.
        path: PathBuf,
        /// `gzip` or `zstd`.
        encoding: &'static str,
        /// How many bytes came out before the damage.
        bytes: u64,
        /// What the decoder said.
        source: io::Error,
    },
    /// A line is not what the format asks for.
    #[error("{path}:{line}: expected {expected}, got {got}", path = .path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1 in the decompressed text.
        line: u64,
        /// What should have been there.
        expected: Cow<'static, str>,
        /// What was there.
        got: String,
    },
    /// A row of a file without lines is not what is needed.
    #[error("{path}: row {row}: expected {expected}, got {got}", path = .path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// The row, counted from 1.
        row: u64,
        /// What should have been there.
        expected: Cow<'static, str>,
        /// What was there.
        got: String,
    },
    /// A part of a structured file is not what it should be.
    #[error("{path}: {place}: expected {expected}, got {got}", path = .path.display())]
    Place {
        /// The file.
        path: PathBuf,
        /// The part, as `docs[3].extracted_triples[0]`.
        place: String,
        /// What should have been there.
        expected: Cow<'static, str>,
        /// What was there.
        got: String,
    },
    /// A file as a whole is not what is needed.
    #[error("{path}: expected {expected}, got {got}", path = .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What should have been there.
        expected: Cow<'static, str>,
        /// What was there.
        got: String,
    },
    /// Files of formats that do not go together.
    #[error("{path}: expected {expected} like {first}, got {got} (load one format at a time)",
        path = .path.display(), first = .first.display())]
    MixedFormats {
        /// The first file.
        first: PathBuf,
        /// Its format.
        expected: Format,
        /// The file of another format.
        path: PathBuf,
        /// Its format.
        got: Format,
    },
    /// A Parquet file that cannot be decoded.
    #[error("{path}: could not decode the Parquet file", path = .path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An option that makes no sense.
    #[error("{option}: expected {expected}, got {got}")]
    Option {
        /// The option, by its name in the `walkprint` program.
        option: &'static str,
        /// What it takes.
        expected: &'static str,
        /// What was given.
        got: String,
    },
    /// A user and an item come together twice, and that was to be an error.
    #[error("user {user:?} has item {item:?} more than once (--duplicates sum adds them up, last takes the newest)")]
    Duplicate {
        /// The user.
        user: String,
        /// The item.
        item: String,
    },
    /// A type that was given a weight does not occur in the input.
    #[error("no edge has the type {name:?} that was given a weight; the types are {seen}")]
    TypeNeverSeen {
        /// The name that was given.
        name: String,
        /// Some of the types that do occur.
        seen: String,
    },
    /// More nodes than a graph can number.
    #[error("expected at most {max} nodes, got at least {got}")]
    TooManyNodes {
        /// The limit.
        max: u64,
        /// How many were found.
        got: u64,
    },
    /// What the loader holds outgrew the memory it was given.
    #[error(
        "expected the edges to fit in {limit_mib} MiB, got {held_mib} MiB at {percent} % of the input: give more memory"
    )]
    Memory {
        /// Memory that was given, MiB.
        limit_mib: u64,
        /// Memory that was reached, MiB.
        held_mib: u64,
        /// Share of the input that had been read by then, in percent.
        percent: u64,
    },
    /// The system has no memory for as many nodes as a matrix says it has.
    #[error("expected memory for {nodes} nodes, got none from the system")]
    NoMemory {
        /// Rows of the matrix.
        nodes: u64,
    },
    /// In a graph in memory, a node or an edge that cannot be taken over.
    #[error("{item}: expected {expected}, got {got}")]
    Item {
        /// Which node or edge, by its index.
        item: String,
        /// What should have been there.
        expected: Cow<'static, str>,
        /// What was there.
        got: String,
    },
    /// A CSV or TSV file that was cut between parts has quotes, so that it may not be cut: every part has to be loaded anew
    /// [with such files whole](crate::Part::with_delimited_files_whole).
    #[error("{path}: expected no quotes in a file that is cut between processes, got some", path = .path.display())]
    Quotes {
        /// The file.
        path: PathBuf,
    },
    /// The progress callback asked to stop.
    #[error("interrupted")]
    Interrupted,
}

/// What is wrong with one line or row, before it is known where that is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) expected: Cow<'static, str>,
    pub(crate) got: String,
}

impl Problem {
    pub(crate) fn new(expected: impl Into<Cow<'static, str>>, got: impl Into<String>) -> Self {
        Problem { expected: expected.into(), got: got.into() }
    }

    /// The problem, found in a line of a text file.
    pub(crate) fn at_line(self, path: &Path, line: u64) -> Error {
        Error::Line { path: path.to_owned(), line, expected: self.expected, got: self.got }
    }

    /// The problem, found in a row of a file without lines.
    pub(crate) fn at_row(self, path: &Path, row: u64) -> Error {
        Error::Row { path: path.to_owned(), row, expected: self.expected, got: self.got }
    }

    /// The problem, found in a part of a structured file.
    pub(crate) fn at_place(self, path: &Path, place: String) -> Error {
        Error::Place { path: path.to_owned(), place, expected: self.expected, got: self.got }
    }

    /// The problem of a node or edge of a graph in memory.
    pub(crate) fn of_item(self, item: String) -> Error {
        Error::Item { item, expected: self.expected, got: self.got }
    }

    /// The problem of a whole file.
    pub(crate) fn of_file(self, path: &Path) -> Error {
        Error::File { path: path.to_owned(), expected: self.expected, got: self.got }
    }
}

/// Bytes as a message shows them: quoted, escaped, and cut after some 60 characters.
pub(crate) fn quoted(bytes: &[u8]) -> String {
    const SHOWN_BYTES: usize = 60;
    if bytes.len() <= SHOWN_BYTES {
        return format!("{:?}", String::from_utf8_lossy(bytes));
    }
    let mut end = SHOWN_BYTES;
    // Not inside a character: continuation bytes are 0b10xxxxxx.
    while end > SHOWN_BYTES - 4 && bytes[end] & 0xC0 == 0x80 {
        end -= 1;
    }
    format!("{:?}…", String::from_utf8_lossy(&bytes[..end]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_message_shows_is_escaped_and_short() {
        assert_eq!(quoted(b"a\tb\0"), r#""a\tb\0""#);
        assert_eq!(quoted(&[0xFF]), "\"\u{FFFD}\"");
        let long = "ü".repeat(100);
        assert_eq!(quoted(long.as_bytes()), format!("\"{}\"…", "ü".repeat(30)));
        let odd = format!("x{long}");
        assert_eq!(quoted(odd.as_bytes()), format!("\"x{}\"…", "ü".repeat(29)));
    }
}
