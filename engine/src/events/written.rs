//! An event as it is written: fields that may be there or not, before anybody knows what they mean together.
//!
//! ```json
//! {"op": "add", "source": "ann", "target": "bob", "weight": 2.0, "type": "likes", "time": 1700000000, "event_id": "17"}
//! {"op": "remove", "node": "bob"}
//! {"user_id": 5, "item_id": 7}
//! ```
//!
//! `op` is `add` where it is left out. Ids are strings, or integers that stand for their digits. An interaction of a user with an
//! item stands for what [loading](crate::edges) one makes of it: the nodes `user:5` and `item:7` with the types `user` and `item`,
//! and an edge each way. So that each of its edges is taken once, the name of the edge back is that of the interaction with a `^`
//! before it.

use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::{BadEvent, Event, Operation, Subject, shown};
use crate::kinds::{ITEM, ITEM_PREFIX, USER, USER_PREFIX};

/// The fields of an event. Unknown ones are refused.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenEvent {
    /// What the event does [default: add].
    #[serde(default)]
    pub op: Operation,
    /// The id of the node that an edge leaves.
    #[serde(
        default,
        alias = "src",
        alias = "from",
        deserialize_with = "name",
        skip_serializing_if = "Option::is_none"
    )]
    pub source: Option<String>,
    /// The id of the node that an edge leads to.
    #[serde(
        default,
        alias = "dst",
        alias = "to",
        alias = "destination",
        deserialize_with = "name",
        skip_serializing_if = "Option::is_none"
    )]
    pub target: Option<String>,
    /// The id of a user, with an item.
    #[serde(default, alias = "user", deserialize_with = "name", skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// The id of an item, with a user.
    #[serde(default, alias = "item", deserialize_with = "name", skip_serializing_if = "Option::is_none")]
    pub item_id: Option<String>,
    /// The id of a node.
    #[serde(default, deserialize_with = "name", skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// The weight of an edge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
    /// The type of an edge or a node; an empty one is none.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// When it happened, in seconds.
    #[serde(default, alias = "timestamp", skip_serializing_if = "Option::is_none")]
    pub time: Option<f64>,
    /// The sender's name for the event.
    #[serde(default, deserialize_with = "name", skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
}

impl WrittenEvent {
    /// Appends the events that the fields stand for: one, or those of an interaction.
    ///
    /// # Errors
    /// When the fields are those of no event, or [`Event::check`] refuses it; nothing is appended then.
    pub fn append_to(self, events: &mut Vec<Event>) -> Result<(), BadEvent> {
        let before = events.len();
        let appended = self.append_unchecked(events);
        let checked = appended.and_then(|()| events[before..].iter().try_for_each(Event::check));
        if checked.is_err() {
            events.truncate(before);
        }
        checked
    }

    fn append_unchecked(self, events: &mut Vec<Event>) -> Result<(), BadEvent> {
        let WrittenEvent { op: operation, source, target, user_id, item_id, node, weight, kind, time, event_id } = self;
        let kind = kind.filter(|kind| !kind.is_empty());
        // Minus zero becomes zero.
        let weight = weight.map(|weight| weight + 0.0);
        let subject = match (source, target, user_id, item_id, node) {
            (Some(source), Some(target), None, None, None) => Subject::Edge { source, target, weight, kind },
            (None, None, None, None, Some(id)) => {
                if let Some(weight) = weight {
                    return Err(BadEvent::new("no weight, because a node has none", weight.to_string()));
                }
                Subject::Node { id, kind }
            }
            (None, None, Some(user), Some(item), None) => {
                // Before the prefix hides that there is nothing behind it.
                super::check_name("the id of a user", &user)?;
                super::check_name("the id of an item", &item)?;
                let (user, item) = (format!("{USER_PREFIX}{user}"), format!("{ITEM_PREFIX}{item}"));
                if operation != Operation::Remove {
                    events.push(Event { time, ..Event::node(Operation::Add, &user).of_kind(USER) });
                    events.push(Event { time, ..Event::node(Operation::Add, &item).of_kind(ITEM) });
                }
                let edge = |source: &str, target: &str, event_id| {
                    let (source, target) = (source.to_owned(), target.to_owned());
                    let subject = Subject::Edge { source, target, weight, kind: kind.clone() };
                    Event { operation, subject, time, event_id }
                };
                let back = event_id.as_ref().map(|id| format!("^{id}"));
                events.extend([edge(&user, &item, event_id), edge(&item, &user, back)]);
                return Ok(());
            }
            (source, target, user, item, node) => {
                let expected = "source and target of an edge, user_id and item_id of an interaction, or a node";
                let fields =
                    [("source", source), ("target", target), ("user_id", user), ("item_id", item), ("node", node)];
                let given = fields.into_iter().filter_map(|(field, id)| Some(format!("{field} {}", shown(&id?))));
                let given = given.collect::<Vec<_>>().join(", ");
                return Err(BadEvent::new(expected, if given.is_empty() { "none of them".to_owned() } else { given }));
            }
        };
        events.push(Event { operation, subject, time, event_id });
        Ok(())
    }
}

impl TryFrom<WrittenEvent> for Event {
    type Error = BadEvent;

    fn try_from(written: WrittenEvent) -> Result<Event, BadEvent> {
        let mut events = Vec::with_capacity(1);
        written.append_to(&mut events)?;
        match events.pop() {
            Some(event) if events.is_empty() => Ok(event),
            _ => Err(BadEvent::new("one event", "an interaction, which stands for several")),
        }
    }
}

