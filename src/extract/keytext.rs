//! The text by which a value is compared as a key.
//!
//! Whole numbers compare by their digits, exactly, however large and however spelt (`7`, `7.0`, `7e0`);
//! text compares byte for byte. The same text serves `dedupe_by`: a dedupe value is stored as the
//! packed form of this text, which is also how a key is stored, so it does not matter which of the two
//! an observation refers to.

use crate::model::value::Value;
use std::borrow::Cow;

/// A whole number with an exponent is written out up to so many digits; beyond, it keeps its spelling.
const DIGITS_MAX: i64 = 400;

/// Room for the digits of a whole number.
#[derive(Clone, Copy, Debug, Default)]
pub struct Digits([u8; 20]);

/// The text of a value that may be a key or a part of one; `None` for null, empty text, objects, NaN,
/// and for true and false, which tell nothing apart. A list is taken apart by the caller.
pub fn key_text<'v>(value: &'v Value<'_>, digits: &'v mut Digits) -> Option<Cow<'v, str>> {
    match value {
        Value::Text(text) if !text.is_empty() => Some(Cow::Borrowed(text)),
        Value::Int(n) => Some(Cow::Borrowed(digits.write(*n))),
        Value::Number(text) => number(text),
        _ => None,
    }
}

/// The text by which a `dedupe_by` value is compared: a key's, or for what can be no key its spelling;
/// `None` for null and empty text.
pub fn dedupe_text<'v>(value: &'v Value<'_>, digits: &'v mut Digits) -> Option<Cow<'v, str>> {
    match value {
        Value::Bool(_) | Value::Json(_) => Some(value.display()),
        _ => key_text(value, digits),
    }
}

impl Digits {
    fn write(&mut self, n: i64) -> &str {
        let mut at = self.0.len();
        let mut rest = n.unsigned_abs();
        loop {
            at -= 1;
            self.0[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        if n < 0 {
            at -= 1;
            self.0[at] = b'-';
        }
        std::str::from_utf8(&self.0[at..]).unwrap_or_default()
    }
}

/// A number's canonical text. `None` for what is no number (NaN, infinities).
fn number(text: &str) -> Option<Cow<'_, str>> {
    let (sign, rest) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let (mantissa, exponent) = match rest.find(['e', 'E']) {
        Some(at) => (&rest[..at], &rest[at + 1..]),
        None => (rest, "0"),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return None;
    }
    Some(whole_number(sign, whole, fraction, exponent).map_or(Cow::Borrowed(text), Cow::Owned))
}

/// The digits of a number that is whole; `None` where it is not, or has too many of them.
fn whole_number(sign: &str, whole: &str, fraction: &str, exponent: &str) -> Option<String> {
    let exponent: i64 = exponent.parse().ok()?;
    let mut digits = format!("{whole}{fraction}");
    let significant = digits.trim_end_matches('0').len();
    if significant == 0 {
        return Some("0".to_owned());
    }
    let point = exponent.checked_add(whole.len() as i64)?;
    if point < significant as i64 || point > DIGITS_MAX.max(digits.len() as i64) {
        return None;
    }
    let point = point as usize;
    digits.truncate(point);
    digits.extend(std::iter::repeat_n('0', point - digits.len()));
    Some(format!("{sign}{}", digits.trim_start_matches('0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number_key(text: &str) -> String {
        key(&Value::Number(text.into())).unwrap_or("none".to_owned())
    }

    fn key(value: &Value<'_>) -> Option<String> {
        key_text(value, &mut Digits::default()).map(Cow::into_owned)
    }

    fn dedupe(value: &Value<'_>) -> Option<String> {
        dedupe_text(value, &mut Digits::default()).map(Cow::into_owned)
    }

    #[test]
    fn whole_numbers_compare_by_their_digits() {
        let cases = [
            ("7.0", "7"),
            ("-0", "0"),
            ("-0.00e5", "0"),
            ("123456789012345678901234567890", "123456789012345678901234567890"),
            ("123456789012345678901234567890.000", "123456789012345678901234567890"),
            ("1e3", "1000"),
            ("1.5E3", "1500"),
            ("-12.50e1", "-125"),
            ("1200e-2", "12"),
            ("0.1e1", "1"),
            ("12.50", "12.50"),
            ("1e-3", "1e-3"),
            ("NaN", "none"),
            ("inf", "none"),
            ("-", "none"),
        ];
        for (text, expected) in cases {
            assert_eq!(number_key(text), expected, "{text}");
        }
        assert_eq!(number_key("1e400"), "1e400", "too long to write out");
        assert_eq!(number_key("1e99999999999999999999"), "1e99999999999999999999");
        for n in [0, 7, -5, i64::MAX, i64::MIN] {
            assert_eq!(key(&Value::Int(n)), Some(n.to_string()));
        }
    }

    #[test]
    fn text_compares_byte_for_byte_and_some_values_are_no_keys() {
        assert_eq!(key(&Value::Text("007".into())).unwrap(), "007");
        for none in [Value::Null, Value::Bool(true), Value::Text("".into()), Value::Json("{}".into())] {
            assert_eq!(key(&none), None, "{none:?}");
        }
    }

    #[test]
    fn anything_but_nothing_tells_effects_apart() {
        assert_eq!(dedupe(&Value::Bool(true)).unwrap(), "true");
        assert_eq!(dedupe(&Value::Json("[1]".into())).unwrap(), "[1]");
        assert_eq!(dedupe(&Value::Number("7.0".into())), key(&Value::Int(7)));
        assert_eq!(dedupe(&Value::Text("".into())), None);
        assert_eq!(dedupe(&Value::Null), None);
    }
}
