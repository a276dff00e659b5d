//! Part `replay`: a stream in the order of its times, the first half of which is the graph that was indexed.
//!
//! After every tenth of the rest: answers from the index of the first half, amended by what has changed, beside those of an index that was
//! built anew by the same plan, both held against power iteration on the graph as it is; and the bytes of a compaction, of all
//! that came since the first half and of the last tenth alone, beside those that are made from scratch.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use walkprint_cluster::choice::precision_of;
use walkprint_cluster::live::{LogOptions, Missing, Now, Taker};
use walkprint_cluster::load::store_edges;
use walkprint_engine::graph::{Graph, NodeOrder};
use walkprint_engine::ids::NodeId;
use walkprint_engine::query::{Answerer, Method, Question, Seeds};
use walkprint_engine::store::Store;

use super::scratch::{Numbering, Scratch, kinds};
use super::streams::{Name, Sent, by_id, shuffle_first};
use super::{INDEX, Options};
use crate::exact::{LANES, restart_scores};
use crate::figure::{Figure, Quantity, Target, mean_and_error, median};
use crate::graphs::{GraphFacts, nodes};
use crate::metrics::distance;
use crate::report::{Report, Sheet, SheetRow};
use crate::serve::stores::copy;

/// Into so many parts the second half is cut.
const PARTS: usize = 10;
/// Events that are taken at once.
const BATCH: usize = 1_000;
/// What an answer about the graph as it was may be off, as a multiple of one from a fresh index.
const WORSE: f64 = 1.2;
const METHODS: [Method; 2] = [Method::Lookup, Method::Combine];
/// Which nodes are asked about.
const SORTS: [&str; 3] = ["changed", "new", "any"];

/// Quantities of the tables.
const WAITING: Quantity = ("events that wait", "");
const CHANGED: Quantity = ("changed rows", "%");
const NEW: Quantity = ("new nodes", "");
const FRESH: Quantity = ("L1 from exact, fresh index, mean", "");
const STALE: Quantity = ("L1 from exact, stale index, mean", "");
const MEANS: Quantity = ("stale / fresh, means", "ratio");
const MEDIANS: Quantity = ("stale / fresh, medians", "ratio");
const FRESH_TIME: Quantity = ("fresh, median", "ms");
const STALE_TIME: Quantity = ("stale, median", "ms");

/// What answers of one method were like.
#[derive(Default, Clone)]
struct Held {
    fresh: Vec<f64>,
    stale: Vec<f64>,
    fresh_ms: Vec<f64>,
    stale_ms: Vec<f64>,
}

impl Held {
    fn add(&mut self, other: &Held) {
        self.fresh.extend(&other.fresh);
        self.stale.extend(&other.stale);
        self.fresh_ms.extend(&other.fresh_ms);
        self.stale_ms.extend(&other.stale_ms);
    }

    fn describe(&self, report: &mut Report, case: &str, with_target: bool) {
        if self.fresh.is_empty() {
            return;
        }
        let ((fresh, fresh_error), (stale, stale_error)) = (mean_and_error(&self.fresh), mean_and_error(&self.stale));
        let judged = |figure: Figure| if with_target { figure.with_target(Target::AtMost(WORSE)) } else { figure };
        let single = |(name, unit): Quantity, value| Figure::single(case, name, unit, value);
        report.figure(single(FRESH, fresh).with_std_error(fresh_error));
        report.figure(single(STALE, stale).with_std_error(stale_error));
        report.figure(judged(single(MEANS, ratio(stale, fresh))));
        report.figure(judged(single(MEDIANS, ratio(median(&self.stale), median(&self.fresh)))));
        report.figure(single(FRESH_TIME, median(&self.fresh_ms)));
        report.figure(single(STALE_TIME, median(&self.stale_ms)));
    }
}

/// One where both are nothing.
fn ratio(stale: f64, fresh: f64) -> f64 {
    if stale <= 1e-12 { stale.min(1.0) / fresh.max(1e-12) } else { stale / fresh.max(1e-12) }
}

/// Replays all streams.
///
/// # Errors
/// When a stream or a store cannot be had.
pub(super) fn run(report: &mut Report, options: &Options) -> Result<()> {
    options.streams.iter().try_for_each(|&name| replay(report, options, name))
}

