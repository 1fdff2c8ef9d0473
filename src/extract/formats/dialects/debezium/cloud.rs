//! Changes that Debezium's converter has wrapped into CloudEvents: the row is the event's data, and what the envelope
//! says besides stands in attributes, whose names begin with `iodebezium` and have lost their underscores.

use super::super::object::Object;
use crate::model::json;
use crate::model::value::Value;

const PREFIX: &str = "iodebezium";

/// Names that are looked for, as the envelope spells them.
const SPELT: [&str; 5] = ["ts_ms", "ts_us", "ts_ns", "origin_lsn", "server_id"];

/// What the envelope would say beside the row: `op` and `source`. `None` where the message is no such event.
pub(super) fn besides<'a>(event: &Object<'a>) -> Option<Object<'a>> {
    let op = event.get("iodebeziumop");
    if !event.has("specversion") || op == Value::Null {
        return None;
    }
    let source = event.0.iter().filter_map(|(name, value)| {
        let name = name.strip_prefix(PREFIX).filter(|name| *name != "op" && !name.starts_with("tx"))?;
        let spelt = SPELT.iter().find(|spelt| spelt.replace('_', "") == name).copied();
        let value = match value {
            // Times are numbers there.
            Value::Text(number) if name.starts_with("ts") => json::text(&json::value(number)),
            value => json::text(value),
        };
        Some((spelt.unwrap_or(name), value))
    });
    let source = Value::Json(json::object(source).into());
    Some(Object(vec![("op".into(), op), ("source".into(), source)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_attributes_are_what_the_envelope_says() {
        let text = r#"{"specversion":"1.0","id":"1","iodebeziumop":"u","iodebeziumdb":"shop","iodebeziumtsms":"17","iodebeziumlsn":"27",
            "iodebeziumtxid":null,"iodebeziumsequence":"[null]","data":{}}"#;
        let besides = besides(&Object::read(text).unwrap()).unwrap();
        assert_eq!(besides.text("op"), Some("u"));
        let expect = r#"{"db":"shop","ts_ms":17,"lsn":"27","sequence":"[null]"}"#;
        assert_eq!(besides.get("source"), Value::Json(expect.into()));
        for other in [r#"{"specversion":"1.0","data":{}}"#, r#"{"iodebeziumop":"u"}"#] {
            assert!(super::besides(&Object::read(other).unwrap()).is_none());
        }
    }
}
