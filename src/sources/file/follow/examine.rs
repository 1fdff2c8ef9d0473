//! `check --connect`: which files there are, whether they can be read, and what will be proven of them.

use super::Options;
use crate::sources::file::locate;
use crate::sources::live::Start;
use crate::sources::remark::Remark;
use std::fs::File;

/// So many files that cannot be read are named; the others are counted.
const UNREADABLE_SHOWN_MAX: usize = 5;

/// Looks for the files and opens each.
pub(super) fn examine(options: &Options) -> Vec<Remark> {
    let files = match locate(&options.path) {
        Ok(files) => files,
        Err(error) => return vec![Remark::error(error.to_string())],
    };
    let refused: Vec<_> =
        files.iter().filter_map(|file| File::open(&file.path).err().map(|error| (&file.name, error))).collect();
    let mut remarks = Vec::new();
    for (name, error) in refused.iter().take(UNREADABLE_SHOWN_MAX) {
        remarks.push(Remark::error(format!("{name} cannot be read ({error}): let the daemon's user read it")));
    }
    if let more @ 1.. = refused.len().saturating_sub(UNREADABLE_SHOWN_MAX) {
        remarks.push(Remark::error(format!("and {more} files more cannot be read")));
    }
    if let readable @ 1.. = files.len() - refused.len() {
        let plural = if readable == 1 { "" } else { "s" };
        let from = match options.start {
            Start::Latest => "what is written from now on is followed (`start: beginning` takes what is there as well)",
            Start::Beginning | Start::At(_) => "what is there is read as well",
        };
        remarks.push(Remark::good(format!("{readable} file{plural} can be read; {from}")));
        remarks.push(Remark::good(
            "progress is proven: each file is read to its end. Gaps are possible where a file is truncated, or rotated away, \
             before it was read",
        ));
    }
    remarks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Span;
    use crate::sources::file::Framing;

    #[test]
    fn a_look_tells_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.log").display().to_string();
        let look = |path: &str| {
            let (framing, start, clock_skew) = (Framing::Lines, Start::Latest, Span::ZERO);
            let told = examine(&Options { path: path.to_owned(), framing, begins: None, start, clock_skew });
            told.into_iter().map(|remark| format!("{:?} {}", remark.weight, remark.text)).collect::<Vec<_>>()
        };
        let told = look(&path);
        assert!(told.len() == 1 && told[0].starts_with("Error ") && told[0].contains("app.log"), "{told:?}");
        std::fs::write(&path, "a line\n").unwrap();
        let told = look(&path);
        assert!(told[0].starts_with("Good 1 file can be read; what is written from now on"), "{told:?}");
        assert!(told[1].starts_with("Good progress is proven"), "{told:?}");
    }
}
