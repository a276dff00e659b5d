//! Keeps: **the senses of `disambiguate` are those of the definition**, one dense solve a target; scores count as the usual
//! scorer does; and what is wrong with dictionaries, contexts and keys is said with file and line.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tempfile::TempDir;
use walkprint_cluster::senses::{
    Context, Dictionary, Disambiguated, Entry, Keys, Lemma, Score, SenseSettings, Word, disambiguate, read_contexts,
    read_keys,
};
use walkprint_engine::edges::EdgeList;
use walkprint_engine::graph::Graph;
use walkprint_engine::ids::{ExternalIds, StringTable};
use walkprint_engine::kinds::KindLists;
use walkprint_engine::labels::Labels;
use walkprint_engine::query::{Dangling, Method};
use walkprint_tests::dense;
use walkprint_tests::draws::Draws;
use walkprint_tests::program::run;

const NODES: u32 = 40;
const RESTART_PROB: f64 = 0.15;

/// A random weighted graph, with some dangling nodes, and its rows by definition.
fn graph(draws: &mut Draws) -> (Graph, Labels, Vec<Vec<f64>>) {
    let edges: Vec<(u32, u32, f64)> =
        (0..160).map(|_| (draws.below(36), draws.below(NODES), 1.0 + f64::from(draws.below(5)))).collect();
    let mut rows = vec![vec![0.0; NODES as usize]; NODES as usize];
    edges.iter().for_each(|&(source, target, weight)| rows[source as usize][target as usize] += weight);
    for row in &mut rows {
        let total: f64 = row.iter().sum();
        row.iter_mut().for_each(|weight| *weight /= if total == 0.0 { 1.0 } else { total });
    }
    let list = EdgeList {
        ids: ExternalIds::Integers((0..i64::from(NODES)).collect()),
        sources: edges.iter().map(|edge| edge.0).collect(),
        targets: edges.iter().map(|edge| edge.1).collect(),
        weights: Some(edges.iter().map(|edge| edge.2).collect()),
        kinds: KindLists::default(),
    };
    let labels = Labels::in_order(&list.ids).expect("ids in order");
    (Graph::in_memory(list).expect("a sound list of edges"), labels, rows)
}

fn lemma(number: u32) -> Lemma {
    Lemma { text: format!("word{number}"), pos: if number.is_multiple_of(2) { 'n' } else { 'v' } }
}

/// Lemmas 0 to 11 with one to four senses each; lemma 12 has none.
fn dictionary(draws: &mut Draws) -> Dictionary {
    let mut dictionary = Dictionary::default();
    for number in 0..12 {
        for _ in 0..=draws.below(4) {
            let entry = Entry { node: draws.below(NODES), count: f64::from(draws.below(6)) };
            dictionary.add(lemma(number), entry);
        }
    }
    dictionary
}

fn contexts(draws: &mut Draws) -> Vec<Context> {
    (0..30)
        .map(|number| {
            let words = (0..1 + draws.below(8)).map(|place| Word {
                id: format!("d{}.c{number}.w{place}", number % 2),
                lemma: lemma(draws.below(13)),
                is_target: draws.below(3) != 0,
            });
            Context { id: format!("c{number}"), words: words.collect() }
        })
        .collect()
}

/// The values of a target's senses by definition: prior times score, by node.
fn by_definition(
    rows: &[Vec<f64>],
    dictionary: &Dictionary,
    context: &Context,
    target: &Lemma,
    settings: &SenseSettings,
) -> BTreeMap<u32, f64> {
    let priors = |lemma: &Lemma| -> Vec<(u32, f64)> {
        let senses = dictionary.senses(lemma);
        let weight = |sense: &Entry| if settings.priors { sense.count + settings.smoothing } else { 1.0 };
        let sum: f64 = senses.iter().map(weight).sum();
        senses
            .iter()
            .map(|sense| (sense.node, if sum == 0.0 { 1.0 / senses.len() as f64 } else { weight(sense) / sum }))
            .collect()
    };
    let mut seeds = vec![0.0; rows.len()];
    for word in context.words.iter().filter(|word| word.lemma != *target) {
        priors(&word.lemma).into_iter().for_each(|(node, prior)| seeds[node as usize] += prior);
    }
    let scores = dense::scores(rows, &seeds, RESTART_PROB, Dangling::Drop);
    priors(target).into_iter().map(|(node, prior)| (node, prior * scores[node as usize])).collect()
}

