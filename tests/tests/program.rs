//! Keeps: **every bad input gets a clear message and the right exit code, and leaves a store that is as good as before**
//! (issue 2, "Bad input"), and what the program prints for machines.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use walkprint_engine::store::StoreLock;
use walkprint_tests::program::{Ended, command, path, run, signal, with_full_disk};
use walkprint_tests::stores::files;

/// A directory with a file of edges and a store `s.wp` that has an index.
fn place() -> TempDir {
    let place = tempfile::tempdir().expect("a temporary directory");
    write(place.path(), "edges.tsv", "ann\tbob\t2\nbob\tcat\t1\ncat\tann\t1\nann\tdog\t3\ndogma\tdog\t1\n");
    let _ = run(place.path(), &["load", "edges.tsv", "--into", "s.wp"]).done();
    let _ = run(place.path(), &["index", "s.wp", "--walks", "8"]).done();
    place
}

fn write(directory: &Path, name: &str, content: impl AsRef<[u8]>) {
    std::fs::write(directory.join(name), content).expect("room for a small file");
}

/// Runs and expects a refusal that leaves the store `s.wp` as it was.
fn refused(place: &Path, arguments: &[&str], words: &[&str]) {
    let before = files(&place.join("s.wp"));
    run(place, arguments).refused(words);
    assert!(files(&place.join("s.wp")) == before, "{arguments:?} changed the store");
}

#[test]
fn input_that_cannot_be_loaded() {
    let place = place();
    let place = place.path();
    let cases: [(&str, &str, &[&str]); 10] = [
        ("empty.tsv", "", &["empty.tsv", "empty"]),
        ("comments.tsv", "# nothing\n", &["comments.tsv", "expected edges"]),
        ("ragged.tsv", "1\t2\t3\n1\t2\n", &["ragged.tsv:2", "expected 3 columns", "got 2"]),
        ("word.tsv", "a\tb\t1\na\tc\t1O4\n", &["word.tsv:2", "expected a weight", "\"1O4\""]),
        ("negative.tsv", "a\tb\t1\na\tc\t-4\n", &["negative.tsv:2", "expected a weight", "\"-4\""]),
        ("nan.tsv", "a\tb\tNaN\n", &["nan.tsv:1", "finite", "\"NaN\""]),
        ("infinite.tsv", "a\tb\tinf\n", &["infinite.tsv:1", "finite", "\"inf\""]),
        ("overflow.tsv", "a\tb\t1e308\na\tb\t1e308\n", &["add up to infinity"]),
        ("text.csv", "no,columns,here\n1,2,3\n", &["text.csv"]),
        ("zip.tsv.gz", "this is no gzip", &["zip.tsv.gz"]),
    ];
    for (name, content, words) in cases {
        write(place, name, content);
        refused(place, &["load", name, "--into", "new.wp"], words);
        assert!(!place.join("new.wp").exists(), "{name}: a store was begun and left");
        refused(place, &["load", name, "--into", "s.wp", "--replace"], words);
    }
    refused(place, &["load", "missing.tsv", "--into", "new.wp"], &["missing.tsv", "No such file"]);
    refused(place, &["load", ".", "--into", "new.wp"], &["directory"]);
    refused(place, &["load", "edges.tsv", "missing.tsv", "--into", "new.wp"], &["missing.tsv", "No such file"]);
    refused(place, &["load", "edges.tsv", "--into", "no/such/place.wp"], &["no/such/place.wp", "No such file"]);
    refused(place, &["load", "edges.tsv", "--into", "edges.tsv"], &["edges.tsv"]);
    refused(place, &["load", "edges.tsv", "--into", "s.wp"], &["s.wp", "exists", "--replace"]);
    refused(place, &["load", "edges.tsv", "--into", "new.wp", "--weight-col", "9"], &["9"]);
    refused(place, &["load", "edges.tsv", "--into", "new.wp", "--memory", "lots"], &["lots", "4GiB"]);
    assert!(!place.join("new.wp").exists());
}

