//! The options of `type: mysql`: tables of a MySQL or MariaDB database.

use super::{SourceConfig, Tap, tables};
use crate::flow::diagnostic::{Diagnostics, Problem, Spanned};
use crate::flow::fields::Fields;
use crate::model::time::Span;
use crate::sources::mysql::Options;
use crate::sources::secret::Secret;

/// The options of MySQL and MariaDB; all are asked for, so that what is left is unknown.
pub(super) fn config(
    name: &str,
    fields: &Fields<'_>,
    clock_skew: Span,
    diagnostics: &Diagnostics<'_>,
) -> Option<SourceConfig> {
    let url = url(name, fields, diagnostics);
    fields.choice("capture", &[("poll", false)]);
    tables::config(name, fields, clock_skew, diagnostics, |tables, common| {
        Some(Tap::MySql(Options { url: Secret(url?.value), tables, common }))
    })
}

fn url(name: &str, fields: &Fields<'_>, diagnostics: &Diagnostics<'_>) -> Option<Spanned<String>> {
    const FORM: &str = "mysql://user:password@host:3306/shop";
    fields.required("url", &format!("say where the database is: `url: \"${{SHOP_URL}}\"`, as {FORM}"));
    fields.text("url").filter(|url| {
        let known = url.value.starts_with("mysql://") || url.value.starts_with("mariadb://");
        if !known {
            // The address itself may hold a password, and is not shown.
            let message = format!("`url` of `{name}` is no address of MySQL or MariaDB");
            Problem::error("bad-url", fields.node().place, message)
                .help(format!("write `{FORM}`; a password best comes by a variable, ${{NAME}}"))
                .report(diagnostics);
        }
        known
    })
}
