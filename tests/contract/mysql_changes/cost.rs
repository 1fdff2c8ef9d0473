//! What watching the binary log costs the server. Not a test but a measurement: `cargo test --test contract
//! mysql_changes_cost -- --ignored --nocapture`; `COST_SECONDS` says for how long.

use super::options;
use crate::mysql::cost::{large, measure};
use throughline::sources::mysql::changes::Changes;
use throughline::sources::secret::Secret;

#[test]
#[ignore = "a measurement"]
fn mysql_changes_cost() {
    let server = large();
    let mut options = options(server.port, &["orders", "payments"]);
    options.url = Secret(server.url("watcher", "w"));
    measure(&server, "the binary log", Box::new(Changes::new(options)));
}
