//! Formats of knowledge graphs: what comes out of good files, and the message that each bad one gets.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::PathBuf;

use support::error_of;
use walkprint_engine::edges::EdgeList;
use walkprint_loaders::{Error, Format, Literals, LoadOptions, LoadReport, Loaded, Malformed, load};

const GOOD: &str = r#"{"docs": [
  {"idx": "a", "passage": "Bubye River\nin Zimbabwe", "extracted_entities": ["Bubye River", "Zimbabwe"],
   "extracted_triples": [["Bubye River", "is in", " Zimbabwe "], ["Bubye River", "is", "long"]], "more": 1},
  {"title": "Falls", "text": "Victoria Falls", "extracted_entities": [], "extracted_triples": [["Falls", "is in", "Zimbabwe"]]}
]}"#;

fn read(files: &[(&str, &[u8])], options: &LoadOptions) -> Result<Loaded, Error> {
    let directory = tempfile::tempdir().expect("a directory");
    let paths: Vec<PathBuf> = files
        .iter()
        .map(|(name, content)| {
            let path = directory.path().join(name);
            fs::write(&path, content).expect("a file is written");
            path
        })
        .collect();
    load(&paths, options, &|_| ControlFlow::Continue(()))
}

/// Every edge as source, target, type and weight.
fn edges(list: &EdgeList) -> Vec<(String, String, String, f64)> {
    let kinds = list.kinds.edges.as_ref();
    let one = |at: usize| {
        let kind = kinds.and_then(|kinds| kinds.name(at)).unwrap_or("").to_owned();
        let weight = list.weights.as_ref().map_or(1.0, |weights| weights[at]);
        (list.ids.text(list.sources[at] as usize), list.ids.text(list.targets[at] as usize), kind, weight)
    };
    let mut all: Vec<_> = (0..list.len()).map(one).collect();
    all.sort_by(|one, other| one.partial_cmp(other).expect("weights are numbers"));
    all
}

fn types(list: &EdgeList) -> BTreeMap<String, Option<String>> {
    let kinds = list.kinds.nodes.as_ref();
    (0..list.ids.len())
        .map(|at| (list.ids.text(at), kinds.and_then(|kinds| kinds.name(at)).map(str::to_owned)))
        .collect()
}

fn plain() -> LoadOptions {
    LoadOptions::default()
}

fn note(report: &LoadReport, words: &str) -> bool {
    report.notes.iter().any(|note| note.contains(words))
}

#[test]
fn openie_becomes_passages_entities_and_phrases() {
    let Loaded { edges: list, passages, report } = read(&[("a.json", GOOD.as_bytes())], &plain()).unwrap();
    let edge = |source: &str, target: &str, kind: &str| (source.to_owned(), target.to_owned(), kind.to_owned(), 1.0);
    let mut expected = vec![
        edge("Bubye River", "Zimbabwe", "is in"),
        edge("Bubye River", "long", "is"),
        edge("Falls", "Zimbabwe", "is in"),
    ];
    for (passage, mentioned) in
        [("passage:a", &["Bubye River", "Zimbabwe", "long"][..]), ("passage:1", &["Falls", "Zimbabwe"])]
    {
        for node in mentioned {
            expected.push(edge(passage, node, "mentions"));
            expected.push(edge(node, passage, "^mentions"));
        }
    }
    expected.sort_by(|one, other| one.partial_cmp(other).unwrap());
    assert_eq!(edges(&list), expected);
    let known: Vec<(String, String)> =
        types(&list).into_iter().map(|(id, kind)| (id, kind.expect("every node has a type"))).collect();
    let known: Vec<(&str, &str)> = known.iter().map(|(id, kind)| (id.as_str(), kind.as_str())).collect();
    assert_eq!(
        known,
        [
            ("Bubye River", "entity"),
            ("Falls", "phrase"),
            ("Zimbabwe", "entity"),
            ("long", "phrase"),
            ("passage:1", "passage"),
            ("passage:a", "passage"),
        ]
    );
    let texts: Vec<(&str, &str)> = passages.iter().map(|one| (one.id.as_str(), one.text.as_str())).collect();
    assert_eq!(texts, [("passage:a", "Bubye River\nin Zimbabwe"), ("passage:1", "Falls\nVictoria Falls")]);
    assert_eq!((report.format, report.edges_read, report.node_types), (Format::OpenIe, 3 + 5, 3));
    // Python's numbers that are none, but not in a string.
    let mean = GOOD.replacen("{\"docs\"", "{\"mean\": NaN, \"most\": -Infinity, \"word\": \"\\\"NaN\", \"docs\"", 1);
    assert_eq!(read(&[("a.json", mean.as_bytes())], &plain()).unwrap().edges, list);
    let named = GOOD.replace("\"long\"", "\"NaN\"");
    assert!(types(&read(&[("a.json", named.as_bytes())], &plain()).unwrap().edges).contains_key("NaN"));
    // A byte order mark, CRLF, and the same graph in two files.
    let windows = format!("\u{FEFF}{}", GOOD.replace('\n', "\r\n"));
    assert_eq!(read(&[("a.json", windows.as_bytes())], &plain()).unwrap().edges, list);
    let other = GOOD.replace("\"a\"", "\"b\"");
    let two = read(&[("a.json", GOOD.as_bytes()), ("b.json", other.as_bytes())], &plain()).unwrap();
    assert!(types_of_passages(&two.edges) == ["passage:1", "passage:3", "passage:a", "passage:b"]);
}

