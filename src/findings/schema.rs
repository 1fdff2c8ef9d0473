//! The published JSON Schemas of what `verify` writes.

use super::record::Record;
use super::summary::Summary;
use serde_json::Value;

/// Of one line of `--findings`.
pub fn finding() -> Value {
    titled(schemars::schema_for!(Record<'static>), "A finding of Throughline: one line of `verify --findings`")
}

/// Of the document of `--format json`.
pub fn verify() -> Value {
    titled(schemars::schema_for!(Summary), "What `throughline verify --format json` writes")
}

fn titled(schema: schemars::Schema, title: &str) -> Value {
    let mut schema = schema.to_value();
    schema["title"] = title.into();
    schema
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::sample;

    #[test]
    fn what_is_written_is_what_is_published() {
        let plan = sample::plan();
        let finding_line = sample::finding();
        let line = serde_json::to_value(Record::of(&finding_line, sample::names(&plan))).unwrap();
        jsonschema::validate(&finding(), &line).unwrap();
        let document = serde_json::to_value(sample::summary()).unwrap();
        jsonschema::validate(&verify(), &document).unwrap();
        let wrong = serde_json::json!({"transactions": {"consistent": -1}});
        assert!(!jsonschema::is_valid(&verify(), &wrong));
    }

    #[test]
    fn a_finding_has_the_fields_of_the_language_page_in_its_order() {
        let plan = sample::plan();
        let finding = sample::finding();
        let line = serde_json::to_string(&Record::of(&finding, sample::names(&plan))).unwrap();
        insta::assert_snapshot!(line);
    }
}
