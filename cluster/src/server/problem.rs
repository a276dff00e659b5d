//! What a client is told when a request cannot be answered: RFC 9457, "Problem Details for HTTP APIs".
//!
//! **Every error says what is wrong, where, and what to do**, with a type that programs can go by, which never changes, and the
//! request's id, by which the log has more. (Test: `tests/tests/server_bad_input.rs`.)

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use walkprint_engine::error::Error as EngineError;

use crate::error::{Error, in_full};

/// The media type of problems (RFC 9457, section 3).
pub(super) const PROBLEM_JSON: &str = "application/problem+json";
/// What the types of problems begin with.
const URN: &str = "urn:walkprint:problem:";

/// What kind of problem it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A header or query string, or an id in the path, cannot be read.
    BadRequest,
    /// The body is no JSON.
    MalformedJson,
    /// The body is JSON, but no request of this kind, or a value is outside its range.
    InvalidRequest,
    /// The body is more than the server takes.
    TooLarge,
    /// The body did not come in time.
    TooSlow,
    /// The body is said to be something else than JSON.
    NotJson,
    /// No key.
    KeyMissing,
    /// A wrong key.
    KeyWrong,
    /// A key that may not do this, or a request under a foreign name.
    Forbidden,
    /// No such page.
    NotFound,
    /// The page does not know this method.
    MethodNotAllowed,
    /// No such store.
    UnknownStore,
    /// No such index.
    UnknownIndex,
    /// No such node.
    UnknownId,
    /// No such type.
    UnknownType,
    /// Filters leave nothing.
    NothingLeft,
    /// The index cannot answer it so.
    Unanswerable,
    /// An event that cannot be.
    EventRefused,
    /// An event came before with other content.
    EventChanged,
    /// Another program takes events.
    EventsLocked,
    /// Too many events wait.
    EventsWait,
    /// Events cannot be kept.
    Log,
    /// There is too much to do.
    Busy,
    /// The server is going down.
    Stopping,
    /// It took too long.
    Timeout,
    /// The store is damaged, or cannot be read.
    Store,
    /// A defect of the server.
    Internal,
}

impl Kind {
    /// Its name in the type, its status, and its title.
    fn facts(self) -> (&'static str, StatusCode, &'static str) {
        match self {
            Kind::BadRequest => ("bad-request", StatusCode::BAD_REQUEST, "The request cannot be read"),
            Kind::MalformedJson => ("malformed-json", StatusCode::BAD_REQUEST, "The body is no JSON"),
            Kind::InvalidRequest => ("invalid-request", StatusCode::UNPROCESSABLE_ENTITY, "The request is not valid"),
            Kind::TooLarge => ("too-large", StatusCode::PAYLOAD_TOO_LARGE, "The request is too large"),
            Kind::TooSlow => ("too-slow", StatusCode::REQUEST_TIMEOUT, "The request did not come in time"),
            Kind::NotJson => ("not-json", StatusCode::UNSUPPORTED_MEDIA_TYPE, "The body must be JSON"),
            Kind::KeyMissing => ("key-missing", StatusCode::UNAUTHORIZED, "A key is needed"),
            Kind::KeyWrong => ("key-wrong", StatusCode::UNAUTHORIZED, "The key is not known"),
            Kind::Forbidden => ("forbidden", StatusCode::FORBIDDEN, "This is not allowed"),
            Kind::NotFound => ("not-found", StatusCode::NOT_FOUND, "There is nothing here"),
            Kind::MethodNotAllowed => ("method-not-allowed", StatusCode::METHOD_NOT_ALLOWED, "Not by this method"),
            Kind::UnknownStore => ("unknown-store", StatusCode::NOT_FOUND, "There is no such store"),
            Kind::UnknownIndex => ("unknown-index", StatusCode::NOT_FOUND, "There is no such index"),
            Kind::UnknownId => ("unknown-id", StatusCode::NOT_FOUND, "There is no such node"),
            Kind::UnknownType => ("unknown-type", StatusCode::NOT_FOUND, "There is no such type"),
            Kind::NothingLeft => ("nothing-left", StatusCode::UNPROCESSABLE_ENTITY, "Filters leave no result"),
            Kind::Unanswerable => ("unanswerable", StatusCode::UNPROCESSABLE_ENTITY, "This store cannot answer it so"),
            Kind::EventRefused => ("event-refused", StatusCode::UNPROCESSABLE_ENTITY, "An event cannot be"),
            Kind::EventChanged => ("event-changed", StatusCode::CONFLICT, "An event came before and is another one"),
            Kind::EventsLocked => ("events-locked", StatusCode::CONFLICT, "Another program takes events"),
            Kind::EventsWait => ("events-wait", StatusCode::TOO_MANY_REQUESTS, "Too many events wait"),
            Kind::Log => ("log", StatusCode::SERVICE_UNAVAILABLE, "Events cannot be kept"),
            Kind::Busy => ("busy", StatusCode::SERVICE_UNAVAILABLE, "The server is busy"),
            Kind::Stopping => ("stopping", StatusCode::SERVICE_UNAVAILABLE, "The server is stopping"),
            Kind::Timeout => ("timeout", StatusCode::GATEWAY_TIMEOUT, "The answer took too long"),
            Kind::Store => ("store", StatusCode::INTERNAL_SERVER_ERROR, "The store cannot be read"),
            Kind::Internal => ("internal", StatusCode::INTERNAL_SERVER_ERROR, "The server failed"),
        }
    }

