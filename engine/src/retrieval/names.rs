//! The names of nodes, and which of them a text names.
//!
//! A text is looked at word by word; at each word the longest name that begins there is taken, and the search goes on behind
//! it. Names are compared in three ways, each only where the one before has found nothing in the whole text:
//!
//! | kind | a name matches where | score |
//! |---|---|---|
//! | `exact` | it stands as it is written, letter for letter | 1 |
//! | `folded` | its words stand, in any case of letters and with any signs between them | 1 |
//! | `overlap` | it shares rare words with the text | the cosine of the two sets of words that names have, a word weighing the square root of `ln(1 + names / names with it)` |
//!
//! That `folded` waits for `exact` keeps `president` from naming a node `President` in a question that names others properly:
//! see ARCHITECTURE.md for what this is worth. Letters are folded by Unicode's lower case, so that `ß` and `SS` differ.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::tokens::{Token, tokens};
use crate::error::Result;
use crate::ids::NodeId;
use crate::labels::Labels;

/// Names of fewer letters are not looked for in a text: they are in every text.
const LEAST_LETTERS: usize = 2;
/// A name that overlaps has at least this score, and is one of so many best.
const LEAST_OVERLAP: f64 = 0.3;
const MOST_OVERLAPS: usize = 3;

/// How a name was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MatchKind {
    /// Letter for letter.
    Exact,
    /// In another case of letters, or with other signs between words.
    Folded,
    /// By words that both have.
    Overlap,
}

/// A node that a text names.
#[derive(Debug, Clone, PartialEq)]
pub struct Match {
    /// The node.
    pub node: NodeId,
    /// How its name was found.
    pub kind: MatchKind,
    /// How sure it is: 1, or for overlaps the cosine.
    pub score: f64,
    /// Where in the text the name begins and ends, in bytes; the whole text for overlaps.
    pub place: (usize, usize),
}

/// The names of some nodes of a graph.
///
/// Memory: about the names themselves twice, and some forty bytes a name and a word.
#[derive(Debug, Clone)]
pub struct Names {
    /// The words of each name with a blank between them, and the node; ascending.
    keys: Vec<(Box<str>, NodeId)>,
    /// Where each word occurs among the keys.
    postings: BTreeMap<Box<str>, Vec<u32>>,
    /// The length of each key as a vector of words.
    norms: Vec<f64>,
}

impl Names {
    /// The names of these nodes. Cost: a look at each id, and a sort.
    ///
    /// # Errors
    /// When the labels are damaged.
    pub fn new(labels: &Labels, nodes: impl Iterator<Item = NodeId>) -> Result<Names> {
        let mut keys = Vec::new();
        for node in nodes {
            let key = folded(&tokens(&name_of(&labels.id(node)?)));
            if !key.is_empty() {
                keys.push((key.into_boxed_str(), node));
            }
        }
        keys.sort_unstable();
        let mut postings: BTreeMap<Box<str>, Vec<u32>> = BTreeMap::new();
        for (place, (key, _)) in (0u32..).zip(&keys) {
            for word in key.split(' ') {
                let places = match postings.get_mut(word) {
                    Some(places) => places,
                    None => postings.entry(word.into()).or_default(),
                };
                // A word counts once a name.
                if places.last() != Some(&place) {
                    places.push(place);
                }
            }
        }
        let mut names = Names { keys, postings, norms: Vec::new() };
        let mut squares = vec![0.0; names.keys.len()];
        for places in names.postings.values() {
            places.iter().for_each(|&place| squares[place as usize] += names.rarity(places.len()));
        }
        names.norms = squares.into_iter().map(f64::sqrt).collect();
        Ok(names)
    }

