//! What a suite found: for people tables or a page, for machines JSON. All trials are kept; a figure that varies says so.

use std::fmt::Display;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use serde::Serialize;

use crate::figure::{Figure, NOISY_SPREAD, Quantity};
use crate::graphs::GraphFacts;
use crate::machine::Machine;
use crate::page;
use crate::plot::Plot;

/// Where results go.
#[derive(Debug, Args)]
pub(crate) struct Output {
    /// Also write everything, all trials included, as JSON to this file ("-": to stdout, and the table to stderr)
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Also write a page with tables and plots to this file; it needs nothing else to be looked at
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// All that a suite found.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) suite: &'static str,
    /// How it was asked for.
    pub(crate) command: String,
    pub(crate) machine: Machine,
    /// What was measured on.
    pub(crate) graphs: Vec<GraphFacts>,
    pub(crate) parameters: serde_json::Value,
    /// Walkprint's, and those of what it was compared with.
    pub(crate) versions: Vec<(String, String)>,
    pub(crate) figures: Vec<Figure>,
    pub(crate) sheets: Vec<Sheet>,
    pub(crate) plots: Vec<Plot>,
    pub(crate) checks: Vec<Check>,
    pub(crate) notes: Vec<String>,
}

/// Something that must hold for the figures to mean anything.
#[derive(Debug, Serialize)]
pub(crate) struct Check {
    pub(crate) what: &'static str,
    pub(crate) passed: bool,
    pub(crate) evidence: String,
}

/// A table that compares: a row a case, a column a quantity. It holds no figures, it shows those of the report.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Sheet {
    pub(crate) title: String,
    pub(crate) caption: String,
    pub(crate) rows: Vec<SheetRow>,
    /// What the words of the rows are about; none where rows have no words.
    pub(crate) word_columns: Vec<&'static str>,
    /// Name and unit of the figures.
    pub(crate) columns: Vec<Quantity>,
    /// Whether a page shows it only when it is asked for.
    pub(crate) folded: bool,
}

/// A row of a [`Sheet`].
#[derive(Debug, Clone, Serialize)]
pub(crate) struct SheetRow {
    pub(crate) case: String,
    /// What the row is called in the sheet.
    pub(crate) name: String,
    /// What is no number, one for each of the sheet's word columns.
    pub(crate) words: Vec<String>,
    /// True for Walkprint's own.
    pub(crate) ours: bool,
}

impl Report {
    /// An empty report, to be made before the first measurement: it notes how busy the machine is.
    pub(crate) fn new(suite: &'static str, graph: GraphFacts) -> Report {
        Report { graphs: vec![graph], ..Report::on_several(suite) }
    }

    /// The same for graphs that are added as they are measured on.
    pub(crate) fn on_several(suite: &'static str) -> Report {
        Report {
            suite,
            command: command(std::env::args()),
            machine: Machine::now(),
            graphs: Vec::new(),
            parameters: serde_json::Value::Null,
            versions: vec![("walkprint".to_owned(), env!("CARGO_PKG_VERSION").to_owned())],
            figures: Vec::new(),
            sheets: Vec::new(),
            plots: Vec::new(),
            checks: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// The figure of a case and a quantity.
    pub(crate) fn find(&self, case: &str, quantity: (&str, &str)) -> Option<&Figure> {
        self.figures.iter().find(|figure| figure.case() == case && figure.quantity() == quantity)
    }

    /// Whether some sheet has a row for what a figure is about.
    fn is_in_a_sheet(&self, figure: &Figure) -> bool {
        self.sheets.iter().flat_map(|sheet| &sheet.rows).any(|row| row.case == figure.case())
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
        if let Some(path) = &output.html {
            std::fs::write(path, page::page(&self)).with_context(|| format!("{}: could not write", path.display()))?;
        }
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
        let graphs = self.graphs.iter().map(GraphFacts::to_string).collect::<Vec<_>>().join("\n  and ");
        let mut text = format!("{}: {graphs}\n  on {}\n  with {}\n\n", self.suite, self.machine, self.parameters);
        for sheet in &self.sheets {
            text += &format!("{}\n{}\n\n", sheet.title, self.sheet_table(sheet));
        }
        let mut table = comfy_table::Table::new();
        table.load_preset(comfy_table::presets::ASCII_MARKDOWN);
        table.set_header(["case", "figure", "unit", "value", "lowest .. highest, or ± std. error", "", "target"]);
        let mut last = "";
        // Sheets show what matters of their cases, the JSON and the page have everything; targets are always listed.
        for figure in self.figures.iter().filter(|figure| figure.judged().is_some() || !self.is_in_a_sheet(figure)) {
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

impl Report {
    fn sheet_table(&self, sheet: &Sheet) -> comfy_table::Table {
        let mut table = comfy_table::Table::new();
        table.load_preset(comfy_table::presets::ASCII_MARKDOWN);
        let heads = sheet
            .columns
            .iter()
            .map(|(name, unit)| if unit.is_empty() { (*name).to_owned() } else { format!("{name}, {unit}") });
        let words = sheet.word_columns.iter().map(|&head| head.to_owned());
        table.set_header(std::iter::once(String::new()).chain(words).chain(heads));
        for row in &sheet.rows {
            let cell = |quantity: &(&str, &str)| self.find(&row.case, *quantity).map(Figure::shown).unwrap_or_default();
            let words = row.words.iter().cloned();
            table.add_row(std::iter::once(row.name.clone()).chain(words).chain(sheet.columns.iter().map(cell)));
        }
        table
    }
}

/// A command line that a shell would read as these arguments; of the program only its name.
fn command(mut arguments: impl Iterator<Item = String>) -> String {
    let program = arguments.next().unwrap_or_default();
    let program =
        PathBuf::from(program).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let quoted = arguments.map(|argument| {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:=,+@%".contains(letter);
        if !argument.is_empty() && argument.chars().all(plain) {
            argument
        } else {
            format!("'{}'", argument.replace('\'', r"'\''"))
        }
    });
    std::iter::once(program).chain(quoted).collect::<Vec<_>>().join(" ")
}

fn write_to(mut sink: impl Write, text: &str) -> Result<()> {
    match sink.write_all(text.as_bytes()).and_then(|()| sink.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("could not print the results"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_can_be_run_again_as_it_is_shown() {
        let arguments = ["some/where/bench", "peers", "--graph", "my graph.txt", "it's", ""].map(str::to_owned);
        assert_eq!(command(arguments.into_iter()), r"bench peers --graph 'my graph.txt' 'it'\''s' ''");
    }
}
