//! Writing a sectioned file: streamed, checked as it goes, named last.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;
use zerocopy::IntoBytes;

use super::reader::{Element, content_digest, header_checksum};
use super::{ALIGNMENT, FORMAT_VERSION, FileKind, HEADER_BYTES, MAGIC, ROW_BYTES, SectionRow};
use crate::error::{Error, Result};

/// Writes the sections of one file in order. Memory: a buffer of one mebibyte.
///
/// The file appears under its name only with [`SectionWriter::finish`]; dropped before, it leaves nothing behind.
pub struct SectionWriter {
    path: PathBuf,
    temporary: PathBuf,
    file: BufWriter<File>,
    kind: FileKind,
    sections: usize,
    rows: Vec<SectionRow>,
    open: Option<(SectionRow, Box<Xxh3>)>,
    position: u64,
    finished: bool,
}

impl SectionWriter {
    /// Begins a file of exactly `sections` sections.
    ///
    /// # Errors
    /// When the temporary file beside `path` cannot be made.
    pub fn create(path: &Path, kind: FileKind, sections: usize) -> Result<SectionWriter> {
        let temporary = temporary_name(path);
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(&temporary);
        let file = file.map_err(Error::io(&temporary, "create"))?;
        let mut writer = SectionWriter {
            path: path.to_owned(),
            temporary,
            file: BufWriter::with_capacity(1 << 20, file),
            kind,
            sections,
            rows: Vec::with_capacity(sections),
            open: None,
            position: 0,
            finished: false,
        };
        writer.put(&vec![0; HEADER_BYTES + sections * ROW_BYTES])?;
        writer.pad()?;
        Ok(writer)
    }

    /// Begins the next section, whose elements have `width` bytes; ends the one before.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn begin(&mut self, id: u32, width: u32) -> Result<()> {
        self.end()?;
        let row = SectionRow { id, width, offset: self.position, bytes: 0, checksum: 0 };
        self.open = Some((row, Box::new(Xxh3::new())));
        Ok(())
    }

    /// Appends bytes to the section that was begun.
    ///
    /// # Errors
    /// When the disk refuses.
    ///
    /// # Panics
    /// When no section was begun.
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        let (row, hasher) = self.open.as_mut().expect("a section was begun");
        row.bytes += bytes.len() as u64;
        hasher.update(bytes);
        self.put(bytes)
    }

    /// Writes a whole section at once.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn section<T: Element>(&mut self, id: u32, elements: &[T]) -> Result<()> {
        self.begin(id, u32::try_from(size_of::<T>()).expect("elements are small"))?;
        self.append(elements.as_bytes())
    }

    /// Ends the file: header, flush to the disk, rename. Returns the digest of its contents.
    ///
    /// # Errors
    /// When the disk refuses; the name then still stands for what it stood for before.
    ///
    /// # Panics
    /// When not exactly the promised number of sections was written.
    pub fn finish(mut self) -> Result<u128> {
        self.end()?;
        assert_eq!(self.rows.len(), self.sections, "the number of sections was promised at the start");
        let mut header = [0; HEADER_BYTES];
        header[0..8].copy_from_slice(&MAGIC);
        header[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        header[12..16].copy_from_slice(&self.kind.code().to_le_bytes());
        header[16..24].copy_from_slice(&self.position.to_le_bytes());
        let sections = u32::try_from(self.sections).expect("a file has a handful of sections");
        header[24..28].copy_from_slice(&sections.to_le_bytes());
        let table: Vec<u8> = self.rows.iter().flat_map(|row| row.to_bytes()).collect();
        let checksum = header_checksum(&header[..32], &table);
        header[32..40].copy_from_slice(&checksum.to_le_bytes());
        self.file.seek(SeekFrom::Start(0)).map_err(Error::io(&self.temporary, "write"))?;
        self.file.write_all(&header).map_err(Error::io(&self.temporary, "write"))?;
        self.file.write_all(&table).map_err(Error::io(&self.temporary, "write"))?;
        self.file.flush().map_err(Error::io(&self.temporary, "write"))?;
        persist(self.file.get_ref(), &self.temporary, &self.path)?;
        self.finished = true;
        Ok(content_digest(&self.rows))
    }

    fn end(&mut self) -> Result<()> {
        if let Some((mut row, hasher)) = self.open.take() {
            row.checksum = hasher.digest();
            self.rows.push(row);
            self.pad()?;
        }
        Ok(())
    }

    fn pad(&mut self) -> Result<()> {
        let missing = self.position.next_multiple_of(ALIGNMENT) - self.position;
        self.put(&[0; 64][..usize::try_from(missing).expect("padding is below 64 bytes")])
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(Error::io(&self.temporary, "write"))?;
        self.position += bytes.len() as u64;
        Ok(())
    }
}

impl Drop for SectionWriter {
    fn drop(&mut self) {
        if !self.finished {
            // Best effort: the temporary name is ignored by every reader and overwritten by the next writer.
            let _ = std::fs::remove_file(&self.temporary);
        }
    }
}

/// Flushes a complete file to the disk and gives it its name; what had the name before is replaced at once.
///
/// # Errors
/// When the disk refuses.
pub fn persist(file: &File, temporary: &Path, path: &Path) -> Result<()> {
    file.sync_all().map_err(Error::io(temporary, "flush to the disk"))?;
    std::fs::rename(temporary, path).map_err(Error::io(path, "rename into place"))?;
    sync_directory(path.parent().unwrap_or(Path::new(".")))
}

/// Flushes a directory, so that the names in it survive a power cut.
///
/// # Errors
/// When the disk refuses.
pub fn sync_directory(directory: &Path) -> Result<()> {
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    #[expect(clippy::disallowed_methods, reason = "the error is wrapped with its path right here")]
    let handle = File::open(directory).map_err(Error::io(directory, "open"))?;
    handle.sync_all().map_err(Error::io(directory, "flush to the disk"))
}

fn temporary_name(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    path.with_file_name(name)
}
