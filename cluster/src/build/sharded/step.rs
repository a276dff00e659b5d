//! The operator that walks: one slot of a worker, through which one block goes at a time.
//!
//! ```text
//! time = block << 32 | tick      tick 1: what stands on the sources is on its way
//!                                tick 2 s + 2: step s takes what has arrived on nodes
//!                                tick 2 s + 3: ... and on parts of long rows
//! ```
//!
//! A round is taken when the frontier says that everything for it has arrived. Slots have loops of their own, so that
//! rounds of different blocks overlap: a block is begun when the slot is free and the block before it has taken its first
//! step, and while one waits for others, the next has something to do (Lin, WWW 2019, section 4: parallel pipelines).

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use timely::container::CapacityContainerBuilder;
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::progress::frontier::AntichainRef;
use timely::scheduling::Activator;
use walkprint_walkers::round::{Arrival, Boxes, Lanes, Outgoing, Stepper};
use walkprint_walkers::shard::ShardRows;
use walkprint_walkers::tally::Packed;
use walkprint_walkers::visits::{Sorted, VisitLog};

use super::ShardedJob;
use super::wire::{Batch, Part};
use crate::wire::Numbers;

const TICK_BITS: u32 = 32;

/// The time at which a block begins.
pub(super) fn time_of(block: usize) -> u64 {
    (block as u64) << TICK_BITS
}

/// What the slots of one worker share.
pub(super) struct Slots {
    /// Blocks that have taken their first step here.
    stepped: usize,
    stepper: Stepper,
    out: Outgoing,
    activators: Vec<Activator>,
    /// What this worker noted for the tasks that it puts together.
    pub(super) noted: HashMap<u32, Sorted>,
    /// The same of tasks that are done, for their room.
    pub(super) done: Vec<Sorted>,
    /// Lists that have served, with their room: fresh memory would have to be cleared by the system each time.
    spare: Vec<Vec<Arrival>>,
}

impl Slots {
    /// Slots of a worker among so many.
    pub(super) fn new(workers: usize) -> Slots {
        let (stepper, out) = (Stepper::default(), Outgoing::new(workers));
        Slots {
            stepped: 0,
            stepper,
            out,
            activators: Vec::new(),
            noted: HashMap::new(),
            done: Vec::new(),
            spare: Vec::new(),
        }
    }
}

/// One slot: takes the blocks `slot`, `slot + slots`, ... through all their rounds. Gives what moves on, for the loop, and the
/// parts of fingerprints.
pub(super) fn step<'scope>(
    arriving: Stream<'scope, u64, Vec<Batch>>,
    job: &Arc<ShardedJob>,
    rows: &Rc<ShardRows>,
    shared: &Rc<RefCell<Slots>>,
    slot: usize,
) -> (Stream<'scope, u64, Vec<Batch>>, Stream<'scope, u64, Vec<Part>>) {
    let scope = arriving.scope();
    let mut builder = OperatorBuilder::new("Step".to_owned(), scope);
    let activator = scope.activator_for(builder.operator_info().address);
    shared.borrow_mut().activators.push(scope.activator_for(builder.operator_info().address));
    let mut input = builder.new_input(arriving, Exchange::new(|batch: &Batch| batch.worker.into()));
    let (next, next_stream) = builder.new_output();
    let (parts, part_stream) = builder.new_output();
    let (mut next, mut parts) = (OutputBuilder::from(next), OutputBuilder::from(parts));
    let (job, rows, shared) = (Arc::clone(job), Rc::clone(rows), Rc::clone(shared));
    builder.build(move |capabilities| {
        let [of_next, of_parts] = <[Capability<u64>; 2]>::try_from(capabilities).expect("one for each output");
        let mut slot = Slot {
            waiting: (slot..job.blocks.len()).step_by(job.slots).collect(),
            held: Some(Held { next: Some(of_next), parts: of_parts }),
            inbox: BTreeMap::new(),
            open: None,
            log: None,
            standing: 0,
            job,
            rows,
            shared,
        };
        move |frontiers| {
            input.for_each(|time, batches: &mut Vec<Batch>| {
                if let Some(capability) = time.retain_least(0) {
                    batches.drain(..).for_each(|batch| slot.receive(&capability, batch));
                }
            });
            let frontier = frontiers[0].frontier();
            slot.tell_standing();
            slot.take_rounds(&frontier, &mut next);
            if let Some((part, capability)) = slot.pack(&frontier) {
                parts.activate().session(capability).give(part);
                activator.activate();
            }
            slot.close();
            slot.begin(&mut next);
        }
    });
    (next_stream, part_stream)
}

