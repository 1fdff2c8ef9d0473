//! The options of `type: mysql`: tables of a MySQL or MariaDB database.

use super::source::{self, Defaults};
use super::{SourceConfig, Tap, changes, decoding, tables};
use crate::flow::diagnostic::{Diagnostics, Problem, Spanned};
use crate::flow::fields::Fields;
use crate::flow::format::Lateness;
use crate::flow::plan::{Carries, Clock};
use crate::model::time::Span;
use crate::sources::mysql::{Options, changes as captures};
use crate::sources::secret::Secret;

/// A commit is stamped before it is visible: the lateness of change capture, where nothing else is said.
const LATENESS: Span = Span::seconds(1);
/// The log stamps commits with whole seconds.
const RESOLUTION: Span = Span::seconds(1);

/// The options of MySQL and MariaDB; all are asked for, so that what is left is unknown.
pub(super) fn config(
    name: &str,
    fields: &Fields<'_>,
    clock_skew: Span,
    diagnostics: &Diagnostics<'_>,
) -> Option<SourceConfig> {
    let url = url(name, fields, diagnostics);
    if fields.choice("capture", &[("poll", false), ("changes", true)]).unwrap_or(false) {
        return captured(name, url, fields, diagnostics);
    }
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

/// The options of `capture: changes`.
fn captured(
    name: &str,
    url: Option<Spanned<String>>,
    fields: &Fields<'_>,
    diagnostics: &Diagnostics<'_>,
) -> Option<SourceConfig> {
    let server_id = server_id(fields, diagnostics);
    let tables = changes::tables(fields, diagnostics);
    let mut decoding = decoding::rows(fields, diagnostics);
    decoding.zone = fields.zone("zone")?;
    changes::no_polling(fields, diagnostics);
    let lateness = Lateness::Span(LATENESS);
    let defaults = Defaults { lateness, carries: Carries::Rows, clock: Clock::One, resolution: RESOLUTION };
    // The tap needs what is declared of the source, and the source its tap: so it is made in two steps.
    let placeholder = Tap::File { path: String::new(), begins: None };
    let mut config = source::config(name, Some(placeholder), Some(decoding), &defaults, fields, diagnostics)?;
    changes::no_moment(config.start, fields, diagnostics);
    config.captures_changes = true;
    let (url, start) = (Secret(url?.value), config.start);
    let tables = tables?.into_iter().map(|table| captures::Table { name: table.name, key: table.key }).collect();
    config.tap = Tap::MySqlChanges(captures::Options { url, server_id, tables, start });
    Some(config)
}

/// The number by which the server knows its replicas.
fn server_id(fields: &Fields<'_>, diagnostics: &Diagnostics<'_>) -> Option<u32> {
    let text = fields.text("server_id")?;
    let number = text.value.parse::<u32>().ok().filter(|number| *number > 0);
    if number.is_none() {
        Problem::error("unknown-value", text.place, format!("`server_id` cannot be `{}`", text.value))
            .help(
                "it is a number from 1 to 4294967295 that no replica of the server has; leave it out for a random one",
            )
            .report(diagnostics);
    }
    number
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::config::Config;
    use crate::config::load::fixture;
    use crate::sources::live::Start;

    pub const FULL: &str = r#"
flows: [order.yaml]
sources:
  shop:
    type: mysql
    capture: changes
    url: "${URL}"
    server_id: 4711
    tables:
      orders: {}
      crm.Lines: {columns: {key: [order_id, line]}}
    zone: Europe/Berlin
    lateness: 2s
    start: beginning
  plain: {type: mysql, capture: changes, url: "mariadb://shop", tables: {orders: {}}}
"#;

    fn loaded(text: &str) -> (Option<Config>, String) {
        fixture::loaded(text, &[("URL", "mysql://watcher:s3cret@db/shop")])
    }

    #[test]
    fn every_option_of_change_capture_is_read() {
        let (config, told) = loaded(FULL);
        let config = config.unwrap_or_else(|| panic!("{told}"));
        let [shop, plain] = &config.sources[..] else { panic!("two sources") };
        let (Tap::MySqlChanges(full), Tap::MySqlChanges(short)) = (&shop.tap, &plain.tap) else { panic!("changes") };
        assert_eq!((&*full.url.0, full.server_id), ("mysql://watcher:s3cret@db/shop", Some(4711)));
        assert_eq!((full.tables[1].key.len(), full.start, short.start), (2, Start::Beginning, Start::Latest));
        assert_eq!(
            (shop.decoding.zone, shop.pacing.lateness),
            (chrono_tz::Europe::Berlin, Lateness::Span(Span::seconds(2)))
        );
        let info = shop.info();
        assert!(info.captures_changes && info.has_time && !info.skips_versions && !info.default_dedupe_is_position);
        assert_eq!((short.server_id, plain.clock, plain.resolution), (None, Clock::One, RESOLUTION));
        assert!(!format!("{config:?}").contains("s3cret"));
    }

    #[test]
    fn mistakes_in_change_capture_are_told_with_place_and_remedy() {
        let (config, told) = loaded(
            r#"
flows: [order.yaml]
sources:
  a: {type: mysql, capture: changes, url: "mysql://shop", tables: {}, start: 2026-01-01, poll: 1s, server_id: 0}
  b: {type: mysql, capture: changes, url: "postgres://me:s3cret@shop", tables: {orders: {sweep: 1m}}, slot: x}
"#,
        );
        assert!(config.is_none());
        insta::assert_snapshot!(told);
    }
}
