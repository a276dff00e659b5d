//! What can go wrong in a job, over and above what engine and loaders report.

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
    /// The user asked to stop; what was sealed stays.
    #[error("interrupted")]
    Interrupted,
    /// timely could not start its workers.
    #[error("the workers could not be started: {0}")]
    Workers(String),
}
