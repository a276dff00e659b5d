//! Suite `serve`: the query server as a user runs it, asked over HTTP by this program on the same machine.
//!
//! Generator and server share the processors, so rates are of both together. All requests are made beforehand from a key;
//! answers are compared, bit for bit, with those of the engine in this process, or of `walkprint query`.

pub(crate) mod program;

pub(crate) mod stores;

mod truth;

pub(crate) mod load;

mod speed;

mod endurance;

mod generations;

mod same;

mod stop;

mod tenants;

mod described;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use serde_json::json;
use tokio::runtime::Runtime;

use crate::machine::cores;
use crate::report::{Output, Report};

/// What to do.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Which parts
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Part::Lookup, Part::Combine])]
    parts: Vec<Part>,
    /// The program that serves [default: walkprint beside this one]
    #[arg(long, value_name = "FILE")]
    walkprint: Option<PathBuf>,
    /// Keep stores in this directory, and use those that are there [default: build them anew]
    #[arg(long, value_name = "DIRECTORY")]
    stores: Option<PathBuf>,
    /// The store that `start` starts on, with an index `default` [default: that of cnr-2000]
    #[arg(long, value_name = "STORE")]
    start_store: Option<PathBuf>,
    /// Connections of `lookup` and `combine`
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..))]
    connections: u16,
    /// Seconds of each loop of `lookup` and `combine`
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Rounds of `lookup` and `combine`
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Minutes of `memory`
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(2..))]
    minutes: u32,
    /// Seconds of `generations`
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(16..))]
    under_load: u32,
    /// Requests of `described` to each endpoint, about
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    examples: u32,
    /// Where Python packages of `described` go [default: walkprint-bench/venv-described in the user's cache]
    #[arg(long, value_name = "DIR")]
    venv: Option<PathBuf>,
    /// The key of all random numbers here
    #[arg(long, default_value_t = 0)]
    key: u64,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Look-ups a second and their latency
    Lookup,
    /// The same of `combine`
    Combine,
    /// From the start of the program to its first answer
    Start,
    /// Resident memory under mixed load
    Memory,
    /// New generations, and a broken one, published under load
    Generations,
    /// Random requests, beside the same to `walkprint query`
    Same,
    /// SIGTERM and SIGKILL under load
    Stop,
    /// Thousands of small stores in one directory
    Tenants,
    /// Whatever the server's own description of its API allows, and forbids, asked by schemathesis (needs python3)
    Described,
}

/// What all parts have in common.
struct Scene<'o> {
    options: &'o Options,
    program: PathBuf,
    stores: stores::Stores,
}

impl Scene<'_> {
    fn runtime(&self) -> Result<Runtime> {
        load::runtime()
    }
}

/// Runs the suite.
///
/// # Errors
/// When the program or a store cannot be had, or a server does not start.
pub(crate) fn run(options: &Options) -> Result<Report> {
    let own = std::env::current_exe().context("could not find this program's own file")?;
    let program = options.walkprint.clone().unwrap_or_else(|| own.with_file_name("walkprint"));
    if !program.is_file() {
        bail!("{}: no such program; build walkprint, or name it with --walkprint", program.display());
    }
    let program = program.canonicalize()?;
    let scene = Scene { options, program, stores: stores::Stores::new(options.stores.as_deref())? };
    let mut report = Report::on_several("serve");
    report.parameters(json!({
        "parts": options.parts.iter().map(|part| format!("{part:?}").to_lowercase()).collect::<Vec<_>>(),
        "connections": options.connections, "seconds": options.seconds, "rounds": options.rounds, "key": options.key,
        "minutes": options.minutes, "under_load": options.under_load, "examples": options.examples,
    }));
    for &part in &options.parts {
        eprintln!("part {part:?}");
        let done = match part {
            Part::Lookup => speed::run(&mut report, &scene, speed::LOOKUP),
            Part::Combine => speed::run(&mut report, &scene, speed::COMBINE),
            Part::Start => endurance::start(&mut report, &scene),
            Part::Memory => endurance::memory(&mut report, &scene),
            Part::Generations => generations::run(&mut report, &scene),
            Part::Same => same::run(&mut report, &scene),
            Part::Stop => stop::run(&mut report, &scene),
            Part::Tenants => tenants::run(&mut report, &scene),
            Part::Described => described::run(&mut report, &scene),
        };
        done.with_context(|| format!("part {part:?}"))?;
    }
    report.note(format!("generator (one thread) and server share {} processors", cores()));
    report.note("the generator's own timer is good to a millisecond: open loops have up to so much in them");
    Ok(report)
}
