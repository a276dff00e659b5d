//! The account of a job for machines: one JSON object a line, with the seconds since it began.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;
use serde_json::{Value, json};

/// A file of events, or none.
#[derive(Debug)]
pub(crate) struct Events {
    file: Option<(PathBuf, File)>,
    began: Instant,
}

impl Events {
    /// Begins the account in a new file, if one is wanted.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn begin(path: Option<&Path>) -> anyhow::Result<Events> {
        let open = |path: &Path| {
            let mut new_file = std::fs::OpenOptions::new();
            let file = new_file
                .write(true)
                .create(true)
                .truncate(true)
                .open(path)
                .with_context(|| format!("{}: could not be written", path.display()))?;
            anyhow::Ok((path.to_owned(), file))
        };
        Ok(Events { file: path.map(open).transpose()?, began: Instant::now() })
    }

    /// Whether anybody wants to know.
    pub(crate) fn are_wanted(&self) -> bool {
        self.file.is_some()
    }

    /// Writes an event: its name, the seconds since the beginning, and what else there is to say.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(crate) fn write(&mut self, event: &str, more: Value) -> anyhow::Result<()> {
        let Some((path, file)) = &mut self.file else { return Ok(()) };
        let mut line = json!({ "event": event, "seconds": self.began.elapsed().as_secs_f64() });
        if let (Value::Object(line), Value::Object(more)) = (&mut line, more) {
            line.extend(more);
        }
        writeln!(file, "{line}").with_context(|| format!("{}: could not be written", path.display()))
    }
}
