//! Keeps: **events that a server has acknowledged count in every answer from then on**, as if `walkprint query` answered from the same
//! store and log; what cannot be is refused where it stands, and nothing of it is taken; and whoever sends more than there is
//! room for is told when to come back (issue 7, "Events", "Answers at once", "Limits").

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use walkprint_cluster::live::{LogOptions, Missing, Taker};
use walkprint_cluster::server::{QueryRequest, UpdateRequest};
use walkprint_engine::events::{Event, Operation};
use walkprint_tests::draws::Draws;
use walkprint_tests::http_server::{HttpServer, Response, refused};
use walkprint_tests::program::{self, results, run};

type Edges = BTreeMap<(u32, u32), f64>;

fn csv(edges: &Edges) -> String {
    let lines = edges.iter().map(|((source, target), weight)| format!("n{source},n{target},{weight}\n"));
    format!("source,target,weight\n{}", lines.collect::<String>())
}

/// `s.wp`, a random graph with an index; its edges.
fn place() -> (TempDir, Edges) {
    let place = tempfile::tempdir().expect("a temporary directory");
    let (mut draws, mut edges) = (Draws::new(7), Edges::new());
    for _ in 0..1_500 {
        edges.insert((draws.below(300), draws.below(300)), 1.0 + f64::from(draws.below(8)) / 4.0);
    }
    std::fs::write(place.path().join("before.csv"), csv(&edges)).expect("room");
    let _ = run(place.path(), &["load", "before.csv", "--into", "s.wp"]).done();
    let _ = run(place.path(), &["index", "s.wp", "--walks", "200"]).done();
    (place, edges)
}

/// A batch of events that can be, some of new nodes; `edges` are what comes of them.
fn batch(draws: &mut Draws, edges: &mut Edges, count: usize) -> Vec<Event> {
    let draw = |draws: &mut Draws| (draws.below(310), draws.below(310));
    let event = |_| {
        let pair = draw(draws);
        let weight = 1.0 + f64::from(draws.below(8)) / 4.0;
        let (source, target) = (format!("n{}", pair.0), format!("n{}", pair.1));
        match draws.below(4) {
            0 => {
                edges.insert(pair, weight);
                Event::edge(Operation::Set, source, target).weighing(weight)
            }
            1 => match edges.keys().nth(draws.below(100) as usize).copied() {
                Some(pair) => {
                    edges.remove(&pair);
                    Event::edge(Operation::Remove, format!("n{}", pair.0), format!("n{}", pair.1))
                }
                None => Event::node(Operation::Add, source),
            },
            _ => {
                *edges.entry(pair).or_default() += weight;
                Event::edge(Operation::Add, source, target).weighing(weight)
            }
        }
    };
    (0..count).map(event).collect()
}

