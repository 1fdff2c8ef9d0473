//! What is there at the beginning: keys are looked for page by page, gently.

use super::super::live::Intake;
use super::super::waiting::{Halt, Waiter};
use super::options::Options;
use super::{errors, glob, value};
use redis::Value;

/// So many keys are looked at in one step; what does not match costs the server as much.
const PAGE: usize = 500;

/// Keys of one server, by its number.
pub(super) type Page = (usize, Vec<Vec<u8>>);

/// How far it has come.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// The server that is being looked through, and the one after the last, when it is done.
    node: usize,
    cursor: String,
}

impl Scan {
    /// The next page: the server, and which of its keys match; `None` when there is no more.
    pub fn next(
        &mut self,
        nodes: &mut [super::node::Node],
        options: &Options,
        waiter: &Waiter,
        intake: &mut dyn Intake,
    ) -> Result<Option<Page>, Halt> {
        let Some(node) = nodes.get_mut(self.node) else { return Ok(None) };
        let mut command = redis::cmd("SCAN");
        command.arg(if self.cursor.is_empty() { "0" } else { &self.cursor });
        // Of several patterns, the server would go through all keys for each.
        if let [only] = &options.keys[..] {
            command.arg("MATCH").arg(&only.glob);
        }
        command.arg("COUNT").arg(PAGE);
        let answer = node.link.ask_one(command, waiter, intake)?;
        let address = node.link.address.clone();
        let Some((cursor, keys)) = page(&answer) else {
            return Err(errors::failed(&address, "SCAN", &answer, None).into());
        };
        let at = self.node;
        if cursor == "0" {
            self.node += 1;
        }
        self.cursor = if cursor == "0" { String::new() } else { cursor };
        let matches = |key: &Vec<u8>| options.keys.iter().any(|keys| glob::matches(keys.glob.as_bytes(), key));
        Ok(Some((at, keys.into_iter().filter(matches).collect())))
    }
}

fn page(answer: &Value) -> Option<(String, Vec<Vec<u8>>)> {
    let Value::Array(parts) = answer else { return None };
    let [cursor, Value::Array(keys)] = &parts[..] else { return None };
    Some((value::text(value::raw(cursor)), keys.iter().map(|key| value::raw(key).to_vec()).collect()))
}
