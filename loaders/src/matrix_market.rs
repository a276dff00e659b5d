//! Matrix Market coordinate files: an entry in row *i* and column *j* is an edge from *i* to *j*.
//!
//! The banner says what the entries are (`pattern`, `real`, `integer`) and whether each stands for its mirror image
//! too (`symmetric`); the size line says how many rows, columns and entries there are, and all of it is checked. Every
//! index from 1 to the size is a node, with or without edges. Format: Boisvert, Pozo, Remington, *The Matrix Market
//! Exchange Formats*, NISTIR 5935 (1996), section 2.

use memchr::memchr;

use crate::columns::ColumnNames;
use crate::edge_list::next_line;
use crate::error::{Problem, quoted};
use crate::gather::{Sink, parse_weight};

/// What the first line of a file begins with, in any case of letters.
pub(crate) const BANNER: &[u8] = b"%%MatrixMarket";

/// How the entries of one file are to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Rows, and columns.
    pub(crate) size: u32,
    /// Entries the file says it has.
    pub(crate) entries: u64,
    /// Whether entries have values.
    pub(crate) weighted: bool,
    /// Whether an entry stands for its mirror image too.
    pub(crate) symmetric: bool,
}

impl Layout {
    /// The columns as a report names them.
    pub(crate) fn names(&self) -> ColumnNames {
        ColumnNames {
            source: "column 1".to_owned(),
            target: "column 2".to_owned(),
            weight: self.weighted.then(|| "column 3".to_owned()),
            ..ColumnNames::default()
        }
    }
}

/// Whether a file begins as Matrix Market files do.
pub(crate) fn has_banner(head: &[u8]) -> bool {
    head.get(..BANNER.len()).is_some_and(|start| start.eq_ignore_ascii_case(BANNER))
}

/// Finds the layout in the first lines of a file, and how many bytes these take. `Ok(None)`: more of the file is
/// needed.
pub(crate) fn layout(head: &[u8], first_line: u64, ended: bool) -> Result<Option<(Layout, usize)>, (u64, Problem)> {
    let mut rest = head;
    if memchr(b'\n', rest).is_none() && !ended {
        return Ok(None);
    }
    let banner = next_line(&mut rest);
    let (weighted, symmetric) = read_banner(banner).map_err(|problem| (first_line, problem))?;
    let mut line = first_line + 1;
    loop {
        if !ended && memchr(b'\n', rest).is_none() {
            return Ok(None);
        }
        if rest.is_empty() {
            return Err((line, Problem::new("a size line: rows, columns, entries", "the end of the file")));
        }
        let text = next_line(&mut rest);
        if !text.trim_ascii().is_empty() && !text.starts_with(b"%") {
            let (size, entries) = read_size(text).map_err(|problem| (line, problem))?;
            return Ok(Some((Layout { size, entries, weighted, symmetric }, head.len() - rest.len())));
        }
        line += 1;
    }
}

/// Whether entries have values, and whether each stands for its mirror image.
fn read_banner(line: &[u8]) -> Result<(bool, bool), Problem> {
    let words: Vec<String> = line
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty())
        .map(|word| String::from_utf8_lossy(word).to_ascii_lowercase())
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let ["%%matrixmarket", object, format, field, symmetry] = words[..] else {
        return Err(Problem::new(
            "a banner: %%MatrixMarket matrix coordinate real general (or the like)",
            quoted(line),
        ));
    };
    if object != "matrix" || format != "coordinate" {
        return Err(Problem::new("a matrix in coordinate format", format!("{object} {format}")));
    }
    let weighted = match field {
        "pattern" => false,
        "real" | "integer" => true,
        _ => return Err(Problem::new("entries that are pattern, real or integer", field)),
    };
    match symmetry {
        "general" => Ok((weighted, false)),
        "symmetric" => Ok((weighted, true)),
        _ => Err(Problem::new("a matrix that is general or symmetric", symmetry)),
    }
}

/// The number of rows (and columns), and of entries.
fn read_size(line: &[u8]) -> Result<(u32, u64), Problem> {
    let numbers: Option<Vec<u64>> = fields(line).map(whole_number).collect();
    let Some([rows, columns, entries]) = numbers.as_deref() else {
        return Err(Problem::new("a size line: rows, columns, entries", quoted(line)));
    };
    if rows != columns {
        let expected = "as many rows as columns, because both are nodes of one graph";
        return Err(Problem::new(expected, format!("{rows} rows and {columns} columns")));
    }
    match u32::try_from(*rows) {
        Ok(size) if u64::from(size) <= walkprint_engine::ids::MAX_NODES => Ok((size, *entries)),
        _ => Err(Problem::new(format!("at most {} rows", walkprint_engine::ids::MAX_NODES), rows.to_string())),
    }
}

/// Reads the entries of a block. A problem comes with its line.
pub(crate) fn parse(layout: &Layout, block: &[u8], first_line: u64, sink: &mut Sink) -> Result<(), (u64, Problem)> {
    let (mut rest, mut line) = (block, first_line);
    while !rest.is_empty() {
        let text = next_line(&mut rest);
        if text.starts_with(b"%") {
            sink.tally.comment_lines += 1;
        } else if !text.trim_ascii().is_empty() {
            entry(layout, text, sink).map_err(|problem| (line, problem))?;
        }
        line += 1;
    }
    Ok(())
}

fn entry(layout: &Layout, text: &[u8], sink: &mut Sink) -> Result<(), Problem> {
    let mut fields = fields(text);
    let (row, column) = (fields.next(), fields.next());
    let value = if layout.weighted { fields.next() } else { None };
    let (Some(row), Some(column), None, true) = (row, column, fields.next(), value.is_some() == layout.weighted) else {
        let expected = if layout.weighted { "row, column and value" } else { "row and column" };
        return Err(Problem::new(expected, quoted(text)));
    };
    let index = |field: &[u8]| match whole_number(field).map(u32::try_from) {
        Some(Ok(number)) if 1 <= number && number <= layout.size => Ok(number - 1),
        _ => Err(Problem::new(format!("an index from 1 to {}", layout.size), quoted(field))),
    };
    let (row, column) = (index(row)?, index(column)?);
    sink.edge(row, column, value.map(parse_weight).transpose()?, None)
}

fn fields(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty())
}

fn whole_number(field: &[u8]) -> Option<u64> {
    // `parse` alone would take a plus sign.
    if !field.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(field).ok()?.parse().ok()
}
