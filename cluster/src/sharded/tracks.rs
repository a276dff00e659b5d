//! Tracks: loops side by side, each with one block at a time.
//!
//! A round may not be pushed before the frontier has passed it, so that workers would wait for one another at the end of
//! every round. On another track another block is under way meanwhile. **A track takes the next block when it has done
//! with the one before**, which bounds what queues and operators hold: timely itself holds nobody back.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use roaring::RoaringBitmap;
use timely::ExchangeData;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::operators::vec::Broadcast;
use timely::dataflow::operators::{Concat, ConnectLoop, Feedback, Probe};
use timely::dataflow::{InputHandle, ProbeHandle, Scope, Stream};
use timely::worker::Worker;
use walkprint_engine::graph::GraphShard;
use walkprint_engine::ids::NodeId;

use super::amount::{Amount, units};
use super::fingerprints::{fingerprints, look_up};
use super::gather::{finish, gather};
use super::homes::Homes;
use super::lane::{Lane, Report, key};
use super::push::push;
use super::time;
use super::world::World;
use crate::workers::NAP;

/// Blocks that are under way at a time.
pub(crate) const TRACKS: usize = 2;

type Input<T> = InputHandle<u64, CapacityContainerBuilder<Vec<T>>>;

/// What a worker brings along.
#[derive(Clone)]
pub(crate) struct Worked {
    pub(crate) world: Arc<World>,
    pub(crate) shard: Rc<GraphShard>,
    pub(super) homes: Homes,
    pub(crate) dangling: Rc<RoaringBitmap>,
}

/// The way into a track.
pub(crate) struct Track {
    seeds: Input<Amount>,
    lanes: Input<Lane>,
    probe: ProbeHandle<u64>,
}

/// Questions that are answered together.
#[derive(Debug, Default)]
pub(crate) struct Block {
    lanes: Vec<Lane>,
    seeds: Vec<Amount>,
}

impl Block {
    /// True when there is no question in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// Adds a question; its seeds have a sum of 1.
    pub(crate) fn add(&mut self, lane: Lane, seeds: &[(NodeId, f64)]) {
        let number = u32::try_from(self.lanes.len()).expect("a block has far fewer lanes");
        self.lanes.push(Lane { number, key: key(seeds), ..lane });
        let amounts = seeds.iter().map(|&(node, weight)| Amount { node, lane: number, units: units(weight) });
        self.seeds.extend(amounts);
    }
}

/// What is to be done next.
pub(crate) enum Next {
    /// This.
    Block(Block),
    /// Nothing at the moment.
    Wait,
    /// Nothing any more.
    End,
}

/// One track; gives the answers as `report` has them, each on the worker that put it together.
pub(crate) fn track<'scope, P: ExchangeData>(
    scope: Scope<'scope, u64>,
    worked: &Worked,
    report: Report<P>,
) -> (Track, Stream<'scope, u64, Vec<P>>) {
    let Worked { world, shard, homes, dangling } = worked.clone();
    let (mut seeds, mut lanes) = (Input::new(), Input::new());
    let (next_round, returned) = scope.feedback(1);
    let (next_phase, again) = scope.feedback(1);
    let residuals = seeds.to_stream(scope).concat(returned);
    let all_lanes = lanes.to_stream(scope).concat(again);
    let pushed = push(residuals, all_lanes.clone().broadcast(), shard, Arc::clone(&world));
    pushed.onward.connect_loop(next_round);
    let parcels = fingerprints(pushed.left, homes.clone(), Arc::clone(&world));
    let together = gather(all_lanes, pushed.paid, parcels, Rc::clone(&dangling), Arc::clone(&world));
    together.again.connect_loop(next_phase);
    let returns = look_up(together.wishes, homes, Arc::clone(&world));
    let (probe, answers) = finish(together.drafts, returns, dangling, world, report).probe();
    (Track { seeds, lanes, probe }, answers)
}

/// Feeds the tracks on worker 0 until there is nothing any more or the job is to stop; other workers step along. `done`
/// sees the end of everything that comes of the answers.
pub(crate) fn drive(
    worker: &mut Worker,
    tracks: Vec<Track>,
    done: &ProbeHandle<u64>,
    world: &World,
    mut next: impl FnMut() -> Next,
) {
    if worker.index() == 0 {
        let mut tracks: VecDeque<Track> = tracks.into();
        let mut block = 0;
        'feeding: while !world.stopped() {
            for track in &mut tracks {
                if track.probe.less_than(track.seeds.time()) {
                    continue;
                }
                match next() {
                    Next::End => break 'feeding,
                    Next::Wait => break,
                    Next::Block(Block { mut lanes, mut seeds }) => {
                        track.seeds.advance_to(time::begin(block));
                        track.lanes.advance_to(time::begin(block));
                        track.lanes.send_batch(&mut lanes);
                        track.seeds.send_batch(&mut seeds);
                        block += 1;
                        track.seeds.advance_to(time::begin(block));
                        track.lanes.advance_to(time::begin(block));
                    }
                }
            }
            worker.step_or_park(Some(NAP));
        }
    } else {
        drop(tracks);
    }
    while !done.done() {
        worker.step_or_park(Some(NAP));
    }
}
