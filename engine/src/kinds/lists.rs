//! Types on their way from a loader through the graph builder to a file.

use std::collections::BTreeMap;
use std::path::Path;

use super::codes::Codes;
use crate::error::Result;
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
            writer.section(SET_ENDS, &ends(sets.sets.iter().map(Vec::len)))?;
            writer.section(SET_MEMBERS, &sets.sets.concat())?;
            write_codes(&mut writer, EDGE_SETS, codes)?;
        }
        writer.finish()
    }
}

fn write_names(writer: &mut SectionWriter, [bytes, name_ends]: [u32; 2], names: &StringTable) -> Result<()> {
    writer.begin(bytes, 1)?;
    names.iter().try_for_each(|name| writer.append(name.as_bytes()))?;
    writer.section(name_ends, &ends(names.iter().map(str::len)))
}

fn write_codes(writer: &mut SectionWriter, section: u32, codes: &Codes) -> Result<()> {
    match codes {
        Codes::Bytes(codes) => writer.section(section, codes),
        Codes::Shorts(codes) => writer.section(section, codes),
        Codes::Words(codes) => writer.section(section, codes),
    }
}

fn ends(lengths: impl Iterator<Item = usize>) -> Vec<u32> {
    let mut end = 0u32;
    let next = |length: usize| {
        let sum = u32::try_from(length).ok().and_then(|length| end.checked_add(length));
        end = sum.expect("names and sets of types take less than four gibibytes");
        end
    };
    lengths.map(next).collect()
}

/// Sets of types, each of which is kept once. The first is empty; then come the sets of one type each, in the order of
/// their names: so the code of a [`KindList`] is also the number of a set.
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
        if let [kind] = both[..] {
            return kind + 1;
        }
        let new = u32::try_from(self.sets.len()).expect("a set for each edge at most");
        *self.larger.entry(both).or_insert_with_key(|both| {
            self.sets.push(both.clone());
            new
        })
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
}
