//! `check --connect`: whether the broker lets us in, may be bound to, and what will be proven.

use super::link::Link;
use super::options::{Options, Origin, Stamped, Tap};
use super::own::{self, Names, TRACE};
use super::replay;
use crate::sources::live::Failure;
use crate::sources::remark::{Alone, Remark};
use crate::sources::waiting::Halt;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;

/// Looks at everything that can be looked at. What is made for it goes with the connection.
pub(super) fn examine(options: &Options) -> Vec<Remark> {
    let mut remarks = Vec::new();
    match Link::open(options, &mut Alone) {
        Ok(link) => {
            remarks.push(Remark::good(format!("RabbitMQ at {} lets us in", link.address.text)));
            for tap in &options.taps {
                remarks.push(look(&link, options, tap).unwrap_or_else(|halt| told(&halt)));
            }
            if remarks.iter().all(|remark| remark.weight < crate::sources::remark::Weight::Error) {
                remarks.push(proofs(options));
            }
        }
        Err(halt) => remarks.push(told(&halt)),
    }
    remarks
}

fn told(halt: &Halt) -> Remark {
    match halt {
        Halt::Failed(Failure(why)) => Remark::error(why.clone()),
        Halt::Stopped => Remark::error("it was stopped"),
    }
}

fn look(link: &Link, options: &Options, tap: &Tap) -> Result<Remark, Halt> {
    let name = &tap.name;
    if let Origin::Stream { stream, .. } = &tap.origin {
        return Ok(match replay::chunk(link, options, (stream, "last"), &mut Alone)? {
            Some((_, last)) => Remark::good(format!(
                "`{name}`: the stream `{stream}` can be read; its newest message has the offset {last}"
            )),
            None => Remark::good(format!("`{name}`: the stream `{stream}` can be read; there is nothing in it")),
        });
    }
    // A queue that goes with the connection, with a name that the same rights are needed for.
    let names = Names::new(fastrand::u64(..));
    let queue = format!("{}.check", names.exchange);
    let channel = link.channel(&mut Alone)?;
    let passing = QueueDeclareOptions { exclusive: true, auto_delete: true, ..QueueDeclareOptions::default() };
    let made =
        link.try_ask(&mut Alone, channel.queue_declare(queue.as_str().into(), passing, FieldTable::default()))?;
    made.map_err(|error| link.refusal("to make a queue of ours", &error, &own::rights(link, options)))?;
    for (exchange, key, arguments) in own::bindings(tap, &names) {
        own::bind(link, &channel, options, &queue, (&exchange, &key, arguments), &mut Alone)?;
    }
    Ok(match &tap.origin {
        Origin::Firehose(_) => Remark::warning(format!(
            "`{name}`: `{TRACE}` can be bound to. Whether the firehose is on shows when it is followed: `rabbitmqctl trace_on -p '{}'`. It costs the broker a second message for each one of this virtual host",
            link.address.vhost
        )),
        Origin::Exchange { exchange, .. } => {
            Remark::good(format!("`{name}`: a queue of ours can be bound to the exchange `{exchange}`"))
        }
        Origin::Stream { .. } => Remark::good(format!("`{name}` can be read")),
    })
}

fn proofs(options: &Options) -> Remark {
    let queues = options.taps.iter().any(|tap| !matches!(tap.origin, Origin::Stream { .. }));
    let keep = options.keep;
    let mut text = String::from(
        "progress is proven. What a publisher sends to the default exchange, straight into a queue, is seen by `firehose` alone",
    );
    if queues {
        text += &format!(
            ". Gaps are possible: after a restart of the broker, where the source was away for longer than {keep} (`keep`), or where more than {} messages waited",
            options.max_messages
        );
    }
    const ARRIVAL: &str = "have the time at which they come here: then progress is assumed";
    match options.stamped {
        Stamped::Always => text += &format!(". Messages without a timestamp {ARRIVAL}"),
        Stamped::Where(header) => text += &format!(". Messages with the header `{header}` and no timestamp {ARRIVAL}"),
        Stamped::Never => {}
    }
    Remark::good(text)
}
