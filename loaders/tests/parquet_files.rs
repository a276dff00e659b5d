//! Parquet files: good ones of every type of column, bad ones, and damaged ones.

mod support;

use std::fs::File;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, DictionaryArray, Float32Array, Float64Array, Int16Array, Int64Array, LargeStringArray, RecordBatch,
    StringArray, StringViewArray, UInt64Array,
};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use support::{Files, columns, edges};
use walkprint_engine::ids::ExternalIds;
use walkprint_loaders::{Error, Format, LoadOptions, Loaded, Part, load, load_part};

fn write(path: &Path, columns: &[(&str, ArrayRef)], rows_per_group: usize) {
    let batch =
        RecordBatch::try_from_iter_with_nullable(columns.iter().map(|(name, array)| (*name, Arc::clone(array), true)))
            .expect("columns of one length");
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(rows_per_group)).build();
    let file = File::create_new(path).expect("a new file");
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).expect("a writer");
    writer.write(&batch).and_then(|()| writer.close().map(|_| ())).expect("a small file");
}

fn load_columns(columns: &[(&str, ArrayRef)], options: &LoadOptions) -> Result<Loaded, String> {
    let files = Files::new();
    write(&files.path("a.parquet"), columns, 2);
    load(&[files.path("a.parquet")], options, &|_| ControlFlow::Continue(())).map_err(|error| files.message(&error))
}

fn error_of(columns: &[(&str, ArrayRef)]) -> String {
    match load_columns(columns, &LoadOptions::default()) {
        Ok(loaded) => format!("no error, but {} edges", loaded.edges.len()),
        Err(message) => message,
    }
}

