//! Part `stop`: the server is told to stop, or killed, while many requests are under way.
//!
//! Requests are costly, so that many wait or are answered at any moment. Of each it is known when it was sent: one that the server has had
//! for some time must be answered when it is told to stop. Of one that was sent in the same moment nobody can know whether the server had it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use hyper::StatusCode;
use rustix::process::Signal;
use tokio::task::JoinSet;
use walkprint_engine::query::Method;
use xxhash_rust::xxh3::xxh3_128;

use super::Scene;
use super::load::{Ask, Connection, runtime};
use super::program::Server;
use super::stores::files;
use super::truth::Truth;
use crate::figure::{Figure, Target};
use crate::known_graphs::Known;
use crate::report::Report;

/// How often the server is stopped, and killed.
const ROUNDS: usize = 5;
/// Different questions.
const QUESTIONS: usize = 200;
/// The deadline that the server is given, in seconds.
const STOP_WITHIN: u32 = 20;
/// A request that was sent so long before the signal has reached the server.
const ARRIVED: Duration = Duration::from_millis(100);
/// Answers before the signal.
const BEFORE: usize = 30;
/// The longest that those may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is looked whether they have come.
const LOOK: Duration = Duration::from_millis(2);

/// When a request was sent, and when its answer came, if it came.
type Asked = (Instant, Option<Instant>);

/// Asks on one connection until it ends.
async fn one(
    mut connection: Connection,
    asks: Arc<[Ask]>,
    next: Arc<AtomicUsize>,
    answered: Arc<AtomicUsize>,
) -> (Vec<Asked>, usize) {
    let (mut asked, mut wrong) = (Vec::new(), 0);
    loop {
        let ask = &asks[next.fetch_add(1, Ordering::Relaxed) % asks.len()];
        let sent = Instant::now();
        match connection.ask(ask).await {
            Ok((status, _)) => {
                asked.push((sent, Some(Instant::now())));
                wrong += usize::from(status != StatusCode::OK);
                answered.fetch_add(1, Ordering::Relaxed);
            }
            Err(_) => {
                asked.push((sent, None));
                return (asked, wrong);
            }
        }
    }
}

/// Asks on many connections until all have ended. Gives all requests, and how many were answered wrongly.
fn ask_all(
    address: SocketAddr,
    connections: usize,
    asks: &Arc<[Ask]>,
    answered: &Arc<AtomicUsize>,
) -> Result<(Vec<Asked>, usize)> {
    runtime()?.block_on(async {
        let next = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        for _ in 0..connections {
            let connection = Connection::open(address).await?;
            tasks.spawn(one(connection, Arc::clone(asks), Arc::clone(&next), Arc::clone(answered)));
        }
        let (mut all, mut wrong) = (Vec::new(), 0);
        while let Some(of_one) = tasks.join_next().await {
            let (asked, wrongly) = of_one.context("a connection of the generator failed")?;
            all.extend(asked);
            wrong += wrongly;
        }
        Ok((all, wrong))
    })
}

/// What one end of a server was like.
struct End {
    code: Option<i32>,
    by_signal: Option<i32>,
    took: Duration,
    last_words: String,
    /// Requests that the server had when the signal was sent.
    had: usize,
    /// Those of them that were answered.
    answered: usize,
    wrong: usize,
}

