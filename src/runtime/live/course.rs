//! The course of a lane: what its engine makes of the entries of its journal, whoever reads them.
//!
//! The lane itself goes it while it runs and when it starts again, and a reader that was asked for a transaction goes
//! it after the lane. They differ in what stands *beside* the engine: where closed transactions go and come back from,
//! and what becomes of what is found.

use super::claims::Clock;
use super::edition::Edition;
use super::entry::{self, CLOSED, DELIVERY, Delivery, EDITION, FOUND, TOLD};
use super::intake::Bookmark;
use super::lane::LaneError;
use crate::engine::{Archived, Engine, Input, Output, Pace};
use crate::findings::{Names, Places};
use crate::flow::plan::Plan;
use crate::journal::{Entry, Sequence, Snapshot};
use crate::model::SourceId;
use crate::model::finding::Finding;
use crate::model::observation::{Batch, Position};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;

/// Editions of a flow whose transactions go on; the next one begins anew.
const EDITIONS_MAX: usize = 64;

/// What stands beside an engine.
pub trait Beside {
    /// Something was found.
    fn found(&mut self, finding: &Finding, names: Names<'_>) -> Result<(), LaneError>;

    /// Transactions have closed, when so many editions of their flow had begun.
    fn closed(&mut self, closed: &Archived, begun: usize) -> Result<(), LaneError>;

    /// The flow begins anew: what has closed before is none of its transactions.
    fn begins_anew(&mut self) {}

    /// A batch has been worked off.
    fn consumed(&mut self, _: Batch) {}

    /// The newest state of each closed transaction that has the key, as it was when the input at `at` was fed.
    fn recall(&mut self, key: u64, at: Sequence, book: &Book) -> Result<Vec<Recalled>, LaneError>;
}

/// A closed transaction that is wanted again.
pub struct Recalled {
    /// How many editions of its flow had begun when it closed; at least one.
    pub begun: usize,
    /// Its state.
    pub state: Vec<u8>,
}

/// What is kept beside the engine's state in a snapshot.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Book {
    /// The editions of the flow that observe alike, the present one last, each with where it began. Transactions that
    /// closed before the first are another flow's.
    editions: Vec<(u64, Edition)>,
    /// By name: from where each source goes on.
    sources: BTreeMap<String, Bookmark>,
}

impl Book {
    /// The present edition of the flow.
    pub fn edition(&self) -> &Edition {
        &self.editions.last().expect("there is always one").1
    }

    /// The number of a source's newest delivery.
    pub fn delivered(&self, source: &str) -> u64 {
        self.sources.get(source).map_or(0, |bookmark| bookmark.number)
    }

    /// How many of the editions had begun at an entry.
    pub fn begun(&self, at: Sequence) -> usize {
        self.editions.partition_point(|(since, _)| *since <= at.0)
    }
}

/// An engine that goes through a journal.
pub struct Course {
    plan: Arc<Plan>,
    /// What the editions mean that came before the present one.
    plans_before: Vec<Arc<Plan>>,
    engine: Engine,
    book: Book,
}

/// What stands where, by the names of a lane's parts.
struct Parts<'a> {
    plan: &'a Plan,
    book: &'a Book,
}

impl Places for Parts<'_> {
    fn place(&self, source: SourceId, position: Position) -> String {
        let name = self.plan.sources.get(self.plan.root(source) as usize).map(|source| &source.name);
        let bookmark = name.and_then(|name| self.book.sources.get(name));
        match bookmark.and_then(|bookmark| bookmark.parts.get(position.part as usize)) {
            Some(name) => format!("{name}:{}", position.offset),
            None => format!("part {}:{}", position.part, position.offset),
        }
    }
}

impl Course {
    /// From the beginning of a journal, with an edition of the flow and what it means.
    pub fn begin(edition: Edition, plan: Arc<Plan>) -> Course {
        let book = Book { editions: vec![(0, edition)], sources: BTreeMap::new() };
        Course { engine: Engine::new(plan.clone(), Pace::Live), plan, plans_before: Vec::new(), book }
    }

    /// From a snapshot on.
    pub fn resume(snapshot: &Snapshot) -> Result<Course, LaneError> {
        let unreadable = |why: String| LaneError::Entry(snapshot.sequence, why);
        let (book, engine): (Book, &[u8]) =
            postcard::take_from_bytes(&snapshot.bytes).map_err(|error| unreadable(error.to_string()))?;
        let plans = book.editions.iter().map(|(_, edition)| edition.compile()).collect::<Option<Vec<_>>>();
        let mut plans_before = plans.ok_or_else(|| unreadable("its flow is none to this version".into()))?;
        let plan = plans_before.pop().ok_or_else(|| unreadable("it has no flow".into()))?;
        let engine = Engine::restore(plan.clone(), Pace::Live, engine)?;
        Ok(Course { plan, plans_before, engine, book })
    }

    /// Writes what [`Course::resume`] goes on from.
    pub fn snapshot(&self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(&postcard::to_stdvec(&self.book).expect("plain data is encodable"))?;
        self.engine.snapshot(out)
    }

