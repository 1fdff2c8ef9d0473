//! What is under way in the database, and what that leaves to be proven.

use crate::model::time::{Span, Time};
use crate::sources::live::Intake;
use crate::sources::remark::Remark;

/// What a date is cut off to.
pub const DAY: Span = Span::seconds(86_400);
/// Digits of a second that a time keeps at most.
pub const DIGITS_MAX: u32 = 6;

/// What a time with so many digits of a second is cut off, or rounded, to.
pub fn unit(digits: u32) -> Span {
    Span(1_000_000_000 / 10_i64.pow(digits.min(DIGITS_MAX)))
}

/// What was under way.
#[derive(Debug)]
pub struct Running {
    /// The database's clock, before anything was looked at.
    pub now: Time,
    /// What was not visible when this was read, and is not seen later, began at this time or later.
    pub whole: Time,
    /// Why that is not known but assumed.
    pub assumed: Option<&'static str>,
    /// What holds the proof back.
    pub held_by: Option<String>,
}

impl Running {
    /// `whole` for a table whose columns cut their times off, or round them, to these units: what happens from then on is
    /// stamped no earlier. What is stamped early, as far as lateness allows that, is cut off as well.
    pub fn whole_in(&self, units: impl IntoIterator<Item = Span>, lateness: Span) -> Time {
        let time = self.whole - lateness;
        let kept = match units.into_iter().fold(Span(1), Span::max) {
            // Days begin at another moment in each zone.
            day if day == DAY => time - DAY,
            unit => Time(time.0.div_euclid(unit.0) * unit.0),
        };
        kept + lateness
    }

    /// Whether what is proven is earned.
    pub fn remark(&self) -> Remark {
        match (self.assumed, &self.held_by) {
            (Some(why), _) => Remark::warning(format!("progress will be assumed, by the declared lateness: {why}")),
            (None, Some(who)) => Remark::warning(format!(
                "nothing can be proven beyond {} at present: {who} began then and may still write",
                self.whole
            )),
            (None, None) => Remark::good("it tells which transactions are under way, so progress is proven"),
        }
    }

    /// Tells what holds the proof back, where that is something else than was told last.
    pub fn tell(&self, told: &mut Option<String>, intake: &mut dyn Intake) {
        if self.held_by == *told {
            return;
        }
        if let Some(who) = &self.held_by {
            intake.trouble(&format!(
                "nothing is proven beyond {}: {who} began then and may still write. End it, or wait for it",
                self.whole
            ));
        }
        told.clone_from(&self.held_by);
    }
}
