//! Messages as they came, before they are decoded: taken apart, and counted.
//!
//! A message of two bytes becomes a structure of a hundred, and a list of such lists more than memory holds. So what is
//! large by its number is known before anything of it is decoded.

use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

/// Messages stand in one another so deep, at most; those who decode them go no deeper.
const DEPTH_MAX: u32 = 100;

/// What a message is, as far as others may stand in it again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Resource,
    Entity,
    Scope,
    Span,
    Event,
    Link,
    LogRecord,
    Pair,
    Pairs,
    Value,
    Values,
    Text,
}

impl Kind {
    /// What stands in it under a number of Protobuf.
    fn inner(self, tag: u32) -> Option<Kind> {
        match (self, tag) {
            (Kind::Resource | Kind::Pairs, 1)
            | (Kind::Scope | Kind::Event, 3)
            | (Kind::Link, 4)
            | (Kind::LogRecord, 6)
            | (Kind::Span, 9) => Some(Kind::Pair),
            (Kind::Span, 11) => Some(Kind::Event),
            (Kind::Span, 13) => Some(Kind::Link),
            (Kind::Values, 1) | (Kind::Pair, 2) | (Kind::LogRecord, 5) => Some(Kind::Value),
            (Kind::Value, 5) => Some(Kind::Values),
            (Kind::Value, 6) => Some(Kind::Pairs),
            (Kind::Resource, 3) => Some(Kind::Entity),
            (Kind::Entity, 3 | 4) => Some(Kind::Text),
            _ => None,
        }
    }
}

/// A message that is decoded as a whole.
pub(super) trait Whole {
    const KIND: Kind;
    /// As people call it.
    const NAME: &str;
}

impl Whole for Resource {
    const KIND: Kind = Kind::Resource;
    const NAME: &str = "resource";
}

impl Whole for InstrumentationScope {
    const KIND: Kind = Kind::Scope;
    const NAME: &str = "scope";
}

impl Whole for Span {
    const KIND: Kind = Kind::Span;
    const NAME: &str = "span";
}

impl Whole for LogRecord {
    const KIND: Kind = Kind::LogRecord;
    const NAME: &str = "log record";
}

/// The fields of a message of Protobuf that have a length, each with its number.
pub(super) struct Fields<'a>(pub &'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, &'a [u8]), String>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.0.is_empty() {
            let field = self.field();
            if field.is_err() {
                self.0 = &[];
            }
            if let Some(field) = field.transpose() {
                return Some(field);
            }
        }
        None
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Result<Option<(u32, &'a [u8])>, String> {
        let rest = &mut self.0;
        let (tag, wire) = decode_key(rest).map_err(|error| error.to_string())?;
        if wire != WireType::LengthDelimited {
            return skip_field(wire, tag, rest, DecodeContext::default())
                .map(|()| None)
                .map_err(|error| error.to_string());
        }
        let length = decode_varint(rest).map_err(|error| error.to_string())?;
        let cut = usize::try_from(length).ok().and_then(|length| rest.split_at_checked(length));
        let (field, behind) = cut.ok_or("a field is longer than the message that it stands in")?;
        *rest = behind;
        Ok(Some((tag, field)))
    }
}

/// How many messages stand in one of Protobuf, on all levels; those behind the first fault are not counted, and not
/// decoded either.
pub(super) fn elements(message: &[u8], kind: Kind) -> usize {
    count(message, kind, DEPTH_MAX)
}

fn count(message: &[u8], kind: Kind, depth: u32) -> usize {
    let inner = Fields(message).map_while(Result::ok).filter_map(|(tag, field)| Some((kind.inner(tag)?, field)));
    let deeper = |(kind, field)| 1 + depth.checked_sub(1).map_or(0, |depth| count(field, kind, depth));
    inner.map(deeper).sum()
}

/// How many values stand in one of JSON, on all levels.
pub(super) fn elements_of_json(text: &str) -> usize {
    let (mut count, mut quoted, mut escaped) = (0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            b'{' | b'[' | b',' if !quoted => count += 1,
            _ => {}
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_cut_and_what_is_not_whole_ends_them() {
        // A number, a text, a fixed one, a message.
        let message = [0x08, 0x96, 0x01, 0x12, 0x02, b'h', b'i', 0x1d, 1, 2, 3, 4, 0x22, 0x00];
        let fields: Vec<_> = Fields(&message).collect();
        assert_eq!(fields, [Ok((2, &b"hi"[..])), Ok((4, &b""[..]))]);
        let broken: Vec<_> = Fields(&[0x12, 0x00, 0x12, 0x09, 1]).collect();
        assert!(broken.len() == 2 && broken[1].as_ref().unwrap_err().contains("longer"), "{broken:?}");
        assert_eq!(Fields(&[0xff; 3]).count(), 1);
    }

    #[test]
    fn elements_are_counted_on_all_levels_before_they_are_decoded() {
        // Two links, an attribute of a list of three values.
        let span = [0x6a, 0, 0x6a, 0, 0x4a, 10, 0x12, 8, 0x2a, 6, 0x0a, 0, 0x0a, 0, 0x0a, 0];
        assert_eq!(elements(&span, Kind::Span), 8);
        assert_eq!(elements(&span, Kind::LogRecord), 0, "there, these numbers are other things");
        let deep = (0..60).fold(Vec::new(), |inner: Vec<u8>, _| {
            let nested = [&[0x0a, inner.len() as u8][..], &inner].concat();
            [&[0x2a, nested.len() as u8][..], &nested].concat().into_iter().take(120).collect()
        });
        assert!(elements(&deep, Kind::Value) <= 120);
        assert_eq!(elements_of_json(r#"{"a": [1, 2, {"b": "{,,[\",["}], "c": null}"#), 6);
    }
}
