//! Keeps: **a graph that was loaded in shards and gathered is, byte for byte, the one that a load on one machine with
//! `--order id` makes**, whatever the input, the number of shards and where its lines are cut; and what cannot be loaded is
//! refused for the same reason, with the stores as they were.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tempfile::TempDir;
use walkprint_cluster::error::Error;
use walkprint_cluster::gather::gather_store;
use walkprint_cluster::load::{LoadJob, LoadOutcome, load_shards, load_store};
use walkprint_cluster::processes::Processes;
use walkprint_engine::error::Error as EngineError;
use walkprint_engine::graph::NodeOrder;
use walkprint_engine::parts::{IdPlace, KindParts, LabelParts, RowParts};
use walkprint_engine::plan::Plan;
use walkprint_engine::store::{BuildEntry, Manifest, Store, StoreLock};
use walkprint_loaders::LoadOptions;
use walkprint_tests::draws::Draws;
use walkprint_tests::program;
use walkprint_tests::stores::{build, files, options};

/// A temporary directory with input files.
struct Place {
    directory: TempDir,
    inputs: Vec<PathBuf>,
}

impl Place {
    fn new(inputs: &[(&str, Vec<u8>)]) -> Place {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let write = |(name, bytes): &(&str, Vec<u8>)| {
            let path = directory.path().join(name);
            std::fs::write(&path, bytes).expect("room for a small file");
            path
        };
        let inputs = inputs.iter().map(write).collect();
        Place { directory, inputs }
    }

