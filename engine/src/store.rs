//! A store: one directory with a graph, its labels, any number of named indexes, and the manifest that says what counts.
//!
//! ```text
//! web.wp/
//!   manifest.wpm              what exists; replaced as a whole, last of all
//!   lock                      held by the one program that writes
//!   graph-3.wpg labels-3.wpl  the graph of generation 3
//!   graph-3-000.wpg …         or its shards: those that are here, of a graph that several processes loaded
//!   labels-3-000.wpl …
//!   types-3.wpt               types of its nodes and edges, if they have any
//!   types-3-000.wpt …         or those of its shards
//!   passages-3.wpp            texts of passages, if the input had some
//!   events-000002.wpe …       events that the graph has not absorbed, if it lives: every such file from the number in the
//!                             manifest on counts
//!   event-ids-3.wpi           ids of events that it has absorbed
//!   events.lock               held by the one program that takes events
//!   index-default-4/          an index: plan.wpm and segments; may be unfinished, then the manifest does not know it
//! ```
//!
//! **What is not in the manifest does not exist**: files are written and flushed first, then the manifest is replaced
//! by rename. A reader that opened the old manifest goes on with the old files. (Test: `tests/tests/store.rs`.)
//!
//! `manifest.wpm` and `plan.wpm` are JSON under a head line `walkprint 1 manifest CHECKSUM BYTES` (format version,
//! kind, XXH3-64 in hexadecimal, length), so that people can read them and damage is found.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::error::{Error, Result};
use crate::events::Decay;
use crate::file::{FORMAT_VERSION, persist};
use crate::graph::{BuildReport, Graph};
use crate::ids::NodeId;
use crate::index::{Index, IndexEntry};
use crate::labels::Labels;
use crate::passages::Passages;
use crate::plan::Plan;

/// The file that says what exists.
pub const MANIFEST: &str = "manifest.wpm";
const LOCK: &str = "lock";
/// The file that is held by the one program that takes events.
pub const EVENTS_LOCK: &str = "events.lock";
const PLAN: &str = "plan.wpm";

/// No store has so many events, or files of them; so numbers that are added up stay far from their ends.
const MOST_EVENTS: u64 = 1 << 48;

/// What the names of files begin with that processes put into a store's directory to find out who shares it.
pub const TOKEN_PREFIX: &str = "token-";

/// What the manifest says of the graph and its labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GraphEntry {
    /// The graph file's name; empty when the graph lies in shards.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub file: String,
    /// Its length, or that of all shards.
    pub bytes: u64,
    /// The graph's digest, in hexadecimal.
    pub digest: String,
    /// The label file's name; empty when the graph lies in shards.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub labels_file: String,
    /// Its length, or that of all shards' label files.
    pub labels_bytes: u64,
    /// The label file's digest, in hexadecimal; empty when the graph lies in shards.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub labels_digest: String,
    /// The shards in order of nodes; none when the graph lies in one file. Their files may be in the store's directories of
    /// other hosts. Nodes are then numbered as their ids are sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shards: Vec<ShardEntry>,
    /// The file of types, when nodes or edges have types and the graph lies in one file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub types: Option<TypesEntry>,
    /// The file of passages, when the input had texts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passages: Option<TypesEntry>,
    /// What was found while the graph was built.
    pub report: BuildReport,
    /// Where the edges came from, for people: the loader's own report.
    pub loaded: serde_json::Value,
}

/// What the manifest says of one shard of a graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardEntry {
    /// Its number, from 0.
    pub number: u32,
    /// Its first node.
    pub first: NodeId,
    /// The node behind its last one; equal to `first` when it has none.
    pub end: NodeId,
    /// The name of the file with its rows.
    pub file: String,
    /// The file's length.
    pub bytes: u64,
    /// The file's digest, in hexadecimal.
    pub digest: String,
    /// The name of the file with its labels.
    pub labels_file: String,
    /// That file's length.
    pub labels_bytes: u64,
    /// That file's digest, in hexadecimal.
    pub labels_digest: String,
    /// Edges that leave its nodes.
    pub edges: u64,
    /// The id of its first node, if it has one: it tells which shard an id is in.
    pub first_id: Option<String>,
    /// Whether the graph's ids are integers.
    pub integer_ids: bool,
    /// The file of the types of its nodes and of the edges that leave them, when nodes or edges of the graph have types.
    // Written even when there is none: processes send entries to each other in a format without names of fields.
    #[serde(default)]
    pub types: Option<TypesEntry>,
}

