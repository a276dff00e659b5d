//! The ids of events that came before, so that an event which is sent again counts once.
//!
//! Of an id 16 bytes are kept (XXH3-128), and of what the event says 8 (XXH3-64): enough to tell whether an event that comes again
//! is the same. Both are no protection from a sender who looks for two ids that collide: it harms its own events.
//!
//! Memory: 24 bytes an id and some 8 for finding it, up to a stated number of ids; then the oldest are forgotten, and an event
//! that is sent again after so many others counts again.
//!
//! File `event-ids-G.wpi` (container: [`walkprint_engine::file`]), *n* ids, from the oldest to the newest, because the oldest are
//! forgotten first:
//!
//! ```text
//! section  element   count   what and why
//!       1  u64       2 n     XXH3-128 of each id, lower half first
//!       2  u64       n       XXH3-64 of what each event says
//! ```

use std::path::Path;

use hashbrown::HashTable;
use walkprint_engine::error::Error as EngineError;
use walkprint_engine::file::{FileKind, SectionWriter, SectionedFile};
use walkprint_engine::store::TypesEntry;
use xxhash_rust::xxh3::xxh3_128;

use crate::error::Result;

/// The most ids that are remembered unless another number is given: 4 million, in some 130 MB.
pub const MOST_IDS: usize = 4_000_000;

const IDS: u32 = 1;
const CONTENTS: u32 = 2;

/// The ids of events that came before.
#[derive(Debug)]
pub struct EventIds {
    /// In the order in which they came, from `oldest` on and round.
    entries: Vec<Entry>,
    oldest: usize,
    /// How many there have ever been.
    came: u64,
    /// Places in `entries`.
    places: HashTable<u32>,
    most: usize,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    id: [u64; 2],
    content: u64,
}

/// What is kept of an id.
pub(super) fn digest(event_id: &str) -> [u64; 2] {
    let digest = xxh3_128(event_id.as_bytes());
    // The two halves of 128 bits.
    let half = |bits: u128| u64::try_from(bits & u128::from(u64::MAX)).expect("64 bits were taken");
    [half(digest), half(digest >> 64)]
}

impl EventIds {
    /// None yet, and at most so many: at least one, and fewer than 2^32.
    #[must_use]
    pub fn new(most: usize) -> EventIds {
        let most = most.clamp(1, u32::MAX as usize);
        EventIds { entries: Vec::new(), oldest: 0, came: 0, places: HashTable::new(), most }
    }

