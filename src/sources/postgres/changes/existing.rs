//! The rows that were there before the watch, for `start: beginning`.

use super::connection::within;
use super::hand::{Hand, Version};
use super::pgoutput::{Column, Datum, Tuple};
use super::relation::Relation;
use super::setup::Watched;
use super::{ANSWERS_WITHIN, DECODES_WITHIN, Halt, failed, quoted};
use crate::model::time::{Span, Time};
use crate::sources::postgres::types::Types;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Row, ValueRef};

/// A change that was stamped before the rows were read may become visible after it by no more than this, the least
/// lateness of change capture: so much earlier are the rows that were read, so that it counts as the later version.
const SPREAD: Span = Span::seconds(1);

/// Hands over the rows of all tables, which are read after the slot began: what is committed meanwhile comes as a row,
/// and then once more as a change. `began` is a moment between the two.
pub(super) async fn read(
    tables: &[Watched],
    types: &Types,
    began: Time,
    side: &mut PgConnection,
    hand: &mut Hand<'_>,
) -> Result<(), Halt> {
    let what = "the rows that were there before cannot be read";
    let begin = sqlx::query("begin isolation level repeatable read read only").execute(&mut *side);
    within(hand.intake, ANSWERS_WITHIN, what, begin).await?;
    hand.cursor.beginning = true;
    for watched in tables {
        rows(watched, types, began - SPREAD, side, hand).await?;
    }
    within(hand.intake, ANSWERS_WITHIN, what, sqlx::query("commit").execute(side)).await?;
    (hand.cursor.beginning, hand.cursor.whole) = (false, hand.cursor.given);
    hand.deliver()
}

async fn rows(
    watched: &Watched,
    types: &Types,
    time: Time,
    side: &mut PgConnection,
    hand: &mut Hand<'_>,
) -> Result<(), Halt> {
    let what = format!("the rows of `{}` cannot be read", watched.name);
    let question = sqlx::query_as::<_, (String, i64)>(
        "select attname::text, atttypid::int8 from pg_attribute
         where attrelid = $1::int8::oid and attnum > 0 and not attisdropped and attgenerated = '' order by attnum",
    );
    let question = question.bind(i64::from(watched.id)).fetch_all(&mut *side);
    let columns = within(hand.intake, ANSWERS_WITHIN, &what, question).await?;
    let columns: Vec<Column> =
        columns.into_iter().map(|(name, kind)| Column { name, kind: kind as u32, identity: false }).collect();
    let part = hand.intake.part(&watched.name);
    let relation = Relation::new(watched, part, &columns, types).map_err(|column| watched.lacks(&column))?;
    let names: Vec<String> = columns.iter().map(|column| quoted(&column.name)).collect();
    let sql = format!("select {} from {}", names.join(", "), watched.sql());
    // The simple protocol gives each value as text, as the changes do.
    let mut rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch(side);
    while let Some(row) = within(hand.intake, DECODES_WITHIN, &what, super::follow::next(&mut rows)).await? {
        let mut tuple = Vec::new();
        for at in 0..columns.len() {
            let value = row.try_get_raw(at).map_err(|error| failed(format!("{what}: {error}")))?;
            let text = if value.is_null() { None } else { value.as_bytes().ok() };
            Tuple::push(&mut tuple, text.map_or(Datum::Null, Datum::Text));
        }
        let row = Tuple::of(&tuple);
        let key = relation.key(row);
        hand.record(Version { relation: &relation, op: None, key: key.as_deref(), row, time, headers: &[] })?;
    }
    Ok(())
}
