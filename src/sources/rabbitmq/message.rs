//! What a message says beside its payload, as text.

use crate::model::time::Time;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};

/// Names and values, in order.
pub(super) type Headers = Vec<(String, String)>;

/// A message as a flow sees it.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Message {
    pub routing_key: String,
    pub headers: Headers,
    /// Its own time, as its publisher has stamped it.
    pub time: Option<Time>,
}

/// A message of an exchange or a stream.
pub(super) fn plain(exchange: &str, routing_key: &str, redelivered: bool, properties: &BasicProperties) -> Message {
    let mut headers = Vec::new();
    if let Some(table) = properties.headers() {
        own(table, &mut headers);
    }
    let short = |value: &Option<lapin::types::ShortString>| value.as_ref().map(ToString::to_string);
    let number = |value: &Option<u8>| value.map(|number| number.to_string());
    let properties_of = [
        ("content_type", short(properties.content_type())),
        ("content_encoding", short(properties.content_encoding())),
        ("delivery_mode", number(properties.delivery_mode())),
        ("priority", number(properties.priority())),
        ("correlation_id", short(properties.correlation_id())),
        ("reply_to", short(properties.reply_to())),
        ("expiration", short(properties.expiration())),
        ("message_id", short(properties.message_id())),
        ("timestamp", properties.timestamp().map(|seconds| seconds.to_string())),
        ("type", short(properties.kind())),
        ("user_id", short(properties.user_id())),
        ("app_id", short(properties.app_id())),
        ("exchange", Some(exchange.to_owned())),
        ("routing_key", Some(routing_key.to_owned())),
        ("redelivered", Some(redelivered.to_string())),
    ];
    for (name, value) in properties_of {
        headers.extend(value.map(|value| (format!("amqp.{name}"), value)));
    }
    Message { routing_key: routing_key.to_owned(), headers, time: properties.timestamp().and_then(stamp) }
}

/// A message as the firehose shows it: what it was stands in the headers of the message that tells of it.
pub(super) fn traced(properties: &BasicProperties) -> Message {
    let empty = FieldTable::default();
    let told = properties.headers().as_ref().unwrap_or(&empty).inner();
    let table = |name: &str| match told.get(name) {
        Some(AMQPValue::FieldTable(table)) => table.clone(),
        _ => FieldTable::default(),
    };
    let word = |name: &str| told.get(name).map(text).unwrap_or_default();
    let (properties, routing_key) = (table("properties"), first_key(told.get("routing_keys")));
    let mut headers = Vec::new();
    let mut time = None;
    for (name, value) in properties.inner() {
        match (name.as_str(), value) {
            ("headers", AMQPValue::FieldTable(table)) => own(table, &mut headers),
            ("timestamp", value) => {
                let seconds = text(value);
                time = seconds.parse().ok().and_then(stamp);
                headers.push(("amqp.timestamp".into(), seconds));
            }
            (name, value) => headers.push((format!("amqp.{name}"), text(value))),
        }
    }
    for name in ["user", "connection", "node", "vhost"] {
        headers.push((format!("amqp.trace.{name}"), word(name)));
    }
    headers.push(("amqp.exchange".into(), word("exchange_name")));
    headers.push(("amqp.routing_key".into(), routing_key.clone()));
    if let Some(redelivered) = told.get("redelivered") {
        headers.push(("amqp.redelivered".into(), (text(redelivered) != "0").to_string()));
    }
    Message { routing_key, headers, time }
}

/// The headers that the publisher has set.
fn own(table: &FieldTable, headers: &mut Headers) {
    let all = table.inner().iter().filter(|(_, value)| !matches!(value, AMQPValue::Void));
    headers.extend(all.map(|(name, value)| (name.to_string(), text(value))));
}

fn first_key(keys: Option<&AMQPValue>) -> String {
    match keys {
        Some(AMQPValue::FieldArray(keys)) => keys.as_slice().first().map(text).unwrap_or_default(),
        _ => String::new(),
    }
}