#[test]
fn values_are_those_of_one_dense_solve_a_target() {
    let mut draws = Draws::new(6);
    let (graph, labels, rows) = graph(&mut draws);
    let (dictionary, contexts) = (dictionary(&mut draws), contexts(&mut draws));
    let stop = Arc::new(AtomicBool::new(false));
    let plain = SenseSettings { restart_prob: RESTART_PROB, ..SenseSettings::default() };
    for (settings, tolerance) in [
        (SenseSettings { method: Method::Exact, ..plain.clone() }, 1e-9),
        (SenseSettings { method: Method::Exact, smoothing: 0.0, threads: 3, ..plain.clone() }, 1e-9),
        (SenseSettings { method: Method::Exact, priors: false, ..plain.clone() }, 1e-9),
        (SenseSettings { threads: 2, ..plain.clone() }, 1e-4),
    ] {
        let answers = disambiguate(&graph, &labels, &dictionary, &contexts, &settings, &stop).unwrap();
        let targets: Vec<(&Context, &Word)> = contexts
            .iter()
            .flat_map(|context| context.words.iter().filter(|word| word.is_target).map(move |word| (context, word)))
            .collect();
        assert_eq!(answers.len(), targets.len());
        for (answer, (context, word)) in answers.iter().zip(targets) {
            assert_eq!((&answer.id, &answer.lemma), (&word.id, &word.lemma));
            let expected = by_definition(&rows, &dictionary, context, &word.lemma, &settings);
            assert_eq!(answer.senses.len(), expected.len());
            assert!(answer.senses.is_sorted_by(|a, b| b.1 <= a.1), "best first");
            if answer.senses.len() == 1 {
                continue; // nothing was asked
            }
            for (node, value) in &answer.senses {
                assert!((value - expected[node]).abs() < tolerance, "{value} and {} of {node}", expected[node]);
            }
            assert_eq!(answer.by_context, expected.values().any(|&value| tolerance < value) || answer.by_context);
        }
        // Neither threads nor the company of other contexts change a choice.
        let alone = disambiguate(&graph, &labels, &dictionary, &contexts[..1], &settings, &stop).unwrap();
        let ids = |answers: &[Disambiguated]| answers.iter().map(|answer| answer.id.clone()).collect::<Vec<_>>();
        assert_eq!(ids(&alone), ids(&answers[..alone.len()]));
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let stopped = disambiguate(&graph, &labels, &dictionary, &contexts, &plain, &stop);
    assert!(matches!(stopped, Err(walkprint_cluster::error::Error::Interrupted)));
    let negative = SenseSettings { smoothing: -1.0, ..plain };
    assert!(disambiguate(&graph, &labels, &dictionary, &contexts, &negative, &stop).is_err());
}

#[test]
fn what_is_answered_is_counted_as_the_usual_scorer_does() {
    let keys = |lists: &[(&str, &[&str])]| -> Keys {
        lists
            .iter()
            .map(|(id, senses)| ((*id).to_owned(), senses.iter().map(|sense| (*sense).to_owned()).collect()))
            .collect()
    };
    let key = keys(&[("a.1", &["x"]), ("a.2", &["y", "z"]), ("a.3", &["x"]), ("b.1", &["x"])]);
    // One right, one right by its second sense, one not answered, one without a name; and one that nobody asked for.
    let answers = keys(&[("a.1", &["x"]), ("a.2", &["q", "z"]), ("b.1", &[]), ("c.1", &["x"])]);
    let score = Score::new(&key, &answers);
    assert_eq!(score.datasets.keys().collect::<Vec<_>>(), ["ALL", "a", "b"]);
    let a = score.datasets["a"];
    assert_eq!((a.instances, a.answered, a.right), (3, 2, 2));
    assert_eq!((a.precision(), a.recall(), a.f1()), (1.0, 2.0 / 3.0, 0.8));
    assert_eq!((score.all().instances, score.all().answered, score.all().right), (4, 3, 2));
    assert_eq!(score.datasets["b"].f1(), 0.0);
    assert_eq!(Score::new(&Keys::new(), &answers).all().f1(), 0.0, "an empty key is no division by zero");
}

/// A file in a directory.
fn file(directory: &TempDir, name: &str, content: &[u8]) -> PathBuf {
    let path = directory.path().join(name);
    std::fs::write(&path, content).expect("a file is written");
    path
}

/// The message of what kept a file from being read, without the directory.
fn message<T>(directory: &TempDir, read: walkprint_cluster::error::Result<T>) -> String {
    let message = read.map(|_| ()).expect_err("it is refused").to_string();
    message.replace(&format!("{}/", directory.path().display()), "")
}

#[test]
fn bad_lines_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let mut table = StringTable::default();
    ["1-n", "2-n"].iter().for_each(|id| table.push(id));
    let labels = Labels::in_order(&ExternalIds::Strings(table)).unwrap();
    let dictionaries: [(&[u8], &str); 7] = [
        (b"", "dict: expected senses that are nodes of the graph, got 0 senses, none of which is one"),
        (b"bank 9-n\n", "dict: expected senses that are nodes of the graph, got 1 senses, none of which is one"),
        (b"bank 1-n\nbank\n", "dict:2: expected senses behind the lemma, got \"bank\""),
        (b"bank 1-n:x\n", "dict:1: expected a count that is finite and not negative behind the sense, got \"1-n:x\""),
        (
            b"bank 1-n:NaN\n",
            "dict:1: expected a count that is finite and not negative behind the sense, got \"1-n:NaN\"",
        ),
        (b"bank 1\n", "dict:1: expected a sense that ends with - and a part of speech, got \"1\""),
        (b"bank 1-n\n\xFF 1-n\n", "dict:2: expected text in UTF-8, got bytes that are not"),
    ];
    for (content, expected) in dictionaries {
        let read = Dictionary::read(&file(&directory, "dict", content), &labels);
        assert_eq!(message(&directory, read), expected);
    }
    let good = b"\xEF\xBB\xBFbank 2-n:3 1-n 9-n\r\n\r\nbank 1-n:7\r\n";
    let dictionary = Dictionary::read(&file(&directory, "dict", good), &labels).unwrap();
    let bank = Lemma { text: "bank".to_owned(), pos: 'n' };
    assert_eq!(dictionary.senses(&bank), [Entry { node: 1, count: 3.0 }, Entry { node: 0, count: 0.0 }]);
    assert_eq!((dictionary.len(), dictionary.unknown()), (1, 1));

    let contexts: [(&str, &str); 6] = [
        ("c1\n", "contexts:1: expected a line of words behind the id of a context, got the end"),
        (
            "a#n#1#1\nc1\n",
            "contexts:1: expected the id of a context in a line of its own, before its words, got \"a#n#1#1\"",
        ),
        ("c1\na#n#1\n", "contexts:2: expected words as lemma#pos#id#1 or lemma#pos#id#0, got \"a#n#1\""),
        ("c1\n\na#n#1#2\n", "contexts:3: expected words as lemma#pos#id#1 or lemma#pos#id#0, got \"a#n#1#2\""),
        ("c1\na##1#1\n", "contexts:2: expected words as lemma#pos#id#1 or lemma#pos#id#0, got \"a##1#1\""),
        ("c1\n#n#1#1\n", "contexts:2: expected words as lemma#pos#id#1 or lemma#pos#id#0, got \"#n#1#1\""),
    ];
    for (content, expected) in contexts {
        let read = read_contexts(&file(&directory, "contexts", content.as_bytes()));
        assert_eq!(message(&directory, read), expected);
    }
    let read = read_contexts(&file(&directory, "contexts", b"c1\r\na#n#1#1 b#v#2#0\r\n")).unwrap();
    assert_eq!(read[0].words.iter().map(|word| word.is_target).collect::<Vec<_>>(), [true, false]);
    assert!(read_contexts(&file(&directory, "contexts", b"")).unwrap().is_empty());

    let read = read_keys(&file(&directory, "key", b"a.1 x\na.2\n"));
    assert_eq!(message(&directory, read), "key:2: expected an id and at least one sense, got \"a.2\"");
    assert!(read_keys(&directory.path().join("missing")).is_err());
}

