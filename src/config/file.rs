//! The options of `type: file`: a recording, or logs that are followed.

use super::decoding::{self, Stamp};
use super::source::{self, Defaults};
use super::{SourceConfig, Tap};
use crate::flow::diagnostic::{Diagnostics, Problem};
use crate::flow::fields::Fields;
use crate::flow::format::{Decoding, Format, Lateness};
use crate::flow::plan::{Carries, Clock};
use crate::model::time::Span;
use regex::bytes::Regex;
use std::path::Path;

/// The options of files; all are asked for, so that what is left is unknown.
pub(super) fn config(
    name: &str,
    fields: &Fields<'_>,
    folder: &Path,
    diagnostics: &Diagnostics<'_>,
) -> Option<SourceConfig> {
    fields.required("path", "name the file, or several with a glob: `path: logs/*.jsonl`");
    let path = fields.text("path");
    let decoding = decoding::read(fields, Stamp::Named, diagnostics);
    let carries = [("messages", Carries::Messages), ("rows", Carries::Rows), ("lines", Carries::Lines)];
    let carries = fields.choice("carries", &carries);
    // Without a word on it, the lines of one file were stamped by one clock.
    let lateness = Lateness::Span(Span::ZERO);
    let defaults = Defaults { lateness, carries: Carries::Lines, clock: Clock::PerPart, resolution: Span::ZERO };
    let defaults = defaults.of_dialect(decoding.as_ref().and_then(Decoding::dialect));
    let defaults = Defaults { carries: carries.unwrap_or(defaults.carries), ..defaults };
    let begins = begins(fields, decoding.as_ref().map(|decoding| &decoding.format), diagnostics);
    let tap = path.map(|path| Tap::File { path: resolved(&path.value, folder), begins });
    source::config(name, tap, decoding, &defaults, fields, diagnostics)
}

/// What the first line of a record looks like, where records have several lines.
fn begins(fields: &Fields<'_>, format: Option<&Format>, diagnostics: &Diagnostics<'_>) -> Option<Regex> {
    let text = fields.text("begins")?;
    if let Some(Format::Csv { .. } | Format::Document | Format::Dialect(_)) = format {
        Problem::error("wrong-field", text.place, "the records of this format say themselves where they end")
            .help("remove `begins`; it is for lines that belong to the one before, as of a stack trace")
            .report(diagnostics);
    }
    let regex = Regex::new(&text.value);
    if let Err(error) = &regex {
        let error = error.to_string();
        let why = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
        Problem::error("bad-regex", text.place, format!("this is not a regular expression: {why}"))
            .help("it tells the first line of a record from those that go on: `begins: '^\\d{4}-\\d\\d-'`")
            .report(diagnostics);
    }
    regex.ok()
}

/// The path or glob against the folder, whose own name may hold what a glob would take for a pattern.
fn resolved(path: &str, folder: &Path) -> String {
    if path.contains(['*', '?', '[']) {
        let escaped = glob::Pattern::escape(&folder.display().to_string());
        Path::new(&escaped).join(path).display().to_string()
    } else {
        folder.join(path).display().to_string()
    }
}
