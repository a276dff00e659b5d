//! Events for a graph that lives, over HTTP.

#![expect(unused_qualifications, reason = "utoipa's macros spell out the names of parameters")]

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequest, Request, State};
use axum::http::header::CONTENT_TYPE;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use utoipa::{IntoParams, ToSchema};
use walkprint_engine::events::{Event, WrittenEvent};

use super::app::App;
use super::compacting::{Begun, begin, begin_if_due};
use super::incoming::{Arrival, Names, QueryString, expect_json, parse, read};
use super::intake::{Delivery, TurnedAway};
use super::problem::{Kind, Problem, ProblemBody};
use super::shelf::of_log;
use crate::live::{LogOptions, Missing};

/// One JSON object a line.
const NDJSON: [&str; 3] = ["application/x-ndjson", "application/jsonl", "application/x-jsonlines"];

/// What is done about an event that removes what is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum MissingEvents {
    /// It is refused, and all that came with it.
    #[default]
    #[serde(alias = "error")]
    Refuse,
    /// It does nothing, and is counted.
    Ignore,
}

impl From<MissingEvents> for Missing {
    fn from(missing: MissingEvents) -> Missing {
        match missing {
            MissingEvents::Refuse => Missing::Refuse,
            MissingEvents::Ignore => Missing::Ignore,
        }
    }
}

/// Events, in the order in which they happened.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateRequest {
    /// The events: all are taken, or none.
    #[schema(value_type = Vec<super::openapi::EventSchema>, min_items = 1, example = json!([{"op": "add", "source": "dog.n.01", "target": "cat.n.01"}]))]
    pub events: Vec<WrittenEvent>,
    /// What to do about an event that removes what is not there [default: refuse].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<MissingEvents>,
}

impl UpdateRequest {
    /// These events.
    #[must_use]
    pub fn new(events: impl IntoIterator<Item = Event>) -> UpdateRequest {
        UpdateRequest { events: events.into_iter().map(WrittenEvent::from).collect(), missing: None }
    }
}

/// What became of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateBody {
    /// Events that count from now on; an interaction of a user with an item is several.
    pub taken: u64,
    /// Events that had come before, by their ids, and do not count again.
    pub repeated: u64,
    /// Events of those that were taken which removed what was not there.
    pub missing: u64,
    /// How many events have come since the graph was loaded, these included: an answer that says the same number or a larger one
    /// counts them.
    pub sequence: u64,
    /// How many events the graph in the store has not absorbed yet. They count all the same.
    pub waiting: u64,
    /// The generation of the store in which they count.
    pub generation: u64,
}

/// What a compaction that was asked for is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CompactBody {
    /// `begun`, `under-way` (one had begun before), or `nothing` (no event waits).
    pub status: String,
    /// How many events wait.
    pub waiting: u64,
}

/// How events are taken.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct UpdateQuery {
    /// What to do about an event that removes what is not there [default: refuse]; for a body of JSON Lines.
    #[serde(default)]
    missing: Option<MissingEvents>,
}

/// Events as they came in.
pub(super) struct EventsBody {
    request: UpdateRequest,
    bytes: usize,
}

impl FromRequest<Arc<App>> for EventsBody {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<EventsBody, Problem> {
        let given = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let kind = given.and_then(|given| given.split(';').next()).unwrap_or_default().trim().to_ascii_lowercase();
        let is_lines = NDJSON.contains(&kind.as_str());
        if !is_lines {
            expect_json(&request)?;
        }
        let deadline = request.extensions().get::<Arrival>().map(|arrival| arrival.deadline);
        let body = read(request, app.settings.bounds.body_bytes, deadline).await?;
        let request = if is_lines { lines(&body, app.settings.updates.events)? } else { parse(&body)? };
        Ok(EventsBody { request, bytes: body.len() })
    }
}

