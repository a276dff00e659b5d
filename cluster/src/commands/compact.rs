//! `walkprint compact`: a new generation that has absorbed all events.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use clap::Args;
use serde_json::json;
use walkprint_cluster::build::BuildProgress;
use walkprint_cluster::error::Error;
use walkprint_cluster::live::{CompactOptions, LogOptions};

use super::update::open;
use crate::arguments::bytes;
use crate::terminal::{Outcome, count, duration, half_of_memory, note, print, print_json, processors, stop_flag};

#[derive(Debug, Args)]
pub(crate) struct CompactArguments {
    /// The store
    store: PathBuf,
    /// Threads that walk [default: all processors]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    workers: Option<u16>,
    /// The most memory that walks may hold, as 4GiB or 500MB [default: half of the machine's]
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    memory: Option<u64>,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &CompactArguments) -> anyhow::Result<Outcome> {
    let workers = arguments.workers.map_or_else(processors, usize::from);
    let options = CompactOptions { workers, memory_bytes: arguments.memory.unwrap_or_else(half_of_memory) };
    let stop = stop_flag()?;
    let began = Instant::now();
    let taker = open(&arguments.store, LogOptions::default(), workers)?;
    let events = taker.log().events();
    let mut tick = |progress: &BuildProgress| {
        if stop.load(Ordering::Relaxed) {
            progress.stop.store(true, Ordering::Relaxed);
        }
    };
    let outcome = taker.compact(&options, &Arc::default(), &mut tick);
    if matches!(outcome, Err(Error::Interrupted)) {
        note("walkprint: stopped; the store and its events are as they were");
    }
    let Some(outcome) = outcome? else {
        print(if arguments.json { "{\"events\":0}\n" } else { "there is nothing to absorb\n" })?;
        return Ok(Outcome::Done);
    };
    let (graph, seconds) = (&outcome.manifest.graph, began.elapsed());
    if arguments.json {
        let indexes = outcome.indexes.iter().map(|index| {
            json!({ "name": index.name, "sources": index.sources, "walked": index.walked, "steps": index.steps })
        });
        print_json(&json!({
            "events": events, "generation": outcome.manifest.generation, "graph": graph.report, "digest": graph.digest,
            "indexes": indexes.collect::<Vec<_>>(), "seconds": seconds.as_secs_f64(),
        }))?;
        return Ok(Outcome::Done);
    }
    let mut text = format!(
        "absorbed  {} events in {}\ngraph     {} nodes, {} directed edges; generation {}\n",
        count(events),
        duration(seconds),
        count(graph.report.nodes),
        count(graph.report.edges),
        outcome.manifest.generation
    );
    for index in &outcome.indexes {
        text += &format!(
            "index     {}: {} of {} sources walked again, {} steps\n",
            index.name,
            count(index.walked),
            count(index.sources),
            count(index.steps)
        );
    }
    print(&text)?;
    Ok(Outcome::Done)
}