/// Starts a server, lets everybody ask, and sends a signal.
fn end(scene: &Scene<'_>, store: &Path, asks: &Arc<[Ask]>, signal: Signal) -> Result<End> {
    let within = STOP_WITHIN.to_string();
    let arguments = [format!("g={}", store.display()), "--stop-within".to_owned(), within];
    let server = Server::start(&scene.program, &arguments)?;
    let (address, connections) = (server.address, scene.options.connections.into());
    let answered = Arc::new(AtomicUsize::new(0));
    let server = Mutex::new(Some(server));
    std::thread::scope(|scope| {
        let clients = scope.spawn(|| ask_all(address, connections, asks, &answered));
        let began = Instant::now();
        while answered.load(Ordering::Relaxed) < BEFORE && !clients.is_finished() && began.elapsed() < PATIENCE {
            std::thread::park_timeout(LOOK);
        }
        let server = server.lock().unwrap_or_else(PoisonError::into_inner).take().context("a server")?;
        let at = Instant::now();
        server.signal(signal)?;
        let (status, said) = server.ended()?;
        let took = at.elapsed();
        let (asked, wrong) = clients.join().map_err(|_| anyhow!("the generator failed"))??;
        ensure!(BEFORE <= answered.load(Ordering::Relaxed), "the server did not answer: {}", said.join("; "));
        let had = |(sent, came): &&Asked| *sent + ARRIVED <= at && came.is_none_or(|came| at <= came);
        let had: Vec<&Asked> = asked.iter().filter(had).collect();
        Ok(End {
            code: status.code(),
            by_signal: status.signal(),
            took,
            last_words: said.last().cloned().unwrap_or_default(),
            had: had.len(),
            answered: had.iter().filter(|(_, came)| came.is_some()).count(),
            wrong,
        })
    })
}

/// Digests of all files of a store.
fn digests(store: &Path) -> Result<BTreeMap<PathBuf, u128>> {
    Ok(files(store)?.into_iter().map(|(name, bytes)| (name, xxh3_128(&bytes))).collect())
}

/// Servers that are told to stop, and killed.
///
/// # Errors
/// When the store cannot be had or the server does not answer.
pub(super) fn run(report: &mut Report, scene: &Scene<'_>) -> Result<()> {
    let store = scene.stores.of(Known::Epinions)?;
    let singles = Truth::open(&store)?.singles(Method::Exact, 10, QUESTIONS, scene.options.key)?;
    let asks = singles.iter().map(|single| Ask::post("/v1/stores/g/query", &single.request()));
    let asks: Arc<[Ask]> = asks.collect::<Result<_>>()?;
    let before = digests(&store)?;
    let case = format!("exact, {}, {} connections", Known::Epinions, scene.options.connections);
    let ends = (0..ROUNDS).map(|_| end(scene, &store, &asks, Signal::TERM)).collect::<Result<Vec<_>>>()?;
    let seconds = ends.iter().map(|end| end.took.as_secs_f64()).collect();
    let figure = Figure::trials(&case, "from SIGTERM to the end", "s", seconds);
    report.figure(figure.with_target(Target::AtMost(STOP_WITHIN.into())));
    let under_way = ends.iter().map(|end| end.had as f64).collect();
    report.figure(Figure::trials(&case, "under way at SIGTERM", "requests", under_way));
    let (had, answered) = ends.iter().fold((0, 0), |(had, came), end| (had + end.had, came + end.answered));
    let wrong: usize = ends.iter().map(|end| end.wrong).sum();
    let evidence = format!("{answered} of {had} in {ROUNDS} rounds; {wrong} answers with another status than 200");
    report.check("SIGTERM: every request under way is answered", had == answered && 0 < had && wrong == 0, evidence);
    let well = ends.iter().all(|end| end.code == Some(0) && end.last_words == "walkprint: stopped");
    let codes: Vec<String> = ends.iter().map(|end| format!("{:?} {:?}", end.code, end.last_words)).collect();
    report.check("SIGTERM: exit code 0, nothing cut off", well, codes.join(", "));
    let mut killed = true;
    for _ in 0..ROUNDS {
        let end = end(scene, &store, &asks, Signal::KILL)?;
        killed &= end.by_signal == Some(Signal::KILL.as_raw()) && 0 < end.had;
    }
    report.check("SIGKILL ends it with requests under way", killed, format!("{ROUNDS} rounds"));
    let is_same = digests(&store)? == before;
    report.check("the store is byte for byte as before", is_same, format!("{} files", before.len()));
    let verify = Command::new(&scene.program).arg("verify").arg(&store).output().context("walkprint verify")?;
    let said = String::from_utf8_lossy(&verify.stdout).lines().last().unwrap_or_default().to_owned();
    report.check("walkprint verify finds no damage", verify.status.success(), said);
    Ok(())
}
