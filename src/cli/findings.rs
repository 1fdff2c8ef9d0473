//! `throughline findings list | show`: what daemons have found, from their store.

use super::Exit;
use super::human::{GOOD, WARNING};
use super::table::Table;
use crate::config::moment;
use crate::findings::sentence::{BOLD, DIM, Shown, colour};
use crate::findings::store::{Archive, Filter, Kept};
use crate::model::time::{Span, Time};
use crate::model::verdict::{Class, Severity, Status};
use anstyle::Style;
use chrono::Utc;
use chrono_tz::Tz;
use std::fmt::Write;
use std::path::PathBuf;
use std::str::FromStr;

/// Show what `throughline run` has found, also while it runs
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    List(List),
    Show(Show),
}

/// List findings, the newest first
#[derive(clap::Args)]
struct List {
    /// The folder of the daemon
    #[arg(long, value_name = "FOLDER", default_value = super::run::DATA)]
    data: PathBuf,
    /// Of this flow
    #[arg(long, value_name = "NAME")]
    flow: Option<String>,
    /// Of this check
    #[arg(long, value_name = "NAME")]
    check: Option<String>,
    /// Of this class, such as lost_message
    #[arg(long, value_name = "CLASS", value_parser = one_of::<Class>(Class::ALL.iter().map(|class| class.name())))]
    class: Option<Class>,
    /// At least as bad: info, warning or critical
    #[arg(long, value_name = "SEVERITY", value_parser = one_of::<Severity>(Severity::ALL.iter().map(|severity| severity.name())))]
    severity: Option<Severity>,
    /// In this state: open, healed or resolved
    #[arg(long, value_name = "STATUS", value_parser = one_of::<Status>(Status::ALL.iter().map(|status| status.name())))]
    status: Option<Status>,
    /// Of the transaction with this value of the flow's key
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Judged since this moment or for so long: 2026-01-29T08:50:00Z, 2026-01-29, 1h
    #[arg(long, value_name = "T", value_parser = since)]
    since: Option<Time>,
    /// The newest so many
    #[arg(long, value_name = "N", default_value = "100")]
    limit: u32,
    /// How they are printed
    #[arg(long, value_enum, default_value = "human")]
    format: Format,
}

/// Show all that is known of one finding
#[derive(clap::Args)]
struct Show {
    /// Its id, or how that begins
    id: String,
    /// The folder of the daemon
    #[arg(long, value_name = "FOLDER", default_value = super::run::DATA)]
    data: PathBuf,
    /// How it is printed
    #[arg(long, value_enum, default_value = "human")]
    format: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    Human,
    /// A JSON line each (`throughline schema finding`)
    Json,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    match &args.command {
        Command::List(list) => list.run(),
        Command::Show(show) => show.run(),
    }
}

impl List {
    fn run(&self) -> anyhow::Result<Exit> {
        let filter = Filter {
            flow: self.flow.clone(),
            check: self.check.clone(),
            class: self.class,
            severity: self.severity,
            status: self.status,
            key: self.key.clone(),
            since: self.since,
            // One more tells whether there are more.
            limit: Some(self.limit.saturating_add(1)),
        };
        let mut found = Archive::open(&self.data)?.list(&filter)?;
        let more = found.len() > self.limit as usize;
        found.truncate(self.limit as usize);
        if self.format == Format::Json {
            let lines: String = found.iter().map(|finding| finding.document.clone() + "\n").collect();
            super::print(&lines)?;
            return Ok(Exit::Good);
        }
        let mut out = table(&found);
        if found.is_empty() {
            let _ = writeln!(out, "{GOOD}nothing{GOOD:#} was found that fits");
        } else if more {
            let _ = writeln!(out, "{WARNING}there are more{WARNING:#}: `--limit N` shows the newest N");
        }
        super::print(&out)?;
        Ok(Exit::Good)
    }
}

