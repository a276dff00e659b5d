//! Types of edges and nodes: kept as they were written, and refused where they make no sense.

mod support;

use std::io::Write;
use std::ops::{ControlFlow, Range};

use flate2::Compression;
use flate2::write::GzEncoder;
use support::{Files, load_one};
use walkprint_engine::ids::{ExternalIds, StringTable};
use walkprint_engine::kinds::KindList;
use walkprint_loaders::{Error, LoadOptions, Loaded, load, node_types_of_range};

fn plain() -> LoadOptions {
    LoadOptions::default()
}

/// The types of items, `-` for none.
fn names(list: &Option<KindList>) -> Vec<&str> {
    let list = list.as_ref().expect("a list of types");
    (0..list.codes.len()).map(|item| list.name(item).unwrap_or("-")).collect()
}

#[test]
fn edges_keep_their_types() {
    let text = "source,target,type\na,b,likes\nb,b,\"says \"\"hi\"\"\"\nb,c,\nc,a,likes\n";
    let loaded = load_one("a.csv", text, &plain()).expect("a good file");
    assert_eq!(names(&loaded.edges.kinds.edges), ["likes", "says \"hi\"", "-", "likes"]);
    assert_eq!((loaded.report.edge_types, loaded.report.typed_edges), (2, 3));
    assert_eq!(loaded.edges.weights, None, "types alone are no weights");
    let both_ways = load_one("a.csv", text, &LoadOptions { undirected: true, ..plain() }).expect("a good file");
    assert_eq!(
        names(&both_ways.edges.kinds.edges),
        ["likes", "likes", "says \"hi\"", "-", "-", "likes", "likes"],
        "both directions of an edge, a self-loop once"
    );
    let by_number = LoadOptions { type_col: Some("2".to_owned()), target_col: Some("3".to_owned()), ..plain() };
    let loaded = load_one("a.txt", "a likes b\nb hates a\n", &by_number).expect("a good file");
    assert_eq!(names(&loaded.edges.kinds.edges), ["likes", "hates"]);
    assert_eq!(load_one("a.txt", "a b\n", &plain()).expect("a good file").edges.kinds.edges, None);
    assert_eq!(load_one("a.csv", "source,target,type\na,b,\n", &plain()).expect("a good file").edges.kinds.edges, None);
    // Files with and without types may come together.
    let files = Files::new().with("a.csv", "source,target\na,b\n").with("b.csv", "source,target,type\nb,a,likes\n");
    assert_eq!(names(&files.load(&plain()).expect("good files").edges.kinds.edges), ["-", "likes"]);
}

#[test]
fn many_types_take_wider_codes() {
    let text: String = (0..70_000).map(|edge| format!("{edge},{},t{:05}\n", edge / 2, edge)).collect();
    let loaded = load_one("a.csv", format!("source,target,type\n{text}"), &plain()).expect("a good file");
    let list = loaded.edges.kinds.edges.as_ref().expect("types");
    assert_eq!((list.names.len(), list.codes.width()), (70_000, 4));
    assert!((0..70_000).all(|edge| list.name(edge) == Some(&format!("t{edge:05}"))));
}

/// Loads a graph of the nodes a, b, "c,d" and 7 with this file of node types.
fn with_node_types(name: &str, content: impl AsRef<[u8]>) -> Result<Loaded, String> {
    let files = Files::new().with("edges.csv", "source,target\na,b\n\"c,d\",7\n");
    std::fs::write(files.path(name), content).expect("a small file");
    let options = LoadOptions { node_types: Some(files.path(name)), ..plain() };
    load(&[files.path("edges.csv")], &options, &|_| ControlFlow::Continue(())).map_err(|error| files.message(&error))
}

/// Reads the types of the same nodes as two processes do, of which the first has so many of them: types by name, or what is
/// wrong with the first line of which either says so.
fn in_ranges(name: &str, content: impl AsRef<[u8]>, first: usize) -> Result<Vec<String>, String> {
    let files = Files::new().with(name, content);
    let options = LoadOptions { node_types: Some(files.path(name)), ..plain() };
    let ids = ["7", "a", "b", "c,d"];
    let read = |own: Range<usize>, asks_first: bool| {
        let mut table = StringTable::default();
        ids[own].iter().for_each(|id| table.push(id));
        // The first one has all ids before those of the second one; without any, it has none.
        let is_first = |id: &[u8]| first != 0 && ids.get(first).is_none_or(|next| id < next.as_bytes());
        let is_own = |id: &[u8]| is_first(id) == asks_first;
        let list = node_types_of_range(&options, &ExternalIds::Strings(table), &is_own)?;
        Ok(names(&list).into_iter().map(str::to_owned).collect::<Vec<_>>())
    };
    match (read(0..first, true), read(first..4, false)) {
        (Ok(types), Ok(more)) => Ok([types, more].concat()),
        (Err(one), Err(other)) => {
            let line = |error: &Error| if let Error::Line { line, .. } = error { *line } else { u64::MAX };
            Err(files.message(if line(&one) <= line(&other) { &one } else { &other }))
        }
        (Err(error), Ok(_)) | (Ok(_), Err(error)) => Err(files.message(&error)),
    }
}