/// What the manifest says of a file of types, or of passages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypesEntry {
    /// The file's name.
    pub file: String,
    /// Its length.
    pub bytes: u64,
    /// Its digest, in hexadecimal.
    pub digest: String,
}

/// What the manifest says of the events of a graph that lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveEntry {
    /// The number of the first file of events that the graph has not absorbed. It and all that follow count, listed or not.
    pub first_log: u64,
    /// How many events the graph has absorbed since it was loaded: the sequence number of the first one in that file.
    pub first_sequence: u64,
    /// The file of the ids of events that the graph has absorbed, if they had some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_ids: Option<TypesEntry>,
    /// How weights decay, if they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decay: Option<Decay>,
}

/// The manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Rises with every publication.
    pub generation: u64,
    /// The graph.
    pub graph: GraphEntry,
    /// The indexes, ascending by name.
    pub indexes: Vec<IndexEntry>,
    /// Its events, once there have been some. Without it files of events do not exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<LiveEntry>,
}

/// What an unfinished index is being built for, kept beside its segments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BuildEntry {
    /// The plan.
    pub plan: Plan,
    /// Digest of the graph, in hexadecimal.
    pub graph_digest: String,
}

/// A store that is open for reading.
#[derive(Debug, Clone)]
pub struct Store {
    path: PathBuf,
    manifest: Manifest,
}

impl Store {
    /// Opens a store by its manifest. Cost: the manifest is read.
    ///
    /// # Errors
    /// When there is no store, or its manifest is damaged or of another version.
    pub fn open(path: &Path) -> Result<Store> {
        let file = path.join(MANIFEST);
        if !file.exists() {
            // A directory that may not be entered must not look like one without a store.
            std::fs::read_dir(path).map_err(|source| match source.kind() {
                std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => {
                    Error::NoStore { path: path.to_owned() }
                }
                _ => Error::Io { path: path.to_owned(), action: "open the store", source },
            })?;
            return Err(Error::NoStore { path: path.to_owned() });
        }
        let manifest: Manifest = read_json(&file, "manifest")?;
        for name in manifest.files() {
            // Names come from a file: they must not lead out of the store.
            if Path::new(name).components().count() != 1 || name == ".." {
                return Err(Error::damaged(&file, format!("{name:?} is no file of this store")));
            }
        }
        if !manifest.graph.shards_cover_it() {
            return Err(Error::damaged(&file, "its shards do not hold every node once"));
        }
        if !manifest.graph.types_are_of_all() {
            return Err(Error::damaged(&file, "some of its shards have types, and others have none"));
        }
        let numbers = manifest.live.as_ref().map_or([0; 2], |live| [live.first_log, live.first_sequence]);
        if numbers.iter().any(|&number| MOST_EVENTS <= number) {
            return Err(Error::damaged(&file, "its events have numbers that none can have"));
        }
        Ok(Store { path: path.to_owned(), manifest })
    }

    /// The store's directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Where the graph file lies, unless the graph lies in shards.
    #[must_use]
    pub fn graph_path(&self) -> PathBuf {
        self.path.join(&self.manifest.graph.file)
    }

    /// Where the label file lies, unless the graph lies in shards.
    #[must_use]
    pub fn labels_path(&self) -> PathBuf {
        self.path.join(&self.manifest.graph.labels_file)
    }

    /// True when the graph lies in shards, of which this directory may hold some only.
    #[must_use]
    pub fn is_sharded(&self) -> bool {
        !self.manifest.graph.shards.is_empty()
    }

    fn expect_one_file(&self) -> Result<()> {
        match self.manifest.graph.shards.len() {
            0 => Ok(()),
            shards => Err(Error::Sharded { path: self.path.clone(), shards }),
        }
    }

