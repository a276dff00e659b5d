//! Keeps: **a user is the items that she had to do with**: in the graph or not, from the program or over HTTP, she gets the same
//! items; and what recommending, holding out, tuning and measuring say, by definitions written anew here (issue 6).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, UInt32Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};
use tempfile::TempDir;
use walkprint_tests::draws::Draws;
use walkprint_tests::http_server::HttpServer;
use walkprint_tests::program::run;

const USERS: u64 = 40;

/// Who likes what: users of three tastes, each of which likes items of its own third, and now and then others.
fn likes() -> BTreeSet<(u64, u64)> {
    let mut draws = Draws::new(3);
    let mut pairs = BTreeSet::new();
    for user in 0..USERS {
        for _ in 0..9 {
            let third = if draws.below(5) == 0 { u64::from(draws.below(3)) } else { user % 3 };
            pairs.insert((user, 20 * third + u64::from(draws.below(20))));
        }
    }
    pairs
}

fn csv(pairs: impl IntoIterator<Item = (u64, u64)>) -> String {
    let lines: Vec<String> = pairs.into_iter().map(|(user, item)| format!("{user},{item}\n")).collect();
    format!("user_id,item_id\n{}", lines.concat())
}

/// A directory with the store `likes.wp`.
fn place() -> TempDir {
    let place = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(place.path().join("likes.csv"), csv(likes())).expect("room for a small file");
    let _ = run(place.path(), &["load", "likes.csv", "--into", "likes.wp"]).done();
    place
}

fn json_of(place: &Path, arguments: &[&str]) -> Value {
    let text = run(place, &[arguments, &["--json"]].concat()).done();
    serde_json::from_str(&text).expect("JSON")
}

/// Items and scores of a user, best first.
fn items(results: &Value) -> Vec<(String, f64)> {
    let pick =
        |row: &Value| (row["item_id"].as_str().expect("an id").to_owned(), row["score"].as_f64().expect("a score"));
    results.as_array().expect("results").iter().map(pick).collect()
}

/// Walks of three steps by their definition, over sets.
fn three_steps(user: u64) -> Vec<(String, f64)> {
    let pairs = likes();
    let of_user = |user: u64| -> Vec<u64> { pairs.iter().filter(|pair| pair.0 == user).map(|pair| pair.1).collect() };
    let of_item = |item: u64| -> Vec<u64> { pairs.iter().filter(|pair| pair.1 == item).map(|pair| pair.0).collect() };
    let own = of_user(user);
    let mut scores: BTreeMap<u64, f64> = BTreeMap::new();
    for &item in &own {
        let others = of_item(item);
        for &other in &others {
            let theirs = of_user(other);
            for &last in theirs.iter().filter(|last| !own.contains(last)) {
                let share = 1.0 / own.len() as f64 / others.len() as f64 / theirs.len() as f64;
                *scores.entry(last).or_default() += share;
            }
        }
    }
    let mut ranked: Vec<(String, f64)> = scores.into_iter().map(|(item, score)| (item.to_string(), score)).collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    ranked
}

#[test]
fn recommendations_are_those_of_the_definition_and_leave_out_what_she_has() {
    let place = place();
    for user in [0, 17, 39] {
        let found = json_of(place.path(), &["recommend", "likes.wp", "--user", &user.to_string(), "--top", "8"]);
        let (found, expected) = (items(&found["results"]), three_steps(user));
        assert_eq!(found.len(), 8);
        for ((item, score), (_, expected)) in found.iter().zip(&expected) {
            assert!((score - expected).abs() <= 1e-12, "user {user}, item {item}: {score} instead of {expected}");
            let by_definition = three_steps(user).into_iter().find(|(known, _)| known == item).expect("it is reached");
            assert!((score - by_definition.1).abs() <= 1e-12, "{item}");
        }
        let own: BTreeSet<String> =
            likes().into_iter().filter(|pair| pair.0 == user).map(|pair| pair.1.to_string()).collect();
        assert!(found.iter().all(|(item, _)| !own.contains(item)));
        let with_seen = json_of(place.path(), &["recommend", "likes.wp", "--user", &user.to_string(), "--with-seen"]);
        assert!(items(&with_seen["results"]).iter().any(|(item, _)| own.contains(item)));
    }
}

