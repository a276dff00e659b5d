//! Pairs of nodes that mean the same: two ids and perhaps a score in each line, separated by tabs or commas.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use walkprint_engine::edges::EdgeList;
use walkprint_engine::ids::StringTable;
use walkprint_engine::kinds::{Codes, KindList, SYNONYM};

use crate::blocks::{BLOCK_BYTES, Blocks, Cut};
use crate::delimited::{Reader, Record};
use crate::error::{Problem, quoted};
use crate::gather::parse_weight;
use crate::node_types;
use crate::source::Source;
use crate::{Error, LoadOptions};

/// The options for all but the synonyms, whose type may have a weight too.
pub(crate) fn without(options: &LoadOptions) -> LoadOptions {
    let mut reading = options.clone();
    if options.synonyms.is_some() {
        reading.type_weights.remove(SYNONYM);
    }
    reading
}

/// Adds an edge each way for every pair. Cost: two binary searches over the ids a pair, and a pass over the types of edges.
pub(crate) fn add(path: &Path, options: &LoadOptions, edges: &mut EdgeList) -> Result<usize, Error> {
    let pairs = read(path, options, edges)?;
    let before = edges.len();
    let weights = edges.weights.get_or_insert_with(|| vec![1.0; before]);
    for &(one, other, score) in &pairs {
        edges.sources.extend([one, other]);
        edges.targets.extend([other, one]);
        weights.extend([score, score]);
    }
    let old = edges.kinds.edges.take();
    edges.kinds.edges = Some(with_synonyms(old, before, 2 * pairs.len()));
    Ok(pairs.len())
}

fn read(path: &Path, options: &LoadOptions, edges: &EdgeList) -> Result<Vec<(u32, u32, f64)>, Error> {
    let factor = options.type_weights.get(SYNONYM).copied().unwrap_or(1.0);
    let mut blocks = Blocks::new(Source::open(path, &Arc::new(AtomicU64::new(0)))?, BLOCK_BYTES);
    let delimiter = node_types::begin(path, &mut blocks)?;
    let mut pairs = Vec::new();
    while let Some((first_line, bytes)) = blocks.next_block(Cut::Records(delimiter))? {
        let mut record = Record::new(delimiter);
        let mut reader = Reader { rest: &bytes, line: first_line };
        while let Some(line) = reader.next(&mut record) {
            let line = line.map_err(|(line, problem)| problem.at_line(path, line))?;
            let pair = pair(&record, edges, factor).map_err(|problem| problem.at_line(path, line))?;
            pairs.push(pair);
        }
    }
    if pairs.is_empty() {
        return Err(Problem::new("pairs of synonyms", "a file without any").of_file(path));
    }
    Ok(pairs)
}

fn pair(record: &Record<'_>, edges: &EdgeList, factor: f64) -> Result<(u32, u32, f64), Problem> {
    if !matches!(record.len(), 2 | 3) {
        let expected = "two ids and perhaps a score, separated by tabs (or commas)";
        return Err(Problem::new(expected, format!("{} columns: {}", record.len(), quoted(record.text()))));
    }
    let node = |place: usize| {
        let id = record.field(place);
        let rank = std::str::from_utf8(id).ok().and_then(|id| edges.ids.rank(id));
        let rank = rank.and_then(|rank| u32::try_from(rank).ok());
        rank.ok_or_else(|| Problem::new("the id of a node of the graph", quoted(id)))
    };
    let (one, other) = (node(0)?, node(1)?);
    if one == other {
        return Err(Problem::new("two different nodes", quoted(record.text())));
    }
    let score = if record.len() == 3 { parse_weight(record.field(2))? } else { 1.0 };
    let weight = score * factor;
    if weight.is_infinite() {
        return Err(Problem::new("a score that stays finite times the weight of synonyms", quoted(record.text())));
    }
    Ok((one, other, weight))
}

/// The types of edges with so many of synonyms behind them.
fn with_synonyms(old: Option<KindList>, before: usize, more: usize) -> KindList {
    let KindList { names: old_names, codes: old_codes } =
        old.unwrap_or_else(|| KindList { names: StringTable::default(), codes: Codes::zeros(before) });
    let place = old_names.iter().position(|name| SYNONYM <= name).unwrap_or(old_names.len());
    let known = old_names.iter().nth(place) == Some(SYNONYM);
    let mut names = StringTable::default();
    for (at, name) in old_names.iter().enumerate() {
        if at == place && !known {
            names.push(SYNONYM);
        }
        names.push(name);
    }
    if place == old_names.len() {
        names.push(SYNONYM);
    }
    let number = u32::try_from(place + 1).expect("fewer types than edges");
    let largest = u32::try_from(names.len()).expect("fewer types than edges");
    let mut codes = Codes::with_capacity(before + more, largest);
    old_codes.iter().for_each(|code| codes.push(if number <= code && !known { code + 1 } else { code }));
    (0..more).for_each(|_| codes.push(number));
    KindList { names, codes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_of_synonyms_finds_its_place_among_the_others() {
        let listed = |names: &[&str], codes: &[u32]| {
            let mut table = StringTable::default();
            names.iter().for_each(|name| table.push(name));
            let mut numbers = Codes::zeros(0);
            codes.iter().for_each(|&code| numbers.push(code));
            KindList { names: table, codes: numbers }
        };
        for (names, codes) in [
            (vec!["a", "z"], vec![0, 1, 2]),
            (vec!["x", "z"], vec![2, 0, 1]),
            (vec!["a", "b"], vec![2, 1, 1]),
            (vec!["a", "synonym"], vec![2, 1, 0]),
            (vec![], vec![0, 0, 0]),
        ] {
            let old = listed(&names, &codes);
            let new = with_synonyms((!names.is_empty()).then(|| old.clone()), 3, 2);
            assert!(new.names.iter().is_sorted());
            for edge in 0..3 {
                assert_eq!(new.name(edge), old.name(edge), "{names:?}");
            }
            assert_eq!([new.name(3), new.name(4)], [Some(SYNONYM); 2]);
            assert_eq!(new.codes.len(), 5);
        }
    }
}
