//! A TCP proxy that can be cut, stalled and made slow, between a source and its server.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

const TICK: Duration = Duration::from_millis(10);

/// Listens on a port of its own for as long as it lives.
pub struct Proxy {
    pub port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// Connections of an older generation are cut.
    generation: AtomicU64,
    stalled: AtomicBool,
    /// So many milliseconds later, what is said by one arrives at the other.
    way_ms: AtomicU64,
    over: AtomicBool,
}

impl Proxy {
    /// Leads to this port of this machine.
    pub fn to(server: u16) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::<State>::default();
        let shared = state.clone();
        thread::spawn(move || {
            while !shared.over.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((client, _)) => connect(client, server, &shared),
                    Err(_) => thread::sleep(TICK),
                }
            }
        });
        Proxy { port, state }
    }

    /// Cuts all connections; new ones are let through.
    pub fn cut(&self) {
        self.state.generation.fetch_add(1, Ordering::Relaxed);
    }

    /// Lets nothing through, in either direction, or again.
    pub fn stall(&self, stalled: bool) {
        self.state.stalled.store(stalled, Ordering::Relaxed);
    }

    /// So far away is the server from now on.
    pub fn lengthen(&self, way: Duration) {
        self.state.way_ms.store(way.as_millis() as u64, Ordering::Relaxed);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.over.store(true, Ordering::Relaxed);
        self.cut();
    }
}

fn connect(client: TcpStream, server: u16, state: &Arc<State>) {
    // A server that is down: the client's connection ends as well.
    let Ok(server) = TcpStream::connect(("127.0.0.1", server)) else { return };
    let generation = state.generation.load(Ordering::Relaxed);
    for (from, to) in [(&client, &server), (&server, &client)] {
        let (from, to, state) = (from.try_clone().unwrap(), to.try_clone().unwrap(), state.clone());
        thread::spawn(move || copy(from, to, &state, generation));
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream, state: &State, generation: u64) {
    from.set_nonblocking(false).unwrap();
    from.set_read_timeout(Some(TICK)).unwrap();
    let mut buffer = vec![0; 1 << 16];
    while state.generation.load(Ordering::Relaxed) == generation {
        if state.stalled.load(Ordering::Relaxed) {
            thread::sleep(TICK);
            continue;
        }
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                thread::sleep(Duration::from_millis(state.way_ms.load(Ordering::Relaxed)));
                while state.stalled.load(Ordering::Relaxed) && state.generation.load(Ordering::Relaxed) == generation {
                    thread::sleep(TICK);
                }
                if to.write_all(&buffer[..count]).is_err() {
                    break;
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => break,
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