#[test]
fn a_stranger_with_her_items_and_the_server_answer_as_the_program_does() {
    let place = place();
    let server = HttpServer::start(place.path(), &["likes.wp"]);
    let own: Vec<String> = likes().into_iter().filter(|pair| pair.0 == 5).map(|pair| pair.1.to_string()).collect();
    for preset in ["p3", "rp3beta", "sharp", "pixie", "ppr", "popular"] {
        let known = json_of(place.path(), &["recommend", "likes.wp", "--user", "5", "--preset", preset]);
        let typed: Vec<&str> = own.iter().flat_map(|item| ["--items", item.as_str()]).collect();
        let stranger =
            json_of(place.path(), &[&["recommend", "likes.wp", "--preset", preset], typed.as_slice()].concat());
        assert_eq!(items(&known["results"]), items(&stranger["results"]), "{preset}");
        assert!(!items(&known["results"]).is_empty());
        for asked in [json!({"user": 5, "preset": preset}), json!({"items": own, "preset": preset})] {
            let answer = server.post("/v1/stores/likes/recommend", &asked.to_string()).json();
            assert_eq!(items(&answer["results"]), items(&known["results"]), "{preset}: {answer}");
            assert_eq!(answer["fallback"], json!(false));
        }
    }
}

#[test]
fn who_is_not_known_gets_what_most_have_and_is_counted() {
    let place = place();
    let mut users: BTreeMap<u64, u64> = BTreeMap::new();
    likes().iter().for_each(|pair| *users.entry(pair.1).or_default() += 1);
    let found = json_of(place.path(), &["recommend", "likes.wp", "--user", "nobody", "--user", "1", "--top", "3"]);
    assert_eq!((&found["fallbacks"], &found["users"]), (&json!(1), &json!(2)));
    let rows = found["results"].as_array().expect("rows");
    assert_eq!(rows.len(), 6);
    let most = *users.values().max().expect("items");
    assert_eq!((&rows[0]["fallback"], rows[0]["score"].as_f64()), (&json!(true), Some(most as f64)));
    assert_eq!(rows[3]["fallback"], json!(false));
    let shown = run(place.path(), &["recommend", "likes.wp", "--user", "nobody"]).done();
    assert!(shown.contains("(popular)") && shown.contains("1 of them unknown"), "{shown}");
}

#[test]
fn everybody_into_a_file_the_same_from_any_number_of_workers() {
    let place = place();
    for (out, workers) in [("one.parquet", "1"), ("two.parquet", "3")] {
        let arguments = ["recommend", "likes.wp", "--all", "--top", "5", "--out", out, "--workers", workers];
        let said = run(place.path(), &arguments).done();
        assert!(said.contains("200 rows for 40 users"), "{said}");
    }
    let bytes = |name: &str| std::fs::read(place.path().join(name)).expect("a file");
    assert!(bytes("one.parquet") == bytes("two.parquet"));
    let file = std::fs::OpenOptions::new().read(true).open(place.path().join("one.parquet")).expect("a file");
    let mut next = 0;
    for batch in ParquetRecordBatchReaderBuilder::try_new(file).expect("Parquet").build().expect("a reader") {
        let batch = batch.expect("a batch");
        let column = |name: &str| batch.column_by_name(name).expect("a column");
        let users = column("user_id").as_primitive::<Int64Type>();
        let scores = column("score").as_primitive::<Float64Type>();
        let ranks = column("rank").as_primitive::<UInt32Type>();
        for row in 0..batch.num_rows() {
            assert_eq!((users.value(row), ranks.value(row)), (next / 5, u32::try_from(next % 5 + 1).expect("small")));
            assert!(row % 5 == 0 || scores.value(row) <= scores.value(row - 1));
            next += 1;
        }
    }
    assert_eq!(next, 200);
    run(place.path(), &["recommend", "likes.wp", "--all", "--out", "one.parquet"])
        .refused(&["one.parquet", "--replace"]);
    for out in ["a.csv", "a.jsonl"] {
        let _ = run(place.path(), &["recommend", "likes.wp", "--all", "--top", "5", "--out", out]).done();
        let text = std::fs::read_to_string(place.path().join(out)).expect("text");
        assert_eq!(text.lines().count(), if out == "a.csv" { 201 } else { 200 });
    }
}

