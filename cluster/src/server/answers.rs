//! Questions about a store: one, or many.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use walkprint_engine::query::Method;

use super::app::App;
use super::compute::{Refusal, Turn};
use super::incoming::{Arrival, JsonBody, Names};
use super::metering::Stages;
use super::problem::{Problem, ProblemBody};
use super::reply::{self, AnswerBody, BatchBody};
use super::request::{BatchRequest, QueryRequest};
use super::shelf::Shelf;
use super::world::World;
use crate::serve::{Printed, Provenance};

/// One JSON object a line.
const NDJSON: &str = "application/x-ndjson";
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
/// How long a question of a batch waits before it tries again for a place in the queue.
const NEXT_TRY: Duration = Duration::from_millis(20);

/// An answer as bytes of JSON.
struct Answered {
    json: Vec<u8>,
    method: Method,
    stages: Stages,
}

/// Which nodes matter to these seeds?
#[utoipa::path(
    post, path = "/v1/stores/{store}/query", tag = "questions",
    params(("store" = String, Path, description = "The store's name", example = "wordnet")),
    request_body = QueryRequest,
    responses(
        (status = 200, body = AnswerBody, description = "The best nodes, best first; the header `Server-Timing` says what took how long"),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json", description = "What is wrong with the request"),
        (status = "5XX", body = ProblemBody, content_type = "application/problem+json", description = "Busy (with `Retry-After`), too slow, or broken"),
    )
)]
pub(super) async fn query(
    State(app): State<Arc<App>>,
    arrival: Arrival,
    Names(store): Names<String>,
    JsonBody(request): JsonBody<QueryRequest>,
) -> Result<Response, Problem> {
    let shelf = app.shelf(&store).await?;
    let world = shelf.world();
    let answered = ask(&app, &shelf, &world, Arc::new(request), arrival.deadline).await??;
    let stages = answered.stages;
    let mut response = reply::json_response(answered.json);
    let headers = response.headers_mut();
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    let mut timing = format!(
        "queue;dur={:.3}, answer;dur={:.3}",
        milliseconds(stages.queue),
        milliseconds(stages.resolve + stages.answer)
    );
    if !stages.explain.is_zero() {
        timing += &format!(", explain;dur={:.3}", milliseconds(stages.explain));
    }
    if let Ok(timing) = HeaderValue::from_str(&timing) {
        headers.insert(SERVER_TIMING, timing);
    }
    Ok(response)
}

/// Has a question answered by a thread. The outer error is about the server, and may be another in a moment.
async fn ask(
    app: &Arc<App>,
    shelf: &Arc<Shelf>,
    world: &Arc<World>,
    request: Arc<QueryRequest>,
    deadline: Instant,
) -> Result<Result<Answered, Problem>, Problem> {
    match attempt(app, shelf, world, request, deadline, false).await {
        Ok(answered) => Ok(answered),
        Err(refusal) => Err(app.refused(refusal)),
    }
}

async fn attempt(
    app: &Arc<App>,
    shelf: &Arc<Shelf>,
    world: &Arc<World>,
    request: Arc<QueryRequest>,
    deadline: Instant,
    of_batch: bool,
) -> Result<Result<Answered, Problem>, Refusal> {
    let chosen = match request.check(&app.settings.bounds).and_then(|()| request.choose(world)) {
        Ok(chosen) => chosen,
        Err(problem) => return Ok(Err(problem)),
    };
    let length = if of_batch { super::compute::Length::Long } else { request.length(world, chosen) };
    let (shelf, world, asked) = (Arc::clone(shelf), Arc::clone(world), Arc::clone(&request));
    let answered = app
        .compute
        .run(length, deadline, move |Turn { cancelled, waited }| {
            let began = Instant::now();
            let question = asked.question(&world)?;
            let resolved = began.elapsed();
            let outcome = world.with_answerer(chosen, cancelled, |answerer| {
                let began = Instant::now();
                let answer = answerer.answer(&question)?;
                let answered = began.elapsed();
                let began = Instant::now();
                let explanation = asked
                    .explain()
                    .map(|with| answerer.explain(&question, &answer, &with.settings(&world)))
                    .transpose()?;
                let explained = if explanation.is_some() { began.elapsed() } else { Duration::ZERO };
                Ok::<_, walkprint_engine::error::Error>((answer, answered, explanation, explained))
            })?;
            let (answer, answered, explanation, explained) = outcome?;
            let began = Instant::now();
            // As the program says it: exact answers come of no index.
            let used = world.entry(chosen).filter(|_| !matches!(answer.method, Method::Exact | Method::Block));
            let printed = Printed {
                answer: &answer,
                kinds: world.kinds(),
                from: Provenance {
                    index: used,
                    graph_digest: &world.manifest().graph.digest,
                    restart_prob: chosen.restart_prob,
                },
                took_us: Some(u64::try_from(answered.as_micros()).unwrap_or(u64::MAX)),
                store: Some(world.origin(shelf.name())),
                explanation: explanation.as_ref(),
                budgeted: None,
            };
            let json = reply::printed(&printed)?;
            let (resolve, answer_time) = (resolved, answered);
            let stages =
                Stages { queue: waited, resolve, answer: answer_time, explain: explained, print: began.elapsed() };
            Ok(Answered { json, method: answer.method, stages })
        })
        .await?;
    if let Ok(answered) = &answered {
        app.metering.answered(answered.method, request.seeds.len(), &answered.stages);
    }
    Ok(answered)
}

