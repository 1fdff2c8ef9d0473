//! Asks a schema registry, by the calls that Confluent documents and others offer too.

use super::Registry;
use crate::connect::tls;
use crate::sources::base64;
use crate::sources::secret::Secret;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use ureq::Agent;
use ureq::tls::{Certificate, PemItem, parse_pem};

/// One schema, and all that it refers to, must be here after so long.
const PATIENCE: Duration = Duration::from_secs(3);
/// A schema refers to so many others at most, whatever lies between.
const REFERENCES_MAX: usize = 256;
/// An answer is at most so long.
const ANSWER_MAX_BYTES: u64 = 4 << 20;

/// A schema, with all that it refers to, by the names by which it does.
#[derive(Debug)]
pub(super) struct Found {
    /// AVRO, PROTOBUF or JSON.
    pub kind: String,
    pub text: String,
    /// What is referred to stands before what refers to it.
    pub references: Vec<(String, String)>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    schema: String,
    schema_type: Option<String>,
    #[serde(default)]
    references: Vec<Reference>,
}

#[derive(Deserialize)]
struct Reference {
    name: String,
    subject: String,
    version: i64,
}

pub(super) struct Client {
    agent: Agent,
    url: String,
    authorization: Option<String>,
}

impl Client {
    pub fn new(registry: &Registry) -> Result<Client, String> {
        let authorities = registry.ca.as_deref().map(certificates).transpose()?;
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .tls_config(tls::http(authorities.as_deref()))
            .user_agent("throughline");
        let authorization = registry.login.as_ref().map(|(user, Secret(password))| {
            format!("Basic {}", base64::encode(format!("{user}:{password}").as_bytes()))
        });
        Ok(Client {
            agent: config.build().new_agent(),
            url: registry.url.trim_end_matches('/').to_owned(),
            authorization,
        })
    }

    /// The schema of this number; `None` where there is none.
    pub fn schema(&self, id: u32) -> Result<Option<Found>, String> {
        let deadline = Instant::now() + PATIENCE;
        let Some(answer) = self.get(&format!("/schemas/ids/{id}"), deadline)? else { return Ok(None) };
        let mut references = BTreeMap::new();
        let mut order = Vec::new();
        for reference in answer.references {
            self.resolve(reference, deadline, &mut references, &mut order)?;
        }
        let kind = answer.schema_type.unwrap_or_else(|| "AVRO".into());
        Ok(Some(Found { kind, text: answer.schema, references: order }))
    }

    /// Adds what a schema refers to, and before that what this refers to in turn.
    fn resolve(
        &self,
        reference: Reference,
        deadline: Instant,
        seen: &mut BTreeMap<String, ()>,
        order: &mut Vec<(String, String)>,
    ) -> Result<(), String> {
        let Reference { name, subject, version } = reference;
        if seen.insert(name.clone(), ()).is_some() {
            return Ok(());
        }
        if seen.len() > REFERENCES_MAX {
            return Err(format!("a schema refers to more than {REFERENCES_MAX} others"));
        }
        let path = format!("/subjects/{}/versions/{version}", escape(&subject));
        let answer = self.get(&path, deadline)?.ok_or_else(|| format!("{}{path} is not there", self.url))?;
        for next in answer.references {
            self.resolve(next, deadline, seen, order)?;
        }
        order.push((name, answer.schema));
        Ok(())
    }

    fn get(&self, path: &str, deadline: Instant) -> Result<Option<Answer>, String> {
        let failed = |why: String| {
            format!(
                "the schema registry cannot be asked for {}{path}: {why}. Check `registry`, and whether it runs",
                self.url
            )
        };
        let left = deadline.saturating_duration_since(Instant::now());
        let mut request = self.agent.get(format!("{}{path}", self.url)).config().timeout_global(Some(left)).build();
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization);
        }
        let accept = "application/vnd.schemaregistry.v1+json, application/json";
        let mut response = request.header("Accept", accept).call().map_err(|error| failed(error.to_string()))?;
        let status = response.status().as_u16();
        let body = response.body_mut().with_config().limit(ANSWER_MAX_BYTES).read_to_string();
        match status {
            200 => {
                let body = body.map_err(|error| failed(error.to_string()))?;
                serde_json::from_str(&body).map(Some).map_err(|error| failed(format!("it answers {error}")))
            }
            404 => Ok(None),
            401 | 403 => {
                Err(failed(format!("it answers {status}: user or password are wrong, or have no right to it")))
            }
            _ => Err(failed(format!("it answers {status}"))),
        }
    }
}

/// A name in a path.
fn escape(name: &str) -> String {
    let mut out = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(byte as char);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// The certificates in a file (PEM).
fn certificates(path: &str) -> Result<Vec<Certificate<'static>>, String> {
    let pem = std::fs::read(path).map_err(|error| format!("{path} cannot be read: {error}"))?;
    let certificates: Vec<_> = parse_pem(&pem)
        .filter_map(|item| if let Ok(PemItem::Certificate(found)) = item { Some(found) } else { None })
        .collect();
    if certificates.is_empty() { Err(format!("{path} holds no certificate (PEM)")) } else { Ok(certificates) }
}
