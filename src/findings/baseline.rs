//! What is known already: the findings file of an earlier run.

use serde::Deserialize;
use std::collections::HashSet;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

/// Findings of a baseline.
const BASELINE_FINDINGS_MAX: usize = 20_000_000;
/// The longest line of one.
const LINE_BYTES_MAX: u64 = 64 << 20;

/// The ids of known findings, as the numbers that they are.
#[derive(Debug, Default)]
pub struct Baseline {
    ids: HashSet<u64>,
}

/// Why a baseline cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadBaseline {
    /// It cannot be read.
    #[error("the baseline {path} cannot be read: {cause}; write one with `throughline verify --findings {path}`")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        cause: io::Error,
    },
    /// It has too many findings.
    #[error(
        "the baseline {path} has more than {BASELINE_FINDINGS_MAX} findings; verify one flow at a time, each with its own"
    )]
    TooMany {
        /// The file.
        path: String,
    },
    /// A line of it is not a finding.
    #[error("{path}:{line}: this is not a finding ({cause}); a baseline is what `throughline verify --findings` wrote")]
    NotAFinding {
        /// The file.
        path: String,
        /// The line, from 1.
        line: usize,
        /// Why.
        cause: String,
    },
}

/// All that is needed of a line, whatever version wrote it.
#[derive(Deserialize)]
struct Known {
    id: String,
}

impl Baseline {
    /// Reads a findings file.
    pub fn read(path: &Path) -> Result<Baseline, BadBaseline> {
        let shown = || path.display().to_string();
        let unreadable = |cause| BadBaseline::Unreadable { path: shown(), cause };
        let mut file = BufReader::new(std::fs::File::open(path).map_err(unreadable)?);
        let (mut ids, mut bytes) = (HashSet::new(), Vec::new());
        for line in 1.. {
            bytes.clear();
            if file.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut bytes).map_err(unreadable)? == 0 {
                break;
            }
            if bytes.trim_ascii().is_empty() {
                continue;
            }
            let not_a_finding = |cause| BadBaseline::NotAFinding { path: shown(), line, cause };
            let known: Known = serde_json::from_slice(&bytes).map_err(|e| not_a_finding(e.to_string()))?;
            let id = number(&known.id).ok_or_else(|| not_a_finding(format!("`{}` is no id", known.id)))?;
            ids.insert(id);
            if ids.len() > BASELINE_FINDINGS_MAX {
                return Err(BadBaseline::TooMany { path: shown() });
            }
        }
        Ok(Baseline { ids })
    }

    /// Whether this finding was there before.
    pub fn knows(&self, id: &str) -> bool {
        number(id).is_some_and(|id| self.ids.contains(&id))
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

/// An id is a number in hexadecimal digits.
fn number(id: &str) -> Option<u64> {
    u64::from_str_radix(id, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn file(content: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content.as_bytes()).unwrap();
        file
    }

    #[test]
    fn only_the_id_of_a_line_counts() {
        let file = file("{\"id\":\"aa\",\"future\":1}\n\n{\"id\":\"bb\"}\n");
        let baseline = Baseline::read(file.path()).unwrap();
        assert!(baseline.knows("aa") && baseline.knows("bb") && !baseline.knows("cc"));
    }

    #[test]
    fn a_wrong_file_is_named_with_the_line() {
        let file = file("{\"id\":\"aa\"}\nkind,order\n");
        let message = Baseline::read(file.path()).unwrap_err().to_string();
        assert!(message.contains(":2: this is not a finding"), "{message}");
        let message = Baseline::read(self::file("{\"id\":\"order\"}\n").path()).unwrap_err().to_string();
        assert!(message.contains(":1: this is not a finding (`order` is no id)"), "{message}");
        let message = Baseline::read(Path::new("/nowhere/known.jsonl")).unwrap_err().to_string();
        assert!(message.contains("cannot be read"), "{message}");
    }
}