#[test]
fn questions_that_cannot_be_answered() {
    let place = place();
    let place = place.path();
    let ask = |more: &[&str], words: &[&str]| refused(place, &[&["query", "s.wp"], more].concat(), words);
    ask(&["--seed", "elk"], &["\"elk\"", "no node"]);
    ask(&["--seed", "dogs"], &["\"dogs\"", "no node", "\"dog\"", "\"dogma\""]);
    ask(&["--seed", "ann=0", "--seed", "bob=0"], &["all weights are zero"]);
    ask(&["--seed", "ann=-1"], &["\"ann\"", "-1", "not negative"]);
    ask(&["--seed", "ann=nan"], &["\"ann\"", "finite"]);
    ask(&["--seed", "ann=inf"], &["\"ann\"", "finite"]);
    ask(&["--seed", "ann=much"], &["\"ann=much\"", "no node"]);
    ask(&[], &["--seed"]);
    ask(&["--seeds-file", "missing.txt"], &["missing.txt", "No such file"]);
    write(place, "seeds.txt", "ann\t1\nbob\tmuch\n");
    ask(&["--seeds-file", "seeds.txt"], &["seeds.txt:2", "expected a weight", "\"much\""]);
    ask(&["--seed", "ann", "--top", "0"], &["top", "at least 1"]);
    ask(&["--seed", "ann", "--top", "some"], &["some"]);
    ask(&["--seed", "ann", "--method", "magic"], &["magic", "combine"]);
    ask(&["--seed", "ann", "--dangling", "loop"], &["loop", "self-loop"]);
    ask(&["--seed", "ann", "--index", "other"], &["\"other\"", "default"]);
    ask(&["--seed", "ann", "--restart-prob", "0.3", "--method", "lookup"], &["0.3", "walkprint index"]);
    ask(&["--seed", "ann", "--alpha", "0.15"], &["--restart-prob", "--damping"]);
    refused(place, &["query", "none.wp", "--seed", "ann"], &["none.wp", "no Walkprint store", "walkprint load"]);
    refused(place, &["query", "edges.tsv", "--seed", "ann"], &["edges.tsv", "no Walkprint store"]);
    for command in ["index", "plan", "inspect", "verify"] {
        refused(place, &[command, "none.wp"], &["none.wp", "no Walkprint store"]);
    }
}

#[test]
fn indexes_that_cannot_be_built() {
    let place = place();
    let place = place.path();
    let index = |more: &[&str], words: &[&str]| {
        refused(place, &[&["index", "s.wp", "--name", "new"], more].concat(), words);
    };
    for bad in ["0", "1.5", "nan", "-0.1", "inf", "often"] {
        index(&[&format!("--restart-prob={bad}")], &["--restart-prob", bad]);
    }
    for bad in ["1", "-0.1", "nan"] {
        index(&[&format!("--damping={bad}")], &["--damping", bad]);
    }
    index(&["--restart-prob", "0.15", "--damping", "0.85"], &["--restart-prob", "--damping", "cannot be used with"]);
    index(&["--alpha", "0.15"], &["alpha", "--restart-prob 0.15", "--damping 0.85"]);
    for bad in ["0", "-1", "16777217", "many"] {
        index(&[&format!("--walks={bad}")], &["--walks", bad]);
    }
    for bad in ["-1", "nan", "inf"] {
        index(&[&format!("--walks-per-edge={bad}")], &["--walks-per-edge", bad]);
    }
    index(&["--workers", "0"], &["--workers"]);
    index(&["--memory", "1MiB"], &["--memory", "1.0MiB", "too small", "MiB"]);
    index(&["--restart-prob", "1e-18"], &["--memory", "too small"]);
    index(&["--resume"], &["no interrupted build", "--resume"]);
    refused(place, &["index", "s.wp"], &["s.wp", "\"default\" exists", "--replace", "--name"]);
    refused(place, &["index", "s.wp", "--name", "../out"], &["../out", "letters, digits"]);
}