    /// How many names there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// What a text names, in the order of its words; overlaps by their score. Cost: a few binary searches a word.
    ///
    /// # Errors
    /// When the labels are damaged.
    pub fn in_text(&self, labels: &Labels, text: &str, overlap: bool) -> Result<Vec<Match>> {
        let words = tokens(text);
        for kind in [MatchKind::Exact, MatchKind::Folded] {
            let found = self.longest(labels, text, &words, kind)?;
            if !found.is_empty() {
                return Ok(found);
            }
        }
        Ok(if overlap { self.overlapping(text, &words) } else { Vec::new() })
    }

    /// Which nodes a name names: those whose names it is as a whole. Cost: as [`Names::in_text`].
    ///
    /// # Errors
    /// When the labels are damaged.
    pub fn named(&self, labels: &Labels, name: &str, overlap: bool) -> Result<Vec<Match>> {
        if let Some(node) = labels.node(name)? {
            return Ok(vec![Match { node, kind: MatchKind::Exact, score: 1.0, place: (0, name.len()) }]);
        }
        let words = tokens(name);
        let nodes = self.with_key(&folded(&words));
        if !nodes.is_empty() {
            let mut exact = Vec::new();
            for &(_, node) in nodes {
                if name_of(&labels.id(node)?) == name {
                    exact.push(node);
                }
            }
            let kind = if exact.is_empty() { MatchKind::Folded } else { MatchKind::Exact };
            let nodes = if exact.is_empty() { nodes.iter().map(|&(_, node)| node).collect() } else { exact };
            let found = nodes.into_iter().map(|node| Match { node, kind, score: 1.0, place: (0, name.len()) });
            return Ok(found.collect());
        }
        Ok(if overlap { self.overlapping(name, &words) } else { Vec::new() })
    }

    fn longest(&self, labels: &Labels, text: &str, words: &[Token], kind: MatchKind) -> Result<Vec<Match>> {
        let mut found: Vec<Match> = Vec::new();
        let mut first = 0;
        while first < words.len() {
            let (mut longest, mut nodes) = (first, Vec::new());
            let mut key = String::new();
            for (last, word) in words.iter().enumerate().skip(first) {
                if last != first {
                    key.push(' ');
                }
                key.push_str(&word.text);
                let (start, end) = (words[first].start, word.end);
                if LEAST_LETTERS <= text[start..end].chars().count() {
                    let here = self.with_key(&key).iter().map(|&(_, node)| node);
                    let here = match kind {
                        MatchKind::Exact => {
                            let is_written = |&node: &NodeId| {
                                let id = labels.id(node)?;
                                let name = name_of(&id);
                                Ok(name.trim_matches(|letter: char| !letter.is_alphanumeric()) == &text[start..end])
                            };
                            keep(here, is_written)?
                        }
                        _ => here.collect(),
                    };
                    if !here.is_empty() {
                        (longest, nodes) = (last, here);
                    }
                }
                if !self.begins_any(&key) {
                    break;
                }
            }
            let place = (words[first].start, words[longest].end);
            for node in nodes {
                if !found.iter().any(|known| known.node == node) {
                    found.push(Match { node, kind, score: 1.0, place });
                }
            }
            first = longest + 1;
        }
        Ok(found)
    }

    /// The names that share the most with a text.
    fn overlapping(&self, text: &str, words: &[Token]) -> Vec<Match> {
        let words: std::collections::BTreeSet<&str> = words.iter().map(|word| word.text.as_str()).collect();
        let mut shared: BTreeMap<u32, f64> = BTreeMap::new();
        let mut square = 0.0;
        for word in words {
            // Words that no name has say nothing about which name is meant, nor do single letters.
            let Some(places) = self.postings.get(word).filter(|_| LEAST_LETTERS <= word.chars().count()) else {
                continue;
            };
            let rarity = self.rarity(places.len());
            square += rarity;
            places.iter().for_each(|&place| *shared.entry(place).or_default() += rarity);
        }
        let norm = square.sqrt();
        let mut scored: Vec<(f64, u32)> = shared
            .into_iter()
            .map(|(place, sum)| ((sum / (norm * self.norms[place as usize])).min(1.0), place))
            .filter(|&(score, _)| LEAST_OVERLAP <= score)
            .collect();
        scored.sort_by(|one, other| other.0.total_cmp(&one.0).then(one.1.cmp(&other.1)));
        let found = scored.into_iter().take(MOST_OVERLAPS).map(|(score, place)| {
            let (_, node) = self.keys[place as usize];
            Match { node, kind: MatchKind::Overlap, score, place: (0, text.len()) }
        });
        found.collect()
    }

