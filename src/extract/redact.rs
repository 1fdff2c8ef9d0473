//! Values that are never stored, shown or sent.
//!
//! Conditions may look at them. A kept field is replaced by `[redacted]`, or, where only a part of a
//! kept object or list is redacted, that part is. A key and a dedupe value are replaced by a hash:
//! they still join and still tell effects apart, but only with what is redacted likewise. What an
//! expression makes of a redacted value is treated as that value is.

use crate::flow::format::Decoding;
use crate::flow::plan::{Path, Root, Segment};
use crate::model::json;
use crate::model::value::Value;
use std::hash::{BuildHasher, Hasher};

/// What stands in place of a redacted value.
const REDACTED: &str = "[redacted]";
/// Stands for whichever element of a list `each` has come to.
const ANY: Segment = Segment::Index(u32::MAX);

/// Whether the value at a path is redacted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Redact {
    /// It is not.
    No,
    /// It is.
    Whole,
    /// What stands at these paths within it is.
    Within(Vec<Vec<Segment>>),
}

/// The redacted paths of one source.
#[derive(Clone, Debug)]
pub(super) struct Redactions {
    paths: Vec<Path>,
    key: Option<Path>,
    op: Option<Path>,
}

impl Redactions {
    pub fn new(decoding: &Decoding) -> Redactions {
        Redactions { paths: decoding.redact.clone(), key: decoding.key.clone(), op: decoding.op.clone() }
    }

    /// Whether anything is.
    pub fn any(&self) -> bool {
        !self.paths.is_empty()
    }

    /// What is redacted at a path of a step; `each` is what the step takes apart.
    pub fn of(&self, path: &Path, each: Option<&Path>) -> Redact {
        let mut places = vec![self.absolute(path, each)];
        let moved = match path.root {
            Root::Key => self.key.as_ref(),
            Root::Op => self.op.as_ref(),
            _ => None,
        };
        places.extend(moved.map(|moved| (moved.root, [&moved.segments[..], &path.segments].concat())));
        let mut within = Vec::new();
        for (root, segments) in &places {
            for redacted in self.paths.iter().filter(|redacted| plain(redacted.root) == plain(*root)) {
                match relate(segments, &redacted.segments) {
                    Redact::No => {}
                    Redact::Whole => return Redact::Whole,
                    Redact::Within(parts) => within.extend(parts),
                }
            }
        }
        if within.is_empty() { Redact::No } else { Redact::Within(within) }
    }

    fn absolute(&self, path: &Path, each: Option<&Path>) -> (Root, Vec<Segment>) {
        match (path.root, each) {
            (Root::Each, Some(each)) => (each.root, [&each.segments[..], &[ANY], &path.segments].concat()),
            (root, _) => (root, path.segments.clone()),
        }
    }
}

fn plain(root: Root) -> Root {
    if root == Root::Row { Root::Body } else { root }
}

/// How a path stands to a redacted one. The name of a field redacts it in every element of a list.
fn relate(path: &[Segment], redacted: &[Segment]) -> Redact {
    match (path, redacted) {
        (_, []) => Redact::Whole,
        ([], rest) => Redact::Within(vec![rest.to_vec()]),
        ([here, path @ ..], [there, rest @ ..]) if here == there => relate(path, rest),
        ([Segment::Index(_), path @ ..], [Segment::Field(_), ..]) => relate(path, redacted),
        ([any, path @ ..], [Segment::Index(_), rest @ ..]) if *any == ANY => relate(path, rest),
        _ => Redact::No,
    }
}

impl Redact {
    /// The value as it may be kept and shown.
    pub fn apply<'a>(&self, value: Value<'a>) -> Value<'a> {
        match (self, value) {
            (Redact::No, value) | (_, value @ Value::Null) => value,
            (Redact::Whole, _) => Value::Text(REDACTED.into()),
            (Redact::Within(parts), Value::Json(text)) => {
                Value::Json(parts.iter().fold(text.into_owned(), |text, part| without(&text, part)).into())
            }
            (Redact::Within(_), value) => value,
        }
    }

    /// Whether anything is redacted.
    pub fn any(&self) -> bool {
        *self != Redact::No
    }
}

