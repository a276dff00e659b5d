//! Keeps: **the README's commands work as they stand, and print what it says they print.**

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;
use walkprint_tests::program::{Ended, path, run};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace").to_owned()
}

fn readme() -> String {
    std::fs::read_to_string(root().join("README.md")).expect("a README")
}

/// The fenced blocks of a language, in order.
fn blocks(language: &str) -> Vec<String> {
    let readme = readme();
    let mut found = Vec::new();
    let mut lines = readme.lines();
    while let Some(line) = lines.next() {
        if let Some(fenced) = line.strip_prefix("```") {
            let block: Vec<&str> = lines.by_ref().take_while(|line| !line.starts_with("```")).collect();
            if fenced == language {
                found.push(block.join("\n"));
            }
        }
    }
    found
}

/// Commands that this test does not run: they are the tests themselves, or measure for minutes.
const NOT_RUN: [&str; 2] = ["cargo test --release --workspace", "cargo run --release --bin walkprint-bench -- "];
/// How a user without the program on the path starts it.
const FROM_SOURCE: &str = "cargo run --release --bin walkprint -- ";

/// All commands that are run, in order, in one directory in which the repository's folders are found.
struct Session {
    _directory: TempDir,
    transcript: String,
}

fn session() -> &'static Session {
    static SESSION: OnceLock<Session> = OnceLock::new();
    SESSION.get_or_init(|| {
        let directory = tempfile::tempdir().expect("a temporary directory");
        std::os::unix::fs::symlink(root().join("cluster"), directory.path().join("cluster")).expect("a link");
        let programs = path().parent().expect("a program lies in a directory");
        let search = std::env::var_os("PATH").unwrap_or_default();
        let search = std::env::join_paths([programs.to_owned()].into_iter().chain(std::env::split_paths(&search)));
        let search = search.expect("a path without colons");
        let mut transcript = String::new();
        for command in blocks("sh").iter().flat_map(|block| block.lines()).filter(|line| !line.is_empty()) {
            if NOT_RUN.iter().any(|known| command.starts_with(known)) {
                continue;
            }
            let command = command.replacen(FROM_SOURCE, "walkprint ", 1);
            assert!(
                command.starts_with("walkprint ") || command.starts_with("printf "),
                "the README has a command that this test does not know: {command}"
            );
            let mut shell = Command::new("sh");
            shell.args(["-c", &command]).current_dir(directory.path()).env("PATH", &search);
            shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let ended = Ended::wait(shell.spawn().expect("a shell"));
            assert!(ended.code == Some(0) && ended.stderr.is_empty(), "{command}: {ended:?}");
            transcript += &ended.stdout;
        }
        Session { _directory: directory, transcript }
    })
}

#[test]
fn every_command_works() {
    assert!(session().transcript.contains("dog.n.01"));
}

/// Every row of results that the README shows is printed just so: walks are a function of graph and plan.
#[test]
fn results_are_as_shown() {
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let printed: BTreeSet<Vec<String>> = session().transcript.lines().map(words).collect();
    let is_row = |row: &Vec<String>| 3 <= row.len() && row[0].parse::<u32>().is_ok() && row[1].parse::<f64>().is_ok();
    let shown: Vec<Vec<String>> =
        blocks("text").iter().flat_map(|block| block.lines().map(words).collect::<Vec<_>>()).filter(is_row).collect();
    assert!(4 <= shown.len(), "the README shows no results");
    for row in shown {
        assert!(printed.contains(&row), "the README shows {row:?}, which no command prints");
    }
}

/// The first line of the counts, without times.
#[test]
fn counts_are_as_shown() {
    let numbers = |line: &str| {
        let words = line.split_whitespace().map(|word| word.trim_end_matches(','));
        words
            .filter(|word| word.contains(',') && word.starts_with(|c: char| c.is_ascii_digit()))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    for block in blocks("text") {
        for line in block.lines().filter(|line| line.starts_with("loaded ") || line.starts_with("indexed ")) {
            let begins = line.split_whitespace().next().expect("a line with words");
            let printed = session().transcript.lines().find(|line| line.starts_with(begins)).expect("such a line");
            assert!(!numbers(line).is_empty());
            assert_eq!(numbers(line), numbers(printed), "the README shows {line:?}");
        }
    }
}

/// Every option, command and method that the README names in passing exists.
#[test]
fn every_option_named_exists() {
    let directory = tempfile::tempdir().unwrap();
    let overview = run(directory.path(), &["--help"]).done();
    let commands: Vec<&str> = overview
        .lines()
        .skip_while(|line| !line.starts_with("Commands:"))
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' '))?.split(' ').next())
        .collect();
    assert!(commands.contains(&"query") && commands.contains(&"quickstart"), "{commands:?}");
    let help = commands.iter().filter(|command| **command != "help");
    let help: String = help.map(|command| run(directory.path(), &[command, "--help"]).done()).collect();
    let measured = ["recommend", "retrieve", "senses"];
    let measured: String =
        measured.iter().map(|what| run(directory.path(), &["evaluate", what, "--help"]).done()).collect();
    let help = format!("{overview}{help}{measured} --alpha ");
    let is_option_letter = |letter: char| letter.is_ascii_lowercase() || letter == '-';
    let known = |option: &str| {
        help.match_indices(option).any(|(at, _)| !help[at + option.len()..].starts_with(is_option_letter))
    };
    let text = readme();
    let outside_blocks: String = text.split("```").step_by(2).collect();
    let mut seen = 0;
    for quoted in outside_blocks.split('`').skip(1).step_by(2) {
        if let Some(rest) = quoted.strip_prefix("walkprint ") {
            let command = rest.split(' ').next().unwrap_or("");
            assert!(commands.contains(&command), "the README names `{quoted}`");
            seen += 1;
        }
        if quoted.starts_with("cargo ") {
            continue;
        }
        for option in quoted.split(' ').filter(|word| word.starts_with("--")) {
            let option = option.split(['=', ',']).next().unwrap_or(option);
            assert!(known(option), "the README names {option}, which no command takes");
            seen += 1;
        }
    }
    assert!(10 <= seen, "{seen} options were found");
}
