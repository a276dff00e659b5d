//! Part `repair`: a compaction beside a rebuild of the same index, by the same workers in this process, one after the other.
//!
//! Of the edges that change half are removed, chosen among all edges, and half come between nodes chosen at random, to whom none
//! leads yet, with weight 1: graphs here are unweighted, and stay so. Every round draws others. **The repaired index is compared with the rebuilt
//! one.**

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use anyhow::{Context, Result};
use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use walkprint_cluster::live::{LogOptions, Missing, Taker};
use walkprint_cluster::load::store_edges;
use walkprint_engine::events::{Event, Operation};
use walkprint_engine::graph::{Graph, NodeOrder};
use walkprint_engine::ids::NodeId;
use walkprint_engine::labels::Labels;
use walkprint_engine::store::Store;

use super::streams::{Name, part};
use super::walks::{Concerned, concerned};
use super::{INDEX, Options};
use crate::figure::{Figure, Quantity, Target, ratios};
use crate::graphs::GraphFacts;
use crate::known_graphs::Known;
use crate::report::{Report, Sheet, SheetRow};
use crate::serve::stores::copy;

const SHARE: Quantity = ("compaction / rebuild", "ratio");
const COMPACTION: Quantity = ("compaction", "s");
const REBUILD: Quantity = ("rebuild", "s");
const OPENING: Quantity = ("opening the log", "s");
const TOUCHED: Quantity = ("sources walked again", "%");
const MOVES: Quantity = ("moves walked again", "%");
const DIFFER: Quantity = ("fingerprints that differ", "%");
const CAME: Quantity = ("walks that came to a changed row, at most", "%");
const OTHERWISE: Quantity = ("walks that must choose otherwise there, at most", "%");
const MOVED: Quantity = ("visits elsewhere than before", "%");
/// What a compaction may take of a rebuild on cnr-2000 when one edge of ten thousand changed.
const MOST: f64 = 0.1;

/// Measures all graphs.
///
/// # Errors
/// When a graph or a store cannot be had.
pub(super) fn run(report: &mut Report, options: &Options) -> Result<()> {
    options.repaired.iter().try_for_each(|&name| of_graph(report, options, name))
}

fn of_graph(report: &mut Report, options: &Options, name: Name) -> Result<()> {
    let place = tempfile::tempdir().context("could not make a temporary directory")?;
    let pristine = place.path().join("base.wp");
    let store = store_edges(&pristine, name.edges(place.path(), options.key)?, NodeOrder::default())?;
    report.graphs.push(GraphFacts::of(&name.to_string(), &store.graph()?, "breadth-first")?);
    options.index(&pristine)?;
    let mut rows = Vec::new();
    for &share in &options.shares {
        let mut trials: BTreeMap<Quantity, Vec<f64>> = BTreeMap::new();
        let (mut took, mut rebuilt) = (Vec::new(), Vec::new());
        for run in 0..options.runs {
            eprintln!("{name}: {share} of the edges, round {run}");
            let round = round(&pristine, &place.path().join("round.wp"), options, share, run)?;
            let evidence = format!("{name}, {share} of the edges, round {run}: {}", round.digests);
            report.check("a repaired index is the rebuilt one", round.is_same, evidence);
            took.push(round.compaction);
            rebuilt.push(round.rebuild);
            let Concerned { walks, came, otherwise, differ, moved, visits } = round.concerned;
            for (quantity, value) in [
                (COMPACTION, round.compaction),
                (REBUILD, round.rebuild),
                (OPENING, round.opening),
                (TOUCHED, round.walked / round.sources * 100.0),
                (MOVES, round.steps / round.all_steps * 100.0),
                (DIFFER, differ as f64 / round.sources * 100.0),
                (CAME, came / walks * 100.0),
                (OTHERWISE, otherwise / walks * 100.0),
                (MOVED, moved / visits * 100.0),
            ] {
                trials.entry(quantity).or_default().push(value);
            }
        }
        let case = format!("{name}, {} % of the edges changed", share * 100.0);
        let share_of_time = Figure::trials(&case, SHARE.0, SHARE.1, ratios(&took, &rebuilt));
        let judged = name == Name::Known(Known::Cnr) && share <= 0.0001;
        report.figure(if judged { share_of_time.with_target(Target::AtMost(MOST)) } else { share_of_time });
        for ((name, unit), trials) in trials {
            report.figure(Figure::trials(&case, name, unit, trials));
        }
        rows.push(SheetRow { case, name: format!("{} %", share * 100.0), words: Vec::new(), ours: true });
    }
    report.sheets.push(Sheet {
        title: format!("{name}: repair beside a rebuild"),
        caption: "Half of the changed edges are removed, half come between random nodes; medians of rounds.".to_owned(),
        rows,
        word_columns: Vec::new(),
        columns: vec![SHARE, COMPACTION, REBUILD, OPENING, TOUCHED, MOVES, DIFFER, CAME, OTHERWISE, MOVED],
        folded: false,
    });
    Ok(())
}

