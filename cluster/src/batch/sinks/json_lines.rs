//! JSON Lines: an object a row.

use std::io::Write;
use std::path::PathBuf;

use serde::Serialize;
use walkprint_engine::error::Error as EngineError;

use crate::batch::rows::{Ids, Stretch};
use crate::error::Result;

/// A file of JSON lines that is being written.
pub(crate) struct JsonLines<W: Write> {
    output: W,
    line: Vec<u8>,
    path: PathBuf,
}

/// An id as JSON: a number or a string.
#[derive(Serialize)]
#[serde(untagged)]
enum Id<'a> {
    Integer(i64),
    String(&'a str),
}

/// A row as JSON, in the order of the columns.
#[derive(Serialize)]
struct Line<'a> {
    source: Id<'a>,
    target: Id<'a>,
    score: f32,
    std_error: f32,
    rank: u32,
}

impl<W: Write> JsonLines<W> {
    /// Begins a file.
    pub(super) fn new(output: W, path: PathBuf) -> JsonLines<W> {
        JsonLines { output, line: Vec::new(), path }
    }

    /// Writes rows.
    pub(super) fn write(&mut self, stretch: &Stretch) -> Result<()> {
        for at in 0..stretch.len() {
            let line = Line {
                source: id(&stretch.sources, at),
                target: id(&stretch.targets, at),
                score: stretch.scores[at],
                std_error: stretch.std_errors[at],
                rank: stretch.ranks[at],
            };
            self.line.clear();
            serde_json::to_writer(&mut self.line, &line).expect("plain structs always serialize");
            self.line.push(b'\n');
            self.output.write_all(&self.line).map_err(EngineError::io(&self.path, "write"))?;
        }
        Ok(())
    }
}

fn id(ids: &Ids, at: usize) -> Id<'_> {
    match ids {
        Ids::Integers(integers) => Id::Integer(integers[at]),
        Ids::Strings { keys, ids } => Id::String(&ids[usize::try_from(keys[at]).expect("keys are places")]),
    }
}
