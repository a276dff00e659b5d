//! Part `tenants`: thousands of small stores in one directory, of which only some may be open, and names that try to lead elsewhere.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use hyper::StatusCode;
use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::Scene;
use super::load::{Ask, Connection, runtime};
use super::program::Server;
use super::stores::copy;
use crate::figure::{Figure, quantile};
use crate::report::Report;

/// Stores, of which a few are different; the others are copies of them under names of their own.
const STORES: usize = 3_000;
const DIFFERENT: usize = 20;
/// The most that stay open.
const OPEN: usize = 64;
/// Nodes and edges of a store.
const NODES: u64 = 200;
const EDGES: u64 = 1_000;
/// Passes over all stores, after the first.
const PASSES: usize = 2;
/// Connections.
const CONNECTIONS: usize = 8;
/// File descriptors that a server has beside those of its stores and connections: streams, sockets, what tokio listens with.
const OTHER_DESCRIPTORS: usize = 32;

/// Names that no tenant has, and that must not lead anywhere.
const HOSTILE: [&str; 14] = [
    "..",
    "%2e%2e",
    "..%2foutside",
    "%2e%2e%2foutside",
    "..%2foutside.wp",
    "t0%2f..%2f..%2foutside",
    "..%5coutside",
    "outside",
    "t0%00",
    ".%2ft0",
    "t0.wp",
    "%20t0",
    "-t0",
    "t0%2f",
];

/// A node that only stores of this kind have, by which it is told which store answered: the seed's heaviest edge leads there.
fn landmark(store: usize) -> String {
    format!("only-{}", store % DIFFERENT)
}

