//! A decoded record that is not JSON: a flat list of names and values.

use crate::flow::descend::descend;
use crate::flow::plan::Segment;
use crate::model::json;
use crate::model::value::Value;
use std::borrow::Cow;
use std::ops::Deref;
use std::sync::Arc;

/// The name of a field: part of the record, or shared by all records (a column, a group).
#[derive(Clone, Debug)]
pub enum Name<'a> {
    /// As the record spells it.
    Record(Cow<'a, str>),
    /// The same for every record.
    Shared(Arc<str>),
}

impl Name<'_> {
    /// The same name, independent of the record.
    pub fn into_owned(self) -> Name<'static> {
        match self {
            Name::Record(name) => Name::Record(Cow::Owned(name.into_owned())),
            Name::Shared(name) => Name::Shared(name),
        }
    }
}

impl Deref for Name<'_> {
    type Target = str;
    fn deref(&self) -> &str {
        match self {
            Name::Record(name) => name,
            Name::Shared(name) => name,
        }
    }
}

/// The fields of one record, in their order. Of duplicate names the first counts.
#[derive(Clone, Debug, Default)]
pub struct Fields<'a> {
    list: Vec<(Name<'a>, Value<'a>)>,
    whole: Option<Value<'a>>,
    /// What stands beside the body, under `meta`.
    beside: Vec<(&'static str, Value<'a>)>,
}

impl<'a> Fields<'a> {
    /// Forgets the content and keeps the memory, for the next record.
    pub fn recycle<'b>(mut self) -> Fields<'b> {
        self.list.clear();
        // An empty list holds nothing of 'a; collecting in place keeps its memory.
        let list = self.list.into_iter().map_while(|_| None).collect();
        Fields { list, whole: None, beside: Vec::new() }
    }

    /// The same, independent of the record.
    pub fn into_owned(self) -> Fields<'static> {
        let list = self.list.into_iter().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
        let beside = self.beside.into_iter().map(|(name, value)| (name, value.into_owned())).collect();
        Fields { list, whole: self.whole.map(Value::into_owned), beside }
    }

    /// Adds a field.
    pub fn push(&mut self, name: Name<'a>, value: Value<'a>) {
        self.list.push((name, value));
    }

    /// Sets what the record is as a whole, where that is not the object of its fields.
    pub fn set_whole(&mut self, value: Value<'a>) {
        self.whole = Some(value);
    }

    /// What the record is as a whole, where that is not the object of its fields.
    pub fn whole(&self) -> Option<&Value<'a>> {
        self.whole.as_ref()
    }

    /// Adds something that stands beside the body.
    pub fn push_beside(&mut self, name: &'static str, value: Value<'a>) {
        self.beside.push((name, value));
    }

    /// The value at the end of `segments` beside the body.
    pub fn beside(&self, segments: &[Segment]) -> Value<'_> {
        let [Segment::Field(name), rest @ ..] = segments else { return Value::Null };
        let found = self.beside.iter().find(|(n, _)| n == name);
        found.map_or(Value::Null, |(_, value)| descend(value.borrowed(), rest))
    }

    /// The fields, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value<'a>)> {
        self.list.iter().map(|(name, value)| (&**name, value))
    }

    /// The value of the field called `name`; null where there is none.
    pub fn field(&self, name: &str) -> Value<'_> {
        self.list.iter().find(|(n, _)| **n == *name).map_or(Value::Null, |(_, value)| value.borrowed())
    }

    /// The value that stands at the end of `segments`; with none, the whole record.
    pub fn get(&self, segments: &[Segment]) -> Value<'_> {
        match (segments, &self.whole) {
            ([], Some(whole)) => whole.borrowed(),
            ([], None) => Value::Json(Cow::Owned(self.to_json())),
            ([Segment::Field(name), rest @ ..], _) => descend(self.field(name), rest),
            ([Segment::Index(_), ..], Some(whole)) => descend(whole.borrowed(), segments),
            ([Segment::Index(_), ..], None) => Value::Null,
        }
    }

    /// The same as [`Fields::get`], not lent by this list but by the record.
    pub fn taken(&self, segments: &[Segment]) -> Value<'a> {
        match (segments, &self.whole) {
            ([], Some(whole)) => whole.clone(),
            ([], None) => Value::Json(Cow::Owned(self.to_json())),
            ([Segment::Field(name), rest @ ..], _) => {
                let field = self.list.iter().find(|(n, _)| **n == **name);
                field.map_or(Value::Null, |(_, value)| descend(value.clone(), rest))
            }
            ([Segment::Index(_), ..], whole) => whole.clone().map_or(Value::Null, |whole| descend(whole, segments)),
        }
    }

    /// Puts a value at the end of `segments`, in place of what stood there. At the end of none, the
    /// members of an object become fields; what is no object is nothing there.
    pub fn set(&mut self, segments: &[Segment], value: Value<'a>) {
        match (segments, value) {
            ([Segment::Field(name)], value) => self.set_field(Name::Record(Cow::Owned(name.clone())), value),
            ([Segment::Field(name), rest @ ..], value) => {
                let text = with(&self.field(name), rest, &value);
                self.set_field(Name::Record(Cow::Owned(name.clone())), Value::Json(Cow::Owned(text)));
            }
            ([], Value::Json(Cow::Borrowed(object))) => {
                for (name, value) in json::members(object).unwrap_or_default() {
                    self.set_field(Name::Record(name), value);
                }
            }
            ([], Value::Json(Cow::Owned(object))) => {
                for (name, value) in json::members(&object).unwrap_or_default() {
                    self.set_field(Name::Record(Cow::Owned(name.into_owned())), value.into_owned());
                }
            }
            _ => {}
        }
    }

    /// Puts a field in place of the one with its name.
    pub fn set_field(&mut self, name: Name<'a>, value: Value<'a>) {
        match self.list.iter_mut().find(|(n, _)| **n == *name) {
            Some((_, old)) => *old = value,
            None => self.list.push((name, value)),
        }
    }

    /// The fields as the text of a JSON object.
    pub fn to_json(&self) -> String {
        json::object(self.iter().map(|(name, value)| (name, json::text(value))))
    }
}

