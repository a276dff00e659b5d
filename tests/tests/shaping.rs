//! Keeps: **types go from the files into the store and into filters; filters act before the cut; a filter that makes no sense
//! gets a clear message** — the program from outside.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;
use walkprint_tests::program::run;
use walkprint_tests::stores::files;

fn write(directory: &Path, name: &str, content: impl AsRef<[u8]>) {
    std::fs::write(directory.join(name), content).expect("room for a small file");
}

const TYPES: &str = "id,type\nann,person\nbob,person\ntea,drink\nrum,drink\nbun,food\ntype:odd,person\n";

/// People and what they like: everybody likes tea. The store `s.wp` has types and an index; `plain.wp` has neither.
fn place() -> TempDir {
    let place = tempfile::tempdir().expect("a temporary directory");
    let edges = "source,target,type\nann,tea,likes\nann,bun,likes\nbob,tea,likes\nbob,rum,likes\ncat,tea,buys\n\
                 cat,rum,likes\nann,bob,knows\ntea,ann,likes\ntea,bob,likes\nrum,bob,likes\nbun,ann,likes\n\
                 ann,tea,buys\ntype:odd,tea,\n";
    write(place.path(), "edges.csv", edges);
    write(place.path(), "types.csv", TYPES);
    write(place.path(), "plain.tsv", "a\tb\nb\tc\n");
    let load = ["load", "edges.csv", "--into", "s.wp", "--node-types", "types.csv"];
    let _ = run(place.path(), &load).done();
    let _ = run(place.path(), &["index", "s.wp", "--walks", "64"]).done();
    let _ = run(place.path(), &["load", "plain.tsv", "--into", "plain.wp"]).done();
    place
}

fn json(place: &Path, arguments: &[&str]) -> Value {
    serde_json::from_str(&run(place, &[arguments, &["--json"]].concat()).done()).expect("JSON")
}

/// The ids of an answer, best first.
fn ids(answer: &Value) -> Vec<String> {
    let results = answer["results"].as_array().expect("results");
    results.iter().map(|result| result["id"].as_str().expect("an id").to_owned()).collect()
}

fn ask(place: &Path, more: &[&str]) -> Vec<String> {
    ids(&json(place, &[&["query", "s.wp", "--seed", "ann"], more].concat()))
}

