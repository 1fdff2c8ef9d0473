//! Streams that no source has. A step that reads one would match nothing, and everything that it stands for would look as if it had
//! never happened: so a name that is misspelt is a mistake wherever the configuration names all streams of a source.
//!
//! This is asked beside [`compile`](super::compile()), not in it: what an edition of a flow means must not depend on which tables
//! stand in the configuration today.

use super::diagnostic::{Diagnostic, Diagnostics, Document, Problem, Spanned};
use super::yaml::{self, Node};

/// The streams of a source by name, where all of them are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Streams {
    /// The source.
    pub source: String,
    /// Whether it has no others than `names`.
    pub names: Option<Vec<String>>,
}

/// What is read from streams that their source has not.
pub fn unknown_streams(documents: &[Document], sources: &[Streams]) -> Vec<Diagnostic> {
    let diagnostics = Diagnostics::new(documents);
    // What is no YAML has been told by whoever compiles it.
    let quiet = Diagnostics::new(documents);
    for root in (0..documents.len()).filter_map(|at| yaml::parse(at, &quiet)) {
        for step in members(root.get("steps")) {
            ask(step.get("from"), sources, &diagnostics);
        }
        for check in members(root.get("checks")) {
            if check.get("mirror").is_some() {
                ask(check.get("in"), sources, &diagnostics);
            }
        }
    }
    diagnostics.into_list()
}

fn members(node: Option<&Node>) -> impl Iterator<Item = &Node> {
    node.and_then(Node::entries).unwrap_or_default().iter().map(|entry| &entry.value)
}

/// Reports `source.stream` where the source has other streams alone.
fn ask(node: Option<&Node>, sources: &[Streams], diagnostics: &Diagnostics<'_>) {
    let Some((node, text)) = node.and_then(|node| Some((node, node.scalar()?.text.as_str()))) else { return };
    // A source's own name may have a dot in it.
    if sources.iter().any(|known| known.source == text) {
        return;
    }
    let Some((source, stream)) = text.split_once('.') else { return };
    let Some(names) = sources.iter().find(|known| known.source == source).and_then(|known| known.names.as_ref()) else {
        return;
    };
    if names.iter().any(|name| name == stream) {
        return;
    }
    let place =
        diagnostics.part(&Spanned { value: text.to_owned(), place: node.place }, source.len() + 1, stream.len());
    let message = format!("the source `{source}` has no `{stream}`: the step would match nothing");
    let problem = Problem::error("unknown-stream", place, message);
    problem.suggest(stream, names.iter().map(String::as_str)).report(diagnostics);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_that_its_source_has_not_is_told_where_all_are_known() {
        let text = "\
flow: order
key: order_id
steps:
  placed: {from: shop.orders, key: {order_id: row.id}}
  paid: {from: shop.paymnts, key: {order_id: row.id}}
  sent: {from: 'shop.sales.parcels', key: {order_id: row.id}}
  all: {from: shop, key: {order_id: row.id}}
  log: {from: open.whatever, key: {order_id: body.id}}
  dotted: {from: a.b, key: {order_id: body.id}}
checks:
  fresh: {mirror: placed, in: cache.order, entry: 'order:{order_id}', fields: {}, within: 5s}
";
        let documents = [Document { path: "order.yaml".into(), text: text.to_owned() }];
        let known = |source: &str, names: &[&str]| Streams {
            source: source.to_owned(),
            names: Some(names.iter().map(|name| (*name).to_owned()).collect()),
        };
        let open = Streams { source: "open".to_owned(), names: None };
        let sources = [
            known("shop", &["orders", "payments", "sales.parcels"]),
            known("cache", &["orders"]),
            known("a.b", &[]),
            open,
        ];
        let told: String = unknown_streams(&documents, &sources).iter().map(Diagnostic::to_string).collect();
        insta::assert_snapshot!(told);
    }
}
