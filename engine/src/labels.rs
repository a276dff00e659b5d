//! The label file: from an external id to a node and back.
//!
//! File `labels.wpl` (container: [`crate::file`]), *n* nodes:
//!
//! ```text
//! section  element   count   what and why
//!       1  u32       n       rank of each node (ties between equal scores go to the smaller rank)
//!       2  u32       n       node of each rank                             (1 and 2 not in a shard's labels: there a
//!                            node's rank is its number)
//!       3  i64       n       ids by rank, ascending                       (integer ids only)
//!       4  u8        ...     fst map from id to rank (crate fst); since ranks ascend with ids it also leads
//!                            from rank to id, so that no second copy of the strings is kept   (string ids only)
//! ```

mod added;

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fst::raw::Fst;
use fst::{IntoStreamer, Streamer};
use zerocopy::IntoBytes;

use self::added::Added;
use crate::error::{Error, Result};
use crate::file::{FileKind, Section, SectionWriter, SectionedFile};
use crate::ids::{ExternalIds, MAX_NODES, NodeId, canonical_integer};

const RANKS: u32 = 1;
const NODES: u32 = 2;
const INTEGERS: u32 = 3;
const STRINGS: u32 = 4;

/// How many numbers are written at once.
const NUMBERS_AT_ONCE: u32 = 1 << 13;

/// The ids of a graph's nodes. Clones share what is mapped.
#[derive(Clone)]
pub struct Labels {
    path: PathBuf,
    digest: u128,
    /// None where a node's rank is its number.
    order: Option<Order>,
    ids: Ids,
    /// Nodes that are new since.
    added: Option<Arc<Added>>,
}

#[derive(Clone)]
struct Order {
    rank_of_node: Section<u32>,
    node_of_rank: Section<u32>,
}

#[derive(Clone)]
enum Ids {
    Integers(Section<i64>),
    Strings(Box<Fst<Section<u8>>>),
}

impl std::fmt::Debug for Labels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Labels").field("path", &self.path).field("nodes", &self.len()).finish_non_exhaustive()
    }
}

impl Labels {
    /// Writes the label file. Memory: the fst of string ids is streamed through a few kilobytes.
    ///
    /// # Errors
    /// When the disk refuses.
    ///
    /// # Panics
    /// When ids are not ascending or `rank_of_node` is no permutation of the ranks.
    pub fn write(path: &Path, ids: &ExternalIds, rank_of_node: &[u32]) -> Result<u128> {
        let mut node_of_rank = vec![0u32; rank_of_node.len()];
        for (node, &rank) in rank_of_node.iter().enumerate() {
            node_of_rank[rank as usize] = u32::try_from(node).expect("nodes are numbered in 32 bits");
        }
        let mut writer = SectionWriter::create(path, FileKind::Labels, 3)?;
        writer.section(RANKS, rank_of_node)?;
        writer.section(NODES, &node_of_rank)?;
        write_ids(&mut writer, ids)?;
        writer.finish()
    }

    /// Writes the label file of a shard, whose nodes are numbered as their ids are sorted.
    ///
    /// # Errors
    /// When the disk refuses.
    ///
    /// # Panics
    /// When ids are not ascending.
    pub fn write_in_order(path: &Path, ids: &ExternalIds) -> Result<u128> {
        let mut writer = SectionWriter::create(path, FileKind::Labels, 1)?;
        write_ids(&mut writer, ids)?;
        writer.finish()
    }

