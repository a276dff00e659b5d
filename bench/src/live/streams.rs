//! Where graphs and events come from: streams of edges with times, known graphs, and edges that are held back from one.

use std::fmt;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context, Result, ensure};
use flate2::read::MultiGzDecoder;
use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use walkprint_engine::edges::EdgeList;
use walkprint_engine::events::{Event, Operation};
use walkprint_engine::ids::ExternalIds;
use walkprint_engine::kinds::KindLists;

use crate::graphs::without_weights;
use crate::known_graphs::{Known, data_file};

/// A stream, or a graph that stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    /// Private messages at a university: 59,835 of 1,899 people.
    CollegeMsg,
    /// Answers and comments of mathematicians: 506,550 of 24,818, many to themselves.
    MathOverflow,
    /// A graph without times.
    Known(Known),
}

/// Something that was sent from one node to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) source: i64,
    pub(super) target: i64,
    pub(super) time: i64,
}

/// The types of edges of a stream: that of an edge to itself, and that of all others.
pub(super) const KINDS: [&str; 2] = ["other", "self"];

impl Sent {
    /// Which of [`KINDS`].
    pub(super) fn kind(&self) -> usize {
        usize::from(self.source == self.target)
    }

    /// As an event.
    pub(super) fn event(&self) -> Event {
        let (source, target) = (self.source.to_string(), self.target.to_string());
        // Times are seconds, which a double holds.
        Event::edge(Operation::Add, source, target).of_kind(KINDS[self.kind()]).at(self.time as f64)
    }
}

impl Name {
    /// What was sent, in the order of its times.
    ///
    /// # Errors
    /// When it is no stream, or the file is not there or not what it should be.
    pub(super) fn sent(self) -> Result<Vec<Sent>> {
        let name = match self {
            Name::CollegeMsg => "CollegeMsg/CollegeMsg.txt.gz",
            Name::MathOverflow => "sx-mathoverflow/sx-mathoverflow.txt.gz",
            Name::Known(known) => anyhow::bail!("{known} has no times: expected CollegeMsg or sx-mathoverflow"),
        };
        let path = data_file(name)?;
        let file = std::fs::OpenOptions::new().read(true).open(&path);
        let file = file.with_context(|| format!("{}: could not open", path.display()))?;
        let mut sent = Vec::new();
        for (at, line) in BufReader::new(MultiGzDecoder::new(file)).lines().enumerate() {
            let place = || format!("{}:{}", path.display(), at + 1);
            let line = line.with_context(place)?;
            let numbers: Result<Vec<i64>, _> = line.split_whitespace().map(str::parse).collect();
            match numbers.with_context(place)?[..] {
                [source, target, time] => sent.push(Sent { source, target, time }),
                _ => anyhow::bail!("{}: expected source, target and time, got {line:?}", place()),
            }
        }
        sent.sort_by_key(|sent| sent.time);
        Ok(sent)
    }

    /// The edges of the graph, each once and of weight 1; of a stream all that were ever sent.
    ///
    /// # Errors
    /// When a file cannot be had.
    pub(super) fn edges(self, place: &Path, key: u64) -> Result<EdgeList> {
        Ok(without_weights(match self {
            Name::Known(known) => known.options(place, key)?.edges()?,
            _ => by_id(&self.sent()?),
        }))
    }
}

impl FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Name, String> {
        match text {
            "CollegeMsg" => Ok(Name::CollegeMsg),
            "sx-mathoverflow" => Ok(Name::MathOverflow),
            _ => text.parse().map(Name::Known).map_err(|error| format!("{error}; or CollegeMsg, sx-mathoverflow")),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Name::CollegeMsg => f.write_str("CollegeMsg"),
            Name::MathOverflow => f.write_str("sx-mathoverflow"),
            Name::Known(known) => known.fmt(f),
        }
    }
}

/// Edges by the ranks of their ids, without types.
pub(super) fn by_id(sent: &[Sent]) -> EdgeList {
    let mut ids: Vec<i64> = sent.iter().flat_map(|sent| [sent.source, sent.target]).collect();
    ids.sort_unstable();
    ids.dedup();
    let rank = |id: &i64| u32::try_from(ids.partition_point(|other| other < id)).expect("ids fit into 32 bits");
    let sources = sent.iter().map(|sent| rank(&sent.source)).collect();
    let targets = sent.iter().map(|sent| rank(&sent.target)).collect();
    EdgeList { ids: ExternalIds::Integers(ids), sources, targets, weights: None, kinds: KindLists::default() }
}

/// A graph without some of its edges, and those.
pub(super) struct HeldBack {
    /// What is left. Nodes that have no edge left are not among its ids.
    pub(super) left: EdgeList,
    /// Ids of source and target, in random order.
    pub(super) held: Vec<(String, String)>,
}

