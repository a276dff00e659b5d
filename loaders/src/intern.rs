//! From ids as bytes to ranks: a table for each thread, and the merge of all tables.
//!
//! A [`Table`] numbers ids in the order in which its thread meets them. It holds integers as long as every id is one
//! (as `i64` prints it), and turns all of them into strings at the first that is not. [`merge`] then sorts each table
//! on its own thread, merges them into one ascending list, and says for each table which rank its numbers became.
//! Ranks depend on the set of ids alone, so neither the number of threads nor who read what shows in the result.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hash::BuildHasher;
use std::thread;

use hashbrown::{DefaultHashBuilder, HashTable};
use walkprint_engine::ids::{ExternalIds, MAX_NODES, StringTable, canonical_integer};

use crate::Error;
use crate::error::{Problem, quoted};

/// The ids that one thread has met, numbered from 0.
pub(crate) struct Table {
    hasher: DefaultHashBuilder,
    ids: Ids,
}

enum Ids {
    Integers {
        index: HashTable<(i64, u32)>,
        values: Vec<i64>,
    },
    /// `index` holds 32 bits of each string's hash beside its number: most mismatches, and all moves when the table
    /// grows, then do without a look at the string.
    Strings {
        index: HashTable<(u32, u32)>,
        values: StringTable,
        bytes: u64,
    },
}

impl Table {
    pub(crate) fn new() -> Self {
        Table {
            hasher: DefaultHashBuilder::default(),
            ids: Ids::Integers { index: HashTable::new(), values: Vec::new() },
        }
    }

    /// The number of an id as text.
    pub(crate) fn number(&mut self, id: &[u8]) -> Result<u32, Problem> {
        if let Ids::Integers { .. } = self.ids {
            if let Some(value) = canonical_integer(id) {
                return self.number_of_integer(value);
            }
            check_text(id)?;
            self.turn_into_strings()?;
        }
        let Ids::Strings { index, values, bytes } = &mut self.ids else { unreachable!("turned into strings above") };
        // Half of the hash is plenty: it only has to tell apart the few ids of one bucket.
        #[expect(clippy::cast_possible_truncation, reason = "the low half of a hash")]
        let hash = self.hasher.hash_one(id) as u32;
        let found =
            index.find(spread(hash), |&(other, number)| other == hash && values.get(number as usize).as_bytes() == id);
        if let Some(&(_, number)) = found {
            return Ok(number);
        }
        let text = check_text(id)?;
        let number = next_number(values.len())?;
        values.push(text);
        *bytes += text.len() as u64;
        index.insert_unique(spread(hash), (hash, number), |&(hash, _)| spread(hash));
        Ok(number)
    }

    /// The number of an integer.
    pub(crate) fn number_of_integer(&mut self, value: i64) -> Result<u32, Problem> {
        let Ids::Integers { index, values } = &mut self.ids else {
            return self.number(value.to_string().as_bytes());
        };
        let hash = self.hasher.hash_one(value);
        if let Some(&(_, number)) = index.find(hash, |&(other, _)| other == value) {
            return Ok(number);
        }
        let number = next_number(values.len())?;
        values.push(value);
        let hasher = &self.hasher;
        index.insert_unique(hash, (value, number), |&(value, _)| hasher.hash_one(value));
        Ok(number)
    }

    /// How many bytes the table holds, about.
    pub(crate) fn bytes(&self) -> u64 {
        match &self.ids {
            Ids::Integers { index, values } => (index.allocation_size() + values.len() * size_of::<i64>()) as u64,
            Ids::Strings { index, values, bytes } => {
                bytes + (index.allocation_size() + values.len() * size_of::<usize>()) as u64
            }
        }
    }

    fn holds_strings(&self) -> bool {
        matches!(self.ids, Ids::Strings { .. })
    }

    /// Numbers stay as they are.
    fn turn_into_strings(&mut self) -> Result<(), Problem> {
        let Ids::Integers { values: integers, .. } = &mut self.ids else { return Ok(()) };
        let integers = std::mem::take(integers);
        self.ids = Ids::Strings { index: HashTable::new(), values: StringTable::default(), bytes: 0 };
        for value in integers {
            self.number(value.to_string().as_bytes())?;
        }
        Ok(())
    }

