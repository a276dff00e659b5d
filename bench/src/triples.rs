//! Suite `triples`: FB15k-237, the rank of each test triple's tail from its head and relation, by walks along typed edges.
//!
//! Candidates are all entities; other tails that are known to be right, in train, valid or test, are left out (the filtered
//! setting); ties count half. Everything is learned from train alone, and settings are chosen on a part of valid. Edges go both
//! ways, an inverse one with a type of its own.
//!
//! | case | score of an entity `t` for head `h` and relation `r` |
//! |---|---|
//! | frequent tails | how often `t` is a tail of `r` in train: no walk |
//! | untyped walk | personalized PageRank from `h`, all edges alike |
//! | typed walk | the same where an edge of type `k` weighs `w_r(k)` |
//! | ... and a last step | `sum over x: q_h(x) P_r(x, t)`: from where the walk is, one more step along an edge of `r` |
//!
//! `w_r(k)` is how much likelier a walk from the heads of `r` comes to a tail of `r` behind an edge of type `k` than behind any
//! edge, to a power: with `f` the personalized PageRank of the heads, `b(y)` the chance that a walk from `y` ends in a tail,
//!
//! ```text
//! w_r(k) = ( (sum over edges x -> y of type k: f(x) P(x, y) b(y) + c m) / (sum: f(x) P(x, y) + c) / m ) ^ power
//! ```
//!
//! where `m` is the same quotient over all edges, and `c` a small constant that holds rarely used types near it. Both sums are
//! linear in the edges, so that all types of a relation take two answers. Each relation is a graph of its own, asked for all its
//! heads in blocks.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result};
use clap::Args;
use flate2::read::GzDecoder;
use serde_json::json;
use walkprint_engine::edges::EdgeList;
use walkprint_engine::graph::Graph;
use walkprint_engine::ids::{ExternalIds, NodeId};
use walkprint_engine::kinds::KindLists;
use walkprint_engine::labels::Labels;
use walkprint_engine::query::{Answerer, Dangling, Method, Question, Seeds};

use crate::figure::{Figure, Quantity};
use crate::known_graphs::data_file;
use crate::report::{Output, Report, Sheet, SheetRow};

/// Quantities.
const MRR: Quantity = ("MRR", "");
const HITS: Quantity = ("Hits@10", "");
const FIRST: Quantity = ("Hits@1", "");
const TIME: Quantity = ("time per question", "ms");
/// L1 error of the answers.
const PRECISION: f64 = 1e-4;
/// What holds rarely used types near the mean: a thousandth of the walks from the heads.
const PRIOR: f64 = 1e-3;
/// Settings that are tried on valid.
const RESTARTS: [f64; 3] = [0.15, 0.4, 0.7];
const POWERS: [f64; 2] = [1.0, 2.0];
/// Ranks that count as hits.
const TOP: f64 = 10.0;

/// What to measure.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How many triples of valid settings are chosen on
    #[arg(long, default_value_t = 1500, value_parser = clap::value_parser!(u32).range(1..))]
    validation: u32,
    /// How many test triples to ask about [default: all]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    test: Option<u32>,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// Head, relation, tail.
type Triple = [u32; 3];

/// The data set.
struct Data {
    entities: usize,
    relations: usize,
    train: Vec<Triple>,
    valid: Vec<Triple>,
    test: Vec<Triple>,
    /// All tails of a head and relation, in all parts.
    known: BTreeMap<(u32, u32), BTreeSet<u32>>,
    /// Ends and types of all edges, inverse ones included.
    sources: Vec<u32>,
    targets: Vec<u32>,
    types: Vec<usize>,
}

/// How tails are scored.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Walk {
    /// How often they are tails.
    Frequency,
    /// A walk; typed with a power, or untyped.
    From { restart_prob: f64, power: Option<f64>, last_step: bool },
}

/// What came of some triples.
#[derive(Debug, Default)]
struct Ranks {
    ranks: Vec<f64>,
    seconds: f64,
    questions: usize,
}

