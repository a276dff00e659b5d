//! From a plain graph to what its walks estimate, without a store in between.

use walkprint_engine::fingerprint::Fingerprint;
use walkprint_engine::graph::{CheckedRows, NodeOrder, build};
use walkprint_engine::ids::NodeId;
use walkprint_engine::plan::Plan;
use walkprint_walkers::alias;
use walkprint_walkers::kernel::Walkable;
use walkprint_walkers::tally::Walker;

use crate::graphs::PlainGraph;

/// The rows that walks read, with nodes numbered by rank of id.
///
/// # Panics
/// When the graph cannot be built.
#[must_use]
pub fn walk_rows(graph: &PlainGraph) -> CheckedRows {
    let built = build(graph.edge_list(), NodeOrder::Id).expect("a test's graph can be built").graph;
    let graph = if built.is_weighted() {
        let slots = alias::tables(&built).expect("a graph that was just built is whole");
        built.with_aliases(slots)
    } else {
        built
    };
    graph.walk_rows().checked().expect("a graph that was just built is whole")
}

/// Walks one source, packs its fingerprint, unpacks it again and hands each visited node's estimate to `visit`.
///
/// # Panics
/// When the fingerprint cannot be unpacked, or its walks are not those of the plan.
pub fn estimates(
    walker: &mut Walker,
    graph: Walkable<'_>,
    plan: &Plan,
    source: NodeId,
    mut visit: impl FnMut(NodeId, f64),
) {
    let packed = walker.fingerprints(graph, plan, source, source + 1);
    let fingerprint = Fingerprint::decode(&packed.bytes).expect("a packed fingerprint");
    assert_eq!(fingerprint.walks, plan.walks_of(graph.degree(source)));
    let unit = fingerprint.unit(plan.restart_prob);
    assert!(fingerprint.for_each(|node, units| visit(node, unit * f64::from(units))), "a packed fingerprint");
}
