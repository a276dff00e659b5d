//! Keeps the shape of the repository that ARCHITECTURE.md describes: which crate may know which, in which order the
//! engine's modules build on one another, and that every path and test which documents name exists. (DESIGN, section 3.)

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A crate's folder, and the crates of the workspace it may know.
const ARROWS: [(&str, &[&str]); 6] = [
    ("engine", &[]),
    ("walkers", &["engine"]),
    ("loaders", &["engine"]),
    ("cluster", &["engine", "walkers", "loaders"]),
    ("bench", &["engine", "walkers", "loaders", "cluster"]),
    ("tests", &["engine", "walkers", "loaders", "cluster"]),
];

/// Crates that only some folders may depend on, by the beginning of their names.
const RESERVED: [(&str, &[&str]); 9] = [
    ("timely", &["cluster"]),
    ("differential", &["cluster"]),
    ("signal-hook", &["cluster"]),
    ("axum", &["cluster"]),
    ("tokio", &["cluster", "bench"]),
    ("memmap2", &["engine"]),
    ("rand", &["walkers", "bench"]),
    ("rayon", &["cluster"]),
    ("anyhow", &["cluster", "bench"]),
];

const NAMES_THAT_SAY_NOTHING: [&str; 8] = ["util", "utils", "common", "core", "types", "prelude", "helpers", "misc"];
const MOST_LINES: usize = 800;
const MOST_BYTES: u64 = 3_000_000;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace").to_owned()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The files that belong to the repository, by their path in it: tracked ones, and new ones that are not ignored.
fn files() -> Vec<String> {
    let arguments = ["ls-files", "--cached", "--others", "--exclude-standard"];
    let listed = Command::new("git").args(arguments).current_dir(root()).output().expect("git lists the files");
    assert!(listed.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listed.stderr));
    let text = String::from_utf8(listed.stdout).expect("names are plain text");
    let found: Vec<String> = text.lines().filter(|file| root().join(file).is_file()).map(str::to_owned).collect();
    assert!(found.iter().any(|path| path == "tests/tests/architecture.rs"), "{found:?}");
    found
}

fn sources() -> impl Iterator<Item = String> {
    files().into_iter().filter(|path| path.ends_with(".rs"))
}

/// A source file without comments and without its tests, which may reach wider.
fn code(path: &str) -> String {
    let text = read(path);
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or("");
    text.lines().map(|line| line.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n")
}

/// The code of the engine, by path inside `engine/src`.
fn engine() -> impl Iterator<Item = (String, String)> {
    let inside = sources().filter_map(|path| path.strip_prefix("engine/src/").map(str::to_owned));
    inside.filter(|path| !path.contains("tests")).map(|path| {
        let code = code(&format!("engine/src/{path}"));
        (path, code)
    })
}

/// Everything that a crate depends on, in any section of its manifest.
fn dependencies(folder: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut listing = false;
    for line in read(&format!("{folder}/Cargo.toml")).lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            listing = section.ends_with("dependencies");
        } else if let Some((key, _)) = line.split_once('=').filter(|_| listing) {
            found.insert(key.trim().trim_end_matches(".workspace").to_owned());
        }
    }
    assert!(!found.is_empty(), "{folder}: no dependency was read");
    found
}

#[test]
fn crates_know_only_what_they_may() {
    let workspace = read("Cargo.toml");
    let members = workspace.lines().find_map(|line| line.strip_prefix("members = ")).expect("a list of members");
    let members: BTreeSet<&str> = members.split('"').skip(1).step_by(2).collect();
    assert_eq!(members, ARROWS.iter().map(|(folder, _)| *folder).collect());
    for (folder, allowed) in ARROWS {
        let name = format!("name = \"walkprint-{folder}\"");
        assert!(read(&format!("{folder}/Cargo.toml")).contains(&name), "{folder}: the package's name");
        for name in dependencies(folder) {
            if let Some(known) = name.strip_prefix("walkprint-") {
                assert!(allowed.contains(&known), "{folder} must not know {known}");
            }
            for (reserved, owners) in RESERVED {
                assert!(!name.starts_with(reserved) || owners.contains(&folder), "{folder} must not depend on {name}");
            }
        }
    }
}

#[test]
fn the_engine_has_no_thread_socket_clock_or_random_number() {
    let forbidden = [
        "std::thread",
        "std::net",
        "os::unix::net",
        "std::time",
        "Instant",
        "SystemTime",
        "rand::",
        "rand_",
        "RandomState",
    ];
    for (path, code) in engine() {
        for word in forbidden {
            assert!(!code.contains(word), "engine/src/{path}: {word}");
        }
    }
}

