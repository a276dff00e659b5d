//! What clients send, and the question that it means.
//!
//! **Nothing is guessed**: unknown fields, wrong types and values outside their range are refused by their place in the request.
//! A string among the seeds is an id as it stands, since ids may hold any sign; weights have a field of their own.

use std::fmt;
use std::sync::Arc;

use roaring::RoaringBitmap;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use walkprint_engine::plan::LEAST_RESTART_PROB;
use walkprint_engine::query::{Dangling, Debias, ExplainSettings, Method, PopularityKind, Question, Seeds, Shape};

use super::compute::Length;
use super::problem::{Kind, Problem};
use super::settings::Bounds;
use super::world::{Chosen, World};
use crate::choice::{Wanted, precision_of};

/// Edges from which on passing over all of them takes longer than short work may.
const LONG_EDGES: usize = 300_000;
/// The largest power of debias.
const LARGEST_POWER: f64 = 10.0;
/// The most paths of a result that may be asked for.
const MOST_PATHS: usize = 100;
/// The most seeds whose contributions may be asked for.
const MOST_TOLD: usize = 1000;
/// The smallest residual: below, rounding has the last word.
const LEAST_RESIDUAL: f64 = 1e-15;

/// A question: which nodes matter to these seeds? Only `seeds` must be there.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QueryRequest {
    /// Whom the answer is personalised to: ids, or ids with weights. Repeated ids add up.
    #[schema(value_type = Vec<super::openapi::SeedSchema>, min_items = 1, example = json!(["dog.n.01", {"id": "cat.n.01", "weight": 0.5}]))]
    pub seeds: Vec<Seed>,
    /// How many results [default: 10].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, example = 10)]
    pub top: Option<usize>,
    /// How to answer [default: auto].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<super::openapi::MethodSchema>)]
    pub method: Option<Method>,
    /// The L1 distance from exact scores to aim at, above 0 and below 1 [default: 0.05; for lookup and exact what they give].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(exclusive_minimum = 0, exclusive_maximum = 1)]
    pub precision: Option<f64>,
    /// What a walk does at a node without out-edges [default: restart].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<super::openapi::DanglingSchema>)]
    pub dangling: Option<Dangling>,
    /// Only these nodes may be results: `id:ID`, `type:NAME`, or an id or a type without saying which.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<String>,
    /// These nodes may not be results: as `only`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// The seeds may not be results [default: false].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclude_seeds: Option<bool>,
    /// Nodes to which an edge leads from a seed may not be results [default: false].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclude_neighbors: Option<bool>,
    /// Divide scores by popularity to a power from 0 to 10: the power, or what popularity is as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<super::openapi::DebiasSchema>)]
    pub debias: Option<DebiasRequest>,
    /// At least so many seeds must support a result [default: 0].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_support: Option<usize>,
    /// Go on until no other node can come among the results any more [default: false].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settle: Option<bool>,
    /// For exact: stop when this much of the seeds' mass is unaccounted for, above 0 and below 1 [default: 1e-12].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1e-15, exclusive_maximum = 1)]
    pub residual: Option<f64>,
    /// Say why: what each seed contributes, and the best paths [default: false].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<super::openapi::ExplainSchema>)]
    pub explain: Option<ExplainRequest>,
    /// The index to ask [default: the one named default, or the first that fits].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<String>,
    /// The restart probability, at least 1e-30 and at most 1 [default: the index's own].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1e-30, maximum = 1)]
    pub restart_prob: Option<f64>,
}

/// Many questions. Each is answered by itself, and may fail by itself; but one with a value that none may have refuses them all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchRequest {
    /// The questions.
    #[schema(min_items = 1)]
    pub queries: Vec<QueryRequest>,
}

/// A seed: an id, or an id and a weight.
#[derive(Debug, Clone, PartialEq)]
pub struct Seed {
    /// The id as text.
    pub id: String,
    /// The weight; 1 unless another is given.
    pub weight: f64,
}

impl From<&str> for Seed {
    fn from(id: &str) -> Seed {
        Seed { id: id.to_owned(), weight: 1.0 }
    }
}

