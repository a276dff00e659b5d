//! Events from files and streams, a batch at a time.
//!
//! | format | an event | file |
//! |---|---|---|
//! | [`EventFormat::JsonLines`] | an object a line | `json_lines.rs` |
//! | [`EventFormat::Csv`], [`EventFormat::Tsv`] | a row under a header, or columns by number | `table.rs` |
//! | [`EventFormat::Parquet`] | a row | `columnar.rs` |
//!
//! Fields and columns have the same names everywhere: `source` and `target` (or `src` and `dst`, `from` and `to`), `user_id` and
//! `item_id`, or `node`; and `op`, `weight`, `type`, `time` (or `timestamp`), `event_id`. What they mean together says
//! [`walkprint_engine::events::WrittenEvent`].
//!
//! **Memory does not grow with the input**, and what comes through a pipe is handed out as soon as its line is whole: an event is
//! not kept waiting for the next one. (Kept by `lines_are_handed_out_as_they_come`.)
//!
//! Nothing is skipped silently, as everywhere in this crate: events before a bad line are handed out, then the error comes.
//! (Kept by `events_before_a_bad_line_come_first`.)

mod columns;

mod json_lines;

mod table;

mod columnar;

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use memchr::memchr;
use walkprint_engine::events::{BadEvent, Event, Operation, Subject, WrittenEvent};

use crate::Error;
use crate::blocks::Blocks;
use crate::error::Problem;
use crate::source::Source;
use crate::text::BYTE_ORDER_MARK;

/// Bytes of text that are looked at together.
const BLOCK_BYTES: usize = 256 << 10;
/// Nodes of interactions that are remembered, so that one that comes often is not announced each time.
const MOST_REMEMBERED: usize = 1 << 20;
/// What a Parquet file begins with.
const PARQUET_MAGIC: &[u8] = b"PAR1";

/// The path that stands for the standard input.
pub const STDIN: &str = "-";

/// A format of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventFormat {
    /// `json-lines`: an object a line.
    JsonLines,
    /// `csv`: commas, quotes as in RFC 4180.
    Csv,
    /// `tsv`: as CSV with tabs.
    Tsv,
    /// `parquet`: a row an event.
    Parquet,
}

impl EventFormat {
    /// All formats.
    pub const ALL: [EventFormat; 4] =
        [EventFormat::JsonLines, EventFormat::Csv, EventFormat::Tsv, EventFormat::Parquet];

    /// The format's name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            EventFormat::JsonLines => "json-lines",
            EventFormat::Csv => "csv",
            EventFormat::Tsv => "tsv",
            EventFormat::Parquet => "parquet",
        }
    }

    /// What a file's name says, `.gz` and `.zst` at its end left aside; `None`: look into the file.
    fn from_name(path: &Path) -> Option<EventFormat> {
        let name = path.file_name()?.to_string_lossy().to_ascii_lowercase();
        let name = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(&name);
        match name.rsplit_once('.')?.1 {
            "jsonl" | "ndjson" | "json" => Some(EventFormat::JsonLines),
            "csv" => Some(EventFormat::Csv),
            "tsv" => Some(EventFormat::Tsv),
            "parquet" => Some(EventFormat::Parquet),
            _ => None,
        }
    }
}

impl fmt::Display for EventFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for EventFormat {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = EventFormat::ALL.into_iter().find(|format| format.name() == name);
        known.ok_or_else(|| {
            let names = EventFormat::ALL.map(EventFormat::name).join(", ");
            format!("expected a format of events ({names}), got {name:?}")
        })
    }
}

/// How events are to be read. Columns are given by name, or, for CSV and TSV without a header, by number from 1.
#[derive(Debug, Clone, PartialEq)]
pub struct EventOptions {
    /// The format, if it is not to be found by name and content.
    pub format: Option<EventFormat>,
    /// The column of the sources.
    pub source_col: Option<String>,
    /// The column of the targets.
    pub target_col: Option<String>,
    /// The column of the weights.
    pub weight_col: Option<String>,
    /// The column of the types.
    pub type_col: Option<String>,
    /// The column of the operations.
    pub op_col: Option<String>,
    /// The column of the times.
    pub time_col: Option<String>,
    /// The column of the ids of events.
    pub event_id_col: Option<String>,
    /// Each event of an edge counts for the edge back as well, a self-loop once. The name of the event back has a `^` before it.
    pub undirected: bool,
    /// How many events make a batch, at most; events that one line stands for stay together.
    pub batch_events: usize,
}

impl Default for EventOptions {
    fn default() -> Self {
        EventOptions {
            format: None,
            source_col: None,
            target_col: None,
            weight_col: None,
            type_col: None,
            op_col: None,
            time_col: None,
            event_id_col: None,
            undirected: false,
            batch_events: 10_000,
        }
    }
}

impl EventOptions {
    fn columns(&self) -> [Option<&str>; 7] {
        let EventOptions { source_col, target_col, weight_col, type_col, op_col, time_col, event_id_col, .. } = self;
        [source_col, target_col, weight_col, type_col, op_col, time_col, event_id_col].map(Option::as_deref)
    }
}

