//! The text formats: one thread reads and cuts blocks, several parse them.
//!
//! Blocks go through a bounded channel in input order. When a thread meets a bad line, every earlier block has been
//! taken by some thread; these finish theirs, and the error of the earliest block is the one that is told. So the
//! error does not depend on the number of threads either.

use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};
use memchr::memchr;
use walkprint_engine::kinds::KindList;

use crate::blocks::{Blocks, Cut, lines_in};
use crate::columns::{self, ColumnNames, Named};
use crate::error::Problem;
use crate::gather::{Gathered, Gauge, Sink, assemble};
use crate::part::{Cut as PartCut, Part, check_can_be_cut};
use crate::source::{self, Source};
use crate::{
    Error, Format, LoadOptions, LoadedPart, PartCounts, Progress, delimited, edge_list, matrix_market, triples, ukb,
};

/// A byte order mark, which some programs put before UTF-8.
pub(crate) const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// How the lines of one file are to be read.
enum Layout {
    EdgeList(edge_list::Layout),
    Delimited(delimited::Layout),
    MatrixMarket(matrix_market::Layout),
    Triples(triples::Layout),
    Ukb(ukb::Layout),
}

impl Layout {
    fn names(&self) -> ColumnNames {
        match self {
            Layout::EdgeList(layout) => layout.columns.names.clone(),
            Layout::Delimited(layout) => layout.columns.names.clone(),
            Layout::MatrixMarket(layout) => layout.names(),
            Layout::Triples(_) => triples::names(),
            Layout::Ukb(_) => ukb::names(),
        }
    }

    fn weighted(&self) -> bool {
        match self {
            Layout::EdgeList(layout) => layout.columns.weighted(),
            Layout::Delimited(layout) => layout.columns.weighted(),
            Layout::MatrixMarket(layout) => layout.weighted,
            Layout::Triples(layout) => layout.weighted,
            Layout::Ukb(_) => true,
        }
    }

    fn cut(&self) -> Cut {
        match self {
            Layout::Delimited(layout) => Cut::Records(layout.delimiter),
            Layout::EdgeList(_) | Layout::MatrixMarket(_) | Layout::Triples(_) | Layout::Ukb(_) => Cut::Lines,
        }
    }

    /// Whether an edge stands for both directions, whatever the options say.
    fn symmetric(&self) -> bool {
        self.matrix().is_some_and(|layout| layout.symmetric)
    }

    fn matrix(&self) -> Option<&matrix_market::Layout> {
        if let Layout::MatrixMarket(layout) = self { Some(layout) } else { None }
    }

    fn is_delimited(&self) -> bool {
        matches!(self, Layout::Delimited(_))
    }
}

/// A piece of a file, on its way to a parsing thread.
struct Block<'paths> {
    sequence: u64,
    file: usize,
    path: &'paths Path,
    layout: Arc<Layout>,
    /// Where in the file lines are counted from.
    start: u64,
    first_line: u64,
    bytes: Vec<u8>,
}

/// What is known of all files once they have been read.
#[derive(Default)]
struct Read {
    bytes_parsed: u64,
    lines: u64,
    /// Of each file that was looked at.
    layouts: Vec<Option<(Format, Arc<Layout>)>>,
}

impl Read {
    /// The first file is always looked at.
    fn first(&self) -> Option<&(Format, Arc<Layout>)> {
        self.layouts.first()?.as_ref()
    }
}

