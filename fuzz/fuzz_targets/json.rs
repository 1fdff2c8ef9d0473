//! Any bytes, read as JSON: strict accepts exactly what serde_json accepts and finds the same values,
//! and reading only what is needed finds what strict finds.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;
use throughline::extract::json::{Mode, Needs, Scanner, Slot};
use throughline::flow::descend::descend;
use throughline::flow::plan::{Path, Segment};
use throughline::model::json;

const PATHS: [&str; 8] = ["body", "body.a", "body.b", "body.id", "body.a.b", "body.b[0]", "body.b[1].a", "body.order_id"];

fn segments() -> Vec<Vec<Segment>> {
    PATHS.iter().map(|text| Path::parse(text).expect("a path").segments).collect()
}

fn scanner(paths: &[Vec<Segment>], mode: Mode) -> (Scanner, Vec<Slot>) {
    let mut needs = Needs::default();
    let slots = paths.iter().map(|path| needs.add(path)).collect();
    (Scanner::new(needs, mode), slots)
}

fuzz_target!(|bytes: &[u8]| {
    let paths = segments();
    let (mut strict, slots) = scanner(&paths, Mode::Strict);
    let (mut needed, _) = scanner(&paths[1..], Mode::Needed);
    let lazy = needed.scan(bytes);
    let Ok(found) = strict.scan(bytes) else {
        let refused = serde_json::from_slice::<serde_json::Value>(bytes).is_err();
        return assert!(refused, "serde_json accepts it");
    };
    assert!(serde_json::from_slice::<&RawValue>(bytes).is_ok(), "serde_json refuses it");
    let text = std::str::from_utf8(bytes).expect("what was accepted is UTF-8");
    for (path, slot) in paths.iter().zip(&slots) {
        assert_eq!(found.value(*slot), descend(json::value(text), path));
    }
    lazy.expect("what strict accepts is accepted");
});
