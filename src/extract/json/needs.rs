//! Which values of a document are needed: the paths as a tree of names.

use crate::flow::plan::Segment;

/// A needed value: the index of its node in the tree.
pub type Slot = u16;

/// Values with a mark of their own. The pass stops when every needed mark is cleared; those past the
/// limit share a mark that is never cleared, so they are still found, only the pass goes to the end.
const MARKS_MAX: u32 = 63;
/// The mark that is never cleared.
pub(super) const NEVER: u64 = 1 << MARKS_MAX;
/// The node of the whole document.
pub(super) const ROOT: Slot = 0;

/// The needed values of a document.
#[derive(Clone, Debug)]
pub struct Needs {
    pub(super) nodes: Vec<Node>,
    /// Marks of all needed values.
    pub(super) all: u64,
    pub(super) narrow: Option<Narrow>,
    marks: u32,
}

/// A place in a document at which, or below which, something is needed.
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    names: Vec<Name>,
    items: Vec<(u32, Slot)>,
    /// A bit for each length (up to 63, then all in one) that a name has.
    lengths: u64,
    /// Its own mark; zero where nothing but what is below it is needed.
    mark: u64,
    /// The marks that are settled once it has been passed: its own and all below it.
    pub(super) below: u64,
}

#[derive(Clone, Debug)]
struct Name {
    /// The first eight bytes, padded with zeros: most comparisons end here.
    head: u64,
    name: Box<[u8]>,
    slot: Slot,
}

/// What is needed depends on a text in the document.
#[derive(Clone, Debug)]
pub(super) struct Narrow {
    pub(super) slot: Slot,
    /// Texts, ascending, and what is needed then.
    cases: Vec<(Box<[u8]>, u64)>,
    /// What is needed where it is another text.
    pub(super) other: u64,
}

impl Default for Needs {
    fn default() -> Self {
        Needs { nodes: vec![Node::default()], all: 0, narrow: None, marks: 0 }
    }
}

impl Needs {
    /// Adds the value at the end of a path; with no segments, the document as a whole.
    pub fn add(&mut self, segments: &[Segment]) -> Slot {
        let mut way = vec![ROOT];
        for segment in segments {
            let next = self.child(way[way.len() - 1], segment);
            way.push(next);
        }
        let slot = way[way.len() - 1];
        if self.nodes[slot as usize].mark == 0 {
            let mark = if self.marks < MARKS_MAX { 1 << self.marks } else { NEVER };
            self.marks += 1;
            self.all |= mark;
            self.nodes[slot as usize].mark = mark;
            for node in way {
                self.nodes[node as usize].below |= mark & !NEVER;
            }
        }
        slot
    }

    fn child(&mut self, parent: Slot, segment: &Segment) -> Slot {
        let next = Slot::try_from(self.nodes.len()).expect("a configuration names fewer than 65,536 paths");
        let node = &mut self.nodes[parent as usize];
        let known = match segment {
            Segment::Field(name) => node.find(name.as_bytes(), head(name.as_bytes(), 0, name.len())),
            Segment::Index(index) => node.item(*index),
        };
        if let Some(slot) = known {
            return slot;
        }
        match segment {
            Segment::Field(name) => {
                node.lengths |= length_bit(name.len());
                let head = head(name.as_bytes(), 0, name.len());
                node.names.push(Name { head, name: name.as_bytes().into(), slot: next });
            }
            Segment::Index(index) => node.items.push((*index, next)),
        }
        self.nodes.push(Node::default());
        next
    }

    /// Says that the text at `slot` decides what is needed: for each of its values the slots, and those
    /// for any other text. A value that is no text, or absent, leaves everything needed.
    pub fn narrow(&mut self, slot: Slot, cases: Vec<(String, Vec<Slot>)>, other: &[Slot]) {
        let marks = |slots: &[Slot]| slots.iter().fold(0, |marks, slot| marks | self.nodes[*slot as usize].mark);
        let mut narrow = Narrow { slot, cases: Vec::new(), other: marks(other) };
        for (text, slots) in cases {
            narrow.cases.push((text.into_bytes().into(), marks(&slots)));
        }
        narrow.cases.sort();
        self.narrow = Some(narrow);
    }
}

impl Narrow {
    /// The case with this text: its number in ascending order of the texts, and what it needs.
    pub(super) fn case(&self, text: &[u8]) -> Option<(usize, u64)> {
        let at = self.cases.binary_search_by(|(case, _)| (**case).cmp(text)).ok()?;
        Some((at, self.cases[at].1))
    }
}

impl Node {
    /// The child under a name, given the name's [`head`].
    #[inline(always)]
    pub(super) fn find(&self, name: &[u8], head: u64) -> Option<Slot> {
        let same = |known: &&Name| {
            known.head == head && known.name.len() == name.len() && (name.len() <= 8 || known.name[8..] == name[8..])
        };
        self.names.iter().find(same).map(|known| known.slot)
    }

    /// Whether a child's name has this length (or, for long ones, may have).
    #[inline(always)]
    pub(super) fn may_have(&self, length: usize) -> bool {
        self.lengths & length_bit(length) != 0
    }

    /// The child at an index.
    #[inline(always)]
    pub(super) fn item(&self, index: u32) -> Option<Slot> {
        self.items.iter().find(|(known, _)| *known == index).map(|(_, slot)| *slot)
    }
}

#[inline(always)]
fn length_bit(length: usize) -> u64 {
    1 << length.min(63)
}

/// The first eight bytes of the name at `start`, as one number, zeros where it is shorter.
#[inline(always)]
pub(super) fn head(bytes: &[u8], start: usize, length: usize) -> u64 {
    if let Some(eight) = bytes.get(start..).and_then(<[u8]>::first_chunk::<8>) {
        let head = u64::from_le_bytes(*eight);
        return if length < 8 { head & ((1 << (length * 8)) - 1) } else { head };
    }
    let mut head = [0; 8];
    let length = length.min(8);
    head[..length].copy_from_slice(&bytes[start..start + length]);
    u64::from_le_bytes(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str) -> Segment {
        Segment::Field(name.to_owned())
    }

    #[test]
    fn paths_become_a_tree() {
        let mut needs = Needs::default();
        let id = needs.add(&[field("id")]);
        let reference = needs.add(&[field("psp"), field("reference")]);
        assert_eq!(needs.add(&[field("id")]), id);
        assert_ne!(id, reference);
        let find = |slot: Slot, name: &str| {
            needs.nodes[slot as usize].find(name.as_bytes(), head(name.as_bytes(), 0, name.len()))
        };
        let psp = find(ROOT, "psp").unwrap();
        assert_eq!(find(psp, "reference"), Some(reference));
        assert_eq!(find(psp, "referencf"), None);
        assert_eq!(needs.nodes[psp as usize].below, needs.nodes[reference as usize].below);
        assert_eq!(needs.nodes[ROOT as usize].below, needs.all);
    }

    #[test]
    fn a_name_is_told_from_its_prefix_with_zeros() {
        let mut needs = Needs::default();
        needs.add(&[field("a")]);
        assert_eq!(needs.nodes[0].find(b"a\0", head(b"a\0", 0, 2)), None);
    }

    #[test]
    fn values_past_the_limit_of_marks_keep_the_pass_going() {
        let mut needs = Needs::default();
        for n in 0..100 {
            needs.add(&[field(&n.to_string())]);
        }
        assert_eq!(needs.all, u64::MAX);
        assert_eq!(needs.nodes[ROOT as usize].below, !NEVER);
    }
}
