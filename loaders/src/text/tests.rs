//! What must not show in the result: threads, block sizes, and how ids are written.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::ops::ControlFlow;
use std::path::PathBuf;

use proptest::collection::vec;
use proptest::prelude::*;
use walkprint_engine::edges::EdgeList;
use walkprint_engine::ids::ExternalIds;

use crate::{Error, LoadOptions, LoadReport, Loaded, Part, load_in_blocks, load_part_in_blocks};

/// Loads texts as files of these names, cut into blocks of `block_bytes`.
fn load(files: &[(&str, &str)], options: &LoadOptions, block_bytes: usize) -> Result<Loaded, String> {
    on_disk(files, |paths| load_in_blocks(paths, options, &|_| ControlFlow::Continue(()), block_bytes))
}

/// Does something with texts as files of these names, and gives errors as text without the directory.
fn on_disk<T>(files: &[(&str, &str)], work: impl FnOnce(&[PathBuf]) -> Result<T, Error>) -> Result<T, String> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut paths: Vec<PathBuf> = Vec::new();
    for (name, content) in files {
        paths.push(directory.path().join(name));
        std::fs::write(&paths[paths.len() - 1], content).expect("a small file");
    }
    work(&paths).map_err(|error| error.to_string().replace(&format!("{}/", directory.path().display()), ""))
}

/// Everything of an edge list that does not depend on who numbered ids and types.
type Edges = (Vec<String>, Vec<(String, String)>, Option<Vec<f64>>, Vec<Option<String>>, LoadReport);

/// The types of edges by their names.
fn kinds_of(edges: &EdgeList) -> Vec<Option<String>> {
    let kind = |at: usize| Some(edges.kinds.edges.as_ref()?.name(at)?.to_owned());
    (0..edges.len()).map(kind).collect()
}

fn loaded_whole(files: &[(&str, &str)], options: &LoadOptions) -> Result<Edges, String> {
    let Loaded { edges, report, .. } = load(files, options, 1 << 20)?;
    let mut ids: Vec<String> = (0..edges.ids.len()).map(|rank| edges.ids.text(rank)).collect();
    ids.sort();
    Ok((ids, by_id(&edges), edges.weights.clone(), kinds_of(&edges), report))
}

/// Loads parts one after the other, as processes do side by side: the first part that is not well decides.
fn loaded_in_parts(
    files: &[(&str, &str)],
    options: &LoadOptions,
    of: u32,
    block_bytes: usize,
) -> Result<Edges, String> {
    on_disk(files, |paths| {
        let parts = |whole: bool| -> Result<Vec<_>, Error> {
            let part = |number| match whole {
                true => Part::new(number, of).with_delimited_files_whole(),
                false => Part::new(number, of),
            };
            let load =
                |number| load_part_in_blocks(paths, options, part(number), &|_| ControlFlow::Continue(()), block_bytes);
            (0..of).map(load).collect()
        };
        let parts = match parts(false) {
            Err(Error::Quotes { .. }) => parts(true)?,
            parts => parts?,
        };
        let (mut ids, mut ends, mut weights, mut counts) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (mut kinds, mut names) = (Vec::new(), BTreeSet::new());
        let integers = |ids: &ExternalIds| matches!(ids, ExternalIds::Integers(_));
        let integer_ids = parts.iter().all(|part| integers(&part.edges.ids));
        let weighted = parts.iter().any(|part| part.edges.weights.is_some());
        for part in parts {
            ids.extend((0..part.edges.ids.len()).map(|rank| part.edges.ids.text(rank)));
            ends.extend(by_id(&part.edges));
            kinds.extend(kinds_of(&part.edges));
            let found = part.edges.kinds.edges.iter().flat_map(|kinds| kinds.names.iter());
            names.extend(found.map(str::to_owned));
            assert!(part.edges.is_empty() || part.edges.weights.is_some() == weighted);
            weights.extend(part.edges.weights.into_iter().flatten());
            counts.push(part.counts);
        }
        ids.sort();
        ids.dedup();
        let report = LoadReport::of_parts(paths, options, counts, ids.len() as u64, integer_ids)?;
        let report = report.with_types(names.len() as u64, 0, 0);
        Ok((ids, ends, weighted.then_some(weights), kinds, report))
    })
}

