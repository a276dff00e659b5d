//! `_manifest.json`: what a directory of answers holds, and what they are answers to. Readers of Parquet directories leave
//! out names that begin with an underscore.
//!
//! **What is not in the manifest does not exist**: a part is written, flushed and renamed first, then the manifest is
//! replaced. Nothing in it depends on workers, memory or time. (Test: `tests/tests/batch.rs`.)

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use walkprint_engine::error::Error as EngineError;
use walkprint_engine::file::persist;

use super::options::Format;
use crate::error::Result;

/// The file's name.
pub(crate) const NAME: &str = "_manifest.json";
/// Marks our manifests among other programs' files of this name.
const KIND: &str = "walkprint batch";
const VERSION: u32 = 1;

/// The manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// [`KIND`].
    kind: String,
    /// [`VERSION`].
    version: u32,
    pub(crate) status: Completeness,
    pub(crate) parameters: Parameters,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    /// Ascending by number.
    pub(crate) parts: Vec<PartEntry>,
}

/// Whether all parts are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Completeness {
    Incomplete,
    Complete,
}

/// Everything that the answers depend on, and how they are cut into parts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Parameters {
    pub(crate) top: usize,
    pub(crate) method: String,
    pub(crate) dangling: String,
    pub(crate) precision: Option<f64>,
    /// In words, with digests of the nodes that filters name; none where scores are neither filtered nor shaped.
    pub(crate) shape: Option<String>,
    pub(crate) restart_prob: f64,
    pub(crate) index: Option<String>,
    pub(crate) fingerprint_digest: Option<String>,
    pub(crate) graph_digest: String,
    pub(crate) labels_digest: String,
    pub(crate) sources: u64,
    pub(crate) sources_digest: String,
    pub(crate) skipped_unknown: u64,
    pub(crate) format: Format,
    pub(crate) part_sources: u64,
    /// `sharded` where it was: answers then are others, within their errors.
    #[serde(default)]
    pub(crate) graph: Option<String>,
}

/// A part that is on the disk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PartEntry {
    pub(crate) number: u32,
    pub(crate) file: String,
    pub(crate) first_source: String,
    pub(crate) sources: u64,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    /// XXH3-64 of the file, in hexadecimal.
    pub(crate) xxh3: String,
    /// Sources with fewer results than were asked for.
    pub(crate) truncated_sources: u64,
    /// The least share of a source's mass that its scores account for.
    pub(crate) least_mass_accounted: f64,
    /// The largest bound of a source's L1 error; none where scores are estimates with a standard error each.
    pub(crate) largest_error_bound: Option<f64>,
}

impl Manifest {
    /// That of a batch that has just begun.
    pub(crate) fn new(parameters: Parameters) -> Manifest {
        let (kind, status) = (KIND.to_owned(), Completeness::Incomplete);
        Manifest { kind, version: VERSION, status, parameters, rows: 0, bytes: 0, parts: Vec::new() }
    }

    /// Adds a part.
    pub(crate) fn add(&mut self, part: PartEntry) {
        self.parts.push(part);
        self.parts.sort_by_key(|part| part.number);
        self.reckon();
    }

    /// Leaves out parts.
    pub(crate) fn retain(&mut self, keep: impl FnMut(&PartEntry) -> bool) {
        self.parts.retain(keep);
        self.reckon();
    }

    fn reckon(&mut self) {
        self.rows = self.parts.iter().map(|part| part.rows).sum();
        self.bytes = self.parts.iter().map(|part| part.bytes).sum();
    }

    /// Reads the manifest of a directory. `Err` says in words why it is none of ours.
    pub(crate) fn read(directory: &Path) -> std::result::Result<Manifest, String> {
        let bytes = std::fs::read(directory.join(NAME)).map_err(|error| error.to_string())?;
        let value: Value = serde_json::from_slice(&bytes).map_err(|error| format!("no JSON: {error}"))?;
        if value["kind"] != KIND {
            return Err("another program's".into());
        }
        if value["version"] != VERSION {
            return Err(format!("of version {}, this program knows {VERSION}", value["version"]));
        }
        serde_json::from_value(value).map_err(|error| error.to_string())
    }

