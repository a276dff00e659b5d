//! OpenIE results as HippoRAG writes them: passages, what they name, and the triples that were found in them.
//!
//! ```json
//! {"docs": [{"idx": "chunk-1", "passage": "Bubye River\nThe Bubye River is …", "extracted_entities": ["Bubye River"],
//!            "extracted_triples": [["Bubye River", "located in", "Zimbabwe"]]}]}
//! ```
//!
//! `idx` may be missing: then a passage's number counts, from 0 over all files. So may `passage`; then `title` and `text`
//! make it. Other fields are not looked at. Every triple is an edge from its subject to its object, of the relation's type.
//! A passage mentions its entities and the ends of its triples, each once. Blanks around names are dropped.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;
use walkprint_engine::kinds;

use crate::Error;
use crate::error::{Problem, quoted};
use crate::gather::Gauge;
use crate::knowledge::Found;
use crate::source::Source;
use crate::text::BYTE_ORDER_MARK;

/// How many bytes are read at once.
const READ_BYTES: usize = 8 << 20;
/// What the ids of passages begin with.
pub(crate) const PASSAGE_PREFIX: &str = "passage:";

#[derive(Deserialize)]
struct Documents {
    docs: Vec<Document>,
}

#[derive(Deserialize)]
struct Document {
    idx: Option<Value>,
    title: Option<String>,
    text: Option<String>,
    passage: Option<String>,
    extracted_entities: Vec<Value>,
    extracted_triples: Vec<Value>,
}

/// Reads one file.
pub(crate) fn read(path: &Path, mut source: Source, gauge: &Gauge, found: &mut Found<'_>) -> Result<(), Error> {
    let mut bytes = Vec::new();
    loop {
        let read = source.read_onto(&mut bytes, READ_BYTES)?;
        // The text, and about as much again for what is made of it.
        gauge.check(2 * bytes.len() as u64)?;
        found.tell()?;
        if read < READ_BYTES {
            break;
        }
    }
    let text = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&bytes);
    let plain = without_nan(text);
    let Documents { docs } = serde_json::from_slice(&plain).map_err(|error| {
        let expected = "OpenIE results as JSON: {\"docs\": [{\"passage\": …, \"extracted_entities\": […], \
                        \"extracted_triples\": [[subject, relation, object], …]}, …]}";
        let problem = Problem::new(expected, error.to_string());
        if error.line() == 0 { problem.of_file(path) } else { problem.at_line(path, error.line() as u64) }
    })?;
    found.lines += memchr::memchr_iter(b'\n', text).count() as u64 + u64::from(!text.ends_with(b"\n"));
    drop(plain);
    drop(bytes);
    for (at, document) in docs.into_iter().enumerate() {
        take(path, at, document, found)?;
    }
    Ok(())
}

/// The text with `null` for `NaN` and `Infinity`, which Python writes for means over nothing, though JSON has no such numbers.
fn without_nan(text: &[u8]) -> Cow<'_, [u8]> {
    const WORDS: [&[u8]; 3] = [b"NaN", b"-Infinity", b"Infinity"];
    if WORDS.iter().all(|word| memchr::memmem::find(text, word).is_none()) {
        return Cow::Borrowed(text);
    }
    let (mut plain, mut at, mut in_string) = (Vec::with_capacity(text.len() + 64), 0, false);
    while at < text.len() {
        let word = WORDS.iter().find(|word| !in_string && text[at..].starts_with(word));
        match (word, text[at]) {
            (Some(word), _) => {
                plain.extend_from_slice(b"null");
                at += word.len();
                continue;
            }
            (None, b'\\') if in_string => {
                // What is escaped does not end a string.
                plain.push(text[at]);
                at += 1;
            }
            (None, b'"') => in_string = !in_string,
            _ => {}
        }
        plain.extend(text.get(at));
        at += 1;
    }
    Cow::Owned(plain)
}

fn take(path: &Path, at: usize, document: Document, found: &mut Found<'_>) -> Result<(), Error> {
    let Document { idx, title, text, passage, extracted_entities, extracted_triples } = document;
    let place = |part: &str| format!("docs[{at}]{part}");
    let id = match idx {
        None | Some(Value::Null) => found.passage_count.to_string(),
        Some(Value::String(id)) if !id.trim().is_empty() => id,
        Some(Value::Number(id)) if id.is_i64() || id.is_u64() => id.to_string(),
        Some(other) => {
            let problem = Problem::new("an id: a string or an integer", shown(&other));
            return Err(problem.at_place(path, place(".idx")));
        }
    };
    let text = passage.or(match (title, text) {
        (Some(title), Some(text)) => Some(format!("{title}\n{text}")),
        (title, text) => title.or(text),
    });
    let passage = found.passage(format!("{PASSAGE_PREFIX}{id}"), text);
    let passage = passage.map_err(|problem| problem.at_place(path, place(".idx")))?;
    let mut mentioned = BTreeSet::new();
    for (number, value) in extracted_entities.iter().enumerate() {
        match name(value) {
            Some(entity) => {
                found.mark(entity, kinds::ENTITY);
                mentioned.insert(entity);
            }
            None => {
                let problem =
                    Problem::new("the name of an entity (--malformed skip leaves out what is none)", shown(value));
                let place = place(&format!(".extracted_entities[{number}]"));
                found.malformed("malformed entities", problem.at_place(path, place))?;
            }
        }
    }
    for (number, value) in extracted_triples.iter().enumerate() {
        let place = || place(&format!(".extracted_triples[{number}]"));
        let Some([subject, relation, object]) = triple(value) else {
            let expected =
                "subject, relation and object, three strings (--malformed skip leaves out what is no triple)";
            found.malformed("malformed triples", Problem::new(expected, shown(value)).at_place(path, place()))?;
            continue;
        };
        found.triple(subject, relation, object).map_err(|problem| problem.at_place(path, place()))?;
        for end in [subject, object] {
            found.mark(end, kinds::PHRASE);
            mentioned.insert(end);
        }
    }
    for entity in mentioned {
        found.mention(passage, entity, None).map_err(|problem| problem.at_place(path, place("")))?;
    }
    Ok(())
}

/// A name: a string that is not blank, and does not look like the id of a passage.
fn name(value: &Value) -> Option<&str> {
    let name = value.as_str()?.trim();
    (!name.is_empty() && !name.starts_with(PASSAGE_PREFIX)).then_some(name)
}

fn triple(value: &Value) -> Option<[&str; 3]> {
    let [subject, relation, object] = value.as_array()?.as_slice() else { return None };
    Some([name(subject)?, name(relation)?, name(object)?])
}

/// A value as a message shows it.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text.as_bytes()),
        other => {
            let text = other.to_string();
            let cut: String = text.chars().take(60).collect();
            if cut.len() < text.len() { cut + "…" } else { cut }
        }
    }
}
