//! Part `http`: the same edges sent to `walkprint serve`, while others ask it.
//!
//! Questions come in an open loop at half the rate that the server gives when nobody sends anything; their times run from when they
//! were due. Each size of batch has a phase, in which events are sent as fast as they are acknowledged.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hyper::StatusCode;
use serde_json::{Value, json};
use walkprint_cluster::server::QueryRequest;
use walkprint_engine::events::{Event, Operation};
use walkprint_engine::query::Method;
use walkprint_engine::store::Store;

use super::Options;
use super::absorb::Prepared;
use super::streams::come_and_go;
use crate::figure::{Figure, Quantity, quantile};
use crate::graphs::random_sources;
use crate::report::{Report, Sheet, SheetRow};
use crate::serve::load::{Ask, Came, Connection, Load, Pace, runtime};
use crate::serve::program::Server;

/// Where events are sent to.
const EDGES: &str = "/v1/stores/g/edges";
/// Where it is told to absorb events.
const COMPACT: &str = "/v1/stores/g/compact";
/// Size of batches that come while events are absorbed.
const WHILE_ABSORBING: usize = 100;
/// Where questions are sent to.
const QUERY: &str = "/v1/stores/g/query";
/// Different questions.
const QUESTIONS: usize = 1_000;
/// The server is asked for so long before anything counts.
const WARM_UP: Duration = Duration::from_secs(2);
/// How long a sender waits that was told to.
const WAIT: Duration = Duration::from_millis(50);
/// Edges of which it is looked whether the next answer has them.
const LOOKED_AT: usize = 20;
/// So many results hold every neighbour of a source with at most [`MOST_NEIGHBOURS`].
const TOP: usize = 1_000;
const MOST_NEIGHBOURS: u64 = 50;

const RATE: Quantity = ("offered", "questions/s");
const P50: Quantity = ("p50 of questions", "ms");
const P99: Quantity = ("p99 of questions", "ms");
const LONGEST: Quantity = ("longest of questions", "ms");
const EVENTS: Quantity = ("events acknowledged", "events/s");
const MOVED_ON: Quantity = ("until the next generation", "s");
const POST: Quantity = ("median of POST", "ms");
const POST99: Quantity = ("p99 of POST", "ms");

/// What came of events that were sent.
#[derive(Default)]
struct Acknowledged {
    events: usize,
    seconds: f64,
    milliseconds: Vec<f64>,
    /// How often the sender was told to wait.
    waited: usize,
    /// The generation of the first acknowledgement, and how long it took until there was another one.
    generation: Option<u64>,
    moved_on: Option<f64>,
    failures: Vec<String>,
}

