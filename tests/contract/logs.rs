//! Log files.

use super::suite;
use super::system::System;
use super::watch::Seen;
use std::fs::{self, OpenOptions};
use std::io::Write;
use throughline::model::time::Span;
use throughline::sources::file::Framing;
use throughline::sources::file::follow::{Follow, Options};
use throughline::sources::live::{Source, Start};

const NAMES: [&str; 3] = ["0.log", "1.log", "2.log"];

struct Logs(tempfile::TempDir);

impl System for Logs {
    fn source(&self) -> Box<dyn Source> {
        Box::new(Follow::new(Options {
            path: self.0.path().join("*.log").display().to_string(),
            framing: Framing::Lines,
            begins: None,
            start: Start::Latest,
            clock_skew: Span::ZERO,
        }))
    }

    fn write(&mut self, id: u64) {
        let path = self.0.path().join(NAMES[id as usize % 3]);
        let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
        writeln!(file, "{id}").unwrap();
    }

    fn id(&self, record: &Seen) -> u64 {
        record.payload.trim().parse().unwrap()
    }

    fn written_by_source(&mut self) -> Vec<String> {
        let names = fs::read_dir(self.0.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let names = names.map(|name| name.into_string().unwrap());
        names.filter(|name| !NAMES.contains(&name.as_str())).collect()
    }
}

#[test]
fn log_files_keep_their_word() {
    let folder = tempfile::tempdir().unwrap();
    NAMES.iter().for_each(|name| fs::write(folder.path().join(name), "").unwrap());
    suite::keeps_its_word(&mut Logs(folder));
}
