//! The options of `type: postgres` with `capture: changes`: a database's log of changes.

use super::source::{self, Defaults};
use super::{SourceConfig, Tap, decoding};
use crate::flow::diagnostic::{Diagnostics, Problem, Spanned};
use crate::flow::fields::{self, Fields};
use crate::flow::format::Lateness;
use crate::flow::plan::{Carries, Clock};
use crate::flow::yaml::Entry;
use crate::model::time::Span;
use crate::sources::live::Start;
use crate::sources::postgres::changes::{Options, Table};
use crate::sources::secret::Secret;

/// The publication, where nothing else is said.
const PUBLICATION: &str = "throughline";
/// A commit is stamped before it stands in the log, so stamps do not rise with it: the lateness, where nothing else is
/// said, and at least.
const LATENESS: Span = Span::seconds(1);
/// So long is the name of a slot, at most.
const SLOT_MAX: usize = 63;

/// The options of change capture; all are asked for, so that what is left is unknown.
pub(super) fn config(
    name: &str,
    url: Option<Spanned<String>>,
    fields: &Fields<'_>,
    diagnostics: &Diagnostics<'_>,
) -> Option<SourceConfig> {
    let publication = fields.text("publication").map_or(PUBLICATION.to_owned(), |text| text.value);
    let slot = fields.text("slot");
    let slot_is_good = slot.as_ref().is_none_or(|slot| is_slot(slot, diagnostics));
    let tables = tables(fields, diagnostics);
    let mut decoding = decoding::rows(fields, diagnostics);
    decoding.zone = fields.zone("zone")?;
    no_polling(fields, diagnostics);
    let defaults = Defaults {
        lateness: Lateness::Span(LATENESS),
        carries: Carries::Rows,
        clock: Clock::One,
        resolution: Span::ZERO,
    };
    // The tap needs what is declared of the source, and the source its tap: so it is made in two steps.
    let placeholder = Tap::File { path: String::new(), begins: None };
    let mut config = source::config(name, Some(placeholder), Some(decoding), &defaults, fields, diagnostics)?;
    let at = |name| fields.get(name).map_or(fields.node().place, |node| node.place);
    if !matches!(config.pacing.lateness, Lateness::Span(span) if span >= LATENESS) {
        let message = format!("the lateness of change capture is {LATENESS} or more");
        Problem::error("too-early", at("lateness"), message)
            .help("a commit is stamped a moment before it is visible, and longer where it waits for a replica")
            .report(diagnostics);
    }
    no_moment(config.start, fields, diagnostics);
    config.captures_changes = true;
    let slot = slot.map(|slot| slot.value).filter(|_| slot_is_good);
    config.tap =
        Tap::Changes(Options { url: Secret(url?.value), publication, slot, tables: tables?, start: config.start });
    Some(config)
}

/// Options that polling alone has.
pub(super) fn no_polling(fields: &Fields<'_>, diagnostics: &Diagnostics<'_>) {
    for of_polling in ["poll", "sweep"] {
        if let Some(node) = fields.get(of_polling) {
            let message = format!("`{of_polling}` belongs to `capture: poll`, and this is `capture: changes`");
            Problem::error("wrong-field", node.place, message).help("remove it").report(diagnostics);
        }
    }
}

/// A log begins with the present, or with the rows that are there.
pub(super) fn no_moment(start: Start, fields: &Fields<'_>, diagnostics: &Diagnostics<'_>) {
    let place = fields.get("start").map_or(fields.node().place, |node| node.place);
    if let Start::At(_) = start {
        Problem::error("unknown-value", place, "a log of changes cannot be read from a moment on")
            .help("it is `latest`, or `beginning` for the rows that are there already")
            .report(diagnostics);
    }
}

fn is_slot(slot: &Spanned<String>, diagnostics: &Diagnostics<'_>) -> bool {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let is_good = (1..=SLOT_MAX).contains(&slot.value.len()) && slot.value.chars().all(good);
    if !is_good {
        Problem::error("bad-name", slot.place, format!("`{}` cannot be the name of a replication slot", slot.value))
            .help(format!("it is made of at most {SLOT_MAX} lower-case letters, digits and `_`"))
            .report(diagnostics);
    }
    is_good
}

