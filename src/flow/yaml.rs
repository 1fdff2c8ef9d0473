//! YAML with places: what flows and the configuration are read from.
//!
//! YAML 1.2's core schema without its surprises: tags, anchors, aliases, merge keys and duplicate
//! keys are refused, each with its own diagnostic. A value that was refused is there as
//! [`Content::Refused`], so that nobody reports it as missing as well.

use super::diagnostic::{Diagnostics, Place, Problem, Spanned};
use super::traps;
use granit_parser::{Event, Parser, ScalarStyle, Span, StructureStyle};

/// A value and where it stands.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where.
    pub place: Place,
    /// What.
    pub content: Content,
}

/// What a node holds.
#[derive(Clone, Debug)]
pub enum Content {
    /// Names with values, as written; no name comes twice.
    Map(Vec<Entry>),
    /// Values.
    List(Vec<Node>),
    /// A single value.
    Scalar(Scalar),
    /// A value that a diagnostic has been given for already.
    Refused,
}

/// One name of a map with its value.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The name.
    pub key: Spanned<String>,
    /// The value.
    pub value: Node,
}

/// A single value as it was written.
#[derive(Clone, Debug)]
pub struct Scalar {
    /// Its text; of a quoted one without the quotes, unescaped.
    pub text: String,
    /// Not quoted, and no block of text: may be a number, a truth value or null.
    pub plain: bool,
}

