//! Bytes that a server may be sent, and what it must make of them: a server in this process that is kept, requests made from numbers or
//! from any bytes, and a check of all that comes back.
//!
//! The same check is run by `tests/tests/server_hostile.rs` with requests made from a key, and by the fuzz target in `tests/fuzz/` with
//! bytes that a fuzzer makes. An input is one of two things:
//!
//! ```text
//!  0x00 …                      the rest goes onto a connection of its own as it is, which is then closed on this side
//!  METHOD PATH \n HEADER \n … \n\n BODY
//!                              a request; what says how long it is, is put in, so that it is one
//! ```

use std::cell::RefCell;
use std::io::{BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::OnceLock;
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;
use walkprint_cluster::build::{BuildOptions, ShardedCut};
use walkprint_cluster::graph_mode::GraphMode;
use walkprint_cluster::server::{Bounds, Offer, ProblemBody, Settings, serve};
use walkprint_engine::graph::NodeOrder;
use walkprint_engine::plan::Plan;

use crate::draws::Draws;
use crate::graphs::sprawling;
use crate::http_server::{Response, response};
use crate::stores::{TempStore, build};

/// The longest that a response is waited for.
const PATIENCE: Duration = Duration::from_secs(20);
/// The server gives up a body after so long.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Nodes of the graph that is asked about.
const NODES: u32 = 300;
/// Headers that say how long a request is: they are not taken from an input.
const FRAMING: [&str; 4] = ["content-length", "transfer-encoding", "connection", "expect"];

/// Where a server answers that lives as long as this process: a store `small` with an index, and a directory of stores without any.
///
/// # Panics
/// When it cannot be started.
#[must_use]
pub fn server() -> SocketAddr {
    static SERVER: OnceLock<(SocketAddr, TempStore)> = OnceLock::new();
    let (address, _) = SERVER.get_or_init(|| {
        let store = TempStore::of(&sprawling(1, NODES, 4, true), NodeOrder::default());
        let options = BuildOptions {
            name: "default".to_owned(),
            plan: Plan::default(),
            workers: 1,
            memory_bytes: 1 << 28,
            graph: GraphMode::Replicated,
            cut: ShardedCut::default(),
            resume: false,
            replace: true,
            timely_log: None,
        };
        let _ = build(&store.path(), &options).expect("an index of a small graph");
        let tenants = store.around().join("tenants");
        std::fs::create_dir(&tenants).expect("room for a directory");
        let settings = Settings {
            offers: vec![Offer::Store { name: "small".to_owned(), path: store.path() }, Offer::Directory(tenants)],
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            threads: 2,
            timeout: TIMEOUT,
            bounds: Bounds { body_bytes: 1 << 20, seeds: 1000, top: 1000, queries: 20, edges: 1000 },
            ..Settings::default()
        };
        let (ready, address) = mpsc::channel();
        std::thread::spawn(move || {
            let ended = serve(settings, std::future::pending(), |address| ready.send(address).expect("who started it"));
            panic!("a server that nobody stopped has ended: {ended:?}");
        });
        (address.recv().expect("a server that starts"), store)
    });
    *address
}

thread_local! {
    /// A connection that is kept from one request to the next.
    static KEPT: RefCell<Option<BufReader<TcpStream>>> = const { RefCell::new(None) };
}

/// Sends an input to the server, and says what is wrong with what comes back.
///
/// # Errors
/// When the server fails (status 500 and above), does not answer a whole request, or answers with something that is not what its
/// head says.
pub fn check(input: &[u8]) -> Result<(), String> {
    match input.split_first() {
        Some((0, raw)) => check_raw(raw),
        _ => check_request(input),
    }
}

fn connect() -> Result<TcpStream, String> {
    let stream = TcpStream::connect(server()).map_err(|error| format!("no connection: {error}"))?;
    let timeouts = stream.set_read_timeout(Some(PATIENCE)).and_then(|()| stream.set_nodelay(true));
    timeouts.map_err(|error| error.to_string())?;
    Ok(stream)
}

/// Bytes as they are. They may be no request, half of one, or several.
fn check_raw(raw: &[u8]) -> Result<(), String> {
    let mut stream = connect()?;
    // A server that has seen enough hangs up before the end.
    let _ = stream.write_all(raw).and_then(|()| stream.shutdown(Shutdown::Write));
    let mut came = Vec::new();
    match stream.read_to_end(&mut came) {
        Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
            return Err(format!("neither an answer nor an end within {} s", PATIENCE.as_secs()));
        }
        _ => {} // it may be reset
    }
    let text = String::from_utf8_lossy(&came);
    for line in text.lines().filter(|line| line.starts_with("HTTP/1.")) {
        let status: u16 = line.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or("no status")?;
        // What was cut off by closing this side may be given up; nothing else may go wrong.
        if 500 <= status {
            return Err(text.into_owned());
        }
    }
    Ok(())
}

