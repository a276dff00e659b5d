//! Keeps: **after `open` succeeds no read panics, whatever the bytes; `verify` finds every changed byte** (DESIGN,
//! invariant 3), and **an index refuses a graph or plan that is not its own** (invariant 4). Exhaustive on tiny stores:
//! every truncation and every flip of a single bit of every file that the manifest lists, and of the manifest.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use walkprint_engine::error::{Error, Result};
use walkprint_engine::graph::{Graph, NodeOrder, Steps};
use walkprint_engine::index::Segment;
use walkprint_engine::kinds::{Codes, KindFile, KindList, KindLists, Kinds};
use walkprint_engine::labels::Labels;
use walkprint_engine::plan::Plan;
use walkprint_engine::query::{Answerer, Dangling, Method, Question, Seeds};
use walkprint_engine::store::{Store, StoreLock};
use walkprint_tests::damage::{calmly, flipped, forged};
use walkprint_tests::graphs::PlainGraph;
use walkprint_tests::stores::{TempStore, build, files, options};
use walkprint_walkers::kernel::Walkable;
use walkprint_walkers::tally::Walker;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Eight nodes with everything that has a code path of its own: a self-loop, a dangling node, an isolated one.
fn graph(weights: [f64; 2]) -> PlainGraph {
    let ends = [(0, 1), (0, 2), (0, 5), (1, 0), (1, 1), (2, 3), (3, 0), (3, 4), (4, 5), (5, 0)];
    let edges = ends.into_iter().enumerate().map(|(at, (source, target))| (source, target, weights[at % 2])).collect();
    PlainGraph::weighted(8, edges)
}

fn plan() -> Plan {
    Plan { walks: 2, restart_prob: 0.5, ..Plan::default() }
}

/// Two types of nodes and of edges, and some of neither; the parallel edges 0 to 1 have both.
fn typed() -> PlainGraph {
    let list = |names: &[&str], codes: &[u32]| {
        let mut list = KindList::default();
        names.iter().for_each(|name| list.names.push(name));
        codes.iter().for_each(|&code| list.codes.push(code));
        list
    };
    let mut graph = graph([1.0, 2.5]);
    graph.edges.push((0, 1, 2.5));
    let nodes = list(&["n", "ünï"], &[1, 2, 0, 1, 1, 2, 0, 1]);
    let edges = list(&["cites", "likes"], &[1, 0, 2, 1, 2, 1, 1, 0, 2, 2, 2]);
    graph.kinds = KindLists { nodes: Some(nodes), edges: Some(edges) };
    graph
}

