//! `walkprint batch`.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::bail;
use comfy_table::{CellAlignment, Table, presets};
use serde_json::json;
use walkprint_cluster::batch::{
    BatchOptions, BatchOutcome, BatchProgress, Pilot, agreement, run_batch_together, run_sharded_batch,
};
use walkprint_cluster::error::Error;
use walkprint_cluster::graph_mode::GraphMode;
use walkprint_cluster::processes::Processes;
use walkprint_engine::store::Store;

use crate::arguments::BatchArguments;
use crate::terminal::{
    Outcome, count, duration, half_of_memory, note, note_waiting, print, print_json, processors, progress_bar, size,
    stop_flag,
};

const ADVICE: &str = "what is sealed stays: run the same command with --resume";
const BAR: &str = "{spinner} answering {bar:32} {percent:>3} % of {len} nodes  {msg}  {eta:>4} left";

pub(crate) fn run(arguments: BatchArguments) -> anyhow::Result<Outcome> {
    let shape = {
        let store = Store::open(&arguments.store)?;
        note_waiting(&store)?;
        match store.is_sharded() {
            // Nobody may have all ids yet; what is asked for beyond them is refused there.
            true => arguments.asked.shape.shape_without_nodes()?,
            false => arguments.asked.shape.shape(&store, &store.labels()?)?,
        }
    };
    let options = BatchOptions {
        sources: arguments.sources,
        unknown: arguments.unknown,
        top: arguments.top,
        out: arguments.out,
        format: arguments.format,
        method: arguments.method,
        precision: arguments.asked.precision(arguments.method),
        dangling: arguments.asked.dangling,
        shape,
        index: arguments.asked.index,
        restart_prob: arguments.asked.restart.given(),
        rows_per_file: arguments.rows_per_file,
        workers: arguments.workers.unwrap_or_else(processors),
        memory_bytes: arguments.memory.unwrap_or_else(half_of_memory),
        resume: arguments.resume,
        replace: arguments.replace,
    };
    let stop = stop_flag()?;
    let store = Store::open(&arguments.store)?;
    note_waiting(&store)?;
    let sharded = match arguments.graph {
        GraphMode::Auto => store.is_sharded(),
        GraphMode::Replicated if store.is_sharded() => bail!(
            "{}: its graph lies in shards, which only --graph sharded can read as they are; bring them together with \
             `walkprint gather`",
            arguments.store.display()
        ),
        given => given == GraphMode::Sharded,
    };
    let agreement = agreement(&store, &options, sharded);
    let processes = arguments.together.join(options.workers, &agreement, ADVICE, &stop)?;
    let (outcome, took) = batch(&arguments.store, &options, &processes, sharded, &stop);
    let me = processes.process();
    let Some(outcome) = processes.finish(outcome)? else {
        note(&format!("walkprint: process {me} is done; process 0 has written the answers"));
        return Ok(Outcome::Done);
    };
    if arguments.json {
        print_json(&as_json(&options, &outcome, took))?;
    } else {
        print(&describe(&options, &outcome))?;
    }
    Ok(Outcome::Done)
}

/// Answers with a progress bar. What the pilot measured is shown as soon as it is known.
fn batch(
    store: &Path,
    options: &BatchOptions,
    processes: &Processes,
    sharded: bool,
    stop: &AtomicBool,
) -> (Result<Option<BatchOutcome>, Error>, Duration) {
    let helps = processes.process() != 0;
    let progress = Arc::new(BatchProgress::default());
    let bar = progress_bar(0, BAR);
    let began = Instant::now();
    let mut answering_since = None;
    let mut shown = false;
    let mut tick = |progress: &BatchProgress| {
        if helps {
            leave(progress, stop);
        }
        if stop.load(Ordering::Relaxed) {
            progress.stop.store(true, Ordering::Relaxed);
            bar.set_message("stopping");
            return;
        }
        if let Some(pilot) = progress.pilot.get().filter(|_| !shown) {
            bar.suspend(|| note(&prediction(pilot)));
            shown = true;
        }
        bar.set_length(progress.all_sources.load(Ordering::Relaxed));
        bar.set_position(progress.sources.load(Ordering::Relaxed));
        let rows = progress.rows.load(Ordering::Relaxed);
        if rows == 0 {
            bar.set_message("measuring what is fastest");
            return;
        }
        let since: &mut Instant = answering_since.get_or_insert_with(|| {
            bar.reset_eta();
            Instant::now()
        });
        let seconds = since.elapsed().as_secs_f64().max(0.1);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate for people")]
        bar.set_message(format!("{} rows/s", count((rows as f64 / seconds) as u64)));
    };
    let run = if sharded { run_sharded_batch } else { run_batch_together };
    let outcome = run(store, options, processes, &progress, &mut tick);
    bar.finish_and_clear();
    let sealed = progress.sealed.load(Ordering::Relaxed);
    match &outcome {
        Err(Error::Interrupted) if sealed == 0 => note("walkprint: stopped; no part was complete"),
        Err(_) if 0 < sealed => note(&format!(
            "walkprint: stopped; {sealed} parts are on the disk. Go on with the same command and --resume"
        )),
        _ => {}
    }
    (outcome, began.elapsed())
}

