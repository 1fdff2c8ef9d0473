//! A cluster: each master is listened to, keys move between them, and one that fails leaves a hole.

use super::super::servers::eventually;
use super::super::servers::redis::Cluster;
use super::super::watch::{Place, Said};
use super::{Options, holes, options, pattern, records, wait, watch};
use std::collections::BTreeSet;

fn followed(cluster: &Cluster) -> Options {
    let streams = vec!["audit:a".to_owned(), "audit:b".to_owned(), "audit:c".to_owned()];
    Options { keys: vec![pattern("order:*")], streams, ..options(cluster.url()) }
}

fn keys(said: &[Said]) -> BTreeSet<String> {
    records(said).iter().filter_map(|seen| seen.key.clone()).collect()
}

#[test]
fn keys_and_streams_of_all_masters_are_followed() {
    let cluster = Cluster::start(3, 0);
    let watch = watch(followed(&cluster), Place::default());
    watch.until_caught_up();
    let mut expected = BTreeSet::new();
    for number in 0..60 {
        let key = format!("order:{number}");
        cluster.run::<()>("SET", &[&key, &number.to_string()]);
        expected.insert(key);
    }
    for stream in ["audit:a", "audit:b", "audit:c"] {
        cluster.run::<String>("XADD", &[stream, "*", "n", "1"]);
    }
    let said = wait(&watch, 63);
    assert_eq!(keys(&said), expected);
    let parts: BTreeSet<&str> = records(&said).iter().map(|seen| &*seen.part).collect();
    assert_eq!(parts.len(), 6, "three masters, three streams: {parts:?}");
    assert!(holes(&said).is_empty(), "{:?}", holes(&said));
    watch.stop();
}

#[test]
fn a_slot_that_moves_loses_nothing_and_deletes_nothing() {
    let cluster = Cluster::start(3, 0);
    let watch = watch(Options { streams: Vec::new(), ..followed(&cluster) }, Place::default());
    watch.until_caught_up();
    cluster.run::<()>("SET", &["order:{x}", "1"]);
    wait(&watch, 1);
    let slot: u16 = cluster.0[0].run("CLUSTER", &["KEYSLOT", "order:{x}"]);
    let slot = slot.to_string();
    let ids: Vec<String> = cluster.0.iter().map(|node| node.run("CLUSTER", &["MYID"])).collect();
    let owner =
        cluster.0.iter().position(|node| node.run::<Vec<String>>("CLUSTER", &["GETKEYSINSLOT", &slot, "1"]).len() == 1);
    let from = owner.expect("somebody has the key");
    let to = (from + 1) % 3;
    cluster.0[to].run::<()>("CLUSTER", &["SETSLOT", &slot, "IMPORTING", &ids[from]]);
    cluster.0[from].run::<()>("CLUSTER", &["SETSLOT", &slot, "MIGRATING", &ids[to]]);
    let port = cluster.0[to].port.to_string();
    cluster.0[from].run::<redis::Value>("MIGRATE", &["127.0.0.1", &port, "order:{x}", "0", "5000"]);
    for node in [to, from] {
        cluster.0[node].run::<()>("CLUSTER", &["SETSLOT", &slot, "NODE", &ids[to]]);
    }
    cluster.0[to].run::<()>("SET", &["order:{x}", "2"]);
    let said = watch.until("the value of the new place", |said| records(said).iter().any(|seen| seen.payload == "2"));
    let ops: Vec<_> = records(&said).iter().map(|seen| (seen.op.clone().unwrap(), seen.payload.clone())).collect();
    let restored = ops.iter().any(|(op, _)| op == "restore");
    assert!(restored && !ops.iter().any(|(op, _)| op == "del"), "it was moved, and never deleted: {ops:?}");
    assert!(holes(&said).is_empty(), "{:?}", holes(&said));
    watch.stop();
}

#[test]
fn a_master_that_fails_is_a_hole_and_its_replica_is_followed() {
    let mut cluster = Cluster::start(3, 1);
    let options = Options {
        urls: (0..6).map(|node| super::Secret(format!("redis://127.0.0.1:{}/0", cluster.0[node].port))).collect(),
        ..followed(&cluster)
    };
    let watch = watch(options, Place::default());
    watch.until_caught_up();
    cluster.run::<()>("SET", &["order:1", "1"]);
    wait(&watch, 1);
    cluster.0[0].kill();
    watch.until("the failure", |said| said.iter().any(|said| matches!(said, Said::Failed(_))));
    eventually("the replica has not taken over", || {
        let slots: String = cluster.0[1].run("CLUSTER", "INFO");
        let nodes: String = cluster.0[1].run("CLUSTER", "NODES");
        let masters = nodes.lines().filter(|line| line.contains("master") && !line.contains("fail")).count();
        if nodes.contains(",fail") && masters == 3 && slots.contains("cluster_slots_ok:16384") {
            Ok(())
        } else {
            Err(nodes)
        }
    });
    let said = watch.until_caught_up();
    assert!(!holes(&said).is_empty(), "what was done meanwhile was told to nobody");
    let before = records(&said).len();
    (0..30).for_each(|number| cluster.run::<()>("SET", &[&format!("order:{number}"), "2"]));
    wait(&watch, before + 30);
    watch.stop();
}
