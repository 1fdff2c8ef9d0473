//! What becomes of requests.

use super::request::{Encoding, Signal, read};
use super::status;
use crate::model::time::Time;
use crate::sources::push::{Event, Refusal};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde_json::Value;

const NOW: Time = Time(1_700_000_000_000_000_000);

/// The examples of OTLP's own documentation, with values of all types.
const TRACE: &str = r#"{"resourceSpans": [{
  "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "my.service"}}]},
  "scopeSpans": [{
    "scope": {"name": "my.library", "version": "1.0.0",
      "attributes": [{"key": "my.scope.attribute", "value": {"stringValue": "some scope attribute"}}]},
    "spans": [{
      "traceId": "5B8EFFF798038103D269B633813FC60C", "spanId": "EEE19B7EC3C1B174", "parentSpanId": "EEE19B7EC3C1B173",
      "name": "I'm a server span", "startTimeUnixNano": "1544712660000000000", "endTimeUnixNano": "1544712661000000000",
      "kind": 2, "unknown": true,
      "status": {"code": 2, "message": "it broke"},
      "events": [{"timeUnixNano": "1544712660500000000", "name": "tried", "attributes": [{"key": "n", "value": {"intValue": "2"}}]}],
      "links": [{"traceId": "5B8EFFF798038103D269B633813FC60D", "spanId": "EEE19B7EC3C1B175"}],
      "attributes": [
        {"key": "order.id", "value": {"stringValue": "o-1"}},
        {"key": "count", "value": {"intValue": "9007199254740993"}},
        {"key": "ratio", "value": {"doubleValue": 0.5}},
        {"key": "paid", "value": {"boolValue": true}},
        {"key": "raw", "value": {"bytesValue": "AAEC"}},
        {"key": "items", "value": {"arrayValue": {"values": [{"intValue": 1}, {"stringValue": "two"}]}}},
        {"key": "nested", "value": {"kvlistValue": {"values": [{"key": "a.b", "value": {"boolValue": false}}]}}},
        {"key": "nothing", "value": {}}
      ]
    }, {"traceId": "00", "spanId": "EEE19B7EC3C1B174", "name": "no id"}]
  }]
}]}"#;

const LOGS: &str = r#"{"resourceLogs": [{"scopeLogs": [{"logRecords": [
  {"timeUnixNano": "1544712660300000000", "observedTimeUnixNano": "1544712660900000000", "severityNumber": 10,
   "severityText": "Information", "traceId": "5B8EFFF798038103D269B633813FC60C", "spanId": "EEE19B7EC3C1B174",
   "body": {"stringValue": "order o-1 paid"}, "attributes": [{"key": "log.record.uid", "value": {"stringValue": "u-1"}}]},
  {"observedTimeUnixNano": "1544712660900000000", "eventName": "paid", "body": {"kvlistValue": {"values": [{"key": "order", "value": {"stringValue": "o-1"}}]}}},
  {"body": {"doubleValue": 1.5}},
  {"timeUnixNano": "18446744073709551615"}
]}]}]}"#;

/// What a request comes to, how many of it are rejected, and why the first.
fn taken(body: &[u8], encoding: Encoding, signal: Signal) -> (Vec<Event>, i64, String) {
    read(body, (encoding, signal), NOW, 4 << 20).unwrap().told()
}

