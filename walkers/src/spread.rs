//! How what stands on a node moves on: the same arithmetic wherever it is done.
//!
//! A group of `c` units on a node of `d` edges with random number `p`: of its survivors `w = c (1 - a)`, a point is worth one
//! packet, and lies every `packet d / w` places of the row, the first at `p` times that; points beyond the row's end are
//! walks that stop. Where the average share is a packet or more, every edge gets its share in units instead. See
//! [`crate::kernel`] for why.
//!
//! **Where a point lies depends on the group and its number alone** and not on the points before it, so that a worker that
//! holds a part of a row finds the points that lie in its part, and all parts together send what the whole row would. (Test:
//! `tests::parts_of_a_row_send_what_the_whole_row_sends`.)

use walkprint_engine::graph::{AliasSlot, Steps};
use walkprint_engine::ids::NodeId;
use walkprint_engine::plan::UNITS_PER_PACKET;
use walkprint_engine::prefetch::prefetch;

use crate::paths::PathRows;

/// Targets or alias slots of single steps.
pub(crate) type StepSlots<'g> = Steps<&'g [NodeId], &'g [AliasSlot]>;

/// Where landings are looked up: single steps, and behind them the outcomes of big moves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slots<'g> {
    steps: StepSlots<'g>,
    paths: Option<&'g PathRows>,
    /// Slots from here on are outcomes.
    of_steps: usize,
}

impl<'g> Slots<'g> {
    pub(crate) fn new(steps: StepSlots<'g>, paths: Option<&'g PathRows>) -> Slots<'g> {
        let of_steps = match steps {
            Steps::Plain(targets) => targets.len(),
            Steps::Alias(slots) => slots.len(),
        };
        Slots { steps, paths, of_steps }
    }

    /// The big moves that a group makes at the node with this place, if it does: it must be too small to be split.
    #[inline]
    pub(crate) fn big_move(self, survival: Survival, place: u32, units: u32) -> Option<Row> {
        let row = self.paths?.row(place, self.of_steps)?;
        (!survival.splits(row.degree, units)).then_some(row)
    }

    /// Looks a landing up: calls `pass` for every node that its units only pass or end at, and gives the node that they
    /// arrive at, to be drawn for there.
    #[inline]
    pub(crate) fn land(self, landing: &Landing, pass: impl FnMut(NodeId)) -> Option<NodeId> {
        if landing.slot < self.of_steps {
            return Some(target_at(self.steps, landing.slot, landing.part));
        }
        let (nodes, goes_on) = self.paths?.outcome(landing.slot - self.of_steps, landing.part);
        let (&last, before) = nodes.split_last()?;
        let ended = if goes_on { before } else { nodes };
        ended.iter().copied().for_each(pass);
        goes_on.then_some(last)
    }

    #[inline]
    pub(crate) fn prefetch(self, slot: usize) {
        match (self.steps, self.paths) {
            (_, Some(paths)) if self.of_steps <= slot => prefetch(paths.slots(), slot - self.of_steps),
            (Steps::Plain(targets), _) => prefetch(targets, slot),
            (Steps::Alias(slots), _) => prefetch(slots, slot),
        }
    }
}

/// Units on their way to a place in the targets.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Landing {
    pub(crate) slot: usize,
    part: f64,
    pub(crate) lane: u32,
    pub(crate) units: u32,
}

/// A row, or the part of it from one place to another.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    /// Where place 0 of the row would lie in the slots: behind the end or wrapped around, for a part.
    first: usize,
    /// The whole row's edges.
    pub(crate) degree: f64,
    from: f64,
    to: f64,
}

impl Row {
    /// A whole row.
    #[inline]
    pub(crate) fn whole(first: u64, end: u64) -> Row {
        let degree = (end - first).cast_signed() as f64;
        #[expect(clippy::cast_possible_truncation, reason = "checked rows lie inside a slice")]
        Row { first: first as usize, degree, from: 0.0, to: degree }
    }

    /// The places `from..to` of a row of `degree` edges, the first of which lies at `slot`.
    pub(crate) fn part(slot: usize, degree: u32, from: u32, to: u32) -> Row {
        Row { first: slot.wrapping_sub(from as usize), degree: degree.into(), from: from.into(), to: to.into() }
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "callers use what lies in the row")]
    fn landing(self, place: f64, lane: u32, units: u32) -> Landing {
        let position = place as i64;
        Landing { slot: self.first.wrapping_add(position as usize), part: place - position as f64, lane, units }
    }
}

/// The share of units that goes on, and what follows from it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Survival {
    share: f64,
    one_packet: f64,
}

impl Survival {
    pub(crate) fn new(restart_prob: f64) -> Survival {
        let share = 1.0 - restart_prob;
        Survival { share, one_packet: Survival::spread_of(f64::from(UNITS_PER_PACKET) * share) }
    }

    /// How far points lie apart, in rows.
    #[inline]
    fn spread_of(survivors: f64) -> f64 {
        f64::from(UNITS_PER_PACKET) / survivors
    }

    /// Whether so many units are enough to be split over a row of this degree, a packet or more an edge.
    #[inline]
    fn splits(self, degree: f64, units: u32) -> bool {
        degree * f64::from(UNITS_PER_PACKET) <= f64::from(units) * self.share
    }

    /// Where a packet that stands alone lands, and whether it lies in the row: at most one landing, by far the commonest
    /// case, without a branch.
    #[inline]
    pub(crate) fn packet(self, row: Row, lane: u32, point: f64) -> (Landing, bool) {
        let place = point * (self.one_packet * row.degree);
        (row.landing(place, lane, UNITS_PER_PACKET), row.from <= place && place < row.to)
    }