/// Recall and NDCG at 5, written down from LightGCN's definition: no code of the program.
fn by_definition(place: &Path, store: &str, test: &BTreeMap<String, BTreeSet<String>>) -> (f64, f64) {
    let (mut recall, mut ndcg) = (0.0, 0.0);
    for (user, wanted) in test {
        let found = json_of(place, &["recommend", store, "--user", user, "--top", "5"]);
        let hits: Vec<bool> = items(&found["results"]).iter().map(|(item, _)| wanted.contains(item)).collect();
        let gain = |place: usize| 1.0 / (place as f64 + 2.0).log2();
        let got: f64 = hits.iter().enumerate().filter(|(_, hit)| **hit).map(|(place, _)| gain(place)).sum();
        let best: f64 = (0..wanted.len().min(5)).map(gain).sum();
        recall += hits.iter().filter(|hit| **hit).count() as f64 / wanted.len() as f64;
        ndcg += got / best;
    }
    (recall / test.len() as f64, ndcg / test.len() as f64)
}

#[test]
fn what_is_held_out_is_measured_as_papers_do() {
    let place = place();
    let place = place.path();
    let load = ["load", "likes.csv", "--into", "train.wp", "--hold-out", "random=0.3", "--hold-out-key", "7"];
    let said = run(place, &[&load[..], &["--held-out", "test.csv"]].concat()).done();
    assert!(said.contains("held out (random=0.3) in test.csv"), "{said}");
    let held = std::fs::read_to_string(place.join("test.csv")).expect("what was held out");
    let again = [&load[..3], &["again.wp"], &load[4..], &["--held-out", "again.csv"]].concat();
    let _ = run(place, &again).done();
    assert_eq!(held, std::fs::read_to_string(place.join("again.csv")).expect("the same again"));
    let mut test: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in held.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        test.entry(fields[0].to_owned()).or_default().insert(fields[1].to_owned());
    }
    let found = json_of(place, &["evaluate", "recommend", "train.wp", "--test", "test.csv", "--top", "5"]);
    let (recall, ndcg) = by_definition(place, "train.wp", &test);
    let metric = |name: &str| found["metrics"][name].as_f64().expect("a number");
    assert!((metric("recall@5") - recall).abs() < 1e-12, "{found}");
    assert!((metric("ndcg@5") - ndcg).abs() < 1e-12, "{found}");
    assert!(0.0 < recall && 0.0 < metric("coverage@5") && metric("coverage@5") <= 1.0);
    // Users and items that nobody knows: counted, told, and no crash.
    std::fs::write(place.join("odd.csv"), format!("{held}stranger,1,1\n0,unheard-of,1\n")).expect("a small file");
    let odd = json_of(place, &["evaluate", "recommend", "train.wp", "--test", "odd.csv", "--top", "5"]);
    assert_eq!((&odd["users_unknown"], &odd["interactions_with_unknown_item"]), (&json!(1), &json!(1)));
    let own = test.get("0").map_or(0, BTreeSet::len);
    assert_eq!(odd["users"].as_u64(), Some(test.len() as u64 + 1 + u64::from(own == 0)));
    // The metrics of each user average to those of all.
    let arguments =
        ["evaluate", "recommend", "train.wp", "--test", "test.csv", "--top", "5", "--per-user", "users.csv"];
    let shown = run(place, &arguments).done();
    assert!(shown.contains("recall@5"), "{shown}");
    let users = std::fs::read_to_string(place.join("users.csv")).expect("a file");
    let recalls: Vec<f64> =
        users.lines().skip(1).map(|line| line.split(',').nth(2).expect("a field").parse().expect("a number")).collect();
    assert_eq!(recalls.len(), test.len());
    assert!((recalls.iter().sum::<f64>() / recalls.len() as f64 - recall).abs() < 1e-12);
}

