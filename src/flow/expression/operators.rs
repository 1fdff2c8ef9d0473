//! What the operators do. Text that is a decimal compares and sums with a number as a number; null
//! equals null alone and is neither less nor more than anything.

use super::val::Val;
use crate::model::time::Span;
use rust_decimal::Decimal;
use std::cmp::Ordering;

/// An operator of two operands whose value depends on both.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    More,
    MoreOrEqual,
    In,
    /// `+` between the parts of a record: two texts are joined.
    Add,
    /// `+` between kept fields: two texts that are decimals are summed.
    Sum,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl Operator {
    /// The operator's value for two operands.
    pub fn apply<'a>(self, left: Val<'a>, right: Val<'a>) -> Result<Val<'a>, String> {
        let ordered = |meets: fn(Ordering) -> bool| order(&left, &right).map(|o| Val::Bool(o.is_some_and(meets)));
        match self {
            Operator::Equal => Ok(Val::Bool(equal(&left, &right))),
            Operator::NotEqual => Ok(Val::Bool(!equal(&left, &right))),
            Operator::Less => ordered(Ordering::is_lt),
            Operator::LessOrEqual => ordered(Ordering::is_le),
            Operator::More => ordered(Ordering::is_gt),
            Operator::MoreOrEqual => ordered(Ordering::is_ge),
            Operator::In => contains(&left, right).map(Val::Bool),
            Operator::Add | Operator::Sum => add(left, right, self == Operator::Sum),
            Operator::Subtract => subtract(left, right),
            Operator::Multiply => arithmetic("*", left, right, i64::checked_mul, Decimal::checked_mul),
            Operator::Divide => divide("/", left, right, i64::checked_div, Decimal::checked_div),
            Operator::Remainder => divide("%", left, right, i64::checked_rem, Decimal::checked_rem),
        }
    }
}

/// Lists and objects of a record are compared down to this depth, deeper ones by their text.
const DEEPEST: usize = 100;

/// `==`: text with text byte for byte, text with a number as a number, null with null alone.
pub(super) fn equal(left: &Val<'_>, right: &Val<'_>) -> bool {
    equal_down(left, right, DEEPEST)
}

fn equal_down(left: &Val<'_>, right: &Val<'_>, depth: usize) -> bool {
    match (left, right) {
        (Val::Null, Val::Null) => true,
        (Val::Bool(a), Val::Bool(b)) => a == b,
        (Val::Int(a), Val::Int(b)) => a == b,
        (Val::Text(a), Val::Text(b)) => a == b,
        (Val::Time(a), Val::Time(b)) => a == b,
        (Val::Span(a), Val::Span(b)) => a == b,
        (Val::List(a), Val::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal_down(a, b, depth)),
        (Val::Map(a), Val::Map(b)) => {
            let found = |key: &Val<'_>| b.iter().find(|(k, _)| equal_down(k, key, depth)).map(|(_, value)| value);
            a.len() == b.len() && a.iter().all(|(key, value)| found(key).is_some_and(|v| equal_down(v, value, depth)))
        }
        (Val::Json(a), Val::Json(b)) if depth == 0 || a == b => a == b,
        (Val::Json(_), Val::Json(_) | Val::List(_) | Val::Map(_)) | (Val::List(_) | Val::Map(_), Val::Json(_)) => {
            equal_down(&left.clone().opened(), &right.clone().opened(), depth.saturating_sub(1))
        }
        (Val::Int(_) | Val::Decimal(_), _) | (_, Val::Int(_) | Val::Decimal(_)) => {
            matches!((left.number(), right.number()), (Some(a), Some(b)) if a == b)
        }
        _ => false,
    }
}

