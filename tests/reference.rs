//! The documentation is run: what it shows is what the program does.
//!
//! Under one heading of `README.md` or a page of `docs/`, every fenced block that names a file
//! (```` ```yaml order.yaml ````) is written into one folder. There
//!
//! - `throughline check` accepts the configuration without a warning, unless a console block checks it itself;
//! - `throughline test .` passes, where there is a `*.test.yaml`;
//! - each `$ command` of a console block prints what stands below it. Headings without files run
//!   theirs at the project's root.
//!
//! `UPDATE_DOCS=1 cargo test --test reference` writes what the commands print into the pages.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn the_language_reference_holds() {
    holds("docs/language.md");
}

#[test]
fn the_page_on_recordings_holds() {
    holds("docs/recordings.md");
}

#[test]
fn the_page_on_outputs_holds() {
    holds("docs/outputs.md");
}

#[test]
fn the_page_on_operating_holds() {
    holds("docs/operating.md");
}

/// The page's tables are those of the program.
#[test]
fn the_page_on_operating_lists_all_metrics_and_columns() {
    let text = fs::read_to_string(root().join("docs/operating.md")).expect("the page");
    for (name, help) in throughline::server::documented() {
        let listed = text
            .lines()
            .any(|line| line.starts_with(&format!("| `{name}` |")) && line.ends_with(&format!("| {help} |")));
        assert!(listed, "docs/operating.md lacks the metric `{name}`: {help}");
    }
    let listed = text.lines().filter(|line| line.starts_with("| `throughline_")).count();
    assert_eq!(listed, throughline::server::documented().count(), "docs/operating.md lists a metric that is none");
    let tables = include_str!("../src/findings/store/tables.sql");
    for column in
        tables.lines().filter(|line| line.starts_with("    ")).filter_map(|line| line.split_whitespace().next())
    {
        assert!(text.contains(&format!("`{column}`")), "docs/operating.md lacks the column `{column}`");
    }
}

#[test]
fn the_page_on_flow_tests_holds() {
    holds("docs/flow-tests.md");
}

#[test]
fn the_page_on_kafka_holds() {
    holds("docs/kafka.md");
}

#[test]
fn the_page_on_redis_holds() {
    holds("docs/redis.md");
}

#[test]
fn the_page_on_rabbitmq_holds() {
    holds("docs/rabbitmq.md");
}

#[test]
fn the_pages_on_formats_hold() {
    holds("docs/debezium.md");
    holds("docs/test-tools.md");
    holds("docs/presets.md");
}

#[test]
fn the_page_on_change_capture_holds() {
    holds("docs/postgres-changes.md");
    holds("docs/mysql-changes.md");
}

#[test]
fn the_pages_on_what_is_pushed_hold() {
    holds("docs/otlp.md");
    holds("docs/http-events.md");
}

#[test]
fn the_pages_on_databases_hold() {
    holds("docs/mysql.md");
    holds("docs/postgres.md");
    holds("docs/sqlite.md");
}

#[test]
fn the_page_on_log_files_holds() {
    holds("docs/log-files.md");
}

#[test]
fn the_readme_holds() {
    holds("README.md");
}

/// Runs everything that one page shows.
fn holds(page: &str) {
    let file = root().join(page);
    let text = fs::read_to_string(&file).unwrap_or_else(|e| panic!("{page}: {e}"));
    let lines: Vec<&str> = text.lines().collect();
    let mut replacements = Vec::new();
    let mut complaints = Vec::new();
    for section in sections(&lines) {
        let folder = section.set_up();
        let place = folder.as_ref().map_or(root(), |folder| folder.path().to_owned());
        section.check(&place, &mut complaints);
        for block in section.blocks.iter().filter(|b| b.language == "console") {
            let printed = run_console(&place, &lines[block.start..block.end]);
            if printed != lines[block.start..block.end] {
                complaints.push(format!("under `{}`, the console shows\n{}", section.title, printed.join("\n")));
                replacements.push((block.start, block.end, printed));
            }
        }
    }
    if std::env::var_os("UPDATE_DOCS").is_some() && !replacements.is_empty() {
        let mut lines: Vec<String> = lines.iter().map(|l| l.to_string()).collect();
        for (start, end, printed) in replacements.into_iter().rev() {
            lines.splice(start..end, printed);
        }
        fs::write(&file, lines.join("\n") + "\n").expect("the page can be written");
    } else {
        assert!(complaints.is_empty(), "\n{page}: {}\n", complaints.join(&format!("\n\n{page}: ")));
    }
}

