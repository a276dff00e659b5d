//! Threads: a dataflow on timely workers while the calling thread looks on, and hands for one question.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use timely::dataflow::ProbeHandle;
use timely::worker::Worker;
use walkprint_engine::query::Crew;

use crate::error::{Error, Result};

/// How long a worker without work sleeps before it looks again.
pub(crate) const NAP: Duration = Duration::from_millis(20);
/// How often the calling thread looks on.
const TICK: Duration = Duration::from_millis(100);

/// Steps until a dataflow has ended.
pub(crate) fn finish(worker: &mut Worker, probe: &ProbeHandle<u64>) {
    while !probe.done() {
        worker.step_or_park(Some(NAP));
    }
}

/// Processor time of this thread since it began, in seconds: what a worker did, without what it waited for.
pub(crate) fn thread_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Does something on another thread, and calls `tick` about ten times a second from this one until it is done.
///
/// # Errors
/// When the other thread panicked.
pub(crate) fn watch<T: Send>(work: impl FnOnce() -> T + Send, tick: &mut dyn FnMut()) -> Result<T> {
    let finished = AtomicBool::new(false);
    let watcher = std::thread::current();
    let joined = std::thread::scope(|scope| {
        let worker = scope.spawn(|| {
            let result = work();
            finished.store(true, Ordering::Release);
            watcher.unpark();
            result
        });
        while !finished.load(Ordering::Acquire) && !worker.is_finished() {
            tick();
            std::thread::park_timeout(TICK);
        }
        worker.join()
    });
    tick();
    joined.map_err(|_| panicked())
}

/// Threads for one question that has the machine to itself. They are started when the first question needs them, and wait
/// while there is nothing to do.
#[derive(Debug)]
pub struct Threads {
    count: usize,
    /// None where the machine has no threads to give.
    pool: OnceLock<Option<rayon::ThreadPool>>,
}

impl Threads {
    /// So many threads.
    #[must_use]
    pub fn new(count: usize) -> Threads {
        Threads { count: count.max(1), pool: OnceLock::new() }
    }
}

impl Crew for Threads {
    fn hands(&self) -> usize {
        self.count
    }

    fn all(&self, work: &(dyn Fn(usize) + Sync)) {
        let named = || rayon::ThreadPoolBuilder::new().thread_name(|number| format!("walkprint-hand-{number}"));
        match self.pool.get_or_init(|| named().num_threads(self.count).build().ok()) {
            Some(pool) => drop(pool.broadcast(|hand| work(hand.index()))),
            None => (0..self.count).for_each(work),
        }
    }
}

pub(crate) fn panicked() -> Error {
    Error::Workers("a worker panicked; this is a defect of walkprint, please report it".into())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn every_hand_works_once() {
        for hands in [0, 1, 5] {
            let seen = Mutex::new(Vec::new());
            Threads::new(hands).all(&|hand| seen.lock().unwrap().push(hand));
            let mut seen = seen.into_inner().unwrap();
            seen.sort_unstable();
            assert_eq!(seen, (0..hands.max(1)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn waiting_takes_no_processor_time() {
        let began = thread_seconds();
        let mut sum = 0u64;
        while thread_seconds() < began + 0.02 {
            sum = std::hint::black_box(sum + 1);
        }
        let worked = thread_seconds();
        std::thread::park_timeout(Duration::from_millis(200));
        assert!(thread_seconds() < worked + 0.1);
    }
}
