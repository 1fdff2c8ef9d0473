//! The pass itself: a recursive descent over the bytes, guided by the tree of needed names.

use super::course::{BRACE, Course, TURN};
use super::document::{Case, Document, Found, Kind};
use super::fault::{Fault, What};
use super::needs::{NEVER, Needs, Node, ROOT, Slot};
use super::text::{Masks, Plain, escape};
use super::{DEPTH_MAX, LENGTH_MAX};

/// How much of a document is validated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Up to the last needed value (to the end where one is absent), and its last byte.
    Needed,
    /// All of it.
    Strict,
}

/// Finds the needed values of one document after another.
#[derive(Clone, Debug)]
pub struct Scanner {
    needs: Needs,
    mode: Mode,
    found: Vec<Found>,
    /// For each node, in each case, what its members look like.
    courses: Vec<Course>,
    masks: Masks,
}

impl Scanner {
    /// One that looks for these.
    pub fn new(needs: Needs, mode: Mode) -> Scanner {
        let found = vec![Found::default(); needs.nodes.len()];
        let courses = vec![Course::default(); needs.nodes.len() * needs.case_count()];
        Scanner { needs, mode, found, courses, masks: Masks::best() }
    }

    /// Reads one document, to where its mode demands.
    pub fn scan<'a>(&'a mut self, bytes: &'a [u8]) -> Result<Document<'a>, Fault> {
        if bytes.len() > LENGTH_MAX {
            return Err(What::Length.at(LENGTH_MAX));
        }
        self.found.fill(Found::default());
        let unread = if self.mode == Mode::Strict { NEVER } else { 0 };
        let mut pass = Pass {
            bytes,
            needs: &self.needs,
            found: &mut self.found,
            courses: &mut self.courses,
            missing: self.needs.all | unread,
            unread,
            plain: Plain::new(bytes, self.masks),
            decider: self.needs.narrow.as_ref().map(|narrow| narrow.slot),
            kind: Kind::Absent,
            case: Case::Open,
        };
        let end = pass.document()?;
        let (beyond_ascii, case) = (pass.plain.beyond_ascii, pass.case);
        let read = &bytes[..end];
        let text = if beyond_ascii {
            std::str::from_utf8(read).map_err(|fault| What::Utf8.at(fault.valid_up_to()))?
        } else {
            // SAFETY: up to `end` the pass has met each byte either as a part of the grammar, which is
            // ASCII, or within text, where `Plain` reports every byte beyond ASCII.
            unsafe { std::str::from_utf8_unchecked(read) }
        };
        Ok(Document { text, found: &self.found, case })
    }
}

/// One pass over one document. Methods take the byte where something begins and give the one after
/// its end. When nothing is missing any more they return early, wherever they are.
struct Pass<'p> {
    bytes: &'p [u8],
    needs: &'p Needs,
    found: &'p mut [Found],
    courses: &'p mut [Course],
    /// The marks of what is needed and not yet settled.
    missing: u64,
    /// What stays missing whatever is found: in strict mode the mark that is never cleared.
    unread: u64,
    plain: Plain<'p>,
    /// The value that decides what is needed.
    decider: Option<Slot>,
    /// Of the value that was passed last.
    kind: Kind,
    case: Case,
}

impl<'p> Pass<'p> {
    fn document(&mut self) -> Result<usize, Fault> {
        let start = self.blank(0);
        let end = self.needed(start, ROOT, DEPTH_MAX)?;
        if self.missing == 0 {
            return self.last_byte(start, end);
        }
        let end = self.blank(end);
        if end < self.bytes.len() { Err(What::Trailing.at(end)) } else { Ok(end) }
    }

    /// The look at the last byte that stands for all that was not read.
    fn last_byte(&self, start: usize, end: usize) -> Result<usize, Fault> {
        let close = match self.bytes[start] {
            b'{' => b'}',
            b'[' => b']',
            _ => return Ok(end),
        };
        let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        match self.bytes.iter().rfind(|byte| !blank(byte)) {
            Some(last) if *last == close => Ok(end),
            _ => Err(What::Truncated.at(self.bytes.len())),
        }
    }

