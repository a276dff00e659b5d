//! Suite `faults`: builds by several processes, one of which is killed at a random moment, or cut off the network; then
//! resumed by another number of processes.
//!
//! The processes are those of the `walkprint` program, as a user starts them. In each round the others must end by
//! themselves with exit code 2, what is sealed must not be written again, and the index must come out as if nothing had
//! happened, byte by byte.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use serde_json::json;
use walkprint_cluster::graph_mode::GraphMode;
use walkprint_engine::plan::Plan;
use walkprint_engine::store::{Store, index_directory};
use xxhash_rust::xxh3::xxh3_128;

use crate::build::{PlanOptions, plan_arguments};
use crate::faults_report::{self, Round};
use crate::graphs::GraphOptions;
use crate::job::{Meeting, started};
use crate::namespaces::Namespaces;
use crate::report::{Output, Report};

/// The index that is built.
const NAME: &str = "faults";
/// Most processes of a job.
const PROCESSES: u64 = 4;
/// How long processes wait for others, in seconds: those that are killed before they have met are missed after that.
const CONNECT_SECONDS: u64 = 8;
/// The longest that anything here may take.
const PATIENCE: Duration = Duration::from_secs(300);
/// How often it is looked whether processes have ended.
const LOOK: Duration = Duration::from_millis(2);

/// What to do.
#[derive(Debug, Args)]
#[command(mut_arg("graph", |graph| graph.required(false).default_value("rmat:14:16:weighted")))]
#[command(mut_arg("walks", |walks| walks.default_value("800")))]
#[command(mut_arg("memory_mib", |memory| memory.default_value("1024")))]
pub(crate) struct Options {
    #[command(flatten)]
    graph: GraphOptions,
    /// Rounds
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Workers of each process
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    workers: u16,
    /// Cut a process off the network instead of killing it: processes run in network namespaces (needs root, ip)
    #[arg(long)]
    cut: bool,
    /// The program [default: walkprint beside this one]
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    #[command(flatten)]
    plan: PlanOptions,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// What all rounds have in common.
struct Scene<'o> {
    options: &'o Options,
    program: PathBuf,
    plan: Plan,
    place: PathBuf,
    /// The store without an index, from which each round copies.
    pristine: PathBuf,
    namespaces: Option<Namespaces>,
}

/// An undisturbed build.
struct Undisturbed {
    /// From the start of the processes.
    took: Duration,
    segments: BTreeMap<String, u128>,
    digest: String,
}

/// A file, as far as it can be told that it was not written again.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    inode: u64,
    modified: (i64, i64),
    bytes: u64,
}

/// Runs the suite.
///
/// # Errors
/// When the graph cannot be had, the program or namespaces are missing, an undisturbed build fails, or a build cannot
/// be resumed.
pub(crate) fn run(options: &Options) -> Result<Report> {
    if options.graph.is_store() {
        bail!("this suite writes indexes: give the file that the store was loaded from, or a generated graph");
    }
    let plan = options.plan.plan(options.graph.key);
    plan.check()?;
    let own = std::env::current_exe().context("could not find this program's own file")?;
    let program = options.program.clone().unwrap_or_else(|| own.with_file_name("walkprint"));
    if !program.is_file() {
        bail!("{}: no such program; build walkprint, or name it with --program", program.display());
    }
    let program = program.canonicalize()?;
    let namespaces = options.cut.then(|| Namespaces::new(usize::try_from(PROCESSES)?)).transpose()?;
    let directory = tempfile::tempdir().context("could not make a temporary directory")?;
    let place = directory.path().to_owned();
    let pristine = place.join("pristine.wp");
    let (_, facts) = options.graph.store(&pristine)?;
    let mut report = Report::new("faults", facts);
    report.parameters(json!({
        "plan": plan, "runs": options.runs, "workers": options.workers, "cut": options.cut,
        "memory_mib": options.plan.memory_mib, "connect_timeout": CONNECT_SECONDS,
    }));
    let scene = Scene { options, program, plan, place, pristine, namespaces };
    let whole = [scene.undisturbed(GraphMode::Sharded)?, scene.undisturbed(GraphMode::Replicated)?];
    if whole[0].segments != whole[1].segments {
        bail!("undisturbed builds, sharded and replicated, differ: {} and {}", whole[0].digest, whole[1].digest);
    }
    let mut numbers = SplitMix64::seed_from_u64(options.graph.key);
    let mut rounds = Vec::new();
    for number in 0..options.runs {
        let sharded = number % 2 == 0;
        let round = scene.round(sharded, &whole[usize::from(!sharded)], &mut numbers);
        let round = round.with_context(|| format!("round {number}"))?;
        eprintln!("round {number}: {round}");
        rounds.push(round);
    }
    faults_report::describe(&mut report, &rounds, options.cut);
    let took = |whole: &Undisturbed| whole.took.as_secs_f64();
    report.note(format!(
        "undisturbed builds: {} segments, sharded {:.1} s, replicated {:.1} s, digest {}",
        whole[0].segments.len(),
        took(&whole[0]),
        took(&whole[1]),
        whole[0].digest
    ));
    Ok(report)
}

