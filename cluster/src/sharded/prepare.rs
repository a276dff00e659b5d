//! What is found out together before the first question: which nodes are dangling, and the answer to uniform seeds.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use roaring::RoaringBitmap;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::InputHandle;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::generic::Operator;
use timely::dataflow::operators::vec::{Broadcast, Map};
use timely::dataflow::operators::{Concat, ConnectLoop, Feedback, Probe};
use timely::worker::Worker;
use walkprint_engine::graph::GraphShard;
use walkprint_engine::ids::NodeId;
use walkprint_engine::query::{Dangling, UniformAnswer};

use super::amount::{Amount, NOWHERE, mass, units};
use super::lane::{Asked, Lane};
use super::push::push;
use super::tracks::Worked;
use crate::workers::finish;

/// What may be missing of the answer to uniform seeds.
const RESIDUAL: f64 = 1e-10;

/// The dangling nodes of the whole graph. Every worker learns of all; memory: at most a bit a node.
pub(crate) fn dangling(worker: &mut Worker, shard: &GraphShard) -> RoaringBitmap {
    let all: Rc<RefCell<RoaringBitmap>> = Rc::default();
    let met = Rc::clone(&all);
    let mut input: InputHandle<u64, CapacityContainerBuilder<Vec<NodeId>>> = InputHandle::new();
    let probe = worker.dataflow(|scope| {
        let nodes = input.to_stream(scope).broadcast();
        let sink = nodes.unary::<CapacityContainerBuilder<Vec<()>>, _, _, _>(Pipeline, "Dangling", move |_, _| {
            move |input, _output| {
                input.for_each(|_, nodes: &mut Vec<NodeId>| met.borrow_mut().extend(nodes.drain(..)));
            }
        });
        let (probe, sunk) = sink.probe();
        drop(sunk);
        probe
    });
    for (node, local) in shard.owners().nodes_of(shard.worker()).zip(0..) {
        if shard.rows().degree(local) == 0 {
            input.send(node);
        }
    }
    input.close();
    finish(worker, &probe);
    all.take()
}

/// Finds the answer to uniform seeds, by pushing until next to nothing is left; it goes to the first worker of each process.
///
/// Cost: about `ln(1 / residual) / restart_prob` passes over all edges. Memory: 56 bytes a node over all workers, and 20 a
/// node in each process.
pub(crate) fn uniform(worker: &mut Worker, workers_of_process: usize, worked: &Worked) {
    let Worked { world, shard, dangling, .. } = worked;
    let (nodes, edges) = world.size();
    let (peers, index) = (worker.peers(), worker.index());
    let is_first = index.is_multiple_of(workers_of_process);
    let core = Rc::new(RefCell::new(vec![0.0; if is_first { nodes } else { 0 }]));
    let paid_to = Rc::clone(&core);
    let mut seeds: InputHandle<u64, CapacityContainerBuilder<Vec<Amount>>> = InputHandle::new();
    let mut lanes: InputHandle<u64, CapacityContainerBuilder<Vec<Lane>>> = InputHandle::new();
    let probe = worker.dataflow(|scope| {
        let (next_round, returned) = scope.feedback(1);
        let residuals = seeds.to_stream(scope).concat(returned);
        let pushed = push(residuals, lanes.to_stream(scope).broadcast(), Rc::clone(shard), Arc::clone(world));
        pushed.onward.connect_loop(next_round);
        let firsts = (0..peers as u64).step_by(workers_of_process);
        let copies = pushed.paid.flat_map(move |amount| firsts.clone().map(move |first| (first, amount)));
        let to_first = Exchange::new(|(first, _): &(u64, Amount)| *first);
        let sink = copies.unary::<CapacityContainerBuilder<Vec<()>>, _, _, _>(to_first, "Uniform", move |_, _| {
            move |input, _output| {
                input.for_each(|_, amounts: &mut Vec<(u64, Amount)>| {
                    for (_, amount) in amounts.drain(..).filter(|(_, amount)| amount.node != NOWHERE) {
                        paid_to.borrow_mut()[amount.node as usize] += mass(amount.units);
                    }
                });
            }
        });
        let (probe, sunk) = sink.probe();
        drop(sunk);
        probe
    });
    if index == 0 {
        let asked = Asked { top: 1, dangling: Dangling::Drop, precision: RESIDUAL };
        let threshold = RESIDUAL / (nodes + edges).max(1) as f64;
        lanes.send(Lane { number: 0, tag: 0, asked, threshold, key: 0 });
    }
    let share = units(1.0 / nodes as f64);
    for node in shard.owners().nodes_of(shard.worker()) {
        seeds.send(Amount { node, lane: 0, units: share });
    }
    seeds.close();
    lanes.close();
    finish(worker, &probe);
    if is_first {
        let answer = UniformAnswer::new(core.take(), dangling, world.restart_prob());
        // Only this worker sets it.
        let _ = world.uniform.set(answer);
    }
}
