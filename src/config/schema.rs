//! The JSON Schema of the configuration, with which editors complete and explain.

mod push;
mod rabbitmq;

use crate::flow::dialect::{DIALECTS, Dialect, ENCODINGS};
use serde_json::{Value, json};

/// The schema. A test holds it to what the loader reads.
pub fn schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The configuration of Throughline: throughline.yaml",
        "type": "object",
        "additionalProperties": false,
        "required": ["flows", "sources"],
        "properties": {
            "flows": {
                "description": "A folder of flows, a file, or a list of them; relative to this file.",
                "oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]
            },
            "clock_skew": duration("How far clocks may differ. Default: 5s."),
            "server": {
                "description": "Where `run` serves /status, /healthz, /readyz and /metrics.",
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "listen": text("A host and a port, or `off`. Default: 127.0.0.1:7780.")
                }
            },
            "keep": {
                "description": "How much the daemon keeps on disk.",
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "journal_age": duration("How long what was seen is kept, in the journal of each flow. Default: 30d."),
                    "journal_gib": {"description": "How much the journal of each flow may take. Default: 16.", "type": ["string", "integer"],
            "pattern": r"^([0-9]+|.*\$\{.*)$"},
                    "findings": {"description": "How many findings are kept. Default: 1000000.", "type": "integer", "minimum": 1}
                }
            },
            "webhook": {
                "description": "Who is sent the findings of `run`.",
                "type": "object",
                "additionalProperties": false,
                "required": ["url"],
                "properties": {
                    "url": text("Where they are posted as JSON."),
                    "on": choice("The least severity that is sent. Default: warning.", &["info", "warning", "critical"]),
                    "token": text("What the receiver is shown as a bearer token; best given as ${NAME}.")
                }
            },
            "sources": {
                "description": "What is read, by name.",
                "type": "object",
                "minProperties": 1,
                "propertyNames": {"pattern": "^[\\p{L}\\p{N}_-]+$"},
                "additionalProperties": {"oneOf": [
                    file(), kafka(), postgres(), changes(), mysql(), mysql_changes(), sqlite(), push::otlp(), push::http(),
                    rabbitmq::rabbitmq(), redis()
                ]}
            }
        }
    })
}

/// A duration, or text with a variable in it.
const DURATION: &str = r"^(0|([0-9]+y)?([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?|.*\$\{.*)$";
/// A path into a record.
const PATH: &str = r"^((body|row|op|headers|key|meta)([.\[].*)?|.*\$\{.*)$";

fn duration(description: &str) -> Value {
    json!({"description": description, "type": ["string", "integer"], "pattern": DURATION})
}

fn path(description: &str) -> Value {
    json!({"description": description, "type": "string", "pattern": PATH})
}

fn choice(description: &str, choices: &[&str]) -> Value {
    json!({"description": description, "enum": choices})
}