/// Many questions about one store, all answered from the same generation.
///
/// With `Accept: application/x-ndjson` each answer is sent as a line as soon as it and all before it are ready; a question that
/// cannot be answered gives a line `{"problem": …}` and is no reason to give up on the others. A batch in which some value is outside
/// its range is refused as a whole, by its place.
#[utoipa::path(
    post, path = "/v1/stores/{store}/query/batch", tag = "questions",
    params(("store" = String, Path, description = "The store's name", example = "wordnet")),
    request_body = BatchRequest,
    responses(
        (status = 200, body = BatchBody, description = "An answer or a problem for each question, in order"),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json", description = "What is wrong with the request"),
        (status = "5XX", body = ProblemBody, content_type = "application/problem+json", description = "Busy (with `Retry-After`), too slow, or broken"),
    )
)]
pub(super) async fn batch(
    State(app): State<Arc<App>>,
    arrival: Arrival,
    headers: HeaderMap,
    Names(store): Names<String>,
    JsonBody(BatchRequest { queries }): JsonBody<BatchRequest>,
) -> Result<Response, Problem> {
    let most = app.settings.bounds.queries;
    if queries.is_empty() {
        return Err(Problem::invalid("queries", "a batch has at least one question"));
    }
    if most < queries.len() {
        let what = format!("{} questions are more than this server takes at once: {most}", queries.len());
        return Err(Problem::invalid("queries", what));
    }
    for (at, query) in queries.iter().enumerate() {
        query.check(&app.settings.bounds).map_err(|problem| problem.inside(&format!("queries[{at}]")))?;
    }
    if app.settings.queue <= app.compute.waiting().1 {
        return Err(app.refused(Refusal::Full { retry_after: 1 }));
    }
    let shelf = app.shelf(&store).await?;
    let world = shelf.world();
    let as_lines = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains(NDJSON));
    let at_a_time = app.settings.threads.max(1);
    let (request_id, deadline) = (Arc::clone(&arrival.id), arrival.deadline);
    let lines = futures_util::stream::iter(queries)
        .map(move |request| {
            let (app, shelf, world, id) =
                (Arc::clone(&app), Arc::clone(&shelf), Arc::clone(&world), Arc::clone(&request_id));
            async move { line(&app, &shelf, &world, request, deadline, &id).await }
        })
        .buffered(at_a_time);
    if as_lines {
        let body = Body::from_stream(lines.map(|mut line| {
            line.push(b'\n');
            Ok::<_, Infallible>(Bytes::from(line))
        }));
        let kind = HeaderValue::from_static(NDJSON);
        return Ok(([(header::CONTENT_TYPE, kind)], body).into_response());
    }
    let mut body = b"{\"answers\":[".to_vec();
    let mut lines = std::pin::pin!(lines);
    while let Some(line) = lines.next().await {
        if body.last() != Some(&b'[') {
            body.push(b',');
        }
        body.extend_from_slice(&line);
    }
    body.extend_from_slice(b"]}");
    Ok(reply::json_response(body))
}

/// The answer to a question of a batch, or its problem, as JSON.
async fn line(
    app: &Arc<App>,
    shelf: &Arc<Shelf>,
    world: &Arc<World>,
    request: QueryRequest,
    deadline: Instant,
    id: &str,
) -> Vec<u8> {
    let request = Arc::new(request);
    let answered = loop {
        match attempt(app, shelf, world, Arc::clone(&request), deadline, true).await {
            Ok(answered) => break answered,
            // The batch was let in: it waits for its turn.
            Err(Refusal::Full { .. }) if Instant::now() + NEXT_TRY < deadline => tokio::time::sleep(NEXT_TRY).await,
            Err(refusal) => break Err(app.refused(refusal)),
        }
    };
    match answered {
        Ok(answered) => answered.json,
        Err(problem) => {
            app.metering.rejected(problem.kind.name());
            let body = serde_json::to_string(&problem.body(id));
            body.map_or_else(|_| b"{}".to_vec(), |body| format!("{{\"problem\":{body}}}").into_bytes())
        }
    }
}
