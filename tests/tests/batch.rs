//! Keeps: **a batch writes the same bytes from any number of workers, killed and resumed or not; its rows are the answers
//! that single questions get; what cannot be done is refused and leaves what was there.**

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::path::Path;
use std::sync::OnceLock;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Int64Type, UInt32Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;
use tempfile::TempDir;
use walkprint_engine::query::{Answerer, Method, Question, Seeds};
use walkprint_engine::store::Store;
use walkprint_tests::graphs::sprawling;
use walkprint_tests::program::{Ended, command, run, signal, wait_until, with_full_disk};
use walkprint_tests::stores::files;

/// Parts of 334 sources, 12 of them: a second of work or so.
const BATCH: [&str; 11] =
    ["batch", "s.wp", "--sources", "all", "--top", "20", "--method", "combine", "--rows-per-file", "6680", "--out"];
const PARTS: usize = 12;

/// A directory with a store `s.wp`: 4,000 nodes with integers as ids, in no order, and an index.
fn place() -> TempDir {
    static FILES: OnceLock<BTreeMap<String, Vec<u8>>> = OnceLock::new();
    let stored = FILES.get_or_init(|| {
        let place = tempfile::tempdir().expect("a temporary directory");
        // Every node has an edge to the next, so that all are there.
        let ring = (0..4000).map(|node| (node, (node + 1) % 4000, 1.0));
        let edges = sprawling(1, 4000, 6, true).edges.into_iter().chain(ring);
        let id = |node: u32| i64::from(node * 1999 % 4000) - 700;
        let text: String = edges.map(|(from, to, weight)| format!("{}\t{}\t{weight}\n", id(from), id(to))).collect();
        write(place.path(), "edges.tsv", text);
        let _ = run(place.path(), &["load", "edges.tsv", "--into", "s.wp"]).done();
        let _ = run(place.path(), &["index", "s.wp"]).done();
        files(&place.path().join("s.wp"))
    });
    let place = tempfile::tempdir().expect("a temporary directory");
    for (name, bytes) in stored {
        let path = place.path().join("s.wp").join(name);
        std::fs::create_dir_all(path.parent().expect("a file lies in a directory")).expect("a directory");
        std::fs::write(path, bytes).expect("a copy of a small file");
    }
    place
}

/// A directory with a store `w.wp` of a few words, some of which need quotes in CSV or JSON, and a file of types.
fn words() -> TempDir {
    let place = tempfile::tempdir().expect("a temporary directory");
    let edges = "ant\tbee, the\t2\nbee, the\tcat \"c\"\t1\ncat \"c\"\tant\t1\nant\tdog\t3\nélan\tdog\t1\nZ\tant\t1\n";
    let quoted = edges.replace("cat \"c\"", "\"cat \"\"c\"\"\"");
    write(place.path(), "edges.tsv", format!("source\ttarget\tweight\n{quoted}"));
    write(place.path(), "types.tsv", "ant\tinsect\nbee, the\tinsect\ndog\tmammal\n");
    let _ = run(place.path(), &["load", "edges.tsv", "--into", "w.wp"]).done();
    let _ = run(place.path(), &["index", "w.wp"]).done();
    place
}

fn write(directory: &Path, name: &str, content: impl AsRef<[u8]>) {
    std::fs::write(directory.join(name), content).expect("room for a small file");
}

fn batch(place: &Path, out: &str, more: &[&str]) -> Ended {
    run(place, &[&BATCH[..], &[out], more].concat())
}

/// Checks that a batch that had begun gave up: exit code 2, nothing on standard output, and all of these words in the last
/// line of standard error, after what the pilot measured.
fn gave_up(ended: &Ended, words: &[&str]) {
    assert!(ended.code == Some(2) && ended.stdout.is_empty(), "{ended:?}");
    let last = ended.stderr.lines().next_back().expect("a message");
    assert!(last.starts_with("walkprint: ") && !ended.stderr.contains("internal error"), "{ended:?}");
    words.iter().for_each(|word| assert!(last.contains(word), "no {word:?} in {ended:?}"));
}

