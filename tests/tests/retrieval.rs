//! Keeps: **a question in words is answered by the definition** (seeds by name, specificity, passages by BM25, then PageRank), by the
//! program and the server alike; questions without seeds are told; metrics are those of the definitions.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use walkprint_cluster::retrieve::{RetrieveReply, RetrieveRequest};
use walkprint_cluster::server::{Edge, LocalRequest};
use walkprint_engine::query::Dangling;
use walkprint_tests::dense;
use walkprint_tests::http_server::HttpServer;
use walkprint_tests::program::run;

const QUESTION: &str = "Which waterfall lies in the country where the Bubye River rises?";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace")
}

fn rivers() -> PathBuf {
    root().join("cluster/data/rivers/rivers.json")
}

fn load(place: &Path, more: &[&str]) {
    let graph = rivers();
    let graph = graph.to_str().expect("a plain path");
    let _ = run(place, &[&["load", graph, "--into", "rivers.wp", "--inverse", "--replace"], more].concat()).done();
}

fn ask(place: &Path, more: &[&str]) -> RetrieveReply {
    let said = run(place, &[&["retrieve", "rivers.wp", "--json"], more].concat()).done();
    let reply: RetrieveReply = serde_json::from_str(&said).expect("a reply");
    RetrieveReply { took_us: 0, ..reply }
}

/// The graph of the file, written out from the JSON: ids, and the weight of each edge.
struct Written {
    ids: Vec<String>,
    weights: BTreeMap<(String, String), f64>,
    mentions: BTreeMap<String, BTreeSet<String>>,
    texts: BTreeMap<String, String>,
}

fn written() -> Written {
    let file: Value = serde_json::from_str(&std::fs::read_to_string(rivers()).expect("a file")).expect("JSON");
    let mut written =
        Written { ids: Vec::new(), weights: BTreeMap::new(), mentions: BTreeMap::new(), texts: BTreeMap::new() };
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    for document in file["docs"].as_array().expect("documents") {
        let passage = format!("passage:{}", text(&document["idx"]));
        written.texts.insert(passage.clone(), text(&document["passage"]));
        let mut mentioned: BTreeSet<String> =
            document["extracted_entities"].as_array().expect("entities").iter().map(text).collect();
        for triple in document["extracted_triples"].as_array().expect("triples") {
            let (subject, object) = (text(&triple[0]), text(&triple[2]));
            for pair in [(subject.clone(), object.clone()), (object.clone(), subject.clone())] {
                *written.weights.entry(pair).or_default() += 1.0;
            }
            mentioned.extend([subject, object]);
        }
        for node in &mentioned {
            written.weights.insert((passage.clone(), node.clone()), 1.0);
            written.weights.insert((node.clone(), passage.clone()), 1.0);
        }
        written.mentions.insert(passage, mentioned);
    }
    let ids: BTreeSet<&String> = written.weights.keys().flat_map(|(source, target)| [source, target]).collect();
    written.ids = ids.into_iter().cloned().collect();
    written
}

impl Written {
    fn place(&self, id: &str) -> usize {
        self.ids.iter().position(|known| known == id).expect("a node")
    }

    /// The scores of all nodes for seeds by id, by elimination.
    fn scores(&self, seeds: &BTreeMap<String, f64>, restart_prob: f64) -> Vec<f64> {
        let nodes = self.ids.len();
        let mut transitions = vec![vec![0.0; nodes]; nodes];
        for ((source, target), weight) in &self.weights {
            transitions[self.place(source)][self.place(target)] = *weight;
        }
        for row in &mut transitions {
            let sum: f64 = row.iter().sum();
            row.iter_mut().filter(|_| sum != 0.0).for_each(|share| *share /= sum);
        }
        let sum: f64 = seeds.values().sum();
        let mut dense_seeds = vec![0.0; nodes];
        seeds.iter().for_each(|(id, weight)| dense_seeds[self.place(id)] = weight / sum);
        dense::scores(&transitions, &dense_seeds, restart_prob, Dangling::Restart)
    }

    /// 1 / the number of passages that mention a node.
    fn specificity(&self, id: &str) -> f64 {
        1.0 / self.mentions.values().filter(|mentioned| mentioned.contains(id)).count() as f64
    }

