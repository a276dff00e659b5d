//! What there is to ask about: stores, nodes by how their ids begin, and what edges lead to.

#![expect(unused_qualifications, reason = "utoipa's macros spell out the names of parameters")]

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;
use walkprint_engine::ids::NodeId;
use walkprint_engine::index::IndexEntry;

use super::app::App;
use super::catalog::Listed;
use super::compacting::Told;
use super::compute::Length;
use super::incoming::{Arrival, Names, QueryString};
use super::keeping::Kept;
use super::problem::{Kind, Problem, ProblemBody};
use super::reply::{
    IndexBody, LiveBody, NeighborBody, NeighborsBody, NodeBody, NodesBody, RefusedBody, StoreBody, StoreListed,
    StoresBody,
};
use super::shelf::Shelf;
use super::world::{Counted, World};

/// The most that a list gives at once.
const MOST_LISTED: usize = 1000;

/// Which part of the list of stores.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct StoresQuery {
    /// Stores behind this name.
    #[serde(default)]
    after: Option<String>,
    /// How many at most, from 1 to 1000 [default: 100].
    #[serde(default)]
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

/// Which nodes.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct NodesQuery {
    /// What their ids begin with.
    #[param(example = "dog.")]
    prefix: String,
    /// How many at most, from 1 to 1000 [default: 10].
    #[serde(default)]
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

/// How many neighbours.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct NeighborsQuery {
    /// How many at most, from 1 to 1000 [default: 100].
    #[serde(default)]
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

fn limit(given: Option<usize>, usual: usize) -> Result<usize, Problem> {
    let limit = given.unwrap_or(usual);
    if (1..=MOST_LISTED).contains(&limit) {
        return Ok(limit);
    }
    Err(Problem::invalid("limit", format!("limit must be from 1 to {MOST_LISTED}, got {limit}")))
}