/// The files of a batch that nothing disturbed.
fn undisturbed() -> &'static BTreeMap<String, Vec<u8>> {
    static FILES: OnceLock<BTreeMap<String, Vec<u8>>> = OnceLock::new();
    FILES.get_or_init(|| {
        let place = place();
        let _ = batch(place.path(), "out", &["--workers", "1"]).done();
        let found = files(&place.path().join("out"));
        assert_eq!(found.len(), PARTS + 1, "{:?}", found.keys());
        found
    })
}

fn manifest(out: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(out.join("_manifest.json")).expect("a manifest")).expect("JSON")
}

/// Parts that count.
fn sealed(out: &Path) -> usize {
    let Ok(bytes) = std::fs::read(out.join("_manifest.json")) else { return 0 };
    let manifest: Value = serde_json::from_slice(&bytes).expect("a manifest is replaced as a whole");
    manifest["parts"].as_array().map_or(0, Vec::len)
}

/// A row as text: source, target, score, std_error, rank.
type Row = [String; 5];

/// All rows of a directory of Parquet files, in order.
fn parquet_rows(out: &Path) -> Vec<Row> {
    let names = files(out).into_keys().filter(|name| name.ends_with(".parquet"));
    names.flat_map(|name| batches(&out.join(name))).flat_map(|batch| rows_of(&batch)).collect()
}

fn open_parquet(file: &Path) -> ParquetRecordBatchReaderBuilder<File> {
    let file = OpenOptions::new().read(true).open(file).expect("a file of the test's own");
    ParquetRecordBatchReaderBuilder::try_new(file).expect("a Parquet file")
}

fn batches(file: &Path) -> Vec<RecordBatch> {
    let reader = open_parquet(file).build().expect("a reader");
    reader.map(|batch| batch.expect("rows")).collect()
}

fn rows_of(batch: &RecordBatch) -> Vec<Row> {
    let ids = |name: &str, at: usize| {
        let column = batch.column_by_name(name).expect("a column");
        match column.as_primitive_opt::<Int64Type>() {
            Some(integers) => integers.value(at).to_string(),
            None => column.as_string::<i32>().value(at).to_owned(),
        }
    };
    let number = |name: &str, at| {
        batch.column_by_name(name).expect("a column").as_primitive::<Float32Type>().value(at).to_string()
    };
    let rank = batch.column_by_name("rank").expect("a column").as_primitive::<UInt32Type>();
    let row = |at| {
        let [source, target] = ["source", "target"].map(|name| ids(name, at));
        [source, target, number("score", at), number("std_error", at), rank.value(at).to_string()]
    };
    (0..batch.num_rows()).map(row).collect()
}

#[test]
fn any_number_of_workers_writes_the_same_bytes() {
    let place = place();
    for workers in ["2", "3"] {
        let out = format!("out{workers}");
        let _ = batch(place.path(), &out, &["--workers", workers]).done();
        assert!(files(&place.path().join(&out)) == *undisturbed(), "{workers} workers: other bytes");
    }
    // Neither does it matter how little memory there is.
    batch(place.path(), "tight", &["--workers", "2", "--memory", "1MiB"]).refused(&["--memory", "needs"]);
    assert!(!place.path().join("tight").exists());
    let json: Value = serde_json::from_str(&batch(place.path(), "json", &["--json"]).done()).unwrap();
    let bytes = json["planned_bytes"].to_string();
    let _ = batch(place.path(), "tight", &["--memory", &bytes]).done();
    assert!(files(&place.path().join("tight")) == *undisturbed(), "--memory: other bytes");
    assert_eq!(json["rows"], undisturbed_rows().len());
    assert_eq!(json["bytes"], manifest(&place.path().join("json"))["bytes"]);
}

