//! All segments of an index as one: look-up by source.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use super::segment::Segment;
use crate::error::{Error, Result};
use crate::fingerprint::Fingerprint;
use crate::ids::NodeId;
use crate::plan::{Pipeline, Plan};

/// What the store's manifest says of one segment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SegmentEntry {
    /// File name inside the index's directory.
    pub file: String,
    /// Which sources.
    pub pipeline: Pipeline,
    /// Length of the file.
    pub bytes: u64,
}

/// What the store's manifest says of one index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IndexEntry {
    /// The index's name.
    pub name: String,
    /// Counts how often an index of this name was published.
    pub generation: u64,
    /// Directory inside the store.
    pub directory: String,
    /// The plan it was built by.
    pub plan: Plan,
    /// Digest of the graph that was walked, in hexadecimal.
    pub graph_digest: String,
    /// Stored visits of all fingerprints: pairs of source and node.
    pub entries: u64,
    /// Bytes of all segments.
    pub bytes: u64,
    /// Digest over all fingerprints in source order, in hexadecimal: the same for any way of building.
    pub fingerprint_digest: String,
    /// The segments in source order.
    pub segments: Vec<SegmentEntry>,
}

/// An open index. All segments are mapped, so that it goes on when a newer generation takes its place and its files
/// lose their names.
#[derive(Debug)]
pub struct Index {
    entry: IndexEntry,
    directory: PathBuf,
    segments: Vec<Segment>,
}

impl Index {
    /// Opens the index that a manifest describes, for a graph of `nodes` nodes with this digest. Cost: the heads of all
    /// segments are read, some ten microseconds each.
    ///
    /// # Errors
    /// When the index was built from another graph, does not cover all sources, or a segment is not the one that the
    /// manifest lists.
    pub fn open(store: &Path, entry: &IndexEntry, nodes: usize, graph_digest: u128) -> Result<Index> {
        let directory = check_entry(store, entry, nodes, graph_digest)?;
        let plan_digest = entry.plan.digest();
        let open = |expected: &SegmentEntry| {
            open_segment(&directory.join(&expected.file), expected, graph_digest, plan_digest)
        };
        let segments = entry.segments.iter().map(open).collect::<Result<_>>()?;
        Ok(Index { entry: entry.clone(), directory, segments })
    }

    /// What the manifest says of the index.
    #[must_use]
    pub fn entry(&self) -> &IndexEntry {
        &self.entry
    }

    /// The plan it was built by.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.entry.plan
    }

    /// A source's fingerprint. Cost: a binary search over segments, then the fingerprint's bytes are read once.
    ///
    /// # Errors
    /// When the fingerprint is damaged.
    ///
    /// # Panics
    /// When `source` is no node of the graph.
    pub fn fingerprint(&self, source: NodeId) -> Result<Fingerprint<'_>> {
        self.segment(source).fingerprint(source)
    }

    /// A source's fingerprint as it is stored, for whoever unpacks it elsewhere. Cost: as [`Index::fingerprint`].
    ///
    /// # Errors
    /// When the fingerprint is damaged.
    ///
    /// # Panics
    /// When `source` is no node of the graph.
    pub fn packed(&self, source: NodeId) -> Result<&[u8]> {
        self.segment(source).checked(source)
    }

    /// The segment that a source's fingerprint lies in.
    pub(crate) fn segment(&self, source: NodeId) -> &Segment {
        &self.segments[self.entry.segments.partition_point(|segment| segment.pipeline.end <= source)]
    }

    /// The error that a fingerprint which cannot be unpacked deserves.
    #[must_use]
    pub fn damaged(&self, source: NodeId) -> Error {
        Error::damaged(&self.directory, format!("the fingerprint of source {source}"))
    }

    /// Reads every byte of every segment. Returns the number of entries.
    ///
    /// # Errors
    /// When anything is not as it was written.
    pub fn verify(&self) -> Result<u64> {
        let nodes = self.entry.segments.last().map_or(0, |segment| segment.pipeline.end) as usize;
        let mut entries = 0;
        for segment in &self.segments {
            entries += segment.verify(nodes)?;
        }
        let digest = fingerprint_digest(self.segments.iter().map(Ok))?;
        if entries != self.entry.entries || format!("{digest:032x}") != self.entry.fingerprint_digest {
            return Err(Error::damaged(&self.directory, "its fingerprints are not those that the manifest lists"));
        }
        Ok(entries)
    }
}

/// Makes sure that an index is one of a graph, and that its segments hold every source once. Gives its directory.
pub(super) fn check_entry(store: &Path, entry: &IndexEntry, nodes: usize, graph_digest: u128) -> Result<PathBuf> {
    let directory = store.join(&entry.directory);
    let expected = format!("{graph_digest:032x}");
    if entry.graph_digest != expected {
        let got = entry.graph_digest.clone();
        return Err(Error::Mismatch { path: directory, what: "this index was built from graph", expected, got });
    }
    let mut next = 0;
    for segment in &entry.segments {
        if segment.pipeline.first != next || segment.pipeline.end <= next {
            return Err(Error::damaged(&directory, format!("no segment begins at source {next}")));
        }
        next = segment.pipeline.end;
    }
    if next as usize != nodes {
        return Err(Error::damaged(&directory, format!("its segments cover {next} of {nodes} sources")));
    }
    Ok(directory)
}

/// Opens a segment, wherever it lies, and makes sure that it is the one that the manifest lists. Cost: constant.
///
/// # Errors
/// When it is another, or no whole segment of this version.
pub fn open_segment(path: &Path, expected: &SegmentEntry, graph_digest: u128, plan_digest: u128) -> Result<Segment> {
    let segment = Segment::open(path)?;
    let id = segment.id();
    if id.pipeline != expected.pipeline || segment.file().bytes() != expected.bytes {
        return Err(Error::damaged(path, "it is not the segment that the manifest lists"));
    }
    for (what, got, expected) in [
        ("this segment was built from graph", id.graph_digest, graph_digest),
        ("this segment was built by plan", id.plan_digest, plan_digest),
    ] {
        if got != expected {
            let (expected, got) = (format!("{expected:032x}"), format!("{got:032x}"));
            return Err(Error::Mismatch { path: path.to_owned(), what, expected, got });
        }
    }
    Ok(segment)
}

/// The digest over all fingerprints in source order: it depends on the fingerprints, not on how they are cut into
/// segments. Cost: reads the checksums and offsets, not the fingerprints.
///
/// # Errors
/// When a segment could not be opened.
pub fn fingerprint_digest<S: std::borrow::Borrow<Segment>>(segments: impl Iterator<Item = Result<S>>) -> Result<u128> {
    let mut hasher = Xxh3::new();
    for segment in segments {
        for (checksum, length) in segment?.borrow().checksums() {
            hasher.update(&checksum.to_le_bytes());
            hasher.update(&length.to_le_bytes());
        }
    }
    Ok(hasher.digest128())
}
