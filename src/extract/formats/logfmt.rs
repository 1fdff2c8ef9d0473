//! `key=value key="quoted value" flag`.

use crate::extract::fields::Name;
use crate::extract::undecodable::{Reason, Undecodable};
use crate::model::value::Value;
use std::borrow::Cow;

/// Gives the pairs of a line in their order. Values are text; a key that stands alone is true. A line
/// without any pair is prose, not logfmt.
pub fn decode<'a>(line: &'a str, mut push: impl FnMut(Name<'a>, Value<'a>)) -> Result<(), Undecodable> {
    let bytes = line.as_bytes();
    let mut at = 0;
    let mut pairs = 0;
    loop {
        at += bytes[at..].iter().take_while(|byte| **byte <= b' ').count();
        if at == bytes.len() {
            break;
        }
        let key_end = at + bytes[at..].iter().take_while(|byte| **byte > b' ' && !matches!(byte, b'=' | b'"')).count();
        let name = Name::Record(Cow::Borrowed(&line[at..key_end]));
        let value = match bytes.get(key_end) {
            Some(b'=' | b'"') if key_end == at => {
                return Err(Undecodable::at(Reason::Syntax, at, "a key is missing"));
            }
            Some(b'"') => return Err(Undecodable::at(Reason::Syntax, key_end, "a quote within a key")),
            Some(b'=') => {
                pairs += 1;
                let (value, end) = value(line, key_end + 1)?;
                at = end;
                Value::Text(value)
            }
            _ => {
                at = key_end;
                Value::Bool(true)
            }
        };
        push(name, value);
    }
    if pairs == 0 { Err(Undecodable::whole(Reason::Syntax, "the line has no key=value")) } else { Ok(()) }
}

/// The value that begins at `at`, and where it ends.
fn value(line: &str, at: usize) -> Result<(Cow<'_, str>, usize), Undecodable> {
    let bytes = line.as_bytes();
    if bytes.get(at) != Some(&b'"') {
        let end = at + bytes[at..].iter().take_while(|byte| **byte > b' ').count();
        return Ok((Cow::Borrowed(&line[at..end]), end));
    }
    let begin = at + 1;
    let mut end = begin;
    loop {
        match memchr::memchr2(b'"', b'\\', &bytes[end..]).map(|n| end + n) {
            Some(quote) if bytes[quote] == b'"' => {
                end = quote;
                break;
            }
            Some(backslash) if backslash + 1 < bytes.len() => end = backslash + 2,
            _ => return Err(Undecodable::at(Reason::Truncated, at, "a quote is opened and never closed")),
        }
    }
    if bytes.get(end + 1).is_some_and(|byte| *byte > b' ') {
        return Err(Undecodable::at(Reason::Syntax, end + 1, "a closing quote is not followed by a space"));
    }
    Ok((unescaped(&line[begin..end]), end + 1))
}

/// Text without its backslashes; one that escapes nothing known stays.
fn unescaped(text: &str) -> Cow<'_, str> {
    if memchr::memchr(b'\\', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    // What loggers quote is a JSON string, nearly always.
    if let Ok(plain) = serde_json::from_str::<String>(&format!("\"{text}\"")) {
        return Cow::Owned(plain);
    }
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (character, characters.clone().next()) {
            ('\\', Some(escaped @ ('"' | '\\'))) => plain.push(escaped),
            ('\\', Some('n')) => plain.push('\n'),
            ('\\', Some('t')) => plain.push('\t'),
            ('\\', Some('r')) => plain.push('\r'),
            _ => {
                plain.push(character);
                continue;
            }
        }
        characters.next();
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pairs(line: &str) -> Result<Vec<(String, String)>, Undecodable> {
        let mut pairs = Vec::new();
        decode(line, |name, value| pairs.push((name.to_string(), value.display().into_owned())))?;
        Ok(pairs)
    }

    fn same(line: &str, expected: &[(&str, &str)]) {
        let expected: Vec<_> = expected.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        assert_eq!(pairs(line).unwrap(), expected, "{line}");
    }

    #[test]
    fn pairs_are_read_in_their_order() {
        same("at=info  method=GET path=/a?b=c", &[("at", "info"), ("method", "GET"), ("path", "/a?b=c")]);
        same(r#"msg="order \"o-1\" paid" é=ü"#, &[("msg", r#"order "o-1" paid"#), ("é", "ü")]);
        same(r#"msg="tab\tü\u00fc" dir="C:\work" x="""#, &[("msg", "tab\tüü"), ("dir", r"C:\work"), ("x", "")]);
        same("a=1 debug b= c", &[("a", "1"), ("debug", "true"), ("b", ""), ("c", "true")]);
        same("\ta=1\r", &[("a", "1")]);
    }

    #[test]
    fn what_is_broken_is_shown_by_place() {
        let reason = |line: &str| pairs(line).map_err(|e| (e.reason, e.at)).unwrap_err();
        assert_eq!(reason("server started on port 80"), (Reason::Syntax, None));
        assert_eq!(reason(""), (Reason::Syntax, None));
        assert_eq!(reason("a=1 =2"), (Reason::Syntax, Some(4)));
        assert_eq!(reason("a=1 b\"c=2"), (Reason::Syntax, Some(5)));
        assert_eq!(reason("a=\"open"), (Reason::Truncated, Some(2)));
        assert_eq!(reason("a=\"open\\\""), (Reason::Truncated, Some(2)));
        assert_eq!(reason("a=\"open\\"), (Reason::Truncated, Some(2)));
        assert_eq!(reason("a=\"1\"b=2"), (Reason::Syntax, Some(5)));
    }

    proptest! {
        #[test]
        fn what_is_quoted_as_json_is_read(values in prop::collection::vec("\\PC{0,8}|[\\\\\"\n\t ]{0,4}", 1..5)) {
            let line: Vec<_> = values.iter().map(|v| format!("k={}", serde_json::Value::from(v.as_str()))).collect();
            let read: Vec<_> = pairs(&line.join(" ")).unwrap().into_iter().map(|(_, v)| v).collect();
            prop_assert_eq!(read, values);
        }

        #[test]
        fn no_line_is_too_strange(line in "\\PC{0,40}|[a=\"\\\\ é]{0,40}") {
            let _ = pairs(&line);
        }
    }
}
