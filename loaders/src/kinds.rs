//! Types by name: numbered by each thread as it meets them, and merged into one ascending list in the end.

use std::collections::BTreeMap;

use hashbrown::HashMap;
use walkprint_engine::ids::StringTable;

use crate::error::{Problem, quoted};

/// The types that one thread has met, numbered from 1; 0 means no type.
#[derive(Default)]
pub(crate) struct KindTable {
    numbers: HashMap<Box<str>, u32>,
    names: Vec<Box<str>>,
    /// The type before: files are often sorted by type, and have few.
    last: (Box<str>, u32),
}

impl KindTable {
    /// The number of a type; 0 for an empty name.
    pub(crate) fn number(&mut self, name: &[u8]) -> Result<u32, Problem> {
        if self.last.0.as_bytes() == name {
            return Ok(self.last.1);
        }
        let name = std::str::from_utf8(name).map_err(|_| Problem::new("a type in UTF-8", quoted(name)))?;
        if name.is_empty() {
            return Ok(0);
        }
        let number = match self.numbers.get(name) {
            Some(&number) => number,
            None => {
                let number = u32::try_from(self.names.len() + 1).ok().filter(|&number| number < u32::MAX);
                let number = number.ok_or_else(|| Problem::new("fewer than 2^32 types", "one more"))?;
                self.names.push(name.into());
                self.numbers.insert(name.into(), number);
                number
            }
        };
        self.last = (name.into(), number);
        Ok(number)
    }

    /// How many types there are.
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    /// How many bytes the table holds, about.
    pub(crate) fn bytes(&self) -> u64 {
        let entry = 2 * size_of::<Box<str>>() + size_of::<u32>();
        (self.numbers.capacity() * entry) as u64 + 2 * self.names.iter().map(|name| name.len() as u64).sum::<u64>()
    }
}

/// All names of all tables, ascending, and for each table the code of each of its numbers: 0 for none, else 1 + the place of
/// the name. What comes out depends on the set of names alone.
pub(crate) fn merge(tables: &[KindTable]) -> (StringTable, Vec<Vec<u32>>) {
    let mut codes: BTreeMap<&str, u32> =
        tables.iter().flat_map(|table| table.names.iter()).map(|name| (&**name, 0)).collect();
    let mut names = StringTable::default();
    for (name, code) in &mut codes {
        names.push(name);
        *code = u32::try_from(names.len()).expect("fewer types than edges, which are told apart by 32 bits a thread");
    }
    let of_table =
        |table: &KindTable| std::iter::once(0).chain(table.names.iter().map(|name| codes[&**name])).collect();
    let of_tables = tables.iter().map(of_table).collect();
    (names, of_tables)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_merged_in_their_order_whoever_met_them_when() {
        let table = |names: &[&str]| {
            let mut table = KindTable::default();
            let numbers: Vec<u32> = names.iter().map(|name| table.number(name.as_bytes()).unwrap()).collect();
            (table, numbers)
        };
        let (one, of_one) = table(&["likes", "likes", "", "cites", "likes"]);
        let (two, of_two) = table(&["ünder", "cites", "", ""]);
        assert_eq!((of_one, of_two), (vec![1, 1, 0, 2, 1], vec![1, 2, 0, 0]));
        let (names, codes) = merge(&[one, KindTable::default(), two]);
        assert_eq!(names.iter().collect::<Vec<_>>(), ["cites", "likes", "ünder"]);
        assert_eq!(codes, [vec![0, 2, 1], vec![0], vec![0, 3, 1]]);
        assert!(KindTable::default().number(&[0xff]).is_err());
    }
}