    fn of(text: &str) -> Place {
        Place::new(&[("a.txt", text.as_bytes().to_vec())])
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn job(&self, options: &LoadOptions) -> LoadJob {
        let options = LoadOptions { threads: 2, ..options.clone() };
        LoadJob { inputs: self.inputs.clone(), options, order: NodeOrder::Id, replace: false }
    }

    fn whole(&self, options: &LoadOptions) -> Result<LoadOutcome, Error> {
        load_store(&self.path("whole.wp"), &self.job(options), &never(), &|_| {})
    }

    fn shards(&self, name: &str, shards: usize, job: &LoadJob) -> Result<LoadOutcome, Error> {
        load_shards(&self.path(name), job, Processes::alone(shards), &Arc::new(never()), &|_| {})
    }
}

fn never() -> AtomicBool {
    AtomicBool::new(false)
}

fn gather(parts: &[PathBuf], store: &Path) -> Result<Manifest, Error> {
    gather_store(parts, store, false, &never())
}

/// What a user sees of an error, whoever found it.
fn message(error: &Error) -> String {
    match error {
        Error::Elsewhere { what, .. } => what.clone(),
        error => error.to_string(),
    }
}

/// Loads in one piece and in shards, gathers, and compares everything. Returns whether the input could be loaded.
fn compare(place: &Place, options: &LoadOptions, counts: &[usize]) -> bool {
    let whole = place.whole(options);
    for &count in counts {
        let (name, gathered) = (format!("{count}.wp"), format!("{count}-gathered.wp"));
        let sharded = place.shards(&name, count, &place.job(options));
        let (whole, sharded) = match (&whole, sharded) {
            (Ok(whole), Ok(sharded)) => (whole, sharded),
            (Err(whole), Err(sharded)) => {
                assert_eq!(message(&sharded), message(whole), "{count} shards");
                assert!(!place.path(&name).exists(), "nothing is left behind");
                continue;
            }
            (whole, sharded) => panic!("{count} shards: {sharded:?}, in one piece {whole:?}"),
        };
        assert_eq!(sharded.graph.digest, whole.graph.digest, "{count} shards");
        assert_eq!(sharded.graph.report, whole.graph.report, "{count} shards");
        assert_eq!(sharded.read, whole.read, "{count} shards");
        assert_eq!(sharded.graph.shards.len(), count);
        let manifest = gather(&[place.path(&name)], &place.path(&gathered)).expect("all shards are here");
        let (mut left, mut right) = (files(&place.path("whole.wp")), files(&place.path(&gathered)));
        [&mut left, &mut right].into_iter().for_each(|files| drop(files.remove("lock")));
        assert!(left.keys().eq(right.keys()), "{:?} {:?}", left.keys(), right.keys());
        for (file, bytes) in &left {
            let text = String::from_utf8_lossy;
            assert!(right[file] == *bytes, "{count} shards: {file} differs: {} {}", text(bytes), text(&right[file]));
        }
        assert_eq!(manifest.graph, whole.graph);
        check_parts(&place.path(&name), &place.path("whole.wp")).expect("whole stores");
    }
    whole.is_ok()
}

/// Rows and ids of a store in shards are those of the whole one.
fn check_parts(sharded: &Path, whole: &Path) -> walkprint_engine::error::Result<()> {
    let (sharded, whole) = (Store::open(sharded)?, Store::open(whole)?);
    assert!(matches!(sharded.graph(), Err(EngineError::Sharded { .. })));
    assert!(matches!(sharded.labels(), Err(EngineError::Sharded { .. })));
    let (graph, labels) = (whole.graph()?, whole.labels()?);
    check_kinds(&sharded, &whole, graph.edges())?;
    let nodes = u32::try_from(graph.nodes()).expect("a small graph");
    for store in [&sharded, &whole] {
        let (rows, ids) = (RowParts::open(store)?, LabelParts::open(store)?);
        assert_eq!((rows.nodes(), rows.edges()), (graph.nodes() as u64, graph.edges() as u64));
        assert_eq!((rows.is_weighted(), rows.digest()), (graph.is_weighted(), graph.digest()));
        assert!(rows.missing().is_empty() && ids.missing().is_empty());
        for part in rows.parts() {
            part.verify_walk_rows()?;
            part.check()?;
            assert_eq!(part.rows().nodes(), part.nodes().len());
        }
        for node in 0..nodes {
            let (row, expected) = (rows.row(node)?.expect("it is here"), graph.row(node)?);
            assert_eq!((row.targets, row.total), (expected.targets, expected.total));
            assert_eq!(rows.degree(node), Some(graph.degree(node)));
            let id = labels.id(node)?;
            assert_eq!(ids.id(node)?.as_deref(), Some(id.as_str()));
            assert_eq!(ids.node(&id)?, IdPlace::Node(node));
        }
        assert!(rows.row(nodes)?.is_none());
        for nobody in ["", "nobody", "-77777", "~"] {
            assert_eq!(ids.node(nobody)?, IdPlace::Nowhere, "{nobody:?}");
        }
    }
    Ok(())
}

/// Types of a store in shards, read where they are, are those of the whole one.
fn check_kinds(sharded: &Store, whole: &Store, edges: usize) -> walkprint_engine::error::Result<()> {
    let (sharded, whole) = match (sharded.kinds()?, whole.kinds()?) {
        (Some(sharded), Some(whole)) => (sharded, whole),
        (sharded, whole) => {
            assert!(sharded.is_none() && whole.is_none());
            return Ok(());
        }
    };
    for node in 0..200 {
        assert_eq!(sharded.node_kind(node), whole.node_kind(node), "node {node}");
    }
    for place in 0..edges + 1 {
        assert!(sharded.edge_kinds(place).eq(whole.edge_kinds(place)), "edge {place}");
    }
    for name in whole.node_kinds() {
        assert_eq!(sharded.nodes_of(name)?, whole.nodes_of(name)?, "{name}");
    }
    assert_eq!((sharded.count_nodes(), sharded.count_edges()), (whole.count_nodes(), whole.count_edges()));
    assert!(matches!(sharded.nodes_of("nobody's"), Err(EngineError::UnknownType { .. })));
    Ok(())
}

/// A text of edges with everything that loaders and builders treat on its own.
fn edges(draws: &mut Draws) -> String {
    let strings = [0.0, 0.02, 1.0][draws.below(3) as usize];
    let weighted = draws.chance(0.6);
    let weights = ["1", "2.5", "0.1", "0", "7e3"];
    let nodes = 1 + draws.below(40);
    let end = if draws.chance(0.3) { "\r\n" } else { "\n" };
    let mut text = String::new();
    for _ in 0..1 + draws.below(80) {
        if draws.chance(0.05) {
            text += ["# a comment", "", "% another"][draws.below(3) as usize];
            text += end;
        }
        let id = |draws: &mut Draws| {
            let number = i64::from(draws.below(nodes)) * 3 - 30;
            if draws.chance(strings) { format!("n{number}") } else { number.to_string() }
        };
        let (source, target) = (id(draws), id(draws));
        let target = if draws.chance(0.05) { source.clone() } else { target };
        for _ in 0..1 + u32::from(draws.chance(0.1)) {
            write!(text, "{source}\t{target}").expect("writing to memory");
            if weighted {
                write!(text, "\t{}", weights[draws.below(5) as usize]).expect("writing to memory");
            }
            text += end;
        }
    }
    if draws.chance(0.3) {
        text.truncate(text.trim_end().len());
    }
    text
}

#[test]
fn gathered_shards_are_the_whole_graph() {
    let mut draws = Draws::new(4);
    let mut good = 0;
    for case in 0..30 {
        let options = LoadOptions { undirected: draws.chance(0.4), ..LoadOptions::default() };
        let place = Place::of(&edges(&mut draws));
        good += u32::from(compare(&place, &options, &[1, 2, [3, 5][case % 2]]));
    }
    assert_eq!(good, 30);
}

#[test]
fn every_kind_of_file_can_be_loaded_in_shards() {
    let mut draws = Draws::new(5);
    let plain: String = (0..60).map(|line| format!("{},x{}\n", draws.below(20), line % 7)).collect();
    let csv = format!("to,from\n{plain}");
    let quoted = format!("from,to\n{plain}\"a\nb\",c\n{plain}");
    let matrix: String = (0..30).map(|line| format!("{} {}\n", line * 7 % 40 + 1, line * 3 % 40 + 1)).collect();
    let matrix = format!("%%MatrixMarket matrix coordinate pattern symmetric\n40 40 30\n{matrix}");
    let gzipped = |text: &str| {
        // One stored block: what gzip makes of bytes that it cannot compress.
        let bytes = text.as_bytes();
        let length = u16::try_from(bytes.len()).unwrap();
        let mut file = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1];
        file.extend(length.to_le_bytes());
        file.extend((!length).to_le_bytes());
        file.extend(bytes);
        file.extend(crc32(bytes).to_le_bytes());
        file.extend(u32::from(length).to_le_bytes());
        file
    };
    let text = |text: &str| text.as_bytes().to_vec();
    let inputs: Vec<Vec<(&str, Vec<u8>)>> = vec![
        vec![("a.csv", text(&csv)), ("b.csv", text(&quoted)), ("c.tsv", text("from\tto\nz\tx1"))],
        vec![("a.csv", text(&csv)), ("b.csv.gz", gzipped(&csv)), ("c.csv", text(&csv))],
        vec![("a.mtx", text(&matrix)), ("b.mtx", text(&matrix.replace("40 40 30", "50 50 30")))],
        vec![("a.txt", text("1 2"))],
        vec![("a.txt", text("1 2\n")), ("b.txt", text("2 y\n")), ("c.txt", text("2 1\n3 1\n"))],
    ];
    for input in &inputs {
        let place = Place::new(input);
        assert!(compare(&place, &LoadOptions::default(), &[2, 3, 5]), "{:?}", input[0].0);
    }
    // What cannot be loaded is refused with the words that one process has for it: the first bad line of all.
    let bad: Vec<Vec<(&str, Vec<u8>)>> = vec![
        vec![("a.csv", text(&format!("{csv}only\n{plain}")))],
        vec![("a.csv", text(&csv)), ("b.csv", text(&plain))],
        vec![("a.csv", text(&csv)), ("b.csv", text("from,to\n"))],
        vec![("a.csv", text(&format!("{csv}\"a\nb\",c\n{plain}only\n")))],
        vec![("a.txt", text("1 2\n3\n4 5\n6\n"))],
        vec![("a.txt", text("1 2 3\n1 2 x\n")), ("b.txt", text("1 2\n"))],
        vec![("a.txt", text("1 2 1e308\n1 2 1e308\n1 3 1e308\n"))],
        vec![("a.txt", text("1 2 1e308\n1 4 1\n1 3 1e308\n2 3 1\n"))],
        vec![("a.mtx", text(&matrix.replace("40 40 30", "40 40 31")))],
    ];
    for input in &bad {
        let place = Place::new(input);
        assert!(!compare(&place, &LoadOptions::default(), &[1, 2, 3, 5]), "{:?}", input[0].0);
    }
}

