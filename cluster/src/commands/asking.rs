//! `walkprint query --server`: the same question to a server, printed as if it had been answered here.

use anyhow::{Context, bail};
use walkprint_cluster::client::Client;
use walkprint_cluster::server::{AnswerBody, ExplainRequest, ExplainWith, QueryRequest, Seed};
use walkprint_engine::query::{Answer, Method};

use super::query::{Width, read_seeds, summary, table};
use crate::arguments::{ExplainAs, QueryArguments, QuestionArguments};
use crate::terminal::{Outcome, print, print_json};

/// The key that is sent, from the environment: what is typed can be seen by others.
const KEY: &str = "WALKPRINT_KEY";

pub(super) fn run(server: &str, arguments: &QueryArguments) -> anyhow::Result<Outcome> {
    let store = arguments.store.as_ref().and_then(|store| store.to_str());
    let store = store
        .with_context(|| format!("name the store as {server} calls it: walkprint query NAME --server {server}"))?;
    let asked = &arguments.question;
    if asked.threads.is_some() {
        bail!("--threads is the server's own business: leave it out");
    }
    if matches!(arguments.explain, Some(ExplainAs::Text | ExplainAs::Dot | ExplainAs::Svg)) {
        bail!("a server explains as JSON: give --explain json, or look at {server} in a browser");
    }
    let client = Client::new(server);
    let client = match std::env::var(KEY) {
        Ok(key) => client.with_key(&key),
        Err(_) => client,
    };
    let mut request = QueryRequest::new(seeds(&client, store, asked)?);
    request.top = Some(asked.top);
    request.method = Some(asked.method);
    request.precision = asked.asked.precision(asked.method);
    request.dangling = Some(asked.asked.dangling);
    request.index = asked.asked.index.clone();
    request.restart_prob = asked.asked.restart.given();
    request.settle = asked.settle.then_some(true);
    request.residual = (asked.method == Method::Exact || asked.settle).then_some(asked.residual);
    let explain = ExplainWith { paths: arguments.paths, ..ExplainWith::default() };
    request.explain = arguments.explain.map(|_| ExplainRequest::With(explain));
    asked.asked.shape.add_to(&mut request)?;
    let body: AnswerBody = client.query(store, &request)?;
    let printed = serde_json::to_value(&body)?;
    if arguments.json || arguments.explain.is_some() {
        print_json(&printed)?;
        return Ok(Outcome::Done);
    }
    let (restart_prob, took_us) = (body.index.restart_prob, body.took_us);
    let answer: Answer = serde_json::from_value(printed).with_context(|| format!("{server}: this is no answer"))?;
    print(&format!("{}{}\n", table(&answer, Width::Full), summary(&answer, restart_prob, took_us)))?;
    Ok(Outcome::Done)
}

fn seeds(client: &Client, store: &str, asked: &QuestionArguments) -> anyhow::Result<Vec<Seed>> {
    let mut seeds = Vec::new();
    for text in &asked.seeds {
        let weighted = text.rsplit_once('=').and_then(|(id, weight)| Some((id, weight.parse().ok()?)));
        seeds.push(match weighted {
            // The whole may be an id. It is the first of those that begin with it.
            Some((id, weight)) if client.nodes(store, text, 1)?.nodes.first().is_none_or(|node| node.id != *text) => {
                Seed { id: id.to_owned(), weight }
            }
            _ => text.as_str().into(),
        });
    }
    if let Some(file) = &asked.seeds_file {
        let mut listed = Vec::new();
        read_seeds(file, &mut listed)?;
        seeds.extend(listed.into_iter().map(|(id, weight)| Seed { id, weight }));
    }
    Ok(seeds)
}
