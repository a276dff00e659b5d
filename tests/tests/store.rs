//! Keeps: **what is not in the manifest does not exist; the manifest comes last; a reader that opened the old one goes on
//! with the old files** (DESIGN, invariant 2). And: one writer at a time, and a refused or broken job leaves the store as
//! good as before.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use walkprint_cluster::build::{BuildOptions, BuildProgress, build_index};
use walkprint_cluster::error::Error;
use walkprint_cluster::load::store_edges;
use walkprint_engine::error::Error as EngineError;
use walkprint_engine::graph::NodeOrder;
use walkprint_engine::plan::Plan;
use walkprint_engine::query::{Answerer, Method, Question, Seeds};
use walkprint_engine::store::{Store, StoreLock};
use walkprint_tests::graphs::{PlainGraph, sprawling};
use walkprint_tests::stores::{TempStore, build, files, load, options};
use xxhash_rust::xxh3::xxh3_64;

fn small() -> PlainGraph {
    sprawling(3, 50, 3, true)
}

fn plan() -> Plan {
    Plan { walks: 4, ..Plan::default() }
}

fn indexed() -> TempStore {
    let store = TempStore::of(&small(), NodeOrder::default());
    build(&store.path(), &options(&plan())).expect("a build");
    store
}

/// All files but the lock, which says nothing.
fn content(store: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = files(store);
    files.remove("lock");
    files
}

/// Begins a build that is stopped before anything is walked.
fn interrupt(store: &Path, options: &BuildOptions) {
    let progress = Arc::new(BuildProgress::default());
    progress.stop.store(true, Ordering::Relaxed);
    assert!(matches!(build_index(store, options, &progress, &mut |_| {}), Err(Error::Interrupted)));
}

#[test]
fn readers_go_on_while_a_new_generation_is_published() {
    // Enough pipelines that a reader has touched some segments and not others.
    let graph = sprawling(1, 20_000, 6, false);
    let store = TempStore::of(&graph, NodeOrder::default());
    let many = Plan { walks: 32, ..Plan::default() };
    build(&store.path(), &options(&many)).unwrap();
    let old = store.open();
    let (graph, labels) = (old.graph().unwrap(), old.labels().unwrap());
    let index = old.index("default", &graph).unwrap();
    assert!(4 <= index.entry().segments.len());
    let ask = |source| {
        let question = Question { method: Method::Lookup, ..Question::new(Seeds::single(source)) };
        let answerer = Answerer::new(&graph, &labels, Some(&index), many.restart_prob);
        answerer.and_then(|mut answerer| answerer.answer(&question))
    };
    let (first, last) = (0, u32::try_from(graph.nodes()).unwrap() - 1);
    let before = ask(first).unwrap();

    let new_plan = Plan { walks: 33, ..many.clone() };
    build(&store.path(), &BuildOptions { replace: true, ..options(&new_plan) }).unwrap();
    let new = store.open();
    let new_index = new.index("default", &new.graph().unwrap()).unwrap();
    assert_eq!((new_index.entry().generation, new_index.plan()), (2, &new_plan));
    new_index.verify().unwrap();

    assert_eq!(ask(first).unwrap(), before, "a segment that was read before");
    ask(last).expect("a segment that had not been read before");
    assert_eq!(index.verify().unwrap(), index.entry().entries, "all of them");

    // And the graph: it is replaced, with its labels and all indexes.
    load(&store, "a b 1\nb a 2\n", true).unwrap();
    assert_eq!(store.open().labels().unwrap().node("a").unwrap().map(|_| ()), Some(()));
    assert_eq!(ask(first).unwrap(), before, "the old graph");
    assert_eq!(new_index.verify().unwrap(), new_index.entry().entries, "the index that was replaced last");
}

