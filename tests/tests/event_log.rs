//! Keeps: **a batch of events that was acknowledged is never lost, and one that was not leaves no trace**: killed programs, full
//! disks, changed bytes, two writers, events that are sent again.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use walkprint_cluster::error::Error;
use walkprint_cluster::live::{Batch, Batches, EventLog, LogOptions, Opened, check};
use walkprint_cluster::load::store_edges;
use walkprint_engine::error::Error as EngineError;
use walkprint_engine::events::{Event, Operation};
use walkprint_engine::graph::NodeOrder;
use walkprint_engine::plan::Plan;
use walkprint_engine::store::{Store, StoreLock, log_file};
use walkprint_tests::graphs::{PlainGraph, sprawling};
use walkprint_tests::stores::{TempStore, build, options};

fn small() -> PlainGraph {
    sprawling(3, 20, 3, true)
}

fn store() -> TempStore {
    TempStore::of(&small(), NodeOrder::default())
}

fn open_with(store: &Path, options: LogOptions) -> Result<(EventLog, Opened, Vec<Batch>), Error> {
    let mut batches = Vec::new();
    let (log, opened) = EventLog::open(store, options, &mut |batch| {
        batches.push(batch);
        Ok(())
    })?;
    Ok((log, opened, batches))
}

fn open(store: &Path) -> Result<(EventLog, Opened, Vec<Batch>), Error> {
    open_with(store, LogOptions::default())
}

/// A batch with events of every shape; no two are alike.
fn batch(number: usize) -> Vec<Event> {
    let id = |what: &str| format!("{what}{number}");
    vec![
        Event::edge(Operation::Add, id("a"), "b").weighing(number as f64).of_kind("likes").at(1e9).named(id("e")),
        Event::node(Operation::Set, id("ü")).of_kind("person"),
        Event::edge(Operation::Remove, "b", id("a")),
    ]
}

fn numbered(batches: usize) -> Vec<Batch> {
    (0..batches).map(|number| Batch { sequence: 3 * number as u64, events: batch(number) }).collect()
}

/// A log of four batches in two files.
fn two_files() -> TempStore {
    let store = store();
    let (mut log, ..) = open(&store.path()).expect("a new log");
    for number in 0..4 {
        if number == 2 {
            assert_eq!(log.rotate().expect("another file").first_log, 2);
            assert_eq!(log.rotate().expect("another file").first_sequence, 6, "an empty file is not ended");
        }
        let appended = log.append(&batch(number)).expect("room for a batch");
        assert_eq!((appended.sequence, appended.taken, appended.skipped), (3 * number as u64, 3, vec![]));
    }
    store
}

fn log_path(store: &TempStore, number: u64) -> PathBuf {
    store.path().join(log_file(number))
}

/// All batches, by whoever may read.
fn read(store: &Path) -> Result<Vec<Batch>, Error> {
    let mut batches = Vec::new();
    check(store, &mut |batch| {
        batches.push(batch);
        Ok(())
    })?;
    Ok(batches)
}

#[test]
fn events_come_back_in_their_order() {
    let store = store();
    let before = Store::open(&store.path()).unwrap().manifest().clone();
    assert_eq!(read(&store.path()).unwrap(), []);
    let mut followed = Batches::open(&store.path()).unwrap();
    assert!(followed.next().is_none(), "there have been no events");
    let (mut log, opened, batches) = open(&store.path()).unwrap();
    assert_eq!((opened, batches), (Opened { events: 0, cut: None }, vec![]));
    let manifest = Store::open(&store.path()).unwrap().manifest().clone();
    assert_eq!((manifest.generation, &manifest.graph), (before.generation + 1, &before.graph));
    for number in 0..6 {
        log.append(&batch(number)).unwrap();
        assert_eq!(followed.next().unwrap().unwrap(), numbered(6)[number], "seen at once");
        assert!(followed.next().is_none());
        if number % 2 == 1 {
            log.rotate().unwrap();
        }
    }
    assert_eq!((log.events(), log.next_sequence(), log.ids().len()), (18, 18, 6));
    let on_disk: u64 = (1..=4).map(|number| std::fs::metadata(log_path(&store, number)).unwrap().len()).sum();
    assert_eq!(log.bytes(), on_disk);
    drop(log);
    let (mut log, opened, batches) = open(&store.path()).unwrap();
    assert_eq!((opened.events, batches), (18, numbered(6)));
    assert_eq!(log.append(&batch(6)).unwrap().sequence, 18);
    assert_eq!(read(&store.path()).unwrap(), numbered(7));
}

