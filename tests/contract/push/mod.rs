//! What is pushed: of the contract, what fits a source that listens and is told.
//!
//! ```text
//! http_events.rs   every form of an event, what is refused, and how
//! limits.rs        an engine that is behind, slow senders, restarts, stopping
//! random.rs        senders that send again: what was answered is there, and no proof is ahead of it
//! otlp.rs          gRPC and HTTP as a client of the protocol speaks them
//! sdk.rs           OpenTelemetry's own SDK of Python
//! daemon.rs        the daemon, killed
//! absence.rs       what is said to be missing, while events come late, twice, in parts and in no order
//! ```

mod absence;
mod daemon;
mod http_events;
mod limits;
mod otlp;
mod random;
mod sdk;

use super::servers::free_port;
use super::watch::{Place, Said, Seen, Watch};
use std::time::{Duration, Instant};
use throughline::sources::http_events::{HttpEvents, Options};
use throughline::sources::push;

pub const JSON: (&str, &str) = ("content-type", "application/json");
pub const LINES: (&str, &str) = ("content-type", "application/x-ndjson");

/// Somewhere to post events to.
pub struct Inlet {
    pub listen: String,
    pub push: push::Options,
}

impl Inlet {
    pub fn new(push: push::Options) -> Inlet {
        Inlet { listen: format!("127.0.0.1:{}", free_port()), push }
    }

    pub fn source(&self) -> Box<HttpEvents> {
        let options = Options { name: "shop".into(), listen: self.listen.clone(), push: self.push.clone() };
        Box::new(HttpEvents::new(options))
    }

    /// Listens, and goes on from a place.
    pub fn listen_from(&self, from: Place) -> Watch {
        let watch = Watch::start(self.source(), from);
        watch.until("it listens", |_| std::net::TcpStream::connect(&self.listen).is_ok());
        watch
    }

    pub fn listen(&self) -> Watch {
        self.listen_from(Place::default())
    }

    pub fn post(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        post(&format!("http://{}{path}", self.listen), headers, body)
    }

    /// Posts a JSON document.
    pub fn event(&self, body: &str) -> Answer {
        self.post("/ingest/shop", &[JSON], body.as_bytes())
    }
}

/// What was answered, and how soon.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
    pub retry_after: Option<String>,
    pub took: Duration,
}

impl Answer {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(30)));
    config.http_status_as_error(false).proxy(None).build().into()
}

/// Posts; status 0 where there was no answer.
pub fn post(url: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    post_by(&agent(), url, headers, body)
}

pub fn post_by(agent: &ureq::Agent, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let begun = Instant::now();
    let request = headers.iter().fold(agent.post(url), |request, (name, value)| request.header(*name, *value));
    match request.send(body) {
        Ok(mut response) => Answer {
            status: response.status().as_u16(),
            retry_after: response.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned()),
            body: response.body_mut().read_to_vec().unwrap(),
            took: begun.elapsed(),
        },
        Err(error) => {
            Answer { status: 0, body: error.to_string().into_bytes(), retry_after: None, took: begun.elapsed() }
        }
    }
}

pub fn records(said: &[Said]) -> Vec<Seen> {
    let records = said.iter().filter_map(|said| match said {
        Said::Record(record) => Some(record.clone()),
        _ => None,
    });
    records.collect()
}

pub fn undecodable(said: &[Said]) -> Vec<&'static str> {
    let reasons = said.iter().filter_map(|said| match said {
        Said::Undecodable { reason, .. } => Some(*reason),
        _ => None,
    });
    reasons.collect()
}

pub fn holes(said: &[Said]) -> usize {
    said.iter().filter(|said| matches!(said, Said::Hole(_))).count()
}
