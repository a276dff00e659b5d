//! Asking a server from Rust, one request at a time; connections are kept and used again.
//!
//! ```no_run
//! use walkprint_cluster::client::Client;
//! use walkprint_cluster::server::QueryRequest;
//!
//! let client = Client::new("http://127.0.0.1:7717");
//! let answer = client.query("wordnet", &QueryRequest::new(["dog.n.01".into()]))?;
//! assert!(answer.results.len() <= 10);
//! # Ok::<(), walkprint_cluster::client::ClientError>(())
//! ```

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use ureq::http::Response;
use ureq::{Agent, Body};

use crate::retrieve::{RetrieveReply, RetrieveRequest};
use crate::server::{
    AnswerBody, BatchBody, BatchItem, BatchRequest, CompactBody, HealthBody, LocalRequest, NeighborsBody, NodesBody,
    ProblemBody, QueryRequest, ReadyBody, StoreBody, StoresBody, UpdateBody, UpdateRequest, VersionBody,
};

/// The largest response that is read.
const MOST_BYTES: u64 = 1 << 32;
/// How long a response may take, unless somebody says otherwise.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The server says why.
    #[error("{} ({}; request {})", .0.detail, .0.title, .0.request_id)]
    Problem(Box<ProblemBody>),
    /// The server could not be reached, or did not answer in time.
    #[error("{url}: {source}")]
    Transport {
        /// What was asked for.
        url: String,
        /// Why it failed.
        #[source]
        source: Box<ureq::Error>,
    },
    /// What answers there is no walkprint server, or one of another version.
    #[error("{url}: expected {expected}, got {got}")]
    Unexpected {
        /// What was asked for.
        url: String,
        /// What should have come.
        expected: &'static str,
        /// What came.
        got: String,
    },
}

type Result<T> = std::result::Result<T, ClientError>;

/// A server, and how it is asked. Clones share connections.
#[derive(Debug, Clone)]
pub struct Client {
    agent: Agent,
    base: String,
    key: Option<String>,
}

impl Client {
    /// A server by its address, as `http://127.0.0.1:7717`.
    #[must_use]
    pub fn new(base: &str) -> Client {
        Client { agent: agent(PATIENCE), base: base.trim_end_matches('/').to_owned(), key: None }
    }

    /// The same, with a key.
    #[must_use]
    pub fn with_key(self, key: &str) -> Client {
        Client { key: Some(key.to_owned()), ..self }
    }