    /// The plan of the flow.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// The present edition of the flow, and from where its sources go on.
    pub fn book(&self) -> &Book {
        &self.book
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The engine, to be asked for a transaction.
    pub fn engine_mut(&mut self) -> &mut Engine {
        &mut self.engine
    }

    /// A source of the plan, by name: its number there, and from where it goes on. `None` where the flow does not read
    /// it.
    pub fn bookmark(&self, source: &str) -> Option<(SourceId, Bookmark)> {
        let id = self.plan.source_named(source)?;
        Some((id, self.book.sources.get(source).cloned().unwrap_or_default()))
    }

    /// The clocks of one of the plan's own sources, its own first, as far as they have come.
    pub fn clocks(&self, source: SourceId) -> Vec<Clock> {
        let known = |clock: Clock| {
            let (progress, gap) = (self.engine.progress(clock.source), self.engine.open_gap(clock.source));
            Clock { progress, gap, ..clock }
        };
        Clock::all(&self.plan, source).map(known).collect()
    }

    /// What indexes and positions stand for.
    pub fn with_names<T>(&self, tell: impl FnOnce(Names<'_>) -> T) -> T {
        tell(Names { plan: &self.plan, places: &Parts { plan: &self.plan, book: &self.book } })
    }

    /// Takes an entry of the journal.
    pub fn take(&mut self, entry: &Entry<'_>, beside: &mut dyn Beside) -> Result<(), LaneError> {
        let unreadable = |error: postcard::Error| LaneError::Entry(entry.sequence, error.to_string());
        match entry.kind {
            DELIVERY => self.feed(Delivery::decode(entry.payload).map_err(unreadable)?, entry.sequence, beside),
            EDITION => {
                self.go_on_with(postcard::from_bytes(entry.payload).map_err(unreadable)?, entry.sequence, beside)
            }
            // What closed and what was found closes and is found again.
            CLOSED | FOUND | TOLD => Ok(()),
            kind => {
                let why = format!("it is of kind {kind}, which this version does not know");
                Err(LaneError::Entry(entry.sequence, why))
            }
        }
    }

    /// From here on the flow is this edition. One that observes as the last goes on with its transactions; any other
    /// begins anew, and what happened before is before its watch.
    pub fn go_on_with(&mut self, edition: Edition, at: Sequence, beside: &mut dyn Beside) -> Result<(), LaneError> {
        if edition == *self.book.edition() {
            return Ok(());
        }
        let plan = edition.compile();
        let plan = plan.ok_or_else(|| LaneError::Entry(at, "its flow is none to this version".into()))?;
        let before = std::mem::replace(&mut self.plan, plan.clone());
        if before.observes_like(&plan) && self.book.editions.len() < EDITIONS_MAX {
            self.plans_before.push(before);
            self.book.editions.push((at.0, edition));
            return self.handle(Input::Amend(plan), at, beside);
        }
        tracing::warn!("the flow `{}` observes otherwise than before: it is watched from now on", edition.flow);
        beside.begins_anew();
        self.plans_before.clear();
        self.book.editions = vec![(at.0, edition)];
        self.engine = Engine::new(plan, Pace::Live);
        Ok(())
    }

    /// Feeds one delivery to the engine; `at` is where it stands in the journal.
    pub fn feed(&mut self, delivery: Delivery, at: Sequence, beside: &mut dyn Beside) -> Result<(), LaneError> {
        let name = self.plan.sources.get(delivery.source as usize).map(|source| source.name.clone());
        let name = name.ok_or_else(|| LaneError::Entry(at, "it is of a source that its flow does not read".into()))?;
        let bookmark = self.book.sources.entry(name).or_default();
        bookmark.parts.extend(delivery.parts);
        entry::apply(&mut bookmark.notes, delivery.notes);
        bookmark.number = delivery.number;
        if !delivery.cursor.is_empty() {
            bookmark.cursor = Some(delivery.cursor);
        }
        if !delivery.batch.is_empty() {
            self.handle(Input::Observations(delivery.batch), at, beside)?;
        }
        delivery.claims.into_iter().try_for_each(|claim| self.handle(claim.input(), at, beside))
    }

    fn handle(&mut self, input: Input, at: Sequence, beside: &mut dyn Beside) -> Result<(), LaneError> {
        self.engine.handle(input);
        while let Some(output) = self.engine.poll() {
            match output {
                Output::Finding(finding) => self.with_names(|names| beside.found(&finding, names))?,
                Output::Archive(archived) => beside.closed(&archived, self.book.editions.len())?,
                Output::Recall { key } => {
                    let states = self.recalled(key, at, beside)?;
                    self.engine.handle(Input::Recalled(states));
                }
                Output::Consumed(batch) => beside.consumed(batch),
            }
        }
        Ok(())
    }

    /// The newest state of each closed transaction that has the key, by the checks of the present edition.
    pub fn recalled(&self, key: u64, at: Sequence, beside: &mut dyn Beside) -> Result<Vec<Vec<u8>>, LaneError> {
        let recalled = beside.recall(key, at, &self.book)?;
        let renumbered = recalled.into_iter().map(|Recalled { begun, state }| match self.plans_before.get(begun - 1) {
            Some(then) => Engine::renumber_archived(&state, then, &self.plan),
            None => state,
        });
        Ok(renumbered.collect())
    }
}