fn strings(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn integers(values: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

#[test]
fn every_type_of_column_is_read() {
    let targets: [ArrayRef; 6] = [
        strings(&["7", "8", "9"]),
        Arc::new(LargeStringArray::from(vec!["7", "8", "9"])),
        Arc::new(StringViewArray::from(vec!["7", "8", "9"])),
        Arc::new(vec!["7", "8", "9"].into_iter().collect::<DictionaryArray<Int32Type>>()),
        Arc::new(Int16Array::from(vec![7, 8, 9])),
        Arc::new(UInt64Array::from(vec![7, 8, 9])),
    ];
    let weights: [ArrayRef; 3] = [
        integers(&[1, 0, 2]),
        Arc::new(Float32Array::from(vec![1.0, 0.0, 2.0])),
        Arc::new(UInt64Array::from(vec![1, 0, 2])),
    ];
    for target in &targets {
        for weight in &weights {
            let columns = [
                ("weight", Arc::clone(weight)),
                ("x", strings(&["", "", ""])),
                ("dst", Arc::clone(target)),
                ("SRC", integers(&[7, -1, 9])),
            ];
            let loaded = load_columns(&columns, &LoadOptions::default()).expect("a good file");
            assert_eq!(edges(&loaded), ["7→7=1", "-1→8=0", "9→9=2"], "{:?}", target.data_type());
            assert_eq!(loaded.edges.ids, ExternalIds::Integers(vec![-1, 7, 8, 9]));
            let report = loaded.report;
            assert_eq!((report.format, report.lines, report.edges_read), (Format::Parquet, 3, 3));
            assert_eq!((report.self_loops, report.zero_weight_edges, report.weight_max), (2, 1, Some(2.0)));
            assert_eq!((report.ignored_columns, report.source_column.as_str()), (vec!["x".to_owned()], "SRC"));
        }
    }
    let large: ArrayRef = Arc::new(UInt64Array::from(vec![u64::MAX]));
    let loaded =
        load_columns(&[("from", large), ("to", integers(&[5]))], &LoadOptions::default()).expect("a good file");
    assert_eq!(edges(&loaded), ["18446744073709551615→5"]);
}

#[test]
fn threads_and_row_groups_do_not_show() {
    let source: Vec<String> =
        (0..200).map(|row| if row == 150 { "x".to_owned() } else { (row * 7 % 60).to_string() }).collect();
    let source: ArrayRef = Arc::new(StringArray::from(source));
    let target = integers(&(0..200).map(|row| row * 11 % 50).collect::<Vec<_>>());
    let files = Files::new();
    let mut expected: Option<Loaded> = None;
    for rows_per_group in [1, 7, 1000] {
        let path = files.path(&format!("{rows_per_group}.parquet"));
        write(&path, &[("source", Arc::clone(&source)), ("target", Arc::clone(&target))], rows_per_group);
        for threads in [1, 2, 5] {
            let options = LoadOptions { threads, undirected: true, ..LoadOptions::default() };
            let loaded =
                load(std::slice::from_ref(&path), &options, &|_| ControlFlow::Continue(())).expect("a good file");
            let expected = expected.get_or_insert_with(|| loaded.clone());
            assert_eq!(loaded.edges, expected.edges, "{threads} threads, {rows_per_group} rows in a group");
        }
    }
}

#[test]
fn types_multiply_weights() {
    let kind: ArrayRef = Arc::new(vec!["likes", "knows"].into_iter().collect::<DictionaryArray<Int32Type>>());
    let options = LoadOptions { type_weights: [("likes".to_owned(), 3.0)].into(), ..LoadOptions::default() };
    let columns = [("src", integers(&[1, 2])), ("dst", integers(&[2, 1])), ("type", kind)];
    assert_eq!(edges(&load_columns(&columns, &options).expect("a good file")), ["1→2=3", "2→1=1"]);
}

#[test]
fn types_are_kept() {
    let load = |kind: ArrayRef| {
        let columns = [("src", integers(&[1, 2, 3])), ("dst", integers(&[2, 3, 1])), ("type", kind)];
        load_columns(&columns, &LoadOptions::default()).expect("a good file")
    };
    let names = |kind: ArrayRef| {
        let kinds = load(kind).edges.kinds.edges.expect("types");
        (0..3).map(|edge| kinds.name(edge).map(str::to_owned)).collect::<Vec<_>>()
    };
    let three = |names: [Option<&str>; 3]| names.map(|name| name.map(str::to_owned)).to_vec();
    assert_eq!(names(strings(&["likes", "", "cites"])), three([Some("likes"), None, Some("cites")]));
    assert_eq!(names(Arc::new(StringArray::from(vec![None, Some("x"), None]))), three([None, Some("x"), None]));
    assert_eq!(names(integers(&[7, -1, 7])), three([Some("7"), Some("-1"), Some("7")]));
    // In parts as well: one has the first row group, the other what comes after it.
    let files = Files::new();
    let path = files.path("a.parquet");
    let kind = strings(&["likes", "", "cites"]);
    write(&path, &[("src", integers(&[1, 2, 3])), ("dst", integers(&[2, 3, 1])), ("type", kind)], 2);
    let mut typed = Vec::new();
    for number in 0..20 {
        let part = Part::new(number, 20);
        let loaded =
            load_part(std::slice::from_ref(&path), &LoadOptions::default(), part, &|_| ControlFlow::Continue(()));
        let edges = loaded.expect("a good file").edges;
        let kinds = edges.kinds.edges.iter();
        typed.extend(kinds.flat_map(|kinds| (0..edges.len()).map(|edge| kinds.name(edge).map(str::to_owned))));
        assert!(edges.len() < 3, "the row groups are not in one part");
    }
    assert_eq!(typed, three([Some("likes"), None, Some("cites")]));
    // A column of another kind that happens to be called so.
    let loaded = load(Arc::new(Float64Array::from(vec![0.5; 3])));
    assert_eq!((loaded.edges.kinds.edges, loaded.report.ignored_columns), (None, vec!["type".to_owned()]));
}

#[test]
fn bad_columns_and_rows() {
    let good = || integers(&[1, 2, 3]);
    let with = |name: &'static str, array: ArrayRef| error_of(&[("src", good()), ("dst", good()), (name, array)]);
    let floats = |values: Vec<Option<f64>>| -> ArrayRef { Arc::new(Float64Array::from(values)) };
    let last = |weight: f64| with("weight", floats(vec![Some(1.0), Some(1.0), Some(weight)]));
    assert_eq!(
        last(-0.5),
        "a.parquet: row 3: expected a weight (PageRank needs weights ≥ 0; drop or map negative ones first), got -0.5"
    );
    assert_eq!(last(f64::NAN), "a.parquet: row 3: expected a finite weight, got NaN");
    assert_eq!(with("weight", floats(vec![Some(1.0), None, None])), "a.parquet: row 2: expected a weight, got null");
    assert_eq!(
        with("weight", strings(&["1", "2", "3"])),
        "a.parquet: expected numbers in the column \"weight\", got Utf8"
    );
    let nulls: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), Some("b"), None]));
    assert_eq!(error_of(&[("src", good()), ("dst", nulls)]), "a.parquet: row 3: expected the id of a target, got null");
    let all_null: ArrayRef = Arc::new(vec![None::<&str>; 3].into_iter().collect::<DictionaryArray<Int32Type>>());
    assert_eq!(
        error_of(&[("src", all_null), ("dst", good())]),
        "a.parquet: row 1: expected the id of a source, got null"
    );
    assert_eq!(
        error_of(&[("src", strings(&["a", "", "b"])), ("dst", good())]),
        "a.parquet: row 2: expected the id of a source, got nothing"
    );
    assert_eq!(
        error_of(&[("src", floats(vec![Some(1.0)])), ("dst", integers(&[1]))]),
        "a.parquet: expected integers or strings in the column \"src\", got Float64"
    );
    assert_eq!(
        error_of(&[("src", integers(&[])), ("dst", integers(&[]))]),
        "a.parquet: expected edges, got a file without any"
    );
    let unnamed = load_columns(&[("a", good()), ("b", good())], &columns("a", "c", None)).map(|_| ());
    assert_eq!(unnamed, Err("a.parquet: expected a column \"c\", got the columns \"a\", \"b\"".to_owned()));
}

