//! Numbers for operators, as Prometheus reads them.
//!
//! | metric | labels | what |
//! |---|---|---|
//! | `walkprint_requests_total` | `route`, `status` | requests that were answered |
//! | `walkprint_request_seconds` | `route` | from the first byte of a request to its answer, histogram |
//! | `walkprint_stage_seconds` | `stage`: queue, resolve, answer, explain, print | what a question's time went to, histogram |
//! | `walkprint_answers_total` | `method` | questions by the method that was chosen |
//! | `walkprint_seeds` | | seeds of a question, histogram |
//! | `walkprint_rejected_total` | `cause` | requests that were not answered, by the name of the problem |
//! | `walkprint_events_total` | `outcome`: taken, repeated, refused | events that were sent; a batch that is refused counts once |
//! | `walkprint_absorb_seconds` | | what it took to keep and count the batches that were taken together, histogram |
//! | `walkprint_compactions_total` | `outcome`: done, failed | generations that were made to absorb events |
//! | `walkprint_queue_length` | `queue`: short, long, events | what waits for a thread, or to be taken |
//! | `walkprint_requests_under_way`, `walkprint_connections` | | at this moment |
//! | `walkprint_open_stores` | | stores that are open |
//! | `walkprint_store_generation` | `store` | the generation that answers |
//! | `walkprint_store_events` | `store` | events that count and that this generation has not absorbed |
//! | `walkprint_store_refused` | `store` | 1 while a newer generation was refused |
//! | `walkprint_mapped_bytes` | `store`, `state`: mapped, resident | memory maps of its files |
//! | `walkprint_resident_bytes` | | the whole process |

use std::sync::Arc;
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use walkprint_engine::query::Method;

use super::app::App;
use super::intake::Receipt;
use super::problem::Problem;
use super::residency::{self, Mapped};
use super::shelf::Shelf;
use super::world::Counted;
use crate::telemetry::resident_bytes;

/// Bounds of the buckets of times, in seconds.
const SECONDS: [f64; 16] =
    [5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];
/// Bounds of the buckets of seeds.
const SEEDS: [f64; 8] = [1.0, 2.0, 5.0, 10.0, 100.0, 1_000.0, 10_000.0, 100_000.0];

/// What a question's time went to.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Stages {
    pub(super) queue: Duration,
    pub(super) resolve: Duration,
    pub(super) answer: Duration,
    pub(super) explain: Duration,
    pub(super) print: Duration,
}

/// What counts and measures.
pub(super) struct Metering {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    parts: Parts,
}

/// What is found again without looking it up.
struct Parts {
    /// queue, resolve, answer, explain, print
    stages: [Histogram; 5],
    seeds: Histogram,
    under_way: Gauge,
    connections: Gauge,
}

impl Metering {
    pub(super) fn new() -> Result<Metering, BuildError> {
        let ends_in_seconds = Matcher::Suffix("_seconds".to_owned());
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(ends_in_seconds, &SECONDS)?
            .set_buckets_for_metric(Matcher::Full("walkprint_seeds".to_owned()), &SEEDS)?
            .build_recorder();
        let handle = recorder.handle();
        let stage = |name: &'static str| metrics::histogram!("walkprint_stage_seconds", "stage" => name);
        let parts = metrics::with_local_recorder(&recorder, || {
            describe();
            Parts {
                stages: ["queue", "resolve", "answer", "explain", "print"].map(stage),
                seeds: metrics::histogram!("walkprint_seeds"),
                under_way: metrics::gauge!("walkprint_requests_under_way"),
                connections: metrics::gauge!("walkprint_connections"),
            }
        });
        Ok(Metering { recorder, handle, parts })
    }

    /// A request that was answered, well or not.
    pub(super) fn request(&self, route: &str, status: u16, took: Duration) {
        let (requests, seconds): (Counter, Histogram) = metrics::with_local_recorder(&self.recorder, || {
            let route = route.to_owned();
            (
                metrics::counter!("walkprint_requests_total", "route" => route.clone(), "status" => status.to_string()),
                metrics::histogram!("walkprint_request_seconds", "route" => route),
            )
        });
        requests.increment(1);
        seconds.record(took.as_secs_f64());
    }

    /// A request that was not answered.
    pub(super) fn rejected(&self, cause: &'static str) {
        metrics::with_local_recorder(
            &self.recorder,
            || metrics::counter!("walkprint_rejected_total", "cause" => cause),
        )
        .increment(1);
    }

    /// A question that was answered.
    pub(super) fn answered(&self, method: Method, seeds: usize, stages: &Stages) {
        let name = match method {
            Method::Auto => "auto",
            Method::Lookup => "lookup",
            Method::Combine => "combine",
            Method::Exact => "exact",
            Method::Block => "block",
        };
        metrics::with_local_recorder(&self.recorder, || metrics::counter!("walkprint_answers_total", "method" => name))
            .increment(1);
        self.parts.seeds.record(seeds as f64);
        let Stages { queue, resolve, answer, explain, print } = *stages;
        for (histogram, took) in self.parts.stages.iter().zip([queue, resolve, answer, explain, print]) {
            // Most questions want no explanation.
            if !took.is_zero() {
                histogram.record(took.as_secs_f64());
            }
        }
    }