/// The checksum of gzip.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { 0xedb8_8320 ^ crc >> 1 } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), step))
}

/// A table of edges with types, many of them parallel, and a table of the types of some nodes.
fn typed(draws: &mut Draws) -> (String, String) {
    let strings = draws.chance(0.5);
    let id =
        |number: u32| if strings { format!("n{}", number * 7 % 40) } else { format!("{}", i64::from(number) * 3 - 30) };
    let (nodes, weighted, kinds) = (2 + draws.below(20), draws.chance(0.5), 1 + draws.below(6));
    let mut edges = String::from(if weighted { "from,to,type,weight\n" } else { "from,to,type\n" });
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..1 + draws.below(120) {
        let (source, target) = (draws.below(nodes), draws.below(nodes));
        seen.extend([source, target]);
        let kind = draws.below(kinds);
        let kind = if kind == 0 { String::new() } else { format!("k{kind}") };
        write!(edges, "{},{},{kind}", id(source), id(target)).expect("writing to memory");
        let weight = ["1", "0", "2.5"][draws.below(3) as usize];
        writeln!(edges, "{}", if weighted { format!(",{weight}") } else { String::new() }).expect("writing to memory");
    }
    let (named, mut types) = (draws.chance(0.5), String::from(if draws.chance(0.5) { "id,type\n" } else { "" }));
    let first = *seen.first().expect("there is an edge");
    for node in seen.into_iter().rev() {
        if node != first && draws.chance(0.3) {
            continue; // it has no type
        }
        let kind = if named { "a,\"b\"" } else { "c" };
        writeln!(types, "{},\"{}{}\"", id(node), kind.replace('"', "\"\""), draws.below(3)).expect("writing to memory");
    }
    (edges, types)
}

