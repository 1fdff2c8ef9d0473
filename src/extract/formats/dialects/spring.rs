//! Messages of Spring AMQP: the body is the payload; what the library and the broker add stands under `meta`.

use super::object::{Object, parsed};
use crate::extract::Record;
use crate::extract::fields::Fields;
use crate::extract::told::{Piece, Told};
use crate::extract::undecodable::{Undecodable, utf8};
use crate::model::value::Value;

/// Headers and properties, by the names that they may have here, and how a flow calls them.
const NAMED: [(&str, &[&str]); 13] = [
    ("type_id", &["__TypeId__"]),
    ("content_type_id", &["__ContentTypeId__"]),
    ("key_type_id", &["__KeyTypeId__"]),
    ("message_id", &["amqp.message_id", "message_id", "message-id", "messageId", "amqp_messageId"]),
    (
        "correlation_id",
        &[
            "amqp.correlation_id",
            "correlation_id",
            "correlation-id",
            "correlationId",
            "spring_returned_message_correlation",
        ],
    ),
    ("content_type", &["amqp.content_type", "content_type", "content-type", "contentType"]),
    ("exception_message", &["x-exception-message"]),
    ("exception_stacktrace", &["x-exception-stacktrace"]),
    ("original_exchange", &["x-original-exchange", "x-first-death-exchange"]),
    ("original_routing_key", &["x-original-routingKey"]),
    ("first_death_queue", &["x-first-death-queue"]),
    ("first_death_reason", &["x-first-death-reason"]),
    ("deaths", &["x-death"]),
];

pub(super) fn read<'a>(record: &Record<'a>) -> Result<Piece<'a>, Undecodable> {
    let value = parsed(utf8(record.payload)?.into());
    let mut fields = match Object::lent(value.clone()) {
        Some(object) => object.into_fields(),
        None => {
            let mut fields = Fields::default();
            fields.set_whole(value);
            fields
        }
    };
    let header = |names: &[&str]| {
        let headers = record.attributes.headers;
        names.iter().find_map(|name| headers.iter().rev().find(|(known, _)| known == name)).map(|(_, value)| *value)
    };
    for (name, names) in NAMED {
        if let Some(value) = header(names) {
            fields.push_beside(name, if name == "deaths" { parsed(value.into()) } else { Value::Text(value.into()) });
        }
    }
    let identity = header(NAMED[3].1).map(str::to_owned);
    Ok(Told { identity, ..Told::of(fields) }.into())
}