    /// Gives up the index and sorts what is left.
    fn sort(self) -> Sorted {
        match self.ids {
            Ids::Integers { values, index } => {
                drop(index);
                let mut order: Vec<(i64, u32)> = values.into_iter().zip(0..).collect();
                order.sort_unstable();
                Sorted::Integers(order)
            }
            Ids::Strings { values, index, .. } => {
                drop(index);
                let mut order: Vec<(u64, u32)> = values.iter().map(prefix).zip(0..).collect();
                order.sort_unstable_by(|left, right| {
                    left.0.cmp(&right.0).then_with(|| values.get(left.1 as usize).cmp(values.get(right.1 as usize)))
                });
                Sorted::Strings(values, order)
            }
        }
    }
}

/// A hash for [`HashTable`], which takes the bucket from the low bits and a tag from the topmost seven: an odd factor
/// keeps the low 32 bits apart and carries them to the top. (The factor is 2^64 divided by the golden ratio.)
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

fn next_number(len: usize) -> Result<u32, Problem> {
    match u32::try_from(len) {
        Ok(number) if u64::from(number) < MAX_NODES => Ok(number),
        _ => Err(Problem::new(format!("at most {MAX_NODES} different ids"), "one more")),
    }
}

/// The id as a string, if it can be one.
pub(crate) fn check_text(id: &[u8]) -> Result<&str, Problem> {
    let text = std::str::from_utf8(id).map_err(|_| Problem::new("an id in UTF-8", quoted(id)))?;
    if memchr::memchr(0, id).is_some() {
        return Err(Problem::new("an id without NUL bytes", quoted(id)));
    }
    Ok(text)
}

/// The first eight bytes as a number that compares as they do. Shorter strings are filled up with zeros, so that
/// different strings may have one prefix.
fn prefix(text: &str) -> u64 {
    let mut bytes = [0; 8];
    let len = text.len().min(8);
    bytes[..len].copy_from_slice(&text.as_bytes()[..len]);
    u64::from_be_bytes(bytes)
}

/// A table's ids in ascending order, each with its number.
enum Sorted {
    Integers(Vec<(i64, u32)>),
    Strings(StringTable, Vec<(u64, u32)>),
}

/// All ids of all tables, and for each table the rank of each of its numbers.
pub(crate) fn merge(mut tables: Vec<Table>) -> Result<(ExternalIds, Vec<Vec<u32>>), Error> {
    let strings = tables.iter().any(Table::holds_strings);
    let sorted = thread::scope(|scope| {
        let sorting: Vec<_> = tables
            .drain(..)
            .map(|mut table| {
                scope.spawn(move || {
                    if strings {
                        table.turn_into_strings()?;
                    }
                    Ok(table.sort())
                })
            })
            .collect();
        let joined =
            sorting.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        joined.collect::<Result<Vec<Sorted>, Problem>>()
    });
    let sorted = sorted.map_err(|_| Error::TooManyNodes { max: MAX_NODES, got: MAX_NODES + 1 })?;
    let mut ranks = Vec::with_capacity(sorted.len());
    if strings {
        let mut values = Vec::with_capacity(sorted.len());
        let mut orders = Vec::with_capacity(sorted.len());
        for table in sorted {
            let Sorted::Strings(texts, order) = table else { unreachable!("turned into strings above") };
            ranks.push(vec![0; order.len()]);
            values.push(texts);
            orders.push(order);
        }
        let ids = merge_strings(&values, orders, &mut ranks)?;
        return Ok((ExternalIds::Strings(ids), ranks));
    }
    let mut orders = Vec::with_capacity(sorted.len());
    for table in sorted {
        let Sorted::Integers(order) = table else { unreachable!("no table holds strings") };
        ranks.push(vec![0; order.len()]);
        orders.push(order);
    }
    let mut ids: Vec<i64> = Vec::new();
    merge_runs(
        orders.iter().map(|order| order.iter().map(|&(value, number)| (value, number))),
        |value, table, number| {
            if ids.last() != Some(&value) {
                ids.push(value);
            }
            ranks[table][number as usize] = last_rank(ids.len())?;
            Ok(())
        },
    )?;
    ids.shrink_to_fit();
    Ok((ExternalIds::Integers(ids), ranks))
}