    /// Maps the graph. Cost: constant.
    ///
    /// # Errors
    /// When the file is not the one that the manifest lists, or the graph lies in shards.
    pub fn graph(&self) -> Result<Graph> {
        self.expect_one_file()?;
        let graph = Graph::open(&self.graph_path())?;
        expect_digest(self.graph_path(), &self.manifest.graph.digest, graph.digest())?;
        Ok(graph)
    }

    /// Maps the labels.
    ///
    /// # Errors
    /// When the file is damaged, is not the one that the manifest lists, or has not one label a node; when the graph lies in
    /// shards.
    pub fn labels(&self) -> Result<Labels> {
        self.expect_one_file()?;
        let labels = Labels::open(&self.labels_path())?;
        expect_digest(self.labels_path(), &self.manifest.graph.labels_digest, labels.digest())?;
        if labels.len() as u64 != self.manifest.graph.report.nodes {
            return Err(Error::damaged(&self.labels_path(), "it has not one label for each node"));
        }
        Ok(labels)
    }

    /// Where the file of types lies, if there is one and the graph does not lie in shards.
    #[must_use]
    pub fn types_path(&self) -> Option<PathBuf> {
        self.manifest.graph.types.as_ref().map(|types| self.path.join(&types.file))
    }

    /// Where the file of passages lies, if there is one.
    #[must_use]
    pub fn passages_path(&self) -> Option<PathBuf> {
        self.manifest.graph.passages.as_ref().map(|passages| self.path.join(&passages.file))
    }

    /// Where the file of ids of events lies, if there is one.
    #[must_use]
    pub fn event_ids_path(&self) -> Option<PathBuf> {
        let ids = self.manifest.live.as_ref().and_then(|live| live.event_ids.as_ref());
        ids.map(|ids| self.path.join(&ids.file))
    }

    /// Maps the texts of passages, if there are any.
    ///
    /// # Errors
    /// When the file is damaged, or is not the one that the manifest lists.
    pub fn passages(&self) -> Result<Option<Passages>> {
        let Some(entry) = &self.manifest.graph.passages else { return Ok(None) };
        let path = self.path.join(&entry.file);
        let passages = Passages::open(&path)?;
        expect_digest(path, &entry.digest, passages.digest())?;
        Ok(Some(passages))
    }

    /// What the manifest says of an index.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn index_entry(&self, name: &str) -> Result<&IndexEntry> {
        self.manifest.indexes.iter().find(|entry| entry.name == name).ok_or_else(|| {
            let names: Vec<&str> = self.manifest.indexes.iter().map(|entry| entry.name.as_str()).collect();
            let present =
                if names.is_empty() { "it has none yet".into() } else { format!("it has {}", names.join(", ")) };
            Error::NoIndex { path: self.path.clone(), name: name.to_owned(), present }
        })
    }

    /// Opens an index for a graph of this store. Cost: constant.
    ///
    /// # Errors
    /// When there is none of this name, or it belongs to another graph.
    pub fn index(&self, name: &str, graph: &Graph) -> Result<Index> {
        let entry = self.index_entry(name)?;
        Index::open(&self.path, entry, graph.nodes(), graph.digest())
    }
}

impl GraphEntry {
    /// True when there are no shards, or each begins where the one before ended and the last one ends with the last node.
    fn shards_cover_it(&self) -> bool {
        let mut next = (0, 0);
        let in_order = self.shards.iter().all(|shard| {
            let begins = (shard.number, shard.first) == next && shard.first <= shard.end;
            next = (shard.number.saturating_add(1), shard.end);
            begins
        });
        in_order && (self.shards.is_empty() || u64::from(next.1) == self.report.nodes)
    }

    /// True when all shards have types, or none of them; and when none are listed for the whole of a graph in shards.
    fn types_are_of_all(&self) -> bool {
        let typed = self.shards.iter().filter(|shard| shard.types.is_some()).count();
        (typed == 0 || typed == self.shards.len()) && (self.shards.is_empty() || self.types.is_none())
    }

    /// The bytes of all files of types.
    #[must_use]
    pub fn types_bytes(&self) -> u64 {
        self.all_types().map(|types| types.bytes).sum()
    }

