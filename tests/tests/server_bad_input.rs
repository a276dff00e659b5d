//! Keeps: **whatever a client sends, it gets the right status and a text that says what to do; the server goes on, and nobody else
//! notices** (issue 5, "Bad input").

use std::io::{BufReader, Read, Write};
use std::path::Path;
use std::sync::OnceLock;
use std::time::Instant;

use serde_json::json;
use tempfile::TempDir;
use walkprint_tests::http_server::{HttpServer, posted, response};
use walkprint_tests::program::{command, run};
use walkprint_tests::stores::files;

const QUERY: &str = "/v1/stores/small/query";

fn place() -> &'static Path {
    static PLACE: OnceLock<TempDir> = OnceLock::new();
    let place = PLACE.get_or_init(|| {
        let place = tempfile::tempdir().expect("a temporary directory");
        let edges: String = (0..200).map(|node| format!("n{node}\tn{}\n", (node * 7 + 1) % 200)).collect();
        std::fs::write(place.path().join("edges.tsv"), edges).expect("room");
        let _ = run(place.path(), &["load", "edges.tsv", "--into", "small.wp"]).done();
        let _ = run(place.path(), &["index", "small.wp"]).done();
        std::fs::create_dir_all(place.path().join("tenants/broken.wp")).expect("a directory");
        std::fs::write(place.path().join("tenants/broken.wp/manifest.wpm"), "nonsense").expect("room");
        std::fs::create_dir_all(place.path().join("outside.wp")).expect("a directory");
        for (path, bytes) in files(&place.path().join("small.wp")) {
            for copy in ["tenants/alice.wp", "outside.wp"] {
                let path = place.path().join(copy).join(&path);
                std::fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
                std::fs::write(path, &bytes).expect("room");
            }
        }
        place
    });
    place.path()
}

fn server() -> &'static HttpServer {
    static SERVER: OnceLock<HttpServer> = OnceLock::new();
    SERVER.get_or_init(|| {
        let limits = ["--most-body", "64kB", "--most-seeds", "100", "--most-top", "1000", "--most-queries", "5"];
        let limits = [&limits[..], &["--most-edges", "20", "--timeout", "2"]].concat();
        HttpServer::start(place(), &[&["small.wp", "tenants"], &limits[..]].concat())
    })
}

