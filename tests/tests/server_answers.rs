//! Keeps: **the server's answers are the program's, bit for bit**, whatever is asked (issue 5, show 5), alone, in batches and
//! line by line; and the types that clients read them into have every field.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tempfile::TempDir;
use walkprint_cluster::server::{AnswerBody, BatchItem, BatchRequest, Edge, LocalRequest, QueryRequest};
use walkprint_tests::draws::Draws;
use walkprint_tests::graphs::sprawling;
use walkprint_tests::http_server::{HttpServer, posted, refused, response};
use walkprint_tests::program::{results, run};

/// Requests that are compared.
const REQUESTS: usize = 500;
const NODES: u32 = 3_000;

/// `typed.wp`: string ids, types of nodes and edges, weights, two indexes. `plain.wp`: integer ids, one index.
fn place() -> &'static Path {
    static PLACE: OnceLock<TempDir> = OnceLock::new();
    let place = PLACE.get_or_init(|| {
        let place = tempfile::tempdir().expect("a temporary directory");
        // A ring besides, so that every node occurs.
        let ring = (0..NODES).map(|node| (node, (node + 1) % NODES, 0.5));
        let edges: Vec<(u32, u32, f64)> = sprawling(7, NODES, 8, true).edges.into_iter().chain(ring).collect();
        let typed = |(source, target, weight): (u32, u32, f64)| {
            format!("n{source},n{target},{weight},{}\n", if source % 3 == 0 { "cites" } else { "likes" })
        };
        let plain: String =
            edges.iter().map(|(source, target, weight)| format!("{source}\t{target}\t{weight}\n")).collect();
        let typed: String = edges.into_iter().map(typed).collect();
        std::fs::write(place.path().join("typed.csv"), format!("source,target,weight,type\n{typed}")).expect("room");
        std::fs::write(place.path().join("plain.tsv"), plain).expect("room");
        let kinds: String = (0..NODES).map(|node| format!("n{node}\tkind{}\n", node % 5)).collect();
        std::fs::write(place.path().join("kinds.tsv"), kinds).expect("room");
        for command in [
            "load typed.csv --into typed.wp --node-types kinds.tsv",
            "index typed.wp --walks 32",
            "index typed.wp --walks 16 --restart-prob 0.5 --name half",
            "load plain.tsv --into plain.wp",
            "index plain.wp --walks 32",
        ] {
            let _ = run(place.path(), &command.split(' ').collect::<Vec<_>>()).done();
        }
        place
    });
    place.path()
}

fn server() -> &'static HttpServer {
    static SERVER: OnceLock<HttpServer> = OnceLock::new();
    SERVER.get_or_init(|| HttpServer::start(place(), &["typed.wp", "plain.wp"]))
}

/// A request, and what to type for the same.
struct Asked {
    store: &'static str,
    json: Value,
    typed: Vec<String>,
}