/// What a seed with a weight looks like.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Weighted {
    id: Id,
    #[serde(default = "one")]
    weight: f64,
}

fn one() -> f64 {
    1.0
}

/// An integer as ids may be integers.
fn integer<E: de::Error>(id: u64) -> Result<i64, E> {
    i64::try_from(id).map_err(|_| E::custom(format!("ids that are integers are below 2^63; send {id} as a string")))
}

/// An id: a string, or an integer.
#[derive(Debug, Clone)]
pub(super) struct Id(pub(super) String);

struct IdVisitor;

impl Visitor<'_> for IdVisitor {
    type Value = Id;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an id: a string or an integer")
    }

    fn visit_str<E: de::Error>(self, id: &str) -> Result<Id, E> {
        Ok(Id(id.to_owned()))
    }

    fn visit_string<E: de::Error>(self, id: String) -> Result<Id, E> {
        Ok(Id(id))
    }

    fn visit_i64<E: de::Error>(self, id: i64) -> Result<Id, E> {
        Ok(Id(id.to_string()))
    }

    fn visit_u64<E: de::Error>(self, id: u64) -> Result<Id, E> {
        integer(id).map(|id| Id(id.to_string()))
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Id, D::Error> {
        deserializer.deserialize_any(IdVisitor)
    }
}

struct SeedVisitor;

impl<'de> Visitor<'de> for SeedVisitor {
    type Value = Seed;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a seed: an id, or {\"id\": …, \"weight\": …}")
    }

    fn visit_str<E: de::Error>(self, id: &str) -> Result<Seed, E> {
        Ok(id.into())
    }

    fn visit_i64<E: de::Error>(self, id: i64) -> Result<Seed, E> {
        Ok(Seed { id: id.to_string(), weight: 1.0 })
    }

    fn visit_u64<E: de::Error>(self, id: u64) -> Result<Seed, E> {
        integer(id).map(|id| Seed { id: id.to_string(), weight: 1.0 })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Seed, A::Error> {
        let Weighted { id: Id(id), weight } = Weighted::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Seed { id, weight })
    }
}

impl<'de> Deserialize<'de> for Seed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Seed, D::Error> {
        deserializer.deserialize_any(SeedVisitor)
    }
}

impl Serialize for Seed {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        if self.weight == 1.0 {
            return serializer.serialize_str(&self.id);
        }
        let mut fields = serializer.serialize_struct("Seed", 2)?;
        fields.serialize_field("id", &self.id)?;
        fields.serialize_field("weight", &self.weight)?;
        fields.end()
    }
}

/// By what scores are divided.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a number from 0 to 10, or {\"power\": …, \"by\": \"pagerank\" or \"degree\"}")]
pub enum DebiasRequest {
    /// By the global PageRank to this power.
    Power(f64),
    /// By what is named, to a power.
    By(DebiasBy),
}

/// By what scores are divided, and to which power.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DebiasBy {
    /// The power, from 0 to 10.
    #[schema(minimum = 0, maximum = 10)]
    pub power: f64,
    /// What popularity is [default: pagerank].
    #[serde(default)]
    pub by: Popularity,
}

/// What popularity is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Popularity {
    /// PageRank from all nodes alike.
    #[default]
    Pagerank,
    /// The number of in-edges.
    Degree,
}

/// Whether to say why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "true, false, or {\"paths\": …, \"seeds\": …}")]
pub enum ExplainRequest {
    /// As usual, or not at all.
    Whether(bool),
    /// As much as this.
    With(ExplainWith),
}

/// How much to explain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExplainWith {
    /// The most paths of a result, from 1 to 100 [default: 3].
    #[serde(default = "three")]
    #[schema(minimum = 1, maximum = 100)]
    pub paths: usize,
    /// The most seeds whose contributions are told one by one, from 1 to 1000 [default: 64].
    #[serde(default = "sixty_four")]
    #[schema(minimum = 1, maximum = 1000)]
    pub seeds: usize,
}

fn three() -> usize {
    3
}

fn sixty_four() -> usize {
    64
}