/// Blocks are filled across twins, which must not depend on who answers.
#[test]
fn any_number_of_workers_fills_the_same_blocks() {
    let place = place();
    // Ten leaves of one length of id on each of two hundred nodes: leaves of a hub are twins.
    let leaves: String = (0..2000).map(|leaf| format!("{} {}\n", 10_000 + leaf, leaf % 200)).collect();
    write(place.path(), "leaves.txt", leaves);
    let _ = run(place.path(), &["load", "leaves.txt", "--undirected", "--into", "t.wp"]).done();
    let with = |workers: &str, out: &str| {
        let arguments =
            ["batch", "t.wp", "--sources", "all", "--top", "5", "--method", "block", "--rows-per-file", "4000"];
        let _ = run(place.path(), &[&arguments[..], &["--workers", workers, "--out", out]].concat()).done();
        files(&place.path().join(out))
    };
    let one = with("1", "one");
    assert!(one.len() == 4 && one == with("3", "three"));
    let rows = parquet_rows(&place.path().join("one"));
    assert_eq!(rows.len(), 5 * 2200);
    // Every leaf ranks its hub first or second, itself among the two, and its twins by id after them.
    for rows in rows.chunks(5).filter(|rows| 10_000 <= rows[0][0].parse::<i64>().unwrap()) {
        let source: i64 = rows[0][0].parse().unwrap();
        let targets: Vec<i64> = rows.iter().map(|row| row[1].parse().unwrap()).collect();
        let hub = source % 200;
        let twins = (0..10).map(|twin| 10_000 + hub + 200 * twin).filter(|&twin| twin != source);
        let mut first = targets[..2].to_vec();
        first.sort_unstable();
        assert_eq!(first, [hub, source]);
        assert_eq!(targets[2..], twins.take(3).collect::<Vec<_>>());
    }
}

fn undisturbed_rows() -> &'static Vec<Row> {
    static ROWS: OnceLock<Vec<Row>> = OnceLock::new();
    ROWS.get_or_init(|| {
        let place = tempfile::tempdir().expect("a temporary directory");
        undisturbed().iter().for_each(|(name, bytes)| write(place.path(), name, bytes));
        parquet_rows(place.path())
    })
}

#[test]
fn killed_and_resumed() {
    // Parts on the disk; at the first moment only the manifest need be there.
    for (turn, moment) in [0, 1, 4, 8].into_iter().enumerate() {
        let place = place();
        let (place, out) = (place.path(), place.path().join("out"));
        let arguments = [&BATCH[..], &["out", "--workers", ["1", "2"][turn % 2]]].concat();
        let mut child = command(place, &arguments).spawn().unwrap();
        let there = || out.join("_manifest.json").exists() && moment <= sealed(&out);
        assert!(wait_until(&mut child, there), "{:?}", Ended::wait(child));
        child.kill().unwrap();
        let ended = Ended::wait(child);
        assert_eq!(ended.code, None, "killed at {moment}: {ended:?}");

        // What is listed is whole; a new batch asks what to do; another one is no continuation of this.
        let listed = manifest(&out);
        assert_eq!(listed["status"], "incomplete");
        for part in listed["parts"].as_array().unwrap() {
            let name = part["file"].as_str().unwrap();
            assert!(std::fs::read(out.join(name)).unwrap() == undisturbed()[name], "{name}");
        }
        batch(place, "out", &[]).refused(&["out", "was interrupted", "--resume", "--replace"]);
        batch(place, "out", &["--resume", "--dangling", "drop"]).refused(&["\"restart\"", "\"drop\"", "--replace"]);
        let _ = batch(place, "out", &["--resume", "--workers", ["3", "1"][turn % 2]]).done();
        assert!(files(&out) == *undisturbed(), "killed at {moment}: other bytes");
    }
}

