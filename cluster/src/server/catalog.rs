//! Which stores there are, and which of them are open.
//!
//! Named stores are opened when the server starts, and stay open. Those of a directory, one a tenant say, are opened when they are
//! first asked for; the one that was not asked for longest is closed when too many are open. **Names cannot lead out of a
//! directory**: they are checked letter by letter before any path is made of them. (Test: below, and `tests/tests/server_bad_input.rs`.)

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lru::LruCache;
use walkprint_engine::error::Error as EngineError;
use walkprint_engine::store::{MANIFEST, Store};

use super::problem::{Kind, Problem};
use super::settings::Offer;
use super::shelf::Shelf;
use super::world::World;
use crate::error::{Error, Result, in_full};

/// The longest name of a store.
const LONGEST_NAME: usize = 128;
/// What the directories of stores end with that a directory of stores offers.
const SUFFIX: &str = ".wp";

/// What a list of stores says of one.
pub(super) struct Listed {
    pub(super) name: String,
    /// If it is open.
    pub(super) world: Option<Arc<World>>,
}

/// See the [module](self).
pub(super) struct Catalog {
    named: BTreeMap<String, Arc<Shelf>>,
    directories: Vec<PathBuf>,
    /// Open stores of directories.
    tenants: Mutex<LruCache<String, Arc<Shelf>>>,
    /// Held while a store of a directory is opened, so that it is opened once.
    opening: Mutex<()>,
}

impl Catalog {
    /// Opens all named stores.
    ///
    /// # Errors
    /// When a store cannot be opened, a directory cannot be read, or two stores have the same name.
    pub(super) fn open(offers: &[Offer], open_stores: usize) -> Result<Catalog> {
        let mut named = BTreeMap::new();
        let mut directories = Vec::new();
        for offer in offers {
            match offer {
                Offer::Store { name, path } => {
                    let shelf = Arc::new(Shelf::open(name, path)?);
                    if named.insert(name.clone(), shelf).is_some() {
                        let what =
                            format!("two stores are named {name:?}; name one otherwise: OTHER={}", path.display());
                        return Err(Error::Request { what });
                    }
                }
                Offer::Directory(path) => {
                    std::fs::read_dir(path).map_err(EngineError::io(path, "read the directory of stores"))?;
                    directories.push(path.clone());
                }
            }
        }
        let most = NonZeroUsize::new(open_stores).unwrap_or(NonZeroUsize::MIN);
        Ok(Catalog { named, directories, tenants: Mutex::new(LruCache::new(most)), opening: Mutex::new(()) })
    }

    /// Makes the named stores ready for questions that grow wide, one after the other: until then such a question waits, or does it
    /// itself. Cost: 20 to 30 ns an edge of each.
    pub(super) fn warm_up(&self) {
        for (name, shelf) in &self.named {
            let base = Arc::clone(shelf.keeper().base());
            if let Err(error) = base.turn_round() {
                tracing::error!(store = name, error = in_full(&error), "questions that grow wide cannot be answered");
            }
        }
    }

    /// An open store of this name, without opening one.
    pub(super) fn open_already(&self, name: &str) -> Option<Arc<Shelf>> {
        match self.named.get(name) {
            Some(shelf) => Some(Arc::clone(shelf)),
            None if self.directories.is_empty() => None,
            None => self.tenants().get(name).map(Arc::clone),
        }
    }

    /// True when stores may have to be opened, which takes a moment.
    pub(super) fn opens_on_demand(&self) -> bool {
        !self.directories.is_empty()
    }