/// Sends events over HTTP while questions are asked.
///
/// # Errors
/// When the program, the graph or a server cannot be had.
pub(super) fn run(report: &mut Report, options: &Options) -> Result<()> {
    let program = options.program()?;
    let prepared = Prepared::make(report, options)?;
    let path = prepared.copy("served.wp")?;
    // It absorbs events when it is told to, so that phases do not have it by chance.
    let arguments = [format!("g={}", path.display()), "--compact-after=0".to_owned()];
    let server = Server::start(&program, &arguments)?;
    let runtime = runtime()?;
    let probe = Ask::post(EDGES, &json!({ "events": [] }))?;
    let (status, _) = runtime.block_on(async { Connection::open(server.address).await?.ask(&probe).await })?;
    if matches!(status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED) {
        report.note(format!("http: not measured, this server takes no events: POST {EDGES} is answered with {status}"));
        server.stop()?;
        return Ok(());
    }
    let asks = questions(&path, options.key)?;
    let load = Load { address: server.address, asks: asks.into(), connections: options.connections.into() };
    runtime.block_on(load.run(Pace::Closed, WARM_UP, usize::MAX))?;
    let closed = runtime.block_on(load.run(Pace::Closed, WARM_UP, usize::MAX))?;
    let rate = closed.answered as f64 / closed.seconds / 2.0;
    let (pace, time) = (Pace::Open(rate), Duration::from_secs(options.seconds.into()));
    let mut phases: Vec<(String, Came, Option<Acknowledged>)> = Vec::new();
    let ask_only = || runtime.block_on(load.run(pace, time, usize::MAX));
    phases.push(("before".to_owned(), ask_only()?, None));

    let looked_at = look(report, &runtime, &server, &path, &prepared)?;
    // What was looked at is there already, and would weigh 2.
    let held = &prepared.held[looked_at..];
    let mut events = come_and_go(held);
    for &size in &options.batches {
        let sent = async {
            tokio::join!(load.run(pace, time, usize::MAX), send(server.address, &mut events, size as usize, time))
        };
        let (came, acknowledged) = runtime.block_on(sent);
        phases.push((format!("batches of {size}"), came?, Some(acknowledged?)));
    }
    phases.push(("after".to_owned(), ask_only()?, None));
    let absorb = Ask::post(COMPACT, &json!({}))?;
    let sent = async {
        let (status, body) = Connection::open(server.address).await?.ask(&absorb).await?;
        ensure!(status.is_success(), "POST {COMPACT}: {status}, {}", String::from_utf8_lossy(&body));
        let sending = send(server.address, &mut events, WHILE_ABSORBING, time);
        let (came, acknowledged) = tokio::join!(load.run(pace, time, usize::MAX), sending);
        Ok::<_, anyhow::Error>((came?, acknowledged?))
    };
    let (came, acknowledged) = runtime.block_on(sent)?;
    phases.push((format!("it absorbs them, batches of {WHILE_ABSORBING}"), came, Some(acknowledged)));
    describe(report, options, rate, &phases);
    let complaints = server.complaints();
    report.check("the server complains of nothing", complaints.is_empty(), complaints.join("; "));
    server.stop()?;
    Ok(())
}

fn questions(path: &std::path::Path, key: u64) -> Result<Vec<Ask>> {
    let store = Store::open(path)?;
    let (graph, labels) = (store.graph()?, store.labels()?);
    let ask = |node| Ask::post(QUERY, &request(&labels.id(node)?, 10));
    random_sources(&graph, QUESTIONS, key)?.into_iter().map(ask).collect()
}

fn request(id: &str, top: usize) -> QueryRequest {
    QueryRequest { method: Some(Method::Combine), top: Some(top), ..QueryRequest::new([id.into()]) }
}

/// Sends single edges, and looks whether the next answer about the source has the target. Gives how many were sent.
fn look(
    report: &mut Report,
    runtime: &tokio::runtime::Runtime,
    server: &Server,
    path: &std::path::Path,
    prepared: &Prepared,
) -> Result<usize> {
    let store = Store::open(path)?;
    let (graph, labels) = (store.graph()?, store.labels()?);
    let (mut seen, mut missed, mut count) = (0, Vec::new(), 0);
    runtime.block_on(async {
        let mut connection = Connection::open(server.address).await?;
        for (from, to) in prepared.held.iter().take(LOOKED_AT) {
            count += 1;
            let event = Event::edge(Operation::Add, from, to);
            let (status, body) = connection.ask(&Ask::post(EDGES, &json!({ "events": [event] }))?).await?;
            let said = String::from_utf8_lossy(&body).into_owned();
            ensure!(status.is_success(), "POST {EDGES}: {status}, {said}");
            let source = labels.node(from)?;
            if source.is_some_and(|node| MOST_NEIGHBOURS < graph.degree(node)) {
                continue;
            }
            let (_, body) = connection.ask(&Ask::post(QUERY, &request(from, TOP))?).await?;
            let answer: Value = serde_json::from_slice(&body).context("an answer")?;
            let results = answer["results"].as_array().map(Vec::as_slice).unwrap_or_default();
            match results.iter().any(|result| result["id"] == to.as_str()) {
                true => seen += 1,
                false => missed.push(format!("{from} to {to}")),
            }
        }
        Ok::<_, anyhow::Error>(())
    })?;
    let evidence = format!("{seen} of {} {}", seen + missed.len(), missed.join(", "));
    report.check("an edge that is acknowledged is in the next answer", missed.is_empty() && 0 < seen, evidence);
    Ok(count)
}

