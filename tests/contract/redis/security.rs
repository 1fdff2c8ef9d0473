//! Ways to get in: TLS with and without a certificate of the client, and rights to what is followed alone.

use super::super::servers::redis::{NOTIFY, Redis, WATCHER};
use super::super::watch::{Place, Said};
use super::{Options, RIGHTS, options, pattern, records, wait, watch};
use redis::Value;
use throughline::sources::redis::Security;

fn told(options: Options) -> String {
    let watch = watch(options, Place::default());
    let said = watch.until("a failure", |said| said.iter().any(|said| matches!(said, Said::Failed(_))));
    let told = said.iter().find_map(|said| if let Said::Failed(why) = said { Some(why.clone()) } else { None });
    watch.stop();
    told.expect("it was waited for")
}

#[test]
fn it_gets_in_by_tls() {
    throughline::connect::tls::install();
    for asks_clients in [false, true] {
        let server = Redis::start_with_tls(&NOTIFY, asks_clients);
        let (url, folder) = server.tls();
        let followed = Options { keys: vec![pattern("order:*")], ..options(url) };
        let ca = Some(folder.join("ca.pem"));
        let certificate = asks_clients.then(|| (folder.join("server.crt"), folder.join("server.key")));
        let security = Security { ca, certificate };
        let watch = watch(Options { security: security.clone(), ..followed.clone() }, Place::default());
        watch.until_caught_up();
        server.run::<()>("SET", &["order:1", "1"]);
        assert_eq!(records(&wait(&watch, 1)).len(), 1);
        watch.stop();
        let stranger = told(followed.clone());
        assert!(stranger.contains("security"), "{stranger}");
        if asks_clients {
            let nobody = told(Options { security: Security { certificate: None, ..security }, ..followed.clone() });
            assert!(nobody.contains("Redis at localhost"), "{nobody}");
        }
        let missing = Security { ca: Some(folder.join("none.pem")), certificate: None };
        assert!(told(Options { security: missing, ..followed }).contains("none.pem"));
    }
}

/// The rule of docs/redis.md is enough, with nothing refused, and each part of it is needed.
#[test]
fn the_rights_that_the_page_names_are_enough() {
    let page = include_str!("../../../docs/redis.md");
    // The page's example has streams of other names.
    for right in RIGHTS.replace("audit", "placed").split_whitespace() {
        assert!(page.contains(right), "docs/redis.md does not name {right}");
    }
    let server = Redis::start(&NOTIFY);
    server.allow(RIGHTS);
    let followed = Options {
        keys: vec![pattern("order:*")],
        streams: vec!["audit".into()],
        start: throughline::sources::live::Start::Beginning,
        ..options(server.url_of(WATCHER, 0))
    };
    server.run::<()>("SET", &["order:0", "there"]);
    server.run::<()>("SET", &["foreign", "there"]);
    let watch = watch(followed.clone(), Place::default());
    watch.until_caught_up();
    server.run::<()>("SET", &["order:1", ""]);
    server.run::<()>("HSET", &["order:h", "a", "1"]);
    server.run::<()>("RPUSH", &["order:l", "a"]);
    server.run::<()>("SADD", &["order:s", "a"]);
    server.run::<()>("ZADD", &["order:z", "1", "a"]);
    server.run::<()>("EXPIRE", &["order:z", "100"]);
    server.run::<String>("XADD", &["audit", "*", "a", "1"]);
    let said = wait(&watch, 8);
    assert!(!said.iter().any(|said| matches!(said, Said::Failed(_))), "{said:?}");
    watch.stop();
    let refused: Vec<Value> = server.run("ACL", &["LOG"]);
    assert!(refused.is_empty(), "{refused:?}");
    for (without, words) in
        [("+config|get", "CONFIG GET"), ("+info", "INFO"), ("+time", "TIME"), ("+xinfo|stream", "XINFO")]
    {
        server.allow(&RIGHTS.replace(without, ""));
        let told = told(followed.clone());
        assert!(told.contains(words) && told.contains("ACL SETUSER"), "{without}: {told}");
    }
}
