//! `walkprint verify`.

use std::path::{Path, PathBuf};

use serde_json::json;
use walkprint_engine::error::{Error, Result};
use walkprint_engine::graph::{Graph, RowsDigest, ShardFile};
use walkprint_engine::index::open_segment;
use walkprint_engine::kinds::Kinds;
use walkprint_engine::labels::Labels;
use walkprint_engine::parts::{expect_shard, graph_digest, open_labels};
use walkprint_engine::store::Store;

use crate::arguments::VerifyArguments;
use crate::terminal::{Outcome, print, print_json};

pub(crate) fn run(arguments: VerifyArguments) -> anyhow::Result<Outcome> {
    let mut findings: Vec<(PathBuf, Option<String>)> = Vec::new();
    let mut find = |path: PathBuf, result: Result<()>| match result {
        // What cannot be read is neither whole nor damaged: the question has no answer.
        Err(error @ (Error::Io { .. } | Error::NoStore { .. })) => Err(error),
        Err(error @ Error::Version { .. }) if path == arguments.store => Err(error),
        Err(error) => {
            findings.push((path, Some(error.to_string())));
            Ok(())
        }
        Ok(()) => {
            findings.push((path, None));
            Ok(())
        }
    };
    let mut elsewhere: Vec<PathBuf> = Vec::new();
    match Store::open(&arguments.store) {
        Err(error) => find(arguments.store.clone(), Err(error))?,
        Ok(store) if store.is_sharded() => {
            for (path, verified) in verify_shards(&store) {
                match verified {
                    Some(result) => find(path, result)?,
                    None => elsewhere.push(path),
                }
            }
        }
        Ok(store) => {
            find(store.graph_path(), Graph::verify(&store.graph_path()).and_then(|()| store.graph().map(|_| ())))?;
            find(store.labels_path(), Labels::verify(&store.labels_path()).and_then(|()| store.labels().map(|_| ())))?;
            if let Some(path) = store.types_path() {
                find(path.clone(), Kinds::verify(&path).and_then(|()| store.kinds().map(|_| ())))?;
            }
            let graph = store.graph();
            for entry in &store.manifest().indexes {
                let Ok(graph) = &graph else { continue }; // reported above
                let verified = store.index(&entry.name, graph).and_then(|index| index.verify());
                find(store.path().join(&entry.directory), verified.map(|_| ()))?;
            }
        }
    }
    let damaged = findings.iter().filter(|(_, problem)| problem.is_some()).count();
    if arguments.json {
        let files: Vec<_> = findings
            .iter()
            .map(|(path, problem)| json!({ "path": path.display().to_string(), "problem": problem }))
            .collect();
        let elsewhere: Vec<_> = elsewhere.iter().map(|path| path.display().to_string()).collect();
        print_json(&json!({ "whole": damaged == 0, "files": files, "elsewhere": elsewhere }))?;
    } else {
        let lines = findings.iter().map(|(path, problem)| match problem {
            Some(problem) => format!("damaged   {problem}\n"),
            None => format!("whole     {}\n", path.display()),
        });
        let elsewhere = elsewhere.iter().map(|path| format!("not here  {}\n", path.display()));
        print(&lines.chain(elsewhere).collect::<String>())?;
    }
    Ok(if damaged == 0 { Outcome::Done } else { Outcome::No })
}

/// What every file of a store in shards turns out to be; `None` for those that are not in this directory. When all rows are
/// here, they are compared with the digest of the graph as well.
fn verify_shards(store: &Store) -> Vec<(PathBuf, Option<Result<()>>)> {
    let graph = &store.manifest().graph;
    let mut found = Vec::new();
    let mut digest = Some(RowsDigest::default());
    let mut look = |path: PathBuf, verify: &mut dyn FnMut(&Path) -> Result<()>| {
        let verified = path.exists().then(|| verify(&path));
        found.push((path, verified));
    };
    for entry in &graph.shards {
        let mut own = None;
        look(store.path().join(&entry.file), &mut |path| {
            ShardFile::verify(path)?;
            let shard = ShardFile::open(path)?;
            expect_shard(path, graph, entry, &shard)?;
            own = Some(shard.rows().digest_of_rows(entry.first)?);
            Ok(())
        });
        digest = digest.zip(own).map(|(mut digest, own)| {
            digest.merge(&own);
            digest
        });
        look(store.path().join(&entry.labels_file), &mut |path| {
            Labels::verify(path)?;
            open_labels(path, entry).map(|_| ())
        });
    }
    for index in &store.manifest().indexes {
        for listed in &index.segments {
            look(store.path().join(&index.directory).join(&listed.file), &mut |path| {
                let segment = open_segment(path, listed, graph_digest(path, graph)?, index.plan.digest())?;
                segment.verify(usize::try_from(graph.report.nodes).unwrap_or(usize::MAX)).map(|_| ())
            });
        }
    }
    if digest.is_some_and(|digest| format!("{:032x}", digest.finish()) != graph.digest) {
        let what = "the rows of all shards together are not the graph that the manifest lists";
        found.push((store.path().to_owned(), Some(Err(Error::damaged(store.path(), what)))));
    }
    found
}
