//! The scanner beside serde_json: the same documents, the same values; and what it does on its own.

use super::*;
use crate::flow::descend::descend;
use crate::flow::plan::Segment;
use crate::model::json;
use crate::model::value::Value;
use proptest::prelude::*;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

fn path(text: &str) -> Vec<Segment> {
    let words = text.split('.').filter(|word| !word.is_empty());
    words.map(|word| word.parse().map_or_else(|_| Segment::Field(word.to_owned()), Segment::Index)).collect()
}

fn scanner(paths: &[&str], mode: Mode) -> (Scanner, Vec<Slot>) {
    let mut needs = Needs::default();
    let slots = paths.iter().map(|text| needs.add(&path(text))).collect();
    (Scanner::new(needs, mode), slots)
}

/// The values at the paths, as people see them, or what is wrong.
fn scan(paths: &[&str], mode: Mode, document: &str) -> Result<String, What> {
    let (mut scanner, slots) = scanner(paths, mode);
    let document = scanner.scan(document.as_bytes()).map_err(|fault| fault.what)?;
    let shown = slots.iter().map(|slot| document.value(*slot).display().into_owned());
    Ok(shown.collect::<Vec<_>>().join(" | "))
}

fn needed(paths: &[&str], document: &str) -> Result<String, What> {
    scan(paths, Mode::Needed, document)
}

#[test]
fn values_are_found_at_their_paths() {
    let order = r#"{"id":"o-1", "psp":{"ref":"r","n":[1,{"x":2.50}]}, "gone":null, "note":"a\u00fcb\n", "paid":true}"#;
    let paths = ["id", "psp.ref", "psp.n.1.x", "psp.n", "gone", "never", "note", "paid", "id.x", "psp.n.5"];
    let found = "o-1 | r | 2.50 | [1,{\"x\":2.50}] | null | null | aüb\n | true | null | null";
    assert_eq!(needed(&paths, order).unwrap(), found);
    assert_eq!(scan(&paths, Mode::Strict, order).unwrap(), found);
    assert_eq!(needed(&["", "0"], " [7] ").unwrap(), "[7] | 7");
    assert_eq!(needed(&["", "0"], "7").unwrap(), "7 | null");
}

