//! Values in the encodings of Kafka Connect and Debezium, as other sources of rows would have them: decimals with all
//! their digits, dates and times as text.

use super::super::base64;
use super::super::object::Object;
use crate::flow::dialect::{Encoding, Unit};
use crate::model::json;
use crate::model::value::Value;
use chrono::{DateTime, Days, NaiveDate, NaiveDateTime, Timelike};
use std::borrow::Cow;

const NANOS: i64 = 1_000_000_000;
/// As far as MySQL's type goes.
const HOURS_MAX: u64 = 838;
/// More digits behind the point than any system has.
const SCALE_MAX: u32 = 1_000;

/// The value that an encoded one stands for; what is not in the encoding stays as it is, since connectors can be told
/// to write text or floats instead.
pub(super) fn decoded(value: Value<'_>, encoding: Option<Encoding>) -> Value<'_> {
    let meant = match (encoding, &value) {
        (Some(_), Value::Json(list)) if list.starts_with('[') => each(list, encoding),
        (Some(Encoding::Decimal(scale)), Value::Text(text)) => decimal(text, scale),
        (Some(Encoding::VariableDecimal) | None, Value::Json(_)) => variable_decimal(&value),
        (Some(Encoding::Date), Value::Int(days)) => date(*days).map(text),
        (Some(Encoding::Time(unit)), Value::Int(count)) => time_of_day(*count, unit).map(text),
        (Some(Encoding::Timestamp(unit)), Value::Int(count)) => timestamp(*count, unit).map(text),
        (Some(Encoding::Date | Encoding::Time(_) | Encoding::Timestamp(_)), Value::Text(iso)) => {
            iso.strip_suffix('Z').map(|local| text(local.to_owned()))
        }
        (Some(Encoding::Json), Value::Text(text)) => json::validate(text).ok().map(Value::into_owned),
        _ => None,
    };
    meant.unwrap_or(value)
}

/// A list of encoded values.
fn each(list: &str, encoding: Option<Encoding>) -> Option<Value<'static>> {
    let meant = json::elements(list)?.into_iter().map(|element| json::text(&decoded(element, encoding)));
    Some(Value::Json(json::list(meant).into()))
}

fn text(text: String) -> Value<'static> {
    Value::Text(Cow::Owned(text))
}

fn decimal(text: &str, scale: u32) -> Option<Value<'static>> {
    if scale > SCALE_MAX {
        return None;
    }
    let number = base64::decimal(&base64::decode(text)?, scale as usize);
    Some(if scale == 0 { json::value(&number).into_owned() } else { Value::Number(number.into()) })
}

