//! How this program asks systems that run in processes of their own: one line of JSON a request, one a reply.
//!
//! A process announces itself ([`Ready`]) once it holds the graph, then answers [`Request`]s until its input ends. It
//! times its own work, so that neither pipes nor the writing of score vectors count. Peers in Python (`bench/peers`) and
//! Walkprint itself ([`crate::answer_worker`]) speak the same: each has its own memory, and each waits while another
//! works.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

/// Lines of a process's stderr that are kept for an error message.
const LAST_LINES: usize = 8;

/// A question: seeds and their weights, which sum to 1.
pub(crate) type AskedSeeds = Vec<(u32, f64)>;

/// What a process says of itself when it is ready.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Ready {
    /// The package that answers.
    pub(crate) system: String,
    /// Its version.
    pub(crate) version: String,
    /// What it runs on.
    pub(crate) platform: String,
    /// From the graph's arrays to the system's own form of the graph.
    pub(crate) construction_seconds: f64,
    /// Resident memory once the graph is held.
    pub(crate) resident_kib: Option<u64>,
}

/// Questions to be answered one after the other.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) restart_prob: f64,
    pub(crate) setting: Setting,
    pub(crate) questions: Vec<AskedSeeds>,
    /// A directory to which the scores of all nodes are written, question I to `I.f64`, little-endian.
    pub(crate) scores: Option<String>,
}

/// How to answer: a method by its name in the system that is asked, and how far to go.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Setting {
    pub(crate) method: String,
    /// L1 error that should be reached, as far as the system can be told.
    pub(crate) tolerance: f64,
    /// Questions that are answered at once.
    pub(crate) lanes: usize,
    /// For Walkprint's `combine`: the L1 error to aim at; its default where there is none.
    pub(crate) precision: Option<f64>,
    /// How many results are ranked, by systems that rank.
    pub(crate) top: usize,
}

/// What a process took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Reply {
    /// It answered.
    Done {
        /// One entry a question.
        seconds: Vec<f64>,
        /// The most resident memory during this request.
        peak_kib: Option<u64>,
    },
    /// It could not.
    Failed {
        /// Why.
        error: String,
    },
}

/// A process that was started and is ready. It ends when this is dropped.
pub(crate) struct Process {
    name: String,
    child: Child,
    /// `None` once the process is to end.
    requests: Option<BufWriter<ChildStdin>>,
    replies: BufReader<ChildStdout>,
    complaints: Arc<Mutex<VecDeque<String>>>,
    listener: Option<JoinHandle<()>>,
    ready: Ready,
}

