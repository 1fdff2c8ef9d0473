//! What is wrong with a document, and where.

use std::fmt;

/// What is wrong with a document, and at which byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault {
    /// The byte. (As short as it is, a result that may be a fault fits into two registers.)
    pub at: u32,
    /// What.
    pub what: What,
}

/// The ways in which a document can be wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    /// It ends in the middle.
    Truncated,
    /// No value begins like this.
    Value,
    /// A number that is not one.
    Number,
    /// A control character within text.
    Control,
    /// An escape that there is not.
    Escape,
    /// Half of a surrogate pair.
    Surrogate,
    /// A name must stand here.
    Name,
    /// A colon must stand here.
    Colon,
    /// A comma or the end must stand here.
    Comma,
    /// Something stands after the document's end.
    Trailing,
    /// Not UTF-8.
    Utf8,
    /// Nested deeper than [`DEPTH_MAX`](super::DEPTH_MAX).
    Depth,
    /// Longer than [`LENGTH_MAX`](super::LENGTH_MAX).
    Length,
}

impl What {
    /// The fault at a byte.
    #[cold]
    pub fn at(self, at: usize) -> Fault {
        Fault { at: at as u32, what: self }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            What::Truncated => "the JSON ends in the middle",
            What::Value => "expected a JSON value",
            What::Number => "not a JSON number",
            What::Control => "a control character within text; JSON wants it escaped",
            What::Escape => "an escape that JSON does not have",
            What::Surrogate => "half of a surrogate pair",
            What::Name => "expected a name in double quotes",
            What::Colon => "expected `:` after a name",
            What::Comma => "expected `,` or the end of the list or object",
            What::Trailing => "something stands after the end of the JSON document",
            What::Utf8 => "not UTF-8",
            What::Depth => "nested deeper than 127 lists and objects",
            What::Length => "longer than 4 GiB",
        })
    }
}
