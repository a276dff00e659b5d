//! What a user may say about the input.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::thread;

use walkprint_engine::ids::ExternalIds;
use walkprint_engine::kinds::KindList;

use crate::blocks::BLOCK_BYTES;
use crate::{Error, Format, Malformed, node_types};

/// What is done with a triple whose object is a literal: a text, a number or a date instead of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Literals {
    /// It is an error.
    #[default]
    Refuse,
    /// It is left out and counted.
    Skip,
    /// The literal's text becomes a node, whose type is `literal`.
    Nodes,
}

impl fmt::Display for Literals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Literals::Refuse => "error",
            Literals::Skip => "skip",
            Literals::Nodes => "nodes",
        })
    }
}

impl FromStr for Literals {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "error" => Ok(Literals::Refuse),
            "skip" => Ok(Literals::Skip),
            "nodes" => Ok(Literals::Nodes),
            _ => Err(format!("expected error, skip or nodes, got {text:?}")),
        }
    }
}

/// How to read the input. The default reads directed edges, finds format and columns itself, and uses all processors.
///
/// Columns are given by name, or, for files without a header (edge lists, and CSV or TSV where both end points are
/// given so), by number from 1.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadOptions {
    /// The format of all files; `None` finds it by the file's name, and by its first lines where that is not enough.
    pub format: Option<Format>,
    /// Each edge is walked both ways: it is written out in both directions, a self-loop once.
    pub undirected: bool,
    /// The column of the sources.
    pub source_col: Option<String>,
    /// The column of the targets.
    pub target_col: Option<String>,
    /// The column of the weights.
    pub weight_col: Option<String>,
    /// The column of the edges' types.
    pub type_col: Option<String>,
    /// What the weights of a type's edges are multiplied by; types not named keep their weight.
    pub type_weights: BTreeMap<String, f64>,
    /// A file with the types of nodes: in each line an id, a tab or a comma, and a type. Nodes that it does not name have
    /// none.
    pub node_types: Option<PathBuf>,
    /// What becomes of malformed lines, in formats that may skip them.
    pub malformed: Malformed,
    /// Adds an edge back for every edge that leads to another node, of this many times its weight. It has the edge's type with
    /// a `^` before it.
    pub inverse: Option<f64>,
    /// What is done with literals, in formats that have them.
    pub literals: Literals,
    /// A file of pairs of nodes that mean the same, with scores: see [`crate::load`].
    pub synonyms: Option<PathBuf>,
    /// How many threads parse. 0 counts as 1.
    pub threads: usize,
    /// How many bytes the loader may hold; it stops with [`Error::Memory`] when it needs more.
    pub memory_bytes: Option<u64>,
}

impl Default for LoadOptions {
    fn default() -> Self {
        LoadOptions {
            format: None,
            undirected: false,
            source_col: None,
            target_col: None,
            weight_col: None,
            type_col: None,
            type_weights: BTreeMap::new(),
            node_types: None,
            malformed: Malformed::default(),
            inverse: None,
            literals: Literals::default(),
            synonyms: None,
            threads: thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: None,
        }
    }
}

impl LoadOptions {
    /// Refuses what no file could make sense of.
    pub(crate) fn check(&self) -> Result<(), Error> {
        for (name, &weight) in &self.type_weights {
            if !(0.0..f64::INFINITY).contains(&weight) {
                return Err(Error::Option {
                    option: "--edge-weights",
                    expected: "a finite weight of at least 0 for each type",
                    got: format!("{name}={weight}"),
                });
            }
        }
        if let Some(factor) = self.inverse.filter(|factor| !(0.0 < *factor && factor.is_finite())) {
            let expected = "a finite factor above 0";
            return Err(Error::Option { option: "--inverse", expected, got: factor.to_string() });
        }
        if self.inverse.is_some() && self.undirected {
            let (expected, got) = ("either inverse edges or undirected ones", "both".to_owned());
            return Err(Error::Option { option: "--inverse", expected, got });
        }
        Ok(())
    }

    /// Refuses what makes no sense for files of this format.
    pub(crate) fn check_format(&self, format: Format) -> Result<(), Error> {
        if self.malformed == Malformed::Skip && !format.may_skip_malformed() {
            return Err(Error::Option {
                option: "--malformed skip",
                expected: "a format of which malformed parts may be left out (openie, ntriples, triples, ukb)",
                got: format.to_string(),
            });
        }
        Ok(())
    }

    /// Reads the types of nodes, if a file has them: those of the ids for which `is_own` says that they are one of `ids` or no
    /// node's.
    pub(crate) fn read_node_types(
        &self,
        ids: &ExternalIds,
        is_own: &dyn Fn(&[u8]) -> bool,
    ) -> Result<Option<KindList>, Error> {
        self.node_types.as_ref().map(|path| node_types::read(path, ids, is_own, BLOCK_BYTES)).transpose()
    }

    /// Whether edges get weights from their type.
    pub(crate) fn uses_types(&self) -> bool {
        !self.type_weights.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_of_types_are_finite_and_not_negative() {
        for (weight, good) in [(0.0, true), (2.5, true), (-1.0, false), (f64::NAN, false), (f64::INFINITY, false)] {
            let options =
                LoadOptions { type_weights: BTreeMap::from([("likes".to_owned(), weight)]), ..Default::default() };
            assert_eq!(options.check().is_ok(), good, "{weight}");
        }
    }
}
