//! Amounts on their way to their targets, added up as long as they are in sight.

use hashbrown::HashMap;
use walkprint_engine::ids::NodeId;

use super::amount::{Amount, part};

/// Numbers that are in sight at a time: two mebibytes, which stay in the cache.
const NUMBERS: usize = 1 << 18;
/// From this part of the lanes on, a target gets a number for each lane.
const CROWD: usize = 8;

/// The last targets that were met, with a number for each lane.
#[derive(Debug, Default)]
pub(super) struct Window {
    width: usize,
    places: HashMap<NodeId, u32>,
    targets: Vec<NodeId>,
    units: Vec<u64>,
}

impl Window {
    /// Makes ready for so many lanes. The window is empty.
    pub(super) fn widen(&mut self, width: usize) {
        self.width = width;
    }

    /// Adds a share of what goes on from a node, by lane. What falls out of sight is sent.
    #[inline]
    pub(super) fn add(&mut self, target: NodeId, share: f64, onward: &[(u32, f64)], send: &mut impl FnMut(Amount)) {
        if onward.len() * CROWD < self.width {
            for &(lane, units) in onward {
                let units = part(units, share);
                if units != 0 {
                    send(Amount { node: target, lane, units });
                }
            }
            return;
        }
        let place = match self.places.get(&target) {
            Some(&place) => place as usize,
            None => self.place(target, send),
        };
        let numbers = &mut self.units[place * self.width..][..self.width];
        for &(lane, units) in onward {
            numbers[lane as usize] += part(units, share);
        }
    }

    #[cold]
    fn place(&mut self, target: NodeId, send: &mut impl FnMut(Amount)) -> usize {
        if NUMBERS <= self.units.len() {
            self.flush(send);
        }
        let place = self.targets.len();
        self.places.insert(target, u32::try_from(place).expect("a window is small"));
        self.targets.push(target);
        self.units.resize(self.targets.len() * self.width, 0);
        place
    }

    /// Sends everything.
    pub(super) fn flush(&mut self, send: &mut impl FnMut(Amount)) {
        for (&node, units) in self.targets.iter().zip(self.units.chunks_exact(self.width.max(1))) {
            for (lane, &units) in (0..).zip(units).filter(|(_, units)| **units != 0) {
                send(Amount { node, lane, units });
            }
        }
        self.places.clear();
        self.targets.clear();
        self.units.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_arrives_whether_it_was_in_sight_or_not() {
        for (lanes, standing) in [(1u32, 1u32), (40, 40), (40, 2)] {
            let mut window = Window::default();
            window.widen(lanes as usize);
            let onward: Vec<(u32, f64)> = (0..standing).map(|lane| (lane, f64::from(lane + 1) * 8.0)).collect();
            let mut arrived = vec![vec![0; lanes as usize]; 30_000];
            let mut sent = 0;
            let mut send = |amount: Amount| {
                arrived[amount.node as usize][amount.lane as usize] += amount.units;
                sent += 1;
            };
            for at in 0..60_000u32 {
                window.add(at / 4 % 15_000 * 2, 0.5, &onward, &mut send);
            }
            window.flush(&mut send);
            for (node, units) in arrived.iter().enumerate() {
                for (lane, &units) in units.iter().enumerate() {
                    let there = node % 2 == 0 && lane < standing as usize;
                    assert_eq!(units, if there { 16 * (lane as u64 + 1) } else { 0 }, "{node} {lane}");
                }
            }
            let crowded = standing == lanes;
            assert_eq!(sent, if crowded { 15_000 * standing } else { 60_000 * standing }, "merged or not");
        }
    }
}
