//! Where the servers are, and whether they still are: one server, the master that sentinels know, a cluster's masters.

use super::super::live::{Failure, Intake};
use super::super::waiting::{Halt, Waiter};
use super::link::Link;
use super::node::Node;
use super::options::Options;
use super::servers::{self, Master};
use redis::ConnectionInfo;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often a cluster, and sentinels, are asked who is master.
const ASKED_EVERY: Duration = Duration::from_secs(1);

/// The servers to follow, and whom to ask about them.
pub(super) struct Place {
    pub nodes: Vec<Node>,
    pub watch: Watch,
}

/// Who says which servers are to be followed.
pub(super) struct Watch {
    whom: Whom,
    asked: Instant,
}

enum Whom {
    /// The configuration alone.
    Nobody,
    /// Any server of the cluster.
    Cluster,
    /// A sentinel, while it can be reached.
    Sentinel(Option<Link>),
}

impl Place {
    /// Finds them, and connects to each.
    pub fn find(options: &Arc<Options>, waiter: &Waiter, intake: &mut dyn Intake) -> Result<Place, Halt> {
        let asked = Instant::now();
        if let Some(sentinel) = &options.sentinel {
            let (info, link) = servers::master(options, sentinel, waiter, intake)?;
            let node = Node::open(options, info, waiter, intake)?;
            if !node.hello.is_master {
                let why = format!("Redis at {} is not the master any more, as the sentinels think", node.link.address);
                return Err(Failure(why).into());
            }
            return Ok(Place { nodes: vec![node], watch: Watch { whom: Whom::Sentinel(Some(link)), asked } });
        }
        let first = servers::first(options, waiter, intake)?;
        let mut node = Node::of(first, waiter, intake)?;
        match &*node.hello.mode {
            "cluster" => {
                let masters = masters(&mut node, waiter, intake)?;
                let login = Options::address(options.urls.first().unwrap_or(&super::Secret(String::new())))?;
                let nodes = masters.iter().map(|master| open(options, &login, master, waiter, intake));
                let nodes = nodes.collect::<Result<Vec<Node>, Halt>>()?;
                Ok(Place { nodes, watch: Watch { whom: Whom::Cluster, asked } })
            }
            _ => Ok(Place { nodes: vec![node], watch: Watch { whom: Whom::Nobody, asked } }),
        }
    }
}

impl Watch {
    /// Whether the servers are those of a cluster.
    pub fn is_cluster(&self) -> bool {
        matches!(self.whom, Whom::Cluster)
    }

    /// Asks, now and then, whether the servers are still the right ones.
    pub fn look(
        &mut self,
        options: &Arc<Options>,
        nodes: &mut [Node],
        waiter: &Waiter,
        intake: &mut dyn Intake,
    ) -> Result<(), Halt> {
        if self.asked.elapsed() < ASKED_EVERY {
            return Ok(());
        }
        self.asked = Instant::now();
        match &mut self.whom {
            Whom::Nobody => Ok(()),
            Whom::Cluster => cluster(nodes, waiter, intake),
            Whom::Sentinel(link) => {
                let known = ask_sentinel(options, link, waiter, intake)?;
                let followed = nodes.first().map(|node| node.link.address.clone());
                match (known, followed) {
                    (Some(known), Some(followed)) if known != followed => {
                        let why = format!("the sentinels' master is Redis at {known}, and no more at {followed}");
                        Err(Failure(why).into())
                    }
                    _ => Ok(()),
                }
            }
        }
    }
}

/// A slot that moves between masters that are listened to loses nothing; a master that is new was not listened to.
fn cluster(nodes: &mut [Node], waiter: &Waiter, intake: &mut dyn Intake) -> Result<(), Halt> {
    let Some(first) = nodes.first_mut() else { return Ok(()) };
    let masters = masters(first, waiter, intake)?;
    let known = |master: &Master| nodes.iter().any(|node| node.link.address == master.address);
    if let Some(new) = masters.iter().find(|master| !known(master)) {
        let address = &new.address;
        let why = format!("Redis at {address} has become a master of the cluster, and was not listened to before");
        return Err(Failure(why).into());
    }
    for node in nodes {
        let owner = masters.iter().find(|master| master.address == node.link.address);
        node.slots = Some(owner.map(|master| master.slots.clone()).unwrap_or_default());
    }
    Ok(())
}

fn masters(node: &mut Node, waiter: &Waiter, intake: &mut dyn Intake) -> Result<Vec<Master>, Halt> {
    let mut command = redis::cmd("CLUSTER");
    command.arg("SLOTS");
    let answer = node.link.ask_one(command, waiter, intake)?;
    Ok(servers::masters(&answer, &node.link.address)?)
}

fn open(
    options: &Arc<Options>,
    login: &ConnectionInfo,
    master: &Master,
    waiter: &Waiter,
    intake: &mut dyn Intake,
) -> Result<Node, Halt> {
    let (host, port) = master.address.rsplit_once(':').unwrap_or((&master.address, "6379"));
    let info = servers::moved(login, host.to_owned(), port.parse().unwrap_or(6379));
    let mut node = Node::open(options, info, waiter, intake)?;
    if !node.hello.is_master {
        let why = format!("Redis at {} is not the master any more, as the cluster thinks", node.link.address);
        return Err(Failure(why).into());
    }
    node.slots = Some(master.slots.clone());
    Ok(node)
}

/// What a sentinel takes for the master; `None` while none can be reached, which is no reason to stop.
fn ask_sentinel(
    options: &Arc<Options>,
    link: &mut Option<Link>,
    waiter: &Waiter,
    intake: &mut dyn Intake,
) -> Result<Option<String>, Halt> {
    let Some(sentinel) = &options.sentinel else { return Ok(None) };
    let known = match link {
        Some(link) => servers::address_of(link, &sentinel.master, waiter, intake),
        None => servers::master(options, sentinel, waiter, intake).map(|(info, found)| {
            *link = Some(found);
            let address = info.addr().to_string();
            address
                .rsplit_once(':')
                .map(|(host, port)| (host.to_owned(), port.parse().unwrap_or(0)))
                .unwrap_or_default()
        }),
    };
    match known {
        Ok((host, port)) => Ok(Some(format!("{host}:{port}"))),
        Err(Halt::Stopped) => Err(Halt::Stopped),
        Err(Halt::Failed(Failure(why))) => {
            tracing::debug!("{why}");
            *link = None;
            Ok(None)
        }
    }
}
