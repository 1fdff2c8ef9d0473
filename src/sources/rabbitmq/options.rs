//! What to follow on a broker, and within which limits.

use crate::model::time::Span;
use crate::sources::live::Start;
use crate::sources::secret::Secret;

/// What to follow, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// `amqp://user:password@host:5672/vhost`, or `amqps://`.
    pub url: Secret,
    /// The file of authorities that are trusted beside the machine's.
    pub ca: Option<String>,
    /// The files of our own certificate and its key.
    pub certificate: Option<(String, String)>,
    /// What is followed.
    pub taps: Vec<Tap>,
    /// How long the broker keeps our queues when we are gone.
    pub keep: Span,
    /// So many messages wait for us in one queue of ours, at most.
    pub max_messages: u64,
    /// So many bytes of them.
    pub max_bytes: u64,
    /// Our queues are durable, for a broker that allows no others.
    pub durable: bool,
    /// Which messages are timed by their own property.
    pub stamped: Stamped,
    /// How far the clocks that stamp the messages may be from this machine's.
    pub clock_skew: Span,
}

/// Which messages are timed by their own property, and have the time at which they come here where it is not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamped {
    /// All.
    Always,
    /// Those that have this header; others say their time in their body.
    Where(&'static str),
    /// None: a field of the body is named.
    Never,
}

/// How long the broker keeps our queues after a look at it.
const KEEP_AFTER_LOOK: Span = Span::seconds(15);

/// More than wait in a queue, so many may be on their way to us.
const PREFETCH_MORE: u64 = 1_000;

impl Options {
    /// How many messages of a queue may be with us that are not acknowledged. We acknowledge up to a mark alone, so a mark
    /// must come through whatever lies before it: all that the queue holds, and a quarter of this.
    pub fn prefetch(&self) -> u16 {
        u16::try_from(self.max_messages * 4 / 3 + PREFETCH_MORE).unwrap_or(u16::MAX)
    }

    /// Whether all of it holds what was before.
    pub fn looks_back(&self) -> bool {
        self.taps.iter().all(|tap| matches!(tap.origin, Origin::Stream { .. }))
    }

    /// For a look that is soon over: streams begin there, and our queues go soon after. Those begin when they are bound.
    pub fn for_a_look(&mut self, at: Start) {
        self.keep = self.keep.min(KEEP_AFTER_LOOK);
        for tap in &mut self.taps {
            if let Origin::Stream { start, .. } = &mut tap.origin {
                *start = Begin::of(at);
            }
        }
    }
}

/// One thing that is followed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tap {
    /// Its name: the stream of its records.
    pub name: String,
    /// Where its records come from.
    pub origin: Origin,
}

/// Where records come from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// A queue of ours, bound to an exchange.
    Exchange {
        /// The exchange.
        exchange: String,
        /// How it is bound.
        binding: Binding,
    },
    /// A stream, which is read without taking anything out of it.
    Stream {
        /// The stream.
        stream: String,
        /// Where to begin.
        start: Begin,
    },
    /// The broker's own trace of what is published or delivered.
    Firehose(Trace),
}

/// How a queue of ours is bound.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Binding {
    /// By routing keys; `#` where the exchange looks at none.
    Keys(Vec<String>),
    /// By headers: all of them or any; `None` asks for a header's presence alone.
    Headers {
        /// All must match.
        all: bool,
        /// Names and values.
        headers: Vec<(String, Option<String>)>,
    },
}

/// What the firehose is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Trace {
    /// What is published to an exchange; the default one has an empty name. With a routing key, what has this one.
    Published {
        /// The exchange.
        exchange: String,
        /// The routing key.
        routing: Option<String>,
    },
    /// What is delivered from a queue.
    Delivered {
        /// The queue.
        queue: String,
    },
}

/// Where a stream begins that was never followed before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Begin {
    /// With the oldest message that is there.
    First,
    /// With the newest ones.
    Last,
    /// With this offset.
    Offset(u64),
    /// With what was written in this second or later, in seconds of the epoch.
    At(u64),
}

impl Begin {
    /// The same as all sources say it.
    pub fn of(start: Start) -> Begin {
        match start {
            Start::Latest => Begin::Last,
            Start::Beginning => Begin::First,
            Start::At(time) => Begin::At(u64::try_from(time.0 / 1_000_000_000).unwrap_or_default()),
        }
    }
}
