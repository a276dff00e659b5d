//! CSV: a header, commas, quotes where a field needs them.

use std::io::Write;
use std::path::PathBuf;

use walkprint_engine::error::Error as EngineError;

use super::COLUMNS;
use crate::batch::rows::{Ids, Stretch};
use crate::error::Result;

/// A CSV file that is being written.
pub(crate) struct CsvFile<W: Write> {
    writer: csv::Writer<W>,
    path: PathBuf,
}

impl<W: Write> CsvFile<W> {
    /// Begins a file with its header.
    pub(super) fn new(output: W, path: PathBuf) -> Result<CsvFile<W>> {
        let mut file = CsvFile { writer: csv::Writer::from_writer(output), path };
        let header = file.writer.write_record(COLUMNS);
        file.check(header)?;
        Ok(file)
    }

    /// Writes rows.
    pub(super) fn write(&mut self, stretch: &Stretch) -> Result<()> {
        let written = (0..stretch.len()).try_for_each(|at| {
            for ids in [&stretch.sources, &stretch.targets] {
                match ids {
                    Ids::Integers(integers) => self.writer.write_field(integers[at].to_string())?,
                    Ids::Strings { keys, ids } => {
                        let place = usize::try_from(keys[at]).expect("keys are places");
                        self.writer.write_field(&ids[place])?;
                    }
                }
            }
            self.writer.write_field(stretch.scores[at].to_string())?;
            self.writer.write_field(stretch.std_errors[at].to_string())?;
            self.writer.write_field(stretch.ranks[at].to_string())?;
            self.writer.write_record(None::<&[u8]>)
        });
        self.check(written)
    }

    /// Hands over what is buffered.
    pub(super) fn finish(mut self) -> Result<()> {
        Ok(self.writer.flush().map_err(EngineError::io(&self.path, "write"))?)
    }

    fn check(&self, written: csv::Result<()>) -> Result<()> {
        let failed = |error: csv::Error| match error.into_kind() {
            csv::ErrorKind::Io(source) => source,
            other => std::io::Error::other(format!("{other:?}")),
        };
        Ok(written.map_err(failed).map_err(EngineError::io(&self.path, "write"))?)
    }
}
