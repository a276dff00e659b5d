//! Types on their way from a loader through the graph builder to a file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::codes::Codes;
use crate::error::{Error, Result};
use crate::file::{FileKind, SectionWriter};
use crate::ids::StringTable;

pub(super) const NODE_NAMES: u32 = 1;
pub(super) const NODE_NAME_ENDS: u32 = 2;
pub(super) const NODE_CODES: u32 = 3;
pub(super) const EDGE_NAMES: u32 = 4;
pub(super) const EDGE_NAME_ENDS: u32 = 5;
pub(super) const SET_ENDS: u32 = 6;
pub(super) const SET_MEMBERS: u32 = 7;
pub(super) const EDGE_SETS: u32 = 8;

/// Types of items, each of which has one or none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct KindList {
    /// The names, ascending by bytes, without repetition.
    pub names: StringTable,
    /// One code an item: 0 for an item without a type, else 1 + the place of its name.
    pub codes: Codes,
}

impl KindList {
    /// The name of an item's type.
    ///
    /// # Panics
    /// When there is no such item.
    #[must_use]
    pub fn name(&self, item: usize) -> Option<&str> {
        self.codes.get(item).checked_sub(1).map(|place| self.names.get(place as usize))
    }

    /// How many items have a type. Cost: one pass.
    #[must_use]
    pub fn typed(&self) -> u64 {
        self.codes.iter().filter(|&code| code != 0).count() as u64
    }
}

/// The types of a graph's nodes and edges as they were read. Empty by default.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct KindLists {
    /// One code a node, by the rank of its id; `None` when nodes have no types.
    pub nodes: Option<KindList>,
    /// One code an edge of the list; `None` when edges have no types.
    pub edges: Option<KindList>,
}

/// The types of a graph that was built: of each node by its number, of each edge by its place in the rows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct KindTables {
    /// The types of nodes.
    pub nodes: Option<KindList>,
    /// The types of edges: names, sets of them, and each edge's set.
    pub edges: Option<(StringTable, KindSets, Codes)>,
}

impl KindTables {
    /// True when nothing has a type.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_none() && self.edges.is_none()
    }

    /// Writes the file of types. Returns its digest.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write(&self, path: &Path) -> Result<u128> {
        let sections = if self.nodes.is_some() { 3 } else { 0 } + if self.edges.is_some() { 5 } else { 0 };
        let mut writer = SectionWriter::create(path, FileKind::Types, sections)?;
        if let Some(KindList { names, codes }) = &self.nodes {
            write_names(&mut writer, [NODE_NAMES, NODE_NAME_ENDS], names)?;
            write_codes(&mut writer, NODE_CODES, codes)?;
        }
        if let Some((names, sets, codes)) = &self.edges {
            write_names(&mut writer, [EDGE_NAMES, EDGE_NAME_ENDS], names)?;
            write_sets(&mut writer, sets)?;
            write_codes(&mut writer, EDGE_SETS, codes)?;
        }
        writer.finish()
    }
}

pub(super) fn write_names(writer: &mut SectionWriter, [bytes, name_ends]: [u32; 2], names: &StringTable) -> Result<()> {
    writer.begin(bytes, 1)?;
    names.iter().try_for_each(|name| writer.append(name.as_bytes()))?;
    writer.section(name_ends, &ends(names.iter().map(str::len)))
}

pub(super) fn write_sets(writer: &mut SectionWriter, sets: &KindSets) -> Result<()> {
    writer.section(SET_ENDS, &ends(sets.sets.iter().map(Vec::len)))?;
    writer.section(SET_MEMBERS, &sets.sets.concat())
}

fn write_codes(writer: &mut SectionWriter, section: u32, codes: &Codes) -> Result<()> {
    writer.begin(section, u32::try_from(codes.width()).expect("one, two or four bytes"))?;
    writer.append(codes.as_bytes())
}

pub(super) fn ends(lengths: impl Iterator<Item = usize>) -> Vec<u32> {
    let mut end = 0u32;
    let next = |length: usize| {
        let sum = u32::try_from(length).ok().and_then(|length| end.checked_add(length));
        end = sum.expect("names and sets of types take less than four gibibytes");
        end
    };
    lengths.map(next).collect()
}

/// Sets of types, each of which is kept once. The first is empty; then come the sets of one type each, in the order of
/// their names: so the code of a [`KindList`] is also the number of a set. Larger ones follow as they came about, or, once all
/// edges have theirs, [in order](KindSets::in_order).
#[derive(Debug, Clone, PartialEq)]
pub struct KindSets {
    sets: Vec<Vec<u32>>,
    /// Numbers of the sets of two types and more.
    larger: BTreeMap<Vec<u32>, u32>,
}

impl KindSets {
    /// The empty set and one set for each of `kinds` types.
    #[must_use]
    pub fn of_single(kinds: u32) -> KindSets {
        let sets = std::iter::once(Vec::new()).chain((0..kinds).map(|kind| vec![kind])).collect();
        KindSets { sets, larger: BTreeMap::new() }
    }

    /// The sets that edges of these types begin with.
    ///
    /// # Errors
    /// When there are more types than 32 bits tell apart.
    pub fn of_names(names: &StringTable) -> Result<KindSets> {
        let kinds = u32::try_from(names.len()).ok().filter(|&kinds| kinds < u32::MAX);
        let what = || Error::Graph { what: "edges have more than 2^32 types".to_owned() };
        kinds.map(KindSets::of_single).ok_or_else(what)
    }

