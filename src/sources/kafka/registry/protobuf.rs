//! Protobuf to JSON: fields have the names of the `.proto` file, numbers are numbers, and what is absent has its default.

use super::JSON_MAX_BYTES;
use prost_reflect::{DynamicMessage, FileDescriptor, MessageDescriptor, SerializeOptions};
use protox::Compiler;
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};
use std::collections::HashMap;

/// What the schema itself is called among the files that it imports.
const NAME: &str = "throughline/schema.proto";
/// Messages stand within messages, so deep at most.
const DEPTH_MAX: u64 = 32;

pub(super) struct Schema {
    file: FileDescriptor,
}

struct Sources(HashMap<String, String>);

impl FileResolver for Sources {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        let text = self.0.get(name).ok_or_else(|| protox::Error::file_not_found(name))?;
        File::from_source(name, text)
    }
}

impl Schema {
    pub fn new(text: &str, references: Vec<(String, String)>) -> Result<Schema, String> {
        let mut sources: HashMap<_, _> = references.into_iter().collect();
        sources.insert(NAME.into(), text.into());
        let mut resolver = ChainFileResolver::new();
        resolver.add(Sources(sources));
        resolver.add(GoogleFileResolver::new());
        let mut compiler = Compiler::with_file_resolver(resolver);
        compiler.include_imports(true);
        compiler.open_file(NAME).map_err(|error| format!("it cannot be compiled: {error}"))?;
        let file = compiler.descriptor_pool().get_file_by_name(NAME);
        Ok(Schema { file: file.ok_or("it cannot be compiled")? })
    }

    pub fn decode(&self, mut data: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        let message = self.message(&mut data)?;
        let message = DynamicMessage::decode(message, data).map_err(|error| error.to_string())?;
        let options = SerializeOptions::new()
            .use_proto_field_name(true)
            .stringify_64_bit_integers(false)
            .skip_default_fields(false);
        let before = out.len();
        let mut json = serde_json::Serializer::new(&mut *out);
        message.serialize_with_options(&mut json, &options).map_err(|error| error.to_string())?;
        if out.len() - before > JSON_MAX_BYTES {
            return Err(format!("it makes more than {JSON_MAX_BYTES} bytes of JSON"));
        }
        Ok(())
    }

    /// Which message of the file it is: a path of indexes; an empty one stands for the first.
    fn message(&self, data: &mut &[u8]) -> Result<MessageDescriptor, String> {
        let none = || "it names a message that the schema does not have".to_owned();
        let count = varint(data)?;
        if count > DEPTH_MAX {
            return Err(none());
        }
        let first = if count == 0 { 0 } else { varint(data)? };
        let mut message = self.file.messages().nth(first as usize).ok_or_else(none)?;
        for _ in 1..count {
            let index = varint(data)?;
            let next = message.child_messages().nth(index as usize);
            message = next.ok_or_else(none)?;
        }
        Ok(message)
    }
}

/// A number that is written as signed ones are, and is not negative.
fn varint(data: &mut &[u8]) -> Result<u64, String> {
    let mut value = 0u64;
    for shift in (0..63).step_by(7) {
        let (&byte, rest) = data.split_first().ok_or("it ends within a number")?;
        *data = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return if value & 1 == 0 { Ok(value >> 1) } else { Err("an index is negative".into()) };
        }
    }
    Err("a number is too long".into())
}
