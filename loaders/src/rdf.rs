//! RDF: N-Triples, a triple a line, and Turtle.
//!
//! An IRI is the id of its node as it stands, without angle brackets; the predicate is the edge's type. A blank node `_:b` is
//! `_:b` in the first file and `_:b@N` in the file behind N others, since each file has its own; those of Turtle without a label are
//! `_:anonymous-1`, `_:anonymous-2`, … in the order in which they come. What becomes of literals is an option
//! ([`Literals`]); as a node a literal is what it is in N-Triples: `"Paris"@en`.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read};
use std::path::Path;

use oxrdf::{BlankNode, NamedOrBlankNode, Term, Triple};
use oxttl::{NTriplesParser, TurtleParseError, TurtleParser};
use walkprint_engine::kinds;

use crate::error::{Problem, quoted};
use crate::knowledge::Found;
use crate::options::Literals;
use crate::source::Source;
use crate::text::BYTE_ORDER_MARK;
use crate::{Error, Malformed};

/// The longest line of N-Triples.
const MOST_LINE: usize = 16 << 20;
/// After how many triples progress is told.
const TRIPLES_AT_ONCE: u64 = 1 << 15;

/// The parser names blank nodes without a label by random numbers of 128 bits in hexadecimal. Fewer digits than this are a label: a
/// random number has so few once in 2^32 times.
const LEAST_DIGITS: usize = 25;

/// The blank nodes of one file.
struct Blanks {
    file: usize,
    /// Whether there may be some without a label.
    unlabelled: bool,
    anonymous: BTreeMap<u128, usize>,
}

impl Blanks {
    fn name(&mut self, node: &BlankNode) -> String {
        let behind = if self.file == 0 { String::new() } else { format!("@{}", self.file) };
        let random = |_: &u128| self.unlabelled && LEAST_DIGITS <= node.as_str().len();
        match node.as_ref().unique_id().filter(random) {
            None => format!("_:{}{behind}", node.as_str()),
            Some(id) => {
                let next = self.anonymous.len() + 1;
                format!("_:anonymous-{}{behind}", self.anonymous.entry(id).or_insert(next))
            }
        }
    }
}

/// Reads one file of N-Triples.
pub(crate) fn read_ntriples(path: &Path, source: Source, file: usize, found: &mut Found<'_>) -> Result<(), Error> {
    let mut reader = io::BufReader::new(source.into_reader());
    let mut blanks = Blanks { file, unlabelled: false, anonymous: BTreeMap::new() };
    let mut line = Vec::new();
    let mut number = 0;
    loop {
        line.clear();
        let failed = |source| Error::Read { path: path.to_owned(), source };
        let mut limited = reader.by_ref().take(MOST_LINE as u64 + 1);
        if limited.read_until(b'\n', &mut line).map_err(failed)? == 0 {
            break;
        }
        number += 1;
        if MOST_LINE < line.len() {
            return Err(Problem::new("a line of at most 16 MiB", "a longer one").at_line(path, number));
        }
        let text = if number == 1 { line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&line) } else { &line };
        let text = text.trim_ascii();
        if text.is_empty() {
            continue;
        }
        if text.starts_with(b"#") {
            found.sink.tally.comment_lines += 1;
            continue;
        }
        for parsed in NTriplesParser::new().for_slice(text) {
            match parsed {
                Ok(triple) => take(&triple, &mut blanks, found).map_err(|problem| problem.at_line(path, number))?,
                Err(error) => {
                    let expected = format!("a triple ({}; --malformed skip leaves such lines out)", error.message());
                    let error = Problem::new(expected, quoted(text)).at_line(path, number);
                    found.malformed("malformed lines", error)?;
                    break; // a line is malformed once
                }
            }
        }
        if number % TRIPLES_AT_ONCE == 0 {
            found.tell()?;
        }
    }
    found.lines += number;
    Ok(())
}

/// Reads one file of Turtle.
pub(crate) fn read_turtle(path: &Path, source: Source, file: usize, found: &mut Found<'_>) -> Result<(), Error> {
    if found.options.malformed == Malformed::Skip {
        let (expected, got) = ("a format of lines, because Turtle cannot go on behind an error", "turtle".to_owned());
        return Err(Error::Option { option: "--malformed skip", expected, got });
    }
    let mut reader = source.into_reader();
    let mut head = Vec::new();
    let failed = |source| Error::Read { path: path.to_owned(), source };
    reader.by_ref().take(BYTE_ORDER_MARK.len() as u64).read_to_end(&mut head).map_err(failed)?;
    if head == BYTE_ORDER_MARK {
        head.clear();
    }
    let mut blanks = Blanks { file, unlabelled: true, anonymous: BTreeMap::new() };
    let mut number = 0;
    for parsed in TurtleParser::new().for_reader(io::Cursor::new(head).chain(reader)) {
        let triple = parsed.map_err(|error| match error {
            TurtleParseError::Io(source) => Error::Read { path: path.to_owned(), source },
            TurtleParseError::Syntax(error) => {
                let line = error.location().start.line + 1;
                Problem::new("Turtle", error.message()).at_line(path, line)
            }
        })?;
        number += 1;
        take(&triple, &mut blanks, found).map_err(|problem| problem.at_place(path, format!("triple {number}")))?;
        if number % TRIPLES_AT_ONCE == 0 {
            found.tell()?;
        }
    }
    found.lines += number;
    Ok(())
}

fn take(triple: &Triple, blanks: &mut Blanks, found: &mut Found<'_>) -> Result<(), Problem> {
    let subject = match &triple.subject {
        NamedOrBlankNode::NamedNode(node) => node.as_str().to_owned(),
        NamedOrBlankNode::BlankNode(node) => blanks.name(node),
    };
    let object = match &triple.object {
        Term::NamedNode(node) => node.as_str().to_owned(),
        Term::BlankNode(node) => blanks.name(node),
        Term::Literal(literal) => match found.options.literals {
            Literals::Refuse => {
                let expected = "an IRI or a blank node as the object (--literals skip leaves out triples with literals, \
                                --literals nodes makes nodes of them)";
                return Err(Problem::new(expected, quoted(literal.to_string().as_bytes())));
            }
            Literals::Skip => {
                found.leave_out("triples with literals", || triple.to_string());
                return Ok(());
            }
            Literals::Nodes => {
                let id = literal.to_string();
                found.mark(&id, kinds::LITERAL);
                id
            }
        },
    };
    found.triple(&subject, triple.predicate.as_str(), &object)
}
