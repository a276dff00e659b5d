//! Events from every format, whole and in pieces, good and bad.

mod support;

use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use flate2::Compression;
use flate2::write::GzEncoder;
use parquet::arrow::ArrowWriter;
use proptest::prelude::*;
use support::Files;
use walkprint_engine::events::{Event, Operation};
use walkprint_loaders::events::{EventBatch, EventFormat, EventOptions, EventReader};

/// Everything that a reader gives, and its error, if it ends with one.
fn all(mut reader: EventReader) -> (Vec<EventBatch>, Option<String>) {
    let mut batches = Vec::new();
    loop {
        match reader.next_batch() {
            Ok(Some(batch)) => batches.push(batch),
            Ok(None) => return (batches, None),
            Err(error) => {
                assert!(matches!(reader.next_batch(), Ok(None)), "reading does not go on");
                return (batches, Some(error.to_string()));
            }
        }
    }
}

fn events(batches: &[EventBatch]) -> Vec<Event> {
    batches.iter().flat_map(|batch| batch.events.clone()).collect()
}

/// The events of a stream of these bytes.
fn read_with(text: &[u8], options: &EventOptions) -> Result<Vec<Event>, String> {
    let reader = EventReader::of_bytes("in", io::Cursor::new(text.to_vec()), options);
    let (batches, error) = all(reader.map_err(|error| error.to_string())?);
    error.map_or_else(|| Ok(events(&batches)), Err)
}

fn read(text: &str) -> Result<Vec<Event>, String> {
    read_with(text.as_bytes(), &EventOptions::default())
}

fn read_file(path: &Path) -> Result<Vec<Event>, String> {
    let reader = EventReader::open(path, &EventOptions::default()).map_err(|error| error.to_string())?;
    let (batches, error) = all(reader);
    error.map_or_else(|| Ok(events(&batches)), Err)
}

fn sample() -> Vec<Event> {
    vec![
        Event::edge(Operation::Add, "ann", "bob, \"the\" first").weighing(2.5).of_kind("likes").at(7.0).named("e1"),
        Event::edge(Operation::Remove, "1", "2"),
        Event::edge(Operation::Set, "é", "line\nend").weighing(0.0),
        Event::node(Operation::Add, "x").of_kind("person"),
    ]
}

const AS_CSV: &str = "op,source,target,node,weight,type,time,event_id,note\r\n\
    add,ann,\"bob, \"\"the\"\" first\",,2.5,likes,7,e1,?\r\n\r\nremove,1,2,,,,,,\r\nset,é,\"line\nend\",,0,,,,\r\n,,,x,,person,,,";

fn as_json() -> String {
    sample().iter().map(|event| serde_json::to_string(event).expect("an event") + "\n").collect()
}

#[test]
fn every_format_gives_the_same_events() {
    let gzip = |text: &str| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let tsv = "source\ttarget\tnode\top\tweight\ttype\ttimestamp\tevent_id\n\
               ann\t\"bob, \"\"the\"\" first\"\t\t\t2.5\tlikes\t7\te1\n1\t2\t\tremove\t\t\t\t\n\
               é\t\"line\nend\"\t\tset\t0\t\t\t\n\t\tx\t\t\tperson\t\t\n";
    let files = Files::new()
        .with("a.jsonl", as_json())
        .with("a", format!("\u{feff}\n{}", as_json().replace('\n', "\r\n\n")))
        .with("a.csv", AS_CSV)
        .with("b", format!("\u{feff}\n\r\n{AS_CSV}"))
        .with("a.tsv", tsv)
        .with("c", tsv)
        .with("a.csv.gz", gzip(AS_CSV))
        .with("d", gzip(&as_json()))
        .with("a.ndjson.zst", zstd::encode_all(as_json().as_bytes(), 1).unwrap());
    for name in ["a.jsonl", "a", "a.csv", "b", "a.tsv", "c", "a.csv.gz", "d", "a.ndjson.zst"] {
        assert_eq!(read_file(&files.path(name)), Ok(sample()), "{name}");
    }
    let reader = EventReader::open(&files.path("b"), &EventOptions::default()).unwrap();
    assert_eq!((reader.format(), reader.ignored_columns()), (EventFormat::Csv, &["note".to_owned()][..]));
    for empty in ["", "\n", "\u{feff}", " \r\n\n"] {
        assert_eq!(read(empty), Ok(Vec::new()), "{empty:?}");
    }
}

fn write_parquet(path: &Path, columns: Vec<(&str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)));
    let batch = batch.expect("columns of one length");
    let file = OpenOptions::new().write(true).create_new(true).open(path).expect("a new file");
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).expect("a writer");
    writer.write(&batch).expect("a small file");
    writer.close().expect("a small file");
}

