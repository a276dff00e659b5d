//! Files of questions, with or without the passages that answer them.
//!
//! | file | a question |
//! |---|---|
//! | JSON Lines | `{"id": "q1", "question": "…", "entities": ["…"], "gold": ["passage:3"]}` a line; all but `question` may be missing |
//! | JSON, as MuSiQue and HippoRAG have it | an object of a list: `id`, `question`, `paragraphs` with `title`, `paragraph_text` and `is_supporting`; the passage with that title and text is found in the store |
//!
//! `gold` lists the ids of passages, with `passage:` before them or without.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use walkprint_engine::labels::Labels;
use walkprint_engine::passages::Passages;

use super::request::{PassageScore, RetrieveRequest};
use crate::error::{Error, Result};

/// A question of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct AskedQuestion {
    /// Its id; its number from 1 where it has none.
    pub id: String,
    /// What is asked.
    pub request: RetrieveRequest,
    /// The ids of the passages that answer it, each once; empty where the file does not say.
    pub gold: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    id: Option<String>,
    question: Option<String>,
    #[serde(default)]
    entities: Vec<String>,
    #[serde(default)]
    passages: Vec<PassageScore>,
    #[serde(default)]
    gold: Vec<String>,
}

#[derive(Deserialize)]
struct Multihop {
    id: Option<String>,
    question: String,
    paragraphs: Vec<Paragraph>,
}

#[derive(Deserialize)]
struct Paragraph {
    title: String,
    #[serde(alias = "text")]
    paragraph_text: String,
    is_supporting: bool,
}

/// Reads all questions of a file.
///
/// # Errors
/// When it cannot be read, a question is not what it should be, or a passage that should answer one is none of the store's.
pub fn read_questions(path: &Path, labels: &Labels, passages: Option<&Passages>) -> Result<Vec<AskedQuestion>> {
    let shown = path.display();
    let refuse = |what: String| Error::Request { what: format!("{shown}: {what}") };
    let text =
        std::fs::read_to_string(path).map_err(|error| refuse(format!("could not read the questions: {error}")))?;
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(&text);
    let questions = if text.trim_start().starts_with('[') {
        multihop(text, labels, passages).map_err(refuse)?
    } else {
        let mut questions = Vec::new();
        for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let read = question(line, questions.len(), labels);
            questions.push(read.map_err(|what| Error::Request { what: format!("{shown}:{}: {what}", at + 1) })?);
        }
        questions
    };
    if questions.is_empty() {
        return Err(refuse("expected questions, got a file without any".to_owned()));
    }
    Ok(questions)
}

fn question(line: &str, before: usize, labels: &Labels) -> std::result::Result<AskedQuestion, String> {
    let expected = "expected a question as JSON: {\"question\": …, \"entities\": […], \"gold\": [IDS OF PASSAGES]}";
    let Line { id, question, entities, passages, gold } =
        serde_json::from_str(line).map_err(|error| format!("{expected}, got {error}"))?;
    if question.is_none() && entities.is_empty() && passages.is_empty() {
        return Err("expected a question or entities, got neither".to_owned());
    }
    let mut known = Vec::with_capacity(gold.len());
    for id in gold {
        let prefixed = format!("passage:{id}");
        let found = [id.as_str(), &prefixed].into_iter().find(|id| matches!(labels.node(id), Ok(Some(_))));
        known.push(found.ok_or_else(|| format!("gold: expected the id of a passage, got {id:?}"))?.to_owned());
    }
    known.sort_unstable();
    known.dedup();
    let request = RetrieveRequest { question, entities, passages, ..RetrieveRequest::default() };
    Ok(AskedQuestion { id: id.unwrap_or_else(|| (before + 1).to_string()), request, gold: known })
}

fn multihop(
    text: &str,
    labels: &Labels,
    passages: Option<&Passages>,
) -> std::result::Result<Vec<AskedQuestion>, String> {
    let listed: Vec<Multihop> = serde_json::from_str(text).map_err(|error| {
        format!("expected a list of questions with paragraphs (title, paragraph_text, is_supporting), got {error}")
    })?;
    let passages = passages.ok_or("its paragraphs are compared with texts, and this store has none")?;
    let by_text: BTreeMap<&str, u32> = passages.iter().map(|(node, text)| (text, node)).collect();
    let mut questions = Vec::with_capacity(listed.len());
    for (at, Multihop { id, question, paragraphs }) in listed.into_iter().enumerate() {
        let mut gold = Vec::new();
        for (number, one) in paragraphs.iter().enumerate().filter(|(_, one)| one.is_supporting) {
            let text = format!("{}\n{}", one.title, one.paragraph_text);
            let node = by_text.get(text.as_str());
            let node = node.ok_or_else(|| {
                format!(
                    "[{at}].paragraphs[{number}]: no passage of the store has the title {:?} and this text",
                    one.title
                )
            })?;
            gold.push(labels.id(*node).map_err(|error| error.to_string())?);
        }
        gold.sort_unstable();
        gold.dedup();
        let request = RetrieveRequest { question: Some(question), ..RetrieveRequest::default() };
        questions.push(AskedQuestion { id: id.unwrap_or_else(|| (at + 1).to_string()), request, gold });
    }
    Ok(questions)
}