/// Ends a process that helps when it is to stop, or something went wrong: the others wait for it, find that it has gone, and
/// say so.
fn leave(progress: &BatchProgress, stop: &AtomicBool) {
    if let Some(what) = progress.failed.get() {
        note(&format!("walkprint: {what}"));
        std::process::exit(2);
    }
    if stop.load(Ordering::Relaxed) {
        note("walkprint: stopped");
        std::process::exit(130);
    }
}

/// What every method would take.
fn prediction(pilot: &Pilot) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(["method", "ms per source", "predicted total", "estimated L1", ""]);
    for measured in &pilot.measured {
        table.add_row([
            measured.method.to_string(),
            format!("{:.3}", measured.seconds_per_source * 1e3),
            duration(Duration::from_secs_f64(measured.predicted_seconds)),
            format!("{:.1e}", measured.estimated_l1),
            (if measured.method == pilot.chosen { "taken" } else { "" }).into(),
        ]);
    }
    for column in 1..4 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

fn as_json(options: &BatchOptions, outcome: &BatchOutcome, took: Duration) -> serde_json::Value {
    let methods = |pilot: &Pilot| -> Vec<_> {
        let methods = pilot.measured.iter().map(|measured| {
            json!({
                "method": measured.method,
                "seconds_per_source": measured.seconds_per_source,
                "predicted_seconds": measured.predicted_seconds,
                "estimated_l1": measured.estimated_l1,
                "sampled": measured.sampled,
            })
        });
        methods.collect()
    };
    json!({
        "out": options.out.display().to_string(),
        "format": options.format,
        "sources": outcome.sources,
        "skipped_unknown": outcome.skipped_unknown,
        "top": options.top,
        "rows": outcome.rows,
        "bytes": outcome.bytes,
        "parts": outcome.parts,
        "resumed_parts": outcome.resumed_parts,
        "truncated_sources": outcome.truncated_sources,
        "method": outcome.method,
        "dangling": options.dangling,
        "index": outcome.index,
        "restart_prob": outcome.restart_prob,
        "pilot": outcome.pilot.as_ref().map(|pilot| json!({
            "seconds": pilot.seconds,
            "chosen": pilot.chosen,
            "methods": methods(pilot),
        })),
        "predicted_seconds": outcome.predicted_seconds(),
        "answering_seconds": outcome.seconds,
        "seconds": took.as_secs_f64(),
        "planned_bytes": outcome.planned_bytes,
    })
}

fn describe(options: &BatchOptions, outcome: &BatchOutcome) -> String {
    let seconds = Duration::from_secs_f64(outcome.seconds);
    let predicted = outcome.predicted_seconds().map(Duration::from_secs_f64);
    let predicted = predicted.map_or(String::new(), |predicted| format!(", predicted {}", duration(predicted)));
    let resumed = match outcome.resumed_parts {
        0 => String::new(),
        parts => format!("; {parts} of {} parts from before", outcome.parts),
    };
    let skipped = match outcome.skipped_unknown {
        0 => String::new(),
        skipped => format!("; {} ids that are no nodes left out", count(skipped)),
    };
    let truncated = match outcome.truncated_sources {
        0 => String::new(),
        sources => format!("; {} sources have fewer than {} results", count(sources), options.top),
    };
    let with = outcome.index.as_ref().map_or(String::new(), |name| format!(" with index {name:?}"));
    format!(
        "answered  {} sources by {}{with}, restart probability {}, dangling {}{skipped}\n\
         took      {}{predicted}{resumed}\n\
         rows      {}{truncated}\n\
         files     {} in {} parts: {}\n",
        count(outcome.sources),
        outcome.method,
        outcome.restart_prob,
        options.dangling,
        duration(seconds),
        count(outcome.rows),
        size(outcome.bytes),
        outcome.parts,
        options.out.display(),
    )
}