fn types_of_passages(list: &EdgeList) -> Vec<String> {
    types(list).into_iter().filter(|(_, kind)| kind.as_deref() == Some("passage")).map(|(id, _)| id).collect()
}

#[test]
fn inverse_edges_and_weights_of_types() {
    let weights = [("^mentions", 0.0), ("is in", 2.0), ("^is in", 0.5)];
    let type_weights = weights.map(|(name, weight)| (name.to_owned(), weight)).into();
    let options = LoadOptions { inverse: Some(0.25), type_weights, ..plain() };
    let loaded = read(&[("a.json", GOOD.as_bytes())], &options).unwrap();
    let weight_of = |source: &str, target: &str| {
        let all = edges(&loaded.edges);
        all.iter().filter(|edge| edge.0 == source && edge.1 == target).map(|edge| edge.3).collect::<Vec<_>>()
    };
    assert_eq!(weight_of("Bubye River", "Zimbabwe"), [2.0]);
    assert_eq!(weight_of("Zimbabwe", "Bubye River"), [2.0 * 0.25 * 0.5]);
    assert_eq!(weight_of("long", "Bubye River"), [0.25]);
    assert_eq!((weight_of("passage:a", "long"), weight_of("long", "passage:a")), (vec![1.0], vec![0.0]));
    assert!(note(&loaded.report, "3 inverse edges, of 0.25 times"), "{:?}", loaded.report.notes);
    // Of any format: a list of edges without types, whose inverse has none either.
    let options = LoadOptions { inverse: Some(1.0), ..plain() };
    let loaded = read(&[("a.csv", b"source,target,type\na,b,likes\nb,b,likes\nb,c,\n")], &options).unwrap();
    let kinds: Vec<String> = edges(&loaded.edges).into_iter().map(|(a, b, kind, _)| format!("{a}{kind}{b}")).collect();
    assert_eq!(kinds, ["alikesb", "b^likesa", "blikesb", "bc", "cb"]);
    assert!(loaded.edges.weights.is_none());
    for (options, words) in [
        (LoadOptions { inverse: Some(0.0), ..plain() }, "--inverse: expected a finite factor above 0"),
        (LoadOptions { inverse: Some(f64::NAN), ..plain() }, "--inverse: expected a finite factor above 0"),
        (LoadOptions { inverse: Some(1.0), undirected: true, ..plain() }, "either inverse edges or undirected"),
    ] {
        assert!(error_of("a.csv", "source,target\na,b\n", &options).contains(words));
    }
}

