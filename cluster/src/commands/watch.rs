//! `walkprint watch`: a question that stands, and is answered again when events or a new generation change its results.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::{Value, json};
use walkprint_cluster::choice::choose_index;
use walkprint_cluster::live::{Followed, Follower, Now};
use walkprint_cluster::serve::{Provenance, as_json};
use walkprint_cluster::workers::Threads;
use walkprint_engine::graph::Graph;
use walkprint_engine::index::Index;
use walkprint_engine::labels::Labels;
use walkprint_engine::query::{Answer, Answerer, Method, Ranked};

use super::query::{Width, question, summary, table, wanted};
use crate::arguments::QuestionArguments;
use crate::terminal::{Outcome, count, print, processors, stop_flag};

#[derive(Debug, Args)]
pub(crate) struct WatchArguments {
    /// The store
    store: PathBuf,
    #[command(flatten)]
    question: QuestionArguments,
    /// How often to look for events, in seconds
    #[arg(long, default_value_t = 0.2, value_name = "SECONDS", value_parser = interval)]
    every: f64,
    /// Print also when the results' scores have changed by so much since they were printed, all together [default: only when
    /// other nodes, or the same in another order, are the results]
    #[arg(long, value_name = "L1", value_parser = shift)]
    shift: Option<f64>,
    /// End after so many answers [default: on Ctrl-C]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    times: Option<u64>,
    /// Print a line of JSON for each answer
    #[arg(long)]
    json: bool,
}

fn interval(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "expected seconds, such as 0.5".to_owned())?;
    if (0.001..=86_400.0).contains(&seconds) { Ok(seconds) } else { Err("expected 0.001 to 86400 seconds".into()) }
}

fn shift(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && 0.0 <= value => Ok(value),
        _ => Err("expected a number that is not negative".into()),
    }
}

pub(crate) fn run(arguments: WatchArguments) -> anyhow::Result<Outcome> {
    let stop = stop_flag()?;
    let mut follower = Follower::open(&arguments.store)?;
    let threads = Arc::new(Threads::new(arguments.question.threads.unwrap_or_else(processors)));
    let mut opened = Opened::of(&follower, &arguments.question)?;
    let (mut shown, mut times, mut came) = (None, 0, Followed::Events(follower.events()));
    loop {
        match came {
            Followed::Nothing => {}
            Followed::Events(_) | Followed::Generation => {
                if came == Followed::Generation {
                    opened = Opened::of(&follower, &arguments.question)?;
                }
                let asked = Asked { arguments: &arguments, follower: &follower, opened: &opened };
                if let Some(answer) = asked.answer(&threads, shown.as_ref())? {
                    shown = Some(answer);
                    times += 1;
                    if arguments.times == Some(times) {
                        return Ok(Outcome::Done);
                    }
                }
            }
        }
        if !wait(&stop, Duration::from_secs_f64(arguments.every)) {
            return Ok(Outcome::Done);
        }
        came = follower.look()?;
    }
}

/// Waits; false when it is time to end: somebody said so, or nobody reads any more.
fn wait(stop: &AtomicBool, time: Duration) -> bool {
    /// How long it takes at most until a signal is heeded.
    const HEEDED: Duration = Duration::from_millis(50);
    let began = Instant::now();
    loop {
        if stop.load(Ordering::Relaxed) || is_closed() {
            return false;
        }
        let left = time.saturating_sub(began.elapsed());
        if left.is_zero() {
            return true;
        }
        std::thread::park_timeout(left.min(HEEDED));
    }
}

/// Whether whoever read what is printed has gone away.
fn is_closed() -> bool {
    let stdout = std::io::stdout();
    let mut descriptors = [PollFd::new(&stdout, PollFlags::empty())];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    // Errors are always told, asked for or not. Where it cannot be told, printing will.
    poll(&mut descriptors, Some(&at_once)).is_ok() && descriptors[0].revents().contains(PollFlags::ERR)
}

/// What a generation is asked with.
struct Opened {
    graph: Graph,
    labels: Labels,
    index: Option<Index>,
    restart_prob: f64,
}

impl Opened {
    fn of(follower: &Follower, asked: &QuestionArguments) -> anyhow::Result<Opened> {
        let store = follower.store();
        let (graph, labels) = (store.graph()?, store.labels()?);
        let (index, restart_prob) = choose_index(store, &graph, wanted(asked))?;
        Ok(Opened { graph, labels, index, restart_prob })
    }
}

/// One moment at which it is asked.
struct Asked<'a> {
    arguments: &'a WatchArguments,
    follower: &'a Follower,
    opened: &'a Opened,
}

