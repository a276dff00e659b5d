//! What can go wrong while reading, writing or asking: one enum, evidence in fields, causes as sources.

use std::path::{Path, PathBuf};

/// The engine's result.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong. Messages are lower case and say what, where and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused.
    #[error("{path}: could not {action}", path = path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was being done, as a verb.
        action: &'static str,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// The file is none of Walkprint's, or one of another kind.
    #[error("{path}: expected {expected}, got {got}", path = path.display())]
    Kind {
        /// The file.
        path: PathBuf,
        /// What should be there.
        expected: &'static str,
        /// What is there.
        got: String,
    },
    /// The file was written by a program of another format version.
    #[error(
        "{path}: format version {got}, but this program reads version {expected}; \
         load and index again with this program, or use the one that wrote it",
        path = path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// The version that this program reads.
        expected: u32,
        /// The version in the file.
        got: u32,
    },
    /// Bytes are not those that were written.
    #[error("{path}: damaged ({what}); restore the file from a copy, or build it again", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Which part, and what was expected of it.
        what: String,
    },
    /// There is no store at this path.
    #[error("{path}: no Walkprint store here (make one with `walkprint load INPUT --into {path}`)", path = path.display())]
    NoStore {
        /// The path that was given.
        path: PathBuf,
    },
    /// The graph lies in shards, and one file is needed.
    #[error(
        "{path}: its graph lies in {shards} shards; ask by `walkprint batch` or `walkprint serve`, or bring them together with \
         `walkprint gather`",
        path = path.display()
    )]
    Sharded {
        /// The store.
        path: PathBuf,
        /// How many shards there are.
        shards: usize,
    },
    /// Types are asked for, and those of some shards are in the stores of other hosts.
    #[error(
        "{path}: the types of {missing} of {shards} shards are not here ({file}{more}); bring the shards together with \
         `walkprint gather`",
        path = path.display(),
        more = if 1 < *missing { ", …" } else { "" }
    )]
    TypesElsewhere {
        /// The store.
        path: PathBuf,
        /// The first file of types that is not here.
        file: String,
        /// How many shards' types are not here.
        missing: usize,
        /// How many shards there are.
        shards: usize,
    },
    /// The store has no index of this name.
    #[error("{path}: no index named {name:?} ({present}); build one with `walkprint index`", path = path.display())]
    NoIndex {
        /// The store.
        path: PathBuf,
        /// The name that was asked for.
        name: String,
        /// Which names there are, as a phrase.
        present: String,
    },
    /// Another program is writing to the store.
    #[error("{path}: locked by another walkprint that writes to this store; wait until it has ended", path = path.display())]
    Locked {
        /// The store.
        path: PathBuf,
    },
    /// Something is there already and may not be overwritten.
    #[error("{path}: exists already; give --replace to write over it", path = path.display())]
    Exists {
        /// The store or file.
        path: PathBuf,
    },
    /// An index does not belong to the graph or plan at hand.
    #[error("{path}: {what} {got}, but {expected} is at hand; build the index again", path = path.display())]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        what: &'static str,
        /// The value that is wanted.
        expected: String,
        /// The value that is there.
        got: String,
    },
    /// The stored walks alone are too few.
    #[error(
        "the walks of this index alone reach an L1 error of about {reached:.2}, not {asked}; take --method combine, which \
         goes on from there, or exact, or build an index with more walks"
    )]
    Imprecise {
        /// The L1 error that was asked for.
        asked: f64,
        /// What a look-up reaches for these seeds, by estimate.
        reached: f64,
    },
    /// A parameter is outside its range.
    #[error("{name} must be {expected}, got {got}")]
    Parameter {
        /// The parameter as the user names it.
        name: &'static str,
        /// The range, as a phrase.
        expected: &'static str,
        /// What was given.
        got: String,
    },
    /// A seed is no node of the graph.
    #[error("seed {id:?} is no node of this graph{hint}")]
    UnknownSeed {
        /// The id as given.
        id: String,
        /// Ids that begin alike, as a phrase, or empty.
        hint: String,
    },
    /// No node has a type of this name.
    #[error("no node has type {name:?}; {known}")]
    UnknownType {
        /// The name as given.
        name: String,
        /// Which types there are, as a phrase.
        known: String,
    },
    /// The filters of a question leave no node.
    #[error("no result is left: {what}")]
    NothingLeft {
        /// How many nodes each filter left.
        what: String,
    },
    /// Seed weights cannot be normalised.
    #[error("seeds: {what}")]
    Seeds {
        /// What is wrong with them.
        what: String,
    },
    /// The method needs an index, and none was given.
    #[error("method {method} needs an index; build one with `walkprint index`, or use method exact")]
    NeedsIndex {
        /// The method that was asked for.
        method: String,
    },
    /// The graph is larger than the formats allow, or has numbers that cannot be added up.
    #[error("the graph cannot be built: {what}")]
    Graph {
        /// What is wrong.
        what: String,
    },
    /// The caller asked to stop.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// Wraps an I/O error with the path it is about and what was being done.
    pub fn io(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_owned();
        move |source| Error::Io { path, action, source }
    }

    /// A damaged file.
    pub fn damaged(path: &Path, what: impl Into<String>) -> Error {
        Error::Damaged { path: path.to_owned(), what: what.into() }
    }
}