#[test]
fn malformed_triples_are_errors_or_counted() {
    let bad = |triples: &str| {
        format!(r#"{{"docs": [{{"extracted_entities": ["x"], "extracted_triples": [["x", "is", "y"], {triples}]}}]}}"#)
    };
    for (triple, got) in [
        (r#"["x", "is"]"#, r#"["x","is"]"#),
        (r#"["x", "is", "y", "z"]"#, r#"["x","is","y","z"]"#),
        (r#"["x", "is", 7]"#, r#"["x","is",7]"#),
        (r#"["x", " ", "y"]"#, r#"["x"," ","y"]"#),
        (r#""x is y""#, r#""x is y""#),
        ("null", "null"),
        (r#"["x", "is", "passage:0"]"#, r#"["x","is","passage:0"]"#),
    ] {
        let text = bad(triple);
        let message = error_of("a.json", &text, &plain());
        assert!(message.starts_with("a.json: docs[0].extracted_triples[1]: expected subject, relation"), "{message}");
        assert!(message.contains("--malformed skip") && message.ends_with(&format!("got {got}")), "{message}");
        let skip = LoadOptions { malformed: Malformed::Skip, ..plain() };
        let loaded = read(&[("a.json", text.as_bytes())], &skip).unwrap();
        assert_eq!((loaded.report.malformed, loaded.report.edges_read), (1, 1 + 2));
        assert!(note(&loaded.report, "1 malformed triples left out; the first: "), "{:?}", loaded.report.notes);
    }
    let entity = r#"{"docs": [{"extracted_entities": ["x", null], "extracted_triples": []}]}"#;
    assert!(
        error_of("a.json", entity, &plain()).contains("docs[0].extracted_entities[1]: expected the name of an entity")
    );
    let twice = GOOD.replace("\"title\"", "\"idx\": \"a\", \"title\"");
    assert!(error_of("a.json", twice, &plain()).contains("docs[1].idx: expected an id that no other passage"));
    let odd = GOOD.replace("\"a\"", "[1]");
    assert!(error_of("a.json", odd, &plain()).contains("docs[0].idx: expected an id: a string or an integer, got [1]"));
}

#[test]
fn what_is_no_openie_is_told_with_its_line() {
    for end in 0..GOOD.len() {
        if GOOD.is_char_boundary(end) {
            let message = error_of("a.json", &GOOD[..end], &plain());
            assert!(message.contains("expected OpenIE results as JSON"), "{end}: {message}");
        }
    }
    for (text, words) in [
        ("{\"docs\": {}}", "a.json:1: "),
        ("\n\n[]", "a.json:3: "),
        ("{\"docs\": [\n{\"extracted_entities\": []}]}", "a.json:2: "),
        ("{\"docs\": [{\"extracted_entities\": \"x\", \"extracted_triples\": []}]}", "invalid type: string"),
        ("{\"docs\": []} x", "trailing characters"),
        ("\u{0}", "expected value"),
    ] {
        let message = error_of("a.json", text, &plain());
        assert!(message.contains(words) && message.contains("expected OpenIE"), "{text}: {message}");
    }
    assert!(error_of("a.json", "{\"docs\": []}", &plain()).ends_with("expected edges, got a file without any"));
    let deep = format!("{{\"docs\": {}", "[".repeat(100_000));
    assert!(error_of("a.json", deep, &plain()).contains("expected OpenIE"));
    let directory = tempfile::tempdir().unwrap();
    let paths = ["a.json", "b.nt"].map(|name| directory.path().join(name));
    fs::write(&paths[0], GOOD).unwrap();
    fs::write(&paths[1], "<x:a> <x:b> <x:c> .\n").unwrap();
    let mixed = load(&paths, &plain(), &|_| ControlFlow::Continue(())).unwrap_err();
    assert!(mixed.to_string().contains("expected openie") && mixed.to_string().contains("got ntriples"), "{mixed}");
    let stopped = load(&paths[..1], &plain(), &|_| ControlFlow::Break(())).unwrap_err();
    assert!(matches!(stopped, Error::Interrupted), "{stopped}");
}

const TRIPLES: &str = "# a comment\n\
    <http://x.org/Bubye_River> <http://x.org/in> <http://x.org/Zimbabwe> .\r\n\
    \n\
    _:b <http://x.org/in> _:c .\n\
    <http://x.org/Zimbabwe> <http://x.org/name> \"Zimbabwe\"@en .";

#[test]
fn ntriples_and_turtle_are_one_graph() {
    let nodes = LoadOptions { literals: Literals::Nodes, ..plain() };
    let first = read(&[("a.nt", TRIPLES.as_bytes())], &nodes).unwrap();
    let all: Vec<String> = edges(&first.edges).into_iter().map(|(a, b, kind, _)| format!("{a} {kind} {b}")).collect();
    let expected = [
        "_:b http://x.org/in _:c",
        "http://x.org/Bubye_River http://x.org/in http://x.org/Zimbabwe",
        "http://x.org/Zimbabwe http://x.org/name \"Zimbabwe\"@en",
    ];
    assert_eq!(all, expected);
    assert_eq!(types(&first.edges)["\"Zimbabwe\"@en"].as_deref(), Some("literal"));
    assert_eq!((first.report.comment_lines, first.report.edges_read), (1, 3));
    let turtle = "\u{FEFF}@prefix : <http://x.org/> .\r\n:Bubye_River :in :Zimbabwe .\n_:b :in _:c .\n:Zimbabwe :name \"Zimbabwe\"@en .";
    assert_eq!(read(&[("a.ttl", turtle.as_bytes())], &nodes).unwrap().edges, first.edges);
    let skip = LoadOptions { literals: Literals::Skip, ..plain() };
    let skipped = read(&[("a.nt", TRIPLES.as_bytes())], &skip).unwrap();
    assert!(skipped.report.edges_read == 2 && note(&skipped.report, "1 triples with literals left out"));
    // Blank nodes of two files are not the same, and those without a label are numbered as they come.
    let two = read(&[("a.nt", b"_:b <x:in> _:c ."), ("b.nt", b"_:b <x:in> _:c .")], &plain()).unwrap();
    assert_eq!(types(&two.edges).into_keys().collect::<Vec<_>>(), ["_:b", "_:b@1", "_:c", "_:c@1"]);
    let unnamed = "@prefix : <x:> . :a :b [ :c :d ], [ :c :e ] .";
    let once = read(&[("a.ttl", unnamed.as_bytes())], &plain()).unwrap();
    assert!(types(&once.edges).contains_key("_:anonymous-2"), "{:?}", once.edges.ids);
    assert_eq!(read(&[("a.ttl", unnamed.as_bytes())], &plain()).unwrap().edges, once.edges);
}

#[test]
fn bad_rdf_is_told_with_its_line() {
    let message = error_of("a.nt", TRIPLES, &plain());
    assert!(message.starts_with("a.nt:5: expected an IRI or a blank node as the object (--literals skip"), "{message}");
    let message = error_of("a.nt", "<x:a> <x:b> <x:c> .\n<x:a> <x:b>\n", &plain());
    assert!(message.starts_with("a.nt:2: expected a triple (") && message.contains("got \"<x:a> <x:b>\""), "{message}");
    let skip = LoadOptions { malformed: Malformed::Skip, ..plain() };
    let loaded = read(&[("a.nt", b"<x:a> <x:b> <x:c> .\nnonsense\n\xFF\n<x:a> <x:b> \"never ends\n")], &skip).unwrap();
    assert_eq!((loaded.report.edges_read, loaded.report.malformed), (1, 3));
    assert!(error_of("a.nt", "", &plain()).contains("a file without any"));
    assert!(error_of("a.nt", vec![b'x'; 17 << 20], &plain()).contains("at most 16 MiB"));
    let message = error_of("a.ttl", "@prefix : <x:> .\n:a :b :c .\n:a :b", &plain());
    assert!(message.starts_with("a.ttl:3: expected Turtle, got"), "{message}");
    assert!(error_of("a.ttl", "@prefix : <x:> . :a :b 7 .", &plain()).starts_with("a.ttl: triple 1: expected an IRI"));
    assert!(error_of("a.ttl", "", &skip).contains("--malformed skip"));
    assert!(error_of("a.csv", "source,target\na,b\n", &skip).contains("--malformed skip"));
}

#[test]
fn synonyms_are_edges_both_ways() {
    let directory = tempfile::tempdir().unwrap();
    let (graph, pairs) = (directory.path().join("a.csv"), directory.path().join("pairs.tsv"));
    fs::write(&graph, "source,target,type\nUSA,Rome,x\nU.S.,Rome,zz\n").unwrap();
    let with = |text: &str, factor: f64| {
        fs::write(&pairs, text).unwrap();
        let type_weights = if factor == 1.0 { BTreeMap::new() } else { [("synonym".to_owned(), factor)].into() };
        let options = LoadOptions { synonyms: Some(pairs.clone()), type_weights, ..plain() };
        load(std::slice::from_ref(&graph), &options, &|_| ControlFlow::Continue(()))
    };
    let loaded = with("USA\tU.S.\t0.5\n", 3.0).unwrap();
    let all: Vec<String> =
        edges(&loaded.edges).into_iter().map(|(a, b, kind, weight)| format!("{a} {kind} {b} {weight}")).collect();
    assert_eq!(all, ["U.S. zz Rome 1", "U.S. synonym USA 1.5", "USA x Rome 1", "USA synonym U.S. 1.5"]);
    assert!(note(&loaded.report, "1 pairs of synonyms"));
    assert_eq!(with("USA,U.S.\n", 1.0).unwrap().edges.weights, Some(vec![1.0; 4]));
    for (text, words) in [
        ("USA\tNowhere\n", "pairs.tsv:1: expected the id of a node of the graph, got \"Nowhere\""),
        ("USA\tU.S.\t-1\n", "pairs.tsv:1: expected a weight"),
        ("USA\tUSA\n", "two different nodes"),
        ("USA\n", "two ids and perhaps a score"),
        ("", "a file without any"),
    ] {
        let error = with(text, 1.0).unwrap_err().to_string();
        assert!(error.contains(words), "{text:?}: {error}");
    }
}
