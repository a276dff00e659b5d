//! Keeps: **what was taken counts at once, and is in the graph once it was absorbed**, by the program as a user runs it: answers equal
//! those of a store that was loaded from the changed edges, events count once, and what cannot be is refused where it stands.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;
use walkprint_tests::draws::Draws;
use walkprint_tests::program::run;

type Edges = BTreeMap<(u32, u32), f64>;

fn csv(edges: &Edges) -> String {
    let lines = edges.iter().map(|((source, target), weight)| format!("n{source},n{target},{weight}\n"));
    format!("source,target,weight\n{}", lines.collect::<String>())
}

fn json(place: &Path, arguments: &[&str]) -> Value {
    serde_json::from_str(&run(place, arguments).done()).expect("JSON")
}

/// Scores by id; nodes without a score are not in an answer.
fn scores(place: &Path, store: &str, seed: &str, method: &str) -> BTreeMap<String, f64> {
    let answer = json(
        place,
        &["query", store, "--seed", seed, "--method", method, "--top", "1000", "--restart-prob", "0.15", "--json"],
    );
    let results = answer["results"].as_array().expect("results");
    let pair =
        |result: &Value| (result["id"].as_str().expect("an id").to_owned(), result["score"].as_f64().expect("a score"));
    results.iter().map(pair).collect()
}

fn distance(one: &BTreeMap<String, f64>, other: &BTreeMap<String, f64>) -> f64 {
    let of = |scores: &BTreeMap<String, f64>, id: &String| scores.get(id).copied().unwrap_or_default();
    let ids: std::collections::BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    ids.into_iter().map(|id| (of(one, id) - of(other, id)).abs()).sum()
}

