//! Bad files, and the message each gets: where, what was expected, what was there, what to do.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt;

use flate2::Compression;
use flate2::write::GzEncoder;
use support::{Files, columns, error_of};
use walkprint_loaders::{Error, Format, LoadOptions, load};

fn plain() -> LoadOptions {
    LoadOptions::default()
}

fn check(options: &LoadOptions, cases: &[(&str, &str, &str)]) {
    for (name, content, message) in cases {
        assert_eq!(error_of(name, content, options), *message, "{content:?}");
    }
}

#[test]
fn edge_lists() {
    check(
        &plain(),
        &[
            ("a.txt", "", "a.txt:1: expected edges, got an empty file"),
            ("a.txt", "\n \n", "a.txt:2: expected edges, got an empty file"),
            ("a.txt", "# only\n", "a.txt:1: expected edges, got a file without any"),
            (
                "a.txt",
                "#\n1 2\n3\n",
                "a.txt:3: expected 2 columns separated by blanks, as in the first line of data, got 1: \"3\"",
            ),
            (
                "a.txt",
                "a\tb\n\na b\tc\td\n",
                "a.txt:3: expected 2 columns separated by tabs, as in the first line of data, got 3: \"a b\\tc\\td\"",
            ),
            ("a.txt", "1\t2\n\t2\n", "a.txt:2: expected the id of a source, got nothing"),
            ("a.txt", "1\t2\n1\t\n", "a.txt:2: expected the id of a target, got nothing"),
            ("web.tsv", "1\t2\t3\n1\t2\t1O4\n", "web.tsv:2: expected a weight, got \"1O4\""),
            (
                "a.txt",
                "1 2 3\n1 2 -3\n",
                "a.txt:2: expected a weight (PageRank needs weights ≥ 0; drop or map negative ones first), got \"-3\"",
            ),
            ("a.txt", "1 2 nan\n", "a.txt:1: expected a finite weight, got \"nan\""),
            ("a.txt", "1 2 -inf\n", "a.txt:1: expected a finite weight, got \"-inf\""),
            ("a.txt", "1 2 1e999\n", "a.txt:1: expected a finite weight, got \"1e999\""),
            ("a.txt", "1\n", "a.txt:1: expected source and target separated by tabs or blanks, got 1: \"1\""),
            (
                "a.edges",
                "1,2\n",
                "a.edges:1: expected source and target separated by tabs or blanks (for commas: --format csv; without a header also --source-col 1 --target-col 2), got 1: \"1,2\"",
            ),
            (
                "a.txt",
                "1 2 3 4\n",
                "a.txt:1: expected 2 columns, or 3 with a weight (for more say which: --source-col 1 --target-col 2, and --weight-col 3 if there are weights), got 4: \"1 2 3 4\"",
            ),
            ("a.txt", "a\0b c\n", "a.txt:1: expected text, got binary data (a NUL byte)"),
            ("a.txt", "a b\nc\0 b\n", "a.txt:2: expected an id without NUL bytes, got \"c\\0\""),
            (
                "a.txt",
                "PAR1\u{15}\u{4}",
                "a.txt:1: expected text, got a Parquet file (name it .parquet or give --format parquet)",
            ),
        ],
    );
    assert_eq!(error_of("a.txt", b"a b\nc \xFF\n", &plain()), "a.txt:2: expected an id in UTF-8, got \"\u{FFFD}\"");
    assert_eq!(
        error_of("a.txt", vec![b'x'; 17 << 20], &plain()),
        format!("a.txt:1: expected a line of at most 16 MiB, got a longer one: \"{}\"…", "x".repeat(60))
    );
}

