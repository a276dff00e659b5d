//! Threads that compute answers, with a queue for short work and one for long.
//!
//! ```text
//!   short: one question that is answered in milliseconds       ──▶ ┌─────────┐
//!   long:  a question of a batch, or one that reads the graph  ──▶ │ threads │ ──▶ answers
//! ```
//!
//! **Long work never starves short work, nor the other way round**: at most all threads but one do long work at a time (one
//! where there is only one), and short work goes first, except that after [`SHORT_IN_A_ROW`] pieces of it a waiting long one has its turn. A
//! batch is cut into its questions, so that a long piece is one question. (Test: below.)
//!
//! Queues are bounded: what does not fit is refused at once, with an estimate of when to come back. **Work that nobody waits for
//! any more is not begun, and stops soon if it was**: its flag is set when the one who waits goes away or its time is up.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// So much short work may pass by long work that waits.
const SHORT_IN_A_ROW: u32 = 16;

/// How much work it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    /// Milliseconds.
    Short,
    /// Maybe much more.
    Long,
}

/// Why there is no outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The queue is full; come back after so many seconds.
    Full { retry_after: u64 },
    /// Time is up.
    Late,
    /// The work panicked.
    Panicked,
    /// The server is ending.
    Stopped,
}

/// What work is told: whether anybody still waits for it, and how long it waited.
pub(super) struct Turn {
    /// Set when nobody waits any more.
    pub(super) cancelled: Arc<AtomicBool>,
    /// How long it was in the queue.
    pub(super) waited: Duration,
}

type Work = Box<dyn FnOnce(Duration) + Send>;

struct Waiting {
    work: Work,
    since: Instant,
    cancelled: Arc<AtomicBool>,
}

#[derive(Default)]
struct Queues {
    short: VecDeque<Waiting>,
    long: VecDeque<Waiting>,
    /// Threads that do long work.
    long_running: usize,
    short_in_a_row: u32,
    ended: bool,
}

struct Shared {
    queues: Mutex<Queues>,
    work: Condvar,
    threads: usize,
    most: usize,
    /// Mean time of short and long work, in nanoseconds, as it has been lately.
    mean_nanos: [AtomicU64; 2],
}

/// The threads. They end when the last handle is dropped or [`Compute::end`] is called.
pub(super) struct Compute {
    shared: Arc<Shared>,
}

impl Drop for Compute {
    fn drop(&mut self) {
        self.end();
    }
}

/// Sets the flag when the one who waits goes away.
struct Waiter(Arc<AtomicBool>);

impl Drop for Waiter {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Compute {
    /// Starts threads, with room for `most` pieces of work in each queue.
    pub(super) fn start(threads: usize, most: usize) -> std::io::Result<Compute> {
        let threads = threads.max(1);
        let shared = Arc::new(Shared {
            queues: Mutex::default(),
            work: Condvar::new(),
            threads,
            most: most.max(1),
            mean_nanos: [AtomicU64::new(1_000_000), AtomicU64::new(10_000_000)],
        });
        for number in 0..threads {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new().name(format!("walkprint-answer-{number}")).spawn(move || shared.run())?;
        }
        Ok(Compute { shared })
    }

    /// Does work on one of the threads, and waits for it until `deadline`. Dropping the future cancels the work.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        length: Length,
        deadline: Instant,
        work: impl FnOnce(Turn) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let cancelled = Arc::new(AtomicBool::new(false));
        let waiter = Waiter(Arc::clone(&cancelled));
        let (done, outcome) = oneshot::channel();
        let flag = Arc::clone(&cancelled);
        let work: Work = Box::new(move |waited| {
            let turn = Turn { cancelled: flag, waited };
            let outcome = catch_unwind(AssertUnwindSafe(|| work(turn))).map_err(|_| Refusal::Panicked);
            let _ = done.send(outcome); // who has gone does not want it
        });
        self.shared.push(length, Waiting { work, since: Instant::now(), cancelled })?;
        let outcome = tokio::time::timeout_at(deadline.into(), outcome).await;
        drop(waiter);
        match outcome {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(Refusal::Stopped),
            Err(_) => Err(Refusal::Late),
        }
    }

