//! The directory that answers go to: who may begin in it, go on in it, or take it over.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use walkprint_engine::error::Error as EngineError;

use super::manifest::{self, Completeness, Manifest, Parameters, PartEntry};
use super::options::{BatchOptions, Format};
use crate::error::{Error, Result};

/// The directory, which no other batch writes to as long as this lives.
#[derive(Debug)]
pub(crate) struct Place {
    directory: PathBuf,
    /// The batch that was there, to be gone on with.
    found: Option<Manifest>,
    /// The directory was made for this batch, and nothing was written yet.
    fresh: bool,
    _lock: File,
}

impl Place {
    /// Looks at the directory, makes it where it is missing, and locks it. Nothing in it is changed yet.
    ///
    /// # Errors
    /// When something is there that may not be gone on with or replaced, or nothing is there to go on with.
    pub(crate) fn new(options: &BatchOptions) -> Result<Place> {
        let out = &options.out;
        let refuse = |what: &str| Err(Error::Output { out: out.clone(), what: what.to_owned() });
        let fresh = match std::fs::create_dir(out) {
            Ok(()) => true,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => false,
            Err(error) => return Err(EngineError::io(out, "make the directory for the answers")(error).into()),
        };
        if !fresh && !out.is_dir() {
            return refuse("is no directory; give another --out");
        }
        let mut place = Place { directory: out.clone(), found: None, fresh, _lock: lock(out)? };
        let found = match fresh {
            true => None,
            false => place.look()?,
        };
        match &found {
            None if options.resume => refuse("there is no interrupted batch here; leave out --resume"),
            Some(_) if options.resume => {
                place.found = found;
                Ok(place)
            }
            Some(_) if options.replace => Ok(place),
            Some(batch) if batch.status == Completeness::Complete => {
                refuse("holds answers already; give --replace to answer anew, or another --out")
            }
            Some(_) => refuse(
                "a batch was interrupted here; give --resume to go on where it stopped, or --replace to begin anew",
            ),
            None => Ok(place),
        }
    }

    /// The batch that lies here. `None` when nothing does.
    fn look(&self) -> Result<Option<Manifest>> {
        let refuse = |what: String| Err(Error::Output { out: self.directory.clone(), what });
        if self.directory.join(manifest::NAME).exists() {
            return match Manifest::read(&self.directory) {
                Ok(found) => Ok(Some(found)),
                Err(why) => refuse(format!("its {} cannot be used ({why}); give another --out", manifest::NAME)),
            };
        }
        match self.files()?.into_iter().find(|name| !is_own(name)) {
            Some(name) => refuse(format!("holds other files ({name}); give another --out")),
            None => Ok(None),
        }
    }

    /// The method of the batch that is gone on with, as text.
    pub(crate) fn begun_method(&self) -> Option<&str> {
        self.found.as_ref().map(|found| found.parameters.method.as_str())
    }

    /// Begins the batch, or goes on with the one that is there: gives the manifest, which is on the disk, without parts
    /// that are not. Files of ours that it does not list are removed.
    ///
    /// # Errors
    /// When the batch that is there had other parameters; when the disk refuses.
    pub(crate) fn begin(&mut self, parameters: &Parameters) -> Result<Manifest> {
        let manifest = match self.found.take() {
            None => Manifest::new(parameters.clone()),
            Some(mut found) => {
                if let Some(what) = found.parameters.difference(parameters) {
                    return Err(Error::OtherBatch { out: self.directory.clone(), what });
                }
                let listed = found.parts.len();
                found.retain(|part| is_on_disk(&self.directory, part));
                if found.parts.len() < listed {
                    found.status = Completeness::Incomplete;
                }
                found
            }
        };
        manifest.write(&self.directory)?;
        self.fresh = false;
        for name in self.files()? {
            let listed = name == manifest::NAME || manifest.parts.iter().any(|part| part.file == name);
            if !listed && is_own(&name) {
                let path = self.directory.join(&name);
                std::fs::remove_file(&path).map_err(EngineError::io(&path, "remove"))?;
            }
        }
        Ok(manifest)
    }

    fn files(&self) -> Result<Vec<String>> {
        let failed = |error| EngineError::io(&self.directory, "read the directory")(error);
        let entries = std::fs::read_dir(&self.directory).map_err(failed)?;
        let names = entries.map(|entry| Ok(entry.map_err(failed)?.file_name().to_string_lossy().into_owned()));
        names.collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.fresh {
            // Best effort: an empty directory does no harm, and a batch may begin in it.
            let _ = std::fs::remove_dir(&self.directory);
        }
    }
}

