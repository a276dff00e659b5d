//! What every request goes through: its number, who sends it, the log, and the counting.
//!
//! **Requests from pages of other sites get nothing**: no header allows them (CORS is closed), bodies must be said to be JSON, which a
//! form cannot do, and where no key is asked for, the name by which the server was called must be one of this machine, so that no
//! foreign name can be made to point here. (Test: `tests/tests/server_access.rs`.)

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::access::Scope;
use super::app::App;
use super::incoming::Arrival;
use super::problem::{Kind, Problem};

/// The header by which a request and its lines in the log are known.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Pages that change a store.
const EDGES: &str = "/v1/stores/{store}/edges";
const COMPACT: &str = "/v1/stores/{store}/compact";
/// The longest id that a client may give its request.
const LONGEST_ID: usize = 64;

/// Numbers requests that come without an id.
pub(super) struct Numbers {
    /// Of this run of the server.
    prefix: String,
    next: AtomicU64,
}

impl Numbers {
    pub(super) fn new() -> Numbers {
        let mut bytes = [0; 4];
        // Without random numbers the time tells one run from the next.
        if getrandom::fill(&mut bytes).is_err() {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            bytes = now.map_or(0, |now| now.subsec_nanos()).to_le_bytes();
        }
        Numbers { prefix: format!("{:08x}", u32::from_le_bytes(bytes)), next: AtomicU64::new(0) }
    }

    /// The id that the client gave, if it is a sensible one, else the next.
    fn of(&self, request: &Request) -> Arc<str> {
        let given = request.headers().get(&REQUEST_ID).and_then(|id| id.to_str().ok());
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
        match given.filter(|id| (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(allowed)) {
            Some(id) => id.into(),
            None => format!("{}-{}", self.prefix, self.next.fetch_add(1, Ordering::Relaxed)).into(),
        }
    }
}

/// Counts a request as under way until its answer has been handed over.
struct UnderWay(Arc<App>);

impl UnderWay {
    fn new(app: &Arc<App>) -> UnderWay {
        app.began();
        UnderWay(Arc::clone(app))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.ended();
    }
}

/// Lets a request through, or not.
pub(super) async fn around(
    State(app): State<Arc<App>>,
    matched: Option<MatchedPath>,
    mut request: Request,
    next: Next,
) -> Response {
    let began = Instant::now();
    let _under_way = UnderWay::new(&app);
    let id = app.numbers.of(&request);
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let route = matched.as_ref().map_or("none", MatchedPath::as_str);
    let mut response = match admit(&app, &request, route) {
        Ok(is_admin) => {
            let deadline = began + app.settings.timeout;
            request.extensions_mut().insert(Arrival { id: Arc::clone(&id), deadline, is_admin });
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    };
    let status = response.status();
    // What went wrong below this program's own pages has no problem yet.
    let problem = response.extensions_mut().remove::<Problem>();
    let foreign = (status.is_client_error() || status.is_server_error()) && problem.is_none();
    let problem = problem.or_else(|| foreign.then(|| unexplained(status, &method, &path)));
    if let Some(problem) = &problem {
        let allow = response.headers_mut().remove(header::ALLOW);
        response = problem.respond(&id);
        allow.into_iter().for_each(|allow| drop(response.headers_mut().insert(header::ALLOW, allow)));
    }
    finish(&app, response, &id, (&method, route, &path), problem.as_ref(), began)
}

/// Headers, the log and the counting.
fn finish(
    app: &App,
    mut response: Response,
    id: &str,
    (method, route, path): (&Method, &str, &str),
    problem: Option<&Problem>,
    began: Instant,
) -> Response {
    let (status, took) = (response.status().as_u16(), began.elapsed());
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    app.metering.request(route, status, took);
    let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    match problem {
        None => tracing::debug!(request_id = id, %method, path, status, took_us, "answered"),
        Some(problem) => {
            let cause = problem.kind.name();
            app.metering.rejected(cause);
            let detail = problem.detail.as_str();
            if 500 <= status && !matches!(problem.kind, Kind::Busy | Kind::Stopping) {
                tracing::error!(request_id = id, %method, path, status, took_us, cause, detail, "failed");
            } else {
                tracing::info!(request_id = id, %method, path, status, took_us, cause, detail, "refused");
            }
        }
    }
    response
}

/// The problem of a response that came without one.
fn unexplained(status: StatusCode, method: &Method, path: &str) -> Problem {
    let kind = Kind::of_status(status);
    let detail = match kind {
        Kind::NotFound => format!("there is nothing at {path:?}; /openapi.json and /docs list what there is"),
        Kind::MethodNotAllowed => format!("{path:?} is not asked by {method}: see the header `Allow`, and /docs"),
        _ => format!("the request could not be answered: {status}"),
    };
    Problem::new(kind, detail)
}

/// Whether a request may pass; gives whether it may see what is the operator's.
fn admit(app: &App, request: &Request, route: &str) -> Result<bool, Problem> {
    let keys = &app.settings.keys;
    if keys.is_empty() {
        if app.settings.listen.ip().is_loopback() && !app.settings.insecure {
            expect_own_name(request)?;
        } else if matches!(route, EDGES | COMPACT) && !app.settings.listen.ip().is_loopback() {
            let what = "this server has no keys and is not for its own machine alone: everybody may ask, and nobody may change a \
                        store; give it keys";
            return Err(Problem::new(Kind::Forbidden, what));
        }
        return Ok(true);
    }
    let needed = match route {
        "/" | "/livez" | "/readyz" | "/healthz" | "/version" | "/openapi.json" | "none" => None,
        route if route.starts_with("/docs") || route.starts_with("/page") => None,
        "/metrics" | "/v1/stores/{store}/refresh" | EDGES | COMPACT => Some(Scope::Admin),
        _ => Some(Scope::Read),
    };
    let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let key = given.and_then(|value| value.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let scope = key.and_then(|(_, key)| keys.scope(key.trim()));
    match (needed, scope) {
        (None, scope) => Ok(scope == Some(Scope::Admin)),
        (Some(needed), Some(scope)) if needed <= scope => Ok(scope == Scope::Admin),
        (Some(needed), Some(scope)) => {
            Err(Problem::new(Kind::Forbidden, format!("this needs a key of scope {needed}; the given one has {scope}")))
        }
        (Some(_), None) if given.is_some() => {
            Err(Problem::new(Kind::KeyWrong, "the server does not know this key; send `Authorization: Bearer KEY`"))
        }
        (Some(_), None) => {
            Err(Problem::new(Kind::KeyMissing, "this server asks for a key: send `Authorization: Bearer KEY`"))
        }
    }
}

/// The name by which the server was called must be one of this machine.
fn expect_own_name(request: &Request) -> Result<(), Problem> {
    let by_header = request.headers().get(header::HOST).map(|host| host.to_str().unwrap_or("?"));
    let Some(called) = request.uri().authority().map(|authority| authority.as_str()).or(by_header) else {
        return Ok(());
    };
    let host = match called.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => called.rsplit_once(':').map_or(called, |(host, _)| host),
    };
    let own =
        host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    if own {
        return Ok(());
    }
    let detail = format!(
        "this server has no keys and is for its own machine: call it 127.0.0.1 or localhost, not {host:?} (give it keys, or --insecure)"
    );
    Err(Problem::new(Kind::Forbidden, detail))
}