impl Default for ExplainWith {
    fn default() -> Self {
        ExplainWith { paths: three(), seeds: sixty_four() }
    }
}

impl QueryRequest {
    /// A question with the usual settings.
    pub fn new(seeds: impl IntoIterator<Item = Seed>) -> QueryRequest {
        QueryRequest { seeds: seeds.into_iter().collect(), ..QueryRequest::default() }
    }

    fn method(&self) -> Method {
        self.method.unwrap_or_default()
    }

    /// How much to explain; `None` if nothing.
    pub(super) fn explain(&self) -> Option<ExplainWith> {
        match self.explain? {
            ExplainRequest::Whether(false) => None,
            ExplainRequest::Whether(true) => Some(ExplainWith::default()),
            ExplainRequest::With(with) => Some(with),
        }
    }

    /// Checks what can be checked without the store.
    pub(super) fn check(&self, bounds: &Bounds) -> Result<(), Problem> {
        if self.seeds.is_empty() {
            return Err(Problem::invalid("seeds", "there are none; name at least one node"));
        }
        if let Some((at, seed)) = self.seeds.iter().enumerate().find(|(_, seed)| seed.weight < 0.0) {
            let what = format!("{:?} has weight {}; a weight is not negative", seed.id, seed.weight);
            return Err(Problem::invalid(format!("seeds[{at}].weight"), what));
        }
        if bounds.seeds < self.seeds.len() {
            let got = self.seeds.len();
            return Err(Problem::invalid(
                "seeds",
                format!("{got} seeds are more than this server takes: {}", bounds.seeds),
            ));
        }
        match self.top {
            Some(0) => return Err(Problem::invalid("top", "top must be at least 1, got 0")),
            Some(top) if bounds.top < top => {
                let what = format!(
                    "this server gives at most {} results, not {top}; for more there is `walkprint batch`",
                    bounds.top
                );
                return Err(Problem::invalid("top", what));
            }
            _ => {}
        }
        for (field, words) in [("only", &self.only), ("exclude", &self.exclude)] {
            if bounds.seeds < words.len() {
                let what = format!("{} words are more than this server takes: {}", words.len(), bounds.seeds);
                return Err(Problem::invalid(field, what));
            }
        }
        if let Some(ExplainWith { paths, seeds }) = self.explain() {
            if !(1..=MOST_PATHS).contains(&paths) {
                return Err(Problem::invalid("explain.paths", format!("from 1 to {MOST_PATHS} paths, got {paths}")));
            }
            if !(1..=MOST_TOLD).contains(&seeds) {
                return Err(Problem::invalid("explain.seeds", format!("from 1 to {MOST_TOLD} seeds, got {seeds}")));
            }
        }
        if let Some(restart_prob) = self.restart_prob.filter(|prob| !(LEAST_RESTART_PROB..=1.0).contains(prob)) {
            let what =
                format!("restart_prob must be at least {LEAST_RESTART_PROB:e} and at most 1, got {restart_prob}");
            return Err(Problem::invalid("restart_prob", what));
        }
        if let Some(precision) = self.precision.filter(|precision| !(0.0 < *precision && *precision < 1.0)) {
            return Err(Problem::invalid(
                "precision",
                format!("precision must be above 0 and below 1, got {precision}"),
            ));
        }
        let power = self.debias.map(|debias| match debias {
            DebiasRequest::Power(power) | DebiasRequest::By(DebiasBy { power, .. }) => power,
        });
        if let Some(power) = power.filter(|power| !(0.0..=LARGEST_POWER).contains(power)) {
            let what = format!("the power of debias must be from 0 to {LARGEST_POWER}, got {power}");
            return Err(Problem::invalid("debias", what));
        }
        if let Some(residual) = self.residual.filter(|residual| !(LEAST_RESIDUAL..1.0).contains(residual)) {
            let what = format!("residual must be at least {LEAST_RESIDUAL:e} and below 1, got {residual}");
            return Err(Problem::invalid("residual", what));
        }
        Ok(())
    }

