//! Keeps, for stores in shards: **after `open` succeeds no read panics, whatever the bytes; `verify` finds every changed
//! byte, and `gather` takes none** (DESIGN, invariant 3). Exhaustive on tiny stores: every truncation and every flip of a
//! single bit of every file.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use walkprint_cluster::gather::gather_store;
use walkprint_cluster::load::{LoadJob, load_shards};
use walkprint_cluster::processes::Processes;
use walkprint_engine::error::{Error, Result};
use walkprint_engine::graph::{Graph, NodeOrder, ShardFile};
use walkprint_engine::kinds::{KindFile, Kinds};
use walkprint_engine::labels::Labels;
use walkprint_engine::parts::{self, KindParts, LabelParts, RowParts};
use walkprint_engine::store::Store;
use walkprint_loaders::LoadOptions;
use walkprint_tests::damage::{calmly, flipped, forged};
use walkprint_tests::stores::{TempStore, files};

/// One change in so many is gathered too: that takes flushes to the disk.
const GATHERED: usize = 401;

/// Unweighted with integer ids; weights that are stored as f32, with strings; weights that are stored as f64; types of edges, one
/// of which has two.
const INPUTS: [(&str, &str); 4] = [
    ("unweighted", "1 2\n1 3\n2 2\n3 1\n9 -4\n"),
    ("f32 weights, string ids", "a b 1\na c 2.5\nb b 1\nc a 3\nünï d 1\n"),
    ("f64 weights", "1 2 0.1\n1 3 2.5\n2 2 1\n3 1 3\n9 4 1\n"),
    ("types", "source,target,type\n1,2,a\n1,3,b\n2,2,\n3,1,a\n3,1,b\n9,4,c\n"),
];

/// A store in two shards.
fn sharded(text: &str) -> TempStore {
    let store = TempStore::nothing();
    let input = store.around().join("edges.txt");
    std::fs::write(&input, text).expect("room for a small file");
    let node_types = store.around().join("types.csv");
    std::fs::write(&node_types, "1,x\n2,y\n9,x\n").expect("room for a small file");
    let node_types = text.starts_with("source").then_some(node_types);
    let options = LoadOptions { threads: 1, node_types, ..LoadOptions::default() };
    let job = LoadJob { inputs: vec![input], options, order: NodeOrder::Id, replace: false };
    load_shards(&store.path(), &job, Processes::alone(2), &Arc::new(AtomicBool::new(false)), &|_| {}).expect("a load");
    std::fs::remove_file(store.path().join("lock")).expect("the lock of the load that has ended");
    store
}

fn verify(path: &Path) -> Result<()> {
    let store = Store::open(path)?;
    if !store.is_sharded() {
        return Err(Error::damaged(path, "it was in shards"));
    }
    parts::verify(&store)
        .into_iter()
        .try_for_each(|(path, found)| found.unwrap_or_else(|| Err(Error::damaged(&path, "it was here"))))
}

/// Reads whatever can be read, in every way there is. Errors are expected.
fn read_everything(path: &Path) {
    let Ok(store) = Store::open(path) else { return };
    assert!(!store.is_sharded() || store.graph().is_err() && store.labels().is_err());
    if let Ok(rows) = RowParts::open(&store) {
        for node in (0..10).chain([u32::MAX]) {
            let _ = rows.degree(node);
            let Ok(Some(row)) = rows.row(node) else { continue };
            row.spread(1.0, |_, _| {});
        }
        for part in rows.parts() {
            let _ = (part.check(), part.verify_walk_rows(), part.rows().check());
        }
    }
    let kinds = KindParts::open(&store).ok().and_then(|parts| parts.kinds).into_iter();
    kinds.chain(store.kinds().ok().flatten()).for_each(|kinds| read_kinds(&kinds));
    if let Ok(ids) = LabelParts::open(&store) {
        for node in (0..10).chain([u32::MAX]) {
            let _ = ids.id(node);
        }
        for id in ["1", "-4", "a", "ünï", "", "~", "b"] {
            let _ = ids.node(id);
        }
    }
}

fn read_kinds(kinds: &Kinds) {
    for at in (0..10).chain([u32::MAX]) {
        let _ = kinds.node_kind(at).map(str::len);
        kinds.edge_kinds(at as usize).for_each(|name| assert!(name.len() < 1000));
    }
    for name in kinds.node_kinds().chain(["no such type"]) {
        let _ = kinds.nodes_of(name);
    }
    let (nodes, edges) = (kinds.count_nodes(), kinds.count_edges());
    assert_eq!((nodes.len(), edges.len()), (kinds.node_kinds().count(), kinds.all_edge_kinds().count()));
}

fn gather(store: &TempStore) -> bool {
    let into = store.around().join("gathered.wp");
    let gathered = gather_store(&[store.path()], &into, false, &AtomicBool::new(false));
    assert!(gathered.is_ok() || !into.exists(), "something was left behind");
    let _ = std::fs::remove_dir_all(&into);
    gathered.is_ok()
}