/// The order of two values; `None` where one is null.
fn order(left: &Val<'_>, right: &Val<'_>) -> Result<Option<Ordering>, String> {
    let ordering = match (left, right) {
        (Val::Null, _) | (_, Val::Null) => return Ok(None),
        (Val::Int(a), Val::Int(b)) => Some(a.cmp(b)),
        (Val::Bool(a), Val::Bool(b)) => Some(a.cmp(b)),
        (Val::Time(a), Val::Time(b)) => Some(a.cmp(b)),
        (Val::Span(a), Val::Span(b)) => Some(a.cmp(b)),
        _ => match (left.number(), right.number(), left, right) {
            (Some(a), Some(b), ..) => Some(a.cmp(&b)),
            (.., Val::Text(a), Val::Text(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
            _ => None,
        },
    };
    ordering.map(Some).ok_or_else(|| match (left, right) {
        (Val::Time(_), _) | (_, Val::Time(_)) => mismatch("be compared", left, right, "write timestamp(…) around text"),
        (Val::Span(_), _) | (_, Val::Span(_)) => mismatch("be compared", left, right, "write duration(\"…\")"),
        _ => mismatch("be compared", left, right, "only numbers compare with numbers, and text that is a decimal"),
    })
}

fn contains(needle: &Val<'_>, haystack: Val<'_>) -> Result<bool, String> {
    match haystack.opened() {
        Val::Null => Ok(false),
        Val::List(list) => Ok(list.iter().any(|element| equal(element, needle))),
        Val::Map(map) => Ok(map.iter().any(|(key, _)| equal(key, needle))),
        other => Err(format!("`in` needs a list or a map on its right, not a {}", other.type_name())),
    }
}

fn add<'a>(left: Val<'a>, right: Val<'a>, sum: bool) -> Result<Val<'a>, String> {
    let texts = matches!((&left, &right), (Val::Text(_), Val::Text(_)));
    let join = texts && !(sum && left.number().is_some() && right.number().is_some());
    match (left, right) {
        (Val::Text(a), Val::Text(b)) if join => Ok(Val::Text(a + b)),
        (Val::Time(time), Val::Span(span)) | (Val::Span(span), Val::Time(time)) => Ok(Val::Time(time + span)),
        (Val::Span(a), Val::Span(b)) => Ok(Val::Span(a + b)),
        (left @ (Val::List(_) | Val::Json(_)), right @ (Val::List(_) | Val::Json(_))) => {
            match (left.opened(), right.opened()) {
                (Val::List(mut a), Val::List(b)) => {
                    a.extend(b);
                    Ok(Val::List(a))
                }
                (a, b) => Err(mismatch("be added", &a, &b, "only lists join lists")),
            }
        }
        (left, right) => arithmetic("+", left, right, i64::checked_add, Decimal::checked_add),
    }
}

fn subtract<'a>(left: Val<'a>, right: Val<'a>) -> Result<Val<'a>, String> {
    match (left, right) {
        (Val::Time(a), Val::Time(b)) => Ok(Val::Span(a.since(b))),
        (Val::Time(time), Val::Span(span)) => Ok(Val::Time(time - span)),
        (Val::Span(a), Val::Span(b)) => Ok(Val::Span(Span(a.0.saturating_sub(b.0)))),
        (left, right) => arithmetic("-", left, right, i64::checked_sub, Decimal::checked_sub),
    }
}

fn divide<'a>(name: &str, left: Val<'a>, right: Val<'a>, whole: Whole, exact: Exact) -> Result<Val<'a>, String> {
    if right.number().is_some_and(|divisor| divisor.is_zero()) {
        return Err(format!("`{name}` by zero"));
    }
    arithmetic(name, left, right, whole, exact)
}

type Whole = fn(i64, i64) -> Option<i64>;
type Exact = fn(Decimal, Decimal) -> Option<Decimal>;

/// Whole numbers give whole ones, as far as they reach; anything else gives decimals.
fn arithmetic<'a>(name: &str, left: Val<'a>, right: Val<'a>, whole: Whole, exact: Exact) -> Result<Val<'a>, String> {
    if let (Val::Int(a), Val::Int(b)) = (&left, &right)
        && let Some(n) = whole(*a, *b)
    {
        return Ok(Val::Int(n));
    }
    match (left.number(), right.number()) {
        (Some(a), Some(b)) => exact(a, b).map(Val::Decimal).ok_or_else(|| format!("`{name}` goes beyond 28 digits")),
        _ => Err(mismatch(
            &format!("go with `{name}`"),
            &left,
            &right,
            "write string(…) to join text, decimal(…) to count",
        )),
    }
}

/// `-x`.
pub(super) fn negate(value: Val<'_>) -> Result<Val<'_>, String> {
    match value {
        Val::Span(span) => Ok(Val::Span(Span(span.0.saturating_neg()))),
        other => arithmetic("-", Val::Int(0), other, i64::checked_sub, Decimal::checked_sub),
    }
}

fn mismatch(verb: &str, left: &Val<'_>, right: &Val<'_>, remedy: &str) -> String {
    format!("{} and {} cannot {verb}: {remedy}", left.type_name(), right.type_name())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Time;

    fn text(t: &str) -> Val<'_> {
        Val::Text(t.into())
    }

    fn decimal(t: &str) -> Val<'static> {
        Val::Decimal(t.parse().unwrap())
    }

    fn is_true(operator: Operator, left: &Val<'static>, right: &Val<'static>) -> bool {
        matches!(operator.apply(left.clone(), right.clone()), Ok(Val::Bool(true)))
    }

    #[test]
    fn text_meets_numbers_as_a_number_and_text_as_text() {
        assert!(is_true(Operator::Equal, &text("7.0"), &Val::Int(7)));
        assert!(is_true(Operator::Equal, &decimal("12.50"), &text("12.5")));
        assert!(is_true(Operator::NotEqual, &text("007"), &text("7")));
        assert!(is_true(Operator::NotEqual, &text("seven"), &Val::Int(7)));
        assert!(is_true(Operator::Less, &text("9"), &text("10")), "two decimals compare as numbers");
        assert!(is_true(Operator::Less, &text("10"), &text("9a")), "else byte for byte");
        assert!(Operator::Less.apply(text("a"), Val::Int(1)).is_err());
    }

    #[test]
    fn null_equals_null_alone_and_orders_with_nothing() {
        assert!(is_true(Operator::Equal, &Val::Null, &Val::Null));
        for other in [Val::Int(0), text(""), Val::Bool(false), Val::List(vec![]), Val::Null] {
            let unequal = !matches!(other, Val::Null);
            assert_eq!(is_true(Operator::NotEqual, &Val::Null, &other), unequal);
            for operator in [Operator::Less, Operator::LessOrEqual, Operator::More, Operator::MoreOrEqual] {
                assert!(matches!(operator.apply(Val::Null, other.clone()), Ok(Val::Bool(false))));
                assert!(matches!(operator.apply(other.clone(), Val::Null), Ok(Val::Bool(false))));
            }
            assert!(Operator::Add.apply(Val::Null, Val::Int(1)).is_err(), "nothing can be added to nothing");
        }
    }

    #[test]
    fn money_is_exact() {
        let sum = Operator::Sum.apply(text("0.1"), text("0.2")).unwrap();
        assert!(equal(&sum, &decimal("0.3")));
        let joined = Operator::Add.apply(text("0.1"), text("0.2")).unwrap();
        assert!(equal(&joined, &text("0.10.2")), "parts of a record are joined");
        let product = Operator::Multiply.apply(decimal("19.99"), Val::Int(3)).unwrap();
        assert!(equal(&product, &decimal("59.97")));
    }

    #[test]
    fn whole_numbers_stay_whole_and_never_wrap() {
        assert!(matches!(Operator::Divide.apply(Val::Int(7), Val::Int(2)), Ok(Val::Int(3))));
        let beyond = Operator::Add.apply(Val::Int(i64::MAX), Val::Int(1)).unwrap();
        assert!(equal(&beyond, &decimal("9223372036854775808")));
        assert!(Operator::Divide.apply(Val::Int(1), Val::Int(0)).is_err());
        assert!(Operator::Remainder.apply(decimal("1.5"), text("0.0")).is_err());
        assert!(Operator::Divide.apply(Val::Int(i64::MIN), Val::Int(-1)).is_ok());
        let huge = decimal("79228162514264337593543950335");
        assert!(Operator::Multiply.apply(huge.clone(), huge).is_err());
    }

    #[test]
    fn times_differ_by_durations() {
        let (early, late) = (Val::Time(Time(1_000)), Val::Time(Time(4_000)));
        let span = Operator::Subtract.apply(late.clone(), early.clone()).unwrap();
        assert!(equal(&span, &Val::Span(Span(3_000))));
        assert!(equal(&Operator::Add.apply(early.clone(), span.clone()).unwrap(), &late));
        assert!(equal(&Operator::Subtract.apply(late, span).unwrap(), &early));
        assert!(Operator::Less.apply(early, text("2026-01-01T00:00:00Z")).unwrap_err().contains("timestamp("));
    }

    #[test]
    fn lists_and_maps_compare_by_content() {
        let json = |t: &'static str| Val::Json(t.into());
        assert!(is_true(Operator::Equal, &json(r#"{"a":1,"b":[2.0]}"#), &json(r#"{ "b": [2], "a": 1 }"#)));
        assert!(is_true(Operator::NotEqual, &json("[1,2]"), &json("[2,1]")));
        assert!(is_true(Operator::Equal, &Val::List(vec![Val::Int(1)]), &json("[1]")));
        assert!(is_true(Operator::In, &text("a"), &json(r#"["a"]"#)));
        assert!(is_true(Operator::In, &text("a"), &json(r#"{"a":null}"#)));
        assert!(!is_true(Operator::In, &text("a"), &Val::Null));
        assert!(Operator::In.apply(text("a"), text("abc")).is_err());
    }
}
