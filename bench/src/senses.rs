//! Suite `senses`: word senses by personalized PageRank over WordNet, on the usual evaluation data.
//!
//! All 7,253 instances are answered on two graphs: that of UKB, where two synsets have one edge however many relations there
//! are between them, and the relations as `load --format ukb` adds them up. F1 is by data set, beside that of UKB's own run on the
//! same graph, and UKB's choices are compared one by one.
//!
//! The baseline asks what UKB asks: a power iteration for every target, of as many rounds as UKB makes. It answers a sample of
//! the contexts in the same run, whose senses by exact power iteration are compared as well. Since an answer for a word serves
//! all contexts, time per context depends on how many are asked at once: the sample alone is timed too.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use anyhow::{Context as _, Result};
use clap::Args;
use serde_json::json;
use walkprint_cluster::load::store_edges;
use walkprint_cluster::senses::{
    Context, Dictionary, Disambiguated, Keys, Score, SenseSettings, disambiguate, read_contexts, read_keys,
    read_sense_keys,
};
use walkprint_engine::edges::EdgeList;
use walkprint_engine::graph::{Graph, NodeOrder};
use walkprint_engine::ids::NodeId;
use walkprint_engine::labels::Labels;
use walkprint_engine::query::Method;
use walkprint_engine::store::Store;
use walkprint_loaders::{Format, LoadOptions};

use crate::exact::{self, LANES};
use crate::figure::{Figure, Quantity, Target, ratios};
use crate::graphs::{GraphOptions, Reading, Spec, nodes, without_weights};
use crate::known_graphs::data_file;
use crate::machine::cores;
use crate::report::{Output, Report, Sheet, SheetRow};

/// F1 of UKB's run on this graph, without gloss relations, in percent.
const UKB_F1: f64 = 64.3;
/// Quantities.
const F1: Quantity = ("F1", "%");
const PRECISION: Quantity = ("precision", "%");
const RECALL: Quantity = ("recall", "%");
const UKB: Quantity = ("F1 of UKB's key", "%");
const AGREES: Quantity = ("same sense as UKB", "%");
const TIME: Quantity = ("time per context", "ms");
const RATIO: Quantity = ("power iteration's time by ours", "ratio");
const EXACT: Quantity = ("same sense as by exact power iteration", "%");

/// What to measure.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How many contexts the baseline answers
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..))]
    sample: u32,
    /// Rounds of the baseline's power iterations: UKB makes 30
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How often each time is taken
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    trials: u32,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// The evaluation data.
struct Data {
    relations: EdgeList,
    dictionary: PathBuf,
    contexts: Vec<Context>,
    key: Keys,
    ukb: Keys,
    sense_keys: Keys,
}

/// A graph with what is asked of it.
struct Asked<'d> {
    name: &'static str,
    graph: Graph,
    labels: Labels,
    dictionary: Dictionary,
    data: &'d Data,
}

/// Runs the suite.
///
/// # Errors
/// When the data are not there.
pub(crate) fn run(options: &Options) -> Result<Report> {
    let data = Data::read()?;
    let directory = tempfile::tempdir().context("could not make a temporary directory")?;
    let mut report = Report::on_several("senses");
    let default = SenseSettings::default();
    report.parameters(json!({
        "restart_prob": default.restart_prob, "smoothing": default.smoothing, "sample": options.sample,
        "rounds": options.rounds, "threads": cores(),
    }));
    let mut rows = Vec::new();
    let graphs =
        [("one edge a pair", without_weights(data.relations.clone())), ("relations added up", data.relations.clone())];
    for (number, (name, edges)) in graphs.into_iter().enumerate() {
        let path = directory.path().join(format!("{number}.wp"));
        let store = store_edges(&path, edges, NodeOrder::default())?;
        report.graphs.push(facts(&path)?.named(&format!("WordNet 3.0, {name}")));
        let asked = Asked::new(name, &store, &data)?;
        rows.extend(asked.judge(&mut report, options)?);
    }
    report.sheets.push(Sheet {
        title: "Word senses, F1 by data set".to_owned(),
        caption: "All instances; UKB's key was made by its own program on the same graph.".to_owned(),
        rows,
        word_columns: Vec::new(),
        columns: vec![F1, PRECISION, RECALL, UKB, AGREES],
        folded: false,
    });
    report.note("published for WordNet with gloss relations, F1: ALL 67.3; first sense of each word: 65.2");
    report.note(
        "time per context is without reading files and turning the graph round is in it; the dictionary is read once",
    );
    Ok(report)
}

