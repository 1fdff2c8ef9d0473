//! One connection to a broker: every wait on it has a limit, and it lives while the source is kept waiting.
//!
//! The client needs a runtime that is driven all the time, or its heartbeats stop where the engine keeps the source
//! waiting; so the runtime has a thread of its own, and ends with the link.
//!
//! The link holds on to every channel until that thread has ended: where the client itself drops the last hold on one, as a
//! connection breaks, its two threads can wait for one another's locks for ever.

use super::options::Options;
use crate::sources::live::{Failure, Intake};
use crate::sources::waiting::Halt;
use lapin::protocol::constants;
use lapin::tcp::{OwnedIdentity, OwnedTLSConfig};
use lapin::uri::AMQPUri;
use lapin::{Channel, Connection, ConnectionProperties, DefaultConnectionBuilder, ErrorKind};
use std::cell::RefCell;
use std::fs;
use std::future::Future;
use std::pin::pin;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

/// How long the broker may take to let us in, and to answer.
const CONNECTS_WITHIN: Duration = Duration::from_secs(10);
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
/// How long a farewell may take.
const CLOSES_WITHIN: Duration = Duration::from_millis(500);
/// How often it is looked whether the daemon stops.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Seconds between heartbeats: after two without one, either side takes the other for dead.
const HEARTBEAT: u16 = 10;

/// Where a broker is, without secrets.
#[derive(Clone, Debug)]
pub(super) struct Address {
    pub user: String,
    pub vhost: String,
    /// `user@host:port/vhost`.
    pub text: String,
}

/// A connection that is open.
pub(super) struct Link {
    handle: Handle,
    over: Option<oneshot::Sender<()>>,
    driver: Option<JoinHandle<()>>,
    connection: Option<Connection>,
    channels: RefCell<Vec<Channel>>,
    pub address: Address,
}

/// Reads an address; nothing of it is repeated where it is wrong, since it holds a password.
fn uri(url: &str) -> Result<(AMQPUri, Address), Failure> {
    let mut uri: AMQPUri = url.parse().map_err(|_| {
        Failure("the url is none of RabbitMQ: write `amqp://user:password@host:5672`, or `amqps://` for TLS; another virtual host than `/` stands behind it, as in `amqp://host/shop`".into())
    })?;
    uri.query.heartbeat.get_or_insert(HEARTBEAT);
    let (user, vhost) = (uri.authority.userinfo.username.clone(), uri.vhost.clone());
    let text = format!("{user}@{}:{}, virtual host `{vhost}`", uri.authority.host, uri.authority.port);
    Ok((uri, Address { user, vhost, text }))
}

fn tls(options: &Options) -> Result<OwnedTLSConfig, Failure> {
    let read = |path: &String| {
        fs::read(path)
            .map_err(|error| Failure(format!("`{path}`, which `rabbitmq` needs for TLS, cannot be read: {error}")))
    };
    let cert_chain = match &options.ca {
        Some(path) => Some(String::from_utf8_lossy(&read(path)?).into_owned()),
        None => None,
    };
    let identity = match &options.certificate {
        Some((pem, key)) => Some(OwnedIdentity::PKCS8 { pem: read(pem)?, key: read(key)? }),
        None => None,
    };
    Ok(OwnedTLSConfig { identity, cert_chain })
}

impl Link {
    /// Logs in.
    pub fn open(options: &Options, intake: &mut dyn Intake) -> Result<Link, Halt> {
        let (uri, address) = uri(&options.url.0)?;
        let tls = tls(options)?;
        let runtime = Builder::new_current_thread().enable_io().enable_time().build();
        let nothing = |error| Failure(format!("the system gives no means to wait for a server: {error}"));
        let runtime = runtime.map_err(nothing)?;
        let handle = runtime.handle().clone();
        let (over, is_over) = oneshot::channel::<()>();
        let drive = move || {
            let _ = runtime.block_on(is_over);
            runtime.shutdown_background();
        };
        let driver = Some(thread::Builder::new().name("rabbitmq".into()).spawn(drive).map_err(nothing)?);
        let mut link =
            Link { handle, over: Some(over), driver, connection: None, channels: RefCell::default(), address };
        let properties = ConnectionProperties::default().with_connection_name("throughline".into());
        let connecting = async {
            let builder = DefaultConnectionBuilder::new()?.with_uri(uri).with_properties(properties);
            builder.with_tls_config(tls).connect().await
        };
        link.connection = match link.wait(intake, CONNECTS_WITHIN, connecting)? {
            Some(Ok(connection)) => Some(connection),
            Some(Err(error)) => return Err(refused(&link.address, &error).into()),
            None => {
                let (address, within) = (&link.address.text, CONNECTS_WITHIN.as_secs());
                return Err(Failure(format!(
                    "RabbitMQ at {address} did not answer within {within} s: check `url`, and whether it can be reached from here"
                ))
                .into());
            }
        };
        Ok(link)
    }

