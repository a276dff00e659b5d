//! What may be typed so that several processes do a job together, and what is said when one of them is lost.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use clap::Args;
use walkprint_cluster::processes::{Hosts, Joining, Key, Loss, LossKind, Processes};

use crate::terminal::note;

const CONNECT_SECONDS: u64 = 120;

/// Which processes there are, and which of them this is.
#[derive(Debug, Args)]
pub(crate) struct ProcessArguments {
    /// Do it by several processes: a file with a line HOST:PORT for each. Run the same command for each of them, with its
    /// --process
    #[arg(long, value_name = "FILE", requires = "process", help_heading = "Several processes")]
    hosts: Option<PathBuf>,
    /// Which line of the host file this process is, from 0
    #[arg(long, value_name = "I", requires = "hosts", help_heading = "Several processes")]
    process: Option<usize>,
    /// A file with a key that all processes have and nobody else may read: at least 16 bytes
    #[arg(long, value_name = "FILE", requires = "hosts", help_heading = "Several processes")]
    key_file: Option<PathBuf>,
    /// How long to wait for the other processes [default: 120]
    #[arg(long, value_name = "SECONDS", requires = "hosts", help_heading = "Several processes")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=86_400))]
    connect_timeout: Option<u64>,
}

impl ProcessArguments {
    /// Whether other processes were named.
    pub(crate) fn are_given(&self) -> bool {
        self.hosts.is_some()
    }

    /// Joins the other processes, or stands alone where none were named. `agreement` are labelled values that must be the
    /// same in all; `advice` follows what is said when a process is lost.
    pub(crate) fn join(
        &self,
        workers: usize,
        agreement: &[(&str, String)],
        advice: &'static str,
        stop: &Arc<AtomicBool>,
    ) -> anyhow::Result<Processes> {
        let (Some(hosts), Some(process)) = (&self.hosts, self.process) else { return Ok(Processes::alone(workers)) };
        Ok(Processes::connect(Joining {
            hosts: Hosts::read(hosts)?,
            process,
            key: self.key_file.as_deref().map(Key::read).transpose()?,
            workers,
            timeout: Duration::from_secs(self.connect_timeout.unwrap_or(CONNECT_SECONDS)),
            agreement: agreement.iter().map(|(label, value)| ((*label).to_owned(), value.clone())).collect(),
            stop: Arc::clone(stop),
            note: Arc::new(|text| note(&format!("walkprint: {text}"))),
            on_loss: Arc::new(move |loss| end(loss, advice)),
        })?)
    }
}

/// Ends the program, from whichever thread: timely's own cannot be stopped.
fn end(loss: &Loss, advice: &str) {
    note(&format!("walkprint: {loss}; {advice}"));
    std::process::exit(if loss.kind == LossKind::Interrupted { 130 } else { 2 });
}
