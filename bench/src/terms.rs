//! Suite `terms`: SemRe-Rank on a corpus: precision at N of base scores and of revised ones, against a list of terms that are right.
//!
//! The corpus are the 1,890 passages of `musique-train-openie`; right are the names that a language model found in them
//! (`extracted_entities`), in lower case. Candidates are runs of one to three words that are no function words and occur at least
//! twice, whatever they mean. Base scores are TF-IDF (`frequency * ln(documents / documents with it)`) and C-value (Frantzi,
//! Ananiadou & Mima 2000, with `log2(1 + words)` so that single words have one: Barrón-Cedeño et al. 2009). Seeds are those of the
//! most frequent candidates that are right, as in the paper, where a person looks through them; **all that was
//! looked through is left out of every list that is judged**: what is right there is a seed, so that only what is wrong would be left.
//!
//! Two graphs of related words: `passages`, where each word is related to the words whose neighbours in the passages are most like
//! its own (cosine of positive pointwise mutual information within five words: what the paper has embeddings for), and
//! `thesaurus`, Moby's.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use anyhow::{Context as _, Result};
use clap::Args;
use serde::Deserialize;
use serde_json::json;
use walkprint_cluster::load::store_edges;
use walkprint_cluster::terms::{Document, RevisedTerm, Term, revise, word_importances, words_of};
use walkprint_engine::edges::EdgeList;
use walkprint_engine::graph::NodeOrder;
use walkprint_engine::ids::{ExternalIds, StringTable};
use walkprint_engine::kinds::KindLists;
use walkprint_engine::store::Store;

use crate::figure::{Figure, Quantity};
use crate::graphs::{GraphOptions, Reading, Spec};
use crate::known_graphs::{Known, data_file};
use crate::report::{Output, Report, Sheet, SheetRow};

/// How far down lists are judged.
const DEPTHS: [(usize, Quantity); 6] = [
    (50, ("P@50", "")),
    (100, ("P@100", "")),
    (200, ("P@200", "")),
    (500, ("P@500", "")),
    (1000, ("P@1000", "")),
    (2000, ("P@2000", "")),
];
const MEAN: Quantity = ("mean", "");
const TIME: Quantity = ("time to revise", "s");
/// Candidates have at most so many words, and occur at least so often.
const LONGEST: usize = 3;
const LEAST: usize = 2;
/// How far apart words are neighbours, and how many related words each has.
const WINDOW: usize = 5;
const RELATED: usize = 15;
const RESTART_PROB: f64 = 0.15;

/// Words that carry no meaning of their own.
const FUNCTION_WORDS: &str = "a about above after again against all also although am an and any are as at be became because become \
    been before being below between both but by can could did do does doing down during each either else even ever few for from \
    further had has have having he her here hers herself him himself his how however i if in including into is it its itself just \
    many may me might more most much must my myself neither no nor not now of off often on once one only or other others our ours \
    out over own per same several she should since so some such than that the their theirs them themselves then there these they \
    this those three through thus to too two under until up upon us used using various very via was we well were what when where \
    which while who whom whose why will with within without would yet you your yours";

/// What to measure.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How many of the most frequent candidates are looked through for seeds
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    look_through: u32,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Deserialize)]
struct OpenIe {
    docs: Vec<Passage>,
}

#[derive(Deserialize)]
struct Passage {
    passage: String,
    extracted_entities: Vec<serde_json::Value>,
}

/// The corpus, and what there is to rank.
struct Corpus {
    /// Stretches of words without punctuation or function words between them, by passage.
    runs: Vec<Vec<Vec<String>>>,
    /// Candidates by how often they occur, and in how many passages.
    candidates: BTreeMap<String, (usize, usize)>,
    documents: Vec<Document>,
    right: BTreeSet<String>,
}

