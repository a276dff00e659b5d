//! What the formats of knowledge graphs have in common: files are read one after the other by one thread, nodes have types,
//! and passages have texts.
//!
//! | type | node |
//! |---|---|
//! | `passage` | a text, named `passage:ID` |
//! | `entity` | something that a passage names |
//! | `phrase` | a subject or an object of a triple that is not listed among the entities |
//! | `literal` | a text, number or date that stands as an object of RDF |
//!
//! A passage and what it mentions are linked both ways: by `mentions` from the passage, and by `^mentions` back to it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use walkprint_engine::ids::ExternalIds;
use walkprint_engine::kinds::{self as types, Codes, KindList};

use crate::columns::ColumnNames;
use crate::error::Problem;
use crate::gather::{Gathered, Gauge, Sink, assemble};
use crate::kinds::{self, KindTable};
use crate::part::Part;
use crate::source::{self, Source};
use crate::{Error, Format, LoadOptions, LoadedPart, Malformed, PartCounts, Progress, openie, rdf};

/// A passage and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    /// The id of its node.
    pub id: String,
    /// Its text.
    pub text: String,
}

/// What is found in the files, as it is found.
pub(crate) struct Found<'load> {
    pub(crate) options: &'load LoadOptions,
    pub(crate) sink: Sink,
    /// The types of nodes.
    marks: BTreeMap<String, &'static str>,
    pub(crate) passages: Vec<Passage>,
    /// Passages so far, with texts or without.
    pub(crate) passage_count: u64,
    pub(crate) lines: u64,
    /// What was left out: how often, and the first of it.
    left_out: BTreeMap<&'static str, (u64, String)>,
    tell: &'load dyn Fn() -> Result<(), Error>,
}

impl<'load> Found<'load> {
    pub(crate) fn new(options: &'load LoadOptions, tell: &'load dyn Fn() -> Result<(), Error>) -> Found<'load> {
        Found {
            options,
            sink: Sink::new(options),
            marks: BTreeMap::new(),
            passages: Vec::new(),
            passage_count: 0,
            lines: 0,
            left_out: BTreeMap::new(),
            tell,
        }
    }

    /// Says what type a node has. The first of passage, entity and phrase counts.
    pub(crate) fn mark(&mut self, id: &str, kind: &'static str) {
        let order = |kind| [types::PASSAGE, types::ENTITY, types::PHRASE].iter().position(|&known| known == kind);
        match self.marks.get_mut(id) {
            Some(known) if order(kind) < order(known) => *known = kind,
            Some(_) => {}
            None => drop(self.marks.insert(id.to_owned(), kind)),
        }
    }

    /// Begins a passage. Its id must be new.
    pub(crate) fn passage(&mut self, id: String, text: Option<String>) -> Result<u32, Problem> {
        if self.marks.insert(id.clone(), types::PASSAGE).is_some() {
            return Err(Problem::new("an id that no other passage or entity has", format!("{id:?} once more")));
        }
        let number = self.sink.source(id.as_bytes())?;
        self.passage_count += 1;
        self.passages.extend(text.map(|text| Passage { id, text }));
        Ok(number)
    }

    /// Links a passage and what it mentions.
    pub(crate) fn mention(&mut self, passage: u32, id: &str, weight: Option<f64>) -> Result<(), Problem> {
        let node = self.sink.target(id.as_bytes())?;
        self.sink.both_ways(passage, node, weight, types::MENTIONS.as_bytes())
    }

    /// Takes a triple.
    pub(crate) fn triple(&mut self, subject: &str, relation: &str, object: &str) -> Result<(), Problem> {
        let (source, target) = (self.sink.source(subject.as_bytes())?, self.sink.target(object.as_bytes())?);
        self.sink.edge(source, target, None, Some(relation.as_bytes()))
    }

    /// What becomes of something malformed: an error, or counted.
    pub(crate) fn malformed(&mut self, what: &'static str, error: Error) -> Result<(), Error> {
        match self.options.malformed {
            Malformed::Refuse => Err(error),
            Malformed::Skip => {
                self.sink.tally.malformed += 1;
                self.leave_out(what, || error.to_string());
                Ok(())
            }
        }
    }

    /// Counts something that is left out.
    pub(crate) fn leave_out(&mut self, what: &'static str, first: impl FnOnce() -> String) {
        self.left_out.entry(what).or_insert_with(|| (0, first())).0 += 1;
    }

    /// Tells how far the files have been read.
    pub(crate) fn tell(&self) -> Result<(), Error> {
        (self.tell)()
    }

    fn notes(&self) -> Vec<String> {
        let note = |(what, (count, first)): (&&str, &(u64, String))| {
            let mut text = String::new();
            // Writing to a string cannot fail.
            let _ = write!(text, "{count} {what} left out; the first: {first}");
            text
        };
        self.left_out.iter().map(note).collect()
    }

    /// Makes edges, types and counts of what was found.
    pub(crate) fn finish(
        self,
        format: Format,
        [source, target, kind, weight]: [&str; 4],
        files: usize,
        part: Part,
        gauge: &Gauge,
    ) -> Result<LoadedPart, Error> {
        let notes = self.notes();
        let Found { sink, marks, passages, lines, .. } = self;
        let Gathered { mut edges, tally, types } = assemble(vec![sink], None, part, gauge)?;
        edges.kinds.nodes = node_types(&edges.ids, &marks);
        let counts = PartCounts {
            format,
            names: ColumnNames {
                source: source.to_owned(),
                target: target.to_owned(),
                kind: Some(kind.to_owned()),
                weight: (!weight.is_empty()).then(|| weight.to_owned()),
                notes,
                ..ColumnNames::default()
            },
            files: (0..files).map(|at| (tally.edges.get(at).copied().unwrap_or(0), None)).collect(),
            lines,
            bytes_read: gauge.bytes_read.load(Ordering::Relaxed),
            bytes_parsed: gauge.bytes_read.load(Ordering::Relaxed),
            tally,
            typed_edges: edges.kinds.edges.as_ref().map_or(0, KindList::typed),
            types,
        };
        Ok(LoadedPart { edges, passages, counts })
    }
}

