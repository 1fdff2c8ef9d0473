//! How the records of a source are decoded: format, time, `parse`, `redact`. The configuration fills
//! it in, extract runs it.

use super::dialect::Dialect;
use super::plan::Path;
use crate::model::time::Span;

/// How a source's records become bodies with a time.
#[derive(Clone, Debug)]
pub struct Decoding {
    /// The format of a record.
    pub format: Format,
    /// Where the event time stands; `None` where every step names its own.
    pub time: Option<Path>,
    /// How the time is written, where it is text that is not RFC 3339 (strftime).
    pub time_format: Option<String>,
    /// The zone of times that name none.
    pub zone: chrono_tz::Tz,
    /// Where the record's own key stands, in dumps of keyed systems.
    pub key: Option<Path>,
    /// Where the kind of change (insert, update, delete) stands, in dumps of change streams.
    pub op: Option<Path>,
    /// Further decoding of parts of the body, in order.
    pub parse: Vec<ParseRule>,
    /// Validate each record whole, or up to the last needed field.
    pub strict: bool,
    /// Paths whose values are never stored, shown or sent.
    pub redact: Vec<Path>,
    /// Records bring an event time of their own, for where no `time` is named.
    pub stamped: bool,
    /// A record's own key says which effect it is, where a step has no `dedupe_by`: a row's primary key.
    pub key_is_identity: bool,
}

impl Decoding {
    /// What another tool writes, where it is that.
    pub fn dialect(&self) -> Option<&Dialect> {
        if let Format::Dialect(dialect) = &self.format { Some(dialect) } else { None }
    }

    /// Records say themselves which effect they are.
    pub fn tells_effects(&self) -> bool {
        matches!(self.dialect(), Some(Dialect::CloudEvents | Dialect::Celery | Dialect::OtelMessaging))
    }
}

/// The format of a record.
#[derive(Clone, Debug)]
pub enum Format {
    /// JSON, one document a line.
    Json,
    /// Comma-separated, the first line names the columns. All values are text, an empty column is empty text.
    Csv {
        /// Between columns.
        delimiter: u8,
    },
    /// `key=value key="quoted value"`; all values are text, a key that stands alone is true.
    Logfmt,
    /// A line that matches; named groups are fields.
    Regex(regex::Regex),
    /// A line as it is: `body` is its text, also as `body.text`.
    Text,
    /// A whole file is one record: JSON where it is, else text.
    Document,
    /// What another tool writes.
    Dialect(Dialect),
}

/// One rule of `parse`. Where its text is absent, or is not what the rule expects, the record stays as it is.
#[derive(Clone, Debug)]
pub struct ParseRule {
    /// The text to decode.
    pub from: Path,
    /// How.
    pub how: ParseHow,
    /// Where the result goes, in place of what stands there (`body` merges it in).
    pub into: Path,
}

/// How a part is decoded.
#[derive(Clone, Debug)]
pub enum ParseHow {
    /// As JSON.
    Json,
    /// As logfmt.
    Logfmt,
    /// By a regular expression with named groups.
    Regex(regex::Regex),
}

/// How a source's times are followed.
#[derive(Clone, Copy, Debug)]
pub struct Pacing {
    /// The longest span from an event's time to its being visible.
    pub lateness: Lateness,
    /// A time further than this from its neighbours needs a second record to confirm it.
    pub jump_max: Span,
    /// Having said nothing for longer than this is a gap.
    pub silence: Option<Span>,
    /// Whether a record that cannot be decoded leaves a gap.
    pub undecodable_is_gap: bool,
}

/// How late records of a source may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lateness {
    /// So long after their event time.
    Span(Span),
    /// In no order of time at all: judged at the end.
    End,
}