    /// How much waits: short and long.
    pub(super) fn waiting(&self) -> (usize, usize) {
        let queues = self.shared.lock();
        (queues.short.len(), queues.long.len())
    }

    /// Lets the threads end; what waits is given up.
    pub(super) fn end(&self) {
        let mut queues = self.shared.lock();
        queues.ended = true;
        queues.short.clear();
        queues.long.clear();
        drop(queues);
        self.shared.work.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, length: Length, waiting: Waiting) -> Result<(), Refusal> {
        let mut queues = self.lock();
        if queues.ended {
            return Err(Refusal::Stopped);
        }
        let queue = if length == Length::Short { &mut queues.short } else { &mut queues.long };
        if self.most <= queue.len() {
            // Those who went away make room.
            queue.retain(|waiting| !waiting.cancelled.load(Ordering::Relaxed));
        }
        if self.most <= queue.len() {
            let mean = self.mean_nanos[length as usize].load(Ordering::Relaxed);
            let nanos = mean.saturating_mul(queue.len() as u64) / self.threads as u64;
            return Err(Refusal::Full { retry_after: nanos.div_ceil(1_000_000_000).clamp(1, 60) });
        }
        queue.push_back(waiting);
        drop(queues);
        self.work.notify_one();
        Ok(())
    }

    /// The next piece of work, when there is one that this thread may do.
    fn next(&self, queues: &mut Queues) -> Option<(Length, Waiting)> {
        let long_may = queues.long_running < self.threads.saturating_sub(1).max(1);
        let turn_of_long = queues.short.is_empty() || SHORT_IN_A_ROW <= queues.short_in_a_row;
        if long_may
            && turn_of_long
            && let Some(waiting) = queues.long.pop_front()
        {
            queues.short_in_a_row = 0;
            queues.long_running += 1;
            return Some((Length::Long, waiting));
        }
        queues.short_in_a_row = queues.short_in_a_row.saturating_add(1);
        queues.short.pop_front().map(|waiting| (Length::Short, waiting))
    }

