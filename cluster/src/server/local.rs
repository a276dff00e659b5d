//! Personalized PageRank over a graph that is sent along: no store, no index.
//!
//! For a retriever that has found a small graph around a question and ranks just that (TeaRAG: facts and their entities).
//! Edges are read as loaders read them: parallel ones add up, a self-loop counts once, edges of weight zero are not walked.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use axum::response::Response;
use hashbrown::HashMap;
use petgraph::graph::{Graph as EdgeGraph, NodeIndex};
use petgraph::{Directed, EdgeType, Undirected};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use walkprint_engine::edges::EdgeList;
use walkprint_engine::graph::Graph;
use walkprint_engine::labels::Labels;
use walkprint_engine::plan::Plan;
use walkprint_engine::query::{Answer, Answerer, Dangling, Method, Question, Seeds, Shape};
use walkprint_engine::retrieval::{fitting, token_count};
use walkprint_loaders::from_petgraph::edge_list;

use super::app::App;
use super::compute::{Length, Turn};
use super::incoming::{Arrival, JsonBody};
use super::metering::Stages;
use super::problem::{Problem, ProblemBody};
use super::reply::{AnswerBody, json_response};
use super::request::{Id, QueryRequest, Seed};
use super::settings::Bounds;
use crate::serve::{Budgeted, Printed, Provenance, Triple};

/// Edges up to which it is short work.
const SHORT_EDGES: usize = 20_000;

/// Edges and seeds.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LocalRequest {
    /// The graph: `["a", "b"]`, `["a", "b", 2.0]`, `["a", "b", 2.0, "type"]` or
    /// `{"source": "a", "target": "b", "weight": 2.0, "type": "likes"}` an edge.
    #[schema(value_type = Vec<super::openapi::EdgeSchema>, min_items = 1, example = json!([["a", "b"], ["b", "c", 2.0], ["c", "a"]]))]
    pub edges: Vec<Edge>,
    /// Walk every edge in both directions [default: false].
    #[serde(default)]
    pub undirected: bool,
    /// Whom the answer is personalised to.
    #[schema(value_type = Vec<super::openapi::SeedSchema>, min_items = 1, example = json!(["a"]))]
    pub seeds: Vec<Seed>,
    /// How many results [default: 10].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub top: Option<usize>,
    /// The restart probability, at least 1e-30 and at most 1 [default: 0.15].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1e-30, maximum = 1)]
    pub restart_prob: Option<f64>,
    /// What a walk does at a node without out-edges [default: restart].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<super::openapi::DanglingSchema>)]
    pub dangling: Option<Dangling>,
    /// The seeds may not be results [default: false].
    #[serde(default)]
    pub exclude_seeds: bool,
    /// Nodes to which an edge leads from a seed may not be results [default: false].
    #[serde(default)]
    pub exclude_neighbors: bool,
    /// How many of the best triples to send: edges by the score that goes along them [default: 0].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub triples: Option<usize>,
    /// Keep the first triples whose tokens together are no more than this; without triples, the first results.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_budget: Option<u64>,
    /// How many tokens a node takes, by its id [default: a quarter of the bytes of the id, rounded up].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tokens: BTreeMap<String, u64>,
}

/// The most tokens that a node may take: what the description of the API calls an integer has no more.
const MOST_TOKENS: u64 = i64::MAX as u64;

/// A sum that stops at what can be counted.
fn sum(tokens: impl IntoIterator<Item = u64>) -> u64 {
    tokens.into_iter().fold(0, u64::saturating_add).min(MOST_TOKENS)
}

