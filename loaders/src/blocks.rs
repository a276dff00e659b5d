//! Cutting the bytes of a file into blocks of whole lines, with the line each block begins at.

use memchr::{memchr, memchr_iter, memchr2, memrchr};

use crate::Error;
use crate::error::{Problem, quoted};
use crate::source::{self, Source};

/// Size of a block. Large enough that handing it over costs nothing, small enough that a few fit in the cache's
/// shadow and that all threads have work on a file of some tens of megabytes.
pub(crate) const BLOCK_BYTES: usize = 4 << 20;

/// The longest line, so that a file without line ends is refused instead of read into memory.
const LINE_BYTES_MAX: usize = 16 << 20;

/// Where a block may end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// After any line end.
    Lines,
    /// After a line end that is not inside a quoted field of a file with this delimiter.
    Records(u8),
}

/// A file as blocks.
pub(crate) struct Blocks {
    source: Source,
    /// Read and not handed out yet; begins at the start of a line.
    buffer: Vec<u8>,
    /// The line that `buffer` begins with, from 1.
    line: u64,
    ended: bool,
    block_bytes: usize,
    /// Whether a block may be smaller when no more has come yet.
    as_it_comes: bool,
    /// Bytes that were left out.
    skipped: u64,
}

impl Blocks {
    pub(crate) fn new(source: Source, block_bytes: usize) -> Self {
        let block_bytes = block_bytes.max(1);
        Blocks { source, buffer: Vec::new(), line: 1, ended: false, block_bytes, as_it_comes: false, skipped: 0 }
    }

    /// The same of a stream: whole lines are handed out as soon as they are there.
    pub(crate) fn as_they_come(source: Source, block_bytes: usize) -> Self {
        Blocks { as_it_comes: true, ..Blocks::new(source, block_bytes) }
    }

    /// The first bytes that have not been handed out, for a look ahead.
    pub(crate) fn head(&self) -> &[u8] {
        &self.buffer
    }

    /// True when [`Blocks::head`] is all there is.
    pub(crate) fn ended(&self) -> bool {
        self.ended
    }

    /// The line that [`Blocks::head`] begins with.
    pub(crate) fn line(&self) -> u64 {
        self.line
    }

    /// How many decompressed bytes have been read.
    pub(crate) fn bytes(&self) -> u64 {
        self.source.bytes()
    }

    /// Doubles [`Blocks::head`], or reads a first block of it.
    pub(crate) fn grow(&mut self) -> Result<(), Error> {
        self.fill(self.buffer.len().max(self.block_bytes))
    }

    fn fill(&mut self, count: usize) -> Result<(), Error> {
        self.ended = if self.as_it_comes {
            self.source.read_some(&mut self.buffer, count)? == 0
        } else {
            self.source.read_onto(&mut self.buffer, count)? < count
        };
        Ok(())
    }

    /// Refuses a head that has become too long for what is looked for in it.
    pub(crate) fn check_head(&self) -> Result<(), Error> {
        if self.buffer.len() < LINE_BYTES_MAX {
            return Ok(());
        }
        Err(self.at_line(too_long(&self.buffer), self.line))
    }

    fn never_closed(&self, at: usize, got: String) -> Error {
        let line = self.line + lines_in(&self.buffer[..at]);
        self.at_line(Problem::new("a closing quote for the field that begins here", got), line)
    }

    /// A problem in one of the lines.
    pub(crate) fn at_line(&self, problem: Problem, line: u64) -> Error {
        source::at_line(problem, self.source.path(), self.source.start(), line)
    }

    /// The bytes that come.
    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    /// How many bytes were left out by [`Blocks::skip`].
    pub(crate) fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Leaves out the first bytes of the head: whole lines, or a byte order mark.
    pub(crate) fn skip(&mut self, bytes: usize) {
        self.line += lines_in(&self.buffer[..bytes]);
        self.skipped += bytes as u64;
        self.buffer.drain(..bytes);
    }

