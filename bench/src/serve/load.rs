//! Requests over connections that are kept, from one thread: as fast as answers come, or at times that do not wait for them.
//!
//! **In an open loop a request's time runs from when it was due**, whether a connection was free or not, so that a server that
//! stalls is charged for all that should have been asked meanwhile.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderMap, HeaderValue};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

/// So many failures are told in full.
const TOLD: usize = 5;
/// Of the answers every so many-th is kept, to be compared.
pub(crate) const KEPT_EVERY: usize = 100;

/// A request, prepared.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
    /// What must come.
    pub(crate) status: StatusCode,
}

impl Ask {
    /// A request without a body.
    ///
    /// # Errors
    /// When the path is none.
    pub(crate) fn get(path: &str) -> Result<Ask> {
        let uri = path.parse().with_context(|| format!("{path:?} is no path"))?;
        let headers = HeaderMap::new();
        Ok(Ask { method: Method::GET, uri, headers, body: Bytes::new(), status: StatusCode::OK })
    }

    /// A request with JSON.
    ///
    /// # Errors
    /// When the path is none.
    pub(crate) fn post(path: &str, content: &impl Serialize) -> Result<Ask> {
        let mut ask = Ask { method: Method::POST, body: serde_json::to_vec(content)?.into(), ..Ask::get(path)? };
        ask.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(ask)
    }

    /// The same, to be answered in lines.
    pub(crate) fn in_lines(mut self) -> Ask {
        self.headers.insert(ACCEPT, HeaderValue::from_static("application/x-ndjson"));
        self
    }

    /// The same, to be refused.
    pub(crate) fn refused_with(self, status: StatusCode) -> Ask {
        Ask { status, ..self }
    }
}

/// A connection that is kept.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    host: HeaderValue,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// When the server does not take it.
    pub(crate) async fn open(address: SocketAddr) -> Result<Connection> {
        let stream = TcpStream::connect(address).await.context("could not connect")?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // It ends with the sender; what goes wrong is told to the one who asks.
        drop(tokio::spawn(connection));
        Ok(Connection { sender, host: HeaderValue::from_str(&address.to_string())? })
    }

    /// Asks and takes the whole answer.
    ///
    /// # Errors
    /// When no whole answer comes.
    pub(crate) async fn ask(&mut self, ask: &Ask) -> Result<(StatusCode, Bytes)> {
        let mut request = Request::new(Full::new(ask.body.clone()));
        *request.method_mut() = ask.method.clone();
        *request.uri_mut() = ask.uri.clone();
        *request.headers_mut() = ask.headers.clone();
        request.headers_mut().insert(HOST, self.host.clone());
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        let status = response.status();
        Ok((status, response.into_body().collect().await?.to_bytes()))
    }
}

/// A runtime for all that is asked from here: one thread.
///
/// # Errors
/// When there is none to be had.
pub(crate) fn runtime() -> Result<Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("could not start a runtime")
}

/// What is asked of whom.
#[derive(Clone)]
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    pub(crate) asks: Arc<[Ask]>,
    pub(crate) connections: usize,
}

/// What came.
#[derive(Default)]
pub(crate) struct Came {
    pub(crate) answered: usize,
    pub(crate) seconds: f64,
    /// In milliseconds, one a request.
    pub(crate) latencies: Vec<f64>,
    /// Which request, and its answer.
    pub(crate) kept: Vec<(usize, Bytes)>,
    /// Answers that had another status than expected, or did not come.
    pub(crate) failed: usize,
    pub(crate) failures: Vec<String>,
}

impl Came {
    fn failed(&mut self, what: String) {
        self.failed += 1;
        if self.failures.len() < TOLD {
            self.failures.push(what);
        }
    }

    fn add(&mut self, other: Came) {
        self.answered += other.answered;
        self.failed += other.failed;
        self.latencies.extend(other.latencies);
        self.kept.extend(other.kept);
        self.failures.extend(other.failures);
    }
}

/// When requests are sent.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pace {
    /// Each connection asks again when it has its answer.
    Closed,
    /// So many are due a second.
    Open(f64),
}

impl Load {
    /// Asks for some time; every `keep`-th answer is kept.
    ///
    /// # Errors
    /// When a connection cannot be opened; what happens later is told in what came.
    pub(crate) async fn run(&self, pace: Pace, time: Duration, keep: usize) -> Result<Came> {
        let next = Arc::new(AtomicUsize::new(0));
        let mut connections = Vec::new();
        for _ in 0..self.connections {
            connections.push(Connection::open(self.address).await?);
        }
        let began = Instant::now();
        let mut tasks = JoinSet::new();
        for connection in connections {
            tasks.spawn(one(connection, self.clone(), pace, Arc::clone(&next), began, time, keep));
        }
        let mut came = Came::default();
        while let Some(of_one) = tasks.join_next().await {
            came.add(of_one.context("a connection of the generator failed")?);
        }
        came.seconds = began.elapsed().as_secs_f64();
        Ok(came)
    }
}

async fn one(
    mut connection: Connection,
    load: Load,
    pace: Pace,
    next: Arc<AtomicUsize>,
    began: Instant,
    time: Duration,
    keep: usize,
) -> Came {
    let mut came = Came::default();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let due = match pace {
            Pace::Closed => Instant::now(),
            Pace::Open(rate) => began + Duration::from_secs_f64(number as f64 / rate),
        };
        if began + time <= due {
            return came;
        }
        if Instant::now() < due {
            tokio::time::sleep_until(due.into()).await;
        }
        let ask = &load.asks[number % load.asks.len()];
        match connection.ask(ask).await {
            Ok((status, body)) => {
                came.answered += 1;
                came.latencies.push(due.elapsed().as_secs_f64() * 1e3);
                if status != ask.status {
                    let said: String = String::from_utf8_lossy(&body).chars().take(300).collect();
                    came.failed(format!("{} {}: {status}, {said}", ask.method, ask.uri));
                } else if number.is_multiple_of(keep) {
                    came.kept.push((number, body));
                }
            }
            Err(error) => {
                came.failed(format!("{} {}: {error:#}", ask.method, ask.uri));
                match Connection::open(load.address).await {
                    Ok(another) => connection = another,
                    Err(_) => return came,
                }
            }
        }
    }
}
