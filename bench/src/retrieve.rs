//! Suite `retrieve`: passages that answer questions of several hops, found step by step better, and as fast as igraph or how much
//! faster.
//!
//! On HippoRAG's tuning subset of MuSiQue (1,890 passages, 100 questions). Every step adds one thing to the one before; each is
//! measured by the same code as `walkprint evaluate retrieve`, over all questions and over either half of them, because with so
//! few questions a step may help by chance. Then the same questions with the same seeds on the same graph go to igraph, in rounds
//! that alternate, after its scores have been held against ours.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::json;
use walkprint_cluster::load::{LoadJob, load_store};
use walkprint_cluster::retrieve::{
    AskedQuestion, Ground, Metrics, RankBy, RetrieveRequest, RetrieveStatus, judge, read_questions, retrieve,
};
use walkprint_engine::graph::NodeOrder;
use walkprint_engine::query::{Answer, Answerer, LANES, LEAST_PRECISION, Method, Question, Seeds};
use walkprint_engine::retrieval::{Ask, Retriever, Sowing, name_of, tokens};
use walkprint_engine::store::Store;
use walkprint_loaders::{LoadOptions, Malformed};

use crate::contenders::System;
use crate::figure::{Figure, Quantity, Target, ratios};
use crate::known_graphs::data;
use crate::machine::cores;
use crate::metrics::distance;
use crate::peer_graph::{self, PeerOrder};
use crate::protocol::{AskedSeeds, Request, Setting, read_scores};
use crate::report::{Output, Report, Sheet, SheetRow};
use crate::venv;

const GRAPH: &str = "openie_musique_train_results_ner_gpt-3.5-turbo-1106_1890.json";
const QUESTIONS: &str = "musique_train.json";
/// What plain string matching and exact PageRank at damping 0.5 gave elsewhere: Recall@2 and Recall@5.
const KNOWN: [f64; 2] = [0.418, 0.523];
/// How many times as many questions a second as igraph.
const TIMES_IGRAPH: f64 = 20.0;
/// How far igraph's scores may be from ours, in L1: its own tolerance is fixed.
const TOLERANCE: f64 = 1e-7;
/// How many results are judged.
const TOP: usize = 10;

const METRICS: [(&str, Quantity); 4] = [
    ("recall@2", ("recall@2", "")),
    ("recall@5", ("recall@5", "")),
    ("all-evidence@5", ("all evidence@5", "")),
    ("mrr", ("MRR", "")),
];
const HALVES: [Quantity; 2] = [("recall@5, odd questions", ""), ("recall@5, even questions", "")];
const IGRAPH: &str = "igraph";
const ANSWER: Quantity = ("a question, answered", "ms");
const RATE: Quantity = ("questions a second", "1/s");
const RATIO: Quantity = ("times igraph", "x");

/// What to measure.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The directory with the OpenIE results and the questions [default: musique-train-openie beside the other data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Rounds of the comparison with igraph; 0: none
    #[arg(long, default_value_t = 5)]
    runs: u32,
    /// Where Python packages go [default: walkprint-bench/venv in the user's cache]
    #[arg(long, value_name = "DIR")]
    venv: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// What is loaded for a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Shape {
    /// Whether walks pass through passages.
    through_passages: bool,
    inverse: bool,
    synonyms: bool,
}

/// A step: how the graph is loaded, and how it is asked.
struct Step {
    name: &'static str,
    shape: Shape,
    request: RetrieveRequest,
}

