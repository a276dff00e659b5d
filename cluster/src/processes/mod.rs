//! The processes of one job, and the timely workers that run on them.

use timely::worker::Worker;

use crate::error::{Error, Result};
use crate::workers::{panicked, watch};

/// The processes of one job. Workers are numbered through: those of process 0 come first.
#[derive(Debug)]
pub struct Processes {
    workers: usize,
    process: usize,
    processes: usize,
}

impl Processes {
    /// This process alone, with so many workers.
    #[must_use]
    pub fn alone(workers: usize) -> Processes {
        Processes { workers, process: 0, processes: 1 }
    }

    /// This process's number, from 0.
    #[must_use]
    pub fn process(&self) -> usize {
        self.process
    }

    /// How many processes there are.
    #[must_use]
    pub fn processes(&self) -> usize {
        self.processes
    }

    /// Workers of each process.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.workers
    }

    /// Workers of all processes.
    #[must_use]
    pub fn all_workers(&self) -> usize {
        self.workers * self.processes
    }

    /// Does work once on each worker of this process, and gives what each returned. A worker may run any number of
    /// dataflows, one after the other; all workers of all processes must make the same ones in the same order. `tick` is
    /// called about ten times a second from this thread.
    ///
    /// # Errors
    /// When the workers cannot be started, or one of them panicked.
    pub fn run<T: Send + 'static>(
        self,
        work: impl Fn(&mut Worker) -> T + Send + Sync + 'static,
        tick: &mut dyn FnMut(),
    ) -> Result<Vec<T>> {
        let config = if self.workers == 1 { timely::Config::thread() } else { timely::Config::process(self.workers) };
        let guards = timely::execute(config, work).map_err(Error::Workers)?;
        let results = watch(|| guards.join().into_iter().collect::<Vec<_>>(), tick)?;
        results.into_iter().map(|result| result.map_err(|_| panicked())).collect()
    }
}
