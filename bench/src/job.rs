//! The processes of one job on this machine: their host file, their key, and what each did.
//!
//! A build of several processes is made by copies of this program (the hidden command `share-once`), because processor
//! time and peak memory are known by process only, and a process knows its own best.

use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::{Deserialize, Serialize};
use walkprint_cluster::build::{BuildOptions, BuildProgress, ShardedCut, build_index_together};
use walkprint_cluster::graph_mode::GraphMode;
use walkprint_cluster::processes::{Hosts, Joining, Key, Processes};
use walkprint_engine::plan::Plan;

use crate::build::{PlanOptions, plan_arguments};
use crate::machine::{proc_kib, processor_seconds};

/// The key of all jobs here: they end before anybody could care.
const KEY: &str = "only for measuring: not a secret";
/// How long the processes of a job may take to find each other.
const TIMEOUT: Duration = Duration::from_secs(120);
/// Rows are never cut when they may be this long.
pub(crate) const WHOLE_ROWS: u64 = u32::MAX as u64;

/// A job that is to be done by several processes.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) processes: usize,
    /// Of each process.
    pub(crate) workers: usize,
    pub(crate) graph: GraphMode,
    pub(crate) memory_mib: u64,
    /// Rows of more edges are spread; by default as the program does.
    pub(crate) longest_row: Option<u64>,
    /// Blocks under way; by default as the program does.
    pub(crate) blocks: Option<usize>,
    /// Expected visits of a block; by default as the program does.
    pub(crate) block_visits: Option<f64>,
    /// Where timely's own account goes, if anywhere.
    pub(crate) timely_log: Option<PathBuf>,
}

/// What all processes of a job did.
#[derive(Debug)]
pub(crate) struct Done {
    /// By process.
    pub(crate) shares: Vec<Share>,
}

/// What one process of a build did.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Share {
    /// From when all processes had found each other until the end.
    seconds: f64,
    processor_seconds: Option<f64>,
    peak_kib: Option<u64>,
    sent_bytes: u64,
    /// What process 0 knows of the whole job; nothing from the others.
    whole: Option<Whole>,
}

/// What a build came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Whole {
    pub(crate) steps: u64,
    pub(crate) entries: u64,
    pub(crate) planned_bytes: u64,
    pub(crate) worker_seconds: Vec<f64>,
    pub(crate) fingerprint_digest: String,
}

/// One process of a build.
#[derive(Debug, Args)]
pub(crate) struct ShareOptions {
    #[arg(long)]
    store: PathBuf,
    #[arg(long)]
    hosts: PathBuf,
    #[arg(long)]
    key_file: PathBuf,
    #[arg(long)]
    process: usize,
    #[arg(long)]
    workers: usize,
    #[arg(long)]
    rng_key: u64,
    #[arg(long)]
    mode: GraphMode,
    #[arg(long)]
    longest_row: Option<u64>,
    #[arg(long)]
    blocks: Option<usize>,
    #[arg(long)]
    block_visits: Option<f64>,
    #[arg(long)]
    timely_log: Option<PathBuf>,
    #[command(flatten)]
    plan: PlanOptions,
}

