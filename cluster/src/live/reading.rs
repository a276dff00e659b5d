//! Reading a log of events, and telling a tail that was cut short from damage.
//!
//! A file of events, `events-NNNNNN.wpe`:
//!
//! ```text
//! offset  bytes  field
//!      0      8  magic, "WALKPRNT"
//!      8      4  format version, u32
//!     12      4  kind, u32: see FileKind
//!     16      8  number of the file, u64
//!     24      8  sequence number of the first event, u64
//!     32      8  XXH3-64 of bytes 0..32
//!     40     24  zero
//!     64    ...  batches, one after the other: see record.rs
//! ```
//!
//! Files are numbered one after the other; a file appears under its name with its whole head, and only the last one grows.
//!
//! **A tail is cut short** when the last file ends within a batch, as it does when a program is killed while it appends; or when a
//! stretch of a disk's sector in its last batch is all zeros, as after a power cut on file systems that grow a file before
//! they write to it. Such a batch was not acknowledged. **Everything else that does not fit is damage**, and so is a tail that a
//! whole batch follows: what was acknowledged is never taken for a tail. (Test: `tests/tests/event_log.rs`.)

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use walkprint_engine::error::Error as EngineError;
use walkprint_engine::events::Event;
use walkprint_engine::file::{FORMAT_VERSION, FileKind, MAGIC};
use walkprint_engine::store::{LiveEntry, Store, log_file, log_number};
use xxhash_rust::xxh3::xxh3_64;

use super::record::{self, HEAD_BYTES as RECORD_HEAD_BYTES, Head, MOST_BATCH_BYTES};
use crate::error::{Error, Result};

/// Bytes before the first batch.
pub(super) const HEAD_BYTES: u64 = 64;
/// What a disk writes at once: all of it, or nothing.
const SECTOR_BYTES: usize = 512;
/// How far behind a batch that cannot be read another one is looked for: more than one cannot lie between.
const LOOK_BYTES: u64 = 2 * MOST_BATCH_BYTES as u64 + (1 << 20);

/// A batch of events as it was appended.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// The sequence number of its first event.
    pub sequence: u64,
    /// The events.
    pub events: Vec<Event>,
}

/// A tail of a log that was never written in full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Torn {
    /// The file.
    pub path: PathBuf,
    /// Where the tail begins.
    pub offset: u64,
    /// How long it is.
    pub bytes: u64,
}

impl fmt::Display for Torn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Torn { path, offset, bytes } = self;
        write!(f, "{}: a batch was never written in full: {bytes} bytes from byte {offset} on", path.display())
    }
}

