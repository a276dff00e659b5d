//! Keeps: **a sharded build writes the bytes of a replicated one** (issue 4, show 1): any number of workers and processes, rows
//! cut short or whole, little memory or much, one block under way or several, killed and resumed by others.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use walkprint_cluster::build::{BuildOptions, BuildProgress, ShardedCut, build_index};
use walkprint_cluster::error::Error;
use walkprint_cluster::graph_mode::GraphMode;
use walkprint_engine::graph::NodeOrder;
use walkprint_engine::plan::Plan;
use walkprint_tests::graphs::{PlainGraph, star_heavy};
use walkprint_tests::program::{self, Ended, run, signal, wait_until};
use walkprint_tests::stores::{TempStore, build, options, segments};
use walkprint_tests::team::Team;

fn plan() -> Plan {
    Plan { walks: 40, rng_key: 3, ..Plan::default() }
}

/// Options of a sharded build in one process.
fn sharded(plan: &Plan, workers: usize, cut: ShardedCut) -> BuildOptions {
    BuildOptions { workers, graph: GraphMode::Sharded, cut, replace: true, ..options(plan) }
}

/// The segments of the build that every worker reads the whole graph for.
fn replicated(graph: &PlainGraph, plan: &Plan) -> BTreeMap<String, Vec<u8>> {
    let store = TempStore::of(graph, NodeOrder::default());
    let _ = build(&store.path(), &options(plan)).expect("a build");
    let segments = segments(&store.path(), "default");
    assert!(2 <= segments.len(), "one pipeline is too few");
    segments
}

/// What a build needs, as it says when it gets less.
fn least_memory(store: &Path, options: &BuildOptions) -> u64 {
    let refused = build(store, &BuildOptions { memory_bytes: 1, ..options.clone() });
    let Err(Error::Memory { needed, .. }) = refused else { panic!("{refused:?}") };
    let mebibytes = needed.strip_suffix("MiB").expect("some mebibytes").parse::<f64>().expect("a number");
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a size in bytes")]
    let bytes = (mebibytes * f64::from(1 << 20)) as u64;
    bytes
}

/// Builds the graph in all these ways and compares every byte. Gives the number of builds.
fn compare(graph: &PlainGraph, plan: &Plan, workers: &[usize], longest_rows: &[u64]) -> usize {
    let expected = replicated(graph, plan);
    let store = TempStore::of(graph, NodeOrder::default());
    let mut checked = 0;
    for &workers in workers {
        for &longest_row in longest_rows {
            let cut = ShardedCut { longest_row, ..ShardedCut::default() };
            let least = least_memory(&store.path(), &sharded(plan, workers, cut.clone()));
            let least = least + (plan.big_moves as u64) * (1 << 20); // for the tables, which nobody knows before
            let small = ShardedCut { block_visits: Some(30e3), blocks: Some(2), ..cut.clone() };
            for (cut, memory_bytes) in [(cut.clone(), least), (cut, 8 << 30), (small, 8 << 30)] {
                let what = format!("{plan:?}, {workers} workers, {cut:?}, {memory_bytes} bytes");
                let options = BuildOptions { memory_bytes, ..sharded(plan, workers, cut) };
                let store = TempStore::of(graph, NodeOrder::default());
                let outcome = build(&store.path(), &options).unwrap_or_else(|error| panic!("{what}: {error}"));
                assert!(outcome.planned_bytes <= memory_bytes, "{what}: planned {}", outcome.planned_bytes);
                assert!(segments(&store.path(), "default") == expected, "{what}: other bytes");
                checked += 1;
            }
        }
    }
    checked
}

#[test]
fn any_workers_any_cut_any_memory() {
    for graph in [star_heavy(2, 3_000, 6, false), star_heavy(5, 3_000, 6, true)] {
        assert_eq!(compare(&graph, &plan(), &[1, 2, 3], &[5, 300, 1 << 20]), 27);
    }
}

#[test]
fn big_moves_are_the_same_wherever_they_are_made() {
    for graph in [star_heavy(2, 3_000, 2, false), star_heavy(5, 3_000, 2, true)] {
        let plan = Plan { big_moves: 20, ..plan() };
        assert_ne!(replicated(&graph, &plan), replicated(&graph, &self::plan()), "nodes are small enough");
        assert_eq!(compare(&graph, &plan, &[1, 2, 3], &[5, 1 << 20]), 18);
    }
}

