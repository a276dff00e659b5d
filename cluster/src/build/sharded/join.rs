//! The operator that puts the parts of all workers together: task by task, each at one worker.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use timely::container::CapacityContainerBuilder;
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::progress::operate::FrontierInterest;
use walkprint_walkers::tally::Packed;
use walkprint_walkers::visits::put_together;

use super::ShardedJob;
use super::step::{Slots, home};
use super::wire::Part;
use crate::build::walk::Piece;
use crate::wire::Numbers;

/// Makes a piece of every task once all workers' parts have come. A task of which some part never comes, because the job was
/// stopped, makes none.
pub(super) fn join<'scope>(
    parts: Stream<'scope, u64, Vec<Part>>,
    job: &Arc<ShardedJob>,
    shared: &Rc<RefCell<Slots>>,
) -> Stream<'scope, u64, Vec<Piece>> {
    let scope = parts.scope();
    let workers = scope.peers();
    let mut builder = OperatorBuilder::new("Join".to_owned(), scope);
    let mut input = builder.new_input(parts, Exchange::new(move |part: &Part| home(part.task, workers) as u64));
    builder.set_notify_for(0, FrontierInterest::Never);
    let (pieces, stream) = builder.new_output();
    let mut pieces = OutputBuilder::<u64, CapacityContainerBuilder<Vec<Piece>>>::from(pieces);
    let (job, shared) = (Arc::clone(job), Rc::clone(shared));
    builder.build(move |_capabilities| {
        let mut open: BTreeMap<u32, Vec<Packed>> = BTreeMap::new(); // parts of all workers, the own one empty
        move |_frontiers| {
            input.for_each(|time, parts: &mut Vec<Part>| {
                let Some(capability) = time.retain_least(0) else { return };
                for Part { task: number, bytes, ends } in parts.drain(..) {
                    let have = open.entry(number).or_default();
                    have.push(Packed { bytes: bytes.0, ends: ends.0, ..Packed::default() });
                    if have.len() < workers {
                        continue;
                    }
                    let task = job.tasks[number as usize];
                    let noted = shared.borrow_mut().noted.remove(&number).expect("this worker's part has come");
                    let mut others = open.remove(&number).unwrap_or_default();
                    others.retain(|part| !part.ends.is_empty());
                    let whole = put_together(&noted, &others);
                    shared.borrow_mut().done.push(noted);
                    let whole = whole.expect("workers pack what can be unpacked");
                    let piece = Piece {
                        pipeline: task.pipeline,
                        first: task.first,
                        bytes: Numbers(whole.bytes),
                        ends: Numbers(whole.ends),
                    };
                    job.progress.sources.fetch_add(u64::from(task.end - task.first), Ordering::Relaxed);
                    pieces.activate().session(&capability).give(piece);
                }
            });
        }
    });
    stream
}