    /// Its name, as metrics and logs have it.
    pub(super) fn name(self) -> &'static str {
        self.facts().0
    }

    /// The kind that a status stands for which came without a problem: from below this program.
    pub(super) fn of_status(status: StatusCode) -> Kind {
        match status {
            StatusCode::NOT_FOUND => Kind::NotFound,
            StatusCode::METHOD_NOT_ALLOWED => Kind::MethodNotAllowed,
            StatusCode::PAYLOAD_TOO_LARGE => Kind::TooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Kind::NotJson,
            StatusCode::REQUEST_TIMEOUT => Kind::TooSlow,
            status if status.is_client_error() => Kind::BadRequest,
            _ => Kind::Internal,
        }
    }
}

/// A problem on its way to the client.
#[derive(Debug, Clone)]
pub(super) struct Problem {
    pub(super) kind: Kind,
    pub(super) detail: String,
    /// Where in the request, as `seeds[3].weight`.
    field: Option<String>,
    /// The id, store or name that is not known.
    id: Option<String>,
    retry_after: Option<u64>,
}

/// The body of a problem.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProblemBody {
    /// What kind of problem it is; does not change from version to version.
    #[serde(rename = "type")]
    #[schema(example = "urn:walkprint:problem:unknown-id")]
    pub kind: String,
    /// The same in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong, where, and what to do.
    pub detail: String,
    /// Where in the request, as `seeds[3].weight`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The id or name that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The id of the request, which the log has too.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub request_id: String,
}

impl Problem {
    pub(super) fn new(kind: Kind, detail: impl Into<String>) -> Problem {
        Problem { kind, detail: detail.into(), field: None, id: None, retry_after: None }
    }

    /// A value that is outside its range, and where it is.
    pub(super) fn invalid(field: impl Into<String>, detail: impl Into<String>) -> Problem {
        Problem { field: Some(field.into()), ..Problem::new(Kind::InvalidRequest, detail) }
    }

    pub(super) fn at(self, field: impl Into<String>) -> Problem {
        Problem { field: Some(field.into()), ..self }
    }

    /// The same problem of a part of a request.
    pub(super) fn inside(self, part: &str) -> Problem {
        let field = self.field.map_or(part.to_owned(), |field| format!("{part}.{field}"));
        Problem { detail: format!("{field}: {}", self.detail), field: Some(field), ..self }
    }

    /// The same problem of a line of a request.
    pub(super) fn of_line(self, line: u64) -> Problem {
        Problem { detail: format!("line {line}: {}", self.detail), ..self }
    }

    pub(super) fn about(self, id: impl Into<String>) -> Problem {
        Problem { id: Some(id.into()), ..self }
    }

    /// When to come back, in seconds.
    pub(super) fn retry_after(self, seconds: u64) -> Problem {
        Problem { retry_after: Some(seconds), ..self }
    }

    pub(super) fn status(&self) -> StatusCode {
        self.kind.facts().1
    }