/// The request that an input stands for.
fn framed(input: &[u8]) -> (Vec<u8>, bool) {
    let (head, body) = match input.windows(2).position(|pair| pair == b"\n\n") {
        Some(end) => (&input[..end], &input[end + 2..]),
        None => (input, &[][..]),
    };
    let mut lines = head.split(|&byte| byte == b'\n');
    let first = lines.next().unwrap_or_default();
    let mut words = first.splitn(2, |&byte| byte == b' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let clean = |bytes: &[u8]| -> Vec<u8> {
        bytes.iter().copied().filter(|&byte| byte != b'\r' && byte != b'\n' && byte != 0).collect()
    };
    let mut wire = clean(method);
    let has_no_body = wire == b"HEAD";
    wire.push(b' ');
    wire.extend(clean(path).into_iter().filter(|&byte| byte != b' '));
    wire.extend_from_slice(b" HTTP/1.1\r\n");
    let mut has_host = false;
    for line in lines {
        let name: String = String::from_utf8_lossy(line).split(':').next().unwrap_or_default().trim().to_lowercase();
        if name.is_empty() || FRAMING.contains(&name.as_str()) {
            continue;
        }
        has_host |= name == "host";
        wire.extend(clean(line));
        wire.extend_from_slice(b"\r\n");
    }
    if !has_host {
        wire.extend_from_slice(b"host: localhost\r\n");
    }
    wire.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
    wire.extend_from_slice(body);
    (wire, has_no_body)
}

fn check_request(input: &[u8]) -> Result<(), String> {
    let (wire, has_no_body) = framed(input);
    let response = KEPT.with_borrow_mut(|kept| {
        // A connection that was kept may have been closed since: then once more on a new one.
        if let Some(mut stream) = kept.take()
            && let Ok(response) = exchange(&mut stream, &wire, has_no_body)
        {
            *kept = goes_on(&response).then_some(stream);
            return Ok(response);
        }
        let mut stream = BufReader::new(connect()?);
        let response = exchange(&mut stream, &wire, has_no_body)?;
        *kept = goes_on(&response).then_some(stream);
        Ok::<_, String>(response)
    })?;
    judge(&response, has_no_body).map_err(|what| format!("{what}: {response:?}"))
}

fn goes_on(response: &Response) -> bool {
    response.status != 400 && response.header("connection") != Some("close")
}

fn exchange(stream: &mut BufReader<TcpStream>, wire: &[u8], has_no_body: bool) -> Result<Response, String> {
    // A server that has seen enough answers before it has read all.
    let _ = stream.get_mut().write_all(wire);
    if !has_no_body {
        return response(stream);
    }
    // The head says how long a body would be; there is none.
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).map_err(|error| format!("no head: {error}"))?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).to_ascii_lowercase().replace("\r\n", "\n");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or("no status")?;
    Ok(Response { status, head, body: String::new() })
}

/// What is wrong with a response.
fn judge(response: &Response, has_no_body: bool) -> Result<(), &'static str> {
    let kind = response.header("content-type").unwrap_or_default();
    if 500 <= response.status {
        return Err("the server failed");
    }
    if has_no_body || response.body.is_empty() {
        // What is refused before it is a request has no body.
        return Ok(());
    }
    if 400 <= response.status {
        let problem: ProblemBody = serde_json::from_str(&response.body).map_err(|_| "a refusal that is no problem")?;
        if kind != "application/problem+json" || problem.status != response.status || problem.detail.is_empty() {
            return Err("a problem that is not what it says");
        }
        return Ok(());
    }
    let is_json = |text: &str| serde_json::from_str::<Value>(text).is_ok();
    match kind {
        "application/json" if !is_json(&response.body) => Err("JSON that is none"),
        "application/x-ndjson" if !response.body.lines().all(is_json) => Err("lines of JSON that are none"),
        _ => Ok(()),
    }
}