/// Holds back a share of edges, at least one, chosen by key.
///
/// # Errors
/// When nothing would be left.
pub(super) fn hold_back(edges: EdgeList, share: f64, key: u64) -> Result<HeldBack> {
    let EdgeList { ids, sources, targets, .. } = edges;
    let mut order: Vec<usize> = (0..sources.len()).collect();
    let count = part(sources.len(), share);
    ensure!(count < sources.len(), "all {count} edges would be held back");
    shuffle_first(&mut order, count, key);
    let id = |rank: u32| ids.text(rank as usize);
    let held = order[..count].iter().map(|&edge| (id(sources[edge]), id(targets[edge]))).collect();
    let mut rest = order.split_off(count);
    rest.sort_unstable();
    let mut is_left = vec![false; ids.len()];
    for &edge in &rest {
        is_left[sources[edge] as usize] = true;
        is_left[targets[edge] as usize] = true;
    }
    let mut new_rank = vec![0u32; ids.len()];
    for (new, rank) in (0..).zip((0..ids.len()).filter(|&rank| is_left[rank])) {
        new_rank[rank] = new;
    }
    let ranked = |ranks: &[u32]| rest.iter().map(|&edge| new_rank[ranks[edge] as usize]).collect();
    let (sources, targets) = (ranked(&sources), ranked(&targets));
    let ids = match ids {
        ExternalIds::Integers(all) => {
            ExternalIds::Integers(all.into_iter().zip(&is_left).filter(|(_, left)| **left).map(|(id, _)| id).collect())
        }
        ExternalIds::Strings(all) => {
            let mut kept = walkprint_engine::ids::StringTable::default();
            all.iter().zip(&is_left).filter(|(_, left)| **left).for_each(|(id, _)| kept.push(id));
            ExternalIds::Strings(kept)
        }
    };
    Ok(HeldBack { left: EdgeList { ids, sources, targets, weights: None, kinds: KindLists::default() }, held })
}

/// A part of a number, at least one.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of a number of edges")]
pub(super) fn part(of: usize, share: f64) -> usize {
    ((of as f64 * share).round() as usize).max(1)
}

/// Brings random entries, by key, to the front.
pub(super) fn shuffle_first<T>(list: &mut [T], count: usize, key: u64) {
    let mut numbers = SplitMix64::seed_from_u64(key);
    for place in 0..count.min(list.len()) {
        let rest = (list.len() - place) as u64;
        let chosen = usize::try_from(numbers.next_u64() % rest).expect("below the length of a list");
        list.swap(place, place + chosen);
    }
}

/// Adds the edges that were held back, then removes them, then adds them again, and so on for ever.
pub(super) fn come_and_go(held: &[(String, String)]) -> impl Iterator<Item = Event> {
    let rounds = [Operation::Add, Operation::Remove].into_iter().cycle();
    let all = rounds.flat_map(|operation| held.iter().map(move |(from, to)| Event::edge(operation, from, to)));
    all.enumerate().map(|(number, event)| event.named(format!("{number}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent() -> Vec<Sent> {
        [(7, 3), (3, 9), (7, 7), (9, 3), (5, 7)].map(|(source, target)| Sent { source, target, time: 0 }).to_vec()
    }

    #[test]
    fn what_is_held_back_and_what_is_left_are_all() {
        let edges = by_id(&sent());
        assert_eq!(edges.ids, ExternalIds::Integers(vec![3, 5, 7, 9]));
        for key in 0..20 {
            let HeldBack { left, held } = hold_back(edges.clone(), 0.4, key).unwrap();
            assert_eq!(held.len(), 2);
            let id = |rank: &u32| left.ids.text(*rank as usize);
            let rest = left.sources.iter().zip(&left.targets).map(|(source, target)| (id(source), id(target)));
            let mut all: Vec<(String, String)> = rest.chain(held).collect();
            all.sort();
            let mut expected: Vec<(String, String)> =
                sent().iter().map(|sent| (sent.source.to_string(), sent.target.to_string())).collect();
            expected.sort();
            assert_eq!(all, expected);
            let used: std::collections::BTreeSet<u32> = left.sources.iter().chain(&left.targets).copied().collect();
            assert_eq!(used.len(), left.ids.len(), "no id without an edge");
        }
        assert!(hold_back(edges, 1.0, 0).is_err());
    }

    #[test]
    fn edges_come_before_they_go() {
        let held = [("a".to_owned(), "b".to_owned()), ("b".to_owned(), "c".to_owned())];
        let operations: Vec<Operation> = come_and_go(&held).take(5).map(|event| event.operation).collect();
        assert_eq!(operations, [Operation::Add, Operation::Add, Operation::Remove, Operation::Remove, Operation::Add]);
    }

    #[test]
    fn names_are_read_as_they_are_shown() {
        for name in [Name::CollegeMsg, Name::MathOverflow, Name::Known(Known::Cnr)] {
            assert_eq!(name.to_string().parse(), Ok(name));
        }
        assert!("college".parse::<Name>().unwrap_err().contains("CollegeMsg"));
    }
}
