//! The file of types of a whole graph from those of its shards.

use std::collections::BTreeSet;
use std::path::Path;

use super::codes::Codes;
use super::kind_file::{EdgeKinds, KindFile, MappedCodes, NodeKinds};
use super::lists::{
    EDGE_NAME_ENDS, EDGE_NAMES, EDGE_SETS, KindSets, NODE_CODES, NODE_NAME_ENDS, NODE_NAMES, write_names, write_sets,
};
use super::stored::Kinds;
use crate::error::{Error, Result};
use crate::file::{FileKind, SectionWriter};
use crate::ids::StringTable;

/// How many codes are written at once.
const CODES_AT_ONCE: usize = 1 << 16;

impl Kinds {
    /// Writes the file of types of the graph whose shards these are the types of, in order: the very file that
    /// [`KindTables::write`](super::KindTables::write) writes. Returns its digest. Memory: the sets of types, and a buffer.
    ///
    /// # Errors
    /// When shards do not fit together or are damaged, or the disk refuses.
    ///
    /// # Panics
    /// When there is no shard.
    pub fn gather(path: &Path, shards: &[KindFile]) -> Result<u128> {
        let first = &shards[0];
        if let Some(other) = shards.iter().find(|shard| !first.has_names_of(shard)) {
            return Err(Error::damaged(other.path(), "its types are not those of the other shards"));
        }
        let sections = if first.nodes.is_some() { 3 } else { 0 } + if first.edges.is_some() { 5 } else { 0 };
        let mut writer = SectionWriter::create(path, FileKind::Types, sections)?;
        if let Some(NodeKinds { names, .. }) = &first.nodes {
            write_names(&mut writer, [NODE_NAMES, NODE_NAME_ENDS], &table(names))?;
            gather_nodes(&mut writer, shards, names.len())?;
        }
        if let Some(EdgeKinds { names, .. }) = &first.edges {
            let names = table(names);
            write_names(&mut writer, [EDGE_NAMES, EDGE_NAME_ENDS], &names)?;
            gather_edges(&mut writer, shards, &names)?;
        }
        writer.finish()
    }
}

fn table(names: &[String]) -> StringTable {
    let mut table = StringTable::with_capacity(names.len(), names.iter().map(String::len).sum());
    names.iter().for_each(|name| table.push(name));
    table
}

fn gather_nodes(writer: &mut SectionWriter, shards: &[KindFile], names: usize) -> Result<()> {
    let largest = u32::try_from(names).map_err(|_| shards[0].damaged())?;
    begin(writer, NODE_CODES, largest)?;
    for shard in shards {
        let Some(kinds) = &shard.nodes else { continue };
        append(writer, &kinds.codes, largest, |code| (code <= largest).then_some(code), shard)?;
    }
    Ok(())
}

/// Each shard has sets of its own: those of all are put in order, and codes follow.
fn gather_edges(writer: &mut SectionWriter, shards: &[KindFile], names: &StringTable) -> Result<()> {
    let singles = KindSets::of_names(names)?;
    let kinds = singles.largest();
    let mut larger = BTreeSet::new();
    for (shard, edges) in with_edges(shards) {
        let sets = u32::try_from(edges.sets_len()).map_err(|_| shard.damaged())?;
        for set in 0..sets.max(kinds + 1) {
            let members = edges.members(set).ok_or_else(|| shard.damaged())?;
            if set <= kinds {
                if members != singles.members(set) {
                    return Err(shard.damaged());
                }
            } else if 2 <= members.len() && members.iter().all(|&place| place < kinds) {
                larger.insert(members.to_vec());
            } else {
                return Err(shard.damaged());
            }
        }
    }
    let sets = KindSets::with_larger(kinds, larger);
    write_sets(writer, &sets)?;
    begin(writer, EDGE_SETS, sets.largest())?;
    for (shard, edges) in with_edges(shards) {
        let number_of: Vec<Option<u32>> = (0..=u32::MAX)
            .take(edges.sets_len())
            .map(|set| if set <= kinds { Some(set) } else { sets.number(edges.members(set)?) })
            .collect();
        let code_of = |set: u32| number_of.get(set as usize).copied().flatten();
        append(writer, &edges.sets, sets.largest(), code_of, shard)?;
    }
    Ok(())
}

fn with_edges(shards: &[KindFile]) -> impl Iterator<Item = (&KindFile, &EdgeKinds)> {
    shards.iter().filter_map(|shard| Some((shard, shard.edges.as_ref()?)))
}

fn begin(writer: &mut SectionWriter, section: u32, largest: u32) -> Result<()> {
    let width = Codes::with_capacity(0, largest).width();
    writer.begin(section, u32::try_from(width).expect("one, two or four bytes"))
}

/// Appends the codes of a shard, each as `code_of` says; `None` where it stands for nothing.
fn append(
    writer: &mut SectionWriter,
    codes: &MappedCodes,
    largest: u32,
    code_of: impl Fn(u32) -> Option<u32>,
    shard: &KindFile,
) -> Result<()> {
    let mut buffer = Codes::with_capacity(codes.len().min(CODES_AT_ONCE), largest);
    for code in codes.iter() {
        buffer.push(code_of(code).ok_or_else(|| shard.damaged())?);
        if buffer.len() == CODES_AT_ONCE {
            writer.append(buffer.as_bytes())?;
            buffer.truncate(0);
        }
    }
    writer.append(buffer.as_bytes())
}
