//! Edge lists as SNAP and KONECT publish them: a line an edge, no header.
//!
//! Columns are separated by tabs if the first line of data has one (ids may then contain blanks), and by runs of
//! blanks and tabs if not. Lines that begin with `#` or `%` are comments; blank lines are skipped. The first line of
//! data says how many columns there are: two, or three with a weight; more only if the options say which is which.

use memchr::{memchr, memchr_iter};

use crate::LoadOptions;
use crate::columns::{self, Columns, Named};
use crate::error::{Problem, quoted};
use crate::gather::Sink;

/// How the lines of one file are to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    tabs: bool,
    pub(crate) columns: Columns,
}

/// Finds the layout in the first lines of a file. `Ok(None)`: more of it is needed.
///
/// `may_have_header` is false when the user said that this is an edge list.
pub(crate) fn layout(
    head: &[u8],
    first_line: u64,
    ended: bool,
    may_have_header: bool,
    options: &LoadOptions,
) -> Result<Option<Layout>, (u64, Problem)> {
    let mut data = data_lines(head, first_line, ended);
    let Some((line, first)) = data.next() else {
        return if ended { Err((first_line, Problem::new("edges", "a file without any"))) } else { Ok(None) };
    };
    let second = data.next();
    if second.is_none() && !ended {
        return Ok(None);
    }
    let tabs = memchr(b'\t', first).is_some();
    let mut fields = Vec::new();
    split(first, tabs, &mut fields);
    let at = |problem| (line, problem);
    let named = columns::named(options).map_err(at)?;
    if named == Named::Names {
        let expected = "columns by number, because an edge list has no header (or --format csv or tsv)";
        return Err(at(Problem::new(expected, "names")));
    }
    if fields.len() < 2 || (3 < fields.len() && named == Named::Not) {
        return Err(at(wrong_columns(first, fields.len())));
    }
    let columns = Columns::by_number(options, fields.len()).map_err(at)?;
    if may_have_header {
        let ends = |fields: &[&'_ [u8]]| -> [Vec<u8>; 2] {
            [fields[columns.source].to_vec(), fields[columns.target].to_vec()]
        };
        let names = ends(&fields);
        let next = second.and_then(|(_, second)| {
            split(second, tabs, &mut fields);
            (fields.len() == columns.count).then(|| ends(&fields))
        });
        let next = next.as_ref().map(|[source, target]| [source.as_slice(), target.as_slice()]);
        if let Some(problem) = columns::header_in_disguise([&names[0], &names[1]], next) {
            return Err(at(problem));
        }
    }
    Ok(Some(Layout { tabs, columns }))
}

fn wrong_columns(line: &[u8], got: usize) -> Problem {
    let expected = if got < 2 {
        if memchr(b',', line).is_some() {
            "source and target separated by tabs or blanks (for commas: --format csv; without a header also \
             --source-col 1 --target-col 2)"
        } else {
            "source and target separated by tabs or blanks"
        }
    } else {
        "2 columns, or 3 with a weight (for more say which: --source-col 1 --target-col 2, and --weight-col 3 if there \
         are weights)"
    };
    Problem::new(expected, format!("{got}: {}", quoted(line)))
}

/// Reads the edges of a block. A problem comes with its line.
pub(crate) fn parse(layout: &Layout, block: &[u8], first_line: u64, sink: &mut Sink) -> Result<(), (u64, Problem)> {
    let mut fields = Vec::with_capacity(layout.columns.count);
    let (mut rest, mut line) = (block, first_line);
    while !rest.is_empty() {
        let text = next_line(&mut rest);
        match text.first() {
            Some(b'#' | b'%') => sink.tally.comment_lines += 1,
            _ if is_blank(text) => {}
            _ => {
                split(text, layout.tabs, &mut fields);
                let taken = if fields.len() == layout.columns.count {
                    layout.columns.take(sink, |place| fields[place])
                } else {
                    Err(ragged(layout, text, fields.len()))
                };
                taken.map_err(|problem| (line, problem))?;
            }
        }
        line += 1;
    }
    Ok(())
}

fn ragged(layout: &Layout, line: &[u8], got: usize) -> Problem {
    let separator = if layout.tabs { "tabs" } else { "blanks" };
    let expected = format!("{} columns separated by {separator}, as in the first line of data", layout.columns.count);
    Problem::new(expected, format!("{got}: {}", quoted(line)))
}

/// Takes a line off `rest`, without its end.
pub(crate) fn next_line<'text>(rest: &mut &'text [u8]) -> &'text [u8] {
    let (line, after) = match memchr(b'\n', rest) {
        Some(end) => (&rest[..end], &rest[end + 1..]),
        None => (*rest, &rest[rest.len()..]),
    };
    *rest = after;
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The whole lines of `head` that hold data, each with its number.
fn data_lines(head: &[u8], first_line: u64, ended: bool) -> impl Iterator<Item = (u64, &[u8])> {
    let mut rest = match memchr::memrchr(b'\n', head) {
        _ if ended => head,
        Some(end) => &head[..=end],
        None => &[],
    };
    let mut next = first_line;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let (line, text) = (next, next_line(&mut rest));
            next += 1;
            if !is_blank(text) && !matches!(text.first(), Some(b'#' | b'%')) {
                return Some((line, text));
            }
        }
        None
    })
}

/// True for a line of blanks. A line with a tab holds columns, if empty ones.
fn is_blank(line: &[u8]) -> bool {
    line.iter().all(|&byte| byte == b' ')
}

fn split<'line>(line: &'line [u8], tabs: bool, fields: &mut Vec<&'line [u8]>) {
    fields.clear();
    if tabs {
        let mut start = 0;
        for end in memchr_iter(b'\t', line) {
            fields.push(&line[start..end]);
            start = end + 1;
        }
        fields.push(&line[start..]);
    } else {
        fields.extend(line.split(|&byte| byte == b' ' || byte == b'\t').filter(|field| !field.is_empty()));
    }
}
