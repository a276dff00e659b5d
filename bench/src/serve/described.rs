//! Part `described`: the server against its own description. [Schemathesis](https://schemathesis.io) makes requests that `/openapi.json`
//! allows, and requests that it forbids, and holds every answer against it: statuses, media types, bodies, what must be refused.
//!
//! Once with any names of stores and nodes, most of which do not exist, and once with names that do.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};

use super::Scene;
use super::program::Server;
use crate::figure::Figure;
use crate::known_graphs::Known;
use crate::report::Report;
use crate::venv;

/// What no description can say: whether an id is a node's, whether weights are all zero, whether a method reaches a precision; and how long
/// an answer to a small residual takes.
const ALLOWED: &str = r#"
[checks]
not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", "504"]
positive_data_acceptance.expected-statuses = ["2xx", "404", "408", "422", "504"]
negative_data_rejection.expected-statuses = ["400", "404", "405", "408", "415", "422"]
"#;
/// A store and a node that exist, for whatever asks for one.
const NAMES: &str = "[parameters]\n\"path.store\" = \"wordnet\"\n\"path.id\" = \"dog.n.01\"\n";
/// So many of the last lines are told when something is wrong.
const TOLD: usize = 60;

/// What a run of schemathesis said.
struct Said {
    is_well: bool,
    /// The line that counts its requests.
    summary: String,
    last: String,
    seconds: f64,
}

fn ask(scene: &Scene<'_>, python: &Path, server: &Server, settings: &Path) -> Result<Said> {
    let began = Instant::now();
    let (key, examples) = (scene.options.key.to_string(), scene.options.examples.to_string());
    let mut schemathesis = Command::new(python);
    schemathesis.args(["-m", "schemathesis.cli", "--no-color", "--config-file"]).arg(settings);
    schemathesis.args(["run", &format!("http://{}/openapi.json", server.address), "--checks", "all"]);
    schemathesis.args(["--seed", &key, "--max-examples", &examples, "--generation-database", "none"]);
    schemathesis.args(["--continue-on-failure", "--warnings", "off", "--workers", "1"]);
    let place = settings.parent().context("a file lies in a directory")?;
    let output = schemathesis.current_dir(place).output().context("could not run schemathesis")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    let summary = lines.iter().find(|line| line.contains(" generated")).map(|line| line.trim().to_owned());
    Ok(Said {
        is_well: output.status.success() && summary.is_some(),
        summary: summary.unwrap_or_default(),
        last: lines[lines.len().saturating_sub(TOLD)..].join("\n"),
        seconds: began.elapsed().as_secs_f64(),
    })
}

/// The server against its description.
///
/// # Errors
/// When there is no Python, schemathesis cannot be installed, or the server does not start.
pub(super) fn run(report: &mut Report, scene: &Scene<'_>) -> Result<()> {
    let python = venv::python(venv::DESCRIBED, scene.options.venv.as_deref())?;
    let store = scene.stores.of(Known::WordNet)?;
    let place = tempfile::tempdir().context("could not make a temporary directory")?;
    let server =
        Server::start(&scene.program, &[format!("wordnet={}", store.display()), "--timeout".into(), "1".into()])?;
    for (case, text) in [("any names", ""), ("names that exist", NAMES)] {
        let settings = place.path().join("schemathesis.toml");
        std::fs::write(&settings, format!("{text}{ALLOWED}")).context("could not write settings")?;
        let Said { is_well, summary, last, seconds } = ask(scene, &python, &server, &settings)?;
        report.figure(Figure::single(format!("schemathesis, {case}"), "took", "s", seconds));
        let evidence = if is_well { format!("{case}: {summary}") } else { format!("{case}:\n{last}") };
        report.check("the server does what its description says", is_well, evidence);
    }
    let complaints = server.complaints();
    report.check("the server complains of nothing", complaints.is_empty(), complaints.join("; "));
    server.stop()?;
    Ok(())
}