#[test]
fn ctrl_c_stops_and_says_how_to_go_on() {
    let place = place();
    let (place, out) = (place.path(), place.path().join("out"));
    let mut child = command(place, &[&BATCH[..], &["out", "--workers", "1"]].concat()).spawn().unwrap();
    assert!(wait_until(&mut child, || 2 <= sealed(&out)), "{:?}", Ended::wait(child));
    signal(&child, "INT");
    let ended = Ended::wait(child);
    assert!(ended.code == Some(130) && ended.stdout.is_empty(), "{ended:?}");
    let on_disk = sealed(&out);
    assert!((2..PARTS).contains(&on_disk), "{on_disk}");
    assert!(ended.stderr.contains(&format!("{on_disk} parts are on the disk")), "{ended:?}");
    assert!(ended.stderr.contains("--resume"), "{ended:?}");
    assert!(files(&out).keys().all(|name| !name.ends_with(".tmp")));

    // A part that was lost is answered again, a stray one is removed, and a whole batch may be resumed for nothing.
    std::fs::remove_file(out.join("part-00000.parquet")).unwrap();
    write(&out, "part-00099.parquet", "stray");
    let _ = batch(place, "out", &["--resume"]).done();
    assert!(files(&out) == *undisturbed());
    let again: Value = serde_json::from_str(&batch(place, "out", &["--resume", "--json"]).done()).unwrap();
    assert_eq!(again["resumed_parts"], PARTS);
    std::fs::remove_file(out.join("part-00003.parquet")).unwrap();
    let _ = batch(place, "out", &["--resume"]).done();
    assert!(files(&out) == *undisturbed());
}

#[test]
fn a_full_disk() {
    let place = place();
    let (place, out) = (place.path(), place.path().join("out"));
    // Large enough for the manifest, too small for a part.
    let full = with_full_disk(place, 20, &[&BATCH[..], &["out"]].concat().join(" "));
    gave_up(&full, &["out/part-", "could not write", "File too large"]);
    assert_eq!(manifest(&out)["status"], "incomplete");
    assert_eq!(files(&out).len(), 1, "a temporary file was left");
    let _ = batch(place, "out", &["--resume"]).done();
    assert!(files(&out) == *undisturbed());
}

#[test]
fn rows_are_the_answers_of_single_questions() {
    let place = place();
    let store = Store::open(&place.path().join("s.wp")).unwrap();
    let (graph, labels) = (store.graph().unwrap(), store.labels().unwrap());
    let index = store.index("default", &graph).unwrap();
    let sources: Vec<i64> = (-700..3300).step_by(127).collect();
    let list: String = sources.iter().rev().map(|id| format!("{id}\n")).collect();
    write(place.path(), "list.txt", list);
    for method in [Method::Lookup, Method::Combine, Method::Exact, Method::Block] {
        let (name, out) = (method.to_string(), format!("out-{method}"));
        let arguments = ["batch", "s.wp", "--sources", "list.txt", "--top", "30", "--method", &name, "--out", &out];
        let _ = run(place.path(), &arguments).done();
        let mut answerer = Answerer::new(&graph, &labels, Some(&index), index.plan().restart_prob).unwrap();
        let question = |source: &i64| {
            let mut question = Question::new(Seeds::resolve(&labels, &[(source.to_string(), 1.0)]).unwrap());
            (question.top, question.method) = (30, method);
            question.precision = Some(0.05).filter(|_| matches!(method, Method::Combine | Method::Block));
            question
        };
        // A block is answered in the order of places.
        let inflow = answerer.inflow().unwrap();
        let mut by_place: Vec<usize> = (0..sources.len()).collect();
        by_place.sort_by_key(|&at| {
            let node = labels.node(&sources[at].to_string()).unwrap().unwrap();
            (inflow.place(node), node)
        });
        let questions: Vec<Question> = by_place.iter().map(|&at| question(&sources[at])).collect();
        let blocks = answerer.answer_block(&questions).unwrap();
        let mut expected = Vec::new();
        for (at, source) in sources.iter().enumerate() {
            let answer = if method == Method::Block {
                blocks[by_place.iter().position(|&of| of == at).unwrap()].as_ref().unwrap().clone()
            } else {
                answerer.answer(&question(source)).unwrap()
            };
            for result in answer.results {
                #[expect(clippy::cast_possible_truncation, reason = "scores are stored in single precision")]
                let [score, error] = [result.score, result.std_error].map(|number| (number as f32).to_string());
                expected.push([source.to_string(), result.id, score, error, result.rank.to_string()]);
            }
        }
        assert!(parquet_rows(&place.path().join(&out)) == expected, "{method}");
        let manifest = manifest(&place.path().join(&out));
        assert_eq!(manifest["parameters"]["method"], name);
        assert_eq!(manifest["parts"][0]["largest_error_bound"].is_null(), method != Method::Exact);
    }
}

