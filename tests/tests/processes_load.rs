//! Keeps: **several processes load what one loads**, into one directory or each into its own; what one of them cannot do
//! ends all, with the stores as they were. Processes of the program on this machine's loopback.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::process::Child;

use tempfile::TempDir;
use walkprint_tests::draws::Draws;
use walkprint_tests::program::{Ended, run, signal, wait_until};
use walkprint_tests::stores::files;
use walkprint_tests::team::Team;

/// Two files of edges with weights, ids that are integers but for one late in the second.
fn place(lines: u32) -> TempDir {
    let place = tempfile::tempdir().expect("a temporary directory");
    let mut draws = Draws::new(7);
    for name in ["a.txt", "b.txt"] {
        let mut text = String::new();
        for _ in 0..lines {
            writeln!(text, "{} {} {}", draws.below(lines), draws.below(lines), 1 + draws.below(9))
                .expect("writing to memory");
        }
        if name == "b.txt" {
            text += "x 1 2\n";
        }
        std::fs::write(place.path().join(name), text).expect("room for a small file");
    }
    place
}

fn content(store: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = files(store);
    files.remove("lock");
    files
}

/// Starts all processes of a load, each with its own store.
fn load(team: &Team, place: &Path, stores: &[&str], more: &[&str]) -> Vec<Child> {
    let start = |(process, store): (usize, &&str)| {
        team.start(place, process, &[&["load", "a.txt", "b.txt", "--into", store, "--workers", "1"], more].concat())
    };
    stores.iter().enumerate().map(start).collect()
}

fn wait(team: Vec<Child>) -> Vec<Ended> {
    team.into_iter().map(Ended::wait).collect()
}

#[test]
fn shared_and_own_directories_are_gathered_to_what_one_process_loads() {
    let place = place(20_000);
    let place = place.path();
    let _ = run(place, &["load", "a.txt", "b.txt", "--into", "whole.wp", "--order", "id"]).done();
    let whole = content(&place.join("whole.wp"));
    let cases: [(&str, &[&str], &[&str]); 4] = [
        ("shared", &["s.wp", "s.wp"], &["s.wp"]),
        ("own", &["o0.wp", "o1.wp"], &["o0.wp", "o1.wp"]),
        ("two hosts", &["h0.wp", "h1.wp", "h0.wp", "h1.wp"], &["h1.wp", "h0.wp"]),
        ("alone", &["a0.wp"], &["a0.wp"]),
    ];
    for (name, stores, parts) in cases {
        let team = Team::new(place, stores.len());
        for (process, ended) in wait(load(&team, place, stores, &[])).into_iter().enumerate() {
            let (stdout, stderr) = (ended.stdout.clone(), ended.stderr.clone());
            let _ = ended.done();
            assert_eq!(stdout.contains("shards"), process == 0, "{name}: {stdout}");
            assert!(process == 0 || stderr.contains(&format!("process {process} is done")), "{name}: {stderr}");
        }
        let manifests: Vec<_> = parts.iter().map(|part| content(&place.join(part))["manifest.wpm"].clone()).collect();
        assert!(manifests.iter().all(|manifest| *manifest == manifests[0]), "{name}: manifests differ");
        let files: usize = parts.iter().map(|part| content(&place.join(part)).len() - 1).sum();
        assert_eq!(files, 2 * stores.len(), "{name}: two files a shard, each once");
        for part in parts {
            let verified = run(place, &["verify", part]).done();
            assert_eq!(verified.contains("not here"), 1 < parts.len(), "{name}: {verified}");
        }
        let into = format!("{name}.wp").replace(' ', "-");
        let _ = run(place, &[&["gather"], parts, &["--into", &into]].concat()).done();
        assert!(content(&place.join(&into)) == whole, "{name}: other bytes");
    }
}

