//! What can go wrong in a job, over and above what engine and loaders report.

use std::path::PathBuf;

use crate::processes::Loss;

/// A job's result.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store, the graph or an index.
    #[error(transparent)]
    Engine(#[from] walkprint_engine::error::Error),
    /// The input.
    #[error(transparent)]
    Load(#[from] walkprint_loaders::Error),
    /// An index of this name is there already.
    #[error("{store}: an index named {name:?} exists already; give --replace to build it anew, or --name for another")]
    IndexExists {
        /// The store.
        store: String,
        /// The index's name.
        name: String,
    },
    /// An unfinished build of this name is there.
    #[error(
        "{store}: a build of index {name:?} was interrupted; \
         give --resume to go on where it stopped, or --replace to begin anew"
    )]
    Unfinished {
        /// The store.
        store: String,
        /// The index's name.
        name: String,
    },
    /// The unfinished build was begun with other parameters or for another graph.
    #[error("{store}: the interrupted build of index {name:?} had {what}; resume it with the same, or give --replace")]
    OtherBuild {
        /// The store.
        store: String,
        /// The index's name.
        name: String,
        /// What differs, with its value.
        what: String,
    },
    /// There is nothing to resume.
    #[error("{store}: there is no interrupted build of index {name:?}; leave out --resume")]
    NothingToResume {
        /// The store.
        store: String,
        /// The index's name.
        name: String,
    },
    /// The memory budget is too small.
    #[error("--memory {given} is too small: this job needs {needed} ({parts})")]
    Memory {
        /// The budget.
        given: String,
        /// The smallest budget that works.
        needed: String,
        /// What needs how much.
        parts: String,
    },
    /// Something is where the answers of a batch should go.
    #[error("{out}: {what}", out = out.display())]
    Output {
        /// The directory.
        out: PathBuf,
        /// What is there, and what to do.
        what: String,
    },
    /// The interrupted batch was begun with other parameters, or for another graph, index or list of sources.
    #[error(
        "{out}: the interrupted batch was begun otherwise: {what}; resume it with the same, or give --replace",
        out = out.display()
    )]
    OtherBatch {
        /// The directory.
        out: PathBuf,
        /// What differs, with both values.
        what: String,
    },
    /// A line of a list of sources.
    #[error("{file}:{line}: {what}", file = file.display())]
    SourceLine {
        /// The list.
        file: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        what: String,
    },
    /// A line of a host file.
    #[error("{file}:{line}: {what}", file = file.display())]
    HostLine {
        /// The host file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
    /// A key file.
    #[error("{path}: {what}", path = path.display())]
    Key {
        /// The key file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The processes of a job did not come together.
    #[error("{what}")]
    Connect {
        /// Who and why.
        what: String,
    },
    /// Another process of the job was lost.
    #[error("{0}")]
    Process(Loss),
    /// Another worker of the job could not go on.
    #[error("process {process} stopped: {what}")]
    Elsewhere {
        /// Its process.
        process: usize,
        /// Why.
        what: String,
    },
    /// Changes were made to another graph than the one that counts now.
    #[error("{store}: its graph is {got}, and these changes are of graph {expected}; find them again", store = store.display())]
    OtherGraph {
        /// The store.
        store: PathBuf,
        /// The digest of the graph that was changed.
        expected: String,
        /// The digest of the graph that counts.
        got: String,
    },
    /// What is asked for does not go together, or there is nothing to answer.
    #[error("{what}")]
    Request {
        /// What is missing, and what to do.
        what: String,
    },
    /// Another program takes events for the store.
    #[error(
        "{store}: another walkprint takes events for this store; send them to it, or wait until it has ended",
        store = store.display()
    )]
    EventsLocked {
        /// The store.
        store: PathBuf,
    },
    /// A log of events is not what was written.
    #[error(
        "{path}: damaged at byte {offset} ({what}); restore the file from a copy, or give up what follows event {sequence}: \
         cut the file off there, and remove later files of events",
        path = path.display()
    )]
    LogDamaged {
        /// The file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// What is wrong.
        what: String,
        /// The number of events before the damage, counted from the first that the store ever had.
        sequence: u64,
    },
    /// The log of events is no longer that of the store.
    #[error(
        "{path}: is no longer the log of its store, which was loaded anew meanwhile; open the store again",
        path = path.display()
    )]
    LogReplaced {
        /// The file.
        path: PathBuf,
    },
    /// An append failed and could not be undone either.
    #[error(
        "{path}: takes no more events, because an append failed and could not be undone; see to the disk, then open the store \
         again",
        path = path.display()
    )]
    LogUnusable {
        /// The file.
        path: PathBuf,
    },
    /// Something that is no event.
    #[error("event {number}: {source}")]
    BadEvent {
        /// Which one of those that came together, from 1.
        number: usize,
        /// Why.
        #[source]
        source: walkprint_engine::events::BadEvent,
    },
    /// An event comes again, and is another one.
    #[error("event {event_id:?} came before with other content; an event that is another one needs an id of its own")]
    EventChanged {
        /// The id.
        event_id: String,
    },
    /// The Parquet writer refused.
    #[error("{path}: could not write Parquet", path = path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// The writer's reason.
        #[source]
        source: parquet::errors::ParquetError,
    },
    /// The user asked to stop; what was sealed stays.
    #[error("interrupted")]
    Interrupted,
    /// timely could not start its workers.
    #[error("the workers could not be started: {0}")]
    Workers(String),
}

/// Bytes in the units of `--memory`, rounded up so that what is printed is enough.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    for (unit, size) in UNITS {
        if size <= count {
            let tenths = (u128::from(count) * 10).div_ceil(u128::from(size));
            return format!("{}.{}{unit}", tenths / 10, tenths % 10);
        }
    }
    format!("{count} bytes")
}

/// An error with its causes, in one line.
pub(crate) fn in_full(error: &dyn std::error::Error) -> String {
    let (mut line, mut last) = (error.to_string(), error.to_string());
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        // A transparent error repeats its cause.
        if text != last {
            line = format!("{line}: {text}");
        }
        (last, cause) = (text, error.source());
    }
    line
}
