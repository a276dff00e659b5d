//! `walkprint quickstart`: from nothing to answers that a person can judge, with what to type next.

use std::io::Write;
use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use walkprint_cluster::build::{BuildOptions, ShardedCut};
use walkprint_cluster::graph_mode::GraphMode;
use walkprint_cluster::load::LoadJob;
use walkprint_cluster::processes::Processes;
use walkprint_engine::plan::Plan;
use walkprint_engine::query::{Answerer, Method, Question, Seeds};
use walkprint_engine::store::Store;
use walkprint_loaders::LoadOptions;

use super::events::Events;
use super::{index, load, query};
use crate::arguments::QuickstartArguments;
use crate::terminal::{Outcome, count, duration, half_of_memory, print, processors, size, stop_flag};

/// WordNet 3.0 as edges between word senses: see `cluster/data/wordnet/README.md`.
const WORDNET: &[u8] = include_bytes!("../../data/wordnet/wordnet.tsv.gz");

/// What is asked, and what it is in words.
const QUESTIONS: [(&str, &[&str]); 4] = [
    ("dog, the animal", &["dog.n.01"]),
    ("bank, the slope beside a river", &["bank.n.01"]),
    ("bank, where the money is", &["bank.n.02"]),
    ("music and mathematics together", &["music.n.01", "mathematics.n.01"]),
];

pub(crate) fn run(arguments: QuickstartArguments) -> anyhow::Result<Outcome> {
    let began = Instant::now();
    let path = &arguments.into;
    let workers = arguments.workers.unwrap_or_else(processors);
    match Store::open(path) {
        Ok(store) if !store.manifest().indexes.is_empty() && is_wordnet(&store) => {
            print(&format!("{} is there from before; nothing to build.\n", path.display()))?;
        }
        Ok(store) if is_wordnet(&store) => build(path, workers)?,
        _ => {
            load_wordnet(path, workers)?;
            build(path, workers)?;
        }
    }
    let asked = ask(path)?;
    let shown = path.display();
    print(&format!(
        "\n{} in all, {} of it for {} answers. The store lies in {shown}\n\n\
         What to type next:\n\
         \u{20} walkprint query {shown} --seed cat.n.01 --top 20\n\
         \u{20} walkprint query {shown} --seed bank.n.02=2 --seed river.n.01 --json\n\
         \u{20} walkprint query {shown} --seed dog.n.01 --method exact\n\
         \u{20} walkprint inspect {shown}\n\
         \u{20} walkprint load YOUR-EDGES.tsv --into yours.wp && walkprint index yours.wp\n",
        duration(began.elapsed()),
        duration(asked),
        QUESTIONS.len(),
    ))?;
    Ok(Outcome::Done)
}

fn is_wordnet(store: &Store) -> bool {
    store.labels().is_ok_and(|labels| matches!(labels.node("entity.n.01"), Ok(Some(_))))
}

fn load_wordnet(path: &Path, workers: usize) -> anyhow::Result<()> {
    let file = std::env::temp_dir().join(format!("walkprint-{}-wordnet.tsv.gz", std::process::id()));
    let written = std::fs::OpenOptions::new().write(true).create_new(true).open(&file);
    written
        .and_then(|mut open| open.write_all(WORDNET))
        .with_context(|| format!("could not write {}", file.display()))?;
    let job = LoadJob {
        inputs: vec![file.clone()],
        options: LoadOptions { threads: workers, ..LoadOptions::default() },
        order: walkprint_engine::graph::NodeOrder::default(),
        replace: false,
    };
    let stop = stop_flag()?;
    let outcome = load::load(path, &job, &stop);
    let _ = std::fs::remove_file(&file); // a copy of what the program carries: nothing is lost if it stays
    let outcome = outcome?;
    print(&format!(
        "loaded    WordNet 3.0: {} word senses, {} typed pointers between them, in {}\n",
        count(outcome.graph.report.nodes),
        count(outcome.read.edges_read),
        duration(outcome.reading + outcome.building + outcome.writing),
    ))
}

fn build(path: &Path, workers: usize) -> anyhow::Result<()> {
    let store = Store::open(path)?;
    let begun_before = std::fs::read_dir(store.path())?
        .flatten()
        .any(|entry| entry.file_name().to_string_lossy().starts_with("index-"));
    let options = BuildOptions {
        name: "default".into(),
        plan: Plan { walks: 64, ..Plan::default() },
        workers,
        memory_bytes: half_of_memory(),
        graph: GraphMode::Replicated,
        cut: ShardedCut::default(),
        resume: begun_before,
        replace: false,
        timely_log: None,
    };
    let (outcome, took) =
        index::index(Processes::alone(workers), path, &options, &stop_flag()?, &mut Events::begin(None)?)?;
    let outcome = outcome.expect("the only process publishes the index");
    print(&format!(
        "indexed   {} steps of at least {} walks from each sense in {} ({} workers): {} entries, {}\n",
        count(outcome.steps),
        options.plan.walks,
        duration(took),
        workers,
        count(outcome.entry.entries),
        size(outcome.entry.bytes),
    ))
}

/// Asks all questions; returns the time that the answers took.
fn ask(path: &Path) -> anyhow::Result<std::time::Duration> {
    let store = Store::open(path)?;
    let (graph, labels) = (store.graph()?, store.labels()?);
    let index = store.index(&store.manifest().indexes[0].name, &graph)?;
    let restart_prob = index.plan().restart_prob;
    let mut answerer = Answerer::new(&graph, &labels, Some(&index), restart_prob)?;
    let mut took = std::time::Duration::ZERO;
    for (words, seeds) in QUESTIONS {
        let weighted: Vec<(String, f64)> = seeds.iter().map(|&seed| (seed.to_owned(), 1.0)).collect();
        let mut question = Question::new(Seeds::resolve(&labels, &weighted)?);
        question.top = 8;
        question.method = Method::Combine;
        let began = Instant::now();
        let answer = answerer.answer(&question)?;
        let elapsed = began.elapsed();
        took += elapsed;
        print(&format!(
            "\n{words} ({}, {})\n{}",
            seeds.join(" + "),
            duration(elapsed),
            query::table(&answer, query::Width::Short)
        ))?;
    }
    Ok(took)
}
