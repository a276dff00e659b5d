//! Part `same`: random requests to the server, and the same to `walkprint query --json`: the answers must have the same bits.
//!
//! Left out of the comparison are the time that an answer took and the store's name and generation, which only a server tells.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use hyper::StatusCode;
use hyper::body::Bytes;
use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use walkprint_cluster::server::AnswerBody;
use walkprint_engine::labels::Labels;
use walkprint_engine::store::Store;

use super::Scene;
use super::load::{Ask, Connection};
use super::program::Server;
use crate::figure::Figure;
use crate::known_graphs::Known;
use crate::report::Report;

/// Requests that are compared.
const REQUESTS: u64 = 500;
/// So many must be answered, and not refused alike by both.
const ANSWERED: u64 = REQUESTS * 3 / 4;
/// Types that nodes of WordNet get: their part of speech, which their ids have in the middle.
const SPEECH: [&str; 5] = ["n", "v", "a", "s", "r"];

/// A store that is asked, and what may be asked about it.
struct Subject {
    name: &'static str,
    path: PathBuf,
    labels: Labels,
    /// Whether it has types of nodes, and a second index `half` with restart probability 0.5.
    is_rich: bool,
}

impl Subject {
    fn open(name: &'static str, path: PathBuf, is_rich: bool) -> Result<Subject> {
        let labels = Store::open(&path)?.labels()?;
        Ok(Subject { name, path, labels, is_rich })
    }

    fn id(&self, numbers: &mut Numbers) -> Result<String> {
        let node = u32::try_from(numbers.below(self.labels.len() as u64))?;
        Ok(self.labels.id(node)?)
    }
}

/// Random numbers of one request.
struct Numbers(SplitMix64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0.next_u64() % bound
    }

    /// True once in so many times.
    fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.below(of.len() as u64)).unwrap_or_default()]
    }
}

/// A request, and what is typed for the same.
struct Asked {
    json: Value,
    typed: Vec<String>,
}

impl Asked {
    fn set(&mut self, name: &str, value: Value, words: &[&str]) {
        self.json[name] = value;
        self.typed.extend(words.iter().map(|word| (*word).to_owned()));
    }
}

/// Anything that may be asked.
fn anything(subject: &Subject, numbers: &mut Numbers) -> Result<Asked> {
    let mut asked = Asked { json: json!({}), typed: Vec::new() };
    let count = if numbers.once_in(10) { 20 + numbers.below(100) } else { 1 + numbers.below(5) };
    let mut seeds = Vec::new();
    for _ in 0..count {
        let id = subject.id(numbers)?;
        if numbers.once_in(2) {
            let weight = (1 + numbers.below(1000)) as f64 / 64.0;
            asked.typed.extend(["--seed".to_owned(), format!("{id}={weight}")]);
            seeds.push(json!({ "id": id, "weight": weight }));
        } else {
            asked.typed.extend(["--seed".to_owned(), id.clone()]);
            seeds.push(json!(id));
        }
    }
    asked.set("seeds", json!(seeds), &[]);
    let top = 1 + numbers.below(60);
    asked.set("top", json!(top), &["--top", &top.to_string()]);
    let method = numbers.one_of(&["auto", "lookup", "combine", "combine", "block", "exact"]);
    asked.set("method", json!(method), &["--method", method]);
    if !matches!(method, "lookup" | "exact") && numbers.once_in(3) {
        let precision = numbers.one_of(&[0.2, 0.02, 0.004]);
        asked.set("precision", json!(precision), &["--precision", &precision.to_string()]);
    }
    if method == "exact" && numbers.once_in(2) {
        asked.set("residual", json!(1e-6), &["--residual", "1e-6"]);
    }
    if numbers.once_in(2) {
        let dangling = numbers.one_of(&["restart", "drop", "self-loop", "uniform"]);
        asked.set("dangling", json!(dangling), &["--dangling", dangling]);
    }
    for (name, flag) in [("exclude_seeds", "--exclude-seeds"), ("exclude_neighbors", "--exclude-neighbors")] {
        if numbers.once_in(5) {
            asked.set(name, json!(true), &[flag]);
        }
    }
    shape(subject, numbers, &mut asked, method != "lookup")?;
    Ok(asked)
}

/// Filters and what else changes an answer's shape.
fn shape(subject: &Subject, numbers: &mut Numbers, asked: &mut Asked, is_pushed: bool) -> Result<()> {
    if numbers.once_in(6) {
        let power = numbers.below(5) as f64 / 4.0;
        if numbers.once_in(2) {
            asked.set("debias", json!(power), &["--debias", &power.to_string()]);
        } else {
            let words = ["--debias", &power.to_string(), "--debias-by", "degree"];
            asked.set("debias", json!({ "power": power, "by": "degree" }), &words);
        }
    }
    if numbers.once_in(10) {
        asked.set("min_support", json!(1), &["--min-support", "1"]);
    }
    if is_pushed && numbers.once_in(10) {
        asked.set("settle", json!(true), &["--settle"]);
    }
    if numbers.once_in(8) {
        let paths = 1 + numbers.below(5);
        asked.set("explain", json!({ "paths": paths }), &["--explain", "json", "--paths", &paths.to_string()]);
    }
    if numbers.once_in(5) {
        let id = format!("id:{}", subject.id(numbers)?);
        asked.set("exclude", json!([id]), &["--exclude", &id]);
    }
    if !subject.is_rich {
        return Ok(());
    }
    if numbers.once_in(5) {
        let (one, other) = (format!("type:{}", numbers.one_of(&SPEECH)), format!("type:{}", numbers.one_of(&SPEECH)));
        asked.set("only", json!([one, other]), &["--only", &one, "--only", &other]);
    }
    match numbers.below(6) {
        0 => asked.set("index", json!("half"), &["--index", "half"]),
        1 => asked.set("restart_prob", json!(0.5), &["--restart-prob", "0.5"]),
        _ => {}
    }
    Ok(())
}