    /// BM25 of every passage, from its definition.
    fn words(&self, question: &str) -> BTreeMap<String, f64> {
        let split = |text: &str| -> Vec<String> {
            let words = text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
            words.map(str::to_lowercase).collect()
        };
        let asked: BTreeSet<String> = split(question).into_iter().collect();
        let texts: BTreeMap<&String, Vec<String>> = self.texts.iter().map(|(id, text)| (id, split(text))).collect();
        let count = texts.len() as f64;
        let mean = texts.values().map(Vec::len).sum::<usize>() as f64 / count;
        let mut scores = BTreeMap::new();
        for (id, words) in &texts {
            let mut score = 0.0;
            for word in &asked {
                let with = texts.values().filter(|words| words.contains(word)).count() as f64;
                let times = words.iter().filter(|known| *known == word).count() as f64;
                let rarity = (1.0 + (count - with + 0.5) / (with + 0.5)).ln();
                score += rarity * times * 2.2 / (times + 1.2 * (0.25 + 0.75 * words.len() as f64 / mean));
            }
            if 0.0 < score {
                scores.insert((*id).clone(), score);
            }
        }
        scores
    }

    /// The best passages by a score, with ties by id.
    fn best(&self, score: impl Fn(&str) -> f64, top: usize) -> Vec<(String, f64)> {
        let mut all: Vec<(String, f64)> = self.texts.keys().map(|id| (id.clone(), score(id))).collect();
        all.sort_by(|one, other| other.1.total_cmp(&one.1).then(one.0.cmp(&other.0)));
        all.truncate(top);
        all
    }
}

fn expect_results(reply: &RetrieveReply, expected: &[(String, f64)]) {
    assert_eq!(reply.results.len(), expected.len());
    for (result, (id, score)) in reply.results.iter().zip(expected) {
        assert_eq!(&result.id, id, "{reply:?}");
        assert!((result.score - score).abs() < 1e-9, "{id}: {} and not {score}", result.score);
    }
}

#[test]
fn passages_are_ranked_by_the_definition() {
    let place = tempfile::tempdir().expect("a temporary directory");
    load(place.path(), &[]);
    let written = written();
    let words = written.words(QUESTION);
    let sum: f64 = words.values().sum();
    let mut seeds: BTreeMap<String, f64> = words.iter().map(|(id, score)| (id.clone(), 0.5 * score / sum)).collect();
    seeds.insert("Bubye River".into(), 1.0);
    let scores = written.scores(&seeds, 0.5);
    let reply = ask(place.path(), &["--question", QUESTION, "--top", "9"]);
    expect_results(&reply, &written.best(|id| scores[written.place(id)], 9));
    assert_eq!((reply.seeds.len(), reply.passage_seeds), (1, words.len()));
    let sum: u64 = reply.results.iter().map(|result| written.texts[&result.id].len().div_ceil(4) as u64).sum();
    assert_eq!(reply.tokens, sum);
    // Chains are triples of the file, walked either way.
    for result in &reply.results {
        for chain in &result.chains {
            let mut at = &chain.seed;
            for step in &chain.steps {
                assert!(written.weights.contains_key(&(step.source.clone(), step.target.clone())), "{chain}");
                assert!(&step.source == at && !step.relations.is_empty(), "{chain}");
                at = &step.target;
            }
            assert_eq!(at, &result.id);
        }
    }
    // Two names of different specificity, no passages, another restart probability.
    let two = ["--entity", "Zimbabwe", "--entity", "bubye river"];
    let reply = ask(place.path(), &[&two[..], &["--passage-weight", "0", "--damping", "0.85"]].concat());
    let named = ["Zimbabwe", "Bubye River"].map(|id| (id.to_owned(), written.specificity(id)));
    let scores = written.scores(&named.clone().into(), 0.15);
    expect_results(&reply, &written.best(|id| scores[written.place(id)], 9));
    let kinds: Vec<Value> = reply.seeds.iter().map(|seed| serde_json::to_value(seed.kind).expect("a word")).collect();
    assert_eq!(kinds, ["folded", "exact"]);
    let even = ask(place.path(), &[&two[..], &["--passage-weight", "0", "--no-specificity"]].concat());
    assert!(even.seeds.iter().all(|seed| seed.weight == 0.5), "{even:?}");
    // As HippoRAG ranks: sums of what passages mention, over walks that do not pass through passages.
    load(place.path(), &["--edge-weights", "^mentions=0"]);
    let mut without = written;
    without.weights.retain(|(_, target), _| !target.starts_with("passage:"));
    let scores = without.scores(&named.into(), 0.5);
    let reply =
        ask(place.path(), &[&two[..], &["--passage-weight", "0", "--rank-by", "mentions", "--top", "4"]].concat());
    let summed = |id: &str| -> f64 { without.mentions[id].iter().map(|node| scores[without.place(node)]).sum() };
    expect_results(&reply, &without.best(summed, 4));
}

