//! Events as CSV or TSV: a row an event. An empty field is none.

use std::str;

use memchr::memchr;
use walkprint_engine::events::{Operation, WrittenEvent};

use super::columns::{self, Columns};
use super::{EventOptions, Gathered};
use crate::Error;
use crate::blocks::{Blocks, Cut, scan_records};
use crate::delimited::{self, Reader, Record};
use crate::error::{Problem, quoted};

/// A table whose columns are known.
pub(super) struct Table {
    blocks: Blocks,
    delimiter: u8,
    columns: Columns,
    pub(super) ignored: Vec<String>,
}

impl Table {
    /// Finds the columns: by the header, which is taken off, or by number.
    pub(super) fn begin(mut blocks: Blocks, delimiter: u8, options: &EventOptions) -> Result<Table, Error> {
        let end = loop {
            // A header may have line ends within quotes.
            match scan_records(blocks.head(), delimiter).first_end {
                Some(end) => break end,
                None if blocks.ended() => break blocks.head().len(),
                None => {
                    blocks.check_head()?;
                    blocks.grow()?;
                }
            }
        };
        let line = blocks.line();
        let first = delimited::fields(&blocks.head()[..end], delimiter);
        let found = columns::are_numbered(options).and_then(|numbered| {
            if numbered {
                return Ok((Columns::by_number(options, first.len())?, Vec::new(), 0));
            }
            if first.is_empty() || str::from_utf8(&blocks.head()[..end]).is_err() {
                return Err(Problem::new(
                    "a header with columns' names",
                    quoted(blocks.head()[..end].trim_ascii_end()),
                ));
            }
            let columns = Columns::by_header(options, &first)?;
            let ignored = columns.ignored(&first);
            Ok((columns, ignored, end))
        });
        let (columns, ignored, header) = found.map_err(|problem| blocks.at_line(problem, line))?;
        blocks.skip(header);
        Ok(Table { blocks, delimiter, columns, ignored })
    }

    /// Reads the next rows; false at the end.
    pub(super) fn read(&mut self, gathered: &mut Gathered) -> Result<bool, Error> {
        let Some((first_line, bytes)) = self.blocks.next_block(Cut::Records(self.delimiter))? else { return Ok(false) };
        let mut record = Record::new(self.delimiter);
        let mut reader = Reader { rest: &bytes, line: first_line };
        while let Some(line) = reader.next(&mut record) {
            let line = line.map_err(|(line, problem)| self.blocks.at_line(problem, line))?;
            let taken = written(&record, &self.columns).and_then(|written| gathered.take(written, line));
            taken.map_err(|problem| self.blocks.at_line(problem, line))?;
        }
        Ok(true)
    }
}

fn written(record: &Record<'_>, columns: &Columns) -> Result<WrittenEvent, Problem> {
    if record.len() != columns.count {
        let expected = format!("{} columns, as in the first line", columns.count);
        return Err(Problem::new(expected, format!("{}: {}", record.len(), quoted(record.text()))));
    }
    let text = |place: Option<usize>| -> Result<Option<&str>, Problem> {
        let Some(field) = place.map(|place| record.field(place)).filter(|field| !field.is_empty()) else {
            return Ok(None);
        };
        str::from_utf8(field).map(Some).map_err(|_| Problem::new("text in UTF-8", quoted(field)))
    };
    let owned = |place| -> Result<Option<String>, Problem> { Ok(text(place)?.map(str::to_owned)) };
    Ok(WrittenEvent {
        op: operation(text(columns.operation)?)?,
        source: owned(columns.source)?,
        target: owned(columns.target)?,
        user_id: owned(columns.user)?,
        item_id: owned(columns.item)?,
        node: owned(columns.node)?,
        weight: number(text(columns.weight)?, "a weight")?,
        kind: owned(columns.kind)?,
        time: number(text(columns.time)?, "a time (a number of seconds, say since 1970)")?,
        event_id: owned(columns.event_id)?,
    })
}

/// An operation; none means that something is added.
pub(super) fn operation(text: Option<&str>) -> Result<Operation, Problem> {
    text.map_or(Ok(Operation::Add), |text| text.trim_ascii().parse().map_err(Problem::from))
}

fn number(text: Option<&str>, what: &'static str) -> Result<Option<f64>, Problem> {
    let Some(text) = text.filter(|text| !text.trim_ascii().is_empty()) else { return Ok(None) };
    text.trim_ascii().parse().map(Some).map_err(|_| Problem::new(what, quoted(text.as_bytes())))
}

/// Tabs where there are some in the first line, else commas.
pub(super) fn delimiter(head: &[u8]) -> u8 {
    let line = &head[..memchr(b'\n', head).unwrap_or(head.len())];
    if memchr(b'\t', line).is_some() { b'\t' } else { b',' }
}
