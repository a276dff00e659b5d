//! The one who takes events for a store: what it takes is checked, then kept, then counted; and what it has taken can be absorbed.

use std::path::Path;
use std::sync::Arc;

use walkprint_engine::events::Event;
use walkprint_engine::store::{LiveEntry, Manifest, Store};
use xxhash_rust::xxh3::xxh3_64;

use super::changes::Changes;
use super::compact::{CompactOptions, CompactOutcome, compact_if};
use super::graph::{LiveGraph, Missing, Refused, Staged};
use super::log::{Coming, EventLog, LogOptions, Opened, Sealed};
use super::now::replay;
use super::reading::check_from;
use super::record;
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
    /// The sequence number of the event that comes next.
    pub next_sequence: u64,
}

/// Events that were counted, one after the other from the first that the graph has not absorbed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SoFar {
    /// How many.
    pub events: u64,
    /// A digest of all that they say.
    pub digest: u64,
}

impl SoFar {
    /// Counts more. Cost: some ten nanoseconds an event.
    pub fn count(&mut self, events: &[Event]) {
        let mut room = Vec::new();
        for event in events {
            room.clear();
            room.extend_from_slice(&self.digest.to_le_bytes());
            record::write_event(event, &mut room);
            self.digest = xxh3_64(&room);
        }
        self.events += events.len() as u64;
    }
}

/// Events that a compaction absorbs: all that had come when it began.
pub struct Absorbing {
    changes: Changes,
    sealed: Sealed,
    events: u64,
}

impl Absorbing {
    /// What they come to.
    #[must_use]
    pub fn changes(&self) -> &Changes {
        &self.changes
    }

    /// How many there are.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }
}

/// A batch that is good so far.
struct Good<'e> {
    at: usize,
    events: &'e [Event],
    fresh: Vec<&'e Event>,
    missing: Missing,
    taken: Taken,
}

impl Taker {
    /// Opens the log of a store and counts what is in it.
    ///
    /// # Errors
    /// When another program takes events; when the graph lies in shards; when a file is damaged or missing.
    pub fn open(path: &Path, options: LogOptions, workers: usize) -> Result<(Taker, Opened)> {
        Taker::over(LiveGraph::open(&Store::open(path)?, workers)?, path, options)
    }

    /// The same for a graph that is open already; no event has been counted in it.
    ///
    /// # Errors
    /// As [`Taker::open`]; [`Error::OtherGraph`] when the graph is no longer that of the store.
    pub fn over(mut live: LiveGraph, path: &Path, options: LogOptions) -> Result<(Taker, Opened)> {
        let opened = EventLog::open(path, options, &mut |batch| replay(&mut live, &batch));
        Taker::of(live, path, opened)
    }

    /// The same for a graph in which events of the log have been counted already; `so_far` is what they were. None when the log has
    /// others: what was seen of an append that failed is not in it. The graph is left where it is when another program takes events.
    ///
    /// # Errors
    /// As [`Taker::over`].
    pub fn behind(
        graph: &mut Option<LiveGraph>,
        so_far: SoFar,
        path: &Path,
        options: LogOptions,
    ) -> Result<Option<(Taker, Opened)>> {
        let Some(mut live) = graph.take() else { return Ok(None) };
        let mut seen = SoFar { events: 0, digest: 0 };
        let mut is_same = so_far == seen;
        let opened = EventLog::open(path, options, &mut |batch| {
            if is_same {
                return replay(&mut live, &batch);
            }
            seen.count(&batch.events);
            is_same = seen == so_far;
            Ok(())
        });
        if matches!(opened, Err(Error::EventsLocked { .. })) {
            *graph = Some(live); // nothing was read
            return Err(Error::EventsLocked { store: path.to_owned() });
        }
        let made = Taker::of(live, path, opened)?;
        Ok(is_same.then_some(made))
    }

    fn of(live: LiveGraph, path: &Path, opened: Result<(EventLog, Opened)>) -> Result<(Taker, Opened)> {
        // Somebody may have published another graph before the log was locked.
        let digest = Store::open(path)?.manifest().graph.digest.clone();
        let own = format!("{:032x}", live.base().digest());
        if digest != own {
            return Err(Error::OtherGraph { store: path.to_owned(), expected: own, got: digest });
        }
        let (log, opened) = opened?;
        Ok((Taker { log, live }, opened))
    }

    /// Takes events: all, or, where one is refused, none. Once this returns they are as safe as the log keeps them.
    ///
    /// # Errors
    /// When an event is none, cannot be, or came before with other content (its place is said); when the disk refuses. Nothing
    /// was taken then.
    pub fn take(&mut self, events: &[Event], missing: Missing) -> std::result::Result<Taken, Refused> {
        let whole = |why| Refused { place: 0, why };
        let mut taken = self.take_each(&[(events, missing)]).map_err(whole)?;
        taken.pop().expect("there is an outcome for each batch")
    }

