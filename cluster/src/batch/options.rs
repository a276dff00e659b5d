//! What a batch is asked to do, how far it is, and what it did.

use std::convert::Infallible;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64};

use serde::{Deserialize, Serialize};
use walkprint_engine::query::{Dangling, Method, Shape};

use super::cost::Pilot;

/// What to answer and where to put it.
#[derive(Debug, Clone)]
pub struct BatchOptions {
    /// Whose answers.
    pub sources: Sources,
    /// What to do about ids in a list of sources that are no nodes.
    pub unknown: Unknown,
    /// How many results for each source, at most; at least 1, may exceed the number of nodes.
    pub top: usize,
    /// The directory for the answers.
    pub out: PathBuf,
    /// How answers are written.
    pub format: Format,
    /// How to answer. [`Method::Auto`] measures all that will do on a sample, and takes the fastest.
    pub method: Method,
    /// The L1 error to aim at, and that [`Method::Auto`] may put up with. Without it everything but a look-up will do.
    pub precision: Option<f64>,
    /// What a walk does at dangling nodes.
    pub dangling: Dangling,
    /// Which nodes may be results, and what is done to their scores.
    pub shape: Shape,
    /// The index to ask; without a name, `default` or one that fits.
    pub index: Option<String>,
    /// The restart probability; without it, the index's own.
    pub restart_prob: Option<f64>,
    /// About how many rows a file has; without it, as many as is handy to read and cheap to lose.
    pub rows_per_file: Option<u64>,
    /// How many workers (threads) answer.
    pub workers: usize,
    /// The most memory the batch may hold, in bytes; mapped files of the store do not count.
    pub memory_bytes: u64,
    /// Go on with an interrupted batch.
    pub resume: bool,
    /// Answer anew over a batch that is there.
    pub replace: bool,
}

impl BatchOptions {
    /// The usual settings: all sources, ten results each as Parquet, two workers, a gibibyte.
    #[must_use]
    pub fn new(out: &Path) -> BatchOptions {
        BatchOptions {
            sources: Sources::All,
            unknown: Unknown::Refuse,
            top: 10,
            out: out.to_owned(),
            format: Format::Parquet,
            method: Method::Auto,
            precision: None,
            dangling: Dangling::Restart,
            shape: Shape::default(),
            index: None,
            restart_prob: None,
            rows_per_file: None,
            workers: 2,
            memory_bytes: 1 << 30,
            resume: false,
            replace: false,
        }
    }
}

/// Whose answers a batch gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sources {
    /// Every node's.
    All,
    /// Those of the ids in a file, one a line.
    File(PathBuf),
    /// Those of all nodes of a type.
    Kind(String),
}

impl FromStr for Sources {
    type Err = Infallible;

    /// `all`, `type:NAME`, or a file. A file that is named like one of the others is given with its directory, as ./all.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match (text, text.strip_prefix("type:")) {
            ("all", _) => Sources::All,
            (_, Some(name)) => Sources::Kind(name.to_owned()),
            (file, None) => Sources::File(file.into()),
        })
    }
}

/// What to do about ids that are no nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unknown {
    /// Refuse the list.
    Refuse,
    /// Leave them out, and count them.
    Skip,
}

impl FromStr for Unknown {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "error" => Ok(Unknown::Refuse),
            "skip" => Ok(Unknown::Skip),
            _ => Err(format!("expected error or skip, got {text:?}")),
        }
    }
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unknown::Refuse => "error",
            Unknown::Skip => "skip",
        })
    }
}

/// How answers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Parquet: sorted, in row groups near one million rows, compressed by zstd.
    Parquet,
    /// CSV with a header.
    Csv,
    /// One JSON object a line.
    Jsonl,
}

impl Format {
    /// The end of a file's name, without its dot.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Format::Parquet => "parquet",
            Format::Csv => "csv",
            Format::Jsonl => "jsonl",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.extension())
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = [Format::Parquet, Format::Csv, Format::Jsonl];
        let found = known.into_iter().find(|format| format.extension() == text);
        found.ok_or_else(|| format!("expected parquet, csv or jsonl, got {text:?}"))
    }
}

/// How far a batch is, readable from any thread.
#[derive(Debug, Default)]
pub struct BatchProgress {
    /// All sources of the batch; 0 until they are known.
    pub all_sources: AtomicU64,
    /// Sources that were answered, those of sealed parts of earlier runs included.
    pub sources: AtomicU64,
    /// Rows of these answers in this run.
    pub rows: AtomicU64,
    /// Parts on the disk.
    pub sealed: AtomicU64,
    /// What the pilot measured, once it has.
    pub pilot: OnceLock<Pilot>,
    /// What went wrong in this process while others answer on, for graphs in shards.
    pub failed: OnceLock<String>,
    /// Set from outside to stop: what is sealed stays, the rest is dropped.
    pub stop: AtomicBool,
}

/// What a batch did.
#[derive(Debug, Clone)]
pub struct BatchOutcome {
    /// Sources with answers in the directory.
    pub sources: u64,
    /// Ids of the list that are no nodes and were left out.
    pub skipped_unknown: u64,
    /// Rows in the directory.
    pub rows: u64,
    /// Bytes of the parts.
    pub bytes: u64,
    /// Parts.
    pub parts: usize,
    /// Parts that were on the disk before this run.
    pub resumed_parts: usize,
    /// Sources with fewer results than were asked for.
    pub truncated_sources: u64,
    /// The method that answered; never [`Method::Auto`].
    pub method: Method,
    /// The restart probability.
    pub restart_prob: f64,
    /// The index that answered.
    pub index: Option<String>,
    /// What the pilot measured; `None` when there was none, as for a few sources or a resumed batch.
    pub pilot: Option<Pilot>,
    /// Time from the first answer to the last byte on the disk, without the pilot, in seconds.
    pub seconds: f64,
    /// The memory that the batch planned to hold, in bytes.
    pub planned_bytes: u64,
}

impl BatchOutcome {
    /// The time that was predicted for what [`BatchOutcome::seconds`] measures.
    #[must_use]
    pub fn predicted_seconds(&self) -> Option<f64> {
        let measured = &self.pilot.as_ref()?.measured;
        measured.iter().find(|measured| measured.method == self.method).map(|measured| measured.predicted_seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_shown() {
        for format in [Format::Parquet, Format::Csv, Format::Jsonl] {
            assert_eq!(format.to_string().parse(), Ok(format));
        }
        for unknown in [Unknown::Refuse, Unknown::Skip] {
            assert_eq!(unknown.to_string().parse(), Ok(unknown));
        }
        assert!("xml".parse::<Format>().is_err() && "ignore".parse::<Unknown>().is_err());
    }

    #[test]
    fn only_bare_words_are_no_files() {
        assert_eq!("all".parse(), Ok(Sources::All));
        assert_eq!("type:user".parse(), Ok(Sources::Kind("user".into())));
        assert_eq!("./type:user".parse(), Ok(Sources::File("./type:user".into())));
        assert_eq!("./all".parse(), Ok(Sources::File("./all".into())));
        assert_eq!("All".parse(), Ok(Sources::File("All".into())));
    }
}