fn ask(server: &HttpServer, seed: &str, method: &str) -> Value {
    let body = json!({ "seeds": [seed], "method": method, "top": 40 });
    let answer = server.post("/v1/stores/s/query", &body.to_string());
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// Scores by id.
fn scores(results: &Value) -> BTreeMap<String, f64> {
    let pair = |result: &Value| {
        (result["id"].as_str().unwrap_or_default().to_owned(), result["score"].as_f64().unwrap_or(0.0))
    };
    results.as_array().expect("results").iter().map(pair).collect()
}

fn distance(one: &BTreeMap<String, f64>, other: &BTreeMap<String, f64>) -> f64 {
    let of = |scores: &BTreeMap<String, f64>, id: &String| scores.get(id).copied().unwrap_or_default();
    let ids: std::collections::BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    ids.into_iter().map(|id| (of(one, id) - of(other, id)).abs()).sum()
}

#[test]
fn what_was_taken_counts_from_the_next_request_on_as_the_program_counts_it() {
    let (place, mut edges) = place();
    let place = place.path();
    let server = HttpServer::start(place, &["s.wp"]);
    let client = server.client();
    let before = ask(&server, "n5", "combine");
    assert!(before["store"].get("events").is_none(), "{before}");
    let mut draws = Draws::new(11);
    let mut sent = 0;
    for (round, count) in [1usize, 1, 7, 60].into_iter().enumerate() {
        let events = batch(&mut draws, &mut edges, count);
        let taken = client.update("s", &UpdateRequest::new(events)).expect("they are taken");
        sent += count as u64;
        assert_eq!((taken.taken, taken.sequence, taken.waiting), (count as u64, sent, sent), "round {round}");
        for seed in ["n5", "n77", "n250"] {
            for method in ["combine", "exact", "lookup"] {
                let answer = ask(&server, seed, method);
                assert_eq!((&answer["store"]["events"], &answer["store"]["sequence"]), (&sent.into(), &sent.into()));
                let expected = results(place, &["s.wp", "--seed", seed, "--method", method, "--top", "40"]);
                assert_eq!(answer["results"], expected, "{seed} by {method} after {sent} events");
            }
        }
    }
    // The truth, from the edges themselves.
    std::fs::write(place.join("after.csv"), csv(&edges)).expect("room");
    let _ = run(place, &["load", "after.csv", "--into", "truth.wp"]).done();
    let all = |store: &str, method: &str| {
        let asked = [store, "--seed", "n5", "--method", method, "--top", "400", "--restart-prob", "0.15"];
        scores(&results(place, &asked))
    };
    let truth = all("truth.wp", "exact");
    let body = json!({ "seeds": ["n5"], "method": "exact", "top": 400 });
    let exact = scores(&server.post("/v1/stores/s/query", &body.to_string()).json()["results"]);
    assert!(distance(&exact, &truth) < 1e-9);
    let body = json!({ "seeds": ["n5"], "method": "combine", "top": 400 });
    let combined = scores(&server.post("/v1/stores/s/query", &body.to_string()).json()["results"]);
    assert!(distance(&combined, &truth) < 0.05, "{}", distance(&combined, &truth));
    // Whoever starts later counts them, too.
    drop(server);
    let again = HttpServer::start(place, &["s.wp"]);
    assert_eq!(ask(&again, "n5", "combine")["store"]["events"], sent);
    assert_eq!(
        ask(&again, "n5", "combine")["results"],
        results(place, &["s.wp", "--seed", "n5", "--method", "combine", "--top", "40"])
    );
}

#[test]
fn new_nodes_are_there_at_once_wherever_one_looks() {
    let (place, _) = place();
    let server = HttpServer::start(place.path(), &["s.wp"]);
    let client = server.client();
    assert_eq!(refused(client.query("s", &QueryRequest::new(["zoe".into()]))).status, 404);
    assert!(client.nodes("s", "zo", 10).expect("nodes").nodes.is_empty());
    let events = [
        Event::edge(Operation::Add, "zoe", "n5").weighing(3.0).of_kind("likes"),
        Event::node(Operation::Set, "zoe").of_kind("person"),
    ];
    let taken = client.update("s", &UpdateRequest::new(events)).expect("they are taken");
    assert_eq!((taken.taken, taken.missing), (2, 0));
    let answer = client.query("s", &QueryRequest::new(["zoe".into()])).expect("she may be a seed");
    let (first, second) = (&answer.results[0], &answer.results[1]);
    assert_eq!((first.id.as_str(), first.kind.as_deref(), second.id.as_str()), ("zoe", Some("person"), "n5"));
    let found = client.nodes("s", "zo", 10).expect("nodes").nodes;
    assert_eq!((found.len(), found[0].kind.as_deref()), (1, Some("person")));
    let row = client.neighbors("s", "zoe", 10).expect("a row");
    assert_eq!(
        (row.degree, row.neighbors[0].weight, row.neighbors[0].types.as_slice()),
        (1, 3.0, &["likes".to_owned()][..])
    );
    // A seed's own new edge counts in her next answer, and so does that it is gone.
    let click = |operation, item: &str| {
        let taken = client.update("s", &UpdateRequest::new([Event::edge(operation, "zoe", item).weighing(9.0)]));
        assert_eq!(taken.expect("it is taken").taken, 1);
        let request = QueryRequest { top: Some(2), exclude_seeds: Some(true), ..QueryRequest::new(["zoe".into()]) };
        client.query("s", &request).expect("an answer").results[0].id.clone()
    };
    assert_eq!(click(Operation::Add, "n250"), "n250");
    assert_eq!(click(Operation::Remove, "n250"), "n5");
    // Filters know types that are new.
    let persons = QueryRequest { only: vec!["type:person".into()], ..QueryRequest::new(["zoe".into()]) };
    let told = client.query("s", &persons).expect("an answer");
    assert_eq!((told.results.len(), told.truncated), (1, true));
    let store = client.store("s").expect("a store");
    assert!(store.nodes == 301 && store.node_types == ["person"] && store.edge_types == ["likes"], "{store:?}");
    let live = store.live.expect("events");
    assert_eq!((live.waiting, live.new_nodes, live.taking, live.compacting), (4, 1, true, false));
    assert!(client.metrics().expect("numbers").contains("walkprint_store_events{store=\"s\"} 4"));
    // In one batch of questions all are of one world.
    let body = json!({ "queries": [{ "seeds": ["zoe"] }, { "seeds": ["n5"] }] });
    let answers = server.post("/v1/stores/s/query/batch", &body.to_string()).json();
    assert!(answers["answers"].as_array().expect("answers").iter().all(|answer| answer["store"]["sequence"] == 4));
}

/// Users and items: who has no history clicks, and the next answer knows.
#[test]
fn recommendations_follow_clicks() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let likes = "user_id,item_id\nann,tea\nann,milk\nbob,tea\nbob,jam\ncid,nuts\ncid,figs\n";
    std::fs::write(place.path().join("likes.csv"), likes).expect("room");
    let _ = run(place.path(), &["load", "likes.csv", "--into", "s.wp"]).done();
    let server = HttpServer::start(place.path(), &["s.wp"]);
    let next = || {
        let answer = server.post("/v1/stores/s/recommend", r#"{"user": "zoe", "top": 2}"#).json();
        let items: Vec<String> = answer["results"]
            .as_array()
            .expect("items")
            .iter()
            .map(|item| item["item_id"].as_str().unwrap_or("").to_owned())
            .collect();
        (answer["fallback"].as_bool().expect("whether nothing is known of her"), items)
    };
    assert!(next().0);
    let click = |item: &str| {
        let body = json!({ "events": [{ "user_id": "zoe", "item_id": item, "event_id": item }] });
        let taken = server.post("/v1/stores/s/edges", &body.to_string());
        assert_eq!(taken.json()["taken"], 4, "two nodes, and edges both ways: {taken:?}");
    };
    click("nuts");
    assert_eq!(next(), (false, vec!["figs".to_owned()]));
    click("tea");
    let (fallback, items) = next();
    assert!(!fallback && !items.contains(&"tea".to_owned()) && !items.contains(&"nuts".to_owned()), "{items:?}");
    assert!(items.contains(&"figs".to_owned()), "{items:?}");
}

fn post(server: &HttpServer, body: &Value) -> Response {
    server.post("/v1/stores/s/edges", &body.to_string())
}

#[test]
fn what_comes_again_counts_once_and_what_cannot_be_is_refused_by_its_place() {
    let (place, _) = place();
    let server = HttpServer::start(place.path(), &["s.wp", "--most-events", "5", "--most-body", "20KiB"]);
    let named =
        json!({ "events": [{ "source": "n1", "target": "new", "event_id": "a" }, { "node": "x", "event_id": "b" }] });
    let first = post(&server, &named).json();
    assert_eq!((&first["taken"], &first["repeated"], &first["sequence"]), (&2.into(), &0.into(), &2.into()), "{first}");
    let again = post(&server, &named).json();
    assert_eq!((&again["taken"], &again["repeated"], &again["sequence"]), (&0.into(), &2.into(), &2.into()), "{again}");
    let before = ask(&server, "n1", "exact");
    let good = json!({ "source": "n2", "target": "n3", "event_id": "good" });
    let edge = |more: Value| {
        let mut event = json!({ "source": "n1", "target": "n2" });
        event.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        event
    };
    for (bad, status, kind, field, words) in [
        (
            json!({ "op": "remove", "source": "n1", "target": "nobody" }),
            422,
            "event-refused",
            "events[1]",
            "\"missing\": \"ignore\"",
        ),
        (
            json!({ "op": "remove", "source": "n1", "target": "new", "weight": 2 }),
            422,
            "event-refused",
            "events[1]",
            "weighs 1",
        ),
        (json!({ "source": "n9", "target": "n1", "event_id": "a" }), 409, "event-changed", "events[1]", "\"a\""),
        (edge(json!({ "op": "drop" })), 422, "invalid-request", "events[1].op", "drop"),
        (edge(json!({ "weight": -1 })), 422, "invalid-request", "events[1]", "-1"),
        (edge(json!({ "wait": 1 })), 422, "invalid-request", "events[1].wait", "wait"),
        (edge(json!({ "weight": "heavy" })), 422, "invalid-request", "events[1].weight", "heavy"),
        (json!({ "source": "n1" }), 422, "invalid-request", "events[1]", "source and target"),
        (json!({ "source": "", "target": "n1" }), 422, "invalid-request", "events[1]", "source"),
    ] {
        let problem = post(&server, &json!({ "events": [good, bad] })).problem();
        assert_eq!((problem.status, problem.field.as_deref()), (status, Some(field)), "{problem:?}");
        assert!(problem.kind.ends_with(kind) && problem.detail.contains(words), "{problem:?}");
    }
    let none = post(&server, &json!({ "events": [] })).problem();
    assert_eq!((none.status, none.field.as_deref()), (422, Some("events")));
    let many = post(&server, &json!({ "events": vec![&good; 6] })).problem();
    assert!(many.status == 422 && many.detail.contains("send them in parts"), "{many:?}");
    let large = post(&server, &json!({ "events": [{ "node": "x".repeat(30_000) }] })).problem();
    assert_eq!(large.status, 413);
    assert_eq!(server.post("/v1/stores/s/edges", "{").problem().status, 400);
    assert_eq!(server.post("/v1/stores/other/edges", &named.to_string()).problem().status, 404);
    assert_eq!(server.get("/v1/stores/s/edges").problem().status, 405);
    let typed = |kind: &str, query: &str, body: &str| {
        let head =
            format!("POST /v1/stores/s/edges{query} HTTP/1.1\r\nhost: {}\r\ncontent-type: {kind}\r\n", server.address);
        server.raw(format!("{head}content-length: {}\r\nconnection: close\r\n\r\n{body}", body.len()).as_bytes())
    };
    assert_eq!(typed("text/plain", "", "{}").problem().status, 415);
    // Nothing of all that was taken.
    let after = ask(&server, "n1", "exact");
    assert_eq!((&after["results"], &after["store"]["sequence"]), (&before["results"], &2.into()));
    // JSON Lines, and what is missing may be.
    let lines = "{\"source\": \"n4\", \"target\": \"n5\"}\n\n{\"op\": \"remove\", \"source\": \"n1\", \"target\": \"nobody\"}\n";
    let problem = typed("application/x-ndjson", "", lines).problem();
    assert_eq!((problem.status, problem.field.as_deref()), (422, Some("events[1]")), "{problem:?}");
    let problem =
        typed("application/x-ndjson", "", "{\"source\": 1, \"target\": 2}\n{\"source\": 1, \"goal\": 2}\n").problem();
    assert!(problem.detail.contains("line 2") && problem.field.as_deref() == Some("events[1].goal"), "{problem:?}");
    assert_eq!(typed("application/x-ndjson", "?missing=perhaps", lines).problem().status, 400);
    let taken = typed("application/x-ndjson", "?missing=ignore", lines).json();
    assert_eq!((&taken["taken"], &taken["missing"], &taken["sequence"]), (&2.into(), &1.into(), &4.into()), "{taken}");
    let ignored =
        post(&server, &json!({ "events": [{ "op": "remove", "node": "nobody" }], "missing": "ignore" })).json();
    assert_eq!((&ignored["taken"], &ignored["missing"]), (&1.into(), &1.into()), "{ignored}");
}

#[test]
fn integers_stay_integers() {
    let place = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(place.path().join("edges.tsv"), "1\t2\n2\t3\n3\t1\n").expect("room");
    let _ = run(place.path(), &["load", "edges.tsv", "--into", "s.wp"]).done();
    let server = HttpServer::start(place.path(), &["s.wp"]);
    assert_eq!(post(&server, &json!({ "events": [{ "source": 1, "target": 10 }] })).status, 200);
    let problem =
        post(&server, &json!({ "events": [{ "source": 1, "target": 11 }, { "source": 1, "target": "eleven" }] }))
            .problem();
    assert!(problem.status == 422 && problem.field.as_deref() == Some("events[1]"), "{problem:?}");
    let answer = ask(&server, "10", "exact");
    assert_eq!(answer["results"].as_array().map(Vec::len), Some(1), "it has no edge: {answer}");
    assert_eq!(server.client().nodes("s", "1", 10).expect("nodes").nodes.len(), 2, "1 and 10");
}

#[test]
fn events_of_another_program_are_followed_and_one_takes_at_a_time() {
    let (place, _) = place();
    let place = place.path();
    std::fs::write(place.join("one.jsonl"), "{\"source\": \"n1\", \"target\": \"n2\"}\n").expect("room");
    let server = HttpServer::start(place, &["s.wp", "--follow", "3600"]);
    let follow = || server.client().refresh("s").expect("a store").live.map(|live| (live.sequence, live.taking));
    assert_eq!(follow(), None);
    // The first event, more of them, and what was absorbed.
    for sequence in 1..=3 {
        let _ = run(place, &["update", "s.wp", "--edges", "one.jsonl"]).done();
        assert_eq!(follow(), Some((sequence, false)));
        let expected = results(place, &["s.wp", "--seed", "n1", "--method", "combine", "--top", "40"]);
        let answer = ask(&server, "n1", "combine");
        assert_eq!((&answer["results"], &answer["store"]["events"]), (&expected, &sequence.into()));
    }
    let _ = run(place, &["compact", "s.wp"]).done();
    assert_eq!(follow(), Some((3, false)));
    assert_eq!(ask(&server, "n1", "combine")["store"]["events"], 0);
    // Somebody has the log.
    let (mut taker, _) = Taker::open(&place.join("s.wp"), LogOptions::default(), 1).expect("the log");
    let problem = post(&server, &json!({ "events": [{ "source": "n1", "target": "n2" }] })).problem();
    assert!(problem.status == 409 && problem.kind.ends_with("events-locked"), "{problem:?}");
    assert_eq!(server.post("/v1/stores/s/compact", "{}").json()["status"], "nothing");
    let event = Event::edge(Operation::Add, "n1", "n3").named("theirs");
    taker.take(std::slice::from_ref(&event), Missing::Refuse).expect("they take");
    drop(taker);
    // The server counts what it has not seen yet, and then nobody else may take.
    let body = json!({ "events": [{ "source": "n1", "target": "n3", "event_id": "theirs" }, { "source": "n1", "target": "n4" }] });
    let taken = post(&server, &body).json();
    assert_eq!((&taken["taken"], &taken["repeated"], &taken["sequence"]), (&1.into(), &1.into(), &5.into()), "{taken}");
    run(place, &["update", "s.wp", "--edges", "one.jsonl"]).refused(&["another walkprint takes events"]);
    run(place, &["compact", "s.wp"]).refused(&["another walkprint takes events"]);
    // A new index is followed, and no event is lost.
    let _ = run(place, &["index", "s.wp", "--walks", "50", "--replace"]).done();
    assert_eq!(follow(), Some((5, true)));
    let expected = results(place, &["s.wp", "--seed", "n1", "--method", "combine", "--top", "40"]);
    assert_eq!(ask(&server, "n1", "combine")["results"], expected);
    // A store that is loaded anew has no events.
    let _ = run(place, &["load", "before.csv", "--into", "s.wp", "--replace"]).done();
    let body = json!({ "events": [{ "source": "n1", "target": "fresh" }] });
    while post(&server, &body).status != 200 {
        let _ = follow();
    }
    assert_eq!(follow(), Some((1, true)));
    assert!(ask(&server, "fresh", "exact")["store"]["sequence"] == 1);
}

#[test]
fn keys_say_who_may_send_events() {
    let (place, _) = place();
    let place = place.path();
    let (read, admin) = ("read-key-0123456789", "admin-key-0123456789");
    std::fs::write(place.join("keys"), format!("read {read}\nadmin {admin}\n")).expect("room");
    std::fs::set_permissions(place.join("keys"), std::fs::Permissions::from_mode(0o600)).expect("its own file");
    let server = HttpServer::start(place, &["s.wp", "--keys-file", "keys"]);
    let events = UpdateRequest::new([Event::edge(Operation::Add, "n1", "n2")]);
    assert_eq!(refused(server.client().update("s", &events)).status, 401);
    assert_eq!(refused(server.client().with_key(read).update("s", &events)).status, 403);
    assert_eq!(refused(server.client().with_key(read).compact("s")).status, 403);
    assert_eq!(server.client().with_key(admin).update("s", &events).expect("they are taken").taken, 1);
    assert!(server.client().with_key(read).query("s", &QueryRequest::new(["n1".into()])).is_ok());
    drop(server);
    // Without keys, and open to everybody, nobody may.
    let open = ["serve", "s.wp", "--listen", "0.0.0.0:0", "--insecure"];
    let server = HttpServer::start_command(program::command(place, &open));
    let port = server.address.rsplit(':').next().expect("a port").to_owned();
    let client = walkprint_cluster::client::Client::new(&format!("http://127.0.0.1:{port}"));
    assert_eq!(refused(client.update("s", &events)).status, 403);
    assert!(client.query("s", &QueryRequest::new(["n1".into()])).is_ok());
}

#[test]
fn who_sends_more_than_there_is_room_for_is_told_to_come_back() {
    let (place, _) = place();
    let server = HttpServer::start(place.path(), &["s.wp", "--most-waiting", "3", "--compact-after", "0"]);
    let events = |count: usize| json!({ "events": vec![json!({ "source": "n1", "target": "n2" }); count] });
    assert_eq!(post(&server, &events(4)).status, 429);
    assert_eq!(post(&server, &events(2)).status, 200);
    let full = post(&server, &events(2));
    assert!(full.status == 429 && full.header("retry-after").is_some(), "{full:?}");
    let problem = full.problem();
    assert!(problem.kind.ends_with("events-wait") && problem.detail.contains("compact"), "{problem:?}");
    assert_eq!(post(&server, &events(1)).status, 200);
    assert_eq!(ask(&server, "n1", "exact")["store"]["events"], 3);
    assert_eq!(post(&server, &events(1)).status, 429);
    // Once they were absorbed, there is room.
    assert_eq!(server.post("/v1/stores/s/compact", "{}").json()["status"], "begun");
    while post(&server, &events(1)).status != 200 {
        assert_eq!(server.client().store("s").expect("a store").live.expect("events").failed, None);
    }
    assert_eq!(ask(&server, "n1", "exact")["store"]["sequence"], 4);
    drop(server);
    let server = HttpServer::start(place.path(), &["s.wp", "--most-log", "120"]);
    assert_eq!(post(&server, &events(1)).status, 200);
    assert_eq!(post(&server, &events(1)).status, 429, "the log is full");
}

#[test]
fn a_disk_that_refuses_takes_nothing_and_answers_go_on() {
    let (place, _) = place();
    let script =
        format!("trap '' XFSZ; ulimit -f 16; exec {} serve s.wp --listen 127.0.0.1:0", program::path().display());
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]).current_dir(place.path());
    shell.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let server = HttpServer::start_command(shell);
    let events = |count: usize| json!({ "events": vec![json!({ "source": "n1", "target": "n2" }); count] });
    assert_eq!(post(&server, &events(10)).status, 200);
    let refused = post(&server, &events(2_000));
    let problem = refused.problem();
    assert!(problem.status == 503 && problem.kind.ends_with("problem:log"), "{problem:?}");
    assert!(problem.detail.contains("no event was taken") && refused.header("retry-after").is_some(), "{problem:?}");
    assert_eq!(ask(&server, "n1", "combine")["store"]["sequence"], 10);
    // What fits still does.
    assert_eq!(post(&server, &events(5)).json()["sequence"], 15);
    drop(server);
    let expected = results(place.path(), &["s.wp", "--seed", "n1", "--method", "combine", "--top", "40"]);
    let server = HttpServer::start(place.path(), &["s.wp"]);
    let answer = ask(&server, "n1", "combine");
    assert_eq!((&answer["store"]["sequence"], &answer["results"]), (&15.into(), &expected));
}