/// Tries every change of every file.
fn try_all(name: &str, text: &str, changes: impl Fn(usize) -> usize, change: impl Fn(&[u8], usize) -> Vec<u8>) {
    let store = sharded(text);
    verify(&store.path()).expect("the store is whole");
    assert!(gather(&store));
    for (file, bytes) in files(&store.path()) {
        let path = store.path().join(&file);
        for at in 0..changes(bytes.len()) {
            let what = || format!("{name}, {file}, change {at}");
            std::fs::write(&path, change(&bytes, at)).expect("a small file");
            calmly(what, || read_everything(&store.path()));
            assert!(calmly(what, || verify(&store.path())).is_err(), "{}: not found", what());
            if at % GATHERED == 0 {
                assert!(!calmly(what, || gather(&store)), "{}: gathered", what());
            }
        }
        std::fs::write(&path, &bytes).expect("a small file");
    }
    verify(&store.path()).expect("the store is whole again");
}

#[test]
fn every_flip() {
    for (name, text) in INPUTS {
        try_all(name, text, |length| length * 8, flipped);
    }
}

#[test]
fn every_truncation_and_a_byte_too_many() {
    for (name, text) in INPUTS {
        try_all(name, text, |length| length, |bytes, length| bytes[..length].to_vec());
        try_all(name, text, |_| 1, |bytes, _| [bytes, b"\n"].concat());
    }
}

#[test]
fn every_file_in_the_place_of_another() {
    for (name, text) in INPUTS {
        let store = sharded(text);
        let all = files(&store.path());
        for (file, bytes) in &all {
            let path = store.path().join(file);
            for (other, others) in all.iter().filter(|(other, _)| *other != file) {
                std::fs::write(&path, others).unwrap();
                let what = || format!("{name} with {other} as {file}");
                calmly(what, || read_everything(&store.path()));
                assert!(verify(&store.path()).is_err() && !gather(&store), "{}", what());
            }
            std::fs::write(&path, bytes).unwrap();
        }
    }
}

#[test]
fn checksums_that_fit_do_not_make_bytes_safe() {
    for (name, text) in INPUTS {
        let store = sharded(text);
        let forgery = store.around().join("forgery");
        let mut opened = 0;
        for (file, bytes) in files(&store.path()) {
            // An fst that was forged is not safe: it is kept out by its checksum. See `hostile_bytes.rs`.
            if file.ends_with(".wpm") || file.ends_with(".wpl") && name.contains("string") {
                continue;
            }
            assert!(forged(&bytes) == bytes, "the checksums are where the helper thinks");
            for bit in 0..bytes.len() * 8 {
                std::fs::write(&forgery, forged(&flipped(&bytes, bit))).expect("a small file");
                let what = || format!("{name}, {file} with bit {bit} flipped and checksums repaired");
                let gathers = bit % 16 == 0; // flushes to the disk
                let opens = calmly(what, || match file.rsplit_once('.') {
                    Some((_, "wpl")) => labels(&forgery, gathers),
                    Some((_, "wpt")) => kinds(&forgery, gathers),
                    _ => rows(&forgery, gathers),
                });
                opened += usize::from(opens);
            }
        }
        assert!(100 < opened, "{name}: most bits are content: repaired, they open; {opened}");
    }
}

fn labels(path: &Path, gathers: bool) -> bool {
    let Ok(labels) = Labels::open(path) else { return false };
    for node in 0..10 {
        let _ = (labels.rank(node), labels.id(node).map(|id| labels.node(&id)));
    }
    let _ = Labels::verify(path);
    if gathers {
        let _ = Labels::gather(&path.with_extension("gathered"), &[&labels, &labels]);
    }
    true
}

fn kinds(path: &Path, gathers: bool) -> bool {
    let Ok(file) = KindFile::open(path) else { return false };
    read_kinds(&Kinds::from(file.clone()));
    if let Ok(kinds) = Kinds::of_shards(vec![(0..3, 0..3, file.clone()), (3..6, 3..6, file.clone())]) {
        read_kinds(&kinds);
    }
    let whole = KindFile::verify(path).is_ok();
    if gathers {
        let gathered = path.with_extension("gathered");
        let result = Kinds::gather(&gathered, &[file.clone(), file]);
        assert!(result.is_err() || !whole || KindFile::verify(&gathered).is_ok(), "whole files gave a damaged one");
    }
    true
}

fn rows(path: &Path, gathers: bool) -> bool {
    let Ok(shard) = ShardFile::open(path) else { return false };
    let rows = shard.rows();
    for row in 0..u32::try_from(rows.nodes()).unwrap_or(u32::MAX).min(100) {
        let _ = rows.degree(row);
        if let Ok(row) = rows.row(row) {
            row.spread(1.0, |_, _| {});
        }
    }
    let _ = (shard.check(), shard.verify_walk_rows(), ShardFile::verify(path));
    let _ = rows.digest_of_rows(shard.id().nodes.start);
    if gathers {
        let _ = Graph::gather(&path.with_extension("gathered"), &[shard.clone(), shard.clone()]);
    }
    true
}