    fn all_types(&self) -> impl Iterator<Item = &TypesEntry> {
        self.types.iter().chain(self.shards.iter().filter_map(|shard| shard.types.as_ref()))
    }

    /// The names of its files.
    fn files(&self) -> impl Iterator<Item = &str> {
        let whole = [self.file.as_str(), self.labels_file.as_str()];
        let shards = self.shards.iter().flat_map(|shard| [shard.file.as_str(), shard.labels_file.as_str()]);
        let types = self.all_types().map(|types| types.file.as_str());
        let passages = self.passages.iter().map(|passages| passages.file.as_str());
        whole.into_iter().filter(|_| self.shards.is_empty()).chain(shards).chain(types).chain(passages)
    }
}

impl Manifest {
    fn files(&self) -> impl Iterator<Item = &str> {
        let graph = self.graph.files();
        let indexes = self.indexes.iter().flat_map(|entry| {
            entry.segments.iter().map(|segment| segment.file.as_str()).chain([entry.directory.as_str()])
        });
        let event_ids = self.live.iter().filter_map(|live| live.event_ids.as_ref()).map(|ids| ids.file.as_str());
        graph.chain(indexes).chain(event_ids)
    }

    /// Whether a name is that of a file of events that counts.
    fn has_log(&self, name: &str) -> bool {
        self.live.as_ref().zip(log_number(name)).is_some_and(|(live, number)| live.first_log <= number)
    }
}

/// A file that one program at a time holds, until it drops this or ends in any way.
#[derive(Debug)]
pub struct FileLock(File);

impl FileLock {
    /// Takes hold of a file, which is made where it is missing; `None` when another program holds it.
    ///
    /// # Errors
    /// When the file cannot be opened or locked.
    pub fn take(path: &Path) -> Result<Option<FileLock>> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path);
        let file = file.map_err(Error::io(path, "open"))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(FileLock(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(Error::io(path, "lock")(error)),
        }
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // To close it is not enough where a child of this program has just been forked, and has it too until it becomes another
        // program. When it fails, closing is the next best.
        let _ = self.0.unlock();
    }
}

/// The right to write to a store: one at a time, given up when dropped or when the program ends in any way.
#[derive(Debug)]
pub struct StoreLock {
    path: PathBuf,
    made_directory: bool,
    _lock: FileLock,
}

impl StoreLock {
    /// Locks an existing store.
    ///
    /// # Errors
    /// When there is no store, or another program writes to it.
    pub fn existing(path: &Path) -> Result<StoreLock> {
        Store::open(path)?;
        StoreLock::take(path, false)
    }

    /// Locks a place for a new store; makes the directory where it is missing.
    ///
    /// # Errors
    /// When a store is there and `replace` is false; when the directory holds something else; when another program
    /// writes to it.
    pub fn for_new(path: &Path, replace: bool) -> Result<StoreLock> {
        let made_directory = match std::fs::create_dir(path) {
            Ok(()) => true,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => false,
            Err(error) => return Err(Error::io(path, "make the store's directory")(error)),
        };
        if path.join(MANIFEST).exists() {
            if !replace {
                return Err(Error::Exists { path: path.to_owned() });
            }
        } else if !made_directory {
            for entry in std::fs::read_dir(path).map_err(Error::io(path, "read the directory"))? {
                let name = entry.map_err(Error::io(path, "read the directory"))?.file_name();
                if !name.to_str().is_some_and(is_own_file) {
                    return Err(Error::Kind {
                        path: path.to_owned(),
                        expected: "a new place or a Walkprint store",
                        got: format!("a directory with other files ({})", name.display()),
                    });
                }
            }
        }
        StoreLock::take(path, made_directory)
    }

    fn take(path: &Path, made_directory: bool) -> Result<StoreLock> {
        match FileLock::take(&path.join(LOCK))? {
            Some(lock) => Ok(StoreLock { path: path.to_owned(), made_directory, _lock: lock }),
            None => Err(Error::Locked { path: path.to_owned() }),
        }
    }

