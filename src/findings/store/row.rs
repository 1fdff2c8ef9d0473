//! A finding as a row: columns for what is asked for, the whole beside them.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, de};
use sqlx::{Row as _, SqliteTransaction};
use std::borrow::Cow;

/// So many words of a finding are kept, the newest.
pub const WORDS_KEPT_MAX: i64 = 100;

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

    /// Writes the word down, and makes the finding what it says.
    pub(super) async fn keep(&self, transaction: &mut SqliteTransaction<'_>) -> Result<(), sqlx::Error> {
        const WORD: &str = "INSERT INTO words (number, id, status, class, severity, judged_at, summary) \
                            SELECT coalesce(max(number), 0) + 1, $1, $2, $3, $4, $5, $6 FROM words RETURNING number";
        let word = sqlx::query(WORD)
            .bind(&*self.id)
            .bind(&*self.status)
            .bind(&*self.class)
            .bind(&*self.severity)
            .bind(&self.judged_at)
            .bind(&*self.summary);
        let number: i64 = word.fetch_one(&mut **transaction).await?.try_get(0)?;
        const FINDING: &str = "INSERT INTO findings (id, flow, check_name, key, by_value, class, severity, status, time, \
             deadline, judged_at, healed_after_ms, summary, document, explanation, first_word, last_word) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $16) \
             ON CONFLICT (id) DO UPDATE SET class = excluded.class, severity = excluded.severity, \
             status = excluded.status, time = excluded.time, deadline = excluded.deadline, \
             judged_at = excluded.judged_at, healed_after_ms = excluded.healed_after_ms, summary = excluded.summary, \
             document = excluded.document, explanation = excluded.explanation, last_word = excluded.last_word";
        let finding = sqlx::query(FINDING)
            .bind(&*self.id)
            .bind(&*self.flow)
            .bind(&*self.check)
            .bind(&*self.key)
            .bind(&self.by)
            .bind(&*self.class)
            .bind(&*self.severity)
            .bind(&*self.status)
            .bind(&self.time)
            .bind(&self.deadline)
            .bind(&self.judged_at)
            .bind(self.healed_after_ms)
            .bind(&*self.summary)
            .bind(self.document)
            .bind(&self.explanation)
            .bind(number);
        finding.execute(&mut **transaction).await?;
        const OLD: &str = "DELETE FROM words WHERE id = $1 AND number <= \
                           (SELECT number FROM words WHERE id = $1 ORDER BY number DESC LIMIT 1 OFFSET $2)";
        let old = sqlx::query(OLD).bind(&*self.id).bind(WORDS_KEPT_MAX);
        old.execute(&mut **transaction).await.map(drop)
    }
}
