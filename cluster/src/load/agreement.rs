//! All workers go on, or none does.

use serde::{Deserialize, Serialize};
use timely::worker::Worker;

use crate::error::{Error, Result, in_full};
use crate::processes::agree::from_all;

/// What keeps a worker from going on, as the others hear of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum Trouble {
    Interrupted,
    Other(String),
}

/// Whether all workers can go on. If not, all get an error: whoever has the first in the order of workers its own, the
/// others one that repeats it; everybody the same when a user stopped a process.
///
/// # Errors
/// When any worker has one.
pub(super) fn all_or_none<T>(worker: &mut Worker, workers_of_process: usize, result: Result<T>) -> Result<T> {
    let trouble = result.as_ref().err().map(|error| match error {
        Error::Interrupted => Trouble::Interrupted,
        error => Trouble::Other(in_full(error)),
    });
    let told = from_all(worker, trouble);
    if told.iter().any(|trouble| matches!(trouble, Some(Trouble::Interrupted))) {
        return Err(Error::Interrupted);
    }
    let first = told.into_iter().enumerate().find_map(|(at, trouble)| Some((at, trouble?)));
    match (first, result) {
        (None, result) => result,
        (Some((at, _)), Err(error)) if at == worker.index() => Err(error),
        (Some((_, Trouble::Interrupted)), _) => Err(Error::Interrupted),
        (Some((at, Trouble::Other(what))), _) => Err(Error::Elsewhere { process: at / workers_of_process, what }),
    }
}
