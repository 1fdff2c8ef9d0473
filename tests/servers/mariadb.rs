//! MariaDB: an own server in a folder, on a free port, with its general log and statistics by user.

use super::{Process, certificates, eventually, free_port};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A running server. User `root` may everything and needs no password.
pub struct Mariadb {
    folder: tempfile::TempDir,
    pub port: u16,
    settings: Vec<String>,
    process: Option<Process>,
}

impl Mariadb {
    /// Starts a server with the database `shop` and further settings, as `--log-bin=bin`.
    pub fn start(settings: &[&str]) -> Mariadb {
        let folder = folder();
        give_to_mysql(folder.path());
        Mariadb::start_in(folder, settings)
    }

    /// Starts one that speaks TLS as well, with the certificates of [`Mariadb::certificates`].
    pub fn start_with_tls(settings: &[&str]) -> Mariadb {
        let folder = folder();
        certificates::make(folder.path());
        give_to_mysql(folder.path());
        let file = |option: &str, name: &str| format!("--{option}={}", folder.path().join(name).display());
        let tls = [file("ssl-ca", "ca.pem"), file("ssl-cert", "server.crt"), file("ssl-key", "server.key")];
        let settings: Vec<&str> = settings.iter().copied().chain(tls.iter().map(String::as_str)).collect();
        Mariadb::start_in(folder, &settings)
    }

    fn start_in(folder: tempfile::TempDir, settings: &[&str]) -> Mariadb {
        let data = format!("--datadir={}", folder.path().join("data").display());
        let mut install = as_mysql(&binary("mariadb-install-db"));
        install.args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"]).arg(data);
        // Servers that are set up at once would meet in the machine's.
        run(install.arg(format!("--tmpdir={}", folder.path().display())));
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let mut server = Mariadb { folder, port: free_port(), settings, process: None };
        server.start_again();
        server.sql("", "CREATE DATABASE shop");
        server
    }

    /// The folder of its certificates.
    pub fn certificates(&self) -> &Path {
        self.folder.path()
    }

    /// From now on its certificate is for these names, by another authority.
    pub fn is_certified_for(&self, names: &str) {
        certificates::make_for(self.folder.path(), names);
        give_to_mysql(self.folder.path());
        self.sql("", "FLUSH SSL");
    }

    /// Starts it, or starts it again.
    pub fn start_again(&mut self) {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        let log = fs::OpenOptions::new().create(true).append(true).open(path("errors")).unwrap();
        let mut command = as_mysql(&binary("mariadbd"));
        command.args([
            "--no-defaults",
            "--bind-address=127.0.0.1",
            "--innodb-flush-log-at-trx-commit=0",
            "--userstat=1",
        ]);
        command.args(["--general-log=1", "--character-set-server=utf8mb4", "--innodb-buffer-pool-size=64M"]);
        command.arg(format!("--port={}", self.port)).arg(format!("--datadir={}", path("data")));
        command.arg(format!("--socket={}", path("socket"))).arg(format!("--general-log-file={}", path("general")));
        command.arg(format!("--tmpdir={}", self.folder.path().display()));
        command.args(&self.settings).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.process =
            Some(Process(command.spawn().unwrap_or_else(|error| panic!("mariadbd does not start: {error}"))));
        eventually("MariaDB does not answer", || self.try_sql("", "SELECT 1").map(drop));
    }

    /// Stops it in good order.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.terminate();
        }
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }

    /// The number of its process.
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("it runs").0.id()
    }

    /// The address for a user, with the password.
    pub fn url(&self, user: &str, password: &str) -> String {
        format!("mysql://{user}:{password}@127.0.0.1:{}/shop", self.port)
    }

    /// Runs SQL as the administrator, on a connection of its own; rows as lines of columns between tabs.
    #[track_caller]
    pub fn sql(&self, database: &str, sql: &str) -> String {
        self.try_sql(database, sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    fn try_sql(&self, database: &str, sql: &str) -> Result<String, String> {
        let mut client = Command::new(binary("mariadb"));
        client.args(["--no-defaults", "-h", "127.0.0.1", "-P", &self.port.to_string(), "-u", "root", "-N", "-B"]);
        client.args(["--default-character-set=utf8mb4", "-e", sql]).args((!database.is_empty()).then_some(database));
        let output = client.output().map_err(|error| error.to_string())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    /// The statements that were run on a user's connections, from the general log.
    pub fn statements(&self, user: &str) -> Vec<String> {
        let log = fs::read(self.folder.path().join("general")).unwrap();
        let log = String::from_utf8_lossy(&log).into_owned();
        let (mut own, mut statements) = (Vec::new(), Vec::new());
        for line in log.lines() {
            // `[time]\t<connection> <command>\t<argument>`
            let Some((head, argument)) = line.rsplit_once('\t') else { continue };
            let mut words = head.split_whitespace().rev();
            let (Some(command), Some(connection)) = (words.next(), words.next()) else { continue };
            match command {
                "Connect" if argument.starts_with(&format!("{user}@")) => own.push(connection.to_owned()),
                "Connect" => own.retain(|known| known != connection),
                "Query" | "Execute" if own.iter().any(|known| known == connection) => {
                    statements.push(argument.to_owned())
                }
                _ => {}
            }
        }
        statements
    }
}

impl Drop for Mariadb {
    fn drop(&mut self) {
        self.kill();
    }
}

fn folder() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("throughline-mariadb-").tempdir().unwrap()
}

fn give_to_mysql(folder: &Path) {
    if is_root() {
        run(Command::new("chown").args(["-R", "mysql:mysql"]).arg(folder));
    }
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().unwrap().stdout.starts_with(b"0\n")
}

/// MariaDB does not run as root.
fn as_mysql(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=mysql", "--regid=mysql", "--clear-groups", "--"]).arg(program).current_dir("/");
    command
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Where MariaDB's programs are: `MARIADB_BIN`, or the system's folders.
fn binary(name: &str) -> PathBuf {
    let given = std::env::var_os("MARIADB_BIN").map(PathBuf::from);
    let system = ["/usr/sbin", "/usr/bin", "/usr/local/bin"].map(PathBuf::from);
    let folders = given.into_iter().chain(system);
    folders.map(|folder| folder.join(name)).find(|path| path.exists()).unwrap_or_else(|| {
        panic!("there is no `{name}`: install MariaDB (apt-get install mariadb-server), or set MARIADB_BIN")
    })
}
