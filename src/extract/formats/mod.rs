//! The formats other than JSON: each turns a payload into a flat list of [`Fields`].

use super::fields::Fields;
use super::undecodable::Undecodable;
use crate::flow::format::Format;

/// What a payload turned out to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decoded {
    /// A record; its fields are there.
    Record,
    /// The line that names the columns of a file: no record.
    Header,
}

/// Decodes the payloads of one source.
#[derive(Clone, Debug)]
pub struct Decoder {
    format: Format,
}

impl Decoder {
    /// For any format but JSON, which has a scanner of its own; for that, `None`.
    pub fn new(format: &Format) -> Option<Decoder> {
        (!matches!(format, Format::Json)).then(|| Decoder { format: format.clone() })
    }

    /// Decodes one payload of the part (the file) into `fields`, which is empty before.
    pub fn decode<'a>(
        &mut self,
        _part: u32,
        _payload: &'a [u8],
        _fields: &mut Fields<'a>,
    ) -> Result<Decoded, Undecodable> {
        todo!("{:?}", self.format)
    }
}
