//! Where the value of a path comes from, worked out once; and one record, asked for such values.

use super::Record;
use super::fields::Fields;
use super::json::{Document, Needs, Slot};
use crate::flow::descend::descend;
use crate::flow::expression::{Program, Scope};
use crate::flow::format::{Decoding, Format};
use crate::flow::plan::{Path, Root, Segment};
use crate::model::value::Value;

/// Where the value of a path comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The decoded payload.
    Body(Slot),
    /// The element that `each` has come to.
    Element(Slot),
    /// The record's own key, or what stands in for it in the payload.
    Key { within: Vec<Segment>, body: Option<Slot> },
    /// The kind of change, or what stands in for it in the payload.
    Op(Option<Slot>),
    /// A header, or all of them.
    Header(Option<String>),
    /// What is known about the record.
    Meta(Meta),
    /// What its format tells beside the body.
    Beside(Vec<Segment>),
    /// Nothing that this source has.
    Nothing,
}

/// What is known about a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meta {
    All,
    Position,
    Part,
    Stream,
    Partition,
    Ingest,
}

/// An expression, and where the paths that it reads come from.
#[derive(Clone, Debug)]
pub(super) struct Formula {
    pub program: Program,
    pub places: Vec<(Path, Place)>,
}

/// One record, and within it one element where a step has `each`.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub record: &'a Record<'a>,
    pub body: Body<'a>,
    pub element: Option<Document<'a>>,
}

/// A decoded payload.
#[derive(Clone, Copy)]
pub(super) enum Body<'a> {
    /// JSON that was read only where needed.
    Json(Document<'a>),
    /// Any other; slots are indexes into the paths.
    Fields { fields: &'a Fields<'a>, paths: &'a [Vec<Segment>] },
}

impl<'a> View<'a> {
    /// The value at a place; null where it is absent.
    #[inline]
    pub fn value(&self, place: &Place) -> Value<'a> {
        match place {
            Place::Body(slot) => self.body.value(*slot),
            Place::Element(slot) => self.element.map_or(Value::Null, |element| element.value(*slot)),
            Place::Key { within, body } => match (self.record.attributes.key, body) {
                (Some(key), _) if within.is_empty() => Value::Text(key.into()),
                (Some(key), _) => descend(Value::Json(key.into()), within),
                (None, Some(slot)) => self.body.value(*slot),
                (None, None) => Value::Null,
            },
            Place::Op(body) => match (self.record.attributes.op, body) {
                (Some(op), _) => Value::Text(op.into()),
                (None, Some(slot)) => self.body.value(*slot),
                (None, None) => Value::Null,
            },
            Place::Header(name) => self.header(name.as_deref()),
            Place::Meta(meta) => self.meta(*meta),
            Place::Beside(segments) => match self.body {
                Body::Fields { fields, .. } => fields.beside(segments),
                Body::Json(_) => Value::Null,
            },
            Place::Nothing => Value::Null,
        }
    }

    /// The value at a place, where it is text that stands in the payload as it is.
    #[inline(always)]
    pub fn plain_text(&self, place: &Place) -> Option<&'a str> {
        match (place, &self.body) {
            (Place::Body(slot), Body::Json(document)) => document.plain_text(*slot),
            _ => None,
        }
    }

    fn header(&self, name: Option<&str>) -> Value<'a> {
        let headers = self.record.attributes.headers;
        match name {
            Some(name) => headers
                .iter()
                .rev()
                .find(|(known, _)| *known == name)
                .map_or(Value::Null, |(_, value)| Value::Text((*value).into())),
            None => {
                let all: serde_json::Map<_, _> =
                    headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
                Value::Json(serde_json::Value::Object(all).to_string().into())
            }
        }
    }

    fn meta(&self, meta: Meta) -> Value<'a> {
        let position = i64::try_from(self.record.position.offset).unwrap_or(i64::MAX);
        let ingest = || self.record.ingest.to_string();
        match meta {
            Meta::Position => Value::Int(position),
            Meta::Part => Value::Text(self.record.part.into()),
            Meta::Stream => Value::Text(self.record.stream().into()),
            Meta::Partition => self
                .record
                .part
                .rsplit_once('/')
                .and_then(|(_, number)| number.parse().ok())
                .map_or(Value::Null, Value::Int),
            Meta::Ingest => Value::Text(ingest().into()),
            Meta::All => {
                let all = serde_json::json!({"position": position, "file": self.record.part, "stream": self.record.stream(), "ingest": ingest()});
                Value::Json(all.to_string().into())
            }
        }
    }

    /// The value of an expression.
    pub fn eval(&self, formula: &Formula) -> Result<Value<'static>, String> {
        formula.program.eval(&Reading { view: self, formula })
    }

    /// Whether the record meets an expression.
    pub fn eval_bool(&self, formula: &Formula) -> Result<bool, String> {
        formula.program.eval_bool(&Reading { view: self, formula })
    }
}

