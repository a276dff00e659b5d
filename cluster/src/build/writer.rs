//! What the writer thread does with segments.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use walkprint_engine::index::SegmentWriter;

use super::{BuildProgress, segment_file};
use crate::assembly::Writer;
use crate::error::Result;

/// Starts the thread; it writes into `directory`.
pub(super) fn start(directory: PathBuf, progress: &Arc<BuildProgress>) -> Result<Writer<Result<SegmentWriter>, ()>> {
    let (writing, stopping) = (Arc::clone(progress), Arc::clone(progress));
    let write_all = move |segments: &mut dyn Iterator<Item = Result<SegmentWriter>>| {
        for segment in segments {
            let segment = segment?;
            segment.write(&directory.join(segment_file(segment.pipeline().number)))?;
            writing.sealed.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    };
    Writer::start(write_all, move || stopping.stop.store(true, Ordering::Relaxed))
}
