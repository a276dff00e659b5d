//! Keeps: **an index is a pure function of (graph, plan)** (issue 2, show 4; DESIGN, invariant 1): any number of workers,
//! any memory, interrupted and resumed or not, the bytes are the same. And: **what is sealed is never walked again.**

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use walkprint_cluster::build::{BuildOptions, BuildOutcome, BuildProgress, build_index};
use walkprint_cluster::error::Error;
use walkprint_engine::graph::NodeOrder;
use walkprint_engine::plan::Plan;
use walkprint_engine::store::index_directory;
use walkprint_tests::graphs::{PlainGraph, sprawling};
use walkprint_tests::stores::{TempStore, build, options, segments};

fn graph() -> PlainGraph {
    sprawling(1, 20_000, 6, true)
}

/// 17 million expected visits, half a million a pipeline.
fn plan() -> Plan {
    Plan { walks: 128, ..Plan::default() }
}

/// What every build must come to.
struct Expected {
    segments: BTreeMap<String, Vec<u8>>,
    fingerprint_digest: String,
    entries: u64,
    bytes: u64,
    steps: u64,
}

/// One worker, built once for all tests here.
fn expected() -> &'static Expected {
    static EXPECTED: OnceLock<Expected> = OnceLock::new();
    EXPECTED.get_or_init(|| {
        let store = TempStore::of(&graph(), NodeOrder::default());
        let outcome = build(&store.path(), &BuildOptions { workers: 1, ..options(&plan()) }).expect("a build");
        let expected = Expected {
            segments: segments(&store.path(), "default"),
            fingerprint_digest: outcome.entry.fingerprint_digest,
            entries: outcome.entry.entries,
            bytes: outcome.entry.bytes,
            steps: outcome.steps,
        };
        // Enough that a build which is stopped half way has some left, whatever its workers still finish.
        assert!(30 <= expected.segments.len(), "{} pipelines are too few", expected.segments.len());
        expected
    })
}

fn expect_same(store: &Path, outcome: &BuildOutcome, what: &str) {
    let expected = expected();
    assert_eq!(outcome.entry.fingerprint_digest, expected.fingerprint_digest, "{what}");
    assert_eq!((outcome.entry.entries, outcome.entry.bytes), (expected.entries, expected.bytes), "{what}");
    let segments = segments(store, "default");
    assert!(segments.keys().eq(expected.segments.keys()), "{what}: {:?}", segments.keys());
    for (name, bytes) in &segments {
        assert!(*bytes == expected.segments[name], "{what}: other bytes in {name}");
    }
}

/// The least memory that a build says it needs, in bytes.
fn least_memory(store: &Path, workers: usize) -> u64 {
    let refused = build(store, &BuildOptions { workers, memory_bytes: 1, ..options(&plan()) });
    let Err(Error::Memory { needed, .. }) = refused else { panic!("{refused:?}") };
    let (number, unit) = needed.split_at(needed.find(char::is_alphabetic).expect("a number and a unit"));
    let unit = match unit {
        "MiB" => 1u64 << 20,
        "GiB" => 1 << 30,
        _ => panic!("{needed}"),
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a size in bytes")]
    let bytes = (number.parse::<f64>().expect("a number") * unit as f64) as u64;
    bytes
}

#[test]
fn any_number_of_workers_and_any_memory() {
    for workers in [1, 2, 3, 5] {
        let store = TempStore::of(&graph(), NodeOrder::default());
        let least = least_memory(&store.path(), workers);
        for memory_bytes in [least, 64 << 30] {
            let what = format!("{workers} workers, {memory_bytes} bytes");
            let options = BuildOptions { workers, memory_bytes, replace: true, ..options(&plan()) };
            let store = TempStore::of(&graph(), NodeOrder::default());
            let outcome = build(&store.path(), &options).unwrap_or_else(|error| panic!("{what}: {error}"));
            expect_same(&store.path(), &outcome, &what);
            assert!(outcome.planned_bytes <= memory_bytes, "{what}: planned {}", outcome.planned_bytes);
            assert_eq!(outcome.steps, expected().steps, "{what}: every walk is walked once");
        }
    }
}

/// Builds until `sealed` pipelines are on the disk, then asks to stop. Returns how many are in the end.
fn build_until(store: &Path, options: &BuildOptions, sealed: u64) -> u64 {
    let progress = Arc::new(BuildProgress::default());
    let ended = AtomicBool::new(false);
    let result = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            while progress.sealed.load(Ordering::Relaxed) < sealed && !ended.load(Ordering::Relaxed) {
                std::thread::yield_now();
            }
            progress.stop.store(true, Ordering::Relaxed);
        });
        let result = build_index(store, options, &progress, &mut |_| {});
        ended.store(true, Ordering::Relaxed);
        watcher.join().expect("the watcher watches");
        result
    });
    assert!(matches!(result, Err(Error::Interrupted)), "{result:?}");
    progress.sealed.load(Ordering::Relaxed)
}