    /// Takes several batches with one write to the disk, each as if they came one after the other: as a whole, or not at all.
    /// Where the disk refuses, none is taken.
    ///
    /// # Errors
    /// When what was kept cannot be counted, because the graph is damaged: it is in the log, and the taker must be opened anew.
    /// What is wrong with one batch is the error of that batch: see [`Taker::take`].
    pub fn take_each(&mut self, batches: &[(&[Event], Missing)]) -> Result<Vec<std::result::Result<Taken, Refused>>> {
        let mut outcomes: Vec<std::result::Result<Taken, Refused>> = Vec::with_capacity(batches.len());
        let (mut good, mut coming, mut staged) = (Vec::<Good<'_>>::new(), Coming::new(), Staged::default());
        for (at, &(events, missing)) in batches.iter().enumerate() {
            outcomes.push(Ok(Taken::default()));
            let new = match self.log.new_behind(events, &coming) {
                Ok(new) => new,
                Err((place, why)) => {
                    outcomes[at] = Err(Refused { place, why });
                    continue;
                }
            };
            let fresh: Vec<&Event> = new.places.iter().map(|&place| &events[place]).collect();
            let before = staged.missing;
            match self.live.stage_behind(std::mem::take(&mut staged), fresh.iter().copied(), missing) {
                Ok(more) => {
                    staged = more;
                    coming.extend(new.ids);
                    let taken = Taken {
                        taken: fresh.len() as u64,
                        repeated: (events.len() - fresh.len()) as u64,
                        missing: staged.missing - before,
                        next_sequence: 0,
                    };
                    good.push(Good { at, events, fresh, missing, taken });
                }
                Err(refused) => {
                    outcomes[at] = Err(Refused { place: new.places[refused.place], ..refused });
                    staged = self.staged_anew(&good).map_err(|refused| refused.why)?;
                }
            }
        }
        let slices: Vec<&[Event]> = good.iter().map(|one| one.events).collect();
        let appended = self.log.append_each(&slices);
        // They were checked, so that it is the disk that refuses, and then all of them.
        let are_kept = appended.iter().all(Result::is_ok);
        for (one, appended) in good.iter().zip(appended) {
            outcomes[one.at] = match appended {
                Ok(appended) => Ok(Taken { next_sequence: appended.sequence + appended.taken as u64, ..one.taken }),
                Err(why) => Err(Refused { place: 0, why }),
            };
        }
        if are_kept {
            self.live.commit(staged)?;
        }
        Ok(outcomes)
    }

    /// Batches that were staged before, when one behind them was refused.
    fn staged_anew(&mut self, good: &[Good<'_>]) -> std::result::Result<Staged, Refused> {
        let mut staged = Staged::default();
        for one in good {
            staged = self.live.stage_behind(staged, one.fresh.iter().copied(), one.missing)?;
        }
        Ok(staged)
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

    /// The graph with what was taken, for who follows it.
    pub fn live_mut(&mut self) -> &mut LiveGraph {
        &mut self.live
    }

    /// Makes a new generation of the store in which the graph has absorbed all that was taken: see
    /// [`compact()`](super::compact()). None when there is nothing to absorb. Ends the taking: the graph that events change is then
    /// another one.
    ///
    /// # Errors
    /// As [`compact()`](super::compact()). The store is then as it was, and so are its events.
    pub fn compact(
        mut self,
        options: &CompactOptions,
        progress: &Arc<BuildProgress>,
        tick: &mut dyn FnMut(&BuildProgress),
    ) -> Result<Option<CompactOutcome>> {
        let Some(absorbing) = self.begin_compaction()? else { return Ok(None) };
        let path = self.log.store().to_owned();
        let entry = |generation| self.entry(&absorbing, generation);
        let outcome = absorb(&path, &absorbing, entry, options, progress, tick)?;
        if let Some(entry) = &outcome.manifest.live {
            self.log.absorbed(entry);
        }
        Ok(Some(outcome))
    }

    /// What [`absorb`] absorbs: all that was taken so far; none when that is nothing. Events are taken all the while: they come into
    /// another file of the log.
    ///
    /// # Errors
    /// When the disk refuses, or the graph is damaged.
    pub fn begin_compaction(&mut self) -> Result<Option<Absorbing>> {
        if self.log.events() == 0 {
            return Ok(None);
        }
        let changes = self.live.changes()?;
        let sealed = self.log.rotate()?;
        Ok(Some(Absorbing { changes, sealed, events: self.log.events() }))
    }

    /// What the manifest of this generation has to say of the log, whose ids are written to the disk.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn entry(&self, absorbing: &Absorbing, generation: u64) -> Result<LiveEntry> {
        self.log.live_entry(&absorbing.sealed, generation)
    }

    /// Goes on from another generation: `live` is its graph without any event, `entry` what its manifest says of the log. What the
    /// graph has absorbed is forgotten, what it has not is counted anew. False where the log is no longer that of the store: there
    /// is nothing to go on with.
    ///
    /// # Errors
    /// When the log is damaged. The taker is then as it was.
    pub fn renew(&mut self, mut live: LiveGraph, entry: &LiveEntry) -> Result<bool> {
        if !self.log.is_of(entry) {
            return Ok(false);
        }
        check_from(self.log.store(), entry, &mut |batch| replay(&mut live, &batch))?;
        self.log.absorbed(entry);
        self.live = live;
        Ok(true)
    }
}

/// Makes a new generation of a store that has absorbed events: see [`compact()`](super::compact()). `entry` says what the manifest of
/// a generation has to say of the log: see [`Taker::entry`]. [`Taker::renew`] goes on from there.
///
/// # Errors
/// As [`compact()`](super::compact()). The store is then as it was, and so are its events.
pub fn absorb(
    path: &Path,
    absorbing: &Absorbing,
    entry: impl FnOnce(u64) -> Result<LiveEntry>,
    options: &CompactOptions,
    progress: &Arc<BuildProgress>,
    tick: &mut dyn FnMut(&BuildProgress),
) -> Result<CompactOutcome> {
    let edit = |next: &mut Manifest| {
        // Not before: whoever publishes before this one sweeps away what its manifest does not list.
        next.live = Some(entry(next.generation)?);
        Ok(())
    };
    compact_if(path, &absorbing.changes, options, edit, progress, tick)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use walkprint_engine::edges::EdgeList;
    use walkprint_engine::events::Operation;
    use walkprint_engine::graph::NodeOrder;
    use walkprint_engine::ids::ExternalIds;
    use walkprint_engine::kinds::KindLists;

    use super::*;
    use crate::load::store_edges;

    fn taker(place: &Path) -> Taker {
        let edges = EdgeList {
            ids: ExternalIds::Integers((0..4).collect()),
            sources: vec![0, 1, 2],
            targets: vec![1, 2, 0],
            weights: Some(vec![1.0, 2.0, 1.0]),
            kinds: KindLists::default(),
        };
        let path = place.join("g.wp");
        drop(store_edges(&path, edges, NodeOrder::Id).unwrap());
        Taker::open(&path, LogOptions::default(), 1).unwrap().0
    }

    fn event() -> impl Strategy<Value = Event> {
        let id = || (0..6u8).prop_map(|number| number.to_string());
        let name = proptest::option::weighted(0.5, (0..12u8).prop_map(|number| number.to_string()));
        let operation = proptest::sample::select(Operation::ALL.to_vec());
        (operation, id(), id(), 1..3u8, name).prop_map(|(operation, source, target, weight, name)| {
            let event = Event::edge(operation, source, target).weighing(weight.into());
            name.map_or(event.clone(), |name| event.named(name))
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

        #[test]
        fn batches_are_taken_together_as_one_after_the_other(
            groups in proptest::collection::vec(
                proptest::collection::vec(proptest::collection::vec(event(), 1..4), 1..6),
                1..4,
            ),
        ) {
            let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let (mut together, mut alone) = (taker(one.path()), taker(other.path()));
            for group in &groups {
                let batches: Vec<(&[Event], Missing)> =
                    group.iter().map(|events| (events.as_slice(), Missing::Refuse)).collect();
                let outcomes = together.take_each(&batches).unwrap();
                for ((events, missing), outcome) in batches.into_iter().zip(outcomes) {
                    let told = |outcome: std::result::Result<Taken, Refused>| {
                        outcome.map_err(|refused| (refused.place, refused.why.to_string()))
                    };
                    prop_assert_eq!(told(outcome), told(alone.take(events, missing)));
                }
                prop_assert_eq!(together.live().changes().unwrap(), alone.live().changes().unwrap());
            }
            // And what is in the log is what was counted.
            let (changes, path) = (together.live().changes().unwrap(), one.path().join("g.wp"));
            drop(together);
            let (again, _) = Taker::open(&path, LogOptions::default(), 1).unwrap();
            prop_assert_eq!(again.live().changes().unwrap(), changes);
        }
    }
}
