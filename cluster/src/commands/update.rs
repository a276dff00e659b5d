//! `walkprint update`: events for a graph that lives.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Instant;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use serde_json::json;
use walkprint_cluster::error::Error;
use walkprint_cluster::live::{Fsync, LogOptions, Missing, Taken, Taker, begin_decay};
use walkprint_engine::events::Decay;
use walkprint_engine::store::Store;
use walkprint_loaders::events::{EventBatch, EventFormat, EventOptions, EventReader};

use crate::arguments::seconds;
use crate::terminal::{Outcome, count, duration, note, print, print_json, size, stop_flag};

#[derive(Debug, Args)]
pub(crate) struct UpdateArguments {
    /// The store
    store: PathBuf,
    /// Files of events, in this order; `-` is standard input
    #[arg(long = "edges", alias = "events", value_name = "FILE", required = true, num_args = 1..)]
    inputs: Vec<PathBuf>,
    /// The format [default: by name and content]
    #[arg(long)]
    format: Option<EventFormat>,
    /// Each event of an edge counts for the edge back as well
    #[arg(long)]
    undirected: bool,
    /// The column of the sources
    #[arg(long, value_name = "COLUMN")]
    source_col: Option<String>,
    /// The column of the targets
    #[arg(long, value_name = "COLUMN")]
    target_col: Option<String>,
    /// The column of the weights
    #[arg(long, value_name = "COLUMN")]
    weight_col: Option<String>,
    /// The column of the types
    #[arg(long, value_name = "COLUMN")]
    type_col: Option<String>,
    /// The column of the operations: add, remove or set
    #[arg(long, value_name = "COLUMN")]
    op_col: Option<String>,
    /// The column of the times
    #[arg(long, value_name = "COLUMN")]
    time_col: Option<String>,
    /// The column of the ids of events; one that comes again counts once
    #[arg(long, value_name = "COLUMN")]
    event_id_col: Option<String>,
    /// Halve what weights are worth with every such time of their age: 30d, 12h, or seconds. Said before the first event; later ones
    /// follow
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    half_life: Option<f64>,
    /// The time as of which the weights of the loaded graph count [default: that of the first event]
    #[arg(long, value_name = "TIME", requires = "half_life", allow_negative_numbers = true)]
    decay_from: Option<f64>,
    /// What to do about an event that removes what is not there
    #[arg(long, default_value_t, value_name = "refuse|ignore")]
    missing: Missing,
    /// How many events are kept with one write to the disk
    #[arg(long, default_value_t = 10_000, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    batch: u32,
    /// Whether events are on the disk before they count; never: a power cut may lose the last seconds, or damage the log
    #[arg(long, default_value_t, value_name = "always|never")]
    fsync: Fsync,
    /// Threads of the dataflow
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    workers: u16,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
}

/// Opens what takes events for a store, and says what a killed program left of a batch.
pub(super) fn open(store: &Path, log: LogOptions, workers: usize) -> anyhow::Result<Taker> {
    let (taker, opened) = Taker::open(store, log, workers)?;
    if let Some(torn) = opened.cut {
        note(&format!("walkprint: {torn}; it was never acknowledged, and has been cut off"));
    }
    Ok(taker)
}

