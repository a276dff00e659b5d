//! How the processes of a job find each other: each listens at its own address and calls those with lower numbers, again
//! and again until a deadline, so that they may be started in any order and a minute apart.
//!
//! Each pair has two connections, one for timely's data and one for control, both authenticated
//! ([`super::handshake`]). On the first of them the two compare what must be equal; then both are added to what this
//! process has. When all have all, nobody listens any more: a stranger finds the port closed while the job runs.

use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::accept;
use super::frames::{FrameReader, FrameWriter, Session};
use super::handshake::{Failure, Hello, Purpose, Run, call, random};
use super::hosts::Hosts;
use super::key::Key;
use super::liveness::{OnLoss, Watch, lock, spawn};
use super::loss::LossKind;
use super::stream::{Timed, watch_closely};
use super::words::{Agreement, Word, difference};
use crate::error::{Error, Result};

/// Rises when processes of different versions could misunderstand each other.
const PROTOCOL: &str = "1";
/// The longest that a connection may take from its first byte until both sides agree.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(5);
/// The longest that a call waits for somebody to answer.
const RINGING: Duration = Duration::from_secs(2);
/// How long to wait before the next call.
const PAUSE: Duration = Duration::from_millis(200);
/// How often somebody may fail to show the key before that is no accident.
const CHANCES: u32 = 3;
/// How long after the deadline those that have come may take to find each other.
const GRACE: Duration = Duration::from_secs(10);
/// How often the waiting thread looks whether it is to stop.
const LOOK: Duration = Duration::from_millis(50);
/// Clocks that are further apart deserve a word.
const CLOCKS_APART: u64 = 60;

/// Where notes for people go: connections that were refused, clocks that differ. One line each, without its end.
pub type Note = Arc<dyn Fn(&str) + Send + Sync>;

/// What a process needs to join a job.
#[derive(Clone)]
pub struct Joining {
    /// All processes.
    pub hosts: Hosts,
    /// Which of them this is.
    pub process: usize,
    /// The key that all have; needed unless there is only one.
    pub key: Option<Key>,
    /// Workers of each process; the same for all.
    pub workers: usize,
    /// How long to wait for the others.
    pub timeout: Duration,
    /// Labelled values that must be the same in all processes, as `("plan", digest)`; the label follows "another".
    pub agreement: Vec<(String, String)>,
    /// Set from outside to stop waiting.
    pub stop: Arc<AtomicBool>,
    /// Where notes go.
    pub note: Note,
    /// What is done when a process is lost while timely runs.
    pub on_loss: OnLoss,
}

impl std::fmt::Debug for Joining {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Joining").field("hosts", &self.hosts).field("process", &self.process).finish()
    }
}

/// What all threads that connect share.
pub(super) struct Meeting {
    pub(super) hosts: Hosts,
    pub(super) process: usize,
    pub(super) key: Key,
    run: Run,
    agreement: Agreement,
    watch: Arc<Watch>,
    pub(super) note: Note,
    deadline: Instant,
    places: Mutex<Places>,
    changed: Condvar,
}

/// Who has come.
#[derive(Default)]
struct Places {
    others: Vec<Place>,
    failure: Option<Error>,
    over: bool,
}

#[derive(Default)]
struct Place {
    /// Which start of the process has the control connection, and from where.
    run: Option<(Run, String)>,
    /// Whether the watch has the control connection.
    watched: bool,
    data: Option<TcpStream>,
    /// Why the last call came to nothing.
    trouble: Option<String>,
}

/// Why a call came to nothing.
enum Trouble {
    /// It is worth trying again.
    Again(String),
    /// The other side does not show the key.
    NoKey,
    /// Never.
    Fatal(Error),
}

/// What there is when all have found all.
pub(super) type Connected = (Arc<Watch>, Vec<Option<TcpStream>>);