#[test]
fn an_interrupted_build_is_resumed_by_either_kind() {
    let graph = star_heavy(2, 20_000, 6, true);
    let plan = Plan { walks: 96, ..plan() };
    let options = |workers, graph| BuildOptions { workers, graph, ..options(&plan) };
    let whole = TempStore::of(&graph, NodeOrder::default());
    let outcome = build(&whole.path(), &options(2, GraphMode::Replicated)).unwrap();
    let expected = segments(&whole.path(), "default");
    for (first, then) in [(GraphMode::Sharded, GraphMode::Replicated), (GraphMode::Replicated, GraphMode::Sharded)] {
        let store = TempStore::of(&graph, NodeOrder::default());
        let progress = Arc::new(BuildProgress::default());
        let ended = AtomicBool::new(false);
        let cut = ShardedCut { block_visits: Some(400e3), ..ShardedCut::default() };
        let result = std::thread::scope(|scope| {
            scope.spawn(|| {
                while progress.sealed.load(Ordering::Relaxed) == 0 && !ended.load(Ordering::Relaxed) {
                    std::thread::yield_now();
                }
                progress.stop.store(true, Ordering::Relaxed);
            });
            let begun = BuildOptions { cut: cut.clone(), ..options(2, first) };
            let result = build_index(&store.path(), &begun, &progress, &mut |_| {});
            ended.store(true, Ordering::Relaxed);
            result
        });
        assert!(matches!(result, Err(Error::Interrupted)), "{first}: {result:?}");
        let resumed = build(&store.path(), &BuildOptions { resume: true, cut, ..options(3, then) }).unwrap();
        assert!(0 < resumed.resumed_pipelines, "{first}, then {then}");
        assert!(resumed.steps < outcome.steps, "{first}, then {then}: what is sealed is not walked again");
        assert!(segments(&store.path(), "default") == expected, "{first}, then {then}: other bytes");
    }
}

/// A directory with edges of a star-heavy graph as text.
fn edges(nodes: u32) -> tempfile::TempDir {
    let place = tempfile::tempdir().expect("a temporary directory");
    let mut text = String::new();
    for (source, target, weight) in star_heavy(4, nodes, 6, true).edges {
        text += &format!("{source} {target} {weight}\n");
    }
    std::fs::write(place.path().join("edges.txt"), text).expect("room for a file");
    place
}

#[test]
fn processes_with_shards_of_their_own() {
    let place = edges(6_000);
    let place = place.path();
    let _ = run(place, &["load", "edges.txt", "--into", "whole.wp", "--order", "id"]).done();
    let _ = run(place, &["index", "whole.wp", "--walks", "40"]).done();
    let expected = segments(&place.join("whole.wp"), "default");
    let cases: [(&[&str], &str, &str); 3] = [
        (&["s.wp", "s.wp"], "2", "16384"),
        (&["o0.wp", "o1.wp", "o2.wp"], "1", "50"),
        (&["h0.wp", "h1.wp", "h0.wp", "h1.wp"], "1", "50"),
    ];
    for (stores, workers, longest_row) in cases {
        let team = Team::new(place, stores.len());
        let load = ["load", "edges.txt", "--into", "STORE"];
        let index = ["index", "STORE", "--walks", "40", "--workers", workers, "--longest-row", longest_row];
        for arguments in [&load[..], &index[..]] {
            for ended in team.run_over(place, stores, arguments) {
                let _ = ended.done();
            }
        }
        // The processes that share process 0's directory seal.
        assert!(segments(&place.join(stores[0]), "default") == expected, "{stores:?}: other bytes");
        let into = format!("whole-{}.wp", stores.len());
        let mut parts = stores.to_vec();
        parts.sort_unstable();
        parts.dedup();
        let _ = run(place, &[&["gather"], &parts[..], &["--into", &into]].concat()).done();
        assert!(segments(&place.join(&into), "default") == expected, "{stores:?}: other bytes once gathered");
        let answer = |store: &str| program::results(place, &[store, "--seed", "7"]);
        assert_eq!(answer(&into), answer("whole.wp"), "{stores:?}");
    }
}

#[test]
fn a_killed_process_ends_all_and_others_resume() {
    let place = edges(10_000);
    let place = place.path();
    let _ = run(place, &["load", "edges.txt", "--into", "whole.wp", "--order", "id"]).done();
    let _ = run(place, &["index", "whole.wp", "--walks", "100"]).done();
    let expected = segments(&place.join("whole.wp"), "default");
    let stores = ["s.wp", "s.wp", "s.wp"];
    let team = Team::new(place, 3);
    for ended in team.run_over(place, &stores, &["load", "edges.txt", "--into", "STORE"]) {
        let _ = ended.done();
    }
    let index = ["index", "s.wp", "--walks", "100", "--workers", "1", "--block-visits", "200000"];
    let mut all: Vec<_> = (0..3).map(|process| team.start(place, process, &index)).collect();
    let sealed = || place.join("s.wp").join("index-default-1").join("segment-000002.wps").exists();
    assert!(wait_until(&mut all[1], sealed), "it ended before it had sealed three pipelines");
    signal(&all[1], "KILL");
    let ended: Vec<Ended> = all.into_iter().map(Ended::wait).collect();
    for other in [&ended[0], &ended[2]] {
        assert!(other.code == Some(2) && other.stderr.contains(&team.name(1)), "{ended:?}");
        assert!(!other.stderr.contains("panicked"), "{ended:?}");
    }
    let fewer = Team::new(place, 2);
    for ended in fewer.run_over(place, &["s.wp", "s.wp"], &[&index[..], &["--resume"]].concat()) {
        let _ = ended.done();
    }
    assert!(segments(&place.join("s.wp"), "default") == expected, "other bytes");
}
