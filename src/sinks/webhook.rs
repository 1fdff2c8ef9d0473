//! Posts findings to a URL.
//!
//! ```text
//! POST <url>   Authorization: Bearer <token>   {"findings": [{…}, …]}   ─▶ 2xx: taken
//! ```

use crate::connect::tls;
use std::time::Duration;
use ureq::http::{HeaderValue, StatusCode, Uri, header};

/// How long one post may take, from the look-up of the name to the answer.
pub const POST_TIME_MAX: Duration = Duration::from_secs(10);

/// Why a receiver took nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PostError {
    /// It will never take these.
    #[error("{receiver} refuses what it is sent: it answers {status}")]
    Refused {
        /// The receiver, without what is secret in its URL.
        receiver: String,
        /// Its answer.
        status: u16,
    },
    /// It may take them later.
    #[error("{receiver} takes no findings: {why}")]
    Failed {
        /// The receiver, without what is secret in its URL.
        receiver: String,
        /// What happened.
        why: String,
    },
}

/// A receiver that findings are posted to.
pub struct Webhook {
    agent: ureq::Agent,
    url: String,
    token: Option<HeaderValue>,
    shown: String,
}

impl Webhook {
    /// The receiver at a URL, which is shown the token.
    pub fn new(url: &str, token: Option<&str>) -> Webhook {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(POST_TIME_MAX))
            .http_status_as_error(false)
            // A token is for the receiver that was named, and for no other.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .tls_config(tls::http(None))
            .user_agent(concat!("throughline/", env!("CARGO_PKG_VERSION")));
        let token = token.and_then(|token| {
            let mut value = HeaderValue::from_str(&format!("Bearer {token}")).ok()?;
            value.set_sensitive(true);
            Some(value)
        });
        Webhook { agent: config.build().into(), url: url.to_owned(), token, shown: shown(url) }
    }

    /// Where it is, without what is secret: passwords, paths and queries can be.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Posts findings, each as its JSON.
    pub fn post(&self, findings: &[&str]) -> Result<(), PostError> {
        let body = format!("{{\"findings\":[{}]}}", findings.join(","));
        let mut post = self.agent.post(&self.url).header(header::CONTENT_TYPE, "application/json");
        if let Some(token) = &self.token {
            post = post.header(header::AUTHORIZATION, token.clone());
        }
        let receiver = || self.shown.clone();
        let answer = post.send(body).map_err(|error| PostError::Failed { receiver: receiver(), why: told(&error) })?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => {
                Err(PostError::Refused { receiver: receiver(), status: answer.status().as_u16() })
            }
            status => Err(PostError::Failed { receiver: receiver(), why: format!("it answers {}", status.as_u16()) }),
        }
    }
}

/// What went wrong, without the URL.
fn told(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Io(error) => error.to_string(),
        ureq::Error::Timeout(_) => format!("no answer within {} s", POST_TIME_MAX.as_secs()),
        ureq::Error::BadUri(_) | ureq::Error::Http(_) => "its URL cannot be used".to_owned(),
        ureq::Error::HostNotFound => "its host is not known".to_owned(),
        error => error.to_string(),
    }
}

fn shown(url: &str) -> String {
    let uri: Option<Uri> = url.parse().ok();
    let scheme = uri.as_ref().and_then(Uri::scheme_str).unwrap_or("http");
    let authority = uri.as_ref().and_then(Uri::authority).map_or("", |authority| authority.as_str());
    let host = authority.rsplit('@').next().unwrap_or_default();
    let more = uri.as_ref().and_then(Uri::path_and_query).is_some_and(|path| path.as_str() != "/");
    format!("{scheme}://{host}{}", if more { "/…" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_secret_in_a_url_is_not_shown() {
        let shown = |url: &str| Webhook::new(url, None).shown().to_owned();
        assert_eq!(shown("https://user:secret@example.org:8443/hook/T0P?key=1"), "https://example.org:8443/…");
        assert_eq!(shown("http://example.org"), "http://example.org");
        assert_eq!(shown("http://[::1]:80/"), "http://[::1]:80");
    }

    #[test]
    fn nobody_there_is_a_failure_without_secrets() {
        // Nothing listens on a port that was just let go.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let webhook = Webhook::new(&format!("http://me:secret@127.0.0.1:{port}/path"), Some("token"));
        let error = webhook.post(&["{}"]).unwrap_err();
        assert!(matches!(error, PostError::Failed { .. }), "{error}");
        let told = error.to_string();
        assert!(told.contains(&format!("127.0.0.1:{port}")), "{told}");
        assert!(!told.contains("secret") && !told.contains("token") && !told.contains("path"), "{told}");
    }
}