/// Runs the suite.
///
/// # Errors
/// When the data are not there.
pub(crate) fn run(options: &Options) -> Result<Report> {
    let data = Data::read(&data_file("FB15k-237/FB15k-237.tar.gz")?)?;
    let mut report = Report::on_several("triples");
    let validation = spread(&data.valid, options.validation as usize);
    let test = spread(&data.test, options.test.map_or(usize::MAX, |count| count as usize));
    let mut rows = Vec::new();
    let mut chosen = BTreeMap::new();
    for (name, typed, last_step) in [
        ("untyped walk", false, false),
        ("untyped walk and a last step", false, true),
        ("typed walk", true, false),
        ("typed walk and a last step", true, true),
    ] {
        let mut best: Option<(f64, Walk)> = None;
        for restart_prob in RESTARTS {
            for power in if typed { POWERS.map(Some).to_vec() } else { vec![None] } {
                let walk = Walk::From { restart_prob, power, last_step };
                let reached = data.ranks(&validation, walk)?.mrr();
                if best.is_none_or(|(mrr, _)| mrr < reached) {
                    best = Some((reached, walk));
                }
            }
        }
        let (mrr, walk) = best.context("settings to choose from")?;
        chosen.insert(name, (walk, mrr));
    }
    report.parameters(json!({
        "entities": data.entities, "relations": data.relations, "train": data.train.len(), "test": test.len(),
        "validation": validation.len(), "precision": PRECISION,
        "chosen": chosen.iter().map(|(name, (walk, mrr))| (*name, json!({"walk": format!("{walk:?}"), "validation_mrr": mrr}))).collect::<BTreeMap<_, _>>(),
    }));
    let mut cases = vec![("frequent tails", Walk::Frequency)];
    cases.extend(chosen.iter().map(|(&name, &(walk, _))| (name, walk)));
    cases.sort_by_key(|(name, _)| (name.starts_with("typed"), *name));
    for (name, walk) in cases {
        let ranks = data.ranks(&test, walk)?;
        for ((quantity, unit), value) in [
            (MRR, ranks.mrr()),
            (HITS, ranks.share(TOP)),
            (FIRST, ranks.share(1.0)),
            (TIME, 1e3 * ranks.seconds / ranks.questions.max(1) as f64),
        ] {
            report.figure(Figure::single(name, quantity, unit, value));
        }
        rows.push(SheetRow { case: name.to_owned(), name: name.to_owned(), words: Vec::new(), ours: true });
    }
    report.sheets.push(Sheet {
        title: "FB15k-237, tails of test triples, filtered".to_owned(),
        caption: "Everything learned from train; restart probability and power chosen on valid.".to_owned(),
        rows,
        word_columns: Vec::new(),
        columns: vec![MRR, HITS, FIRST, TIME],
        folded: false,
    });
    report.note("a question is a head and a relation; its time has its part of weighing edges and building the relation's graph");
    Ok(report)
}

/// So many triples, evenly spread over all.
fn spread(triples: &[Triple], count: usize) -> Vec<Triple> {
    let count = count.min(triples.len());
    (0..count).map(|at| triples[at * triples.len() / count]).collect()
}

impl Data {
    fn read(archive: &Path) -> Result<Data> {
        let failed = || format!("{}: could not read", archive.display());
        let bytes = std::fs::read(archive).with_context(failed)?;
        let mut tar = Vec::new();
        GzDecoder::new(bytes.as_slice()).read_to_end(&mut tar).with_context(failed)?;
        let (mut entities, mut relations) = (BTreeMap::new(), BTreeMap::new());
        let mut part = |name: &str| -> Result<Vec<Triple>> {
            let text = member(&tar, name).with_context(|| format!("{}: no {name} in it", archive.display()))?;
            let text = std::str::from_utf8(text).with_context(failed)?;
            let number = |names: &mut BTreeMap<String, u32>, name: &str| {
                let next = u32::try_from(names.len()).expect("far fewer than 2^32 names");
                *names.entry(name.to_owned()).or_insert(next)
            };
            let triple = |line: &str| -> Result<Triple> {
                let mut fields = line.split('\t');
                let (Some(head), Some(relation), Some(tail)) = (fields.next(), fields.next(), fields.next()) else {
                    anyhow::bail!("{}: {name}: expected three fields, got {line:?}", archive.display());
                };
                let head = number(&mut entities, head);
                Ok([head, number(&mut relations, relation), number(&mut entities, tail)])
            };
            text.lines().map(triple).collect()
        };
        let (train, valid, test) = (part("train.txt")?, part("valid.txt")?, part("test.txt")?);
        let mut known: BTreeMap<(u32, u32), BTreeSet<u32>> = BTreeMap::new();
        for &[head, relation, tail] in train.iter().chain(&valid).chain(&test) {
            known.entry((head, relation)).or_default().insert(tail);
        }
        let ends = |from: usize, to: usize| train.iter().map(move |triple| (triple[from], triple[to]));
        let (sources, targets) = ends(0, 2).chain(ends(2, 0)).unzip();
        let types = train.iter().map(|triple| triple[1] as usize);
        let types = types.clone().chain(types.map(|kind| kind + relations.len())).collect();
        let (entities, relations) = (entities.len(), relations.len());
        Ok(Data { entities, relations, train, valid, test, known, sources, targets, types })
    }

