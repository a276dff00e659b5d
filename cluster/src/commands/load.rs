//! `walkprint load`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use anyhow::bail;
use serde_json::json;
use walkprint_cluster::error::Error;
use walkprint_cluster::live::waiting;
use walkprint_cluster::load::{
    HeldOut, InteractionJob, LoadJob, LoadOutcome, LoadPhase, check_order, imbalance, load_interactions, load_shards,
    load_store,
};
use walkprint_engine::graph::NodeOrder;
use walkprint_engine::store::{GraphEntry, Store};
use walkprint_loaders::interactions::{InteractionOptions, Preparation, are_interactions};
use walkprint_loaders::{LoadOptions, LoadReport, Malformed};

use crate::arguments::LoadArguments;
use crate::terminal::{Outcome, count, duration, note, print, print_json, processors, progress_bar, size, stop_flag};

const ADVICE: &str = "the store is as it was: run the same command again";
const BAR: &str = "{spinner} {msg:<12} {bar:32} {bytes:>10}/{total_bytes:<10} {bytes_per_sec:>12}  {eta:>4} left";

pub(crate) fn run(arguments: LoadArguments) -> anyhow::Result<Outcome> {
    let in_shards = arguments.shards.is_some() || arguments.together.are_given();
    let columns = LoadOptions {
        format: arguments.format,
        source_col: arguments.source_col.clone(),
        target_col: arguments.target_col.clone(),
        weight_col: arguments.weight_col.clone(),
        ..LoadOptions::default()
    };
    if are_interactions(&arguments.inputs, &columns)? {
        if in_shards {
            bail!("interactions of users with items are loaded by one process: leave out --hosts and --shards");
        }
        if arguments.malformed == Malformed::Skip {
            bail!("--malformed skip: lines of interactions are not skipped; leave it out, and mend or cut the file");
        }
        return run_interactions(arguments, &columns);
    }
    if let Some(option) = arguments.interactions.given() {
        bail!(
            "{option} is for users and items: the input needs columns user_id and item_id, or --format lightgcn, recbole or interactions"
        );
    }
    let job = LoadJob {
        inputs: arguments.inputs,
        options: LoadOptions {
            format: arguments.format,
            undirected: arguments.undirected,
            source_col: arguments.source_col,
            target_col: arguments.target_col,
            weight_col: arguments.weight_col,
            type_col: arguments.type_col,
            node_types: arguments.node_types,
            malformed: arguments.malformed,
            inverse: arguments.inverse,
            literals: arguments.literals,
            synonyms: arguments.synonyms,
            type_weights: arguments.edge_weights.into_iter().collect::<BTreeMap<_, _>>(),
            threads: arguments.workers.unwrap_or_else(processors),
            memory_bytes: arguments.memory,
        },
        order: arguments.order.unwrap_or(if in_shards { NodeOrder::Id } else { NodeOrder::default() }),
        replace: arguments.replace,
    };
    let stop = stop_flag()?;
    let before = waiting_at(&arguments.into);
    let outcome = if in_shards {
        check_order(&job)?;
        // A worker reads with threads of its own: there is one for each shard.
        let workers = arguments.shards.unwrap_or(1);
        let processes = arguments.together.join(workers, &agreement(&job), ADVICE, &stop)?;
        let me = processes.process();
        let outcome = watched(|watch| load_shards(&arguments.into, &job, processes, &stop, watch))?;
        if me != 0 {
            note(&format!("walkprint: process {me} is done: its shard is in {}", arguments.into.display()));
            return Ok(Outcome::Done);
        }
        outcome
    } else {
        load(&arguments.into, &job, &stop)?
    };
    note_dropped(&arguments.into, before);
    show(&arguments.into, &outcome, arguments.json)?;
    Ok(Outcome::Done)
}

/// How many events wait in a store that is about to be loaded over. What cannot be read has none.
fn waiting_at(store: &Path) -> u64 {
    Store::open(store).ok().and_then(|store| waiting(&store).ok()).unwrap_or(0)
}