    /// The same right, to a directory that was (or was not) made for the store, by whomever.
    #[must_use]
    pub fn of_new_directory(self, made_directory: bool) -> StoreLock {
        StoreLock { made_directory, ..self }
    }

    /// The store's directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// True when there is a published store, and not only a place for one.
    #[must_use]
    pub fn holds_store(&self) -> bool {
        self.path.join(MANIFEST).exists()
    }

    /// Makes a manifest count: everything it lists must be on the disk already. Then removes what no manifest lists,
    /// unfinished indexes excepted.
    ///
    /// # Errors
    /// When the disk refuses; the old manifest then still counts.
    pub fn publish(&self, manifest: &Manifest) -> Result<()> {
        write_json(&self.path.join(MANIFEST), "manifest", manifest)?;
        self.sweep(manifest);
        Ok(())
    }

    /// The store as it would be with this manifest, for whoever writes more of what the manifest is to list. Others see nothing
    /// of it before [`StoreLock::publish`].
    #[must_use]
    pub fn draft(&self, manifest: Manifest) -> Store {
        Store { path: self.path.clone(), manifest }
    }

    /// Gives up a place that was made for a store which did not come about.
    pub fn abandon(self) {
        if self.made_directory {
            // Best effort: an empty directory that stays does no harm, and `for_new` accepts it.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }

    /// The directory of an unfinished index of this name, if there is one that the manifest does not list.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn unfinished(&self, manifest: &Manifest, name: &str) -> Result<Option<PathBuf>> {
        for entry in std::fs::read_dir(&self.path).map_err(Error::io(&self.path, "read the directory"))? {
            let entry = entry.map_err(Error::io(&self.path, "read the directory"))?;
            let file_name = entry.file_name();
            let Some(directory) = file_name.to_str() else { continue };
            let listed = manifest.indexes.iter().any(|index| index.directory == directory);
            if !listed && index_name(directory) == Some(name) {
                return Ok(Some(entry.path()));
            }
        }
        Ok(None)
    }

    /// Writes down what an index is being built for.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write_plan(&self, directory: &Path, build: &BuildEntry) -> Result<()> {
        write_json(&directory.join(PLAN), "plan", build)
    }

    /// Reads what an unfinished index is being built for. `None` when it was killed before it had written that down.
    ///
    /// # Errors
    /// When the file is damaged.
    pub fn read_plan(&self, directory: &Path) -> Result<Option<BuildEntry>> {
        let path = directory.join(PLAN);
        if path.exists() { read_json(&path, "plan").map(Some) } else { Ok(None) }
    }

    /// Best effort: what cannot be removed now is removed after the next publication.
    fn sweep(&self, manifest: &Manifest) {
        let Ok(entries) = std::fs::read_dir(&self.path) else { return };
        for entry in entries.flatten() {
            let file_name = entry.file_name();
            let Some(name) = file_name.to_str() else { continue };
            let listed = matches!(name, MANIFEST | LOCK | EVENTS_LOCK)
                || manifest.has_log(name)
                || manifest.files().any(|file| file == name);
            if listed || !is_own_file(name) {
                continue;
            }
            let generations = |name: &str| manifest.indexes.iter().any(|index| index.name == name);
            match index_name(name) {
                Some(index)
                    if generations(index)
                        || self
                            .read_plan(&entry.path())
                            .is_ok_and(|plan| plan.is_none_or(|plan| plan.graph_digest != manifest.graph.digest)) =>
                {
                    let _ = std::fs::remove_dir_all(entry.path());
                }
                Some(_) => {} // unfinished, of the graph that counts: it may be resumed
                None => {
                    let _ = std::fs::remove_file(entry.path());
                }
            }
        }
    }
}

/// The directory of an index inside its store.
///
/// # Errors
/// When the name is none: letters, digits, `_`, `.` and `-`, not beginning with `.` or `-`, at most 64 of them.
pub fn index_directory(name: &str, generation: u64) -> Result<String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    if name.is_empty() || 64 < name.len() || !name.bytes().all(allowed) || name.starts_with(['.', '-']) {
        let expected = "at most 64 letters, digits, _, . or -, beginning with a letter, a digit or _";
        return Err(Error::Parameter { name: "the index's name", expected, got: format!("{name:?}") });
    }
    Ok(format!("index-{name}-{generation}"))
}