/// A number with its scale beside it. It is told by its two members, also where no schema is there.
fn variable_decimal(value: &Value<'_>) -> Option<Value<'static>> {
    let parts = Object::of(value).filter(|parts| parts.0.len() == 2)?;
    match (parts.get("scale"), parts.text("value")) {
        (Value::Int(scale), Some(value)) => decimal(value, u32::try_from(scale).ok()?),
        _ => None,
    }
}

fn date(days: i64) -> Option<String> {
    let span = Days::new(days.unsigned_abs());
    let epoch = NaiveDate::from_ymd_opt(1970, 1, 1)?;
    let date = if days < 0 { epoch.checked_sub_days(span) } else { epoch.checked_add_days(span) };
    date.map(|date| date.to_string())
}

/// A time of day. MySQL's may be negative, and go on for days; PostgreSQL has a 24:00.
fn time_of_day(count: i64, unit: Unit) -> Option<String> {
    let sign = if count < 0 { "-" } else { "" };
    let nanos = count.unsigned_abs().checked_mul(unit.nanos().unsigned_abs())?;
    let (seconds, rest) = (nanos / NANOS as u64, (nanos % NANOS as u64) as u32);
    let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
    let text = || with_fraction(format!("{sign}{hours:02}:{minutes:02}:{:02}", seconds % 60), rest);
    (hours <= HOURS_MAX).then(text)
}

/// The moment on a clock on the wall; in which zone it hangs is not told.
fn timestamp(count: i64, unit: Unit) -> Option<String> {
    let a_second = NANOS / unit.nanos();
    let (seconds, rest) = (count.div_euclid(a_second), count.rem_euclid(a_second));
    let local: NaiveDateTime = DateTime::from_timestamp(seconds, (rest * unit.nanos()) as u32)?.naive_utc();
    Some(with_fraction(local.format("%Y-%m-%dT%H:%M:%S").to_string(), local.nanosecond()))
}

fn with_fraction(text: String, nanos: u32) -> String {
    if nanos == 0 {
        return text;
    }
    let fraction = format!("{nanos:09}");
    format!("{text}.{}", fraction.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_values_are_what_a_table_would_show() {
        let of = |value: Value<'static>, encoding| decoded(value, Some(encoding)).display().into_owned();
        let int = |number| Value::Int(number);
        assert_eq!(of(Value::Text("MDk=".into()), Encoding::Decimal(2)), "123.45");
        assert_eq!(of(Value::Text("AP8=".into()), Encoding::Decimal(0)), "255");
        assert_eq!(of(Value::Json(r#"{"scale":3,"value":"MDk="}"#.into()), Encoding::VariableDecimal), "12.345");
        assert_eq!(of(int(20_454), Encoding::Date), "2026-01-01");
        assert_eq!(of(int(-1), Encoding::Date), "1969-12-31");
        assert_eq!(of(int(30_600_500), Encoding::Time(Unit::Milli)), "08:30:00.5");
        assert_eq!(of(int(30_600_000_001), Encoding::Time(Unit::Micro)), "08:30:00.000001");
        assert_eq!(of(int(86_400_000), Encoding::Time(Unit::Milli)), "24:00:00");
        assert_eq!(of(int(-361_800_500_000), Encoding::Time(Unit::Micro)), "-100:30:00.5");
        assert_eq!(of(int(1_767_226_200_120), Encoding::Timestamp(Unit::Milli)), "2026-01-01T00:10:00.12");
        assert_eq!(of(int(1_767_226_200_000_001), Encoding::Timestamp(Unit::Micro)), "2026-01-01T00:10:00.000001");
        assert_eq!(of(int(-1), Encoding::Timestamp(Unit::Nano)), "1969-12-31T23:59:59.999999999");
        assert_eq!(decoded(Value::Text(r#"{"a":1}"#.into()), Some(Encoding::Json)), Value::Json(r#"{"a":1}"#.into()));
    }

    #[test]
    fn text_of_a_local_time_has_no_zone() {
        for (encoding, iso, local) in [
            (Encoding::Date, "2026-01-31Z", "2026-01-31"),
            (Encoding::Time(Unit::Micro), "08:30:00.5Z", "08:30:00.5"),
            (Encoding::Timestamp(Unit::Nano), "2026-01-31T08:30:00.123456Z", "2026-01-31T08:30:00.123456"),
        ] {
            assert_eq!(decoded(Value::Text(iso.into()), Some(encoding)), Value::Text(local.into()));
        }
    }

    #[test]
    fn a_list_is_decoded_element_by_element() {
        let of =
            |list: &'static str, encoding| decoded(Value::Json(list.into()), Some(encoding)).display().into_owned();
        assert_eq!(of(r#"["AJY=",null,"AOE="]"#, Encoding::Decimal(2)), "[1.50,null,2.25]");
        assert_eq!(of("[20484]", Encoding::Date), r#"["2026-01-31"]"#);
        assert_eq!(of(r#"["{\"a\": 1}"]"#, Encoding::Json), r#"[{"a": 1}]"#);
    }

    #[test]
    fn what_a_connector_was_told_to_write_otherwise_stays() {
        for (value, encoding) in [
            (Value::Text("123.45".into()), Encoding::Decimal(2)),
            (Value::Number("123.45".into()), Encoding::Decimal(2)),
            (Value::Null, Encoding::Date),
            (Value::Text("no json".into()), Encoding::Json),
            (Value::Int(i64::MAX), Encoding::Date),
            (Value::Int(i64::MIN), Encoding::Time(Unit::Milli)),
            (Value::Text("MDk=".into()), Encoding::Decimal(u32::MAX)),
        ] {
            assert_eq!(decoded(value.clone(), Some(encoding)), value);
        }
    }
}
