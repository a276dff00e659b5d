//! An open store: which generation of it answers, with which events, and who changes that.
//!
//! **A new generation takes over between requests**: a thread looks at the manifests about once a second, opens what has changed
//! beside what is there, compares every new byte with its checksum, and only then swaps. What is broken is refused, said in the log and
//! by `/readyz`, and the old generation goes on. (Test: `tests/tests/server_generations.rs`.) Events that another program takes are
//! followed in the same way. Those that this one takes count from the moment on in which their sender is told so: see
//! [`keeping`](super::keeping).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use walkprint_engine::error::Error as EngineError;
use walkprint_engine::events::Event;

use super::app::App;
use super::base::Base;
use super::compacting::Compacting;
use super::intake::{Delivery, Intake, Receipt};
use super::keeping::Keeper;
use super::problem::{Kind, Problem};
use super::settings::Updates;
use super::world::World;
use crate::error::{Error, Result, in_full};
use crate::live::{LogOptions, Missing};
use crate::signature::Signature;

/// How often opening is tried again when a newer generation is published meanwhile, and its files lose their names.
const TRIES: usize = 5;

/// For how long no event must have come before a graph is turned round in advance.
const QUIET: Duration = Duration::from_millis(20);

/// A generation that was refused, or events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    /// When, in seconds since 1970.
    pub(super) at: u64,
    /// Why, in full.
    pub(super) why: String,
}

/// What following has seen of a store.
struct Seen {
    signature: Option<Signature>,
    refused: Option<Refused>,
}

/// See the [module](self).
pub(super) struct Shelf {
    name: String,
    path: PathBuf,
    world: ArcSwap<World>,
    /// Held while a generation is looked for.
    seen: Mutex<Seen>,
    /// Held while the world changes.
    keeper: Mutex<Keeper>,
    pub(super) intake: Intake,
    pub(super) compacting: Compacting,
    /// Whether somebody sees to it that a graph is turned round.
    preparing: AtomicBool,
}