#[test]
fn nothing_is_taken_where_something_is_wrong() {
    let store = store();
    let (mut log, ..) = open(&store.path()).unwrap();
    log.append(&batch(0)).unwrap();
    let good = Event::node(Operation::Add, "x");
    let bad = log.append(&[good.clone(), Event::edge(Operation::Add, "a", "b").weighing(f64::NAN)]).unwrap_err();
    assert_eq!(bad.to_string(), "event 2: expected a finite weight, got NaN");
    let large = vec![Event::node(Operation::Add, "x".repeat(65_535)); 1025];
    let error = log.append(&large).unwrap_err().to_string();
    assert_eq!(error, "the events are too many for one batch of at most 64.0MiB; send them in parts");
    assert_eq!(log.append(&[]).unwrap().taken, 0);
    let changed = batch(0)[0].clone().weighing(7.0);
    let each = log.append_each(&[&batch(1), &[good.clone(), changed], &[], &batch(1), &[good]]);
    let each: Vec<String> = each
        .into_iter()
        .map(|result| match result {
            Ok(appended) => format!("{} {} {:?}", appended.sequence, appended.taken, appended.skipped),
            Err(error) => error.to_string(),
        })
        .collect();
    let changed = "event \"e0\" came before with other content; an event that is another one needs an id of its own";
    assert_eq!(each, ["3 3 []", changed, "6 0 []", "6 2 [0]", "8 1 []"]);
    assert_eq!(log.next_sequence(), 9);
    drop(log);
    let sizes: Vec<usize> = open(&store.path()).unwrap().2.iter().map(|batch| batch.events.len()).collect();
    assert_eq!(sizes, [3, 3, 2, 1]);
}

#[test]
fn wherever_an_append_ends_what_came_before_stays() {
    let original = two_files();
    let last = std::fs::read(log_path(&original, 2)).unwrap();
    let batch_bytes = (last.len() - 64) / 2;
    for length in 64..last.len() {
        let store = TempStore::copy_of(&original.path());
        std::fs::write(log_path(&store, 2), &last[..length]).unwrap();
        let whole = 2 + (length - 64) / batch_bytes;
        assert_eq!(read(&store.path()).unwrap(), numbered(4)[..whole]);
        let (mut log, opened, batches) = open(&store.path()).unwrap();
        assert_eq!(batches, numbered(4)[..whole], "{length} bytes");
        let torn = (length - 64) % batch_bytes;
        let cut = opened.cut.map(|cut| (cut.offset, cut.bytes));
        assert_eq!(cut, (torn != 0).then_some(((length - torn) as u64, torn as u64)));
        log.append(&batch(whole)).unwrap();
        drop(log);
        let (_log, opened, batches) = open(&store.path()).unwrap();
        assert_eq!((opened.cut, batches), (None, numbered(whole + 1)), "{length} bytes");
    }
    for length in 0..64 {
        let store = TempStore::copy_of(&original.path());
        std::fs::write(log_path(&store, 2), &last[..length]).unwrap();
        assert!(open(&store.path()).is_err(), "a file has its whole head from the beginning");
    }
    let first = std::fs::read(log_path(&original, 1)).unwrap();
    for length in [64, 65, 64 + batch_bytes, first.len() - 1] {
        let store = TempStore::copy_of(&original.path());
        std::fs::write(log_path(&store, 1), &first[..length]).unwrap();
        let error = open(&store.path()).unwrap_err();
        assert!(matches!(error, Error::LogDamaged { .. }), "only the last file may end early: {error}");
    }
}