#[test]
fn an_unfinished_index_does_not_exist() {
    let store = TempStore::of(&small(), NodeOrder::default());
    let manifest = content(&store.path())["manifest.wpm"].clone();
    interrupt(&store.path(), &options(&plan()));
    assert_eq!(content(&store.path())["manifest.wpm"], manifest);
    let opened = store.open();
    assert!(matches!(opened.index("default", &opened.graph().unwrap()), Err(EngineError::NoIndex { .. })));

    // It can be resumed with its own plan only, or be built anew; it does not stand in the way of other names.
    assert!(matches!(build(&store.path(), &options(&plan())), Err(Error::Unfinished { .. })));
    let other = BuildOptions { resume: true, ..options(&Plan { rng_key: 9, ..plan() }) };
    let refused = build(&store.path(), &other).unwrap_err();
    assert!(matches!(refused, Error::OtherBuild { .. }) && refused.to_string().contains("--rng-key 0"), "{refused}");
    let sibling = BuildOptions { name: "sibling".into(), ..options(&plan()) };
    build(&store.path(), &sibling).unwrap();
    let outcome = build(&store.path(), &BuildOptions { resume: true, ..options(&plan()) }).unwrap();
    let names: Vec<String> = store.open().manifest().indexes.iter().map(|entry| entry.name.clone()).collect();
    assert_eq!(names, ["default", "sibling"]);
    assert_eq!(outcome.entry.fingerprint_digest, store.open().manifest().indexes[1].fingerprint_digest);

    let nothing = BuildOptions { resume: true, ..options(&plan()) };
    assert!(matches!(build(&store.path(), &nothing), Err(Error::NothingToResume { .. })));
}

#[test]
fn a_build_that_is_refused_leaves_nothing_behind() {
    let store = indexed();
    let before = content(&store.path());
    let good = options(&plan());
    let refused = [
        build(&store.path(), &good),
        build(&store.path(), &BuildOptions { resume: true, ..good.clone() }),
        build(&store.path(), &BuildOptions { name: "new".into(), memory_bytes: 1000, ..good.clone() }),
        build(&store.path(), &BuildOptions { replace: true, memory_bytes: 1000, ..good.clone() }),
        build(&store.path(), &BuildOptions { name: "../out".into(), ..good.clone() }),
        build(&store.path(), &BuildOptions { name: "new".into(), ..options(&Plan { walks: 0, ..plan() }) }),
        build(&store.path(), &BuildOptions { name: "new".into(), ..options(&Plan { restart_prob: 0.0, ..plan() }) }),
        // As good as for ever: the memory that it says it needs must not overflow.
        build(&store.path(), &BuildOptions { name: "new".into(), ..options(&Plan { restart_prob: 1e-18, ..plan() }) }),
    ];
    for (at, result) in refused.iter().enumerate() {
        assert!(result.is_err(), "build {at}");
    }
    assert!(matches!(refused[0], Err(Error::IndexExists { .. })));
    assert!(matches!(refused[1], Err(Error::NothingToResume { .. })));
    assert!(matches!(refused[2], Err(Error::Memory { .. })) && matches!(refused[3], Err(Error::Memory { .. })));
    assert!(matches!(refused[7], Err(Error::Memory { .. })));
    assert!(content(&store.path()) == before, "{:?}", content(&store.path()).keys());
    build(&store.path(), &BuildOptions { name: "new".into(), ..good }).unwrap();
}

/// What an index is built from is read once by the build, so that damage is found before it is walked: an index of a
/// damaged graph would be wrong for good, and say that it belongs to the whole one.
#[test]
fn a_graph_that_is_damaged_is_not_indexed() {
    let store = indexed();
    let path = store.open().graph_path();
    let whole = std::fs::read(&path).unwrap();
    let number = |at: usize| usize::try_from(u64::from_le_bytes(whole[at..at + 8].try_into().unwrap())).unwrap();
    // Row offsets, targets and sampling table: sections 1, 2 and 5 of a weighted graph. Walks read nothing else.
    for section in [0, 1, 4] {
        let row = 64 + 32 * section;
        let (start, length) = (number(row + 8), number(row + 16));
        for at in (start..start + length).step_by(61) {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x10;
            std::fs::write(&path, &damaged).unwrap();
            let before = content(&store.path());
            let result = build(&store.path(), &BuildOptions { name: "new".into(), ..options(&plan()) });
            let what = format!("section {}, byte {at}", section + 1);
            assert!(matches!(result, Err(Error::Engine(EngineError::Damaged { .. }))), "{what}: {result:?}");
            assert!(content(&store.path()) == before, "{what}: {:?}", content(&store.path()).keys());
        }
    }
}

