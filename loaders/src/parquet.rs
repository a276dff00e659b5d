//! Parquet: a row an edge. Ids are integers or strings, plain or in a dictionary; weights are integers or floats.
//!
//! Row groups are dealt out to threads in order, as blocks are in [`crate::text`]; a null anywhere in a column that
//! is read is an error, except among types, where it means that an edge has none.

pub(crate) mod column;

use std::ops::ControlFlow;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use arrow_array::RecordBatch;
use arrow_schema::DataType;
use crossbeam_channel::{Sender, unbounded};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};
use walkprint_engine::kinds::KindList;

use self::column::{Column, is_integer, is_number, is_text};
use crate::columns::Columns;
use crate::error::{Problem, quoted};
use crate::gather::{Gathered, Gauge, Sink, assemble};
use crate::part::{Cut, Part};
use crate::{Error, Format, LoadOptions, LoadedPart, PartCounts, Progress, source};

/// Rows that are decoded at once: enough to make the cost of a batch vanish, and a few megabytes at most.
pub(crate) const BATCH_ROWS: usize = 1 << 16;

/// A file whose metadata have been read.
struct File<'paths> {
    path: &'paths Path,
    metadata: ArrowReaderMetadata,
    columns: Columns,
}

/// A row group, to be read by some thread.
struct Job {
    file: usize,
    row_group: usize,
    /// Rows of the file before it.
    rows_before: u64,
    rows: u64,
    bytes_on_disk: u64,
    bytes: u64,
}

pub(crate) fn load(
    paths: &[PathBuf],
    options: &LoadOptions,
    part: Part,
    progress: &(dyn Fn(Progress) -> ControlFlow<()> + Sync),
) -> Result<LoadedPart, Error> {
    let lengths = paths.iter().map(|path| source::length(path)).collect::<Result<Vec<u64>, Error>>()?;
    let cut = Cut::new(part, &lengths);
    let mut files: Vec<File<'_>> = Vec::with_capacity(paths.len());
    let (mut jobs, bytes_total) = (Vec::new(), cut.bytes());
    for (at, path) in paths.iter().enumerate() {
        let file = begin(path, &paths[0], options)?;
        check_like_first(&files, &file)?;
        add_jobs(at, &file, &cut, &mut jobs)?;
        files.push(file);
    }
    let gauge = Gauge::new(bytes_total, options.memory_bytes);
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (sender, finished) = unbounded();
    let (parsed, interrupted) = thread::scope(|scope| {
        let parsing: Vec<_> = (0..options.threads.max(1).min(jobs.len().max(1)))
            .map(|_| {
                let (sender, work) = (sender.clone(), Work { files: &files, jobs: &jobs, options, gauge: &gauge });
                let (next, stop) = (&next, &stop);
                scope.spawn(move || work.run(next, stop, &sender))
            })
            .collect();
        drop(sender);
        let mut interrupted = false;
        for () in finished {
            let bytes_read = gauge.bytes_read.load(Ordering::Relaxed);
            if !interrupted && progress(Progress { bytes_read, bytes_total }).is_break() {
                interrupted = true;
                stop.store(true, Ordering::Release);
            }
        }
        (parsing.into_iter().map(thread::ScopedJoinHandle::join).collect::<Vec<_>>(), interrupted)
    });
    let mut sinks = Vec::with_capacity(parsed.len());
    let mut first_error: Option<(usize, Error)> = None;
    for outcome in parsed {
        match outcome {
            Ok(Ok(sink)) => sinks.push(sink),
            Ok(Err(error)) if first_error.as_ref().is_none_or(|first| error.0 < first.0) => first_error = Some(error),
            Ok(Err(_)) => {}
            Err(panic) => panic::resume_unwind(panic),
        }
    }
    if let Some((_, error)) = first_error {
        return Err(error);
    }
    if interrupted {
        return Err(Error::Interrupted);
    }
    let Gathered { edges, tally, types } = assemble(sinks, None, part, &gauge)?;
    let counts = PartCounts {
        format: Format::Parquet,
        names: files[0].columns.names.clone(),
        files: (0..files.len()).map(|at| (tally.edges.get(at).copied().unwrap_or(0), None)).collect(),
        lines: jobs.iter().map(|job| job.rows).sum(),
        bytes_read: bytes_total,
        bytes_parsed: jobs.iter().map(|job| job.bytes).sum(),
        tally,
        typed_edges: edges.kinds.edges.as_ref().map_or(0, KindList::typed),
        types,
    };
    Ok(LoadedPart { edges, passages: Vec::new(), counts })
}

