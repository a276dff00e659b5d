//! The processes of one job, and the timely workers that run on them.
//!
//! ```text
//!   hosts ─ who there is          key ─▶ handshake ─▶ frames ─▶ words     each pair of processes, twice
//!                                                        │
//!                            connect ─ all find all ◀────┤
//!                                │                       ▼
//!     timely ◀── data connections (stream)      control connections (liveness) ──▶ loss ──▶ `OnLoss`
//! ```
//!
//! A job is a group that starts together and ends together: when a process is lost the others end, too, and a new group
//! resumes what was sealed. (Test: `tests/tests/processes.rs`.)

mod hosts;

mod key;

mod handshake;

mod frames;

mod words;

mod loss;

mod stream;

mod liveness;

mod accept;

mod connect;

mod panics;

pub(crate) mod agree;

use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use timely::communication::allocator::ProcessBuilder;
use timely::communication::allocator::zero_copy::initialize::initialize_networking_from_sockets;
use timely::communication::{AllocatorBuilder, Hooks, WorkerGuards};
use timely::execute::execute_from;
use timely::worker::Worker;

pub use connect::{Joining, Note};
pub use hosts::Hosts;
pub use key::Key;
pub use liveness::OnLoss;
pub use loss::{Loss, LossKind};
pub use stream::Traffic;

use crate::error::{Error, Result, in_full};
use crate::workers::{panicked, watch};
use liveness::{Watch, lock};
use panics::Hook;
use stream::Counted;

/// The processes of one job. Workers are numbered through: those of process 0 come first.
#[derive(Debug)]
pub struct Processes {
    workers: usize,
    process: usize,
    hosts: Option<Hosts>,
    /// None when this process is alone.
    others: Option<Others>,
    traffic: Arc<Traffic>,
}

/// The connections to the other processes.
#[derive(Debug)]
struct Others {
    watch: Arc<Watch>,
    /// By process, this one's place empty; timely takes them.
    sockets: Mutex<Option<Vec<Option<TcpStream>>>>,
}

impl Processes {
    /// This process alone, with so many workers.
    #[must_use]
    pub fn alone(workers: usize) -> Processes {
        Processes { workers, process: 0, hosts: None, others: None, traffic: Arc::default() }
    }

    /// Finds the other processes of a job, makes sure that they have the key and agree on everything, and waits until all
    /// have found all. A job of one process needs nobody.
    ///
    /// # Errors
    /// When there is no such process, there is no key, the address cannot be listened at, a process does not come in time,
    /// does not agree or does not have the key, or the user stops.
    pub fn connect(joining: Joining) -> Result<Processes> {
        let Joining { process, workers, .. } = joining;
        let hosts = Some(joining.hosts.clone());
        let connected = connect::connect(joining)?;
        let others = connected.map(|(watch, sockets)| Others { watch, sockets: Mutex::new(Some(sockets)) });
        Ok(Processes { workers, process, hosts, others, traffic: Arc::default() })
    }

    /// This process's number, from 0.
    #[must_use]
    pub fn process(&self) -> usize {
        self.process
    }

    /// How many processes there are.
    #[must_use]
    pub fn processes(&self) -> usize {
        self.hosts.as_ref().map_or(1, Hosts::len)
    }

