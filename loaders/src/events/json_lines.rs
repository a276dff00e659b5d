//! Events as JSON: an object a line, as [`WrittenEvent`] has it. Blank lines are skipped.

use memchr::memchr;
use walkprint_engine::events::WrittenEvent;

use super::Gathered;
use crate::Error;
use crate::blocks::{Blocks, Cut};
use crate::error::Problem;

/// Reads the next lines; false at the end.
pub(super) fn read(blocks: &mut Blocks, gathered: &mut Gathered) -> Result<bool, Error> {
    let Some((first_line, bytes)) = blocks.next_block(Cut::Lines)? else { return Ok(false) };
    let (mut rest, mut line) = (&bytes[..], first_line);
    while !rest.is_empty() {
        let end = memchr(b'\n', rest);
        let text = rest[..end.unwrap_or(rest.len())].trim_ascii();
        if !text.is_empty() {
            let taken = written(text).and_then(|written| gathered.take(written, line));
            taken.map_err(|problem| blocks.at_line(problem, line))?;
        }
        rest = &rest[end.map_or(rest.len(), |end| end + 1)..];
        line += 1;
    }
    Ok(true)
}

fn written(text: &[u8]) -> Result<WrittenEvent, Problem> {
    serde_json::from_slice(text).map_err(|error| {
        let expected = "an event as JSON, like {\"op\": \"add\", \"source\": \"a\", \"target\": \"b\", \"weight\": 1}";
        let got = error.to_string();
        // It is a line of its own to the parser; which of the file, the error says already.
        let got = got.split(" at line ").next().unwrap_or_default();
        Problem::new(expected, format!("{got} (column {})", error.column()))
    })
}