/// Reads a file's metadata and finds its columns.
fn begin<'paths>(path: &'paths Path, first: &Path, options: &LoadOptions) -> Result<File<'paths>, Error> {
    if let (None, Some(got)) = (options.format, Format::from_name(path).filter(|&format| format != Format::Parquet)) {
        let (first, path) = (first.to_owned(), path.to_owned());
        return Err(Error::MixedFormats { first, expected: Format::Parquet, path, got });
    }
    let metadata = guarded(path, || {
        let file = source::open(path)?;
        ArrowReaderMetadata::load(&file, Default::default()).map_err(|error| damaged(path, error))
    })?;
    let names: Vec<String> = metadata.schema().fields().iter().map(|field| field.name().clone()).collect();
    let mut columns = Columns::by_header(options, &names).map_err(|problem| problem.of_file(path))?;
    let names_a_type = |kind: &DataType| is_integer(kind) || is_text(kind);
    if let Some(place) = columns.kind
        && !columns.needs_types(options)
        && !names_a_type(metadata.schema().field(place).data_type())
    {
        // A column that happens to be called `type`.
        columns.leave_types_out();
    }
    let check = |place: usize, fits: fn(&DataType) -> bool, expected: &str| {
        let field = metadata.schema().field(place);
        if fits(field.data_type()) {
            return Ok(());
        }
        let expected = format!("{expected} in the column {}", quoted(field.name().as_bytes()));
        Err(Problem::new(expected, field.data_type().to_string()).of_file(path))
    };
    check(columns.source, |kind| is_integer(kind) || is_text(kind), "integers or strings")?;
    check(columns.target, |kind| is_integer(kind) || is_text(kind), "integers or strings")?;
    if let Some(place) = columns.weight {
        check(place, is_number, "numbers")?;
    }
    if let Some(place) = columns.kind {
        check(place, names_a_type, "strings or integers")?;
    }
    Ok(File { path, metadata, columns })
}

fn check_like_first(files: &[File<'_>], file: &File<'_>) -> Result<(), Error> {
    match files.first() {
        Some(first) if first.columns.weighted() != file.columns.weighted() => {
            let (expected, got) = if first.columns.weighted() { ("weights", "none") } else { ("no weights", "some") };
            Err(Problem::new(format!("{expected}, as in {}", first.path.display()), got).of_file(file.path))
        }
        _ => Ok(()),
    }
}

/// Adds those of a file's row groups that begin in the part.
fn add_jobs(at: usize, file: &File<'_>, cut: &Cut, jobs: &mut Vec<Job>) -> Result<(), Error> {
    // The file's own numbers; a negative one is damage.
    let whole = |number: i64| u64::try_from(number).map_err(|error| damaged(file.path, error));
    let (mut rows_before, mut bytes_before) = (0, 0);
    for (row_group, metadata) in file.metadata.metadata().row_groups().iter().enumerate() {
        let bytes_on_disk = whole(metadata.compressed_size())?;
        let mut bytes = 0;
        for leaf in 0..metadata.num_columns() {
            if mask(file).leaf_included(leaf) {
                bytes += whole(metadata.column(leaf).uncompressed_size())?;
            }
        }
        let rows = whole(metadata.num_rows())?;
        if cut.holds(at, bytes_before) {
            jobs.push(Job { file: at, row_group, rows_before, rows, bytes_on_disk, bytes });
        }
        rows_before += rows;
        bytes_before = cut.length(at).min(bytes_before.saturating_add(bytes_on_disk));
    }
    Ok(())
}

/// The columns that are read.
fn mask(file: &File<'_>) -> ProjectionMask {
    ProjectionMask::roots(file.metadata.parquet_schema(), places(&file.columns))
}

/// The places of the columns that are read, ascending.
fn places(columns: &Columns) -> Vec<usize> {
    let mut places: Vec<usize> =
        [Some(columns.source), Some(columns.target), columns.weight, columns.kind].into_iter().flatten().collect();
    places.sort_unstable();
    places.dedup();
    places
}

pub(crate) fn damaged(path: &Path, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Parquet { path: path.to_owned(), source: error.into() }
}

/// Does work that rests on the decoder. It panics on some damaged files (parquet 60: a negative column start, a division by
/// zero); to the user that is an error like any other.
pub(crate) fn guarded<Done>(path: &Path, work: impl FnOnce() -> Result<Done, Error>) -> Result<Done, Error> {
    // What `work` may have left half done (edges of this file) is dropped with the error.
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(damaged(path, "the decoder gave up (panic)")))
}