#[test]
fn what_is_not_needed_is_not_read_but_for_the_last_byte() {
    assert_eq!(needed(&["a"], r#"{"a":1,"b":nonsense}"#).unwrap(), "1");
    assert_eq!(needed(&["a"], r#"{"a":1,"b":"cut"#), Err(What::Truncated));
    assert_eq!(needed(&["a.b"], "{\"a\":{\"b\":1,\"c\"~}\n\t} \n").unwrap(), "1");
    assert_eq!(needed(&["a"], r#"{"b":nonsense,"a":1}"#), Err(What::Value));
    assert_eq!(
        needed(&["a", "c"], r#"{"a":1,"b":nonsense}"#),
        Err(What::Value),
        "an absent one is looked for to the end"
    );
    assert_eq!(scan(&["a"], Mode::Strict, r#"{"a":1,"b":nonsense}"#), Err(What::Value));
    assert_eq!(needed(&["a"], "{\"a\":1} {}"), Ok("1".to_owned()), "only strict sees what follows");
    assert_eq!(scan(&["a"], Mode::Strict, "{\"a\":1} {}"), Err(What::Trailing));
}

#[test]
fn an_object_that_ends_settles_what_was_looked_for_in_it() {
    assert_eq!(needed(&["a.x", "b"], r#"{"a":{"y":1},"b":2,nonsense}"#).unwrap(), "null | 2");
    assert_eq!(needed(&["a.x", "b"], r#"{"a":5,"b":2,nonsense}"#).unwrap(), "null | 2");
}

#[test]
fn of_duplicate_names_the_first_counts() {
    for mode in [Mode::Needed, Mode::Strict] {
        assert_eq!(scan(&["a", "b.c"], mode, r#"{"a":1,"a":2,"b":{"d":1},"b":{"c":3}}"#).unwrap(), "1 | null");
        assert_eq!(scan(&["a", "z"], mode, r#"{"\u0061":1,"a":2}"#).unwrap(), "1 | null");
        assert_eq!(scan(&["a", "z"], mode, r#"{"a":null,"a":2}"#).unwrap(), "null | null");
    }
}

#[test]
fn numbers_keep_their_spelling() {
    let (mut scanner, slots) = scanner(&["0", "1", "2", "3", "4"], Mode::Strict);
    let document = scanner.scan(b"[9223372036854775807, 9223372036854775808, -0, 1e400, 0.10]").unwrap();
    let values: Vec<_> = slots.iter().map(|slot| document.value(*slot)).collect();
    let number = |text: &'static str| Value::Number(text.into());
    let expected = [Value::Int(i64::MAX), number("9223372036854775808"), number("-0"), number("1e400"), number("0.10")];
    assert_eq!(values, expected);
    for bad in ["01", "-", "1.", ".5", "+1", "1e", "1e+", "NaN", "-Infinity", "0x10", "1_000"] {
        assert!(needed(&["a"], &format!("{{\"a\":{bad}}}")).is_err(), "{bad}");
    }
}

#[test]
fn bad_documents_are_refused_by_place_and_reason() {
    let check = |bytes: &[u8]| {
        let (mut scanner, _) = scanner(&["a", "z"], Mode::Needed);
        let fault = scanner.scan(bytes).expect_err("it is bad");
        format!("{}: {}", fault.at, fault.what)
    };
    let cases: [(&[u8], &str); 12] = [
        (b"", "0: the JSON ends in the middle"),
        (b"{\"a\":\"x", "7: the JSON ends in the middle"),
        (b"{\"a\":\"caf\xe9\"}", "9: not UTF-8"),
        (b"{\"a\xff\":1}", "3: not UTF-8"),
        (b"{\"a\":\"\xed\xa0\x80\"}", "6: not UTF-8"),
        (b"{\"a\":\"tab\there\"}", "9: a control character within text; JSON wants it escaped"),
        (b"{\"a\":\"\\ud800\"}", "6: half of a surrogate pair"),
        (b"{\"a\" 1}", "5: expected `:` after a name"),
        (b"{\"a\":1 \"b\":2}", "7: expected `,` or the end of the list or object"),
        (b"{\"a\":1,}", "7: expected a name in double quotes"),
        (b"{\"a\":tru", "8: the JSON ends in the middle"),
        (b"prose about an order", "0: expected a JSON value"),
    ];
    for (bytes, expected) in cases {
        assert_eq!(check(bytes), expected, "{}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn nesting_has_the_limit_that_serde_json_has() {
    for (depth, fine) in [(1, true), (DEPTH_MAX as usize, true), (DEPTH_MAX as usize + 1, false), (1_000_000, false)] {
        let document = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let expected = if fine { Ok("null".to_owned()) } else { Err(What::Depth) };
        assert_eq!(scan(&["a"], Mode::Strict, &document), expected);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&document).is_ok(), fine);
    }
}

#[test]
fn the_deciding_text_says_what_is_needed() {
    let mut needs = Needs::default();
    let [kind, order, payment] = ["type", "order", "payment"].map(|name| needs.add(&path(name)));
    let cases = vec![("Placed".to_owned(), vec![kind, order]), ("Captured".to_owned(), vec![kind, order, payment])];
    needs.narrow(kind, &cases, &[kind]);
    let mut scanner = Scanner::new(needs, Mode::Needed);
    let mut check = |text: &str| {
        let document = scanner.scan(text.as_bytes()).map_err(|fault| fault.what)?;
        Ok((document.case, document.value(order).display().into_owned()))
    };
    let ok = |case, order: &str| Ok((case, order.to_owned()));
    assert_eq!(check(r#"{"type":"Placed","order":1,nonsense}"#), ok(Case::Known(0), "1"));
    assert_eq!(check(r#"{"type":"Pl\u0061ced","order":1,nonsense}"#), ok(Case::Known(0), "1"));
    assert_eq!(check(r#"{"type":"Captured","order":1,nonsense}"#), Err(What::Name));
    assert_eq!(check(r#"{"order":1,"payment":2,"type":"Captured",nonsense}"#), ok(Case::Known(1), "1"));
    assert_eq!(check(r#"{"type":"Shipped",nonsense}"#), ok(Case::Other, "null"));
    assert_eq!(check(r#"{"type":7,"order":1}"#), ok(Case::Open, "1"));
}

/// Names from a small stock, so that they collide with each other and with the paths; some escaped.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => prop::sample::select(vec!["a", "b", "id", "order_id", "a_name_of_many_letters", r"\u0061", r"b\n", "ü", ""])
            .prop_map(str::to_owned),
        1 => text(),
    ]
}

fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[ -!#-\\[\\]-~]{0,20}",
        1 => "[ü€😀\u{80}]{1,3}",
        1 => prop::sample::select(vec![r"\n", r#"\""#, r"\\", r"\/", r"\u00e9", r"\ud83d\ude00", r"\ud83d", r"\udc00", r"\x", "\t"])
            .prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 0..4).prop_map(|pieces| pieces.concat())
}

fn blank() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", "", "", "", " ", "\n", "\t \r"])
}

/// JSON text, nearly always valid.
fn document() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        prop::sample::select(vec![
            "null",
            "true",
            "false",
            "0",
            "-0",
            "-1",
            "12.50",
            "1e3",
            "1E-400",
            "1e400",
            "9223372036854775808",
            "123456789012345678901234567890",
            "01",
            "NaN",
            "1.",
            "nul",
        ])
        .prop_map(str::to_owned),
        any::<i64>().prop_map(|n| n.to_string()),
        any::<f64>().prop_filter("JSON has no others", |x| x.is_finite()).prop_map(|x| format!("{x:e}")),
        text().prop_map(|text| format!("\"{text}\"")),
    ];
    leaf.prop_recursive(5, 60, 6, |inner| {
        let item =
            (blank(), inner.clone(), blank()).prop_map(|(before, value, after)| format!("{before}{value}{after}"));
        let member = (blank(), name(), blank(), blank(), inner, blank())
            .prop_map(|(a, name, b, c, value, d)| format!("{a}\"{name}\"{b}:{c}{value}{d}"));
        prop_oneof![
            1 => prop::collection::vec(item, 0..5).prop_map(|items| format!("[{}]", items.join(","))),
            3 => prop::collection::vec(member, 0..6).prop_map(|members| format!("{{{}}}", members.join(","))),
        ]
    })
}

/// Documents, some of them with a few bytes changed, cut off or doubled.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let change = (
        any::<prop::sample::Index>(),
        prop_oneof![prop::sample::select(b"{}[]\",:\\0 \x00e.".to_vec()), any::<u8>()],
        0..4,
    );
    (document(), prop::collection::vec(change, 0..3)).prop_map(|(text, changes)| {
        let mut bytes = text.into_bytes();
        for (at, byte, how) in changes {
            if bytes.is_empty() {
                break;
            }
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.truncate(at),
                2 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
        }
        bytes
    })
}

const PATHS: [&str; 12] =
    ["", "a", "b", "id", "order_id", "a_name_of_many_letters", "a.b", "a.b.id", "b.0", "b.1.a", "ü", "id.order_id"];

/// serde_json accepts it, whatever the size of its numbers. (Into a `Value` it refuses those beyond its
/// floats, and skipping a text it does not look at surrogates: so level by level.)
fn reference_accepts(bytes: &[u8]) -> bool {
    fn well_formed(raw: &RawValue) -> bool {
        let text = raw.get();
        match text.as_bytes()[0] {
            b'{' => Members::deserialize(&mut serde_json::Deserializer::from_str(text))
                .is_ok_and(|members| members.0.iter().all(|raw| well_formed(raw))),
            b'[' => serde_json::from_str::<Vec<&RawValue>>(text).unwrap().into_iter().all(well_formed),
            b'"' => serde_json::from_str::<String>(text).is_ok(),
            _ => true,
        }
    }
    serde_json::from_slice::<&RawValue>(bytes).is_ok_and(well_formed)
}

/// The values of an object whose names are all text.
struct Members<'a>(Vec<&'a RawValue>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Values;
        impl<'de> Visitor<'de> for Values {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut values = Vec::new();
                while let Some((_, raw)) = map.next_entry::<String, &RawValue>()? {
                    values.push(raw);
                }
                Ok(Members(values))
            }
        }
        deserializer.deserialize_map(Values)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn strict_accepts_what_serde_json_accepts_with_the_same_values(bytes in bytes()) {
        let (mut strict, slots) = scanner(&PATHS, Mode::Strict);
        let result = strict.scan(&bytes);
        prop_assert_eq!(result.is_ok(), reference_accepts(&bytes), "{:?}", String::from_utf8_lossy(&bytes));
        if let Ok(found) = result {
            let whole = json::value(std::str::from_utf8(&bytes).unwrap());
            for (slot, text) in slots.iter().zip(PATHS) {
                prop_assert_eq!(found.value(*slot), descend(whole.borrowed(), &path(text)), "{}", text);
            }
        }
    }

    #[test]
    fn reading_only_what_is_needed_finds_the_same(bytes in bytes(), first in 1usize..12) {
        let (mut strict, slots) = scanner(&PATHS[first..], Mode::Strict);
        let (mut lazy, _) = scanner(&PATHS[first..], Mode::Needed);
        let lazy = lazy.scan(&bytes);
        if let Ok(all) = strict.scan(&bytes) {
            let lazy = lazy.expect("what strict accepts is accepted");
            for slot in slots {
                prop_assert_eq!(lazy.value(slot), all.value(slot));
            }
        }
    }
}