/// JSON text like `value`, but with `new` at the end of `segments`. What cannot be descended into
/// becomes an object.
fn with(value: &Value<'_>, segments: &[Segment], new: &Value<'_>) -> String {
    let Some((segment, rest)) = segments.split_first() else { return json::text(new) };
    let text = if let Value::Json(text) = value { text.as_ref() } else { "{}" };
    match segment {
        Segment::Index(index) => {
            let elements = json::elements(text).unwrap_or_default();
            let changed = elements.iter().enumerate().map(|(n, element)| match n == *index as usize {
                true => with(element, rest, new),
                false => json::text(element),
            });
            json::list(changed)
        }
        Segment::Field(name) => {
            let members = json::members(text).unwrap_or_default();
            let old = members.iter().find(|(n, _)| n == name).map_or(Value::Null, |(_, value)| value.borrowed());
            let changed = with(&old, rest, new);
            let others = members.iter().filter(|(n, _)| n != name).map(|(n, value)| (n.as_ref(), json::text(value)));
            json::object(others.chain([(name.as_str(), changed)]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(t: &str) -> Value<'_> {
        Value::Text(t.into())
    }

    #[test]
    fn fields_are_found_by_path() {
        let mut fields = Fields::default();
        fields.push(Name::Record("id".into()), text("o-1"));
        fields.push(Name::Shared("id".into()), text("o-2"));
        fields.push(Name::Shared("log".into()), Value::Json(r#"{"n":[5]}"#.into()));
        let field = |name: &str| Segment::Field(name.to_owned());
        assert_eq!(fields.get(&[field("id")]), text("o-1"), "of duplicate names the first counts");
        assert_eq!(fields.get(&[field("log"), field("n"), Segment::Index(0)]), Value::Int(5));
        assert_eq!(fields.get(&[field("id"), field("n")]), Value::Null);
        assert_eq!(fields.get(&[Segment::Index(0)]), Value::Null);
        assert_eq!(fields.get(&[]), Value::Json(r#"{"id":"o-1","log":{"n":[5]}}"#.into()));
    }

    #[test]
    fn values_are_put_where_a_path_says() {
        let mut fields = Fields::default();
        fields.push(Name::Record("id".into()), text("o-1"));
        fields.push(Name::Record("log".into()), Value::Json(r#"{"n":1.50,"l":[1,2]}"#.into()));
        let field = |name: &str| Segment::Field(name.to_owned());
        fields.set(&[field("log"), field("deep"), field("er")], Value::Int(1));
        fields.set(&[field("log"), field("l"), Segment::Index(1)], text("b"));
        fields.set(&[field("id")], text("o-2"));
        fields.set(&[], Value::Json(r#"{"new":true,"id":"o-3"}"#.into()));
        fields.set(&[], Value::Json("[1]".into()));
        let expected = r#"{"id":"o-3","log":{"n":1.50,"deep":{"er":1},"l":[1,"b"]},"new":true}"#;
        assert_eq!(fields.to_json(), expected);
    }

    #[test]
    fn the_memory_is_used_again() {
        let mut fields = Fields::default();
        (0..9).for_each(|_| fields.push(Name::Shared("a".into()), Value::Null));
        fields.set_whole(Value::Null);
        let capacity = fields.list.capacity();
        let line = String::from("x");
        let mut next: Fields<'_> = fields.recycle();
        assert!(next.list.is_empty() && next.whole().is_none());
        assert_eq!(next.list.capacity(), capacity);
        next.push(Name::Record(Cow::Borrowed(&line)), text(&line));
        assert_eq!(next.field("x"), text("x"));
    }
}
