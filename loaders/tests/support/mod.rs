//! What the tests of this folder share: small files, and what comes out of them.
#![allow(dead_code, reason = "each test program uses a part")]

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use walkprint_loaders::{LoadOptions, Loaded, load};

/// A directory of small files that vanishes with the value.
pub(crate) struct Files {
    directory: TempDir,
    paths: Vec<PathBuf>,
}

impl Files {
    pub(crate) fn new() -> Files {
        Files { directory: tempfile::tempdir().expect("a temporary directory"), paths: Vec::new() }
    }

    pub(crate) fn with(mut self, name: &str, content: impl AsRef<[u8]>) -> Files {
        let path = self.path(name);
        fs::write(&path, content).expect("a small file");
        self.paths.push(path);
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn load(&self, options: &LoadOptions) -> Result<Loaded, String> {
        load(&self.paths, options, &|_| ControlFlow::Continue(())).map_err(|error| self.message(&error))
    }

    /// An error's message, without the directory.
    pub(crate) fn message(&self, error: &walkprint_loaders::Error) -> String {
        error.to_string().replace(&format!("{}/", self.directory.path().display()), "")
    }
}

/// Loads one file.
pub(crate) fn load_one(name: &str, content: impl AsRef<[u8]>, options: &LoadOptions) -> Result<Loaded, String> {
    Files::new().with(name, content).load(options)
}

/// The message of the error that one file gives.
pub(crate) fn error_of(name: &str, content: impl AsRef<[u8]>, options: &LoadOptions) -> String {
    match load_one(name, content, options) {
        Ok(loaded) => format!("no error, but {} edges", loaded.edges.len()),
        Err(message) => message,
    }
}

/// Edges as `a→b` or `a→b=weight`, in order.
pub(crate) fn edges(loaded: &Loaded) -> Vec<String> {
    let edges = &loaded.edges;
    let text = |rank: u32| edges.ids.text(rank as usize);
    let ends =
        edges.sources.iter().zip(&edges.targets).map(|(&source, &target)| format!("{}→{}", text(source), text(target)));
    match &edges.weights {
        None => ends.collect(),
        Some(weights) => ends.zip(weights).map(|(ends, weight)| format!("{ends}={weight}")).collect(),
    }
}

/// The edges of one file that loads.
pub(crate) fn edges_of(name: &str, content: impl AsRef<[u8]>, options: &LoadOptions) -> Vec<String> {
    edges(&load_one(name, content, options).expect("a good file"))
}

/// A file of the project's data, if it is there.
pub(crate) fn data(file: &str) -> Option<PathBuf> {
    let directory = match std::env::var_os("WALKPRINT_DATA") {
        Some(directory) => PathBuf::from(directory),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
    };
    let path = directory.join(file);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: no {}", path.display());
    None
}

/// Options with columns by name or number.
pub(crate) fn columns(source: &str, target: &str, weight: Option<&str>) -> LoadOptions {
    LoadOptions {
        source_col: Some(source.to_owned()),
        target_col: Some(target.to_owned()),
        weight_col: weight.map(str::to_owned),
        ..LoadOptions::default()
    }
}