impl Scene<'_> {
    fn undisturbed(&self, mode: GraphMode) -> Result<Undisturbed> {
        let store = self.fresh_store()?;
        let began = Instant::now();
        let mut children = self.start(2, mode, false)?;
        let ended = Ended::all(&mut children)?;
        let took = began.elapsed();
        if ended.codes().iter().any(|&code| code != Some(0)) {
            bail!("an undisturbed build failed: {}", texts(children).join("; "));
        }
        let digest = published(&store)?.context("an undisturbed build published nothing")?;
        Ok(Undisturbed { took, segments: contents(&index(&store)?)?, digest })
    }

    fn round(&self, sharded: bool, whole: &Undisturbed, numbers: &mut SplitMix64) -> Result<Round> {
        let mut below = |end: u64| numbers.next_u64() % end;
        let processes = 2 + below(PROCESSES - 1);
        let victim = usize::try_from(below(processes))?;
        // Any other number, from one to the most.
        let resumed_by = (processes + below(PROCESSES - 1)) % PROCESSES + 1;
        let share = below(1 << 20) as f64 / f64::from(1 << 20);
        let resumed_sharded = below(2) == 0;
        let mode = |sharded| if sharded { GraphMode::Sharded } else { GraphMode::Replicated };

        let store = self.fresh_store()?;
        let mut children = self.start(usize::try_from(processes)?, mode(sharded), false)?;
        let moment = whole.took.mul_f64(share);
        let began = Instant::now();
        while began.elapsed() < moment {
            std::thread::park_timeout(moment.saturating_sub(began.elapsed()));
        }
        let directory = index(&store)?;
        let (had_begun, had_ended) = (directory.is_dir(), published(&store)?.is_some());
        match &self.namespaces {
            Some(namespaces) => namespaces.set_link(victim, false)?,
            None => children[victim].kill().context("could not kill a process")?,
        }
        let ended = Ended::all(&mut children)?;
        if let Some(namespaces) = &self.namespaces {
            namespaces.set_link(victim, true)?;
        }
        let is_other = |process: &usize| self.options.cut || *process != victim;
        let survivors: Vec<usize> = (0..children.len()).filter(is_other).collect();
        let codes = survivors.iter().map(|&process| ended.codes()[process]).collect();
        let delay = survivors.iter().map(|&process| ended.after[process]).max().unwrap_or_default();
        let said = texts(children);
        let words = survivors.iter().map(|&process| said[process].clone()).collect();

        let sealed = if directory.is_dir() { files(&directory)? } else { BTreeMap::new() };
        // A job may have been done before its process was lost: then there is nothing to go on with.
        let was_published = published(&store)?.is_some();
        if !was_published {
            let by = usize::try_from(resumed_by)?;
            let mut children = self.start(by, mode(resumed_sharded), directory.is_dir())?;
            let ended = Ended::all(&mut children)?;
            if ended.codes().iter().any(|&code| code != Some(0)) {
                bail!("could not be resumed: {}", texts(children).join("; "));
            }
        }
        let digest = published(&store)?;
        let after = files(&directory)?;
        let kept = sealed.iter().filter(|(name, seen)| after.get(*name) == Some(seen)).count();
        Ok(Round {
            sharded,
            processes: usize::try_from(processes)?,
            victim,
            at: moment,
            had_begun,
            had_ended,
            was_published,
            codes,
            words,
            delay,
            resumed_by: usize::try_from(resumed_by)?,
            sealed: sealed.len(),
            kept,
            segments: after.len(),
            is_identical: digest.as_deref() == Some(&whole.digest) && contents(&directory)? == whole.segments,
        })
    }

    /// Starts all processes of a job.
    fn start(&self, processes: usize, mode: GraphMode, resume: bool) -> Result<Vec<Child>> {
        let meeting = match &self.namespaces {
            Some(_) => Meeting::at(&self.place, &Namespaces::addresses(processes))?,
            None => Meeting::on_this_machine(&self.place, processes)?,
        };
        let mut children = Vec::new();
        for process in 0..processes {
            let mut command = match &self.namespaces {
                Some(namespaces) => namespaces.command(process, &self.program),
                None => Command::new(&self.program),
            };
            command.arg("index").arg(self.store()).arg(format!("--name={NAME}")).args(plan_arguments(&self.plan));
            command.args([format!("--graph={mode}"), format!("--workers={}", self.options.workers)]);
            command.arg(format!("--memory={}MiB", self.options.plan.memory_mib));
            command.arg(format!("--connect-timeout={CONNECT_SECONDS}")).args(resume.then_some("--resume"));
            children.push(started(command.args(meeting.arguments(process)))?);
        }
        Ok(children)
    }

    fn store(&self) -> PathBuf {
        self.place.join("round.wp")
    }

    /// The store of the next round, without an index.
    fn fresh_store(&self) -> Result<PathBuf> {
        let store = self.store();
        if store.exists() {
            std::fs::remove_dir_all(&store).context("could not remove the store of the round before")?;
        }
        copy(&self.pristine, &store).context("could not copy the store")?;
        Ok(store)
    }
}

