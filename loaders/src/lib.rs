//! Verbs from foreign bytes to edges.
//!
//! [`load`] reads one or more files of a [`Format`] and hands over [`Loaded`]: the engine's
//! [`EdgeList`] and a [`LoadReport`] that says what was read and how it was understood.
//! [`from_petgraph`] does the same for a graph that is in memory already.
//!
//! A text file takes this way:
//!
//! ```text
//! source: open, decompress, count ─▶ blocks: cut at line ends ─▶ text: hand out to threads
//!     ─▶ edge_list | delimited | matrix_market | triples | ukb: one line, one edge ─▶ gather: thread-local ids and edges
//!     ─▶ intern: merge the ids of all threads, ascending ─▶ EdgeList
//! ```
//!
//! Formats that are no lists of lines ([`Format::OpenIe`], [`Format::NTriples`], [`Format::Turtle`], [`Format::GraphRag`]) are
//! read by one thread: `knowledge` holds what they have in common.
//!
//! **Nothing is skipped, guessed or cut short silently**: an edge list that comes out holds every edge of the input,
//! or there is an [`Error`] that names the file, the line, what was expected and what was found. Blank lines and
//! comments are the only lines without an edge, and the report counts them. (Kept by `tests/bad_input.rs`.)
//!
//! **What comes out depends on the files and the options alone**, not on the number of threads or where blocks
//! happen to be cut. (Kept by `any_number_of_threads_and_any_block_size_give_the_same_edges`.)

mod error;
mod format;
mod malformed;

mod options;
mod report;

mod source;

mod blocks;

mod columns;
mod edge_list;

mod delimited;

mod matrix_market;

mod triples;

mod ukb;

mod intern;

mod kinds;

mod numbered;

mod gather;

mod text;

mod part;

mod parquet;

pub mod interactions;

pub mod events;

mod node_types;

mod synonyms;

mod knowledge;

mod openie;

mod rdf;

mod graphrag;

pub mod from_petgraph;

pub use error::Error;
pub use format::{Format, UnknownFormat};
pub use knowledge::Passage;
pub use malformed::Malformed;
pub use options::{Literals, LoadOptions};
pub use part::{LoadedPart, Part, PartCounts, files_of};
pub use report::{LoadReport, Progress};

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use walkprint_engine::edges::EdgeList;
use walkprint_engine::ids::ExternalIds;
use walkprint_engine::kinds::KindList;

/// What [`load`] hands over.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The edges, with their ids.
    pub edges: EdgeList,
    /// The texts of passages, in formats that have them.
    pub passages: Vec<Passage>,
    /// What was read and how it was understood.
    pub report: LoadReport,
}

/// Reads all edges of `paths`, in order, as one graph. A directory stands for its files: see [`files_of`].
///
/// `progress` is called on the calling thread every few megabytes; when it answers [`ControlFlow::Break`] the load
/// stops with [`Error::Interrupted`]. The text formats are parsed by [`LoadOptions::threads`] threads beside the
/// calling one, which reads and decompresses.
///
/// A file of [`LoadOptions::synonyms`] has a pair of ids in each line, and perhaps a score above 0, separated by tabs or
/// commas: an edge of type `synonym` each way, which weighs the score.
///
/// Memory: 8 bytes an edge (16 with weights, usually one more with types) for each direction, and the ids; while the ids of
/// several threads are merged, up to twice that. A JSON file is held as a whole.
///
/// # Errors
/// Whatever keeps the files from being read in full: see [`Error`]. If several lines are bad, the first is named.
///
/// ```
/// # use std::ops::ControlFlow;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let directory = tempfile::tempdir()?;
/// let path = directory.path().join("friends.csv");
/// std::fs::write(&path, "source,target,weight\nann,bob,2\nbob,bob,1\n")?;
/// let options = walkprint_loaders::LoadOptions { undirected: true, ..Default::default() };
/// let loaded = walkprint_loaders::load(&[path], &options, &|_| ControlFlow::Continue(()))?;
/// assert_eq!(loaded.report.edges_read, 2);
/// assert_eq!(loaded.edges.len(), 3); // ann→bob, bob→ann, and the self-loop once
/// # Ok(())
/// # }
/// ```
pub fn load(
    paths: &[PathBuf],
    options: &LoadOptions,
    progress: &(dyn Fn(Progress) -> ControlFlow<()> + Sync),
) -> Result<Loaded, Error> {
    load_in_blocks(paths, options, progress, blocks::BLOCK_BYTES)
}

