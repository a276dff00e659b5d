//! Keeps: **`walkprint watch` answers again when events or a new generation change the results, and then says what `walkprint query`
//! says**; it ends well on Ctrl-C, when nobody reads any more, and after as many answers as were wanted.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Child;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use walkprint_tests::program::{command, results, run, signal};

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(120);

/// A store of two rings that know nothing of each other.
fn rings() -> TempDir {
    let place = TempDir::new().unwrap();
    let ring = |name: char| {
        (0..9).map(move |at| format!("{name}{at},{name}{},1\n{name}{at},{name}{},2\n", (at + 1) % 9, (at + 3) % 9))
    };
    let csv = format!("source,target,weight\n{}", ring('a').chain(ring('b')).collect::<String>());
    std::fs::write(place.path().join("g.csv"), csv).unwrap();
    let _ = run(place.path(), &["load", "g.csv", "--into", "g.wp"]).done();
    let _ = run(place.path(), &["index", "g.wp", "--walks", "300"]).done();
    place
}

/// A program that watches, and its lines as they come.
struct Watching {
    child: Child,
    lines: Receiver<String>,
}

impl Watching {
    fn start(place: &Path, arguments: &[&str]) -> Watching {
        let mut child = command(place, &[&["watch", "g.wp", "--every", "0.02"], arguments].concat()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Watching { child, lines }
    }

    fn line(&self) -> Value {
        let line = self.lines.recv_timeout(PATIENCE).expect("another answer");
        serde_json::from_str(&line).unwrap()
    }

    /// Sends a signal, or none, and waits. What was printed and not read, and the exit code.
    fn ended(mut self, by: Option<&str>) -> (Vec<String>, Option<i32>) {
        if let Some(name) = by {
            signal(&self.child, name);
        }
        let code = self.child.wait().unwrap().code();
        (self.lines.iter().collect(), code)
    }
}

fn update(place: &Path, events: &str) {
    std::fs::write(place.join("e.jsonl"), events).unwrap();
    let _ = run(place, &["update", "g.wp", "--edges", "e.jsonl"]).done();
}

fn ids(of: &Value) -> Vec<&str> {
    of.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect()
}

#[test]
fn it_answers_again_when_the_results_change() {
    let place = rings();
    let place = place.path();
    let question = ["--seed", "a0", "--top", "4", "--method", "combine"];
    let asked = || results(place, &[&["g.wp"][..], &question].concat());
    let watching = Watching::start(place, &[&question[..], &["--json"]].concat());
    let first = watching.line();
    assert_eq!((ids(&first["entered"]).len(), ids(&first["left"]).len()), (4, 0), "{first}");
    assert_eq!((&first["results"], &first["events"]), (&asked(), &0.into()));

    // What happens in the other ring is none of its business.
    update(place, r#"{"source":"b0","target":"b5","weight":40}"#);
    update(place, r#"{"source":"a0","target":"new","weight":40}"#);
    let second = watching.line();
    assert_eq!(second["next_sequence"], 2, "{second}");
    assert_eq!((ids(&second["entered"]), ids(&second["left"]).len()), (vec!["new"], 1), "{second}");
    assert_eq!(second["results"], asked());

    let _ = run(place, &["compact", "g.wp"]).done();
    update(place, r#"{"op":"remove","source":"a0","target":"new"}"#);
    let mut third = watching.line();
    if third["next_sequence"] == 2 {
        // Walks that were made anew may have put others in order.
        third = watching.line();
    }
    assert_eq!((ids(&third["left"]), &third["events"]), (vec!["new"], &1.into()), "{third}");
    assert!(second["generation"].as_u64() < third["generation"].as_u64(), "{third}");
    assert_eq!(third["results"], asked());

    // Scores alone are no change of the results.
    update(place, r#"{"source":"a0","target":"a1","weight":0.001}"#);
    assert_eq!(watching.ended(Some("INT")), (Vec::new(), Some(0)));
}

#[test]
fn scores_count_where_that_is_wanted() {
    let place = rings();
    let place = place.path();
    let watching =
        Watching::start(place, &["--seed", "a0", "--top", "1", "--method", "exact", "--json", "--shift", "0.001"]);
    let first = watching.line();
    update(place, r#"{"op":"set","source":"a0","target":"a1","weight":9}"#);
    let second = watching.line();
    assert_eq!(ids(&first["results"]), ids(&second["results"]));
    assert_eq!((&second["entered"], &second["moved"]), (&Value::Array(vec![]), &Value::Array(vec![])), "{second}");
    let score = |answer: &Value| answer["results"][0]["score"].as_f64().unwrap();
    assert!(0.001 < (score(&first) - score(&second)).abs());
    assert_eq!(watching.ended(Some("TERM")), (Vec::new(), Some(0)));
}

#[test]
fn it_ends_when_it_has_said_enough_or_nobody_listens() {
    let place = rings();
    let place = place.path();
    let watching = Watching::start(place, &["--seed", "a0", "--seed", "b0=0.5", "--top", "3", "--times", "1"]);
    let (lines, code) = watching.ended(None);
    assert_eq!(code, Some(0));
    assert!(lines[0].starts_with("generation ") && lines[1].contains("rank"), "{lines:?}");

    let mut deaf = command(place, &["watch", "g.wp", "--seed", "a0"]).spawn().unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(deaf.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    drop(stdout);
    assert_eq!(deaf.wait().unwrap().code(), Some(0), "it ends, although it has nothing to print");
}

#[test]
fn what_cannot_be_watched_is_refused() {
    let place = rings();
    let place = place.path();
    let watch = |arguments: &[&str]| run(place, &[&["watch"], arguments].concat());
    watch(&["g.wp"]).refused(&["--seed"]);
    watch(&["g.wp", "--seed", "z"]).refused(&["\"z\""]);
    watch(&["nowhere.wp", "--seed", "a0"]).refused(&["nowhere.wp"]);
    watch(&["g.wp", "--seed", "a0", "--every", "0"]).refused(&["--every", "0.001"]);
    watch(&["g.wp", "--seed", "a0", "--index", "other"]).refused(&["other"]);
    let _ = run(place, &["load", "g.csv", "--into", "s.wp", "--shards", "2"]).done();
    watch(&["s.wp", "--seed", "a0"]).refused(&["s.wp", "shards"]);
}
