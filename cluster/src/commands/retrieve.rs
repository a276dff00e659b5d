//! `walkprint retrieve`.

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;
use walkprint_cluster::choice::{Wanted, choose_index};
use walkprint_cluster::retrieve::{
    AskedQuestion, Ground, Of, PassageScore, RankBy, RetrieveReply, RetrieveRequest, RetrieveStatus,
    USUAL_RESTART_PROB, read_questions, retrieve,
};
use walkprint_engine::query::{Answerer, Method};
use walkprint_engine::retrieval::{MatchKind, Retriever};
use walkprint_engine::store::Store;

use super::query::read_seeds;
use crate::arguments::RestartArguments;
use crate::terminal::{Outcome, note_waiting, print, print_json};

/// How much of a passage's text a line shows.
const SHOWN_LETTERS: usize = 72;

/// How questions are answered.
#[derive(Debug, Args)]
pub(crate) struct RetrieveSettings {
    /// How many results
    #[arg(long, short = 'k', default_value_t = 10, value_name = "K")]
    pub(crate) top: usize,
    /// By what passages are ranked: walk (their own score), or mentions (the sum of the scores of what they mention)
    #[arg(long, default_value_t, value_name = "WHAT")]
    rank_by: RankBy,
    /// The mass of the passages with the question's words among the seeds, where that of the named nodes is 1 [default: 0.5]
    #[arg(long, value_name = "MASS")]
    passage_weight: Option<f64>,
    /// Let all named nodes count alike, and not by 1 / the number of passages that mention them
    #[arg(long)]
    no_specificity: bool,
    /// Do not look for names by some of their words where nothing else is found
    #[arg(long)]
    no_overlap: bool,
    /// Divide scores by the number of in-edges to this power
    #[arg(long, value_name = "POWER")]
    debias: Option<f64>,
    /// How to answer: auto, lookup, combine, block, exact
    #[arg(long, default_value_t = Method::Auto)]
    method: Method,
    #[command(flatten)]
    restart: RestartArguments,
}

#[derive(Debug, Args)]
pub(crate) struct RetrieveArguments {
    /// The store
    store: PathBuf,
    /// A question in words: what it names becomes seeds
    #[arg(long, value_name = "TEXT", required_unless_present_any = ["entities", "questions", "passage_scores"])]
    question: Option<String>,
    /// Something that the question is about, by name; instead of looking for names in the question
    #[arg(long = "entity", value_name = "NAME")]
    entities: Vec<String>,
    /// A file of questions: JSON Lines with question, entities and id, or a list as MuSiQue has it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["question", "entities", "passage_scores"])]
    questions: Option<PathBuf>,
    /// A file with an id of a passage, a tab and a score in each line: seeds, instead of passages with the question's words
    #[arg(long, value_name = "FILE")]
    passage_scores: Option<PathBuf>,
    /// What is wanted: passages or entities
    #[arg(long, default_value_t, value_name = "WHAT")]
    of: Of,
    /// Keep the first results whose tokens together are no more than this; a token is four bytes of text
    #[arg(long, value_name = "N")]
    token_budget: Option<u64>,
    /// How many chains of triples to tell of each result
    #[arg(long, value_name = "N", default_value_t = 1)]
    chains: usize,
    #[command(flatten)]
    settings: RetrieveSettings,
    /// Print JSON; of a file of questions a line each
    #[arg(long)]
    json: bool,
}

impl RetrieveSettings {
    /// The restart probability.
    fn restart_prob(&self) -> f64 {
        self.restart.given().unwrap_or(USUAL_RESTART_PROB)
    }

    /// Adds the settings to a request.
    pub(crate) fn apply(&self, request: RetrieveRequest) -> RetrieveRequest {
        RetrieveRequest {
            top: Some(self.top),
            rank_by: Some(self.rank_by),
            passage_weight: self.passage_weight,
            specificity: Some(!self.no_specificity),
            overlap: Some(!self.no_overlap),
            debias: self.debias,
            restart_prob: Some(self.restart_prob()),
            method: Some(self.method),
            ..request
        }
    }

