//! The ids of all nodes, brought together in process 0 where the graph lies in shards: there seeds are looked up and results
//! get their ids. The others need none, since nodes are numbered as their ids are sorted.
//!
//! They are written into one file, which loses its name as soon as it is mapped: the system may take its pages back, and
//! nothing stays behind.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use timely::worker::Worker;
use walkprint_engine::error::Error as EngineError;
use walkprint_engine::labels::Labels;
use walkprint_engine::parts::open_labels;
use walkprint_engine::store::ShardEntry;
use zerocopy::IntoBytes;

use super::world::World;
use crate::error::{Error, Result};
use crate::exchange::{BLOCK_BYTES, exchange};
use crate::processes::agree;
use crate::wire::Numbers;

/// Brings the labels of all shards to the first worker. `workers`: of each process. Every worker must call it; nothing is done
/// for a graph in one file, whose labels every process has.
///
/// # Errors
/// When the labels of a shard are nowhere, or are damaged, or the disk for temporary files refuses.
pub(super) fn gather(worker: &mut Worker, world: &World, workers: usize) -> Result<()> {
    let shards = world.shards();
    if shards.is_empty() {
        return Ok(());
    }
    let own: Vec<bool> = shards.iter().map(|shard| path(world, shard).exists()).collect();
    let seen: Vec<Vec<bool>> = agree::from_all(worker, own).into_iter().step_by(workers).collect();
    let sender = |shard: usize| seen.iter().position(|seen| seen[shard]);
    if let Some(nowhere) = (0..shards.len()).find(|&shard| sender(shard).is_none()) {
        let ShardEntry { number, labels_file, .. } = &shards[nowhere];
        let what = format!("the labels of shard {number} of the graph ({labels_file}) are in no process's store");
        return Err(Error::Request { what });
    }
    let sends = |shard: usize| sender(shard).is_some_and(|process| process * workers == worker.index());
    let sent: Vec<&ShardEntry> =
        (0..shards.len()).filter(|&shard| sends(shard) && !seen[0][shard]).map(|shard| &shards[shard]).collect();
    let mut failed = None;
    let mut files = Files { world, rest: sent.into_iter(), open: None };
    let next = || match files.next() {
        Ok(block) => block,
        Err(error) => {
            failed = Some(error);
            None
        }
    };
    let mut received = (worker.index() == 0).then(Received::new).transpose();
    exchange(worker, next, |_from, block| {
        if let Ok(Some(files)) = &mut received
            && let Err(error) = files.take(&block)
        {
            received = Err(error);
        }
    });
    let told = agree::from_all(worker, failed.as_ref().map(ToString::to_string));
    if let Some(error) = failed {
        return Err(error);
    }
    if let Some(what) = told.into_iter().flatten().next() {
        return Err(Error::Request { what: format!("another process could not send its labels: {what}") });
    }
    let Some(received) = received? else { return Ok(()) };
    let paths = shards.iter().zip(&seen[0]).map(|(shard, here)| match here {
        true => path(world, shard),
        false => received.path(shard.number),
    });
    let parts = paths.zip(shards).map(|(path, shard)| open_labels(&path, shard));
    let parts = parts.collect::<walkprint_engine::error::Result<Vec<Labels>>>()?;
    let whole = received.place.path().join("labels.wpl");
    let _digest = Labels::gather(&whole, &parts.iter().collect::<Vec<_>>())?;
    let _ = world.labels.set(Labels::open(&whole)?); // only this worker does
    Ok(())
}

fn path(world: &World, shard: &ShardEntry) -> PathBuf {
    world.store().join(&shard.labels_file)
}

/// Label files on their way to the first worker, block by block.
struct Files<'a> {
    world: &'a World,
    rest: std::vec::IntoIter<&'a ShardEntry>,
    /// The number of the shard, and its file.
    open: Option<(u32, PathBuf, File)>,
}

impl Files<'_> {
    fn next(&mut self) -> Result<Option<(usize, Vec<u8>)>> {
        loop {
            if let Some((number, path, file)) = &mut self.open {
                let mut block = number.as_bytes().to_vec();
                let read = file.take(BLOCK_BYTES as u64).read_to_end(&mut block);
                if read.map_err(EngineError::io(path, "read"))? != 0 {
                    return Ok(Some((0, block)));
                }
            }
            let Some(shard) = self.rest.next() else { return Ok(None) };
            let path = path(self.world, shard);
            Labels::verify(&path)?;
            let _labels = open_labels(&path, shard)?;
            #[expect(clippy::disallowed_methods, reason = "the error is wrapped with its path right here")]
            let file = File::open(&path).map_err(EngineError::io(&path, "open"))?;
            self.open = Some((shard.number, path, file));
        }
    }
}

/// Label files that came from other processes.
struct Received {
    place: tempfile::TempDir,
}

impl Received {
    fn new() -> Result<Received> {
        let place = tempfile::Builder::new().prefix("walkprint-").tempdir();
        let above = std::env::temp_dir();
        Ok(Received { place: place.map_err(EngineError::io(&above, "make a temporary directory"))? })
    }

    fn path(&self, number: u32) -> PathBuf {
        self.place.path().join(format!("labels-{number}.wpl"))
    }

    fn take(&mut self, block: &[u8]) -> Result<()> {
        let what = || Error::Request { what: "labels came damaged from another process".into() };
        let (number, bytes) = block.split_at_checked(4).ok_or_else(what)?;
        let number = Numbers::<u32>::from_bytes(number).and_then(|numbers| numbers.0.first().copied());
        append(&self.path(number.ok_or_else(what)?), bytes)
    }
}

fn append(path: &Path, bytes: &[u8]) -> Result<()> {
    let file = File::options().append(true).create(true).open(path);
    let mut file = file.map_err(EngineError::io(path, "create"))?;
    file.write_all(bytes).map_err(EngineError::io(path, "write"))?;
    Ok(())
}
