//! The operator that pushes, round by round.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use timely::container::CapacityContainerBuilder;
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use walkprint_engine::graph::GraphShard;

use super::amount::Amount;
use super::lane::{Lane, Left};
use super::residuals::Residuals;
use super::time;
use super::world::World;

/// What comes out of pushing.
pub(super) struct Pushed<'scope> {
    /// Residuals for the next round, which go to whoever owns their nodes.
    pub(super) onward: Stream<'scope, u64, Vec<Amount>>,
    /// At the end of a phase: what was pushed and stayed.
    pub(super) paid: Stream<'scope, u64, Vec<Amount>>,
    /// At the end of a phase: what was not pushed, for fingerprints.
    pub(super) left: Stream<'scope, u64, Vec<Left>>,
}

/// A round that is not complete.
#[derive(Default)]
struct Round {
    onward: Option<Capability<u64>>,
    amounts: Vec<Amount>,
    lanes: Vec<Lane>,
}

/// Pushes residuals as lanes ask: `lanes` has every lane once on every worker.
///
/// Amounts wait until the frontier has passed their round, because only then is known how much of a lane stands on a node;
/// amounts of the next round may come earlier than that.
pub(super) fn push<'scope>(
    residuals: Stream<'scope, u64, Vec<Amount>>,
    lanes: Stream<'scope, u64, Vec<Lane>>,
    shard: Rc<GraphShard>,
    world: Arc<World>,
) -> Pushed<'scope> {
    let mut builder = OperatorBuilder::new("Push".to_owned(), residuals.scope());
    let owners = Arc::clone(shard.owners());
    let by_owner = Exchange::new(move |amount: &Amount| owners.owner(amount.node).into());
    let mut amounts_in = builder.new_input(residuals, by_owner);
    let mut lanes_in = builder.new_input(lanes, Pipeline);
    let (onward, onward_stream) = builder.new_output();
    let (paid, paid_stream) = builder.new_output();
    let (left, left_stream) = builder.new_output();
    let mut onward = OutputBuilder::<_, CapacityContainerBuilder<Vec<Amount>>>::from(onward);
    let mut paid = OutputBuilder::<_, CapacityContainerBuilder<Vec<Amount>>>::from(paid);
    let mut left = OutputBuilder::<_, CapacityContainerBuilder<Vec<Left>>>::from(left);
    builder.build(move |_capabilities| {
        let (own, worker) = (Rc::clone(&shard), u32::try_from(shard.worker()).expect("workers are counted in 32 bits"));
        let mut state = Residuals::new(shard, world.index().entry().plan.clone());
        let mut rounds: BTreeMap<u64, Round> = BTreeMap::new();
        let mut ends: BTreeMap<u64, (Capability<u64>, Capability<u64>)> = BTreeMap::new();
        move |frontiers| {
            amounts_in.for_each(|stamp, amounts: &mut Vec<Amount>| {
                let Some(capability) = stamp.retain_least(0) else { return };
                let round = rounds.entry(*capability.time()).or_default();
                round.amounts.append(amounts);
                round.onward.get_or_insert(capability);
            });
            lanes_in.for_each(|stamp, lanes: &mut Vec<Lane>| {
                let kept = (stamp.retain_least(0), stamp.retain_least(1), stamp.retain_least(2));
                let (Some(capability), Some(paying), Some(leaving)) = kept else { return };
                let end = time::phase_end(*capability.time());
                ends.entry(end).or_insert_with(|| (paying.delayed(&end), leaving.delayed(&end)));
                let round = rounds.entry(*capability.time()).or_default();
                round.lanes.append(lanes);
                round.onward.get_or_insert(capability);
            });
            let passed = |time: &u64| !frontiers.iter().any(|frontier| frontier.less_equal(time));
            while let Some(entry) = rounds.first_entry().filter(|entry| passed(entry.key())) {
                let (now, Round { onward: capability, amounts, lanes }) = entry.remove_entry();
                if time::begins_block(now) {
                    state.clear();
                }
                if time::begins_phase(now) {
                    state.begin_phase(&lanes);
                }
                amounts.into_iter().for_each(|amount| state.add(amount));
                let Some(capability) = capability.filter(|_| time::may_push(now) && !world.stopped()) else { continue };
                let mut output = onward.activate();
                let mut session = output.session(&capability);
                let mut mine = Vec::new();
                let pushed = state.push(|amount| match own.owners().owner(amount.node) == worker {
                    true => mine.push(amount),
                    false => session.give(amount),
                });
                if let Err(error) = pushed {
                    world.fail(error);
                }
                if !mine.is_empty() {
                    // What stays here need not travel.
                    let round = rounds.entry(now + 1).or_default();
                    round.amounts.append(&mut mine);
                    round.onward.get_or_insert_with(|| capability.delayed(&(now + 1)));
                }
            }
            while let Some(entry) = ends.first_entry().filter(|entry| passed(entry.key())) {
                let (paying, leaving) = entry.remove();
                if world.stopped() {
                    state.clear();
                    continue;
                }
                let (mut paid, mut left) = (paid.activate(), left.activate());
                let (mut paid, mut left) = (paid.session(&paying), left.session(&leaving));
                state.settle(|amount| paid.give(amount), |amount| left.give(amount));
            }
        }
    });
    Pushed { onward: onward_stream, paid: paid_stream, left: left_stream }
}