#[test]
fn nodes_have_the_types_of_their_file() {
    // Ids ascend: 7, a, b, "c,d".
    for (name, content) in [
        ("t.tsv", "a\tword\nc,d\tword\n7\tnumber\n"),
        ("t.txt", "a\tword\r\n\r\nc,d\tword\r\n7\tnumber"),
        ("t.csv", "a,word\n\"c,d\",word\n7,number\na,word\n"),
        ("t", "id,type\na,word\n\"c,d\",word\n7,number\n"),
        ("t.csv", "\u{FEFF}Type,note,NODE\nword,x,a\nword,\"two\nlines\",\"c,d\"\nnumber,,7\n"),
        ("t.tsv", "node:token\ttype:token\na\tword\nc,d\tword\n7\tnumber\n"),
    ] {
        let loaded = with_node_types(name, content).unwrap_or_else(|error| panic!("{content:?}: {error}"));
        let expected = ["number", "word", "-", "word"];
        assert_eq!(names(&loaded.edges.kinds.nodes), expected, "{content:?}");
        for at in 0..=4 {
            assert_eq!(
                in_ranges(name, content, at),
                Ok(expected.map(str::to_owned).to_vec()),
                "{content:?} cut at {at}"
            );
        }
        assert_eq!((loaded.report.node_types, loaded.report.typed_nodes), (2, 3));
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(content.as_bytes()).expect("writing to memory");
        let packed = with_node_types(&format!("{name}.gz"), packed.finish().expect("writing to memory"));
        assert_eq!(packed.expect("a good file").edges, loaded.edges);
    }
}

#[test]
fn node_types_that_make_no_sense() {
    let cases = [
        ("t.csv", "", "t.csv: expected nodes and their types, got a file without any"),
        ("t.csv", "id,type\n", "t.csv: expected nodes and their types, got a file without any"),
        ("t.csv", "a,word\nelk,word\n", "t.csv:2: expected the id of a node of the graph, got \"elk\""),
        ("t.csv", "# a,word\n", "t.csv:1: expected the id of a node of the graph, got \"# a\""),
        ("t.csv", "a,word\n07,number\n", "t.csv:2: expected the id of a node of the graph, got \"07\""),
        (
            "t.csv",
            "a,word\nb,word\na,letter\n",
            "t.csv:3: expected one type for \"a\", which an earlier line gives another, got \"letter\"",
        ),
        ("t.csv", "a,\n", "t.csv:1: expected a type, got nothing"),
        (
            "t.csv",
            "a,word,x\n",
            "t.csv:1: expected 2 columns, an id and a type, separated by a tab (or commas), got 3: \"a,word,x\"",
        ),
        ("t.csv", "id,type,x\na,word\n", "t.csv:2: expected 3 columns, as in the header, got 2: \"a,word\""),
        (
            "t.csv",
            "id,node,type\na,a,word\n",
            "t.csv:1: expected one column of ids (id or node) and one of types (type), got \"id,node,type\"",
        ),
        (
            "t.csv",
            "a,\"word\nb,word\n",
            "t.csv:1: expected a closing quote for the field that begins here, got the end of the file",
        ),
        ("t.gz", "a,word\n", "t.gz: expected gzip data, as its name says, got something else"),
        (
            "t.csv",
            "PAR1abc",
            "t.csv: expected text: an id, a tab or comma, and a type in each line, got a Parquet file",
        ),
    ];
    for (name, content, message) in cases {
        assert_eq!(with_node_types(name, content).map(|_| ()), Err(message.to_owned()), "{content:?}");
        for at in 0..=4 {
            assert_eq!(in_ranges(name, content, at), Err(message.to_owned()), "{content:?} cut at {at}");
        }
    }
    let not_text = with_node_types("t.csv", b"a,\xff\n").map(|_| ());
    assert_eq!(not_text, Err("t.csv:1: expected a type in UTF-8, got \"\u{FFFD}\"".to_owned()));
    let missing = LoadOptions { node_types: Some("no/such/file".into()), ..plain() };
    assert_eq!(load_one("a.txt", "a b\n", &missing).map(|_| ()), Err("could not read no/such/file".to_owned()));
}