/// How processes ended, and how long after somebody began to wait for them.
struct Ended {
    statuses: Vec<ExitStatus>,
    after: Vec<Duration>,
}

impl Ended {
    /// Waits for all. What they say is short enough to wait in their pipes.
    fn all(children: &mut [Child]) -> Result<Ended> {
        let began = Instant::now();
        let mut ended: Vec<Option<(ExitStatus, Duration)>> = vec![None; children.len()];
        while ended.iter().any(Option::is_none) {
            for (child, ended) in children.iter_mut().zip(&mut ended).filter(|(_, ended)| ended.is_none()) {
                *ended = child.try_wait().context("could not wait for a process")?.map(|how| (how, began.elapsed()));
            }
            if PATIENCE < began.elapsed() {
                children.iter_mut().for_each(|child| drop(child.kill()));
                bail!("processes had not ended after {} s; they were killed", PATIENCE.as_secs());
            }
            std::thread::park_timeout(LOOK);
        }
        let (statuses, after) = ended.into_iter().flatten().unzip();
        Ok(Ended { statuses, after })
    }

    /// Exit codes; none of those that a signal ended.
    fn codes(&self) -> Vec<Option<i32>> {
        self.statuses.iter().map(ExitStatus::code).collect()
    }
}

/// What processes that have ended wrote to standard error.
fn texts(children: Vec<Child>) -> Vec<String> {
    let text = |child: Child| match child.wait_with_output() {
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => error.to_string(),
    };
    children.into_iter().map(text).collect()
}

fn index(store: &Path) -> Result<PathBuf> {
    Ok(store.join(index_directory(NAME, 1)?))
}

/// The digest of the index, when it is published.
fn published(store: &Path) -> Result<Option<String>> {
    let store = Store::open(store)?;
    let entry = store.manifest().indexes.iter().find(|entry| entry.name == NAME);
    Ok(entry.map(|entry| entry.fingerprint_digest.clone()))
}

/// The names of an index's segments.
fn names(directory: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory).with_context(|| format!("{}: could not read", directory.display()))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".wps") {
            names.push(name);
        }
    }
    Ok(names)
}

fn files(directory: &Path) -> Result<BTreeMap<String, Seen>> {
    let seen = |name: String| {
        let data = std::fs::metadata(directory.join(&name))?;
        Ok((name, Seen { inode: data.ino(), modified: (data.mtime(), data.mtime_nsec()), bytes: data.len() }))
    };
    names(directory)?.into_iter().map(seen).collect()
}

/// Digests of all segments.
fn contents(directory: &Path) -> Result<BTreeMap<String, u128>> {
    let digest = |name: String| {
        let bytes = std::fs::read(directory.join(&name))?;
        Ok((name, xxh3_128(&bytes)))
    };
    names(directory)?.into_iter().map(digest).collect()
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
