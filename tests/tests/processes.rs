//! Keeps: **any number of processes gives the same bytes; a process that is lost ends the others soon and clearly, and
//! what was sealed stays; a stranger gets nothing and disturbs nothing** (issue 4, item 5 and its bad input). Processes of
//! the program on this machine's loopback, each with its own line of a host file.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Child;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use walkprint_tests::graphs::sprawling;
use walkprint_tests::program::{Ended, command, run, signal, wait_until, with_full_disk};
use walkprint_tests::stores::{TempStore, files, segments};
use walkprint_tests::team::{Team, free_addresses, write_key};

/// A build of half a second.
const SHORT: [&str; 6] = ["index", "s.wp", "--walks", "32", "--workers", "1"];
/// A build of some seconds: 70 pipelines or so.
const LONG: [&str; 6] = ["index", "s.wp", "--walks", "512", "--workers", "1"];
/// Within so long a job must end when one of its processes is lost.
const SOON: Duration = Duration::from_secs(10);

/// A directory with `s.wp`, loaded from a graph of 20,000 nodes.
fn loaded() -> TempDir {
    static STORE: OnceLock<BTreeMap<String, Vec<u8>>> = OnceLock::new();
    let place = tempfile::tempdir().expect("a temporary directory");
    let store = place.path().join("s.wp");
    let all = STORE.get_or_init(|| {
        let made = TempStore::of(&sprawling(1, 20_000, 6, true), Default::default());
        files(&made.path())
    });
    std::fs::create_dir(&store).expect("room for a store");
    for (name, bytes) in all {
        std::fs::write(store.join(name), bytes).expect("room for a store");
    }
    place
}

/// The segments that one process writes, for a build.
fn alone(arguments: &[&str]) -> BTreeMap<String, Vec<u8>> {
    let place = loaded();
    let _ = run(place.path(), arguments).done();
    segments(&place.path().join("s.wp"), "default")
}

fn short() -> &'static BTreeMap<String, Vec<u8>> {
    static SEGMENTS: OnceLock<BTreeMap<String, Vec<u8>>> = OnceLock::new();
    SEGMENTS.get_or_init(|| alone(&SHORT))
}

fn long() -> &'static BTreeMap<String, Vec<u8>> {
    static SEGMENTS: OnceLock<BTreeMap<String, Vec<u8>>> = OnceLock::new();
    SEGMENTS.get_or_init(|| alone(&LONG))
}

/// Checks that process 0 built and the others helped.
fn built(ended: Vec<Ended>) {
    assert!(ended.iter().all(|ended| ended.code == Some(0) && !ended.stderr.contains("panicked")), "{ended:?}");
    for (process, ended) in ended.into_iter().enumerate() {
        let (stderr, stdout) = (ended.stderr.clone(), ended.done());
        assert_eq!(stdout.contains("digest"), process == 0, "{stdout}");
        assert!(process == 0 || stderr.contains(&format!("process {process} is done")), "{stderr}");
    }
}

/// The index in the store is whole and has these segments.
fn has(place: &Path, expected: &BTreeMap<String, Vec<u8>>) {
    assert!(segments(&place.join("s.wp"), "default") == *expected, "other bytes");
    let _ = run(place, &["verify", "s.wp"]).done();
}

/// Checks that a process could not go on: exit code 2, and one line with all of these words.
fn stopped(ended: &Ended, words: &[&str]) {
    assert!(ended.code == Some(2) && ended.stdout.is_empty() && !ended.stderr.contains("panicked"), "{ended:?}");
    let lines: Vec<&str> = ended.stderr.lines().filter(|line| words.iter().all(|word| line.contains(word))).collect();
    assert!(lines.len() == 1 && lines[0].starts_with("walkprint: "), "{words:?}: {ended:?}");
}

#[test]
fn any_number_of_processes_and_workers_on_a_shared_directory() {
    for (processes, workers) in [(2, "1"), (3, "2"), (1, "2")] {
        let place = loaded();
        let team = Team::new(place.path(), processes);
        built(team.run(place.path(), &["index", "s.wp", "--walks", "32", "--workers", workers]));
        has(place.path(), short());
    }
}

