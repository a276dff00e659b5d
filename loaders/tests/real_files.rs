//! Files as users meet them. They are not part of the repository: where one is absent its test says so.

mod support;

use std::ops::ControlFlow;
use std::path::Path;

use support::{columns, data};
use walkprint_engine::edges::EdgeList;
use walkprint_loaders::{Error, LoadOptions, Loaded, load};

fn load_path(path: &Path, options: &LoadOptions) -> Result<Loaded, Error> {
    load(&[path.to_owned()], options, &|_| ControlFlow::Continue(()))
}

/// Every id is the end of some edge, and every end has an id.
fn all_ids_occur(edges: &EdgeList) -> bool {
    let mut seen = vec![false; edges.ids.len()];
    for &rank in edges.sources.iter().chain(&edges.targets) {
        seen[rank as usize] = true;
    }
    seen.into_iter().all(|seen| seen)
}

#[test]
fn snap_files_have_the_nodes_and_edges_their_headers_say() {
    for (file, nodes, edges) in
        [("soc-Epinions1/soc-Epinions1.txt.gz", 75_879, 508_837), ("wiki-Vote/wiki-Vote.txt", 7_115, 103_689)]
    {
        let Some(path) = data(file) else { continue };
        let loaded = load_path(&path, &LoadOptions::default()).expect("a good file");
        assert_eq!((loaded.report.nodes, loaded.report.edges_read), (nodes, edges), "{file}");
        assert_eq!(loaded.report.comment_lines, 4, "{file}");
        assert!(loaded.report.integer_ids && all_ids_occur(&loaded.edges), "{file}");
        let undirected = LoadOptions { undirected: true, threads: 3, ..LoadOptions::default() };
        let both = load_path(&path, &undirected).expect("a good file");
        assert_eq!(both.edges.len() as u64, 2 * edges - both.report.self_loops, "{file}");
        assert_eq!(both.edges.ids, loaded.edges.ids, "{file}");
    }
}

#[test]
fn negative_ratings_are_refused_and_a_missing_header_is_explained() {
    let Some(path) = data("bitcoin-otc/soc-sign-bitcoinotc.csv.gz") else { return };
    let message = |options: &LoadOptions| {
        let error = load_path(&path, options).map(|loaded| loaded.report).expect_err("a bad file");
        error.to_string().replace(&format!("{}", path.display()), "FILE")
    };
    assert_eq!(
        message(&LoadOptions::default()),
        "FILE:1: expected a header with columns for source and target (src,dst · source,target · source,destination · \
         from,to, or --source-col NAME --target-col NAME; for a file without a header: --source-col 1 \
         --target-col 2), got the columns \"6\", \"2\", \"4\", \"1289241911.72836\""
    );
    assert_eq!(
        message(&columns("1", "2", Some("3"))),
        "FILE:597: expected a weight (PageRank needs weights ≥ 0; drop or map negative ones first), got \"-1\""
    );
    let loaded = load_path(&path, &columns("1", "2", None)).expect("without the ratings it is a good file");
    assert_eq!((loaded.report.nodes, loaded.report.edges_read), (5_881, 35_592));
    assert_eq!(loaded.report.ignored_columns, ["column 3", "column 4"]);
}

#[test]
fn timestamps_in_the_third_column_show_in_the_report() {
    let Some(path) = data("CollegeMsg/CollegeMsg.txt.gz") else { return };
    let report = load_path(&path, &LoadOptions::default()).expect("a good file").report;
    assert_eq!((report.nodes, report.edges_read), (1_899, 59_835));
    assert_eq!(report.weight_column.as_deref(), Some("column 3"));
    assert!(report.weight_min.is_some_and(|min| 1e9 < min), "{:?}", report.weight_min);
}