fn node_types(ids: &ExternalIds, marks: &BTreeMap<String, &'static str>) -> Option<KindList> {
    if marks.is_empty() {
        return None;
    }
    let mut table = KindTable::default();
    let mut codes = Codes::zeros(ids.len());
    for (id, kind) in marks {
        let number = table.number(kind.as_bytes()).expect("a few names in ASCII");
        // An entity that nothing mentions, which no edge has, is no node.
        if let Some(rank) = ids.rank(id) {
            codes.set(rank, number);
        }
    }
    let (names, of_tables) = kinds::merge(&[table]);
    let largest = u32::try_from(names.len()).expect("a few names");
    let codes = codes.recoded(largest, |number| of_tables[0][number as usize]);
    Some(KindList { names, codes })
}

/// One process reads all of such files.
pub(crate) fn expect_all(part: Part, path: &Path, format: Format) -> Result<(), Error> {
    if part.is_all() {
        return Ok(());
    }
    let expected = format!("a format that several processes can share (load {format} by one process)");
    Err(Problem::new(expected, format.to_string()).of_file(path))
}

/// Reads all files of a format that is no list of lines.
pub(crate) fn load(
    paths: &[PathBuf],
    options: &LoadOptions,
    format: Format,
    part: Part,
    progress: &(dyn Fn(Progress) -> ControlFlow<()> + Sync),
) -> Result<LoadedPart, Error> {
    expect_all(part, &paths[0], format)?;
    options.check_format(format)?;
    let mut bytes_total = 0;
    for path in paths {
        bytes_total += source::length(path)?;
        if let (None, Some(got)) = (options.format, Format::from_name(path).filter(|&got| got != format)) {
            let (first, path) = (paths[0].clone(), path.clone());
            return Err(Error::MixedFormats { first, expected: format, path, got });
        }
    }
    let gauge = Gauge::new(bytes_total, options.memory_bytes);
    let bytes_read: Arc<AtomicU64> = Arc::clone(&gauge.bytes_read);
    let tell = || {
        let bytes_read = bytes_read.load(Ordering::Relaxed);
        let gone_on = progress(Progress { bytes_read, bytes_total }).is_continue();
        if gone_on { Ok(()) } else { Err(Error::Interrupted) }
    };
    let mut found = Found::new(options, &tell);
    let mut held = 0;
    for (file, path) in paths.iter().enumerate() {
        found.sink.begin(file as u64, file, options.undirected);
        let source = Source::open(path, &bytes_read)?;
        match format {
            Format::NTriples => rdf::read_ntriples(path, source, file, &mut found)?,
            Format::Turtle => rdf::read_turtle(path, source, file, &mut found)?,
            _ => openie::read(path, source, &gauge, &mut found)?,
        }
        let now = found.sink.end();
        gauge.holds(held, now)?;
        held = now;
        found.tell()?;
    }
    let names = if format == Format::OpenIe {
        ["subjects and passages", "objects and entities", "relations", ""]
    } else {
        ["subject", "object", "predicate", ""]
    };
    found.finish(format, names, paths.len(), part, &gauge)
}
