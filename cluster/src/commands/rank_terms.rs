//! `walkprint rank-terms`.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context as _;
use clap::Args;
use serde_json::json;
use walkprint_cluster::terms::{RevisedTerm, read_documents, read_seeds, read_terms, revise, word_importances};
use walkprint_engine::plan::Plan;
use walkprint_engine::store::Store;

use crate::arguments::RestartArguments;
use crate::terminal::{Outcome, count, duration, note, note_waiting, print, print_json, stop_flag};

#[derive(Debug, Args)]
pub(crate) struct RankTermsArguments {
    /// The store: a graph of related words
    #[arg(value_name = "STORE")]
    store: PathBuf,
    /// The candidate terms: a term, a tab and a base score in each line, or CSV
    #[arg(long, value_name = "FILE")]
    terms: PathBuf,
    /// Terms that are known to be right, one a line
    #[arg(long, value_name = "FILE")]
    seeds: PathBuf,
    /// Which terms occur in which document: the id of a document, a tab and a term in each line, or CSV; without it, the whole
    /// graph is one document
    #[arg(long, value_name = "FILE")]
    documents: Option<PathBuf>,
    #[command(flatten)]
    restart: RestartArguments,
    /// How many terms to print [default: all]
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u64).range(1..))]
    top: Option<u64>,
    /// Write the terms to this file instead, as TSV
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    out: Option<PathBuf>,
    /// Print terms and report as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &RankTermsArguments) -> anyhow::Result<Outcome> {
    let store = Store::open(&arguments.store)?;
    note_waiting(&store)?;
    let (graph, labels) = (store.graph()?, store.labels()?);
    let (terms, seeds) = (read_terms(&arguments.terms)?, read_seeds(&arguments.seeds)?);
    let documents = arguments.documents.as_deref().map(read_documents).transpose()?;
    let restart_prob = arguments.restart.given().unwrap_or(Plan::default().restart_prob);
    let began = Instant::now();
    let importances = word_importances(&graph, &labels, restart_prob, &seeds, documents.as_deref(), &stop_flag()?)?;
    let mut revised = revise(&terms, &importances.of_words);
    let took = began.elapsed();
    let reached = revised.iter().filter(|term| 0.0 < term.importance).count();
    let top = arguments.top.and_then(|top| usize::try_from(top).ok()).unwrap_or(usize::MAX);
    revised.truncate(top);
    if arguments.json {
        print_json(&json!({
            "terms": revised,
            "candidates": terms.len(),
            "candidates_with_importance": reached,
            "graphs": importances.documents,
            "graphs_with_seeds": importances.personalised,
            "seed_words": importances.seeds,
            "restart_prob": restart_prob,
            "seconds": took.as_secs_f64(),
        }))?;
        return Ok(Outcome::Done);
    }
    let text = table(&revised);
    match &arguments.out {
        Some(path) => {
            std::fs::write(path, text).with_context(|| format!("could not write {}", path.display()))?;
        }
        None => print(&text)?,
    }
    note(&format!(
        "walkprint: {} terms, {} with words that matter; {} graphs of words, {} with seeds; {}",
        count(terms.len() as u64),
        count(reached as u64),
        count(importances.documents as u64),
        count(importances.personalised as u64),
        duration(took)
    ));
    Ok(Outcome::Done)
}

/// TSV with a header. A term has no tab, because its line was cut there.
fn table(terms: &[RevisedTerm]) -> String {
    let mut text = String::from("rank\tterm\trevised\tbase_rank\tbase\timportance\n");
    for RevisedTerm { term, base, importance, revised, base_rank, rank } in terms {
        let _ = writeln!(text, "{rank}\t{term}\t{revised:.6}\t{base_rank}\t{base}\t{importance:.6}");
    }
    text
}