    /// Replaces the manifest of a directory, as a whole.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(crate) fn write(&self, directory: &Path) -> Result<()> {
        let path = directory.join(NAME);
        let temporary = directory.join(format!("{NAME}.tmp"));
        let text = serde_json::to_string_pretty(self).expect("plain structs always serialize") + "\n";
        let written = std::fs::write(&temporary, text).map_err(EngineError::io(&temporary, "write"));
        let written = written.and_then(|()| {
            let file = std::fs::OpenOptions::new().write(true).open(&temporary);
            persist(&file.map_err(EngineError::io(&temporary, "open"))?, &temporary, &path)
        });
        if written.is_err() {
            let _ = std::fs::remove_file(&temporary); // the error that counts is the first one
        }
        Ok(written?)
    }
}

impl Parameters {
    /// What differs from those of this run, in words; `None` when nothing does.
    pub(crate) fn difference(&self, now: &Parameters) -> Option<String> {
        let fields = |parameters| match serde_json::to_value(parameters) {
            Ok(Value::Object(fields)) => fields,
            _ => unreachable!("a plain struct is an object"),
        };
        let (then, now) = (fields(self), fields(now));
        let differing = then.iter().filter(|(name, value)| now.get(*name) != Some(value));
        let words = differing.map(|(name, value)| match name.as_str() {
            "graph_digest" | "labels_digest" => "for another graph".to_owned(),
            "fingerprint_digest" => "with another index, or one that was built anew".to_owned(),
            "sources_digest" => "for other sources".to_owned(),
            name => format!("with {name} {value}, not {}", now[name]),
        });
        let mut words: Vec<String> = words.collect();
        words.dedup();
        (!words.is_empty()).then(|| words.join(", "))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn parameters() -> Parameters {
        Parameters {
            top: 10,
            method: "combine".into(),
            dangling: "restart".into(),
            precision: None,
            shape: None,
            restart_prob: 0.15,
            index: Some("default".into()),
            fingerprint_digest: Some("12".into()),
            graph_digest: "34".into(),
            labels_digest: "56".into(),
            sources: 7,
            sources_digest: "78".into(),
            skipped_unknown: 0,
            format: Format::Parquet,
            part_sources: 4,
            graph: None,
        }
    }

    pub(crate) fn part(number: u32) -> PartEntry {
        PartEntry {
            number,
            file: format!("part-{number:05}.parquet"),
            first_source: "a".into(),
            sources: 4,
            rows: 40,
            bytes: 400,
            xxh3: "0".into(),
            truncated_sources: 1,
            least_mass_accounted: 0.1 + 0.2,
            largest_error_bound: Some(1e-12),
        }
    }

    #[test]
    fn a_manifest_comes_back_as_it_was_written() {
        let directory = tempfile::tempdir().unwrap();
        let mut manifest = Manifest::new(parameters());
        manifest.add(part(1));
        manifest.add(part(0));
        assert_eq!((manifest.rows, manifest.bytes, manifest.parts[0].number), (80, 800, 0));
        manifest.write(directory.path()).unwrap();
        assert_eq!(Manifest::read(directory.path()).unwrap(), manifest);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "a temporary file was left");
    }

    #[test]
    fn other_files_of_this_name_are_none_of_ours() {
        let directory = tempfile::tempdir().unwrap();
        let read = |text: &str| {
            std::fs::write(directory.path().join(NAME), text).unwrap();
            Manifest::read(directory.path()).unwrap_err()
        };
        assert!(read("{").contains("JSON"));
        assert!(read("{}").contains("another program"));
        assert!(read(r#"{"kind": "walkprint batch", "version": 2}"#).contains("version 2"));
        assert!(read(r#"{"kind": "walkprint batch", "version": 1}"#).contains("missing field"));
    }

    #[test]
    fn a_difference_is_told_with_both_values() {
        let then = parameters();
        assert_eq!(then.difference(&then.clone()), None);
        let mut now = then.clone();
        (now.top, now.graph_digest, now.labels_digest) = (20, "a".into(), "b".into());
        let words = then.difference(&now).unwrap();
        assert_eq!(words, "for another graph, with top 10, not 20");
    }
}
