//! Apache Kafka: one broker that is its own controller, with a listener for each way to get in.

mod connect;
mod setup;

use super::proxy::Proxy;
use super::{Process, certificates, eventually, free_port};
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::ToBytes;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The user that may do what [`Kafka::allow`] allows, and its password.
pub const WATCHER: (&str, &str) = ("watcher", "s3cret");

const CLUSTER: &str = "MkU3OEVBNTcwNTJENDM2Qg";

/// How long a request to the broker may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// One broker at a time: several of them keep a small machine busy for minutes.
static ALONE: Mutex<()> = Mutex::new(());

/// A running broker. Who comes in without a name may everything.
pub struct Kafka {
    folder: tempfile::TempDir,
    ports: Ports,
    proxy: Proxy,
    process: Option<Process>,
    /// A second broker, and its configuration.
    second: Option<Process>,
    producer: BaseProducer,
    _alone: MutexGuard<'static, ()>,
}

struct Ports {
    /// For the test itself.
    plain: u16,
    /// Behind the proxy.
    watched: u16,
    controller: u16,
    sasl: u16,
    tls: u16,
    both: u16,
}

impl Kafka {
    /// Starts a broker.
    pub fn start() -> Kafka {
        // A test that failed leaves nothing behind that another would mind.
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = tempfile::Builder::new().prefix("throughline-kafka-").tempdir().unwrap();
        let ports = Ports {
            plain: free_port(),
            watched: free_port(),
            controller: free_port(),
            sasl: free_port(),
            tls: free_port(),
            both: free_port(),
        };
        let proxy = Proxy::to(ports.watched);
        certificates::make(folder.path());
        fs::write(folder.path().join("server.properties"), setup::properties(folder.path(), &ports, proxy.port))
            .unwrap();
        fs::write(folder.path().join("log4j2.yaml"), setup::logging(folder.path())).unwrap();
        let scram = |kind: &str| format!("{kind}=[name={},password={}]", WATCHER.0, WATCHER.1);
        let mut format = java();
        format.arg("kafka.tools.StorageTool").args(["format", "-t", CLUSTER, "-c"]);
        format.arg(folder.path().join("server.properties"));
        for kind in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
            format.args(["--add-scram", &scram(kind)]);
        }
        run(&mut format);
        let address = format!("127.0.0.1:{}", ports.plain);
        let producer = ClientConfig::new()
            .set("bootstrap.servers", &address)
            .set("linger.ms", "0")
            .set("reconnect.backoff.max.ms", "200")
            .create()
            .unwrap();
        let mut server = Kafka { folder, ports, proxy, process: None, second: None, producer, _alone: alone };
        server.up();
        server
    }

    fn up(&mut self) {
        self.process = Some(self.launch("server.properties"));
        let address = self.address();
        eventually("Kafka does not answer", || {
            let client = self.producer.client();
            client.fetch_metadata(None, Duration::from_secs(2)).map(drop).map_err(|why| format!("{address}: {why}"))
        });
    }

    fn launch(&self, configuration: &str) -> Process {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.folder.path().join("out.log")).unwrap();
        let mut command = java();
        command.arg(format!("-Dlog4j2.configurationFile={}", self.folder.path().join("log4j2.yaml").display()));
        command.arg("kafka.Kafka").arg(self.folder.path().join(configuration));
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        Process(command.spawn().unwrap_or_else(|error| panic!("java does not start: {error}")))
    }

    /// Starts a second broker, number 2.
    pub fn add_broker(&mut self) {
        let configuration = self.folder.path().join("second.properties");
        if !configuration.exists() {
            fs::write(&configuration, setup::second(self.folder.path(), &self.ports)).unwrap();
            let mut format = java();
            format.arg("kafka.tools.StorageTool").args(["format", "-t", CLUSTER, "-c"]).arg(&configuration);
            run(&mut format);
        }
        self.second = Some(self.launch("second.properties"));
        eventually("the second broker does not come up", || {
            let metadata = self.producer.client().fetch_metadata(None, PATIENCE).map_err(|error| error.to_string())?;
            if metadata.brokers().len() == 2 { Ok(()) } else { Err(format!("{:?}", metadata.brokers())) }
        });
    }

    /// Ends the second broker, in good order or at once.
    pub fn remove_broker(&mut self, at_once: bool) {
        let mut process = self.second.take().expect("it was started");
        if at_once { process.kill() } else { process.terminate() }
    }

    /// Makes a topic of one partition, which the second broker leads and the first follows.
    pub fn create_led_topic(&self, name: &str) {
        let topic = NewTopic::new(name, 1, TopicReplication::Variable(&[&[2, 1]]));
        wait(self.admin().create_topics([&topic], &options()))
            .unwrap()
            .into_iter()
            .for_each(|result| _ = result.unwrap());
        self.await_partitions(name, 1);
    }

    /// Stops it in good order.
    pub fn stop(&mut self) {
        self.process.take().into_iter().for_each(|mut process| process.terminate());
    }

    /// Starts it again.
    pub fn start_again(&mut self) {
        self.up();
    }

    /// Where the test itself gets in.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.ports.plain)
    }

    /// Where a source gets in, through the proxy.
    pub fn watched(&self) -> String {
        format!("127.0.0.1:{}", self.proxy.port)
    }

    /// Where a source gets in with a password.
    pub fn sasl(&self) -> String {
        format!("127.0.0.1:{}", self.ports.sasl)
    }

    /// Where a source gets in encrypted.
    pub fn tls(&self) -> String {
        format!("127.0.0.1:{}", self.ports.tls)
    }

    /// Where a source gets in encrypted and with a password.
    pub fn sasl_tls(&self) -> String {
        format!("127.0.0.1:{}", self.ports.both)
    }

    /// The certificate of the authority that signed the broker's.
    pub fn ca(&self) -> String {
        self.folder.path().join("ca.pem").display().to_string()
    }

    /// What is between the source and the broker.
    pub fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        ClientConfig::new().set("bootstrap.servers", self.address()).create().unwrap()
    }

    /// Makes a topic, with settings of its own.
    pub fn create_topic(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) {
        let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        topic = settings.iter().fold(topic, |topic, (key, value)| topic.set(key, value));
        let created = wait(self.admin().create_topics([&topic], &options()));
        created.unwrap().into_iter().for_each(|result| _ = result.unwrap());
        self.await_partitions(name, partitions as usize);
    }

    /// Waits until the producer knows of so many partitions.
    fn await_partitions(&self, topic: &str, count: usize) {
        eventually("the partitions are not there", || {
            let metadata =
                self.producer.client().fetch_metadata(Some(topic), PATIENCE).map_err(|error| error.to_string())?;
            let there = metadata.topics()[0].partitions().len();
            if there == count { Ok(()) } else { Err(format!("{topic}: {there}")) }
        });
    }

    /// Deletes a topic, and waits until it is gone.
    pub fn delete_topic(&self, name: &str) {
        wait(self.admin().delete_topics(&[name], &options()))
            .unwrap()
            .into_iter()
            .for_each(|result| _ = result.unwrap());
        eventually("the topic is still there", || {
            let metadata = self.producer.client().fetch_metadata(None, PATIENCE).map_err(|error| error.to_string())?;
            if metadata.topics().iter().any(|topic| topic.name() == name) { Err(name.to_owned()) } else { Ok(()) }
        });
    }

    /// Gives a topic so many partitions.
    pub fn grow_topic(&self, name: &str, partitions: usize) {
        let grown = wait(self.admin().create_partitions([&NewPartitions::new(name, partitions)], &options()));
        grown.unwrap().into_iter().for_each(|result| _ = result.unwrap());
        self.await_partitions(name, partitions);
    }

    /// Deletes what stands before an offset, as retention does.
    pub fn delete_before(&self, topic: &str, partition: i32, offset: i64) {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(offset)).unwrap();
        wait(self.admin().delete_records(&list, &options())).unwrap();
    }

    /// Brings messages in, and waits until they are visible.
    pub fn produce(&self, topic: &str, partition: i32, payloads: &[&str]) {
        for payload in payloads {
            self.send(BaseRecord::<(), str>::to(topic).partition(partition).payload(payload));
        }
        self.flush();
    }

    /// The same, compressed.
    pub fn produce_packed(&self, topic: &str, partition: i32, codec: &str, payloads: &[&str]) {
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", self.address())
            .set("compression.type", codec)
            .create()
            .unwrap();
        for payload in payloads {
            let record = BaseRecord::<(), str>::to(topic).partition(partition).payload(*payload);
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(PATIENCE).unwrap();
    }

    /// Kills it, takes all messages out of a partition's newest file, and starts it again.
    pub fn lose_end(&mut self, topic: &str, partition: i32) {
        self.process.take().into_iter().for_each(|mut process| process.kill());
        let folder = self.folder.path().join(format!("data/{topic}-{partition}"));
        fs::OpenOptions::new().write(true).truncate(true).open(folder.join("00000000000000000000.log")).unwrap();
        for entry in ["recovery-point-offset-checkpoint", "replication-offset-checkpoint"] {
            let _ = fs::remove_file(self.folder.path().join("data").join(entry));
        }
        self.up();
    }

    /// Sends one message; [`Kafka::flush`] waits for it.
    #[track_caller]
    pub fn send<K: ToBytes + ?Sized>(&self, mut record: BaseRecord<'_, K, str>) {
        loop {
            match self.producer.send(record) {
                Ok(()) => return,
                Err((error, back)) => {
                    let full = error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull);
                    assert!(full, "{error}");
                    record = back;
                    self.producer.poll(Duration::from_millis(10));
                }
            }
        }
    }

    /// Waits until all that was sent is visible.
    pub fn flush(&self) {
        self.producer.flush(PATIENCE).unwrap();
    }

    /// A producer of transactions under this name.
    pub fn transactions(&self, name: &str, timeout: Duration) -> BaseProducer {
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", self.address())
            .set("transactional.id", name)
            .set("transaction.timeout.ms", timeout.as_millis().to_string())
            .set("linger.ms", "0")
            .create()
            .unwrap();
        producer.init_transactions(PATIENCE).unwrap();
        producer
    }

    /// Allows the user without other rights to do something with a topic.
    pub fn allow(&self, operation: &str, topic: &str) {
        let mut command = java();
        command.args(["org.apache.kafka.tools.AclCommand", "--bootstrap-server", &self.address(), "--add"]);
        command.args(["--allow-principal", &format!("User:{}", WATCHER.0), "--operation", operation, "--topic", topic]);
        run(&mut command);
    }

    /// The kinds of requests that clients of this id have made, each once.
    pub fn requests(&self, client: &str) -> Vec<String> {
        let log = fs::read_to_string(self.folder.path().join("requests.log")).unwrap();
        let mine = format!("\"clientId\":\"{client}\"");
        let mut kinds: Vec<String> = log
            .lines()
            .filter(|line| line.contains(&mine))
            .filter_map(|line| Some(line.split_once("\"requestApiKeyName\":\"")?.1.split('"').next()?.to_owned()))
            .collect();
        kinds.sort();
        kinds.dedup();
        kinds
    }

    /// All topics, Kafka's own too.
    pub fn topics(&self) -> Vec<String> {
        let metadata = self.producer.client().fetch_metadata(None, PATIENCE).unwrap();
        metadata.topics().iter().map(|topic| topic.name().to_owned()).collect()
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(PATIENCE)).request_timeout(Some(PATIENCE))
}

fn wait<T>(what: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(what)
}

/// Java with Kafka's classes.
fn java() -> Command {
    let mut command = Command::new("java");
    // Starts soon, and stays small.
    command.args(["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp"]);
    command.arg(format!("{}/*", libraries().display()));
    command
}

/// Where Kafka's classes are: `KAFKA_LIBS`, or where `tests/run` puts them.
fn libraries() -> PathBuf {
    let given = std::env::var_os("KAFKA_LIBS").map(PathBuf::from);
    let folder = given.unwrap_or_else(|| {
        let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
        target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target")).join("tools/kafka")
    });
    assert!(
        folder.join("kafka-clients-4.1.0.jar").exists()
            || glob::glob(&format!("{}/kafka-clients-*.jar", folder.display())).unwrap().next().is_some(),
        "Kafka is not in {}: run tests/run, which fetches it with Maven, or set KAFKA_LIBS to the `libs` folder of a release",
        folder.display()
    );
    folder
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let told = || [output.stdout.clone(), output.stderr.clone()].concat();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&told()));
}
