//! The store's directory as the processes of a load see it: one for all, one for each, or something between.
//!
//! Each process puts a token into its directory; whoever sees whose tokens shares the directory with them. Of the processes
//! that share one, the first keeps it: it holds the lock and publishes the manifest.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use timely::worker::Worker;
use walkprint_engine::error::Error as EngineError;
use walkprint_engine::store::{Manifest, Store, StoreLock, TOKEN_PREFIX};

use super::agreement::all_or_none;
use crate::error::Result;
use crate::processes::agree::{from_all, from_first};

/// This worker's part in keeping the directory.
pub(super) struct Directory {
    path: PathBuf,
    /// Held by the keeper's first worker.
    lock: Option<StoreLock>,
    /// The generation that will be published: the same in all directories.
    pub(super) generation: u64,
}

impl Directory {
    /// Finds out who shares directories, and locks them. When this fails nothing is left behind.
    pub(super) fn claim(
        worker: &mut Worker,
        workers_of_process: usize,
        path: &Path,
        replace: bool,
    ) -> Result<Directory> {
        let process = worker.index() / workers_of_process;
        let leads = worker.index().is_multiple_of(workers_of_process);
        let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos());
        let key = from_first(worker, Some(format!("{:x}-{time:x}", std::process::id())));
        let token = path.join(format!("{TOKEN_PREFIX}{key}-{process}"));
        let put = if leads { put_token(path, &token) } else { Ok(false) };
        let made_here = *put.as_ref().unwrap_or(&false);
        let mut held = None;
        let claimed = all_or_none(worker, workers_of_process, put).and_then(|_| {
            let keeper = first_token(path, &key);
            let keeper = all_or_none(worker, workers_of_process, keeper)?;
            let made = from_all(worker, (keeper, made_here));
            let made = made.contains(&(keeper, true));
            let generation = if leads && keeper == process as u64 {
                let lock = StoreLock::for_new(path, replace).map(|lock| lock.of_new_directory(made));
                lock.map_err(Into::into).and_then(|lock| old_generation(held.insert(lock)))
            } else {
                Ok(0)
            };
            all_or_none(worker, workers_of_process, generation)
        });
        // By now everybody has looked, or nobody goes on.
        if leads {
            let _ = std::fs::remove_file(&token);
        }
        let old_generation = match claimed {
            Ok(old_generation) => old_generation,
            Err(error) => {
                if let Some(lock) = held {
                    lock.abandon();
                }
                if made_here {
                    let _ = std::fs::remove_dir(path); // only an empty one goes
                }
                from_all(worker, ()); // nobody leaves, and thereby ends the others, before all have cleaned up
                return Err(error);
            }
        };
        let generation = from_all(worker, old_generation).into_iter().max().unwrap_or(0) + 1;
        Ok(Directory { path: path.to_owned(), lock: held, generation })
    }

    /// Makes the manifest count, in every directory. All files must be on the disks.
    pub(super) fn publish(&self, manifest: &Manifest) -> Result<()> {
        match &self.lock {
            Some(lock) => Ok(lock.publish(manifest)?),
            None => Ok(()),
        }
    }

    /// Where the store is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives up: removes these files, and a directory that was made for the store. To be called when no worker writes any
    /// more.
    pub(super) fn abandon(self, files: &[PathBuf]) {
        // Best effort: what stays has names that no manifest lists, and goes with the next publication.
        files.iter().for_each(|file| drop(std::fs::remove_file(file)));
        if let Some(lock) = self.lock {
            lock.abandon();
        }
    }
}

/// Puts a token into the directory; says whether the directory had to be made.
fn put_token(path: &Path, token: &Path) -> Result<bool> {
    let made = match std::fs::create_dir(path) {
        Ok(()) => true,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => false,
        Err(error) => return Err(EngineError::io(path, "make the store's directory")(error).into()),
    };
    std::fs::write(token, b"").map_err(EngineError::io(token, "create"))?;
    Ok(made)
}

/// The first process whose token lies in the directory.
fn first_token(path: &Path, key: &str) -> Result<u64> {
    let prefix = format!("{TOKEN_PREFIX}{key}-");
    let mut first = None;
    for entry in std::fs::read_dir(path).map_err(EngineError::io(path, "read the directory"))? {
        let name = entry.map_err(EngineError::io(path, "read the directory"))?.file_name();
        let process = name.to_str().and_then(|name| name.strip_prefix(&prefix)?.parse::<u64>().ok());
        first = first.into_iter().chain(process).min();
    }
    let gone = || std::io::Error::new(std::io::ErrorKind::NotFound, "the file that was just made is gone");
    first.ok_or_else(|| EngineError::io(path, "find a file of its own in the directory")(gone()).into())
}

/// The generation of the store that is replaced.
fn old_generation(lock: &mut StoreLock) -> Result<u64> {
    if lock.holds_store() { Ok(Store::open(lock.path())?.manifest().generation) } else { Ok(0) }
}
