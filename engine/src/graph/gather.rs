//! The file of a whole graph from the files of its shards.

use std::path::Path;

use zerocopy::IntoBytes;

use super::digest::{RowsDigest, halves};
use super::rows::{DIGEST, Graph, OFFSETS};
use super::shard_file::ShardFile;
use crate::error::{Error, Result};
use crate::file::{FileKind, SectionWriter};

/// How many row offsets are written at once.
const OFFSETS_AT_ONCE: usize = 1 << 13;

impl Graph {
    /// Writes the graph whose shards these are, in order: the very file that [`Graph::write`] writes. Returns the graph's
    /// digest. Cost: shards are read twice, once to be hashed. Memory: a few buffers.
    ///
    /// # Errors
    /// When shards do not fit together or are damaged, or the disk refuses.
    ///
    /// # Panics
    /// When there is no shard.
    pub fn gather(path: &Path, shards: &[ShardFile]) -> Result<u128> {
        let mut digest = RowsDigest::default();
        for shard in shards {
            digest.merge(&shard.rows().digest_of_rows(shard.id().nodes.start)?);
        }
        let digest = digest.finish();
        let sections = shards[0].rows().stored_sections();
        let mut writer = SectionWriter::create(path, FileKind::Graph, sections.len() + 1)?;
        for (place, &(id, width, _)) in sections.iter().enumerate() {
            writer.begin(id, width)?;
            if id == OFFSETS {
                append_offsets(&mut writer, shards)?;
                continue;
            }
            for shard in shards {
                match shard.rows().stored_sections().get(place) {
                    Some(&(other, other_width, bytes)) if (other, other_width) == (id, width) => {
                        writer.append(bytes)?
                    }
                    _ => return Err(Error::damaged(shard.rows().path(), "its weights are stored otherwise")),
                }
            }
        }
        writer.section(DIGEST, &halves(digest))?;
        writer.finish()?;
        Ok(digest)
    }
}

/// Offsets of a shard count from its first edge.
fn append_offsets(writer: &mut SectionWriter, shards: &[ShardFile]) -> Result<()> {
    let mut before = 0;
    for shard in shards {
        let rows = shard.rows();
        for offsets in rows.offsets()[..rows.nodes()].chunks(OFFSETS_AT_ONCE) {
            let moved: Vec<u64> = offsets.iter().map(|offset| offset.wrapping_add(before)).collect();
            writer.append(moved.as_bytes())?;
        }
        before += rows.edges() as u64;
    }
    writer.append(before.as_bytes())
}
