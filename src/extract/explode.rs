//! `each`: a record taken apart into the elements of one of its lists.

use super::json::{Mode, Needs, Scanner, split};
use super::place::{Place, View};
use crate::model::value::Value;

/// Takes records apart by one list.
#[derive(Clone, Debug)]
pub(super) struct Explode {
    list: Place,
    scanner: Scanner,
}

impl Explode {
    /// By the list at a place; of each element the steps need these.
    pub fn new(list: Place, needs: Needs) -> Explode {
        Explode { list, scanner: Scanner::new(needs, Mode::Needed) }
    }

    /// Shows each element with its index. What is not a list is a list of one; null is an empty one.
    pub fn elements(&mut self, view: &View<'_>, mut show: impl FnMut(&View<'_>, u32)) {
        let value = view.value(&self.list);
        match &value {
            Value::Null => {}
            Value::Json(list) if list.starts_with('[') => {
                for (index, element) in split(list).enumerate() {
                    self.element(view, element, index as u32, &mut show);
                }
            }
            Value::Json(object) => self.element(view, object, 0, &mut show),
            single => self.element(view, &single.to_json().to_string(), 0, &mut show),
        }
    }

    fn element(&mut self, view: &View<'_>, json: &str, index: u32, show: &mut impl FnMut(&View<'_>, u32)) {
        // The text was validated as a part of the record.
        if let Ok(document) = self.scanner.scan(json.as_bytes()) {
            show(&View { record: view.record, body: view.body, element: Some(document) }, index);
        }
    }
}
