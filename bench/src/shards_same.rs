//! Part `same` of the suite `shards`: the same graph and plan, built in every way there is, must give the same bytes.
//!
//! ```text
//!   {1, 2, 3, 4 processes} x {1, 2 workers}
//!     x ({replicated} + {sharded} x {rows cut at 64 edges, never})
//!     x {the least memory that works, plenty}
//! ```
//!
//! on soc-Epinions1 with and without weights and on a graph one node of which has a tenth of all edges. What is compared is
//! the index's digest over all fingerprints. Few walks, so that a build takes about a second: what could go wrong depends
//! on how the work is cut, not on how much of it there is.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};
use walkprint_cluster::graph_mode::GraphMode;
use walkprint_engine::plan::Plan;
use walkprint_engine::store::Store;

use crate::figure::{Figure, number};
use crate::graphs::{GraphOptions, Reading, Spec, nodes};
use crate::job::{Job, WHOLE_ROWS};
use crate::known_graphs::Known;
use crate::report::Report;

/// Processes of a job.
const PROCESSES: [usize; 4] = [1, 2, 3, 4];
/// Workers of each.
const WORKERS: [usize; 2] = [1, 2];
/// Where rows are cut, when they are: hundreds of nodes have longer ones.
const SHORT_ROW: u64 = 64;
/// Far more memory than these graphs need, and how finely the least that works is searched.
const PLENTY_MIB: u64 = 4096;
const MEMORY_STEP_MIB: u64 = 8;

/// A way to build, but for the number of processes.
#[derive(Debug, Clone, Copy)]
struct Way {
    workers: usize,
    graph: GraphMode,
    longest_row: Option<u64>,
}

impl Way {
    fn all() -> impl Iterator<Item = Way> {
        let modes = [
            (GraphMode::Replicated, None), // cuts no rows
            (GraphMode::Sharded, Some(SHORT_ROW)),
            (GraphMode::Sharded, Some(WHOLE_ROWS)),
        ];
        WORKERS.into_iter().flat_map(move |workers| {
            modes.into_iter().map(move |(graph, longest_row)| Way { workers, graph, longest_row })
        })
    }

    fn job(self, processes: usize, memory_mib: u64) -> Job {
        let Way { workers, graph, longest_row } = self;
        Job { processes, workers, graph, memory_mib, longest_row, blocks: None, block_visits: None, timely_log: None }
    }

    /// The least memory with which one process builds this way; several need no more each.
    fn least_mib(self, store: &Path, plan: &Plan) -> Result<u64> {
        for memory_mib in (MEMORY_STEP_MIB..PLENTY_MIB).step_by(usize::try_from(MEMORY_STEP_MIB)?) {
            match self.job(1, memory_mib).build(store, plan) {
                Ok(_) => return Ok(memory_mib),
                Err(error) if format!("{error:#}").contains("memory") => {}
                Err(error) => return Err(error),
            }
        }
        Ok(PLENTY_MIB)
    }
}

/// Builds on all graphs in all ways and checks that each graph has one digest.
///
/// # Errors
/// When a graph cannot be had or a build fails.
pub(crate) fn same(key: u64, report: &mut Report) -> Result<()> {
    let plan = Plan { walks: 4, walks_per_edge: 0.1, rng_key: key, ..Plan::default() };
    let directory = tempfile::tempdir().context("could not make a temporary directory")?;
    let hub = Spec::Hub { nodes: 20_000, edges: 200_000, weighted: true };
    let mut graphs = vec![(hub, Reading::default())];
    match Known::Epinions.file().filter(|file| file.exists()) {
        Some(file) => {
            graphs.push((Spec::File(file.clone()), Reading::default()));
            graphs.push((Spec::File(file), Reading { random_weights: true, ..Reading::default() }));
        }
        None => report.note("same: skipped soc-Epinions1, whose file is not there"),
    }
    for (number, (graph, reading)) in graphs.into_iter().enumerate() {
        let options = GraphOptions { graph, reading, key };
        let (store, facts) = options.store(&directory.path().join(format!("{number}.wp")))?;
        let weights = if reading.random_weights { ", weighted" } else { "" };
        let name = Path::new(&options.graph.to_string())
            .file_name()
            .map_or_else(String::new, |name| format!("{}{weights}", name.to_string_lossy()));
        report.graphs.push(facts);
        graph_by_all_ways(&name, &store, &plan, report)?;
    }
    Ok(())
}

fn graph_by_all_ways(name: &str, store: &Store, plan: &Plan, report: &mut Report) -> Result<()> {
    let graph = store.graph()?;
    let cut_rows = nodes(&graph).filter(|&node| SHORT_ROW < graph.degree(node)).count();
    drop(graph);
    let (mut digests, mut budgets, mut builds, mut seconds) = (BTreeSet::new(), BTreeSet::new(), 0, 0.0);
    for way in Way::all() {
        let least = way.least_mib(store.path(), plan)?;
        budgets.insert(least);
        for processes in PROCESSES {
            for memory_mib in [least, PLENTY_MIB] {
                let job = way.job(processes, memory_mib);
                let done = job.build(store.path(), plan).with_context(|| format!("{name}: {job:?}"))?;
                if digests.insert(done.whole().fingerprint_digest.clone()) && digests.len() != 1 {
                    report.note(format!("same: {name}: another digest by {job:?}"));
                }
                builds += 1;
                seconds += done.seconds();
            }
        }
    }
    let case = format!("same, {name}");
    report.figure(Figure::single(&case, "builds", "", f64::from(builds)));
    report.figure(Figure::single(&case, "distinct digests", "", digests.len() as f64));
    report.figure(Figure::single(&case, "rows cut", "", cut_rows as f64));
    report.figure(Figure::single(&case, "time of all builds", "s", seconds));
    let listed = |all: &BTreeSet<u64>| all.iter().map(|&one| number(one as f64)).collect::<Vec<_>>().join(", ");
    report.check(
        "same: one digest however the work is spread",
        digests.len() == 1 && cut_rows != 0,
        format!(
            "{name}: {builds} builds, {} distinct digests ({}); {cut_rows} rows cut; --memory {} and {PLENTY_MIB} MiB",
            digests.len(),
            digests.iter().map(String::as_str).collect::<Vec<_>>().join(", "),
            listed(&budgets),
        ),
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_is_tried_once_and_replicated_rows_are_never_cut() {
        let ways: Vec<Way> = Way::all().collect();
        assert_eq!(ways.len(), 6);
        let different: BTreeSet<String> = ways.iter().map(|way| format!("{way:?}")).collect();
        assert_eq!(different.len(), ways.len());
        let cuts = |way: &&Way| way.longest_row == Some(SHORT_ROW);
        assert!(ways.iter().filter(cuts).all(|way| way.graph == GraphMode::Sharded));
    }
}