/// A time property. It counts seconds; some publishers write milliseconds, and are understood.
fn stamp(number: u64) -> Option<Time> {
    const MILLISECONDS_FROM: u64 = 100_000_000_000;
    let scale = if number < MILLISECONDS_FROM { 1_000_000_000 } else { 1_000_000 };
    i64::try_from(number).ok()?.checked_mul(scale).filter(|nanos| *nanos > 0).map(Time)
}

/// A value as text; tables and lists as JSON.
fn text(value: &AMQPValue) -> String {
    match value {
        AMQPValue::LongString(text) => String::from_utf8_lossy(text.as_bytes()).into_owned(),
        AMQPValue::ShortString(text) => text.to_string(),
        AMQPValue::ByteArray(bytes) => String::from_utf8_lossy(bytes.as_slice()).into_owned(),
        other => json(other).to_string(),
    }
}

fn json(value: &AMQPValue) -> serde_json::Value {
    use serde_json::Value;
    match value {
        AMQPValue::Boolean(value) => (*value).into(),
        AMQPValue::ShortShortInt(value) => (*value).into(),
        AMQPValue::ShortShortUInt(value) => (*value).into(),
        AMQPValue::ShortInt(value) => (*value).into(),
        AMQPValue::ShortUInt(value) => (*value).into(),
        AMQPValue::LongInt(value) => (*value).into(),
        AMQPValue::LongUInt(value) => (*value).into(),
        AMQPValue::LongLongInt(value) => (*value).into(),
        AMQPValue::Timestamp(value) => (*value).into(),
        AMQPValue::Float(value) => f64::from(*value).into(),
        AMQPValue::Double(value) => (*value).into(),
        AMQPValue::DecimalValue(value) => decimal(value.scale, value.value).into(),
        AMQPValue::FieldArray(all) => Value::Array(all.as_slice().iter().map(json).collect()),
        AMQPValue::FieldTable(table) => {
            let entries = table.inner().iter().map(|(name, value)| (name.to_string(), json(value)));
            Value::Object(entries.collect())
        }
        AMQPValue::Void => Value::Null,
        AMQPValue::LongString(_) | AMQPValue::ShortString(_) | AMQPValue::ByteArray(_) => text(value).into(),
    }
}

/// A decimal of AMQP, written with all its digits.
fn decimal(scale: u8, value: u32) -> String {
    let digits = value.to_string();
    let scale = usize::from(scale);
    if scale == 0 {
        return digits;
    }
    let padded = format!("{digits:0>width$}", width = scale + 1);
    let (whole, part) = padded.split_at(padded.len() - scale);
    format!("{whole}.{part}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_message_says_is_text() {
        let mut death = FieldTable::default();
        death.insert("count".into(), AMQPValue::LongLongInt(2));
        let mut table = FieldTable::default();
        table.insert("region".into(), AMQPValue::LongString("eu".into()));
        table.insert("retries".into(), AMQPValue::LongInt(3));
        table.insert("nothing".into(), AMQPValue::Void);
        table.insert("x-death".into(), AMQPValue::FieldArray(vec![AMQPValue::FieldTable(death)].into()));
        let properties =
            BasicProperties::default().with_headers(table).with_message_id("m-1".into()).with_timestamp(1_700_000_000);
        let message = plain("shop", "shipping.eu", false, &properties);
        let told: Vec<_> = message.headers.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(
            told.join(" "),
            "region=eu retries=3 x-death=[{\"count\":2}] amqp.message_id=m-1 amqp.timestamp=1700000000 \
             amqp.exchange=shop amqp.routing_key=shipping.eu amqp.redelivered=false"
        );
        assert_eq!(message.time, Some(Time(1_700_000_000_000_000_000)));
    }

    #[test]
    fn times_are_seconds_or_milliseconds_and_decimals_keep_their_digits() {
        assert_eq!(stamp(1_700_000_000_123), Some(Time(1_700_000_000_123_000_000)));
        assert_eq!((stamp(0), stamp(u64::MAX)), (None, None));
        assert_eq!((decimal(2, 5), decimal(0, 7), decimal(1, 123)), ("0.05".into(), "7".into(), "12.3".into()));
    }
}
