//! Who is still there: a control connection to each other process, with a beat a second and last words.
//!
//! A process that has not been heard for [`SILENCE`] is lost: it was killed, stopped, or the network is cut. So is one
//! whose connection closes before it has said that it is done. The first loss is passed on to all others, so that all
//! name the same culprit, and handed to the job's [`OnLoss`], which ends the program: timely's threads cannot be
//! stopped from outside.

use std::io::ErrorKind;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::frames::{FrameReader, FrameWriter};
use super::hosts::Hosts;
use super::loss::{Loss, LossKind};
use super::words::Word;
use crate::error::{Error, Result};

/// How often each process says that it is there.
const BEAT: Duration = Duration::from_secs(1);
/// Without a word for so long a process counts as lost.
pub(super) const SILENCE: Duration = Duration::from_secs(6);
/// The longest that one word may take to be written; only to a process that does not read it takes any time.
const WRITING: Duration = Duration::from_millis(500);

/// The longest that this process hears others out after it has said its last word.
const PARTING: Duration = Duration::from_millis(500);

/// What is done when a process is lost while timely runs, on whichever thread noticed it. It should say so and end the
/// program; when it returns, [`super::Processes::run`] returns an error as soon as timely's threads let it.
pub type OnLoss = Arc<dyn Fn(&Loss) + Send + Sync>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Processes find each other; somebody waits for the outcome.
    Starting,
    /// timely runs; nobody waits.
    Running,
    /// This process is done and waits for the others.
    Finishing,
    /// Nothing counts any more.
    Ended,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    ready: Vec<bool>,
    done: Vec<bool>,
    loss: Option<Loss>,
    /// Connections that are listened to.
    listening: usize,
}

/// The control connections of a process.
pub(super) struct Watch {
    hosts: Hosts,
    process: usize,
    writers: Vec<Mutex<Option<FrameWriter<TcpStream>>>>,
    state: Mutex<State>,
    changed: Condvar,
    on_loss: OnLoss,
    passed_on: OnceLock<()>,
    told: OnceLock<()>,
}

impl Watch {
    /// Begins without connections. A thread beats on those that are added.
    pub(super) fn start(hosts: &Hosts, process: usize, on_loss: OnLoss) -> Result<Arc<Watch>> {
        let count = hosts.len();
        let only_this = |process: usize| (0..count).map(|other| other == process).collect::<Vec<bool>>();
        let watch = Arc::new(Watch {
            hosts: hosts.clone(),
            process,
            writers: (0..count).map(|_| Mutex::new(None)).collect(),
            state: Mutex::new(State {
                phase: Phase::Starting,
                ready: only_this(process),
                done: only_this(process),
                loss: None,
                listening: 0,
            }),
            changed: Condvar::new(),
            on_loss,
            passed_on: OnceLock::new(),
            told: OnceLock::new(),
        });
        let beating = Arc::clone(&watch);
        spawn("walkprint-beats", move || beating.beat())?; // ends when the watch is closed
        Ok(watch)
    }

    /// Adds the connection to another process; a thread listens to it from now on.
    pub(super) fn add(
        self: &Arc<Watch>,
        process: usize,
        writer: FrameWriter<TcpStream>,
        reader: FrameReader<TcpStream>,
    ) -> Result<()> {
        let timeouts = writer.stream().set_write_timeout(Some(WRITING));
        timeouts.and_then(|()| writer.stream().set_read_timeout(Some(SILENCE))).map_err(|error| Error::Connect {
            what: format!("{}: the connection refuses a time-out: {error}", self.hosts.name(process)),
        })?;
        *lock(&self.writers[process]) = Some(writer);
        let watch = Arc::clone(self);
        self.state().listening += 1;
        let listen = move || {
            let loss = watch.listen(process, reader);
            watch.state().listening -= 1;
            watch.changed.notify_all();
            if let Some(loss) = loss {
                watch.lose(loss);
            }
        };
        spawn(&format!("walkprint-hears-{process}"), listen).map(drop)
    }

    fn beat(&self) {
        let mut state = self.state();
        while state.phase != Phase::Ended {
            state = self.changed.wait_timeout(state, BEAT).unwrap_or_else(PoisonError::into_inner).0;
            drop(state);
            self.tell(&Word::Beat);
            state = self.state();
        }
    }

    /// Says something to all others. Who cannot be reached is noticed by his own listener.
    fn tell(&self, word: &Word) {
        let body = word.encode();
        for writer in &self.writers {
            if let Some(writer) = lock(writer).as_mut() {
                let _ = writer.send(&body);
            }
        }
    }