/// Connects with all other processes. `None` when there are none.
pub(super) fn connect(joining: Joining) -> Result<Option<Connected>> {
    let Joining { hosts, process, key, workers, timeout, agreement, stop, note, on_loss } = joining;
    let refuse = |what| Err(Error::Connect { what });
    let count = hosts.len();
    if count <= process {
        let which =
            if count == 1 { "its process is 0".into() } else { format!("they are processes 0 to {}", count - 1) };
        let lines = if count == 1 { "line" } else { "lines" };
        return refuse(format!("--process {process}: the host file has {count} {lines}, {which}"));
    }
    if count == 1 {
        return Ok(None);
    }
    let Some(key) = key else {
        return refuse(format!("a job of {count} processes needs --key-file FILE, with a key that all of them have"));
    };
    let listeners = accept::bind(&hosts, process)?;
    let watch = Watch::start(&hosts, process, on_loss)?;
    let run = random().map_err(|error| Error::Connect { what: format!("no random numbers: {error}") })?;
    let mut all = terms(&hosts, workers);
    all.extend(agreement);
    let meeting = Arc::new(Meeting {
        process,
        key,
        run,
        agreement: all,
        watch: Arc::clone(&watch),
        note,
        deadline: Instant::now() + timeout,
        places: Mutex::new(Places { others: (0..count).map(|_| Place::default()).collect(), ..Places::default() }),
        changed: Condvar::new(),
        hosts,
    });
    let stopped = || stop.load(Ordering::Relaxed);
    let listening = Arc::clone(&meeting);
    let listener = spawn("walkprint-listens", move || accept::listen(&listening, &listeners))?;
    let met = meet(&meeting, timeout, &stopped);
    meeting.close();
    let _ = listener.join(); // the port is free again; if the thread panicked it has been said
    let ready = met.and_then(|sockets| {
        watch.all_ready(meeting.deadline + GRACE, &stopped)?;
        Ok(sockets)
    });
    if let Err(error) = &ready {
        match error {
            Error::Process(_) => {} // they know
            Error::Interrupted => watch.confess(LossKind::Interrupted, String::new()),
            other => watch.confess(LossKind::Failed, other.to_string()),
        }
        watch.close();
    }
    ready.map(|sockets| Some((watch, sockets)))
}