    /// Appends what a group sends into a row or a part of it. Asks the processor for the slots.
    pub(crate) fn spread(
        self,
        landings: &mut Vec<Landing>,
        slots: Slots<'_>,
        row: Row,
        lane: u32,
        units: u32,
        point: f64,
    ) {
        let survivors = f64::from(units) * self.share;
        if self.splits(row.degree, units) {
            split(landings, slots.steps, row, lane, point, survivors);
        } else if 0.0 < survivors {
            let spacing = Survival::spread_of(survivors) * row.degree;
            let mut number = first_point(point, spacing, row.from);
            loop {
                let place = (point + number) * spacing;
                if row.to <= place {
                    break;
                }
                let landing = row.landing(place, lane, UNITS_PER_PACKET);
                slots.prefetch(landing.slot);
                landings.push(landing);
                number += 1.0;
            }
        }
    }
}

impl Survival {
    /// The places of a whole row in which a group's points lie, ascending; `None` once where it is split over all places.
    pub(crate) fn places(self, degree: u32, units: u32, point: f64, mut visit: impl FnMut(Option<u32>)) {
        let survivors = f64::from(units) * self.share;
        if self.splits(degree.into(), units) {
            visit(None);
        } else if 0.0 < survivors {
            let spacing = Survival::spread_of(survivors) * f64::from(degree);
            let mut number = 0.0;
            loop {
                let place = (point + number) * spacing;
                if f64::from(degree) <= place {
                    break;
                }
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below the degree")]
                visit(Some(place as u32));
                number += 1.0;
            }
        }
    }
}

/// The number of the first point that does not lie before `from`.
#[inline]
fn first_point(point: f64, spacing: f64, from: f64) -> f64 {
    if from == 0.0 {
        return 0.0;
    }
    let mut number = (from / spacing - point).ceil().max(0.0);
    while 1.0 <= number && from <= (point + (number - 1.0)) * spacing {
        number -= 1.0;
    }
    while (point + number) * spacing < from {
        number += 1.0;
    }
    number
}

/// The fine case: walks along the row and counts the points of spacing one unit in each share.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts of units fit 32 bits")]
fn split(landings: &mut Vec<Landing>, slots: StepSlots<'_>, row: Row, lane: u32, point: f64, survivors: f64) {
    let width = survivors / row.degree;
    let mut send = |slot, part: f64, from: f64, to: f64| {
        let units = ceiling(to - point) - ceiling(from - point);
        if units != 0 {
            landings.push(Landing { slot, part, lane, units: units as u32 });
        }
    };
    for position in row.from as usize..row.to as usize {
        let slot = row.first.wrapping_add(position);
        let (from, to) = (position as f64 * width, (position + 1) as f64 * width);
        match slots {
            Steps::Alias(slots) if slots[slot].share < 1.0 => {
                let cut = from + width * slots[slot].share;
                send(slot, 0.0, from, cut);
                send(slot, 1.0, cut, to);
            }
            _ => send(slot, 0.0, from, to),
        }
    }
}

/// The smallest integer not below a number. (`f64::ceil` is a call on processors that the program must still run on.)
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "units fit 64 bits")]
fn ceiling(number: f64) -> i64 {
    let cut = number as i64;
    cut + i64::from((cut as f64) < number)
}

/// The node that a point of a slot leads to: `part` is the point's place inside the slot, in [0, 1).
#[inline]
pub(crate) fn target_at(slots: StepSlots<'_>, slot: usize, part: f64) -> NodeId {
    match slots {
        Steps::Plain(targets) => targets[slot],
        Steps::Alias(slots) => {
            let slot = &slots[slot];
            if part < slot.share { slot.target } else { slot.alias }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn parts_of_a_row_send_what_the_whole_row_sends(
            degree in 1u32..300,
            units in 1u32..5_000,
            point in 0.0f64..1.0,
            restart_prob in 0.01f64..0.99,
            cuts in prop::collection::vec(0.0f64..1.0, 0..5),
            weighted: bool,
        ) {
            let alias = |at: u32| AliasSlot { share: f64::from(at % 11) / 10.0, target: at, alias: (at * 7) % degree };
            let (plain, aliases): (Vec<u32>, Vec<AliasSlot>) = (0..degree).map(|at| (at, alias(at))).unzip();
            let steps = if weighted { Steps::Alias(&aliases[..]) } else { Steps::Plain(&plain[..]) };
            let slots = Slots::new(steps, None);
            let survival = Survival::new(restart_prob);
            let spread = |row| {
                let mut landings = Vec::new();
                survival.spread(&mut landings, slots, row, 0, units, point);
                if units == UNITS_PER_PACKET && degree != 0 && f64::from(degree) > 1.0 - restart_prob {
                    let (landing, lands) = survival.packet(row, 0, point);
                    let alone: Vec<Landing> = lands.then_some(landing).into_iter().collect();
                    assert_eq!(format!("{alone:?}"), format!("{landings:?}"));
                }
                landings.iter().map(|landing| (slots.land(landing, |_| ()), landing.units)).collect::<Vec<_>>()
            };
            let whole = spread(Row::whole(0, degree.into()));
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "places in a short row")]
            let mut bounds: Vec<u32> = cuts.iter().map(|cut| (cut * f64::from(degree)) as u32).collect();
            bounds.extend([0, degree]);
            bounds.sort_unstable();
            let parts = bounds.windows(2).flat_map(|cut| spread(Row::part(cut[0] as usize, degree, cut[0], cut[1])));
            prop_assert_eq!(parts.collect::<Vec<_>>(), whole);
        }
    }
}