    /// Batches of events that were taken together, or not.
    pub(super) fn absorbed(&self, outcomes: &[Result<Receipt, Problem>], took: Duration) {
        let (mut taken, mut repeated, mut refused) = (0, 0, 0);
        for outcome in outcomes {
            match outcome {
                Ok(receipt) => (taken, repeated) = (taken + receipt.taken.taken, repeated + receipt.taken.repeated),
                Err(_) => refused += 1,
            }
        }
        metrics::with_local_recorder(&self.recorder, || {
            for (outcome, count) in [("taken", taken), ("repeated", repeated), ("refused", refused)] {
                metrics::counter!("walkprint_events_total", "outcome" => outcome).increment(count);
            }
            metrics::histogram!("walkprint_absorb_seconds").record(took.as_secs_f64());
        });
    }

    /// A compaction that came to its end, or did not.
    pub(super) fn compacted(&self, is_done: bool) {
        let outcome = if is_done { "done" } else { "failed" };
        metrics::with_local_recorder(&self.recorder, || {
            metrics::counter!("walkprint_compactions_total", "outcome" => outcome).increment(1);
        });
    }

    /// Keeps histograms from growing; to be called about once a second.
    pub(super) fn upkeep(&self) {
        self.handle.run_upkeep();
    }

    /// Everything, as text. Cost: the list of this process's memory maps is read, some milliseconds.
    pub(super) fn render(&self, app: &App) -> String {
        let (short, long) = app.compute.waiting();
        let shelves = app.catalog.open_now();
        self.parts.under_way.set(app.under_way() as f64);
        self.parts.connections.set(app.connections() as f64);
        let directories: Vec<_> = shelves.iter().map(|shelf| shelf.world().path().to_owned()).collect();
        let maps = residency::of_directories(&directories);
        metrics::with_local_recorder(&self.recorder, || {
            metrics::gauge!("walkprint_queue_length", "queue" => "short").set(short as f64);
            metrics::gauge!("walkprint_queue_length", "queue" => "long").set(long as f64);
            let events: usize = shelves.iter().map(|shelf| shelf.intake.len()).sum();
            metrics::gauge!("walkprint_queue_length", "queue" => "events").set(events as f64);
            metrics::gauge!("walkprint_open_stores").set(shelves.len() as f64);
            metrics::gauge!("walkprint_resident_bytes").set(resident_bytes() as f64);
        });
        self.handle.render() + &of_stores(&shelves, &maps)
    }
}

/// What is told of each open store. **A store that was closed is not told of any more**, so that thousands of tenants leave nothing
/// behind; a registry of numbers would keep all that it ever had. (Test: `tests/tests/server_generations.rs`.) Names of stores have no sign that
/// would have to be escaped.
fn of_stores(shelves: &[Arc<Shelf>], maps: &[Mapped]) -> String {
    let (mut generations, mut refusals, mut mapped, mut events) =
        (String::new(), String::new(), String::new(), String::new());
    for (shelf, maps) in shelves.iter().zip(maps) {
        let (name, refused) = (shelf.name(), u8::from(shelf.refused().is_some()));
        generations += &format!("walkprint_store_generation{{store=\"{name}\"}} {}\n", shelf.world().generation());
        if let Counted { events: waiting, sequence: Some(_) } = shelf.world().counted() {
            events += &format!("walkprint_store_events{{store=\"{name}\"}} {waiting}\n");
        }
        refusals += &format!("walkprint_store_refused{{store=\"{name}\"}} {refused}\n");
        for (state, bytes) in [("mapped", maps.mapped), ("resident", maps.resident)] {
            mapped += &format!("walkprint_mapped_bytes{{store=\"{name}\",state=\"{state}\"}} {bytes}\n");
        }
    }
    [
        ("walkprint_store_generation", "The generation that answers", generations),
        ("walkprint_store_events", "Events that this generation has not absorbed", events),
        ("walkprint_store_refused", "1 while a newer generation was refused", refusals),
        ("walkprint_mapped_bytes", "Memory maps of a store's files", mapped),
    ]
    .into_iter()
    .filter(|(.., lines)| !lines.is_empty())
    .map(|(name, what, lines)| format!("# HELP {name} {what}\n# TYPE {name} gauge\n{lines}\n"))
    .collect()
}

fn describe() {
    metrics::describe_counter!("walkprint_requests_total", "Requests that were answered");
    metrics::describe_histogram!("walkprint_request_seconds", "From the first byte of a request to its answer");
    metrics::describe_histogram!("walkprint_stage_seconds", "What a question's time went to");
    metrics::describe_counter!("walkprint_answers_total", "Questions by the method that was chosen");
    metrics::describe_histogram!("walkprint_seeds", "Seeds of a question");
    metrics::describe_counter!("walkprint_rejected_total", "Requests that were not answered, by cause");
    metrics::describe_counter!("walkprint_events_total", "Events that were sent, by what became of them");
    metrics::describe_histogram!(
        "walkprint_absorb_seconds",
        "Keeping and counting batches of events that were taken together"
    );
    metrics::describe_counter!("walkprint_compactions_total", "Generations that were made to absorb events");
    metrics::describe_gauge!("walkprint_queue_length", "What waits for a thread, or to be taken");
    metrics::describe_gauge!("walkprint_requests_under_way", "Requests that are being answered");
    metrics::describe_gauge!("walkprint_connections", "Open connections");
    metrics::describe_gauge!("walkprint_open_stores", "Stores that are open");
    metrics::describe_gauge!("walkprint_resident_bytes", "Resident memory of the process");
}