#[test]
fn a_header_that_would_become_an_edge() {
    let expected = "expected an edge (if this line is a header, begin it with # or give --format csv or tsv and the \
                    columns' names; if it is an edge, give --format as well)";
    check(
        &plain(),
        &[
            ("a.txt", "source target\nx y\n", &format!("a.txt:1: {expected}, got \"source\", \"target\"")),
            ("a.tsv", "left\tright\n1\t2\n", &format!("a.tsv:1: {expected}, got \"left\", \"right\"")),
        ],
    );
    check(&columns("1", "2", None), &[("a.csv", "x,y\n1,2\n", &format!("a.csv:1: {expected}, got \"x\", \"y\""))]);
}

#[test]
fn columns_by_number() {
    check(
        &columns("1", "5", None),
        &[
            ("a.txt", "1 2 3\n", "a.txt:1: expected a column from 1 to 3, got column 5"),
            ("a.csv", "1,2,3\n", "a.csv:1: expected a column from 1 to 3, got column 5"),
        ],
    );
    check(&columns("0", "1", None), &[("a.txt", "1 2\n", "a.txt:1: expected a column from 1 to 2, got column 0")]);
    check(
        &columns("2", "2", None),
        &[("a.txt", "1 2\n", "a.txt:1: expected different columns for source and target, got \"column 2\"")],
    );
    check(
        &columns("1", "b", None),
        &[("a.txt", "1 2\n", "a.txt:1: expected all columns by number (no header) or all by name, got \"b\"")],
    );
    check(
        &columns("a", "b", None),
        &[(
            "a.txt",
            "1 2\n",
            "a.txt:1: expected columns by number, because an edge list has no header (or --format csv or tsv), got names",
        )],
    );
    let weight = LoadOptions { weight_col: Some("3".to_owned()), ..plain() };
    check(
        &weight,
        &[(
            "a.csv",
            "1,2,3\n",
            "a.csv:1: expected the columns of source and target by number too (--source-col, --target-col), or all by name, got numbers for others only",
        )],
    );
}

#[test]
fn csv() {
    let header = "a header with columns for source and target (src,dst · source,target · source,destination · from,to, \
                  or --source-col NAME --target-col NAME; for a file without a header: --source-col 1 --target-col 2)";
    check(
        &plain(),
        &[
            ("a.csv", "6,2,4\n", &format!("a.csv:1: expected {header}, got the columns \"6\", \"2\", \"4\"")),
            ("a.csv", "src,target\n1,2\n", &format!("a.csv:1: expected {header}, got the columns \"src\", \"target\"")),
            (
                "a.csv",
                "source,target,from,to\n",
                "a.csv:1: expected only one pair of columns that could be source and target (say which: --source-col, --target-col), got the columns \"source\", \"target\", \"from\", \"to\"",
            ),
            (
                "a.csv",
                "source,target,Source\n",
                "a.csv:1: expected one column \"source\", got the columns \"source\", \"target\", \"Source\"",
            ),
            ("a.csv", "source,target\n", "a.csv: expected edges, got a file without any"),
            ("a.csv", "source,target\na,b\n\na\n", "a.csv:4: expected 2 columns, as in the first line, got 1: \"a\""),
            ("a.csv", "source,target\na,b,c\n", "a.csv:2: expected 2 columns, as in the first line, got 3: \"a,b,c\""),
            ("a.csv", "source,target\na,\n", "a.csv:2: expected the id of a target, got nothing"),
            ("a.csv", "source,target,weight\n\"a\nb\",c,1\na,b,\n", "a.csv:4: expected a weight, got \"\""),
            (
                "a.csv",
                "source,target,weight\na,b,-1\n",
                "a.csv:2: expected a weight (PageRank needs weights ≥ 0; drop or map negative ones first), got \"-1\"",
            ),
            (
                "a.csv",
                "source,target\na,b\nc,\"d\ne,f\n",
                "a.csv:3: expected a closing quote for the field that begins here, got the end of the file",
            ),
            (
                "a.csv",
                "source,\"target\na,b\n",
                "a.csv:1: expected a closing quote for the field that begins here, got the end of the file",
            ),
            (
                "a.csv",
                "source,target\na,b\n\"c\"d,e\n",
                "a.csv:3: expected a delimiter after the closing quote (a quote inside a quoted field is doubled), got \"d,e\"",
            ),
            (
                "a.csv",
                "\"source\"x,target\na,b\n",
                "a.csv:1: expected a delimiter after the closing quote (a quote inside a quoted field is doubled), got \"x,target\"",
            ),
        ],
    );
    check(
        &columns("who", "target", None),
        &[("a.csv", "source,target\n", "a.csv:1: expected a column \"who\", got the columns \"source\", \"target\"")],
    );
}

