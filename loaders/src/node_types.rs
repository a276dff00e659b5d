//! Types of nodes from a file of their own: a node a line, its id and its type.
//!
//! Fields are separated by commas in a `.csv` file, and otherwise by tabs if the first line has one; they are quoted as in [`crate::delimited`]. The first line may be a header, if it names a column `id` or `node` and a
//! column `type`; it may then name others, which are not looked at. There are no comments, because an id may begin with any
//! character. Nodes that no line names have no type; an id that is no node of the graph is an error, and so is a node with
//! two types.
//!
//! Several processes each read the whole file, and each judges the lines whose ids are its own to know: the ranges of ids that
//! they have cover all ids there could be, so that each line is judged once, as one process judges it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use memchr::memchr;
use walkprint_engine::ids::ExternalIds;
use walkprint_engine::kinds::{Codes, KindList};

use crate::blocks::{Blocks, Cut};
use crate::columns::plain;
use crate::delimited::{Reader, Record};
use crate::error::{Problem, quoted};
use crate::kinds::{self, KindTable};
use crate::source::Source;
use crate::{Error, Format};

/// Where id and type stand in a record, and how many fields it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Columns {
    id: usize,
    kind: usize,
    count: usize,
}

const WITHOUT_HEADER: Columns = Columns { id: 0, kind: 1, count: 2 };

/// The nodes of which a file is to tell, and what it told of them.
struct Nodes<'a> {
    ids: &'a ExternalIds,
    /// Whether an id, if it is any node's, is one of `ids`.
    is_own: &'a dyn Fn(&[u8]) -> bool,
    table: KindTable,
    codes: Codes,
    /// Whether there was any node, of these or others.
    any: bool,
}

/// Reads the types of the nodes with these ids; lines whose ids are not its own are not judged. Cost: a binary search over the
/// ids for each line. Memory: one to four bytes a node.
pub(crate) fn read(
    path: &Path,
    ids: &ExternalIds,
    is_own: &dyn Fn(&[u8]) -> bool,
    block_bytes: usize,
) -> Result<KindList, Error> {
    let mut blocks = Blocks::new(Source::open(path, &Arc::new(AtomicU64::new(0)))?, block_bytes);
    let delimiter = begin(path, &mut blocks)?;
    let mut columns = None;
    let mut nodes = Nodes { ids, is_own, table: KindTable::default(), codes: Codes::zeros(ids.len()), any: false };
    while let Some((first_line, bytes)) = blocks.next_block(Cut::Records(delimiter))? {
        let mut record = Record::new(delimiter);
        let mut reader = Reader { rest: &bytes, line: first_line };
        while let Some(line) = reader.next(&mut record) {
            let line = line.map_err(|(line, problem)| problem.at_line(path, line))?;
            let taken = match columns {
                Some(columns) => nodes.take(&record, columns),
                None => header(&record).and_then(|header| {
                    columns = header.or(Some(WITHOUT_HEADER));
                    match header {
                        Some(_) => Ok(()),
                        None => nodes.take(&record, WITHOUT_HEADER),
                    }
                }),
            };
            taken.map_err(|problem| problem.at_line(path, line))?;
        }
    }
    let Nodes { table, codes, any, .. } = nodes;
    if !any {
        return Err(Problem::new("nodes and their types", "a file without any").of_file(path));
    }
    let (names, of_tables) = kinds::merge(&[table]);
    let largest = u32::try_from(names.len()).expect("the table numbers types in 32 bits");
    let codes = codes.recoded(largest, |number| of_tables[0][number as usize]);
    Ok(KindList { names, codes })
}

/// Looks at the first line for the delimiter.
pub(crate) fn begin(path: &Path, blocks: &mut Blocks) -> Result<u8, Error> {
    while memchr(b'\n', blocks.head()).is_none() && !blocks.ended() {
        blocks.check_head()?;
        blocks.grow()?;
    }
    if blocks.head().starts_with(b"PAR1") {
        let expected = "text: an id, a tab or comma, and a type in each line";
        return Err(Problem::new(expected, "a Parquet file").of_file(path));
    }
    if blocks.head().starts_with(crate::text::BYTE_ORDER_MARK) {
        blocks.skip(crate::text::BYTE_ORDER_MARK.len());
    }
    let first = &blocks.head()[..memchr(b'\n', blocks.head()).unwrap_or(blocks.head().len())];
    Ok(match Format::from_name(path) {
        Some(Format::Csv) => b',',
        _ if memchr(b'\t', first).is_some() => b'\t',
        _ => b',',
    })
}

/// The columns, if this record names them.
fn header(record: &Record<'_>) -> Result<Option<Columns>, Problem> {
    let places = |names: &[&str]| -> Vec<usize> {
        let names_one = |place: &usize| {
            let field = String::from_utf8_lossy(record.field(*place)).into_owned();
            names.iter().any(|name| plain(&field).eq_ignore_ascii_case(name))
        };
        (0..record.len()).filter(names_one).collect()
    };
    match (&places(&["id", "node"])[..], &places(&["type"])[..]) {
        ([], _) | (_, []) => Ok(None),
        (&[id], &[kind]) => Ok(Some(Columns { id, kind, count: record.len() })),
        _ => Err(Problem::new("one column of ids (id or node) and one of types (type)", quoted(record.text()))),
    }
}

impl Nodes<'_> {
    fn take(&mut self, record: &Record<'_>, columns: Columns) -> Result<(), Problem> {
        if record.len() != columns.count {
            let expected = match columns.count {
                2 => "2 columns, an id and a type, separated by a tab (or commas)".to_owned(),
                count => format!("{count} columns, as in the header"),
            };
            return Err(Problem::new(expected, format!("{}: {}", record.len(), quoted(record.text()))));
        }
        let (id, kind) = (record.field(columns.id), record.field(columns.kind));
        self.any = true;
        if !(self.is_own)(id) {
            return Ok(());
        }
        let rank = std::str::from_utf8(id).ok().and_then(|id| self.ids.rank(id));
        let rank = rank.ok_or_else(|| Problem::new("the id of a node of the graph", quoted(id)))?;
        let new = self.table.number(kind)?;
        if new == 0 {
            return Err(Problem::new("a type", "nothing"));
        }
        match self.codes.get(rank) {
            0 => self.codes.set(rank, new),
            old if old == new => {}
            _ => {
                let expected = format!("one type for {}, which an earlier line gives another", quoted(id));
                return Err(Problem::new(expected, quoted(kind)));
            }
        }
        Ok(())
    }
}
