//! What expressions over a record mean.

use super::*;
use crate::flow::descend::descend;
use crate::flow::plan::{Root, Segment};
use proptest::prelude::*;

/// A record whose parts are JSON texts.
struct Record {
    body: &'static str,
    each: &'static str,
}

impl Scope for Record {
    fn get(&self, path: &Path) -> Value<'_> {
        let root = match path.root {
            Root::Body | Root::Row => Value::Json(self.body.into()),
            Root::Each => Value::Json(self.each.into()),
            Root::Meta => Value::Json(r#"{"topic":"orders","partition":3}"#.into()),
            Root::Op => Value::Text("insert".into()),
            Root::Headers | Root::Key => Value::Null,
        };
        descend(root, &path.segments)
    }
}

const ORDER: Record = Record {
    body: r#"{"type":"OrderPlaced","id":"o-7","n":7,"total":12.50,"text":"12.5","paid":true,"tags":["a","b"],
        "items":[{"sku":"x","qty":1},{"sku":"y","qty":2}],"ts":"2026-03-01T23:30:15.250Z","nested":{"a":{"b":"c"}},
        "log":"order o-9 paid in 12 ms","inner":"{\"id\":5}","with-dash":1}"#,
    each: r#"{"sku":"x"}"#,
};

fn eval(text: &str) -> Result<Value<'static>, String> {
    Program::compile(text, true).unwrap_or_else(|e| panic!("{text}: {e}")).eval(&ORDER)
}

fn holds(text: &str) -> bool {
    eval(text) == Ok(Value::Bool(true))
}

fn text(t: &str) -> Result<Value<'static>, String> {
    Ok(Value::Text(t.to_owned().into()))
}

fn wrong(text: &str) -> (Option<usize>, String) {
    let error = Program::compile(text, false).err().unwrap_or_else(|| panic!("{text} compiles"));
    (error.at, error.message)
}

#[test]
fn conditions_read_as_they_are_written() {
    for condition in [
        "body.type == 'OrderPlaced' && body.n > 5",
        "body.type in ['OrderPlaced', 'OrderCancelled']",
        "'a' in body.tags && !('z' in body.tags)",
        "body.items.exists(i, i.qty == 2) && body.items.all(i, i.qty > 0)",
        "body.items.exists_one(i, i.sku == 'x') && !body.items.exists_one(i, i.qty > 0)",
        "body.items.filter(i, i.qty > 1).size() == 1",
        "body.items.map(i, i.sku) == ['x', 'y']",
        "body.items.map(i, i.qty > 1, i.sku) == ['y']",
        "body.items[1].sku == 'y' && body['with-dash'] == 1",
        "body.items.all(i, body.items.exists(j, j.sku == i.sku))",
        "has(body.nested.a.b) && !has(body.nested.z)",
        "body.type.startsWith('Order') && body.type.endsWith('Placed') && body.type.contains('rPl')",
        "body.type.matches('^Order') && matches(body.id, '[0-9]$')",
        "size(body.tags) == 2 && body.id.size() == 3 && size(body.nested) == 1",
        "(body.paid ? body.n : 0) == 7",
        "meta.topic == 'orders' && meta.partition == 3 && op == 'insert'",
        "each.sku == row.items[0].sku",
        "body.nested == {'a': {'b': 'c'}}",
        "type(body.n) == int && type(body.id) == string && type(body.absent) == null_type",
        "body.exists(name, name == 'type')",
    ] {
        assert!(holds(condition), "{condition}: {:?}", eval(condition));
    }
}

#[test]
fn what_is_absent_is_null() {
    for condition in [
        "body.absent == null",
        "body.absent.deeper[3].still == null",
        "body.items[9] == null && body.items[9].sku == null",
        "body.id.too.far == null",
        "!(body.absent > 5) && !(body.absent <= 5)",
        "!body.absent.startsWith('x') && !body.absent.matches('x')",
        "body.absent != 'x'",
        "!body.absent.exists(x, x == 1) && body.absent.all(x, x == 1)",
        "lower(body.absent) == null && string(body.absent) == null",
        "headers.trace == null && key == null",
    ] {
        assert!(holds(condition), "{condition}: {:?}", eval(condition));
    }
    assert!(eval("body.absent && true").unwrap_err().contains("neither true nor false"));
    assert!(eval("body.queue + '/' + body.id").is_err(), "a composite key with a hole is no key");
}

#[test]
fn what_decides_makes_an_error_beside_it_harmless() {
    assert!(holds("body.id + 1 == 2 || true"));
    assert!(holds("true || body.id + 1 == 2"));
    assert!(holds("!(body.id + 1 == 2 && false)"));
    assert!(eval("body.id + 1 == 2 || false").is_err());
    assert!(holds("[1, 'x', 3].exists(i, i - 3 == 0)"));
}