    /// Another channel.
    pub fn channel(&self, intake: &mut dyn Intake) -> Result<Channel, Halt> {
        let Some(connection) = &self.connection else { return Err(self.failure("is not connected", "").into()) };
        let channel = self.ask(intake, "a channel", connection.create_channel())?;
        self.channels.borrow_mut().push(channel.clone());
        Ok(channel)
    }

    /// A channel is not needed any more, or the broker has closed it.
    pub fn close(&self, channel: &Channel, intake: &mut dyn Intake) -> Result<(), Halt> {
        if channel.status().connected() {
            let _ = self.try_ask(intake, channel.close(constants::REPLY_SUCCESS, "".into()))?;
        }
        self.channels.borrow_mut().retain(|known| known.id() != channel.id());
        Ok(())
    }

    /// Waits until it is done; `None` where that takes longer than the limit.
    fn wait<T>(
        &self,
        intake: &mut dyn Intake,
        limit: Duration,
        work: impl Future<Output = T>,
    ) -> Result<Option<T>, Halt> {
        self.handle.block_on(async {
            let mut work = pin!(work);
            let end = Instant::now() + limit;
            loop {
                if let Ok(done) = timeout(LOOK_EVERY, work.as_mut()).await {
                    return Ok(Some(done));
                }
                intake.pause(Duration::ZERO)?;
                if Instant::now() >= end {
                    return Ok(None);
                }
            }
        })
    }

    /// Does what takes no longer than this, or nothing.
    pub fn briefly<T>(&self, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
        self.handle.block_on(async { timeout(limit, work).await.ok() })
    }

    /// Asks the broker; what it answers is its own affair.
    pub fn try_ask<T>(
        &self,
        intake: &mut dyn Intake,
        question: impl Future<Output = lapin::Result<T>>,
    ) -> Result<lapin::Result<T>, Halt> {
        match self.wait(intake, ANSWERS_WITHIN, question)? {
            Some(answer) => Ok(answer),
            None => {
                let within = ANSWERS_WITHIN.as_secs();
                Err(self.failure(&format!("has not answered for {within} s"), "").into())
            }
        }
    }

    /// Asks the broker for something that it must not refuse.
    pub fn ask<T>(
        &self,
        intake: &mut dyn Intake,
        what: &str,
        question: impl Future<Output = lapin::Result<T>>,
    ) -> Result<T, Halt> {
        self.try_ask(intake, question)?.map_err(|error| self.refusal(what, &error, "").into())
    }

    /// What was asked for was refused.
    pub fn refusal(&self, what: &str, error: &lapin::Error, remedy: &str) -> Failure {
        match code(error) {
            Some(_) => self.failure(&format!("refuses {what} ({})", words(error)), remedy),
            None => self.failure(&format!("is gone, or the connection to it ({})", words(error)), ""),
        }
    }

    /// What has happened to the broker.
    pub fn failure(&self, what: &str, remedy: &str) -> Failure {
        let colon = if remedy.is_empty() { "" } else { ": " };
        Failure(format!("RabbitMQ at {} {what}{colon}{remedy}", self.address.text))
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            let _ = self.briefly(CLOSES_WITHIN, connection.close(constants::REPLY_SUCCESS, "goodbye".into()));
        }
        if let Some(over) = self.over.take() {
            let _ = over.send(());
        }
        if let Some(driver) = self.driver.take() {
            let _ = driver.join();
        }
    }
}

/// The broker's number for what went wrong, where it gave one.
pub(super) fn code(error: &lapin::Error) -> Option<u16> {
    match error.kind() {
        ErrorKind::ProtocolError(error) => Some(error.get_id()),
        _ => None,
    }
}

/// The broker's own words, or the library's.
pub(super) fn words(error: &lapin::Error) -> String {
    match error.kind() {
        ErrorKind::ProtocolError(error) => error.get_message().to_string(),
        _ => error.to_string(),
    }
}

/// Why the broker did not let us in.
fn refused(address: &Address, error: &lapin::Error) -> Failure {
    const REFUSED: u16 = 403;
    const NOT_ALLOWED: u16 = 530;
    let words = words(error);
    let remedy = match code(error) {
        Some(REFUSED) => "the user or the password in `url` is wrong",
        Some(NOT_ALLOWED) => {
            "the virtual host of `url` does not exist, or `rabbitmqctl set_permissions` has never let the user in; `amqp://host` means `/`, `amqp://host/` one without a name"
        }
        _ if words.contains("certificate") || words.contains("UnknownIssuer") => {
            "its certificate is not trusted: name its authority as `ca`"
        }
        _ => "check `url`, and whether it can be reached from here",
    };
    Failure(format!("RabbitMQ at {} does not let us in ({words}): {remedy}", address.text))
}
