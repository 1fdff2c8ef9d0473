//! What is said to be missing, while events come late, twice, in parts and in no order, and the daemon is killed.

use super::daemon::folder;
use super::post;
use crate::servers::daemon::Daemon;
use crate::servers::{eventually, free_port};
use crate::watch::now;
use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpStream;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;
use throughline::model::time::{Span, Time};

const FLOW: &str = r#"
flow: order
key: order
steps:
  placed: {from: shop.orders, key: {order: body.data.order}}
  paid:   {from: shop.payments, key: {order: body.data.order}}
checks:
  paid: {after: placed, expect: paid, within: 1s}
  once: {at_most: {paid: 1}}
"#;

/// The declared lateness.
const LATENESS_MS: u64 = 3_000;
const WRITERS: u64 = 16;

/// What happens to the payment of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It happens in time, and is sent within the lateness.
    Paid,
    /// It happens too late.
    Late,
    /// It never comes.
    Never,
}

/// `PUSH_ORDERS=2000 PUSH_SEED=1 cargo test --test contract no_absence_is_claimed` tries harder, or the same again.
#[test]
fn no_absence_is_claimed_that_a_later_event_proves_wrong() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let orders = number("PUSH_ORDERS").unwrap_or(96);
    let seed = number("PUSH_SEED").unwrap_or(now().0 as u64);
    eprintln!("PUSH_ORDERS={orders} PUSH_SEED={seed}");
    let listen = format!("127.0.0.1:{}", free_port());
    let source = format!("  shop: {{type: http, listen: \"{listen}\", lateness: {LATENESS_MS}ms, senders: retry}}");
    let folder = folder(FLOW, &source);
    let mut daemon = Daemon::start(folder.path());
    eventually("it does not listen", || TcpStream::connect(&listen).map_err(|error| error.to_string()));
    daemon.until_watching();
    let fates = Mutex::new(BTreeMap::new());
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (listen, fates) = (&listen, &fates);
            let random = fastrand::Rng::with_seed(seed ^ (writer + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            scope.spawn(move || Writer { listen, random }.work(writer, orders / WRITERS, fates));
        }
        thread::sleep(Duration::from_secs(5));
        daemon.kill();
        daemon.start_again();
    });
    let fates = fates.into_inner().unwrap();
    eventually("not everything was found", || {
        let found = found(&daemon);
        let open: Vec<_> = fates.iter().filter(|(order, fate)| !is_final(**fate, found.get(*order))).collect();
        if open.is_empty() { Ok(()) } else { Err(format!("{open:?}\n{found:?}")) }
    });
    for (order, found) in found(&daemon) {
        assert_ne!(fates[&order], Fate::Paid, "{order} was paid in time and told in time, and it was said: {found:?}");
    }
    daemon.stop();
}

/// Check, class and status of all that was found of each order, in order.
fn found(daemon: &Daemon) -> BTreeMap<String, Vec<[String; 3]>> {
    let mut found: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for one in daemon.told() {
        found.entry(one.key).or_default().push([one.check, one.class, one.status]);
    }
    found
}

fn is_final(fate: Fate, found: Option<&Vec<[String; 3]>>) -> bool {
    let last = found.and_then(|found| found.last()).map(|last| [&*last[0], &*last[1], &*last[2]]);
    match fate {
        Fate::Paid => last.is_none(),
        Fate::Late => last.is_some_and(|[check, class, _]| (check, class) == ("paid", "late")),
        Fate::Never => last == Some(["paid", "lost_message", "open"]),
    }
}

struct Writer<'a> {
    listen: &'a str,
    random: fastrand::Rng,
}

impl Writer<'_> {
    fn work(&mut self, writer: u64, orders: u64, fates: &Mutex<BTreeMap<String, Fate>>) {
        // Payments are sent when it is their time, in whatever order that is.
        let mut due: Vec<(Time, String, Time)> = Vec::new();
        for number in 0..orders {
            thread::sleep(Duration::from_millis(self.random.u64(0..600)));
            let (order, placed) = (format!("o-{writer}-{number}"), now());
            let fate = [Fate::Paid, Fate::Paid, Fate::Paid, Fate::Late, Fate::Never][self.random.usize(0..5)];
            fates.lock().unwrap().insert(order.clone(), fate);
            if fate != Fate::Never {
                let after = if fate == Fate::Late { self.random.i64(1_300..1_800) } else { self.random.i64(20..800) };
                let paid = placed + Span(after * 1_000_000);
                let sent = paid + Span(self.random.i64(0..LATENESS_MS as i64 - 1_000) * 1_000_000);
                due.push((sent, order.clone(), paid));
            }
            self.send("orders", &order, placed);
            due.sort();
            while due.first().is_some_and(|(sent, ..)| *sent <= now()) {
                let (_, order, paid) = due.remove(0);
                self.send("payments", &order, paid);
            }
        }
        for (sent, order, paid) in due {
            thread::sleep(Duration::from_nanos(u64::try_from(sent.since(now()).0).unwrap_or(0)));
            self.send("payments", &order, paid);
        }
    }

    /// Until it is answered; now and then in parts first, or twice.
    fn send(&mut self, stream: &str, order: &str, at: Time) {
        let (path, time) = (format!("/ingest/shop/{stream}"), at.to_string());
        let event = format!(
            r#"{{"specversion":"1.0","id":"{stream}-{order}","source":"/test","type":"t","time":"{time}","data":{{"order":"{order}"}}}}"#
        );
        if self.random.u8(0..6) == 0 {
            // A sender whose connection breaks.
            let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", event.len());
            let part = self.random.usize(0..event.len());
            let cut = TcpStream::connect(self.listen);
            let _ = cut.and_then(|mut cut| cut.write_all(&[head.as_bytes(), &event.as_bytes()[..part]].concat()));
        }
        let url = format!("http://{}{path}", self.listen);
        let headers = [("content-type", "application/cloudevents+json")];
        let mut times = 1 + u8::from(self.random.u8(0..5) == 0);
        while times > 0 {
            match post(&url, &headers, event.as_bytes()).status {
                202 => times -= 1,
                _ => thread::sleep(Duration::from_millis(100)),
            }
        }
    }
}