const METHODS: [&str; 9] = ["GET", "POST", "POST", "POST", "PUT", "HEAD", "OPTIONS", "DELETE", "X"];

const PATHS: [&str; 28] = [
    "/v1/stores/small/query",
    "/v1/stores/small/query",
    "/v1/stores/small/query",
    "/v1/stores/small/query/batch",
    "/v1/local",
    "/v1/stores/small/recommend",
    "/v1/stores/small/edges",
    "/v1/stores/small/edges?missing=ignore",
    "/v1/stores/small/compact",
    "/v1/stores",
    "/v1/stores?after=s&limit=3",
    "/v1/stores/small",
    "/v1/stores/small/nodes?prefix=1",
    "/v1/stores/small/nodes?prefix=&limit=1000",
    "/v1/stores/small/neighbors/7?limit=5",
    "/v1/stores/small/neighbors/%37",
    "/v1/stores/small/refresh",
    "/v1/stores/..%2fsmall",
    "/v1/stores/../small/query",
    "/v1/stores/%00/query",
    "/readyz",
    "/healthz",
    "/metrics",
    "/openapi.json",
    "/docs/",
    "/page/page.js",
    "/",
    "*",
];

const HEADERS: [&str; 10] = [
    "content-type: application/json",
    "content-type: application/json; charset=utf-8",
    "content-type: text/plain",
    "accept: application/x-ndjson",
    "authorization: Bearer 0123456789abcdef",
    "x-request-id: my-7",
    "x-request-id: \u{7f}\u{e9}",
    "host: evil.example",
    "host: [::1",
    "accept-encoding: gzip, br",
];

const BODIES: [&str; 18] = [
    r#"{"seeds":["1"]}"#,
    r#"{"seeds":["1",{"id":2,"weight":0.5}],"top":3,"method":"combine","precision":0.01}"#,
    r#"{"seeds":[3],"method":"exact","dangling":"uniform","residual":1e-9,"exclude_seeds":true}"#,
    r#"{"seeds":[3],"method":"lookup","dangling":"self-loop","top":1000,"exclude_neighbors":true}"#,
    r#"{"seeds":[3,4,5],"explain":{"paths":3,"seeds":2},"min_support":2}"#,
    r#"{"seeds":["9"],"debias":{"power":0.5,"by":"degree"},"only":["id:10","11"],"exclude":["12"]}"#,
    r#"{"seeds":["9"],"debias":0.25,"settle":true,"index":"default","explain":true}"#,
    r#"{"seeds":["9"],"restart_prob":0.15,"method":"block","dangling":"drop"}"#,
    r#"{"queries":[{"seeds":["1"]},{"seeds":["nobody"]},{"seeds":[2],"top":0}]}"#,
    r#"{"edges":[["a","b"],["b","c",2.5],{"source":"c","target":1,"weight":0}],"seeds":["a"],"undirected":true}"#,
    r#"{"edges":[[1,2],[2,3]],"seeds":[{"id":1,"weight":1e308},{"id":2,"weight":1e308}],"restart_prob":1}"#,
    r#"{"seeds":[{"id":"1","weight":5e-324}],"precision":0.999,"top":1}"#,
    r#"{"user":7,"top":3,"preset":"rp3beta","with_seen":true}"#,
    r#"{"items":["1",{"id":2,"weight":0.5}],"settings":{"restart_prob":0.3}}"#,
    r#"{"events":[{"op":"add","source":"1","target":2,"weight":0.5,"event_id":"e"},{"op":"set","node":"3","type":"x"}]}"#,
    r#"{"events":[{"op":"remove","source":"1","target":"2"},{"user_id":1,"item_id":"2"}],"missing":"ignore"}"#,
    "",
    "null",
];

