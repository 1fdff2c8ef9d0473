//! Redis's own patterns, read as Redis reads them: which of several patterns a key belongs to.

/// Whether the text matches: `*`, `?`, `[abc]`, `[^a]`, `[a-z]`, and `\` before what means itself.
pub(super) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let Some((&first, rest)) = pattern.split_first() else { return text.is_empty() };
    match first {
        b'*' => {
            let rest = &rest[rest.iter().take_while(|byte| **byte == b'*').count()..];
            rest.is_empty() || (0..=text.len()).any(|from| matches(rest, &text[from..]))
        }
        b'?' => !text.is_empty() && matches(rest, &text[1..]),
        b'[' => {
            let Some((&byte, text)) = text.split_first() else { return false };
            let (found, rest) = class(rest, byte);
            found && matches(rest, text)
        }
        b'\\' if !rest.is_empty() => text.first() == Some(&rest[0]) && matches(&rest[1..], &text[1..]),
        byte => text.first() == Some(&byte) && matches(rest, &text[1..]),
    }
}

/// Whether the byte is in the class that begins here, and what stands behind it.
fn class(mut pattern: &[u8], byte: u8) -> (bool, &[u8]) {
    let negated = pattern.first() == Some(&b'^');
    if negated {
        pattern = &pattern[1..];
    }
    let mut found = false;
    loop {
        pattern = match pattern {
            [] => break,
            [b']', rest @ ..] => {
                pattern = rest;
                break;
            }
            [b'\\', escaped, rest @ ..] => {
                found |= *escaped == byte;
                rest
            }
            [low, b'-', high, rest @ ..] => {
                found |= (low.min(high)..=low.max(high)).contains(&&byte);
                rest
            }
            [one, rest @ ..] => {
                found |= *one == byte;
                rest
            }
        };
    }
    (found != negated, pattern)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_are_read_as_redis_reads_them() {
        let check = |pattern: &str, text: &str| matches(pattern.as_bytes(), text.as_bytes());
        for (pattern, text) in [
            ("order:*", "order:1"),
            ("order:*", "order:"),
            ("*:events", "bull:mail:events"),
            ("h?llo", "hello"),
            ("h[ae]llo", "hallo"),
            ("h[^e]llo", "hallo"),
            ("h[a-c]llo", "hbllo"),
            ("h[c-a]llo", "hbllo"),
            (r"a\*b", "a*b"),
            (r"[\]]", "]"),
            ("**", ""),
            ("[ab", "a"),
        ] {
            assert!(check(pattern, text), "{pattern} matches {text}");
        }
        for (pattern, text) in [("order:*", "orders"), ("h[^e]llo", "hello"), (r"a\*b", "axb"), ("?", ""), ("a", "ab")]
        {
            assert!(!check(pattern, text), "{pattern} does not match {text}");
        }
    }
}
