//! What to follow in a cluster, and how the client is set up for it.

use super::registry::{Encoding, Registry};
use crate::model::time::Span;
use crate::sources::live::Start;
use crate::sources::secret::Secret;
use rdkafka::config::ClientConfig;
use regex::Regex;

/// Fetched messages wait in the client up to so many kilobytes; one answer of each broker may come on top.
const QUEUE_MAX_KILOBYTES: &str = "32768";
/// A broker's answer is at most so large.
const FETCH_MAX_BYTES: &str = "16777216";
/// Of one partition at most so much, unless a single message is larger.
const FETCH_PARTITION_MAX_BYTES: &str = "2097152";

/// What to follow, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// `host:port`, several by commas.
    pub brokers: String,
    /// Topics by name.
    pub topics: Vec<String>,
    /// Topics by what their names look like.
    pub patterns: Vec<Regex>,
    /// Only what is committed is handed over.
    pub committed: bool,
    /// How to get in.
    pub security: Security,
    /// Where to begin at the very first start.
    pub start: Start,
    /// How far the clocks that stamp the messages may be from this machine's.
    pub clock_skew: Span,
    /// The payload as it is handed over.
    pub payload: Payload,
}

/// What is made of a payload before it is handed over.
#[derive(Clone, Debug)]
pub enum Payload {
    /// Nothing.
    Plain,
    /// It is JSON; of a message that has none, null. The head that producers with a JSON schema write is taken off.
    Json,
    /// JSON is made of it, by schemas of a registry.
    Schemas(Registry, Encoding),
}

/// How to get in.
#[derive(Clone, Debug, Default)]
pub struct Security {
    /// Encrypted by TLS.
    pub tls: bool,
    /// The file of the authorities that are trusted; `None`: those of the machine.
    pub ca: Option<String>,
    /// The files of the client's certificate and its key.
    pub certificate: Option<(String, String)>,
    /// The password of the key.
    pub key_password: Option<Secret>,
    /// Mechanism, user and password.
    pub sasl: Option<(Mechanism, String, Secret)>,
}

/// How a user is known by SASL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// The password as it is.
    Plain,
    /// Challenge and response, SHA-256.
    ScramSha256,
    /// Challenge and response, SHA-512.
    ScramSha512,
}

impl Options {
    /// Whether a topic is followed by what its name looks like. Kafka's own topics are none of them.
    pub(super) fn matches(&self, topic: &str) -> bool {
        !topic.starts_with("__") && self.patterns.iter().any(|pattern| pattern.is_match(topic))
    }

    /// The configuration of the client.
    pub(super) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", "throughline")
            .set("isolation.level", if self.committed { "read_committed" } else { "read_uncommitted" })
            // Nothing is written, committed or created.
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("allow.auto.create.topics", "false")
            .set("enable.metrics.push", "false")
            // What is lost is admitted, and not jumped over.
            .set("auto.offset.reset", "error")
            .set("enable.partition.eof", "true")
            .set("check.crcs", "true")
            // The end of a partition is told with the answer to a fetch, so an idle one must not take long.
            .set("fetch.wait.max.ms", "100")
            .set("fetch.error.backoff.ms", "100")
            .set("fetch.queue.backoff.ms", "10")
            .set("fetch.max.bytes", FETCH_MAX_BYTES)
            .set("fetch.message.max.bytes", FETCH_PARTITION_MAX_BYTES)
            .set("queued.max.messages.kbytes", QUEUE_MAX_KILOBYTES)
            // A connection that is dead is noticed, and made again soon.
            .set("socket.timeout.ms", "10000")
            .set("socket.keepalive.enable", "true")
            .set("socket.connection.setup.timeout.ms", "5000")
            .set("reconnect.backoff.ms", "100")
            .set("reconnect.backoff.max.ms", "2000");
        self.security.set(&mut config);
        config
    }
}

impl Security {
    fn set(&self, config: &mut ClientConfig) {
        let protocol = match (self.sasl.is_some(), self.tls) {
            (true, true) => "sasl_ssl",
            (true, false) => "sasl_plaintext",
            (false, true) => "ssl",
            (false, false) => "plaintext",
        };
        config.set("security.protocol", protocol);
        if self.tls {
            config.set("ssl.ca.location", self.ca.as_deref().unwrap_or("probe"));
        }
        if let Some((certificate, key)) = &self.certificate {
            config.set("ssl.certificate.location", certificate).set("ssl.key.location", key);
        }
        if let Some(Secret(password)) = &self.key_password {
            config.set("ssl.key.password", password);
        }
        if let Some((mechanism, user, Secret(password))) = &self.sasl {
            let mechanism = match mechanism {
                Mechanism::Plain => "PLAIN",
                Mechanism::ScramSha256 => "SCRAM-SHA-256",
                Mechanism::ScramSha512 => "SCRAM-SHA-512",
            };
            config.set("sasl.mechanism", mechanism).set("sasl.username", user).set("sasl.password", password);
        }
    }
}
