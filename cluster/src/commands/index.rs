//! `walkprint index`.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use walkprint_cluster::build::{BuildOptions, BuildOutcome, BuildProgress, ShardedCut, build_index_together};
use walkprint_cluster::error::Error;
use walkprint_cluster::processes::Processes;
use walkprint_cluster::telemetry::Standing;
use walkprint_engine::plan::Plan;
use walkprint_engine::store::Store;

use super::events::Events;
use crate::arguments::IndexArguments;
use crate::terminal::{
    Outcome, count, duration, half_of_memory, note, print, print_json, processors, progress_bar, size, stop_flag,
};

/// How often the account of a build says how far it is.
const EVENTS_EVERY: Duration = Duration::from_secs(1);
const ADVICE: &str = "what is sealed stays: run the same command with --resume";
const BAR: &str = "{spinner} walking {bar:32} {percent:>3} % of {len} nodes  {msg}  {eta:>4} left";

pub(crate) fn run(arguments: IndexArguments) -> anyhow::Result<Outcome> {
    let options = BuildOptions {
        name: arguments.name,
        plan: arguments.plan.plan(),
        workers: arguments.workers.unwrap_or_else(processors),
        memory_bytes: arguments.memory.unwrap_or_else(half_of_memory),
        graph: arguments.graph,
        cut: ShardedCut {
            longest_row: arguments.longest_row.unwrap_or(ShardedCut::default().longest_row),
            block_visits: arguments.block_visits,
            blocks: arguments.blocks,
        },
        resume: arguments.resume,
        replace: arguments.replace,
        timely_log: arguments.timely_log,
    };
    let mut events = Events::begin(arguments.events.as_deref())?;
    let stop = stop_flag()?;
    let agreement = agreement(&Store::open(&arguments.store)?, &options);
    let processes = arguments.together.join(options.workers, &agreement, ADVICE, &stop)?;
    let (me, traffic) = (processes.process(), processes.traffic());
    events.write(
        "begin",
        json!({ "process": me, "processes": processes.processes(), "workers": options.workers, "name": options.name,
            "plan": options.plan, "graph": options.graph.to_string(), "memory_bytes": options.memory_bytes }),
    )?;
    let built = index(processes, &arguments.store, &options, &stop, &mut events);
    match &built {
        Ok((Some(outcome), _)) => events.write(
            "end",
            json!({ "steps": outcome.steps, "rounds": outcome.rounds, "entries": outcome.entry.entries, "bytes": outcome.entry.bytes,
                "fingerprint_digest": outcome.entry.fingerprint_digest, "planned_bytes": outcome.planned_bytes,
                "sent_bytes": traffic.sent(), "received_bytes": traffic.received() }),
        )?,
        Ok((None, _)) => events.write("end", json!({}))?,
        Err(error) => events.write("end", json!({ "error": format!("{error:#}") }))?,
    }
    let (outcome, took) = built?;
    let Some(outcome) = outcome else {
        note(&format!("walkprint: process {me} is done; the index is in the store of process 0"));
        return Ok(Outcome::Done);
    };
    if arguments.json {
        print_json(&json!({
            "name": outcome.entry.name,
            "generation": outcome.entry.generation,
            "plan": outcome.entry.plan,
            "entries": outcome.entry.entries,
            "bytes": outcome.entry.bytes,
            "fingerprint_digest": outcome.entry.fingerprint_digest,
            "pipelines": outcome.entry.segments.len(),
            "resumed_pipelines": outcome.resumed_pipelines,
            "steps": outcome.steps,
            "planned_bytes": outcome.planned_bytes,
            "worker_seconds": outcome.worker_seconds,
            "sent_bytes": traffic.sent(),
            "received_bytes": traffic.received(),
            "seconds": took.as_secs_f64(),
        }))?;
    } else {
        print(&describe(&arguments.store, &outcome, took))?;
    }
    Ok(Outcome::Done)
}

/// What all processes of a build must have in common.
fn agreement(store: &Store, options: &BuildOptions) -> Vec<(&'static str, String)> {
    let how = match (options.resume, options.replace) {
        (false, false) => "index",
        (true, false) => "index --resume",
        (false, true) => "index --replace",
        (true, true) => "index --resume --replace",
    };
    vec![
        ("command", how.to_owned()),
        ("index (--name)", options.name.clone()),
        ("plan", describe_plan(&options.plan)),
        ("graph", store.manifest().graph.digest.clone()),
        ("way of building", format!("{:?}, {:?}", options.graph, options.cut)),
    ]
}

