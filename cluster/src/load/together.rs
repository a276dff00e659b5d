//! Loading by several workers, each with its own part of the input and, in the end, its own shard of the graph.
//!
//! ```text
//!   part of the input ─▶ ids to their ranges, ranks back ─▶ edges to the owners of their sources ─▶ rows ─▶ shard
//! ```
//!
//! A worker reads (with threads of its own), then the workers agree on one number for each id ([`super::ids`]), send the
//! edges to whoever has the rows of their sources ([`super::edges`]), and each makes and writes the rows of its range as a
//! load on one machine does ([`ShardBuilder`]). Types go with edges and nodes, under names that all agree on
//! ([`super::kinds`]). After every step all go on or none does.
//!
//! **Gathered, the shards are the very files that a load on one machine with `--order id` writes.** (Test:
//! `tests/tests/sharded_load.rs`.)
//!
//! Memory of a worker, for *n* nodes, *m* directed edges of *w* bytes (8, or 16 with weights) and ids of *b* bytes, on *P*
//! workers: while it reads, what a load of its part on one machine takes; while ids are agreed on, *w m / P* and its part's
//! ids (*b* + 8 each) and its range's ids as often as they come, at most twice over; while edges travel, *2 w m / P* and four
//! bytes an id of its part; while rows are made, *2 w m / P* and 8 *n / P*; at the end, its shard (28 bytes an edge with f32
//! weights, 4 without weights, and 16 bytes a node), once. Types of edges add one to four bytes to *w* and to an edge at the
//! end, types of nodes as much to a node, and names are with every worker.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use timely::worker::Worker;
use walkprint_engine::graph::{
    BuildReport, BuiltShard, Graph, NodeOrder, RowsDigest, ShardBuilder, ShardFile, ShardId,
};
use walkprint_engine::ids::ExternalIds;
use walkprint_engine::kinds::{KindList, KindLists, KindTables};
use walkprint_engine::labels::Labels;
use walkprint_engine::store::{GraphEntry, Manifest, ShardEntry, TypesEntry};
use walkprint_loaders::{LoadOptions, LoadReport, LoadedPart, Part, Progress};
use walkprint_walkers::alias;

use super::agreement::all_or_none;
use super::directory::Directory;
use super::ids::{AgreedIds, agree_on_ids};
use super::{LoadJob, LoadOutcome, LoadPhase, edges, kinds};
use crate::error::{Error, Result};
use crate::processes::Processes;
use crate::processes::agree::from_all;

/// What the workers of a process share.
struct Shared {
    store: PathBuf,
    job: LoadJob,
    workers_of_process: usize,
    phase: Mutex<LoadPhase>,
    stop: Arc<AtomicBool>,
}

/// Loads files into a store whose graph lies in shards, one for each worker of all processes. All processes must be given
/// the same job, and see the same files; the store's directory may be the same one or different ones. `watch` is called as
/// it goes; setting `stop` ends the load everywhere, with the stores as they were.
///
/// # Errors
/// As [`super::load_store`]; and when nodes are not to be numbered by id, or processes see different files.
pub fn load_shards(
    store: &Path,
    job: &LoadJob,
    processes: Processes,
    stop: &Arc<AtomicBool>,
    watch: &dyn Fn(LoadPhase),
) -> Result<LoadOutcome> {
    if let Err(error) = check_order(job) {
        return processes.finish(Err(error));
    }
    let shared = Arc::new(Shared {
        store: store.to_owned(),
        job: job.clone(),
        workers_of_process: processes.workers(),
        phase: Mutex::new(LoadPhase::Reading(Progress { bytes_read: 0, bytes_total: 0 })),
        stop: Arc::clone(stop),
    });
    let watched = Arc::clone(&shared);
    let done = processes.run(move |worker| load(worker, &shared), &mut || watch(watched.phase()));
    processes.finish(done.and_then(best))
}

/// Makes sure that nodes are to be numbered by id, as they are in shards: any other order would need all edges at once.
///
/// # Errors
/// When they are not.
pub fn check_order(job: &LoadJob) -> Result<()> {
    if job.order == NodeOrder::Id {
        return Ok(());
    }
    let what = format!(
        "--order {} needs the whole graph in one process; a graph in shards is numbered by id (leave --order out)",
        job.order
    );
    Err(Error::Request { what })
}

