//! Keeps: **every result of `walkprint query --explain` is explained, with the user's own ids and types, in every form it is
//! printed in**.

use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;
use walkprint_tests::program::run;

/// A directory with a store `s.wp` of a typed graph, no index: `ann` pays 3 of 4 to `bob`, and so on.
fn place() -> TempDir {
    let place = tempfile::tempdir().expect("a temporary directory");
    let edges = "source\ttarget\tweight\ttype\n\
        ann\tbob\t3\tknows\nann\tc<a>t \"&\t1\tfeeds\nbob\tc<a>t \"&\t1\tfeeds\nbob\tdog\t1\tfeeds\n\
        c<a>t \"&\tann\t1\tlives with\ndogma\tdog\t1\tabout\neve\tend\t1\tat the\n";
    std::fs::write(place.path().join("edges.tsv"), edges).expect("room for a small file");
    let _ = run(place.path(), &["load", "edges.tsv", "--into", "s.wp"]).done();
    place
}

fn ask(place: &Path, more: &[&str]) -> String {
    run(place, &[&["query", "s.wp"], more].concat()).done()
}

fn json(place: &Path, more: &[&str]) -> Value {
    serde_json::from_str(&ask(place, more)).expect("JSON")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("an array")
}

fn float(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

#[test]
fn contributions_add_up_and_paths_multiply_up_under_every_policy() {
    let place = place();
    for dangling in ["restart", "drop", "self-loop", "uniform"] {
        let seeds = ["--seed", "ann=3", "--seed", "eve", "--restart-prob", "0.2", "--dangling", dangling];
        let answer = json(place.path(), &[&seeds[..], &["--explain", "json"]].concat());
        let (results, explained) = (list(&answer["results"]), list(&answer["explanation"]["results"]));
        assert!(5 <= results.len() && results.len() == explained.len());
        for (result, one) in results.iter().zip(explained) {
            assert_eq!((&result["id"], &result["score"]), (&one["id"], &one["score"]));
            let sum: f64 = list(&one["contributions"]).iter().map(|part| float(&part["score"])).sum();
            assert!((sum - float(&one["score"])).abs() <= 1e-11, "{dangling}: {one}");
            let reached = one["id"] != "dogma";
            assert_eq!(one["status"], if reached { "best" } else { "unreachable" });
            assert_eq!(list(&one["paths"]).is_empty(), !reached);
            for path in list(&one["paths"]) {
                let (nodes, edges) = (list(&path["nodes"]), list(&path["edges"]));
                assert_eq!((nodes.len(), nodes.last()), (edges.len() + 1, Some(&one["id"])));
                let seed = if nodes[0] == "ann" { 0.75 } else { 0.25 };
                let product: f64 = edges.iter().map(|edge| 0.8 * float(&edge["probability"])).product();
                assert!((float(&path["probability"]) - seed * product).abs() <= 1e-12, "{path}");
                assert!((0.0..=1.0).contains(&float(&path["share"])), "{path}");
            }
        }
        let cat = explained.iter().find(|one| one["id"] == "c<a>t \"&").expect("the cat is reached");
        // By bob: 3/4 * 1/2; straight: 1/4.
        let [by_bob, straight] = list(&cat["paths"]) else { panic!("{cat}") };
        let kinds = |path: &Value| list(&path["edges"]).iter().map(|edge| edge["kinds"].clone()).collect::<Vec<_>>();
        assert_eq!(kinds(by_bob), [serde_json::json!(["knows"]), serde_json::json!(["feeds"])]);
        assert_eq!(kinds(straight), [serde_json::json!(["feeds"])]);
        assert_eq!(list(&by_bob["edges"])[0]["weight"], 3.0);
        assert_eq!(answer["explanation"]["searched"]["floor"], 0.0);
        // `--json --explain` is the same in other words.
        let other = json(place.path(), &[&seeds[..], &["--json", "--explain"]].concat());
        assert_eq!(other["explanation"], answer["explanation"]);
    }
    let plain = json(place.path(), &["--seed", "ann", "--json"]);
    assert!(plain.get("explanation").is_none());
}

#[test]
fn an_index_explains_too() {
    let place = place();
    let _ = run(place.path(), &["index", "s.wp", "--walks", "64"]).done();
    for method in ["lookup", "combine"] {
        let question = ["--seed", "ann", "--seed", "dogma", "--method", method, "--explain", "json"];
        let answer = json(place.path(), &question);
        for one in list(&answer["explanation"]["results"]) {
            let parts = list(&one["contributions"]);
            let sum: f64 = parts.iter().map(|part| float(&part["score"])).sum();
            // `lookup` is linear; `combine` estimates anew for each seed, to about the same error.
            let chance: f64 = parts.iter().map(|part| float(&part["std_error"]).powi(2)).sum::<f64>().sqrt();
            let estimated = 4.0 * (chance + float(&answer["status"]["l1_error"]));
            let error = if method == "lookup" { 1e-12 } else { estimated };
            assert!((sum - float(&one["score"])).abs() <= error, "{method}: {one}");
            assert!(!list(&one["paths"]).is_empty());
        }
    }
}

#[test]
fn text_names_shares_paths_weights_and_types() {
    let place = place();
    let told = ask(place.path(), &["--seed", "ann", "--seed", "dogma", "--explain", "--paths", "1"]);
    assert!(told.contains("\n1  ann\n   100 % from ann\n"), "{told}");
    assert!(told.contains("ann -[knows 3]-> bob -[feeds]-> c<a>t \"&\n"), "{told}");
    assert!(told.contains("dogma -[about]-> dog\n"), "{told}");
    let (table, _) = told.split_once("\n\n").expect("the table comes first");
    let plain = ask(place.path(), &["--seed", "ann", "--seed", "dogma"]);
    assert_eq!(table.lines().next(), plain.lines().next());
    let all = ask(place.path(), &["--seed", "ann", "--explain"]);
    assert!(all.lines().filter(|line| line.ends_with("c<a>t \"&")).count() >= 3, "{all}");
    let uniform = ask(place.path(), &["--seed", "ann", "--dangling", "uniform", "--explain"]);
    assert!(uniform.contains("of it begun again anywhere") && uniform.contains("no path from the seeds leads here"));
}

#[test]
fn pictures_are_all_that_is_printed() {
    let place = place();
    let drawn = ask(place.path(), &["--seed", "ann", "--explain", "svg"]);
    assert!(drawn.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\"") && drawn.ends_with("</svg>\n"), "{drawn}");
    assert!(drawn.contains("c&lt;a&gt;t &quot;&amp;") && drawn.contains(">knows</text>"), "{drawn}");
    let graph = ask(place.path(), &["--seed", "ann", "--explain", "dot"]);
    assert!(graph.starts_with("digraph explanation {\n") && graph.ends_with("}\n"), "{graph}");
    assert!(graph.contains("label=\"c<a>t \\\"&amp;\\n") && graph.contains("label=\"knows\""), "{graph}");
}

#[test]
fn what_cannot_be_explained_is_refused() {
    let place = place();
    let ask = |more: &[&str]| run(place.path(), &[&["query", "s.wp", "--seed", "ann"], more].concat());
    ask(&["--explain", "pdf"]).refused(&["pdf", "--explain", "svg"]);
    ask(&["--paths", "2"]).refused(&["--explain"]);
    ask(&["--explain", "--paths", "0"]).refused(&["--paths", "1 to 100"]);
}