/// One ascending table of all strings, allocated to its exact size.
fn merge_strings(
    values: &[StringTable],
    orders: Vec<Vec<(u64, u32)>>,
    ranks: &mut [Vec<u32>],
) -> Result<StringTable, Error> {
    // Where each different string is found first: it costs eight bytes a string, and saves a table with room for all
    // tables' strings together.
    let mut found: Vec<(u32, u32)> = Vec::new();
    let mut bytes = 0;
    let runs = orders
        .iter()
        .zip(values)
        .map(|(order, texts)| order.iter().map(|&(prefix, number)| ((prefix, texts.get(number as usize)), number)));
    let mut last = None;
    merge_runs(runs, |(_, text), table, number| {
        if last != Some(text) {
            last = Some(text);
            bytes += text.len();
            #[expect(clippy::cast_possible_truncation, reason = "tables are as many as threads")]
            found.push((table as u32, number));
        }
        ranks[table][number as usize] = last_rank(found.len())?;
        Ok(())
    })?;
    drop(orders);
    let mut ids = StringTable::with_capacity(found.len(), bytes);
    for (table, number) in found {
        ids.push(values[table as usize].get(number as usize));
    }
    Ok(ids)
}

/// Calls `visit` with each value, its run and its number, in ascending order over all runs.
fn merge_runs<Value: Ord + Copy, Run: Iterator<Item = (Value, u32)>>(
    runs: impl Iterator<Item = Run>,
    mut visit: impl FnMut(Value, usize, u32) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut runs: Vec<Run> = runs.collect();
    let mut heads: BinaryHeap<Reverse<(Value, usize, u32)>> = BinaryHeap::with_capacity(runs.len());
    for (at, run) in runs.iter_mut().enumerate() {
        heads.extend(run.next().map(|(value, number)| Reverse((value, at, number))));
    }
    while let Some(mut head) = heads.peek_mut() {
        let Reverse((value, run, number)) = *head;
        match runs[run].next() {
            Some((next, number)) => *head = Reverse((next, run, number)),
            None => {
                std::collections::binary_heap::PeekMut::pop(head);
            }
        }
        visit(value, run, number)?;
    }
    Ok(())
}

/// The rank of the last of `count` ids.
fn last_rank(count: usize) -> Result<u32, Error> {
    let too_many = Error::TooManyNodes { max: MAX_NODES, got: count as u64 };
    match u32::try_from(count - 1) {
        Ok(rank) if u64::from(rank) < MAX_NODES => Ok(rank),
        _ => Err(too_many),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(ids: &[&str]) -> Table {
        let mut table = Table::new();
        for id in ids {
            let number = table.number(id.as_bytes()).expect("a good id");
            assert_eq!(table.number(id.as_bytes()), Ok(number), "an id keeps its number");
        }
        table
    }

    /// Each table's ids, looked up through their ranks, come back as they were.
    fn check(tables: &[&[&str]], integers: bool) -> ExternalIds {
        let (ids, ranks) = merge(tables.iter().map(|ids| table(ids)).collect()).expect("a merge");
        assert_eq!(matches!(ids, ExternalIds::Integers(_)), integers);
        for (table, ranks) in tables.iter().zip(ranks) {
            for (id, rank) in table.iter().zip(ranks) {
                assert_eq!(ids.text(rank as usize), *id);
                assert_eq!(ids.rank(id), Some(rank as usize));
            }
        }
        ids
    }

    #[test]
    fn integers_compare_as_numbers_until_one_id_is_a_string() {
        let ids = check(&[&["10", "9", "-3"], &["2", "9"], &[]], true);
        assert_eq!(ids, ExternalIds::Integers(vec![-3, 2, 9, 10]));
        for odd in ["x", "007", "+1", "9223372036854775808", "-0", "1.0"] {
            let ids = check(&[&["10", "9", "-3"], &["2", odd, "9"]], false);
            assert_eq!(ids.len(), 5);
        }
    }

    #[test]
    fn strings_with_one_prefix_are_told_apart() {
        let ids = check(&[&["aaaaaaaab", "aaaaaaaa", "b", "a"], &["aaaaaaaac", "b", "ü", "aaaaaaaa"]], false);
        let texts: Vec<String> = (0..ids.len()).map(|rank| ids.text(rank)).collect();
        assert_eq!(texts, ["a", "aaaaaaaa", "aaaaaaaab", "aaaaaaaac", "b", "ü"]);
    }

    #[test]
    fn an_id_is_utf8_without_nul() {
        let problem = |id: &[u8]| Table::new().number(id).map_err(|problem| (problem.expected, problem.got));
        assert_eq!(problem(&[b'a', 0xFF]), Err(("an id in UTF-8".into(), "\"a\u{FFFD}\"".to_owned())));
        assert_eq!(problem(b"a\0"), Err(("an id without NUL bytes".into(), r#""a\0""#.to_owned())));
    }
}