/// What the load came to: an error of a worker of this process is better than what another heard of it.
fn best(outcomes: Vec<Result<LoadOutcome>>) -> Result<LoadOutcome> {
    let mut best = Err(Error::Workers("there was no worker".into()));
    for outcome in outcomes {
        if matches!(best, Err(Error::Elsewhere { .. } | Error::Workers(_))) {
            best = outcome;
        }
    }
    best
}

/// What one worker does.
fn load(worker: &mut Worker, shared: &Shared) -> Result<LoadOutcome> {
    let directory = Directory::claim(worker, shared.workers_of_process, &shared.store, shared.job.replace)?;
    let files = file_names(directory.generation, worker.index()).map(|name| directory.path().join(name));
    // Nobody is between two agreements afterwards: all came out of the last one with the same answer.
    let (manifest, mut outcome) = match load_into(worker, shared, &directory, &files) {
        Ok(loaded) => loaded,
        Err(error) => {
            directory.abandon(&files);
            from_all(worker, ()); // nobody leaves, and thereby ends the others, before all have cleaned up
            return Err(error);
        }
    };
    // From here on somebody's manifest may list the files: they stay, whatever happens.
    let began = Instant::now();
    let published = directory.publish(&manifest);
    all_or_none(worker, shared.workers_of_process, published)?;
    outcome.writing += began.elapsed();
    Ok(outcome)
}

fn load_into(
    worker: &mut Worker,
    shared: &Shared,
    directory: &Directory,
    files: &[PathBuf; 3],
) -> Result<(Manifest, LoadOutcome)> {
    let began = Instant::now();
    let inputs = shared.same_inputs(worker)?;
    let (part, report) = shared.read(worker, &inputs)?;
    let LoadedPart { mut edges, counts, .. } = part;
    let all_counts = from_all(worker, counts);
    let reading = began.elapsed();

    shared.begin(LoadPhase::Building);
    let began = Instant::now();
    let mut ids = agree_on_ids(worker, shared.workers_of_process, &mut edges)?;
    let integer_ids = matches!(ids.own, ExternalIds::Integers(_));
    let read = report(all_counts, ids.nodes().into(), integer_ids);
    let read = shared.agreed(worker, read)?;
    let (kinds, read) = shared.kinds(worker, std::mem::take(&mut edges.kinds), edges.len(), &ids, read)?;
    edges.kinds = kinds;
    let builder = edges::to_owners(worker, edges, &mut ids);
    let builder = shared.agreed(worker, builder)?;
    let BuiltShard { graph, kinds, report } = shared.rows(worker, builder)?;
    let building = began.elapsed();

    shared.begin(LoadPhase::Writing);
    let began = Instant::now();
    let shard = Shard { graph, kinds, ids };
    let shards = shared.write(worker, &shard, &report, files)?;
    let sum = |bytes: fn(&ShardEntry) -> u64| shards.entries.iter().map(bytes).sum();
    let graph = GraphEntry {
        file: String::new(),
        bytes: sum(|shard| shard.bytes),
        digest: format!("{:032x}", shards.digest),
        labels_file: String::new(),
        labels_bytes: sum(|shard| shard.labels_bytes),
        labels_digest: String::new(),
        shards: shards.entries,
        types: None,
        passages: None,
        report,
        loaded: serde_json::to_value(&read).expect("a report of plain fields serializes"),
    };
    let manifest = Manifest { generation: directory.generation, graph: graph.clone(), indexes: Vec::new(), live: None };
    Ok((manifest, LoadOutcome { read, graph, reading, building, writing: began.elapsed() }))
}

/// The rows, types and ids of one worker's range.
struct Shard {
    graph: Graph,
    kinds: KindTables,
    ids: AgreedIds,
}

/// All shards as the manifest lists them.
struct Shards {
    digest: u128,
    entries: Vec<ShardEntry>,
}

/// How reading went, as the others hear of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum ReadAs {
    Well,
    /// A file that was cut has quotes.
    Quoted,
    Badly,
}

type Report<'job> = Box<dyn FnOnce(Vec<walkprint_loaders::PartCounts>, u64, bool) -> Result<LoadReport> + 'job>;

impl Shared {
    fn agreed<T>(&self, worker: &mut Worker, result: Result<T>) -> Result<T> {
        let result = if self.stop.load(Ordering::Relaxed) { Err(Error::Interrupted) } else { result };
        all_or_none(worker, self.workers_of_process, result)
    }

