//! How a server is set up.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::access::Keys;
use crate::live::Fsync;

/// What is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Offer {
    /// One store under a name; opened at the start and kept open.
    Store {
        /// Its name in paths of requests.
        name: String,
        /// Its directory.
        path: PathBuf,
    },
    /// All stores `NAME.wp` of a directory, opened when they are first asked for.
    Directory(PathBuf),
}

/// A server's settings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What it serves.
    pub offers: Vec<Offer>,
    /// Where it listens; port 0 takes any that is free.
    pub listen: SocketAddr,
    /// Listen elsewhere than at loopback without keys.
    pub insecure: bool,
    /// Who may ask.
    pub keys: Keys,
    /// Certificate chain and private key, in PEM.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Threads that compute answers.
    pub threads: usize,
    /// The most stores of directories that stay open.
    pub open_stores: usize,
    /// How often to look for new generations.
    pub follow: Duration,
    /// How much a request may ask for.
    pub bounds: Bounds,
    /// How events are taken.
    pub updates: Updates,
    /// The longest that a request may take from its first byte to the last of its answer.
    pub timeout: Duration,
    /// The most requests that wait for a thread, apart from batches; as many batches' questions and costly ones.
    pub queue: usize,
    /// The most connections at a time.
    pub connections: usize,
    /// How long requests under way may take once the server is told to stop.
    pub stop_within: Duration,
}

/// How much one request may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of a body.
    pub body_bytes: usize,
    /// Seeds of a question.
    pub seeds: usize,
    /// Results of a question.
    pub top: usize,
    /// Questions of a batch.
    pub queries: usize,
    /// Edges that are sent along.
    pub edges: usize,
}

/// How events are taken. Memory: some 500 bytes an event that waits and as many an edge of a row that it touches first (two to three
/// kilobytes an event on a graph with seven edges a node), besides the graph with its events: 4 bytes an edge (8 to
/// 12 where there are weights) and 8 a node, twice while a batch is taken; and what [`Bounds::body_bytes`] allows four times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Updates {
    /// The most events of a request.
    pub events: usize,
    /// The most batches that wait to be taken, for each store.
    pub queue: usize,
    /// The most events that the graph of a store has not absorbed.
    pub waiting: u64,
    /// The most bytes of a store's log of events, about.
    pub log_bytes: u64,
    /// Whether a batch is on the disk before it is acknowledged.
    pub fsync: Fsync,
    /// From so many events on that the graph has not absorbed, it absorbs them by itself; 0: never.
    pub compact_after: u64,
    /// Threads that walk for that.
    pub compact_workers: usize,
    /// The most memory that those walks may hold, in bytes.
    pub compact_memory: u64,
}

impl Default for Updates {
    fn default() -> Self {
        Updates {
            events: 100_000,
            queue: 256,
            waiting: 500_000,
            log_bytes: 1 << 30,
            fsync: Fsync::default(),
            compact_after: 100_000,
            compact_workers: 1,
            compact_memory: 4 << 30,
        }
    }
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds { body_bytes: 16 << 20, seeds: 100_000, top: 100_000, queries: 10_000, edges: 200_000 }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            offers: Vec::new(),
            listen: SocketAddr::from(([127, 0, 0, 1], 7717)),
            insecure: false,
            keys: Keys::default(),
            tls: None,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            open_stores: 64,
            follow: Duration::from_secs(1),
            bounds: Bounds::default(),
            updates: Updates::default(),
            timeout: Duration::from_secs(30),
            queue: 1024,
            connections: 4096,
            stop_within: Duration::from_secs(20),
        }
    }
}
