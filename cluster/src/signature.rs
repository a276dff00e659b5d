//! Whether a store's manifest is another one than before, by a look at the file.

use std::path::Path;
use std::time::SystemTime;

use walkprint_engine::store::MANIFEST;

/// What tells one manifest from the next without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Signature {
    bytes: u64,
    modified: Option<SystemTime>,
    inode: u64,
}

impl Signature {
    /// That of a store's manifest; none where there is none to be seen.
    pub(crate) fn of(store: &Path) -> Option<Signature> {
        let metadata = std::fs::metadata(store.join(MANIFEST)).ok()?;
        #[cfg(unix)]
        let inode = std::os::unix::fs::MetadataExt::ino(&metadata);
        #[cfg(not(unix))]
        let inode = 0;
        Some(Signature { bytes: metadata.len(), modified: metadata.modified().ok(), inode })
    }
}
