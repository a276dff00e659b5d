//! The description of all pages, for programs (`/openapi.json`) and for people (`/docs`).

use std::sync::Arc;

use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::{Modify, OpenApi, ToSchema};
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::app::App;
use super::request::{DebiasBy, ExplainWith};
use super::{answers, browse, health, local, recommending, retrieving, updating};

/// A seed.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(as = Seed)]
pub(super) enum SeedSchema {
    /// An id, as it stands.
    Id(String),
    /// An id that is an integer.
    Number(i64),
    /// An id and its weight.
    Weighted(WeightedSchema),
}

/// An id and its weight.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WeightedSeed)]
pub(super) struct WeightedSchema {
    /// The id.
    id: IdSchema,
    /// Its weight among the seeds, at least 0 [default: 1].
    #[serde(default)]
    #[schema(minimum = 0)]
    weight: f64,
}

/// An id.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(as = Id)]
pub(super) enum IdSchema {
    /// As text.
    Text(String),
    /// As an integer.
    Number(i64),
}

/// An edge.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(as = Edge)]
pub(super) enum EdgeSchema {
    /// Source and target, and perhaps a weight, and then perhaps a type.
    Listed(Vec<EdgePart>),
    /// The same with names.
    Named(NamedEdgeSchema),
}

/// A node's id, the weight, or the type.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub(super) enum EdgePart {
    /// An id or a type, as text.
    Text(String),
    /// An id that is an integer, or a weight.
    Number(f64),
}

/// An edge with names.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NamedEdge)]
pub(super) struct NamedEdgeSchema {
    /// The node that it leaves.
    source: IdSchema,
    /// The node that it leads to.
    target: IdSchema,
    /// Its weight, at least 0 [default: 1].
    #[serde(default)]
    #[schema(minimum = 0)]
    weight: f64,
    /// Its type.
    #[serde(default, rename = "type")]
    kind: Option<String>,
}

/// An event: of an edge (source and target), of an interaction (user_id and item_id), or of a node.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Event)]
pub(super) struct EventSchema {
    /// What happens [default: add].
    #[serde(default)]
    op: OperationSchema,
    /// The node that an edge leaves.
    source: Option<IdSchema>,
    /// The node that an edge leads to.
    target: Option<IdSchema>,
    /// A user, with an item: nodes `user:ID` and `item:ID`, and edges both ways.
    user_id: Option<IdSchema>,
    /// An item, with a user.
    item_id: Option<IdSchema>,
    /// A node.
    node: Option<IdSchema>,
    /// The weight of an edge, at least 0: what is added, taken away, or set.
    #[schema(minimum = 0)]
    weight: Option<f64>,
    /// The type of the edge or node.
    #[serde(rename = "type")]
    kind: Option<String>,
    /// When it happened, in seconds.
    time: Option<f64>,
    /// The sender's name for the event: one that comes again counts once.
    event_id: Option<IdSchema>,
}

/// What an event does.
#[derive(Serialize, Deserialize, ToSchema, Default)]
#[serde(rename_all = "lowercase")]
#[schema(as = Operation)]
pub(super) enum OperationSchema {
    #[default]
    Add,
    Remove,
    Set,
}

/// How a question is answered: the cheapest that fits; the seeds' own walks only; pushing, then walks; passes over all edges; to a
/// residual.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = Method)]
pub(crate) enum MethodSchema {
    Auto,
    Lookup,
    Combine,
    Block,
    Exact,
}

/// What a walk does at a node without out-edges.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = Dangling)]
pub(super) enum DanglingSchema {
    Restart,
    Drop,
    SelfLoop,
    Uniform,
}

/// By what scores are divided.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(as = Debias)]
pub(super) enum DebiasSchema {
    /// The power of the global PageRank, from 0 to 10.
    Power(f64),
    /// What popularity is, and its power.
    By(DebiasBy),
}

/// Whether to say why.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(as = Explain)]
pub(super) enum ExplainSchema {
    /// As usual, or not.
    Whether(bool),
    /// As much as this.
    With(ExplainWith),
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Walkprint",
        description = "Which nodes of a graph matter to a set of seeds: personalized PageRank from a fingerprint index."
    ),
    paths(
        answers::query,
        answers::batch,
        recommending::recommend,
        local::local,
        retrieving::retrieve,
        updating::edges,
        updating::compact,
        browse::stores,
        browse::store,
        browse::refresh,
        browse::nodes,
        browse::neighbors,
        health::livez,
        health::readyz,
        health::healthz,
        health::metrics,
        health::version
    ),
    modifiers(&Keys)
)]
struct Described;

/// Adds that keys may be asked for.
struct Keys;

impl Modify for Keys {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        let components = api.components.get_or_insert_with(Default::default);
        components.add_security_scheme("key", SecurityScheme::Http(scheme));
        let nothing = SecurityRequirement::default(); // a server without keys asks for none
        api.security = Some(vec![nothing, SecurityRequirement::new::<_, [&str; 0], &str>("key", [])]);
    }
}

/// The description.
pub(super) fn description() -> utoipa::openapi::OpenApi {
    Described::openapi()
}

/// `/openapi.json` and `/docs`.
pub(super) fn pages() -> Router<Arc<App>> {
    let config = Config::new(["/openapi.json"]);
    Router::new()
        .route("/openapi.json", get(|| async { Json(description()) }))
        .merge(SwaggerUi::new("/docs").config(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_that_answers_is_described() {
        let text = include_str!("app.rs");
        let described = serde_json::to_value(description()).unwrap();
        let mut routes = 0;
        for route in text.split(".route(\"").skip(1) {
            let path = route.split('"').next().unwrap();
            if path == "/" || path.starts_with("/page/") {
                continue;
            }
            assert!(described["paths"][path].is_object(), "{path} is not described");
            routes += 1;
        }
        assert_eq!(routes, described["paths"].as_object().unwrap().len());
    }

    #[test]
    fn the_least_restart_probability_is_the_engines() {
        let described = serde_json::to_value(description()).unwrap();
        for schema in ["QueryRequest", "LocalRequest"] {
            let described = &described["components"]["schemas"][schema]["properties"]["restart_prob"];
            assert_eq!(described["minimum"], walkprint_engine::plan::LEAST_RESTART_PROB, "{schema}: {described}");
        }
    }
}