#[test]
fn types_are_those_that_one_machine_keeps() {
    let mut draws = Draws::new(7);
    let mut kept = 0;
    for case in 0..40 {
        let (edges, types) = typed(&mut draws);
        let place = Place::new(&[("a.csv", edges.into_bytes())]);
        std::fs::write(place.path("types.csv"), types).expect("room for a small file");
        let of_type = |weight| [("k1".to_owned(), weight)].into();
        let options = LoadOptions {
            undirected: draws.chance(0.4),
            node_types: draws.chance(0.6).then(|| place.path("types.csv")),
            type_weights: if draws.chance(0.2) { of_type(2.0) } else { Default::default() },
            ..LoadOptions::default()
        };
        if compare(&place, &options, &[1, 2, [3, 7][case % 2]]) {
            kept += usize::from(place.path("whole.wp/types-1.wpt").exists());
        }
    }
    assert!(30 < kept, "{kept}");
    // So many sets of types that they take two bytes together, and one in each shard.
    let mut edges = String::from("from,to,type\n");
    for (node, kinds) in (0..300u32).map(|node| (node, [node % 20, 20 + node / 20])) {
        for kind in kinds {
            writeln!(edges, "{node},{},k{kind}", node / 2).expect("writing to memory");
        }
    }
    let place = Place::of("");
    let place = Place { inputs: vec![place.path("a.csv")], ..place };
    std::fs::write(&place.inputs[0], edges).expect("room for a small file");
    assert!(compare(&place, &LoadOptions::default(), &[2, 3, 5]));
    // What the file says that makes no sense: the first line that does is told, whichever worker knows it to.
    let place = Place::of("a\tb\nc\td\ne\tf\ng\th\n");
    for bad in [
        "z,x\n",
        "a,x\naa,x\nz,x\n",
        "A,x\n",
        "a,x\nh,y\nb,\n0,y\n",
        "h,y\na,x\nh,x\na,y\n",
        "a,x\na,y\nzz,x\n",
        "a,x\nb\n",
        "",
        "id,type\n",
        "a,x\n\"b,y\n",
        "PAR1",
        "zz,\n",
        "a,x\n\u{1F980},y\nb\n",
    ] {
        std::fs::write(place.path("types.csv"), bad).expect("room for a small file");
        let options = LoadOptions { node_types: Some(place.path("types.csv")), ..LoadOptions::default() };
        assert!(!compare(&place, &options, &[1, 2, 3, 5]), "{bad:?}");
    }
    let options = LoadOptions { node_types: Some(place.path("nowhere")), ..LoadOptions::default() };
    assert!(!compare(&place, &options, &[1, 2, 3]));
}

