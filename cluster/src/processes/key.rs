//! The key that all processes of a job share, and what is made with it: authentication codes (HMAC-SHA-256).
//!
//! Every code covers a label that says what it is for, so that none can be shown in another's place.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::error::{Error, Result};

/// Shorter keys can be guessed.
const LEAST_BYTES: usize = 16;
/// Longer files are none that was meant as a key.
const MOST_BYTES: u64 = 4096;
/// The length of an authentication code.
pub(super) const CODE_BYTES: usize = 32;

/// An authentication code.
pub(super) type Code = [u8; CODE_BYTES];

/// A secret that the processes of a job share. It is never shown.
#[derive(Clone)]
pub struct Key(Hmac<Sha256>);

impl Key {
    /// Reads a key file: 16 bytes to 4 KiB, white space at both ends not counted.
    ///
    /// # Errors
    /// When the file cannot be read, when others than its owner may read it, when it is too short or too long.
    pub fn read(path: &Path) -> Result<Key> {
        let refuse = |what: String| Err(Error::Key { path: PathBuf::from(path), what });
        let io = |action| walkprint_engine::error::Error::io(path, action);
        let file = std::fs::OpenOptions::new().read(true).open(path).map_err(io("open"))?;
        let about = file.metadata().map_err(io("look at"))?;
        if !about.is_file() {
            return refuse("expected a file with the key".into());
        }
        let mode = about.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return refuse(format!("others may use this key (mode {mode:03o}): run chmod 600 {}", path.display()));
        }
        let mut bytes = Vec::new();
        file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(io("read"))?;
        if MOST_BYTES < bytes.len() as u64 {
            return refuse(format!("expected a key of at most {MOST_BYTES} bytes"));
        }
        let key = bytes.trim_ascii();
        if key.len() < LEAST_BYTES {
            return refuse(format!(
                "expected a key of at least {LEAST_BYTES} bytes, got {}; make one with head -c 32 /dev/urandom | base64",
                key.len()
            ));
        }
        Ok(Key::new(key))
    }

    pub(super) fn new(bytes: &[u8]) -> Key {
        Key(Hmac::new_from_slice(bytes).expect("HMAC takes keys of any length"))
    }

    fn over(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        let mut code = self.0.clone();
        for part in parts {
            // With their lengths, parts cannot run into one another.
            code.update(&(part.len() as u64).to_le_bytes());
            code.update(part);
        }
        code
    }

    /// The code over some parts, of which the first says what it is for.
    pub(super) fn code(&self, parts: &[&[u8]]) -> Code {
        self.over(parts).finalize().into_bytes().into()
    }

    /// Whether a code is the one over these parts; takes the same time wherever they differ.
    pub(super) fn confirms(&self, parts: &[&[u8]], code: &[u8]) -> bool {
        self.over(parts).verify_slice(code).is_ok()
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Key(not shown)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key_file(bytes: &[u8], mode: u32) -> (tempfile::TempDir, PathBuf) {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("key");
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        (place, path)
    }

    #[test]
    fn a_key_is_trimmed_and_neither_short_nor_long_nor_public() {
        let read = |bytes: &[u8], mode| {
            let (_place, path) = key_file(bytes, mode);
            Key::read(&path).map(|key| key.code(&[b"x"])).map_err(|error| error.to_string())
        };
        let plain = read(b"0123456789abcdef", 0o600).unwrap();
        assert_eq!(read(b" \n0123456789abcdef\r\n", 0o400).unwrap(), plain);
        assert_ne!(read(b"0123456789abcdeg", 0o600).unwrap(), plain);
        assert!(read(b"0123456789abcde\n", 0o600).unwrap_err().contains("at least 16 bytes, got 15"));
        assert!(read(b"", 0o600).unwrap_err().contains("got 0"));
        assert!(read(&[b'k'; 4096], 0o600).is_ok());
        assert!(read(&[b'k'; 4097], 0o600).unwrap_err().contains("at most 4096"));
        for mode in [0o640, 0o604, 0o620, 0o601] {
            assert!(read(b"0123456789abcdef", mode).unwrap_err().contains("chmod 600"), "{mode:o}");
        }
        assert!(Key::read(Path::new("no-such-key")).unwrap_err().to_string().contains("no-such-key"));
        assert!(!format!("{:?}", Key::new(b"0123456789abcdef")).contains("0123"));
    }

    #[test]
    fn codes_know_where_parts_end() {
        let key = Key::new(b"0123456789abcdef");
        let code = key.code(&[b"ab", b"c"]);
        assert!(key.confirms(&[b"ab", b"c"], &code));
        assert!(!key.confirms(&[b"a", b"bc"], &code) && !key.confirms(&[b"abc"], &code));
        assert!(!key.confirms(&[b"ab", b"c"], &code[..31]) && !key.confirms(&[b"ab", b"c"], &[]));
        assert!(!Key::new(b"0123456789abcdeg").confirms(&[b"ab", b"c"], &code));
    }
}
