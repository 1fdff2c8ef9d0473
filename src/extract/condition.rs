//! Which records match: the conditions of all steps, each distinct part asked once a record.

use super::place::{Formula, Place, Places, View};
use crate::flow::plan::{Condition, Path, Root};
use crate::model::value::Value;

/// A condition whose parts are numbered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Test {
    Always,
    Leaf(usize),
    All(Vec<Test>),
    Any(Vec<Test>),
}

/// A part of a condition.
#[derive(Clone, Debug)]
pub(super) struct Leaf {
    pub ask: Ask,
    /// The number of the `each` of whose elements it is asked; `None` where it is asked of the record.
    pub each: Option<usize>,
}

#[derive(Clone, Debug)]
pub(super) enum Ask {
    Compare { place: Place, literal: Value<'static>, equal: bool },
    Program(Box<Formula>),
}

/// All distinct parts of the conditions of one source's steps, and what they answered.
#[derive(Clone, Debug, Default)]
pub(super) struct Leaves {
    leaves: Vec<Leaf>,
    answers: Vec<Option<Answer>>,
}

/// What a condition answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Answer {
    Yes,
    No,
    /// An expression failed.
    Error,
}

impl Leaves {
    /// Numbers the parts of a condition.
    pub fn test(&mut self, condition: &Condition, each: Option<usize>, places: &mut Places<'_>) -> Test {
        let mut all = |parts: &[Condition]| parts.iter().map(|part| self.test(part, each, places)).collect();
        match condition {
            Condition::Always => Test::Always,
            Condition::All(parts) => Test::All(all(parts)),
            Condition::Any(parts) => Test::Any(all(parts)),
            Condition::Compare { path, literal, equal } => {
                let place = places.place(path, each);
                let ask = Ask::Compare { place, literal: literal.clone(), equal: *equal };
                self.leaf(Leaf { ask, each: each.filter(|_| path.root == Root::Each) })
            }
            Condition::Program(program) => {
                let of_element = program.paths().iter().any(|path| path.root == Root::Each);
                let ask = Ask::Program(Box::new(places.formula(program, each)));
                self.leaf(Leaf { ask, each: each.filter(|_| of_element) })
            }
        }
    }

    fn leaf(&mut self, leaf: Leaf) -> Test {
        let known = self.leaves.iter().position(|known| known.each == leaf.each && known.ask.same(&leaf.ask));
        Test::Leaf(known.unwrap_or_else(|| {
            self.leaves.push(leaf);
            self.answers.push(None);
            self.leaves.len() - 1
        }))
    }

    /// Forgets all answers: a new record.
    #[inline]
    pub fn next_record(&mut self) {
        self.answers.fill(None);
    }

    /// Forgets the answers about an element: a new one.
    pub fn next_element(&mut self, each: usize) {
        for (leaf, answer) in self.leaves.iter().zip(&mut self.answers) {
            if leaf.each == Some(each) {
                *answer = None;
            }
        }
    }

    /// What a condition answers. Errors are as in CEL: what decides without them decides.
    pub fn ask(&mut self, test: &Test, view: &View<'_>) -> Answer {
        match test {
            Test::Always => Answer::Yes,
            Test::Leaf(leaf) => *self.answers[*leaf].get_or_insert_with(|| self.leaves[*leaf].ask.answer(view)),
            Test::All(parts) => self.fold(parts, view, Answer::No, Answer::Yes),
            Test::Any(parts) => self.fold(parts, view, Answer::Yes, Answer::No),
        }
    }

    /// The deciding answer where any part gives it, else an error where any part does, else the other.
    fn fold(&mut self, parts: &[Test], view: &View<'_>, deciding: Answer, other: Answer) -> Answer {
        let mut result = other;
        for part in parts {
            match self.ask(part, view) {
                answer if answer == deciding => return deciding,
                Answer::Error => result = Answer::Error,
                _ => {}
            }
        }
        result
    }
}

impl Ask {
    fn same(&self, other: &Ask) -> bool {
        match (self, other) {
            (Ask::Compare { place: a, literal: b, equal: c }, Ask::Compare { place: x, literal: y, equal: z }) => {
                a == x && b == y && c == z
            }
            (Ask::Program(a), Ask::Program(b)) => a.program.source() == b.program.source(),
            _ => false,
        }
    }

    fn answer(&self, view: &View<'_>) -> Answer {
        let yes = match self {
            Ask::Compare { place, literal, equal } => equals(&view.value(place), literal) == *equal,
            Ask::Program(formula) => match view.eval_bool(formula) {
                Ok(yes) => yes,
                Err(_) => return Answer::Error,
            },
        };
        if yes { Answer::Yes } else { Answer::No }
    }
}

/// Text equals text byte for byte, and a number as a number.
pub(super) fn equals(value: &Value<'_>, literal: &Value<'_>) -> bool {
    match (value, literal) {
        (Value::Text(a), Value::Text(b)) => a == b,
        _ => value.same(literal),
    }
}

/// The path and the texts where a condition can hold only if the text at the path is one of these.
pub(super) fn deciding(condition: &Condition) -> Vec<(&Path, Vec<&str>)> {
    match condition {
        Condition::Compare { path, literal: Value::Text(text), equal: true }
            if matches!(path.root, Root::Body | Root::Row) =>
        {
            vec![(path, vec![text])]
        }
        Condition::All(parts) => parts.iter().flat_map(deciding).collect(),
        Condition::Any(parts) => {
            let mut sides = parts.iter().map(deciding);
            let common = sides.next().unwrap_or_default();
            sides.fold(common, |common, side| {
                let both = common.into_iter().filter_map(|(path, mut texts)| {
                    let (_, more) = side.iter().find(|(other, _)| other.segments == path.segments)?;
                    texts.extend(more);
                    Some((path, texts))
                });
                both.collect()
            })
        }
        _ => Vec::new(),
    }
}

/// What is left of a condition once the text at the path is known to be one that it asks for.
pub(super) fn without(condition: &Condition, decided: &Path) -> Condition {
    let only_asks_for_it = |condition: &Condition| match condition {
        Condition::Compare { path, literal: Value::Text(_), equal: true } => {
            matches!(path.root, Root::Body | Root::Row) && path.segments == decided.segments
        }
        _ => false,
    };
    match condition {
        Condition::All(parts) => Condition::All(parts.iter().map(|part| without(part, decided)).collect()),
        Condition::Any(parts) if parts.iter().all(only_asks_for_it) => Condition::Always,
        one if only_asks_for_it(one) => Condition::Always,
        other => other.clone(),
    }
}
