//! Sources that listen.

use super::{choice, duration, of_messages, source, text, texts};
use serde_json::{Value, json};

/// Spans and log records that are sent by OTLP.
pub(super) fn otlp() -> Value {
    let own = json!({
        "grpc": text("Where OTLP over gRPC is listened to. With neither `grpc` nor `http`: 127.0.0.1:4317, and 4318 for HTTP."),
        "http": text("Where OTLP over HTTP is listened to (/v1/traces, /v1/logs)."),
        "format": choice(
            "`json` (the default): fields have the names of OTLP's own; `otel-messaging`: spans of messaging alone, whose \
             fields have the names of the conventions.",
            &["json", "otel-messaging"]
        )
    });
    let mut schema = pushed("otlp", own);
    let Some(properties) = schema["properties"].as_object_mut() else { unreachable!("a source has options") };
    // What OTLP brings has its own time and its own key.
    for foreign in ["pattern", "time", "time_format", "zone", "key", "op"] {
        properties.remove(foreign);
    }
    schema
}

/// Events that are posted.
pub(super) fn http() -> Value {
    let own = json!({
        "listen": text("Where events are posted to, at /ingest/NAME. Default: 127.0.0.1:8088."),
        "format": choice("How an event is written. Default: json.", &[&["json"], &of_messages()[..]].concat()),
        "key": super::path("Where an event's id stands, by which one that is sent twice counts once; CloudEvents have theirs.")
    });
    let mut schema = pushed("http", own);
    if let Some(properties) = schema["properties"].as_object_mut() {
        properties.remove("pattern");
    }
    schema
}

fn pushed(kind: &str, own: Value) -> Value {
    let (Value::Object(mut all), Value::Object(own)) = (shared(), own) else {
        unreachable!("both are written as maps")
    };
    all.extend(own);
    source(kind, &["type"], Value::Object(all))
}

/// The options that sources have which listen.
fn shared() -> Value {
    json!({
        "tokens": texts("Who sends shows one of these as a bearer token; better variables: `${INGEST_TOKEN}`. Default: everybody may send."),
        "tls": {
            "description": "What is shown to senders; without, they send in the clear.",
            "type": "object",
            "additionalProperties": false,
            "required": ["certificate", "key"],
            "properties": {
                "certificate": text("The file of the certificate, and of those that it was issued by (PEM)."),
                "key": text("The file of its private key (PEM).")
            }
        },
        "senders": choice(
            "What senders do with a request that was not answered: give it up, so that a restart is a gap, or send it again. \
             Default: forget.",
            &["forget", "retry"]
        ),
        "limits": {
            "description": "How much is taken at once.",
            "type": "object",
            "additionalProperties": false,
            "properties": {
                "body": size("The largest request, also as it is decompressed. Default: 4MiB."),
                "waiting": size("What all requests that are under way may take together. Default: 64MiB."),
                "connections": {
                    "description": "Connections at the same time. Default: 128.",
                    "type": ["integer", "string"]
                }
            }
        },
        "lateness": duration("The longest span from an event's time to its being sent. Default: 30s."),
        "start": super::choice("What is sent is taken from now on.", &["latest"])
    })
}

fn size(description: &str) -> Value {
    json!({"description": description, "type": ["string", "integer"]})
}