/// What all processes of any job must agree on.
pub(super) fn terms(hosts: &Hosts, workers: usize) -> Agreement {
    let mut terms = vec![
        ("version of walkprint".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("protocol".to_owned(), PROTOCOL.to_owned()),
        ("byte order".to_owned(), if cfg!(target_endian = "little") { "little" } else { "big" }.to_owned()),
        ("number of processes".to_owned(), hosts.len().to_string()),
    ];
    terms.extend((0..hosts.len()).map(|process| (format!("address of process {process}"), hosts.address(process))));
    terms.push(("number of workers (--workers)".to_owned(), workers.to_string()));
    terms
}

/// Calls the others, and waits until every place is taken.
fn meet(meeting: &Arc<Meeting>, timeout: Duration, stopped: &dyn Fn() -> bool) -> Result<Vec<Option<TcpStream>>> {
    for other in 0..meeting.process {
        let calling = Arc::clone(meeting);
        spawn(&format!("walkprint-calls-{other}"), move || calling.call_until_there(other))?;
    }
    let mut places = lock(&meeting.places);
    loop {
        if let Some(error) = places.failure.take() {
            return Err(error);
        }
        if let Some(loss) = meeting.watch.loss() {
            return Err(Error::Process(loss));
        }
        let is_missing = |place: &Place| !place.watched || place.data.is_none();
        let missing: Vec<usize> = (0..meeting.hosts.len())
            .filter(|&other| other != meeting.process && is_missing(&places.others[other]))
            .collect();
        if missing.is_empty() {
            places.over = true; // nobody may be replaced any more
            return Ok(places.others.iter_mut().map(|place| place.data.take()).collect());
        }
        if stopped() {
            return Err(Error::Interrupted);
        }
        if meeting.deadline <= Instant::now() {
            let of = |&other: &usize| match &places.others[other].trouble {
                Some(trouble) => format!("{} ({trouble})", meeting.hosts.name(other)),
                None => meeting.hosts.name(other),
            };
            let missing: Vec<String> = missing.iter().map(of).collect();
            let what = format!(
                "waited {} s for {}; start all processes within --connect-timeout",
                timeout.as_secs(),
                missing.join(", ")
            );
            return Err(Error::Connect { what });
        }
        places = meeting.changed.wait_timeout(places, LOOK).unwrap_or_else(PoisonError::into_inner).0;
    }
}

impl Meeting {
    /// Nobody is called, answered or waited for any more.
    fn close(&self) {
        lock(&self.places).over = true;
        self.changed.notify_all();
    }

    pub(super) fn is_over(&self) -> bool {
        lock(&self.places).over
    }

    fn fail(&self, error: Error) {
        lock(&self.places).failure.get_or_insert(error);
        self.changed.notify_all();
    }

    fn call_until_there(self: &Arc<Self>, other: usize) {
        let mut chances = CHANCES;
        while !self.is_over() {
            let trouble = match self.call_once(other) {
                Ok(()) => return self.changed.notify_all(),
                Err(Trouble::Again(trouble)) => trouble,
                Err(Trouble::NoKey) if 1 < chances => {
                    chances -= 1;
                    "it does not show that it has the key".into()
                }
                Err(Trouble::NoKey) => {
                    let name = self.hosts.name(other);
                    let what = format!("{name} has another key: --key-file must hold the same everywhere");
                    return self.fail(Error::Connect { what });
                }
                Err(Trouble::Fatal(error)) => return self.fail(error),
            };
            let mut places = lock(&self.places);
            places.others[other].trouble = Some(trouble);
            let until = |places: &mut Places| !places.over;
            drop(self.changed.wait_timeout_while(places, PAUSE, until));
        }
    }

    /// Makes those connections to a process that are not there yet.
    fn call_once(self: &Arc<Self>, other: usize) -> std::result::Result<(), Trouble> {
        if lock(&self.places).others[other].run.is_none() {
            let (stream, session) = self.open(other, Purpose::Control)?;
            let timed = Timed::new(&stream, HANDSHAKE);
            let (mut writer, mut reader) = (session.writer(timed), session.reader(timed));
            let again = |error: std::io::Error| Trouble::Again(Failure::Broken(error).to_string());
            writer.send(&self.own_agreement().encode()).map_err(again)?;
            match Word::decode(&reader.receive().map_err(again)?) {
                Some(Word::Agreement { values, .. }) => self.compare(other, &values).map_err(Trouble::Fatal)?,
                answer => return Err(self.refused(other, answer)),
            }
            self.add_control(other, &stream, writer, reader).map_err(Trouble::Fatal)?;
            lock(&self.places).others[other].run = Some(([0; 16], self.hosts.address(other)));
        }
        let (stream, session) = self.open(other, Purpose::Data)?;
        match session.reader(Timed::new(&stream, HANDSHAKE)).receive().map(|body| Word::decode(&body)) {
            Ok(Some(Word::Welcome)) => {}
            Ok(answer) => return Err(self.refused(other, answer)),
            Err(error) => return Err(Trouble::Again(Failure::Broken(error).to_string())),
        }
        self.add_data(other, stream).map_err(Trouble::Fatal)
    }

    /// Calls a process at each of its addresses, and shows it the key.
    fn open(&self, other: usize, purpose: Purpose) -> std::result::Result<(TcpStream, Session), Trouble> {
        let addresses = self.hosts.resolve(other).map_err(|error| Trouble::Again(error.to_string()))?;
        let mut trouble = Trouble::Again("it has no address".into());
        for address in addresses {
            let opened = TcpStream::connect_timeout(&address, RINGING).and_then(|stream| {
                watch_closely(&stream)?;
                Ok(stream)
            });
            let stream = match opened {
                Ok(stream) => stream,
                Err(error) => {
                    trouble = Trouble::Again(error.to_string());
                    continue;
                }
            };
            let number = |process: usize| u32::try_from(process).expect("the host file bounds the processes");
            let hello = Hello { purpose, caller: number(self.process), callee: number(other), run: self.run };
            let called = call(&mut Timed::new(&stream, HANDSHAKE), &self.key, &hello);
            match called {
                Ok(session) => return Ok((stream, session)),
                Err(Failure::NoKey) => trouble = Trouble::NoKey,
                Err(failure) => trouble = Trouble::Again(failure.to_string()),
            }
        }
        Err(trouble)
    }

    fn refused(&self, other: usize, answer: Option<Word>) -> Trouble {
        let why = match answer {
            Some(Word::Refusal(why)) => why,
            _ => "it says what no process of this version says".into(),
        };
        let what = format!("{} does not want this process: {why}", self.hosts.name(other));
        Trouble::Fatal(Error::Connect { what })
    }

    /// What this process holds to be agreed, now.
    pub(super) fn own_agreement(&self) -> Word {
        Word::Agreement { clock: clock(), values: self.agreement.clone() }
    }

    /// Compares what another process holds to be agreed.
    pub(super) fn compare(&self, other: usize, theirs: &Agreement) -> Result<()> {
        match difference(&self.agreement, theirs) {
            None => Ok(()),
            Some((label, here, there)) => {
                let (other, own) = (self.hosts.name(other), self.hosts.name(self.process));
                Err(Error::Connect { what: format!("{other} has another {label}: {there} there, {here} in {own}") })
            }
        }
    }

    /// Says so when another process's clock is far from this one's.
    pub(super) fn compare_clocks(&self, other: usize, theirs: u64) {
        let own = clock();
        let apart = own.abs_diff(theirs);
        if CLOCKS_APART < apart {
            let way = if own < theirs { "ahead of" } else { "behind" };
            let other = self.hosts.name(other);
            (self.note)(&format!("the clock of {other} is {apart} s {way} this one; no result depends on it"));
        }
    }

    /// Books the place of a process for one of its starts. Refuses a second one, with the reason.
    pub(super) fn book(&self, other: usize, run: Run, from: &str) -> std::result::Result<(), String> {
        let mut places = lock(&self.places);
        if places.over {
            return Err("all processes are there already".into());
        }
        match &places.others[other].run {
            Some((_, first)) => {
                Err(format!("process {other} is there already, from {first}; two processes have the number {other}"))
            }
            None => {
                places.others[other].run = Some((run, from.to_owned()));
                Ok(())
            }
        }
    }

    /// True when the place of a process is booked for this start.
    pub(super) fn is_booked(&self, other: usize, run: Run) -> bool {
        let places = lock(&self.places);
        !places.over && places.others[other].run.as_ref().is_some_and(|(booked, _)| *booked == run)
    }

    /// Hands a control connection to the watch.
    pub(super) fn add_control(
        &self,
        other: usize,
        stream: &TcpStream,
        writer: FrameWriter<Timed<'_>>,
        reader: FrameReader<Timed<'_>>,
    ) -> Result<()> {
        let copy = || stream.try_clone().map_err(|error| self.unusable(other, &error));
        self.watch.add(other, writer.on(copy()?), reader.on(copy()?))?;
        lock(&self.places).others[other].watched = true;
        self.changed.notify_all();
        Ok(())
    }

    /// Keeps a data connection for timely.
    pub(super) fn add_data(&self, other: usize, stream: TcpStream) -> Result<()> {
        let waiting = stream.set_read_timeout(None).and_then(|()| stream.set_write_timeout(None));
        waiting.map_err(|error| self.unusable(other, &error))?;
        let mut places = lock(&self.places);
        if !places.over {
            places.others[other].data = Some(stream);
        }
        drop(places);
        self.changed.notify_all();
        Ok(())
    }

    fn unusable(&self, other: usize, error: &std::io::Error) -> Error {
        Error::Connect { what: format!("{}: the connection cannot be used: {error}", self.hosts.name(other)) }
    }

    /// Gives up: this process does not agree with another.
    pub(super) fn give_up(&self, error: Error) {
        self.fail(error);
    }
}

fn clock() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
