//! The operator that seals: when the frontier has passed a part, its pieces go to the writer, part by part in order.

use std::collections::BTreeMap;
use std::sync::Arc;

use timely::container::CapacityContainerBuilder;
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::Operator;

use super::Job;
use super::rows::Piece;
use super::writer::{Part, Queue};

/// Collects all pieces on worker 0 and hands complete parts to the writer. A part whose tasks were not all answered,
/// because the job was stopped, is dropped. The output carries nothing but progress.
pub(super) fn seal<'scope>(
    pieces: Stream<'scope, u64, Vec<Piece>>,
    job: Arc<Job>,
    queue: Queue,
) -> Stream<'scope, u64, Vec<()>> {
    let to_first = Exchange::new(|_: &Piece| 0);
    pieces.unary_frontier::<CapacityContainerBuilder<Vec<()>>, _, _, _>(to_first, "Seal", move |_capability, _info| {
        let mut open: BTreeMap<u32, BTreeMap<u64, Piece>> = BTreeMap::new();
        move |(input, frontier), _output| {
            input.for_each(|_time, pieces: &mut Vec<Piece>| {
                for piece in pieces.drain(..) {
                    open.entry(piece.task.part).or_default().insert(piece.task.first, piece);
                }
            });
            while let Some(first) = open.first_entry() {
                if frontier.less_equal(&u64::from(*first.key())) {
                    break;
                }
                let (number, pieces) = first.remove_entry();
                let sources: u64 = pieces.values().map(|piece| piece.ends.len() as u64).sum();
                let range = job.cut.part(number);
                if sources == range.end - range.start {
                    queue.send(Part { number, pieces: pieces.into_values().collect() });
                }
            }
        }
    })
}
