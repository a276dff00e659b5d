//! The operators that put answers together: each lane on its own worker.
//!
//! When the frontier has passed the end of a phase, everything of the phase is there. What was paid and what fingerprints
//! add is summed up by node and by source, in their order, so that answers are the same for any number of workers. A lane
//! that is not precise enough is pushed on in the next phase, down to a lower threshold; the others become drafts, and
//! answers as soon as their standard errors are known.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hashbrown::{HashMap, HashSet};
use roaring::RoaringBitmap;
use timely::ExchangeData;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::generic::{Operator, OutputBuilder};
use walkprint_engine::ids::NodeId;
use walkprint_engine::query::{Dangling, Draft, Gathered, Left as LeftOver};

use super::amount::{Amount, NOWHERE, mass, merge};
use super::fingerprints::{Parcel, Returns, Wish};
use super::lane::{Lane, Left, Report, home};
use super::time;
use super::world::World;
use crate::error::{Error, Result};

/// By what a threshold is multiplied that turned out too high, at least and at most: as `combine` does.
const LEAST_FARTHER: f64 = 1.0 / 64.0;
const MOST_FARTHER: f64 = 0.5;
/// How much more precise than asked a second attempt is to be: there should be no third.
const AMPLE: f64 = 0.9;
/// With fewer fingerprints that were chosen by chance than this, errors are taken to be as large as they may be.
const FEW: usize = 64;
/// How long an activation may take: other operators share the thread.
const TURN: Duration = Duration::from_millis(10);

/// What comes out of putting together.
pub(super) struct Together<'scope> {
    /// Lanes that are to be pushed on.
    pub(super) again: Stream<'scope, u64, Vec<Lane>>,
    /// Answers but for their standard errors; they stay on their worker.
    pub(super) drafts: Stream<'scope, u64, Vec<(Lane, Draft)>>,
    /// What drafts wish to know.
    pub(super) wishes: Stream<'scope, u64, Vec<Wish>>,
}

/// The capabilities for the three outputs.
struct Ways {
    again: Capability<u64>,
    drafts: Capability<u64>,
    wishes: Capability<u64>,
}

/// A phase of which not everything is there.
#[derive(Default)]
struct Phase {
    ways: Option<Ways>,
    lanes: Vec<Lane>,
    paid: Vec<Amount>,
    parcels: Vec<Parcel>,
}

/// A phase whose lanes are put together, one after the other.
struct Work {
    ways: Ways,
    may_go_on: bool,
    lanes: std::vec::IntoIter<Lane>,
    paid: HashMap<u32, Vec<Amount>>,
    parcels: Vec<Parcel>,
    /// By lane: parcels, ascending by node, and the place in them.
    left: HashMap<u32, Vec<(usize, usize)>>,
    wished: HashSet<NodeId>,
}

impl Work {
    fn new(end: u64, phase: Phase, kept: &mut HashMap<u32, Vec<Amount>>) -> Option<Work> {
        let Phase { ways, mut lanes, paid, mut parcels } = phase;
        lanes.sort_unstable_by_key(|lane| lane.number);
        parcels.sort_unstable_by_key(|parcel| parcel.node);
        let mut all = std::mem::take(kept);
        for amount in paid {
            all.entry(amount.lane).or_default().push(amount);
        }
        let mut left: HashMap<u32, Vec<(usize, usize)>> = HashMap::new();
        for (at, parcel) in parcels.iter().enumerate() {
            for (place, own) in parcel.left.iter().enumerate() {
                left.entry(own.lane).or_default().push((at, place));
            }
        }
        let (lanes, may_go_on, wished) = (lanes.into_iter(), time::may_go_on(end), HashSet::new());
        Some(Work { ways: ways?, may_go_on, lanes, paid: all, parcels, left, wished })
    }
}

/// What became of a lane.
enum Outcome {
    Precise(Draft),
    /// What was paid so far, and how much lower a threshold is called for.
    Again(Vec<Amount>, f64),
}

