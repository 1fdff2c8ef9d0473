//! A record's body as JSON.

use crate::flow::diagnostic::Diagnostics;
use crate::flow::fields;
use crate::flow::yaml::{Content, Node};
use crate::model::time::Time;
use std::fmt::Write;

/// Names within a record's payload for what stands beside its body. No body has such names.
pub(super) const AT: &str = "(at)";
pub(super) const OP: &str = "(op)";

/// The payload of a record: its body, and with it when it happened and what kind of change it is.
pub(super) fn payload(
    body: Option<&Node>,
    at: Time,
    op: Option<&str>,
    diagnostics: &Diagnostics<'_>,
) -> Option<String> {
    let mut out = format!("{{{}:{}", quoted(AT), quoted(&at.to_string()));
    if let Some(op) = op {
        let _ = write!(out, ",{}:{}", quoted(OP), quoted(op));
    }
    for entry in body.map_or(Some([].as_slice()), |body| fields::map(body, "body", diagnostics))? {
        let _ = write!(out, ",{}:", quoted(&entry.key.value));
        json(&entry.value, &mut out);
    }
    out.push('}');
    Some(out)
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Appends a value as JSON. A plain number keeps its spelling; what JSON does not know as a number is text.
fn json(node: &Node, out: &mut String) {
    match &node.content {
        Content::Map(entries) => {
            let mut before = '{';
            for entry in entries {
                out.push(before);
                let _ = write!(out, "{}:", quoted(&entry.key.value));
                json(&entry.value, out);
                before = ',';
            }
            out.push_str(if entries.is_empty() { "{}" } else { "}" });
        }
        Content::List(items) => {
            let mut before = '[';
            for item in items {
                out.push(before);
                json(item, out);
                before = ',';
            }
            out.push_str(if items.is_empty() { "[]" } else { "]" });
        }
        Content::Scalar(scalar) if scalar.is_null() => out.push_str("null"),
        Content::Scalar(scalar) => match scalar.bool() {
            Some(bool) => out.push_str(if bool { "true" } else { "false" }),
            None if scalar.plain && is_number(&scalar.text) => out.push_str(&scalar.text),
            None => out.push_str(&quoted(&scalar.text)),
        },
        Content::Refused => out.push_str("null"),
    }
}

fn is_number(text: &str) -> bool {
    text.starts_with(|c: char| c == '-' || c.is_ascii_digit())
        && serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::diagnostic::Document;
    use crate::flow::yaml;

    #[test]
    fn what_yaml_means_is_what_json_says() {
        let text = r#"{a: 1.50, b: "1", c: 007, d: -1e400, e: true, f: ~, g: [], h: {}, i: [x, {y: .5}], j: "é\n\"", k: 0x1F}"#;
        let documents = [Document { path: "order.test.yaml".into(), text: text.into() }];
        let diagnostics = Diagnostics::new(&documents);
        let body = yaml::parse(0, &diagnostics).unwrap();
        assert_eq!(
            payload(Some(&body), Time(0), Some("delete"), &diagnostics).unwrap(),
            r#"{"(at)":"1970-01-01T00:00:00Z","(op)":"delete","a":1.50,"b":"1","c":"007","d":-1e400,"e":true,"f":null,"g":[],"h":{},"i":["x",{"y":".5"}],"j":"é\n\"","k":"0x1F"}"#
        );
    }
}
