//! Whatever is written, reading ends with a plan or with diagnostics that stand where they say.

use super::compile_files;
use super::examples::ORDER_PAYMENT;
use proptest::prelude::*;

/// A place in the text, how much of it goes, and what comes there.
fn edit() -> impl Strategy<Value = (usize, usize, &'static str)> {
    let inserts = prop::sample::select(vec![
        "",
        "",
        " ",
        "\n",
        "  ",
        ": ",
        ",",
        "{",
        "}",
        "[",
        "]",
        "(",
        ")",
        "\"",
        "'",
        "#",
        " #",
        "!",
        "&",
        "*",
        "|",
        ">",
        "-",
        "?",
        "@",
        "%",
        "\t",
        "ü",
        "\u{2028}",
        "0",
        "1y",
        "body.",
        ".",
        "->",
        "*/5 * * * *",
        "null",
        "~",
        "---\n",
        "<<: *a",
    ]);
    (0..ORDER_PAYMENT.len(), 0..6usize, inserts)
}

fn apply(text: &mut String, (at, length, insert): (usize, usize, &str)) {
    let start = text.floor_char_boundary(at.min(text.len()));
    let end = text.floor_char_boundary((start + length).min(text.len()));
    text.replace_range(start..end, insert);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn every_text_has_an_answer(edits in prop::collection::vec(edit(), 1..4)) {
        let mut text = ORDER_PAYMENT.to_owned();
        edits.into_iter().for_each(|edit| apply(&mut text, edit));
        let (plan, found) = compile_files(&[("flow.yaml", &text)]);
        prop_assert!(plan.is_some() || !found.is_empty(), "refused without a word:\n{text}");
        for diagnostic in found {
            let line = text.lines().nth(diagnostic.line - 1).unwrap_or_default();
            prop_assert_eq!(line.trim_end(), diagnostic.source.trim_end());
            prop_assert!(diagnostic.column - 1 <= line.chars().count() + 1);
            prop_assert!(!diagnostic.to_string().is_empty());
        }
    }
}