const WORDS: [&str; 36] = [
    "1e999",
    "-1",
    "0",
    "1e-320",
    "18446744073709551616",
    "0.5",
    "1000",
    "1001",
    "true",
    "null",
    "\"\"",
    "\"1\"",
    "[]",
    "{}",
    "[",
    "}",
    ",",
    ":",
    "\\u0000",
    "\\ud800",
    "\"seeds\"",
    "\"weight\"",
    "\"top\"",
    "\"method\"",
    "\"exact\"",
    "\"uniform\"",
    "\"paths\"",
    "\"edges\"",
    "\"queries\"",
    "id:",
    "type:",
    "\u{feff}",
    "%2f",
    "?limit=",
    "\r\n",
    "\u{0}",
];

/// An input made from numbers: something that is nearly a request.
#[must_use]
pub fn anything(draws: &mut Draws) -> Vec<u8> {
    let mut input = Vec::new();
    let is_question = draws.chance(0.7);
    let (method, path) = match is_question {
        true => ("POST", PATHS[draws.below(6) as usize]),
        false => (one_of(draws, &METHODS), one_of(draws, &PATHS)),
    };
    input.extend_from_slice(format!("{method} {path}\n").as_bytes());
    if is_question {
        input.extend_from_slice(b"content-type: application/json\n");
    }
    while draws.chance(0.3) {
        input.extend_from_slice(one_of(draws, &HEADERS).as_bytes());
        input.push(b'\n');
    }
    input.push(b'\n');
    input.extend_from_slice(one_of(draws, &BODIES).as_bytes());
    let head = input.len().min(if draws.chance(0.7) { input.len() } else { 0 });
    for _ in 0..draws.below(6) {
        change(draws, &mut input, head);
    }
    if draws.chance(0.15) {
        let mut raw = vec![0];
        raw.extend(framed(&input).0);
        for _ in 0..draws.below(4) {
            change(draws, &mut raw, 0);
        }
        if raw.is_empty() {
            raw.push(0);
        }
        raw[0] = 0;
        return raw;
    }
    input
}

fn one_of<'a>(draws: &mut Draws, of: &[&'a str]) -> &'a str {
    of[draws.below(u32::try_from(of.len()).expect("a short list")) as usize]
}

/// Changes a few bytes, mostly in the body, which begins at `body` or a little after.
fn change(draws: &mut Draws, input: &mut Vec<u8>, body: usize) {
    let start = input.windows(2).position(|pair| pair == b"\n\n").map_or(0, |at| at + 2).min(body);
    let room = u32::try_from(input.len() - start).expect("a short input");
    let at = start + draws.below(room + 1) as usize;
    let end = (at + 1 + draws.below(8) as usize).min(input.len());
    match draws.below(6) {
        0 => drop(input.drain(at..end)),
        1 => drop(input.splice(at..at, one_of(draws, &WORDS).bytes())),
        2 => drop(input.splice(at..end, one_of(draws, &WORDS).bytes())),
        3 => {
            let again = input[at..end].to_vec();
            drop(input.splice(at..at, again));
        }
        4 if at < input.len() => input[at] ^= 1 << draws.below(8),
        _ => input.truncate(at.max(start)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_becomes_one_request() {
        let input = b"POST /v1/local\ncontent-length: 7\nx: y\r\n\nhello";
        let (wire, has_no_body) = framed(input);
        let wire = String::from_utf8(wire).expect("text");
        assert!(!has_no_body);
        assert!(wire.starts_with("POST /v1/local HTTP/1.1\r\nx: y\r\nhost: localhost\r\n"), "{wire}");
        assert!(wire.ends_with("content-length: 5\r\n\r\nhello"), "{wire}");
    }

    #[test]
    fn what_is_wrong_is_seen() {
        let response = |status, head: &str, body: &str| Response { status, head: head.into(), body: body.into() };
        assert!(judge(&response(500, "", ""), false).is_err());
        assert!(judge(&response(404, "content-type: text/plain\n", "no"), false).is_err());
        assert!(judge(&response(200, "content-type: application/json\n", "{"), false).is_err());
        assert!(judge(&response(200, "content-type: application/x-ndjson\n", "{}\n{}\n"), false).is_ok());
    }
}
