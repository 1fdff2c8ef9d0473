//! A piece of XML as a tree.

use super::object::unlike;
use crate::extract::undecodable::{Reason, Undecodable, utf8};
use quick_xml::Reader;
use quick_xml::escape::{resolve_xml_entity, unescape};
use quick_xml::events::{BytesStart, Event};

/// Elements within elements, at most.
const DEPTH_MAX: usize = 256;

/// An element with what stands in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Element {
    pub name: String,
    pub attributes: Vec<(String, String)>,
    /// Its own text, that of its children aside.
    pub text: String,
    pub children: Vec<Element>,
    /// How many lines stand before it.
    pub lines_before: u64,
}

impl Element {
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The first child with this name.
    pub fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }
}

/// The element that a payload is. Entities of a document type are not resolved, so nothing grows.
pub(super) fn read(payload: &[u8]) -> Result<Element, Undecodable> {
    let text = utf8(payload)?.trim_start_matches('\u{feff}');
    let mut reader = Reader::from_str(text);
    // The element that is open, within those around it; the first one holds the root.
    let mut open = vec![Element::default()];
    let (mut counted, mut lines) = (0, 0);
    loop {
        let event = reader.read_event();
        let end = usize::try_from(reader.buffer_position()).unwrap_or(text.len());
        let here = lines;
        lines += memchr::memchr_iter(b'\n', &text.as_bytes()[counted..end]).count() as u64;
        counted = end;
        let depth = open.len();
        let innermost = open.last_mut().expect("what holds the root is never closed");
        match event.map_err(|error| Undecodable::at(Reason::Syntax, end, error.to_string()))? {
            Event::Start(start) if depth <= DEPTH_MAX => open.push(element(&start, here)?),
            Event::Start(_) => {
                return Err(Undecodable::at(Reason::TooDeep, end, "elements lie too deep in each other"));
            }
            Event::Empty(start) => innermost.children.push(element(&start, here)?),
            Event::End(_) => {
                let done = open.pop().unwrap_or_default();
                let Some(parent) = open.last_mut() else { return Err(unlike("an element ends that never began")) };
                parent.children.push(done);
            }
            Event::Text(text) => innermost.text.push_str(&text.decode().unwrap_or_default()),
            Event::CData(data) => innermost.text.push_str(&data.decode().unwrap_or_default()),
            Event::GeneralRef(reference) => {
                let name = reference.decode().unwrap_or_default();
                match reference.resolve_char_ref() {
                    Ok(Some(character)) => innermost.text.push(character),
                    _ => innermost.text.push_str(resolve_xml_entity(&name).unwrap_or_default()),
                }
            }
            Event::Eof if depth > 1 => {
                return Err(Undecodable::at(Reason::Truncated, end, format!("<{}> is not closed", innermost.name)));
            }
            Event::Eof => break,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
    open.pop().and_then(|holder| holder.children.into_iter().next()).ok_or_else(|| unlike("there is no XML element"))
}

fn element(start: &BytesStart<'_>, lines_before: u64) -> Result<Element, Undecodable> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut attributes = Vec::new();
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| unlike(error.to_string()))?;
        let raw = text(&attribute.value);
        let value = unescape(&raw).map_or_else(|_| raw.clone(), |value| value.into_owned());
        attributes.push((text(attribute.key.as_ref()), value));
    }
    Ok(Element { name: text(start.name().as_ref()), attributes, lines_before, ..Element::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_have_their_text_and_their_lines() {
        let text = "\u{feff}<?xml version=\"1.0\"?>\n<!-- x --><a n=\"1 &amp; &lt;2&gt;&#10;\">\n<b>x &amp; <![CDATA[<y>]]>&#233;</b>\n\n<c/></a>\n";
        let a = read(text.as_bytes()).unwrap();
        assert_eq!((a.name.as_str(), a.attribute("n")), ("a", Some("1 & <2>\n")));
        assert_eq!(a.child("b").unwrap().text, "x & <y>é");
        assert_eq!((a.lines_before, a.child("b").unwrap().lines_before, a.child("c").unwrap().lines_before), (1, 2, 4));
    }

    #[test]
    fn what_is_no_xml_says_so() {
        let reason = |text: &str| read(text.as_bytes()).unwrap_err().reason;
        assert_eq!(reason("<a><b></a>"), Reason::Syntax);
        assert_eq!(reason("<a><b>"), Reason::Truncated);
        assert_eq!(reason("plain"), Reason::Syntax);
        assert_eq!(reason(&"<a>".repeat(1_000)), Reason::TooDeep);
        let bomb = "<!DOCTYPE a [<!ENTITY x \"yyyy\">]><a>&x;&x;</a>";
        assert_eq!(read(bomb.as_bytes()).unwrap().text, "", "what a document type declares is not resolved");
    }
}
