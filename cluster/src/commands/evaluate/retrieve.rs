//! `walkprint evaluate retrieve`.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, bail};
use clap::Args;
use serde_json::json;
use walkprint_cluster::retrieve::{
    AskedQuestion, Metrics, RetrieveRequest, RetrieveStatus, judge, read_questions, retrieve,
};

use crate::commands::retrieve::RetrieveSettings;
use crate::terminal::{Outcome, print, print_json};

#[derive(Debug, Args)]
pub(crate) struct EvaluateRetrieveArguments {
    /// The store
    store: PathBuf,
    /// Questions and the passages that answer them: JSON Lines with question and gold, or a list as MuSiQue has it
    #[arg(long, value_name = "FILE")]
    questions: PathBuf,
    #[command(flatten)]
    settings: RetrieveSettings,
    /// Write what became of each question to a file, one JSON object a line
    #[arg(long, value_name = "FILE")]
    per_question: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &EvaluateRetrieveArguments) -> anyhow::Result<Outcome> {
    let EvaluateRetrieveArguments { store, questions, settings, per_question, .. } = arguments;
    settings.with_ground(store, |ground, answerer| {
        let asked = read_questions(questions, ground.labels, ground.passages)?;
        if let Some(one) = asked.iter().find(|one| one.gold.is_empty()) {
            bail!("{}: question {:?} does not say which passages answer it", questions.display(), one.id);
        }
        let began = Instant::now();
        let (mut judged, mut lines) = (Vec::with_capacity(asked.len()), Vec::new());
        let (mut no_seeds, mut passages_only) = (Vec::new(), 0usize);
        for AskedQuestion { id, request, gold } in &asked {
            let request = RetrieveRequest { texts: Some(false), ..settings.apply(request.clone()) };
            let request = RetrieveRequest { chains: Some(usize::from(per_question.is_some())), ..request };
            let reply = retrieve(ground, answerer, &request)?;
            match reply.status {
                RetrieveStatus::NoSeeds => no_seeds.push(id.clone()),
                RetrieveStatus::PassagesOnly => passages_only += 1,
                RetrieveStatus::Answered => {}
            }
            let results: Vec<String> = reply.results.iter().map(|result| result.id.clone()).collect();
            let one = judge(&results, gold, settings.top);
            if per_question.is_some() {
                lines.push(json!({
                    "id": id, "question": request.question, "status": reply.status, "seeds": reply.seeds,
                    "metrics": one.metrics, "gold": one.places, "results": reply.results,
                }));
            }
            judged.push(one);
        }
        let seconds = began.elapsed().as_secs_f64();
        if let Some(path) = per_question {
            let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
            std::fs::write(path, text).with_context(|| format!("{}: could not write", path.display()))?;
        }
        let metrics = Metrics::of(&judged);
        if arguments.json {
            print_json(&json!({
                "metrics": metrics.metrics, "halves": metrics.halves, "questions": metrics.questions,
                "no_seeds": no_seeds, "passages_only": passages_only, "seconds": seconds,
            }))?;
            return Ok(Outcome::Done);
        }
        let mut text = format!("{:<18} {:>8} {:>11} {:>12}\n", "metric", "all", "odd places", "even places");
        for (name, value) in &metrics.metrics {
            let half = |at: usize| metrics.halves[at].get(name).map_or(String::new(), |value| format!("{value:.4}"));
            text += &format!("{name:<18} {value:>8.4} {:>11} {:>12}\n", half(0), half(1));
        }
        text += &format!(
            "{} questions in {:.1} ms; {passages_only} in which nothing is named, {} without any seed\n",
            metrics.questions,
            seconds * 1e3,
            no_seeds.len()
        );
        print(&text)?;
        Ok(Outcome::Done)
    })
}
