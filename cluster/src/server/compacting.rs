//! Compaction in the background: a thread of low priority makes a new generation that has absorbed the events, while others answer
//! and take more.
//!
//! Events that come meanwhile go to another file of the log, and count in the new generation as soon as it takes over: see
//! [`Taker::begin_compaction`](crate::live::Taker::begin_compaction). A compaction that fails leaves everything as it was, and is
//! tried again later. **Killed at any moment, it leaves the old generation or the new one, and every event.** (Test:
//! `tests/tests/server_live.rs`.)

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::app::App;
use super::shelf::Shelf;
use crate::build::BuildProgress;
use crate::error::{Error, Result, in_full};
use crate::live::{CompactOptions, absorb};

/// How long after a compaction that failed the next one begins by itself.
const AGAIN_AFTER: Duration = Duration::from_secs(30);
/// How much less than others the thread wants of the processor: as little as can be said.
const NICENESS: i32 = 19;

/// What a compaction that was asked for is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begun {
    /// It has begun.
    Now,
    /// One was under way.
    Before,
    /// There is nothing to absorb.
    Nothing,
}

/// What is told of compactions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Told {
    /// Whether one is under way.
    pub(super) running: bool,
    /// How many have come to their end.
    pub(super) done: u64,
    /// Why the last one failed, if it did.
    pub(super) failed: Option<String>,
}

#[derive(Default)]
struct Run {
    thread: Option<JoinHandle<()>>,
    progress: Arc<BuildProgress>,
    done: u64,
    failed: Option<String>,
    not_before: Option<Instant>,
    stopped: bool,
}

impl Run {
    fn is_under_way(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }
}

/// See the [module](self).
#[derive(Default)]
pub(super) struct Compacting {
    run: Mutex<Run>,
    /// Set by the thread when a generation has taken over, or could not.
    ended: AtomicBool,
}

impl Compacting {
    fn lock(&self) -> MutexGuard<'_, Run> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What there is to say.
    pub(super) fn told(&self) -> Told {
        let run = self.lock();
        let running = run.is_under_way() && !self.ended.load(Ordering::Acquire);
        Told { running, done: run.done, failed: run.failed.clone() }
    }

    /// Tells what is under way to stop, and begins no other.
    pub(super) fn stop(&self) {
        let mut run = self.lock();
        run.stopped = true;
        run.progress.stop.store(true, Ordering::Relaxed);
    }

    /// Whether nothing is under way.
    pub(super) fn is_idle(&self) -> bool {
        !self.lock().is_under_way()
    }
}

/// Begins a compaction if so many events wait that one is due.
pub(super) fn begin_if_due(app: &Arc<App>, shelf: &Arc<Shelf>) {
    let after = app.settings.updates.compact_after;
    let waiting = shelf.world().counted().events;
    let compacting = &shelf.compacting;
    let is_time = || compacting.lock().not_before.is_none_or(|time| time <= Instant::now());
    if after == 0 || waiting < after || !compacting.is_idle() || !is_time() || !shelf.keeper().is_taking() {
        return;
    }
    if let Err(error) = begin(app, shelf) {
        tracing::error!(store = shelf.name(), error = in_full(&error), "a compaction cannot begin");
    }
}

/// Begins a compaction, unless one is under way.
///
/// # Errors
/// When there are no threads to be had.
pub(super) fn begin(app: &Arc<App>, shelf: &Arc<Shelf>) -> Result<Begun> {
    let mut run = shelf.compacting.lock();
    if run.is_under_way() {
        return Ok(Begun::Before);
    }
    if run.stopped || shelf.world().counted().events == 0 {
        return Ok(Begun::Nothing);
    }
    run.progress = Arc::default();
    shelf.compacting.ended.store(false, Ordering::Release);
    let (worker, progress, its_app) = (Arc::clone(shelf), Arc::clone(&run.progress), Arc::clone(app));
    let work = move || {
        // Best effort: at worst it takes its share of the processor. Workers that it starts are as nice.
        let _ = rustix::process::nice(NICENESS);
        let began = Instant::now();
        let outcome = compact(&its_app, &worker, &progress);
        let mut run = worker.compacting.lock();
        run.not_before = outcome.is_err().then(|| Instant::now() + AGAIN_AFTER);
        match outcome {
            Ok(None) => run.failed = None,
            Ok(Some(events)) => {
                (run.done, run.failed) = (run.done + 1, None);
                let seconds = began.elapsed().as_secs_f64();
                tracing::info!(store = worker.name(), events, seconds, "absorbed events");
            }
            Err(Error::Interrupted) => {}
            Err(error) => {
                let why = in_full(&error);
                tracing::error!(store = worker.name(), error = why, "a compaction failed; events count all the same");
                run.failed = Some(why);
            }
        }
        worker.compacting.ended.store(true, Ordering::Release);
    };
    let thread = std::thread::Builder::new().name("walkprint-compact".to_owned()).spawn(work);
    run.thread = Some(thread.map_err(|error| Error::Workers(error.to_string()))?);
    tracing::info!(store = shelf.name(), "absorbing events");
    Ok(Begun::Now)
}

/// Makes a new generation, and moves on to it. Gives how many events it has absorbed; none where there was nothing.
fn compact(app: &App, shelf: &Shelf, progress: &Arc<BuildProgress>) -> Result<Option<u64>> {
    let updates = &app.settings.updates;
    let Some(absorbing) = shelf.keeper().begin_compaction()? else { return Ok(None) };
    let options = CompactOptions { workers: updates.compact_workers, memory_bytes: updates.compact_memory };
    let entry = |generation| shelf.keeper().entry(&absorbing, generation);
    let absorbed = absorb(shelf.path(), &absorbing, entry, &options, progress, &mut |_| {});
    app.metering.compacted(absorbed.is_ok());
    let outcome = absorbed?;
    shelf.follow();
    if shelf.world().generation() < outcome.manifest.generation
        && let Some(refused) = shelf.refused()
    {
        return Err(Error::Request { what: format!("its new generation was refused: {}", refused.why) });
    }
    Ok(Some(absorbing.events()))
}
