//! A configuration in tests: beside a flow that says nothing, in an environment of these variables.

use super::from_document;
use crate::config::Config;
use crate::flow::diagnostic::Document;

/// What a text gives, and what is said of it.
pub fn loaded(text: &str, variables: &[(&str, &str)]) -> (Option<Config>, String) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("order.yaml"), "flow: order\n").unwrap();
    let document = Document { path: folder.path().join("throughline.yaml"), text: text.into() };
    let environment = |name: &str| {
        let known = variables.iter().find(|(known, _)| *known == name);
        known.map(|(_, value)| (*value).to_owned())
    };
    let loaded = from_document(document, &environment);
    let told: String = loaded.diagnostics.iter().map(ToString::to_string).collect();
    (loaded.config, told.replace(&format!("{}/", folder.path().display()), ""))
}