/// An edge.
#[derive(Debug, Clone, PartialEq)]
pub struct Edge {
    /// The id of the node that it leaves.
    pub source: String,
    /// The id of the node that it leads to.
    pub target: String,
    /// Its weight.
    pub weight: f64,
    /// Its type, if it has one.
    pub kind: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NamedEdge {
    source: Id,
    target: Id,
    #[serde(default = "one")]
    weight: f64,
    #[serde(default, rename = "type")]
    kind: Option<String>,
}

fn one() -> f64 {
    1.0
}

struct EdgeVisitor;

impl<'de> Visitor<'de> for EdgeVisitor {
    type Value = Edge;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an edge: [source, target], [source, target, weight], [source, target, weight, type] or {\"source\": …, \"target\": …}")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Edge, A::Error> {
        let Id(source) = parts.next_element()?.ok_or_else(|| de::Error::invalid_length(0, &self))?;
        let Id(target) = parts.next_element()?.ok_or_else(|| de::Error::invalid_length(1, &self))?;
        let weight = parts.next_element()?.unwrap_or_else(one);
        let kind = parts.next_element()?;
        match parts.next_element::<de::IgnoredAny>()? {
            None => Ok(Edge { source, target, weight, kind }),
            Some(_) => Err(de::Error::invalid_length(5, &self)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Edge, A::Error> {
        let NamedEdge { source, target, weight, kind } = NamedEdge::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Edge { source: source.0, target: target.0, weight, kind })
    }
}

impl<'de> Deserialize<'de> for Edge {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Edge, D::Error> {
        deserializer.deserialize_any(EdgeVisitor)
    }
}

impl Serialize for Edge {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.kind {
            Some(kind) => (&self.source, &self.target, self.weight, kind).serialize(serializer),
            None => (&self.source, &self.target, self.weight).serialize(serializer),
        }
    }
}

impl LocalRequest {
    /// Checks what can be checked without building the graph.
    fn check(&self, bounds: &Bounds) -> Result<(), Problem> {
        if self.edges.is_empty() {
            return Err(Problem::invalid("edges", "there are no edges"));
        }
        if bounds.edges < self.edges.len() {
            let what = format!(
                "{} edges are more than this server takes along with a question: {}; make a store of them",
                self.edges.len(),
                bounds.edges
            );
            return Err(Problem::invalid("edges", what));
        }
        for (at, Edge { source, target, weight, .. }) in self.edges.iter().enumerate() {
            if !(0.0 <= *weight && weight.is_finite()) {
                let what = format!("a weight is finite and not negative; this one is {weight}");
                return Err(Problem::invalid(format!("edges[{at}]"), what));
            }
            if source.is_empty() || target.is_empty() || source.contains('\0') || target.contains('\0') {
                return Err(Problem::invalid(format!("edges[{at}]"), "an id is not empty and has no NUL in it"));
            }
        }
        if let Some((id, tokens)) = self.tokens.iter().find(|(_, tokens)| MOST_TOKENS < **tokens) {
            let what = format!("{tokens} tokens of {id:?} are more than can be counted: {MOST_TOKENS}");
            return Err(Problem::invalid("tokens", what));
        }
        let Self { seeds, top, restart_prob, .. } = self;
        QueryRequest { seeds: seeds.clone(), top: *top, restart_prob: *restart_prob, ..QueryRequest::default() }
            .check(bounds)
    }

    fn answer(&self, Turn { cancelled, waited }: Turn) -> Result<(Vec<u8>, Stages), Problem> {
        let began = Instant::now();
        let edges = if self.undirected { self.edge_list::<Undirected>() } else { self.edge_list::<Directed>() };
        let edges = edges.map_err(|error| Problem::invalid("edges", error.to_string()))?;
        let labels = Labels::in_order(&edges.ids)?;
        let graph = Graph::in_memory(edges)?;
        let restart_prob = self.restart_prob.unwrap_or(Plan::default().restart_prob);
        let named: Vec<(String, f64)> = self.seeds.iter().map(|seed| (seed.id.clone(), seed.weight)).collect();
        let mut question = Question::new(Seeds::resolve(&labels, &named)?);
        question.method = Method::Exact;
        question.top = self.top.unwrap_or(question.top);
        question.dangling = self.dangling.unwrap_or_default();
        question.shape =
            Shape { exclude_seeds: self.exclude_seeds, exclude_neighbors: self.exclude_neighbors, ..Shape::default() };
        let resolve = began.elapsed();
        let began = Instant::now();
        let mut answerer = Answerer::new(&graph, &labels, None, restart_prob)?;
        answerer.heed(Some(cancelled));
        let mut answer = answerer.answer(&question)?;
        let budgeted = self.budgeted(&mut answerer, &question, &mut answer)?;
        let answered = began.elapsed();
        let began = Instant::now();
        let digest = format!("{:032x}", graph.digest());
        let printed = Printed {
            answer: &answer,
            kinds: None,
            from: Provenance { index: None, graph_digest: &digest, restart_prob },
            took_us: Some(u64::try_from(answered.as_micros()).unwrap_or(u64::MAX)),
            store: None,
            explanation: None,
            budgeted: budgeted.as_ref(),
        };
        let json = serde_json::to_vec(&printed).unwrap_or_default();
        let stages = Stages { queue: waited, resolve, answer: answered, print: began.elapsed(), ..Stages::default() };
        Ok((json, stages))
    }

