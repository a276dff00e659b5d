//! The events of a store, as a server counts them: those that another program takes are followed, and those that this one takes
//! are kept in the log first.
//!
//! ```text
//!   idle ──▶ following: another program appends to the log, and what it appends counts here soon
//!     └────────┴──▶ taking: this program holds the log, and what it takes counts at once
//! ```
//!
//! A server begins to take when it is first asked to, so that `walkprint update` may until then. **Every event counts once, in every
//! generation**: a world's events are those of the log that its generation has not absorbed. (Test:
//! `tests/tests/server_live.rs`.)

use std::path::Path;
use std::sync::Arc;

use walkprint_engine::events::Event;
use walkprint_engine::store::LiveEntry;

use super::base::Base;
use super::world::{Counted, World};
use crate::error::{Error, Result};
use crate::live::{
    Absorbing, Batches, LiveGraph, LogOptions, Missing, Overlay, Refused, SoFar, Taken, Taker, check_from, extent,
    replay,
};

/// See the [module](self).
pub(super) struct Keeper {
    base: Arc<Base>,
    state: State,
    counted: Counted,
    /// What was counted, while another program takes events.
    so_far: SoFar,
    /// The log that another program appends to, once it was seen to grow, and how far it reached when it was read last.
    batches: Option<Batches>,
    extent: Option<(u64, u64)>,
    /// What was counted is not what is in the log: everything has to begin anew.
    broken: bool,
}

enum State {
    /// Nothing has come that the graph has not absorbed.
    Idle,
    /// Another program takes events.
    Following { live: Box<LiveGraph>, overlay: Box<Overlay> },
    /// This one does.
    Taking { taker: Box<Taker>, overlay: Box<Overlay> },
}

/// What is told of the events of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Kept {
    /// Rows that differ from those in the store.
    pub(super) changed_rows: u64,
    /// Nodes that are new.
    pub(super) new_nodes: u64,
    /// Bytes of the log; 0 where this program does not hold it.
    pub(super) log_bytes: u64,
    /// Whether this program takes the events.
    pub(super) taking: bool,
}

fn live_graph(base: &Base) -> Result<LiveGraph> {
    let decay = base.manifest().live.as_ref().and_then(|live| live.decay);
    LiveGraph::of(base.graph.clone(), base.labels.clone(), base.kinds.clone().unwrap_or_default(), decay, 1)
}

impl Keeper {
    /// Counts the events of a store, and makes the world in which they count. Cost: the log is read.
    ///
    /// # Errors
    /// When the log is damaged.
    pub(super) fn over(base: Arc<Base>) -> Result<(Keeper, World)> {
        let idle = |counted| Keeper {
            base: Arc::clone(&base),
            state: State::Idle,
            counted,
            so_far: SoFar::default(),
            batches: None,
            extent: None,
            broken: false,
        };
        let Some(entry) = &base.manifest().live else {
            let counted = Counted::default();
            return Ok((idle(counted), World::of(base, counted)));
        };
        let path = base.store.path();
        let reach = extent(path, entry)?; // before it is read: what comes after is seen as more
        let (mut live, mut so_far) = (None, SoFar::default());
        let checked = check_from(path, entry, &mut |batch| {
            if live.is_none() {
                live = Some(live_graph(&base)?);
            }
            so_far.count(&batch.events);
            live.as_mut().map_or(Ok(()), |live| replay(live, &batch))
        })?;
        let mut keeper = idle(Counted { events: so_far.events, sequence: Some(checked.next_sequence) });
        (keeper.so_far, keeper.extent) = (so_far, Some(reach));
        let plain = World::of(Arc::clone(&base), Counted { events: 0, sequence: Some(entry.first_sequence) });
        let Some(live) = live else { return Ok((keeper, plain)) };
        let mut overlay = Box::new(Overlay::new(&live)?);
        let mut live = Box::new(live);
        let world = World::after(&plain, overlay.follow(&mut live)?, keeper.counted);
        keeper.state = State::Following { live, overlay };
        Ok((keeper, world))
    }

    /// The generation that events are counted in.
    pub(super) fn base(&self) -> &Arc<Base> {
        &self.base
    }

    /// Whether everything has to begin anew.
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Says that what was counted may not be what is in the log.
    pub(super) fn break_off(&mut self) {
        self.broken = true;
        self.state = State::Idle; // lets go of the log
    }

    /// Lets go of the log, and of everything that was counted.
    pub(super) fn close(&mut self) {
        self.break_off();
    }

    pub(super) fn is_taking(&self) -> bool {
        matches!(self.state, State::Taking { .. })
    }

    pub(super) fn kept(&self) -> Kept {
        let (live, log_bytes, taking) = match &self.state {
            State::Idle => return Kept::default(),
            State::Following { live, .. } => (live.as_ref(), 0, false),
            State::Taking { taker, .. } => (taker.live(), taker.log().bytes(), true),
        };
        Kept { changed_rows: live.rows().len() as u64, new_nodes: live.new_nodes() as u64, log_bytes, taking }
    }