    /// Writes the label file of a graph whose nodes are numbered as their ids are sorted, from the labels of its shards, in
    /// order. It is the very file that [`Labels::write`] writes. Memory: a few kilobytes.
    ///
    /// # Errors
    /// When a shard's labels are damaged or not in order, or the disk refuses.
    pub fn gather(path: &Path, shards: &[&Labels]) -> Result<u128> {
        let nodes: usize = shards.iter().map(|labels| labels.len()).sum();
        let nodes =
            NodeId::try_from(nodes).map_err(|_| Error::Graph { what: format!("{nodes} nodes are too many") })?;
        let mut writer = SectionWriter::create(path, FileKind::Labels, 3)?;
        for section in [RANKS, NODES] {
            writer.begin(section, 4)?;
            for first in (0..nodes).step_by(NUMBERS_AT_ONCE as usize) {
                let end = nodes.min(first.saturating_add(NUMBERS_AT_ONCE));
                writer.append((first..end).collect::<Vec<NodeId>>().as_bytes())?;
            }
        }
        if shards.iter().all(|labels| labels.are_integers()) {
            writer.begin(INTEGERS, 8)?;
            let mut last = None;
            for labels in shards {
                let Ids::Integers(ids) = &labels.ids else { return Err(labels.damaged()) };
                let behind = ids.first().is_none_or(|first| last.is_none_or(|last| last < *first));
                if !behind || !ids.is_sorted_by(|low, high| low < high) {
                    return Err(labels.damaged());
                }
                last = ids.last().copied().or(last);
                writer.append(ids.as_bytes())?;
            }
        } else {
            writer.begin(STRINGS, 1)?;
            gather_strings(&mut writer, shards)?;
        }
        writer.finish()
    }

    /// Maps a label file. Cost: constant for integers; the fst of string ids is read once, because a damaged one
    /// could not be walked safely.
    ///
    /// # Errors
    /// When the file is not a whole label file of this version.
    pub fn open(path: &Path) -> Result<Labels> {
        let file = SectionedFile::open(path, FileKind::Labels)?;
        let order = if file.has(RANKS) {
            Some(Order { rank_of_node: file.section(RANKS)?, node_of_rank: file.section(NODES)? })
        } else {
            None
        };
        let ids = if file.has(INTEGERS) {
            Ids::Integers(file.section(INTEGERS)?)
        } else {
            file.verify_section(STRINGS)?;
            let fst = Fst::new(file.section::<u8>(STRINGS)?);
            Ids::Strings(Box::new(fst.map_err(|error| Error::damaged(path, format!("the ids: {error}")))?))
        };
        let labels = Labels { path: path.to_owned(), digest: file.digest(), order, ids, added: None };
        let count = labels.len();
        match &labels.order {
            Some(order) if [order.rank_of_node.len(), order.node_of_rank.len()] != [count, count] => {
                Err(Error::damaged(path, "ids and node order differ in length"))
            }
            _ => Ok(labels),
        }
    }

    /// The labels of a graph whose nodes are numbered as their ids are sorted, in memory and without a file: see
    /// [`Graph::in_memory`](crate::graph::Graph::in_memory). Cost: integers are copied; of strings an fst is built, some
    /// hundred nanoseconds an id.
    ///
    /// # Errors
    /// When ids are not ascending, or too many.
    pub fn in_order(ids: &ExternalIds) -> Result<Labels> {
        let refuse = |what: String| Error::Graph { what };
        if MAX_NODES < ids.len() as u64 {
            return Err(refuse(format!("{} nodes, at most {MAX_NODES} are possible", ids.len())));
        }
        let ids = match ids {
            ExternalIds::Integers(integers) if integers.is_sorted_by(|low, high| low < high) => {
                Ids::Integers(integers.clone().into())
            }
            ExternalIds::Integers(_) => return Err(refuse("its ids are not ascending".to_owned())),
            ExternalIds::Strings(table) => {
                let mut bytes = Vec::new();
                let built = build_fst(&mut bytes, table.iter());
                built.map_err(|error| refuse(format!("its ids are not ascending: {error}")))?;
                let fst = Fst::new(Section::from(bytes));
                Ids::Strings(Box::new(fst.map_err(|error| refuse(format!("its ids: {error}")))?))
            }
        };
        Ok(Labels { path: PathBuf::from("(memory)"), digest: 0, order: None, ids, added: None })
    }

    /// The digest of the label file; 0 for labels that were never written.
    #[must_use]
    pub fn digest(&self) -> u128 {
        self.digest
    }

