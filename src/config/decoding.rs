//! How a source's records are written: format, time, `parse`, `redact`.

use crate::flow::diagnostic::{Diagnostics, Problem, Spanned, nearest};
use crate::flow::dialect::{DIALECTS, Dialect, ENCODINGS, Encoding};
use crate::flow::fields::{self, Fields};
use crate::flow::format::{Decoding, Format, ParseHow, ParseRule};
use crate::flow::plan::{Path as FieldPath, Root};
use crate::flow::yaml::{Entry, Node};
use crate::model::strftime::TimeFormat;
use chrono_tz::Tz;
use regex::Regex;

/// Whether a type of source stamps its records.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stamp {
    /// They have the time that `time` names, or none.
    Named,
    /// Where no `time` is named, they have the source's.
    Own,
    /// The same, and they are JSON when they come here, whatever their `format` is.
    OwnJson,
}

/// The formats of records, those of other tools aside.
const FORMATS: [&str; 6] = ["json", "csv", "logfmt", "regex", "text", "document"];

/// The options of text records. A source of its own clock may leave out the format: it is JSON.
pub(super) fn read(fields: &Fields<'_>, stamp: Stamp, diagnostics: &Diagnostics<'_>) -> Option<Decoding> {
    let own_time = stamp != Stamp::Named;
    let format = if stamp == Stamp::OwnJson || (own_time && !fields.has("format")) {
        Some(Format::Json)
    } else {
        fields.required("format", "say how a record is written: json, csv, logfmt, regex, text or document");
        format(fields, diagnostics)
    };
    columns_belong(fields, &format, diagnostics);
    let dialect = if let Some(Format::Dialect(dialect)) = &format { Some(dialect) } else { None };
    let stamped = own_time || dialect.is_some();
    let key_is_identity = dialect.is_some_and(Dialect::captures_changes);
    let time = path(fields, "time", diagnostics);
    let time_format = time_format(fields, diagnostics);
    let zone = zone(fields, diagnostics);
    let key = path(fields, "key", diagnostics);
    let op = path(fields, "op", diagnostics);
    let (parse, strict, redact) = refining(fields, diagnostics);
    Some(Decoding {
        format: format?,
        time,
        time_format,
        zone,
        key,
        op,
        parse,
        strict,
        redact,
        stamped,
        key_is_identity,
    })
}

/// The options of rows, which are JSON and bring their own time and key.
pub(super) fn rows(fields: &Fields<'_>, diagnostics: &Diagnostics<'_>) -> Decoding {
    let (parse, strict, redact) = refining(fields, diagnostics);
    Decoding {
        format: Format::Json,
        time: None,
        time_format: None,
        zone: Tz::UTC,
        key: None,
        op: None,
        parse,
        strict,
        redact,
        stamped: true,
        key_is_identity: true,
    }
}

/// `parse`, `decode` and `redact`, which serve all formats.
fn refining(fields: &Fields<'_>, diagnostics: &Diagnostics<'_>) -> (Vec<ParseRule>, bool, Vec<FieldPath>) {
    let parse = fields.get("parse").and_then(|node| fields::list(node, "parse", diagnostics)).unwrap_or_default();
    let parse = parse.iter().filter_map(|rule| parse_rule(rule, diagnostics)).collect();
    let strict = fields.choice("decode", &[("needed", false), ("strict", true)]).unwrap_or(false);
    let redact = fields.texts("redact").unwrap_or_default();
    let redact = redact.iter().filter_map(|text| read_path(text, diagnostics)).collect();
    (parse, strict, redact)
}