impl From<Event> for WrittenEvent {
    fn from(event: Event) -> WrittenEvent {
        let Event { operation, subject, time, event_id } = event;
        let written = WrittenEvent { op: operation, time, event_id, ..WrittenEvent::default() };
        match subject {
            Subject::Edge { source, target, weight, kind } => {
                WrittenEvent { source: Some(source), target: Some(target), weight, kind, ..written }
            }
            Subject::Node { id, kind } => WrittenEvent { node: Some(id), kind, ..written },
        }
    }
}

/// An id: a string, an integer, or null.
fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    deserializer.deserialize_any(NameVisitor)
}

struct NameVisitor;

impl Visitor<'_> for NameVisitor {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an id: a string or an integer")
    }

    fn visit_str<E: de::Error>(self, id: &str) -> Result<Self::Value, E> {
        Ok(Some(id.to_owned()))
    }

    fn visit_string<E: de::Error>(self, id: String) -> Result<Self::Value, E> {
        Ok(Some(id))
    }

    fn visit_i64<E: de::Error>(self, id: i64) -> Result<Self::Value, E> {
        Ok(Some(id.to_string()))
    }

    fn visit_u64<E: de::Error>(self, id: u64) -> Result<Self::Value, E> {
        Ok(Some(id.to_string()))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Vec<Event>, String> {
        let written: WrittenEvent = serde_json::from_str(line).map_err(|error| error.to_string())?;
        let mut events = vec![Event::node(Operation::Add, "before")];
        let taken = written.append_to(&mut events).map_err(|bad| bad.to_string());
        assert!(taken.is_ok() || events.len() == 1, "nothing is appended where something is wrong");
        taken.map(|()| events.split_off(1))
    }

    #[test]
    fn fields_say_what_happens() {
        let edge = |operation| Event::edge(operation, "a", "b");
        let cases = [
            (r#"{"source":"a","target":"b"}"#, edge(Operation::Add)),
            (r#"{"op":"set","from":"a","to":"b","weight":-0.0,"type":""}"#, edge(Operation::Set).weighing(0.0)),
            (r#"{"op":"remove","src":"a","dst":"b","weight":3,"time":null}"#, edge(Operation::Remove).weighing(3.0)),
            (
                r#"{"source":1,"target":-2,"type":"likes","timestamp":1.5,"event_id":18446744073709551615}"#,
                Event::edge(Operation::Add, "1", "-2").of_kind("likes").at(1.5).named(u64::MAX.to_string()),
            ),
            (r#"{"op":"set","node":"x","type":"person"}"#, Event::node(Operation::Set, "x").of_kind("person")),
        ];
        for (line, event) in cases {
            assert_eq!(read(line), Ok(vec![event]), "{line}");
        }
    }

    #[test]
    fn an_interaction_is_two_nodes_and_an_edge_each_way() {
        let events = read(r#"{"user_id":5,"item_id":"5","weight":2,"time":9,"event_id":"e"}"#).unwrap();
        let edge = |source, target, id| Event::edge(Operation::Add, source, target).weighing(2.0).at(9.0).named(id);
        let expected = [
            Event::node(Operation::Add, "user:5").of_kind("user").at(9.0),
            Event::node(Operation::Add, "item:5").of_kind("item").at(9.0),
            edge("user:5", "item:5", "e"),
            edge("item:5", "user:5", "^e"),
        ];
        assert_eq!(events, expected);
        let gone = read(r#"{"op":"remove","user":"5","item":"5"}"#).unwrap();
        let edge = |source, target| Event::edge(Operation::Remove, source, target);
        assert_eq!(gone, [edge("user:5", "item:5"), edge("item:5", "user:5")]);
        assert_eq!(
            serde_json::from_str::<Event>(r#"{"user_id":5,"item_id":"5"}"#).unwrap_err().to_string(),
            "expected one event, got an interaction, which stands for several"
        );
    }

    #[test]
    fn what_is_no_event_is_refused_by_name() {
        let cases = [
            (
                r#"{"op":"ad","source":"a","target":"b"}"#,
                "unknown variant `ad`, expected one of `add`, `remove`, `set`",
            ),
            (r#"{"source":"a","target":"b","wieght":1}"#, "unknown field `wieght`"),
            (r#"{"source":"a","source":"b","target":"b"}"#, "duplicate field `source`"),
            (r#"{"source":"a","target":1.5}"#, "expected an id: a string or an integer"),
            (r#"{"source":"a","target":"b","weight":"1"}"#, "invalid type: string \"1\", expected f64"),
            ("{}", "or a node, got none of them"),
            (r#"{"source":"a"}"#, "or a node, got source \"a\""),
            (r#"{"source":"a","target":"b","node":"c"}"#, "or a node, got source \"a\", target \"b\", node \"c\""),
            (r#"{"user_id":"a","target":"b"}"#, "or a node, got target \"b\", user_id \"a\""),
            (r#"{"user_id":"","item_id":"b"}"#, "expected the id of a user, got nothing"),
            (r#"{"user_id":"a","item_id":"b","event_id":""}"#, "expected the id of an event, got nothing"),
            (r#"{"node":"a","weight":1}"#, "expected no weight, because a node has none, got 1"),
            (
                r#"{"source":"a","target":"b","weight":-1}"#,
                "expected a weight of at least 0 (to take weight away: remove), got -1",
            ),
            (r#"{"source":"","target":"b"}"#, "expected the id of a source, got nothing"),
        ];
        for (line, expected) in cases {
            let message = read(line).expect_err(line);
            assert!(message.contains(expected), "{line}: {message}");
        }
    }
}
