//! Types, whose names all workers agree on.
//!
//! A worker's part of the input tells it some of the names of edge types; codes are those of all names before edges travel.
//! Node types lie in a file of their own, which each worker reads: it judges the lines whose ids are in its range, and since
//! the ranges hold all ids that there could be, each line is judged by one worker. The worker that has the first bad line says
//! what is wrong, in the words of a load on one machine.
//!
//! Memory: every worker gets the names of all; one to four bytes an edge, and a node of its range.

use std::collections::BTreeSet;

use timely::worker::Worker;
use walkprint_engine::error::Error as EngineError;
use walkprint_engine::ids::{ExternalIds, StringTable, canonical_integer};
use walkprint_engine::kinds::{Codes, KindList};
use walkprint_loaders::{LoadOptions, node_types_of_range};

use super::agreement::all_or_none;
use super::ids::AgreedIds;
use crate::error::{Error, Result};
use crate::processes::agree::from_all;

/// The same types with the names of all workers, ascending, for so many items; `None` when no worker has any. Every worker
/// must call it; all get the same names, or the same error.
pub(super) fn agree_on_names(worker: &mut Worker, own: Option<KindList>, items: usize) -> Result<Option<KindList>> {
    let names = own.as_ref().map(|list| list.names.iter().map(str::to_owned).collect::<Vec<String>>());
    let told = from_all(worker, names);
    if told.iter().all(Option::is_none) {
        return Ok(None);
    }
    let all: BTreeSet<String> = told.into_iter().flatten().flatten().collect();
    let mut names = StringTable::with_capacity(all.len(), all.iter().map(String::len).sum());
    all.iter().for_each(|name| names.push(name));
    let largest = u32::try_from(names.len()).ok().filter(|&largest| largest < u32::MAX);
    let what = || EngineError::Graph { what: "there are more than 2^32 types".to_owned() };
    let largest = largest.ok_or_else(what)?;
    let own = own.unwrap_or_else(|| KindList { names: StringTable::default(), codes: Codes::zeros(items) });
    let code = |name: &str| u32::try_from(names.rank(name).expect("it is one of all names") + 1).unwrap_or(largest);
    let codes: Vec<u32> = std::iter::once(0).chain(own.names.iter().map(code)).collect();
    let codes = own.codes.recoded(largest, |code| codes[code as usize]);
    Ok(Some(KindList { names, codes }))
}

/// Reads the types of the nodes of this worker's range, if the options name a file of them. Every worker must call it.
///
/// # Errors
/// When the file cannot be read, or a line of it is not what it should be: on all workers.
pub(super) fn read_node_kinds(
    worker: &mut Worker,
    workers_of_process: usize,
    options: &LoadOptions,
    ids: &AgreedIds,
) -> Result<Option<KindList>> {
    let range = IdRange::agree(worker, &ids.own);
    let read = node_types_of_range(options, &ids.own, &|id| range.holds(id));
    let place = read.as_ref().err().map(|error| match error {
        walkprint_loaders::Error::Line { line, .. } => *line,
        _ => u64::MAX,
    });
    let first = from_all(worker, place).into_iter().flatten().min();
    // One machine would have found the first of all bad lines, and would not have come to the others.
    let read = if place == first { read } else { Ok(None) };
    let read = all_or_none(worker, workers_of_process, read.map_err(Error::from))?;
    agree_on_names(worker, read, ids.own.len())
}

/// The ids that are in a worker's range, or would be if they were a node's.
struct IdRange {
    integers: bool,
    /// `None` when the range holds nothing.
    bounds: Option<Bounds>,
}

struct Bounds {
    /// The first id; `None` where there is no range before this one.
    first: Option<Bound>,
    /// The first id of the next range that has any.
    end: Option<Bound>,
}

/// An id, to be compared with others.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
enum Bound {
    Integer(i64),
    Text(Vec<u8>),
}

