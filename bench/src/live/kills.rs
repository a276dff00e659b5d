//! Part `kills`: `walkprint update` and `walkprint compact` are killed at random moments, and started again with the same events.
//!
//! Events have ids, so that those which were kept before the kill do not count again. After every kill the store must be whole, and its
//! log must hold, in order, what was sent: at least all of what an `update` that came to its end has sent, and all that anybody has seen in the
//! log before. At the end every file is, to the last byte, that of a store to which the same happened undisturbed.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use serde_json::Value;
use walkprint_cluster::live::{Batches, check};
use walkprint_cluster::load::store_edges;
use walkprint_engine::edges::EdgeList;
use walkprint_engine::events::{Event, Operation};
use walkprint_engine::graph::NodeOrder;
use walkprint_engine::store::Store;

use super::{Options, server_kills};
use crate::figure::Figure;
use crate::graphs::GraphFacts;
use crate::report::Report;
use crate::rmat::rmat;
use crate::serve::stores::{copy, files};

/// Scale of the graph, and edges for each node.
const SCALE: u32 = 12;
const EDGES_PER_NODE: u32 = 8;
/// Events of a file, and how many of them are kept with one write.
const EVENTS: usize = 400;
const BATCH: usize = 10;
/// So often a job is killed before it may go on to its end.
const IN_A_ROW: u32 = 5;
/// Nodes that may come.
const NEW_NODES: u64 = 200;
/// The longest that a process may take.
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_micros(200);

/// What is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Job {
    Update,
    Compact,
}

/// The stream of events, file after file, by key.
pub(super) struct Stream {
    numbers: SplitMix64,
    weights: BTreeMap<(i64, i64), f64>,
    nodes: u64,
    pub(super) sent: Vec<Event>,
}

impl Stream {
    fn new(edges: &EdgeList, key: u64) -> Result<Stream> {
        let mut weights: BTreeMap<(i64, i64), f64> = BTreeMap::new();
        for (source, target) in edges.sources.iter().zip(&edges.targets) {
            let id = |rank: u32| edges.ids.text(rank as usize).parse::<i64>().context("ids are integers");
            *weights.entry((id(*source)?, id(*target)?)).or_default() += 1.0;
        }
        let nodes = edges.ids.len() as u64 + NEW_NODES;
        Ok(Stream { numbers: SplitMix64::seed_from_u64(key), weights, nodes, sent: Vec::new() })
    }

    fn below(&mut self, end: u64) -> i64 {
        i64::try_from(self.numbers.next_u64() % end).expect("few nodes")
    }

    /// Writes the next file. All that it says can be.
    fn write(&mut self, path: &Path) -> Result<()> {
        let mut text = String::new();
        for _ in 0..EVENTS {
            let pair = (self.below(self.nodes), self.below(self.nodes));
            let weight = (1 + self.below(16)) as f64 / 4.0;
            let (pair, operation) = match self.below(10) {
                0..3 => (self.weights.range(pair..).next().map_or(pair, |(&there, _)| there), Operation::Remove),
                3..5 => (pair, Operation::Set),
                _ => (pair, Operation::Add),
            };
            let is_there = self.weights.contains_key(&pair);
            let operation = if operation == Operation::Remove && !is_there { Operation::Add } else { operation };
            let event = Event::edge(operation, pair.0.to_string(), pair.1.to_string());
            let event = match operation {
                Operation::Remove => {
                    self.weights.remove(&pair);
                    event
                }
                Operation::Set => {
                    self.weights.insert(pair, weight);
                    event.weighing(weight)
                }
                Operation::Add => {
                    *self.weights.entry(pair).or_default() += weight;
                    event.weighing(weight)
                }
            };
            let event = event.named(format!("event-{}", self.sent.len()));
            text += &(serde_json::to_string(&event)? + "\n");
            self.sent.push(event);
        }
        std::fs::write(path, text).with_context(|| format!("{}: could not write", path.display()))
    }
}

/// A store that is worked on by processes.
pub(super) struct Scene {
    pub(super) program: PathBuf,
    pub(super) place: PathBuf,
    workers: usize,
    /// How many files of events there are.
    files: Cell<usize>,
}

impl Scene {
    fn events(&self, number: usize) -> PathBuf {
        self.place.join(format!("events-{number}.jsonl"))
    }

    /// The number of the file of events that is written next.
    pub(super) fn next_events(&self) -> usize {
        self.files.get()
    }

