//! The operator that seals: when the frontier has passed a pipeline, its pieces become a segment.

use std::collections::BTreeMap;

use timely::dataflow::Stream;
use walkprint_engine::ids::NodeId;
use walkprint_engine::index::{SegmentId, SegmentWriter};

use super::together::Sinks;
use super::walk::Piece;
use crate::assembly::collect;

/// Collects pieces by pipeline (each pipeline on one of those who seal) and hands complete pipelines to the writer. A pipeline
/// whose tasks were not all dealt, because the job was stopped, is dropped. The output carries nothing but progress.
///
/// `time_of` says up to which time something of a pipeline may come.
pub(super) fn seal<'scope>(
    pieces: Stream<'scope, u64, Vec<Piece>>,
    id_of: impl Fn(u32) -> SegmentId + 'static,
    time_of: impl Fn(u32) -> u64 + 'static,
    sinks: Sinks,
) -> Stream<'scope, u64, Vec<()>> {
    let Sinks { queue, sealers } = sinks;
    let worker_of = move |piece: &Piece| sealers[piece.pipeline as usize % sealers.len()] as u64;
    let place_of = |piece: &Piece| (piece.pipeline, piece.first);
    collect(pieces, worker_of, place_of, time_of, move |pipeline, pieces| {
        if let Some(segment) = assemble(id_of(pipeline), pieces) {
            queue.send(segment);
        }
    })
}

/// Puts the pieces of a pipeline in source order. `None` when some are missing.
fn assemble(id: SegmentId, pieces: BTreeMap<NodeId, Piece>) -> Option<Result<SegmentWriter, super::Error>> {
    let sources: usize = pieces.values().map(|piece| piece.ends.0.len()).sum();
    if sources != (id.pipeline.end - id.pipeline.first) as usize {
        return None;
    }
    let mut segment = SegmentWriter::new(id);
    segment.reserve(pieces.values().map(|piece| piece.bytes.0.len()).sum());
    for (_, piece) in pieces {
        let mut start = 0;
        for end in piece.ends.0 {
            let end = end as usize;
            if let Err(error) = segment.push(&piece.bytes.0[start..end]) {
                return Some(Err(error.into()));
            }
            start = end;
        }
    }
    Some(Ok(segment))
}
