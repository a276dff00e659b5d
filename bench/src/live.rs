//! Suite `live`: graphs that live. Answers while events wait, what it takes to absorb an edge, what repair costs beside a rebuild, and
//! what is left after many kills.
//!
//! What is compared with is made here from scratch, without the code that follows events: graphs from sorted lists of edges, labels
//! from sorted ids, truths by power iteration.

mod streams;

mod scratch;

mod replay;

mod absorb;

mod over_http;

mod walks;

mod repair;

mod kills;

mod server_kills;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use serde_json::json;
use walkprint_cluster::live::CompactOptions;
use walkprint_engine::plan::Plan;

use crate::known_graphs::Known;
use crate::machine::cores;
use crate::report::{Output, Report};
use crate::serve::stores::{self, INDEX, MEMORY_BYTES};
use streams::Name;

/// What to do.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Which parts
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Part::value_variants().to_vec())]
    parts: Vec<Part>,
    /// What `replay` replays: CollegeMsg or sx-mathoverflow
    #[arg(long, value_delimiter = ',', default_values_t = [Name::CollegeMsg, Name::MathOverflow], value_name = "NAME")]
    streams: Vec<Name>,
    /// Seeds of each sort that `replay` asks about after each tenth: of changed nodes, of new ones, of any
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..))]
    seeds: u32,
    /// The graph of `absorb` and `http`: a known graph, or a stream, every edge of which weighs 1 then
    #[arg(long, default_value_t = Name::Known(Known::Epinions), value_name = "NAME")]
    graph: Name,
    /// Single edges that are timed, and sent
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    singles: u32,
    /// Events that are taken in batches
    #[arg(long, default_value_t = 30_000, value_parser = clap::value_parser!(u32).range(1..))]
    events: u32,
    /// Sizes of batches
    #[arg(long, value_delimiter = ',', default_value = "1,100,10000", value_parser = clap::value_parser!(u32).range(1..))]
    batches: Vec<u32>,
    /// Seconds of each phase of `http`
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Connections that ask in `http`
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    connections: u16,
    /// Graphs of `repair`
    #[arg(long, value_delimiter = ',', default_values_t = [Name::Known(Known::Cnr), Name::Known(Known::Epinions)], value_name = "NAME")]
    repaired: Vec<Name>,
    /// Shares of the edges that change in `repair`
    #[arg(long, value_delimiter = ',', default_value = "0.0001,0.001,0.01")]
    shares: Vec<f64>,
    /// Draws of edges that change in `repair`, for each share
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Kills of `kills`, of servers a fifth as many besides
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    kills: u32,
    /// Workers of builds and compactions [default: all processors]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    workers: Option<u16>,
    /// The program of `http` and `kills` [default: walkprint beside this one]
    #[arg(long, value_name = "FILE")]
    walkprint: Option<PathBuf>,
    /// The key of all random numbers
    #[arg(long, default_value_t = 0)]
    key: u64,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Streams in the order of their times: answers while events wait, and bytes after compaction
    Replay,
    /// Time to absorb a single edge, step by step, and events a second in batches, in this process
    Absorb,
    /// The same over HTTP, while questions are asked
    Http,
    /// Compaction beside a rebuild of the same index
    Repair,
    /// Updates, compactions and servers that are killed, and what is done again
    Kills,
}

impl Options {
    fn workers(&self) -> usize {
        self.workers.map_or_else(cores, usize::from)
    }

    fn compaction(&self) -> CompactOptions {
        CompactOptions { workers: self.workers(), memory_bytes: MEMORY_BYTES }
    }

    /// The program that is run.
    fn program(&self) -> Result<PathBuf> {
        let own = std::env::current_exe().context("could not find this program's own file")?;
        let program = self.walkprint.clone().unwrap_or_else(|| own.with_file_name("walkprint"));
        if !program.is_file() {
            bail!("{}: no such program; build walkprint, or name it with --walkprint", program.display());
        }
        Ok(program.canonicalize()?)
    }

    /// Builds the index of a store, whether it has one or not. Gives the moves that its walks made.
    fn index(&self, store: &Path) -> Result<u64> {
        stores::index(store, self.workers())
    }
}

/// Runs the suite.
///
/// # Errors
/// When data or the program cannot be had, a store cannot be made, or a server does not start.
pub(crate) fn run(options: &Options) -> Result<Report> {
    if let Some(share) = options.shares.iter().find(|share| !(0.0..=0.5).contains(*share)) {
        bail!("--shares {share}: expected a part of the edges, from 0 to 0.5");
    }
    let mut report = Report::on_several("live");
    let names = |names: &[Name]| names.iter().map(Name::to_string).collect::<Vec<_>>();
    report.parameters(json!({
        "parts": options.parts.iter().map(|part| format!("{part:?}").to_lowercase()).collect::<Vec<_>>(),
        "plan": Plan::default(), "workers": options.workers(), "key": options.key,
        "streams": names(&options.streams), "seeds": options.seeds, "graph": options.graph.to_string(),
        "singles": options.singles, "events": options.events, "batches": options.batches, "seconds": options.seconds,
        "connections": options.connections, "repaired": names(&options.repaired), "shares": options.shares,
        "runs": options.runs, "kills": options.kills,
    }));
    for &part in &options.parts {
        eprintln!("part {part:?}");
        let done = match part {
            Part::Replay => replay::run(&mut report, options),
            Part::Absorb => absorb::run(&mut report, options),
            Part::Http => over_http::run(&mut report, options),
            Part::Repair => repair::run(&mut report, options),
            Part::Kills => kills::run(&mut report, options),
        };
        done.with_context(|| format!("part {part:?}"))?;
    }
    Ok(report)
}
