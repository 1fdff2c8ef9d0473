//! What is wrong with a document, where, and the way out.
//!
//! A [`Problem`] is written where it is found and points at a [`Place`]; [`Diagnostics`] knows the
//! documents, works out file, line and column, and keeps all of them, so that every mistake is told
//! at once.

use regex::Regex;
use std::cell::RefCell;
use std::fmt;
use std::path::PathBuf;
use std::sync::LazyLock;

/// A text that people wrote, and the file that it stands in.
#[derive(Clone, Debug)]
pub struct Document {
    /// The file, as messages name it.
    pub path: PathBuf,
    /// Its content.
    pub text: String,
}

/// A stretch of bytes in one of the documents.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Place {
    /// Index of the document.
    pub document: usize,
    /// Its first byte.
    pub start: usize,
    /// The byte after its last.
    pub end: usize,
}

/// Something and where it was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Spanned<T> {
    /// What.
    pub value: T,
    /// Where.
    pub place: Place,
}

impl<T> Spanned<T> {
    /// The same place with something made of the value.
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Spanned<U> {
        Spanned { value: make(self.value), place: self.place }
    }
}

/// Whether it can run in spite of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Severity {
    /// It cannot.
    Error,
    /// It can, but hardly as meant.
    Warning,
}

/// One mistake, located, for people and editors.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnostic {
    /// What kind of mistake: a stable name such as `unknown-step`.
    pub code: &'static str,
    /// Error or warning.
    pub severity: Severity,
    /// The file.
    pub file: PathBuf,
    /// Its line, from 1.
    pub line: usize,
    /// The column, in characters, from 1.
    pub column: usize,
    /// How many characters of the line it covers, at least 1.
    pub length: usize,
    /// The line itself.
    pub source: String,
    /// What is wrong.
    pub message: String,
    /// A few words under the marked text; may be empty.
    pub label: String,
    /// The remedy.
    pub help: Option<String>,
}

impl fmt::Display for Diagnostic {
    /// The message, the place, the line with what is meant underlined, and the remedy.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let margin = " ".repeat(self.line.to_string().len());
        writeln!(f, "{kind}[{}]: {}", self.code, self.message)?;
        writeln!(f, "{margin}--> {}:{}:{}", self.file.display(), self.line, self.column)?;
        if !self.source.is_empty() {
            self.fmt_line(&margin, f)?;
        }
        match &self.help {
            Some(help) => writeln!(f, "{margin} = help: {help}"),
            None => Ok(()),
        }
    }
}

impl Diagnostic {
    /// The line, and below it what is meant.
    fn fmt_line(&self, margin: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{margin} |")?;
        writeln!(f, "{} | {}", self.line, self.source)?;
        // A tab stays a tab, so that the marks stand under what they mark.
        let blank = |c: char| if c == '\t' { '\t' } else { ' ' };
        let indent: String = self.source.chars().take(self.column - 1).map(blank).collect();
        let marked = format!("{margin} | {indent}{} {}", "^".repeat(self.length), self.label);
        writeln!(f, "{}", marked.trim_end())
    }
}

/// A mistake as it is found: say what and where, add a label and the remedy, then
/// [`Problem::report`] it.
#[must_use = "a problem is told only once it is reported"]
#[derive(Clone, Debug)]
pub struct Problem {
    code: &'static str,
    severity: Severity,
    place: Place,
    message: String,
    label: String,
    help: Option<String>,
}

impl Problem {
    /// A mistake with which nothing can run.
    pub fn error(code: &'static str, place: Place, message: impl Into<String>) -> Problem {
        let message = message.into();
        Problem { code, severity: Severity::Error, place, message, label: String::new(), help: None }
    }

    /// Something that can run, but hardly as meant.
    pub fn warning(code: &'static str, place: Place, message: impl Into<String>) -> Problem {
        Problem { severity: Severity::Warning, ..Problem::error(code, place, message) }
    }

    /// A few words under the marked text.
    pub fn label(mut self, label: impl Into<String>) -> Problem {
        self.label = label.into();
        self
    }

    /// The remedy.
    pub fn help(mut self, help: impl Into<String>) -> Problem {
        self.help = Some(help.into());
        self
    }