/// Runs the suite.
///
/// # Errors
/// When the data are not there.
pub(crate) fn run(options: &Options) -> Result<Report> {
    let file = data_file("musique-train-openie/openie_musique_train_results_ner_gpt-3.5-turbo-1106_1890.json")?;
    let corpus = Corpus::read(&file)?;
    let looked_through = corpus.most_frequent(options.look_through as usize);
    let seeds = corpus.seeds(&looked_through);
    let directory = tempfile::tempdir().context("could not make a temporary directory")?;
    let mut report = Report::on_several("terms");
    let found = corpus.candidates.keys().filter(|term| corpus.right.contains(*term)).count();
    report.parameters(json!({
        "passages": corpus.documents.len(), "candidates": corpus.candidates.len(), "right": corpus.right.len(),
        "candidates_that_are_right": found, "seeds": seeds.len(), "restart_prob": RESTART_PROB,
    }));
    let graphs = [
        ("passages", corpus.related_words(&directory.path().join("passages.wp"))?),
        ("thesaurus", thesaurus(directory.path())?),
    ];
    let mut rows = Vec::new();
    for (name, terms) in [("TF-IDF", corpus.tf_idf()), ("C-value", corpus.c_values())] {
        let mut base = revise(&terms, &BTreeMap::new());
        base.sort_by_key(|term| term.base_rank);
        corpus.judge(&mut report, &mut rows, format!("{name}, base"), &base, &looked_through);
        for (graph, store) in &graphs {
            let (graph_of_words, labels) = (store.graph()?, store.labels()?);
            let (began, stop) = (Instant::now(), Arc::new(AtomicBool::new(false)));
            let documents = Some(corpus.documents.as_slice());
            let importances = word_importances(&graph_of_words, &labels, RESTART_PROB, &seeds, documents, &stop)?;
            let revised = revise(&terms, &importances.of_words);
            let case = format!("{name}, revised by {graph}");
            report.figure(Figure::single(&case, TIME.0, TIME.1, began.elapsed().as_secs_f64()));
            corpus.judge(&mut report, &mut rows, case, &revised, &looked_through);
        }
    }
    for (name, store) in &graphs {
        let options = GraphOptions { graph: Spec::Store(store.path().to_owned()), reading: Reading::default(), key: 0 };
        report.graphs.push(options.store(store.path())?.1.named(&format!("related words, {name}")));
    }
    let mut columns: Vec<Quantity> = DEPTHS.iter().map(|(_, quantity)| *quantity).collect();
    columns.extend([MEAN, TIME]);
    report.sheets.push(Sheet {
        title: "Precision at N, without what was looked through for seeds".to_owned(),
        caption: "Right: names that a language model extracted from the same passages.".to_owned(),
        rows,
        word_columns: Vec::new(),
        columns,
        folded: false,
    });
    Ok(report)
}

/// Moby's thesaurus, walked both ways.
fn thesaurus(directory: &Path) -> Result<Store> {
    let options = Known::MobyThesaurus.options(directory, 0)?;
    let reading = Reading { undirected: true, ..options.reading };
    Ok(GraphOptions { reading, ..options }.store(&directory.join("thesaurus.wp"))?.0)
}

impl Corpus {
    fn read(path: &Path) -> Result<Corpus> {
        let text = std::fs::read_to_string(path).with_context(|| format!("{}: could not read", path.display()))?;
        // Python writes numbers that are none like this, which JSON has no word for.
        let text = text.replace(": NaN", ": null");
        let OpenIe { docs } =
            serde_json::from_str(&text).with_context(|| format!("{}: could not parse", path.display()))?;
        let names = docs.iter().flat_map(|passage| &passage.extracted_entities).filter_map(serde_json::Value::as_str);
        let right = names.map(|name| words_of(name).join(" ")).filter(|name| !name.is_empty()).collect();
        Ok(Corpus::new(docs.iter().map(|passage| runs_of(&passage.passage)).collect(), right))
    }

    fn new(runs: Vec<Vec<Vec<String>>>, right: BTreeSet<String>) -> Corpus {
        let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
        let mut documents = Vec::new();
        for (number, runs) in runs.iter().enumerate() {
            let mut terms = BTreeSet::new();
            for term in runs.iter().flat_map(|run| terms_in(run)) {
                counts.entry(term.clone()).or_default().0 += 1;
                terms.insert(term);
            }
            terms.iter().for_each(|term| counts.entry(term.clone()).or_default().1 += 1);
            documents.push(Document { id: number.to_string(), terms });
        }
        counts.retain(|_, (times, _)| LEAST <= *times);
        documents.iter_mut().for_each(|document| document.terms.retain(|term| counts.contains_key(term)));
        Corpus { runs, candidates: counts, documents, right }
    }

