//! Part `absorb`: edges that were held back from a graph come, one by one and in batches, in this process.
//!
//! Of each single edge it is measured what takes how long until the next question counts it: it is checked, kept in the log (on the
//! disk before it counts), counted by the dataflow, and what changed is made ready to answer from. The graph as it is is compared with the whole graph
//! at the end.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use walkprint_cluster::choice::precision_of;
use walkprint_cluster::live::{EventLog, LiveGraph, LogOptions, Missing, Now, Taker};
use walkprint_cluster::load::store_edges;
use walkprint_engine::edges::EdgeList;
use walkprint_engine::events::{Event, Operation};
use walkprint_engine::graph::{Graph, NodeOrder};
use walkprint_engine::query::{Answerer, ChangedRows, Method, Question, Seeds};
use walkprint_engine::store::Store;

use super::streams::{HeldBack, come_and_go, hold_back};
use super::{INDEX, Options};
use crate::figure::{Figure, Quantity, quantile};
use crate::graphs::GraphFacts;
use crate::report::{Report, Sheet, SheetRow};
use crate::serve::stores::copy;

/// What share of the edges is held back.
const SHARE: f64 = 0.01;
/// The steps of a single edge, in order; the last is all but the answer.
const STEPS: [&str; 8] = [
    "checked",
    "in the log, on the disk",
    "counted by the dataflow",
    "changes",
    "graph and labels",
    "differences of rows",
    "answered about its source",
    "ready to answer, in all",
];
const MEDIAN: Quantity = ("median", "µs");
const P99: Quantity = ("p99", "µs");

/// A store of a graph without some of its edges, with an index.
pub(super) struct Prepared {
    place: tempfile::TempDir,
    pub(super) path: PathBuf,
    pub(super) held: Vec<(String, String)>,
    /// All edges of the graph.
    all: EdgeList,
}

impl Prepared {
    /// Makes the store.
    ///
    /// # Errors
    /// When the graph cannot be had, or the disk refuses.
    pub(super) fn make(report: &mut Report, options: &Options) -> Result<Prepared> {
        let place = tempfile::tempdir().context("could not make a temporary directory")?;
        let all = options.graph.edges(place.path(), options.key)?;
        let HeldBack { left, held } = hold_back(all.clone(), SHARE, options.key)?;
        let path = place.path().join("base.wp");
        let store = store_edges(&path, left, NodeOrder::default())?;
        let spec = format!("{} without {} edges", options.graph, held.len());
        report.graphs.push(GraphFacts::of(&spec, &store.graph()?, "breadth-first")?);
        options.index(&path)?;
        Ok(Prepared { place, path, held, all })
    }

    /// A copy of the store under a name, made anew.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(super) fn copy(&self, name: &str) -> Result<PathBuf> {
        let path = self.place.path().join(name);
        if path.exists() {
            std::fs::remove_dir_all(&path).with_context(|| format!("{}: could not remove", path.display()))?;
        }
        copy(&self.path, &path)?;
        Ok(path)
    }
}

/// Measures single edges and batches.
///
/// # Errors
/// When the graph or a store cannot be had.
pub(super) fn run(report: &mut Report, options: &Options) -> Result<()> {
    let prepared = Prepared::make(report, options)?;
    singles(report, options, &prepared)?;
    batches(report, options, &prepared)
}