fn replay(report: &mut Report, options: &Options, name: Name) -> Result<()> {
    let place = tempfile::tempdir().context("could not make a temporary directory")?;
    let (stale, chain) = (place.path().join("stale.wp"), place.path().join("chain.wp"));
    let sent = name.sent()?;
    let half = sent.len() / 2;
    let mut base = by_id(&sent[..half]);
    base.kinds = kinds(&sent[..half]);
    let store = store_edges(&stale, base, NodeOrder::default())?;
    let facts = GraphFacts::of(&format!("{name}, first half"), &store.graph()?, "breadth-first")?;
    report.graphs.push(facts);
    options.index(&stale)?;
    copy(&stale, &chain)?;
    let store = Store::open(&stale)?;
    let mut numbering = Numbering::of(&store.labels()?)?;
    let (mut taker, _) = Taker::open(&stale, LogOptions::default(), 1)?;
    let mut rows: [Vec<SheetRow>; METHODS.len()] = Default::default();
    let mut all: [[Held; SORTS.len()]; METHODS.len()] = Default::default();
    let (mut differ, mut compared, mut seconds, mut done) = (Vec::new(), 0, 0.0, half);
    for tenth in 1..=PARTS {
        let end = half + (sent.len() - half) * tenth / PARTS;
        let began = Instant::now();
        take(&mut taker, &sent[done..end])?;
        seconds += began.elapsed().as_secs_f64();
        numbering.follow(&sent[done..end]);
        eprintln!("{name}: {end} of {} events", sent.len());

        let round = tempfile::tempdir_in(place.path()).context("could not make a temporary directory")?;
        let scratch = Scratch::make(round.path(), options, &numbering, &sent[..end])?;
        let once = round.path().join("once.wp");
        copy(&stale, &once)?;
        let (mut next, _) = Taker::open(&chain, LogOptions::default(), 1)?;
        take(&mut next, &sent[done..end])?;
        drop(next);
        for (path, what) in [(&once, "all at once"), (&chain, "the last tenth")] {
            compact(path, options)?;
            let (other, bytes) = scratch.compare(path)?;
            compared += bytes;
            differ.extend(other.into_iter().map(|file| format!("after {tenth}, {what}: {file}")));
        }

        let now = Now::after(taker.live(), taker.log().events())?;
        let graph = store.graph()?;
        let sorts = seeds(options, &graph, &numbering, &now.graph, &sent[half..end], tenth)?;
        let index = store.index(INDEX, &graph)?;
        let mut waiting = now.answerer(Some(&index), index.plan().restart_prob)?;
        let mut fresh =
            Answerer::new(&scratch.graph, &scratch.labels, Some(&scratch.index), index.plan().restart_prob)?;
        for ((method, rows), all) in METHODS.into_iter().zip(&mut rows).zip(&mut all) {
            let mut held = Held::default();
            for (of_sort, asked) in all.iter_mut().zip(&sorts) {
                let one = ask(&scratch.graph, &mut fresh, &mut waiting, method, asked)?;
                held.add(&one);
                of_sort.add(&one);
            }
            let case = format!("{name}, {method}, after {tenth} of {PARTS}");
            let changed = now.changes.nodes().count() as f64 / now.graph.nodes() as f64 * 100.0;
            for ((name, unit), value) in [
                (WAITING, taker.log().events() as f64),
                (CHANGED, changed),
                (NEW, (now.graph.nodes() - graph.nodes()) as f64),
            ] {
                report.figure(Figure::single(&case, name, unit, value));
            }
            held.describe(report, &case, false);
            rows.push(SheetRow { case, name: format!("{tenth} of {PARTS}"), words: Vec::new(), ours: true });
        }
        done = end;
    }
    for ((method, mut rows), all) in METHODS.into_iter().zip(rows).zip(&all) {
        let mut pooled = Held::default();
        for (sort, held) in SORTS.into_iter().zip(all) {
            pooled.add(held);
            let case = format!("{name}, {method}, {sort} seeds");
            held.describe(report, &case, false);
            rows.push(SheetRow { case, name: format!("{sort} seeds"), words: Vec::new(), ours: true });
        }
        pooled.describe(report, &format!("{name}, {method}"), true);
        let columns = vec![WAITING, CHANGED, NEW, FRESH, STALE, MEANS, MEDIANS, FRESH_TIME, STALE_TIME];
        let caption = format!(
            "The first half of {} events was indexed; the rest comes in tenths, and is not absorbed. {} seeds of each sort.",
            sent.len(),
            options.seeds
        );
        let title = format!("{name}: {method} while events wait");
        report.sheets.push(Sheet { title, caption, rows, word_columns: Vec::new(), columns, folded: false });
    }
    let rate = (sent.len() - half) as f64 / seconds;
    report.figure(Figure::single(format!("{name}, batches of {BATCH}"), "taken", "events/s", rate));
    let evidence = match differ.is_empty() {
        true => format!("{name}: {PARTS} times, all at once and tenth by tenth, {} MiB", compared >> 20),
        false => format!("{name}: {}", differ.join("; ")),
    };
    report.check("a compacted store is, byte for byte, one from scratch", differ.is_empty(), evidence);
    Ok(())
}

