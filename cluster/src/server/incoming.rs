//! What comes in, read with an error that says where it is wrong.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::request::Parts;
use futures_util::StreamExt;
use serde::de::DeserializeOwned;

use super::app::App;
use super::problem::{Kind, Problem};

/// When a request came, which it is, and when its answer is late.
#[derive(Debug, Clone)]
pub(super) struct Arrival {
    pub(super) id: Arc<str>,
    pub(super) deadline: Instant,
    /// Whether it may see what is the operator's.
    pub(super) is_admin: bool,
}

impl<S: Send + Sync> FromRequestParts<S> for Arrival {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Arrival, Problem> {
        let arrival = parts.extensions.get::<Arrival>().cloned();
        arrival.ok_or_else(|| Problem::new(Kind::Internal, "the request has no number; this is a defect"))
    }
}

/// A body of JSON.
pub(super) struct JsonBody<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Arc<App>> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<JsonBody<T>, Problem> {
        expect_json(&request)?;
        let deadline = request.extensions().get::<Arrival>().map(|arrival| arrival.deadline);
        let bytes = read(request, app.settings.bounds.body_bytes, deadline).await?;
        parse(&bytes).map(JsonBody)
    }
}

/// Refuses a body that is not said to be JSON.
pub(super) fn expect_json(request: &Request) -> Result<(), Problem> {
    let given = request.headers().get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default());
    let kind = given.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if kind == "application/json" || kind.starts_with("application/") && kind.ends_with("+json") {
        return Ok(());
    }
    let got = given.map_or("nothing".to_owned(), |given| format!("{given:?}"));
    Err(Problem::new(Kind::NotJson, format!("send the header `Content-Type: application/json`; it says {got}")))
}

/// Reads a body of at most so many bytes.
pub(super) async fn read(request: Request, most: usize, deadline: Option<Instant>) -> Result<Vec<u8>, Problem> {
    let too_large = || {
        let what = format!("this server takes bodies of at most {most} bytes; send less at a time");
        Problem::new(Kind::TooLarge, what)
    };
    let announced = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|bytes| most < bytes) {
        return Err(too_large());
    }
    let mut chunks = request.into_body().into_data_stream();
    let mut bytes = Vec::with_capacity(announced.unwrap_or(0).min(most));
    loop {
        let next = chunks.next();
        let next = match deadline {
            Some(deadline) => tokio::time::timeout_at(deadline.into(), next).await,
            None => Ok(next.await),
        };
        match next {
            Err(_) => return Err(Problem::new(Kind::TooSlow, "the body did not come in time; send it faster")),
            Ok(None) => return Ok(bytes),
            Ok(Some(Err(_))) => return Err(Problem::new(Kind::BadRequest, "the body was cut off before its end")),
            Ok(Some(Ok(chunk))) => {
                if most - bytes.len() < chunk.len() {
                    return Err(too_large());
                }
                bytes.extend_from_slice(&chunk);
            }
        }
    }
}

/// Reads a request from JSON.
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let parsed = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        match inner.classify() {
            serde_json::error::Category::Data if path == "." => Problem::new(Kind::InvalidRequest, inner.to_string()),
            serde_json::error::Category::Data => Problem::invalid(path.clone(), format!("{path}: {inner}")),
            _ => Problem::new(Kind::MalformedJson, format!("the body is no JSON: {inner}")),
        }
    })?;
    let trailing = |error| Problem::new(Kind::MalformedJson, format!("the body is no JSON: {error}"));
    deserializer.end().map_err(trailing)?;
    Ok(parsed)
}

/// Parameters behind the `?`.
pub(super) struct QueryString<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for QueryString<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<QueryString<T>, Problem> {
        let refuse =
            |error: axum::extract::rejection::QueryRejection| Problem::new(Kind::BadRequest, error.body_text());
        Query::try_from_uri(&parts.uri).map(|Query(parameters)| QueryString(parameters)).map_err(refuse)
    }
}

/// Names in the path.
pub(super) struct Names<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Names<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Names<T>, Problem> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(names)) => Ok(Names(names)),
            Err(error) => {
                Err(Problem::new(Kind::BadRequest, format!("the path cannot be read: {}", error.body_text())))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::request::QueryRequest;

    #[test]
    fn json_that_is_none_and_json_that_is_no_request_differ() {
        let problem = |text: &[u8]| parse::<QueryRequest>(text).unwrap_err().body("");
        for text in [&b""[..], b"{", b"{\"seeds\": [1]} x", b"\xff\xfe", b"{\"seeds\": [1], \"top\": 1e999}", b"nul"] {
            let problem = problem(text);
            assert_eq!(
                (problem.status, problem.kind.as_str()),
                (400, "urn:walkprint:problem:malformed-json"),
                "{problem:?}"
            );
        }
        let deep = [b"{\"seeds\":".to_vec(), vec![b'['; 100_000]].concat();
        assert!([400, 422].contains(&problem(&deep).status));
        let wrong = problem(b"{\"seeds\": [{\"id\": \"a\", \"weight\": null}]}");
        assert_eq!((wrong.status, wrong.field.as_deref()), (422, Some("seeds[0].weight")), "{wrong:?}");
        assert_eq!(problem(b"3").status, 422);
    }
}
