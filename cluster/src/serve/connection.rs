//! Sockets: a thread for each connection, which has one question answered at a time.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use walkprint_engine::error::Error as EngineError;

use super::Desk;
use super::question::{Request, read};
use crate::error::{Error, Result};

/// The longest line that is read: seeds of a question.
const LONGEST_LINE: u64 = 16 << 20;
/// The most connections at a time.
const MOST_CONNECTIONS: usize = 256;
/// How often the listener looks whether it is to stop.
const LOOK: Duration = Duration::from_millis(20);

/// Takes connections on a thread until `stop` is set.
pub(super) fn listen(listener: TcpListener, desk: Arc<Desk>, stop: Arc<AtomicBool>) -> Result<()> {
    let failed = |error: std::io::Error| Error::Workers(error.to_string());
    listener.set_nonblocking(true).map_err(failed)?;
    let open = Arc::new(AtomicUsize::new(0));
    let accept = move || {
        while !stop.load(Ordering::Relaxed) {
            match listener.accept() {
                Ok((stream, _)) => take(stream, &desk, &open),
                // Also when there are too many open files: it may be better soon.
                Err(_) => std::thread::sleep(LOOK),
            }
        }
    };
    std::thread::Builder::new().name("walkprint-listener".into()).spawn(accept).map_err(failed)?;
    Ok(())
}

fn take(mut stream: TcpStream, desk: &Arc<Desk>, open: &Arc<AtomicUsize>) {
    let refuse = |stream: &mut TcpStream, what: &str| {
        let _ = writeln!(stream, "{}", json!({ "error": what })); // who has hung up does not want it
    };
    if stream.set_nonblocking(false).is_err() {
        return;
    }
    if MOST_CONNECTIONS <= open.fetch_add(1, Ordering::Relaxed) {
        open.fetch_sub(1, Ordering::Relaxed);
        return refuse(&mut stream, "there are too many connections; come back later");
    }
    let (desk, counted) = (Arc::clone(desk), Arc::clone(open));
    let spawned = std::thread::Builder::new().name("walkprint-connection".into()).spawn(move || {
        let _ = converse(stream, &desk); // the other side has gone
        counted.fetch_sub(1, Ordering::Relaxed);
    });
    if spawned.is_err() {
        open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Answers line by line until the other side has no more.
fn converse(mut stream: TcpStream, desk: &Desk) -> std::io::Result<()> {
    let _ = stream.set_nodelay(true); // slower without
    let mut lines = BufReader::new(stream.try_clone()?);
    let mut line = Vec::new();
    loop {
        line.clear();
        let length = lines.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)?;
        if length == 0 {
            return Ok(());
        }
        if length as u64 == LONGEST_LINE && line.last() != Some(&b'\n') {
            let what = format!("a question has at most {LONGEST_LINE} bytes");
            return writeln!(stream, "{}", json!({ "error": what }));
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let answer = answer(&line, desk).unwrap_or_else(|what| json!({ "error": what }));
        writeln!(stream, "{answer}")?;
    }
}

fn answer(line: &[u8], desk: &Desk) -> std::result::Result<Value, String> {
    let began = Instant::now();
    let line = std::str::from_utf8(line).map_err(|_| "this is no question: it is not UTF-8".to_owned())?;
    let (asked, seeds) = read(line, desk.world.labels(), desk.uniform)?;
    let stopping = || "the server is stopping".to_owned();
    let reply = desk.ask(asked, seeds).ok_or_else(stopping)?;
    let printed = reply.recv().map_err(|_| stopping())?;
    let mut answer: Value = serde_json::from_str(&printed).map_err(|error| error.to_string())?;
    answer["took_us"] = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX).into();
    Ok(answer)
}

/// Asks a server. Gives its answer as it printed it.
///
/// # Errors
/// When nobody listens there, or the server refuses the question.
pub fn ask(server: SocketAddr, request: &Request) -> Result<Value> {
    let path = server.to_string();
    let path = Path::new(&path);
    let failed = |action| EngineError::io(path, action);
    let mut stream = TcpStream::connect(server).map_err(failed("connect to the server"))?;
    let line = serde_json::to_string(request).expect("plain structs always serialize");
    writeln!(stream, "{line}").map_err(failed("ask the server"))?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).map_err(failed("read the answer"))?;
    if answer.is_empty() {
        return Err(failed("read the answer")(ErrorKind::UnexpectedEof.into()).into());
    }
    let refused = |what: String| Err(Error::Request { what: format!("{server}: {what}") });
    match serde_json::from_str::<Value>(&answer) {
        Ok(answer) if answer["error"].is_string() => refused(answer["error"].as_str().unwrap_or_default().to_owned()),
        Ok(answer) => Ok(answer),
        Err(_) => refused("this is no walkprint server".into()),
    }
}
