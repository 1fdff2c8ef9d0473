//! The values of keys, fetched after their events, each with a limit.

use super::super::live::{Failure, Intake};
use super::super::waiting::{Halt, Waiter};
use super::errors;
use super::events::{After, Kind};
use super::node::Node;
use super::value::{self, ELEMENTS_MAX, STRING_MAX};
use redis::{Pipeline, ServerError, ServerErrorKind, Value};
use std::collections::HashMap;

/// A value may be asked for so often, as it changes its type or its place.
const ATTEMPTS_MAX: usize = 8;

/// What a key held when it was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// This value, whole.
    Whole(String),
    /// The beginning of a value that is longer than the limit.
    Cut(String),
    /// A string that is longer than the limit.
    TooLong,
    /// Nothing.
    Gone,
    /// Something that has no form here: a stream, a module's value.
    Other,
    /// It is on another server that is not followed yet.
    Elsewhere,
}

/// What was found of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub held: Held,
    /// Its slot has another server by now, or is about to.
    pub has_moved: bool,
}

/// What is asked next of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Type,
    Value(Kind),
    Exists,
}

struct Wanted {
    key: Vec<u8>,
    step: Step,
    /// Which server is asked, and whether it only receives the key's slot as yet.
    node: usize,
    asking: bool,
    has_moved: bool,
}

/// What comes of an answer.
enum Outcome {
    Held(Held),
    Next(Step),
    Moved { to: String, asking: bool },
}

/// Fetches the values of keys of one server.
pub(super) fn fetch(
    nodes: &mut [Node],
    home: usize,
    keys: Vec<(Vec<u8>, After)>,
    waiter: &Waiter,
    intake: &mut dyn Intake,
) -> Result<HashMap<Vec<u8>, Found>, Halt> {
    let mut found = HashMap::with_capacity(keys.len());
    let first = |(key, after)| Wanted {
        key,
        step: if let After::Holds(kind) = after { Step::Value(kind) } else { Step::Type },
        node: home,
        asking: false,
        has_moved: false,
    };
    let mut wanted: Vec<Wanted> = keys.into_iter().map(first).collect();
    for _ in 0..ATTEMPTS_MAX {
        if wanted.is_empty() {
            return Ok(found);
        }
        let mut left = Vec::new();
        for (node, one) in nodes.iter_mut().enumerate() {
            let (here, elsewhere): (Vec<_>, Vec<_>) = wanted.into_iter().partition(|wanted| wanted.node == node);
            wanted = elsewhere;
            if !here.is_empty() {
                let answers = ask(one, &here, waiter, intake)?;
                left.extend(here.into_iter().zip(answers));
            }
        }
        for (mut one, answer) in left {
            match outcome(&one, answer).map_err(|failed| at(failed, &nodes[one.node].link.address, &one.key))? {
                Outcome::Held(held) => _ = found.insert(one.key, Found { held, has_moved: one.has_moved }),
                Outcome::Next(step) => {
                    one.step = step;
                    wanted.push(one);
                }
                Outcome::Moved { to, asking } => match nodes.iter().position(|node| node.link.address == to) {
                    Some(node) => wanted.push(Wanted { node, asking, has_moved: true, ..one }),
                    None => _ = found.insert(one.key, Found { held: Held::Elsewhere, has_moved: true }),
                },
            }
        }
    }
    // Whoever changes its type that fast has the next event ready.
    found.extend(wanted.into_iter().map(|one| (one.key, Found { held: Held::Other, has_moved: one.has_moved })));
    Ok(found)
}

fn ask(node: &mut Node, wanted: &[Wanted], waiter: &Waiter, intake: &mut dyn Intake) -> Result<Vec<Value>, Halt> {
    let mut pipeline = redis::pipe();
    for one in wanted {
        if one.asking {
            pipeline.cmd("ASKING");
        }
        command(&mut pipeline, one);
    }
    let mut answers = node.link.ask(&pipeline, waiter, intake)?.into_iter();
    let mut all = Vec::with_capacity(wanted.len());
    for one in wanted {
        if one.asking {
            answers.next();
        }
        all.push(answers.next().unwrap_or(Value::Nil));
    }
    Ok(all)
}

fn command(pipeline: &mut Pipeline, wanted: &Wanted) {
    let key = &wanted.key[..];
    match wanted.step {
        Step::Type => pipeline.cmd("TYPE").arg(key),
        Step::Exists => pipeline.cmd("EXISTS").arg(key),
        Step::Value(Kind::String) => pipeline.cmd("GETRANGE").arg(key).arg(0).arg(STRING_MAX),
        Step::Value(Kind::List) => pipeline.cmd("LRANGE").arg(key).arg(0).arg(ELEMENTS_MAX),
        Step::Value(Kind::Sorted) => pipeline.cmd("ZRANGE").arg(key).arg(0).arg(ELEMENTS_MAX).arg("WITHSCORES"),
        Step::Value(Kind::Hash) => pipeline.cmd("HSCAN").arg(key).arg(0).arg("COUNT").arg(ELEMENTS_MAX),
        Step::Value(Kind::Set) => pipeline.cmd("SSCAN").arg(key).arg(0).arg("COUNT").arg(ELEMENTS_MAX),
    };
}