pub(crate) fn load(
    paths: &[PathBuf],
    options: &LoadOptions,
    part: Part,
    progress: &(dyn Fn(Progress) -> ControlFlow<()> + Sync),
    block_bytes: usize,
) -> Result<LoadedPart, Error> {
    let mut lengths = Vec::with_capacity(paths.len());
    for path in paths {
        lengths.push(source::length(path)?);
        check_can_be_cut(part, path)?;
    }
    let cut = PartCut::new(part, &lengths);
    let gauge = Gauge::new(cut.bytes(), options.memory_bytes);
    let threads = options.threads.max(1);
    let stop = AtomicBool::new(false);
    // Two blocks wait for each thread: enough to bridge a slow read, and a bound on memory.
    let (sender, receiver) = bounded(2 * threads);
    let (read, parsed) = thread::scope(|scope| {
        let parsing: Vec<_> = (0..threads)
            .map(|_| {
                let receiver = receiver.clone();
                scope.spawn(|| parse_blocks(receiver, options, &gauge, &stop))
            })
            .collect();
        drop(receiver);
        let reader = Reader { options, progress, block_bytes, gauge: &gauge, stop: &stop, part, cut: &cut };
        let read = reader.read_files(paths, sender);
        let joined =
            parsing.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        (read, joined.collect::<Vec<_>>())
    });
    let mut sinks = Vec::with_capacity(threads);
    let mut first_error: Option<(u64, Error)> = None;
    for outcome in parsed {
        match outcome {
            Ok(sink) => sinks.push(sink),
            Err(error) if first_error.as_ref().is_none_or(|first| error.0 < first.0) => first_error = Some(error),
            Err(_) => {}
        }
    }
    // A parsing thread's error lies before the place that reading had come to.
    if let Some((_, error)) = first_error {
        return Err(error);
    }
    let read = read?;
    let matrices = || read.layouts.iter().map(|layout| layout.as_ref().and_then(|(_, layout)| layout.matrix()));
    let Gathered { edges, tally, types } =
        assemble(sinks, matrices().flatten().map(|layout| layout.size).max(), part, &gauge)?;
    let entries = matrices().map(|layout| layout.map(|layout| layout.entries));
    let edges_of = |file: usize| tally.edges.get(file).copied().unwrap_or(0);
    let files = (0..).zip(entries).map(|(file, entries)| (edges_of(file), entries)).collect();
    let (format, layout) = read.first().expect("the first file is looked at in every part");
    let counts = PartCounts {
        format: *format,
        names: layout.names(),
        files,
        lines: read.lines,
        bytes_read: if part.is_all() { gauge.bytes_read.load(Ordering::Relaxed) } else { cut.bytes() },
        bytes_parsed: read.bytes_parsed,
        tally,
        typed_edges: edges.kinds.edges.as_ref().map_or(0, KindList::typed),
        types,
    };
    Ok(LoadedPart { edges, passages: Vec::new(), counts })
}

/// What a parsing thread does, until there are no more blocks or some thread met an error.
fn parse_blocks(
    receiver: Receiver<Block<'_>>,
    options: &LoadOptions,
    gauge: &Gauge,
    stop: &AtomicBool,
) -> Result<Sink, (u64, Error)> {
    let mut sink = Sink::new(options);
    let mut held = 0;
    // The flag is looked at before a block is taken, never between that and its end: the error may lie behind it.
    while !stop.load(Ordering::Acquire)
        && let Ok(block) = receiver.recv()
    {
        sink.begin(block.sequence, block.file, options.undirected || block.layout.symmetric());
        let outcome = match &*block.layout {
            Layout::EdgeList(layout) => edge_list::parse(layout, &block.bytes, block.first_line, &mut sink),
            Layout::Delimited(layout) => delimited::parse(layout, &block.bytes, block.first_line, &mut sink),
            Layout::MatrixMarket(layout) => matrix_market::parse(layout, &block.bytes, block.first_line, &mut sink),
            Layout::Triples(_) => triples::parse(&block.bytes, block.first_line, &mut sink),
            Layout::Ukb(layout) => ukb::parse(layout, &block.bytes, block.first_line, &mut sink),
        };
        let outcome = outcome.map_err(|(line, problem)| source::at_line(problem, block.path, block.start, line));
        let now = sink.end();
        outcome.and_then(|()| gauge.holds(held, now)).map_err(|error| {
            stop.store(true, Ordering::Release);
            (block.sequence, error)
        })?;
        held = now;
    }
    Ok(sink)
}

/// What the reading thread works with.
struct Reader<'load> {
    options: &'load LoadOptions,
    progress: &'load (dyn Fn(Progress) -> ControlFlow<()> + Sync),
    block_bytes: usize,
    gauge: &'load Gauge,
    stop: &'load AtomicBool,
    part: Part,
    cut: &'load PartCut,
}

/// What there is to read of a file.
struct Opened {
    format: Format,
    layout: Layout,
    /// `None`: nothing.
    blocks: Option<Blocks>,
    /// Lines and bytes before the blocks.
    before: (u64, u64),
    /// The blocks are not the whole file.
    is_cut: bool,
}