fn table(found: &[Kept]) -> String {
    if found.is_empty() {
        return String::new();
    }
    let mut table = Table::left();
    table.row(["id", "severity", "class", "status", "flow / check", "key", "time", ""].map(|c| (c.to_owned(), DIM)));
    for finding in found {
        let plain = Style::new();
        let by = finding.by.as_deref().map(|by| format!(" by {}", Shown(by))).unwrap_or_default();
        table.row([
            (finding.id.clone(), DIM),
            (finding.severity.clone(), Severity::from_str(&finding.severity).map_or(plain, colour)),
            (finding.class.clone(), plain),
            (finding.status.clone(), plain),
            (format!("{} / {}", finding.flow, finding.check), BOLD),
            (format!("{}{by}", Shown(&finding.key)), plain),
            (finding.time.as_deref().map(short).unwrap_or_default(), plain),
            (Shown(&finding.summary).to_string(), plain),
        ]);
    }
    table.lines(0)
}

/// A moment of the store to the second.
fn short(moment: &str) -> String {
    moment.split_once('.').map_or(moment.to_owned(), |(seconds, _)| format!("{seconds}Z"))
}

impl Show {
    fn run(&self) -> anyhow::Result<Exit> {
        let mut archive = Archive::open(&self.data)?;
        let found = archive.show(&self.id)?;
        let finding = match &found[..] {
            [finding] => finding,
            [] => {
                anstream::eprintln!(
                    "there is no finding `{}`; `throughline findings list` shows them",
                    Shown(&self.id)
                );
                return Ok(Exit::Unknown);
            }
            several => {
                let several: Vec<_> = several.iter().map(|finding| finding.id.as_str()).collect();
                anstream::eprintln!("several findings begin with `{}`: {}, …", Shown(&self.id), several.join(", "));
                return Ok(Exit::Unknown);
            }
        };
        if self.format == Format::Json {
            super::print(&format!("{}\n", finding.document))?;
            return Ok(Exit::Good);
        }
        let words = archive.words(&finding.id)?;
        let mut out = coloured(finding);
        if words.len() > 1 {
            let _ = writeln!(out, "  {DIM}history{DIM:#}");
            let mut table = Table::left();
            for word in words {
                let judged = word.judged_at.as_deref().map(short).unwrap_or_default();
                let cells = [judged, word.status, word.class, word.severity, Shown(&word.summary).to_string()];
                table.row(cells.map(|cell| (cell, Style::new())));
            }
            out.push_str(&table.lines(4));
        }
        super::print(&out)?;
        Ok(Exit::Good)
    }
}

/// The finding as `run` prints it, its severity in its colour.
fn coloured(finding: &Kept) -> String {
    let style = Severity::from_str(&finding.severity).map_or(Style::new(), colour);
    match finding.explanation.strip_prefix(finding.severity.as_str()) {
        Some(rest) => format!("{style}{}{style:#}{rest}", finding.severity),
        None => finding.explanation.clone(),
    }
}

/// One of the words of a type.
fn one_of<T: FromStr<Err = ()> + Clone + Send + Sync + 'static>(
    words: impl Iterator<Item = &'static str>,
) -> impl clap::builder::TypedValueParser<Value = T> {
    use clap::builder::{PossibleValuesParser, TypedValueParser};
    PossibleValuesParser::new(words).map(|word| T::from_str(&word).unwrap_or_else(|()| unreachable!("it is a name")))
}

fn since(text: &str) -> Result<Time, String> {
    let now = Time(Utc::now().timestamp_nanos_opt().unwrap_or(i64::MAX - 1));
    let ago = Span::parse(text).map(|span| now - span).ok();
    ago.or_else(|| moment::read(text, Tz::UTC)).ok_or_else(|| format!("{}, or a span like 1h", moment::FORMS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_moment_or_a_span() {
        assert_eq!(since("2026-01-29").unwrap().to_string(), "2026-01-29T00:00:00Z");
        let hour_ago = Utc::now().timestamp() - 3600;
        assert!((since("1h").unwrap().0 / 1_000_000_000 - hour_ago).abs() <= 1);
        assert!(since("soon").unwrap_err().contains("1h"));
    }
}
