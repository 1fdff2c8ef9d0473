//! RabbitMQ: an own node in a folder, on free ports. Streams are part of it; the plugin of that name is another protocol.

use super::{Process, certificates, eventually, free_port};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The user of the tests, with all rights, and the one who watches.
pub const ADMIN: (&str, &str) = ("admin", "admin");
pub const WATCHER: (&str, &str) = ("watcher", "s3cret");
/// Lines of the configuration that every node has.
const CONFIG: &str = "loopback_users = none\nlog.file.level = warning\nvm_memory_high_watermark.absolute = 512MB\n\
                      disk_free_limit.absolute = 50MB\n";

/// A running node.
pub struct Rabbitmq {
    folder: tempfile::TempDir,
    pub port: u16,
    pub tls_port: u16,
    distribution: u16,
    mapper: u16,
    process: Option<Process>,
}

impl Rabbitmq {
    /// Starts a node, with an administrator and a watcher that has no rights yet.
    pub fn start() -> Rabbitmq {
        let folder = tempfile::Builder::new().prefix("throughline-rabbitmq-").tempdir().unwrap();
        let (port, tls_port) = (free_port(), free_port());
        let mut server =
            Rabbitmq { port, tls_port, distribution: free_port(), mapper: free_port(), folder, process: None };
        certificates::make(server.folder.path());
        let config = format!(
            "{CONFIG}listeners.tcp.1 = 127.0.0.1:{port}\nlisteners.ssl.1 = 127.0.0.1:{tls_port}\n\
             ssl_options.certfile = {}\nssl_options.keyfile = {}\n\
             ssl_options.verify = verify_none\nssl_options.fail_if_no_peer_cert = false\n",
            server.path("server.crt").display(),
            server.path("server.key").display()
        );
        fs::write(server.path("rabbitmq.conf"), config).unwrap();
        fs::write(server.path("enabled_plugins"), "[].\n").unwrap();
        if is_root() {
            run(Command::new("chown").args(["-R", "rabbitmq:rabbitmq"]).arg(server.folder.path()));
        }
        server.up();
        // All at once: each call of `rabbitmqctl` starts a virtual machine of its own.
        let user = |(name, password)| format!(r#"U:add_user(<<"{name}">>, <<"{password}">>, <<"tests">>), "#);
        let all = r#"<<".*">>, <<".*">>, <<".*">>, <<"tests">>"#;
        let rights = format!(r#"U:set_permissions(<<"{}">>, <<"/">>, {all})."#, ADMIN.0);
        server.control(&[
            "eval",
            &["U = rabbit_auth_backend_internal, ", &user(ADMIN), &user(WATCHER), &rights].concat(),
        ]);
        server
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The file of the authority that has signed the node's certificate.
    pub fn ca(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// A program of RabbitMQ, with what leads it to this node.
    fn program(&self, name: &str) -> Command {
        let mut command = as_rabbitmq(&binary(name));
        let text = |path: PathBuf| path.display().to_string();
        command.env("HOME", self.folder.path()).current_dir("/");
        command.env("RABBITMQ_NODENAME", format!("throughline{}@localhost", self.port));
        command.env("RABBITMQ_NODE_PORT", self.port.to_string());
        command.env("RABBITMQ_DIST_PORT", self.distribution.to_string());
        command.env("ERL_EPMD_PORT", self.mapper.to_string());
        command.env("RABBITMQ_MNESIA_BASE", text(self.path("mnesia")));
        command.env("RABBITMQ_LOG_BASE", text(self.path("log")));
        command.env("RABBITMQ_FEATURE_FLAGS_FILE", text(self.path("feature_flags")));
        command.env("RABBITMQ_PID_FILE", text(self.path("pid")));
        command.env("RABBITMQ_ENABLED_PLUGINS_FILE", text(self.path("enabled_plugins")));
        command.env("RABBITMQ_CONFIG_FILE", text(self.path("rabbitmq.conf")));
        command.env("RABBITMQ_CONF_ENV_FILE", "/none");
        command
    }

    fn up(&mut self) {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.path("out")).unwrap();
        let mut command = self.program("rabbitmq-server");
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let started = command.spawn().unwrap_or_else(|error| panic!("rabbitmq-server does not start: {error}"));
        self.process = Some(Process(started));
        eventually("RabbitMQ does not answer", || self.try_control(&["await_startup"]).map(drop));
    }

    /// Stops it in good order.
    pub fn stop(&mut self) {
        self.end("-TERM");
    }

    /// Sends it a signal, and waits. The script that was started waits for the node, and is not it.
    fn end(&mut self, signal: &str) {
        let Some(mut script) = self.process.take() else { return };
        let pid = fs::read_to_string(self.path("pid")).unwrap_or_default();
        let sent = Command::new("kill").args([signal, pid.trim()]).stderr(Stdio::null()).status();
        if sent.is_ok_and(|sent| sent.success()) {
            let _ = script.0.wait();
        }
    }

    /// Starts it again.
    pub fn start_again(&mut self) {
        self.up();
    }

    /// Runs `rabbitmqctl`; what it prints, without headings.
    #[track_caller]
    pub fn control(&self, arguments: &[&str]) -> String {
        // On a busy machine its virtual machine may give up before it has met the node.
        eventually("rabbitmqctl", || self.try_control(arguments).map_err(|error| format!("{arguments:?}: {error}")))
    }

    fn try_control(&self, arguments: &[&str]) -> Result<String, String> {
        let output =
            self.program("rabbitmqctl").arg("-q").args(arguments).output().map_err(|error| error.to_string())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        if output.status.success() {
            Ok(text(&output.stdout))
        } else {
            Err(text(&output.stderr) + &text(&output.stdout))
        }
    }

    /// The address for a user, by a port of a proxy or the node's own.
    pub fn url(&self, (user, password): (&str, &str), port: u16) -> String {
        format!("amqp://{user}:{password}@127.0.0.1:{port}")
    }

    /// The CPU time of the node so far, in seconds.
    pub fn cpu(&self) -> f64 {
        const TICKS_PER_SECOND: f64 = 100.0;
        let pid = fs::read_to_string(self.path("pid")).unwrap();
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / TICKS_PER_SECOND
    }
}

impl Drop for Rabbitmq {
    fn drop(&mut self) {
        self.end("-KILL");
        // The port mapper is no child of it.
        let mapper = self.mapper.to_string();
        let _ =
            Command::new("epmd").args(["-port", &mapper, "-kill"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output().unwrap();
    output.stdout.starts_with(b"0\n")
}

/// As root, RabbitMQ's scripts become user `rabbitmq`; so do we.
fn as_rabbitmq(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=rabbitmq", "--regid=rabbitmq", "--clear-groups", "--"]).arg(program);
    command
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Where RabbitMQ's programs are: `RABBITMQ_BIN`, or where Debian has them.
fn binary(name: &str) -> PathBuf {
    let given = std::env::var_os("RABBITMQ_BIN").map(|folder| PathBuf::from(folder).join(name));
    let known = || {
        let releases = glob::glob("/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin").unwrap().filter_map(Result::ok);
        releases.map(|folder| folder.join(name)).filter(|path| path.exists()).max()
    };
    given.or_else(known).filter(|path| path.exists()).unwrap_or_else(|| {
        panic!("there is no `{name}`: install RabbitMQ (apt-get install rabbitmq-server), or set RABBITMQ_BIN")
    })
}
