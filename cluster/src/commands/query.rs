//! `walkprint query`.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, anyhow, bail};
use comfy_table::{CellAlignment, Table, presets};
use walkprint_cluster::choice::{Wanted, choose_index};
use walkprint_cluster::explanation::{Picture, dot, svg, text};
use walkprint_cluster::live::Now;
use walkprint_cluster::serve::{self, Id, Provenance, Request, Seed, as_json, typed_seed};
use walkprint_cluster::workers::Threads;
use walkprint_engine::graph::Graph;
use walkprint_engine::index::Index;
use walkprint_engine::labels::Labels;
use walkprint_engine::query::{Answer, Answerer, ExplainSettings, Method, Question, Seeds, Status};
use walkprint_engine::store::Store;

use crate::arguments::{ExplainAs, QueryArguments, QuestionArguments};
use crate::terminal::{Outcome, count, print, print_json, processors};

pub(crate) fn run(arguments: QueryArguments) -> anyhow::Result<Outcome> {
    if let Some(server) = arguments.server.clone() {
        return ask(&server, arguments);
    }
    let store = Store::open(&arguments.store.context("no store was named")?)?;
    let (graph, labels) = (store.graph()?, store.labels()?);
    let asked = &arguments.question;
    let (index, restart_prob) = choose_index(&store, &graph, wanted(asked))?;
    let now = Now::of(&store)?;
    let (labels, waiting) = match &now {
        Some(now) => (&now.labels, now.events),
        None => (&labels, 0),
    };
    let question = question(asked, (&store, &graph), labels, now.as_ref())?;
    let began = Instant::now();
    let answerer = match &now {
        Some(now) => now.answerer(index.as_ref(), restart_prob)?,
        None => Answerer::new(&graph, labels, index.as_ref(), restart_prob)?,
    };
    let threads = Threads::new(asked.threads.unwrap_or_else(processors));
    let mut answerer = answerer.with_crew(Arc::new(threads));
    let answer = answerer.answer(&question)?;
    let took_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
    // A table needs no types: a damaged file of them is no reason to refuse one.
    let kinds = match (&now, arguments.json || arguments.explain.is_some()) {
        (_, false) => None,
        (None, true) => store.kinds()?,
        (Some(now), true) => now.kinds(&graph, store.kinds()?.as_ref())?,
    };
    let settings = ExplainSettings { paths: arguments.paths, kinds: kinds.as_ref(), ..ExplainSettings::default() };
    let explained = arguments.explain.map(|_| answerer.explain(&question, &answer, &settings)).transpose()?;
    let picture = || explained.as_ref().map(|explained| Picture::new(explained, restart_prob)).unwrap_or_default();
    if let Some(drawn @ (ExplainAs::Dot | ExplainAs::Svg)) = arguments.explain {
        print(&if drawn == ExplainAs::Dot { dot(&picture()) } else { svg(&picture()) })?;
    } else if arguments.json || arguments.explain == Some(ExplainAs::Json) {
        let used = index.as_ref().filter(|_| !matches!(answer.method, Method::Exact | Method::Block)).map(Index::entry);
        let from = Provenance { index: used, graph_digest: &store.manifest().graph.digest, restart_prob };
        let mut printed = as_json(&answer, kinds.as_ref(), from);
        printed["took_us"] = took_us.into();
        if waiting != 0 {
            printed["events"] = waiting.into();
        }
        if let Some(explained) = &explained {
            printed["explanation"] = serde_json::to_value(explained)?;
        }
        print_json(&printed)?;
    } else {
        let why = explained.as_ref().map(|explained| format!("\n{}", text(explained))).unwrap_or_default();
        let events = match waiting {
            0 => String::new(),
            _ => format!("{} events count that the graph has not absorbed\n", count(waiting)),
        };
        print(&format!("{}{}\n{events}{why}", table(&answer, Width::Full), summary(&answer, restart_prob, took_us)))?;
    }
    Ok(Outcome::Done)
}

/// Which index is wanted.
pub(super) fn wanted(asked: &QuestionArguments) -> Wanted<'_> {
    Wanted { index: asked.asked.index.as_deref(), restart_prob: asked.asked.restart.given(), method: asked.method }
}

/// What was typed, as a question about a graph with these ids: that of the store, or what it has become.
pub(super) fn question(
    asked: &QuestionArguments,
    (store, base): (&Store, &Graph),
    labels: &Labels,
    now: Option<&Now>,
) -> anyhow::Result<Question> {
    let mut seeds = asked.seeds.iter().map(|text| typed_seed(text, labels)).collect::<Result<Vec<_>, _>>()?;
    if let Some(file) = &asked.seeds_file {
        read_seeds(file, &mut seeds)?;
    }
    let mut question = Question::new(Seeds::resolve(labels, &seeds)?);
    question.method = asked.method;
    question.top = asked.top;
    question.dangling = asked.asked.dangling;
    question.residual = asked.residual;
    question.settle = asked.settle;
    question.precision = asked.asked.precision(asked.method);
    question.shape = match now {
        Some(now) => asked.asked.shape.shape_now(store, base, now)?,
        None => asked.asked.shape.shape(store, labels)?,
    };
    Ok(question)
}

/// Asks a server: by its address over HTTP, or line by line where it serves a graph in shards.
fn ask(server: &str, arguments: QueryArguments) -> anyhow::Result<Outcome> {
    if server.starts_with("http://") || server.starts_with("https://") {
        #[cfg(feature = "client")]
        return super::asking::run(server, &arguments);
        #[cfg(not(feature = "client"))]
        bail!("this program was built without the feature `client`: ask {server} with curl");
    }
    let address: SocketAddr = server.parse().map_err(|_| {
        anyhow!("--server: expected http://ADDRESS:PORT, or ADDRESS:PORT of a server over shards, got {server:?}")
    })?;
    if let Some(option) = not_over_shards(&arguments) {
        bail!(
            "{option} cannot be asked of a server over shards; of any other server, named by http://{server}, it can"
        );
    }
    ask_lines(address, arguments)
}

