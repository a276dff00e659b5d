//! Which senses a lemma has.

use std::collections::BTreeMap;
use std::path::Path;

use walkprint_engine::ids::NodeId;
use walkprint_engine::labels::Labels;
use walkprint_loaders::read_text;

use crate::error::{Error, Result};

/// A lemma with its part of speech, `n`, `v`, `a` or `r`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lemma {
    /// The lemma, as dictionary and contexts write it: lower case, `_` for blanks.
    pub text: String,
    /// The part of speech.
    pub pos: char,
}

/// A sense of a lemma.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Entry {
    /// The node of the graph.
    pub node: NodeId,
    /// How often the lemma was counted to have this sense; 0 where the dictionary has no counts.
    pub count: f64,
}

/// Which senses lemmas have, in the order of the dictionary: by custom, the most frequent first.
#[derive(Debug, Default)]
pub struct Dictionary {
    entries: BTreeMap<Lemma, Vec<Entry>>,
    /// Senses that are no nodes of the graph, and were left out.
    unknown: usize,
}

impl Dictionary {
    /// Reads a dictionary in UKB's form: in each line a lemma and its senses, `bank 08420278-n:20 09213565-n:25 02312060-v:4`,
    /// each perhaps with a count. What stands behind the last `-` of a sense is its part of speech. Senses that are no nodes of
    /// the graph are left out and counted ([`Dictionary::unknown`]); if all are, that is an error.
    ///
    /// # Errors
    /// When the file cannot be read, a line is not what it should be, or no sense is a node.
    pub fn read(path: &Path, labels: &Labels) -> Result<Dictionary> {
        let mut dictionary = Dictionary::default();
        let text = read_text(path)?;
        for (line, text) in (1..).zip(text.lines()).filter(|(_, text)| !text.trim().is_empty()) {
            dictionary.add_line(text, labels)?.map_err(|(expected, got)| line_error(path, line, expected, got))?;
        }
        if dictionary.entries.is_empty() {
            let got = format!("{} senses, none of which is one", dictionary.unknown);
            return Err(walkprint_loaders::Error::File {
                path: path.to_owned(),
                expected: "senses that are nodes of the graph".into(),
                got,
            }
            .into());
        }
        Ok(dictionary)
    }

    /// The inner error says what was expected and what was there.
    fn add_line(&mut self, text: &str, labels: &Labels) -> Result<std::result::Result<(), (&'static str, String)>> {
        let mut fields = text.split_whitespace();
        let (Some(lemma), senses) = (fields.next(), fields) else { return Ok(Ok(())) };
        let mut any = false;
        for field in senses {
            any = true;
            let (id, count) = match field.rsplit_once(':') {
                None => (field, 0.0),
                Some((id, count)) => {
                    match count.parse::<f64>().ok().filter(|count| (0.0..f64::INFINITY).contains(count)) {
                        Some(count) => (id, count),
                        None => {
                            return Ok(Err((
                                "a count that is finite and not negative behind the sense",
                                format!("{field:?}"),
                            )));
                        }
                    }
                }
            };
            let pos = id.rsplit_once('-').and_then(|(_, pos)| pos.parse::<char>().ok());
            let Some(pos) = pos else {
                return Ok(Err(("a sense that ends with - and a part of speech", format!("{field:?}"))));
            };
            match labels.node(id)? {
                Some(node) => self.add(Lemma { text: lemma.to_owned(), pos }, Entry { node, count }),
                None => self.unknown += 1,
            }
        }
        Ok(if any { Ok(()) } else { Err(("senses behind the lemma", format!("{text:?}"))) })
    }

    /// Adds a sense to a lemma, behind those that it has; one that it has already is left as it is.
    pub fn add(&mut self, lemma: Lemma, entry: Entry) {
        let senses = self.entries.entry(lemma).or_default();
        if senses.iter().all(|sense| sense.node != entry.node) {
            senses.push(entry);
        }
    }

    /// The senses of a lemma; none if the dictionary does not have it.
    #[must_use]
    pub fn senses(&self, lemma: &Lemma) -> &[Entry] {
        self.entries.get(lemma).map_or(&[], Vec::as_slice)
    }

    /// How many lemmas there are, parts of speech told apart.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True when there is no lemma.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many senses were left out because they are no nodes of the graph.
    #[must_use]
    pub fn unknown(&self) -> usize {
        self.unknown
    }
}

/// What is wrong with a line of a file.
pub(super) fn line_error(path: &Path, line: u64, expected: &'static str, got: String) -> Error {
    walkprint_loaders::Error::Line { path: path.to_owned(), line, expected: expected.into(), got }.into()
}
