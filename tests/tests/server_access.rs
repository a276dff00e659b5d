//! Keeps: **nobody asks who may not**: keys, their scopes, addresses, names, other sites (issue 5, "Access"); and keys are shown
//! nowhere.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use tempfile::TempDir;
use walkprint_cluster::server::QueryRequest;
use walkprint_tests::http_server::{HttpServer, posted, refused};
use walkprint_tests::program::{command, run};

const READ: &str = "read-key-0123456789";
const ADMIN: &str = "admin-key-0123456789";

fn place() -> TempDir {
    let place = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(place.path().join("edges.tsv"), "a\tb\nb\tc\nc\ta\n").expect("room");
    let _ = run(place.path(), &["load", "edges.tsv", "--into", "small.wp"]).done();
    let _ = run(place.path(), &["index", "small.wp"]).done();
    let keys = place.path().join("keys");
    std::fs::write(&keys, format!("read {READ}\n")).expect("room");
    std::fs::set_permissions(&keys, std::fs::Permissions::from_mode(0o600)).expect("its own file");
    place
}

#[test]
fn keys_open_what_their_scope_allows_and_are_never_shown() {
    let place = place();
    let words = [
        "serve",
        "small.wp",
        "--listen",
        "127.0.0.1:0",
        "--keys-file",
        "keys",
        "--log-level",
        "trace",
        "--log",
        "json",
    ];
    let mut serve = command(place.path(), &words);
    serve.env("WALKPRINT_ADMIN_KEY", ADMIN);
    let server = HttpServer::start_command(serve);
    let question = QueryRequest::new(["a".into()]);
    let stranger = server.client();
    assert_eq!(refused(stranger.query("small", &question)).status, 401);
    assert_eq!(refused(stranger.stores(None)).status, 401);
    assert_eq!(refused(stranger.metrics()).status, 401);
    for wrong in ["", "x", "read-key-012345678", "read-key-01234567890", &READ.to_uppercase()] {
        assert_eq!(refused(server.client().with_key(wrong).query("small", &question)).status, 401, "{wrong:?}");
    }
    let challenge = server.get("/v1/stores");
    assert!(challenge.header("www-authenticate").is_some_and(|value| value.starts_with("Bearer")));
    let reader = server.client().with_key(READ);
    assert_eq!(reader.query("small", &question).expect("an answer").results.len(), 3);
    assert_eq!(refused(reader.metrics()).status, 403);
    assert_eq!(refused(reader.refresh("small")).status, 403);
    let admin = server.client().with_key(ADMIN);
    assert!(admin.metrics().expect("numbers").contains("walkprint_rejected_total{cause=\"key-wrong\"}"));
    assert_eq!(admin.refresh("small").expect("a store").generation, 2);
    assert_eq!(admin.query("small", &question).expect("an answer").results.len(), 3);
    // What tells nothing of what is stored is open.
    assert!(stranger.ready().is_ok_and(|ready| ready.stores.is_empty()) && stranger.version().is_ok());
    assert_eq!(admin.ready().expect("readiness").stores.len(), 1);
    assert!(["/", "/livez", "/healthz", "/openapi.json"].iter().all(|path| server.get(path).status == 200));
    server.signal("TERM");
    let ended = server.ended();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        ended.stderr.contains("\"request_id\"")
            && ended.stderr.lines().filter(|line| line.starts_with('{')).count() > 10
    );
    for line in ended.stderr.lines().filter(|line| !line.starts_with("walkprint: ")) {
        let _: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
    }
    assert!(!ended.stderr.contains("0123456789"), "a key is in the log");
    let mut shown = command(place.path(), &["serve", "small.wp", "--keys-file", "keys", "--print-config"]);
    let shown = shown.env("WALKPRINT_ADMIN_KEY", ADMIN).output().expect("the program");
    let shown = String::from_utf8(shown.stdout).expect("text");
    assert!(shown.contains("WALKPRINT_ADMIN_KEY") && !shown.contains("0123456789"), "{shown}");
}

