//! Of `type: rabbitmq`.

use super::{choice, duration, of_messages, source, text, texts};
use serde_json::{Value, json};

/// A number, or text with a variable in it.
const NUMBER: &str = r"^([0-9]+|.*\$\{.*)$";

/// The options of a broker.
pub(super) fn rabbitmq() -> Value {
    let number = |description: &str, least: u64| json!({"description": description, "type": ["integer", "string"], "pattern": NUMBER, "minimum": least});
    let mut schema = source(
        "rabbitmq",
        &["type", "url"],
        json!({
            "url": text(
                "`amqp://user:password@host:5672`, `amqps://` for TLS; another virtual host than `/` stands behind it. Better \
                 a variable: `${AMQP_URL}`."
            ),
            "tls": tls(),
            "queues": taps("Queues of our own, by a name for each, bound to exchanges.", queue()),
            "streams": taps("Streams that are read, by a name for each.", stream()),
            "firehose": taps("What the broker's own trace shows, by a name for each; it must be switched on there.", firehose()),
            "keep": duration("How long the broker keeps our queues when we are gone. Default: 10m."),
            "max_messages": number("So many messages wait in a queue of ours, at most. Default: 40000; 48000 is the most.", 1_000),
            "max_bytes": number("So many bytes of them. Default: 268435456.", 1 << 20),
            "durable": json!({
                "description": "Our queues are durable, for brokers that allow no others (RabbitMQ 4.3 on). Default: false.",
                "type": ["boolean", "string"],
                "pattern": r"^(true|false|.*\$\{.*)$"
            }),
            "format": choice(
                "How a message is written. Default: json.",
                &[&["json", "logfmt", "regex", "text", "document"], &of_messages()[..]].concat()
            ),
            "lateness": duration("The longest span from a message's time to its being in a queue. Default: 5s."),
            "start": text(
                "Where streams begin that are followed for the first time: `latest` (the default), `beginning`, or a moment."
            )
        }),
    );
    schema["anyOf"] = json!([{"required": ["queues"]}, {"required": ["streams"]}, {"required": ["firehose"]}]);
    schema
}

fn taps(description: &str, tap: Value) -> Value {
    json!({
        "description": description,
        "type": "object",
        "minProperties": 1,
        "propertyNames": {"pattern": "^[A-Za-z0-9._-]{1,128}$"},
        "additionalProperties": tap
    })
}

fn tls() -> Value {
    json!({
        "description": "Of `amqps://`.",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "ca": text("The file of an authority that is trusted beside those of the machine (PEM)."),
            "certificate": text("The file of the client's certificate (PEM)."),
            "key": text("The file of its private key (PEM).")
        }
    })
}

fn queue() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["exchange"],
        "properties": {
            "exchange": {"description": "The exchange; the default one cannot be bound to.", "type": "string", "minLength": 1},
            "routing": texts("Routing keys of a topic or direct exchange. Default: `#`, everything of a topic or fanout exchange."),
            "headers": {
                "description": "Of a headers exchange: names and texts; null asks for a header's presence.",
                "type": "object",
                "minProperties": 1,
                "additionalProperties": {"type": ["string", "null", "number", "boolean"]}
            },
            "match": choice("Whether all `headers` must match, or any. Default: all.", &["all", "any"])
        }
    })
}

fn stream() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "stream": text("The stream's own name. Default: as it is called here."),
            "start": text("Where it begins: `latest`, `beginning`, or a moment."),
            "offset": {"description": "The offset that it begins with.", "type": ["integer", "string"], "pattern": NUMBER, "minimum": 0}
        }
    })
}

fn firehose() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "oneOf": [{"required": ["exchange"]}, {"required": ["queue"]}],
        "properties": {
            "exchange": text("What is published to this exchange; the default one has the name \"\"."),
            "routing": text("Only what has this routing key; of the default exchange that is a queue's name."),
            "queue": text("What this queue delivers to those who read it.")
        }
    })
}