    pub(super) fn body(&self, request_id: &str) -> ProblemBody {
        let (name, status, title) = self.kind.facts();
        ProblemBody {
            kind: format!("{URN}{name}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: self.detail.clone(),
            field: self.field.clone(),
            id: self.id.clone(),
            request_id: request_id.to_owned(),
        }
    }

    /// The response, for a request of this id.
    pub(super) fn respond(&self, request_id: &str) -> Response {
        let mut response = (self.status(), Json(self.body(request_id))).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        let mut say = |name: HeaderName, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        };
        if let Some(seconds) = self.retry_after {
            say(header::RETRY_AFTER, &seconds.to_string());
        }
        if matches!(self.kind, Kind::KeyMissing | Kind::KeyWrong) {
            say(header::WWW_AUTHENTICATE, "Bearer realm=\"walkprint\"");
        }
        if matches!(self.kind, Kind::TooLarge | Kind::TooSlow) {
            say(header::CONNECTION, "close"); // what is left of the body is not read
        }
        response
    }
}

impl IntoResponse for Problem {
    /// Leaves the body to [`super::around`], which knows the request's id.
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<EngineError> for Problem {
    fn from(error: EngineError) -> Problem {
        let text = error.to_string();
        match error {
            EngineError::UnknownSeed { id, .. } => Problem::new(Kind::UnknownId, text).at("seeds").about(id),
            EngineError::UnknownType { name, .. } => Problem::new(Kind::UnknownType, text).about(name),
            EngineError::NoIndex { name, .. } => {
                // The path of the store is nobody's business.
                let detail = format!("this store has no index named {name:?}; GET /v1/stores/STORE lists those it has");
                Problem::new(Kind::UnknownIndex, detail).at("index").about(name)
            }
            EngineError::Parameter { name, .. } => Problem::invalid(field_of(name), text),
            EngineError::Seeds { .. } => Problem::invalid("seeds", text),
            EngineError::NothingLeft { .. } => Problem::new(Kind::NothingLeft, text),
            EngineError::Imprecise { .. } => Problem::new(Kind::Unanswerable, text).at("precision"),
            EngineError::NeedsIndex { .. } => Problem::new(Kind::Unanswerable, text).at("method"),
            EngineError::Interrupted => Problem::new(Kind::Timeout, "the answer was given up: it took too long"),
            EngineError::Graph { .. } => Problem::new(Kind::InvalidRequest, text),
            other => {
                // Paths and what is wrong with files are for the log, which has the request's id.
                tracing::error!(error = in_full(&other), "a store cannot be read");
                Problem::new(Kind::Store, "the store is damaged or cannot be read; the server's log says why")
            }
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Problem {
        match error {
            Error::Engine(error) => error.into(),
            Error::Request { what } => Problem::new(Kind::Unanswerable, what),
            Error::LogDamaged { .. } => {
                tracing::error!(error = in_full(&error), "the events of a store cannot be read");
                Problem::new(Kind::Store, "the store's log of events is damaged; the server's log says where")
            }
            other => {
                tracing::error!(error = in_full(&other), "a request failed");
                Problem::new(Kind::Internal, "the server failed; its log says why")
            }
        }
    }
}

/// The field of a request that the engine calls by this name.
fn field_of(parameter: &str) -> &str {
    match parameter {
        "the power of debias" => "debias",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_the_server_are_not_told() {
        let secret = std::path::Path::new("/srv/secret/web.wp");
        let errors = [
            EngineError::damaged(secret, "a row"),
            EngineError::NoStore { path: secret.to_owned() },
            EngineError::NoIndex { path: secret.to_owned(), name: "x".into(), present: "it has y".into() },
            EngineError::io(secret, "read")(std::io::Error::other("disk")),
        ];
        for error in errors {
            let body = Problem::from(error).body("r1");
            assert!(!serde_json::to_string(&body).unwrap().contains("secret"), "{body:?}");
            assert_eq!(body.request_id, "r1");
        }
    }

    #[test]
    fn a_problem_says_where_and_which() {
        let unknown = EngineError::UnknownSeed { id: "dgo".into(), hint: String::new() };
        let body = Problem::from(unknown).body("r2");
        assert_eq!((body.status, body.id.as_deref(), body.field.as_deref()), (404, Some("dgo"), Some("seeds")));
        assert_eq!(body.kind, "urn:walkprint:problem:unknown-id");
    }
}