/// An event a line.
fn lines(body: &[u8], most: usize) -> Result<UpdateRequest, Problem> {
    let mut request = UpdateRequest::default();
    for (line, text) in (1..).zip(body.split(|&byte| byte == b'\n')) {
        let text = text.trim_ascii();
        if text.is_empty() {
            continue;
        }
        let at = request.events.len();
        if most <= at {
            return Err(too_many(most, None));
        }
        let event = parse(text).map_err(|problem| problem.inside(&format!("events[{at}]")).of_line(line))?;
        request.events.push(event);
    }
    Ok(request)
}

fn too_many(most: usize, events: Option<usize>) -> Problem {
    let given = events.map_or("these".to_owned(), |events| events.to_string());
    let what = format!("{given} events are more than this server takes at once: {most}; send them in parts");
    Problem::invalid("events", what)
}

/// Events by themselves, and for each its place in the request where one may stand for several.
fn events_of(written: Vec<WrittenEvent>) -> Result<(Vec<Event>, Option<Vec<usize>>), Problem> {
    let mut events = Vec::with_capacity(written.len());
    let mut places = Vec::with_capacity(written.len());
    for (at, one) in written.into_iter().enumerate() {
        let refuse = |bad: walkprint_engine::events::BadEvent| {
            let place = format!("events[{at}]");
            Problem::invalid(place.clone(), format!("{place}: {bad}"))
        };
        one.append_to(&mut events).map_err(refuse)?;
        places.resize(events.len(), at);
    }
    let are_single = places.last().is_none_or(|&last| last + 1 == places.len());
    Ok((events, (!are_single).then_some(places)))
}

/// Takes events: edges and nodes that are added, removed or set. Needs a key of scope admin, where there are keys.
///
/// All are taken, or none. Once this answers they are on the disk, and every answer counts them, from the next one on. The body is JSON,
/// or JSON Lines, an event a line, under the type application/x-ndjson. An event with an `event_id` counts once, however often it is sent,
/// so that a request whose answer was lost may be sent again.
#[utoipa::path(
    post, path = "/v1/stores/{store}/edges", tag = "events",
    params(("store" = String, Path, description = "The store's name", example = "wordnet"), UpdateQuery),
    request_body(content(
        (UpdateRequest = "application/json"),
        (String = "application/x-ndjson")
    )),
    responses(
        (status = 200, body = UpdateBody),
        (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "Another program takes the events of this store, or an event came before with other content"),
        (status = 422, body = ProblemBody, content_type = "application/problem+json", description = "An event cannot be: `field` has its place; none was taken"),
        (status = 429, body = ProblemBody, content_type = "application/problem+json", description = "Too many events wait; `Retry-After` says when to come back"),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json", description = "What is wrong with the request"),
        (status = "5XX", body = ProblemBody, content_type = "application/problem+json", description = "The log of events cannot be written (nothing was taken), or the server is broken"),
    )
)]
pub(super) async fn edges(
    State(app): State<Arc<App>>,
    arrival: Arrival,
    Names(store): Names<String>,
    QueryString(query): QueryString<UpdateQuery>,
    EventsBody { request, bytes }: EventsBody,
) -> Result<Json<UpdateBody>, Problem> {
    let updates = &app.settings.updates;
    if request.events.is_empty() {
        return Err(Problem::invalid("events", "there are no events"));
    }
    if updates.events < request.events.len() {
        return Err(too_many(updates.events, Some(request.events.len())));
    }
    let missing = request.missing.or(query.missing).unwrap_or_default().into();
    let (events, places) = events_of(request.events)?;
    let shelf = app.shelf(&store).await?;
    let (done, answer) = oneshot::channel();
    let delivery = Delivery { events, places, missing, bytes, done };
    match shelf.intake.put(delivery, updates.queue, app.settings.bounds.body_bytes) {
        Ok(false) => {}
        Ok(true) => {
            let (its_app, attended) = (Arc::clone(&app), Arc::clone(&shelf));
            tokio::task::spawn_blocking(move || {
                let is_asked_widely = attended.world().is_turned_round();
                attended.attend(&its_app);
                begin_if_due(&its_app, &attended);
                if is_asked_widely {
                    attended.prepare();
                }
            });
        }
        Err(TurnedAway::Full) => {
            let what = "too many batches of events wait for this store; come back in a moment";
            return Err(Problem::new(Kind::EventsWait, what).retry_after(1));
        }
        Err(TurnedAway::Closed) => {
            let what = "the store has just been closed, because others were asked for; send the events again";
            return Err(Problem::new(Kind::Busy, what).retry_after(1));
        }
    }
    let unknown = |what: &str| {
        let what =
            format!("{what}; they may have been taken or not: send them again, with event_id so that each counts once");
        Problem::new(Kind::Timeout, what)
    };
    let receipt = match tokio::time::timeout_at(arrival.deadline.into(), answer).await {
        Ok(Ok(outcome)) => outcome?,
        Ok(Err(_)) => return Err(unknown("the events were given up before it was known what became of them")),
        Err(_) => return Err(unknown("the events were not taken in time")),
    };
    let taken = receipt.taken;
    Ok(Json(UpdateBody {
        taken: taken.taken,
        repeated: taken.repeated,
        missing: taken.missing,
        sequence: taken.next_sequence,
        waiting: receipt.waiting,
        generation: receipt.generation,
    }))
}

