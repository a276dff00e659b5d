//! Keeps: **the server moves on to a new generation between requests, and nobody sees an error; every answer is of one generation;
//! a broken generation is refused, and the old one goes on** (issue 5, "Generations" and show 3; the bench does the same for a minute).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use walkprint_cluster::server::{QueryRequest, ResultBody};
use walkprint_tests::damage::flipped;
use walkprint_tests::graphs::sprawling;
use walkprint_tests::http_server::{HttpServer, refused};
use walkprint_tests::program::{results, run};

/// Whom the clients ask about, in turn.
const SEEDS: [&str; 4] = ["3", "50", "777", "1200"];

fn load(place: &Path, key: u64) {
    let edges = sprawling(key, 2_000, 6, true).edges;
    let text: String = edges.iter().map(|(source, target, weight)| format!("{source}\t{target}\t{weight}\n")).collect();
    std::fs::write(place.join("edges.tsv"), text).expect("room");
    let _ = run(place, &["load", "edges.tsv", "--into", "s.wp", "--replace"]).done();
}

/// What the program answers from the store as it is now.
fn expected(place: &Path) -> Vec<Vec<ResultBody>> {
    let answer = |seed: &&str| results(place, &["s.wp", "--seed", seed, "--method", "auto", "--top", "8"]);
    SEEDS.iter().map(|seed| serde_json::from_value(answer(seed)).expect("results")).collect()
}

#[test]
fn new_generations_take_over_and_broken_ones_do_not() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let place = place.path();
    load(place, 1);
    let _ = run(place, &["index", "s.wp", "--rng-key", "1"]).done();
    let server = HttpServer::start(place, &["s.wp", "--follow", "3600"]);
    let first = server.client().store("s").expect("a store").generation;
    let by_generation = Mutex::new(BTreeMap::from([(first, expected(place))]));
    let (done, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    let ask = |number: usize| {
        let client = server.client();
        let mut last = 0;
        while !done.load(Ordering::Relaxed) {
            let at = asked.fetch_add(1, Ordering::Relaxed) + number;
            let request = QueryRequest { top: Some(8), ..QueryRequest::new([SEEDS[at % SEEDS.len()].into()]) };
            let answer = client.query("s", &request).expect("no request fails");
            let generation = answer.store.expect("a store").generation;
            let known = by_generation.lock().unwrap_or_else(PoisonError::into_inner);
            let expected = &known.get(&generation).expect("a generation that was published whole")[at % SEEDS.len()];
            assert_eq!(&answer.results, expected, "generation {generation}");
            assert!(last <= generation, "no way back");
            last = generation;
        }
    };
    std::thread::scope(|scope| {
        // A panic here must end the clients.
        let clients: Vec<_> = (0..3).map(|number| scope.spawn(move || ask(number))).collect();
        let finish = Finish(&done);
        for round in 2..=6 {
            // Other walks, and once another graph, which has no index at first.
            if round == 4 {
                load(place, 2);
            }
            let key = round.to_string();
            let _ = run(place, &["index", "s.wp", "--rng-key", &key, "--replace"]).done();
            let generation =
                walkprint_engine::store::Store::open(&place.join("s.wp")).expect("a store").manifest().generation;
            let new = expected(place);
            by_generation.lock().unwrap_or_else(PoisonError::into_inner).insert(generation, new);
            assert_eq!(server.client().refresh("s").expect("a store").generation, generation);
            let seen = asked.load(Ordering::Relaxed);
            while asked.load(Ordering::Relaxed) < seen + 50 && clients.iter().all(|client| !client.is_finished()) {
                std::thread::yield_now();
            }
        }
        let whole = server.client().store("s").expect("a store").generation;
        // A segment with a bit that was flipped before anybody looked.
        let _ = run(place, &["index", "s.wp", "--rng-key", "99", "--replace"]).done();
        let directory = std::fs::read_dir(place.join("s.wp")).expect("a store");
        let index = directory.flatten().map(|entry| entry.path()).find(|path| path.is_dir()).expect("an index");
        let segment = std::fs::read_dir(index).expect("an index").flatten().map(|entry| entry.path());
        let segment =
            segment.into_iter().find(|path| path.extension().is_some_and(|kind| kind == "wps")).expect("a segment");
        let bytes = std::fs::read(&segment).expect("a segment");
        std::fs::remove_file(&segment).expect("its own file"); // who has mapped it keeps it
        std::fs::write(&segment, flipped(&bytes, bytes.len() * 4)).expect("room");
        let told = server.client().refresh("s").expect("a store");
        assert_eq!(told.generation, whole, "the old one goes on");
        assert!(told.refused.and_then(|refused| refused.why).expect("why").contains("damaged"));
        let ready = server.client().ready().expect("it is ready all the same");
        assert!(ready.stores[0].refused.is_some() && ready.stores[0].generation == whole, "{ready:?}");
        assert!(server.said().contains("refused a new generation"), "{}", server.said());
        // A manifest that is none.
        std::fs::write(place.join("s.wp/manifest.wpm"), "nonsense").expect("room");
        assert!(server.client().refresh("s").expect("a store").refused.is_some());
        drop(finish);
        for client in clients {
            client.join().expect("no client fails");
        }
    });
    assert!(500 < asked.into_inner());
    // What is put right takes over.
    std::fs::remove_file(place.join("s.wp/manifest.wpm")).expect("its own file");
    load(place, 3);
    let told = server.client().refresh("s").expect("a store");
    assert!(told.refused.is_none() && told.indexes.is_empty(), "{told:?}");
    assert_eq!(server.client().query("s", &QueryRequest::new(["3".into()])).expect("an answer").status_kind(), "exact");
}

