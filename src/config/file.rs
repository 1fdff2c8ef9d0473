//! The options of `type: file`: a recording, or logs that are followed.

use super::decoding::{self, Stamp};
use super::source::{self, Defaults};
use super::{SourceConfig, Tap};
use crate::flow::diagnostic::Diagnostics;
use crate::flow::fields::Fields;
use crate::flow::format::Lateness;
use crate::flow::plan::{Carries, Clock};
use crate::model::time::Span;
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
    let carries = fields.choice("carries", &carries).unwrap_or(Carries::Lines);
    // Without a word on it, the lines of one file were stamped by one clock.
    let lateness = Lateness::Span(Span::ZERO);
    let defaults = Defaults { lateness, carries, clock: Clock::PerPart, resolution: Span::ZERO };
    let tap = path.map(|path| Tap::File { path: resolved(&path.value, folder) });
    source::config(name, tap, decoding, &defaults, fields, diagnostics)
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