#[test]
fn types() {
    let with =
        |name: &str, weight: f64| LoadOptions { type_weights: BTreeMap::from([(name.to_owned(), weight)]), ..plain() };
    check(
        &with("hates", 2.0),
        &[
            (
                "a.csv",
                "source,target,type\na,b,likes\nb,a,\"kn\nows\"\n",
                "no edge has the type \"hates\" that was given a weight; the types are \"kn\\nows\", \"likes\"",
            ),
            (
                "a.csv",
                "source,target\na,b\n",
                "a.csv:1: expected a column of types (--type-col NAME), because types were given weights, got the columns \"source\", \"target\"",
            ),
            (
                "a.txt",
                "a b\n",
                "a.txt:1: expected a column of types (--type-col), because types were given weights, got none",
            ),
            (
                "a.csv",
                "source,target,type,weight\na,b,hates,1e308\n",
                "a.csv:2: expected a weight that stays finite times the weight of its type, got a larger one",
            ),
        ],
    );
    check(
        &with("hates", f64::NAN),
        &[("a.csv", "", "--edge-weights: expected a finite weight of at least 0 for each type, got hates=NaN")],
    );
    let many: String = (10..40).map(|kind| format!("a,b,t{kind}\n")).collect();
    let listed = (10..30).map(|kind| format!("\"t{kind}\"")).collect::<Vec<_>>().join(", ");
    assert_eq!(
        error_of("a.csv", format!("source,target,type\n{many}"), &with("z", 1.0)),
        format!("no edge has the type \"z\" that was given a weight; the types are {listed}, …")
    );
}

#[test]
fn matrix_market() {
    let general = |rest: &str| format!("%%MatrixMarket matrix coordinate real general\n{rest}");
    let message = |rest: &str| error_of("a.mtx", general(rest), &plain());
    assert_eq!(
        message("2 3 1\n1 1 1\n"),
        "a.mtx:2: expected as many rows as columns, because both are nodes of one graph, got 2 rows and 3 columns"
    );
    assert_eq!(message("2 2 1\n%\n1 3 1\n"), "a.mtx:4: expected an index from 1 to 2, got \"3\"");
    assert_eq!(message("2 2 1\n0 1 1\n"), "a.mtx:3: expected an index from 1 to 2, got \"0\"");
    assert_eq!(message("2 2 1\n+1 1 1\n"), "a.mtx:3: expected an index from 1 to 2, got \"+1\"");
    assert_eq!(message("2 2 1\n1 1\n"), "a.mtx:3: expected row, column and value, got \"1 1\"");
    assert_eq!(message("2 2 1\n1 1 1 1\n"), "a.mtx:3: expected row, column and value, got \"1 1 1 1\"");
    assert_eq!(message("2 2 1\n1 1 x\n"), "a.mtx:3: expected a weight, got \"x\"");
    assert_eq!(
        message("2 2 1\n1 1 -1\n"),
        "a.mtx:3: expected a weight (PageRank needs weights ≥ 0; drop or map negative ones first), got \"-1\""
    );
    assert_eq!(message("2 2 2\n1 1 1\n"), "a.mtx: expected 2 entries, as its size line says, got 1");
    assert_eq!(message("2 2 1\n1 1 1\n1 2 1\n"), "a.mtx: expected 1 entries, as its size line says, got 2");
    assert_eq!(message("2 2 0\n"), "a.mtx: expected edges, got a file without any");
    assert_eq!(message("2 2\n"), "a.mtx:2: expected a size line: rows, columns, entries, got \"2 2\"");
    assert_eq!(message("% c\n"), "a.mtx:3: expected a size line: rows, columns, entries, got the end of the file");
    assert_eq!(message("9999999999 9999999999 1\n"), "a.mtx:2: expected at most 4294967294 rows, got 9999999999");
    let banner = |text: &str| error_of("a.mtx", format!("{text}\n1 1 1\n1 1\n"), &plain());
    assert_eq!(
        banner("%%MatrixMarket matrix array real general"),
        "a.mtx:1: expected a matrix in coordinate format, got matrix array"
    );
    assert_eq!(
        banner("%%MatrixMarket matrix coordinate complex general"),
        "a.mtx:1: expected entries that are pattern, real or integer, got complex"
    );
    assert_eq!(
        banner("%%MatrixMarket matrix coordinate real skew-symmetric"),
        "a.mtx:1: expected a matrix that is general or symmetric, got skew-symmetric"
    );
    assert_eq!(
        banner("%%MatrixMarket matrix coordinate real hermitian"),
        "a.mtx:1: expected a matrix that is general or symmetric, got hermitian"
    );
    assert_eq!(
        banner("1 2"),
        "a.mtx:1: expected a banner: %%MatrixMarket matrix coordinate real general (or the like), got \"1 2\""
    );
}

