//! The options of `type: postgres`: tables of a PostgreSQL database.

use super::{SourceConfig, Tap, changes, tables};
use crate::flow::diagnostic::{Diagnostics, Problem};
use crate::flow::fields::Fields;
use crate::model::time::Span;
use crate::sources::postgres::Options;
use crate::sources::secret::Secret;

/// The options of PostgreSQL; all are asked for, so that what is left is unknown.
pub(super) fn config(
    name: &str,
    fields: &Fields<'_>,
    clock_skew: Span,
    diagnostics: &Diagnostics<'_>,
) -> Option<SourceConfig> {
    fields.required(
        "url",
        "say where the database is: `url: \"${SHOP_URL}\"`, as postgres://user:password@host:5432/shop",
    );
    let url = fields.text("url").filter(|url| {
        let known = url.value.starts_with("postgres://") || url.value.starts_with("postgresql://");
        if !known {
            // The address itself may hold a password, and is not shown.
            Problem::error("bad-url", fields.node().place, format!("`url` of `{name}` is no address of PostgreSQL"))
                .help(
                    "write `postgres://user:password@host:5432/database`; a password best comes by a variable, ${NAME}",
                )
                .report(diagnostics);
        }
        known
    });
    if fields.choice("capture", &[("poll", false), ("changes", true)]).unwrap_or(false) {
        return changes::config(name, url, fields, diagnostics);
    }
    tables::config(name, fields, clock_skew, diagnostics, |tables, common| {
        Some(Tap::Postgres(Options { url: Secret(url?.value), tables, common }))
    })
}
