//! Keeps: **a batch by several processes over a whole store writes the files that one process writes** (issue 4, item 4),
//! whatever the method; one that loses a process can be gone on with; and processes that would answer other questions are
//! refused.

use std::path::Path;

use tempfile::TempDir;
use walkprint_tests::answers::written;
use walkprint_tests::graphs::sprawling;
use walkprint_tests::program::{Ended, run, signal, wait_until};
use walkprint_tests::team::Team;

const NODES: u32 = 2_000;

/// An indexed store `whole.wp` of a weighted graph with dangling nodes, its copy `copy.wp`, and lists of ids.
fn place() -> TempDir {
    let place = tempfile::tempdir().expect("a temporary directory");
    let path = place.path();
    let ring = (0..NODES).filter(|node| node % 7 != 3).map(|node| (node, (node + 1) % NODES, 1.5));
    let edges = sprawling(3, NODES, 5, true).edges.into_iter().filter(|edge| edge.0 % 7 != 3).chain(ring);
    let text: String = edges.map(|(from, to, weight)| format!("n{from}\tn{to}\t{weight}\n")).collect();
    std::fs::write(path.join("edges.tsv"), text).expect("room for a small file");
    let _ = run(path, &["load", "edges.tsv", "--into", "whole.wp"]).done();
    let _ = run(path, &["index", "whole.wp", "--walks", "24", "--workers", "1"]).done();
    copy(&path.join("whole.wp"), &path.join("copy.wp"));
    place
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).expect("a new directory");
    for entry in std::fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            let _ = std::fs::copy(entry.path(), to).expect("room for a small file");
        }
    }
}

fn batch<'a>(store: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["batch", store, "--top", "5", "--rows-per-file", "700", "--format", "csv"], more].concat()
}

#[test]
fn any_number_of_processes_writes_the_same_files() {
    let place = place();
    let place = place.path();
    for (method, sources) in [("combine", "all"), ("block", "all"), ("lookup", "all"), ("exact", "ids")] {
        let ids: String = (0..400).map(|at| format!("n{}\n", at * 5)).collect();
        std::fs::write(place.join("ids"), ids).expect("room for a small file");
        let asked = ["--method", method, "--sources", sources, "--exclude-seeds", "--replace"];
        let _ = run(place, &batch("whole.wp", &[&asked[..], &["--out", "expected", "--workers", "1"]].concat())).done();
        let expected = written(place, "expected");
        assert!(3 < expected.len(), "one part shows nothing");
        for (stores, workers) in [(&["whole.wp", "copy.wp"][..], "1"), (&["whole.wp"; 3], "2")] {
            let more = [&asked[..], &["--out", "out", "--workers", workers]].concat();
            let all = Team::new(place, stores.len()).run_over(place, stores, &batch("STORE", &more));
            for (process, ended) in all.into_iter().enumerate() {
                assert_eq!(ended.done().contains("answered"), process == 0);
            }
            assert!(written(place, "out") == expected, "{method}, {} processes: other bytes", stores.len());
        }
    }
}

#[test]
fn the_first_process_chooses_the_method_for_all() {
    let place = place();
    let place = place.path();
    let more = ["--sources", "all", "--precision", "0.1", "--workers", "1", "--out", "out", "--json"];
    let mut all = Team::new(place, 2).run(place, &batch("whole.wp", &more)).into_iter();
    let told: serde_json::Value = serde_json::from_str(&all.next().expect("process 0").done()).expect("JSON");
    let _ = all.next().expect("process 1").done();
    assert!(told["pilot"]["chosen"].is_string() && told["sources"] == 2_000, "{told}");
    let method = told["method"].as_str().expect("a method");
    let more = ["--sources", "all", "--precision", "0.1", "--method", method, "--out", "alone"];
    let _ = run(place, &batch("whole.wp", &more)).done();
    assert!(written(place, "out") == written(place, "alone"), "{method}: other bytes");
}

#[test]
fn a_killed_process_ends_all_and_others_resume() {
    let place = place();
    let place = place.path();
    let asked = ["--method", "exact", "--sources", "all"];
    let _ = run(place, &batch("whole.wp", &[&asked[..], &["--out", "expected"]].concat())).done();
    let team = Team::new(place, 3);
    let more = [&asked[..], &["--out", "out", "--workers", "1"]].concat();
    let mut processes: Vec<_> = (0..3).map(|process| team.start(place, process, &batch("whole.wp", &more))).collect();
    let sealed = || place.join("out/part-00001.csv").exists();
    assert!(wait_until(&mut processes[2], sealed), "it ended before two parts were sealed");
    signal(&processes[2], "KILL");
    let ended: Vec<Ended> = processes.into_iter().map(Ended::wait).collect();
    for other in &ended[..2] {
        assert!(other.code == Some(2) && other.stderr.contains(&team.name(2)), "{ended:?}");
        assert!(!other.stderr.contains("panicked"), "{ended:?}");
    }
    assert!(written(place, "out").len() < written(place, "expected").len(), "nothing was left to do");
    let resume = [&more[..], &["--resume"]].concat();
    for ended in Team::new(place, 2).run(place, &batch("whole.wp", &resume)) {
        let _ = ended.done();
    }
    assert!(written(place, "out") == written(place, "expected"), "other bytes");
    // Nothing is left: all find that out together.
    for ended in Team::new(place, 2).run(place, &batch("whole.wp", &resume)) {
        let _ = ended.done();
    }
}

#[test]
fn processes_that_would_answer_otherwise_are_refused() {
    let place = place();
    let place = place.path();
    let team = Team::new(place, 2);
    let together = |first: Vec<&str>, second: Vec<&str>| -> Vec<Ended> {
        let both = [team.start(place, 0, &first), team.start(place, 1, &second)];
        both.into_iter().map(Ended::wait).collect()
    };
    let refused = |all: Vec<Ended>, words: &[&str]| {
        for word in words {
            assert!(all.iter().any(|ended| ended.stderr.contains(word)), "no {word:?} in {all:?}");
        }
        assert!(all.iter().all(|ended| ended.code == Some(2) && !ended.stderr.contains("panicked")), "{all:?}");
    };
    let usual = ["--sources", "all", "--method", "combine", "--out", "out"];
    refused(
        together(batch("whole.wp", &usual), batch("whole.wp", &[&usual[..], &["--only", "n4"]].concat())),
        &["filters"],
    );
    refused(
        together(batch("whole.wp", &usual), batch("whole.wp", &[&usual[..], &["--graph", "sharded"]].concat())),
        &["--graph"],
    );
    // Lists of one name that hold other ids, on the hosts' own disks.
    for (directory, id) in [("a", "n1\n"), ("b", "n2\n")] {
        std::fs::create_dir(place.join(directory)).expect("a new directory");
        std::fs::write(place.join(directory).join("ids"), id).expect("room for a small file");
        for file in ["hosts", "key"] {
            let _ = std::fs::hard_link(place.join(file), place.join(directory).join(file));
        }
    }
    let own = |directory: &str, process| {
        let more = ["--sources", "ids", "--method", "combine", "--out", "out"];
        team.start(&place.join(directory), process, &batch("../whole.wp", &more))
    };
    let both = [own("a", 0), own("b", 1)];
    refused(both.into_iter().map(Ended::wait).collect(), &["other sources"]);
    // The index was built anew on one host only.
    let _ = run(place, &["index", "copy.wp", "--walks", "30", "--replace"]).done();
    refused(together(batch("whole.wp", &usual), batch("copy.wp", &usual)), &["indexes"]);
}
