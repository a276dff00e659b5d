//! Part `generations`: new generations are published while everybody asks, and a broken one.
//!
//! Two stores are served. Of `g` the index is built anew again and again, which look-ups and `combine` go on through; of `h` the graph
//! is loaded anew, changed, and has no index for a moment, which questions without a method go on through. Once a generation of `g`
//! comes with a flipped bit. **Every answer names its generation, and is compared with what the engine here says of that generation.**

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use hyper::StatusCode;
use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use serde_json::Value;
use tokio::task::JoinSet;
use walkprint_engine::query::Method;
use walkprint_engine::store::MANIFEST;
use xxhash_rust::xxh3::xxh3_64;

use super::Scene;
use super::load::{Ask, Connection, runtime};
use super::program::Server;
use super::stores::{copy, files};
use super::truth::{Single, Truth, comparable};
use crate::figure::Figure;
use crate::known_graphs::Known;
use crate::report::Report;

/// Different questions about each store.
const QUESTIONS: usize = 150;
/// Nodes of the graph that changes, and edges that leave each.
const NODES: u64 = 5_000;
const EDGES: u64 = 6;
/// The server looks for new generations once a second; after so long it must have seen one.
const NOTICED_WITHIN: Duration = Duration::from_secs(20);
/// How long the last generation is asked.
const ASKED_ON: Duration = Duration::from_secs(3);
/// How often it is looked whether it has.
const LOOK: Duration = Duration::from_millis(5);

/// What happens, evenly over the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    /// The index of `g` is built anew with another key.
    Rebuilt,
    /// The graph of `h` is loaded anew, changed; then its index is built.
    Reloaded,
    /// A generation of `g` with a flipped bit.
    Broken,
}

const EVENTS: [Event; 7] =
    [Event::Rebuilt, Event::Rebuilt, Event::Reloaded, Event::Rebuilt, Event::Broken, Event::Rebuilt, Event::Rebuilt];

/// A question, and the store that it is about.
struct Asked {
    store: &'static str,
    single: Single,
    ask: Ask,
}

/// What came, by question and generation: digests of answers without what differs from one time to the next.
#[derive(Default)]
struct Heard {
    answered: usize,
    digests: BTreeMap<(usize, u64), BTreeSet<u64>>,
    /// When the first answer of a generation of a store came.
    first: BTreeMap<(&'static str, u64), Instant>,
    longest: Duration,
    failures: Vec<String>,
    /// Answers of an older generation than one before on the same connection.
    back: usize,
}

impl Heard {
    fn add(&mut self, other: Heard) {
        self.answered += other.answered;
        for (key, digests) in other.digests {
            self.digests.entry(key).or_default().extend(digests);
        }
        for (key, at) in other.first {
            let first = self.first.entry(key).or_insert(at);
            *first = at.min(*first);
        }
        self.longest = self.longest.max(other.longest);
        self.failures.extend(other.failures);
        self.back += other.back;
    }