/// Has the store absorb its events: a new generation is made in the background, and takes over when it is whole; answers count the
/// same events before and after. Needs a key of scope admin, where there are keys. How it goes is told by the store's page.
#[utoipa::path(
    post, path = "/v1/stores/{store}/compact", tag = "events",
    params(("store" = String, Path, description = "The store's name", example = "wordnet")),
    responses(
        (status = 200, body = CompactBody),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json", description = "Another program takes the events of this store, or what is wrong with the request"),
        (status = "5XX", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn compact(
    State(app): State<Arc<App>>,
    Names(store): Names<String>,
) -> Result<Json<CompactBody>, Problem> {
    let shelf = app.shelf(&store).await?;
    let (its_app, absorbed) = (Arc::clone(&app), Arc::clone(&shelf));
    let begun = app.blocking(move || {
        if absorbed.world().counted().events == 0 {
            return Ok(Begun::Nothing);
        }
        let log = LogOptions { fsync: its_app.settings.updates.fsync, ..LogOptions::default() };
        absorbed.take_over(log).map_err(of_log)?;
        begin(&its_app, &absorbed).map_err(Problem::from)
    });
    let status = match begun.await?? {
        Begun::Now => "begun",
        Begun::Before => "under-way",
        Begun::Nothing => "nothing",
    };
    Ok(Json(CompactBody { status: status.to_owned(), waiting: shelf.world().counted().events }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_what_was_sent() {
        let body = b"{\"user_id\": 1, \"item_id\": 2}\n\n{\"source\": \"a\", \"target\": \"b\"}\r\n";
        let (events, places) = events_of(lines(body, 2).unwrap().events).unwrap();
        assert_eq!((events.len(), places), (5, Some(vec![0, 0, 0, 0, 1])));
        let body = b"{\"source\": \"a\", \"target\": \"b\"}\n{\"source\": \"b\", \"target\": \"c\"}";
        assert_eq!(events_of(lines(body, 2).unwrap().events).unwrap().1, None);
        let refused = |body: &[u8]| lines(body, 2).and_then(|request| events_of(request.events)).unwrap_err().body("");
        let problem = refused(b"{\"source\": \"a\", \"target\": \"b\"}\n\n{\"source\": \"a\", \"wait\": 1}\n");
        assert_eq!((problem.status, problem.field.as_deref()), (422, Some("events[1].wait")), "{problem:?}");
        assert!(problem.detail.contains("line 3"), "{problem:?}");
        let problem = refused(b"{\"source\": \"a\", \"target\": \"b\", \"weight\": -1}");
        assert_eq!((problem.status, problem.field.as_deref()), (422, Some("events[0]")), "{problem:?}");
        assert_eq!(refused(b"{}\n{}\n{}\n").field.as_deref(), Some("events"));
    }
}
