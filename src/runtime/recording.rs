//! Recordings as the engine is fed with them: which files they are, and who reads them.
//!
//! ```text
//! open: locate the files of every source that a flow reads
//! play: desks (threads) read and extract chunks ─▶ portions ─▶ one stream of inputs, in an order fixed by the data
//! ```

use crate::config::{Config, SourceConfig};
use crate::flow::plan::Plan;
use crate::model::SourceId;
use crate::model::observation::Position;
use crate::model::time::{Span, Time};
use crate::sources::file::{LocateError, Located, locate};
use std::fmt;
use std::fs::File;
use std::io;
use std::sync::Arc;

/// All files of all sources that the flows read.
pub struct Recording {
    pub(super) plan: Arc<Plan>,
    pub(super) taps: Vec<Tap>,
    /// The files of all taps, one after the other: tap and index in it.
    pub(super) parts: Vec<(usize, usize)>,
}

/// One source with its files.
pub(super) struct Tap {
    pub(super) source: SourceId,
    pub(super) config: SourceConfig,
    pub(super) files: Vec<Located>,
    /// The clocks of steps with a `time` of their own, with their lateness.
    pub(super) own_clocks: Vec<(SourceId, Span)>,
}

/// Sources that cannot be read, all of them at once.
#[derive(Debug, thiserror::Error)]
pub struct Unreadable(pub Vec<(String, LocateError)>);

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (source, error)) in self.0.iter().enumerate() {
            let newline = if index > 0 { "\n" } else { "" };
            write!(f, "{newline}source `{source}`: {error}")?;
        }
        Ok(())
    }
}

impl Recording {
    /// Finds the files of every source that a flow reads, live systems aside. Nothing is read yet.
    pub fn open(config: &Config, plan: &Arc<Plan>) -> Result<Recording, Unreadable> {
        let (mut taps, mut failed) = (Vec::new(), Vec::new());
        for source in &config.sources {
            let Some(id) = plan.source_named(&source.name) else { continue };
            let Some(path) = source.tap.files() else { continue };
            match locate(path).and_then(readable) {
                Ok(files) => taps.push(Tap::new(plan, id, source, files)),
                Err(error) => failed.push((source.name.clone(), error)),
            }
        }
        if !failed.is_empty() {
            return Err(Unreadable(failed));
        }
        let parts = taps.iter().enumerate().flat_map(|(tap, t)| (0..t.files.len()).map(move |part| (tap, part)));
        Ok(Recording { plan: plan.clone(), parts: parts.collect(), taps })
    }

    /// The size of all files; `None` where one of them is a pipe.
    pub fn size(&self) -> Option<u64> {
        self.taps.iter().flat_map(|tap| &tap.files).map(|file| file.size).sum()
    }

    /// What positions stand for.
    pub fn part_names(&self) -> PartNames {
        let mut names = vec![Vec::new(); self.plan.sources.len()];
        for tap in &self.taps {
            names[tap.source as usize] = tap.files.iter().map(|file| file.name.clone()).collect();
        }
        PartNames::new(&self.plan, names)
    }

    pub(super) fn file(&self, part: usize) -> &Located {
        let (tap, index) = self.parts[part];
        &self.taps[tap].files[index]
    }

    pub(super) fn tap(&self, part: usize) -> &Tap {
        &self.taps[self.parts[part].0]
    }
}

impl Tap {
    fn new(plan: &Plan, source: SourceId, config: &SourceConfig, files: Vec<Located>) -> Tap {
        let own_clocks = plan.clocks(source).skip(1).map(|id| (id, plan.sources[id as usize].lateness)).collect();
        Tap { source, config: config.clone(), files, own_clocks }
    }
}

/// Tries whether files can be opened. A pipe is not tried: opening it waits for its writer.
fn readable(files: Vec<Located>) -> Result<Vec<Located>, LocateError> {
    for file in files.iter().filter(|file| file.size.is_some()) {
        File::open(&file.path)
            .map_err(|error: io::Error| LocateError::Unreadable { path: file.name.clone(), error })?;
    }
    Ok(files)
}

/// The names of the files that positions point into.
#[derive(Clone, Debug, Default)]
pub struct PartNames {
    roots: Vec<SourceId>,
    names: Vec<Vec<String>>,
}

impl PartNames {
    /// For each source of the plan, the names of its parts.
    pub fn new(plan: &Plan, names: Vec<Vec<String>>) -> PartNames {
        let roots = (0..plan.sources.len()).map(|source| plan.root(source as SourceId)).collect();
        PartNames { roots, names }
    }
}

impl crate::findings::Places for PartNames {
    /// `file:line`.
    fn place(&self, source: SourceId, position: Position) -> String {
        let root = self.roots.get(source as usize).copied().unwrap_or(source);
        let name = self.names.get(root as usize).and_then(|names| names.get(position.part as usize));
        match name {
            Some(name) => format!("{name}:{}", position.offset),
            None => format!("part {}:{}", position.part, position.offset),
        }
    }
}

/// When a file was written, for records that are asked for their ingest time.
pub(super) fn ingest(file: &Located, now: Time) -> Time {
    file.modified.map_or(now, Time)
}
