//! Messages whose schema stands in a registry: Confluent's wire format, Avro and Protobuf, to JSON.
//!
//! ```text
//! 0 │ id of the schema, four bytes │ Protobuf alone: which message of the file │ the data
//!       └─▶ client.rs: asked once, with all that it refers to ─▶ avro.rs, protobuf.rs ─▶ JSON
//! ```
//!
//! A message that cannot be read is undecodable. A registry that does not answer is no fault of the message: the source
//! fails, and goes on from there when it answers again.

mod avro;
mod client;
mod protobuf;

use crate::sources::secret::Secret;
use client::{Client, Found};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// So many schemas are kept; where there are more, all are asked for again.
const SCHEMAS_MAX: usize = 4_096;
/// A schema that the registry does not know is asked for again after so long.
const UNKNOWN_FOR: Duration = Duration::from_secs(10);
/// A message may become so much JSON.
const JSON_MAX_BYTES: usize = 64 << 20;

/// Where schemas are asked for.
#[derive(Clone, Debug)]
pub struct Registry {
    /// Its address, as `https://registry:8081`.
    pub url: String,
    /// User and password, where it asks for them.
    pub login: Option<(String, Secret)>,
    /// The file of the authorities that are trusted; `None`: those of the machine.
    pub ca: Option<String>,
}

/// How data is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Avro.
    Avro,
    /// Protobuf.
    Protobuf,
}

/// Why there is no JSON.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It will never be readable: a word for what is wrong, and a sentence.
    Undecodable(&'static str, String),
    /// The registry cannot be asked now.
    Failed(String),
}

/// Turns messages into JSON.
pub(super) struct Decoder {
    encoding: Encoding,
    client: Client,
    schemas: HashMap<u32, Schema>,
}

enum Schema {
    Avro(avro::Schema),
    Protobuf(protobuf::Schema),
    /// Why it is of no use, and until when that is believed.
    Useless(String, Instant),
}

impl Decoder {
    pub fn new(registry: &Registry, encoding: Encoding) -> Result<Decoder, String> {
        Ok(Decoder { encoding, client: Client::new(registry)?, schemas: HashMap::new() })
    }

    /// Appends a message as JSON.
    pub fn decode(&mut self, message: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        let [0, a, b, c, d, data @ ..] = message else {
            let detail = "it does not begin with a zero and the id of a schema, as producers with a registry write it";
            return Err(Fault::Undecodable("wire_format", detail.into()));
        };
        let id = u32::from_be_bytes([*a, *b, *c, *d]);
        self.ask(id)?;
        let result = match &self.schemas[&id] {
            Schema::Avro(schema) => schema.decode(data, out),
            Schema::Protobuf(schema) => schema.decode(data, out),
            Schema::Useless(why, _) => return Err(Fault::Undecodable("schema", why.clone())),
        };
        result.map_err(|why| Fault::Undecodable("data", format!("it is not what schema {id} says: {why}")))
    }

    /// Sees to it that the schema is known, or known to be of no use.
    fn ask(&mut self, id: u32) -> Result<(), Fault> {
        match self.schemas.get(&id) {
            Some(Schema::Useless(_, until)) if *until < Instant::now() => {}
            Some(_) => return Ok(()),
            None => {}
        }
        let schema = match self.client.schema(id).map_err(Fault::Failed)? {
            None => Err("the registry does not know it".to_owned()),
            Some(Found { kind, text, references }) => match (self.encoding, kind.as_str()) {
                (Encoding::Avro, "AVRO") => avro::Schema::new(&text, &references).map(Schema::Avro),
                (Encoding::Protobuf, "PROTOBUF") => protobuf::Schema::new(&text, references).map(Schema::Protobuf),
                (_, other) => Err(format!("it is {other}, and `format` says {:?}", self.encoding)),
            },
        };
        let useless = |why| Schema::Useless(format!("schema {id}: {why}"), Instant::now() + UNKNOWN_FOR);
        if self.schemas.len() >= SCHEMAS_MAX {
            self.schemas.clear();
        }
        self.schemas.insert(id, schema.unwrap_or_else(useless));
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests;