    /// Writes the next file of events.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(super) fn write_events(&self, stream: &mut Stream) -> Result<()> {
        let number = self.files.get();
        stream.write(&self.events(number))?;
        self.files.set(number + 1);
        Ok(())
    }

    fn command(&self, job: Job, store: &Path, number: usize) -> Command {
        let mut command = Command::new(&self.program);
        match job {
            Job::Update => {
                command.arg("update").arg(store).arg("--edges").arg(self.events(number));
                command.arg(format!("--batch={BATCH}"))
            }
            Job::Compact => command.arg("compact").arg(store).arg(format!("--workers={}", self.workers)),
        };
        command.arg("--json").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn start(&self, job: Job, store: &Path, number: usize) -> Result<Child> {
        let child = self.command(job, store, number).spawn();
        child.with_context(|| format!("could not start {}", self.program.display()))
    }

    /// Runs to the end. Gives what was printed, and how long it took.
    ///
    /// # Errors
    /// When it fails.
    pub(super) fn run(&self, job: Job, store: &Path, number: usize) -> Result<(Value, Duration)> {
        let began = Instant::now();
        let output = self.start(job, store, number)?.wait_with_output().context("could not wait for a process")?;
        let took = began.elapsed();
        Ok((printed(job, &output)?, took))
    }

    /// Runs, and kills at some moment, just after `look` has looked. Gives whether it was killed before it had ended.
    fn kill(
        &self,
        (job, number): (Job, usize),
        store: &Path,
        after: Duration,
        look: impl FnOnce() -> Result<()>,
    ) -> Result<bool> {
        let mut child = self.start(job, store, number)?;
        let began = Instant::now();
        while began.elapsed() < after {
            if child.try_wait().context("could not wait for a process")?.is_some() {
                let output = child.wait_with_output().context("could not wait for a process")?;
                printed(job, &output)?;
                return Ok(false);
            }
            std::thread::park_timeout(LOOK.min(after.saturating_sub(began.elapsed())));
            ensure!(began.elapsed() < PATIENCE, "{job:?} does not end");
        }
        look()?;
        child.kill().context("could not kill a process")?;
        let output = child.wait_with_output().context("could not wait for a process")?;
        match output.status.code() {
            None => Ok(true),
            // It had just ended.
            Some(_) => printed(job, &output).map(|_| false),
        }
    }

    /// Lets the program look at every byte of a store.
    ///
    /// # Errors
    /// When it finds damage.
    pub(super) fn verify(&self, store: &Path) -> Result<()> {
        let output = Command::new(&self.program).arg("verify").arg(store).output().context("walkprint verify")?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "walkprint verify: {said}");
        Ok(())
    }
}