/// Locks a directory through its own handle, so that no other file need lie in it.
fn lock(directory: &Path) -> Result<File> {
    #[expect(clippy::disallowed_methods, reason = "the error is wrapped with its path right here")]
    let handle = File::open(directory).map_err(EngineError::io(directory, "open"))?;
    match handle.try_lock() {
        Ok(()) => Ok(handle),
        Err(TryLockError::WouldBlock) => {
            let what = "another walkprint writes answers here; wait until it has ended".into();
            Err(Error::Output { out: directory.to_owned(), what })
        }
        Err(TryLockError::Error(error)) => Err(EngineError::io(directory, "lock")(error).into()),
    }
}

/// The file of a part.
pub(crate) fn part_file(number: u32, format: Format) -> String {
    format!("part-{number:05}.{}", format.extension())
}

/// True for names that a batch gives to its files.
fn is_own(name: &str) -> bool {
    let name = name.strip_suffix(".tmp").unwrap_or(name);
    let part = name.strip_prefix("part-").and_then(|rest| rest.split_once('.'));
    name == manifest::NAME
        || part.is_some_and(|(number, extension)| {
            5 <= number.len() && number.bytes().all(|byte| byte.is_ascii_digit()) && extension.parse::<Format>().is_ok()
        })
}

/// True when the file of a part is there in its full length; it was flushed before it was listed.
fn is_on_disk(directory: &Path, part: &PartEntry) -> bool {
    // Names come from a file: they must not lead out of the directory.
    is_own(&part.file) && std::fs::metadata(directory.join(&part.file)).is_ok_and(|file| file.len() == part.bytes)
}

#[cfg(test)]
mod tests {
    use super::super::manifest::tests::{parameters, part};
    use super::*;

    fn options(directory: &Path) -> BatchOptions {
        BatchOptions::new(&directory.join("out"))
    }

    fn refusal(options: &BatchOptions) -> String {
        Place::new(options).unwrap_err().to_string()
    }

    #[test]
    fn a_place_that_was_not_begun_in_vanishes() {
        let directory = tempfile::tempdir().unwrap();
        let options = options(directory.path());
        let place = Place::new(&options).unwrap();
        assert!(refusal(&options).contains("another walkprint"));
        drop(place);
        assert!(!options.out.exists());
    }

    #[test]
    fn what_is_there_is_neither_taken_over_nor_mixed_up() {
        let directory = tempfile::tempdir().unwrap();
        let mut options = options(directory.path());
        options.resume = true;
        assert!(refusal(&options).contains("leave out --resume"));
        options.resume = false;
        std::fs::create_dir(&options.out).unwrap();
        drop(Place::new(&options).unwrap());
        assert!(options.out.exists(), "a directory of the user's was removed");
        std::fs::write(options.out.join("thesis.tex"), "").unwrap();
        options.replace = true;
        assert!(refusal(&options).contains("thesis.tex"));
        std::fs::write(options.out.join(manifest::NAME), "{}").unwrap();
        assert!(refusal(&options).contains("another program"));
        options.out = directory.path().join("out/thesis.tex");
        assert!(refusal(&options).contains("no directory"));
    }

    #[test]
    fn going_on_keeps_whole_parts_and_removes_the_rest() {
        let directory = tempfile::tempdir().unwrap();
        let mut options = options(directory.path());
        let mut begun = Place::new(&options).unwrap().begin(&parameters()).unwrap();
        for number in 0..3 {
            let length = if number == 1 { 399 } else { 400 };
            std::fs::write(options.out.join(part_file(number, Format::Parquet)), vec![0; length]).unwrap();
            begun.add(part(number));
        }
        begun.write(&options.out).unwrap();
        for stray in ["part-00007.parquet", "part-00003.csv.tmp", "mine.txt"] {
            std::fs::write(options.out.join(stray), "").unwrap();
        }
        assert!(refusal(&options).contains("--resume"));
        options.resume = true;
        let mut other = parameters();
        other.top = 11;
        let error = Place::new(&options).unwrap().begin(&other).unwrap_err();
        assert!(error.to_string().contains("with top 10, not 11"), "{error}");
        let found = Place::new(&options).unwrap().begin(&parameters()).unwrap();
        assert_eq!(found.parts.iter().map(|part| part.number).collect::<Vec<_>>(), [0, 2]);
        let mut left = Place::new(&options).unwrap().files().unwrap();
        left.sort();
        assert_eq!(left, ["_manifest.json", "mine.txt", "part-00000.parquet", "part-00002.parquet"]);
    }
}
