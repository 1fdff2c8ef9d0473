//! A flow in words: how its keys join, and what an absence of each step waits for.

use super::plan::{Flow, Plan};
use super::ranks::binders;
use crate::model::{KeyId, SourceId, StepId};
use std::fmt::Write;

impl Plan {
    /// The table of a flow's keys with their ranks, and of its steps with what they wait for.
    pub fn describe(&self, flow: &Flow) -> String {
        let mut text = String::new();
        let _ = writeln!(
            text,
            "{}: one transaction for each {}, stragglers are waited for {}",
            flow.name, flow.keys[0].name, flow.linger
        );
        text.push_str(&table(&["key", "rank", "carried by", "bound by"], &self.key_rows(flow)));
        text.push('\n');
        text.push_str(&table(&["step", "from", "joins by", "its absence waits for"], &self.step_rows(flow)));
        text
    }

    fn key_rows(&self, flow: &Flow) -> Vec<Vec<String>> {
        let names = |steps: Vec<StepId>| {
            let names: Vec<&str> = steps.iter().map(|id| flow.steps[usize::from(*id)].name.as_str()).collect();
            names.join(", ")
        };
        let row = |(id, key): (usize, &super::plan::Key)| {
            let id = id as KeyId;
            let carriers = (0..flow.steps.len() as StepId).filter(|step| flow.steps[usize::from(*step)].carries(id));
            let bound = if id == 0 { "itself".to_owned() } else { names(binders(flow, id)) };
            vec![
                key.name.clone(),
                key.rank.map_or("none".into(), |rank| rank.to_string()),
                names(carriers.collect()),
                bound,
            ]
        };
        flow.keys.iter().enumerate().map(row).collect()
    }

    fn step_rows(&self, flow: &Flow) -> Vec<Vec<String>> {
        let sources = |ids: &[SourceId]| {
            let names: Vec<&str> = ids.iter().map(|id| self.sources[usize::from(*id)].name.as_str()).collect();
            names.join(", ")
        };
        let row = |step: &super::plan::Step| {
            let from = match &step.select {
                Some(select) => format!("{}.{select}", step.reads),
                None => step.reads.clone(),
            };
            let joins = if step.carries_flow_key { &step.keys[..1] } else { &step.keys[..] };
            let keys: Vec<&str> = joins.iter().map(|(key, _)| flow.keys[usize::from(*key)].name.as_str()).collect();
            vec![step.name.clone(), from, keys.join(", "), sources(&step.closure)]
        };
        flow.steps.iter().map(row).collect()
    }
}

/// Columns as wide as their widest text, two blanks apart, each row indented by two.
fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let head: Vec<String> = head.iter().map(|title| (*title).to_owned()).collect();
    let width = |column: usize| {
        let texts = rows.iter().chain([&head]).map(|row| row[column].chars().count());
        texts.max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let mut text = String::new();
    for row in std::iter::once(&head).chain(rows) {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        let _ = writeln!(text, "  {}", cells.join("  ").trim_end());
    }
    text
}
