//! Where events are kept until the graph has absorbed them.
//!
//! **A batch that [`EventLog::append`] has taken is not lost any more**, under [`Fsync::Always`] whatever happens to the program,
//! the system or the power; under [`Fsync::Never`] as long as the system goes on. A batch is taken as a whole or not at all, and
//! one that was not taken leaves the log as it was. (Tests: `tests/tests/event_log.rs`.)
//!
//! One program at a time takes events for a store: it holds `events.lock`. Others may read them: [`Batches`](super::Batches).
//!
//! A compaction absorbs whole files. [`EventLog::rotate`] ends the last one and begins another; [`EventLog::live_entry`] is what the
//! new manifest then says; after its publication [`EventLog::absorbed`] forgets what was absorbed. Events are taken all the
//! while.

use std::collections::HashMap;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use walkprint_engine::error::Error as EngineError;
use walkprint_engine::events::{Decay, Event};
use walkprint_engine::file::persist;
use walkprint_engine::store::{EVENTS_LOCK, FileLock, LiveEntry, Store, StoreLock, log_file};

use super::ids::{self, EventIds, MOST_IDS};
use super::reading::{Batch, HEAD_BYTES, Torn, check_from, head, numbers};
use super::record::{self, HEAD_BYTES as RECORD_HEAD_BYTES, MOST_BATCH_BYTES};
use crate::error::{Error, Result};

/// Whether a batch is on the disk before it is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fsync {
    /// It is: a power cut loses nothing that was acknowledged. Costs a write to the disk for each call.
    #[default]
    Always,
    /// The system writes when it sees fit: a power cut loses the last seconds, or, where the disk wrote out of order, leaves a
    /// damaged log. A program that is killed loses nothing.
    Never,
}

impl fmt::Display for Fsync {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Fsync::Always { "always" } else { "never" })
    }
}

impl FromStr for Fsync {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "always" => Ok(Fsync::Always),
            "never" => Ok(Fsync::Never),
            _ => Err(format!("expected always or never, got {text:?}")),
        }
    }
}

/// How events are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogOptions {
    /// Whether a batch is on the disk before it is acknowledged.
    pub fsync: Fsync,
    /// How many ids of events are remembered: see [`EventIds`].
    pub most_ids: usize,
}

impl Default for LogOptions {
    fn default() -> Self {
        LogOptions { fsync: Fsync::default(), most_ids: MOST_IDS }
    }
}

/// What was found when a log was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// How many events there are that the graph has not absorbed.
    pub events: u64,
    /// What was cut off the last file: the rest of an append that did not come to its end. To be told to the user.
    pub cut: Option<Torn>,
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// The sequence number of its first event that was taken, or of the event that comes next when none was.
    pub sequence: u64,
    /// How many events were taken.
    pub taken: usize,
    /// The places of those that had come before, ascending.
    pub skipped: Vec<usize>,
}

/// Where a compaction ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sealed {
    /// The number of the first file that it leaves.
    pub first_log: u64,
    /// The sequence number of the first event that it leaves.
    pub first_sequence: u64,
    /// How many ids had come by then.
    ids: u64,
}

#[derive(Debug)]
struct OldFile {
    number: u64,
    bytes: u64,
}

/// What the id of an event says of it.
enum Recognised {
    /// It has none.
    Nameless,
    /// The same event came before.
    Before,
    /// It has not come yet: digests of its id and of what it says.
    New([u64; 2], u64),
}

/// The ids of events that are about to come, and a digest of what each says.
pub(super) type Coming = HashMap<[u64; 2], u64>;

/// Events that have not come before.
pub(super) struct NewOnes {
    /// Their places.
    pub(super) places: Vec<usize>,
    /// Their ids.
    pub(super) ids: Coming,
}

/// The log of a store's events, open to be appended to.
#[derive(Debug)]
pub struct EventLog {
    store: PathBuf,
    _lock: FileLock,
    fsync: Fsync,
    /// The files before the last one.
    old: Vec<OldFile>,
    /// The last file.
    file: File,
    path: PathBuf,
    number: u64,
    /// How many bytes of it count.
    bytes: u64,
    first_sequence: u64,
    next_sequence: u64,
    ids: EventIds,
    decay: Option<Decay>,
    buffer: Vec<u8>,
    room: Vec<u8>,
    unusable: bool,
}

