//! One file of types, mapped: of a whole graph, or of one shard.

use std::path::{Path, PathBuf};

use super::lists::{
    EDGE_NAME_ENDS, EDGE_NAMES, EDGE_SETS, NODE_CODES, NODE_NAME_ENDS, NODE_NAMES, SET_ENDS, SET_MEMBERS,
};
use crate::error::{Error, Result};
use crate::file::{FileKind, Section, SectionedFile};

/// A file of types, mapped.
#[derive(Debug, Clone)]
pub struct KindFile {
    pub(super) path: PathBuf,
    pub(super) digest: u128,
    pub(super) bytes: u64,
    pub(super) nodes: Option<NodeKinds>,
    pub(super) edges: Option<EdgeKinds>,
}

/// The types of nodes.
#[derive(Debug, Clone)]
pub(super) struct NodeKinds {
    pub(super) names: Vec<String>,
    pub(super) codes: MappedCodes,
}

/// The types of edges.
#[derive(Debug, Clone)]
pub(super) struct EdgeKinds {
    pub(super) names: Vec<String>,
    pub(super) set_ends: Section<u32>,
    pub(super) set_members: Section<u32>,
    pub(super) sets: MappedCodes,
}

impl KindFile {
    /// Maps a file of types. Cost: the names are read; codes stay mapped.
    ///
    /// # Errors
    /// When the file is not a whole file of types of this version.
    pub fn open(path: &Path) -> Result<KindFile> {
        let file = SectionedFile::open(path, FileKind::Types)?;
        let nodes = if file.has(NODE_CODES) {
            let names = names(&file, [NODE_NAMES, NODE_NAME_ENDS])?;
            Some(NodeKinds { names, codes: MappedCodes::of(&file, NODE_CODES)? })
        } else {
            None
        };
        let edges = if file.has(EDGE_SETS) {
            Some(EdgeKinds {
                names: names(&file, [EDGE_NAMES, EDGE_NAME_ENDS])?,
                set_ends: file.section(SET_ENDS)?,
                set_members: file.section(SET_MEMBERS)?,
                sets: MappedCodes::of(&file, EDGE_SETS)?,
            })
        } else {
            None
        };
        Ok(KindFile { path: path.to_owned(), digest: file.digest(), bytes: file.bytes(), nodes, edges })
    }

    /// The digest of the file.
    #[must_use]
    pub fn digest(&self) -> u128 {
        self.digest
    }

    /// The length of the file.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// True when there are as many codes as a graph has nodes and edges.
    #[must_use]
    pub fn fit(&self, nodes: u64, edges: u64) -> bool {
        self.nodes.as_ref().is_none_or(|kinds| kinds.codes.len() as u64 == nodes)
            && self.edges.as_ref().is_none_or(|kinds| kinds.sets.len() as u64 == edges)
    }

    /// True when another file, of another shard, has types of the same things and of the same names.
    pub(super) fn has_names_of(&self, other: &KindFile) -> bool {
        let of_nodes = |file: &'_ KindFile| file.nodes.as_ref().map(|kinds| kinds.names.clone());
        let of_edges = |file: &'_ KindFile| file.edges.as_ref().map(|kinds| kinds.names.clone());
        of_nodes(self) == of_nodes(other) && of_edges(self) == of_edges(other)
    }

    /// Reads every byte of a file of types, compares it with the checksums, and checks that every code stands for
    /// something.
    ///
    /// # Errors
    /// When any byte is not the one that was written.
    pub fn verify(path: &Path) -> Result<()> {
        SectionedFile::open(path, FileKind::Types)?.verify()?;
        let kinds = KindFile::open(path)?;
        let nodes = kinds.nodes.as_ref().is_none_or(|kinds| {
            kinds.codes.iter().all(|code| code as usize <= kinds.names.len()) && ascend(&kinds.names)
        });
        let edges = kinds.edges.as_ref().is_none_or(|kinds| {
            let sets = (0..u32::MAX).zip(kinds.set_ends.iter()).all(|(set, _)| {
                let known = |members: &[u32]| members.iter().all(|&place| (place as usize) < kinds.names.len());
                kinds.members(set).is_some_and(|members| known(members) && members.is_sorted_by(|low, high| low < high))
            });
            sets && kinds.sets.iter().all(|set| (set as usize) < kinds.set_ends.len()) && ascend(&kinds.names)
        });
        if nodes && edges { Ok(()) } else { Err(kinds.damaged()) }
    }

    /// What a code that stands for nothing means.
    pub(super) fn damaged(&self) -> Error {
        Error::damaged(&self.path, "a code stands for no type")
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl EdgeKinds {
    /// How many sets there are.
    pub(super) fn sets_len(&self) -> usize {
        self.set_ends.len()
    }

    /// The types in a set, by the places of their names; `None` when there is no such set.
    pub(super) fn members(&self, set: u32) -> Option<&[u32]> {
        let ends: &[u32] = &self.set_ends;
        let start = (set as usize).checked_sub(1).map_or(Some(0), |before| ends.get(before).copied())?;
        self.set_members.get(start as usize..*ends.get(set as usize)? as usize)
    }
}

fn ascend(names: &[String]) -> bool {
    names.is_sorted_by(|low, high| low < high)
}

/// Names are few, and everything else stands on them: they are read, checked and copied when the file is opened.
fn names(file: &SectionedFile, [bytes, ends]: [u32; 2]) -> Result<Vec<String>> {
    file.verify_section(bytes)?;
    file.verify_section(ends)?;
    let (bytes, ends) = (file.section::<u8>(bytes)?, file.section::<u32>(ends)?);
    let mut names = Vec::with_capacity(ends.len());
    let mut start = 0;
    for &end in ends.iter() {
        let name = bytes.get(start..end as usize).and_then(|name| std::str::from_utf8(name).ok());
        let name = name.ok_or_else(|| Error::damaged(file.path(), "the names of types cannot be read"))?;
        names.push(name.to_owned());
        start = end as usize;
    }
    Ok(names)
}

/// Codes of any width, mapped.
#[derive(Debug, Clone)]
pub(super) enum MappedCodes {
    Bytes(Section<u8>),
    Shorts(Section<u16>),
    Words(Section<u32>),
}

impl MappedCodes {
    fn of(file: &SectionedFile, section: u32) -> Result<MappedCodes> {
        if let Ok(codes) = file.section(section) {
            return Ok(MappedCodes::Bytes(codes));
        }
        match file.section(section) {
            Ok(codes) => Ok(MappedCodes::Shorts(codes)),
            Err(_) => file.section(section).map(MappedCodes::Words),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            MappedCodes::Bytes(codes) => codes.len(),
            MappedCodes::Shorts(codes) => codes.len(),
            MappedCodes::Words(codes) => codes.len(),
        }
    }

    pub(super) fn get(&self, at: usize) -> Option<u32> {
        match self {
            MappedCodes::Bytes(codes) => codes.get(at).map(|&code| code.into()),
            MappedCodes::Shorts(codes) => codes.get(at).map(|&code| code.into()),
            MappedCodes::Words(codes) => codes.get(at).copied(),
        }
    }

    pub(super) fn iter(&self) -> Box<dyn Iterator<Item = u32> + '_> {
        match self {
            MappedCodes::Bytes(codes) => Box::new(codes.iter().map(|&code| code.into())),
            MappedCodes::Shorts(codes) => Box::new(codes.iter().map(|&code| code.into())),
            MappedCodes::Words(codes) => Box::new(codes.iter().copied()),
        }
    }
}
