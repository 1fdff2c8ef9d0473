//! A finding: one check broken by one transaction, with all that a person needs to believe it.

use super::observation::Position;
use super::time::{Span, Time};
use super::value::Value;
use super::verdict::{Class, Severity, Status};
use super::{CheckId, FlowId, SourceId, StepId};
use serde::{Deserialize, Serialize};

/// One check broken by one transaction. Names are still indexes into the plan; the findings part
/// turns it into sentences and JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The flow.
    pub flow: FlowId,
    /// The check.
    pub check: CheckId,
    /// The transaction: the flow key's value (a schedule's: the due time).
    pub key: String,
    /// The value of the check's `by`, where it has one.
    pub by: Option<String>,
    /// What kind of inconsistency.
    pub class: Class,
    /// How bad.
    pub severity: Severity,
    /// Open, healed or resolved.
    pub status: Status,
    /// All keys bound to the transaction: name and value.
    pub keys: Vec<(String, String)>,
    /// Event time of the anchor: the observation that the judgement starts from.
    pub time: Time,
    /// By when what was expected should have been there, where there is such a moment.
    pub deadline: Option<Time>,
    /// How far the sources had come when it was judged.
    pub judged_at: Time,
    /// How long the systems disagreed, where it healed.
    pub healed_after: Option<Span>,
    /// What was expected, in words.
    pub expected: String,
    /// What was observed of the transaction that bears on the check.
    pub seen: Vec<Seen>,
    /// Why we are sure.
    pub evidence: Vec<Evidence>,
    /// One sentence.
    pub summary: String,
}

/// One observation as a finding shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// The step that it matched.
    pub step: StepId,
    /// When it happened.
    pub time: Time,
    /// The source that brought it.
    pub source: SourceId,
    /// Where it stands there.
    pub position: Position,
    /// Its kept fields, in the order of the step's `keep`.
    pub keep: Vec<Value<'static>>,
}

/// Why a judgement is sure: what a source has shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Evidence {
    /// A source covers this window without a gap, and the step did not occur in it but as seen.
    Absent {
        /// The step that was looked for.
        step: StepId,
        /// The source that could have brought it, or a binder of it.
        source: SourceId,
        /// From here.
        from: Time,
        /// To here, both included.
        to: Time,
        /// How far the source had come.
        progress: Time,
    },
    /// What was seen is enough; no absence is claimed.
    Seen,
}

impl Finding {
    /// The finding's identity, derived from flow, check, key and by: a restart, a replay or another
    /// day's run gives the same one. 16 hexadecimal digits.
    pub fn id(flow: &str, check: &str, key: &str, by: Option<&str>) -> String {
        // FNV-1a over length-prefixed parts, twice mixed: stable, and no dependency's choice.
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        let mut eat = |bytes: &[u8]| {
            for byte in (bytes.len() as u64).to_le_bytes().iter().chain(bytes) {
                hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        };
        eat(flow.as_bytes());
        eat(check.as_bytes());
        eat(key.as_bytes());
        if let Some(by) = by {
            eat(by.as_bytes());
        }
        hash ^= hash >> 32;
        hash = hash.wrapping_mul(0xd6e8_feb8_6659_fd93);
        hash ^= hash >> 32;
        format!("{hash:016x}")
    }
}