#[test]
fn types_are_kept_shown_and_verified() {
    let place = place();
    let place = place.path();
    let loaded = run(place, &["load", "edges.csv", "--into", "again.wp", "--node-types", "types.csv"]).done();
    assert!(loaded.contains("types     3 types on 12 edges; 3 types on 6 of 7 nodes"), "{loaded}");
    let loaded = json(place, &["load", "edges.csv", "--into", "third.wp"]);
    assert_eq!((&loaded["read"]["edge_types"], &loaded["read"]["node_types"]), (&3.into(), &0.into()));

    let inspected = json(place, &["inspect", "s.wp"]);
    let counts = |of: &str| -> Vec<(String, u64)> {
        let counts = inspected["graph"]["types"][of].as_array().expect("counts").iter();
        counts.map(|kind| (kind["name"].as_str().unwrap().to_owned(), kind["count"].as_u64().unwrap())).collect()
    };
    let expected = |counts: &[(&str, u64)]| -> Vec<(String, u64)> {
        counts.iter().map(|&(name, count)| (name.to_owned(), count)).collect()
    };
    assert_eq!(counts("nodes"), expected(&[("drink", 2), ("food", 1), ("person", 3)]));
    // The parallel edges from ann to tea are one edge of two types.
    assert_eq!(counts("edges"), expected(&[("buys", 2), ("knows", 1), ("likes", 9)]));
    let shown = run(place, &["inspect", "s.wp"]).done();
    assert!(shown.contains("3 node types: person (3), drink (2), food (1)"), "{shown}");
    assert!(shown.contains("3 edge types: likes (9), buys (2), knows (1)"), "{shown}");
    assert!(json(place, &["inspect", "plain.wp"])["graph"]["types"].is_null());

    // Types are no part of the graph: with others the index stays, and what was there goes.
    write(place, "others.csv", "tea,plant\n");
    let load = ["load", "edges.csv", "--into", "s.wp", "--replace", "--node-types", "others.csv"];
    let _ = run(place, &load).done();
    let replaced = json(place, &["inspect", "s.wp"]);
    assert_eq!(replaced["graph"]["digest"], inspected["graph"]["digest"]);
    assert_eq!(replaced["indexes"], inspected["indexes"]);
    assert_eq!(ask(place, &["--only", "type:plant"]), ["tea"]);
    assert_eq!(files(&place.join("s.wp")).keys().filter(|name| name.ends_with(".wpt")).count(), 1);

    let whole = files(&place.join("s.wp"));
    let (name, bytes) = whole.iter().find(|(name, _)| name.ends_with(".wpt")).expect("a file of types");
    let mut flipped = bytes.clone();
    *flipped.last_mut().unwrap() ^= 1;
    for damaged in [&flipped, &bytes[..bytes.len() / 2].to_vec(), &Vec::new()] {
        write(&place.join("s.wp"), name, damaged);
        let verified = run(place, &["verify", "s.wp"]);
        assert!(verified.code == Some(1) && verified.stdout.contains("damaged"), "{verified:?}");
    }
    run(place, &["query", "s.wp", "--seed", "ann", "--only", "type:plant"]).refused(&[name.as_str()]);
    // Questions without types do not read the file.
    let _ = run(place, &["query", "s.wp", "--seed", "ann"]).done();
    write(&place.join("s.wp"), name, bytes);
    assert!(run(place, &["verify", "s.wp"]).done().contains(name.as_str()));
}

#[test]
fn node_types_that_make_no_sense() {
    let place = place();
    let place = place.path();
    let before = files(&place.join("s.wp"));
    for (content, words) in [
        ("ann,person\nelk,person\n", &["bad.csv:2", "\"elk\""][..]),
        ("ann,person\nann,drink\n", &["bad.csv:2", "one type for \"ann\"", "\"drink\""]),
        ("", &["bad.csv", "a file without any"]),
    ] {
        write(place, "bad.csv", content);
        run(place, &["load", "edges.csv", "--into", "new.wp", "--node-types", "bad.csv"]).refused(words);
        run(place, &["load", "edges.csv", "--into", "s.wp", "--replace", "--node-types", "bad.csv"]).refused(words);
        assert!(!place.join("new.wp").exists());
    }
    run(place, &["load", "edges.csv", "--into", "new.wp", "--node-types", "none.csv"]).refused(&["none.csv"]);
    assert!(files(&place.join("s.wp")) == before);
}

