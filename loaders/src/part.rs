//! One of several parts of the input, for processes that load together.
//!
//! The bytes of all files, one after the other, are cut into as many equal stretches as there are parts; a line belongs to
//! the part in whose stretch it begins. What cannot be cut is dealt whole, to the part in whose stretch the file begins:
//! compressed files, and CSV or TSV files in which quotes occur, because a quoted field may hold line ends. Nobody knows
//! beforehand where quotes are: a part that meets one in a file that was cut says so ([`Error::Quotes`]), and all parts begin
//! anew with such files dealt whole. Parquet files are cut between row groups.
//!
//! **All parts, one after the other, are the edges of the input in its order.** (Kept by
//! `parts_are_the_whole_whatever_the_cut`.)

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use walkprint_engine::edges::EdgeList;

use crate::columns::ColumnNames;
use crate::error::Problem;
use crate::gather::{Tally, Types};
use crate::{Error, Format, LoadOptions, LoadReport, Passage};

/// Which part of the input to load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    number: u32,
    of: u32,
    cut_delimited: bool,
}

impl Part {
    /// All of the input.
    pub(crate) const ALL: Part = Part { number: 0, of: 1, cut_delimited: true };

    /// Part `number`, from 0, of so many.
    ///
    /// # Panics
    /// When there is no such part.
    #[must_use]
    pub fn new(number: u32, of: u32) -> Part {
        assert!(number < of, "part {number} of {of}");
        Part { number, of, cut_delimited: true }
    }

    /// The same part with CSV and TSV files dealt whole.
    #[must_use]
    pub fn with_delimited_files_whole(self) -> Part {
        Part { cut_delimited: false, ..self }
    }

    pub(crate) fn number(self) -> u32 {
        self.number
    }

    pub(crate) fn of(self) -> u32 {
        self.of
    }

    pub(crate) fn is_all(self) -> bool {
        self.of == 1
    }

    pub(crate) fn cuts_delimited(self) -> bool {
        self.cut_delimited
    }

    /// The stretch of the input's bytes. The last one has the end itself, where an empty file may begin.
    fn stretch(self, total: u64) -> Range<u64> {
        let bound = |number: u32| {
            let bound = u128::from(total) * u128::from(number) / u128::from(self.of);
            u64::try_from(bound).expect("at most the total")
        };
        bound(self.number)..if self.number + 1 == self.of { total.saturating_add(1) } else { bound(self.number + 1) }
    }
}

/// Where a part lies in each file.
pub(crate) struct Cut {
    all: bool,
    stretch: Range<u64>,
    /// Where each file begins among all bytes, and how long it is.
    files: Vec<(u64, u64)>,
}

impl Cut {
    pub(crate) fn new(part: Part, lengths: &[u64]) -> Cut {
        let mut total = 0u64;
        let mut files = Vec::with_capacity(lengths.len());
        for &length in lengths {
            files.push((total, length));
            total = total.saturating_add(length);
        }
        Cut { all: part.is_all(), stretch: part.stretch(total), files }
    }

    /// How many bytes the part has.
    pub(crate) fn bytes(&self) -> u64 {
        let total = self.files.last().map_or(0, |&(start, length)| start.saturating_add(length));
        self.stretch.end.min(total).saturating_sub(self.stretch.start)
    }

    /// How many bytes a file has.
    pub(crate) fn length(&self, file: usize) -> u64 {
        self.files[file].1
    }

    /// Whether a place of a file lies in the part.
    pub(crate) fn holds(&self, file: usize, place: u64) -> bool {
        self.all || self.stretch.contains(&self.files[file].0.saturating_add(place))
    }

    /// The stretch of a file that is the part's; `None` when it has nothing of it.
    pub(crate) fn within(&self, file: usize) -> Option<Range<u64>> {
        let (start, length) = self.files[file];
        let first = self.stretch.start.saturating_sub(start).min(length);
        let end = self.stretch.end.saturating_sub(start).min(length);
        (first < end || self.holds(file, 0)).then_some(first..end.max(first))
    }
}