/// Some events, in the order of the input, and where each came from.
#[derive(Debug, Clone, PartialEq)]
pub struct EventBatch {
    /// The events.
    pub events: Vec<Event>,
    /// The line (of Parquet files the row) of each event, from 1.
    pub lines: Vec<u64>,
    path: PathBuf,
    rows: bool,
}

impl EventBatch {
    /// Where an event came from, as messages begin: `clicks.csv:17`, or `clicks.parquet: row 17`.
    ///
    /// # Panics
    /// When there is no such event.
    #[must_use]
    pub fn place(&self, event: usize) -> String {
        let separator = if self.rows { ": row " } else { ":" };
        format!("{}{separator}{}", self.path.display(), self.lines[event])
    }
}

/// Reads events. Memory: a few megabytes, and what a million names of nodes take where interactions are read.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use walkprint_loaders::events::{EventOptions, EventReader};
/// let text: &[u8] = b"op,source,target,weight\nadd,ann,bob,2\nremove,bob,carl,\n";
/// let mut reader = EventReader::of_bytes("request", text, &EventOptions::default())?;
/// let batch = reader.next_batch()?.expect("there are two events");
/// assert_eq!((batch.events.len(), batch.place(1)), (2, "request:3".to_owned()));
/// assert_eq!(reader.next_batch()?, None);
/// # Ok(())
/// # }
/// ```
pub struct EventReader {
    path: PathBuf,
    input: Input,
    gathered: Gathered,
    /// What is to be told after the events that came before it.
    failed: Option<Error>,
    batch_events: usize,
    bytes_read: Arc<AtomicU64>,
    format: EventFormat,
}

enum Input {
    Lines(Blocks),
    Table(table::Table),
    Rows(columnar::Rows),
    Ended,
}

impl EventReader {
    /// Opens a file, compressed or not; `-` is the standard input.
    ///
    /// # Errors
    /// When it cannot be read, or its columns are not those of events.
    pub fn open(path: &Path, options: &EventOptions) -> Result<EventReader, Error> {
        if path == Path::new(STDIN) {
            return EventReader::of_bytes("<stdin>", io::stdin(), options);
        }
        if options.format.or_else(|| EventFormat::from_name(path)) != Some(EventFormat::Parquet) {
            let bytes_read = Arc::default();
            return EventReader::of_source(Source::open(path, &bytes_read)?, bytes_read, options);
        }
        crate::source::length(path)?; // a directory is told as such
        let input = Input::Rows(columnar::Rows::begin(path, options)?);
        Ok(EventReader::new(path, input, EventFormat::Parquet, Arc::default(), options))
    }

    /// Reads what `bytes` gives: a stream, or what a client sent. Messages call it `name`.
    ///
    /// # Errors
    /// When it cannot be read, or its columns are not those of events.
    pub fn of_bytes(name: &str, bytes: impl Read + 'static, options: &EventOptions) -> Result<EventReader, Error> {
        let bytes_read = Arc::default();
        EventReader::of_source(Source::of(Path::new(name), bytes, &bytes_read)?, bytes_read, options)
    }

    fn of_source(source: Source, bytes_read: Arc<AtomicU64>, options: &EventOptions) -> Result<EventReader, Error> {
        let path = source.path().to_owned();
        let mut blocks = Blocks::as_they_come(source, BLOCK_BYTES);
        // A stream may begin with a few bytes only.
        while !has_first_line(blocks.head()) && !blocks.ended() {
            blocks.check_head()?;
            blocks.grow()?;
        }
        if blocks.head().starts_with(BYTE_ORDER_MARK) {
            blocks.skip(BYTE_ORDER_MARK.len());
        }
        let blank = blocks.head().len() - blocks.head().trim_ascii_start().len();
        let blank_lines = blocks.head()[..blank].iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        blocks.skip(blank_lines);
        if blocks.head().starts_with(PARQUET_MAGIC) {
            let expected = "text (a Parquet file has to be named .parquet, and cannot come through a pipe)";
            return Err(Problem::new(expected, "a Parquet file").of_file(&path));
        }
        let looks = || match blocks.head().trim_ascii().first() {
            Some(b'{') | None => EventFormat::JsonLines,
            Some(_) if table::delimiter(blocks.head()) == b'\t' => EventFormat::Tsv,
            Some(_) => EventFormat::Csv,
        };
        let format = options.format.or_else(|| EventFormat::from_name(&path)).unwrap_or_else(looks);
        let delimiter = match format {
            EventFormat::JsonLines => None,
            EventFormat::Csv => Some(b','),
            EventFormat::Tsv => Some(b'\t'),
            EventFormat::Parquet => {
                let (expected, got) = ("a file by its name (Parquet cannot come through a pipe)", "a stream");
                return Err(Problem::new(expected, got).of_file(&path));
            }
        };
        let input = match delimiter {
            _ if blocks.head().is_empty() => Input::Ended,
            None => Input::Lines(blocks),
            Some(delimiter) => Input::Table(table::Table::begin(blocks, delimiter, options)?),
        };
        Ok(EventReader::new(&path, input, format, bytes_read, options))
    }

