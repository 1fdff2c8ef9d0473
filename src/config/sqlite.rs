//! The options of `type: sqlite`: tables of an SQLite database.

use super::{SourceConfig, Tap, tables};
use crate::flow::diagnostic::Diagnostics;
use crate::flow::fields::Fields;
use crate::model::time::Span;
use crate::sources::sqlite::Options;
use std::path::Path;

/// The options of SQLite; all are asked for, so that what is left is unknown.
pub(super) fn config(
    name: &str,
    fields: &Fields<'_>,
    folder: &Path,
    clock_skew: Span,
    diagnostics: &Diagnostics<'_>,
) -> Option<SourceConfig> {
    fields.required("path", "name the database's file: `path: shop.db`");
    let path = fields.text("path");
    tables::config(name, fields, clock_skew, diagnostics, |tables, common| {
        Some(Tap::Sqlite(Options { path: folder.join(path?.value), tables, common }))
    })
}
