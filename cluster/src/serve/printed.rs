//! An answer as JSON: what `query --json` prints and what a server sends.

use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use walkprint_engine::index::IndexEntry;
use walkprint_engine::kinds::Kinds;
use walkprint_engine::query::{Answer, Explanation, Ranked};

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

impl Serialize for Provenance<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Provenance", 4)?;
        fields.serialize_field("name", &self.index.map(|entry| &entry.name))?;
        fields.serialize_field("generation", &self.index.map(|entry| entry.generation))?;
        fields.serialize_field("graph_digest", self.graph_digest)?;
        fields.serialize_field("restart_prob", &self.restart_prob)?;
        fields.end()
    }
}

/// The store that a server answered from.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Origin<'a> {
    /// Its name.
    pub name: &'a str,
    /// The generation of its manifest.
    pub generation: u64,
    /// How many events count that this generation has not absorbed, where the store has a log of events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<u64>,
    /// How many events count in all since the graph was loaded, where the store has a log of events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
}

/// An answer as it is printed; each result with the type of its node if it has one.
#[derive(Debug, Clone, Copy)]
pub struct Printed<'a> {
    /// The answer.
    pub answer: &'a Answer,
    /// The types of the graph's nodes.
    pub kinds: Option<&'a Kinds>,
    /// Where it comes from.
    pub from: Provenance<'a>,
    /// How long it took, in microseconds.
    pub took_us: Option<u64>,
    /// Which store a server answered from.
    pub store: Option<Origin<'a>>,
    /// Why these are the results.
    pub explanation: Option<&'a Explanation>,
    /// What a budget of tokens left, and triples.
    pub budgeted: Option<&'a Budgeted>,
}

/// What a budget of tokens left of the results or triples of a graph that was sent along.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Budgeted {
    /// The tokens of what is left, together.
    pub tokens: u64,
    /// Whether the budget left something out.
    pub cut: bool,
    /// The best triples, if they were asked for.
    pub triples: Option<Vec<Triple>>,
}

/// An edge with its type, and how much of the score goes along it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Triple {
    /// The node that it leaves.
    pub source: String,
    /// Its type, if it has one.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The node that it leads to.
    pub target: String,
    /// The score of the node that it leaves times the share of the edge among that node's weights.
    pub score: f64,
    /// How many tokens it takes.
    pub tokens: u64,
}

impl Serialize for Printed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Printed { answer, kinds, from, took_us, store, explanation, budgeted } = *self;
        let mut fields = serializer.serialize_struct("Answer", 13)?;
        fields.serialize_field("results", &Results { results: &answer.results, kinds })?;
        fields.serialize_field("method", &answer.method)?;
        fields.serialize_field("dangling", &answer.dangling)?;
        fields.serialize_field("status", &answer.status)?;
        fields.serialize_field("mass_accounted", &answer.mass_accounted)?;
        fields.serialize_field("truncated", &answer.truncated)?;
        fields.serialize_field("index", &from)?;
        took_us.map_or(Ok(()), |took_us| fields.serialize_field("took_us", &took_us))?;
        store.map_or(Ok(()), |store| fields.serialize_field("store", &store))?;
        explanation.map_or(Ok(()), |explanation| fields.serialize_field("explanation", explanation))?;
        if let Some(Budgeted { tokens, cut, triples }) = budgeted {
            fields.serialize_field("tokens", tokens)?;
            fields.serialize_field("cut", cut)?;
            triples.as_ref().map_or(Ok(()), |triples| fields.serialize_field("triples", triples))?;
        }
        fields.end()
    }
}

struct Results<'a> {
    results: &'a [Ranked],
    kinds: Option<&'a Kinds>,
}

#[derive(Serialize)]
struct Typed<'a> {
    #[serde(flatten)]
    result: &'a Ranked,
    #[serde(rename = "type")]
    kind: &'a str,
}

impl Serialize for Results<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(kinds) = self.kinds else { return self.results.serialize(serializer) };
        #[derive(Serialize)]
        #[serde(untagged)]
        enum Line<'a> {
            Typed(Typed<'a>),
            Plain(&'a Ranked),
        }
        serializer.collect_seq(self.results.iter().map(|result| match kinds.node_kind(result.node) {
            Some(kind) => Line::Typed(Typed { result, kind }),
            None => Line::Plain(result),
        }))
    }
}

/// The answer as a value.
///
/// # Panics
/// Never: plain structs always serialize.
#[must_use]
pub fn as_json(answer: &Answer, kinds: Option<&Kinds>, from: Provenance<'_>) -> Value {
    let printed = Printed { answer, kinds, from, took_us: None, store: None, explanation: None, budgeted: None };
    serde_json::to_value(printed).expect("plain structs always serialize")
}
