//! `walkprint verify`.

use std::path::PathBuf;

use serde_json::json;
use walkprint_cluster::error::Error as JobError;
use walkprint_cluster::live;
use walkprint_engine::error::{Error, Result};
use walkprint_engine::file::{FileKind, SectionedFile};
use walkprint_engine::graph::Graph;
use walkprint_engine::index::open_segment;
use walkprint_engine::kinds::KindFile;
use walkprint_engine::labels::Labels;
use walkprint_engine::parts;
use walkprint_engine::passages::Passages;
use walkprint_engine::store::{Store, log_file};

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
    let mut log_damage = None;
    match Store::open(&arguments.store) {
        Err(error) => find(arguments.store.clone(), Err(error))?,
        Ok(store) if store.is_sharded() => {
            for (path, verified) in parts::verify(&store).into_iter().chain(verify_segments(&store)) {
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
                find(path.clone(), KindFile::verify(&path).and_then(|()| store.kinds().map(|_| ())))?;
            }
            if let Some(path) = store.passages_path() {
                find(path.clone(), Passages::verify(&path).and_then(|()| store.passages().map(|_| ())))?;
            }
            let graph = store.graph();
            for entry in &store.manifest().indexes {
                let Ok(graph) = &graph else { continue }; // reported above
                let verified = store.index(&entry.name, graph).and_then(|index| index.verify());
                find(store.path().join(&entry.directory), verified.map(|_| ()))?;
            }
            if store.manifest().live.is_some() {
                match live::check(store.path(), &mut |_| Ok(())) {
                    Ok(checked) => {
                        for (number, ..) in checked.files {
                            find(store.path().join(log_file(number)), Ok(()))?;
                        }
                    }
                    Err(JobError::Engine(error)) => find(store.path().to_owned(), Err(error))?,
                    Err(error) => {
                        let path = if let JobError::LogDamaged { path, .. } = &error { path } else { &arguments.store };
                        log_damage = Some((path.clone(), error.to_string()));
                    }
                }
                if let Some(ids) = store.event_ids_path() {
                    find(ids.clone(), SectionedFile::open(&ids, FileKind::EventIds).and_then(|file| file.verify()))?;
                }
            }
        }
    }
    findings.extend(log_damage.map(|(path, problem)| (path, Some(problem))));
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

/// What the segments of a store in shards turn out to be; `None` for those that are not in this directory.
fn verify_segments(store: &Store) -> Vec<(PathBuf, Option<Result<()>>)> {
    let graph = &store.manifest().graph;
    let mut found = Vec::new();
    for index in &store.manifest().indexes {
        for listed in &index.segments {
            let path = store.path().join(&index.directory).join(&listed.file);
            let verify = || {
                let digest = parts::graph_digest(&path, graph)?;
                let segment = open_segment(&path, listed, digest, index.plan.digest())?;
                segment.verify(usize::try_from(graph.report.nodes).unwrap_or(usize::MAX)).map(|_| ())
            };
            let verified = path.exists().then(verify);
            found.push((path, verified));
        }
    }
    found
}
