//! What is known already: the findings file of an earlier run.

use serde::Deserialize;
use std::collections::HashSet;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

/// The ids of known findings.
#[derive(Debug, Default)]
pub struct Baseline {
    ids: HashSet<String>,
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
    /// A line of it is not a finding.
    #[error("{path}:{line}: this is not a finding ({cause}); a baseline is what `throughline verify --findings` wrote")]
    NotAFinding {
        /// The file.
        path: String,
        /// The line, from 1.
        line: usize,
        /// Why.
        cause: serde_json::Error,
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
        let mut ids = HashSet::new();
        for (at, line) in BufReader::new(std::fs::File::open(path).map_err(unreadable)?).lines().enumerate() {
            let line = line.map_err(unreadable)?;
            if line.trim().is_empty() {
                continue;
            }
            let known: Known = serde_json::from_str(&line).map_err(|cause| BadBaseline::NotAFinding {
                path: shown(),
                line: at + 1,
                cause,
            })?;
            ids.insert(known.id);
        }
        Ok(Baseline { ids })
    }

    /// Whether this finding was there before.
    pub fn knows(&self, id: &str) -> bool {
        self.ids.contains(id)
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
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
        let message = Baseline::read(Path::new("/nowhere/known.jsonl")).unwrap_err().to_string();
        assert!(message.contains("cannot be read"), "{message}");
    }
}