fn texts(description: &str) -> Value {
    json!({"description": description, "oneOf": [
        {"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}
    ]})
}

fn text(description: &str) -> Value {
    json!({"description": description, "type": "string"})
}

/// A type of source: what it needs, its own options, and those that all types share.
fn source(kind: &str, required: &[&str], own: Value) -> Value {
    let (Value::Object(mut properties), Value::Object(shared)) = (own, shared()) else {
        unreachable!("both are written as maps");
    };
    for (name, option) in shared {
        properties.entry(name).or_insert(option);
    }
    properties.insert("type".into(), json!({"description": "What kind of system it is.", "const": kind}));
    json!({"type": "object", "additionalProperties": false, "required": required, "properties": properties})
}

/// The options of every type.
fn shared() -> Value {
    json!({
        "pattern": text("Of `format: regex`: the expression; its named groups are the fields."),
        "time": path("Where the event time stands: RFC 3339, epoch seconds to nanoseconds, or as `time_format` says."),
        "time_format": text("How a time in text is written, where it is not RFC 3339 (strftime)."),
        "zone": text("The zone of times that name none, such as Europe/Berlin. Default: UTC."),
        "key": path("Where the record's own key stands, in a dump of a keyed system."),
        "op": path("Where the kind of change stands (insert, update, delete), in a dump of a change stream."),
        "columns": {
            "description": "Of `format: debezium`, where messages carry no schema: how columns are encoded, by name.",
            "type": "object",
            "additionalProperties": text(&format!("One of {ENCODINGS}."))
        },
        "parse": {
            "description": "Further decoding of parts of a record, in order.",
            "type": "array",
            "items": parse_rule()
        },
        "decode": choice(
            "Validate each record whole (`strict`), or up to the last field that is needed (`needed`, the default).",
            &["needed", "strict"]
        ),
        "undecodable": choice(
            "Whether a record that cannot be read leaves a gap. Default: `gap` for structured formats, `skip` for \
             `regex` and `text`.",
            &["gap", "skip"]
        ),
        "clock": choice(
            "Whose clock stamped the records: one, or those of many hosts. Default: one clock a file, many of a topic.",
            &["one", "many"]
        ),
        "resolution": duration("The unit that times are rounded to. Default: they are exact; of a topic's own times, 1ms."),
        "gaps": {
            "description": "Known holes, both ends included.",
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": false,
                "required": ["from", "to"],
                "properties": {"from": text("Where it begins."), "to": text("Where it ends.")}
            }
        },
        "silence": duration("Having said nothing for longer than this is a gap."),
        "redact": {
            "description": "Paths whose values are never stored, shown or sent.",
            "anyOf": [path("A path."), {"type": "array", "items": path("A path."), "minItems": 1}]
        },
        "jump_max": duration("A time further than this from its neighbours must be confirmed by a second record. Default: 1d.")
    })
}

fn file() -> Value {
    source(
        "file",
        &["type", "path", "format"],
        json!({
            "path": text("A file, or several by a glob; relative to the configuration. Compressed (gzip, zstd) or not."),
            "begins": text("Where records have several lines, as with stack traces: the expression that their first lines match."),
            "format": choice(
                "How a record is written; `document`: a whole file is one record. The rest are formats of other tools.",
                &[&["json", "csv", "logfmt", "regex", "text", "document"], &DIALECTS[..]].concat()
            ),
            "delimiter": text("Of `format: csv` and `jtl`: the character between columns, or `tab`. Default: a comma."),
            "lateness": {
                "description": "The longest span from an event's time to its standing in the file, or `end`: in no order \
                                of time at all. Default: 0.",
                "anyOf": [{"const": "end"}, duration("A span.")]
            },
            "start": text(
                "Where `run` begins when it follows the files for the first time: `latest` (the default), with what is \
                 written from then on, `beginning`, or a moment."
            ),
            "carries": choice(
                "What it is a recording of; decides between a lost message and a missing step. Default: lines.",
                &["messages", "rows", "lines"]
            )
        }),
    )
}

fn postgres() -> Value {
    tables(
        "postgres",
        &["type", "url", "tables"],
        json!({
            "url": text(
                "`postgres://user:password@host:5432/database`; TLS by `?sslmode=verify-full&sslrootcert=FILE`. Better a \
                 variable: `${SHOP_URL}`."
            ),
            "capture": choice("How changes are found. Default: poll.", &["poll"])
        }),
    )
}

fn mysql() -> Value {
    tables(
        "mysql",
        &["type", "url", "tables"],
        json!({
            "url": text(
                "`mysql://user:password@host:3306/database`, for MariaDB too; TLS by `?ssl-mode=VERIFY_IDENTITY&ssl-ca=FILE`. \
                 Better a variable: `${SHOP_URL}`."
            ),
            "capture": choice("How changes are found. Default: poll.", &["poll"])
        }),
    )
}

/// Of `type: mysql`, what `capture: changes` has.
fn mysql_changes() -> Value {
    let mut schema = changes();
    let Some(properties) = schema["properties"].as_object_mut() else { unreachable!("a source has options") };
    ["publication", "slot"].map(|foreign| properties.remove(foreign));
    properties["type"]["const"] = "mysql".into();
    properties["capture"]["description"] = "Every change is read out of the server's binary log.".into();
    properties["url"] = text("Where the database is: mysql://user:password@host:3306/database; best given as ${NAME}.");
    properties.insert(
        "server_id".into(),
        json!({
            "description": "The number under which the server knows us among its replicas. Default: a random one.",
            "type": "integer", "minimum": 1
        }),
    );
    schema
}