    /// The right ones among the most frequent candidates.
    fn seeds(&self, looked_through: &BTreeSet<String>) -> Vec<String> {
        looked_through.iter().filter(|term| self.right.contains(*term)).cloned().collect()
    }

    /// The most frequent candidates.
    fn most_frequent(&self, count: usize) -> BTreeSet<String> {
        let mut by_frequency: Vec<(&String, usize)> =
            self.candidates.iter().map(|(term, (times, _))| (term, *times)).collect();
        by_frequency.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        by_frequency.into_iter().take(count).map(|(term, _)| term.clone()).collect()
    }

    fn tf_idf(&self) -> Vec<Term> {
        let documents = self.documents.len() as f64;
        let score = |(times, within): (usize, usize)| times as f64 * (documents / within as f64).ln();
        self.candidates.iter().map(|(term, &counts)| Term { text: term.clone(), base: score(counts) }).collect()
    }

    fn c_values(&self) -> Vec<Term> {
        // Of each candidate, how often longer ones that hold it occur, and how many these are.
        let mut nested: BTreeMap<String, (usize, usize)> = BTreeMap::new();
        for (term, (times, _)) in &self.candidates {
            let words: Vec<String> = term.split(' ').map(str::to_owned).collect();
            for inner in terms_in(&words).into_iter().filter(|inner| inner != term).collect::<BTreeSet<_>>() {
                let (sum, count) = nested.entry(inner).or_default();
                *sum += times;
                *count += 1;
            }
        }
        let value = |term: &str, times: usize| {
            let of_its_own = match nested.get(term) {
                Some(&(sum, count)) => times as f64 - sum as f64 / count as f64,
                None => times as f64,
            };
            (1.0 + term.split(' ').count() as f64).log2() * of_its_own.max(0.0)
        };
        self.candidates
            .iter()
            .map(|(term, (times, _))| Term { text: term.clone(), base: value(term, *times) })
            .collect()
    }

    /// Words that have like neighbours, as a store with an edge both ways.
    fn related_words(&self, place: &Path) -> Result<Store> {
        let mut together: BTreeMap<(&str, &str), f64> = BTreeMap::new();
        for run in self.runs.iter().flatten() {
            for (at, word) in run.iter().enumerate() {
                for other in run.iter().skip(at + 1).take(WINDOW).filter(|other| *other != word) {
                    *together.entry((word, other)).or_default() += 1.0;
                    *together.entry((other, word)).or_default() += 1.0;
                }
            }
        }
        let mut sums: BTreeMap<&str, f64> = BTreeMap::new();
        together.iter().for_each(|((word, _), times)| *sums.entry(word).or_default() += times);
        let all: f64 = sums.values().sum();
        let mut vectors: BTreeMap<&str, Vec<(&str, f64)>> = BTreeMap::new();
        for ((word, other), times) in &together {
            let information = (times * all / (sums[word] * sums[other])).ln();
            if 0.0 < information {
                vectors.entry(word).or_default().push((other, information));
            }
        }
        let mut holders: BTreeMap<&str, Vec<(&str, f64)>> = BTreeMap::new();
        for (word, vector) in &mut vectors {
            let length = vector.iter().map(|(_, value)| value * value).sum::<f64>().sqrt();
            vector.iter_mut().for_each(|(_, value)| *value /= length);
            vector.iter().for_each(|&(other, value)| holders.entry(other).or_default().push((word, value)));
        }
        let mut pairs = BTreeSet::new();
        for (word, vector) in &vectors {
            let mut alike: BTreeMap<&str, f64> = BTreeMap::new();
            for (other, value) in vector {
                holders[other].iter().for_each(|(like, theirs)| *alike.entry(like).or_default() += value * theirs);
            }
            let mut alike: Vec<(&str, f64)> = alike.into_iter().filter(|(like, _)| like != word).collect();
            alike.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(b.0)));
            pairs.extend(alike.into_iter().take(RELATED).flat_map(|(like, _)| [(*word, like), (like, *word)]));
        }
        let words: BTreeSet<&str> = pairs.iter().map(|(word, _)| *word).collect();
        let ranks: BTreeMap<&str, u32> = words.iter().copied().zip(0..).collect();
        let mut table = StringTable::default();
        words.iter().for_each(|word| table.push(word));
        let edges = EdgeList {
            ids: ExternalIds::Strings(table),
            sources: pairs.iter().map(|(word, _)| ranks[word]).collect(),
            targets: pairs.iter().map(|(_, like)| ranks[like]).collect(),
            weights: None,
            kinds: KindLists::default(),
        };
        Ok(store_edges(place, edges, NodeOrder::default())?)
    }

    /// Precision of a list, best first, without what was looked through for seeds.
    fn judge(
        &self,
        report: &mut Report,
        rows: &mut Vec<SheetRow>,
        case: String,
        list: &[RevisedTerm],
        looked_through: &BTreeSet<String>,
    ) {
        let judged: Vec<bool> = list
            .iter()
            .filter(|term| !looked_through.contains(&term.term))
            .map(|term| self.right.contains(&term.term))
            .collect();
        let mut sum = 0.0;
        for (depth, (name, unit)) in DEPTHS {
            let right = judged.iter().take(depth).filter(|right| **right).count();
            let precision = right as f64 / depth as f64;
            sum += precision;
            report.figure(Figure::single(&case, name, unit, precision));
        }
        report.figure(Figure::single(&case, MEAN.0, MEAN.1, sum / DEPTHS.len() as f64));
        rows.push(SheetRow { case: case.clone(), name: case, words: Vec::new(), ours: true });
    }
}