#[test]
fn what_one_cannot_do_ends_all() {
    let place = place(500);
    let place = place.path();
    let team = Team::new(place, 2);
    let good = wait(load(&team, place, &["s.wp", "o.wp"], &[]));
    assert!(good.iter().all(|ended| ended.code == Some(0)), "{good:?}");
    let before = [content(&place.join("s.wp")), content(&place.join("o.wp"))];
    // All say why, with the file and the line.
    let refused = |stores: &[&str], more: &[&str], words: &[&str]| {
        for ended in wait(load(&team, place, stores, more)) {
            assert!(ended.code == Some(2) && ended.stdout.is_empty(), "{ended:?}");
            assert!(words.iter().all(|word| ended.stderr.contains(word)), "{words:?}: {ended:?}");
            assert!(!ended.stderr.contains("panicked"), "{ended:?}");
        }
    };
    refused(&["s.wp", "o.wp"], &[], &["s.wp", "--replace"]);
    refused(&["n.wp", "o.wp"], &[], &["o.wp", "--replace"]);
    assert!(!place.join("n.wp").exists());
    refused(&["n.wp", "n.wp"], &["--order", "degree"], &["--order degree"]);
    let text = std::fs::read_to_string(place.join("b.txt")).unwrap();
    std::fs::write(place.join("b.txt"), text.clone() + "1 2\n").unwrap();
    refused(&["s.wp", "o.wp"], &["--replace"], &["b.txt:502: expected 3 columns"]);
    refused(&["n.wp", "n.wp"], &[], &["b.txt:502: expected 3 columns"]);
    assert!(!place.join("n.wp").exists());
    // Other files than the others see; other options.
    std::fs::write(place.join("b.txt"), &text).unwrap();
    let other = tempfile::tempdir().unwrap();
    std::fs::write(other.path().join("b.txt"), text + "\n").unwrap();
    let other = other.path().join("b.txt").display().to_string();
    let ours = team.start(place, 0, &["load", "a.txt", "b.txt", "--into", "n.wp"]);
    let theirs = team.start(place, 1, &["load", "a.txt", &other, "--into", "m.wp"]);
    for ended in wait(vec![ours, theirs]) {
        assert!(ended.code == Some(2) && ended.stderr.contains("other input files"), "{ended:?}");
    }
    let ours = team.start(place, 0, &["load", "a.txt", "--into", "n.wp"]);
    let theirs = team.start(place, 1, &["load", "a.txt", "--into", "m.wp", "--undirected"]);
    for ended in wait(vec![ours, theirs]) {
        assert!(ended.code == Some(2) && ended.stderr.contains("--undirected"), "{ended:?}");
    }
    assert!(!place.join("n.wp").exists() && !place.join("m.wp").exists());
    assert!([content(&place.join("s.wp")), content(&place.join("o.wp"))] == before);
}

#[test]
fn a_process_that_is_killed_or_interrupted_ends_all_and_leaves_the_stores_as_they_were() {
    let place = place(150_000);
    let place = place.path();
    let team = Team::new(place, 2);
    for (name, store, code) in [("KILL", "s.wp", 2), ("INT", "i.wp", 130)] {
        let mut all = load(&team, place, &[store, store], &[]);
        assert!(wait_until(&mut all[1], || place.join(store).exists()), "it ended before it began");
        signal(&all[1], name);
        let ended = wait(all);
        assert_eq!(ended[0].code, Some(code), "{ended:?}");
        assert!(!place.join(store).join("manifest.wpm").exists(), "{name}");
    }
    // Who is interrupted cleans up; what was left by who was killed is in nobody's way.
    assert!(!place.join("i.wp").exists());
    let ended = wait(load(&team, place, &["s.wp", "s.wp"], &[]));
    assert!(ended.iter().all(|ended| ended.code == Some(0)), "{ended:?}");
    let names: Vec<String> = content(&place.join("s.wp")).into_keys().collect();
    let listed = ["graph-1-000.wpg", "graph-1-001.wpg", "labels-1-000.wpl", "labels-1-001.wpl", "manifest.wpm"];
    assert_eq!(names, listed);
}
