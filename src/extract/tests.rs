//! Stories: steps and records in, observations and counts out.

use super::*;
use crate::flow::SourceInfo;
use crate::flow::compile as compile_flows;
use crate::flow::diagnostic::{Document, Severity};
use crate::flow::format::{Format, ParseHow, ParseRule};
use crate::flow::plan::{Carries, Clock, Path};
use crate::model::key;
use crate::model::observation::{Body as Kept, Dedupe, Entry};
use crate::model::time::Span;
use proptest::prelude::*;
use std::slice;
use std::sync::LazyLock;

static ORDERS: LazyLock<Arc<Plan>> = LazyLock::new(|| plan(STEPS));

const STEPS: &str = r#"
  placed:
    from: events
    when: body.type == "OrderPlaced"
    key: {order_id: body.order_id}
    keep: {amount: body.amount}
  captured:
    from: events
    when: body.type == "PaymentCaptured"
    key: {order_id: body.order_id, payment_id: body.payment_id}
    dedupe_by: body.payment_id
    keep: {amount: body.amount}
  shipped:
    from: events
    when: body.type == "ShipmentCreated"
    key: {payment_id: body.payment_id}
"#;

fn events() -> SourceInfo {
    SourceInfo {
        name: "events".to_owned(),
        carries: Carries::Lines,
        clock: Clock::One,
        resolution: Span::ZERO,
        lateness: Span::ZERO,
        lateness_end: false,
        skips_versions: false,
        tells_operations: false,
        captures_changes: false,
        has_time: true,
        default_dedupe_is_position: true,
        retention: None,
    }
}

fn plan(steps: &str) -> Arc<Plan> {
    let source = events();
    let text = format!("flow: order\nkey: order_id\nsteps:{steps}");
    let document = Document { path: "order.yaml".into(), text };
    let (plan, found) = compile_flows(&[document], &[source], Span::ZERO);
    let errors: Vec<_> = found.iter().filter(|d| d.severity == Severity::Error).map(ToString::to_string).collect();
    Arc::new(plan.unwrap_or_else(|| panic!("{}", errors.join("\n"))))
}

fn at(text: &str) -> Path {
    Path::parse(text).expect("a path")
}

/// JSON lines whose time stands at `body.ts`.
fn lines() -> Decoding {
    Decoding {
        format: Format::Json,
        time: Some(at("body.ts")),
        time_format: None,
        zone: chrono_tz::UTC,
        key: None,
        op: None,
        parse: Vec::new(),
        strict: false,
        redact: Vec::new(),
        stamped: false,
        key_is_identity: false,
    }
}

/// The same, but their time is when they were read.
fn untimed() -> Decoding {
    Decoding { time: Some(at("meta.ingest")), ..lines() }
}

/// One observation: step, keys, what makes the effect unique, kept fields.
fn observation(plan: &Plan, batch: &Batch, entry: &Entry) -> String {
    let flow = &plan.flows[entry.flow as usize];
    let step = &flow.steps[entry.step as usize];
    let keys = batch
        .keys(entry)
        .iter()
        .map(|found| format!(" {}={}", flow.keys[found.name as usize].name, key::unpack(batch.packed(found))));
    let body = Kept::read(batch.body(entry));
    let dedupe = match body.dedupe {
        Dedupe::Position => String::new(),
        Dedupe::Key(index) => format!(" by key {index}"),
        Dedupe::Value(packed) => format!(" by `{}`", key::unpack(packed)),
    };
    let keep = step.keep.iter().zip(body.fields()).map(|((name, _), value)| format!(" {name}:{}", value.to_json()));
    let element = if entry.position.element > 0 { format!("[{}]", entry.position.element) } else { String::new() };
    format!("{}{element}{}{dedupe}{}", step.name, keys.collect::<String>(), keep.collect::<String>())
}