fn undirected(threads: usize) -> LoadOptions {
    LoadOptions { threads, undirected: true, ..LoadOptions::default() }
}

#[test]
fn any_number_of_threads_and_any_block_size_give_the_same_edges() {
    let mut edges = String::from("# comment\n\n");
    let mut named = String::from("target,note,source,weight,type\r\n");
    let mut matrix = String::from("%%MatrixMarket matrix coordinate integer symmetric\n%\n60 60 60\n");
    for line in 0..60 {
        // The first id that is no integer comes late: threads turn into strings at different places.
        let target = if line == 47 { "x7".to_owned() } else { (line * 13 % 29).to_string() };
        writeln!(edges, "{line}  {target}{}", if line % 5 == 0 { "\r\n%" } else { "" }).expect("writing to memory");
        writeln!(named, "{target},\"a\n\"\"{line}\",\"n,\n{line}\",{line}.5,t{}", line * 7 % 4)
            .expect("writing to memory");
        writeln!(matrix, "{} {} {line}", line + 1, line * 13 % 29 + 1).expect("writing to memory");
    }
    let inputs: [&[(&str, &str)]; 4] = [
        &[("a.txt", &edges)],
        &[("a.csv", &named)],
        &[("a.mtx", &matrix)],
        &[("a.txt", "3 1\n1 2"), ("b.txt", "5\t4\n1\t2\r\n"), ("c.txt", "1 9 \n")],
    ];
    for files in inputs {
        let expected = load(files, &undirected(1), 1 << 20).expect("good files");
        assert!(expected.report.edges_read >= 5, "{files:?}");
        for threads in [1, 2, 3] {
            for block_bytes in 1..100 {
                let loaded = load(files, &undirected(threads), block_bytes).expect("good files");
                assert_eq!(loaded, expected, "{threads} threads, blocks of {block_bytes} bytes: {files:?}");
            }
        }
    }
}

#[test]
fn any_number_of_threads_and_any_block_size_give_the_same_error() {
    let lines: String = (0..40).map(|line| format!("{line} 1\n")).collect();
    let inputs = [
        ("a.txt", format!("#\n{lines}7\n{lines}1 2 3\n"), "a.txt:42: expected 2 columns"),
        ("a.txt", format!("#\n{lines}\u{1F980} \0\n{lines}1\n"), "a.txt:42: expected an id without NUL bytes"),
        (
            "a.csv",
            "source,target\na,b\n\"a\nb\",\n\"c\"d,\n".to_owned(),
            "a.csv:3: expected the id of a target, got nothing",
        ),
        ("a.csv", "source,target\na,b\n\"a\nb\",\"c\nd".to_owned(), "a.csv:4: expected a closing quote"),
        ("a.csv", "source,target\na,b\nc\na,\"b\n".to_owned(), "a.csv:3: expected 2 columns"),
        ("a.csv", "source,\"target\"\"s\n\"x,\n".to_owned(), "a.csv:2: expected a delimiter after the closing quote"),
        ("a.csv", "\"sou\nrce\",\"target\n".to_owned(), "a.csv:2: expected a closing quote"),
        (
            "a.mtx",
            "%%MatrixMarket matrix coordinate pattern general\n2 2 3\n1 1\n1 0\n3 3\n".to_owned(),
            "a.mtx:4: expected an index",
        ),
    ];
    for (name, content, start) in &inputs {
        for threads in [1, 2, 3] {
            for block_bytes in 1..100 {
                let message = load(&[(name, content)], &undirected(threads), block_bytes).map(|_| ()).unwrap_err();
                assert!(message.starts_with(start), "{threads} threads, blocks of {block_bytes} bytes: {message}");
            }
        }
    }
}

