//! CSV and TSV: fields between delimiters, quoted as in RFC 4180, mostly under a header.
//!
//! A field that begins with a quote ends with the next single quote; a doubled quote inside stands for one. Anything
//! between a closing quote and the next delimiter is an error, and so is a quote that is never closed: readers that
//! forgive these swallow the rest of the file as one field. A quote inside a field that does not begin with one is a
//! character like any other. Every record has as many fields as the first; blank lines are skipped.

use std::ops::Range;

use memchr::{memchr, memchr_iter};

use crate::columns::{self, Columns, Named};
use crate::error::{Problem, quoted};
use crate::gather::Sink;
use crate::{Format, LoadOptions};

/// How the records of one file are to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) delimiter: u8,
    pub(crate) columns: Columns,
}

/// The delimiter of a format.
pub(crate) fn delimiter(format: Format) -> u8 {
    if format == Format::Tsv { b'\t' } else { b',' }
}

/// Finds the layout in the first bytes of a file, and how many of them the header takes. `Ok(None)`: more of the file
/// is needed.
pub(crate) fn layout(
    head: &[u8],
    first_line: u64,
    ended: bool,
    format: Format,
    options: &LoadOptions,
) -> Result<Option<(Layout, usize)>, (u64, Problem)> {
    let delimiter = delimiter(format);
    let mut record = Record::new(delimiter);
    let mut reader = Reader { rest: head, line: first_line };
    let first = match first_record(&mut reader, &mut record, ended)? {
        Found::First(line) => line,
        Found::Nothing => return Err((first_line, Problem::new("a header and edges", "an empty file"))),
        Found::Unfinished => return Ok(None),
    };
    let at = |problem| (first, problem);
    let named = columns::named(options).map_err(at)?;
    if named == Named::Numbers {
        if options.source_col.is_none() || options.target_col.is_none() {
            let expected =
                "the columns of source and target by number too (--source-col, --target-col), or all by name";
            return Err(at(Problem::new(expected, "numbers for others only")));
        }
        let columns = Columns::by_number(options, record.len()).map_err(at)?;
        let ends = |record: &Record| [record.field(columns.source).to_vec(), record.field(columns.target).to_vec()];
        let names = ends(&record);
        let next = match first_record(&mut reader, &mut record, ended)? {
            Found::First(_) => (record.len() == columns.count).then(|| ends(&record)),
            Found::Nothing => None,
            Found::Unfinished => return Ok(None),
        };
        let next = next.as_ref().map(|[source, target]| [source.as_slice(), target.as_slice()]);
        if options.format.is_none()
            && let Some(problem) = columns::header_in_disguise([&names[0], &names[1]], next)
        {
            return Err(at(problem));
        }
        return Ok(Some((Layout { delimiter, columns }, 0)));
    }
    let mut header = Vec::with_capacity(record.len());
    for place in 0..record.len() {
        let name = std::str::from_utf8(record.field(place));
        header.push(name.map_err(|_| at(Problem::new("a header in UTF-8", quoted(record.field(place)))))?.to_owned());
    }
    let columns = Columns::by_header(options, &header).map_err(at)?;
    Ok(Some((Layout { delimiter, columns }, head.len() - reader.rest.len())))
}

enum Found {
    /// A record, which begins at this line.
    First(u64),
    /// The end of the file.
    Nothing,
    /// Perhaps only part of a record.
    Unfinished,
}

fn first_record<'text>(
    reader: &mut Reader<'text>,
    record: &mut Record<'text>,
    ended: bool,
) -> Result<Found, (u64, Problem)> {
    match reader.next(record) {
        Some(Ok(line)) if ended || record.end == End::Line => Ok(Found::First(line)),
        Some(Err(problem)) if ended || record.end == End::Line => Err(problem),
        None if ended => Ok(Found::Nothing),
        _ => Ok(Found::Unfinished),
    }
}

/// Reads the edges of a block of whole records. A problem comes with its line.
pub(crate) fn parse(layout: &Layout, block: &[u8], first_line: u64, sink: &mut Sink) -> Result<(), (u64, Problem)> {
    let mut record = Record::new(layout.delimiter);
    let mut reader = Reader { rest: block, line: first_line };
    while let Some(line) = reader.next(&mut record) {
        let line = line?;
        let taken = if record.len() == layout.columns.count {
            layout.columns.take(sink, |place| record.field(place))
        } else {
            let expected = format!("{} columns, as in the first line", layout.columns.count);
            Err(Problem::new(expected, format!("{}: {}", record.len(), quoted(record.text))))
        };
        taken.map_err(|problem| (line, problem))?;
    }
    Ok(())
}

/// The fields of a line; none if it is no record.
pub(crate) fn fields(line: &[u8], delimiter: u8) -> Vec<String> {
    let mut record = Record::new(delimiter);
    match (Reader { rest: line, line: 1 }).next(&mut record) {
        Some(Ok(_)) => {
            (0..record.len()).map(|place| String::from_utf8_lossy(record.field(place)).into_owned()).collect()
        }
        _ => Vec::new(),
    }
}