/// Reads one part of the edges of `paths`: see [`Part`]. A directory among the paths has to be replaced by its files
/// ([`files_of`]) beforehand.
///
/// Every process has to see the same files. The types of edges are kept, and the names are those of this part. Those of nodes
/// can be read as soon as it is known who has which ids: see [`node_types_of_range`]. Memory: as [`load`], of the part.
///
/// # Errors
/// As [`load`], for this part's lines; if several parts have bad lines, the first such part has the first of them.
/// [`Error::Quotes`] asks for another cut.
pub fn load_part(
    paths: &[PathBuf],
    options: &LoadOptions,
    part: Part,
    progress: &(dyn Fn(Progress) -> ControlFlow<()> + Sync),
) -> Result<LoadedPart, Error> {
    if options.synonyms.is_some() {
        let (expected, got) = ("a graph that is loaded by one process as a whole", "a part of one".to_owned());
        return Err(Error::Option { option: "--synonyms", expected, got });
    }
    load_part_in_blocks(paths, options, part, progress, blocks::BLOCK_BYTES)
}

/// Reads the types of some nodes from the file that [`LoadOptions::node_types`] names; `None` when it names none. For
/// processes that load together, when they know who has which ids: `ids` are those of one of them, and `is_own` says of an
/// id whether it is for this process to say what node it is, if any. Of every id one process must say so.
///
/// Names of types are those of these nodes. Cost: the file is read. Memory: one to four bytes an id.
///
/// # Errors
/// When the file cannot be read, or a line is not what it should be: those are judged whose ids are the process's own. If
/// several processes find bad lines, the first in the file is the one that [`load`] tells.
pub fn node_types_of_range(
    options: &LoadOptions,
    ids: &ExternalIds,
    is_own: &dyn Fn(&[u8]) -> bool,
) -> Result<Option<KindList>, Error> {
    options.read_node_types(ids, is_own)
}

/// The text of a file that is small enough to be read as a whole: decompressed, without a byte order mark. For lists beside a
/// graph (dictionaries, keys, seeds), which [`load`] has no format for. Memory: the text.
///
/// # Errors
/// When the file cannot be read or decompressed, or is not UTF-8.
pub fn read_text(path: &Path) -> Result<String, Error> {
    let mut bytes = Vec::new();
    let mut source = source::Source::open(path, &Default::default())?;
    while source.read_onto(&mut bytes, blocks::BLOCK_BYTES)? == blocks::BLOCK_BYTES {}
    let text = bytes.strip_prefix(text::BYTE_ORDER_MARK).unwrap_or(&bytes);
    match std::str::from_utf8(text) {
        Ok(text) => Ok(text.to_owned()),
        Err(error) => {
            let line = blocks::lines_in(&text[..error.valid_up_to()]) + 1;
            Err(error::Problem::new("text in UTF-8", "bytes that are not").at_line(path, line))
        }
    }
}

/// [`load_part`] with a block size of the caller's choice, for tests.
fn load_part_in_blocks(
    paths: &[PathBuf],
    options: &LoadOptions,
    part: Part,
    progress: &(dyn Fn(Progress) -> ControlFlow<()> + Sync),
    block_bytes: usize,
) -> Result<LoadedPart, Error> {
    let Some(first) = paths.first() else { return Err(Error::NoInput) };
    options.check()?;
    if let Some(path) = &options.node_types {
        part::check_can_be_cut(part, path)?;
    }
    match options.format.or_else(|| Format::from_name(first)) {
        Some(Format::Parquet) => {
            options.check_format(Format::Parquet)?;
            parquet::load(paths, options, part, progress)
        }
        Some(format) if format.holds_interactions() => Err(Error::Option {
            option: "--format",
            expected: "a format of edges (users with items are read by interactions::read, and by one process)",
            got: format.to_string(),
        }),
        Some(Format::GraphRag) => graphrag::load(paths, options, part, progress),
        Some(format) if !format.is_lines() => knowledge::load(paths, options, format, part, progress),
        _ => text::load(paths, options, part, progress, block_bytes),
    }
}

/// [`load`] with a block size of the caller's choice, for tests.
fn load_in_blocks(
    paths: &[PathBuf],
    options: &LoadOptions,
    progress: &(dyn Fn(Progress) -> ControlFlow<()> + Sync),
    block_bytes: usize,
) -> Result<Loaded, Error> {
    let paths = files_of(paths)?;
    // Edges of synonyms come later, from a file of their own, and may be weighed like others.
    let reading = synonyms::without(options);
    let part = load_part_in_blocks(&paths, &reading, Part::ALL, progress, block_bytes)?;
    let LoadedPart { mut edges, passages, counts } = part;
    let integer_ids = matches!(edges.ids, ExternalIds::Integers(_));
    let mut report = LoadReport::of_parts(&paths, &reading, vec![counts], edges.ids.len() as u64, integer_ids)?;
    if let Some(kinds) = options.read_node_types(&edges.ids, &|_| true)? {
        if edges.kinds.nodes.is_some() {
            let (expected, got) = ("a format without types of nodes", report.format.to_string());
            return Err(Error::Option { option: "--node-types", expected, got });
        }
        edges.kinds.nodes = Some(kinds);
    }
    if let Some(path) = &options.synonyms {
        let pairs = synonyms::add(path, options, &mut edges)?;
        report.notes.push(format!("{pairs} pairs of synonyms, walked both ways"));
    }
    let report = report.with_kinds(&edges.kinds);
    Ok(Loaded { edges, passages, report })
}