/// Unweighted with integer ids; weights that are stored as f32, with strings; weights that are stored as f64; types.
fn stores() -> [(&'static str, TempStore); 4] {
    let unweighted = PlainGraph { weighted: false, ..graph([1.0, 1.0]) };
    [
        ("unweighted", unweighted),
        ("f32 weights, string ids", graph([1.0, 2.5]).with_string_ids()),
        ("f64 weights", graph([0.1, 3.0])),
        ("types", typed()),
    ]
    .map(|(name, graph)| {
        let store = TempStore::of(&graph, NodeOrder::default());
        build(&store.path(), &options(&plan())).expect("a build of a tiny index");
        (name, store)
    })
}

/// The files that count: what the manifest lists, and the manifest.
fn listed(store: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = files(store);
    found.retain(|name, _| name != "lock" && !name.ends_with("plan.wpm"));
    let types = found.keys().filter(|name| name.ends_with(".wpt")).count();
    assert_eq!(found.len(), 4 + types, "graph, labels, one segment, manifest, perhaps types: {:?}", found.keys());
    found
}

const POLICIES: [Dangling; 4] = [Dangling::Restart, Dangling::Drop, Dangling::SelfLoop, Dangling::Uniform];

/// Reads whatever can be read, in every way there is, and asks by every method. Errors are expected. Dangling policies
/// take `turn`s, which keeps the tests short: neighbouring bits belong to the same number.
fn read_everything(path: &Path, turn: usize) {
    let Ok(store) = Store::open(path) else { return };
    let (graph, labels) = (store.graph(), store.labels());
    let index = graph.as_ref().ok().and_then(|graph| store.index("default", graph).ok());
    if let Ok(graph) = &graph {
        read_graph(graph);
        if let Some(index) = &index {
            for source in nodes(graph) {
                let _ = index.fingerprint(source).map(|fingerprint| fingerprint.to_vec());
            }
            let _ = index.verify();
        }
    }
    if let Ok(labels) = &labels {
        read_labels(labels);
    }
    if let Ok(Some(kinds)) = store.kinds() {
        read_kinds(&kinds);
    }
    if let (Ok(graph), Ok(labels)) = (&graph, &labels) {
        for index in [None, index.as_ref()] {
            let Ok(answerer) = Answerer::new(graph, labels, index, plan().restart_prob) else { continue };
            ask(answerer, turn);
        }
    }
}

fn nodes(graph: &Graph) -> std::ops::Range<u32> {
    0..u32::try_from(graph.nodes()).unwrap_or(u32::MAX).min(1000)
}

fn read_graph(graph: &Graph) {
    for node in nodes(graph) {
        let _ = graph.degree(node);
        let Ok(row) = graph.row(node) else { continue };
        row.spread(1.0, |_, _| {});
        (0..row.degree()).for_each(|position| assert!(row.weight(position).to_bits() != 1));
    }
    let _ = graph.check();
    // What passes the check is followed without looking back: with a share outside [0, 1] walks might never end.
    if let Ok(rows) = graph.walk_rows().checked() {
        if let Steps::Alias(slots) = rows.rows().steps() {
            assert!(slots.iter().all(|slot| (0.0..=1.0).contains(&slot.share)), "a share passed the check: {slots:?}");
        }
        let _ = Walker::default().fingerprints(Walkable::new(&rows), &plan(), 0, nodes(graph).end);
    }
}

fn read_labels(labels: &Labels) {
    for node in 0..10 {
        let _ = labels.rank(node);
        if let Ok(id) = labels.id(node) {
            let _ = labels.node(&id);
        }
    }
    for id in ["0", "7", "n000", "n007", "n", ""] {
        let _ = labels.node(id);
        let _ = labels.with_prefix(id, 20);
    }
    let _ = Seeds::resolve(labels, &[("n9".to_owned(), 1.0)]);
}

fn read_kinds(kinds: &Kinds) {
    for at in (0..20).chain([u32::MAX]) {
        let _ = kinds.node_kind(at).map(str::len);
        kinds.edge_kinds(at as usize).for_each(|name| assert!(name.len() < 1000));
    }
    for name in kinds.node_kinds().chain(["no such type"]) {
        if let Ok(nodes) = kinds.nodes_of(name) {
            assert!(nodes.iter().all(|node| kinds.node_kind(node) == Some(name)), "{name}");
        }
    }
    let (nodes, edges) = (kinds.count_nodes(), kinds.count_edges());
    assert_eq!((nodes.len(), edges.len()), (kinds.node_kinds().count(), kinds.all_edge_kinds().count()));
}

fn ask(mut answerer: Answerer<'_>, turn: usize) {
    let dangling = POLICIES[turn % POLICIES.len()];
    for method in [Method::Lookup, Method::Combine, Method::Exact] {
        let seeds = Seeds::from_weights(8, vec![(0, 1.0), (3, 2.0)]).expect("good seeds");
        let question = Question { method, dangling, residual: 1e-6, top: 20, ..Question::new(seeds) };
        if let Ok(answer) = answerer.answer(&question) {
            for result in &answer.results {
                assert!(0.0 < result.score && result.score.is_finite(), "{result:?}");
                assert!(0.0 <= result.std_error && result.std_error.is_finite(), "{result:?}");
            }
        }
        let _ = answerer.scores(&question);
    }
}

/// What `walkprint verify` does.
fn verify(path: &Path) -> Result<()> {
    let store = Store::open(path)?;
    Graph::verify(&store.graph_path())?;
    let graph = store.graph()?;
    Labels::verify(&store.labels_path())?;
    store.labels()?;
    if let Some(types) = store.types_path() {
        KindFile::verify(&types)?;
        store.kinds()?;
    }
    for entry in &store.manifest().indexes {
        store.index(&entry.name, &graph)?.verify()?;
    }
    Ok(())
}

/// Tries every change of every listed file.
fn try_all(name: &str, changes: impl Fn(usize) -> usize, change: impl Fn(&[u8], usize) -> Vec<u8>) {
    let (_, store) = stores().into_iter().find(|(store, _)| *store == name).expect("a store of this name");
    verify(&store.path()).expect("the store is whole");
    for (file, bytes) in listed(&store.path()) {
        let path = store.path().join(&file);
        for at in 0..changes(bytes.len()) {
            let what = || format!("{name}, {file}, change {at}");
            let changed = change(&bytes, at);
            std::fs::write(&path, changed).expect("a small file");
            calmly(what, || read_everything(&store.path(), at));
            let verified = calmly(what, || verify(&store.path()));
            assert!(verified.is_err(), "{}: not found", what());
        }
        std::fs::write(&path, &bytes).expect("a small file");
    }
    verify(&store.path()).expect("the store is whole again");
}

fn flip_every_bit(name: &str) {
    try_all(name, |length| length * 8, flipped);
}

#[test]
fn every_flip_unweighted() {
    flip_every_bit("unweighted");
}

#[test]
fn every_flip_f32_weights_string_ids() {
    flip_every_bit("f32 weights, string ids");
}

#[test]
fn every_flip_f64_weights() {
    flip_every_bit("f64 weights");
}

#[test]
fn every_flip_types() {
    flip_every_bit("types");
}

#[test]
fn every_truncation_and_a_byte_too_many() {
    for (name, _) in stores() {
        try_all(name, |length| length, |bytes, length| bytes[..length].to_vec());
        try_all(name, |_| 1, |bytes, _| [bytes, b"\n"].concat());
    }
}

#[test]
fn every_missing_file_and_every_file_in_the_place_of_another() {
    for (name, store) in stores() {
        let all = listed(&store.path());
        for (file, bytes) in &all {
            let path = store.path().join(file);
            std::fs::remove_file(&path).unwrap();
            calmly(|| format!("{name} without {file}"), || read_everything(&store.path(), 0));
            assert!(verify(&store.path()).is_err(), "{name} without {file}");
            for (other, others) in all.iter().filter(|(other, _)| *other != file) {
                std::fs::write(&path, others).unwrap();
                let what = || format!("{name} with {other} as {file}");
                calmly(what, || read_everything(&store.path(), 0));
                assert!(matches!(verify(&store.path()), Err(Error::Kind { .. })), "{}", what());
            }
            std::fs::write(&path, bytes).unwrap();
        }
    }
}

/// The path of the one file of a store whose name ends so.
fn file_of(store: &Path, suffix: &str) -> PathBuf {
    let name = listed(store).into_keys().find(|name| name.ends_with(suffix)).expect("a file of this kind");
    store.join(name)
}

/// Flips every bit of a file up to a place, repairs all checksums, and reads the file by itself. Returns how many
/// variants opened.
fn forge(
    store: &TempStore,
    suffix: &str,
    end: usize,
    repair: impl Fn(Vec<u8>) -> Vec<u8>,
    read: impl Fn(&Path, usize) -> bool,
) -> usize {
    let path = file_of(&store.path(), suffix);
    let bytes = std::fs::read(&path).expect("a small file");
    assert!(forged(&bytes) == bytes, "the checksums are where this test thinks");
    let forgery = store.around().join("forgery");
    let mut opened = 0;
    for bit in 0..bytes.len().min(end) * 8 {
        std::fs::write(&forgery, repair(flipped(&bytes, bit))).expect("a small file");
        let opens =
            calmly(|| format!("{suffix} with bit {bit} flipped and checksums repaired"), || read(&forgery, bit));
        opened += usize::from(opens);
    }
    opened
}

#[test]
fn checksums_that_fit_do_not_make_bytes_safe() {
    for (name, store) in stores() {
        let (graph, labels) = {
            let store = store.open();
            (store.graph().unwrap(), store.labels().unwrap())
        };
        let graphs = forge(
            &store,
            ".wpg",
            usize::MAX,
            |bytes| forged(&bytes),
            |path, bit| {
                let Ok(graph) = Graph::open(path) else { return false };
                read_graph(&graph);
                if let Ok(answerer) = Answerer::new(&graph, &labels, None, plan().restart_prob) {
                    ask(answerer, bit);
                }
                let _ = Graph::verify(path);
                true
            },
        );
        // The crate fst is memory-safe, but panics on a forged automaton: `open` reads its checksum for that reason, which
        // keeps damage out, though not forgery. It is the last section.
        let ids_are_last = |bytes: &[u8]| {
            let offset = bytes[64 + 2 * 32 + 8..][..8].try_into().expect("eight bytes");
            usize::try_from(u64::from_le_bytes(offset)).expect("a small file")
        };
        let end = match std::fs::read(file_of(&store.path(), ".wpl")).unwrap() {
            bytes if labels.are_integers() => bytes.len(),
            bytes => ids_are_last(&bytes),
        };
        let labels = forge(
            &store,
            ".wpl",
            end,
            |bytes| forged(&bytes),
            |path, bit| {
                let Ok(labels) = Labels::open(path) else { return false };
                read_labels(&labels);
                if let Ok(answerer) = Answerer::new(&graph, &labels, None, plan().restart_prob) {
                    ask(answerer, bit);
                }
                let _ = Labels::verify(path);
                true
            },
        );
        let path = file_of(&store.path(), ".wps");
        let whole = std::fs::read(&path).unwrap();
        let segments = forge(
            &store,
            ".wps",
            usize::MAX,
            |bytes| forged(&forged_fingerprints(bytes)),
            |forgery, bit| {
                // In its place, so that questions read it too.
                std::fs::rename(forgery, &path).expect("one directory");
                read_everything(&store.path(), bit);
                let Ok(segment) = Segment::open(&path) else { return false };
                let pipeline = segment.id().pipeline;
                for source in (pipeline.first..pipeline.end).take(100) {
                    let _ = segment.fingerprint(source).map(|fingerprint| fingerprint.to_vec());
                }
                let _ = segment.verify(8);
                true
            },
        );
        std::fs::write(&path, whole).unwrap();
        // Most bits are content: repaired, they open.
        assert!(
            [graphs, labels, segments].into_iter().all(|opened| 100 < opened),
            "{name}: {graphs} {labels} {segments}"
        );
    }
}

/// Names and codes that were made up: no read panics, and `verify` lets none pass that stands for nothing.
#[test]
fn types_with_checksums_that_fit() {
    let store = TempStore::of(&typed(), NodeOrder::default());
    build(&store.path(), &options(&plan())).unwrap();
    let graph = store.open().graph().unwrap();
    let (nodes, edges) = (nodes(&graph).end, graph.edges());
    let opened = forge(
        &store,
        ".wpt",
        usize::MAX,
        |bytes| forged(&bytes),
        |path, _| {
            let Ok(file) = KindFile::open(path) else { return false };
            let kinds = Kinds::from(file.clone());
            read_kinds(&kinds);
            if KindFile::verify(path).is_ok() && file.fit(nodes.into(), edges as u64) {
                let known: Vec<&str> = kinds.node_kinds().collect();
                let counted: u64 = kinds.count_nodes().iter().map(|kind| kind.count).sum();
                let typed = (0..nodes).filter(|&node| kinds.node_kind(node).is_some_and(|kind| known.contains(&kind)));
                assert_eq!(typed.count() as u64, counted);
                assert!(known.iter().all(|kind| kinds.nodes_of(kind).is_ok()));
            }
            true
        },
    );
    assert!(100 < opened, "{opened}");
    // Codes of every width.
    for largest in [0xffu32, 0xffff, 0x1_0000] {
        let mut wide = typed();
        let list = wide.kinds.edges.as_mut().unwrap();
        (list.names, list.codes) = Default::default();
        (0..=largest).for_each(|kind| list.names.push(&format!("{kind:08}")));
        list.codes = Codes::zeros(wide.edges.len());
        list.codes.set(3, largest + 1);
        let store = TempStore::of(&wide, NodeOrder::Id);
        let kinds = store.open().kinds().unwrap().unwrap();
        let (source, target, _) = wide.edges[3];
        let graph = store.open().graph().unwrap();
        let row = graph.row(source).unwrap().targets.iter().position(|&at| at == target).unwrap();
        let start = usize::try_from(graph.offsets()[source as usize]).unwrap();
        assert!(kinds.edge_kinds(start + row).eq([format!("{largest:08}").as_str()]));
        KindFile::verify(&store.open().types_path().unwrap()).unwrap();
    }
}

/// Repairs the checksums of single fingerprints (sections of the segment: 2 offsets, 3 checksums, 4 bytes).
fn forged_fingerprints(mut bytes: Vec<u8>) -> Vec<u8> {
    let section = |bytes: &[u8], number: usize| {
        let row = 64 + 32 * (number - 1);
        let at =
            |at: usize| usize::try_from(u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))).ok();
        let start = at(row + 8)?;
        let end = start.checked_add(at(row + 16)?)?;
        (end <= bytes.len()).then_some(start..end)
    };
    let [Some(offsets), Some(checksums), Some(packed)] = [2, 3, 4].map(|number| section(&bytes, number)) else {
        return bytes;
    };
    let offsets: Vec<usize> = bytes[offsets]
        .chunks_exact(4)
        .map(|offset| u32::from_le_bytes(offset.try_into().expect("four bytes")) as usize)
        .collect();
    for (source, pair) in offsets.windows(2).enumerate() {
        let range = packed.start.saturating_add(pair[0])..packed.start.saturating_add(pair[1]);
        let Some(fingerprint) = bytes.get(range) else { continue };
        let checksum = xxh3_64_with_seed(fingerprint, source as u64).to_le_bytes();
        let place = checksums.start + 4 * source;
        if let Some(place) = bytes.get_mut(place..place + 4) {
            place.copy_from_slice(&checksum[..4]);
        }
    }
    bytes
}

