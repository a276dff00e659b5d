//! The operator that seals: when the frontier has passed a pipeline, its pieces become a segment.

use std::collections::BTreeMap;
use std::sync::Arc;

use timely::dataflow::Stream;
use walkprint_engine::ids::NodeId;
use walkprint_engine::index::SegmentWriter;

use super::walk::Piece;
use super::{Job, time_of};
use crate::assembly::{Queue, collect};

/// Collects pieces by pipeline (each pipeline on one worker) and hands complete pipelines to the writer. A pipeline
/// whose tasks were not all dealt, because the job was stopped, is dropped. The output carries nothing but progress.
pub(super) fn seal<'scope>(
    pieces: Stream<'scope, u64, Vec<Piece>>,
    job: Arc<Job>,
    queue: Queue<Result<SegmentWriter, super::Error>>,
) -> Stream<'scope, u64, Vec<()>> {
    let worker_of = |piece: &Piece| piece.pipeline.into();
    let place_of = |piece: &Piece| (piece.pipeline, piece.first);
    collect(pieces, worker_of, place_of, time_of, move |pipeline, pieces| {
        if let Some(segment) = assemble(&job, pipeline, pieces) {
            queue.send(segment);
        }
    })
}

/// Puts the pieces of a pipeline in source order. `None` when some are missing.
fn assemble(job: &Job, pipeline: u32, pieces: BTreeMap<NodeId, Piece>) -> Option<Result<SegmentWriter, super::Error>> {
    let sources: usize = pieces.values().map(|piece| piece.ends.len()).sum();
    let id = job.segment_id(pipeline);
    if sources != (id.pipeline.end - id.pipeline.first) as usize {
        return None;
    }
    let mut segment = SegmentWriter::new(id);
    for (_, piece) in pieces {
        let mut start = 0;
        for end in piece.ends {
            let end = end as usize;
            if let Err(error) = segment.push(&piece.bytes[start..end]) {
                return Some(Err(error.into()));
            }
            start = end;
        }
    }
    Some(Ok(segment))
}
