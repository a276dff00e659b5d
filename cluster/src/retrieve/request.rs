//! What is asked of a retriever and what it replies, as JSON and in Rust.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use walkprint_engine::query::Method;
use walkprint_engine::retrieval::{MatchKind, Sowing};

/// The restart probability unless another is asked for: HippoRAG's, under which most mass stays near what the question names.
pub const USUAL_RESTART_PROB: f64 = 0.5;

/// What kind of nodes is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Of {
    /// Texts: nodes of type `passage`.
    #[default]
    Passages,
    /// All other nodes.
    Entities,
}

/// By what passages are ranked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RankBy {
    /// By their own score: walks go through passages (HippoRAG 2).
    #[default]
    Walk,
    /// By the sum of the scores of what they mention (HippoRAG).
    Mentions,
}

/// A question.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RetrieveRequest {
    /// The question in words. Names in it become seeds unless `entities` are given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "In which country is the Bubye River?")]
    pub question: Option<String>,
    /// What the question is about, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entities: Vec<String>,
    /// Scores of passages by somebody else, say of their embeddings [default: by the words of the question].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passages: Vec<PassageScore>,
    /// What kind of nodes is wanted [default: passages].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<Of>,
    /// How many results [default: 10].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub top: Option<usize>,
    /// Keep the first results whose tokens together are no more than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_budget: Option<u64>,
    /// How many tokens a node takes, by its id [default: a quarter of the bytes of its text or name, rounded up].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tokens: BTreeMap<String, u64>,
    /// By what passages are ranked [default: walk].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rank_by: Option<RankBy>,
    /// Whether a named node counts by 1 / the number of passages that mention it [default: true].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub specificity: Option<bool>,
    /// The mass of the passages among the seeds, where that of the named nodes is 1 [default: 0.5].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0)]
    pub passage_weight: Option<f64>,
    /// Whether a name may be found by some of its words, where nothing else is found [default: true].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap: Option<bool>,
    /// Divide scores by the number of in-edges to this power, from 0 to 10 [default: 0]; only ranked by walk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 10)]
    pub debias: Option<f64>,
    /// The restart probability, above 0 and at most 1 [default: 0.5].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(exclusive_minimum = 0, maximum = 1)]
    pub restart_prob: Option<f64>,
    /// How to answer [default: auto].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<crate::server::MethodSchema>)]
    pub method: Option<Method>,
    /// How many chains of triples to tell of each result, at most 100 [default: 2].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 100)]
    pub chains: Option<usize>,
    /// Whether to send the texts of passages [default: true].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub texts: Option<bool>,
}

/// The score of a passage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PassageScore {
    /// The id of its node.
    #[schema(example = "passage:0")]
    pub id: String,
    /// Its score, at least 0.
    #[schema(minimum = 0)]
    pub score: f64,
}

impl RetrieveRequest {
    /// How seeds are weighed.
    pub(crate) fn sowing(&self) -> Sowing {
        let usual = Sowing::default();
        Sowing {
            specificity: self.specificity.unwrap_or(usual.specificity),
            passage_weight: self.passage_weight.unwrap_or(usual.passage_weight),
            overlap: self.overlap.unwrap_or(usual.overlap),
        }
    }

    /// The restart probability.
    #[must_use]
    pub fn restart_prob(&self) -> f64 {
        self.restart_prob.unwrap_or(USUAL_RESTART_PROB)
    }
}

/// What came of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RetrieveStatus {
    /// Something is named, and results follow from it.
    Answered,
    /// Nothing is named: results follow from passages with the question's words (or scores that were given) alone.
    PassagesOnly,
    /// Nothing is named, and no passage has a score: there are no results.
    NoSeeds,
}

/// The reply.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RetrieveReply {
    /// What came of the question.
    pub status: RetrieveStatus,
    /// What the question names, the heaviest first.
    pub seeds: Vec<SeedFound>,
    /// Entities that were given and are no node's name.
    pub unknown_entities: Vec<String>,
    /// How many passages are seeds.
    pub passage_seeds: usize,
    /// The best nodes, best first.
    pub results: Vec<Retrieved>,
    /// The tokens of all results together.
    pub tokens: u64,
    /// True when the budget left results out.
    pub cut: bool,
    /// True when fewer results were found than were asked for.
    pub truncated: bool,
    /// The method that was used; none without seeds.
    #[schema(value_type = Option<crate::server::MethodSchema>)]
    pub method: Option<Method>,
    /// What all scores together may be off by, at most (exact) or about; none without seeds.
    pub l1_error: Option<f64>,
    /// The restart probability.
    pub restart_prob: f64,
    /// How long it took, in microseconds, without waiting and printing.
    pub took_us: u64,
}

/// A node that the question names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SeedFound {
    /// The node.
    pub id: String,
    /// What names it.
    pub text: String,
    /// How the name was found: exact, folded (in another case of letters or with other signs) or overlap (by some of its words).
    #[serde(rename = "match")]
    #[schema(value_type = String)]
    pub kind: MatchKind,
    /// How sure it is, from 0 to 1.
    pub score: f64,
    /// Its share of the named nodes' mass.
    pub weight: f64,
}

/// A result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Retrieved {
    /// The node.
    pub id: String,
    /// Its type, if it has one.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Its place: 1, 2, 3, …
    pub rank: usize,
    /// Its score.
    pub score: f64,
    /// How many tokens it takes.
    pub tokens: u64,
    /// Its text, if it is a passage with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// How the score came here from what the question names (where it names nothing, from passages), the best first. Ranked by mentions: to the node that is mentioned and has the largest score.
    pub chains: Vec<Chain>,
}

/// A chain of triples from a seed to a result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Chain {
    /// The seed.
    pub seed: String,
    /// Of what comes from all that the question names, the share that came this very way.
    pub share: f64,
    /// The triples; none when the result is a seed itself.
    pub steps: Vec<Step>,
}

/// A step of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Where it leaves.
    pub source: String,
    /// The types of the edge: `^` before one says that it is walked against its direction.
    pub relations: Vec<String>,
    /// Where it leads.
    pub target: String,
}

impl fmt::Display for Chain {
    /// `Bubye River –located in→ Zimbabwe`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.seed)?;
        for step in &self.steps {
            write!(f, " –{}→ {}", step.relations.join(" | "), step.target)?;
        }
        Ok(())
    }
}

impl fmt::Display for Of {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Of::Passages { "passages" } else { "entities" })
    }
}

impl FromStr for Of {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "passages" => Ok(Of::Passages),
            "entities" => Ok(Of::Entities),
            _ => Err(format!("expected passages or entities, got {text:?}")),
        }
    }
}

impl fmt::Display for RankBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == RankBy::Walk { "walk" } else { "mentions" })
    }
}

impl FromStr for RankBy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "walk" => Ok(RankBy::Walk),
            "mentions" => Ok(RankBy::Mentions),
            _ => Err(format!("expected walk or mentions, got {text:?}")),
        }
    }
}