/// Runs the suite.
///
/// # Errors
/// When the data are not at hand, or, with rounds, Python or igraph.
pub(crate) fn run(options: &Options) -> Result<Report> {
    let data = options.data.clone().unwrap_or_else(|| data().join("musique-train-openie"));
    if !data.join(GRAPH).exists() {
        bail!("{}: expected the OpenIE results there; say with --data where they are", data.join(GRAPH).display());
    }
    let directory = tempfile::tempdir().context("could not make a temporary directory")?;
    let mut report = Report::on_several("retrieve");
    let mut stores: BTreeMap<Shape, Store> = BTreeMap::new();
    let mut rows = Vec::new();
    for step in steps() {
        if !stores.contains_key(&step.shape) {
            stores.insert(step.shape, load(&data, directory.path(), step.shape, &stores)?);
        }
        let metrics = measure(&stores[&step.shape], &data, &step)?;
        for (name, (title, unit)) in METRICS {
            let figure = Figure::single(step.name, title, unit, metrics.metrics[name]);
            let known = ["recall@2", "recall@5"].iter().position(|known| *known == name);
            report.figure(match known {
                Some(at) => figure.with_target(Target::AtLeast(KNOWN[at])),
                None => figure,
            });
        }
        for (half, (title, unit)) in metrics.halves.iter().zip(HALVES) {
            report.figure(Figure::single(step.name, title, unit, half["recall@5"]));
        }
        rows.push(SheetRow { case: step.name.to_owned(), name: step.name.to_owned(), words: Vec::new(), ours: true });
    }
    report.sheets.push(Sheet {
        title: "What each step is worth".to_owned(),
        caption: "100 questions, damping 0.5. Each step adds to the one above, but for those that begin with `but`, which change \
                  the usual settings."
            .to_owned(),
        rows,
        word_columns: Vec::new(),
        columns: METRICS.iter().map(|&(_, quantity)| quantity).chain(HALVES).collect(),
        folded: false,
    });
    report.parameters(json!({ "damping": 0.5, "top": TOP, "runs": options.runs }));
    if options.runs != 0 {
        let usual = Shape { through_passages: true, inverse: true, synonyms: false };
        compare(&mut report, options, &stores[&usual], &data)?;
    }
    Ok(report)
}

fn steps() -> Vec<Step> {
    let first = RetrieveRequest {
        rank_by: Some(RankBy::Mentions),
        specificity: Some(false),
        passage_weight: Some(0.0),
        overlap: Some(false),
        ..RetrieveRequest::default()
    };
    let sums = Shape { through_passages: false, inverse: true, synonyms: false };
    let usual = Shape { through_passages: true, inverse: true, synonyms: false };
    let specific = RetrieveRequest { specificity: None, ..first.clone() };
    let walked = RetrieveRequest { rank_by: None, ..specific.clone() };
    let overlapping = RetrieveRequest { overlap: None, ..walked.clone() };
    let all = RetrieveRequest { passage_weight: None, ..overlapping.clone() };
    let step = |name, shape, request: &RetrieveRequest| Step { name, shape, request: request.clone() };
    vec![
        step("names, exactly or folded; sums of what passages mention", sums, &first),
        step("specificity", sums, &specific),
        step("walks through passages", usual, &walked),
        step("names by overlap", usual, &overlapping),
        step("passages with the question's words (the usual settings)", usual, &all),
        step("synonyms: names of the same words", Shape { synonyms: true, ..usual }, &all),
        step("but without inverse edges", Shape { inverse: false, ..usual }, &all),
        step("but half the mass for passages", usual, &RetrieveRequest { passage_weight: Some(1.0), ..all.clone() }),
        step(
            "but a twentieth of it for passages",
            usual,
            &RetrieveRequest { passage_weight: Some(0.05), ..all.clone() },
        ),
        step("but damping 0.85", usual, &RetrieveRequest { restart_prob: Some(0.15), ..all.clone() }),
        step("but debias 0.5", usual, &RetrieveRequest { debias: Some(0.5), ..all.clone() }),
        step("but no specificity", usual, &RetrieveRequest { specificity: Some(false), ..all }),
    ]
}

/// Loads the data as a step wants them.
fn load(data: &Path, directory: &Path, shape: Shape, stores: &BTreeMap<Shape, Store>) -> Result<Store> {
    let path = directory.join(format!("{}.wp", stores.len()));
    let mut options =
        LoadOptions { malformed: Malformed::Skip, inverse: shape.inverse.then_some(1.0), ..LoadOptions::default() };
    if !shape.through_passages {
        options.type_weights.insert("^mentions".to_owned(), 0.0);
    }
    if shape.synonyms {
        let other = stores.values().next().context("a graph has been loaded before")?;
        let file = directory.join("synonyms.tsv");
        std::fs::write(&file, synonyms(other)?).with_context(|| format!("{}: could not write", file.display()))?;
        options.synonyms = Some(file);
    }
    let job = LoadJob { inputs: vec![data.join(GRAPH)], options, order: NodeOrder::default(), replace: false };
    load_store(&path, &job, &AtomicBool::new(false), &|_| ())?;
    Ok(Store::open(&path)?)
}