    fn new(
        path: &Path,
        input: Input,
        format: EventFormat,
        bytes_read: Arc<AtomicU64>,
        options: &EventOptions,
    ) -> EventReader {
        EventReader {
            path: path.to_owned(),
            input,
            gathered: Gathered { undirected: options.undirected, ..Gathered::default() },
            failed: None,
            batch_events: options.batch_events.max(1),
            bytes_read,
            format,
        }
    }

    /// The format that is read.
    #[must_use]
    pub fn format(&self) -> EventFormat {
        self.format
    }

    /// The columns that are not looked at.
    #[must_use]
    pub fn ignored_columns(&self) -> &[String] {
        match &self.input {
            Input::Table(table) => &table.ignored,
            Input::Rows(rows) => &rows.ignored,
            Input::Lines(_) | Input::Ended => &[],
        }
    }

    /// How many bytes have been read, as they were before decompression; of Parquet files 0.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }

    /// The next events; `None` at the end. Waits only when there is none yet.
    ///
    /// # Errors
    /// When the input cannot be read, or a line is no event: after the events before it. Reading does not go on then.
    pub fn next_batch(&mut self) -> Result<Option<EventBatch>, Error> {
        while self.gathered.events.is_empty() && self.failed.is_none() {
            let read = match &mut self.input {
                Input::Lines(blocks) => json_lines::read(blocks, &mut self.gathered),
                Input::Table(table) => table.read(&mut self.gathered),
                Input::Rows(rows) => rows.read(&mut self.gathered),
                Input::Ended => return Ok(None),
            };
            match read {
                Ok(true) => {}
                Ok(false) => self.input = Input::Ended,
                Err(error) => self.failed = Some(error),
            }
        }
        if self.gathered.events.is_empty()
            && let Some(error) = self.failed.take()
        {
            self.input = Input::Ended;
            return Err(error);
        }
        let (events, lines) = self.gathered.first(self.batch_events);
        let rows = self.format == EventFormat::Parquet;
        Ok(Some(EventBatch { events, lines, path: self.path.clone(), rows }))
    }
}

/// Whether the beginning of a file has a whole line that is not blank, or is known to have none.
fn has_first_line(head: &[u8]) -> bool {
    let text = head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(head);
    head.starts_with(PARQUET_MAGIC) || memchr(b'\n', text.trim_ascii_start()).is_some()
}

/// Events that were read and not handed out yet, each with its line.
#[derive(Default)]
struct Gathered {
    events: VecDeque<(Event, u64)>,
    undirected: bool,
    /// What one line stands for.
    of_line: Vec<Event>,
    /// Nodes of interactions that were announced.
    announced: HashSet<String>,
}

impl Gathered {
    /// Takes what a line says.
    fn take(&mut self, written: WrittenEvent, line: u64) -> Result<(), Problem> {
        let interaction = written.user_id.is_some();
        self.of_line.clear();
        written.append_to(&mut self.of_line)?;
        if interaction {
            self.announce_once();
        } else if let Some(Event { operation, subject: Subject::Node { id, .. }, .. }) = self.of_line.first()
            && *operation != Operation::Add
        {
            self.announced.remove(id);
        } else if self.undirected
            && let Some(back) = self.of_line.first().and_then(turned)
        {
            back.check()?;
            self.of_line.push(back);
        }
        self.events.extend(self.of_line.drain(..).map(|event| (event, line)));
        Ok(())
    }

    /// Drops from the events of an interaction those that say of a node what was said before.
    fn announce_once(&mut self) {
        let announced = &mut self.announced;
        self.of_line.retain(|event| {
            let Subject::Node { id, .. } = &event.subject else { return true };
            if announced.contains(id) {
                return false;
            }
            if MOST_REMEMBERED <= announced.len() {
                announced.clear();
            }
            announced.insert(id.clone())
        });
    }

    /// Takes the first events out, up to so many, but all of a line.
    fn first(&mut self, most: usize) -> (Vec<Event>, Vec<u64>) {
        let mut end = most.min(self.events.len());
        while 0 < end && end < self.events.len() && self.events[end].1 == self.events[end - 1].1 {
            end += 1;
        }
        self.events.drain(..end).unzip()
    }
}

/// The event of the edge back, if it is another edge.
fn turned(event: &Event) -> Option<Event> {
    let Subject::Edge { source, target, weight, kind } = &event.subject else { return None };
    let subject = Subject::Edge { source: target.clone(), target: source.clone(), weight: *weight, kind: kind.clone() };
    let event_id = event.event_id.as_ref().map(|id| format!("^{id}"));
    (source != target).then_some(Event { subject, event_id, ..event.clone() })
}

impl From<BadEvent> for Problem {
    fn from(BadEvent { expected, got }: BadEvent) -> Problem {
        Problem { expected, got }
    }
}