#[test]
fn a_full_disk() {
    let place = place();
    let place = place.path();
    let edges: String =
        (0..40_000).map(|edge| format!("{}\t{}\t{}\n", edge % 5000, edge * 7 % 4999, edge % 9 + 1)).collect();
    write(place, "large.tsv", edges);
    for blocks in [0, 1, 100, 500] {
        let before = files(&place.join("s.wp"));
        let full = with_full_disk(place, blocks, "load large.tsv --into new.wp");
        full.refused(&["new.wp", "could not write", "File too large"]);
        assert!(!place.join("new.wp").exists(), "{blocks} blocks: a store was begun and left");
        with_full_disk(place, blocks, "load large.tsv --into s.wp --replace").refused(&["s.wp", "could not write"]);
        let mut after = files(&place.join("s.wp"));
        after.retain(|name, _| before.contains_key(name));
        assert!(after == before, "{blocks} blocks: the old store was changed");
        let _ = run(place, &["verify", "s.wp"]).done();
    }
    // An index that ran out of room goes on when there is some.
    let _ = run(place, &["load", "large.tsv", "--into", "large.wp"]).done();
    with_full_disk(place, 100, "index large.wp").refused(&["large.wp", "could not write", "File too large"]);
    assert_eq!(run(place, &["inspect", "large.wp", "--json"]).done().matches("fingerprint_digest").count(), 0);
    let _ = run(place, &["index", "large.wp", "--resume"]).done();
    let _ = run(place, &["verify", "large.wp"]).done();
}

#[test]
fn a_damaged_store() {
    let place = place();
    let place = place.path();
    let whole = files(&place.join("s.wp"));
    let is_listed = |name: &&String| !name.ends_with("plan.wpm") && name.as_str() != "lock";
    for name in whole.keys().filter(is_listed) {
        let restore = || write(&place.join("s.wp"), name, &whole[name]);
        let verify = |what: &str| {
            let ended = run(place, &["verify", "s.wp"]);
            assert!(ended.code == Some(1) && ended.stdout.contains("damaged"), "{name}, {what}: {ended:?}");
            let json = run(place, &["verify", "s.wp", "--json"]);
            assert_eq!(json.code, Some(1));
            assert_eq!(serde_json::from_str::<Value>(&json.stdout).unwrap()["whole"], false);
        };
        let mut flipped = whole[name].clone();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 1;
        write(&place.join("s.wp"), name, &flipped);
        verify("a flipped bit");
        write(&place.join("s.wp"), name, &whole[name][..middle]);
        verify("cut in half");
        let asked = run(place, &["query", "s.wp", "--seed", "ann", "--method", "lookup"]);
        asked.refused(&["s.wp", "damaged"]);
        write(&place.join("s.wp"), name, "");
        verify("empty");

        // A store of another version is not damaged: the program cannot say. But within a store all versions are one.
        let mut newer = whole[name].clone();
        let is_manifest = name.ends_with("manifest.wpm");
        let (at, version) = if is_manifest { ("walkprint ".len(), b'2') } else { (8, 2) };
        newer[at] = version;
        write(&place.join("s.wp"), name, &newer);
        run(place, &["query", "s.wp", "--seed", "ann", "--method", "lookup"]).refused(&["version 2", "version 1"]);
        if is_manifest {
            run(place, &["verify", "s.wp"]).refused(&["version 2", "version 1"]);
        } else {
            verify("another version");
        }
        restore();
        assert!(run(place, &["verify", "s.wp"]).done().contains("whole"));
    }
}