/// A good request is answered.
fn all_is_well() {
    let answer = server().post(QUERY, r#"{"seeds": ["n1"]}"#);
    assert_eq!(answer.status, 200, "{answer:?}");
    let said = server().said();
    assert!(!said.contains("panic") && !said.contains("internal error"), "{said}");
}

#[test]
fn bodies_that_are_no_requests_are_refused_by_their_place() {
    let thousand: Vec<String> = (0..101).map(|node| format!("n{node}")).collect();
    let cases = [
        ("", 400, "malformed-json", ""),
        ("{", 400, "malformed-json", "line 1"),
        ("{\"seeds\": [\"n1\"]} {}", 400, "malformed-json", "trailing"),
        ("\u{feff}{}", 400, "malformed-json", ""),
        (r#"{"seeds": ["n1"], "precision": NaN}"#, 400, "malformed-json", "line 1"),
        (r#"{"seeds": [{"id": "n1", "weight": 1e999}]}"#, 400, "malformed-json", "number out of range"),
        ("null", 422, "invalid-request", "QueryRequest"),
        ("[]", 422, "invalid-request", ""),
        ("{}", 422, "invalid-request", "seeds"),
        (r#"{"seeds": "n1"}"#, 422, "invalid-request", "seeds"),
        (r#"{"seeds": []}"#, 422, "invalid-request", "there are none"),
        (r#"{"seeds": ["n1"], "sedes": 1}"#, 422, "invalid-request", "sedes"),
        (r#"{"seeds": ["n1"], "seeds": ["n2"]}"#, 422, "invalid-request", "duplicate"),
        (r#"{"seeds": [{"id": "n1", "weight": 0}]}"#, 422, "invalid-request", "zero"),
        (r#"{"seeds": [{"id": "n1", "weight": -1}]}"#, 422, "invalid-request", "-1"),
        (r#"{"seeds": [{"id": "n1", "weight": "2"}]}"#, 422, "invalid-request", "seeds[0].weight"),
        (r#"{"seeds": ["n1"], "top": 0}"#, 422, "invalid-request", "at least 1"),
        (r#"{"seeds": ["n1"], "top": 1001}"#, 422, "invalid-request", "at most 1000"),
        (r#"{"seeds": ["n1"], "top": 99999999999999999999}"#, 422, "invalid-request", "top"),
        (r#"{"seeds": ["n1"], "top": 2.5}"#, 422, "invalid-request", "top"),
        (r#"{"seeds": ["n1"], "method": "magic"}"#, 422, "invalid-request", "combine"),
        (r#"{"seeds": ["n1"], "precision": 0}"#, 422, "invalid-request", "precision"),
        (r#"{"seeds": ["n1"], "precision": 1.5}"#, 422, "invalid-request", "precision"),
        (r#"{"seeds": ["n1"], "dangling": "stop"}"#, 422, "invalid-request", "self-loop"),
        (r#"{"seeds": ["n1"], "debias": 11}"#, 422, "invalid-request", "from 0 to 10"),
        (r#"{"seeds": ["n1"], "min_support": 2}"#, 422, "invalid-request", "min_support"),
        (r#"{"seeds": ["n1"], "restart_prob": 0}"#, 422, "invalid-request", "restart_prob"),
        (r#"{"seeds": ["n1"], "restart_prob": 0.3, "method": "lookup"}"#, 422, "unanswerable", "0.3"),
        (r#"{"seeds": ["n1"], "explain": {"path": 1}}"#, 422, "invalid-request", "explain"),
        (r#"{"seeds": ["n1"], "method": "lookup", "precision": 0.000001}"#, 422, "unanswerable", "combine"),
        (r#"{"seeds": ["n1"], "only": ["n1"], "exclude": ["n1"]}"#, 422, "nothing-left", "leaves none"),
        (r#"{"seeds": ["n1", "nobody"]}"#, 404, "unknown-id", "nobody"),
        (r#"{"seeds": [7]}"#, 404, "unknown-id", "7"),
        (r#"{"seeds": [9223372036854775808]}"#, 422, "invalid-request", "2^63"),
        (r#"{"seeds": [{"id": 9223372036854775808}]}"#, 422, "invalid-request", "seeds[0].id"),
        (r#"{"seeds": ["n1"], "only": ["id:nobody"]}"#, 404, "unknown-id", "nobody"),
        (r#"{"seeds": ["n1"], "only": ["n1", "nothing"]}"#, 404, "unknown-id", "nothing"),
        (r#"{"seeds": ["n1"], "exclude": ["type:person"]}"#, 404, "unknown-type", "person"),
        (r#"{"seeds": ["n1"], "index": "other"}"#, 404, "unknown-index", "other"),
        (r#"{"seeds": ["n1"], "index": "../../etc"}"#, 404, "unknown-index", "etc"),
    ];
    for (body, status, kind, word) in cases {
        let problem = server().post(QUERY, body).problem();
        assert_eq!((problem.status, problem.kind.rsplit(':').next()), (status, Some(kind)), "{body}: {problem:?}");
        assert!(problem.detail.contains(word), "{body}: no {word:?} in {problem:?}");
        assert!(!problem.detail.contains("/tmp"), "{problem:?}");
    }
    let many = server().post(QUERY, &json!({ "seeds": thousand }).to_string()).problem();
    assert_eq!((many.status, many.field.as_deref()), (422, Some("seeds")));
    let bare: Vec<u8> = [b"{\"seeds\": [\"".as_slice(), &[0xff, 0xfe], b"\"]}"].concat();
    let head = format!(
        "POST {QUERY} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        bare.len()
    );
    assert_eq!(server().raw(&[head.as_bytes(), &bare].concat()).problem().status, 400);
    let deep = format!("{{\"seeds\": {}", "[".repeat(50_000));
    assert_eq!(server().post(QUERY, &deep).problem().status, 422);
    all_is_well();
}

#[test]
fn other_pages_refuse_as_well() {
    let queries = |count: usize| json!({ "queries": vec![json!({ "seeds": ["n1"] }); count] }).to_string();
    let edges = |count: usize| json!({ "edges": vec![["a", "b"]; count], "seeds": ["a"] }).to_string();
    for (path, body, status, word) in [
        ("/v1/stores/small/query/batch", queries(0), 422, "at least one"),
        ("/v1/stores/small/query/batch", queries(6), 422, "5"),
        ("/v1/stores/small/query/batch", r#"{"queries": [{"seeds": ["n1"], "tpo": 3}]}"#.to_owned(), 422, "queries[0]"),
        (
            "/v1/stores/small/query/batch",
            r#"{"queries": [{"seeds": ["n1"]}, {"seeds": []}]}"#.to_owned(),
            422,
            "queries[1].seeds",
        ),
        ("/v1/local", r#"{"edges": [["a", "b"]], "seeds": ["a"], "restart_prob": 5e-324}"#.to_owned(), 422, "1e-30"),
        (
            "/v1/local",
            r#"{"edges": [["a", "b"]], "seeds": ["a"], "tokens": {"a": 9223372036854775808}}"#.to_owned(),
            422,
            "tokens",
        ),
        ("/v1/local", edges(0), 422, "no edges"),
        ("/v1/local", edges(21), 422, "20"),
        ("/v1/local", r#"{"edges": [["a", "b", -1]], "seeds": ["a"]}"#.to_owned(), 422, "not negative"),
        ("/v1/local", r#"{"edges": [["a"]], "seeds": ["a"]}"#.to_owned(), 422, "edges[0]"),
        ("/v1/local", r#"{"edges": [["a", "b", 1, 2]], "seeds": ["a"]}"#.to_owned(), 422, "edges[0]"),
        ("/v1/local", r#"{"edges": [["", "b"]], "seeds": ["b"]}"#.to_owned(), 422, "not empty"),
        ("/v1/local", r#"{"edges": [["a", "b"]], "seeds": ["c"]}"#.to_owned(), 404, "c"),
    ] {
        let problem = server().post(path, &body).problem();
        assert_eq!(problem.status, status, "{path} {body}: {problem:?}");
        assert!(
            problem.detail.contains(word) || problem.field.is_some_and(|field| field.contains(word)),
            "{path} {body}"
        );
    }
    for (path, status) in [
        ("/v1/stores/nowhere", 404),
        ("/v1/stores/small/nodes", 400),
        ("/v1/stores/small/nodes?prefix=n&limit=0", 422),
        ("/v1/stores/small/nodes?prefix=n&limit=1001", 422),
        ("/v1/stores/small/nodes?prefix=n&limit=x", 400),
        ("/v1/stores/small/nodes?prefix=n&what=1", 400),
        ("/v1/stores/small/neighbors/nobody", 404),
        ("/v1/stores/small/neighbors/%ff", 400),
        ("/v1/stores?limit=0", 422),
        ("/v2/stores", 404),
        ("/v1/stores/", 404),
    ] {
        assert_eq!(server().get(path).problem().status, status, "{path}");
    }
    let put = server().raw(b"PUT /v1/stores HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    assert_eq!((put.problem().status, put.header("allow")), (405, Some("GET,HEAD")));
    all_is_well();
}

#[test]
fn no_name_leads_out_of_the_directory_of_stores() {
    assert_eq!(server().get("/v1/stores/alice").status, 200);
    for name in [
        "..%2foutside",
        "%2e%2e%2foutside",
        "..",
        "%2e%2e",
        "alice%2f..%2f..%2foutside",
        "outside",
        "..%5coutside",
        "alice%00",
        ".%2falice",
        "alice.wp",
        "-alice",
        "%20alice",
        "alice%2f",
        "%ef%bc%8e%ef%bc%8e",
    ] {
        let answer = server().get(&format!("/v1/stores/{name}"));
        assert!(matches!(answer.status, 404 | 400), "{name}: {answer:?}");
        let _ = answer.problem();
    }
    let raw = server().raw(b"GET /v1/stores/../../outside HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    assert_eq!(raw.problem().status, 404);
    // A broken store of a directory is its own trouble.
    assert_eq!(server().get("/v1/stores/broken").problem().status, 500);
    let listed = server().get("/v1/stores").json();
    let names: Vec<&str> =
        listed["stores"].as_array().expect("stores").iter().filter_map(|one| one["name"].as_str()).collect();
    assert_eq!(names, ["alice", "broken", "small"]);
    all_is_well();
}

#[test]
fn heads_and_bodies_of_every_kind() {
    let body = r#"{"seeds": ["n1"]}"#;
    let good = String::from_utf8(posted("localhost", QUERY, body)).expect("text");
    let without = good.replace("content-type: application/json\r\n", "");
    assert_eq!(server().raw(without.as_bytes()).problem().status, 415);
    assert_eq!(server().raw(good.replace("application/json", "text/plain").as_bytes()).problem().status, 415);
    let charset = good.replace("application/json", "Application/JSON; charset=utf-8");
    assert_eq!(server().raw(charset.as_bytes()).status, 200);
    // More than is taken: told before it is sent, and when it is sent without saying how much.
    let announced = good.replace(&format!("content-length: {}", body.len()), "content-length: 99999999");
    assert_eq!(server().raw(announced.as_bytes()).problem().status, 413);
    let chunk = format!("{:x}\r\n{}\r\n", 40_000, " ".repeat(40_000));
    let chunked = good.replace(&format!("content-length: {}", body.len()), "transfer-encoding: chunked");
    let chunked = chunked.replace(body, &format!("{chunk}{chunk}0\r\n\r\n"));
    assert_eq!(server().raw(chunked.as_bytes()).problem().status, 413);
    // Heads that are none, or too large.
    let flood: String = (0..200).map(|number| format!("x-{number}: y\r\n")).collect();
    let flooded = server().raw(format!("GET /livez HTTP/1.1\r\nhost: localhost\r\n{flood}\r\n").as_bytes());
    assert_eq!(flooded.status, 431);
    let long = format!("GET /livez HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", "y".repeat(200_000));
    assert!(matches!(server().raw(long.as_bytes()).status, 400 | 431));
    for nonsense in ["hello\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "\u{1}\u{2}\u{3}\r\n\r\n"] {
        assert_eq!(server().raw(nonsense.as_bytes()).status, 400, "{nonsense:?}");
    }
    all_is_well();
}

#[test]
fn who_sends_slowly_or_goes_away_holds_nobody_up() {
    let good = posted("localhost", QUERY, r#"{"seeds": ["n1"]}"#);
    // Cut off in the middle of the body: nothing comes back, or a problem.
    let mut cut = server().connect();
    cut.write_all(&good[..good.len() - 5]).expect("a connection");
    cut.shutdown(std::net::Shutdown::Write).expect("a connection");
    let mut rest = Vec::new();
    let _ = cut.read_to_end(&mut rest); // it may be reset
    // Never ends: an answer comes in time all the same, and others are answered meanwhile.
    let mut slow = server().connect();
    slow.write_all(&good[..good.len() - 5]).expect("a connection");
    let began = Instant::now();
    all_is_well();
    let told = response(&mut BufReader::new(&slow)).expect("a response");
    assert_eq!(told.problem().status, 408);
    assert!((1..60).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    // Hang up before the answer.
    for _ in 0..50 {
        let mut gone = server().connect();
        gone.write_all(&good).expect("a connection");
        drop(gone);
    }
    all_is_well();
}

#[test]
fn words_that_make_no_server_are_refused() {
    let small = "small.wp";
    for (words, said) in [
        (&["serve"][..], "name a store"),
        (&["serve", "nowhere.wp"], "no Walkprint store here"),
        (&["serve", small, "other=small.wp", "--listen", "here"], "ADDRESS:PORT"),
        (&["serve", small, "small=outside.wp"], "two stores are named"),
        (&["serve", "a/b=small.wp"], "no name of a store"),
        (&["serve", small, "--listen", "0.0.0.0:0"], "--insecure"),
        (&["serve", small, "--timeout", "0"], "--timeout: expected seconds"),
        (&["serve", small, "--keys-file", "edges.tsv"], "line 1"),
        (&["serve", small, "--tls-cert", "edges.tsv"], "go together"),
        (&["serve", small, "--tls-cert", "edges.tsv", "--tls-key", "edges.tsv"], "PEM"),
        (&["serve", small, "--config", "edges.tsv"], "edges.tsv"),
        (&["serve", small, "--index", "x"], "graph in shards"),
    ] {
        if said == "line 1" {
            let _ = std::process::Command::new("chmod").args(["o-r", "edges.tsv"]).current_dir(place()).status();
        }
        run(place(), words).refused(&[said]);
    }
    let taken = server().address.clone();
    run(place(), &["serve", small, "--listen", &taken]).refused(&["listen", &taken]);
    let closed = std::process::Command::new("sh")
        .args([
            "-c",
            &format!("{} serve {small} --print-config > /dev/full", walkprint_tests::program::path().display()),
        ])
        .current_dir(place())
        .output()
        .expect("a shell");
    assert_eq!(closed.status.code(), Some(2), "{closed:?}");
    let _ = command(place(), &["serve", small, "--print-config"]).output().expect("the program");
}
