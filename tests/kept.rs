//! A store of findings that cannot be written: nothing is lost, nothing is untold, and the daemon says so.

mod shop;

use shop::{CONFIG, Shop, a_while};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};
use std::collections::BTreeSet;
use tokio::runtime::{Builder, Runtime};

/// Somebody who writes to the store and does not end.
struct Intruder {
    runtime: Runtime,
    connection: SqliteConnection,
}

impl Intruder {
    fn new(shop: &Shop) -> Intruder {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let options = SqliteConnectOptions::new().filename(shop.path("throughline.data/findings.sqlite"));
        let connection = runtime.block_on(async {
            let mut connection = options.connect().await.unwrap();
            sqlx::query("BEGIN EXCLUSIVE").execute(&mut connection).await.unwrap();
            connection
        });
        Intruder { runtime, connection }
    }

    fn goes(self) {
        self.runtime.block_on(self.connection.close()).unwrap();
    }
}

/// The orders that the store has.
fn kept(shop: &Shop) -> BTreeSet<String> {
    let (lines, code) = shop.ask(&["findings", "list", "--format", "json"]);
    assert_eq!(code, Some(0), "{lines}");
    let keys = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["key"].clone());
    keys.map(|key| key.as_str().unwrap().to_owned()).collect()
}

fn new() -> Shop {
    let shop = Shop::new();
    shop.write("throughline.yaml", &format!("{CONFIG}server: {{listen: \"127.0.0.1:0\"}}\n"));
    shop.log("tick", "-");
    shop
}

#[test]
fn a_store_that_fails_is_waited_for() {
    let shop = new();
    let daemon = shop.start("one");
    a_while();
    let intruder = Intruder::new(&shop);
    shop.log("placed", "o-1");
    daemon.found(1);
    let told = daemon.shows(|told| told["findings_trouble"].is_string());
    assert!(told["findings_trouble"].as_str().unwrap().contains("findings.sqlite cannot be written"), "{told}");
    assert_eq!((&told["ready"], kept(&shop).len()), (&false.into(), 0), "{told}");
    shop.log("placed", "o-2");
    intruder.goes();
    daemon.found(2);
    daemon.shows(|told| told["ready"] == true);
    assert_eq!(kept(&shop).into_iter().collect::<Vec<_>>(), ["o-1", "o-2"]);
    daemon.stop();
}

#[test]
fn what_could_not_be_kept_is_told_again() {
    let shop = new();
    let first = shop.start("first");
    a_while();
    shop.log("placed", "o-1");
    first.found(1);
    first.shows(|told| told["findings"][0]["count"] == 1);
    let intruder = Intruder::new(&shop);
    shop.log("placed", "o-2");
    first.found(2);
    // It ends within five seconds all the same, as `stop` checks.
    let said = first.stop();
    assert!(said.contains("told again at the next start"), "{said}");
    intruder.goes();
    assert_eq!(kept(&shop).into_iter().collect::<Vec<_>>(), ["o-1"]);
    let second = shop.start("second");
    assert_eq!(second.found(1), ["o-2"]);
    second.stop();
    assert_eq!(kept(&shop).into_iter().collect::<Vec<_>>(), ["o-1", "o-2"]);
}