fn singles(report: &mut Report, options: &Options, prepared: &Prepared) -> Result<()> {
    let path = prepared.copy("singles.wp")?;
    let store = Store::open(&path)?;
    let mut live = LiveGraph::open(&store, 1)?;
    let (mut log, _) = EventLog::open(&path, LogOptions::default(), &mut |_| Ok(()))?;
    let base = store.graph()?;
    let index = store.index(INDEX, &base)?;
    let restart_prob = index.plan().restart_prob;
    let mut rows = ChangedRows::of_rows(&base, &base, [])?;
    let mut times: [Vec<f64>; STEPS.len()] = Default::default();
    let count = prepared.held.len().min(options.singles as usize);
    for (number, (from, to)) in (0..count).zip(&prepared.held) {
        let event = [Event::edge(Operation::Add, from, to).named(format!("{number}"))];
        let mut moments = vec![Instant::now()];
        let staged = live.stage(&event, Missing::Refuse).map_err(|refused| refused.why)?;
        moments.push(Instant::now());
        log.append(&event)?;
        moments.push(Instant::now());
        live.commit(staged)?;
        moments.push(Instant::now());
        let changes = live.changes()?;
        moments.push(Instant::now());
        let (graph, labels) = (changes.graph(&base)?, changes.labels(live.labels())?);
        moments.push(Instant::now());
        let source = labels.node(from)?.context("a node that has just come has a number")?;
        rows = rows.updated(&base, &graph, [source])?;
        moments.push(Instant::now());
        let mut answerer = Answerer::with_changes(&graph, &labels, &index, &rows, restart_prob)?;
        let seeds = Seeds::from_weights(graph.nodes(), vec![(source, 1.0)])?;
        let precision = precision_of(Method::Combine, None);
        std::hint::black_box(answerer.answer(&Question {
            method: Method::Combine,
            precision,
            ..Question::new(seeds)
        })?);
        moments.push(Instant::now());
        for (step, pair) in moments.windows(2).enumerate() {
            times[step].push((pair[1] - pair[0]).as_secs_f64() * 1e6);
        }
        times[STEPS.len() - 1].push((moments[STEPS.len() - 2] - moments[0]).as_secs_f64() * 1e6);
    }
    let mut sheet_rows = Vec::new();
    for (step, times) in STEPS.into_iter().zip(&times) {
        let case = format!("one edge, {}: {step}", options.graph);
        for ((name, unit), share) in [(MEDIAN, 0.5), (P99, 0.99)] {
            report.figure(Figure::single(&case, name, unit, quantile(times, share)));
        }
        let ours = step == STEPS[STEPS.len() - 1];
        sheet_rows.push(SheetRow { case, name: step.to_owned(), words: Vec::new(), ours });
    }
    report.sheets.push(Sheet {
        title: format!("{}: until the next question counts an edge", options.graph),
        caption: format!("{count} of {} edges that were held back, one after the other.", prepared.held.len()),
        rows: sheet_rows,
        word_columns: Vec::new(),
        columns: vec![MEDIAN, P99],
        folded: false,
    });
    Ok(())
}

fn batches(report: &mut Report, options: &Options, prepared: &Prepared) -> Result<()> {
    for &size in &options.batches {
        let most = if size == 1 { options.singles } else { options.events };
        let events: Vec<Event> = come_and_go(&prepared.held).take(most as usize).collect();
        let case = format!("{}, batches of {size}", options.graph);
        for (name, is_ready) in [("taken", false), ("taken and ready to answer", true)] {
            let path = prepared.copy("batches.wp")?;
            let (mut taker, _) = Taker::open(&path, LogOptions::default(), 1)?;
            let began = Instant::now();
            for batch in events.chunks(size as usize) {
                taker.take(batch, Missing::Refuse).map_err(|refused| refused.why)?;
                if is_ready {
                    std::hint::black_box(Now::after(taker.live(), taker.log().events())?);
                }
            }
            let rate = events.len() as f64 / began.elapsed().as_secs_f64();
            report.figure(Figure::single(&case, name, "events/s", rate));
        }
    }
    report.note(format!(
        "batches: {} edges that were held back come, go and come again; all of a batch is on the disk before it counts",
        prepared.held.len()
    ));
    whole(report, options, prepared)
}

/// Adds everything that was held back, and compares with the graph that nothing was held back from.
fn whole(report: &mut Report, options: &Options, prepared: &Prepared) -> Result<()> {
    let path = prepared.copy("whole.wp")?;
    let (mut taker, _) = Taker::open(&path, LogOptions::default(), 1)?;
    let events: Vec<Event> = come_and_go(&prepared.held).take(prepared.held.len()).collect();
    taker.take(&events, Missing::Refuse).map_err(|refused| refused.why)?;
    let now = Now::after(taker.live(), taker.log().events())?;
    let mut got = ids_of_edges(&now.graph, |node| Ok(now.labels.id(node)?))?;
    let EdgeList { ids, sources, targets, .. } = &prepared.all;
    let id = |rank: &u32| ids.text(*rank as usize);
    let mut expected: Vec<(String, String)> = sources.iter().map(id).zip(targets.iter().map(id)).collect();
    got.sort_unstable();
    expected.sort_unstable();
    let is_same = got == expected && !now.graph.is_weighted();
    let evidence = format!("{}: {} edges", options.graph, got.len());
    report.check("with all edges that were held back it is the whole graph", is_same, evidence);
    remove(&path)
}

fn ids_of_edges(graph: &Graph, id: impl Fn(u32) -> Result<String>) -> Result<Vec<(String, String)>> {
    let mut edges = Vec::with_capacity(graph.edges());
    for node in crate::graphs::nodes(graph) {
        let source = id(node)?;
        for &target in graph.row(node)?.targets {
            edges.push((source.clone(), id(target)?));
        }
    }
    Ok(edges)
}

fn remove(path: &Path) -> Result<()> {
    std::fs::remove_dir_all(path).with_context(|| format!("{}: could not remove", path.display()))
}