    /// "did you mean …?", where one of the `known` names is near `name`; else which names there are,
    /// if they are few.
    pub fn suggest<'k>(self, name: &str, known: impl IntoIterator<Item = &'k str>) -> Problem {
        let known: Vec<&str> = known.into_iter().collect();
        match nearest(name, &known) {
            Some(near) => self.help(format!("did you mean `{near}`?")),
            None if (1..=12).contains(&known.len()) => self.help(format!("there are: {}", known.join(", "))),
            None => self,
        }
    }

    /// What is wrong and the remedy in one line, for places that have room for no more.
    pub fn sentence(self) -> String {
        match self.help {
            Some(help) => format!("{}; {help}", self.message),
            None => self.message,
        }
    }

    /// Puts it among the diagnostics.
    pub fn report(self, diagnostics: &Diagnostics<'_>) {
        diagnostics.add(self);
    }
}

/// The documents that are read, and all that was found wrong with them.
#[derive(Debug)]
pub struct Diagnostics<'d> {
    documents: &'d [Document],
    found: RefCell<Vec<(Place, Diagnostic)>>,
}

impl<'d> Diagnostics<'d> {
    /// None yet.
    pub fn new(documents: &'d [Document]) -> Diagnostics<'d> {
        Diagnostics { documents, found: RefCell::default() }
    }

    /// The documents.
    pub fn documents(&self) -> &'d [Document] {
        self.documents
    }

    /// The text that stands at a place.
    pub fn text(&self, place: Place) -> &'d str {
        self.documents[place.document].text.get(place.start..place.end).unwrap_or_default()
    }

    /// Where bytes of a text stand in its document; the whole text where it is written differently
    /// there (quotes with escapes, folded lines).
    pub fn part(&self, text: &Spanned<String>, at: usize, length: usize) -> Place {
        self.find_part(text, at, length).unwrap_or(text.place)
    }

    /// Line by line, since a block of text is indented in its document.
    fn find_part(&self, text: &Spanned<String>, at: usize, length: usize) -> Option<Place> {
        let before = text.value.get(..at)?;
        let number = before.matches('\n').count();
        let line = text.value.split('\n').nth(number)?.trim_end();
        let written = self.text(text.place);
        let line_start = written.match_indices('\n').nth(number.wrapping_sub(1)).map_or(0, |(newline, _)| newline + 1);
        let indent = written[line_start..].split('\n').next()?.find(line)?;
        let in_line = at - before.rfind('\n').map_or(0, |newline| newline + 1);
        let start = text.place.start + line_start + indent + in_line;
        Some(Place { start, end: start + length, ..text.place })
    }

    /// The line that a place begins on, from 1.
    pub fn line(&self, place: Place) -> usize {
        let text = &self.documents[place.document].text;
        text[..floor_char(text, place.start)].matches('\n').count() + 1
    }

    /// Whether any of them is an error.
    pub fn has_errors(&self) -> bool {
        self.found.borrow().iter().any(|(_, d)| d.severity == Severity::Error)
    }

    /// All of them: by document and place, each once.
    pub fn into_list(self) -> Vec<Diagnostic> {
        let mut found = self.found.into_inner();
        let order = |(place, d): &(Place, Diagnostic)| (place.document, place.start, d.severity, d.message.clone());
        found.sort_by_cached_key(order);
        found.dedup();
        found.into_iter().map(|(_, diagnostic)| diagnostic).collect()
    }

    fn add(&self, problem: Problem) {
        let place = problem.place;
        let document = &self.documents[place.document];
        let text = document.text.as_str();
        let start = floor_char(text, place.start);
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let end = floor_char(text, place.end).clamp(start, line_end);
        let diagnostic = Diagnostic {
            code: problem.code,
            severity: problem.severity,
            file: document.path.clone(),
            line: self.line(place),
            column: text[line_start..start].chars().count() + 1,
            length: text[start..end].trim_end().chars().count().max(1),
            source: concealed(text[line_start..line_end].trim_end()),
            message: problem.message,
            label: problem.label,
            help: problem.help,
        };
        self.found.borrow_mut().push((place, diagnostic));
    }
}

