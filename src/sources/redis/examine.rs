//! `check --connect`: what the server lets us see, and what can be proven of it.

use super::super::remark::{Alone, Remark, looked};
use super::super::waiting::{Halt, Waiter};
use super::node::Node;
use super::options::Options;
use super::place::Place;
use super::scan::Scan;
use super::{errors, fetch, servers, value};
use crate::sources::redis::events::After;
use crate::sources::redis::fetch::Held;
use redis::Value;
use std::sync::Arc;

/// So many pages of keys are looked through for an example.
const PAGES_MAX: usize = 20;
/// So much of a value is shown.
const SHOWN: usize = 120;

/// Looks at everything that can be looked at.
pub(super) fn examine(options: &Arc<Options>) -> Vec<Remark> {
    looked(|remarks| look(options, remarks))
}

fn look(options: &Arc<Options>, remarks: &mut Vec<Remark>) -> Result<(), Halt> {
    let waiter = Waiter::new()?;
    let Place { mut nodes, watch } = Place::find(options, &waiter, &mut Alone)?;
    for (index, node) in nodes.iter_mut().enumerate() {
        let what = if watch.is_cluster() { "a master of a cluster" } else { "a server" };
        remarks
            .push(Remark::good(format!("Redis {} at {}, {what}, lets us in", node.hello.version, node.link.address)));
        node.listen(options, index == 0, &waiter, &mut Alone)?;
        match &node.assumed {
            Some(why) => remarks.push(Remark::warning(format!("progress will be assumed: {why}"))),
            None if !options.keys.is_empty() => {
                remarks.push(Remark::good("it publishes every change of keys of these types, so progress is proven"));
            }
            None => {}
        }
    }
    if options.listens() {
        remarks.push(Remark::warning(
            "what happens to keys and on channels while the source is not connected is lost: each time it is a gap",
        ));
    }
    example(options, &mut nodes, &waiter, remarks)?;
    for key in &options.streams {
        let slot = servers::slot(key.as_bytes());
        let Some(node) = nodes.iter_mut().find(|node| node.owns(slot)) else { continue };
        remarks.push(stream(key, node, &waiter)?);
    }
    Ok(())
}

/// A key that is there, and its value as a flow will see it.
fn example(options: &Options, nodes: &mut [Node], waiter: &Waiter, remarks: &mut Vec<Remark>) -> Result<(), Halt> {
    if options.keys.is_empty() {
        return Ok(());
    }
    let mut scan = Scan::default();
    for _ in 0..PAGES_MAX {
        let Some((node, keys)) = scan.next(nodes, options, waiter, &mut Alone)? else { break };
        let Some(key) = keys.into_iter().next() else { continue };
        let held = fetch::fetch(nodes, node, vec![(key.clone(), After::Unknown)], waiter, &mut Alone)?;
        if let Some(Held::Whole(json) | Held::Cut(json)) = held.get(&key).map(|found| &found.held) {
            let shown: String = json.chars().take(SHOWN).collect();
            let more = if shown.len() < json.len() { "…" } else { "" };
            remarks.push(Remark::good(format!("the key {} is there, with the body {shown}{more}", value::text(&key))));
            return Ok(());
        }
    }
    remarks.push(Remark::warning("no key was found that matches `keys`: are the patterns right?"));
    Ok(())
}

fn stream(key: &str, node: &mut Node, waiter: &Waiter) -> Result<Remark, Halt> {
    let mut command = redis::cmd("XINFO");
    command.arg("STREAM").arg(key);
    let answer = node.link.ask_one(command, waiter, &mut Alone)?;
    if let Value::ServerError(error) = &answer
        && error.details().is_some_and(|why| why.contains("no such key"))
    {
        return Ok(Remark::warning(format!(
            "there is no stream `{key}`: it is read from when it is made. Is the name right?"
        )));
    }
    let pairs = value::pairs(answer.clone());
    let of = |name: &str| {
        let pairs = pairs.as_ref()?;
        pairs.iter().find(|(key, _)| value::raw(key) == name.as_bytes()).and_then(|(_, number)| value::integer(number))
    };
    let Some(length) = of("length") else {
        let remedy = format!("Is `{key}` a stream?");
        return Err(errors::failed(&node.link.address, &format!("XINFO STREAM {key}"), &answer, Some(&remedy)).into());
    };
    Ok(match of("entries-added") {
        Some(added) => Remark::good(format!(
            "stream {key}: {length} entries of {added} that were ever added; one that is trimmed unread will be known"
        )),
        None => Remark::warning(format!(
            "stream {key}: {length} entries; this server is older than Redis 7 and does not count what is added, so that \
             trimming is a gap wherever it may have been too fast"
        )),
    })
}