impl<'a> Body<'a> {
    #[inline]
    fn value(&self, slot: Slot) -> Value<'a> {
        match self {
            Body::Json(document) => document.value(slot),
            Body::Fields { fields, paths } => fields.get(&paths[slot as usize]),
        }
    }
}

/// A record as an expression sees it.
struct Reading<'v, 'a> {
    view: &'v View<'a>,
    formula: &'v Formula,
}

impl Scope for Reading<'_, '_> {
    fn get(&self, path: &Path) -> Value<'_> {
        let place = self.formula.places.iter().find(|(known, _)| known == path);
        place.map_or(Value::Null, |(_, place)| self.view.value(place))
    }
}

/// Works out places, and collects what must be found in the payload and in the elements.
pub(super) struct Places<'d> {
    decoding: &'d Decoding,
    /// Where the payload is JSON that is read only where needed.
    pub needs: Needs,
    /// Where it is anything else.
    pub paths: Vec<Vec<Segment>>,
    /// What must be found in an element, for each different `each`.
    pub elements: Vec<Needs>,
    /// What of the payload was asked for since this was last cleared.
    pub asked: Vec<Slot>,
}

impl<'d> Places<'d> {
    pub fn new(decoding: &'d Decoding) -> Places<'d> {
        Places { decoding, needs: Needs::default(), paths: Vec::new(), elements: Vec::new(), asked: Vec::new() }
    }

    /// Whether the payload is JSON that can be read only where needed.
    pub fn is_scanned(decoding: &Decoding) -> bool {
        matches!(decoding.format, Format::Json) && decoding.parse.is_empty()
    }

    /// The place of a path; `each` is the number of what the step takes apart.
    pub fn place(&mut self, path: &Path, each: Option<usize>) -> Place {
        match path.root {
            Root::Body | Root::Row => Place::Body(self.slot(&path.segments)),
            Root::Each => each.map_or(Place::Nothing, |each| Place::Element(self.elements[each].add(&path.segments))),
            Root::Key => {
                let body =
                    self.decoding.key.as_ref().map(|key| self.slot(&[&key.segments[..], &path.segments].concat()));
                Place::Key { within: path.segments.clone(), body }
            }
            Root::Op => {
                let body = self.decoding.op.as_ref().map(|op| self.slot(&[&op.segments[..], &path.segments].concat()));
                if path.segments.is_empty() || body.is_some() { Place::Op(body) } else { Place::Nothing }
            }
            Root::Meta => match (meta(&path.segments), &self.decoding.format) {
                (Some(meta), _) => Place::Meta(meta),
                (None, Format::Dialect(_)) => Place::Beside(path.segments.clone()),
                (None, _) => Place::Nothing,
            },
            Root::Headers => header(&path.segments),
        }
    }

    /// An expression with the places of all that it reads.
    pub fn formula(&mut self, program: &Program, each: Option<usize>) -> Formula {
        let places = program.paths().iter().map(|path| (path.clone(), self.place(path, each))).collect();
        Formula { program: program.clone(), places }
    }

    fn slot(&mut self, segments: &[Segment]) -> Slot {
        let slot = if Places::is_scanned(self.decoding) {
            self.needs.add(segments)
        } else {
            let known = self.paths.iter().position(|path| path == segments);
            let slot = known.unwrap_or_else(|| {
                self.paths.push(segments.to_vec());
                self.paths.len() - 1
            });
            Slot::try_from(slot).expect("a configuration names fewer than 65,536 paths")
        };
        self.asked.push(slot);
        slot
    }
}

/// Names of headers may hold dots: `headers.ce.id` is the header `ce.id`.
fn header(segments: &[Segment]) -> Place {
    let fields = segments.iter().map(|segment| match segment {
        Segment::Field(name) => Some(name.as_str()),
        Segment::Index(_) => None,
    });
    match fields.collect::<Option<Vec<_>>>() {
        Some(names) if names.is_empty() => Place::Header(None),
        Some(names) => Place::Header(Some(names.join("."))),
        None => Place::Nothing,
    }
}

fn meta(segments: &[Segment]) -> Option<Meta> {
    match segments {
        [] => Some(Meta::All),
        [Segment::Field(name)] => match name.as_str() {
            "position" => Some(Meta::Position),
            "file" => Some(Meta::Part),
            "stream" | "topic" | "table" | "queue" => Some(Meta::Stream),
            "partition" => Some(Meta::Partition),
            "ingest" => Some(Meta::Ingest),
            _ => None,
        },
        _ => None,
    }
}