    /// How many ids are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True when none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many bytes they take.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        (self.entries.capacity() * size_of::<Entry>() + self.places.capacity() * (size_of::<u32>() + 1)) as u64
    }

    /// How many have ever come; what was said before of so many stays true of them.
    pub(super) fn came(&self) -> u64 {
        self.came
    }

    /// What the event of this id says, if it came before.
    pub(super) fn get(&self, id: [u64; 2]) -> Option<u64> {
        let entries = &self.entries;
        let place = self.places.find(id[0], |&place| entries[place as usize].id == id)?;
        Some(entries[*place as usize].content)
    }

    /// Remembers an id, unless it is remembered already; forgets the oldest when there are too many.
    pub(super) fn insert(&mut self, id: [u64; 2], content: u64) {
        if self.get(id).is_some() {
            return;
        }
        let entry = Entry { id, content };
        let place = if self.entries.len() < self.most {
            self.entries.push(entry);
            self.entries.len() - 1
        } else {
            let place = self.oldest;
            let forgotten = self.entries[place].id;
            if let Ok(found) = self.places.find_entry(forgotten[0], |&other| other as usize == place) {
                found.remove();
            }
            self.entries[place] = entry;
            self.oldest = (place + 1) % self.most;
            place
        };
        let entries = &self.entries;
        let place = u32::try_from(place).expect("fewer than 2^32");
        self.places.insert_unique(id[0], place, |&place| entries[place as usize].id[0]);
        self.came += 1;
    }

    /// Those that are remembered of the first `came` that came, from the oldest on.
    fn of_first(&self, came: u64) -> impl Iterator<Item = &Entry> {
        let newer = usize::try_from(self.came - came).unwrap_or(usize::MAX);
        let (late, early) = self.entries.split_at(self.oldest);
        early.iter().chain(late).take(self.entries.len().saturating_sub(newer))
    }

    /// Writes the ids that are remembered of the first `came` that came; no file when there are none.
    pub(super) fn write(&self, store: &Path, file: String, came: u64) -> Result<Option<TypesEntry>> {
        if self.of_first(came).next().is_none() {
            return Ok(None);
        }
        let path = store.join(&file);
        let ids: Vec<[u64; 2]> = self.of_first(came).map(|entry| entry.id).collect();
        let contents: Vec<u64> = self.of_first(came).map(|entry| entry.content).collect();
        let mut writer = SectionWriter::create(&path, FileKind::EventIds, 2)?;
        writer.section(IDS, ids.as_flattened())?;
        writer.section(CONTENTS, &contents)?;
        let digest = writer.finish()?;
        let bytes = std::fs::metadata(&path).map_err(EngineError::io(&path, "look at"))?.len();
        Ok(Some(TypesEntry { file, bytes, digest: format!("{digest:032x}") }))
    }

    /// Reads a file of ids, every byte of it.
    ///
    /// # Errors
    /// When it is not the one that the manifest lists, or not what was written.
    pub(super) fn read(store: &Path, entry: &TypesEntry, most: usize) -> Result<EventIds> {
        let path = store.join(&entry.file);
        let file = SectionedFile::open(&path, FileKind::EventIds)?;
        file.verify()?;
        let got = format!("{:032x}", file.digest());
        if got != entry.digest {
            let what = "this file is another than the manifest lists:";
            return Err(EngineError::Mismatch { path, what, expected: entry.digest.clone(), got }.into());
        }
        let (ids, contents) = (file.section::<u64>(IDS)?, file.section::<u64>(CONTENTS)?);
        if ids.len() != 2 * contents.len() {
            return Err(EngineError::damaged(&path, "it has not one content for each id").into());
        }
        let mut all = EventIds::new(most);
        for (id, &content) in ids.chunks_exact(2).zip(contents.iter()) {
            all.insert([id[0], id[1]], content);
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_ids_are_forgotten_first_and_files_keep_the_order() {
        let directory = tempfile::tempdir().unwrap();
        let id = |number: u64| digest(&number.to_string());
        let mut ids = EventIds::new(10);
        for number in 0..25 {
            ids.insert(id(number), number);
            ids.insert(id(number), 1000); // once is enough
            let known: Vec<u64> = (0..=number).filter(|&number| ids.get(id(number)) == Some(number)).collect();
            assert_eq!(known, ((number + 1).saturating_sub(10)..=number).collect::<Vec<u64>>());
        }
        assert_eq!((ids.len(), ids.came()), (10, 25));
        let entry = ids.write(directory.path(), "event-ids-1.wpi".into(), 22).unwrap().unwrap();
        let read = EventIds::read(directory.path(), &entry, 5).unwrap();
        let known: Vec<u64> = (0..25).filter(|&number| read.get(id(number)).is_some()).collect();
        assert_eq!(known, [17, 18, 19, 20, 21], "of the first 22 that came the newest 5");
        assert!(ids.write(directory.path(), "none".into(), 15).unwrap().is_none(), "they are forgotten");
        let bytes = std::fs::read(directory.path().join(&entry.file)).unwrap();
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            std::fs::write(directory.path().join("event-ids-2.wpi"), &flipped).unwrap();
            let other = TypesEntry { file: "event-ids-2.wpi".into(), ..entry.clone() };
            // Padding between sections is not looked at; it holds nothing.
            if let Ok(read) = EventIds::read(directory.path(), &other, 5) {
                assert!((17..22).all(|number| read.get(id(number)) == Some(number)), "byte {at}");
            }
        }
    }
}
