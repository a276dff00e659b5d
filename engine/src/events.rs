//! What happens to a graph that lives: edges and nodes are added, removed and set.
//!
//! An [`Event`] names nodes by the user's ids, so that it means the same whatever number a node has. Events count in the order
//! in which they were taken, not in that of their times, which may come in any order.
//!
//! | operation | edge | node |
//! |---|---|---|
//! | `add` | its weight is added to what the edge weighs; nodes that are new come into being | it is there afterwards; with a type, it has that type |
//! | `remove` | without a weight the edge is gone, with one it weighs so much less | its edges are gone, both ways; it keeps its number |
//! | `set` | it weighs this much; 0 removes it | it has this type, or none |
//!
//! An edge to which no weight is given weighs 1. A type that comes with an edge is added to those that the edge has.
//!
//! Weights may decay as time passes: see [`Decay`]. Then a weight counts as of the time of its event.
//!
//! **What an event may not be is said in one place**, whatever it was read from: [`Event::check`]. (Test:
//! `what_makes_no_sense_is_refused_by_name`.)

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

mod decay;

mod written;

pub use decay::{Decay, MOST_HALF_LIVES};
pub use written::WrittenEvent;

/// The longest id of a node or an event, and the longest name of a type, in bytes.
pub const MOST_NAME_BYTES: usize = u16::MAX as usize;

/// What an event does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// Something comes, or comes once more.
    #[default]
    Add,
    /// Something goes.
    Remove,
    /// Something is what the event says, whatever it was.
    Set,
}

impl Operation {
    /// All operations.
    pub const ALL: [Operation; 3] = [Operation::Add, Operation::Remove, Operation::Set];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Operation::Add => "add",
            Operation::Remove => "remove",
            Operation::Set => "set",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Operation {
    type Err = BadEvent;

    fn from_str(name: &str) -> Result<Self, BadEvent> {
        let known = Operation::ALL.into_iter().find(|operation| operation.name() == name);
        known.ok_or_else(|| BadEvent::new("an operation: add, remove or set", shown(name)))
    }
}

/// What an event is about.
#[derive(Debug, Clone, PartialEq)]
pub enum Subject {
    /// An edge.
    Edge {
        /// The id of the node that it leaves.
        source: String,
        /// The id of the node that it leads to.
        target: String,
        /// Its weight, finite and not negative; see the table above for what it means when there is none.
        weight: Option<f64>,
        /// Its type.
        kind: Option<String>,
    },
    /// A node.
    Node {
        /// Its id.
        id: String,
        /// Its type.
        kind: Option<String>,
    },
}

/// Something that happens to a graph. As JSON it is a [`WrittenEvent`].
///
/// ```
/// use walkprint_engine::events::{Event, Operation};
/// let line = r#"{"op":"add","source":"ann","target":"bob","weight":2.0,"event_id":"click-17"}"#;
/// let event: Event = serde_json::from_str(line)?;
/// assert_eq!(event, Event::edge(Operation::Add, "ann", "bob").weighing(2.0).named("click-17"));
/// assert_eq!(serde_json::to_string(&event)?, line);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "WrittenEvent", into = "WrittenEvent")]
pub struct Event {
    /// What it does.
    pub operation: Operation,
    /// What it is about.
    pub subject: Subject,
    /// When it happened: seconds since 1970, or whatever the sender counts in.
    pub time: Option<f64>,
    /// The sender's name for it. An event that comes again under the same name counts once.
    pub event_id: Option<String>,
}

impl Event {
    /// An event about an edge.
    #[must_use]
    pub fn edge(operation: Operation, source: impl Into<String>, target: impl Into<String>) -> Event {
        let subject = Subject::Edge { source: source.into(), target: target.into(), weight: None, kind: None };
        Event { operation, subject, time: None, event_id: None }
    }

    /// An event about a node.
    #[must_use]
    pub fn node(operation: Operation, id: impl Into<String>) -> Event {
        Event { operation, subject: Subject::Node { id: id.into(), kind: None }, time: None, event_id: None }
    }

    /// The same, with a weight; a node has none.
    #[must_use]
    pub fn weighing(mut self, given: f64) -> Event {
        if let Subject::Edge { weight, .. } = &mut self.subject {
            *weight = Some(given);
        }
        self
    }

    /// The same, with a type.
    #[must_use]
    pub fn of_kind(mut self, given: impl Into<String>) -> Event {
        let (Subject::Edge { kind, .. } | Subject::Node { kind, .. }) = &mut self.subject;
        *kind = Some(given.into());
        self
    }

    /// The same, with a time.
    #[must_use]
    pub fn at(self, time: f64) -> Event {
        Event { time: Some(time), ..self }
    }

    /// The same, with a name.
    #[must_use]
    pub fn named(self, event_id: impl Into<String>) -> Event {
        Event { event_id: Some(event_id.into()), ..self }
    }

