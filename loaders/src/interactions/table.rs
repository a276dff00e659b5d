//! CSV and TSV under a header that names user and item, and RecBole's atomic files, whose header has types as well:
//! `user_id:token`, `item_id:token`, `rating:float`, `timestamp:float`.

use std::path::Path;
use std::sync::Arc;

use memchr::memchr;

use super::InteractionOptions;
use super::columns::{self, Columns};
use super::gather::{Gatherer, RATING, TIME, number};
use crate::blocks::{BLOCK_BYTES, Blocks, Cut, lines_in};
use crate::delimited::{self, Reader, Record};
use crate::error::{Problem, quoted};
use crate::source::Source;
use crate::text::BYTE_ORDER_MARK;
use crate::{Error, Format};

/// The types that RecBole knows.
const TYPES: [&str; 4] = ["token", "token_seq", "float", "float_seq"];

/// Whether the first line of a file is a header that names user and item.
///
/// # Errors
/// When the file cannot be read.
pub(super) fn is_recognised(path: &Path) -> Result<bool, Error> {
    let mut blocks = Blocks::new(Source::open(path, &Arc::default())?, BLOCK_BYTES);
    blocks.grow()?;
    let head = blocks.head();
    let head = head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(head);
    let line = &head[..memchr(b'\n', head).unwrap_or(head.len())];
    Ok(columns::are_recognised(&delimited::fields(line, delimiter(line))))
}

/// Tabs where there are some, else commas.
fn delimiter(header: &[u8]) -> u8 {
    delimited::delimiter(if memchr(b'\t', header).is_some() { Format::Tsv } else { Format::Csv })
}

/// Reads a file; `typed` when its header has types.
pub(super) fn read(
    blocks: &mut Blocks,
    typed: bool,
    options: &InteractionOptions,
    gatherer: &mut Gatherer,
    tell: &dyn Fn() -> Result<(), Error>,
) -> Result<(), Error> {
    while memchr(b'\n', blocks.head()).is_none() && !blocks.ended() {
        blocks.check_head()?;
        blocks.grow()?;
    }
    let (first, end) = {
        let head = blocks.head();
        let end = memchr(b'\n', head).map_or(head.len(), |end| end + 1);
        (head[..end].to_vec(), end)
    };
    let header_line = blocks.line();
    let delimiter = if typed { b'\t' } else { delimiter(&first) };
    let header = header(&first, delimiter, typed);
    let columns = header.and_then(|header| {
        let columns = Columns::by_header(options, &header)?;
        if typed {
            check_types(&columns, &header)?
        }
        gatherer.begin(columns.found.clone())?;
        Ok(columns)
    });
    let columns = columns.map_err(|problem| blocks.at_line(problem, header_line))?;
    blocks.skip(end);
    gatherer.lines += 1;
    while let Some((first_line, bytes)) = blocks.next_block(Cut::Records(delimiter))? {
        let mut record = Record::new(delimiter);
        let mut reader = Reader { rest: &bytes, line: first_line };
        while let Some(line) = reader.next(&mut record) {
            let line = line.map_err(|(line, problem)| blocks.at_line(problem, line))?;
            take(&record, &columns, gatherer).map_err(|problem| blocks.at_line(problem, line))?;
        }
        gatherer.lines += lines_in(&bytes) + u64::from(!bytes.ends_with(b"\n"));
        tell()?;
    }
    gatherer.bytes_parsed += blocks.bytes();
    Ok(())
}

fn header(line: &[u8], delimiter: u8, typed: bool) -> Result<Vec<String>, Problem> {
    let text = std::str::from_utf8(line).map_err(|_| Problem::new("a header in UTF-8", quoted(line)))?;
    let header = delimited::fields(text.as_bytes(), delimiter);
    if header.is_empty() {
        return Err(Problem::new("a header with columns for user and item", quoted(line.trim_ascii_end())));
    }
    if typed {
        for column in &header {
            let known = column.rsplit_once(':').is_some_and(|(_, kind)| TYPES.contains(&kind.trim()));
            if !known {
                let expected = "a header of names with types, as user_id:token, separated by tabs (types: token, token_seq, \
                                float, float_seq)";
                return Err(Problem::new(expected, quoted(column.as_bytes())));
            }
        }
    }
    Ok(header)
}

/// Ids are tokens, ratings and times are floats.
fn check_types(columns: &Columns, header: &[String]) -> Result<(), Problem> {
    let ids = [Some(columns.user), Some(columns.item)].map(|place| (place, "token"));
    let numbers = [columns.weight, columns.time].map(|place| (place, "float"));
    for (place, expected) in ids.into_iter().chain(numbers) {
        let Some(column) = place.map(|place| &header[place]) else { continue };
        if column.rsplit_once(':').is_none_or(|(_, kind)| kind.trim() != expected) {
            let what = format!("the type {expected} for this column");
            return Err(Problem::new(what, quoted(column.as_bytes())));
        }
    }
    Ok(())
}

fn take(record: &Record<'_>, columns: &Columns, gatherer: &mut Gatherer) -> Result<(), Problem> {
    if record.len() != columns.count {
        let expected = format!("{} columns, as in the header", columns.count);
        return Err(Problem::new(expected, format!("{}: {}", record.len(), quoted(record.text()))));
    }
    let weight = columns.weight.map(|place| number(record.field(place), RATING)).transpose()?;
    let time = columns.time.map(|place| number(record.field(place), TIME)).transpose()?;
    let user = gatherer.user(record.field(columns.user))?;
    gatherer.take(user, record.field(columns.item), weight, time)
}