#[test]
fn one_writer_at_a_time() {
    let store = indexed();
    let before = content(&store.path());
    let locked = |result: Result<(), Error>| matches!(result, Err(Error::Engine(EngineError::Locked { .. })));
    {
        let _lock = StoreLock::existing(&store.path()).unwrap();
        let other = BuildOptions { name: "other".into(), ..options(&plan()) };
        assert!(matches!(StoreLock::existing(&store.path()), Err(EngineError::Locked { .. })));
        assert!(matches!(StoreLock::for_new(&store.path(), true), Err(EngineError::Locked { .. })));
        assert!(locked(build(&store.path(), &other).map(|_| ())));
        assert!(locked(load(&store, "1 2\n", true).map(|_| ())));
        // Readers do not mind.
        store.open().graph().unwrap();
    }
    assert!(content(&store.path()) == before);
    StoreLock::existing(&store.path()).expect("the lock is given up when it is dropped");
}

#[test]
fn a_store_is_replaced_only_when_asked() {
    let store = indexed();
    let before = content(&store.path());
    assert!(matches!(load(&store, "1 2\n", false), Err(Error::Engine(EngineError::Exists { .. }))));
    let again = store_edges(&store.path(), small().edge_list(), NodeOrder::default());
    assert!(matches!(again, Err(Error::Engine(EngineError::Exists { .. }))));
    assert!(matches!(load(&store, "1 2 x\n", true), Err(Error::Load(_))), "a bad input");
    assert!(matches!(load(&store, "1 2 1e308\n1 3 1e308\n", true), Err(Error::Engine(EngineError::Graph { .. }))));
    assert!(content(&store.path()) == before);
}

#[test]
fn a_place_that_is_no_store_is_left_alone() {
    let place = TempStore::nothing();
    std::fs::create_dir(place.path()).unwrap();
    std::fs::write(place.path().join("thesis.tex"), "years of work").unwrap();
    for replace in [false, true] {
        assert!(matches!(load(&place, "1 2\n", replace), Err(Error::Engine(EngineError::Kind { .. }))));
    }
    assert_eq!(files(&place.path()).into_keys().collect::<Vec<_>>(), ["thesis.tex"]);
    let file = place.around().join("file");
    std::fs::write(&file, "not a directory").unwrap();
    assert!(store_edges(&file, small().edge_list(), NodeOrder::default()).is_err());
    assert_eq!(std::fs::read(&file).unwrap(), b"not a directory");
    // An empty directory will do, and a load that fails leaves no new one.
    let empty = TempStore::nothing();
    assert!(load(&empty, "1\n", false).is_err());
    assert!(!empty.path().exists());
    std::fs::create_dir(empty.path()).unwrap();
    load(&empty, "1 2\n", false).unwrap();
}

#[test]
fn leftovers_are_swept_and_strangers_are_kept() {
    let store = indexed();
    interrupt(&store.path(), &BuildOptions { name: "begun".into(), ..options(&plan()) });
    interrupt(&store.path(), &BuildOptions { name: "begun-2".into(), ..options(&plan()) });
    let path = |name: &str| store.path().join(name);
    // What killed loads and builds leave.
    for name in ["graph-9.wpg", "graph-9.wpg.tmp", "labels-9.wpl", "labels-10.wpl.tmp", "manifest.wpm.tmp"] {
        std::fs::write(path(name), "half a file").unwrap();
    }
    std::fs::create_dir(path("index-default-7")).unwrap();
    std::fs::write(path("index-default-7/segment-000000.wps"), "half a file").unwrap();
    std::fs::create_dir(path("index-nothing-1")).unwrap(); // killed before its plan was written
    // What is not ours.
    std::fs::write(path("notes.txt"), "mine").unwrap();
    std::fs::create_dir(path("index-cards")).unwrap();

    // Nobody minds them.
    let opened = store.open();
    opened.index("default", &opened.graph().unwrap()).unwrap().verify().unwrap();
    let kept = |name: &str| content(&store.path()).keys().any(|file| file.starts_with(name)) || path(name).exists();

    // The next publication sweeps; unfinished builds of the same graph stay.
    build(&store.path(), &BuildOptions { name: "more".into(), ..options(&plan()) }).unwrap();
    let swept =
        ["graph-9.wpg", "graph-9.wpg.tmp", "labels-9.wpl", "labels-10.wpl.tmp", "manifest.wpm.tmp", "index-default-7"];
    for name in swept {
        assert!(!path(name).exists(), "{name} is still there");
    }
    for name in ["index-default-1", "index-more-1", "index-begun-1", "index-begun-2-1", "notes.txt", "index-cards"] {
        assert!(kept(name), "{name} is gone");
    }
    assert!(!path("index-nothing-1").exists(), "there is nothing to resume in it");

    // Of another graph they can never be finished.
    load(&store, "1 2\n2 1\n", true).unwrap();
    let left = content(&store.path()).into_keys().collect::<Vec<_>>();
    assert_eq!(left, ["graph-4.wpg", "labels-4.wpl", "manifest.wpm", "notes.txt"].map(str::to_owned), "{left:?}");
}