impl Asked<'_> {
    /// Asks, and prints what comes unless it is what was shown last.
    fn answer(&self, threads: &Arc<Threads>, shown: Option<&Answer>) -> anyhow::Result<Option<Answer>> {
        let Opened { graph, labels, index, restart_prob } = self.opened;
        let now = self.follower.now()?;
        let labels = now.as_ref().map_or(labels, |now| &now.labels);
        let question = question(&self.arguments.question, (self.follower.store(), graph), labels, now.as_ref())?;
        let began = Instant::now();
        let answerer = match &now {
            Some(now) => now.answerer(index.as_ref(), *restart_prob)?,
            None => Answerer::new(graph, labels, index.as_ref(), *restart_prob)?,
        };
        let crew = Arc::clone(threads);
        let answer = answerer.with_crew(crew).answer(&question)?;
        let took_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let change = Change::between(shown.map_or(&[], |shown| &shown.results), &answer.results);
        let is_shift = self.arguments.shift.is_some_and(|least| least < change.shift);
        if shown.is_some() && change.is_none() && !is_shift {
            return Ok(None);
        }
        if self.arguments.json {
            print(&(self.line(&answer, &change, now.as_ref(), took_us)?.to_string() + "\n"))?;
        } else {
            let rule = if shown.is_some() { "\n" } else { "" };
            let table = table(&answer, Width::Full);
            print(&format!(
                "{rule}{}\n{table}{}\n",
                self.heading(&change, shown.is_some()),
                summary(&answer, *restart_prob, took_us)
            ))?;
        }
        Ok(Some(answer))
    }

    fn line(&self, answer: &Answer, change: &Change<'_>, now: Option<&Now>, took_us: u64) -> anyhow::Result<Value> {
        let store = self.follower.store();
        let (index, restart_prob) = (self.opened.index.as_ref(), self.opened.restart_prob);
        let used = index.filter(|_| !matches!(answer.method, Method::Exact | Method::Block)).map(Index::entry);
        let from = Provenance { index: used, graph_digest: &store.manifest().graph.digest, restart_prob };
        let kinds = store.kinds()?;
        let kinds = match now {
            Some(now) => now.kinds(&self.opened.graph, kinds.as_ref())?,
            None => kinds,
        };
        let mut line = as_json(answer, kinds.as_ref(), from);
        let entered = change.entered.iter().map(|one| json!({ "id": one.id, "rank": one.rank }));
        let left = change.left.iter().map(|one| json!({ "id": one.id, "rank": one.rank }));
        let moved = change.moved.iter().map(|(from, to)| json!({ "id": to.id, "from": from.rank, "to": to.rank }));
        line["entered"] = entered.collect();
        line["left"] = left.collect();
        line["moved"] = moved.collect();
        line["generation"] = store.manifest().generation.into();
        line["events"] = now.map_or(0, |now| now.events).into();
        line["next_sequence"] = self.follower.next_sequence().into();
        line["took_us"] = took_us.into();
        Ok(line)
    }

    /// What came about since the last answer, in words.
    fn heading(&self, change: &Change<'_>, is_another: bool) -> String {
        let generation = self.follower.store().manifest().generation;
        let mut text = format!("generation {generation}, {} events wait", count(self.follower.events()));
        if !is_another {
            return text;
        }
        let ids = |of: &[&Ranked]| of.iter().map(|one| one.id.as_str()).collect::<Vec<_>>().join(", ");
        for (what, of) in [("entered", &change.entered), ("left", &change.left)] {
            if !of.is_empty() {
                text += &format!("; {what}: {}", ids(of));
            }
        }
        let moved = change.moved.iter().map(|(from, to)| format!("{} from {} to {}", to.id, from.rank, to.rank));
        let moved: Vec<String> = moved.collect();
        if !moved.is_empty() {
            text += &format!("; moved: {}", moved.join(", "));
        }
        if change.is_none() {
            text += &format!("; scores changed by {:.1e}", change.shift);
        }
        text
    }
}

/// How results differ from those before.
struct Change<'a> {
    entered: Vec<&'a Ranked>,
    left: Vec<&'a Ranked>,
    /// As it was, and as it is.
    moved: Vec<(&'a Ranked, &'a Ranked)>,
    /// The sum of the absolute differences of the scores of all results of both.
    shift: f64,
}

impl<'a> Change<'a> {
    fn between(before: &'a [Ranked], after: &'a [Ranked]) -> Change<'a> {
        let of_id: HashMap<&str, &Ranked> = before.iter().map(|one| (one.id.as_str(), one)).collect();
        let mut change = Change { entered: Vec::new(), left: Vec::new(), moved: Vec::new(), shift: 0.0 };
        for now in after {
            match of_id.get(now.id.as_str()) {
                None => {
                    change.shift += now.score;
                    change.entered.push(now);
                }
                Some(was) => {
                    change.shift += (now.score - was.score).abs();
                    if was.rank != now.rank {
                        change.moved.push((was, now));
                    }
                }
            }
        }
        let still: std::collections::HashSet<&str> = after.iter().map(|one| one.id.as_str()).collect();
        change.left.extend(before.iter().filter(|one| !still.contains(one.id.as_str())));
        change.shift += change.left.iter().map(|one| one.score).sum::<f64>();
        change
    }

    /// Whether the results are the same nodes in the same order.
    fn is_none(&self) -> bool {
        self.entered.is_empty() && self.left.is_empty() && self.moved.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranked(scores: &[(&str, f64)]) -> Vec<Ranked> {
        let one = |(at, (id, score)): (usize, &(&str, f64))| Ranked {
            node: 0,
            id: (*id).to_owned(),
            score: *score,
            std_error: 0.0,
            rank: at + 1,
            rank_stable: true,
            support: None,
        };
        scores.iter().enumerate().map(one).collect()
    }

    #[test]
    fn what_enters_leaves_and_moves_is_told_apart() {
        let before = ranked(&[("a", 0.5), ("b", 0.25), ("c", 0.125)]);
        let after = ranked(&[("a", 0.25), ("c", 0.25), ("d", 0.125)]);
        let change = Change::between(&before, &after);
        let ids = |of: &[&Ranked]| of.iter().map(|one| one.id.clone()).collect::<Vec<_>>();
        assert_eq!((ids(&change.entered), ids(&change.left)), (vec!["d".to_owned()], vec!["b".to_owned()]));
        let moved: Vec<_> = change.moved.iter().map(|(was, is)| (is.id.as_str(), was.rank, is.rank)).collect();
        assert_eq!(moved, [("c", 3, 2)]);
        assert_eq!(change.shift, 0.25 + 0.125 + 0.125 + 0.25);
        assert!(!change.is_none());
        assert!(Change::between(&after, &ranked(&[("a", 0.3), ("c", 0.2), ("d", 0.1)])).is_none());
        assert_eq!(Change::between(&[], &after).entered.len(), 3);
    }
}