#[test]
fn compressed_files() {
    let text: String = (0..2000).map(|number| format!("{number} {}\n", number * 7919 % 2003)).collect();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let gzip = encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish()).expect("writing to memory");
    let mut encoder = zstd::Encoder::new(Vec::new(), 0).expect("an encoder");
    // As the zstd program does.
    encoder.include_checksum(true).expect("a known option");
    let zstd = encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish()).expect("writing to memory");
    for (name, bytes, encoding) in [("a.txt.gz", gzip, "gzip"), ("a.txt.zst", zstd, "zstd")] {
        for keep in [bytes.len() / 2, bytes.len() - 1] {
            let message = error_of(name, &bytes[..keep], &plain());
            assert!(
                message.starts_with(&format!("{name}: the {encoding} data are damaged or cut short (after ")),
                "{message}"
            );
        }
        let mut flipped = bytes.clone();
        flipped[bytes.len() / 2] ^= 1;
        let message = error_of(name, &flipped, &plain());
        assert!(message.starts_with(name), "{message}");
        assert_eq!(
            error_of(name, &text, &plain()),
            format!("{name}: expected {encoding} data, as its name says, got something else")
        );
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let bad = encoder
        .write_all(format!("{text}1 2 3\n").as_bytes())
        .and_then(|()| encoder.finish())
        .expect("writing to memory");
    assert_eq!(
        error_of("a.txt.gz", bad, &plain()),
        "a.txt.gz:2001: expected 2 columns separated by blanks, as in the first line of data, got 3: \"1 2 3\""
    );
}

#[test]
fn files_that_do_not_go_together() {
    let message = |files: Files| match files.load(&plain()) {
        Ok(loaded) => format!("no error, but {} edges", loaded.edges.len()),
        Err(message) => message,
    };
    assert_eq!(
        message(Files::new().with("a.txt", "1 2\n").with("b.csv", "src,dst\n1,2\n")),
        "b.csv: expected edge-list like a.txt, got csv (load one format at a time)"
    );
    assert_eq!(
        message(Files::new().with("a.txt", "1 2\n").with("b.txt", "1 2 3\n")),
        "b.txt: expected 2 columns, as in a.txt, got 3"
    );
    assert_eq!(
        message(Files::new().with("a.csv", "src,dst,weight\n1,2,3\n").with("b.csv", "src,dst\n1,2\n")),
        "b.csv: expected weights, as in a.csv, got none"
    );
    assert_eq!(
        message(Files::new().with("a.txt", "1 2\n").with("b.txt", "#\n")),
        "b.txt:1: expected edges, got a file without any"
    );
    assert_eq!(
        message(Files::new().with("a.txt", "1 2\n").with("b.parquet", "PAR1")),
        "b.parquet: expected edge-list like a.txt, got parquet (load one format at a time)"
    );
    assert_eq!(
        message(Files::new().with("a.txt", "1 2\n").with("b.txt", "x\n")),
        "b.txt:1: expected source and target separated by tabs or blanks, got 1: \"x\""
    );
}

