//! Which servers there are to be followed: one, the master that sentinels name, or the masters of a cluster.

use super::super::live::{Failure, Intake};
use super::super::waiting::{Halt, Waiter};
use super::link::Link;
use super::options::{Options, Sentinel};
use super::{errors, value};
use redis::{ConnectionAddr, ConnectionInfo, RedisConnectionInfo, Value};
use std::sync::Arc;

/// Hash slots of a cluster.
const SLOTS: u16 = 16_384;

/// What a server says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hello {
    pub version: String,
    /// `standalone`, `cluster`, `sentinel`.
    pub mode: String,
    /// A sentinel has no role.
    pub is_master: bool,
}

/// A master of a cluster: its address, and the slots that it owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Master {
    pub address: String,
    pub slots: Vec<(u16, u16)>,
}

/// Asks a server what it is. Nobody needs a right for that.
pub(super) fn hello(link: &mut Link, waiter: &Waiter, intake: &mut dyn Intake) -> Result<Hello, Halt> {
    let answer = link.ask_one(redis::cmd("HELLO"), waiter, intake)?;
    read_hello(answer).ok_or_else(|| Failure(format!("Redis at {} does not say what it is", link.address)).into())
}

/// What an answer to `HELLO` says.
pub(super) fn read_hello(answer: Value) -> Option<Hello> {
    let pairs = value::pairs(answer)?;
    let of = |name: &str| {
        let found = pairs.iter().find(|(key, _)| value::raw(key) == name.as_bytes());
        found.map(|(_, text)| value::text(value::raw(text)))
    };
    Some(Hello {
        version: of("version")?,
        mode: of("mode")?,
        is_master: of("role").is_none_or(|role| role == "master"),
    })
}

/// Which server it is, in which of its lives: another one after a restart, and after another took over. One that still
/// reads its append-only file tells listeners of each change in it, as if it happened now.
pub(super) fn life(link: &mut Link, waiter: &Waiter, intake: &mut dyn Intake) -> Result<String, Halt> {
    let mut pipeline = redis::pipe();
    pipeline.cmd("INFO").arg("server").cmd("INFO").arg("replication").cmd("INFO").arg("persistence");
    let answers = link.ask(&pipeline, waiter, intake)?;
    let mut life = String::new();
    for (answer, field) in answers.iter().zip(["run_id:", "master_replid:"]) {
        let text = value::text(value::raw(answer));
        let Some(id) = text.lines().find_map(|line| line.strip_prefix(field)) else {
            return Err(errors::failed(&link.address, "INFO", answer, None).into());
        };
        life += id.trim();
    }
    if answers.last().is_some_and(|answer| value::text(value::raw(answer)).contains("loading:1")) {
        let address = &link.address;
        return Err(
            Failure(format!("Redis at {address} is still loading its data; it is tried again when it has")).into()
        );
    }
    Ok(life)
}

/// Connects to the first server of the configuration that lets us in: the master, where sentinels know it.
pub(super) fn first(options: &Arc<Options>, waiter: &Waiter, intake: &mut dyn Intake) -> Result<Link, Halt> {
    if let Some(sentinel) = &options.sentinel {
        let (master, _) = master(options, sentinel, waiter, intake)?;
        return Link::open(options, master, waiter, intake);
    }
    let mut failed = None;
    for url in &options.urls {
        match Link::open(options, Options::address(url)?, waiter, intake) {
            Err(Halt::Failed(failure)) => failed = Some(failure),
            done => return done,
        }
    }
    Err(failed.unwrap_or_else(|| Failure("`url` of the source is empty".into())).into())
}

/// Asks the sentinels for the master's address; with the link to the one that knew it.
pub(super) fn master(
    options: &Arc<Options>,
    sentinel: &Sentinel,
    waiter: &Waiter,
    intake: &mut dyn Intake,
) -> Result<(ConnectionInfo, Link), Halt> {
    let mut failed = None;
    for url in &options.urls {
        let info = Options::address(url)?;
        let mut login =
            RedisConnectionInfo::default().set_protocol(info.redis_settings().protocol()).set_skip_set_lib_name();
        if let Some((user, password)) = &sentinel.login {
            login = login.set_password(&password.0);
            if let Some(user) = user {
                login = login.set_username(user);
            }
        }
        let found = Link::open(options, info.clone().set_redis_settings(login), waiter, intake)
            .and_then(|mut link| Ok((address_of(&mut link, &sentinel.master, waiter, intake)?, link)));
        match found {
            Ok(((host, port), link)) => return Ok((moved(&info, host, port), link)),
            Err(Halt::Failed(failure)) => failed = Some(failure),
            Err(halt) => return Err(halt),
        }
    }
    Err(failed.unwrap_or_else(|| Failure("`url` of the source is empty".into())).into())
}