    /// Listens to a process until it is done, or gives who is lost.
    fn listen(&self, process: usize, mut reader: FrameReader<TcpStream>) -> Option<Loss> {
        loop {
            let word = reader.receive().map(|body| Word::decode(&body));
            let mut state = self.state();
            match word {
                Ok(Some(Word::Beat)) => {}
                Ok(Some(Word::Ready)) => state.ready[process] = true,
                Ok(Some(Word::Done)) => state.done[process] = true,
                Ok(Some(Word::Lost(loss))) if loss.process != self.process => {
                    return Some(loss);
                }
                other => {
                    let over = state.done[process] || state.phase == Phase::Ended;
                    drop(state);
                    let reason = match other {
                        Ok(Some(Word::Lost(_))) => "it heard nothing from this process for too long".to_owned(),
                        Ok(_) => "it says what no process of this version says".to_owned(),
                        Err(error) => match error.kind() {
                            ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                                format!("nothing was heard from it for {} seconds", SILENCE.as_secs())
                            }
                            ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset => "its connection closed".to_owned(),
                            _ => error.to_string(),
                        },
                    };
                    return (!over).then(|| self.loss_of(process, LossKind::Gone, reason));
                }
            }
            drop(state);
            self.changed.notify_all();
        }
    }

    /// What is said of a process that is lost.
    pub(super) fn loss_of(&self, process: usize, kind: LossKind, reason: String) -> Loss {
        Loss { process, address: self.hosts.address(process), kind, reason }
    }

    /// Notes a loss, tells the others, and while timely runs hands it on. Of several losses the first counts; whoever
    /// comes later waits until it has been handed on.
    pub(super) fn lose(&self, loss: Loss) {
        let mut state = self.state();
        if state.phase == Phase::Ended {
            return;
        }
        let loss = state.loss.get_or_insert(loss).clone();
        let running = state.phase == Phase::Running;
        drop(state);
        self.changed.notify_all();
        // Nobody goes on before the others know: the program may end with what comes next.
        self.passed_on.get_or_init(|| self.tell(&Word::Lost(loss.clone())));
        if running {
            self.told.get_or_init(|| {
                self.part();
                (self.on_loss)(&loss);
            });
        }
    }

    /// Tells the others how this process ends. Nothing that they say counts any more: it would be the echo.
    pub(super) fn confess(&self, kind: LossKind, reason: String) {
        self.state().phase = Phase::Ended;
        self.tell(&Word::Lost(self.loss_of(self.process, kind, reason)));
    }

    /// Says no more, and hears the others out for a moment: a connection that closes before everything is read is reset, and
    /// with it goes what the other side has not read yet, last words and all.
    fn part(&self) {
        for writer in &self.writers {
            if let Some(writer) = lock(writer).as_ref() {
                let _ = writer.stream().shutdown(Shutdown::Write); // it may be closed already
            }
        }
        drop(self.changed.wait_timeout_while(self.state(), PARTING, |state| 0 < state.listening));
    }

    /// The first loss, if there was one.
    pub(super) fn loss(&self) -> Option<Loss> {
        self.state().loss.clone()
    }

    /// Waits a moment for somebody to be lost.
    pub(super) fn wait_for_loss(&self, most: Duration) -> Option<Loss> {
        let waited = self.changed.wait_timeout_while(self.state(), most, |state| state.loss.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.loss.clone()
    }

    /// Says that this process has all its connections, and waits until all others have theirs. From then on losses go
    /// to [`OnLoss`].
    pub(super) fn all_ready(&self, deadline: Instant, stopped: &dyn Fn() -> bool) -> Result<()> {
        const LOOK: Duration = Duration::from_millis(50);
        self.tell(&Word::Ready);
        let mut state = self.state();
        loop {
            if let Some(loss) = &state.loss {
                return Err(Error::Process(loss.clone()));
            }
            if state.ready.iter().all(|ready| *ready) {
                state.phase = Phase::Running;
                return Ok(());
            }
            if stopped() {
                return Err(Error::Interrupted);
            }
            if deadline < Instant::now() {
                let late = (0..state.ready.len()).filter(|&process| !state.ready[process]);
                let late: Vec<String> = late.map(|process| self.hosts.name(process)).collect();
                return Err(Error::Connect { what: format!("{} could not reach all others in time", late.join(", ")) });
            }
            state = self.changed.wait_timeout(state, LOOK).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Says that this process is done, and waits until all others are, too. Gives a process that was lost instead.
    pub(super) fn all_done(&self) -> Option<Loss> {
        self.state().phase = Phase::Finishing;
        self.tell(&Word::Done);
        let mut state = self.state();
        while state.loss.is_none() && !state.done.iter().all(|done| *done) {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.loss.clone()
    }

    /// Ends: nothing counts any more, and the connections are closed when the others have closed theirs, or after a moment.
    pub(super) fn close(&self) {
        self.state().phase = Phase::Ended;
        self.changed.notify_all();
        self.part();
        for writer in &self.writers {
            if let Some(writer) = lock(writer).take() {
                let _ = writer.stream().shutdown(Shutdown::Both); // it may be closed already
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Watch").field("process", &self.process).field("state", &self.state).finish()
    }
}

/// A lock that a panic elsewhere does not spoil: liveness must go on then more than ever.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a thread.
pub(super) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.into()).spawn(work).map_err(|error| Error::Workers(error.to_string()))
}
