//! OpenTelemetry's own SDK of Python sends to it.

use super::otlp::Receiver;
use super::{holes, records, undecodable};
use crate::servers::certificates;
use crate::watch::Seen;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use throughline::sources::push::{Options, Tls};
use throughline::sources::secret::Secret;

/// The interpreter that has the SDK: `tests/run` installs it.
pub fn python() -> PathBuf {
    let ours = || PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../tools/python/bin/python3");
    let python = std::env::var_os("OTEL_PYTHON").map_or_else(ours, PathBuf::from);
    assert!(
        python.exists(),
        "{} is not there: run tests/run, or set OTEL_PYTHON to a Python with opentelemetry-sdk, \
         opentelemetry-exporter-otlp-proto-grpc and opentelemetry-exporter-otlp-proto-http",
        python.display()
    );
    python
}

/// Has a shop send so many orders.
pub fn send(protocol: &str, endpoint: &str, count: usize) -> Command {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/contract/push/sdk.py");
    let mut command = Command::new(python());
    command.args([script, protocol, endpoint, &count.to_string()]).stdin(Stdio::null());
    command
}

#[test]
fn an_sdk_comes_over_tls_by_both_protocols() {
    let folder = tempfile::tempdir().unwrap();
    certificates::make(folder.path());
    let path = |name: &str| folder.path().join(name);
    let tls = Some(Tls { certificate: path("server.crt"), key: path("server.key") });
    let receiver = Receiver::new(Options { tls, ..Options::default() });
    let watch = receiver.listen();
    for (protocol, address) in [("grpc", &receiver.grpc), ("http", &receiver.http)] {
        let mut shop = send(protocol, &format!("https://{address}"), 1);
        // The machine's own authorities would take the place of the one that is named.
        shop.env_remove("REQUESTS_CA_BUNDLE").env_remove("CURL_CA_BUNDLE");
        let sent = shop.env("OTEL_EXPORTER_OTLP_CERTIFICATE", path("ca.pem")).output().unwrap();
        assert!(sent.status.success(), "{protocol}: {}", String::from_utf8_lossy(&sent.stderr));
    }
    let spans = records(&watch.stop().0).iter().filter(|record| record.stream.as_deref() == Some("traces")).count();
    assert_eq!(spans, 4);
}

fn body(record: &Seen) -> Value {
    serde_json::from_str(&record.payload).unwrap()
}

#[test]
fn an_sdk_of_another_language_is_understood() {
    for protocol in ["grpc", "http"] {
        let push = Options { tokens: vec![Secret("sdk-s3cret-token".into())], ..Options::default() };
        let receiver = Receiver::new(push);
        let watch = receiver.listen();
        let endpoint = format!("http://{}", if protocol == "grpc" { &receiver.grpc } else { &receiver.http });
        let sent = send(protocol, &endpoint, 3).output().unwrap();
        assert!(sent.status.success(), "{protocol}: {}", String::from_utf8_lossy(&sent.stderr));
        let (said, _) = watch.stop();
        assert_eq!((undecodable(&said).len(), holes(&said)), (0, 0));
        let all = records(&said);
        let named = |stream: &str, name: &str| -> Vec<Value> {
            let of = all.iter().filter(|record| record.stream.as_deref() == Some(stream)).map(body);
            of.filter(|body| stream == "logs" || body["name"] == name).collect()
        };
        let (orders, payments, lines) = (named("traces", "POST /orders"), named("traces", "pay"), named("logs", ""));
        assert_eq!((orders.len(), payments.len(), lines.len()), (3, 3, 3), "{protocol}");
        let order = &orders[1];
        assert_eq!((&order["kind"], &order["status"]["code"]), (&json!("SERVER"), &json!("UNSET")));
        assert_eq!(order["attributes"], json!({"order.id": "o-1", "order.lines": 1, "order.tags": ["a", "b"]}));
        assert_eq!(order["resource"]["attributes"]["service.name"], "checkout");
        assert_eq!((&order["scope"]["name"], &order["scope"]["version"]), (&json!("shop.checkout"), &json!("1.2.3")));
        assert_eq!(order["events"][0]["attributes"], json!({"rule": "stock"}));
        let payment = payments.iter().find(|payment| payment["parent_span_id"] == order["span_id"]).unwrap();
        assert_eq!(payment["status"], json!({"code": "ERROR", "message": "card refused"}));
        assert_eq!(payment["links"][0]["span_id"], order["span_id"]);
        assert_eq!((&payment["kind"], &payment["attributes"]["payment.amount"]), (&json!("CLIENT"), &json!(12.5)));
        let line = lines.iter().find(|line| line["span_id"] == order["span_id"]).unwrap();
        assert_eq!((&line["body"], &line["severity_text"]), (&json!("order placed"), &json!("INFO")));
        assert_eq!((&line["attributes"]["order.id"], &line["trace_id"]), (&json!("o-1"), &order["trace_id"]));
    }
}