/// The output that goes round the loop.
type Next = OutputBuilder<u64, CapacityContainerBuilder<Vec<Batch>>>;

/// The right to send for blocks to come.
struct Held {
    /// At the time of the next block, if one is to come.
    next: Option<Capability<u64>>,
    /// At the time of the block that is open.
    parts: Capability<u64>,
}

/// A block that is under way.
struct Open {
    block: usize,
    lanes: Lanes,
    log: VisitLog,
    /// The next task to be packed, once the walks have ended.
    packing: usize,
    ended: bool,
}

/// What has arrived, by the time of its round: list by list, as it came.
type Inbox = BTreeMap<u64, (Vec<Vec<Arrival>>, Capability<u64>)>;

struct Slot {
    job: Arc<ShardedJob>,
    rows: Rc<ShardRows>,
    shared: Rc<RefCell<Slots>>,
    waiting: VecDeque<usize>,
    held: Option<Held>,
    inbox: Inbox,
    open: Option<Open>,
    /// The log of the block before.
    log: Option<VisitLog>,
    /// What was told to wait here.
    standing: u64,
}

impl Slot {
    fn receive(&mut self, capability: &Capability<u64>, batch: Batch) {
        if batch.stop {
            self.job.progress.stop.store(true, Ordering::Relaxed);
        } else {
            keep(&mut self.inbox, capability.clone(), batch.arrivals.0);
        }
    }

    /// Takes the rounds for which everything has arrived.
    fn take_rounds(&mut self, frontier: &AntichainRef<'_, u64>, next: &mut Next) {
        while let Some(entry) = self.inbox.first_entry()
            && !frontier.less_equal(entry.key())
        {
            let (time, (arrivals, capability)) = entry.remove_entry();
            // A block that was not begun here, because the job is to stop, is walked by nobody.
            let Some(open) = &mut self.open else { continue };
            let tick = time & ((1 << TICK_BITS) - 1);
            {
                let Slots { stepper, out, spare, .. } = &mut *self.shared.borrow_mut();
                let before = stepper.steps();
                stepper.step(&self.rows, &open.lanes, tick / 2 - 1, &arrivals, &mut open.log, out);
                self.job.progress.steps.fetch_add(stepper.steps() - before, Ordering::Relaxed);
                self.job.progress.rounds.fetch_add(1 - tick % 2, Ordering::Relaxed);
                arrivals.into_iter().for_each(|list| put_by(spare, list));
            }
            // What lands on nodes arrives for the next step, what is for parts of long rows before it. The loop adds one.
            let of_nodes = capability.delayed(&(time + 1 - tick % 2));
            self.send(next, &of_nodes, |out| &mut out.next);
            self.send(next, &capability, |out| &mut out.forward);
        }
        if let Some(open) = &self.open
            && !frontier.less_equal(&(time_of(open.block) + 2))
        {
            let mut shared = self.shared.borrow_mut();
            if shared.stepped <= open.block {
                shared.stepped = open.block + 1;
                shared.activators.iter().for_each(Activator::activate);
            }
        }
    }

    /// Keeps what is for this worker and sends the rest.
    fn send(&mut self, next: &mut Next, capability: &Capability<u64>, boxes: fn(&mut Outgoing) -> &mut Boxes) {
        let mut output = next.activate();
        let mut session = output.session(capability);
        for (number, worker) in (0u32..).zip(0..self.rows.owners().workers()) {
            let shared = &mut *self.shared.borrow_mut();
            let full = &mut boxes(&mut shared.out).all()[worker];
            if full.is_empty() {
                continue;
            }
            let arrivals = std::mem::replace(full, shared.spare.pop().unwrap_or_default());
            if worker == self.rows.worker() {
                keep(&mut self.inbox, capability.delayed(&(capability.time() + 1)), arrivals);
            } else {
                session.give(Batch { worker: number, stop: false, arrivals: Numbers(arrivals) });
            }
        }
    }

    /// Tells how much waits here for its next step.
    fn tell_standing(&mut self) {
        let standing: usize = self.inbox.values().flat_map(|(lists, _)| lists).map(Vec::len).sum();
        let before = std::mem::replace(&mut self.standing, standing as u64);
        self.job.progress.live.fetch_add((standing as u64).wrapping_sub(before), Ordering::Relaxed);
    }

