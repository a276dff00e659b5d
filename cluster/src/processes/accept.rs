//! Who may come in: a listener at this process's address, and short handshakes with whoever connects.
//!
//! **A stranger gets nothing and disturbs nothing.** Each handshake has its own thread and five seconds; of too many at a
//! time the oldest are closed, as a process of the job takes only milliseconds and calls again; who is refused costs one
//! line, and few lines at a time. (Test: `tests/tests/processes.rs`.)

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::connect::{HANDSHAKE, Meeting};
use super::frames::Session;
use super::handshake::{Failure, Hello, Purpose, answer};
use super::hosts::Hosts;
use super::liveness::{lock, spawn};
use super::stream::{Timed, watch_closely};
use super::words::Word;
use crate::error::{Error, Result};

/// Handshakes at a time.
const MOST_OPEN: usize = 64;
/// Lines about refused connections in one [`WINDOW`].
const MOST_LINES: u32 = 10;
const WINDOW: Duration = Duration::from_secs(10);
/// How often the listener looks whether somebody has come.
const LOOK: Duration = Duration::from_millis(5);

/// One for each address of a host's name.
pub(super) type Listeners = Vec<TcpListener>;

/// Listens at a process's own address.
pub(super) fn bind(hosts: &Hosts, process: usize) -> Result<Listeners> {
    let name = hosts.name(process);
    let refuse = |what: String| Error::Connect { what: format!("cannot listen as {name}: {what}") };
    let addresses = hosts.resolve(process).map_err(|error| refuse(error.to_string()))?;
    let mut listeners = Listeners::new();
    let mut first_trouble = None;
    for address in addresses {
        let bound = TcpListener::bind(address).and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok(listener)
        });
        match bound {
            Ok(listener) => listeners.push(listener),
            Err(error) => {
                let what = match error.kind() {
                    ErrorKind::AddrInUse => {
                        let port = address.port();
                        return Err(refuse(format!(
                            "port {port} is taken by another program; is process {process} running already?"
                        )));
                    }
                    ErrorKind::AddrNotAvailable => {
                        format!("{} is no address of this machine; is --process {process} right?", address.ip())
                    }
                    _ => error.to_string(),
                };
                first_trouble.get_or_insert(what);
            }
        }
    }
    match first_trouble {
        Some(trouble) if listeners.is_empty() => Err(refuse(trouble)),
        _ => Ok(listeners),
    }
}

/// Answers whoever connects, until the meeting is over.
pub(super) fn listen(meeting: &Arc<Meeting>, listeners: &Listeners) {
    let gate =
        Arc::new(Gate { meeting: Arc::clone(meeting), open: Mutex::default(), refusals: Mutex::new(Refusals::new()) });
    let mut number = 0u64;
    while !meeting.is_over() {
        let mut came = false;
        for (stream, from) in listeners.iter().filter_map(|listener| listener.accept().ok()) {
            came = true;
            number += 1;
            gate.enter(number, stream, from);
        }
        if !came {
            std::thread::park_timeout(LOOK);
        }
    }
    for (_, stream) in lock(&gate.open).drain(..) {
        let _ = stream.shutdown(Shutdown::Both); // the other side may have done so
    }
    let silent = lock(&gate.refusals).silent;
    if silent != 0 {
        (meeting.note)(&format!("refused {silent} more connections"));
    }
}

/// The handshakes that are under way.
struct Gate {
    meeting: Arc<Meeting>,
    open: Mutex<VecDeque<(u64, TcpStream)>>,
    refusals: Mutex<Refusals>,
}

impl Gate {
    /// Starts a handshake, in the place of the oldest when there are too many.
    fn enter(self: &Arc<Self>, number: u64, stream: TcpStream, from: SocketAddr) {
        let Ok(copy) = stream.try_clone() else { return self.refuse(from, "too many files are open") };
        {
            let mut open = lock(&self.open);
            open.push_back((number, copy));
            let oldest = if MOST_OPEN < open.len() { open.pop_front() } else { None };
            if let Some((_, oldest)) = oldest {
                let _ = oldest.shutdown(Shutdown::Both); // its thread ends on that
            }
        }
        let gate = Arc::clone(self);
        let admitting = move || {
            let proved = gate.authenticate(&stream);
            // Who has the key is no stranger any more, and nobody's place is taken from him.
            let in_time = gate.leave(number);
            let admitted = match proved {
                _ if !in_time => Err("it was the oldest of too many".to_owned()),
                Ok((hello, session)) => gate.admit(&hello, &session, stream, from),
                Err(why) => Err(why),
            };
            if let Err(why) = admitted {
                gate.refuse(from, &why);
            }
        };
        if spawn("walkprint-admits", admitting).is_err() {
            self.leave(number);
            self.refuse(from, "too many threads are running");
        }
    }

    /// Ends a handshake. False when it has been ended before, for another.
    fn leave(&self, number: u64) -> bool {
        let mut open = lock(&self.open);
        let before = open.len();
        open.retain(|(other, _)| *other != number);
        open.len() < before
    }

