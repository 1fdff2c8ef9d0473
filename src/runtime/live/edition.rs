//! One edition of a flow: its text, and what else its plan depends on. It stands in the journal, so that what was
//! observed under it can be judged again by the same rules.

use crate::config::Config;
use crate::flow::diagnostic::Document;
use crate::flow::plan::Plan;
use crate::flow::{SourceInfo, compile, name_of};
use crate::model::time::Span;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;

/// One edition of a flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edition {
    /// The flow's name.
    pub flow: String,
    /// The flow's document and those of shared steps: path and text.
    documents: Vec<(PathBuf, String)>,
    /// The sources that it reads.
    sources: Vec<SourceInfo>,
    clock_skew: Span,
}

/// An edition with the plan that it means.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The text.
    pub edition: Edition,
    /// A plan of this flow alone.
    pub plan: Arc<Plan>,
}

impl Edition {
    /// All flows of the configuration, or `only` this one; documents without mistakes.
    pub fn all(config: &Config, documents: &[Document], only: Option<&str>) -> Vec<Compiled> {
        let named: Vec<(Option<String>, &Document)> = documents.iter().map(|d| (name_of(d), d)).collect();
        let flows = named.iter().filter_map(|(name, _)| name.as_deref()).filter(|name| only.is_none_or(|o| o == *name));
        let edition = |flow: &str| {
            let own = named.iter().filter(|(name, _)| name.as_deref().is_none_or(|name| name == flow));
            let documents = own.map(|(_, document)| (document.path.clone(), document.text.clone())).collect();
            let (flow, clock_skew) = (flow.to_owned(), config.clock_skew);
            let mut edition = Edition { flow, documents, sources: config.source_infos(), clock_skew };
            let plan = edition.compile()?;
            // A change of other sources is no change of this flow.
            edition.sources.retain(|info| plan.sources.iter().any(|source| source.name == info.name));
            let plan = edition.compile()?;
            Some(Compiled { edition, plan })
        };
        flows.filter_map(edition).collect()
    }

    /// The plan that it means; `None` where this version of the program finds a mistake in it.
    pub fn compile(&self) -> Option<Arc<Plan>> {
        let documents = self.documents.iter().map(|(path, text)| Document { path: path.clone(), text: text.clone() });
        let (plan, _) = compile(&documents.collect::<Vec<_>>(), &self.sources, self.clock_skew);
        plan.map(Arc::new)
    }
}