fn extract(extractor: &mut Extractor, plan: &Plan, payload: &[u8]) -> Result<String, Undecodable> {
    let mut batch = Batch::default();
    let position = Position { part: 0, offset: 7, element: 0 };
    let record =
        Record { payload, position, ingest: Time(1_000_000_000), part: "a.jsonl", attributes: Attributes::default() };
    let latest = Time(2_000_000_000_000_000_000);
    let result = extractor.record(&record, latest, slice::from_mut(&mut batch));
    let shown: Vec<_> = batch.entries().iter().map(|entry| observation(plan, &batch, entry)).collect();
    match &result {
        Ok(extracted) => assert_eq!(extracted.matched as usize, shown.len()),
        Err(_) => assert_eq!(shown, [""; 0], "what cannot be read leaves nothing behind"),
    }
    result.map(|_| if shown.is_empty() { "nothing".to_owned() } else { shown.join("\n") })
}

/// What each record becomes, one after the other.
fn check(steps: &str, decoding: &Decoding, records: &[(&str, &str)]) -> Extractor {
    let plan = plan(steps);
    let mut extractor = Extractor::new(slice::from_ref(&plan), "events", decoding);
    for (record, expected) in records {
        let found = extract(&mut extractor, &plan, record.as_bytes()).unwrap_or_else(|bad| bad.to_string());
        assert_eq!(found, *expected, "{record}");
    }
    extractor
}

fn counts(extractor: &Extractor, step: u16) -> StepCounts {
    extractor.counts().step(0, step)
}

