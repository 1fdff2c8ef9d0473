//! What may be said of a check and of a transaction.

use super::SourceId;
use serde::{Deserialize, Serialize};

macro_rules! names {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, schemars::JsonSchema)]
        pub enum $name { $($(#[$vmeta])* #[serde(rename = $text)] $variant),+ }

        impl $name {
            /// All of them, in order.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];
            /// The name that users write and read.
            pub const fn name(self) -> &'static str {
                match self { $($name::$variant => $text),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str(self.name()) }
        }

        impl std::str::FromStr for $name {
            type Err = ();
            fn from_str(text: &str) -> Result<Self, ()> {
                Self::ALL.iter().copied().find(|v| v.name() == text).ok_or(())
            }
        }
    };
}

names! {
    /// What kind of inconsistency a finding is.
    Class {
        LostMessage = "lost_message",
        MissingStep = "missing_step",
        Late = "late",
        ForbiddenStep = "forbidden_step",
        PartialTransaction = "partial_transaction",
        Duplicate = "duplicate",
        OutOfOrder = "out_of_order",
        Orphan = "orphan",
        Mismatch = "mismatch",
        IllegalTransition = "illegal_transition",
        StaleCache = "stale_cache",
        MissedRun = "missed_run",
    }
}

impl Class {
    /// The severity where a check names none.
    pub fn default_severity(self) -> Severity {
        match self {
            Class::Late | Class::OutOfOrder => Severity::Warning,
            _ => Severity::Critical,
        }
    }
}

names! {
    /// How bad a finding is; ordered.
    Severity { Info = "info", Warning = "warning", Critical = "critical" }
}

names! {
    /// The life of a finding: what was missing came later (`healed`), or what was opened before it
    /// was final turned out untrue (`resolved`).
    Status { Open = "open", Healed = "healed", Resolved = "resolved" }
}

names! {
    /// Why nothing can be said. Where several hold, the first in this order is given.
    Reason {
        /// A limit was hit; what was evicted or not joined cannot be judged.
        Limit = "limit",
        /// Past the journal's retention.
        Forgotten = "forgotten",
        /// An expression failed on this transaction's values.
        Expression = "expression",
        /// A source is down.
        SourceDown = "source_down",
        /// A source may have missed records.
        Gap = "gap",
        /// It may have happened before the source's coverage began.
        BeforeWatch = "before_watch",
        /// It may happen after the recording ends.
        AfterRecording = "after_recording",
        /// A source has not yet passed the deadline.
        SourceBehind = "source_behind",
        /// A confirmation probe could not be asked.
        Unconfirmed = "unconfirmed",
    }
}

/// Why nothing can be said, and which source leaves it open, where it is one. Where several do, the least counts: the
/// first reason, and of that the first source.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Doubt {
    /// Why.
    pub reason: Reason,
    /// The evidence source; `None` where none is to blame.
    pub source: Option<SourceId>,
}

impl From<Reason> for Doubt {
    fn from(reason: Reason) -> Doubt {
        Doubt { reason, source: None }
    }
}
