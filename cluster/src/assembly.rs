//! What the dataflows of builds and batches share: doing dealt tasks in turns, collecting their pieces until the frontier
//! has passed, and a thread that writes what was collected.

use std::collections::{BTreeMap, VecDeque};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use timely::ExchangeData;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::generic::{Operator, OutputBuilder};
use timely::progress::operate::FrontierInterest;

use crate::error::{Error, Result};

/// How many things may wait for a writer; a sealer that finds the queue full waits, which bounds the memory.
pub(crate) const WAITING: usize = 1;

/// A task that is done: its piece, unless there is none, and the credit that goes back.
pub(crate) type Done<P, C> = (Option<P>, C);

/// Does the tasks that are dealt to this worker, one turn an activation, so that credits go back at once and other
/// operators get their turn. `turn` is called with the first task that waits, again and again until it is done.
pub(crate) fn in_turns<'scope, T: ExchangeData, P: Clone + 'static, C: Clone + 'static>(
    tasks: Stream<'scope, u64, Vec<T>>,
    name: &str,
    worker_of: impl Fn(&T) -> u64 + 'static,
    mut turn: impl FnMut(&T) -> Option<Done<P, C>> + 'static,
) -> (Stream<'scope, u64, Vec<P>>, Stream<'scope, u64, Vec<C>>) {
    let scope = tasks.scope();
    let mut builder = OperatorBuilder::new(name.to_owned(), scope);
    let activator = scope.activator_for(builder.operator_info().address);
    let mut input = builder.new_input(tasks, Exchange::new(worker_of));
    builder.set_notify_for(0, FrontierInterest::Never);
    let (pieces, piece_stream) = builder.new_output();
    let (credits, credit_stream) = builder.new_output();
    let (mut pieces, mut credits) = (OutputBuilder::from(pieces), OutputBuilder::from(credits));
    builder.build(move |_capabilities| {
        let mut waiting: VecDeque<(T, Capability<u64>, Capability<u64>)> = VecDeque::new();
        move |_frontiers| {
            input.for_each(|time, tasks: &mut Vec<T>| {
                for task in tasks.drain(..) {
                    let (Some(piece), Some(credit)) = (time.retain_least(0), time.retain_least(1)) else { return };
                    waiting.push_back((task, piece, credit));
                }
            });
            let Some((task, piece_time, credit_time)) = waiting.front() else { return };
            if let Some((piece, credit)) = turn(task) {
                if let Some(piece) = piece {
                    pieces.activate().session(piece_time).give(piece);
                }
                credits.activate().session(credit_time).give(credit);
                waiting.pop_front();
            }
            if !waiting.is_empty() {
                activator.activate();
            }
        }
    });
    (piece_stream, credit_stream)
}

/// Collects pieces by group until the frontier has passed the group's time; then hands them over, group by group in order.
/// The output carries nothing but progress.
pub(crate) fn collect<'scope, P: ExchangeData, K: Ord + 'static>(
    pieces: Stream<'scope, u64, Vec<P>>,
    worker_of: impl Fn(&P) -> u64 + 'static,
    place_of: impl Fn(&P) -> (u32, K) + 'static,
    time_of: impl Fn(u32) -> u64 + 'static,
    mut hand_over: impl FnMut(u32, BTreeMap<K, P>) + 'static,
) -> Stream<'scope, u64, Vec<()>> {
    let exchange = Exchange::new(worker_of);
    pieces.unary_frontier::<CapacityContainerBuilder<Vec<()>>, _, _, _>(exchange, "Seal", move |_capability, _info| {
        let mut open: BTreeMap<u32, BTreeMap<K, P>> = BTreeMap::new();
        move |(input, frontier), _output| {
            input.for_each(|_time, pieces: &mut Vec<P>| {
                for piece in pieces.drain(..) {
                    let (group, place) = place_of(&piece);
                    open.entry(group).or_default().insert(place, piece);
                }
            });
            while let Some(first) = open.first_entry() {
                if frontier.less_equal(&time_of(*first.key())) {
                    break;
                }
                let (group, pieces) = first.remove_entry();
                hand_over(group, pieces);
            }
        }
    })
}

/// The way to a writer thread.
pub(crate) struct Queue<T>(SyncSender<T>);

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Queue(self.0.clone())
    }
}

impl<T> Queue<T> {
    /// Hands something over to be written.
    pub(crate) fn send(&self, thing: T) {
        // A writer that has ended on an error has set the stop flag: the thing would be dropped anyway.
        let _ = self.0.send(thing);
    }
}

/// A thread that writes: a flush to the disk takes as long as much work, and must not hold it up.
pub(crate) struct Writer<T, R> {
    queue: Queue<T>,
    thread: JoinHandle<Result<R>>,
}

impl<T: Send + 'static, R: Send + 'static> Writer<T, R> {
    /// Starts the thread, which writes what comes; `stop` is called when it had to end on an error.
    pub(crate) fn start(
        write_all: impl FnOnce(&mut dyn Iterator<Item = T>) -> Result<R> + Send + 'static,
        stop: impl FnOnce() + Send + 'static,
    ) -> Result<Writer<T, R>> {
        let (sender, receiver) = sync_channel(WAITING);
        let thread = std::thread::Builder::new().name("walkprint-writer".into());
        let spawned = thread.spawn(move || {
            let result = write_all(&mut receiver.iter());
            if result.is_err() {
                stop();
                receiver.into_iter().for_each(drop); // lets waiting sealers go
            }
            result
        });
        let thread = spawned.map_err(|error| Error::Workers(error.to_string()))?;
        Ok(Writer { queue: Queue(sender), thread })
    }

    /// A way to the thread.
    pub(crate) fn queue(&self) -> Queue<T> {
        self.queue.clone()
    }

    /// Waits until everything is on the disk; gives what the thread returned.
    pub(crate) fn finish(self) -> Result<R> {
        drop(self.queue);
        let panicked =
            |_| Error::Workers("the writer panicked; this is a defect of walkprint, please report it".into());
        self.thread.join().map_err(panicked)?
    }
}