impl Process {
    /// Starts a process and waits until it holds the graph.
    ///
    /// # Errors
    /// When it does not start, or ends before it is ready: with the last lines of what it complained about.
    pub(crate) fn start(name: &str, mut command: Command) -> Result<Process> {
        for threads in ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"] {
            command.env(threads, "1");
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("could not start a process for {name}"))?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let stderr = child.stderr.take().context("stderr is piped")?;
        let complaints = Arc::new(Mutex::new(VecDeque::new()));
        let heard = Arc::clone(&complaints);
        // Somebody must read it, or a talkative process would wait for ever.
        let listener = std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let mut heard = heard.lock().expect("nobody panics while holding it");
                heard.push_back(line);
                if LAST_LINES < heard.len() {
                    heard.pop_front();
                }
            }
        });
        let ready = Ready {
            system: String::new(),
            version: String::new(),
            platform: String::new(),
            construction_seconds: 0.0,
            resident_kib: None,
        };
        let mut process = Process {
            name: name.to_owned(),
            child,
            requests: Some(BufWriter::new(stdin.context("stdin is piped")?)),
            replies: BufReader::new(stdout.context("stdout is piped")?),
            complaints,
            listener: Some(listener),
            ready,
        };
        process.ready = process.read()?;
        Ok(process)
    }

    /// What it said of itself.
    pub(crate) fn ready(&self) -> &Ready {
        &self.ready
    }

    /// Asks and waits. Returns the seconds of each question, and the most resident memory meanwhile, in KiB.
    ///
    /// # Errors
    /// When the process cannot answer, has ended, or does not answer every question.
    pub(crate) fn ask(&mut self, request: &Request) -> Result<(Vec<f64>, Option<u64>)> {
        let line = serde_json::to_string(request)?;
        let requests = self.requests.as_mut().context("the process is to end")?;
        if writeln!(requests, "{line}").and_then(|()| requests.flush()).is_err() {
            return Err(self.ended());
        }
        match self.read()? {
            Reply::Failed { error } => bail!("{} could not answer: {error}", self.name),
            Reply::Done { seconds, .. } if seconds.len() != request.questions.len() => {
                let (expected, got) = (request.questions.len(), seconds.len());
                bail!("{} was asked {expected} questions and answered {got}", self.name)
            }
            Reply::Done { seconds, .. } if seconds.iter().any(|seconds| !(0.0 < *seconds && seconds.is_finite())) => {
                bail!("{} says that an answer took no time, or no number: {seconds:?}", self.name)
            }
            Reply::Done { seconds, peak_kib } => Ok((seconds, peak_kib)),
        }
    }

    fn read<T: for<'de> Deserialize<'de>>(&mut self) -> Result<T> {
        let mut line = String::new();
        if self.replies.read_line(&mut line).unwrap_or(0) == 0 {
            return Err(self.ended());
        }
        let what = || format!("{} wrote something else than a reply: {:?}", self.name, line.trim_end());
        serde_json::from_str(&line).with_context(what)
    }

    /// The error that says how the process ended.
    fn ended(&mut self) -> anyhow::Error {
        self.requests = None;
        let status = self.child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
        if let Some(listener) = self.listener.take() {
            // It cannot panic, and its pipe has ended with the process.
            drop(listener.join());
        }
        let complaints = self.complaints.lock().expect("nobody panics while holding it");
        let lines: Vec<&str> = complaints.iter().map(String::as_str).collect();
        anyhow::anyhow!("{} ended ({status}): {}", self.name, lines.join("\n"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.requests = None;
        // A process that hangs in a call would not see the end of its input; nothing it does matters any more.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Reads the scores that a process wrote: one number a node.
///
/// # Errors
/// When the file is not there or not `nodes` numbers long, or holds something that is no score.
pub(crate) fn read_scores(directory: &Path, question: usize, nodes: usize) -> Result<Vec<f64>> {
    let path = directory.join(format!("{question}.f64"));
    let bytes = std::fs::read(&path).with_context(|| format!("{}: could not read", path.display()))?;
    let scores: Vec<f64> = bytes.as_chunks().0.iter().map(|&chunk| f64::from_le_bytes(chunk)).collect();
    if bytes.len() != 8 * nodes {
        bail!("{}: expected {nodes} scores, got {} bytes", path.display(), bytes.len());
    }
    if let Some((node, score)) = scores.iter().enumerate().find(|(_, score)| !score.is_finite()) {
        bail!("{}: node {node} has score {score}", path.display());
    }
    Ok(scores)
}

#[cfg(test)]
mod tests {
    use super::*;

    const READY: &str =
        r#"{"system":"fake","version":"1","platform":"sh","construction_seconds":0.5,"resident_kib":7}"#;

    /// A peer that is a shell script.
    fn fake(script: &str) -> Result<Process> {
        let mut command = Command::new("sh");
        command.arg("-c").arg(script);
        Process::start("the fake", command)
    }

    fn request(questions: usize) -> Request {
        let setting = Setting { method: "guess".to_owned(), tolerance: 0.5, lanes: 1, precision: None, top: 10 };
        Request { restart_prob: 0.15, setting, questions: vec![vec![(3, 1.0)]; questions], scores: None }
    }

    #[test]
    fn a_process_announces_itself_and_answers_line_by_line() {
        // It answers only when the request holds what it should.
        let wanted = r#""questions":[[[3,1.0]],[[3,1.0]]]"#;
        let script = format!(
            "echo '{READY}'; while read -r line; do case \"$line\" in *'{wanted}'*) \
             echo '{{\"seconds\":[0.25,0.5],\"peak_kib\":9}}';; *) echo '{{\"error\":\"odd\"}}';; esac; done"
        );
        let mut process = fake(&script).unwrap();
        assert_eq!((process.ready().system.as_str(), process.ready().resident_kib), ("fake", Some(7)));
        for _ in 0..3 {
            assert_eq!(process.ask(&request(2)).unwrap(), (vec![0.25, 0.5], Some(9)));
        }
        assert_eq!(process.ask(&request(1)).unwrap_err().to_string(), "the fake could not answer: odd");
        assert_eq!(process.ask(&request(2)).unwrap().0.len(), 2, "it goes on after an error");
    }

    #[test]
    fn a_process_that_dies_is_reported_with_what_it_said_last() {
        let message = |result: Result<Process>| result.map(|_| ()).unwrap_err().to_string();
        let early = message(fake("echo 'no module named fake' >&2; exit 3"));
        assert!(early.contains("the fake ended") && early.contains("no module named fake"), "{early}");
        let mut process = fake(&format!("echo '{READY}'; read line; echo 'out of memory' >&2; exit 9")).unwrap();
        let late = process.ask(&request(1)).unwrap_err().to_string();
        assert!(late.contains('9') && late.contains("out of memory"), "{late}");
    }

    #[test]
    fn replies_that_are_none_are_refused() {
        for (reply, word) in [
            ("hello", "something else"),
            (r#"{"seconds":[1.0],"peak_kib":null}"#, "answered 1"),
            (r#"{"seconds":[1.0,0.0],"peak_kib":null}"#, "no time"),
        ] {
            let mut process = fake(&format!("echo '{READY}'; read line; echo '{reply}'; read line")).unwrap();
            let error = format!("{:#}", process.ask(&request(2)).unwrap_err());
            assert!(error.contains(word), "{reply}: {error}");
        }
    }

    #[test]
    fn scores_are_read_back_and_counted() {
        let directory = tempfile::tempdir().unwrap();
        let write = |scores: &[f64]| {
            let bytes: Vec<u8> = scores.iter().flat_map(|score| score.to_le_bytes()).collect();
            std::fs::write(directory.path().join("4.f64"), bytes).unwrap();
        };
        write(&[0.5, 0.25]);
        assert_eq!(read_scores(directory.path(), 4, 2).unwrap(), [0.5, 0.25]);
        assert!(read_scores(directory.path(), 4, 3).unwrap_err().to_string().contains("expected 3"));
        assert!(read_scores(directory.path(), 5, 2).is_err());
        write(&[0.5, f64::NAN]);
        assert!(read_scores(directory.path(), 4, 2).unwrap_err().to_string().contains("node 1"));
    }
}
