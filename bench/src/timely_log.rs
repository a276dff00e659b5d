//! What timely's own account says of a sharded build: how many messages of walks went from worker to worker, in how many
//! rounds.
//!
//! The account is a file a worker, an event a line (`--timely-log`). Walks travel on the channels whose type is the build's
//! `Batch`; each record is what one worker had for another in one round.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context, Result};

/// The end of the type of what walks travel in.
const BATCH: &str = "sharded::wire::Batch>\" })";

/// Messages of walks between workers.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Batches {
    /// All of them.
    pub(crate) sent: u64,
    /// Those from one worker to one other, where there were most: about the rounds that were taken, or up to three times as
    /// many where rows are cut.
    pub(crate) of_the_busiest_pair: u64,
}

impl Batches {
    /// Counts what the files in a directory tell.
    ///
    /// # Errors
    /// When one cannot be read.
    pub(crate) fn read(directory: &Path) -> Result<Batches> {
        let mut pairs = BTreeMap::new();
        let files = std::fs::read_dir(directory).with_context(|| format!("{}: could not read", directory.display()))?;
        for file in files {
            let path = file?.path();
            let file = std::fs::OpenOptions::new().read(true).open(&path);
            let file = file.with_context(|| format!("{}: could not open", path.display()))?;
            let mut channels = BTreeSet::new();
            for line in BufReader::new(file).lines() {
                let line = line.with_context(|| format!("{}: could not read", path.display()))?;
                count(&line, &mut channels, &mut pairs);
            }
        }
        Ok(Batches {
            sent: pairs.values().sum(),
            of_the_busiest_pair: pairs.values().copied().max().unwrap_or_default(),
        })
    }
}

/// Takes one line: a channel that walks travel on, or a message sent on such a one to another worker.
fn count(line: &str, channels: &mut BTreeSet<u64>, pairs: &mut BTreeMap<(u64, u64), u64>) {
    if line.contains(" Channels(") && line.contains(BATCH) {
        channels.extend(field(line, "id: "));
    } else if line.contains(" Messages(") && line.contains("is_send: true") {
        let fields = ["channel: ", "source: ", "target: ", "record_count: "].map(|name| field(line, name));
        if let [Some(channel), Some(source), Some(target), Some(records)] = fields
            && source != target
            && channels.contains(&channel)
        {
            *pairs.entry((source, target)).or_default() += records;
        }
    }
}

/// The number behind a name.
fn field(line: &str, name: &str) -> Option<u64> {
    let rest = &line[line.find(name)? + name.len()..];
    let digits = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
    rest[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_to_other_workers_are_counted_and_nothing_else() {
        let message = |channel: u32, send: bool, target: u32, records: u32| {
            format!(
                "0.1 Messages(MessagesEvent {{ is_send: {send}, channel: {channel}, source: 0, target: {target}, \
                 seq_no: 3, record_count: {records} }})\n"
            )
        };
        let of_type = |id: u32, kind: &str| {
            format!(
                "0.0 Channels(ChannelsEvent {{ id: {id}, scope_addr: [8], source: (1, 0), target: (2, 0), typ: \
                 \"alloc::vec::Vec<walkprint_cluster::build::sharded::wire::{kind}>\" }})\n"
            )
        };
        let text = [
            of_type(95, "Batch"),
            of_type(98, "Part"),
            message(95, true, 1, 2),
            message(95, true, 2, 1),
            message(95, true, 1, 1),
            message(95, true, 0, 9),
            message(95, false, 1, 9),
            message(98, true, 1, 9),
        ];
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("timely-000.log"), text.concat()).unwrap();
        let batches = Batches::read(directory.path()).unwrap();
        assert_eq!(batches, Batches { sent: 4, of_the_busiest_pair: 3 });
    }
}
