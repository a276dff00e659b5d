//! Several processes of the `walkprint` program that do one job: their host file, their key, and how they end.

use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Child;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::program::{Ended, command};

/// The longest that a listener may take to appear.
const PATIENCE: Duration = Duration::from_secs(60);

/// Host file and key of a job, in a directory.
#[derive(Debug)]
pub struct Team {
    /// The addresses, by process.
    pub addresses: Vec<String>,
}

impl Team {
    /// Writes `hosts`, with a free port of this machine for each process, and `key`.
    ///
    /// # Panics
    /// When there is no room for them.
    #[must_use]
    pub fn new(place: &Path, processes: usize) -> Team {
        let team = Team { addresses: free_addresses(processes) };
        let lines: String = team.addresses.iter().map(|address| format!("{address}\n")).collect();
        std::fs::write(place.join("hosts"), lines).expect("room for a host file");
        write_key(&place.join("key"), "a key that only this test has");
        team
    }

    /// How a process is called in messages.
    #[must_use]
    pub fn name(&self, process: usize) -> String {
        format!("process {process} ({})", self.addresses[process])
    }

    /// Starts a process of the job; the arguments that make it one are added.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(&self, place: &Path, process: usize, arguments: &[&str]) -> Child {
        let number = process.to_string();
        let own = ["--hosts", "hosts", "--key-file", "key", "--process", &number];
        command(place, &[arguments, &own].concat()).spawn().expect("the program starts")
    }

    /// Runs all processes to their ends.
    ///
    /// # Panics
    /// When they cannot be started.
    #[must_use]
    pub fn run(&self, place: &Path, arguments: &[&str]) -> Vec<Ended> {
        let all: Vec<Child> = (0..self.addresses.len()).map(|process| self.start(place, process, arguments)).collect();
        all.into_iter().map(Ended::wait).collect()
    }

    /// Runs all processes to their ends, each with its own store: it takes the place of the word `STORE`.
    ///
    /// # Panics
    /// When they cannot be started.
    #[must_use]
    pub fn run_over(&self, place: &Path, stores: &[&str], arguments: &[&str]) -> Vec<Ended> {
        self.start_over(place, stores, arguments).into_iter().map(Ended::wait).collect()
    }

    /// Starts all processes, each with its own store: it takes the place of the word `STORE`.
    ///
    /// # Panics
    /// When they cannot be started.
    #[must_use]
    pub fn start_over(&self, place: &Path, stores: &[&str], arguments: &[&str]) -> Vec<Child> {
        let start = |(process, store): (usize, &&str)| {
            let own: Vec<&str> = arguments.iter().map(|word| if *word == "STORE" { *store } else { *word }).collect();
            self.start(place, process, &own)
        };
        stores.iter().enumerate().map(start).collect()
    }

    /// Connects with a process that is starting, as soon as it listens.
    ///
    /// # Panics
    /// When it never does.
    #[must_use]
    pub fn reach(&self, process: usize) -> TcpStream {
        let began = Instant::now();
        loop {
            match TcpStream::connect(&self.addresses[process]) {
                Ok(stream) => return stream,
                Err(error) => assert!(began.elapsed() < PATIENCE, "{}: {error}", self.name(process)),
            }
            std::thread::park_timeout(Duration::from_millis(2)); // asks again soon, without keeping a processor busy
        }
    }
}

/// Writes a key that only its owner may read.
///
/// # Panics
/// When there is no room for it.
pub fn write_key(path: &Path, key: &str) {
    std::fs::write(path, key).expect("room for a key");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("the file is the test's own");
}

/// Addresses of this machine at which nobody listens, none of them twice. Their ports are not among those that the
/// system gives to connections.
///
/// # Panics
/// When there are none.
#[must_use]
pub fn free_addresses(count: usize) -> Vec<String> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let candidates = std::iter::from_fn(|| {
        let number = std::process::id().wrapping_mul(97).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        Some(format!("127.0.0.1:{}", 12_000 + number % 18_000))
    });
    let free = candidates.take(18_000).filter(|address| TcpListener::bind(address).is_ok());
    let found: Vec<String> = free.take(count).collect();
    assert_eq!(found.len(), count, "no ports are free");
    found
}