/// The JSON text with what stands at a path replaced.
fn without(text: &str, path: &[Segment]) -> String {
    let Some((first, rest)) = path.split_first() else {
        return json::text(&Redact::Whole.apply(json::value(text)));
    };
    if let Ok(members) = json::members(text) {
        return json::object(members.iter().map(|(name, value)| match first {
            Segment::Field(field) if field == name => (&**name, without(&json::text(value), rest)),
            _ => (&**name, json::text(value)),
        }));
    }
    if let Some(elements) = json::elements(text) {
        return json::list(elements.iter().enumerate().map(|(index, value)| match first {
            Segment::Index(at) if *at as usize == index => without(&json::text(value), rest),
            Segment::Index(_) => json::text(value),
            Segment::Field(_) => without(&json::text(value), path),
        }));
    }
    text.to_owned()
}

/// What stands in place of a redacted key's text. Journals hold it: fixed within a major version.
pub(super) fn hashed(text: &str) -> String {
    let half = |seed: u64| {
        let mut hasher = foldhash::quality::FixedState::with_seed(seed).build_hasher();
        hasher.write(text.as_bytes());
        hasher.finish()
    };
    format!("redacted-{:016x}{:016x}", half(0x7265_6461_6374_6564), half(0x7468_726f_7567_686c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(root: Root, text: &str) -> Path {
        let words = text.split('.').filter(|word| !word.is_empty());
        let segment = |word: &str| word.parse().map_or_else(|_| Segment::Field(word.to_owned()), Segment::Index);
        Path { root, segments: words.map(segment).collect() }
    }

    fn check(redacted: &str, kept: &str, body: &str) -> String {
        let redactions = Redactions { paths: vec![path(Root::Body, redacted)], key: None, op: None };
        let redact = redactions.of(&path(Root::Row, kept), None);
        redact.apply(Value::Json(body.into())).display().into_owned()
    }

    #[test]
    fn what_is_kept_does_not_hold_what_is_redacted() {
        let list = r#"{"n":1.50,"items":[{"who":"a","n":1},{"who":null},3]}"#;
        assert_eq!(check("email", "email", "{}"), "[redacted]");
        assert_eq!(check("email", "email.domain", "{}"), "[redacted]");
        assert_eq!(check("email", "id", "{}"), "{}");
        assert_eq!(check("items.who", "", list), r#"{"n":1.50,"items":[{"who":"[redacted]","n":1},{"who":null},3]}"#);
        assert_eq!(check("items.0", "", list), r#"{"n":1.50,"items":["[redacted]",{"who":null},3]}"#);
        assert_eq!(check("items.who", "items.0.who", "{}"), "[redacted]");
        assert_eq!(check("items.1.who", "items.0.who", "{}"), "{}");
    }

    #[test]
    fn an_element_of_each_is_redacted_as_in_its_list() {
        let items = path(Root::Body, "items");
        let of = |redacted: &str, kept: &str| {
            let redactions = Redactions { paths: vec![path(Root::Body, redacted)], key: None, op: None };
            redactions.of(&path(Root::Each, kept), Some(&items))
        };
        assert_eq!(of("items.who", "who"), Redact::Whole);
        assert_eq!(of("items.3.who", "who"), Redact::Whole);
        assert_eq!(of("items.who", ""), Redact::Within(vec![path(Root::Each, "who").segments]));
        assert_eq!(of("items.who", "id"), Redact::No);
    }

    #[test]
    fn a_key_that_stands_in_the_body_is_redacted_there() {
        let secret = path(Root::Body, "email");
        let redactions = Redactions { paths: vec![secret.clone()], key: Some(secret), op: None };
        assert_eq!(redactions.of(&path(Root::Key, ""), None), Redact::Whole);
        assert_eq!(redactions.of(&path(Root::Op, ""), None), Redact::No);
    }

    #[test]
    fn hashes_are_fixed() {
        assert_eq!(hashed("a@example.org"), hashed("a@example.org"));
        assert_ne!(hashed("a@example.org"), hashed("b@example.org"));
    }
}
