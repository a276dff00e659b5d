//! Keeps: **told to stop, the server answers what is under way and ends with exit code 0 within its deadline; killed, it leaves the
//! store as it was** (issue 5, show 6); and what takes too long or comes too much is refused without harm to others ("Limits and
//! fairness").

use std::io::{BufReader, Write};
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use walkprint_cluster::client::ClientError;
use walkprint_cluster::server::{BatchItem, BatchRequest, QueryRequest};
use walkprint_engine::query::Method;
use walkprint_tests::graphs::sprawling;
use walkprint_tests::http_server::{HttpServer, posted, refused, response};
use walkprint_tests::program::run;
use walkprint_tests::stores::files;

/// A graph on which exact answers take some tens of milliseconds, as a store without an index.
fn place() -> &'static Path {
    static PLACE: OnceLock<TempDir> = OnceLock::new();
    let place = PLACE.get_or_init(|| {
        let place = tempfile::tempdir().expect("a temporary directory");
        let edges = sprawling(5, 60_000, 8, true).edges;
        let text: String =
            edges.iter().map(|(source, target, weight)| format!("{source}\t{target}\t{weight}\n")).collect();
        std::fs::write(place.path().join("edges.tsv"), text).expect("room");
        let _ = run(place.path(), &["load", "edges.tsv", "--into", "big.wp"]).done();
        place
    });
    place.path()
}

fn costly(seed: usize) -> QueryRequest {
    let seed = (seed % 1000).to_string();
    QueryRequest { method: Some(Method::Exact), ..QueryRequest::new([seed.as_str().into()]) }
}

#[test]
fn requests_under_way_are_answered_and_the_server_ends() {
    let before = files(&place().join("big.wp"));
    let server = HttpServer::start(place(), &["big.wp", "--stop-within", "60"]);
    let (asked, told) = (AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..6)
            .map(|number| {
                let (server, asked, told) = (&server, &asked, &told);
                scope.spawn(move || {
                    // One connection, so that it is known which request was sent before the end.
                    let stream = server.connect();
                    let mut reader = BufReader::new(stream.try_clone().expect("a socket"));
                    let mut stream = stream;
                    let mut answered = 0;
                    loop {
                        let body = serde_json::to_string(&costly(number + answered)).expect("JSON");
                        let request =
                            String::from_utf8(posted("localhost", "/v1/stores/big/query", &body)).expect("text");
                        let was_told = told.load(Ordering::SeqCst);
                        if stream.write_all(request.replace("connection: close\r\n", "").as_bytes()).is_err() {
                            return answered;
                        }
                        match response(&mut reader) {
                            Ok(answer) => {
                                assert_eq!(answer.status, 200, "{answer:?}");
                                let _ = answer.json();
                                answered += 1;
                                asked.fetch_add(1, Ordering::Relaxed);
                            }
                            // Closed before a byte of an answer, and only at the end.
                            Err(what) => {
                                assert!(told.load(Ordering::SeqCst) && !what.contains("of"), "{what} {was_told}");
                                return answered;
                            }
                        }
                    }
                })
            })
            .collect();
        while asked.load(Ordering::Relaxed) < 20 && clients.iter().all(|client| !client.is_finished()) {
            std::thread::yield_now();
        }
        told.store(true, Ordering::SeqCst);
        server.signal("TERM");
        for client in clients {
            assert!(0 < client.join().expect("no client fails"));
        }
    });
    let began = Instant::now();
    let ended = server.ended();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""), "{ended:?}");
    assert!(ended.stderr.ends_with("walkprint: stopped\n") && began.elapsed() < Duration::from_secs(60), "{ended:?}");
    assert!(files(&place().join("big.wp")) == before);
}

#[test]
fn killed_it_leaves_the_store_as_it_was() {
    let before = files(&place().join("big.wp"));
    for _ in 0..3 {
        let server = HttpServer::start(place(), &["big.wp"]);
        std::thread::scope(|scope| {
            for number in 0..3 {
                let client = server.client();
                scope.spawn(move || while client.query("big", &costly(number)).is_ok() {});
            }
            let health = server.client();
            while health.health().is_ok_and(|health| health.under_way < 3) {
                std::thread::yield_now();
            }
            server.signal("KILL");
        });
        assert_eq!(server.ended().code, None);
        assert!(files(&place().join("big.wp")) == before);
    }
    let _ = run(place(), &["verify", "big.wp"]).done();
}

