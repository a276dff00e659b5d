//! Good files of each format, and what comes out of them.

mod support;

use std::collections::BTreeMap;
use std::io::Write;
use std::ops::ControlFlow;

use flate2::Compression;
use flate2::write::GzEncoder;
use support::{Files, columns, edges, edges_of, error_of, load_one};
use walkprint_engine::ids::ExternalIds;
use walkprint_loaders::{Error, Format, LoadOptions, load};

fn plain() -> LoadOptions {
    LoadOptions::default()
}

fn undirected() -> LoadOptions {
    LoadOptions { undirected: true, ..plain() }
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish()).expect("writing to memory")
}

fn zstd(text: &str) -> Vec<u8> {
    zstd::encode_all(text.as_bytes(), 0).expect("writing to memory")
}

#[test]
fn an_edge_list_may_have_comments_blank_lines_and_any_line_ends() {
    let text = "\u{FEFF}# SNAP\r\n% KONECT\n\n10 9\r\n   \n  9\t \t10  \n# more\n2 2";
    let loaded = load_one("a.txt", text, &plain()).expect("a good file");
    assert_eq!(edges(&loaded), ["10→9", "9→10", "2→2"]);
    assert_eq!(loaded.edges.ids, ExternalIds::Integers(vec![2, 9, 10]));
    let report = &loaded.report;
    assert_eq!((report.format, report.edges_read, report.self_loops), (Format::EdgeList, 3, 1));
    assert_eq!((report.lines, report.comment_lines, report.nodes), (8, 3, 3));
    assert_eq!((report.bytes_read, report.bytes_parsed), (text.len() as u64, text.len() as u64));
    assert_eq!((report.weight_column.as_deref(), report.weight_min), (None, None));
}

#[test]
fn tabs_in_the_first_line_let_ids_hold_blanks() {
    let loaded = load_one("a.tsv", "New York\tLos Angeles\nLos Angeles\t 7\n", &plain()).expect("a good file");
    assert_eq!(edges(&loaded), ["New York→Los Angeles", "Los Angeles→ 7"]);
    assert!(!loaded.report.integer_ids);
}

#[test]
fn one_id_that_is_no_integer_makes_all_strings() {
    let loaded = load_one("a.edges", "10 9\n9 07\n", &plain()).expect("a good file");
    assert_eq!(edges(&loaded), ["10→9", "9→07"]);
    assert_eq!(loaded.edges.ids.text(0), "07");
}

#[test]
fn a_third_column_holds_weights_and_the_report_says_so() {
    let loaded = load_one("a.txt", "1 2 0.5\n2 1 1082040961\n2 2 -0\n1 1 1e-3\n", &plain()).expect("a good file");
    assert_eq!(edges(&loaded), ["1→2=0.5", "2→1=1082040961", "2→2=0", "1→1=0.001"]);
    let report = &loaded.report;
    assert_eq!(report.weight_column.as_deref(), Some("column 3"));
    assert_eq!((report.weight_min, report.weight_max), (Some(0.0), Some(1_082_040_961.0)));
    assert_eq!((report.zero_weight_edges, report.self_loops), (1, 2));
}

#[test]
fn columns_of_an_edge_list_go_by_number() {
    let text = "1 2 5 100\n3 4 6 101\n";
    assert_eq!(edges_of("out.x", text, &columns("1", "2", Some("3"))), ["1→2=5", "3→4=6"]);
    let loaded = load_one("a.txt", text, &columns("2", "1", None)).expect("a good file");
    assert_eq!(edges(&loaded), ["2→1", "4→3"]);
    assert_eq!(loaded.report.ignored_columns, ["column 3", "column 4"]);
    assert_eq!((loaded.report.source_column.as_str(), loaded.report.target_column.as_str()), ("column 2", "column 1"));
    let only_weight = LoadOptions { weight_col: Some("4".to_owned()), ..plain() };
    assert_eq!(edges_of("a.txt", text, &only_weight), ["1→2=100", "3→4=101"]);
}

#[test]
fn undirected_edges_are_written_both_ways_and_self_loops_once() {
    let loaded = load_one("a.txt", "1 2 5\n3 3 6\n", &undirected()).expect("a good file");
    assert_eq!(edges(&loaded), ["1→2=5", "2→1=5", "3→3=6"]);
    assert_eq!(loaded.report.edges_read, 2);
}

#[test]
fn columns_of_a_header_are_recognised() {
    for header in ["src,dst", "Source,TARGET", "source,destination", "from,to", "from:token, to:token"] {
        assert_eq!(edges_of("a.csv", format!("{header}\na,b\nb,a\n"), &plain()), ["a→b", "b→a"], "{header}");
    }
    let loaded = load_one("a.csv", "note,weight,to,from,type\nx,2,b,a,likes\n", &plain()).expect("a good file");
    assert_eq!(edges(&loaded), ["a→b=2"]);
    assert_eq!(loaded.report.ignored_columns, ["note"]);
    assert_eq!(loaded.report.weight_column.as_deref(), Some("weight"));
    assert_eq!((loaded.report.edge_types, loaded.report.types_used), (1, false));
    // Users and items are no edges between nodes of one kind, unless somebody says so.
    assert!(
        error_of("a.csv", "user_id,item_id\n5,5\n", &plain()).contains("expected a header with columns for source")
    );
    let loaded =
        load_one("a.csv", "user_id,item_id\n5,5\n", &columns("user_id", "item_id", None)).expect("a good file");
    assert_eq!(edges(&loaded), ["5→5"]);
    assert_eq!(loaded.report.notes, ["users and items share one set of ids: user 5 and item 5 are the same node"]);
}