    fn tokens_of(&self, id: &str) -> u64 {
        self.tokens.get(id).copied().unwrap_or_else(|| token_count(id))
    }

    /// Cuts what is sent to the budget: triples if they are asked for, else results.
    fn budgeted(
        &self,
        answerer: &mut Answerer<'_>,
        question: &Question,
        answer: &mut Answer,
    ) -> Result<Option<Budgeted>, Problem> {
        let most = self.triples.unwrap_or(0);
        if most == 0 && self.token_budget.is_none() {
            return Ok(None);
        }
        if most == 0 {
            let sizes: Vec<u64> = answer.results.iter().map(|result| self.tokens_of(&result.id)).collect();
            let fit = fitting(self.token_budget, sizes.iter().copied());
            answer.results.truncate(fit);
            let (tokens, cut) = (sum(sizes[..fit].iter().copied()), fit < sizes.len());
            return Ok(Some(Budgeted { tokens, cut, triples: None }));
        }
        let scores = answerer.scores(question)?.scores;
        let mut triples = Vec::with_capacity(self.edges.len());
        for Edge { source, target, weight, kind } in &self.edges {
            // An edge that is walked both ways is one triple, which has what goes along it either way.
            let other = Some(target).filter(|&target| self.undirected && source != target);
            let mut score = 0.0;
            for from in std::iter::once(source).chain(other) {
                let Some(node) = answerer.labels().node(from)? else { continue };
                let total = answerer.graph().row(node)?.total;
                if 0.0 < total {
                    score += scores.get(node as usize).copied().unwrap_or(0.0) * weight / total;
                }
            }
            let of_kind = kind.as_deref().map_or(0, token_count);
            let tokens = sum([self.tokens_of(source), self.tokens_of(target), of_kind]);
            let (source, target, kind) = (source.clone(), target.clone(), kind.clone());
            triples.push(Triple { source, kind, target, score, tokens });
        }
        // The sort is stable: equal scores stay in the order in which they were sent.
        triples.sort_by(|one, other| other.score.total_cmp(&one.score));
        triples.truncate(most);
        let fit = fitting(self.token_budget, triples.iter().map(|triple| triple.tokens));
        let cut = fit < triples.len();
        triples.truncate(fit);
        let tokens = sum(triples.iter().map(|triple| triple.tokens));
        Ok(Some(Budgeted { tokens, cut, triples: Some(triples) }))
    }

    fn edge_list<Ty: EdgeType>(&self) -> Result<EdgeList, walkprint_loaders::Error> {
        let mut graph: EdgeGraph<&str, f64, Ty> = EdgeGraph::with_capacity(0, self.edges.len());
        let mut known: HashMap<&str, NodeIndex> = HashMap::new();
        for Edge { source, target, weight, .. } in &self.edges {
            let mut node = |id| *known.entry(id).or_insert_with(|| graph.add_node(id));
            let (source, target) = (node(source.as_str()), node(target.as_str()));
            graph.add_edge(source, target, *weight);
        }
        edge_list(&graph, |_, id| (*id).to_owned(), |weight| *weight)
    }
}

/// Which nodes of a graph that is sent along matter to these seeds? The answer is exact.
#[utoipa::path(
    post, path = "/v1/local", tag = "questions",
    request_body = LocalRequest,
    responses(
        (status = 200, body = AnswerBody),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn local(
    State(app): State<Arc<App>>,
    arrival: Arrival,
    JsonBody(request): JsonBody<LocalRequest>,
) -> Result<Response, Problem> {
    request.check(&app.settings.bounds)?;
    let (length, seeds) =
        (if request.edges.len() <= SHORT_EDGES { Length::Short } else { Length::Long }, request.seeds.len());
    let answered = app.compute.run(length, arrival.deadline, move |turn| request.answer(turn)).await;
    let (json, stages) = answered.map_err(|refusal| app.refused(refusal))??;
    app.metering.answered(Method::Exact, seeds, &stages);
    Ok(json_response(json))
}