/// Pairs of nodes whose names have the same words: `U.S.` and `u s`, but also `West, John` and `John West`.
fn synonyms(store: &Store) -> Result<String> {
    let (labels, kinds) = (store.labels()?, store.kinds()?.unwrap_or_default());
    let mut alike: BTreeMap<Vec<String>, Vec<String>> = BTreeMap::new();
    for node in 0..u32::try_from(labels.len())? {
        if kinds.node_kind(node) == Some("passage") {
            continue;
        }
        let id = labels.id(node)?;
        let mut words: Vec<String> = tokens(&name_of(&id)).into_iter().map(|word| word.text).collect();
        words.sort_unstable();
        words.dedup();
        if !words.is_empty() {
            alike.entry(words).or_default().push(id);
        }
    }
    let mut text = String::new();
    for names in alike.values() {
        for (at, one) in names.iter().enumerate() {
            for other in &names[at + 1..] {
                // Names with tabs or quotes would need quoting; there are none here worth it.
                if !one.contains(['\t', '"']) && !other.contains(['\t', '"']) {
                    text += &format!("{one}\t{other}\n");
                }
            }
        }
    }
    Ok(text)
}

/// Opens a store and lets somebody ask.
fn with_ground<T>(
    store: &Store,
    restart_prob: f64,
    work: impl FnOnce(&Ground<'_>, &mut Answerer<'_>) -> Result<T>,
) -> Result<T> {
    let (graph, labels, kinds, passages) = (store.graph()?, store.labels()?, store.kinds()?, store.passages()?);
    let retriever = Retriever::new(&graph, &labels, kinds.as_ref(), passages.as_ref())?;
    let ground = Ground { retriever: &retriever, labels: &labels, kinds: kinds.as_ref(), passages: passages.as_ref() };
    work(&ground, &mut Answerer::new(&graph, &labels, None, restart_prob)?)
}

fn measure(store: &Store, data: &Path, step: &Step) -> Result<Metrics> {
    with_ground(store, step.request.restart_prob(), |ground, answerer| {
        let asked = read_questions(&data.join(QUESTIONS), ground.labels, ground.passages)?;
        let mut judged = Vec::with_capacity(asked.len());
        for AskedQuestion { request, gold, .. } in &asked {
            let (question, top) = (request.question.clone(), Some(TOP));
            let request =
                RetrieveRequest { question, top, chains: Some(0), texts: Some(false), ..step.request.clone() };
            let reply = retrieve(ground, answerer, &request)?;
            debug_assert!(reply.status != RetrieveStatus::NoSeeds || reply.results.is_empty());
            let results: Vec<String> = reply.results.into_iter().map(|result| result.id).collect();
            judged.push(judge(&results, gold, TOP));
        }
        Ok(Metrics::of(&judged))
    })
}