#[test]
fn whatever_byte_changes_no_acknowledged_event_is_lost_silently() {
    let store = two_files();
    for file in [1, 2] {
        let path = log_path(&store, file);
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            for flip in [1, 0x80, 0xFF, whole[at]] {
                let mut bytes = whole.clone();
                bytes[at] ^= flip;
                std::fs::write(&path, &bytes).unwrap();
                match read(&store.path()) {
                    Ok(batches) => assert_eq!(batches, numbered(4), "file {file}, byte {at} ^ {flip}"),
                    Err(Error::LogDamaged { path: named, offset, .. }) => {
                        assert!(named == path && offset <= at as u64, "file {file}, byte {at} ^ {flip}: {offset}");
                    }
                    Err(Error::Engine(EngineError::Kind { .. } | EngineError::Version { .. })) => assert!(at < 16),
                    Err(error) => panic!("file {file}, byte {at} ^ {flip}: {error}"),
                }
            }
        }
        std::fs::write(&path, whole).unwrap();
    }
    std::fs::remove_file(log_path(&store, 1)).unwrap();
    assert!(
        open(&store.path()).unwrap_err().to_string().contains("events-000001.wpe: damaged at byte 0 (it is missing)")
    );
}

#[test]
fn zeros_that_a_power_cut_left_are_cut_off_but_not_before_a_whole_batch() {
    let original = store();
    let large: Vec<Event> = (0..200).map(|number| Event::node(Operation::Add, format!("node {number}"))).collect();
    let (mut log, ..) = open(&original.path()).unwrap();
    log.append(&batch(0)).unwrap();
    let before = usize::try_from(log.bytes()).unwrap();
    log.append(&large).unwrap();
    let end = usize::try_from(log.bytes()).unwrap();
    log.append(&batch(1)).unwrap();
    let (log_bytes, whole) = (usize::try_from(log.bytes()).unwrap(), std::fs::read(log_path(&original, 1)).unwrap());
    drop(log);
    assert_eq!(whole.len(), log_bytes);
    let with_zeros = |zeros: std::ops::Range<usize>, length: usize| {
        let mut bytes = whole[..length.min(whole.len())].to_vec();
        bytes.resize(length, 0);
        bytes[zeros].fill(0);
        let store = TempStore::copy_of(&original.path());
        std::fs::write(log_path(&store, 1), bytes).unwrap();
        open(&store.path()).map(|(_, opened, batches)| (batches.len(), opened.cut.map(|cut| cut.bytes)))
    };
    assert_eq!(with_zeros(1024..1536, end).unwrap(), (1, Some((end - before) as u64)), "a sector of the last batch");
    assert_eq!(with_zeros(before..end, end).unwrap(), (1, Some((end - before) as u64)), "all of it");
    assert_eq!(with_zeros(0..0, log_bytes + 4096).unwrap(), (3, Some(4096)), "a file that had grown");
    assert!(matches!(with_zeros(1024..1536, log_bytes), Err(Error::LogDamaged { .. })), "a batch follows");
    assert!(matches!(with_zeros(1030..1040, end), Err(Error::LogDamaged { .. })), "no sector");
}

#[test]
fn one_program_takes_events_at_a_time() {
    let store = store();
    let (log, ..) = open(&store.path()).unwrap();
    let error = open(&store.path()).unwrap_err();
    assert!(matches!(error, Error::EventsLocked { .. }));
    assert!(
        error
            .to_string()
            .ends_with("another walkprint takes events for this store; send them to it, or wait until it has ended")
    );
    assert_eq!(read(&store.path()).unwrap(), [], "others may read");
    drop(log);
    open(&store.path()).unwrap();
}

