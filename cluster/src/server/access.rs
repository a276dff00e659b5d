//! Who may do what: keys, from a file or the environment.
//!
//! ```text
//! # a scope and a key a line
//! read   4kq2o1pXlJ0Yb2n8
//! admin  Z8v1QdT5c0yqk6w3
//! ```
//!
//! **Keys are compared in constant time and never shown**: not in logs, not in problems, not in `--print-config`; in memory they
//! are kept as digests. (Tests: below, and `tests/tests/server_access.rs`.)

use std::fmt;
use std::path::Path;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::error::{Error, Result};

/// The shortest key: about what cannot be guessed over a network.
const LEAST_KEY_BYTES: usize = 16;

/// What a key lets do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Ask.
    Read,
    /// Ask, and see and do what is the operator's: metrics, looking for new generations, changing a store by events.
    Admin,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Scope::Read => "read",
            Scope::Admin => "admin",
        })
    }
}

/// Known keys. Without any, nobody is asked for one.
#[derive(Clone, Default)]
pub struct Keys {
    known: Vec<(Scope, [u8; 32])>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} keys", self.known.len())
    }
}

impl Keys {
    /// Reads a file of keys.
    ///
    /// # Errors
    /// When it cannot be read or others may read it, a line has no scope or key, or a key is too short.
    pub fn read(path: &Path) -> Result<Keys> {
        let refuse = |what: String| Error::Key { path: path.to_owned(), what };
        let text =
            std::fs::read_to_string(path).map_err(|error| refuse(format!("could not read the keys: {error}")))?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(path).map_err(|error| refuse(error.to_string()))?.permissions().mode();
            if mode & 0o007 != 0 {
                return Err(refuse("everybody may read this file of keys; take that away with `chmod o-rwx`".into()));
            }
        }
        let mut keys = Keys::default();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            // A line is never shown: it may be a key.
            let refuse = |what: String| refuse(format!("line {}: {what}", at + 1));
            let (scope, key) =
                line.split_once([' ', '\t']).ok_or_else(|| refuse("expected `read KEY` or `admin KEY`".into()))?;
            let scope = match scope {
                "read" => Scope::Read,
                "admin" => Scope::Admin,
                _ => return Err(refuse("expected `read` or `admin` before the key".into())),
            };
            keys.add(scope, key.trim()).map_err(refuse)?;
        }
        Ok(keys)
    }

    /// Adds a key.
    ///
    /// # Errors
    /// Says in words that it is too short or has characters that no header can have.
    pub fn add(&mut self, scope: Scope, key: &str) -> std::result::Result<(), String> {
        if key.len() < LEAST_KEY_BYTES {
            return Err(format!("a key has at least {LEAST_KEY_BYTES} characters; this one has {}", key.len()));
        }
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("a key has letters, digits and signs only, and no blanks".into());
        }
        self.known.push((scope, Sha256::digest(key.as_bytes()).into()));
        Ok(())
    }

    /// True when nobody is asked for a key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// What a key lets do. Takes as long whatever the key, and whichever it is.
    #[must_use]
    pub fn scope(&self, key: &str) -> Option<Scope> {
        let digest: [u8; 32] = Sha256::digest(key.as_bytes()).into();
        let mut found = None;
        for (scope, known) in &self.known {
            if bool::from(known.ct_eq(&digest)) {
                found = found.max(Some(*scope));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, mode: u32) -> Result<Keys> {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        Keys::read(&path)
    }

    #[test]
    fn keys_have_scopes() {
        let keys = read("# ours\nread 0123456789abcdef\n\nadmin\tfedcba9876543210\n", 0o640).unwrap();
        assert_eq!(keys.scope("0123456789abcdef"), Some(Scope::Read));
        assert_eq!(keys.scope("fedcba9876543210"), Some(Scope::Admin));
        for wrong in ["", "0123456789abcde", "0123456789abcdef ", "0123456789abcdeF"] {
            assert_eq!(keys.scope(wrong), None, "{wrong:?}");
        }
        assert!(!format!("{keys:?}").contains("0123"));
    }

    #[test]
    fn a_bad_file_is_refused_without_showing_it() {
        for text in [
            "read short",
            "write 0123456789abcdef",
            "0123456789abcdef",
            "read 0123456789 abcdef",
            "read ünïcödeünïcöde",
        ] {
            let message = read(text, 0o600).unwrap_err().to_string();
            assert!(message.contains("line 1"), "{message}");
            assert!(!message.contains("0123") && !message.contains("short\""), "{message}");
        }
        assert!(read("read 0123456789abcdef", 0o644).unwrap_err().to_string().contains("chmod"));
        assert!(read("", 0o600).unwrap().is_empty());
    }
}
