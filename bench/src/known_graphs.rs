//! Six graphs of different size and shape that a suite can ask for by name.
//!
//! WordNet lies in the repository and R-MAT is generated. The others are read from the folder of data beside the
//! repository, or the one that the environment variable `WALKPRINT_DATA` names.

use std::fmt::{self, Write as _};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use flate2::read::MultiGzDecoder;

use crate::graphs::{GraphOptions, Reading, Spec};

/// A graph with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// Who votes on whom: small, dense, a third of it dangling.
    WikiVote,
    /// Words and what may stand for them: rows of many targets, most of which are dangling.
    MobyThesaurus,
    /// Word senses: sparse, no hubs.
    WordNet,
    /// Who trusts whom, both ways: hubs.
    Epinions,
    /// A web crawl: strongly local.
    Cnr,
    /// R-MAT of 200,000 nodes and 3,000,000 edges: skewed, not local at all.
    Rmat,
}

impl Known {
    /// All, from small to large.
    pub(crate) const ALL: [Known; 6] =
        [Known::WikiVote, Known::WordNet, Known::Epinions, Known::MobyThesaurus, Known::Rmat, Known::Cnr];

    /// What it is called on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Known::WikiVote => "wiki-Vote",
            Known::MobyThesaurus => "moby-thesaurus",
            Known::WordNet => "wordnet-3.0",
            Known::Epinions => "soc-Epinions1",
            Known::Cnr => "cnr-2000",
            Known::Rmat => "rmat-nodes:200000:3000000",
        }
    }

    /// The file that it is read from, whether it is there or not; none where it is generated.
    pub(crate) fn file(self) -> Option<PathBuf> {
        let bench = Path::new(env!("CARGO_MANIFEST_DIR"));
        match self {
            Known::WikiVote => Some(data().join("wiki-Vote/wiki-Vote.txt")),
            Known::MobyThesaurus => Some(data().join("moby-thesaurus/words.txt.gz")),
            Known::WordNet => Some(bench.join("../cluster/data/wordnet/wordnet.tsv.gz")),
            Known::Epinions => Some(data().join("soc-Epinions1/soc-Epinions1.txt.gz")),
            Known::Cnr => Some(data().join("cnr-2000/cnr-2000.txt.gz")),
            Known::Rmat => None,
        }
    }

    /// How to have it. What `walkprint load` does not read is written anew into a directory, which outlives the load.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub(crate) fn options(self, directory: &Path, key: u64) -> Result<GraphOptions> {
        let graph = match (self, self.file()) {
            (Known::MobyThesaurus, Some(lists)) => {
                let edges = directory.join("moby-thesaurus.csv");
                write_edges(&lists, &edges)?;
                Spec::File(edges)
            }
            (_, Some(file)) => Spec::File(file),
            (_, None) => Spec::RmatNodes { nodes: 200_000, edges: 3_000_000, weighted: false },
        };
        let both_ways = self == Known::Epinions;
        let reading = Reading { undirected: both_ways, unweighted: both_ways, ..Reading::default() };
        Ok(GraphOptions { graph, reading, key })
    }
}

/// The folder of data beside the repository, or the one that the environment names; it need not be there.
pub(crate) fn data() -> PathBuf {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    std::env::var_os("WALKPRINT_DATA").map_or_else(beside, PathBuf::from)
}

/// A file of the folder of data.
///
/// # Errors
/// When it is not there.
pub(crate) fn data_file(name: &str) -> Result<PathBuf> {
    let path = data().join(name);
    if path.exists() {
        return Ok(path);
    }
    bail!("{}: expected a file, got none; WALKPRINT_DATA may name the folder of data", path.display())
}

impl FromStr for Known {
    type Err = String;

    fn from_str(text: &str) -> Result<Known, String> {
        let found = Known::ALL.into_iter().find(|known| known.name() == text);
        found.ok_or_else(|| {
            let names = Known::ALL.map(Known::name).join(", ");
            format!("expected one of {names}, got {text:?}")
        })
    }
}

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Writes the edges of compressed lists as CSV.
fn write_edges(lists: &Path, edges: &Path) -> Result<()> {
    let file = std::fs::OpenOptions::new().read(true).open(lists);
    let file = file.with_context(|| format!("{}: could not open", lists.display()))?;
    let mut csv = String::from("source,target\n");
    for line in BufReader::new(MultiGzDecoder::new(file)).lines() {
        add_edges(&mut csv, &line.with_context(|| format!("{}: could not read", lists.display()))?);
    }
    std::fs::write(edges, csv).with_context(|| format!("{}: could not write", edges.display()))
}

/// A line is a word and what may stand for it, between commas. An empty word is none.
fn add_edges(csv: &mut String, line: &str) {
    let quoted = |word: &str| format!("\"{}\"", word.replace('"', "\"\""));
    let mut words = line.trim_end().split(',').filter(|word| !word.is_empty()).map(quoted);
    let Some(source) = words.next() else { return };
    words.for_each(|target| _ = writeln!(csv, "{source},{target}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_shown() {
        for known in Known::ALL {
            assert_eq!(known.to_string().parse(), Ok(known));
        }
        assert!("wiki".parse::<Known>().unwrap_err().contains("wiki-Vote"));
        assert_eq!(Known::Rmat.name().parse(), Ok(Known::Rmat.options(Path::new("."), 0).unwrap().graph));
    }

    #[test]
    fn a_list_is_an_edge_from_its_first_word_to_each_other() {
        let mut csv = String::new();
        add_edges(&mut csv, "a la mode,in,,say \"chic\",far out\r");
        add_edges(&mut csv, "");
        assert_eq!(csv, "\"a la mode\",\"in\"\n\"a la mode\",\"say \"\"chic\"\"\"\n\"a la mode\",\"far out\"\n");
    }
}