fn outcome(wanted: &Wanted, answer: Value) -> Result<Outcome, Value> {
    if let Value::ServerError(error) = &answer {
        return match error.kind() {
            Some(ServerErrorKind::Moved | ServerErrorKind::Ask) => {
                let asking = error.kind() == Some(ServerErrorKind::Ask);
                Ok(target(error).map_or(Outcome::Held(Held::Elsewhere), |to| Outcome::Moved { to, asking }))
            }
            _ if error.code() == "WRONGTYPE" => Ok(Outcome::Next(Step::Type)),
            _ => Err(answer),
        };
    }
    let held = match wanted.step {
        Step::Type => {
            let name = value::text(value::raw(&answer));
            match Kind::of_type(&name) {
                Some(kind) => return Ok(Outcome::Next(Step::Value(kind))),
                None if name == "none" => Held::Gone,
                None => Held::Other,
            }
        }
        Step::Exists if value::integer(&answer) == Some(0) => Held::Gone,
        Step::Exists => Held::Whole("\"\"".into()),
        Step::Value(Kind::String) => match value::raw(&answer) {
            // Nothing, or a string of nothing.
            [] => return Ok(Outcome::Next(Step::Exists)),
            bytes if bytes.len() > STRING_MAX => Held::TooLong,
            bytes => Held::Whole(value::json(bytes)),
        },
        Step::Value(kind) => elements(kind, answer)?,
    };
    Ok(Outcome::Held(held))
}

/// A value of several elements; without any, there is none.
fn elements(kind: Kind, answer: Value) -> Result<Held, Value> {
    let (elements, more) = match (kind, answer) {
        (Kind::Hash | Kind::Set, Value::Array(mut page)) if page.len() == 2 => {
            let elements = page.pop().unwrap_or_default();
            (elements, value::integer(&page[0]) != Some(0))
        }
        (Kind::List | Kind::Sorted, elements) => (elements, false),
        (_, other) => return Err(other),
    };
    let cut = |length: usize| more || length > ELEMENTS_MAX;
    let (json, is_empty, is_cut) = match kind {
        Kind::Hash | Kind::Sorted => {
            let mut pairs = value::pairs(elements.clone()).ok_or(elements)?;
            let is_cut = cut(pairs.len());
            pairs.truncate(ELEMENTS_MAX);
            let json = if kind == Kind::Hash { value::object(&pairs, false) } else { value::sorted(&pairs) };
            (json, pairs.is_empty(), is_cut)
        }
        _ => {
            let (Value::Array(mut all) | Value::Set(mut all)) = elements else { return Err(elements) };
            let is_cut = cut(all.len());
            all.truncate(ELEMENTS_MAX);
            (value::list(&all), all.is_empty(), is_cut)
        }
    };
    Ok(match (is_empty, is_cut) {
        (true, false) => Held::Gone,
        (_, true) => Held::Cut(json),
        (false, false) => Held::Whole(json),
    })
}

/// Where a key has gone: `MOVED 3999 127.0.0.1:6381`.
fn target(error: &ServerError) -> Option<String> {
    let (_, address) = error.details()?.split_once(' ')?;
    // Without a host, it is that of the server that says so; such a cluster is looked up anew.
    (!address.starts_with(':')).then(|| address.to_owned())
}

fn at(answer: Value, address: &str, key: &[u8]) -> Failure {
    errors::failed(address, &format!("the value of `{}`", value::text(key)), &answer, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    #[test]
    fn what_is_longer_than_the_limit_is_said_to_be_cut() {
        let numbers = |count: usize| Value::Array((0..count).map(|number| bulk(&number.to_string())).collect());
        assert!(matches!(elements(Kind::List, numbers(ELEMENTS_MAX)), Ok(Held::Whole(_))));
        assert!(matches!(elements(Kind::List, numbers(ELEMENTS_MAX + 1)), Ok(Held::Cut(_))));
        assert_eq!(elements(Kind::List, numbers(0)), Ok(Held::Gone));
        let page = |cursor: &str, fields: Value| Value::Array(vec![bulk(cursor), fields]);
        assert_eq!(elements(Kind::Hash, page("0", numbers(2))), Ok(Held::Whole(r#"{"0":1}"#.into())));
        assert_eq!(elements(Kind::Hash, page("7", numbers(2))), Ok(Held::Cut(r#"{"0":1}"#.into())));
        assert_eq!(elements(Kind::Set, page("0", numbers(2))), Ok(Held::Whole("[0,1]".into())));
        assert!(elements(Kind::Set, Value::Int(1)).is_err());
    }
}