/// Says that events have gone with the graph that they were sent for.
fn note_dropped(store: &Path, before: u64) {
    let is_there = Store::open(store).is_ok_and(|store| store.manifest().live.is_some());
    if before != 0 && !is_there {
        let (store, events) = (store.display(), count(before));
        note(&format!(
            "walkprint: {store}: {events} events that the graph before had not absorbed were dropped with it; send them again if \
             they are meant for this one"
        ));
    }
}

/// Prints what was done.
fn show(store: &Path, outcome: &LoadOutcome, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        print_json(&json!({
            "store": store.display().to_string(),
            "read": outcome.read,
            "graph": outcome.graph.report,
            "digest": outcome.graph.digest,
            "bytes": stored_bytes(&outcome.graph),
            "shards": outcome.graph.shards,
            "seconds": {
                "reading": outcome.reading.as_secs_f64(),
                "building": outcome.building.as_secs_f64(),
                "writing": outcome.writing.as_secs_f64(),
            },
        }))?;
    } else {
        print(&describe(store, outcome))?;
    }
    Ok(())
}

/// Loads users and items.
fn run_interactions(arguments: LoadArguments, columns: &LoadOptions) -> anyhow::Result<Outcome> {
    let only_edges = [
        (arguments.undirected, "--undirected: interactions are walked both ways"),
        (arguments.type_col.is_some(), "--type-col: interactions have no types"),
        (!arguments.edge_weights.is_empty(), "--edge-weights: interactions have no types"),
        (arguments.node_types.is_some(), "--node-types: nodes are users and items"),
    ];
    if let Some((_, why)) = only_edges.into_iter().find(|(given, _)| *given) {
        bail!("leave out {why}");
    }
    let more = arguments.interactions;
    let held_out =
        more.hold_out.zip(more.held_out).map(|(which, file)| HeldOut { which, key: more.hold_out_key, file });
    let job = InteractionJob {
        inputs: arguments.inputs,
        options: InteractionOptions {
            time_col: more.time_col,
            min_rating: more.min_rating,
            ..InteractionOptions::of(columns)
        },
        preparation: Preparation {
            implicit: more.implicit,
            half_life: more.half_life,
            as_of: more.as_of,
            duplicates: more.duplicates,
        },
        held_out,
        order: arguments.order.unwrap_or_default(),
        replace: arguments.replace,
    };
    let stop = stop_flag()?;
    let before = waiting_at(&arguments.into);
    let outcome = watched(|watch| load_interactions(&arguments.into, &job, &stop, watch))?;
    note_dropped(&arguments.into, before);
    show(&arguments.into, &outcome, arguments.json)?;
    Ok(Outcome::Done)
}

/// What all processes of a load must have in common.
fn agreement(job: &LoadJob) -> Vec<(&'static str, String)> {
    // Files may lie elsewhere, and threads and memory differ; what is read of the files must not.
    let inputs = job.inputs.len();
    let options = LoadOptions { threads: 1, memory_bytes: None, node_types: None, ..job.options.clone() };
    vec![
        ("command", if job.replace { "load --replace" } else { "load" }.to_owned()),
        ("number of inputs", inputs.to_string()),
        (
            "way of reading (--format, --undirected, columns, --edge-weights, --malformed, --inverse, --literals)",
            format!("{options:?}"),
        ),
        ("types of nodes (--node-types)", if job.options.node_types.is_some() { "given" } else { "none" }.to_owned()),
        ("order of nodes (--order)", job.order.to_string()),
    ]
}

/// Loads with a progress bar.
pub(crate) fn load(store: &Path, job: &LoadJob, stop: &AtomicBool) -> anyhow::Result<LoadOutcome> {
    watched(|watch| load_store(store, job, stop, watch))
}

fn watched(
    load: impl FnOnce(&(dyn Fn(LoadPhase) + Sync)) -> Result<LoadOutcome, Error>,
) -> anyhow::Result<LoadOutcome> {
    let bar = progress_bar(0, BAR);
    let outcome = load(&|phase| match phase {
        LoadPhase::Reading(progress) => {
            bar.set_message("reading");
            bar.set_length(progress.bytes_total);
            bar.set_position(progress.bytes_read);
        }
        LoadPhase::Building => bar.set_message("building"),
        LoadPhase::Writing => bar.set_message("writing"),
    });
    bar.finish_and_clear();
    Ok(outcome?)
}