/// The stores by name.
#[utoipa::path(
    get, path = "/v1/stores", tag = "stores", params(StoresQuery),
    responses(
        (status = 200, body = StoresBody),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn stores(
    State(app): State<Arc<App>>,
    QueryString(StoresQuery { after, limit: given }): QueryString<StoresQuery>,
) -> Result<Json<StoresBody>, Problem> {
    let limit = limit(given, 100)?;
    let lister = Arc::clone(&app);
    let (listed, more) = app.blocking(move || lister.catalog.list(after.as_deref(), limit)).await??;
    let describe = |Listed { name, world }: Listed| {
        let size = world.as_ref().map(|world| world.graph());
        StoreListed {
            name,
            open: world.is_some(),
            generation: world.as_ref().map(|world| world.generation()),
            nodes: size.map(|graph| graph.nodes() as u64),
            edges: size.map(|graph| graph.edges() as u64),
        }
    };
    Ok(Json(StoresBody { stores: listed.into_iter().map(describe).collect(), more }))
}

/// What a store holds.
#[utoipa::path(
    get, path = "/v1/stores/{store}", tag = "stores",
    params(("store" = String, Path, description = "The store's name", example = "wordnet")),
    responses(
        (status = 200, body = StoreBody),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn store(
    State(app): State<Arc<App>>,
    arrival: Arrival,
    Names(name): Names<String>,
) -> Result<Json<StoreBody>, Problem> {
    let shelf = app.shelf(&name).await?;
    Ok(Json(described(&shelf, arrival.is_admin)))
}

/// Looks for a new generation at once, instead of within the next second or so, and says what the store holds then. Needs a key of
/// scope admin, where there are keys.
#[utoipa::path(
    post, path = "/v1/stores/{store}/refresh", tag = "stores",
    params(("store" = String, Path, description = "The store's name", example = "wordnet")),
    responses(
        (status = 200, body = StoreBody),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn refresh(
    State(app): State<Arc<App>>,
    arrival: Arrival,
    Names(name): Names<String>,
) -> Result<Json<StoreBody>, Problem> {
    let shelf = app.shelf(&name).await?;
    let followed = Arc::clone(&shelf);
    app.blocking(move || followed.follow()).await?;
    Ok(Json(described(&shelf, arrival.is_admin)))
}

/// A refused generation, with the reason for operators only: it names files.
pub(super) fn refused(shelf: &Shelf, is_admin: bool) -> Option<RefusedBody> {
    shelf.refused().map(|refused| RefusedBody { at: refused.at, why: is_admin.then_some(refused.why) })
}

fn described(shelf: &Shelf, is_admin: bool) -> StoreBody {
    let world = shelf.world();
    let manifest = world.manifest();
    let index = |entry: &IndexEntry| IndexBody {
        name: entry.name.clone(),
        generation: entry.generation,
        restart_prob: entry.plan.restart_prob,
        walks: entry.plan.walks,
        walks_per_edge: entry.plan.walks_per_edge,
        bytes: entry.bytes,
    };
    StoreBody {
        name: shelf.name().to_owned(),
        generation: world.generation(),
        nodes: world.graph().nodes() as u64,
        edges: world.graph().edges() as u64,
        weighted: world.graph().is_weighted(),
        graph_digest: manifest.graph.digest.clone(),
        integer_ids: world.labels().are_integers(),
        node_types: world.kinds().into_iter().flat_map(|kinds| kinds.node_kinds()).map(str::to_owned).collect(),
        edge_types: world.kinds().into_iter().flat_map(|kinds| kinds.all_edge_kinds()).map(str::to_owned).collect(),
        indexes: manifest.indexes.iter().map(index).collect(),
        live: live(shelf, &world, is_admin),
        refused: refused(shelf, is_admin),
    }
}

fn live(shelf: &Shelf, world: &World, is_admin: bool) -> Option<LiveBody> {
    let Counted { events: waiting, sequence } = world.counted();
    let sequence = sequence?;
    let Kept { changed_rows, new_nodes, log_bytes, taking } = shelf.keeper().kept();
    let Told { running: compacting, done: compactions, failed } = shelf.compacting.told();
    let failed = failed.filter(|_| is_admin);
    Some(LiveBody { waiting, sequence, changed_rows, new_nodes, taking, log_bytes, compacting, compactions, failed })
}

/// Nodes whose ids begin with some text.
#[utoipa::path(
    get, path = "/v1/stores/{store}/nodes", tag = "stores",
    params(("store" = String, Path, description = "The store's name", example = "wordnet"), NodesQuery),
    responses(
        (status = 200, body = NodesBody),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn nodes(
    State(app): State<Arc<App>>,
    arrival: Arrival,
    Names(name): Names<String>,
    QueryString(NodesQuery { prefix, limit: given }): QueryString<NodesQuery>,
) -> Result<Json<NodesBody>, Problem> {
    let limit = limit(given, 10)?;
    let world = app.shelf(&name).await?.world();
    let found = app.compute.run(Length::Short, arrival.deadline, move |_| {
        let mut ids = world.labels().with_prefix(&prefix, limit + 1)?;
        let more = limit < ids.len();
        ids.truncate(limit);
        let describe = |id: String| -> Result<NodeBody, Problem> {
            let kind = world.labels().node(&id)?.and_then(|node| kind_of(&world, node));
            Ok(NodeBody { id, kind })
        };
        let nodes = ids.into_iter().map(describe).collect::<Result<Vec<_>, _>>()?;
        Ok(Json(NodesBody { nodes, more }))
    });
    found.await.map_err(|refusal| app.refused(refusal))?
}

/// What a node's out-edges lead to, the heaviest first.
#[utoipa::path(
    get, path = "/v1/stores/{store}/neighbors/{id}", tag = "stores",
    params(
        ("store" = String, Path, description = "The store's name", example = "wordnet"),
        ("id" = String, Path, description = "The node's id", example = "dog.n.01"),
        NeighborsQuery
    ),
    responses(
        (status = 200, body = NeighborsBody),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn neighbors(
    State(app): State<Arc<App>>,
    arrival: Arrival,
    Names((name, id)): Names<(String, String)>,
    QueryString(NeighborsQuery { limit: given }): QueryString<NeighborsQuery>,
) -> Result<Json<NeighborsBody>, Problem> {
    let limit = limit(given, 100)?;
    let world = app.shelf(&name).await?.world();
    let found = app.compute.run(Length::Short, arrival.deadline, move |_| row(&world, id, limit).map(Json));
    found.await.map_err(|refusal| app.refused(refusal))?
}

fn row(world: &World, id: String, limit: usize) -> Result<NeighborsBody, Problem> {
    let (labels, graph) = (world.labels(), world.graph());
    let node = labels.node(&id)?;
    let unknown = || Problem::new(Kind::UnknownId, format!("there is no node {id:?}")).at("id").about(id.clone());
    let node = node.ok_or_else(unknown)?;
    let row = graph.row(node)?;
    let degree = row.degree();
    let first = graph.offsets().get(node as usize).copied().unwrap_or_default();
    // The heaviest first, and those of the same weight in the order of the row; only as many are sorted as are shown.
    let mut places: Vec<usize> = (0..degree).collect();
    let before = |a: &usize, b: &usize| row.weight(*b).total_cmp(&row.weight(*a)).then(a.cmp(b));
    if limit < degree {
        places.select_nth_unstable_by(limit, before);
        places.truncate(limit);
    }
    places.sort_unstable_by(before);
    let neighbor = |&place: &usize| -> Result<NeighborBody, Problem> {
        let (target, weight) = (row.targets[place], row.weight(place));
        let position = usize::try_from(first).unwrap_or(usize::MAX).saturating_add(place);
        let kinds = world.kinds();
        Ok(NeighborBody {
            id: labels.id(target)?,
            kind: kind_of(world, target),
            weight,
            probability: if row.total == 0.0 { 0.0 } else { weight / row.total },
            types: kinds.into_iter().flat_map(|kinds| kinds.edge_kinds(position)).map(str::to_owned).collect(),
        })
    };
    let neighbors = places.iter().map(neighbor).collect::<Result<Vec<_>, _>>()?;
    Ok(NeighborsBody {
        kind: kind_of(world, node),
        degree: degree as u64,
        total_weight: row.total,
        more: limit < degree,
        neighbors,
        id,
    })
}

fn kind_of(world: &World, node: NodeId) -> Option<String> {
    world.kinds().and_then(|kinds| kinds.node_kind(node)).map(str::to_owned)
}
