//! The functions: those of CEL's standard library, and the language's own.
//!
//! A function of null is null, a question about null is answered by false: so an absent field needs no
//! guard.

use super::calendar;
use super::val::Val;
use crate::model::json;
use crate::model::time::Span;
use crate::model::timestamp;
use crate::model::value::Value;
use rust_decimal::prelude::ToPrimitive;
use std::borrow::Cow;

/// A function that an expression may call.
#[derive(Debug)]
pub(super) struct Function {
    /// Its name.
    pub name: &'static str,
    /// The least and the greatest number of arguments, the receiver included.
    pub arguments: (usize, usize),
    /// How it is called.
    pub style: Style,
    /// What it gives where an argument is null.
    pub of_null: OfNull,
    run: Run,
}

/// How a function is called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Style {
    /// `f(x)`.
    Global,
    /// `x.f()`.
    Method,
    /// Either.
    Both,
}

/// What a function gives where an argument is null.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum OfNull {
    /// Null.
    Null,
    /// False.
    False,
    /// What it gives for any other value.
    Called,
}

type Run = for<'a> fn(Vec<Val<'a>>) -> Result<Val<'a>, String>;

/// The function with this name.
pub(super) fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

/// The names of all functions.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|function| function.name)
}

impl Function {
    /// Calls it.
    pub fn call<'a>(&self, arguments: Vec<Val<'a>>) -> Result<Val<'a>, String> {
        let null = arguments.iter().any(|argument| matches!(argument, Val::Null));
        match self.of_null {
            OfNull::Null if null => Ok(Val::Null),
            OfNull::False if null => Ok(Val::Bool(false)),
            _ => (self.run)(arguments).map_err(|message| format!("{}: {message}", self.name)),
        }
    }
}

const fn function(name: &'static str, arguments: (usize, usize), style: Style, run: Run) -> Function {
    Function { name, arguments, style, of_null: OfNull::Null, run }
}

const fn predicate(name: &'static str, run: Run) -> Function {
    Function { name, arguments: (2, 2), style: Style::Method, of_null: OfNull::False, run }
}

const fn part(name: &'static str, run: Run) -> Function {
    function(name, (1, 2), Style::Method, run)
}

static FUNCTIONS: &[Function] = &[
    function("size", (1, 1), Style::Both, size),
    predicate("contains", |args| ask(args, |text, part| text.contains(part))),
    predicate("startsWith", |args| ask(args, |text, part| text.starts_with(part))),
    predicate("endsWith", |args| ask(args, |text, part| text.ends_with(part))),
    function("int", (1, 1), Style::Global, |args| one(args, int)),
    function("uint", (1, 1), Style::Global, |args| one(args, uint)),
    function("double", (1, 1), Style::Global, |args| one(args, decimal)),
    function("decimal", (1, 1), Style::Global, |args| one(args, decimal)),
    function("string", (1, 1), Style::Global, |args| one(args, string)),
    function("bool", (1, 1), Style::Global, |args| one(args, boolean)),
    function("dyn", (1, 1), Style::Global, |args| one(args, Ok)),
    Function { of_null: OfNull::Called, ..function("type", (1, 1), Style::Global, |args| one(args, type_of)) },
    function("timestamp", (1, 1), Style::Global, |args| one(args, time)),
    function("duration", (1, 1), Style::Global, |args| one(args, span)),
    function("json", (1, 1), Style::Both, |args| one(args, parse_json)),
    function("hash", (1, 1), Style::Both, |args| one(args, hash)),
    function("lower", (1, 1), Style::Both, |args| change(args, |text| Cow::Owned(text.to_lowercase()))),
    function("upper", (1, 1), Style::Both, |args| change(args, |text| Cow::Owned(text.to_uppercase()))),
    function("trim", (1, 1), Style::Both, |args| change(args, |text| Cow::Owned(text.trim().to_owned()))),
    function("split", (2, 2), Style::Both, split),
    part("getFullYear", |args| calendar::part(args, calendar::full_year)),
    part("getMonth", |args| calendar::part(args, calendar::month)),
    part("getDate", |args| calendar::part(args, calendar::date)),
    part("getDayOfMonth", |args| calendar::part(args, calendar::day_of_month)),
    part("getDayOfWeek", |args| calendar::part(args, calendar::day_of_week)),
    part("getDayOfYear", |args| calendar::part(args, calendar::day_of_year)),
    part("getHours", |args| calendar::hand(args, 3_600_000_000_000, calendar::hours)),
    part("getMinutes", |args| calendar::hand(args, 60_000_000_000, calendar::minutes)),
    part("getSeconds", |args| calendar::hand(args, 1_000_000_000, calendar::seconds)),
    part("getMilliseconds", |args| calendar::hand(args, 0, calendar::milliseconds)),
];

/// Lends a value's text; the error says what it is instead.
pub(super) fn text_of<'v>(value: &'v Val<'_>) -> Result<&'v str, String> {
    match value {
        Val::Text(text) => Ok(text),
        other => Err(format!("text is needed, not a {}", other.type_name())),
    }
}