fn sqlite() -> Value {
    let own = json!({"path": text("The database's file; relative to the configuration.")});
    tables("sqlite", &["type", "path", "tables"], own)
}

/// Sources of tables: rows are JSON, and bring their key and their time.
fn tables(kind: &str, required: &[&str], own: Value) -> Value {
    let mut schema = source(kind, required, own);
    let Some(properties) = schema["properties"].as_object_mut() else { unreachable!("a source has options") };
    for foreign in ["pattern", "time", "time_format", "zone", "key", "op", "columns"] {
        properties.remove(foreign);
    }
    properties.insert(
        "tables".into(),
        json!({
            "description": "The tables by name, letter by letter; a schema stands before a dot.",
            "type": "object",
            "minProperties": 1,
            "additionalProperties": table()
        }),
    );
    properties.insert("poll".into(), duration("From one poll to the next. Default: 1s."));
    properties
        .insert("lateness".into(), duration("The longest span from a row's time to its being visible. Default: 5s."));
    properties.insert("start".into(), start("the tables"));
    schema
}

fn start(what: &str) -> Value {
    text(&format!(
        "Which rows of {what} are read that are there at the very first start: none (`latest`, the default), all \
         (`beginning`), or those of a moment and later."
    ))
}

fn table() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "columns": {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "key": texts("What tells rows apart. Default: the primary key."),
                    "updated": text("The column that rises when a row is changed."),
                    "time": text("The column that says when it happened, where that is not `updated`.")
                }
            },
            "zone": text("The zone of columns that name none. Default: UTC."),
            "sweep": text(
                "How often all of it is looked through: a span, or `never` where `updated` is to be trusted. Default: as \
                 often as it costs little."
            ),
            "start": start("this table")
        }
    })
}

fn kafka() -> Value {
    source(
        "kafka",
        &["type", "brokers", "topics"],
        json!({
            "brokers": texts("Where to begin: `host:port`, several in a list or by commas."),
            "topics": texts("Topics that are followed, by name; one that begins with `^` is an expression that names must match."),
            "isolation": choice(
                "Whether what is not committed is read as well. Default: read_committed.",
                &["read_committed", "read_uncommitted"]
            ),
            "security": security(),
            "format": choice(
                "How a message is written. Default: json.",
                &[&["json", "logfmt", "regex", "text", "document", "avro", "protobuf"], &of_messages()[..]].concat()
            ),
            "registry": registry(),
            "lateness": duration("The longest span from a message's time to its being visible in the topic. Default: 5s."),
            "start": text(
                "Where `run` begins when it follows the topics for the first time: `latest` (the default), with what is \
                 written from then on, `earliest`, or a moment."
            )
        }),
    )
}

/// The formats of other tools that are written to messages.
fn of_messages() -> Vec<&'static str> {
    let test_result = |name: &&str| Dialect::named(name).is_some_and(|dialect| dialect.is_test_result());
    DIALECTS.into_iter().filter(|name| !test_result(name)).collect()
}

fn registry() -> Value {
    json!({
        "description": "Of `format: avro` and `format: protobuf`: where schemas are asked for (Confluent's API).",
        "type": "object",
        "additionalProperties": false,
        "required": ["url"],
        "properties": {
            "url": text("Its address, as `http://registry:8081`."),
            "username": text("The user."),
            "password": text("Its password; better a variable: `${REGISTRY_PASSWORD}`."),
            "ca": text("The file of the authorities that are trusted (PEM). Default: those of the machine.")
        }
    })
}

