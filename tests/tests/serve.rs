//! Keeps: **answers over a sharded graph are the same bytes from any number of workers and processes, resumed or not; a
//! server answers them as `batch` does, refuses what makes no sense, and ends when it is told to** (issue 4, item 4).

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use serde_json::Value;
use tempfile::TempDir;
use walkprint_tests::answers::{Server, written};
use walkprint_tests::graphs::sprawling;
use walkprint_tests::program::run;
use walkprint_tests::team::Team;

const BATCH: [&str; 12] = [
    "batch",
    "s.wp",
    "--sources",
    "ids",
    "--top",
    "5",
    "--graph",
    "sharded",
    "--format",
    "csv",
    "--rows-per-file",
    "100",
];

/// A directory with a store `s.wp` and the same in shards, an index of each, and 45 of its ids in a file.
fn place() -> TempDir {
    let place = tempfile::tempdir().expect("a temporary directory");
    let edges =
        sprawling(1, 2000, 5, true).edges.into_iter().chain((0..2000).map(|node| (node, (node + 1) % 2000, 1.0)));
    let text: String = edges.map(|(from, to, weight)| format!("{from}\t{to}\t{weight}\n")).collect();
    std::fs::write(place.path().join("edges.tsv"), text).expect("room for a small file");
    let ids: String = (0..45).map(|at| format!("{}\n", at * 44)).collect();
    std::fs::write(place.path().join("ids"), ids).expect("room for a small file");
    let _ = run(place.path(), &["load", "edges.tsv", "--into", "s.wp", "--order", "id"]).done();
    let _ = run(place.path(), &["load", "edges.tsv", "--into", "cut.wp", "--shards", "2"]).done();
    let _ = run(place.path(), &["index", "s.wp"]).done();
    let _ = run(place.path(), &["index", "cut.wp"]).done();
    place
}

#[test]
fn any_number_of_workers_and_processes_writes_the_same_files() {
    let place = place();
    let place = place.path();
    let batch = |more: &[&str]| run(place, &[&BATCH[..], more].concat());
    let _ = batch(&["--workers", "1", "--out", "one"]).done();
    let one = written(place, "one");
    assert_eq!(one.len(), 4, "three parts and a manifest");
    let _ = batch(&["--workers", "3", "--out", "three", "--memory", "200MiB"]).done();
    assert!(written(place, "three") == one, "three workers write other bytes");
    let team = Team::new(place, 2);
    let ended = team.run(place, &[&BATCH[..], &["--workers", "2", "--out", "two"]].concat());
    for (process, ended) in ended.into_iter().enumerate() {
        assert_eq!(ended.done().contains("answered"), process == 0);
    }
    assert!(written(place, "two") == one, "two processes write other bytes");
    // A part that is gone is answered again, and it alone.
    std::fs::remove_file(place.join("one/part-00001.csv")).expect("a part");
    let resumed = batch(&["--workers", "2", "--out", "one", "--resume", "--json"]).done();
    assert_eq!(serde_json::from_str::<Value>(&resumed).expect("JSON")["resumed_parts"], 2);
    assert!(written(place, "three") == written(place, "one"), "resumed, other bytes");
    batch(&["--out", "x", "--method", "exact"]).refused(&["only combine", "--graph sharded"]);
    batch(&["--out", "x", "--exclude-seeds"]).refused(&["filters", "--graph sharded"]);
    batch(&["--out", "x", "--precision", "1e-9"]).refused(&["out of reach"]);
    batch(&["--out", "x", "--memory", "1MiB"]).refused(&["--memory 1.0MiB is too small"]);
    let other = [
        &BATCH[..6],
        &["--out", "one", "--format", "csv", "--rows-per-file", "100", "--resume", "--method", "combine"],
    ];
    run(place, &other.concat()).refused(&["begun otherwise"]);
}

