//! `walkprint serve` as a process, asked over HTTP: well by the client, and in any way byte by byte.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;
use walkprint_cluster::client::{Client, ClientError};
use walkprint_cluster::server::ProblemBody;

use crate::program::{Ended, command, signal};

/// The longest that a response is waited for.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running server. It is killed when the value is dropped.
#[derive(Debug)]
pub struct HttpServer {
    child: Option<Child>,
    /// Kills the server when this process ends without dropping it, as servers that several tests share are never dropped.
    watch: Child,
    /// Where it answers, as `127.0.0.1:1234`.
    pub address: String,
    /// Where it answers, as `http://127.0.0.1:1234`.
    pub url: String,
    said: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

/// A response as it came.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The head, names of headers in lower case.
    pub head: String,
    /// The body.
    pub body: String,
}

impl Response {
    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// The body as a problem.
    ///
    /// # Panics
    /// When it is none, or is not what the head says.
    #[must_use]
    pub fn problem(&self) -> ProblemBody {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem: ProblemBody = serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"));
        assert_eq!(problem.status, self.status, "{self:?}");
        assert_eq!(Some(problem.request_id.as_str()), self.header("x-request-id"), "{self:?}");
        assert!(!problem.detail.is_empty() && problem.kind.starts_with("urn:walkprint:problem:"), "{self:?}");
        problem
    }
}

impl HttpServer {
    /// Starts a server of some stores at a free port, and waits until it answers.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    pub fn start(place: &Path, arguments: &[&str]) -> HttpServer {
        HttpServer::start_command(command(place, &[&["serve", "--listen", "127.0.0.1:0"], arguments].concat()))
    }

    /// The same by a command that somebody else has set up.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    pub fn start_command(mut command: Command) -> HttpServer {
        let mut child = command.spawn().expect("the program starts");
        let watch = watch(&child);
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe"));
        let said = Arc::new(Mutex::new(String::new()));
        let mut line = String::new();
        let url = loop {
            line.clear();
            let read = lines.read_line(&mut line).expect("what the server says");
            assert!(read != 0, "it ended: {}", said.lock().unwrap_or_else(PoisonError::into_inner));
            said.lock().unwrap_or_else(PoisonError::into_inner).push_str(&line);
            if let Some((_, url)) = line.split_once("answering at ") {
                break url.trim_end().to_owned();
            }
        };
        let heard = Arc::clone(&said);
        let reader = std::thread::spawn(move || {
            let mut line = String::new();
            while lines.read_line(&mut line).is_ok_and(|read| read != 0) {
                heard.lock().unwrap_or_else(PoisonError::into_inner).push_str(&line);
                line.clear();
            }
        });
        let address = url.rsplit_once('/').map_or(url.as_str(), |(_, address)| address).to_owned();
        HttpServer { child: Some(child), watch, address, url, said, reader: Some(reader) }
    }

    /// A client of it.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(&self.url).with_timeout(PATIENCE)
    }

    /// The number of its process.
    ///
    /// # Panics
    /// After it has ended.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.child.as_ref().expect("a running server").id()
    }

    /// Everything that it has said on stderr.
    #[must_use]
    pub fn said(&self) -> String {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends a signal, by its name without `SIG`.
    ///
    /// # Panics
    /// After it has ended.
    pub fn signal(&self, name: &str) {
        signal(self.child.as_ref().expect("a running server"), name);
    }

    /// Waits until it has ended.
    ///
    /// # Panics
    /// When its streams cannot be read.
    #[must_use]
    pub fn ended(mut self) -> Ended {
        let mut ended = Ended::wait(self.child.take().expect("a running server"));
        self.reader.take().into_iter().for_each(|reader| reader.join().expect("a reader that does not panic"));
        ended.stderr = self.said();
        ended
    }

    /// A connection.
    ///
    /// # Panics
    /// When nobody listens.
    #[must_use]
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).expect("a server that listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        stream
    }

    /// Sends bytes as they are on a connection of their own, and reads the response.
    ///
    /// # Panics
    /// When no whole response comes.
    #[must_use]
    pub fn raw(&self, bytes: &[u8]) -> Response {
        let mut stream = self.connect();
        // A server that has seen enough hangs up before the end.
        let _ = stream.write_all(bytes);
        response(&mut BufReader::new(stream))
            .unwrap_or_else(|what| panic!("{what} to {}", String::from_utf8_lossy(bytes)))
    }

    /// Asks for a page.
    ///
    /// # Panics
    /// When no whole response comes.
    #[must_use]
    pub fn get(&self, path: &str) -> Response {
        self.raw(format!("GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.address).as_bytes())
    }

    /// Sends a body of JSON.
    ///
    /// # Panics
    /// When no whole response comes.
    #[must_use]
    pub fn post(&self, path: &str, body: &str) -> Response {
        self.raw(&posted(&self.address, path, body))
    }
}

/// Kills a process when the pipe to this one breaks.
fn watch(child: &Child) -> Child {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("read _; kill -9 {}", child.id())]).stdin(Stdio::piped());
    shell.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a shell")
}

/// The bytes of a request with a body of JSON.
#[must_use]
pub fn posted(host: &str, path: &str, body: &str) -> Vec<u8> {
    let head = format!("POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n");
    format!("{head}content-length: {}\r\nconnection: close\r\n\r\n{body}", body.len()).into_bytes()
}

/// Reads one response. `Err` says what is missing.
///
/// # Errors
/// When the connection ends before it.
pub fn response(stream: &mut impl BufRead) -> Result<Response, String> {
    let mut head = String::new();
    loop {
        let mut line = String::new();
        let read = stream.read_line(&mut line).map_err(|error| format!("no response ({error})"))?;
        if read == 0 {
            return Err(format!("no whole response ({head:?})"));
        }
        if line == "\r\n" {
            break;
        }
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        head += &format!(
            "{}{}{}\n",
            name.trim_end().to_ascii_lowercase(),
            if value.is_empty() { "" } else { ": " },
            value.trim()
        );
    }
    let status =
        head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(|| format!("no status: {head}"))?;
    let mut response = Response { status, head, body: String::new() };
    let mut body = Vec::new();
    if let Some(length) = response.header("content-length") {
        let length: u64 = length.parse().map_err(|_| "no length".to_owned())?;
        stream.take(length).read_to_end(&mut body).map_err(|error| error.to_string())?;
        if (body.len() as u64) < length {
            return Err(format!("{} of {length} bytes", body.len()));
        }
    } else if response.header("transfer-encoding") == Some("chunked") {
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).map_err(|error| error.to_string())?;
            let length = u64::from_str_radix(line.trim(), 16).map_err(|_| format!("a chunk of {line:?}"))?;
            let before = body.len() as u64;
            stream.take(length + 2).read_to_end(&mut body).map_err(|error| error.to_string())?;
            if body.len() as u64 != before + length + 2 {
                return Err("a chunk that was cut off".to_owned());
            }
            body.truncate(body.len() - 2);
            if length == 0 {
                break;
            }
        }
    }
    response.body = String::from_utf8(body).map_err(|error| error.to_string())?;
    Ok(response)
}

/// The problem that a client was told.
///
/// # Panics
/// When it was told something else.
#[must_use]
pub fn refused<T: std::fmt::Debug>(outcome: Result<T, ClientError>) -> ProblemBody {
    match outcome {
        Err(ClientError::Problem(problem)) => *problem,
        other => panic!("expected a problem, got {other:?}"),
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        // First, so that it kills nobody else.
        let _ = self.watch.kill();
        let _ = self.watch.wait();
        if let Some(mut child) = self.child.take() {
            // It may have ended.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
