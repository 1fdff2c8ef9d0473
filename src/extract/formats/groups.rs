//! The named groups of a regular expression as fields.

use crate::extract::fields::Name;
use crate::model::value::Value;
use regex::{CaptureLocations, Regex};
use std::borrow::Cow;
use std::sync::Arc;

/// A regular expression whose named groups are fields.
#[derive(Clone, Debug)]
pub struct Groups {
    regex: Regex,
    names: Vec<(usize, Arc<str>)>,
    locations: CaptureLocations,
}

impl Groups {
    /// For the named groups of `regex`.
    pub fn new(regex: &Regex) -> Groups {
        let named = regex.capture_names().enumerate();
        let names = named.filter_map(|(group, name)| Some((group, Arc::from(name?)))).collect();
        Groups { regex: regex.clone(), names, locations: regex.capture_locations() }
    }

    /// Gives the groups that took part in the first match, as text; false where nothing matches.
    pub fn decode<'a>(&mut self, text: &'a str, mut push: impl FnMut(Name<'a>, Value<'a>)) -> bool {
        if self.regex.captures_read(&mut self.locations, text).is_none() {
            return false;
        }
        for (group, name) in &self.names {
            if let Some((from, to)) = self.locations.get(*group) {
                push(Name::Shared(name.clone()), Value::Text(Cow::Borrowed(&text[from..to])));
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_groups_that_took_part_are_fields() {
        let regex = Regex::new(r"order (?<id>\S+) (?:paid in (?<ms>\d+) ms|(?<why>failed))(.*)").unwrap();
        let mut groups = Groups::new(&regex);
        let mut read = |text: &str| {
            let mut found = Vec::new();
            let matches = groups.decode(text, |name, value| found.push(format!("{}={}", &*name, value.display())));
            matches.then_some(found)
        };
        assert_eq!(read("INFO order o-1 paid in 12 ms").unwrap(), ["id=o-1", "ms=12"]);
        assert_eq!(read("order ö failed!").unwrap(), ["id=ö", "why=failed"]);
        assert_eq!(read("prose"), None);
        assert_eq!(read(""), None);
    }
}