    /// A value at which, or below which, something is needed.
    fn needed(&mut self, start: usize, slot: Slot, depth: u32) -> Result<usize, Fault> {
        let needs = self.needs;
        let end = self.value(start, Some(&needs.nodes[slot as usize]), depth)?;
        let kind = self.kind;
        let (start, end_of_value) = if kind == Kind::Text { (start + 1, end - 1) } else { (start, end) };
        self.settle(slot, Found { start: start as u32, end: end_of_value as u32, kind });
        Ok(end)
    }

    /// A needed value has been found.
    #[inline(always)]
    fn settle(&mut self, slot: Slot, found: Found) {
        self.found[slot as usize] = found;
        self.missing &= !self.needs.nodes[slot as usize].below;
        if self.decider == Some(slot) {
            self.narrow(slot);
        }
    }

    /// The deciding text is known: less may be needed now.
    fn narrow(&mut self, slot: Slot) {
        let Some(narrow) = &self.needs.narrow else { return };
        let found = &self.found[slot as usize];
        let (start, end) = (found.start as usize, found.end as usize);
        let found = match found.kind {
            Kind::Text => narrow.case(self.bytes, start, end - start),
            Kind::Escaped => match serde_json::from_slice::<String>(&self.bytes[start..end]) {
                Ok(text) => narrow.case(text.as_bytes(), 0, text.len()),
                Err(_) => return,
            },
            _ => return,
        };
        let (case, marks) = found.map_or((Case::Other, narrow.other), |(at, marks)| (Case::Known(at), marks));
        self.case = case;
        self.missing &= marks | self.unread;
    }

    /// Any value; `node` says what is needed within it.
    #[inline(always)]
    fn value(&mut self, at: usize, node: Option<&'p Node>, depth: u32) -> Result<usize, Fault> {
        match self.bytes.get(at) {
            Some(b'"') => {
                let (end, escaped) = self.text(at + 1)?;
                self.kind = if escaped { Kind::Escaped } else { Kind::Text };
                Ok(end + 1)
            }
            Some(b'-' | b'0'..=b'9') => self.number(at),
            Some(b'{' | b'[') => self.container(at, node, depth),
            Some(b't') => self.word(at, b"true", Kind::True),
            Some(b'f') => self.word(at, b"false", Kind::False),
            Some(b'n') => self.word(at, b"null", Kind::Null),
            Some(_) => Err(What::Value.at(at)),
            None => Err(What::Truncated.at(at)),
        }
    }

    fn container(&mut self, at: usize, node: Option<&'p Node>, depth: u32) -> Result<usize, Fault> {
        let depth = depth.checked_sub(1).ok_or(What::Depth.at(at))?;
        let end =
            if self.bytes[at] == b'{' { self.object(at + 1, node, depth)? } else { self.list(at + 1, node, depth)? };
        self.kind = Kind::Container;
        Ok(end)
    }

    /// An object, after its brace.
    fn object(&mut self, start: usize, node: Option<&'p Node>, depth: u32) -> Result<usize, Fault> {
        match node {
            Some(node) if node.has_names() => self.known_object(start, node, depth),
            _ => self.any_object(start, depth),
        }
    }

    /// An object in which nothing is needed.
    fn any_object(&mut self, start: usize, depth: u32) -> Result<usize, Fault> {
        let mut at = self.blank(start);
        if self.bytes.get(at) == Some(&b'}') {
            return Ok(at + 1);
        }
        loop {
            (at, _) = self.name(at, None)?;
            at = self.value(at, None, depth)?;
            at = self.blank(at);
            match self.bytes.get(at) {
                Some(b',') => at = self.blank(at + 1),
                Some(b'}') => return Ok(at + 1),
                Some(_) => return Err(What::Comma.at(at)),
                None => return Err(What::Truncated.at(at)),
            }
        }
    }