#[test]
fn an_event_that_is_sent_again_counts_once_before_and_after_a_compaction() {
    let store = store();
    let (mut log, ..) = open(&store.path()).unwrap();
    let named = |id: usize| Event::edge(Operation::Add, "a", "b").weighing(id as f64).named(format!("id {id}"));
    let unnamed = Event::edge(Operation::Add, "a", "b");
    let first = log.append(&[named(0), named(1), named(0), unnamed.clone(), unnamed]).unwrap();
    assert_eq!((first.taken, first.skipped), (4, vec![2]));
    let sealed = log.rotate().unwrap();
    log.append(&[named(2), named(1)]).unwrap();
    // As a compaction publishes.
    let mut manifest = Store::open(&store.path()).unwrap().manifest().clone();
    manifest.generation += 1;
    let live = log.live_entry(&sealed, manifest.generation).unwrap();
    manifest.live = Some(live.clone());
    StoreLock::existing(&store.path()).unwrap().publish(&manifest).unwrap();
    log.absorbed(&live);
    assert!(!log_path(&store, 1).exists() && log_path(&store, 2).exists());
    assert_eq!((log.events(), log.next_sequence(), live.first_sequence), (1, 5, 4));
    let again = |log: &mut EventLog| log.append(&[named(0), named(1), named(2)]).unwrap().skipped;
    assert_eq!(again(&mut log), [0, 1, 2]);
    drop(log);
    let (mut log, opened, batches) = open(&store.path()).unwrap();
    assert_eq!((opened.events, batches), (1, vec![Batch { sequence: 4, events: vec![named(2)] }]));
    assert_eq!(again(&mut log), [0, 1, 2]);
    let error = log.append(&[named(0).weighing(9.0)]).unwrap_err();
    assert!(matches!(error, Error::EventChanged { event_id } if event_id == "id 0"));
    drop(log);
    // An event whose batch was lost by a power cut is not known from a file of ids.
    std::fs::write(log_path(&store, 2), &std::fs::read(log_path(&store, 2)).unwrap()[..64]).unwrap();
    let (mut log, ..) = open_with(&store.path(), LogOptions { most_ids: 1, ..LogOptions::default() }).unwrap();
    assert_eq!(log.append(&[named(2)]).unwrap().taken, 1);
    assert_eq!(log.append(&[named(1)]).unwrap().taken, 1, "one id is remembered");
}

#[test]
fn events_stay_with_their_graph() {
    let store = two_files();
    let (mut log, ..) = open(&store.path()).unwrap();
    build(&store.path(), &options(&Plan { walks: 4, ..Plan::default() })).expect("an index beside the log");
    log.append(&batch(4)).unwrap();
    assert_eq!(read(&store.path()).unwrap(), numbered(5));
    // Loaded anew: the events were those of the graph before.
    let lock = StoreLock::for_new(&store.path(), true).unwrap();
    let mut manifest = Store::open(&store.path()).unwrap().manifest().clone();
    manifest.generation += 1;
    manifest.live = None;
    lock.publish(&manifest).unwrap();
    drop(lock);
    assert!(!log_path(&store, 1).exists() && !log_path(&store, 2).exists());
    let mut followed = Batches::open(&store.path()).unwrap();
    assert!(followed.next().is_none());
    assert!(matches!(log.append(&batch(5)), Err(Error::LogReplaced { .. })));
    assert!(matches!(log.append(&batch(5)), Err(Error::LogUnusable { .. })));
    drop(log);
    // A file that was left behind does not count, and is not overwritten by one that does.
    std::fs::copy(store.path().join("manifest.wpm"), log_path(&store, 7)).unwrap();
    assert_eq!(read(&store.path()).unwrap(), []);
    let (mut log, ..) = open(&store.path()).unwrap();
    log.append(&batch(0)).unwrap();
    assert!(log_path(&store, 8).exists() && !log_path(&store, 7).exists());
    assert_eq!(read(&store.path()).unwrap(), numbered(1));
}

const ROLE: &str = "WALKPRINT_TEST_STORE";