    /// The next block and the line it begins with; `None` at the end.
    pub(crate) fn next_block(&mut self, cut: Cut) -> Result<Option<(u64, Vec<u8>)>, Error> {
        loop {
            // Of a stream, what is here is looked at before more of it is waited for.
            let looked_at_first = self.as_it_comes && !self.buffer.is_empty();
            if !self.ended && self.buffer.len() < self.block_bytes && !looked_at_first {
                self.fill(self.block_bytes - self.buffer.len())?;
            }
            if self.buffer.is_empty() {
                return Ok(None);
            }
            let scan = match cut {
                Cut::Records(delimiter) if memchr(b'"', &self.buffer).is_some() => {
                    scan_records(&self.buffer, delimiter)
                }
                _ => {
                    let last_end = memrchr(b'\n', &self.buffer).map(|at| at + 1);
                    RecordScan { first_end: None, last_end, open_quote: None }
                }
            };
            let end = match (scan.last_end, scan.open_quote) {
                (_, None) if self.ended => self.buffer.len(),
                // Before an open quote too: what is wrong in earlier lines is to be found first.
                (Some(end), _) => end,
                (None, Some(at)) if self.ended => return Err(self.never_closed(at, "the end of the file".to_owned())),
                (None, open_quote) => {
                    match open_quote {
                        Some(at) if LINE_BYTES_MAX <= self.buffer.len() => {
                            return Err(self.never_closed(at, format!("{} MiB without one", LINE_BYTES_MAX >> 20)));
                        }
                        _ => self.check_head()?,
                    }
                    self.grow()?;
                    continue;
                }
            };
            let rest = self.buffer.split_off(end);
            let block = std::mem::replace(&mut self.buffer, rest);
            let first_line = self.line;
            self.line += lines_in(&block);
            return Ok(Some((first_line, block)));
        }
    }
}

/// How many line ends there are.
pub(crate) fn lines_in(bytes: &[u8]) -> u64 {
    memchr_iter(b'\n', bytes).count() as u64
}

fn too_long(bytes: &[u8]) -> Problem {
    Problem::new(format!("a line of at most {} MiB", LINE_BYTES_MAX >> 20), format!("a longer one: {}", quoted(bytes)))
}

/// What [`scan_records`] found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RecordScan {
    /// End of the first whole record.
    pub(crate) first_end: Option<usize>,
    /// End of the last whole record.
    last_end: Option<usize>,
    /// Where a quoted field begins that is not closed.
    open_quote: Option<usize>,
}

/// Goes through quoted and plain fields as RFC 4180 has them: a quote opens a field only as the field's first byte,
/// and within a quoted field a doubled quote is a quote.
pub(crate) fn scan_records(bytes: &[u8], delimiter: u8) -> RecordScan {
    let (mut first_end, mut last_end, mut at) = (None, None, 0);
    // Each round begins at the start of a field.
    while at < bytes.len() {
        if bytes[at] == b'"' {
            let opened = at;
            at += 1;
            loop {
                match memchr(b'"', &bytes[at..]) {
                    None => return RecordScan { first_end, last_end, open_quote: Some(opened) },
                    Some(next) if bytes.get(at + next + 1) == Some(&b'"') => at += next + 2,
                    Some(next) => {
                        at += next + 1;
                        break;
                    }
                }
            }
        }
        match memchr2(delimiter, b'\n', &bytes[at..]) {
            None => break,
            Some(next) => {
                at += next + 1;
                if bytes[at - 1] == b'\n' {
                    first_end = first_end.or(Some(at));
                    last_end = Some(at);
                }
            }
        }
    }
    RecordScan { first_end, last_end, open_quote: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_end_within_quotes_ends_no_record() {
        let scan = |text: &str| {
            let scan = scan_records(text.as_bytes(), b',');
            (scan.last_end, scan.open_quote)
        };
        assert_eq!(scan(""), (None, None));
        assert_eq!(scan("a,b\nc"), (Some(4), None));
        assert_eq!(scan("a,\"b\nc\"\nd"), (Some(8), None));
        assert_eq!(scan("a\n\"b\n"), (Some(2), Some(2)));
        assert_eq!(scan("a,\"b\"\"\n\"\n"), (Some(9), None));
        assert_eq!(scan("a,5\"\n\"x\ny\",z\n"), (Some(13), None), "a quote inside a plain field opens nothing");
        assert_eq!(scan("\"\"\"\n"), (None, Some(0)));
    }
}
