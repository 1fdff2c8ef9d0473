//! The documents that `flows:` names.

use crate::flow::diagnostic::{Diagnostic, Diagnostics, Document, Problem, Severity};
use crate::flow::fields;
use crate::flow::yaml::Node;
use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

/// Reads the documents of flows. What cannot be read is told, the others are still there.
pub fn documents(paths: &[PathBuf]) -> (Vec<Document>, Vec<Diagnostic>) {
    let mut documents = Vec::new();
    let mut diagnostics = Vec::new();
    for path in paths {
        match read(path) {
            Ok(document) => documents.push(document),
            Err(diagnostic) => diagnostics.push(*diagnostic),
        }
    }
    (documents, diagnostics)
}

/// Reads one document.
pub fn read(path: &Path) -> Result<Document, Box<Diagnostic>> {
    let unreadable = |message: String| Diagnostic {
        code: "unreadable-file",
        severity: Severity::Error,
        file: path.to_owned(),
        line: 1,
        column: 1,
        length: 1,
        source: String::new(),
        message,
        label: String::new(),
        help: None,
    };
    let bytes =
        std::fs::read(path).map_err(|e| Box::new(unreadable(format!("{} cannot be read: {e}", path.display()))))?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Document { path: path.to_owned(), text }),
        Err(e) => {
            let at = e.utf8_error().valid_up_to();
            let line = e.as_bytes()[..at].iter().filter(|b| **b == b'\n').count() + 1;
            let message = format!("{} is not UTF-8: byte {at} is not part of any text", path.display());
            Err(Box::new(Diagnostic { line, ..unreadable(message) }))
        }
    }
}

/// The files that the value of `flows:` names: a folder, a file, or a list of them. Beside listed
/// files, the documents of shared steps in their folders are read as well.
pub(super) fn named(node: &Node, folder: &Path, config: &Path, diagnostics: &Diagnostics<'_>) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for text in fields::texts(node, "flows", diagnostics).unwrap_or_default() {
        // Without the `.` of `flows: .`, which messages would show before each file.
        let path: PathBuf = folder.join(&text.value).components().filter(|c| *c != Component::CurDir).collect();
        if !listed(&path).is_dir() {
            if !path.is_file() {
                Problem::error("missing-file", text.place, format!("there is no file or folder {}", path.display()))
                    .help("paths are relative to the folder of the configuration")
                    .report(diagnostics);
                continue;
            }
            files.push(path);
            continue;
        }
        let found = yaml_files(&path, config);
        if found.is_empty() {
            Problem::error("no-flows", text.place, format!("the folder {} holds no flow", path.display()))
                .help("flows are files that end in .yaml or .yml")
                .report(diagnostics);
        }
        files.extend(found);
    }
    let folders: BTreeSet<PathBuf> = files.iter().filter_map(|file| file.parent().map(Path::to_owned)).collect();
    let shared = folders.iter().flat_map(|folder| yaml_files(folder, config)).filter(|file| is_shared(file));
    let mut seen = BTreeSet::new();
    files.into_iter().chain(shared).filter(|file| seen.insert(file.clone())).collect()
}

/// The documents of shared steps in the folder of a flow.
pub fn shared_beside(flow: &Path) -> Vec<PathBuf> {
    let folder = flow.parent().unwrap_or(Path::new(""));
    yaml_files(folder, Path::new("")).into_iter().filter(|file| is_shared(file)).collect()
}

/// The documents of a folder in the order of their names, tests of flows and the configuration aside.
fn yaml_files(folder: &Path, config: &Path) -> Vec<PathBuf> {
    let names = std::fs::read_dir(listed(folder)).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let mut files: Vec<_> = names
        .filter(|name| {
            let name = name.to_string_lossy();
            let yaml = name.strip_suffix(".yaml").or(name.strip_suffix(".yml"));
            yaml.is_some_and(|stem| !stem.ends_with(".test") && !stem.is_empty() && !stem.starts_with('.'))
        })
        .map(|name| folder.join(name))
        .filter(|path| path.is_file() && !same_file(path, config))
        .collect();
    files.sort();
    files
}

/// The folder as the file system knows it; the current one may have no name here.
fn listed(folder: &Path) -> &Path {
    if folder.as_os_str().is_empty() { Path::new(".") } else { folder }
}

fn same_file(a: &Path, b: &Path) -> bool {
    a == b || matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// Whether it is a document of shared steps: `steps:`, and no `flow:`.
fn is_shared(path: &Path) -> bool {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let has = |field: &str| text.lines().any(|line| line.strip_prefix(field).is_some_and(|rest| rest.starts_with(':')));
    has("steps") && !has("flow")
}