#[test]
fn tuning_writes_a_preset_that_is_read_again() {
    let place = place();
    let place = place.path();
    for (name, top) in [("best.toml", "5"), ("best.json", "5")] {
        let tuned =
            json_of(place, &["recommend", "likes.wp", "--user", "3", "--top", top, "--tune", "--write-preset", name]);
        let trials = tuned["tuned"]["trials"].as_array().expect("trials");
        // The least mean regret, reckoned again from what both halves got.
        let ndcg = |trial: &Value, half: usize| trial["ndcg"][half].as_f64().expect("a number");
        let best = [0, 1].map(|half| trials.iter().map(|trial| ndcg(trial, half)).fold(0.0, f64::max));
        let regret = |trial: &Value| 1.0 - (ndcg(trial, 0) / best[0] + ndcg(trial, 1) / best[1]) / 2.0;
        let chosen = trials.iter().find(|trial| trial["settings"] == tuned["tuned"]["chosen"]).expect("it was tried");
        let least = trials.iter().map(regret).fold(f64::INFINITY, f64::min);
        assert!((regret(chosen) - least).abs() < 1e-12, "{chosen}");
        let again = json_of(place, &["recommend", "likes.wp", "--user", "3", "--top", top, "--preset", name]);
        assert_eq!(again["settings"], tuned["tuned"]["chosen"]);
        assert_eq!(again["results"], tuned["results"]);
    }
}

#[test]
fn fingerprints_and_passes_agree_on_who_is_first() {
    let place = place();
    let place = place.path();
    let _ = run(place, &["index", "likes.wp", "--restart-prob", "0.5", "--walks", "2000"]).done();
    let first = |method: &str| {
        let arguments = ["recommend", "likes.wp", "--user", "8", "--restart-prob", "0.5", "--method", method];
        items(&json_of(place, &arguments)["results"])
    };
    let exact = first("exact");
    for method in ["block", "combine", "lookup"] {
        for ((_, score), (_, expected)) in first(method).iter().zip(&exact) {
            // Two thousand walks: a standard error of a few hundredths of a score of a hundredth.
            assert!((score - expected).abs() < 0.25 * expected, "{method}: {score} instead of {expected}");
        }
    }
}