/// The same questions to igraph: names alone as seeds, and names with passages.
fn compare(report: &mut Report, options: &Options, store: &Store, data: &Path) -> Result<()> {
    let python = venv::python(venv::PEERS, options.venv.as_deref())?;
    let directory = tempfile::tempdir().context("could not make a temporary directory")?;
    with_ground(store, 0.5, |ground, answerer| {
        let graph = answerer.graph();
        let places = PeerOrder::Given.places(graph, ground.labels)?;
        peer_graph::export(graph, &places, directory.path())?;
        let mut igraph = peer_graph::start(System::Igraph, &python, directory.path())?;
        let ready = igraph.ready();
        report.versions.push((ready.system.clone(), ready.version.clone()));
        let asked = read_questions(&data.join(QUESTIONS), ground.labels, ground.passages)?;
        let mut rows = Vec::new();
        for (name, passage_weight) in [("seeds: names", 0.0), ("seeds: names and passages", 0.5)] {
            let sowing = Sowing { passage_weight, ..Sowing::default() };
            let mut questions: Vec<Question> = Vec::new();
            for one in &asked {
                let ask = Ask { question: one.request.question.as_deref(), sowing, ..Ask::default() };
                let Some(seeds) = ground.retriever.sow(ground.labels, &ask)?.seeds else { continue };
                questions.push(question(ground, seeds));
            }
            let theirs = |one: &Question| -> AskedSeeds {
                one.seeds.weights().iter().map(|&(node, weight)| (places[node as usize], weight)).collect()
            };
            let mut request = Request {
                restart_prob: 0.5,
                setting: Setting { method: "prpack".to_owned(), lanes: 1, top: TOP, ..Setting::default() },
                questions: questions.iter().map(theirs).collect(),
                scores: Some(directory.path().to_string_lossy().into_owned()),
            };
            igraph.ask(&request)?;
            let mut largest = 0.0f64;
            for (at, one) in questions.iter().enumerate() {
                let scores = read_scores(directory.path(), at, places.len())?;
                let scores: Vec<f64> = places.iter().map(|&place| scores[place as usize]).collect();
                largest = largest.max(distance(&answerer.scores(one)?.scores, &scores));
            }
            let evidence = format!("{name}: L1 at most {largest:.1e} over {} questions", questions.len());
            report.check("igraph has the same scores", largest <= TOLERANCE, evidence);
            request.scores = None;
            let together: Vec<Question> = questions.iter().map(as_one_of_many).collect();
            let mut different = 0;
            for (one, answer) in questions.iter().zip(answerer.answer_block(&together)?) {
                let ids = |answer: Answer| answer.results.into_iter().map(|result| result.id).collect::<Vec<_>>();
                different += usize::from(ids(answerer.answer(one)?) != ids(answer?));
            }
            let evidence = format!("{name}: {different} of {} lists of {TOP} differ", questions.len());
            report.check("all questions at once have the same results", different == 0, evidence);
            let threads = cores();
            let mut crew = (0..threads)
                .map(|_| Ok(Answerer::new(graph, ground.labels, None, 0.5)?.with_inflow(answerer.inflow()?)))
                .collect::<Result<Vec<_>>>()?;
            let (mut ours, mut at_once, mut by_all, mut others) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
            for _ in 0..options.runs {
                let began = Instant::now();
                for one in &questions {
                    answerer.answer(one)?;
                }
                ours.push(began.elapsed().as_secs_f64());
                let began = Instant::now();
                answerer.answer_block(&together)?;
                at_once.push(began.elapsed().as_secs_f64());
                let began = Instant::now();
                answer_by_all(&mut crew, &together)?;
                by_all.push(began.elapsed().as_secs_f64());
                others.push(igraph.ask(&request)?.0.iter().sum::<f64>());
            }
            let count = questions.len() as f64;
            let on_all = format!("Walkprint, all questions at once on {threads} threads");
            for (system, seconds) in [
                (on_all.as_str(), &by_all),
                ("Walkprint, all questions at once", &at_once),
                ("Walkprint, one by one", &ours),
                (IGRAPH, &others),
            ] {
                let case = format!("{system}, {name}");
                let per = |of: fn(f64, f64) -> f64| seconds.iter().map(|&all| of(all, count)).collect();
                report.figure(Figure::trials(&case, ANSWER.0, ANSWER.1, per(|all, count| all * 1e3 / count)));
                report.figure(Figure::trials(&case, RATE.0, RATE.1, per(|all, count| count / all)));
                if system != IGRAPH {
                    let times = Figure::trials(&case, RATIO.0, RATIO.1, ratios(&others, seconds));
                    report.figure(times.with_target(Target::AtLeast(TIMES_IGRAPH)));
                }
                rows.push(SheetRow { name: case.clone(), case, words: Vec::new(), ours: system != IGRAPH });
            }
        }
        report.sheets.push(Sheet {
            title: "The same questions through igraph".to_owned(),
            caption: "One thread each but where more are named; igraph: from its graph to all scores, PRPACK; Walkprint: the best passages ranked and named, \
                      exact to 1e-10 one by one, and to 1e-5 in blocks."
                .to_owned(),
            rows,
            word_columns: Vec::new(),
            columns: vec![ANSWER, RATE, RATIO],
            folded: false,
        });
        Ok(())
    })
}

/// Blocks of questions, by several threads.
fn answer_by_all(crew: &mut [Answerer<'_>], questions: &[Question]) -> Result<()> {
    let (blocks, next) = (questions.chunks(LANES).collect::<Vec<_>>(), AtomicUsize::new(0));
    let work = |answerer: &mut Answerer<'_>| -> Result<()> {
        while let Some(block) = blocks.get(next.fetch_add(1, Ordering::Relaxed)) {
            answerer.answer_block(block)?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = crew.iter_mut().map(|answerer| scope.spawn(move || work(answerer))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(|_| bail!("a thread panicked")))
    })
}

/// The same question in a block of many.
fn as_one_of_many(question: &Question) -> Question {
    Question { method: Method::Block, precision: Some(LEAST_PRECISION), ..question.clone() }
}

/// The question that is timed: exact, the best passages.
fn question(ground: &Ground<'_>, seeds: Seeds) -> Question {
    let mut question = Question::new(seeds);
    question.method = Method::Exact;
    question.residual = 1e-10;
    question.top = TOP;
    question.shape.only = Some(std::sync::Arc::clone(ground.retriever.mentions().passages()));
    question
}