#[test]
fn each_process_with_its_own_copy_of_the_store() {
    let place = loaded();
    let others: Vec<TempStore> = (0..2).map(|_| TempStore::copy_of(&place.path().join("s.wp"))).collect();
    let before = files(&others[0].path());
    let team = Team::new(place.path(), 3);
    let paths: Vec<String> = others.iter().map(|store| store.path().display().to_string()).collect();
    let stores = ["s.wp", &paths[0], &paths[1]];
    let all: Vec<Child> = (0..3)
        .map(|process| {
            team.start(place.path(), process, &["index", stores[process], "--walks", "32", "--workers", "1"])
        })
        .collect();
    built(all.into_iter().map(Ended::wait).collect());
    has(place.path(), short());
    assert!(others.iter().all(|store| files(&store.path()) == before), "a copy was written to");
}

#[test]
fn what_was_typed_is_checked_first() {
    let place = loaded();
    let place = place.path();
    let team = Team::new(place, 2);
    let with = |more: &[&str]| run(place, &[&SHORT, more].concat());
    let all = ["--hosts", "hosts", "--key-file", "key", "--process"];
    with(&[&all[..], &["2"]].concat()).refused(&["--process 2", "2 lines", "0 to 1"]);
    with(&["--process", "0"]).refused(&["--hosts"]);
    with(&["--hosts", "hosts"]).refused(&["--process"]);
    with(&["--key-file", "key"]).refused(&["--hosts"]);
    with(&["--hosts", "hosts", "--process", "0"]).refused(&["--key-file"]);
    with(&["--hosts", "nowhere", "--process", "0"]).refused(&["nowhere"]);
    std::fs::write(place.join("twice"), format!("# two\n{0}\n{0}\n", team.addresses[0])).unwrap();
    with(&["--hosts", "twice", "--process", "0", "--key-file", "key"]).refused(&["twice:3:", "line 2 already"]);
    std::fs::write(place.join("public"), "a key that everybody can read").unwrap();
    with(&["--hosts", "hosts", "--process", "0", "--key-file", "public"]).refused(&["public", "chmod 600"]);
    write_key(&place.join("brief"), "short");
    with(&["--hosts", "hosts", "--process", "0", "--key-file", "brief"]).refused(&["brief", "16 bytes"]);
    let _taken = TcpListener::bind(&team.addresses[0]).unwrap();
    with(&[&all[..], &["0"]].concat()).refused(&[&team.addresses[0], "taken"]);
    assert_eq!(files(&place.join("s.wp")).len(), files(&loaded().path().join("s.wp")).len(), "something was made");
}

#[test]
fn processes_that_do_not_agree_say_so_and_end() {
    let place = loaded();
    let place = place.path();
    let edges = "a b 1\nb c 2\nc a 1\n";
    std::fs::write(place.join("edges.tsv"), edges).unwrap();
    let _ = run(place, &["load", "edges.tsv", "--into", "other.wp"]).done();
    for (what, other) in [
        ("another plan", ["index", "s.wp", "--walks", "33", "--workers", "1"]),
        ("another graph", ["index", "other.wp", "--walks", "32", "--workers", "1"]),
        ("another number of workers", ["index", "s.wp", "--walks", "32", "--workers", "2"]),
    ] {
        let team = Team::new(place, 2);
        let ended = [team.start(place, 0, &SHORT), team.start(place, 1, &other)].map(Ended::wait);
        stopped(&ended[0], &[&team.name(1), what]);
        stopped(&ended[1], &[&team.name(0), what]);
    }
}

#[test]
fn who_has_another_key_is_refused() {
    let place = loaded();
    let place = place.path();
    let team = Team::new(place, 2);
    write_key(&place.join("wrong"), "a key that is quite another one");
    let first = team.start(place, 0, &[&SHORT[..], &["--connect-timeout", "2"]].concat());
    let own = ["--hosts", "hosts", "--key-file", "wrong", "--process", "1"];
    run(place, &[&SHORT[..], &own].concat()).refused(&[&team.name(0), "another key", "--key-file"]);
    let ended = Ended::wait(first);
    stopped(&ended, &[&team.name(1), "waited 2 s"]);
    assert!(ended.stderr.contains("it does not have the key"), "{ended:?}");
    assert!(!ended.stderr.contains("only this test"), "the key is shown: {ended:?}");
}

#[test]
fn a_late_process_is_waited_for_and_a_second_one_of_its_number_is_not() {
    let place = loaded();
    let place = place.path();
    let team = Team::new(place, 2);
    let second = team.start(place, 1, &SHORT);
    drop(team.reach(1)); // it is there
    let own = ["--hosts", "hosts", "--key-file", "key", "--process", "1"];
    run(place, &[&SHORT[..], &own].concat()).refused(&["taken", "is process 1 running already?"]);
    built(vec![Ended::wait(team.start(place, 0, &SHORT)), Ended::wait(second)]);
    has(place, short());
}