    /// Opens a store and lets somebody ask.
    pub(crate) fn with_ground<T>(
        &self,
        store: &Path,
        work: impl FnOnce(&Ground<'_>, &mut Answerer<'_>) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let store = Store::open(store)?;
        note_waiting(&store)?;
        let (graph, labels, kinds, passages) = (store.graph()?, store.labels()?, store.kinds()?, store.passages()?);
        let wanted = Wanted { index: None, restart_prob: Some(self.restart_prob()), method: self.method };
        let (index, restart_prob) = choose_index(&store, &graph, wanted)?;
        let retriever = Retriever::new(&graph, &labels, kinds.as_ref(), passages.as_ref())?;
        let ground =
            Ground { retriever: &retriever, labels: &labels, kinds: kinds.as_ref(), passages: passages.as_ref() };
        let mut answerer = Answerer::new(&graph, &labels, index.as_ref(), restart_prob)?;
        work(&ground, &mut answerer)
    }
}

pub(crate) fn run(arguments: &RetrieveArguments) -> anyhow::Result<Outcome> {
    arguments.settings.with_ground(&arguments.store, |ground, answerer| {
        for AskedQuestion { id, request, .. } in questions(arguments, ground)? {
            let request = RetrieveRequest {
                of: Some(arguments.of),
                token_budget: arguments.token_budget,
                chains: Some(arguments.chains),
                ..arguments.settings.apply(request)
            };
            let reply = retrieve(ground, answerer, &request)?;
            match (arguments.json, &arguments.questions) {
                (true, None) => print_json(&serde_json::to_value(&reply)?)?,
                (true, Some(_)) => {
                    let mut line = serde_json::to_value(&reply)?;
                    line["id"] = id.into();
                    print(&format!("{line}\n"))?;
                }
                (false, None) => print(&describe(&reply, ground))?,
                (false, Some(_)) => {
                    let asked = request.question.unwrap_or_default();
                    print(&format!("{id}: {asked}\n{}\n", describe(&reply, ground)))?;
                }
            }
        }
        Ok(Outcome::Done)
    })
}

fn questions(arguments: &RetrieveArguments, ground: &Ground<'_>) -> anyhow::Result<Vec<AskedQuestion>> {
    if let Some(file) = &arguments.questions {
        return Ok(read_questions(file, ground.labels, ground.passages)?);
    }
    let mut scores = Vec::new();
    if let Some(file) = &arguments.passage_scores {
        read_seeds(file, &mut scores)?;
        if scores.is_empty() {
            bail!("{}: expected the scores of passages, got a file without any", file.display());
        }
    }
    let request = RetrieveRequest {
        question: arguments.question.clone(),
        entities: arguments.entities.clone(),
        passages: scores.into_iter().map(|(id, score)| PassageScore { id, score }).collect(),
        ..RetrieveRequest::default()
    };
    Ok(vec![AskedQuestion { id: String::new(), request, gold: Vec::new() }])
}

/// A reply for people.
fn describe(reply: &RetrieveReply, ground: &Ground<'_>) -> String {
    let mut text = String::new();
    for seed in &reply.seeds {
        let how = match seed.kind {
            MatchKind::Exact => "exact".to_owned(),
            MatchKind::Folded => "folded".to_owned(),
            MatchKind::Overlap => format!("overlap {:.2}", seed.score),
        };
        text += &format!("seed      {} ({how}), {:.1} % of the names\n", seed.id, seed.weight * 100.0);
    }
    for name in &reply.unknown_entities {
        text += &format!("unknown   {name:?} is no node's name\n");
    }
    match reply.status {
        RetrieveStatus::NoSeeds => {
            return text + "no seeds  nothing is named here, and no passage has these words\n";
        }
        RetrieveStatus::PassagesOnly => {
            text += "seed      nothing is named: passages with the question's words alone\n"
        }
        RetrieveStatus::Answered => {}
    }
    if reply.passage_seeds != 0 {
        text += &format!("seeds     {} passages with the question's words\n", reply.passage_seeds);
    }
    for result in &reply.results {
        let shown = result.text.as_deref().map(first_words).map(|words| format!("  {words}")).unwrap_or_default();
        text += &format!("{:>5}  {:.6}  {}{shown}\n", result.rank, result.score, result.id);
        for chain in &result.chains {
            text += &format!("                 {chain}\n");
        }
    }
    let what = if ground.passages.is_some() { "tokens" } else { "tokens (of names)" };
    let cut = if reply.cut { ", cut to the budget" } else { "" };
    text + &format!(
        "{} results, about {} {what}{cut}; restart probability {}; {:.1} ms\n",
        reply.results.len(),
        reply.tokens,
        reply.restart_prob,
        reply.took_us as f64 / 1e3
    )
}

/// The beginning of a text, on one line.
fn first_words(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SHOWN_LETTERS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