    /// Refuses what makes no sense for any graph.
    ///
    /// # Errors
    /// When an id or a name is empty or longer than [`MOST_NAME_BYTES`]; when a weight is negative or not finite, or a time is
    /// not finite; when something is removed by type.
    pub fn check(&self) -> Result<(), BadEvent> {
        let kind = match &self.subject {
            Subject::Edge { source, target, weight, kind } => {
                check_name("the id of a source", source)?;
                check_name("the id of a target", target)?;
                if let Some(weight) = weight {
                    check_weight(*weight)?;
                }
                kind
            }
            Subject::Node { id, kind } => {
                check_name("the id of a node", id)?;
                kind
            }
        };
        if let Some(kind) = kind {
            check_name("a type", kind)?;
            if self.operation == Operation::Remove {
                let expected = "no type with remove (an edge is removed with all its types, a node whatever its type)";
                return Err(BadEvent::new(expected, shown(kind)));
            }
        }
        if let Some(time) = self.time.filter(|time| !time.is_finite()) {
            return Err(BadEvent::new("a time (a finite number of seconds, say since 1970)", time.to_string()));
        }
        self.event_id.as_ref().map_or(Ok(()), |id| check_name("the id of an event", id))
    }
}

/// Why something is no event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, got {got}")]
pub struct BadEvent {
    /// What should have been there.
    pub expected: Cow<'static, str>,
    /// What was there.
    pub got: String,
}

impl BadEvent {
    fn new(expected: impl Into<Cow<'static, str>>, got: impl Into<String>) -> BadEvent {
        BadEvent { expected: expected.into(), got: got.into() }
    }
}

fn check_name(what: &'static str, name: &str) -> Result<(), BadEvent> {
    match name.len() {
        0 => Err(BadEvent::new(what, "nothing")),
        1..=MOST_NAME_BYTES => Ok(()),
        bytes => Err(BadEvent::new(format!("{what} of at most {MOST_NAME_BYTES} bytes"), format!("{bytes} bytes"))),
    }
}

fn check_weight(weight: f64) -> Result<(), BadEvent> {
    if (0.0..f64::INFINITY).contains(&weight) {
        return Ok(());
    }
    let expected = if weight < 0.0 && weight.is_finite() {
        "a weight of at least 0 (to take weight away: remove)"
    } else {
        "a finite weight"
    };
    Err(BadEvent::new(expected, weight.to_string()))
}

/// A text as a message shows it: quoted, escaped, and cut after 60 characters.
fn shown(text: &str) -> String {
    const SHOWN: usize = 60;
    match text.char_indices().nth(SHOWN) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}…", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(event: &Event) -> String {
        event.check().map_or_else(|bad| bad.to_string(), |()| "good".to_owned())
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        let edge = || Event::edge(Operation::Add, "a", "b");
        let cases = [
            (Event::edge(Operation::Add, "", "b"), "expected the id of a source, got nothing"),
            (Event::edge(Operation::Add, "a", ""), "expected the id of a target, got nothing"),
            (Event::node(Operation::Remove, ""), "expected the id of a node, got nothing"),
            (edge().weighing(-2.0), "expected a weight of at least 0 (to take weight away: remove), got -2"),
            (edge().weighing(f64::NAN), "expected a finite weight, got NaN"),
            (edge().weighing(f64::NEG_INFINITY), "expected a finite weight, got -inf"),
            (edge().of_kind(""), "expected a type, got nothing"),
            (edge().named(""), "expected the id of an event, got nothing"),
            (edge().at(f64::INFINITY), "expected a time (a finite number of seconds, say since 1970), got inf"),
            (
                Event::edge(Operation::Remove, "a", "b").of_kind("likes"),
                "expected no type with remove (an edge is removed with all its types, a node whatever its type), got \"likes\"",
            ),
            (
                Event::node(Operation::Add, "x".repeat(MOST_NAME_BYTES + 1)),
                "expected the id of a node of at most 65535 bytes, got 65536 bytes",
            ),
            (edge().weighing(0.0).at(-1.0).named("é").of_kind("likes"), "good"),
            (Event::node(Operation::Set, "x".repeat(MOST_NAME_BYTES)), "good"),
        ];
        for (event, expected) in cases {
            assert_eq!(message(&event), expected);
        }
    }

    /// Any good event.
    fn events() -> impl Strategy<Value = Event> {
        let name = || "[a-zé\"\\\\\u{0} ]{1,5}";
        let subject = prop_oneof![
            (name(), name(), prop::option::of(0.0..1e300), prop::option::of(name()))
                .prop_map(|(source, target, weight, kind)| Subject::Edge { source, target, weight, kind }),
            (name(), prop::option::of(name())).prop_map(|(id, kind)| Subject::Node { id, kind }),
        ];
        let rest = (prop::sample::select(&Operation::ALL[..]), prop::option::of(-1e12..1e12), prop::option::of(name()));
        (subject, rest).prop_map(|(subject, (operation, time, event_id))| {
            let mut event = Event { operation, subject, time, event_id };
            if operation == Operation::Remove {
                let (Subject::Edge { kind, .. } | Subject::Node { kind, .. }) = &mut event.subject;
                *kind = None;
            }
            event
        })
    }

    proptest! {
        #[test]
        fn an_event_comes_back_from_json_as_it_was(event in events()) {
            prop_assert_eq!(event.check(), Ok(()));
            let text = serde_json::to_string(&event).unwrap();
            prop_assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), event, "{}", text);
        }
    }
}