fn text(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn parquet_sample(path: &Path) {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("op", text(&[None, Some("remove"), Some("set"), Some("add")])),
        ("source", text(&[Some("ann"), Some("1"), Some("é"), None])),
        ("target", text(&[Some("bob, \"the\" first"), Some("2"), Some("line\nend"), None])),
        ("node", text(&[None, None, None, Some("x")])),
        ("weight", Arc::new(Float64Array::from(vec![Some(2.5), None, Some(0.0), None]))),
        ("type", text(&[Some("likes"), None, Some(""), Some("person")])),
        ("time", Arc::new(TimestampMillisecondArray::from(vec![Some(7000), None, None, None]))),
        ("event_id", text(&[Some("e1"), None, None, None])),
    ];
    write_parquet(path, columns);
}

#[test]
fn parquet_gives_the_same_events_and_no_damage_a_panic() {
    let files = Files::new();
    let path = files.path("a.parquet");
    parquet_sample(&path);
    assert_eq!(read_file(&path), Ok(sample()));
    let options = EventOptions { batch_events: 3, ..EventOptions::default() };
    let (batches, _) = all(EventReader::open(&path, &options).unwrap());
    assert_eq!(batches.iter().map(|batch| batch.events.len()).collect::<Vec<_>>(), [3, 1]);
    assert!(batches[1].place(0).ends_with("a.parquet: row 4"), "{}", batches[1].place(0));
    let whole = std::fs::read(&path).unwrap();
    for at in (0..whole.len()).step_by(7) {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x5A;
        let files = Files::new().with("cut.parquet", &whole[..at]).with("flipped.parquet", &flipped);
        assert!(read_file(&files.path("cut.parquet")).is_err(), "cut at {at}");
        let _ = read_file(&files.path("flipped.parquet")); // no panic
    }
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let bad = |name: &str, column: (&str, ArrayRef)| {
        let path = files.path(name);
        write_parquet(&path, vec![("source", ids.clone()), ("target", ids.clone()), column]);
        let message = read_file(&path).expect_err("a bad file");
        message.rsplit('/').next().unwrap_or_default().to_owned()
    };
    assert_eq!(
        bad("1.parquet", ("op", text(&[Some("ad")]))),
        "1.parquet: row 1: expected an operation: add, remove or set, got \"ad\""
    );
    assert_eq!(
        bad("2.parquet", ("weight", text(&[Some("1")]))),
        "2.parquet: expected numbers in the column \"weight\", got Utf8"
    );
    assert_eq!(
        bad("3.parquet", ("weight", Arc::new(Float64Array::from(vec![-1.0])))),
        "3.parquet: row 1: expected a weight of at least 0 (to take weight away: remove), got -1"
    );
    let renamed = Files::new().with("a.csv", &whole);
    assert!(read_file(&renamed.path("a.csv")).unwrap_err().contains("has to be named .parquet"));
}

#[test]
fn interactions_announce_their_nodes_once() {
    let events = read("userId,movieId,rating,timestamp\n5,7,4.5,1\n5,8,1,2\n").unwrap();
    let node = |id: &str, kind: &str, time| Event::node(Operation::Add, id).of_kind(kind).at(time);
    let edge = |source: &str, target: &str, weight, time| {
        Event::edge(Operation::Add, source, target).weighing(weight).at(time)
    };
    let expected = [
        node("user:5", "user", 1.0),
        node("item:7", "item", 1.0),
        edge("user:5", "item:7", 4.5, 1.0),
        edge("item:7", "user:5", 4.5, 1.0),
        node("item:8", "item", 2.0),
        edge("user:5", "item:8", 1.0, 2.0),
        edge("item:8", "user:5", 1.0, 2.0),
    ];
    assert_eq!(events, expected);
    let line = r#"{"user_id":5,"item_id":7}"#;
    let again = read(&format!("{line}\n{{\"op\":\"set\",\"node\":\"user:5\"}}\n{line}\n")).unwrap();
    assert_eq!(again.len(), 4 + 1 + 3, "a node that was set is announced again: {again:?}");
    let options = EventOptions { batch_events: 1, ..EventOptions::default() };
    let text = format!("{line}\n{line}\n{line}");
    let (batches, _) = all(EventReader::of_bytes("in", io::Cursor::new(text), &options).unwrap());
    let sizes: Vec<usize> = batches.iter().map(|batch| batch.events.len()).collect();
    assert_eq!(sizes, [4, 2, 2], "what a line stands for stays together");
    assert_eq!((batches[0].place(3), batches[2].place(0)), ("in:1".to_owned(), "in:3".to_owned()));
}