    /// Workers of each process.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.workers
    }

    /// Workers of all processes.
    #[must_use]
    pub fn all_workers(&self) -> usize {
        self.workers * self.processes()
    }

    /// A process by number and address, for messages.
    #[must_use]
    pub fn name(&self, process: usize) -> String {
        self.hosts.as_ref().map_or_else(|| format!("process {process}"), |hosts| hosts.name(process))
    }

    /// Where a process listens.
    pub(crate) fn address(&self, process: usize) -> String {
        self.hosts.as_ref().map_or_else(String::new, |hosts| hosts.address(process))
    }

    /// What goes between the processes, counted while it goes.
    #[must_use]
    pub fn traffic(&self) -> Arc<Traffic> {
        Arc::clone(&self.traffic)
    }

    /// Does work once on each worker of this process, and gives what each returned. A worker may run any number of
    /// dataflows, one after the other; all workers of all processes must make the same ones in the same order. `tick` is
    /// called about ten times a second from this thread. Where there are other processes, only the first run reaches
    /// them, and it returns when all workers of all processes have done their work.
    ///
    /// # Errors
    /// When the workers cannot be started, one of them panicked, or another process was lost and [`OnLoss`] returned.
    pub fn run<T: Send + 'static>(
        &self,
        work: impl Fn(&mut Worker) -> T + Send + Sync + 'static,
        tick: &mut dyn FnMut(),
    ) -> Result<Vec<T>> {
        let Some(others) = &self.others else {
            let config =
                if self.workers == 1 { timely::Config::thread() } else { timely::Config::process(self.workers) };
            return join(timely::execute(config, work).map_err(Error::Workers)?, tick);
        };
        let hook = Hook::install(&others.watch);
        let done = self.start(others, work).and_then(|guards| join(guards, tick));
        drop(hook);
        match others.watch.loss() {
            Some(loss) if done.is_err() => {
                others.watch.lose(loss.clone()); // once more: waits until it has been handed on
                Err(Error::Process(loss))
            }
            _ => done,
        }
    }

    fn start<T: Send + 'static>(
        &self,
        others: &Others,
        work: impl Fn(&mut Worker) -> T + Send + Sync + 'static,
    ) -> Result<WorkerGuards<T>> {
        let used = || Error::Workers("the connections to the other processes were used before".into());
        let sockets = lock(&others.sockets).take().ok_or_else(used)?;
        let counted = sockets.into_iter().map(|socket| Some(Counted::new(socket?, &self.traffic))).collect();
        let hooks = Hooks::default();
        let inside = ProcessBuilder::new_typed_vector(self.workers, hooks.refill.clone(), hooks.spill.clone());
        let started = initialize_networking_from_sockets(inside, counted, self.process, self.workers, hooks);
        let (builders, guard) = started.map_err(|error| Error::Workers(error.to_string()))?;
        let builders = builders.into_iter().map(AllocatorBuilder::Tcp).collect();
        execute_from(builders, Box::new(guard), timely::WorkerConfig::default(), work).map_err(Error::Workers)
    }

    /// Ends the job. When it went well here, waits until it has for all; otherwise tells the others why it did not.
    /// To be called once, with what the job came to, when nothing is left to do.
    ///
    /// Process 0 speaks for the job: when its own part went well, it is done even if another process is lost before it
    /// has said good-bye.
    ///
    /// # Errors
    /// The job's own, or the loss of a process that was not done.
    pub fn finish<T>(mut self, result: Result<T>) -> Result<T> {
        let Some(others) = self.others.take() else { return result };
        let result = match result {
            Ok(value) => match others.watch.all_done() {
                Some(loss) if self.process != 0 || loss.kind == LossKind::Failed => Err(Error::Process(loss)),
                _ => Ok(value),
            },
            Err(error) => {
                match &error {
                    Error::Process(_) => {} // they know
                    Error::Interrupted => others.watch.confess(LossKind::Interrupted, String::new()),
                    other => others.watch.confess(LossKind::Failed, in_full(other)),
                }
                Err(error)
            }
        };
        others.watch.close();
        result
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        if let Some(others) = &self.others {
            others.watch.confess(LossKind::Failed, "it gave up".into());
            others.watch.close();
        }
    }
}

fn join<T: Send + 'static>(guards: WorkerGuards<T>, tick: &mut dyn FnMut()) -> Result<Vec<T>> {
    let results = watch(|| guards.join().into_iter().collect::<Vec<_>>(), tick)?;
    results.into_iter().map(|result| result.map_err(|_| panicked())).collect()
}

#[cfg(test)]
mod tests;
