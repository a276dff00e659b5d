//! Keeps: **a log that cannot be written stops nobody**: the server answers, and ends as it should, when stderr is full, closed, or read by
//! nobody any more.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;
use walkprint_tests::http_server::{Response, posted, response};
use walkprint_tests::program::{self, run};

fn place() -> TempDir {
    let place = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(place.path().join("edges.tsv"), "a\tb\nb\ta\n").expect("room");
    let _ = run(place.path(), &["load", "edges.tsv", "--into", "small.wp"]).done();
    place
}

/// An address at which nobody listens.
fn free_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").to_string()
}

/// Starts a server whose stderr is what the shell makes of it.
fn start(place: &Path, address: &str, redirect: &str) -> Child {
    let serve =
        format!("exec {} serve small.wp --listen {address} --log json --log-level debug", program::path().display());
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{serve} {redirect}")]).current_dir(place);
    shell.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("a shell")
}

fn ask(child: &mut Child, address: &str, body: &str) -> Response {
    let mut stream = loop {
        if let Ok(stream) = TcpStream::connect(address) {
            break stream;
        }
        assert!(child.try_wait().expect("the state of a child").is_none(), "the server has ended");
        std::thread::yield_now();
    };
    stream.write_all(&posted("localhost", "/v1/stores/small/query", body)).expect("a connection");
    response(&mut BufReader::new(stream)).expect("a response")
}

/// Well and badly asked, both of which make a line in the log; then it is told to stop.
fn goes_on(mut child: Child, address: &str) {
    for _ in 0..20 {
        assert_eq!(ask(&mut child, address, r#"{"seeds": ["a"]}"#).status, 200);
        assert_eq!(ask(&mut child, address, r#"{"seeds": ["nobody"]}"#).status, 404);
    }
    program::signal(&child, "TERM");
    assert_eq!(child.wait().expect("its end").code(), Some(0));
}

#[test]
fn a_full_disk_under_the_log() {
    let (place, address) = (place(), free_address());
    goes_on(start(place.path(), &address, "2> /dev/full"), &address);
}

#[test]
fn a_closed_stderr() {
    let (place, address) = (place(), free_address());
    goes_on(start(place.path(), &address, "2>&-"), &address);
}

#[test]
fn a_reader_of_the_log_that_goes_away() {
    let place = place();
    let mut serve =
        program::command(place.path(), &["serve", "small.wp", "--listen", "127.0.0.1:0", "--log-level", "debug"]);
    let mut child = serve.spawn().expect("the program");
    let mut lines = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut line = String::new();
    let _ = lines.read_line(&mut line).expect("what the server says");
    let address = line.trim_end().rsplit_once('/').expect("an address").1.to_owned();
    drop(lines);
    drop(child.stdout.take());
    goes_on(child, &address);
}

#[test]
fn every_event_is_a_line_of_json() {
    let place = place();
    let words = ["serve", "small.wp", "--listen", "127.0.0.1:0", "--log", "json", "--log-level", "debug"];
    let mut child = program::command(place.path(), &words).spawn().expect("the program");
    let mut lines = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut line = String::new();
    let _ = lines.read_line(&mut line).expect("what the server says");
    let address = line.trim_end().rsplit_once('/').expect("an address").1.to_owned();
    let _ = ask(&mut child, &address, "{\"seeds\": [\"a\u{1b}[31m\\n\"]}");
    program::signal(&child, "TERM");
    let mut rest = String::new();
    let _ = lines.read_to_string(&mut rest).expect("text");
    assert_eq!(child.wait().expect("its end").code(), Some(0));
    let events: Vec<serde_json::Value> = rest
        .lines()
        .filter(|line| !line.starts_with("walkprint: "))
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let refused = events.iter().find(|event| event["message"] == "refused").expect("a refusal");
    assert!(
        refused["request_id"].is_string() && refused["level"] == "INFO" && refused["timestamp"].is_string(),
        "{refused}"
    );
    assert!(!rest.contains('\u{1b}'), "what clients send cannot colour the log");
}
