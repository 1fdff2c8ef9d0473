//! What the server says of keys and on channels: which events it must be set to publish, and what each means.

use super::super::live::Failure;
use super::glob;
use super::options::Options;
use crate::model::time::Time;
use redis::{PushInfo, PushKind, Value};

/// Types of values, each with the letter by which `notify-keyspace-events` calls its commands.
pub const TYPES: [(&str, char); 5] = [("string", '$'), ("list", 'l'), ("set", 's'), ("hash", 'h'), ("zset", 'z')];
/// Commands of all types, expiry, eviction: without them a key would vanish in silence.
const ALWAYS: [char; 3] = ['g', 'x', 'e'];
/// What the letter `A` stands for.
const ALL: &str = "g$lshzxetd";

/// Types of values, by their letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Types(pub Vec<char>);

impl Default for Types {
    fn default() -> Types {
        Types(TYPES.iter().map(|(_, letter)| *letter).collect())
    }
}

/// Refuses a server that does not publish what is followed.
pub(super) fn published(flags: &str, types: &Types, address: &str) -> Result<(), Failure> {
    let has = |letter: char| flags.contains(letter) || (flags.contains('A') && ALL.contains(letter));
    let needed = ['K'].into_iter().chain(ALWAYS).chain(types.0.iter().copied());
    let missing: String = needed.filter(|letter| !has(*letter)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Failure(format!(
        "Redis at {address} does not publish all changes of keys: `notify-keyspace-events` is \"{flags}\" and lacks \
         \"{missing}\". Its administrator sets it, `CONFIG SET notify-keyspace-events {flags}{missing}`, and in redis.conf for \
         the time after a restart"
    )))
}

/// The kind of a value, as far as it decides how it is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    String,
    List,
    Set,
    Hash,
    Sorted,
}

impl Kind {
    /// What `TYPE` says; `None` for what is not fetched: nothing, streams, values of modules.
    pub fn of_type(name: &str) -> Option<Kind> {
        match name {
            "string" => Some(Kind::String),
            "list" => Some(Kind::List),
            "set" => Some(Kind::Set),
            "hash" => Some(Kind::Hash),
            "zset" => Some(Kind::Sorted),
            _ => None,
        }
    }
}

/// What is known of a key after an event, without asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// It is gone.
    Gone,
    /// It is likely of this kind: the answer will tell.
    Holds(Kind),
    /// It may be anything.
    Unknown,
}

impl After {
    /// What an event says of its key.
    pub fn of(event: &str) -> After {
        let begins = |one: &[&str]| one.iter().any(|begin| event.starts_with(begin));
        match event {
            "del" | "expired" | "evicted" | "rename_from" | "move_from" => After::Gone,
            "set" | "setrange" | "append" | "incrby" | "incrbyfloat" => After::Holds(Kind::String),
            "sadd" | "srem" | "spop" | "sinterstore" | "sunionstore" | "sdiffstore" => After::Holds(Kind::Set),
            "sortstore" => After::Holds(Kind::List),
            _ if begins(&["lpush", "rpush", "lpop", "rpop", "linsert", "lset", "lrem", "ltrim"]) => {
                After::Holds(Kind::List)
            }
            _ if begins(&["hset", "hdel", "hincr", "hexp", "hpersist", "hgetdel", "hgetex"]) => {
                After::Holds(Kind::Hash)
            }
            _ if begins(&["zadd", "zincr", "zrem", "zunion", "zinter", "zdiff", "zrange", "geo"]) => {
                After::Holds(Kind::Sorted)
            }
            _ => After::Unknown,
        }
    }
}

/// Something that the server has pushed.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Event {
    /// A key was changed: the number of its pattern, the key, what was done.
    Key { of: usize, key: Vec<u8>, what: String },
    /// A message: the number of its channel in the options, the channel's name, what it says.
    Message { of: usize, channel: Vec<u8>, text: Vec<u8> },
}

impl Event {
    /// What a push says; `None` for what is said twice, since a name may match several patterns, and for confirmations.
    pub fn of(push: PushInfo, options: &Options) -> Option<Event> {
        let mut data = push.data.into_iter().map(bytes);
        let mut next = || data.next().flatten();
        let (pattern, channel, text) = match push.kind {
            PushKind::PMessage => (next()?, next()?, next()?),
            PushKind::Message => {
                let channel = next()?;
                (channel.clone(), channel, next()?)
            }
            _ => return None,
        };
        let keyspace = format!("__keyspace@{}__:", options.database());
        if let (Some(pattern), Some(key)) =
            (pattern.strip_prefix(keyspace.as_bytes()), channel.strip_prefix(keyspace.as_bytes()))
        {
            let of = options.keys.iter().position(|keys| glob::matches(keys.glob.as_bytes(), key))?;
            let first = options.keys[of].glob.as_bytes() == pattern;
            let what = String::from_utf8_lossy(&text).into_owned();
            return first.then(|| Event::Key { of, key: key.to_vec(), what });
        }
        let matching = |one: &super::Pattern| match one.has_wildcard() {
            true => glob::matches(one.glob.as_bytes(), &channel),
            false => one.glob.as_bytes() == channel,
        };
        let of = options.channels.iter().position(matching)?;
        let first = options.channels[of].glob.as_bytes() == pattern;
        first.then_some(Event::Message { of, channel, text })
    }
}

/// An event with the moments between which it happened: by the server's clock no earlier than `floor`, and received at
/// `received` by this machine's.
#[derive(Clone, Debug)]
pub(super) struct Pushed {
    pub event: Event,
    pub floor: Time,
    pub received: std::time::Instant,
}

fn bytes(value: Value) -> Option<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.into_bytes()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_must_publish_all_that_is_followed() {
        let told = |flags: &str, types: &str| {
            published(flags, &Types(types.chars().collect()), "shop:6379").err().map(|failure| failure.0)
        };
        assert_eq!(told("AK", "$lshz"), None);
        assert_eq!(told("Kg$xe", "$"), None);
        assert!(told("", "$lshz").unwrap().contains("CONFIG SET notify-keyspace-events Kgxe$lshz"));
        assert!(told("KE$x", "$h").unwrap().contains("is \"KE$x\" and lacks \"geh\""));
        assert!(told("AE", "$").unwrap().contains("lacks \"K\""));
    }

    #[test]
    fn an_event_says_what_its_key_holds() {
        assert_eq!(After::of("set"), After::Holds(Kind::String));
        assert_eq!(After::of("hincrbyfloat"), After::Holds(Kind::Hash));
        assert_eq!(After::of("zremrangebyscore"), After::Holds(Kind::Sorted));
        assert_eq!(After::of("expired"), After::Gone);
        assert_eq!(After::of("rename_to"), After::Unknown);
    }
}
