//! TLS, of the connection that polls and of the one on which the binary log comes.

use super::source;
use crate::mysql_changes::SETTINGS;
use crate::postgres::table;
use crate::servers::certificates;
use crate::servers::mariadb::Mariadb;
use crate::watch::{Place, Said, Watch};
use throughline::sources::live::{Source, Start};
use throughline::sources::mysql::changes::{Changes, Options, Table};
use throughline::sources::secret::Secret;

fn captured(url: String) -> Box<dyn Source> {
    let tables = vec![Table { name: "orders".into(), key: Vec::new() }];
    Box::new(Changes::new(Options { url: Secret(url), server_id: None, tables, start: Start::Latest }))
}

fn polled(url: String) -> Box<dyn Source> {
    source(url, vec![table("orders")])
}

/// A server that lets the watcher in over TLS alone.
fn server() -> Mariadb {
    let server = Mariadb::start_with_tls(&SETTINGS);
    server.sql(
        "shop",
        "CREATE TABLE orders (id bigint PRIMARY KEY); CREATE USER watcher IDENTIFIED BY 'w' REQUIRE SSL;
         GRANT SELECT ON shop.* TO watcher; GRANT PROCESS, BINLOG MONITOR, REPLICATION SLAVE ON *.* TO watcher",
    );
    server
}

fn follows(source: Box<dyn Source>) {
    let watch = Watch::start(source, Place::default());
    let said = watch.until_caught_up();
    watch.stop();
    assert!(!said.iter().any(|said| matches!(said, Said::Failed(_))), "{said:?}");
}

fn refusal(source: Box<dyn Source>) -> String {
    let watch = Watch::start(source, Place::default());
    let said = watch.until("a refusal", |said| said.iter().any(|said| matches!(said, Said::Failed(_))));
    watch.stop();
    let why = said.into_iter().find_map(|said| if let Said::Failed(why) = said { Some(why) } else { None }).unwrap();
    println!("{why}");
    why
}

#[test]
fn over_tls_the_server_is_checked_as_the_address_asks() {
    let server = server();
    let folder = server.certificates();
    let stranger = tempfile::tempdir().unwrap();
    certificates::make(stranger.path());
    let ca = format!("ssl-ca={}", folder.join("ca.pem").display());
    let foreign = format!("ssl-ca={}", stranger.path().join("ca.pem").display());
    let url = |more: &str| format!("{}?{more}", server.url("watcher", "w"));
    for open in [polled, captured] {
        for mode in ["REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"] {
            follows(open(url(&format!("ssl-mode={mode}&{ca}"))));
        }
        // An authority that the machine does not know, another one, none that can be read, and no TLS at all.
        let mistrusted = ["ssl-mode=VERIFY_IDENTITY", "ssl-mode=VERIFY_CA", &format!("ssl-mode=VERIFY_CA&{foreign}")];
        for more in mistrusted {
            let told = refusal(open(url(more)));
            assert!(told.contains("certificate") && told.contains("ssl-ca") && told.contains("127.0.0.1"), "{told}");
        }
        let told = refusal(open(url("ssl-mode=VERIFY_CA&ssl-ca=/nowhere/ca.pem")));
        assert!(told.contains("/nowhere/ca.pem"), "{told}");
        let told = refusal(open(url("ssl-mode=DISABLED")));
        assert!(told.contains("TLS") && told.contains("ssl-mode"), "{told}");
    }
    // Its certificate is for another name.
    server.is_certified_for("DNS:elsewhere");
    for open in [polled, captured] {
        follows(open(url(&format!("ssl-mode=VERIFY_CA&{ca}"))));
        let told = refusal(open(url(&format!("ssl-mode=VERIFY_IDENTITY&{ca}"))));
        assert!(told.contains("certificate") && told.contains("VERIFY_CA"), "{told}");
    }
}

#[test]
fn a_certificate_of_our_own_is_shown_where_the_server_asks_for_it() {
    let server = server();
    server.sql("", "ALTER USER watcher REQUIRE X509");
    let file = |name: &str| server.certificates().join(name).display().to_string();
    let checked = format!("{}?ssl-mode=VERIFY_CA&ssl-ca={}", server.url("watcher", "w"), file("ca.pem"));
    let shown = format!("{checked}&ssl-cert={}&ssl-key={}", file("server.crt"), file("server.key"));
    follows(polled(shown.clone()));
    let told = refusal(polled(checked));
    assert!(told.contains("ssl-cert"), "{told}");
    let told = refusal(captured(shown));
    assert!(told.contains("capture: poll"), "{told}");
}
