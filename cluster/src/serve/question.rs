//! A question as it comes: one line of JSON.
//!
//! ```json
//! {"seeds": ["dog.n.01", "cat.n.01=0.5", {"id": "x=1", "weight": 2}], "top": 10, "precision": 0.05, "dangling": "restart"}
//! ```
//!
//! Only `seeds` must be there.

use serde::{Deserialize, Serialize};
use walkprint_engine::ids::NodeId;
use walkprint_engine::labels::Labels;
use walkprint_engine::query::{Dangling, Seeds};

use crate::sharded::lane::Asked;
use crate::sharded::{LEAST_PRECISION, USUAL_PRECISION};

/// A question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Whom the answer is personalised to.
    pub seeds: Vec<Seed>,
    /// How many results at most.
    #[serde(default = "usual_top")]
    pub top: usize,
    /// The L1 error to aim at.
    #[serde(default = "usual_precision")]
    pub precision: f64,
    /// What is assumed about dangling nodes.
    #[serde(default)]
    pub dangling: Dangling,
}

/// A seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Seed {
    /// As it is typed: an id, or `id=weight`.
    Typed(String),
    /// A node whose id is an integer.
    Number(i64),
    /// Both apart.
    Weighted {
        /// The id.
        id: Id,
        /// The weight.
        #[serde(default = "usual_weight")]
        weight: f64,
    },
}

/// An id: a string, or an integer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Id {
    /// A string.
    Text(String),
    /// An integer.
    Number(i64),
}

fn usual_top() -> usize {
    10
}

fn usual_precision() -> f64 {
    USUAL_PRECISION
}

fn usual_weight() -> f64 {
    1.0
}

/// A seed as typed: an id, or an id and a weight. The last `=NUMBER` is the weight unless the whole is an id.
///
/// # Errors
/// When the labels are damaged.
pub fn typed_seed(text: &str, labels: &Labels) -> walkprint_engine::error::Result<(String, f64)> {
    if labels.node(text)?.is_none()
        && let Some((id, weight)) = text.rsplit_once('=')
        && let Ok(weight) = weight.parse()
    {
        return Ok((id.to_owned(), weight));
    }
    Ok((text.to_owned(), 1.0))
}

/// Reads a line. `Err` says in words what is wrong with it.
pub(super) fn read(line: &str, labels: &Labels, uniform: bool) -> Result<(Asked, Vec<(NodeId, f64)>), String> {
    let request: Request = serde_json::from_str(line).map_err(|error| format!("this is no question: {error}"))?;
    let Request { seeds, top, precision, dangling } = request;
    if top == 0 {
        return Err("top must be at least 1".into());
    }
    if !(LEAST_PRECISION..1.0).contains(&precision) {
        return Err(format!("precision must be at least {LEAST_PRECISION} and below 1, got {precision}"));
    }
    if dangling == Dangling::Uniform && !uniform {
        return Err("this server was started without --dangling uniform".into());
    }
    let named = seeds.into_iter().map(|seed| match seed {
        Seed::Typed(text) => typed_seed(&text, labels),
        Seed::Number(id) => Ok((id.to_string(), 1.0)),
        Seed::Weighted { id: Id::Text(id), weight } => Ok((id, weight)),
        Seed::Weighted { id: Id::Number(id), weight } => Ok((id.to_string(), weight)),
    });
    let named = named.collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
    let seeds = Seeds::resolve(labels, &named).map_err(|error| error.to_string())?;
    let top = top.min(labels.len());
    Ok((Asked { top, dangling, precision }, seeds.weights().to_vec()))
}
