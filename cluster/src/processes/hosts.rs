//! The host file: which processes a job has, and where each of them listens.
//!
//! ```text
//! # process 0 comes first
//! 10.0.0.1:7701
//! graph-2.example.org:7701
//! [2001:db8::3]:7701
//! ```

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// More processes than anybody has: every pair of them has two connections.
const MOST_PROCESSES: usize = 1024;

/// The processes of a job, in the order of their numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hosts {
    lines: Vec<Address>,
}

/// Where a process listens: `HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Address {
    /// A name, an IPv4 address or an IPv6 address without its brackets.
    host: String,
    port: u16,
}

impl Hosts {
    /// Reads a host file: a process a line, `#` begins a comment, empty lines do not count.
    ///
    /// # Errors
    /// When the file cannot be read, has no line or too many, or a line is malformed or stands there twice.
    pub fn read(path: &Path) -> Result<Hosts> {
        let text = std::fs::read_to_string(path).map_err(walkprint_engine::error::Error::io(path, "read"))?;
        Hosts::parse(path, &text)
    }

    pub(super) fn parse(path: &Path, text: &str) -> Result<Hosts> {
        let refuse = |line: usize, what: String| Err(Error::HostLine { file: PathBuf::from(path), line, what });
        let mut lines: Vec<Address> = Vec::new();
        let mut seen: BTreeMap<Address, usize> = BTreeMap::new();
        for (number, line) in text.lines().enumerate().map(|(at, line)| (at + 1, line)) {
            let line = line.split('#').next().unwrap_or("").trim();
            if line.is_empty() {
                continue;
            }
            let address = match Address::parse(line) {
                Ok(address) => address,
                Err(what) => return refuse(number, what),
            };
            if let Some(first) = seen.insert(address.clone(), number) {
                return refuse(number, format!("{line} stands in line {first} already: each process has its own line"));
            }
            lines.push(address);
            if MOST_PROCESSES < lines.len() {
                return refuse(number, format!("expected at most {MOST_PROCESSES} processes"));
            }
        }
        if lines.is_empty() {
            return refuse(1, "expected a line HOST:PORT for each process, found none".into());
        }
        Ok(Hosts { lines })
    }

    /// How many processes there are.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "there is at least one")]
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Where a process listens, as it stands in the file.
    ///
    /// # Panics
    /// When there is no such process.
    #[must_use]
    pub fn address(&self, process: usize) -> String {
        self.lines[process].to_string()
    }

    /// A process by number and address, for messages.
    pub(crate) fn name(&self, process: usize) -> String {
        match self.lines.get(process) {
            Some(address) => format!("process {process} ({address})"),
            None => format!("process {process}"),
        }
    }

    /// The addresses that a line's host has now.
    pub(super) fn resolve(&self, process: usize) -> std::io::Result<Vec<SocketAddr>> {
        let Address { host, port } = &self.lines[process];
        let found: Vec<SocketAddr> = (host.as_str(), *port).to_socket_addrs()?.collect();
        if found.is_empty() { Err(std::io::Error::other("the name has no address")) } else { Ok(found) }
    }
}

impl Address {
    fn parse(line: &str) -> std::result::Result<Address, String> {
        let malformed = || format!("expected HOST:PORT, as 10.0.0.1:7701 or [2001:db8::1]:7701, got {line:?}");
        let (host, port) = line.rsplit_once(':').ok_or_else(malformed)?;
        let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        let port: u16 = if digits { port.parse().map_err(|_| malformed())? } else { return Err(malformed()) };
        if port == 0 {
            return Err(format!("expected a port from 1 to 65535, got 0 in {line:?}"));
        }
        let host = match host.strip_prefix('[').map(|rest| rest.strip_suffix(']')) {
            Some(inside) => inside.and_then(|text| text.parse::<Ipv6Addr>().ok()).ok_or_else(malformed)?.to_string(),
            None if host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') => {
                host.parse::<Ipv4Addr>().map_err(|_| malformed())?.to_string()
            }
            None => name(host).ok_or_else(malformed)?,
        };
        Ok(Address { host, port })
    }
}

/// A host's name: labels of letters, digits, `-` and `_`, with dots between them.
fn name(text: &str) -> Option<String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let label = |label: &str| !label.is_empty() && label.len() <= 63 && label.bytes().all(allowed);
    (text.len() <= 253 && text.split('.').all(label)).then(|| text.to_ascii_lowercase())
}

impl std::fmt::Display for Address {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Address { host, port } = self;
        if host.contains(':') { write!(formatter, "[{host}]:{port}") } else { write!(formatter, "{host}:{port}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> std::result::Result<Hosts, String> {
        Hosts::parse(Path::new("hosts"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn names_addresses_comments_and_blank_lines() {
        let text =
            "# a job\n\n10.0.0.1:7701 # the first\n  Graph-2.Example.org:7702\t\r\n[2001:DB8:0::3]:65535\nlocalhost:1";
        let hosts = parse(text).unwrap();
        let lines: Vec<String> = (0..hosts.len()).map(|process| hosts.address(process)).collect();
        assert_eq!(lines, ["10.0.0.1:7701", "graph-2.example.org:7702", "[2001:db8::3]:65535", "localhost:1"]);
        assert_eq!(hosts.name(2), "process 2 ([2001:db8::3]:65535)");
        assert_eq!(parse("one:1").unwrap().len(), 1);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, line, word) in [
            ("", 1, "found none"),
            ("# nothing\n\n", 1, "found none"),
            ("a:1\nb", 2, "HOST:PORT"),
            ("a:1\n\nb:", 3, "HOST:PORT"),
            (":7", 1, "HOST:PORT"),
            ("a:0", 1, "65535"),
            ("a:65536", 1, "HOST:PORT"),
            ("a:+7", 1, "HOST:PORT"),
            ("a:7:8", 1, "HOST:PORT"),
            ("2001:db8::1:77", 1, "HOST:PORT"),
            ("[2001:db8::1]", 1, "HOST:PORT"),
            ("[2001:db8::1:77", 1, "HOST:PORT"),
            ("[10.0.0.1]:77", 1, "HOST:PORT"),
            ("10.0.0.256:77", 1, "HOST:PORT"),
            ("10.0.1:77", 1, "HOST:PORT"),
            ("a b:77", 1, "HOST:PORT"),
            ("a..b:77", 1, "HOST:PORT"),
            ("ä:77", 1, "HOST:PORT"),
            ("a:1\nb:2\nA:1", 3, "line 1 already"),
            ("[::1]:1\n[0:0::1]:1", 2, "line 1 already"),
        ] {
            let message = parse(text).unwrap_err();
            assert!(message.starts_with(&format!("hosts:{line}: ")) && message.contains(word), "{text:?}: {message}");
        }
        let many: String = (1..=MOST_PROCESSES + 1).map(|port| format!("a:{port}\n")).collect();
        assert!(parse(&many).unwrap_err().contains("at most 1024"));
    }
}
