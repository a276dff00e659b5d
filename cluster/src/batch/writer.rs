//! What the writer thread does with parts: encode, flush, name, and enter in the manifest.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use walkprint_engine::error::Error as EngineError;
use walkprint_engine::file::persist;
use walkprint_engine::ids::NodeId;
use xxhash_rust::xxh3::Xxh3;

use super::Job;
use super::manifest::{Completeness, Manifest, PartEntry};
use super::place::part_file;
use super::rows::{Piece, Stretcher, Surety};
use super::sinks::Sink;
use crate::assembly::Writer;
use crate::error::Result;

/// Rows of a row group, about.
pub(super) const STRETCH_ROWS: usize = 1 << 20;

/// All answers of a part, by source.
pub(super) struct Part {
    pub(super) number: u32,
    pub(super) pieces: Vec<Piece>,
}

/// Starts the thread; it writes into `directory` and keeps the manifest there, and gives it as it is in the end.
pub(super) fn start(directory: PathBuf, mut manifest: Manifest, job: &Arc<Job>) -> Result<Writer<Part, Manifest>> {
    let (writing, stopping) = (Arc::clone(job), Arc::clone(job));
    let write_all = move |parts: &mut dyn Iterator<Item = Part>| {
        let mut stretcher = Stretcher::new(&writing.labels);
        for part in parts {
            manifest.add(write_part(&directory, &part, &writing, &mut stretcher)?);
            if manifest.parts.len() == writing.cut.parts() as usize {
                manifest.status = Completeness::Complete;
            }
            manifest.write(&directory)?;
            writing.progress.sealed.fetch_add(1, Ordering::Relaxed);
        }
        Ok(manifest)
    };
    Writer::start(write_all, move || stopping.progress.stop.store(true, Ordering::Relaxed))
}

/// Writes the file of a part, flushes it and gives it its name.
fn write_part(directory: &Path, part: &Part, job: &Job, stretcher: &mut Stretcher<'_>) -> Result<PartEntry> {
    let file = part_file(part.number, job.format);
    let temporary = directory.join(format!("{file}.tmp"));
    let Range { start, end } = job.cut.part(part.number);
    let (nodes, order) = (job.nodes(start..end), job.order(start..end));
    let mut output = Output::create(&temporary)?;
    let mut sink = Sink::new(job.format, &mut output, job.labels.are_integers(), &temporary)?;
    let rows = stretcher.stretches(nodes, order, &part.pieces, STRETCH_ROWS, |stretch| sink.write(stretch))?;
    sink.finish()?;
    let (bytes, checksum) = output.persist(&directory.join(&file))?;
    let surety = part.pieces.iter().fold(Surety::BEST, |all, piece| all.and(piece.surety));
    Ok(PartEntry {
        number: part.number,
        file,
        first_source: job.first_id(nodes)?,
        sources: nodes.len() as u64,
        rows,
        bytes,
        xxh3: format!("{checksum:016x}"),
        truncated_sources: surety.truncated_sources,
        least_mass_accounted: surety.least_mass_accounted,
        largest_error_bound: Some(surety.largest_error_bound).filter(|bound| bound.is_finite()),
    })
}

impl Job {
    fn first_id(&self, nodes: &[NodeId]) -> Result<String> {
        Ok(self.labels.id(*nodes.first().expect("a part has a source"))?)
    }
}

/// A file under its temporary name, with its length and checksum so far.
pub(super) struct Output {
    file: BufWriter<File>,
    temporary: PathBuf,
    bytes: u64,
    checksum: Xxh3,
    persisted: bool,
}

impl Output {
    fn create(temporary: &Path) -> Result<Output> {
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(temporary);
        let file = BufWriter::with_capacity(1 << 18, file.map_err(EngineError::io(temporary, "create"))?);
        Ok(Output { file, temporary: temporary.to_owned(), bytes: 0, checksum: Xxh3::new(), persisted: false })
    }

    /// Flushes the file and gives it its name. Returns its length and checksum.
    fn persist(mut self, path: &Path) -> Result<(u64, u64)> {
        self.file.flush().map_err(EngineError::io(&self.temporary, "write"))?;
        persist(self.file.get_ref(), &self.temporary, path)?;
        self.persisted = true;
        Ok((self.bytes, self.checksum.digest()))
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.checksum.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if !self.persisted {
            // Best effort: a temporary file is swept away when the batch goes on.
            let _ = std::fs::remove_file(&self.temporary);
        }
    }
}