/// This program once more, running one test in the role of a child, by a shell that does this first.
fn child(test: &str, store: &Path, first: &str) -> Command {
    let mut command = Command::new("sh");
    let program = std::env::current_exe().expect("this program has a path");
    command.args(["-c", &format!("{first} exec \"$0\" --exact {test} --nocapture")]).arg(program).env(ROLE, store);
    command
}

#[test]
fn a_full_disk_leaves_the_log_as_it_was() {
    const TEST: &str = "a_full_disk_leaves_the_log_as_it_was";
    let Some(store) = std::env::var_os(ROLE) else {
        let store = store();
        open(&store.path()).unwrap();
        // Files may have 16 blocks of 512 bytes; to a program that does not mind the signal that is a disk without room.
        let ended = child(TEST, &store.path(), "trap '' XFSZ; ulimit -f 16;").output().unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stdout));
        let (_log, opened, batches) = open(&store.path()).unwrap();
        assert!(opened.cut.is_none(), "{opened:?}");
        assert_eq!(batches[..5], numbered(5));
        assert_eq!(batches[5..], [Batch { sequence: 15, events: vec![Event::node(Operation::Add, "small")] }]);
        return;
    };
    let (mut log, ..) = open(Path::new(&store)).unwrap();
    (0..5).for_each(|number| drop(log.append(&batch(number)).unwrap()));
    let before = log.bytes();
    let large = Event::node(Operation::Add, "x".repeat(9000)).named("large");
    for _ in 0..2 {
        // What was refused is not known, or the second time would be none.
        let error = log.append(&[Event::node(Operation::Add, "a"), large.clone()]).unwrap_err();
        assert!(matches!(error, Error::Engine(EngineError::Io { action: "append", .. })), "{error}");
        let length = std::fs::metadata(Path::new(&store).join(log_file(1))).unwrap().len();
        assert_eq!((log.bytes(), length), (before, before), "nothing of the batch is left");
    }
    assert_eq!(log.append(&[Event::node(Operation::Add, "small")]).unwrap().sequence, 15);
}

#[test]
fn a_killed_program_loses_nothing_that_it_has_acknowledged() {
    const TEST: &str = "a_killed_program_loses_nothing_that_it_has_acknowledged";
    if let Some(store) = std::env::var_os(ROLE) {
        let (mut log, ..) = open(Path::new(&store)).unwrap();
        loop {
            let number = usize::try_from(log.next_sequence() / 3).unwrap();
            log.append(&batch(number)).unwrap();
            println!("\ntaken {number}");
            if number % 7 == 6 {
                log.rotate().unwrap();
            }
        }
    }
    let store = store();
    let mut least = 0;
    for round in 0..20 {
        let mut running = child(TEST, &store.path(), "").stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(running.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut taken =
            lines.filter_map(|line| line.strip_prefix("taken ").map(|number| number.parse::<usize>().unwrap()));
        for _ in 0..=round {
            least = taken.next().expect("it goes on until it is killed") + 1;
        }
        running.kill().unwrap();
        least = taken.last().map_or(least, |last| last + 1);
        running.wait().unwrap();
        let (_log, _, batches) = open(&store.path()).unwrap();
        assert!(least <= batches.len(), "{least} batches were acknowledged, {} are there", batches.len());
        assert_eq!(batches, numbered(batches.len()));
    }
    assert!(20 <= least);
}

#[test]
fn events_are_refused_for_a_graph_that_is_not_there() {
    let nothing = TempStore::nothing();
    assert!(matches!(open(&nothing.path()), Err(Error::Engine(EngineError::NoStore { .. }))));
    store_edges(&nothing.path(), small().edge_list(), NodeOrder::default()).unwrap();
    let lock = StoreLock::existing(&nothing.path()).unwrap();
    let error = open(&nothing.path()).unwrap_err();
    assert!(
        matches!(error, Error::Engine(EngineError::Locked { .. })),
        "the first events have to be announced: {error}"
    );
    drop(lock);
    open(&nothing.path()).unwrap();
    let lock = StoreLock::existing(&nothing.path()).unwrap();
    open(&nothing.path()).unwrap();
    drop(lock);
}