#[test]
fn the_text_that_tells_records_apart_picks_the_step() {
    let records = [
        (
            r#"{"type":"OrderPlaced","order_id":"o-1","amount":12.50,"ts":"2026-01-01T00:00:00Z","x":nonsense}"#,
            "placed order_id=o-1 amount:12.5",
        ),
        (
            r#"{"ts":1767225600,"payment_id":"p-1","order_id":"o-1","amount":3,"type":"PaymentCaptured"}"#,
            "captured order_id=o-1 payment_id=p-1 by key 1 amount:3",
        ),
        (r#"{"type":"ShipmentCreated","payment_id":"p-1","ts":"2026-01-01T00:00:00Z"}"#, "shipped payment_id=p-1"),
        (r#"{"type":"OrderSeen","ts":"2026-01-01T00:00:00Z"}"#, "nothing"),
        (r#"{"ts":"2026-01-01T00:00:00Z"}"#, "nothing"),
    ];
    let extractor = check(STEPS, &lines(), &records);
    assert_eq!([0, 1, 2].map(|step| counts(&extractor, step).matched), [1, 1, 1]);
    check(STEPS, &Decoding { strict: true, ..lines() }, &records[1..]);
}

#[test]
fn a_record_without_a_time_that_can_be_right_is_undecodable() {
    let day = "is beyond the machine's clock, 2033-05-18T03:33:20Z";
    let records = [
        (
            r#"{"type":"OrderPlaced","order_id":"o-1"}"#,
            "no_time: there is no event time where the source's `time` says",
        ),
        (
            r#"{"type":"OrderPlaced","ts":"yesterday"}"#,
            "bad_time: \"yesterday\" is not a time like 2026-01-31T08:30:00Z; `time_format` reads others",
        ),
        (r#"{"type":"x","ts":"2040-01-01T00:00:00Z"}"#, &format!("wild_time: 2040-01-01T00:00:00Z {day}")),
        (r#"{"type":"OrderPlaced","order_id":"o-1","#, "truncated: the JSON ends in the middle"),
        ("", "truncated: the JSON ends in the middle"),
        ("null", "no_time: there is no event time where the source's `time` says"),
    ];
    check(STEPS, &lines(), &records);
}

#[test]
fn conditions_compare_combine_and_are_asked_once() {
    let steps = r#"
  paid: {from: events, when: 'body.type == "order" && body.status == "paid"', key: {order_id: body.id}}
  open: {from: events, when: 'body.type == "order" && body.status != "paid" && body.n == 5', key: {order_id: body.id}}
  both: {from: events, when: 'body.type == "order" || body.type == "bill"', key: {order_id: body.id}}
  none: {from: events, when: body.type == null, key: {order_id: body.id}}
  any: {from: events, key: {order_id: body.id}}
"#;
    let records = [
        (r#"{"id":1,"type":"order","status":"paid"}"#, "paid order_id=1\nboth order_id=1\nany order_id=1"),
        (r#"{"id":1,"type":"order","n":"5.0"}"#, "open order_id=1\nboth order_id=1\nany order_id=1"),
        (r#"{"id":1,"type":"bill","n":5}"#, "both order_id=1\nany order_id=1"),
        (r#"{"id":1,"type":null}"#, "none order_id=1\nany order_id=1"),
        (r#"{"id":1,"type":{"a":1}}"#, "any order_id=1"),
    ];
    check(steps, &untimed(), &records);
}

#[test]
fn keys_are_compared_by_canonical_text() {
    let steps = "\n  seen: {from: events, key: {order_id: [body.id, body.other], item: body.items}}\n";
    let records = [
        (r#"{"id":7,"other":7.0}"#, "seen order_id=7"),
        (
            r#"{"id":123456789012345678901234567890,"other":"007"}"#,
            "seen order_id=123456789012345678901234567890 order_id=007",
        ),
        (r#"{"id":"b\u00fc","items":["x",1,"x",null,{}]}"#, "seen order_id=bü item=x item=1"),
        (r#"{"id":{"a":1},"other":"","items":[]}"#, "seen"),
        (r#"{"id":true}"#, "seen"),
    ];
    let extractor = check(steps, &untimed(), &records);
    let counts = counts(&extractor, 0);
    assert_eq!((counts.matched, counts.null_keys, counts.not_keys), (5, 6, 4));
}

#[test]
fn kept_fields_keep_their_values() {
    let steps = "\n  seen: {from: events, key: {order_id: body.id}, keep: {a: body.a, b: body.b.c, m: meta.file, p: meta.position}}\n";
    let records = [
        (
            r#"{"id":1,"a":"x\ty","b":{"c":[1,{"d":2.0}]}}"#,
            r#"seen order_id=1 a:"x\ty" b:[1,{"d":2.0}] m:"a.jsonl" p:7"#,
        ),
        (r#"{"id":1,"b":"c"}"#, r#"seen order_id=1 a:null b:null m:"a.jsonl" p:7"#),
    ];
    check(steps, &untimed(), &records);
}

#[test]
fn an_effect_is_told_by_its_dedupe_value() {
    let steps = "\n  seen: {from: events, key: {order_id: body.id, item: body.item}, dedupe_by: body.item}\n  other: {from: events, key: {order_id: body.id}, dedupe_by: body.n}\n";
    let records = [
        (r#"{"id":1,"item":"x","n":2.0}"#, "seen order_id=1 item=x by key 1\nother order_id=1 by `2`"),
        (r#"{"id":1,"item":["x"],"n":"2"}"#, "seen order_id=1 item=x by `[\"x\"]`\nother order_id=1 by `2`"),
        (r#"{"id":1,"n":""}"#, "seen order_id=1\nother order_id=1"),
        (r#"{"id":1,"n":false}"#, "seen order_id=1\nother order_id=1 by `false`"),
    ];
    check(steps, &untimed(), &records);
}

#[test]
fn a_part_of_a_recording_is_the_file_called_after_it() {
    let steps =
        "\n  here: {from: events.a, key: {order_id: body.id}}\n  there: {from: events.b, key: {order_id: body.id}}\n";
    check(steps, &untimed(), &[(r#"{"id":1}"#, "here order_id=1")]);
}

#[test]
fn a_list_is_taken_apart() {
    let steps = r#"
  packed:
    from: events
    each: body.items
    when: body.type == "packed" && each.kind != "gift"
    key: {order_id: body.id, item: each.sku}
    keep: {n: each.n, whole: each}
"#;
    let records = [
        (
            r#"{"type":"packed","id":"o","items":[ {"sku":"a","n":1} ,{"kind":"gift","sku":"b"},{"sku":"c"}]}"#,
            "packed order_id=o item=a n:1 whole:{\"sku\":\"a\",\"n\":1}\npacked[2] order_id=o item=c n:null whole:{\"sku\":\"c\"}",
        ),
        (r#"{"items":{"sku":"a"},"type":"packed","id":"o"}"#, "packed order_id=o item=a n:null whole:{\"sku\":\"a\"}"),
        (r#"{"type":"packed","id":"o","items":"a"}"#, "packed order_id=o n:null whole:\"a\""),
        (r#"{"type":"packed","id":"o","items":[]}"#, "nothing"),
        (r#"{"type":"packed","id":"o","items":null}"#, "nothing"),
        (r#"{"type":"other","id":"o","items":[1]}"#, "nothing"),
    ];
    check(steps, &untimed(), &records);
}

#[test]
fn a_mirrors_entry_carries_keys_in_its_name() {
    let steps = "
  placed: {from: events, when: body.type == \"OrderPlaced\", key: {order_id: body.id}, keep: {status: body.status}}
checks:
  fresh: {mirror: placed, in: events, entry: \"order:{order_id}\", fields: {status: status}, within: 5s}
";
    let decoding = Decoding { key: Some(at("body.k")), ..untimed() };
    let records = [
        (r#"{"k":"order:o-1","status":"new"}"#, "fresh order_id=o-1 status:\"new\""),
        (r#"{"k":"cart:o-1","status":"new"}"#, "nothing"),
        (r#"{"type":"OrderPlaced","id":"o-1","status":"new"}"#, "placed order_id=o-1 status:\"new\""),
    ];
    check(steps, &decoding, &records);
}

#[test]
fn what_is_redacted_joins_but_is_not_kept() {
    let steps = r#"
  seen:
    from: events
    when: body.email != "nobody"
    key: {order_id: body.email, item: body.id}
    dedupe_by: body.email
    keep: {email: body.email, who: body.who, domain: 'extract(body.email, "@(.*)")', none: body.who.none}
"#;
    let decoding = Decoding { redact: vec![at("body.email"), at("body.who.name"), at("body.who.none")], ..untimed() };
    let hash = redact::hashed("a@b");
    let expected = format!(
        "seen order_id={hash} item=1 by key 0 email:\"[redacted]\" who:{{\"name\":\"[redacted]\",\"n\":1.50}} domain:\"[redacted]\" none:null"
    )
    .replace("1.50", "1.5");
    check(
        steps,
        &decoding,
        &[
            (r#"{"email":"a@b","id":1,"who":{"name":"A","n":1.50}}"#, &expected),
            (r#"{"email":"nobody","id":1}"#, "nothing"),
        ],
    );
}

#[test]
fn a_step_may_have_a_time_of_its_own() {
    let steps = "\n  seen: {from: events, key: {order_id: body.id}, time: body.at, lateness: 5s}\n  too: {from: events, key: {order_id: body.id}}\n";
    let extractor = check(
        steps,
        &lines(),
        &[
            (r#"{"id":1,"ts":1767225600,"at":1767225601}"#, "seen order_id=1\ntoo order_id=1"),
            (r#"{"id":1,"ts":1767225600,"at":"soon"}"#, "too order_id=1"),
            (r#"{"id":1,"ts":1767225600,"at":"2040-01-01T00:00:00Z"}"#, "too order_id=1"),
        ],
    );
    assert_eq!((counts(&extractor, 0).undecodable, counts(&extractor, 0).matched), (2, 1));
}

#[test]
fn expressions_that_fail_are_counted() {
    let steps = r#"
  seen:
    from: events
    when: body.n > 5
    key: {order_id: body.id, item: 'body.id + "/" + body.kind'}
    keep: {twice: body.n * 2, short: 'extract(body.id, "(o)")'}
"#;
    let extractor = check(
        steps,
        &untimed(),
        &[
            (r#"{"n":6,"id":"o","kind":"k"}"#, "seen order_id=o item=o/k twice:12 short:\"o\""),
            (r#"{"n":"many","id":"o"}"#, "nothing"),
            (r#"{"n":7,"id":"o","kind":[]}"#, "seen order_id=o twice:14 short:\"o\""),
        ],
    );
    let counts = counts(&extractor, 0);
    assert_eq!((counts.when_errors, counts.key_errors, counts.keep_errors), (1, 1, 0));
}

#[test]
fn other_formats_and_parse_rules_give_the_same() {
    let steps = "\n  seen: {from: events, when: body.type == \"t\", key: {order_id: body.id}, keep: {n: body.n}}\n";
    let decoding = |format| Decoding { format, ..untimed() };
    check(
        steps,
        &decoding(Format::Logfmt),
        &[("type=t id=o-1 n=\"2\"", "seen order_id=o-1 n:\"2\""), ("type=x id=o", "nothing")],
    );
    let csv = decoding(Format::Csv { delimiter: b',' });
    let plan = plan(steps);
    let mut extractor = Extractor::new(slice::from_ref(&plan), "events", &csv);
    extractor.header(b"id,type,n").unwrap();
    assert_eq!(extract(&mut extractor, &plan, b"o-1,t,").unwrap(), "seen order_id=o-1 n:\"\"");
    extractor.header(b"type,id").unwrap();
    assert_eq!(extract(&mut extractor, &plan, b"t,o-2").unwrap(), "seen order_id=o-2 n:null");
    assert_eq!(extract(&mut extractor, &plan, b"t").unwrap_err().reason, Reason::Columns);
    let rule = ParseRule { from: at("body.log"), how: ParseHow::Json, into: at("body") };
    let wrapped = Decoding { parse: vec![rule], ..untimed() };
    check(steps, &wrapped, &[(r#"{"log":"{\"type\":\"t\",\"id\":7}"}"#, "seen order_id=7 n:null")]);
}

#[test]
fn a_hundred_megabytes_in_one_line_are_one_record() {
    let plan = plan(STEPS);
    let mut extractor = Extractor::new(slice::from_ref(&plan), "events", &lines());
    let long = "x".repeat(100 << 20);
    let record = format!(r#"{{"long":"{long}","type":"OrderPlaced","order_id":"o-1","amount":1,"ts":1767225600}}"#);
    assert_eq!(extract(&mut extractor, &plan, record.as_bytes()).unwrap(), "placed order_id=o-1 amount:1");
    let cut = extract(&mut extractor, &plan, &record.as_bytes()[..record.len() / 2]);
    assert_eq!(cut.unwrap_err().reason, Reason::Truncated);
}

/// Records that are nearly those of the steps.
fn nearly() -> impl Strategy<Value = String> {
    let value = prop::sample::select(vec![
        r#""OrderPlaced""#,
        r#""PaymentCaptured""#,
        r#""Payment\u0043aptured""#,
        r#""o-1""#,
        "7",
        "7.0",
        "null",
        "{}",
        r#"["a","b"]"#,
        "1767225600",
        r#""2026-01-01T00:00:00Z""#,
        "-",
        "\"caf\u{e9}\"",
        r#""""#,
    ]);
    let name = prop::sample::select(vec!["type", "order_id", "payment_id", "amount", "ts", "typ\\u0065", "other"]);
    let members = prop::collection::vec((name, value), 0..8);
    members.prop_map(|members| {
        let members: Vec<_> = members.into_iter().map(|(name, value)| format!("\"{name}\": {value}")).collect();
        format!("{{{}}}", members.join(" , "))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn reading_only_what_is_needed_gives_the_same_observations(record in nearly(), cut in 0usize..200) {
        let plan = ORDERS.clone();
        let mut strict = Extractor::new(slice::from_ref(&plan), "events", &Decoding { strict: true, ..lines() });
        let mut fields = Extractor::new(slice::from_ref(&plan), "events", &Decoding { format: Format::Document, ..lines() });
        let mut needed = Extractor::new(slice::from_ref(&plan), "events", &lines());
        let whole = extract(&mut strict, &plan, record.as_bytes());
        let reason = |bad: Undecodable| bad.reason;
        if !matches!(whole, Err(Undecodable { reason: Reason::Syntax, .. })) {
            let listed = extract(&mut fields, &plan, record.as_bytes());
            prop_assert_eq!(whole.clone().map_err(reason), listed.map_err(reason));
            prop_assert_eq!(&extract(&mut needed, &plan, record.as_bytes()), &whole);
        }
        let cut = &record.as_bytes()[..cut.min(record.len())];
        let _ = extract(&mut needed, &plan, cut);
    }

    #[test]
    fn no_payload_is_too_strange(payload in prop::collection::vec(any::<u8>(), 0..60)) {
        let plan = ORDERS.clone();
        for format in [Format::Json, Format::Logfmt, Format::Text, Format::Document, Format::Csv { delimiter: b';' }] {
            for strict in [false, true] {
                let mut extractor = Extractor::new(slice::from_ref(&plan), "events", &Decoding { format: format.clone(), strict, ..lines() });
                let _ = extractor.header(&payload);
                let _ = extract(&mut extractor, &plan, &payload);
            }
        }
    }
}

#[test]
fn a_record_whose_elements_make_too_much_is_undecodable_as_a_whole() {
    let plan = plan(
        r#"
  placed: {from: events, when: body.type == "placed", key: {order_id: body.order_id}}
  item: {from: events, when: body.type == "wide", each: body.items, key: {order_id: each.id}, keep: {all: body}}
"#,
    );
    let mut extractor = Extractor::new(slice::from_ref(&plan), "events", &untimed());
    let mut batch = Batch::default();
    let mut line = 0;
    let mut extract = |payload: String, batch: &mut Batch| {
        line += 1;
        let record = Record {
            payload: payload.as_bytes(),
            position: Position { offset: line, ..Position::default() },
            ingest: Time(1),
            part: "",
            attributes: Attributes::default(),
        };
        extractor.record(&record, Time::MAX, slice::from_mut(batch))
    };
    let wide = |items: usize, pad: usize| {
        let items: Vec<_> = (0..items).map(|n| format!("{{\"id\":{n}}}")).collect();
        format!("{{\"type\":\"wide\",\"pad\":\"{}\",\"items\":[{}]}}", "x".repeat(pad), items.join(","))
    };
    extract(r#"{"type":"placed","order_id":1}"#.into(), &mut batch).unwrap();
    assert_eq!(extract(wide(3, 9), &mut batch).unwrap().matched, 3);
    let error = extract(wide(40, 8 << 20), &mut batch).unwrap_err();
    assert_eq!((error.reason, batch.entries().len()), (undecodable::Reason::TooLong, 4));
    assert!(error.detail.contains("more than 268435456 bytes"), "{}", error.detail);
    assert_eq!(extract(wide(2, 9), &mut batch).unwrap().matched, 2, "what comes after it fits");
    let keys: Vec<_> = batch.entries().iter().map(|e| key::unpack(batch.packed(&batch.keys(e)[0]))).collect();
    assert_eq!(keys, ["1", "0", "1", "2", "0", "1"]);
    batch.clear();
    assert!(batch.is_empty() && !batch.is_full());
}

#[test]
fn a_row_of_a_captured_table_has_its_own_key_as_well() {
    let text = "flow: order\nkey: number\nsteps:\n  ordered: {from: events.orders, key: {number: row.number}}\n  gone: \
                {from: events.orders, when: op == \"delete\", keep: {op: op}}\n";
    let document = Document { path: "order.yaml".into(), text: text.into() };
    let (plan, _) = compile_flows(&[document], &[SourceInfo { captures_changes: true, ..events() }], Span::ZERO);
    let plan = Arc::new(plan.unwrap());
    let decoding = Decoding { time: None, stamped: true, key_is_identity: true, ..lines() };
    let mut extractor = Extractor::new(slice::from_ref(&plan), "events", &decoding);
    let mut told = |stream, op, key, payload: &str| {
        let attributes =
            Attributes { stream: Some(stream), key, op: Some(op), time: Some(Time(1)), ..Attributes::default() };
        let position = Position { part: 0, offset: 7, element: 0 };
        let record = Record { payload: payload.as_bytes(), position, ingest: Time(1), part: stream, attributes };
        let mut batch = Batch::default();
        extractor.record(&record, Time(2), slice::from_mut(&mut batch)).unwrap();
        batch.entries().iter().map(|entry| observation(&plan, &batch, entry)).collect::<Vec<_>>()
    };
    let row = r#"{"id":5,"number":"A-5"}"#;
    assert_eq!(told("orders", "insert", Some("5"), row), ["ordered number=A-5 @events.orders=5 by key 1"]);
    assert_eq!(told("orders", "delete", Some("5"), r#"{"id":5}"#), [r#"gone @events.orders=5 by key 0 op:"delete""#]);
    assert_eq!(told("orders", "truncate", None, "{}"), [""; 0]);
    assert_eq!(told("customers", "insert", Some("5"), row), [""; 0]);
    let composite = told("orders", "delete", Some(r#"["eu",5]"#), "{}");
    assert_eq!(composite, [r#"gone @events.orders=["eu",5] by key 0 op:"delete""#]);
}