/// Puts together the lanes that have their home here.
pub(super) fn gather<'scope>(
    lanes: Stream<'scope, u64, Vec<Lane>>,
    paid: Stream<'scope, u64, Vec<Amount>>,
    parcels: Stream<'scope, u64, Vec<Parcel>>,
    dangling: Rc<RoaringBitmap>,
    world: Arc<World>,
) -> Together<'scope> {
    let scope = paid.scope();
    let (workers, worker) = (scope.peers(), u32::try_from(scope.index()).expect("workers are counted in 32 bits"));
    let mut builder = OperatorBuilder::new("Gather".to_owned(), scope);
    let activator = scope.activator_for(builder.operator_info().address);
    let mut lanes_in = builder.new_input(lanes, Exchange::new(move |lane: &Lane| home(lane.number, workers)));
    let mut paid_in = builder.new_input(paid, Exchange::new(move |amount: &Amount| home(amount.lane, workers)));
    let mut parcels_in = builder.new_input(parcels, Exchange::new(|parcel: &Parcel| parcel.to.into()));
    let (again, again_stream) = builder.new_output();
    let (drafts, draft_stream) = builder.new_output();
    let (wishes, wish_stream) = builder.new_output();
    let mut again = OutputBuilder::<_, CapacityContainerBuilder<Vec<Lane>>>::from(again);
    let mut drafts = OutputBuilder::<_, CapacityContainerBuilder<Vec<(Lane, Draft)>>>::from(drafts);
    let mut wishes = OutputBuilder::<_, CapacityContainerBuilder<Vec<Wish>>>::from(wishes);
    builder.build(move |_capabilities| {
        let mut phases: BTreeMap<u64, Phase> = BTreeMap::new();
        let mut waiting: VecDeque<Work> = VecDeque::new();
        let mut kept: HashMap<u32, Vec<Amount>> = HashMap::new();
        let mut gathered = Gathered::new(world.size().0);
        move |frontiers| {
            // Every lane of a phase comes by `lanes`: their capabilities are enough.
            lanes_in.for_each(|stamp, lanes: &mut Vec<Lane>| {
                let ways = (stamp.retain_least(0), stamp.retain_least(1), stamp.retain_least(2));
                let (Some(again), Some(drafts), Some(wishes)) = ways else { return };
                let end = time::phase_end(*again.time());
                let phase = phases.entry(end).or_default();
                phase.lanes.append(lanes);
                phase.ways.get_or_insert_with(|| Ways {
                    again: again.delayed(&end),
                    drafts: drafts.delayed(&end),
                    wishes: wishes.delayed(&end),
                });
            });
            paid_in.for_each_stamp(|stamp, data| {
                let Some(&end) = stamp.stamp().least() else { return };
                let phase = phases.entry(end).or_default();
                data.for_each(|amounts: &mut Vec<Amount>| phase.paid.append(amounts));
            });
            parcels_in.for_each_stamp(|stamp, data| {
                let Some(&end) = stamp.stamp().least() else { return };
                let phase = phases.entry(end).or_default();
                data.for_each(|parcels: &mut Vec<Parcel>| phase.parcels.append(parcels));
            });
            let passed = |time: &u64| !frontiers.iter().any(|frontier| frontier.less_equal(time));
            while let Some(entry) = phases.first_entry().filter(|entry| passed(entry.key())) {
                let (end, phase) = entry.remove_entry();
                waiting.extend(Work::new(end, phase, &mut kept));
            }
            let began = Instant::now();
            while let Some(work) = waiting.front_mut() {
                let Some(lane) = work.lanes.next().filter(|_| !world.stopped()) else {
                    waiting.pop_front();
                    continue;
                };
                match put_together(&world, &dangling, &mut gathered, work, &lane) {
                    Ok(Outcome::Precise(draft)) => {
                        let mut output = wishes.activate();
                        let mut session = output.session(&work.ways.wishes);
                        let new = draft.nodes().filter(|&node| work.wished.insert(node));
                        session.give_iterator(new.map(|node| Wish { from: worker, node }));
                        drafts.activate().session(&work.ways.drafts).give((lane, draft));
                    }
                    Ok(Outcome::Again(paid, factor)) => {
                        kept.insert(lane.number, paid);
                        let lane = Lane { threshold: lane.threshold * factor, ..lane };
                        again.activate().session(&work.ways.again).give(lane);
                    }
                    Err(error) => world.fail(error),
                }
                if TURN < began.elapsed() {
                    activator.activate();
                    break;
                }
            }
        }
    });
    Together { again: again_stream, drafts: draft_stream, wishes: wish_stream }
}

