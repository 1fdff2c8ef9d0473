//! Kafka Connect with Debezium in it: one worker beside the broker, with one connector.

use super::{Kafka, java};
use crate::servers::{Process, free_port};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

impl Kafka {
    /// Starts a worker with a connector of these settings. A later one goes on where the one before has stopped.
    pub fn connect(&self, connector: &[(&str, &str)]) -> Process {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        let worker = format!(
            "bootstrap.servers={}\nkey.converter=org.apache.kafka.connect.json.JsonConverter\n\
             value.converter=org.apache.kafka.connect.json.JsonConverter\noffset.storage.file.filename={}\n\
             offset.flush.interval.ms=200\nplugin.path={}\nplugin.discovery=service_load\nlisteners=http://127.0.0.1:{}\n",
            self.address(),
            path("offsets"),
            plugins().display(),
            free_port()
        );
        let connector: String = connector.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
        fs::write(path("worker.properties"), worker).unwrap();
        fs::write(path("connector.properties"), connector).unwrap();
        let log = fs::OpenOptions::new().create(true).append(true).open(path("connect.log")).unwrap();
        let mut command = java();
        command.arg("org.apache.kafka.connect.cli.ConnectStandalone");
        command.args([path("worker.properties"), path("connector.properties")]);
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        Process(command.spawn().unwrap_or_else(|error| panic!("java does not start: {error}")))
    }
}

/// The folder in which Debezium's own folder lies: `DEBEZIUM_LIBS`, or where Maven was told to put it.
fn plugins() -> PathBuf {
    let given = std::env::var_os("DEBEZIUM_LIBS").map(PathBuf::from);
    let folder = given.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/debezium"));
    let jars = format!("{}/**/debezium-connector-postgres-*.jar", folder.display());
    assert!(
        glob::glob(&jars).unwrap().next().is_some(),
        "Debezium is not in {0}: mvn -f tests/servers/kafka/debezium.xml dependency:copy-dependencies \
         -DincludeScope=runtime -DexcludeGroupIds=org.apache.kafka,org.slf4j -DoutputDirectory={0}/postgres",
        folder.display()
    );
    folder
}
