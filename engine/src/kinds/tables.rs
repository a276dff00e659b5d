//! From types as they are read to tables that can be changed, and back without a file.

use std::path::PathBuf;

use super::codes::Codes;
use super::kind_file::{EdgeKinds, KindFile, MappedCodes, NodeKinds};
use super::lists::{KindList, KindSets, KindTables, ends};
use super::stored::Kinds;
use crate::error::Result;
use crate::ids::StringTable;

impl Kinds {
    /// The types as tables in memory. Cost: one pass over the codes of nodes and edges.
    ///
    /// # Errors
    /// When a code stands for no type: a file is damaged.
    pub fn tables(&self) -> Result<KindTables> {
        let mut tables = KindTables::default();
        for file in self.files() {
            if let Some(own) = &file.nodes {
                let list =
                    tables.nodes.get_or_insert_with(|| KindList { names: table(&own.names), codes: Codes::default() });
                take_codes(file, &own.codes, &mut list.codes, |code| {
                    (code as usize <= own.names.len()).then_some(code)
                })?;
            }
            if let Some(own) = &file.edges {
                if tables.edges.is_none() {
                    let names = table(&own.names);
                    let sets = KindSets::of_names(&names)?;
                    tables.edges = Some((names, sets, Codes::default()));
                }
                let Some((names, sets, codes)) = &mut tables.edges else { continue };
                let mut number_of = Vec::with_capacity(own.sets_len());
                for set in (0..u32::MAX).take(own.sets_len()) {
                    let members = own.members(set).ok_or_else(|| file.damaged())?;
                    let known = members.iter().all(|&place| (place as usize) < names.len());
                    if !known || !members.is_sorted_by(|low, high| low < high) {
                        return Err(file.damaged());
                    }
                    number_of.push(sets.of(members));
                }
                take_codes(file, &own.sets, codes, |code| number_of.get(code as usize).copied())?;
            }
        }
        Ok(tables)
    }
}

impl From<&KindTables> for Kinds {
    /// The types that tables in memory tell, without a file. Cost: the tables are copied.
    fn from(tables: &KindTables) -> Kinds {
        let nodes = tables.nodes.as_ref().map(|KindList { names, codes }| NodeKinds {
            names: names.iter().map(str::to_owned).collect(),
            codes: held(codes),
        });
        let edges = tables.edges.as_ref().map(|(names, sets, codes)| {
            let members: Vec<&[u32]> = (0..=sets.largest()).map(|set| sets.members(set)).collect();
            EdgeKinds {
                names: names.iter().map(str::to_owned).collect(),
                set_ends: ends(members.iter().map(|members| members.len())).into(),
                set_members: members.concat().into(),
                sets: held(codes),
            }
        });
        let codes = [tables.nodes.as_ref().map(|list| &list.codes), tables.edges.as_ref().map(|edges| &edges.2)];
        let bytes = codes.into_iter().flatten().map(|codes| codes.bytes() as u64).sum();
        if nodes.is_none() && edges.is_none() {
            return Kinds::default();
        }
        Kinds::from(KindFile { path: PathBuf::from("(memory)"), digest: 0, bytes, nodes, edges })
    }
}

fn held(codes: &Codes) -> MappedCodes {
    match codes.clone() {
        Codes::Bytes(codes) => MappedCodes::Bytes(codes.into()),
        Codes::Shorts(codes) => MappedCodes::Shorts(codes.into()),
        Codes::Words(codes) => MappedCodes::Words(codes.into()),
    }
}

fn take_codes(
    file: &KindFile,
    from: &MappedCodes,
    into: &mut Codes,
    code_of: impl Fn(u32) -> Option<u32>,
) -> Result<()> {
    into.reserve_exact(from.len());
    for code in from.iter() {
        into.push(code_of(code).ok_or_else(|| file.damaged())?);
    }
    Ok(())
}

fn table(names: &[String]) -> StringTable {
    let mut table = StringTable::with_capacity(names.len(), names.iter().map(String::len).sum());
    names.iter().for_each(|name| table.push(name));
    table
}