fn told(events: &[Event]) -> String {
    let one = |event: &Event| match event {
        Event::Record { stream, key, time, payload, .. } => {
            let body: Value = serde_json::from_slice(payload).unwrap();
            format!("{} {key:?} {}\n{body:#}", stream.as_ref().unwrap(), time.0)
        }
        Event::Undecodable { reason, detail, times } => format!("{reason}: {detail} ({times})"),
    };
    events.iter().map(one).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_span_has_the_names_of_the_standard_and_happened_when_it_ended() {
    let (events, rejected, _) = taken(TRACE.as_bytes(), Encoding::Json, Signal::Traces);
    insta::assert_snapshot!(told(&events));
    assert_eq!((rejected, events.len()), (1, 2));
    let request: ExportTraceServiceRequest = serde_json::from_str(TRACE).unwrap();
    let (sent, ..) = taken(&request.encode_to_vec(), Encoding::Protobuf, Signal::Traces);
    assert_eq!(sent, events, "as Protobuf it is the same");
}

#[test]
fn a_log_record_has_its_own_time_or_that_of_its_observation() {
    let (events, rejected, _) = taken(LOGS.as_bytes(), Encoding::Json, Signal::Logs);
    insta::assert_snapshot!(told(&events));
    assert_eq!(rejected, 1);
    let request: ExportLogsServiceRequest = serde_json::from_str(LOGS).unwrap();
    let (sent, ..) = taken(&request.encode_to_vec(), Encoding::Protobuf, Signal::Logs);
    assert_eq!(sent, events, "as Protobuf it is the same");
}

/// A field of Protobuf that has a length.
fn field(tag: u8, of: &[u8]) -> Vec<u8> {
    let mut all = vec![tag << 3 | 2];
    prost::encoding::encode_varint(of.len() as u64, &mut all);
    all.extend(of);
    all
}

/// A request of one resource with these spans, each as it is written.
fn request(resource: &[u8], spans: &[u8]) -> Vec<u8> {
    field(1, &[field(1, resource), field(2, spans)].concat())
}

fn sound_span() -> Vec<u8> {
    field(2, &[field(1, &[7; 16]), field(2, &[8; 8])].concat())
}

#[test]
fn a_span_that_is_wrong_spoils_no_other() {
    let sound = r#"{"traceId": "5B8EFFF798038103D269B633813FC60C", "spanId": "EEE19B7EC3C1B174"}"#;
    let wrong = [
        r#"{"traceId": 7}"#,
        "null",
        r#"{"kind": "x"}"#,
        r#"{"attributes": [{"key": "a", "value": {"intValue": []}}]}"#,
    ];
    let spans = [&[sound][..], &wrong, &[sound]].concat().join(",");
    let json = format!(
        r#"{{"resourceSpans": [{{"scopeSpans": [{{"scope": null, "spans": [{spans}]}}], "resource": {{}}}}]}}"#
    );
    let (events, rejected, why) = taken(json.as_bytes(), Encoding::Json, Signal::Traces);
    assert_eq!((events.len(), rejected), (3, 4), "{why}");
    assert!(matches!(&events[2], Event::Undecodable { reason: "otlp", times: 4, .. }), "{events:?}");
    assert!(why.contains("7"), "{why}");
    let broken = field(2, &[0x0a, 0xff]);
    let protobuf = request(b"", &[sound_span(), broken, sound_span()].concat());
    let (events, rejected, why) = taken(&protobuf, Encoding::Protobuf, Signal::Traces);
    assert_eq!((events.len(), rejected), (3, 1), "{why}");
    // What the spans stand in is wrong: nobody knows what was meant.
    for broken in [r#"{"resourceSpans": 1}"#, r#"{"resourceSpans": [{"resource": 1}]}"#, r#"{"resourceSpans": [{"#] {
        assert!(read(broken.as_bytes(), (Encoding::Json, Signal::Traces), NOW, 9).is_err(), "{broken}");
    }
}

#[test]
fn a_small_request_does_not_become_a_large_one() {
    // Two million spans without anything, of two bytes each.
    let (events, rejected, _) = taken(&request(b"", &[0x12, 0].repeat(2 << 20)), Encoding::Protobuf, Signal::Traces);
    assert_eq!((events.len(), rejected), (1, 2 << 20), "they are counted, and not kept");
    // Links without anything in one span.
    let links = [field(1, &[7; 16]), field(2, &[8; 8]), [0x6a, 0].repeat(20_001)].concat();
    let spans = [field(2, &links), sound_span()].concat();
    let (events, rejected, why) = taken(&request(b"", &spans), Encoding::Protobuf, Signal::Traces);
    assert_eq!((events.len(), rejected), (2, 1));
    assert!(why.contains("20000"), "{why}");
    let json = format!(
        r#"{{"resourceSpans": [{{"scopeSpans": [{{"spans": [{{"links": [{}]}}]}}]}}]}}"#,
        ["{}"; 20_001].join(",")
    );
    assert_eq!(taken(json.as_bytes(), Encoding::Json, Signal::Traces).1, 1);
    // A resource of 100 kB that each of its spans is kept with.
    let resource = field(1, &[field(1, b"name"), field(2, &field(1, &[b'x'; 100_000]))].concat());
    let (events, rejected, why) =
        taken(&request(&resource, &sound_span().repeat(10_000)), Encoding::Protobuf, Signal::Traces);
    let bytes: usize = events.iter().map(Event::bytes).sum();
    assert!(bytes <= 64 << 20 && bytes > 60 << 20, "{bytes}");
    assert!(rejected > 9_000 && events.len() as i64 + rejected == 10_001 && why.contains("send fewer"), "{why}");
}

#[test]
fn what_may_come_again_says_when() {
    let status = status::again(Refusal::Full);
    let details = status.details[0].clone();
    assert_eq!(details.type_url, "type.googleapis.com/google.rpc.RetryInfo");
    let retry = status::RetryInfo::decode(&*details.value).unwrap();
    assert_eq!(retry.retry_delay, Some(status::Span { seconds: 1, nanos: 0 }));
    assert_eq!(status.grpc().code(), tonic::Code::ResourceExhausted);
    assert_eq!(status::RpcStatus::decode(status.grpc().details()).unwrap(), status);
}