/// The modules of the engine in the order of its `lib.rs`.
fn engine_modules() -> Vec<String> {
    let lib = code("engine/src/lib.rs");
    let modules = lib.lines().filter_map(|line| line.trim().trim_start_matches("pub ").strip_prefix("mod "));
    modules.map(|name| name.trim_end_matches(';').to_owned()).collect()
}

/// Which modules of the engine each module names.
fn engine_uses() -> BTreeMap<String, BTreeSet<String>> {
    let modules = engine_modules();
    let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, code) in engine().filter(|(path, _)| path != "lib.rs") {
        let module = path.split(['/', '.']).next().expect("a path has a first part");
        assert!(modules.iter().any(|known| known == module), "engine/src/{path} is not in lib.rs");
        let used = uses.entry(module.to_owned()).or_default();
        for (at, _) in code.match_indices("crate::") {
            let rest = &code[at + "crate::".len()..];
            let names: Vec<&str> = match rest.strip_prefix('{') {
                // `use crate::{a::B, c::D}`: every word counts, which errs on the strict side.
                Some(group) => group[..group.find(';').unwrap_or(group.len())].split(|c: char| !is_word(c)).collect(),
                None => vec![&rest[..rest.find(|c| !is_word(c)).unwrap_or(rest.len())]],
            };
            used.extend(names.into_iter().filter(|name| modules.iter().any(|known| known == name)).map(str::to_owned));
        }
        used.remove(module);
    }
    uses
}

fn is_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

#[test]
fn modules_of_the_engine_build_on_those_above_them() {
    let modules = engine_modules();
    let uses = engine_uses();
    assert!(uses.values().map(BTreeSet::len).sum::<usize>() > modules.len(), "{uses:?}");
    let place = |name: &str| modules.iter().position(|module| module == name);
    for (module, used) in &uses {
        for other in used {
            assert!(place(other) < place(module), "engine::{module} uses engine::{other}, which comes after it");
        }
        let both = used.contains("graph") && used.contains("index");
        assert!(!both || matches!(module.as_str(), "store" | "query"), "engine::{module} sees graph and index");
    }
    assert!(!uses["graph"].contains("index") && !uses["index"].contains("graph"), "graph and index know each other");
    assert!(uses["query"].is_superset(&["graph", "index"].map(str::to_owned).into()), "{uses:?}");
}

#[test]
fn module_names_say_something() {
    for path in sources() {
        let parts = path.trim_end_matches(".rs").split('/').map(str::to_owned);
        let code = code(&path);
        let inline = code.lines().filter_map(|line| {
            let line = line.trim().trim_start_matches("pub(crate) ").trim_start_matches("pub ");
            line.strip_prefix("mod ").map(|name| name.trim_end_matches([';', '{', ' ']).to_owned())
        });
        for name in parts.chain(inline) {
            assert!(!NAMES_THAT_SAY_NOTHING.contains(&name.as_str()), "{path}: {name}");
        }
    }
}

#[test]
fn files_have_a_readable_size() {
    for path in sources() {
        let lines = read(&path).lines().count();
        assert!(lines <= MOST_LINES, "{path}: {lines} lines");
    }
    for path in files() {
        let bytes = std::fs::metadata(root().join(&path)).expect("a file of the repository").len();
        assert!(bytes <= MOST_BYTES, "{path}: {bytes} bytes");
    }
}

#[test]
fn no_file_names_a_path_of_one_machine() {
    // Put together here, so that this file does not name them.
    let homes = ["home", "root", "Users", "work", "tmp"].map(|top| format!("/{top}/"));
    for path in files() {
        let Ok(text) = String::from_utf8(std::fs::read(root().join(&path)).expect("a file of the repository")) else {
            continue; // binary
        };
        for (number, line) in text.lines().enumerate() {
            for home in &homes {
                let absolute = line.match_indices(home.as_str()).any(|(at, _)| {
                    // Not the middle of a longer path or address.
                    let before = line[..at].chars().next_back();
                    before.is_none_or(|before| !is_word(before) && !matches!(before, '.' | '-' | '/' | '}' | ')' | '~'))
                });
                assert!(!absolute, "{path}:{}: {line}", number + 1);
            }
        }
    }
}

/// What stands between backticks in a text, outside of fenced blocks.
fn quoted(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            found.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    found
}