/// What tells one file from another of the same name: a file that is written again is another one.
fn identities(store: &Path) -> BTreeMap<String, (u64, i64, i64)> {
    let directory = store.join(index_directory("default", 1).expect("a good name"));
    let entries = std::fs::read_dir(directory).expect("the directory of the index").map(|entry| entry.expect("a file"));
    let sealed = entries.filter(|entry| entry.path().extension().is_some_and(|extension| extension == "wps"));
    sealed
        .map(|entry| {
            let metadata = entry.metadata().expect("a file's metadata");
            let name = entry.file_name().into_string().expect("names are plain text");
            (name, (metadata.ino(), metadata.mtime(), metadata.mtime_nsec()))
        })
        .collect()
}

#[test]
fn interrupted_and_resumed_by_any_number_of_workers() {
    let pipelines = expected().segments.len() as u64;
    let workers = [1, 2, 3, 5];
    // Stopped before the first step, after a few pipelines, and half way.
    for (turn, sealed) in [0, 1, 3, pipelines / 4, pipelines / 2].into_iter().enumerate() {
        let store = TempStore::of(&graph(), NodeOrder::default());
        let first = BuildOptions { workers: workers[turn % 4], ..options(&plan()) };
        let what = format!("{} workers stopped at {sealed}", first.workers);
        let on_disk = build_until(&store.path(), &first, sealed);
        assert!(sealed <= on_disk && on_disk <= pipelines, "{what}: {on_disk} pipelines are on the disk");
        let before = identities(&store.path());
        assert_eq!(before.len() as u64, on_disk, "{what}");
        assert!(store.open().manifest().indexes.is_empty(), "{what}: an unfinished index must not exist");

        let rest = BuildOptions { workers: workers[(turn + 2) % 4], resume: true, ..options(&plan()) };
        let outcome = build(&store.path(), &rest).unwrap_or_else(|error| panic!("{what}: {error}"));
        expect_same(&store.path(), &outcome, &what);
        assert_eq!(outcome.resumed_pipelines as u64, on_disk, "{what}");
        let after = identities(&store.path());
        assert!(before.iter().all(|(name, identity)| after[name] == *identity), "{what}: a sealed file was replaced");
        assert_eq!(outcome.steps < expected().steps, on_disk != 0, "{what}: walked again");
    }
}

#[test]
fn interrupted_again_and_again() {
    let store = TempStore::of(&graph(), NodeOrder::default());
    let pipelines = expected().segments.len() as u64;
    let (mut on_disk, mut runs) = (0, 0);
    while on_disk < pipelines / 2 {
        let options = BuildOptions { workers: 1 + runs % 3, resume: 0 < runs, ..options(&plan()) };
        let now = build_until(&store.path(), &options, on_disk + 1);
        assert!(on_disk < now, "a run that was stopped after one pipeline keeps it");
        (on_disk, runs) = (now, runs + 1);
    }
    let outcome = build(&store.path(), &BuildOptions { resume: true, ..options(&plan()) }).unwrap();
    expect_same(&store.path(), &outcome, &format!("interrupted {runs} times"));
}

#[test]
fn an_index_holds_what_its_sources_walk_alone() {
    let store = TempStore::of(&graph(), NodeOrder::default());
    let outcome = build(&store.path(), &options(&plan())).unwrap();
    let opened = store.open();
    let graph = opened.graph().unwrap();
    let index = opened.index("default", &graph).unwrap();
    assert_eq!(index.verify().unwrap(), outcome.entry.entries);
    let rows = graph.walk_rows().checked().unwrap();
    let mut walker = walkprint_walkers::tally::Walker::default();
    let walkable = walkprint_walkers::kernel::Walkable::new(&rows);
    // A hundred sources, walked here and now.
    for source in (0..20_000).step_by(200) {
        let packed = walker.fingerprints(walkable, &plan(), source, source + 1);
        let here = walkprint_engine::fingerprint::Fingerprint::decode(&packed.bytes).unwrap();
        let stored = index.fingerprint(source).unwrap();
        assert_eq!((here.walks, here.to_vec()), (stored.walks, stored.to_vec()), "source {source}");
    }
}
