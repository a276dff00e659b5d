//! The operators that read fingerprints: what was left at a node becomes a parcel with the node's fingerprint, for each
//! worker that puts together answers in which it takes part.
//!
//! A stored visit takes about two bytes; multiplied out, it would take sixteen for every lane. So a fingerprint is read and
//! checked once a block, where it lies, and travels as it is stored, once to each worker that has lanes for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::Operator;
use walkprint_engine::ids::NodeId;
use walkprint_engine::query::returns;

use super::homes::Homes;
use super::lane::{Left, home};
use super::world::World;
use crate::error::Result;

/// A fingerprint, and what lanes of one worker have left at its node.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Parcel {
    pub(super) to: u32,
    pub(super) node: NodeId,
    pub(super) packed: Vec<u8>,
    /// What lanes left, ascending by lane.
    pub(super) left: Vec<Left>,
}

/// A worker's wish to know how often walks come back to a node.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Wish {
    pub(super) from: u32,
    pub(super) node: NodeId,
}

/// What a worker wished to know.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Returns {
    pub(super) to: u32,
    pub(super) node: NodeId,
    pub(super) returns: f64,
}

/// Reads the fingerprints of all nodes at which something is left, when the frontier has passed the end of the phase.
pub(super) fn fingerprints<'scope>(
    left: Stream<'scope, u64, Vec<Left>>,
    homes: Homes,
    world: Arc<World>,
) -> Stream<'scope, u64, Vec<Parcel>> {
    let workers = left.scope().peers();
    let by_home = Exchange::new(move |left: &Left| homes.of(left.node));
    left.unary_frontier::<CapacityContainerBuilder<Vec<Parcel>>, _, _, _>(by_home, "Fingerprints", move |_, _| {
        let mut phases: BTreeMap<u64, (Capability<u64>, Vec<Left>)> = BTreeMap::new();
        move |(input, frontier), output| {
            input.for_each(|stamp, left: &mut Vec<Left>| {
                let Some(capability) = stamp.retain_least(0) else { return };
                phases.entry(*capability.time()).or_insert((capability, Vec::new())).1.append(left);
            });
            while let Some(entry) = phases.first_entry().filter(|entry| !frontier.less_equal(entry.key())) {
                let (capability, mut left) = entry.remove();
                left.sort_unstable_by_key(|left| (left.node, home(left.lane, workers), left.lane));
                let mut session = output.session(&capability);
                for standing in left.chunk_by(|a, b| a.node == b.node) {
                    if world.stopped() {
                        break;
                    }
                    match parcels(&world, standing, workers) {
                        Ok(parcels) => session.give_iterator(parcels),
                        Err(error) => world.fail(error),
                    }
                }
            }
        }
    })
}

/// The parcels of one node.
fn parcels(world: &World, standing: &[Left], workers: usize) -> Result<impl Iterator<Item = Parcel>> {
    let node = standing[0].node;
    let packed = world.index().packed(node)?;
    let same_home = move |a: &Left, b: &Left| home(a.lane, workers) == home(b.lane, workers);
    Ok(standing.chunk_by(same_home).map(move |left| Parcel {
        to: u32::try_from(home(left[0].lane, workers)).expect("workers are counted in 32 bits"),
        node,
        packed: packed.to_vec(),
        left: left.to_vec(),
    }))
}

/// Says how often walks come back to the nodes that workers wish to know of.
pub(super) fn look_up<'scope>(
    wishes: Stream<'scope, u64, Vec<Wish>>,
    homes: Homes,
    world: Arc<World>,
) -> Stream<'scope, u64, Vec<Returns>> {
    let by_home = Exchange::new(move |wish: &Wish| homes.of(wish.node));
    wishes.unary::<CapacityContainerBuilder<Vec<Returns>>, _, _, _>(by_home, "Returns", move |_, _| {
        move |input, output| {
            input.for_each(|stamp, wishes: &mut Vec<Wish>| {
                let mut session = output.session(&stamp);
                for Wish { from, node } in wishes.drain(..) {
                    let index = world.index();
                    let found =
                        index.packed(node).and_then(|packed| returns(packed, node).ok_or_else(|| index.damaged(node)));
                    match found {
                        Ok(returns) => session.give(Returns { to: from, node, returns }),
                        Err(error) => world.fail(error.into()),
                    }
                }
            });
        }
    })
}