    fn with_key(&self, key: &str) -> &[(Box<str>, NodeId)] {
        let start = self.keys.partition_point(|(known, _)| &**known < key);
        let end = start + self.keys[start..].partition_point(|(known, _)| &**known == key);
        &self.keys[start..end]
    }

    /// Whether a longer name begins with these words.
    fn begins_any(&self, key: &str) -> bool {
        let behind = self.keys.partition_point(|(known, _)| &**known <= key);
        // Blanks sort before all letters and digits, so that longer names come next.
        self.keys
            .get(behind)
            .is_some_and(|(known, _)| known.starts_with(key) && known.as_bytes().get(key.len()) == Some(&b' '))
    }

    /// The weight of a word that so many names have, squared.
    fn rarity(&self, with_it: usize) -> f64 {
        (1.0 + self.keys.len().max(1) as f64 / with_it as f64).ln()
    }
}

/// The name by which people know a node: of an IRI what stands behind the last `/` or `#`, with blanks for underscores; of a
/// literal its text; of anything else the id.
///
/// ```
/// use walkprint_engine::retrieval::name_of;
///
/// assert_eq!(name_of("http://dbpedia.org/resource/Bubye_River"), "Bubye River");
/// assert_eq!(name_of("\"Paris\"@en"), "Paris");
/// assert_eq!(name_of("Harare"), "Harare");
/// ```
#[must_use]
pub fn name_of(id: &str) -> Cow<'_, str> {
    if let Some(rest) = id.strip_prefix('"')
        && let Some(end) = rest.rfind('"')
        && (rest[end + 1..].is_empty() || rest[end + 1..].starts_with(['@', '^']))
    {
        return Cow::Borrowed(&rest[..end]);
    }
    match id.split_once("://") {
        Some((_, path)) => match path.rsplit(['/', '#']).find(|part| !part.is_empty()) {
            Some(local) if local.len() < path.len() => Cow::Owned(local.replace('_', " ")),
            _ => Cow::Borrowed(id),
        },
        None => Cow::Borrowed(id),
    }
}

fn folded(words: &[Token]) -> String {
    words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ")
}