fn facts(store: &Path) -> Result<crate::graphs::GraphFacts> {
    let options = GraphOptions { graph: Spec::Store(store.to_owned()), reading: Reading::default(), key: 0 };
    Ok(options.store(store)?.1)
}

impl Data {
    fn read() -> Result<Data> {
        let relations = data_file("wordnet-3.0/wn30_rel.ukb.txt.gz")?;
        let options = LoadOptions { format: Some(Format::Ukb), ..LoadOptions::default() };
        let mut relations = walkprint_loaders::load(&[relations], &options, &|_| ControlFlow::Continue(()))?.edges;
        relations.kinds.edges = None;
        Ok(Data {
            relations,
            dictionary: data_file("wordnet-3.0/wn30_dict.ukb.txt.gz")?,
            contexts: read_contexts(&data_file("wsd-eval/ukb_contexts_20w.txt.gz")?)?,
            key: read_keys(&data_file("wsd-eval/Evaluation_Datasets/ALL/ALL.gold.key.txt")?)?,
            ukb: read_keys(&data_file("wsd-eval/ukb_wn30_nogloss_pprw2w.key")?)?,
            sense_keys: read_sense_keys(&data_file("wsd-eval/id2lc.map.gz")?)?,
        })
    }
}

impl<'d> Asked<'d> {
    fn new(name: &'static str, store: &Store, data: &'d Data) -> Result<Asked<'d>> {
        let (graph, labels) = (store.graph()?, store.labels()?);
        let dictionary = Dictionary::read(&data.dictionary, &labels)?;
        Ok(Asked { name, graph, labels, dictionary, data })
    }

    /// Asks for the senses of these contexts. Returns seconds as well.
    fn ask(&self, contexts: &[Context], method: Method, threads: usize) -> Result<(Vec<Disambiguated>, f64)> {
        let settings = SenseSettings { method, threads, ..SenseSettings::default() };
        let (began, stop) = (Instant::now(), Arc::new(AtomicBool::new(false)));
        let answers = disambiguate(&self.graph, &self.labels, &self.dictionary, contexts, &settings, &stop)?;
        Ok((answers, began.elapsed().as_secs_f64()))
    }

    /// What the key calls the best sense of each instance.
    fn called(&self, answers: &[Disambiguated]) -> Result<Keys> {
        let mut called = Keys::new();
        for answer in answers {
            let Some(&(best, _)) = answer.senses.first() else { continue };
            let names = self.data.sense_keys.get(&self.labels.id(best)?);
            let of_lemma = |name: &&String| name.split('%').next() == Some(answer.lemma.text.as_str());
            called.insert(answer.id.clone(), names.into_iter().flatten().filter(of_lemma).cloned().collect());
        }
        Ok(called)
    }

    /// All figures of this graph; the rows of the sheet.
    fn judge(&self, report: &mut Report, options: &Options) -> Result<Vec<SheetRow>> {
        let Data { contexts, key, ukb, .. } = self.data;
        let (answers, _) = self.ask(contexts, Method::Block, cores())?;
        let called = self.called(&answers)?;
        let (ours, theirs) = (Score::new(key, &called), Score::new(key, ukb));
        let mut rows = Vec::new();
        for (dataset, tally) in &ours.datasets {
            let case = format!("{}, {dataset}", self.name);
            let figure = |(name, unit): Quantity, share: f64| Figure::single(&case, name, unit, 100.0 * share);
            let f1 = figure(F1, tally.f1());
            report.figure(if dataset == "ALL" { f1.with_target(Target::AtLeast(UKB_F1)) } else { f1 });
            report.figure(figure(PRECISION, tally.precision()));
            report.figure(figure(RECALL, tally.recall()));
            report.figure(figure(UKB, theirs.datasets.get(dataset).map_or(0.0, walkprint_cluster::senses::Tally::f1)));
            let same = agreement(&called, ukb, |id| dataset == "ALL" || id.split('.').next() == Some(dataset));
            report.figure(figure(AGREES, same));
            rows.push(SheetRow { case: case.clone(), name: case, words: Vec::new(), ours: true });
        }
        self.time(report, options)?;
        Ok(rows)
    }

    /// Times, and the baseline's answers.
    fn time(&self, report: &mut Report, options: &Options) -> Result<()> {
        let contexts = &self.data.contexts;
        let every = (contexts.len() / options.sample as usize).max(1);
        let sample: Vec<Context> = contexts.iter().step_by(every).take(options.sample as usize).cloned().collect();
        let targets: Vec<Asking> = sample.iter().flat_map(|context| self.targets(context)).collect();
        let (mut all, mut one, mut few, mut baseline, mut chosen_last) = (vec![], vec![], vec![], vec![], Vec::new());
        let per = |seconds: f64, contexts: usize| 1e3 * seconds / contexts as f64;
        for _ in 0..options.trials {
            all.push(per(self.ask(contexts, Method::Block, cores())?.1, contexts.len()));
            one.push(per(self.ask(contexts, Method::Block, 1)?.1, contexts.len()));
            few.push(per(self.ask(&sample, Method::Block, 1)?.1, sample.len()));
            let began = Instant::now();
            let chosen: Vec<Option<NodeId>> = targets
                .iter()
                .map(|target| Ok(target.best(&power_iteration(&self.graph, &target.seeds, options.rounds)?)))
                .collect::<Result<_>>()?;
            baseline.push(per(began.elapsed().as_secs_f64(), sample.len()));
            chosen_last = chosen;
        }
        let case = |what: &str| format!("{}, {what}", self.name);
        let times = [
            (case("all contexts, all processors"), &all),
            (case("all contexts, one thread"), &one),
            (case("the sample alone, one thread"), &few),
        ];
        for (case, times) in times {
            report.figure(Figure::trials(&case, TIME.0, TIME.1, times.clone()));
            report.figure(Figure::trials(&case, RATIO.0, RATIO.1, ratios(&baseline, times)));
        }
        let power = case("power iteration for each target, one thread");
        report.figure(Figure::trials(&power, TIME.0, TIME.1, baseline));
        let truth = self.truth(&targets)?;
        let (answers, _) = self.ask(&sample, Method::Block, 1)?;
        let ours: BTreeMap<&str, NodeId> =
            answers.iter().filter_map(|answer| Some((answer.id.as_str(), answer.senses.first()?.0))).collect();
        let right = |chosen: &dyn Fn(usize) -> Option<NodeId>| {
            let same = (0..targets.len()).filter(|&at| truth[at].is_none() || chosen(at) == truth[at]).count();
            same as f64 / targets.len().max(1) as f64
        };
        let by_us = right(&|at| ours.get(targets[at].id.as_str()).copied());
        report.figure(Figure::single(case("the sample alone, one thread"), EXACT.0, EXACT.1, 100.0 * by_us));
        report.figure(Figure::single(&power, EXACT.0, EXACT.1, 100.0 * right(&|at| chosen_last[at])));
        let evidence = format!("{}: {} targets of {} contexts", self.name, targets.len(), sample.len());
        report.check(
            "senses are those of an exact power iteration for each target (99 % or more)",
            0.99 <= by_us,
            evidence,
        );
        Ok(())
    }

    /// The targets of a context with several senses, each with its own seeds: written out by the definition.
    fn targets(&self, context: &Context) -> Vec<Asking> {
        let prior = |lemma| {
            let senses = self.dictionary.senses(lemma);
            let sum: f64 = senses.iter().map(|sense| sense.count + 1.0).sum();
            senses.iter().map(move |sense| (sense.node, (sense.count + 1.0) / sum))
        };
        let targets =
            context.words.iter().filter(|word| word.is_target && 1 < self.dictionary.senses(&word.lemma).len());
        targets
            .map(|target| {
                let others = context.words.iter().filter(|word| word.lemma != target.lemma);
                let mut seeds: Vec<(NodeId, f64)> = others.flat_map(|word| prior(&word.lemma)).collect();
                let sum: f64 = seeds.iter().map(|(_, weight)| weight).sum();
                seeds.iter_mut().for_each(|(_, weight)| *weight /= sum);
                Asking { id: target.id.clone(), seeds, senses: prior(&target.lemma).collect() }
            })
            .collect()
    }

    /// The best senses by power iteration until nothing moves.
    fn truth(&self, targets: &[Asking]) -> Result<Vec<Option<NodeId>>> {
        let mut truth = Vec::with_capacity(targets.len());
        for group in targets.chunks(LANES) {
            let seeds: Vec<&[(NodeId, f64)]> = group.iter().map(|target| target.seeds.as_slice()).collect();
            let cores = exact::cores_of(&self.graph, SenseSettings::default().restart_prob, &seeds)?;
            truth.extend(group.iter().zip(&cores).map(|(target, core)| target.best(core)));
        }
        Ok(truth)
    }
}

