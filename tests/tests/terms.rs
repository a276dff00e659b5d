//! Keeps: **revised scores are those of SemRe-Rank's definition**, by a dense solve for each document; and what is wrong with
//! terms, seeds and documents is said with file and line.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use walkprint_cluster::terms::{
    Document, Term, read_documents, read_seeds, read_terms, revise, word_importances, words_of,
};
use walkprint_engine::edges::EdgeList;
use walkprint_engine::graph::Graph;
use walkprint_engine::ids::{ExternalIds, StringTable};
use walkprint_engine::kinds::KindLists;
use walkprint_engine::labels::Labels;
use walkprint_engine::query::Dangling;
use walkprint_tests::dense;
use walkprint_tests::draws::Draws;
use walkprint_tests::program::run;

const RESTART_PROB: f64 = 0.15;

/// A random undirected graph of the words w00 to w29.
fn words(draws: &mut Draws) -> (Graph, Labels, BTreeSet<(usize, usize)>) {
    let mut pairs = BTreeSet::new();
    for _ in 0..90 {
        let (one, other) = (draws.below(30) as usize, draws.below(30) as usize);
        if one != other {
            pairs.extend([(one, other), (other, one)]);
        }
    }
    let mut table = StringTable::default();
    (0..30).for_each(|number| table.push(&format!("w{number:02}")));
    let list = EdgeList {
        ids: ExternalIds::Strings(table),
        sources: pairs.iter().map(|pair| u32::try_from(pair.0).expect("a small number")).collect(),
        targets: pairs.iter().map(|pair| u32::try_from(pair.1).expect("a small number")).collect(),
        weights: None,
        kinds: KindLists::default(),
    };
    let labels = Labels::in_order(&list.ids).expect("ids in order");
    (Graph::in_memory(list).expect("a sound list of edges"), labels, pairs)
}

/// Importance of words by definition.
fn by_definition(
    pairs: &BTreeSet<(usize, usize)>,
    seeds: &BTreeSet<usize>,
    documents: &[BTreeSet<usize>],
) -> BTreeMap<usize, f64> {
    let mut sums: BTreeMap<usize, f64> = BTreeMap::new();
    for document in documents {
        let within: Vec<(usize, usize)> =
            pairs.iter().copied().filter(|(one, other)| document.contains(one) && document.contains(other)).collect();
        let nodes: Vec<usize> = within.iter().map(|pair| pair.0).collect::<BTreeSet<_>>().into_iter().collect();
        if nodes.is_empty() {
            continue;
        }
        let place = |word: usize| nodes.iter().position(|&node| node == word).expect("a word of the document");
        let mut rows = vec![vec![0.0; nodes.len()]; nodes.len()];
        within.iter().for_each(|&(one, other)| rows[place(one)][place(other)] = 1.0);
        for row in &mut rows {
            let degree: f64 = row.iter().sum();
            row.iter_mut().for_each(|weight| *weight /= degree);
        }
        let mut shares: Vec<f64> = nodes.iter().map(|node| f64::from(u8::from(seeds.contains(node)))).collect();
        if shares.iter().sum::<f64>() == 0.0 {
            shares.fill(1.0);
        }
        let total: f64 = shares.iter().sum();
        shares.iter_mut().for_each(|share| *share /= total);
        let scores = dense::scores(&rows, &shares, RESTART_PROB, Dangling::Restart);
        let largest = scores.iter().copied().fold(0.0, f64::max);
        nodes.iter().zip(scores).for_each(|(&node, score)| *sums.entry(node).or_default() += score / largest);
    }
    let largest = sums.values().copied().fold(0.0, f64::max);
    sums.values_mut().for_each(|sum| *sum /= largest);
    sums
}

#[test]
fn importances_and_revised_scores_are_those_of_the_definition() {
    let mut draws = Draws::new(9);
    let (graph, labels, pairs) = words(&mut draws);
    let stop = Arc::new(AtomicBool::new(false));
    let name = |word: usize| format!("w{word:02}");
    let members: Vec<BTreeSet<usize>> =
        (0..12).map(|_| (0..1 + draws.below(12)).map(|_| draws.below(30) as usize).collect()).collect();
    // Terms of two words: capitals, a hyphen, and a word that no graph has are no obstacle.
    let documents: Vec<Document> = members
        .iter()
        .enumerate()
        .map(|(number, words)| {
            let terms = words.iter().map(|&word| format!("{}-unknown", name(word).to_uppercase()));
            Document { id: number.to_string(), terms: terms.collect() }
        })
        .collect();
    let seeds = [format!("{} {}", name(3), name(7)), "nowhere".to_owned(), name(11)];
    let seed_words = BTreeSet::from([3, 7, 11]);
    let everything: BTreeSet<usize> = (0..30).collect();
    for (documents, members) in [(Some(documents.as_slice()), members), (None, vec![everything])] {
        let found = word_importances(&graph, &labels, RESTART_PROB, &seeds, documents, &stop).unwrap();
        let expected = by_definition(&pairs, &seed_words, &members);
        let of_words: BTreeMap<String, f64> = expected.iter().map(|(&word, &value)| (name(word), value)).collect();
        for (word, value) in &of_words {
            assert!((found.of_words.get(word).copied().unwrap_or_default() - value).abs() < 1e-7, "{word}");
        }
        assert!(found.of_words.keys().all(|word| of_words.contains_key(word)));
        assert_eq!(found.seeds, 3);
        let terms: Vec<Term> =
            (0..30).map(|word| Term { text: format!("x {}", name(word)), base: 1.0 + word as f64 }).collect();
        for revised in revise(&terms, &found.of_words) {
            let word: usize = revised.term[3..].parse().unwrap();
            let importance = expected.get(&word).copied().unwrap_or_default() / 2.0;
            assert!((revised.importance - importance).abs() < 1e-7);
            assert!((revised.revised - (1.0 + importance) * (1.0 + word as f64) / 30.0).abs() < 1e-7);
            assert_eq!(revised.base_rank, 30 - word);
        }
    }
    let nothing = word_importances(&graph, &labels, RESTART_PROB, &["nowhere".to_owned()], None, &stop);
    assert!(nothing.unwrap_err().to_string().contains("no word of the seeds is a node"));
}

