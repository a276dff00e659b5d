//! Labels of a graph that has grown: those of its old nodes as they are, and beside them the ids of the new ones.
//!
//! New nodes come last, and so the labels of a large graph need not be made again for a handful of them; only ranks have to
//! make room. Integers stay integers while all new ids are; otherwise all ids are strings from then on, as a loader would
//! have it.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fst::raw::Fst;
use fst::{IntoStreamer, Streamer};

use super::{INTEGERS, Ids, Labels, NODES, Order, RANKS, STRINGS, Sink, build_fst, prefix_ranges};
use crate::error::{Error, Result};
use crate::file::{FileKind, Section, SectionWriter};
use crate::ids::{ExternalIds, MAX_NODES, NodeId, StringTable, canonical_integer};

/// The ids of nodes that were added, ascending.
pub(super) struct Added {
    pub(super) ids: ExternalIds,
    /// The node of each.
    pub(super) nodes: Vec<NodeId>,
    /// How many ids of other nodes come before each.
    before: Vec<u32>,
    /// The place among these of each added node, by its number.
    places: Vec<u32>,
}

impl Added {
    pub(super) fn node(&self, id: &str) -> Option<NodeId> {
        Some(self.nodes[self.ids.rank(id)?])
    }

    pub(super) fn rank(&self, place: usize) -> u32 {
        self.before[place] + number(place)
    }

    /// What becomes of the rank of a node that was there before.
    pub(super) fn rank_of_other(&self, rank: u32) -> u32 {
        rank + number(self.before.partition_point(|&before| before <= rank))
    }

    fn with_prefix(&self, prefix: &str, most: usize) -> Vec<String> {
        match &self.ids {
            ExternalIds::Integers(ids) => {
                let ranges = prefix_ranges(prefix).into_iter();
                let inside = ranges.flat_map(|range| {
                    let first = ids.partition_point(|id| id < range.start());
                    ids[first..].iter().take_while(move |id| *id <= range.end())
                });
                inside.take(most).map(i64::to_string).collect()
            }
            ExternalIds::Strings(table) => {
                let with = table.iter().filter(|id| id.starts_with(prefix));
                with.take(most).map(str::to_owned).collect()
            }
        }
    }
}