#[test]
fn every_source_is_there_once_and_sorted() {
    let rows = undisturbed_rows();
    let key = |row: &Row| (row[0].parse::<i64>().unwrap(), row[4].parse::<u32>().unwrap());
    assert!(rows.is_sorted_by(|a, b| key(a) < key(b)));
    let mut sources: Vec<i64> = rows.iter().map(|row| key(row).0).collect();
    sources.dedup();
    assert_eq!(sources, (-700..3300).collect::<Vec<_>>());
    let manifest: Value = serde_json::from_slice(&undisturbed()["_manifest.json"]).unwrap();
    assert_eq!((&manifest["status"], &manifest["rows"]), (&"complete".into(), &rows.len().into()));
    for part in manifest["parts"].as_array().unwrap() {
        let bytes = &undisturbed()[part["file"].as_str().unwrap()];
        assert_eq!(part["bytes"], bytes.len());
        assert_eq!(part["xxh3"], format!("{:016x}", xxhash_rust::xxh3::xxh3_64(bytes)));
    }
}

#[test]
fn parquet_says_how_it_is_sorted() {
    let place = tempfile::tempdir().unwrap();
    write(place.path(), "part.parquet", &undisturbed()["part-00000.parquet"]);
    let reader = open_parquet(&place.path().join("part.parquet"));
    let kinds: Vec<String> =
        reader.schema().fields().iter().map(|field| format!("{} {}", field.name(), field.data_type())).collect();
    assert_eq!(kinds, ["source Int64", "target Int64", "score Float32", "std_error Float32", "rank UInt32"]);
    for group in reader.metadata().row_groups() {
        let sorting = group.sorting_columns().expect("an order");
        let columns: Vec<_> = sorting.iter().map(|column| (column.column_idx, column.descending)).collect();
        assert_eq!(columns, [(0, false), (4, false)]);
    }
}

#[test]
fn all_formats_hold_the_same_rows() {
    let place = words();
    let place = place.path();
    for format in ["parquet", "csv", "jsonl"] {
        let arguments = ["batch", "w.wp", "--sources", "all", "--top", "99", "--format", format, "--out", format];
        let _ = run(place, &arguments).done();
    }
    let expected = parquet_rows(&place.join("parquet"));
    let mut sources: Vec<&str> = expected.iter().map(|row| row[0].as_str()).collect();
    sources.dedup();
    assert_eq!(sources, ["Z", "ant", "bee, the", "cat \"c\"", "dog", "élan"], "the order of bytes");

    let csv = std::fs::read_to_string(place.join("csv/part-00000.csv")).unwrap();
    let quoted = |id: &str| {
        let special = id.contains([',', '"']);
        if special { format!("\"{}\"", id.replace('"', "\"\"")) } else { id.to_owned() }
    };
    let line = |[source, target, score, error, rank]: &Row| {
        format!("{},{},{score},{error},{rank}\n", quoted(source), quoted(target))
    };
    assert_eq!(csv, "source,target,score,std_error,rank\n".to_owned() + &expected.iter().map(line).collect::<String>());

    let lines = std::fs::read_to_string(place.join("jsonl/part-00000.jsonl")).unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), expected.len());
    for (line, [source, target, score, error, rank]) in lines.iter().zip(&expected) {
        assert_eq!((line["source"].as_str(), line["target"].as_str()), (Some(&**source), Some(&**target)));
        #[expect(clippy::cast_possible_truncation, reason = "scores are stored in single precision")]
        let number = |name: &str| (line[name].as_f64().unwrap() as f32).to_string();
        assert_eq!([&number("score"), &number("std_error"), &line["rank"].to_string()], [score, error, rank]);
    }
}