#[test]
fn a_term_is_cut_into_its_words() {
    assert_eq!(words_of("Non-small  cell_lung/Cancer (NSCLC)"), ["non", "small", "cell", "lung", "cancer", "nsclc"]);
    assert!(words_of("  ").is_empty() && words_of("…").is_empty());
}

#[test]
fn bad_lines_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &[u8]| {
        std::fs::write(directory.path().join(name), content).unwrap();
        directory.path().join(name)
    };
    let message = |read: walkprint_cluster::error::Result<()>| {
        read.unwrap_err().to_string().replace(&format!("{}/", directory.path().display()), "")
    };
    let terms = |name: &str, content: &[u8]| read_terms(&write(name, content)).map(|_| ());
    let cases: [(&str, &[u8], &str); 10] = [
        ("t.tsv", b"", "t.tsv: expected terms with base scores above 0, got none"),
        ("t.tsv", b"term\tscore\n", "t.tsv: expected terms with base scores above 0, got none"),
        ("t.tsv", b"a\t0\n", "t.tsv: expected terms with base scores above 0, got scores of 0 only"),
        ("t.tsv", b"a\t1\nb\n", "t.tsv:2: expected a term and its base score, got \"b\""),
        ("t.tsv", b"a\t1\t2\n", "t.tsv:1: expected a term and its base score, got \"a\\t1\\t2\""),
        ("t.tsv", b"a\t1\nb\tx\n", "t.tsv:2: expected a base score that is finite and not negative, got \"x\""),
        ("t.tsv", b"a\tNaN\n", "t.tsv:1: expected a base score that is finite and not negative, got \"NaN\""),
        ("t.tsv", b"a\t-1\n", "t.tsv:1: expected a base score that is finite and not negative, got \"-1\""),
        ("t.csv", b"a,1\na,2\n", "t.csv:2: expected each term once, got \"a\""),
        ("t.tsv", b"a\t1\n\xFF\t1\n", "t.tsv:2: expected text in UTF-8, got bytes that are not"),
    ];
    for (name, content, expected) in cases {
        assert_eq!(message(terms(name, content)), expected);
    }
    let read = read_terms(&write("t.csv", b"\xEF\xBB\xBFTerm,score\r\n\"a, b\",2\r\n\r\nc,0\r\n")).unwrap();
    assert_eq!(read, [Term { text: "a, b".to_owned(), base: 2.0 }, Term { text: "c".to_owned(), base: 0.0 }]);
    let quoted = read_terms(&write("t.tsv", b"5\" disk\t1\n")).unwrap();
    assert_eq!(quoted[0].text, "5\" disk", "a quote means nothing in TSV");
    assert_eq!(
        message(read_seeds(&write("s", b"# none\n\n")).map(|_| ())),
        "s: expected terms that are known to be right, got none"
    );
    assert_eq!(read_seeds(&write("s", b" a b \r\n#x\nc\n")).unwrap(), ["a b", "c"]);
    assert_eq!(
        message(read_documents(&write("d.tsv", b"")).map(|_| ())),
        "d.tsv: expected documents and their terms, got none"
    );
    let broken = read_documents(&write("d.tsv", b"1\ta\n2\t\n")).map(|_| ());
    assert_eq!(message(broken), "d.tsv:2: expected the id of a document and a term that occurs in it, got \"2\\t\"");
    let read = read_documents(&write("d.tsv", b"1\ta\n2\tb\n1\tc\n1\ta\n")).unwrap();
    assert_eq!(read.iter().map(|document| document.terms.len()).collect::<Vec<_>>(), [2, 1]);
}

#[test]
fn the_program_ranks_the_terms_that_ship() {
    let directory = tempfile::tempdir().unwrap();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cluster/data/terms");
    let file = |name: &str| shipped.join(name).to_str().unwrap().to_owned();
    let place = directory.path();
    let _ = run(place, &["load", &file("related.tsv"), "--undirected", "--into", "words.wp"]).done();
    let (terms, seeds, documents) = (file("terms.tsv"), file("seeds.txt"), file("documents.tsv"));
    let arguments = ["rank-terms", "words.wp", "--terms", &terms, "--seeds", &seeds];
    let table = run(place, &arguments).done();
    assert!(table.starts_with("rank\tterm\trevised\tbase_rank\tbase\timportance\n1\t"), "{table}");
    for more in [&[][..], &["--documents", &documents]] {
        let json = run(place, &[&arguments[..], more, &["--json", "--top", "5"]].concat()).done();
        let report: serde_json::Value = serde_json::from_str(&json).unwrap();
        let found = report["terms"].as_array().unwrap();
        assert_eq!(found.len(), 5);
        let scores: Vec<f64> = found.iter().map(|term| term["revised"].as_f64().unwrap()).collect();
        assert!(scores.is_sorted_by(|a, b| b <= a) && scores.iter().all(|score| (0.0..=2.0).contains(score)));
    }
    let _ = run(place, &[&arguments[..], &["--out", "ranked.tsv"]].concat()).done();
    assert_eq!(std::fs::read_to_string(place.join("ranked.tsv")).unwrap(), table);
    run(place, &["rank-terms", "words.wp", "--terms", &terms, "--seeds", "none"]).refused(&["none", "could not read"]);
}