impl IdRange {
    /// The range of this worker, whose ids these are. Every worker must call it.
    fn agree(worker: &mut Worker, own: &ExternalIds) -> IdRange {
        let first = match own {
            ExternalIds::Integers(ids) => ids.first().map(|&id| Bound::Integer(id)),
            ExternalIds::Strings(table) => (!table.is_empty()).then(|| Bound::Text(table.get(0).as_bytes().to_vec())),
        };
        let firsts = from_all(worker, first);
        let at = worker.index();
        let bounds = firsts[at].is_some().then(|| Bounds {
            first: firsts[..at].iter().any(Option::is_some).then(|| firsts[at].clone()).flatten(),
            end: firsts[at + 1..].iter().flatten().next().cloned(),
        });
        IdRange { integers: matches!(own, ExternalIds::Integers(_)), bounds }
    }

    /// Whether an id, as it is written, is in the range. What can be no node's id is in the first one.
    fn holds(&self, id: &[u8]) -> bool {
        let Some(Bounds { first, end }) = &self.bounds else { return false };
        let id = match self.integers {
            true => canonical_integer(id).map(Bound::Integer),
            false => Some(Bound::Text(id.to_vec())),
        };
        match id {
            Some(id) => first.as_ref().is_none_or(|first| *first <= id) && end.as_ref().is_none_or(|end| id < *end),
            None => first.is_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::processes::Processes;

    /// Which of the workers with these ids has each id.
    fn holders(ids: &[&[&str]], asked: &'static [&'static str]) -> Vec<Vec<usize>> {
        let integers = ids.iter().flat_map(|ids| ids.iter()).all(|id| canonical_integer(id.as_bytes()).is_some());
        let own: Vec<ExternalIds> = ids.iter().map(|ids| external(ids, integers)).collect();
        let held = Processes::alone(ids.len()).run(
            move |worker| {
                let range = IdRange::agree(worker, &own[worker.index()]);
                asked.iter().map(|id| range.holds(id.as_bytes())).collect::<Vec<bool>>()
            },
            &mut || {},
        );
        let held = held.unwrap();
        (0..asked.len()).map(|id| (0..held.len()).filter(|&worker| held[worker][id]).collect()).collect()
    }

    fn external(ids: &[&str], integers: bool) -> ExternalIds {
        if integers {
            return ExternalIds::Integers(ids.iter().map(|id| id.parse().unwrap()).collect());
        }
        let mut table = StringTable::default();
        ids.iter().for_each(|id| table.push(id));
        ExternalIds::Strings(table)
    }

    #[test]
    fn every_id_is_in_one_range() {
        let strings = holders(&[&[], &["b", "d"], &[], &["dd", "x"], &[]], &["", "a", "b", "c", "d", "dd", "de", "y"]);
        assert_eq!(strings, [[1], [1], [1], [1], [1], [3], [3], [3]]);
        let integers =
            holders(&[&["-9", "2"], &["10"], &["11", "12"]], &["-10", "2", "9", "10", "11", "99", "x", "", "010"]);
        assert_eq!(integers, [[0], [0], [0], [1], [2], [2], [0], [0], [0]]);
    }

    #[test]
    fn names_are_those_of_all_workers_and_codes_follow() {
        let told = Processes::alone(3).run(
            move |worker| {
                let own = [None, Some((["b", "d"], [2, 0, 1])), Some((["a", "b"], [1, 1, 2]))][worker.index()];
                let own = own.map(|(names, codes)| {
                    let mut list = KindList::default();
                    names.iter().for_each(|name| list.names.push(name));
                    codes.iter().for_each(|&code| list.codes.push(code));
                    list
                });
                let nobody = agree_on_names(worker, None, 3).unwrap();
                assert!(nobody.is_none());
                let list = agree_on_names(worker, own, 3).unwrap().unwrap();
                assert_eq!(list.names.iter().collect::<Vec<_>>(), ["a", "b", "d"]);
                list.codes.iter().collect::<Vec<u32>>()
            },
            &mut || {},
        );
        assert_eq!(told.unwrap(), [[0, 0, 0], [3, 0, 2], [1, 1, 2]]);
    }
}