    /// An object in which something is needed: its members are expected to come as they came before.
    fn known_object(&mut self, start: usize, node: &'p Node, depth: u32) -> Result<usize, Fault> {
        let (mut at, mut case) = (start, self.case);
        let mut course = self.course(node);
        let (mut last, mut expected) = (BRACE, self.courses[course].behind(BRACE));
        loop {
            if let Some(member) = self.courses[course].member(expected, self.bytes, at) {
                let (child, text) = (member.slot, member.text);
                at += member.length;
                (last, expected) = (expected, member.next);
                if text {
                    let end = self.plain.end(at);
                    if child.is_none() && self.bytes.get(end) == Some(&b'"') {
                        at = end + 1;
                        continue;
                    }
                    at = self.text_member(at, end, child)?;
                } else {
                    at = self.member(at, child, depth)?;
                }
            } else {
                let Some((value, child)) = self.next_name(at, start, node)? else {
                    return Ok(self.blank(at) + 1);
                };
                let quote = usize::from(self.bytes.get(value) == Some(&b'"'));
                last = self.courses[course].learn(last, &self.bytes[at..value + quote], child);
                expected = self.courses[course].behind(last);
                at = self.member(value, child, depth)?;
            }
            if self.missing == 0 {
                return Ok(at);
            }
            if self.case != case {
                (case, course) = (self.case, self.course(node));
                (last, expected) = (TURN, self.courses[course].behind(TURN));
            }
        }
    }

    /// Behind a value or, at `start`, the brace: the next member's name; `None` where the object ends.
    #[cold]
    fn next_name(&mut self, at: usize, start: usize, node: &'p Node) -> Result<Option<(usize, Option<Slot>)>, Fault> {
        let here = self.blank(at);
        match self.bytes.get(here) {
            Some(b'}') => Ok(None),
            Some(b',') if at > start => self.name(self.blank(here + 1), Some(node)).map(Some),
            Some(_) if at > start => Err(What::Comma.at(here)),
            Some(_) => self.name(here, Some(node)).map(Some),
            None => Err(What::Truncated.at(here)),
        }
    }

    /// Where the members of an object are remembered, in a record of this kind.
    fn course(&self, node: &Node) -> usize {
        let case = match self.case {
            Case::Open => 0,
            Case::Other => 1,
            Case::Known(case) => case + 2,
        };
        node.slot as usize * self.needs.case_count() + case
    }

    /// A name and its colon: where the value begins, and which needed child of the node it is.
    #[inline(always)]
    fn name(&mut self, at: usize, node: Option<&'p Node>) -> Result<(usize, Option<Slot>), Fault> {
        self.expect(at, b'"', What::Name)?;
        let (end, escaped) = self.text(at + 1)?;
        let child = node.and_then(|node| self.child(node, at + 1, end, escaped));
        let colon = self.blank(end + 1);
        self.expect(colon, b':', What::Colon)?;
        Ok((self.blank(colon + 1), child))
    }

    /// A member's value that is text, after its first quote; `end` is where its plain part ends.
    #[inline(always)]
    fn text_member(&mut self, start: usize, end: usize, child: Option<Slot>) -> Result<usize, Fault> {
        let (end, escaped) = if self.bytes.get(end) == Some(&b'"') { (end, false) } else { self.text(end)? };
        if let Some(slot) = child
            && self.found[slot as usize].kind == Kind::Absent
        {
            let (start, end) = (start as u32, end as u32);
            let plain = Found { start, end, kind: Kind::Text };
            self.settle(
                slot,
                if escaped { Found { start: start - 1, end: end + 1, kind: Kind::Escaped } } else { plain },
            );
        }
        Ok(end + 1)
    }

    /// A list, after its bracket.
    fn list(&mut self, start: usize, node: Option<&'p Node>, depth: u32) -> Result<usize, Fault> {
        let mut at = self.blank(start);
        if self.bytes.get(at) == Some(&b']') {
            return Ok(at + 1);
        }
        for index in 0.. {
            let child = node.and_then(|node| node.item(index));
            at = self.member(at, child, depth)?;
            if self.missing == 0 {
                return Ok(at);
            }
            at = self.blank(at);
            match self.bytes.get(at) {
                Some(b',') => at = self.blank(at + 1),
                Some(b']') => return Ok(at + 1),
                Some(_) => return Err(What::Comma.at(at)),
                None => return Err(What::Truncated.at(at)),
            }
        }
        Err(What::Length.at(at))
    }

    /// A value in a list or an object: needed, or passed over. Of duplicate names the first counts.
    #[inline(always)]
    fn member(&mut self, at: usize, child: Option<Slot>, depth: u32) -> Result<usize, Fault> {
        match child {
            Some(slot) if self.found[slot as usize].kind == Kind::Absent => self.needed(at, slot, depth),
            _ => self.value(at, None, depth),
        }
    }