    /// How many nodes have a label: all of them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.first_added() + self.added.as_ref().map_or(0, |added| added.nodes.len())
    }

    /// How many nodes are not added: the number of the first that is.
    fn first_added(&self) -> usize {
        match &self.ids {
            Ids::Integers(ids) => ids.len(),
            Ids::Strings(fst) => fst.len(),
        }
    }

    /// True when there is no node.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True when ids are integers.
    #[must_use]
    pub fn are_integers(&self) -> bool {
        matches!(self.ids, Ids::Integers(_))
    }

    /// The node with an external id. Cost: proportional to the id's length, or a binary search over integers.
    ///
    /// # Errors
    /// When the label file is damaged.
    pub fn node(&self, id: &str) -> Result<Option<NodeId>> {
        let rank = match &self.ids {
            Ids::Integers(ids) => canonical_integer(id.as_bytes()).and_then(|integer| ids.binary_search(&integer).ok()),
            Ids::Strings(fst) => fst.get(id).and_then(|output| usize::try_from(output.value()).ok()),
        };
        let Some(rank) = rank else { return Ok(self.added.as_ref().and_then(|added| added.node(id))) };
        let node = match &self.order {
            Some(order) => order.node_of_rank.get(rank).copied(),
            None => NodeId::try_from(rank).ok(),
        };
        let node = node.filter(|&node| (node as usize) < self.first_added());
        node.map(Some).ok_or_else(|| self.damaged())
    }

    /// The external id of a node. Cost: proportional to the id's length.
    ///
    /// # Errors
    /// When the label file is damaged.
    pub fn id(&self, node: NodeId) -> Result<String> {
        if let Some((added, place)) = self.among_added(node) {
            return Ok(added.ids.text(place));
        }
        self.text(self.own_rank(node)?)
    }

    /// The id at a rank among those that are not added.
    fn text(&self, rank: u32) -> Result<String> {
        match &self.ids {
            Ids::Integers(ids) => Ok(ids.get(rank as usize).ok_or_else(|| self.damaged())?.to_string()),
            Ids::Strings(fst) => {
                let key = fst.get_key(u64::from(rank)).ok_or_else(|| self.damaged())?;
                String::from_utf8(key).map_err(|_| self.damaged())
            }
        }
    }

    /// The external id of a node of a graph whose ids are integers. Cost: two reads.
    ///
    /// # Errors
    /// When the label file is damaged.
    ///
    /// # Panics
    /// When ids are strings: see [`Labels::are_integers`].
    pub fn integer(&self, node: NodeId) -> Result<i64> {
        let Ids::Integers(ids) = &self.ids else { panic!("these ids are strings") };
        if let Some((Added { ids: ExternalIds::Integers(added), .. }, place)) = self.among_added(node) {
            return Ok(added[place]);
        }
        ids.get(self.own_rank(node)? as usize).copied().ok_or_else(|| self.damaged())
    }

    /// The rank of a node's id among all ids: what ties are broken by. Cost: constant; a binary search over added nodes.
    ///
    /// # Errors
    /// When the node has no label: the label file belongs to another graph.
    pub fn rank(&self, node: NodeId) -> Result<u32> {
        let Some(added) = &self.added else { return self.own_rank(node) };
        match self.among_added(node) {
            Some((_, place)) => Ok(added.rank(place)),
            None => self.own_rank(node).map(|rank| added.rank_of_other(rank)),
        }
    }

    /// The rank of a node among those that are not added.
    fn own_rank(&self, node: NodeId) -> Result<u32> {
        let rank = match &self.order {
            Some(order) => order.rank_of_node.get(node as usize).copied(),
            None => Some(node).filter(|&node| (node as usize) < self.first_added()),
        };
        rank.ok_or_else(|| self.damaged())
    }

    /// Up to `most` ids that begin with a prefix, in ascending order: strings by bytes, integers as numbers. An integer begins
    /// with a prefix when its decimal text does: 12 begins 12, 120 and 1207, `-` begins all below 0.
    ///
    /// Cost: proportional to what is found, and for integers up to 19 binary searches.
    ///
    /// # Errors
    /// When the label file is damaged.
    pub fn with_prefix(&self, prefix: &str, most: usize) -> Result<Vec<String>> {
        let mut found = Vec::new();
        match &self.ids {
            Ids::Integers(ids) => {
                for range in prefix_ranges(prefix) {
                    let first = ids.partition_point(|id| id < range.start());
                    let inside = ids[first..].iter().take_while(|id| *id <= range.end());
                    found.extend(inside.take(most - found.len()).map(i64::to_string));
                }
            }
            Ids::Strings(fst) => {
                let mut stream = fst.range().ge(prefix).into_stream();
                while found.len() < most {
                    let Some((id, _)) = stream.next().filter(|(id, _)| id.starts_with(prefix.as_bytes())) else {
                        break;
                    };
                    found.push(String::from_utf8(id.to_vec()).map_err(|_| self.damaged())?);
                }
            }
        }
        Ok(self.and_added(found, prefix, most))
    }

    /// Reads every byte of a label file, compares it with the checksums, and checks that ids ascend and that the node
    /// order is a permutation.
    ///
    /// # Errors
    /// When any byte is not the one that was written.
    pub fn verify(path: &Path) -> Result<()> {
        SectionedFile::open(path, FileKind::Labels)?.verify()?;
        let labels = Labels::open(path)?;
        let inverse = |order: &Order| {
            let back = |(node, &rank): (usize, &u32)| {
                order.node_of_rank.get(rank as usize).is_some_and(|&back| back as usize == node)
            };
            order.rank_of_node.iter().enumerate().all(back)
        };
        let ascending = match &labels.ids {
            Ids::Integers(ids) => ids.is_sorted_by(|low, high| low < high),
            Ids::Strings(_) => true, // an fst cannot hold keys in another order
        };
        if ascending && labels.order.as_ref().is_none_or(inverse) { Ok(()) } else { Err(labels.damaged()) }
    }

    fn damaged(&self) -> Error {
        Error::damaged(&self.path, "ids and node order do not fit together")
    }
}