impl Labels {
    /// The same labels and those of new nodes, in the order of their numbers. Cost: that of the ids that were added so far;
    /// where integers become strings, that of all ids.
    ///
    /// # Errors
    /// When an id is one of another node, nodes are too many, or the label file is damaged.
    pub fn with_added<S: AsRef<str>>(&self, ids: &[S]) -> Result<Labels> {
        if ids.is_empty() {
            return Ok(self.clone());
        }
        let all = self.len() as u64 + ids.len() as u64;
        if MAX_NODES < all {
            return Err(Error::Graph { what: format!("{all} nodes, at most {MAX_NODES} are possible") });
        }
        let first = number(self.first_added());
        let integers = ids.iter().all(|id| canonical_integer(id.as_ref().as_bytes()).is_some());
        let as_they_are = self.first_added() != 0 && (integers || !self.are_integers());
        let mut entries: Vec<(String, NodeId)> = Vec::with_capacity(ids.len());
        let next = if as_they_are { first } else { 0 };
        for node in next..number(self.len()) {
            entries.push((self.id(node)?, node));
        }
        entries.extend(ids.iter().map(|id| id.as_ref().to_owned()).zip(number(self.len())..));
        if integers && (self.are_integers() || self.is_empty()) {
            entries.sort_unstable_by_key(|(id, _)| canonical_integer(id.as_bytes()));
        } else {
            entries.sort_unstable();
        }
        if let Some(pair) = entries.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(known(&pair[0].0));
        }
        if !as_they_are {
            return Labels::of_all(&entries, integers && (self.are_integers() || self.is_empty()));
        }
        let mut added = Added {
            ids: external(&entries, self.are_integers()),
            nodes: entries.iter().map(|&(_, node)| node).collect(),
            before: Vec::with_capacity(entries.len()),
            places: vec![0; entries.len()],
        };
        for (place, (id, node)) in (0..).zip(&entries) {
            added.before.push(self.ids.before(id).ok_or_else(|| known(id))?);
            added.places[(node - first) as usize] = place;
        }
        let path = PathBuf::from("(memory)");
        Ok(Labels { path, digest: 0, added: Some(Arc::new(added)), ..self.clone() })
    }

    /// Writes the label file of these labels, whatever they were made from: the very file that [`Labels::write`] writes of
    /// the same ids. Returns its digest. Memory: eight bytes a node; integers once more.
    ///
    /// # Errors
    /// When a label file is damaged, or the disk refuses.
    pub fn write_all(&self, path: &Path) -> Result<u128> {
        let nodes = number(self.len());
        let ranks = (0..nodes).map(|node| self.rank(node)).collect::<Result<Vec<u32>>>()?;
        let mut node_of_rank = vec![NodeId::MAX; ranks.len()];
        for (node, &rank) in (0..nodes).zip(&ranks) {
            *node_of_rank.get_mut(rank as usize).ok_or_else(|| self.damaged())? = node;
        }
        if node_of_rank.contains(&NodeId::MAX) {
            return Err(self.damaged());
        }
        let mut writer = SectionWriter::create(path, FileKind::Labels, 3)?;
        writer.section(RANKS, &ranks)?;
        writer.section(NODES, &node_of_rank)?;
        match &self.ids {
            Ids::Integers(_) => {
                let ids = node_of_rank.iter().map(|&node| self.integer(node)).collect::<Result<Vec<i64>>>()?;
                writer.section(INTEGERS, &ids)?;
            }
            Ids::Strings(fst) => {
                writer.begin(STRINGS, 1)?;
                let mut sink = Sink { writer: &mut writer, failure: None };
                let built = merge(&mut sink, fst, self.added.as_deref());
                if let Some(failure) = sink.failure {
                    return Err(failure);
                }
                built.map_err(|_| self.damaged())?;
            }
        }
        writer.finish()
    }

    /// Labels in memory of all nodes; entries ascend by id.
    fn of_all(entries: &[(String, NodeId)], integers: bool) -> Result<Labels> {
        let ids = match external(entries, integers) {
            ExternalIds::Integers(ids) => Ids::Integers(ids.into()),
            ExternalIds::Strings(table) => {
                let mut bytes = Vec::new();
                let refuse = |error: fst::Error| Error::Graph { what: format!("its ids: {error}") };
                build_fst(&mut bytes, table.iter()).map_err(refuse)?;
                Ids::Strings(Box::new(Fst::new(Section::from(bytes)).map_err(refuse)?))
            }
        };
        let node_of_rank: Vec<NodeId> = entries.iter().map(|&(_, node)| node).collect();
        let mut rank_of_node = vec![0; entries.len()];
        (0..).zip(&node_of_rank).for_each(|(rank, &node)| rank_of_node[node as usize] = rank);
        let order = Some(Order { rank_of_node: rank_of_node.into(), node_of_rank: node_of_rank.into() });
        Ok(Labels { path: PathBuf::from("(memory)"), digest: 0, order, ids, added: None })
    }

    /// A node's place among those that were added, if it was.
    pub(super) fn among_added(&self, node: NodeId) -> Option<(&Added, usize)> {
        let added = self.added.as_deref()?;
        let at = (node as usize).checked_sub(self.first_added())?;
        Some((added, *added.places.get(at)? as usize))
    }

    /// Takes ids of added nodes that begin with a prefix in among those of others.
    pub(super) fn and_added(&self, mut found: Vec<String>, prefix: &str, most: usize) -> Vec<String> {
        let Some(added) = &self.added else { return found };
        found.extend(added.with_prefix(prefix, most));
        if self.are_integers() {
            found.sort_unstable_by_key(|id| canonical_integer(id.as_bytes()));
        } else {
            found.sort_unstable();
        }
        found.truncate(most);
        found
    }
}

impl Ids {
    /// How many ids come before one; `None` when it is one of them.
    fn before(&self, id: &str) -> Option<u32> {
        match self {
            Ids::Integers(ids) => ids.binary_search(&canonical_integer(id.as_bytes())?).err().map(number),
            Ids::Strings(fst) => match fst.range().ge(id).into_stream().next() {
                Some((found, _)) if found == id.as_bytes() => None,
                Some((_, rank)) => u32::try_from(rank.value()).ok(),
                None => Some(number(fst.len())),
            },
        }
    }
}

/// One fst of two ascending lists of ids.
fn merge(sink: &mut Sink<'_>, fst: &Fst<Section<u8>>, added: Option<&Added>) -> fst::Result<()> {
    let mut builder = fst::MapBuilder::new(sink)?;
    let none = ExternalIds::Strings(StringTable::default());
    let ExternalIds::Strings(added) = added.map_or(&none, |added| &added.ids) else { return builder.finish() };
    let (mut rank, mut at) = (0, 0);
    let mut insert = |id: &[u8]| {
        builder.insert(id, rank)?;
        rank += 1;
        Ok::<(), fst::Error>(())
    };
    let mut stream = fst.stream();
    while let Some((id, _)) = stream.next() {
        while at < added.len() && added.get(at).as_bytes().cmp(id) == Ordering::Less {
            insert(added.get(at).as_bytes())?;
            at += 1;
        }
        insert(id)?;
    }
    (at..added.len()).try_for_each(|at| insert(added.get(at).as_bytes()))?;
    builder.finish()
}

