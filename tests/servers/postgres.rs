//! PostgreSQL: an own cluster in a folder, on a free port, with statement logging.

use super::{Process, certificates, eventually, free_port};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A running server. User `postgres` may everything and needs no password; others need theirs.
pub struct Postgres {
    folder: tempfile::TempDir,
    pub port: u16,
    process: Option<Process>,
}

impl Postgres {
    /// Starts a server with further settings, as `wal_level=logical`.
    pub fn start(settings: &[&str]) -> Postgres {
        let folder = tempfile::Builder::new().prefix("throughline-postgres-").tempdir().unwrap();
        let data = folder.path().join("data");
        fs::create_dir(&data).unwrap();
        if is_root() {
            run(Command::new("chown").args(["-R", "postgres:postgres"]).arg(folder.path()));
        }
        let mut initdb = as_postgres(&binary("initdb"));
        run(initdb.args(["-A", "trust", "-U", "postgres", "--no-sync", "-E", "UTF8", "-D"]).arg(&data));
        // Passwords count for everybody but the administrator.
        let access = "local all all trust\nhost all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n\
                      host replication postgres 127.0.0.1/32 trust\nhost replication all 127.0.0.1/32 scram-sha-256\n";
        fs::write(data.join("pg_hba.conf"), access).unwrap();
        let mut config = fs::read_to_string(data.join("postgresql.conf")).unwrap();
        config += "fsync=off\nlog_statement=all\nlog_line_prefix='%a|%u| '\nlisten_addresses='127.0.0.1'\n\
                   max_prepared_transactions=20\nmax_connections=60\nunix_socket_directories=''\n";
        settings.iter().for_each(|setting| config += &format!("{setting}\n"));
        if settings.contains(&"ssl=on") {
            certificates::make(&data);
            run(Command::new("chmod").args(["600", "server.key"]).current_dir(&data));
            if is_root() {
                run(Command::new("chown").args(["postgres", "server.key", "server.crt"]).current_dir(&data));
            }
        }
        fs::write(data.join("postgresql.conf"), config).unwrap();
        let mut server = Postgres { folder, port: free_port(), process: None };
        server.up();
        server
    }

    /// A replica of it, which follows it. The administrator may connect as one.
    pub fn replica(&self) -> Postgres {
        let folder = tempfile::Builder::new().prefix("throughline-postgres-").tempdir().unwrap();
        let data = folder.path().join("data");
        if is_root() {
            run(Command::new("chown").args(["-R", "postgres:postgres"]).arg(folder.path()));
        }
        let mut copy = as_postgres(&binary("pg_basebackup"));
        copy.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "postgres", "-R", "-c", "fast", "-D"]);
        run(copy.arg(&data));
        let mut server = Postgres { folder, port: free_port(), process: None };
        server.up();
        server
    }

    fn up(&mut self) {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.log_path()).unwrap();
        let mut command = as_postgres(&binary("postgres"));
        command.arg("-D").arg(self.folder.path().join("data")).args(["-p", &self.port.to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.process =
            Some(Process(command.spawn().unwrap_or_else(|error| panic!("postgres does not start: {error}"))));
        eventually("PostgreSQL does not answer", || self.try_sql("postgres", "select 1").map(drop));
    }

    /// Stops it in good order.
    pub fn stop(&mut self) {
        let data = self.folder.path().join("data");
        let mut stop = as_postgres(&binary("pg_ctl"));
        run(stop.args(["-D"]).arg(data).args(["-m", "fast", "-w", "stop"]));
        if let Some(mut process) = self.process.take() {
            let _ = process.0.wait();
        }
    }

    /// Starts it again.
    pub fn start_again(&mut self) {
        self.up();
    }

    /// The address for a user, with the password where one is needed.
    pub fn url(&self, user: &str, password: &str, database: &str) -> String {
        let secret = if password.is_empty() { String::new() } else { format!(":{password}") };
        format!("postgres://{user}{secret}@127.0.0.1:{}/{database}", self.port)
    }

    /// The file of the authority that vouches for it, where it speaks TLS.
    pub fn authority(&self) -> String {
        self.folder.path().join("data/ca.pem").display().to_string()
    }

    /// Runs SQL as the administrator, on a connection of its own; rows as `a|b` lines.
    #[track_caller]
    pub fn sql(&self, database: &str, sql: &str) -> String {
        self.try_sql(database, sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    fn try_sql(&self, database: &str, sql: &str) -> Result<String, String> {
        let port = self.port.to_string();
        let mut psql = Command::new(binary("psql"));
        psql.args(["-h", "127.0.0.1", "-p", &port, "-U", "postgres", "-d", database, "-XAtq", "-v", "ON_ERROR_STOP=1"]);
        let output = psql.args(["-c", sql]).output().map_err(|error| error.to_string())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    /// What the server has logged; lines begin with `application|user| `.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap()
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // A killed postmaster would leave its children and its shared memory behind.
        if let Some(process) = &mut self.process {
            let _ = Command::new("kill").args(["-INT", &process.0.id().to_string()]).status();
            let _ = process.0.wait();
        }
    }
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output().unwrap();
    output.stdout.starts_with(b"0\n")
}

/// PostgreSQL does not run as root.
fn as_postgres(program: &PathBuf) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]).arg(program).current_dir("/");
    command
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Where PostgreSQL's programs are: `POSTGRES_BIN`, or Debian's newest.
pub fn binary(name: &str) -> PathBuf {
    let given = std::env::var_os("POSTGRES_BIN").map(PathBuf::from);
    let debian = || {
        let mut found: Vec<_> = glob::glob("/usr/lib/postgresql/*/bin").unwrap().filter_map(Result::ok).collect();
        found.sort();
        found.pop()
    };
    let folder = given.or_else(debian);
    let path = folder.map(|folder| folder.join(name)).filter(|path| path.exists());
    path.unwrap_or_else(|| {
        panic!("there is no `{name}`: install PostgreSQL (apt-get install postgresql), or set POSTGRES_BIN")
    })
}
