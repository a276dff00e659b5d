//! What a user may say about the input.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::thread;

use walkprint_engine::ids::ExternalIds;
use walkprint_engine::kinds::KindList;

use crate::blocks::BLOCK_BYTES;
use crate::{Error, Format, Malformed, node_types};

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
        Ok(())
    }

    /// Refuses what makes no sense for files of this format.
    pub(crate) fn check_format(&self, format: Format) -> Result<(), Error> {
        if self.malformed == Malformed::Skip && !format.may_skip_malformed() {
            return Err(Error::Option {
                option: "--malformed skip",
                expected: "a format whose malformed lines may be left out (triples, ukb)",
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
