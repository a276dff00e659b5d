//! Sockets: listening, connections, TLS, and how the server goes down.
//!
//! **Told to stop, the server takes no more connections, answers what is under way, and ends**, at the latest when its deadline is
//! over. (Test: `tests/tests/server_signals.rs`.)

use std::future::Future;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum_server::accept::{Accept, DefaultAcceptor};
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use axum_server::{Handle, Server};
use hyper_util::rt::TokioTimer;
use rustix::net::sockopt::set_tcp_user_timeout;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use walkprint_engine::error::Error as EngineError;

use super::app::{App, look_after, router};
use super::settings::Settings;
use crate::error::{Error, Result};

/// How long a connection may take to send the head of a request, or may be idle between two.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// The most bytes of a head.
const MOST_HEAD_BYTES: usize = 64 << 10;
/// The most header fields.
const MOST_HEADERS: usize = 100;
/// How long threads get to end, after all answers have been given or given up.
const END_WITHIN: Duration = Duration::from_secs(1);

/// How a server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Served {
    /// Requests that were cut off at the deadline.
    pub cut: usize,
}

/// Serves until `stop` is ready, and then until requests under way have been answered. `ready` is told where it listens.
///
/// # Errors
/// When it may not listen there without keys, the address is taken, a store cannot be opened, or TLS cannot be set up.
pub fn serve(
    settings: Settings,
    stop: impl Future<Output = ()> + Send + 'static,
    ready: impl FnOnce(SocketAddr),
) -> Result<Served> {
    if !settings.listen.ip().is_loopback() && settings.keys.is_empty() && !settings.insecure {
        let what = format!(
            "--listen {} can be reached from other machines: give keys (--keys-file), or --insecure if everybody may ask",
            settings.listen
        );
        return Err(Error::Request { what });
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(settings.threads.clamp(1, 8))
        .thread_name("walkprint-http")
        .enable_all()
        .build()
        .map_err(|error| Error::Workers(error.to_string()))?;
    let served = runtime.block_on(run(settings, stop, ready));
    runtime.shutdown_timeout(END_WITHIN);
    served
}

async fn run(
    settings: Settings,
    stop: impl Future<Output = ()> + Send + 'static,
    ready: impl FnOnce(SocketAddr),
) -> Result<Served> {
    let refused = |error| cannot_listen(settings.listen, &error);
    // Before stores are opened: an address that is taken is known at once.
    let listener = TcpListener::bind(settings.listen).map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    let tls = match &settings.tls {
        Some((certificate, key)) => Some(tls(certificate, key).await?),
        None => None,
    };
    let (stop_within, taken_within) = (settings.stop_within, settings.timeout);
    let app = Arc::new(App::new(settings)?);
    let pages = router(Arc::clone(&app));
    let handle = Handle::new();
    let after = tokio::spawn(look_after(Arc::clone(&app)));
    let (stopped, stopping) = (handle.clone(), Arc::clone(&app));
    tokio::spawn(async move {
        stop.await;
        stopping.stop();
        tracing::info!(under_way = stopping.under_way(), within_seconds = stop_within.as_secs_f64(), "stopping");
        stopped.graceful_shutdown(None);
        tokio::time::sleep(stop_within).await;
        stopping.cut();
        stopped.shutdown();
    });
    let refused = |error| cannot_listen(address, &error);
    let server = axum_server::from_tcp(listener).map_err(refused)?.handle(handle);
    ready(address);
    let permits = Arc::clone(&app.connections);
    let service = pages.into_make_service();
    let served = match tls {
        None => {
            let inner = DefaultAcceptor::new();
            bounded(server.acceptor(Bounded { inner, permits, taken_within })).serve(service).await
        }
        Some(config) => {
            let inner = RustlsAcceptor::new(config);
            bounded(server.acceptor(Bounded { inner, permits, taken_within })).serve(service).await
        }
    };
    served.map_err(refused)?;
    after.abort();
    app.catalog.stop(END_WITHIN);
    app.compute.end();
    Ok(Served { cut: app.were_cut() })
}

fn cannot_listen(address: SocketAddr, error: &std::io::Error) -> Error {
    let hint = match error.kind() {
        ErrorKind::AddrInUse => "somebody listens there already; take another port, or 0 for any that is free",
        ErrorKind::PermissionDenied => "the system does not allow it; ports below 1024 are the administrator's",
        _ => "it must be an address of this machine",
    };
    Error::Request { what: format!("--listen {address}: {error}: {hint}") }
}

/// What a connection may take.
fn bounded<A>(mut server: Server<SocketAddr, A>) -> Server<SocketAddr, A> {
    let builder = server.http_builder();
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(MOST_HEAD_BYTES)
        .max_headers(MOST_HEADERS);
    builder.http2().timer(TokioTimer::new()).max_header_list_size(64 << 10).keep_alive_interval(HEAD_WITHIN);
    server
}

async fn tls(certificate: &Path, key: &Path) -> Result<RustlsConfig> {
    // The first one who installs it wins; it is the same for all.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let read = |path: &Path| std::fs::read(path).map_err(EngineError::io(path, "read"));
    let (chain, private) = (read(certificate)?, read(key)?);
    RustlsConfig::from_pem(chain, private).await.map_err(|error| Error::Request {
        what: format!(
            "TLS cannot be set up with --tls-cert {} and --tls-key {}: {error}; both must be PEM and belong together",
            certificate.display(),
            key.display()
        ),
    })
}

/// Takes no more connections than there are permits: who comes too many is hung up on. **Who asks and does not take the answer
/// is hung up on, too**, so that nobody keeps a permit, and the answer in memory, for nothing. (Test: `tests/tests/server_bad_input.rs`.)
#[derive(Clone)]
struct Bounded<A> {
    inner: A,
    permits: Arc<Semaphore>,
    /// How long nothing of what was sent may be taken.
    taken_within: Duration,
}

/// A service that gives its permit back when its connection ends.
#[derive(Clone)]
struct Permitted<S> {
    inner: S,
    _permit: Arc<OwnedSemaphorePermit>,
}

impl<A, S> Accept<TcpStream, S> for Bounded<A>
where
    A: Accept<TcpStream, S>,
    A::Future: Send + 'static,
{
    type Stream = A::Stream;
    type Service = Permitted<A::Service>;
    type Future = Pin<Box<dyn Future<Output = std::io::Result<(Self::Stream, Self::Service)>> + Send>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        // Where the system cannot do it, the connection is as it was.
        let _ = set_tcp_user_timeout(&stream, u32::try_from(self.taken_within.as_millis()).unwrap_or(u32::MAX));
        let permit = Arc::clone(&self.permits).try_acquire_owned();
        let accepting = self.inner.accept(stream, service);
        Box::pin(async move {
            let permit = permit.map_err(|_| std::io::Error::other("there are too many connections"))?;
            let (stream, inner) = accepting.await?;
            Ok((stream, Permitted { inner, _permit: Arc::new(permit) }))
        })
    }
}

impl<S: tower_service::Service<R>, R> tower_service::Service<R> for Permitted<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<std::result::Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        self.inner.call(request)
    }
}
