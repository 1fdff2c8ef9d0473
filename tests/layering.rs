//! Who may import whom, held as a table, and what the pure parts may never name.
//!
//! The sources are read as text: comments and strings are blanked, `#[cfg(test)]` modules are cut
//! out, and every path that starts at the crate's root (`crate::x`, `super::super::x`, in `use`
//! trees too) or in `std` and friends is compared with the tables below. A new arrow between two
//! folders is a decision: it is made in the table here and told in `ARCHITECTURE.md`, or not at all.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Each folder under `src/`, and the folders that it may name.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("connect", &[]),
    ("flow", &["model"]),
    ("extract", &["model", "flow"]),
    ("checks", &["model", "flow"]),
    ("engine", &["model", "flow", "checks"]),
    ("journal", &[]),
    ("findings", &["model", "flow", "checks"]),
    ("sources", &["model", "connect"]),
    ("probes", &["model", "connect"]),
    ("sinks", &["model", "findings", "connect"]),
    ("config", &["model", "flow", "connect", "sources", "probes", "sinks"]),
    (
        "runtime",
        &[
            "model", "flow", "extract", "checks", "engine", "journal", "findings", "connect", "sources", "probes",
            "sinks", "config",
        ],
    ),
    ("server", &["model", "findings", "config", "runtime"]),
    ("demo", &["model", "flow", "findings", "config", "runtime"]),
    (
        "cli",
        &[
            "model", "flow", "extract", "checks", "engine", "journal", "findings", "connect", "sources", "probes",
            "sinks", "config", "runtime", "server", "demo",
        ],
    ),
];

/// Folders that read no clock, spawn nothing and do no I/O.
const PURE: &[&str] = &["model", "flow", "extract", "checks", "engine"];

/// What a pure folder never names; a path is refused with everything below it.
const IMPURE: &[&str] = &[
    "std::time::SystemTime",
    "std::time::Instant",
    "std::thread",
    "std::fs",
    "std::net",
    "std::process",
    "std::env",
    "std::hash::RandomState",
    "std::collections::hash_map::RandomState",
    "Utc::now",
    "Local::now",
    "tokio",
    "tempfile",
    "crossbeam_channel",
];

/// Reviewed exceptions: the file, what it may name, and why.
const EXCEPTIONS: &[(&str, &str, &str)] = &[(
    "src/flow/expression/parse.rs",
    "std::thread",
    "the CEL parser recurses deeply and is given a stack of its own",
)];

#[test]
fn folders_import_only_what_the_table_allows() {
    let mut complaints = Vec::new();
    for file in sources() {
        let Some(home) = file.home.as_deref() else { continue };
        let Some(allowed) = allowed(home) else {
            complaints
                .push(format!("src/{home} is not in the table of tests/layering.rs: say there what it may import"));
            continue;
        };
        for (line, path) in file.paths() {
            let Some(area) = path.strip_prefix("crate::").map(first_word) else { continue };
            if area != home && is_area(area) && !allowed.contains(&area) {
                complaints.push(format!(
                    "{}:{line} names `{path}`, but `{home}` may import {}. Move the shared piece down, turn the call round, \
                     or make the new arrow a reviewed decision: in tests/layering.rs and in ARCHITECTURE.md",
                    file.name,
                    if allowed.is_empty() { "nothing".to_string() } else { format!("only {}", allowed.join(", ")) },
                ));
            }
        }
    }
    report(complaints);
}

#[test]
fn the_table_has_no_circles() {
    for (at, (name, imports)) in MAY_IMPORT.iter().enumerate() {
        for import in *imports {
            assert!(
                MAY_IMPORT[..at].iter().any(|(earlier, _)| earlier == import),
                "`{name}` imports `{import}`, which does not stand above it in the table: arrows go upwards only"
            );
        }
    }
}

#[test]
fn pure_folders_read_no_clock_spawn_nothing_and_do_no_io() {
    let mut complaints = Vec::new();
    for file in sources() {
        if !file.home.as_deref().is_some_and(|home| PURE.contains(&home)) {
            continue;
        }
        for (line, path) in file.paths() {
            let Some(impure) = IMPURE.iter().find(|impure| is_within(&path, impure)) else { continue };
            if EXCEPTIONS.iter().any(|(name, what, _)| *name == file.name && is_within(&path, what)) {
                continue;
            }
            complaints.push(format!(
                "{}:{line} names `{path}`: {} are pure and never name `{impure}`. Take it as an argument; the runtime has it",
                file.name,
                PURE.join(", "),
            ));
        }
    }
    report(complaints);
}

#[test]
fn files_stay_readable() {
    let mut complaints = Vec::new();
    for (name, text) in sources().into_iter().map(|f| (f.name, f.text)).chain(tests_of_the_crate()) {
        let lines = text.lines().count();
        let head: String = text.lines().map_while(|line| line.strip_prefix("//!")).collect();
        if lines > 800 {
            complaints.push(format!("{name} has {lines} lines: past 800 a file is split"));
        } else if lines > 500 && !head.contains("long because") {
            complaints.push(format!(
                "{name} has {lines} lines: past 500 a file owes a reason in its head comment (\"… is long because …\")"
            ));
        }
    }
    report(complaints);
}