impl Job {
    /// Builds the index of a store, over the one that is there, and waits for all processes.
    ///
    /// # Errors
    /// When a process cannot be started or fails; the message is that of the first that failed.
    pub(crate) fn build(&self, store: &Path, plan: &Plan) -> Result<Done> {
        let place = tempfile::tempdir().context("could not make a temporary directory")?;
        let meeting = Meeting::on_this_machine(place.path(), self.processes)?;
        let program = std::env::current_exe().context("could not find this program's own file")?;
        let mut children = Vec::new();
        for process in 0..self.processes {
            let mut command = Command::new(&program);
            command.arg("share-once").arg("--store").arg(store).args(meeting.arguments(process));
            command.args(plan_arguments(plan));
            let &Job { workers, memory_mib, graph, longest_row, blocks, block_visits, .. } = self;
            command.args([format!("--workers={workers}"), format!("--memory-mib={memory_mib}")]);
            command.arg(format!("--mode={graph}"));
            command.args(longest_row.map(|longest| format!("--longest-row={longest}")));
            command.args(blocks.map(|blocks| format!("--blocks={blocks}")));
            command.args(block_visits.map(|visits| format!("--block-visits={visits}")));
            if let Some(directory) = &self.timely_log {
                command.arg("--timely-log").arg(directory);
            }
            children.push(started(&mut command)?);
        }
        let outputs = children.into_iter().map(Child::wait_with_output).collect::<std::io::Result<Vec<Output>>>();
        let outputs = outputs.context("could not wait for the processes of a build")?;
        // Processes that end because another did begin with its number; the one with a reason of its own gives that.
        let failed: Vec<String> = outputs
            .iter()
            .filter(|output| !output.status.success())
            .map(|output| String::from_utf8_lossy(&output.stderr).trim().to_owned())
            .collect();
        if let Some(reason) = failed.iter().find(|text| !is_about_another(text)).or(failed.first()) {
            bail!("{}", reason.trim_start_matches("walkprint-bench: "));
        }
        let read = |output: &Output| serde_json::from_slice(&output.stdout);
        let shares = outputs.iter().map(read).collect::<serde_json::Result<Vec<Share>>>();
        let shares = shares.context("a process of a build printed something else than its result")?;
        if shares.iter().filter(|share| share.whole.is_some()).count() != 1 {
            bail!("one process of a build publishes the index, and only one");
        }
        Ok(Done { shares })
    }
}

impl Done {
    /// What the build came to.
    pub(crate) fn whole(&self) -> &Whole {
        self.shares.iter().find_map(|share| share.whole.as_ref()).expect("looked at when the build ended")
    }

    /// The longest that a process took, in seconds, without the time in which they found each other.
    pub(crate) fn seconds(&self) -> f64 {
        self.shares.iter().map(|share| share.seconds).fold(0.0, f64::max)
    }

    /// Processor time of all processes.
    pub(crate) fn processor_seconds(&self) -> Option<f64> {
        self.shares.iter().map(|share| share.processor_seconds).sum()
    }

    /// Bytes that went from one process to another.
    pub(crate) fn sent_bytes(&self) -> u64 {
        self.shares.iter().map(|share| share.sent_bytes).sum()
    }

    /// Peak resident memory of each process, in MiB.
    pub(crate) fn peaks_mib(&self) -> Option<Vec<f64>> {
        self.shares.iter().map(|share| share.peak_kib.map(|peak| peak as f64 / 1024.0)).collect()
    }
}

/// Where the processes of a job meet: files with their addresses and their key.
#[derive(Debug)]
pub(crate) struct Meeting {
    hosts: PathBuf,
    key: PathBuf,
}

impl Meeting {
    /// Writes the files into a directory, with free ports of this machine.
    ///
    /// # Errors
    /// When no ports are free or the files cannot be written.
    pub(crate) fn on_this_machine(place: &Path, processes: usize) -> Result<Meeting> {
        Meeting::at(place, &free_addresses(processes)?)
    }

    /// The same with addresses that are known.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub(crate) fn at(place: &Path, addresses: &[String]) -> Result<Meeting> {
        let meeting = Meeting { hosts: place.join("hosts"), key: place.join("key") };
        let lines: String = addresses.iter().map(|address| format!("{address}\n")).collect();
        std::fs::write(&meeting.hosts, lines).context("could not write a host file")?;
        let mut file = std::fs::OpenOptions::new();
        let file = file.write(true).create(true).truncate(true).mode(0o600).open(&meeting.key);
        let written = file.and_then(|mut file| std::io::Write::write_all(&mut file, KEY.as_bytes()));
        written.context("could not write a key file")?;
        Ok(meeting)
    }

    /// The arguments that make a process one of the job.
    pub(crate) fn arguments(&self, process: usize) -> [String; 6] {
        let (hosts, key) = (self.hosts.display().to_string(), self.key.display().to_string());
        ["--hosts".into(), hosts, "--key-file".into(), key, "--process".into(), process.to_string()]
    }
}

/// Starts a process whose output is kept.
///
/// # Errors
/// When it cannot be started.
pub(crate) fn started(command: &mut Command) -> Result<Child> {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    child.with_context(|| format!("could not start {}", command.get_program().display()))
}

/// Whether the last that a process said is that another was lost.
fn is_about_another(text: &str) -> bool {
    text.lines().last().is_some_and(|line| line.starts_with("walkprint-bench: process "))
}

