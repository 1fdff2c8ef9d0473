//! Every form of an event, what is refused, and how.

use super::{Answer, Inlet, JSON, LINES, agent, holes, post_by, records, undecodable};
use crate::servers::{certificates, free_port};
use crate::watch::{Said, now};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;
use throughline::model::time::{Span, Time};
use throughline::sources::push::{Options, Tls};
use throughline::sources::secret::Secret;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn events_are_handed_over_in_order_with_all_that_is_known_of_them() {
    let inlet = Inlet::new(Options::default());
    let watch = inlet.listen();
    let begun = now();
    let answer = inlet.post("/ingest/shop/orders", &[JSON, ("X-Shop-Event", "placed")], b"{\"n\":0}");
    assert_eq!((answer.status, answer.text()), (202, "{\"accepted\":1}\n"));
    // It was answered, so it was delivered.
    let said = watch.said();
    let [first] = &records(&said)[..] else { panic!("{said:?}") };
    assert_eq!((&*first.payload, first.stream.as_deref(), first.key.as_deref()), ("{\"n\":0}", Some("orders"), None));
    assert!(first.headers.contains(&("x-shop-event".into(), "placed".into())), "{first:?}");
    assert!(first.time.is_some_and(|time| begun <= time && time <= now()), "it happened when it came");
    let event = r#"{"specversion":"1.0","id":"1","source":"/shop","type":"paid","time":"2026-01-31T08:30:00.5Z"}"#;
    let cloud = ("content-type", "application/cloudevents+json");
    assert_eq!(inlet.post("/ingest/shop", &[cloud], event.as_bytes()).status, 202);
    let lines: String = (2..1_000).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    let headers = [LINES, ("content-encoding", "gzip"), ("idempotency-key", "k")];
    assert_eq!(inlet.post("/ingest/shop", &headers, &gzip(lines.as_bytes())).text(), "{\"accepted\":998}\n");
    let records = records(&watch.said());
    assert_eq!(records[1].key.as_deref(), Some("/shop 1"));
    assert_eq!(records[1].time, Some(Time(1_769_848_200_500_000_000)));
    assert_eq!((records[1].stream.as_deref(), records[2].key.as_deref()), (None, Some("k/0")));
    let offsets: Vec<u64> = records.iter().map(|record| record.offset).collect();
    assert_eq!(offsets, (0..1_000).collect::<Vec<_>>());
    assert_eq!(records[999].payload, "{\"n\":999}");
    let (said, _) = watch.stop();
    assert!(!said.iter().any(|said| matches!(said, Said::Hole(_) | Said::Failed(_) | Said::Undecodable { .. })));
}

#[test]
fn who_shows_no_token_is_told_nothing_and_counts_for_nothing() {
    let tokens = vec![Secret("one-token".into()), Secret("another-token".into())];
    let inlet = Inlet::new(Options { tokens, ..Options::default() });
    let watch = inlet.listen();
    for wrong in [&[JSON][..], &[JSON, ("authorization", "Bearer one-toke")]] {
        for path in ["/ingest/shop", "/elsewhere"] {
            let answer = inlet.post(path, wrong, b"{}");
            assert_eq!((answer.status, answer.text()), (401, ""), "{wrong:?} {path}");
        }
    }
    for right in ["Bearer one-token", "Bearer another-token"] {
        let answer = inlet.post("/ingest/shop", &[JSON, ("authorization", right)], b"{}");
        assert_eq!(answer.status, 202);
    }
    let (said, _) = watch.stop();
    assert_eq!((records(&said).len(), undecodable(&said).len(), holes(&said)), (2, 0, 0));
    assert!(!format!("{said:?}").contains("another-token"));
}

