//! Keeps: **a killed program leaves a store that is as good as before; a killed or interrupted build goes on where it
//! stopped and ends with the same bytes** (issue 2, show 4; DESIGN, invariants 1 and 2). Here the program is a process of
//! its own and dies of signals; `same_bytes.rs` does the same with threads.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;

use tempfile::TempDir;
use walkprint_tests::graphs::sprawling;
use walkprint_tests::program::{self, Ended, command, run, signal, wait_until};
use walkprint_tests::stores::{files, segments};

/// 70 pipelines or so, which one worker walks in a second or two.
const WALKS: &str = "256";

/// Edges of a graph that takes a while: 20,000 nodes.
fn edges() -> &'static str {
    static EDGES: OnceLock<String> = OnceLock::new();
    EDGES.get_or_init(|| {
        let edges = sprawling(1, 20_000, 6, true).edges;
        edges.into_iter().map(|(source, target, weight)| format!("{source}\t{target}\t{weight}\n")).collect()
    })
}

/// A directory with `edges.tsv`, and `s.wp` loaded from it.
fn loaded() -> TempDir {
    let place = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(place.path().join("edges.tsv"), edges()).expect("room for a file");
    let _ = run(place.path(), &["load", "edges.tsv", "--into", "s.wp"]).done();
    place
}

/// The segments of a build that nothing disturbed.
fn undisturbed() -> &'static BTreeMap<String, Vec<u8>> {
    static SEGMENTS: OnceLock<BTreeMap<String, Vec<u8>>> = OnceLock::new();
    SEGMENTS.get_or_init(|| {
        let place = loaded();
        let _ = run(place.path(), &["index", "s.wp", "--walks", WALKS]).done();
        let found = segments(&place.path().join("s.wp"), "default");
        assert!(60 <= found.len(), "{} pipelines are too few", found.len());
        found
    })
}

fn sealed(place: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(place.join("s.wp/index-default-1")) else { return 0 };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter(|name| name.ends_with(".wps")).count()
}

/// Resumes, and expects what an undisturbed build would have left.
fn resume(place: &Path, workers: &str) {
    let _ = run(place, &["index", "s.wp", "--walks", WALKS, "--workers", workers, "--resume"]).done();
    assert!(segments(&place.join("s.wp"), "default") == *undisturbed(), "other bytes");
    let _ = run(place, &["verify", "s.wp"]).done();
}

#[test]
fn killed_at_ten_moments() {
    // The number of pipelines on the disk; at the first moment not even the directory need be there.
    for (turn, moment) in [0, 1, 2, 4, 7, 12, 18, 25, 33, 42].into_iter().enumerate() {
        let place = loaded();
        let place = place.path();
        let manifest = files(&place.join("s.wp"))["manifest.wpm"].clone();
        let workers = ["1", "2", "3"][turn % 3];
        let mut child = command(place, &["index", "s.wp", "--walks", WALKS, "--workers", workers]).spawn().unwrap();
        let plan = place.join("s.wp/index-default-1/plan.wpm");
        assert!(wait_until(&mut child, || plan.exists() && moment <= sealed(place)), "{:?}", Ended::wait(child));
        child.kill().unwrap();
        let ended = Ended::wait(child);
        assert_eq!(ended.code, None, "killed at {moment}: {ended:?}");

        // As good as before: the graph answers, the index does not exist, and a new build asks what to do.
        assert!(files(&place.join("s.wp"))["manifest.wpm"] == manifest);
        let _ = run(place, &["verify", "s.wp"]).done();
        run(place, &["query", "s.wp", "--seed", "1", "--method", "lookup"]).refused(&["no index"]);
        run(place, &["index", "s.wp", "--walks", WALKS]).refused(&["was interrupted", "--resume", "--replace"]);
        run(place, &["index", "s.wp", "--resume"]).refused(&[&format!("--walks {WALKS}")]);
        resume(place, ["2", "1", "5"][turn % 3]);
    }
}

#[test]
fn killed_again_and_again() {
    let place = loaded();
    let place = place.path();
    let mut resumed: &[&str] = &[];
    for moment in [3, 9, 20, 35] {
        let arguments = [&["index", "s.wp", "--walks", WALKS, "--workers", "1"], resumed].concat();
        let mut child = command(place, &arguments).spawn().unwrap();
        assert!(wait_until(&mut child, || moment <= sealed(place)), "{:?}", Ended::wait(child));
        child.kill().unwrap();
        assert_eq!(Ended::wait(child).code, None);
        resumed = &["--resume"];
    }
    resume(place, "2");
}