/// Addresses at which nobody listens. Their ports are not among those that the system gives to connections.
fn free_addresses(count: usize) -> Result<Vec<String>> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let candidates = std::iter::from_fn(|| {
        let number = std::process::id().wrapping_mul(89).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        Some(format!("127.0.0.1:{}", 12_000 + number % 18_000))
    });
    let free = candidates.take(18_000).filter(|address| TcpListener::bind(address).is_ok());
    let found: Vec<String> = free.take(count).collect();
    if found.len() != count {
        bail!("{count} processes need as many free ports between 12000 and 30000");
    }
    Ok(found)
}

/// The hidden command: one process of a build. Prints what it did as JSON.
///
/// # Errors
/// When the processes do not find each other, or the build fails.
pub(crate) fn run_share(options: &ShareOptions) -> Result<()> {
    let &ShareOptions { process, workers, rng_key, mode, longest_row, blocks, block_visits, .. } = options;
    let fallback = ShardedCut::default();
    let longest_row = longest_row.unwrap_or(fallback.longest_row);
    let cut = ShardedCut { longest_row, blocks, block_visits };
    let timely_log = options.timely_log.clone();
    let build = BuildOptions { graph: mode, cut, timely_log, ..options.plan.build_options(rng_key, workers) };
    let processes = Processes::connect(Joining {
        hosts: Hosts::read(&options.hosts)?,
        process,
        key: Some(Key::read(&options.key_file)?),
        workers,
        timeout: TIMEOUT,
        agreement: vec![("build".to_owned(), format!("{build:?}"))],
        stop: Arc::new(AtomicBool::new(false)),
        note: Arc::new(|text| eprintln!("walkprint-bench: {text}")),
        // timely's threads cannot be stopped from outside.
        on_loss: Arc::new(|loss| {
            eprintln!("walkprint-bench: {loss}");
            std::process::exit(2);
        }),
    })?;
    let traffic = processes.traffic();
    let began = Instant::now();
    let built =
        build_index_together(processes, &options.store, &build, &Arc::new(BuildProgress::default()), &mut |_| {})?;
    let share = Share {
        seconds: began.elapsed().as_secs_f64(),
        processor_seconds: processor_seconds(),
        peak_kib: proc_kib("/proc/self/status", "VmHWM"),
        sent_bytes: traffic.sent(),
        whole: built.map(|outcome| Whole {
            steps: outcome.steps,
            entries: outcome.entry.entries,
            planned_bytes: outcome.planned_bytes,
            worker_seconds: outcome.worker_seconds,
            fingerprint_digest: outcome.entry.fingerprint_digest,
        }),
    };
    println!("{}", serde_json::to_string(&share)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(peak_kib: u64, whole: Option<Whole>) -> Share {
        Share { seconds: 1.0, processor_seconds: Some(2.0), peak_kib: Some(peak_kib), sent_bytes: 10, whole }
    }

    #[test]
    fn a_job_is_the_sum_of_its_processes() {
        let whole = Whole {
            steps: 5,
            entries: 6,
            planned_bytes: 7,
            worker_seconds: vec![0.5, 1.5],
            fingerprint_digest: "0".to_owned(),
        };
        let done = Done { shares: vec![share(1024, Some(whole.clone())), share(2048, None)] };
        assert_eq!((done.whole(), done.sent_bytes()), (&whole, 20));
        assert_eq!((done.processor_seconds(), done.peaks_mib()), (Some(4.0), Some(vec![1.0, 2.0])));
    }

    #[test]
    fn a_reason_of_ones_own_is_told_from_anothers() {
        assert!(is_about_another("a note\nwalkprint-bench: process 1 (127.0.0.1:1) is gone: it was killed"));
        assert!(!is_about_another("walkprint-bench: --memory is too small: rows of this process's workers take more"));
    }

    #[test]
    fn the_program_reads_the_files_of_a_meeting() {
        let place = tempfile::tempdir().unwrap();
        let meeting = Meeting::on_this_machine(place.path(), 3).unwrap();
        assert_eq!(Hosts::read(&meeting.hosts).unwrap().len(), 3);
        drop(Key::read(&meeting.key).unwrap());
        assert_eq!(meeting.arguments(2)[4..], ["--process", "2"]);
    }
}