fn one<'a>(mut args: Vec<Val<'a>>, run: fn(Val<'a>) -> Result<Val<'a>, String>) -> Result<Val<'a>, String> {
    run(args.pop().unwrap_or(Val::Null))
}

fn ask<'a>(args: Vec<Val<'a>>, question: fn(&str, &str) -> bool) -> Result<Val<'a>, String> {
    Ok(Val::Bool(question(text_of(&args[0])?, text_of(&args[1])?)))
}

fn change<'a>(args: Vec<Val<'a>>, run: fn(&str) -> Cow<'static, str>) -> Result<Val<'a>, String> {
    text_of(&args[0]).map(|text| Val::Text(run(text)))
}

fn size<'a>(mut args: Vec<Val<'a>>) -> Result<Val<'a>, String> {
    let length = match args.remove(0).opened() {
        Val::Text(text) => text.chars().count(),
        Val::List(list) => list.len(),
        Val::Map(map) => map.len(),
        other => return Err(format!("a {} has no size", other.type_name())),
    };
    Ok(Val::Int(length as i64))
}

fn int(value: Val<'_>) -> Result<Val<'_>, String> {
    let whole = match &value {
        Val::Int(n) => Some(*n),
        Val::Decimal(d) => d.trunc().to_i64(),
        Val::Text(text) => text.parse().ok(),
        Val::Time(time) => Some(time.0.div_euclid(1_000_000_000)),
        _ => None,
    };
    whole.map(Val::Int).ok_or_else(|| cannot_be(&value, "a whole number"))
}

fn uint(value: Val<'_>) -> Result<Val<'_>, String> {
    match int(value)? {
        Val::Int(n) if n < 0 => Err(format!("{n} is negative")),
        other => Ok(other),
    }
}

fn decimal(value: Val<'_>) -> Result<Val<'_>, String> {
    value.number().map(Val::Decimal).ok_or_else(|| cannot_be(&value, "a decimal of up to 28 digits"))
}

fn string(value: Val<'_>) -> Result<Val<'_>, String> {
    match value {
        Val::List(_) | Val::Map(_) | Val::Json(_) => Err(cannot_be(&value, "text")),
        other => Ok(Val::Text(Cow::Owned(other.into_value().display().into_owned()))),
    }
}

fn boolean(value: Val<'_>) -> Result<Val<'_>, String> {
    match &value {
        Val::Bool(b) => Ok(Val::Bool(*b)),
        Val::Text(text) => match text.as_ref() {
            "true" | "True" | "TRUE" | "t" | "1" => Ok(Val::Bool(true)),
            "false" | "False" | "FALSE" | "f" | "0" => Ok(Val::Bool(false)),
            _ => Err(cannot_be(&value, "a bool")),
        },
        _ => Err(cannot_be(&value, "a bool")),
    }
}

fn type_of(value: Val<'_>) -> Result<Val<'_>, String> {
    Ok(Val::Text(Cow::Borrowed(value.type_name())))
}

fn time(value: Val<'_>) -> Result<Val<'_>, String> {
    let read = match &value {
        Val::Time(time) => return Ok(Val::Time(*time)),
        Val::Text(text) => timestamp::read(text, chrono_tz::UTC),
        Val::Int(n) => timestamp::epoch(*n),
        Val::Decimal(d) => timestamp::epoch_decimal(*d),
        _ => return Err(cannot_be(&value, "a time")),
    };
    read.map(Val::Time).map_err(|error| error.to_string())
}

fn span(value: Val<'_>) -> Result<Val<'_>, String> {
    match &value {
        Val::Span(span) => Ok(Val::Span(*span)),
        other => Span::parse(text_of(other)?).map(Val::Span).map_err(|error| error.to_string()),
    }
}

fn parse_json(value: Val<'_>) -> Result<Val<'_>, String> {
    let parsed = json::validate(text_of(&value)?).map(Value::into_owned);
    parsed.map(Val::from).map_err(|error| format!("not JSON: {error}"))
}

fn split<'a>(args: Vec<Val<'a>>) -> Result<Val<'a>, String> {
    let (text, separator) = (text_of(&args[0])?, text_of(&args[1])?);
    let part = |part: &str| Val::Text(Cow::Owned(part.to_owned()));
    if separator.is_empty() {
        return Ok(Val::List(text.chars().map(|c| part(c.encode_utf8(&mut [0; 4]))).collect()));
    }
    Ok(Val::List(text.split(separator).map(part).collect()))
}

/// FNV-1a of 128 bits, in hexadecimal: the same for all time, and no secret.
fn hash(value: Val<'_>) -> Result<Val<'_>, String> {
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let value = value.into_value();
    let hash = value.display().bytes().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, |hash: u128, byte| {
        (hash ^ u128::from(byte)).wrapping_mul(PRIME)
    });
    Ok(Val::Text(Cow::Owned(format!("{hash:032x}"))))
}

fn cannot_be(value: &Val<'_>, what: &str) -> String {
    match value {
        Val::Text(text) if text.chars().count() <= 40 => format!("\"{text}\" is not {what}"),
        Val::Decimal(d) => format!("{d} is not {what}"),
        other => format!("a {} is not {what}", other.type_name()),
    }
}