#[test]
fn filters_act_before_the_cut() {
    let place = place();
    let place = place.path();
    let methods = [&["--method", "exact"][..], &["--method", "combine"], &["--method", "lookup"]];
    for method in methods {
        let ask = |more: &[&str]| ask(place, &[method, more].concat());
        let all = ask(&[]);
        assert_eq!(all[0], "ann");
        assert_eq!(
            all.iter().collect::<BTreeSet<_>>(),
            ["ann", "bob", "bun", "rum", "tea"].map(str::to_owned).iter().collect()
        );
        let kept = |keep: &dyn Fn(&str) -> bool| all.iter().filter(|id| keep(id)).cloned().collect::<Vec<_>>();
        let drinks = kept(&|id| ["tea", "rum"].contains(&id));
        assert_eq!(ask(&["--only", "type:drink"]), drinks);
        assert_eq!(ask(&["--only", "drink"]), drinks);
        assert_eq!(ask(&["--only", "drink", "--top", "1"]), drinks[..1]);
        assert_eq!(
            ask(&["--only", "drink", "--only", "id:bun", "--exclude", "tea"]),
            kept(&|id| ["rum", "bun"].contains(&id))
        );
        assert_eq!(ask(&["--exclude", "type:drink", "--exclude", "bun"]), ["ann", "bob"]);
        assert_eq!(ask(&["--exclude-seeds"]), all[1..]);
        // From ann edges lead to bob, bun and tea.
        assert_eq!(ask(&["--exclude-neighbors"]), ["ann", "rum"]);
        assert_eq!(ask(&["--exclude-neighbors", "--exclude-seeds"]), ["rum"]);
        write(place, "list.txt", "tea\n\nbob\r\n");
        assert_eq!(ask(&["--only", "list.txt"]), kept(&|id| ["tea", "bob"].contains(&id)));
        assert_eq!(ask(&["--only", "file:list.txt", "--exclude", "file:list.txt", "--only", "rum"]), ["rum"]);
    }
    // Truncated exactly when there are fewer than asked for.
    let truncated =
        |more: &[&str]| json(place, &[&["query", "s.wp", "--seed", "ann"], more].concat())["truncated"].clone();
    assert_eq!(truncated(&["--only", "drink", "--top", "2"]), false);
    assert_eq!(truncated(&["--only", "drink", "--top", "3"]), true);
    assert_eq!(truncated(&["--top", "5"]), false);
    assert_eq!(truncated(&["--top", "1000000"]), true);
}

/// What a word without a prefix means: an id first, then a file, then a type.
#[test]
fn a_bare_word_is_an_id_a_file_or_a_type() {
    let place = place();
    let place = place.path();
    write(place, "bob", "rum\n");
    write(place, "drink", "bun\n");
    assert_eq!(ask(place, &["--only", "bob"]), ["bob"], "an id goes before a file");
    assert_eq!(ask(place, &["--only", "file:bob"]), ["rum"]);
    assert_eq!(ask(place, &["--only", "drink"]), ["bun"], "a file goes before a type");
    assert_eq!(ask(place, &["--only", "type:drink"]).len(), 2);
    assert_eq!(ids(&json(place, &["query", "s.wp", "--seed", "type:odd", "--only", "id:type:odd"])), ["type:odd"]);

    let refused = |more: &[&str], words: &[&str]| {
        run(place, &[&["query", "s.wp", "--seed", "ann"], more].concat()).refused(words);
    };
    refused(&["--only", "elk"], &["\"elk\"", "no node", "no file", "\"drink\", \"food\", \"person\""]);
    refused(&["--only", "type:elk"], &["no node has type \"elk\"", "\"drink\", \"food\", \"person\""]);
    refused(&["--only", "id:elk"], &["\"id:elk\"", "no node \"elk\""]);
    refused(&["--exclude", "file:none.txt"], &["none.txt", "No such file"]);
    write(place, "list.txt", "tea\nelk\n");
    refused(&["--only", "list.txt"], &["list.txt:2", "\"elk\""]);
    refused(&["--only", "."], &["could not read"]);
    let plain = run(place, &["query", "plain.wp", "--seed", "a", "--only", "type:drink"]);
    plain.refused(&["\"drink\"", "no types", "--node-types"]);
}

#[test]
fn a_filter_that_leaves_nothing_says_so() {
    let place = place();
    let place = place.path();
    let refused = |more: &[&str], words: &[&str]| {
        run(place, &[&["query", "s.wp", "--seed", "ann"], more].concat()).refused(words);
    };
    refused(&["--only", "cat"], &["no result is left", "5 nodes have a score", "only leaves none"]);
    refused(&["--only", "drink", "--exclude", "drink"], &["only leaves 2, exclude leaves none"]);
    refused(&["--only", "ann", "--exclude-seeds"], &["only leaves 1, exclude-seeds leaves none"]);
    refused(&["--only", "food", "--exclude-neighbors"], &["only leaves 1, exclude-neighbors leaves none"]);
    refused(&["--top", "0"], &["top must be at least 1"]);
    refused(&["--min-support", "2"], &["min_support", "at most the number of seeds", "2 of 1"]);
    refused(&["--debias=-1"], &["debias", "from 0 to 10", "-1"]);
    refused(&["--debias", "nan"], &["debias", "from 0 to 10"]);
    refused(&["--debias", "1", "--debias-by", "fame"], &["fame", "pagerank", "degree"]);
    refused(&["--debias-by", "degree"], &["--debias"]);
}