/// The tables whose changes are captured.
pub(super) fn tables(fields: &Fields<'_>, diagnostics: &Diagnostics<'_>) -> Option<Vec<Table>> {
    const EXAMPLE: &str = "name them: `tables: {orders: {}}`; one outside `public` with its schema, `sales.orders`";
    let node = fields.required("tables", EXAMPLE)?;
    let entries = fields::map(node, "tables", diagnostics)?;
    if entries.is_empty() {
        Problem::error("empty-value", node.place, "there are no tables").help(EXAMPLE).report(diagnostics);
    }
    entries.iter().map(|entry| table(entry, diagnostics)).collect()
}

fn table(entry: &Entry, diagnostics: &Diagnostics<'_>) -> Option<Table> {
    let name = entry.key.value.clone();
    let what = format!("table `{name}`");
    let fields = Fields::new(&entry.value, &what, diagnostics)?;
    let mut key = Vec::new();
    if let Some(node) = fields.get("columns") {
        let columns = Fields::new(node, "`columns` of a captured table", diagnostics)?;
        key = columns.texts("key").unwrap_or_default().into_iter().map(|column| column.value).collect();
        columns.finish();
    }
    fields.finish();
    Some(Table { name, key })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::config::Config;
    use crate::config::load::fixture;

    pub const FULL: &str = r#"
flows: [order.yaml]
sources:
  shop:
    type: postgres
    capture: changes
    url: "${URL}"
    publication: shop_changes
    slot: throughline_shop
    tables:
      orders: {}
      sales.Lines: {columns: {key: [order_id, line]}}
    zone: Europe/Berlin
    lateness: 2s
    start: beginning
    redact: row.email
  plain: {type: postgres, capture: changes, url: "postgres://shop", tables: {orders: {}}}
"#;

    fn loaded(text: &str) -> (Option<Config>, String) {
        fixture::loaded(text, &[("URL", "postgres://watcher:s3cret@db/shop")])
    }

    #[test]
    fn every_option_of_change_capture_is_read() {
        let (config, told) = loaded(FULL);
        let config = config.unwrap_or_else(|| panic!("{told}"));
        let [shop, plain] = &config.sources[..] else { panic!("two sources") };
        let (Tap::Changes(full), Tap::Changes(short)) = (&shop.tap, &plain.tap) else { panic!("both capture changes") };
        assert_eq!((&*full.url.0, &*full.publication), ("postgres://watcher:s3cret@db/shop", "shop_changes"));
        assert_eq!((full.slot.as_deref(), full.start), (Some("throughline_shop"), Start::Beginning));
        let lines = Table { name: "sales.Lines".into(), key: vec!["order_id".into(), "line".into()] };
        assert_eq!(full.tables, [Table { name: "orders".into(), key: Vec::new() }, lines]);
        assert_eq!((shop.decoding.zone, shop.decoding.redact.len()), (chrono_tz::Europe::Berlin, 1));
        assert_eq!(shop.pacing.lateness, Lateness::Span(Span::seconds(2)));
        let info = shop.info();
        assert!(info.captures_changes && info.has_time && !info.skips_versions && !info.default_dedupe_is_position);
        assert_eq!((&*short.publication, short.slot.as_ref(), short.start), ("throughline", None, Start::Latest));
        assert_eq!((plain.pacing.lateness, plain.clock), (Lateness::Span(LATENESS), Clock::One));
        assert!(!format!("{config:?}").contains("s3cret"));
    }

    #[test]
    fn mistakes_in_change_capture_are_told_with_place_and_remedy() {
        let (config, told) = loaded(
            r#"
flows: [order.yaml]
sources:
  a: {type: postgres, capture: changes, url: "postgres://shop", tables: {}, lateness: 10ms, start: 2026-01-01, poll: 1s}
  b: {type: postgres, capture: change, url: "postgres://shop", tables: {orders: {sweep: 1m}}}
  c: {type: postgres, capture: changes, url: "postgres://shop", slot: Watch-1, publicatoin: x}
  d: {type: postgres, capture: changes, url: "postgres://shop", tables: {orders: {columns: {updated: at}}}}
"#,
        );
        assert!(config.is_none());
        insta::assert_snapshot!(told);
    }
}