#[test]
fn what_cannot_be_found_is_told() {
    let place = tempfile::tempdir().expect("a temporary directory");
    load(place.path(), &[]);
    let none = ask(place.path(), &["--question", "Xyzzy, plugh?"]);
    assert_eq!(serde_json::to_value(none.status).expect("a word"), "no-seeds");
    assert!(none.results.is_empty() && none.seeds.is_empty() && none.method.is_none());
    let said = run(place.path(), &["retrieve", "rivers.wp", "--question", "Xyzzy?"]).done();
    assert!(said.contains("no seeds"), "{said}");
    let words = ask(place.path(), &["--question", "which capital?", "--no-overlap"]);
    assert_eq!(serde_json::to_value(words.status).expect("a word"), "passages-only");
    assert!(!words.results.is_empty());
    let unknown = ask(place.path(), &["--entity", "Atlantis", "--entity", "Rhine"]);
    assert_eq!((unknown.unknown_entities, unknown.seeds[0].id.as_str()), (vec!["Atlantis".to_owned()], "Rhine"));
    // Scores of passages by somebody else.
    std::fs::write(place.path().join("scores"), "passage:bern\t1\npassage:rhine\t0\n").expect("room");
    let scored = ask(place.path(), &["--passage-scores", "scores"]);
    assert_eq!((scored.passage_seeds, scored.results[0].id.as_str()), (1, "passage:bern"));
    let entities = ask(place.path(), &["--entity", "Bern", "--of", "entities"]);
    assert!(entities.results.iter().all(|result| result.kind.as_deref() != Some("passage")), "{entities:?}");
    // A budget keeps the first results that fit.
    let all = ask(place.path(), &["--question", QUESTION, "--top", "5"]);
    let budget = all.results[0].tokens + all.results[1].tokens;
    let cut = ask(place.path(), &["--question", QUESTION, "--top", "5", "--token-budget", &budget.to_string()]);
    assert_eq!((cut.results.len(), cut.tokens, cut.cut), (2, budget, true));
    assert_eq!(cut.results[..], all.results[..2]);
    let refused = |more: &[&str], words: &[&str]| {
        run(place.path(), &[&["retrieve", "rivers.wp"], more].concat()).refused(words);
    };
    refused(&[], &["--question"]);
    refused(&["--question", "x", "--top", "0"], &["top must be at least 1"]);
    refused(&["--question", "x", "--passage-weight=-1"], &["passage_weight"]);
    refused(&["--entity", "Bern", "--of", "entities", "--rank-by", "mentions"], &["only passages"]);
    refused(&["--passage-scores", "nowhere"], &["nowhere"]);
    std::fs::write(place.path().join("scores"), "passage:nowhere\t1\n").expect("room");
    refused(&["--passage-scores", "scores"], &["passage:nowhere"]);
    std::fs::write(place.path().join("plain.csv"), "source,target\na,b\nb,a\n").expect("room");
    let _ = run(place.path(), &["load", "plain.csv", "--into", "plain.wp"]).done();
    run(place.path(), &["retrieve", "plain.wp", "--entity", "a"]).refused(&["no passages", "--of entities"]);
    let plain = run(place.path(), &["retrieve", "plain.wp", "--entity", "a", "--of", "entities", "--json"]).done();
    let plain: RetrieveReply = serde_json::from_str(&plain).expect("a reply");
    assert_eq!(plain.results.iter().map(|result| result.id.as_str()).collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn the_server_replies_as_the_program_does() {
    let place = tempfile::tempdir().expect("a temporary directory");
    load(place.path(), &[]);
    let server = HttpServer::start(place.path(), &["rivers.wp"]);
    let client = server.client();
    let asked = |request: &RetrieveRequest| {
        let reply = client.retrieve("rivers", request).expect("a reply");
        RetrieveReply { took_us: 0, ..reply }
    };
    let request = RetrieveRequest { question: Some(QUESTION.into()), chains: Some(1), ..RetrieveRequest::default() };
    assert_eq!(asked(&request), ask(place.path(), &["--question", QUESTION]));
    let request = RetrieveRequest {
        entities: vec!["RHINE".into(), "nobody's".into()],
        token_budget: Some(30),
        chains: Some(2),
        ..RetrieveRequest::default()
    };
    let typed = ["--entity", "RHINE", "--entity", "nobody's", "--token-budget", "30", "--chains", "2"];
    assert_eq!(asked(&request), ask(place.path(), &typed));
    let none = RetrieveRequest { question: Some("xyzzy".into()), ..RetrieveRequest::default() };
    assert!(asked(&none).results.is_empty());
    let tokens = BTreeMap::from([("passage:rhine".to_owned(), 7)]);
    let counted = RetrieveRequest { entities: vec!["Rhine".into()], tokens, ..RetrieveRequest::default() };
    assert!(asked(&counted).results.iter().any(|result| result.id == "passage:rhine" && result.tokens == 7));
    for (body, status) in [
        (json!({}), 422),
        (json!({ "question": 7 }), 422),
        (json!({ "question": "x", "tpo": 3 }), 422),
        (json!({ "question": "x", "top": 0 }), 422),
        (json!({ "question": "x", "passage_weight": -1 }), 422),
        (json!({ "question": "x", "restart_prob": 0 }), 422),
        (json!({ "passages": [{ "id": "passage:nowhere", "score": 1 }] }), 404),
        (json!({ "question": "x".repeat(70_000) }), 422),
    ] {
        let response = server.post("/v1/stores/rivers/retrieve", &body.to_string());
        assert_eq!(response.problem().status, status, "{body}: {response:?}");
    }
}

#[test]
fn triples_of_a_graph_that_is_sent_along_are_cut_to_a_budget() {
    let place = tempfile::tempdir().expect("a temporary directory");
    load(place.path(), &[]);
    let server = HttpServer::start(place.path(), &["rivers.wp"]);
    let edge = |source: &str, target: &str, weight, kind: &str| Edge {
        source: source.into(),
        target: target.into(),
        weight,
        kind: Some(kind.into()),
    };
    let edges = vec![
        edge("river", "country", 3.0, "rises in"),
        edge("river", "sea", 1.0, "flows into"),
        edge("country", "river", 1.0, "has"),
    ];
    let request = LocalRequest { edges, seeds: vec!["river".into()], triples: Some(9), ..LocalRequest::default() };
    let answer = server.client().local(&request).expect("an answer");
    let score = |id: &str| answer.results.iter().find(|one| one.id == id).expect("a result").score;
    let triples = answer.triples.clone().expect("triples");
    let expected =
        [("rises in", 0.75 * score("river")), ("has", score("country")), ("flows into", 0.25 * score("river"))];
    let mut expected = expected.to_vec();
    expected.sort_by(|one, other| other.1.total_cmp(&one.1));
    for (triple, (kind, score)) in triples.iter().zip(&expected) {
        assert!(triple.kind.as_deref() == Some(*kind) && (triple.score - score).abs() < 1e-9, "{triples:?}");
    }
    let budget = triples[0].tokens;
    let cut =
        server.client().local(&LocalRequest { token_budget: Some(budget), ..request.clone() }).expect("an answer");
    assert_eq!((cut.triples.map(|left| left.len()), cut.tokens, cut.cut), (Some(1), Some(budget), Some(true)));
    let nodes = LocalRequest { triples: None, token_budget: Some(2), ..request };
    let nodes = server.client().local(&nodes).expect("an answer");
    assert_eq!((nodes.results.len(), nodes.tokens, nodes.cut), (1, Some(2), Some(true)));
}

#[test]
fn questions_of_a_file_are_judged() {
    let place = tempfile::tempdir().expect("a temporary directory");
    load(place.path(), &[]);
    let questions = root().join("cluster/data/rivers/questions.jsonl");
    let questions = questions.to_str().expect("a plain path");
    let evaluate = |file: &str, more: &[&str]| {
        run(place.path(), &[&["evaluate", "retrieve", "rivers.wp", "--questions", file], more].concat())
    };
    let said = evaluate(questions, &["--top", "5", "--json", "--per-question", "each.jsonl"]).done();
    let said: Value = serde_json::from_str(&said).expect("JSON");
    let each = std::fs::read_to_string(place.path().join("each.jsonl")).expect("a file");
    let each: Vec<Value> = each.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!((said["questions"].as_u64(), each.len()), (Some(4), 4));
    // By hand, from what was written of each question.
    let mut recall = 0.0;
    for one in &each {
        let results: Vec<&str> =
            one["results"].as_array().expect("results").iter().filter_map(|one| one["id"].as_str()).collect();
        let gold: Vec<&str> = one["gold"].as_array().expect("gold").iter().filter_map(|one| one[0].as_str()).collect();
        recall += gold.iter().filter(|id| results[..2].contains(id)).count() as f64 / gold.len() as f64 / 4.0;
    }
    assert!((said["metrics"]["recall@2"].as_f64().expect("a number") - recall).abs() < 1e-12, "{said}");
    assert!(0.5 <= recall, "{said}");
    let lines = run(place.path(), &["retrieve", "rivers.wp", "--questions", questions, "--json"]).done();
    assert_eq!(lines.lines().count(), 4);
    for (text, words) in [
        ("", "a file without any"),
        ("{\"question\": \"x\"}\n", "does not say which passages"),
        ("\n{\"question\": \"x\", \"gold\": [\"nowhere\"]}\n", "bad:2: gold: expected the id of a passage"),
        ("{\"gold\": [\"bern\"]}\n", "bad:1: expected a question or entities"),
        ("{\"question\": 7}\n", "bad:1: expected a question as JSON"),
        ("[{\"question\": \"x\"}]", "expected a list of questions with paragraphs"),
        (
            "[{\"question\": \"x\", \"paragraphs\": [{\"title\": \"a\", \"paragraph_text\": \"b\", \"is_supporting\": true}]}]",
            "[0].paragraphs[0]: no passage of the store has the title \"a\"",
        ),
    ] {
        std::fs::write(place.path().join("bad"), text).expect("room");
        evaluate("bad", &[]).refused(&[words]);
    }
    std::fs::write(
        place.path().join("multihop"),
        json!([{ "question": QUESTION, "paragraphs": [
            { "title": "Harare", "paragraph_text": "Harare is the capital of Zimbabwe.", "is_supporting": true },
            { "title": "Bern", "paragraph_text": "none of the store's", "is_supporting": false },
        ] }])
        .to_string(),
    )
    .expect("room");
    let one: Value = serde_json::from_str(&evaluate("multihop", &["--json", "--top", "9"]).done()).expect("JSON");
    assert_eq!(one["metrics"]["recall@9"], 1.0);
}

#[test]
fn damaged_passages_are_found() {
    let place = tempfile::tempdir().expect("a temporary directory");
    load(place.path(), &[]);
    assert!(run(place.path(), &["verify", "rivers.wp"]).done().contains("passages-"));
    let file = std::fs::read_dir(place.path().join("rivers.wp")).expect("a store");
    let file = file.flatten().map(|entry| entry.path()).find(|path| path.extension().is_some_and(|end| end == "wpp"));
    let file = file.expect("a file of passages");
    let mut bytes = std::fs::read(&file).expect("bytes");
    let last = bytes.iter().rposition(|&byte| byte != 0).expect("text");
    bytes[last] ^= 1;
    std::fs::write(&file, bytes).expect("room");
    let ended = run(place.path(), &["verify", "rivers.wp"]);
    assert!(ended.code == Some(1) && ended.stdout.contains("damaged"), "{ended:?}");
}

/// The data of HippoRAG's tuning subset, where they are at hand.
#[test]
fn musique_is_found_as_well_as_measured() {
    let data = std::env::var_os("WALKPRINT_DATA").map_or_else(|| root().join("../shared/data"), PathBuf::from);
    let data = data.join("musique-train-openie");
    let graph = data.join("openie_musique_train_results_ner_gpt-3.5-turbo-1106_1890.json");
    if !graph.exists() {
        eprintln!("skipped: {} is not there", graph.display());
        return;
    }
    let place = tempfile::tempdir().expect("a temporary directory");
    let path = |path: &Path| path.to_str().expect("a plain path").to_owned();
    let load = |more: &[&str]| {
        run(
            place.path(),
            &[&["load", &path(&graph), "--into", "m.wp", "--inverse", "--replace", "--json"], more].concat(),
        )
    };
    load(&[]).refused(&["docs[21].extracted_triples", "--malformed skip"]);
    let recall = |more: &[&str], options: &[&str]| {
        let loaded: Value =
            serde_json::from_str(&load(&[&["--malformed", "skip"], more].concat()).done()).expect("JSON");
        assert_eq!(loaded["read"]["malformed"], 185);
        let questions = path(&data.join("musique_train.json"));
        let asked = ["evaluate", "retrieve", "m.wp", "--top", "5", "--json", "--questions", &questions];
        let said: Value = serde_json::from_str(&run(place.path(), &[&asked, options].concat()).done()).expect("JSON");
        let metric = |name: &str| said["metrics"][name].as_f64().expect("a number");
        (metric("recall@2"), metric("recall@5"))
    };
    // What plain string matching and exact PageRank gave elsewhere.
    let plain = ["--rank-by", "mentions", "--passage-weight", "0", "--no-specificity", "--no-overlap"];
    let (two, five) = recall(&["--edge-weights", "^mentions=0"], &plain);
    assert!(0.418 <= two && 0.523 <= five, "{two} {five}");
    let (two, five) = recall(&[], &[]);
    assert!(0.47 <= two && 0.65 <= five, "{two} {five}");
}