/// What a server over shards does not do, or decided when it was started.
fn not_over_shards(arguments: &QueryArguments) -> Option<&'static str> {
    let question = &arguments.question;
    let asked = &question.asked;
    let options = [
        (arguments.store.is_some(), "a store"),
        (question.method != Method::Auto, "--method"),
        (asked.index.is_some(), "--index"),
        (asked.restart.given().is_some(), "--restart-prob"),
        (question.settle, "--settle"),
        (question.threads.is_some(), "--threads"),
        (arguments.explain.is_some(), "--explain"),
        (asked.shape.is_given(), "a filter"),
    ];
    options.into_iter().find(|(given, _)| *given).map(|(_, name)| name)
}

/// Asks a server over shards, and prints what it says as if it had been found here.
fn ask_lines(server: SocketAddr, arguments: QueryArguments) -> anyhow::Result<Outcome> {
    let question = arguments.question;
    let mut seeds: Vec<Seed> = question.seeds.into_iter().map(Seed::Typed).collect();
    if let Some(file) = &question.seeds_file {
        let mut listed = Vec::new();
        read_seeds(file, &mut listed)?;
        seeds.extend(listed.into_iter().map(|(id, weight)| Seed::Weighted { id: Id::Text(id), weight }));
    }
    let precision = question.asked.precision(Method::Combine).unwrap_or(0.05);
    let request = Request { seeds, top: question.top, precision, dangling: question.asked.dangling };
    let printed = serve::ask(server, &request)?;
    if arguments.json {
        print_json(&printed)?;
        return Ok(Outcome::Done);
    }
    let restart_prob = printed["index"]["restart_prob"].as_f64().unwrap_or_default();
    let took_us = printed["took_us"].as_u64().unwrap_or_default();
    let answer: Answer = serde_json::from_value(printed).with_context(|| format!("{server}: this is no answer"))?;
    print(&format!("{}{}\n", table(&answer, Width::Full), summary(&answer, restart_prob, took_us)))?;
    Ok(Outcome::Done)
}

pub(super) fn read_seeds(file: &Path, seeds: &mut Vec<(String, f64)>) -> anyhow::Result<()> {
    let text =
        std::fs::read_to_string(file).with_context(|| format!("{}: could not read the seeds", file.display()))?;
    for (at, line) in text.lines().enumerate() {
        match line.split_once('\t') {
            _ if line.is_empty() => {}
            None => seeds.push((line.to_owned(), 1.0)),
            Some((id, weight)) => match weight.parse() {
                Ok(weight) => seeds.push((id.to_owned(), weight)),
                Err(_) => bail!("{}:{}: expected a weight, got {weight:?}", file.display(), at + 1),
            },
        }
    }
    Ok(())
}

/// Which columns a table has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Width {
    /// All that the answer knows.
    Full,
    /// Rank, score, standard error and id.
    Short,
}

/// The results as a table. Also how `quickstart` shows them.
pub(crate) fn table(answer: &Answer, width: Width) -> String {
    let exact = matches!(answer.status, Status::Exact { .. });
    let full = width == Width::Full;
    let supported = full && answer.results.iter().any(|result| result.support.is_some());
    let mut header = vec!["rank", "score"];
    header.extend((!exact).then_some("± std error"));
    header.extend(full.then_some("stable"));
    header.extend(supported.then_some("support"));
    let numbers = header.len();
    header.push("id");
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(header);
    for result in &answer.results {
        let mut row = vec![result.rank.to_string(), score(result.score)];
        row.extend((!exact).then(|| score(result.std_error)));
        row.extend(full.then(|| if result.rank_stable { "yes" } else { "no" }.to_owned()));
        row.extend(result.support.filter(|_| full).map(|support| support.to_string()));
        row.push(result.id.clone());
        table.add_row(row);
    }
    for column in 0..numbers {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// A score with six decimals; quotients of a popularity may be far larger than scores.
fn score(score: f64) -> String {
    if score < 1e6 { format!("{score:.6}") } else { format!("{score:.4e}") }
}

pub(super) fn summary(answer: &Answer, restart_prob: f64, took_us: u64) -> String {
    let how = match answer.status {
        Status::Exact { error_bound, .. } => format!("exact, all scores together off by at most {error_bound:.1e}"),
        Status::Estimated { sampled, l1_error } => {
            let walks = if sampled == 0.0 { String::new() } else { format!("{:.1} % by walks, ", sampled * 100.0) };
            format!("{}, {walks}all scores together off by about {l1_error:.1e}", answer.method)
        }
    };
    let truncated =
        if answer.truncated { "; fewer nodes than asked for can be reached and pass the filters" } else { "" };
    let unstable = answer.results.iter().filter(|result| !result.rank_stable).count();
    let stability = match (unstable, answer.status) {
        (0, _) => String::new(),
        (unstable, Status::Exact { .. }) => format!(
            "\nstable    {unstable} of {} are not: the error bound leaves open whether the node that ranks next belongs above",
            answer.results.len()
        ),
        (unstable, Status::Estimated { .. }) => format!(
            "\nstable    {unstable} of {} are not: two standard errors could bring the node that ranks next above",
            answer.results.len()
        ),
    };
    format!(
        "{how}; restart probability {restart_prob}, dangling {}; {:.1} ms{truncated}{stability}",
        answer.dangling,
        took_us as f64 / 1e3
    )
}