fn put_together(
    world: &World,
    dangling: &RoaringBitmap,
    gathered: &mut Gathered,
    work: &mut Work,
    lane: &Lane,
) -> Result<Outcome> {
    let of = world.gatherer(dangling, lane.asked.dangling == Dangling::Uniform);
    let mut paid = work.paid.remove(&lane.number).unwrap_or_default();
    merge(&mut paid);
    // The sum of what was left stands last.
    let sampled = paid.pop_if(|amount| amount.node == NOWHERE).map_or(0.0, |amount| mass(amount.units));
    gathered.clear();
    for amount in &paid {
        gathered.pay(amount.node, mass(amount.units));
    }
    let onward = (1.0 - of.restart_prob) * sampled;
    let lost = (1.0 - gathered.pushed(&of) - onward).max(0.0);
    let (mut chosen, mut sure) = (0, 0.0);
    for (at, place) in work.left.remove(&lane.number).unwrap_or_default() {
        let parcel = &work.parcels[at];
        let Left { residual, weight, .. } = parcel.left[place];
        if residual == weight {
            sure += mass(residual);
        } else {
            chosen += 1;
        }
        let chance = residual as f64 / weight as f64;
        if !gathered.add(&of, parcel.node, mass(weight), chance, &parcel.packed) {
            return Err(Error::Engine(world.index().damaged(parcel.node)));
        }
    }
    // A few fingerprints that were chosen by chance know too little of their own error.
    let by_chance = if chosen < FEW { (1.0 - of.restart_prob) * (sampled - sure).max(0.0) } else { 0.0 };
    let l1_error = gathered.l1_error().max(by_chance) + lost;
    let precision = lane.asked.precision;
    if precision < l1_error && 0.0 < sampled && work.may_go_on {
        let factor = (AMPLE * precision / l1_error).powi(2).clamp(LEAST_FARTHER, MOST_FARTHER);
        return Ok(Outcome::Again(paid, factor));
    }
    let left = LeftOver { sampled, lost, l1_error };
    Ok(Outcome::Precise(gathered.draft(&of, lane.asked.top, lane.asked.dangling, left)?))
}

/// Drafts of a phase, and what is known for them.
#[derive(Default)]
struct Drafted {
    way: Option<Capability<u64>>,
    drafts: Vec<(Lane, Draft)>,
    returns: HashMap<NodeId, f64>,
}

/// Makes drafts answers, and `report`s them.
pub(super) fn finish<'scope, P: ExchangeData>(
    drafts: Stream<'scope, u64, Vec<(Lane, Draft)>>,
    returns: Stream<'scope, u64, Vec<Returns>>,
    dangling: Rc<RoaringBitmap>,
    world: Arc<World>,
    report: Report<P>,
) -> Stream<'scope, u64, Vec<P>> {
    let to_wisher = Exchange::new(|known: &Returns| known.to.into());
    drafts.binary_frontier::<_, CapacityContainerBuilder<Vec<P>>, _, _, _, _>(
        returns,
        Pipeline,
        to_wisher,
        "Finish",
        move |_, _| {
            let mut open: BTreeMap<u64, Drafted> = BTreeMap::new();
            move |(drafts_in, drafts_frontier), (returns_in, returns_frontier), output| {
                drafts_in.for_each(|stamp, drafts: &mut Vec<(Lane, Draft)>| {
                    let Some(capability) = stamp.retain_least(0) else { return };
                    let drafted = open.entry(*capability.time()).or_default();
                    drafted.drafts.append(drafts);
                    drafted.way.get_or_insert(capability);
                });
                returns_in.for_each_stamp(|stamp, data| {
                    let Some(&end) = stamp.stamp().least() else { return };
                    let returns = &mut open.entry(end).or_default().returns;
                    data.for_each(|known: &mut Vec<Returns>| {
                        returns.extend(known.drain(..).map(|known| (known.node, known.returns)));
                    });
                });
                let waits = |time: &u64| drafts_frontier.less_equal(time) || returns_frontier.less_equal(time);
                while let Some(entry) = open.first_entry().filter(|entry| !waits(entry.key())) {
                    let Drafted { way, drafts, returns } = entry.remove();
                    let Some(way) = way.filter(|_| !world.stopped()) else { continue };
                    let mut session = output.session(&way);
                    for (lane, draft) in drafts {
                        let of = world.gatherer(&dangling, lane.asked.dangling == Dangling::Uniform);
                        let once = |node| returns.get(&node).copied().unwrap_or(1.0);
                        match draft.finish(&of, once) {
                            Ok(answer) => session.give(report(&lane, answer)),
                            Err(error) => world.fail(error.into()),
                        }
                    }
                }
            }
        },
    )
}