#[test]
fn parts_are_the_whole_whatever_the_cut() {
    let lines: String = (0..30).map(|line| format!("{line}\t{}\t{line}.5\n", line * 13 % 29)).collect();
    let plain: String = (0..30).map(|line| format!("{},x{line}\r\n", line * 13 % 29)).collect();
    let typed = |line: usize| format!("{line},{},{}\n", line * 13 % 29, ["", "tu", "tv"][line % 7 % 3]);
    let typed = format!("from,to,type\n{}", (0..30).map(typed).collect::<String>());
    let matrix: String = (0..30).map(|line| format!("{} {}\n", line * 7 % 40 + 1, line * 3 % 40 + 1)).collect();
    let matrix = format!("%%MatrixMarket matrix coordinate pattern symmetric\n%\n40 40 30\n{matrix}");
    let inputs: Vec<Vec<(&str, String)>> = vec![
        vec![("a.txt", format!("\u{FEFF}# comment\r\n\n{lines}% the end"))],
        vec![("a.txt", "1 2".to_owned()), ("b.txt", "2 1\n#\n\n".to_owned()), ("c.txt", "x\t1\n".repeat(20))],
        vec![("a.csv", format!("to,from\n{plain}")), ("b.tsv", "from\tto\nn\tx1".to_owned())],
        vec![("a.csv", format!("to,from\n{plain}\"a\nb\",c\n{plain}")), ("b.csv", format!("from,to\n{plain}"))],
        vec![("a.mtx", matrix.clone()), ("b.mtx", matrix.replace("40 40 30", "50 50 30"))],
        vec![("a.csv", format!("to,from\n{plain}")), ("b.csv", typed.clone())],
        vec![("a.csv", typed.clone()), ("b.csv", typed.replace("tv", "\"t\nv\""))],
        // And what cannot be loaded: the first bad line of all is named, or what is wrong with all of them.
        vec![("a.txt", format!("{lines}1 2\n{lines}1\t2\n"))],
        vec![("a.txt", lines.clone()), ("b.txt", format!("{lines}\n")), ("c.txt", format!("{lines}1\t2\tx\n{lines}"))],
        vec![("a.txt", lines.clone()), ("b.txt", "1 2\n".to_owned()), ("c.txt", "x\n".to_owned())],
        vec![("a.txt", lines.clone()), ("b.txt", String::new())],
        vec![("a.txt", "# nothing\n".to_owned())],
        vec![("a.csv", format!("to,from\n{plain}a\n{plain}\"a\nb\",c\n"))],
        vec![("a.csv", format!("to,from\n{plain}\"a\nb\",c\n{plain}a\n"))],
        vec![("a.csv", format!("to,from\n{plain}\"a\nb,c\n{plain}a\n"))],
        vec![("a.mtx", matrix.replace("40 40 30", "40 40 31"))],
        vec![("a.mtx", matrix.replace("40 40 30", "39 39 30"))],
    ];
    let (mut good, mut bad) = (0, 0);
    for input in &inputs {
        let files: Vec<(&str, &str)> = input.iter().map(|(name, text)| (*name, text.as_str())).collect();
        let whole = loaded_whole(&files, &undirected(2));
        *if whole.is_ok() { &mut good } else { &mut bad } += 1;
        for of in [1, 2, 3, 7, 50] {
            for block_bytes in [1, 10, 1 << 20] {
                let parts = loaded_in_parts(&files, &undirected(2), of, block_bytes);
                assert_eq!(parts, whole, "{of} parts, blocks of {block_bytes} bytes: {files:?}");
            }
        }
    }
    assert_eq!((good, bad), (7, 10));
}

#[test]
fn types_weigh_edges_of_parts_and_are_kept() {
    let text = "source,target,type\na,b,likes\nb,a,cites\na,c,likes\nc,a,\n";
    let weighed = LoadOptions { type_weights: [("likes".to_owned(), 2.0)].into(), ..undirected(1) };
    for (options, expected) in [(&weighed, Some(vec![2.0, 2.0, 1.0, 1.0, 2.0, 2.0, 1.0, 1.0])), (&undirected(1), None)]
    {
        let parts = loaded_in_parts(&[("a.csv", text)], options, 3, 10).unwrap();
        assert_eq!(parts, loaded_whole(&[("a.csv", text)], options).unwrap());
        let (_, _, weights, kinds, report) = parts;
        assert_eq!((weights, report.edge_types, report.typed_edges), (expected, 2, 6));
        let kinds: Vec<&str> = kinds.iter().map(|kind| kind.as_deref().unwrap_or("-")).collect();
        assert_eq!(kinds, ["likes", "likes", "cites", "cites", "likes", "likes", "-", "-"]);
    }
    let never = LoadOptions { type_weights: [("hates".to_owned(), 2.0)].into(), ..undirected(1) };
    let whole = load(&[("a.csv", text)], &never, 10).unwrap_err();
    assert_eq!(loaded_in_parts(&[("a.csv", text)], &never, 3, 10).unwrap_err(), whole);
    assert!(whole.contains("cites") && whole.contains("likes"), "{whole}");
}

