//! What to follow in a Redis, and how it is reached.

use super::super::live::{Failure, Start};
use super::super::secret::Secret;
use super::events::Types;
use redis::{
    Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, TlsCertificates,
};
use std::fs;
use std::path::PathBuf;

/// What to follow, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the server is, or some nodes of a cluster, or the sentinels; with user, password and database.
    pub urls: Vec<Secret>,
    /// Who says which server is the master; then `urls` are those of sentinels.
    pub sentinel: Option<Sentinel>,
    /// The files of TLS.
    pub security: Security,
    /// The keys whose changes are followed.
    pub keys: Vec<Pattern>,
    /// The types of their values.
    pub types: Types,
    /// The streams, by their keys.
    pub streams: Vec<String>,
    /// Their fields are left as the texts that they are, for a format that knows what they hold.
    pub texts: bool,
    /// The channels; one with a wildcard in it is a pattern.
    pub channels: Vec<Pattern>,
    /// Where to begin at the very first start.
    pub start: Start,
}

/// Names that look alike, and what a flow calls them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// What stands after the dot in `from: cache.orders`.
    pub name: String,
    /// As Redis reads patterns: `order:*`.
    pub glob: String,
}

/// Sentinels, and whom they watch.
#[derive(Clone, Debug)]
pub struct Sentinel {
    /// The name of the master.
    pub master: String,
    /// User and password of the sentinels themselves.
    pub login: Option<(Option<String>, Secret)>,
}

/// The files of TLS.
#[derive(Clone, Debug, Default)]
pub struct Security {
    /// The authorities that are trusted; `None`: those of the machine.
    pub ca: Option<PathBuf>,
    /// The client's certificate and its key.
    pub certificate: Option<(PathBuf, PathBuf)>,
}

impl Pattern {
    /// Whether it is a pattern and not a name.
    pub fn has_wildcard(&self) -> bool {
        self.glob.contains(['*', '?', '['])
    }
}

/// Whether this is an address of Redis. What is wrong with it is not told, since it may hold a password.
pub fn is_address(url: &str) -> bool {
    url.into_connection_info().is_ok()
}

impl Options {
    /// The address that a url names, and all that the login needs.
    pub(super) fn address(url: &Secret) -> Result<ConnectionInfo, Failure> {
        let info = url.0.as_str().into_connection_info().map_err(|_| {
            Failure(
                "`url` is no address of Redis: write `redis://user:password@host:6379/0`, `rediss://` with TLS".into(),
            )
        })?;
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3).set_skip_set_lib_name();
        Ok(info.set_redis_settings(settings))
    }

    /// The database that is followed.
    pub(super) fn database(&self) -> i64 {
        let first = self.urls.first().and_then(|url| Options::address(url).ok());
        first.map_or(0, |info| info.redis_settings().db())
    }

    /// Whether anything is followed that is told once, to whoever listens.
    pub(super) fn listens(&self) -> bool {
        !self.keys.is_empty() || !self.channels.is_empty()
    }

    /// The channels on which the server tells of these keys.
    pub(super) fn keyspace(&self) -> Vec<String> {
        let database = self.database();
        self.keys.iter().map(|keys| format!("__keyspace@{database}__:{}", keys.glob)).collect()
    }

    /// A client for an address, with the certificates.
    pub(super) fn client(&self, info: ConnectionInfo) -> Result<Client, Failure> {
        let refused = |error: redis::RedisError| {
            Failure(format!("the client of Redis cannot be set up ({error}): check `url` and `security`"))
        };
        let with_tls = matches!(info.addr(), ConnectionAddr::TcpTls { .. });
        let Security { ca, certificate } = &self.security;
        if !with_tls || (ca.is_none() && certificate.is_none()) {
            return Client::open(info).map_err(refused);
        }
        let root_cert = ca.as_ref().map(read).transpose()?;
        let client_tls = match certificate {
            Some((certificate, key)) => {
                Some(ClientTlsConfig { client_cert: read(certificate)?, client_key: read(key)? })
            }
            None => None,
        };
        Client::build_with_tls(info, TlsCertificates { client_tls, root_cert }).map_err(refused)
    }
}

fn read(path: &PathBuf) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| {
        Failure(format!("{} of `security` cannot be read: {error}. Is the path right?", path.display()))
    })
}
