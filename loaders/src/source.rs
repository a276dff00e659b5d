//! Opening a file, decompressing it, and counting what was read.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::read::MultiGzDecoder;
use memchr::{memchr, memchr_iter};

use crate::Error;
use crate::error::Problem;

const GZIP_MAGIC: [u8; 2] = [0x1F, 0x8B];
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];

/// Bytes that a decoder takes from the file at once. Larger gains nothing; 8 KiB would cost system calls.
const READ_BYTES: usize = 256 << 10;

/// How long a file is; 0 for a pipe.
pub(crate) fn length(path: &Path) -> Result<u64, Error> {
    let metadata = fs::metadata(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    if metadata.is_dir() {
        return Err(Error::Directory { path: path.to_owned() });
    }
    Ok(metadata.len())
}

/// Opens a file for reading.
pub(crate) fn open(path: &Path) -> Result<File, Error> {
    OpenOptions::new().read(true).open(path).map_err(|source| Error::Read { path: path.to_owned(), source })
}

/// The decompressed bytes of a file.
pub(crate) struct Source {
    path: PathBuf,
    encoding: Option<&'static str>,
    /// Where in the file it begins.
    start: u64,
    reader: Box<dyn Read>,
    bytes: u64,
}

impl Source {
    /// Opens a file; whether it is compressed is told by its first bytes. Each byte taken from disk is added to
    /// `bytes_read`.
    pub(crate) fn open(path: &Path, bytes_read: &Arc<AtomicU64>) -> Result<Source, Error> {
        Source::of(path, open(path)?, bytes_read)
    }

    /// Takes the bytes that `reader` gives; messages call it `path`.
    pub(crate) fn of(path: &Path, reader: impl Read + 'static, bytes_read: &Arc<AtomicU64>) -> Result<Source, Error> {
        let failed = |source| Error::Read { path: path.to_owned(), source };
        let mut counted = Counted { reader, bytes: Arc::clone(bytes_read) };
        let mut magic = Vec::with_capacity(ZSTD_MAGIC.len());
        counted.by_ref().take(ZSTD_MAGIC.len() as u64).read_to_end(&mut magic).map_err(failed)?;
        let encoding = match magic.as_slice() {
            start if start.starts_with(&GZIP_MAGIC) => Some("gzip"),
            start if start.starts_with(&ZSTD_MAGIC) => Some("zstd"),
            _ => None,
        };
        let named = match path.extension().and_then(|extension| extension.to_str()) {
            Some("gz") => Some("gzip"),
            Some("zst") => Some("zstd"),
            _ => None,
        };
        if named.is_some() && named != encoding {
            let expected =
                if named == Some("gzip") { "gzip data, as its name says" } else { "zstd data, as its name says" };
            return Err(Problem::new(expected, encoding.unwrap_or("something else")).of_file(path));
        }
        let raw = io::BufReader::with_capacity(READ_BYTES, io::Cursor::new(magic).chain(counted));
        let reader: Box<dyn Read> = match encoding {
            // All members, not only the first: `cat a.gz b.gz` is a gzip file, and so is what bgzip writes.
            Some("gzip") => Box::new(MultiGzDecoder::new(raw)),
            Some(_) => Box::new(zstd::Decoder::with_buffer(raw).map_err(failed)?),
            None => Box::new(raw),
        };
        Ok(Source { path: path.to_owned(), encoding, start: 0, reader, bytes: 0 })
    }

    /// Opens a stretch of a file that is not compressed.
    pub(crate) fn stretch(path: &Path, stretch: Range<u64>, bytes_read: &Arc<AtomicU64>) -> Result<Source, Error> {
        let failed = |source| Error::Read { path: path.to_owned(), source };
        let mut file = open(path)?;
        file.seek(SeekFrom::Start(stretch.start)).map_err(failed)?;
        let counted = Counted { reader: file, bytes: Arc::clone(bytes_read) };
        let reader = io::BufReader::with_capacity(READ_BYTES, counted).take(stretch.end - stretch.start);
        Ok(Source { path: path.to_owned(), encoding: None, start: stretch.start, reader: Box::new(reader), bytes: 0 })
    }

    /// Whether the file is compressed.
    pub(crate) fn is_compressed(&self) -> bool {
        self.encoding.is_some()
    }

    /// The decompressed bytes, for parsers that read themselves.
    pub(crate) fn into_reader(self) -> Box<dyn Read> {
        self.reader
    }

    /// Where in the file it begins.
    pub(crate) fn start(&self) -> u64 {
        self.start
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// How many decompressed bytes have been read.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Appends up to `count` bytes to `buffer`; fewer only at the end. Says how many.
    pub(crate) fn read_onto(&mut self, buffer: &mut Vec<u8>, count: usize) -> Result<usize, Error> {
        let before = buffer.len();
        buffer.reserve(count);
        let outcome = self.reader.by_ref().take(count as u64).read_to_end(buffer);
        self.bytes += (buffer.len() - before) as u64;
        outcome.map_err(|source| self.failed(source))
    }

    /// Appends what there is, up to `count` bytes, and waits only when there is nothing yet. Says how many; 0 at the end.
    pub(crate) fn read_some(&mut self, buffer: &mut Vec<u8>, count: usize) -> Result<usize, Error> {
        let before = buffer.len();
        buffer.resize(before + count, 0);
        let outcome = loop {
            match self.reader.read(&mut buffer[before..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => break outcome,
            }
        };
        buffer.truncate(before + outcome.as_ref().map_or(0, |&read| read));
        self.bytes += (buffer.len() - before) as u64;
        outcome.map_err(|source| self.failed(source))
    }

    fn failed(&self, source: io::Error) -> Error {
        let path = self.path.clone();
        match self.encoding {
            None => Error::Read { path, source },
            Some(encoding) => Error::Decompress { path, encoding, bytes: self.bytes, source },
        }
    }
}

/// Where the first line begins that begins at a place of a file or behind it; the end of the file if there is none.
pub(crate) fn line_start(path: &Path, place: u64) -> Result<u64, Error> {
    if place == 0 {
        return Ok(0);
    }
    let mut at = place - 1;
    let end = each_buffer(path, at..u64::MAX, |bytes| {
        let found = memchr(b'\n', bytes);
        at += found.map_or(bytes.len(), |end| end + 1) as u64;
        found.is_none()
    });
    end.map(|()| at)
}

/// A problem in a line, which was counted from a place of the file that was not its beginning. Cost: what lies before that
/// place is read.
pub(crate) fn at_line(problem: Problem, path: &Path, start: u64, line: u64) -> Error {
    if start == 0 {
        return problem.at_line(path, line); // and a pipe is not opened once more
    }
    let mut before = 0;
    match each_buffer(path, 0..start, |bytes| {
        before += memchr_iter(b'\n', bytes).count() as u64;
        true
    }) {
        Ok(()) => problem.at_line(path, before + line),
        Err(error) => error,
    }
}

/// Calls `visit` with the bytes of a stretch of a file, some at a time, until it answers false.
fn each_buffer(path: &Path, stretch: Range<u64>, mut visit: impl FnMut(&[u8]) -> bool) -> Result<(), Error> {
    let failed = |source| Error::Read { path: path.to_owned(), source };
    let mut file = open(path)?;
    file.seek(SeekFrom::Start(stretch.start)).map_err(failed)?;
    let mut reader = io::BufReader::with_capacity(READ_BYTES, file.take(stretch.end - stretch.start));
    loop {
        let bytes = match reader.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            bytes => bytes.map_err(failed)?,
        };
        if bytes.is_empty() || !visit(bytes) {
            return Ok(());
        }
        let read = bytes.len();
        reader.consume(read);
    }
}

/// Something that counts the bytes taken from it.
struct Counted<R> {
    reader: R,
    bytes: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.bytes.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}
