//! A finding as a row: columns for what is asked for, the whole beside them.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, de};
use sqlx::{QueryBuilder, SqliteTransaction};
use std::borrow::Cow;

/// So many words of a finding are kept, the newest.
pub const WORDS_KEPT_MAX: i64 = 100;
/// Words that are written by one statement.
const TOGETHER: usize = 256;

/// The columns of one word about a finding, as its JSON has them.
#[derive(Debug, Deserialize)]
pub struct Row<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    flow: Cow<'a, str>,
    #[serde(borrow)]
    check: Cow<'a, str>,
    #[serde(borrow)]
    key: Cow<'a, str>,
    by: Option<String>,
    #[serde(borrow)]
    class: Cow<'a, str>,
    #[serde(borrow)]
    severity: Cow<'a, str>,
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(deserialize_with = "moment")]
    time: Option<String>,
    #[serde(deserialize_with = "moment")]
    deadline: Option<String>,
    #[serde(deserialize_with = "moment")]
    judged_at: Option<String>,
    healed_after_ms: Option<i64>,
    #[serde(borrow)]
    summary: Cow<'a, str>,
    #[serde(skip)]
    document: &'a str,
    #[serde(skip)]
    explanation: String,
}

/// A moment with all its digits, so that it sorts as text.
fn moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = Option::<Cow<'_, str>>::deserialize(deserializer)?;
    let at = text.map(|text| DateTime::parse_from_rfc3339(&text)).transpose().map_err(de::Error::custom)?;
    Ok(at.map(|at| at.with_timezone(&Utc).to_rfc3339_opts(SecondsFormat::Nanos, true)))
}

impl<'a> Row<'a> {
    /// From the finding's JSON line and its text for people.
    pub fn of(document: &'a str, explanation: &str) -> Result<Row<'a>, serde_json::Error> {
        let row: Row<'a> = serde_json::from_str(document)?;
        // Colours are for terminals.
        Ok(Row { document, explanation: anstream::adapter::strip_str(explanation).to_string(), ..row })
    }
}

/// Writes words down, and makes the findings what they say, in this order.
pub(super) async fn keep(rows: &[&Row<'_>], transaction: &mut SqliteTransaction<'_>) -> Result<(), sqlx::Error> {
    // The statements are as long as there are rows: none is kept for the next time.
    const NEXT: &str = "SELECT coalesce(max(number), 0) + 1 FROM words";
    let next: i64 = sqlx::query_scalar(NEXT).fetch_one(&mut **transaction).await?;
    for (numbers, rows) in (next..).step_by(TOGETHER).zip(rows.chunks(TOGETHER)) {
        let numbered = || (numbers..).zip(rows);
        let mut words =
            QueryBuilder::new("INSERT INTO words (number, id, status, class, severity, judged_at, summary) ");
        words.push_values(numbered(), |mut values, (number, row)| {
            values.push_bind(number).push_bind(&*row.id).push_bind(&*row.status).push_bind(&*row.class);
            values.push_bind(&*row.severity).push_bind(&row.judged_at).push_bind(&*row.summary);
        });
        words.build().persistent(false).execute(&mut **transaction).await?;
        let mut findings = QueryBuilder::new(
            "INSERT INTO findings (id, flow, check_name, key, by_value, class, severity, status, time, deadline, \
             judged_at, healed_after_ms, summary, document, explanation, first_word, last_word) ",
        );
        findings.push_values(numbered(), |mut values, (number, row)| {
            values.push_bind(&*row.id).push_bind(&*row.flow).push_bind(&*row.check).push_bind(&*row.key);
            values.push_bind(&row.by).push_bind(&*row.class).push_bind(&*row.severity).push_bind(&*row.status);
            values.push_bind(&row.time).push_bind(&row.deadline).push_bind(&row.judged_at);
            values.push_bind(row.healed_after_ms).push_bind(&*row.summary).push_bind(row.document);
            values.push_bind(&row.explanation).push_bind(number).push_bind(number);
        });
        findings.push(
            " ON CONFLICT (id) DO UPDATE SET class = excluded.class, severity = excluded.severity, \
             status = excluded.status, time = excluded.time, deadline = excluded.deadline, \
             judged_at = excluded.judged_at, healed_after_ms = excluded.healed_after_ms, summary = excluded.summary, \
             document = excluded.document, explanation = excluded.explanation, last_word = excluded.last_word",
        );
        findings.build().persistent(false).execute(&mut **transaction).await?;
        let mut old = QueryBuilder::new("DELETE FROM words AS word WHERE id IN (");
        let mut ids = old.separated(", ");
        rows.iter().for_each(|row| _ = ids.push_bind(&*row.id));
        old.push(") AND number <= (SELECT number FROM words WHERE id = word.id ORDER BY number DESC LIMIT 1 OFFSET ");
        old.push_bind(WORDS_KEPT_MAX).push(")");
        old.build().persistent(false).execute(&mut **transaction).await?;
    }
    Ok(())
}