#[test]
fn lists_are_what_goes_with_each_item_alone() {
    let place = place();
    let place = place.path();
    let said = run(place, &["recommend", "likes.wp", "--neighbors", "4", "--write-lists", "lists.jsonl"]).done();
    assert!(said.contains("entries to lists.jsonl"), "{said}");
    let mut listed: BTreeMap<String, Vec<(String, f64)>> = BTreeMap::new();
    for line in std::fs::read_to_string(place.join("lists.jsonl")).expect("a file").lines() {
        let row: Value = serde_json::from_str(line).expect("JSON");
        let text = |name: &str| row[name].as_str().expect("an id").to_owned();
        listed.entry(text("item_id")).or_default().push((text("neighbor_id"), row["score"].as_f64().expect("a score")));
    }
    assert_eq!(listed.len(), likes().iter().map(|pair| pair.1).collect::<BTreeSet<_>>().len());
    for item in ["0", "25", "41"] {
        let alone = json_of(place, &["recommend", "likes.wp", "--items", item, "--top", "4"]);
        assert_eq!(listed.get(item), Some(&items(&alone["results"])), "{item}");
    }
    run(place, &["recommend", "likes.wp", "--write-lists", "x.csv"]).refused(&["--neighbors"]);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let place = place();
    let place = place.path();
    std::fs::write(place.join("edges.csv"), "source,target\n1,2\n").expect("a small file");
    let _ = run(place, &["load", "edges.csv", "--into", "edges.wp"]).done();
    run(place, &["recommend", "edges.wp", "--user", "1"]).refused(&["no users and items"]);
    let refused =
        |more: &[&str], words: &[&str]| run(place, &[&["recommend", "likes.wp"], more].concat()).refused(words);
    refused(&["--items", "nothing"], &["there is no item \"nothing\""]);
    refused(&["--items", "1=-2"], &["above 0"]);
    refused(&["--user", "1", "--preset", "best"], &["no preset of this name", "rp3beta"]);
    refused(&["--user", "1", "--steps", "4"], &["odd lengths"]);
    refused(&["--user", "1", "--boost", "0"], &["boost"]);
    refused(&["--user", "1", "--restart-prob", "0.5", "--method", "combine"], &["no index"]);
    refused(&[], &["--user"]);
    refused(&["--users", "missing.txt"], &["missing.txt"]);
    let load = |more: &[&str], words: &[&str]| {
        run(place, &[&["load", "likes.csv", "--into", "new.wp"], more].concat()).refused(words);
        assert!(!place.join("new.wp").exists());
    };
    load(&["--half-life", "30d"], &["--half-life", "times"]);
    load(&["--hold-out", "last=1", "--held-out", "x.csv"], &["--hold-out last", "times"]);
    load(&["--undirected"], &["--undirected"]);
    load(&["--shards", "2"], &["one process"]);
    run(place, &["load", "edges.csv", "--into", "new.wp", "--implicit"]).refused(&["--implicit", "users and items"]);
    let evaluate = |test: &str, words: &[&str]| {
        std::fs::write(place.join("bad.csv"), test).expect("a small file");
        run(place, &["evaluate", "recommend", "likes.wp", "--test", "bad.csv"]).refused(words);
    };
    evaluate("", &["bad.csv:1"]);
    evaluate("user_id,item_id\n", &["bad.csv", "without any"]);
    evaluate("user_id,item_id\n1\n", &["bad.csv:2"]);
    let server = HttpServer::start(place, &["likes.wp", "edges.wp"]);
    for (asked, status) in [
        (json!({}), 422),
        (json!({"user": "1", "items": ["2"]}), 422),
        (json!({"user": "1", "top": 0}), 422),
        (json!({"user": "1", "preset": "/etc/passwd"}), 422),
        (json!({"user": "1", "settings": {"steps": "4"}}), 422),
        (json!({"user": "1", "settings": {"neighbors": 5}}), 422),
        (json!({"user": "1", "settings": {"alpha": 5}}), 422),
        (json!({"items": ["nothing"]}), 404),
        (json!({"items": [{"id": "1", "weight": -1}]}), 422),
    ] {
        let answer = server.post("/v1/stores/likes/recommend", &asked.to_string());
        assert_eq!(answer.status, status, "{asked}: {}", answer.json());
    }
    assert_eq!(server.post("/v1/stores/edges/recommend", "{\"user\": 1}").status, 422);
}