    /// The sets of one type each, and those of `larger` behind them.
    pub(super) fn with_larger(kinds: u32, larger: BTreeSet<Vec<u32>>) -> KindSets {
        let mut sets = KindSets::of_single(kinds);
        let first = sets.sets.len();
        sets.sets.extend(larger.iter().cloned());
        let numbers = (first..).map(|number| u32::try_from(number).expect("a set for each edge at most"));
        sets.larger = larger.into_iter().zip(numbers).collect();
        sets
    }

    /// These sets and the codes of edges, numbered otherwise: larger sets ascend by their members, and those that no edge has
    /// are left out; codes are as wide as the number of sets needs. So numbers do not tell in which order edges were added up.
    /// Cost: two passes over the codes.
    ///
    /// # Panics
    /// When a code is no number of a set.
    #[must_use]
    pub fn in_order(self, codes: Codes) -> (KindSets, Codes) {
        let singles = self.sets.len() - self.larger.len();
        let mut occurs = vec![false; self.sets.len()];
        codes.iter().for_each(|code| occurs[code as usize] = true);
        let mut number_of: Vec<u32> = (0..).take(self.sets.len()).collect();
        let old = self.larger.into_iter().filter(|&(_, number)| occurs[number as usize]).collect::<Vec<_>>();
        let (larger, old): (BTreeSet<Vec<u32>>, Vec<u32>) = old.into_iter().unzip();
        let kinds = u32::try_from(singles - 1).expect("there are no more than were asked for");
        (kinds + 1..).zip(old).for_each(|(new, old)| number_of[old as usize] = new);
        let sets = KindSets::with_larger(kinds, larger);
        let codes = codes.recoded(sets.largest(), |code| number_of[code as usize]);
        (sets, codes)
    }

    /// The number of the last set.
    pub(super) fn largest(&self) -> u32 {
        u32::try_from(self.sets.len() - 1).expect("a set for each edge at most")
    }

    /// The number of a set of two types or more, by its members.
    pub(super) fn number(&self, members: &[u32]) -> Option<u32> {
        self.larger.get(members).copied()
    }

    /// The number of the set that holds what two sets hold. Cost: constant when one holds nothing else.
    ///
    /// # Panics
    /// When there are no such sets, or 2^32 of them.
    pub fn union(&mut self, one: u32, two: u32) -> u32 {
        if one == two || two == 0 {
            return one;
        }
        let mut both = [self.sets[one as usize].as_slice(), self.sets[two as usize].as_slice()].concat();
        both.sort_unstable();
        both.dedup();
        self.of(&both)
    }

    /// The number of the set of these types, by the places of their names, ascending; it is kept if it is new.
    ///
    /// # Panics
    /// When there are 2^32 sets.
    pub fn of(&mut self, members: &[u32]) -> u32 {
        match members {
            [] => 0,
            [kind] => kind + 1,
            members => {
                let new = u32::try_from(self.sets.len()).expect("a set for each edge at most");
                *self.larger.entry(members.to_vec()).or_insert_with_key(|members| {
                    self.sets.push(members.clone());
                    new
                })
            }
        }
    }

    /// How many sets there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sets.len()
    }

    /// Never true: one set is empty, and it is always there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }

    /// The types in a set, by the places of their names, ascending.
    ///
    /// # Panics
    /// When there is no such set.
    #[must_use]
    pub fn members(&self, set: u32) -> &[u32] {
        &self.sets[set as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_kept_once_however_it_comes_about() {
        let mut sets = KindSets::of_single(3);
        let (first_two, outer) = (sets.union(1, 2), sets.union(3, 1));
        assert_eq!((sets.members(first_two), sets.members(outer)), (&[0, 1][..], &[0, 2][..]));
        assert_eq!(sets.union(2, 1), first_two);
        assert_eq!(sets.union(first_two, 2), first_two);
        assert_eq!([sets.union(0, 0), sets.union(0, 3), sets.union(3, 0), sets.union(2, 2)], [0, 3, 3, 2]);
        let all = sets.union(first_two, outer);
        assert_eq!(sets.members(all), [0, 1, 2]);
        assert_eq!(sets.union(2, outer), all);
    }

    #[test]
    fn numbers_in_order_do_not_tell_how_sets_came_about() {
        let numbered = |unions: &[[u32; 3]]| {
            let mut sets = KindSets::of_single(3);
            let mut codes = Codes::zeros(0);
            for &[one, two, three] in unions {
                let both = sets.union(one, two);
                codes.push(sets.union(both, three));
            }
            sets.in_order(codes)
        };
        let (sets, codes) = numbered(&[[3, 2, 3], [1, 2, 3], [1, 3, 1], [2, 2, 0]]);
        let members: Vec<&[u32]> = (0..=sets.largest()).map(|set| sets.members(set)).collect();
        assert_eq!(members, [&[][..], &[0], &[1], &[2], &[0, 1, 2], &[0, 2], &[1, 2]]);
        assert_eq!(codes.iter().collect::<Vec<_>>(), [6, 4, 5, 2]);
        let (others, codes) = numbered(&[[2, 0, 2], [3, 1, 0], [3, 1, 2], [2, 3, 2]]);
        assert_eq!((others, codes.iter().collect::<Vec<_>>()), (sets, vec![2, 5, 4, 6]));
    }
}