/// A random graph, and events that change it, with what it is afterwards.
fn case(key: u64) -> (Edges, String, Edges) {
    let mut draws = Draws::new(key);
    let mut edges = Edges::new();
    for _ in 0..240 {
        edges.insert((draws.below(60), draws.below(60)), 1.0 + f64::from(draws.below(8)) / 4.0);
    }
    let (mut now, mut events) = (edges.clone(), String::new());
    for number in 0..40 {
        let pair = (draws.below(66), draws.below(66));
        let weight = 1.0 + f64::from(draws.below(8)) / 4.0;
        let (op, given) = match draws.below(4) {
            0 => ("set", Some(weight)),
            1 if now.contains_key(&pair) => ("remove", None),
            _ => ("add", Some(weight)),
        };
        match (op, given) {
            ("set", Some(weight)) => drop(now.insert(pair, weight)),
            ("remove", _) => drop(now.remove(&pair)),
            _ => *now.entry(pair).or_default() += weight,
        }
        let weight = given.map_or(String::new(), |weight| format!(r#","weight":{weight}"#));
        events +=
            &format!(r#"{{"op":"{op}","source":"n{}","target":"n{}"{weight},"event_id":"{number}"}}"#, pair.0, pair.1);
        events.push('\n');
    }
    (edges, events, now)
}

fn prepare(place: &Path, key: u64) -> Edges {
    let (edges, events, now) = case(key);
    std::fs::write(place.join("before.csv"), csv(&edges)).expect("a file");
    std::fs::write(place.join("after.csv"), csv(&now)).expect("a file");
    std::fs::write(place.join("events.jsonl"), events).expect("a file");
    let _ = run(place, &["load", "before.csv", "--into", "live.wp"]).done();
    let _ = run(place, &["load", "after.csv", "--into", "truth.wp"]).done();
    let _ = run(place, &["index", "live.wp", "--walks", "400"]).done();
    let _ = run(place, &["index", "truth.wp", "--walks", "400"]).done();
    now
}

#[test]
fn answers_count_what_was_taken_at_once_and_still_after_it_was_absorbed() {
    for key in [1, 2] {
        let place = TempDir::new().unwrap();
        let place = place.path();
        let now = prepare(place, key);
        let taken = json(place, &["update", "live.wp", "--edges", "events.jsonl", "--batch", "7", "--json"]);
        assert_eq!((&taken["taken"], &taken["waiting"]["events"]), (&40.into(), &40.into()), "{taken}");
        let seeds: Vec<String> = now.keys().step_by(now.len() / 4).map(|pair| format!("n{}", pair.0)).collect();
        let truth: Vec<_> = seeds.iter().map(|seed| scores(place, "truth.wp", seed, "exact")).collect();
        let errors = |store: &str, method: &str| -> f64 {
            let all =
                seeds.iter().zip(&truth).map(|(seed, truth)| distance(&scores(place, store, seed, method), truth));
            all.sum::<f64>() / seeds.len() as f64
        };
        let fresh = errors("truth.wp", "combine");
        assert!(errors("live.wp", "exact") < 1e-9);
        let stale = errors("live.wp", "combine");
        assert!(stale <= 1.2 * fresh + 1e-9 || stale < 0.02, "{stale} {fresh}");

        // What came before does not count again.
        let again = json(place, &["update", "live.wp", "--edges", "events.jsonl", "--json"]);
        assert_eq!((&again["taken"], &again["repeated"]), (&0.into(), &40.into()), "{again}");

        let absorbed = json(place, &["compact", "live.wp", "--json"]);
        assert_eq!(absorbed["events"], 40, "{absorbed}");
        let _ = run(place, &["verify", "live.wp"]).done();
        assert!(errors("live.wp", "exact") < 1e-9);
        let repaired = errors("live.wp", "combine");
        assert!(repaired <= 1.2 * fresh + 1e-9 || repaired < 0.02, "{repaired} {fresh}");

        // The repaired index is, to the last bit, the one that is built anew.
        let digest =
            |store: &str| json(place, &["inspect", store, "--json"])["indexes"][0]["fingerprint_digest"].clone();
        let repaired = digest("live.wp");
        let _ = run(place, &["index", "live.wp", "--walks", "400", "--replace"]).done();
        assert_eq!(digest("live.wp"), repaired);

        let after = json(place, &["update", "live.wp", "--edges", "events.jsonl", "--json"]);
        assert_eq!((&after["taken"], &after["repeated"]), (&0.into(), &40.into()), "{after}");
        assert!(run(place, &["compact", "live.wp"]).done().contains("nothing to absorb"));
    }
}

#[test]
fn what_cannot_be_is_refused_where_it_stands_and_what_came_before_is_kept() {
    let place = TempDir::new().unwrap();
    let place = place.path();
    std::fs::write(place.join("g.csv"), "source,target,weight\na,b,1\nb,a,2\n").unwrap();
    let _ = run(place, &["load", "g.csv", "--into", "g.wp"]).done();
    let update = |events: &str, more: &[&str]| {
        std::fs::write(place.join("e.jsonl"), events).unwrap();
        run(place, &[&["update", "g.wp", "--edges", "e.jsonl"], more].concat())
    };
    let good = r#"{"source":"a","target":"c","event_id":"1"}"#;
    for (bad, what) in [
        (
            r#"{"op":"remove","source":"a","target":"z"}"#,
            vec!["e.jsonl:2", "no edge from \"a\" to \"z\"", "--missing ignore"],
        ),
        (r#"{"op":"remove","source":"b","target":"a","weight":3}"#, vec!["e.jsonl:2", "weighs 2"]),
        (r#"{"op":"drop","source":"b","target":"a"}"#, vec!["e.jsonl:2", "add", "remove", "set"]),
        (r#"{"source":"b","target":"a","weight":-1}"#, vec!["e.jsonl:2", "-1"]),
        (r#"{"source":"b","target":"a","wait":1}"#, vec!["e.jsonl:2", "wait"]),
        (r#"{"source":"b","target":"c","event_id":"1"}"#, vec!["e.jsonl:2", "\"1\""]),
    ] {
        update(&format!("{good}\n{bad}\n"), &[]).refused(&what);
        update(&format!("{good}\n{bad}\n"), &[]).refused(&["1 events before it are kept"]);
    }
    let taken = update(r#"{"op":"remove","source":"a","target":"z"}"#, &["--missing", "ignore"]).done();
    assert!(taken.contains("1 removed what is not there"), "{taken}");
    let first = scores(place, "g.wp", "a", "exact");
    assert!(first.contains_key("c"), "{first:?}");

    run(place, &["update", "nowhere.wp", "--edges", "e.jsonl"]).refused(&["nowhere.wp", "walkprint load"]);
    run(place, &["update", "g.wp", "--edges", "none.csv"]).refused(&["none.csv"]);
    run(place, &["update", "g.wp"]).refused(&["--edges"]);
    // Other commands say what they do not count.
    let batch = run(place, &["batch", "g.wp", "--sources", "all", "--top", "2", "--out", "out"]);
    assert!(batch.stderr.contains("events do not count"), "{}", batch.stderr);
}