impl Shelf {
    pub(super) fn open(name: &str, path: &Path) -> Result<Shelf> {
        let mut tries = 0;
        loop {
            let signature = Signature::of(path);
            match Base::open(path).map_err(Error::from).and_then(|base| Keeper::over(Arc::new(base))) {
                Ok((keeper, world)) => {
                    return Ok(Shelf {
                        name: name.to_owned(),
                        path: path.to_owned(),
                        world: ArcSwap::from_pointee(world),
                        seen: Mutex::new(Seen { signature, refused: None }),
                        keeper: Mutex::new(keeper),
                        intake: Intake::default(),
                        compacting: Compacting::default(),
                        preparing: AtomicBool::new(false),
                    });
                }
                Err(error) if tries == TRIES || signature == Signature::of(path) => return Err(error),
                Err(_) => tries += 1,
            }
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The world that answers now.
    pub(super) fn world(&self) -> Arc<World> {
        self.world.load_full()
    }

    /// What was refused last, unless something better came after it.
    pub(super) fn refused(&self) -> Option<Refused> {
        self.seen().refused.clone()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who counts events. Where somebody panicked who had it, everything begins anew.
    pub(super) fn keeper(&self) -> MutexGuard<'_, Keeper> {
        self.keeper.lock().unwrap_or_else(|poisoned| {
            self.keeper.clear_poison();
            let mut keeper = poisoned.into_inner();
            keeper.break_off();
            keeper
        })
    }

    /// Looks for a new generation and moves on to it if it is whole; and for events that another program has taken. Cost: a look at
    /// the files; what is new is read.
    pub(super) fn follow(&self) {
        let mut seen = self.seen();
        for _ in 0..=TRIES {
            let signature = Signature::of(&self.path);
            if signature == seen.signature && !self.keeper().is_broken() {
                self.catch_up(&mut seen);
                return;
            }
            let old = Arc::clone(self.keeper().base());
            // Nothing waits for what is read here.
            let opened = Base::open_after(&old).map_err(Error::from);
            let mut keeper = self.keeper();
            if !Arc::ptr_eq(&old, keeper.base()) {
                continue; // this program has published another one meanwhile
            }
            let adopted = opened.and_then(|base| {
                let is_new = keeper.is_broken() || base.manifest() != old.manifest();
                is_new.then(|| keeper.adopt(Arc::new(base))).transpose()
            });
            match adopted {
                Ok(world) => {
                    if let Some(world) = world {
                        let (from, to) = (old.manifest().generation, world.generation());
                        self.world.store(Arc::new(world));
                        tracing::info!(store = self.name, from, to, "moved on to a new generation");
                    }
                    *seen = Seen { signature, refused: None };
                    return;
                }
                Err(_) if signature != Signature::of(&self.path) => {} // a newer one is there already
                Err(error) => {
                    self.refuse(&mut seen, signature, &error, "refused a new generation; the old one goes on");
                    return;
                }
            }
        }
    }

    /// Counts events that another program has taken.
    fn catch_up(&self, seen: &mut Seen) {
        let before = self.world();
        let mut keeper = self.keeper();
        match keeper.catch_up(&before) {
            Ok(None) => {}
            Ok(Some(world)) => {
                self.world.store(Arc::new(world));
                seen.refused = None;
            }
            // A generation was published meanwhile, which has absorbed them.
            Err(_) if seen.signature != Signature::of(&self.path) => {}
            Err(error) => {
                drop(keeper);
                let signature = seen.signature.clone();
                self.refuse(seen, signature, &error, "events cannot be counted; those before them go on counting");
            }
        }
    }

    fn refuse(&self, seen: &mut Seen, signature: Option<Signature>, error: &Error, what: &str) {
        let why = in_full(error);
        if seen.refused.as_ref().is_none_or(|refused| refused.why != why) {
            let generation = self.world().generation();
            tracing::error!(store = self.name, generation, error = why, "{what}");
        }
        let at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs());
        *seen = Seen { signature, refused: Some(Refused { at, why }) };
    }

    /// Takes hold of the store's log of events, unless this program has it.
    ///
    /// # Errors
    /// When another program takes events, or a file is damaged.
    pub(super) fn take_over(&self, options: LogOptions) -> Result<()> {
        let mut tries = 0;
        loop {
            let mut keeper = self.keeper();
            if keeper.is_taking() {
                return Ok(());
            }
            match keeper.take_over(options) {
                Ok(world) => {
                    self.world.store(Arc::new(world));
                    tracing::info!(store = self.name, "takes events from now on");
                    return Ok(());
                }
                Err(Error::OtherGraph { .. }) if tries < TRIES => tries += 1,
                Err(error) => return Err(error),
            }
            drop(keeper);
            self.follow();
        }
    }

    /// Takes all that waits, group after group.
    pub(super) fn attend(&self, app: &App) {
        let updates = &app.settings.updates;
        while let Some(group) = self.intake.next(updates.events) {
            let began = Instant::now();
            let (mut deliveries, mut waiters) = (Vec::with_capacity(group.len()), Vec::with_capacity(group.len()));
            for Delivery { events, places, missing, done, .. } in group {
                deliveries.push((events, places, missing));
                waiters.push(done);
            }
            let taken = catch_unwind(AssertUnwindSafe(|| self.take_group(&deliveries, updates)));
            let outcomes = taken.unwrap_or_else(|_| {
                drop(self.keeper()); // which sees that somebody panicked
                let problem = Problem::new(Kind::Internal, "the server failed, which is a defect; please report it");
                deliveries.iter().map(|_| Err(problem.clone())).collect()
            });
            app.metering.absorbed(&outcomes, began.elapsed());
            for (done, outcome) in waiters.into_iter().zip(outcomes) {
                let _ = done.send(outcome); // who has gone does not want it
            }
        }
    }

    /// Takes batches together. Once this returns they count in answers.
    #[expect(clippy::type_complexity, reason = "what a delivery says, without who waits for it")]
    fn take_group(
        &self,
        group: &[(Vec<Event>, Option<Vec<usize>>, Missing)],
        updates: &Updates,
    ) -> Vec<std::result::Result<Receipt, Problem>> {
        let log = LogOptions { fsync: updates.fsync, ..LogOptions::default() };
        let all = |error: Error| {
            let problem = of_log(error);
            group.iter().map(|_| Err(problem.clone())).collect()
        };
        if let Err(error) = self.take_over(log) {
            return all(error);
        }
        let mut keeper = self.keeper();
        let mut room = updates.waiting.saturating_sub(self.world().counted().events);
        let is_full = updates.log_bytes <= keeper.kept().log_bytes;
        let mut outcomes: Vec<std::result::Result<Receipt, Problem>> = Vec::with_capacity(group.len());
        let (mut batches, mut places) = (Vec::with_capacity(group.len()), Vec::with_capacity(group.len()));
        for (at, (events, _, missing)) in group.iter().enumerate() {
            let much = events.len() as u64;
            outcomes.push(Err(full(updates)));
            if !is_full && much <= room {
                room -= much;
                batches.push((events.as_slice(), *missing));
                places.push(at);
            }
        }
        if batches.is_empty() {
            return outcomes;
        }
        let taken = match keeper.take(&batches, &self.world()) {
            Ok(Some((taken, world))) => {
                world.into_iter().for_each(|world| self.world.store(Arc::new(world)));
                taken
            }
            Ok(None) => return all(Error::LogReplaced { path: keeper.path().to_owned() }),
            Err(error) => {
                tracing::error!(store = self.name, error = in_full(&error), "events are kept and cannot be counted");
                return all(error);
            }
        };
        let is_lost = taken.iter().any(|outcome| {
            let why = outcome.as_ref().err().map(|refused| &refused.why);
            matches!(why, Some(Error::LogReplaced { .. } | Error::LogUnusable { .. }))
        });
        if is_lost {
            keeper.break_off(); // it is opened anew
        }
        let (waiting, generation) = (self.world().counted().events, keeper.base().manifest().generation);
        for (at, taken) in places.into_iter().zip(taken) {
            outcomes[at] = match taken {
                Ok(taken) => Ok(Receipt { taken, waiting, generation }),
                Err(refused) => {
                    let place = group[at].1.as_ref().map_or(Some(&refused.place), |places| places.get(refused.place));
                    let place = format!("events[{}]", place.copied().unwrap_or(0));
                    let problem = of_log(refused.why);
                    Err(if problem.status().is_client_error() { problem.inside(&place) } else { problem })
                }
            };
        }
        outcomes
    }

    /// Turns the graph round once no more events come, so that the first question that grows wide need not wait for that.
    pub(super) fn prepare(&self) {
        if self.preparing.swap(true, Ordering::AcqRel) {
            return; // somebody waits for a quiet moment already
        }
        loop {
            let world = self.world();
            std::thread::sleep(QUIET);
            if Arc::ptr_eq(&world, &self.world()) {
                self.preparing.store(false, Ordering::Release);
                if !world.is_turned_round() && world.turn_round().is_err() {
                    tracing::debug!(store = self.name, "a graph cannot be turned round"); // who asks is told why
                }
                return;
            }
        }
    }

    /// Takes no more events and lets go of the log: the store is closed here.
    pub(super) fn close(&self) {
        self.intake.close();
        self.compacting.stop();
        self.keeper().close();
    }
}

/// What a sender is told when there is no room for more events.
fn full(updates: &Updates) -> Problem {
    let what = format!(
        "{} events, or {} of them, wait until the graph has absorbed them: no more are taken before; {}",
        updates.waiting,
        crate::error::bytes(updates.log_bytes),
        if updates.compact_after == 0 { "POST …/compact has them absorbed" } else { "come back in a moment" },
    );
    Problem::new(Kind::EventsWait, what).retry_after(5)
}

/// What a sender is told whose events were not taken.
pub(super) fn of_log(error: Error) -> Problem {
    let retried = |detail: &str| Problem::new(Kind::Log, detail).retry_after(5);
    match error {
        Error::EventsLocked { .. } => Problem::new(
            Kind::EventsLocked,
            "another program takes events for this store; send them to it, or again when it has ended",
        ),
        Error::EventChanged { .. } => Problem::new(Kind::EventChanged, error.to_string()),
        Error::BadEvent { source, .. } => Problem::new(Kind::InvalidRequest, source.to_string()),
        Error::Request { what } => Problem::new(
            Kind::EventRefused,
            what.replace("--missing ignore goes on", "\"missing\": \"ignore\" goes on"),
        ),
        Error::Engine(EngineError::Locked { .. }) => {
            retried("another program writes to this store just now, so that no event was taken; send them again")
        }
        Error::LogReplaced { .. } | Error::OtherGraph { .. } => {
            tracing::error!(error = in_full(&error), "events were not taken");
            retried("the store was loaded anew meanwhile, and no event was taken; send them again")
        }
        Error::Engine(EngineError::Io { .. }) | Error::LogUnusable { .. } => {
            tracing::error!(error = in_full(&error), "events were not taken");
            retried("the log of events cannot be written, and no event was taken; the server's log says why")
        }
        other => other.into(),
    }
}