    /// Packs the next task of the open block, if its walks have ended: no time of the block can come any more.
    fn pack(&mut self, frontier: &AntichainRef<'_, u64>) -> Option<(Part, &Capability<u64>)> {
        let (open, held) = (self.open.as_mut()?, self.held.as_ref()?);
        let block = &self.job.blocks[open.block];
        // Others may have begun the next block: what has arrived for that does not count.
        let mut times = frontier.iter().chain(self.inbox.keys());
        open.ended |= times.all(|&time| time_of(open.block + 1) <= time);
        if !open.ended || open.packing == block.tasks.end {
            return None;
        }
        let (task, rows) = (self.job.tasks[open.packing], &self.rows);
        let walks = |lane| {
            let (owner, local) = rows.owners().find(block.first + lane);
            (owner as usize == rows.worker()).then(|| self.job.plan.walks_of(rows.degree(local)))
        };
        let (from, to) = (task.first - block.first, task.end - block.first);
        let number = u32::try_from(open.packing).expect("tasks are counted in 32 bits");
        open.packing += 1;
        let nodes = rows.owners().nodes();
        let packed = if home(number, rows.owners().workers()) == rows.worker() {
            let shared = &mut *self.shared.borrow_mut();
            let mut sorted = shared.done.pop().unwrap_or_default();
            open.log.sort(from, to, nodes, walks, &mut sorted);
            shared.noted.insert(number, sorted);
            Packed::default()
        } else {
            open.log.pack(from, to, nodes, walks)
        };
        Some((Part { task: number, bytes: Numbers(packed.bytes), ends: Numbers(packed.ends) }, &held.parts))
    }

    /// Lets go of a block that is packed, and of all time when none is to come.
    fn close(&mut self) {
        if self.open.as_ref().is_some_and(|open| open.packing == self.job.blocks[open.block].tasks.end) {
            self.log = self.open.take().map(|open| open.log);
        }
        if self.open.is_none() && self.waiting.is_empty() {
            self.held = None;
        }
    }

    /// Begins the next block, if the slot is free and the block before it has taken its first step. When the job is to stop,
    /// tells everybody and begins none.
    fn begin(&mut self, next: &mut Next) {
        let (None, Some(&block)) = (&self.open, self.waiting.front()) else { return };
        if self.job.stopped() {
            self.waiting.clear();
            let Some(capability) = self.held.take().and_then(|held| held.next) else { return };
            let mut output = next.activate();
            let mut session = output.session(&capability);
            for worker in (0..).take(self.rows.owners().workers()) {
                session.give(Batch { worker, stop: true, arrivals: Numbers(Vec::new()) });
            }
            return;
        }
        if self.shared.borrow().stepped < block {
            return;
        }
        let Some(Held { next: Some(mut capability), mut parts }) = self.held.take() else { return };
        self.waiting.pop_front();
        let job = Arc::clone(&self.job);
        let (begun, plan) = (&job.blocks[block], &job.plan);
        let lanes = Lanes::new(plan.restart_prob, plan.rng_key, begun.first, begun.end);
        let mut log = self.log.take().unwrap_or_else(|| VisitLog::new(lanes.len()));
        log.clear(lanes.len());
        let walks = |degree| plan.walks_of(degree);
        Stepper::begin(&self.rows, begun.first, begun.end, walks, &mut self.shared.borrow_mut().out.next);
        self.send(next, &capability.delayed(&(time_of(block) + 1)), |out| &mut out.next);
        parts.downgrade(&time_of(block));
        // What moves from here on goes by the time of what has arrived.
        let next = self.waiting.front().map(|&after| {
            capability.downgrade(&time_of(after));
            capability
        });
        self.held = Some(Held { next, parts });
        self.open = Some(Open { block, lanes, log, packing: begun.tasks.start, ended: false });
    }
}

/// The worker that puts the parts of a task together.
pub(super) fn home(task: u32, workers: usize) -> usize {
    task as usize % workers
}

/// Adds what has arrived to what is there for its round.
fn keep(inbox: &mut Inbox, capability: Capability<u64>, arrivals: Vec<Arrival>) {
    inbox.entry(*capability.time()).or_insert_with(|| (Vec::new(), capability)).0.push(arrivals);
}

/// Keeps a list that has served.
fn put_by(spare: &mut Vec<Vec<Arrival>>, mut list: Vec<Arrival>) {
    const MOST: usize = 16;
    if spare.len() < MOST {
        list.clear();
        spare.push(list);
    }
}
