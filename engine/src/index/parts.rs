//! An index as this process can read it: those of its segments whose files are here.

use std::path::{Path, PathBuf};

use super::reader::{IndexEntry, SegmentEntry, check_entry, open_segment};
use super::segment::Segment;
use crate::error::{Error, Result};
use crate::ids::NodeId;

/// The segments of an index that this process can read.
#[derive(Debug)]
pub struct IndexParts {
    entry: IndexEntry,
    directory: PathBuf,
    /// In source order; none where the file is elsewhere.
    segments: Vec<Option<Segment>>,
}

impl IndexParts {
    /// Opens those segments of an index that are in a store's directory, for a graph of `nodes` nodes with this digest. The
    /// store's own manifest need not list the index. Cost: the heads of the segments are read.
    ///
    /// # Errors
    /// When the index was built from another graph, does not cover all sources, or a segment that is here is not the one
    /// that is listed.
    pub fn open(store: &Path, entry: &IndexEntry, nodes: usize, graph_digest: u128) -> Result<IndexParts> {
        let directory = check_entry(store, entry, nodes, graph_digest)?;
        let plan_digest = entry.plan.digest();
        let open = |expected: &SegmentEntry| {
            let path = directory.join(&expected.file);
            path.exists().then(|| open_segment(&path, expected, graph_digest, plan_digest)).transpose()
        };
        let segments = entry.segments.iter().map(open).collect::<Result<_>>()?;
        Ok(IndexParts { entry: entry.clone(), directory, segments })
    }

    /// What the manifest says of the index.
    #[must_use]
    pub fn entry(&self) -> &IndexEntry {
        &self.entry
    }

    /// Of each segment, in source order, whether it is here.
    pub fn here(&self) -> impl Iterator<Item = bool> {
        self.segments.iter().map(Option::is_some)
    }

    /// The place of the segment that a source's fingerprint lies in. Cost: a binary search.
    #[must_use]
    pub fn segment_of(&self, source: NodeId) -> usize {
        self.entry.segments.partition_point(|segment| segment.pipeline.end <= source)
    }

    /// A source's fingerprint as it is stored. Cost: a binary search over segments, then its bytes are read once.
    ///
    /// # Errors
    /// When the fingerprint is damaged, or its segment is elsewhere.
    pub fn packed(&self, source: NodeId) -> Result<&[u8]> {
        match self.segments.get(self.segment_of(source)) {
            Some(Some(segment)) => segment.checked(source),
            _ => Err(Error::damaged(&self.directory, format!("the segment of source {source} is not here"))),
        }
    }

    /// The error that a fingerprint which cannot be unpacked deserves.
    #[must_use]
    pub fn damaged(&self, source: NodeId) -> Error {
        Error::damaged(&self.directory, format!("the fingerprint of source {source}"))
    }
}
