//! Keeps: **what takes too long is given up for real, wherever its time goes; who does not take her answer is hung up on; and the usual limits
//! hold against requests of any size** (issue 5, "Limits and fairness" and "Bad input").

use std::io::{BufReader, Read, Write};
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use walkprint_tests::draws::Draws;
use walkprint_tests::graphs::sprawling;
use walkprint_tests::http_server::{HttpServer, posted, response};
use walkprint_tests::program::run;

const NODES: u32 = 60_000;

/// `big.wp`: a graph on which exact answers take some tens of milliseconds, without an index.
fn place() -> &'static Path {
    static PLACE: OnceLock<TempDir> = OnceLock::new();
    let place = PLACE.get_or_init(|| {
        let place = tempfile::tempdir().expect("a temporary directory");
        let edges = sprawling(5, NODES, 8, true).edges;
        let text: String =
            edges.iter().map(|(source, target, weight)| format!("{source}\t{target}\t{weight}\n")).collect();
        std::fs::write(place.path().join("edges.tsv"), text).expect("room");
        let _ = run(place.path(), &["load", "edges.tsv", "--into", "big.wp"]).done();
        place
    });
    place.path()
}

/// Asks what would take seconds to minutes; it must be given up, and the only thread must be free soon for others.
fn given_up(server: &HttpServer, path: &str, body: &Value) {
    let problem = server.post(path, &body.to_string()).problem();
    assert_eq!(problem.status, 504, "{problem:?}");
    let began = Instant::now();
    // The first question to a graph turns it round once, whether it is given up or not.
    while server.get("/v1/stores/big/neighbors/1?limit=1").status != 200 {
        assert!(began.elapsed() < Duration::from_secs(30), "{path}: work goes on that nobody waits for");
    }
}

#[test]
fn what_takes_too_long_is_given_up_wherever_its_time_goes() {
    let server = HttpServer::start(place(), &["big.wp", "--timeout", "0.3", "--threads", "1"]);
    // Walks that hardly ever end, to and fro on a ring that was sent along.
    let mut draws = Draws::new(1);
    let mut ring: Vec<(u64, u32)> = (0..30_000).map(|node| (draws.bits(), node)).collect();
    ring.sort_unstable();
    let edges = ring.iter().zip(ring.iter().cycle().skip(1)).map(|(from, to)| json!([from.1, to.1]));
    let mut edges: Vec<(u64, Value)> = edges.map(|edge| (draws.bits(), edge)).collect();
    edges.sort_unstable_by_key(|(place, _)| *place);
    let edges: Vec<Value> = edges.into_iter().map(|(_, edge)| edge).collect();
    given_up(&server, "/v1/local", &json!({ "edges": edges, "undirected": true, "seeds": [1], "restart_prob": 1e-6 }));
    // Contributions of many seeds, an answer each.
    let seeds: Vec<u32> = (0..1_000).collect(); // all of which have edges
    let explain = json!({ "paths": 100, "seeds": 1_000 });
    let question = json!({ "seeds": seeds, "method": "exact", "top": 100, "explain": explain });
    given_up(&server, "/v1/stores/big/query", &question);
    // The questions of a batch share its time; what comes too late is told one by one.
    let queries: Vec<Value> = (0..50).map(|_| json!({ "seeds": [seeds[0]], "restart_prob": 1e-5 })).collect();
    let answers = server.post("/v1/stores/big/query/batch", &json!({ "queries": queries }).to_string());
    assert_eq!(answers.status, 200, "{answers:?}");
    let answers = answers.json();
    let answers = answers["answers"].as_array().expect("answers");
    let late = answers.iter().filter(|answer| answer["problem"]["status"] == 504).count();
    assert!(answers.len() == 50 && 0 < late, "{late} of {} were late", answers.len());
}

/// Who asks for much and reads nothing keeps a connection, and what was written for it. There is only one connection here, and it must become
/// free again.
#[test]
fn who_does_not_take_her_answer_is_hung_up_on() {
    let server = HttpServer::start(place(), &["big.wp", "--timeout", "1", "--connections", "1"]);
    let mut stalled = server.connect();
    let asset = "GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nhost: localhost\r\n\r\n";
    // More than all buffers between the two hold.
    stalled.write_all(asset.repeat(64).as_bytes()).expect("a connection");
    let mut first = [0; 1];
    stalled.read_exact(&mut first).expect("the first of the answer");
    let began = Instant::now();
    while server.client().version().is_err() {
        assert!(began.elapsed() < Duration::from_secs(60), "nobody hangs up");
        std::thread::yield_now();
    }
    drop(stalled);
}

