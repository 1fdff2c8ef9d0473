//! Verifies recordings: plays them to their end, and tells what came out.

use super::clock::now;
use super::coverage;
use super::driver::Driver;
use super::live::window::{self, CannotLookBack, Watched, Window};
use super::play::{PlayOptions, Played, play};
use super::recording::Recording;
use crate::config::Config;
use crate::engine::Pace;
use crate::engine::account::Account;
use crate::flow::format::Lateness;
use crate::flow::plan::Plan;
use crate::model::time::{Span, Time};
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

pub use super::play::Progress;
pub use super::recording::{PartNames, Unreadable};
pub use super::report::{Problem, Report, Sample, SourceReport};

/// What part of the recordings is looked at, and how.
#[derive(Clone, Copy, Debug, Default)]
pub struct VerifyOptions {
    /// Only what happened from this time on.
    pub since: Option<Time>,
    /// Only what happened before this time.
    pub until: Option<Time>,
    /// The recordings hold everything, before and after: what is not in them did not happen.
    pub complete: bool,
    /// Records may come in this much later than the configuration says.
    pub settle: Option<Span>,
    /// How many threads; as many as the machine has where `None`. The result is the same with any number.
    pub threads: Option<usize>,
}

/// Why nothing could be verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// Some sources cannot be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// A live source sees nothing of the past.
    #[error(transparent)]
    CannotLookBack(#[from] CannotLookBack),
    /// What does not stay in memory could not be kept.
    #[error("closed transactions and findings could not be kept: {0}")]
    Temporary(#[from] io::Error),
}

/// Plays all recordings to their end. `interrupted` stops it in good order; what it has found by then is told.
pub fn verify(
    config: &Config,
    plan: Arc<Plan>,
    options: &VerifyOptions,
    interrupted: &Arc<AtomicBool>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report, VerifyError> {
    let (driver, recording, played) = run(config, plan.clone(), options, interrupted, progress)?;
    let account = driver.account().clone();
    let mut sources = played.sources;
    sources.iter_mut().for_each(|source| attribute(source, &plan, &account));
    Ok(Report {
        account,
        findings: driver.into_findings(),
        sources,
        counts: played.counts,
        parts: recording.part_names(),
        interrupted: played.interrupted,
    })
}

/// Reads a window of live systems, and waits until all of them have passed it; `progress` is told how far the slowest has
/// come.
pub fn verify_live(
    config: &Config,
    plan: &Arc<Plan>,
    window: &Window,
    interrupted: &AtomicBool,
    progress: &mut dyn FnMut(&str, Option<Time>),
) -> Result<Report, VerifyError> {
    window::can_look_back(config, plan)?;
    let watched = window::watch(config, plan, window, interrupted, progress)?;
    let Watched { driver, mut sources, counts, parts, interrupted } = watched;
    let account = driver.account().clone();
    sources.iter_mut().for_each(|source| attribute(source, plan, &account));
    Ok(Report { account, findings: driver.into_findings(), sources, counts, parts, interrupted })
}

/// What the engine counted of a source's observations, and of what it leaves open.
fn attribute(source: &mut SourceReport, plan: &Plan, account: &Account) {
    for (flow, account) in plan.flows.iter().zip(&account.flows) {
        let of_steps = flow.steps.iter().zip(&account.unattached);
        source.unattached +=
            of_steps.filter(|(step, _)| step.reads == source.name).map(|(_, count)| count).sum::<u64>();
        for (id, counts) in (0..).zip(&account.undecided_by_source) {
            if plan.sources[plan.root(id) as usize].name == source.name {
                source.undecided.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
            }
        }
    }
}

/// Plays all recordings into an engine.
pub(super) fn run(
    config: &Config,
    plan: Arc<Plan>,
    options: &VerifyOptions,
    interrupted: &Arc<AtomicBool>,
    progress: &mut dyn FnMut(Progress),
) -> Result<(Driver, Recording, Played), VerifyError> {
    let (config, plan) = settled(config, plan, options.settle);
    let recording = Recording::open(&config, &plan)?;
    let mut driver = Driver::new(plan, Pace::Settled)?;
    let play_options = PlayOptions {
        window: coverage::Window {
            since: options.since.unwrap_or(Time::MIN),
            until: options.until.unwrap_or(Time::MAX),
        },
        complete: options.complete,
        threads: options.threads,
        now: now(),
    };
    let played = play(&recording, &play_options, interrupted, progress, &mut |input| driver.feed(input))?;
    Ok((driver, recording, played))
}

/// Adds to the lateness of every source.
fn settled(config: &Config, plan: Arc<Plan>, settle: Option<Span>) -> (Config, Arc<Plan>) {
    let mut config = config.clone();
    let Some(settle) = settle else { return (config, plan) };
    let mut plan = (*plan).clone();
    for source in &mut plan.sources {
        source.lateness = source.lateness + settle;
    }
    for source in &mut config.sources {
        if let Lateness::Span(lateness) = &mut source.pacing.lateness {
            *lateness = *lateness + settle;
        }
    }
    (config, Arc::new(plan))
}

#[cfg(test)]
mod tests;
