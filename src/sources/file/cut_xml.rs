//! Where an element of XML ends: quotes, comments and other elements may stand within it.

use quick_xml::Reader;
use quick_xml::events::Event;

/// What stands at the front of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum XmlPiece {
    /// The outermost element begins.
    Opens,
    /// It ends.
    Closes,
    /// A whole element within it.
    Element,
    /// Text, a comment, a declaration.
    Other,
    /// Tags that do not fit each other.
    Broken,
}

/// The piece at the front of `data`, and how long it is; `None` where it goes on behind these bytes. `within` says
/// whether the outermost element is open.
pub(super) fn next(data: &[u8], within: bool) -> Option<(usize, XmlPiece)> {
    let text = memchr::memchr(b'<', data).unwrap_or(data.len());
    if text > 0 {
        return Some((text, XmlPiece::Other));
    }
    if data.is_empty() {
        return None;
    }
    if within && data.starts_with(b"</") {
        return Some((memchr::memchr(b'>', data)? + 1, XmlPiece::Closes));
    }
    let mut reader = Reader::from_reader(data);
    let mut depth = 0;
    loop {
        let event = match reader.read_event() {
            Ok(event) => event,
            Err(quick_xml::Error::IllFormed(_)) => {
                let line = memchr::memchr(b'\n', data).map_or(data.len(), |end| end + 1);
                return Some((line, XmlPiece::Broken));
            }
            Err(_) => return None,
        };
        let piece = match event {
            Event::Eof => return None,
            Event::Start(_) if !within => Some(XmlPiece::Opens),
            Event::Start(_) => {
                depth += 1;
                None
            }
            Event::End(_) => {
                depth -= 1;
                (depth == 0).then_some(XmlPiece::Element)
            }
            Event::Empty(_) => (depth == 0).then_some(if within { XmlPiece::Element } else { XmlPiece::Other }),
            _ => (depth == 0).then_some(XmlPiece::Other),
        };
        if let Some(piece) = piece {
            return Some((usize::try_from(reader.buffer_position()).unwrap_or(data.len()), piece));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_ends_where_its_tag_does() {
        for (data, within, expect) in [
            ("<?xml version=\"1.0\"?>\n<r>", false, Some((21, XmlPiece::Other))),
            ("<r version=\"1>2\">\n", false, Some((17, XmlPiece::Opens))),
            ("<r/>", false, Some((4, XmlPiece::Other))),
            ("\n <a/>", true, Some((2, XmlPiece::Other))),
            ("<a n=\"/>\"/><b/>", true, Some((11, XmlPiece::Element))),
            ("<a><a/><!-- </a> --><b><![CDATA[</a>]]></b></a><c>", true, Some((47, XmlPiece::Element))),
            ("<a><b></b>", true, None),
            ("<a", true, None),
            ("<!-- <a/>", true, None),
            ("<a></b>\n<c/>", true, Some((8, XmlPiece::Broken))),
            ("</r>\n", true, Some((4, XmlPiece::Closes))),
        ] {
            assert_eq!(next(data.as_bytes(), within), expect, "{data:?}");
        }
    }
}