/// What was counted in one part. All parts' counts make a report: [`LoadReport::of_parts`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PartCounts {
    pub(crate) format: Format,
    pub(crate) names: ColumnNames,
    /// Of each file: its edges in this part, and how many it should have, where it says so and this part knows.
    pub(crate) files: Vec<(u64, Option<u64>)>,
    pub(crate) tally: Tally,
    pub(crate) lines: u64,
    pub(crate) bytes_read: u64,
    pub(crate) bytes_parsed: u64,
    /// Edges that have a type, an undirected one in both directions.
    pub(crate) typed_edges: u64,
    /// What types weigh, if anything.
    pub(crate) types: Option<Types>,
}

impl PartCounts {
    fn merge(&mut self, other: PartCounts) {
        self.tally.add(&other.tally);
        for (file, (edges, entries)) in self.files.iter_mut().zip(other.files) {
            file.0 += edges;
            file.1 = file.1.or(entries);
        }
        self.lines += other.lines;
        self.bytes_read += other.bytes_read;
        self.bytes_parsed += other.bytes_parsed;
        self.typed_edges += other.typed_edges;
        match (&mut self.types, other.types) {
            (Some(types), Some(more)) => types.add(more),
            (types @ None, more) => *types = more,
            (Some(_), None) => {}
        }
    }
}

/// The edges of one part, and what was counted.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadedPart {
    /// The edges, with the ids and the types of edges that occur in this part. Nodes have no types: see
    /// [`node_types_of_range`](crate::node_types_of_range).
    pub edges: EdgeList,
    /// The texts of passages, in formats that have them.
    pub passages: Vec<Passage>,
    /// What was counted.
    pub counts: PartCounts,
}

impl LoadReport {
    /// The report of a load whose parts counted this, in order of the parts; and whether the input as a whole is what it
    /// should be. `nodes` and `integer_ids` are those of all parts together. How many types there are, and how many nodes have
    /// one, is for [`LoadReport::with_types`] to say.
    ///
    /// # Errors
    /// When a file has no edge or not as many as it says, or a type that was given a weight does not occur.
    ///
    /// # Panics
    /// When there is no part.
    pub fn of_parts(
        paths: &[PathBuf],
        options: &LoadOptions,
        parts: Vec<PartCounts>,
        nodes: u64,
        integer_ids: bool,
    ) -> Result<LoadReport, Error> {
        let mut parts = parts.into_iter();
        let mut counts = parts.next().expect("there is a part");
        parts.for_each(|part| counts.merge(part));
        if let Some(types) = counts.types.take() {
            types.check()?;
        }
        for (path, &(edges, entries)) in paths.iter().zip(&counts.files) {
            if let Some(entries) = entries.filter(|&entries| entries != edges) {
                let expected = format!("{entries} entries, as its size line says");
                return Err(Problem::new(expected, edges.to_string()).of_file(path));
            }
            if edges == 0 {
                return Err(Problem::new("edges", "a file without any").of_file(path));
            }
        }
        Ok(LoadReport::new(&counts, options, nodes, integer_ids))
    }
}

/// The files that inputs stand for: a directory stands for its files in the order of their names, but for those whose names
/// begin with `.` or `_`, which by custom are no data.
///
/// # Errors
/// When a directory cannot be read, holds another directory, or holds no file.
pub fn files_of(inputs: &[PathBuf]) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::with_capacity(inputs.len());
    for input in inputs {
        if !input.is_dir() {
            files.push(input.clone());
            continue;
        }
        let failed = |source| Error::Read { path: input.clone(), source };
        let mut within = Vec::new();
        for entry in std::fs::read_dir(input).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if name.starts_with(['.', '_']) {
                continue;
            }
            if path.is_dir() {
                return Err(Error::Directory { path });
            }
            within.push(path);
        }
        if within.is_empty() {
            return Err(Problem::new("files of edges", "a directory without any").of_file(input));
        }
        within.sort();
        files.extend(within);
    }
    Ok(files)
}

/// Files that several processes cut among themselves can be read more than once, and from the middle.
pub(crate) fn check_can_be_cut(part: Part, path: &Path) -> Result<(), Error> {
    if part.is_all() {
        return Ok(());
    }
    let metadata = std::fs::metadata(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    if metadata.is_file() {
        return Ok(());
    }
    Err(Problem::new("a file that several processes can read", "a pipe or device").of_file(path))
}
