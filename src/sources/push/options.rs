//! What is declared of a source that listens.

use crate::sources::secret::Secret;
use std::path::PathBuf;

/// The options that all sources which listen share.
#[derive(Clone, Debug)]
pub struct Options {
    /// Senders show one of these as a bearer token; everybody may send where there is none.
    pub tokens: Vec<Secret>,
    /// The certificate to show; in the clear without.
    pub tls: Option<Tls>,
    /// What senders do with a request that was not answered.
    pub senders: Senders,
    /// The largest request, in bytes, also as it is decompressed.
    pub body_max: usize,
    /// Connections at the same time.
    pub connections_max: usize,
    /// Bytes of requests that are being read or wait for the journal, all together.
    pub waiting_max: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            tokens: Vec::new(),
            tls: None,
            senders: Senders::default(),
            body_max: 4 << 20,
            connections_max: 128,
            waiting_max: 64 << 20,
        }
    }
}

/// The files of a certificate and its private key (PEM).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The certificate, and those that it was issued by.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// What senders do with a request that was not answered, or that was refused with the request to try again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Senders {
    /// They may give it up: what was refused, and what may have been sent while nobody listened, is a hole.
    #[default]
    Forget,
    /// They keep it and send it again: then it is only late.
    Retry,
}