    /// The same, with another limit for how long a response may take as a whole.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Client {
        Client { agent: agent(timeout), ..self }
    }

    /// Which nodes matter to some seeds.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached; so do all others.
    pub fn query(&self, store: &str, request: &QueryRequest) -> Result<AnswerBody> {
        self.post(&format!("/v1/stores/{}/query", encoded(store)), request)
    }

    /// Many questions at once.
    ///
    /// # Errors
    /// As [`Client::query`]; a question that cannot be answered is a [`BatchItem::Problem`].
    pub fn batch(&self, store: &str, request: &BatchRequest) -> Result<Vec<BatchItem>> {
        let body: BatchBody = self.post(&format!("/v1/stores/{}/query/batch", encoded(store)), request)?;
        Ok(body.answers)
    }

    /// The passages or entities that matter to a question in words.
    ///
    /// # Errors
    /// As [`Client::query`].
    pub fn retrieve(&self, store: &str, request: &RetrieveRequest) -> Result<RetrieveReply> {
        self.post(&format!("/v1/stores/{}/retrieve", encoded(store)), request)
    }

    /// Which nodes of a graph that is sent along matter to some seeds.
    ///
    /// # Errors
    /// As [`Client::query`].
    pub fn local(&self, request: &LocalRequest) -> Result<AnswerBody> {
        self.post("/v1/local", request)
    }

    /// Stores by name, those after a name.
    ///
    /// # Errors
    /// As [`Client::query`].
    pub fn stores(&self, after: Option<&str>) -> Result<StoresBody> {
        self.get(&after.map_or("/v1/stores".to_owned(), |after| format!("/v1/stores?after={}", encoded(after))))
    }

    /// What a store holds.
    ///
    /// # Errors
    /// As [`Client::query`].
    pub fn store(&self, store: &str) -> Result<StoreBody> {
        self.get(&format!("/v1/stores/{}", encoded(store)))
    }

    /// Has the server look for a new generation at once.
    ///
    /// # Errors
    /// As [`Client::query`].
    pub fn refresh(&self, store: &str) -> Result<StoreBody> {
        self.post(&format!("/v1/stores/{}/refresh", encoded(store)), &())
    }

    /// Has events taken: all, or none. Where this errs because no answer came, they may have been taken or not.
    ///
    /// # Errors
    /// As [`Client::query`].
    pub fn update(&self, store: &str, request: &UpdateRequest) -> Result<UpdateBody> {
        self.post(&format!("/v1/stores/{}/edges", encoded(store)), request)
    }

    /// Has a store absorb its events in the background; [`Client::store`] tells how it goes.
    ///
    /// # Errors
    /// As [`Client::query`].
    pub fn compact(&self, store: &str) -> Result<CompactBody> {
        self.post(&format!("/v1/stores/{}/compact", encoded(store)), &())
    }

    /// Nodes whose ids begin with some text.
    ///
    /// # Errors
    /// As [`Client::query`].
    pub fn nodes(&self, store: &str, prefix: &str, limit: usize) -> Result<NodesBody> {
        self.get(&format!("/v1/stores/{}/nodes?prefix={}&limit={limit}", encoded(store), encoded(prefix)))
    }

    /// What a node's out-edges lead to.
    ///
    /// # Errors
    /// As [`Client::query`].
    pub fn neighbors(&self, store: &str, id: &str, limit: usize) -> Result<NeighborsBody> {
        self.get(&format!("/v1/stores/{}/neighbors/{}?limit={limit}", encoded(store), encoded(id)))
    }

    /// Whether the server may be asked.
    ///
    /// # Errors
    /// As [`Client::query`]; also when it is stopping.
    pub fn ready(&self) -> Result<ReadyBody> {
        self.get("/readyz")
    }

    /// How the server is.
    ///
    /// # Errors
    /// As [`Client::query`].
    pub fn health(&self) -> Result<HealthBody> {
        self.get("/healthz")
    }

    /// Which program the server is.
    ///
    /// # Errors
    /// As [`Client::query`].
    pub fn version(&self) -> Result<VersionBody> {
        self.get("/version")
    }

    /// The server's numbers, as Prometheus reads them.
    ///
    /// # Errors
    /// As [`Client::query`].
    pub fn metrics(&self) -> Result<String> {
        let url = format!("{}/metrics", self.base);
        let bytes = self.fetch(&url)?;
        String::from_utf8(bytes).map_err(|_| ClientError::Unexpected {
            url,
            expected: "text",
            got: "other bytes".into(),
        })
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let url = format!("{}{path}", self.base);
        let bytes = self.fetch(&url)?;
        parse(&url, &bytes)
    }

    fn fetch(&self, url: &str) -> Result<Vec<u8>> {
        let mut request = self.agent.get(url);
        if let Some(key) = &self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        body(url, request.call())
    }

    fn post<T: DeserializeOwned>(&self, path: &str, content: &impl Serialize) -> Result<T> {
        let url = format!("{}{path}", self.base);
        let content = serde_json::to_vec(content).expect("plain structs always serialize");
        let mut request = self.agent.post(&url).header("content-type", "application/json");
        if let Some(key) = &self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let bytes = body(&url, request.send(&content[..]))?;
        parse(&url, &bytes)
    }
}

fn agent(timeout: Duration) -> Agent {
    // Statuses are read with their problems.
    Agent::config_builder().timeout_global(Some(timeout)).http_status_as_error(false).build().new_agent()
}

/// The bytes of a good response.
fn body(url: &str, response: std::result::Result<Response<Body>, ureq::Error>) -> Result<Vec<u8>> {
    let failed = |source| ClientError::Transport { url: url.to_owned(), source: Box::new(source) };
    let mut response = response.map_err(failed)?;
    let status = response.status();
    let bytes = response.body_mut().with_config().limit(MOST_BYTES).read_to_vec().map_err(failed)?;
    if status.is_success() {
        return Ok(bytes);
    }
    match serde_json::from_slice::<ProblemBody>(&bytes) {
        Ok(problem) => Err(ClientError::Problem(Box::new(problem))),
        Err(_) => {
            let got = format!("status {status}");
            Err(ClientError::Unexpected { url: url.to_owned(), expected: "an answer or a problem", got })
        }
    }
}

fn parse<T: DeserializeOwned>(url: &str, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| ClientError::Unexpected {
        url: url.to_owned(),
        expected: "an answer of a walkprint server of this version",
        got: error.to_string(),
    })
}

/// A text as a part of a path or a query string.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => encoded.push(byte.into()),
            _ => write!(encoded, "%{byte:02X}").expect("a String takes everything"),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_encoded() {
        assert_eq!(encoded("dog.n.01"), "dog.n.01");
        assert_eq!(encoded("a/b ü?"), "a%2Fb%20%C3%BC%3F");
    }

    #[test]
    fn who_cannot_be_reached_is_named() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let error = Client::new(&format!("http://{address}/")).version().unwrap_err();
        assert!(error.to_string().contains(&address.to_string()), "{error}");
    }
}
