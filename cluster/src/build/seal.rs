//! The operator that seals: when the frontier has passed a pipeline, its pieces become a segment.

use std::collections::BTreeMap;
use std::sync::Arc;

use timely::container::CapacityContainerBuilder;
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::Operator;
use walkprint_engine::ids::NodeId;
use walkprint_engine::index::SegmentWriter;

use super::walk::Piece;
use super::writer::Queue;
use super::{Job, time_of};

/// Collects pieces by pipeline (each pipeline on one worker) and hands complete pipelines to the writer. A pipeline
/// whose tasks were not all dealt, because the job was stopped, is dropped. The output carries nothing but progress.
pub(super) fn seal<'scope>(
    pieces: Stream<'scope, u64, Vec<Piece>>,
    job: Arc<Job>,
    queue: Queue,
) -> Stream<'scope, u64, Vec<()>> {
    let by_pipeline = Exchange::new(|piece: &Piece| piece.pipeline.into());
    pieces.unary_frontier::<CapacityContainerBuilder<Vec<()>>, _, _, _>(
        by_pipeline,
        "Seal",
        move |_capability, _info| {
            let mut open: BTreeMap<u32, BTreeMap<NodeId, Piece>> = BTreeMap::new();
            move |(input, frontier), _output| {
                input.for_each(|_time, pieces: &mut Vec<Piece>| {
                    for piece in pieces.drain(..) {
                        open.entry(piece.pipeline).or_default().insert(piece.first, piece);
                    }
                });
                while let Some(first) = open.first_entry() {
                    if frontier.less_equal(&time_of(*first.key())) {
                        break;
                    }
                    let (pipeline, pieces) = first.remove_entry();
                    if let Some(segment) = assemble(&job, pipeline, pieces) {
                        queue.send(segment);
                    }
                }
            }
        },
    )
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