#[test]
fn another_version_and_a_foreign_file_are_told_apart() {
    let (_, store) = &stores()[0];
    let opened = store.open();
    let index_path = file_of(&store.path(), ".wps");
    type Open = fn(&Path) -> Result<()>;
    let files: [(PathBuf, Open); 3] = [
        (opened.graph_path(), |path| Graph::open(path).map(|_| ())),
        (opened.labels_path(), |path| Labels::open(path).map(|_| ())),
        (index_path, |path| Segment::open(path).map(|_| ())),
    ];
    let other = store.around().join("other");
    for (path, open) in &files {
        let bytes = std::fs::read(path).unwrap();
        let error = |bytes: &[u8]| {
            std::fs::write(&other, bytes).unwrap();
            open(&other).unwrap_err()
        };
        for version in [0u32, 2, 77] {
            let mut newer = bytes.clone();
            newer[8..12].copy_from_slice(&version.to_le_bytes());
            assert!(matches!(error(&newer), Error::Version { got, expected: 1, .. } if got == version));
        }
        let png = [b"\x89PNG\r\n\x1a\n".as_slice(), &[0; 100]].concat();
        for foreign in [png.as_slice(), b"", b"0\t1\n", b"WALKPRNT"] {
            assert!(matches!(error(foreign), Error::Kind { .. }), "{foreign:?}");
        }
        for (kind, _) in files.iter().filter(|(other, _)| other != path) {
            assert!(matches!(error(&std::fs::read(kind).unwrap()), Error::Kind { .. }));
        }
        assert!(matches!(error(&bytes[..bytes.len() - 1]), Error::Damaged { .. }));
        assert!(matches!(open(Path::new("no/such/file")), Err(Error::Io { .. })));
    }

    let manifest = store.path().join("manifest.wpm");
    let text = std::fs::read_to_string(&manifest).unwrap();
    let error = |text: &str| {
        std::fs::write(&manifest, text).unwrap();
        Store::open(&store.path()).unwrap_err()
    };
    let newer = text.replacen("walkprint 1 ", "walkprint 2 ", 1);
    assert!(matches!(error(&newer), Error::Version { got: 2, expected: 1, .. }));
    assert!(matches!(error("{\"not\": \"ours\"}\n"), Error::Kind { .. }));
    assert!(matches!(error(""), Error::Kind { .. }));
    assert!(matches!(error(&text[..text.len() - 1]), Error::Damaged { .. }));
    std::fs::remove_file(&manifest).unwrap();
    assert!(matches!(Store::open(&store.path()), Err(Error::NoStore { .. })));
}