/// The stretches of words of a text that no punctuation and no function word interrupts.
fn runs_of(text: &str) -> Vec<Vec<String>> {
    let function: BTreeSet<&str> = FUNCTION_WORDS.split_whitespace().collect();
    let mut runs = vec![Vec::new()];
    for token in text.split_whitespace() {
        let (opens, ends) =
            (token.starts_with(['(', '"', '[']), token.ends_with([',', '.', ';', ':', ')', '"', ']', '!', '?']));
        if opens {
            runs.push(Vec::new());
        }
        for word in words_of(token) {
            if function.contains(word.as_str()) {
                runs.push(Vec::new());
            } else if let Some(run) = runs.last_mut() {
                run.push(word);
            }
        }
        if ends {
            runs.push(Vec::new());
        }
    }
    runs.retain(|run| !run.is_empty());
    runs
}

/// All runs of one to three words in a stretch.
fn terms_in(run: &[String]) -> Vec<String> {
    (1..=LONGEST).flat_map(|words| run.windows(words).map(|words| words.join(" "))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_ends_at_punctuation_and_function_words() {
        let runs = runs_of("The Journal of Mathematical Physics (1960) is red, blue.");
        assert_eq!(runs, [vec!["journal"], vec!["mathematical", "physics"], vec!["1960"], vec!["red"], vec!["blue"]]);
    }

    #[test]
    fn base_scores_are_what_their_formulas_say() {
        let run = |text: &str| vec![text.split(' ').map(str::to_owned).collect::<Vec<_>>()];
        let corpus = Corpus::new(vec![run("red cell"), run("red cell"), run("cell"), run("other")], BTreeSet::new());
        assert_eq!(
            corpus.candidates,
            BTreeMap::from([("cell".to_owned(), (3, 3)), ("red".to_owned(), (2, 2)), ("red cell".to_owned(), (2, 2)),])
        );
        let of = |terms: Vec<Term>| terms.into_iter().map(|term| term.base).collect::<Vec<_>>();
        let expected = [3.0 * (4.0f64 / 3.0).ln(), 2.0 * 2f64.ln(), 2.0 * 2f64.ln()];
        assert_eq!(of(corpus.tf_idf()), expected);
        assert_eq!(of(corpus.c_values()), [1.0, 0.0, 2.0 * 3f64.log2()], "cell has one of its own, red has none");
    }
}
