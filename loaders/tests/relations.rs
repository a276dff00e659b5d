//! Triples and UKB's relations: read as they are meant, refused where they are not, skipped only when that is asked for.

mod support;

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use support::{Files, edges, edges_of, error_of, load_one};
use walkprint_loaders::{Format, LoadOptions, Loaded, Malformed};

fn triples() -> LoadOptions {
    LoadOptions { format: Some(Format::Triples), ..LoadOptions::default() }
}

fn ukb() -> LoadOptions {
    LoadOptions { format: Some(Format::Ukb), ..LoadOptions::default() }
}

fn skipping(options: LoadOptions) -> LoadOptions {
    LoadOptions { malformed: Malformed::Skip, ..options }
}

/// The types of edges, `-` for none.
fn types(loaded: &Loaded) -> Vec<String> {
    let list = loaded.edges.kinds.edges.as_ref().expect("a list of types");
    (0..list.codes.len()).map(|edge| list.name(edge).unwrap_or("-").to_owned()).collect()
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).expect("into memory");
    encoder.finish().expect("into memory")
}

#[test]
fn a_triple_is_an_edge_whose_type_is_the_relation() {
    let text = "/m/1\t/people/likes\t/m/2\n\n/m/2\t/people/likes\t/m/2\n#x\tis a\t/m 3\n";
    for (name, content) in [
        ("a.txt", text.as_bytes().to_vec()),
        ("a.txt", text.replace('\n', "\r\n").into_bytes()),
        ("a.tsv", [b"\xEF\xBB\xBF", text.as_bytes()].concat()),
        ("a.txt", text.trim_end().as_bytes().to_vec()),
        ("a.txt.gz", gzip(text)),
    ] {
        let loaded = load_one(name, content, &triples()).expect("a good file");
        assert_eq!(edges(&loaded), ["/m/1→/m/2", "/m/2→/m/2", "#x→/m 3"]);
        assert_eq!(types(&loaded), ["/people/likes", "/people/likes", "is a"]);
        assert_eq!((loaded.report.edges_read, loaded.report.edge_types, loaded.report.malformed), (3, 2, 0));
        assert_eq!(loaded.report.type_column.as_deref(), Some("relation (column 2)"));
    }
    let weighed = LoadOptions { type_weights: [("is a".to_owned(), 0.5)].into(), ..triples() };
    assert_eq!(edges_of("a.txt", text, &weighed), ["/m/1→/m/2=1", "/m/2→/m/2=1", "#x→/m 3=0.5"]);
    let both_ways = LoadOptions { undirected: true, ..triples() };
    assert_eq!(edges_of("a.txt", "a\tr\tb\nb\tr\tb\n", &both_ways), ["a→b", "b→a", "b→b"]);
}

#[test]
fn a_line_that_is_no_triple_is_named() {
    let cases: [(&[u8], &str); 9] = [
        (b"", "a.txt:1: expected edges, got an empty file"),
        (b"a\tr\tb\na\tr\n", "a.txt:2: expected head, relation and tail separated by tabs, got 2 fields: \"a\\tr\""),
        (b"a r b\n", "a.txt:1: expected head, relation and tail separated by tabs, got 1 field: \"a r b\""),
        (
            b"a\tr\tb\t1\n",
            "a.txt:1: expected head, relation and tail separated by tabs, got 4 fields: \"a\\tr\\tb\\t1\"",
        ),
        (b"\tr\tb\n", "a.txt:1: expected a head, got nothing: \"\\tr\\tb\""),
        (b"a\t\tb\n", "a.txt:1: expected a relation, got nothing: \"a\\t\\tb\""),
        (b"a\tr\t\r\n", "a.txt:1: expected a tail, got nothing: \"a\\tr\\t\""),
        (b"a\tr\tb\n\xFFx\tr\tb\n", "a.txt:2: expected an id in UTF-8, got \"\u{FFFD}x\""),
        (b"a\tr\tb\na\tr\tb\0\n", "a.txt:2: expected an id without NUL bytes, got \"b\\0\""),
    ];
    for (content, message) in cases {
        assert_eq!(error_of("a.txt", content, &triples()), message);
    }
    let long = [b"a\tr\tb\n".as_slice(), &vec![b'x'; 17 << 20]].concat();
    assert!(error_of("a.txt", long, &triples()).starts_with("a.txt:2: expected a line of at most 16 MiB"));
    let cut = &gzip("a\tr\tb\nc\tr\td\n")[..20];
    assert!(error_of("a.txt.gz", cut, &triples()).contains("damaged or cut short"));
    let named = LoadOptions { weight_col: Some("4".to_owned()), ..triples() };
    assert!(error_of("a.txt", "a\tr\tb\n", &named).contains("expected no --source-col"));
}

