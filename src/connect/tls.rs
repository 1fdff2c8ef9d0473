//! TLS as every connection has it: rustls with ring, and the authorities that the machine trusts.

use std::sync::Arc;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// Makes ring the process's provider of cryptography, for the clients that ask for the process's. A second call changes
/// nothing.
pub fn install() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// How an HTTP client checks certificates: against these authorities, else against the machine's.
pub fn http(authorities: Option<&[Certificate<'static>]>) -> TlsConfig {
    let roots = match authorities {
        Some(authorities) => RootCerts::new_with_certs(authorities),
        None => {
            let found = rustls_native_certs::load_native_certs();
            found.errors.iter().for_each(|error| tracing::debug!("an authority of the machine: {error}"));
            let all: Vec<_> = found.certs.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
            RootCerts::new_with_certs(&all)
        }
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    TlsConfig::builder().root_certs(roots).unversioned_rustls_crypto_provider(provider).build()
}