fn keep(nodes: impl Iterator<Item = NodeId>, holds: impl Fn(&NodeId) -> Result<bool>) -> Result<Vec<NodeId>> {
    let mut kept = Vec::new();
    for node in nodes {
        if holds(&node)? {
            kept.push(node);
        }
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ids::{ExternalIds, StringTable};

    fn labels(names: &[&str]) -> Labels {
        let mut table = StringTable::default();
        let names: std::collections::BTreeSet<&str> = names.iter().copied().collect();
        names.iter().for_each(|name| table.push(name));
        Labels::in_order(&ExternalIds::Strings(table)).unwrap()
    }

    fn all(labels: &Labels) -> Names {
        Names::new(labels, 0..u32::try_from(labels.len()).unwrap()).unwrap()
    }

    fn found(names: &[&str], text: &str) -> Vec<(String, MatchKind)> {
        let labels = labels(names);
        let matches = all(&labels).in_text(&labels, text, true).unwrap();
        matches.into_iter().map(|found| (labels.id(found.node).unwrap(), found.kind)).collect()
    }

    fn exact(name: &str) -> (String, MatchKind) {
        (name.to_owned(), MatchKind::Exact)
    }

    #[test]
    fn the_longest_name_counts_and_names_end_with_words() {
        let names = ["New York", "New York City", "York", "City", "Rome", "O"];
        assert_eq!(found(&names, "From New York City to York?"), [exact("New York City"), exact("York")]);
        assert_eq!(found(&names, "New York's best"), [exact("New York")]);
        assert_eq!(found(&names, "Jerome and O"), []);
    }

    #[test]
    fn other_letters_count_only_where_nothing_is_named_exactly() {
        let names = ["President", "Bubye River", "U.S.", "\"Heroes\"", "Ünïcode"];
        assert_eq!(found(&names, "Which president knew the Bubye River?"), [exact("Bubye River")]);
        let folded = |name: &str| (name.to_owned(), MatchKind::Folded);
        assert_eq!(found(&names, "which president of the u s?"), [folded("President"), folded("U.S.")]);
        assert_eq!(found(&names, "who sang Heroes"), [exact("\"Heroes\"")]);
        assert_eq!(found(&names, "ÜNÏCODE"), [folded("Ünïcode")]);
    }

    #[test]
    fn rare_words_count_where_no_name_stands() {
        let names = ["Johnnycake, West Virginia", "West Side", "West End", "West Wing", "Side"];
        let labels = labels(&names);
        let names = all(&labels);
        let matches = names.in_text(&labels, "what county is johnnycake in", true).unwrap();
        assert_eq!(labels.id(matches[0].node).unwrap(), "Johnnycake, West Virginia");
        assert!(matches[0].kind == MatchKind::Overlap && matches[0].score < 1.0, "{matches:?}");
        assert!(names.in_text(&labels, "what county is johnnycake in", false).unwrap().is_empty());
        assert!(names.in_text(&labels, "nothing of all that", true).unwrap().is_empty());
        assert_eq!(names.named(&labels, "west SIDE", false).unwrap()[0].kind, MatchKind::Folded);
        assert_eq!(names.named(&labels, "West Side", false).unwrap()[0].kind, MatchKind::Exact);
        assert_eq!(names.named(&labels, "Side of West", true).unwrap()[0].kind, MatchKind::Overlap);
        assert_eq!(names.named(&labels, "", true).unwrap(), []);
    }

    proptest! {
        /// Oracle: look for every name at every place of the text, written out.
        #[test]
        fn names_are_found_as_by_looking_everywhere(
            names in prop::collection::btree_set("[abA][abA ]{0,4}[abA]", 1..12),
            text in "[abA ,]{0,24}",
        ) {
            let listed: Vec<&str> = names.iter().map(String::as_str).collect();
            let labels = labels(&listed);
            let found = all(&labels).in_text(&labels, &text, false).unwrap();
            let is_word = |at: Option<char>| at.is_some_and(char::is_alphanumeric);
            let ends = |start: usize, end: usize| {
                !is_word(text[..start].chars().next_back()) && !is_word(text[end..].chars().next())
            };
            // By hand: exact, longest first, from the left.
            let (mut at, mut expected) = (0, Vec::new());
            while at < text.len() {
                let here = listed.iter().filter(|name| text[at..].starts_with(**name) && ends(at, at + name.len()));
                match here.max_by_key(|name| name.len()) {
                    Some(name) => {
                        if !expected.contains(name) { expected.push(*name); }
                        at += name.len();
                    }
                    None => at += 1,
                }
            }
            if expected.is_empty() {
                prop_assert!(found.iter().all(|found| found.kind == MatchKind::Folded));
            } else {
                let ids: Vec<String> = found.iter().map(|found| labels.id(found.node).unwrap()).collect();
                prop_assert_eq!(ids, expected);
            }
            for Match { node, place: (start, end), .. } in found {
                let (name, piece) = (labels.id(node).unwrap(), &text[start..end]);
                prop_assert_eq!(folded(&tokens(&name)), folded(&tokens(piece)));
            }
        }
    }
}