#[test]
fn a_file_of_keys_that_others_may_read_is_refused() {
    let place = place();
    std::fs::set_permissions(place.path().join("keys"), std::fs::Permissions::from_mode(0o644)).expect("its own file");
    run(place.path(), &["serve", "small.wp", "--keys-file", "keys"]).refused(&["keys", "chmod o-rwx"]);
}

#[test]
fn pages_of_other_sites_get_nothing() {
    let place = place();
    let server = HttpServer::start(place.path(), &["small.wp"]);
    let body = r#"{"seeds": ["a"]}"#;
    let named = |host: &str| server.raw(&posted(host, "/v1/stores/small/query", body));
    for own in ["127.0.0.1", "localhost:80", "LOCALHOST", "[::1]:7717", "127.0.0.2"] {
        assert_eq!(named(own).status, 200, "{own}");
    }
    for foreign in ["evil.example", "evil.example:7717", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1"]
    {
        assert_eq!(named(foreign).problem().status, 403, "{foreign}");
    }
    let preflight = "OPTIONS /v1/stores/small/query HTTP/1.1\r\nhost: localhost\r\norigin: https://evil.example\r\n\
        access-control-request-method: POST\r\nconnection: close\r\n\r\n";
    let told = server.raw(preflight.as_bytes());
    assert!(told.status == 405 && !told.head.contains("access-control"), "{told:?}");
    let form = String::from_utf8(posted("localhost", "/v1/stores/small/query", body)).expect("text");
    let form = form.replace("application/json", "application/x-www-form-urlencoded");
    assert_eq!(server.raw(form.as_bytes()).problem().status, 415);
}

#[test]
fn every_address_needs_keys_or_a_word() {
    let place = place();
    run(place.path(), &["serve", "small.wp", "--listen", "0.0.0.0:0"]).refused(&["--keys-file", "--insecure"]);
    let words = ["serve", "small.wp", "--listen", "0.0.0.0:0", "--insecure"];
    let server = HttpServer::start_command(command(place.path(), &words));
    let port = server.address.rsplit(':').next().expect("a port");
    let client = walkprint_cluster::client::Client::new(&format!("http://127.0.0.1:{port}"));
    assert_eq!(client.query("small", &QueryRequest::new(["a".into()])).expect("an answer").results.len(), 3);
}

#[test]
fn tls_is_spoken_with_a_certificate() {
    let place = place();
    // Made by openssl req -x509 for localhost, for a hundred years; it opens nothing.
    std::fs::write(place.path().join("cert.pem"), include_str!("../certificates/cert.pem")).expect("room");
    std::fs::write(place.path().join("key.pem"), include_str!("../certificates/key.pem")).expect("room");
    let words = ["small.wp", "--tls-cert", "cert.pem", "--tls-key", "key.pem"];
    let server = HttpServer::start(place.path(), &words);
    assert!(server.url.starts_with("https://"), "{}", server.url);
    let port = server.address.rsplit(':').next().expect("a port");
    let url = format!("https://localhost:{port}/v1/stores/small/neighbors/a");
    let Ok(curl) = Command::new("curl")
        .args(["--silent", "--show-error", "--cacert", "cert.pem", &url])
        .current_dir(place.path())
        .output()
    else {
        eprintln!("skipped: there is no curl");
        return;
    };
    let text = String::from_utf8(curl.stdout).expect("text");
    assert!(text.contains("\"degree\":1"), "{text} {}", String::from_utf8_lossy(&curl.stderr));
    // Whoever speaks plainly gets no answer, and disturbs nobody.
    let mut plain = server.connect();
    std::io::Write::write_all(&mut plain, b"GET / HTTP/1.1\r\n\r\n").expect("a connection");
    let mut nothing = Vec::new();
    let _ = std::io::Read::read_to_end(&mut plain, &mut nothing); // it may be reset
    assert!(!nothing.starts_with(b"HTTP/1.1 200"));
    let again =
        Command::new("curl").args(["--silent", "--cacert", "cert.pem", &url]).current_dir(place.path()).status();
    assert!(again.expect("curl").success());
}