impl EventLog {
    /// Opens the log of a store, reads it through, and cuts off what an append left that did not come to its end. The first time it
    /// publishes a manifest that has events. `visit` is given every batch that the graph has not absorbed, in order.
    ///
    /// Cost: the log and the file of ids are read. Memory: that of [`EventIds`].
    ///
    /// # Errors
    /// When another program takes events; when the graph lies in shards; when a file is damaged or missing.
    pub fn open(
        path: &Path,
        options: LogOptions,
        visit: &mut dyn FnMut(Batch) -> Result<()>,
    ) -> Result<(EventLog, Opened)> {
        let store = Store::open(path)?;
        let shards = store.manifest().graph.shards.len();
        if shards != 0 {
            return Err(EngineError::Sharded { path: path.to_owned(), shards }.into());
        }
        let lock = FileLock::take(&path.join(EVENTS_LOCK))?;
        let lock = lock.ok_or_else(|| Error::EventsLocked { store: path.to_owned() })?;
        let live = match Store::open(path)?.manifest().live.clone() {
            Some(live) => live,
            None => begin(path)?,
        };
        let mut ids = match &live.event_ids {
            Some(entry) => EventIds::read(path, entry, options.most_ids)?,
            None => EventIds::new(options.most_ids),
        };
        let mut room = Vec::new();
        let checked = check_from(path, &live, &mut |batch| {
            for event in &batch.events {
                if let Some(id) = &event.event_id {
                    ids.insert(ids::digest(id), record::content(event, &mut room));
                }
            }
            visit(batch)
        })?;
        let mut old: Vec<OldFile> = checked.files.iter().map(|&(number, _, bytes)| OldFile { number, bytes }).collect();
        let OldFile { number, bytes } = old.pop().expect("the first file is there, or it is missing");
        let path_of_last = path.join(log_file(number));
        let file = OpenOptions::new().read(true).write(true).open(&path_of_last);
        let file = file.map_err(EngineError::io(&path_of_last, "open"))?;
        if checked.torn.is_some() {
            file.set_len(bytes).map_err(EngineError::io(&path_of_last, "cut"))?;
            file.sync_all().map_err(EngineError::io(&path_of_last, "flush to the disk"))?;
        }
        let opened = Opened { events: checked.next_sequence - live.first_sequence, cut: checked.torn };
        let log = EventLog {
            store: path.to_owned(),
            _lock: lock,
            fsync: options.fsync,
            old,
            file,
            path: path_of_last,
            number,
            bytes,
            first_sequence: live.first_sequence,
            next_sequence: checked.next_sequence,
            ids,
            decay: live.decay,
            buffer: Vec::new(),
            room,
            unusable: false,
        };
        Ok((log, opened))
    }

    /// Takes events, in order: all that are new, or, where there is an error, none. Those whose ids came before are left out.
    ///
    /// # Errors
    /// When one is no event, or its id came before with other content; when they are too many for a batch; when the disk refuses.
    /// The log is then as it was.
    pub fn append(&mut self, events: &[Event]) -> Result<Appended> {
        self.append_each(&[events]).pop().expect("there is a result for each batch")
    }

    /// The places of events that have not come before, ascending; of several with one id the first. `coming` are the ids of events that
    /// are to come before these.
    ///
    /// # Errors
    /// When one is no event, or its id came before with other content: its place, and why.
    pub(super) fn new_behind(
        &mut self,
        events: &[Event],
        coming: &Coming,
    ) -> std::result::Result<NewOnes, (usize, Error)> {
        let mut new = NewOnes { places: Vec::with_capacity(events.len()), ids: Coming::new() };
        let mut bytes = 0;
        for (place, event) in events.iter().enumerate() {
            event.check().map_err(|source| (place, Error::BadEvent { number: place + 1, source }))?;
            let (one, other) = (&new.ids, coming);
            match self.recognise(event, &[one, other]).map_err(|error| (place, error))? {
                Recognised::Before => continue,
                Recognised::Nameless => {}
                Recognised::New(id, content) => drop(new.ids.insert(id, content)),
            }
            self.room.clear();
            record::write_event(event, &mut self.room);
            bytes += self.room.len();
            if MOST_BATCH_BYTES < bytes {
                return Err((place, too_many()));
            }
            new.places.push(place);
        }
        Ok(new)
    }

    /// Whether an event came before, by its id: in the log, or among those that are about to come.
    fn recognise(&mut self, event: &Event, coming: &[&Coming]) -> Result<Recognised> {
        let Some(event_id) = &event.event_id else { return Ok(Recognised::Nameless) };
        let (id, content) = (ids::digest(event_id), record::content(event, &mut self.room));
        match self.ids.get(id).or_else(|| coming.iter().find_map(|coming| coming.get(&id).copied())) {
            None => Ok(Recognised::New(id, content)),
            Some(before) if before == content => Ok(Recognised::Before),
            Some(_) => Err(Error::EventChanged { event_id: event_id.clone() }),
        }
    }