/// The integers whose text begins with a prefix, as ranges, ascending: for *p* above zero those of *k* more digits are
/// `p 10^k ..= (p + 1) 10^k - 1`.
fn prefix_ranges(prefix: &str) -> Vec<RangeInclusive<i64>> {
    let (negative, digits) = prefix.strip_prefix('-').map_or((false, prefix), |digits| (true, digits));
    match digits.as_bytes() {
        [] => return vec![i64::MIN..=if negative { -1 } else { i64::MAX }],
        [b'0'] if !negative => return vec![0..=0],
        [b'0', ..] => return Vec::new(),
        digits if !digits.iter().all(u8::is_ascii_digit) => return Vec::new(),
        _ => {}
    }
    // More digits than u64 holds are more than i64 has.
    let Ok(leading) = digits.parse::<u64>() else { return Vec::new() };
    let (mut low, mut width, mut ranges) = (i128::from(leading), 1, Vec::new());
    let within = |bound: i128| i64::try_from(bound).unwrap_or(if bound < 0 { i64::MIN } else { i64::MAX });
    loop {
        let (first, last) = if negative { (1 - low - width, -low) } else { (low, low + width - 1) };
        if i128::from(i64::MAX) < first || last < i128::from(i64::MIN) {
            break;
        }
        ranges.push(within(first)..=within(last));
        (low, width) = (low * 10, width * 10);
    }
    if negative {
        ranges.reverse();
    }
    ranges
}

fn write_ids(writer: &mut SectionWriter, ids: &ExternalIds) -> Result<()> {
    match ids {
        ExternalIds::Integers(integers) => writer.section(INTEGERS, integers),
        ExternalIds::Strings(table) => {
            writer.begin(STRINGS, 1)?;
            let mut sink = Sink { writer, failure: None };
            let built = build_fst(&mut sink, table.iter());
            if let Some(failure) = sink.failure {
                return Err(failure);
            }
            built.expect("ids ascend and writing succeeded");
            Ok(())
        }
    }
}

/// One fst of the ids of all shards. Ids come from files: what is not in order is damage.
fn gather_strings(writer: &mut SectionWriter, shards: &[&Labels]) -> Result<()> {
    let mut sink = Sink { writer, failure: None };
    let mut damaged = None;
    let mut build = || -> fst::Result<()> {
        let mut builder = fst::MapBuilder::new(&mut sink)?;
        let mut rank = 0;
        for labels in shards {
            let Ids::Strings(ids) = &labels.ids else {
                damaged = Some(labels.damaged());
                continue;
            };
            let mut stream = ids.stream();
            while let Some((id, _)) = stream.next() {
                builder.insert(id, rank).inspect_err(|_| damaged = Some(labels.damaged()))?;
                rank += 1;
            }
        }
        builder.finish()
    };
    let built = build();
    match (sink.failure, damaged, built) {
        (Some(failure), ..) => Err(failure),
        (None, Some(damaged), _) => Err(damaged),
        (None, None, built) => {
            built.expect("ids ascend and writing succeeded");
            Ok(())
        }
    }
}

