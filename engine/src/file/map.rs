//! The one place where memory is mapped.

use std::fs::File;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut, Range};
use std::path::Path;
use std::sync::Arc;

use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::error::{Error, Result};

/// A whole file, mapped read-only and shared; or a copy of a piece of one.
#[derive(Debug, Clone)]
pub(crate) struct Map {
    map: Arc<memmap2::Mmap>,
    of_file: bool,
}

impl Map {
    /// Maps a file. Cost: constant; pages are read when they are first touched.
    pub(crate) fn open(path: &Path) -> Result<Map> {
        #[expect(clippy::disallowed_methods, reason = "the error is wrapped with its path right here")]
        let file = File::open(path).map_err(Error::io(path, "open"))?;
        let metadata = file.metadata().map_err(Error::io(path, "read its length"))?;
        if !metadata.is_file() {
            return Err(Error::Kind { path: path.to_owned(), expected: "a file", got: "something else".into() });
        }
        // SAFETY: a map is sound as long as nobody changes or truncates the file. Walkprint's files are renamed into
        // place when complete and never written again; a store that another program rewrites in place is outside the
        // contract, as it is for every program that maps its data.
        #[expect(unsafe_code, reason = "memory maps have no safe constructor")]
        let map = unsafe { memmap2::Mmap::map(&file) }.map_err(Error::io(path, "map"))?;
        Ok(Map { map: Arc::new(map), of_file: true })
    }

    /// A copy in anonymous memory that the system is asked to back by huge pages (2 MiB on x86-64): random reads over
    /// more memory than the cache then miss the page tables less often. Where huge pages are not to be had the copy
    /// is an ordinary one.
    pub(crate) fn copied(bytes: &[u8]) -> std::io::Result<Map> {
        let mut map = in_huge_pages(bytes.len())?;
        map[..bytes.len()].copy_from_slice(bytes);
        Ok(Map { map: Arc::new(map.make_read_only()?), of_file: false })
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// Gives back the pages of some bytes of a mapped file: they no longer count as this process's, and are read again when
    /// they are touched again. Of a copy nothing is given back.
    pub(crate) fn release(&self, bytes: Range<usize>) {
        #[cfg(unix)]
        if self.of_file && !bytes.is_empty() {
            let pages = memmap2::UncheckedAdvice::DontNeed;
            // SAFETY: pages of a file that is mapped read-only hold nothing but the file's bytes, so that readers find the
            // same when the system reads them again. Copies, whose pages would come back as zeros, never get here.
            #[expect(unsafe_code, reason = "giving pages back has no safe call")]
            let advised = unsafe { self.map.unchecked_advise_range(pages, bytes.start, bytes.len()) };
            drop(advised); // a wish
        }
        #[cfg(not(unix))]
        let _ = bytes;
    }
}

/// Anonymous memory, all zero.
fn in_huge_pages(bytes: usize) -> std::io::Result<memmap2::MmapMut> {
    let map = memmap2::MmapMut::map_anon(bytes.max(1))?;
    #[cfg(target_os = "linux")]
    let _ = map.advise(memmap2::Advice::HugePage); // a wish: without it everything works the same
    Ok(map)
}

/// Room for many numbers that will be read and written here and there, all zero at first: in huge pages where they are to
/// be had.
#[derive(Debug)]
pub struct Room<T> {
    map: memmap2::MmapMut,
    bytes: usize,
    of: PhantomData<T>,
}

impl<T: FromBytes + IntoBytes + Immutable> Room<T> {
    /// Room for so many.
    ///
    /// # Errors
    /// When there is no memory.
    pub fn new(length: usize) -> std::io::Result<Room<T>> {
        let bytes = length.checked_mul(size_of::<T>()).ok_or(std::io::ErrorKind::OutOfMemory)?;
        Ok(Room { map: in_huge_pages(bytes)?, bytes, of: PhantomData })
    }
}

impl<T: FromBytes + IntoBytes + Immutable> Deref for Room<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        <[T]>::ref_from_bytes(&self.map[..self.bytes]).expect("maps begin with a page")
    }
}

impl<T: FromBytes + IntoBytes + Immutable> DerefMut for Room<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        <[T]>::mut_from_bytes(&mut self.map[..self.bytes]).expect("maps begin with a page")
    }
}