#[test]
fn files_that_cannot_be_opened() {
    let files = Files::new().with("secret.txt", "1 2\n");
    let message = |name: &str| {
        let outcome = load(&[files.path(name)], &plain(), &|_| ControlFlow::Continue(()));
        outcome.map(|loaded| loaded.edges.len()).map_err(|error| files.message(&error))
    };
    assert_eq!(message("none.txt"), Err("could not read none.txt".to_owned()));
    fs::create_dir(files.path("directory.csv")).expect("a directory");
    assert_eq!(
        message("directory.csv"),
        Err("directory.csv: expected files of edges, got a directory without any".to_owned())
    );
    fs::create_dir(files.path("directory.csv").join("inner")).expect("a directory");
    assert_eq!(message("directory.csv"), Err("directory.csv/inner: expected a file, got a directory".to_owned()));
    fs::set_permissions(files.path("secret.txt"), fs::Permissions::from_mode(0o000)).expect("own file");
    if fs::read(files.path("secret.txt")).is_ok() {
        println!("skipped: no file is closed to this user");
    } else {
        assert_eq!(message("secret.txt"), Err("could not read secret.txt".to_owned()));
    }
    let nothing = load(&[], &plain(), &|_| ControlFlow::Continue(()));
    assert_eq!(
        nothing.map_err(|error| error.to_string()).err().as_deref(),
        Some("expected at least one input file, got none")
    );
}

#[test]
fn too_little_memory() {
    let text: String = (0..200_000).map(|number| format!("{number} {}\n", number + 1)).collect();
    let files = Files::new().with("a.txt", text);
    let outcome =
        load(&[files.path("a.txt")], &LoadOptions { memory_bytes: Some(2 << 20), threads: 1, ..plain() }, &|_| {
            ControlFlow::Continue(())
        });
    let Err(Error::Memory { limit_mib: 2, held_mib, percent: 1..=100 }) = outcome else { panic!("{outcome:?}") };
    assert!(2 < held_mib, "{held_mib}");
    assert!(files.load(&LoadOptions { memory_bytes: Some(64 << 20), ..plain() }).is_ok());
    assert_eq!(
        outcome.map(|_| ()).map_err(|error| error.to_string()).err(),
        Some(format!("expected the edges to fit in 2 MiB, got {held_mib} MiB at 100 % of the input: give more memory"))
    );
    // A matrix is as large as it says it is, however small the file.
    let matrix = "%%MatrixMarket matrix coordinate pattern general\n4000000000 4000000000 1\n1 1\n";
    let message = error_of("a.mtx", matrix, &LoadOptions { memory_bytes: Some(1 << 30), ..plain() });
    assert_eq!(message, "expected the edges to fit in 1024 MiB, got 30518 MiB at 100 % of the input: give more memory");
}

#[test]
fn the_first_bad_line_is_told_whatever_the_threads() {
    let text: String = (0..300_000).map(|line| if line % 1000 == 777 { "x\n" } else { "1234567 7654321\n" }).collect();
    for threads in [1, 2, 5] {
        let options = LoadOptions { threads, format: Some(Format::EdgeList), ..plain() };
        assert_eq!(
            error_of("a.txt", &text, &options),
            "a.txt:778: expected 2 columns separated by blanks, as in the first line of data, got 1: \"x\""
        );
    }
}
