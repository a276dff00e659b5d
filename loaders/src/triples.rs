//! Triples as benchmarks of knowledge graphs publish them: head, relation and tail in a line, separated by tabs, no header.
//!
//! The edge goes from head to tail, and the relation is its type. Lines end with LF or CRLF; blank lines are skipped, and
//! there are no comments, because `#` may begin an id. A line has exactly three fields, none of them empty.

use crate::LoadOptions;
use crate::columns::ColumnNames;
use crate::edge_list::next_line;
use crate::error::{Problem, quoted};
use crate::gather::Sink;
use crate::intern::check_text;

/// How the lines of one file are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Whether types weigh edges.
    pub(crate) weighted: bool,
}

/// The layout, which the options decide.
pub(crate) fn layout(options: &LoadOptions) -> Result<Layout, Problem> {
    refuse_columns(options)?;
    Ok(Layout { weighted: options.uses_types() })
}

/// Refuses names of columns, in formats where each field says what it is by its place or by itself.
pub(crate) fn refuse_columns(options: &LoadOptions) -> Result<(), Problem> {
    let columns = [&options.source_col, &options.target_col, &options.weight_col, &options.type_col];
    match columns.into_iter().flatten().next() {
        None => Ok(()),
        Some(name) => {
            let expected = "no --source-col, --target-col, --weight-col or --type-col in this format, which says itself \
                            what is where";
            Err(Problem::new(expected, quoted(name.as_bytes())))
        }
    }
}

/// The columns as a report names them.
pub(crate) fn names() -> ColumnNames {
    ColumnNames {
        source: "head (column 1)".to_owned(),
        target: "tail (column 3)".to_owned(),
        kind: Some("relation (column 2)".to_owned()),
        ..ColumnNames::default()
    }
}

/// Reads the triples of a block. A problem comes with its line.
pub(crate) fn parse(block: &[u8], first_line: u64, sink: &mut Sink) -> Result<(), (u64, Problem)> {
    let (mut rest, mut line) = (block, first_line);
    while !rest.is_empty() {
        let text = next_line(&mut rest);
        if !text.iter().all(|&byte| byte == b' ') {
            let taken = match triple(text) {
                Ok([head, relation, tail]) => take(sink, head, relation, tail),
                Err(problem) => sink.malformed(problem),
            };
            taken.map_err(|problem| (line, problem))?;
        }
        line += 1;
    }
    Ok(())
}

fn take(sink: &mut Sink, head: &[u8], relation: &[u8], tail: &[u8]) -> Result<(), Problem> {
    let (source, target) = (sink.source(head)?, sink.target(tail)?);
    sink.edge(source, target, None, Some(relation))
}

/// The three fields of a line, if it has just these.
fn triple(line: &[u8]) -> Result<[&[u8]; 3], Problem> {
    let mut fields = line.split(|&byte| byte == b'\t');
    let (Some(head), Some(relation), Some(tail), None) = (fields.next(), fields.next(), fields.next(), fields.next())
    else {
        let expected = "head, relation and tail separated by tabs";
        return Err(Problem::new(expected, format!("{}: {}", count(line), quoted(line))));
    };
    for (field, what) in [(head, "a head"), (relation, "a relation"), (tail, "a tail")] {
        if field.is_empty() {
            return Err(Problem::new(what, format!("nothing: {}", quoted(line))));
        }
        check_text(field)?;
    }
    Ok([head, relation, tail])
}

fn count(line: &[u8]) -> String {
    match memchr::memchr_iter(b'\t', line).count() + 1 {
        1 => "1 field".to_owned(),
        fields => format!("{fields} fields"),
    }
}