fn take(taker: &mut Taker, sent: &[Sent]) -> Result<()> {
    for batch in sent.chunks(BATCH) {
        let events: Vec<_> = batch.iter().map(Sent::event).collect();
        taker.take(&events, Missing::Refuse).map_err(|refused| refused.why)?;
    }
    Ok(())
}

fn compact(path: &Path, options: &Options) -> Result<()> {
    let (taker, _) = Taker::open(path, LogOptions::default(), options.workers())?;
    let outcome = taker.compact(&options.compaction(), &std::sync::Arc::default(), &mut |_| {})?;
    outcome.map(drop).with_context(|| format!("{}: there was nothing to absorb", path.display()))
}

/// Nodes with out-edges, in random order by key: of the base that something was sent from since, new ones, and any.
fn seeds(
    options: &Options,
    base: &Graph,
    numbering: &Numbering,
    now: &Graph,
    since: &[Sent],
    tenth: usize,
) -> Result<[Vec<NodeId>; SORTS.len()]> {
    let changed: BTreeSet<NodeId> = since.iter().map(|sent| numbering.node(sent.source)).collect();
    let is_old = |node: NodeId| (node as usize) < base.nodes();
    let all = || nodes(now).filter(|&node| now.degree(node) != 0);
    let mut sorts: [Vec<NodeId>; SORTS.len()] = [
        changed.iter().copied().filter(|&node| is_old(node)).collect(),
        all().filter(|&node| !is_old(node)).collect(),
        all().collect(),
    ];
    let count = options.seeds as usize;
    for (number, sort) in (0..).zip(&mut sorts) {
        shuffle_first(sort, count, options.key ^ (tenth as u64) << 8 ^ number);
        sort.truncate(count);
    }
    Ok(sorts)
}

/// Asks both, and holds what they say against the truth.
fn ask<'a>(
    truth: &Graph,
    fresh: &mut Answerer<'a>,
    stale: &mut Answerer<'a>,
    method: Method,
    asked: &[NodeId],
) -> Result<Held> {
    let mut held = Held::default();
    for group in asked.chunks(LANES) {
        let sets: Vec<[(NodeId, f64); 1]> = group.iter().map(|&node| [(node, 1.0)]).collect();
        let truths = restart_scores(truth, fresh.restart_prob(), &sets)?;
        for (set, truth) in sets.into_iter().zip(truths) {
            let seeds = Seeds::from_weights(truth.len(), set.to_vec())?;
            let precision = precision_of(method, None);
            let question = Question { method, precision, ..Question::new(seeds) };
            for (answerer, errors, times) in
                [(&mut *fresh, &mut held.fresh, &mut held.fresh_ms), (&mut *stale, &mut held.stale, &mut held.stale_ms)]
            {
                let began = Instant::now();
                std::hint::black_box(answerer.answer(&question)?);
                times.push(began.elapsed().as_secs_f64() * 1e3);
                errors.push(distance(&answerer.scores(&question)?.scores, &truth));
            }
        }
    }
    Ok(held)
}
