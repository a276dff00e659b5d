//! The server as a user starts it: a process, its address, what it says on stderr, and what it takes of the machine.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::machine::proc_kib;

/// What a server says when it is ready.
const READY: &str = "walkprint: answering at http://";
/// How long a server may take to be ready, and to end.
const PATIENCE: Duration = Duration::from_secs(60);
/// Linux counts processor time in hundredths of a second.
const TICKS_A_SECOND: f64 = 100.0;
/// How often it is looked whether the server has ended.
const LOOK: Duration = Duration::from_millis(2);

/// A running server. It is killed when this is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    said: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts `walkprint serve` on a free port and waits until it is ready.
    ///
    /// # Errors
    /// When it does not start, or ends before it is ready: what it said is told.
    pub(crate) fn start(program: &Path, arguments: &[impl AsRef<OsStr>]) -> Result<Server> {
        let mut command = Command::new(program);
        command.arg("serve").args(arguments).args(["--listen", "127.0.0.1:0"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("could not start {}", program.display()))?;
        let stderr = child.stderr.take().context("the server has no stderr")?;
        let said = Arc::new(Mutex::new(Vec::new()));
        let (ready, address) = mpsc::channel();
        let kept = Arc::clone(&said);
        let reader = std::thread::spawn(move || listen(BufReader::new(stderr), &kept, &ready));
        let mut server = Server { child, address: ([127, 0, 0, 1], 0).into(), said, reader: Some(reader) };
        match address.recv_timeout(PATIENCE) {
            Ok(address) => server.address = address,
            Err(_) => bail!("the server did not start: {}", server.said().join("; ")),
        }
        Ok(server)
    }

    /// All lines of stderr until now.
    pub(crate) fn said(&self) -> Vec<String> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lines that tell of a panic or of a mistake of the server's own.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let bad = |line: &String| {
            let line = line.to_lowercase();
            line.contains("panicked") || line.contains("internal error") || line.contains("cause=\"internal\"")
        };
        self.said().into_iter().filter(bad).collect()
    }

    /// Resident memory.
    pub(crate) fn resident_kib(&self) -> Option<u64> {
        proc_kib(&format!("/proc/{}/status", self.child.id()), "VmRSS")
    }

    /// How many files and sockets it has open.
    pub(crate) fn descriptors(&self) -> Option<usize> {
        Some(std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).ok()?.count())
    }

    /// User and system time of the process, in seconds.
    pub(crate) fn processor_seconds(&self) -> Option<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).ok()?;
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
        Some((ticks(11)? + ticks(12)?) / TICKS_A_SECOND)
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When the process is gone.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).context("could not send a signal to the server")
    }

    /// Waits until it has ended. Returns how it ended and all that it said.
    ///
    /// # Errors
    /// When it does not end.
    pub(crate) fn ended(mut self) -> Result<(ExitStatus, Vec<String>)> {
        let began = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().context("could not wait for the server")? {
                break status;
            }
            if PATIENCE < began.elapsed() {
                bail!("the server had not ended after {} s; it was killed", PATIENCE.as_secs());
            }
            std::thread::park_timeout(LOOK);
        };
        self.reader.take().map(JoinHandle::join);
        Ok((status, self.said()))
    }

    /// Tells it to stop and waits for it.
    ///
    /// # Errors
    /// As [`Server::ended`].
    pub(crate) fn stop(self) -> Result<(ExitStatus, Vec<String>)> {
        self.signal(Signal::TERM)?;
        self.ended()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to kill.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Keeps all lines, and tells the address once.
fn listen(stderr: impl BufRead, said: &Mutex<Vec<String>>, ready: &Sender<SocketAddr>) {
    for line in stderr.lines().map_while(Result::ok) {
        if let Some(Ok(address)) = line.strip_prefix(READY).map(str::parse) {
            // Nobody waits for a second one.
            let _ = ready.send(address);
        }
        said.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }
}
