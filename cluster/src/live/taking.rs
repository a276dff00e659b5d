//! The one who takes events for a store: what it takes is checked, then kept, then counted; and what it has taken can be absorbed.

use std::path::Path;
use std::sync::Arc;

use walkprint_engine::events::Event;
use walkprint_engine::store::Store;

use super::compact::{CompactOptions, CompactOutcome, compact};
use super::graph::{LiveGraph, Missing, Refused};
use super::log::{EventLog, LogOptions, Opened};
use super::now::replay;
use crate::build::BuildProgress;
use crate::error::{Error, Result};

/// The one who takes events. There is one for a store at a time, in all programs.
pub struct Taker {
    log: EventLog,
    live: LiveGraph,
}

/// What became of some events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Taken {
    /// Those that count from now on.
    pub taken: u64,
    /// Those that had come before, by their ids.
    pub repeated: u64,
    /// Those that removed what was not there.
    pub missing: u64,
}

impl Taker {
    /// Opens the log of a store and counts what is in it.
    ///
    /// # Errors
    /// When another program takes events; when the graph lies in shards; when a file is damaged or missing.
    pub fn open(path: &Path, options: LogOptions, workers: usize) -> Result<(Taker, Opened)> {
        let mut live = LiveGraph::open(&Store::open(path)?, workers)?;
        let (log, opened) = EventLog::open(path, options, &mut |batch| replay(&mut live, &batch))?;
        // Somebody may have published another graph before the log was locked.
        let digest = Store::open(path)?.manifest().graph.digest.clone();
        let own = format!("{:032x}", live.base().digest());
        if digest != own {
            return Err(Error::OtherGraph { store: path.to_owned(), expected: own, got: digest });
        }
        Ok((Taker { log, live }, opened))
    }

    /// Takes events: all, or, where one is refused, none. Once this returns they are as safe as the log keeps them.
    ///
    /// # Errors
    /// When an event is none, cannot be, or came before with other content (its place is said); when the disk refuses. Nothing
    /// was taken then.
    pub fn take(&mut self, events: &[Event], missing: Missing) -> std::result::Result<Taken, Refused> {
        let new = self.log.new_ones(events).map_err(|(place, why)| Refused { place, why })?;
        let fresh = new.iter().map(|&place| &events[place]);
        let at_home = |refused: Refused| Refused { place: new[refused.place], ..refused };
        let staged = self.live.stage(fresh, missing).map_err(at_home)?;
        let missing = staged.missing;
        let whole = |why| Refused { place: 0, why };
        // It leaves out those that came before by itself.
        self.log.append(events).map_err(whole)?;
        self.live.commit(staged).map_err(whole)?;
        Ok(Taken { taken: new.len() as u64, repeated: (events.len() - new.len()) as u64, missing })
    }

    /// The log.
    #[must_use]
    pub fn log(&self) -> &EventLog {
        &self.log
    }

    /// The graph with what was taken.
    #[must_use]
    pub fn live(&self) -> &LiveGraph {
        &self.live
    }

    /// Makes a new generation of the store in which the graph has absorbed all that was taken: see [`compact()`]. None when there is
    /// nothing to absorb. Ends the taking: the graph that events change is then another one.
    ///
    /// # Errors
    /// As [`compact()`]. The store is then as it was, and so are its events.
    pub fn compact(
        mut self,
        options: &CompactOptions,
        progress: &Arc<BuildProgress>,
        tick: &mut dyn FnMut(&BuildProgress),
    ) -> Result<Option<CompactOutcome>> {
        if self.log.events() == 0 {
            return Ok(None);
        }
        let path = self.log.store().to_owned();
        let changes = self.live.changes()?;
        let sealed = self.log.rotate()?;
        let entry = self.log.live_entry(&sealed, Store::open(&path)?.manifest().generation + 1)?;
        let outcome = compact(&path, &changes, options, |next| next.live = Some(entry.clone()), progress, tick)?;
        self.log.absorbed(&entry);
        Ok(Some(outcome))
    }
}
