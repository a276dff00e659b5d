//! What clients get: the same fields that `walkprint query --json` prints, and those of the other pages.
//!
//! The server writes answers straight from the engine's ([`crate::serve::Printed`]); these types are what a client reads them into,
//! and what `/openapi.json` describes. **They describe every field that the server sends.** (Test: `tests/tests/server_answers.rs`.)

use axum::body::Bytes;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use walkprint_engine::query::{Dangling, Method};

use super::problem::{Kind, Problem, ProblemBody};
use crate::serve::Triple;

/// Something as JSON.
///
/// # Errors
/// When it cannot be printed, which nothing that is sent can be.
pub(super) fn printed(what: &impl Serialize) -> Result<Vec<u8>, Problem> {
    serde_json::to_vec(what)
        .map_err(|error| Problem::new(Kind::Internal, format!("the answer cannot be printed: {error}")))
}

/// A response of JSON.
pub(super) fn json_response(json: Vec<u8>) -> Response {
    let kind = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, kind)], Bytes::from(json)).into_response()
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswerBody {
    /// The best nodes, best first.
    pub results: Vec<ResultBody>,
    /// The method that was used.
    #[schema(value_type = super::openapi::MethodSchema)]
    pub method: Method,
    /// What was assumed about nodes without out-edges.
    #[schema(value_type = super::openapi::DanglingSchema)]
    pub dangling: Dangling,
    /// Whether scores are exact or estimates.
    pub status: StatusBody,
    /// The share of the seeds' mass that the scores account for.
    pub mass_accounted: f64,
    /// True when fewer results came back than were asked for.
    pub truncated: bool,
    /// The index that was used.
    pub index: IndexUsed,
    /// How long the answer took, in microseconds, without waiting and printing.
    pub took_us: u64,
    /// The store that answered; none for a graph that was sent along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<StoreUsed>,
    /// Why these are the results, if that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explanation: Option<ExplanationBody>,
    /// The tokens of all results together (or of all triples), if a budget or triples were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Whether the budget left results (or triples) out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<bool>,
    /// The best triples of a graph that was sent along, if they were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub triples: Option<Vec<Triple>>,
}

/// One result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResultBody {
    /// The node.
    pub id: String,
    /// Its type, if it has one.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Its score.
    pub score: f64,
    /// Standard error of the score; 0 for exact scores.
    pub std_error: f64,
    /// Its place: 1, 2, 3, …
    pub rank: usize,
    /// False when the node that ranks next could belong above it.
    pub rank_stable: bool,
    /// How many seeds support it, if support was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub support: Option<usize>,
}

/// How sure the scores are.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum StatusBody {
    /// Every score is known up to a residual.
    Exact {
        /// The mass that was not pushed any more.
        residual: f64,
        /// Bounds the L1 error of the scores.
        error_bound: f64,
    },
    /// Scores are estimates with a standard error each.
    Estimated {
        /// The share of the seeds' mass whose part of the scores came from walks.
        sampled: f64,
        /// An estimate of the L1 error.
        l1_error: f64,
    },
}

/// The index that was used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IndexUsed {
    /// Its name; none where the answer is exact.
    pub name: Option<String>,
    /// How often an index of this name was published.
    pub generation: Option<u64>,
    /// Digest of the graph, in hexadecimal.
    pub graph_digest: String,
    /// The restart probability.
    pub restart_prob: f64,
}

/// The store that answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StoreUsed {
    /// Its name.
    pub name: String,
    /// Its generation.
    pub generation: u64,
    /// How many events count that this generation has not absorbed; none where events have never come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<u64>,
    /// How many events count in all since the graph was loaded; none where events have never come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
}

/// Why these are the results.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExplanationBody {
    /// One a result, in the same order.
    pub results: Vec<ExplainedBody>,
    /// Where paths were searched.
    pub searched: SearchedBody,
}

/// Why one node is a result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExplainedBody {
    /// The node.
    pub id: String,
    /// Its score.
    pub score: f64,
    /// What seeds contribute, the most first.
    pub contributions: Vec<ContributionBody>,
    /// What all other seeds contribute together, when not all are told.
    pub others: Option<OthersBody>,
    /// The best paths, best first.
    pub paths: Vec<PathBody>,
    /// Whether there may be better ones: best, bounded, beyond, unreachable.
    pub status: String,
}

/// What one seed contributes to a score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ContributionBody {
    /// The seed.
    pub id: String,
    /// Its weight among the seeds, which sum to 1.
    pub weight: f64,
    /// What it contributes.
    pub score: f64,
    /// The standard error of that.
    pub std_error: f64,
    /// The part of it by walks that began again anywhere.
    pub restarted: f64,
    /// What it contributes as a part of the score.
    pub share: f64,
}

/// Seeds that are not told one by one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OthersBody {
    /// How many.
    pub seeds: usize,
    /// What they contribute.
    pub score: f64,
    /// The same as a part of the score.
    pub share: f64,
}

/// A path from a seed to a result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PathBody {
    /// The chance that a walk goes this way.
    pub probability: f64,
    /// What it pays as a part of the score.
    pub share: f64,
    /// The nodes, the seed first.
    pub nodes: Vec<String>,
    /// The edges between them.
    pub edges: Vec<HopBody>,
}

