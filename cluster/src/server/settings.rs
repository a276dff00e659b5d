//! How a server is set up.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::access::Keys;

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
            timeout: Duration::from_secs(30),
            queue: 1024,
            connections: 4096,
            stop_within: Duration::from_secs(20),
        }
    }
}