#[test]
fn files_that_do_not_go_together() {
    let files = Files::new().with("b.csv", "src,dst\n1,2\n");
    write(&files.path("a.parquet"), &[("src", integers(&[1])), ("dst", integers(&[1]))], 1);
    write(&files.path("w.parquet"), &[("src", integers(&[1])), ("dst", integers(&[1])), ("weight", integers(&[1]))], 1);
    let message = |second: &str| {
        let paths = [files.path("a.parquet"), files.path(second)];
        let outcome = load(&paths, &LoadOptions::default(), &|_| ControlFlow::Continue(()));
        outcome.map(|loaded| edges(&loaded)).map_err(|error| files.message(&error))
    };
    assert_eq!(message("a.parquet"), Ok(vec!["1→1".to_owned(); 2]));
    assert_eq!(
        message("b.csv"),
        Err("b.csv: expected parquet like a.parquet, got csv (load one format at a time)".to_owned())
    );
    assert_eq!(message("w.parquet"), Err("w.parquet: expected no weights, as in a.parquet, got some".to_owned()));
}

#[test]
fn a_callback_can_stop_the_load() {
    let files = Files::new();
    write(&files.path("a.parquet"), &[("src", integers(&[1, 2, 3])), ("dst", integers(&[1, 2, 3]))], 1);
    let outcome = load(&[files.path("a.parquet")], &LoadOptions::default(), &|_| ControlFlow::Break(()));
    assert!(matches!(outcome, Err(Error::Interrupted)), "{outcome:?}");
}

/// Flips every bit and cuts at every byte: there is an answer, and it is no panic.
#[test]
fn damaged_files_are_errors_or_other_edges() {
    let files = Files::new();
    let path = files.path("a.parquet");
    write(&path, &[("src", strings(&["a", "b", "a"])), ("dst", integers(&[1, 2, 3]))], 2);
    let bytes = std::fs::read(&path).expect("a small file");
    let mut refused = 0;
    let mut check = |bytes: &[u8]| {
        std::fs::write(&path, bytes).expect("a small file");
        let outcome = load(std::slice::from_ref(&path), &LoadOptions::default(), &|_| ControlFlow::Continue(()));
        if let Err(error) = outcome {
            assert!(files.message(&error).contains("a.parquet"), "{error}");
            refused += 1;
        }
    };
    for keep in 0..bytes.len() {
        check(&bytes[..keep]);
    }
    for bit in 0..8 * bytes.len() {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        check(&damaged);
    }
    assert!(bytes.len() < refused, "every cut is refused, and some flips: {refused}");
}
