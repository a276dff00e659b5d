//! The formats that answers are written in. One file a format; each takes stretches of rows and writes them in order.
//!
//! Columns: `source` and `target` (integers or strings, as the ids of the graph are), `score` and `std_error` in single
//! precision, `rank` from 1; sorted by source and rank.

mod parquet_file;

mod csv_file;

mod json_lines;

use std::path::{Path, PathBuf};

use super::options::Format;
use super::rows::Stretch;
use super::writer::Output;
use crate::error::Result;

/// The names of the columns, in order.
const COLUMNS: [&str; 5] = ["source", "target", "score", "std_error", "rank"];

/// A file that is being written.
pub(super) enum Sink<'file> {
    Parquet(parquet_file::ParquetFile<&'file mut Output>),
    Csv(csv_file::CsvFile<&'file mut Output>),
    JsonLines(json_lines::JsonLines<&'file mut Output>),
}

impl<'file> Sink<'file> {
    /// Begins a file; `path` is for messages.
    pub(super) fn new(format: Format, output: &'file mut Output, integers: bool, path: &Path) -> Result<Sink<'file>> {
        let path: PathBuf = path.to_owned();
        Ok(match format {
            Format::Parquet => Sink::Parquet(parquet_file::ParquetFile::new(output, integers, path)?),
            Format::Csv => Sink::Csv(csv_file::CsvFile::new(output, path)?),
            Format::Jsonl => Sink::JsonLines(json_lines::JsonLines::new(output, path)),
        })
    }

    /// Writes rows.
    pub(super) fn write(&mut self, stretch: Stretch) -> Result<()> {
        match self {
            Sink::Parquet(file) => file.write(stretch),
            Sink::Csv(file) => file.write(&stretch),
            Sink::JsonLines(file) => file.write(&stretch),
        }
    }

    /// Writes what is left to write.
    pub(super) fn finish(self) -> Result<()> {
        match self {
            Sink::Parquet(file) => file.finish(),
            Sink::Csv(file) => file.finish(),
            Sink::JsonLines(_) => Ok(()),
        }
    }
}
