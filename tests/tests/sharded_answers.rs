//! Keeps: **answers over a store in shards are those over the whole store, byte for byte** (issue 4, item 4): any number of
//! processes, in one directory or each with its own shards; and a shard that is missing or damaged, or a process that is
//! killed, ends in a clear error.

use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;
use walkprint_tests::answers::{Server, written};
use walkprint_tests::graphs::sprawling;
use walkprint_tests::program::{Ended, run, signal, wait_until};
use walkprint_tests::team::Team;

const NODES: u32 = 3_000;

/// Edges with weights between nodes with ids of many lengths, some of them dangling, and 60 of the ids in a file.
fn place() -> TempDir {
    let place = tempfile::tempdir().expect("a temporary directory");
    let id = |node: u32| format!("{:x}-{}", node * 2_654_435 % 65_521, "n".repeat((node % 5) as usize));
    let ring = (0..NODES).filter(|node| node % 7 != 3).map(|node| (node, (node + 1) % NODES, 1.5));
    let edges = sprawling(1, NODES, 5, true).edges.into_iter().filter(|edge| edge.0 % 7 != 3).chain(ring);
    let text: String = edges.map(|(from, to, weight)| format!("{}\t{}\t{weight}\n", id(from), id(to))).collect();
    std::fs::write(place.path().join("edges.tsv"), text).expect("room for a small file");
    let ids: String = (0..60).map(|at| format!("{}\n", id(at * 49))).collect();
    std::fs::write(place.path().join("ids"), ids).expect("room for a small file");
    place
}

/// Loads and indexes, each process into its own store, and gathers the whole store into `whole.wp`.
fn build(place: &Path, stores: &[&str]) -> Team {
    let team = Team::new(place, stores.len());
    let index = ["index", "STORE", "--workers", "1", "--walks", "24"];
    for arguments in [&["load", "edges.tsv", "--into", "STORE"][..], &index] {
        for ended in team.run_over(place, stores, arguments) {
            let _ = ended.done();
        }
    }
    let mut parts = stores.to_vec();
    parts.sort_unstable();
    parts.dedup();
    let _ = run(place, &[&["gather"], &parts[..], &["--into", "whole.wp"]].concat()).done();
    team
}

/// A batch over STORE, but for where it goes.
fn batch<'a>(store: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let usual = ["--sources", "ids", "--top", "5", "--format", "csv", "--rows-per-file", "100"];
    [&["batch", store], &usual[..], more].concat()
}

/// The answers over the whole store, by one worker.
fn expected(place: &Path, more: &[&str]) -> Vec<(String, Vec<u8>)> {
    let whole = ["--graph", "sharded", "--workers", "1", "--out", "expected"];
    let _ = run(place, &batch("whole.wp", &[&whole, more].concat())).done();
    written(place, "expected")
}

#[test]
fn batches_write_the_files_of_the_whole_store() {
    let cases: [(&[&str], &str); 3] =
        [(&["s.wp", "s.wp"], "2"), (&["o0.wp", "o1.wp", "o2.wp"], "1"), (&["h0.wp", "h1.wp", "h0.wp"], "2")];
    for (stores, workers) in cases {
        let place = place();
        let place = place.path();
        let team = build(place, stores);
        let expected = expected(place, &[]);
        assert_eq!(expected.len(), 4, "three parts and a manifest");
        let more = ["--workers", workers, "--out", "out"];
        for (process, ended) in team.run_over(place, stores, &batch("STORE", &more)).into_iter().enumerate() {
            assert_eq!(ended.done().contains("answered"), process == 0);
        }
        assert!(written(place, "out") == expected, "{stores:?}: other bytes");
        if stores.iter().all(|store| *store == stores[0]) {
            let _ = run(place, &batch(stores[0], &["--workers", "3", "--out", "alone"])).done();
            assert!(written(place, "alone") == expected, "{stores:?} alone: other bytes");
        }
    }
}