#[test]
fn malformed_lines_are_skipped_and_counted_only_when_that_is_asked_for() {
    let text = "a\tr\tb\nbroken\n\tr\tb\nc\tr\td\ta\nc\tr\td\n";
    assert!(error_of("a.txt", text, &triples()).starts_with("a.txt:2: "));
    for threads in [1, 4] {
        let options = LoadOptions { threads, ..skipping(triples()) };
        let loaded = load_one("a.txt", text, &options).expect("a file of which some lines are good");
        assert_eq!(edges(&loaded), ["a→b", "c→d"]);
        assert_eq!((loaded.report.malformed, loaded.report.edges_read, loaded.report.lines), (3, 2, 5));
        assert_eq!(loaded.edges.ids.len(), 4, "what a malformed line names is no node");
    }
    assert_eq!(error_of("a.txt", "broken\n", &skipping(triples())), "a.txt: expected edges, got a file without any");
    let loaded = load_one("a.txt", "u:a v:b w:NaN\nu:a v:c\n", &skipping(ukb())).expect("a good line");
    assert_eq!((edges(&loaded), loaded.report.malformed), (vec!["a→c=1".to_owned(), "c→a=1".to_owned()], 1));
    for (name, text) in [("a.txt", "a b\n"), ("a.csv", "source,target\na,b\n"), ("a.parquet", "PAR1")] {
        let message = error_of(name, text, &skipping(LoadOptions::default()));
        assert!(message.starts_with("--malformed skip: expected a format of which malformed parts"), "{message}");
    }
}

#[test]
fn a_relation_of_ukb_goes_both_ways_unless_it_says_otherwise() {
    let text = "# WordNet\nu:1-n v:2-n s:hyponym\n\nv:3-n\tu:2-n d:1 w:0.5 t:part s:wn30\nu:3-n v:3-n d:0\n";
    for content in [text.to_owned(), text.replace('\n', "\r\n")] {
        let loaded = load_one("a.txt", content, &ukb()).expect("a good file");
        assert_eq!(edges(&loaded), ["1-n→2-n=1", "2-n→1-n=1", "2-n→3-n=0.5", "3-n→3-n=1"]);
        assert_eq!(types(&loaded), ["hyponym", "hyponym", "part", "-"]);
        let report = loaded.report;
        assert_eq!((report.edges_read, report.comment_lines, report.self_loops), (3, 1, 1), "one edge a line");
        assert_eq!((report.weight_min, report.weight_max), (Some(0.5), Some(1.0)));
    }
    let both_ways = LoadOptions { undirected: true, ..ukb() };
    assert_eq!(
        edges_of("a.txt", text, &both_ways),
        ["1-n→2-n=1", "2-n→1-n=1", "2-n→3-n=0.5", "3-n→2-n=0.5", "3-n→3-n=1"]
    );
    let weighed = LoadOptions { type_weights: [("part".to_owned(), 4.0)].into(), ..ukb() };
    assert_eq!(edges_of("a.txt", text, &weighed), ["1-n→2-n=1", "2-n→1-n=1", "2-n→3-n=2", "3-n→3-n=1"]);
    // Untyped relations of one file, typed ones of another: the other way of an edge has its own type.
    let files = Files::new().with("a.txt", "u:1 v:2\n").with("b.txt", "u:1 v:3 s:x\n");
    assert_eq!(types(&files.load(&ukb()).expect("good files")), ["-", "-", "x", "x"]);
}

#[test]
fn a_line_that_is_no_relation_of_ukb_is_named() {
    let cases: [(&[u8], &str); 12] = [
        (b"", "a.txt:1: expected edges, got an empty file"),
        (b"# nothing\n", "a.txt: expected edges, got a file without any"),
        (b"u:1 v:2\nu:1\n", "a.txt:2: expected u:NODE and v:NODE, got \"u:1\""),
        (b"u:1 v:\n", "a.txt:1: expected an id behind u: and v:, got \"u:1 v:\""),
        (b"u:1 v:2 x:3\n", "a.txt:1: expected fields u:NODE v:NODE, and perhaps w:, d:, t:, s:, got \"x:3\""),
        (b"1 2\n", "a.txt:1: expected fields u:NODE v:NODE, and perhaps w:, d:, t:, s:, got \"1\""),
        (b"u:1 v:2 u:3\n", "a.txt:1: expected one field u:, got two: \"u:1 v:2 u:3\""),
        (b"u:1 v:2 d:2\n", "a.txt:1: expected d:0 or d:1, got \"2\""),
        (b"u:1 v:2 w:x\n", "a.txt:1: expected a weight, got \"x\""),
        (b"u:1 v:2 w:NaN\n", "a.txt:1: expected a finite weight, got \"NaN\""),
        (
            b"u:1 v:2 w:-1\n",
            "a.txt:1: expected a weight (PageRank needs weights ≥ 0; drop or map negative ones first), got \"-1\"",
        ),
        (b"u:1 v:\xFF\n", "a.txt:1: expected an id in UTF-8, got \"\u{FFFD}\""),
    ];
    for (content, message) in cases {
        assert_eq!(error_of("a.txt", content, &ukb()), message);
    }
}

#[test]
fn wordnet_as_ukb_has_it() {
    let Some(path) = support::data("wordnet-3.0/wn30_rel.ukb.txt.gz") else { return };
    let content = std::fs::read(path).expect("a file that is there");
    let loaded = load_one("wordnet.txt.gz", content, &ukb()).expect("a good file");
    // Counted by zcat | wc -l and by awk over the s: fields.
    assert_eq!((loaded.report.edges_read, loaded.report.edge_types), (377_592, 28));
    assert_eq!(loaded.edges.len() as u64, 2 * (377_592 - loaded.report.self_loops) + loaded.report.self_loops);
}
