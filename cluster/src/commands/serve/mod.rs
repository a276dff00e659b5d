//! `walkprint serve`.

mod configuration;

mod shards;

use std::path::{Path, PathBuf};

use anyhow::bail;
use tracing_subscriber::fmt::time::SystemTime;
use walkprint_cluster::server::{Served, serve};
use walkprint_engine::store::Store;

use crate::serving::ServeArguments;
use crate::terminal::{Outcome, note, print};
use configuration::{Configuration, Log, configure};

pub(crate) fn run(arguments: ServeArguments) -> anyhow::Result<Outcome> {
    if let Some(store) = in_shards(&arguments)? {
        return shards::run(&store, arguments);
    }
    let Configuration { settings, log, .. } = &configure(&arguments, &|name| std::env::var(name).ok())
        .and_then(|configuration| told(&arguments, configuration))?;
    if arguments.print_config {
        return Ok(Outcome::Done);
    }
    if let Some(option) = arguments.shards.given() {
        bail!(
            "{option} is for a server over a graph in shards; here there is --threads, and each request says the rest"
        );
    }
    if settings.offers.is_empty() {
        bail!("name a store, or a directory of stores: walkprint serve STORE");
    }
    begin_log(log);
    // A panic ends one request, and no more.
    std::panic::set_hook(Box::new(
        |panic| tracing::error!(%panic, "internal error; this is a defect, please report it"),
    ));
    let encrypted = settings.tls.is_some();
    let ready = |address| {
        let scheme = if encrypted { "https" } else { "http" };
        note(&format!("walkprint: answering at {scheme}://{address}"));
    };
    let Served { cut } = serve(settings.clone(), stop(), ready)?;
    match cut {
        0 => note("walkprint: stopped"),
        cut => note(&format!("walkprint: stopped; {cut} requests took longer than --stop-within and were cut off")),
    }
    Ok(Outcome::Done)
}

fn told(arguments: &ServeArguments, configuration: Configuration) -> anyhow::Result<Configuration> {
    if arguments.print_config {
        print(&configuration.text())?;
    }
    Ok(configuration)
}

/// The only store, if its graph lies in shards or several processes are to serve it.
fn in_shards(arguments: &ServeArguments) -> anyhow::Result<Option<PathBuf>> {
    let together = arguments.shards.together.are_given();
    let [store] = arguments.stores.as_slice() else {
        if together {
            bail!("several processes serve one store: name it");
        }
        return Ok(None);
    };
    let store = Path::new(store);
    let sharded = || Store::open(store).is_ok_and(|store| store.is_sharded());
    Ok((together || sharded()).then(|| store.to_owned()))
}

/// Ready when the program is asked to stop; the second time it ends at once.
async fn stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("signals cannot be heard: the server runs until it is killed");
        return std::future::pending().await;
    };
    let mut told = async move || {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    told().await;
    tokio::spawn(async move {
        told().await;
        std::process::exit(130);
    });
}

fn begin_log(log: &Log) {
    let builder = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_timer(SystemTime)
        .with_target(false)
        .with_max_level(log.level)
        .with_ansi(false)
        // It would be said on stderr, where nothing can be said, by a macro that panics then.
        .log_internal_errors(false);
    // Nothing else in this program begins a log.
    let _ = if log.json { builder.json().flatten_event(true).try_init() } else { builder.try_init() };
}