    /// Which index of a store answers.
    pub(super) fn choose(&self, world: &World) -> Result<Chosen, Problem> {
        let wanted = Wanted { index: self.index.as_deref(), restart_prob: self.restart_prob, method: self.method() };
        world.choose(wanted).map_err(|error| match error {
            // What the program says names files and its own options.
            crate::error::Error::Request { .. } => {
                let what = match (self.index.as_deref(), self.restart_prob) {
                    (Some(name), Some(_)) => {
                        format!("index {name:?} has another restart probability; leave out one of the two")
                    }
                    (None, Some(prob)) => {
                        format!("no index has restart probability {prob}; leave it out, or ask with method exact")
                    }
                    _ => "this store has no index yet; ask with method exact, or build one with `walkprint index`"
                        .to_owned(),
                };
                let field = if self.restart_prob.is_some() { "restart_prob" } else { "method" };
                Problem::new(Kind::Unanswerable, what).at(field)
            }
            other => other.into(),
        })
    }

    /// About how much work it is.
    pub(super) fn length(&self, world: &World, chosen: Chosen) -> Length {
        let passes_over_edges = match self.method() {
            Method::Exact | Method::Block => true,
            Method::Auto => world.entry(chosen).is_none(),
            Method::Lookup | Method::Combine => false,
        };
        let much = passes_over_edges
            || self.explain().is_some()
            || self.settle == Some(true)
            || self.dangling == Some(Dangling::Uniform)
            || self.debias.is_some()
            || self.min_support.is_some_and(|least| 0 < least)
            || self.precision.is_some_and(|precision| precision < 0.01)
            || 1000 < self.seeds.len();
        if much && LONG_EDGES < world.graph().edges() { Length::Long } else { Length::Short }
    }

    /// The question that is meant. Cost: a look-up for each id.
    pub(super) fn question(&self, world: &World) -> Result<Question, Problem> {
        let named: Vec<(String, f64)> = self.seeds.iter().map(|seed| (seed.id.clone(), seed.weight)).collect();
        let mut question = Question::new(Seeds::resolve(world.labels(), &named)?);
        question.method = self.method();
        question.top = self.top.unwrap_or(question.top);
        question.dangling = self.dangling.unwrap_or_default();
        question.residual = self.residual.unwrap_or(question.residual);
        question.settle = self.settle.unwrap_or_default();
        question.precision = precision_of(question.method, self.precision);
        let debias = self.debias.map(|debias| match debias {
            DebiasRequest::Power(power) => Debias { by: PopularityKind::GlobalPageRank, power },
            DebiasRequest::By(DebiasBy { power, by: Popularity::Pagerank }) => {
                Debias { by: PopularityKind::GlobalPageRank, power }
            }
            DebiasRequest::By(DebiasBy { power, by: Popularity::Degree }) => {
                Debias { by: PopularityKind::Degree, power }
            }
        });
        question.shape = Shape {
            only: nodes_of(world, "only", &self.only)?,
            exclude: nodes_of(world, "exclude", &self.exclude)?,
            exclude_seeds: self.exclude_seeds.unwrap_or_default(),
            exclude_neighbors: self.exclude_neighbors.unwrap_or_default(),
            debias,
            min_support: self.min_support.unwrap_or_default(),
        };
        Ok(question)
    }
}

impl ExplainWith {
    /// The same for the engine.
    pub(super) fn settings(self, world: &World) -> ExplainSettings<'_> {
        ExplainSettings { paths: self.paths, seeds: self.seeds, kinds: world.kinds(), ..ExplainSettings::default() }
    }
}

