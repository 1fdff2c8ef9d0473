//! A request of either signal in either encoding, taken apart down to its spans or log records, each of which is decoded
//! and rendered for itself: one that is wrong spoils no other, and no more than one is in memory as a structure.

use super::records::{Fault, Records, log_record, span};
use super::render::{resource, scope};
use super::wire::{Fields, Whole, elements, elements_of_json};
use crate::model::time::Time;
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsPartialSuccess, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};
use prost::Message;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A span, a log record, a resource or a scope has so many attributes, events, links and values in them, at most.
const ELEMENTS_MAX: usize = 20_000;
/// What a request comes to, each span with its resource, may be so many times the largest request.
pub(super) const EXPANSION_MAX: usize = 16;

/// How a request is written, and so its answer.
#[derive(Clone, Copy, Debug)]
pub(super) enum Encoding {
    Protobuf,
    Json,
}

/// What it is about.
#[derive(Clone, Copy, Debug)]
pub(super) enum Signal {
    Traces,
    Logs,
}

impl Encoding {
    fn write<T: Message + Serialize>(self, answer: &T) -> Vec<u8> {
        match self {
            Encoding::Protobuf => answer.encode_to_vec(),
            Encoding::Json => serde_json::to_vec(answer).unwrap_or_default(),
        }
    }
}

impl Signal {
    /// The answer to a request of which so many were rejected.
    pub fn success(self, encoding: Encoding, rejected: i64, error_message: String) -> Vec<u8> {
        let partly = rejected > 0;
        match self {
            Signal::Traces => {
                let partial = ExportTracePartialSuccess { rejected_spans: rejected, error_message };
                encoding.write(&ExportTraceServiceResponse { partial_success: partly.then_some(partial) })
            }
            Signal::Logs => {
                let partial = ExportLogsPartialSuccess { rejected_log_records: rejected, error_message };
                encoding.write(&ExportLogsServiceResponse { partial_success: partly.then_some(partial) })
            }
        }
    }
}

/// What a request holds that came now. `body_max` is what the largest request has. An error where it is none.
pub(super) fn read(
    body: &[u8],
    (encoding, signal): (Encoding, Signal),
    now: Time,
    body_max: usize,
) -> Result<Records, String> {
    let whole = |(_, why): Fault| why;
    let mut records = Records::new(body_max.saturating_mul(EXPANSION_MAX));
    let request = match encoding {
        Encoding::Protobuf => Written::Protobuf(body),
        Encoding::Json => Written::Json(serde_json::from_slice(body).map_err(|error| error.to_string())?),
    };
    for group in request.open(false)?.inner {
        let Opened { of, inner } = group?.open(true)?;
        let of = of.map(Written::read).transpose().map_err(whole)?;
        let resource = resource(of.as_ref());
        for scoped in inner {
            let Opened { of, inner } = scoped?.open(true)?;
            let of = of.map(Written::read).transpose().map_err(whole)?;
            let scope = scope(of.as_ref());
            for one in inner {
                let one = one?;
                records.add(|| match signal {
                    Signal::Traces => span(&one.read()?, &resource, &scope, now),
                    Signal::Logs => log_record(&one.read()?, &resource, &scope, now),
                });
            }
        }
    }
    Ok(records)
}

/// A message as it came.
#[derive(Clone, Copy)]
enum Written<'a> {
    Protobuf(&'a [u8]),
    Json(&'a RawValue),
}

/// A message that holds others: the resource or the scope that all of them are of, and they.
struct Opened<'a> {
    of: Option<Written<'a>>,
    inner: Box<dyn Iterator<Item = Result<Written<'a>, String>> + 'a>,
}

/// The same in JSON, on each level.
#[derive(Deserialize)]
struct Level<'a> {
    #[serde(borrow, default, alias = "scope")]
    resource: Option<&'a RawValue>,
    #[serde(
        borrow,
        default,
        alias = "resourceSpans",
        alias = "resourceLogs",
        alias = "scopeSpans",
        alias = "scopeLogs",
        alias = "logRecords"
    )]
    spans: Option<Vec<&'a RawValue>>,
}

impl<'a> Written<'a> {
    /// Takes it apart by one level; `is_of`: all in it are of something.
    fn open(self, is_of: bool) -> Result<Opened<'a>, String> {
        match self {
            Written::Protobuf(message) => {
                let known = |field: Result<(u32, &'a [u8]), String>| field.ok().filter(|(tag, _)| *tag == 1);
                let of = if is_of { Fields(message).filter_map(known).last() } else { None };
                let number = if is_of { 2 } else { 1 };
                let inner = Fields(message).filter_map(move |field| match field {
                    Ok((tag, field)) => (tag == number).then_some(Ok(Written::Protobuf(field))),
                    Err(why) => Some(Err(why)),
                });
                Ok(Opened { of: of.map(|(_, field)| Written::Protobuf(field)), inner: Box::new(inner) })
            }
            Written::Json(text) => {
                let level: Level<'a> = serde_json::from_str(text.get()).map_err(|error| error.to_string())?;
                let inner = level.spans.unwrap_or_default().into_iter().map(|one| Ok(Written::Json(one)));
                Ok(Opened { of: level.resource.map(Written::Json), inner: Box::new(inner) })
            }
        }
    }

    /// Decodes it, where it is not too much.
    fn read<T: Whole + Message + Default + DeserializeOwned>(self) -> Result<T, Fault> {
        let elements = match self {
            Written::Protobuf(message) => elements(message, T::KIND),
            Written::Json(text) => elements_of_json(text.get()),
        };
        if elements > ELEMENTS_MAX {
            let why = format!("a {} with more than {ELEMENTS_MAX} attributes, events, links and values in it", T::NAME);
            return Err(("too_many", why));
        }
        let read = match self {
            Written::Protobuf(message) => T::decode(message).map_err(|error| error.to_string()),
            Written::Json(text) => serde_json::from_str(text.get()).map_err(|error| error.to_string()),
        };
        read.map_err(|why| ("otlp", why))
    }
}