    /// Takes several batches with one write to the disk. Each is taken as a whole or not at all, as if they came one after the
    /// other; where the disk refuses none is.
    pub fn append_each(&mut self, batches: &[&[Event]]) -> Vec<Result<Appended>> {
        if let Err(error) = self.usable() {
            return batches.iter().map(|_| Err(again(&error, &self.path))).collect();
        }
        self.buffer.clear();
        let mut staged = HashMap::new();
        let mut order = Vec::new();
        let mut sequence = self.next_sequence;
        let mut results: Vec<Result<Appended>> =
            batches.iter().map(|events| self.stage(events, &mut sequence, &mut staged, &mut order)).collect();
        if self.buffer.is_empty() {
            return results;
        }
        match self.write() {
            Ok(()) => {
                self.next_sequence = sequence;
                for id in order {
                    self.ids.insert(id, staged[&id]);
                }
            }
            Err(error) => {
                for result in results.iter_mut().filter(|result| result.is_ok()) {
                    *result = Err(again(&error, &self.path));
                }
            }
        }
        results
    }

    /// Appends a batch to the buffer, with the ids that are new.
    fn stage(
        &mut self,
        events: &[Event],
        sequence: &mut u64,
        staged: &mut Coming,
        order: &mut Vec<[u64; 2]>,
    ) -> Result<Appended> {
        let (at, known) = (record::begin(&mut self.buffer), order.len());
        let mut skipped = Vec::new();
        let mut taken = || -> Result<usize> {
            for (place, event) in events.iter().enumerate() {
                event.check().map_err(|source| Error::BadEvent { number: place + 1, source })?;
                match self.recognise(event, &[&*staged])? {
                    Recognised::Nameless => {}
                    Recognised::Before => {
                        skipped.push(place);
                        continue;
                    }
                    Recognised::New(id, content) => {
                        staged.insert(id, content);
                        order.push(id);
                    }
                }
                record::write_event(event, &mut self.buffer);
                if MOST_BATCH_BYTES < self.buffer.len() - at - RECORD_HEAD_BYTES {
                    return Err(too_many());
                }
            }
            Ok(events.len() - skipped.len())
        };
        let taken = taken();
        match taken {
            Ok(count) if count != 0 => {
                let events = u32::try_from(count).expect("an event has some bytes, and a batch fewer than 2^32");
                record::end(&mut self.buffer, at, events, *sequence, self.number);
            }
            _ => {
                self.buffer.truncate(at);
                for id in order.drain(known..) {
                    staged.remove(&id);
                }
            }
        }
        let taken = taken?;
        let appended = Appended { sequence: *sequence, taken, skipped };
        *sequence += taken as u64;
        Ok(appended)
    }

    /// Writes the buffer behind what counts.
    fn write(&mut self) -> Result<()> {
        let written = self.file.write_all_at(&self.buffer, self.bytes).and_then(|()| match self.fsync {
            Fsync::Always => self.file.sync_data(),
            Fsync::Never => Ok(()),
        });
        if let Err(source) = written {
            // So that a later append does not leave half a batch in the middle.
            self.unusable = self.file.set_len(self.bytes).and_then(|()| self.file.sync_all()).is_err();
            return Err(EngineError::io(&self.path, "append")(source).into());
        }
        // Events for a graph that is gone must not be acknowledged.
        let metadata = self.file.metadata().map_err(EngineError::io(&self.path, "look at"))?;
        if metadata.nlink() == 0 {
            self.unusable = true;
            return Err(Error::LogReplaced { path: self.path.clone() });
        }
        self.bytes += self.buffer.len() as u64;
        Ok(())
    }

    fn usable(&self) -> Result<()> {
        if self.unusable { Err(Error::LogUnusable { path: self.path.clone() }) } else { Ok(()) }
    }

    /// Ends the last file and begins another, unless nothing has come since it was begun: a compaction absorbs everything before
    /// the file that is returned.
    ///
    /// # Errors
    /// When the disk refuses. The log then goes on as it was.
    pub fn rotate(&mut self) -> Result<Sealed> {
        self.usable()?;
        if self.bytes != HEAD_BYTES {
            // What lies before the last file has to be whole, whatever the policy.
            self.file.sync_all().map_err(EngineError::io(&self.path, "flush to the disk"))?;
            let number = self.number + 1;
            let (path, file) = create(&self.store, number, self.next_sequence)?;
            self.old.push(OldFile { number: self.number, bytes: self.bytes });
            (self.path, self.file, self.number, self.bytes) = (path, file, number, HEAD_BYTES);
        }
        Ok(Sealed { first_log: self.number, first_sequence: self.next_sequence, ids: self.ids.came() })
    }