#[test]
fn types_weigh_edges_and_orders_are_refused() {
    let place = Place::new(&[("a.csv", b"source,target,type\na,b,likes\nb,a,cites\na,c,likes\nc,c,cites\n".to_vec())]);
    let weighed = LoadOptions { type_weights: [("likes".to_owned(), 2.0)].into(), ..LoadOptions::default() };
    assert!(compare(&place, &weighed, &[2, 3]));
    let whole = Store::open(&place.path("whole.wp")).unwrap();
    assert!(
        whole.manifest().graph.report.weighted && whole.kinds().unwrap().is_some_and(|kinds| kinds.has_edge_kinds())
    );
    let never_seen = LoadOptions { type_weights: [("hates".to_owned(), 2.0)].into(), ..LoadOptions::default() };
    let error = place.shards("t.wp", 2, &place.job(&never_seen)).unwrap_err();
    assert!(message(&error).contains("hates"), "{error}");
    for order in [NodeOrder::Degree, NodeOrder::BreadthFirst] {
        let error = place.shards("t.wp", 2, &LoadJob { order, ..place.job(&weighed) }).unwrap_err();
        assert!(error.to_string().contains("--order"), "{error}");
    }
    assert!(!place.path("t.wp").exists());
}

#[test]
fn types_of_several_hosts_are_brought_together() {
    let place =
        Place::new(&[("a.csv", b"source,target,type\na,b,likes\na,b,cites\nb,c,cites\nc,d,likes\nd,a,\n".to_vec())]);
    std::fs::write(place.path("types.csv"), "a,word\nb,word\nd,letter\n").unwrap();
    let options = LoadOptions { node_types: Some(place.path("types.csv")), ..LoadOptions::default() };
    place.shards("s.wp", 2, &place.job(&options)).unwrap();
    let store = place.path("s.wp");
    let parts = [place.path("part-0.wp"), place.path("part-1.wp")];
    for (number, part) in parts.iter().enumerate() {
        copy(&store, part, |name| name == "manifest.wpm" || name.contains(&format!("-00{number}.wp")));
    }
    let run = |arguments: &[&str]| program::run(place.directory.path(), arguments);
    // A part knows the types of its own nodes and edges, and says that it does not know the others.
    let opened = Store::open(&parts[0]).unwrap();
    assert!(matches!(opened.kinds(), Err(EngineError::TypesElsewhere { missing: 1, shards: 2, .. })));
    let here = KindParts::open(&opened).unwrap();
    assert_eq!((here.missing.len(), here.kinds.as_ref().unwrap().node_kind(0)), (1, Some("word")));
    assert_eq!(here.kinds.unwrap().node_kind(3), None);
    let verified = run(&["verify", "part-0.wp"]).done();
    assert!(verified.contains("types-1-000.wpt") && verified.contains("types-1-001.wpt"), "{verified}");
    assert_eq!((verified.matches("whole").count(), verified.matches("not here").count()), (3, 3), "{verified}");
    let inspected = run(&["inspect", "part-0.wp"]).done();
    assert!(inspected.contains("2 node types (of the shards that are here): word (2), letter (0)"), "{inspected}");
    let inspected = run(&["inspect", "s.wp"]).done();
    assert!(inspected.contains("2 node types: word (2), letter (1)"), "{inspected}");
    assert!(inspected.contains("2 edge types: cites (2), likes (2)"), "{inspected}");
    // Sources by type are found where all types are, and lacking types are named elsewhere.
    let _ = run(&["index", "s.wp", "--workers", "2"]).done();
    let batch =
        |store, out| run(&["batch", store, "--sources", "type:word", "--top", "2", "--out", out, "--format", "csv"]);
    let _ = batch("s.wp", "sharded").done();
    let written = std::fs::read_to_string(place.path("sharded/part-00000.csv")).unwrap();
    assert!(written.contains("\na,") && written.contains("\nb,") && !written.contains("\nd,"), "{written}");
    std::fs::rename(store.join("types-1-001.wpt"), place.path("away")).unwrap();
    batch("s.wp", "none").refused(&["types-1-001.wpt", "1 of 2 shards", "walkprint gather"]);
    std::fs::rename(place.path("away"), store.join("types-1-001.wpt")).unwrap();

    gather(&parts, &place.path("gathered.wp")).unwrap();
    place.whole(&options).unwrap();
    let types = |store: &str| std::fs::read(place.path(store).join("types-1.wpt")).unwrap();
    assert_eq!(types("gathered.wp"), types("whole.wp"));
    // What is missing or damaged is named, and nothing is left behind.
    let refused = |words: &[&str]| {
        let error = gather(&parts, &place.path("refused.wp")).unwrap_err().to_string();
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
        assert!(!place.path("refused.wp").exists());
    };
    let path = parts[1].join("types-1-001.wpt");
    let whole = std::fs::read(&path).unwrap();
    let mut damaged = whole.clone();
    *damaged.last_mut().unwrap() ^= 4;
    for (bytes, word) in [(damaged, "damaged"), (std::fs::read(parts[0].join("types-1-000.wpt")).unwrap(), "another")] {
        std::fs::write(&path, bytes).unwrap();
        refused(&["types-1-001.wpt", word]);
        assert_eq!(run(&["verify", "part-1.wp"]).code, Some(1));
    }
    std::fs::remove_file(&path).unwrap();
    refused(&["types-1-001.wpt", "1 file is missing"]);
    // A graph without types over one with them leaves none behind.
    let plain = LoadJob { replace: true, inputs: vec![place.path("b.txt")], ..place.job(&LoadOptions::default()) };
    std::fs::write(&plain.inputs[0], "1 2\n").unwrap();
    place.shards("s.wp", 2, &plain).unwrap();
    assert!(files(&store).keys().all(|name| !name.ends_with(".wpt")), "{:?}", files(&store).keys());
}