    /// The graph in which an edge weighs as much as its type.
    fn graph(&self, weights: Option<&[f64]>) -> Result<(Graph, Labels)> {
        let ids = ExternalIds::Integers((0..self.entities as i64).collect());
        let weights = weights.map(|weights| self.types.iter().map(|&kind| weights[kind]).collect());
        let (sources, targets) = (self.sources.clone(), self.targets.clone());
        let labels = Labels::in_order(&ids)?;
        Ok((Graph::in_memory(EdgeList { ids, sources, targets, weights, kinds: KindLists::default() })?, labels))
    }

    /// The ranks of the tails.
    fn ranks(&self, triples: &[Triple], walk: Walk) -> Result<Ranks> {
        let mut by_relation: BTreeMap<u32, Vec<Triple>> = BTreeMap::new();
        triples.iter().for_each(|triple| by_relation.entry(triple[1]).or_default().push(*triple));
        let untyped = match walk {
            Walk::Frequency => None,
            Walk::From { .. } => Some(self.graph(None)?),
        };
        let mut out_degrees = vec![0.0; self.entities];
        self.sources.iter().for_each(|&source| out_degrees[source as usize] += 1.0);
        let (mut found, all) = (Ranks::default(), (0..).take(self.entities).collect::<Vec<NodeId>>());
        for (relation, triples) in by_relation {
            let began = Instant::now();
            let heads: Vec<u32> = triples.iter().map(|triple| triple[0]).collect::<BTreeSet<_>>().into_iter().collect();
            let scores = match (walk, &untyped) {
                (Walk::From { restart_prob, power, last_step }, Some(untyped)) => {
                    let mut scores = match power {
                        None => scores_of(untyped, restart_prob, &heads, &all)?,
                        Some(power) => {
                            let weights = self.type_weights(untyped, &out_degrees, relation, restart_prob, power)?;
                            scores_of(&self.graph(Some(&weights))?, restart_prob, &heads, &all)?
                        }
                    };
                    if last_step {
                        scores.iter_mut().for_each(|scores| *scores = self.step(relation, scores));
                    }
                    scores
                }
                _ => vec![self.frequencies(relation); heads.len()],
            };
            for &[head, _, tail] in &triples {
                let at = heads.binary_search(&head).expect("heads are those of the triples");
                found.ranks.push(rank(&scores[at], tail, &self.known[&(head, relation)]));
            }
            found.questions += heads.len();
            found.seconds += began.elapsed().as_secs_f64();
        }
        Ok(found)
    }

    /// What an edge of each type weighs for a relation: see the module.
    fn type_weights(
        &self,
        untyped: &(Graph, Labels),
        out_degrees: &[f64],
        relation: u32,
        restart_prob: f64,
        power: f64,
    ) -> Result<Vec<f64>> {
        let of_relation = || self.train.iter().filter(|triple| triple[1] == relation);
        let heads: Vec<(NodeId, f64)> = of_relation().map(|triple| (triple[0], 1.0)).collect();
        if heads.is_empty() {
            return Ok(vec![1.0; 2 * self.relations]);
        }
        let tails: BTreeSet<NodeId> = of_relation().map(|triple| triple[2]).collect();
        let from_heads = self.scores(untyped, restart_prob, heads)?;
        // Edges go both ways: deg(x) q_x(y) = deg(y) q_y(x), so that walks to the tails are walks from them.
        let weighted = tails.iter().map(|&tail| (tail, out_degrees[tail as usize])).collect();
        let from_tails = self.scores(untyped, restart_prob, weighted)?;
        let mass: f64 = tails.iter().map(|&tail| out_degrees[tail as usize]).sum();
        let (mut through, mut reached) = (vec![0.0; 2 * self.relations], vec![0.0; 2 * self.relations]);
        for ((&source, &target), &kind) in self.sources.iter().zip(&self.targets).zip(&self.types) {
            let flow = from_heads[source as usize] / out_degrees[source as usize];
            through[kind] += flow;
            reached[kind] += flow * from_tails[target as usize] * mass / out_degrees[target as usize];
        }
        let mean = reached.iter().sum::<f64>() / through.iter().sum::<f64>();
        let weight = |(through, reached): (f64, f64)| ((reached + PRIOR * mean) / (through + PRIOR) / mean).powf(power);
        Ok(through.into_iter().zip(reached).map(weight).collect())
    }

    fn scores(
        &self,
        (graph, labels): &(Graph, Labels),
        restart_prob: f64,
        seeds: Vec<(NodeId, f64)>,
    ) -> Result<Vec<f64>> {
        let mut answerer = Answerer::new(graph, labels, None, restart_prob)?;
        let seeds = Seeds::from_weights(self.entities, seeds)?;
        let question =
            Question { method: Method::Exact, dangling: Dangling::Drop, residual: 1e-6, ..Question::new(seeds) };
        Ok(answerer.scores(&question)?.scores)
    }

