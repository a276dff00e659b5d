//! The graph of a store as it is now, again and again: somebody who asks follows the log, and every new generation.
//!
//! Nothing is locked. What an append did not finish may be seen and vanish again; then, as when a generation absorbs events before they
//! were read, it is begun anew from the store, and nobody has to know.

use std::path::{Path, PathBuf};

use walkprint_engine::store::Store;

use super::graph::LiveGraph;
use super::now::{Now, replay};
use super::reading::Batches;
use crate::error::{Error, Result};
use crate::signature::Signature;

/// How often in a row it is begun anew before what is wrong is told.
const ATTEMPTS: usize = 5;

/// Somebody who follows a store.
pub struct Follower {
    path: PathBuf,
    at: At,
}

/// A generation, and how far its log was followed.
struct At {
    store: Store,
    manifest: Option<Signature>,
    live: LiveGraph,
    batches: Batches,
    events: u64,
}

/// What has happened since somebody looked last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Followed {
    /// Nothing.
    Nothing,
    /// So many events came.
    Events(u64),
    /// There is a new generation: graph, labels and indexes are to be opened anew.
    Generation,
}

impl Follower {
    /// Opens a store and counts what is in its log.
    ///
    /// # Errors
    /// When the store cannot be read, a file is damaged, or the graph lies in shards.
    pub fn open(path: &Path) -> Result<Follower> {
        let at = again(|| At::open(path))?;
        Ok(Follower { path: path.to_owned(), at })
    }

    /// Looks once. Cost: that of reading what came, and of counting it; nothing else while nothing comes.
    ///
    /// # Errors
    /// As [`Follower::open`].
    pub fn look(&mut self) -> Result<Followed> {
        if Signature::of(&self.path) == self.at.manifest {
            let before = self.at.events;
            match self.at.read() {
                Ok(()) if self.at.events == before => return Ok(Followed::Nothing),
                Ok(()) => return Ok(Followed::Events(self.at.events - before)),
                // Absorbed before it was read, or seen before it was whole.
                Err(_) => {}
            }
        }
        self.at = again(|| At::open(&self.path))?;
        Ok(Followed::Generation)
    }

    /// The store, as it was opened last.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.at.store
    }

    /// How many events were counted that the graph in the store has not absorbed.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.at.events
    }

    /// The sequence number of the event that comes next.
    #[must_use]
    pub fn next_sequence(&self) -> u64 {
        self.at.batches.next_sequence()
    }

    /// The graph with all events that were counted; none when there are none. Cost: see [`Now::after`].
    ///
    /// # Errors
    /// When the graph is damaged.
    pub fn now(&self) -> Result<Option<Now>> {
        if self.at.events == 0 {
            return Ok(None);
        }
        Now::after(&self.at.live, self.at.events).map(Some)
    }
}

impl At {
    fn open(path: &Path) -> Result<At> {
        let manifest = Signature::of(path);
        let store = Store::open(path)?;
        let (live, batches) = (LiveGraph::open(&store, 1)?, Batches::open(path)?);
        let mut at = At { store, manifest, live, batches, events: 0 };
        at.read()?;
        if Signature::of(path) != at.manifest {
            let what = format!("{}: new generations are published all the time; ask again", path.display());
            return Err(Error::Request { what });
        }
        Ok(at)
    }

    /// Counts all that there is.
    fn read(&mut self) -> Result<()> {
        for batch in self.batches.by_ref() {
            let batch = batch?;
            replay(&mut self.live, &batch)?;
            self.events += batch.events.len() as u64;
        }
        Ok(())
    }
}

/// Some errors come of what is published at the same time, and of nothing else.
fn again<T>(mut open: impl FnMut() -> Result<T>) -> Result<T> {
    let mut attempt = 1;
    loop {
        match open() {
            Err(_) if attempt < ATTEMPTS => attempt += 1,
            result => return result,
        }
    }
}