fn external(entries: &[(String, NodeId)], integers: bool) -> ExternalIds {
    if integers {
        let ids = entries.iter().filter_map(|(id, _)| canonical_integer(id.as_bytes()));
        return ExternalIds::Integers(ids.collect());
    }
    let mut table = StringTable::with_capacity(entries.len(), entries.iter().map(|(id, _)| id.len()).sum());
    entries.iter().for_each(|(id, _)| table.push(id));
    ExternalIds::Strings(table)
}

fn known(id: &str) -> Error {
    Error::Graph { what: format!("{id:?} cannot be added: it is the id of a node already") }
}

fn number(count: usize) -> u32 {
    u32::try_from(count).expect("nodes are numbered in 32 bits")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The labels of these ids, by node, as a loader writes them.
    fn written(path: &Path, ids: &[String]) -> Labels {
        let integers = !ids.is_empty() && ids.iter().all(|id| canonical_integer(id.as_bytes()).is_some());
        let mut entries: Vec<(String, NodeId)> = ids.iter().cloned().zip(0..).collect();
        entries.sort_unstable_by_key(|(id, _)| (integers.then(|| canonical_integer(id.as_bytes())), id.clone()));
        let mut ranks = vec![0; ids.len()];
        (0..).zip(&entries).for_each(|(rank, &(_, node))| ranks[node as usize] = rank);
        Labels::write(path, &external(&entries, integers), &ranks).unwrap();
        Labels::open(path).unwrap()
    }

    fn id() -> impl Strategy<Value = String> {
        prop_oneof![12 => "-?[1-9][0-9]{0,2}", 1 => "[ab0]{0,3}"]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        /// Oracle: the label file of all ids.
        #[test]
        fn grown_labels_say_what_those_of_all_ids_say(
            ids in prop::collection::vec(id(), 0..40),
            cuts in prop::array::uniform3(any::<prop::sample::Index>()),
            strings: bool,
        ) {
            let mut ids = ids;
            ids.iter_mut().filter(|_| strings).for_each(|id| id.insert(0, 'n'));
            let mut seen = std::collections::BTreeSet::new();
            ids.retain(|id| seen.insert(id.clone()));
            let mut cuts = cuts.map(|cut| cut.index(ids.len() + 1));
            cuts.sort_unstable();
            let directory = tempfile::tempdir().unwrap();
            let path = |name: &str| directory.path().join(name);
            let mut grown = written(&path("base"), &ids[..cuts[0]]);
            for part in [cuts[0]..cuts[1], cuts[1]..cuts[2], cuts[2]..ids.len()] {
                grown = grown.with_added(&ids[part]).unwrap();
            }
            let whole = written(&path("whole"), &ids);
            let digest = grown.write_all(&path("grown")).unwrap();
            prop_assert_eq!(digest, whole.digest());
            prop_assert!(std::fs::read(path("grown")).unwrap() == std::fs::read(path("whole")).unwrap());
            prop_assert_eq!((grown.len(), grown.are_integers()), (whole.len(), whole.are_integers()));
            for (node, id) in (0..).zip(&ids) {
                prop_assert_eq!(&grown.id(node).unwrap(), id);
                prop_assert_eq!(grown.node(id).unwrap(), Some(node));
                prop_assert_eq!(grown.rank(node).unwrap(), whole.rank(node).unwrap());
                if whole.are_integers() {
                    prop_assert_eq!(grown.integer(node).unwrap(), whole.integer(node).unwrap());
                }
                for most in [1, 3, 100] {
                    let prefix: String = id.chars().take(2).collect();
                    prop_assert_eq!(grown.with_prefix(&prefix, most).unwrap(), whole.with_prefix(&prefix, most).unwrap());
                }
                let again = grown.with_added(std::slice::from_ref(id));
                let refused = matches!(again, Err(Error::Graph { .. }));
                prop_assert!(refused);
            }
            prop_assert_eq!(grown.node("no such id").unwrap(), None);
            prop_assert!(grown.rank(number(ids.len())).is_err() && grown.id(number(ids.len())).is_err());
        }
    }
}
