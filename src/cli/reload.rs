//! Configuration and flows that change while the daemon runs.
//!
//! They are read again after SIGHUP, and where a file has changed: once it has stayed as it is for a moment, so that
//! nothing is taken over that somebody is still writing. What is wrong is told and refused.

use super::project::{self, Project, Read};
use crate::config::flows;
use crate::runtime::live::Edition;
use signal_hook::consts::SIGHUP;
use signal_hook::flag;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often the files are looked at; one that has changed must look alike twice.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Looks for changes.
pub struct Reload {
    config: PathBuf,
    flow: Option<String>,
    asked: Arc<AtomicBool>,
    looked: Instant,
    /// The texts that were read last, whether they were taken or refused.
    known: Texts,
    /// What was seen last, where it differs.
    seen: Option<Texts>,
    /// What runs.
    running: Running,
}

/// By path: what stands there.
type Texts = BTreeMap<PathBuf, Option<String>>;

#[derive(PartialEq)]
struct Running {
    /// The configuration's text: sources may have changed while no flow has.
    config: Option<String>,
    flows: Vec<Edition>,
}

impl Reload {
    /// Beginning with what runs.
    pub fn new(config: &Path, flow: Option<&str>, project: &Project) -> anyhow::Result<Reload> {
        let asked = Arc::new(AtomicBool::new(false));
        flag::register(SIGHUP, asked.clone())?;
        let (config, flow) = (config.to_owned(), flow.map(str::to_owned));
        let known = texts(&config);
        let running = Running::of(project, &known, &config, flow.as_deref());
        Ok(Reload { known, config, flow, asked, looked: Instant::now(), seen: None, running })
    }

    /// What is to run from now on, where that is something else.
    pub fn changed(&mut self) -> Option<Project> {
        let asked = self.asked.swap(false, Ordering::Relaxed);
        if !asked {
            if self.looked.elapsed() < LOOK_EVERY {
                return None;
            }
            self.looked = Instant::now();
            let texts = texts(&self.config);
            if texts == self.known {
                self.seen = None;
                return None;
            }
            if self.seen.as_ref() != Some(&texts) {
                self.seen = Some(texts);
                return None;
            }
        }
        self.seen = None;
        self.known = texts(&self.config);
        let Read { project, diagnostics } = project::read(&self.config);
        let Some(project) = project.filter(|project| self.may_run(project)) else {
            if !diagnostics.is_empty() {
                anstream::eprint!("{}", project::told(&diagnostics));
            }
            tracing::error!("the changed configuration is refused; what ran before goes on");
            return None;
        };
        let running = Running::of(&project, &self.known, &self.config, self.flow.as_deref());
        if running == self.running {
            if asked {
                tracing::info!("configuration and flows are as they were");
            }
            return None;
        }
        tracing::info!("configuration or flows have changed: going on with the new ones");
        self.running = running;
        Some(project)
    }

    fn may_run(&self, project: &Project) -> bool {
        if let Err(error) = project::runnable(&project.config) {
            tracing::error!("{error}");
            return false;
        }
        let known = |flow: &String| project.plan.flows.iter().any(|known| known.name == *flow);
        let there = self.flow.as_ref().is_none_or(known);
        if !there {
            tracing::error!("there is no flow `{}` any more", self.flow.as_deref().unwrap_or_default());
        }
        there
    }
}

impl Running {
    fn of(project: &Project, texts: &Texts, config: &Path, flow: Option<&str>) -> Running {
        let flows = Edition::all(&project.config, &project.documents, flow);
        let flows = flows.into_iter().map(|compiled| compiled.edition).collect();
        Running { config: texts.get(config).cloned().flatten(), flows }
    }
}

/// The texts of the configuration and of all its flows, as they stand.
fn texts(config: &Path) -> Texts {
    let outline = crate::config::load(config).outline;
    let (documents, _) = flows::documents(&outline.flows);
    let text = fs::read_to_string(config).ok();
    documents
        .into_iter()
        .map(|document| (document.path, Some(document.text)))
        .chain([(config.to_owned(), text)])
        .collect()
}
