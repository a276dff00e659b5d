//! What a suite found: for people a table, for machines JSON. All trials are kept; a figure that varies says so.

use std::fmt::Display;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use serde::Serialize;

use crate::figure::{Figure, NOISY_SPREAD};
use crate::graphs::GraphFacts;
use crate::machine::Machine;

/// Where results go.
#[derive(Debug, Args)]
pub(crate) struct Output {
    /// Also write everything, all trials included, as JSON to this file ("-": to stdout, and the table to stderr)
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// All that a suite found.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    suite: &'static str,
    machine: Machine,
    graph: GraphFacts,
    parameters: serde_json::Value,
    figures: Vec<Figure>,
    checks: Vec<Check>,
    notes: Vec<String>,
}

/// Something that must hold for the figures to mean anything.
#[derive(Debug, Serialize)]
struct Check {
    what: &'static str,
    passed: bool,
    evidence: String,
}

impl Report {
    /// An empty report, to be made before the first measurement: it notes how busy the machine is.
    pub(crate) fn new(suite: &'static str, graph: GraphFacts) -> Report {
        let parameters = serde_json::Value::Null;
        let machine = Machine::now();
        Report { suite, machine, graph, parameters, figures: Vec::new(), checks: Vec::new(), notes: Vec::new() }
    }

    /// Says what was measured with.
    pub(crate) fn parameters(&mut self, parameters: serde_json::Value) {
        self.parameters = parameters;
    }

    /// Adds a figure.
    pub(crate) fn figure(&mut self, figure: Figure) {
        self.figures.push(figure);
    }

    /// Adds a check. A failed one makes the program exit with 1.
    pub(crate) fn check(&mut self, what: &'static str, passed: bool, evidence: impl Display) {
        self.checks.push(Check { what, passed, evidence: evidence.to_string() });
    }

    /// Adds what a reader should know.
    pub(crate) fn note(&mut self, text: impl Display) {
        self.notes.push(text.to_string());
    }

    /// Prints the table and writes the JSON. Returns whether all checks passed.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(crate) fn publish(mut self, output: &Output) -> Result<bool> {
        self.machine.finished();
        if self.figures.iter().any(|figure| figure.is_noisy()) {
            let percent = (NOISY_SPREAD - 1.0) * 100.0;
            self.note(format!(
                "noisy: trials differ by more than {percent:.0} %; do not trust these to the last digit"
            ));
        }
        let json = serde_json::to_string_pretty(&self)? + "\n";
        let table = self.table();
        match &output.json {
            Some(path) if path.as_os_str() == "-" => {
                write_to(std::io::stderr().lock(), &table)?;
                write_to(std::io::stdout().lock(), &json)?;
            }
            Some(path) => {
                std::fs::write(path, json).with_context(|| format!("{}: could not write", path.display()))?;
                write_to(std::io::stdout().lock(), &table)?;
            }
            None => write_to(std::io::stdout().lock(), &table)?,
        }
        Ok(self.checks.iter().all(|check| check.passed))
    }

    fn table(&self) -> String {
        let mut text = format!("{}: {}\n  on {}\n  with {}\n\n", self.suite, self.graph, self.machine, self.parameters);
        let mut table = comfy_table::Table::new();
        table.load_preset(comfy_table::presets::ASCII_MARKDOWN);
        table.set_header(["case", "figure", "unit", "value", "lowest .. highest, or ± std. error", "", "target"]);
        let mut last = "";
        for figure in &self.figures {
            let mut row = figure.row();
            if figure.case() == last {
                row[0].clear();
            }
            last = figure.case();
            table.add_row(row);
        }
        text += &format!("{table}\n\n");
        for Check { what, passed, evidence } in &self.checks {
            text += &format!("{} {what}: {evidence}\n", if *passed { "ok    " } else { "FAILED" });
        }
        for note in &self.notes {
            text += &format!("note: {note}\n");
        }
        text
    }
}

fn write_to(mut sink: impl Write, text: &str) -> Result<()> {
    match sink.write_all(text.as_bytes()).and_then(|()| sink.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("could not print the results"),
        _ => Ok(()),
    }
}
