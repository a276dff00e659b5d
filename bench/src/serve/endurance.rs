//! Parts `start` and `memory`: how soon a server answers, and whether it grows.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hyper::StatusCode;
use serde_json::json;
use walkprint_engine::query::Method;

use super::Scene;
use super::load::{Ask, Connection, Load, Pace};
use super::program::Server;
use super::truth::Truth;
use crate::figure::{Figure, Target, median};
use crate::known_graphs::Known;
use crate::report::Report;

/// How often the memory is read.
const SLICE: Duration = Duration::from_secs(1);
/// Slices of a minute, after which caches are warm, and of a quarter of one.
const MINUTE: usize = 60;
const QUARTER: usize = 15;
/// By how much the memory may grow after that.
const MOST_GROWTH: f64 = 1.05;
/// Servers that are started.
const STARTS: usize = 7;
/// The longest that a first answer may take, in milliseconds.
const FIRST_ANSWER_MS: f64 = 200.0;
/// Different questions of the mixed load.
const QUESTIONS: usize = 2_000;

/// The time from the start of the program to its first answer to a question, again and again.
///
/// # Errors
/// When the store cannot be had or the server does not answer.
pub(super) fn start(report: &mut Report, scene: &Scene<'_>) -> Result<()> {
    let (path, name) = match &scene.options.start_store {
        Some(path) => {
            (path.clone(), path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned()))
        }
        None => (scene.stores.of(Known::Cnr)?, Known::Cnr.to_string()),
    };
    let truth = Truth::open(&path)?;
    let runtime = scene.runtime()?;
    for method in [Method::Lookup, Method::Combine] {
        let single = truth.singles(method, 10, 1, scene.options.key)?;
        let ask = Ask::post("/v1/stores/g/query", &single.first().context("a question")?.request())?;
        let mut trials = Vec::with_capacity(STARTS);
        for _ in 0..STARTS {
            let began = Instant::now();
            let server = Server::start(&scene.program, &[format!("g={}", path.display())])?;
            let (status, _) = runtime.block_on(async { Connection::open(server.address).await?.ask(&ask).await })?;
            trials.push(began.elapsed().as_secs_f64() * 1e3);
            report.check("the first answer is one", status == StatusCode::OK, format!("{method}: {status}"));
            server.stop()?;
        }
        let figure = Figure::trials(format!("{name}, {method}"), "start to first answer", "ms", trials);
        report.figure(figure.with_target(Target::AtMost(FIRST_ANSWER_MS)));
    }
    Ok(())
}

/// Resident memory under a mixed load, at the end against what it was after a minute.
///
/// # Errors
/// When the store cannot be had or the server does not answer.
pub(super) fn memory(report: &mut Report, scene: &Scene<'_>) -> Result<()> {
    let path = scene.stores.of(Known::Epinions)?;
    let truth = Truth::open(&path)?;
    let query = "/v1/stores/g/query";
    let mut asks = Vec::new();
    for (at, single) in truth.singles(Method::Lookup, 20, QUESTIONS, scene.options.key)?.iter().enumerate() {
        let id = &single.id;
        asks.push(match at % 8 {
            0 | 1 => Ask::post(query, &json!({ "seeds": [id], "method": "lookup", "top": 20 }))?,
            2 => Ask::post(query, &json!({ "seeds": [id] }))?,
            3 => Ask::post(query, &json!({ "seeds": [id], "explain": true, "top": 5 }))?,
            4 => {
                let queries = vec![json!({ "seeds": [id], "method": "lookup" }); 5];
                Ask::post("/v1/stores/g/query/batch", &json!({ "queries": queries }))?.in_lines()
            }
            5 => Ask::get(&format!("/v1/stores/g/neighbors/{id}?limit=20"))?,
            6 => Ask::get(&format!("/v1/stores/g/nodes?prefix={id}"))?,
            _ => Ask::post(query, &json!({ "seeds": [id, "nobody"] }))?.refused_with(StatusCode::NOT_FOUND),
        });
    }
    let server = Server::start(&scene.program, &[format!("g={}", path.display())])?;
    let load = Load { address: server.address, asks: asks.into(), connections: scene.options.connections.into() };
    let runtime = scene.runtime()?;
    let (mut resident, mut answered, mut failures) = (Vec::new(), 0, Vec::new());
    for _ in 0..scene.options.minutes as usize * MINUTE {
        let came = runtime.block_on(load.run(Pace::Closed, SLICE, usize::MAX))?;
        answered += came.answered;
        failures.extend(came.failures);
        resident.push(server.resident_kib().context("the server's memory")? as f64 / 1024.0);
    }
    let case = format!("mixed load, {}", Known::Epinions);
    // What is under way takes some memory, now more and now less: a quarter of a minute is one number.
    let after_first = &resident[MINUTE..MINUTE + QUARTER];
    let at_the_end = &resident[resident.len() - QUARTER..];
    report.figure(Figure::trials(&case, "resident after a minute", "MiB", after_first.to_vec()));
    report.figure(Figure::trials(&case, "resident at the end", "MiB", at_the_end.to_vec()));
    let growth = median(at_the_end) / median(after_first);
    let figure = Figure::single(&case, "at the end, by after a minute", "x", growth);
    report.figure(figure.with_target(Target::AtMost(MOST_GROWTH)));
    report.figure(Figure::single(&case, "resident, largest", "MiB", resident.iter().copied().fold(0.0, f64::max)));
    let evidence = format!("{answered} answers {}", failures.join("; "));
    report.check("every answer is the right one", failures.is_empty(), evidence);
    server.stop()?;
    Ok(())
}