/// One file under `src/`.
struct Source {
    /// `src/engine/mod.rs`.
    name: String,
    /// The folder that it belongs to; `None` for `lib.rs` and `main.rs`.
    home: Option<String>,
    /// How deep its module lies below the crate's root.
    depth: usize,
    text: String,
}

impl Source {
    /// Every path in its code that starts at the root or with a foreign crate, each with its line.
    fn paths(&self) -> Vec<(usize, String)> {
        let code = without_tests(&blank(&self.text));
        let tokens = tokens(&code);
        let mut paths = Vec::new();
        let mut at = 0;
        while at < tokens.len() {
            let starts = at == 0 || tokens[at - 1].1 != "::";
            if starts && is_word(tokens[at].1) && tokens.get(at + 1).is_some_and(|t| t.1 == "::") {
                at = read_tree(&tokens, at, "", &mut paths);
            } else if tokens[at].1 == "use" {
                at = read_tree(&tokens, at + 1, "", &mut paths);
            } else {
                at += 1;
            }
        }
        paths.into_iter().map(|(line, path)| (line, self.rooted(&path))).collect()
    }

    /// `super::super::x` as `crate::x`, where it climbs to the root.
    fn rooted(&self, path: &str) -> String {
        let mut rest = path.strip_prefix("self::").unwrap_or(path);
        let mut climbed = 0;
        while let Some(shorter) = rest.strip_prefix("super::") {
            rest = shorter;
            climbed += 1;
        }
        if climbed > 0 && climbed == self.depth { format!("crate::{rest}") } else { rest.to_string() }
    }
}

/// Reads one path or `use` tree from `at` on into full paths; gives the place after it.
fn read_tree(tokens: &[(usize, &str)], mut at: usize, prefix: &str, paths: &mut Vec<(usize, String)>) -> usize {
    let mut path = prefix.to_string();
    while let Some(&(line, token)) = tokens.get(at) {
        match token {
            "{" if path.ends_with("::") || path.is_empty() => {
                at += 1;
                while tokens.get(at).is_some_and(|t| t.1 != "}") {
                    let next = read_tree(tokens, at, &path, paths);
                    at = if tokens.get(next).is_some_and(|t| t.1 == ",") { next + 1 } else { next.max(at + 1) };
                }
                return at + 1;
            }
            "::" => path.push_str("::"),
            word if is_word(word) && (path.is_empty() || path.ends_with("::")) => path.push_str(word),
            _ => {
                paths.push((line, path.trim_end_matches("::").to_string()));
                return at;
            }
        }
        at += 1;
    }
    at
}

/// Words, `::`, and single characters, each with its line number.
fn tokens(code: &str) -> Vec<(usize, &str)> {
    let mut tokens = Vec::new();
    for (number, line) in code.lines().enumerate() {
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let length = if is_word_char(first) {
                rest.find(|c| !is_word_char(c)).unwrap_or(rest.len())
            } else if rest.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            tokens.push((number + 1, &rest[..length]));
            rest = rest[length..].trim_start();
        }
    }
    tokens
}

