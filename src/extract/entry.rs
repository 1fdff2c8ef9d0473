//! A mirror's `entry: "order:{order_id}"` read backwards: which keys a cache entry's name carries.

use crate::flow::plan::EntryPattern;
use crate::model::KeyId;

/// The keys that a record's own key carries, by the pattern; `None` where it has another form. Each
/// key but the last ends at the next literal text's first occurrence; none is empty.
pub fn keys_of<'k>(pattern: &EntryPattern, key: &'k str) -> Option<Vec<(KeyId, &'k str)>> {
    let (first, _) = pattern.parts.first()?;
    let mut rest = key.strip_prefix(first.as_str())?;
    let mut keys = Vec::with_capacity(pattern.parts.len());
    for (at, (_, name)) in pattern.parts.iter().enumerate() {
        let end = match pattern.parts.get(at + 1) {
            // Two keys with nothing between them cannot be told apart: the first has one character.
            Some((between, _)) => {
                rest.char_indices().skip(1).find(|(n, _)| rest[*n..].starts_with(between.as_str()))?.0
            }
            None => rest.strip_suffix(pattern.tail.as_str())?.len(),
        };
        if end == 0 {
            return None;
        }
        keys.push((*name, &rest[..end]));
        let literal = pattern.parts.get(at + 1).map_or(0, |(between, _)| between.len());
        rest = &rest[end + literal..];
    }
    // The flow's own key goes first.
    keys.sort_by_key(|(name, _)| *name != 0);
    Some(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(parts: &[(&str, KeyId)], tail: &str, key: &str) -> String {
        let parts = parts.iter().map(|(text, name)| ((*text).to_owned(), *name)).collect();
        let keys = keys_of(&EntryPattern { parts, tail: tail.to_owned() }, key);
        keys.map_or("no".to_owned(), |keys| format!("{keys:?}"))
    }

    #[test]
    fn names_of_entries_carry_keys() {
        assert_eq!(check(&[("order:", 0)], "", "order:o-1"), r#"[(0, "o-1")]"#);
        assert_eq!(check(&[("order:", 0)], ":state", "order:o:1:state"), r#"[(0, "o:1")]"#);
        assert_eq!(check(&[("", 2), ("/", 0)], "", "de/o-1/x"), r#"[(0, "o-1/x"), (2, "de")]"#);
        assert_eq!(check(&[("é", 0)], "", "éü"), r#"[(0, "ü")]"#);
    }

    #[test]
    fn names_of_another_form_carry_none() {
        for key in ["order:", "orders:o-1", "", "cart:o-1"] {
            assert_eq!(check(&[("order:", 0)], "", key), "no", "{key}");
        }
        assert_eq!(check(&[("order:", 0)], ":state", "order:o-1"), "no");
        assert_eq!(check(&[("order:", 0)], ":state", "order::state"), "no");
        assert_eq!(check(&[("", 2), ("/", 0)], "", "/o-1"), "no");
    }
}