/// What stands under one heading.
struct Section<'a> {
    title: &'a str,
    blocks: Vec<Block<'a>>,
}

/// A fenced block.
struct Block<'a> {
    language: &'a str,
    /// The file that it stands for; empty where it is only shown.
    file: &'a str,
    /// Its first line, and the line after its last.
    start: usize,
    end: usize,
    text: String,
}

fn sections<'a>(lines: &[&'a str]) -> Vec<Section<'a>> {
    let mut sections = vec![Section { title: "", blocks: Vec::new() }];
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at];
        if let Some(info) = line.strip_prefix("```") {
            let start = at + 1;
            let end = start + lines[start..].iter().position(|l| l.starts_with("```")).expect("a fence is closed");
            let (language, file) = info.split_once(' ').unwrap_or((info, ""));
            let text = lines[start..end].iter().map(|l| format!("{l}\n")).collect();
            sections.last_mut().expect("never empty").blocks.push(Block { language, file, start, end, text });
            at = end;
        } else if line.starts_with('#') {
            sections.push(Section { title: line, blocks: Vec::new() });
        }
        at += 1;
    }
    sections
}

impl Section<'_> {
    fn files(&self) -> impl Iterator<Item = &Block<'_>> {
        self.blocks.iter().filter(|b| !b.file.is_empty())
    }

    /// The folder with the files that it shows; `None` where it shows none.
    fn set_up(&self) -> Option<tempfile::TempDir> {
        self.files().next()?;
        let folder = tempfile::tempdir().expect("a folder for the example");
        for block in self.files() {
            let file = folder.path().join(block.file);
            assert!(!file.exists(), "under `{}` there are two files {}", self.title, block.file);
            fs::create_dir_all(file.parent().expect("has a folder")).expect("a folder for the example");
            fs::write(file, &block.text).expect("a file of the example");
        }
        Some(folder)
    }

    /// What every example must meet without its saying so.
    fn check(&self, place: &Path, complaints: &mut Vec<String>) {
        let shows = |command: &str| self.blocks.iter().any(|b| b.language == "console" && b.text.contains(command));
        let mut must_pass = Vec::new();
        if self.files().any(|b| b.file == "throughline.yaml") && !shows("throughline check") {
            must_pass.push("throughline check");
        }
        if self.files().any(|b| b.file.ends_with(".test.yaml")) && !shows("throughline test") {
            must_pass.push("throughline test .");
        }
        for command in must_pass {
            let (printed, success) = run(place, command);
            if !success || printed.contains("warning[") {
                complaints.push(format!("under `{}`, `{command}` says\n{printed}", self.title));
            }
        }
    }
}

/// The block as it should be: each command, and below it what it prints.
fn run_console(place: &Path, lines: &[&str]) -> Vec<String> {
    let mut printed = Vec::new();
    for command in lines.iter().filter_map(|l| l.strip_prefix("$ ")) {
        printed.push(format!("$ {command}"));
        printed.extend(run(place, command).0.lines().map(str::to_owned));
    }
    printed
}

/// Runs a command line in a folder: what it prints, and whether it succeeds.
fn run(place: &Path, command: &str) -> (String, bool) {
    let program = Path::new(env!("CARGO_BIN_EXE_throughline"));
    let folders =
        format!("{}:{}", program.parent().expect("has a folder").display(), std::env::var("PATH").unwrap_or_default());
    let output = Command::new("sh")
        .args(["-c", &format!("{{ {command}; }} 2>&1")])
        .current_dir(place)
        .env("PATH", folders)
        .output()
        .expect("a shell");
    (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.success())
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