#[test]
fn a_server_answers_as_a_batch_does() {
    let place = place();
    let place = place.path();
    let _ = run(place, &[&BATCH[..], &["--workers", "1", "--out", "one"]].concat()).done();
    let (_, part) = &written(place, "one")[1];
    let part = String::from_utf8(part.clone()).expect("UTF-8");
    let rows: Vec<Vec<&str>> = part.lines().skip(1).map(|line| line.split(',').collect()).collect();
    for stores in [&["cut.wp"][..], &["s.wp"; 3]] {
        let server = Server::start(place, stores);
        for answer in rows.chunks(5).take(4) {
            let seed = answer[0][0];
            let printed = run(place, &["query", "--server", &server.address, "--seed", seed, "--top", "5", "--json"]);
            let printed: Value = serde_json::from_str(&printed.done()).expect("JSON");
            for (row, result) in answer.iter().zip(printed["results"].as_array().expect("results")) {
                assert_eq!(row[1], result["id"], "{printed}");
                let (score, expected) = (result["score"].as_f64().expect("a score"), row[2].parse::<f64>());
                assert!((score - expected.expect("a score")).abs() < 1e-7, "{row:?} {result}");
            }
            assert_eq!(printed["method"], "combine");
        }
        let table = run(place, &["query", "--server", &server.address, "--seed", "7=2", "--seed", "9"]).done();
        assert!(table.contains("combine, ") && table.lines().count() > 10, "{table}");
        server.end();
    }
}

#[test]
fn bad_questions_get_an_error_and_the_next_an_answer() {
    let place = place();
    let server = Server::start(place.path(), &["cut.wp"]);
    let bad = [
        ("what?", "no question"),
        ("{}", "seeds"),
        (r#"{"seeds":[]}"#, "there are none"),
        (r#"{"seeds":["nobody"]}"#, "nobody"),
        (r#"{"seeds":[7],"top":0}"#, "top"),
        (r#"{"seeds":[7],"precision":0}"#, "precision"),
        (r#"{"seeds":[7],"alpha":0.5}"#, "alpha"),
        (r#"{"seeds":[7],"dangling":"uniform"}"#, "--dangling uniform"),
        (r#"{"seeds":[{"id":7,"weight":-1}]}"#, "weight"),
        (r#"{"seeds":[7],"top":1e99}"#, "no question"),
    ];
    let lines: Vec<&str> =
        bad.iter().map(|(line, _)| *line).chain([r#"{"seeds":[7,{"id":"9","weight":3}],"top":2}"#]).collect();
    let answers = server.say(&lines);
    for ((line, word), answer) in bad.iter().zip(&answers) {
        assert!(answer["error"].as_str().is_some_and(|error| error.contains(word)), "{line}: {answer}");
    }
    assert_eq!(answers[bad.len()]["results"].as_array().map(Vec::len), Some(2), "{:?}", answers[bad.len()]);
    // Bytes that are no text, and somebody who hangs up while being answered.
    let mut stream = TcpStream::connect(&server.address).expect("a server");
    stream.write_all(b"\xff\xfe\n").expect("a server that listens");
    let mut said = String::new();
    let _ = BufReader::new(stream).read_line(&mut said).expect("an answer");
    assert!(said.contains("UTF-8"), "{said}");
    let mut stream = TcpStream::connect(&server.address).expect("a server");
    stream.write_all(b"{\"seeds\":[7]}\n{\"se").expect("a server that listens");
    drop(stream);
    assert!(server.say(&[r#"{"seeds":[7]}"#])[0]["results"].is_array());
    run(place.path(), &["query", "--server", &server.address, "--seed", "nobody"]).refused(&["nobody"]);
    run(place.path(), &["query", "s.wp", "--server", &server.address, "--seed", "7"]).refused(&["over shards"]);
    run(place.path(), &["serve", "s.wp", "--listen", &server.address]).refused(&["listen"]);
    run(place.path(), &["serve", "cut.wp", "--listen", "0.0.0.0:0"]).refused(&["loopback"]);
    server.end();
    run(place.path(), &["query", "--server", "127.0.0.1:1", "--seed", "7"]).refused(&["127.0.0.1:1", "connect"]);
}
