//! One segment: written from packed fingerprints in source order, read by source.

use std::path::Path;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::error::{Error, Result};
use crate::file::{FileKind, Section, SectionWriter, SectionedFile};
use crate::fingerprint::Fingerprint;
use crate::ids::NodeId;
use crate::plan::Pipeline;

const INFO: u32 = 1;
const OFFSETS: u32 = 2;
const CHECKSUMS: u32 = 3;
const BYTES: u32 = 4;

/// What a segment belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentId {
    /// Which sources.
    pub pipeline: Pipeline,
    /// Digest of the graph that was walked.
    pub graph_digest: u128,
    /// Digest of the plan.
    pub plan_digest: u128,
}

impl SegmentId {
    #[expect(clippy::cast_possible_truncation, reason = "digests are stored as two halves")]
    fn to_numbers(self, entries: u64) -> [u64; 8] {
        let Pipeline { number, first, end } = self.pipeline;
        let (graph, plan) = (self.graph_digest, self.plan_digest);
        let halves = [graph as u64, (graph >> 64) as u64, plan as u64, (plan >> 64) as u64];
        [number.into(), first.into(), u64::from(end - first), halves[0], halves[1], halves[2], halves[3], entries]
    }

    fn from_numbers(numbers: &[u64]) -> Option<(SegmentId, u64)> {
        let &[number, first, sources, graph_low, graph_high, plan_low, plan_high, entries] = numbers else {
            return None;
        };
        let pipeline = Pipeline {
            number: u32::try_from(number).ok()?,
            first: NodeId::try_from(first).ok()?,
            end: NodeId::try_from(first.checked_add(sources)?).ok()?,
        };
        let join = |low: u64, high: u64| u128::from(low) | u128::from(high) << 64;
        let (graph_digest, plan_digest) = (join(graph_low, graph_high), join(plan_low, plan_high));
        Some((SegmentId { pipeline, graph_digest, plan_digest }, entries))
    }
}

/// Collects the packed fingerprints of one pipeline and writes them as a segment.
///
/// Memory: the packed bytes of the pipeline, plus eight bytes a source.
#[derive(Debug)]
pub struct SegmentWriter {
    id: SegmentId,
    entries: u64,
    offsets: Vec<u32>,
    checksums: Vec<u32>,
    bytes: Vec<u8>,
}

impl SegmentWriter {
    /// An empty segment.
    #[must_use]
    pub fn new(id: SegmentId) -> SegmentWriter {
        SegmentWriter { id, entries: 0, offsets: vec![0], checksums: Vec::new(), bytes: Vec::new() }
    }

    /// Makes room for packed fingerprints of so many bytes together. Cost: memory, once instead of step by step.
    pub fn reserve(&mut self, bytes: usize) {
        self.bytes.reserve_exact(bytes);
        let sources = (self.id.pipeline.end - self.id.pipeline.first) as usize;
        self.offsets.reserve_exact(sources);
        self.checksums.reserve_exact(sources);
    }

    /// Appends the packed fingerprint of the next source.
    ///
    /// # Errors
    /// When the segment would pass four gibibytes.
    ///
    /// # Panics
    /// When the bytes are no fingerprint.
    pub fn push(&mut self, fingerprint: &[u8]) -> Result<()> {
        let source = self.id.pipeline.first + self.sources();
        let entries = Fingerprint::decode(fingerprint).expect("only packed fingerprints are pushed").entries;
        self.entries += u64::from(entries);
        self.checksums.push(checksum(source, fingerprint));
        self.bytes.extend_from_slice(fingerprint);
        let end = u32::try_from(self.bytes.len()).map_err(|_| Error::Graph {
            what: "one pipeline's fingerprints pass 4 GiB; lower --walks or --walks-per-edge".to_owned(),
        })?;
        self.offsets.push(end);
        Ok(())
    }

    /// Which sources the segment is for.
    #[must_use]
    pub fn pipeline(&self) -> Pipeline {
        self.id.pipeline
    }

    /// How many fingerprints were appended.
    #[must_use]
    pub fn sources(&self) -> u32 {
        u32::try_from(self.checksums.len()).expect("a pipeline's sources are nodes")
    }

    /// Bytes held in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.len() + 8 * self.checksums.len()
    }

    /// Writes the segment file: temporary name, flush, rename.
    ///
    /// # Errors
    /// When the disk refuses.
    ///
    /// # Panics
    /// When not every source of the pipeline has its fingerprint.
    pub fn write(&self, path: &Path) -> Result<()> {
        let Pipeline { first, end, .. } = self.id.pipeline;
        assert_eq!(self.sources(), end - first, "a pipeline is sealed when all its sources are walked");
        let mut writer = SectionWriter::create(path, FileKind::Segment, 4)?;
        writer.section(INFO, &self.id.to_numbers(self.entries))?;
        writer.section(OFFSETS, &self.offsets)?;
        writer.section(CHECKSUMS, &self.checksums)?;
        writer.section(BYTES, &self.bytes)?;
        writer.finish()?;
        Ok(())
    }
}

