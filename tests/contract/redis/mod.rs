//! Redis, real servers.

mod cluster;
mod cost;
mod daemon;
mod keys;
mod random;
mod security;
mod sentinels;
mod streams;

use super::servers::redis::{NOTIFY, Redis, WATCHER};
use super::suite;
use super::system::System;
use super::watch::{Place, Said, Seen, Watch};
use throughline::sources::live::{Source, Start};
use throughline::sources::redis::{Options, Pattern, Secret, Security, Types};

/// The rights that docs/redis.md names.
const RIGHTS: &str = "%R~order:* %R~audit &__keyspace@0__:order:* -@all +psubscribe +subscribe +time +info +config|get \
                      +type +exists +getrange +lrange +hscan +sscan +zrange +scan +xinfo|stream +xrange";

/// What a source that only reads asks of a server.
const READING: [&str; 17] = [
    "auth",
    "client|setinfo",
    "config|get",
    "exists",
    "getrange",
    "hello",
    "hscan",
    "info",
    "lrange",
    "psubscribe",
    "scan",
    "sscan",
    "time",
    "type",
    "xinfo|stream",
    "xrange",
    "zrange",
];
/// What the tests themselves ask.
const TESTS: [&str; 6] = ["acl|setuser", "acl|log", "ping", "set", "xadd", "config|set"];

fn pattern(glob: &str) -> Pattern {
    Pattern { name: glob.to_owned(), glob: glob.to_owned() }
}

fn options(url: String) -> Options {
    Options {
        urls: vec![Secret(url)],
        sentinel: None,
        security: Security::default(),
        keys: Vec::new(),
        types: Types::default(),
        streams: Vec::new(),
        texts: false,
        channels: Vec::new(),
        start: Start::Latest,
    }
}

fn source(options: Options) -> Box<dyn Source> {
    Box::new(throughline::sources::redis::Redis::new(options))
}

fn watch(options: Options, from: Place) -> Watch {
    Watch::start(source(options), from)
}

fn records(said: &[Said]) -> Vec<&Seen> {
    said.iter().filter_map(|said| if let Said::Record(seen) = said { Some(seen) } else { None }).collect()
}

fn holes(said: &[Said]) -> Vec<&str> {
    said.iter().filter_map(|said| if let Said::Hole(why) = said { Some(&**why) } else { None }).collect()
}

/// Waits for so many records, and a proof of now.
#[track_caller]
fn wait(watch: &Watch, count: usize) -> Vec<Said> {
    watch.until("records", |said| records(said).len() >= count);
    watch.until_caught_up()
}

/// What is written: keys that are set, or entries of a stream.
#[derive(Clone, Copy)]
enum What {
    Keys,
    Stream,
}

struct Shop {
    server: Redis,
    what: What,
}

impl Shop {
    fn start(what: What) -> Shop {
        let mut settings = NOTIFY.to_vec();
        settings.extend(["--appendonly", "yes", "--appendfsync", "always"]);
        let shop = Shop { server: Redis::start(&settings), what };
        shop.server.allow(RIGHTS);
        shop
    }

    fn options(&self) -> Options {
        let url = self.server.url_of(WATCHER, 0);
        match self.what {
            What::Keys => Options { keys: vec![pattern("order:*")], ..options(url) },
            What::Stream => Options { streams: vec!["audit".into()], ..options(url) },
        }
    }
}

impl System for Shop {
    fn source(&self) -> Box<dyn Source> {
        source(self.options())
    }

    fn write(&mut self, id: u64) {
        match self.what {
            What::Keys => self.server.run::<()>("SET", &[format!("order:{id}"), format!(r#"{{"id":{id}}}"#)]),
            What::Stream => self.server.run::<()>("XADD", &["audit", "*", "id", &id.to_string()]),
        }
    }

    fn id(&self, record: &Seen) -> u64 {
        serde_json::from_str::<serde_json::Value>(&record.payload).unwrap()["id"].as_u64().unwrap()
    }

    fn cut(&mut self) -> bool {
        self.server.proxy().cut();
        true
    }

    fn stall(&mut self, stalled: bool) -> bool {
        self.server.proxy().stall(stalled);
        true
    }

    fn restart(&mut self) -> bool {
        self.server.stop();
        self.server.start_again();
        self.server.allow(RIGHTS);
        true
    }

    fn refusals(&mut self) -> Vec<(&'static str, Box<dyn Source>, Vec<&'static str>)> {
        let keys = |options| Options { keys: vec![pattern("order:*")], ..options };
        let nobody = options("redis://watcher:s3cret@127.0.0.1:1/0".into());
        let wrong = options(self.server.url_of(("watcher", "s3cret-not"), 0));
        let foreign = Options { keys: vec![pattern("cart:*")], ..options(self.server.url_of(WATCHER, 0)) };
        let other = Options { streams: vec!["other".into()], ..options(self.server.url_of(WATCHER, 0)) };
        vec![
            ("nobody there", source(keys(nobody)), vec!["127.0.0.1:1", "url"]),
            ("a wrong password", source(keys(wrong)), vec!["password", "url"]),
            ("keys that it may not hear of", source(foreign), vec!["ACL SETUSER", "channel"]),
            ("a stream that it may not read", source(other), vec!["XINFO STREAM other", "ACL SETUSER"]),
        ]
    }

    fn written_by_source(&mut self) -> Vec<String> {
        // The server that was restarted has counted nothing yet.
        let watch = Watch::start(self.source(), Place::default());
        watch.until_caught_up();
        self.write(1);
        wait(&watch, 1);
        watch.stop();
        let commands = self.server.commands();
        let read = match self.what {
            What::Keys => "getrange",
            What::Stream => "xrange",
        };
        assert!(commands.iter().any(|command| command == read), "the server has seen it read: {commands:?}");
        let known = |command: &str| READING.contains(&command) || TESTS.contains(&command);
        commands.into_iter().filter(|command| !known(command)).collect()
    }
}

#[test]
fn keys_of_redis_keep_their_word() {
    suite::keeps_its_word(&mut Shop::start(What::Keys));
}

#[test]
fn streams_of_redis_keep_their_word() {
    suite::keeps_its_word(&mut Shop::start(What::Stream));
}