/// What one draw of edges gave.
struct Round {
    opening: f64,
    compaction: f64,
    rebuild: f64,
    sources: f64,
    walked: f64,
    steps: f64,
    all_steps: f64,
    concerned: Concerned,
    digests: String,
    is_same: bool,
}

fn round(pristine: &std::path::Path, path: &std::path::Path, options: &Options, share: f64, run: u32) -> Result<Round> {
    if path.exists() {
        std::fs::remove_dir_all(path).with_context(|| format!("{}: could not remove", path.display()))?;
    }
    copy(pristine, path)?;
    let base = Store::open(pristine)?;
    let (graph, labels) = (base.graph()?, base.labels()?);
    let (events, changed) = draw(&graph, &labels, share, options.key ^ u64::from(run) << 32)?;
    let (mut taker, _) = Taker::open(path, LogOptions::default(), 1)?;
    for batch in events.chunks(100_000) {
        taker.take(batch, Missing::Refuse).map_err(|refused| refused.why)?;
    }
    drop(taker);
    let began = Instant::now();
    let (taker, _) = Taker::open(path, LogOptions::default(), options.workers())?;
    let opening = began.elapsed().as_secs_f64();
    let began = Instant::now();
    let outcome = taker.compact(&options.compaction(), &std::sync::Arc::default(), &mut |_| {})?;
    let compaction = began.elapsed().as_secs_f64();
    let outcome = outcome.context("there was nothing to absorb")?;
    let repaired = outcome.indexes.first().context("the store has an index")?;
    let store = Store::open(path)?;
    let after = store.graph()?;
    let index = store.index(INDEX, &after)?;
    let concerned = concerned((&graph, &base.index(INDEX, &graph)?), (&after, &index), changed)?;
    let digest = index.entry().fingerprint_digest.clone();
    drop(index);
    let began = Instant::now();
    let all_steps = options.index(path)?;
    let rebuild = began.elapsed().as_secs_f64();
    let rebuilt = Store::open(path)?.index_entry(INDEX)?.fingerprint_digest.clone();
    Ok(Round {
        opening,
        compaction,
        rebuild,
        sources: repaired.sources as f64,
        walked: repaired.walked as f64,
        steps: repaired.steps as f64,
        all_steps: all_steps as f64,
        concerned,
        digests: format!("{digest} and {rebuilt}"),
        is_same: digest == rebuilt,
    })
}

/// Draws edges that change: events, and the nodes whose rows they change.
fn draw(graph: &Graph, labels: &Labels, share: f64, key: u64) -> Result<(Vec<Event>, BTreeSet<NodeId>)> {
    let mut numbers = SplitMix64::seed_from_u64(key);
    let mut below = |end: usize| usize::try_from(numbers.next_u64() % end as u64).expect("below a length");
    let count = part(graph.edges(), share);
    let (mut seen, mut changed, mut events) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    while events.len() < count {
        let (source, target, operation) = if events.len() % 2 == 0 {
            let edge = below(graph.edges());
            let source = graph.offsets().partition_point(|&offset| offset <= edge as u64) - 1;
            (NodeId::try_from(source)?, graph.targets()[edge], Operation::Remove)
        } else {
            let (source, target) = (NodeId::try_from(below(graph.nodes()))?, NodeId::try_from(below(graph.nodes()))?);
            if source == target || graph.row(source)?.targets.binary_search(&target).is_ok() {
                continue;
            }
            (source, target, Operation::Add)
        };
        if seen.insert((source, target)) {
            changed.insert(source);
            events.push(Event::edge(operation, labels.id(source)?, labels.id(target)?));
        }
    }
    Ok((events, changed))
}
