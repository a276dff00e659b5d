//! Terms, seeds and documents, as files have them.

use std::collections::BTreeSet;
use std::path::Path;

use walkprint_loaders::read_text;

use crate::error::{Error, Result};

/// A candidate term.
#[derive(Debug, Clone, PartialEq)]
pub struct Term {
    /// The term, as it was written.
    pub text: String,
    /// Its score by some other method: finite and at least 0.
    pub base: f64,
}

/// Which terms occur together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// What it is called.
    pub id: String,
    /// The terms that occur in it, each once.
    pub terms: BTreeSet<String>,
}

/// The words of a term: lower case, cut at blanks, `_`, `-` and `/`, without what is no letter or digit at either end.
///
/// ```
/// use walkprint_cluster::terms::words_of;
///
/// assert_eq!(words_of("T-cell receptor's"), ["t", "cell", "receptor's"]);
/// assert!(words_of(" - ").is_empty());
/// ```
#[must_use]
pub fn words_of(term: &str) -> Vec<String> {
    let cut = |letter: char| letter.is_whitespace() || matches!(letter, '_' | '-' | '/');
    let words = term.split(cut).map(|word| word.trim_matches(|letter: char| !letter.is_alphanumeric()));
    words.filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

/// Reads terms and their base scores: a term, a tab (or a comma, if the file's name ends with `.csv`, perhaps compressed), and a
/// score in each line. A first line `term`, `score` or the like, whose second field is no number and whose first is `term`, is a
/// header.
///
/// # Errors
/// When the file cannot be read; a line is not what it should be; a score is negative, infinite or no number; a term comes twice;
/// there is none, or none has a score above 0.
pub fn read_terms(path: &Path) -> Result<Vec<Term>> {
    let mut terms: Vec<Term> = Vec::new();
    let mut seen = BTreeSet::new();
    read_pairs(path, "a term and its base score", |line, term, score| {
        let number = score.trim().parse::<f64>();
        if terms.is_empty() && number.is_err() && term.trim().eq_ignore_ascii_case("term") {
            return Ok(());
        }
        let Some(base) = number.ok().filter(|base| (0.0..f64::INFINITY).contains(base)) else {
            return Err(bad_line(path, line, "a base score that is finite and not negative", score));
        };
        if !seen.insert(term.to_owned()) {
            return Err(bad_line(path, line, "each term once", term));
        }
        terms.push(Term { text: term.to_owned(), base });
        Ok(())
    })?;
    if terms.iter().all(|term| term.base == 0.0) {
        let got = if terms.is_empty() { "none" } else { "scores of 0 only" };
        return Err(bad_file(path, "terms with base scores above 0", got));
    }
    Ok(terms)
}

/// Reads terms that are known to be right: one a line; blank lines and lines that begin with `#` are skipped.
///
/// # Errors
/// When the file cannot be read, or has no term.
pub fn read_seeds(path: &Path) -> Result<Vec<String>> {
    let text = read_text(path)?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let seeds: Vec<String> = lines.map(str::to_owned).collect();
    if seeds.is_empty() { Err(bad_file(path, "terms that are known to be right", "none")) } else { Ok(seeds) }
}

/// Reads which terms occur in which document: the id of a document, a tab (or a comma, if the file's name ends with `.csv`), and a
/// term in each line.
///
/// # Errors
/// When the file cannot be read, a line is not what it should be, or there is none.
pub fn read_documents(path: &Path) -> Result<Vec<Document>> {
    let mut documents: Vec<Document> = Vec::new();
    let mut places = std::collections::BTreeMap::new();
    read_pairs(path, "the id of a document and a term that occurs in it", |_, id, term| {
        let place = *places.entry(id.to_owned()).or_insert_with(|| {
            documents.push(Document { id: id.to_owned(), terms: BTreeSet::new() });
            documents.len() - 1
        });
        documents[place].terms.insert(term.to_owned());
        Ok(())
    })?;
    if documents.is_empty() { Err(bad_file(path, "documents and their terms", "none")) } else { Ok(documents) }
}

/// Calls `take` with the two fields of each line.
fn read_pairs(path: &Path, expected: &'static str, mut take: impl FnMut(u64, &str, &str) -> Result<()>) -> Result<()> {
    let text = read_text(path)?;
    let name = path.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    let name = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(&name);
    let is_csv = name.ends_with(".csv");
    let mut reader = csv::ReaderBuilder::new();
    reader.has_headers(false).flexible(true).delimiter(if is_csv { b',' } else { b'\t' }).quoting(is_csv);
    let mut reader = reader.from_reader(text.as_bytes());
    let mut record = csv::StringRecord::new();
    loop {
        let more = reader.read_record(&mut record);
        let line = record.position().map_or(1, csv::Position::line);
        match more {
            Ok(false) => return Ok(()),
            Ok(true) => {}
            Err(error) => return Err(bad_line(path, line, expected, &error.to_string())),
        }
        if record.len() == 1 && record[0].trim().is_empty() {
            continue;
        }
        match (record.get(0), record.get(1), record.get(2)) {
            (Some(first), Some(second), None) if !first.trim().is_empty() && !second.trim().is_empty() => {
                take(line, first, second)?;
            }
            _ => return Err(bad_line(path, line, expected, &record.iter().collect::<Vec<_>>().join("\t"))),
        }
    }
}

fn bad_line(path: &Path, line: u64, expected: &'static str, got: &str) -> Error {
    const SHOWN: usize = 60;
    let got = match got.char_indices().nth(SHOWN) {
        None => format!("{got:?}"),
        Some((end, _)) => format!("{:?}…", &got[..end]),
    };
    walkprint_loaders::Error::Line { path: path.to_owned(), line, expected: expected.into(), got }.into()
}

fn bad_file(path: &Path, expected: &'static str, got: &str) -> Error {
    walkprint_loaders::Error::File { path: path.to_owned(), expected: expected.into(), got: got.to_owned() }.into()
}