impl Reader<'_> {
    /// Reads the part's pieces of all files and sends their blocks, until the end or until a parsing thread met an error.
    fn read_files<'paths>(&self, paths: &'paths [PathBuf], sender: Sender<Block<'paths>>) -> Result<Read, Error> {
        let mut read = Read::default();
        let mut sequence = 0;
        for (file, path) in paths.iter().enumerate() {
            if let Some(&(expected, _)) = read.first()
                && let Some(got) = self.options.format.or_else(|| Format::from_name(path))
                && !got.is_lines()
            {
                let (first, path) = (paths[0].clone(), path.clone());
                return Err(Error::MixedFormats { first, expected, path, got });
            }
            let within = self.cut.within(file);
            // The sizes of all matrices together say which nodes there are.
            let is_matrix = read.first().is_some_and(|(_, layout)| layout.matrix().is_some());
            if within.is_none() && file != 0 && !is_matrix {
                read.layouts.push(None);
                continue;
            }
            let opened = match self.open(file, path, within.clone()) {
                Err(_) if within.is_none() && file != 0 => {
                    read.layouts.push(None); // whose file it is reports it
                    continue;
                }
                opened => opened?,
            };
            let Opened { format, layout, blocks, before, is_cut } = opened;
            if let Some((first_format, first)) = read.first() {
                check_like_first(&paths[0], *first_format, first, path, format, &layout)?;
            }
            let layout = Arc::new(layout);
            read.layouts.push(Some((format, Arc::clone(&layout))));
            let Some(mut blocks) = blocks else { continue };
            let mut lines = blocks.line() - 1;
            // As long as a file that is cut has no quotes, its records are its lines.
            let ends = if is_cut { Cut::Lines } else { layout.cut() };
            while let Some((first_line, bytes)) = blocks.next_block(ends)? {
                if is_cut && layout.is_delimited() && memchr(b'"', &bytes).is_some() {
                    return Err(Error::Quotes { path: path.clone() });
                }
                lines = first_line - 1 + lines_in(&bytes) + u64::from(!bytes.ends_with(b"\n"));
                let start = blocks.source().start();
                let block = Block { sequence, file, path, layout: Arc::clone(&layout), start, first_line, bytes };
                sequence += 1;
                // Sending fails when all parsing threads have stopped.
                if self.stop.load(Ordering::Acquire) || sender.send(block).is_err() {
                    return Ok(read);
                }
                self.tell_progress()?;
            }
            read.lines += lines + before.0;
            read.bytes_parsed += blocks.bytes() + before.1;
        }
        self.tell_progress()?;
        Ok(read)
    }

    /// Finds the layout of a file, and what the part has of it.
    fn open(&self, file: usize, path: &Path, within: Option<Range<u64>>) -> Result<Opened, Error> {
        let whole = |bytes_read: &Arc<AtomicU64>| -> Result<(Format, Layout, Blocks), Error> {
            let mut blocks = Blocks::new(Source::open(path, bytes_read)?, self.block_bytes);
            let (format, layout) = self.begin(path, &mut blocks)?;
            Ok((format, layout, blocks))
        };
        if self.part.is_all() {
            let (format, layout, blocks) = whole(&self.gauge.bytes_read)?;
            return Ok(Opened { format, layout, blocks: Some(blocks), before: (0, 0), is_cut: false });
        }
        let (format, layout, begun) = whole(&Arc::default())?;
        let is_cut = !begun.source().is_compressed() && (self.part.cuts_delimited() || !layout.is_delimited());
        if !is_cut {
            let blocks = if self.cut.holds(file, 0) { Some(whole(&self.gauge.bytes_read)?.2) } else { None };
            return Ok(Opened { format, layout, blocks, before: (0, 0), is_cut });
        }
        let Some(within) = within else {
            return Ok(Opened { format, layout, blocks: None, before: (0, 0), is_cut });
        };
        let before = if within.start == 0 { (begun.line() - 1, begun.skipped()) } else { (0, 0) };
        let data = begun.skipped();
        let bound = |place: u64| if place <= data { Ok(data) } else { source::line_start(path, place) };
        let stretch = bound(within.start)?..bound(within.end)?;
        let blocks = Blocks::new(Source::stretch(path, stretch, &self.gauge.bytes_read)?, self.block_bytes);
        Ok(Opened { format, layout, blocks: Some(blocks), before, is_cut })
    }

    fn tell_progress(&self) -> Result<(), Error> {
        let bytes_read = self.gauge.bytes_read.load(Ordering::Relaxed);
        match (self.progress)(Progress { bytes_read, bytes_total: self.gauge.bytes_total }) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Error::Interrupted),
        }
    }

    /// Reads as much of a file as it takes to know its format and layout, and leaves out what has been understood.
    fn begin(&self, path: &Path, blocks: &mut Blocks) -> Result<(Format, Layout), Error> {
        while blocks.head().len() < BYTE_ORDER_MARK.len() && !blocks.ended() {
            blocks.grow()?;
        }
        if blocks.head().starts_with(BYTE_ORDER_MARK) {
            blocks.skip(BYTE_ORDER_MARK.len());
        }
        let format = loop {
            let decided = decide(path, self.options, blocks.head(), blocks.ended());
            match decided.map_err(|(line, problem)| problem.at_line(path, line))? {
                Some(format) => break format,
                None => {
                    blocks.check_head()?;
                    blocks.grow()?;
                }
            }
        };
        self.options.check_format(format)?;
        loop {
            match layout(format, self.options, blocks).map_err(|(line, problem)| problem.at_line(path, line))? {
                Some((layout, bytes)) => {
                    blocks.skip(bytes);
                    return Ok((format, layout));
                }
                None => {
                    blocks.check_head()?;
                    blocks.grow()?;
                }
            }
        }
    }
}