/// The deadline passes while a request is under way: it is cut off, said so, and the program ends all the same.
#[test]
fn the_deadline_is_kept() {
    let server = HttpServer::start(place(), &["big.wp", "--stop-within", "0.05", "--threads", "1"]);
    let mut half = server.connect();
    let request = posted("localhost", "/v1/stores/big/query", "{}");
    half.write_all(&request[..request.len() - 1]).expect("a connection");
    while server.client().health().expect("health").under_way < 2 {
        std::thread::yield_now();
    }
    server.signal("TERM");
    let ended = server.ended();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("were cut off"), "{ended:?}");
}

#[test]
fn what_takes_too_long_is_given_up_for_real() {
    let server = HttpServer::start(place(), &["big.wp", "--timeout", "0.002", "--threads", "1"]);
    let client = server.client();
    let began = Instant::now();
    for seed in 0..20 {
        // Many seeds, so that some have edges.
        let seeds = (0..100).map(|at| (seed * 100 + at).to_string().as_str().into()).collect();
        let problem = refused(client.query("big", &QueryRequest { residual: Some(1e-15), seeds, ..costly(seed) }));
        assert_eq!(problem.status, 504, "{problem:?}");
    }
    // None of them goes on behind the scenes: the queue is empty, and twenty took no longer than a few of them would have.
    while client.health().is_ok_and(|health| (health.short_waiting, health.long_waiting) != (0, 0)) {
        assert!(began.elapsed() < Duration::from_secs(10), "work goes on that nobody waits for");
    }
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    let answer = server.post("/v1/local", r#"{"edges": [["a", "b"]], "seeds": ["a"]}"#);
    assert!(matches!(answer.status, 200 | 504), "{answer:?}");
}

#[test]
fn who_comes_too_many_is_told_when_to_come_back() {
    let server = HttpServer::start(place(), &["big.wp", "--queue", "2", "--threads", "1"]);
    let (answered, busy) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for number in 0..12 {
            let (server, answered, busy) = (&server, &answered, &busy);
            scope.spawn(move || {
                for round in 0..5 {
                    let body = serde_json::to_string(&costly(number * 10 + round)).expect("JSON");
                    let answer = server.post("/v1/stores/big/query", &body);
                    match answer.status {
                        200 => answered.fetch_add(1, Ordering::Relaxed),
                        _ => {
                            assert_eq!(answer.problem().status, 503);
                            let seconds: u64 = answer.header("retry-after").expect("when").parse().expect("seconds");
                            assert!((1..=60).contains(&seconds));
                            busy.fetch_add(1, Ordering::Relaxed)
                        }
                    };
                }
            });
        }
    });
    let (answered, busy) = (answered.into_inner(), busy.into_inner());
    assert!(0 < answered && 0 < busy, "{answered} {busy}");
    assert!(server.client().metrics().expect("numbers").contains("walkprint_rejected_total{cause=\"busy\"}"));
}

/// Batches keep every thread but one busy; short questions are answered meanwhile, and the batch comes to its end.
#[test]
fn a_batch_starves_nobody() {
    let server = HttpServer::start(place(), &["big.wp", "--threads", "2"]);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let batches: Vec<_> = (0..3)
            .map(|number| {
                let client = server.client();
                let queries = (0..20).map(|query| costly(number * 100 + query)).collect();
                scope.spawn(move || client.batch("big", &BatchRequest { queries }))
            })
            .collect();
        let client = server.client();
        while client.health().expect("health").long_waiting == 0 && batches.iter().all(|batch| !batch.is_finished()) {
            std::thread::yield_now();
        }
        let mut while_busy = 0;
        while while_busy < 20 && batches.iter().any(|batch| !batch.is_finished()) {
            let neighbors = client.neighbors("big", "1", 5).expect("an answer");
            assert!(!neighbors.neighbors.is_empty());
            while_busy += 1;
        }
        assert!(5 <= while_busy, "{while_busy} short questions");
        for batch in batches {
            let items = batch.join().expect("no client fails").expect("a batch");
            assert!(items.len() == 20 && items.iter().all(|item| matches!(item, BatchItem::Answer(_))));
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(done.into_inner());
}

#[test]
fn too_many_connections_are_hung_up_on() {
    let server = HttpServer::start(place(), &["big.wp", "--connections", "3"]);
    let kept: Vec<_> = (0..3)
        .map(|_| {
            let stream = server.connect();
            let mut reader = BufReader::new(stream.try_clone().expect("a socket"));
            let mut writer = stream.try_clone().expect("a socket");
            writer.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").expect("a connection");
            assert_eq!(response(&mut reader).expect("a response").status, 200);
            stream
        })
        .collect();
    let refused = server.client().version();
    assert!(matches!(refused, Err(ClientError::Transport { .. })), "{refused:?}");
    drop(kept);
    // Places become free again.
    while server.client().version().is_err() {
        std::thread::yield_now();
    }
}