/// A store of a graph, indexed by a plan of another key, whose segment is as long as that of the first store.
fn alike(graph: &PlainGraph, first: &TempStore) -> TempStore {
    let length = |store: &TempStore| std::fs::metadata(file_of(&store.path(), ".wps")).expect("a file").len();
    let stores = (1..100).map(|rng_key| {
        let store = TempStore::of(graph, NodeOrder::Id);
        build(&store.path(), &options(&Plan { rng_key, ..plan() })).expect("a build of a tiny index");
        store
    });
    stores.into_iter().find(|store| length(store) == length(first)).expect("lengths are rounded up to 64 bytes")
}

/// Two stores whose files have the same shapes; parts of one must not pass for parts of the other.
#[test]
fn parts_of_another_store_are_refused() {
    let ours = TempStore::of(&graph([1.0, 2.5]), NodeOrder::Id);
    build(&ours.path(), &options(&plan())).unwrap();
    let other_graph = alike(&graph([1.0, 2.0]), &ours);
    let other_plan = alike(&graph([1.0, 2.5]), &ours);
    let other_ids = {
        let mut graph = graph([1.0, 2.5]);
        graph.ids = walkprint_engine::ids::ExternalIds::Integers((10..18).collect());
        TempStore::of(&graph, NodeOrder::Id)
    };
    build(&other_ids.path(), &options(&plan())).unwrap();
    let (graph, labels) = (ours.open().graph().unwrap(), ours.open().labels().unwrap());
    let foreign = other_graph.open().graph().unwrap();
    let index = ours.open().index("default", &graph).unwrap();

    assert!(matches!(ours.open().index("default", &foreign), Err(Error::Mismatch { .. })));
    assert!(matches!(Answerer::new(&foreign, &labels, Some(&index), 0.5), Err(Error::Mismatch { .. })));
    assert!(matches!(Answerer::new(&graph, &labels, Some(&index), 0.25), Err(Error::Parameter { .. })));

    // One file at a time is put in the place of ours, and found wherever it is looked at.
    let swap = |suffix: &str, other: &TempStore, open: &dyn Fn(&Store) -> Result<()>| {
        let copy = TempStore::copy_of(&ours.path());
        let (from, to) = (file_of(&other.path(), suffix), file_of(&copy.path(), suffix));
        assert_eq!(std::fs::metadata(&from).unwrap().len(), std::fs::metadata(&to).unwrap().len(), "{suffix}");
        std::fs::copy(from, to).unwrap();
        let error = open(&copy.open()).expect_err(suffix);
        assert!(matches!(error, Error::Mismatch { .. }), "{suffix}: {error}");
        assert!(verify(&copy.path()).is_err(), "{suffix}");
    };
    let look_up = |store: &Store| -> Result<()> {
        let graph = store.graph()?;
        store.index("default", &graph)?.fingerprint(0).map(|_| ())
    };
    swap(".wpg", &other_graph, &|store| store.graph().map(|_| ()));
    swap(".wps", &other_graph, &look_up);
    swap(".wps", &other_plan, &look_up);
    swap(".wpl", &other_ids, &|store| store.labels().map(|_| ()));
}

/// The plan of an unfinished build is a file too.
#[test]
fn every_flip_of_an_unfinished_plan() {
    let store = TempStore::of(&graph([1.0, 2.5]), NodeOrder::Id);
    let progress = std::sync::Arc::new(walkprint_cluster::build::BuildProgress::default());
    progress.stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let stopped = walkprint_cluster::build::build_index(&store.path(), &options(&plan()), &progress, &mut |_| {});
    assert!(matches!(stopped, Err(walkprint_cluster::error::Error::Interrupted)));
    let lock = StoreLock::existing(&store.path()).unwrap();
    let directory = lock.unfinished(store.open().manifest(), "default").unwrap().unwrap();
    let path = directory.join("plan.wpm");
    let bytes = std::fs::read(&path).unwrap();
    for bit in 0..bytes.len() * 8 {
        std::fs::write(&path, flipped(&bytes, bit)).unwrap();
        let read = calmly(|| format!("plan with bit {bit} flipped"), || lock.read_plan(&directory));
        assert!(read.is_err(), "bit {bit}");
    }
}
