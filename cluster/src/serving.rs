//! What may be typed to set up a server. Values that may also come from the environment or a file are read later, by
//! [`crate::commands::serve`], all by the same rules.

use std::path::PathBuf;

use clap::Args;
use walkprint_engine::query::Dangling;

use crate::arguments::{RestartArguments, bytes, workers};
use crate::joining::ProcessArguments;

/// `walkprint serve`.
#[derive(Debug, Args)]
#[command(
    after_help = "Every setting may also be given as WALKPRINT_NAME in the environment (WALKPRINT_LISTEN, WALKPRINT_KEYS_FILE, …; \
    stores in WALKPRINT_STORES, separated by colons) or as name = value in the file of --config (keys-file = \"keys\"). What is typed \
    counts before the environment, and that before the file. Keys may stand in WALKPRINT_READ_KEY and WALKPRINT_ADMIN_KEY."
)]
pub(crate) struct ServeArguments {
    /// Stores, as PATH or NAME=PATH, and directories of stores: each NAME.wp in one is opened when it is asked for
    #[arg(value_name = "STORE")]
    pub(crate) stores: Vec<String>,
    /// A TOML file with settings
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Show every setting and where it comes from, and do nothing else
    #[arg(long)]
    pub(crate) print_config: bool,
    #[command(flatten)]
    pub(crate) settings: SettingArguments,
    #[command(flatten)]
    pub(crate) shards: ShardArguments,
}

/// Settings, as text: what is wrong with one is said together with where it comes from.
#[derive(Debug, Args)]
pub(crate) struct SettingArguments {
    /// Where to listen; port 0 takes any that is free [default: 127.0.0.1:7717]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<String>,
    /// Listen elsewhere than at this machine's own addresses without asking for keys
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(value_name = "true|false", help_heading = "Access")]
    pub(crate) insecure: Option<String>,
    /// A file with a line `read KEY` or `admin KEY` for each key; others may not read it
    #[arg(long, value_name = "FILE", help_heading = "Access")]
    pub(crate) keys_file: Option<String>,
    /// TLS: the certificate and those that vouch for it, in PEM
    #[arg(long, value_name = "FILE", help_heading = "Access")]
    pub(crate) tls_cert: Option<String>,
    /// TLS: its private key, in PEM
    #[arg(long, value_name = "FILE", help_heading = "Access")]
    pub(crate) tls_key: Option<String>,
    /// Threads that answer [default: all processors]
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub(crate) threads: Option<String>,
    /// The longest that a request may take [default: 30]
    #[arg(long, value_name = "SECONDS", help_heading = "Limits")]
    pub(crate) timeout: Option<String>,
    /// The most requests that wait for a thread; more are told to come back [default: 1024]
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub(crate) queue: Option<String>,
    /// The most connections at a time [default: 4096]
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub(crate) connections: Option<String>,
    /// The largest body of a request [default: 16MiB]
    #[arg(long, value_name = "BYTES", help_heading = "Limits")]
    pub(crate) most_body: Option<String>,
    /// The most seeds of a question [default: 100000]
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub(crate) most_seeds: Option<String>,
    /// The most results of a question [default: 100000]
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub(crate) most_top: Option<String>,
    /// The most questions of a batch [default: 10000]
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub(crate) most_queries: Option<String>,
    /// The most edges that are sent along with a question [default: 200000]
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub(crate) most_edges: Option<String>,
    /// The most stores of directories that stay open [default: 64]
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub(crate) open_stores: Option<String>,
    /// The most events of a request [default: 100000]
    #[arg(long, value_name = "N", help_heading = "Events")]
    pub(crate) most_events: Option<String>,
    /// The most batches of events that wait to be taken, for each store; more are told to come back [default: 256]
    #[arg(long, value_name = "N", help_heading = "Events")]
    pub(crate) event_queue: Option<String>,
    /// The most events that the graph of a store has not absorbed, some kilobytes of memory each; more are told to come back
    /// [default: 500000]
    #[arg(long, value_name = "N", help_heading = "Events")]
    pub(crate) most_waiting: Option<String>,
    /// The most bytes of a store's log of events [default: 1GiB]
    #[arg(long, value_name = "BYTES", help_heading = "Events")]
    pub(crate) most_log: Option<String>,
    /// Whether events are on the disk before they count; never: a power cut may lose the last seconds, or damage the log
    /// [default: always]
    #[arg(long, value_name = "always|never", help_heading = "Events")]
    pub(crate) fsync: Option<String>,
    /// Have a graph absorb its events in the background from so many on; 0: never [default: 100000]
    #[arg(long, value_name = "N", help_heading = "Events")]
    pub(crate) compact_after: Option<String>,
    /// Threads that walk for that [default: 1]
    #[arg(long, value_name = "N", help_heading = "Events")]
    pub(crate) compact_workers: Option<String>,
    /// The most memory that those walks may hold, as 4GiB or 500MB [default: half of the machine's]
    #[arg(long, value_name = "BYTES", help_heading = "Events")]
    pub(crate) compact_memory: Option<String>,
    /// How often to look for new generations, and for events that another program takes [default: 1]
    #[arg(long, value_name = "SECONDS", help_heading = "Operation")]
    pub(crate) follow: Option<String>,
    /// How long requests under way may take after SIGTERM [default: 20]
    #[arg(long, value_name = "SECONDS", help_heading = "Operation")]
    pub(crate) stop_within: Option<String>,
    /// How the log on stderr is written [default: text]
    #[arg(long, value_name = "text|json", help_heading = "Operation")]
    pub(crate) log: Option<String>,
    /// What is logged: error, warn, info, debug (every request), trace [default: info]
    #[arg(long, value_name = "LEVEL", help_heading = "Operation")]
    pub(crate) log_level: Option<String>,
}

/// What only a server over a graph in shards takes.
#[derive(Debug, Args)]
pub(crate) struct ShardArguments {
    /// Over shards: the index to ask
    #[arg(long, value_name = "NAME", help_heading = "Over shards")]
    pub(crate) index: Option<String>,
    #[command(flatten)]
    pub(crate) restart: RestartArguments,
    /// Over shards: questions may ask for this policy, too; only uniform takes preparing
    #[arg(long, help_heading = "Over shards")]
    pub(crate) dangling: Option<Dangling>,
    /// Over shards: threads of each process [default: all processors]
    #[arg(long, value_parser = workers, help_heading = "Over shards")]
    pub(crate) workers: Option<usize>,
    /// Over shards: the most memory a process may hold, as 4GiB or 500MB [default: half of the machine's]
    #[arg(long, value_name = "BYTES", value_parser = bytes, help_heading = "Over shards")]
    pub(crate) memory: Option<u64>,
    #[command(flatten)]
    pub(crate) together: ProcessArguments,
}

impl ShardArguments {
    /// An option that was given and that only a server over shards takes.
    pub(crate) fn given(&self) -> Option<&'static str> {
        let options = [
            (self.index.is_some(), "--index"),
            (self.restart.given().is_some(), "--restart-prob"),
            (self.dangling.is_some(), "--dangling"),
            (self.workers.is_some(), "--workers"),
            (self.memory.is_some(), "--memory"),
        ];
        options.into_iter().find(|(given, _)| *given).map(|(_, name)| name)
    }
}