fn build_fst<'a>(sink: impl std::io::Write, ids: impl Iterator<Item = &'a str>) -> fst::Result<()> {
    let mut builder = fst::MapBuilder::new(sink)?;
    for (rank, id) in ids.enumerate() {
        builder.insert(id, rank as u64)?;
    }
    builder.finish()
}

/// Lets the fst builder write into a section, keeping the first real error.
struct Sink<'a> {
    writer: &'a mut SectionWriter,
    failure: Option<Error>,
}

impl std::io::Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.writer.append(bytes).map_err(|error| {
            self.failure = Some(error);
            std::io::Error::other("the section could not be written")
        })?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ids::StringTable;

    fn round_trip(ids: &ExternalIds) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("labels.wpl");
        let nodes = u32::try_from(ids.len()).unwrap();
        let ranks: Vec<u32> = (0..nodes).rev().collect();
        Labels::write(&path, ids, &ranks).unwrap();
        Labels::verify(&path).unwrap();
        let labels = Labels::open(&path).unwrap();
        for node in 0..nodes {
            let id = labels.id(node).unwrap();
            assert_eq!(id, ids.text(ranks[node as usize] as usize));
            assert!(!labels.are_integers() || labels.integer(node).unwrap().to_string() == id);
            assert_eq!(labels.node(&id).unwrap(), Some(node));
        }
        assert_eq!(labels.node("no such id").unwrap(), None);
    }

    #[test]
    fn integers_come_back_as_they_were() {
        round_trip(&ExternalIds::Integers(vec![i64::MIN, -3, 0, 7, i64::MAX]));
    }

    #[test]
    fn strings_come_back_as_they_were() {
        let mut table = StringTable::default();
        for id in ["", "007", "a b", "dog", "dog.n.01", "dogma", "ünïcode", "日本"] {
            table.push(id);
        }
        round_trip(&ExternalIds::Strings(table));
    }

    fn table(ids: &[&str]) -> ExternalIds {
        let mut table = StringTable::default();
        ids.iter().for_each(|id| table.push(id));
        ExternalIds::Strings(table)
    }

    #[test]
    fn labels_of_shards_are_gathered_into_the_same_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let integers = |ids: &[i64]| ExternalIds::Integers(ids.to_vec());
        let cases = [
            (vec![integers(&[-4, 0]), integers(&[]), integers(&[7, 9, 12])], integers(&[-4, 0, 7, 9, 12])),
            (vec![table(&["", "cat"]), table(&["dog"]), table(&[])], table(&["", "cat", "dog"])),
        ];
        for (parts, whole) in cases {
            let mut shards = Vec::new();
            for (number, part) in parts.iter().enumerate() {
                let path = path(&format!("{number}"));
                Labels::write_in_order(&path, part).unwrap();
                Labels::verify(&path).unwrap();
                let labels = Labels::open(&path).unwrap();
                for node in 0..u32::try_from(part.len()).unwrap() {
                    assert_eq!(
                        (labels.id(node).unwrap(), labels.rank(node).unwrap()),
                        (part.text(node as usize), node)
                    );
                    assert_eq!(labels.node(&part.text(node as usize)).unwrap(), Some(node));
                }
                assert!(labels.rank(u32::try_from(part.len()).unwrap()).is_err());
                shards.push(labels);
            }
            let in_order: Vec<&Labels> = shards.iter().collect();
            let ranks: Vec<u32> = (0..u32::try_from(whole.len()).unwrap()).collect();
            let digest = Labels::write(&path("whole"), &whole, &ranks).unwrap();
            assert_eq!(Labels::gather(&path("gathered"), &in_order).unwrap(), digest);
            assert_eq!(std::fs::read(path("gathered")).unwrap(), std::fs::read(path("whole")).unwrap());
            let reversed: Vec<&Labels> = shards.iter().rev().collect();
            assert!(matches!(Labels::gather(&path("reversed"), &reversed), Err(Error::Damaged { .. })));
            assert!(!path("reversed").exists());
        }
    }

    proptest! {
        /// Oracle: the text of every id.
        #[test]
        fn integers_begin_with_a_prefix_as_their_texts_do(
            near in prop::collection::vec(-1300i64..1300, 0..200),
            shifts in prop::collection::vec((any::<i64>(), 0u32..63), 0..60),
            length in 0usize..21,
            chosen: prop::sample::Index,
            foreign in "-?[0-9]{0,3}",
            most in 0usize..12,
        ) {
            let far = shifts.iter().map(|(id, shift)| id >> shift);
            let ends = [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX - 1, i64::MAX];
            let ids: std::collections::BTreeSet<i64> = near.into_iter().chain(far).chain(ends).collect();
            let ids: Vec<i64> = ids.into_iter().collect();
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("labels.wpl");
            Labels::write_in_order(&path, &ExternalIds::Integers(ids.clone())).unwrap();
            let labels = Labels::open(&path).unwrap();
            let text = ids[chosen.index(ids.len())].to_string();
            let beginning = &text[..length.min(text.len())];
            let longer = format!("{text}0");
            let others = ["", "-", "0", "-0", "00", "+1", "1x", " 1", "9223372036854775808", "-9223372036854775808"];
            for prefix in [beginning, &text, &longer, &foreign].into_iter().chain(others) {
                let all: Vec<String> =
                    ids.iter().map(i64::to_string).filter(|id| id.starts_with(prefix)).collect();
                prop_assert_eq!(&labels.with_prefix(prefix, usize::MAX).unwrap(), &all, "{:?}", prefix);
                prop_assert_eq!(&labels.with_prefix(prefix, most).unwrap()[..], &all[..most.min(all.len())]);
            }
        }
    }

    #[test]
    fn labels_in_memory_say_what_those_of_a_file_say() {
        let directory = tempfile::tempdir().unwrap();
        let integers = |ids: &[i64]| ExternalIds::Integers(ids.to_vec());
        let cases = [
            integers(&[]),
            integers(&[i64::MIN, -12, -1, 0, 1, 12, 120, i64::MAX]),
            table(&[]),
            table(&["", "007", "a b", "dog", "dog.n", "dogma", "ünï", "日本"]),
        ];
        for (number, ids) in cases.iter().enumerate() {
            let path = directory.path().join(number.to_string());
            let ranks: Vec<u32> = (0..u32::try_from(ids.len()).unwrap()).collect();
            Labels::write(&path, ids, &ranks).unwrap();
            let (filed, held) = (Labels::open(&path).unwrap(), Labels::in_order(ids).unwrap());
            assert_eq!((held.len(), held.are_integers()), (filed.len(), filed.are_integers()));
            for node in ranks {
                let id = held.id(node).unwrap();
                assert_eq!(id, filed.id(node).unwrap());
                assert_eq!(held.rank(node).unwrap(), filed.rank(node).unwrap());
                assert_eq!(held.node(&id).unwrap(), filed.node(&id).unwrap());
                assert!(held.node(&id).unwrap() == Some(node));
            }
            assert!(held.rank(u32::try_from(ids.len()).unwrap()).is_err());
            for prefix in ["", "-", "1", "12", "d", "dog", "dog.", "ü", "x", "no such id"] {
                assert_eq!(held.with_prefix(prefix, 3).unwrap(), filed.with_prefix(prefix, 3).unwrap());
                assert_eq!(held.node(prefix).unwrap(), filed.node(prefix).unwrap());
            }
        }
        for ids in [integers(&[1, 1]), integers(&[2, 1]), table(&["a", "a"]), table(&["b", "a"])] {
            assert!(matches!(Labels::in_order(&ids), Err(Error::Graph { .. })));
        }
    }

    #[test]
    fn a_prefix_lists_ids_in_order() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("labels.wpl");
        let mut table = StringTable::default();
        ["cat", "dog", "dog.n", "dogma", "dot"].iter().for_each(|id| table.push(id));
        Labels::write(&path, &ExternalIds::Strings(table), &[0, 1, 2, 3, 4]).unwrap();
        let labels = Labels::open(&path).unwrap();
        assert_eq!(labels.with_prefix("dog", 2).unwrap(), ["dog", "dog.n"]);
        assert_eq!(labels.with_prefix("x", 5).unwrap(), Vec::<String>::new());
    }
}
