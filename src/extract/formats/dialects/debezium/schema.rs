//! What Kafka Connect's schema says of the columns, read once.

use crate::flow::dialect::Encoding;
use crate::model::value::Value;
use serde_json::Value as Json;
use std::sync::Arc;

/// How columns are encoded, by name. Those that are as they seem are not in it.
pub(super) type Columns = Vec<(String, Encoding)>;

/// Schemas that are remembered; with more tables than that, some are read again.
const SCHEMAS_MAX: usize = 256;

/// The columns of which a schema speaks.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Schema {
    /// Of the row before the change.
    pub before: Columns,
    /// Of the row after it.
    pub after: Columns,
    /// Of the message itself, where it is a row or a key.
    pub own: Columns,
}

/// Schemas that were read, by their text: each message carries its own.
#[derive(Clone, Debug, Default)]
pub(super) struct Schemas {
    known: Vec<(Box<str>, Arc<Schema>)>,
}

impl Schemas {
    /// What a schema says; `None` where there is none.
    pub fn read(&mut self, schema: &Value<'_>) -> Option<Arc<Schema>> {
        let Value::Json(text) = schema else { return None };
        if let Some((_, known)) = self.known.iter().find(|(known, _)| **known == **text) {
            return Some(known.clone());
        }
        let json: Json = serde_json::from_str(text).ok()?;
        let of = |name: &str| fields(&json).find(|field| field["field"] == name).map(columns).unwrap_or_default();
        let schema = Arc::new(Schema { before: of("before"), after: of("after"), own: columns(&json) });
        if self.known.len() >= SCHEMAS_MAX {
            self.known.clear();
        }
        self.known.push((text.as_ref().into(), schema.clone()));
        Some(schema)
    }
}

fn fields(schema: &Json) -> impl Iterator<Item = &Json> {
    schema["fields"].as_array().into_iter().flatten()
}

fn columns(of: &Json) -> Columns {
    let column = |field: &Json| Some((field["field"].as_str()?.to_owned(), encoding(field)?));
    fields(of).filter_map(column).collect()
}

fn encoding(field: &Json) -> Option<Encoding> {
    let scale = field["parameters"]["scale"].as_str().and_then(|scale| scale.parse().ok());
    if let Some(name) = field["name"].as_str()
        && let Some(known) = Encoding::of_schema(name, scale)
    {
        return Some(known);
    }
    if field["type"] == "array" {
        return encoding(&field["items"]);
    }
    // A cell of Cassandra's: the value, with what is known of it.
    let is_cell = fields(field).any(|part| part["field"] == "set");
    fields(field).find(|part| is_cell && part["field"] == "value").and_then(encoding)
}