/// True for what can only be meant as a path: words with a slash between them, or a name with a source's extension.
fn is_path(quoted: &str) -> bool {
    let plain = quoted.chars().all(|c| is_word(c) || matches!(c, '/' | '.' | '-' | '+'));
    let name = quoted.rsplit('/').next().unwrap_or("");
    let source = [".rs", ".md", ".toml", ".py", ".sh"].iter().any(|end| name.len() > end.len() && name.ends_with(end));
    plain && !quoted.starts_with('/') && (source || quoted.contains('/'))
}

/// The targets of a Markdown text's links inside the repository.
fn links(text: &str) -> Vec<String> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let inside = targets.filter(|target| !target.contains("://") && !target.starts_with(['#', '<']));
    inside.map(|target| target.split('#').next().unwrap_or("").to_owned()).collect()
}

#[test]
fn every_path_in_markdown_exists() {
    let all = files();
    for required in ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE", ".ci/run"] {
        assert!(all.iter().any(|path| path == required), "{required} is missing");
    }
    let mut checked = 0;
    for document in all.iter().filter(|path| path.ends_with(".md")) {
        let text = read(document);
        let beside = root().join(document).parent().expect("a file lies in a directory").to_owned();
        for path in quoted(&text).into_iter().filter(|text| is_path(text)) {
            assert!(root().join(&path).exists() || beside.join(&path).exists(), "{document}: no {path}");
            checked += 1;
        }
        for target in links(&text) {
            assert!(beside.join(&target).exists(), "{document}: a link to {target}, which is not there");
            checked += 1;
        }
    }
    assert!(20 <= checked, "only {checked} paths were found");
}

/// Files and tests that the sources' own documentation names, as in "(Test: `tests/tests/store.rs`.)".
#[test]
fn every_test_that_the_sources_name_exists() {
    let (mut files_named, mut tests_named) = (0, 0);
    for path in sources() {
        let folder = path.split('/').next().expect("a path has a first part").to_owned();
        let text = read(&path);
        let comments = text.lines().map(str::trim_start).filter(|line| line.starts_with("//"));
        let comments = comments.map(|line| line.trim_start_matches(['/', '!', ' '])).collect::<Vec<_>>().join("\n");
        for name in quoted(&comments).into_iter().filter(|text| is_path(text) && text.contains('/')) {
            let bases = [root(), root().join(&folder)];
            assert!(bases.iter().any(|base| base.join(&name).exists()), "{path}: no {name}");
            files_named += 1;
        }
        let flowing = comments.replace('\n', " ");
        for marker in ["(Test: ", "(Kept by "] {
            for claim in flowing.split(marker).skip(1) {
                let claim = claim.split(')').next().unwrap_or("");
                for name in quoted(claim).into_iter().filter(|text| !text.contains(['/', '.'])) {
                    assert!(names_a_test(&folder, &name), "{path}: no test {name} in {folder}");
                    tests_named += 1;
                }
            }
        }
    }
    assert!(5 <= files_named && 5 <= tests_named, "{files_named} files, {tests_named} tests");
}

/// Whether a crate has a test module or a test function of this path. Of a function the last part is looked up.
fn names_a_test(folder: &str, name: &str) -> bool {
    let mut of_crate = sources().filter(|path| path.starts_with(&format!("{folder}/")));
    let module = name.replace("::", "/");
    let last = name.rsplit("::").next().expect("there is a last part");
    of_crate.any(|path| {
        let place = path.trim_end_matches(".rs").trim_end_matches("/mod");
        let text = read(&path);
        let inline = module.strip_suffix("/tests").is_some_and(|outer| place.ends_with(&format!("src/{outer}")));
        place.ends_with(&format!("src/{module}"))
            || inline && text.contains("\nmod tests {")
            || text.contains(&format!("fn {last}("))
    })
}

#[test]
fn documents_name_the_rust_version_of_the_workspace() {
    let workspace = read("Cargo.toml");
    let version = workspace.lines().find_map(|line| line.strip_prefix("rust-version = ")).expect("a rust-version");
    let version = version.trim_matches('"');
    for document in ["README.md", ".ci/run"] {
        assert!(read(document).contains(&format!("Rust {version} ")), "{document} does not say Rust {version}");
    }
}

#[test]
fn every_dependency_has_its_reason() {
    let architecture = read("ARCHITECTURE.md");
    let (_, reasons) = architecture.split_once("## Dependencies").expect("a section on dependencies");
    for (folder, _) in ARROWS {
        for name in dependencies(folder).into_iter().filter(|name| !name.starts_with("walkprint-")) {
            let stated = reasons.split(|c: char| !is_word(c) && c != '-').any(|word| word == name);
            assert!(stated, "ARCHITECTURE.md gives no reason for {name} ({folder})");
        }
    }
}
