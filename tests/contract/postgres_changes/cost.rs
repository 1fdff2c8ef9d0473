//! What watching costs the server. Not a test but a measurement: `cargo test --test contract changes_cost -- --ignored
//! --nocapture`; `COST_SECONDS` says for how long.

use super::{options, server};
use crate::postgres::cost::{fill, measure};
use throughline::sources::postgres::changes::{Changes, Options};

#[test]
#[ignore = "a measurement"]
fn changes_cost() {
    let server = server();
    fill(&server);
    server.sql("postgres", "create publication bench for table pgbench_accounts, pgbench_history");
    for (how, slot) in [("a temporary slot", None), ("a permanent slot", Some("watch".to_owned()))] {
        let options = options(server.port, &["pgbench_accounts", "pgbench_history"]);
        measure(&server, how, Box::new(Changes::new(Options { publication: "bench".into(), slot, ..options })));
    }
}