/// The bytes before the first batch.
pub(super) fn head(number: u64, first_sequence: u64) -> [u8; 64] {
    let mut head = [0; 64];
    head[..8].copy_from_slice(&MAGIC);
    head[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    head[12..16].copy_from_slice(&FileKind::EventLog.code().to_le_bytes());
    head[16..24].copy_from_slice(&number.to_le_bytes());
    head[24..32].copy_from_slice(&first_sequence.to_le_bytes());
    let checksum = xxh3_64(&head[..32]);
    head[32..40].copy_from_slice(&checksum.to_le_bytes());
    head
}

/// One file of a log.
#[derive(Debug)]
pub(super) struct LogFile {
    pub(super) path: PathBuf,
    number: u64,
    file: BufReader<File>,
    /// Where the next batch begins.
    pub(super) offset: u64,
    /// The sequence number of its first event.
    pub(super) next_sequence: u64,
}

/// What comes next in a file.
enum Next {
    Batch(Batch),
    /// The file ends here.
    End,
    /// The file ends within a batch.
    Short,
    /// What is there is no batch; if it looked like one, it has so many bytes.
    Bad(&'static str, Option<u64>),
}

impl LogFile {
    /// Opens the file of this number, whose first event must have this sequence number.
    pub(super) fn open(store: &Path, number: u64, first_sequence: u64) -> Result<LogFile> {
        let path = store.join(log_file(number));
        let file = OpenOptions::new().read(true).open(&path).map_err(EngineError::io(&path, "open"))?;
        let mut file = BufReader::with_capacity(1 << 18, file);
        let mut bytes = Vec::with_capacity(64);
        file.by_ref().take(HEAD_BYTES).read_to_end(&mut bytes).map_err(EngineError::io(&path, "read"))?;
        let expected = head(number, first_sequence);
        if bytes != expected {
            let version = bytes.get(8..12).map(|version| version.try_into().map_or(0, u32::from_le_bytes));
            return Err(match version {
                _ if !bytes.starts_with(&MAGIC) => {
                    let got = if bytes.is_empty() { "an empty file" } else { "other bytes" };
                    EngineError::Kind { path, expected: FileKind::EventLog.phrase(), got: got.into() }.into()
                }
                Some(got) if got != FORMAT_VERSION => {
                    EngineError::Version { path, expected: FORMAT_VERSION, got }.into()
                }
                _ => {
                    let what = format!("its head is not that of file {number} from event {first_sequence} on");
                    Error::LogDamaged { path, offset: 0, what, sequence: first_sequence }
                }
            });
        }
        Ok(LogFile { path, number, file, offset: HEAD_BYTES, next_sequence: first_sequence })
    }

    fn io(&self) -> impl FnOnce(std::io::Error) -> EngineError {
        EngineError::io(&self.path, "read")
    }

    fn length(&self) -> Result<u64> {
        Ok(self.file.get_ref().metadata().map_err(self.io())?.len())
    }

    /// Reads the next batch. After anything else the same comes again, unless the file has grown.
    fn next(&mut self) -> Result<Next> {
        let left = self.length()?.saturating_sub(self.offset);
        if left == 0 {
            return Ok(Next::End);
        }
        let next = self.read(left)?;
        if !matches!(next, Next::Batch(_)) {
            self.file.seek(SeekFrom::Start(self.offset)).map_err(self.io())?;
        }
        Ok(next)
    }

    fn read(&mut self, left: u64) -> Result<Next> {
        let mut bytes = Vec::with_capacity(4096);
        if left < RECORD_HEAD_BYTES as u64 || !self.read_onto(&mut bytes, RECORD_HEAD_BYTES)? {
            return Ok(Next::Short);
        }
        let Some(head) = Head::read(&bytes, self.number) else {
            return Ok(Next::Bad("the head of a batch cannot be read", None));
        };
        let length = head.record_bytes() as u64;
        if head.sequence != self.next_sequence {
            return Ok(Next::Bad("a batch has not the sequence number that comes next", Some(length)));
        }
        if left < length || !self.read_onto(&mut bytes, head.record_bytes() - RECORD_HEAD_BYTES)? {
            return Ok(Next::Short);
        }
        Ok(match record::read(&bytes, head, self.number) {
            Err(what) => Next::Bad(what, Some(length)),
            Ok(events) => {
                self.offset += length;
                self.next_sequence += u64::from(head.events);
                Next::Batch(Batch { sequence: head.sequence, events })
            }
        })
    }

    /// Reads so many bytes; false when the file ends before.
    fn read_onto(&mut self, bytes: &mut Vec<u8>, count: usize) -> Result<bool> {
        let read = self.file.by_ref().take(count as u64).read_to_end(bytes);
        Ok(read.map_err(self.io())? == count)
    }

    fn damaged(&self, what: impl Into<String>) -> Error {
        let (path, sequence) = (self.path.clone(), self.next_sequence);
        Error::LogDamaged { path, offset: self.offset, what: what.into(), sequence }
    }

    /// Whether what cannot be read here was never written in full: see the head of this file.
    fn is_torn(&mut self, bad: Option<u64>, is_bad: bool) -> Result<bool> {
        self.file.seek(SeekFrom::Start(self.offset)).map_err(self.io())?;
        let mut rest = Vec::new();
        self.file.by_ref().take(LOOK_BYTES).read_to_end(&mut rest).map_err(self.io())?;
        let comes_after = |at: usize| {
            let head = Head::read(&rest[at..], self.number).filter(|head| self.next_sequence <= head.sequence);
            head.and_then(|head| {
                let record = rest[at..].get(..head.record_bytes())?;
                record::read(record, head, self.number).ok()
            })
        };
        if (1..rest.len()).any(|at| comes_after(at).is_some()) {
            return Ok(false);
        }
        if !is_bad {
            return Ok(true);
        }
        let bytes =
            bad.map_or(rest.len(), |bytes| usize::try_from(bytes).map_or(rest.len(), |bytes| bytes.min(rest.len())));
        Ok(has_zero_sector(&rest[..bytes], self.offset))
    }
}

/// Whether bytes of a file from this offset on have a stretch of a sector that is all zeros.
fn has_zero_sector(mut bytes: &[u8], offset: u64) -> bool {
    let within = usize::try_from(offset % SECTOR_BYTES as u64).expect("a sector is small");
    let mut to_end = SECTOR_BYTES - within;
    while !bytes.is_empty() {
        let (sector, rest) = bytes.split_at(to_end.min(bytes.len()));
        // A few zeros at the edge of a batch may be numbers.
        if 8 <= sector.len() && sector.iter().all(|&byte| byte == 0) {
            return true;
        }
        (bytes, to_end) = (rest, SECTOR_BYTES);
    }
    false
}

/// A log that was read through.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checked {
    /// Each file: its number, the sequence number of its first event, and the bytes of it that count.
    pub files: Vec<(u64, u64, u64)>,
    /// The sequence number of the event that comes next.
    pub next_sequence: u64,
    /// A tail that does not count.
    pub torn: Option<Torn>,
}

/// Reads the log of a store through, whatever program takes events for it. `visit` is given every batch in order.
///
/// # Errors
/// When the store cannot be read; when a file is missing, or damage is found.
pub fn check(store: &Path, visit: &mut dyn FnMut(Batch) -> Result<()>) -> Result<Checked> {
    match &Store::open(store)?.manifest().live {
        Some(live) => check_from(store, live, visit),
        None => Ok(Checked::default()),
    }
}

/// The same for the log that a manifest speaks of.
pub(crate) fn check_from(
    store: &Path,
    live: &LiveEntry,
    visit: &mut dyn FnMut(Batch) -> Result<()>,
) -> Result<Checked> {
    let numbers = numbers(store, live.first_log)?;
    let mut checked = Checked { next_sequence: live.first_sequence, ..Checked::default() };
    let last = numbers.last().copied().unwrap_or(live.first_log);
    for number in live.first_log..=last {
        if !numbers.contains(&number) {
            let (path, what) = (store.join(log_file(number)), "it is missing".to_owned());
            return Err(Error::LogDamaged { path, offset: 0, what, sequence: checked.next_sequence });
        }
        let mut file = LogFile::open(store, number, checked.next_sequence)?;
        loop {
            let (bad, is_bad, what) = match file.next()? {
                Next::Batch(batch) => {
                    visit(batch)?;
                    continue;
                }
                Next::End => break,
                Next::Short => (None, false, "it ends within a batch"),
                Next::Bad(what, bytes) => (bytes, true, what),
            };
            if number != last || !file.is_torn(bad, is_bad)? {
                return Err(file.damaged(what));
            }
            let bytes = file.length()? - file.offset;
            checked.torn = Some(Torn { path: file.path.clone(), offset: file.offset, bytes });
            break;
        }
        checked.files.push((number, checked.next_sequence, file.offset));
        checked.next_sequence = file.next_sequence;
    }
    Ok(checked)
}

/// How far a log reaches: the number of its last file, and the bytes of all. What has the same extent as before has not grown.
///
/// # Errors
/// When the store cannot be read.
pub fn extent(store: &Path, live: &LiveEntry) -> Result<(u64, u64)> {
    let (mut last, mut bytes) = (0, 0);
    for number in numbers(store, live.first_log)? {
        let path = store.join(log_file(number));
        bytes += std::fs::metadata(&path).map_err(EngineError::io(&path, "look at"))?.len();
        last = number;
    }
    Ok((last, bytes))
}

/// The numbers of the files of events from `first` on, ascending.
pub(super) fn numbers(store: &Path, first: u64) -> Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(store).map_err(EngineError::io(store, "read the directory"))? {
        let name = entry.map_err(EngineError::io(store, "read the directory"))?.file_name();
        numbers.extend(name.to_str().and_then(log_number).filter(|&number| first <= number));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// The batches of a log in order, from the first that the graph has not absorbed. Needs no lock: the log may grow meanwhile.
///
/// After `None` it goes on when it is asked again and there is more: so events can be followed as they come. A batch that is seen
/// may not be acknowledged yet, and vanishes where its append fails.
#[derive(Debug)]
pub struct Batches {
    store: PathBuf,
    file: Option<LogFile>,
}

impl Batches {
    /// The batches of a store's log; none when there have been no events.
    ///
    /// # Errors
    /// When the store or the log cannot be read.
    pub fn open(store: &Path) -> Result<Batches> {
        let mut before = None;
        loop {
            let live = Store::open(store)?.manifest().live.clone();
            let Some(live) = live else { return Ok(Batches { store: store.to_owned(), file: None }) };
            match LogFile::open(store, live.first_log, live.first_sequence) {
                Ok(file) => return Ok(Batches { store: store.to_owned(), file: Some(file) }),
                // Absorbed and removed since the manifest was read; the next one says where to begin.
                Err(Error::Engine(EngineError::Io { .. })) if before != Some(live.first_log) => {
                    before = Some(live.first_log);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The sequence number of the event that comes next.
    #[must_use]
    pub fn next_sequence(&self) -> u64 {
        self.file.as_ref().map_or(0, |file| file.next_sequence)
    }

    fn advance(&mut self) -> Result<Option<Batch>> {
        if self.file.is_none() {
            // Perhaps there are events now.
            *self = Batches::open(&self.store)?;
        }
        let Some(file) = &mut self.file else { return Ok(None) };
        loop {
            let next = file.next()?;
            match next {
                Next::Batch(batch) => return Ok(Some(batch)),
                // The last file may be growing at this moment.
                Next::Short => return Ok(None),
                Next::Bad(what, _) => return Err(file.damaged(what)),
                Next::End => {}
            }
            let (number, sequence) = (file.number + 1, file.next_sequence);
            if self.store.join(log_file(number)).exists() {
                // It was begun after the last batch of this one was written.
                match file.next()? {
                    Next::Batch(batch) => return Ok(Some(batch)),
                    _ => *file = LogFile::open(&self.store, number, sequence)?,
                }
                continue;
            }
            let absorbed =
                Store::open(&self.store)?.manifest().live.as_ref().is_none_or(|live| number < live.first_log);
            if absorbed {
                let what =
                    "events were absorbed or dropped before they were read; begin anew from the store".to_owned();
                return Err(Error::Request { what });
            }
            return Ok(None);
        }
    }
}

impl Iterator for Batches {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Result<Batch>> {
        self.advance().transpose()
    }
}
