//! `walkprint evaluate senses`.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context as _;
use clap::Args;
use serde_json::{Map, json};
use walkprint_cluster::senses::{
    Dictionary, Disambiguated, Keys, Score, SenseSettings, Tally, disambiguate, read_contexts, read_keys,
    read_sense_keys,
};
use walkprint_engine::labels::Labels;
use walkprint_engine::query::Method;
use walkprint_engine::store::Store;

use crate::arguments::{RestartArguments, workers};
use crate::terminal::{Outcome, count, duration, note_waiting, print, print_json, processors, stop_flag};

#[derive(Debug, Args)]
pub(crate) struct SensesArguments {
    /// The store: a graph of senses, usually with edges both ways, as `load --format ukb` makes it
    #[arg(value_name = "STORE")]
    store: PathBuf,
    /// Which senses each lemma has, as UKB writes it: a lemma and its senses in a line, perhaps with counts,
    /// `bank 08420278-n:20 09213565-n:25`
    #[arg(long, value_name = "FILE")]
    dict: PathBuf,
    /// The texts, as UKB writes them: an id in one line, words as lemma#pos#id#1 (wants a sense) or …#0 in the next
    #[arg(long, value_name = "FILE")]
    contexts: PathBuf,
    /// What is right: the id of a word and its senses in each line
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// What the key calls senses, if not by their ids in the graph: an id and its sense keys in each line
    #[arg(long, value_name = "FILE")]
    sense_keys: Option<PathBuf>,
    #[command(flatten)]
    restart: RestartArguments,
    /// What is added to each count of the dictionary
    #[arg(long, value_name = "COUNT", default_value_t = 1.0)]
    smoothing: f64,
    /// Take all senses of a lemma for alike, whatever the dictionary counted
    #[arg(long)]
    no_priors: bool,
    /// Exact answers instead of blocks with an L1 error of 1e-5 for each lemma
    #[arg(long)]
    exact: bool,
    /// Write what was answered: the id of a word, its best sense and the lemma in each line
    #[arg(long, value_name = "FILE")]
    answers: Option<PathBuf>,
    /// Threads to use [default: all processors]
    #[arg(long, value_parser = workers)]
    workers: Option<usize>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &SensesArguments) -> anyhow::Result<Outcome> {
    let store = Store::open(&arguments.store)?;
    note_waiting(&store)?;
    let (graph, labels) = (store.graph()?, store.labels()?);
    let dictionary = Dictionary::read(&arguments.dict, &labels)?;
    let contexts = read_contexts(&arguments.contexts)?;
    let key = read_keys(&arguments.key)?;
    let names = arguments.sense_keys.as_deref().map(read_sense_keys).transpose()?;
    let default = SenseSettings::default();
    let settings = SenseSettings {
        restart_prob: arguments.restart.given().unwrap_or(default.restart_prob),
        smoothing: arguments.smoothing,
        priors: !arguments.no_priors,
        method: if arguments.exact { Method::Exact } else { default.method },
        threads: arguments.workers.unwrap_or_else(processors),
    };
    let began = Instant::now();
    let answers = disambiguate(&graph, &labels, &dictionary, &contexts, &settings, &stop_flag()?)?;
    let took = began.elapsed();
    let ids = ids_of_best(&labels, &answers)?;
    let answered = answers.iter().zip(&ids).filter_map(|(answer, id)| Some((answer, id.as_deref()?)));
    let called: Keys =
        answered.clone().map(|(answer, id)| (answer.id.clone(), names_of(answer, id, names.as_ref()))).collect();
    let score = Score::new(&key, &called);
    if let Some(path) = &arguments.answers {
        let mut text = String::new();
        for (answer, id) in answered {
            let _ = writeln!(text, "{} {id} !! {}", answer.id, answer.lemma.text);
        }
        std::fs::write(path, text).with_context(|| format!("could not write {}", path.display()))?;
    }
    let by_context = answers.iter().filter(|answer| answer.by_context).count();
    let unknown = answers.iter().filter(|answer| answer.senses.is_empty()).count();
    if arguments.json {
        let datasets: Map<_, _> = score.datasets.iter().map(|(name, tally)| (name.clone(), metrics(tally))).collect();
        print_json(&json!({
            "metrics": metrics(&score.all()),
            "datasets": datasets,
            "contexts": contexts.len(),
            "targets": answers.len(),
            "by_context": by_context,
            "not_in_dictionary": unknown,
            "senses_not_in_graph": dictionary.unknown(),
            "seconds": took.as_secs_f64(),
        }))?;
        return Ok(Outcome::Done);
    }
    let mut text = String::from("data set        instances  answered  precision  recall     F1\n");
    for (name, tally) in &score.datasets {
        let percent = |share: f64| 100.0 * share;
        let (precision, recall, f1) = (percent(tally.precision()), percent(tally.recall()), percent(tally.f1()));
        let (instances, answered) = (count(tally.instances), count(tally.answered));
        let _ = writeln!(text, "{name:<15} {instances:>9}  {answered:>8}  {precision:>9.1}  {recall:>6.1}  {f1:>5.1}");
    }
    let _ = writeln!(
        text,
        "{} contexts with {} targets in {}; for {} the context had a say, {} are not in the dictionary",
        count(contexts.len() as u64),
        count(answers.len() as u64),
        duration(took),
        count(by_context as u64),
        count(unknown as u64)
    );
    print(&text)?;
    Ok(Outcome::Done)
}

fn metrics(tally: &Tally) -> serde_json::Value {
    json!({
        "f1": tally.f1(),
        "precision": tally.precision(),
        "recall": tally.recall(),
        "instances": tally.instances,
        "answered": tally.answered,
        "right": tally.right,
    })
}

/// The external id of each target's best sense, where it has one.
fn ids_of_best(labels: &Labels, answers: &[Disambiguated]) -> anyhow::Result<Vec<Option<String>>> {
    let best = |answer: &Disambiguated| answer.senses.first().map(|&(node, _)| labels.id(node)).transpose();
    Ok(answers.iter().map(best).collect::<Result<_, _>>()?)
}

/// What the key calls a sense: its id; or those of its sense keys that are of the lemma.
fn names_of(answer: &Disambiguated, id: &str, names: Option<&Keys>) -> Vec<String> {
    let Some(names) = names else { return vec![id.to_owned()] };
    let of_lemma = |name: &&String| name.split('%').next() == Some(answer.lemma.text.as_str());
    names.get(id).into_iter().flatten().filter(of_lemma).cloned().collect()
}
