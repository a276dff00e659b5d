//! A store that was compacted is the store that is made of the changed graph from scratch, byte for byte; whatever moment a
//! compaction is killed at, what counted before counts, or the new generation does.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use walkprint_cluster::build::{BuildOptions, BuildProgress};
use walkprint_cluster::error::Error;
use walkprint_cluster::live::{Changes, CompactOptions, CompactOutcome, Edited, Edits, compact};
use walkprint_engine::graph::NodeOrder;
use walkprint_engine::ids::{ExternalIds, StringTable};
use walkprint_engine::kinds::{Codes, KindList, KindLists, Kinds};
use walkprint_engine::plan::Plan;
use walkprint_engine::store::{Manifest, Store};
use walkprint_tests::draws::Draws;
use walkprint_tests::graphs::{PlainGraph, sprawling, star_heavy};
use walkprint_tests::stores::{TempStore, build, files, options};

const OPTIONS: CompactOptions = CompactOptions { workers: 2, memory_bytes: 1 << 30 };

/// Follows what `edit` does to the graph of a store.
fn changes(store: &Path, edit: impl FnOnce(&mut Edits<'_>)) -> Changes {
    let store = Store::open(store).unwrap();
    let (graph, labels, kinds) = (store.graph().unwrap(), store.labels().unwrap(), store.kinds().unwrap());
    let kinds: Kinds = kinds.unwrap_or_default();
    let mut edits = Edits::new(&graph, &labels, &kinds);
    edit(&mut edits);
    edits.finish().unwrap()
}

fn absorb(store: &Path, changes: &Changes) -> Result<CompactOutcome, Error> {
    compact(store, changes, &OPTIONS, |_| (), &Arc::new(BuildProgress::default()), &mut |_| {})
}

fn named(name: &str, plan: &Plan) -> BuildOptions {
    BuildOptions { name: name.to_owned(), ..options(plan) }
}

fn plans() -> [(&'static str, Plan); 3] {
    [
        ("default", Plan { walks: 6, ..Plan::default() }),
        ("fine", Plan { walks: 40, walks_per_edge: 3.0, restart_prob: 0.3, rng_key: 9, ..Plan::default() }),
        ("moves", Plan { walks: 8, big_moves: 12, ..Plan::default() }),
    ]
}

fn with_indexes(store: &TempStore) {
    for (name, plan) in plans() {
        build(&store.path(), &named(name, &plan)).unwrap();
    }
}

/// The files that a generation consists of, by what they are rather than by the number of the generation.
fn contents(store: &Path) -> BTreeMap<String, Vec<u8>> {
    let digits = |name: &str| name.replace(|letter: char| letter.is_ascii_digit(), "");
    let mut found = BTreeMap::new();
    for (name, bytes) in files(store) {
        let name = match name.split_once('/') {
            Some((directory, file)) => format!("{}/{file}", digits(directory)),
            None => digits(&name),
        };
        if name != "manifest.wpm" && name != "lock" {
            assert!(found.insert(name.clone(), bytes).is_none(), "{name}: more than one generation");
        }
    }
    found
}

fn assert_same(got: &Path, expected: &Path, what: &str) {
    let (got, expected) = (contents(got), contents(expected));
    assert!(got.keys().eq(expected.keys()), "{what}: {:?} {:?}", got.keys(), expected.keys());
    for (name, bytes) in &got {
        assert!(*bytes == expected[name], "{what}: {name}");
    }
}

/// Edges with their types, by number of node.
type Edges = BTreeMap<(u32, u32), (f64, BTreeSet<String>)>;

/// A graph that is followed edit by edit, apart from the one in the store.
struct Model {
    nodes: u32,
    text: bool,
    weighted: bool,
    edges: Edges,
    node_kinds: BTreeMap<u32, String>,
    /// All names that ever occurred.
    names: [BTreeSet<String>; 2],
}

impl Model {
    fn of(graph: &PlainGraph, text: bool) -> Model {
        let mut edges = Edges::new();
        for &(source, target, weight) in graph.edges.iter().filter(|edge| edge.2 != 0.0) {
            edges.entry((source, target)).or_default().0 += weight;
        }
        let weighted = graph.weighted || edges.values().any(|(weight, _)| *weight != 1.0);
        let nodes = u32::try_from(graph.nodes()).unwrap();
        Model { nodes, text, weighted, edges, node_kinds: BTreeMap::new(), names: Default::default() }
    }

    /// Ids that ascend with the nodes' numbers, so that a store that is made from scratch numbers them likewise.
    fn id(&self, node: u32) -> String {
        if self.text { format!("n{node:06}") } else { node.to_string() }
    }

    fn plain(&self) -> PlainGraph {
        let ids = if self.text {
            let mut table = StringTable::default();
            (0..self.nodes).for_each(|node| table.push(&self.id(node)));
            ExternalIds::Strings(table)
        } else {
            ExternalIds::Integers((0..i64::from(self.nodes)).collect())
        };
        let [node_names, edge_names] = self.names.each_ref().map(|names| {
            let mut table = StringTable::default();
            names.iter().for_each(|name| table.push(name));
            table
        });
        let code = |names: &StringTable, name: &str| u32::try_from(names.rank(name).unwrap()).unwrap() + 1;
        let (mut edges, mut codes) = (Vec::new(), Codes::default());
        for (&(source, target), (weight, kinds)) in &self.edges {
            edges.push((source, target, *weight));
            codes.push(kinds.first().map_or(0, |kind| code(&edge_names, kind)));
            assert!(kinds.len() <= 1, "one type an edge is enough here");
        }
        let mut kinds = KindLists::default();
        if !edge_names.is_empty() {
            kinds.edges = Some(KindList { names: edge_names, codes });
        }
        if !node_names.is_empty() {
            let mut codes = Codes::default();
            (0..self.nodes)
                .for_each(|node| codes.push(self.node_kinds.get(&node).map_or(0, |kind| code(&node_names, kind))));
            kinds.nodes = Some(KindList { names: node_names, codes });
        }
        let weighted = self.weighted || edges.iter().any(|edge| edge.2 != 1.0);
        PlainGraph { ids, edges, weighted, kinds }
    }

    /// Does the same to the model and to the edits of a store, some times.
    fn change(&mut self, edits: &mut Edits<'_>, draws: &mut Draws, times: u32, style: Style) {
        for _ in 0..times {
            let mut any = |draws: &mut Draws, model: &mut Model| {
                if style.grow && draws.chance(0.1) {
                    model.nodes += 1;
                    let id = model.id(model.nodes - 1);
                    edits.set_node(&id, None).unwrap();
                    model.nodes - 1
                } else {
                    draws.below(model.nodes)
                }
            };
            let (source, target) = (any(draws, self), any(draws, self));
            let edge = *match draws.chance(0.5) {
                true => self.edges.keys().nth(draws.below(u32::try_from(self.edges.len()).unwrap().max(1)) as usize),
                false => None,
            }
            .unwrap_or(&(source, target));
            let (from, to) = (self.id(edge.0), self.id(edge.1));
            let weight = if style.weights { f64::from(1 + draws.below(40)) / 8.0 } else { 1.0 };
            let kind = (style.types && draws.chance(0.5)).then(|| ["likes", "cites", "knows"][draws.below(3) as usize]);
            let there = self.edges.get(&edge).map(|(weight, _)| *weight);
            match draws.below(10) {
                0..3 => {
                    let expected = if there.is_some() { Edited::Done } else { Edited::Missing };
                    assert_eq!(edits.remove_edge(&from, &to, None).unwrap(), expected);
                    self.edges.remove(&edge);
                }
                3 if there.is_some() && style.weights => {
                    let own = there.unwrap();
                    edits.remove_edge(&from, &to, Some(own / 2.0)).unwrap();
                    self.edges.get_mut(&edge).unwrap().0 = own - own / 2.0;
                    assert!(edits.remove_edge(&from, &to, Some(own)).is_err(), "more than there is");
                }
                4 if style.grow => {
                    edits.remove_node(&from).unwrap();
                    self.edges.retain(|&(source, target), _| source != edge.0 && target != edge.0);
                }
                5 if style.types => {
                    edits.set_node(&from, Some("person")).unwrap();
                    self.node_kinds.insert(edge.0, "person".to_owned());
                    self.names[0].insert("person".to_owned());
                }
                6..8 if there.is_none() || style.weights => {
                    edits.add_edge(&from, &to, style.weights.then_some(weight), None).unwrap();
                    self.edges.entry(edge).or_default().0 += weight;
                }
                _ => {
                    edits.set_edge(&from, &to, style.weights.then_some(weight), kind).unwrap();
                    let own = self.edges.entry(edge).or_default();
                    own.0 = weight;
                    if let Some(kind) = kind {
                        own.1 = [kind.to_owned()].into();
                        self.names[1].insert(kind.to_owned());
                    }
                }
            }
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Style {
    weights: bool,
    types: bool,
    grow: bool,
}

/// Some generations, each made by changes of the one before and compared with one from scratch.
fn follow(key: u64, graph: &PlainGraph, text: bool, style: Style, times: &[u32]) {
    let mut draws = Draws::new(key);
    let mut model = Model::of(graph, text);
    let store = TempStore::of(&model.plain(), NodeOrder::Id);
    with_indexes(&store);
    for (round, &times) in times.iter().enumerate() {
        let what = format!("key {key}, {style:?}, round {round}");
        let changes = changes(&store.path(), |edits| model.change(edits, &mut draws, times, style));
        // Types whose last edge vanished before they were ever published are not known to the store.
        let published = Store::open(&store.path()).unwrap().kinds().unwrap().unwrap_or_default();
        let last_nodes = changes.kinds.nodes.values().flatten().cloned();
        model.names[0] = published.node_kinds().map(str::to_owned).chain(last_nodes).collect();
        let last_edges = changes.kinds.edges.values().flatten().cloned();
        model.names[1] = published.all_edge_kinds().map(str::to_owned).chain(last_edges).collect();
        let outcome = absorb(&store.path(), &changes).unwrap();
        model.weighted |= outcome.manifest.graph.report.weighted;
        let fresh = TempStore::of(&model.plain(), NodeOrder::Id);
        with_indexes(&fresh);
        assert_same(&store.path(), &fresh.path(), &what);
        for (got, expected) in outcome.manifest.indexes.iter().zip(&fresh.open().manifest().indexes) {
            assert_eq!(got.fingerprint_digest, expected.fingerprint_digest, "{what}");
            assert_eq!((got.entries, got.bytes, &got.segments), (expected.entries, expected.bytes, &expected.segments));
            store.open().index(&got.name, &store.open().graph().unwrap()).unwrap().verify().unwrap();
        }
        assert!(outcome.indexes.iter().all(|index| index.walked <= index.sources), "{what}");
    }
}

#[test]
fn compacted_as_from_scratch() {
    let plain = Style { weights: false, types: false, grow: false };
    follow(1, &sprawling(1, 500, 3, false), false, plain, &[1, 3, 40]);
    follow(2, &star_heavy(2, 300, 4, true), false, Style { weights: true, ..plain }, &[2, 30]);
    follow(3, &sprawling(3, 300, 3, false), true, Style { grow: true, ..plain }, &[5, 60, 5]);
    follow(4, &sprawling(4, 300, 3, true), true, Style { types: true, weights: true, grow: true }, &[5, 80]);
    // A graph without weights and types gets both.
    follow(5, &sprawling(5, 200, 2, false), false, Style { types: true, weights: true, grow: true }, &[3, 50, 9]);
    follow(6, &PlainGraph::unweighted(1, &[]), false, Style { types: false, weights: false, grow: true }, &[30, 200]);
}

/// Few changes touch few sources, and what they do not touch is not walked.
#[test]
fn what_no_walk_came_to_touches_nobody() {
    // Two rings that do not know each other.
    let ring = |first: u32, length: u32| (0..length).map(move |at| (first + at, first + (at + 1) % length));
    let edges: Vec<(u32, u32)> = ring(0, 400).chain(ring(400, 400)).collect();
    let store = TempStore::of(&PlainGraph::unweighted(800, &edges), NodeOrder::Id);
    with_indexes(&store);
    let outcome = absorb(
        &store.path(),
        &changes(&store.path(), |edits| {
            edits.add_edge("700", "3", None, None).unwrap();
            edits.add_edge("new", "3", Some(2.0), None).unwrap(); // and now there are weights, and ids are no integers
        }),
    );
    let outcome = outcome.unwrap();
    for index in &outcome.indexes {
        assert_eq!(index.sources, 801);
        assert!((2..=401).contains(&index.walked), "{index:?}");
    }
    let fresh = TempStore::copy_of(&store.path());
    for (name, plan) in plans() {
        build(&fresh.path(), &BuildOptions { replace: true, ..named(name, &plan) }).unwrap();
    }
    assert_same(&store.path(), &fresh.path(), "two rings");
}

#[test]
fn numbers_of_nodes_stay_in_any_order() {
    let graph = star_heavy(7, 300, 3, true);
    for order in [NodeOrder::Degree, NodeOrder::BreadthFirst] {
        let store = TempStore::of(&graph, order);
        with_indexes(&store);
        let ids = |store: &TempStore| {
            let labels = store.open().labels().unwrap();
            (0..300).map(|node| labels.id(node).unwrap()).collect::<Vec<_>>()
        };
        let before = ids(&store);
        let mut model = Model::of(&graph, false);
        let mut draws = Draws::new(70);
        let style = Style { weights: true, types: false, grow: true };
        let changes = changes(&store.path(), |edits| model.change(edits, &mut draws, 25, style));
        absorb(&store.path(), &changes).unwrap();
        assert_eq!(ids(&store), before);
        let fresh = TempStore::copy_of(&store.path());
        for (name, plan) in plans() {
            build(&fresh.path(), &BuildOptions { replace: true, ..named(name, &plan) }).unwrap();
        }
        assert_same(&store.path(), &fresh.path(), "walked again");
        let (graph, labels) = (store.open().graph().unwrap(), store.open().labels().unwrap());
        let mut edges = BTreeMap::new();
        for node in 0..u32::try_from(graph.nodes()).unwrap() {
            let row = graph.row(node).unwrap();
            for (at, &target) in row.targets.iter().enumerate() {
                let edge = [node, target].map(|node| labels.id(node).unwrap().parse::<u32>().unwrap());
                edges.insert((edge[0], edge[1]), row.weight(at));
            }
        }
        assert!(edges.iter().eq(model.edges.iter().map(|(edge, (weight, _))| (edge, weight))));
    }
}

/// What a kill leaves: some of the files of the new generation, and the old manifest; or both generations and the new one.
#[test]
fn killed_at_any_step() {
    let graph = sprawling(8, 3_000, 12, true);
    let base = TempStore::of(&graph, NodeOrder::Id);
    with_indexes(&base);
    let mut model = Model::of(&graph, false);
    let style = Style { weights: true, types: true, grow: true };
    let changes = changes(&base.path(), |edits| {
        model.change(edits, &mut Draws::new(80), 12, style);
        edits.set_node("70000", Some("person")).unwrap();
    });
    let whole = TempStore::copy_of(&base.path());
    absorb(&whole.path(), &changes).unwrap();
    let (old, new) = (files(&base.path()), files(&whole.path()));
    // In the order in which they come about; of a file that is being written there is a temporary one.
    let mut order: Vec<&String> = new.keys().filter(|name| !old.contains_key(*name)).collect();
    let place = |name: &str| ["graph", "labels", "types"].iter().position(|kind| name.starts_with(kind)).unwrap_or(3);
    order.sort_by_key(|name| {
        (place(name), name.split('/').next().map(str::to_owned), !name.ends_with("plan.wpm"), name.to_string())
    });
    assert!(9 < order.len(), "{order:?}");
    for written in (0..=order.len()).filter(|written| written % 3 == 0 || *written < 6) {
        let killed = TempStore::copy_of(&base.path());
        let write = |name: &str, bytes: &[u8]| {
            let path = killed.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        };
        order[..written].iter().for_each(|name| write(name, &new[*name]));
        if let Some(name) = order.get(written) {
            write(&format!("{name}.tmp"), &new[*name][..new[*name].len() / 2]);
        }
        // What counted counts.
        let store = killed.open();
        assert_eq!(store.manifest(), base.open().manifest());
        for (name, _) in plans() {
            store.index(name, &store.graph().unwrap()).unwrap().verify().unwrap();
        }
        let progress = Arc::new(BuildProgress::default());
        compact(&killed.path(), &changes, &OPTIONS, |_| (), &progress, &mut |_| {}).unwrap();
        assert_same(&killed.path(), &whole.path(), &format!("{written} files"));
        if written == order.len() {
            assert_eq!(progress.steps.load(Ordering::Relaxed), 0, "all was sealed before");
        }
    }
    // Killed behind the publication: the old files are still there, and go with the next one.
    let killed = TempStore::copy_of(&base.path());
    for (name, bytes) in &new {
        let path = killed.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    assert_eq!(killed.open().manifest(), whole.open().manifest());
    let nothing = Changes { base_digest: killed.open().graph().unwrap().digest(), ..Changes::default() };
    assert!(absorb(&killed.path(), &nothing).unwrap().indexes.is_empty());
    assert_same(&killed.path(), &whole.path(), "swept");
}

#[test]
fn what_cannot_be_done_leaves_the_store_as_it_was() {
    let store = TempStore::of(&sprawling(9, 400, 3, false), NodeOrder::Id);
    with_indexes(&store);
    let own = changes(&store.path(), |edits| {
        edits.add_edge("1", "2", Some(3.0), Some("likes")).unwrap();
        edits.add_edge("9999", "2", None, None).unwrap();
    });
    let before = files(&store.path());
    let refused = |changes: &Changes| {
        let error = absorb(&store.path(), changes).unwrap_err();
        assert!(files(&store.path()) == before, "{error}");
        error
    };
    let other = Changes { base_digest: own.base_digest ^ 1, ..own.clone() };
    assert!(matches!(refused(&other), Error::OtherGraph { .. }));
    let twice = Changes { new_ids: vec!["1".to_owned()], rows: BTreeMap::new(), ..own.clone() };
    let _ = refused(&twice);
    let nowhere = Changes { rows: [(3, vec![(5_000, 1.0)])].into(), ..own.clone() };
    let _ = refused(&nowhere);
    let progress = Arc::new(BuildProgress::default());
    progress.stop.store(true, Ordering::Relaxed);
    let stopped = compact(&store.path(), &own, &OPTIONS, |_| (), &progress, &mut |_| {});
    assert!(matches!(stopped, Err(Error::Interrupted)), "{stopped:?}");
    assert!(files(&store.path()) == before);
    // A second one on the same changes finds another graph.
    let mut seen = None;
    let edit = |manifest: &mut Manifest| seen = Some(manifest.generation);
    compact(&store.path(), &own, &OPTIONS, edit, &Arc::new(BuildProgress::default()), &mut |_| {}).unwrap();
    assert_eq!(seen, Some(store.open().manifest().generation));
    assert!(matches!(absorb(&store.path(), &own), Err(Error::OtherGraph { .. })));
}

/// A fingerprint that cannot be read is walked, and the index is whole again.
#[test]
fn damaged_fingerprints_are_not_taken() {
    let store = TempStore::of(&sprawling(10, 2_000, 4, false), NodeOrder::Id);
    build(&store.path(), &named("default", &plans()[0].1)).unwrap();
    let changes = changes(&store.path(), |edits| {
        edits.add_edge("1", "2", None, None).unwrap();
    });
    let sound = TempStore::copy_of(&store.path());
    absorb(&sound.path(), &changes).unwrap();
    let path = store.path().join("index-default-1/segment-000000.wps");
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.len() - 200;
    bytes[at] ^= 0x55;
    std::fs::write(&path, bytes).unwrap();
    absorb(&store.path(), &changes).unwrap();
    assert_same(&store.path(), &sound.path(), "repaired");
}
