//! A recording for tests: files with their content, read by one flow that takes every record that has an `id`.

use super::coverage::Window;
use super::play::{PlayOptions, Played, play};
use super::recording::{Recording, Unreadable};
use crate::config::{Config, SourceConfig, Tap};
use crate::engine::Input;
use crate::flow::format::{Decoding, Format, Lateness, Pacing};
use crate::flow::plan::{Carries, Clock, Condition, Expr, Flow, Key, Path, Plan, Root, Segment, Source, Step};
use crate::model::time::{Span, Time};
use crate::sources::live::Start;
use std::convert::Infallible;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

const LATENESS: Span = Span::seconds(5);

/// Files in a folder of their own, and what is read of them.
pub(super) struct Fixture {
    pub(super) folder: tempfile::TempDir,
    pub(super) config: Config,
    pub(super) plan: Plan,
    pub(super) options: PlayOptions,
}

/// `body.` and a field.
pub(super) fn body(field: &str) -> Path {
    Path { root: Root::Body, segments: vec![Segment::Field(field.into())] }
}

impl Fixture {
    /// No source yet.
    pub(super) fn new() -> Fixture {
        let key = Key { name: "id".into(), rank: Some(0) };
        let flow = Flow {
            name: "f".into(),
            about: String::new(),
            owner: String::new(),
            keys: vec![key],
            begins: vec![],
            linger: Span::seconds(3600),
            steps: vec![],
            checks: vec![],
            sources: vec![],
        };
        Fixture {
            folder: tempfile::tempdir().unwrap(),
            config: Config {
                path: PathBuf::new(),
                flows: vec![],
                clock_skew: Span::seconds(5),
                sources: vec![],
                outputs: Default::default(),
            },
            plan: Plan { flows: vec![flow], sources: vec![], clock_skew: Span::seconds(5) },
            options: PlayOptions {
                window: Window::ALL,
                complete: false,
                threads: Some(1),
                now: Time(2_000_000_000_000_000_000),
            },
        }
    }

    /// Writes a file.
    pub(super) fn file(self, name: &str, content: impl AsRef<[u8]>) -> Fixture {
        fs::write(self.folder.path().join(name), content).unwrap();
        self
    }

    /// A source with one step that takes each of its records; `adjust` changes how it is read.
    pub(super) fn source(mut self, name: &str, pattern: &str, adjust: impl FnOnce(&mut SourceConfig)) -> Fixture {
        let decoding = Decoding {
            format: Format::Json,
            time: Some(body("t")),
            time_format: None,
            zone: chrono_tz::UTC,
            key: None,
            op: None,
            parse: vec![],
            strict: true,
            redact: vec![],
            stamped: false,
            key_is_identity: false,
        };
        let pacing = Pacing {
            lateness: Lateness::Span(LATENESS),
            jump_max: Span::seconds(86_400),
            silence: None,
            undecodable_is_gap: true,
        };
        let mut source = SourceConfig {
            name: name.into(),
            tap: Tap::File { path: self.folder.path().join(pattern).display().to_string(), begins: None },
            decoding,
            pacing,
            start: Start::Latest,
            gaps: vec![],
            carries: Carries::Lines,
            clock: Clock::One,
            resolution: Span::ZERO,
            skips_versions: false,
            tells_operations: false,
            captures_changes: false,
        };
        adjust(&mut source);
        self.config.sources.push(source);
        let id = self.evidence(name, None);
        self.step(name, id, None)
    }

    /// One more step that reads the last source, by a clock of its own.
    pub(super) fn own_clock(mut self, field: &str) -> Fixture {
        let reads = self.plan.sources[0].name.clone();
        let id = self.evidence(&format!("{reads} by {field}"), Some(0));
        self.step(&reads, id, Some(Expr::Path(body(field))))
    }

    fn evidence(&mut self, name: &str, clock_of: Option<u16>) -> u16 {
        self.plan.sources.push(Source {
            name: name.into(),
            clock_of,
            carries: Carries::Lines,
            clock: Clock::One,
            resolution: Span::ZERO,
            lateness: LATENESS,
            skips_versions: false,
            lateness_end: false,
        });
        (self.plan.sources.len() - 1) as u16
    }

    fn step(mut self, reads: &str, source: u16, time: Option<Expr>) -> Fixture {
        let steps = &mut self.plan.flows[0].steps;
        steps.push(Step {
            name: format!("step{}", steps.len()),
            source,
            reads: reads.into(),
            select: None,
            when: Condition::Always,
            keys: vec![(0, vec![Expr::Path(body("id"))])],
            keep: vec![],
            dedupe_by: None,
            time,
            each: None,
            carries_flow_key: true,
            closure: vec![source],
            binders: vec![],
            entry: None,
        });
        self
    }

    /// Plays it, and gives every input in words.
    pub(super) fn play(&self) -> Result<(Vec<String>, Played), Unreadable> {
        let recording = Recording::open(&self.config, &Arc::new(self.plan.clone()))?;
        let mut said = Vec::new();
        let played = play(&recording, &self.options, &Arc::default(), &mut |_| {}, &mut |input| {
            said.extend(show(&input));
            Ok::<_, Infallible>(if let Input::Observations(batch) = input { Some(batch) } else { None })
        });
        let Ok(played) = played;
        Ok((said, played))
    }
}

/// Seconds from the fixture's beginning of time, in which all times lie close together.
pub(super) fn show(input: &Input) -> Vec<String> {
    let time = |t: &Time| match *t {
        Time::MIN => "min".to_owned(),
        Time::MAX => "max".to_owned(),
        Time(n) => (n / 1_000_000_000 - 1_000_000_000).to_string(),
    };
    match input {
        Input::Observations(batch) => {
            let one = |e: &crate::model::observation::Entry| {
                format!("{}@{}/{}:{}", e.step, time(&e.time), e.position.part, e.position.offset)
            };
            vec![batch.entries().iter().map(one).collect::<Vec<_>>().join(" ")]
        }
        Input::Begins { source, at } => vec![format!("{source} begins {}", time(at))],
        Input::Progress { source, to } => vec![format!("{source} progress {}", time(to))],
        Input::Ends { source, at } => vec![format!("{source} ends {}", time(at))],
        Input::Gap { source, from, to } => {
            vec![format!("{source} gap {}..{}", time(from), to.as_ref().map_or("?".into(), time))]
        }
        Input::Down { .. } | Input::Amend(_) | Input::Recalled(_) => vec![],
    }
}

/// Lines with these times, in seconds from the fixture's beginning of time.
pub(super) fn lines(times: impl IntoIterator<Item = i64>) -> String {
    let line = |t: i64| format!("{{\"id\":\"x{t}\",\"t\":{},\"pad\":\"................\"}}\n", 1_000_000_000 + t);
    times.into_iter().map(line).collect()
}