/// The report for people.
fn describe(store: &Path, outcome: &LoadOutcome) -> String {
    let LoadOutcome { read, graph, reading, building, writing } = outcome;
    let report = &graph.report;
    let rate = |bytes: u64, seconds: f64| format!("{:.0} MB/s", bytes as f64 / 1e6 / seconds.max(1e-9));
    let mut lines = vec![format!(
        "read      {} edges from {} lines as {}, {} in {} ({})",
        count(read.edges_read),
        count(read.lines),
        read.format,
        size(read.bytes_parsed),
        duration(*reading),
        rate(read.bytes_parsed, reading.as_secs_f64())
    )];
    if read.malformed != 0 {
        lines.push(format!("skipped   {} malformed, as asked for", count(read.malformed)));
    }
    lines.push(match (&read.weight_column, read.weight_min, read.weight_max) {
        (Some(column), Some(min), Some(max)) => format!("weights   {column}, from {min} to {max}"),
        (Some(column), ..) => format!("weights   {column}"),
        (None, ..) if report.weighted && read.types_used => "weights   by type".into(),
        (None, ..) if report.weighted => "weights   none, but parallel edges add up: their number is the weight".into(),
        (None, ..) => "weights   none: every edge weighs 1".into(),
    });
    lines.extend(describe_types(read, report.nodes));
    lines.extend(read.notes.iter().map(|text| format!("note      {text}")));
    let mut odd = Vec::new();
    for (number, what) in [
        (report.parallel_edges_merged, "parallel edges added up"),
        (report.self_loops, "self-loops"),
        (report.zero_weight_edges, "edges of weight 0 left out"),
        (report.dangling_nodes, "nodes without out-edges"),
    ] {
        if number != 0 {
            odd.push(format!("{} {what}", count(number)));
        }
    }
    lines.push(format!(
        "graph     {} nodes, {} directed edges, {}; largest out-degree {}",
        count(report.nodes),
        count(report.edges),
        if report.weighted { "weighted" } else { "unweighted" },
        count(report.largest_degree)
    ));
    if !odd.is_empty() {
        lines.push(format!("          {}", odd.join(", ")));
    }
    let bytes = stored_bytes(graph);
    lines.push(format!(
        "stored    {} in {} ({} order, built in {}, written in {}, {})",
        store.display(),
        size(bytes),
        report.order,
        duration(*building),
        duration(*writing),
        rate(bytes, writing.as_secs_f64())
    ));
    let store = store.display();
    lines.push(match graph.shards.len() {
        0 if read.format.holds_interactions() => {
            format!("next      walkprint recommend {store} --all --out recommendations.parquet")
        }
        0 => format!("next      walkprint index {store}"),
        shards => format!(
            "shards    {shards}, the largest {:.2} times the mean\n\
             next      walkprint index {store}, or walkprint gather {store} --into OTHER",
            imbalance(&graph.shards)
        ),
    });
    lines.join("\n") + "\n"
}

fn stored_bytes(graph: &GraphEntry) -> u64 {
    let passages = graph.passages.as_ref().map_or(0, |passages| passages.bytes);
    graph.bytes + graph.labels_bytes + graph.types_bytes() + passages
}

/// How many nodes and edges have types, if any has.
fn describe_types(read: &LoadReport, nodes: u64) -> Option<String> {
    let plural = |count: u64| if count == 1 { "" } else { "s" };
    let edges = (read.edge_types != 0).then(|| {
        let (types, edges) = (read.edge_types, read.typed_edges);
        format!("{} type{} on {} edges", count(types), plural(types), count(edges))
    });
    let nodes = (read.node_types != 0).then(|| {
        let types = read.node_types;
        format!("{} type{} on {} of {} nodes", count(types), plural(types), count(read.typed_nodes), count(nodes))
    });
    let all: Vec<String> = edges.into_iter().chain(nodes).collect();
    (!all.is_empty()).then(|| format!("types     {}", all.join("; ")))
}
