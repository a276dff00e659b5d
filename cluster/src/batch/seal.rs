//! The operator that seals: when the frontier has passed a part, its pieces go to the writer, part by part in order.

use std::sync::Arc;

use timely::dataflow::Stream;

use super::Job;
use super::rows::Piece;
use super::writer::Part;
use crate::assembly::{Queue, collect};

/// Collects all pieces on worker 0 and hands complete parts to the writer. A part whose tasks were not all answered,
/// because the job was stopped, is dropped. `queue`: to the writer, where worker 0 is. The output carries nothing but progress.
pub(super) fn seal<'scope>(
    pieces: Stream<'scope, u64, Vec<Piece>>,
    job: Arc<Job>,
    queue: Option<Queue<Part>>,
) -> Stream<'scope, u64, Vec<()>> {
    let place_of = |piece: &Piece| (piece.task.part, piece.task.first);
    collect(
        pieces,
        |_: &Piece| 0,
        place_of,
        u64::from,
        move |number, pieces| {
            let Some(queue) = &queue else { return };
            let sources: u64 = pieces.values().map(|piece| piece.ends.len() as u64).sum();
            let range = job.cut.part(number);
            if sources == range.end - range.start {
                queue.send(Part { number, pieces: pieces.into_values().collect() });
            }
        },
    )
}