#[test]
fn lists_and_types_of_sources() {
    let place = words();
    let place = place.path();
    let asks = |sources: &str, out: &str, more: &[&str]| {
        run(place, &[&["batch", "w.wp", "--sources", sources, "--out", out, "--json"], more].concat())
    };
    let answered = |out: &str| {
        let mut sources: Vec<String> = parquet_rows(&place.join(out)).into_iter().map(|row| row[0].clone()).collect();
        sources.dedup();
        sources
    };
    write(place, "list.txt", "dog\r\nant\n\ncow\n");
    asks("list.txt", "a", &[]).refused(&["list.txt:4", "\"cow\" is no node", "--unknown skip"]);
    let json: Value = serde_json::from_str(&asks("list.txt", "a", &["--unknown", "skip"]).done()).unwrap();
    assert_eq!((&json["sources"], &json["skipped_unknown"]), (&2.into(), &1.into()));
    assert_eq!(answered("a"), ["ant", "dog"]);
    write(place, "all", "élan\n");
    let _ = asks("./all", "b", &[]).done();
    assert_eq!(answered("b"), ["élan"]);
    let _ = asks("all", "c", &[]).done();
    assert_eq!(answered("c").len(), 6);

    write(place, "twice.txt", "dog\nant\ndog\n");
    asks("twice.txt", "d", &[]).refused(&["twice.txt:3", "\"dog\" is on line 1"]);
    write(place, "none.txt", "\n");
    asks("none.txt", "d", &[]).refused(&["no sources"]);
    write(place, "cows.txt", "cow\n");
    asks("cows.txt", "d", &["--unknown", "skip"]).refused(&["none of 1 ids"]);
    write(place, "latin.txt", b"dog\n\xE9lan\n");
    asks("latin.txt", "d", &[]).refused(&["latin.txt:2", "UTF-8"]);
    asks("missing.txt", "d", &[]).refused(&["missing.txt", "No such file"]);
    asks("type:insect", "d", &[]).refused(&["w.wp", "--node-types"]);
    assert!(!place.join("d").exists(), "a refused batch left a directory");

    let _ = run(place, &["load", "edges.tsv", "--into", "w.wp", "--replace", "--node-types", "types.tsv"]).done();
    asks("type:plant", "d", &[]).refused(&["\"plant\"", "insect", "mammal"]);
    let _ = asks("type:insect", "d", &[]).done();
    assert_eq!(answered("d"), ["ant", "bee, the"]);

    // Filters act before the cut, and are part of what a batch is.
    let _ = asks("all", "e", &["--only", "type:insect", "--exclude-seeds", "--top", "1"]).done();
    let pairs: Vec<[String; 2]> = parquet_rows(&place.join("e")).into_iter().map(|[a, b, ..]| [a, b]).collect();
    let expected = [["Z", "ant"], ["ant", "bee, the"], ["bee, the", "ant"], ["cat \"c\"", "ant"]];
    assert_eq!(pairs, expected, "dog and élan lead to no insect");
    asks("all", "e", &["--resume", "--top", "1", "--exclude-seeds"]).refused(&["only 2 nodes", "exclude seeds", "not"]);
    asks("all", "f", &["--min-support", "2"]).refused(&["min_support", "at most the number of seeds"]);
}