/// An open segment.
#[derive(Debug)]
pub struct Segment {
    file: SectionedFile,
    id: SegmentId,
    entries: u64,
    offsets: Section<u32>,
    checksums: Section<u32>,
    bytes: Section<u8>,
}

impl Segment {
    /// Maps a segment and checks its head. Cost: constant.
    ///
    /// # Errors
    /// When the file is not a whole segment of this version.
    pub fn open(path: &Path) -> Result<Segment> {
        let file = SectionedFile::open(path, FileKind::Segment)?;
        file.verify_section(INFO)?;
        let head = SegmentId::from_numbers(&file.section::<u64>(INFO)?);
        let (id, entries) = head.ok_or_else(|| Error::damaged(path, "its head makes no sense"))?;
        let (offsets, checksums) = (file.section::<u32>(OFFSETS)?, file.section::<u32>(CHECKSUMS)?);
        let bytes = file.section(BYTES)?;
        let sources = (id.pipeline.end - id.pipeline.first) as usize;
        if offsets.len() != sources + 1 || checksums.len() != sources {
            return Err(Error::damaged(path, format!("it has not {sources} fingerprints")));
        }
        Ok(Segment { file, id, entries, offsets, checksums, bytes })
    }

    /// What the segment belongs to.
    #[must_use]
    pub fn id(&self) -> SegmentId {
        self.id
    }

    /// Entries of all its fingerprints, as its head says.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// The segment file.
    #[must_use]
    pub fn file(&self) -> &SectionedFile {
        &self.file
    }

    /// The checksum and packed length of every fingerprint, in source order.
    pub fn checksums(&self) -> impl Iterator<Item = (u32, u32)> {
        let lengths = self.offsets.windows(2).map(|pair| pair[1].wrapping_sub(pair[0]));
        self.checksums.iter().copied().zip(lengths)
    }

    fn place(&self, source: NodeId) -> usize {
        (source - self.id.pipeline.first) as usize
    }

    /// Where [`Segment::packed`] begins to read, for whoever asks the processor for it in advance.
    pub(crate) fn offset(&self, source: NodeId) -> &u32 {
        &self.offsets[self.place(source)]
    }

    /// The bytes of a source's fingerprint as they are, for whoever asks the processor for them in advance.
    pub(crate) fn packed(&self, source: NodeId) -> Option<&[u8]> {
        let at = self.place(source);
        self.bytes.get(self.offsets[at] as usize..self.offsets[at + 1] as usize)
    }

    /// A source's fingerprint, checked against its checksum. Cost: the bytes are read once.
    ///
    /// # Errors
    /// When the bytes are damaged.
    ///
    /// # Panics
    /// When the source is not of this segment.
    pub fn fingerprint(&self, source: NodeId) -> Result<Fingerprint<'_>> {
        Fingerprint::decode(self.checked(source)?).ok_or_else(|| self.damaged(source))
    }

    /// The packed bytes of a source's fingerprint, checked against their checksum. Cost: the bytes are read once.
    pub(crate) fn checked(&self, source: NodeId) -> Result<&[u8]> {
        let at = self.place(source);
        let bytes = self.packed(source).ok_or_else(|| self.damaged(source))?;
        if checksum(source, bytes) == self.checksums[at] { Ok(bytes) } else { Err(self.damaged(source)) }
    }

    /// Reads every byte, checks it, and unpacks every fingerprint. Returns the number of entries.
    ///
    /// # Errors
    /// When anything is not as it was written, or names a node outside `0..nodes`.
    pub fn verify(&self, nodes: usize) -> Result<u64> {
        self.file.verify()?;
        let mut entries = 0;
        for source in self.id.pipeline.first..self.id.pipeline.end {
            let fingerprint = self.fingerprint(source)?;
            let mut inside = true;
            if !fingerprint.for_each(|node, _| inside &= (node as usize) < nodes) || !inside {
                return Err(self.damaged(source));
            }
            entries += u64::from(fingerprint.entries);
        }
        if entries != self.entries {
            return Err(Error::damaged(
                self.file.path(),
                format!("it has {entries} entries, expected {}", self.entries),
            ));
        }
        Ok(entries)
    }

    pub(crate) fn damaged(&self, source: NodeId) -> Error {
        Error::damaged(self.file.path(), format!("the fingerprint of source {source}"))
    }
}

/// The low half of XXH3-64, keyed by the source so that exchanged fingerprints are found.
#[expect(clippy::cast_possible_truncation, reason = "half of the hash is kept on purpose")]
fn checksum(source: NodeId, bytes: &[u8]) -> u32 {
    xxh3_64_with_seed(bytes, source.into()) as u32
}