#[test]
fn a_million_seeds_and_enormous_numbers_are_refused_soon() {
    let server = HttpServer::start(place(), &["big.wp"]);
    let path = "/v1/stores/big/query";
    let seeds = |count: usize| -> String {
        let ids: Vec<String> = (0..count).map(|seed| (seed % 1000).to_string()).collect();
        ids.join(",")
    };
    let began = Instant::now();
    let many = server.post(path, &format!("{{\"seeds\":[{}]}}", seeds(1_000_000))).problem();
    assert_eq!((many.status, many.field.as_deref()), (422, Some("seeds")), "{many:?}");
    assert!(many.detail.contains("1000000 seeds") && many.detail.contains("100000"), "{many:?}");
    let words: Vec<String> = (0..1_000_000).map(|seed| format!("\"id:{}\"", seed % 1000)).collect();
    let many = server.post(path, &format!("{{\"seeds\":[1],\"only\":[{}]}}", words.join(","))).problem();
    assert_eq!((many.status, many.field.as_deref()), (422, Some("only")), "{many:?}");
    for top in ["100001", "4294967296", "18446744073709551615"] {
        let problem = server.post(path, &format!("{{\"seeds\":[1],\"top\":{top}}}")).problem();
        assert_eq!((problem.status, problem.field.as_deref()), (422, Some("top")), "{problem:?}");
    }
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    // As much as may be asked is answered.
    let all = server.post(path, &format!("{{\"seeds\":[{}],\"top\":100000}}", seeds(100_000)));
    assert_eq!(all.status, 200, "{}", all.head);
    let results = all.json()["results"].as_array().expect("results").len();
    assert!((1_000..=NODES as usize).contains(&results), "{results}");
    assert_eq!(all.json()["truncated"], true, "fewer nodes have a score than were asked for");
}

/// Whoever goes away in the middle of an answer that is sent line by line ends the work for it, and nobody else's.
#[test]
fn who_goes_away_in_the_middle_of_an_answer_ends_its_work() {
    let server = HttpServer::start(place(), &["big.wp", "--threads", "1"]);
    let queries: Vec<Value> = (0..2_000).map(|seed| json!({ "seeds": [seed], "method": "exact" })).collect();
    let batch = String::from_utf8(posted(
        "localhost",
        "/v1/stores/big/query/batch",
        &json!({ "queries": queries }).to_string(),
    ));
    let batch = batch.expect("text").replacen("host:", "accept: application/x-ndjson\r\nhost:", 1);
    for _ in 0..3 {
        let mut gone = server.connect();
        gone.write_all(batch.as_bytes()).expect("a connection");
        let mut some = [0; 512];
        gone.read_exact(&mut some).expect("the first lines");
        assert!(some.starts_with(b"HTTP/1.1 200"));
        drop(gone);
    }
    // Two thousand answers would take minutes.
    let began = Instant::now();
    let client = server.client();
    while client.health().is_ok_and(|health| health.under_way != 1 || health.long_waiting != 0) {
        assert!(began.elapsed() < Duration::from_secs(30), "work goes on that nobody waits for");
        std::thread::yield_now();
    }
    let answer = server.raw(&posted("localhost", "/v1/stores/big/query", r#"{"seeds": [1], "method": "exact"}"#));
    assert_eq!(answer.status, 200);
}

/// Heads that come a byte at a time are given up as well; others are answered meanwhile.
#[test]
fn slow_heads_keep_nobody_waiting() {
    let server = HttpServer::start(place(), &["big.wp"]);
    let mut slow: Vec<_> = (0..50).map(|_| server.connect()).collect();
    for byte in b"GET /livez HTTP/1.1\r\nx: " {
        for stream in &mut slow {
            stream.write_all(&[*byte]).expect("a connection");
        }
        assert_eq!(server.get("/livez").status, 200);
    }
    // They are served as soon as they are whole.
    for mut stream in slow {
        stream.write_all(b"y\r\nhost: localhost\r\nconnection: close\r\n\r\n").expect("a connection");
        assert_eq!(response(&mut BufReader::new(stream)).expect("a response").status, 200);
    }
}
