//! One source's fingerprint: which nodes its walks visited, and how often; packed into a few bytes an entry.
//!
//! ```text
//! varint   number of walks R
//! varint   number of entries
//! then for every visited node, ascending:
//!   varint   2 * gap + f     gap = node - (previous node + 1), counted from 0 for the first entry
//!                            f = 0: exactly one packet of UNITS_PER_PACKET units, the commonest case by far
//!   varint   units           only when f = 1: visits in units of 1 / UNITS_PER_WALK
//! ```
//!
//! A varint is little-endian base 128 (LEB128): seven bits a byte, the high bit says that more follow.
//!
//! The estimate of the personalized PageRank of node *v* from this source is
//! `restart_prob * units(v) / (UNITS_PER_WALK * R)`: visits, not ends of walks, divided by the walks that were sent and
//! not by the visits that were seen, which keeps it unbiased (DESIGN, section 2).

use crate::ids::NodeId;
use crate::plan::{UNITS_PER_PACKET, UNITS_PER_WALK};

/// How often a node was visited, in units of 1 / [`UNITS_PER_WALK`] of a walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Visits {
    /// The node.
    pub node: NodeId,
    /// The units.
    pub units: u32,
}

/// A fingerprint in its packed form.
#[derive(Debug, Clone, Copy)]
pub struct Fingerprint<'b> {
    /// How many walks were sent.
    pub walks: u32,
    /// How many nodes were visited.
    pub entries: u32,
    bytes: &'b [u8],
}

/// Appends the packed fingerprint to `bytes`. `visits` ascend by node and have no zero units.
pub fn encode(walks: u32, visits: &[Visits], bytes: &mut Vec<u8>) {
    put_varint(walks.into(), bytes);
    put_varint(visits.len() as u64, bytes);
    let mut next = 0;
    for visit in visits {
        debug_assert!(next <= visit.node && visit.units != 0, "entries ascend and were visited");
        let other = visit.units != UNITS_PER_PACKET;
        put_varint(u64::from(visit.node - next) << 1 | u64::from(other), bytes);
        if other {
            put_varint(visit.units.into(), bytes);
        }
        next = visit.node + 1;
    }
}

impl<'b> Fingerprint<'b> {
    /// Reads the head of a packed fingerprint. `None` when the bytes cannot be one.
    #[must_use]
    pub fn decode(bytes: &'b [u8]) -> Option<Fingerprint<'b>> {
        let mut reader = bytes;
        let walks = u32::try_from(take_varint(&mut reader)?).ok().filter(|&walks| walks != 0)?;
        let entries = u32::try_from(take_varint(&mut reader)?).ok()?;
        Some(Fingerprint { walks, entries, bytes: reader })
    }

    /// One unit's worth of PageRank: `restart_prob / (UNITS_PER_WALK * walks)`.
    #[must_use]
    pub fn unit(&self, restart_prob: f64) -> f64 {
        restart_prob / (f64::from(UNITS_PER_WALK) * f64::from(self.walks))
    }

    /// Calls `visit` for every entry in ascending order; stops and returns false where the bytes make no sense.
    /// Cost: a few nanoseconds an entry.
    #[inline]
    #[must_use]
    pub fn for_each(&self, mut visit: impl FnMut(NodeId, u32)) -> bool {
        let mut reader = self.bytes;
        let mut next: u64 = 0;
        for _ in 0..self.entries {
            let Some(head) = take_varint(&mut reader) else { return false };
            let units = if head & 1 == 0 {
                UNITS_PER_PACKET
            } else {
                match take_varint(&mut reader).map(u32::try_from) {
                    Some(Ok(units)) => units,
                    _ => return false,
                }
            };
            let Ok(node) = NodeId::try_from(next.saturating_add(head >> 1)) else { return false };
            visit(node, units);
            next = u64::from(node) + 1;
        }
        reader.is_empty()
    }

    /// Whether a node that `is_sought` was visited; `None` where the bytes make no sense. Cost: a few nanoseconds an entry, up
    /// to the first of them.
    #[inline]
    #[must_use]
    pub fn visits_any(&self, mut is_sought: impl FnMut(NodeId) -> bool) -> Option<bool> {
        let (mut reader, mut next) = (self.bytes, 0u64);
        for _ in 0..self.entries {
            let head = take_varint(&mut reader)?;
            if head & 1 == 1 {
                u32::try_from(take_varint(&mut reader)?).ok()?;
            }
            let node = NodeId::try_from(next.saturating_add(head >> 1)).ok()?;
            if is_sought(node) {
                return Some(true);
            }
            next = u64::from(node) + 1;
        }
        reader.is_empty().then_some(false)
    }

    /// The entries as a list. `None` where the bytes make no sense.
    #[must_use]
    pub fn to_vec(&self) -> Option<Vec<Visits>> {
        let mut visits = Vec::new();
        self.for_each(|node, units| visits.push(Visits { node, units })).then_some(visits)
    }
}

fn put_varint(mut value: u64, bytes: &mut Vec<u8>) {
    while 0x80 <= value {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push((value & 0x7f) as u8);
}

#[inline]
fn take_varint(reader: &mut &[u8]) -> Option<u64> {
    let (&first, rest) = reader.split_first()?;
    *reader = rest;
    if first < 0x80 {
        return Some(first.into());
    }
    let mut value = u64::from(first & 0x7f);
    for shift in (7..63).step_by(7) {
        let (&byte, rest) = reader.split_first()?;
        *reader = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_packed_comes_back(
            walks in 1u32..1_000_000,
            visits in prop::collection::btree_map(0u32..u32::MAX - 1, 1u32..200, 0..200),
        ) {
            let visits: Vec<Visits> = visits.into_iter().map(|(node, units)| Visits { node, units }).collect();
            let mut bytes = Vec::new();
            encode(walks, &visits, &mut bytes);
            let fingerprint = Fingerprint::decode(&bytes).unwrap();
            prop_assert_eq!(fingerprint.walks, walks);
            prop_assert_eq!(&fingerprint.to_vec().unwrap(), &visits);
            let some = |node: u32| node % 7 == 3;
            prop_assert_eq!(fingerprint.visits_any(some), Some(visits.iter().any(|visit| some(visit.node))));
        }

        #[test]
        fn hostile_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Some(fingerprint) = Fingerprint::decode(&bytes) {
                prop_assert_eq!(fingerprint.visits_any(|_| false).is_none(), fingerprint.to_vec().is_none());
            }
        }
    }
}
