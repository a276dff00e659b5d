//! Python environments of this program's own, with pinned versions: the libraries that Walkprint is compared with, and what asks a
//! server whatever its description allows.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// What an environment is for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Purpose {
    /// The environment's name in the user's cache.
    name: &'static str,
    /// Exact versions, so that two runs do the same.
    requirements: &'static str,
}

/// The libraries that Walkprint is compared with.
pub(crate) const PEERS: Purpose = Purpose { name: "venv", requirements: include_str!("../peers/requirements.txt") };
/// What asks a server by its description.
pub(crate) const DESCRIBED: Purpose =
    Purpose { name: "venv-described", requirements: include_str!("serve/requirements.txt") };

/// The file in an environment that says which requirements it meets.
const MET: &str = "walkprint-bench-requirements.txt";

/// The Python of an environment that meets the requirements: makes it where it is not there yet.
///
/// # Errors
/// When there is no python3, it cannot make environments, or the packages cannot be fetched or installed.
pub(crate) fn python(purpose: Purpose, directory: Option<&Path>) -> Result<PathBuf> {
    let Purpose { name, requirements } = purpose;
    let directory = directory.map_or_else(|| default_directory(name), |directory| Ok(directory.to_owned()))?;
    let python = directory.join("bin").join("python");
    let met = directory.join(MET);
    if python.exists() && std::fs::read_to_string(&met).is_ok_and(|met| met == requirements) {
        return Ok(python);
    }
    eprintln!("making a Python environment in {} (once)", directory.display());
    let mut make = Command::new("python3");
    make.args(["-m", "venv"]).arg(&directory);
    finish(make, "python3 could not make an environment; Debian and Ubuntu have `venv` in the package python3-venv")?;
    let wanted = directory.join("requirements.txt");
    std::fs::write(&wanted, requirements).with_context(|| format!("{}: could not write", wanted.display()))?;
    let mut install = Command::new(&python);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]).arg(&wanted);
    finish(install, "pip could not install what is needed; it needs the network once, and Python 3.11 or newer")?;
    std::fs::rename(&wanted, &met).with_context(|| format!("{}: could not rename", wanted.display()))?;
    Ok(python)
}

fn default_directory(name: &str) -> Result<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")));
    let cache =
        cache.context("neither XDG_CACHE_HOME nor HOME is set: say with --venv where Python packages may go")?;
    Ok(cache.join("walkprint-bench").join(name))
}

/// Runs a command to its end.
fn finish(mut command: Command, hint: &str) -> Result<()> {
    let output = match command.output() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            bail!("{} is not there: this runs in Python 3.11 or newer, install it first", program(&command))
        }
        output => output.with_context(|| format!("could not start {}", program(&command)))?,
    };
    if !output.status.success() {
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        let last: Vec<&str> = said.lines().rev().take(3).collect();
        bail!("{hint}: {}", last.into_iter().rev().collect::<Vec<_>>().join("\n"));
    }
    Ok(())
}

fn program(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_requirement_is_pinned() {
        assert!(5 <= PEERS.requirements.lines().count());
        for Purpose { requirements, .. } in [PEERS, DESCRIBED] {
            assert!(requirements.lines().all(|line| line.split("==").count() == 2), "{requirements}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let missing = finish(Command::new("no-such-python"), "").unwrap_err().to_string();
        assert!(missing.contains("no-such-python is not there") && missing.contains("install"), "{missing}");
        let mut failing = Command::new("sh");
        failing.args(["-c", "echo one; echo 'no network' >&2; exit 1"]);
        let failed = finish(failing, "could not install").unwrap_err().to_string();
        assert!(failed.starts_with("could not install: ") && failed.contains("no network"), "{failed}");
    }
}
