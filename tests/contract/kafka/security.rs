//! Ways to get in: SASL with each mechanism, TLS, both, and rights to one topic alone.

use super::super::servers::kafka::{Kafka, WATCHER};
use super::super::watch::{Place, Said, Watch, now};
use super::options;
use std::thread;
use std::time::Duration;
use throughline::sources::kafka::{self, Mechanism, Options, Secret, Security};

fn sasl(mechanism: Mechanism) -> Security {
    let sasl = Some((mechanism, WATCHER.0.to_owned(), Secret(WATCHER.1.to_owned())));
    Security { sasl, ..Security::default() }
}

/// Follows with these, until a message has come.
fn reads(server: &Kafka, what: &str, brokers: String, security: Security) {
    let options = Options { security, ..options(brokers, &["guarded"]) };
    let watch = Watch::start(Box::new(kafka::Kafka::new(options)), Place::default());
    watch.until_caught_up();
    server.produce("guarded", 0, &["1"]);
    watch.until(what, |said| said.iter().any(|said| matches!(said, Said::Record(_))));
    watch.stop();
}

#[test]
fn it_gets_in_with_what_the_broker_asks_for_and_rights_to_read_alone() {
    let server = Kafka::start();
    server.create_topic("guarded", 1, &[]);
    server.create_topic("secret", 1, &[]);
    server.allow("Read", "guarded");
    for mechanism in [Mechanism::Plain, Mechanism::ScramSha256, Mechanism::ScramSha512] {
        reads(&server, &format!("{mechanism:?}"), server.sasl(), sasl(mechanism));
    }
    // The user of the listener is nobody, who may everything here: what counts is the encryption.
    let tls = |ca| Security { tls: true, ca, ..Security::default() };
    reads(&server, "TLS", server.tls(), tls(Some(server.ca())));
    let both = Security { tls: true, ca: Some(server.ca()), ..sasl(Mechanism::ScramSha512) };
    reads(&server, "SASL over TLS", server.sasl_tls(), both);
    a_stranger_is_not_trusted(&server, tls(None));
    what_may_not_be_read_is_told_and_the_rest_goes_on(&server);
}

fn a_stranger_is_not_trusted(server: &Kafka, security: Security) {
    let options = Options { security, ..options(server.tls(), &["guarded"]) };
    let watch = Watch::start(Box::new(kafka::Kafka::new(options)), Place::default());
    let said = watch.until("a failure", |said| said.iter().any(|said| matches!(said, Said::Failed(_))));
    let told = said.iter().find_map(|said| if let Said::Failed(why) = said { Some(why) } else { None }).unwrap();
    assert!(told.contains("certificate") && told.contains("security"), "{told}");
    watch.stop();
}

fn what_may_not_be_read_is_told_and_the_rest_goes_on(server: &Kafka) {
    let options = Options { security: sasl(Mechanism::Plain), ..options(server.sasl(), &["guarded", "secret"]) };
    let watch = Watch::start(Box::new(kafka::Kafka::new(options)), Place::default());
    let told = |said: &Said| matches!(said, Said::Trouble(why) if why.contains("`secret` may not be read"));
    watch.until("the trouble", |said| said.iter().any(told));
    server.produce("guarded", 0, &["2"]);
    let said = watch.until("a message", |said| said.iter().any(|said| matches!(said, Said::Record(_))));
    assert!(!said.iter().any(|said| matches!(said, Said::CaughtUp(_))), "nothing is claimed meanwhile");
    // It may know of the topic, and not read it: a message that stands there holds the proof back.
    server.allow("Describe", "secret");
    server.produce("secret", 0, &["3"]);
    let unread = now();
    thread::sleep(Duration::from_secs(2));
    let ahead = watch.said().into_iter().find(|said| matches!(said, Said::CaughtUp(at) if *at >= unread));
    assert_eq!(ahead, None, "nothing is claimed still");
    server.allow("Read", "secret");
    watch.until_caught_up();
    watch.stop();
}