/// How sure an answer is, in a word.
trait StatusKind {
    fn status_kind(&self) -> &'static str;
}

impl StatusKind for walkprint_cluster::server::AnswerBody {
    fn status_kind(&self) -> &'static str {
        match self.status {
            walkprint_cluster::server::StatusBody::Exact { .. } => "exact",
            walkprint_cluster::server::StatusBody::Estimated { .. } => "estimated",
        }
    }
}

struct Finish<'a>(&'a AtomicBool);

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn the_server_looks_by_itself() {
    let place = tempfile::tempdir().expect("a temporary directory");
    load(place.path(), 1);
    let server = HttpServer::start(place.path(), &["s.wp", "--follow", "0.01"]);
    let _ = run(place.path(), &["index", "s.wp"]).done();
    let client = server.client();
    while client.store("s").expect("a store").indexes.is_empty() {
        std::thread::yield_now();
    }
}

/// Many small stores in one directory, two of which may be open.
#[test]
fn stores_of_a_directory_are_opened_on_demand() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let place = place.path();
    std::fs::create_dir(place.join("tenants")).expect("a directory");
    for tenant in 0..5 {
        std::fs::write(place.join("edges.tsv"), format!("a\tb{tenant}\nb{tenant}\ta\n")).expect("room");
        let _ = run(place, &["load", "edges.tsv", "--into", &format!("tenants/t{tenant}.wp")]).done();
    }
    let server = HttpServer::start(place, &["tenants", "--open-stores", "2", "--follow", "0.01"]);
    let client = server.client();
    assert_eq!(client.health().expect("health").open_stores, 0);
    std::thread::scope(|scope| {
        for start in 0..3 {
            let client = &client;
            scope.spawn(move || {
                for round in 0..40 {
                    let tenant = (start * 2 + round) % 5;
                    let answer =
                        client.query(&format!("t{tenant}"), &QueryRequest::new(["a".into()])).expect("an answer");
                    assert_eq!(answer.results[1].id, format!("b{tenant}"), "one's own store");
                }
            });
        }
    });
    assert_eq!(client.health().expect("health").open_stores, 2);
    // What was closed is not told of any more.
    for tenant in 0..5 {
        assert!(client.query(&format!("t{tenant}"), &QueryRequest::new(["a".into()])).is_ok());
        let numbers = client.metrics().expect("numbers");
        let told = numbers.lines().filter(|line| line.starts_with("walkprint_store_generation{")).count();
        assert!((1..=2).contains(&told), "{numbers}");
        assert!(numbers.contains(&format!("walkprint_store_generation{{store=\"t{tenant}\"}}")), "{numbers}");
    }
    let list = client.stores(Some("t0")).expect("stores");
    assert_eq!(list.stores.iter().map(|store| store.name.as_str()).collect::<Vec<_>>(), ["t1", "t2", "t3", "t4"]);
    // A tenant that comes, and one that goes.
    std::fs::rename(place.join("tenants/t4.wp"), place.join("tenants/new.wp")).expect("its own directory");
    assert_eq!(client.query("new", &QueryRequest::new(["a".into()])).expect("an answer").results[1].id, "b4");
    std::fs::remove_dir_all(place.join("tenants/new.wp")).expect("its own directory");
    while client.query("new", &QueryRequest::new(["a".into()])).is_ok() {
        std::thread::yield_now();
    }
    assert_eq!(refused(client.query("new", &QueryRequest::new(["a".into()]))).status, 404);
}