#[test]
fn what_cannot_be_taken_is_named_and_counted() {
    let inlet = Inlet::new(Options { body_max: 10_000, ..Options::default() });
    let watch = inlet.listen();
    let told = |answer: Answer, status: u16, words: &str| {
        assert!(answer.status == status && answer.text().contains(words), "{answer:?} {}", answer.text());
    };
    told(inlet.event("{\"a\":"), 400, "this is not JSON");
    told(inlet.post("/ingest/shop", &[LINES], b"{}\nno\n[]"), 202, "{\"accepted\":2,\"undecodable\":[{\"at\":1,");
    told(inlet.post("/ingest/shop", &[("content-type", "text/csv")], b"a,b"), 415, "application/json");
    told(inlet.event(&format!("\"{}\"", "x".repeat(10_000))), 413, "larger than 10000 bytes");
    let bomb = gzip(&vec![b' '; 50_000_000]);
    assert!(bomb.len() > 10_000);
    let bomb = gzip(&vec![b' '; 1_000_000]);
    assert!(bomb.len() < 10_000);
    told(inlet.post("/ingest/shop", &[JSON, ("content-encoding", "gzip")], &bomb), 413, "larger than 10000 bytes");
    told(inlet.post("/ingest/shop", &[JSON, ("content-encoding", "gzip")], b"{}"), 400, "content-encoding");
    told(inlet.post("/ingest/shop", &[JSON, ("content-encoding", "br")], b"{}"), 400, "`br` is not known");
    // Who is still sending its head may not get to read why.
    let large = inlet.post("/ingest/shop", &[JSON, ("x-large", &"x".repeat(200_000))], b"{}");
    assert!(matches!(large.status, 431 | 0), "{large:?}");
    // These are no events.
    told(inlet.post("/ingest/other", &[JSON], b"{}"), 404, "/ingest/shop");
    told(inlet.post("/ingest/shop/a/b", &[JSON], b"{}"), 404, "/ingest/shop");
    let response = agent().get(format!("http://{}/ingest/shop", inlet.listen)).call().unwrap();
    assert_eq!((response.status().as_u16(), response.headers()["allow"].to_str().unwrap()), (405, "POST"));
    let (said, _) = watch.stop();
    assert_eq!(records(&said).len(), 2);
    let reasons = ["syntax", "syntax", "content_type", "too_long", "too_long", "encoding", "encoding"];
    assert_eq!(undecodable(&said), reasons);
}

#[test]
fn progress_is_the_present_time_but_for_what_is_under_way() {
    let inlet = Inlet::new(Options::default());
    let watch = inlet.listen();
    watch.until_caught_up();
    // A sender that has begun, and does not go on.
    let mut slow = std::net::TcpStream::connect(&inlet.listen).unwrap();
    let begun = now();
    let head = "POST /ingest/shop HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{";
    slow.write_all(head.as_bytes()).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(3_000));
    let proofs = |said: &[Said]| -> Option<Time> {
        said.iter().filter_map(|said| if let Said::CaughtUp(at) = said { Some(*at) } else { None }).max()
    };
    let held = proofs(&watch.said()).unwrap();
    assert!(held <= begun + Span(50_000_000), "{held} is claimed, while a request is under way since {begun}");
    slow.write_all(b"}").unwrap();
    let come = now();
    watch.until("a proof after it", |said| proofs(said).is_some_and(|proof| proof >= come));
    assert_eq!(records(&watch.stop().0).len(), 1);
}

#[test]
fn a_certificate_is_shown_and_what_is_wrong_with_one_is_told() {
    let folder = tempfile::tempdir().unwrap();
    certificates::make(folder.path());
    let path = |name: &str| folder.path().join(name);
    let tls = |certificate: &str| Some(Tls { certificate: path(certificate), key: path("server.key") });
    let inlet = Inlet::new(Options { tls: tls("server.crt"), ..Options::default() });
    let watch = inlet.listen();
    let certificate = Certificate::from_pem(&std::fs::read(path("ca.pem")).unwrap()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&[certificate]));
    let config = config.unversioned_rustls_crypto_provider(provider).build();
    let agent: ureq::Agent =
        ureq::Agent::config_builder().tls_config(config).http_status_as_error(false).proxy(None).build().into();
    let url = format!("https://{}/ingest/shop", inlet.listen);
    let answer = post_by(&agent, &url, &[JSON], b"{\"n\":1}");
    assert_eq!(answer.status, 202, "{}", answer.text());
    assert_eq!(inlet.event("{}").status, 0, "in the clear nothing is answered");
    assert_eq!(records(&watch.stop().0).len(), 1);
    let wrong =
        Inlet { push: Options { tls: tls("none.pem"), ..Options::default() }, ..Inlet::new(Options::default()) };
    let watch = crate::watch::Watch::start(wrong.source(), Default::default());
    let said = watch.until("a failure", |said| said.iter().any(|said| matches!(said, Said::Failed(_))));
    assert!(format!("{said:?}").contains("none.pem"), "{said:?}");
}

#[test]
fn an_address_that_is_taken_is_told_and_tried_again() {
    let taken = std::net::TcpListener::bind(("127.0.0.1", free_port())).unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let inlet = Inlet { listen: listen.clone(), push: Options::default() };
    let watch = crate::watch::Watch::start(inlet.source(), Default::default());
    let said = watch.until("a failure", |said| said.iter().any(|said| matches!(said, Said::Failed(_))));
    let Some(Said::Failed(why)) = said.last() else { panic!("{said:?}") };
    assert!(why.contains(&listen) && why.contains("in use"), "{why}");
    drop(taken);
    watch.until_caught_up();
    assert_eq!(inlet.event("{}").status, 202);
}
