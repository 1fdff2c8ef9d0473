//! What becomes of requests.

use super::records::{Records, log_records, spans};
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

fn told(records: &Records) -> String {
    let one = |event: &Event| match event {
        Event::Record { stream, key, time, payload, .. } => {
            let body: Value = serde_json::from_slice(payload).unwrap();
            format!("{} {key:?} {}\n{body:#}", stream.as_ref().unwrap(), time.0)
        }
        Event::Undecodable { reason, detail } => format!("{reason}: {detail}"),
    };
    records.events.iter().map(one).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_span_has_the_names_of_the_standard_and_happened_when_it_ended() {
    let request: ExportTraceServiceRequest = serde_json::from_str(TRACE).unwrap();
    let records = spans(&request, NOW);
    insta::assert_snapshot!(told(&records));
    assert_eq!((records.rejected, records.events.len()), (1, 2));
    let sent = ExportTraceServiceRequest::decode(&*request.encode_to_vec()).unwrap();
    assert_eq!(spans(&sent, NOW).events, records.events, "as Protobuf it is the same");
}

#[test]
fn a_log_record_has_its_own_time_or_that_of_its_observation() {
    let request: ExportLogsServiceRequest = serde_json::from_str(LOGS).unwrap();
    let records = log_records(&request, NOW);
    insta::assert_snapshot!(told(&records));
    assert_eq!(records.rejected, 1);
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
