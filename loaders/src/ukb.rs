//! Relations as UKB reads them: `u:NODE v:NODE`, and perhaps more such fields, separated by blanks or tabs, in any order.
//!
//! | field | means |
//! |---|---|
//! | `u:`, `v:` | the two nodes; both are needed |
//! | `w:` | the weight, 1 where it is missing |
//! | `d:` | `1`: the relation goes from `u` to `v` only; `0`, or missing: both ways |
//! | `t:` | the type of the relation |
//! | `s:` | where the relation comes from, which `wnet2graph.pl` uses for its type: the type where there is no `t:` |
//!
//! Lines that begin with `#` are comments; blank lines are skipped. A field of another kind, or one that comes twice, is an
//! error. **A relation between two nodes that comes again adds up, as everywhere here**; UKB itself keeps one edge of them.
//! WordNet's files name most relations from either end, so that all weights double, which leaves walks as they are.
//! Format: src/README of UKB, section 1 (Agirre & Soroa).

use crate::LoadOptions;
use crate::columns::ColumnNames;
use crate::edge_list::next_line;
use crate::error::{Problem, quoted};
use crate::gather::{Sink, parse_weight};
use crate::intern::check_text;
use crate::triples::refuse_columns;

/// How the lines of one file are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Every edge goes both ways, whatever its line says.
    all_both_ways: bool,
}

/// The layout, which the options decide.
pub(crate) fn layout(options: &LoadOptions) -> Result<Layout, Problem> {
    refuse_columns(options)?;
    Ok(Layout { all_both_ways: options.undirected })
}

/// The columns as a report names them.
pub(crate) fn names() -> ColumnNames {
    ColumnNames {
        source: "u:".to_owned(),
        target: "v:".to_owned(),
        weight: Some("w:, or 1".to_owned()),
        kind: Some("t:, or s:".to_owned()),
        ..ColumnNames::default()
    }
}

/// One line.
struct Relation<'line> {
    source: &'line [u8],
    target: &'line [u8],
    weight: f64,
    kind: &'line [u8],
    directed: bool,
}

/// Reads the relations of a block. A problem comes with its line.
pub(crate) fn parse(layout: &Layout, block: &[u8], first_line: u64, sink: &mut Sink) -> Result<(), (u64, Problem)> {
    let (mut rest, mut line) = (block, first_line);
    while !rest.is_empty() {
        let text = next_line(&mut rest);
        if text.first() == Some(&b'#') {
            sink.tally.comment_lines += 1;
        } else if !text.trim_ascii().is_empty() {
            let taken = match relation(text) {
                Ok(relation) => take(layout, sink, &relation),
                Err(problem) => sink.malformed(problem),
            };
            taken.map_err(|problem| (line, problem))?;
        }
        line += 1;
    }
    Ok(())
}

fn take(layout: &Layout, sink: &mut Sink, relation: &Relation<'_>) -> Result<(), Problem> {
    let (source, target) = (sink.source(relation.source)?, sink.target(relation.target)?);
    sink.edge(source, target, Some(relation.weight), Some(relation.kind))?;
    // Where inverse edges are asked for, they are the way back.
    if !relation.directed && !layout.all_both_ways && !sink.adds_inverse_edges() && source != target {
        sink.edge_back(source, target);
    }
    Ok(())
}

fn relation(line: &[u8]) -> Result<Relation<'_>, Problem> {
    // What the fields u, v, w, d, t and s hold, in this order.
    const KEYS: &[u8; 6] = b"uvwdts";
    let mut found: [Option<&[u8]>; 6] = [None; 6];
    for field in line.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty()) {
        let place = match field {
            [key, b':', ..] => KEYS.iter().position(|known| known == key),
            _ => None,
        };
        let Some(place) = place else {
            return Err(Problem::new("fields u:NODE v:NODE, and perhaps w:, d:, t:, s:", quoted(field)));
        };
        if found[place].replace(&field[2..]).is_some() {
            let expected = format!("one field {}:", char::from(KEYS[place]));
            return Err(Problem::new(expected, format!("two: {}", quoted(line))));
        }
    }
    let [source, target, weight, directed, kind, origin] = found;
    let (Some(source), Some(target)) = (source, target) else {
        return Err(Problem::new("u:NODE and v:NODE", quoted(line)));
    };
    for node in [source, target] {
        if node.is_empty() {
            return Err(Problem::new("an id behind u: and v:", quoted(line)));
        }
        check_text(node)?;
    }
    let kind = kind.or(origin).unwrap_or_default();
    check_text(kind)?;
    let directed = match directed {
        None | Some(b"0") => false,
        Some(b"1") => true,
        Some(other) => return Err(Problem::new("d:0 or d:1", quoted(other))),
    };
    let weight = weight.map_or(Ok(1.0), parse_weight)?;
    Ok(Relation { source, target, weight, kind, directed })
}
