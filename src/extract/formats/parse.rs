//! `parse`: parts of a record that are decoded further.
//!
//! A rule whose text is absent, or is not what the rule expects, leaves the record as it is: logs mix
//! what they wrap.

use super::{Groups, logfmt};
use crate::extract::fields::{Fields, Name};
use crate::flow::format::{ParseHow, ParseRule};
use crate::flow::plan::Segment;
use crate::model::json;
use crate::model::value::Value;
use std::borrow::Cow;

/// One rule, ready to run.
#[derive(Clone, Debug)]
pub(in crate::extract) struct Rule {
    from: Vec<Segment>,
    how: How,
    into: Vec<Segment>,
}

#[derive(Clone, Debug)]
enum How {
    Json,
    Logfmt,
    Regex(Groups),
}

impl Rule {
    pub fn new(rule: &ParseRule) -> Rule {
        let how = match &rule.how {
            ParseHow::Json => How::Json,
            ParseHow::Logfmt => How::Logfmt,
            ParseHow::Regex(regex) => How::Regex(Groups::new(regex)),
        };
        Rule { from: rule.from.segments.clone(), how, into: rule.into.segments.clone() }
    }

    /// Decodes the part and puts it where it belongs.
    pub fn apply<'a>(&mut self, fields: &mut Fields<'a>) {
        let pairs = match (&mut self.how, fields.taken(&self.from)) {
            (How::Json, value @ Value::Json(_)) => return fields.set(&self.into, value),
            (How::Json, Value::Text(text)) => {
                if let Some(value) = parsed(text) {
                    fields.set(&self.into, value);
                }
                return;
            }
            (How::Logfmt, Value::Text(text)) => pairs(text, |text, push| logfmt::decode(text, push).is_ok()),
            (How::Regex(groups), Value::Text(text)) => pairs(text, |text, push| groups.decode(text, push)),
            _ => None,
        };
        let Some(pairs) = pairs else { return };
        if self.into.is_empty() {
            pairs.into_iter().for_each(|(name, value)| fields.set_field(name, value));
        } else {
            let object = json::object(pairs.iter().map(|(name, value)| (&**name, json::text(value))));
            fields.set(&self.into, Value::Json(Cow::Owned(object)));
        }
    }
}

fn parsed(text: Cow<'_, str>) -> Option<Value<'_>> {
    match text {
        Cow::Borrowed(text) => json::validate(text).ok(),
        Cow::Owned(text) => json::validate(&text).ok().map(Value::into_owned),
    }
}

type Pairs<'a> = Vec<(Name<'a>, Value<'a>)>;

/// What `decode` finds in the text; `None` where the text is not its.
fn pairs<'a>(
    text: Cow<'a, str>,
    decode: impl for<'t> FnOnce(&'t str, &mut dyn FnMut(Name<'t>, Value<'t>)) -> bool,
) -> Option<Pairs<'a>> {
    let mut pairs = Vec::new();
    let fits = match text {
        Cow::Borrowed(text) => decode(text, &mut |name, value| pairs.push((name, value))),
        Cow::Owned(text) => decode(&text, &mut |name, value| pairs.push((name.into_owned(), value.into_owned()))),
    };
    fits.then_some(pairs)
}