    /// The needed child under the name between these bytes.
    #[inline(always)]
    fn child(&self, node: &Node, start: usize, end: usize, escaped: bool) -> Option<Slot> {
        if escaped {
            let name: String = serde_json::from_slice(&self.bytes[start - 1..=end]).ok()?;
            return node.find(name.as_bytes(), 0, name.len());
        }
        node.find(self.bytes, start, end - start)
    }

    /// Text, after its first quote: where its last quote stands, and whether it holds escapes.
    #[inline(always)]
    fn text(&mut self, start: usize) -> Result<(usize, bool), Fault> {
        let mut at = start;
        let mut escaped = false;
        loop {
            at = self.plain.end(at);
            match self.bytes.get(at) {
                Some(b'"') => return Ok((at, escaped)),
                Some(b'\\') => {
                    escaped = true;
                    at = escape(self.bytes, at)?;
                }
                Some(_) => return Err(What::Control.at(at)),
                None => return Err(What::Truncated.at(at)),
            }
        }
    }

    /// A number.
    fn number(&mut self, start: usize) -> Result<usize, Fault> {
        let mut at = start + usize::from(self.bytes[start] == b'-');
        let whole = at;
        at = self.digits(at)?;
        if self.bytes[whole] == b'0' && at > whole + 1 {
            return Err(What::Number.at(whole));
        }
        self.kind = Kind::Integer;
        if self.bytes.get(at) == Some(&b'.') {
            self.kind = Kind::Number;
            at = self.digits(at + 1)?;
        }
        if let Some(b'e' | b'E') = self.bytes.get(at) {
            self.kind = Kind::Number;
            let sign = matches!(self.bytes.get(at + 1), Some(b'+' | b'-'));
            at = self.digits(at + 1 + usize::from(sign))?;
        }
        self.delimited(at, What::Number)?;
        Ok(at)
    }

    /// One digit or more.
    #[inline(always)]
    fn digits(&self, start: usize) -> Result<usize, Fault> {
        let mut at = start;
        while self.bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        if at > start {
            return Ok(at);
        }
        Err(if at < self.bytes.len() { What::Number.at(at) } else { What::Truncated.at(at) })
    }

    fn word(&mut self, at: usize, word: &[u8], kind: Kind) -> Result<usize, Fault> {
        let rest = &self.bytes[at..];
        if rest.starts_with(word) {
            self.kind = kind;
            self.delimited(at + word.len(), What::Value)?;
            return Ok(at + word.len());
        }
        Err(if word.starts_with(rest) { What::Truncated.at(self.bytes.len()) } else { What::Value.at(at) })
    }

    /// A number or a word has ended here; the pass may stop before anyone looks at what follows.
    #[inline(always)]
    fn delimited(&self, at: usize, what: What) -> Result<(), Fault> {
        match self.bytes.get(at) {
            None | Some(b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r') => Ok(()),
            Some(_) => Err(what.at(at)),
        }
    }

    #[inline(always)]
    fn expect(&self, at: usize, byte: u8, what: What) -> Result<(), Fault> {
        match self.bytes.get(at) {
            Some(found) if *found == byte => Ok(()),
            Some(_) => Err(what.at(at)),
            None => Err(What::Truncated.at(at)),
        }
    }

    /// The first byte at or after `at` that is not white space.
    #[inline(always)]
    fn blank(&self, at: usize) -> usize {
        if self.bytes.get(at).is_some_and(|byte| *byte > b' ') { at } else { self.blanks(at) }
    }

    #[inline(never)]
    fn blanks(&self, mut at: usize) -> usize {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.bytes.get(at) {
            at += 1;
        }
        at
    }
}

/// The elements of a list, each as its JSON text. The list has been validated; should it not be one,
/// the elements end where it goes wrong.
pub fn split(list: &str) -> impl Iterator<Item = &str> {
    let mut at = 1;
    std::iter::from_fn(move || {
        let needs = Needs::default();
        let mut pass = Pass {
            bytes: list.as_bytes(),
            needs: &needs,
            found: &mut [],
            courses: &mut [],
            missing: NEVER,
            unread: NEVER,
            plain: Plain::new(list.as_bytes(), Masks::best()),
            decider: None,
            kind: Kind::Absent,
            case: Case::Open,
        };
        let start = pass.blank(at);
        let end = pass.value(start, None, DEPTH_MAX).ok()?;
        at = pass.blank(end) + 1;
        list.get(start..end)
    })
}