/// Edges by their ids, in order.
fn by_id(edges: &EdgeList) -> Vec<(String, String)> {
    let text = |&rank: &u32| edges.ids.text(rank as usize);
    edges.sources.iter().map(text).zip(edges.targets.iter().map(text)).collect()
}

/// Ids of which many are alike, or nearly integers.
fn id(pattern: &'static str) -> impl Strategy<Value = String> {
    prop_oneof![3 => (-30..30_i64).prop_map(|id| id.to_string()), 1 => any::<i64>().prop_map(|id| id.to_string()), 2 => pattern]
}

proptest! {
    #[test]
    fn ids_come_back_from_an_edge_list_as_they_were(
        edges in vec((id("[^\\x00\\t\\r\\n#%][^\\x00\\t\\r\\n]{0,3}"), id("[^\\x00\\t\\r\\n]{1,3}")), 1..40),
        threads in 1..4_usize,
        block_bytes in 1..200_usize,
    ) {
        let text: String = edges.iter().map(|(source, target)| format!("{source}\t{target}\n")).collect();
        let options = LoadOptions { threads, format: Some(crate::Format::EdgeList), ..LoadOptions::default() };
        // A byte order mark at the very beginning would be taken for one.
        prop_assume!(!text.starts_with('\u{FEFF}'));
        let loaded = load(&[("a.txt", &text)], &options, block_bytes).map_err(TestCaseError::fail)?;
        prop_assert_eq!(by_id(&loaded.edges), edges);
        let ids: Vec<String> = (0..loaded.edges.ids.len()).map(|rank| loaded.edges.ids.text(rank)).collect();
        if !loaded.report.integer_ids {
            prop_assert!(ids.is_sorted());
        }
        prop_assert_eq!(loaded.report.integer_ids, ids.iter().all(|id| id.parse::<i64>().is_ok_and(|value| value.to_string() == *id)));
    }

    #[test]
    fn what_the_csv_crate_writes_is_read_as_it_was(
        edges in vec((id("[^\\x00]{1,4}|[\",\r\n]{1,4}"), id("[^\\x00]{1,4}|[\",\r\na]{1,4}"), 0.0..9e9_f64), 1..40),
        always_quoted in any::<bool>(),
        threads in 1..4_usize,
        block_bytes in 1..200_usize,
    ) {
        let style = if always_quoted { csv::QuoteStyle::Always } else { csv::QuoteStyle::Necessary };
        let mut writer = csv::WriterBuilder::new().quote_style(style).from_writer(Vec::new());
        writer.write_record(["from", "weight", "to"]).expect("writing to memory");
        for (source, target, weight) in &edges {
            writer.write_record([source, &weight.to_string(), target]).expect("writing to memory");
        }
        let text = String::from_utf8(writer.into_inner().expect("writing to memory")).expect("text");
        let options = LoadOptions { threads, ..LoadOptions::default() };
        let loaded = load(&[("a.csv", &text)], &options, block_bytes).map_err(TestCaseError::fail)?;
        let weights: Vec<f64> = edges.iter().map(|&(_, _, weight)| weight).collect();
        prop_assert_eq!(loaded.edges.weights.as_ref(), Some(&weights));
        let ends: Vec<_> = edges.into_iter().map(|(source, target, _)| (source, target)).collect();
        prop_assert_eq!(by_id(&loaded.edges), ends);
    }

    #[test]
    fn whatever_the_bytes_there_is_an_answer(bytes in "[ab,\"\t\r\n 12#%\\x00é.-]{0,60}", name in "a\\.(txt|csv|tsv|mtx)") {
        let header = if name == "a.csv" { "source,target\n" } else { "" };
        let text = format!("{header}{bytes}");
        let whole = load(&[(&name, &text)], &undirected(1), 1 << 20);
        prop_assert_eq!(load(&[(&name, &text)], &undirected(2), 3), whole);
        let whole = loaded_whole(&[(&name, &text)], &undirected(1));
        prop_assert_eq!(loaded_in_parts(&[(&name, &text)], &undirected(1), 3, 5), whole);
    }
}