#[test]
fn all_nodes_under_every_policy_from_shards_of_their_own() {
    let place = place();
    let place = place.path();
    let stores = ["o0.wp", "o1.wp"];
    let team = build(place, &stores);
    for dangling in ["uniform", "drop"] {
        let all = |store, more: &[&'static str]| -> Vec<&str> {
            let usual =
                ["batch", store, "--sources", "all", "--top", "3", "--precision", "0.3", "--dangling", dangling];
            [&usual, more].concat()
        };
        let whole = ["--graph", "sharded", "--workers", "2", "--out", "expected", "--replace"];
        let _ = run(place, &all("whole.wp", &whole)).done();
        let more = ["--workers", "1", "--out", "out", "--replace"];
        for ended in team.run_over(place, &stores, &all("STORE", &more)) {
            let _ = ended.done();
        }
        assert!(written(place, "out") == written(place, "expected"), "{dangling}: other bytes");
    }
}

#[test]
fn servers_answer_as_one_over_the_whole_store() {
    let place = place();
    let place = place.path();
    let stores = ["o0.wp", "o1.wp", "o2.wp"];
    let _ = build(place, &stores);
    let ids = std::fs::read_to_string(place.join("ids")).expect("ids");
    let questions: Vec<String> = ids
        .lines()
        .take(12)
        .map(|id| {
            format!(r#"{{"seeds":["{id}",{{"id":"{}","weight":2}}],"top":7}}"#, ids.lines().last().expect("an id"))
        })
        .chain([r#"{"seeds":["nobody"]}"#.to_owned()])
        .collect();
    let lines: Vec<&str> = questions.iter().map(String::as_str).collect();
    let answers = |stores: &[&str]| -> Vec<Value> {
        let server = Server::start(place, stores);
        let mut answers = server.say(&lines);
        let asked = ["query", "--server", &server.address, "--seed", ids.lines().next().expect("an id"), "--json"];
        answers.push(serde_json::from_str(&run(place, &asked).done()).expect("JSON"));
        server.end();
        for answer in answers.iter_mut().filter(|answer| answer["error"].is_null()) {
            answer["took_us"] = Value::Null;
            assert!(answer["results"][0]["id"].as_str().is_some_and(|id| !id.is_empty()), "{answer}");
        }
        answers
    };
    let expected = answers(&["whole.wp"; 2]);
    assert!(expected[12]["error"].as_str().is_some_and(|error| error.contains("nobody")), "{}", expected[12]);
    assert_eq!(answers(&stores), expected);
    assert_eq!(answers(&["o0.wp", "o1.wp", "o2.wp", "o1.wp"]), expected);
}

/// A server that sees the types of all shards says those of its results; one that does not says none.
#[test]
fn servers_say_types_where_all_can_be_seen() {
    let place = place();
    let place = place.path();
    let ids = std::fs::read_to_string(place.join("ids")).expect("ids");
    let types: String = ids.lines().map(|id| format!("{id}\tlisted\n")).collect();
    std::fs::write(place.join("types.tsv"), types).expect("room for a small file");
    let typed = |stores: &[&str]| -> Vec<Value> {
        let team = Team::new(place, stores.len());
        let load = ["load", "edges.tsv", "--into", "STORE", "--node-types", "types.tsv"];
        for arguments in [&load[..], &["index", "STORE", "--workers", "1", "--walks", "24"]] {
            team.run_over(place, stores, arguments).into_iter().for_each(|ended| drop(ended.done()));
        }
        let server = Server::start(place, stores);
        let lines: Vec<String> = ids.lines().take(6).map(|id| format!(r#"{{"seeds":["{id}"],"top":9}}"#)).collect();
        let answers = server.say(&lines.iter().map(String::as_str).collect::<Vec<_>>());
        server.end();
        answers.into_iter().flat_map(|answer| answer["results"].as_array().expect("results").clone()).collect()
    };
    let is_listed = |result: &Value| ids.lines().any(|id| result["id"] == id);
    let (shared, apart) = (typed(&["s.wp", "s.wp"]), typed(&["o0.wp", "o1.wp"]));
    assert!(shared.iter().all(|result| (result["type"] == "listed") == is_listed(result)), "{shared:?}");
    assert!(shared.iter().any(is_listed) && !shared.iter().all(is_listed), "{shared:?}");
    assert!(apart.iter().all(|result| result["type"].is_null()), "{apart:?}");
}

/// All processes refuse, and say these words somewhere.
fn refused(all: &[Ended], words: &[&str]) {
    for ended in all {
        assert!(ended.code == Some(2) && ended.stdout.is_empty() && !ended.stderr.contains("panicked"), "{all:?}");
        for word in words {
            assert!(ended.stderr.contains(word), "no {word:?} in {all:?}");
        }
    }
}

#[test]
fn what_is_missing_or_damaged_is_named() {
    let place = place();
    let place = place.path();
    let stores = ["o0.wp", "o1.wp"];
    let team = build(place, &stores);
    let attempt = || team.run_over(place, &stores, &batch("STORE", &["--workers", "1", "--out", "out"]));
    let own = place.join("o1.wp");
    for (file, part, words) in [
        // An eighth into it are targets; sampling tables, which answers do not read, are behind the middle.
        ("graph-1-001.wpg", 8, ["graph-1-001.wpg", "in no process's store"]),
        ("labels-1-001.wpl", 2, ["labels-1-001.wpl", "in no process's store"]),
    ] {
        std::fs::rename(own.join(file), own.join("away")).expect("a shard");
        refused(&attempt(), &words);
        std::fs::rename(own.join("away"), own.join(file)).expect("a shard");
        let whole = std::fs::read(own.join(file)).expect("a shard");
        let mut damaged = whole.clone();
        damaged[whole.len() / part] ^= 0x10;
        std::fs::write(own.join(file), &damaged).expect("a shard");
        refused(&attempt(), &[file, "damaged"]);
        std::fs::write(own.join(file), &whole).expect("a shard");
    }
    let segment = place.join("o0.wp/index-default-1/segment-000000.wps");
    std::fs::rename(&segment, place.join("away")).expect("a segment");
    refused(&attempt(), &["segment-000000.wps", "in no process's store"]);
    std::fs::rename(place.join("away"), &segment).expect("a segment");
    assert!(!place.join("out").exists(), "a batch that was refused left a directory");
    // One process alone does not see everything.
    run(place, &batch("o1.wp", &["--out", "out"])).refused(&["no index"]);
    run(place, &batch("o0.wp", &["--out", "out"])).refused(&["graph-1-001.wpg", "in no process's store"]);
    run(place, &batch("o0.wp", &["--out", "out", "--only", "x"])).refused(&["--only", "shards"]);
    run(place, &batch("o0.wp", &["--out", "out", "--graph", "replicated"])).refused(&["walkprint gather"]);
    run(place, &["query", "o0.wp", "--seed", "x"]).refused(&["walkprint gather"]);
    for ended in attempt() {
        let _ = ended.done();
    }
    assert!(written(place, "out") == expected(place, &[]), "other bytes");
}

#[test]
fn a_killed_process_ends_all_and_others_resume() {
    let place = place();
    let place = place.path();
    let stores = ["s.wp", "s.wp", "s.wp"];
    let team = build(place, &stores);
    let all = |store, more: &[&'static str]| -> Vec<&str> {
        let usual = ["batch", store, "--sources", "all", "--top", "3", "--precision", "0.05", "--rows-per-file", "300"];
        [&usual, more].concat()
    };
    let _ = run(place, &all("whole.wp", &["--graph", "sharded", "--workers", "2", "--out", "expected"])).done();
    let more = ["--workers", "1", "--out", "out"];
    let mut processes = team.start_over(place, &stores, &all("STORE", &more));
    let sealed = || place.join("out/part-00001.parquet").exists();
    assert!(wait_until(&mut processes[2], sealed), "it ended before two parts were sealed");
    signal(&processes[2], "KILL");
    let ended: Vec<Ended> = processes.into_iter().map(Ended::wait).collect();
    for other in &ended[..2] {
        assert!(other.code == Some(2) && other.stderr.contains(&team.name(2)), "{ended:?}");
        assert!(!other.stderr.contains("panicked"), "{ended:?}");
    }
    assert!(written(place, "out").len() < written(place, "expected").len(), "nothing was left to do");
    let fewer = Team::new(place, 2);
    let resume = [&more[..], &["--resume"]].concat();
    for ended in fewer.run_over(place, &["s.wp", "s.wp"], &all("STORE", &resume)) {
        let _ = ended.done();
    }
    assert!(written(place, "out") == written(place, "expected"), "other bytes");
}
