//! The thread that writes segments: a flush to the disk takes as long as a pipeline's walks, and must not hold them up.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use walkprint_engine::index::SegmentWriter;

use super::{Job, segment_file};
use crate::error::{Error, Result};

/// How many segments may wait; a sealer that finds the queue full waits, which bounds the memory.
pub(super) const WAITING: usize = 1;

/// The way to the writer thread.
#[derive(Clone)]
pub(super) struct Queue(SyncSender<Result<SegmentWriter>>);

impl Queue {
    /// Hands over a segment, or the error that kept it from being one.
    pub(super) fn send(&self, segment: Result<SegmentWriter>) {
        // A writer that has ended on an error has set the stop flag: the segment would be dropped anyway.
        let _ = self.0.send(segment);
    }
}

/// The writer thread.
pub(super) struct Writer {
    queue: Queue,
    thread: JoinHandle<Result<()>>,
}

impl Writer {
    /// Starts the thread; it writes into `directory`.
    pub(super) fn start(directory: PathBuf, job: Arc<Job>) -> Result<Writer> {
        let (sender, receiver) = sync_channel(WAITING);
        let thread = std::thread::Builder::new().name("walkprint-writer".into());
        let spawned = thread.spawn(move || {
            let result = write_all(&directory, &receiver, &job);
            if result.is_err() {
                job.progress.stop.store(true, Ordering::Relaxed);
                receiver.into_iter().for_each(drop); // lets waiting sealers go
            }
            result
        });
        let thread = spawned.map_err(|error| Error::Workers(error.to_string()))?;
        Ok(Writer { queue: Queue(sender), thread })
    }

    /// A way to the thread.
    pub(super) fn queue(&self) -> Queue {
        self.queue.clone()
    }

    /// Waits until everything is on the disk.
    pub(super) fn finish(self) -> Result<()> {
        drop(self.queue);
        let panicked =
            |_| Error::Workers("the writer panicked; this is a defect of walkprint, please report it".into());
        self.thread.join().map_err(panicked)?
    }
}

fn write_all(directory: &Path, segments: &Receiver<Result<SegmentWriter>>, job: &Job) -> Result<()> {
    for segment in segments {
        let segment = segment?;
        segment.write(&directory.join(segment_file(segment.pipeline().number)))?;
        job.progress.sealed.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}
