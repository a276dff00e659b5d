//! Part `kills`, the server: `walkprint serve` takes events over HTTP, absorbs them in the background, and is killed in the middle of it.
//!
//! Here every acknowledgement is seen: whatever an answer has said of events must be in the store afterwards. What was not acknowledged is
//! sent again to the next server, under the same ids. At the end the store's files are those of a store that took everything
//! at once; only numbers of generations and of files are others.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use hyper::StatusCode;
use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use rustix::process::Signal;
use serde_json::{Value, json};
use walkprint_engine::events::Event;

use super::kills::{Job, Scene, Stream, kept};
use crate::figure::Figure;
use crate::report::Report;
use crate::serve::load::{Ask, Connection, runtime};
use crate::serve::program::Server;
use crate::serve::stores::{copy, files};

/// Events of a request.
const BATCH: usize = 10;
/// The longest that a server lives once it is ready.
const LONGEST: Duration = Duration::from_millis(800);
/// After so many events it begins to absorb them.
const COMPACT_AFTER: &str = "150";

/// Kills servers, again and again.
///
/// # Errors
/// When a server does not start, or the program fails undisturbed.
pub(super) fn run(report: &mut Report, scene: &Scene, pristine: &Path, kills: u32, stream: &mut Stream) -> Result<()> {
    let (served, quiet) = (scene.place.join("served.wp"), scene.place.join("at-once.wp"));
    copy(pristine, &served)?;
    let first = scene.next_events();
    let mut numbers = SplitMix64::seed_from_u64(u64::from(kills));
    let (mut acknowledged, mut problems, mut unacknowledged) = (0, Vec::new(), 0);
    for kill in 1..=kills {
        // There is always more to send than a server gets through.
        while stream.sent.len() < acknowledged + 20 * BATCH {
            scene.write_events(stream)?;
        }
        let arguments = [format!("g={}", served.display()), format!("--compact-after={COMPACT_AFTER}")];
        let server = Server::start(&scene.program, &arguments)?;
        let moment = LONGEST.mul_f64((numbers.next_u64() >> 11) as f64 / (1u64 << 53) as f64);
        let mut said = acknowledged;
        let sending = send(&server, &stream.sent, &mut said);
        let ended = runtime()?.block_on(async { tokio::time::timeout(moment, sending).await });
        server.signal(Signal::KILL)?;
        let (_, words) = server.ended()?;
        match ended {
            Ok(Ok(Some(status))) => {
                report.note(format!("kills: no server was killed, this one takes no events: {status}"));
                return Ok(());
            }
            Ok(Err(error)) => problems.push(format!("kill {kill}: {error:#}; {}", words.join("; "))),
            _ => {}
        }
        if let Err(error) = scene.verify(&served) {
            problems.push(format!("kill {kill}: {error:#}"));
        }
        match kept(&served, &stream.sent) {
            Ok(kept) if kept < said => problems.push(format!("kill {kill}: {said} acknowledged, {kept} kept")),
            Ok(kept) => unacknowledged += kept - said,
            Err(error) => problems.push(format!("kill {kill}: {error:#}")),
        }
        acknowledged = said;
    }
    copy(pristine, &quiet)?;
    for number in first..scene.next_events() {
        scene.run(Job::Update, &served, number)?;
        scene.run(Job::Update, &quiet, number)?;
    }
    // Once more, so that what a kill left beside what counts is swept away.
    scene.write_events(stream)?;
    for path in [&served, &quiet] {
        scene.run(Job::Compact, path, 0)?;
        scene.run(Job::Update, path, scene.next_events() - 1)?;
        scene.run(Job::Compact, path, 0)?;
    }
    let (got, expected) = (contents(&served)?, contents(&quiet)?);
    let differ: Vec<&String> =
        got.keys().chain(expected.keys()).filter(|name| got.get(*name) != expected.get(*name)).collect();
    let case = "walkprint serve, killed";
    report.figure(Figure::single(case, "kills", "", f64::from(kills)));
    report.figure(Figure::single(case, "acknowledged", "events", acknowledged as f64));
    report.figure(Figure::single(case, "kept and not acknowledged", "events", unacknowledged as f64));
    let evidence = format!("{kills} kills, {acknowledged} events acknowledged; {}", problems.join("; "));
    report.check("a killed server has kept what it acknowledged, in a whole store", problems.is_empty(), evidence);
    let evidence = format!("{} files; {differ:?}", expected.len());
    report.check("in the end its files are those of a store that took all at once", differ.is_empty(), evidence);
    Ok(())
}

/// Sends what was not acknowledged, batch after batch; a status that ends it is given back.
async fn send(server: &Server, sent: &[Event], acknowledged: &mut usize) -> Result<Option<StatusCode>> {
    let mut connection = Connection::open(server.address).await?;
    while *acknowledged < sent.len() {
        let batch = &sent[*acknowledged..sent.len().min(*acknowledged + BATCH)];
        let ask = Ask::post("/v1/stores/g/edges", &json!({ "events": batch }))?;
        let (status, body) = connection.ask(&ask).await?;
        match status {
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => return Ok(Some(status)),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            _ => {
                let said: Value = serde_json::from_slice(&body).context("what was said of events")?;
                let sequence = said["sequence"].as_u64().with_context(|| format!("{status}: {said}"))?;
                *acknowledged = usize::try_from(sequence)?;
            }
        }
    }
    Ok(None)
}

/// The files that a generation consists of, by what they are rather than by their numbers.
fn contents(store: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let plain = |name: &Path| {
        let name = name.display().to_string();
        let (directory, file) = name.split_once('/').unwrap_or((&name, ""));
        format!("{}/{file}", directory.replace(|letter: char| letter.is_ascii_digit(), ""))
    };
    let counts = |name: &PathBuf| {
        let name = name.display().to_string();
        !name.ends_with("lock") && !name.ends_with(".wpm") && !name.ends_with(".wpe")
    };
    let found = files(store)?;
    Ok(found.into_iter().filter(|(name, _)| counts(name)).map(|(name, bytes)| (plain(&name), bytes)).collect())
}
