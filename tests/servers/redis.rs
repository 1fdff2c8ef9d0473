//! Redis: one server, one with TLS, replicas behind sentinels, a cluster; each on free ports, in folders of their own.

use super::proxy::Proxy;
use super::{Process, certificates, eventually, free_port};
use redis::{Connection, FromRedisValue, ToRedisArgs};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// The user of the source, and its password.
pub const WATCHER: (&str, &str) = ("watcher", "s3cret");

/// What publishes every change of keys.
pub const NOTIFY: [&str; 2] = ["--notify-keyspace-events", "KA"];

/// How long a command of a test may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running server. Who comes in without a name may everything.
pub struct Redis {
    folder: tempfile::TempDir,
    pub port: u16,
    tls: u16,
    arguments: Vec<String>,
    proxy: Proxy,
    process: Option<Process>,
}

impl Redis {
    /// Starts a server with further settings, as on its command line.
    pub fn start(settings: &[&str]) -> Redis {
        let folder = tempfile::Builder::new().prefix("throughline-redis-").tempdir().unwrap();
        let port = free_port();
        let mut arguments: Vec<String> =
            ["--bind", "127.0.0.1", "--save", "", "--dir"].iter().map(|&text| text.to_owned()).collect();
        arguments.push(folder.path().display().to_string());
        arguments.extend(["--port".to_owned(), port.to_string()]);
        arguments.extend(settings.iter().map(|&text| text.to_owned()));
        let mut server = Redis { folder, port, tls: 0, arguments, proxy: Proxy::to(port), process: None };
        server.start_again();
        server
    }

    /// Starts one that speaks TLS on a port of its own as well, and asks for the client's certificate where it is told to.
    pub fn start_with_tls(settings: &[&str], asks_clients: bool) -> Redis {
        let mut server = Redis::start(settings);
        server.stop();
        certificates::make(server.folder.path());
        server.tls = free_port();
        let file = |name: &str| server.folder.path().join(name).display().to_string();
        let clients = if asks_clients { "yes" } else { "no" };
        let (port, certificate, key, ca) =
            (server.tls.to_string(), file("server.crt"), file("server.key"), file("ca.pem"));
        let settings = [
            ("--tls-port", &*port),
            ("--tls-cert-file", &certificate),
            ("--tls-key-file", &key),
            ("--tls-ca-cert-file", &ca),
            ("--tls-auth-clients", clients),
        ];
        server.arguments.extend(settings.iter().flat_map(|(name, value)| [(*name).to_owned(), (*value).to_owned()]));
        server.start_again();
        server
    }

    /// The address of the port that speaks TLS, and the folder of the certificates.
    pub fn tls(&self) -> (String, &Path) {
        (format!("rediss://localhost:{}/0", self.tls), self.folder.path())
    }

    /// Starts it again, with what it has kept.
    pub fn start_again(&mut self) {
        self.process = Some(launch(self.folder.path(), &self.arguments));
        self.until_up();
    }

    /// Waits until it answers.
    pub fn until_up(&self) {
        eventually("Redis does not answer", || {
            let log = || fs::read_to_string(self.folder.path().join("log")).unwrap();
            let mut connection = connect(self.port).map_err(|error| error + "\n" + &log())?;
            redis::cmd("PING").query::<String>(&mut connection).map(drop).map_err(|error| error.to_string())
        });
    }

    /// Stops it in good order.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.terminate();
        }
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }

    /// Its process, while it runs.
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("it runs").0.id()
    }

    pub fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    /// The address behind the proxy, as nobody.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.proxy.port)
    }

    /// The same for a user.
    pub fn url_of(&self, (user, password): (&str, &str), database: u32) -> String {
        format!("redis://{user}:{password}@127.0.0.1:{}/{database}", self.proxy.port)
    }

    /// Makes the user of the source, with these rights.
    pub fn allow(&self, rights: &str) {
        let mut arguments = vec!["SETUSER".to_owned(), WATCHER.0.to_owned()];
        arguments.extend(["reset".to_owned(), "on".to_owned(), format!(">{}", WATCHER.1)]);
        arguments.extend(rights.split_whitespace().map(str::to_owned));
        self.run::<()>("ACL", &arguments);
    }

    /// Runs a command, on a connection of its own.
    #[track_caller]
    pub fn run<T: FromRedisValue>(&self, command: &str, arguments: impl ToRedisArgs) -> T {
        self.run_in(0, command, arguments)
    }

    /// The same in a database.
    #[track_caller]
    pub fn run_in<T: FromRedisValue>(&self, database: u32, command: &str, arguments: impl ToRedisArgs) -> T {
        let mut connection = connect(self.port).unwrap_or_else(|error| panic!("{command}: {error}"));
        if database != 0 {
            redis::cmd("SELECT").arg(database).query::<()>(&mut connection).unwrap();
        }
        let done = redis::cmd(command).arg(arguments).query(&mut connection);
        done.unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    /// A connection to it.
    pub fn connection(&self) -> Connection {
        connect(self.port).unwrap()
    }

    /// The commands that it has run, ever since it was started.
    pub fn commands(&self) -> Vec<String> {
        let told: String = self.run("INFO", "commandstats");
        let names = told.lines().filter_map(|line| line.strip_prefix("cmdstat_")?.split_once(':'));
        names.map(|(name, _)| name.to_owned()).collect()
    }
}

fn connect(port: u16) -> Result<Connection, String> {
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}/")).map_err(|error| error.to_string())?;
    let connection = client.get_connection_with_timeout(PATIENCE).map_err(|error| error.to_string())?;
    connection.set_read_timeout(Some(PATIENCE)).map_err(|error| error.to_string())?;
    Ok(connection)
}