fn format(fields: &Fields<'_>, diagnostics: &Diagnostics<'_>) -> Option<Format> {
    let known: Vec<(&str, &str)> = FORMATS.into_iter().chain(DIALECTS).map(|name| (name, name)).collect();
    let format = fields.choice("format", &known);
    let pattern = fields.text("pattern");
    let delimiter = fields.text("delimiter");
    if let (Some(pattern), Some(format)) = (&pattern, format)
        && format != "regex"
    {
        Problem::error(
            "wrong-field",
            pattern.place,
            format!("`pattern` belongs to `format: regex`, and this is {format}"),
        )
        .help("remove it, or use `parse: [{from: …, regex: …, into: body}]` for a part of a record")
        .report(diagnostics);
    }
    if let (Some(delimiter), Some(format)) = (&delimiter, format)
        && !matches!(format, "csv" | "jtl")
    {
        Problem::error(
            "wrong-field",
            delimiter.place,
            format!("`delimiter` belongs to `format: csv` and `format: jtl`, and this is {format}"),
        )
        .help("remove it")
        .report(diagnostics);
    }
    if let Some(dialect) = Dialect::named(format?) {
        return Some(Format::Dialect(match dialect {
            Dialect::Debezium { .. } => Dialect::Debezium { columns: columns(fields, diagnostics) },
            Dialect::Jtl { .. } => {
                Dialect::Jtl { delimiter: delimiter.map_or(Some(b','), |text| one_byte(&text, diagnostics))? }
            }
            other => other,
        }));
    }
    match format? {
        "json" => Some(Format::Json),
        "csv" => Some(Format::Csv { delimiter: delimiter.map_or(Some(b','), |text| one_byte(&text, diagnostics))? }),
        "logfmt" => Some(Format::Logfmt),
        "text" => Some(Format::Text),
        "document" => Some(Format::Document),
        _ => {
            fields.required(
                "pattern",
                "`pattern: '^(?<at>\\S+) (?<level>\\w+) (?<text>.*)$'`: its named groups are the fields",
            );
            regex(&pattern?, diagnostics).map(Format::Regex)
        }
    }
}

/// How columns are encoded of which no schema speaks.
fn columns(fields: &Fields<'_>, diagnostics: &Diagnostics<'_>) -> Vec<(String, Encoding)> {
    let entries = fields.get("columns").and_then(|node| fields::map(node, "columns", diagnostics));
    let column = |entry: &Entry| {
        let text = entry.value.scalar().map(|scalar| scalar.text.as_str()).unwrap_or_default();
        let encoding = Encoding::declared(text);
        if encoding.is_none() {
            Problem::error("unknown-value", entry.value.place, format!("a column is not encoded as `{text}`"))
                .help(format!("it is one of {ENCODINGS}; columns that are as they seem need not be named"))
                .report(diagnostics);
        }
        Some((entry.key.value.clone(), encoding?))
    };
    entries.unwrap_or_default().iter().filter_map(column).collect()
}

/// `columns` says how Debezium encodes, and nothing of other formats.
fn columns_belong(fields: &Fields<'_>, format: &Option<Format>, diagnostics: &Diagnostics<'_>) {
    if let (Some(format), Some(node)) = (format, fields.get("columns"))
        && !matches!(format, Format::Dialect(Dialect::Debezium { .. }))
    {
        Problem::error("wrong-field", node.place, "`columns` belongs to `format: debezium`")
            .help("remove it")
            .report(diagnostics);
    }
}

