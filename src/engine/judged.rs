//! What was said of a transaction, as it is kept and archived.

use crate::model::value::{get_varint, put_varint};
use crate::model::verdict::{Class, Doubt, Reason, Status};
use crate::model::{CheckId, SourceId, StepId};
use serde::{Deserialize, Serialize};

const NONE: u32 = u32::MAX;

// How a verdict is written in an archived state.
const PASSED: u8 = 0;
const OPEN: u8 = 1;
const UNDECIDED: u8 = 2;
const BROKEN: u8 = 32;
const STATUSES: u8 = Status::ALL.len() as u8;

/// What one check said of a transaction, for one value of its `by`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Instance {
    pub check: CheckId,
    /// The bound key's count; [`u32::MAX`] without `by`.
    pub by: u32,
    pub said: Said,
}

/// A verdict as it is kept; what is not applicable or not due is not.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Said {
    Passed,
    Broken(Class, Status),
    Undecided(Doubt),
}

/// What is said of a transaction as a whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) enum Whole {
    /// Nothing yet.
    #[default]
    Open,
    Consistent,
    Inconsistent,
    Undecided(Reason),
}

/// What was said of a transaction so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Judged {
    /// Which of the first [`PASSED_MAX`] checks, where they have no `by`, have passed.
    pub passed: u64,
    /// What else was said.
    pub instances: Vec<Instance>,
    pub whole: Whole,
    /// Records whose effect another record had, per step where there are any.
    pub redelivered: Vec<(StepId, u32)>,
}

/// So many checks have a bit in [`Judged::passed`].
const PASSED_MAX: usize = u64::BITS as usize;

impl Judged {
    /// Forgets what was said, keeps the memory.
    pub fn clear(&mut self) {
        self.passed = 0;
        self.instances.clear();
        self.redelivered.clear();
        self.whole = Whole::Open;
    }

    /// Keeps what a check says, for one value of its `by`.
    pub fn say(&mut self, check: usize, by: u32, said: Said) {
        if said == Said::Passed && by == NONE && check < PASSED_MAX {
            self.passed |= 1 << check;
        } else {
            self.instances.push(Instance { check: check as CheckId, by, said });
        }
    }

    /// The check has passed, once and for all values.
    pub fn say_passed(&mut self, check: CheckId) {
        self.say(check as usize, NONE, Said::Passed);
    }

    /// Appends the compact form that [`Judged::decode`] reads.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.passed);
        put_varint(out, self.instances.len() as u64);
        for Instance { check, by, said } in &self.instances {
            put_varint(out, u64::from(*check));
            put_varint(out, u64::from(by.wrapping_add(1)));
            out.push(match said {
                Said::Passed => PASSED,
                Said::Undecided(doubt) => UNDECIDED + doubt.reason as u8,
                Said::Broken(class, status) => BROKEN + (*class as u8) * STATUSES + *status as u8,
            });
            if let Said::Undecided(doubt) = said {
                put_varint(out, doubt.source.map_or(0, |source| u64::from(source) + 1));
            }
        }
        out.push(match self.whole {
            Whole::Open => OPEN,
            Whole::Consistent => PASSED,
            Whole::Undecided(reason) => UNDECIDED + reason as u8,
            Whole::Inconsistent => BROKEN,
        });
        put_varint(out, self.redelivered.len() as u64);
        for (step, more) in &self.redelivered {
            put_varint(out, u64::from(*step));
            put_varint(out, u64::from(*more));
        }
    }

    /// Reads what [`Judged::encode`] wrote from the front of `bytes`.
    pub fn decode(bytes: &mut &[u8]) -> Judged {
        let mut judged = Judged { passed: get_varint(bytes), ..Judged::default() };
        for _ in 0..get_varint(bytes) {
            let check = get_varint(bytes) as CheckId;
            let by = (get_varint(bytes) as u32).wrapping_sub(1);
            let said = match take_byte(bytes) {
                PASSED => Said::Passed,
                code @ BROKEN.. => {
                    let (class, status) = ((code - BROKEN) / STATUSES, (code - BROKEN) % STATUSES);
                    Said::Broken(Class::ALL[class as usize], Status::ALL[status as usize])
                }
                code => {
                    let source = get_varint(bytes).checked_sub(1).map(|source| source as SourceId);
                    Said::Undecided(Doubt { reason: Reason::ALL[(code - UNDECIDED) as usize], source })
                }
            };
            judged.instances.push(Instance { check, by, said });
        }
        judged.whole = match take_byte(bytes) {
            OPEN => Whole::Open,
            PASSED => Whole::Consistent,
            BROKEN => Whole::Inconsistent,
            code => Whole::Undecided(Reason::ALL[(code - UNDECIDED) as usize]),
        };
        for _ in 0..get_varint(bytes) {
            let step = get_varint(bytes) as StepId;
            judged.redelivered.push((step, get_varint(bytes) as u32));
        }
        judged
    }
}

fn take_byte(bytes: &mut &[u8]) -> u8 {
    let byte = bytes[0];
    *bytes = &bytes[1..];
    byte
}
