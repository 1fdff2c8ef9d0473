//! A master behind sentinels: it is found, and when another takes over, that is a hole.

use super::super::servers::redis::Sentinels;
use super::super::watch::{Place, Said, Watch};
use super::{Options, Secret, holes, options, pattern, records, wait, watch};
use throughline::sources::redis::Sentinel;

fn followed(sentinels: &Sentinels) -> Options {
    Options {
        urls: sentinels.urls().into_iter().map(Secret).collect(),
        sentinel: Some(Sentinel { master: "shop".into(), login: None }),
        keys: vec![pattern("order:*")],
        streams: vec!["audit".into()],
        ..options(String::new())
    }
}

fn until_other_master(watch: &Watch, sentinels: &Sentinels) {
    let said = watch.until("the hole", |said| !holes(said).is_empty());
    assert!(said.iter().any(|said| matches!(said, Said::Failed(_))));
    watch.until_caught_up();
    let before = records(&watch.said()).len();
    sentinels.replica.run::<()>("SET", &["order:2", "2"]);
    sentinels.replica.run::<String>("XADD", &["audit", "*", "n", "2"]);
    let said = wait(watch, before + 2);
    assert!(records(&said).iter().any(|seen| seen.key.as_deref() == Some("order:2")));
}

#[test]
fn the_master_is_found_and_the_one_that_takes_over_is_followed() {
    let mut sentinels = Sentinels::start();
    let watch = watch(followed(&sentinels), Place::default());
    watch.until_caught_up();
    sentinels.master.run::<()>("SET", &["order:1", "1"]);
    sentinels.master.run::<String>("XADD", &["audit", "*", "n", "1"]);
    let said = wait(&watch, 2);
    assert!(holes(&said).is_empty());
    sentinels.master.kill();
    until_other_master(&watch, &sentinels);
    watch.stop();
}

#[test]
fn a_name_that_sentinels_do_not_know_and_a_sentinel_that_is_not_said_to_be_one_are_told() {
    let sentinels = Sentinels::start();
    let unknown = Sentinel { master: "shpo".into(), login: None };
    let misspelt = Options { sentinel: Some(unknown), ..followed(&sentinels) };
    let plain = Options { sentinel: None, ..followed(&sentinels) };
    for (options, words) in [(misspelt, "knows no master `shpo`"), (plain, "is a sentinel")] {
        let watch = watch(options, Place::default());
        watch.until(words, |said| said.iter().any(|said| matches!(said, Said::Failed(why) if why.contains(words))));
        watch.stop();
    }
}