fn anything(draws: &mut Draws) -> Asked {
    let store = if draws.chance(0.5) { "typed" } else { "plain" };
    let id = |node: u32| if store == "typed" { format!("n{node}") } else { node.to_string() };
    let mut json = json!({});
    let mut typed = vec![format!("{store}.wp")];
    let mut seeds = Vec::new();
    for _ in 0..1 + draws.below(4) {
        let id = id(draws.below(NODES));
        if draws.chance(0.4) {
            let weight = f64::from(1 + draws.below(1000)) / 64.0;
            typed.extend(["--seed".to_owned(), format!("{id}={weight}")]);
            seeds.push(json!({ "id": id, "weight": weight }));
        } else {
            typed.extend(["--seed".to_owned(), id.clone()]);
            seeds.push(if store == "plain" && draws.chance(0.5) {
                json!(id.parse::<i64>().expect("a number"))
            } else {
                json!(id)
            });
        }
    }
    json["seeds"] = json!(seeds);
    let mut set = |name: &str, value: Value, words: &[&str]| {
        json[name] = value;
        typed.extend(words.iter().map(|word| (*word).to_owned()));
    };
    let top = 1 + draws.below(60);
    set("top", json!(top), &["--top", &top.to_string()]);
    let method = ["auto", "lookup", "combine", "block", "exact"][draws.below(5) as usize];
    set("method", json!(method), &["--method", method]);
    if !matches!(method, "lookup" | "exact") && draws.chance(0.3) {
        let precision = [0.2, 0.02, 0.004][draws.below(3) as usize];
        set("precision", json!(precision), &["--precision", &precision.to_string()]);
    }
    if draws.chance(0.5) {
        let dangling = ["restart", "drop", "self-loop", "uniform"][draws.below(4) as usize];
        set("dangling", json!(dangling), &["--dangling", dangling]);
    }
    for (name, flag) in [("exclude_seeds", "--exclude-seeds"), ("exclude_neighbors", "--exclude-neighbors")] {
        if draws.chance(0.2) {
            set(name, json!(true), &[flag]);
        }
    }
    if draws.chance(0.15) {
        let power = f64::from(draws.below(4)) / 4.0;
        match draws.chance(0.5) {
            true => set("debias", json!(power), &["--debias", &power.to_string()]),
            false => {
                let words = ["--debias", &power.to_string(), "--debias-by", "degree"];
                set("debias", json!({ "power": power, "by": "degree" }), &words);
            }
        }
    }
    if draws.chance(0.1) {
        set("min_support", json!(1), &["--min-support", "1"]);
    }
    if draws.chance(0.1) && method != "lookup" {
        set("settle", json!(true), &["--settle"]);
    }
    if store == "typed" {
        let (kind, other) = (format!("type:kind{}", draws.below(5)), format!("kind{}", draws.below(5)));
        if draws.chance(0.2) {
            set("only", json!([kind, other]), &["--only", &kind, "--only", &other]);
        }
        if draws.chance(0.2) {
            let id = format!("id:n{}", draws.below(NODES));
            set("exclude", json!([id, other]), &["--exclude", &id, "--exclude", &other]);
        }
        match draws.below(4) {
            0 => set("index", json!("half"), &["--index", "half"]),
            1 => set("restart_prob", json!(0.5), &["--restart-prob", "0.5"]),
            _ => {}
        }
    }
    Asked { store, json, typed }
}