#[test]
fn who_never_comes_is_named() {
    let place = loaded();
    let place = place.path();
    let team = Team::new(place, 3);
    let arguments = [&SHORT[..], &["--connect-timeout", "1"]].concat();
    let ended = [0, 2].map(|process| team.start(place, process, &arguments)).map(Ended::wait);
    assert!(ended.iter().all(|ended| ended.code == Some(2) && ended.stderr.contains(&team.name(1))), "{ended:?}");
}

#[test]
fn what_the_first_process_refuses_the_others_say() {
    let place = loaded();
    let place = place.path();
    let _ = run(place, &SHORT).done();
    let team = Team::new(place, 2);
    let ended = team.run(place, &SHORT);
    ended[0].refused(&["exists already", "--replace"]);
    stopped(&ended[1], &[&team.name(0), "stopped", "exists already"]);
}

/// What a caller says in a handshake with process 0 that is let in: recorded by standing between the two.
fn recorded(place: &Path, team: &Team) -> Vec<u8> {
    let proxy = free_addresses(1).remove(0);
    std::fs::write(place.join("through"), format!("{proxy}\n{}\n", team.addresses[1])).expect("room for a host file");
    let between = TcpListener::bind(&proxy).expect("a free port");
    let first = team.start(place, 0, &SHORT);
    let own = ["--hosts", "through", "--key-file", "key", "--process", "1"];
    let second = command(place, &[&SHORT[..], &own].concat()).spawn().expect("the program starts");
    let (mut caller, _) = between.accept().expect("process 1 calls");
    let mut acceptor = team.reach(0);
    let (mut back_from, mut back_to) =
        (acceptor.try_clone().expect("a second handle"), caller.try_clone().expect("a second handle"));
    let back = std::thread::spawn(move || {
        let _ = std::io::copy(&mut back_from, &mut back_to);
        let _ = back_to.shutdown(Shutdown::Both);
    });
    let (mut said, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(count @ 1..) = caller.read(&mut buffer) {
        said.extend(&buffer[..count]);
        if acceptor.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = acceptor.shutdown(Shutdown::Both);
    back.join().expect("nothing there panics");
    // Both had the key, but their host files differ, so that went no further.
    stopped(&Ended::wait(first), &["another address of process 0"]);
    stopped(&Ended::wait(second), &["another address of process 0"]);
    assert!(80 + 32 < said.len(), "the handshake was not let in: {} bytes", said.len());
    said
}

#[test]
fn strangers_get_nothing_and_disturb_nothing() {
    let place = loaded();
    let place = place.path();
    let team = Team::new(place, 2);
    let said = recorded(place, &team);

    let first = team.start(place, 0, &LONG);
    drop(team.reach(0)); // a port scan
    let answer_to = |bytes: &[u8]| {
        let mut stream = team.reach(0);
        stream.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer); // a reset is as good as an end
        answer
    };
    assert_eq!(answer_to(b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n"), b"");
    let garbage: Vec<u8> = (0..10_000u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    assert_eq!(answer_to(&garbage), b"");
    let nonce = answer_to(&said);
    assert_eq!(nonce.len(), 32, "a replayed handshake gets a nonce and nothing else");
    // Slow ones, which stay while the job begins.
    let mut slow: Vec<TcpStream> = (0..80).map(|_| team.reach(0)).collect();
    for stream in &mut slow {
        let _ = stream.write_all(&said[..1]);
    }
    let mut second = team.start(place, 1, &LONG);

    // The running job does not listen.
    let sealing = place.join("s.wp/index-default-1/segment-000001.wps");
    assert!(wait_until(&mut second, || sealing.exists()), "{:?}", Ended::wait(second));
    assert!(team.addresses.iter().all(|address| TcpStream::connect(address).is_err()));
    let (first, second) = (Ended::wait(first), Ended::wait(second));
    for reason in ["it closed the connection too early", "it is no walkprint process", "it does not have the key"] {
        assert!(first.stderr.contains(&format!(": {reason}")), "{reason}: {first:?}");
    }
    let lines = first.stderr.lines().count();
    assert!(lines <= 12 && first.stderr.lines().all(|line| line.starts_with("walkprint: refused ")), "{first:?}");
    built(vec![first, second]);
    has(place, long());
}

/// The segments that are on the disk, each with what changes when it is written again.
fn sealed(place: &Path) -> BTreeMap<String, (u64, i64, i64)> {
    let Ok(entries) = std::fs::read_dir(place.join("s.wp/index-default-1")) else { return BTreeMap::new() };
    let entries = entries.map(|entry| entry.expect("an entry"));
    let about = entries.filter_map(|entry| {
        let name = entry.file_name().into_string().expect("plain names");
        let about = entry.metadata().ok()?;
        name.ends_with(".wps").then(|| (name, (about.ino(), about.mtime(), about.mtime_nsec())))
    });
    about.collect()
}

/// Starts a long build and does something to one of its processes when some pipelines are sealed. Checks that the others
/// end soon, each with one line, and that the job goes on with another number of processes. Gives the process.
fn lost(processes: usize, victim: usize, harm: impl Fn(&mut Child), resume_with: usize) -> Child {
    let place = loaded();
    let place = place.path();
    let team = Team::new(place, processes);
    let mut all: Vec<Child> = (0..processes).map(|process| team.start(place, process, &LONG)).collect();
    if !wait_until(&mut all[0], || 5 <= sealed(place).len()) {
        panic!("{:?}", all.into_iter().map(Ended::wait).collect::<Vec<_>>());
    }
    harm(&mut all[victim]);
    let began = Instant::now();
    let victim_process = all.remove(victim);
    for ended in all.into_iter().map(Ended::wait) {
        stopped(&ended, &[&team.name(victim), "is gone", "what is sealed stays", "--resume"]);
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    }
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());

    let before = sealed(place);
    assert!(5 <= before.len() && before.len() < long().len(), "{} sealed", before.len());
    let team = Team::new(place, resume_with);
    built(team.run(place, &[&LONG[..], &["--resume"]].concat()));
    has(place, long());
    let after = sealed(place);
    assert!(before.iter().all(|(name, about)| after[name] == *about), "something sealed was written again");
    victim_process
}

#[test]
fn a_killed_process_ends_the_others_and_the_job_is_resumed() {
    for (processes, victim, resume_with) in [(3, 1, 2), (2, 0, 3), (2, 1, 1)] {
        let mut killed = lost(processes, victim, |child| child.kill().unwrap(), resume_with);
        let _ = killed.wait();
    }
}

#[test]
fn a_stopped_process_ends_the_others_and_itself_when_it_wakes() {
    let stopped_process = lost(2, 1, |child| signal(child, "STOP"), 2);
    signal(&stopped_process, "CONT");
    let ended = Ended::wait(stopped_process);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.starts_with("walkprint: process 0 ") && ended.stderr.lines().count() == 1, "{ended:?}");
}

#[test]
fn an_interrupted_process_stops_all() {
    for victim in [0, 1] {
        let place = loaded();
        let place = place.path();
        let team = Team::new(place, 2);
        let mut all: Vec<Child> = (0..2).map(|process| team.start(place, process, &LONG)).collect();
        assert!(wait_until(&mut all[0], || 5 <= sealed(place).len()), "{all:?}");
        signal(&all[victim], "INT");
        for ended in all.into_iter().map(Ended::wait) {
            assert!(ended.code == Some(130) && ended.stdout.is_empty(), "{ended:?}");
            assert!(ended.stderr.contains("--resume") && ended.stderr.contains("interrupted"), "{ended:?}");
        }
        let before = sealed(place);
        assert!(5 <= before.len() && before.len() < long().len(), "{} sealed", before.len());
        let _ = run(place, &[&LONG[..], &["--resume"]].concat()).done();
        has(place, long());
    }
}

#[test]
fn a_full_disk_of_one_process_is_told_by_all() {
    let place = loaded();
    let place = place.path();
    let team = Team::new(place, 2);
    let first = team.start(place, 0, &LONG);
    let arguments = [&LONG[..], &["--hosts", "hosts", "--key-file", "key", "--process", "1"]].concat().join(" ");
    let second = with_full_disk(place, 64, &arguments);
    stopped(&second, &["segment-"]);
    stopped(&Ended::wait(first), &[&team.name(1), "stopped", "segment-"]);
    built(Team::new(place, 2).run(place, &[&LONG[..], &["--resume"]].concat()));
    has(place, long());
}