/// Builds with a progress bar.
pub(crate) fn index(
    processes: Processes,
    store: &Path,
    options: &BuildOptions,
    stop: &Arc<AtomicBool>,
    events: &mut Events,
) -> anyhow::Result<(Option<BuildOutcome>, Duration)> {
    let nodes = Store::open(store)?.manifest().graph.report.nodes;
    let progress = Arc::new(BuildProgress::default());
    let bar = progress_bar(nodes, BAR);
    let (began, mut told, mut unwritten) = (Instant::now(), Instant::now(), None);
    let alone = processes.processes() == 1;
    let mut tick = |progress: &BuildProgress| {
        if stop.load(Ordering::Relaxed) {
            progress.stop.store(true, Ordering::Relaxed);
            bar.set_message("stopping");
            return;
        }
        let seconds = began.elapsed().as_secs_f64();
        let standings = progress.standings.all();
        if events.are_wanted() && EVENTS_EVERY <= told.elapsed() {
            told = Instant::now();
            for (process, standing) in &standings {
                unwritten = unwritten.take().or(events.write("standing", standing_of(*process, standing)).err());
            }
            let sealed = json!({ "pipelines": progress.sealed.load(Ordering::Relaxed) });
            unwritten = unwritten.take().or(events.write("sealed_here", sealed).err());
        }
        if alone || standings.len() < 2 {
            let steps = progress.steps.load(Ordering::Relaxed) as f64 / seconds;
            bar.set_position(progress.sources.load(Ordering::Relaxed));
            bar.set_message(format!("{:.1} M steps/s", steps / 1e6));
            return;
        }
        // One line for all: what each walks, then what they have in common.
        bar.set_position(standings.values().map(|standing| standing.sources).sum());
        let rates = standings.values().map(|standing| format!("{:.1}", standing.steps as f64 / seconds / 1e6));
        let (sent, live, most) = standings.values().fold((0, 0, 0), |(sent, live, most), standing| {
            (sent + standing.sent_bytes, live + standing.live, standing.resident_bytes.max(most))
        });
        bar.set_message(format!(
            "{} M steps/s, {} groups under way, {} sent, {} resident at most",
            rates.collect::<Vec<_>>().join(" + "),
            count(live),
            size(sent),
            size(most)
        ));
    };
    let outcome = build_index_together(processes, store, options, &progress, &mut tick);
    bar.finish_and_clear();
    if matches!(outcome, Err(Error::Interrupted)) {
        let sealed = match progress.sealed.load(Ordering::Relaxed) {
            sealed if alone => format!("{sealed} pipelines are on the disk"),
            _ => "what is sealed stays".to_owned(),
        };
        note(&format!("walkprint: stopped; {sealed}. Go on with the same command and --resume"));
    }
    let outcome = outcome?;
    unwritten.map_or(Ok(()), Err)?;
    Ok((outcome, began.elapsed()))
}

/// What a process said of itself, for the account.
fn standing_of(process: usize, standing: &Standing) -> serde_json::Value {
    let Standing { sources, steps, live, sent_bytes, received_bytes, resident_bytes } = standing;
    json!({ "process": process, "sources": sources, "steps": steps, "live": live, "sent_bytes": sent_bytes,
        "received_bytes": received_bytes, "resident_bytes": resident_bytes })
}

fn describe(store: &Path, outcome: &BuildOutcome, took: Duration) -> String {
    let entry = &outcome.entry;
    let seconds = took.as_secs_f64();
    // A graph in shards is put together before it is asked.
    let next = match Store::open(store) {
        Ok(opened) if opened.is_sharded() => format!("walkprint gather {} --into OTHER", store.display()),
        _ => format!("walkprint query {} --seed ID", store.display()),
    };
    let per_entry = entry.bytes as f64 / entry.entries.max(1) as f64;
    let resumed = match outcome.resumed_pipelines {
        0 => String::new(),
        pipelines => format!(", {} of {} pipelines from before", pipelines, entry.segments.len()),
    };
    format!(
        "walked    {} steps in {} ({:.1} M steps/s{resumed})\n\
         index     {:?}, {}\n\
         stored    {} entries in {} ({per_entry:.2} bytes an entry), digest {}\n\
         next      {next}\n",
        count(outcome.steps),
        duration(took),
        outcome.steps as f64 / seconds / 1e6,
        entry.name,
        describe_plan(&entry.plan),
        count(entry.entries),
        size(entry.bytes),
        &entry.fingerprint_digest[..16],
    )
}

/// A plan in one line.
pub(crate) fn describe_plan(plan: &Plan) -> String {
    let Plan { restart_prob, walks, walks_per_edge, rng_key, big_moves } = plan;
    let paths = if *big_moves == 0 { String::new() } else { format!(", big moves where at most {big_moves} paths") };
    format!(
        "restart probability {restart_prob}, walks max({walks}, {walks_per_edge} x out-degree), key {rng_key}{paths}"
    )
}
