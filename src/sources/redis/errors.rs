//! What goes wrong with a server, and the way out.

use super::super::live::Failure;
use redis::{RedisError, ServerErrorKind, Value};
use std::time::Duration;

/// The server, or the way to it, does not let us in.
pub(super) fn refused(address: &str, error: &RedisError) -> Failure {
    let text = error.to_string();
    let remedy =
        if text.contains("WRONGPASS") || text.contains("AuthenticationFailed") || text.contains("invalid password") {
            ". The user or the password in `url` is wrong"
        } else if text.contains("NOAUTH") {
            ". It wants a password: `url: redis://user:password@host:6379`"
        } else if text.contains("NOPERM") || text.contains("NoPerm") {
            return forbidden(address, &text);
        } else if text.contains("HELLO") || text.contains("RESP3") {
            ". Redis 6 or later is needed"
        } else if text.contains("ertificate") || text.contains("TLS") || text.contains("tls") {
            ". Is `ca` of `security` the authority that has signed the server's certificate, for this name?"
        } else if text.contains("DB index") {
            ". The number behind the last `/` of `url` is no database of this server"
        } else {
            ". Check `url`, and whether the server can be reached from here"
        };
    Failure(format!("Redis at {address} cannot be used ({text}){remedy}"))
}

/// The connection is of no use any more.
pub(super) fn broken(address: &str, error: &RedisError) -> Failure {
    Failure(format!("the connection to Redis at {address} is broken ({error}); it is made anew"))
}

/// The server has closed the connection.
pub(super) fn closed(address: &str) -> Failure {
    Failure(format!(
        "Redis at {address} has closed the connection: it was restarted, another took over, or events waited beyond its \
         `client-output-buffer-limit pubsub`; it is made anew"
    ))
}

/// It takes too long.
pub(super) fn late(address: &str, limit: Duration) -> Failure {
    Failure(format!("Redis at {address} has not answered for {} s", limit.as_secs()))
}

/// A right is missing.
fn forbidden(address: &str, what: &str) -> Failure {
    Failure(format!(
        "Redis at {address} refuses ({what}): the user lacks a right. docs/redis.md has the rule that gives all that is \
         needed, and `ACL LOG` says what was refused: `ACL SETUSER … +command %R~key &channel`"
    ))
}

/// A command was refused, or answered with something else than it should.
pub(super) fn failed(address: &str, command: &str, answer: &Value, remedy: Option<&str>) -> Failure {
    let Value::ServerError(error) = answer else {
        return Failure(format!("Redis at {address} answered {command} with something that cannot be read"));
    };
    let text = format!("{} {}", error.code(), error.details().unwrap_or_default());
    if error.kind() == Some(ServerErrorKind::NoPerm) {
        return forbidden(address, &format!("{command}: {}", text.trim()));
    }
    let remedy = remedy.map_or(String::new(), |remedy| format!(". {remedy}"));
    Failure(format!("Redis at {address} refuses {command} ({}){remedy}", text.trim()))
}
