//! What operators and their programs ask: is it alive, may it be asked, how is it, what is it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::app::App;
use super::browse::refused;
use super::incoming::Arrival;
use super::problem::{Problem, ProblemBody};
use super::reply::{HealthBody, ReadyBody, StoreReady, VersionBody};

/// The process is alive: it answers.
#[utoipa::path(get, path = "/livez", tag = "operation", responses((status = 200, body = String, content_type = "text/plain")))]
pub(super) async fn livez() -> &'static str {
    "ok\n"
}

/// Whether to send requests here. Where there are keys, stores are listed for a key of scope admin only. A newer generation that was refused is told, and is no reason not to: the old one goes on.
#[utoipa::path(
    get, path = "/readyz", tag = "operation",
    responses((status = 200, body = ReadyBody), (status = 503, body = ReadyBody, description = "The server is stopping"))
)]
pub(super) async fn readyz(State(app): State<Arc<App>>, arrival: Arrival) -> (StatusCode, Json<ReadyBody>) {
    let ready = |shelf: &Arc<super::shelf::Shelf>| StoreReady {
        name: shelf.name().to_owned(),
        generation: shelf.world().generation(),
        refused: refused(shelf, true),
    };
    // Where there are keys, names of stores are told to operators only.
    let shelves = if arrival.is_admin { app.catalog.open_now() } else { Vec::new() };
    let stores = shelves.iter().map(ready).collect();
    let (code, status) = match app.is_stopping() {
        false => (StatusCode::OK, "ready"),
        true => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
    };
    (code, Json(ReadyBody { status: status.to_owned(), stores }))
}

/// How the server is, for people.
#[utoipa::path(get, path = "/healthz", tag = "operation", responses((status = 200, body = HealthBody)))]
pub(super) async fn healthz(State(app): State<Arc<App>>) -> Json<HealthBody> {
    let (short_waiting, long_waiting) = app.compute.waiting();
    Json(HealthBody {
        status: if app.is_stopping() { "stopping" } else { "ok" }.to_owned(),
        uptime_seconds: app.began.elapsed().as_secs_f64(),
        under_way: app.under_way(),
        short_waiting,
        long_waiting,
        open_stores: app.catalog.open_now().len(),
    })
}

/// Numbers for Prometheus. Needs a key of scope admin, where there are keys.
#[utoipa::path(
    get, path = "/metrics", tag = "operation",
    responses(
        (status = 200, body = String, content_type = "text/plain"),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn metrics(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let teller = Arc::clone(&app);
    let text = app.blocking(move || teller.metering.render(&teller)).await?;
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

/// Which program this is.
#[utoipa::path(get, path = "/version", tag = "operation", responses((status = 200, body = VersionBody)))]
pub(super) async fn version() -> Json<VersionBody> {
    Json(VersionBody {
        name: "walkprint".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        format_version: walkprint_engine::file::FORMAT_VERSION,
    })
}