#[test]
fn a_store_is_replaced_whole_or_not_at_all() {
    let place = Place::of("1 2\n2 3\n3 1\n1 3\n");
    let job = place.job(&LoadOptions::default());
    let store = place.path("s.wp");
    place.shards("s.wp", 3, &job).unwrap();
    let before = files(&store);
    assert!(matches!(
        place.shards("s.wp", 2, &job),
        Err(Error::Engine(EngineError::Exists { .. }) | Error::Elsewhere { .. })
    ));
    std::fs::write(&place.inputs[0], "1 2\nx\n").unwrap();
    let replace = LoadJob { replace: true, ..job.clone() };
    assert!(message(&place.shards("s.wp", 2, &replace).unwrap_err()).contains("a.txt:2: "));
    let stop = Arc::new(AtomicBool::new(true));
    let stopped = load_shards(&store, &replace, Processes::alone(2), &stop, &|_| {});
    assert!(matches!(stopped, Err(Error::Interrupted)));
    assert!(files(&store) == before, "{:?}", files(&store).keys());
    std::fs::write(&place.inputs[0], "1 2\n").unwrap();
    place.shards("s.wp", 2, &replace).unwrap();
    let names: Vec<String> = files(&store).into_keys().collect();
    let listed = ["graph-2-000.wpg", "graph-2-001.wpg", "labels-2-000.wpl", "labels-2-001.wpl", "lock", "manifest.wpm"];
    assert_eq!(names, listed);
    // And a store in one file, by shards and back.
    load_store(&store, &replace, &never(), &|_| {}).unwrap();
    assert!(Store::open(&store).unwrap().graph().is_ok());
    place.shards("s.wp", 2, &replace).unwrap();
    assert!(Store::open(&store).unwrap().is_sharded());
}