#[test]
fn the_program_evaluates_senses() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    for (name, content) in [
        ("rel.txt", "u:money-n v:bank1-n s:x\nu:river-n v:bank2-n s:x\nu:money-n v:loan-n\nu:river-n v:water-n\n"),
        ("dict.txt", "bank bank1-n:1 bank2-n:5\nmoney money-n\nriver river-n\nloan loan-n\nwater water-n\n"),
        (
            "text.txt",
            "c1\nbank#n#a.1#1 money#n#a.2#0 loan#n#a.3#0\nc2\nbank#n#b.1#1 river#n#b.2#0\nc3\nghost#n#b.3#1\n",
        ),
        ("key.txt", "a.1 bank1-n\nb.1 bank2-n\nb.3 ghost-n\n"),
        ("names.txt", "bank1-n bank%1 depository%1\nbank2-n bank%2\n"),
        ("named.txt", "a.1 bank%1\nb.1 bank%2\n"),
    ] {
        std::fs::write(place.join(name), content).unwrap();
    }
    let _ = run(place, &["load", "rel.txt", "--format", "ukb", "--into", "senses.wp"]).done();
    let arguments = ["evaluate", "senses", "senses.wp", "--dict", "dict.txt", "--contexts", "text.txt"];
    let json = |more: &[&str]| -> serde_json::Value {
        serde_json::from_str(&run(place, &[&arguments[..], more, &["--json"]].concat()).done()).unwrap()
    };
    for method in [&["--exact"][..], &[]] {
        let report = json(&[&["--key", "key.txt", "--answers", "out.txt"], method].concat());
        assert_eq!(report["metrics"]["precision"], 1.0);
        assert_eq!((&report["datasets"]["a"]["f1"], &report["datasets"]["b"]["recall"]), (&1.0.into(), &0.5.into()));
        assert_eq!((&report["not_in_dictionary"], &report["targets"]), (&1.into(), &3.into()));
        let answers = std::fs::read_to_string(place.join("out.txt")).unwrap();
        assert_eq!(answers, "a.1 bank1-n !! bank\nb.1 bank2-n !! bank\n");
    }
    assert_eq!(json(&["--key", "named.txt", "--sense-keys", "names.txt"])["metrics"]["f1"], 1.0);
    assert!(run(place, &[&arguments[..], &["--key", "key.txt"]].concat()).done().contains("\nALL "));
    run(place, &[&arguments[..], &["--key", "rel.txx"]].concat()).refused(&["rel.txx", "could not read"]);
}
