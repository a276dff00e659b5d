//! What all requests share, and which page answers which path.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::sync::Semaphore;

use super::around::{Numbers, around};
use super::catalog::Catalog;
use super::compacting::begin_if_due;
use super::compute::{Compute, Refusal};
use super::metering::Metering;
use super::problem::{Kind, Problem};
use super::settings::Settings;
use super::shelf::Shelf;
use super::{answers, browse, health, local, openapi, recommending, retrieving, updating};
use crate::error::{Error, Result};

/// See the [module](self).
pub(super) struct App {
    pub(super) settings: Settings,
    pub(super) catalog: Catalog,
    pub(super) compute: Compute,
    pub(super) metering: Metering,
    pub(super) numbers: Numbers,
    /// One permit a connection.
    pub(super) connections: Arc<Semaphore>,
    pub(super) began: Instant,
    stopping: AtomicBool,
    under_way: AtomicUsize,
    cut: AtomicUsize,
}

impl App {
    /// Opens the stores and starts the threads that answer.
    ///
    /// # Errors
    /// When a store cannot be opened, or the system has no threads to give.
    pub(super) fn new(settings: Settings) -> Result<App> {
        let failed = |error: &dyn std::fmt::Display| Error::Workers(error.to_string());
        Ok(App {
            catalog: Catalog::open(&settings.offers, settings.open_stores)?,
            compute: Compute::start(settings.threads, settings.queue).map_err(|error| failed(&error))?,
            metering: Metering::new().map_err(|error| failed(&error))?,
            numbers: Numbers::new(),
            connections: Arc::new(Semaphore::new(settings.connections.min(Semaphore::MAX_PERMITS))),
            began: Instant::now(),
            stopping: AtomicBool::new(false),
            under_way: AtomicUsize::new(0),
            cut: AtomicUsize::new(0),
            settings,
        })
    }

    pub(super) fn began(&self) {
        self.under_way.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn ended(&self) {
        self.under_way.fetch_sub(1, Ordering::Relaxed);
    }

    /// Requests that are being answered.
    pub(super) fn under_way(&self) -> usize {
        self.under_way.load(Ordering::Relaxed)
    }

    /// Connections that are open.
    pub(super) fn connections(&self) -> usize {
        self.settings.connections.saturating_sub(self.connections.available_permits())
    }

    /// What is under way now is cut off.
    pub(super) fn cut(&self) {
        self.cut.store(self.under_way(), Ordering::Relaxed);
    }

    /// How many requests were cut off.
    pub(super) fn were_cut(&self) -> usize {
        self.cut.load(Ordering::Relaxed)
    }

    /// From now on the server says that it is stopping.
    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// The store of this name, which may have to be opened.
    pub(super) async fn shelf(self: &Arc<App>, name: &str) -> std::result::Result<Arc<Shelf>, Problem> {
        if let Some(shelf) = self.catalog.open_already(name) {
            return Ok(shelf);
        }
        if !self.catalog.opens_on_demand() {
            return self.catalog.find(name); // which says that there is none
        }
        let (app, name) = (Arc::clone(self), name.to_owned());
        self.blocking(move || app.catalog.find(&name)).await?
    }

    /// Does what waits for a disk.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> std::result::Result<T, Problem> {
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|_| Problem::new(Kind::Internal, "the server failed; its log says why"))
    }

    /// What a client is told when work was not done.
    pub(super) fn refused(&self, refusal: Refusal) -> Problem {
        match refusal {
            Refusal::Full { retry_after } => {
                let what = format!("too many requests wait; come back in {retry_after} s");
                Problem::new(Kind::Busy, what).retry_after(retry_after)
            }
            Refusal::Late => {
                let seconds = self.settings.timeout.as_secs_f64();
                let what = format!(
                    "no answer within {seconds} s, so it was given up; ask for less precision, fewer seeds, no explanation, or another method"
                );
                Problem::new(Kind::Timeout, what)
            }
            Refusal::Panicked => Problem::new(Kind::Internal, "the server failed, which is a defect; please report it"),
            Refusal::Stopped => {
                Problem::new(Kind::Stopping, "the server is stopping; ask again in a moment").retry_after(1)
            }
        }
    }
}

/// A file of the page.
fn asset(kind: &'static str, text: &'static str) -> Response {
    let mut response = text.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
        ),
    );
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// All pages.
pub(super) fn router(app: Arc<App>) -> Router {
    const SCRIPT: &str = "text/javascript; charset=utf-8";
    let page = Router::new()
        .route("/", get(|| async { asset("text/html; charset=utf-8", include_str!("page/index.html")) }))
        .route("/page/page.css", get(|| async { asset("text/css; charset=utf-8", include_str!("page/page.css")) }))
        .route("/page/page.js", get(|| async { asset(SCRIPT, include_str!("page/page.js")) }))
        .route("/page/api.js", get(|| async { asset(SCRIPT, include_str!("page/api.js")) }))
        .route("/page/combobox.js", get(|| async { asset(SCRIPT, include_str!("page/combobox.js")) }))
        .route("/page/elements.js", get(|| async { asset(SCRIPT, include_str!("page/elements.js")) }))
        .route("/page/graph.js", get(|| async { asset(SCRIPT, include_str!("page/graph.js")) }));
    Router::new()
        .route("/v1/stores", get(browse::stores))
        .route("/v1/stores/{store}", get(browse::store))
        .route("/v1/stores/{store}/refresh", post(browse::refresh))
        .route("/v1/stores/{store}/nodes", get(browse::nodes))
        .route("/v1/stores/{store}/neighbors/{id}", get(browse::neighbors))
        .route("/v1/stores/{store}/query", post(answers::query))
        .route("/v1/stores/{store}/query/batch", post(answers::batch))
        .route("/v1/stores/{store}/recommend", post(recommending::recommend))
        .route("/v1/stores/{store}/retrieve", post(retrieving::retrieve))
        .route("/v1/stores/{store}/edges", post(updating::edges))
        .route("/v1/stores/{store}/compact", post(updating::compact))
        .route("/v1/local", post(local::local))
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .route("/healthz", get(health::healthz))
        .route("/metrics", get(health::metrics))
        .route("/version", get(health::version))
        .merge(page)
        .merge(openapi::pages())
        .layer(tower_http::catch_panic::CatchPanicLayer::custom(panicked))
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&app), around))
        .with_state(app)
}

/// The panic hook has said where.
fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    Problem::new(Kind::Internal, "the server failed, which is a defect; please report it").into_response()
}

/// Makes named stores ready for questions that grow wide; then looks for new generations and keeps numbers in order, again and
/// again.
pub(super) async fn look_after(app: Arc<App>) {
    let warming = Arc::clone(&app);
    // A thread that the end of the server need not wait for.
    let thread = std::thread::Builder::new().name("walkprint-warm-up".to_owned());
    if let Err(error) = thread.spawn(move || warming.catalog.warm_up()) {
        tracing::warn!(%error, "no thread to make the stores ready; the first question that grows wide will take longer");
    }
    let mut follow = tokio::time::interval(app.settings.follow.max(Duration::from_millis(1)));
    follow.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        follow.tick().await;
        let follower = Arc::clone(&app);
        let _ = app // a panic was reported by its hook
            .blocking(move || {
                follower.catalog.follow();
                follower.catalog.open_now().iter().for_each(|shelf| begin_if_due(&follower, shelf));
                follower.metering.upkeep();
            })
            .await;
    }
}