    /// The store of this name; opens it if need be.
    ///
    /// # Errors
    /// When there is none, or it cannot be opened.
    pub(super) fn find(&self, name: &str) -> std::result::Result<Arc<Shelf>, Problem> {
        let unknown = || {
            Problem::new(Kind::UnknownStore, format!("there is no store {name:?}; GET /v1/stores lists them"))
                .about(name)
        };
        if let Some(shelf) = self.open_already(name) {
            return Ok(shelf);
        }
        if check_name(name).is_err() {
            return Err(unknown());
        }
        let candidates = self.directories.iter().map(|directory| directory.join(format!("{name}{SUFFIX}")));
        let path = candidates.into_iter().find(|path| path.join(MANIFEST).is_file()).ok_or_else(unknown)?;
        let _one_at_a_time = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shelf) = self.open_already(name) {
            return Ok(shelf);
        }
        let shelf = Arc::new(Shelf::open(name, &path)?);
        let closed = self.tenants().push(name.to_owned(), Arc::clone(&shelf));
        if let Some((_, shelf)) = &closed {
            shelf.close();
        }
        tracing::info!(store = name, closed = closed.map(|(name, _)| name), "opened a store");
        Ok(shelf)
    }

    /// Up to `limit` stores by name, those after a name; and whether there are more. Cost: directories are read.
    ///
    /// # Errors
    /// When a directory cannot be read.
    pub(super) fn list(&self, after: Option<&str>, limit: usize) -> Result<(Vec<Listed>, bool)> {
        let mut names: BTreeMap<String, Option<Arc<Shelf>>> =
            self.named.iter().map(|(name, shelf)| (name.clone(), Some(Arc::clone(shelf)))).collect();
        for directory in &self.directories {
            let read = |error| EngineError::io(directory, "read the directory of stores")(error);
            for entry in std::fs::read_dir(directory).map_err(read)? {
                let file_name = entry.map_err(read)?.file_name();
                let Some(name) = file_name.to_str().and_then(|name| name.strip_suffix(SUFFIX)) else { continue };
                if check_name(name).is_ok()
                    && !names.contains_key(name)
                    && directory.join(&file_name).join(MANIFEST).is_file()
                {
                    let open = self.tenants().peek(name).map(Arc::clone);
                    names.insert(name.to_owned(), open);
                }
            }
        }
        let mut rest = names.into_iter().filter(|(name, _)| after.is_none_or(|after| after < name.as_str()));
        let listed: Vec<Listed> = rest
            .by_ref()
            .take(limit)
            .map(|(name, shelf)| Listed { name, world: shelf.map(|shelf| shelf.world()) })
            .collect();
        Ok((listed, rest.next().is_some()))
    }

    /// All open stores.
    pub(super) fn open_now(&self) -> Vec<Arc<Shelf>> {
        let tenants: Vec<Arc<Shelf>> = self.tenants().iter().map(|(_, shelf)| Arc::clone(shelf)).collect();
        self.named.values().map(Arc::clone).chain(tenants).collect()
    }

    /// Looks for new generations of all open stores; closes those of directories that are gone.
    pub(super) fn follow(&self) {
        for shelf in self.open_now() {
            if !self.named.contains_key(shelf.name()) && !shelf.path().join(MANIFEST).exists() {
                self.tenants().pop(shelf.name());
                shelf.close();
                tracing::info!(store = shelf.name(), "closed a store that is gone");
            } else {
                shelf.follow();
            }
        }
    }

    /// Takes no more events, and gives what absorbs them a moment to give up: whenever it ends, nothing is lost.
    pub(super) fn stop(&self, within: Duration) {
        let (shelves, until) = (self.open_now(), Instant::now() + within);
        shelves.iter().for_each(|shelf| shelf.intake.close());
        shelves.iter().for_each(|shelf| shelf.compacting.stop());
        while shelves.iter().any(|shelf| !shelf.compacting.is_idle()) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn tenants(&self) -> MutexGuard<'_, LruCache<String, Arc<Shelf>>> {
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Checks the name of a store: letters, digits, `_`, `.` and `-`, not beginning with `.` or `-`.
///
/// # Errors
/// Says in words what a name may be.
pub(super) fn check_name(name: &str) -> std::result::Result<(), String> {
    let allowed = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '.' | '-');
    if name.is_empty() || LONGEST_NAME < name.len() || !name.chars().all(allowed) || name.starts_with(['.', '-']) {
        return Err(format!(
            "{name:?} is no name of a store: at most {LONGEST_NAME} letters, digits, _, . or -, not beginning with . or -"
        ));
    }
    Ok(())
}

impl Offer {
    /// What somebody means by a word: `PATH` or `NAME=PATH` of a store, or a directory of stores.
    ///
    /// # Errors
    /// When there is neither, the store lies in shards, or no name can be made of the path.
    pub fn parse(text: &str) -> Result<Offer> {
        let whole = Path::new(text);
        let refuse = |what: String| Err(Error::Request { what });
        if let Some((name, path)) = text.split_once('=').filter(|_| !whole.exists()) {
            if let Err(what) = check_name(name) {
                return refuse(what);
            }
            expect_whole(Path::new(path))?;
            return Ok(Offer::Store { name: name.to_owned(), path: PathBuf::from(path) });
        }
        if whole.is_dir()
            && !whole.join(MANIFEST).exists()
            && whole.extension().is_none_or(|extension| extension != "wp")
        {
            return Ok(Offer::Directory(whole.to_owned()));
        }
        expect_whole(whole)?;
        // Of a relative path such as `.`, the real name counts.
        let real = std::fs::canonicalize(whole).map_err(EngineError::io(whole, "find the store"))?;
        let stem = real.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let name = stem.strip_suffix(SUFFIX).unwrap_or(stem);
        match check_name(name) {
            Ok(()) => Ok(Offer::Store { name: name.to_owned(), path: whole.to_owned() }),
            Err(what) => refuse(format!("{what}; name it otherwise: NAME={text}")),
        }
    }
}

fn expect_whole(path: &Path) -> Result<()> {
    let store = Store::open(path)?;
    if store.is_sharded() {
        let shards = store.manifest().graph.shards.len();
        let what = format!(
            "{}: its graph lies in {shards} shards; serve it alone, or bring them together with `walkprint gather`",
            path.display()
        );
        return Err(Error::Request { what });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_lead_anywhere() {
        for name in ["web", "tenant-7", "a.b_c", "größe"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        let long = "x".repeat(LONGEST_NAME + 1);
        for name in ["", ".", "..", "../x", "a/b", "a\\b", "-x", ".x", "a\0b", "a b", "a%2fb", "a\nb", long.as_str()] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
    }
}