/// The name of a file of events.
#[must_use]
pub fn log_file(number: u64) -> String {
    format!("events-{number:06}.wpe")
}

/// The number of a file of events, if the name is one's.
#[must_use]
pub fn log_number(name: &str) -> Option<u64> {
    let number = name.strip_prefix("events-")?.strip_suffix(".wpe")?.parse().ok()?;
    (number < MOST_EVENTS && log_file(number) == name).then_some(number)
}

/// A file must be the very one that the manifest lists.
pub(crate) fn expect_digest(path: PathBuf, expected: &str, got: u128) -> Result<()> {
    let (expected, got) = (expected.to_owned(), format!("{got:032x}"));
    let what = "this file is another than the manifest lists:";
    if got == expected { Ok(()) } else { Err(Error::Mismatch { path, what, expected, got }) }
}

fn index_name(directory: &str) -> Option<&str> {
    let (name, generation) = directory.strip_prefix("index-")?.rsplit_once('-')?;
    generation.bytes().all(|byte| byte.is_ascii_digit()).then_some(name)
}

fn is_own_file(name: &str) -> bool {
    let name = name.strip_suffix(".tmp").unwrap_or(name);
    matches!(name, MANIFEST | LOCK | EVENTS_LOCK)
        || name.starts_with("graph-") && name.ends_with(".wpg")
        || name.starts_with("labels-") && name.ends_with(".wpl")
        || name.starts_with("types-") && name.ends_with(".wpt")
        || name.starts_with("passages-") && name.ends_with(".wpp")
        || log_number(name).is_some()
        || name.starts_with("event-ids-") && name.ends_with(".wpi")
        || name.starts_with(TOKEN_PREFIX)
        || index_name(name).is_some()
}

fn write_json(path: &Path, kind: &str, value: &impl Serialize) -> Result<()> {
    let body = serde_json::to_string_pretty(value).expect("plain structs always serialize");
    let head = format!("walkprint {FORMAT_VERSION} {kind} {:016x} {}\n", xxh3_64(body.as_bytes()), body.len());
    let temporary = path.with_extension("wpm.tmp");
    let written = (|| {
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(&temporary);
        let mut file = file.map_err(Error::io(&temporary, "create"))?;
        let all = [head.as_bytes(), body.as_bytes(), b"\n"].concat();
        file.write_all(&all).map_err(Error::io(&temporary, "write"))?;
        persist(&file, &temporary, path)
    })();
    if written.is_err() {
        let _ = std::fs::remove_file(&temporary); // the error that counts is the first one
    }
    written
}

fn read_json<T: DeserializeOwned>(path: &Path, kind: &str) -> Result<T> {
    let bytes = std::fs::read(path).map_err(Error::io(path, "read"))?;
    let foreign = || Error::Kind { path: path.to_owned(), expected: "a Walkprint manifest", got: "other bytes".into() };
    let end = bytes.iter().position(|&byte| byte == b'\n').ok_or_else(foreign)?;
    let (head, body) = (&bytes[..end], &bytes[end + 1..]);
    let head = std::str::from_utf8(head).map_err(|_| foreign())?;
    let fields: Vec<&str> = head.split(' ').collect();
    let &["walkprint", version, got_kind, checksum, length] = &fields[..] else { return Err(foreign()) };
    let version: u32 = version.parse().map_err(|_| foreign())?;
    if version != FORMAT_VERSION {
        return Err(Error::Version { path: path.to_owned(), expected: FORMAT_VERSION, got: version });
    }
    let body = body.strip_suffix(b"\n").unwrap_or(body);
    let whole = got_kind == kind && length == body.len().to_string() && checksum == format!("{:016x}", xxh3_64(body));
    if !whole || bytes.last() != Some(&b'\n') {
        return Err(Error::damaged(path, "its length or checksum does not fit"));
    }
    serde_json::from_slice(body).map_err(|error| Error::damaged(path, error.to_string()))
}