#[test]
fn ctrl_c_stops_and_says_how_to_go_on() {
    for name in ["INT", "TERM"] {
        let place = loaded();
        let place = place.path();
        let mut child = command(place, &["index", "s.wp", "--walks", WALKS, "--workers", "1"]).spawn().unwrap();
        assert!(wait_until(&mut child, || 2 <= sealed(place)), "{:?}", Ended::wait(child));
        signal(&child, name);
        let ended = Ended::wait(child);
        assert!(ended.code == Some(130) && ended.stdout.is_empty(), "{name}: {ended:?}");
        assert!(ended.stderr.contains("--resume") && ended.stderr.contains("interrupted"), "{name}: {ended:?}");
        let on_disk = sealed(place);
        assert!(2 <= on_disk && on_disk < undisturbed().len(), "{name}: {on_disk}");
        assert!(ended.stderr.contains(&format!("{on_disk} pipelines are on the disk")), "{name}: {ended:?}");
        resume(place, "1");
    }
}

#[test]
fn a_killed_replacement_leaves_the_old_index() {
    let place = loaded();
    let place = place.path();
    let _ = run(place, &["index", "s.wp", "--walks", "4"]).done();
    let ask = || program::results(place, &["s.wp", "--seed", "1", "--method", "lookup", "--top", "50"]);
    let before = ask();
    let mut child = command(place, &["index", "s.wp", "--walks", WALKS, "--replace"]).spawn().unwrap();
    let segment = place.join("s.wp/index-default-2/segment-000002.wps");
    assert!(wait_until(&mut child, || segment.exists()), "{:?}", Ended::wait(child));
    child.kill().unwrap();
    assert_eq!(Ended::wait(child).code, None);
    assert_eq!(ask(), before);
    let _ = run(place, &["verify", "s.wp"]).done();
    let _ = run(place, &["index", "s.wp", "--walks", WALKS, "--resume"]).done();
    assert_ne!(ask(), before);
    let mut new = files(&place.join("s.wp/index-default-2"));
    new.retain(|name, _| name.ends_with(".wps"));
    assert!(new == *undisturbed());
}

#[test]
fn a_killed_load_is_simply_repeated() {
    let whole = {
        let place = loaded();
        graph_files(&place.path().join("s.wp"))
    };
    // Killed when this file appears; where the program is faster than the eye, it may have gone further.
    for file in ["lock", "graph-1.wpg.tmp", "graph-1.wpg", "labels-1.wpl.tmp", "labels-1.wpl", "manifest.wpm.tmp"] {
        let place = tempfile::tempdir().unwrap();
        let place = place.path();
        std::fs::write(place.join("edges.tsv"), edges()).unwrap();
        let mut child = command(place, &["load", "edges.tsv", "--into", "s.wp"]).spawn().unwrap();
        let _ = wait_until(&mut child, || place.join("s.wp").join(file).exists());
        child.kill().unwrap();
        let _ = Ended::wait(child);
        if place.join("s.wp/manifest.wpm").exists() {
            run(place, &["load", "edges.tsv", "--into", "s.wp"]).refused(&["exists", "--replace"]);
        } else {
            run(place, &["query", "s.wp", "--seed", "1"]).refused(&["no Walkprint store"]);
            let _ = run(place, &["load", "edges.tsv", "--into", "s.wp"]).done();
        }
        assert!(graph_files(&place.join("s.wp")) == whole, "killed at {file}");
        let _ = run(place, &["verify", "s.wp"]).done();
    }
}

#[test]
fn a_killed_replacing_load_leaves_the_old_graph() {
    for file in ["graph-2.wpg.tmp", "graph-2.wpg", "labels-2.wpl.tmp", "labels-2.wpl"] {
        let place = tempfile::tempdir().unwrap();
        let place = place.path();
        std::fs::write(place.join("old.tsv"), "a b\nb a\n").unwrap();
        std::fs::write(place.join("edges.tsv"), edges()).unwrap();
        let _ = run(place, &["load", "old.tsv", "--into", "s.wp"]).done();
        let mut child = command(place, &["load", "edges.tsv", "--into", "s.wp", "--replace"]).spawn().unwrap();
        let _ = wait_until(&mut child, || place.join("s.wp").join(file).exists());
        child.kill().unwrap();
        let _ = Ended::wait(child);
        let _ = run(place, &["verify", "s.wp"]).done();
        // Whichever graph counts, it answers.
        let old = run(place, &["inspect", "s.wp", "--json"]).done().contains("\"nodes\": 2,");
        let _ = run(place, &["query", "s.wp", "--seed", if old { "a" } else { "1" }]).done();
        let _ = run(place, &["load", "edges.tsv", "--into", "s.wp", "--replace"]).done();
        let names: Vec<String> = files(&place.join("s.wp")).into_keys().collect();
        assert_eq!(names.len(), 4, "graph, labels, manifest, lock: {names:?}");
    }
}

/// The graph and its labels.
fn graph_files(store: &Path) -> Vec<Vec<u8>> {
    let named = files(store).into_iter().filter(|(name, _)| name.ends_with(".wpg") || name.ends_with(".wpl"));
    let found: Vec<Vec<u8>> = named.map(|(_, bytes)| bytes).collect();
    assert_eq!(found.len(), 2, "one graph and its labels");
    found
}
