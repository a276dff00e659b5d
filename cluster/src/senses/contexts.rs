//! Texts whose words want a sense.

use std::path::Path;

use walkprint_loaders::read_text;

use super::dictionary::{Lemma, line_error};
use crate::error::Result;

/// Words that are read together: a sentence, and perhaps its neighbours.
#[derive(Debug, Clone, PartialEq)]
pub struct Context {
    /// What it is called.
    pub id: String,
    /// Its words that carry meaning, in order.
    pub words: Vec<Word>,
}

/// A word of a context.
#[derive(Debug, Clone, PartialEq)]
pub struct Word {
    /// What it is called in the key.
    pub id: String,
    /// Its lemma.
    pub lemma: Lemma,
    /// Whether its sense is asked for; if not, it only helps to find those of others.
    pub is_target: bool,
}

/// Reads contexts in UKB's form: two lines each, of which the first holds the id, and the second its words, separated by blanks,
/// as `lemma#pos#id#1` (a target) or `lemma#pos#id#0`. Blank lines between contexts are skipped.
///
/// UKB's words of kind 2 to 4 (concepts) and weights behind the kind are refused.
///
/// # Errors
/// When the file cannot be read or a line is not what it should be.
pub fn read_contexts(path: &Path) -> Result<Vec<Context>> {
    let text = read_text(path)?;
    let mut contexts = Vec::new();
    let mut lines = (1..).zip(text.lines()).filter(|(_, text)| !text.trim().is_empty());
    while let Some((line, id)) = lines.next() {
        let id = id.trim();
        if id.contains(char::is_whitespace) || id.contains('#') {
            let expected = "the id of a context in a line of its own, before its words";
            return Err(line_error(path, line, expected, shown(id)));
        }
        let Some((line, words)) = lines.next() else {
            return Err(line_error(path, line, "a line of words behind the id of a context", "the end".to_owned()));
        };
        let mut context = Context { id: id.to_owned(), words: Vec::new() };
        for field in words.split_whitespace() {
            match word(field) {
                Some(word) => context.words.push(word),
                None => {
                    let expected = "words as lemma#pos#id#1 or lemma#pos#id#0";
                    return Err(line_error(path, line, expected, shown(field)));
                }
            }
        }
        contexts.push(context);
    }
    Ok(contexts)
}

fn word(field: &str) -> Option<Word> {
    let mut parts = field.split('#');
    let (text, pos, id, kind) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_target = match kind {
        "0" => false,
        "1" => true,
        _ => return None,
    };
    if parts.next().is_some() || text.is_empty() || id.is_empty() {
        return None;
    }
    Some(Word { id: id.to_owned(), lemma: Lemma { text: text.to_owned(), pos: pos.parse().ok()? }, is_target })
}

/// A text as messages show it: quoted, and cut after sixty characters.
fn shown(text: &str) -> String {
    const SHOWN: usize = 60;
    match text.char_indices().nth(SHOWN) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}…", &text[..end]),
    }
}