    /// Moves on to another generation, and makes the world in which the events count that it has not absorbed.
    ///
    /// # Errors
    /// When the log is damaged.
    pub(super) fn adopt(&mut self, base: Arc<Base>) -> Result<World> {
        if has_same_events(&self.base, &base) && !self.broken {
            let (live, overlay) = match &mut self.state {
                State::Idle => {
                    let (keeper, world) = Keeper::over(base)?;
                    *self = keeper;
                    return Ok(world);
                }
                State::Following { live, overlay } => (&mut **live, overlay),
                State::Taking { taker, overlay } => (taker.live_mut(), overlay),
            };
            let plain = World::of(Arc::clone(&base), Counted { events: 0, ..self.counted });
            let overlaid = overlay.follow(live).inspect_err(|_| self.broken = true)?;
            self.base = base;
            return Ok(World::after(&plain, overlaid, self.counted));
        }
        if let (State::Taking { taker, overlay }, Some(entry)) = (&mut self.state, &base.manifest().live)
            && taker.renew(live_graph(&base)?, entry)?
        {
            let (new, world) = match remade(&base, entry, taker, None) {
                Ok(made) => made,
                Err(error) => {
                    self.break_off();
                    return Err(error);
                }
            };
            *overlay = new;
            (self.counted, self.base) = (world.counted(), base);
            return Ok(world);
        }
        self.state = State::Idle; // lets go of a log that is no more
        let (keeper, world) = Keeper::over(base).inspect_err(|_| self.broken = true)?;
        *self = keeper;
        Ok(world)
    }

    /// Counts what another program has appended to the log; a new world if there was something. Cost: a look at the files; what
    /// is new is read.
    ///
    /// # Errors
    /// When the log is damaged, or events were absorbed before they were read.
    pub(super) fn catch_up(&mut self, before: &World) -> Result<Option<World>> {
        let (Some(entry), false) = (&self.base.manifest().live, self.is_taking()) else { return Ok(None) };
        let reach = extent(self.base.store.path(), entry)?;
        if self.extent == Some(reach) {
            return Ok(None);
        }
        self.extent = Some(reach);
        match self.read_on() {
            Ok(false) => return Ok(None),
            Ok(true) => {}
            // Something that was never acknowledged may have been counted, or a tail been cut off.
            Err(_) => {
                let (keeper, world) = Keeper::over(Arc::clone(&self.base)).inspect_err(|_| self.batches = None)?;
                *self = Keeper { extent: Some(reach), ..keeper };
                return Ok(Some(world));
            }
        }
        let State::Following { live, overlay } = &mut self.state else { return Ok(None) };
        let overlaid = overlay.follow(live).inspect_err(|_| self.broken = true)?;
        Ok(Some(World::after(before, overlaid, self.counted)))
    }

    /// Reads the log from where it was read last.
    fn read_on(&mut self) -> Result<bool> {
        let missed = || Error::Request { what: "events were missed".to_owned() };
        let batches = match &mut self.batches {
            Some(batches) => batches,
            none => none.insert(Batches::open(self.base.store.path())?),
        };
        let mut next = self.counted.sequence.unwrap_or(0);
        let mut came = false;
        for batch in batches {
            let batch = batch?;
            let end = batch.sequence + batch.events.len() as u64;
            if end <= next {
                continue;
            }
            if batch.sequence != next {
                return Err(missed());
            }
            if matches!(self.state, State::Idle) {
                let live = Box::new(live_graph(&self.base)?);
                let overlay = Box::new(Overlay::new(&live)?);
                self.state = State::Following { live, overlay };
            }
            let State::Following { live, .. } = &mut self.state else { return Err(missed()) };
            replay(live, &batch)?;
            self.so_far.count(&batch.events);
            (next, came) = (end, true);
            self.counted.events += batch.events.len() as u64;
            self.counted.sequence = Some(end);
        }
        Ok(came)
    }