/// What a sentinel takes for the master's address.
pub(super) fn address_of(
    link: &mut Link,
    name: &str,
    waiter: &Waiter,
    intake: &mut dyn Intake,
) -> Result<(String, u16), Halt> {
    let mut command = redis::cmd("SENTINEL");
    command.arg("GET-MASTER-ADDR-BY-NAME").arg(name);
    let answer = link.ask_one(command, waiter, intake)?;
    let unknown = || Failure(format!("the sentinel at {} knows no master `{name}`: check `sentinel`", link.address));
    match &answer {
        Value::Array(parts) if parts.len() == 2 => {
            let port = value::integer(&parts[1]).and_then(|port| u16::try_from(port).ok()).ok_or_else(unknown)?;
            Ok((value::text(value::raw(&parts[0])), port))
        }
        Value::Nil => Err(unknown().into()),
        refused => Err(errors::failed(&link.address, "SENTINEL", refused, Some("Is it a sentinel?")).into()),
    }
}

/// The same login, at another address.
pub(super) fn moved(info: &ConnectionInfo, host: String, port: u16) -> ConnectionInfo {
    let address = match info.addr() {
        ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
            ConnectionAddr::TcpTls { host, port, insecure: *insecure, tls_params: tls_params.clone() }
        }
        _ => ConnectionAddr::Tcp(host, port),
    };
    info.clone().set_addr(address)
}

/// The masters of a cluster, as this node knows them. All slots must be served: what nobody serves cannot be seen.
pub(super) fn masters(answer: &Value, asked: &str) -> Result<Vec<Master>, Failure> {
    let Value::Array(ranges) = answer else { return Err(errors::failed(asked, "CLUSTER SLOTS", answer, None)) };
    let mut masters: Vec<Master> = Vec::new();
    let mut served = 0u32;
    for range in ranges {
        let Some((from, to, address)) = range_of(range, asked) else {
            return Err(errors::failed(asked, "CLUSTER SLOTS", range, None));
        };
        served += u32::from(to.saturating_sub(from)) + 1;
        match masters.iter_mut().find(|master| master.address == address) {
            Some(master) => master.slots.push((from, to)),
            None => masters.push(Master { address, slots: vec![(from, to)] }),
        }
    }
    if served < u32::from(SLOTS) {
        let missing = u32::from(SLOTS) - served;
        return Err(Failure(format!(
            "the cluster at {asked} does not serve {missing} of its {SLOTS} slots; it is looked at again"
        )));
    }
    masters.sort_by(|one, other| one.address.cmp(&other.address));
    Ok(masters)
}

fn range_of(range: &Value, asked: &str) -> Option<(u16, u16, String)> {
    let Value::Array(parts) = range else { return None };
    let number = |value: &Value| value::integer(value).and_then(|number| u16::try_from(number).ok());
    let Value::Array(master) = parts.get(2)? else { return None };
    let host = value::text(value::raw(master.first()?));
    // A node that does not know its own name is where it was asked.
    let host = if host.is_empty() || host == "?" { asked.rsplit_once(':')?.0.to_owned() } else { host };
    Some((number(&parts[0])?, number(parts.get(1)?)?, format!("{host}:{}", number(master.get(1)?)?)))
}

/// The slot of a key: of what stands in its first braces, where something does.
pub(super) fn slot(key: &[u8]) -> u16 {
    let tag = key.iter().position(|byte| *byte == b'{').and_then(|open| {
        let behind = &key[open + 1..];
        let length = behind.iter().position(|byte| *byte == b'}').filter(|length| *length > 0)?;
        Some(&behind[..length])
    });
    let crc = tag.unwrap_or(key).iter().fold(0u16, |crc, byte| {
        (0..8)
            .fold(crc ^ (u16::from(*byte) << 8), |crc, _| if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 })
    });
    crc % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_the_slots_that_the_cluster_gives_them() {
        assert_eq!(slot(b"123456789"), 0x31c3 % SLOTS);
        assert_eq!(slot(b"foo"), 12_182);
        assert_eq!(slot(b"{foo}.bar"), slot(b"foo"));
        assert_eq!(slot(b"a{}{foo}"), slot(b"a{}{foo}"));
        assert_ne!(slot(b"a{}{foo}"), slot(b"foo"));
    }

    #[test]
    fn a_cluster_must_serve_all_its_slots() {
        let bulk = |text: &str| Value::BulkString(text.into());
        let range = |from, to, host: &str, port| {
            Value::Array(vec![Value::Int(from), Value::Int(to), Value::Array(vec![bulk(host), Value::Int(port)])])
        };
        let whole = Value::Array(vec![range(0, 8_191, "b", 1), range(8_192, 16_383, "", 2)]);
        let found = masters(&whole, "a:9").unwrap();
        let told: Vec<_> = found.iter().map(|master| (&*master.address, master.slots.len())).collect();
        assert_eq!(told, [("a:2", 1), ("b:1", 1)]);
        let torn = Value::Array(vec![range(0, 8_191, "b", 1)]);
        assert!(masters(&torn, "a:9").unwrap_err().0.contains("8192 of its 16384"));
    }
}