fn layout(format: Format, options: &LoadOptions, blocks: &Blocks) -> Result<Option<(Layout, usize)>, (u64, Problem)> {
    let (head, line, ended) = (blocks.head(), blocks.line(), blocks.ended());
    Ok(match format {
        Format::EdgeList => {
            let found = edge_list::layout(head, line, ended, options.format.is_none(), options)?;
            found.map(|layout| (Layout::EdgeList(layout), 0))
        }
        Format::MatrixMarket => {
            let found = matrix_market::layout(head, line, ended)?;
            found.map(|(layout, bytes)| (Layout::MatrixMarket(layout), bytes))
        }
        Format::Triples => Some((Layout::Triples(triples::layout(options).map_err(|problem| (line, problem))?), 0)),
        Format::Ukb => Some((Layout::Ukb(ukb::layout(options).map_err(|problem| (line, problem))?), 0)),
        // Other formats do not come here.
        _ => {
            let found = delimited::layout(head, line, ended, format, options)?;
            found.map(|(layout, bytes)| (Layout::Delimited(layout), bytes))
        }
    })
}

/// The format of a text file: what the options say, what its name says, what its first line that is not blank looks
/// like. `Ok(None)`: more of the file is needed.
fn decide(path: &Path, options: &LoadOptions, head: &[u8], ended: bool) -> Result<Option<Format>, (u64, Problem)> {
    let mut rest = head;
    let mut line = 0;
    let first = loop {
        let whole = memchr(b'\n', rest).is_some() || ended;
        if rest.is_empty() && ended {
            return Err((line.max(1), Problem::new("edges", "an empty file")));
        }
        line += 1;
        let text = edge_list::next_line(&mut rest);
        if head.starts_with(b"PAR1") {
            return Err((line, Problem::new("text", "a Parquet file (name it .parquet or give --format parquet)")));
        }
        if memchr(0, text).is_some() {
            return Err((line, Problem::new("text", "binary data (a NUL byte)")));
        }
        if !whole {
            return Ok(None);
        }
        if !text.trim_ascii().is_empty() {
            break text;
        }
    };
    if let Some(format) = options.format.or_else(|| Format::from_name(path)) {
        return Ok(Some(format));
    }
    if matrix_market::has_banner(first) {
        return Ok(Some(Format::MatrixMarket));
    }
    let by_name = columns::named(options).map_err(|problem| (line, problem))? == Named::Names;
    for format in [Format::Tsv, Format::Csv] {
        let delimiter = delimited::delimiter(format);
        let fields = delimited::fields(first, delimiter);
        if columns::is_recognised(&fields) || (by_name && 1 < fields.len()) {
            return Ok(Some(format));
        }
    }
    Ok(Some(Format::EdgeList))
}

/// Files that are loaded together are of one kind, and all have weights or none has.
fn check_like_first(
    first_path: &Path,
    first_format: Format,
    first: &Layout,
    path: &Path,
    format: Format,
    layout: &Layout,
) -> Result<(), Error> {
    if !first_format.goes_with(format) {
        let (first, path) = (first_path.to_owned(), path.to_owned());
        return Err(Error::MixedFormats { first, expected: first_format, path, got: format });
    }
    if let (Layout::EdgeList(first), Layout::EdgeList(layout)) = (first, layout)
        && first.columns.count != layout.columns.count
    {
        let expected = format!("{} columns, as in {}", first.columns.count, first_path.display());
        return Err(Problem::new(expected, layout.columns.count.to_string()).of_file(path));
    }
    if first.weighted() != layout.weighted() {
        let (expected, got) = if first.weighted() { ("weights", "none") } else { ("no weights", "some") };
        return Err(Problem::new(format!("{expected}, as in {}", first_path.display()), got).of_file(path));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