/// Copies some files of a store.
fn copy(from: &Path, to: &Path, wanted: impl Fn(&str) -> bool) {
    for (name, bytes) in files(from).into_iter().filter(|(name, _)| wanted(name)) {
        let path = to.join(name);
        std::fs::create_dir_all(path.parent().expect("a file lies in a directory")).expect("a directory");
        std::fs::write(path, bytes).expect("a copy of a small file");
    }
}

#[test]
fn parts_on_several_hosts_are_brought_together() {
    let mut draws = Draws::new(6);
    let place = Place::of(&edges(&mut draws));
    let job = place.job(&LoadOptions::default());
    place.shards("s.wp", 3, &job).unwrap();
    let store = place.path("s.wp");
    // An index over it, whose segments lie here and there: as a sharded build would leave them.
    place.whole(&LoadOptions::default()).unwrap();
    let plan = Plan { walks: 4, ..Plan::default() };
    build(&place.path("whole.wp"), &options(&plan)).unwrap();
    let whole = Store::open(&place.path("whole.wp")).unwrap();
    let mut manifest = Store::open(&store).unwrap().manifest().clone();
    manifest.indexes = whole.manifest().indexes.clone();
    copy(&place.path("whole.wp"), &store, |name| name.ends_with(".wps"));
    let lock = StoreLock::existing(&store).unwrap();
    let build = BuildEntry { plan, graph_digest: manifest.graph.digest.clone() };
    lock.write_plan(&store.join(&manifest.indexes[0].directory), &build).unwrap();
    lock.publish(&manifest).unwrap();
    drop(lock);

    let parts: Vec<PathBuf> = (0..3).map(|number| place.path(&format!("part-{number}.wp"))).collect();
    for (number, part) in parts.iter().enumerate() {
        let of_part = |name: &str| name == "manifest.wpm" || name.contains(&format!("-00{number}.wp"));
        copy(&store, part, |name| of_part(name) || name.ends_with(".wps") && number == 1);
    }
    let opened = Store::open(&parts[1]).unwrap();
    let (rows, ids) = (RowParts::open(&opened).unwrap(), LabelParts::open(&opened).unwrap());
    assert_eq!((rows.parts().len(), rows.missing().len(), ids.missing().len()), (1, 2, 2));
    let shards = &opened.manifest().graph.shards;
    assert!(rows.row(shards[2].first).unwrap().is_none() && rows.row(shards[1].first).unwrap().is_some());
    let id = |shard: usize| shards[shard].first_id.clone().unwrap();
    assert_eq!(ids.node(&id(2)).unwrap(), IdPlace::Elsewhere(2));
    assert_eq!(ids.node(&id(1)).unwrap(), IdPlace::Node(shards[1].first));
    assert_eq!(ids.id(shards[0].first).unwrap(), None);

    // verify and inspect know what is not here.
    let verified = program::run(place.directory.path(), &["verify", "part-1.wp"]).done();
    assert_eq!(verified.matches("not here").count(), 4, "{verified}");
    assert_eq!(verified.matches("whole").count(), 3, "{verified}");
    let inspected = program::run(place.directory.path(), &["inspect", "part-1.wp"]).done();
    assert!(inspected.contains("3, of which 1 here"), "{inspected}");
    program::run(place.directory.path(), &["query", "part-1.wp", "--seed", &id(0)]).refused(&["3 shards", "gather"]);

    let gathered = place.path("gathered.wp");
    gather(&parts, &gathered).unwrap();
    let result = Store::open(&gathered).unwrap();
    let index = result.index("default", &result.graph().unwrap()).unwrap();
    assert_eq!(index.verify().unwrap(), whole.manifest().indexes[0].entries);
    let (mut left, mut right) = (files(&place.path("whole.wp")), files(&gathered));
    // One load and one build are two generations; a gathering is one.
    for files in [&mut left, &mut right] {
        files.retain(|name, _| !matches!(name.as_str(), "lock" | "manifest.wpm"));
    }
    assert!(left == right, "{:?} {:?}", left.keys(), right.keys());
    let exists = gather(&parts, &gathered).unwrap_err();
    assert!(matches!(exists, Error::Engine(EngineError::Exists { .. })), "{exists}");
    gather_store(&parts, &gathered, true, &never()).unwrap();
    assert_eq!(Store::open(&gathered).unwrap().manifest().generation, 2);

    // What is missing, damaged or foreign is named, and nothing is left behind.
    let refused = |parts: &[PathBuf], words: &[&str]| {
        let into = place.path("refused.wp");
        let error = gather(parts, &into).unwrap_err().to_string();
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
        assert!(!into.exists());
    };
    refused(&parts[..2], &["graph-1-002.wpg", "1 file is missing"]);
    refused(&[parts[0].clone(), parts[2].clone()], &["graph-1-001.wpg"]);
    refused(std::slice::from_ref(&gathered), &["nothing to gather"]);
    place.shards("other.wp", 2, &job).unwrap();
    refused(&[parts[0].clone(), place.path("other.wp")], &["graphs differ"]);
    for name in ["graph-1-001.wpg", "labels-1-001.wpl"] {
        let path = parts[1].join(name);
        let whole = std::fs::read(&path).unwrap();
        let mut damaged = whole.clone();
        let middle = damaged.len() / 2;
        damaged[middle] ^= 4;
        std::fs::write(&path, damaged).unwrap();
        refused(&parts, &[name]);
        assert!(program::run(place.directory.path(), &["verify", "part-1.wp"]).code == Some(1));
        std::fs::write(&path, whole).unwrap();
    }
}

