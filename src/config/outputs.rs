//! Where the daemon tells what it knows, `server` and `webhook`, and for how long it knows it: `keep`.

use crate::flow::diagnostic::{Diagnostics, Problem, Spanned};
use crate::flow::fields::Fields;
use crate::flow::yaml::Node;
use crate::model::time::Span;
use crate::model::verdict::Severity;
use crate::sources::secret::Secret;

/// Where the daemon listens where nothing else is said.
pub const LISTEN: &str = "127.0.0.1:7780";

/// The longest that a journal can be kept: what is older could not be told from what is to come.
const AGE_MAX: Span = Span::seconds(100 * 365 * 86_400);
/// A gibibyte.
const GIB: u64 = 1 << 30;

/// Where the daemon tells what it knows, and for how long it knows it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Outputs {
    /// Where `/status` and the like are served.
    pub listen: Listen,
    /// Who is sent the findings.
    pub webhook: Option<Webhook>,
    /// What is kept on disk.
    pub keep: Keep,
}

/// How much is kept on disk; what comes first counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// So long is what was seen kept, in the journal of each flow.
    pub journal_age: Span,
    /// Bytes that the journal of each flow may take.
    pub journal_bytes: u64,
    /// So many findings are kept; beyond that the ones that were told longest ago are forgotten.
    pub findings: u64,
}

impl Default for Keep {
    fn default() -> Keep {
        Keep { journal_age: Span::seconds(30 * 86_400), journal_bytes: 16 * GIB, findings: 1_000_000 }
    }
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

/// Reads all three.
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
    let keep = root.get("keep").and_then(|node| keep(node, diagnostics)).unwrap_or_default();
    Outputs { listen: listen.unwrap_or_default(), webhook, keep }
}

fn keep(node: &Node, diagnostics: &Diagnostics<'_>) -> Option<Keep> {
    let usual = Keep::default();
    let fields = Fields::new(node, "`keep`", diagnostics)?;
    let age = fields.duration("journal_age");
    let gib = fields.number("journal_gib");
    let findings = fields.number("findings");
    fields.finish();
    if let Some(age) = age.as_ref().filter(|age| age.value <= Span::ZERO || age.value > AGE_MAX) {
        Problem::error("bad-limit", age.place, format!("`journal_age` cannot be {}", age.value))
            .help("it is how long what was seen can be asked for: 30d is the default")
            .report(diagnostics);
    }
    for (name, number) in [("journal_gib", &gib), ("findings", &findings)] {
        let possible = |number: u64| (1..=u64::from(u32::MAX)).contains(&number);
        if let Some(number) = number.as_ref().filter(|number| !possible(number.value)) {
            Problem::error("bad-limit", number.place, format!("`{name}` cannot be {}", number.value))
                .help("without a limit the disk would be: 16 GiB a flow and 1,000,000 findings are the defaults")
                .report(diagnostics);
        }
    }
    Some(Keep {
        journal_age: age.map_or(usual.journal_age, |age| age.value),
        journal_bytes: gib.map_or(usual.journal_bytes, |gib| gib.value.saturating_mul(GIB)),
        findings: findings.map_or(usual.findings, |findings| findings.value),
    })
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