/// What a thread works on.
struct Work<'load> {
    files: &'load [File<'load>],
    jobs: &'load [Job],
    options: &'load LoadOptions,
    gauge: &'load Gauge,
}

impl Work<'_> {
    /// Reads row groups until there are no more, or some thread met an error.
    fn run(&self, next: &AtomicUsize, stop: &AtomicBool, finished: &Sender<()>) -> Result<Sink, (usize, Error)> {
        let mut sink = Sink::new(self.options);
        let mut held = 0;
        while !stop.load(Ordering::Acquire) {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = self.jobs.get(at) else { break };
            sink.begin(at as u64, job.file, self.options.undirected);
            let file = &self.files[job.file];
            let outcome = guarded(file.path, || read_row_group(file, job, &mut sink));
            let now = sink.end();
            outcome.and_then(|()| self.gauge.holds(held, now)).map_err(|error| {
                stop.store(true, Ordering::Release);
                (at, error)
            })?;
            held = now;
            self.gauge.bytes_read.fetch_add(job.bytes_on_disk, Ordering::Relaxed);
            // Nobody listens any more only when the load is over.
            let _ = finished.send(());
        }
        Ok(sink)
    }
}

fn read_row_group(file: &File<'_>, job: &Job, sink: &mut Sink) -> Result<(), Error> {
    let handle = source::open(file.path)?;
    let batches = ParquetRecordBatchReaderBuilder::new_with_metadata(handle, file.metadata.clone())
        .with_row_groups(vec![job.row_group])
        .with_projection(mask(file))
        .with_batch_size(BATCH_ROWS)
        .build()
        .map_err(|error| damaged(file.path, error))?;
    let mut row = job.rows_before;
    for batch in batches {
        let batch = batch.map_err(|error| damaged(file.path, error))?;
        read_batch(&file.columns, &batch, sink)
            .map_err(|(at, problem)| problem.at_row(file.path, row + at as u64 + 1))?;
        row += batch.num_rows() as u64;
    }
    Ok(())
}

fn read_batch(columns: &Columns, batch: &RecordBatch, sink: &mut Sink) -> Result<(), (usize, Problem)> {
    let places = places(columns);
    let column = |place: usize, what: &'static str| {
        let at = places.binary_search(&place).expect("the place of a column that is read");
        Column::new(batch.column(at).as_ref(), what)
    };
    let (source, target) = (column(columns.source, "the id of a source"), column(columns.target, "the id of a target"));
    let weight = columns.weight.map(|place| column(place, "a weight"));
    let kind = columns.kind.map(|place| column(place, "a type"));
    for row in 0..batch.num_rows() {
        let mut edge = || {
            let source = source.source(row, sink)?;
            let target = target.target(row, sink)?;
            let weight = weight.as_ref().map(|weight| weight.weight(row)).transpose()?;
            let kind = kind.as_ref().map(|kind| kind.kind(row));
            sink.edge(source, target, weight, kind.as_ref().map(|kind| kind.as_bytes()))
        };
        edge().map_err(|problem| (row, problem))?;
    }
    Ok(())
}
