//! What a test tool did once, in the words that all test tools share: name, method, url, status, success, elapsed, and
//! with `request` and `response` what went over the line.

use super::object::{parsed, put};
use crate::extract::fields::Fields;
use crate::model::json;
use crate::model::value::Value;
use std::borrow::Cow;

/// One message of a sample: its headers by their names in lower case, and its body, as JSON where it is.
#[derive(Default)]
pub(super) struct Side {
    members: Vec<(&'static str, String)>,
}

impl Side {
    /// With these headers; of several with one name the last counts.
    pub fn headers<'h>(&mut self, headers: impl Iterator<Item = (Cow<'h, str>, Cow<'h, str>)>) {
        let mut known: Vec<(String, String)> = Vec::new();
        for (name, value) in headers {
            let (name, value) = (name.trim().to_ascii_lowercase(), json::quoted(value.trim()));
            match known.iter_mut().find(|(other, _)| *other == name) {
                Some((_, old)) => *old = value,
                None => known.push((name, value)),
            }
        }
        if !known.is_empty() {
            self.members.push(("headers", json::object(known.iter().map(|(name, value)| (&**name, value.clone())))));
        }
    }

    /// With the headers that stand in a text, one a line; the first line may be that of the status.
    pub fn header_lines(&mut self, text: &str) {
        let lines = text.lines().filter_map(|line| line.split_once(':'));
        self.headers(lines.map(|(name, value)| (name.into(), value.into())));
    }

    /// With this body.
    pub fn body(&mut self, text: Cow<'_, str>) {
        if !text.is_empty() {
            self.members.push(("body", json::text(&parsed(text))));
        }
    }

    /// As a field of the sample.
    pub fn put(self, name: &'static str, fields: &mut Fields<'_>) {
        if !self.members.is_empty() {
            put(fields, name, Value::Json(json::object(self.members).into()));
        }
    }
}

/// The address, and what it is made of: `url`, `path` without host and query, and `query` by name.
pub(super) fn url<'a>(url: Cow<'a, str>, fields: &mut Fields<'a>) {
    if url.is_empty() {
        return;
    }
    let behind_host =
        url.split_once("://").map_or(&*url, |(_, rest)| rest.find(['/', '?', '#']).map_or("", |at| &rest[at..]));
    let behind_host = behind_host.split('#').next().unwrap_or_default();
    let (path, query) = behind_host.split_once('?').unwrap_or((behind_host, ""));
    let path = if path.is_empty() { "/" } else { path }.to_owned();
    let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let pairs: Vec<(String, String)> = pairs.map(|(n, v)| (unescaped(n), json::quoted(&unescaped(v)))).collect();
    put(fields, "url", Value::Text(url));
    put(fields, "path", Value::Text(path.into()));
    if !pairs.is_empty() {
        put(fields, "query", Value::Json(json::object(pairs.iter().map(|(n, v)| (&**n, v.clone()))).into()));
    }
}

/// `a%20b+c` as it was meant; what is not escaped stays.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let hex = behind.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match (first, hex.and_then(|two| u8::from_str_radix(two, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &behind[2..];
                continue;
            }
            (b'+', _) => bytes.push(b' '),
            (other, _) => bytes.push(*other),
        }
        rest = behind;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Text that is a whole number as one, and anything else as it is.
pub(super) fn number(text: Cow<'_, str>) -> Value<'_> {
    text.parse().map_or(Value::Text(text), Value::Int)
}

/// So many milliseconds with a fraction, exact to the nanosecond.
pub(super) fn nanos_of_millis(value: &Value<'_>) -> Option<i64> {
    use rust_decimal::prelude::ToPrimitive;
    let millis = value.decimal().filter(|millis| !millis.is_sign_negative())?;
    millis.checked_mul(rust_decimal::Decimal::from(1_000_000))?.trunc().to_i64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart() {
        for (address, expect) in [
            (
                "https://shop:8443/orders/7?dry=1&q=a%20b+c#top",
                r#"{"url":"https://shop:8443/orders/7?dry=1&q=a%20b+c#top","path":"/orders/7","query":{"dry":"1","q":"a b c"}}"#,
            ),
            ("http://shop", r#"{"url":"http://shop","path":"/"}"#),
            ("http://shop?a=%zz&b", r#"{"url":"http://shop?a=%zz&b","path":"/","query":{"a":"%zz","b":""}}"#),
            ("/orders", r#"{"url":"/orders","path":"/orders"}"#),
        ] {
            let mut fields = Fields::default();
            url(address.into(), &mut fields);
            assert_eq!(fields.to_json(), expect);
        }
    }

    #[test]
    fn a_side_has_headers_in_lower_case_and_json_where_it_is() {
        let mut side = Side::default();
        side.header_lines("HTTP/1.1 201 Created\nContent-Type: application/json\nX-Id:  a:b \nx-id: c");
        side.body(r#"{"order_id":"o-1"}"#.into());
        let mut fields = Fields::default();
        side.put("response", &mut fields);
        Side::default().put("request", &mut fields);
        assert_eq!(
            fields.to_json(),
            r#"{"response":{"headers":{"content-type":"application/json","x-id":"c"},"body":{"order_id":"o-1"}}}"#
        );
    }
}
