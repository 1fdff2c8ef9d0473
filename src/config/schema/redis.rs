//! The schema of `type: redis`.

use super::{choice, duration, of_messages, source, text, texts};
use serde_json::{Value, json};

/// Keys, streams and channels.
pub(super) fn redis() -> Value {
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
            "keys": names("The keys whose changes are followed, by Redis's patterns; in a map, by names of your own."),
            "types": texts("The types of their values: string, list, set, hash, zset. Default: all."),
            "streams": texts("The streams, by their keys."),
            "channels": names("The channels, by name or by pattern; in a map, by names of your own."),
            "format": choice(
                "How what is read is written: JSON, or as a library writes it; of keys, `bullmq` alone. Default: json.",
                &[&["json"], &of_messages()[..]].concat()
            ),
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
