//! Questions in words: passages and entities of a knowledge graph, and the chains of triples that lead to them.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use super::app::App;
use super::compute::{Length, Turn};
use super::incoming::{Arrival, JsonBody, Names};
use super::problem::{Kind, Problem, ProblemBody};
use super::reply::{json_response, printed};
use super::request::QueryRequest;
use super::settings::Bounds;
use crate::error::Error;
use crate::retrieve::{Ground, RetrieveReply, RetrieveRequest};

/// The longest question in bytes: longer ones are texts.
const MOST_QUESTION: usize = 1 << 16;

fn check(request: &RetrieveRequest, bounds: &Bounds) -> Result<(), Problem> {
    let question = request.question.as_ref().map_or(0, String::len);
    if MOST_QUESTION < question {
        let what = format!("{question} bytes are more than a question may have: {MOST_QUESTION}");
        return Err(Problem::invalid("question", what));
    }
    for (field, given) in [("entities", request.entities.len()), ("passages", request.passages.len())] {
        if bounds.seeds < given {
            let what = format!("{given} {field} are more than this server takes: {}", bounds.seeds);
            return Err(Problem::invalid(field, what));
        }
    }
    // Seeds come of the question: one stands for them here.
    let seeds = QueryRequest::new(["".into()]);
    let like = QueryRequest { top: request.top, restart_prob: request.restart_prob, ..seeds };
    like.check(bounds)
}

/// Which passages (or entities) matter to this question?
///
/// Names in the question, or entities that are given, become seeds, and so do passages that share its words. A question in which
/// nothing is found has the status `no-seeds` and no results.
#[utoipa::path(
    post, path = "/v1/stores/{store}/retrieve", tag = "questions",
    params(("store" = String, Path, description = "The store's name", example = "wordnet")),
    request_body = RetrieveRequest,
    responses(
        (status = 200, body = RetrieveReply, description = "The best nodes, best first"),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json", description = "What is wrong with the request"),
        (status = "5XX", body = ProblemBody, content_type = "application/problem+json", description = "Busy (with `Retry-After`), too slow, or broken"),
    )
)]
pub(super) async fn retrieve(
    State(app): State<Arc<App>>,
    arrival: Arrival,
    Names(store): Names<String>,
    JsonBody(request): JsonBody<RetrieveRequest>,
) -> Result<Response, Problem> {
    check(&request, &app.settings.bounds)?;
    let shelf = app.shelf(&store).await?;
    let world = shelf.world();
    let like =
        QueryRequest { restart_prob: Some(request.restart_prob()), method: request.method, ..QueryRequest::default() };
    let chosen = like.choose(&world)?;
    // The first question reads all names and texts.
    let length = if world.has_retriever() { like.length(&world, chosen) } else { Length::Long };
    let answered = app.compute.run(length, arrival.deadline, move |Turn { cancelled, .. }| {
        let retriever = world.retriever()?;
        let ground =
            Ground { retriever: &retriever, labels: world.labels(), kinds: world.kinds(), passages: world.passages() };
        let reply = world
            .with_answerer(chosen, cancelled, |answerer| crate::retrieve::retrieve(&ground, answerer, &request))?;
        let reply = reply.map_err(|error| match error {
            Error::Request { what } => Problem::new(Kind::InvalidRequest, what),
            other => other.into(),
        })?;
        printed(&reply)
    });
    let json = answered.await.map_err(|refusal| app.refused(refusal))??;
    Ok(json_response(json))
}
