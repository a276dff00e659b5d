//! Keeps: **the README's section on the server works as typed: every line of curl is answered, and every endpoint has one** (issue 5,
//! "A client").

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use walkprint_tests::http_server::HttpServer;
use walkprint_tests::program::{results, run};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace")
}

/// The lines of curl in the README.
fn lines() -> Vec<String> {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("a README");
    let blocks = readme.split("```bash\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.flat_map(str::lines).filter(|line| line.starts_with("curl ")).map(str::to_owned).collect()
}

#[test]
fn every_line_of_curl_is_answered_and_every_endpoint_has_one() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let graph = root().join("cluster/data/wordnet/wordnet.tsv.gz");
    let _ = run(place.path(), &["load", graph.to_str().expect("a plain path"), "--into", "words.wp"]).done();
    let _ = run(place.path(), &["index", "words.wp"]).done();
    let likes = "user_id,item_id\nann,tea\nann,milk\nbob,tea\nbob,jam\n";
    std::fs::write(place.path().join("likes.csv"), likes).expect("room for a small file");
    let _ = run(place.path(), &["load", "likes.csv", "--into", "likes.wp"]).done();
    let server = HttpServer::start(place.path(), &["words.wp", "likes.wp"]);
    let described: Value = server.get("/openapi.json").json();
    let mut missing: BTreeSet<&str> =
        described["paths"].as_object().expect("paths").keys().map(String::as_str).collect();
    let lines = lines();
    assert!(10 <= lines.len(), "{lines:?}");
    if Command::new("curl").arg("--version").output().is_err() {
        eprintln!("skipped: there is no curl");
        return;
    }
    for line in &lines {
        assert!(line.contains("http://127.0.0.1:7717/"), "{line}");
        let typed = line.replace("http://127.0.0.1:7717", &server.url).replacen(
            "curl",
            "curl --silent --show-error --fail-with-body",
            1,
        );
        let ran = Command::new("sh").args(["-c", &typed]).current_dir(place.path()).output().expect("a shell");
        let said = String::from_utf8(ran.stdout).expect("text");
        assert!(ran.status.success() && !said.is_empty(), "{line}: {said} {}", String::from_utf8_lossy(&ran.stderr));
        let path =
            line.split("http://127.0.0.1:7717").nth(1).expect("a URL").split(['\'', ' ', '?']).next().expect("a path");
        missing.retain(|known| !fits(known, path));
    }
    missing.remove("/openapi.json");
    assert!(missing.is_empty(), "the README has no curl for {missing:?}");
    // And the other way round that it names: from the command line.
    let asked = ["query", "words", "--server", &server.url, "--seed", "dog.n.01", "--seed", "cat.n.01=0.5", "--json"];
    let answer: Value = serde_json::from_str(&run(place.path(), &asked).done()).expect("JSON");
    let expected = results(place.path(), &["words.wp", "--seed", "dog.n.01", "--seed", "cat.n.01=0.5"]);
    assert_eq!(answer["results"], expected);
    let table =
        run(place.path(), &["query", "words", "--server", &server.url, "--seed", "dog.n.01", "--top", "3"]).done();
    assert!(table.contains("dog.n.01") && table.contains("restart probability 0.15"), "{table}");
    run(place.path(), &["query", "other", "--server", &server.url, "--seed", "x"]).refused(&["no store \"other\""]);
    run(place.path(), &["query", "words", "--server", &server.url, "--seed", "nobody"]).refused(&["nobody"]);
    run(place.path(), &["query", "--server", "nowhere", "--seed", "x"]).refused(&["http://ADDRESS:PORT"]);
    run(place.path(), &["query", "x", "--server", "http://127.0.0.1:1", "--seed", "x"]).refused(&["127.0.0.1:1"]);
}

/// Whether a path is one of a described endpoint's.
fn fits(described: &str, path: &str) -> bool {
    let (known, given): (Vec<&str>, Vec<&str>) = (described.split('/').collect(), path.split('/').collect());
    known.len() == given.len()
        && known.iter().zip(&given).all(|(known, given)| known.starts_with('{') || known == given)
}
