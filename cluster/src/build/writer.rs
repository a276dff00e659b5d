//! What the writer thread does with segments.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use walkprint_engine::index::SegmentWriter;

use super::{BuildProgress, segment_file};
use crate::assembly::Writer;
use crate::error::Result;

/// Starts the thread; it writes into `directory`, which must be known when the first segment comes.
pub(super) fn start(
    directory: &Arc<OnceLock<PathBuf>>,
    progress: &Arc<BuildProgress>,
) -> Result<Writer<Result<SegmentWriter>, ()>> {
    let directory = Arc::clone(directory);
    let (writing, stopping) = (Arc::clone(progress), Arc::clone(progress));
    let write_all = move |segments: &mut dyn Iterator<Item = Result<SegmentWriter>>| {
        for segment in segments {
            let segment = segment?;
            let directory = directory.get().expect("who seals knows where");
            segment.write(&directory.join(segment_file(segment.pipeline().number)))?;
            writing.sealed.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    };
    Writer::start(write_all, move || stopping.stop.store(true, Ordering::Relaxed))
}