impl Scalar {
    /// Whether it says nothing: empty, `~` or `null`.
    pub fn is_null(&self) -> bool {
        self.plain && matches!(self.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }

    /// The truth value that it is.
    pub fn bool(&self) -> Option<bool> {
        match self.text.as_str() {
            "true" | "True" | "TRUE" if self.plain => Some(true),
            "false" | "False" | "FALSE" if self.plain => Some(false),
            _ => None,
        }
    }
}

impl Node {
    /// The text of a single value.
    pub fn scalar(&self) -> Option<&Scalar> {
        match &self.content {
            Content::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    /// The names and values of a map.
    pub fn entries(&self) -> Option<&[Entry]> {
        match &self.content {
            Content::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The value of a name of a map.
    pub fn get(&self, name: &str) -> Option<&Node> {
        self.entries()?.iter().find(|entry| entry.key.value == name).map(|entry| &entry.value)
    }

    /// In words, for "expected …, found a list".
    pub fn describe(&self) -> &'static str {
        match &self.content {
            Content::Map(_) => "a map",
            Content::List(_) => "a list",
            Content::Scalar(scalar) if scalar.is_null() => "nothing",
            Content::Scalar(scalar) if scalar.bool().is_some() => "a truth value",
            Content::Scalar(_) => "text",
            Content::Refused => "a value that was refused",
        }
    }

    /// Lets `change` rewrite every single value in it, names excepted. One of which it says `false` is refused.
    pub fn rewrite(&mut self, change: &mut dyn FnMut(&mut Scalar, Place) -> bool) {
        match &mut self.content {
            Content::Map(entries) => entries.iter_mut().for_each(|entry| entry.value.rewrite(change)),
            Content::List(items) => items.iter_mut().for_each(|item| item.rewrite(change)),
            Content::Scalar(scalar) => {
                if !change(scalar, self.place) {
                    self.content = Content::Refused;
                }
            }
            Content::Refused => {}
        }
    }
}

/// Reads one document. `None` where it is not YAML, or empty; the diagnostics say why.
pub fn parse(document: usize, diagnostics: &Diagnostics<'_>) -> Option<Node> {
    let pieces = pieces(document, diagnostics)?;
    let mut builder = Builder { pieces: pieces.into_iter(), diagnostics };
    let Some(first) = builder.pieces.next() else {
        let place = Place { document, ..Place::default() };
        Problem::error("empty-document", place, "the document is empty").report(diagnostics);
        return None;
    };
    Some(builder.node(first, false))
}

/// A step through the document.
struct Piece {
    kind: Kind,
    place: Place,
    /// A diagnostic has been given for it.
    refused: bool,
}

enum Kind {
    Scalar(Scalar),
    /// The beginning; whether in flow style (`[a, b]`).
    List(bool),
    /// The beginning; whether in flow style (`{a: b}`).
    Map(bool),
    /// The end of a list or a map.
    End,
    Alias,
}

/// Runs the parser; refuses tags, anchors, aliases and a second document on the way.
fn pieces(document: usize, diagnostics: &Diagnostics<'_>) -> Option<Vec<Piece>> {
    let text = diagnostics.documents()[document].text.as_str();
    let options = granit_parser::options! { emit_anchor_events: true, emit_unresolved_aliases: true };
    let place = |span: Span| {
        let range = span.byte_range().unwrap_or_default();
        Place { document, start: range.start, end: range.end }
    };
    let mut pieces: Vec<Piece> = Vec::new();
    let mut documents = 0;
    for item in Parser::new_from_str_with_options(text, options) {
        let (event, span) = match item {
            Ok(item) => item,
            Err(error) => {
                let at = error.marker().byte_offset().unwrap_or(text.len());
                let last_refused = pieces.last().filter(|piece| piece.refused).map(|piece| piece.place);
                traps::syntax_error(
                    Place { document, start: at, end: at },
                    &error.to_string(),
                    last_refused,
                    diagnostics,
                );
                return None;
            }
        };
        if matches!(event, Event::DocumentStart(..)) {
            documents += 1;
            if documents == 2 {
                let message = "a file holds one document, this begins a second one";
                let problem = Problem::error("second-document", place(span), message);
                problem.help("give it a file of its own").report(diagnostics);
                break;
            }
        }
        if let Some(kind) = kind(&event) {
            let tag = span.tag_span().map(place);
            tag.inspect(|tag| traps::tag(*tag, diagnostics));
            let alias = matches!(kind, Kind::Alias);
            let merged = matches!(pieces.last(), Some(Piece { kind: Kind::Scalar(name), .. }) if name.text == "<<");
            if alias && !merged {
                traps::alias(place(span), diagnostics);
            }
            pieces.push(Piece { kind, place: place(span), refused: tag.is_some() || alias });
        } else if let Some(last) = pieces.last_mut().filter(|last| !last.refused) {
            last.refused = match (&event, &last.kind) {
                (Event::Anchor(..), _) => {
                    traps::anchor(place(span), diagnostics);
                    true
                }
                (Event::Comment(..), Kind::Scalar(scalar)) => {
                    traps::comment(scalar, last.place, place(span), diagnostics)
                }
                _ => false,
            };
        }
    }
    Some(pieces)
}

fn kind(event: &Event<'_>) -> Option<Kind> {
    Some(match event {
        Event::Scalar(text, style, ..) => {
            Kind::Scalar(Scalar { text: text.to_string(), plain: *style == ScalarStyle::Plain })
        }
        Event::SequenceStart(style, ..) => Kind::List(*style == StructureStyle::Flow),
        Event::MappingStart(style, ..) => Kind::Map(*style == StructureStyle::Flow),
        Event::SequenceEnd | Event::MappingEnd => Kind::End,
        Event::Alias(_) | Event::UnresolvedAlias(_) => Kind::Alias,
        _ => return None,
    })
}

/// Makes the tree out of the pieces.
struct Builder<'a> {
    pieces: std::vec::IntoIter<Piece>,
    diagnostics: &'a Diagnostics<'a>,
}

impl Builder<'_> {
    /// The node that begins with `piece`; `flow` says whether it stands inside `{}` or `[]`.
    fn node(&mut self, piece: Piece, flow: bool) -> Node {
        let mut place = piece.place;
        let content = match piece.kind {
            Kind::Alias | Kind::End => Content::Refused,
            Kind::Scalar(scalar) if flow && traps::torn(&scalar, place, self.diagnostics) => Content::Refused,
            Kind::Scalar(scalar) => Content::Scalar(scalar),
            Kind::List(flow) => self.list(flow, &mut place),
            Kind::Map(flow) => self.map(flow, &mut place),
        };
        Node { place, content: if piece.refused { Content::Refused } else { content } }
    }

    fn list(&mut self, flow: bool, place: &mut Place) -> Content {
        let mut items = Vec::new();
        while let Some(piece) = self.pieces.next() {
            if matches!(piece.kind, Kind::End) {
                place.end = piece.place.end;
                break;
            }
            items.push(self.node(piece, flow));
        }
        Content::List(items)
    }

    fn map(&mut self, flow: bool, place: &mut Place) -> Content {
        let mut entries: Vec<Entry> = Vec::new();
        // Inside `{}`, a value with a comma was torn apart: what follows it, up to its end, is no name.
        let mut tearing = false;
        while let Some(piece) = self.pieces.next() {
            if matches!(piece.kind, Kind::End) {
                place.end = piece.place.end;
                break;
            }
            let key_place = piece.place;
            let rest_of_torn = tearing;
            let key = self.key(piece, rest_of_torn);
            let Some(value) = self.pieces.next() else { break };
            let nothing = value.place.start == value.place.end && matches!(value.kind, Kind::Scalar(_));
            let mut value = self.node(value, flow);
            if nothing {
                // What is not there is shown at its name.
                value.place = key_place;
            }
            if rest_of_torn && nothing {
                tearing = key.is_some_and(|name| !traps::closes(&name));
                continue;
            }
            tearing = flow && matches!(value.content, Content::Refused);
            let Some(key) = key else { continue };
            self.entry(&mut entries, Spanned { value: key, place: key_place }, value);
        }
        Content::Map(entries)
    }

    /// The name of an entry; `None` where it is none.
    fn key(&mut self, piece: Piece, rest_of_torn: bool) -> Option<String> {
        let place = piece.place;
        if let Kind::Scalar(scalar) = &piece.kind
            && (rest_of_torn || !scalar.is_null())
            && !piece.refused
        {
            return Some(scalar.text.clone());
        }
        if !matches!(self.node(piece, false).content, Content::Refused) {
            let problem = Problem::error("bad-name", place, "the name of a field must be plain text");
            problem.help("a text with `{`, `[` or `?` in front must be quoted").report(self.diagnostics);
        }
        None
    }

    fn entry(&self, entries: &mut Vec<Entry>, key: Spanned<String>, value: Node) {
        if key.value == "<<" {
            let problem = Problem::error("merge-key", key.place, "merge keys are not part of this language");
            problem.help("write the fields out, or share whole steps with `use`").report(self.diagnostics);
        } else if let Some(first) = entries.iter().find(|entry| entry.key.value == key.value) {
            let line = self.diagnostics.line(first.key.place);
            let message = format!("`{}` is here a second time; the first is on line {line}", key.value);
            let problem = Problem::error("duplicate-key", key.place, message);
            problem.help("remove one, or give it a name of its own").report(self.diagnostics);
        } else {
            entries.push(Entry { key, value });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::diagnostic::Document;
    use super::*;

    /// The tree as text, and the diagnostics as `line:column code "marked text" help`.
    fn read(text: &str) -> (String, Vec<String>) {
        let documents = [Document { path: "f.yaml".into(), text: text.to_owned() }];
        let diagnostics = Diagnostics::new(&documents);
        let tree = parse(0, &diagnostics).map_or_else(String::new, |node| show(&node));
        let list = diagnostics.into_list().into_iter().map(|d| {
            let marked: String = d.source.chars().skip(d.column - 1).take(d.length).collect();
            format!("{}:{} {} `{marked}` {}", d.line, d.column, d.code, d.help.unwrap_or_default())
        });
        (tree, list.collect())
    }

    fn show(node: &Node) -> String {
        match &node.content {
            Content::Map(entries) => {
                let inner: Vec<_> = entries.iter().map(|e| format!("{}: {}", e.key.value, show(&e.value))).collect();
                format!("{{{}}}", inner.join(", "))
            }
            Content::List(items) => format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(", ")),
            Content::Scalar(scalar) if scalar.is_null() => "null".into(),
            Content::Scalar(scalar) if scalar.plain => scalar.text.clone(),
            Content::Scalar(scalar) => format!("{:?}", scalar.text),
            Content::Refused => "?".into(),
        }
    }

    #[track_caller]
    fn refuses(text: &str, expect: &[&str]) {
        assert_eq!(read(text).1, expect, "{text}");
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let (tree, found) =
            read("a: 1  # one\nb: {c: \"x: y\", d: [e, f g]}\nh: |\n  two\n  lines\ni:\n  - j: 1\n    k: ~\n");
        assert_eq!(tree, r#"{a: 1, b: {c: "x: y", d: [e, f g]}, h: "two\nlines\n", i: [{j: 1, k: null}]}"#);
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn expressions_without_traps_need_no_quotes() {
        for value in ["body.type == \"a\" && !has(x)", "body.n > 3", "it's fine", "a || b", "x ? y", "12:30", "a#b"] {
            let (tree, found) = read(&format!("when: {value}\n"));
            assert_eq!(tree, format!("{{when: {value}}}"));
            assert!(found.is_empty(), "{found:?}");
        }
        assert_eq!(read("{when: body.type==\"a\", about: it's fine}").1, Vec::<String>::new());
    }

    #[test]
    fn places_are_right_inside_braces() {
        let documents = [Document { path: "f".into(), text: "a:\n  b: {c: d, é: \"f\"}\n".into() }];
        let diagnostics = Diagnostics::new(&documents);
        let root = parse(0, &diagnostics).unwrap();
        let inner = root.get("a").and_then(|a| a.get("b")).unwrap();
        assert_eq!(diagnostics.text(inner.place), "{c: d, é: \"f\"}");
        assert_eq!(diagnostics.text(inner.get("c").unwrap().place), "d");
        assert_eq!(diagnostics.text(inner.get("é").unwrap().place), "\"f\"");
        assert_eq!(diagnostics.text(inner.entries().unwrap()[1].key.place), "é");
    }

    #[test]
    fn a_negation_is_a_tag() {
        refuses("when: !has(body.x)\n", &["1:7 yaml-tag `!has(body.x)` quote it: \"!has(body.x)\""]);
        refuses(
            "a: {when: !has(b) && c == \"d\", e: f}\n",
            &["1:11 yaml-tag `!has(b)` quote it: '!has(b) && c == \"d\"'"],
        );
        refuses("x: !!str 5\n", &["1:4 yaml-tag `!!str` quote it: \"!!str 5\""]);
    }

    #[test]
    fn a_schedule_that_begins_with_a_star_is_an_alias() {
        refuses("schedule: */5 * * * *\n", &["1:11 yaml-alias `*/5` quote it: \"*/5 * * * *\""]);
        refuses("schedule: * 5 * * *\n", &["1:11 yaml-syntax `*` quote it: \"* 5 * * *\""]);
        refuses("a: {schedule: */5 * * * *, b: c}\n", &["1:15 yaml-alias `*/5` quote it: \"*/5 * * * *\""]);
    }

    #[test]
    fn anchors_aliases_and_merge_keys_are_refused() {
        refuses(
            "a: &x {b: 1}\nc: *x\nd:\n  <<: *x\n",
            &[
                "1:4 yaml-anchor `&x` write the value out where it is needed; share whole steps with `use`",
                "2:4 yaml-alias `*x` quote it: \"*x\"",
                "4:3 merge-key `<<` write the fields out, or share whole steps with `use`",
            ],
        );
    }

    #[test]
    fn a_name_comes_once() {
        refuses("a: 1\nb: {c: 1, c: 2}\n", &["2:11 duplicate-key `c` remove one, or give it a name of its own"]);
        refuses("[a]: 1\n", &["1:1 bad-name `[` a text with `{`, `[` or `?` in front must be quoted"]);
    }

    #[test]
    fn a_hash_cuts_a_value_in_two() {
        refuses("when: body.tag == \"a #b\"\n", &["1:22 yaml-comment `#b\"` quote it: 'body.tag == \"a #b\"'"]);
        refuses("when: body.tag == #b\n", &["1:19 yaml-comment `#b` quote it: \"body.tag == #b\""]);
    }

    #[test]
    fn braces_and_commas_inside_braces() {
        refuses("m: {entry: order:{order_id}, within: 5s}\n", &["1:17 yaml-syntax `:` quote it: \"order:{order_id}\""]);
        refuses("m: {entry: o-{id}}\n", &["1:14 yaml-syntax `{` quote it: \"o-{id}\""]);
        refuses("m: {item: body.items[0].id, x: 1}\n", &["1:21 yaml-syntax `[` quote it: \"body.items[0].id\""]);
        refuses("m: {when: f(a, b, c), x: 1}\n", &["1:11 yaml-comma `f(a` quote it: \"f(a, b, c)\""]);
        refuses("m: {holds: a ? b : c, x: 1}\n", &["1:18 yaml-syntax `:` quote it: \"a ? b : c\""]);
    }

    #[test]
    fn what_is_not_yaml_is_explained() {
        refuses("m: a ? b : c\n", &["1:10 yaml-syntax `:` quote it: \"a ? b : c\""]);
        refuses("m: \"a\" == b\n", &["1:8 yaml-syntax `=` put the whole value into single quotes: '\"a\" == b'"]);
        refuses("m: @a\n", &["1:4 yaml-syntax `@` quote it: \"@a\""]);
        refuses("a: 1\n---\nb: 2\n", &["2:1 second-document `---` give it a file of its own"]);
        refuses("", &["1:1 empty-document `` "]);
        refuses("# nothing\n", &["1:1 empty-document `#` "]);
        let unclosed = "is a `}`, a `]` or a quote missing above, or is this line indented too far?";
        refuses("a: {b: c\nd: e\n", &[&format!("2:2 yaml-syntax `:` {unclosed}")]);
        refuses("a: 1\n b: 2\n", &[&format!("2:3 yaml-syntax `:` {unclosed}")]);
        refuses("a: \"b\nc: d\n", &["2:1 yaml-syntax `c` "]);
    }
}