/// The nodes that any of these words names; `None` without words.
fn nodes_of(world: &World, field: &str, words: &[String]) -> Result<Option<Arc<RoaringBitmap>>, Problem> {
    if let [word] = words
        && let Some(name) = word.strip_prefix("type:")
    {
        return world.nodes_of(name).map(Some).map_err(|error| Problem::from(error).at(format!("{field}[0]")));
    }
    let mut nodes = RoaringBitmap::new();
    for (at, word) in words.iter().enumerate() {
        let place = || format!("{field}[{at}]");
        if let Some(name) = word.strip_prefix("type:") {
            nodes |= &*world.nodes_of(name).map_err(|error| Problem::from(error).at(place()))?;
            continue;
        }
        let id = word.strip_prefix("id:");
        match world.labels().node(id.unwrap_or(word))? {
            Some(node) => drop(nodes.insert(node)),
            None => match id {
                Some(id) => {
                    return Err(Problem::new(Kind::UnknownId, format!("there is no node {id:?}"))
                        .at(place())
                        .about(id));
                }
                None => match world.nodes_of(word) {
                    Ok(of_type) => nodes |= &*of_type,
                    Err(error) => {
                        let what = format!("{word:?} is no node, and as a type: {error}");
                        return Err(Problem::new(Kind::UnknownId, what).at(place()).about(word));
                    }
                },
            },
        }
    }
    Ok((!words.is_empty()).then(|| Arc::new(nodes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<QueryRequest, String> {
        let mut text = serde_json::Deserializer::from_str(text);
        serde_path_to_error::deserialize(&mut text).map_err(|error| error.to_string())
    }

    #[test]
    fn seeds_come_in_three_forms() {
        let request = read(r#"{"seeds": ["a=2", 7, {"id": -3, "weight": 0.5}, {"id": "x"}]}"#).unwrap();
        let seeds: Vec<(&str, f64)> = request.seeds.iter().map(|seed| (seed.id.as_str(), seed.weight)).collect();
        assert_eq!(seeds, [("a=2", 1.0), ("7", 1.0), ("-3", 0.5), ("x", 1.0)]);
        let back = serde_json::to_string(&request).unwrap();
        assert_eq!(read(&back).unwrap(), request);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (text, words) in [
            (r#"{"seeds": ["a"], "tpo": 3}"#, vec!["tpo", "unknown field", "`top`"]),
            (r#"{"seeds": ["a", {"id": "b", "wight": 1}]}"#, vec!["seeds[1]", "wight"]),
            (r#"{"seeds": ["a", {"id": "b", "weight": "1"}]}"#, vec!["seeds[1].weight", "f64"]),
            (r#"{"seeds": [1.5]}"#, vec!["seeds[0]", "a seed: an id"]),
            (r#"{"seeds": [{"id": true}]}"#, vec!["seeds[0].id", "a string or an integer"]),
            (r#"{"top": 3}"#, vec!["missing field `seeds`"]),
            (r#"{"seeds": ["a"], "top": -1}"#, vec!["top", "-1"]),
            (r#"{"seeds": ["a"], "method": "Exact"}"#, vec!["method", "`exact`"]),
            (r#"{"seeds": ["a"], "debias": "much"}"#, vec!["debias", "a number from 0 to 10"]),
            (r#"{"seeds": ["a"], "explain": 3}"#, vec!["explain", "true, false"]),
            (r#"[]"#, vec!["QueryRequest"]),
        ] {
            let message = read(text).unwrap_err();
            for word in words {
                assert!(message.contains(word), "{text}: {message}");
            }
        }
    }

    #[test]
    fn bounds_are_kept() {
        let bounds = Bounds { seeds: 2, top: 5, ..Bounds::default() };
        let refused = |text: &str| read(text).unwrap().check(&bounds).unwrap_err().detail;
        assert!(
            refused(r#"{"seeds": [1, 2, 3]}"#).contains("at most") || refused(r#"{"seeds": [1, 2, 3]}"#).contains('2')
        );
        assert!(refused(r#"{"seeds": [1], "top": 0}"#).contains("at least 1"));
        assert!(refused(r#"{"seeds": [1], "top": 6}"#).contains("at most 5"));
        assert!(refused(r#"{"seeds": [1], "explain": {"paths": 0}}"#).contains("from 1"));
        assert!(refused(r#"{"seeds": [1], "restart_prob": 0}"#).contains("at least 1e-30"));
        assert!(refused(r#"{"seeds": [1], "residual": 1e-300}"#).contains("1e-15"));
        assert!(read(r#"{"seeds": [1, 2], "top": 5, "explain": true}"#).unwrap().check(&bounds).is_ok());
    }
}
