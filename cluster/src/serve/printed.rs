//! An answer as JSON: what `query --json` prints and what a server sends.

use serde_json::{Value, json};
use walkprint_engine::index::IndexEntry;
use walkprint_engine::kinds::Kinds;
use walkprint_engine::query::Answer;

/// Where an answer comes from.
#[derive(Debug, Clone, Copy)]
pub struct Provenance<'a> {
    /// The index that was used, if one was.
    pub index: Option<&'a IndexEntry>,
    /// Digest of the graph, in hexadecimal.
    pub graph_digest: &'a str,
    /// The restart probability.
    pub restart_prob: f64,
}

impl<'a> Provenance<'a> {
    /// From an index.
    #[must_use]
    pub fn of(entry: &'a IndexEntry) -> Provenance<'a> {
        let IndexEntry { graph_digest, plan, .. } = entry;
        Provenance { index: Some(entry), graph_digest, restart_prob: plan.restart_prob }
    }
}

/// The answer; each result with the type of its node if it has one.
///
/// # Panics
/// Never: plain structs always serialize.
#[must_use]
pub fn as_json(answer: &Answer, kinds: Option<&Kinds>, from: Provenance<'_>) -> Value {
    let results = answer.results.iter().map(|result| {
        let mut described = serde_json::to_value(result).expect("plain structs always serialize");
        if let Some(kind) = kinds.and_then(|kinds| kinds.node_kind(result.node)) {
            described["type"] = kind.into();
        }
        described
    });
    json!({
        "results": results.collect::<Vec<Value>>(),
        "method": answer.method,
        "dangling": answer.dangling,
        "status": answer.status,
        "mass_accounted": answer.mass_accounted,
        "truncated": answer.truncated,
        "index": {
            "name": from.index.map(|entry| &entry.name),
            "generation": from.index.map(|entry| entry.generation),
            "graph_digest": from.graph_digest,
            "restart_prob": from.restart_prob,
        },
    })
}
