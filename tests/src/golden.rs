//! The golden stores: small stores that are checked in under `tests/golden`, by format version, and must be opened
//! by every later program of that version, byte for byte as they are.
//!
//! They were made by `cargo run --release -p walkprint-tests --example make_golden`, which calls [`make`]. They are made
//! again only when the format version rises, or (before a release) the random numbers change on purpose.

use std::path::{Path, PathBuf};

use walkprint_cluster::load::store_edges;
use walkprint_engine::file::FORMAT_VERSION;
use walkprint_engine::graph::NodeOrder;
use walkprint_engine::ids::{ExternalIds, StringTable};
use walkprint_engine::kinds::KindLists;
use walkprint_engine::plan::Plan;

use crate::draws::Draws;
use crate::graphs::PlainGraph;
use crate::stores::{build, options};

/// A golden store: what it is called, what it is made of.
#[derive(Debug, Clone)]
pub struct Golden {
    /// Its directory's name.
    pub name: &'static str,
    /// Its graph.
    pub graph: PlainGraph,
    /// The plan of its only index.
    pub plan: Plan,
}

/// Both golden stores: a weighted graph with string ids, and an unweighted one with integer ids.
#[must_use]
pub fn all() -> [Golden; 2] {
    [weighted(), unweighted()]
}

/// Where the golden stores of a format version lie.
#[must_use]
pub fn directory(version: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(format!("v{version}"))
}

/// Makes the golden stores of this format version in a directory.
///
/// # Panics
/// When a store is there already or cannot be written.
pub fn make(directory: &Path) {
    std::fs::create_dir_all(directory).expect("a directory for the golden stores");
    for Golden { name, graph, plan } in all() {
        let store = directory.join(name);
        store_edges(&store, graph.edge_list(), NodeOrder::default()).expect("a new store");
        build(&store, &options(&plan)).expect("a build");
        std::fs::remove_file(store.join("lock")).expect("the lock of the build that has ended");
    }
}

/// Makes the golden stores of this program's format version where they are checked in.
///
/// # Panics
/// As [`make`].
pub fn make_checked_in() -> PathBuf {
    let directory = directory(FORMAT_VERSION);
    make(&directory);
    directory
}

/// A ring of words with chords: self-loops, parallel edges, a dangling node, an isolated one; weights that only f64 holds.
fn weighted() -> Golden {
    let mut words: Vec<String> = (0..26u8).map(|letter| format!("{}-word", char::from(b'a' + letter))).collect();
    words.extend(["with blanks in it", "ünï, \"quoted\"", "007", "日本"].map(str::to_owned));
    words.sort();
    let mut table = StringTable::default();
    words.iter().for_each(|word| table.push(word));
    let mut draws = Draws::new(2026);
    let last = 29;
    let mut edges = Vec::new();
    for source in 0..last - 1 {
        edges.push((source, source + 1, 0.1 + draws.unit()));
        for _ in 0..draws.below(5) {
            edges.push((source, draws.below(last), 10f64.powf(3.0 * draws.unit() - 1.0)));
        }
    }
    edges.extend([(3, 3, 2.0), (4, 9, 1.0), (4, 9, 0.7), (5, 1, 0.0)]);
    let graph = PlainGraph { ids: ExternalIds::Strings(table), edges, weighted: true, kinds: KindLists::default() };
    Golden { name: "weighted.wp", graph, plan: Plan { walks: 24, rng_key: 7, ..Plan::default() } }
}

/// Numbers with gaps, some of them negative; each leads to a few others.
fn unweighted() -> Golden {
    let ids = (0..60i64).map(|at| at * at - 100).collect();
    let mut draws = Draws::new(1998);
    let mut edges: Vec<(u32, u32)> =
        (0..56).flat_map(|source| (0..1 + source % 5).map(move |more| (source, more))).collect();
    edges.iter_mut().for_each(|edge| edge.1 = draws.below(58));
    edges.sort_unstable();
    edges.dedup();
    let graph = PlainGraph { ids: ExternalIds::Integers(ids), ..PlainGraph::unweighted(60, &edges) };
    let plan = Plan { walks: 3, walks_per_edge: 2.5, restart_prob: 0.4, rng_key: u64::MAX, ..Plan::default() };
    Golden { name: "unweighted.wp", graph, plan }
}