fn printed(job: Job, output: &Output) -> Result<Value> {
    if !output.status.success() {
        bail!("{job:?} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    serde_json::from_slice(&output.stdout).with_context(|| format!("what {job:?} printed"))
}

/// How many events are in the log or absorbed, after those that are in it were compared with what was sent.
///
/// # Errors
/// When the log cannot be read, or holds something else.
pub(super) fn kept(store: &Path, sent: &[Event]) -> Result<usize> {
    let mut wrong = None;
    let checked = check(store, &mut |batch| {
        for (at, event) in batch.events.iter().enumerate() {
            let at = usize::try_from(batch.sequence).unwrap_or(usize::MAX).saturating_add(at);
            if sent.get(at) != Some(event) {
                wrong.get_or_insert(at);
            }
        }
        Ok(())
    })?;
    if let Some(at) = wrong {
        bail!("event {at} in the log is not what was sent");
    }
    Ok(usize::try_from(checked.next_sequence)?)
}

/// Kills, again and again.
///
/// # Errors
/// When the program cannot be had, or fails undisturbed.
pub(super) fn run(report: &mut Report, options: &Options) -> Result<()> {
    let directory = tempfile::tempdir().context("could not make a temporary directory")?;
    let place = directory.path().to_owned();
    let scene =
        Scene { program: options.program()?, place: place.clone(), workers: options.workers(), files: Cell::new(0) };
    let (killed, quiet, pristine) = (place.join("killed.wp"), place.join("quiet.wp"), place.join("pristine.wp"));
    let edges = rmat(options.key, SCALE, EDGES_PER_NODE, false)?;
    let (mut stream, mut of_servers) = (Stream::new(&edges, options.key)?, Stream::new(&edges, !options.key)?);
    let store = store_edges(&killed, edges, NodeOrder::default())?;
    report.graphs.push(GraphFacts::of(&format!("rmat:{SCALE}:{EDGES_PER_NODE}"), &store.graph()?, "breadth-first")?);
    options.index(&killed)?;
    copy(&killed, &quiet)?;
    copy(&killed, &pristine)?;

    // Beforehand: how long it takes undisturbed.
    let trial = place.join("trial.wp");
    copy(&killed, &trial)?;
    scene.write_events(&mut stream)?;
    let (_, update) = scene.run(Job::Update, &trial, 0)?;
    let (_, compaction) = scene.run(Job::Compact, &trial, 0)?;
    std::fs::remove_dir_all(&trial).with_context(|| format!("{}: could not remove", trial.display()))?;

    let mut numbers = SplitMix64::seed_from_u64(!options.key);
    let mut moment = |most: Duration| most.mul_f64((numbers.next_u64() >> 11) as f64 / (1u64 << 53) as f64);
    let (mut kills, mut by_job, mut problems) = (0, BTreeMap::<Job, (u32, u32)>::new(), Vec::new());
    let (mut number, mut least, mut lost, mut torn) = (0, 0, 0, 0);
    while kills < options.kills {
        for (job, most) in [(Job::Update, update), (Job::Compact, compaction)] {
            let counts = by_job.entry(job).or_default();
            let half = options.kills.div_ceil(2);
            let until = half.min(counts.0 + IN_A_ROW);
            loop {
                let (generation, seen) = (Store::open(&killed)?.manifest().generation, kept(&killed, &stream.sent)?);
                // Of both as many; then it may go on to its end.
                let is_last = kills == options.kills || counts.0 == until;
                least = least.max(seen);
                let look = || {
                    if job == Job::Update {
                        least = least.max(kept(&killed, &stream.sent)?);
                    }
                    Ok(())
                };
                if is_last || !scene.kill((job, number), &killed, moment(most), look)? {
                    break;
                }
                kills += 1;
                counts.0 += 1;
                if let Err(error) = scene.verify(&killed) {
                    problems.push(format!("kill {kills}, {job:?}: {error:#}"));
                }
                let after = Store::open(&killed)?.manifest().generation;
                counts.1 += u32::from(generation != after);
                if generation + 2 < after {
                    problems.push(format!("kill {kills}, {job:?}: generation {generation} became {after}"));
                }
                match kept(&killed, &stream.sent) {
                    Ok(kept) if kept < least => lost += least - kept,
                    Ok(kept) => least = kept,
                    Err(error) => problems.push(format!("kill {kills}, {job:?}: {error:#}")),
                }
                torn += u32::from(check(&killed, &mut |_| Ok(()))?.torn.is_some());
                // What follows the log without a lock does not mind either.
                if let Some(error) = Batches::open(&killed)?.find_map(Result::err) {
                    problems.push(format!("kill {kills}, {job:?}, following the log: {error}"));
                }
            }
            // Undisturbed: what a killed one left is gone on with.
            scene.run(job, &killed, number)?;
            if job == Job::Update {
                least = stream.sent.len();
                let kept = kept(&killed, &stream.sent)?;
                lost += least.saturating_sub(kept);
            }
        }
        number += 1;
        scene.write_events(&mut stream)?;
        eprintln!("{kills} of {} kills", options.kills);
    }
    let mut repeated = 0;
    for number in 0..=number {
        for (path, job) in
            [(&killed, Job::Update), (&quiet, Job::Update), (&killed, Job::Compact), (&quiet, Job::Compact)]
        {
            // The last file comes to both undisturbed, so that what a kill left is swept away.
            if path == &quiet || number_is_last(number, stream.sent.len()) {
                scene.run(job, path, number)?;
            } else if job == Job::Update {
                let (again, _) = scene.run(job, path, number)?;
                ensure!(again["taken"] == 0, "events that were acknowledged were taken again: {again}");
                repeated += again["repeated"].as_u64().unwrap_or_default();
            }
        }
    }
    let (killed_files, quiet_files) = (whole(&killed)?, whole(&quiet)?);
    let differ: Vec<String> = killed_files
        .keys()
        .chain(quiet_files.keys())
        .filter(|name| killed_files.get(*name) != quiet_files.get(*name))
        .map(|name| name.display().to_string())
        .collect();
    describe(report, &by_job, torn);
    let evidence = format!("{kills} kills, {} events; {repeated} came again and did not count", stream.sent.len());
    report.check("no acknowledged event is lost", lost == 0, format!("{lost} lost; {evidence}"));
    report.check(
        "after every kill the store is whole",
        problems.is_empty(),
        format!("{kills} kills; {}", problems.join("; ")),
    );
    let evidence = format!("{} files; {}", quiet_files.len(), differ.join(", "));
    report.check("in the end every file is that of the undisturbed run", differ.is_empty(), evidence);
    server_kills::run(report, &scene, &pristine, options.kills.div_ceil(5), &mut of_servers)
}

fn number_is_last(number: usize, sent: usize) -> bool {
    (number + 1) * EVENTS == sent
}

fn describe(report: &mut Report, by_job: &BTreeMap<Job, (u32, u32)>, torn: u32) {
    for (job, &(kills, published)) in by_job {
        let case = match job {
            Job::Update => "walkprint update, killed",
            Job::Compact => "walkprint compact, killed",
        };
        report.figure(Figure::single(case, "kills", "", f64::from(kills)));
        report.figure(Figure::single(case, "had published a generation", "kills", f64::from(published)));
    }
    report.figure(Figure::single("both", "left a torn tail", "kills", f64::from(torn)));
}

/// All files of a store but its locks.
fn whole(store: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut found = files(store)?;
    found.retain(|name, _| name.extension().is_none_or(|kind| kind != "lock") && name != Path::new("lock"));
    Ok(found)
}