#[test]
fn popularity_and_support() {
    let place = place();
    let place = place.path();
    // Four lead to tea, two to rum: everybody's taste counts less.
    let drinks = |more: &[&str]| {
        let question = ["query", "s.wp", "--seed", "cat", "--only", "type:drink", "--method", "exact"];
        json(place, &[&question[..], more].concat())
    };
    let (plain, by_degree) = (drinks(&[]), drinks(&["--debias", "1", "--debias-by", "degree"]));
    let score = |answer: &Value, id: &str| {
        let results = answer["results"].as_array().unwrap().iter();
        results.filter(|result| result["id"] == id).map(|result| result["score"].as_f64().unwrap()).sum::<f64>()
    };
    assert_eq!(ids(&by_degree), ["rum", "tea"]);
    for (id, degree) in [("tea", 4.0), ("rum", 2.0)] {
        assert!((score(&plain, id) / degree - score(&by_degree, id)).abs() < 1e-12, "{id}");
    }
    let by_rank = drinks(&["--debias", "0.5"]);
    assert_eq!(ids(&by_rank).len(), 2);
    assert!(score(&by_rank, "rum") > score(&plain, "rum"));
    assert_eq!(drinks(&["--debias", "0"])["results"], plain["results"]);

    // cat and ann both lead to tea. To bun only ann leads; bob and rum are near both.
    let two = ["query", "s.wp", "--seed", "ann", "--seed", "cat", "--min-support", "1", "--method", "exact"];
    let answer = json(place, &two);
    let support = |id: &str| {
        let result = answer["results"].as_array().unwrap().iter().find(|result| result["id"] == id).unwrap();
        result["support"].as_u64().unwrap()
    };
    assert_eq!((support("tea"), support("bun"), support("cat")), (2, 2, 1), "{answer}");
    let both = json(place, &[&two[..6], &["--min-support", "2", "--method", "exact"]].concat());
    assert!(!ids(&both).contains(&"cat".to_owned()) && ids(&both).contains(&"tea".to_owned()));
    assert!(json(place, &two[..6])["results"][0].get("support").is_none());
}

#[test]
fn ranks_that_are_stable_are_marked() {
    let place = place();
    let place = place.path();
    let exact = json(place, &["query", "s.wp", "--seed", "ann", "--method", "exact"]);
    let results = exact["results"].as_array().unwrap();
    assert!(results.iter().all(|result| result["rank_stable"] == true), "{exact}");
    assert_eq!(results[0]["type"], "person");
    let cat = json(place, &["query", "s.wp", "--seed", "cat", "--only", "cat"]);
    assert!(cat["results"][0].get("type").is_none(), "cat has no type");
    // Too few walks to tell.
    let _ = run(place, &["index", "s.wp", "--name", "rough", "--walks", "1", "--walks-per-edge", "0"]).done();
    let rough = ["query", "s.wp", "--seed", "ann", "--method", "lookup", "--index", "rough"];
    let answer = json(place, &rough);
    let unstable = answer["results"].as_array().unwrap().iter().filter(|result| result["rank_stable"] == false).count();
    assert!(0 < unstable, "{answer}");
    let shown = run(place, &rough).done();
    assert!(shown.lines().next().unwrap().ends_with("± std error  stable  id"), "{shown}");
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(shown.lines().filter(|line| words(line).get(3).is_some_and(|word| word == "no")).count(), unstable);
    assert!(shown.contains(&format!("stable    {unstable} of ")), "{shown}");
}
