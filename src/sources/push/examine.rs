//! What `check --connect` says of a source that listens.

use super::listener::{self, Endpoint};
use super::options::{Options, Senders};
use crate::sources::live::Failure;
use crate::sources::remark::Remark;
use std::net::ToSocketAddrs;

/// Whether it could listen, who may send, and what will be proven.
pub fn remarks(endpoints: &[Endpoint], options: &Options) -> Vec<Remark> {
    let mut remarks: Vec<Remark> = endpoints.iter().map(|endpoint| address(&endpoint.listen)).collect();
    let open = endpoints.iter().any(|endpoint| is_beyond_loopback(&endpoint.listen));
    remarks.push(match (options.tokens.is_empty(), open) {
        (true, true) => Remark::warning("everybody who reaches this machine may send: name `tokens`"),
        (true, false) => Remark::good("every program of this machine may send"),
        (false, _) => Remark::good(format!("who shows one of {} tokens may send", options.tokens.len())),
    });
    match &options.tls {
        Some(tls) => remarks.push(match listener::config(tls) {
            Ok(_) => Remark::good("the certificate and its key fit"),
            Err(Failure(why)) => Remark::error(why),
        }),
        None if open => remarks.push(Remark::warning("tokens and events are sent in the clear: name `tls`")),
        None => {}
    }
    remarks.push(Remark::warning(
        "progress is assumed: what happened longer ago than `lateness` is taken to have been sent",
    ));
    remarks.push(match options.senders {
        Senders::Forget => Remark::warning(
            "what is sent while nobody listens, or is refused, counts as lost (a gap): where senders keep what was not \
             answered and send it again, say `senders: retry`",
        ),
        Senders::Retry => Remark::good("senders send again what was not answered, as declared: a restart is no gap"),
    });
    remarks
}

fn address(listen: &str) -> Remark {
    match listener::bind(listen) {
        Ok(_) => Remark::good(format!("{listen} can be listened at")),
        Err(Failure(why)) if why.contains("in use") => {
            Remark::warning(format!("{listen} is in use: by the daemon, if it runs, else by another program"))
        }
        Err(Failure(why)) => Remark::error(why),
    }
}

fn is_beyond_loopback(listen: &str) -> bool {
    listen.to_socket_addrs().is_ok_and(|mut all| all.any(|address| !address.ip().is_loopback()))
}
