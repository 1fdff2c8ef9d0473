//! What is asked over HTTP, and what is answered.

use super::*;
use crate::config::{self, Loaded};
use crate::runtime::live::{Edition, state};
use std::path::Path;
use std::time::Duration;

/// A server of a daemon that has not begun to follow anything.
fn server() -> (Server, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write(
        "order.yaml",
        "flow: order\nkey: id\nsteps:\n  s: {from: a, key: {id: body.id}}\nchecks:\n  once: {at_most: {s: 1}}\n",
    );
    write(
        "throughline.yaml",
        "flows: [order.yaml]\nsources:\n  a: {type: file, path: a.jsonl, format: json, time: body.ts}\n",
    );
    (Server::start("127.0.0.1:0", board(folder.path())).unwrap(), folder)
}

/// The board of a daemon that has not begun to follow anything.
fn board(folder: &Path) -> Arc<Board> {
    let Loaded { config, outline, .. } = config::load(&folder.join("throughline.yaml"));
    let (documents, _) = config::flows::documents(&outline.flows);
    let config = config.unwrap();
    let flows = Edition::all(&config, &documents, None);
    Arc::new(Board::new(&config, &flows, folder, None))
}

fn get(server: &Server, path: &str) -> (u16, String) {
    let config = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(10)));
    let agent: ureq::Agent = config.http_status_as_error(false).proxy(None).build().into();
    let mut answer = agent.get(format!("http://{}{path}", server.address)).call().unwrap();
    (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
}

#[test]
fn a_daemon_that_has_just_begun_is_healthy_and_not_ready() {
    let (server, _folder) = server();
    assert_eq!(get(&server, "/healthz"), (200, "ok\n".to_owned()));
    let (code, why) = get(&server, "/readyz");
    assert_eq!(code, 503);
    assert_eq!(why, "the journal is being read\nsource `a` has not delivered yet\n");
    assert_eq!(get(&server, "/nothing").0, 404);
    assert!(get(&server, "/").1.contains("/readyz"));
}

#[test]
fn the_status_is_what_its_schema_says() {
    let (server, _folder) = server();
    let (code, text) = get(&server, "/status");
    let told: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &told["phase"], &told["ready"]), (200, &"recovering".into(), &false.into()));
    jsonschema::validate(&state::schema(), &told).unwrap();
    assert!(!jsonschema::is_valid(&state::schema(), &serde_json::json!({"phase": "sleeping"})));
    let back: state::DaemonState = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_value(&back).unwrap(), told, "and what the command reads");
}

#[test]
fn the_numbers_are_named_as_prometheus_wants_them() {
    let (server, _folder) = server();
    let (code, text) = get(&server, "/metrics");
    assert_eq!(code, 200);
    for line in [
        "# TYPE throughline_source_records_total counter",
        "throughline_source_records_total{source=\"a\"} 0",
        "# TYPE throughline_ready gauge",
        "throughline_ready 0",
        "throughline_source_up{source=\"a\"} 0",
        "throughline_transactions{flow=\"order\",state=\"open\"} 0",
    ] {
        assert!(text.lines().any(|shown| shown == line), "{line}\n{text}");
    }
    assert!(!text.contains("otel"), "{text}");
    assert_eq!(text, get(&server, "/metrics").1, "a second scrape counts nothing twice");
}

#[test]
fn an_address_is_served_once() {
    let (server, folder) = server();
    let listen = server.address.to_string();
    let board = board(folder.path());
    let error = Server::start(&listen, board.clone()).err().unwrap().to_string();
    assert!(error.contains(&listen) && error.contains("listen: off"), "{error}");
    let nowhere = Server::start("192.0.2.1:80", board.clone()).err().unwrap().to_string();
    assert!(nowhere.contains("192.0.2.1:80") && nowhere.contains("127.0.0.1:7780"), "{nowhere}");
    drop(server);
    assert!(Server::start(&listen, board).is_ok(), "it was let go");
}

#[test]
fn who_connects_and_says_nothing_holds_nobody_up() {
    let (server, _folder) = server();
    let silent: Vec<_> = (0..20).map(|_| std::net::TcpStream::connect(server.address).unwrap()).collect();
    assert_eq!(get(&server, "/healthz").0, 200);
    let begun = std::time::Instant::now();
    drop(server);
    assert!(begun.elapsed() < Duration::from_secs(1), "and no stop");
    drop(silent);
}