    fn run(&self) {
        let mut queues = self.lock();
        loop {
            if queues.ended {
                return;
            }
            let Some((length, Waiting { work, since, cancelled })) = self.next(&mut queues) else {
                queues = self.work.wait(queues).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            drop(queues);
            if cancelled.load(Ordering::Relaxed) {
                drop(work);
            } else {
                let began = Instant::now();
                work(began - since);
                self.learn(length, began.elapsed());
            }
            queues = self.lock();
            if length == Length::Long {
                queues.long_running -= 1;
                if !queues.long.is_empty() {
                    self.work.notify_one(); // a thread may have passed it by
                }
            }
        }
    }

    fn learn(&self, length: Length, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let mean = &self.mean_nanos[length as usize];
        let old = mean.load(Ordering::Relaxed);
        mean.store(old - old / 16 + nanos / 16, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap()
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[test]
    fn short_work_passes_long_work_and_long_work_has_its_turn() {
        let runtime = runtime();
        let compute = Arc::new(Compute::start(1, 1000).unwrap());
        let (gate, opened) = mpsc::channel::<()>();
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        let spawn = |length, work: Box<dyn FnOnce() + Send>| {
            let compute = Arc::clone(&compute);
            runtime.spawn(async move { compute.run(length, soon(), move |_| work()).await })
        };
        let first = spawn(Length::Long, Box::new(move || opened.recv().unwrap()));
        while compute.waiting() != (0, 0) || compute.shared.lock().long_running == 0 {
            std::thread::yield_now();
        }
        for number in 0..40 {
            let length = if number < 4 { Length::Long } else { Length::Short };
            let order = Arc::clone(&order);
            tasks.push(spawn(length, Box::new(move || order.lock().unwrap().push(length))));
            while compute.waiting().0 + compute.waiting().1 <= number {
                std::thread::yield_now();
            }
        }
        gate.send(()).unwrap();
        runtime.block_on(async {
            first.await.unwrap().unwrap();
            for task in tasks {
                task.await.unwrap().unwrap();
            }
        });
        let order = order.lock().unwrap();
        let place = order.iter().position(|&length| length == Length::Long).unwrap();
        assert!((10..=SHORT_IN_A_ROW as usize).contains(&place), "{order:?}");
        assert_eq!(order.len(), 40);
    }

    #[test]
    fn a_thread_is_kept_free_for_short_work() {
        let runtime = runtime();
        let compute = Arc::new(Compute::start(2, 1000).unwrap());
        let (gate, opened) = mpsc::channel::<()>();
        let opened = Arc::new(Mutex::new(opened));
        let long: Vec<_> = (0..4)
            .map(|_| {
                let (compute, opened) = (Arc::clone(&compute), Arc::clone(&opened));
                let wait = move |_: Turn| opened.lock().unwrap().recv().unwrap();
                runtime.spawn(async move { compute.run(Length::Long, soon(), wait).await })
            })
            .collect();
        // All long work is stuck; short work goes on.
        runtime.block_on(async { compute.run(Length::Short, soon(), |_| ()).await.unwrap() });
        (0..4).for_each(|_| gate.send(()).unwrap());
        runtime.block_on(async {
            for task in long {
                task.await.unwrap().unwrap();
            }
        });
    }

    #[test]
    fn who_comes_too_many_is_told_when_to_come_back() {
        let runtime = runtime();
        let compute = Arc::new(Compute::start(1, 2).unwrap());
        let (gate, opened) = mpsc::channel::<()>();
        let stuck = Arc::clone(&compute);
        let stuck = runtime.spawn(async move { stuck.run(Length::Short, soon(), move |_| opened.recv()).await });
        let mut waiting = Vec::new();
        loop {
            let compute = Arc::clone(&compute);
            waiting.push(runtime.spawn(async move { compute.run(Length::Short, soon(), |_| ()).await }));
            if 4 <= waiting.len() {
                break;
            }
        }
        let refused = || waiting.iter().filter(|task| task.is_finished()).count();
        while refused() == 0 {
            std::thread::yield_now();
        }
        gate.send(()).unwrap();
        let outcomes: Vec<_> =
            runtime.block_on(async { futures_util::future::join_all(waiting).await }).into_iter().flatten().collect();
        let full = outcomes.iter().filter(|outcome| matches!(outcome, Err(Refusal::Full { retry_after: 1.. })));
        assert!((1..=3).contains(&full.count()), "{outcomes:?}");
        assert!(outcomes.contains(&Ok(())));
        runtime.block_on(stuck).unwrap().unwrap().unwrap();
    }

    #[test]
    fn late_work_is_told_and_a_panic_is_no_end() {
        let runtime = runtime();
        let compute = Compute::start(1, 10).unwrap();
        let (seen, cancelled) = mpsc::channel();
        let late = Instant::now() + Duration::from_millis(20);
        let outcome = runtime.block_on(compute.run(Length::Short, late, move |turn| {
            while !turn.cancelled.load(Ordering::Relaxed) {
                std::thread::yield_now();
            }
            seen.send(()).unwrap();
        }));
        assert_eq!(outcome, Err(Refusal::Late));
        cancelled.recv().unwrap();
        let panicked = runtime.block_on(compute.run(Length::Short, soon(), |_| panic!("on purpose")));
        assert_eq!(panicked, Err::<(), _>(Refusal::Panicked));
        assert_eq!(runtime.block_on(compute.run(Length::Long, soon(), |_| 7)), Ok(7));
    }
}