    fn note(&mut self, number: usize, asked: &Asked, body: &[u8], newest: &mut BTreeMap<&'static str, u64>) {
        let (text, generation) = match comparable(body) {
            Ok((text, Some(generation))) => (text, generation),
            Ok((_, None)) => return self.failures.push(format!("{:?}: it names no generation", asked.single)),
            Err(error) => return self.failures.push(format!("{:?}: {error:#}", asked.single)),
        };
        self.digests.entry((number, generation)).or_default().insert(xxh3_64(text.as_bytes()));
        self.first.entry((asked.store, generation)).or_insert_with(Instant::now);
        let newest = newest.entry(asked.store).or_default();
        self.back += usize::from(generation < *newest);
        *newest = generation.max(*newest);
    }
}

/// One connection, until all is done.
async fn one(
    mut connection: Connection,
    address: SocketAddr,
    asked: Arc<[Asked]>,
    next: Arc<AtomicUsize>,
    done: Arc<AtomicBool>,
) -> Heard {
    let (mut heard, mut newest) = (Heard::default(), BTreeMap::new());
    while !done.load(Ordering::Relaxed) {
        let number = next.fetch_add(1, Ordering::Relaxed) % asked.len();
        let one = &asked[number];
        let began = Instant::now();
        match connection.ask(&one.ask).await {
            Ok((StatusCode::OK, body)) => {
                heard.answered += 1;
                heard.longest = heard.longest.max(began.elapsed());
                heard.note(number, one, &body, &mut newest);
            }
            Ok((status, body)) => {
                let said: String = String::from_utf8_lossy(&body).chars().take(300).collect();
                heard.failures.push(format!("{:?}: {status}, {said}", one.single));
            }
            Err(error) => {
                heard.failures.push(format!("{:?}: {error:#}", one.single));
                match Connection::open(address).await {
                    Ok(another) => connection = another,
                    Err(_) => return heard,
                }
            }
        }
    }
    heard
}

/// Asks from `connections` connections until all is done.
fn ask_all(address: SocketAddr, connections: usize, asked: &Arc<[Asked]>, done: &Arc<AtomicBool>) -> Result<Heard> {
    runtime()?.block_on(async {
        let next = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        for _ in 0..connections {
            let connection = Connection::open(address).await?;
            tasks.spawn(one(connection, address, Arc::clone(asked), Arc::clone(&next), Arc::clone(done)));
        }
        let mut heard = Heard::default();
        while let Some(of_one) = tasks.join_next().await {
            heard.add(of_one.context("a connection of the generator failed")?);
        }
        Ok(heard)
    })
}

/// Who publishes, and what there was.
struct Publisher<'s> {
    scene: &'s Scene<'s>,
    place: PathBuf,
    /// What each generation answers; it outlives the files' names.
    truths: BTreeMap<(&'static str, u64), Truth>,
    published: Vec<(&'static str, u64, Instant)>,
    key: u64,
}

impl Publisher<'_> {
    fn path(&self, store: &str) -> PathBuf {
        self.place.join(format!("{store}.wp"))
    }

    fn walkprint(&self, words: &[&str]) -> Result<()> {
        let output = Command::new(&self.scene.program).args(words).current_dir(&self.place).output();
        let output = output.with_context(|| format!("could not run walkprint {}", words.join(" ")))?;
        ensure!(output.status.success(), "walkprint {}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// Notes a generation that has just been published.
    fn note(&mut self, store: &'static str) -> Result<()> {
        let truth = Truth::open(&self.path(store))?;
        self.published.push((store, truth.generation, Instant::now()));
        self.truths.insert((store, truth.generation), truth);
        Ok(())
    }

    fn rebuild(&mut self, store: &'static str) -> Result<()> {
        self.key += 1;
        let (path, key) = (format!("{store}.wp"), self.key.to_string());
        self.walkprint(&["index", &path, "--rng-key", &key, "--replace", "--workers", "1"])?;
        self.note(store)
    }

    /// Loads a graph that is like the one before, with other edges.
    fn reload(&mut self) -> Result<()> {
        self.key += 1;
        let mut numbers = SplitMix64::seed_from_u64(self.key);
        let mut text = String::new();
        for source in 0..NODES {
            for _ in 0..EDGES {
                let (target, weight) = (numbers.next_u64() % NODES, 1 + numbers.next_u64() % 8);
                writeln!(text, "{source}\t{target}\t{weight}")?;
            }
        }
        std::fs::write(self.place.join("edges.tsv"), text).context("could not write edges")?;
        self.walkprint(&["load", "edges.tsv", "--into", "h.wp", "--replace"])?;
        self.note("h")
    }

    /// Publishes a generation whose segment has a flipped bit from the beginning: it is built in a copy, and moved in.
    fn publish_broken(&mut self) -> Result<()> {
        self.key += 1;
        let key = self.key.to_string();
        let (live, aside) = (self.path("g"), self.path("aside"));
        copy(&live, &aside)?;
        self.walkprint(&["index", "aside.wp", "--rng-key", &key, "--replace", "--workers", "1"])?;
        let (old, new) = (files(&live)?, files(&aside)?);
        let mut broken = 0;
        for (name, bytes) in new.iter().filter(|(name, bytes)| old.get(*name) != Some(*bytes)) {
            if name == Path::new(MANIFEST) {
                continue;
            }
            let mut bytes = bytes.clone();
            if broken == 0 && name.extension().is_some_and(|kind| kind == "wps") {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                broken += 1;
            }
            let to = live.join(name);
            std::fs::create_dir_all(to.parent().context("a file lies in a directory")?)?;
            std::fs::write(&to, bytes).with_context(|| format!("{}: could not write", to.display()))?;
        }
        ensure!(broken == 1, "the new generation has no segment to break");
        let manifest = live.join(MANIFEST);
        std::fs::rename(aside.join(MANIFEST), &manifest)
            .with_context(|| format!("{}: could not move in", manifest.display()))?;
        std::fs::remove_dir_all(&aside).context("could not remove a copy")
    }
}

/// What the server says of a broken generation.
struct Refusal {
    in_log: String,
    ready: String,
    old_goes_on: bool,
}

fn refusal(server: &Server, goes_on: u64) -> Result<Refusal> {
    let began = Instant::now();
    let in_log = loop {
        if let Some(line) = server.said().into_iter().find(|line| line.contains("refused a new generation")) {
            break line;
        }
        if NOTICED_WITHIN < began.elapsed() {
            bail!("the server has not noticed a broken generation: {}", server.said().join("; "));
        }
        std::thread::park_timeout(LOOK);
    };
    let ask = Ask::get("/readyz")?;
    let (status, body) = runtime()?.block_on(async { Connection::open(server.address).await?.ask(&ask).await })?;
    let ready: Value = serde_json::from_slice(&body).context("/readyz")?;
    let of_g = ready["stores"].as_array().into_iter().flatten().find(|store| store["name"] == "g");
    let old_goes_on = status == StatusCode::OK
        && of_g.is_some_and(|store| store["generation"] == goes_on && store["refused"]["why"].is_string());
    Ok(Refusal { in_log, ready: ready.to_string(), old_goes_on })
}

fn asked(truth: &Truth, store: &'static str, methods: &[Method], key: u64) -> Result<Vec<Asked>> {
    let mut asked = Vec::new();
    for (number, single) in truth.singles(Method::Auto, 10, QUESTIONS, key)?.into_iter().enumerate() {
        let single = Single { method: methods[number % methods.len()], ..single };
        let ask = Ask::post(&format!("/v1/stores/{store}/query"), &single.request())?;
        asked.push(Asked { store, single, ask });
    }
    Ok(asked)
}

/// New generations under load.
///
/// # Errors
/// When a store cannot be had, nothing can be published, or the server does not answer.
pub(super) fn run(report: &mut Report, scene: &Scene<'_>) -> Result<()> {
    let place = tempfile::tempdir().context("could not make a temporary directory")?;
    copy(&scene.stores.of(Known::WordNet)?, &place.path().join("g.wp"))?;
    let key = scene.options.key;
    let (truths, published) = (BTreeMap::new(), Vec::new());
    let mut publisher = Publisher { scene, place: place.path().to_owned(), truths, published, key };
    publisher.note("g")?;
    publisher.reload()?;
    publisher.rebuild("h")?;
    let first = publisher.published.len();
    let newest = |publisher: &Publisher<'_>, store| Truth::open(&publisher.path(store));
    let (g, h) = (newest(&publisher, "g")?, newest(&publisher, "h")?);
    let asked: Arc<[Asked]> = [
        asked(&g, "g", &[Method::Lookup, Method::Combine, Method::Lookup, Method::Auto], key)?,
        asked(&h, "h", &[Method::Auto], key)?,
    ]
    .into_iter()
    .flatten()
    .collect();
    let server = Server::start(&scene.program, &["g", "h"].map(|store| publisher.path(store)))?;
    let done = Arc::new(AtomicBool::new(false));
    let began = Instant::now();
    let time = Duration::from_secs(scene.options.under_load.into());
    let step = time / u32::try_from(EVENTS.len() + 1)?;
    let connections = scene.options.connections.into();
    let (heard, refusal) = std::thread::scope(|scope| {
        let clients = scope.spawn(|| ask_all(server.address, connections, &asked, &done));
        let told = publish(&mut publisher, &server, began, step).and_then(|told| {
            wait_until(began + time);
            wait_for(&publisher, &server)?;
            Ok(told)
        });
        done.store(true, Ordering::Relaxed);
        let heard = clients.join().map_err(|_| anyhow::anyhow!("the generator failed"))??;
        Ok::<_, anyhow::Error>((heard, told?))
    })?;
    let seconds = began.elapsed().as_secs_f64();
    let complaints = server.complaints();
    server.stop()?;
    let Heard { answered, digests, first: firsts, longest, failures, back } = heard;
    let case = "under load, WordNet and a graph that changes";
    report.figure(Figure::single(case, "answers", "requests/s", answered as f64 / seconds));
    report.figure(Figure::single(case, "longest", "ms", longest.as_secs_f64() * 1e3));
    let after = |(store, generation, at): &(&'static str, u64, Instant)| {
        Some(firsts.get(&(*store, *generation))?.saturating_duration_since(*at).as_secs_f64() * 1e3)
    };
    let new: Vec<&(&'static str, u64, Instant)> = publisher.published.iter().skip(first).collect();
    let waits: Vec<f64> = new.iter().filter_map(|published| after(published)).collect();
    if !waits.is_empty() {
        report.figure(Figure::trials(case, "from publication to the first answer", "ms", waits));
    }
    let told: Vec<&String> = failures.iter().take(5).collect();
    let count = failures.len();
    report.check("no request fails", failures.is_empty(), format!("{answered} answers, {count} failed {told:?}"));
    let generations: Vec<String> = new.iter().map(|(store, number, _)| format!("{store} {number}")).collect();
    let rebuilt: Vec<_> = new.iter().filter(|(store, ..)| *store == "g").collect();
    let all_answered = rebuilt.iter().all(|(store, number, _)| firsts.contains_key(&(*store, *number)));
    report.check("every new generation answered", all_answered && rebuilt.len() == 5, generations.join(", "));
    let compared = compare(&publisher, &asked, &digests);
    let evidence = match &compared {
        Ok(count) => format!("{answered} answers, of {count} pairs of a question and a generation"),
        Err(error) => format!("{error:#}"),
    };
    report.check("every answer is, bit for bit, of the generation that it names", compared.is_ok(), evidence);
    report.check("no connection goes back to an older generation", back == 0, format!("{back} answers"));
    let Refusal { in_log, ready, old_goes_on } = refusal;
    report.check("the broken generation is refused, in the log and /readyz", old_goes_on, format!("{in_log}; {ready}"));
    report.check("the server complains of nothing else", complaints.is_empty(), complaints.join("; "));
    Ok(())
}

fn wait_until(time: Instant) {
    while Instant::now() < time {
        std::thread::park_timeout(time.saturating_duration_since(Instant::now()));
    }
}

/// Waits until the server has moved on to what was published last, and has been asked some more.
fn wait_for(publisher: &Publisher<'_>, server: &Server) -> Result<()> {
    let began = Instant::now();
    let last = publisher.published.iter().rev().find(|(store, ..)| *store == "g").context("a generation")?.1;
    let ask = Ask::get("/v1/stores/g")?;
    loop {
        let (_, body) = runtime()?.block_on(async { Connection::open(server.address).await?.ask(&ask).await })?;
        let store: Value = serde_json::from_slice(&body).context("what the store holds")?;
        if store["generation"] == last || NOTICED_WITHIN < began.elapsed() {
            break;
        }
        std::thread::park_timeout(LOOK);
    }
    wait_until(Instant::now() + ASKED_ON);
    Ok(())
}

/// Lets all events happen, one a step.
fn publish(publisher: &mut Publisher<'_>, server: &Server, began: Instant, step: Duration) -> Result<Refusal> {
    let mut told = None;
    for (number, event) in (1..).zip(EVENTS) {
        wait_until(began + step * number);
        match event {
            Event::Rebuilt => publisher.rebuild("g")?,
            Event::Reloaded => {
                publisher.reload()?;
                publisher.rebuild("h")?;
            }
            Event::Broken => {
                let goes_on = Truth::open(&publisher.path("g"))?.generation;
                publisher.publish_broken()?;
                told = Some(refusal(server, goes_on)?);
            }
        }
    }
    told.context("nothing broken was published")
}

/// Compares all that came with what the engine says. Gives how many pairs of a question and a generation there were.
fn compare(
    publisher: &Publisher<'_>,
    asked: &[Asked],
    digests: &BTreeMap<(usize, u64), BTreeSet<u64>>,
) -> Result<usize> {
    for (&(store, generation), truth) in &publisher.truths {
        let mut answerer = truth.answerer()?;
        for (&(number, of), got) in digests {
            let Asked { store: about, single, .. } = &asked[number];
            if (*about, of) != (store, generation) {
                continue;
            }
            let expected = xxh3_64(truth.expected(&mut answerer, single)?.as_bytes());
            ensure!(
                got.len() == 1 && got.contains(&expected),
                "{store}, generation {generation}, {single:?}: {} different answers, or not the engine's",
                got.len()
            );
        }
    }
    let unknown = digests.keys().find(|(number, of)| !publisher.truths.contains_key(&(asked[*number].store, *of)));
    ensure!(unknown.is_none(), "an answer names a generation that was not published whole: {unknown:?}");
    Ok(digests.len())
}