#[test]
fn the_same_graph_keeps_its_indexes() {
    let store = TempStore::nothing();
    let edges = "1 2 3\n2 3 1\n3 1 2\n";
    load(&store, edges, false).unwrap();
    let digest = build(&store.path(), &options(&plan())).unwrap().entry.fingerprint_digest;
    load(&store, edges, true).unwrap();
    let opened = store.open();
    assert_eq!(opened.manifest().indexes[0].fingerprint_digest, digest);
    opened.index("default", &opened.graph().unwrap()).unwrap().verify().unwrap();
    load(&store, "1 2 3\n2 3 1\n3 1 5\n", true).unwrap();
    assert!(store.open().manifest().indexes.is_empty());
}

/// Writes a manifest with other contents and a checksum that fits.
fn forge_manifest(store: &Path, change: impl FnOnce(&mut serde_json::Value)) {
    let path = store.join("manifest.wpm");
    let text = std::fs::read_to_string(&path).expect("a manifest");
    let (_, body) = text.split_once('\n').expect("a head line");
    let mut value = serde_json::from_str(body).expect("JSON");
    change(&mut value);
    let body = serde_json::to_string_pretty(&value).expect("JSON");
    let head = format!("walkprint 1 manifest {:016x} {}", xxh3_64(body.as_bytes()), body.len());
    std::fs::write(&path, format!("{head}\n{body}\n")).expect("room for a small file");
}

#[test]
fn names_in_a_manifest_do_not_lead_out_of_the_store() {
    let store = indexed();
    forge_manifest(&store.path(), |_| {});
    Store::open(&store.path()).expect("the forgery is accepted where nothing is wrong");
    for name in ["../graph-1.wpg", "..", "a/b", "a/../../b", "/dev/zero", "", "./x/.."] {
        for place in ["/graph/file", "/graph/labels_file", "/indexes/0/directory", "/indexes/0/segments/0/file"] {
            let copy = TempStore::copy_of(&store.path());
            forge_manifest(&copy.path(), |manifest| {
                *manifest.pointer_mut(place).expect("a field of the manifest") = name.into();
            });
            let opened = Store::open(&copy.path());
            assert!(matches!(opened, Err(EngineError::Damaged { .. })), "{place} = {name:?}: {opened:?}");
        }
    }
}

/// Numbers in a forged manifest that do not fit the files are errors, not panics.
#[test]
fn numbers_in_a_manifest_are_not_believed() {
    let store = indexed();
    let changes = [
        ("/graph/report/nodes", serde_json::json!(51)),
        ("/graph/digest", serde_json::json!("00")),
        ("/graph/labels_digest", serde_json::json!("00")),
        ("/indexes/0/graph_digest", serde_json::json!("00")),
        ("/indexes/0/plan/restart_prob", serde_json::json!(0.5)),
        ("/indexes/0/plan/rng_key", serde_json::json!(5)),
        ("/indexes/0/fingerprint_digest", serde_json::json!("00")),
        ("/indexes/0/entries", serde_json::json!(1)),
        ("/indexes/0/segments", serde_json::json!([])),
        ("/indexes/0/segments/0/pipeline/end", serde_json::json!(49)),
        ("/indexes/0/segments/0/pipeline/end", serde_json::json!(u32::MAX)),
        ("/indexes/0/segments/0/pipeline/first", serde_json::json!(1)),
        ("/indexes/0/segments/0/bytes", serde_json::json!(1)),
    ];
    for (place, value) in changes {
        let copy = TempStore::copy_of(&store.path());
        forge_manifest(&copy.path(), |manifest| {
            *manifest.pointer_mut(place).expect("a field of the manifest") = value.clone();
        });
        let opened = copy.open();
        let read = || -> Result<(), EngineError> {
            let (graph, labels) = (opened.graph()?, opened.labels()?);
            let index = opened.index("default", &graph)?;
            let mut answerer = Answerer::new(&graph, &labels, Some(&index), index.plan().restart_prob)?;
            answerer.answer(&Question { method: Method::Lookup, ..Question::new(Seeds::single(49)) })?;
            index.verify().map(|_| ())
        };
        assert!(read().is_err(), "{place} = {value}");
    }
}
