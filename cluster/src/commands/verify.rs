//! `walkprint verify`.

use std::path::PathBuf;

use serde_json::json;
use walkprint_engine::error::{Error, Result};
use walkprint_engine::graph::Graph;
use walkprint_engine::kinds::Kinds;
use walkprint_engine::labels::Labels;
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
    match Store::open(&arguments.store) {
        Err(error) => find(arguments.store.clone(), Err(error))?,
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
        print_json(&json!({ "whole": damaged == 0, "files": files }))?;
    } else {
        let lines = findings.iter().map(|(path, problem)| match problem {
            Some(problem) => format!("damaged   {problem}\n"),
            None => format!("whole     {}\n", path.display()),
        });
        print(&lines.collect::<String>())?;
    }
    Ok(if damaged == 0 { Outcome::Done } else { Outcome::No })
}
