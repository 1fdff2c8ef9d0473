//! Which member of an object comes next: most probably the one that came next the last time.
//!
//! Records of one kind have the same names in the same order. So what stood between two values is
//! remembered, and compared as a whole where one of the two ends again:
//!
//! ```text
//! {"type":"OrderPlaced","event_id":"e-1","order_id":…
//!                      ╰─────┬────╯     what follows on `type` in an order that is placed
//! ```
//!
//! Where it stands there, comma, name, colon and quote are read in one step, and it is known whether
//! the value is needed. Where it does not, they are read one by one and remembered. What is found is
//! the same either way: the same bytes mean the same.

use super::needs::Slot;

/// What stands between two values is remembered up to so many bytes: two words of 16.
const FRONT_MAX: usize = 32;
const WORD: usize = 16;
/// Members that are remembered of one object in one kind of record.
const MEMBERS_MAX: usize = 64;

/// Where an object is being read: the index of a member.
pub(super) type At = usize;
/// Behind the object's brace.
pub(super) const BRACE: At = 0;
/// Behind the value that told of what kind the record is.
pub(super) const TURN: At = 1;
/// Behind a member that is not remembered.
pub(super) const LOST: At = usize::MAX;

/// The members of one object in one kind of record, and which comes after which.
#[derive(Clone, Debug)]
pub(super) struct Course {
    members: Vec<Member>,
}

/// A member, up to its value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    front: [u128; 2],
    /// All ones where the front has a byte.
    mask: [u128; 2],
    /// How many bytes the front has.
    pub length: usize,
    /// The front ends with the quote that begins a text.
    pub text: bool,
    /// The needed value that it leads to.
    pub slot: Option<Slot>,
    /// The member that came next the last time.
    pub next: At,
}

impl Default for Course {
    fn default() -> Self {
        Course { members: vec![Member::new(b"", None); 2] }
    }
}

impl Course {
    /// The member that came behind `last` the last time.
    #[inline(always)]
    pub fn behind(&self, last: At) -> At {
        self.members.get(last).map_or(LOST, |member| member.next)
    }

    /// The member, where its front stands there.
    #[inline(always)]
    pub fn member(&self, expected: At, bytes: &[u8], at: usize) -> Option<&Member> {
        let member = self.members.get(expected)?;
        let here = words(bytes.get(at..)?.first_chunk()?);
        let differs = |n: usize| (here[n] ^ member.front[n]) & member.mask[n];
        (differs(0) | differs(1) == 0).then_some(member)
    }

    /// Remembers that behind `last` came a member with this front.
    #[cold]
    pub fn learn(&mut self, last: At, front: &[u8], slot: Option<Slot>) -> At {
        // Text beyond ASCII is for the scanner to see, which checks it.
        if front.len() > FRONT_MAX || !front.is_ascii() {
            return LOST;
        }
        let new = Member::new(front, slot);
        let same = |known: &Member| known.front == new.front && known.length == new.length;
        let next = self.members.iter().position(same).unwrap_or(self.members.len());
        if next == MEMBERS_MAX {
            return LOST;
        }
        if next == self.members.len() {
            self.members.push(new);
        }
        if let Some(last) = self.members.get_mut(last) {
            last.next = next;
        }
        next
    }
}

impl Member {
    fn new(front: &[u8], slot: Option<Slot>) -> Member {
        let (mut padded, mut mask) = ([0; FRONT_MAX], [0; FRONT_MAX]);
        padded[..front.len()].copy_from_slice(front);
        mask[..front.len()].fill(0xff);
        let text = front.last() == Some(&b'"');
        Member { front: words(&padded), mask: words(&mask), length: front.len(), text, slot, next: LOST }
    }
}

#[inline(always)]
fn words(bytes: &[u8; FRONT_MAX]) -> [u128; 2] {
    let (words, _) = bytes.as_chunks::<WORD>();
    [u128::from_le_bytes(words[0]), u128::from_le_bytes(words[1])]
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: &str = "                                ";

    fn next(course: &Course, last: At, text: &str) -> Option<At> {
        let expected = course.behind(last);
        course.member(expected, format!("{text}{ROOM}").as_bytes(), 0).map(|_| expected)
    }

    #[test]
    fn what_came_next_is_expected_again() {
        let mut course = Course::default();
        let a = course.learn(BRACE, b"\"a\":\"", Some(3));
        let b = course.learn(a, b",\"b\":", None);
        assert_eq!(next(&course, BRACE, "\"a\":\"x"), Some(a));
        assert_eq!(next(&course, a, ",\"b\":1"), Some(b));
        assert_eq!(next(&course, a, ",\"c\":1"), None);
        let c = course.learn(a, b",\"c\":", None);
        assert_eq!(next(&course, a, ",\"c\":1"), Some(c));
        assert_eq!(next(&course, a, ",\"b\":1"), None, "only the last one is expected");
        assert_eq!(course.learn(c, b",\"b\":", None), b, "but it is remembered");
        assert_eq!(next(&course, TURN, "\"a\":\"x"), None);
        assert!(course.member(a, b"\"a\":\"x", 0).is_none(), "not at the end of what can be read");
    }

    #[test]
    fn what_cannot_be_remembered_leads_nowhere() {
        let mut course = Course::default();
        assert_eq!(course.learn(BRACE, ",\"ü\":".as_bytes(), None), LOST);
        assert_eq!(course.learn(BRACE, &[b' '; FRONT_MAX + 1], None), LOST);
        assert_eq!(next(&course, LOST, "\"a\":\"x"), None);
        let all: Vec<At> =
            (0..MEMBERS_MAX).map(|n| course.learn(BRACE, format!(",\"{n}\":").as_bytes(), None)).collect();
        assert_eq!(all.iter().filter(|at| **at == LOST).count(), 2);
    }
}