/// What the baseline is asked: one target with its seeds, and its senses with their priors.
struct Asking {
    id: String,
    seeds: Vec<(NodeId, f64)>,
    senses: Vec<(NodeId, f64)>,
}

impl Asking {
    /// The best sense; none where the walk meets none of them.
    fn best(&self, core: &[f64]) -> Option<NodeId> {
        let value = |&(node, prior): &(NodeId, f64)| prior * core[node as usize];
        let largest = self.senses.iter().map(value).fold(0.0, f64::max);
        self.senses.iter().find(|sense| 0.0 < largest && value(sense) == largest).map(|&(node, _)| node)
    }
}

/// The share of instances that both answered on which they agree.
fn agreement(ours: &Keys, theirs: &Keys, is_meant: impl Fn(&str) -> bool) -> f64 {
    let both = ours.iter().filter(|(id, _)| is_meant(id)).filter_map(|(id, ours)| Some((ours, theirs.get(id)?)));
    let (mut same, mut all) = (0usize, 0usize);
    for (ours, theirs) in both {
        same += usize::from(ours.iter().any(|sense| theirs.contains(sense)));
        all += 1;
    }
    same as f64 / all.max(1) as f64
}

/// Plain power iteration from the seeds: `x = a s + (1 - a) x P`, as often as told.
fn power_iteration(graph: &Graph, seeds: &[(NodeId, f64)], rounds: u32) -> Result<Vec<f64>> {
    let restart_prob = SenseSettings::default().restart_prob;
    let mut mass = vec![0.0; graph.nodes()];
    seeds.iter().for_each(|&(node, weight)| mass[node as usize] += weight);
    let mut next = vec![0.0; graph.nodes()];
    for _ in 0..rounds {
        next.fill(0.0);
        seeds.iter().for_each(|&(node, weight)| next[node as usize] += restart_prob * weight);
        for node in nodes(graph) {
            let row = graph.row(node)?;
            if mass[node as usize] != 0.0 && row.degree() != 0 {
                row.spread((1.0 - restart_prob) * mass[node as usize], |target, share| next[target as usize] += share);
            }
        }
        std::mem::swap(&mut mass, &mut next);
    }
    Ok(mass)
}
