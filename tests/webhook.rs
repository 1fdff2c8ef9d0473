//! The webhook, against a receiver that fails in every way: nothing is lost, and nobody waits for it.

mod shop;

use shop::{CONFIG, PATIENCE, Shop, a_while};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// What a receiver does with a post.
#[derive(Clone, Copy, PartialEq)]
enum Answer {
    Takes,
    Fails,
    /// It answers nothing at all.
    Hangs,
    /// It refuses every post in which this stands.
    Refuses(&'static str),
}

/// The posts that were taken: their heads and their findings.
type Taken = Vec<(String, Vec<serde_json::Value>)>;

/// A receiver of findings.
struct Receiver {
    port: u16,
    answer: Arc<Mutex<Answer>>,
    taken: Arc<Mutex<Taken>>,
}

impl Receiver {
    fn new(answer: Answer) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let receiver = Receiver { port, answer: Arc::new(Mutex::new(answer)), taken: Arc::default() };
        let (answer, taken) = (receiver.answer.clone(), receiver.taken.clone());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (answer, taken) = (answer.clone(), taken.clone());
                thread::spawn(move || serve(&stream.unwrap(), &answer, &taken));
            }
        });
        receiver
    }

    fn answers(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    /// How often it took each order, with the newest state, once there are so many.
    fn orders(&self, count: usize) -> BTreeMap<String, Vec<String>> {
        let begun = Instant::now();
        loop {
            let mut orders: BTreeMap<String, Vec<String>> = BTreeMap::new();
            for finding in self.taken.lock().unwrap().iter().flat_map(|(_, findings)| findings) {
                let text = |name: &str| finding[name].as_str().unwrap().to_owned();
                orders.entry(text("key")).or_default().push(text("status"));
            }
            if orders.len() >= count {
                return orders;
            }
            assert!(begun.elapsed() < PATIENCE, "{orders:?}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// A shop whose daemon sends here.
    fn shop(&self) -> Shop {
        let shop = Shop::new();
        let port = self.port;
        shop.write(
            "throughline.yaml",
            &format!(
                "{CONFIG}server: {{listen: \"127.0.0.1:0\"}}\nwebhook: {{url: \"http://127.0.0.1:{port}/hook/s3cret\", token: t0ken}}\n"
            ),
        );
        shop.log("tick", "-");
        shop
    }
}

fn serve(stream: &TcpStream, answer: &Mutex<Answer>, taken: &Mutex<Taken>) {
    let mut reader = BufReader::new(stream);
    loop {
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if let Some((_, value)) = line.to_lowercase().split_once("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
            head.push_str(&line);
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let body = String::from_utf8(body).unwrap();
        let status = match *answer.lock().unwrap() {
            Answer::Takes => 200,
            Answer::Fails => 503,
            Answer::Refuses(what) if body.contains(what) => 422,
            Answer::Refuses(_) => 204,
            Answer::Hangs => 0,
        };
        match status {
            0 => thread::sleep(Duration::from_secs(60)),
            200..300 => {
                let body: serde_json::Value = serde_json::from_str(&body).unwrap();
                taken.lock().unwrap().push((head, body["findings"].as_array().unwrap().clone()));
            }
            _ => {}
        }
        if write!(&mut (&*stream), "HTTP/1.1 {status} so\r\ncontent-length: 0\r\n\r\n").is_err() {
            return;
        }
    }
}

#[test]
fn findings_are_posted_as_they_come() {
    let receiver = Receiver::new(Answer::Takes);
    let shop = receiver.shop();
    let daemon = shop.start("one");
    a_while();
    shop.log("placed", "o-1");
    assert_eq!(receiver.orders(1)["o-1"], ["open"]);
    shop.log("paid", "o-1");
    daemon.found(2);
    let said = daemon.stop();
    assert_eq!(receiver.orders(1)["o-1"], ["open", "healed"], "the last one is sent before it ends");
    let taken = receiver.taken.lock().unwrap();
    let head = taken[0].0.to_lowercase();
    assert!(head.starts_with("post /hook/s3cret ") && head.contains("authorization: bearer t0ken"), "{head}");
    assert!(taken[0].1[0]["evidence"].is_array(), "all of it: {taken:?}");
    assert!(!said.contains("s3cret") && !said.contains("t0ken"), "{said}");
}

#[test]
fn a_receiver_that_is_down_loses_nothing_and_holds_nothing_up() {
    let receiver = Receiver::new(Answer::Fails);
    let shop = receiver.shop();
    let mut daemon = shop.start("one");
    a_while();
    shop.log("placed", "o-1");
    shop.log("placed", "o-2");
    daemon.found(2);
    let told = daemon.shows(|told| told["webhook"]["up"] == false);
    assert!(told["webhook"]["last_error"].as_str().unwrap().contains("answers 503"), "{told}");
    assert!(told["webhook"]["next_try_at"].is_string() && told["ready"] == true, "only its own state: {told}");
    assert!(!told.to_string().contains("s3cret") && !told.to_string().contains("t0ken"), "{told}");
    shop.log("placed", "o-3");
    daemon.found(3);
    daemon.child.kill().unwrap();
    daemon.child.wait().unwrap();
    assert!(receiver.orders(0).is_empty());
    receiver.answers(Answer::Takes);
    let daemon = shop.start("two");
    let orders = receiver.orders(3);
    assert_eq!(orders.keys().collect::<Vec<_>>(), ["o-1", "o-2", "o-3"]);
    daemon.shows(|told| told["webhook"]["up"] == true && told["webhook"]["sent"] == 3);
    daemon.stop();
    let again = shop.start("three");
    a_while();
    assert!(receiver.orders(3).values().all(|times| times.len() == 1), "what was taken is not sent again");
    again.stop();
}

#[test]
fn a_receiver_that_hangs_does_not_hold_up_the_end() {
    let receiver = Receiver::new(Answer::Hangs);
    let shop = receiver.shop();
    let daemon = shop.start("one");
    a_while();
    shop.log("placed", "o-1");
    daemon.found(1);
    // Less than five seconds, as `stop` checks, though the post may take ten.
    daemon.stop();
    receiver.answers(Answer::Takes);
    let daemon = shop.start("two");
    receiver.orders(1);
    daemon.stop();
}

#[test]
fn one_finding_that_is_refused_does_not_hold_up_the_others() {
    let receiver = Receiver::new(Answer::Fails);
    let shop = receiver.shop();
    let daemon = shop.start("one");
    a_while();
    ["o-1", "o-2", "poison", "o-3"].iter().for_each(|order| shop.log("placed", order));
    daemon.found(4);
    receiver.answers(Answer::Refuses("poison"));
    let orders = receiver.orders(3);
    assert_eq!(orders.keys().collect::<Vec<_>>(), ["o-1", "o-2", "o-3"]);
    let told = daemon.shows(|told| told["webhook"]["refused"] == 1);
    assert!(told["webhook"]["last_error"].as_str().unwrap().contains("answers 422"), "{told}");
    let said = daemon.stop();
    assert!(said.contains("passed over") && said.contains("poison"), "{said}");
}
