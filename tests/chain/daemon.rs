//! The daemon over all systems, started again on its own journal.

use super::Findings;
use super::systems::Systems;
use crate::servers::daemon::Daemon;
use std::time::{Duration, Instant};

/// One daemon after the other.
pub struct Watch {
    running: Daemon,
    /// What those before have found.
    found: Findings,
    starts: u32,
}

impl Watch {
    /// Starts the first one, and waits until it watches.
    pub fn start(systems: &Systems) -> Watch {
        let watch = Watch { running: Daemon::start(systems.folder.path(), "0"), found: Findings::new(), starts: 1 };
        watch.running.until_watching();
        watch
    }

    /// Ends it at once, and starts the next one.
    pub fn kill(&mut self, systems: &Systems) {
        self.running.kill();
        self.found = self.found();
        self.running = Daemon::start(systems.folder.path(), &self.starts.to_string());
        self.starts += 1;
    }

    /// The newest word of each finding.
    pub fn found(&self) -> Findings {
        let told = self.running.told().into_iter();
        let newest = told.map(|one| ((one.check, one.key), one.class + " " + &one.status));
        self.found.clone().into_iter().chain(newest).collect()
    }

    /// What the one that runs has said of itself.
    pub fn said(&self) -> String {
        self.running.said()
    }

    /// Ends it in good order.
    pub fn stop(mut self) {
        let begun = Instant::now();
        self.running.stop();
        assert!(begun.elapsed() < Duration::from_secs(5), "it takes long to stop: {}", self.said());
        let said = self.said();
        for secret in ["s3cret", "watcher:"] {
            assert!(!said.contains(secret), "a secret is told: {said}");
        }
    }
}