#[test]
fn answers_are_the_programs_for_five_hundred_requests() {
    let (place, server) = (place(), server());
    let next = AtomicUsize::new(0);
    let answered = AtomicUsize::new(0);
    let check = || {
        while let number @ 0..REQUESTS = next.fetch_add(1, Ordering::Relaxed) {
            let Asked { store, json, typed } = anything(&mut Draws::new(number as u64));
            let answer = server.post(&format!("/v1/stores/{store}/query"), &json.to_string());
            let typed: Vec<&str> =
                ["query"].into_iter().chain(typed.iter().map(String::as_str)).chain(["--json"]).collect();
            let ended = run(place, &typed);
            if answer.status != 200 {
                // Both refuse: filters may leave nothing.
                let problem = answer.problem();
                assert_eq!((ended.code, problem.status), (Some(2), 422), "{typed:?}: {ended:?} {problem:?}");
                continue;
            }
            let mut printed: Value = serde_json::from_str(&ended.done()).expect("JSON");
            let mut answer = answer.json();
            let _: AnswerBody = serde_json::from_value(answer.clone()).expect("every field is described");
            assert_eq!(answer["store"]["name"], store);
            answer.as_object_mut().expect("an object").remove("store");
            printed["took_us"] = answer["took_us"].clone();
            assert_eq!(answer, printed, "{typed:?}");
            answered.fetch_add(1, Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(check);
        check();
    });
    assert!(REQUESTS * 3 / 4 < answered.into_inner(), "most are answered");
}

#[test]
fn explanations_are_the_programs() {
    let seeds = ["--seed", "n1", "--seed", "n2=0.5", "--top", "5"];
    let words = [&["query", "typed.wp"], &seeds[..], &["--explain", "json", "--paths", "4"]].concat();
    let mut printed: Value = serde_json::from_str(&run(place(), &words).done()).expect("JSON");
    let body = json!({ "seeds": ["n1", { "id": "n2", "weight": 0.5 }], "top": 5, "explain": { "paths": 4 } });
    let response = server().post("/v1/stores/typed/query", &body.to_string());
    let timing = response.header("server-timing").expect("times");
    assert!(["queue;dur=", "answer;dur=", "explain;dur="].iter().all(|stage| timing.contains(stage)), "{timing}");
    let mut answer = response.json();
    let read: AnswerBody = serde_json::from_value(answer.clone()).expect("every field is described");
    assert!(read.explanation.expect("an explanation").results.iter().any(|result| !result.paths.is_empty()));
    for value in [&mut answer, &mut printed] {
        let fields = value.as_object_mut().expect("an object");
        fields.remove("store");
        fields.remove("took_us");
    }
    assert_eq!(answer, printed);
}

#[test]
fn a_batch_gives_what_each_question_gives_alone() {
    let client = server().client();
    let mut draws = Draws::new(1);
    let queries: Vec<QueryRequest> = (0..40)
        .map(|_| QueryRequest {
            top: Some(1 + draws.below(20) as usize),
            ..QueryRequest::new([format!("n{}", draws.below(NODES + 200)).as_str().into()])
        })
        .collect();
    let items = client.batch("typed", &BatchRequest { queries: queries.clone() }).expect("a batch");
    let body = serde_json::to_string(&BatchRequest { queries: queries.clone() }).expect("JSON");
    let request = String::from_utf8(posted(&server().address, "/v1/stores/typed/query/batch", &body)).expect("text");
    let lines = server().raw(request.replacen("host:", "accept: application/x-ndjson\r\nhost:", 1).as_bytes());
    assert_eq!(lines.header("content-type"), Some("application/x-ndjson"));
    let lines: Vec<BatchItem> =
        lines.body.lines().map(|line| serde_json::from_str(line).expect("an answer or a problem")).collect();
    assert_eq!((items.len(), lines.len()), (queries.len(), queries.len()));
    let mut problems = BTreeSet::new();
    for ((query, item), line) in queries.iter().zip(items).zip(lines) {
        let alone = client.query("typed", query);
        for item in [item, line] {
            match item {
                BatchItem::Answer(answer) => {
                    let alone = alone.as_ref().expect("an answer");
                    assert_eq!((&answer.results, answer.status), (&alone.results, alone.status));
                }
                BatchItem::Problem { problem } => {
                    assert_eq!(problem.status, 404);
                    problems.insert(problem.id.clone().expect("the id"));
                }
            }
        }
    }
    assert!(!problems.is_empty() && problems.len() < 20, "{problems:?}");
}

#[test]
fn a_graph_that_is_sent_along_is_answered_as_a_store_of_it() {
    let place = tempfile::tempdir().expect("a temporary directory");
    for (name, number) in [("ints", 0), ("words", 1)] {
        let id = |node: u32| if number == 0 { node.to_string() } else { format!("w{node}") };
        let edges: Vec<Edge> = sprawling(3, 300, 4, true)
            .edges
            .into_iter()
            .map(|(source, target, weight)| Edge { source: id(source), target: id(target), weight, kind: None })
            .collect();
        let text: String =
            edges.iter().map(|Edge { source, target, weight, .. }| format!("{source}\t{target}\t{weight}\n")).collect();
        std::fs::write(place.path().join("edges.tsv"), text).expect("room");
        let store = format!("{name}.wp");
        let _ = run(place.path(), &["load", "edges.tsv", "--into", &store, "--order", "id"]).done();
        for undirected in [false, true] {
            if undirected {
                let _ = run(
                    place.path(),
                    &["load", "edges.tsv", "--into", &store, "--order", "id", "--undirected", "--replace"],
                )
                .done();
            }
            let seed = id(5);
            let expected = results(place.path(), &[&store, "--seed", &seed, "--method", "exact", "--top", "20"]);
            let request = LocalRequest {
                edges: edges.clone(),
                undirected,
                seeds: vec![seed.as_str().into()],
                top: Some(20),
                ..LocalRequest::default()
            };
            let answer = server().client().local(&request).expect("an answer");
            assert_eq!(serde_json::to_value(&answer.results).expect("JSON"), expected);
        }
    }
    let missing = LocalRequest {
        edges: vec![Edge { source: "a".into(), target: "b".into(), weight: 1.0, kind: None }],
        seeds: vec!["c".into()],
        ..LocalRequest::default()
    };
    assert_eq!(refused(server().client().local(&missing)).id.as_deref(), Some("c"));
}

#[test]
fn stores_nodes_and_neighbours_are_found() {
    let client = server().client();
    let stores = client.stores(None).expect("stores");
    assert_eq!(stores.stores.iter().map(|store| store.name.as_str()).collect::<Vec<_>>(), ["plain", "typed"]);
    assert_eq!(client.stores(Some("plain")).expect("stores").stores.len(), 1);
    let store = client.store("typed").expect("a store");
    assert_eq!(
        (store.node_types.len(), store.edge_types.as_slice()),
        (5, &["cites".to_owned(), "likes".to_owned()][..])
    );
    assert_eq!(store.indexes.iter().map(|index| index.restart_prob).collect::<Vec<_>>(), [0.15, 0.5]);
    let found = client.nodes("typed", "n29", 5).expect("nodes");
    assert_eq!(
        found.nodes.iter().map(|node| node.id.as_str()).collect::<Vec<_>>(),
        ["n29", "n290", "n2900", "n2901", "n2902"]
    );
    assert!(found.more && found.nodes[0].kind.as_deref() == Some("kind4"));
    let found = client.nodes("plain", "29", 5).expect("nodes");
    assert_eq!(found.nodes.iter().map(|node| node.id.as_str()).collect::<Vec<_>>(), ["29", "290", "291", "292", "293"]);
    let all = client.neighbors("typed", "n6", 1000).expect("neighbours");
    assert_eq!((all.degree, all.more), (all.neighbors.len() as u64, false));
    assert!(all.neighbors.is_sorted_by(|a, b| b.weight <= a.weight));
    assert!((all.neighbors.iter().map(|one| one.probability).sum::<f64>() - 1.0).abs() < 1e-12);
    assert!(all.neighbors.iter().all(|one| one.types == ["cites"]));
    let some = client.neighbors("typed", "n6", 2).expect("neighbours");
    assert_eq!((some.neighbors.as_slice(), some.more), (&all.neighbors[..2], true));
    assert_eq!(refused(client.neighbors("typed", "no/such?", 1)).id.as_deref(), Some("no/such?"));
}

#[test]
fn operators_see_what_there_is_to_see() {
    let (server, client) = (server(), server().client());
    let _ = client.query("typed", &QueryRequest::new(["n1".into()])).expect("an answer");
    assert_eq!(server.get("/livez").status, 200);
    assert_eq!(client.ready().expect("readiness").stores.len(), 2);
    assert_eq!(client.health().expect("health").open_stores, 2);
    assert_eq!(client.version().expect("a version").name, "walkprint");
    let metrics = client.metrics().expect("numbers");
    for line in [
        "walkprint_requests_total{route=\"/v1/stores/{store}/query\",status=\"200\"}",
        "walkprint_request_seconds_bucket{route=\"/v1/stores/{store}/query\"",
        "walkprint_stage_seconds_bucket{stage=\"answer\"",
        "walkprint_answers_total{method=\"combine\"}",
        "walkprint_seeds_bucket",
        "walkprint_store_generation{store=\"typed\"} 3",
        "walkprint_mapped_bytes{store=\"typed\",state=\"resident\"}",
        "walkprint_queue_length{queue=\"long\"}",
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
    let page = server.get("/");
    assert!(page.body.contains("<title>") && page.header("content-security-policy").is_some(), "{page:?}");
    assert_eq!(server.get("/docs/").status, 200);
    let described = server.get("/openapi.json").json();
    assert!(described["paths"]["/v1/local"]["post"].is_object());
    // Ids of requests go there and back.
    let named =
        server.raw(b"GET /version HTTP/1.1\r\nhost: localhost\r\nx-request-id: my-7\r\nconnection: close\r\n\r\n");
    assert_eq!(named.header("x-request-id"), Some("my-7"));
}

#[test]
fn connections_are_kept() {
    let mut stream = server().connect();
    let mut reader = std::io::BufReader::new(stream.try_clone().expect("a socket"));
    for _ in 0..3 {
        use std::io::Write;
        let body = r#"{"seeds": ["n3"], "method": "lookup"}"#;
        let request = String::from_utf8(posted("127.0.0.1", "/v1/stores/typed/query", body)).expect("text");
        stream.write_all(request.replace("connection: close\r\n", "").as_bytes()).expect("a connection");
        assert_eq!(response(&mut reader).expect("a response").json()["method"], "lookup");
    }
}