/// WordNet with types of nodes and two indexes.
fn rich(scene: &Scene<'_>, place: &Path) -> Result<PathBuf> {
    let file = Known::WordNet.file().context("WordNet lies in a file")?.canonicalize()?;
    let file = file.to_str().context("a path in plain text")?;
    let store = scene.stores.of(Known::WordNet)?;
    let labels = Store::open(&store)?.labels()?;
    let mut kinds = "id,type\n".to_owned();
    for node in 0..u32::try_from(labels.len())? {
        let id = labels.id(node)?;
        let kind = id.rsplit('.').nth(1).unwrap_or("n").to_owned();
        kinds += &format!("{id:?},{kind}\n");
    }
    std::fs::write(place.join("kinds.csv"), kinds).context("could not write types")?;
    for words in [
        &["load", file, "--into", "rich.wp", "--node-types", "kinds.csv"][..],
        &["index", "rich.wp"],
        &["index", "rich.wp", "--name", "half", "--restart-prob", "0.5"],
    ] {
        let output = Command::new(&scene.program).args(words).current_dir(place).output();
        let output = output.context("could not run walkprint")?;
        ensure!(output.status.success(), "walkprint {}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr));
    }
    Ok(place.join("rich.wp"))
}

/// What came of one request.
enum Outcome {
    Same,
    /// Neither answers it.
    Refused,
    Different(String),
}

fn compare(
    scene: &Scene<'_>,
    subject: &Subject,
    asked: &Asked,
    (status, body): (StatusCode, Bytes),
) -> Result<Outcome> {
    let mut program = Command::new(&scene.program);
    program.arg("query").arg(&subject.path).args(&asked.typed).arg("--json");
    let output = program.output().context("could not run walkprint query")?;
    let different = |what: &str| Outcome::Different(format!("{}: {what}: {}", subject.name, asked.typed.join(" ")));
    if status != StatusCode::OK || !output.status.success() {
        let both = status.is_client_error() && output.status.code() == Some(2);
        let what = format!("{status}, {} {}", String::from_utf8_lossy(&body), String::from_utf8_lossy(&output.stderr));
        return Ok(if both { Outcome::Refused } else { different(&what) });
    }
    let mut answer: Value = serde_json::from_slice(&body).context("the server's answer")?;
    let mut printed: Value = serde_json::from_slice(&output.stdout).context("the program's answer")?;
    let _: AnswerBody =
        serde_json::from_value(answer.clone()).context("an answer with a field that is not described")?;
    let generation = answer["store"]["generation"].clone();
    for value in [&mut answer, &mut printed] {
        let fields = value.as_object_mut().context("an answer is an object")?;
        fields.remove("store");
        fields.remove("took_us");
    }
    let is_same = answer == printed && generation.is_u64();
    Ok(if is_same { Outcome::Same } else { different(&format!("{answer} and {printed}")) })
}

fn ask(
    runtime: &Runtime,
    connection: &mut Connection,
    subject: &Subject,
    asked: &Asked,
) -> Result<(StatusCode, Bytes)> {
    let ask = Ask::post(&format!("/v1/stores/{}/query", subject.name), &asked.json)?;
    runtime.block_on(connection.ask(&ask))
}

/// Random requests to the server and to the command line.
///
/// # Errors
/// When a store cannot be had, or one of the two does not answer at all.
pub(super) fn run(report: &mut Report, scene: &Scene<'_>) -> Result<()> {
    let place = tempfile::tempdir().context("could not make a temporary directory")?;
    let subjects = [
        Subject::open("rich", rich(scene, place.path())?, true)?,
        Subject::open("votes", scene.stores.of(Known::WikiVote)?, false)?,
    ];
    let offers = subjects.each_ref().map(|subject| format!("{}={}", subject.name, subject.path.display()));
    let server = Server::start(&scene.program, &offers)?;
    let runtime = scene.runtime()?;
    let mut connection = runtime.block_on(Connection::open(server.address))?;
    let (mut same, mut refused, mut different) = (0_u32, 0_u32, Vec::new());
    for number in 0..REQUESTS {
        let mut numbers = Numbers(SplitMix64::seed_from_u64(scene.options.key.wrapping_mul(REQUESTS) ^ number));
        let subject = &subjects[usize::from(numbers.once_in(2))];
        let asked = anything(subject, &mut numbers)?;
        let came = ask(&runtime, &mut connection, subject, &asked)?;
        match compare(scene, subject, &asked, came)? {
            Outcome::Same => same += 1,
            Outcome::Refused => refused += 1,
            Outcome::Different(what) => different.push(what),
        }
    }
    let case = "random requests, WordNet with types and wiki-Vote";
    report.figure(Figure::single(case, "answered alike", "requests", f64::from(same)));
    report.figure(Figure::single(case, "refused by both", "requests", f64::from(refused)));
    let told = different.iter().take(3).cloned().collect::<Vec<_>>().join("; ");
    let evidence =
        format!("{same} of {REQUESTS} alike, {refused} refused by both, {} different {told}", different.len());
    let is_same = different.is_empty() && ANSWERED <= u64::from(same);
    report.check("the server's answers are the command line's, bit for bit", is_same, evidence);
    let complaints = server.complaints();
    report.check("the server complains of nothing", complaints.is_empty(), complaints.join("; "));
    server.stop()?;
    Ok(())
}