/// What a user clicks counts in her next answer, before anything is absorbed, and comes to the same afterwards.
#[test]
fn every_click_counts_in_the_next_answer() {
    let place = place();
    let place = place.path();
    let _ = run(place, &["index", "likes.wp", "--walks", "200", "--restart-prob", "0.7"]).done();
    let ways: [&[&str]; 4] = [
        &["--model", "walk"],
        &["--model", "walk", "--neighbors", "20"],
        &["--model", "ppr", "--method", "exact"],
        &["--model", "ppr", "--method", "combine", "--precision", "0.001"],
    ];
    let of_eve = |way: &[&str]| {
        let answer = json_of(place, &[&["recommend", "likes.wp", "--user", "eve", "--top", "5"], way].concat());
        assert_eq!(answer["fallbacks"], 0, "{answer}");
        answer["results"].clone()
    };
    let before = json_of(place, &["recommend", "likes.wp", "--user", "eve"]);
    assert_eq!((&before["fallbacks"], &before["events"]), (&1.into(), &0.into()), "nothing is known of her yet");

    let mut seen: Vec<String> = Vec::new();
    let mut answers = Vec::new();
    for item in ["3", "27", "new"] {
        std::fs::write(place.join("clicks.csv"), format!("user_id,item_id\neve,{item}\n")).unwrap();
        let _ = run(place, &["update", "likes.wp", "--edges", "clicks.csv"]).done();
        seen.push(item.to_owned());
        let all: Vec<Value> = ways.iter().map(|way| of_eve(way)).collect();
        for results in &all {
            let ids: Vec<String> = items(results).into_iter().map(|(id, _)| id).collect();
            assert!(ids.iter().all(|id| !seen.contains(id)), "{ids:?} {seen:?}");
        }
        // She is, at every moment, one who comes with the same items.
        let strangers: Vec<String> = seen.iter().map(|item| format!("--items={item}")).collect();
        let strangers: Vec<&str> = strangers.iter().map(String::as_str).collect();
        let as_stranger = json_of(place, &[&["recommend", "likes.wp", "--top", "5"], &strangers[..]].concat());
        assert_eq!(items(&all[0]), items(&as_stranger["results"]));
        answers.push(all);
    }
    assert_ne!(items(&answers[0][0]), items(&answers[1][0]), "a click on an item of another taste changes the answer");
    let typed = json_of(place, &["query", "likes.wp", "--seed", "user:eve", "--top", "40"]);
    let kind = |id: &str| {
        let results = typed["results"].as_array().unwrap();
        results.iter().find(|result| result["id"] == id).map(|result| result["type"].clone())
    };
    assert_eq!((kind("user:eve"), kind("item:new")), (Some("user".into()), Some("item".into())), "{typed}");
    let only = json_of(place, &["query", "likes.wp", "--seed", "user:eve", "--top", "100", "--only", "type:item"]);
    let ids: Vec<&str> = only["results"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert!(ids.contains(&"item:new") && ids.iter().all(|id| id.starts_with("item:")), "{ids:?}");
    let inspected = json_of(place, &["inspect", "likes.wp"]);
    assert!(3 <= inspected["events"]["waiting"].as_u64().unwrap(), "{inspected}");
    assert!(run(place, &["inspect", "likes.wp"]).done().contains(" wait ("));

    let _ = run(place, &["compact", "likes.wp"]).done();
    for (way, waiting) in ways.iter().zip(&answers[2]) {
        let (absorbed, waiting) = (items(&of_eve(way)), items(waiting));
        for ((one, left), (other, right)) in absorbed.iter().zip(&waiting) {
            assert!((left - right).abs() <= 2e-3 * left.max(1e-3), "{way:?}: {one} {left}, {other} {right}");
        }
        if !way.contains(&"combine") {
            assert_eq!(absorbed, waiting, "{way:?}");
        }
    }
}

#[test]
fn events_that_go_with_their_graph_are_told() {
    let place = place();
    let place = place.path();
    std::fs::write(place.join("clicks.csv"), "user_id,item_id\neve,3\n").unwrap();
    let _ = run(place, &["update", "likes.wp", "--edges", "clicks.csv"]).done();
    // The same graph again: events happen to it as before.
    let again = run(place, &["load", "likes.csv", "--into", "likes.wp", "--replace"]);
    assert!(again.code == Some(0) && again.stderr.is_empty(), "{again:?}");
    std::fs::write(place.join("other.csv"), "user_id,item_id\n1,2\n3,4\n").unwrap();
    let other = run(place, &["load", "other.csv", "--into", "likes.wp", "--replace"]);
    assert!(other.code == Some(0) && other.stderr.contains("were dropped with it"), "{other:?}");
    let third = run(place, &["load", "likes.csv", "--into", "likes.wp", "--replace"]);
    assert!(third.stderr.is_empty(), "{third:?}");
}