    /// What the manifest of this generation has to say once the graph has absorbed everything before `sealed`. Writes the ids of
    /// what was absorbed, so that those events still count once.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn live_entry(&self, sealed: &Sealed, generation: u64) -> Result<LiveEntry> {
        let event_ids = self.ids.write(&self.store, format!("event-ids-{generation}.wpi"), sealed.ids)?;
        let Sealed { first_log, first_sequence, .. } = *sealed;
        Ok(LiveEntry { first_log, first_sequence, event_ids, decay: self.decay })
    }

    /// Forgets the files of what was absorbed, once the manifest with this entry has been published.
    pub fn absorbed(&mut self, live: &LiveEntry) {
        self.old.retain(|file| live.first_log <= file.number);
        self.first_sequence = live.first_sequence;
        for number in numbers(&self.store, 0).unwrap_or_default() {
            if number < live.first_log {
                // Best effort, as any sweeping: the manifest does not list it any more.
                let _ = std::fs::remove_file(self.store.join(log_file(number)));
            }
        }
    }

    /// Whether the log is that of a manifest with this entry: not that of a graph that was loaded meanwhile.
    #[must_use]
    pub fn is_of(&self, live: &LiveEntry) -> bool {
        let is_named = self.file.metadata().is_ok_and(|metadata| metadata.nlink() != 0);
        is_named && live.first_log <= self.number && live.first_sequence <= self.next_sequence
    }

    /// How many bytes the files have that the graph has not absorbed.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.old.iter().map(|file| file.bytes).sum::<u64>() + self.bytes
    }

    /// How many events the graph has not absorbed.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.next_sequence - self.first_sequence
    }

    /// The sequence number of the event that comes next: how many have come since the graph was loaded.
    #[must_use]
    pub fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// The ids that are remembered.
    #[must_use]
    pub fn ids(&self) -> &EventIds {
        &self.ids
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Path {
        &self.store
    }
}

fn too_many() -> Error {
    let most = crate::error::bytes(MOST_BATCH_BYTES as u64);
    Error::Request { what: format!("the events are too many for one batch of at most {most}; send them in parts") }
}

/// An error that several batches share.
fn again(error: &Error, path: &Path) -> Error {
    match error {
        Error::Engine(EngineError::Io { path, action, source }) => {
            // The same reason: a code of the system where it is one.
            let source = source.raw_os_error().map_or_else(|| source.kind().into(), std::io::Error::from_raw_os_error);
            EngineError::Io { path: path.clone(), action, source }.into()
        }
        Error::LogReplaced { path } => Error::LogReplaced { path: path.clone() },
        _ => Error::LogUnusable { path: path.to_owned() },
    }
}

/// Begins the log of a store that had none: the first file, then the manifest that makes it count.
pub(super) fn begin(path: &Path) -> Result<LiveEntry> {
    let lock = StoreLock::existing(path)?;
    let mut manifest = Store::open(path)?.manifest().clone();
    if let Some(live) = manifest.live {
        return Ok(live); // somebody else has just begun it
    }
    // Files that are left from a graph before do not count, and are swept away.
    let number = numbers(path, 0)?.last().map_or(1, |last| last + 1);
    create(path, number, 0)?;
    let live = LiveEntry { first_log: number, first_sequence: 0, event_ids: None, decay: None };
    manifest.generation += 1;
    manifest.live = Some(live.clone());
    lock.publish(&manifest)?;
    Ok(live)
}

/// Makes a file of events that has none yet.
fn create(store: &Path, number: u64, first_sequence: u64) -> Result<(PathBuf, File)> {
    let path = store.join(log_file(number));
    let temporary = store.join(format!("{}.tmp", log_file(number)));
    let made = (|| {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&temporary);
        let mut file = file.map_err(EngineError::io(&temporary, "create"))?;
        file.write_all(&head(number, first_sequence)).map_err(EngineError::io(&temporary, "write"))?;
        persist(&file, &temporary, &path)?;
        Ok(file)
    })();
    if made.is_err() {
        let _ = std::fs::remove_file(&temporary); // the error that counts is the first one
    }
    made.map(|file| (path, file))
}