/// An edge of a path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HopBody {
    /// Its weight.
    pub weight: f64,
    /// The chance that a walk takes it.
    pub probability: f64,
    /// Its types.
    #[serde(default)]
    pub kinds: Vec<String>,
}

/// Where paths were searched.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchedBody {
    /// Nodes of the neighbourhood.
    pub nodes: usize,
    /// Its edges.
    pub edges: usize,
    /// Edges that were read to find it.
    pub edges_read: u64,
    /// No path of a higher probability lies outside.
    pub floor: f64,
}

/// The answers to a batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchBody {
    /// In the order of the questions.
    pub answers: Vec<BatchItem>,
}

/// An answer, or why there is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum BatchItem {
    /// None.
    Problem {
        /// Why.
        problem: ProblemBody,
    },
    /// An answer.
    Answer(Box<AnswerBody>),
}

/// The stores.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StoresBody {
    /// By name.
    pub stores: Vec<StoreListed>,
    /// Whether there are more: ask again with `after` the last name.
    pub more: bool,
}

/// A store of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StoreListed {
    /// Its name.
    pub name: String,
    /// Whether it is open.
    pub open: bool,
    /// The generation that answers, if it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// Its nodes, if it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<u64>,
    /// Its edges, if it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edges: Option<u64>,
}

/// What a store holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StoreBody {
    /// Its name.
    pub name: String,
    /// The generation that answers.
    pub generation: u64,
    /// Nodes.
    pub nodes: u64,
    /// Edges.
    pub edges: u64,
    /// Whether edges have weights.
    pub weighted: bool,
    /// Digest of the graph, in hexadecimal.
    pub graph_digest: String,
    /// Whether ids are integers.
    pub integer_ids: bool,
    /// Types of nodes.
    pub node_types: Vec<String>,
    /// Types of edges.
    pub edge_types: Vec<String>,
    /// Its indexes by name.
    pub indexes: Vec<IndexBody>,
    /// Its events; none where events have never come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<LiveBody>,
    /// A newer generation that was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<RefusedBody>,
}

/// The events of a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LiveBody {
    /// How many events the graph in the store has not absorbed. They count all the same.
    pub waiting: u64,
    /// How many have come since the graph was loaded.
    pub sequence: u64,
    /// Rows that differ from those in the store.
    pub changed_rows: u64,
    /// Nodes that are new.
    pub new_nodes: u64,
    /// Whether this server takes the events; if not, another program may.
    pub taking: bool,
    /// The bytes of the log, where this server takes the events.
    pub log_bytes: u64,
    /// Whether the graph is absorbing events.
    pub compacting: bool,
    /// How often this server has had events absorbed.
    pub compactions: u64,
    /// Why that failed the last time, if it did; for operators only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

/// An index of a store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IndexBody {
    /// Its name.
    pub name: String,
    /// How often an index of this name was published.
    pub generation: u64,
    /// The restart probability.
    pub restart_prob: f64,
    /// The least number of walks of a node.
    pub walks: u32,
    /// Walks per out-edge, where that is more.
    pub walks_per_edge: f64,
    /// Its size.
    pub bytes: u64,
}

/// A generation that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RefusedBody {
    /// When, in seconds since 1970.
    pub at: u64,
    /// Why; for operators only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// Nodes whose ids begin alike.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NodesBody {
    /// In the order of their ids.
    pub nodes: Vec<NodeBody>,
    /// Whether there are more.
    pub more: bool,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NodeBody {
    /// Its id.
    pub id: String,
    /// Its type, if it has one.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

/// A node's out-edges.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NeighborsBody {
    /// The node.
    pub id: String,
    /// Its type, if it has one.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// How many out-edges it has.
    pub degree: u64,
    /// The sum of their weights.
    pub total_weight: f64,
    /// The nodes that they lead to, the heaviest edge first.
    pub neighbors: Vec<NeighborBody>,
    /// Whether there are more.
    pub more: bool,
}

/// A node that an edge leads to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NeighborBody {
    /// The node.
    pub id: String,
    /// Its type, if it has one.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The edge's weight.
    pub weight: f64,
    /// The chance that a walk takes it.
    pub probability: f64,
    /// The edge's types.
    pub types: Vec<String>,
}

/// Whether the server can answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadyBody {
    /// `ready` or `stopping`.
    pub status: String,
    /// Open stores, for those who may see them.
    pub stores: Vec<StoreReady>,
}

/// An open store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StoreReady {
    /// Its name.
    pub name: String,
    /// The generation that answers.
    pub generation: u64,
    /// A newer generation that was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<RefusedBody>,
}

/// How the server is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HealthBody {
    /// `ok` or `stopping`.
    pub status: String,
    /// For how long it has been running, in seconds.
    pub uptime_seconds: f64,
    /// Requests that are being answered.
    pub under_way: usize,
    /// Short questions that wait.
    pub short_waiting: usize,
    /// Long ones.
    pub long_waiting: usize,
    /// Stores that are open.
    pub open_stores: usize,
}

/// Which program this is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VersionBody {
    /// `walkprint`.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The version of the files that it reads.
    pub format_version: u32,
}
