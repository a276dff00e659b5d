//! `walkprint serve` over a graph in shards: by a dataflow on all processes.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::Ordering;

use anyhow::anyhow;
use walkprint_cluster::serve::{ServeOptions, serve};
use walkprint_engine::parts::KindParts;
use walkprint_engine::query::Dangling;
use walkprint_engine::store::Store;

use crate::serving::{ServeArguments, ShardArguments};
use crate::terminal::{Outcome, half_of_memory, note, processors, stop_flag};

const ADVICE: &str = "start all processes again";

pub(super) fn run(path: &Path, arguments: ServeArguments) -> anyhow::Result<Outcome> {
    let store = Store::open(path)?;
    let listen = arguments.settings.listen.as_deref().unwrap_or("127.0.0.1:7717");
    let listen: SocketAddr =
        listen.parse().map_err(|_| anyhow!("--listen: expected ADDRESS:PORT, as 127.0.0.1:7717, got {listen:?}"))?;
    let arguments: ShardArguments = arguments.shards;
    let options = ServeOptions {
        listen,
        index: arguments.index,
        restart_prob: arguments.restart.given(),
        uniform: arguments.dangling == Some(Dangling::Uniform),
        memory_bytes: arguments.memory.unwrap_or_else(half_of_memory),
    };
    let stop = stop_flag()?;
    let agreement = [
        ("command", "serve".to_owned()),
        ("graph", store.manifest().graph.digest.clone()),
        ("index (--index)", format!("{:?} {:?}", options.index, options.restart_prob)),
        ("dangling", format!("{}", options.uniform)),
    ];
    let workers = arguments.workers.unwrap_or_else(processors);
    let processes = arguments.together.join(workers, &agreement, ADVICE, &stop)?;
    let me = processes.process();
    let types = KindParts::open(&store)?;
    if me == 0 && !types.missing.is_empty() && types.kinds.is_some_and(|kinds| kinds.has_node_kinds()) {
        note("walkprint: answers have no types, because those of some shards are not in this directory");
    }
    let mut tick = || {
        if me != 0 && stop.load(Ordering::Relaxed) {
            // The others find that this process has gone, and end.
            note("walkprint: stopped; a server cannot do without one of its processes");
            std::process::exit(130);
        }
    };
    let mut ready = |address| note(&format!("walkprint: answering at {address}; Ctrl-C ends it"));
    let served = serve(path, &options, &processes, &stop, &mut ready, &mut tick);
    processes.finish(served)?;
    note("walkprint: stopped");
    Ok(Outcome::Done)
}