fn launch(folder: &Path, arguments: &[String]) -> Process {
    let log = fs::OpenOptions::new().create(true).append(true).open(folder.join("log")).unwrap();
    let mut command = Command::new(binary());
    command.args(arguments).stdin(Stdio::null()).stdout(log).stderr(Stdio::null());
    Process(command.spawn().unwrap_or_else(|error| panic!("redis-server does not start: {error}")))
}

/// The servers of a cluster; the later ones are replicas of the earlier ones.
pub struct Cluster(pub Vec<Redis>);

impl Cluster {
    /// So many masters, each with so many replicas.
    pub fn start(masters: usize, replicas: usize) -> Cluster {
        let settings =
            ["--cluster-enabled", "yes", "--cluster-node-timeout", "1500", "--repl-diskless-sync-delay", "0"];
        let settings = [&settings[..], &NOTIFY].concat();
        let nodes: Vec<Redis> = (0..masters * (1 + replicas)).map(|_| Redis::start(&settings)).collect();
        let mut create = Command::new(binary().with_file_name("redis-cli"));
        create.args(["--cluster", "create"]).args(nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)));
        create.args(["--cluster-replicas", &replicas.to_string(), "--cluster-yes"]);
        let output = create.output().unwrap_or_else(|error| panic!("redis-cli does not start: {error}"));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        let cluster = Cluster(nodes);
        cluster.until_whole();
        for replica in &cluster.0[masters..] {
            eventually("a replica is not in step", || {
                let info: String = replica.run("INFO", "replication");
                if info.contains("master_link_status:up") { Ok(()) } else { Err(info) }
            });
        }
        cluster
    }

    /// Waits until each server that runs knows who serves what.
    pub fn until_whole(&self) {
        for node in self.0.iter().filter(|node| node.process.is_some()) {
            eventually("the cluster is not whole", || {
                let info: String = node.run("CLUSTER", "INFO");
                if info.contains("cluster_state:ok") { Ok(()) } else { Err(info) }
            });
        }
    }

    /// The address of one node; the others are found.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.0[0].port)
    }

    /// Runs a command where its key is.
    #[track_caller]
    pub fn run<T: FromRedisValue>(&self, command: &str, arguments: &[&str]) -> T {
        let mut failed = None;
        for node in self.0.iter().filter(|node| node.process.is_some()) {
            match redis::cmd(command).arg(arguments).query(&mut node.connection()) {
                Ok(done) => return done,
                Err(error) => failed = Some(error),
            }
        }
        panic!("{command} {arguments:?}: {failed:?}")
    }
}

/// A master, its replica, and three sentinels, which watch it as `shop`.
pub struct Sentinels {
    pub master: Redis,
    pub replica: Redis,
    ports: Vec<u16>,
    _processes: Vec<(Process, tempfile::TempDir)>,
}

impl Sentinels {
    pub fn start() -> Sentinels {
        let master = Redis::start(&NOTIFY);
        let (host, port) = ("127.0.0.1", master.port.to_string());
        let replica = Redis::start(&[NOTIFY[0], NOTIFY[1], "--replicaof", host, &port]);
        eventually("the replica is not in step", || {
            let info: String = master.run("INFO", "replication");
            if info.contains("state=online") { Ok(()) } else { Err(info) }
        });
        let ports: Vec<u16> = (0..3).map(|_| free_port()).collect();
        let start = |own: &u16| {
            let folder = tempfile::Builder::new().prefix("throughline-sentinel-").tempdir().unwrap();
            let path = folder.path().join("sentinel.conf");
            let config = format!(
                "port {own}\nbind {host}\ndir {}\nsentinel monitor shop {host} {port} 2\nsentinel down-after-milliseconds \
                 shop 1000\nsentinel failover-timeout shop 3000\n",
                folder.path().display()
            );
            fs::write(&path, config).unwrap();
            let arguments = [path.display().to_string(), "--sentinel".to_owned()];
            (launch(folder.path(), &arguments), folder)
        };
        let processes = ports.iter().map(start).collect();
        eventually("the sentinels do not know each other", || {
            for port in &ports {
                let told = redis::cmd("SENTINEL").arg("CKQUORUM").arg("shop").query::<String>(&mut connect(*port)?);
                let told = told.map_err(|error| error.to_string())?;
                let replicas: Vec<redis::Value> = redis::cmd("SENTINEL")
                    .arg("REPLICAS")
                    .arg("shop")
                    .query(&mut connect(*port)?)
                    .map_err(|error| error.to_string())?;
                if !told.contains("3 usable") || replicas.is_empty() {
                    return Err(told);
                }
            }
            Ok(())
        });
        Sentinels { master, replica, ports, _processes: processes }
    }

    /// The addresses of the sentinels.
    pub fn urls(&self) -> Vec<String> {
        self.ports.iter().map(|port| format!("redis://127.0.0.1:{port}/0")).collect()
    }
}

/// Where the server's program is: `REDIS_BIN` is its folder, else it is found as any program.
fn binary() -> PathBuf {
    if let Some(folder) = std::env::var_os("REDIS_BIN") {
        return PathBuf::from(folder).join("redis-server");
    }
    let places = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&places).map(|folder| folder.join("redis-server")).find(|path| path.exists());
    found.unwrap_or_else(|| {
        panic!("there is no `redis-server`: install Redis (apt-get install redis-server), or set REDIS_BIN")
    })
}