#[test]
fn one_writer_at_a_time() {
    let place = place();
    let place = place.path();
    let lock = StoreLock::existing(&place.join("s.wp")).unwrap();
    let words = ["s.wp", "locked", "another walkprint"];
    refused(place, &["index", "s.wp", "--name", "new"], &words);
    refused(place, &["index", "s.wp", "--replace"], &words);
    refused(place, &["load", "edges.tsv", "--into", "s.wp", "--replace"], &words);
    for reader in
        [&["query", "s.wp", "--seed", "ann"][..], &["inspect", "s.wp"], &["verify", "s.wp"], &["plan", "s.wp"]]
    {
        let _ = run(place, reader).done();
    }
    drop(lock);
    let _ = run(place, &["index", "s.wp", "--name", "new"]).done();
}

/// Runs the program without the powers of root, if this is root: as another user, from a copy that this user may read.
/// `None` when there is no way to.
fn unprivileged(place: &Path, arguments: &[&str]) -> Option<Ended> {
    let root = std::fs::read_to_string("/proc/self/status").is_ok_and(|status| status.contains("\nUid:\t0\t"));
    if !root {
        return Some(run(place, arguments));
    }
    let copy = place.join("walkprint");
    if !copy.exists() {
        std::fs::copy(path(), &copy).expect("room for a copy of the program");
        std::fs::set_permissions(place, PermissionsExt::from_mode(0o755)).expect("a directory of the test's own");
    }
    let as_nobody = |arguments: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).arg(&copy).args(arguments);
        command.current_dir(place).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().ok()
    };
    let works = as_nobody(&["--version"]).is_some_and(|child| Ended::wait(child).code == Some(0));
    works.then(|| as_nobody(arguments).map(Ended::wait)).flatten()
}

#[test]
fn no_permission() {
    let place = place();
    let place = place.path();
    let mode = |name: &str, mode: u32| {
        std::fs::set_permissions(place.join(name), PermissionsExt::from_mode(mode)).expect("a file of the test's own");
    };
    let Some(version) = unprivileged(place, &["--version"]) else {
        println!("skipped: this is root, and setpriv does not make it anyone else");
        return;
    };
    assert!(version.done().starts_with("walkprint "));
    let run = |arguments: &[&str]| unprivileged(place, arguments).expect("it worked before");

    write(place, "secret.tsv", "1 2\n");
    mode("secret.tsv", 0o000);
    std::fs::create_dir(place.join("open")).unwrap();
    mode("open", 0o777);
    run(&["load", "secret.tsv", "--into", "open/new.wp"]).refused(&["secret.tsv", "Permission denied"]);
    assert!(!place.join("open/new.wp").exists());

    // A store that may be read only: questions are answered, nothing is written.
    let before = files(&place.join("s.wp"));
    mode("s.wp", 0o555);
    mode("s.wp/lock", 0o444);
    assert!(run(&["query", "s.wp", "--seed", "ann", "--method", "lookup"]).done().contains("ann"));
    let _ = run(&["inspect", "s.wp"]).done();
    assert!(run(&["verify", "s.wp"]).done().contains("whole"));
    run(&["index", "s.wp", "--name", "new"]).refused(&["s.wp", "Permission denied"]);
    run(&["load", "edges.tsv", "--into", "s.wp", "--replace"]).refused(&["s.wp", "Permission denied"]);
    run(&["load", "edges.tsv", "--into", "new.wp"]).refused(&["new.wp", "Permission denied"]);
    assert!(files(&place.join("s.wp")) == before);

    // A store that may not be entered is not taken for no store.
    mode("s.wp", 0o000);
    run(&["query", "s.wp", "--seed", "ann"]).refused(&["s.wp", "Permission denied"]);
    run(&["verify", "s.wp"]).refused(&["s.wp", "Permission denied"]);
    mode("s.wp", 0o755);
}

