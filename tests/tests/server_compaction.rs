//! Keeps: **a server absorbs events in the background while it answers and takes more: no request fails, every answer is of exactly the
//! events that it says, the store ends with the bytes that the program makes of the same events, and a kill at any moment loses
//! nothing that was acknowledged** (issue 7, "Repair", "Limits" and show 4).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tempfile::TempDir;
use walkprint_cluster::client::ClientError;
use walkprint_cluster::server::{LiveBody, QueryRequest, UpdateRequest};
use walkprint_engine::events::{Event, Operation};
use walkprint_engine::query::Method;
use walkprint_engine::store::Store;
use walkprint_tests::draws::Draws;
use walkprint_tests::graphs::sprawling;
use walkprint_tests::http_server::HttpServer;
use walkprint_tests::program::run;
use walkprint_tests::stores::files;

const NODES: u32 = 2_000;

/// `s.wp`, with an index.
fn place() -> TempDir {
    let place = tempfile::tempdir().expect("a temporary directory");
    let edges = sprawling(3, NODES, 6, true).edges;
    let text: String = edges.iter().map(|(source, target, weight)| format!("{source}\t{target}\t{weight}\n")).collect();
    std::fs::write(place.path().join("edges.tsv"), text).expect("room");
    let _ = run(place.path(), &["load", "edges.tsv", "--into", "s.wp"]).done();
    let _ = run(place.path(), &["index", "s.wp", "--walks", "50"]).done();
    place
}

/// The event of a number: an edge from a node of its own, some of which are new.
fn event(number: u64) -> Event {
    let mut draws = Draws::new(number);
    let (source, target) = (draws.below(NODES + 50), draws.below(NODES));
    Event::edge(Operation::Add, source.to_string(), target.to_string()).weighing(1.5).named(number.to_string())
}

fn live(server: &HttpServer) -> LiveBody {
    server.client().store("s").expect("a store").live.expect("events")
}

/// The files that make the graph and indexes of a store, whatever their generations are called.
fn made(store: &Path) -> BTreeMap<String, Vec<u8>> {
    let manifest = Store::open(store).expect("a store").manifest().clone();
    let all = files(store);
    let mut made = BTreeMap::new();
    for (kind, name) in [("graph", &manifest.graph.file), ("labels", &manifest.graph.labels_file)] {
        made.insert(kind.to_owned(), all[name].clone());
    }
    for index in &manifest.indexes {
        let prefix = format!("{}/", index.directory);
        for (name, bytes) in all.iter().filter(|(name, _)| name.starts_with(&prefix) && name.ends_with(".wps")) {
            made.insert(name.replace(&prefix, &format!("{}/", index.name)), bytes.clone());
        }
    }
    assert!(3 <= made.len(), "{:?}", made.keys());
    made
}

/// What the program makes of the first events, in this order.
fn by_the_program(place: &Path, events: &[Event]) -> BTreeMap<String, Vec<u8>> {
    let lines: String = events.iter().map(|event| serde_json::to_string(event).expect("an event") + "\n").collect();
    std::fs::write(place.join("events.jsonl"), lines).expect("room");
    let _ = run(place, &["update", "s.wp", "--edges", "events.jsonl"]).done();
    let _ = run(place, &["compact", "s.wp"]).done();
    made(&place.join("s.wp"))
}