#[test]
fn undirected_edges_go_both_ways() {
    let options = EventOptions { undirected: true, ..EventOptions::default() };
    let text = b"op,src,dst,event_id,node\nset,a,b,e,\nadd,a,a,f,\nadd,,,,n\n";
    let edge = |operation, source, target, id| Event::edge(operation, source, target).named(id);
    let expected = [
        edge(Operation::Set, "a", "b", "e"),
        edge(Operation::Set, "b", "a", "^e"),
        edge(Operation::Add, "a", "a", "f"),
        Event::node(Operation::Add, "n"),
    ];
    assert_eq!(read_with(text, &options), Ok(expected.to_vec()));
}

#[test]
fn columns_are_found_by_number_or_by_name() {
    let named = |source: &str, target: &str, time: Option<&str>| EventOptions {
        source_col: Some(source.to_owned()),
        target_col: Some(target.to_owned()),
        time_col: time.map(str::to_owned),
        ..EventOptions::default()
    };
    let expected = vec![Event::edge(Operation::Add, "1", "2").at(9.0)];
    assert_eq!(read_with(b"9,1,2\n", &named("2", "3", Some("1"))), Ok(expected.clone()));
    assert_eq!(read_with(b"when,A,b\n9,1,2\n", &named("a", "b", Some("when"))), Ok(expected));
    let messages = [
        (
            named("1", "b", None),
            "a,b\n",
            "in:1: expected all columns by number (no header; source and target too), or all by name, got \"1\", \"b\"",
        ),
        (named("1", "3", None), "a,b\n", "in:1: expected a column from 1 to 2, got column 3"),
        (named("1", "1", None), "a,b\n", "in:1: expected different columns for everything, got \"column 1\""),
        (named("x", "b", None), "a,b\n", "in:1: expected a column \"x\", got the columns \"a\", \"b\""),
        (
            EventOptions::default(),
            "source,target,from,to\n",
            "in:1: expected only one pair of columns that could be ends of edges (say which: --source-col, --target-col), got \
             the columns \"source\", \"target\", \"from\", \"to\"",
        ),
        (
            EventOptions::default(),
            "source,target,op,op\n",
            "in:1: expected one column op, got the columns \"source\", \"target\", \"op\", \"op\"",
        ),
    ];
    for (options, text, expected) in messages {
        assert_eq!(read_with(text.as_bytes(), &options), Err(expected.to_owned()));
    }
}

#[test]
fn a_bad_line_is_named() {
    let json = "an event as JSON, like {\"op\": \"add\", \"source\": \"a\", \"target\": \"b\", \"weight\": 1}";
    let ends = "source and target of an edge, user_id and item_id of an interaction, or a node";
    let cases = [
        ("a,b\n1,2\n".to_owned(), "in:1: expected a header with columns for source and target".to_owned()),
        (
            "source,target\n1,2\n\n1\n".to_owned(),
            "in:4: expected 2 columns, as in the first line, got 1: \"1\"".to_owned(),
        ),
        ("source,target\n1,\n".to_owned(), format!("in:2: expected {ends}, got source \"1\"")),
        ("source,target,weight\n1,2,x\n".to_owned(), "in:2: expected a weight, got \"x\"".to_owned()),
        (
            "source,target,weight\r\n\"1\n\",2,3\r\n1,2,-3\r\n".to_owned(),
            "in:4: expected a weight of at least 0 (to take weight away: remove), got -3".to_owned(),
        ),
        ("source,target,weight\n1,2,1e999\n".to_owned(), "in:2: expected a finite weight, got inf".to_owned()),
        (
            "source,target,time\n1,2,now\n".to_owned(),
            "in:2: expected a time (a number of seconds, say since 1970), got \"now\"".to_owned(),
        ),
        (
            "op,source,target\ndelete,1,2\n".to_owned(),
            "in:2: expected an operation: add, remove or set, got \"delete\"".to_owned(),
        ),
        (
            "source,target\n1,\"2\n".to_owned(),
            "in:2: expected a closing quote for the field that begins here, got the end of the file".to_owned(),
        ),
        (
            "{\"node\":\"x\"}\n\n{\"node\":}\n".to_owned(),
            format!("in:3: expected {json}, got expected value (column 9)"),
        ),
        (
            "{\"node\":\"x\",\"colour\":1}".to_owned(),
            format!("in:1: expected {json}, got unknown field `colour`, expected one of"),
        ),
        ("{\"node\":\"x\"} {}".to_owned(), format!("in:1: expected {json}, got trailing characters (column 14)")),
        ("{\"node\":\"x\"".to_owned(), format!("in:1: expected {json}, got EOF while parsing an object (column 11)")),
    ];
    for (text, expected) in cases {
        let message = read(&text).expect_err(&text);
        assert!(message.starts_with(&expected), "{text:?}: {message}");
    }
    let bad_text = read_with(b"source,target\n1,\xff\n", &EventOptions::default());
    assert_eq!(bad_text, Err("in:2: expected text in UTF-8, got \"\u{fffd}\"".to_owned()));
    assert!(read_with(b"{\"node\":\"\xff\"}", &EventOptions::default()).is_err());
    let files = Files::new().with("a.csv.gz", "source,target\n");
    assert!(
        read_file(&files.path("a.csv.gz"))
            .unwrap_err()
            .ends_with("expected gzip data, as its name says, got something else")
    );
    assert!(read_file(&files.path("missing.csv")).unwrap_err().starts_with("could not read"));
    assert!(read_file(files.path("a.csv.gz").parent().unwrap()).is_err(), "a directory");
}