#[test]
fn the_program_loads_in_shards_and_gathers() {
    let place = Place::of("1 2\n2 3\n3 1\n1 3\n4 1\n");
    let run = |arguments: &[&str]| program::run(place.directory.path(), arguments);
    let loaded = run(&["load", "a.txt", "--into", "s.wp", "--shards", "2"]).done();
    assert!(loaded.contains("shards    2"), "{loaded}");
    let _ = run(&["gather", "s.wp", "--into", "g.wp"]).done();
    let _ = run(&["load", "a.txt", "--into", "w.wp", "--order", "id"]).done();
    let content = |store: &str| {
        let mut files = files(&place.path(store));
        files.remove("lock");
        files
    };
    assert!(content("g.wp") == content("w.wp"));
    // An index over shards is gathered with them: the one of the graph in one file.
    for store in ["s.wp", "w.wp"] {
        let _ = run(&["index", store, "--workers", "2"]).done();
        let _ = run(&["verify", store]).done();
    }
    let _ = run(&["gather", "s.wp", "--into", "i.wp"]).done();
    let _ = run(&["verify", "i.wp"]).done();
    let index = |store: &str| Store::open(&place.path(store)).expect("a store").manifest().indexes[0].clone();
    assert_eq!(index("i.wp").fingerprint_digest, index("w.wp").fingerprint_digest);
    let results = |store: &str| program::results(place.directory.path(), &[store, "--seed", "1"]);
    assert_eq!(results("i.wp"), results("w.wp"));
    run(&["load", "a.txt", "--into", "t.wp", "--shards", "2", "--order", "degree"]).refused(&["--order degree"]);
    run(&["load", "b.txt", "--into", "t.wp", "--shards", "2"]).refused(&["b.txt"]);
    // A directory of files, and a disk that fills up.
    std::fs::create_dir(place.path("in")).unwrap();
    std::fs::rename(place.path("a.txt"), place.path("in/a.txt")).unwrap();
    std::fs::write(place.path("in/_SUCCESS"), "").unwrap();
    let _ = run(&["load", "in", "--into", "d.wp", "--shards", "3"]).done();
    let full = program::with_full_disk(place.directory.path(), 0, "load in --into f.wp --shards 2");
    assert_eq!(full.code, Some(2), "{full:?}");
    assert!(!place.path("f.wp").exists());
}