#[test]
fn a_reader_that_goes_away_and_a_full_output() {
    let place = place();
    let place = place.path();
    // More than a pipe holds.
    let edges: String = (0..20_000).map(|edge| format!("hub\tnode-with-a-long-name-{edge}\n")).collect();
    write(place, "star.tsv", edges);
    let _ = run(place, &["load", "star.tsv", "--into", "star.wp"]).done();
    for format in [&[][..], &["--json"]] {
        let arguments = [&["query", "star.wp", "--seed", "hub", "--top", "100000"], format].concat();
        assert!(200_000 < run(place, &arguments).done().len());
        let mut child = command(place, &arguments).spawn().unwrap();
        let mut line = String::new();
        BufReader::with_capacity(1, child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ended = Ended::wait(child);
        assert!(!line.is_empty() && ended.stderr.is_empty() && ended.code == Some(0), "{ended:?}");

        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let ended = Ended::wait(command(place, &arguments).stdout(full).spawn().unwrap());
        ended.refused(&["could not write to standard output", "No space left"]);
    }
    // With nobody to read the errors either, the exit code remains.
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let ended = Ended::wait(command(place, &["query", "star.wp", "--seed", "nobody"]).stderr(full).spawn().unwrap());
    assert_eq!(ended.code, Some(2));
}

/// A load from a pipe, which is as slow as its writer: interrupted in the middle.
#[test]
fn ctrl_c_while_loading() {
    let place = place();
    let place = place.path();
    let before = files(&place.join("s.wp"));
    for name in ["INT", "TERM"] {
        for (store, replace) in [("new.wp", &[][..]), ("s.wp", &["--replace"])] {
            let arguments = [&["load", "/dev/stdin", "--format", "edge-list", "--into", store], replace].concat();
            let mut child = command(place, &arguments).stdin(Stdio::piped()).spawn().unwrap();
            let mut input = child.stdin.take().unwrap();
            let line = "1 2 3\n".repeat(10_000);
            // It reads, so it has set up everything else; then lines until it has had enough.
            (0..100).for_each(|_| input.write_all(line.as_bytes()).unwrap());
            signal(&child, name);
            while input.write_all(line.as_bytes()).is_ok() {}
            let ended = Ended::wait(child);
            assert!(ended.code == Some(130) && ended.stdout.is_empty(), "{ended:?}");
            assert!(ended.stderr.contains("interrupted"), "{ended:?}");
            assert!(!place.join("new.wp").exists());
            assert!(files(&place.join("s.wp")) == before);
        }
    }
}

#[test]
fn json_for_machines() {
    let place = place();
    let place = place.path();
    let json = |arguments: &[&str]| -> Value { serde_json::from_str(&run(place, arguments).done()).expect("JSON") };

    let inspected = json(&["inspect", "s.wp", "--json"]);
    assert_eq!((&inspected["graph"]["nodes"], &inspected["graph"]["edges"]), (&5.into(), &5.into()));
    let index = &inspected["indexes"][0];
    assert_eq!(index["name"], "default");
    assert_eq!(index["plan"]["walks"], 8);
    assert!(index["entries"].as_u64().unwrap() > 0 && index["bytes"].as_u64().unwrap() > 0);
    assert_eq!(index["fingerprint_digest"].as_str().unwrap().len(), 32);

    for method in ["lookup", "combine", "exact"] {
        let answer = json(&["query", "s.wp", "--seed", "ann=2", "--seed", "bob", "--method", method, "--json"]);
        assert_eq!((&answer["method"], &answer["dangling"]), (&method.into(), &"restart".into()));
        assert_eq!(answer["truncated"], true, "ten were asked for, of five");
        assert!(answer["took_us"].is_u64());
        assert!((0.9..=1.0).contains(&answer["mass_accounted"].as_f64().unwrap()));
        assert_eq!(answer["index"]["graph_digest"], inspected["graph"]["digest"]);
        assert_eq!(answer["index"]["restart_prob"], 0.15);
        let used = method != "exact";
        assert_eq!(answer["index"]["name"].as_str(), used.then_some("default"));
        assert_eq!(answer["index"]["generation"].as_u64(), used.then_some(1));
        let results = answer["results"].as_array().unwrap();
        assert_eq!(results[0]["id"], "ann");
        for (place, result) in results.iter().enumerate() {
            assert_eq!(result["rank"], place + 1);
            assert!(result["score"].as_f64().unwrap() > 0.0);
            let std_error = result["std_error"].as_f64().unwrap();
            assert!(if used { 0.0 <= std_error } else { std_error == 0.0 }, "{method}: {result}");
        }
        let sum: f64 = results.iter().map(|result| result["score"].as_f64().unwrap()).sum();
        assert!((sum - 1.0).abs() < 1e-9, "{method}: {sum}");
    }

    let built = json(&["index", "s.wp", "--name", "again", "--walks", "8", "--json"]);
    assert_eq!(built["fingerprint_digest"], index["fingerprint_digest"], "the name is no part of the plan");
    assert_eq!(json(&["verify", "s.wp", "--json"])["whole"], true);
    let loaded = json(&["load", "edges.tsv", "--into", "json.wp", "--json"]);
    assert_eq!((&loaded["graph"]["nodes"], &loaded["read"]["edges_read"]), (&5.into(), &5.into()));
    let planned = json(&["plan", "s.wp", "--json"]);
    assert!(planned["least_memory_bytes"].as_u64().unwrap() > 0);
}

#[test]
fn damping_is_one_less_restart_probability() {
    let place = place();
    let place = place.path();
    let digest = |name: &str, option: &str, value: &str| {
        let built = run(place, &["index", "s.wp", "--name", name, option, value, "--json"]).done();
        serde_json::from_str::<Value>(&built).unwrap()["fingerprint_digest"].clone()
    };
    // 1 - 0.5 and 1 - 0.75 have no rounding.
    assert_eq!(digest("a", "--restart-prob", "0.5"), digest("b", "--damping", "0.5"));
    assert_eq!(digest("c", "--restart-prob", "0.25"), digest("d", "--damping", "0.75"));
    // And 0.15 is what everybody means by 0.85.
    let answer = |option: &str, value: &str| {
        let answer = run(place, &["query", "s.wp", "--seed", "ann", "--method", "lookup", option, value, "--json"]);
        serde_json::from_str::<Value>(&answer.done()).unwrap()["results"].clone()
    };
    assert_eq!(answer("--restart-prob", "0.15"), answer("--damping", "0.85"));
}

#[test]
fn ids_come_back_as_they_were() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    write(place, "odd.tsv", "007\ta b\n007\tx=2\n007\tünï \"q\"\nx=2\t-1\n");
    let _ = run(place, &["load", "odd.tsv", "--into", "odd.wp"]).done();
    // The last `=NUMBER` is a weight, unless the whole is an id.
    let answer = run(place, &["query", "odd.wp", "--seed", "007=1.5", "--seed", "x=2", "--json"]).done();
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let mut ids: Vec<&str> = answer["results"].as_array().unwrap().iter().map(|r| r["id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["-1", "007", "a b", "x=2", "ünï \"q\""]);
    write(place, "numbers.tsv", "-5 9223372036854775807\n0 -5\n");
    let _ = run(place, &["load", "numbers.tsv", "--into", "numbers.wp"]).done();
    let answer = run(place, &["query", "numbers.wp", "--seed=-5"]).done();
    assert!(answer.contains("9223372036854775807"), "{answer}");
}

#[test]
fn help_and_version_are_no_errors() {
    let place = tempfile::tempdir().unwrap();
    for arguments in
        [&["--help"][..], &["--version"], &["index", "--help"], &["help", "query"], &["completions", "bash"]]
    {
        assert!(!run(place.path(), arguments).done().is_empty());
    }
    for arguments in [&[][..], &["walk"], &["load"], &["query"], &["index", "s.wp", "--fast"]] {
        let ended = run(place.path(), arguments);
        assert!(ended.code == Some(2) && ended.stdout.is_empty() && ended.stderr.contains("Usage"), "{ended:?}");
    }
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0, "nothing was made");
}