/// Sends events for some time, each batch once the one before is acknowledged.
async fn send(
    address: SocketAddr,
    events: &mut impl Iterator<Item = Event>,
    size: usize,
    time: Duration,
) -> Result<Acknowledged> {
    let mut connection = Connection::open(address).await?;
    let mut acknowledged = Acknowledged::default();
    let began = Instant::now();
    while began.elapsed() < time && acknowledged.failures.len() < 5 {
        let batch: Vec<Event> = events.by_ref().take(size).collect();
        if batch.is_empty() {
            break;
        }
        let ask = Ask::post(EDGES, &json!({ "events": batch }))?;
        loop {
            let sent = Instant::now();
            let (status, body) = connection.ask(&ask).await?;
            match status {
                _ if status.is_success() => {
                    acknowledged.milliseconds.push(sent.elapsed().as_secs_f64() * 1e3);
                    acknowledged.events += batch.len();
                    let said: Value = serde_json::from_slice(&body).context("what was said of events")?;
                    let generation = said["generation"].as_u64();
                    if acknowledged.generation.is_none() {
                        acknowledged.generation = generation;
                    } else if acknowledged.generation != generation && acknowledged.moved_on.is_none() {
                        acknowledged.moved_on = Some(began.elapsed().as_secs_f64());
                    }
                    break;
                }
                StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE if began.elapsed() < time => {
                    acknowledged.waited += 1;
                    tokio::time::sleep(WAIT).await;
                }
                _ => {
                    let said: String = String::from_utf8_lossy(&body).chars().take(300).collect();
                    acknowledged.failures.push(format!("{status}, {said}"));
                    break;
                }
            }
        }
    }
    acknowledged.seconds = began.elapsed().as_secs_f64();
    Ok(acknowledged)
}

fn describe(report: &mut Report, options: &Options, rate: f64, phases: &[(String, Came, Option<Acknowledged>)]) {
    let (mut rows, mut failures) = (Vec::new(), Vec::new());
    for (name, came, acknowledged) in phases {
        let case = format!("over HTTP, {}: {name}", options.graph);
        let mut figure = |(name, unit): Quantity, value| report.figure(Figure::single(&case, name, unit, value));
        figure(RATE, rate);
        for (quantity, share) in [(P50, 0.5), (P99, 0.99), (LONGEST, 1.0)] {
            if !came.latencies.is_empty() {
                figure(quantity, quantile(&came.latencies, share));
            }
        }
        if let Some(of) = acknowledged {
            figure(EVENTS, of.events as f64 / of.seconds);
            for (quantity, share) in [(POST, 0.5), (POST99, 0.99)] {
                if !of.milliseconds.is_empty() {
                    figure(quantity, quantile(&of.milliseconds, share));
                }
            }
            if let Some(seconds) = of.moved_on {
                figure(MOVED_ON, seconds);
            }
            if of.waited != 0 {
                report.note(format!("{case}: told to wait {} times", of.waited));
            }
            failures.extend(of.failures.iter().map(|what| format!("{name}: {what}")));
        }
        failures.extend(came.failures.iter().map(|what| format!("{name}: {what}")));
        rows.push(SheetRow { case, name: name.clone(), words: Vec::new(), ours: acknowledged.is_some() });
    }
    report.sheets.push(Sheet {
        title: format!("{}: questions while events come over HTTP", options.graph),
        caption: format!("combine, top 10, {} connections, {} s a phase.", options.connections, options.seconds),
        rows,
        word_columns: Vec::new(),
        columns: vec![RATE, P50, P99, LONGEST, EVENTS, POST, POST99, MOVED_ON],
        folded: false,
    });
    let answered: usize = phases.iter().map(|(_, came, _)| came.answered).sum();
    let evidence = format!("{answered} questions; {}", failures.join("; "));
    report.check("every question and every event is taken", failures.is_empty(), evidence);
}
