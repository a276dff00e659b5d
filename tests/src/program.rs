//! The `walkprint` program as a user runs it: a process with arguments, an exit code and two streams.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The longest that anything here waits for a process to get somewhere: far more than it needs.
const PATIENCE: Duration = Duration::from_secs(300);

/// Where the program lies. Cargo builds it first (in the profile of the running test), which takes no time when it is as
/// new as its sources.
///
/// # Panics
/// When it cannot be built.
pub fn path() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let test = std::env::current_exe().expect("the path of the running test");
        // target/PROFILE/deps/test-0123456789abcdef
        let profile_directory = test.ancestors().nth(2).expect("tests lie two levels inside the profile's directory");
        let profile = profile_directory.file_name().and_then(OsStr::to_str).expect("the profile's name");
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        // What cargo says to a running test, a build script may take for its own (that of ring does), and build everything anew.
        let says =
            |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") || name == "OUT_DIR";
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(says)) {
            build.env_remove(name);
        }
        let built = build
            // With a test beside it the program is built of what the tests were built of; alone, dependencies that tests share
            // with it have fewer features, and nearly everything is compiled once more.
            .args(["build", "--quiet", "--workspace", "--bin", "walkprint", "--test", "architecture", "--profile"])
            .arg(if profile == "debug" { "dev" } else { profile })
            .arg("--target-dir")
            .arg(profile_directory.parent().expect("a profile's directory lies in the target directory"))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status();
        assert!(built.expect("cargo can be started").success(), "walkprint could not be built");
        let program = profile_directory.join("walkprint");
        assert!(program.exists(), "{}", program.display());
        program
    })
}

/// How a process ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Ended {
    /// Waits for a process whose streams are piped.
    ///
    /// # Panics
    /// When its streams cannot be read.
    #[must_use]
    pub fn wait(child: Child) -> Ended {
        let output = child.wait_with_output().expect("a child's streams");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program writes UTF-8");
        Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// Standard output of a process that ended well.
    ///
    /// # Panics
    /// When it ended otherwise.
    #[must_use]
    pub fn done(self) -> String {
        assert!(self.code == Some(0), "{self:?}");
        self.stdout
    }

    /// Checks that the program refused: exit code 2, nothing on standard output, and all of these words in the message;
    /// the message is one line and no panic.
    ///
    /// # Panics
    /// When it did not.
    pub fn refused(&self, words: &[&str]) {
        assert!(self.code == Some(2) && self.stdout.is_empty(), "{self:?}");
        assert!(!self.stderr.contains("panicked") && !self.stderr.contains("internal error"), "{self:?}");
        for word in words {
            assert!(self.stderr.contains(word), "no {word:?} in {self:?}");
        }
        let usage = self.stderr.starts_with("error: "); // clap's, which explains itself over several lines
        assert!(usage || self.stderr.starts_with("walkprint: ") && self.stderr.lines().count() == 1, "{self:?}");
    }
}

/// A command that runs the program in a directory, its streams piped.
#[must_use]
pub fn command(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(path());
    command.args(arguments).current_dir(directory);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs the program to its end.
///
/// # Panics
/// When it cannot be started.
#[must_use]
pub fn run(directory: &Path, arguments: &[&str]) -> Ended {
    Ended::wait(command(directory, arguments).spawn().expect("the program starts"))
}

/// The results of a query in JSON, without the time that it took.
///
/// # Panics
/// When the program does not answer.
#[must_use]
pub fn results(directory: &Path, query: &[&str]) -> serde_json::Value {
    let text = run(directory, &[&["query"], query, &["--json"]].concat()).done();
    let answer: serde_json::Value = serde_json::from_str(&text).expect("an answer in JSON");
    assert!(answer["results"].is_array(), "{text}");
    answer["results"].clone()
}

/// Runs the program when it may not write more than this many blocks of 512 bytes to a file: what a full disk does,
/// without a disk to fill. The arguments must have no need of quotes.
///
/// # Panics
/// When it cannot be started.
#[must_use]
pub fn with_full_disk(place: &Path, blocks: u32, arguments: &str) -> Ended {
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec {} {arguments}", path().display());
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]).current_dir(place).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Ended::wait(shell.spawn().expect("a shell"))
}

/// Waits until something is true of a running process. Returns false when the process ended first.
///
/// # Panics
/// When it takes for ever.
pub fn wait_until(child: &mut Child, mut condition: impl FnMut() -> bool) -> bool {
    let began = Instant::now();
    loop {
        if condition() {
            return true;
        }
        if child.try_wait().expect("the state of a child").is_some() {
            return condition();
        }
        assert!(began.elapsed() < PATIENCE, "the program does not get there");
        std::thread::park_timeout(Duration::from_micros(500)); // asks again soon, without keeping a processor busy
    }
}

/// Sends a signal, by its name without `SIG`, to a running process.
///
/// # Panics
/// When there is no such process.
pub fn signal(child: &Child, name: &str) {
    let kill = Command::new("sh").args(["-c", &format!("kill -{name} {}", child.id())]).status();
    assert!(kill.expect("a shell").success(), "the process had ended");
}
