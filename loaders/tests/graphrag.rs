//! The Parquet tables of GraphRAG, written here and read by the loader.

use std::fs::File;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use walkprint_loaders::{Error, Format, LoadOptions, Loaded, load};

fn write(directory: &Path, name: &str, columns: Vec<(&str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter(columns).expect("columns of one length");
    let path = directory.join(name);
    let _ = std::fs::remove_file(&path); // there may be none yet
    let file = File::create_new(path).expect("a file");
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).expect("a writer");
    writer.write(&batch).expect("rows are written");
    writer.close().expect("the file is ended");
}

fn strings(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn lists(values: &[&[&str]]) -> ArrayRef {
    let mut builder = ListBuilder::new(StringBuilder::new());
    for list in values {
        builder.append_value(list.iter().map(|value| Some(*value)));
    }
    Arc::new(builder.finish())
}

fn tables(directory: &Path) {
    let (ids, texts) = (strings(&["u1", "u2"]), strings(&["Ann meets Bob.", "Bob knows Rome."]));
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![3, 4]));
    write(directory, "text_units.parquet", vec![("id", ids), ("n_tokens", numbers), ("text", texts)]);
    let mentions = lists(&[&["u1"], &["u1", "u2"], &["u2"]]);
    let (titles, kinds) = (strings(&["ANN", "BOB", "ROME"]), strings(&["PERSON", "PERSON", "GEO"]));
    write(directory, "entities.parquet", vec![("text_unit_ids", mentions), ("title", titles), ("type", kinds)]);
    let weights: ArrayRef = Arc::new(Float64Array::from(vec![2.0, 0.5]));
    let (sources, targets) = (strings(&["ANN", "BOB"]), strings(&["BOB", "ROME"]));
    write(directory, "relationships.parquet", vec![("source", sources), ("target", targets), ("weight", weights)]);
}

fn read(directory: &Path, options: &LoadOptions) -> Result<Loaded, Error> {
    let options = LoadOptions { format: Some(Format::GraphRag), ..options.clone() };
    load(&[directory.to_owned()], &options, &|_| ControlFlow::Continue(()))
}

#[test]
fn tables_become_passages_and_entities() {
    let directory = tempfile::tempdir().unwrap();
    tables(directory.path());
    write(directory.path(), "communities.parquet", vec![("id", strings(&["c"]))]);
    let Loaded { edges, passages, report } = read(directory.path(), &LoadOptions::default()).unwrap();
    let kinds = edges.kinds.edges.as_ref().unwrap();
    let mut all: Vec<String> = (0..edges.len())
        .map(|at| {
            let id = |rank: u32| edges.ids.text(rank as usize);
            let weight = edges.weights.as_ref().unwrap()[at];
            format!("{} {} {} {weight}", id(edges.sources[at]), kinds.name(at).unwrap(), id(edges.targets[at]))
        })
        .collect();
    all.sort();
    let mut expected = vec![
        "ANN related BOB 2",
        "BOB related ANN 2",
        "BOB related ROME 0.5",
        "ROME related BOB 0.5",
        "passage:u1 mentions ANN 1",
        "ANN ^mentions passage:u1 1",
        "passage:u1 mentions BOB 1",
        "BOB ^mentions passage:u1 1",
        "passage:u2 mentions BOB 1",
        "BOB ^mentions passage:u2 1",
        "passage:u2 mentions ROME 1",
        "ROME ^mentions passage:u2 1",
    ];
    expected.sort_unstable();
    assert_eq!(all, expected);
    let types = edges.kinds.nodes.as_ref().unwrap();
    let types: Vec<&str> = (0..edges.ids.len()).map(|at| types.name(at).unwrap()).collect();
    assert_eq!(types, ["entity", "entity", "entity", "passage", "passage"]);
    assert_eq!(passages.iter().map(|one| one.text.as_str()).collect::<Vec<_>>(), ["Ann meets Bob.", "Bob knows Rome."]);
    assert!(report.notes.iter().any(|note| note.contains("communities.parquet")), "{:?}", report.notes);
}

#[test]
fn bad_tables_are_told() {
    let refused = |change: &dyn Fn(&Path)| {
        let directory = tempfile::tempdir().unwrap();
        tables(directory.path());
        change(directory.path());
        read(directory.path(), &LoadOptions::default()).unwrap_err().to_string()
    };
    let message = refused(&|path| std::fs::remove_file(path.join("relationships.parquet")).unwrap());
    assert!(message.contains("a table relationships.parquet"), "{message}");
    let message = refused(&|path| write(path, "relationships.parquet", vec![("source", strings(&["A"]))]));
    assert!(message.contains("expected a column \"target\", got the columns source"), "{message}");
    let message = refused(&|path| {
        let weights: ArrayRef = Arc::new(Float64Array::from(vec![Some(1.0), None]));
        let (sources, targets) = (strings(&["A", "B"]), strings(&["B", "A"]));
        write(path, "relationships.parquet", vec![("source", sources), ("target", targets), ("weight", weights)]);
    });
    assert!(message.contains("row 2: expected a weight, got null"), "{message}");
    let message = refused(&|path| {
        write(path, "entities.parquet", vec![("title", strings(&["A"])), ("text_unit_ids", strings(&["u1"]))]);
    });
    assert!(message.contains("a list of ids of text units"), "{message}");
    let message = refused(&|path| {
        write(path, "text_units.parquet", vec![("id", strings(&["u", "u"])), ("text", strings(&["a", "b"]))]);
    });
    assert!(message.contains("row 2: expected an id that no other passage"), "{message}");
    let whole = {
        let directory = tempfile::tempdir().unwrap();
        tables(directory.path());
        std::fs::read(directory.path().join("entities.parquet")).unwrap()
    };
    for end in (0..whole.len()).step_by(7) {
        let message = refused(&|path| std::fs::write(path.join("entities.parquet"), &whole[..end]).unwrap());
        assert!(message.contains("entities.parquet"), "{end}: {message}");
    }
    let directory = tempfile::tempdir().unwrap();
    tables(directory.path());
    let inverse = LoadOptions { inverse: Some(1.0), ..LoadOptions::default() };
    assert!(read(directory.path(), &inverse).unwrap_err().to_string().contains("--inverse"));
}