#[test]
fn events_before_a_bad_line_come_first() {
    let text = "{\"node\":\"a\"}\n{\"node\":\"b\"}\n{\"node\":\"\"}\n{\"node\":\"c\"}\n";
    let (batches, error) = all(EventReader::of_bytes("in", text.as_bytes(), &EventOptions::default()).unwrap());
    assert_eq!(events(&batches), ["a", "b"].map(|id| Event::node(Operation::Add, id)));
    assert_eq!(error.as_deref(), Some("in:3: expected the id of a node, got nothing"));
}

/// Gives its pieces one by one, and counts how many were asked for.
struct Pieces {
    pieces: Vec<Vec<u8>>,
    asked: Arc<AtomicUsize>,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let at = self.asked.fetch_add(1, Ordering::Relaxed);
        let Some(piece) = self.pieces.get(at) else { return Ok(0) };
        buffer[..piece.len()].copy_from_slice(piece);
        Ok(piece.len())
    }
}

#[test]
fn lines_are_handed_out_as_they_come() {
    let json = ["{\"node\":\"a\"}\n{\"no", "de\":\"b\"}\n", "{\"node\":\"c\"}\n{\"node\":\"d\"}"];
    let csv = ["source,target\n1,2\n3", ",4\n", "5,\"6\n7\"\n8,9"];
    for (pieces, counts) in [(json, [1, 1, 1]), (csv, [1, 1, 1])] {
        let asked = Arc::new(AtomicUsize::new(0));
        // The first four bytes say whether it is compressed, and are asked for on their own.
        let mut all = vec![pieces[0].as_bytes()[..4].to_vec(), pieces[0].as_bytes()[4..].to_vec()];
        all.extend(pieces[1..].iter().map(|piece| piece.as_bytes().to_vec()));
        let stream = Pieces { pieces: all, asked: Arc::clone(&asked) };
        let mut reader = EventReader::of_bytes("in", stream, &EventOptions::default()).unwrap();
        for (at, count) in counts.into_iter().enumerate() {
            let batch = reader.next_batch().unwrap().expect("a batch");
            assert_eq!((batch.events.len(), asked.load(Ordering::Relaxed)), (count, at + 2), "{pieces:?}");
        }
        assert_eq!(reader.next_batch().unwrap().expect("what has no line end").events.len(), 1);
        assert_eq!(reader.next_batch().unwrap(), None);
    }
}

proptest! {
    #[test]
    fn wherever_a_stream_is_cut_the_events_are_the_same(cuts in prop::collection::vec(1usize..40, 1..40), csv: bool) {
        let text = if csv { AS_CSV.as_bytes().to_vec() } else { as_json().into_bytes() };
        let (mut rest, mut pieces) = (&text[..], Vec::new());
        for cut in cuts {
            let (piece, after) = rest.split_at(cut.min(rest.len()));
            pieces.push(piece.to_vec());
            rest = after;
        }
        pieces.push(rest.to_vec());
        pieces.retain(|piece| !piece.is_empty());
        // Pieces below four bytes would have to be asked for by parts.
        let stream = pieces.into_iter().map(io::Cursor::new).fold(Box::new(io::empty()) as Box<dyn Read>, |before, piece| {
            Box::new(before.chain(piece))
        });
        let (batches, error) = all(EventReader::of_bytes("in", stream, &EventOptions::default()).unwrap());
        prop_assert_eq!((events(&batches), error), (sample(), None));
    }

    #[test]
    fn no_text_is_a_panic(text in "[{}\",:a\u{0}é\n\r\t \\\\]{0,60}", format in prop::sample::select(&EventFormat::ALL[..3])) {
        let options = EventOptions { format: Some(format), ..EventOptions::default() };
        let _ = read_with(text.as_bytes(), &options);
        let _ = read_with(format!("source,target\n{text}").as_bytes(), &options);
    }
}
