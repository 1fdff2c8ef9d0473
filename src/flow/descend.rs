//! Following the segments of a path into a value.

use super::plan::Segment;
use crate::model::json;
use crate::model::value::Value;
use std::borrow::Cow;

/// The value that stands at the end of `segments` within `value`; null where there is none.
pub fn descend<'a>(value: Value<'a>, segments: &[Segment]) -> Value<'a> {
    segments.iter().fold(value, |value, segment| match value {
        Value::Json(Cow::Borrowed(text)) => step(text, segment),
        Value::Json(Cow::Owned(text)) => step(&text, segment).into_owned(),
        _ => Value::Null,
    })
}

fn step<'a>(text: &'a str, segment: &Segment) -> Value<'a> {
    match segment {
        Segment::Field(name) => json::member(text, name),
        Segment::Index(index) => json::element(text, *index as usize),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_through_objects_and_lists() {
        let body = r#"{"items":[{"sku":"a"},{"sku":"b","n":{"x":1}}],"text":"{\"sku\":1}"}"#;
        let field = |name: &str| Segment::Field(name.to_owned());
        let find = |segments: &[Segment]| descend(Value::Json(body.into()), segments);
        assert_eq!(find(&[field("items"), Segment::Index(1), field("sku")]), Value::Text("b".into()));
        assert_eq!(find(&[field("items"), Segment::Index(1), field("n"), field("x")]), Value::Int(1));
        assert_eq!(find(&[field("items"), field("sku")]), Value::Null);
        assert_eq!(find(&[field("text"), field("sku")]), Value::Null, "text is text until it is parsed");
        let owned = descend(Value::Json(body.to_owned().into()), &[field("items"), Segment::Index(0)]);
        assert_eq!(owned, Value::Json(r#"{"sku":"a"}"#.into()));
    }
}