/// Makes all stores below a directory, and one beside it that must not be reached.
fn make(scene: &Scene<'_>, place: &Path) -> Result<()> {
    let walkprint = |words: &[&str]| -> Result<()> {
        let output = std::process::Command::new(&scene.program).args(words).current_dir(place).output();
        let output = output.context("could not run walkprint")?;
        ensure!(output.status.success(), "walkprint {}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr));
        Ok(())
    };
    std::fs::create_dir(place.join("tenants")).context("could not make a directory")?;
    for number in 0..DIFFERENT {
        let mut numbers = SplitMix64::seed_from_u64(scene.options.key ^ number as u64);
        let mut text = format!("seed\t{}\t1000\n", landmark(number));
        for _ in 0..EDGES {
            writeln!(text, "n{}\tn{}\t1", numbers.next_u64() % NODES, numbers.next_u64() % NODES)?;
        }
        writeln!(text, "{}\tn0\t1\nseed\tn1\t1", landmark(number))?;
        std::fs::write(place.join("edges.tsv"), text).context("could not write edges")?;
        let store = format!("tenants/t{number}.wp");
        walkprint(&["load", "edges.tsv", "--into", &store])?;
        walkprint(&["index", &store, "--workers", "1"])?;
    }
    for number in DIFFERENT..STORES {
        let from = place.join(format!("tenants/t{}.wp", number % DIFFERENT));
        copy(&from, &place.join(format!("tenants/t{number}.wp")))?;
    }
    copy(&place.join("tenants/t0.wp"), &place.join("outside.wp"))
}

/// What a pass over stores gave.
#[derive(Default)]
struct Pass {
    milliseconds: Vec<f64>,
    wrong: Vec<String>,
}

/// Asks stores in an order, from several connections. An answer must come from the store that was asked.
fn pass(server: &Server, order: &[usize]) -> Result<Pass> {
    runtime()?.block_on(async {
        let mut tasks = JoinSet::new();
        for part in order.chunks(order.len().div_ceil(CONNECTIONS)).map(<[usize]>::to_vec) {
            let mut connection = Connection::open(server.address).await?;
            tasks.spawn(async move {
                let mut pass = Pass::default();
                for store in part {
                    let body = json!({ "seeds": ["seed"], "top": 5 });
                    let ask = Ask::post(&format!("/v1/stores/t{store}/query"), &body)?;
                    let began = Instant::now();
                    let (status, answer) = connection.ask(&ask).await?;
                    pass.milliseconds.push(began.elapsed().as_secs_f64() * 1e3);
                    let answer: Value = serde_json::from_slice(&answer)?;
                    let mut results = answer["results"].as_array().into_iter().flatten();
                    let is_own = results.any(|result| result["id"] == landmark(store).as_str());
                    if status != StatusCode::OK || !is_own {
                        pass.wrong.push(format!("t{store}: {status} {answer}"));
                    }
                }
                Ok::<_, anyhow::Error>(pass)
            });
        }
        let mut all = Pass::default();
        while let Some(of_one) = tasks.join_next().await {
            let Pass { milliseconds, wrong } = of_one.context("a connection of the generator failed")??;
            all.milliseconds.extend(milliseconds);
            all.wrong.extend(wrong);
        }
        Ok(all)
    })
}

/// The numbers of all stores in an order by key.
fn shuffled(key: u64) -> Vec<usize> {
    let mut numbers = SplitMix64::seed_from_u64(key);
    let mut order: Vec<(u64, usize)> = (0..STORES).map(|store| (numbers.next_u64(), store)).collect();
    order.sort_unstable();
    order.into_iter().map(|(_, store)| store).collect()
}

async fn get(connection: &mut Connection, path: &str) -> Result<(StatusCode, String)> {
    let (status, body) = connection.ask(&Ask::get(path)?).await?;
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

/// Names of stores as the server lists them, page by page.
async fn listed(connection: &mut Connection) -> Result<usize> {
    let (mut count, mut after) = (0, String::new());
    loop {
        let path = if after.is_empty() {
            "/v1/stores?limit=1000".to_owned()
        } else {
            format!("/v1/stores?limit=1000&after={after}")
        };
        let (_, body) = get(connection, &path).await?;
        let page: Value = serde_json::from_str(&body)?;
        let stores = page["stores"].as_array().context("a list of stores")?;
        count += stores.len();
        match stores.last().and_then(|store| store["name"].as_str()) {
            Some(last) if page["more"] == true => after = last.to_owned(),
            _ => return Ok(count),
        }
    }
}

/// Thousands of small stores, opened on demand.
///
/// # Errors
/// When stores cannot be made or the server does not answer.
pub(super) fn run(report: &mut Report, scene: &Scene<'_>) -> Result<()> {
    let place = tempfile::tempdir().context("could not make a temporary directory")?;
    eprintln!("making {STORES} stores");
    make(scene, place.path())?;
    let open = OPEN.to_string();
    let arguments = [place.path().join("tenants").display().to_string(), "--open-stores".to_owned(), open];
    let began = Instant::now();
    let server = Server::start(&scene.program, &arguments)?;
    let case = format!("{STORES} stores, {OPEN} open");
    report.figure(Figure::single(&case, "start", "ms", began.elapsed().as_secs_f64() * 1e3));
    let resident = |server: &Server| Ok::<_, anyhow::Error>(server.resident_kib().context("memory")? as f64 / 1024.0);
    let mut wrong = Vec::new();
    let (mut memory, mut descriptors) = (Vec::new(), Vec::new());
    let mut look = |report: &mut Report, name: (&'static str, &'static str), order: &[usize]| {
        let Pass { milliseconds, wrong: of_pass } = pass(&server, order)?;
        report.figure(Figure::single(&case, name.0, "ms", quantile(&milliseconds, 0.5)));
        report.figure(Figure::single(&case, name.1, "ms", quantile(&milliseconds, 0.99)));
        wrong.extend(of_pass);
        memory.push(resident(&server)?);
        descriptors.push(server.descriptors().context("file descriptors")?);
        Ok::<_, anyhow::Error>(())
    };
    let key = scene.options.key;
    look(report, ("first answer of each, p50", "first answer of each, p99"), &shuffled(key))?;
    for pass in 1..=PASSES as u64 {
        look(report, ("asked again, p50", "asked again, p99"), &shuffled(key + pass))?;
    }
    // One tenant in a hundred asks nine times in ten: its store stays open.
    let mut numbers = SplitMix64::seed_from_u64(key);
    let few = |numbers: &mut SplitMix64| match numbers.next_u64() % 10 {
        0 => numbers.next_u64() % STORES as u64,
        _ => numbers.next_u64() % (STORES / 100) as u64,
    };
    let busy = (0..3 * STORES).map(|_| Ok(usize::try_from(few(&mut numbers))?)).collect::<Result<Vec<_>>>()?;
    look(report, ("few ask often, p50", "few ask often, p99"), &busy)?;
    let (first, last) = (memory[0], memory.iter().copied().fold(0.0, f64::max));
    report.figure(Figure::single(&case, "resident after the first pass", "MiB", first));
    report.figure(Figure::single(&case, "resident, largest", "MiB", last));
    let most = descriptors.iter().copied().max().unwrap_or(0);
    report.figure(Figure::single(&case, "file descriptors, most", "", most as f64));
    let asked = (1 + PASSES + 3) * STORES;
    let evidence = format!("{asked} requests, {} wrong {:?}", wrong.len(), wrong.iter().take(3).collect::<Vec<_>>());
    report.check("everybody gets answers of her own store", wrong.is_empty(), evidence);
    let bound = OTHER_DESCRIPTORS + CONNECTIONS + OPEN;
    report.check("file descriptors are bounded", most <= bound, format!("at most {most}, bound {bound}"));
    let (health, count, numbers, elsewhere) = runtime()?.block_on(async {
        let mut connection = Connection::open(server.address).await?;
        let (_, health) = get(&mut connection, "/healthz").await?;
        let count = listed(&mut connection).await?;
        let (_, numbers) = get(&mut connection, "/metrics").await?;
        let mut elsewhere = Vec::new();
        for name in HOSTILE {
            let (status, body) = get(&mut connection, &format!("/v1/stores/{name}")).await?;
            if !matches!(status, StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST) {
                elsewhere.push(format!("{name}: {status} {body}"));
            }
        }
        Ok::<_, anyhow::Error>((health, count, numbers, elsewhere))
    })?;
    let open_now = serde_json::from_str::<Value>(&health)?["open_stores"].as_u64();
    let is_bounded = open_now.is_some_and(|open| open <= OPEN as u64);
    report.check("no more stores are open than may be", is_bounded, format!("{open_now:?} of {OPEN}"));
    report.check("all stores are listed", count == STORES, format!("{count} in pages"));
    let told = numbers.lines().filter(|line| line.starts_with("walkprint_store_generation{")).count();
    report.check("metrics are of open stores only", told <= OPEN, format!("{told} generations"));
    let names = format!("{} names {}", HOSTILE.len(), elsewhere.join("; "));
    report.check("hostile names lead nowhere", elsewhere.is_empty(), names);
    let complaints = server.complaints();
    report.check("the server complains of nothing", complaints.is_empty(), complaints.join("; "));
    server.stop()?;
    Ok(())
}