    /// Takes hold of the log, so that events can be taken; makes the world in which those count that are in it.
    ///
    /// # Errors
    /// When another program takes events; [`Error::OtherGraph`] when another generation has to be adopted before; when a file is
    /// damaged.
    pub(super) fn take_over(&mut self, options: LogOptions) -> Result<World> {
        let path = self.base.store.path().to_owned();
        // What was counted already need not be counted again.
        let behind = match std::mem::replace(&mut self.state, State::Idle) {
            State::Following { live, overlay } => {
                let mut live = Some(*live);
                match Taker::behind(&mut live, self.so_far, &path, options) {
                    Ok(behind) => behind.map(|behind| (behind, Some(overlay))),
                    Err(error) => {
                        match live {
                            Some(live) => self.state = State::Following { live: Box::new(live), overlay },
                            None => self.broken = true,
                        }
                        return Err(error);
                    }
                }
            }
            _ => None,
        };
        let ((taker, opened), overlay) = match behind {
            Some(behind) => behind,
            None => (Taker::over(live_graph(&self.base)?, &path, options)?, None),
        };
        if let Some(torn) = opened.cut {
            tracing::warn!(%torn, "it was never acknowledged, and has been cut off");
        }
        // The first time a manifest was published that has a log.
        let base = Arc::new(Base::open_after(&self.base).inspect_err(|_| self.broken = true)?);
        let (expected, got) = (&self.base.manifest().graph.digest, &base.manifest().graph.digest);
        let Some(entry) = base.manifest().live.clone().filter(|_| expected == got) else {
            self.broken = true;
            return Err(Error::OtherGraph { store: path, expected: expected.clone(), got: got.clone() });
        };
        let mut taker = Box::new(taker);
        let (overlay, world) = remade(&base, &entry, &mut taker, overlay).inspect_err(|_| self.broken = true)?;
        *self = Keeper {
            base,
            state: State::Taking { taker, overlay },
            counted: world.counted(),
            so_far: SoFar::default(),
            batches: None,
            extent: None,
            broken: false,
        };
        Ok(world)
    }

    /// Takes batches of events: see [`Taker::take_each`]. None where this program does not take events; the world is another one if
    /// any event was taken.
    ///
    /// # Errors
    /// When what was kept cannot be counted. Everything has to begin anew then.
    #[expect(clippy::type_complexity, reason = "an outcome a batch, and what came of all")]
    pub(super) fn take(
        &mut self,
        batches: &[(&[Event], Missing)],
        before: &World,
    ) -> Result<Option<(Vec<std::result::Result<Taken, Refused>>, Option<World>)>> {
        let State::Taking { taker, overlay } = &mut self.state else { return Ok(None) };
        let mut take = || {
            let outcomes = taker.take_each(batches)?;
            if outcomes.iter().flatten().all(|taken| taken.taken == 0) {
                return Ok((outcomes, None));
            }
            let overlaid = overlay.follow(taker.live_mut())?;
            Ok((outcomes, Some(overlaid)))
        };
        match take() {
            Ok((outcomes, None)) => Ok(Some((outcomes, None))),
            Ok((outcomes, Some(overlaid))) => {
                let log = taker.log();
                self.counted = Counted { events: log.events(), sequence: Some(log.next_sequence()) };
                Ok(Some((outcomes, Some(World::after(before, overlaid, self.counted)))))
            }
            Err(error) => {
                self.break_off();
                Err(error)
            }
        }
    }

    /// What a compaction would absorb now; none where there is nothing, or this program does not take events.
    ///
    /// # Errors
    /// As [`Taker::begin_compaction`].
    pub(super) fn begin_compaction(&mut self) -> Result<Option<Absorbing>> {
        match &mut self.state {
            State::Taking { taker, .. } => taker.begin_compaction(),
            _ => Ok(None),
        }
    }

    /// What the manifest of a generation has to say of the log: see [`Taker::entry`].
    ///
    /// # Errors
    /// When the disk refuses, or this program no longer takes events.
    pub(super) fn entry(&self, absorbing: &Absorbing, generation: u64) -> Result<LiveEntry> {
        match &self.state {
            State::Taking { taker, .. } => taker.entry(absorbing, generation),
            _ => Err(Error::LogReplaced { path: self.base.store.path().to_owned() }),
        }
    }

    /// The store.
    pub(super) fn path(&self) -> &Path {
        self.base.store.path()
    }
}

/// Whether events mean the same in two generations: their graphs are the same files, and their logs begin at the same event.
fn has_same_events(old: &Base, new: &Base) -> bool {
    let of = |base: &Base| {
        let (graph, live) = (&base.manifest().graph, base.manifest().live.as_ref());
        let files = [graph.file.clone(), graph.digest.clone(), graph.labels_file.clone(), graph.labels_digest.clone()];
        (files, graph.types.clone(), live.map(|live| (live.first_log, live.first_sequence, live.decay)))
    };
    of(old) == of(new)
}

/// The world in which everything counts that a taker has taken.
fn remade(
    base: &Arc<Base>,
    entry: &LiveEntry,
    taker: &mut Taker,
    overlay: Option<Box<Overlay>>,
) -> Result<(Box<Overlay>, World)> {
    let plain = World::of(Arc::clone(base), Counted { events: 0, sequence: Some(entry.first_sequence) });
    let mut overlay = match overlay {
        Some(overlay) => overlay,
        None => Box::new(Overlay::new(taker.live())?),
    };
    if taker.log().events() == 0 {
        return Ok((overlay, plain));
    }
    let counted = Counted { events: taker.log().events(), sequence: Some(taker.log().next_sequence()) };
    let overlaid = overlay.follow(taker.live_mut())?;
    Ok((overlay, World::after(&plain, overlaid, counted)))
}
