//! Where the demo's systems are, and the configuration with which the daemon follows them.

use crate::config::{self, Config, Loaded};
use crate::flow::diagnostic::Document;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use std::fs;
use std::path::PathBuf;

/// The flow and the configuration, which are worked examples as well.
const FLOW: &str = include_str!("../../flows/demo/order.yaml");
const CONFIG: &str = include_str!("../../flows/demo/throughline.yaml");
/// Where the configuration names the table's database; what PostgreSQL has instead.
const SQLITE: &str = "    type: sqlite\n    path: \"${SHOP:-.}/shop.db\"\n";
/// The topics, which the flow names.
pub(super) const ORDERS: &str = "shop-orders";
pub(super) const PAYMENTS: &str = "shop-payments";
/// Partitions of each topic.
pub(super) const PARTITIONS: i32 = 3;

/// What the demo is asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// So long the shop is open; until it is told to stop where `None`.
    pub seconds: Option<u64>,
    /// Orders a second.
    pub rate: u32,
    /// Brokers to write to, instead of a cluster in this process.
    pub kafka: Option<String>,
    /// The address of a PostgreSQL database to write to, instead of SQLite.
    pub postgres: Option<String>,
    /// Where everything is kept; a temporary folder where `None`.
    pub folder: Option<PathBuf>,
}

/// The demo's systems.
pub(super) struct Setup {
    /// Where everything is kept.
    pub folder: PathBuf,
    /// Of Kafka.
    pub brokers: String,
    /// Of PostgreSQL, where that is used.
    pub postgres: Option<String>,
    /// Ends with the setup, and so do its files.
    temporary: Option<tempfile::TempDir>,
    cluster: Option<MockCluster<'static, DefaultProducerContext>>,
}

impl Setup {
    pub fn new(options: &Options) -> anyhow::Result<Setup> {
        let temporary = match options.folder {
            Some(_) => None,
            None => Some(tempfile::Builder::new().prefix("throughline-demo-").tempdir()?),
        };
        let given = options.folder.clone();
        let folder = given.or(temporary.as_ref().map(|folder| folder.path().to_owned())).unwrap_or_default();
        fs::create_dir_all(&folder)?;
        let (cluster, brokers) = match &options.kafka {
            Some(brokers) => (None, brokers.clone()),
            None => {
                let cluster = MockCluster::new(1)?;
                [ORDERS, PAYMENTS].iter().try_for_each(|topic| cluster.create_topic(topic, PARTITIONS, 1))?;
                let brokers = cluster.bootstrap_servers();
                (Some(cluster), brokers)
            }
        };
        let postgres = options.postgres.clone();
        let setup = Setup { folder, brokers, postgres, temporary, cluster };
        fs::write(setup.folder.join("order.yaml"), FLOW)?;
        fs::write(setup.folder.join("throughline.yaml"), setup.config()?)?;
        Ok(setup)
    }

    /// The configuration with the places of this demo.
    fn config(&self) -> anyhow::Result<String> {
        let mut text = CONFIG.replace("${KAFKA:-localhost:9092}", &self.brokers);
        if let Some(url) = &self.postgres {
            let quoted = serde_json::to_string(url)?;
            text = text.replace(SQLITE, &format!("    type: postgres\n    url: {quoted}\n"));
        }
        Ok(text.replace("${SHOP:-.}/", ""))
    }

    /// The configuration and the flows as the daemon reads them.
    pub fn project(&self) -> anyhow::Result<(Config, Vec<Document>)> {
        let Loaded { config, outline, diagnostics } = config::load(&self.folder.join("throughline.yaml"));
        let (documents, _) = config::flows::documents(&outline.flows);
        match config {
            Some(config) => Ok((config, documents)),
            None => {
                let told: Vec<String> = diagnostics.iter().map(ToString::to_string).collect();
                anyhow::bail!("the demo's own configuration is wrong:\n{}", told.join("\n"))
            }
        }
    }

    /// Whether the topics are in a cluster of this process.
    pub fn is_embedded(&self) -> bool {
        self.cluster.is_some()
    }

    /// The number of the first order. On servers that stay, no other demo had it.
    pub fn first_order(&self) -> u64 {
        let passing = self.temporary.is_some() && self.is_embedded() && self.postgres.is_none();
        if passing { 10_000 } else { (crate::runtime::clock::now().0 / 1_000_000_000 % 1_000_000) as u64 * 10_000 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_fits_whatever_it_is_run_on() {
        let options = Options { seconds: None, rate: 1, kafka: None, postgres: None, folder: None };
        let embedded = Setup::new(&options).unwrap();
        let (config, documents) = embedded.project().unwrap();
        assert_eq!((config.sources.len(), documents.len()), (4, 1));
        let postgres = Some("postgres://shop:s3cret@localhost/shop".to_owned());
        let servers = Setup::new(&Options { kafka: Some("localhost:9092".into()), postgres, ..options }).unwrap();
        let (config, _) = servers.project().unwrap();
        assert!(format!("{:?}", config.sources).contains("Postgres("));
        assert!(servers.first_order() != embedded.first_order());
    }
}