fn one_byte(text: &Spanned<String>, diagnostics: &Diagnostics<'_>) -> Option<u8> {
    match text.value.as_bytes() {
        [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r') => Some(*byte),
        b"\\t" | b"tab" => Some(b'\t'),
        _ => {
            Problem::error("bad-delimiter", text.place, format!("`{}` cannot stand between columns", text.value))
                .help("it is one ASCII character: `delimiter: ';'`; a tab is written as `tab`")
                .report(diagnostics);
            None
        }
    }
}

fn regex(text: &Spanned<String>, diagnostics: &Diagnostics<'_>) -> Option<Regex> {
    match Regex::new(&text.value) {
        Ok(regex) if regex.capture_names().flatten().next().is_none() => {
            Problem::error("bad-regex", text.place, "the expression has no named group, so it finds nothing")
                .help("name what it finds: `(?<order_id>\\S+)`")
                .report(diagnostics);
            None
        }
        Ok(regex) => Some(regex),
        Err(error) => {
            let error = error.to_string();
            let why = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
            Problem::error("bad-regex", text.place, format!("this is not a regular expression: {why}"))
                .report(diagnostics);
            None
        }
    }
}

fn zone(fields: &Fields<'_>, diagnostics: &Diagnostics<'_>) -> Tz {
    let Some(text) = fields.text("zone") else {
        return Tz::UTC;
    };
    text.value.parse().unwrap_or_else(|_| {
        let names: Vec<&str> = chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name()).collect();
        let problem = Problem::error("unknown-zone", text.place, format!("there is no time zone `{}`", text.value));
        match nearest(&text.value, &names) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem.help("zones have names like Europe/Berlin, America/New_York or UTC"),
        }
        .report(diagnostics);
        Tz::UTC
    })
}

fn time_format(fields: &Fields<'_>, diagnostics: &Diagnostics<'_>) -> Option<String> {
    let text = fields.text("time_format")?;
    if let Err(message) = TimeFormat::new(&text.value) {
        Problem::error("bad-time-format", text.place, message)
            .help("write it like `%d/%b/%Y:%H:%M:%S %z`")
            .report(diagnostics);
    }
    Some(text.value)
}

fn parse_rule(node: &Node, diagnostics: &Diagnostics<'_>) -> Option<ParseRule> {
    const EXAMPLE: &str = "`{from: body.log, json: body.log}`, or `{from: body.msg, regex: '…', into: body}`";
    let fields = Fields::new(node, "a rule of `parse`", diagnostics)?;
    fields.required("from", EXAMPLE);
    let from = path(&fields, "from", diagnostics);
    let json = path(&fields, "json", diagnostics).map(|into| (ParseHow::Json, into));
    let logfmt = path(&fields, "logfmt", diagnostics).map(|into| (ParseHow::Logfmt, into));
    let pattern = fields.text("regex");
    let into = path(&fields, "into", diagnostics);
    if ["json", "logfmt", "regex"].iter().filter(|name| node.get(name).is_some()).count() != 1 {
        Problem::error("parse-how", node.place, "a rule of `parse` says how: one of `json`, `logfmt` and `regex`")
            .help(EXAMPLE)
            .report(diagnostics);
    }
    if let (Some(into), None) = (node.get("into"), node.get("regex")) {
        Problem::error("wrong-field", into.place, "`into` belongs to `regex`")
            .help("with `json` and `logfmt` the target stands there: `json: body.log`")
            .report(diagnostics);
    }
    fields.finish();
    let regex = pattern.and_then(|pattern| regex(&pattern, diagnostics)).map(|regex| {
        let body = || FieldPath { root: Root::Body, segments: vec![] };
        (ParseHow::Regex(regex), into.unwrap_or_else(body))
    });
    let (how, into) = json.or(logfmt).or(regex)?;
    Some(ParseRule { from: from?, how, into })
}

/// The path that an option names.
pub(super) fn path(fields: &Fields<'_>, name: &'static str, diagnostics: &Diagnostics<'_>) -> Option<FieldPath> {
    read_path(&fields.text(name)?, diagnostics)
}

fn read_path(text: &Spanned<String>, diagnostics: &Diagnostics<'_>) -> Option<FieldPath> {
    let path = FieldPath::parse(&text.value).filter(|path| path.root != Root::Each);
    if path.is_none() {
        let problem = Problem::error("bad-path", text.place, format!("`{}` is not a path into a record", text.value));
        let in_body = format!("body.{}", text.value);
        match FieldPath::parse(&in_body) {
            Some(_) => problem.help(format!("did you mean `{in_body}`?")),
            None => {
                problem.help("paths begin with body, row, op, headers, key or meta: `body.ts`, `body.items[0].sku`")
            }
        }
        .report(diagnostics);
    }
    path
}