/// A line as it may be shown: passwords and tokens in it are covered, each character by one, so that marks stay in place.
fn concealed(line: &str) -> String {
    static SECRET: LazyLock<Regex> = LazyLock::new(|| {
        let expression = r#"(?:://[^\s/@:"']*|\burl["']?\s*:\s*["']?[^\s/@:"']+):([^\s@"'/][^\s@"']*)@|\b(?:\w*password|\w*passphrase|tokens?|secret)["']?\s*:\s*(\S[^,}]*)"#;
        Regex::new(expression).expect("it is written well")
    });
    let mut shown = String::with_capacity(line.len());
    let mut copied = 0;
    for found in SECRET.captures_iter(line) {
        let Some(secret) = found.get(1).or(found.get(2)) else { continue };
        // A variable is no secret: what it holds is not in the text.
        if !secret.as_str().contains("${") {
            shown += &line[copied..secret.start()];
            shown.extend(secret.as_str().trim_end().chars().map(|_| '•'));
            copied = secret.start() + secret.as_str().trim_end().len();
        }
    }
    shown += &line[copied..];
    shown
}

fn floor_char(text: &str, at: usize) -> usize {
    text.floor_char_boundary(at.min(text.len()))
}

/// The known name that a misspelt one most likely means.
pub fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let plain = |text: &str| text.to_lowercase().replace(['-', '_'], "");
    let wanted = plain(name);
    let distance = |candidate: &str| strsim::osa_distance(&wanted, &plain(candidate));
    let best = known.iter().copied().filter(|k| *k != name).min_by_key(|k| distance(k))?;
    // About one slip in three letters; a single letter is like any other.
    let slips = distance(best);
    (slips <= wanted.chars().count().max(3) / 3 && slips < wanted.chars().count().max(1)).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(text: &str) -> Vec<Document> {
        vec![Document { path: "flows/order.yaml".into(), text: text.to_owned() }]
    }

    #[test]
    fn a_diagnostic_shows_the_line_and_the_remedy() {
        let documents = document("a: 1\nsettled: {expect: captred}\n");
        let diagnostics = Diagnostics::new(&documents);
        Problem::error("unknown-step", Place { document: 0, start: 23, end: 30 }, "there is no step `captred`")
            .label("not a step of this flow")
            .suggest("captred", ["announced", "captured"])
            .report(&diagnostics);
        let list = diagnostics.into_list();
        assert_eq!(
            list[0].to_string(),
            "\
error[unknown-step]: there is no step `captred`
 --> flows/order.yaml:2:19
  |
2 | settled: {expect: captred}
  |                   ^^^^^^^ not a step of this flow
  = help: did you mean `captured`?
"
        );
    }

    #[test]
    fn columns_count_characters_and_marks_stay_on_their_line() {
        let documents = document("über: x\nnext: y\n");
        let diagnostics = Diagnostics::new(&documents);
        Problem::warning("w", Place { document: 0, start: 7, end: 14 }, "m").report(&diagnostics);
        let found = diagnostics.into_list().remove(0);
        assert_eq!((found.line, found.column, found.length), (1, 7, 1));
    }

    #[test]
    fn what_is_secret_is_covered() {
        let shown = |line: &str| concealed(line);
        assert_eq!(shown("url: postgres://me:hunter2@host/shop"), "url: postgres://me:•••••••@host/shop");
        assert_eq!(shown("url: \"me:hunter2@host\", at: x"), "url: \"me:•••••••@host\", at: x");
        assert_eq!(shown("{username: me, password: hunter2, x: 1}"), "{username: me, password: •••••••, x: 1}");
        assert_eq!(shown("  key_password: \"hunter 2\"  "), "  key_password: ••••••••••  ");
        assert_eq!(
            shown("{token: ${TOKEN}, url: \"amqp://me:${PASS}@host\"}"),
            "{token: ${TOKEN}, url: \"amqp://me:${PASS}@host\"}"
        );
        assert_eq!(shown("key: {token_id: body.token}"), "key: {token_id: body.token}");
    }

    #[test]
    fn only_what_is_near_is_suggested() {
        assert_eq!(nearest("captred", &["shipped", "captured"]), Some("captured"));
        assert_eq!(nearest("order-id", &["order_id"]), Some("order_id"));
        assert_eq!(nearest("witin", &["within", "with"]), Some("within"));
        assert_eq!(nearest("a", &["b"]), None);
        assert_eq!(nearest("paid", &["shipped", "announced"]), None);
        assert_eq!(nearest("x", &[]), None);
    }
}