pub(crate) fn run(arguments: UpdateArguments) -> anyhow::Result<Outcome> {
    let options = EventOptions {
        format: arguments.format,
        source_col: arguments.source_col,
        target_col: arguments.target_col,
        weight_col: arguments.weight_col,
        type_col: arguments.type_col,
        op_col: arguments.op_col,
        time_col: arguments.time_col,
        event_id_col: arguments.event_id_col,
        undirected: arguments.undirected,
        batch_events: arguments.batch as usize,
    };
    let stop = stop_flag()?;
    let log = LogOptions { fsync: arguments.fsync, ..LogOptions::default() };
    let began = Instant::now();
    let mut inputs = Inputs::new(&arguments.inputs, &options);
    if let Some(half_life) = arguments.half_life {
        let own = Store::open(&arguments.store)?.manifest().live.as_ref().and_then(|live| live.decay);
        let from = match arguments.decay_from.or(own.map(|own| own.from)) {
            Some(from) => from,
            None => inputs.first_time()?,
        };
        begin_decay(&arguments.store, Decay::new(half_life, from)?)?;
    }
    let mut taker = open(&arguments.store, log, arguments.workers.into())?;
    let mut all = Taken::default();
    // What cannot be taken ends it; what comes before is kept, so that one can go on from there.
    let ended = |why: anyhow::Error, all: &Taken| match all.taken + all.repeated {
        0 => anyhow!("{why:#}; no event was taken"),
        before => anyhow!("{why:#}; the {} events before it are kept", count(before)),
    };
    while let Some(batch) = inputs.next_batch().map_err(|error| ended(error, &all))? {
        if stop.load(Ordering::Relaxed) {
            note(&format!("walkprint: stopped; {} events are kept", count(all.taken + all.repeated)));
            return Err(Error::Interrupted.into());
        }
        let mut taken = taker.take(&batch.events, arguments.missing);
        let mut refused = None;
        if let Err(error) = taken {
            taken = taker.take(&batch.events[..error.place], arguments.missing);
            refused = Some(anyhow!(error.why).context(batch.place(error.place)));
        }
        let taken = taken.map_err(|error| ended(anyhow!(error.why).context(batch.place(error.place)), &all))?;
        all.taken += taken.taken;
        all.repeated += taken.repeated;
        all.missing += taken.missing;
        if let Some(refused) = refused {
            return Err(ended(refused, &all));
        }
    }
    let (log, live) = (taker.log(), taker.live());
    let (revived, dangling) = live.dangling_changes();
    if arguments.json {
        print_json(&json!({
            "taken": all.taken, "repeated": all.repeated, "missing": all.missing, "next_sequence": log.next_sequence(),
            "waiting": { "events": log.events(), "bytes": log.bytes(), "changed_rows": live.rows().len(),
                "new_nodes": live.new_nodes(), "no_longer_dangling": revived, "newly_dangling": dangling },
            "decay": live.decay(), "seconds": began.elapsed().as_secs_f64(),
        }))?;
        return Ok(Outcome::Done);
    }
    let mut text = format!("taken     {} events in {}", count(all.taken), duration(began.elapsed()));
    for (number, what) in [(all.repeated, "came before"), (all.missing, "removed what is not there")] {
        if number != 0 {
            text += &format!("; {} {what}", count(number));
        }
    }
    text += &format!(
        "\nchanged   {} rows, {} new nodes; {} nodes are dangling that were not, {} are no longer\n",
        count(live.rows().len() as u64),
        count(live.new_nodes() as u64),
        count(dangling),
        count(revived)
    );
    if let Some(Decay { half_life, from }) = live.decay() {
        text += &format!("decay     weights halve every {half_life} from {from} on\n");
    }
    if log.events() != 0 {
        text += &format!(
            "waiting   {} events, {}; `walkprint query` counts them, and `walkprint compact {}` absorbs them\n",
            count(log.events()),
            size(log.bytes()),
            arguments.store.display()
        );
    }
    print(&text)?;
    Ok(Outcome::Done)
}

/// The events of several files, one after the other.
struct Inputs<'a> {
    left: std::slice::Iter<'a, PathBuf>,
    options: &'a EventOptions,
    reader: Option<EventReader>,
    /// Read already, and not taken.
    next: Option<EventBatch>,
}

impl<'a> Inputs<'a> {
    fn new(inputs: &'a [PathBuf], options: &'a EventOptions) -> Inputs<'a> {
        Inputs { left: inputs.iter(), options, reader: None, next: None }
    }

    fn next_batch(&mut self) -> anyhow::Result<Option<EventBatch>> {
        if let Some(next) = self.next.take() {
            return Ok(Some(next));
        }
        loop {
            if let Some(reader) = &mut self.reader
                && let Some(batch) = reader.next_batch()?
            {
                return Ok(Some(batch));
            }
            let Some(input) = self.left.next() else { return Ok(None) };
            self.reader = Some(EventReader::open(input, self.options)?);
        }
    }

    /// The time of the first event, which is not taken by that.
    fn first_time(&mut self) -> anyhow::Result<f64> {
        self.next = self.next_batch()?;
        let Some(batch) = &self.next else { bail!("there is no event whose time weights could decay from") };
        let first = batch.events.iter().find_map(|event| event.time);
        first.with_context(|| {
            format!("{}: expected a time, because weights are to decay, got none; or give --decay-from", batch.place(0))
        })
    }
}