    /// How often each entity is a tail of a relation.
    fn frequencies(&self, relation: u32) -> Vec<f64> {
        let mut counts = vec![0.0; self.entities];
        self.train.iter().filter(|triple| triple[1] == relation).for_each(|triple| counts[triple[2] as usize] += 1.0);
        counts
    }

    /// One more step along the edges of a relation.
    fn step(&self, relation: u32, scores: &[f64]) -> Vec<f64> {
        let of_relation = || self.train.iter().filter(|triple| triple[1] == relation);
        let mut degrees: BTreeMap<u32, f64> = BTreeMap::new();
        of_relation().for_each(|triple| *degrees.entry(triple[0]).or_default() += 1.0);
        let mut next = vec![0.0; self.entities];
        of_relation().for_each(|triple| next[triple[2] as usize] += scores[triple[0] as usize] / degrees[&triple[0]]);
        next
    }
}

/// The scores of all entities for each head.
fn scores_of(
    (graph, labels): &(Graph, Labels),
    restart_prob: f64,
    heads: &[u32],
    all: &[NodeId],
) -> Result<Vec<Vec<f64>>> {
    let mut answerer = Answerer::new(graph, labels, None, restart_prob)?;
    let question = |&head: &u32| Question {
        method: Method::Block,
        dangling: Dangling::Drop,
        precision: Some(PRECISION),
        ..Question::new(Seeds::single(head))
    };
    let questions: Vec<Question> = heads.iter().map(question).collect();
    Ok(answerer.scores_at(&questions, &vec![all; heads.len()])?)
}

/// The rank of a tail among all entities without the others that are known; ties count half.
fn rank(scores: &[f64], tail: u32, known: &BTreeSet<u32>) -> f64 {
    let score = scores[tail as usize];
    let places = |other: f64| {
        if score < other {
            1.0
        } else if score == other {
            0.5
        } else {
            0.0
        }
    };
    let all: f64 = scores.iter().copied().map(places).sum();
    let left_out: f64 = known.iter().map(|&other| places(scores[other as usize])).sum();
    // The tail itself is among the known, and tied with itself.
    1.0 + all - left_out
}

impl Ranks {
    fn mrr(&self) -> f64 {
        self.ranks.iter().map(|rank| rank.recip()).sum::<f64>() / self.ranks.len().max(1) as f64
    }

    fn share(&self, most: f64) -> f64 {
        self.ranks.iter().filter(|&&rank| rank <= most).count() as f64 / self.ranks.len().max(1) as f64
    }
}

/// The bytes of a file in a tar archive: POSIX ustar, headers of 512 bytes with the name at 0 and the size, octal, at 124.
fn member<'t>(tar: &'t [u8], name: &str) -> Option<&'t [u8]> {
    const HEADER: usize = 512;
    let mut rest = tar;
    while let Some((header, after)) = rest.split_at_checked(HEADER) {
        let text = |bytes: &'t [u8]| std::str::from_utf8(bytes).ok().map(|text| text.trim_matches(['\0', ' ']));
        let own = header[..100].split(|&byte| byte == 0).next()?;
        let size = usize::from_str_radix(text(&header[124..136])?, 8).ok()?;
        let own = std::str::from_utf8(own).ok()?;
        if Path::new(own).file_name().is_some_and(|file| file == name) {
            return after.get(..size);
        }
        rest = after.get(size.next_multiple_of(HEADER)..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rank_leaves_other_known_tails_out_and_halves_ties() {
        let scores = [0.5, 0.4, 0.4, 0.3, 0.4];
        assert_eq!(rank(&scores, 3, &BTreeSet::from([3])), 5.0);
        assert_eq!(rank(&scores, 3, &BTreeSet::from([0, 3])), 4.0);
        assert_eq!(rank(&scores, 1, &BTreeSet::from([1])), 3.0, "one above, two tied");
        assert_eq!(rank(&scores, 1, &BTreeSet::from([1, 2])), 2.5);
    }

    #[test]
    fn a_member_of_an_archive_is_found_by_its_name() {
        let mut tar = Vec::new();
        for (name, content) in [("a/x.txt", "one"), ("a/train.txt", "a\tr\tb\r\n")] {
            let mut header = vec![0; 512];
            header[..name.len()].copy_from_slice(name.as_bytes());
            header[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
            tar.extend(header);
            tar.extend(content.as_bytes());
            tar.resize(tar.len().next_multiple_of(512), 0);
        }
        assert_eq!(member(&tar, "train.txt"), Some(b"a\tr\tb\r\n".as_slice()));
        assert_eq!(member(&tar, "test.txt"), None);
        assert_eq!(member(&tar[..600], "train.txt"), None);
    }
}
