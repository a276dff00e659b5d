//! Blocks of bytes from worker to worker, a bounded amount at a time.
//!
//! timely's queues are unbounded: a worker that reads faster than its peers would fill their memory. Here workers send in
//! rounds, and nobody begins a round before everybody has received what was sent in the one before.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::Operator;
use timely::dataflow::operators::{Input, Probe};
use timely::worker::Worker;

use crate::wire::Numbers;

/// About how large a block should be: enough that its way costs little beside its bytes.
pub(crate) const BLOCK_BYTES: usize = 256 << 10;

/// How much a worker sends in a round. A worker receives at most this from each of the others before it takes it.
const ROUND_BYTES: usize = 4 << 20;

/// How long a worker without work sleeps before it looks again.
const NAP: Duration = Duration::from_millis(20);

/// A block on its way.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Parcel {
    to: u64,
    from: u64,
    /// Counts what `from` has sent to `to`.
    sequence: u64,
    block: Numbers<u8>,
}

/// What arrived from one worker.
#[derive(Default)]
struct Arrivals {
    /// How many blocks were taken.
    taken: u64,
    /// Blocks that overtook another.
    early: BTreeMap<u64, Vec<u8>>,
}

/// Sends what `next` gives, block by block with the worker it is for, until it gives no more; calls `take` with each block
/// that arrives and the worker it is from. Blocks of one worker are taken in the order in which it sent them. Returns when
/// all workers have sent and taken everything.
///
/// Every worker of every process must call this at the same place of its work. Memory: four mebibytes for each worker,
/// twice that where blocks come from other processes.
pub(crate) fn exchange(
    worker: &mut Worker,
    mut next: impl FnMut() -> Option<(usize, Vec<u8>)>,
    mut take: impl FnMut(usize, Vec<u8>),
) {
    let (own, workers) = (worker.index(), worker.peers());
    let arrived: Rc<RefCell<VecDeque<Parcel>>> = Rc::default();
    let arriving = Rc::clone(&arrived);
    let (mut input, probe) = worker.dataflow::<u64, _, _>(|scope| {
        let (input, parcels) = scope.new_input::<Vec<Parcel>>();
        let exchange = Exchange::new(|parcel: &Parcel| parcel.to);
        let received = parcels.unary::<CapacityContainerBuilder<Vec<()>>, _, _, _>(
            exchange,
            "Receive",
            move |_capability, _info| {
                move |input, _output| {
                    input.for_each(|_time, parcels: &mut Vec<Parcel>| arriving.borrow_mut().extend(parcels.drain(..)));
                }
            },
        );
        (input, received.probe().0)
    });
    let mut arrivals: Vec<Arrivals> = (0..workers).map(|_| Arrivals::default()).collect();
    let mut take_arrived = |take: &mut dyn FnMut(usize, Vec<u8>)| {
        // One at a time: each is freed when it was taken.
        while let Some(parcel) = { arrived.borrow_mut().pop_front() } {
            let from = usize::try_from(parcel.from).expect("a worker's number");
            let of_worker = &mut arrivals[from];
            of_worker.early.insert(parcel.sequence, parcel.block.0);
            while let Some(block) = of_worker.early.remove(&of_worker.taken) {
                of_worker.taken += 1;
                take(from, block);
            }
        }
    };
    let mut sequences = vec![0; workers];
    let mut more = true;
    while more {
        let mut bytes = 0;
        while bytes < ROUND_BYTES {
            let Some((to, block)) = next() else {
                more = false;
                break;
            };
            bytes += block.len();
            let sequence = sequences[to];
            sequences[to] += 1;
            input.send(Parcel { to: to as u64, from: own as u64, sequence, block: Numbers(block) });
        }
        let round = *input.time();
        input.advance_to(round + 1);
        while more && probe.less_equal(&round) {
            worker.step_or_park(Some(NAP));
            take_arrived(&mut take);
        }
    }
    input.close();
    while !probe.done() {
        worker.step_or_park(Some(NAP));
        take_arrived(&mut take);
    }
    take_arrived(&mut take);
    debug_assert!(arrivals.iter().all(|arrivals| arrivals.early.is_empty()), "every block found its place");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::processes::Processes;

    #[test]
    fn every_block_arrives_once_and_in_order() {
        for workers in [1, 2, 3] {
            let received = Processes::alone(workers).run(
                move |worker| {
                    let own = worker.index();
                    // Worker 0 sends nothing, the last one most; blocks of several sizes, more than a round.
                    let mut left: Vec<(usize, Vec<u8>)> = (0..own * 40)
                        .map(|at| (at % workers, vec![u8::try_from(at).unwrap(); (at % 3) * (200 << 10)]))
                        .rev()
                        .collect();
                    let mut received = vec![Vec::new(); workers];
                    exchange(worker, || left.pop(), |from, block| received[from].push(block));
                    received
                },
                &mut || {},
            );
            for (own, received) in received.unwrap().into_iter().enumerate() {
                for (from, blocks) in received.into_iter().enumerate() {
                    let expected = (0..from * 40).filter(|at| at % workers == own);
                    let expected: Vec<Vec<u8>> =
                        expected.map(|at| vec![u8::try_from(at).unwrap(); (at % 3) * (200 << 10)]).collect();
                    assert!(blocks == expected, "{own} from {from} of {workers}");
                }
            }
        }
    }
}