/// Of `type: postgres`, what `capture: changes` has.
fn changes() -> Value {
    let columns = json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {"key": texts("The columns that tell its rows apart. Default: its primary key.")}
    });
    source(
        "postgres",
        &["type", "capture", "url", "tables"],
        json!({
            "capture": json!({
                "description": "Every change is read out of the database's log, instead of polling the tables.",
                "const": "changes"
            }),
            "url": text("Where the database is: postgres://user:password@host:5432/database; best given as ${NAME}."),
            "publication": text("The administrator's publication of the tables. Default: throughline."),
            "slot": text("A permanent replication slot, which loses nothing while `run` stands still. Default: a temporary one."),
            "tables": {
                "description": "The tables, with the schema where that is not `public`.",
                "type": "object",
                "minProperties": 1,
                "additionalProperties": {
                    "type": "object",
                    "additionalProperties": false,
                    "properties": {"columns": columns}
                }
            },
            "lateness": duration("The longest span from a commit's time to its being visible; at least 1s, the default."),
            "start": text(
                "Where `run` begins when it follows the tables for the first time: `latest` (the default), or `beginning`, \
                 with the rows that are there."
            )
        }),
    )
}

fn security() -> Value {
    json!({
        "description": "How to get in.",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "protocol": choice(
                "As Kafka calls it. Default: sasl_ssl with a `mechanism`, else ssl.",
                &["ssl", "sasl_ssl", "sasl_plaintext"]
            ),
            "mechanism": choice("How the user is known.", &["plain", "scram-sha-256", "scram-sha-512"]),
            "username": text("The user."),
            "password": text("Its password; better a variable: `${KAFKA_PASSWORD}`."),
            "ca": text("The file of the authorities that are trusted (PEM). Default: those of the machine."),
            "certificate": text("The file of the client's certificate (PEM)."),
            "key": text("The file of its private key (PEM)."),
            "key_password": text("The password of the private key.")
        }
    })
}

fn redis() -> Value {
    let names = |description: &str| {
        json!({"description": description, "oneOf": [
            {"type": "string"},
            {"type": "array", "items": {"type": "string"}, "minItems": 1},
            {"type": "object", "minProperties": 1, "additionalProperties": texts("Its patterns.")}
        ]})
    };
    let mut schema = source(
        "redis",
        &["type", "url"],
        json!({
            "url": texts(
                "`redis://user:password@host:6379/0`, or `rediss://` with TLS; of a cluster some of its nodes, with `sentinel` \
                 the sentinels. Better a variable: `${REDIS_URL}`."
            ),
            "sentinel": {
                "description": "The sentinels at `url` know the master.",
                "type": "object",
                "additionalProperties": false,
                "required": ["master"],
                "properties": {
                    "master": text("The name under which they watch it."),
                    "username": text("The user, where the sentinels themselves ask for one."),
                    "password": text("Its password; better a variable: `${SENTINEL_PASSWORD}`.")
                }
            },
            "security": {
                "description": "The files of TLS.",
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "ca": text("The authorities that are trusted (PEM). Default: those of the machine."),
                    "certificate": text("The client's certificate (PEM)."),
                    "key": text("Its private key (PEM).")
                }
            },
            "format": choice(
                "What stands there: JSON, or any text (the default), or jobs and events of BullMQ, by the library's names.",
                &["json", "bullmq"]
            ),
            "keys": names("The keys whose changes are followed, by Redis's patterns; in a map, by names of your own."),
            "types": texts("The types of their values: string, list, set, hash, zset. Default: all."),
            "streams": texts("The streams, by their keys."),
            "channels": names("The channels, by name or by pattern; in a map, by names of your own."),
            "lateness": duration("The longest span from an event's time to its being visible. Default: 1s."),
            "start": text(
                "Where `run` begins when it follows for the first time: `latest` (the default), `beginning` with the keys and \
                 entries that are there, or, of streams, a moment."
            )
        }),
    );
    let Some(properties) = schema["properties"].as_object_mut() else { unreachable!("a source has options") };
    properties.remove("pattern");
    schema
}

fn parse_rule() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["from"],
        "oneOf": [{"required": ["json"]}, {"required": ["logfmt"]}, {"required": ["regex"]}],
        "properties": {
            "from": path("The text to decode."),
            "json": path("Decode it as JSON; the result goes here."),
            "logfmt": path("Decode it as logfmt; the result goes here."),
            "regex": text("Decode it by an expression with named groups."),
            "into": path("Where the groups of `regex` go. Default: body.")
        }
    })
}
