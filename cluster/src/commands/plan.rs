//! `walkprint plan`: what an index would take, measured on a sample of its sources.

use serde_json::json;
use walkprint_cluster::build::estimate;
use walkprint_engine::plan::USUAL_THRESHOLD;
use walkprint_engine::store::Store;

use crate::arguments::PlanArguments;
use crate::terminal::{Outcome, count, duration, print, print_json, processors, size};

pub(crate) fn run(arguments: PlanArguments) -> anyhow::Result<Outcome> {
    let plan = arguments.plan.plan();
    let workers = arguments.workers.unwrap_or_else(processors);
    let store = Store::open(&arguments.store)?;
    let estimate = estimate(&store, &plan, workers)?;
    if arguments.json {
        print_json(&json!({
            "plan": plan,
            "workers": workers,
            "walks": estimate.walks,
            "pipelines": estimate.pipelines,
            "sampled_sources": estimate.sampled_sources,
            "precision": plan.precision_of(USUAL_THRESHOLD),
            "steps": estimate.steps,
            "entries": estimate.entries,
            "bytes": estimate.bytes,
            "memory_bytes": estimate.memory_bytes,
            "least_memory_bytes": estimate.least_memory_bytes,
            "seconds": estimate.time.as_secs_f64(),
        }))?;
        return Ok(Outcome::Done);
    }
    print(&format!(
        "walks     {} from {} nodes (--walks {} --walks-per-edge {}), in {} pipelines\n\
         precision an L1 error of about {:.2} from fingerprints after the usual pushing; questions may ask for less\n\
         steps     about {}, {} with {workers} workers on this machine\n\
         disk      about {} for {} entries\n\
         memory    {} at best, {} at least (--memory)\n\
         from a sample of {} nodes\n",
        count(estimate.walks),
        count(store.manifest().graph.report.nodes),
        plan.walks,
        plan.walks_per_edge,
        count(estimate.pipelines as u64),
        plan.precision_of(USUAL_THRESHOLD),
        count(estimate.steps),
        duration(estimate.time),
        size(estimate.bytes),
        count(estimate.entries),
        size(estimate.memory_bytes),
        size(estimate.least_memory_bytes),
        count(estimate.sampled_sources),
    ))?;
    Ok(Outcome::Done)
}
