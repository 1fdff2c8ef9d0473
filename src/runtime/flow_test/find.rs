//! Which test files there are, and which flow each of them tests.

use crate::flow::diagnostic::{Diagnostic, Diagnostics, Problem, Severity};
use crate::flow::fields::Fields;
use crate::flow::yaml::Node;
use std::path::{Path, PathBuf};

/// How deep folders are searched.
const DEPTH_MAX: usize = 16;
/// How the name of a test file ends.
const ENDINGS: [&str; 2] = [".test.yaml", ".test.yml"];

/// What the paths lead to.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Test files, each once, in the order of their names.
    pub tests: Vec<PathBuf>,
    /// Flows of the folders that were searched.
    pub flows: Vec<PathBuf>,
    /// Paths that lead nowhere.
    pub mistakes: Vec<Diagnostic>,
}

pub(super) fn find(paths: &[PathBuf]) -> Found {
    let mut found = Found::default();
    for path in paths {
        let before = found.tests.len();
        if path.is_dir() {
            search(path, 0, &mut found);
        } else if is_test(path) {
            found.tests.push(path.clone());
        } else {
            let beside = ENDINGS.map(|ending| PathBuf::from(format!("{}{ending}", stem(path).display())));
            found.tests.extend(beside.into_iter().filter(|test| test.is_file()));
        }
        if found.tests.len() == before {
            found.mistakes.push(nothing(path));
        }
    }
    found.tests.sort();
    found.tests.dedup();
    found.flows.sort();
    found.flows.dedup();
    found
}

fn search(folder: &Path, depth: usize, found: &mut Found) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = folder.join(entry.file_name());
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if path.is_dir() && !hidden && depth < DEPTH_MAX {
            search(&path, depth + 1, found);
        } else if is_test(&path) {
            found.tests.push(path);
        } else if is_flow(&path) {
            found.flows.push(path);
        }
    }
}

fn is_test(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    ENDINGS.iter().any(|ending| name.ends_with(ending) && name.len() > ending.len())
}

/// Whether it is a flow: YAML with a line that begins with `flow:`.
fn is_flow(path: &Path) -> bool {
    let yaml = path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
    let text = if yaml { std::fs::read_to_string(path).unwrap_or_default() } else { String::new() };
    text.lines().any(|line| line.starts_with("flow:"))
}

fn stem(path: &Path) -> PathBuf {
    path.with_extension("")
}

fn nothing(path: &Path) -> Diagnostic {
    let (message, help) = if path.is_dir() {
        ("there is no test in this folder", "tests of flows are files such as order.test.yaml beside order.yaml")
    } else if path.is_file() {
        ("there is no test beside this file", "the tests of order.yaml stand in order.test.yaml")
    } else {
        ("there is no such file or folder", "name a test, a flow or a folder: `throughline test flows/`")
    };
    Diagnostic {
        code: "no-tests",
        severity: Severity::Error,
        file: path.to_owned(),
        line: 1,
        column: 1,
        length: 1,
        source: String::new(),
        message: message.into(),
        label: String::new(),
        help: Some(help.into()),
    }
}

/// The file of the flow that a test file tests: `flow:`, relative to the test file, else the file of its name.
pub(super) fn flow_of(test: &Path, root: &Node, diagnostics: &Diagnostics<'_>) -> Option<PathBuf> {
    let fields = Fields::new(root, "a test file", diagnostics)?;
    let folder = test.parent().unwrap_or(Path::new(""));
    if fields.has("flow") {
        let text = fields.text("flow")?;
        let path = folder.join(&text.value);
        if !path.is_file() {
            Problem::error("missing-file", text.place, format!("there is no file {}", path.display()))
                .help("`flow` is relative to the folder of the test file")
                .report(diagnostics);
        }
        return path.is_file().then_some(path);
    }
    let beside = stem(&stem(test));
    let named = ["yaml", "yml"].map(|extension| PathBuf::from(format!("{}.{extension}", beside.display())));
    let found = named.into_iter().find(|path| path.is_file());
    if found.is_none() {
        let message = format!("there is no flow {}.yaml", beside.display());
        Problem::error("missing-file", root.place, message)
            .help("a test stands beside its flow and is called after it; else say which: `flow: order.yaml`")
            .report(diagnostics);
    }
    found
}