/// The fields of one record, as places in its text, or, when one was quoted, in a copy without quotes.
pub(crate) struct Record<'text> {
    delimiter: u8,
    text: &'text [u8],
    fields: Vec<Range<usize>>,
    /// Empty unless a field was quoted.
    unquoted: Vec<u8>,
    was_quoted: bool,
    end: End,
}

/// What ended a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The end of its line, or trouble before that.
    Line,
    /// The end of the text.
    Text,
}

impl<'text> Record<'text> {
    pub(crate) fn new(delimiter: u8) -> Self {
        Record { delimiter, text: &[], fields: Vec::new(), unquoted: Vec::new(), was_quoted: false, end: End::Text }
    }

    pub(crate) fn len(&self) -> usize {
        self.fields.len()
    }

    /// The whole record as it was written.
    pub(crate) fn text(&self) -> &[u8] {
        self.text
    }

    pub(crate) fn field(&self, place: usize) -> &[u8] {
        let range = self.fields[place].clone();
        if self.was_quoted { &self.unquoted[range] } else { &self.text[range] }
    }
}

/// What is left of the text, and the line it begins with.
pub(crate) struct Reader<'text> {
    pub(crate) rest: &'text [u8],
    pub(crate) line: u64,
}

impl<'text> Reader<'text> {
    /// Reads the next record, past blank lines, and says at which line it begins.
    pub(crate) fn next(&mut self, record: &mut Record<'text>) -> Option<Result<u64, (u64, Problem)>> {
        loop {
            if self.rest.is_empty() {
                return None;
            }
            let end = memchr(b'\n', self.rest);
            let text = &self.rest[..end.unwrap_or(self.rest.len())];
            if memchr(b'"', text).is_some() {
                return Some(self.next_quoted(record));
            }
            let line = self.line;
            self.rest = &self.rest[end.map_or(self.rest.len(), |end| end + 1)..];
            self.line += 1;
            let text = text.strip_suffix(b"\r").unwrap_or(text);
            if text.is_empty() {
                continue;
            }
            record.text = text;
            record.was_quoted = false;
            record.end = if end.is_some() { End::Line } else { End::Text };
            record.fields.clear();
            let mut start = 0;
            for end in memchr_iter(record.delimiter, text) {
                record.fields.push(start..end);
                start = end + 1;
            }
            record.fields.push(start..text.len());
            return Some(Ok(line));
        }
    }

    /// Reads a record in which a quote occurs.
    fn next_quoted(&mut self, record: &mut Record<'text>) -> Result<u64, (u64, Problem)> {
        let (line, text) = (self.line, self.rest);
        record.fields.clear();
        record.unquoted.clear();
        record.was_quoted = true;
        record.end = End::Text;
        let mut at = 0;
        loop {
            let start = record.unquoted.len();
            if text.get(at) == Some(&b'"') {
                let opened = self.line;
                at = self.quoted_field(at + 1, &mut record.unquoted).ok_or_else(|| {
                    let expected = "a closing quote for the field that begins here";
                    (opened, Problem::new(expected, "the end of the file"))
                })?;
                let after = &text[at..];
                if !(after.is_empty() || after.starts_with(b"\n") || after.starts_with(b"\r\n") || after == b"\r")
                    && after[0] != record.delimiter
                {
                    let expected = "a delimiter after the closing quote (a quote inside a quoted field is doubled)";
                    let shown = &after[..memchr(b'\n', after).unwrap_or(after.len())];
                    record.end = End::Line;
                    return Err((self.line, Problem::new(expected, quoted(shown))));
                }
            }
            let rest = &text[at..];
            let end = memchr::memchr2(record.delimiter, b'\n', rest);
            let field = &rest[..end.unwrap_or(rest.len())];
            let ends_line = end.is_none_or(|end| rest[end] == b'\n');
            let field = if ends_line { field.strip_suffix(b"\r").unwrap_or(field) } else { field };
            record.unquoted.extend_from_slice(field);
            record.fields.push(start..record.unquoted.len());
            at += end.map_or(rest.len(), |end| end + 1);
            if ends_line {
                self.line += 1;
                record.end = if end.is_some() { End::Line } else { End::Text };
                record.text = &text[..at];
                self.rest = &text[at..];
                return Ok(line);
            }
        }
    }

    /// Copies what stands between quotes, and says where the text goes on. `None`: there is no closing quote.
    fn quoted_field(&mut self, mut at: usize, unquoted: &mut Vec<u8>) -> Option<usize> {
        let text = self.rest;
        loop {
            let end = at + memchr(b'"', &text[at..])?;
            unquoted.extend_from_slice(&text[at..end]);
            self.line += memchr_iter(b'\n', &text[at..end]).count() as u64;
            if text.get(end + 1) != Some(&b'"') {
                return Some(end + 1);
            }
            unquoted.push(b'"');
            at = end + 2;
        }
    }
}