#[test]
fn numbers_are_exact_and_meet_text_that_is_a_number() {
    for condition in [
        "body.total == body.n + 5.5",
        "body.text == 12.50 && 12.5 == body.text",
        "body.text == '12.5' && body.text != '12.50'",
        "body.total * 3 == 37.5",
        "0.1 + 0.2 == 0.3",
        "body.text > 9 && '10' > '9'",
        "decimal(body.text) / 2 == 6.25",
        "7 / 2 == 3 && 7 % 4 == 3 && -7 / 2 == -3",
        "1u + 2 == 3",
        "9007199254740993.5 > 9007199254740993.25",
        "int('42') == 42 && int(7.9) == 7 && double('1.5') == 1.5",
    ] {
        assert!(holds(condition), "{condition}: {:?}", eval(condition));
    }
    assert_eq!(eval("decimal(body.text) + 0.5"), Ok(Value::Number("13.0".into())));
}

#[test]
fn keys_are_composed_and_texts_taken_apart() {
    assert_eq!(eval("body.id + '/' + string(body.n)"), text("o-7/7"));
    assert_eq!(eval("extract(body.log, 'order (\\\\S+) paid')"), text("o-9"));
    assert_eq!(eval("body.log.extract(r'\\d+ ms')"), text("12 ms"));
    assert_eq!(eval("extract(body.log, 'invoice (.*)')"), Ok(Value::Null));
    assert_eq!(eval("json(body.inner).id"), Ok(Value::Int(5)));
    assert_eq!(eval("body.id.split('-')[1]"), text("7"));
    assert_eq!(eval("body.items.map(i, i.sku)"), Ok(Value::Json(r#"["x","y"]"#.into())));
    assert_eq!(eval("upper(body.id) + lower('Ü') + trim('  x ')"), text("O-7üx"));
    assert_eq!(eval("hash('')"), text("6c62272e07bb014262b821756295c58d"));
    assert_eq!(eval("hash('a')"), text("d228cb696f1a8caf78912b704e4a8964"));
    assert_eq!(eval("hash(body.n) == hash('7')"), Ok(Value::Bool(true)));
    assert!(eval("body.id + 1").unwrap_err().contains("string("));
    assert!(eval("json(body.log)").unwrap_err().contains("not JSON"));
}

#[test]
fn times_and_durations() {
    for condition in [
        "timestamp(body.ts).getFullYear() == 2026 && timestamp(body.ts).getMonth() == 2",
        "timestamp(body.ts).getDate() == 1 && timestamp(body.ts).getDate('Europe/Berlin') == 2",
        "timestamp(body.ts).getHours('+05:30') == 5 && timestamp(body.ts).getMinutes('-00:30') == 0",
        "timestamp(body.ts).getMilliseconds() == 250 && timestamp(body.ts).getDayOfWeek() == 0",
        "timestamp(body.ts) + duration('30m') == timestamp('2026-03-02T00:00:15.25Z')",
        "timestamp(1767225600) == timestamp('2026-01-01T00:00:00Z')",
        "timestamp(1767225600500) - timestamp(1767225600) == duration('500ms')",
        "duration('1d12h').getHours() == 36 && duration('90s').getMinutes() == 1",
        "duration('1h') > duration('59m') && -duration('1h') < duration('0')",
    ] {
        assert!(holds(condition), "{condition}: {:?}", eval(condition));
    }
    assert_eq!(eval("timestamp(body.ts) - duration('250ms')"), text("2026-03-01T23:30:15Z"));
    assert_eq!(eval("duration('90m')"), text("1h30m"));
    assert!(eval("body.ts < timestamp('2026-01-01T00:00:00Z')").unwrap_err().contains("timestamp("));
    assert!(eval("body.ts.getHours()").unwrap_err().contains("timestamp("));
}

#[test]
fn paths_are_listed_as_far_as_they_go() {
    let program = Program::compile(
        "body.items.exists(i, i.sku == body.sku) && body.a[0].b['c-d'] > 1 && has(headers.x) && body.items[n].y == key
            && body.a[0].b['c-d'] < 5",
        true,
    );
    assert_eq!(program.unwrap_err().message, "`n` is not known: a field of the record is written `body.n`");
    let program = Program::compile(
        "body.items.exists(i, i.sku == body.sku) && body.a[0].b['c-d'] > 1 && has(headers.x) && body.items[meta.n].y == key
            && body.a[0].b['c-d'] < 5",
        true,
    )
    .unwrap();
    let field = |name: &str| Segment::Field(name.to_owned());
    let path = |root, segments: &[Segment]| Path { root, segments: segments.to_vec() };
    let expected = [
        path(Root::Body, &[field("items")]),
        path(Root::Body, &[field("sku")]),
        path(Root::Body, &[field("a"), Segment::Index(0), field("b"), field("c-d")]),
        path(Root::Headers, &[field("x")]),
        path(Root::Meta, &[field("n")]),
        path(Root::Key, &[]),
    ];
    assert_eq!(program.paths(), expected);
}

#[test]
fn mistakes_are_found_when_compiling() {
    for (expression, at, message) in [
        ("bdy.x == 1", 0, "`bdy` is not known: did you mean `body`?"),
        ("1 + amount", 4, "`amount` is not known: a field of the record is written `body.amount`"),
        ("each.x == 1", 0, "`each` is only there in a step that has `each:`"),
        ("body.x == lowr('A')", 10, "there is no function `lowr`; did you mean `lower`?"),
        ("sum(body.x) > 1", 0, "`sum` is not used so: it takes a step, and is for `holds`"),
        ("all(body.x) > 1", 0, "`all` is not used so: it is written `list.all(element, …)`"),
        ("body.x.matches('(')", 15, "not a regular expression: unclosed group"),
        ("body.x.matches(body.y)", 19, "the regular expression of `matches` has to be a constant text"),
        (
            "body.x < duration('60x')",
            18,
            "duration: `60x` is not a duration; write it like 30s, 15m, 1h30m or 1d (units: ms s m h d w y)",
        ),
        ("split('a')", 0, "`split` takes 2 values, not 1"),
        ("body.x.int() == 1", 7, "write `int(…)`"),
        ("contains(body.x, 'a')", 0, "write `body.text.contains(…)`, with the value in front"),
        ("has(body)", 4, "`has` asks for a field, as in `has(body.paid)`"),
        ("body.x.all(1, true)", 11, "a name for the element is needed here, as in `items.all(i, i.qty > 0)`"),
        ("b'x' == body.x", 0, "there are no bytes here, only text"),
        ("'é' == lowr('A')", 8, "there is no function `lowr`; did you mean `lower`?"),
        ("Order{id: 1}", 5, "there is no type `Order` to make a value of"),
    ] {
        assert_eq!(wrong(expression), (Some(at), message.to_owned()), "{expression}");
    }
}

#[test]
fn a_program_serves_many_threads() {
    fn shared<T: Clone + Send + Sync + std::fmt::Debug>(_: &T) {}
    shared(&Program::compile("body.n == 7", false).unwrap());
    shared(&HoldsProgram::compile("count(s) == 7", &|_, _| Ok((0, None))).unwrap());
}

#[test]
fn huge_records_are_no_danger() {
    let wide: String = (0..20_000).map(|n| format!("\"{n}\":{n},")).collect();
    let wide: &'static str = format!("{{{wide}\"z\":1}}").leak();
    let deep: &'static str = ("[".repeat(20_000) + &"]".repeat(20_000)).leak();
    let program = Program::compile("size(body) > 1 || body[0][0] == 1 || body.z == 1", false).unwrap();
    assert_eq!(program.eval_bool(&Record { body: wide, each: "" }), Ok(true));
    assert_eq!(program.eval_bool(&Record { body: deep, each: "" }), Ok(false));
    let program = Program::compile("body == each", true).unwrap();
    let spaced: &'static str = deep.replacen("[[", "[ [", 1).replacen("]]", "] ]", 1).leak();
    assert_eq!(program.eval_bool(&Record { body: deep, each: spaced }), Ok(false), "too deep to be taken apart");
    let program = Program::compile("body == [[1]]", false).unwrap();
    assert_eq!(program.eval_bool(&Record { body: deep, each: "" }), Ok(false));
}

/// Expressions whose meaning is CEL's own: no text meets a number that it spells.
fn plain_cel() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        (-9i64..99).prop_map(|n| if n < 0 { format!("({n})") } else { n.to_string() }),
        "[a-c]{0,2}".prop_map(|t| format!("'{t}'")),
        Just("true".to_owned()),
        Just("[1, 2]".to_owned()),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let operator = prop::sample::select(vec!["+", "-", "*", "/", "%", "==", "!=", "<", "<=", "&&", "||", "in"]);
        prop_oneof![
            (inner.clone(), operator, inner.clone()).prop_map(|(a, o, b)| format!("({a} {o} {b})")),
            (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
            inner.clone().prop_map(|a| format!("(!{a})")),
            inner.clone().prop_map(|a| format!("size({a})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("[{a}].exists(x, x == {b})")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("[{a}, 1].map(x, x + {b})")),
        ]
    })
}

proptest! {
    /// Where CEL's own interpreter finds a value, it is ours as well.
    #[test]
    fn plain_expressions_mean_what_cel_means(text in plain_cel()) {
        let theirs = cel::Program::compile(&text).unwrap().execute(&cel::Context::default());
        // A call of constants that fails is found when it is compiled, even where it is never reached.
        let Ok(program) = Program::compile(&text, false) else { return Ok(()) };
        let expected = match theirs {
            Ok(cel::Value::Bool(b)) => Value::Bool(b),
            Ok(cel::Value::Int(n)) => Value::Int(n),
            Ok(cel::Value::String(t)) => Value::Text(t.to_string().into()),
            _ => return Ok(()),
        };
        prop_assert_eq!(program.eval(&ORDER), Ok(expected), "{}", text);
    }

    #[test]
    fn no_text_is_too_strange(text in "\\PC{0,60}|[a-z.()\\[\\]'+&|!? 0-9]{0,60}") {
        if let Ok(program) = Program::compile(&text, true) {
            let _ = program.eval(&ORDER);
        }
    }
}
