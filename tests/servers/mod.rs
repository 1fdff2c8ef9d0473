//! Real servers for tests, and the daemon beside them: private instances on free ports, in folders of their own, which end
//! with the test.
//!
//! `tests/run` installs what is needed and says where it is; without it, the usual places are tried. A server that is
//! not there is a failure that says what to install.

// Each test program starts only some of them.
#![allow(dead_code)]

pub mod certificates;
pub mod daemon;
pub mod kafka;
pub mod mariadb;
pub mod postgres;
pub mod proxy;
pub mod rabbitmq;
pub mod redis;

use std::net::TcpListener;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// How long a server may take to come up or go down.
pub const STARTS_WITHIN: Duration = Duration::from_secs(120);

/// A port that nobody listens on. It lies below those that the system gives to connections, so that none of them takes it
/// before its server does; and so does the one 10,000 above it, which a node of a cluster of Redis takes, too.
pub fn free_port() -> u16 {
    const FIRST: u32 = 12_000;
    const COUNT: u32 = 10_000;
    static TRIED: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = std::process::id().wrapping_mul(211).wrapping_add(TRIED.fetch_add(1, Ordering::Relaxed));
        let port = (FIRST + number % COUNT) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A process that ends with its owner.
pub struct Process(pub Child);

impl Process {
    /// Ends it at once.
    pub fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }

    /// Asks it to end, and waits.
    pub fn terminate(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status();
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Tries until it works.
#[track_caller]
pub fn eventually<T>(what: &str, mut attempt: impl FnMut() -> Result<T, String>) -> T {
    let end = std::time::Instant::now() + STARTS_WITHIN;
    loop {
        match attempt() {
            Ok(value) => return value,
            Err(why) => assert!(std::time::Instant::now() < end, "{what}: {why}"),
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
