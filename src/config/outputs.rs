//! Where the daemon tells what it knows: `server` and `webhook`.

use crate::flow::diagnostic::{Diagnostics, Problem, Spanned};
use crate::flow::fields::Fields;
use crate::model::verdict::Severity;
use crate::sources::secret::Secret;

/// Where the daemon listens where nothing else is said.
pub const LISTEN: &str = "127.0.0.1:7780";

/// Where the daemon tells what it knows.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Outputs {
    /// Where `/status` and the like are served.
    pub listen: Listen,
    /// Who is sent the findings.
    pub webhook: Option<Webhook>,
}

/// Where the daemon listens.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Listen {
    /// At [`LISTEN`], if nobody else does.
    #[default]
    Usual,
    /// There, and nowhere else.
    At(String),
    /// Nowhere.
    Off,
}

/// A receiver of findings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Where they are posted.
    pub url: Secret,
    /// Findings of at least this severity.
    pub on: Severity,
    /// What it is shown as a bearer token.
    pub token: Option<Secret>,
}

/// Reads both.
pub(super) fn config(root: &Fields<'_>, diagnostics: &Diagnostics<'_>) -> Outputs {
    let listen = root.get("server").and_then(|node| {
        let fields = Fields::new(node, "`server`", diagnostics)?;
        let listen = fields.text("listen").and_then(|text| listen(text, diagnostics));
        fields.finish();
        listen
    });
    let webhook = root.get("webhook").and_then(|node| {
        let fields = Fields::new(node, "`webhook`", diagnostics)?;
        let remedy = "say where findings are posted: `url: https://example.org/findings`";
        let url = fields.required("url", remedy).and_then(|_| url(fields.text("url")?, diagnostics));
        let severities: Vec<_> = Severity::ALL.iter().map(|severity| (severity.name(), *severity)).collect();
        let on = fields.choice("on", &severities).unwrap_or(Severity::Warning);
        let token = fields.text("token").and_then(|text| token(text, diagnostics));
        fields.finish();
        Some(Webhook { url: url?, on, token })
    });
    Outputs { listen: listen.unwrap_or_default(), webhook }
}

fn listen(text: Spanned<String>, diagnostics: &Diagnostics<'_>) -> Option<Listen> {
    if text.value == "off" {
        return Some(Listen::Off);
    }
    let port = text.value.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port.parse::<u16>());
    if !matches!(port, Some(Ok(_))) {
        Problem::error("bad-address", text.place, format!("`{}` is no address to listen on", text.value))
            .help(format!("it is a host and a port, such as {LISTEN}, 0.0.0.0:7780 or [::1]:7780, or `off`"))
            .report(diagnostics);
        return None;
    }
    Some(Listen::At(text.value))
}

fn url(text: Spanned<String>, diagnostics: &Diagnostics<'_>) -> Option<Secret> {
    let rest = text.value.strip_prefix("https://").or(text.value.strip_prefix("http://"));
    if rest.is_none_or(|rest| rest.is_empty() || rest.starts_with('/')) {
        // What it says is not repeated: a URL can hold a password.
        Problem::error("bad-url", text.place, "this is no URL that findings can be posted to")
            .help("it begins with https:// or http:// and names a host: https://example.org/findings")
            .report(diagnostics);
        return None;
    }
    Some(Secret(text.value))
}

fn token(text: Spanned<String>, diagnostics: &Diagnostics<'_>) -> Option<Secret> {
    if text.value.is_empty() || !text.value.bytes().all(|byte| byte.is_ascii_graphic()) {
        Problem::error(
            "bad-token",
            text.place,
            "this is no token: it is empty, or has blanks or unusual characters in it",
        )
        .help("it is sent as `Authorization: Bearer TOKEN`; a line break at the end of a variable counts as well")
        .report(diagnostics);
        return None;
    }
    Some(Secret(text.value))
}