/// The text with comments, strings and character literals blanked; lines stay where they are.
fn blank(text: &str) -> String {
    let bytes: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = if bytes[at..].starts_with(&['/', '/']) {
            end_of_line(&bytes, at)
        } else if bytes[at..].starts_with(&['/', '*']) {
            end_of_comment(&bytes, at)
        } else if let Some(end) = end_of_raw_string(&bytes, at) {
            end
        } else if bytes[at] == '"' {
            end_of_quoted(&bytes, at, '"')
        } else if bytes[at] == '\'' && (bytes.get(at + 1) == Some(&'\\') || bytes.get(at + 2) == Some(&'\'')) {
            end_of_quoted(&bytes, at, '\'')
        } else {
            out.push(bytes[at]);
            at += 1;
            continue;
        };
        out.extend(bytes[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
        at = end;
    }
    out
}

fn end_of_line(text: &[char], at: usize) -> usize {
    text[at..].iter().position(|c| *c == '\n').map_or(text.len(), |n| at + n)
}

fn end_of_comment(text: &[char], mut at: usize) -> usize {
    let mut depth = 0;
    while at < text.len() {
        if text[at..].starts_with(&['/', '*']) {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with(&['*', '/']) {
            depth -= 1;
            at += 2;
            if depth == 0 {
                break;
            }
        } else {
            at += 1;
        }
    }
    at.min(text.len())
}

fn end_of_quoted(text: &[char], mut at: usize, quote: char) -> usize {
    at += 1;
    while at < text.len() && text[at] != quote {
        at += if text[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(text.len())
}

/// The end of `r"…"` or `r#"…"#`, where one starts at `at`.
fn end_of_raw_string(text: &[char], at: usize) -> Option<usize> {
    let after_word = at > 0 && is_word_char(text[at - 1]) && text[at - 1] != 'b';
    if text[at] != 'r' || after_word {
        return None;
    }
    let hashes = text[at + 1..].iter().take_while(|c| **c == '#').count();
    if text.get(at + 1 + hashes) != Some(&'"') {
        return None;
    }
    let mut end = at + 2 + hashes;
    while end < text.len()
        && !(text[end] == '"' && text[end + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes)
    {
        end += 1;
    }
    Some((end + 1 + hashes).min(text.len()))
}

/// The code with every `#[cfg(test)]` item blanked, up to its closing brace or semicolon.
fn without_tests(code: &str) -> String {
    let mut out = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = rest.find("#[cfg(test)]") {
        out.push_str(&rest[..at]);
        let item = &rest[at..];
        let mut depth = 0;
        let end = item
            .char_indices()
            .find_map(|(i, c)| {
                depth += i32::from(c == '{') - i32::from(c == '}');
                (depth == 0 && (c == '}' || c == ';')).then_some(i + 1)
            })
            .unwrap_or(item.len());
        out.extend(item[..end].chars().filter(|c| *c == '\n'));
        rest = &item[end..];
    }
    out + rest
}

/// All files under `src/`, without those that are tests as a whole (`#[cfg(test)] mod x;`).
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = rust_files(&root.join("src"));
    let texts: BTreeMap<PathBuf, String> = files.into_iter().map(|f| (f.clone(), read(&f))).collect();
    let only_tests = test_modules(&texts);
    texts
        .into_iter()
        .filter(|(file, _)| !only_tests.iter().any(|test| file.starts_with(test)))
        .map(|(file, text)| {
            let inside = file.strip_prefix(root.join("src")).expect("lies under src");
            let words: Vec<&str> = inside.iter().map(|w| w.to_str().expect("a UTF-8 name")).collect();
            let is_mod = words.last() == Some(&"mod.rs");
            Source {
                name: format!("src/{}", words.join("/")),
                home: (words.len() > 1).then(|| words[0].to_string()),
                depth: words.len() - usize::from(is_mod),
                text,
            }
        })
        .collect()
}

/// Files and folders of modules declared as `#[cfg(test)] mod name;`.
fn test_modules(texts: &BTreeMap<PathBuf, String>) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for (file, text) in texts {
        let base = match file.file_name().and_then(|n| n.to_str()) {
            Some("mod.rs" | "lib.rs" | "main.rs") => file.parent().expect("has a folder").to_path_buf(),
            _ => file.with_extension(""),
        };
        let code = blank(text);
        for part in code.split("#[cfg(test)]").skip(1) {
            let declared = part.trim_start().trim_start_matches("pub ").trim_start_matches("pub(crate) ");
            if let Some((name, _)) = declared.strip_prefix("mod ").and_then(|d| d.split_once(';'))
                && is_word(name.trim())
            {
                found.push(base.join(name.trim()).with_extension("rs"));
                found.push(base.join(name.trim()));
            }
        }
    }
    found
}

fn tests_of_the_crate() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let name = |file: &Path| file.strip_prefix(root).expect("lies in the project").display().to_string();
    rust_files(&root.join("tests")).into_iter().map(|file| (name(&file), read(&file))).collect()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

fn allowed(home: &str) -> Option<&'static [&'static str]> {
    MAY_IMPORT.iter().find(|(name, _)| *name == home).map(|(_, allowed)| *allowed)
}

fn is_area(name: &str) -> bool {
    allowed(name).is_some() || Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(name).is_dir()
}

fn first_word(path: &str) -> &str {
    path.split("::").next().unwrap_or(path)
}

fn is_within(path: &str, outer: &str) -> bool {
    path == outer || path.strip_prefix(outer).is_some_and(|rest| rest.starts_with("::"))
}

fn is_word(token: &str) -> bool {
    token.chars().next().is_some_and(is_word_char) || token == "*"
}

fn is_word_char(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn report(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

/// The reader itself: what it finds in a small file, and what it leaves out.
#[test]
fn paths_are_found_wherever_they_hide() {
    let text = r#"
        //! [`crate::config`] in a comment
        use crate::{flow::{plan::Plan, expression}, model};
        use super::super::engine as e;
        use std::{fmt, time::{Duration, Instant}};
        fn f() -> crate::cli::X { let s = "crate::sinks"; let c = 'c'; std::fs::read(s) }
        #[cfg(test)]
        mod tests { use crate::runtime::{A, B}; }
        fn g<'a>(x: &'a crate::probes::Y) {}
    "#;
    let file = Source { name: String::new(), home: None, depth: 2, text: text.to_string() };
    let found: Vec<String> = file.paths().into_iter().map(|(_, path)| path).collect();
    assert_eq!(
        found,
        [
            "crate::flow::plan::Plan",
            "crate::flow::expression",
            "crate::model",
            "crate::engine",
            "std::fmt",
            "std::time::Duration",
            "std::time::Instant",
            "crate::cli::X",
            "std::fs::read",
            "crate::probes::Y",
        ]
    );
}