#[test]
fn columns_of_a_header_may_be_named() {
    let text = "who,whom,source,target,w\na,b,c,d,3\n";
    assert_eq!(edges_of("a.csv", text, &columns("who", "whom", Some("W"))), ["a→b=3"]);
    let source = LoadOptions { source_col: Some("who".to_owned()), ..plain() };
    assert_eq!(edges_of("a.csv", text, &source), ["a→d"]);
    assert_eq!(edges_of("a.txt", "who\twhom\na\tb\n", &columns("who", "whom", None)), ["a→b"]);
}

#[test]
fn a_csv_file_without_a_header_goes_by_number() {
    let loaded = load_one("a.csv", "6,2,4,1289241911\n6,5,0,1289241941\n", &columns("1", "2", Some("3")));
    assert_eq!(edges(&loaded.expect("a good file")), ["6→2=4", "6→5=0"]);
}

#[test]
fn quoted_fields_hold_delimiters_quotes_and_line_ends() {
    let text = "\"source\",target\r\n\"a,b\",\"say \"\"hi\"\"\"\r\n\r\n\"two\nlines\",5\" disk\nx,\"\ny\"";
    assert_eq!(edges_of("a.csv", text, &plain()), ["a,b→say \"hi\"", "two\nlines→5\" disk", "x→\ny"]);
}

#[test]
fn types_multiply_weights() {
    let text = "source\ttarget\ttype\tweight\na\tb\tlikes\t2\na\tc\thates\t2\na\td\tknows\t2\n";
    let type_weights = BTreeMap::from([("likes".to_owned(), 3.0), ("hates".to_owned(), 0.0)]);
    let options = LoadOptions { type_weights, ..plain() };
    let loaded = load_one("a.tsv", text, &options).expect("a good file");
    assert_eq!(edges(&loaded), ["a→b=6", "a→c=0", "a→d=2"]);
    assert_eq!((loaded.report.types_used, loaded.report.zero_weight_edges), (true, 1));
    assert_eq!(loaded.report.weight_max, Some(2.0));
    let by_number = LoadOptions { type_col: Some("3".to_owned()), ..options };
    assert_eq!(edges_of("a.txt", "a b likes\nb a hates\nc c x\n", &by_number), ["a→b=3", "b→a=0", "c→c=1"]);
}

#[test]
fn a_matrix_has_all_its_indices_as_nodes() {
    let text = "%%MatrixMarket matrix coordinate pattern general\n% hello\n4 4 2\n1 2\n\n4 4\n";
    let loaded = load_one("a.mtx", text, &plain()).expect("a good file");
    assert_eq!(edges(&loaded), ["1→2", "4→4"]);
    assert_eq!(loaded.edges.ids, ExternalIds::Integers(vec![1, 2, 3, 4]));
    assert_eq!((loaded.report.format, loaded.report.lines), (Format::MatrixMarket, 6));
}

#[test]
fn a_symmetric_matrix_is_read_both_ways_once() {
    let text = "%%matrixmarket MATRIX coordinate Real Symmetric\n3 3 2\n3 1 0.5\n2 2 4\n";
    for options in [plain(), undirected()] {
        assert_eq!(edges_of("a.txt", text, &options), ["3→1=0.5", "1→3=0.5", "2→2=4"]);
    }
}

#[test]
fn compressed_files_are_read_whatever_their_name() {
    let text = "1 2\n2 3\n";
    let expected = ["1→2", "2→3", "4→5"];
    let members = [gzip(text), gzip("4 5\n")].concat();
    assert_eq!(edges_of("a.txt.gz", &members, &plain()), expected, "all members of a gzip file");
    assert_eq!(edges_of("a.txt", &members, &plain()), expected);
    let frames = [zstd(text), zstd("4 5\n")].concat();
    let loaded = load_one("a.edges.zst", &frames, &plain()).expect("a good file");
    assert_eq!(edges(&loaded), expected);
    assert_eq!((loaded.report.bytes_read, loaded.report.bytes_parsed), (frames.len() as u64, 12));
}

#[test]
fn several_files_are_read_in_order() {
    let files = Files::new().with("b.txt", "2 3\n").with("a.tsv", "#\n1\t2");
    let loaded = files.load(&plain()).expect("good files");
    assert_eq!(edges(&loaded), ["2→3", "1→2"]);
    assert_eq!((loaded.report.files, loaded.report.lines), (2, 3));
    let files = Files::new().with("a.csv", "source,target\na,b\n").with("b.tsv", "to\tfrom\nb\tc\n");
    assert_eq!(edges(&files.load(&plain()).expect("good files")), ["a→b", "c→b"]);
    let matrix = |size: u32| format!("%%MatrixMarket matrix coordinate pattern general\n{size} {size} 1\n1 1\n");
    let files = Files::new().with("a.mtx", matrix(5)).with("b.mtx", matrix(3));
    assert_eq!(files.load(&plain()).expect("good files").edges.ids.len(), 5);
}

#[test]
fn the_format_can_be_said() {
    let options = LoadOptions { format: Some(Format::EdgeList), ..plain() };
    assert_eq!(edges_of("a.csv", "source target\nfrom to\n", &options), ["source→target", "from→to"]);
    let options = LoadOptions { format: Some(Format::Csv), ..plain() };
    assert_eq!(edges_of("a.txt", "src,dst\n1,2\n", &options), ["1→2"]);
}

#[test]
fn a_callback_can_stop_the_load() {
    let files = Files::new().with("a.txt", "1 2\n");
    let outcome = load(&[files.path("a.txt")], &plain(), &|progress| {
        assert_eq!((progress.bytes_read, progress.bytes_total), (4, 4));
        ControlFlow::Break(())
    });
    assert!(matches!(outcome, Err(Error::Interrupted)), "{outcome:?}");
}
