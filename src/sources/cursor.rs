//! How cursors stand in the journal: the kind of source, the version, then the source's own.

use super::live::Failure;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Why a cursor cannot be gone on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Another source of this name was followed before.
    #[error("it belongs to a source of another type")]
    Type,
    /// It is older or younger.
    #[error("another version of this program wrote it")]
    Version,
    /// It is not whole.
    #[error("it is damaged")]
    Damaged,
}

impl Unusable {
    /// What to say of it, where `what` is what was read up to there.
    pub fn place_in(self, what: &str) -> Failure {
        Failure(format!(
            "the place up to which {what} were read cannot be used: {self}. Give the source another name in the configuration, \
             and it begins as `start` says"
        ))
    }
}

impl From<Unusable> for Failure {
    fn from(_: Unusable) -> Failure {
        Failure("where the source was cannot be read from the journal: another version wrote it. Go on with that version, or begin anew with another folder (--data)".into())
    }
}

/// What [`decode`] goes on from.
pub fn encode(kind: &[u8], version: u8, state: &impl Serialize) -> Vec<u8> {
    let mut out = kind.to_vec();
    out.push(version);
    postcard::to_extend(state, out).expect("plain data is encodable")
}

/// The state as it was when the cursor was made.
pub fn decode<T: DeserializeOwned>(kind: &[u8], version: u8, cursor: &[u8]) -> Result<T, Unusable> {
    let rest = cursor.strip_prefix(kind).ok_or(Unusable::Type)?;
    let (_, rest) = rest.split_first().filter(|(known, _)| **known == version).ok_or(Unusable::Version)?;
    postcard::from_bytes(rest).map_err(|_| Unusable::Damaged)
}
