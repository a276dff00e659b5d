//! Keeps: **a store that was written once is read for ever, or refused by its version.** The stores under `tests/golden`
//! were written by earlier programs; today's must open them, answer from them, and build the same rows, labels and
//! fingerprints again. The last pins the walks' random numbers: an index may be resumed by a later program.

use std::collections::BTreeMap;

use walkprint_engine::error::Error;
use walkprint_engine::file::FORMAT_VERSION;
use walkprint_engine::graph::Graph;
use walkprint_engine::ids::ExternalIds;
use walkprint_engine::labels::Labels;
use walkprint_engine::query::{Answerer, Dangling, Method, Question, Seeds};
use walkprint_engine::store::Store;
use walkprint_tests::dense;
use walkprint_tests::golden::{Golden, all, directory, make};
use walkprint_tests::stores::files;

#[test]
fn golden_stores_are_whole() {
    for Golden { name, graph, plan } in all() {
        let store = Store::open(&directory(FORMAT_VERSION).join(name)).unwrap();
        Graph::verify(&store.graph_path()).unwrap();
        Labels::verify(&store.labels_path()).unwrap();
        let (opened, labels) = (store.graph().unwrap(), store.labels().unwrap());
        let index = store.index("default", &opened).unwrap();
        index.verify().unwrap();
        assert_eq!(index.plan(), &plan);
        assert_eq!((opened.nodes(), opened.is_weighted()), (graph.nodes(), graph.weighted), "{name}");
        for rank in 0..graph.nodes() {
            let id = graph.ids.text(rank);
            let node = labels.node(&id).unwrap().unwrap_or_else(|| panic!("{name}: {id} is gone"));
            assert_eq!((labels.id(node).unwrap(), labels.rank(node).unwrap() as usize), (id, rank));
        }
        assert_eq!(labels.are_integers(), matches!(graph.ids, ExternalIds::Integers(_)));
    }
}

/// Scores from fingerprints lie within seven of their own standard errors of the truth: the walks do not change, and for
/// a normal deviation that is a chance of 3e-12.
#[test]
fn golden_stores_answer() {
    for Golden { name, graph, plan } in all() {
        let store = Store::open(&directory(FORMAT_VERSION).join(name)).unwrap();
        let (opened, labels) = (store.graph().unwrap(), store.labels().unwrap());
        let index = store.index("default", &opened).unwrap();
        let mut answerer = Answerer::new(&opened, &labels, Some(&index), plan.restart_prob).unwrap();
        let seeds = [(graph.ids.text(0), 3.0), (graph.ids.text(4), 1.0)];
        let mut by_rank = vec![0.0; graph.nodes()];
        (by_rank[0], by_rank[4]) = (0.75, 0.25);
        for dangling in [Dangling::Restart, Dangling::Drop, Dangling::SelfLoop, Dangling::Uniform] {
            let exact = dense::scores(&graph.transitions(), &by_rank, plan.restart_prob, dangling);
            for method in [Method::Lookup, Method::Combine, Method::Exact] {
                let seeds = Seeds::resolve(&labels, &seeds).unwrap();
                let question = Question { method, dangling, top: 1000, ..Question::new(seeds) };
                let answer = answerer.answer(&question).unwrap();
                assert_eq!(answer.method, method);
                assert!(10 < answer.results.len(), "{name}, {method}, {dangling}: {}", answer.results.len());
                for result in &answer.results {
                    let expected = exact[graph.ids.rank(&result.id).unwrap()];
                    let allowed = 7.0 * result.std_error + (1.0 - answer.mass_accounted) + 1e-12;
                    let off = (result.score - expected).abs();
                    assert!(off <= allowed, "{name}, {method}, {dangling}: {result:?}, expected {expected}");
                }
            }
        }
    }
}

/// The sections of a binary file by their ids. (Header: the number of sections at 24; the table from 64: id, and at 8 and 16
/// where the section lies.)
fn sections(bytes: &[u8]) -> BTreeMap<u32, &[u8]> {
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("as many bytes as were sliced"));
    let long = |at: usize| {
        usize::try_from(u64::from_le_bytes(bytes[at..at + 8].try_into().expect("as many bytes as were sliced")))
            .expect("a small file")
    };
    let rows = (0..word(24) as usize).map(|section| 64 + 32 * section);
    rows.map(|row| (word(row), &bytes[long(row + 8)..long(row + 8) + long(row + 16)])).collect()
}

/// Rows, labels and fingerprints are the same bytes. The stores were made when the digest of a graph was that of its file;
/// where that digest is written down, and in the section that holds today's, they differ.
#[test]
fn golden_stores_are_built_again() {
    let fresh = tempfile::tempdir().unwrap();
    make(fresh.path());
    for Golden { name, .. } in all() {
        let (old, new) = (directory(FORMAT_VERSION).join(name), fresh.path().join(name));
        let index = |path| Store::open(path).unwrap().manifest().indexes[0].fingerprint_digest.clone();
        assert_eq!(index(&old), index(&new), "{name}");
        let (old, new) = (files(&old), files(&new));
        assert!(old.keys().eq(new.keys()), "{name}: {:?}, now {:?}", old.keys(), new.keys());
        for (file, bytes) in old.iter().filter(|(file, _)| !file.ends_with(".wpm")) {
            let mut today = sections(&new[file]);
            for (section, bytes) in sections(bytes) {
                let now = today.remove(&section).unwrap_or_else(|| panic!("{name}/{file}: no section {section}"));
                if file.ends_with(".wps") && section == 1 {
                    assert!(now[..24] == bytes[..24] && now[40..] == bytes[40..], "{name}/{file}: another head");
                } else {
                    assert!(now == bytes, "{name}/{file}: other bytes in section {section}");
                }
            }
            let added: Vec<u32> = today.into_keys().collect();
            assert_eq!(added, if file.ends_with(".wpg") { vec![6] } else { vec![] }, "{name}/{file}");
        }
    }
}

#[test]
fn stores_of_other_versions_are_refused_as_such() {
    let parent = directory(FORMAT_VERSION).parent().unwrap().to_owned();
    for entry in std::fs::read_dir(parent).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_dir()) {
        let version = entry.file_name().into_string().unwrap();
        let version: u32 = version.strip_prefix('v').and_then(|number| number.parse().ok()).expect("v and a number");
        for store in std::fs::read_dir(entry.path()).unwrap().map(Result::unwrap) {
            match Store::open(&store.path()) {
                Ok(_) => assert_eq!(version, FORMAT_VERSION),
                Err(Error::Version { expected, got, .. }) => assert_eq!((expected, got), (FORMAT_VERSION, version)),
                Err(error) => panic!("{error}"),
            }
        }
    }
}

#[test]
fn golden_stores_are_small() {
    let bytes: usize = all()
        .iter()
        .flat_map(|golden| files(&directory(FORMAT_VERSION).join(golden.name)))
        .map(|(_, bytes)| bytes.len())
        .sum();
    assert!(bytes < 100_000, "{bytes}");
}
