//! Answers in bulk: the files of a batch, and a server that runs.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStderr};

use serde_json::Value;

use crate::program::{Ended, command, signal};
use crate::team::Team;

/// All files of a batch, by name.
///
/// # Panics
/// When there are none.
#[must_use]
pub fn written(place: &Path, out: &str) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(place.join(out)).expect("a directory of answers");
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry.expect("an entry");
        (entry.file_name().into_string().expect("a name"), std::fs::read(entry.path()).expect("a file of answers"))
    };
    let mut files: Vec<_> = entries.map(read).collect();
    files.sort();
    files
}

/// A server that answers, and where; its other processes.
#[derive(Debug)]
pub struct Server {
    processes: Vec<Child>,
    /// Where process 0 answers.
    pub address: String,
    _stderr: BufReader<ChildStderr>,
}

impl Server {
    /// Starts a process for each of the stores, and waits until they answer.
    ///
    /// # Panics
    /// When they end instead.
    #[must_use]
    pub fn start(place: &Path, stores: &[&str]) -> Server {
        let arguments = |store| ["serve", store, "--workers", "2", "--listen", "127.0.0.1:0"];
        let mut all: Vec<Child> = match stores {
            [store] => vec![command(place, &arguments(store)).spawn().expect("the program starts")],
            _ => Team::new(place, stores.len()).start_over(place, stores, &arguments("STORE")),
        };
        let mut stderr = BufReader::new(all[0].stderr.take().expect("a pipe"));
        let mut line = String::new();
        let address = loop {
            line.clear();
            assert!(stderr.read_line(&mut line).expect("what the server says") != 0, "it ended");
            if let Some((_, rest)) = line.split_once("answering at ") {
                break rest.split(';').next().expect("an address").to_owned();
            }
        };
        Server { processes: all, address, _stderr: stderr }
    }

    /// What the server says to lines, one each.
    ///
    /// # Panics
    /// When it says nothing.
    #[must_use]
    pub fn say(&self, lines: &[&str]) -> Vec<Value> {
        let mut stream = TcpStream::connect(&self.address).expect("a server");
        let mut answers = BufReader::new(stream.try_clone().expect("a socket")).lines();
        let answer = |line: &&str| {
            writeln!(stream, "{line}").expect("a server that listens");
            serde_json::from_str(&answers.next().expect("an answer").expect("an answer")).expect("JSON")
        };
        lines.iter().map(answer).collect()
    }

    /// Interrupts process 0; all processes end well.
    ///
    /// # Panics
    /// When they do not.
    pub fn end(self) {
        signal(&self.processes[0], "INT");
        for process in self.processes {
            let _ = Ended::wait(process).done();
        }
    }
}