    /// Lets whoever has connected show the key.
    fn authenticate(&self, stream: &TcpStream) -> std::result::Result<(Hello, Session), String> {
        let broken = |error: std::io::Error| Failure::Broken(error).to_string();
        stream.set_nonblocking(false).and_then(|()| watch_closely(stream)).map_err(broken)?;
        answer(&mut Timed::new(stream, HANDSHAKE), &self.meeting.key).map_err(|failure| failure.to_string())
    }

    /// Takes a connection in, or says why not.
    fn admit(
        &self,
        hello: &Hello,
        session: &Session,
        stream: TcpStream,
        from: SocketAddr,
    ) -> std::result::Result<(), String> {
        let broken = |error: std::io::Error| Failure::Broken(error).to_string();
        let timed = Timed::new(&stream, HANDSHAKE);
        let refuse = |why: String| {
            // If it cannot be told it will find the connection closed.
            let _ = session.writer(timed).send(&Word::Refusal(why.clone()).encode());
            Err(why)
        };
        let caller = match self.caller(hello) {
            Ok(caller) => caller,
            Err(why) => return refuse(why),
        };
        match hello.purpose {
            Purpose::Control => self.control(caller, hello, session, &stream, from),
            Purpose::Data if self.meeting.is_booked(caller, hello.run) => {
                session.writer(timed).send(&Word::Welcome.encode()).map_err(broken)?;
                self.meeting.add_data(caller, stream).map_err(|error| error.to_string())
            }
            Purpose::Data => refuse(format!("process {caller} is another one here")),
        }
    }

    /// Who calls, when this is whom it means and those are the numbers of processes that call this one.
    fn caller(&self, hello: &Hello) -> std::result::Result<usize, String> {
        let (own, count) = (self.meeting.process, self.meeting.hosts.len());
        let (caller, callee) = (hello.caller as usize, hello.callee as usize);
        if callee != own {
            return Err(format!("this is process {own} and not {callee}"));
        }
        if caller <= own || count <= caller {
            return Err(format!("process {caller} does not call process {own} of {count}"));
        }
        Ok(caller)
    }

    fn control(
        &self,
        caller: usize,
        hello: &Hello,
        session: &Session,
        stream: &TcpStream,
        from: SocketAddr,
    ) -> std::result::Result<(), String> {
        let broken = |error: std::io::Error| Failure::Broken(error).to_string();
        let timed = Timed::new(stream, HANDSHAKE);
        let (mut writer, mut reader) = (session.writer(timed), session.reader(timed));
        let Some(Word::Agreement { clock, values }) = Word::decode(&reader.receive().map_err(broken)?) else {
            return Err("it says what no process of this version says".into());
        };
        if let Err(why) = self.meeting.book(caller, hello.run, &from.to_string()) {
            let _ = writer.send(&Word::Refusal(why.clone()).encode()); // if it cannot be told it will find out
            return Err(why);
        }
        // It is told in any case: what differs is an error on both sides.
        let told = writer.send(&self.meeting.own_agreement().encode());
        if let Err(error) = self.meeting.compare(caller, &values) {
            self.meeting.give_up(error);
            return Ok(());
        }
        told.map_err(broken)?;
        self.meeting.compare_clocks(caller, clock);
        let added = self.meeting.add_control(caller, stream, writer, reader);
        added.map_err(|error| error.to_string())
    }

    fn refuse(&self, from: SocketAddr, why: &str) {
        if self.meeting.is_over() {
            return; // nobody listens to it
        }
        if let Some(line) = lock(&self.refusals).line(from, why, Instant::now()) {
            (self.meeting.note)(&line);
        }
    }
}

/// Keeps a scanner from filling the screen.
struct Refusals {
    window: Instant,
    lines: u32,
    silent: u64,
}

impl Refusals {
    fn new() -> Refusals {
        Refusals { window: Instant::now(), lines: 0, silent: 0 }
    }

    fn line(&mut self, from: SocketAddr, why: &str, now: Instant) -> Option<String> {
        if WINDOW <= now.saturating_duration_since(self.window) {
            (self.window, self.lines) = (now, 0);
        }
        if self.lines == MOST_LINES {
            self.silent += 1;
            return None;
        }
        self.lines += 1;
        let more = match std::mem::take(&mut self.silent) {
            0 => String::new(),
            silent => format!(" (and {silent} more before)"),
        };
        Some(format!("refused a connection from {from}: {why}{more}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_lines_at_a_time_and_none_forgotten() {
        let mut refusals = Refusals::new();
        let from: SocketAddr = "127.0.0.1:5".parse().unwrap();
        let begin = refusals.window;
        let lines: Vec<String> = (0..25).filter_map(|_| refusals.line(from, "it was too slow", begin)).collect();
        assert_eq!(lines.len(), 10);
        assert_eq!(lines[9], "refused a connection from 127.0.0.1:5: it was too slow");
        let next = refusals.line(from, "it was too slow", begin + WINDOW).unwrap();
        assert!(next.ends_with("too slow (and 15 more before)"), "{next}");
    }
}