    fn phase(&self) -> LoadPhase {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, phase: LoadPhase) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase;
    }

    /// The input files, which must be the same everywhere.
    fn same_inputs(&self, worker: &mut Worker) -> Result<Vec<PathBuf>> {
        let files = walkprint_loaders::files_of(&self.job.inputs).map_err(Error::from).and_then(|files| {
            let lengths = files.iter().map(|file| {
                let length = std::fs::metadata(file).map(|metadata| metadata.len());
                length.map_err(|source| Error::from(walkprint_loaders::Error::Read { path: file.clone(), source }))
            });
            Ok((lengths.collect::<Result<Vec<u64>>>()?, files))
        });
        let (lengths, files) = self.agreed(worker, files)?;
        let node_types = self.node_types_length();
        let node_types = self.agreed(worker, node_types)?;
        let names = files.iter().map(|file| file.file_name().unwrap_or_default().to_string_lossy().into_owned());
        let seen: (Vec<(String, u64)>, Option<u64>) = (names.zip(lengths).collect(), node_types);
        let all = from_all(worker, seen);
        if let Some(other) = all.iter().position(|other| *other != all[0]) {
            let what = format!(
                "process {} sees other input files than process 0: their number, their names or their lengths differ, or \
                 those of --node-types; give all processes the same files",
                other / self.workers_of_process
            );
            return Err(Error::Request { what });
        }
        Ok(files)
    }

    /// The length of the file of node types, if one is named.
    fn node_types_length(&self) -> Result<Option<u64>> {
        let Some(path) = &self.job.options.node_types else { return Ok(None) };
        let length = std::fs::metadata(path).map(|metadata| metadata.len());
        let read = |source| Error::from(walkprint_loaders::Error::Read { path: path.clone(), source });
        length.map(Some).map_err(read)
    }

    /// The types of this worker's edges and of the nodes of its range, under the names of all workers; and the report, with
    /// how many there are. When one worker has an error, all have one.
    fn kinds(
        &self,
        worker: &mut Worker,
        found: KindLists,
        edges: usize,
        ids: &AgreedIds,
        read: LoadReport,
    ) -> Result<(KindLists, LoadReport)> {
        let edges = kinds::agree_on_names(worker, found.edges, edges)?;
        let nodes = kinds::read_node_kinds(worker, self.workers_of_process, &self.job.options, ids)?;
        let names = |list: &Option<KindList>| list.as_ref().map_or(0, |list| list.names.len() as u64);
        let typed_nodes = from_all(worker, nodes.as_ref().map_or(0, KindList::typed)).into_iter().sum();
        let read = read.with_types(names(&edges), names(&nodes), typed_nodes);
        Ok((KindLists { nodes, edges }, read))
    }

    /// Reads this worker's part of the input. A second time if quotes turn up where files were cut.
    fn read<'job>(&'job self, worker: &mut Worker, inputs: &'job [PathBuf]) -> Result<(LoadedPart, Report<'job>)> {
        let number = |number: usize| u32::try_from(number).expect("workers are counted in 32 bits");
        let part = Part::new(number(worker.index()), number(worker.peers()));
        let options = LoadOptions {
            threads: (self.job.options.threads / self.workers_of_process).max(1),
            memory_bytes: self.job.options.memory_bytes.map(|bytes| bytes / self.workers_of_process as u64),
            ..self.job.options.clone()
        };
        let proceed = |progress: Progress| {
            self.begin(LoadPhase::Reading(progress));
            if self.stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let load = |part: Part| walkprint_loaders::load_part(inputs, &options, part, &proceed);
        let mut loaded = load(part);
        let read = from_all(
            worker,
            match &loaded {
                Ok(_) => ReadAs::Well,
                Err(walkprint_loaders::Error::Quotes { .. }) => ReadAs::Quoted,
                Err(_) => ReadAs::Badly,
            },
        );
        // What comes first in the input decides: behind a quote lines may look bad that are not.
        if read.into_iter().find(|&read| read != ReadAs::Well) == Some(ReadAs::Quoted) {
            drop(loaded);
            loaded = load(part.with_delimited_files_whole());
        }
        let loaded = loaded.map_err(|error| match error {
            walkprint_loaders::Error::Interrupted => Error::Interrupted,
            error => error.into(),
        });
        let loaded = self.agreed(worker, loaded)?;
        let report = move |counts, nodes, integer_ids| {
            Ok(LoadReport::of_parts(inputs, &self.job.options, counts, nodes, integer_ids)?)
        };
        Ok((loaded, Box::new(report)))
    }

    /// Makes this worker's rows; the report is of what all workers found.
    fn rows(&self, worker: &mut Worker, mut builder: ShardBuilder) -> Result<BuiltShard> {
        if from_all(worker, builder.has_parallel()).contains(&true) {
            let added = builder.add_up_parallel().map_err(Error::from);
            self.agreed(worker, added)?;
        }
        let single = !from_all(worker, builder.has_single_weights()).contains(&false);
        let built = builder.finish(single).map_err(Error::from).and_then(|mut built| {
            if built.graph.is_weighted() {
                let slots = alias::tables(&built.graph)?;
                built.graph = built.graph.with_aliases(slots);
            }
            Ok(built)
        });
        let BuiltShard { graph, kinds, report } = self.agreed(worker, built)?;
        let mut reports = from_all(worker, report).into_iter();
        let mut report = reports.next().expect("there is a worker");
        reports.for_each(|more| report.merge(&more));
        Ok(BuiltShard { graph, kinds, report })
    }

    /// Writes this worker's files. Returns what all have written.
    fn write(&self, worker: &mut Worker, shard: &Shard, report: &BuildReport, files: &[PathBuf; 3]) -> Result<Shards> {
        let (own, workers) = (worker.index(), worker.peers());
        let Shard { graph, kinds, ids } = shard;
        let nodes = ids.bounds[own]..ids.bounds[own + 1];
        let sum = self.agreed(worker, graph.digest_of_rows(nodes.start).map_err(Error::from))?;
        let mut digest = RowsDigest::default();
        let sums = from_all(worker, sum.to_numbers());
        sums.into_iter().for_each(|sum| digest.merge(&RowsDigest::from_numbers(sum)));
        let number = |number: usize| u32::try_from(number).expect("workers are counted in 32 bits");
        let id = ShardId {
            number: number(own),
            shards: number(workers),
            nodes: nodes.clone(),
            graph_nodes: report.nodes,
            graph_edges: report.edges,
            graph_digest: digest.finish(),
        };
        let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let length = |path: &Path| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
        let [rows_path, labels_path, types_path] = files;
        let written = || -> Result<ShardEntry> {
            let rows_digest = ShardFile::write(rows_path, &id, graph)?;
            let labels_digest = Labels::write_in_order(labels_path, &ids.own)?;
            let types = if kinds.is_empty() {
                None
            } else {
                let digest = format!("{:032x}", kinds.write(types_path)?);
                Some(TypesEntry { file: name(types_path), bytes: length(types_path), digest })
            };
            Ok(ShardEntry {
                number: id.number,
                first: nodes.start,
                end: nodes.end,
                file: name(rows_path),
                bytes: length(rows_path),
                digest: format!("{rows_digest:032x}"),
                labels_file: name(labels_path),
                labels_bytes: length(labels_path),
                labels_digest: format!("{labels_digest:032x}"),
                edges: graph.edges() as u64,
                first_id: (!ids.own.is_empty()).then(|| ids.own.text(0)),
                integer_ids: matches!(ids.own, ExternalIds::Integers(_)),
                types,
            })
        };
        let written = written();
        let entry = self.agreed(worker, written)?;
        Ok(Shards { digest: id.graph_digest, entries: from_all(worker, entry) })
    }
}

/// The names of a shard's files: rows, labels, and types, if there are any.
fn file_names(generation: u64, shard: usize) -> [String; 3] {
    let name = |what: &str, ending: &str| format!("{what}-{generation}-{shard:03}.{ending}");
    [name("graph", "wpg"), name("labels", "wpl"), name("types", "wpt")]
}

/// How uneven shards are: the largest one's bytes by the mean.
#[must_use]
pub fn imbalance(shards: &[ShardEntry]) -> f64 {
    let bytes = || shards.iter().map(|shard| shard.bytes);
    let mean = bytes().sum::<u64>() as f64 / shards.len().max(1) as f64;
    if mean == 0.0 { 1.0 } else { bytes().max().unwrap_or(0) as f64 / mean }
}