#[test]
fn batches_that_cannot_be_done() {
    let place = words();
    let place = place.path();
    let refused = |more: &[&str], words: &[&str]| {
        run(place, &[&["batch", "w.wp", "--sources", "all", "--out", "out"], more].concat()).refused(words);
        assert!(!place.join("out").exists(), "{more:?}");
    };
    refused(&["--top", "0"], &["top", "at least 1"]);
    refused(&["--precision", "0"], &["precision", "above 0"]);
    refused(&["--precision", "nan"], &["precision", "above 0"]);
    refused(&["--rows-per-file", "0"], &["--rows-per-file"]);
    refused(&["--format", "xml"], &["xml", "jsonl"]);
    refused(&["--index", "other"], &["\"other\"", "default"]);
    refused(&["--restart-prob", "0.3", "--method", "lookup"], &["0.3", "walkprint index"]);
    refused(&["--alpha", "0.15"], &["--restart-prob", "--damping"]);
    refused(&["--resume"], &["no interrupted batch", "--resume"]);
    refused(&["--resume", "--replace"], &["cannot be used with"]);
    run(place, &["batch", "w.wp", "--sources", "all", "--out", "no/such/out"])
        .refused(&["no/such/out", "No such file"]);
    run(place, &["batch", "w.wp", "--sources", "all", "--out", "edges.tsv"]).refused(&["edges.tsv", "no directory"]);
    run(place, &["batch", "w.wp", "--sources", "all", "--out", "w.wp", "--replace"]).refused(&["w.wp", "other files"]);
    run(place, &["batch", "none.wp", "--sources", "all", "--out", "out"]).refused(&["none.wp", "no Walkprint store"]);

    // More results than nodes is no mistake, and a batch that is there is replaced only when that is said.
    let whole = ["batch", "w.wp", "--sources", "all", "--out", "out", "--top", "1000000000000"];
    let _ = run(place, &whole).done();
    let before = files(&place.join("out"));
    run(place, &whole).refused(&["out", "holds answers", "--replace"]);
    assert!(files(&place.join("out")) == before);
    write(&place.join("out"), "notes.txt", "mine");
    let _ = run(place, &[&whole[..], &["--replace", "--format", "csv"]].concat()).done();
    let names: Vec<String> = files(&place.join("out")).into_keys().collect();
    assert_eq!(names, ["_manifest.json", "notes.txt", "part-00000.csv"]);
}

#[test]
fn auto_measures_and_keeps_to_the_precision() {
    let place = place();
    let ask = |out: &str, more: &[&str]| -> Value {
        let arguments = ["batch", "s.wp", "--sources", "all", "--top", "3", "--json", "--out", out];
        let ended = run(place.path(), &[&arguments, more].concat());
        assert!(ended.stderr.contains("ms per source") && ended.stderr.contains("taken"), "{ended:?}");
        serde_json::from_str(&ended.done()).unwrap()
    };
    let methods = |json: &Value| -> Vec<String> {
        let measured = json["pilot"]["methods"].as_array().unwrap().iter();
        measured.map(|one| one["method"].as_str().unwrap().to_owned()).collect()
    };
    for (out, precision) in [("fine", 1e-9), ("usual", 0.05), ("rough", 0.9)] {
        let json = ask(out, &["--precision", &precision.to_string()]);
        assert!(2 <= methods(&json).len(), "{json}");
        // The fastest of those that are precise enough; a miss by a fifth is none.
        let measured = json["pilot"]["methods"].as_array().unwrap().iter();
        let enough = measured.filter(|one| one["estimated_l1"].as_f64().unwrap() <= 1.2 * precision);
        let fastest = enough.min_by(|a, b| {
            let time = |one: &Value| one["seconds_per_source"].as_f64().unwrap();
            time(a).total_cmp(&time(b))
        });
        assert_eq!(json["method"], fastest.unwrap()["method"], "{json}");
        assert_eq!(manifest(&place.path().join(out))["parameters"]["method"], json["method"]);
        assert!(0.0 < json["predicted_seconds"].as_f64().unwrap() && 0.0 < json["answering_seconds"].as_f64().unwrap());
    }
}

#[test]
fn a_damaged_index_ends_a_batch_with_a_message() {
    let place = place();
    let place = place.path();
    let segment = files(&place.join("s.wp")).into_keys().find(|name| name.ends_with(".wps")).unwrap();
    let path = place.join("s.wp").join(segment);
    let mut bytes = std::fs::read(&path).unwrap();
    let end = bytes.len();
    bytes[end / 2..end - 64].fill(0xAA);
    std::fs::write(&path, bytes).unwrap();
    for workers in ["1", "2"] {
        let lookup =
            ["batch", "s.wp", "--sources", "all", "--method", "lookup", "--out", workers, "--workers", workers];
        gave_up(&run(place, &lookup), &["damaged"]);
    }
}
