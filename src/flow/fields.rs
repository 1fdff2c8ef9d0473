//! Walking a map field by field: each is asked for by name and type, what was not asked for is
//! unknown. Mistakes go to the diagnostics; the answer is then simply `None`.

use super::diagnostic::{Diagnostics, Place, Problem, Spanned, nearest};
use super::yaml::{Content, Entry, Node};
use crate::model::time::Span;
use chrono_tz::Tz;
use std::cell::RefCell;

/// The fields of one map.
pub struct Fields<'a> {
    what: &'a str,
    node: &'a Node,
    entries: &'a [Entry],
    asked: RefCell<Vec<&'static str>>,
    diagnostics: &'a Diagnostics<'a>,
}

impl<'a> Fields<'a> {
    /// The fields of `node`, which should be a map; `what` it is, in words ("a step").
    pub fn new(node: &'a Node, what: &'a str, diagnostics: &'a Diagnostics<'a>) -> Option<Fields<'a>> {
        let entries = map(node, what, diagnostics)?;
        Some(Fields { what, node, entries, asked: RefCell::default(), diagnostics })
    }

    /// The whole map.
    pub fn node(&self) -> &'a Node {
        self.node
    }

    /// Whether the field is there, with whatever value.
    pub fn has(&self, name: &'static str) -> bool {
        self.entry(name).is_some()
    }

    /// The field's value. A field that is present but empty is a mistake.
    pub fn get(&self, name: &'static str) -> Option<&'a Node> {
        let entry = self.entry(name)?;
        if entry.value.scalar().is_some_and(|scalar| scalar.is_null()) {
            empty(name, entry.key.place, self.diagnostics);
            return None;
        }
        (!matches!(entry.value.content, Content::Refused)).then_some(&entry.value)
    }

    /// The field's value; its absence is a mistake, `remedy` says what it could be.
    pub fn required(&self, name: &'static str, remedy: &str) -> Option<&'a Node> {
        if !self.has(name) {
            let problem = Problem::error("missing-field", self.node.place, format!("{} needs `{name}`", self.what));
            problem.help(remedy).report(self.diagnostics);
        }
        self.get(name)
    }

    /// A text.
    pub fn text(&self, name: &'static str) -> Option<Spanned<String>> {
        text(self.get(name)?, name, self.diagnostics)
    }

    /// A text, or several in a list.
    pub fn texts(&self, name: &'static str) -> Option<Vec<Spanned<String>>> {
        texts(self.get(name)?, name, self.diagnostics)
    }

    /// A duration.
    pub fn duration(&self, name: &'static str) -> Option<Spanned<Span>> {
        duration(self.get(name)?, name, self.diagnostics)
    }

    /// A truth value.
    pub fn bool(&self, name: &'static str) -> Option<bool> {
        let node = self.get(name)?;
        let value = node.scalar().and_then(|scalar| scalar.bool());
        if value.is_none() {
            wrong_type(node, name, "true or false", self.diagnostics);
        }
        value
    }

    /// A whole number that is not negative.
    pub fn number(&self, name: &'static str) -> Option<Spanned<u64>> {
        number(self.get(name)?, name, self.diagnostics)
    }

    /// One of several words.
    pub fn choice<T: Clone>(&self, name: &'static str, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text(name)?;
        let found = choices.iter().find(|(word, _)| *word == text.value).map(|(_, choice)| choice.clone());
        if found.is_none() {
            let words = choices.iter().map(|(word, _)| *word);
            let problem = Problem::error("unknown-value", text.place, format!("`{name}` cannot be `{}`", text.value));
            problem.suggest(&text.value, words).report(self.diagnostics);
        }
        found
    }

    /// A time zone; UTC where the field is absent.
    pub fn zone(&self, name: &'static str) -> Option<Tz> {
        if !self.has(name) {
            return Some(Tz::UTC);
        }
        let text = self.text(name)?;
        let zone = text.value.parse().ok();
        if zone.is_none() {
            let names: Vec<&str> = chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name()).collect();
            let near = nearest(&text.value, &names);
            let help = near.map(|near| format!("did you mean `{near}`?"));
            let problem = Problem::error("unknown-zone", text.place, format!("there is no time zone `{}`", text.value));
            let example = "zones have names like Europe/Berlin, America/New_York or UTC";
            problem.help(help.unwrap_or_else(|| example.into())).report(self.diagnostics);
        }
        zone
    }

    /// Reports every field that was not asked for.
    pub fn finish(self) {
        self.finish_with(|_| None);
    }

    /// Reports every field that was not asked for; `remedy` may know what to say of one.
    pub fn finish_with(self, remedy: impl Fn(&str) -> Option<String>) {
        let asked = self.asked.borrow();
        for entry in self.entries.iter().filter(|entry| !asked.contains(&entry.key.value.as_str())) {
            let name = &entry.key.value;
            let message = format!("{} has no field `{name}`", self.what);
            let problem = Problem::error("unknown-field", entry.key.place, message);
            match remedy(name) {
                Some(remedy) => problem.help(remedy),
                None => problem.suggest(name, asked.iter().copied()),
            }
            .report(self.diagnostics);
        }
    }

    fn entry(&self, name: &'static str) -> Option<&'a Entry> {
        if !self.asked.borrow().contains(&name) {
            self.asked.borrow_mut().push(name);
        }
        self.entries.iter().find(|entry| entry.key.value == name)
    }
}

/// The entries of a map.
pub fn map<'a>(node: &'a Node, what: &str, diagnostics: &Diagnostics<'_>) -> Option<&'a [Entry]> {
    let entries = node.entries();
    if entries.is_none() {
        wrong_type(node, what, "a map (`name: value`)", diagnostics);
    }
    entries
}

/// The items of a list.
pub fn list<'a>(node: &'a Node, what: &str, diagnostics: &Diagnostics<'_>) -> Option<&'a [Node]> {
    match &node.content {
        Content::List(items) => Some(items),
        _ => {
            wrong_type(node, what, "a list (`[a, b]`)", diagnostics);
            None
        }
    }
}

/// A text: any single value as it was written.
pub fn text(node: &Node, what: &str, diagnostics: &Diagnostics<'_>) -> Option<Spanned<String>> {
    match node.scalar().filter(|scalar| !scalar.is_null()) {
        Some(scalar) => Some(Spanned { value: scalar.text.clone(), place: node.place }),
        None => {
            wrong_type(node, what, "a text", diagnostics);
            None
        }
    }
}

/// A text, or several in a list that is not empty.
pub fn texts(node: &Node, what: &str, diagnostics: &Diagnostics<'_>) -> Option<Vec<Spanned<String>>> {
    let Content::List(items) = &node.content else {
        return text(node, what, diagnostics).map(|text| vec![text]);
    };
    if items.is_empty() {
        let problem = Problem::error("empty-value", node.place, format!("`{what}` is an empty list"));
        problem.help("name at least one, or remove the line").report(diagnostics);
        return None;
    }
    Some(items.iter().filter_map(|item| text(item, what, diagnostics)).collect())
}

/// A duration.
pub fn duration(node: &Node, what: &str, diagnostics: &Diagnostics<'_>) -> Option<Spanned<Span>> {
    let text = text(node, what, diagnostics)?;
    match Span::parse(&text.value) {
        Ok(value) => Some(Spanned { value, place: text.place }),
        Err(error) => {
            Problem::error("bad-duration", text.place, error.to_string()).report(diagnostics);
            None
        }
    }
}

/// A whole number that is not negative.
pub fn number(node: &Node, what: &str, diagnostics: &Diagnostics<'_>) -> Option<Spanned<u64>> {
    let value = node.scalar().and_then(|scalar| scalar.text.parse().ok());
    if value.is_none() {
        wrong_type(node, what, "a whole number", diagnostics);
    }
    value.map(|value| Spanned { value, place: node.place })
}

fn empty(name: &str, place: Place, diagnostics: &Diagnostics<'_>) {
    let problem = Problem::error("empty-value", place, format!("`{name}` is present but empty"));
    problem.help("give it a value, or remove it").report(diagnostics);
}

/// Reports that `what` should be something else.
pub fn wrong_type(node: &Node, what: &str, expected: &str, diagnostics: &Diagnostics<'_>) {
    if matches!(node.content, Content::Refused) {
        return;
    }
    if node.scalar().is_some_and(|scalar| scalar.is_null()) {
        return empty(what, node.place, diagnostics);
    }
    // A field's name is quoted, what stands in words ("a flow") is not.
    let what = if what.contains(' ') { what.to_owned() } else { format!("`{what}`") };
    let message = format!("{what} should be {expected}, and this is {}", node.describe());
    Problem::error("wrong-type", node.place, message).report(diagnostics);
}
