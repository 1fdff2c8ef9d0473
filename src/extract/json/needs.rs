//! Which values of a document are needed: the paths as a tree of names.

use super::word::{Ends, Word};
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
    /// Its own index.
    pub(super) slot: Slot,
    names: Vec<(Word, Slot)>,
    items: Vec<(u32, Slot)>,
    /// A bit for each name, by its first letter and its length: most other names have none of them.
    likely: u64,
    /// Its own mark; zero where nothing but what is below it is needed.
    mark: u64,
    /// The marks that are settled once it has been passed: its own and all below it.
    pub(super) below: u64,
}

/// What is needed depends on a text in the document.
#[derive(Clone, Debug)]
pub(super) struct Narrow {
    pub(super) slot: Slot,
    /// Texts, sorted, with their number in the order in which they were given and what they need.
    cases: Vec<(Word, usize, u64)>,
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
            Segment::Field(name) => node.find(name.as_bytes(), 0, name.len()),
            Segment::Index(index) => node.item(*index),
        };
        if let Some(slot) = known {
            return slot;
        }
        match segment {
            Segment::Field(name) => {
                node.likely |= likeness(name.as_bytes(), 0, name.len());
                node.names.push((Word::new(name), next));
            }
            Segment::Index(index) => node.items.push((*index, next)),
        }
        self.nodes.push(Node { slot: next, ..Node::default() });
        next
    }

    /// Says that the text at `slot` decides what is needed: for each of its values the slots, and those
    /// for any other text. A value that is no text, or absent, leaves everything needed.
    pub fn narrow(&mut self, slot: Slot, cases: &[(String, Vec<Slot>)], other: &[Slot]) {
        let marks = |slots: &[Slot]| slots.iter().fold(0, |marks, slot| marks | self.nodes[*slot as usize].mark);
        let mut narrow = Narrow { slot, cases: Vec::new(), other: marks(other) };
        for (number, (text, slots)) in cases.iter().enumerate() {
            narrow.cases.push((Word::new(text), number, marks(slots)));
        }
        narrow.cases.sort();
        self.narrow = Some(narrow);
    }

    /// How many kinds of documents are told apart: those of the deciding text, any other, and those
    /// of which it is not known.
    pub(super) fn case_count(&self) -> usize {
        2 + self.narrow.as_ref().map_or(0, |narrow| narrow.cases.len())
    }
}

impl Narrow {
    /// The case whose text stands at `start`: its number and what it needs.
    pub(super) fn case(&self, bytes: &[u8], start: usize, length: usize) -> Option<(usize, u64)> {
        let ends = Ends::of(bytes, start, length);
        let from = self.cases.partition_point(|(word, _, _)| word.first() < ends.first());
        let same = self.cases[from..].iter().take_while(|(word, _, _)| word.first() == ends.first());
        let mut found = same.filter(|(word, _, _)| word.stands(bytes, start, ends));
        found.next().map(|(_, number, marks)| (*number, *marks))
    }
}

impl Node {
    /// Whether anything by a name is needed in it.
    #[inline(always)]
    pub(super) fn has_names(&self) -> bool {
        !self.names.is_empty()
    }

    /// The child whose name stands at `start`.
    #[inline(always)]
    pub(super) fn find(&self, bytes: &[u8], start: usize, length: usize) -> Option<Slot> {
        if self.likely & likeness(bytes, start, length) == 0 {
            return None;
        }
        let ends = Ends::of(bytes, start, length);
        self.names.iter().find(|(word, _)| word.stands(bytes, start, ends)).map(|(_, slot)| *slot)
    }

    /// The child at an index.
    #[inline(always)]
    pub(super) fn item(&self, index: u32) -> Option<Slot> {
        self.items.iter().find(|(known, _)| *known == index).map(|(_, slot)| *slot)
    }
}

/// A bit that depends on the first letter and the length of the name at `start`.
#[inline(always)]
fn likeness(bytes: &[u8], start: usize, length: usize) -> u64 {
    let first = if length == 0 { 0 } else { usize::from(bytes[start]) };
    1 << ((first * 5 + length) % 64)
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
        let find = |slot: Slot, name: &str| needs.nodes[slot as usize].find(name.as_bytes(), 0, name.len());
        let psp = find(ROOT, "psp").unwrap();
        assert_eq!(find(psp, "reference"), Some(reference));
        assert_eq!(find(psp, "referencf"), None);
        assert_eq!(needs.nodes[psp as usize].below, needs.nodes[reference as usize].below);
        assert_eq!(needs.nodes[ROOT as usize].below, needs.all);
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
