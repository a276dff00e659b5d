//! How far a job is on all of its processes, told to the first about twice a second, over a dataflow of its own; and timely's
//! own account of what its operators do.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use timely::dataflow::ProbeHandle;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::Operator;
use timely::dataflow::operators::{Input, Probe};
use timely::logging::TimelyEventBuilder;
use timely::worker::Worker;

use crate::workers::NAP;

/// How often each process reports.
const EVERY: Duration = Duration::from_millis(500);

/// How far one process is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Sources whose walks have ended.
    pub sources: u64,
    /// Moves made.
    pub steps: u64,
    /// Groups of walks that stand on nodes and wait for their next step; 0 where walks do not leave their worker.
    pub live: u64,
    /// Bytes sent to other processes.
    pub sent_bytes: u64,
    /// Bytes received from them.
    pub received_bytes: u64,
    /// Resident memory.
    pub resident_bytes: u64,
}

/// What the processes last said, by their numbers.
#[derive(Debug, Clone, Default)]
pub struct Standings(Arc<Mutex<BTreeMap<usize, Standing>>>);

impl Standings {
    /// All of them. On processes other than the first there are none.
    #[must_use]
    pub fn all(&self) -> BTreeMap<usize, Standing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, process: usize, standing: Standing) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(process, standing);
    }
}

/// Steps until a dataflow has ended, and reports meanwhile: the first worker of each process says how far that is. Every worker
/// must call it at the same place.
pub(crate) fn finish_reporting(
    worker: &mut Worker,
    probe: &ProbeHandle<u64>,
    workers: usize,
    standing: impl Fn() -> Standing,
    standings: &Standings,
) {
    let (heard, process) = (standings.clone(), worker.index() / workers);
    let (mut input, told) = worker.dataflow::<u64, _, _>(|scope| {
        let (input, reports) = scope.new_input::<Vec<(u64, Standing)>>();
        let heard = reports.unary::<timely::container::CapacityContainerBuilder<Vec<()>>, _, _, _>(
            Exchange::new(|_: &(u64, Standing)| 0),
            "Hear",
            move |_capability, _info| {
                move |input, _output| {
                    input.for_each(|_time, reports: &mut Vec<(u64, Standing)>| {
                        for (process, standing) in reports.drain(..) {
                            heard.note(usize::try_from(process).expect("a process's number"), standing);
                        }
                    });
                }
            },
        );
        (input, heard.probe().0)
    });
    let tells = worker.index().is_multiple_of(workers);
    let mut reported = Instant::now();
    while !probe.done() {
        worker.step_or_park(Some(NAP));
        if tells && EVERY <= reported.elapsed() {
            reported = Instant::now();
            input.send((process as u64, standing()));
            input.advance_to(input.time() + 1);
        }
    }
    if tells {
        input.send((process as u64, standing()));
    }
    input.close();
    while !told.done() {
        worker.step_or_park(Some(NAP));
    }
}

/// The memory that this process has resident; 0 where the system does not say.
#[must_use]
pub fn resident_bytes() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").ok();
    let pages = pages.and_then(|text| text.split(' ').nth(1)?.parse::<u64>().ok());
    pages.unwrap_or(0) * rustix::param::page_size() as u64
}

/// Lets a worker write what timely tells of its operators to a file of its own in a directory, one event a line.
///
/// # Errors
/// When the file cannot be made.
pub(crate) fn log_timely(worker: &Worker, directory: &Path) -> std::io::Result<()> {
    let path = directory.join(format!("timely-{:03}.log", worker.index()));
    let mut new_file = std::fs::OpenOptions::new();
    new_file.write(true).create(true).truncate(true);
    let file = Rc::new(std::cell::RefCell::new(std::io::BufWriter::new(new_file.open(path)?)));
    if let Some(mut register) = worker.log_register() {
        register.insert::<TimelyEventBuilder, _>("timely", move |_time, events| {
            let mut file = file.borrow_mut();
            for (at, event) in events.iter().flatten() {
                // A full disk must not end the build: the log is cut short.
                let _ = writeln!(file, "{:.6} {event:?}", at.as_secs_f64());
            }
        });
    }
    Ok(())
}