#[test]
fn events_are_absorbed_while_others_come_and_every_answer_is_of_the_events_that_it_says() {
    let place = place();
    let server = HttpServer::start(place.path(), &["s.wp", "--compact-after", "150", "--follow", "0.05"]);
    let (done, next) = (AtomicBool::new(false), AtomicU64::new(0));
    // In which order they were taken, by their sequence numbers.
    let order = Mutex::new(BTreeMap::<u64, Event>::new());
    // What was answered about a seed: the generation, the events, and the scores.
    let answered = Mutex::new(Vec::new());
    const EVENTS: u64 = 900;
    let send = || {
        let client = server.client();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if EVENTS <= number {
                break;
            }
            let event = event(number);
            let taken = client.update("s", &UpdateRequest::new([event.clone()])).expect("no batch fails");
            assert_eq!(taken.taken, 1);
            assert!(order.lock().expect("no panic").insert(taken.sequence, event).is_none(), "each has its own number");
            // Read one's own writes.
            let answer = client.query("s", &QueryRequest::new(["7".into()])).expect("an answer");
            let store = answer.store.expect("a store");
            assert!(Some(taken.sequence) <= store.sequence, "{store:?} after {taken:?}");
        }
    };
    let ask = || {
        let client = server.client();
        let mut last = (0, 0);
        while !done.load(Ordering::Relaxed) {
            let request = QueryRequest {
                method: Some(Method::Exact),
                top: Some(5),
                ..QueryRequest::new(["7".into(), "11".into()])
            };
            let answer = client.query("s", &request).expect("no request fails");
            let store = answer.store.expect("a store");
            let seen = (store.sequence.unwrap_or(0), store.generation);
            assert!(last.0 <= seen.0 && last.1 <= seen.1, "no way back: {last:?}, then {seen:?}");
            last = seen;
            let scores: Vec<(String, u64)> =
                answer.results.iter().map(|result| (result.id.clone(), result.score.to_bits())).collect();
            answered.lock().expect("no panic").push((store.sequence, store.generation, scores));
        }
    };
    std::thread::scope(|scope| {
        let finish = Finish(&done);
        let askers: Vec<_> = (0..2).map(|_| scope.spawn(ask)).collect();
        let senders: Vec<_> = (0..4).map(|_| scope.spawn(send)).collect();
        senders.into_iter().for_each(|sender| sender.join().expect("no sender fails"));
        drop(finish);
        askers.into_iter().for_each(|asker| asker.join().expect("no asker fails"));
    });
    let order: Vec<Event> = order.into_inner().expect("no panic").into_values().collect();
    assert_eq!(order.len() as u64, EVENTS);
    // Equal events, equal answers, to the last bit, whichever thread asked, within a generation.
    let mut by_events = BTreeMap::new();
    for (sequence, generation, scores) in answered.into_inner().expect("no panic") {
        let first = by_events.entry((sequence, generation)).or_insert_with(|| scores.clone());
        assert_eq!(*first, scores, "after {sequence:?} events in generation {generation}");
    }
    assert!(50 < by_events.len(), "{}", by_events.len());
    // The rest is absorbed, too.
    let _ = server.client().compact("s").expect("it is begun");
    let told = loop {
        let told = live(&server);
        if !told.compacting && told.waiting != 0 {
            let _ = server.client().compact("s").expect("it is begun");
        } else if !told.compacting {
            break told;
        }
    };
    assert!(2 <= told.compactions && told.failed.is_none() && told.sequence == EVENTS, "{told:?}");
    let numbers = server.client().metrics().expect("numbers");
    assert!(numbers.contains(&format!("walkprint_events_total{{outcome=\"taken\"}} {EVENTS}")), "{numbers}");
    assert!(numbers.contains("walkprint_compactions_total{outcome=\"done\"}"), "{numbers}");
    drop(server);
    let _ = run(place.path(), &["verify", "s.wp"]).done();
    let other = self::place();
    assert!(made(&place.path().join("s.wp")) == by_the_program(other.path(), &order), "the program's bytes");
}

struct Finish<'a>(&'a AtomicBool);

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// One sender, so that the order is known; killed again and again while it sends, absorbs, and answers.
#[test]
fn a_kill_at_any_moment_loses_nothing_that_was_acknowledged() {
    let place = place();
    let mut draws = Draws::new(5);
    let (mut acknowledged, mut sent) = (0, 0);
    for round in 0..8 {
        let server = HttpServer::start(place.path(), &["s.wp", "--compact-after", "40", "--follow", "0.02"]);
        if 0 < sent {
            let store = server.client().query("s", &QueryRequest::new(["7".into()])).expect("an answer").store;
            let counted = store.and_then(|store| store.sequence).expect("events");
            assert!((acknowledged..=sent).contains(&counted), "round {round}: {counted}, acknowledged {acknowledged}");
        }
        let client = server.client();
        let until = 10 + u64::from(draws.below(60));
        let killed = AtomicBool::new(false);
        let first = acknowledged;
        acknowledged = std::thread::scope(|scope| {
            let sender = scope.spawn(|| {
                let mut number = first;
                loop {
                    // What was sent before the kill is sent again, and counts once.
                    match client.update("s", &UpdateRequest::new([event(number)])) {
                        Ok(_) => number += 1,
                        Err(ClientError::Transport { .. }) if killed.load(Ordering::Relaxed) => return number,
                        Err(error) => panic!("{error}"),
                    }
                }
            });
            while live_of(&server).is_none_or(|live| live.sequence < first + until) {
                assert!(!sender.is_finished(), "the sender failed");
            }
            killed.store(true, Ordering::Relaxed);
            server.signal("KILL");
            sender.join().expect("the sender")
        });
        sent = acknowledged + 1;
        drop(server);
    }
    let server = HttpServer::start(place.path(), &["s.wp", "--compact-after", "0"]);
    let again = UpdateRequest::new((0..acknowledged).map(event));
    let told = server.client().update("s", &again).expect("they are known");
    assert_eq!((told.taken, told.repeated), (0, acknowledged));
    let all = told.sequence;
    assert!(all == acknowledged || all == sent);
    // A graceful end in the middle of a compaction loses nothing either.
    let _ = server.client().compact("s").expect("it is begun");
    server.signal("TERM");
    assert_eq!(server.ended().code, Some(0));
    let _ = run(place.path(), &["compact", "s.wp"]).done();
    let _ = run(place.path(), &["verify", "s.wp"]).done();
    let other = self::place();
    let events: Vec<Event> = (0..all).map(event).collect();
    assert!(made(&place.path().join("s.wp")) == by_the_program(other.path(), &events), "the undisturbed bytes");
}

fn live_of(server: &HttpServer) -> Option<LiveBody> {
    server.client().store("s").expect("a store").live
}
